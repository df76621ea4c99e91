//! Mutators as a user writes them, on objects as they come.

use super::*;
use crate::object::{Found, objects};
use crate::providers::{Answer, Item, NoProviders};
use crate::{Limits, Source, input};
use serde_json::json;

fn read(yaml: &str) -> Vec<Object> {
    let mut all = Vec::new();
    input::read(
        Source::new("f.yaml", yaml.as_bytes()),
        &Limits::default(),
        &mut |piece| match piece {
            input::Piece::Document(document) => {
                for found in objects("f.yaml", document) {
                    match found {
                        Found::Object(object) => all.push(*object),
                        other => panic!("{other:?}"),
                    }
                }
            }
            other => panic!("{other:?}"),
        },
    );
    all
}

/// A mutator of Pods with this spec, in one line of YAML.
fn one(kind: &str, name: &str, spec: &str) -> String {
    let apply = match kind {
        "AssignMetadata" => "",
        _ => "applyTo: [{groups: [\"\"], versions: [v1], kinds: [Pod]}], ",
    };
    format!(
        "apiVersion: mutations.gatekeeper.sh/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\n\
         spec: {{{apply}{spec}}}\n---\n"
    )
}

fn pod() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web", "namespace": "shop", "labels": {"a": "b"}},
        "spec": {"containers": [
            {"name": "one", "image": "nginx:1", "ports": [{"containerPort": 80}]},
            {"name": "two", "image": "r.io/redis", "args": ["-v"]}
        ]}
    })
}

fn told(mutators: &str, object: &Value, about: &About<'_>) -> Result<Mutated, String> {
    let all = Mutators::from_objects(&read(mutators));
    if let Some(fault) = all.faults().first() {
        return Err(fault.to_string());
    }
    let mutated = all.mutate(object, about, &World::default(), &NoProviders);
    mutated.map_err(|e| e.to_string())
}

/// The patch, an operation a line.
fn patch(mutators: &str) -> String {
    let object = pod();
    match told(mutators, &object, &About::default()) {
        Ok(mutated) => {
            let patch = json_patch(&object, &mutated.object);
            let lines: Vec<_> = patch.iter().map(Value::to_string).collect();
            lines.join("\n")
        }
        Err(why) => format!("error: {why}"),
    }
}

#[test]
fn values_are_assigned() {
    insta::assert_snapshot!(patch(&one("Assign", "x",
        "location: 'spec.containers[name: *].securityContext.readOnlyRootFilesystem', \
         parameters: {assign: {value: true}}")), @r#"
    {"op":"add","path":"/spec/containers/0/securityContext","value":{"readOnlyRootFilesystem":true}}
    {"op":"add","path":"/spec/containers/1/securityContext","value":{"readOnlyRootFilesystem":true}}
    "#);
    insta::assert_snapshot!(patch(&one("Assign", "x",
        "location: 'spec.containers[name: one].ports[containerPort: 80].hostIP', \
         parameters: {assign: {fromMetadata: {field: namespace}}}")),
        @r#"{"op":"add","path":"/spec/containers/0/ports/0/hostIP","value":"shop"}"#);
    insta::assert_snapshot!(patch(&one("Assign", "x",
        "location: 'spec.containers[name: side]', \
         parameters: {assign: {value: {name: side, image: x}}}")),
        @r#"{"op":"add","path":"/spec/containers/2","value":{"image":"x","name":"side"}}"#);
    insta::assert_snapshot!(patch(&one("Assign", "x",
        "location: 'spec.tolerations[key: k].effect', parameters: {assign: {value: NoSchedule}}")),
        @r#"{"op":"add","path":"/spec/tolerations","value":[{"effect":"NoSchedule","key":"k"}]}"#);
    insta::assert_snapshot!(patch(&one("Assign", "x",
        "location: 'spec.volumes[name: *].x', parameters: {assign: {value: 1}}")), @"");
    insta::assert_snapshot!(patch(&one("Assign", "x",
        "location: 'spec.containers.image', parameters: {assign: {value: 1}}")),
        @r#"error: Assign x: the location wants a mapping for "image", the object has a list"#);
}

#[test]
fn path_tests_and_conditions_hold_it_back() {
    let set = |tests: &str| {
        patch(&one(
            "Assign",
            "x",
            &format!(
                "location: 'spec.containers[name: two].args', parameters: {{assign: {{value: []}}, {tests}}}"
            ),
        ))
    };
    let done = r#"{"op":"remove","path":"/spec/containers/1/args/0"}"#;
    let test = |path: &str, word: &str| {
        set(&format!(
            "pathTests: [{{subPath: '{path}', condition: {word}}}]"
        ))
    };
    assert_eq!(test("spec.containers[name: two].args", "MustExist"), done);
    assert_eq!(test("spec.containers[name: two].args", "MustNotExist"), "");
    assert_eq!(test("spec.containers[name: two]", "MustExist"), done);
    assert_eq!(test("spec.containers[name: two]", "MustNotExist"), "");
    assert!(test("spec.initContainers", "MustExist").starts_with("error"));
    assert_eq!(set("assignIf: {in: [[-v], [-w]]}"), done);
    assert_eq!(set("assignIf: {in: [[-w]]}"), "");
    assert_eq!(set("assignIf: {notIn: [[-v]]}"), "");
}

#[test]
fn labels_are_given_and_never_changed() {
    let label = |at: &str| {
        patch(&one(
            "AssignMetadata",
            "x",
            &format!("location: '{at}', parameters: {{assign: {{value: new}}}}"),
        ))
    };
    assert_eq!(label("metadata.labels.a"), "");
    assert_eq!(
        label("metadata.labels.\"x.io/b\""),
        r#"{"op":"add","path":"/metadata/labels/x.io~1b","value":"new"}"#
    );
    assert_eq!(
        label("metadata.annotations.c"),
        r#"{"op":"add","path":"/metadata/annotations","value":{"c":"new"}}"#
    );
    for bad in [
        "metadata.name",
        "metadata.labels",
        "spec.x.y",
        "metadata.labels.a.b",
    ] {
        assert!(label(bad).starts_with("error"), "{bad}");
    }
}

#[test]
fn sets_grow_and_shrink() {
    let set = |at: &str, rest: &str| {
        patch(&one(
            "ModifySet",
            "x",
            &format!("location: '{at}', parameters: {{{rest}}}"),
        ))
    };
    let args = "spec.containers[name: two].args";
    assert_eq!(set(args, "values: {fromList: [-v]}"), "");
    assert_eq!(
        set(args, "operation: merge, values: {fromList: [-w, -v]}"),
        r#"{"op":"add","path":"/spec/containers/1/args/1","value":"-w"}"#
    );
    assert_eq!(
        set(args, "operation: prune, values: {fromList: [-v, -x]}"),
        r#"{"op":"remove","path":"/spec/containers/1/args/0"}"#
    );
    assert_eq!(
        set(
            "spec.containers[name: one].args",
            "values: {fromList: [-v]}"
        ),
        r#"{"op":"add","path":"/spec/containers/0/args","value":["-v"]}"#
    );
    assert!(
        set(
            "spec.containers",
            "operation: merge, values: {fromList: [1]}"
        )
        .starts_with('{')
    );
    assert!(set("spec", "values: {fromList: [1]}").starts_with("error"));
    assert!(set("metadata.labels", "values: {fromList: [1]}").starts_with("error"));
}

#[test]
fn images_change_by_parts() {
    insta::assert_snapshot!(patch(&one("AssignImage", "x",
        "location: 'spec.containers[name: *].image', \
         parameters: {assignDomain: my.io, assignTag: ':9'}")), @r#"
    {"op":"replace","path":"/spec/containers/0/image","value":"my.io/nginx:9"}
    {"op":"replace","path":"/spec/containers/1/image","value":"my.io/redis:9"}
    "#);
}

#[test]
fn apply_to_and_match_choose() {
    let yaml = one(
        "Assign",
        "x",
        "location: spec.a, parameters: {assign: {value: 1}}, \
        match: {scope: Namespaced, namespaces: ['sh*'], source: Original}",
    );
    let run = |object: &Value, about: About<'_>| told(&yaml, object, &about).unwrap().rounds;
    assert_eq!(run(&pod(), About::default()), 2);
    assert_eq!(
        run(
            &pod(),
            About {
                generated: true,
                ..About::default()
            }
        ),
        0
    );
    assert_eq!(
        run(
            &pod(),
            About {
                namespace: "other",
                ..About::default()
            }
        ),
        0
    );
    let mut other = pod();
    other["kind"] = "Service".into();
    assert_eq!(run(&other, About::default()), 0);
    let update = yaml.replace("kinds: [Pod]", "kinds: [Pod], operations: [UPDATE]");
    let by = |operation| {
        let about = About {
            operation,
            ..About::default()
        };
        told(&update, &pod(), &about).unwrap().rounds
    };
    assert_eq!(
        [
            by(None),
            by(Some(Operation::Create)),
            by(Some(Operation::Update))
        ],
        [0, 0, 2]
    );
    let selects = one(
        "Assign",
        "x",
        "location: spec.a, parameters: {assign: {value: 1}}, \
        match: {namespaceSelector: {matchLabels: {tier: gold}}}",
    );
    let why = told(&selects, &pod(), &About::default()).unwrap_err();
    assert!(why.contains("cannot be told"), "{why}");
}

#[test]
fn what_undoes_each_other_does_not_come_to_rest() {
    let set = |name: &str, value: &str| {
        one(
            "Assign",
            name,
            &format!("location: spec.a, parameters: {{assign: {{value: {value}}}}}"),
        )
    };
    // The last one wins, and does so each time.
    let mutated = told(&(set("b", "2") + &set("a", "1")), &pod(), &About::default()).unwrap();
    assert_eq!(mutated.object["spec"]["a"], 2);
    assert_eq!(
        mutated
            .applied
            .iter()
            .map(Id::to_string)
            .collect::<Vec<_>>(),
        ["Assign a", "Assign b"]
    );
    let grows = one(
        "ModifySet",
        "g",
        "location: spec.l, parameters: {values: {fromList: [x]}}",
    ) + &one(
        "ModifySet",
        "h",
        "location: spec.l, parameters: {operation: prune, values: {fromList: [x]}}",
    );
    assert_eq!(
        told(&grows, &pod(), &About::default()).unwrap().object["spec"]["l"],
        json!([])
    );
    let label = "match: {labelSelector: {matchExpressions: [{key: x, operator: DoesNotExist}]}}, ";
    let flips = one(
        "Assign",
        "f",
        "location: 'spec.n[k: a].v', parameters: {assign: {value: 1}}, \
        match: {name: web}",
    ) + &set("z", "3")
        + &one(
            "AssignMetadata",
            "m",
            &format!("{label}location: metadata.labels.x, parameters: {{assign: {{value: z}}}}"),
        );
    assert_eq!(told(&flips, &pod(), &About::default()).unwrap().rounds, 2);
    let never = one(
        "Assign",
        "a",
        "location: spec.t, parameters: {assign: {value: 1}, assignIf: {notIn: [1, 2]}}",
    ) + &one(
        "Assign",
        "b",
        "location: spec.t, parameters: {assign: {value: 3}, assignIf: {in: [2]}}",
    ) + &one(
        "Assign",
        "c",
        "location: spec.t, parameters: {assign: {value: 2}, assignIf: {in: [1]}}",
    );
    let why = told(&never, &pod(), &About::default()).unwrap_err();
    assert!(why.contains("does not come to rest in 4 rounds"), "{why}");
}

#[test]
fn contradictions_are_reported_and_not_applied() {
    let a = one(
        "Assign",
        "list",
        "location: 'spec.x[k: a].v', parameters: {assign: {value: 1}}",
    );
    let b = one(
        "Assign",
        "map",
        "location: spec.x.y, parameters: {assign: {value: 1}}",
    );
    let c = one(
        "Assign",
        "key",
        "location: 'spec.x[z: a].v', parameters: {assign: {value: 1}}",
    );
    let d = one(
        "Assign",
        "value",
        "location: spec.x, parameters: {assign: {value: 1}}",
    );
    let e = one(
        "ModifySet",
        "set",
        "location: spec.x, parameters: {values: {fromList: []}}",
    );
    let f = one(
        "AssignImage",
        "image",
        "location: spec.x, parameters: {assignTag: ':1'}",
    );
    let g = one(
        "AssignMetadata",
        "free",
        "location: metadata.labels.q, parameters: {assign: {value: q}}",
    );
    let told = |yaml: String| {
        let all = Mutators::from_objects(&read(&yaml));
        assert!(all.faults().is_empty(), "{:?}", all.faults());
        let line = |(id, with): (&Id, &BTreeSet<Id>)| {
            format!(
                "{}: {}",
                id.name,
                with.iter()
                    .map(|i| i.name.as_str())
                    .collect::<Vec<_>>()
                    .join(" ")
            )
        };
        all.conflicts()
            .iter()
            .map(line)
            .collect::<Vec<_>>()
            .join("; ")
    };
    assert_eq!(told(a.clone() + &b), "list: map; map: list");
    assert_eq!(told(a.clone() + &c), "key: list; list: key");
    assert_eq!(told(a.clone() + &d), "");
    assert_eq!(told(d.clone() + &e), "");
    assert_eq!(told(b.clone() + &e), "map: set; set: map");
    assert_eq!(told(a.clone() + &e), "list: set; set: list");
    assert_eq!(told(b.clone() + &f), "map: image; image: map");
    let object = pod();
    let all = Mutators::from_objects(&read(&(a + &b + &g)));
    let mutated = all
        .mutate(&object, &About::default(), &World::default(), &NoProviders)
        .unwrap();
    assert_eq!(
        mutated
            .applied
            .iter()
            .map(|i| i.name.as_str())
            .collect::<Vec<_>>(),
        ["free"]
    );
}

struct Upper;

impl Providers for Upper {
    fn ask(&self, provider: &str, keys: &[String]) -> Result<Answer, String> {
        if provider == "down" {
            return Err("no route".into());
        }
        let items = keys.iter().map(|key| Item {
            key: key.clone(),
            value: key.to_uppercase().into(),
            error: if key == "nginx:1" {
                "unknown image".into()
            } else {
                String::new()
            },
        });
        Ok(Answer {
            items: items.collect(),
            idempotent: true,
            system_error: String::new(),
        })
    }
}

#[test]
fn external_data_is_asked_once_and_fails_as_it_says() {
    let image = |external: &str| {
        let yaml = one(
            "Assign",
            "x",
            &format!(
                "location: 'spec.containers[name: *].image', \
             parameters: {{assign: {{externalData: {{{external}}}}}}}"
            ),
        );
        let all = Mutators::from_objects(&read(&yaml));
        assert!(all.faults().is_empty(), "{:?}", all.faults());
        let object = pod();
        let about = About {
            username: "ann",
            ..About::default()
        };
        match all.mutate(&object, &about, &World::default(), &Upper) {
            Ok(m) => {
                let list = m.object["spec"]["containers"].as_array().unwrap().clone();
                list.iter()
                    .map(|c| c["image"].as_str().unwrap().to_owned())
                    .collect::<Vec<_>>()
                    .join(" ")
            }
            Err(e) => format!("error: {e}"),
        }
    };
    assert_eq!(
        image("provider: p, failurePolicy: Ignore"),
        "nginx:1 R.IO/REDIS"
    );
    assert_eq!(
        image("provider: p, failurePolicy: UseDefault, default: d"),
        "d R.IO/REDIS"
    );
    assert_eq!(
        image("provider: p"),
        "error: external data: the provider p has an error for a key: unknown image"
    );
    assert_eq!(
        image("provider: down, failurePolicy: UseDefault, default: d"),
        "d d"
    );
    let user = one(
        "AssignMetadata",
        "u",
        "location: metadata.annotations.by, parameters: \
        {assign: {externalData: {provider: p, dataSource: Username}}}",
    );
    let all = Mutators::from_objects(&read(&user));
    let about = About {
        username: "ann",
        ..About::default()
    };
    let done = all
        .mutate(&pod(), &about, &World::default(), &Upper)
        .unwrap();
    assert_eq!(done.object["metadata"]["annotations"]["by"], "ANN");
    let mut forged = pod();
    forged["spec"]["\u{0}bartizan.promise"] = json!({"provider": "p", "key": "k"});
    let refused = all.mutate(&forged, &about, &World::default(), &Upper);
    assert_eq!(refused, Err(MutateError::Forged));
}

#[test]
fn what_is_no_mutator() {
    let why = |kind: &str, spec: &str| {
        told(&one(kind, "x", spec), &pod(), &About::default()).unwrap_err()
    };
    insta::assert_snapshot!([
        why("Assign", "location: metadata.labels.x, parameters: {assign: {value: 1}}"),
        why("Assign", "location: '', parameters: {assign: {value: 1}}"),
        why("Assign", "location: 'spec.l[k: *].k', parameters: {assign: {value: 1}}"),
        why("Assign", "location: 'spec.l[k: *]', parameters: {assign: {value: {k: a}}}"),
        why("Assign", "location: 'spec.l[k: a]', parameters: {assign: {value: {k: b}}}"),
        why("Assign", "location: 'spec.l[k: a]', parameters: {assign: {fromMetadata: {field: name}}}"),
        why("Assign", "location: spec.a, parameters: {}"),
        why("Assign", "location: spec.a, parameters: {assign: {value: 1, fromMetadata: {field: name}}}"),
        why("Assign", "location: spec.a, parameters: {assign: {fromMetadata: {field: uid}}}"),
        why("Assign", "location: spec.a, parameters: {assign: {externalData: {provider: p, failurePolicy: UseDefault}}}"),
        why("Assign", "location: spec.a, parameters: {assign: {value: 1}}, match: {nmaespaces: [a]}"),
        why("AssignMetadata", "location: metadata.labels.x, parameters: {assign: {value: 1}}"),
        why("AssignMetadata", "location: metadata.labels.x, parameters: {assign: {externalData: {provider: p}}}"),
        why("ModifySet", "location: 'spec.l[k: a]', parameters: {values: {fromList: []}}"),
        why("ModifySet", "location: spec.l, parameters: {operation: add}"),
        why("AssignImage", "location: spec.image, parameters: {assignTag: latest}"),
    ].join("\n"), @r#"
    Assign x: it cannot change metadata
    Assign x: the location is empty
    Assign x: the location would change "k", by which elements of the list are known
    Assign x: all elements of a list cannot be set at once
    Assign x: the mapping that is put into the list has another "k" than the location
    Assign x: only a value can be put into a list
    Assign x: assign must have exactly one of value, fromMetadata and externalData
    Assign x: assign must have exactly one of value, fromMetadata and externalData
    Assign x: fromMetadata: the field "uid" is neither name nor namespace
    Assign x: externalData: UseDefault needs a default
    Assign x: spec.match.nmaespaces is not known
    AssignMetadata x: assign.value of a label or annotation is no text
    AssignMetadata x: labels and annotations take external data by Username only
    ModifySet x: the location of a ModifySet cannot end at elements of a list
    ModifySet x: the operation "add" is neither merge nor prune
    AssignImage x: assignTag "latest" is no tag that begins with `:` and no digest that begins with `@`
    "#);
}
