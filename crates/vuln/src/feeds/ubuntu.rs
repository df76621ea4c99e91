//! Ubuntu's CVE tracker, in the two shapes of JSON that vuls keeps of it: `patches` by package and
//! release, or `packages` by release and package. Ubuntu's OSV reads as [`super::osv`].

use super::{FeedError, MAX_RECORD, id, json, moment};
use crate::{Advisory, Affected, Reference, Scheme, Span, State};
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
fn number(codename: &str) -> Option<&'static str> {
    Some(match codename {
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

/// The release that is spoken of, and whether of what Ubuntu Pro alone has: `bionic`,
/// `esm-infra/bionic`, `trusty/esm`. Others (`fips/bionic`, `ros-esm/xenial`) are archives of their
/// own with packages of their own: their word says nothing of the release's.
fn place(codename: &str) -> Option<(&'static str, bool)> {
    match codename.split_once('/') {
        None => Some((number(codename)?, false)),
        Some((release, "esm")) => Some((number(release)?, true)),
        Some(("esm-infra" | "esm-infra-legacy" | "esm-apps", release)) => {
            Some((number(release)?, true))
        }
        Some(_) => None,
    }
}

/// What is said of a package in a release: there, and in what Ubuntu Pro has for it.
#[derive(Default)]
struct Word {
    plain: Option<Patch>,
    pro: Option<Patch>,
}

impl Word {
    fn add(&mut self, patch: Patch, pro: bool) {
        let place = if pro { &mut self.pro } else { &mut self.plain };
        // A package stands in one of Pro's archives, the others say that it does not exist.
        if place.as_ref().is_none_or(|before| before.status == "DNE") {
            *place = Some(patch);
        }
    }

    /// The word that counts, and whether it is Pro's. Pro repeats the release's fix as
    /// "not-affected", and goes on where the release has ended or does not fix.
    fn counts(self) -> Option<(Patch, bool)> {
        let (Some(plain), Some(pro)) = (&self.plain, &self.pro) else {
            let of_pro = self.plain.is_none();
            return Some((self.plain.or(self.pro)?, of_pro));
        };
        let of_pro = match plain.status.as_str() {
            "released" | "not-affected" => false,
            "DNE" | "ignored" => pro.status != "DNE",
            _ => pro.version().is_some(),
        };
        Some((if of_pro { self.pro } else { self.plain }?, of_pro))
    }
}

impl Patch {
    /// The version with the fix: of "not-affected" the one that had it already.
    fn version(&self) -> Option<&str> {
        let decided = matches!(
            self.status.as_str(),
            "released" | "released-esm" | "not-affected"
        );
        let version = self.note.split_whitespace().next()?;
        let begins = version.starts_with(|c: char| c.is_ascii_digit());
        (decided && begins && Scheme::Dpkg.reads(version)).then_some(version)
    }
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
        let mut words: BTreeMap<&str, Word> = BTreeMap::new();
        for (codename, patch) in releases {
            if let Some((release, pro)) = place(&codename) {
                words.entry(release).or_default().add(patch, pro);
            }
        }
        for (release, word) in words {
            if let Some((patch, pro)) = word.counts() {
                advisory
                    .affected
                    .push(affected(&package, release, &patch, pro));
            }
        }
    }
    Ok(advisory)
}

fn affected(package: &str, release: &str, patch: &Patch, pro: bool) -> Affected {
    let ecosystem = Ecosystem {
        kind: EcosystemKind::Ubuntu,
        release: release.to_owned(),
    };
    let mut affected = Affected::new(ecosystem, package);
    let version = patch.version();
    match (patch.status.as_str(), version) {
        ("released" | "released-esm", Some(version)) => affected.ranges.push(Span::below(version)),
        ("not-affected", Some(version)) if pro => affected.ranges.push(Span::below(version)),
        ("not-affected" | "DNE", _) => affected.state = State::NotAffected,
        ("ignored", _) => {
            affected.state = State::WontFix;
            affected.ranges.push(Span::default());
        }
        ("deferred", _) => {
            affected.state = State::Postponed;
            affected.ranges.push(Span::default());
        }
        ("needed" | "pending" | "active" | "in-progress", _) => {
            affected.ranges.push(Span::default())
        }
        _ => affected.state = State::UnderInvestigation,
    }
    if !patch.note.is_empty() {
        affected.conditions.push(patch.note.clone());
    }
    if pro && version.is_some() {
        affected
            .conditions
            .push("fixed for Ubuntu Pro alone".into());
    }
    affected
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advisory::Verdict;

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

    #[test]
    fn what_pro_repeats_is_no_word_of_its_own() {
        let text = br#"{"candidate":"CVE-2024-0001","packages":{
            "bionic":{"perl":{"status":"released","note":"5.26.1-6ubuntu0.6"},"old":{"status":"ignored","note":"end of standard support, was needed"},"none":{"status":"DNE"}},
            "esm-infra/bionic":{"perl":{"status":"not-affected","note":"5.26.1-6ubuntu0.6"},"old":{"status":"released","note":"1.0-1ubuntu0.1~esm2"}},
            "esm-apps/bionic":{"old":{"status":"DNE"}},
            "fips/bionic":{"perl":{"status":"not-affected"},"none":{"status":"needed"}},
            "focal":{"perl":{"status":"needed"}},
            "esm-apps/focal":{"perl":{"status":"released","note":"5.30.0-9ubuntu0.2+esm1"}},
            "trusty/esm":{"perl":{"status":"not-affected","note":"code not present"},"old":{"status":"not-affected","note":"0.9-1ubuntu1+esm1"}}}}"#;
        let advisory = parse(text).unwrap();
        let said: Vec<_> = advisory
            .affected
            .iter()
            .map(|a| {
                (
                    a.package.as_str(),
                    a.ecosystem.release.as_str(),
                    a.state,
                    a.fixed().next(),
                    a.conditions.iter().any(|c| c.contains("Pro")),
                )
            })
            .collect();
        use State::{Affected, NotAffected};
        assert_eq!(
            said,
            [
                ("none", "18.04:LTS", NotAffected, None, false),
                (
                    "old",
                    "14.04:LTS",
                    Affected,
                    Some("0.9-1ubuntu1+esm1"),
                    true
                ),
                (
                    "old",
                    "18.04:LTS",
                    Affected,
                    Some("1.0-1ubuntu0.1~esm2"),
                    true
                ),
                ("perl", "14.04:LTS", NotAffected, None, false),
                (
                    "perl",
                    "18.04:LTS",
                    Affected,
                    Some("5.26.1-6ubuntu0.6"),
                    false
                ),
                (
                    "perl",
                    "20.04:LTS",
                    Affected,
                    Some("5.30.0-9ubuntu0.2+esm1"),
                    true
                ),
            ]
        );
        let focal = &advisory.affected[5];
        assert!(matches!(
            focal.judge(Some("5.30.0-9ubuntu0.2")),
            Verdict::Affected { .. }
        ));
        assert!(matches!(
            focal.judge(Some("5.30.0-9ubuntu0.2+esm1")),
            Verdict::NotAffected { .. }
        ));
    }
}
