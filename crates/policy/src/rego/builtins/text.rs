//! Functions of texts, lists and documents.

use super::{Builtin, Fault, integer, string};
use regorus::Value;

pub(super) const TABLE: &[Builtin] = &[
    ("array.flatten", 1, flatten),
    ("indexof_n", 2, indexof_n),
    ("json.is_valid", 1, json_is_valid),
    ("strings.count", 2, count),
    ("strings.split_n", 3, split_n),
];

fn flatten(arguments: &[Value]) -> Result<Value, Fault> {
    let Some(Value::Array(items)) = arguments.first() else {
        return Err(Fault::error("operand 1 must be an array"));
    };
    let mut flat = Vec::with_capacity(items.len());
    for item in items.iter() {
        match item {
            Value::Array(inner) => flat.extend(inner.iter().cloned()),
            other => flat.push(other.clone()),
        }
    }
    Ok(Value::from(flat))
}

/// Where a text is, in characters; places may overlap.
fn indexof_n(arguments: &[Value]) -> Result<Value, Fault> {
    let base: Vec<char> = string(arguments, 0)?.chars().collect();
    let search: Vec<char> = string(arguments, 1)?.chars().collect();
    if search.is_empty() {
        return Err(Fault::error("empty search character"));
    }
    let places = base
        .windows(search.len())
        .enumerate()
        .filter(|(_, w)| *w == search);
    Ok(Value::from(
        places.map(|(i, _)| Value::from(i)).collect::<Vec<_>>(),
    ))
}

fn json_is_valid(arguments: &[Value]) -> Result<Value, Fault> {
    let Ok(text) = string(arguments, 0) else {
        return Ok(Value::from(false));
    };
    Ok(Value::from(
        serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(),
    ))
}

/// How often a text is in another, without overlaps.
fn count(arguments: &[Value]) -> Result<Value, Fault> {
    let (base, search) = (string(arguments, 0)?, string(arguments, 1)?);
    let count = if search.is_empty() {
        base.chars().count() + 1
    } else {
        base.matches(search).count()
    };
    Ok(Value::from(count))
}

/// The first parts, or with a negative number the last ones.
fn split_n(arguments: &[Value]) -> Result<Value, Fault> {
    let (text, by) = (string(arguments, 0)?, string(arguments, 1)?);
    let parts: Vec<Value> = if by.is_empty() {
        text.chars()
            .map(|c| Value::from(c.to_string().as_str()))
            .collect()
    } else {
        text.split(by).map(Value::from).collect()
    };
    let n = integer(arguments, 2)?;
    let wanted = usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX);
    let skipped = if n < 0 {
        parts.len().saturating_sub(wanted)
    } else {
        0
    };
    let parts = parts.into_iter().skip(skipped).take(wanted);
    Ok(Value::from(parts.collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::super::call;
    use serde_json::json;

    #[test]
    fn as_opa_has_them() {
        assert_eq!(
            call("array.flatten", &[json!([1, [2, [3]], []])]),
            Some(json!([1, 2, [3]]))
        );
        assert_eq!(
            call("indexof_n", &[json!("éaéa"), json!("éa")]),
            Some(json!([0, 2]))
        );
        assert_eq!(call("indexof_n", &[json!("a"), json!("")]), None);
        assert_eq!(call("json.is_valid", &[json!(1)]), Some(json!(false)));
        assert_eq!(
            call("json.is_valid", &[json!("{\"a\": 1}")]),
            Some(json!(true))
        );
        assert_eq!(
            call("strings.count", &[json!("aaaa"), json!("aa")]),
            Some(json!(2))
        );
        assert_eq!(
            call("strings.count", &[json!("ab"), json!("")]),
            Some(json!(3))
        );
        let split = |n: i64| call("strings.split_n", &[json!("a,b,c"), json!(","), json!(n)]);
        assert_eq!(split(2), Some(json!(["a", "b"])));
        assert_eq!(split(-2), Some(json!(["b", "c"])));
        assert_eq!(split(0), Some(json!([])));
        assert_eq!(split(9), Some(json!(["a", "b", "c"])));
    }
}
