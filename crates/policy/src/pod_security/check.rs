//! What a check is, and how checks put things into words.

use super::levels::Level;
use super::pod::Pod;
use std::fmt::Write;

/// One check of the standards.
#[derive(Debug)]
pub struct Check {
    /// Its name in Kubernetes.
    pub id: &'static str,
    /// The first level that has it; `restricted` has those of `baseline` as well.
    pub level: Level,
    /// What it is about, in some words.
    pub title: &'static str,
    /// What to do when it fails.
    pub fix: &'static str,
    /// Its forms, oldest first.
    pub(crate) forms: &'static [Form],
    /// The check's source, whose first comment is its manual page.
    pub(crate) source: &'static str,
}

/// A check as it is from one version on.
#[derive(Debug)]
pub(crate) struct Form {
    /// The first version of Kubernetes 1.N that has this form.
    pub since: u32,
    /// Judges a Pod; what is forbidden, or nothing.
    pub judge: fn(&Pod<'_>) -> Option<Forbidden>,
    /// The baseline check that is not asked where this one is.
    pub replaces: Option<&'static str>,
}

/// What a check has against a Pod.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Forbidden {
    pub reason: &'static str,
    pub detail: String,
}

impl Check {
    /// Its form in version 1.N; none where the version does not have the check.
    pub(crate) fn form(&self, minor: u32) -> Option<&'static Form> {
        self.forms.iter().rfind(|form| form.since <= minor)
    }

    /// The first version that has the check, and those in which it changed.
    pub fn versions(&self) -> impl Iterator<Item = u32> {
        self.forms.iter().map(|form| form.since)
    }

    /// The manual page: what is looked at, what is allowed, since when.
    pub fn manual(&self) -> String {
        let lines = self.source.lines().map_while(|l| l.strip_prefix("//!"));
        let mut page = String::new();
        for line in lines {
            page.push_str(line.strip_prefix(' ').unwrap_or(line));
            page.push('\n');
        }
        page
    }
}

impl Forbidden {
    /// A check has something against a Pod.
    pub fn new(reason: &'static str, detail: String) -> Option<Self> {
        Some(Self { reason, detail })
    }
}

/// One word or the other, by number.
pub(crate) fn plural(one: &'static str, many: &'static str, count: usize) -> &'static str {
    if count == 1 { one } else { many }
}

/// `"a", "b"`: quoted as they are, without escapes.
pub(crate) fn quoted<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> String {
    let mut text = String::new();
    for item in items {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a text cannot fail.
        let _ = write!(text, "{comma}\"{}\"", item.as_ref());
    }
    text
}

/// `container "a"` or `containers "a", "b"`.
pub(crate) fn containers(names: &[&str]) -> String {
    let word = plural("container", "containers", names.len());
    format!("{word} {}", quoted(names))
}

/// Who set something: the Pod, containers, both; none where nobody did.
pub(crate) fn setters(pod: bool, names: &[&str]) -> Option<String> {
    match (pod, names.is_empty()) {
        (false, true) => None,
        (true, true) => Some("pod".into()),
        (false, false) => Some(containers(names)),
        (true, false) => Some(format!("pod and {}", containers(names))),
    }
}

/// A text in quotes with what is not printable escaped, as Go's `%q` has it.
pub(crate) fn go_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        let _ = match c {
            '"' | '\\' => write!(out, "\\{c}"),
            '\x07' => write!(out, "\\a"),
            '\x08' => write!(out, "\\b"),
            '\x0c' => write!(out, "\\f"),
            '\n' => write!(out, "\\n"),
            '\r' => write!(out, "\\r"),
            '\t' => write!(out, "\\t"),
            '\x0b' => write!(out, "\\v"),
            _ if c.is_ascii_control() => write!(out, "\\x{:02x}", u32::from(c)),
            _ if c.is_control() => write!(out, "\\u{:04x}", u32::from(c)),
            _ => write!(out, "{c}"),
        };
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wording() {
        assert_eq!(containers(&["a"]), "container \"a\"");
        assert_eq!(
            setters(true, &["a", "b"]).unwrap(),
            "pod and containers \"a\", \"b\""
        );
        assert_eq!(setters(false, &[]), None);
        assert_eq!(
            go_quoted("a\"\\\n\u{1}\u{85}é"),
            "\"a\\\"\\\\\\n\\x01\\u0085é\""
        );
    }
}
