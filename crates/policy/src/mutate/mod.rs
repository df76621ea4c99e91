//! Gatekeeper's mutation: Assign, AssignMetadata, ModifySet and AssignImage.
//!
//! ```text
//! objects ─► Mutators ─ conflicts, faults
//!               │
//! object ─► mutate: all in order of kind and name, again until nothing changes ─► json_patch
//! ```
//!
//! Follows Gatekeeper 3.24. Mutators that contradict each other are not applied and are
//! reported. A mutation that does not come to rest within as many rounds as there are mutators
//! and one more is an error, and so is one whose match cannot be told; after an error nothing
//! of the mutation may be used. Numbers are compared as numbers of JSON: `1` is not `1.0`.
//! `assignIf` is known from Gatekeeper's first releases and honoured; newer ones drop it.

mod apply;
mod external;
mod image;
mod location;
mod native;
mod patch;
mod read;
mod schema;

pub(crate) use location::reads_what_it_prints;
pub use native::Mutation;
pub use patch::json_patch;
pub(crate) use read::apply_to;

use crate::library::Library;
use crate::matching::{Match, Target, Verdict};
use crate::object::Object;
use crate::providers::Providers;
use crate::review::{Operation, Review};
use crate::world::World;
use apply::{Condition, Setter};
use external::External;
use image::Parts;
use location::{Location, PathTests};
use schema::{Shape, Statement};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A mutator's identity; mutators are applied in its order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Id {
    /// The kind.
    pub kind: String,
    /// The namespace; empty, since mutators have none.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// A mutator that cannot be used. Whose fault: its author's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{id}: {why}")]
pub struct MutatorFault {
    /// Which.
    pub id: Id,
    /// What is wrong.
    pub why: String,
}

/// Why an object could not be mutated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MutateError {
    /// Whether a mutator looks at the object cannot be told.
    #[error("{0}: whether it applies cannot be told: {1}")]
    Matching(Id, String),
    /// A mutator does not fit the object.
    #[error("{0}: {1}")]
    Applying(Id, String),
    /// The mutators undo each other's work.
    #[error("the mutation does not come to rest in {rounds} rounds: {}", names(.applied))]
    NotConverging {
        /// How many rounds were tried.
        rounds: usize,
        /// The mutators that were applied.
        applied: Vec<Id>,
    },
    /// External data is missing.
    #[error("external data: {0}")]
    External(String),
    /// The object has a field that is kept for external data.
    #[error("the object has a field of a name that is not allowed")]
    Forged,
}

fn names(ids: &[Id]) -> String {
    let names: Vec<_> = ids.iter().map(Id::to_string).collect();
    names.join(", ")
}

/// What is known of an object beside itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct About<'a> {
    /// The namespace of the request; empty where the object's own tells.
    pub namespace: &'a str,
    /// What is done to it; none outside of admission, where only mutators of all operations
    /// apply.
    pub operation: Option<Operation>,
    /// Who does it.
    pub username: &'a str,
    /// Whether it was expanded from another object.
    pub generated: bool,
    /// The namespace that a mutator's match is told where neither knows one; empty for none.
    pub nowhere: &'a str,
}

/// A mutated object.
#[derive(Debug, Clone, PartialEq)]
pub struct Mutated {
    /// The object.
    pub object: Value,
    /// The mutators that set something, in the order of their first time; none where nothing
    /// changed.
    pub applied: Vec<Id>,
    /// How many rounds it took; 0 where nothing changed.
    pub rounds: usize,
}

/// A group, version, kind and operation that a mutator is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Binding {
    group: String,
    version: String,
    kind: String,
    operation: &'static str,
}

/// One entry of `applyTo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApplyTo {
    pub groups: Vec<String>,
    pub versions: Vec<String>,
    pub kinds: Vec<String>,
    pub operations: Vec<Operation>,
}

impl ApplyTo {
    pub(crate) fn fits(&self, group: &str, version: &str, kind: &str) -> bool {
        let has = |list: &[String], item: &str| list.iter().any(|x| x == item);
        has(&self.groups, group) && has(&self.versions, version) && has(&self.kinds, kind)
    }

    fn takes(&self, operation: Option<Operation>) -> bool {
        match operation {
            None => self.operations.len() == 2,
            Some(one) => self.operations.contains(&one),
        }
    }

    fn bindings(&self) -> impl Iterator<Item = Binding> + '_ {
        self.groups.iter().flat_map(move |group| {
            self.versions.iter().flat_map(move |version| {
                self.kinds.iter().flat_map(move |kind| {
                    self.operations.iter().map(move |operation| Binding {
                        group: group.clone(),
                        version: version.clone(),
                        kind: kind.clone(),
                        operation: operation.word(),
                    })
                })
            })
        })
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    Put {
        value: Value,
        when: Option<Condition>,
    },
    Name,
    Namespace,
    External(External),
    Merge(Vec<Value>),
    Prune(Vec<Value>),
    Image(Parts),
}

#[derive(Debug, Clone, PartialEq)]
struct Mutator {
    id: Id,
    /// None for AssignMetadata, which is for all kinds.
    apply_to: Option<Vec<ApplyTo>>,
    matching: Match,
    location: Location,
    tests: PathTests,
    action: Action,
    end: Shape,
}

impl Mutator {
    fn bindings(&self) -> Vec<Binding> {
        let all = self.apply_to.iter().flatten().flat_map(ApplyTo::bindings);
        let all: BTreeSet<_> = all.collect();
        all.into_iter().collect()
    }

    fn external(&self) -> bool {
        matches!(self.action, Action::External(_))
    }

    fn matches(&self, object: &Value, about: &About<'_>, world: &World) -> Result<bool, String> {
        let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or("");
        let api = text("apiVersion");
        let (group, version) = api.split_once('/').unwrap_or(("", api));
        let kind = text("kind");
        let wanted = self.apply_to.as_ref().is_none_or(|all| {
            let fits = |a: &ApplyTo| a.fits(group, version, kind) && a.takes(about.operation);
            all.iter().any(fits)
        });
        if !wanted {
            return Ok(false);
        }
        let target = Target {
            group,
            kind,
            namespace: match namespace(object, about) {
                "" => about.nowhere,
                told => told,
            },
            value: object,
            generated: about.generated,
        };
        match self.matching.test(&target, world.namespaces()) {
            Verdict::Yes => Ok(true),
            Verdict::No => Ok(false),
            Verdict::Unknown(why) => Err(why),
        }
    }

    fn apply(&self, object: &mut Value, about: &About<'_>) -> Result<bool, String> {
        let from;
        let setter = match &self.action {
            Action::Put { value, when: None } => Setter::Put(value),
            Action::Put {
                value,
                when: Some(when),
            } => Setter::PutIf(value, when),
            Action::Name => {
                from = metadata(object, "name").into();
                Setter::Put(&from)
            }
            Action::Namespace => {
                from = namespace(object, about).into();
                Setter::Put(&from)
            }
            Action::External(external) => Setter::Promise(external.promise(about.username)),
            Action::Merge(values) => Setter::Merge(values),
            Action::Prune(values) => Setter::Prune(values),
            Action::Image(parts) => Setter::Image(parts),
        };
        apply::apply(&self.location, &self.tests, &setter, object)
    }
}

fn metadata<'v>(object: &'v Value, field: &str) -> &'v str {
    let metadata = object.get("metadata").and_then(|m| m.get(field));
    metadata.and_then(Value::as_str).unwrap_or("")
}

fn namespace<'v>(object: &'v Value, about: &About<'v>) -> &'v str {
    match about.namespace {
        "" => metadata(object, "namespace"),
        told => told,
    }
}

/// All mutators, ready to be applied.
#[derive(Debug, Clone, Default)]
pub struct Mutators {
    all: Vec<Mutator>,
    conflicts: BTreeMap<Id, BTreeSet<Id>>,
    faults: Vec<MutatorFault>,
}

impl Mutators {
    /// From the mutators among some objects; of two of one identity the later counts.
    pub fn from_objects<'o>(objects: impl IntoIterator<Item = &'o Object>) -> Self {
        let mut by_id = BTreeMap::new();
        let mut faults = Vec::new();
        for read in objects.into_iter().filter_map(read::mutator) {
            match read {
                Ok(mutator) => drop(by_id.insert(mutator.id.clone(), mutator)),
                Err(fault) => faults.push(fault),
            }
        }
        Self::of(by_id, faults)
    }

    /// With others, which take the place of those of their identities.
    pub(crate) fn with(&self, others: Self) -> Self {
        let all = self.all.iter().cloned().chain(others.all);
        let by_id = all.map(|m| (m.id.clone(), m)).collect();
        Self::of(by_id, others.faults)
    }

    fn of(by_id: BTreeMap<Id, Mutator>, faults: Vec<MutatorFault>) -> Self {
        let all: Vec<Mutator> = by_id.into_values().collect();
        let bindings: Vec<Vec<Binding>> = all.iter().map(Mutator::bindings).collect();
        let statements = all.iter().zip(&bindings).map(|(mutator, bindings)| {
            let statement = Statement {
                id: &mutator.id,
                location: &mutator.location,
                end: mutator.end,
                ends_there: mutator.external() || matches!(mutator.action, Action::Image(_)),
            };
            (statement, bindings.as_slice())
        });
        let conflicts = schema::conflicts(statements);
        Self {
            all,
            conflicts,
            faults,
        }
    }

    /// Those that cannot be used.
    pub fn faults(&self) -> &[MutatorFault] {
        &self.faults
    }

    /// Those that contradict others, with the others; they are not applied.
    pub fn conflicts(&self) -> &BTreeMap<Id, BTreeSet<Id>> {
        &self.conflicts
    }

    /// How many there are, those in conflicts too.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The object as all mutators that look at it want it.
    pub fn mutate(
        &self,
        object: &Value,
        about: &About<'_>,
        world: &World,
        providers: &dyn Providers,
    ) -> Result<Mutated, MutateError> {
        let active = self.all.iter();
        let active = active.filter(|m| !self.conflicts.contains_key(&m.id));
        let active: Vec<&Mutator> = active.collect();
        if active.iter().any(|m| m.external()) && external::forged(object) {
            return Err(MutateError::Forged);
        }
        let mut current = object.clone();
        let mut applied: Vec<Id> = Vec::new();
        let most = self.all.len() + 1;
        for round in 1..=most {
            let before = current.clone();
            let mut any = false;
            for mutator in &active {
                let matches = mutator.matches(&current, about, world);
                if !matches.map_err(|why| MutateError::Matching(mutator.id.clone(), why))? {
                    continue;
                }
                let set = mutator.apply(&mut current, about);
                if set.map_err(|why| MutateError::Applying(mutator.id.clone(), why))? {
                    any = true;
                    if !applied.contains(&mutator.id) {
                        applied.push(mutator.id.clone());
                    }
                }
            }
            if any && before != current {
                continue;
            }
            if round == 1 {
                return Ok(Mutated {
                    object: current,
                    applied: Vec::new(),
                    rounds: 0,
                });
            }
            if active.iter().any(|m| m.external()) {
                external::resolve(&mut current, providers).map_err(MutateError::External)?;
            }
            return Ok(Mutated {
                object: current,
                applied,
                rounds: round,
            });
        }
        Err(MutateError::NotConverging {
            rounds: most,
            applied,
        })
    }

    /// What a mutating webhook answers to a review: a JSON Patch, or nothing to change.
    pub fn review(
        &self,
        review: &Review,
        library: &Library,
        world: &World,
        providers: &dyn Providers,
    ) -> Result<Option<Vec<Value>>, MutateError> {
        let changed = self.changed(review, &review.object, library, world, providers)?;
        let patch = changed.map(|object| json_patch(&review.object, &object));
        Ok(patch.filter(|patch| !patch.is_empty()))
    }

    /// The object of a review, as others have left it, with the mutators' changes; none where
    /// there are none.
    fn changed(
        &self,
        review: &Review,
        object: &Value,
        library: &Library,
        world: &World,
        providers: &dyn Providers,
    ) -> Result<Option<Value>, MutateError> {
        let mutable = matches!(review.operation, Operation::Create | Operation::Update);
        // Policies are not changed by policies.
        let own = review.kind.group.ends_with("gatekeeper.sh");
        let namespace = match (review.kind.group.as_str(), review.kind.kind.as_str()) {
            ("", "Namespace") => review.name.as_str(),
            _ => review.namespace.as_str(),
        };
        let excluded = library.exclusions.leave_out("mutation-webhook", namespace);
        if self.all.is_empty() || !mutable || own || excluded || object.is_null() {
            return Ok(None);
        }
        let about = About {
            namespace: &review.namespace,
            operation: Some(review.operation),
            username: &review.user.username,
            ..About::default()
        };
        let mutated = self.mutate(object, &about, world, providers)?;
        Ok((mutated.object != *object).then_some(mutated.object))
    }
}

#[cfg(test)]
mod tests;
