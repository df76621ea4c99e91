//! What an audit must judge again, and nothing else: a pure index over what followers tell.
//!
//! ```text
//! object changed ──► that object, under every policy that looks at its kind
//!                └─► every object of every policy that reads its kind as inventory
//! namespace relabelled ─► what is in it, under the policies that select by namespace
//! policy changed ──► every object of the kinds that it looks at, under that policy
//! ```
//!
//! Objects that changed come first; the rest is swept, kind by kind, in circles: what is swept and
//! changes again goes on to where it stood, so that a sweep that never rests still reaches
//! everything. Only names are kept. A policy waits until what it reads is known completely: a
//! verdict from half an inventory would be a wrong one.

mod interest;
mod sweep;

pub use interest::{Interest, Kind, Reads};

use crate::{Change, Error, Known, Name, Object, Resource};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use sweep::Sweep;

/// Names a policy: for a constraint, its kind and name.
pub type PolicyId = String;

/// One object to judge, under these policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its kind.
    pub kind: Kind,
    /// Which it is.
    pub name: Name,
    /// The policies, each once; never none.
    pub policies: Vec<PolicyId>,
}

/// Results that no longer stand for anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stale {
    /// Of an object that is gone.
    Object(Kind, Name),
    /// Of a policy that is gone.
    Policy(PolicyId),
    /// Of a policy that no longer looks at this kind.
    Pair(PolicyId, Kind),
}

/// Under which policies a changed object is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Which {
    All,
    Only(BTreeSet<PolicyId>),
}

#[derive(Debug, Default)]
struct Followed {
    known: Known,
    names: BTreeSet<Name>,
    /// A list was completed at least once, and none is under way.
    settled: bool,
    trouble: Option<Error>,
}

/// The index.
#[derive(Debug, Default)]
pub struct Audit {
    policies: BTreeMap<PolicyId, Interest>,
    kinds: BTreeMap<Kind, Followed>,
    /// Labels of namespaces, as one number each.
    labels: BTreeMap<String, u64>,
    changed: BTreeMap<(Kind, Name), Which>,
    order: VecDeque<(Kind, Name)>,
    sweeps: BTreeMap<(Kind, PolicyId), Sweep>,
    /// Whose turn it is among the sweeps.
    turn: Option<(Kind, PolicyId)>,
    stale: Vec<Stale>,
}

impl Audit {
    /// Nothing is known and nothing is due.
    pub fn new() -> Self {
        Self::default()
    }

    /// A kind is followed from now on; until its list is complete it is unknown.
    pub fn follow(&mut self, resource: &Resource) {
        // What its list brings is due as it comes: nothing need be swept.
        self.kinds.entry(Kind::of(resource)).or_default();
    }

    /// A kind is not served any more: its objects are gone.
    pub fn unfollow(&mut self, kind: &Kind) {
        let Some(followed) = self.kinds.remove(kind) else {
            return;
        };
        for name in followed.names {
            self.forget(kind, &name);
        }
        self.sweeps.retain(|(of, _), _| of != kind);
        self.touch_readers(kind);
    }

    /// A policy is there, new or changed: all that it looks at is due.
    pub fn policy(&mut self, id: &str, interest: Interest) {
        let before = self.policies.insert(id.to_owned(), interest.clone());
        let kinds: Vec<Kind> = self.kinds.keys().cloned().collect();
        for kind in kinds {
            let key = (kind.clone(), id.to_owned());
            if interest.looks_at(&kind) {
                // Of a kind that is not listed yet, all comes as changed.
                if self.kinds.get(&kind).is_some_and(|f| !f.names.is_empty()) {
                    self.sweeps.entry(key).or_default().restart();
                }
            } else {
                self.sweeps.remove(&key);
                if before.as_ref().is_some_and(|b| b.looks_at(&kind)) {
                    self.stale.push(Stale::Pair(id.to_owned(), kind));
                }
            }
        }
    }

    /// A policy is gone.
    pub fn remove_policy(&mut self, id: &str) {
        if self.policies.remove(id).is_none() {
            return;
        }
        self.sweeps.retain(|(_, policy), _| policy != id);
        self.stale.push(Stale::Policy(id.to_owned()));
    }

    /// What a follower tells about a kind.
    pub fn change(&mut self, kind: &Kind, change: &Change) {
        let followed = self.kinds.entry(kind.clone()).or_default();
        match change {
            Change::Begin => {
                followed.known.begin();
                followed.settled = false;
            }
            Change::Present(object) => {
                followed.names.insert(object.name.clone());
                if followed.known.present(object) {
                    self.present(kind, object);
                }
            }
            Change::Gone(name) => {
                if followed.known.gone(name) {
                    followed.names.remove(name);
                    self.gone(kind, name);
                }
            }
            Change::Complete => {
                let gone = followed.known.complete();
                followed.settled = true;
                followed.trouble = None;
                for name in gone {
                    if let Some(followed) = self.kinds.get_mut(kind) {
                        followed.names.remove(&name);
                    }
                    self.gone(kind, &name);
                }
            }
            Change::Trouble(error) => followed.trouble = Some(error.clone()),
            Change::Resumed => followed.trouble = None,
        }
    }

    fn present(&mut self, kind: &Kind, object: &Object) {
        self.mark(kind, &object.name, Which::All);
        self.touch_readers(kind);
        if *kind == Kind::namespace() {
            let labels = interest::labels(object);
            let before = self.labels.insert(object.name.name.clone(), labels);
            if before.is_some_and(|b| b != labels) {
                self.relabelled(&object.name.name);
            }
        }
    }

    fn gone(&mut self, kind: &Kind, name: &Name) {
        self.forget(kind, name);
        self.touch_readers(kind);
        if *kind == Kind::namespace() {
            self.labels.remove(&name.name);
        }
    }

    fn forget(&mut self, kind: &Kind, name: &Name) {
        // Its place in `order` is skipped when its turn comes.
        self.changed.remove(&(kind.clone(), name.clone()));
        self.stale.push(Stale::Object(kind.clone(), name.clone()));
    }

    fn mark(&mut self, kind: &Kind, name: &Name, which: Which) {
        let key = (kind.clone(), name.clone());
        let merged = match (self.changed.remove(&key), which) {
            (None, which) => {
                self.order.push_back(key.clone());
                which
            }
            (Some(Which::Only(mut some)), Which::Only(more)) => {
                some.extend(more);
                Which::Only(some)
            }
            (Some(_), _) => Which::All,
        };
        self.changed.insert(key, merged);
    }

    /// An object is due once more under one policy, if both are there.
    pub fn again(&mut self, kind: &Kind, name: &Name, policy: &str) {
        if self.knows(kind, name) && self.policies.contains_key(policy) {
            let only = BTreeSet::from([policy.to_owned()]);
            self.mark(kind, name, Which::Only(only));
        }
    }

    /// What is in a namespace is due under the policies that select by its labels.
    fn relabelled(&mut self, namespace: &str) {
        let mut due = Vec::new();
        for (kind, followed) in &self.kinds {
            let policies: BTreeSet<PolicyId> = self
                .policies
                .iter()
                .filter(|(_, i)| i.by_namespace && i.looks_at(kind))
                .map(|(id, _)| id.clone())
                .collect();
            if policies.is_empty() {
                continue;
            }
            let first = Name::within(namespace, "");
            let inside = followed
                .names
                .range(first..)
                .take_while(|n| n.namespace.as_deref() == Some(namespace));
            due.extend(inside.map(|name| (kind.clone(), name.clone(), policies.clone())));
        }
        for (kind, name, policies) in due {
            self.mark(&kind, &name, Which::Only(policies));
        }
    }

    /// Everything is due of the policies that read this kind.
    fn touch_readers(&mut self, kind: &Kind) {
        for (id, interest) in self.policies.iter().filter(|(_, i)| i.reads.reads(kind)) {
            for kind in self.kinds.keys().filter(|k| interest.looks_at(k)) {
                let key = (kind.clone(), id.clone());
                self.sweeps.entry(key).or_default().again();
            }
        }
    }

    fn looking(&self, kind: &Kind) -> Vec<PolicyId> {
        let looking = self.policies.iter().filter(|(_, i)| i.looks_at(kind));
        looking.map(|(id, _)| id.clone()).collect()
    }

    /// Whether all that the policy reads is known completely.
    fn ready(&self, id: &str) -> bool {
        self.policies.get(id).is_some_and(|i| {
            let needs = |k: &Kind| i.reads.reads(k) || (i.by_namespace && *k == Kind::namespace());
            let known = self.kinds.iter().all(|(k, f)| f.settled || !needs(k));
            // What is named and not followed at all is not known either.
            let followed = |k: &Kind| self.kinds.contains_key(k);
            let named = i.reads.named().all(followed);
            known && named && (!i.by_namespace || followed(&Kind::namespace()))
        })
    }

    /// The next object to judge; none when all verdicts are as new as what is known.
    pub fn next_task(&mut self) -> Option<Task> {
        while let Some(key) = self.order.pop_front() {
            let Some(which) = self.changed.remove(&key) else {
                continue;
            };
            let (kind, name) = key;
            let mut policies = match which {
                Which::All => self.looking(&kind),
                Which::Only(some) => some
                    .into_iter()
                    .filter(|id| self.policies.contains_key(id))
                    .collect(),
            };
            // Whoever waits sweeps the whole kind when it is ready: to keep which objects it missed
            // could be as much as all of them.
            let (ready, waiting): (Vec<_>, Vec<_>) =
                policies.into_iter().partition(|id| self.ready(id));
            for id in waiting {
                self.sweeps.entry((kind.clone(), id)).or_default().again();
            }
            policies = ready;
            if !policies.is_empty() {
                return Some(Task {
                    kind,
                    name,
                    policies,
                });
            }
        }
        self.next_swept()
    }

    fn next_swept(&mut self) -> Option<Task> {
        let mut key = self
            .turn
            .take()
            .or_else(|| self.sweeps.keys().next().cloned())?;
        let rounds = self.sweeps.len().saturating_add(1);
        for _ in 0..rounds {
            let after = self.after(&key)?;
            if self.sweeps.contains_key(&key) && self.ready(&key.1) {
                match self.step(&key) {
                    // The same kind goes on: its objects are read in order.
                    Some(task) => {
                        self.turn = Some(key);
                        return Some(task);
                    }
                    None => {
                        self.sweeps.remove(&key);
                    }
                }
            }
            key = after;
        }
        None
    }

    /// The sweep whose turn is after that one.
    fn after(&self, key: &(Kind, PolicyId)) -> Option<(Kind, PolicyId)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let next = self.sweeps.range((Excluded(key), Unbounded)).next();
        next.or_else(|| self.sweeps.iter().next())
            .map(|(k, _)| k.clone())
    }

    /// One object of a sweep, together with the other sweeps of that kind that stand there, too.
    fn step(&mut self, key: &(Kind, PolicyId)) -> Option<Task> {
        let (kind, id) = key;
        let stands = self.sweeps.get(key)?.clone();
        let name = {
            let names = &self.kinds.get(kind)?.names;
            self.sweeps.get_mut(key)?.advance(names)?
        };
        let mut policies = vec![id.clone()];
        let others: Vec<PolicyId> = self
            .sweeps
            .range((kind.clone(), String::new())..)
            .take_while(|((k, _), _)| k == kind)
            .filter(|((_, other), sweep)| other != id && **sweep == stands)
            .map(|((_, other), _)| other.clone())
            .collect();
        for other in others {
            if self.ready(&other)
                && let Some(followed) = self.kinds.get(kind)
                && let Some(sweep) = self.sweeps.get_mut(&(kind.clone(), other.clone()))
                && sweep.advance(&followed.names).is_some()
            {
                policies.push(other);
            }
        }
        Some(Task {
            kind: kind.clone(),
            name,
            policies,
        })
    }

    /// Results to be thrown away; each is told once.
    pub fn take_stale(&mut self) -> Vec<Stale> {
        std::mem::take(&mut self.stale)
    }

    /// The kinds of which not everything is known now: what is not seen of them is no pass.
    pub fn unknown(&self) -> impl Iterator<Item = (&Kind, Option<&Error>)> {
        self.kinds
            .iter()
            .filter(|(_, f)| !f.settled || f.trouble.is_some())
            .map(|(kind, f)| (kind, f.trouble.as_ref()))
    }

    /// The kinds that make this policy's verdicts doubtful: it looks at them or reads them, and they
    /// are not known completely.
    pub fn doubts(&self, id: &str) -> Vec<&Kind> {
        let Some(interest) = self.policies.get(id) else {
            return Vec::new();
        };
        self.unknown()
            .map(|(kind, _)| kind)
            .filter(|k| {
                interest.looks_at(k)
                    || interest.reads.reads(k)
                    || (interest.by_namespace && **k == Kind::namespace())
            })
            .collect()
    }

    /// Whether an object waits to be judged because it changed.
    pub fn is_due(&self, kind: &Kind, name: &Name) -> bool {
        self.changed.contains_key(&(kind.clone(), name.clone()))
    }

    /// How many objects wait because they changed, and how many walks over a kind are under way.
    pub fn due(&self) -> (usize, usize) {
        (self.changed.len(), self.sweeps.len())
    }

    /// Whether an object is there.
    pub fn knows(&self, kind: &Kind, name: &Name) -> bool {
        self.kinds.get(kind).is_some_and(|f| f.names.contains(name))
    }

    /// Whether all objects of a kind are known.
    pub fn is_settled(&self, kind: &Kind) -> bool {
        self.kinds.get(kind).is_some_and(|f| f.settled)
    }

    /// The names of the objects of a kind.
    pub fn names(&self, kind: &Kind) -> impl Iterator<Item = &Name> {
        self.kinds.get(kind).into_iter().flat_map(|f| &f.names)
    }

    /// The kinds that are followed, each with the number of its objects.
    pub fn kinds(&self) -> impl Iterator<Item = (&Kind, usize)> {
        self.kinds.iter().map(|(kind, f)| (kind, f.names.len()))
    }

    /// How many objects are known.
    pub fn len(&self) -> usize {
        self.kinds.values().map(|f| f.names.len()).sum()
    }

    /// Whether no object is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests;
