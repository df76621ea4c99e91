//! Whole scans: what comes out for files as people write them.

// A test may panic, also in the functions that its tests share.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used)]

use bartizan_model::{Outcome, Scan, report::Report};
use bartizan_policy::{Baseline, Library, LibraryBuilder, ScanOptions, ScanOutput, Source, scan};
use serde_json::json;

const POLICIES: &str = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata:
  name: noprivileged
  annotations:
    metadata.gatekeeper.sh/title: No privileged containers
    bartizan.dev/severity: high
    bartizan.dev/references: https://example.com/a https://example.com/b
spec:
  crd: {spec: {names: {kind: NoPrivileged}}}
  targets:
    - target: admission.k8s.gatekeeper.sh
      rego: |
        package noprivileged
        violation[{"msg": msg, "details": {"locus": locus, "path": path, "actual": true, "expected": "false"}}] {
          c := input.review.object.spec.containers[i]
          c.securityContext.privileged
          locus := sprintf("%s:%s", ["container", c.name])
          path := sprintf("spec.containers[%d].securityContext.privileged", [i])
          msg := sprintf("container %s is privileged", [c.name])
        }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: NoPrivileged
metadata: {name: everywhere}
spec: {match: {kinds: [{apiGroups: [""], kinds: ["Pod"]}], excludedNamespaces: ["kube-*"]}}
---
apiVersion: templates.gatekeeper.sh/v1beta1
kind: ConstraintTemplate
metadata: {name: uniquehost}
spec:
  crd: {spec: {names: {kind: UniqueHost}}}
  targets:
    - target: admission.k8s.gatekeeper.sh
      rego: |
        package uniquehost
        import data.lib.same.other
        violation[{"msg": msg}] {
          host := input.review.object.spec.host
          o := data.inventory.namespace[ns]["example.com/v1"].Route[name]
          o.spec.host == host
          other(o, input.review)
          msg := sprintf("%s is also in %s/%s", [host, ns, name])
        }
      libs:
        - |
          package lib.same
          other(o, review) { o.metadata.namespace != review.namespace }
          other(o, review) { o.metadata.name != review.name }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: UniqueHost
metadata: {name: hosts}
spec:
  enforcementAction: warn
  match: {kinds: [{apiGroups: ["example.com"], kinds: ["Route"]}], namespaceSelector: {matchLabels: {tier: gold}}}
"#;

const APP: &str = r#"apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
spec:
  template:
    spec:
      containers:
        - name: app
          env: [{name: PASSWORD, value: hunter2}]
          securityContext: {privileged: true}
        - name: side
---
apiVersion: v1
kind: Pod
metadata: {name: agent, namespace: kube-system}
spec: {containers: [{name: a, securityContext: {privileged: true}}]}
---
apiVersion: v1
kind: Secret
metadata: {name: s, namespace: shop}
stringData: {key: hunter2}
"#;

fn library() -> Library {
    let mut builder = LibraryBuilder::new();
    builder.add("test", "p.yaml", POLICIES.as_bytes()).unwrap();
    builder.build().unwrap()
}

fn options() -> ScanOptions {
    let run: Scan = serde_json::from_value(json!({
        "id": "s1", "source": "bartizan/k8s", "source_version": "0", "scope": {"kind": "cluster", "name": "c"},
        "complete": true, "started": "2026-11-21T00:00:00Z", "finished": "2026-11-21T00:00:01Z"
    }))
    .unwrap();
    ScanOptions::new(run)
}

fn run(files: &[(&str, &str)], options: &ScanOptions) -> ScanOutput {
    let sources = files
        .iter()
        .map(|(name, text)| Source::new(*name, text.as_bytes()));
    scan(&library(), sources, options, &|_| {}).unwrap()
}

fn lines(report: &Report) -> Vec<String> {
    report
        .results
        .iter()
        .filter(|r| {
            !matches!(r.outcome, Outcome::Pass) || !r.check.as_str().starts_with("bartizan/input")
        })
        .map(|r| {
            let place = r
                .location
                .as_ref()
                .map(|l| format!("{}:{}", l.file, l.line))
                .unwrap_or_default();
            let said = r
                .suppression
                .as_ref()
                .map(|s| format!(" [{}: {}]", s.by, s.reason))
                .unwrap_or_default();
            let text = r.outcome.why().unwrap_or(&r.message);
            format!(
                "{} {} {} @{} {} {}{said}",
                r.check,
                r.asset,
                r.locus,
                place,
                r.outcome.word(),
                text
            )
        })
        .collect()
}

#[test]
fn a_workload_is_judged_by_its_pod() {
    let output = run(&[("app.yaml", APP)], &options());
    assert_eq!(
        lines(&output.report),
        [
            "rego/test/noprivileged cluster:c/apps/Deployment/shop/web  @app.yaml:1 not_applicable judged for each place within it",
            "rego/test/noprivileged cluster:c/apps/Deployment/shop/web container:app @app.yaml:10 fail container app is privileged (Pod template at spec.template)",
            "rego/test/noprivileged cluster:c/apps/Deployment/shop/web container:side @app.yaml:13 pass ",
        ]
    );
    let fail = output
        .report
        .results
        .iter()
        .find(|r| r.outcome == Outcome::Fail)
        .unwrap();
    assert_eq!(
        serde_json::to_value(&fail.evidence).unwrap(),
        json!([{"path": "spec.template.spec.containers[0].securityContext.privileged", "actual": "true", "expected": "false"}])
    );
    let check = &output.report.checks[2];
    assert_eq!(
        (check.title.as_str(), check.severity.word()),
        ("No privileged containers", "high")
    );
    assert_eq!(check.references.len(), 2);
    // Nothing secret leaves, and every asset is observed.
    let text = serde_json::to_string(&output.report.observations).unwrap();
    assert!(!text.contains("hunter2"));
    assert_eq!(output.report.observations.len(), 4);
}

#[test]
fn a_fixed_container_passes_where_it_failed() {
    let fixed = APP.replace("privileged: true", "privileged: false");
    let output = run(&[("app.yaml", &fixed)], &options());
    let at = output
        .report
        .results
        .iter()
        .find(|r| r.locus == "container:app")
        .unwrap();
    assert_eq!(at.outcome, Outcome::Pass);
}

#[test]
fn other_objects_and_namespaces_of_the_input_are_known() {
    let route = |ns: &str, name: &str| {
        format!(
            "---\napiVersion: example.com/v1\nkind: Route\nmetadata: {{name: {name}, namespace: {ns}}}\nspec: {{host: h.example.com}}\n"
        )
    };
    let spaces = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {tier: gold}}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: b}\n";
    let routes = [route("a", "x"), route("b", "x"), route("c", "x")].concat();
    let output = run(&[("r.yaml", &routes), ("ns.yaml", spaces)], &options());
    assert_eq!(
        lines(&output.report),
        [
            "rego/test/uniquehost cluster:c/example.com/Route/a/x  @r.yaml:2 fail h.example.com is also in b/x; h.example.com is also in c/x",
            "rego/test/uniquehost cluster:c/example.com/Route/c/x  @r.yaml:12 unknown its constraint selects by labels of the Namespace \"c\", which is not known",
        ]
    );
}

#[test]
fn what_cannot_be_read_is_said_and_loses_nothing_else() {
    let chart = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{ .Values.name }}\n";
    let broken = "a: [\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c}]}\n---\na: 1\na: 2\n";
    let mut template = Source::new("web app/templates/pod.yaml", chart.as_bytes());
    template.chart = Some("web app".into());
    let sources = [template, Source::new("b.yaml", broken.as_bytes())];
    let output = scan(&library(), sources, &options(), &|_| {}).unwrap();
    assert_eq!(
        lines(&output.report),
        [
            "bartizan/input/readable cluster:c/file/b.yaml  @b.yaml:1 unknown b.yaml:1: unclosed bracket '[' (and 1 more in this file)",
            "bartizan/input/rendered cluster:c/file/web app/templates/pod.yaml  @web app/templates/pod.yaml:1 unknown web app/templates/pod.yaml:1: an unrendered Helm template; run: helm template 'web app' | bartizan scan k8s -",
            "rego/test/noprivileged cluster:c//Pod//p  @b.yaml:3 not_applicable judged for each place within it",
            "rego/test/noprivileged cluster:c//Pod//p container:c @b.yaml:6 pass ",
        ]
    );
}

#[test]
fn suppressions_need_a_reason_and_a_failure() {
    let annotated = APP.replacen(
        "  namespace: shop\n",
        "  namespace: shop\n  annotations:\n    bartizan.dev/ignore.noprivileged: needs the host\n    \
         bartizan.dev/ignore: '{\"other\": \"no such check\", \"noprivileged\": \" \"}'\n",
        1,
    );
    let output = run(&[("app.yaml", &annotated)], &options());
    let said: Vec<_> = lines(&output.report)
        .into_iter()
        .filter(|l| l.contains(" fail "))
        .collect();
    assert_eq!(said.len(), 1);
    assert!(
        said[0].ends_with("[annotation: needs the host]"),
        "{said:?}"
    );
    let unused: Vec<_> = output
        .unused_suppressions
        .iter()
        .map(|u| format!("{} {} {} {}", u.by, u.check, u.asset, u.why))
        .collect();
    assert_eq!(
        unused,
        [
            "annotation noprivileged cluster:c/apps/Deployment/shop/web it has no reason",
            "annotation other cluster:c/apps/Deployment/shop/web it matches no failure"
        ]
    );

    let baseline = "- {check: rego/*/noprivileged, asset: '*/web', locus: container:app, reason: r}\n\
                    - {check: '*', asset: '*/gone', reason: r}\n\
                    - {check: '*', asset: '*', reason: r, expires: 2026-01-01}\n\
                    - {check: '*', asset: '*'}\n";
    let mut with = options();
    with.baseline = Baseline::parse("base.yaml", baseline.as_bytes()).unwrap();
    let output = run(&[("app.yaml", APP)], &with);
    assert!(
        lines(&output.report)
            .iter()
            .any(|l| l.ends_with("[baseline: r]"))
    );
    let unused: Vec<_> = output
        .unused_suppressions
        .iter()
        .map(|u| u.why.as_str())
        .collect();
    assert_eq!(
        unused,
        [
            "it expired at 2026-01-01T00:00:00Z",
            "it has no reason",
            "it matches no failure"
        ]
    );
}

#[test]
fn the_report_does_not_depend_on_threads_and_an_object_twice_is_one_asset() {
    let good = APP.replace("privileged: true", "privileged: false");
    let files = [("a.yaml", good.as_str()), ("b.yaml", APP)];
    let mut one = options();
    one.threads = 1;
    let mut many = options();
    many.threads = 8;
    let (first, second) = (run(&files, &one), run(&files, &many));
    assert_eq!(first, second);
    let fails = lines(&first.report)
        .into_iter()
        .filter(|l| l.contains(" fail "))
        .count();
    assert_eq!(
        (fails, first.report.observations.len(), first.notices.len()),
        (1, 5, 3)
    );
}

#[test]
fn several_constraints_of_a_template_are_one_check() {
    let strict = "---\napiVersion: constraints.gatekeeper.sh/v1beta1\nkind: NoPrivileged\nmetadata: {name: system}\n\
                  spec: {enforcementAction: scoped, scopedEnforcementActions: [{action: warn, enforcementPoints: [{name: audit.gatekeeper.sh}]}], \
                  match: {namespaces: [kube-system], kinds: [{kinds: [Pod]}]}}\n---\n\
                  apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: NoPrivileged\nmetadata: {name: webhook}\n\
                  spec: {enforcementAction: scoped, scopedEnforcementActions: [{action: deny, enforcementPoints: [{name: validation.gatekeeper.sh}]}]}\n";
    let mut builder = LibraryBuilder::new();
    builder.add("test", "p.yaml", POLICIES.as_bytes()).unwrap();
    builder.add("mine", "q.yaml", strict.as_bytes()).unwrap();
    builder
        .add("mine", "x/samples/q.yaml", b"not: [read")
        .unwrap();
    let library = builder.build().unwrap();
    assert_eq!(library.content().len(), 2);
    assert!(
        library.notices()[0].text.contains("not audits"),
        "{:?}",
        library.notices()
    );
    let output = scan(
        &library,
        [Source::new("app.yaml", APP.as_bytes())],
        &options(),
        &|_| {},
    )
    .unwrap();
    let fails: Vec<_> = lines(&output.report)
        .into_iter()
        .filter(|l| l.contains(" fail "))
        .collect();
    assert_eq!(fails.len(), 2);
    assert!(fails.iter().any(|l| l.contains("/Pod/kube-system/agent")));
}

#[test]
fn a_library_says_where_it_is_wrong() {
    let load = |text: &str| {
        let mut builder = LibraryBuilder::new();
        match builder.add("t", "f.yaml", text.as_bytes()) {
            Err(e) => e.to_string(),
            Ok(()) => builder.build().unwrap_err().to_string(),
        }
    };
    assert_eq!(
        load("\napiVersion: constraints.gatekeeper.sh/v1beta1\nkind: Lost\nmetadata: {name: a}\n"),
        "f.yaml:2: Lost a: there is no ConstraintTemplate of kind Lost"
    );
    assert_eq!(
        load("a: 1\na: 2\n"),
        "f.yaml:2: the key \"a\" is there twice"
    );
    assert!(load("apiVersion: templates.gatekeeper.sh/v1\nkind: ConstraintTemplate\nmetadata: {name: a}\n").contains("names.kind"));
}
