//! What [`patterns`](super::super::patterns) and [`interpolate`](super::super::interpolate) call.

use super::format::{holds_written, opa_text, unprintable};
use super::{Builtin, Fault};
use regorus::Value;
use std::collections::BTreeMap;

pub(super) const TABLE: &[Builtin] = &[
    ("bartizan_op.shaped", 2, shaped),
    ("bartizan_op.shaped_items", 2, shaped_items),
    ("bartizan_op.text", 1, text),
    ("bartizan_op.walk", 1, walk),
];

/// Whether a value has a shape: objects with just these keys, arrays of that length; null is any.
fn has(value: &Value, shape: &Value) -> bool {
    match (shape, value) {
        (Value::Object(shape), Value::Object(map)) => {
            let part = |key: &Value, shape: &Value| map.get(key).is_some_and(|v| has(v, shape));
            shape.len() == map.len() && shape.iter().all(|(key, shape)| part(key, shape))
        }
        (Value::Array(shape), Value::Array(items)) => {
            shape.len() == items.len() && shape.iter().zip(items.iter()).all(|(s, v)| has(v, s))
        }
        (Value::Object(_) | Value::Array(_), _) => false,
        _ => true,
    }
}

fn shaped(arguments: &[Value]) -> Result<Value, Fault> {
    Ok(match arguments {
        [value, shape] if has(value, shape) => value.clone(),
        _ => Value::Undefined,
    })
}

/// Items of a collection that have a shape, by what `some key, …` gives of them.
fn shaped_items(arguments: &[Value]) -> Result<Value, Fault> {
    let [collection, shape] = arguments else {
        return Ok(Value::Undefined);
    };
    let all: Vec<(Value, &Value)> = match collection {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(i, v)| (Value::from(i), v))
            .collect(),
        Value::Set(items) => items.iter().map(|v| (v.clone(), v)).collect(),
        Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), v)).collect(),
        _ => return Ok(Value::Undefined),
    };
    let such = all.into_iter().filter(|(_, v)| has(v, shape));
    let such: BTreeMap<Value, Value> = such.map(|(k, v)| (k, v.clone())).collect();
    Ok(Value::from(such))
}

/// Texts, and sets of at most one value each.
fn text(arguments: &[Value]) -> Result<Value, Fault> {
    let Some(Value::Array(parts)) = arguments.first() else {
        return Err(Fault::error("operand must be an array"));
    };
    let mut out = String::new();
    for part in parts.iter() {
        match part {
            Value::String(text) => out.push_str(text),
            Value::Set(one) if one.len() > 1 => {
                return Err(Fault::Unknown("a text with more than one value".into()));
            }
            Value::Set(one) => match one.first() {
                None => out.push_str("<undefined>"),
                Some(Value::String(text)) => out.push_str(text),
                Some(other) if holds_written(other) => return Err(unprintable()),
                Some(other) => out.push_str(&opa_text(other)),
            },
            _ => return Err(Fault::error("a part is no text and no set")),
        }
    }
    Ok(Value::from(out.as_str()))
}

/// Parts of paths that one walk may name: they are all held at once.
const MOST: usize = 4_000_000;

/// Every value within a value, each with its path, parents first.
fn walk(arguments: &[Value]) -> Result<Value, Fault> {
    let Some(value) = arguments.first() else {
        return Ok(Value::Undefined);
    };
    let mut all = Vec::new();
    let mut named = 0;
    visit(&mut Vec::new(), value, &mut all, &mut named)?;
    Ok(Value::from(all))
}

fn visit(
    path: &mut Vec<Value>,
    value: &Value,
    all: &mut Vec<Value>,
    named: &mut usize,
) -> Result<(), Fault> {
    *named += path.len() + 1;
    if *named > MOST {
        return Err(Fault::Unknown("a value that is too large to walk".into()));
    }
    all.push(Value::from(vec![Value::from(path.clone()), value.clone()]));
    let mut below = |key: Value, value: &Value| {
        path.push(key);
        let done = visit(path, value, all, named);
        path.pop();
        done
    };
    match value {
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                below(Value::from(at), item)?;
            }
        }
        Value::Set(items) => {
            for item in items.iter() {
                below(item.clone(), item)?;
            }
        }
        Value::Object(map) => {
            for (key, item) in map.iter() {
                below(key.clone(), item)?;
            }
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::call;
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_has_the_shape_goes_through() {
        let through = |value: serde_json::Value, shape: serde_json::Value| {
            call("bartizan_op.shaped", &[value.clone(), shape]) == Some(value)
        };
        assert!(through(
            json!({"k": [1, {"l": 2}]}),
            json!({"k": [null, {"l": null}]})
        ));
        assert!(through(json!([1, "a"]), json!([null, null])));
        for value in [
            json!({"k": 1, "l": 2}),
            json!({"l": 1}),
            json!({}),
            json!([1]),
            json!("k"),
        ] {
            assert!(!through(value.clone(), json!({"k": null})), "{value}");
        }
        assert!(!through(
            json!({"k": {"l": 1, "m": 2}}),
            json!({"k": {"l": null}})
        ));
        let items = [
            json!([{"k": 1}, {"k": 2, "l": 3}, 4, {"k": null}]),
            json!({"k": null}),
        ];
        let value = call("bartizan_op.shaped_items", &items);
        assert_eq!(
            value,
            Some(json!({"0": {"k": 1}, "3": {"k": {"$null": true}}}))
        );
        assert_eq!(
            call("bartizan_op.shaped_items", &[json!("a"), json!({})]),
            None
        );
    }

    #[test]
    fn texts_say_what_is_undefined() {
        let set = |items: &[i64]| {
            let all: std::collections::BTreeSet<_> =
                items.iter().map(|n| Value::from(*n)).collect();
            Value::from(all)
        };
        let told = |parts: Vec<Value>| text(&[Value::from(parts)]).ok();
        assert_eq!(
            told(vec!["a".into(), set(&[1]), set(&[])]),
            Some("a1<undefined>".into())
        );
        assert_eq!(told(vec![set(&[1, 2])]), None);
    }

    #[test]
    fn a_walk_names_all_that_is_within() {
        assert_eq!(
            call("bartizan_op.walk", &[json!({"a": [1]})]),
            Some(json!([[[], {"a": [1]}], [["a"], [1]], [["a", 0], 1]]))
        );
        assert_eq!(
            call("bartizan_op.walk", &[json!(1)]),
            Some(json!([[[], 1]]))
        );
        let wide = vec![Value::from(vec![Value::from(0)]); MOST / 4];
        assert!(walk(&[Value::from(wide)]).is_err());
    }
}
