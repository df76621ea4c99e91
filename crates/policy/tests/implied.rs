//! Mutation and expansion through the public interface, as admission uses them.

// A test may panic, also in the functions that its tests share.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used)]

use bartizan_model::Timestamp;
use bartizan_policy::admit::AdmitOptions;
use bartizan_policy::{
    Admitter, Library, LibraryBuilder, NoProviders, Outcome, Review, ReviewLimits, World,
};
use serde_json::{Value, json};
use std::sync::Arc;

const POLICIES: &str = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: needslabel}
spec:
  crd: {spec: {names: {kind: NeedsLabel}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package needslabel
      violation[{"msg": msg}] {
        not input.review.object.metadata.labels.owner
        msg := sprintf("%v %v has no owner", [input.review.kind.kind, input.review.name])
      }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: NeedsLabel
metadata: {name: owner}
spec: {match: {source: Generated, kinds: [{apiGroups: [""], kinds: [Pod]}]}}
---
apiVersion: expansion.gatekeeper.sh/v1beta1
kind: ExpansionTemplate
metadata: {name: workloads}
spec:
  applyTo: [{groups: [apps], versions: [v1], kinds: [Deployment]}]
  templateSource: spec.template
  enforcementAction: ACTION
  generatedGVK: {group: "", version: v1, kind: Pod}
"#;

const MUTATORS: &str = r#"
apiVersion: mutations.gatekeeper.sh/v1
kind: AssignMetadata
metadata: {name: owner}
spec:
  match: {source: SOURCE}
  location: metadata.labels.owner
  parameters: {assign: {value: us}}
---
apiVersion: mutations.gatekeeper.sh/v1
kind: Assign
metadata: {name: replicas}
spec:
  applyTo: [{groups: [apps], versions: [v1], kinds: [Deployment], operations: [UPDATE]}]
  location: spec.replicas
  parameters: {assign: {value: 3}}
"#;

fn library(files: &[&str]) -> Library {
    let mut builder = LibraryBuilder::new();
    for (i, text) in files.iter().enumerate() {
        let name = format!("{i}.yaml");
        builder.add("test", &name, text.as_bytes()).unwrap();
    }
    builder.build().unwrap()
}

fn review(operation: &str, kind: &str) -> Review {
    let object = json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "web"},
        "spec": {"template": {"spec": {}}}
    });
    let request = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u-1", "operation": operation,
        "kind": {"group": "apps", "version": "v1", "kind": kind},
        "resource": {"group": "apps", "version": "v1", "resource": "x"},
        "name": "web", "namespace": "shop", "userInfo": {"username": "ada"}, "object": object
    }});
    Review::parse(request.to_string().as_bytes(), &ReviewLimits::default()).unwrap()
}

fn told(library: &Library) -> (Outcome, bool, String, Vec<String>) {
    let options = AdmitOptions::default();
    let now = Timestamp::from_micros(0);
    let mut admitter = Admitter::new(library, Arc::new(World::default()), options, now);
    let verdict = admitter.admit(&review("CREATE", "Deployment"), now);
    let response = verdict.response();
    (
        verdict.outcome,
        response.allowed,
        response.message,
        response.warnings,
    )
}

#[test]
fn what_a_deployment_implies_is_judged_with_it() {
    let text = "[owner] [Implied by workloads] Pod web-pod has no owner".to_owned();
    let policies = |action: &str| POLICIES.replace("ACTION", action);
    let deny = library(&[&policies("\"\"")]);
    assert_eq!(told(&deny), (Outcome::Denied, false, text.clone(), vec![]));
    let warn = library(&[&policies("warn")]);
    assert_eq!(
        told(&warn),
        (Outcome::Allowed, true, String::new(), vec![text])
    );
    let mutated = library(&[&policies("deny"), &MUTATORS.replace("SOURCE", "Generated")]);
    assert_eq!(
        told(&mutated),
        (Outcome::Allowed, true, String::new(), vec![])
    );
}

#[test]
fn what_cannot_be_expanded_is_unknown() {
    let text = POLICIES
        .replace("ACTION", "deny")
        .replace("spec.template", "spec.gone");
    let (outcome, ..) = told(&library(&[&text]));
    assert_eq!(outcome, Outcome::Unknown);
}

#[test]
fn a_mutating_webhook_answers_with_a_patch() {
    let library = library(&[
        &MUTATORS.replace("SOURCE", "Original"),
        "apiVersion: config.gatekeeper.sh/v1alpha1\nkind: Config\nmetadata: {name: config}\n\
         spec: {match: [{processes: [mutation-webhook], excludedNamespaces: [kube-*]}]}\n",
    ]);
    let patch = |review: &Review| {
        let world = World::default();
        let mutators = library.mutators();
        mutators
            .review(review, &library, &world, &NoProviders)
            .unwrap()
    };
    let label = json!({"op": "add", "path": "/metadata/labels", "value": {"owner": "us"}});
    let replicas = json!({"op": "add", "path": "/spec/replicas", "value": 3});
    let create = patch(&review("CREATE", "Deployment"));
    assert_eq!(create, Some(vec![label.clone()]));
    let update = patch(&review("UPDATE", "Deployment"));
    assert_eq!(update, Some(vec![label, replicas]));
    let mut left_out = review("CREATE", "Deployment");
    left_out.namespace = "kube-system".into();
    assert_eq!(patch(&left_out), None);
    let mut own = review("CREATE", "Deployment");
    own.kind.group = "mutations.gatekeeper.sh".into();
    assert_eq!(patch(&own), None);
    let mut gone = review("DELETE", "Deployment");
    gone.object = Value::Null;
    assert_eq!(patch(&gone), None);
}

#[test]
fn what_is_wrong_with_mutators_is_said() {
    let conflict = MUTATORS
        .replace("SOURCE", "Original")
        .replace("spec.replicas", "spec.a.b")
        + "---\n"
        + &MUTATORS
            .split("---\n")
            .nth(1)
            .unwrap()
            .replace("name: replicas", "name: list")
            .replace("spec.replicas", "'spec.a[k: v].b'")
        + "---\napiVersion: mutations.gatekeeper.sh/v1\nkind: ModifySet\nmetadata: {name: bad}\nspec: {}\n";
    let library = library(&[&conflict]);
    let notices: Vec<_> = library
        .notices()
        .iter()
        .map(|n| format!("{} {}", n.line, n.text))
        .collect();
    assert_eq!(
        notices,
        [
            "26 ModifySet bad: the location is empty: it is not applied",
            "18 Assign list contradicts Assign replicas: it is not applied",
            "10 Assign replicas contradicts Assign list: it is not applied",
        ]
    );
}
