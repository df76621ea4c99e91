//! Which facts a module looks at, read off its source, and whether they are known.

use crate::rego::lexer::{Kind, tokens};
use serde_json::Value;
use std::collections::BTreeSet;

/// A place in the facts: a part, and what is below as far as the source names it.
pub(super) type Path = Vec<String>;

/// What a module looks at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Touched {
    /// The empty path: `input` as a whole.
    pub paths: BTreeSet<Path>,
    /// Parts whose `unknown` the module asks for: it deals with that itself.
    pub handled: BTreeSet<String>,
    /// What follows `data` where it is named, dotted: libraries, or rules of theirs.
    pub data: BTreeSet<String>,
}

impl Touched {
    pub(super) fn add(&mut self, other: Self) {
        self.paths.extend(other.paths);
        self.handled.extend(other.handled);
        self.data.extend(other.data);
    }

    /// Whether a package may be meant by what it names.
    pub(super) fn uses(&self, package: &str) -> bool {
        let begins = |whole: &str, part: &str| {
            let rest = whole.strip_prefix(part);
            part.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.data
            .iter()
            .any(|named| begins(named, package) || begins(package, named))
    }

    /// What must be known for the module to be run.
    pub(super) fn effective(&self, parts: &[&str]) -> Vec<Path> {
        let mut all = Vec::new();
        for path in &self.paths {
            if path.is_empty() {
                all.extend(parts.iter().map(|part| vec![(*part).to_owned()]));
            } else {
                all.push(path.clone());
            }
        }
        all.retain(|path| path.first().is_none_or(|part| !self.handled.contains(part)));
        all
    }
}

/// Reads a source: `input` and the names and texts that follow it.
pub(super) fn of(source: &str) -> Result<Touched, String> {
    let all = tokens(source)?;
    let text = |at: usize| {
        all.get(at)
            .and_then(|token| source.get(token.start..token.end))
            .unwrap_or_default()
    };
    let kind = |at: usize| all.get(at).map(|token| token.kind);
    let mut touched = Touched::default();
    for at in 0..all.len() {
        if kind(at) != Some(Kind::Word) || (at > 0 && text(at - 1) == ".") {
            continue;
        }
        let root = text(at);
        if root != "input" && root != "data" {
            continue;
        }
        let mut path = Vec::new();
        let mut next = at + 1;
        loop {
            if text(next) == "." && kind(next + 1) == Some(Kind::Word) {
                path.push(text(next + 1).to_owned());
                next += 2;
                continue;
            }
            let bracketed = text(next) == "[" && text(next + 2) == "]";
            match literal(text(next + 1)) {
                Some(name) if bracketed && kind(next + 1) == Some(Kind::Text) => {
                    path.push(name);
                    next += 3;
                }
                _ => break,
            }
        }
        if root == "data" {
            touched.data.insert(path.join("."));
        } else if path.len() == 2 && path.last().is_some_and(|last| last == "unknown") {
            touched.handled.extend(path.into_iter().next());
        } else {
            touched.paths.insert(path);
        }
    }
    Ok(touched)
}

/// A text without its quotes; None where escapes hide what it says.
fn literal(quoted: &str) -> Option<String> {
    let inner = quoted.get(1..quoted.len().checked_sub(1)?)?;
    (!inner.contains('\\') || quoted.starts_with('`')).then(|| inner.to_owned())
}

/// Why what a path names is not known. Where something on the way is absent, nothing is asked
/// of it, unless it must be there.
pub(super) fn lacking(facts: &Value, path: &[String], must: bool) -> Option<String> {
    let mut value = facts;
    let mut place = String::new();
    for step in path {
        if let Some(why) = unknown(value) {
            return Some(format!("{place} is not known: {why}"));
        }
        if !place.is_empty() {
            place.push('/');
        }
        place.push_str(step);
        match value.get(step) {
            Some(below) => value = below,
            None if must => return Some(format!("{place} is not known: it is not there")),
            None => return None,
        }
    }
    let (below, why) = within(value)?;
    Some(format!("{place}{below} is not known: {why}"))
}

/// The reason of a value that is not known.
fn unknown(value: &Value) -> Option<&str> {
    let map = value.as_object().filter(|map| map.len() == 1)?;
    map.get("unknown")?.as_str()
}

/// The first place within a value that is not known. Facts are not deep.
fn within(value: &Value) -> Option<(String, &str)> {
    if let Some(why) = unknown(value) {
        return Some((String::new(), why));
    }
    let under =
        |step: String, value| within(value).map(|(below, why)| (format!("/{step}{below}"), why));
    match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(at, item)| under(at.to_string(), item)),
        Value::Object(map) => map.iter().find_map(|(key, item)| under(key.clone(), item)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn paths(source: &str) -> Vec<String> {
        let all = of(source).unwrap().paths;
        all.iter().map(|path| path.join("/")).collect()
    }

    #[test]
    fn what_a_source_names() {
        assert_eq!(
            paths(
                "package a\nimport input.users as u\np if { input.sysctls[\"a.b\"] == \"1\"; some x in input.packages\n x.input; input.units[y].active } # input.mounts"
            ),
            ["packages", "sysctls/a.b", "units", "users"]
        );
        assert_eq!(paths("package a\np if object.get(input, \"x\", 1)"), [""]);
        let handled = of("package a\np if input.units.unknown").unwrap();
        assert!(handled.paths.is_empty() && handled.handled.contains("units"));
        // Escapes hide which entry it is: all of the part.
        assert_eq!(paths("package a\np if input.a[\"\\u0062\"] == 1"), ["a"]);
        let named = of("package a\nimport data.lib.q\np if data[\"x\"].y").unwrap();
        assert!(named.uses("lib") && named.uses("lib.q.r") && named.uses("x"));
        assert!(!named.uses("li") && !named.uses("a"));
        assert!(of("package a\np if data[x]").unwrap().uses("a"));
    }

    #[test]
    fn what_is_not_known() {
        let facts = json!({
            "a": {"unknown": "shut"},
            "b": {"x": {"unknown": "gone"}, "y": {"on": true}},
            "c": [{"unknown": "w", "more": 1}],
        });
        let why = |path: &[&str], must| {
            let path: Path = path.iter().map(|&step| step.to_owned()).collect();
            lacking(&facts, &path, must)
        };
        assert_eq!(why(&["a"], false).unwrap(), "a is not known: shut");
        assert_eq!(why(&["a", "k"], false).unwrap(), "a is not known: shut");
        assert_eq!(why(&["b"], false).unwrap(), "b/x is not known: gone");
        assert_eq!(why(&["b", "y"], false), None);
        assert_eq!(why(&["b", "z"], false), None);
        assert!(why(&["b", "z"], true).unwrap().contains("not there"));
        assert_eq!(why(&["c"], false), None);
    }
}
