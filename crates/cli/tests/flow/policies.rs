//! `bartizan policy`: the built binary as `gator` users know it.

use crate::support::{Run, bartizan, run, run_with};
use serde_json::Value;
use std::fs;
use std::path::Path;

const TEMPLATE: &str = "\
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: needslabel}
spec:
  crd:
    spec:
      names: {kind: NeedsLabel}
      validation:
        openAPIV3Schema:
          type: object
          properties: {label: {type: string}}
  targets:
    - target: admission.k8s.gatekeeper.sh
      rego: |
        package needslabel
        violation[{\"msg\": msg, \"details\": {\"label\": label}}] {
          label := input.parameters.label
          not input.review.object.metadata.labels[label]
          msg := sprintf(\"no label %v\", [label])
        }
";

fn constraint(action: &str) -> String {
    format!(
        "apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: NeedsLabel\nmetadata: {{name: owner}}\n\
         spec:\n  enforcementAction: {action}\n  match: {{kinds: [{{apiGroups: [\"\"], kinds: [Pod]}}]}}\n  \
         parameters: {{label: owner}}\n"
    )
}

const BARE: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: bare, namespace: default}\n";
const OWNED: &str =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: owned, namespace: default, labels: {owner: me}}\n";

const EXPANSION: &str = "\
apiVersion: expansion.gatekeeper.sh/v1beta1
kind: ExpansionTemplate
metadata: {name: workloads}
spec:
  applyTo: [{groups: [apps], versions: [v1], kinds: [Deployment]}]
  templateSource: spec.template
  enforcementAction: warn
  generatedGVK: {group: \"\", version: v1, kind: Pod}
";

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec: {template: {metadata: {labels: {app: web}}, spec: {containers: []}}}
";

fn heap(parts: &[&str]) -> String {
    parts.join("---\n")
}

fn check(arguments: &[&str], input: &str) -> Run {
    run_with(
        &[&["policy", "check"], arguments].concat(),
        input.as_bytes(),
    )
}

#[test]
fn check_denies_as_gator_test_does() {
    let deny = heap(&[TEMPLATE, &constraint("deny"), BARE, OWNED]);
    let found = check(&[], &deny);
    assert_eq!(found.code, 1, "{}", found.err);
    assert_eq!(
        found.out,
        "v1/Pod default/bare: [\"owner\"] Message: \"no label owner\"\n"
    );
    let warned = check(
        &[],
        &deny.replace("enforcementAction: deny", "enforcementAction: warn"),
    );
    assert_eq!((warned.code, warned.out.as_str()), (0, found.out.as_str()));
    let hidden = check(
        &["--deny-only"],
        &deny.replace("enforcementAction: deny", "enforcementAction: dryrun"),
    );
    assert_eq!((hidden.code, hidden.out.as_str()), (0, ""));
    let good = check(
        &["-o", "json"],
        &heap(&[TEMPLATE, &constraint("deny"), OWNED]),
    );
    assert_eq!((good.code, good.out.trim()), (0, "null"));
}

#[test]
fn check_writes_every_format() {
    let deny = heap(&[TEMPLATE, &constraint("deny"), BARE, OWNED]);
    let json: Value = serde_json::from_str(&check(&["--format", "json"], &deny).out).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 1);
    assert_eq!(json[0]["target"], "admission.k8s.gatekeeper.sh");
    assert_eq!(json[0]["msg"], "no label owner");
    assert_eq!(json[0]["metadata"]["details"]["label"], "owner");
    assert_eq!(json[0]["constraint"]["metadata"]["name"], "owner");
    assert_eq!(json[0]["enforcementAction"], "deny");
    assert_eq!(json[0]["violatingObject"]["metadata"]["name"], "bare");
    let yaml = check(&["--output", "yaml"], &deny).out;
    assert!(
        yaml.starts_with("- result:\n    constraint:\n      object:\n"),
        "{yaml}"
    );
    assert!(yaml.contains("\n    msg: no label owner\n"), "{yaml}");
    let sarif: Value = serde_json::from_str(&check(&["--format", "sarif"], &deny).out).unwrap();
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "NeedsLabel");
    assert_eq!(result["level"], "error");
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "stdin");
    assert!(place["region"]["startLine"].as_u64() > Some(1));
    let reports = check(&["--format", "policyreport"], &deny).out;
    for line in [
        "---\napiVersion: wgpolicyk8s.io/v1alpha2\nkind: PolicyReport\n",
        "\n  namespace: default\n",
        "\n  policy: NeedsLabel\n",
        "\n  result: fail\n",
        "\n  fail: 1\n",
    ] {
        assert!(reports.contains(line), "{line}: {reports}");
    }
    let junit = check(&["--format", "junit"], &deny).out;
    assert!(
        junit.contains("tests=\"4\" failures=\"1\" errors=\"0\""),
        "{junit}"
    );
    assert!(
        junit.contains("<failure message=\"[owner] no label owner\"/>"),
        "{junit}"
    );
}

#[test]
fn check_says_what_it_cannot_do() {
    for (input, why) in [
        (String::new(), "no objects to look at"),
        (heap(&[&constraint("deny"), BARE]), "no ConstraintTemplate"),
        (
            heap(&[
                TEMPLATE,
                &constraint("deny").replace("label: owner", "label: [1]"),
            ]),
            "spec.parameters.label must be of type string",
        ),
        (
            heap(&[
                TEMPLATE,
                &constraint("deny").replace(
                    "match: {",
                    "match: {namespaceSelector: {matchLabels: {a: b}}, ",
                ),
                &BARE.replace("default", "elsewhere"),
            ]),
            "1 judgements could not be made",
        ),
    ] {
        let run = check(&[], &input);
        assert_eq!(run.code, 2, "{why}: {}", run.out);
        assert!(run.err.contains(why), "{why}: {}", run.err);
    }
}

#[test]
fn what_is_implied_is_judged_too() {
    let all = heap(&[TEMPLATE, &constraint("deny"), EXPANSION, DEPLOYMENT]);
    let found = check(&[], &all);
    // The ExpansionTemplate makes a warning of it.
    assert_eq!(found.code, 0, "{}", found.err);
    assert_eq!(
        found.out,
        "apps/v1/Deployment default/web: [\"owner\"] Message: \"[Implied by workloads] no label owner\"\n"
    );
    let mutator = "apiVersion: mutations.gatekeeper.sh/v1\nkind: AssignMetadata\nmetadata: {name: m}\n\
                   spec: {location: metadata.labels.owner, match: {source: Generated}, \
                   parameters: {assign: {value: us}}}\n";
    let mutated = check(&[], &heap(&[&all, mutator]));
    assert_eq!((mutated.code, mutated.out.as_str()), (0, ""));
    let made = run_with(
        &["policy", "expand"],
        heap(&[EXPANSION, mutator, DEPLOYMENT]).as_bytes(),
    );
    assert_eq!(made.code, 0, "{}", made.err);
    assert_eq!(
        made.out,
        "apiVersion: v1\nkind: Pod\nmetadata:\n  labels:\n    app: web\n    owner: us\n  \
         name: web-pod\n  namespace: default\n  ownerReferences:\n  - apiVersion: apps/v1\n    \
         kind: Deployment\n    name: web\n    uid: \"\"\nspec:\n  containers: []\n"
    );
    let json = run_with(
        &["policy", "expand", "--format", "json"],
        heap(&[EXPANSION, DEPLOYMENT]).as_bytes(),
    );
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["metadata"]["name"], "web-pod");
}

fn suite(folder: &Path, wanted: &str) {
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    write("template.yaml", TEMPLATE);
    write("constraint.yaml", &constraint("deny"));
    write(
        "invalid.yaml",
        &constraint("deny").replace("label: owner", "label: 1"),
    );
    write("bare.yaml", BARE);
    write("owned.yaml", OWNED);
    write("expansion.yaml", EXPANSION);
    write("deployment.yaml", DEPLOYMENT);
    write(
        "suite.yaml",
        &format!(
            "apiVersion: test.gatekeeper.sh/v1alpha1\nkind: Suite\ntests:\n\
             - name: owner\n  template: template.yaml\n  constraint: constraint.yaml\n  \
             expansion: expansion.yaml\n  cases:\n  \
             - {{name: bare, object: bare.yaml, assertions: [{{violations: {wanted}, message: '^no label .wner$'}}]}}\n  \
             - {{name: owned, object: owned.yaml, assertions: [{{violations: no}}]}}\n  \
             - {{name: implied, object: deployment.yaml, assertions: [{{message: Implied by workloads}}]}}\n  \
             - {{name: later, skip: true, object: gone.yaml, assertions: [{{violations: no}}]}}\n\
             - name: wrong\n  template: template.yaml\n  constraint: invalid.yaml\n  invalid: true\n"
        ),
    );
}

#[test]
fn suites_run_as_gator_verify_runs_them() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("below");
    fs::create_dir(&below).unwrap();
    suite(&below, "1");
    let deep = format!("{}/...", folder.path().display());
    let test = |arguments: &[&str]| run(&[&["policy", "test"], arguments].concat());
    let passed = test(&[&deep]);
    assert_eq!(passed.code, 0, "{}{}", passed.out, passed.err);
    assert!(
        passed.out.starts_with("ok\t") && passed.out.ends_with("PASS\n"),
        "{}",
        passed.out
    );
    let verbose = test(&[&deep, "--verbose", "--run", "//^owned$"]).out;
    assert!(verbose.contains("--- PASS: owned"), "{verbose}");
    assert!(verbose.contains("=== SKIP  bare"), "{verbose}");
    let flat = test(&[folder.path().to_str().unwrap()]);
    assert_eq!(flat.code, 0);
    assert!(flat.err.contains("no suite was found"), "{}", flat.err);
    suite(&below, "2");
    let failed = test(&[&deep]);
    assert_eq!(failed.code, 1, "{}", failed.out);
    assert!(failed.out.contains("    --- FAIL: bare"), "{}", failed.out);
    let json: Value = serde_json::from_str(&test(&[&deep, "--format", "json"]).out).unwrap();
    assert_eq!(json[0]["failed"], true);
    assert_eq!(json[0]["tests"][0]["cases"][0]["name"], "bare");
    let junit = test(&[&deep, "--format", "junit"]).out;
    assert!(
        junit.contains("tests=\"5\" failures=\"1\" skipped=\"1\""),
        "{junit}"
    );
    fs::write(
        below.join("suite.yaml"),
        "apiVersion: test.gatekeeper.sh/v1alpha1\nkind: [",
    )
    .unwrap();
    assert_eq!(test(&[&deep]).code, 2);
    assert_eq!(test(&[&deep, "--run", "a//b//c"]).code, 2);
    assert_eq!(test(&["/no/such/folder"]).code, 2);
}

#[test]
fn what_judging_costs_is_measured_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let heap = heap(&[TEMPLATE, &constraint("deny"), BARE, OWNED]);
    fs::write(folder.path().join("all.yaml"), heap).unwrap();
    let saved = folder.path().join("base.out");
    let bench = |arguments: &[&str]| {
        let mut all = vec!["policy", "bench", "-n", "5", "-f"];
        all.push(folder.path().to_str().unwrap());
        all.extend(arguments);
        let output = bartizan(&all).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (code, text) = bench(&[
        "--save",
        saved.to_str().unwrap(),
        "-o",
        "json",
        "--concurrency",
        "2",
    ]);
    assert_eq!(code, Some(0));
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json[0]["engine"], "rego");
    assert_eq!(json[0]["objectCount"], 2);
    assert_eq!(json[0]["totalReviews"], 10);
    assert_eq!(json[0]["violationCount"], 5);
    let (code, text) = bench(&[
        "--compare",
        saved.to_str().unwrap(),
        "--min-threshold",
        "10s",
    ]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("p99"), "{text}");
    let mut old: Value = serde_json::from_slice(&fs::read(&saved).unwrap()).unwrap();
    for name in ["p50", "p95", "p99", "mean"] {
        old[0]["latencies"][name] = 1.into();
    }
    fs::write(&saved, old.to_string()).unwrap();
    let (code, text) = bench(&["--compare", saved.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{text}");
    assert_eq!(bench(&["--engine", "cel"]).0, Some(2));
}
