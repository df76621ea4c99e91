//! Ubuntu's CVE tracker, in the two shapes of JSON that vuls keeps of it: `patches` by package and
//! release, or `packages` by release and package. Ubuntu's OSV reads as [`super::osv`].

use super::{FeedError, MAX_RECORD, id, json, moment};
use crate::{Advisory, Affected, Reference, Span, State};
use bartizan_model::{Ecosystem, EcosystemKind};
use serde::Deserialize;
use std::collections::BTreeMap;

const FORMAT: &str = "Ubuntu CVE tracker";

#[derive(Deserialize)]
struct Record {
    #[serde(alias = "Candidate")]
    candidate: String,
    #[serde(default, alias = "Description")]
    description: String,
    #[serde(default, alias = "PublicDate")]
    public_date: String,
    #[serde(default, alias = "References")]
    references: Option<Vec<String>>,
    #[serde(default, alias = "Patches")]
    patches: Option<BTreeMap<String, BTreeMap<String, Patch>>>,
    #[serde(default)]
    packages: Option<BTreeMap<String, BTreeMap<String, Patch>>>,
}

#[derive(Deserialize)]
struct Patch {
    #[serde(default, alias = "Status")]
    status: String,
    #[serde(default, alias = "Note")]
    note: String,
}

/// The number of a release by its codename.
pub fn number(codename: &str) -> Option<&'static str> {
    Some(match codename.split('/').next_back().unwrap_or(codename) {
        "trusty" => "14.04:LTS",
        "xenial" => "16.04:LTS",
        "bionic" => "18.04:LTS",
        "focal" => "20.04:LTS",
        "jammy" => "22.04:LTS",
        "noble" => "24.04:LTS",
        "oracular" => "24.10",
        "plucky" => "25.04",
        "questing" => "25.10",
        _ => return None,
    })
}

/// One record. Releases that are no longer told apart by number are left out.
pub fn parse(bytes: &[u8]) -> Result<Advisory, FeedError> {
    let record: Record = json(FORMAT, bytes, MAX_RECORD)?;
    let mut advisory = Advisory::new(id(FORMAT, &record.candidate)?, "ubuntu-tracker");
    advisory.details = record.description;
    advisory.published = moment(&record.public_date);
    advisory.references = record
        .references
        .into_iter()
        .flatten()
        .map(|url| Reference {
            kind: String::new(),
            url,
        })
        .collect();
    let mut patches = record.patches.unwrap_or_default();
    for (codename, packages) in record.packages.into_iter().flatten() {
        for (package, patch) in packages {
            let releases = patches.entry(package).or_default();
            releases.insert(codename.clone(), patch);
        }
    }
    for (package, releases) in patches {
        for (codename, patch) in releases {
            let Some(release) = number(&codename) else {
                continue;
            };
            let ecosystem = Ecosystem {
                kind: EcosystemKind::Ubuntu,
                release: release.to_owned(),
            };
            let mut affected = Affected::new(ecosystem, package.as_str());
            let version = patch.note.split_whitespace().next().unwrap_or_default();
            let fixed = affected.scheme.reads(version);
            match patch.status.as_str() {
                "released" | "released-esm" if fixed => affected.ranges.push(Span::below(version)),
                "not-affected" | "DNE" => affected.state = State::NotAffected,
                "ignored" => {
                    affected.state = State::WontFix;
                    affected.ranges.push(Span::default());
                }
                "deferred" => {
                    affected.state = State::Postponed;
                    affected.ranges.push(Span::default());
                }
                "needed" | "pending" | "active" | "in-progress" => {
                    affected.ranges.push(Span::default())
                }
                _ => affected.state = State::UnderInvestigation,
            }
            if !patch.note.is_empty() {
                affected.conditions.push(patch.note);
            }
            if codename.contains("esm") {
                affected
                    .conditions
                    .push("fixed for Ubuntu Pro alone".into());
            }
            advisory.affected.push(affected);
        }
    }
    Ok(advisory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_a_release() {
        let text = br#"{"candidate":"CVE-2024-0001","patches":{"xz":{"jammy":{"status":"released","note":"5.2.5-2ubuntu1"},"noble":{"status":"not-affected","note":"(code)"},"focal":{"status":"needs-triage"}}}}"#;
        let a = parse(text).unwrap();
        let states: Vec<_> = a
            .affected
            .iter()
            .map(|x| (x.ecosystem.to_string(), x.state))
            .collect();
        assert_eq!(
            states[0],
            ("Ubuntu:20.04:LTS".into(), State::UnderInvestigation)
        );
        assert_eq!(a.affected[1].fixed().next(), Some("5.2.5-2ubuntu1"));
        assert_eq!(states[2].1, State::NotAffected);
        let other = br#"{"candidate":"CVE-2024-0001","packages":{"jammy":{"xz":{"name":"xz","status":"released","note":"5.2.5-2ubuntu1"}}}}"#;
        let b = parse(other).unwrap();
        assert_eq!(b.affected[0].ecosystem.to_string(), "Ubuntu:22.04:LTS");
        assert_eq!(b.affected[0].fixed().next(), Some("5.2.5-2ubuntu1"));
    }
}
