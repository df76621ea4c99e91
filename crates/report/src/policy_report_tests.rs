//! Tests: the fields of the CRD, the words, the bounds.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Fields and types of the v1alpha2 schema, as its CRD has them.
fn check(report: &Value, bytes: usize) {
    let map = report.as_object().unwrap();
    only(
        map,
        &[
            "apiVersion",
            "kind",
            "metadata",
            "scope",
            "scopeSelector",
            "summary",
            "results",
        ],
    );
    assert_eq!(report["apiVersion"], "wgpolicyk8s.io/v1alpha2");
    let name = report["metadata"]["name"].as_str().unwrap();
    assert!(name.len() <= 253, "{name}");
    for part in name.split('.') {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(!part.is_empty() && part.chars().all(fits), "{name}");
        assert!(!part.starts_with('-') && !part.ends_with('-'), "{name}");
    }
    match report["kind"].as_str().unwrap() {
        "PolicyReport" => assert!(is_label(report["metadata"]["namespace"].as_str().unwrap())),
        "ClusterPolicyReport" => assert!(report["metadata"].get("namespace").is_none()),
        other => panic!("{other}"),
    }
    for value in report["metadata"]["labels"].as_object().unwrap().values() {
        let value = value.as_str().unwrap();
        assert!(
            value.len() <= 63 && !value.contains([':', '/', ' ']),
            "{value}"
        );
    }
    let results = report["results"].as_array().unwrap();
    let summary = report["summary"].as_object().unwrap();
    only(summary, &["pass", "fail", "warn", "error", "skip"]);
    for word in Word::ALL {
        let count = results.iter().filter(|r| r["result"] == word.word());
        assert_eq!(summary[word.word()], count.count() as u64);
    }
    let sum: u64 = summary.values().map(|v| v.as_u64().unwrap()).sum();
    assert_eq!(sum, results.len() as u64);
    for result in results {
        let map = result.as_object().unwrap();
        only(
            map,
            &[
                "source",
                "policy",
                "rule",
                "category",
                "severity",
                "timestamp",
                "result",
                "scored",
                "resources",
                "resourceSelector",
                "message",
                "properties",
            ],
        );
        for key in ["source", "policy", "result"] {
            assert!(result[key].is_string(), "{key}");
        }
        for key in ["rule", "category", "message"] {
            assert!(map.get(key).is_none_or(Value::is_string), "{key}");
        }
        if let Some(severity) = map.get("severity") {
            let severity = severity.as_str().unwrap();
            assert!(["critical", "high", "medium", "low", "info"].contains(&severity));
        }
        assert!(result["scored"].is_boolean());
        if let Some(at) = map.get("timestamp") {
            only(at.as_object().unwrap(), &["seconds", "nanos"]);
            assert!(at["seconds"].is_i64());
            assert!((0..1_000_000_000).contains(&at["nanos"].as_i64().unwrap()));
        }
        for object in map
            .get("resources")
            .and_then(Value::as_array)
            .unwrap_or(&Vec::new())
        {
            let object = object.as_object().unwrap();
            only(object, &["apiVersion", "kind", "namespace", "name", "uid"]);
            assert!(object.values().all(Value::is_string));
        }
        if let Some(properties) = map.get("properties") {
            assert!(
                properties
                    .as_object()
                    .unwrap()
                    .values()
                    .all(Value::is_string)
            );
        }
    }
    assert!(report.to_string().len() <= bytes, "too large");
}

fn only(map: &Map<String, Value>, known: &[&str]) {
    for key in map.keys() {
        assert!(known.contains(&key.as_str()), "{key} is no field");
    }
}

fn line(namespace: &str, name: &str, outcome: Word) -> Line {
    Line {
        policy: "rego/bartizan/k8spspprivileged".into(),
        rule: "k8spspprivileged".into(),
        category: String::new(),
        severity: Some(Severity::High),
        subject: Object {
            api_version: "v1".into(),
            kind: "Pod".into(),
            namespace: namespace.into(),
            name: name.into(),
            uid: String::new(),
        },
        outcome,
        message: "it is privileged".into(),
        at: Some(Timestamp::parse("2026-11-21T09:30:12.5Z").unwrap()),
        properties: BTreeMap::from([("locus".to_owned(), "container:web".to_owned())]),
    }
}

#[test]
fn one_object_a_namespace_and_one_for_the_cluster() {
    let all = reports(
        [
            line("shop", "a", Word::Fail),
            line("", "node", Word::Error),
            line("shop", "b", Word::Pass),
            line("Not A Namespace", "c", Word::Skip),
        ],
        Options::new("cluster:prod-eu-1"),
    );
    assert_eq!(all.len(), 2);
    for report in &all {
        check(report, 1 << 20);
    }
    assert_eq!(all[0]["kind"], "ClusterPolicyReport");
    assert_eq!(all[0]["summary"]["error"], 1);
    assert_eq!(all[0]["summary"]["pass"], 0);
    assert_eq!(all[1]["metadata"]["name"], "bartizan.cluster.prod-eu-1-1");
    insta::assert_snapshot!(serde_json::to_string_pretty(&all[1]["results"][0]).unwrap(), @r#"
    {
      "message": "it is privileged",
      "policy": "rego/bartizan/k8spspprivileged",
      "properties": {
        "locus": "container:web"
      },
      "resources": [
        {
          "apiVersion": "v1",
          "kind": "Pod",
          "name": "a",
          "namespace": "shop"
        }
      ],
      "result": "fail",
      "rule": "k8spspprivileged",
      "scored": true,
      "severity": "high",
      "source": "bartizan",
      "timestamp": {
        "nanos": 500000000,
        "seconds": 1795253412
      }
    }
    "#);
}

#[test]
fn what_could_not_be_told_is_an_error_and_never_a_pass() {
    let why = || "no time was left".to_owned();
    let cases = [
        (Outcome::Pass, false, Word::Pass),
        (Outcome::Fail, false, Word::Fail),
        (Outcome::Fail, true, Word::Warn),
        (Outcome::Unknown { why: why() }, false, Word::Error),
        (Outcome::Unknown { why: why() }, true, Word::Error),
        (Outcome::NotApplicable { why: why() }, false, Word::Skip),
    ];
    for (outcome, is_left, word) in cases {
        assert_eq!(Word::of(&outcome, is_left), word, "{outcome:?}");
    }
    assert_eq!(message(&Outcome::Unknown { why: why() }, "x"), why());
}

#[test]
fn an_object_that_grows_too_large_is_continued_in_another() {
    let mut options = Options::new("cluster:c");
    options.results = 10;
    let lines = (0..35).map(|n| line("shop", &format!("p{n}"), Word::Fail));
    let all = reports(lines, options.clone());
    let sizes: Vec<_> = all
        .iter()
        .map(|r| r["results"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [10, 10, 10, 5]);
    let names: BTreeSet<_> = all
        .iter()
        .map(|r| r["metadata"]["name"].to_string())
        .collect();
    assert_eq!(names.len(), 4);
    options.results = usize::MAX;
    options.bytes = 64 << 10;
    let long = (0..100).map(|n| Line {
        message: "\u{1}".repeat(20_000),
        ..line("shop", &format!("p{n}"), Word::Fail)
    });
    let all = reports(long, options.clone());
    assert!(all.len() > 50);
    for report in &all {
        check(report, 64 << 10);
    }
    // Many namespaces at once are not all held.
    options.held = 10 << 10;
    let mut reports = Reports::new(options);
    let mut done = 0;
    for n in 0..1_000 {
        done += reports.push(&line(&format!("n{n}"), "p", Word::Pass)).len();
    }
    assert!(done > 900, "{done}");
    assert_eq!(done + reports.finish().count(), 1_000);
}

#[test]
fn an_owner_and_labels_are_written() {
    let mut options = Options::new("repository:Größe & Co/x");
    options.labels.insert("team".into(), "the shop".into());
    options.owner = Some(Owner {
        api_version: "v1".into(),
        kind: "Namespace".into(),
        name: "bartizan".into(),
        uid: "0193".into(),
    });
    let all = reports([line("shop", "a", Word::Fail)], options);
    check(&all[0], 1 << 20);
    assert_eq!(all[0]["metadata"]["ownerReferences"][0]["uid"], "0193");
    assert_eq!(all[0]["metadata"]["labels"]["team"], "the.shop");
    assert_eq!(
        all[0]["metadata"]["annotations"][SCOPE],
        "repository:Größe & Co/x"
    );
    assert_ne!(name("repository:a b"), name("repository:ab"));
}

proptest! {
    #[test]
    fn every_line_is_in_one_object_that_the_schema_allows(
        rows in proptest::collection::vec(
            (".{0,6}|[a-c]", ".{0,300}", 0_usize..5, ".{0,40}"), 1..40),
        scope in ".{0,80}",
    ) {
        let mut options = Options::new(scope);
        options.results = 7;
        let count = rows.len();
        let lines = rows.into_iter().map(|(namespace, text, word, key)| Line {
            policy: text.clone(),
            rule: text.clone(),
            message: text.repeat(40),
            properties: BTreeMap::from([(key, text.clone())]),
            ..line(&namespace, &text, Word::ALL[word])
        });
        let all = reports(lines, options);
        let mut told = 0;
        for report in &all {
            check(report, 1 << 20);
            told += report["results"].as_array().unwrap().len();
        }
        prop_assert_eq!(told, count);
    }
}
