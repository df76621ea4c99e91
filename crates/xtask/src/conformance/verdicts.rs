//! The rule results of a TestResult, whoever wrote it, and how two of them differ.

use anyhow::{Context, Result, bail};
use quick_xml::events::Event;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// Rule and result; rules that were not selected are left out.
pub type Verdicts = BTreeMap<String, String>;

/// Reads the first TestResult of a document.
pub fn read(path: &Path) -> Result<Verdicts> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut reader = quick_xml::Reader::from_reader(text.as_slice());
    let mut verdicts = Verdicts::new();
    let (mut rule, mut result, mut reading, mut inside) = (None, String::new(), false, false);
    loop {
        match reader.read_event()? {
            Event::Start(start) => match start.local_name().as_ref() {
                b"TestResult" => inside = true,
                b"rule-result" => {
                    let id = start.try_get_attribute("idref")?;
                    rule = id.map(|id| String::from_utf8_lossy(&id.value).into_owned());
                    result.clear();
                }
                b"result" if rule.is_some() => reading = true,
                _ => {}
            },
            Event::Text(text) if reading => result.push_str(&String::from_utf8_lossy(&text)),
            Event::End(end) => match end.local_name().as_ref() {
                b"result" => reading = false,
                b"rule-result" => {
                    if let Some(rule) = rule.take()
                        && result.trim() != "notselected"
                    {
                        verdicts.insert(rule, result.trim().to_owned());
                    }
                }
                b"TestResult" => return Ok(verdicts),
                _ => {}
            },
            Event::Eof => break,
            _ => {}
        }
    }
    if !inside {
        bail!("{} has no TestResult", path.display());
    }
    Ok(verdicts)
}

/// How two sets of verdicts agree.
#[derive(Debug, Default)]
pub struct Agreement {
    /// How often ours met theirs.
    pub table: BTreeMap<(String, String), usize>,
    /// Rule, ours, theirs, where they differ.
    pub differences: Vec<(String, String, String)>,
    /// Rules that either has.
    pub rules: usize,
    /// Rules that both passed or failed.
    pub decided: usize,
    /// Those of them where both say the same.
    pub decided_same: usize,
}

/// Compares rule by rule; a rule that only one has is a difference.
pub fn compare(ours: &Verdicts, theirs: &Verdicts) -> Agreement {
    let mut agreement = Agreement::default();
    let absent = "(absent)".to_owned();
    let rules: std::collections::BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    for rule in rules {
        let our = ours.get(rule).unwrap_or(&absent);
        let their = theirs.get(rule).unwrap_or(&absent);
        agreement.rules += 1;
        *agreement
            .table
            .entry((our.clone(), their.clone()))
            .or_default() += 1;
        let decided = |word: &str| matches!(word, "pass" | "fail");
        if decided(our) && decided(their) {
            agreement.decided += 1;
            agreement.decided_same += usize::from(our == their);
        }
        if our != their {
            let difference = (rule.clone(), our.clone(), their.clone());
            agreement.differences.push(difference);
        }
    }
    agreement
}

impl Agreement {
    /// Percent of all rules.
    pub fn percent(&self) -> f64 {
        percent(self.rules - self.differences.len(), self.rules)
    }

    /// The table and the differences, for people.
    pub fn text(&self) -> String {
        let mut columns: Vec<&str> = self.table.keys().map(|(_, their)| their.as_str()).collect();
        let mut rows: Vec<&str> = self.table.keys().map(|(our, _)| our.as_str()).collect();
        for words in [&mut columns, &mut rows] {
            words.sort_unstable();
            words.dedup();
        }
        let mut out = format!("{:<16}", "ours \\ theirs");
        for column in &columns {
            let _ = write!(out, "{column:>15}");
        }
        out.push('\n');
        for row in &rows {
            let _ = write!(out, "{row:<16}");
            for column in &columns {
                let key = ((*row).to_owned(), (*column).to_owned());
                let count = self.table.get(&key).copied().unwrap_or(0);
                let _ = write!(out, "{count:>15}");
            }
            out.push('\n');
        }
        for (rule, our, their) in &self.differences {
            let _ = writeln!(out, "  {rule}: ours {our}, theirs {their}");
        }
        let _ = writeln!(
            out,
            "agree on {} of {} rules ({:.2} %); both decided {}, the same on {} ({:.2} %)",
            self.rules - self.differences.len(),
            self.rules,
            self.percent(),
            self.decided,
            self.decided_same,
            percent(self.decided_same, self.decided),
        );
        out
    }
}

fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 * 100.0 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_compares() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.xml");
        std::fs::write(
            &path,
            "<x:Benchmark xmlns:x='u'><x:TestResult><x:rule-result idref='a'><x:result>pass</x:result>\
             </x:rule-result><x:rule-result idref='b'><x:result>notselected</x:result></x:rule-result>\
             <x:rule-result idref='c'><x:result>fail</x:result></x:rule-result></x:TestResult></x:Benchmark>",
        )
        .unwrap();
        let theirs = read(&path).unwrap();
        let ours: Verdicts = [("a", "pass"), ("c", "pass"), ("d", "unknown")]
            .map(|(rule, result)| (rule.to_owned(), result.to_owned()))
            .into();
        let agreement = compare(&ours, &theirs);
        assert_eq!(
            (agreement.rules, agreement.decided, agreement.decided_same),
            (3, 2, 1)
        );
        assert_eq!(agreement.differences.len(), 2);
        assert!(agreement.text().contains("agree on 1 of 3 rules (33.33 %)"));
        std::fs::write(&path, "<a/>").unwrap();
        assert!(read(&path).is_err());
    }
}
