//! Baselines and parts, read strictly.

use super::question::{Check, Question};
use bartizan_model::{CheckUid, Digest};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The largest file.
pub const MAX_BYTES: usize = 4 << 20;

/// The most checks of a baseline.
pub const MAX_CHECKS: usize = 10_000;

/// How deep questions nest.
const MAX_DEPTH: usize = 16;

/// Checks for the hosts of some operating systems.
#[derive(Debug, Clone)]
pub struct Baseline {
    /// The middle part of its checks' uids.
    pub id: String,
    /// Its name.
    pub title: String,
    /// Its edition.
    pub version: String,
    /// Which hosts it is for; None: all.
    pub applies: Option<Vec<String>>,
    /// Its checks, those of its parts included.
    pub checks: Vec<Check>,
    /// Of all files that it was made from.
    pub digest: Digest,
}

impl Baseline {
    /// The uid of one of its checks.
    pub fn uid(&self, check: &Check) -> Result<CheckUid, bartizan_model::IdError> {
        CheckUid::of(super::ENGINE, &self.id, &check.id)
    }
}

/// Why files make no baselines: always a fault of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {what}")]
pub struct ParseError {
    /// The file as given.
    pub file: String,
    /// What is wrong, with line and field.
    pub what: String,
}

/// A file: a baseline, or a part that baselines name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    part: Option<String>,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    applies: Option<Vec<String>>,
    #[serde(default)]
    parts: Vec<String>,
    #[serde(default)]
    checks: Vec<Check>,
}

/// Reads files, each with its name and bytes: one or more baselines with the parts that they
/// name. A part may stand after the baseline that names it.
pub fn baselines(files: &[(&str, &[u8])]) -> Result<Vec<Baseline>, ParseError> {
    let mut parts = BTreeMap::new();
    let mut whole = Vec::new();
    for (file, bytes) in files {
        let fault = |what: String| ParseError {
            file: (*file).to_owned(),
            what,
        };
        let document = document(bytes).map_err(&fault)?;
        for check in &document.checks {
            sound(check).map_err(|what| fault(format!("check {}: {what}", check.id)))?;
        }
        match (&document.id, &document.part) {
            (Some(id), None) => {
                slug(id, "id").map_err(&fault)?;
                whole.push((*file, *bytes, document));
            }
            (None, Some(part)) => {
                slug(part, "part").map_err(&fault)?;
                if document.title.is_some()
                    || document.version.is_some()
                    || document.applies.is_some()
                    || !document.parts.is_empty()
                {
                    let what = "a part has no title, version, applies and parts of its own";
                    return Err(fault(what.to_owned()));
                }
                let name = part.clone();
                if parts.insert(name.clone(), (*bytes, document)).is_some() {
                    return Err(fault(format!("field part: {name} is there twice")));
                }
            }
            _ => {
                let what = "a file has either the field id (a baseline) or the field part";
                return Err(fault(what.to_owned()));
            }
        }
    }
    let mut seen = BTreeSet::new();
    let mut made = Vec::new();
    for (file, bytes, document) in whole {
        let baseline = assemble(bytes, document, &parts).map_err(|what| ParseError {
            file: file.to_owned(),
            what,
        })?;
        if !seen.insert(baseline.id.clone()) {
            return Err(ParseError {
                file: file.to_owned(),
                what: format!("field id: {} is there twice", baseline.id),
            });
        }
        made.push(baseline);
    }
    Ok(made)
}

fn document(bytes: &[u8]) -> Result<Document, String> {
    if bytes.len() > MAX_BYTES {
        return Err(format!("more than {MAX_BYTES} bytes"));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| format!("byte {} is not UTF-8", error.valid_up_to() + 1))?;
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: 64 },
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| -> String {
        // It begins with line and column, and names the field.
        let full = error.to_string();
        let text = full.strip_prefix("error: ").unwrap_or(&full);
        text.chars().take(1000).collect()
    })
}

fn assemble(
    bytes: &[u8],
    document: Document,
    parts: &BTreeMap<String, (&[u8], Document)>,
) -> Result<Baseline, String> {
    let named = |value: Option<String>, field: &str| {
        value
            .filter(|text| !text.trim().is_empty())
            .ok_or_else(|| format!("field {field} is missing or empty"))
    };
    let id = named(document.id, "id")?;
    let title = named(document.title, "title")?;
    let version = named(document.version, "version")?;
    let mut all = bytes.to_vec();
    let mut checks = document.checks;
    for name in &document.parts {
        let (bytes, part) = parts
            .get(name)
            .ok_or_else(|| format!("field parts: there is no part {name}"))?;
        all.extend_from_slice(bytes);
        checks.extend(part.checks.iter().cloned());
    }
    if checks.is_empty() || checks.len() > MAX_CHECKS {
        return Err(format!(
            "{} checks: from 1 to {MAX_CHECKS} will do",
            checks.len()
        ));
    }
    let mut seen = BTreeSet::new();
    for check in &checks {
        if !seen.insert(check.id.as_str()) {
            return Err(format!("check {} is there twice", check.id));
        }
    }
    Ok(Baseline {
        id,
        title,
        version,
        applies: document.applies,
        checks,
        digest: Digest::of(&all),
    })
}

fn slug(text: &str, field: &str) -> Result<(), String> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.is_empty() || text.len() > 100 || !text.chars().all(good) {
        return Err(format!(
            "field {field}: {text:?} is not made of lower-case letters, digits and hyphens"
        ));
    }
    Ok(())
}

/// What the types cannot say.
fn sound(check: &Check) -> Result<(), String> {
    slug(&check.id, "id")?;
    for (field, text) in [
        ("title", &check.title),
        ("description", &check.description),
        ("remediation", &check.remediation),
    ] {
        if text.trim().is_empty() {
            return Err(format!("field {field} is empty"));
        }
    }
    if check.controls.is_empty() {
        return Err("field controls names none".to_owned());
    }
    if let Some(when) = &check.when {
        asked(when, 0).map_err(|what| format!("field when: {what}"))?;
    }
    asked(&check.question, 0).map_err(|what| format!("field question: {what}"))
}

fn asked(question: &Question, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("questions nest deeper than {MAX_DEPTH}"));
    }
    let absolute = |paths: &[String]| {
        if paths.is_empty() {
            return Err("field path is empty".to_owned());
        }
        match paths.iter().find(|path| !clean(path)) {
            Some(path) => Err(format!("path {path:?} is not absolute and clean")),
            None => Ok(()),
        }
    };
    let wanted = |expect: &super::expect::Expect| {
        if expect.is_empty() {
            Err("field expect asks for nothing".to_owned())
        } else {
            Ok(())
        }
    };
    match question {
        Question::All(parts) | Question::Any(parts) => {
            if parts.is_empty() {
                return Err("a combination has no parts".to_owned());
            }
            parts.iter().try_for_each(|part| asked(part, depth + 1))
        }
        Question::Not(part) => asked(part, depth + 1),
        Question::File(file) => absolute(&file.path.0),
        Question::Lines(lines) => {
            if lines.matches.is_empty() && lines.none_match.is_empty() {
                return Err("lines has neither matches nor none-match".to_owned());
            }
            absolute(&lines.path.0)
        }
        Question::Setting(setting) => {
            absolute(&setting.path.0)?;
            wanted(&setting.expect)
        }
        Question::Sshd(sshd) => wanted(&sshd.expect),
        Question::Package(package) if package.name.0.is_empty() => {
            Err("field name is empty".to_owned())
        }
        Question::Service(service) if service.name.0.is_empty() => {
            Err("field name is empty".to_owned())
        }
        Question::Sysctl(sysctl) => {
            let good = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
            if !sysctl.key.chars().all(good) || sysctl.key.contains("..") {
                return Err(format!("key {:?} is no kernel parameter", sysctl.key));
            }
            wanted(&sysctl.expect)
        }
        Question::Find(find) => absolute(std::slice::from_ref(&find.under)),
        Question::Mount(mount) => absolute(std::slice::from_ref(&mount.point)),
        _ => Ok(()),
    }
}

fn clean(path: &str) -> bool {
    path.starts_with('/')
        && !path.contains('\0')
        && !path.split('/').any(|part| part == ".." || part == ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECK: &str = "- id: a\n  title: t\n  description: d\n  remediation: r\n  controls: {soc2: [CC6.1]}\n  question: {file: {path: /etc/x}}\n";

    fn one(text: &str) -> Result<Vec<Baseline>, ParseError> {
        baselines(&[("x.yaml", text.as_bytes())])
    }

    #[test]
    fn a_baseline_takes_in_its_parts() {
        let base = "id: b\ntitle: B\nversion: '1'\nparts: [p]\n";
        let part = format!("part: p\nchecks:\n{CHECK}");
        let made = baselines(&[("b", base.as_bytes()), ("p", part.as_bytes())]).unwrap();
        assert_eq!(made[0].checks.len(), 1);
        assert_eq!(
            made[0].uid(&made[0].checks[0]).unwrap().as_str(),
            "host/b/a"
        );
        let error = one(base).unwrap_err();
        assert_eq!(error.to_string(), "x.yaml: field parts: there is no part p");
    }

    #[test]
    fn faults_name_file_line_and_field() {
        let head = "id: b\ntitle: B\nversion: '1'\nchecks:\n";
        for (text, what) in [
            (format!("{head}{CHECK}  colour: red\n"), "colour"),
            (format!("{head}{CHECK}  colour: red\n"), "line 11"),
            (format!("{head}{CHECK}{CHECK}"), "check a is there twice"),
            (head.to_owned(), "checks"),
            (
                format!("{head}{}", CHECK.replace("soc2: [CC6.1]", "")),
                "field controls",
            ),
            (
                format!("{head}{}", CHECK.replace("/etc/x", "etc/../x")),
                "etc/../x",
            ),
            (format!("{head}{}", CHECK.replace("file:", "flie:")), "flie"),
            (
                format!("{head}{}", CHECK.replace("title: t", "title: ''")),
                "field title",
            ),
            (
                format!(
                    "{head}{}",
                    CHECK.replace(
                        "{file: {path: /etc/x}}",
                        "{lines: {path: /x, matches: ['(']}}"
                    )
                ),
                "the pattern",
            ),
            ("x: [".to_owned(), "x.yaml"),
            (
                format!(
                    "{head}{}",
                    CHECK.replace(
                        "{file: {path: /etc/x}}",
                        &format!(
                            "{}{{file: {{path: /x}}}}{}",
                            "{not: ".repeat(40),
                            "}".repeat(40)
                        )
                    )
                ),
                "",
            ),
        ] {
            let error = one(&text).unwrap_err().to_string();
            assert!(error.contains(what), "{what}: {error}");
        }
    }
}
