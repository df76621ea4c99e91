//! The admission policies of a library: compiled once, each with its bindings.
//!
//! A policy that cannot be compiled stays as refused: what it looks at is Unknown. A binding
//! whose policy is not there does nothing, as in the API server, and is told.

use super::binding::{Binding, Kind, Params};
use super::matching::Match;
use super::mutating::MutatingPolicy;
use super::validating::{Judged, ValidatingPolicy};
use super::{Request, Unknown};
use crate::budget::Budget;
use crate::enforce::Action;
use crate::library::{LibraryError, Notice, check};
use crate::object::Object;
use crate::world::World;
use bartizan_model::{Check, CheckUid, Severity};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

const GROUP: &str = "admissionregistration.k8s.io";

/// ValidatingAdmissionPolicies and MutatingAdmissionPolicies with their bindings.
#[derive(Debug, Default)]
pub(crate) struct Natives {
    /// By check uid.
    pub validating: Vec<Native<ValidatingPolicy>>,
    /// By name.
    pub mutating: Vec<Native<MutatingPolicy>>,
}

/// One policy with its bindings.
#[derive(Debug)]
pub(crate) struct Native<P> {
    pub name: String,
    pub check: Check,
    /// The policy; or why it cannot be run.
    pub policy: Result<P, String>,
    /// By name.
    pub bindings: Vec<Bound>,
    /// The file and line where it stands.
    pub at: String,
    /// What it validates, by place, as it is written.
    expressions: Vec<String>,
    /// Whether it asks who makes the request, which a manifest does not say.
    pub about_requests: bool,
    matching: Match,
    fail: bool,
}

/// A binding and where it comes from.
#[derive(Debug)]
pub(crate) struct Bound {
    pub binding: Binding,
    pub severity: Severity,
    pub at: String,
    /// As it was written.
    pub written: Value,
}

/// What a kind of policy needs to be held.
pub(crate) trait Held: Sized {
    /// The kind, and the first part of its checks' uids.
    const KIND: (&'static str, &'static str);
    fn read(object: &Value) -> Result<Self, String>;
    fn param_kind(&self) -> Option<&(String, String)>;
}

impl Held for ValidatingPolicy {
    const KIND: (&'static str, &'static str) = ("ValidatingAdmissionPolicy", "vap");

    fn read(object: &Value) -> Result<Self, String> {
        Self::read(object)
    }

    fn param_kind(&self) -> Option<&(String, String)> {
        self.param_kind()
    }
}

impl Held for MutatingPolicy {
    const KIND: (&'static str, &'static str) = ("MutatingAdmissionPolicy", "map");

    fn read(object: &Value) -> Result<Self, String> {
        Self::read(object)
    }

    fn param_kind(&self) -> Option<&(String, String)> {
        self.param_kind()
    }
}

fn invalid(object: &Object, why: String) -> LibraryError {
    LibraryError::Invalid {
        file: object.location.file.clone(),
        line: object.location.line,
        name: format!("{} {}", object.kind, object.name),
        why,
    }
}

impl Natives {
    /// Whether an object is one of them.
    pub(crate) fn wants(object: &Object) -> bool {
        let known = ["v1", "v1beta1", "v1alpha1"].contains(&object.version.as_str());
        object.group == GROUP
            && known
            && matches!(
                object.kind.as_str(),
                "ValidatingAdmissionPolicy"
                    | "ValidatingAdmissionPolicyBinding"
                    | "MutatingAdmissionPolicy"
                    | "MutatingAdmissionPolicyBinding"
            )
    }

    /// From such objects, each with the content that it came with. The error is an object that
    /// is malformed, or there twice.
    pub(crate) fn of(
        objects: &[(String, Object)],
        notices: &mut Vec<Notice>,
    ) -> Result<Self, LibraryError> {
        let mut validating = gather::<ValidatingPolicy>(objects, notices)?;
        validating.sort_by(|a, b| a.check.uid.cmp(&b.check.uid));
        let mut mutating = gather::<MutatingPolicy>(objects, notices)?;
        mutating.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self {
            validating,
            mutating,
        })
    }

    /// The checks of those that are bound.
    pub(crate) fn checks(&self) -> impl Iterator<Item = Check> + '_ {
        self.validating.iter().map(|native| native.check.clone())
    }

    /// Groups and kinds of parameters.
    pub(crate) fn params(&self) -> BTreeSet<(String, String)> {
        fn kinds<P: Held>(all: &[Native<P>]) -> impl Iterator<Item = (String, String)> + '_ {
            let compiled = all.iter().filter_map(|n| n.policy.as_ref().ok());
            compiled.filter_map(|p| p.param_kind()).map(|(api, kind)| {
                let group = api.split_once('/').map_or("", |(group, _)| group);
                (group.to_owned(), kind.clone())
            })
        }
        kinds(&self.validating)
            .chain(kinds(&self.mutating))
            .collect()
    }
}

fn gather<P: Held>(
    objects: &[(String, Object)],
    notices: &mut Vec<Notice>,
) -> Result<Vec<Native<P>>, LibraryError> {
    let (kind, engine) = P::KIND;
    let mut all: BTreeMap<String, (Native<P>, bool)> = BTreeMap::new();
    let mut say = |object: &Object, text: String| {
        notices.push(Notice {
            file: object.location.file.clone(),
            line: object.location.line,
            text,
        });
    };
    for (content, object) in objects.iter().filter(|(_, o)| o.kind == kind) {
        let native = Native::<P>::read(content, engine, object)?;
        if let Err(why) = &native.policy {
            let uid = &native.check.uid;
            say(
                object,
                format!("{uid} cannot be run, its results are Unknown: {why}"),
            );
        }
        let rated = object
            .annotations()
            .any(|(key, _)| key == "bartizan.dev/severity");
        if all.insert(object.name.clone(), (native, rated)).is_some() {
            return Err(invalid(object, format!("a second {kind} of this name")));
        }
    }
    let mut names = BTreeSet::new();
    for (_, object) in objects {
        if object.kind.strip_suffix("Binding") != Some(kind) {
            continue;
        }
        if !names.insert(&object.name) {
            return Err(invalid(object, "a second binding of this name".into()));
        }
        let bound = Bound::read(object).map_err(|why| invalid(object, why))?;
        match all.get_mut(bound.binding.policy()) {
            Some((native, _)) => native.bindings.push(bound),
            None => say(
                object,
                format!(
                    "{} {}: there is no {kind} {}: it does nothing",
                    object.kind,
                    object.name,
                    bound.binding.policy()
                ),
            ),
        }
    }
    let mut out = Vec::new();
    for (mut native, rated) in all.into_values() {
        if native.bindings.is_empty() {
            let text = format!("{} has no binding and judges nothing", native.check.uid);
            let object = objects.iter().map(|(_, o)| o);
            let mut object = object.filter(|o| o.kind == kind && o.name == native.name);
            if let Some(object) = object.next() {
                say(object, text);
            }
            continue;
        }
        native
            .bindings
            .sort_by(|a, b| a.binding.name().cmp(b.binding.name()));
        if rated {
            let own = native.check.severity;
            native.bindings.iter_mut().for_each(|b| b.severity = own);
        } else {
            let worst = native.bindings.iter().map(|b| b.severity).max();
            native.check.severity = worst.unwrap_or_default();
        }
        out.push(native);
    }
    Ok(out)
}

impl<P: Held> Native<P> {
    fn read(content: &str, engine: &str, object: &Object) -> Result<Self, LibraryError> {
        let fault = |why: String| invalid(object, why);
        let uid = CheckUid::of(engine, content, &object.name).map_err(|e| fault(e.to_string()))?;
        let spec = super::spec(&object.value).map_err(fault)?;
        let matching = Match::read(spec.get("matchConstraints"))
            .map_err(|why| fault(format!("spec.matchConstraints: {why}")))?;
        if !matching.has_rules() {
            let why = "spec.matchConstraints.resourceRules is missing";
            return Err(fault(why.into()));
        }
        let entries = spec.get("validations").and_then(Value::as_array);
        let texts = entries.into_iter().flatten().map(|entry| {
            let text = entry.get("expression").and_then(Value::as_str);
            text.unwrap_or_default().trim().to_owned()
        });
        Ok(Self {
            name: object.name.clone(),
            check: check(uid, &object.name, object),
            policy: P::read(&object.value),
            bindings: Vec::new(),
            at: format!("{}:{}", object.location.file, object.location.line),
            expressions: texts.collect(),
            about_requests: asks_of_requests(spec),
            matching,
            fail: super::fails(spec).map_err(fault)?,
        })
    }

    /// What a validation says, as it is written.
    pub(crate) fn expression(&self, place: Option<usize>) -> Option<&str> {
        place.and_then(|at| self.expressions.get(at).map(String::as_str))
    }

    /// A binding by its name.
    pub(crate) fn bound(&self, name: &str) -> Option<&Bound> {
        self.bindings.iter().find(|b| b.binding.name() == name)
    }

    fn reaches(&self, key: &Key) -> bool {
        let (group, resource, sub, operation) = key;
        self.matching.reaches(group, resource, sub, operation)
    }

    /// What a policy that cannot be run says: which of its bindings look at the request.
    fn refused(&self, why: &str, request: &Request<'_>) -> Vec<Unknown> {
        let unknown = |binding: Option<&Bound>, why: String| Unknown {
            policy: self.name.clone(),
            binding: binding.map(|b| b.binding.name().to_owned()),
            why,
            fail: self.fail,
        };
        match self.matching.test(request) {
            Ok(false) => return Vec::new(),
            Ok(true) => {}
            Err(why) => return vec![unknown(None, why)],
        }
        let wanted = self.bindings.iter();
        let wanted = wanted.filter(|b| b.binding.test(request) != Ok(false));
        wanted
            .map(|b| unknown(Some(b), format!("the policy cannot be run: {why}")))
            .collect()
    }
}

impl Native<ValidatingPolicy> {
    /// Asks it through its bindings.
    pub(crate) fn ask(&self, request: &Request<'_>, world: &World, budget: Budget) -> Judged {
        match &self.policy {
            Ok(policy) => {
                let bindings = self.bindings.iter().map(|b| &b.binding);
                policy.ask(bindings, request, world, budget)
            }
            Err(_) if request.exempt() => Judged::default(),
            Err(why) => Judged {
                unknown: self.refused(why, request),
                ..Judged::default()
            },
        }
    }
}

impl Native<MutatingPolicy> {
    /// What a policy that cannot be run says; nothing of one that can.
    pub(crate) fn untold(&self, request: &Request<'_>) -> Vec<Unknown> {
        match &self.policy {
            Err(why) if !request.exempt() => self.refused(why, request),
            _ => Vec::new(),
        }
    }
}

impl Bound {
    fn read(object: &Object) -> Result<Self, String> {
        let binding = Binding::read(&object.value)?;
        let worst = binding.acts().into_iter().max();
        Ok(Self {
            severity: worst.map(Action::severity).unwrap_or_default(),
            at: format!("{}:{}", object.location.file, object.location.line),
            written: object.value.clone(),
            binding,
        })
    }
}

/// The words of `validationActions` as those of constraints, the worst last.
pub(crate) fn actions(words: &[String]) -> Vec<Action> {
    let mut all: Vec<Action> = words
        .iter()
        .map(|word| match word.as_str() {
            "Deny" => Action::Deny,
            "Warn" => Action::Warn,
            _ => Action::Dryrun,
        })
        .collect();
    all.sort();
    all.dedup();
    all
}

/// Whether an expression reads of a request what no manifest says. What it only seems to read,
/// in a text of its own, makes it Unknown in scans, never a Pass.
fn asks_of_requests(spec: &Value) -> bool {
    match spec {
        Value::String(text) => ["request.userInfo", "authorizer", "request.options"]
            .iter()
            .any(|word| text.contains(word)),
        Value::Array(items) => items.iter().any(asks_of_requests),
        Value::Object(map) => map.values().any(asks_of_requests),
        _ => false,
    }
}

/// Group, resource, subresource, operation.
type Key = (String, String, String, String);

/// Which of the validating policies may look at a request; one a thread.
#[derive(Debug, Default)]
pub(crate) struct Index(HashMap<Key, Arc<[usize]>>);

impl Index {
    /// The places of those that may.
    pub(crate) fn of(&mut self, natives: &Natives, request: &Request<'_>) -> Arc<[usize]> {
        // Hostile requests may name any number of resources.
        const MOST: usize = 10_000;
        let text = |path: &[&str]| request.text(path).to_owned();
        let key: Key = (
            text(&["resource", "group"]),
            text(&["resource", "resource"]),
            text(&["subResource"]),
            text(&["operation"]),
        );
        if let Some(known) = self.0.get(&key) {
            return Arc::clone(known);
        }
        let all = natives.validating.iter().enumerate();
        let all: Arc<[usize]> = all.filter(|(_, n)| n.reaches(&key)).map(|x| x.0).collect();
        if self.0.len() >= MOST {
            self.0.clear();
        }
        self.0.insert(key, Arc::clone(&all));
        all
    }
}

/// Parameters are objects of the inventory. Where there is none of a kind, they are missing; where
/// there are only some of another version, it is not known, because nothing is converted here.
impl Params for World {
    fn of_kind(&self, api_version: &str, kind: &str) -> Option<Kind<'_>> {
        let inventory = self.inventory()?;
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let mut other = false;
        let mut of = |versions: &Value| {
            let all = versions.as_object().into_iter().flatten();
            let same = all.filter(|(api, _)| {
                api.split_once('/').map_or("", |(group, _)| group) == group
                    && api.as_str() != api_version
            });
            other |= same.into_iter().any(|(_, kinds)| kinds.get(kind).is_some());
        };
        let cluster = inventory.get("cluster").unwrap_or(&Value::Null);
        let namespaces = inventory.get("namespace").and_then(Value::as_object);
        of(cluster);
        for versions in namespaces.into_iter().flat_map(|all| all.values()) {
            of(versions);
        }
        let mut objects: Vec<&Value> = named(cluster, api_version, kind)
            .into_iter()
            .flat_map(|m| m.values())
            .collect();
        let mut namespaced = (!objects.is_empty()).then_some(false);
        for versions in namespaces.into_iter().flat_map(|all| all.values()) {
            let before = objects.len();
            objects.extend(
                named(versions, api_version, kind)
                    .into_iter()
                    .flat_map(|m| m.values()),
            );
            if objects.len() > before {
                namespaced = Some(true);
            }
        }
        if objects.is_empty() && other {
            return None;
        }
        Some(Kind {
            namespaced,
            objects,
        })
    }
}

fn named<'v>(versions: &'v Value, api_version: &str, kind: &str) -> Option<&'v Map<String, Value>> {
    versions.get(api_version)?.get(kind)?.as_object()
}
