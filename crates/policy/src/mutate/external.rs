//! Values of mutators that a provider of external data tells.
//!
//! While mutators run, a promise stands in the place of such a value; providers are asked once
//! at the end, each with all its keys. A promise is a mapping with one field that no API
//! server lets in by itself; an object that has it all the same is not mutated.

use super::apply::kind;
use crate::providers::{Item, Providers};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// `assign.externalData` of a mutator.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct External {
    pub provider: String,
    /// Whether the key is who asks, not what is there.
    pub by_user: bool,
    pub failure: FailurePolicy,
}

/// What is put where a provider does not answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum FailurePolicy {
    /// Nothing: the mutation fails.
    Fail,
    /// What was there.
    Ignore,
    /// This.
    UseDefault(String),
}

/// A value to come.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Promise {
    external: External,
    key: String,
}

const FIELD: &str = "\u{0}bartizan.promise";

impl External {
    pub(crate) fn promise(&self, username: &str) -> Promise {
        Promise {
            external: self.clone(),
            key: if self.by_user { username } else { "" }.to_owned(),
        }
    }
}

impl Promise {
    /// In the place of what is there, which is its key from now on.
    pub(super) fn at(&self, there: Option<&Value>) -> Result<Value, String> {
        let promised = there.and_then(|value| value.get(FIELD));
        let key = match (promised, there) {
            (Some(promised), _) => promised.get("key").and_then(Value::as_str).unwrap_or(""),
            (None, Some(Value::String(text))) => text,
            (None, Some(other)) => {
                return Err(format!(
                    "external data replaces texts only, here is {}",
                    kind(other)
                ));
            }
            (None, None) => &self.key,
        };
        let (policy, default) = match &self.external.failure {
            FailurePolicy::Fail => ("Fail", ""),
            FailurePolicy::Ignore => ("Ignore", ""),
            FailurePolicy::UseDefault(text) => ("UseDefault", text.as_str()),
        };
        let promise = json!({
            "provider": self.external.provider, "policy": policy, "default": default, "key": key
        });
        Ok(Value::Object(Map::from_iter([(FIELD.to_owned(), promise)])))
    }
}

/// Whether an object has what only we may put there.
pub(super) fn forged(object: &Value) -> bool {
    match object {
        Value::Object(map) => map.contains_key(FIELD) || map.values().any(forged),
        Value::Array(list) => list.iter().any(forged),
        _ => false,
    }
}

/// Asks the providers and keeps all promises; the error names every one that failed.
pub(super) fn resolve(object: &mut Value, providers: &dyn Providers) -> Result<(), String> {
    let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    gather(object, &mut wanted);
    let mut told: Told = BTreeMap::new();
    for (provider, keys) in wanted {
        let keys: Vec<String> = keys.into_iter().collect();
        told.insert(provider.clone(), ask(providers, &provider, &keys));
    }
    let mut faults = Vec::new();
    keep(object, &told, &mut faults);
    match faults.is_empty() {
        true => Ok(()),
        false => Err(faults.join("; ")),
    }
}

type Told = BTreeMap<String, Result<BTreeMap<String, Item>, String>>;

fn ask(
    providers: &dyn Providers,
    provider: &str,
    keys: &[String],
) -> Result<BTreeMap<String, Item>, String> {
    let answer = providers
        .ask(provider, keys)
        .map_err(|why| format!("the provider {provider} was not heard: {why}"))?;
    if !answer.system_error.trim().is_empty() {
        let why = &answer.system_error;
        return Err(format!("the provider {provider} failed: {why}"));
    }
    if !answer.idempotent {
        return Err(format!(
            "the provider {provider} may answer otherwise next time, so it cannot mutate"
        ));
    }
    let items = answer.items.into_iter();
    Ok(items.map(|item| (item.key.clone(), item)).collect())
}

fn gather(value: &Value, wanted: &mut BTreeMap<String, BTreeSet<String>>) {
    match value {
        Value::Object(map) => match map.get(FIELD) {
            Some(promise) => {
                let of = |field: &str| promise.get(field).and_then(Value::as_str).unwrap_or("");
                let keys = wanted.entry(of("provider").to_owned()).or_default();
                keys.insert(of("key").to_owned());
            }
            None => map.values().for_each(|value| gather(value, wanted)),
        },
        Value::Array(list) => list.iter().for_each(|value| gather(value, wanted)),
        _ => {}
    }
}

fn keep(value: &mut Value, told: &Told, faults: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            let Some(promise) = map.get(FIELD) else {
                map.values_mut().for_each(|value| keep(value, told, faults));
                return;
            };
            let of = |field: &str| promise.get(field).and_then(Value::as_str).unwrap_or("");
            let kept = match (found(told, of("provider"), of("key")), of("policy")) {
                (Ok(text), _) => text,
                (Err(_), "Ignore") => of("key").to_owned(),
                (Err(_), "UseDefault") => of("default").to_owned(),
                (Err(why), _) => return faults.push(why),
            };
            *value = kept.into();
        }
        Value::Array(list) => list.iter_mut().for_each(|value| keep(value, told, faults)),
        _ => {}
    }
}

fn found(told: &Told, provider: &str, key: &str) -> Result<String, String> {
    let items = match told.get(provider) {
        Some(Ok(items)) => items,
        Some(Err(why)) => return Err(why.clone()),
        None => return Err(format!("the provider {provider} was not asked")),
    };
    match items.get(key) {
        None => Err(format!("the provider {provider} left a key out")),
        Some(item) if !item.error.is_empty() => Err(format!(
            "the provider {provider} has an error for a key: {}",
            item.error
        )),
        Some(item) => match &item.value {
            Value::String(text) => Ok(text.clone()),
            other => Err(format!(
                "the provider {provider} answered {} instead of a text",
                kind(other)
            )),
        },
    }
}
