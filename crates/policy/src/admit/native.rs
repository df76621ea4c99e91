//! Kubernetes' own ValidatingAdmissionPolicies, judged as part of a review.
//!
//! Gatekeeper's Config and its label on a namespace do not concern them. A policy is to a
//! binding what a template is to a constraint: [`Explain::kind`] is the policy's name,
//! [`Explain::constraint`] the binding's.

use super::{Admitter, Explain, Forms, Found, Remaining, Untold};
use crate::enforce::Action;
use crate::review::Review;
use crate::vap::set::{Native, actions};
use crate::vap::{Failure, Request, Unknown, ValidatingPolicy};
use bartizan_model::Timestamp;
use serde_json::Value;
use std::sync::Arc;

impl Admitter {
    /// Asks the policies that may look at the review.
    pub(super) fn native(
        &mut self,
        review: &Review,
        now: Timestamp,
        remaining: &mut Remaining<'_>,
        found: &mut Found,
    ) {
        if self.library.natives.validating.is_empty() {
            return;
        }
        let natives = Arc::clone(&self.library.natives);
        let world = Arc::clone(&self.world);
        let namespace = world.namespace_object(&review.namespace);
        let request = Request {
            request: &review.request,
            object: &review.object,
            old_object: &review.old_object,
            namespace: namespace.unwrap_or(&Value::Null),
        };
        for at in self.index_of_natives.of(&natives, &request).iter() {
            let Some(native) = natives.validating.get(*at) else {
                continue;
            };
            let mut budget = self.options.budget;
            budget.time = remaining().min(budget.time);
            if budget.time.is_zero() {
                let why = "the time of the review was over before it".to_owned();
                found.untold.push(untold(
                    native,
                    Unknown {
                        policy: native.name.clone(),
                        binding: None,
                        why,
                        fail: true,
                    },
                ));
                continue;
            }
            let judged = native.ask(&request, &world, budget);
            found.evaluated += judged.asked;
            for failure in judged.failures {
                let mut told = explain(native, failure);
                told.exception = Forms::of(review)
                    .ok()
                    .and_then(|forms| self.excepted(&told.policy, &told.constraint, &forms, now));
                found.explains.push(told);
            }
            let unknown = judged.unknown.into_iter();
            found.untold.extend(unknown.map(|u| untold(native, u)));
            // An API server takes annotations with one slash at most, which is its own.
            let named = judged.annotations.into_iter();
            let named = named.map(|(key, value)| (format!("{}.{key}", native.name), value));
            found.annotations.extend(named);
        }
    }
}

/// A violation, with the line of its policy.
pub(crate) fn explain(native: &Native<ValidatingPolicy>, failure: Failure) -> Explain {
    let bound = native.bound(&failure.binding);
    let words = actions(&failure.actions);
    Explain {
        policy: native.check.uid.clone(),
        kind: native.name.clone(),
        actions: words.into_iter().map(Action::word).collect(),
        severity: bound.map_or(native.check.severity, |b| b.severity),
        path: None,
        actual: None,
        expected: native.expression(failure.expression).map(str::to_owned),
        message: failure.message,
        remediation: native.check.remediation.clone(),
        template_at: native.at.clone(),
        constraint_at: bound.map(|b| b.at.clone()).unwrap_or_default(),
        constraint: failure.binding,
        exception: None,
    }
}

fn untold<P>(native: &Native<P>, unknown: Unknown) -> Untold {
    let words = |name: &String| {
        let mut bindings = native.bindings.iter();
        let bound = bindings.find(|b| b.binding.name() == name);
        bound.is_none_or(|b| b.binding.acts().contains(&Action::Deny))
    };
    Untold {
        policy: Some(native.check.uid.clone()),
        denies: unknown.fail && unknown.binding.as_ref().is_none_or(words),
        constraint: unknown.binding.unwrap_or_else(|| native.name.clone()),
        why: unknown.why,
    }
}
