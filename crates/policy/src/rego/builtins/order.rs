//! OPA's order of values, in which sets come after objects; the engine has them before.

use super::{Builtin, Fault};
use regorus::Value;
use std::cmp::Ordering;
use std::collections::BTreeSet;

pub(super) const TABLE: &[Builtin] = &[
    ("bartizan_op.lt", 2, |a| compared(a, Ordering::is_lt)),
    ("bartizan_op.le", 2, |a| compared(a, Ordering::is_le)),
    ("bartizan_op.gt", 2, |a| compared(a, Ordering::is_gt)),
    ("bartizan_op.ge", 2, |a| compared(a, Ordering::is_ge)),
    ("bartizan_op.member", 2, member),
    ("bartizan_op.member_at", 3, member_at),
    ("max", 1, |a| {
        sorted(a).map(|all| all.last().cloned().unwrap_or(Value::Undefined))
    }),
    ("min", 1, |a| {
        sorted(a).map(|all| all.first().cloned().unwrap_or(Value::Undefined))
    }),
    ("object.subset", 2, subset),
    ("sort", 1, |a| sorted(a).map(Value::from)),
];

fn rank(value: &Value) -> u8 {
    match value {
        Value::Undefined | Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
        Value::Set(_) => 6,
    }
}

/// Compares two values as OPA does.
pub(super) fn order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => each(a.iter(), b.iter()),
        (Value::Set(a), Value::Set(b)) => {
            let all = |set: &BTreeSet<Value>| {
                let mut items: Vec<Value> = set.iter().cloned().collect();
                items.sort_by(order);
                items
            };
            each(all(a).iter(), all(b).iter())
        }
        (Value::Object(a), Value::Object(b)) => {
            let mut a: Vec<_> = a.iter().collect();
            let mut b: Vec<_> = b.iter().collect();
            a.sort_by(|x, y| order(x.0, y.0));
            b.sort_by(|x, y| order(x.0, y.0));
            let keys = a
                .iter()
                .zip(&b)
                .map(|(x, y)| order(x.0, y.0).then_with(|| order(x.1, y.1)));
            let differs = keys.into_iter().find(|o| o.is_ne());
            differs.unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        _ if rank(a) != rank(b) => rank(a).cmp(&rank(b)),
        _ => a.cmp(b),
    }
}

fn each<'v>(a: impl Iterator<Item = &'v Value>, b: impl Iterator<Item = &'v Value>) -> Ordering {
    let (a, b): (Vec<_>, Vec<_>) = (a.collect(), b.collect());
    let differs = a
        .iter()
        .zip(&b)
        .map(|(x, y)| order(x, y))
        .find(|o| o.is_ne());
    differs.unwrap_or_else(|| a.len().cmp(&b.len()))
}

fn compared(arguments: &[Value], holds: fn(Ordering) -> bool) -> Result<Value, Fault> {
    match arguments {
        [a, b] => Ok(Value::from(holds(order(a, b)))),
        _ => Err(Fault::error("two operands")),
    }
}

fn sorted(arguments: &[Value]) -> Result<Vec<Value>, Fault> {
    let mut all: Vec<Value> = match arguments.first() {
        Some(Value::Array(items)) => items.to_vec(),
        Some(Value::Set(items)) => items.iter().cloned().collect(),
        _ => return Err(Fault::error("operand 1 must be an array or a set")),
    };
    all.sort_by(order);
    Ok(all)
}

/// `x in collection`; false where there is no collection.
fn member(arguments: &[Value]) -> Result<Value, Fault> {
    let [value, collection] = arguments else {
        return Err(Fault::error("two operands"));
    };
    Ok(Value::from(match collection {
        Value::Array(items) => items.contains(value),
        Value::Set(items) => items.contains(value),
        Value::Object(map) => map.iter().any(|(_, v)| v == value),
        _ => false,
    }))
}

/// `k, x in collection`.
fn member_at(arguments: &[Value]) -> Result<Value, Fault> {
    let [key, value, collection] = arguments else {
        return Err(Fault::error("three operands"));
    };
    Ok(Value::from(match collection {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .any(|(i, v)| Value::from(i) == *key && v == value),
        Value::Set(items) => key == value && items.contains(value),
        Value::Object(map) => map.iter().any(|(k, v)| k == key && v == value),
        _ => false,
    }))
}

fn subset(arguments: &[Value]) -> Result<Value, Fault> {
    match arguments {
        [Value::Array(a), Value::Set(b)] => Ok(Value::from(
            b.iter().all(|item| a.contains(item)) && !a.is_empty(),
        )),
        [a, b] => within(a, b).map(Value::from).ok_or_else(|| {
            Fault::error("both arguments must be of the same type or array and set")
        }),
        _ => Err(Fault::error("two operands")),
    }
}

/// Whether the first holds the second; none where their types cannot be compared.
fn within(a: &Value, b: &Value) -> Option<bool> {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => Some(b.iter().all(|(key, sub)| {
            a.get(key)
                .is_some_and(|whole| whole == sub || within(whole, sub) == Some(true))
        })),
        (Value::Set(a), Value::Set(b)) => Some(b.is_subset(a)),
        // One list within another, as a search that does not step back after a false start.
        (Value::Array(a), Value::Array(b)) => {
            let (mut at, mut found) = (0, 0);
            if b.len() > a.len() {
                return Some(false);
            }
            loop {
                let Some(wanted) = b.get(found) else {
                    return Some(true);
                };
                match a.get(at + found) {
                    None => return Some(false),
                    Some(item) if item == wanted => found += 1,
                    Some(_) => {
                        at += 1;
                        found = 0;
                    }
                }
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::call;
    use super::*;
    use serde_json::json;

    fn set(items: &[i64]) -> Value {
        Value::from(
            items
                .iter()
                .map(|i| Value::from(*i))
                .collect::<BTreeSet<_>>(),
        )
    }

    #[test]
    fn sets_come_after_objects() {
        let object = Value::from_json_str("{\"a\": 1}").unwrap();
        assert_eq!(order(&set(&[1]), &object), Ordering::Greater);
        assert_eq!(order(&set(&[1, 2]), &set(&[1, 3])), Ordering::Less);
        assert_eq!(order(&set(&[1]), &set(&[1, 3])), Ordering::Less);
        let two = Value::from(vec![set(&[]), object.clone()]);
        assert_eq!(sorted(&[two]).ok().unwrap(), [object, set(&[])]);
    }

    #[test]
    fn membership_of_what_is_no_collection_is_false() {
        assert_eq!(
            call("bartizan_op.member", &[json!(1), json!("1")]),
            Some(json!(false))
        );
        assert_eq!(
            call("bartizan_op.member", &[json!(1), json!({"a": 1})]),
            Some(json!(true))
        );
        let at =
            |key: serde_json::Value| call("bartizan_op.member_at", &[key, json!(1), json!([0, 1])]);
        assert_eq!(
            (at(json!(1)), at(json!(0))),
            (Some(json!(true)), Some(json!(false)))
        );
    }

    #[test]
    fn subsets_of_other_types_are_undefined() {
        let ask = |a, b| call("object.subset", &[a, b]);
        assert_eq!(
            ask(json!({"a": {"b": 1, "c": 2}}), json!({"a": {"b": 1}})),
            Some(json!(true))
        );
        assert_eq!(ask(json!([1, 2, 3]), json!([2, 3])), Some(json!(true)));
        assert_eq!(ask(json!([1, 2, 3]), json!([1, 3])), Some(json!(false)));
        assert_eq!(ask(json!({}), json!([])), None);
    }
}
