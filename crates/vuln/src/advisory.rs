//! What every feed is made into: who is affected, from which version to which.

use crate::{Rating, Scheme};
use bartizan_model::{Ecosystem, Timestamp};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// One advisory of one feed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Advisory {
    /// Its id in its feed: `CVE-…`, `GHSA-…`, `DSA-…`, `RUSTSEC-…`.
    pub id: String,
    /// The same vulnerability under other names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Vulnerabilities that this advisory is about, where it bundles several (DSA, RHSA, ALSA).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upstream: Vec<String>,
    /// The feed.
    pub source: String,
    /// First published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Timestamp>,
    /// Last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<Timestamp>,
    /// Withdrawn: it matches nothing any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<Timestamp>,
    /// One line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// The whole text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub details: String,
    /// Severities as the feed gives them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub severities: Vec<Rating>,
    /// Weaknesses, `CWE-79`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cwes: Vec<String>,
    /// Where more is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
    /// Which packages in which versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affected: Vec<Affected>,
}

impl Advisory {
    /// An empty advisory of a feed.
    pub fn new(id: impl Into<String>, source: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            aliases: Vec::new(),
            upstream: Vec::new(),
            source: source.into(),
            published: None,
            modified: None,
            withdrawn: None,
            summary: String::new(),
            details: String::new(),
            severities: Vec::new(),
            cwes: Vec::new(),
            references: Vec::new(),
            affected: Vec::new(),
        }
    }

    /// The CVEs it is about, under whichever heading.
    pub fn cves(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.id)
            .chain(&self.aliases)
            .chain(&self.upstream)
            .map(String::as_str)
            .filter(|id| id.starts_with("CVE-"))
    }
}

/// A reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// What it is: `fix`, `advisory`, `exploit`; the feed's own word in lower case.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Its address. Never followed by us.
    pub url: String,
}

/// What the feed decided about a package.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Affected in the versions given.
    #[default]
    Affected,
    /// Looked at and not affected.
    NotAffected,
    /// Affected, and no fix will come.
    WontFix,
    /// Affected, the fix waits for a later point release.
    Postponed,
    /// Affected, of no importance in the eyes of the distribution.
    Unimportant,
    /// Nobody has decided yet.
    UnderInvestigation,
}

/// One package that an advisory speaks about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Affected {
    /// Ecosystem and release.
    pub ecosystem: Ecosystem,
    /// The package's name there; the source package for distributions that say so.
    pub package: String,
    /// Spans of versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<Span>,
    /// Single versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
    /// The order in which the spans are meant.
    pub scheme: Scheme,
    /// What the feed decided.
    #[serde(default)]
    pub state: State,
    /// Severities for this package alone, where the feed has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub severities: Vec<Rating>,
    /// Further conditions in words: platforms, functions, imports, modules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<String>,
}

/// One span of versions; `None` below is the first version there ever was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// From here, inclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introduced: Option<String>,
    /// To there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Bound>,
}

/// Where a span ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// Fixed in this version.
    Fixed(String),
    /// This version is the last that is affected; which one has the fix is not said.
    LastAffected(String),
}

/// Whether a version is affected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Affected {
        /// In which span, in words.
        because: String,
        /// The first version with the fix.
        fixed: Option<String>,
    },
    /// It is not.
    NotAffected {
        /// Why not.
        because: String,
    },
    /// That cannot be said.
    Unknown {
        /// Why not.
        why: String,
    },
}

impl Span {
    /// Everything below a fix.
    pub fn below(fixed: impl Into<String>) -> Self {
        Self {
            introduced: None,
            end: Some(Bound::Fixed(fixed.into())),
        }
    }

    /// Where the version stands; `None` where that cannot be compared.
    fn holds(&self, scheme: Scheme, version: &str) -> Option<bool> {
        if let Some(introduced) = &self.introduced
            && scheme.compare(version, introduced)?.is_lt()
        {
            return Some(false);
        }
        match &self.end {
            None if scheme.reads(version) => Some(true),
            None => None,
            Some(Bound::Fixed(fixed)) => Some(scheme.compare(version, fixed)?.is_lt()),
            Some(Bound::LastAffected(last)) => Some(scheme.compare(version, last)?.is_le()),
        }
    }

    /// In words.
    pub fn words(&self) -> String {
        let from = match &self.introduced {
            None => "all versions".to_owned(),
            Some(v) => format!("from {v}"),
        };
        match &self.end {
            None => format!("{from}, no fix known"),
            Some(Bound::Fixed(v)) => format!("{from}, fixed in {v}"),
            Some(Bound::LastAffected(v)) => format!("{from} to {v}"),
        }
    }
}

impl Affected {
    /// A package with nothing said yet.
    pub fn new(ecosystem: Ecosystem, package: impl Into<String>) -> Self {
        Self {
            scheme: Scheme::of(ecosystem.kind),
            ecosystem,
            package: package.into(),
            ranges: Vec::new(),
            versions: Vec::new(),
            state: State::Affected,
            severities: Vec::new(),
            conditions: Vec::new(),
        }
    }

    /// Versions with a fix, in the order of the spans.
    pub fn fixed(&self) -> impl Iterator<Item = &str> {
        self.ranges.iter().filter_map(|s| match &s.end {
            Some(Bound::Fixed(v)) => Some(v.as_str()),
            _ => None,
        })
    }

    /// Whether that version is affected.
    pub fn judge(&self, version: Option<&str>) -> Verdict {
        if self.state == State::NotAffected {
            return Verdict::NotAffected {
                because: "the feed says that the package is not affected".into(),
            };
        }
        let Some(version) = version else {
            return Verdict::Unknown {
                why: "the component's version is not known".into(),
            };
        };
        let equal =
            |v: &String| v == version || self.scheme.compare(v, version) == Some(Ordering::Equal);
        let mut unknown = None;
        for span in &self.ranges {
            match span.holds(self.scheme, version) {
                Some(true) => {
                    return Verdict::Affected {
                        because: span.words(),
                        fixed: match &span.end {
                            Some(Bound::Fixed(fixed)) => Some(fixed.clone()),
                            _ => None,
                        },
                    };
                }
                Some(false) => {}
                None => unknown = Some(span),
            }
        }
        if self.versions.iter().any(equal) {
            return Verdict::Affected {
                because: format!("{version} is listed"),
                fixed: self.fixed().next().map(str::to_owned),
            };
        }
        if let Some(span) = unknown {
            return Verdict::Unknown {
                why: format!(
                    "{:.80} cannot be compared with \"{}\" in the order {:?}",
                    version,
                    span.words(),
                    self.scheme
                ),
            };
        }
        if self.ranges.is_empty() && self.versions.is_empty() {
            return Verdict::Unknown {
                why: "the advisory names no versions of this package".into(),
            };
        }
        Verdict::NotAffected {
            because: "outside of every span".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn affected(ecosystem: &str, ranges: Vec<Span>) -> Affected {
        let mut a = Affected::new(Ecosystem::parse(ecosystem), "p");
        a.ranges = ranges;
        a
    }

    #[test]
    fn inside_outside_and_neither() {
        let a = affected("Debian:12", vec![Span::below("1.2-3+deb12u1")]);
        assert!(
            matches!(a.judge(Some("1.2-3")), Verdict::Affected { fixed: Some(f), .. } if f == "1.2-3+deb12u1")
        );
        assert!(matches!(
            a.judge(Some("1.2-3+deb12u1")),
            Verdict::NotAffected { .. }
        ));
        assert!(matches!(
            a.judge(Some("not a version")),
            Verdict::Unknown { .. }
        ));
        assert!(matches!(a.judge(None), Verdict::Unknown { .. }));
        assert!(matches!(
            affected("npm", vec![]).judge(Some("1.0.0")),
            Verdict::Unknown { .. }
        ));
        let open = affected("npm", vec![Span::default()]);
        assert!(matches!(
            open.judge(Some("1.0.0")),
            Verdict::Affected { fixed: None, .. }
        ));
        assert!(matches!(
            open.judge(Some("latest")),
            Verdict::Unknown { .. }
        ));
    }
}
