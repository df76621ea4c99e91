//! A report as SARIF 2.1.0, for code-scanning services and editors.
//!
//! | snapshot | SARIF |
//! |---|---|
//! | check | rule; its help as text and Markdown; `security-severity` as services sort by it |
//! | failing finding | result of kind `fail` |
//! | suppressed finding | the same with a suppression: `inSource` where the source says so, `external` for a person's decision |
//! | unknown | result of kind `open`, which no reader takes for a pass |
//! | pass, if asked for | result of kind `pass` |
//! | finding key | `partialFingerprints` |
//! | object and locus | logical location |
//! | incomplete scan | `executionSuccessful: false` |

use crate::text;
use crate::{RenderError, Row, Snapshot, Subject};
use bartizan_model::finding::SOURCE_OWNER;
use bartizan_model::{Asset, Check, CheckUid, FindingStatus, Location, Severity};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::Write;

/// The media type.
pub const MEDIA_TYPE: &str = "application/sarif+json";

/// What to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Whether passes are written too, as results of kind `pass`.
    pub passes: bool,
}

/// Writes a snapshot as SARIF.
pub fn write<W: Write>(
    snapshot: &Snapshot,
    options: &Options,
    mut out: W,
) -> Result<(), RenderError> {
    let rules = rules(snapshot, options);
    let index: BTreeMap<&CheckUid, usize> = rules
        .iter()
        .enumerate()
        .map(|(at, check)| (&check.uid, at))
        .collect();
    let (name, version) = match snapshot.generator.split_once(' ') {
        Some((name, version)) => (name, Some(version)),
        None => (snapshot.generator.as_str(), None),
    };
    let mut driver = json!({
        "name": name,
        "rules": rules.iter().map(rule).collect::<Vec<_>>(),
    });
    if let Some(version) = version {
        set(&mut driver, "version", json!(version));
    }
    let mut run = json!({
        "tool": { "driver": driver },
        "automationDetails": { "id": format!("{}/", snapshot.scope) },
        "columnKind": "unicodeCodePoints",
        "invocations": [invocation(snapshot)],
    });
    set(&mut run, "results", Value::Null);
    // Results are written one by one, so that a large report is not held twice.
    let frame = json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    });
    let frame = serde_json::to_string(&frame)?;
    let Some((before, after)) = frame.split_once("\"results\":null") else {
        return Err(RenderError::Template("no place for results".to_owned()));
    };
    out.write_all(before.as_bytes())?;
    out.write_all(b"\"results\":[")?;
    let failing = snapshot.failing.iter().chain(&snapshot.suppressed);
    let results = failing
        .map(|row| failure(row, &index))
        .chain(
            snapshot
                .unknown
                .iter()
                .map(|row| other(&row.subject, "open", &row.why, &index)),
        )
        .chain(
            snapshot
                .passing
                .iter()
                .filter(|_| options.passes)
                .map(|subject| other(subject, "pass", "The check passes.", &index)),
        );
    for (at, result) in results.enumerate() {
        out.write_all(if at == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut out, &result)?;
    }
    out.write_all(b"\n]")?;
    out.write_all(after.as_bytes())?;
    out.write_all(b"\n")?;
    Ok(())
}

/// The checks, and stand-ins for those that only a result names.
fn rules(snapshot: &Snapshot, options: &Options) -> Vec<Check> {
    let mut rules: BTreeMap<&CheckUid, Check> = snapshot
        .checks
        .iter()
        .map(|check| (&check.uid, check.clone()))
        .collect();
    let stand_in = |uid: &CheckUid, title: &str, severity| Check {
        uid: uid.clone(),
        title: title.to_owned(),
        description: String::new(),
        severity,
        remediation: String::new(),
        references: Vec::new(),
    };
    for row in snapshot.failing.iter().chain(&snapshot.suppressed) {
        let of = &row.finding;
        rules
            .entry(&of.check)
            .or_insert_with(|| stand_in(&of.check, &of.title, of.severity));
    }
    let passing = snapshot.passing.iter().filter(|_| options.passes);
    for subject in snapshot.unknown.iter().map(|u| &u.subject).chain(passing) {
        rules
            .entry(&subject.check)
            .or_insert_with(|| stand_in(&subject.check, subject.check.as_str(), Severity::Medium));
    }
    rules.into_values().collect()
}

fn rule(check: &Check) -> Value {
    let title = nonempty(&check.title, check.uid.as_str());
    let mut rule = json!({
        "id": check.uid,
        "shortDescription": { "text": title },
        "fullDescription": { "text": nonempty(&check.description, title) },
        "defaultConfiguration": { "level": level(check.severity) },
        "help": { "text": help(check, false), "markdown": help(check, true) },
        "properties": {
            "security-severity": score(check.severity),
            "severity": check.severity,
            "tags": ["security", check.severity.word()],
        },
    });
    if let Some(reference) = check.references.iter().find(|r| text::is_link(r)) {
        set(&mut rule, "helpUri", json!(uri(reference)));
    }
    rule
}

/// What is wrong, how to put it right, and where to read more.
fn help(check: &Check, markdown: bool) -> String {
    // Markdown is made of our own words and of text that stands in it as text.
    let quote = |text: &str| {
        if markdown {
            escape(text)
        } else {
            text.to_owned()
        }
    };
    let head = |word: &str| {
        if markdown {
            format!("**{word}**")
        } else {
            format!("{word}:")
        }
    };
    let mut parts = vec![quote(nonempty(
        &check.description,
        nonempty(&check.title, check.uid.as_str()),
    ))];
    if !check.remediation.trim().is_empty() {
        parts.push(format!(
            "{}\n{}",
            head("How to put it right"),
            quote(&check.remediation)
        ));
    }
    let links: Vec<String> = check
        .references
        .iter()
        .filter(|r| text::is_link(r))
        .map(|r| {
            if markdown {
                format!("- <{}>", uri(r))
            } else {
                r.clone()
            }
        })
        .collect();
    if !links.is_empty() {
        parts.push(format!("{}\n{}", head("References"), links.join("\n")));
    }
    parts.join("\n\n")
}

fn failure(row: &Row, index: &BTreeMap<&CheckUid, usize>) -> Value {
    let of = &row.finding;
    let words = nonempty(&of.message, nonempty(&of.title, of.check.as_str()));
    let mut result = frame(&of.check, "fail", level(of.severity), words, index);
    set(
        &mut result,
        "locations",
        json!([location(&row.asset, &of.locus, row.location.as_ref())]),
    );
    set(
        &mut result,
        "partialFingerprints",
        json!({ "bartizanFindingKey/v1": of.key }),
    );
    set(&mut result, "suppressions", suppressions(row));
    let mut properties = json!({
        "severity": of.severity,
        "security-severity": score(of.severity),
        "status": of.status,
        "firstSeen": of.first_seen,
    });
    if !row.evidence.is_empty() {
        set(&mut properties, "evidence", json!(row.evidence));
    }
    set(&mut result, "properties", properties);
    result
}

fn other(subject: &Subject, kind: &str, words: &str, index: &BTreeMap<&CheckUid, usize>) -> Value {
    let words = nonempty(words, "No reason was given.");
    let mut result = frame(&subject.check, kind, "none", words, index);
    set(
        &mut result,
        "locations",
        json!([location(
            &subject.asset,
            &subject.locus,
            subject.location.as_ref()
        )]),
    );
    // SARIF wants suppressions on every result or on none.
    set(&mut result, "suppressions", json!([]));
    result
}

fn frame(
    check: &CheckUid,
    kind: &str,
    level: &str,
    words: &str,
    index: &BTreeMap<&CheckUid, usize>,
) -> Value {
    let mut result = json!({
        "ruleId": check,
        "kind": kind,
        "level": level,
        "message": { "text": words },
    });
    if let Some(at) = index.get(check) {
        set(&mut result, "ruleIndex", json!(at));
    }
    result
}

fn suppressions(row: &Row) -> Value {
    let of = &row.finding;
    match (of.status, &of.acceptance) {
        (FindingStatus::FalsePositive, _) => json!([{
            "kind": "external",
            "status": "accepted",
            "justification": "A person ruled it a false positive.",
        }]),
        (FindingStatus::Accepted, Some(by)) => json!([{
            "kind": if by.owner == SOURCE_OWNER { "inSource" } else { "external" },
            "status": "accepted",
            "justification": nonempty(&by.reason, "No reason was given."),
        }]),
        (FindingStatus::Accepted, None) => json!([{ "kind": "external", "status": "accepted" }]),
        _ => json!([]),
    }
}

fn location(asset: &Asset, locus: &str, at: Option<&Location>) -> Value {
    let name = match locus {
        "" => asset.uid.to_string(),
        locus => format!("{}#{locus}", asset.uid),
    };
    let mut location = json!({
        "logicalLocations": [{
            "name": asset.name,
            "fullyQualifiedName": name,
            "kind": "resource",
        }],
    });
    if let Some(at) = at {
        let mut region = json!({ "startLine": at.line.max(1) });
        if let Some(column) = at.column.filter(|c| *c > 0) {
            set(&mut region, "startColumn", json!(column));
        }
        set(
            &mut location,
            "physicalLocation",
            json!({ "artifactLocation": { "uri": file_uri(&at.file) }, "region": region }),
        );
    }
    location
}

fn invocation(snapshot: &Snapshot) -> Value {
    let mut invocation = json!({
        "executionSuccessful": snapshot.scan.as_ref().is_some_and(|scan| scan.complete),
    });
    if let Some(scan) = &snapshot.scan {
        set(&mut invocation, "startTimeUtc", json!(scan.started));
        set(&mut invocation, "endTimeUtc", json!(scan.finished));
    }
    let notices: Vec<Value> = snapshot
        .notices
        .iter()
        .map(|n| json!({ "level": "warning", "message": { "text": nonempty(n, "?") } }))
        .collect();
    if !notices.is_empty() {
        set(
            &mut invocation,
            "toolExecutionNotifications",
            json!(notices),
        );
    }
    invocation
}

fn set(value: &mut Value, name: &str, member: Value) {
    if let Some(object) = value.as_object_mut() {
        object.insert(name.to_owned(), member);
    } else {
        *value = Value::Object(Map::from_iter([(name.to_owned(), member)]));
    }
}

fn nonempty<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.trim().is_empty() {
        otherwise
    } else {
        text
    }
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

/// The middle of the range in which services show this severity.
fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "2.0",
        Severity::Info => "0.0",
    }
}

/// Text that stands in Markdown as text.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(
            c,
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '!' | '&'
        ) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A path as a URI reference; an absolute one as a `file:` URI.
fn file_uri(path: &str) -> String {
    let path = path.replace('\\', "/");
    let encoded = text::encode(&path, "/-._~");
    if path.starts_with('/') {
        format!("file://{encoded}")
    } else {
        encoded
    }
}

/// An address whose unsafe characters are escaped; its own escapes stay.
fn uri(address: &str) -> String {
    text::encode(address, "/-._~:?#[]@!$&'()*+,;=%")
}

#[cfg(test)]
mod tests;
