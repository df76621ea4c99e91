//! Results read back: a TestResult, alone or in ARF, our report, our JSON.

use super::read;
use anyhow::{Context, Result, bail};
use bartizan_model::report::{FORMAT, Line};
use bartizan_model::{CheckResult, Outcome};
use bartizan_scap::xml::{Element, Piece, Stream};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Results may hold whole content.
const MAX_RESULTS: u64 = 256 << 20;

/// What is known of a rule's result.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// The word of XCCDF; `no finding` where only findings are listed.
    pub result: String,
    /// One line, where the results have it.
    pub title: String,
    /// Why, in words, where the results have it.
    pub why: String,
}

/// Results by rule, and by what tells many results of a rule apart.
#[derive(Debug, Default)]
pub struct Results {
    /// The profile, where it is said.
    pub profile: Option<String>,
    /// When it was found, where it is said.
    pub time: Option<String>,
    /// Scores: model and percent.
    pub scores: Vec<(String, f64)>,
    /// The results.
    pub rules: BTreeMap<(String, String), Entry>,
}

impl Results {
    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = read(path, MAX_RESULTS)?;
        Self::parse(&bytes).with_context(|| format!("cannot use {}", path.display()))
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        match first {
            Some(b'{') => ours(bytes),
            Some(b'<' | 0xEF) => xml(bytes),
            _ => bail!("it is neither XML nor JSON"),
        }
    }

    /// The ids of the rules that failed.
    pub fn failed(&self) -> impl Iterator<Item = &str> {
        let all = self.rules.iter();
        all.filter(|(_, entry)| entry.result == "fail")
            .map(|((rule, _), _)| rule.as_str())
    }
}

fn xml(bytes: &[u8]) -> Result<Results> {
    let mut stream = Stream::new(bytes)?;
    let mut found = None;
    loop {
        match stream.next()? {
            Piece::Start(element) => match &*element.name {
                // Of many the last: they are written in order.
                "TestResult" => found = Some(test_result(&stream.tree(element)?)),
                // Embedded content and OVAL results are large and say nothing of rules.
                "report-requests" | "oval_results" | "Group" | "Rule" => stream.skip()?,
                _ => {}
            },
            Piece::End => {}
            Piece::Done => break,
        }
    }
    found.context("it has no TestResult")
}

fn test_result(tree: &Element) -> Results {
    let mut results = Results {
        profile: tree
            .child("profile")
            .and_then(|profile| profile.attribute("idref"))
            .map(str::to_owned),
        time: tree.attribute("end-time").map(str::to_owned),
        ..Results::default()
    };
    let word = |of: &Element, name: &str| {
        let text = of.child(name).map(Element::text).unwrap_or_default();
        text.trim().to_owned()
    };
    for score in tree.named("score") {
        let value: f64 = score.text().trim().parse().unwrap_or(f64::NAN);
        let maximum: f64 = score
            .attribute("maximum")
            .and_then(|text| text.parse().ok())
            .unwrap_or(100.0);
        if value.is_finite() && maximum > 0.0 {
            let system = score.attribute("system").unwrap_or("default").to_owned();
            results.scores.push((system, 100.0 * value / maximum));
        }
    }
    let mut often: BTreeMap<&str, usize> = BTreeMap::new();
    for rule in tree.named("rule-result") {
        *often
            .entry(rule.attribute("idref").unwrap_or_default())
            .or_default() += 1;
    }
    for rule in tree.named("rule-result") {
        let id = rule.attribute("idref").unwrap_or_default();
        let result = word(rule, "result");
        if result == "notselected" || id.is_empty() {
            continue;
        }
        // As in our report.
        let definition = rule
            .child("check")
            .and_then(|check| check.child("check-content-ref"))
            .and_then(|content| content.attribute("name"))
            .filter(|_| often.get(id).is_some_and(|times| *times > 1));
        let locus = definition.map_or(String::new(), |name| format!("definition:{name}"));
        let entry = Entry {
            result,
            title: String::new(),
            why: word(rule, "message"),
        };
        results.rules.insert((id.to_owned(), locus), entry);
    }
    results
}

/// A report (an object a line) or a snapshot (one object).
fn ours(bytes: &[u8]) -> Result<Results> {
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or(bytes);
    let is_report = serde_json::from_slice::<Line>(first)
        .is_ok_and(|line| matches!(line, Line::Header(header) if header.format == FORMAT));
    if is_report {
        return report(bytes);
    }
    let document: Value = serde_json::from_slice(bytes)?;
    if document.get("format").and_then(Value::as_str) != Some("bartizan.snapshot") {
        bail!("it is none of our JSON documents");
    }
    Ok(snapshot(&document))
}

fn report(bytes: &[u8]) -> Result<Results> {
    let mut results = Results::default();
    let mut titles = BTreeMap::new();
    let mut whole = false;
    for line in bytes.split(|byte| *byte == b'\n') {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match serde_json::from_slice::<Line>(line)? {
            Line::Header(header) => results.time = Some(header.scan.finished.to_string()),
            Line::Check(check) => {
                titles.insert(check.uid.to_string(), check.title);
            }
            Line::Observation(seen) if seen.kind == "scap.evaluation" => {
                evaluation(&mut results, &seen.body);
            }
            Line::Observation(_) => {}
            Line::Result(result) => {
                let uid = result.check.as_str().to_owned();
                let title = titles.get(&uid).cloned().unwrap_or_default();
                let entry = Entry {
                    result: word(&result).to_owned(),
                    title,
                    why: match &result.outcome {
                        Outcome::Fail => result.message.clone(),
                        other => other.why().unwrap_or_default().to_owned(),
                    },
                };
                results.rules.insert((last(&uid), result.locus), entry);
            }
            Line::Trailer(_) => whole = true,
        }
    }
    if !whole {
        bail!("the report was cut off");
    }
    Ok(results)
}

fn evaluation(results: &mut Results, body: &Value) {
    let text = |value: &Value, name: &str| value.get(name)?.as_str().map(str::to_owned);
    results.profile = text(body, "profile");
    for score in body
        .get("scores")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let percent = score.get("percent").and_then(Value::as_f64);
        if let (Some(system), Some(percent)) = (text(score, "system"), percent) {
            results.scores.push((system, percent));
        }
    }
}

fn word(result: &CheckResult) -> &'static str {
    match result.outcome {
        Outcome::Pass => "pass",
        Outcome::Fail => "fail",
        Outcome::NotApplicable { .. } => "notapplicable",
        Outcome::Unknown { .. } => "unknown",
    }
}

/// A snapshot lists findings and what could not be judged, but no passes.
fn snapshot(document: &Value) -> Results {
    let list = |name: &str| {
        document
            .get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    let text = |of: &Value, name: &str| {
        let text = of.get(name).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let mut results = Results {
        time: Some(text(document, "generated")),
        ..Results::default()
    };
    let mut titles = BTreeMap::new();
    for check in list("checks") {
        let uid = text(check, "uid");
        let entry = Entry {
            result: "no finding".to_owned(),
            title: text(check, "title"),
            why: String::new(),
        };
        results.rules.insert((last(&uid), String::new()), entry);
        titles.insert(uid, text(check, "title"));
    }
    for (name, result, why) in [
        ("findings", "fail", "message"),
        ("suppressed", "fail", "message"),
        ("unknown", "unknown", "why"),
    ] {
        for one in list(name) {
            let uid = text(one, "check");
            let entry = Entry {
                result: result.to_owned(),
                title: titles.get(&uid).cloned().unwrap_or_default(),
                why: text(one, why),
            };
            let rule = last(&uid);
            let locus = text(one, "locus");
            if !locus.is_empty() {
                results.rules.remove(&(rule.clone(), String::new()));
            }
            results.rules.insert((rule, locus), entry);
        }
    }
    results
}

/// The rule's id, the last part of a check's uid.
fn last(uid: &str) -> String {
    uid.rsplit('/').next().unwrap_or(uid).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESULT: &str = "<TestResult xmlns='urn:x' end-time='t'><profile idref='p'/><rule-result idref='a'><result>fail</result><message>m</message></rule-result><rule-result idref='b'><result> pass </result></rule-result><rule-result idref='c'><result>notselected</result></rule-result><score system='s' maximum='50'>25</score></TestResult>";

    #[test]
    fn results_and_arf_are_read_and_embedded_content_is_not() {
        let arf = format!(
            "<arf xmlns='urn:a'><report-requests><TestResult><rule-result idref='no'><result>fail</result></rule-result></TestResult></report-requests><reports><report>{RESULT}</report></reports></arf>"
        );
        for text in [RESULT, &arf] {
            let results = Results::parse(text.as_bytes()).unwrap();
            assert_eq!(results.failed().collect::<Vec<_>>(), ["a"]);
            assert_eq!(results.rules.len(), 2);
            assert_eq!(results.profile.as_deref(), Some("p"));
            assert_eq!(results.scores, [("s".to_owned(), 50.0)]);
        }
        assert!(Results::parse(b"<a/>").is_err());
        assert!(Results::parse(b"hello").is_err());
    }

    #[test]
    fn our_documents_are_read() {
        let snapshot = r#"{"format":"bartizan.snapshot","checks":[{"uid":"scap/b/r1","title":"T"},{"uid":"scap/b/r2","title":"U"}],
            "findings":[{"check":"scap/b/r1","locus":"","message":"m"}],"unknown":[]}"#;
        let results = Results::parse(snapshot.as_bytes()).unwrap();
        assert_eq!(results.failed().collect::<Vec<_>>(), ["r1"]);
        let second = results.rules.get(&("r2".to_owned(), String::new()));
        assert_eq!(second.unwrap().result, "no finding");
        assert!(Results::parse(b"{}").is_err());
        // A report without its trailer was cut off.
        let cut = r#"{"header":{"format":"bartizan.report","version":1,"scan":{"id":"s","source":"x","source_version":"1","scope":{"kind":"host","name":"h"},"complete":true,"started":"2026-01-01T00:00:00Z","finished":"2026-01-01T00:00:00Z","content":[]}}}"#;
        assert!(
            Results::parse(cut.as_bytes())
                .unwrap_err()
                .to_string()
                .contains("cut off")
        );
    }
}
