//! Secrets are taken out before an object becomes an observation.
//!
//! Redacted are: `data` and `stringData` of Secrets, literal environment values
//! (`env[].value`), the annotation of `kubectl apply` that repeats the object, annotation and
//! ConfigMap values whose key sounds secret, command-line arguments that carry a secret
//! (`--password=x`, `--token x`), passwords in URLs, and PEM private keys. Keys stay, so that
//! one can see what is there. What is redacted is replaced by `<redacted>`, never by a digest
//! that could be guessed.

use serde_json::Value;

/// What stands where a secret stood.
pub const REDACTED: &str = "<redacted>";

/// Parts of names that sound secret.
const SECRET_WORDS: [&str; 14] = [
    "passw",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "encryptionkey",
    "signingkey",
    "credential",
    "connectionstring",
    "dockerconfig",
    "authorization",
];

/// Whether a key or option sounds as if its value were a secret.
pub(crate) fn sounds_secret(key: &str) -> bool {
    let plain: String = key
        .chars()
        .filter(|c| c.is_ascii_alphanumeric())
        .map(|c| c.to_ascii_lowercase())
        .collect();
    SECRET_WORDS.iter().any(|w| plain.contains(w))
}

/// A copy of an object without its secrets.
pub fn object(value: &Value) -> Value {
    let mut copy = value.clone();
    let kind = copy
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or("")
        .to_owned();
    if let Value::Object(map) = &mut copy {
        for (key, value) in map.iter_mut() {
            match (kind.as_str(), key.as_str()) {
                ("Secret", "data" | "stringData") => blank(value),
                ("ConfigMap", "data" | "binaryData") => {
                    if let Value::Object(entries) = value {
                        for (key, value) in entries.iter_mut() {
                            if sounds_secret(key) {
                                *value = REDACTED.into();
                            }
                        }
                    }
                }
                _ => {}
            }
        }
    }
    walk(&mut copy, "");
    copy
}

/// A value of a violation's details, for evidence.
pub(crate) fn text(path: &str, actual: &str) -> String {
    let is_env = path.contains("env[") && path.ends_with(".value");
    if is_env || path.starts_with("data.") || path.starts_with("stringData.") {
        return REDACTED.to_owned();
    }
    let cut: String = actual.chars().take(500).collect();
    scrub(&cut).unwrap_or(cut)
}

fn blank(value: &mut Value) {
    match value {
        Value::Object(map) => map.values_mut().for_each(|v| *v = REDACTED.into()),
        Value::Null => {}
        other => *other = REDACTED.into(),
    }
}

/// `field` is the key under which `value` stands.
fn walk(value: &mut Value, field: &str) {
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                if key == "annotations" || key == "matchAnnotations" {
                    annotations(value);
                }
                walk(value, key);
            }
        }
        Value::Array(items) if field == "env" => {
            for item in items {
                if let Some(value) = item.get_mut("value").filter(|v| !v.is_null()) {
                    *value = REDACTED.into();
                }
                walk(item, "");
            }
        }
        Value::Array(items) if matches!(field, "args" | "command") => arguments(items),
        Value::Array(items) => items.iter_mut().for_each(|v| walk(v, field)),
        Value::String(text) => {
            if let Some(clean) = scrub(text) {
                *text = clean;
            }
        }
        _ => {}
    }
}

fn annotations(value: &mut Value) {
    for (key, value) in value.as_object_mut().into_iter().flatten() {
        let repeats = key.ends_with("/last-applied-configuration")
            || key == "objectset.rio.cattle.io/applied";
        if repeats || (sounds_secret(key) && value.as_str().is_some_and(|v| v.len() > 5)) {
            *value = REDACTED.into();
        }
    }
}

fn arguments(items: &mut [Value]) {
    let mut next_is_secret = false;
    for item in items {
        let Value::String(text) = item else {
            next_is_secret = false;
            continue;
        };
        if std::mem::take(&mut next_is_secret) && !text.starts_with('-') {
            *text = REDACTED.into();
            continue;
        }
        if let Some((option, _)) = text.split_once('=') {
            if sounds_secret(option) && !option.contains(char::is_whitespace) {
                *text = format!("{option}={REDACTED}");
                continue;
            }
        } else if text.starts_with('-')
            && sounds_secret(text)
            && !text.contains(char::is_whitespace)
        {
            next_is_secret = true;
            continue;
        }
        let shell: Vec<String> = text.split(' ').map(word).collect();
        let joined = shell.join(" ");
        *text = scrub(&joined).unwrap_or(joined);
    }
}

/// A word of a shell line such as `sh -c "run --password=x"`.
fn word(word: &str) -> String {
    match word.split_once('=') {
        Some((name, value))
            if sounds_secret(name) && !value.is_empty() && !value.starts_with('$') =>
        {
            format!("{name}={REDACTED}")
        }
        _ => word.to_owned(),
    }
}

/// Takes passwords out of URLs, and private keys out of texts; `None` when there is nothing.
fn scrub(text: &str) -> Option<String> {
    if text.contains("PRIVATE KEY-----") {
        return Some(REDACTED.to_owned());
    }
    if !text.contains("://") {
        return None;
    }
    let mut out = String::new();
    let mut rest = text;
    let mut changed = false;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after
            .find(|c: char| c == '/' || c == '"' || c == '\'' || c.is_whitespace())
            .unwrap_or(after.len());
        let (authority, tail) = after.split_at(end);
        match authority.rsplit_once('@') {
            Some((user, host)) if user.contains(':') => {
                let name = user.split(':').next().unwrap_or_default();
                out.push_str(&format!("{name}:{REDACTED}@{host}"));
                changed = true;
            }
            _ => out.push_str(authority),
        }
        rest = tail;
    }
    out.push_str(rest);
    changed.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_go_and_everything_else_stays() {
        let pod = json!({
            "kind": "Pod",
            "metadata": {"name": "a", "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": "{\"secret\":1}",
                "vault/token": "hunter2", "team": "shop"
            }},
            "spec": {"automountServiceAccountToken": false, "containers": [{
                "name": "c", "image": "x:1",
                "env": [{"name": "A", "value": "v"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
                "args": ["--port=80", "--db-password=x", "--token", "abc", "serve", "postgres://u:p@db/x?a=b"],
                "command": ["sh", "-c", "run API_KEY=abc --level=1 TOKEN=$T"]
            }]}
        });
        assert_eq!(
            object(&pod),
            json!({
                "kind": "Pod",
                "metadata": {"name": "a", "annotations": {
                    "kubectl.kubernetes.io/last-applied-configuration": "<redacted>",
                    "vault/token": "<redacted>", "team": "shop"
                }},
                "spec": {"automountServiceAccountToken": false, "containers": [{
                    "name": "c", "image": "x:1",
                    "env": [{"name": "A", "value": "<redacted>"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
                    "args": ["--port=80", "--db-password=<redacted>", "--token", "<redacted>", "serve", "postgres://u:<redacted>@db/x?a=b"],
                    "command": ["sh", "-c", "run API_KEY=<redacted> --level=1 TOKEN=$T"]
                }]}
            })
        );
    }

    #[test]
    fn secrets_and_config_maps() {
        assert_eq!(
            object(
                &json!({"kind": "Secret", "data": {"a": "eA=="}, "stringData": {"b": "y"}, "type": "Opaque"})
            ),
            json!({"kind": "Secret", "data": {"a": "<redacted>"}, "stringData": {"b": "<redacted>"}, "type": "Opaque"})
        );
        assert_eq!(
            object(
                &json!({"kind": "ConfigMap", "data": {"db.password": "x", "level": "info", "k": "-----BEGIN PRIVATE KEY-----"}})
            ),
            json!({"kind": "ConfigMap", "data": {"db.password": "<redacted>", "level": "info", "k": "<redacted>"}})
        );
    }
}
