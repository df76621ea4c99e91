//! Admission: one review in, one verdict out, by every constraint that is enforced at
//! Gatekeeper's webhook.
//!
//! An [`Admitter`] belongs to one thread. It is made from a [`Library`] and a [`World`] that do
//! not change; new policies are a new admitter. What can be done before a review comes is done
//! then: templates are compiled, parameters converted, and constraints that cannot match a
//! (group, kind, namespace) are never looked at again.
//!
//! Follows Gatekeeper 3.24: a constraint looks at a review when its match fits the object or
//! the old object; a DELETE is judged by the object that goes; `targets[].operations` limits
//! a template. Where Gatekeeper denies with an error of its own (a Namespace that is not
//! there, an object without a kind) the verdict is [`Outcome::Unknown`].

mod images;
mod implied;
pub(crate) mod native;
mod pod_security;
mod renew;
mod verdict;

pub use images::Undecided;
pub use renew::Renewed;
pub use verdict::{Excepted, Explain, Failure, Outcome, Untold, Verdict};

use crate::ask::{Ask, Known, Parameters};
use crate::budget::Budget;
use crate::enforce::{Action, Point};
use crate::engine::{Shared, Violation};
use crate::gatekeeper::Constraint;
use crate::library::{Library, Policy};
use crate::matching::{Target, Verdict as Match};
use crate::pod_security::admission::Configuration;
use crate::providers::Providers;
use crate::redact;
use crate::rego::builtins::external::with_providers;
use crate::review::{Operation, Review};
use crate::unit::Unit;
use crate::vap::set::Index;
use crate::vet;
use crate::world::World;
use bartizan_model::{CheckUid, Timestamp};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// The label that takes a namespace out of admission.
const IGNORE: &str = "admission.gatekeeper.sh/ignore";

/// How to judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AdmitOptions {
    /// What one evaluation may cost.
    pub budget: Budget,
    /// What is answered where something cannot be told.
    pub failure: Failure,
}

/// How much time a review has left; asked before each evaluation.
pub type Remaining<'r> = dyn FnMut() -> Duration + 'r;

/// Policies compiled for one thread. Make one per worker; never share it.
pub struct Admitter {
    library: Library,
    world: Arc<World>,
    options: AdmitOptions,
    units: Vec<Result<Unit, String>>,
    rules: Vec<Rule>,
    index: HashMap<Key, Arc<[usize]>>,
    index_of_natives: Index,
    namespaces: HashMap<String, Shared>,
    providers: Option<Arc<dyn Providers + Send + Sync>>,
    seeing: Option<Arc<images::Seeing>>,
    pod_security: Option<Arc<Configuration>>,
}

// Admitters are made off the request's path and handed to their worker.
const _: () = {
    const fn send<T: Send>() {}
    send::<Admitter>();
};

/// Group, kind and namespace.
type Key = (String, String, String);

/// A constraint that is enforced at the webhook.
struct Rule {
    policy: usize,
    constraint: usize,
    actions: Vec<Action>,
    parameters: Parameters,
}

/// The forms of the object that are matched.
struct Forms<'r> {
    targets: Vec<Target<'r>>,
}

impl Admitter {
    /// Compiles all policies.
    pub fn new(
        library: &Library,
        world: Arc<World>,
        options: AdmitOptions,
        now: Timestamp,
    ) -> Self {
        // It may be there for parameters alone.
        let asked = library.asks_inventory();
        let inventory = world.shared().filter(|_| asked);
        let mut rules = Vec::new();
        let mut units = Vec::new();
        for (p, policy) in library.policies.iter().enumerate() {
            for (c, constraint) in policy.constraints.iter().enumerate() {
                let actions = constraint.actions.at(Point::Webhook);
                if !actions.is_empty() {
                    rules.push(Rule {
                        policy: p,
                        constraint: c,
                        actions,
                        parameters: Parameters::of(&constraint.parameters),
                    });
                }
            }
            let template = &policy.template;
            units.push(Unit::new(template, inventory, now, options.budget));
        }
        Self {
            library: library.clone(),
            world,
            options,
            units,
            rules,
            index: HashMap::new(),
            index_of_natives: Index::default(),
            namespaces: HashMap::new(),
            providers: None,
            seeing: None,
            pod_security: None,
        }
    }

    /// What is answered where something cannot be told.
    pub fn failure(&self) -> Failure {
        self.options.failure
    }

    /// Judges a review with no more time than the budget gives each evaluation.
    pub fn admit(&mut self, review: &Review, now: Timestamp) -> Verdict {
        let budget = self.options.budget.time;
        self.admit_within(review, now, &mut || budget)
    }

    /// Judges a review while there is time left; what there is no time for is Unknown.
    pub fn admit_within(
        &mut self,
        review: &Review,
        now: Timestamp,
        remaining: &mut Remaining<'_>,
    ) -> Verdict {
        match self.admit_but_images(review, now, remaining) {
            Ok(verdict) => verdict,
            Err(undecided) => undecided.decide(review, now, remaining()),
        }
    }

    /// The same, except that images which a policy looks at are left to be judged: then nothing is
    /// decided yet.
    pub fn admit_but_images(
        &mut self,
        review: &Review,
        now: Timestamp,
        remaining: &mut Remaining<'_>,
    ) -> Result<Verdict, Box<Undecided>> {
        match self.providers.clone() {
            Some(providers) => {
                with_providers(providers, || self.judge_within(review, now, remaining))
            }
            None => self.judge_within(review, now, remaining),
        }
    }

    fn judge_within(
        &mut self,
        review: &Review,
        now: Timestamp,
        remaining: &mut Remaining<'_>,
    ) -> Result<Verdict, Box<Undecided>> {
        let mut found = Found::default();
        if vet::concerns(&review.kind.group) {
            match vet::vet(review, &self.library) {
                Ok(warnings) => found.warnings = warnings,
                Err(why) => return Ok(Verdict::invalid(why)),
            }
        }
        match self.vet_images(review) {
            Ok(warnings) => found.warnings.extend(warnings),
            Err(why) => return Ok(Verdict::invalid(why)),
        }
        if let Some(why) = self.left_out(review) {
            self.native(review, now, remaining, &mut found);
            self.pods(review, now, &mut found);
            return Ok(match found.is_empty() {
                true => Verdict::excluded(why),
                false => found.verdict(self.options.failure),
            });
        }
        let forms = match Forms::of(review) {
            Ok(forms) => forms,
            Err(why) => return Ok(Verdict::unknown(why, self.options.failure)),
        };
        let world = Arc::clone(&self.world);
        let namespace = self.namespace(&world, &review.namespace);
        let object = match review.operation {
            Operation::Delete => &review.old_object,
            _ => &review.object,
        };
        let ask = Ask::new(object, &review.old_object, namespace, &review.request);
        for at in self.candidates(&forms).iter() {
            self.rule(*at, review, &forms, &ask, now, remaining, &mut found);
        }
        self.implied(review, now, remaining, &mut found);
        self.native(review, now, remaining, &mut found);
        self.pods(review, now, &mut found);
        self.decide(review, found)
    }

    /// Whether the namespace is left out: by Config for the webhook, or by label.
    fn left_out(&self, review: &Review) -> Option<&'static str> {
        let subject = review.subject();
        let is_namespace = review.kind.kind == "Namespace" && review.kind.group.is_empty();
        let metadata = subject.get("metadata");
        let name = match (is_namespace, review.name.as_str()) {
            (false, _) => review.namespace.as_str(),
            (true, "") => metadata
                .and_then(|m| m.get("name"))
                .and_then(Value::as_str)
                .unwrap_or_default(),
            (true, name) => name,
        };
        if self.library.exclusions.leave_out("webhook", name) {
            return Some("Namespace is set to be ignored by Gatekeeper config");
        }
        let labelled = match is_namespace {
            // What is asked for must not free itself: the label counts once it is there.
            true => review
                .old_object
                .get("metadata")
                .and_then(|m| m.get("labels"))
                .is_some_and(|labels| labels.get(IGNORE).is_some()),
            false => self
                .world
                .namespace_labels(name)
                .is_some_and(|labels| labels.contains_key(IGNORE)),
        };
        labelled.then_some("Namespace carries the label admission.gatekeeper.sh/ignore")
    }

    #[allow(clippy::too_many_arguments, reason = "one step of one loop")]
    fn rule(
        &mut self,
        at: usize,
        review: &Review,
        forms: &Forms<'_>,
        ask: &Ask<'_>,
        now: Timestamp,
        remaining: &mut Remaining<'_>,
        found: &mut Found,
    ) {
        let Some(rule) = self.rules.get(at) else {
            return;
        };
        let Some(policy) = self.library.policies.get(rule.policy) else {
            return;
        };
        let Some(constraint) = policy.constraints.get(rule.constraint) else {
            return;
        };
        let operations = &policy.template.operations;
        let word = review.operation.word();
        if !(operations.is_empty() || operations.iter().any(|o| o == "*" || o == word)) {
            return;
        }
        let untold = |why: String| Untold {
            policy: Some(policy.check.uid.clone()),
            constraint: constraint.name.clone(),
            denies: rule.actions.contains(&Action::Deny),
            why,
        };
        match forms.test(constraint, &self.world) {
            Match::No => return,
            Match::Unknown(why) => return found.untold.push(untold(why)),
            Match::Yes => {}
        }
        if let Some(why) = &constraint.refused {
            let why = format!("the constraint cannot be used: {why}");
            return found.untold.push(untold(why));
        }
        let time = remaining().min(self.options.budget.time);
        if time.is_zero() {
            return found
                .untold
                .push(untold("the time of the review was over before it".into()));
        }
        found.evaluated += 1;
        let told = match self.units.get_mut(rule.policy) {
            Some(Ok(unit)) => {
                unit.allow(time, now);
                unit.evaluate(ask, &rule.parameters)
            }
            Some(Err(why)) => Err(format!("the policy cannot be run: {why}")),
            None => Err("the policy is gone".into()),
        };
        let violations = match told {
            Ok(violations) if violations.is_empty() => return,
            Ok(violations) => violations,
            Err(why) => return found.untold.push(untold(why)),
        };
        let exception = self.excepted(&policy.check.uid, &constraint.name, forms, now);
        for violation in violations {
            let one = explain(
                policy,
                constraint,
                &rule.actions,
                violation,
                exception.clone(),
            );
            found.explains.push(one);
        }
    }

    /// The exception that lets a violation pass.
    fn excepted(
        &self,
        check: &CheckUid,
        constraint: &str,
        forms: &Forms<'_>,
        now: Timestamp,
    ) -> Option<Excepted> {
        let namespaces = self.world.namespaces();
        let mut exceptions = self.library.exceptions.iter();
        let found =
            exceptions.find(|e| e.covers(check, constraint, &forms.targets, namespaces, now));
        found.map(|e| Excepted {
            name: e.name.clone(),
            owner: e.owner.clone(),
            reason: e.reason.clone(),
        })
    }

    fn namespace<'w>(&mut self, world: &'w World, name: &str) -> Option<Known<'w>> {
        let json = world.namespace_object(name)?;
        let known = self.namespaces.get(name).cloned();
        let rego = known.unwrap_or_else(|| {
            let made = Shared::of(json);
            self.namespaces.insert(name.to_owned(), made.clone());
            made
        });
        Some(Known { json, rego })
    }

    /// The rules that may match.
    fn candidates(&mut self, forms: &Forms<'_>) -> Arc<[usize]> {
        // Hostile reviews may name any number of kinds and namespaces.
        const MOST: usize = 10_000;
        let first = match forms.targets.first() {
            Some(first) if forms.alike() => first,
            _ => return (0..self.rules.len()).collect(),
        };
        let namespace = match first.kind {
            "Namespace" => "",
            _ => first.namespace,
        };
        let key = (first.group.into(), first.kind.into(), namespace.into());
        if let Some(known) = self.index.get(&key) {
            return Arc::clone(known);
        }
        let wanted = |rule: &Rule| {
            let policy = self.library.policies.get(rule.policy);
            let constraint = policy.and_then(|p| p.constraints.get(rule.constraint));
            constraint.is_some_and(|c| c.matching.reaches(first.group, first.kind, namespace))
        };
        let all = self.rules.iter().enumerate().filter(|(_, r)| wanted(r));
        let all: Arc<[usize]> = all.map(|(at, _)| at).collect();
        if self.index.len() >= MOST {
            self.index.clear();
        }
        self.index.insert(key, Arc::clone(&all));
        all
    }
}

/// What is gathered.
#[derive(Default)]
struct Found {
    explains: Vec<Explain>,
    untold: Vec<Untold>,
    evaluated: usize,
    annotations: BTreeMap<String, String>,
    warnings: Vec<String>,
    /// Whether what could not be told is refused whatever the failure setting is.
    closed: bool,
}

impl Found {
    fn is_empty(&self) -> bool {
        self.explains.is_empty()
            && self.untold.is_empty()
            && self.warnings.is_empty()
            && self.evaluated == 0
    }

    fn verdict(mut self, failure: Failure) -> Verdict {
        let failure = if self.closed {
            Failure::Closed
        } else {
            failure
        };
        self.explains.sort_by(|a, b| {
            let key = |e: &Explain| (e.kind.clone(), e.constraint.clone(), e.message.clone());
            key(a).cmp(&key(b))
        });
        let mut verdict = Verdict::of(self.explains, self.untold, self.evaluated, failure);
        verdict.annotations = self.annotations;
        verdict.warnings = self.warnings;
        verdict
    }
}

fn explain(
    policy: &Policy,
    constraint: &Constraint,
    actions: &[Action],
    violation: Violation,
    exception: Option<Excepted>,
) -> Explain {
    let actual = violation
        .actual
        .map(|actual| redact::text(violation.path.as_deref().unwrap_or_default(), &actual));
    Explain {
        policy: policy.check.uid.clone(),
        kind: policy.kind.clone(),
        constraint: constraint.name.clone(),
        actions: actions.iter().map(|a| a.word()).collect(),
        severity: constraint.severity.unwrap_or(policy.check.severity),
        message: violation.message,
        path: violation.path,
        actual,
        expected: violation.expected,
        remediation: policy.check.remediation.clone(),
        template_at: format!("{}:{}", policy.template.file, policy.template.line),
        constraint_at: format!("{}:{}", constraint.file, constraint.line),
        exception,
    }
}

impl<'r> Forms<'r> {
    /// The error says why the review cannot be matched at all.
    fn of(review: &'r Review) -> Result<Self, String> {
        if review.operation == Operation::Delete && review.old_object.is_null() {
            return Err("a DELETE without the object that goes".into());
        }
        let mut targets = Vec::new();
        for value in [&review.object, &review.old_object] {
            if value.is_null() {
                continue;
            }
            let text = |field: &str| value.get(field).and_then(Value::as_str);
            let kind = text("kind").filter(|k| !k.is_empty());
            let kind = kind.ok_or("the object has no kind")?;
            let api = text("apiVersion").unwrap_or_default();
            let own = value.get("metadata").and_then(|m| m.get("namespace"));
            targets.push(Target {
                group: api.split_once('/').map_or("", |(group, _)| group),
                kind,
                namespace: match review.namespace.as_str() {
                    "" => own.and_then(Value::as_str).unwrap_or_default(),
                    named => named,
                },
                value,
                generated: false,
            });
        }
        if targets.is_empty() {
            return Err("neither an object nor an old object".into());
        }
        Ok(Self { targets })
    }

    /// Whether the constraint looks at one of the forms; the first that cannot be told ends
    /// the search, as in Gatekeeper.
    fn test(&self, constraint: &Constraint, world: &World) -> Match {
        for target in &self.targets {
            match constraint.matching.test(target, world.namespaces()) {
                Match::No => {}
                other => return other,
            }
        }
        Match::No
    }

    /// Whether both forms are of one place and kind, so that an index by the first holds.
    fn alike(&self) -> bool {
        let place = |t: &Target<'r>| (t.group, t.kind, t.namespace);
        let mut places = self.targets.iter().map(place);
        let first = places.next();
        places.all(|place| Some(place) == first)
    }
}
