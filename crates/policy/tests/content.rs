//! Our own library: it loads whole, none of it is refused, and every suite passes.

// A test may panic, also in the functions that its tests share.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used)]

use bartizan_policy::{LibraryBuilder, suite};
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

#[test]
fn the_library_loads_and_nothing_is_refused() {
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
    let library = builder.build().unwrap();
    assert_eq!(library.notices(), []);
    assert!(
        library.checks().len() >= 30,
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
        all.len() >= 30 && cases >= 100,
        "{} suites, {cases} cases",
        all.len()
    );
}

#[test]
fn half_of_the_seeded_pods_violate() {
    use bartizan_model::{AssetUid, Outcome, Timestamp};
    use bartizan_policy::{Budget, Evaluator, World, seeded};
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
    let library = builder.build().unwrap();
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
