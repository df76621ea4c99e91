//! Rego as OPA means it: tricky policies and what Gatekeeper 3.23 (`gator test`) says of them,
//! bounds, and what must not be reachable.

// A test may panic, also in the functions that its tests share.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used)]

use bartizan_model::{AssetUid, Outcome, ScopeId, Timestamp};
use bartizan_policy::{
    Budget, Evaluator, LibraryBuilder, Object, ScanOptions, Source, World, scan,
};
use serde_json::{Value, json};
use std::time::Duration;

fn files(rego: &str, extra: &str) -> String {
    let indented = rego.replace('\n', "\n        ");
    format!(
        "apiVersion: templates.gatekeeper.sh/v1\nkind: ConstraintTemplate\nmetadata: {{name: probe}}\nspec:\n  \
         crd: {{spec: {{names: {{kind: Probe}}}}}}\n  targets:\n    - target: admission.k8s.gatekeeper.sh\n      \
         rego: |\n        {indented}\n{extra}---\napiVersion: constraints.gatekeeper.sh/v1beta1\nkind: Probe\n\
         metadata: {{name: probe}}\nspec:\n  parameters: {{list: [1, 2], text: \"a\"}}\n"
    )
}

fn pod() -> Object {
    let mut object = bartizan_policy::seeded::object(1, 2);
    object.value = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"n": 5, "name": "web"}});
    object
}

/// The messages, or why it is unknown.
fn judge_within(rego: &str, budget: Budget) -> Result<Vec<String>, String> {
    let mut builder = LibraryBuilder::new();
    builder
        .add("t", "t.yaml", files(rego, "").as_bytes())
        .map_err(|e| e.to_string())?;
    let library = builder.build().map_err(|e| e.to_string())?;
    let world = World::default();
    let now = Timestamp::parse("2026-11-21T00:00:00Z").map_err(|e| e.to_string())?;
    let mut evaluator = Evaluator::new(&library, &world, budget, now);
    let scope = ScopeId::new("cluster:t").map_err(|e| e.to_string())?;
    let uid = AssetUid::kubernetes(&scope, "", "Pod", "", "p").map_err(|e| e.to_string())?;
    let results = evaluator.judge(&uid, &pod());
    let [result] = results.as_slice() else {
        return Err(format!("{} results", results.len()));
    };
    match &result.outcome {
        Outcome::Pass => Ok(Vec::new()),
        Outcome::Fail => Ok(result.message.split("; ").map(str::to_owned).collect()),
        other => Err(other.why().unwrap_or_default().to_owned()),
    }
}

fn judge(body: &str) -> Result<Vec<String>, String> {
    judge_within(&format!("package probe\n{body}"), Budget::default())
}

#[test]
fn tricky_policies_say_what_opa_says() {
    let spec = "input.review.object.spec";
    let cases: &[(&str, &[&str])] = &[
        // Arguments are evaluated before `not`: undefined fails the body.
        (
            "v = 1 { true }\nviolation[{\"msg\": \"x\"}] { not startswith(SPEC.missing, \"x\") }",
            &[],
        ),
        (
            "violation[{\"msg\": \"x\"}] { not startswith(SPEC.name, \"x\") }",
            &["x"],
        ),
        (
            "violation[{\"msg\": \"x\"}] { not f(\"a\", SPEC.missing) }\nf(a, b) { a == b }",
            &[],
        ),
        ("violation[{\"msg\": \"x\"}] { not SPEC.missing > 5 }", &[]),
        (
            "violation[{\"msg\": \"x\"}] { not SPEC.missing == 5 }",
            &["x"],
        ),
        ("violation[{\"msg\": \"x\"}] { not SPEC.missing }", &["x"]),
        (
            "violation[{\"msg\": \"x\"}] { not f(r) }\nf(a) { a }\nr { SPEC.missing }",
            &[],
        ),
        ("violation[{\"msg\": \"x\"}] { not SPEC.n != 5 }", &["x"]),
        // Undefined in assignments and comprehensions.
        ("violation[{\"msg\": \"x\"}] { y := SPEC.missing }", &[]),
        (
            "violation[{\"msg\": \"x\"}] { c := input.parameters.list[_]; s := [1 | count([]) > 0]; count(s) == 0; c > 1 }",
            &["x"],
        ),
        (
            "violation[{\"msg\": m}] { b := [t | w := input.parameters.list[_]; t := f(w)]; m := sprintf(\"%v\", [b]) }\nf(w) = \"one\" { w == 1 }",
            &["[\"one\"]"],
        ),
        // A built-in that fails is undefined.
        ("violation[{\"msg\": \"x\"}] { to_number(\"abc\") }", &[]),
        (
            "violation[{\"msg\": \"x\"}] { not g }\ng { to_number(\"abc\") == 1 }",
            &["x"],
        ),
        // Missing built-ins and formats.
        (
            "violation[{\"msg\": \"x\"}] { re_match(\"^w\", SPEC.name) }",
            &["x"],
        ),
        (
            "violation[{\"msg\": \"x\"}] { any([false, true]); all([true]); not any([]); all([]); set_diff({1, 2}, {1}) == {2} }",
            &["x"],
        ),
        (
            "violation[{\"msg\": \"x\"}] { cast_set([1, 1]) == {1}; cast_string(\"a\") == \"a\" }",
            &["x"],
        ),
        (
            "violation[{\"msg\": m}] { m := sprintf(\"%v %v\", [1]) }",
            &["1 %!v(MISSING)"],
        ),
        // Shapes of rules.
        (
            "v = x { t := SPEC.missing; x := 1 }\nviolation[{\"msg\": \"x\"}] { not v }",
            &["x"],
        ),
        (
            "violation[{\"msg\": \"x\"}] { SPEC.n == 4 } { SPEC.n == 5 }",
            &["x"],
        ),
        (
            "violation[{\"msg\": \"x\"}] { a := SPEC.n\n (a - 1) >= 4 }",
            &["x"],
        ),
        (
            "violation[{\"msg\": m}] { m := sprintf(\"%d\", [time.now_ns()]) }",
            &["1795219200000000000"],
        ),
        (
            "violation[{\"msg\": \"x\"}] { f(1) with input as {\"k\": 1} }\nf(a) { input.k == a }",
            &["x"],
        ),
        (
            "violation[{\"msg\": \"x\"}] { not f(input.k) with input as {\"k\": 2} }\nf(a) { a == 1 }",
            &["x"],
        ),
        (
            "violation[{\"msg\": \"x\"}] { count(input.parameters.list) == 2; print(\"p\") }",
            &["x"],
        ),
    ];
    for (body, wanted) in cases {
        let body = body.replace("SPEC", spec);
        let wanted: Vec<String> = wanted.iter().map(|s| (*s).to_owned()).collect();
        assert_eq!(judge(&body), Ok(wanted), "{body}");
    }
}

#[test]
fn what_cannot_be_told_is_unknown() {
    for (body, part) in [
        (
            "violation[{\"msg\": m}] { m := f }\nf = 1 { true }\nf = 2 { true }",
            "error",
        ),
        (
            "violation[{\"msg\": m}] { http.send({}); m := \"x\" }",
            "http.send",
        ),
        (
            "violation[{\"msg\": m}] { m := no_such_function(1) }",
            "could not find function",
        ),
        (
            "violation[{\"msg\": m}] { m := opa.runtime().env.PATH }",
            "opa.runtime",
        ),
        ("violation = 1 { true }", "no set"),
        ("violation[{\"other\": \"x\"}] { true }", "without `msg`"),
    ] {
        let got = judge(body).expect_err(body);
        assert!(got.contains(part) || part == "error", "{body}: {got}");
    }
}

#[test]
fn a_format_numbers_its_arguments_as_go_does() {
    let body = "violation[{\"msg\": m}] { m := sprintf(\"%[2]d %[1]s\", [\"a\", 2]) }";
    assert_eq!(judge(body), Ok(vec!["2 a".to_owned()]));
}

#[test]
fn an_endless_policy_runs_out_of_budget() {
    let body = "package probe\nxs := numbers.range(1, 3000)\n\
                violation[{\"msg\": \"x\"}] { a := xs[_]; b := xs[_]; c := xs[_]; a + b + c == 0 }";
    let budget = Budget {
        time: Duration::from_millis(200),
    };
    let began = std::time::Instant::now();
    assert_eq!(
        judge_within(body, budget),
        Err("it exceeds the budget of one evaluation".into())
    );
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn cel_is_judged_and_what_cannot_be_run_is_unknown() {
    let judged = |engine: &str, expression: &str| {
        let text = format!(
            "apiVersion: templates.gatekeeper.sh/v1\nkind: ConstraintTemplate\nmetadata: {{name: probe}}\nspec:\n  \
             crd: {{spec: {{names: {{kind: Probe}}}}}}\n  targets:\n    - target: admission.k8s.gatekeeper.sh\n      \
             code: [{{engine: {engine}, source: {{validations: [{{expression: \"{expression}\", message: refused}}]}}}}]\n---\n\
             apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: Probe\nmetadata: {{name: probe}}\n"
        );
        let mut builder = LibraryBuilder::new();
        builder.add("t", "t.yaml", text.as_bytes()).unwrap();
        let library = builder.build().unwrap();
        let options = ScanOptions::new(serde_json::from_value(run()).unwrap());
        let input = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n";
        let sources = [Source::new("a.yaml", input.as_bytes())];
        let output = scan(&library, sources, &options, &|_| {}).unwrap();
        let results = output.report.results.iter();
        let mut own = results.filter(|r| r.check.as_str() == "rego/t/probe");
        own.next().unwrap().outcome.clone()
    };
    let native = "K8sNativeValidation";
    assert_eq!(judged(native, "object.metadata.name == 'a'"), Outcome::Pass);
    assert_eq!(judged(native, "object.metadata.name == 'b'"), Outcome::Fail);
    let refused = judged(native, "authorizer.path('/').check('get').allowed()");
    assert_eq!(
        refused.why(),
        Some(
            "the policy cannot be run: its CEL: validations[0]: the authorizer cannot be asked here"
        )
    );
    assert_eq!(
        judged("Lua", "true").why(),
        Some("the policy cannot be run: its engine Lua is not known")
    );
}

fn run() -> Value {
    json!({
        "id": "s1", "source": "bartizan/k8s", "source_version": "0", "scope": {"kind": "cluster", "name": "c"},
        "complete": true, "started": "2026-11-21T00:00:00Z", "finished": "2026-11-21T00:00:00Z"
    })
}
