//! RustSec's advisories: Markdown with a block of TOML before the text.

use super::{FeedError, MAX_RECORD, bounded, id, moment};
use crate::{Advisory, Affected, Bound, Rating, Reference, Span};
use bartizan_model::{Ecosystem, EcosystemKind};
use semver::{Op, Version, VersionReq};
use serde::Deserialize;
use std::collections::BTreeMap;

const FORMAT: &str = "RustSec advisory";

#[derive(Deserialize)]
struct Front {
    advisory: Head,
    #[serde(default)]
    versions: Versions,
    #[serde(default)]
    affected: Narrowed,
}

#[derive(Deserialize)]
struct Head {
    id: String,
    package: String,
    date: String,
    #[serde(default)]
    aliases: Vec<String>,
    url: Option<String>,
    #[serde(default)]
    references: Vec<String>,
    cvss: Option<String>,
    informational: Option<String>,
    withdrawn: Option<String>,
}

#[derive(Deserialize, Default)]
struct Versions {
    #[serde(default)]
    patched: Vec<String>,
    #[serde(default)]
    unaffected: Vec<String>,
}

#[derive(Deserialize, Default)]
struct Narrowed {
    #[serde(default)]
    arch: Vec<String>,
    #[serde(default)]
    os: Vec<String>,
    #[serde(default)]
    functions: BTreeMap<String, Vec<String>>,
}

/// One file.
pub fn parse(bytes: &[u8]) -> Result<Advisory, FeedError> {
    bounded(FORMAT, bytes, MAX_RECORD)?;
    let text = std::str::from_utf8(bytes).map_err(|e| FeedError::new(FORMAT, 0, e.to_string()))?;
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let (front, body) = text
        .strip_prefix("```toml")
        .and_then(|rest| rest.split_once("\n```"))
        .ok_or_else(|| FeedError::new(FORMAT, 1, "it does not begin with a block of TOML"))?;
    let front: Front = toml::from_str(front).map_err(|e| {
        let at = e.span().map_or(0, |s| s.start);
        let line = front.get(..at).map_or(0, |t| t.matches('\n').count() + 1);
        FeedError::new(FORMAT, line, e.message())
    })?;
    let head = front.advisory;
    let mut advisory = Advisory::new(id(FORMAT, &head.id)?, "rustsec");
    advisory.aliases = head.aliases;
    advisory.published = Some(
        moment(&head.date)
            .ok_or_else(|| FeedError::new(FORMAT, 0, format!("date {:?} is no day", head.date)))?,
    );
    advisory.withdrawn = super::required_moment(FORMAT, "withdrawn", head.withdrawn.as_deref())?;
    let body = body.trim();
    let (title, details) = body.split_once('\n').unwrap_or((body, ""));
    advisory.summary = title.trim_start_matches('#').trim().to_owned();
    advisory.details = details.trim().to_owned();
    advisory.severities = head
        .cvss
        .iter()
        .map(|v| Rating::of("rustsec", v, None))
        .collect();
    advisory.references = head
        .url
        .into_iter()
        .chain(head.references)
        .map(|url| Reference {
            kind: String::new(),
            url,
        })
        .collect();
    let mut affected = Affected::new(Ecosystem::of(EcosystemKind::CratesIo), head.package);
    affected.ranges = spans(&front.versions.patched, &front.versions.unaffected)?;
    let narrowed = front.affected;
    let words = |what: &str, list: &[String]| {
        (!list.is_empty()).then(|| format!("{what} {}", list.join(", ")))
    };
    affected.conditions.extend(words("on", &narrowed.arch));
    affected.conditions.extend(words("on", &narrowed.os));
    let functions: Vec<String> = narrowed.functions.into_keys().collect();
    affected.conditions.extend(words("uses", &functions));
    affected
        .conditions
        .extend(head.informational.map(|i| format!("informational: {i}")));
    advisory.affected.push(affected);
    Ok(advisory)
}

/// What is neither patched nor unaffected, as spans.
fn spans(patched: &[String], unaffected: &[String]) -> Result<Vec<Span>, FeedError> {
    let mut safe: Vec<(Option<Version>, Option<Version>)> = Vec::new();
    for text in patched.iter().chain(unaffected) {
        let wanted: VersionReq = text
            .parse()
            .map_err(|e| FeedError::new(FORMAT, 0, format!("{text:?}: {e}")))?;
        safe.push(interval(&wanted));
    }
    safe.sort();
    let mut spans = Vec::new();
    let mut from: Option<Version> = None;
    for (low, high) in safe {
        // Versions from the last safe one's end to this one's beginning are affected.
        if let Some(low) = &low
            && from.as_ref().is_none_or(|f| f < low)
        {
            spans.push(Span {
                introduced: from.as_ref().map(Version::to_string),
                end: Some(Bound::Fixed(low.to_string())),
            });
        }
        match high {
            None => return Ok(spans),
            Some(high) if from.as_ref().is_none_or(|f| *f < high) => from = Some(high),
            Some(_) => {}
        }
    }
    spans.push(Span {
        introduced: from.map(|v| v.to_string()),
        end: None,
    });
    Ok(spans)
}

/// A requirement as one interval: from, inclusive, and to, exclusive.
fn interval(wanted: &VersionReq) -> (Option<Version>, Option<Version>) {
    let (mut low, mut high): (Option<Version>, Option<Version>) = (None, None);
    for c in &wanted.comparators {
        let (minor, patch) = (c.minor.unwrap_or(0), c.patch.unwrap_or(0));
        let mut at = Version::new(c.major, minor, patch);
        at.pre = c.pre.clone();
        let next = match (c.minor, c.patch) {
            (None, _) => Version::new(c.major.saturating_add(1), 0, 0),
            (Some(minor), None) => Version::new(c.major, minor.saturating_add(1), 0),
            (Some(_), Some(_)) if !c.pre.is_empty() => Version::new(c.major, minor, patch),
            (Some(minor), Some(patch)) => Version::new(c.major, minor, patch.saturating_add(1)),
        };
        let minor_up = Version::new(c.major, minor.saturating_add(1), 0);
        let major_up = Version::new(c.major.saturating_add(1), 0, 0);
        let (l, h) = match c.op {
            Op::Greater => (Some(next), None),
            Op::GreaterEq => (Some(at), None),
            Op::Less => (None, Some(at)),
            Op::LessEq => (None, Some(next)),
            Op::Tilde if c.minor.is_some() => (Some(at), Some(minor_up)),
            Op::Tilde => (Some(at), Some(major_up)),
            Op::Caret if c.major > 0 || c.minor.is_none() => (Some(at), Some(major_up)),
            Op::Caret if minor > 0 || c.patch.is_none() => (Some(at), Some(minor_up)),
            _ => (Some(at), Some(next)),
        };
        low = low.max(l);
        high = match (high, h) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advisory::Verdict;

    #[test]
    fn an_advisory_with_two_lines_of_fixes() {
        let text = b"```toml\n[advisory]\nid = \"RUSTSEC-2024-0001\"\npackage = \"p\"\ndate = \"2024-01-02\"\naliases = [\"CVE-2024-0001\"]\n\n[versions]\npatched = [\">= 2.3.1\", \"^1.9.2\"]\nunaffected = [\"< 1.2.0\"]\n```\n\n# Title\n\nText\n";
        let a = parse(text).unwrap();
        assert_eq!((a.summary.as_str(), a.details.as_str()), ("Title", "Text"));
        for (version, hit) in [
            ("1.1.0", false),
            ("1.2.0", true),
            ("1.9.1", true),
            ("1.9.2", false),
            ("2.0.0", true),
            ("2.3.1", false),
        ] {
            let verdict = a.affected[0].judge(Some(version));
            assert_eq!(
                matches!(verdict, Verdict::Affected { .. }),
                hit,
                "{version}"
            );
        }
        assert_eq!(spans(&[], &[]).unwrap(), [Span::default()]);
        assert!(parse(b"# no front").is_err());
        assert_eq!(
            parse(b"```toml\n[advisory]\nid = 3\n```\n")
                .unwrap_err()
                .line,
            3
        );
    }
}
