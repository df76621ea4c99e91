//! What a library holds, for people: templates, their constraints, exceptions.

use crate::enforce::{Action, Point};
use crate::library::Library;
use crate::vap::set::{Bound, Held, Native};
use bartizan_model::{Check, Timestamp};

/// A template with its constraints.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyOutline {
    /// Its check.
    pub check: Check,
    /// The kind of its constraints.
    pub kind: String,
    /// Why it cannot be run; its constraints answer Unknown.
    pub refused: Option<String>,
    /// Whether it looks at other objects of the cluster.
    pub inventory: bool,
    /// The file and line where it stands.
    pub at: String,
    /// Its constraints, by name.
    pub constraints: Vec<ConstraintOutline>,
}

/// A constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConstraintOutline {
    /// Its name.
    pub name: String,
    /// What it does at each point where it is asked.
    pub points: Vec<(Point, Vec<Action>)>,
    /// The file and line where it stands.
    pub at: String,
}

/// An exception.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExceptionOutline {
    /// Its name.
    pub name: String,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Until when.
    pub expires: Timestamp,
    /// Why it has let nothing pass; none when it has.
    pub unused: Option<String>,
}

const POINTS: [Point; 4] = [Point::Webhook, Point::Audit, Point::Gator, Point::Vap];

impl Library {
    /// Templates with their constraints, by check.
    pub fn outline(&self) -> Vec<PolicyOutline> {
        let constraint = |c: &crate::gatekeeper::Constraint| ConstraintOutline {
            name: c.name.clone(),
            points: POINTS
                .into_iter()
                .map(|point| (point, c.actions.at(point)))
                .filter(|(_, actions)| !actions.is_empty())
                .collect(),
            at: format!("{}:{}", c.file, c.line),
        };
        let policy = |p: &crate::library::Policy| PolicyOutline {
            check: p.check.clone(),
            kind: p.kind.clone(),
            refused: p.template.refused.clone(),
            inventory: p.template.inventory,
            at: format!("{}:{}", p.template.file, p.template.line),
            constraints: p.constraints.iter().map(constraint).collect(),
        };
        let policies = self.policies.iter().map(policy);
        policies.chain(self.native_outline()).collect()
    }

    /// Admission policies with their bindings, as if they were templates with constraints.
    fn native_outline(&self) -> impl Iterator<Item = PolicyOutline> + '_ {
        fn outline<P: Held>(native: &Native<P>, points: &[Point]) -> PolicyOutline {
            let binding = |bound: &Bound| {
                let actions = bound.binding.acts();
                let points = points.iter().map(|point| (*point, actions.clone()));
                ConstraintOutline {
                    name: bound.binding.name().to_owned(),
                    points: points.filter(|(_, actions)| !actions.is_empty()).collect(),
                    at: bound.at.clone(),
                }
            };
            PolicyOutline {
                check: native.check.clone(),
                kind: native.name.clone(),
                refused: native.policy.as_ref().err().cloned(),
                inventory: native
                    .policy
                    .as_ref()
                    .is_ok_and(|p| p.param_kind().is_some()),
                at: native.at.clone(),
                constraints: native.bindings.iter().map(binding).collect(),
            }
        }
        const ASKED: [Point; 3] = [Point::Webhook, Point::Audit, Point::Gator];
        let natives = &self.natives;
        let validating = natives.validating.iter().map(|n| outline(n, &ASKED));
        validating.chain(natives.mutating.iter().map(|n| outline(n, &[])))
    }

    /// Exceptions, by name.
    pub fn exception_outline(&self, now: Timestamp) -> Vec<ExceptionOutline> {
        let mut all: Vec<_> = self
            .exceptions
            .iter()
            .map(|e| ExceptionOutline {
                name: e.name.clone(),
                owner: e.owner.clone(),
                reason: e.reason.clone(),
                expires: e.expires,
                unused: e.unused(now).map(|unused| unused.why),
            })
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}
