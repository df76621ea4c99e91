//! The audit takes up the policies in force and what the cluster serves.

use super::interests::Plan;
use super::judge::Epoch;
use super::run::Run;
use bartizan_cluster::audit::{Kind, Stale};
use bartizan_model::Digest;
use bartizan_policy::{Library, Point};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Run {
    /// Looks whether other policies are in force.
    pub(super) fn look_at_policies(&mut self) {
        let in_force = &self.state.work.in_force;
        // The digest alone is asked for five times a second; all of it only when it differs.
        if in_force.digest() != self.policies
            && let Some(loaded) = in_force.get()
        {
            let digest = loaded.library.digest();
            self.take_up(loaded.library, digest);
        }
    }

    fn take_up(&mut self, library: Library, digest: Digest) {
        let mut constraints = BTreeMap::new();
        for policy in library.outline() {
            for constraint in policy.constraints {
                let at = constraint.points.into_iter();
                let Some((_, actions)) = at.into_iter().find(|(point, _)| *point == Point::Audit)
                else {
                    continue;
                };
                let words = actions.iter().map(|a| a.word()).collect();
                let key = (policy.kind.clone(), constraint.name);
                constraints.insert(key, (policy.check.uid.to_string(), words));
            }
        }
        self.totals.set(&constraints);
        self.gathered
            .policies(library.all_checks(), library.content());
        self.policies = Some(digest);
        self.library = (self.library.0 + 1, library);
        self.replan();
    }

    /// What is to be followed and judged, after the policies or the cluster's kinds changed.
    pub(super) fn replan(&mut self) {
        let Some(discovery) = &self.discovery else {
            return;
        };
        let plan = Plan::of(&self.library.1, discovery);
        let before = std::mem::replace(&mut self.plan, plan);
        let mut begun = false;
        for (id, looked) in &before.policies {
            if !self.plan.policies.contains_key(id) {
                self.index.remove_policy(id);
                self.withdraw(id, |kind| looked.interest.looks_at(kind));
            }
        }
        for (id, looked) in &self.plan.policies {
            if before.policies.get(id) != Some(looked) {
                self.index.policy(id, looked.interest.clone());
                begun = true;
            }
        }
        // Pairs that are no more still have the old check to speak of.
        for stale in self.index.take_stale() {
            if let Stale::Pair(id, kind) = stale {
                self.withdraw(&id, |k| *k == kind);
            }
        }
        let read: BTreeSet<Kind> = self.plan.read.iter().map(Kind::of).collect();
        self.held.only(|kind| read.contains(kind));
        self.kept = read;
        self.set_epoch();
        if begun {
            self.begin_pass();
        }
        self.follow();
    }

    /// Follows what the plan names: what others are judged by first.
    pub(super) fn follow(&mut self) {
        let ready = self.is_ready();
        self.settled |= ready;
        let looked = self.plan.looked.iter().filter(|_| ready);
        for resource in self.plan.read.iter().chain(looked) {
            if self.feed.follow(resource) {
                self.index.follow(resource);
            }
        }
        let all = self.plan.read.iter().chain(&self.plan.looked);
        let all: BTreeSet<Kind> = all.map(Kind::of).collect();
        let gone: Vec<Kind> = self
            .feed
            .kinds()
            .filter(|kind| !all.contains(kind))
            .cloned()
            .collect();
        for kind in gone {
            self.feed.unfollow(&kind);
            self.let_go(&kind);
        }
    }

    /// Whether Namespaces and inventory are known, so that others can be judged.
    pub(super) fn is_ready(&self) -> bool {
        let known = |r| self.index.is_settled(&Kind::of(r));
        self.discovery.is_some() && self.policies.is_some() && self.plan.read.iter().all(known)
    }

    /// From now on it is judged by the policies and the world as they are.
    pub(super) fn set_epoch(&mut self) {
        self.world = (self.world.0 + 1, self.held.world(&self.library.1));
        if let Some(judges) = &self.judges {
            judges.set(self.epoch());
        }
    }

    pub(super) fn epoch(&self) -> Epoch {
        Epoch {
            library: self.library.clone(),
            world: (self.world.0, Arc::clone(&self.world.1)),
        }
    }
}
