//! Our own library: it loads whole, none of it is refused, and every suite passes.

// A test may panic, also in the functions that its tests share.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used)]

use bartizan_policy::{Library, LibraryBuilder, suite};
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content/policies")
}

fn files(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, all);
        } else {
            all.push(path);
        }
    }
}

fn library() -> Library {
    let mut all = Vec::new();
    files(&folder(), &mut all);
    let mut builder = LibraryBuilder::new();
    for file in all {
        builder
            .add(
                "bartizan",
                &file.to_string_lossy(),
                &std::fs::read(&file).unwrap(),
            )
            .unwrap();
    }
    builder.build().unwrap()
}

#[test]
fn the_library_loads_and_nothing_is_refused() {
    let library = library();
    assert_eq!(library.notices(), []);
    assert!(
        library.checks().len() >= 90,
        "{} checks",
        library.checks().len()
    );
    for check in library.checks() {
        assert!(
            !check.title.is_empty() && !check.description.is_empty(),
            "{}",
            check.uid
        );
        assert!(!check.remediation.is_empty(), "{}", check.uid);
    }
}

#[test]
fn every_suite_passes() {
    let mut all = Vec::new();
    files(&folder(), &mut all);
    all.retain(|f| f.ends_with("suite.yaml"));
    all.sort();
    let mut cases = 0;
    let mut faults = Vec::new();
    for file in &all {
        let base = file.parent().unwrap();
        let read = |name: &str| std::fs::read(base.join(name)).map_err(|e| format!("{name}: {e}"));
        for case in suite::run(&std::fs::read(file).unwrap(), &read).unwrap() {
            assert!(!case.skipped, "{} skips {}", file.display(), case.name);
            cases += 1;
            faults.extend(
                case.fault
                    .map(|why| format!("{} {}: {why}", file.display(), case.name)),
            );
        }
    }
    assert_eq!(faults, Vec::<String>::new());
    assert!(
        all.len() >= 90 && cases >= 590,
        "{} suites, {cases} cases",
        all.len()
    );
}

#[test]
fn what_stands_elsewhere_in_the_input_is_seen() {
    use bartizan_policy::{ScanOptions, Source, scan};
    let run = serde_json::json!({
        "id": "s1", "source": "bartizan/k8s", "source_version": "0",
        "scope": {"kind": "cluster", "name": "c"}, "complete": true,
        "started": "2026-11-21T00:00:00Z", "finished": "2026-11-21T00:00:01Z"
    });
    let options = ScanOptions::new(serde_json::from_value(run).unwrap());
    let namespace = "{apiVersion: v1, kind: Namespace, metadata: {name: NS}}";
    let policy = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, \
        metadata: {name: all, namespace: NS}, spec: {podSelector: {}}}";
    let ingress = "{apiVersion: networking.k8s.io/v1, kind: Ingress, \
        metadata: {name: web, namespace: NS}, spec: {rules: [{host: web.example.com}]}}";
    let files = [
        namespace.replace("NS", "shop"),
        namespace.replace("NS", "pay"),
        policy.replace("NS", "pay"),
        ingress.replace("NS", "shop"),
        ingress.replace("NS", "pay"),
    ];
    let names: Vec<String> = (0..files.len()).map(|i| format!("{i}.yaml")).collect();
    let sources = names.iter().zip(&files);
    let sources = sources.map(|(name, text)| Source::new(name, text.as_bytes()));
    let output = scan(&library(), sources, &options, &|_| {}).unwrap();
    let mut failed: Vec<String> = output
        .report
        .results
        .iter()
        .filter(|r| r.outcome.word() == "fail")
        .map(|r| format!("{} {}", r.check.as_str(), r.asset.as_str()))
        .filter(|line| line.contains("networkpolicy ") || line.contains("uniqueingress"))
        .collect();
    failed.sort();
    assert_eq!(failed.len(), 3, "{failed:?}");
    assert!(failed[0].contains("namespacenetworkpolicy") && failed[0].contains("shop"));
    assert!(failed[1].contains("uniqueingresshost"));
    assert!(failed[2].contains("uniqueingresshost"));
}

#[test]
fn half_of_the_seeded_pods_violate() {
    use bartizan_model::{AssetUid, Outcome, Timestamp};
    use bartizan_policy::{Budget, Evaluator, World, seeded};
    let library = library();
    let world = World::default();
    let mut evaluator = Evaluator::new(
        &library,
        &world,
        Budget::default(),
        Timestamp::from_micros(0),
    );
    for index in 0..100 {
        let object = seeded::object(42, index);
        let results = evaluator.judge(&AssetUid::new("a").unwrap(), &object);
        assert!(results.iter().all(|r| r.outcome.word() != "unknown"));
        let fails: Vec<_> = results
            .iter()
            .filter(|r| r.outcome == Outcome::Fail)
            .collect();
        assert_eq!(fails.is_empty(), index % 2 == 0, "{index}: {fails:?}");
    }
}
