//! Bindings, and the parameters that they refer to.

use super::matching::{Match, Selector};
use super::{Request, name, spec, strings, text};
use serde_json::Value;

/// Where parameters come from.
pub trait Params {
    /// All objects of a kind that are known; none where the kind itself is not known.
    fn of_kind(&self, api_version: &str, kind: &str) -> Option<Kind<'_>>;
}

/// The objects of one kind.
#[derive(Debug, Clone)]
pub struct Kind<'p> {
    /// Whether objects of the kind live in namespaces; none where that is not known, because
    /// there is no object.
    pub namespaced: Option<bool>,
    /// The objects.
    pub objects: Vec<&'p Value>,
}

/// Without any parameters.
impl Params for () {
    fn of_kind(&self, _: &str, _: &str) -> Option<Kind<'_>> {
        None
    }
}

/// A ValidatingAdmissionPolicyBinding or MutatingAdmissionPolicyBinding.
#[derive(Debug)]
pub struct Binding {
    pub(super) name: String,
    pub(super) policy: String,
    pub(super) actions: Vec<String>,
    matching: Match,
    params: Option<ParamRef>,
}

/// Why there are no parameters to judge with.
#[derive(Debug)]
pub(super) enum Missing {
    /// An error in the API server, too.
    Error(String),
    /// It is not known here.
    Unknown(String),
}

#[derive(Debug)]
struct ParamRef {
    name: Option<String>,
    namespace: Option<String>,
    selector: Selector,
    deny: bool,
}

impl Binding {
    /// Reads a binding.
    ///
    /// # Errors
    /// Says what is malformed.
    pub fn read(object: &Value) -> Result<Self, String> {
        let spec = spec(object)?;
        let policy = text(spec, "policyName")?.unwrap_or_default();
        if policy.is_empty() {
            return Err("spec.policyName is missing".into());
        }
        let actions = strings(spec, "validationActions")?;
        let known = ["Audit", "Deny", "Warn"];
        if let Some(other) = actions.iter().find(|a| !known.contains(&a.as_str())) {
            return Err(format!("validationActions {other:?} is not known"));
        }
        let params = match spec.get("paramRef").filter(|p| !p.is_null()) {
            Some(reference) => Some(ParamRef::read(reference)?),
            None => None,
        };
        Ok(Self {
            name: name(object)?,
            policy: policy.to_owned(),
            actions,
            matching: Match::read(spec.get("matchResources"))?,
            params,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a failure leads to, the worst last.
    pub(crate) fn acts(&self) -> Vec<crate::enforce::Action> {
        super::set::actions(&self.actions)
    }

    /// The name of its policy.
    pub fn policy(&self) -> &str {
        &self.policy
    }

    pub(super) fn test(&self, request: &Request<'_>) -> Result<bool, String> {
        self.matching.test(request)
    }

    /// The parameters to judge with, one after the other: null alone where there are none to
    /// be had, nothing where they are missing and that is allowed.
    pub(super) fn params<'p>(
        &self,
        kind: Option<&(String, String)>,
        request: &Request<'_>,
        params: &'p dyn Params,
    ) -> Result<Vec<&'p Value>, Missing> {
        let (Some((version, kind)), Some(reference)) = (kind, &self.params) else {
            return Ok(vec![&Value::Null]);
        };
        let known = params.of_kind(version, kind).ok_or_else(|| {
            Missing::Unknown(format!("the kind {kind} of its parameters is not known"))
        })?;
        let error = |why: &str| Err(Missing::Error(why.to_owned()));
        let namespace = match (known.namespaced, &reference.namespace) {
            (Some(false), Some(_)) => {
                return error("paramRef.namespace is set, and its kind has none");
            }
            (Some(false), None) => None,
            (_, Some(namespace)) => Some(namespace.as_str()),
            (Some(true), None) if request.namespace().is_empty() => {
                return error("its parameters are in namespaces, and the request is in none");
            }
            (_, None) => Some(request.namespace()),
        };
        let meta = |object: &Value, field: &str| {
            let found = object.get("metadata").and_then(|m| m.get(field));
            found.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let mut found: Vec<&Value> = known.objects;
        found.retain(|object| {
            namespace.is_none_or(|n| meta(object, "namespace") == n)
                && match &reference.name {
                    Some(name) => meta(object, "name") == *name,
                    None => reference.selector.test(object),
                }
        });
        if found.is_empty() && reference.deny {
            return error("its parameters are missing, and parameterNotFoundAction is Deny");
        }
        Ok(found)
    }
}

impl ParamRef {
    fn read(value: &Value) -> Result<Self, String> {
        let some = |field: &str| -> Result<Option<String>, String> {
            Ok(text(value, field)?
                .filter(|t| !t.is_empty())
                .map(str::to_owned))
        };
        let selector = value.get("selector").filter(|s| !s.is_null());
        let name = some("name")?;
        if name.is_some() == selector.is_some() {
            return Err("paramRef has a name or a selector, and only one of them".into());
        }
        Ok(Self {
            name,
            namespace: some("namespace")?,
            selector: Selector::read(selector)?,
            deny: match text(value, "parameterNotFoundAction")? {
                Some("Allow") => false,
                None | Some("Deny") => true,
                Some(other) => {
                    return Err(format!("parameterNotFoundAction {other:?} is not known"));
                }
            },
        })
    }
}
