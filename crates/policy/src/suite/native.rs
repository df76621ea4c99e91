//! A suite's test of a ValidatingAdmissionPolicy: `template` is the policy, `constraint` its
//! binding, `inventory` what it may know: parameters and Namespaces. `gator` has no such tests.

use super::{Fault, Object};
use crate::budget::Budget;
use crate::vap::set::{Index, Natives};
use crate::vap::{Request, manifest};
use crate::world::World;
use serde_json::Value;

/// A policy with its binding.
pub(super) struct Tested(Natives);

impl Tested {
    /// Whether a test's template is such a policy.
    pub(super) fn wants(template: &Object) -> bool {
        Natives::wants(template) && template.kind == "ValidatingAdmissionPolicy"
    }

    pub(super) fn of(policy: Object, binding: Object) -> Result<Self, Fault> {
        let both = [policy, binding].map(|object| ("suite".to_owned(), object));
        let mut notices = Vec::new();
        let natives = Natives::of(&both, &mut notices);
        let natives = natives.map_err(|why| Fault::Other(why.to_string()))?;
        match natives.validating.first().map(|n| &n.policy) {
            Some(Ok(_)) => Ok(Self(natives)),
            Some(Err(why)) => Err(Fault::Other(format!("refused: {why}"))),
            None => {
                let why = notices.into_iter().map(|n| n.text).next();
                Err(Fault::Other(why.unwrap_or_default()))
            }
        }
    }

    /// What fails on an object, or on the request of an AdmissionReview.
    pub(super) fn messages(
        &self,
        object: &Object,
        known: &[Object],
    ) -> Result<Vec<String>, String> {
        let mut world = World::gather(Some(&crate::sync::Synced::Everything), known);
        world.add_default_namespaces();
        let budget = Budget::default();
        if object.kind != "AdmissionReview" {
            let mut messages = Vec::new();
            for said in manifest::ask(&self.0, &mut Index::default(), object, &world, budget) {
                if let Some(why) = said.unknown {
                    return Err(why);
                }
                messages.extend(said.failures.into_iter().map(|f| f.message));
            }
            return Ok(messages);
        }
        let request = object.value.get("request").and_then(Value::as_object);
        let mut request = request.ok_or("the AdmissionReview has no request")?.clone();
        let mut part = |field: &str| request.remove(field).unwrap_or(Value::Null);
        let (new, old) = (part("object"), part("oldObject"));
        let namespace = request.get("namespace").and_then(Value::as_str);
        let namespace = world.namespace_object(namespace.unwrap_or_default());
        let request = Value::Object(request.clone());
        let request = Request {
            request: &request,
            object: &new,
            old_object: &old,
            namespace: namespace.unwrap_or(&Value::Null),
        };
        let mut messages = Vec::new();
        for native in &self.0.validating {
            let judged = native.ask(&request, &world, budget);
            if let Some(unknown) = judged.unknown.into_iter().next() {
                return Err(unknown.why);
            }
            messages.extend(judged.failures.into_iter().map(|f| f.message));
        }
        Ok(messages)
    }
}
