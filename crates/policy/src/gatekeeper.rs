//! Gatekeeper's own objects: ConstraintTemplate, constraint and Config.

use crate::cel::NativeCode;
use crate::enforce::{Actions, Point};
use crate::matching::{Match, wildcard};
use crate::object::Object;
use crate::rego::{self, Loci, Module};
use crate::sync::Synced;
use bartizan_model::Severity;
use serde_json::Value;
use std::sync::Arc;

/// A ConstraintTemplate.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    pub kind: String,
    /// The policy first, then its libraries. Empty when refused, and where there is no Rego.
    pub modules: Vec<Module>,
    /// Its CEL, where it has any.
    pub native: Option<Arc<NativeCode>>,
    /// What its author should know of it.
    pub notice: Option<String>,
    /// Why it cannot be run.
    pub refused: Option<String>,
    /// The parameters' schema.
    pub schema: Option<Value>,
    pub inventory: bool,
    /// Which objects it looks for there.
    pub synced: Synced,
    pub loci: Loci,
    /// The operations that it is asked of; empty or `*` for all.
    pub operations: Vec<String>,
    pub has_severity: bool,
    pub file: String,
    pub line: u32,
}

/// A constraint.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Constraint {
    pub content: String,
    pub name: String,
    pub matching: Match,
    pub parameters: Value,
    /// What it does at each enforcement point.
    pub actions: Actions,
    /// The severity that its enforcement action stands for.
    pub action: Severity,
    /// The severity that it gives its failures.
    pub severity: Option<Severity>,
    /// Whether audits and `gator` report it.
    pub audited: bool,
    /// Why it cannot be asked: its parameters do not fit their schema.
    pub refused: Option<String>,
    pub notice: Option<String>,
    pub file: String,
    pub line: u32,
}

const TARGET: &str = "admission.k8s.gatekeeper.sh";

/// Reads a ConstraintTemplate of v1, v1beta1 or v1alpha1. An error is a malformed object;
/// code that cannot be run is [`Template::refused`].
pub(crate) fn template(object: &Object) -> Result<Template, String> {
    if !matches!(object.version.as_str(), "v1" | "v1beta1" | "v1alpha1") {
        return Err(format!("version {} is not known", object.version));
    }
    let at = |path: &str| path.split('.').try_fold(&object.value, |v, f| v.get(f));
    let kind = at("spec.crd.spec.names.kind")
        .and_then(Value::as_str)
        .filter(|k| !k.is_empty() && k.chars().all(|c| c.is_ascii_alphanumeric()))
        .ok_or("spec.crd.spec.names.kind is missing or no kind")?;
    if kind.to_lowercase() != object.name {
        return Err(format!(
            "metadata.name must be {:?}, the kind in lower case",
            kind.to_lowercase()
        ));
    }
    let targets = at("spec.targets").and_then(Value::as_array);
    let [target] = targets.map_or(&[][..], Vec::as_slice) else {
        return Err("spec.targets must have exactly one target".into());
    };
    if target.get("target").and_then(Value::as_str) != Some(TARGET) {
        return Err(format!("the target must be {TARGET}"));
    }
    let Code {
        modules,
        native,
        refused,
        notice,
    } = Code::read(target)?;
    // Violations of CEL name no places.
    let places = |of: fn(&Loci) -> bool| native.is_none() && modules.iter().any(|m| of(&m.loci));
    let has_severity = object
        .annotations()
        .any(|(k, v)| k == "bartizan.dev/severity" && Severity::parse(v.trim()).is_some());
    Ok(Template {
        kind: kind.to_owned(),
        refused,
        schema: at("spec.crd.spec.validation.openAPIV3Schema").cloned(),
        inventory: modules.iter().any(|m| m.inventory),
        synced: Synced::parse(
            object
                .annotations()
                .find(|(k, _)| *k == "metadata.gatekeeper.sh/requires-sync-data")
                .map(|(_, text)| text),
        ),
        loci: Loci {
            containers: places(|l| l.containers),
            volumes: places(|l| l.volumes),
        },
        modules,
        native,
        notice,
        operations: operations(target)?,
        has_severity,
        file: object.location.file.clone(),
        line: object.location.line,
    })
}

fn operations(target: &Value) -> Result<Vec<String>, String> {
    let Some(value) = target.get("operations").filter(|v| !v.is_null()) else {
        return Ok(Vec::new());
    };
    let items = value.as_array().ok_or("targets[].operations is no list")?;
    items
        .iter()
        .map(|item| item.as_str().map(str::to_owned))
        .collect::<Option<_>>()
        .ok_or_else(|| "targets[].operations holds something that is no text".into())
}

/// The code of a template, in the languages that it has.
#[derive(Default)]
struct Code {
    modules: Vec<Module>,
    native: Option<Arc<NativeCode>>,
    /// Why none of it can be run.
    refused: Option<String>,
    notice: Option<String>,
}

impl Code {
    fn read(target: &Value) -> Result<Self, String> {
        let mut rego = None;
        let mut cel = None;
        let mut unknown = None;
        let entries = target.get("code").and_then(Value::as_array);
        for entry in entries.into_iter().flatten() {
            let source = || entry.get("source").ok_or("code[].source is missing");
            match entry.get("engine").and_then(Value::as_str) {
                Some("Rego") if rego.is_none() => {
                    let source = source()?;
                    let v1 = match source.get("version").and_then(Value::as_str) {
                        None | Some("" | "v0") => false,
                        Some("v1") => true,
                        Some(other) => return Err(format!("Rego version {other} is not known")),
                    };
                    rego = Some(read_rego(source, v1)?);
                }
                Some("K8sNativeValidation") if cel.is_none() => cel = Some(source()?),
                Some("Rego" | "K8sNativeValidation") => {}
                Some(name) => unknown = Some(format!("its engine {name} is not known")),
                None => return Err("code[].engine is missing".into()),
            }
        }
        if rego.is_none() && target.get("rego").is_some() {
            rego = Some(read_rego(target, false)?);
        }
        let mut code = Self::default();
        let mut faults = Vec::new();
        match cel.map(NativeCode::compile) {
            Some(Ok(native)) => code.native = Some(Arc::new(native)),
            Some(Err(why)) => faults.push(format!("its CEL: {why}")),
            None => {}
        }
        match rego {
            Some(Ok(modules)) => code.modules = modules,
            Some(Err(why)) => faults.push(why),
            None => {}
        }
        if code.native.is_none() && code.modules.is_empty() {
            if let (true, Some(why)) = (faults.is_empty(), unknown) {
                faults.push(why);
            }
            if faults.is_empty() {
                return Err("the target has neither rego nor code".into());
            }
            code.refused = Some(faults.join("; "));
        } else if !faults.is_empty() {
            let other = if code.native.is_some() { "CEL" } else { "Rego" };
            let why = faults.join("; ");
            code.notice = Some(format!("its {other} is run, the other cannot be: {why}"));
        } else if cel.is_some_and(|source| source.get("matchConditions").is_some()) {
            let text =
                "its `matchConditions` are ignored, as in Gatekeeper, which reads `matchCondition`";
            code.notice = Some(text.into());
        }
        Ok(code)
    }
}

/// Rego and its libraries; the inner error is code that cannot be run.
fn read_rego(holder: &Value, v1: bool) -> Result<Result<Vec<Module>, String>, String> {
    let source = holder
        .get("rego")
        .and_then(Value::as_str)
        .ok_or("rego is no text")?;
    let mut libs = Vec::new();
    let listed = holder.get("libs").and_then(Value::as_array);
    for lib in listed.into_iter().flatten() {
        let lib = lib.as_str();
        libs.push(
            lib.ok_or("libs holds something that is no text")?
                .to_owned(),
        );
    }
    Ok(modules(source, &libs, v1))
}

fn modules(source: &str, libs: &[String], v1: bool) -> Result<Vec<Module>, String> {
    let mut all = vec![rego::prepare(source, v1)?];
    for lib in libs {
        let module = rego::prepare(lib, v1).map_err(|why| format!("in a library: {why}"))?;
        if module.package != "lib" && !module.package.starts_with("lib.") {
            return Err(format!(
                "the library package {} must be below lib",
                module.package
            ));
        }
        all.push(module);
    }
    rego::recursion::check(&all)?;
    Ok(all)
}

/// Reads a constraint.
pub(crate) fn constraint(object: &Object) -> Result<Constraint, String> {
    let spec = object.value.get("spec");
    let at = |field: &str| spec.and_then(|s| s.get(field));
    let (actions, mut notice) = Actions::read(spec);
    let audit = [Point::Audit, Point::Gator].map(|point| actions.at(point));
    let audited = audit.iter().any(|actions| !actions.is_empty());
    let words = audit.iter().flatten();
    let severity_of_action = words.map(|a| a.severity()).max().unwrap_or_default();
    if !audited && notice.is_none() && !actions.unknown() {
        notice = Some(
            "it is scoped to enforcement points that are not audits, and is not asked there".into(),
        );
    }
    let own = object
        .annotations()
        .find(|(k, _)| *k == "bartizan.dev/severity");
    Ok(Constraint {
        content: String::new(),
        name: object.name.clone(),
        matching: Match::parse(at("match"))?,
        parameters: at("parameters").cloned().unwrap_or(Value::Null),
        actions,
        action: severity_of_action,
        severity: own.and_then(|(_, word)| Severity::parse(word.trim())),
        audited,
        refused: None,
        notice,
        file: object.location.file.clone(),
        line: object.location.line,
    })
}

/// What a Config leaves out: which namespaces for which processes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Exclusions(Vec<(String, Vec<String>)>);

impl Exclusions {
    /// Reads a Config's `spec.match`.
    pub(crate) fn read(object: &Object) -> Result<Self, String> {
        let strings = |entry: &Value, field: &str| match entry.get(field) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect::<Option<Vec<_>>>()
                .ok_or_else(|| format!("spec.match[].{field} holds something that is no text")),
            Some(_) => Err(format!("spec.match[].{field} is no list")),
        };
        let entries = object.value.get("spec").and_then(|s| s.get("match"));
        let entries = match entries {
            None | Some(Value::Null) => return Ok(Self::default()),
            Some(Value::Array(entries)) => entries,
            Some(_) => return Err("spec.match is no list".into()),
        };
        let mut all = Vec::new();
        for entry in entries {
            let processes = strings(entry, "processes")?;
            for namespace in strings(entry, "excludedNamespaces")? {
                all.push((namespace, processes.clone()));
            }
        }
        Ok(Self(all))
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether a namespace is left out of a process: `webhook`, `audit`, `mutation-webhook`,
    /// `sync`.
    pub(crate) fn leave_out(&self, process: &str, namespace: &str) -> bool {
        self.0.iter().any(|(pattern, processes)| {
            wildcard(pattern, namespace) && processes.iter().any(|p| p == "*" || p == process)
        })
    }
}

/// Fills in the schema's defaults as the API server does for a constraint's resource:
/// where a property is missing, or null and not nullable, within objects that are there.
pub(crate) fn default_parameters(value: &mut Value, schema: &Value) {
    if value.is_null() {
        match schema.get("default") {
            Some(default) => *value = default.clone(),
            None => return,
        }
    }
    fill(value, schema, 0);
}

fn fill(value: &mut Value, schema: &Value, depth: usize) {
    if depth > 32 {
        return;
    }
    match value {
        Value::Object(map) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            for (name, property) in properties.into_iter().flatten() {
                let nullable = property.get("nullable").and_then(Value::as_bool) == Some(true);
                if let Some(default) = property.get("default") {
                    let missing = map.get(name).is_none_or(|v| v.is_null() && !nullable);
                    if missing {
                        map.insert(name.clone(), default.clone());
                    }
                }
                if let Some(inner) = map.get_mut(name) {
                    fill(inner, property, depth + 1);
                }
            }
            if let Some(rest) = schema.get("additionalProperties").filter(|s| s.is_object()) {
                for (name, inner) in map.iter_mut() {
                    if properties.is_none_or(|p| !p.contains_key(name)) {
                        fill(inner, rest, depth + 1);
                    }
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                items
                    .iter_mut()
                    .for_each(|item| fill(item, schema, depth + 1));
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn defaults_are_filled_as_the_api_server_does() {
        let schema = json!({"properties": {
            "a": {"default": 1}, "b": {"properties": {"c": {"default": "x"}}},
            "d": {"items": {"properties": {"e": {"default": true}}}},
            "f": {"default": 2, "nullable": true}, "g": {"default": 3}
        }});
        let mut value = json!({"d": [{}, {"e": false}], "b": {}, "f": null, "g": null});
        default_parameters(&mut value, &schema);
        assert_eq!(
            value,
            json!({"a": 1, "b": {"c": "x"}, "d": [{"e": true}, {"e": false}], "f": null, "g": 3})
        );
        let mut none = Value::Null;
        default_parameters(&mut none, &schema);
        assert_eq!(none, Value::Null);
    }
}
