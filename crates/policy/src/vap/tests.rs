//! Policies of Kubernetes, judged and generated.

use super::*;
use crate::Budget;
use serde_json::json;

fn request() -> Value {
    json!({"operation": "CREATE", "name": "web", "namespace": "shop",
        "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
        "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
        "userInfo": {"username": "ann"}})
}

fn deployment(replicas: i64) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}},
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"name": "a", "image": "x"}]}}}})
}

fn rules(group: &str, version: &str, resource: &str) -> Value {
    json!({"resourceRules": [{"apiGroups": [group], "apiVersions": [version],
        "operations": ["CREATE", "UPDATE"], "resources": [resource]}]})
}

fn policy(extra: Value) -> Value {
    let mut spec = json!({"matchConstraints": rules("apps", "v1", "deployments"),
        "validations": [{"expression": "object.spec.replicas <= 5", "message": "too many"}]});
    for (key, value) in extra.as_object().unwrap() {
        spec[key] = value.clone();
    }
    json!({"metadata": {"name": "p"}, "spec": spec})
}

fn binding(extra: Value) -> Value {
    let mut spec = json!({"policyName": "p", "validationActions": ["Deny"]});
    for (key, value) in extra.as_object().unwrap() {
        spec[key] = value.clone();
    }
    json!({"metadata": {"name": "b"}, "spec": spec})
}

struct Known(Vec<Value>);

impl Params for Known {
    fn of_kind(&self, version: &str, kind: &str) -> Option<Kind<'_>> {
        (version == "v1" && kind == "ConfigMap").then(|| Kind {
            namespaced: Some(true),
            objects: self.0.iter().collect(),
        })
    }
}

fn judge_in(
    policy: &Value,
    binding: &Value,
    request: &Value,
    object: &Value,
    params: &dyn Params,
) -> Validated {
    let policies = [ValidatingPolicy::read(policy).unwrap()];
    let bindings = [Binding::read(binding).unwrap()];
    let namespace = json!({"metadata": {"name": "shop", "labels": {"tier": "gold"}}});
    let request = Request {
        request,
        object,
        old_object: &Value::Null,
        namespace: &namespace,
    };
    validate(&policies, &bindings, &request, params, Budget::default())
}

fn judge(policy_extra: Value, binding_extra: Value, replicas: i64) -> Validated {
    let (policy, binding) = (policy(policy_extra), binding(binding_extra));
    judge_in(&policy, &binding, &request(), &deployment(replicas), &())
}

#[test]
fn actions() {
    let none = json!({});
    assert_eq!(judge(none.clone(), none.clone(), 5), Validated::default());
    let said = judge(none.clone(), none.clone(), 6);
    assert_eq!(said.denied[0].message, "too many");
    assert_eq!(said.denied[0].reason, "Invalid");
    let said = judge(
        none.clone(),
        json!({"validationActions": ["Warn", "Audit"]}),
        6,
    );
    assert!(said.denied.is_empty());
    assert_eq!(said.warnings.len(), 1);
    assert_eq!(said.failures[0].message, "too many");
    let reason = json!({"validations": [{"expression": "false", "reason": "Forbidden", "messageExpression": "'no ' + object.metadata.name"}]});
    let said = judge(reason, none, 1);
    assert_eq!(
        (
            said.denied[0].message.as_str(),
            said.denied[0].reason.as_str()
        ),
        ("no web", "Forbidden")
    );
}

#[test]
fn what_matches() {
    let denied = |policy: Value, binding: Value| judge(policy, binding, 6);
    let none = || json!({});
    let with = |constraints: Value| json!({"matchConstraints": constraints});
    assert_eq!(
        denied(with(rules("apps", "v1", "pods")), none()),
        Validated::default()
    );
    assert_eq!(denied(with(rules("*", "*", "*")), none()).denied.len(), 1);
    assert_eq!(
        denied(with(rules("*", "*", "deployments/scale")), none()),
        Validated::default()
    );
    assert_eq!(denied(with(rules("*", "*", "*/*")), none()).denied.len(), 1);
    let mut excluded = rules("*", "*", "*");
    excluded["excludeResourceRules"] = rules("apps", "v1", "deployments")["resourceRules"].clone();
    assert_eq!(denied(with(excluded), none()), Validated::default());
    let mut named = rules("*", "*", "*");
    named["resourceRules"][0]["resourceNames"] = json!(["other"]);
    assert_eq!(denied(with(named), none()), Validated::default());
    let mut scoped = rules("*", "*", "*");
    scoped["resourceRules"][0]["scope"] = "Cluster".into();
    assert_eq!(denied(with(scoped), none()), Validated::default());
    let labels = |field: &str, value: &str| json!({"matchResources": {field: {"matchLabels": {"tier": value}}}});
    assert_eq!(
        denied(none(), labels("namespaceSelector", "gold"))
            .denied
            .len(),
        1
    );
    assert_eq!(
        denied(none(), labels("namespaceSelector", "lead")),
        Validated::default()
    );
    assert_eq!(
        denied(none(), labels("objectSelector", "gold")),
        Validated::default()
    );
    // Another version of the same resource is no miss: it is not known.
    let other = denied(with(rules("apps", "v1beta1", "deployments")), none());
    assert!(other.denied.is_empty() && other.unknown[0].fail);
    assert!(other.unknown[0].why.contains("another version"));
    let mut exact = rules("apps", "v1beta1", "deployments");
    exact["matchPolicy"] = "Exact".into();
    assert_eq!(denied(with(exact), none()), Validated::default());
    let condition = |text: &str| json!({"matchConditions": [{"name": "c", "expression": text}]});
    assert_eq!(
        denied(condition("request.userInfo.username == 'bob'"), none()),
        Validated::default()
    );
    assert_eq!(
        denied(condition("object.metadata.gone == ''"), none())
            .denied
            .len(),
        1
    );
    let other = binding(json!({"policyName": "q"}));
    let said = judge_in(&policy(none()), &other, &request(), &deployment(6), &());
    assert_eq!(said, Validated::default());
    let mut exempt = request();
    exempt["kind"] = json!({"group": "admissionregistration.k8s.io", "kind": "ValidatingAdmissionPolicy", "version": "v1"});
    let said = judge_in(
        &policy(none()),
        &binding(none()),
        &exempt,
        &deployment(6),
        &(),
    );
    assert_eq!(said, Validated::default());
}

#[test]
fn failure_policies_and_budgets() {
    let broken = |policy: &str| json!({"failurePolicy": policy, "validations": [{"expression": "object.gone"}]});
    let said = judge(broken("Fail"), json!({}), 1);
    assert!(said.denied[0].message.contains("no such key: gone"));
    let said = judge(broken("Ignore"), json!({}), 1);
    assert!(said.denied.is_empty() && !said.unknown[0].fail);
    let range = "lists.range(1000)";
    let slow = format!("{range}.all(a, {range}.all(b, {range}.all(c, a + b + c >= 0)))");
    let said = judge(json!({"validations": [{"expression": slow}]}), json!({}), 1);
    assert!(said.denied.is_empty() && said.unknown[0].fail);
    assert!(said.unknown[0].why.contains("budget"));
}

#[test]
fn parameters() {
    let of_kind = json!({"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "validations": [{"expression": "params != null && object.spec.replicas <= int(params.data.most)", "messageExpression": "'most ' + params.data.most"}],
        "auditAnnotations": [{"key": "most", "valueExpression": "params == null ? null : params.data.most"}]});
    let map = |name: &str, namespace: &str, most: &str| json!({"metadata": {"name": name, "namespace": namespace, "labels": {"for": "p"}}, "data": {"most": most}});
    let known = Known(vec![
        map("a", "shop", "2"),
        map("b", "shop", "9"),
        map("a", "other", "0"),
    ]);
    let told = |reference: Value| {
        let binding = binding(json!({"paramRef": reference}));
        judge_in(
            &policy(of_kind.clone()),
            &binding,
            &request(),
            &deployment(3),
            &known,
        )
    };
    let said = told(json!({"name": "a", "parameterNotFoundAction": "Deny"}));
    assert_eq!(said.denied[0].message, "most 2");
    assert_eq!(said.annotations["p/most"], "2");
    assert!(told(json!({"name": "b"})).denied.is_empty());
    assert_eq!(
        told(json!({"name": "a", "namespace": "other"})).denied[0].message,
        "most 0"
    );
    let said = told(json!({"selector": {"matchLabels": {"for": "p"}}}));
    assert_eq!(
        (said.denied.len(), said.annotations["p/most"].as_str()),
        (1, "2, 9")
    );
    assert!(
        told(json!({"name": "gone"})).denied[0]
            .message
            .contains("missing")
    );
    assert_eq!(
        told(json!({"name": "gone", "parameterNotFoundAction": "Allow"})),
        Validated::default()
    );
    let said = judge_in(
        &policy(of_kind.clone()),
        &binding(json!({"paramRef": {"name": "a"}})),
        &request(),
        &deployment(3),
        &(),
    );
    assert!(said.denied.is_empty() && said.unknown[0].why.contains("not known"));
    assert!(Binding::read(&binding(json!({"paramRef": {}}))).is_err());
}

#[test]
fn malformed_policies_are_refused() {
    for extra in [
        json!({"matchConstraints": {}}),
        json!({"failurePolicy": "Perhaps"}),
        json!({"validations": [{"expression": "params.x"}]}),
        json!({"validations": [{"expression": "authorizer.group('').resource('pods').check('get').allowed()"}]}),
        json!({"variables": [{"name": "a", "expression": "variables.a"}]}),
        json!({"matchConditions": [{"expression": "true"}]}),
        json!({"validations": [{"expression": "Object{}"}]}),
    ] {
        assert!(
            ValidatingPolicy::read(&policy(extra.clone())).is_err(),
            "{extra}"
        );
    }
}

fn mutated(mutations: Value, extra: Value) -> Mutated {
    let mut spec =
        json!({"matchConstraints": rules("apps", "v1", "deployments"), "mutations": mutations});
    for (key, value) in extra.as_object().unwrap() {
        spec[key] = value.clone();
    }
    let policies =
        [MutatingPolicy::read(&json!({"metadata": {"name": "p"}, "spec": spec})).unwrap()];
    let bindings =
        [
            Binding::read(&json!({"metadata": {"name": "b"}, "spec": {"policyName": "p"}}))
                .unwrap(),
        ];
    let (ask, object) = (request(), deployment(3));
    let request = Request {
        request: &ask,
        object: &object,
        old_object: &Value::Null,
        namespace: &Value::Null,
    };
    mutate(&policies, &bindings, &request, &(), Budget::default())
}

fn apply(expression: &str) -> Mutated {
    mutated(
        json!([{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}]),
        json!({}),
    )
}

fn json_patch(expression: &str) -> Mutated {
    mutated(
        json!([{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}]),
        json!({}),
    )
}

#[test]
fn apply_configurations() {
    let made = apply(
        "Object{metadata: Object.metadata{labels: {'team': 'x'}}, spec: Object.spec{replicas: object.spec.replicas + 1}}",
    );
    assert_eq!(made.denied, []);
    assert_eq!(
        made.object["metadata"]["labels"],
        json!({"app": "web", "team": "x"})
    );
    assert_eq!(made.object["spec"]["replicas"], 4);
    let made = apply("Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{containers: [
        Object.spec.template.spec.containers{name: 'a', imagePullPolicy: 'Always'},
        Object.spec.template.spec.containers{name: 'side', image: 'y'}]}}}}");
    assert_eq!(
        made.object["spec"]["template"]["spec"]["containers"],
        json!([{"name": "a", "image": "x", "imagePullPolicy": "Always"}, {"name": "side", "image": "y"}])
    );
    for wrong in [
        "Object{spec: Object.other{}}",
        "Object{spec: Object.spec{selector: {'a': 'b'}}}",
        "Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{tolerations: [{'key': 'x'}]}}}}",
        "{'spec': {}}",
        "Object{spec: Object.spec{replicas: object.gone}}",
    ] {
        let made = apply(wrong);
        assert_eq!(
            (made.denied.len(), &made.object),
            (1, &deployment(3)),
            "{wrong}"
        );
    }
}

#[test]
fn json_patches() {
    let made = json_patch("[JSONPatch{op: 'test', path: '/spec/replicas', value: 3}, JSONPatch{op: 'replace', path: '/spec/replicas', value: 9},
        JSONPatch{op: 'add', path: '/metadata/labels/' + jsonpatch.escapeKey('a/b~c'), value: 'z'},
        JSONPatch{op: 'add', path: '/spec/template/spec/containers/-', value: Object.spec.template.spec.containers{name: 'n'}},
        JSONPatch{op: 'copy', from: '/metadata/name', path: '/metadata/labels/copied'}, JSONPatch{op: 'remove', path: '/metadata/labels/app'}]");
    assert_eq!(made.denied, []);
    assert_eq!(made.object["spec"]["replicas"], 9);
    assert_eq!(
        made.object["metadata"]["labels"],
        json!({"a/b~c": "z", "copied": "web"})
    );
    assert_eq!(
        made.object["spec"]["template"]["spec"]["containers"][1],
        json!({"name": "n"})
    );
    let untouched = json_patch(
        "[JSONPatch{op: 'test', path: '/spec/replicas', value: 4}, JSONPatch{op: 'remove', path: '/spec'}]",
    );
    assert_eq!(
        (untouched.denied.len(), untouched.object),
        (0, deployment(3))
    );
    for wrong in [
        "[JSONPatch{op: 'remove', path: '/gone'}]",
        "[JSONPatch{op: 'replace', path: '/a/b', value: 1}]",
        "[1]",
        "[JSONPatch{op: 'x', path: '/a'}]",
    ] {
        assert_eq!(json_patch(wrong).denied.len(), 1, "{wrong}");
    }
    let ignored = mutated(
        json!([{"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'remove', path: '/gone'}]"}}]),
        json!({"failurePolicy": "Ignore"}),
    );
    assert_eq!((ignored.denied.len(), ignored.unknown.len()), (0, 1));
}

#[test]
fn policies_are_asked_again_if_they_want() {
    let policy = |name: &str, expression: &str, again: &str| {
        let spec = json!({"matchConstraints": rules("apps", "v1", "deployments"), "reinvocationPolicy": again,
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}]});
        MutatingPolicy::read(&json!({"metadata": {"name": name}, "spec": spec})).unwrap()
    };
    let count = "[JSONPatch{op: 'add', path: '/metadata/labels/count', value: string(size(object.spec.template.spec.containers))}]";
    let inject = "object.spec.template.spec.containers.exists(c, c.name == 's') ? [] : [JSONPatch{op: 'add', path: '/spec/template/spec/containers/-', value: {'name': 's'}}]";
    let bind = |name: &str| {
        Binding::read(&json!({"metadata": {"name": name}, "spec": {"policyName": name}})).unwrap()
    };
    for (again, count_then) in [("Never", "1"), ("IfNeeded", "2")] {
        let policies = [policy("z", inject, "Never"), policy("a", count, again)];
        let bindings = [bind("a"), bind("z")];
        let (ask, object) = (request(), deployment(3));
        let request = Request {
            request: &ask,
            object: &object,
            old_object: &Value::Null,
            namespace: &Value::Null,
        };
        let made = mutate(&policies, &bindings, &request, &(), Budget::default());
        assert_eq!(made.object["metadata"]["labels"]["count"], count_then);
    }
}

#[test]
fn policies_are_generated_from_templates() {
    let template = json!({"metadata": {"name": "k8slimit"}, "spec": {"crd": {"spec": {"names": {"kind": "K8sLimit"}}},
        "targets": [{"target": "admission.k8s.gatekeeper.sh", "code": [{"engine": "K8sNativeValidation", "source": {
            "variables": [{"name": "most", "expression": "variables.params.most"}],
            "validations": [{"expression": "variables.anyObject.spec.replicas <= variables.most", "message": "too many"}]}}]}]}});
    let made = policy_of(&template).unwrap().unwrap();
    assert_eq!(made["metadata"]["name"], "gatekeeper-k8slimit");
    assert_eq!(
        made["spec"]["paramKind"]["apiVersion"],
        "constraints.gatekeeper.sh/v1beta1"
    );
    let constraint =
        |spec: Value| json!({"kind": "K8sLimit", "metadata": {"name": "few"}, "spec": spec});
    let binding = binding_of(
        &constraint(json!({"match": {"labelSelector": {"matchLabels": {"app": "web"}}}})),
        &["deny", "dryrun"],
    )
    .unwrap();
    assert_eq!(binding["metadata"]["name"], "gatekeeper-k8slimit-few");
    assert_eq!(
        binding["spec"]["validationActions"],
        json!(["Deny", "Audit"])
    );
    assert_eq!(
        binding["spec"]["matchResources"]["objectSelector"],
        json!({"matchLabels": {"app": "web"}})
    );

    struct Constraints(Value);
    impl Params for Constraints {
        fn of_kind(&self, _: &str, kind: &str) -> Option<Kind<'_>> {
            (kind == "K8sLimit").then(|| Kind {
                namespaced: Some(false),
                objects: vec![&self.0],
            })
        }
    }
    let denies = |matching: Value| {
        let known = Constraints(constraint(
            json!({"parameters": {"most": 2}, "match": matching}),
        ));
        judge_in(&made, &binding, &request(), &deployment(3), &known)
            .denied
            .len()
            == 1
    };
    for (matching, denied) in [
        (json!({}), true),
        (
            json!({"kinds": [{"apiGroups": ["apps"], "kinds": ["Deployment"]}]}),
            true,
        ),
        (
            json!({"kinds": [{"apiGroups": ["*"], "kinds": ["Pod"]}]}),
            false,
        ),
        (json!({"namespaces": ["sh*"]}), true),
        (json!({"namespaces": ["prod"]}), false),
        (json!({"excludedNamespaces": ["*op"]}), false),
        (json!({"excludedNamespaces": ["prod"]}), true),
        (json!({"name": "we*"}), true),
        (json!({"name": "db"}), false),
    ] {
        assert_eq!(denies(matching.clone()), denied, "{matching}");
    }
    let mut off = template.clone();
    off["spec"]["targets"][0]["code"][0]["source"]["generateVAP"] = false.into();
    assert_eq!(policy_of(&off), Ok(None));
    let long = json!({"kind": "K", "metadata": {"name": "x".repeat(250)}});
    assert_eq!(
        binding_of(&long, &["warn"]).unwrap()["metadata"]["name"]
            .as_str()
            .unwrap()
            .len(),
        253
    );
    assert!(binding_of(&constraint(json!({})), &["scoped"]).is_err());
}
