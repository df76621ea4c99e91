//! External data: who answers questions by key that objects alone do not answer.
//!
//! This crate asks through [`Providers`] and never goes to a network itself. `Provider` objects
//! (`externaldata.gatekeeper.sh` v1beta1 and v1alpha1) say where an asker goes.

use crate::object::Object;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// What is told of one key.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The key.
    pub key: String,
    /// The answer; null where there is an error.
    pub value: Value,
    /// Why there is none; empty where there is one.
    pub error: String,
}

/// What a provider answers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// A key each.
    pub items: Vec<Item>,
    /// Whether the same keys get the same answers.
    pub idempotent: bool,
    /// What is wrong with the provider as a whole; empty where nothing is.
    pub system_error: String,
}

/// Asks providers. An implementation has a time limit, a cache, and a bound on what it reads.
pub trait Providers {
    /// Asks the provider of this name for all keys at once; the error says why it was not
    /// heard.
    fn ask(&self, provider: &str, keys: &[String]) -> Result<Answer, String>;
}

/// No providers: every question is an error.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProviders;

impl Providers for NoProviders {
    fn ask(&self, provider: &str, _: &[String]) -> Result<Answer, String> {
        Err(format!("there is no provider {provider} here"))
    }
}

/// A `Provider` object: where to ask and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Its name.
    pub name: String,
    /// Where; always `https`.
    pub url: String,
    /// How long an answer may take.
    pub timeout: Duration,
    /// The certificates that may have signed its own, as PEM.
    pub ca_bundle: String,
}

/// Larger requests and answers are no data for a policy.
const MAX_URL: usize = 2048;

impl Provider {
    /// The provider that an object is; none where it is none.
    pub fn read(object: &Object) -> Option<Result<Self, String>> {
        let ours = object.group == "externaldata.gatekeeper.sh" && object.kind == "Provider";
        ours.then(|| Self::checked(object))
    }

    fn checked(object: &Object) -> Result<Self, String> {
        use base64::Engine as _;
        if !matches!(object.version.as_str(), "v1beta1" | "v1alpha1") {
            return Err(format!(
                "there is no version {:?} of Provider",
                object.version
            ));
        }
        let spec = object.value.get("spec").unwrap_or(&Value::Null);
        let text = |field: &str| spec.get(field).and_then(Value::as_str).unwrap_or("");
        let url = text("url");
        if !url.starts_with("https://") || url.len() > MAX_URL {
            return Err("spec.url is no https address".into());
        }
        let seconds = match spec.get("timeout") {
            None | Some(Value::Null) => 5,
            Some(value) => value
                .as_u64()
                .filter(|s| (1..=60).contains(s))
                .ok_or("spec.timeout is no number of seconds from 1 to 60")?,
        };
        let packed = text("caBundle").trim();
        if packed.is_empty() {
            return Err("spec.caBundle is missing".into());
        }
        let engine = base64::engine::general_purpose::STANDARD;
        let bundle = engine.decode(packed).ok();
        let bundle = bundle.and_then(|bytes| String::from_utf8(bytes).ok());
        Ok(Self {
            name: object.name.clone(),
            url: url.to_owned(),
            timeout: Duration::from_secs(seconds),
            ca_bundle: bundle
                .filter(|text| text.contains("-----BEGIN CERTIFICATE-----"))
                .ok_or("spec.caBundle is no PEM certificate in base64")?,
        })
    }
}

/// What is sent to a provider.
pub fn request(keys: &[String]) -> Value {
    json!({
        "apiVersion": "externaldata.gatekeeper.sh/v1beta1",
        "kind": "ProviderRequest",
        "request": {"keys": keys}
    })
}

/// The answer to Rego's `external_data`: `{"provider": NAME, "keys": [KEY, …]}` in, `responses`,
/// `errors`, `status_code` and `system_error` out. A provider that is not heard is a system
/// error, which the policy sees; the error here means that the question is none.
pub fn rego(providers: &dyn Providers, question: &Value) -> Result<Value, String> {
    let provider = question.get("provider").and_then(Value::as_str);
    let provider = provider.ok_or("external_data: provider is no text")?;
    let keys = question.get("keys").and_then(Value::as_array);
    let keys = keys.ok_or("external_data: keys is no list")?;
    let keys: Option<Vec<String>> = keys.iter().map(|k| k.as_str().map(str::to_owned)).collect();
    let keys = keys.ok_or("external_data: a key is no text")?;
    let answer = match providers.ask(provider, &keys) {
        Ok(answer) => answer,
        Err(why) => {
            return Ok(json!({
                "responses": [], "errors": [], "status_code": 500, "system_error": why
            }));
        }
    };
    let (bad, good): (Vec<_>, Vec<_>) = answer.items.iter().partition(|i| !i.error.is_empty());
    Ok(json!({
        "responses": good.iter().map(|i| json!([i.key, i.value])).collect::<Vec<_>>(),
        "errors": bad.iter().map(|i| json!([i.key, i.error])).collect::<Vec<_>>(),
        "status_code": 200,
        "system_error": answer.system_error
    }))
}

/// What a provider sent, for the keys that it was asked for; what it says of others is left out.
pub fn answer(bytes: &[u8], keys: &[String]) -> Result<Answer, String> {
    let value: Value =
        serde_json::from_slice(bytes).map_err(|e| format!("the answer is no JSON: {e}"))?;
    if value.get("kind").and_then(Value::as_str) != Some("ProviderResponse") {
        return Err("the answer is no ProviderResponse".into());
    }
    let response = value.get("response").unwrap_or(&Value::Null);
    let text = |value: &Value, field: &str| {
        let text = value.get(field).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let mut items = BTreeMap::new();
    let list = response.get("items").and_then(Value::as_array);
    for item in list.into_iter().flatten() {
        let key = text(item, "key");
        if keys.contains(&key) {
            let one = Item {
                value: item.get("value").cloned().unwrap_or(Value::Null),
                error: text(item, "error"),
                key: key.clone(),
            };
            items.insert(key, one);
        }
    }
    Ok(Answer {
        items: items.into_values().collect(),
        idempotent: response.get("idempotent").and_then(Value::as_bool) == Some(true),
        system_error: text(response, "systemError"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One;

    impl Providers for One {
        fn ask(&self, provider: &str, keys: &[String]) -> Result<Answer, String> {
            if provider != "p" {
                return Err("no route".into());
            }
            let text = r#"{"kind": "ProviderResponse", "response": {"systemError": "", "items": [
                {"key": "a", "value": {"x": 1}}, {"key": "b", "error": "bad"},
                {"key": "unasked", "value": 1}
            ]}}"#;
            answer(text.as_bytes(), keys)
        }
    }

    #[test]
    fn rego_sees_answers_errors_and_silence() {
        let ask = |question: Value| rego(&One, &question);
        assert_eq!(
            ask(json!({"provider": "p", "keys": ["a", "b"]})).unwrap(),
            json!({
                "responses": [["a", {"x": 1}]], "errors": [["b", "bad"]],
                "status_code": 200, "system_error": ""
            })
        );
        let silent = ask(json!({"provider": "q", "keys": []})).unwrap();
        assert_eq!(silent["system_error"], "no route");
        assert!(ask(json!({"provider": "p", "keys": [1]})).is_err());
        assert!(ask(json!({"keys": []})).is_err());
    }

    #[test]
    fn what_is_no_answer() {
        let keys = ["k".to_owned()];
        for bad in ["", "[]", "{\"kind\": \"ProviderRequest\"}"] {
            assert!(answer(bad.as_bytes(), &keys).is_err(), "{bad}");
        }
    }
}
