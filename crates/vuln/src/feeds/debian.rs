//! Debian's security tracker: one JSON of source packages, CVEs and releases.

use super::{FeedError, MAX_BYTES, json};
use crate::{Advisory, Affected, Span, State};
use bartizan_model::{Ecosystem, EcosystemKind};
use serde::Deserialize;
use std::collections::BTreeMap;

const FORMAT: &str = "Debian security tracker";

#[derive(Deserialize)]
struct Issue {
    #[serde(default)]
    description: String,
    #[serde(default)]
    releases: BTreeMap<String, Release>,
}

#[derive(Deserialize)]
struct Release {
    status: String,
    fixed_version: Option<String>,
    #[serde(default)]
    urgency: String,
    nodsa: Option<String>,
    nodsa_reason: Option<String>,
}

/// The number of a release; `sid` and what is not known keep their names.
pub fn number(codename: &str) -> &str {
    match codename {
        "wheezy" => "7",
        "jessie" => "8",
        "stretch" => "9",
        "buster" => "10",
        "bullseye" => "11",
        "bookworm" => "12",
        "trixie" => "13",
        "forky" => "14",
        "duke" => "15",
        other => other,
    }
}

/// The whole file, gathered by CVE.
pub fn parse(bytes: &[u8]) -> Result<Vec<Advisory>, FeedError> {
    type File = BTreeMap<String, BTreeMap<String, Issue>>;
    let file: File = json(FORMAT, bytes, MAX_BYTES)?;
    let mut found: BTreeMap<String, Advisory> = BTreeMap::new();
    for (package, issues) in file {
        for (id, issue) in issues {
            let advisory = found
                .entry(id)
                .or_insert_with_key(|id| Advisory::new(id.as_str(), "debian-tracker"));
            if advisory.details.is_empty() {
                advisory.details = issue.description;
            }
            for (codename, release) in issue.releases {
                let ecosystem = Ecosystem {
                    kind: EcosystemKind::Debian,
                    release: number(&codename).to_owned(),
                };
                advisory
                    .affected
                    .push(affected(ecosystem, &package, release));
            }
        }
    }
    Ok(found.into_values().collect())
}

fn affected(ecosystem: Ecosystem, package: &str, release: Release) -> Affected {
    let mut affected = Affected::new(ecosystem, package);
    match (release.status.as_str(), release.fixed_version) {
        // The tracker writes 0 for a release that never had the flaw.
        ("resolved", Some(fixed)) if fixed == "0" => affected.state = State::NotAffected,
        ("resolved", Some(fixed)) => affected.ranges.push(Span::below(fixed)),
        ("open", _) => affected.ranges.push(Span::default()),
        _ => affected.state = State::UnderInvestigation,
    }
    if affected.state == State::Affected {
        affected.state = match (release.urgency.as_str(), release.nodsa_reason.as_deref()) {
            ("unimportant", _) => State::Unimportant,
            (_, Some("ignored")) => State::WontFix,
            (_, Some("postponed")) => State::Postponed,
            ("end-of-life", _) => State::WontFix,
            _ => State::Affected,
        };
    }
    affected.conditions.extend(release.nodsa);
    affected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_a_release() {
        let text = br#"{"xz":{"CVE-2024-0001":{"description":"d","releases":{
            "bookworm":{"status":"resolved","fixed_version":"0","urgency":"not yet assigned"},
            "sid":{"status":"resolved","fixed_version":"5.6.1+really5.4.5-1","urgency":"high"},
            "bullseye":{"status":"open","urgency":"low","nodsa":"Minor issue","nodsa_reason":"postponed"},
            "trixie":{"status":"undetermined","urgency":"low"}}}}}"#;
        let a = &parse(text).unwrap()[0];
        let states: Vec<_> = a
            .affected
            .iter()
            .map(|x| (x.ecosystem.release.as_str(), x.state))
            .collect();
        assert_eq!(
            states,
            [
                ("12", State::NotAffected),
                ("11", State::Postponed),
                ("sid", State::Affected),
                ("13", State::UnderInvestigation)
            ]
        );
    }
}
