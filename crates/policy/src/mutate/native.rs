//! What a mutating webhook makes of a review: Kubernetes' MutatingAdmissionPolicies first, then
//! Gatekeeper's mutators, as an API server would order the two. Where mutators have changed
//! something, policies that want to be asked again are asked again, until nothing changes.

use super::{MutateError, json_patch};
use crate::admit::{Explain, Failure, Untold, Verdict};
use crate::budget::Budget;
use crate::enforce::Action;
use crate::library::Library;
use crate::providers::Providers;
use crate::review::Review;
use crate::vap::set::Native;
use crate::vap::{self, Binding, MutatingPolicy, Request};
use crate::world::World;
use serde_json::Value;
use std::borrow::Cow;

/// Policies and mutators that answer each other are given up after so many rounds.
const ROUNDS: usize = 8;

/// What is answered to a review.
#[derive(Debug, Clone, PartialEq)]
pub struct Mutation {
    /// A JSON Patch; none where nothing changes.
    pub patch: Option<Vec<Value>>,
    /// What policies refuse, and what could not be told.
    pub verdict: Verdict,
}

impl Library {
    /// Whether anything here changes objects.
    pub fn mutates(&self) -> bool {
        !self.mutators().is_empty() || !self.natives.mutating.is_empty()
    }

    /// Changes the object of a review.
    pub fn mutate(
        &self,
        review: &Review,
        world: &World,
        providers: &dyn Providers,
        budget: Budget,
        failure: Failure,
    ) -> Result<Mutation, MutateError> {
        let mut told = Gathered::default();
        let mut object = Cow::Borrowed(&review.object);
        let mut round = 0;
        loop {
            round += 1;
            if let Some(changed) = self.policies(review, &object, world, budget, round, &mut told) {
                object = Cow::Owned(changed);
            }
            let mutated = self
                .mutators()
                .changed(review, &object, self, world, providers)?;
            let Some(mutated) = mutated else {
                break;
            };
            object = Cow::Owned(mutated);
            let again = self.natives.mutating.iter();
            let again = again.filter(|n| n.policy.as_ref().is_ok_and(MutatingPolicy::again));
            if again.count() == 0 {
                break;
            }
            if round >= ROUNDS {
                return Err(MutateError::NotConverging {
                    rounds: round,
                    applied: Vec::new(),
                });
            }
        }
        let patch = json_patch(&review.object, &object);
        let verdict = Verdict::of(told.explains, told.untold, told.asked, failure);
        Ok(Mutation {
            patch: (verdict.allowed && !patch.is_empty()).then_some(patch),
            verdict,
        })
    }

    /// What the policies make of it; none where they change nothing.
    fn policies(
        &self,
        review: &Review,
        object: &Value,
        world: &World,
        budget: Budget,
        round: usize,
        told: &mut Gathered,
    ) -> Option<Value> {
        if self.natives.mutating.is_empty() || object.is_null() {
            return None;
        }
        let namespace = world.namespace_object(&review.namespace);
        let request = Request {
            request: &review.request,
            object,
            old_object: &review.old_object,
            namespace: namespace.unwrap_or(&Value::Null),
        };
        let mut order: Vec<(&MutatingPolicy, &Binding)> = Vec::new();
        for native in &self.natives.mutating {
            if round == 1 {
                for unknown in native.untold(&request) {
                    told.unknown(native, unknown);
                }
            }
            let policy = native.policy.as_ref().ok();
            let wanted = policy.filter(|p| round == 1 || p.again());
            let wanted = wanted.filter(|p| p.may_match(&request));
            let bound = native.bindings.iter().map(|b| &b.binding);
            order.extend(
                wanted
                    .into_iter()
                    .flat_map(|p| bound.clone().map(move |b| (p, b))),
            );
        }
        if order.is_empty() {
            return None;
        }
        let made = vap::mutate_in_order(&order, &request, world, budget);
        told.asked += order.len();
        let of = |name: &str| self.natives.mutating.iter().find(|n| n.name == name);
        for denial in made.denied {
            if let Some(native) = of(&denial.policy) {
                told.explains.push(explain(native, denial));
            }
        }
        for unknown in made.unknown {
            if let Some(native) = of(&unknown.policy) {
                told.unknown(native, unknown);
            }
        }
        (made.object != *object).then_some(made.object)
    }
}

#[derive(Default)]
struct Gathered {
    explains: Vec<Explain>,
    untold: Vec<Untold>,
    asked: usize,
}

impl Gathered {
    fn unknown(&mut self, native: &Native<MutatingPolicy>, unknown: vap::Unknown) {
        let told = Untold {
            policy: Some(native.check.uid.clone()),
            constraint: unknown.binding.unwrap_or_else(|| native.name.clone()),
            denies: unknown.fail,
            why: format!("the object was not mutated: {}", unknown.why),
        };
        if !self.untold.contains(&told) {
            self.untold.push(told);
        }
    }
}

fn explain(native: &Native<MutatingPolicy>, denial: vap::Denial) -> Explain {
    let constraint = denial.binding.unwrap_or_default();
    let bound = native.bound(&constraint);
    Explain {
        policy: native.check.uid.clone(),
        kind: native.name.clone(),
        actions: vec![Action::Deny.word()],
        severity: native.check.severity,
        message: denial.message,
        path: None,
        actual: None,
        expected: None,
        remediation: native.check.remediation.clone(),
        template_at: native.at.clone(),
        constraint_at: bound.map(|b| b.at.clone()).unwrap_or_default(),
        constraint,
        exception: None,
    }
}
