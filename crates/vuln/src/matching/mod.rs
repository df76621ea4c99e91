//! Components against advisories: who is hit, why, and what would close it.
//!
//! A distribution's word about its package goes before anybody else's about the same
//! vulnerability, because distributions fix old versions (back-ports). One vulnerability is one
//! match a component, under whichever of its names (CVE, GHSA, DSA).

mod index;

pub use index::{AdvisoryIndex, ComponentIndex, Key, keys_of};

use crate::advisory::Verdict;
use crate::feeds::is_id;
use crate::vex::{Vex, VexStatus};
use crate::{Advisory, Affected, State};
use bartizan_model::{Component, EcosystemKind, Purl};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What stands between a component and a vulnerability.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Standing {
    /// Affected.
    Affected,
    /// It cannot be said; never read as "not affected".
    Unknown {
        /// Why not.
        why: String,
    },
    /// Affected by its version, and somebody says that it does not matter here. Shown, not hidden.
    Excused {
        /// Who: the author of a VEX document, or of a waiver.
        by: String,
        /// Why.
        why: String,
    },
}

/// How sure the match is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// By product names alone (CPE): only where asked for.
    Cpe,
    /// By a registry's package and its versions.
    Package,
    /// By the distribution's own word about its own package.
    Distribution,
}

/// One vulnerability of one component.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Match {
    /// The vulnerability: its CVE where it has one.
    pub vulnerability: String,
    /// All its names.
    pub names: Vec<String>,
    /// The advisories that say so, the deciding one first.
    pub advisories: Vec<String>,
    /// What it comes to.
    pub standing: Standing,
    /// What the deciding feed says about a fix.
    pub state: State,
    /// In which span, in words.
    pub because: String,
    /// The first version with the fix.
    pub fixed: Option<String>,
    /// Conditions of the deciding advisory.
    pub conditions: Vec<String>,
    /// How sure.
    pub confidence: Confidence,
}

impl Match {
    /// Its other names.
    pub fn others(&self) -> impl Iterator<Item = &str> {
        let names = self.names.iter().map(String::as_str);
        names.filter(|name| *name != self.vulnerability)
    }
}

/// A waiver of this tenant: a vulnerability, and the package it is accepted for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiver {
    /// The vulnerability, by any of its names.
    pub vulnerability: String,
    /// The package; `None` for all.
    pub package: Option<Purl>,
    /// Who accepted it.
    pub by: String,
    /// Why.
    pub why: String,
}

/// What is said beside the advisories.
#[derive(Debug, Clone, Copy, Default)]
pub struct Said<'a> {
    /// VEX statements. Of two about the same, the later one counts.
    pub vex: &'a [Vex],
    /// Waivers.
    pub waivers: &'a [Waiver],
    /// What the component is part of, for statements about products.
    pub target: Option<&'a Purl>,
}

struct Opinion<'a> {
    advisory: &'a Advisory,
    affected: &'a Affected,
    verdict: Verdict,
    distribution: bool,
}

/// Holds one component against the advisories that name its package.
pub fn component<'a>(
    component: &Component,
    advisories: impl IntoIterator<Item = &'a Advisory>,
    said: Said<'_>,
) -> Vec<Match> {
    let keys: BTreeSet<Key> = index::keys_of(component).into_iter().collect();
    let mut seen = BTreeSet::new();
    let mut opinions = Vec::new();
    for advisory in advisories {
        if advisory.withdrawn.is_some() || !seen.insert((&advisory.source, &advisory.id)) {
            continue;
        }
        for affected in &advisory.affected {
            let key = Key::of(affected.ecosystem.kind, &affected.package);
            if !keys.contains(&key) || !same_release(component, affected) {
                continue;
            }
            opinions.push(Opinion {
                advisory,
                affected,
                verdict: judge(component, affected),
                distribution: affected.ecosystem.kind.is_distribution(),
            });
        }
    }
    let mut matches: Vec<Match> = groups(&opinions)
        .into_iter()
        .filter_map(|(names, group)| decide(component, &names, &group, said))
        .collect();
    matches.sort_by(|a, b| a.vulnerability.cmp(&b.vulnerability));
    matches
}

fn judge(component: &Component, affected: &Affected) -> Verdict {
    let (name, version) = component.source_or_self();
    let binary = component.name();
    // Advisories about the binary package compare with its own version.
    let about_source = index::folded(affected.ecosystem.kind, &affected.package)
        == index::folded(affected.ecosystem.kind, &name);
    let version = if about_source || binary == name {
        version
    } else {
        component.version()
    };
    affected.judge(version.as_deref())
}

/// `12` is `12`, `3.20.1` is of `v3.20`, `9.3` is of `9`; an advisory without a release holds for
/// all. A component whose release is not known is compared with all of them.
fn same_release(component: &Component, affected: &Affected) -> bool {
    if !affected.ecosystem.kind.is_distribution() {
        return true;
    }
    let (have, wanted) = (&component.ecosystem.release, &affected.ecosystem.release);
    if wanted.is_empty() || have.is_empty() {
        return true;
    }
    let plain = |r: &str| -> Vec<String> {
        r.trim_start_matches('v')
            .split([':', '.'])
            .filter(|part| part.bytes().next().is_some_and(|b| b.is_ascii_digit()))
            .map(str::to_owned)
            .collect()
    };
    let (h, w) = (plain(have), plain(wanted));
    if h.is_empty() || w.is_empty() {
        return have == wanted;
    }
    let kind = component.ecosystem.kind;
    let exact = matches!(kind, EcosystemKind::Ubuntu | EcosystemKind::Alpine);
    let shared = h.iter().zip(&w).take_while(|(a, b)| a == b).count();
    shared >= if exact { 2.min(w.len()) } else { 1 }
}

/// The names of a vulnerability and the opinions about it.
type Group<'a, 'b> = (BTreeSet<&'a str>, Vec<&'b Opinion<'a>>);

/// Opinions about one vulnerability, gathered by shared names. An advisory that bundles several
/// (DSA) stands in the group of each.
fn groups<'a, 'b>(opinions: &'b [Opinion<'a>]) -> Vec<Group<'a, 'b>> {
    let mut parent: BTreeMap<&str, &str> = BTreeMap::new();
    fn root<'t>(parent: &BTreeMap<&'t str, &'t str>, mut name: &'t str) -> &'t str {
        while let Some(up) = parent.get(name).filter(|up| **up != name) {
            name = up;
        }
        name
    }
    // What cannot be an id names nothing, least of all a finding.
    let named = |names: &'a [String]| names.iter().map(String::as_str).filter(|n| is_id(n));
    let subjects = |a: &'a Advisory| -> Vec<&'a str> {
        let upstream: Vec<&str> = named(&a.upstream).collect();
        if upstream.is_empty() {
            vec![a.id.as_str()]
        } else {
            upstream
        }
    };
    for opinion in opinions {
        let subjects = subjects(opinion.advisory);
        for subject in &subjects {
            parent.entry(subject).or_insert(subject);
        }
        // Aliases name the same thing only where the advisory is about one thing.
        if let [one] = subjects.as_slice() {
            let own = named(&opinion.advisory.aliases);
            for alias in own.chain([opinion.advisory.id.as_str()]) {
                parent.entry(alias).or_insert(alias);
                let (a, b) = (root(&parent, one), root(&parent, alias));
                parent.insert(b, a);
            }
        }
    }
    let mut groups: BTreeMap<&str, Group<'_, '_>> = BTreeMap::new();
    let names: Vec<&str> = parent.keys().copied().collect();
    for name in names {
        groups
            .entry(root(&parent, name))
            .or_default()
            .0
            .insert(name);
    }
    for opinion in opinions {
        let mut roots = BTreeSet::new();
        for subject in subjects(opinion.advisory) {
            roots.insert(root(&parent, subject));
        }
        for root in roots {
            groups.entry(root).or_default().1.push(opinion);
        }
    }
    groups
        .into_values()
        .filter(|(_, o)| !o.is_empty())
        .collect()
}

fn decide(
    component: &Component,
    names: &BTreeSet<&str>,
    group: &[&Opinion<'_>],
    said: Said<'_>,
) -> Option<Match> {
    let weight = |v: &Verdict| match v {
        Verdict::Affected { .. } => 0,
        Verdict::Unknown { .. } => 1,
        Verdict::NotAffected { .. } => 2,
    };
    // A distribution that has spoken about its package is heard alone.
    let distribution = group.iter().any(|o| o.distribution);
    let heard = || group.iter().filter(move |o| o.distribution == distribution);
    // Its word for one CVE, "not affected" in the tracker, outweighs a bundle's span.
    let no = |o: &Opinion<'_>| matches!(o.verdict, Verdict::NotAffected { .. });
    // Without the component's release only what holds for all of them holds for it.
    let adrift = distribution && component.ecosystem.release.is_empty();
    let torn = adrift && heard().any(|o| no(o)) && !heard().all(|o| no(o));
    let refused = !torn && heard().any(|o| o.affected.state == State::NotAffected);
    let first = heard()
        .filter(|o| !refused || o.affected.state == State::NotAffected)
        .min_by_key(|o| (weight(&o.verdict), &o.advisory.id))?;
    let (standing, because, fixed) = match &first.verdict {
        Verdict::NotAffected { .. } => return None,
        Verdict::Unknown { why } => (Standing::Unknown { why: why.clone() }, why.clone(), None),
        Verdict::Affected { .. } if torn => {
            let why = "the release of the component's distribution is not known".to_owned();
            (Standing::Unknown { why: why.clone() }, why, None)
        }
        Verdict::Affected { because, fixed } => {
            let fixed = fixed.clone().or_else(|| {
                heard().find_map(|o| match &o.verdict {
                    Verdict::Affected { fixed, .. } => fixed.clone(),
                    _ => None,
                })
            });
            (Standing::Affected, because.clone(), fixed)
        }
    };
    let vulnerability = names
        .iter()
        .find(|n| n.starts_with("CVE-"))
        .or_else(|| names.iter().next())?;
    let mut advisories = vec![first.advisory.id.clone()];
    for opinion in heard() {
        if !advisories.contains(&opinion.advisory.id) {
            advisories.push(opinion.advisory.id.clone());
        }
    }
    let standing = excused(component, names, said).unwrap_or(standing);
    Some(Match {
        vulnerability: (*vulnerability).to_owned(),
        names: names.iter().map(|n| (*n).to_owned()).collect(),
        advisories,
        standing,
        state: first.affected.state,
        because,
        fixed,
        conditions: first.affected.conditions.clone(),
        confidence: if distribution {
            Confidence::Distribution
        } else {
            Confidence::Package
        },
    })
}

fn excused(component: &Component, names: &BTreeSet<&str>, said: Said<'_>) -> Option<Standing> {
    let statement = said
        .vex
        .iter()
        .filter(|v| names.iter().any(|n| v.about(n)) && v.covers(&component.purl, said.target))
        .max_by_key(|v| v.at);
    if let Some(vex) = statement
        && matches!(vex.status, VexStatus::NotAffected | VexStatus::Fixed)
    {
        let why = vex.justification.clone().or_else(|| vex.impact.clone());
        return Some(Standing::Excused {
            by: vex.author.clone(),
            why: why.unwrap_or_else(|| format!("{:?}", vex.status)),
        });
    }
    let waiver = said.waivers.iter().find(|w| {
        names.contains(w.vulnerability.as_str())
            && w.package
                .as_ref()
                .is_none_or(|p| p.package() == component.purl.package())
    })?;
    Some(Standing::Excused {
        by: waiver.by.clone(),
        why: waiver.why.clone(),
    })
}

#[cfg(test)]
mod tests;
