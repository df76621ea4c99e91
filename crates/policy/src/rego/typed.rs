//! Values of the engine as JSON that keeps sets apart from arrays: `{"$set": […]}`.

use regorus::Value;
use serde_json::json;

/// A value; None where it is undefined.
pub(crate) fn typed(value: &Value) -> Option<serde_json::Value> {
    Some(match value {
        Value::Undefined => return None,
        Value::Null => json!({"$null": true}),
        Value::Bool(is) => json!(is),
        Value::String(text) => json!(text.as_ref()),
        Value::Number(_) => {
            let text = value.to_json_str().ok()?;
            serde_json::from_str(&text).unwrap_or_else(|_| json!({ "$number": text }))
        }
        Value::Array(items) => items.iter().map(|v| typed(v).unwrap_or_default()).collect(),
        Value::Set(items) => {
            let all: Vec<_> = items.iter().map(|v| typed(v).unwrap_or_default()).collect();
            json!({ "$set": all })
        }
        Value::Object(map) => {
            let key = |k: &Value| match k {
                Value::String(text) => text.to_string(),
                // As OPA writes such keys in JSON: without white space.
                other => {
                    let text = other.to_json_str().unwrap_or_default();
                    let value = serde_json::from_str::<serde_json::Value>(&text);
                    value.map_or(text, |value| value.to_string())
                }
            };
            let fields = map
                .iter()
                .map(|(k, v)| (key(k), typed(v).unwrap_or_default()));
            serde_json::Value::Object(fields.collect())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::typed;
    use regorus::Value;
    use serde_json::json;
    use std::collections::BTreeMap;

    #[test]
    fn keys_that_are_no_texts_are_json() {
        let key = Value::from(BTreeMap::from([(Value::from(3), Value::from(4))]));
        let map = BTreeMap::from([(key, Value::from(5)), (Value::from(1), Value::from(2))]);
        let wanted = json!({"{\"3\":4}": 5, "1": 2});
        assert_eq!(typed(&Value::from(map)), Some(wanted));
    }
}
