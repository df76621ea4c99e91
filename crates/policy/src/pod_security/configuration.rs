//! The configuration of the admission: defaults for namespaces without labels, and exemptions.

use super::labels::Policy;
use super::levels::{Level, Version};
use serde_json::Value;

/// Defaults and exemptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// What holds where a namespace has no label.
    pub defaults: Policy,
    /// Users whose requests are not looked at.
    pub users: Vec<String>,
    /// Namespaces that are not looked at.
    pub namespaces: Vec<String>,
    /// Runtime classes whose Pods are not looked at.
    pub runtime_classes: Vec<String>,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            defaults: Policy::PRIVILEGED,
            users: Vec::new(),
            namespaces: Vec::new(),
            runtime_classes: Vec::new(),
        }
    }
}

impl Configuration {
    /// Reads a file of YAML or JSON: a `PodSecurityConfiguration`, or an API server's
    /// `AdmissionConfiguration` that has one for its plugin `PodSecurity`.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, String> {
        let documents = crate::suite::documents(name, bytes)?;
        let [document] = documents.as_slice() else {
            return Err(format!("{name}: it must hold one document"));
        };
        let mut found = document;
        if document.get("kind").and_then(Value::as_str) == Some("AdmissionConfiguration") {
            let plugins = document.get("plugins").and_then(Value::as_array);
            let mut plugins = plugins.into_iter().flatten();
            found = plugins
                .find(|p| p.get("name").and_then(Value::as_str) == Some("PodSecurity"))
                .and_then(|p| p.get("configuration"))
                .ok_or_else(|| {
                    format!("{name}: no plugin PodSecurity has a configuration in it")
                })?;
        }
        Self::read(found).map_err(|why| format!("{name}: {why}"))
    }

    /// Reads a `PodSecurityConfiguration`; the error names the field.
    pub fn read(value: &Value) -> Result<Self, String> {
        let kind = value.get("kind").and_then(Value::as_str);
        let version = value
            .get("apiVersion")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if kind != Some("PodSecurityConfiguration")
            || !version.starts_with("pod-security.admission.config.k8s.io/")
        {
            return Err("it is no PodSecurityConfiguration".into());
        }
        let mut read = Self::default();
        let all = [
            ("enforce", &mut read.defaults.enforce),
            ("audit", &mut read.defaults.audit),
            ("warn", &mut read.defaults.warn),
        ];
        for (name, standard) in all {
            let versioned = format!("{name}-version");
            if let Some(text) = default(value, name)? {
                standard.level =
                    Level::parse(text).map_err(|why| format!("defaults.{name}: {why}"))?;
            }
            if let Some(text) = default(value, &versioned)? {
                standard.version =
                    Version::parse(text).map_err(|why| format!("defaults.{versioned}: {why}"))?;
            }
        }
        read.users = exempt(value, "usernames")?;
        read.namespaces = exempt(value, "namespaces")?;
        read.runtime_classes = exempt(value, "runtimeClasses")?;
        Ok(read)
    }
}

/// A default; empty is not given.
fn default<'v>(value: &'v Value, name: &str) -> Result<Option<&'v str>, String> {
    match value.pointer(&format!("/defaults/{name}")) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|t| !t.is_empty())),
        Some(_) => Err(format!("defaults.{name}: must be a text")),
    }
}

/// One list of exemptions, each of them not empty and there once.
fn exempt(value: &Value, name: &str) -> Result<Vec<String>, String> {
    let list = match value.pointer(&format!("/exemptions/{name}")) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(format!("exemptions.{name}: must be a list")),
    };
    let mut all: Vec<String> = Vec::new();
    for (i, item) in list.iter().enumerate() {
        let text = item.as_str().filter(|t| !t.is_empty());
        let text = text.ok_or_else(|| format!("exemptions.{name}[{i}]: must be a text"))?;
        if all.iter().any(|before| before == text) {
            return Err(format!("exemptions.{name}[{i}]: {text} is there twice"));
        }
        all.push(text.to_owned());
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(defaults: Value, exemptions: Value) -> Result<Configuration, String> {
        Configuration::read(&json!({
            "apiVersion": "pod-security.admission.config.k8s.io/v1",
            "kind": "PodSecurityConfiguration",
            "defaults": defaults,
            "exemptions": exemptions,
        }))
    }

    #[test]
    fn defaults_and_exemptions() {
        let read = read(
            json!({"enforce": "baseline", "enforce-version": "v1.9", "warn": ""}),
            json!({"usernames": ["a"], "runtimeClasses": null}),
        )
        .unwrap();
        assert_eq!(read.defaults.enforce.to_string(), "baseline:v1.9");
        assert_eq!(read.defaults.warn.to_string(), "privileged:latest");
        assert_eq!(read.users, ["a"]);
    }

    #[test]
    fn files_of_an_api_server() {
        let own = "apiVersion: pod-security.admission.config.k8s.io/v1\nkind: PodSecurityConfiguration\ndefaults: {enforce: baseline}\n";
        let parsed = Configuration::parse("own.yaml", own.as_bytes()).unwrap();
        assert_eq!(parsed.defaults.enforce.to_string(), "baseline:latest");
        let outer = "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n- name: PodSecurity\n  configuration: {apiVersion: pod-security.admission.config.k8s.io/v1, kind: PodSecurityConfiguration, defaults: {enforce: baseline}}\n";
        assert_eq!(
            Configuration::parse("outer.yaml", outer.as_bytes()),
            Ok(parsed)
        );
        let none = outer.replace("PodSecurity\n", "Other\n");
        let fault = Configuration::parse("none.yaml", none.as_bytes()).unwrap_err();
        assert!(fault.starts_with("none.yaml: no plugin"), "{fault}");
        let wrong = own.replace("baseline", "strict");
        let fault = Configuration::parse("wrong.yaml", wrong.as_bytes()).unwrap_err();
        assert!(fault.contains("defaults.enforce"), "{fault}");
    }

    #[test]
    fn faults_are_named() {
        for (defaults, exemptions, fault) in [
            (json!({"audit": "all"}), json!({}), "defaults.audit"),
            (
                json!({"warn-version": "9"}),
                json!({}),
                "defaults.warn-version",
            ),
            (json!({"warn": 9}), json!({}), "defaults.warn"),
            (
                json!({}),
                json!({"namespaces": ["a", "a"]}),
                "exemptions.namespaces[1]",
            ),
            (
                json!({}),
                json!({"usernames": [""]}),
                "exemptions.usernames[0]",
            ),
            (json!({}), json!({"usernames": "a"}), "exemptions.usernames"),
        ] {
            assert!(
                read(defaults, exemptions).unwrap_err().starts_with(fault),
                "{fault}"
            );
        }
        assert!(Configuration::read(&json!({"kind": "Other"})).is_err());
    }
}
