//! Templates in CEL, and beside their Rego.

use super::native::{Activation, NativeCode};
use crate::Budget;
use serde_json::{Value as Json, json};

fn review(operation: &str, object: Json, old: Json) -> (Json, Json, Json) {
    let request = json!({"operation": operation, "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "name": "web", "namespace": "shop", "userInfo": {"username": "ann"}, "uid": "1"});
    (request, object, old)
}

fn judge(source: Json, review: (Json, Json, Json), params: Json) -> Result<Vec<String>, String> {
    let code = NativeCode::compile(&source).map_err(|why| format!("compile: {why}"))?;
    let (request, object, old) = review;
    let namespace = json!({"kind": "Namespace", "metadata": {"name": "shop", "labels": {"tier": "gold"},
        "managedFields": []}});
    let activation = Activation {
        object: &object,
        old_object: &old,
        request: &request,
        namespace_object: &namespace,
        params: &params,
    };
    let all = code.evaluate(&activation, &Budget::default())?;
    Ok(all.into_iter().map(|v| v.message).collect())
}

fn create(source: Json, object: Json, params: Json) -> Result<Vec<String>, String> {
    judge(source, review("CREATE", object, Json::Null), params)
}

fn validate(expression: &str) -> Json {
    json!({"validations": [{"expression": expression, "message": "no"}]})
}

#[test]
fn variables_are_lazy_and_messages_fall_back() {
    let source = json!({
        "variables": [
            {"name": "broken", "expression": "object.gone.deeper"},
            {"name": "names", "expression": "variables.anyObject.spec.containers.map(c, c.name)"},
            {"name": "bad", "expression": "variables.names.filter(n, n in variables.params.forbidden)"},
        ],
        "validations": [
            {"expression": "size(variables.bad) == 0", "messageExpression": "'found: ' + variables.bad.join(', ')"},
            {"expression": "size(variables.names) == 1", "message": " too many ", "messageExpression": "'two\\nlines'"},
            {"expression": "size(variables.names) < 2", "messageExpression": "object.nothing"},
            {"expression": "true || variables.broken"},
        ]
    });
    let object = json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}});
    let params = json!({"forbidden": ["b"]});
    assert_eq!(
        create(source, object, params).unwrap(),
        [
            "found: b",
            "too many",
            "failed expression: size(variables.names) < 2"
        ]
    );
}

#[test]
fn errors_are_violations_unless_they_are_ignored() {
    let source = |policy: &str| json!({"failurePolicy": policy, "validations": [{"expression": "object.spec.gone == 1"}]});
    let object = || json!({"spec": {}});
    assert_eq!(
        create(source("Fail"), object(), Json::Null).unwrap(),
        ["expression 'object.spec.gone == 1' resulted in error: no such key: gone"]
    );
    let ignored = create(source("Ignore"), object(), Json::Null);
    assert!(ignored.unwrap_err().contains("no such key"));
    assert!(create(source("Maybe"), object(), Json::Null).is_err());
    let other = json!({"failurePolicy": "Ignore", "validations": [
        {"expression": "object.gone"}, {"expression": "false", "message": "no"}]});
    assert_eq!(create(other, object(), Json::Null).unwrap(), ["no"]);
    // What is not true is denied, whatever it is.
    let number = create(
        validate("object.spec.n"),
        json!({"spec": {"n": 1}}),
        Json::Null,
    );
    assert_eq!(number.unwrap(), ["no"]);
}

#[test]
fn match_conditions() {
    let source = |expression: &str| json!({"matchCondition": [{"name": "c", "expression": expression}], "validations": [{"expression": "false", "message": "no"}]});
    let told = |expression: &str| create(source(expression), json!({}), Json::Null);
    assert_eq!(
        told("request.name == 'other'").unwrap(),
        Vec::<String>::new()
    );
    assert_eq!(told("request.name == 'web'").unwrap(), ["no"]);
    assert!(told("object.gone").unwrap()[0].contains("no such key: gone"));
}

#[test]
fn what_an_expression_sees() {
    let holds =
        |expression: &str| create(validate(expression), json!({"a": 1}), Json::Null).unwrap();
    for expression in [
        "variables.params == null && !has(variables.params.x)",
        "request.operation == 'CREATE' && request.userInfo.username == 'ann' && !request.dryRun",
        "request.kind.kind == 'Pod' && request.requestKind.kind == 'Pod' && !has(request.uid)",
        "!has(request.object) && !has(request.subResource) && request.namespace == 'shop'",
        "namespaceObject.metadata.labels.tier == 'gold' && !has(namespaceObject.kind)",
        "!has(namespaceObject.metadata.managedFields) && oldObject == null",
        "variables.anyObject == object",
    ] {
        assert_eq!(holds(expression), Vec::<String>::new(), "{expression}");
    }
    let gone = review("DELETE", json!({"a": 1}), json!({"a": 1}));
    let expression = "object == null && variables.anyObject == oldObject && oldObject.a == 1";
    assert!(
        judge(validate(expression), gone, Json::Null)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn what_is_not_known_is_refused_at_load() {
    for expression in [
        "params.spec",
        "variables.gone",
        "authorizer.path('/').check('get').allowed()",
        "1 +",
    ] {
        let why = create(validate(expression), json!({}), Json::Null).unwrap_err();
        assert!(why.starts_with("compile: validations[0]: "), "{why}");
    }
    let named = |name: &str| json!({"variables": [{"name": name, "expression": "1"}]});
    for name in ["params", "anyObject", "gatekeeper_internal_x", ""] {
        assert!(
            create(named(name), json!({}), Json::Null).is_err(),
            "{name}"
        );
    }
    let early = json!({"variables": [{"name": "a", "expression": "variables.b"}, {"name": "b", "expression": "1"}]});
    assert!(create(early, json!({}), Json::Null).is_err());
    assert!(NativeCode::compile(&json!([])).is_err());
}

#[test]
fn a_budget_that_is_spent_is_never_a_verdict() {
    let many = json!({"list": vec![0; 2_000]});
    let loops = "object.list.all(a, object.list.all(b, object.list.all(c, a + b + c == 0)))";
    for policy in ["Fail", "Ignore"] {
        let mut source = validate(loops);
        source["failurePolicy"] = policy.into();
        let why = create(source, many.clone(), Json::Null).unwrap_err();
        assert!(why.contains("budget"), "{why}");
    }
}
