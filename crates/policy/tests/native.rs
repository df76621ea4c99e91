//! Kubernetes' own admission policies at the webhook, in scans and in checks.

// A test may panic, also in the functions that its tests share.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used)]

use bartizan_model::{AssetUid, Outcome as Told, Timestamp};
use bartizan_policy::admit::Explain;
use bartizan_policy::check::Language;
use bartizan_policy::{
    AdmitOptions, Admitter, Budget, Checker, Evaluator, Failure, Library, LibraryBuilder,
    NoProviders, Outcome, Review, ReviewLimits, Verdict, World, check,
};
use serde_json::{Value, json};
use std::sync::Arc;

const POLICIES: &str = "
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: few-replicas.example.com
  annotations: {bartizan.dev/remediation: ask for fewer}
spec:
  failurePolicy: Fail
  paramKind: {apiVersion: v1, kind: ConfigMap}
  matchConstraints:
    resourceRules:
      - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}
  matchConditions:
    - {name: not-system, expression: '!object.metadata.name.startsWith(\"system-\")'}
  variables:
    - {name: most, expression: int(params.data.most)}
  validations:
    - expression: object.spec.replicas <= variables.most
      messageExpression: '\"at most \" + string(variables.most)'
  auditAnnotations:
    - {key: asked, valueExpression: string(object.spec.replicas)}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: shop}
spec:
  policyName: few-replicas.example.com
  validationActions: [Deny, Audit]
  paramRef: {name: limits, parameterNotFoundAction: Allow}
---
apiVersion: admissionregistration.k8s.io/v1beta1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: strict}
spec:
  policyName: few-replicas.example.com
  validationActions: [Warn]
  paramRef: {name: strict, namespace: shop, parameterNotFoundAction: Deny}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: team}
spec:
  reinvocationPolicy: IfNeeded
  matchConstraints:
    resourceRules:
      - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE], resources: [deployments]}
  mutations:
    - patchType: ApplyConfiguration
      applyConfiguration:
        expression: >-
          Object{metadata: Object.metadata{labels: {'team': has(object.metadata.annotations) ? 'annotated' : 'plain'}}}
---
apiVersion: admissionregistration.k8s.io/v1alpha1
kind: MutatingAdmissionPolicyBinding
metadata: {name: team}
spec: {policyName: team}
---
apiVersion: mutations.gatekeeper.sh/v1
kind: AssignMetadata
metadata: {name: note}
spec:
  location: metadata.annotations.note
  parameters: {assign: {value: made}}
";

const WORLD: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: limits, namespace: shop}
data: {most: '3'}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: strict, namespace: shop}
data: {most: '1'}
";

fn library(text: &str) -> Library {
    let mut builder = LibraryBuilder::new();
    builder.add("mine", "p.yaml", text.as_bytes()).unwrap();
    builder.build().unwrap()
}

fn deployment(name: &str, replicas: i64) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop"}, "spec": {"replicas": replicas}})
}

fn review(object: &Value) -> Review {
    let asked = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "1", "operation": "CREATE", "namespace": "shop", "name": object["metadata"]["name"],
        "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
        "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
        "userInfo": {"username": "ann"}, "object": object}});
    Review::parse(asked.to_string().as_bytes(), &ReviewLimits::default()).unwrap()
}

fn admit_in(policies: &str, world: &str, object: &Value, failure: Failure) -> Verdict {
    let library = library(policies);
    let world = World::read(&library, [("w.yaml", world.as_bytes())], &[]).unwrap();
    let options = AdmitOptions {
        budget: Budget::default(),
        failure,
    };
    let now = Timestamp::from_micros(0);
    Admitter::new(&library, Arc::new(world), options, now).admit(&review(object), now)
}

fn admit(object: &Value) -> Verdict {
    admit_in(POLICIES, WORLD, object, Failure::Open)
}

fn brief(explains: &[Explain]) -> Vec<String> {
    let one = |e: &Explain| format!("{} {:?} {}", e.constraint, e.actions, e.message);
    explains.iter().map(one).collect()
}

#[test]
fn policies_deny_warn_and_record() {
    let verdict = admit(&deployment("web", 5));
    assert_eq!(verdict.outcome, Outcome::Denied);
    assert_eq!(
        brief(&verdict.explains),
        [
            "shop [\"dryrun\", \"deny\"] at most 3",
            "strict [\"warn\"] at most 1"
        ]
    );
    let told = &verdict.explains[0];
    assert_eq!(told.policy.as_str(), "vap/mine/few-replicas.example.com");
    assert_eq!(
        told.expected.as_deref(),
        Some("object.spec.replicas <= variables.most")
    );
    assert_eq!(told.remediation, "ask for fewer");
    assert_eq!(told.template_at, "p.yaml:2");
    assert_eq!(told.constraint_at, "p.yaml:23");
    let response = verdict.response();
    assert_eq!(
        (response.code, response.message.as_str()),
        (403, "[shop] at most 3")
    );
    assert_eq!(response.warnings, ["[strict] at most 1"]);
    assert_eq!(
        response.audit_annotations["few-replicas.example.com.asked"],
        "5"
    );
    assert_eq!(admit(&deployment("web", 1)).outcome, Outcome::Allowed);
    let system = admit(&deployment("system-web", 9));
    assert_eq!(
        (system.outcome, system.explains.len()),
        (Outcome::Allowed, 0)
    );
}

#[test]
fn parameters_that_are_missing_follow_their_binding() {
    // `shop` allows that they are missing, `strict` does not, and denies then whatever it does else.
    let verdict = admit_in(POLICIES, "", &deployment("web", 9), Failure::Open);
    assert_eq!(verdict.outcome, Outcome::Denied);
    let told = brief(&verdict.explains);
    assert!(
        told.len() == 1 && told[0].starts_with("strict [\"deny\"]"),
        "{told:?}"
    );
    // What knows nothing of the cluster cannot tell.
    let library = library(POLICIES);
    let now = Timestamp::from_micros(0);
    let world = Arc::new(World::default());
    let mut admitter = Admitter::new(&library, world, AdmitOptions::default(), now);
    let verdict = admitter.admit(&review(&deployment("web", 9)), now);
    assert_eq!((verdict.outcome, verdict.allowed), (Outcome::Unknown, true));
    assert!(
        verdict.untold[0].why.contains("ConfigMap"),
        "{:?}",
        verdict.untold
    );
}

#[test]
fn a_policy_that_cannot_be_run_is_unknown() {
    let asks = POLICIES.replace(
        "object.spec.replicas <= variables.most",
        "authorizer.group('').resource('pods').check('get').allowed()",
    );
    let object = deployment("web", 9);
    let verdict = admit_in(&asks, WORLD, &object, Failure::Open);
    assert_eq!((verdict.outcome, verdict.allowed), (Outcome::Unknown, true));
    assert!(
        verdict.untold[0].why.contains("authorizer"),
        "{:?}",
        verdict.untold
    );
    let verdict = admit_in(&asks, WORLD, &object, Failure::Closed);
    assert!(!verdict.allowed);
    let other = library(&asks).outline();
    assert!(other[1].refused.is_none() && other[0].refused.is_some());
    let counts = library(&asks).native_counts().map(|(_, _, count)| count);
    assert_eq!(counts, [0, 1, 1, 0]);
}

#[test]
fn exceptions_and_gatekeepers_config() {
    let exception = "
---
apiVersion: bartizan.dev/v1
kind: PolicyException
metadata: {name: sale}
spec: {policies: ['vap/*'], constraints: [shop], owner: me, reason: a sale, expires: 2100-01-01}
---
apiVersion: config.gatekeeper.sh/v1alpha1
kind: Config
metadata: {name: config, namespace: gatekeeper-system}
spec: {match: [{excludedNamespaces: [shop], processes: ['*']}]}
";
    let policies = format!("{POLICIES}{exception}");
    let verdict = admit_in(&policies, WORLD, &deployment("web", 3), Failure::Open);
    assert_eq!(verdict.outcome, Outcome::Allowed);
    let verdict = admit_in(&policies, WORLD, &deployment("web", 5), Failure::Open);
    assert_eq!(verdict.outcome, Outcome::Allowed);
    assert_eq!(verdict.explains[0].exception.as_ref().unwrap().owner, "me");
    assert!(verdict.explains[1].exception.is_none());
}

#[test]
fn objects_are_mutated_until_nothing_changes() {
    let library = library(POLICIES);
    let world = World::default();
    let mutate = |object: &Value| {
        let budget = Budget::default();
        let asked = review(object);
        library.mutate(&asked, &world, &NoProviders, budget, Failure::Open)
    };
    let made = mutate(&deployment("web", 1)).unwrap();
    assert_eq!(made.verdict.outcome, Outcome::Allowed);
    // The annotation is the mutator's; the policy has seen it when it was asked again.
    assert_eq!(
        Value::Array(made.patch.unwrap()),
        json!([
            {"op": "add", "path": "/metadata/annotations", "value": {"note": "made"}},
            {"op": "add", "path": "/metadata/labels", "value": {"team": "annotated"}}
        ])
    );
    let broken = POLICIES.replace("'plain'", "object.metadata.gone");
    let broken = self::library(&broken);
    let budget = Budget::default();
    let asked = review(&deployment("web", 1));
    let made = broken.mutate(&asked, &world, &NoProviders, budget, Failure::Open);
    let made = made.unwrap();
    assert_eq!((made.verdict.outcome, made.patch), (Outcome::Denied, None));
    assert!(
        made.verdict.explains[0]
            .message
            .contains("no such key: gone")
    );
}

#[test]
fn manifests_are_judged_too() {
    let asset = AssetUid::new("x").unwrap();
    let library = library(POLICIES);
    assert_eq!(library.checks().len(), 1);
    let mut passed = Vec::new();
    let text = format!(
        "{WORLD}---\n{}\n---\n{}",
        deployment("web", 5),
        deployment("api", 1)
    );
    let objects = check::read("m.yaml", text.as_bytes(), &mut passed).unwrap();
    let world = World::of(&library, &objects);
    let now = Timestamp::from_micros(0);
    let mut evaluator = Evaluator::new(&library, &world, Budget::default(), now);
    let mut told = |at: usize| evaluator.judge(&asset, &objects[at]);
    assert!(told(0).is_empty());
    let result = &told(2)[0];
    assert_eq!(result.outcome, Told::Fail);
    assert_eq!(result.message, "at most 3; at most 1");
    assert_eq!(told(3)[0].outcome, Told::Pass);

    let all = format!("{POLICIES}---\n{text}");
    let objects = check::read("all.yaml", all.as_bytes(), &mut passed).unwrap();
    let mut checker = Checker::new(objects, Language::Cel, now).unwrap();
    let checked = checker.check();
    let told = checked
        .violations
        .iter()
        .map(|v| (v.action.as_str(), &*v.message))
        .collect::<Vec<_>>();
    assert_eq!(told, [("deny", "at most 3"), ("warn", "at most 1")]);
    assert_eq!(checked.untold, [""; 0]);
    assert_eq!(
        checked.violations[0].json()["constraint"]["metadata"]["name"],
        "shop"
    );

    // Who asks is not in a manifest.
    let asks = POLICIES.replace(
        "object.spec.replicas <= variables.most",
        "request.userInfo.username != 'bob'",
    );
    let library = self::library(&asks);
    let mut evaluator = Evaluator::new(&library, &world, Budget::default(), now);
    let deployment = &checker.objects()[checker.objects().len() - 1];
    let result = &evaluator.judge(&asset, deployment)[0];
    assert!(matches!(&result.outcome, Told::Unknown { why } if why.contains("who makes")));
}

#[test]
fn what_is_malformed_stops_the_load_and_what_is_loose_is_told() {
    let build = |text: &str| {
        let mut builder = LibraryBuilder::new();
        builder.add("mine", "p.yaml", text.as_bytes()).unwrap();
        builder.build()
    };
    let loose = POLICIES.replace("policyName: few-replicas.example.com", "policyName: other");
    let library = build(&loose).unwrap();
    let notices: Vec<_> = library.notices().iter().map(|n| n.text.as_str()).collect();
    assert!(
        notices[0].contains("there is no ValidatingAdmissionPolicy other"),
        "{notices:?}"
    );
    assert!(library.checks().is_empty());
    for (wrong, why) in [
        (POLICIES.replace("[Warn]", "[Shout]"), "Shout"),
        (
            POLICIES.replace("name: strict}\nspec", "name: shop}\nspec"),
            "second binding",
        ),
        (
            POLICIES.replace("resourceRules:", "rules:"),
            "resourceRules is missing",
        ),
    ] {
        let fault = build(&wrong).unwrap_err().to_string();
        assert!(
            fault.starts_with("p.yaml:") && fault.contains(why),
            "{fault}"
        );
    }
}

#[test]
fn suites_may_test_a_policy_with_its_binding() {
    let suite = r#"
kind: Suite
apiVersion: test.gatekeeper.sh/v1alpha1
tests:
- name: replicas
  template: policy.yaml
  constraint: binding.yaml
  cases:
  - {name: many, object: many.yaml, inventory: [world.yaml], assertions: [{violations: 1, message: at most 3}]}
  - {name: few, object: few.yaml, inventory: [world.yaml], assertions: [{violations: no}]}
  - {name: asked, object: review.yaml, inventory: [world.yaml], assertions: [{violations: 1}]}
  - {name: wrong, object: few.yaml, inventory: [world.yaml], assertions: [{violations: yes}]}
"#;
    let documents: Vec<&str> = POLICIES.split("---").collect();
    let read =
        |file: &str| {
            let text = match file {
            "policy.yaml" => documents[0].to_owned(),
            "binding.yaml" => documents[1].to_owned(),
            "world.yaml" => WORLD.to_owned(),
            "many.yaml" => deployment("web", 4).to_string(),
            "few.yaml" => deployment("web", 3).to_string(),
            _ => json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
                "operation": "UPDATE", "namespace": "shop", "name": "web",
                "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
                "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
                "object": deployment("web", 9), "oldObject": deployment("web", 1)}})
            .to_string(),
        };
            Ok(text.into_bytes())
        };
    let told = bartizan_policy::suite::run(suite.as_bytes(), &read).unwrap();
    let faults: Vec<_> = told.iter().map(|case| case.fault.is_some()).collect();
    assert_eq!(faults, [false, false, false, true], "{told:?}");
}
