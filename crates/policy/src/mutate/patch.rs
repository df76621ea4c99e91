//! The difference between two objects as a JSON Patch (RFC 6902): add, remove and replace.

use serde_json::{Map, Value, json};

/// The operations that make `after` of `before`; none where they are the same.
pub fn json_patch(before: &Value, after: &Value) -> Vec<Value> {
    let mut out = Vec::new();
    diff(before, after, &mut String::new(), &mut out);
    out
}

fn diff(before: &Value, after: &Value, at: &mut String, out: &mut Vec<Value>) {
    match (before, after) {
        (a, b) if a == b => {}
        (Value::Object(a), Value::Object(b)) => maps(a, b, at, out),
        (Value::Array(a), Value::Array(b)) => lists(a, b, at, out),
        (_, b) => out.push(json!({"op": "replace", "path": at.as_str(), "value": b})),
    }
}

fn maps(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    at: &mut String,
    out: &mut Vec<Value>,
) {
    for (key, old) in before {
        below(at, key, |at| match after.get(key) {
            Some(new) => diff(old, new, at, out),
            None => out.push(json!({"op": "remove", "path": at.as_str()})),
        });
    }
    for (key, new) in after {
        if !before.contains_key(key) {
            below(at, key, |at| {
                out.push(json!({"op": "add", "path": at.as_str(), "value": new}));
            });
        }
    }
}

/// What is the same at both ends stays; the rest is changed place by place.
fn lists(before: &[Value], after: &[Value], at: &mut String, out: &mut Vec<Value>) {
    let same = |pairs: &mut dyn Iterator<Item = (&Value, &Value)>| {
        pairs.take_while(|(a, b)| a == b).count()
    };
    let head = same(&mut before.iter().zip(after));
    let most = before.len().min(after.len()) - head;
    let tail = same(&mut before.iter().rev().zip(after.iter().rev())).min(most);
    let cut = |list: &'_ [Value]| head..list.len() - tail;
    let olds = before.get(cut(before)).unwrap_or_default();
    let news = after.get(cut(after)).unwrap_or_default();
    for (i, (old, new)) in olds.iter().zip(news).enumerate() {
        below(at, &(head + i).to_string(), |at| diff(old, new, at, out));
    }
    let both = olds.len().min(news.len());
    // From the back, so that the places before stay what they are.
    for i in (both..olds.len()).rev() {
        below(at, &(head + i).to_string(), |at| {
            out.push(json!({"op": "remove", "path": at.as_str()}));
        });
    }
    for (i, new) in news.iter().enumerate().skip(both) {
        below(at, &(head + i).to_string(), |at| {
            out.push(json!({"op": "add", "path": at.as_str(), "value": new}));
        });
    }
}

/// Runs with one more reference token at the end of the pointer.
fn below(at: &mut String, key: &str, run: impl FnOnce(&mut String)) {
    let length = at.len();
    at.push('/');
    at.push_str(&key.replace('~', "~0").replace('/', "~1"));
    run(at);
    at.truncate(length);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 6902 as far as it is used.
    fn patched(mut value: Value, patch: &[Value]) -> Value {
        for op in patch {
            let path = op["path"].as_str().unwrap();
            if path.is_empty() {
                value = op["value"].clone();
                continue;
            }
            let (parent, last) = path.rsplit_once('/').unwrap();
            let last = last.replace("~1", "/").replace("~0", "~");
            match value.pointer_mut(parent).unwrap() {
                Value::Object(map) => match op["op"].as_str().unwrap() {
                    "remove" => drop(map.remove(&last).unwrap()),
                    _ => drop(map.insert(last, op["value"].clone())),
                },
                Value::Array(list) => {
                    let at: usize = last.parse().unwrap();
                    match op["op"].as_str().unwrap() {
                        "remove" => drop(list.remove(at)),
                        "add" => list.insert(at, op["value"].clone()),
                        _ => list[at] = op["value"].clone(),
                    }
                }
                _ => unreachable!(),
            }
        }
        value
    }

    #[test]
    fn only_what_differs_is_said() {
        let before = json!({"a/b": {"c~": 1, "gone": 2}, "l": [1, {"x": 1}, 3], "same": [1]});
        let after = json!({"a/b": {"c~": 2, "new": [3]}, "l": [0, 1, {"x": 2}, 3], "same": [1]});
        assert_eq!(
            json_patch(&before, &after),
            [
                json!({"op": "replace", "path": "/a~1b/c~0", "value": 2}),
                json!({"op": "remove", "path": "/a~1b/gone"}),
                json!({"op": "add", "path": "/a~1b/new", "value": [3]}),
                json!({"op": "replace", "path": "/l/0", "value": 0}),
                json!({"op": "replace", "path": "/l/1", "value": 1}),
                json!({"op": "add", "path": "/l/2", "value": {"x": 2}}),
            ]
        );
        assert_eq!(json_patch(&after, &after), Vec::<Value>::new());
        let added = json_patch(&json!({"l": [1, 2]}), &json!({"l": [1, 9, 2]}));
        assert_eq!(added, [json!({"op": "add", "path": "/l/1", "value": 9})]);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            (0..4_i64).prop_map(Value::from),
            "[a~/]{0,2}".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[ab~/]{0,2}", inner, 0..4)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_patch_makes_the_one_of_the_other(a in any_value(), b in any_value()) {
            prop_assert_eq!(patched(a.clone(), &json_patch(&a, &b)), b);
        }
    }
}
