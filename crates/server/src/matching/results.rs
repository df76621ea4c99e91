//! Matches in the words of a report: a check a vulnerability, a place a package.

use super::Kept;
use bartizan_model::text::plain;
use bartizan_model::{
    AssetUid, Check, CheckResult, CheckUid, Component, Digest, Evidence, FindingKey, Found,
    IdError, Outcome, Severity, Suppression, TenantId,
};
use bartizan_vuln::matching::Standing;
use std::collections::{BTreeMap, BTreeSet};

/// Places of one finding that are shown.
const PLACES: usize = 20;
/// The longest text of a report.
const LONG: usize = 1_000;
/// The longest place.
const LOCUS: usize = 800;
/// The check that says whether an inventory is whole.
pub const WHOLE: &str = "vuln/inventory/whole";

/// The check that says whether anything is held against all of an inventory.
pub const COVERED: &str = "vuln/inventory/covered";

/// A component of an asset with what is said of it.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// The component.
    pub component: &'a Component,
    /// Where the asset has it.
    pub found: &'a [Found],
    /// What is said.
    pub kept: &'a Kept,
}

/// The check of a vulnerability.
pub fn check_uid(vulnerability: &str) -> Result<CheckUid, IdError> {
    CheckUid::of("vuln", "advisory", vulnerability)
}

/// A vulnerability as a check.
pub fn check(kept: &Kept) -> Result<Check, IdError> {
    let matched = &kept.matched;
    let title = match kept.title.trim() {
        "" => matched.vulnerability.clone(),
        title => format!("{}: {title}", matched.vulnerability),
    };
    let others: Vec<&str> = matched.others().collect();
    let description = match others.as_slice() {
        [] => String::new(),
        others => format!("Also known as {}.", others.join(", ")),
    };
    Ok(Check {
        uid: check_uid(&matched.vulnerability)?,
        title: plain(&title, LONG),
        description: plain(&description, LONG),
        severity: kept.severity,
        remediation: "Upgrade each package to the version that its finding names, and take the \
                      inventory again."
            .to_owned(),
        references: kept.references.clone(),
    })
}

/// The place of a component's findings: its package in all versions, so that an upgrade answers
/// for what it replaces.
///
/// One that is too long for an index is cut, and what was cut is in its digest.
pub fn locus(component: &Component) -> String {
    let whole = component.purl.package().to_string();
    if whole.len() <= LOCUS {
        return whole;
    }
    let digest = Digest::of(whole.as_bytes());
    let digest = digest.as_str().trim_start_matches("sha256:");
    let (cut, digest) = (whole.get(..LOCUS - 17), digest.get(..16));
    format!("{}~{}", cut.unwrap_or_default(), digest.unwrap_or_default())
}

/// How much a standing weighs: affected before unknown before excused.
pub(crate) fn weight(standing: &Standing) -> u8 {
    match standing {
        Standing::Affected => 2,
        Standing::Unknown { .. } => 1,
        Standing::Excused { .. } => 0,
    }
}

/// The finding that a vulnerability of a component makes on an asset.
pub fn key(
    tenant: &TenantId,
    vulnerability: &str,
    asset: &AssetUid,
    component: &Component,
) -> Result<FindingKey, IdError> {
    let check = check_uid(vulnerability)?;
    Ok(FindingKey::of(tenant, &check, asset, &locus(component)))
}

/// What one vulnerability comes to at one place of an asset. None of nothing.
pub fn result(asset: &AssetUid, all: &[Said<'_>]) -> Result<Option<CheckResult>, IdError> {
    let worst = |s: &&Said<'_>| weight(&s.kept.matched.standing);
    let Some(first) = all.iter().max_by_key(worst) else {
        return Ok(None);
    };
    let matched = &first.kept.matched;
    let (outcome, suppression) = match &matched.standing {
        Standing::Affected => (Outcome::Fail, None),
        Standing::Unknown { why } => (
            Outcome::Unknown {
                why: plain(why, LONG),
            },
            None,
        ),
        Standing::Excused { by, why } => (
            Outcome::Fail,
            Some(Suppression {
                by: plain(by, LONG),
                reason: plain(why, LONG),
            }),
        ),
    };
    let name = first.component.name();
    let version = first.component.version();
    let version = version.as_deref().unwrap_or("of an unknown version");
    let message = match &matched.standing {
        Standing::Unknown { why } => format!("{name} {version}: {why}"),
        _ => format!("{name} {version} {}", affected(first.kept)),
    };
    let mut evidence = BTreeMap::new();
    for said in all {
        let purl = said.component.purl.to_string();
        let fixed = said.kept.matched.fixed.as_deref().map(|f| plain(f, LONG));
        let nowhere = said.found.is_empty().then_some("inventory");
        let paths = said.found.iter().map(|f| f.path.as_str()).chain(nowhere);
        for path in paths.take(PLACES) {
            evidence.insert((plain(path, LONG), plain(&purl, LONG)), fixed.clone());
        }
    }
    let severity = all.iter().map(|s| s.kept.severity).max();
    Ok(Some(CheckResult {
        check: check_uid(&matched.vulnerability)?,
        asset: asset.clone(),
        locus: locus(first.component),
        outcome,
        message: plain(&message, LONG),
        severity,
        evidence: evidence
            .into_iter()
            .take(PLACES)
            .map(|((path, purl), fixed)| Evidence {
                path,
                actual: Some(purl),
                expected: fixed,
            })
            .collect(),
        location: None,
        suppression,
    }))
}

/// What is wrong, what closes it, and when to do it, each once.
fn affected(kept: &Kept) -> String {
    let matched = &kept.matched;
    // The last reason is about the fix.
    let (fix, reasons) = match kept.priority.reasons.split_last() {
        Some((fix, reasons)) => (fix.as_str(), reasons),
        None => ("no fix is known", [].as_slice()),
    };
    let mut text = match &matched.fixed {
        Some(fixed) => format!("is affected; upgrade it to {fixed}"),
        None if matched.because.starts_with("all versions") => format!("is affected; {fix}"),
        None => format!("is affected ({}); {fix}", matched.because),
    };
    if !reasons.is_empty() {
        text.push_str(". ");
        text.push_str(level(&kept.priority));
        text.push_str(": ");
        let reasons: Vec<&str> = reasons.iter().take(4).map(String::as_str).collect();
        text.push_str(&reasons.join("; "));
    }
    text
}

/// When to do something, in words.
pub fn level(priority: &bartizan_vuln::priority::Priority) -> &'static str {
    use bartizan_vuln::priority::Level;
    match priority.level {
        Level::Act => "Act now",
        Level::Attend => "Sooner than the regular update",
        Level::TrackClosely => "Watch it closely",
        Level::Track => "With the regular update",
    }
}

/// All of one asset's: the checks, and the results in the order of their priority.
pub fn of_asset(
    asset: &AssetUid,
    components: &[Component],
    kept: &[Vec<Kept>],
) -> Result<(Vec<Check>, Vec<CheckResult>), IdError> {
    let mut grouped: BTreeMap<(&str, String), Vec<Said<'_>>> = BTreeMap::new();
    for (component, kept) in components.iter().zip(kept) {
        for kept in kept {
            grouped
                .entry((kept.matched.vulnerability.as_str(), locus(component)))
                .or_default()
                .push(Said {
                    component,
                    found: &component.found,
                    kept,
                });
        }
    }
    let mut checks: BTreeMap<CheckUid, Check> = BTreeMap::new();
    let mut ordered = Vec::new();
    for all in grouped.values() {
        let Some(result) = result(asset, all)? else {
            continue;
        };
        for said in all {
            let check = check(said.kept)?;
            let severity = check.severity;
            let known = checks.entry(check.uid.clone()).or_insert(check);
            known.severity = known.severity.max(severity);
        }
        let order = all.iter().map(|s| s.kept.priority.order()).max();
        ordered.push((order, result));
    }
    ordered.sort_by_key(|one| std::cmp::Reverse(one.0));
    let results = ordered.into_iter().map(|(_, result)| result).collect();
    Ok((checks.into_values().collect(), results))
}

/// Whether the inventory is whole: what could not be read may hide anything.
pub fn whole(asset: &AssetUid, unread: &[String]) -> Result<(Check, CheckResult), IdError> {
    let uid = CheckUid::new(WHOLE)?;
    let outcome = if unread.is_empty() {
        Outcome::Pass
    } else {
        let distinct: BTreeSet<&str> = unread.iter().map(String::as_str).collect();
        let shown: Vec<&str> = distinct.iter().take(10).copied().collect();
        let why = format!("{} could not be read: {}", distinct.len(), shown.join("; "));
        Outcome::Unknown {
            why: plain(&why, LONG),
        }
    };
    let check = Check {
        uid: uid.clone(),
        title: "The inventory is whole".to_owned(),
        description: "Everything that may hold packages was read. What was not read may hide \
                      anything."
            .to_owned(),
        severity: Severity::Medium,
        remediation: "Look at the files that could not be read, and take the inventory again."
            .to_owned(),
        references: Vec::new(),
    };
    Ok((check, CheckResult::whole(&uid, asset, outcome)))
}

/// Whether advisories are held of everything that was found: what is held against none cannot be
/// told from what none is about.
pub fn covered(
    asset: &AssetUid,
    missing: &BTreeMap<String, usize>,
) -> Result<(Check, CheckResult), IdError> {
    let uid = CheckUid::new(COVERED)?;
    let outcome = if missing.is_empty() {
        Outcome::Pass
    } else {
        Outcome::Unknown {
            why: plain(&uncovered(missing).join("; "), LONG),
        }
    };
    let check = Check {
        uid: uid.clone(),
        title: "Advisories are held of all packages".to_owned(),
        description: "Of each ecosystem that has packages here some advisory is held. Packages of \
                      one without advisories are not known to be safe."
            .to_owned(),
        severity: Severity::Medium,
        remediation: "Fetch the feeds of these ecosystems.".to_owned(),
        references: Vec::new(),
    };
    Ok((check, CheckResult::whole(&uid, asset, outcome)))
}

/// Ecosystems without advisories, with their packages, in words.
pub fn uncovered(missing: &BTreeMap<String, usize>) -> Vec<String> {
    missing
        .iter()
        .map(|(ecosystem, packages)| {
            format!(
                "no advisories of {ecosystem} are held here: not judged are {packages} of its packages"
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_model::Ecosystem;
    use bartizan_vuln::State;
    use bartizan_vuln::matching::{Confidence, Match};
    use bartizan_vuln::priority::{Facts, judge};

    fn component(purl: &str) -> Component {
        Component {
            purl: purl.parse().unwrap(),
            ecosystem: Ecosystem::parse("npm"),
            source: None,
            licences: vec![],
            found: vec![Found {
                path: "/lock".into(),
                layer: None,
            }],
            target: AssetUid::new("host:a").unwrap(),
        }
    }

    fn kept(standing: Standing, fixed: Option<&str>, severity: Severity) -> Kept {
        Kept {
            matched: Match {
                vulnerability: "CVE-2026-0001".into(),
                names: vec!["CVE-2026-0001".into(), "GHSA-1".into()],
                advisories: vec!["GHSA-1".into()],
                standing,
                state: State::Affected,
                because: "all versions".into(),
                fixed: fixed.map(str::to_owned),
                conditions: vec![],
                confidence: Confidence::Package,
            },
            title: String::new(),
            severity,
            score: None,
            priority: judge(&Facts::default()),
            references: vec![],
        }
    }

    #[test]
    fn versions_of_a_package_are_one_place_and_the_worst_counts() {
        let asset = AssetUid::new("host:a").unwrap();
        let parts = [
            component("pkg:npm/%40a/b@1.0.0"),
            component("pkg:npm/%40a/b@latest"),
        ];
        let why = || "no order".to_owned();
        let all = [
            vec![kept(Standing::Affected, Some("2.0.0"), Severity::Low)],
            vec![kept(Standing::Unknown { why: why() }, None, Severity::High)],
        ];
        let (checks, results) = of_asset(&asset, &parts, &all).unwrap();
        assert_eq!((checks.len(), results.len()), (1, 1));
        let one = &results[0];
        assert_eq!(one.outcome, Outcome::Fail);
        assert_eq!(one.locus, "pkg:npm/%40a/b");
        assert_eq!(one.severity, Some(Severity::High));
        assert!(
            one.message
                .starts_with("@a/b 1.0.0 is affected; upgrade it to 2.0.0")
        );
        assert_eq!(
            affected(&kept(Standing::Affected, None, Severity::Low)),
            "is affected; no fix is known. With the regular update: no score is known; counted as 5.0"
        );
        assert_eq!(one.evidence.len(), 2);
        let unsure = [
            vec![],
            vec![kept(Standing::Unknown { why: why() }, None, Severity::Low)],
        ];
        let (_, results) = of_asset(&asset, &parts, &unsure).unwrap();
        assert_eq!(results[0].outcome, Outcome::Unknown { why: why() });
        let excused = Standing::Excused {
            by: "ada".into(),
            why: why(),
        };
        let (_, results) = of_asset(
            &asset,
            &parts[..1],
            &[vec![kept(excused, None, Severity::Low)]],
        )
        .unwrap();
        assert_eq!(results[0].outcome, Outcome::Fail);
        assert_eq!(results[0].suppression.as_ref().unwrap().by, "ada");
        assert!(results[0].message.contains("no fix is known"));
    }

    #[test]
    fn what_others_write_is_made_fit_for_a_report() {
        let asset = AssetUid::new("host:a").unwrap();
        let why = || "odd \u{0}\u{1b}[31m".repeat(500);
        let long = component(&format!("pkg:npm/{}@1", "%C3%A9".repeat(600)));
        let place = locus(&long);
        assert!(place.len() == LOCUS && place.is_ascii(), "{place}");
        let other = component(&format!("pkg:npm/{}b@1", "%C3%A9".repeat(600)));
        assert_ne!(locus(&other), place);
        let excused = Standing::Excused {
            by: why(),
            why: why(),
        };
        for standing in [
            Standing::Unknown { why: why() },
            excused,
            Standing::Affected,
        ] {
            let mut one = kept(standing, Some(&why()), Severity::Low);
            one.title = why();
            let said = Said {
                component: &long,
                found: &long.found,
                kept: &one,
            };
            let told = result(&asset, &[said]).unwrap().unwrap();
            let text = serde_json::to_string(&(check(&one).unwrap(), told)).unwrap();
            assert!(!text.contains("\\u00"), "{text}");
            assert!(text.len() < 20_000, "{}", text.len());
        }
    }

    #[test]
    fn what_was_not_read_is_unknown() {
        let asset = AssetUid::new("host:a").unwrap();
        let (_, read) = whole(&asset, &[]).unwrap();
        assert_eq!(read.outcome, Outcome::Pass);
        let (_, broken) = whole(&asset, &["/a.jar: broken".to_owned()]).unwrap();
        assert!(broken.outcome.why().unwrap().contains("/a.jar"));
    }
}
