//! `bartizan scan k8s`: what it prints and how it ends.

use crate::support::{run, run_with};
use serde_json::Value;

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\n  namespace: shop\nspec:\n  containers:\n    - name: web\n      image: nginx\n      securityContext:\n        privileged: true\n";

#[test]
fn the_shop_has_findings_of_every_sort() {
    let found = run(&["scan", "k8s", "examples/shop", "--format", "json"]);
    assert_eq!(found.code, 1, "{}", found.err);
    let report: Value = serde_json::from_str(&found.out).unwrap();
    let text = report.to_string();
    for word in [
        "bartizanprivileged",
        "helm template",
        "\"unknown\"",
        "\"pass\"",
    ] {
        assert!(text.contains(word), "{word} is missing");
    }
}

#[test]
fn fail_on_decides_the_exit_code() {
    let code =
        |level: &str| run_with(&["scan", "k8s", "-", "--fail-on", level], POD.as_bytes()).code;
    assert_eq!(code("critical"), 1);
    assert_eq!(code("info"), 1);
    assert_eq!(code("never"), 0);
    let clean = run_with(
        &["scan", "k8s", "-", "--fail-on", "info"],
        b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: shop}\n",
    );
    assert_eq!(clean.code, 0, "{}{}", clean.out, clean.err);
}

#[test]
fn what_cannot_be_done_is_2() {
    assert_eq!(run(&["scan", "k8s", "/no/such/path"]).code, 2);
    assert_eq!(
        run(&["scan", "k8s", "examples/shop", "--policies", "/no/such"]).code,
        2
    );
    assert_eq!(
        run(&["scan", "k8s", "examples/shop", "--scope", "planet:"]).code,
        2
    );
    assert_eq!(
        run(&["verify", "/no/such/file", "--jwks", "/no/such"]).code,
        2
    );
}

#[test]
fn every_format_is_what_it_says() {
    let scan = |format: &str| {
        run_with(
            &["scan", "k8s", "-", "--format", format, "--fail-on", "never"],
            POD.as_bytes(),
        )
        .out
    };
    let sarif: Value = serde_json::from_str(&scan("sarif")).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    assert!(
        sarif["runs"][0]["results"]
            .as_array()
            .unwrap()
            .iter()
            .any(|r| r["level"] == "error")
    );
    let reports = scan("policyreport");
    assert!(reports.starts_with("---\napiVersion: wgpolicyk8s.io/v1alpha2\nkind: "));
    assert!(reports.contains("\n  result: fail\n"), "{reports}");
    let html = scan("html");
    assert!(html.starts_with("<!doctype html>") && html.contains("privileged"));
    assert!(!html.contains("<script"));
    let report = scan("report");
    assert!(
        report.starts_with("{\"header\"")
            && report
                .trim_end()
                .lines()
                .last()
                .unwrap()
                .contains("trailer")
    );
    let table = scan("table");
    assert!(
        table.contains("critical") || table.contains("CRITICAL"),
        "{table}"
    );
    assert!(!table.contains('\u{1b}'), "no colour into a pipe");
}

#[test]
fn a_baseline_silences_and_its_unused_lines_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let pod = folder.path().join("pod.yaml");
    std::fs::write(&pod, POD).unwrap();
    let (pod, baseline) = (
        pod.to_string_lossy().into_owned(),
        folder.path().join("b.yaml"),
    );
    let path = baseline.to_string_lossy().into_owned();
    let written = run(&[
        "scan",
        "k8s",
        &pod,
        "--scope",
        "repository:x",
        "--write-baseline",
        &path,
        "--fail-on",
        "never",
    ]);
    assert_eq!(written.code, 0, "{}", written.err);
    let text = std::fs::read_to_string(&baseline).unwrap();
    // As written, the reasons are still to be filled in, and that is not a reason.
    let filled = text.replace("reason: \"\"", "reason: vendor image, ticket 12");
    assert_ne!(text, filled, "the file must ask for reasons: {text}");
    std::fs::write(&baseline, &filled).unwrap();
    let silent = run(&[
        "scan",
        "k8s",
        &pod,
        "--scope",
        "repository:x",
        "--baseline",
        &path,
        "--fail-on",
        "info",
    ]);
    assert_eq!(silent.code, 0, "{}{}", silent.out, silent.err);

    std::fs::write(&pod, POD.replace("privileged: true", "privileged: false")).unwrap();
    let unused = run(&[
        "scan",
        "k8s",
        &pod,
        "--scope",
        "repository:x",
        "--baseline",
        &path,
        "--fail-on",
        "never",
    ]);
    assert!(
        unused.out.contains("UNUSED SUPPRESSIONS 1"),
        "{}",
        unused.out
    );
}
