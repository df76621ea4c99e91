//! Components against the advisories that are stored, with what is known of each vulnerability.

use crate::vulnerabilities::record;
use crate::vulnerabilities::rows::score;
use bartizan_model::{Component, EcosystemKind, Severity};
use bartizan_store::components::ComponentRow;
use bartizan_store::vulnerabilities::RecordKind;
use bartizan_store::{Store, StoreError};
use bartizan_vuln::feeds::cve::is_cve;
use bartizan_vuln::matching::{self, AdvisoryIndex, Confidence, Match, Said, Standing};
use bartizan_vuln::priority::{self, Facts, Priority};
use bartizan_vuln::vex::Vex;
use bartizan_vuln::{Advisory, Rating, Record, State, Tenths};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Packages whose advisories are held at once.
const PACKAGES: usize = 500;
/// References that are kept of a match.
const REFERENCES: usize = 5;

/// A match with what decides its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// What is said.
    #[serde(flatten)]
    pub matched: Match,
    /// The vulnerability in one line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// How bad.
    pub severity: Severity,
    /// The score that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Tenths>,
    /// When to do something, and why.
    pub priority: Priority,
    /// Where more is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
}

/// The names under which advisories may speak of a component, for the store.
pub fn keys(component: &Component) -> Vec<(String, String)> {
    matching::keys_of(component)
        .iter()
        .map(|key| (key.kind().as_str().to_owned(), key.name().to_owned()))
        .collect()
}

/// Components as the store takes them.
pub fn rows(components: impl IntoIterator<Item = Component>) -> Vec<ComponentRow> {
    components
        .into_iter()
        .map(super::words::component)
        .map(|component| ComponentRow {
            keys: keys(&component),
            component,
        })
        .collect()
}

/// What advisories say of components, in their order.
pub async fn judge(store: &Store, components: &[Component]) -> Result<Vec<Vec<Kept>>, StoreError> {
    let mut by_keys: Vec<usize> = (0..components.len()).collect();
    // Neighbours share packages, so that each package's advisories are read once.
    let names: Vec<Vec<(String, String)>> = components.iter().map(keys).collect();
    by_keys.sort_by(|a, b| names.get(*a).cmp(&names.get(*b)));
    let mut out: Vec<Vec<Kept>> = vec![Vec::new(); components.len()];
    for some in by_keys.chunks(PACKAGES) {
        let wanted: Vec<&Component> = some.iter().filter_map(|i| components.get(*i)).collect();
        let judged = some_of(store, &wanted).await?;
        for (place, kept) in some.iter().zip(judged) {
            if let Some(slot) = out.get_mut(*place) {
                *slot = kept;
            }
        }
    }
    Ok(out)
}

/// Ecosystems of which there are components and no advisory is held, with how many: these were held
/// against nothing, which is not the same as not affected.
pub async fn uncovered(
    store: &Store,
    components: &[Component],
) -> Result<BTreeMap<String, usize>, StoreError> {
    let mut counts: BTreeMap<(EcosystemKind, String), usize> = BTreeMap::new();
    for component in components {
        let ecosystem = &component.ecosystem;
        let shown = match ecosystem.kind {
            EcosystemKind::Other if !ecosystem.release.is_empty() => ecosystem.release.clone(),
            kind => kind.as_str().to_owned(),
        };
        *counts.entry((ecosystem.kind, shown)).or_default() += 1;
    }
    let known = store.vulnerabilities();
    let mut missing = BTreeMap::new();
    for ((kind, shown), count) in counts {
        if !known.speaks_of(kind.as_str()).await? {
            missing.insert(shown, count);
        }
    }
    Ok(missing)
}

async fn some_of(store: &Store, components: &[&Component]) -> Result<Vec<Vec<Kept>>, StoreError> {
    let known = store.vulnerabilities();
    let packages: BTreeSet<(String, String)> = components.iter().flat_map(|c| keys(c)).collect();
    let packages: Vec<(&str, &str)> = packages
        .iter()
        .map(|(ecosystem, name)| (ecosystem.as_str(), name.as_str()))
        .collect();
    let mut advisories: Vec<Advisory> = Vec::new();
    let mut unreadable = Vec::new();
    for stored in &known.advisories_for(&packages).await? {
        match record(stored) {
            Ok(Some(Record::Advisory(advisory))) => advisories.push(*advisory),
            Ok(_) => {}
            Err(error) => unreadable.push((stored.key.clone(), error.to_string())),
        }
    }
    if advisories.is_empty() && unreadable.is_empty() {
        return Ok(vec![Vec::new(); components.len()]);
    }
    let mut index = AdvisoryIndex::default();
    for (number, advisory) in (0..).zip(&advisories) {
        index.add(number, advisory);
    }
    let against = |component: &Component, vex: &[Vex]| {
        let numbers = index.of(component);
        let named = numbers.iter().filter_map(|n| advisories.get(*n as usize));
        let said = Said {
            vex,
            ..Said::default()
        };
        matching::component(component, named, said)
    };
    let mut matches: Vec<Vec<Match>> = components.iter().map(|c| against(c, &[])).collect();
    let names: BTreeSet<String> = matches
        .iter()
        .flatten()
        .flat_map(|m| m.names.iter().cloned())
        .collect();
    let names: Vec<String> = names.into_iter().collect();
    let vex = statements(store, &names).await?;
    if !vex.is_empty() {
        matches = components.iter().map(|c| against(c, &vex)).collect();
    }
    for (key, why) in unreadable {
        // Whom it would hit is not known, but of which packages it speaks is.
        let named = known.packages_of(std::slice::from_ref(&key)).await?;
        for (component, matches) in components.iter().zip(&mut matches) {
            if keys(component).iter().any(|k| named.contains(k)) {
                matches.push(unknown(&key, &why));
            }
        }
    }
    let facts = Known::of(store, &names, &advisories).await?;
    Ok(matches
        .into_iter()
        .map(|some| some.into_iter().map(|m| facts.kept(m)).collect())
        .collect())
}

/// What suppliers say of these vulnerabilities, by whichever of their names: an advisory of a
/// distribution knows the CVE alone, and the supplier may speak of the GHSA.
async fn statements(store: &Store, names: &[String]) -> Result<Vec<Vex>, StoreError> {
    let known = store.vulnerabilities();
    if names.is_empty() || known.count(RecordKind::Vex).await? == 0 {
        return Ok(Vec::new());
    }
    let groups = known.named_together(names).await?;
    let all: Vec<String> = groups.iter().flatten().cloned().collect();
    let mut vex = Vec::new();
    for stored in &known.vex_of(&all).await? {
        // A statement that cannot be read excuses nothing.
        if let Ok(Some(Record::Vex(mut one))) = record(stored) {
            for group in &groups {
                if group.iter().any(|name| one.about(name)) {
                    one.vulnerability.extend(group.iter().cloned());
                }
            }
            vex.push(*one);
        }
    }
    Ok(vex)
}

/// A match of an advisory that cannot be read.
fn unknown(key: &str, why: &str) -> Match {
    let id = key.rsplit('/').next().unwrap_or(key).to_owned();
    Match {
        vulnerability: id.clone(),
        names: vec![id.clone()],
        advisories: vec![id],
        standing: Standing::Unknown {
            why: why.to_owned(),
        },
        state: State::UnderInvestigation,
        because: why.to_owned(),
        fixed: None,
        conditions: Vec::new(),
        confidence: Confidence::Package,
    }
}

/// What is known of vulnerabilities beside the advisories' spans.
#[derive(Default)]
struct Known<'a> {
    facts: HashMap<String, Facts>,
    titles: HashMap<String, String>,
    advisories: BTreeMap<&'a str, &'a Advisory>,
}

fn highest<'a>(ratings: impl IntoIterator<Item = &'a Rating>) -> Option<Tenths> {
    score(ratings).map(Tenths)
}

impl<'a> Known<'a> {
    async fn of(
        store: &Store,
        names: &[String],
        advisories: &'a [Advisory],
    ) -> Result<Self, StoreError> {
        let cves: Vec<String> = names.iter().filter(|name| is_cve(name)).cloned().collect();
        let keys: Vec<String> = cves
            .iter()
            .flat_map(|cve| [format!("cve/{cve}"), format!("kev/{cve}")])
            .collect();
        let mut known = Self {
            advisories: advisories.iter().map(|a| (a.id.as_str(), a)).collect(),
            ..Self::default()
        };
        let reference = store.vulnerabilities();
        for stored in &reference.records(&keys).await? {
            // What cannot be read rates nothing.
            match record(stored).ok().flatten() {
                Some(Record::Cve(cve)) => {
                    let facts = known.facts.entry(cve.id.clone()).or_default();
                    facts.score = highest(&cve.ratings).max(facts.score);
                    facts.kev |= cve.kev.is_some();
                    if let Some(ssvc) = &cve.ssvc {
                        facts.exploitation = Some(ssvc.exploitation.clone());
                        facts.automatable = Some(ssvc.automatable.clone());
                        facts.technical_impact = Some(ssvc.technical_impact.clone());
                    }
                    known.titles.insert(cve.id.clone(), cve.title.clone());
                }
                Some(Record::Kev(entry)) => {
                    let facts = known.facts.entry(entry.cve.clone()).or_default();
                    facts.kev = true;
                    facts.ransomware |= entry
                        .known_ransomware_campaign_use
                        .eq_ignore_ascii_case("known");
                }
                _ => {}
            }
        }
        for row in reference.epss(&cves).await? {
            known.facts.entry(row.cve).or_default().epss = Some(row.score);
        }
        Ok(known)
    }

    fn kept(&self, matched: Match) -> Kept {
        let mut facts = Facts::default();
        for known in matched.names.iter().filter_map(|n| self.facts.get(n)) {
            facts.score = facts.score.max(known.score);
            facts.epss = match (facts.epss, known.epss) {
                (Some(a), Some(b)) => Some(a.max(b)),
                (a, b) => a.or(b),
            };
            facts.kev |= known.kev;
            facts.ransomware |= known.ransomware;
            let or = |a: &mut Option<String>, b: &Option<String>| {
                if a.is_none() {
                    a.clone_from(b);
                }
            };
            or(&mut facts.exploitation, &known.exploitation);
            or(&mut facts.automatable, &known.automatable);
            or(&mut facts.technical_impact, &known.technical_impact);
        }
        let told: Vec<&Advisory> = matched
            .advisories
            .iter()
            .filter_map(|id| self.advisories.get(id.as_str()).copied())
            .collect();
        if facts.score.is_none() {
            let of_packages = |a: &'a Advisory| a.affected.iter().flat_map(|p| &p.severities);
            facts.score = told
                .iter()
                .copied()
                .filter_map(|a| highest(a.severities.iter().chain(of_packages(a))))
                .max();
        }
        facts.fixed.clone_from(&matched.fixed);
        facts.state = matched.state;
        let title = matched
            .names
            .iter()
            .filter_map(|name| self.titles.get(name).map(String::as_str))
            .chain(told.iter().map(|a| a.summary.as_str()))
            .find(|title| !title.trim().is_empty())
            .map(|title| title.chars().take(300).collect())
            .or_else(|| told.iter().find_map(|a| first_sentence(&a.details)))
            .unwrap_or_default();
        let references = told.iter().flat_map(|a| &a.references);
        Kept {
            title,
            severity: severity(&facts),
            score: facts.score,
            priority: priority::judge(&facts),
            references: references
                .map(|r| r.url.clone())
                .filter(|url| url.starts_with("https://") && url.len() < 500)
                .filter(|url| !url.chars().any(char::is_control))
                .take(REFERENCES)
                .collect(),
            matched,
        }
    }
}

/// CVSS' words; what nobody rated counts as medium, because unrated is not harmless.
fn severity(facts: &Facts) -> Severity {
    let severity = match facts.score.map(|s| s.0) {
        None => Severity::Medium,
        Some(0) => Severity::Info,
        Some(..40) => Severity::Low,
        Some(..70) => Severity::Medium,
        Some(..90) => Severity::High,
        Some(_) => Severity::Critical,
    };
    // Whoever makes the package knows how it is built and used.
    if facts.unimportant() {
        severity.min(Severity::Low)
    } else {
        severity
    }
}

/// What an advisory without a title is about: its first sentence, cut where that is long.
fn first_sentence(details: &str) -> Option<String> {
    const LONG: usize = 120;
    let line = details.lines().map(str::trim).find(|l| !l.is_empty())?;
    let sentence = line.split_inclusive(". ").next().unwrap_or(line);
    let sentence = sentence.trim_end().trim_end_matches('.');
    if sentence.chars().count() <= LONG {
        return Some(sentence.to_owned());
    }
    let cut: String = sentence.chars().take(LONG).collect();
    let whole = cut
        .rsplit_once(' ')
        .map_or(cut.as_str(), |(words, _)| words);
    Some(format!("{whole} …"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unimportant_problem_is_low_unless_it_is_exploited() {
        let mut facts = Facts {
            score: Some(Tenths(98)),
            state: State::Unimportant,
            ..Facts::default()
        };
        assert_eq!(severity(&facts), Severity::Low);
        facts.kev = true;
        assert_eq!(severity(&facts), Severity::Critical);
    }

    #[test]
    fn the_first_sentence_stands_for_a_title() {
        let sentence = |text: &str| first_sentence(text).unwrap_or_default();
        assert_eq!(sentence("\n A flaw in 1.2. It is bad."), "A flaw in 1.2");
        assert_eq!(sentence(" \n"), "");
        let long = sentence(&"word ".repeat(50));
        assert!(
            long.ends_with("word …") && long.chars().count() <= 122,
            "{long}"
        );
    }
}
