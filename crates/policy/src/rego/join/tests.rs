//! What is looked up, what is left alone, and that both say the same.

use super::*;
use crate::budget::Budget;
use crate::engine::{Inventory, RegoUnit, Shared, Violation};
use crate::rego::{Module, prepare};
use bartizan_model::Timestamp;
use proptest::prelude::*;
use serde_json::json;

fn body(statements: &str) -> String {
    format!(
        "package a\nviolation[{{\"msg\": msg}}] {{ host := input.review.object.spec.host; \
         {statements}; msg := sprintf(\"%v\", [name]) }}\n\
         pure(x) = y {{ y := lower(x.spec.host) }}\n\
         not_pure(x) = y {{ y := concat(\"\", [x.spec.host, input.review.object.spec.more]) }}\n\
         by_way(x) = y {{ y := not_pure(x) }}\n"
    )
}

fn prepared(source: &str) -> Module {
    prepare(source, false).unwrap()
}

#[test]
fn equations_of_one_object_become_look_ups() {
    let all = "other := data.inventory.namespace[ns][_].Ingress[name]";
    for (statements, wanted) in [
        ("other.spec.host == host", "host"),
        ("host == other.spec.rules[_].host", "host"),
        ("lower(other.spec.host) == lower(host)", "lower(host)"),
        (
            "mine := pure(input.review.object); theirs := pure(other); theirs == mine",
            "pure(input.review.object)",
        ),
        (
            "not other.spec.off; other.spec.host == input.review.object.spec.host",
            "input.review.object.spec.host",
        ),
    ] {
        let joins = prepared(&body(&format!("{all}; {statements}"))).joins;
        let joins = joins.unwrap_or_else(|| panic!("no look-up: {statements}"));
        let wanted = format!(
            "bartizan_found_0 := object.get(data.bartizan_join[\"0\"], [{wanted}], {{}}); \
             other := bartizan_found_0.namespace[ns][_].Ingress[name]"
        );
        assert!(
            joins.source.contains(&wanted),
            "{statements}: {}",
            joins.source
        );
        let path =
            ["namespace", "", "", "Ingress", ""].map(|s| (!s.is_empty()).then(|| s.to_owned()));
        assert_eq!(joins.rules, [("bartizan_keys_0".to_owned(), path.to_vec())]);
    }
}

#[test]
fn what_is_not_sure_is_left_alone() {
    let all = "other := data.inventory.namespace[ns][_].Ingress[name]";
    for statements in [
        // Both sides speak of the object, by whatever way.
        "other.spec.host == other.spec.name",
        "x := other.spec.more; other.spec.host == x",
        "x := ns; other.spec.host == x",
        "input.review.object.spec.hosts[x]; x == other.spec.more; other.spec.list[x] == x",
        "other.spec.list[i] == input.review.object.spec.list[i]",
        // It ranges.
        "other.spec.host == input.review.object.spec.hosts[_]",
        // It binds, or is something else.
        "other.spec.host = host",
        "other.spec.host != host",
        "not other.spec.host == host",
        // It depends on the review.
        "not_pure(other) == host",
        "by_way(other) == host",
        "concat(\"\", [other.spec.host, host]) == host",
        "other.spec.host == host with input as {}",
    ] {
        let module = prepared(&body(&format!("{all}; {statements}")));
        assert_eq!(module.joins, None, "{statements}");
    }
    let mocked = body(&format!("{all}; other.spec.host == host"));
    let mocked = format!("{mocked}z {{ violation with data.inventory as {{}} }}\n");
    assert_eq!(prepared(&mocked).joins, None);
}

fn ask(module: &Module, inventory: &Value, review: &Value) -> Result<Vec<Violation>, String> {
    let inventory = Inventory::of(inventory);
    let now = Timestamp::from_micros(0);
    let modules = std::slice::from_ref(module);
    let mut unit = RegoUnit::new(modules, Some(&inventory), now, Budget::default())?;
    unit.evaluate(&Shared::of(review), &Shared::of(&json!({})))
}

fn host() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[ab]{1,2}".prop_map(Value::from),
        "[AB]{1,2}".prop_map(Value::from),
        Just(json!(1)),
        Just(json!(1.0)),
        Just(Value::Null),
        Just(json!({"a": 1})),
        Just(json!(["a"])),
    ]
}

fn object() -> impl Strategy<Value = Value> {
    (
        proptest::option::of(host()),
        proptest::collection::vec(host(), 0..3),
        any::<bool>(),
    )
        .prop_map(|(host, hosts, off)| {
            let rules: Vec<Value> = hosts.into_iter().map(|h| json!({"host": h})).collect();
            let mut spec = json!({"rules": rules});
            if let Some(host) = host {
                spec["host"] = host;
            }
            if off {
                spec["off"] = true.into();
            }
            json!({"spec": spec})
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn look_ups_say_the_same(
        objects in proptest::collection::vec((0..3_usize, object()), 0..12),
        review in object(),
        which in 0..6_usize,
    ) {
        let statements = [
            "other.spec.host == host",
            "host == other.spec.rules[_].host",
            "lower(other.spec.host) == lower(host)",
            "mine := pure(input.review.object); theirs := pure(other); theirs == mine",
            "not other.spec.off; ns != \"n1\"; other.spec.host == host",
            "n := count([1 | x := data.inventory.namespace[_][_].Ingress[_]; x.spec.host == host]); \
             n > 1; other.spec.host == host",
        ][which];
        let all = "other := data.inventory.namespace[ns][_].Ingress[name]";
        let joined = prepared(&body(&format!("{all}; {statements}")));
        prop_assert!(joined.joins.is_some());
        let mut plain = joined.clone();
        plain.joins = None;
        let mut inventory = json!({"namespace": {}});
        for (n, (ns, object)) in objects.into_iter().enumerate() {
            let version = format!("networking.k8s.io/v{}", n % 2);
            inventory["namespace"][format!("n{ns}")][version]["Ingress"][format!("i{n}")] = object;
        }
        let review = json!({"object": review});
        prop_assert_eq!(ask(&joined, &inventory, &review), ask(&plain, &inventory, &review));
    }
}
