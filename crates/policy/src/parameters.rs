//! A constraint's parameters held against its template's schema, as an API server does it for
//! the constraint's resource: what the schema does not speak of is no fault.

use regex::Regex;
use serde_json::Value;

/// Schemas deeper than this are not followed: no API server takes them.
const MAX_DEPTH: usize = 32;

/// The first thing that does not fit, with its place.
pub(crate) fn check(value: &Value, schema: &Value) -> Result<(), String> {
    if value.is_null() {
        return Ok(());
    }
    fits(value, schema, &mut "spec.parameters".to_owned(), 0)
}

/// Whether a schema is one at all: what an API server would refuse as a resource's.
pub(crate) fn check_schema(schema: &Value) -> Result<(), String> {
    const PLACE: &str = "spec.crd.spec.validation.openAPIV3Schema";
    fn one(schema: &Value, at: &mut String, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("{at} is nested too deeply"));
        }
        let rules = schema
            .as_object()
            .ok_or_else(|| format!("{at} is no mapping"))?;
        let kinds = [
            "", "object", "array", "string", "boolean", "number", "integer",
        ];
        match rules.get("type").map(|t| t.as_str()) {
            None => {}
            Some(Some(kind)) if kinds.contains(&kind) => {}
            Some(_) => return Err(format!("{at}.type is no type of OpenAPI v3")),
        }
        if let Some(pattern) = rules.get("pattern") {
            let text = pattern.as_str();
            let text = text.ok_or_else(|| format!("{at}.pattern is no text"))?;
            Regex::new(text).map_err(|_| format!("{at}.pattern is no regular expression"))?;
        }
        let required = rules.get("required").is_none_or(|names| {
            let names = names.as_array();
            names.is_some_and(|names| names.iter().all(Value::is_string))
        });
        if !required {
            return Err(format!("{at}.required is no list of texts"));
        }
        if let Some(properties) = rules.get("properties") {
            let map = properties.as_object();
            let map = map.ok_or_else(|| format!("{at}.properties is no mapping"))?;
            for (name, inner) in map {
                below(at, &format!(".properties.{name}"), |at| {
                    one(inner, at, depth + 1)
                })?;
            }
        }
        if let Some(items) = rules.get("items") {
            below(at, ".items", |at| one(items, at, depth + 1))?;
        }
        match rules.get("additionalProperties") {
            None | Some(Value::Bool(_)) => Ok(()),
            Some(inner) => below(at, ".additionalProperties", |at| one(inner, at, depth + 1)),
        }
    }
    one(schema, &mut PLACE.to_owned(), 0)
}

fn fits(value: &Value, schema: &Value, at: &mut String, depth: usize) -> Result<(), String> {
    let Value::Object(rules) = schema else {
        return Ok(());
    };
    if depth > MAX_DEPTH {
        return Ok(());
    }
    let flag = |name: &str| rules.get(name).and_then(Value::as_bool) == Some(true);
    if value.is_null() && flag("nullable") {
        return Ok(());
    }
    let kind = rules.get("type").and_then(Value::as_str);
    let typed = match kind {
        None => true,
        Some(_) if flag("x-kubernetes-int-or-string") => true,
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("number") => value.is_number(),
        Some("integer") => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0)
        }
        Some(_) => true,
    };
    if !typed {
        return Err(format!("{at} must be of type {}", kind.unwrap_or_default()));
    }
    if let Some(Value::Array(allowed)) = rules.get("enum")
        && !allowed.contains(value)
    {
        return Err(format!("{at} is none of the values that it may have"));
    }
    numbers(value, rules, at)?;
    texts(value, rules, at)?;
    match value {
        Value::Object(map) => {
            for name in rules
                .get("required")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                let name = name.as_str().unwrap_or_default();
                if !map.contains_key(name) {
                    return Err(format!("{at}.{name} is required"));
                }
            }
            let properties = rules.get("properties").and_then(Value::as_object);
            let rest = rules.get("additionalProperties");
            for (name, inner) in map {
                let schema = properties.and_then(|p| p.get(name)).or(rest);
                if let Some(schema) = schema {
                    below(at, &format!(".{name}"), |at| {
                        fits(inner, schema, at, depth + 1)
                    })?;
                }
            }
        }
        Value::Array(list) => {
            bounds(list.len(), rules, "minItems", "maxItems", at)?;
            if let Some(schema) = rules.get("items") {
                for (i, inner) in list.iter().enumerate() {
                    below(at, &format!("[{i}]"), |at| {
                        fits(inner, schema, at, depth + 1)
                    })?;
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn below<T>(at: &mut String, step: &str, run: impl FnOnce(&mut String) -> T) -> T {
    let length = at.len();
    at.push_str(step);
    let told = run(at);
    at.truncate(length);
    told
}

type Rules = serde_json::Map<String, Value>;

fn numbers(value: &Value, rules: &Rules, at: &str) -> Result<(), String> {
    let Some(number) = value.as_f64() else {
        return Ok(());
    };
    let bound = |name: &str| rules.get(name).and_then(Value::as_f64);
    if bound("minimum").is_some_and(|least| number < least) {
        return Err(format!("{at} is too small"));
    }
    if bound("maximum").is_some_and(|most| number > most) {
        return Err(format!("{at} is too large"));
    }
    Ok(())
}

fn texts(value: &Value, rules: &Rules, at: &str) -> Result<(), String> {
    let Some(text) = value.as_str() else {
        return Ok(());
    };
    bounds(text.chars().count(), rules, "minLength", "maxLength", at)?;
    let pattern = rules.get("pattern").and_then(Value::as_str);
    // A pattern that cannot be read is the template's fault, not the constraint's.
    let pattern = pattern.and_then(|pattern| Regex::new(pattern).ok());
    match pattern {
        Some(pattern) if !pattern.is_match(text) => {
            Err(format!("{at} does not match the pattern {pattern}"))
        }
        _ => Ok(()),
    }
}

fn bounds(count: usize, rules: &Rules, min: &str, max: &str, at: &str) -> Result<(), String> {
    let bound = |name: &str| rules.get(name).and_then(Value::as_u64);
    let count = count as u64;
    if bound(min).is_some_and(|least| count < least) {
        return Err(format!("{at} is too short"));
    }
    if bound(max).is_some_and(|most| count > most) {
        return Err(format!("{at} is too long"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_no_schema_is_named() {
        let told = |schema: Value| check_schema(&schema).err().unwrap_or_default();
        let good = json!({"type": "object", "properties": {"a": {"type": "array", "items": {}}},
            "additionalProperties": {"type": "string", "pattern": "^x"}});
        assert_eq!(told(good), "");
        for (bad, wanted) in [
            (json!([]), "openAPIV3Schema is no mapping"),
            (json!({"type": "text"}), "openAPIV3Schema.type is no type"),
            (
                json!({"properties": {"a": {"items": 1}}}),
                "properties.a.items is no mapping",
            ),
            (json!({"pattern": "("}), "pattern is no regular expression"),
            (json!({"required": "a"}), "required is no list"),
        ] {
            assert!(told(bad.clone()).contains(wanted), "{bad}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let schema = json!({"type": "object", "required": ["a"], "properties": {
            "a": {"type": "array", "items": {"type": "string", "pattern": "^x"}, "maxItems": 2},
            "n": {"type": "integer", "minimum": 1},
            "e": {"type": "string", "enum": ["u", "v"]},
            "o": {"type": "object", "additionalProperties": {"type": "boolean"}},
            "s": {"type": "string", "x-kubernetes-int-or-string": true}
        }});
        let told = |value: Value| check(&value, &schema).err().unwrap_or_default();
        for good in [
            json!(null),
            json!({"a": ["x1"], "n": 2.0, "e": "v", "o": {"k": true}, "other": 1, "s": 3}),
        ] {
            assert_eq!(told(good), "");
        }
        for (bad, wanted) in [
            (json!([]), "spec.parameters must be of type object"),
            (json!({}), "spec.parameters.a is required"),
            (json!({"a": "x"}), "spec.parameters.a must be of type array"),
            (
                json!({"a": [1]}),
                "spec.parameters.a[0] must be of type string",
            ),
            (
                json!({"a": ["y"]}),
                "spec.parameters.a[0] does not match the pattern ^x",
            ),
            (
                json!({"a": ["x", "x", "x"]}),
                "spec.parameters.a is too long",
            ),
            (json!({"a": [], "n": 0}), "spec.parameters.n is too small"),
            (
                json!({"a": [], "n": 1.5}),
                "spec.parameters.n must be of type integer",
            ),
            (
                json!({"a": [], "e": "w"}),
                "spec.parameters.e is none of the values that it may have",
            ),
            (
                json!({"a": [], "o": {"k": 1}}),
                "spec.parameters.o.k must be of type boolean",
            ),
        ] {
            assert_eq!(told(bad), wanted);
        }
    }
}
