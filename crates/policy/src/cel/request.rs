//! The variables of admission that are no objects under review.

use super::Value;
use serde_json::Value as Json;

fn text<'a>(request: &'a Json, field: &str) -> &'a str {
    request
        .get(field)
        .and_then(Json::as_str)
        .unwrap_or_default()
}

fn json<'a>(request: &'a Json, field: &str) -> Option<Value<'a>> {
    request.get(field).filter(|v| !v.is_null()).map(Value::json)
}

/// `request`: the fields of an AdmissionRequest that policies may look at. The objects are not
/// among them, and empty names are missing.
pub(super) fn request(request: &Json) -> Value<'_> {
    let empty =
        |names: [&'static str; 3]| Value::object(names.map(|name| (name, Value::borrowed(""))));
    let kind = || json(request, "kind").unwrap_or_else(|| empty(["group", "version", "kind"]));
    let resource =
        || json(request, "resource").unwrap_or_else(|| empty(["group", "version", "resource"]));
    let dry = request.get("dryRun").and_then(Json::as_bool) == Some(true);
    let nothing = || Value::object(std::iter::empty());
    let mut fields = vec![
        ("kind", kind()),
        ("resource", resource()),
        (
            "requestKind",
            json(request, "requestKind").unwrap_or_else(kind),
        ),
        (
            "requestResource",
            json(request, "requestResource").unwrap_or_else(resource),
        ),
        ("operation", Value::borrowed(text(request, "operation"))),
        (
            "userInfo",
            json(request, "userInfo").unwrap_or_else(nothing),
        ),
        ("dryRun", Value::Bool(dry)),
        ("options", json(request, "options").unwrap_or(Value::Null)),
    ];
    for name in ["subResource", "requestSubResource", "name", "namespace"] {
        let value = text(request, name);
        if !value.is_empty() {
            fields.push((name, Value::borrowed(value)));
        }
    }
    Value::object(fields)
}

/// `namespaceObject`: metadata without who owns and who manages it, spec and status.
pub(super) fn namespace(namespace: &Json) -> Value<'_> {
    const METADATA: [&str; 12] = [
        "annotations",
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "finalizers",
        "generateName",
        "generation",
        "labels",
        "name",
        "namespace",
        "resourceVersion",
        "uid",
    ];
    if namespace.is_null() {
        return Value::Null;
    }
    let metadata = namespace.get("metadata").unwrap_or(&Json::Null);
    let kept = METADATA.iter().filter_map(|name| {
        let value = metadata.get(*name).filter(|v| !v.is_null())?;
        Some((*name, Value::json(value)))
    });
    let mut fields = vec![("metadata", Value::object(kept))];
    for name in ["spec", "status"] {
        let value = json(namespace, name);
        fields.push((
            name,
            value.unwrap_or_else(|| Value::object(std::iter::empty())),
        ));
    }
    Value::object(fields)
}
