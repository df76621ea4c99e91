//! The tasks as CI calls them, and the binary that CI calls afterwards.

#![allow(clippy::unwrap_used, reason = "a test may end by panicking")]

use std::process::Command;

fn task(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_bartizan-xtask"))
        .args(arguments)
        .env_remove("BARTIZAN_ADVISORY_DB")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn every_licence_is_on_the_list() {
    let (good, said) = task(&["licences"]);
    assert!(good, "{said}");
}

#[test]
fn the_pages_of_the_policies_are_current() {
    let (good, said) = task(&["pages", "--check"]);
    assert!(good, "{said}");
}

#[test]
fn an_advisory_check_without_a_database_says_so() {
    let (good, said) = task(&["advisories"]);
    assert!(good && said.contains("NOT CHECKED"), "{said}");
    let empty = tempfile::tempdir().unwrap();
    let (good, said) = task(&["advisories", "--db", &empty.path().to_string_lossy()]);
    assert!(!good, "an empty folder is no database: {said}");
}

#[test]
fn an_advisory_on_a_locked_package_is_found() {
    let db = tempfile::tempdir().unwrap();
    let folder = db.path().join("crates/serde");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(
        folder.join("RUSTSEC-0000-0000.md"),
        "[versions]\npatched = [\">= 99.0.0\"]\n",
    )
    .unwrap();
    let (good, said) = task(&["advisories", "--db", &db.path().to_string_lossy()]);
    assert!(!good && said.contains("serde"), "{said}");
}
