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
                // As OPA writes such keys in JSON.
                other => other.to_json_str().unwrap_or_default(),
            };
            let fields = map
                .iter()
                .map(|(k, v)| (key(k), typed(v).unwrap_or_default()));
            serde_json::Value::Object(fields.collect())
        }
    })
}
