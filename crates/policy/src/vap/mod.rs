//! Kubernetes' own admission policies, judged as the API server does: ValidatingAdmissionPolicy
//! and MutatingAdmissionPolicy with their bindings, as pure functions of one request.
//!
//! An error means what `failurePolicy` says: under `Fail` it is a denial. Under `Ignore` the
//! API server lets the request pass and says nothing; here it is [`Unknown`]. A budget that is
//! spent is Unknown under both, with a mark of which it was.
//!
//! **What is not known is not guessed.** An object is not converted to another version, so a
//! rule that `matchPolicy: Equivalent` might fit is Unknown, not a miss; so is what lacks the
//! Namespace or the parameters' kind. A policy that asks the authorizer is refused when it is
//! read. `set` holds what a library has of them.

mod binding;
mod generate;
pub(crate) mod manifest;
mod matching;
mod merge;
mod mutating;
mod patch;
pub(crate) mod set;
#[cfg(test)]
mod tests;
mod validating;

pub use binding::{Binding, Kind, Params};
pub use generate::{binding_of, policy_of};
pub(crate) use mutating::mutate_in_order;
pub use mutating::{Mutated, MutatingPolicy, mutate};
pub use validating::{Failure, Validated, ValidatingPolicy, validate};

use crate::cel::Value as Cel;
use serde_json::Value;

/// One request, in parts; what is absent is null.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// All fields of the AdmissionRequest but the objects: kind, resource, operation, userInfo.
    pub request: &'a Value,
    /// The object as it would be stored; null for DELETE.
    pub object: &'a Value,
    /// The object before.
    pub old_object: &'a Value,
    /// The Namespace that the request is in; null where it is not known.
    pub namespace: &'a Value,
}

/// Why a policy denies a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The policy's name.
    pub policy: String,
    /// The binding's name; none where the policy itself could not be told.
    pub binding: Option<String>,
    /// What it says.
    pub message: String,
    /// The reason of the status; `Invalid` where the policy names none.
    pub reason: String,
}

/// What could not be told, and is not a denial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// The policy's name.
    pub policy: String,
    /// The binding's name, where one was looked at.
    pub binding: Option<String>,
    /// Why it could not be told.
    pub why: String,
    /// Whether the policy wants requests that it cannot judge to fail.
    pub fail: bool,
}

impl Request<'_> {
    fn text(&self, path: &[&str]) -> &str {
        let found = path.iter().try_fold(self.request, |v, f| v.get(*f));
        found.and_then(Value::as_str).unwrap_or_default()
    }

    fn operation(&self) -> &str {
        self.text(&["operation"])
    }

    /// The namespace; for a Namespace its own name, as in the API server.
    fn namespace(&self) -> &str {
        match self.text(&["namespace"]) {
            "" if self.is_namespace() => self.text(&["name"]),
            namespace => namespace,
        }
    }

    fn is_namespace(&self) -> bool {
        let resource = self.text(&["resource", "resource"]);
        let named = resource == "namespaces" && self.text(&["subResource"]).is_empty();
        named && self.text(&["resource", "group"]).is_empty()
    }

    /// The API server never asks policies of the objects that would repair them.
    fn exempt(&self) -> bool {
        const KINDS: [&str; 6] = [
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "ValidatingWebhookConfiguration",
        ];
        self.text(&["kind", "group"]) == "admissionregistration.k8s.io"
            && KINDS.contains(&self.text(&["kind", "kind"]))
    }

    /// The variables of expressions, in the order of [`GLOBALS`].
    fn globals<'v>(&'v self, object: &'v Value, params: &'v Value) -> Vec<Cel<'v>> {
        vec![
            Cel::json(object),
            Cel::json(self.old_object),
            crate::cel::request(self.request),
            Cel::Null,
            Cel::json(params),
        ]
    }

    /// `namespaceObject`, which match conditions do not see.
    fn namespace_object(&self) -> Cel<'_> {
        if self.is_namespace() {
            return Cel::Null;
        }
        crate::cel::namespace(self.namespace)
    }
}

const GLOBALS: [&str; 5] = [
    "object",
    "oldObject",
    "request",
    "namespaceObject",
    "params",
];

fn name(object: &Value) -> Result<String, String> {
    let name = object.get("metadata").and_then(|m| m.get("name"));
    match name.and_then(Value::as_str) {
        Some(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => Err("metadata.name is missing".into()),
    }
}

fn spec(object: &Value) -> Result<&Value, String> {
    let spec = object.get("spec").filter(|s| s.is_object());
    spec.ok_or_else(|| "spec is missing".into())
}

fn text<'v>(value: &'v Value, field: &str) -> Result<Option<&'v str>, String> {
    match value.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("{field} is no text")),
    }
}

fn list<'v>(value: &'v Value, field: &str) -> Result<&'v [Value], String> {
    match value.get(field) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(format!("{field} is no list")),
    }
}

fn strings(value: &Value, field: &str) -> Result<Vec<String>, String> {
    let all = list(value, field)?.iter();
    all.map(|item| item.as_str().map(str::to_owned))
        .collect::<Option<_>>()
        .ok_or_else(|| format!("{field} holds something that is no text"))
}

/// Whether an error is a denial.
fn fails(spec: &Value) -> Result<bool, String> {
    match text(spec, "failurePolicy")? {
        None | Some("Fail") => Ok(true),
        Some("Ignore") => Ok(false),
        Some(other) => Err(format!("failurePolicy {other:?} is not known")),
    }
}

/// `paramKind` as version and kind.
fn param_kind(spec: &Value) -> Result<Option<(String, String)>, String> {
    let Some(kind) = spec.get("paramKind").filter(|k| !k.is_null()) else {
        return Ok(None);
    };
    let field = |name: &str| {
        let value = text(kind, name)?.filter(|t| !t.is_empty());
        let missing = || format!("paramKind.{name} is missing");
        value.map(str::to_owned).ok_or_else(missing)
    };
    Ok(Some((field("apiVersion")?, field("kind")?)))
}

/// The globals of a policy: `params` is one only where it has a kind.
fn globals(params: bool) -> &'static [&'static str] {
    let count = if params { 5 } else { 4 };
    GLOBALS.get(..count).unwrap_or(&GLOBALS)
}
