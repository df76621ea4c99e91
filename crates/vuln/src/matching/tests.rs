//! Who is hit, and whose word counts.

use super::*;
use crate::Span;
use crate::feeds::osv;
use bartizan_model::{AssetUid, Ecosystem, SourcePackage};

fn part(purl: &str, ecosystem: &str, source: Option<(&str, &str)>) -> Component {
    Component {
        purl: purl.parse().unwrap(),
        ecosystem: Ecosystem::parse(ecosystem),
        source: source.map(|(name, version)| SourcePackage {
            name: name.into(),
            version: version.into(),
        }),
        licences: vec![],
        found: vec![],
        target: AssetUid::new("host:a").unwrap(),
    }
}

fn says(id: &str, ecosystem: &str, package: &str, fixed: &str) -> Advisory {
    let mut advisory = Advisory::new(id, "test");
    let mut affected = Affected::new(Ecosystem::parse(ecosystem), package);
    affected.ranges.push(Span::below(fixed));
    advisory.affected.push(affected);
    advisory
}

fn run(c: &Component, advisories: &[Advisory]) -> Vec<Match> {
    component(c, advisories, Said::default())
}

#[test]
fn the_source_package_of_the_right_release_counts() {
    let zlib = part(
        "pkg:deb/debian/zlib1g@1:1.2-3",
        "Debian:12",
        Some(("zlib", "1:1.2-3")),
    );
    let advisories = [
        says("CVE-2024-0001", "Debian:12", "zlib", "1:1.2-4"),
        says("CVE-2024-0002", "Debian:11", "zlib", "1:9"),
        says("CVE-2024-0003", "Debian:12", "zlib", "1:1.2-3"),
    ];
    let found = run(&zlib, &advisories);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].fixed.as_deref(), Some("1:1.2-4"));
    assert_eq!(found[0].confidence, Confidence::Distribution);
}

#[test]
fn a_distributions_no_outweighs_a_bundle() {
    let xz = part("pkg:deb/debian/xz-utils@5.4.1-0.2", "Debian:12", None);
    let mut no = says("CVE-2024-0001", "Debian:12", "xz-utils", "9");
    no.affected[0].state = State::NotAffected;
    let mut bundle = says("DSA-1-1", "Debian:12", "xz-utils", "6");
    bundle.upstream = vec!["CVE-2024-0001".into(), "CVE-2024-0002".into()];
    let found = run(&xz, &[no, bundle]);
    let ids: Vec<&str> = found.iter().map(|m| m.vulnerability.as_str()).collect();
    assert_eq!(ids, ["CVE-2024-0002"]);
}

#[test]
fn aliases_are_one_match_and_withdrawn_ones_none() {
    let text = br#"{"id":"GHSA-1","modified":"2024-01-01T00:00:00Z","aliases":["CVE-2024-0001"],"affected":[{"package":{"ecosystem":"PyPI","name":"Foo_Bar"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"2.0"}]}]}]}"#;
    let ghsa = osv::parse(text, "ghsa").unwrap();
    let mut pysec = osv::parse(text, "pypa").unwrap();
    pysec.id = "PYSEC-1".into();
    let c = part("pkg:pypi/foo-bar@1.0", "PyPI", None);
    let found = run(&c, &[ghsa.clone(), pysec]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].vulnerability, "CVE-2024-0001");
    assert_eq!(found[0].names, ["CVE-2024-0001", "GHSA-1", "PYSEC-1"]);
    let mut gone = ghsa;
    gone.withdrawn = gone.modified;
    assert!(run(&c, &[gone]).is_empty());
}

#[test]
fn what_cannot_be_compared_is_unknown() {
    let c = part("pkg:npm/a@latest", "npm", None);
    let found = run(&c, &[says("GHSA-1", "npm", "a", "2.0.0")]);
    assert!(matches!(found[0].standing, Standing::Unknown { .. }));
}

#[test]
fn vex_and_waivers_are_shown() {
    let c = part("pkg:npm/a@1.0.0", "npm", None);
    let advisories = [says("GHSA-1", "npm", "a", "2.0.0")];
    let waiver = Waiver {
        vulnerability: "GHSA-1".into(),
        package: Some("pkg:npm/a".parse().unwrap()),
        by: "ada".into(),
        why: "not reached".into(),
    };
    let waivers = [waiver];
    let said = Said {
        waivers: &waivers,
        ..Said::default()
    };
    let found = component(&c, &advisories, said);
    assert!(matches!(&found[0].standing, Standing::Excused { by, .. } if by == "ada"));
    let vex = crate::feeds::openvex::parse(br#"{"author":"v","statements":[{"vulnerability":"GHSA-1","products":["pkg:npm/a@1.0.0"],"status":"not_affected","justification":"vulnerable_code_not_present"}]}"#).unwrap();
    let said = Said {
        vex: &vex,
        ..Said::default()
    };
    let found = component(&c, &advisories, said);
    assert!(matches!(&found[0].standing, Standing::Excused { by, .. } if by == "v"));
}

#[test]
fn both_indexes_find_the_same() {
    let c = part("pkg:golang/github.com/BurntSushi/toml@v1.0.0", "Go", None);
    let a = says("GO-1", "Go", "github.com/BurntSushi/toml", "1.2.0");
    let (mut by_advisory, mut by_component) = (AdvisoryIndex::default(), ComponentIndex::default());
    by_advisory.add(7, &a);
    by_component.add(9, &c);
    assert_eq!(by_advisory.of(&c), [7]);
    assert_eq!(by_component.of(&a), [9]);
    assert_eq!(run(&c, &[a]).len(), 1);
}

#[test]
fn without_a_release_only_what_all_say_holds() {
    let c = part("pkg:deb/debian/xz-utils@5.4", "Debian", None);
    let here = says("CVE-2024-0001", "Debian:12", "xz-utils", "6");
    let mut there = says("CVE-2024-0001", "Debian:11", "xz-utils", "6");
    there.source = "other".into();
    there.affected[0].state = State::NotAffected;
    let found = run(&c, &[here.clone(), there]);
    assert!(matches!(found[0].standing, Standing::Unknown { .. }));
    assert_eq!(run(&c, &[here])[0].standing, Standing::Affected);
}

#[test]
fn what_is_no_id_names_nothing() {
    let pad = part("pkg:npm/left-pad@1.0.0", "npm", None);
    let mut advisory = says("GHSA-1", "npm", "left-pad", "1.0.1");
    let long = format!("CVE-{}", "9".repeat(600));
    advisory.aliases = vec!["CVE-2024-0001\n".into(), String::new(), long.clone()];
    advisory.upstream = vec![long];
    let found = run(&pad, &[advisory]);
    assert_eq!(found[0].names, ["GHSA-1"]);
}
