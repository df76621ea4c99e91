//! Audit: what is in a cluster already, asked of one object at a time.
//!
//! An audit judges objects as Gatekeeper's does: the object itself, under the constraints that are
//! enforced at `audit.gatekeeper.sh`, without the Pod that a workload would create (in a cluster
//! that Pod is there and is judged itself). Each check has one result for the whole object, as at
//! admission, so that an audit and the webhook speak of the same finding.

use crate::ask::{Ask, Known, Parameters};
use crate::budget::Budget;
use crate::enforce::Point;
use crate::engine::{Shared, Violation};
use crate::evaluate::request_of;
use crate::library::{Library, Policy};
use crate::matching::{Target, Verdict};
use crate::object::Object;
use crate::sync::Synced;
use crate::unit::Unit;
use crate::{World, redact};
use bartizan_model::{
    AssetUid, CheckResult, CheckUid, Evidence, Outcome, Severity, Suppression, Timestamp,
};
use serde_json::Value;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// What a template and its constraints look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interest {
    /// The template's check.
    pub check: CheckUid,
    /// Groups and kinds as in `match.kinds`; an empty list is all.
    pub kinds: Vec<(Vec<String>, Vec<String>)>,
    /// Whether labels of the object's namespace decide.
    pub by_namespace: bool,
    /// What else it reads.
    pub reads: Reads,
    /// Differs when its verdicts may.
    pub fingerprint: u64,
}

/// Which kinds a template reads besides the object itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reads {
    /// None.
    Nothing,
    /// These groups and kinds; `*` stands for any.
    Kinds(Vec<(String, String)>),
    /// It does not say which.
    Anything,
}

/// What an audit says of one object.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Audited {
    /// One result a check that looks at it.
    pub results: Vec<CheckResult>,
    /// What each constraint found; constraints that found nothing have no entry.
    pub found: Vec<ConstraintFound>,
    /// Checks that were asked for and of which no constraint looks at this object.
    pub outside: Vec<CheckUid>,
}

/// What one constraint found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConstraintFound {
    /// The constraint's kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What it does at the audit: `deny`, `warn`, `dryrun`.
    pub actions: Vec<&'static str>,
    /// The violations' messages.
    pub messages: Vec<String>,
}

/// Policies compiled for one thread.
pub struct Auditor {
    library: Library,
    world: Arc<World>,
    budget: Budget,
    units: Vec<Result<Unit, String>>,
    parameters: Vec<Vec<Parameters>>,
    index: HashMap<(String, String), Arc<[usize]>>,
    namespaces: HashMap<String, Shared>,
}

/// One constraint's answer.
enum Answer {
    Told(Vec<Violation>),
    Untold(String),
}

impl Library {
    /// What each template looks at in an audit.
    pub fn audit_interests(&self) -> Vec<Interest> {
        let shared = format!("{:?} {:?}", self.exclusions, self.exceptions);
        let interest = |policy: &Policy| {
            let all = policy.constraints.iter();
            let constraints: Vec<_> = all
                .filter(|c| !c.actions.at(Point::Audit).is_empty())
                .collect();
            if constraints.is_empty() {
                return None;
            }
            let mut kinds = Vec::new();
            let mut all = false;
            for constraint in &constraints {
                let wanted = constraint.matching.kinds();
                all |= wanted.is_empty();
                kinds.extend(wanted.iter().cloned());
            }
            if all {
                kinds.clear();
            }
            let reads = match (policy.template.inventory, &policy.template.synced) {
                (false, _) => Reads::Nothing,
                (true, Synced::Everything) => Reads::Anything,
                (true, Synced::Only(kinds)) => Reads::Kinds(kinds.iter().cloned().collect()),
            };
            Some(Interest {
                check: policy.check.uid.clone(),
                kinds,
                by_namespace: constraints.iter().any(|c| c.matching.by_namespace())
                    || self.exceptions.iter().any(|e| e.by_namespace()),
                reads,
                fingerprint: fingerprint(policy, &shared),
            })
        };
        self.policies.iter().filter_map(interest).collect()
    }

    /// Whether `data.inventory` is to hold objects of a group and kind.
    pub fn syncs(&self, group: &str, kind: &str) -> bool {
        self.inventory().is_some_and(|i| i.holds(group, kind))
    }
}

/// Of everything that a verdict is made of.
fn fingerprint(policy: &Policy, shared: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{:?} {:?}", policy.template, policy.constraints).hash(&mut hasher);
    shared.hash(&mut hasher);
    hasher.finish()
}

impl Object {
    /// An object of which everything is known already. Nothing is read again.
    pub fn known(
        (group, version, kind): (&str, &str, &str),
        namespace: Option<&str>,
        name: &str,
        value: Value,
    ) -> Self {
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.unwrap_or_default().to_owned(),
            name: name.to_owned(),
            location: bartizan_model::Location {
                file: "cluster".into(),
                line: 1,
                column: None,
            },
            value,
            lines: Vec::new(),
            helm: None,
        }
    }
}

impl Auditor {
    /// Compiles all policies.
    pub fn new(library: &Library, world: Arc<World>, budget: Budget, now: Timestamp) -> Self {
        let inventory = world.shared();
        let unit = |p: &Policy| Unit::new(&p.template, inventory, now, budget);
        let parameters = |p: &Policy| {
            let all = p.constraints.iter().map(|c| Parameters::of(&c.parameters));
            all.collect()
        };
        Self {
            units: library.policies.iter().map(unit).collect(),
            parameters: library.policies.iter().map(parameters).collect(),
            library: library.clone(),
            world,
            budget,
            index: HashMap::new(),
            namespaces: HashMap::new(),
        }
    }

    /// The cluster is another now, the policies are the same: only what reads the inventory is
    /// compiled again.
    pub fn renew(&mut self, world: Arc<World>, now: Timestamp) {
        self.world = world;
        self.namespaces.clear();
        let inventory = self.world.shared();
        for (unit, policy) in self.units.iter_mut().zip(self.library.policies.iter()) {
            if policy.template.inventory {
                *unit = Unit::new(&policy.template, inventory, now, self.budget);
            }
        }
    }

    /// Asks the checks that are wanted and that look at the object.
    pub fn judge(
        &mut self,
        asset: &AssetUid,
        object: &Object,
        now: Timestamp,
        wanted: &dyn Fn(&CheckUid) -> bool,
    ) -> Audited {
        let mut audited = Audited::default();
        let library = self.library.clone();
        let place = match (object.group.as_str(), object.kind.as_str()) {
            ("", "Namespace") => object.name.as_str(),
            _ => object.namespace.as_str(),
        };
        let left_out = library.exclusions.leave_out("audit", place);
        let target = Target {
            group: &object.group,
            kind: &object.kind,
            namespace: &object.namespace,
            value: &object.value,
            generated: false,
        };
        let world = Arc::clone(&self.world);
        let namespace = self.namespace(&world, &object.namespace);
        let kind = (&*object.group, &*object.version, &*object.kind);
        let name = Value::from(object.name.as_str());
        let request = request_of(kind, &object.namespace, Some(&name));
        let ask = Ask::new(&object.value, &Value::Null, namespace, &request);
        for &at in self.candidates(&object.group, &object.kind).iter() {
            let Some(policy) = library.policies.get(at).filter(|p| wanted(&p.check.uid)) else {
                continue;
            };
            if left_out {
                audited.outside.push(policy.check.uid.clone());
                continue;
            }
            let mut tally = Tally::default();
            for (c, constraint) in policy.constraints.iter().enumerate() {
                let actions = constraint.actions.at(Point::Audit);
                if actions.is_empty() {
                    continue;
                }
                let answer = match constraint.matching.test(&target, world.namespaces()) {
                    Verdict::No => continue,
                    Verdict::Unknown(why) => Answer::Untold(why),
                    Verdict::Yes => match &constraint.refused {
                        Some(why) => Answer::Untold(why.clone()),
                        None => self.ask(at, c, &ask, now),
                    },
                };
                tally.asked = true;
                match answer {
                    Answer::Untold(why) => {
                        tally.unknown.get_or_insert(why);
                    }
                    Answer::Told(violations) if violations.is_empty() => {}
                    Answer::Told(violations) => {
                        let exception = library.exceptions.iter().find(|e| {
                            let uid = &policy.check.uid;
                            let targets = std::slice::from_ref(&target);
                            e.covers(uid, &constraint.name, targets, world.namespaces(), now)
                        });
                        let severity = constraint.severity.unwrap_or(policy.check.severity);
                        let said = exception.map(|e| Suppression {
                            by: format!("exception {}", e.name),
                            reason: format!("{}: {}", e.owner, e.reason),
                        });
                        if said.is_none() {
                            audited.found.push(ConstraintFound {
                                kind: policy.kind.clone(),
                                name: constraint.name.clone(),
                                actions: actions.iter().map(|a| a.word()).collect(),
                                messages: violations.iter().map(|v| v.message.clone()).collect(),
                            });
                        }
                        tally.add(&constraint.name, severity, said, violations);
                    }
                }
            }
            match tally.asked {
                true => audited.results.push(tally.result(policy, asset)),
                false => audited.outside.push(policy.check.uid.clone()),
            }
        }
        audited
    }

    fn ask(&mut self, policy: usize, constraint: usize, ask: &Ask<'_>, now: Timestamp) -> Answer {
        let parameters = self.parameters.get(policy).and_then(|p| p.get(constraint));
        match (self.units.get_mut(policy), parameters) {
            (Some(Ok(unit)), Some(parameters)) => {
                unit.allow(self.budget.time, now);
                match unit.evaluate(ask, parameters) {
                    Ok(violations) => Answer::Told(violations),
                    Err(why) => Answer::Untold(why),
                }
            }
            (Some(Err(why)), _) => Answer::Untold(format!("the policy cannot be run: {why}")),
            _ => Answer::Untold("the policy is gone".into()),
        }
    }

    fn namespace<'w>(&mut self, world: &'w World, name: &str) -> Option<Known<'w>> {
        let json = world.namespace_object(name)?;
        let made = self.namespaces.entry(name.to_owned());
        let rego = made.or_insert_with(|| Shared::of(json)).clone();
        Some(Known { json, rego })
    }

    fn candidates(&mut self, group: &str, kind: &str) -> Arc<[usize]> {
        let key = (group.to_owned(), kind.to_owned());
        let library = &self.library;
        let made = self.index.entry(key).or_insert_with(|| {
            let wants = |p: &Policy| p.constraints.iter().any(|c| c.matching.wants(group, kind));
            let all = library.policies.iter().enumerate();
            all.filter(|(_, p)| wants(p)).map(|(at, _)| at).collect()
        });
        Arc::clone(made)
    }
}

/// What is gathered for one check.
#[derive(Default)]
struct Tally {
    asked: bool,
    failed: bool,
    unknown: Option<String>,
    message: String,
    severity: Option<Severity>,
    evidence: Vec<Evidence>,
    suppression: Option<Suppression>,
}

impl Tally {
    fn add(
        &mut self,
        constraint: &str,
        severity: Severity,
        said: Option<Suppression>,
        violations: Vec<Violation>,
    ) {
        // One violation without an exception makes the whole a failure.
        self.suppression = match (self.failed, said) {
            (false, said) => said,
            (true, said) => self.suppression.take().and(said),
        };
        self.failed = true;
        self.severity = self.severity.max(Some(severity));
        for violation in violations {
            if self.message.len() < 2_000 {
                if !self.message.is_empty() {
                    self.message.push_str("; ");
                }
                let text = format!("[{constraint}] {}", violation.message);
                self.message.extend(text.chars().take(500));
            }
            if let Some(path) = violation.path
                && self.evidence.len() < 50
            {
                let actual = violation.actual.map(|a| redact::text(&path, &a));
                self.evidence.push(Evidence {
                    path,
                    actual,
                    expected: violation.expected,
                });
            }
        }
    }

    fn result(self, policy: &Policy, asset: &AssetUid) -> CheckResult {
        let outcome = match (self.failed, self.unknown) {
            (true, _) => Outcome::Fail,
            (false, Some(why)) => Outcome::Unknown { why },
            (false, None) => Outcome::Pass,
        };
        CheckResult {
            check: policy.check.uid.clone(),
            asset: asset.clone(),
            locus: String::new(),
            message: match self.failed {
                true => self.message,
                false => outcome.why().unwrap_or_default().to_owned(),
            },
            severity: self.severity.filter(|s| *s != policy.check.severity),
            outcome,
            evidence: self.evidence,
            location: None,
            suppression: self.suppression,
        }
    }
}

#[cfg(test)]
mod tests;
