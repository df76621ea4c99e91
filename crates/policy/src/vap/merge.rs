//! Apply configurations: an object merged into another as server-side apply does.
//!
//! The API server knows each list's keys from its schema. Here they are known for the lists of
//! the built-in kinds that are merged by key; any other list, and what is replaced as a whole,
//! is refused, as the API server refuses what is atomic. Nothing is merged by a guess.

use super::text;
use serde_json::{Map, Value};

/// Lists of objects, and the fields that tell their elements apart.
const LISTS: [(&str, &[&str]); 17] = [
    ("conditions", &["type"]),
    ("containers", &["name"]),
    ("env", &["name"]),
    ("ephemeralContainers", &["name"]),
    ("hostAliases", &["ip"]),
    ("imagePullSecrets", &["name"]),
    ("initContainers", &["name"]),
    ("ownerReferences", &["uid"]),
    ("podIPs", &["ip"]),
    ("readinessGates", &["conditionType"]),
    ("resourceClaims", &["name"]),
    ("schedulingGates", &["name"]),
    ("secrets", &["name"]),
    (
        "topologySpreadConstraints",
        &["topologyKey", "whenUnsatisfiable"],
    ),
    ("volumeDevices", &["devicePath"]),
    ("volumeMounts", &["mountPath"]),
    ("volumes", &["name"]),
];

/// Lists of plain values that are sets.
const SETS: [&str; 1] = ["finalizers"];

/// What is replaced as a whole, and may therefore not be applied.
const ATOMIC: [&str; 15] = [
    "configMapKeyRef",
    "fieldRef",
    "involvedObject",
    "labelSelector",
    "namespaceSelector",
    "nodeSelector",
    "objectSelector",
    "podSelector",
    "resourceFieldRef",
    "roleRef",
    "scaleTargetRef",
    "secretKeyRef",
    "selector",
    "targetRef",
    "volumeClaimTemplateRef",
];

/// The object with the configuration merged into it.
pub(super) fn apply(object: &Value, configuration: &Value) -> Result<Value, String> {
    let mut out = object.clone();
    merge(&mut out, configuration, "", 0)?;
    Ok(out)
}

fn merge(into: &mut Value, from: &Value, path: &str, depth: usize) -> Result<(), String> {
    if depth > 64 {
        return Err("the configuration is nested too deeply".into());
    }
    let Value::Object(fields) = from else {
        *into = from.clone();
        return Ok(());
    };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    let Value::Object(map) = into else {
        return Ok(());
    };
    for (name, value) in fields {
        let path = format!("{path}.{name}");
        let refused = || {
            Err(format!(
                "{} is replaced as a whole",
                path.trim_start_matches('.')
            ))
        };
        match value {
            Value::Object(_) if ATOMIC.contains(&name.as_str()) => return refused(),
            Value::Object(_) => {
                let place = map.entry(name.clone()).or_insert(Value::Null);
                merge(place, value, &path, depth + 1)?;
            }
            Value::Array(items) => {
                let place = map
                    .entry(name.clone())
                    .or_insert_with(|| Value::Array(Vec::new()));
                if place.is_null() {
                    *place = Value::Array(Vec::new());
                }
                let Value::Array(present) = place else {
                    return Err(format!("{path} is no list"));
                };
                merge_list(present, items, name, &path, depth)?;
            }
            plain => {
                map.insert(name.clone(), plain.clone());
            }
        }
    }
    Ok(())
}

fn merge_list(
    present: &mut Vec<Value>,
    items: &[Value],
    name: &str,
    path: &str,
    depth: usize,
) -> Result<(), String> {
    if SETS.contains(&name) {
        for item in items {
            if !present.contains(item) {
                present.push(item.clone());
            }
        }
        return Ok(());
    }
    let keys = match LISTS.iter().find(|(list, _)| *list == name) {
        Some((_, keys)) => *keys,
        None if name == "ports" => ports(items),
        None => &[],
    };
    if keys.is_empty() {
        let path = path.trim_start_matches('.');
        return Err(format!(
            "{path} is a list that is not known to be merged by keys"
        ));
    }
    for item in items {
        for key in keys {
            if item.get(*key).is_none() && *key != "protocol" {
                return Err(format!("an element of {path} is without its key {key}"));
            }
        }
        let same = |other: &Value| {
            keys.iter()
                .all(|key| key_of(other, key) == key_of(item, key))
        };
        let known = present.iter_mut().find(|other| same(other));
        match known {
            Some(known) => merge(known, item, path, depth + 1)?,
            None => {
                // What is inside must be mergeable too.
                let mut fresh = Value::Null;
                merge(&mut fresh, item, path, depth + 1)?;
                present.push(fresh);
            }
        }
    }
    Ok(())
}

/// The keys of `ports`: a container's or a Service's.
fn ports(items: &[Value]) -> &'static [&'static str] {
    if items.iter().all(|item| item.get("containerPort").is_some()) {
        &["containerPort", "protocol"]
    } else if items.iter().all(|item| item.get("port").is_some()) {
        &["port", "protocol"]
    } else {
        &[]
    }
}

/// The value of a key; a protocol that is missing is TCP.
fn key_of(item: &Value, key: &str) -> Value {
    match (key, text(item, key)) {
        ("protocol", Ok(None)) => "TCP".into(),
        _ => item.get(key).cloned().unwrap_or(Value::Null),
    }
}
