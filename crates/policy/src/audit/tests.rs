//! Tests of the audit.

use super::*;
use crate::LibraryBuilder;
use serde_json::json;

const TEMPLATE: &str = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: uniquehost}
spec:
  crd: {spec: {names: {kind: UniqueHost}}}
  targets:
    - target: admission.k8s.gatekeeper.sh
      rego: |
        package uniquehost
        violation[{"msg": msg}] {
          host := input.review.object.spec.host
          other := data.inventory.namespace[ns][_]["Route"][name]
          other.spec.host == host
          not same(name, ns)
          msg := sprintf("%v is taken by %v/%v", [host, ns, name])
        }
        same(name, ns) { name == input.review.object.metadata.name; ns == input.review.object.metadata.namespace }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: UniqueHost
metadata: {name: hosts}
spec:
  enforcementAction: warn
  match: {kinds: [{apiGroups: ["x.io"], kinds: ["Route"]}], namespaceSelector: {matchLabels: {team: a}}}
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: UniqueHost
metadata: {name: only-at-the-webhook}
spec:
  enforcementAction: scoped
  scopedEnforcementActions: [{action: deny, enforcementPoints: [{name: validation.gatekeeper.sh}]}]
"#;

fn library(more: &str) -> Library {
    let mut builder = LibraryBuilder::new();
    let text = format!("{TEMPLATE}{more}");
    builder.add("t", "t.yaml", text.as_bytes()).unwrap();
    builder.build().unwrap()
}

fn route(namespace: &str, name: &str, host: &str) -> Object {
    let value = json!({"apiVersion": "x.io/v1", "kind": "Route",
        "metadata": {"name": name, "namespace": namespace}, "spec": {"host": host}});
    Object::known(("x.io", "v1", "Route"), Some(namespace), name, value)
}

fn namespace(name: &str, team: &str) -> Object {
    let value = json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": name, "labels": {"team": team}}});
    Object::known(("", "v1", "Namespace"), None, name, value)
}

fn judge(auditor: &mut Auditor, object: &Object) -> Audited {
    let asset = AssetUid::new("cluster:c/x").unwrap();
    let now = Timestamp::from_micros(1);
    auditor.judge(&asset, object, now, &|_| true)
}

fn auditor(library: &Library, objects: &[Object]) -> Auditor {
    let world = Arc::new(World::of(library, objects));
    Auditor::new(library, world, Budget::default(), Timestamp::from_micros(0))
}

#[test]
fn a_new_world_is_seen_without_new_policies() {
    let library = library("");
    let (a, b) = (route("shop", "a", "h"), route("shop", "b", "h"));
    let mut auditor = auditor(&library, &[namespace("shop", "a"), a.clone()]);
    let alone = judge(&mut auditor, &a);
    assert_eq!(alone.results[0].outcome, Outcome::Pass);
    assert!(alone.found.is_empty());
    let world = World::of(&library, &[namespace("shop", "a"), a.clone(), b]);
    auditor.renew(Arc::new(world), Timestamp::from_micros(2));
    let both = judge(&mut auditor, &a);
    assert_eq!(both.results[0].outcome, Outcome::Fail);
    assert_eq!(both.results[0].message, "[hosts] h is taken by shop/b");
    assert_eq!(
        both.found,
        [ConstraintFound {
            kind: "UniqueHost".into(),
            name: "hosts".into(),
            actions: vec!["warn"],
            messages: vec!["h is taken by shop/b".into()],
        }]
    );
}

#[test]
fn what_no_constraint_looks_at_is_outside_and_an_unknown_namespace_is_unknown() {
    let library = library("");
    let mut auditor = auditor(&library, &[namespace("shop", "b")]);
    let other = judge(&mut auditor, &route("shop", "a", "h"));
    assert!(other.results.is_empty());
    assert_eq!(other.outside.len(), 1);
    let unknown = judge(&mut auditor, &route("gone", "a", "h"));
    assert!(matches!(
        unknown.results[0].outcome,
        Outcome::Unknown { .. }
    ));
}

#[test]
fn an_exception_is_no_violation_of_the_constraint_and_is_shown() {
    let library = library(
        "---\napiVersion: bartizan.dev/v1\nkind: PolicyException\nmetadata: {name: e}\n\
         spec: {policies: [uniquehost], owner: o, reason: r, expires: 2099-01-01}\n",
    );
    let (a, b) = (route("shop", "a", "h"), route("shop", "b", "h"));
    let mut auditor = auditor(&library, &[namespace("shop", "a"), a.clone(), b]);
    let said = judge(&mut auditor, &a);
    assert!(said.found.is_empty());
    assert_eq!(said.results[0].outcome, Outcome::Fail);
    assert_eq!(
        said.results[0].suppression.as_ref().unwrap().by,
        "exception e"
    );
}

#[test]
fn a_config_leaves_namespaces_out() {
    let library = library(
        "---\napiVersion: config.gatekeeper.sh/v1alpha1\nkind: Config\nmetadata: {name: config}\n\
         spec: {match: [{excludedNamespaces: [shop], processes: [audit]}]}\n",
    );
    let mut auditor = auditor(&library, &[namespace("shop", "a")]);
    let said = judge(&mut auditor, &route("shop", "a", "h"));
    assert_eq!((said.results.len(), said.outside.len()), (0, 1));
}

#[test]
fn interests_are_of_the_constraints_that_audits_ask() {
    let interests = library("").audit_interests();
    assert_eq!(
        interests,
        [Interest {
            check: CheckUid::new("rego/t/uniquehost").unwrap(),
            kinds: vec![(vec!["x.io".into()], vec!["Route".into()])],
            by_namespace: true,
            reads: Reads::Anything,
            fingerprint: interests[0].fingerprint,
        }]
    );
    let same = library("").audit_interests();
    assert_eq!(same, interests);
    let more = library(
        "---\napiVersion: constraints.gatekeeper.sh/v1beta1\nkind: UniqueHost\nmetadata: {name: more}\n",
    );
    assert_ne!(
        more.audit_interests()[0].fingerprint,
        interests[0].fingerprint
    );
}

#[test]
fn parameters_that_do_not_fit_are_unknown_and_never_pass() {
    let text = TEMPLATE
        .replace(
            "names: {kind: UniqueHost}",
            "names: {kind: UniqueHost}, validation: {openAPIV3Schema: {type: object, properties: {most: {type: integer}}}}",
        )
        .replace("enforcementAction: warn", "parameters: {most: many}");
    let mut builder = LibraryBuilder::new();
    builder.add("t", "t.yaml", text.as_bytes()).unwrap();
    let library = builder.build().unwrap();
    let mut auditor = auditor(&library, &[namespace("shop", "a")]);
    let said = judge(&mut auditor, &route("shop", "a", "h"));
    assert!(matches!(said.results[0].outcome, Outcome::Unknown { .. }));
    assert!(said.results[0].message.contains("most"), "{said:?}");
}
