//! What SARIF and its readers demand, and that our own reader gets back what was written.

use super::*;
use crate::{fixture, hostile};
use bartizan_formats::sarif::Options as Reading;
use bartizan_model::{Outcome, ScanId, Scope, Timestamp};
use std::collections::BTreeSet;

fn text(snapshot: &Snapshot, passes: bool) -> Vec<u8> {
    let mut out = Vec::new();
    write(snapshot, &Options { passes }, &mut out).unwrap();
    out
}

/// The constraints of the specification and of code-scanning services that a schema check
/// or an upload would find.
fn check(document: &Value) {
    assert_eq!(document["version"], "2.1.0");
    let run = &document["runs"][0];
    assert!(
        run["automationDetails"]["id"]
            .as_str()
            .unwrap()
            .ends_with('/')
    );
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let ids: BTreeSet<&str> = rules.iter().map(|r| r["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), rules.len(), "rule ids repeat");
    for rule in rules {
        for text in ["shortDescription", "fullDescription", "help"] {
            assert!(!rule[text]["text"].as_str().unwrap().trim().is_empty());
        }
        let score: f64 = rule["properties"]["security-severity"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!((0.0..=10.0).contains(&score));
        if let Some(uri) = rule.get("helpUri") {
            let uri = uri.as_str().unwrap();
            assert!(uri.starts_with("https://") && uri.bytes().all(|b| b.is_ascii_graphic()));
        }
    }
    let mut keys = BTreeSet::new();
    for result in run["results"].as_array().unwrap() {
        let at = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[at]["id"], result["ruleId"]);
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let (kind, level) = (&result["kind"], result["level"].as_str().unwrap());
        assert_eq!(kind == "fail", level != "none", "{kind} {level}");
        assert!(["error", "warning", "note", "none"].contains(&level));
        assert!(result["suppressions"].is_array());
        let location = &result["locations"][0];
        assert!(!location["logicalLocations"][0]["fullyQualifiedName"].is_null());
        if let Some(physical) = location.get("physicalLocation") {
            let uri = physical["artifactLocation"]["uri"].as_str().unwrap();
            assert!(
                uri.bytes()
                    .all(|b| b.is_ascii_graphic() && !b"\\\"<>^`{|}".contains(&b))
            );
            assert!(physical["region"]["startLine"].as_u64().unwrap() >= 1);
        }
        if kind == "fail" {
            let key = result["partialFingerprints"]["bartizanFindingKey/v1"].as_str();
            assert!(keys.insert(key.unwrap().to_owned()), "a finding twice");
        }
    }
}

#[test]
fn the_shop_and_hostile_text_keep_the_rules() {
    for snapshot in [fixture::shop().unwrap(), hostile()] {
        for passes in [false, true] {
            check(&serde_json::from_slice(&text(&snapshot, passes)).unwrap());
        }
    }
    let at = Timestamp::from_micros(0);
    let empty = Snapshot::empty(
        bartizan_model::ScopeId::new("cluster:new").unwrap(),
        "bartizan",
        at,
    );
    let document: Value = serde_json::from_slice(&text(&empty, true)).unwrap();
    check(&document);
    // What was never scanned did not succeed.
    assert_eq!(
        document["runs"][0]["invocations"][0]["executionSuccessful"],
        false
    );
}

#[test]
fn our_reader_gets_back_what_was_written() {
    let snapshot = fixture::shop().unwrap();
    let options = Reading::new(
        Scope::parse("cluster:prod-eu-1").unwrap(),
        ScanId::new("s").unwrap(),
        Timestamp::parse("2026-11-22T00:00:00Z").unwrap(),
    );
    let reading =
        bartizan_formats::sarif::read(text(&snapshot, true).as_slice(), &options).unwrap();
    let report = &reading.reports[0];
    assert_eq!(reading.notices, Vec::<String>::new());
    assert!(report.scan.complete);
    assert_eq!(
        report.scan.finished,
        snapshot.scan.as_ref().unwrap().finished
    );
    let count = |word: &str| {
        report
            .results
            .iter()
            .filter(|r| r.outcome.word() == word)
            .count()
    };
    assert_eq!(
        (count("fail"), count("pass"), count("unknown")),
        (27, 27, 1)
    );
    let suppressed = report.results.iter().filter(|r| r.suppression.is_some());
    assert_eq!(suppressed.count(), 1);
    // Each failure keeps severity, place and words; its subject stays one of its own.
    let mut got: Vec<_> = report
        .results
        .iter()
        .filter(|r| r.outcome == Outcome::Fail)
        .map(|r| {
            let check = report.checks.iter().find(|c| c.uid == r.check).unwrap();
            let location = r.location.as_ref().unwrap();
            let severity = r.severity.unwrap_or(check.severity);
            (
                severity,
                r.message.clone(),
                location.file.clone(),
                location.line,
            )
        })
        .collect();
    let mut wanted: Vec<_> = snapshot
        .failing
        .iter()
        .chain(&snapshot.suppressed)
        .map(|row| {
            let location = row.location.as_ref().unwrap();
            (
                row.finding.severity,
                row.finding.message.clone(),
                location.file.clone(),
                location.line,
            )
        })
        .collect();
    got.sort();
    wanted.sort();
    assert_eq!(got, wanted);
}

#[test]
fn paths_become_uris() {
    let cases = [
        ("shop/web.yaml", "shop/web.yaml"),
        ("/work/a b.yaml", "file:///work/a%20b.yaml"),
        ("<stdin>", "%3Cstdin%3E"),
        ("a\\b#c?d%e:f", "a/b%23c%3Fd%25e%3Af"),
        ("é.yaml", "%C3%A9.yaml"),
    ];
    for (path, uri) in cases {
        assert_eq!(file_uri(path), uri);
    }
}
