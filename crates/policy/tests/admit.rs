//! Admission through the public interface: reviews in, verdicts and answers out.

// A test may panic, also in the functions that its tests share.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used)]

use bartizan_model::Timestamp;
use bartizan_policy::admit::AdmitOptions;
use bartizan_policy::{
    Admitter, Budget, Failure, Library, LibraryBuilder, Outcome, Review, ReviewLimits, Verdict,
    World,
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const TEMPLATE: &str = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata:
  name: needslabel
  annotations: {bartizan.dev/remediation: Add the label.}
spec:
  crd: {spec: {names: {kind: NeedsLabel}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package needslabel
      violation[{"msg": msg, "details": {"path": "metadata.labels", "actual": got}}] {
        label := input.parameters.label
        not input.review.object.metadata.labels[label]
        got := object.get(input.review.object.metadata, "labels", "none")
        msg := sprintf("%v by %v lacks %v", [input.review.operation, input.review.userInfo.username, label])
      }
"#;

fn constraint(name: &str, rest: &Value) -> String {
    let mut spec = json!({
        "parameters": {"label": name},
        "match": {"kinds": [{"apiGroups": [""], "kinds": ["Pod"]}]}
    });
    for (key, value) in rest.as_object().unwrap() {
        spec[key] = value.clone();
    }
    json!({"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": "NeedsLabel",
           "metadata": {"name": name}, "spec": spec})
    .to_string()
}

fn library(files: &[&str]) -> Library {
    let mut builder = LibraryBuilder::new();
    for (i, text) in files.iter().enumerate() {
        builder
            .add("test", &format!("{i}.yaml"), text.as_bytes())
            .unwrap();
    }
    builder.build().unwrap()
}

fn now() -> Timestamp {
    Timestamp::parse("2026-11-25T00:00:00Z").unwrap()
}

fn admitter(library: &Library, world: &str, failure: Failure) -> Admitter {
    let world = World::read(library, [("w.yaml", world.as_bytes())], &[]).unwrap();
    let options = AdmitOptions {
        failure,
        ..AdmitOptions::default()
    };
    Admitter::new(library, Arc::new(world), options, now())
}

fn review(operation: &str, object: Value, old: Value) -> Review {
    let subject = if object.is_null() { &old } else { &object };
    let request = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u-1", "operation": operation,
        "kind": {"group": "", "version": "v1", "kind": subject["kind"]},
        "resource": {"group": "", "version": "v1", "resource": "x"},
        "name": subject["metadata"]["name"], "namespace": subject["metadata"]["namespace"],
        "userInfo": {"username": "ada"}, "object": object, "oldObject": old
    }});
    Review::parse(request.to_string().as_bytes(), &ReviewLimits::default()).unwrap()
}

fn pod(labels: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod",
           "metadata": {"name": "web", "namespace": "shop", "labels": labels}})
}

fn told(verdict: &Verdict) -> (Outcome, bool, u16, String, Vec<String>) {
    let answer = verdict.response();
    let (code, message) = (answer.code, answer.message);
    (
        verdict.outcome,
        answer.allowed,
        code,
        message,
        answer.warnings,
    )
}

#[test]
fn denies_warns_and_records_as_the_constraint_says() {
    let scoped = json!({"enforcementAction": "scoped", "scopedEnforcementActions": [
        {"action": "warn", "enforcementPoints": [{"name": "validation.gatekeeper.sh"}]}]});
    let audit = json!({"enforcementAction": "scoped", "scopedEnforcementActions": [
        {"action": "deny", "enforcementPoints": [{"name": "audit.gatekeeper.sh"}]}]});
    let library = library(&[
        TEMPLATE,
        &constraint("deny", &json!({})),
        &constraint("dry", &json!({"enforcementAction": "dryrun"})),
        &constraint("scoped", &scoped),
        &constraint("audit", &audit),
    ]);
    let mut admitter = admitter(&library, "", Failure::Open);
    let verdict = admitter.admit(&review("CREATE", pod(json!({})), Value::Null), now());
    assert_eq!(
        told(&verdict),
        (
            Outcome::Denied,
            false,
            403,
            "[deny] CREATE by ada lacks deny".to_owned(),
            vec!["[scoped] CREATE by ada lacks scoped".to_owned()]
        )
    );
    let names: Vec<_> = verdict
        .explains
        .iter()
        .map(|e| e.constraint.as_str())
        .collect();
    assert_eq!(names, ["deny", "dry", "scoped"]);
    let first = &verdict.explains[0];
    assert_eq!(first.path.as_deref(), Some("metadata.labels"));
    assert_eq!(first.actual.as_deref(), Some("{}"));
    assert_eq!(first.remediation, "Add the label.");
    assert_eq!(
        (first.template_at.as_str(), first.constraint_at.as_str()),
        ("0.yaml:2", "1.yaml:1")
    );
    let good = pod(json!({"deny": "x", "scoped": "x", "dry": "x"}));
    let verdict = admitter.admit(&review("CREATE", good, Value::Null), now());
    assert_eq!(
        told(&verdict),
        (Outcome::Allowed, true, 200, String::new(), vec![])
    );
    assert_eq!(verdict.evaluated, 3);
    let other = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}});
    let verdict = admitter.admit(&review("CREATE", other, Value::Null), now());
    assert_eq!((verdict.outcome, verdict.evaluated), (Outcome::Allowed, 0));
}

#[test]
fn a_change_and_a_deletion_are_matched_by_the_old_object_too() {
    let matching = json!({"match": {"labelSelector": {"matchLabels": {"old": "1"}}}});
    let library = library(&[TEMPLATE, &constraint("a", &matching)]);
    let mut admitter = admitter(&library, "", Failure::Open);
    let mut outcome = |operation, object, old| {
        admitter
            .admit(&review(operation, object, old), now())
            .outcome
    };
    let old = || pod(json!({"old": "1"}));
    assert_eq!(outcome("UPDATE", pod(json!({})), old()), Outcome::Denied);
    assert_eq!(
        outcome("UPDATE", pod(json!({})), pod(json!({}))),
        Outcome::Allowed
    );
    assert_eq!(
        outcome("UPDATE", pod(json!({"a": "1"})), old()),
        Outcome::Allowed
    );
    assert_eq!(outcome("DELETE", Value::Null, old()), Outcome::Denied);
    assert_eq!(
        outcome("DELETE", pod(json!({})), Value::Null),
        Outcome::Unknown
    );
}

#[test]
fn what_cannot_be_told_follows_the_failure_setting() {
    let selector = json!({"match": {"namespaceSelector": {"matchLabels": {"tier": "gold"}}}});
    let library = library(&[TEMPLATE, &constraint("a", &selector)]);
    let bare = || review("CREATE", pod(json!({})), Value::Null);
    let mut open = admitter(&library, "", Failure::Open);
    let verdict = open.admit(&bare(), now());
    let why = "[a] not judged: its constraint selects by labels of the Namespace \"shop\", which is not known";
    assert_eq!(
        told(&verdict),
        (
            Outcome::Unknown,
            true,
            299,
            String::new(),
            vec![why.to_owned()]
        )
    );
    let mut closed = admitter(&library, "", Failure::Closed);
    let verdict = closed.admit(&bare(), now());
    assert_eq!(
        told(&verdict),
        (Outcome::Unknown, false, 500, why.to_owned(), vec![])
    );
    let gold = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {tier: gold}}\n";
    let mut known = admitter(&library, gold, Failure::Open);
    assert_eq!(known.admit(&bare(), now()).outcome, Outcome::Denied);
    let mut late = admitter(&library, gold, Failure::Closed);
    let verdict = late.admit_within(&bare(), now(), &mut || Duration::ZERO);
    assert_eq!(
        (verdict.outcome, verdict.allowed),
        (Outcome::Unknown, false)
    );
}

#[test]
fn a_policy_that_never_ends_is_unknown_within_its_budget() {
    let endless = TEMPLATE.replace(
        "label := input.parameters.label",
        "label := input.parameters.label\n        count([1 | numbers.range(1, 900)[_] > 0; numbers.range(1, 900)[_] > 0; numbers.range(1, 900)[_] > 0]) > 0",
    );
    let library = library(&[&endless, &constraint("a", &json!({}))]);
    let world = Arc::new(World::default());
    let options = AdmitOptions {
        budget: Budget {
            time: Duration::from_millis(100),
        },
        failure: Failure::Closed,
    };
    let mut admitter = Admitter::new(&library, world, options, now());
    let begun = std::time::Instant::now();
    let verdict = admitter.admit(&review("CREATE", pod(json!({})), Value::Null), now());
    assert_eq!(
        (verdict.outcome, verdict.allowed),
        (Outcome::Unknown, false)
    );
    assert!(
        verdict.untold[0].why.contains("budget"),
        "{:?}",
        verdict.untold
    );
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn namespaces_are_left_out_by_config_and_by_label() {
    let config = "apiVersion: config.gatekeeper.sh/v1alpha1\nkind: Config\nmetadata: {name: config}\n\
        spec: {match: [{excludedNamespaces: ['kube-*'], processes: [webhook]}, {excludedNamespaces: [shop], processes: [audit]}]}\n";
    let library = library(&[TEMPLATE, config, &constraint("a", &json!({}))]);
    let labelled = "apiVersion: v1\nkind: Namespace\nmetadata: {name: free, labels: {admission.gatekeeper.sh/ignore: 'yes'}}\n";
    let mut admitter = admitter(&library, labelled, Failure::Open);
    let mut outcome = |namespace: &str| {
        let mut pod = pod(json!({}));
        pod["metadata"]["namespace"] = namespace.into();
        admitter
            .admit(&review("CREATE", pod, Value::Null), now())
            .outcome
    };
    assert_eq!(outcome("kube-system"), Outcome::Excluded);
    assert_eq!(outcome("free"), Outcome::Excluded);
    assert_eq!(outcome("shop"), Outcome::Denied);
}

#[test]
fn exceptions_let_pass_until_they_expire_and_unused_ones_are_told() {
    let exception = |name: &str, namespace: &str, expires: &str| {
        json!({"apiVersion": "bartizan.dev/v1", "kind": "PolicyException", "metadata": {"name": name},
               "spec": {"policies": ["needs*"], "match": {"namespaces": [namespace]},
                        "owner": "platform", "reason": "RISK-1", "expires": expires}})
        .to_string()
    };
    let library = library(&[
        TEMPLATE,
        &constraint("a", &json!({})),
        &exception("good", "shop", "2027-01-01"),
        &exception("over", "shop", "2026-01-01"),
        &exception("idle", "elsewhere", "2027-01-01"),
    ]);
    let mut admitter = admitter(&library, "", Failure::Open);
    let verdict = admitter.admit(&review("CREATE", pod(json!({})), Value::Null), now());
    assert_eq!((verdict.outcome, verdict.allowed), (Outcome::Allowed, true));
    assert_eq!(
        verdict.explains[0].exception.as_ref().unwrap().owner,
        "platform"
    );
    let unused: Vec<_> = library
        .unused_exceptions(now())
        .into_iter()
        .map(|u| (u.asset, u.why))
        .collect();
    assert_eq!(
        unused,
        [
            (
                "over".to_owned(),
                "it expired at 2026-01-01T00:00:00Z".to_owned()
            ),
            ("idle".to_owned(), "it matches no failure".to_owned())
        ]
    );
    let later = Timestamp::parse("2027-06-01T00:00:00Z").unwrap();
    let verdict = admitter.admit(&review("CREATE", pod(json!({})), Value::Null), later);
    assert_eq!(verdict.outcome, Outcome::Denied);
    let lacking = exception("x", "shop", "2027-01-01").replace("platform", "");
    let error = LibraryBuilder::new()
        .add("t", "x.yaml", lacking.as_bytes())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "x.yaml:1: PolicyException x: spec.owner is missing"
    );
}

#[test]
fn operations_and_the_clock_are_the_reviews() {
    let template = TEMPLATE
        .replace("rego: |", "operations: [CREATE]\n    rego: |")
        .replace(
            "label := input.parameters.label",
            "label := input.parameters.label\n        time.now_ns() > 1767225600000000000",
        );
    let library = library(&[&template, &constraint("a", &json!({}))]);
    let mut admitter = admitter(&library, "", Failure::Open);
    let bare = |operation| review(operation, pod(json!({})), pod(json!({})));
    let early = Timestamp::parse("2025-01-01T00:00:00Z").unwrap();
    assert_eq!(
        admitter.admit(&bare("CREATE"), now()).outcome,
        Outcome::Denied
    );
    assert_eq!(
        admitter.admit(&bare("CREATE"), early).outcome,
        Outcome::Allowed
    );
    assert_eq!(
        admitter.admit(&bare("CREATE"), now()).outcome,
        Outcome::Denied
    );
    assert_eq!(
        admitter.admit(&bare("UPDATE"), now()).outcome,
        Outcome::Allowed
    );
}

#[test]
fn policies_that_cannot_be_used_are_refused_when_they_are_applied() {
    let schema = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: sized}
spec:
  crd:
    spec:
      names: {kind: Sized}
      validation:
        openAPIV3Schema:
          type: object
          properties: {most: {type: integer, maximum: 9}, unit: {type: string, default: "Mi"}}
          required: [unit]
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package sized
      violation[{"msg": "no"}] { input.parameters.most > 3 }
"#;
    let assign = json!({"apiVersion": "mutations.gatekeeper.sh/v1", "kind": "Assign", "metadata": {"name": "a"},
        "spec": {"applyTo": [{"groups": [""], "versions": ["v1"], "kinds": ["Pod"]}], "location": "spec.x.y",
            "parameters": {"assign": {"value": 1}}}});
    let library = library(&[schema, &assign.to_string()]);
    let mut admitter = admitter(&library, "", Failure::Open);
    let mut told = |kind: (&str, &str, &str), object: Value| {
        let (group, version, word) = kind;
        let mut object = object;
        object["apiVersion"] = format!("{group}/{version}").into();
        object["kind"] = word.into();
        let mut asked = review("CREATE", object, Value::Null);
        asked.kind.group = group.to_owned();
        asked.kind.version = version.to_owned();
        let response = admitter.admit(&asked, now()).response();
        assert_eq!(response.allowed, response.code != 422);
        match response.allowed {
            true => response.warnings.join("; "),
            false => response.message,
        }
    };
    const CONSTRAINT: (&str, &str, &str) = ("constraints.gatekeeper.sh", "v1beta1", "Sized");
    let constraint = |spec: Value| json!({"metadata": {"name": "c"}, "spec": spec});
    assert_eq!(
        told(CONSTRAINT, constraint(json!({"parameters": {"most": 3}}))),
        ""
    );
    for (spec, why) in [
        (
            json!({"parameters": {"most": 10}}),
            "spec.parameters.most is too large",
        ),
        (
            json!({"parameters": {"most": "3"}}),
            "spec.parameters.most must be of type integer",
        ),
        (
            json!({"enforcementAction": "shout"}),
            "spec.enforcementAction \"shout\"",
        ),
        (
            json!({"enforcementAction": "scoped", "scopedEnforcementActions": [{"action": "deny", "enforcementPoints": [{"name": "moon"}]}]}),
            "spec.scopedEnforcementActions[0].enforcementPoints[0].name \"moon\"",
        ),
        (
            json!({"match": {"kind": []}}),
            "spec.match.kind is not known",
        ),
        (json!({"match": {"scope": "Namespace"}}), "spec.match.scope"),
        (
            json!({"match": {"labelSelector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}}),
            "operator",
        ),
    ] {
        let message = told(CONSTRAINT, constraint(spec));
        assert!(message.contains(why), "{message}");
    }
    let unknown = ("constraints.gatekeeper.sh", "v1beta1", "Other");
    assert!(told(unknown, constraint(json!({}))).contains("no ConstraintTemplate of kind Other"));

    const TEMPLATE: (&str, &str, &str) = ("templates.gatekeeper.sh", "v1", "ConstraintTemplate");
    let template = |rego: &str| {
        json!({"metadata": {"name": "t"}, "spec": {"crd": {"spec": {"names": {"kind": "T"}}},
        "targets": [{"target": "admission.k8s.gatekeeper.sh", "rego": rego}]}})
    };
    assert_eq!(
        told(
            TEMPLATE,
            template("package t\nviolation[{\"msg\": \"x\"}] { true }")
        ),
        ""
    );
    let broken = told(
        TEMPLATE,
        template("package t\nviolation[{\"msg\": x}] {\n  x := \n}"),
    );
    assert!(
        broken.starts_with("spec.targets[0]: ") && broken.contains("template.rego:2"),
        "{broken}"
    );
    let unknown = told(
        TEMPLATE,
        template("package t\nviolation[{\"msg\": \"x\"}] { gone(1) }"),
    );
    assert!(unknown.contains("gone"), "{unknown}");
    let mut wrong = template("package t\nviolation[{\"msg\": \"x\"}] { true }");
    wrong["spec"]["crd"]["spec"]["validation"] =
        json!({"openAPIV3Schema": {"properties": {"a": {"type": "text"}}}});
    assert!(told(TEMPLATE, wrong).contains("openAPIV3Schema.properties.a.type"));

    let assigns = ("mutations.gatekeeper.sh", "v1", "Assign");
    let mut other = assign.clone();
    other["metadata"]["name"] = "b".into();
    other["spec"]["location"] = "spec.x[name: y].z".into();
    assert!(told(assigns, other.clone()).contains("contradicts Assign a"));
    other["spec"]["location"] = "spec.x[".into();
    assert!(told(assigns, other).contains("the location"));
    let config = ("config.gatekeeper.sh", "v1alpha1", "Config");
    assert_eq!(
        told(config, json!({"metadata": {"name": "x"}})),
        "config resource must have name 'config'"
    );
    let sync = ("syncset.gatekeeper.sh", "v1alpha1", "SyncSet");
    let set =
        json!({"metadata": {"name": "s"}, "spec": {"gvks": [{"group": "", "version": "v1"}]}});
    assert!(told(sync, set).contains("spec.gvks[0]"));
    let expansion = ("expansion.gatekeeper.sh", "v1beta1", "ExpansionTemplate");
    assert!(told(expansion, json!({"metadata": {"name": "e"}})).contains("spec.templateSource"));
    let provider = ("externaldata.gatekeeper.sh", "v1beta1", "Provider");
    assert!(
        told(
            provider,
            json!({"metadata": {"name": "p"}, "spec": {"url": "http://x"}})
        )
        .contains("spec.url")
    );
    let exception = ("bartizan.dev", "v1", "PolicyException");
    let lax = json!({"metadata": {"name": "e"}, "spec": {"policies": ["*"], "owner": "me", "reason": "x"}});
    assert_eq!(told(exception, lax), "spec.expires is missing");
}

#[test]
fn a_constraint_whose_parameters_do_not_fit_is_unknown() {
    let template = TEMPLATE.replace(
        "names: {kind: NeedsLabel}",
        "names: {kind: NeedsLabel}, validation: {openAPIV3Schema: {properties: {label: {type: string}}}}",
    );
    let wrong = constraint("owner", &json!({"parameters": {"label": 7}}));
    let library = library(&[&template, &wrong]);
    assert!(
        library.notices()[0]
            .text
            .contains("spec.parameters.label must be of type string")
    );
    let pod =
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "a"}});
    let mut admitter = admitter(&library, "", Failure::Open);
    let verdict = admitter.admit(&review("CREATE", pod, Value::Null), now());
    assert_eq!(verdict.outcome, Outcome::Unknown);
    assert!(verdict.untold[0].why.contains("spec.parameters.label"));
}

#[test]
fn pod_security_is_judged_where_it_is_wanted() {
    let world = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {pod-security.kubernetes.io/enforce: baseline, pod-security.kubernetes.io/audit: restricted}}\n";
    let library = library(&[]);
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "a"},
        "spec": {"hostPID": true, "containers": [{"name": "c", "image": "x"}]}});
    let asked = |namespace: &str, operation: &str| {
        let mut pod = pod.clone();
        pod["metadata"]["namespace"] = namespace.into();
        let mut review = match operation {
            "DELETE" => review(operation, Value::Null, pod),
            _ => review(operation, pod, Value::Null),
        };
        review.resource.resource = "pods".to_owned();
        review
    };
    let mut admitter = admitter(&library, world, Failure::Open);
    assert_eq!(
        admitter.admit(&asked("a", "CREATE"), now()).outcome,
        Outcome::Allowed
    );
    admitter.judge_pod_security(Arc::default());
    let verdict = admitter.admit(&asked("a", "CREATE"), now());
    assert_eq!(verdict.outcome, Outcome::Denied);
    let response = verdict.response();
    assert_eq!(
        (response.code, response.message.as_str()),
        (
            403,
            "[pod-security] pods \"p\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces (hostPID=true)"
        )
    );
    assert_eq!(
        response.audit_annotations["pod-security.enforce-policy"],
        "baseline:latest"
    );
    let told: Vec<_> = verdict
        .explains
        .iter()
        .map(|e| (e.policy.as_str(), e.actions[0]))
        .collect();
    assert_eq!(
        told,
        [
            ("pod-security/kubernetes/enforce", "deny"),
            ("pod-security/kubernetes/audit", "dryrun")
        ]
    );
    assert_eq!(
        admitter.admit(&asked("a", "DELETE"), now()).outcome,
        Outcome::Allowed
    );
    // A Namespace that is not known is no pass.
    let verdict = admitter.admit(&asked("b", "CREATE"), now());
    assert_eq!(verdict.outcome, Outcome::Unknown);
    assert!(verdict.untold[0].why.contains("namespace \"b\""));
}
