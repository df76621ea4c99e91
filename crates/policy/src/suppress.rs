//! Failures left knowingly, said at their source: annotations and baseline files.
//!
//! An object says it by annotation; a reason is required:
//!
//! ```yaml
//! metadata:
//!   annotations:
//!     bartizan.dev/ignore.k8spspprivileged: node agent, needs the host; see RISK-12
//!     bartizan.dev/ignore: '{"k8spsphostnetwork": "reason", "rego/mine/*": "reason"}'
//! ```
//!
//! What is named is a template (the last part of the check uid) or a whole check uid; either
//! may contain `*`. An annotation speaks for all places within its object.
//!
//! A baseline file is a YAML list of `{check, asset, locus?, reason, expires?}`; `check` and
//! `asset` are uids and may contain `*`, `expires` is a date or an RFC 3339 time.
//!
//! At admission there are [`crate::except`]ions instead.
//!
//! A suppression without a reason, expired, or matching no failure suppresses nothing and is
//! reported as unused.

use crate::input::{self, Limits, Piece, Source};
use crate::object::Object;
use bartizan_model::{CheckResult, CheckUid, Location, Outcome, Suppression, Timestamp};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};

/// A list of suppressions from a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Baseline {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    check: String,
    asset: String,
    locus: Option<String>,
    reason: String,
    expires: Option<Timestamp>,
    location: Location,
}

/// Why a baseline file cannot be used. Whose fault: the file's author.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {why}")]
pub struct BaselineError {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// What is wrong.
    pub why: String,
}

/// A suppression that suppressed nothing: the failure is gone, or it is written wrongly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusedSuppression {
    /// Where it was said: `annotation`, `baseline` or `exception`.
    pub by: String,
    /// The check or pattern as written.
    pub check: String,
    /// The asset or pattern as written.
    pub asset: String,
    /// Why it is unused: `it matches no failure`, `it has no reason`, `it expired at …`.
    pub why: String,
    /// Where it stands.
    pub location: Option<Location>,
}

impl Baseline {
    /// Reads a baseline file.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, BaselineError> {
        let fault = |line: u32, why: String| BaselineError {
            file: file.to_owned(),
            line,
            why,
        };
        let mut pieces = Vec::new();
        let limits = Limits::default();
        input::read(Source::new(file, bytes), &limits, &mut |p| pieces.push(p));
        let mut entries = Vec::new();
        for piece in pieces {
            let document = match piece {
                Piece::Document(document) => document,
                Piece::Unreadable { line, why } => return Err(fault(line, why)),
                Piece::Unrendered { line } => return Err(fault(line, "it is a template".into())),
            };
            let Value::Array(items) = document.value else {
                return Err(fault(
                    document.line,
                    "a baseline is a list of {check, asset, locus?, reason, expires?}".into(),
                ));
            };
            for (i, item) in items.iter().enumerate() {
                let line = document.lines.iter().find(|(p, _)| *p == format!("[{i}]"));
                let line = line.map_or(document.line, |(_, l)| *l);
                let location = Location {
                    file: file.to_owned(),
                    line,
                    column: None,
                };
                entries.push(entry(item, location).map_err(|why| fault(line, why))?);
            }
        }
        Ok(Self { entries })
    }

    /// How many suppressions there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn entry(item: &Value, location: Location) -> Result<Entry, String> {
    const KNOWN: [&str; 5] = ["check", "asset", "locus", "reason", "expires"];
    let map = item.as_object().ok_or("an entry is no mapping")?;
    if let Some(key) = map.keys().find(|k| !KNOWN.contains(&k.as_str())) {
        return Err(format!("the field {key:?} is not known"));
    }
    let text = |field: &str| match map.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(s)) => Ok(Some(s.clone())),
        Some(_) => Err(format!("{field} is no text")),
    };
    let need = |field: &str| text(field)?.ok_or_else(|| format!("{field} is missing"));
    let expires = match text("expires")? {
        None => None,
        Some(when) => Some(moment(&when)?),
    };
    Ok(Entry {
        check: need("check")?,
        asset: need("asset")?,
        locus: text("locus")?,
        reason: text("reason")?.unwrap_or_default(),
        expires,
        location,
    })
}

/// A date, or an RFC 3339 time.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    let full = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        _ => text.to_owned(),
    };
    Timestamp::parse(&full).map_err(|e| e.to_string())
}

/// `*` stands for any run of characters.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<_> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

pub(crate) fn names(pattern: &str, check: &CheckUid) -> bool {
    let rule = check.as_str().rsplit('/').next().unwrap_or_default();
    glob(pattern, check.as_str()) || glob(&pattern.to_lowercase(), rule)
}

/// The suppressions of a scan, shared by its workers.
pub(crate) struct Suppressor<'b> {
    baseline: &'b Baseline,
    used: Vec<AtomicBool>,
    now: Timestamp,
}

impl<'b> Suppressor<'b> {
    pub(crate) fn new(baseline: &'b Baseline, now: Timestamp) -> Self {
        Self {
            baseline,
            used: baseline
                .entries
                .iter()
                .map(|_| AtomicBool::new(false))
                .collect(),
            now,
        }
    }

    /// Marks the suppressed failures among an object's results; returns what was unused of its
    /// annotations.
    pub(crate) fn apply(
        &self,
        object: &Object,
        results: &mut [CheckResult],
    ) -> Vec<UnusedSuppression> {
        let mut unused = Vec::new();
        let asset = results.first().map(|r| r.asset.to_string());
        let mut annotations = annotations(object, &mut unused);
        for result in results.iter_mut().filter(|r| r.outcome == Outcome::Fail) {
            for (pattern, reason, used) in &mut annotations {
                if names(pattern, &result.check) {
                    *used = true;
                    result.suppression.get_or_insert_with(|| Suppression {
                        by: "annotation".into(),
                        reason: reason.clone(),
                    });
                }
            }
            for (entry, used) in self.baseline.entries.iter().zip(&self.used) {
                let valid =
                    !entry.reason.trim().is_empty() && entry.expires.is_none_or(|e| e > self.now);
                if valid
                    && names(&entry.check, &result.check)
                    && glob(&entry.asset, result.asset.as_str())
                    && entry.locus.as_ref().is_none_or(|l| *l == result.locus)
                {
                    used.store(true, Ordering::Relaxed);
                    result.suppression.get_or_insert_with(|| Suppression {
                        by: "baseline".into(),
                        reason: entry.reason.clone(),
                    });
                }
            }
        }
        for (pattern, _, used) in annotations {
            if !used {
                unused.push(annotation(object, pattern, "it matches no failure"));
            }
        }
        if let Some(asset) = asset {
            for one in &mut unused {
                one.asset.clone_from(&asset);
            }
        }
        unused
    }

    /// What was unused of the baseline; call it after the last object.
    pub(crate) fn unused(&self) -> Vec<UnusedSuppression> {
        let entries = self.baseline.entries.iter().zip(&self.used);
        entries
            .filter(|(_, used)| !used.load(Ordering::Relaxed))
            .map(|(entry, _)| UnusedSuppression {
                by: "baseline".into(),
                check: entry.check.clone(),
                asset: entry.asset.clone(),
                why: match entry.expires {
                    _ if entry.reason.trim().is_empty() => "it has no reason".into(),
                    Some(at) if at <= self.now => format!("it expired at {at}"),
                    _ => "it matches no failure".into(),
                },
                location: Some(entry.location.clone()),
            })
            .collect()
    }
}

fn annotation(object: &Object, check: String, why: &str) -> UnusedSuppression {
    UnusedSuppression {
        by: "annotation".into(),
        check,
        asset: format!("{}/{}", object.kind, object.name),
        why: why.into(),
        location: Some(object.location.clone()),
    }
}

/// Pattern, reason and whether it was used, of each annotation that can be honoured.
fn annotations(
    object: &Object,
    unused: &mut Vec<UnusedSuppression>,
) -> Vec<(String, String, bool)> {
    const PREFIX: &str = "bartizan.dev/ignore";
    let mut all = Vec::new();
    let mut add = |pattern: &str, reason: &str| {
        if reason.trim().is_empty() {
            unused.push(annotation(object, pattern.to_owned(), "it has no reason"));
        } else {
            all.push((pattern.to_owned(), reason.trim().to_owned(), false));
        }
    };
    let mut wrong = Vec::new();
    for (key, value) in object.annotations() {
        let Some(rest) = key.strip_prefix(PREFIX) else {
            continue;
        };
        if let Some(template) = rest.strip_prefix('.') {
            add(template, value);
        } else if rest.is_empty() {
            match serde_json::from_str::<Value>(value) {
                Ok(Value::Object(map)) => {
                    for (pattern, reason) in &map {
                        add(pattern, reason.as_str().unwrap_or_default());
                    }
                }
                _ => wrong.push(annotation(
                    object,
                    key.to_owned(),
                    "it is no JSON object of check and reason",
                )),
            }
        }
    }
    unused.extend(wrong);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, text, wanted) in [
            ("a*c", "abc", true),
            ("*", "", true),
            ("a", "ab", false),
            ("*b*d", "abcd", true),
            ("a*a", "a", false),
            ("x*", "abc", false),
        ] {
            assert_eq!(glob(pattern, text), wanted, "{pattern} {text}");
        }
    }

    #[test]
    fn a_baseline_is_read_strictly() {
        let read = |text: &str| Baseline::parse("b.yaml", text.as_bytes());
        let good =
            read("- check: rego/x/*\n  asset: 'cluster:c/*'\n  reason: r\n  expires: 2027-01-01\n")
                .unwrap();
        assert_eq!(good.len(), 1);
        assert_eq!(
            read("- {check: a, asset: b, reason: r}\n- {check: a, reason: r}\n")
                .unwrap_err()
                .to_string(),
            "b.yaml:2: asset is missing"
        );
        assert_eq!(
            read("- {check: a, asset: b, why: r}\n")
                .unwrap_err()
                .to_string(),
            "b.yaml:1: the field \"why\" is not known"
        );
        assert!(read("a: 1").is_err());
        assert!(read("- {check: a, asset: b, expires: soon}").is_err());
    }
}
