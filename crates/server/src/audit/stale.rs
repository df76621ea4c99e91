//! Results that no longer stand for anything are withdrawn.

use super::run::Run;
use bartizan_cluster::Name;
use bartizan_cluster::audit::{Kind, Stale};
use bartizan_model::AssetUid;

impl Run {
    /// What the index found to be over.
    pub(super) fn withdraw_stale(&mut self) {
        for stale in self.index.take_stale() {
            match stale {
                Stale::Object(kind, name) => self.gone(kind, name),
                Stale::Policy(id) => self.withdraw(&id, |_| true),
                Stale::Pair(id, kind) => self.withdraw(&id, |k| *k == kind),
            }
        }
    }

    fn gone(&mut self, kind: Kind, name: Name) {
        let now = self.state.now();
        if let Some(asset) = self.asset_of(&kind, &name) {
            let looking = self.plan.policies.iter();
            let looking = looking.filter(|(_, p)| p.interest.looks_at(&kind));
            let looking = looking.map(|(id, _)| id.as_str());
            self.gathered.gone(&asset, looking, now);
        }
        let place = (kind, name);
        self.fresh.remove(&place);
        self.totals.forget(&place);
    }

    /// A policy does not look at these kinds any more.
    pub(super) fn withdraw(&mut self, id: &str, of: impl Fn(&Kind) -> bool) {
        let Some(check) = self.known_checks.get(id).cloned() else {
            return;
        };
        let now = self.state.now();
        let kinds: Vec<Kind> = self.index.kinds().map(|(kind, _)| kind.clone()).collect();
        for kind in kinds.into_iter().filter(of) {
            let names: Vec<Name> = self.index.names(&kind).cloned().collect();
            for name in names {
                if let Some(asset) = self.asset_of(&kind, &name) {
                    let why = "the policy does not look at it any more";
                    self.gathered.withdrawn(&check, &asset, why, now);
                }
                self.totals
                    .put(&(kind.clone(), name), &[id.to_owned()], &[]);
            }
        }
    }

    /// A kind is not looked at any more; its objects are not gone for that.
    pub(super) fn let_go(&mut self, kind: &Kind) {
        self.withdraw_stale();
        let names: Vec<Name> = self.index.names(kind).cloned().collect();
        self.index.unfollow(kind);
        for stale in self.index.take_stale() {
            // Other kinds do not go with this one.
            match stale {
                Stale::Object(of, name) if of != *kind => self.gone(of, name),
                _ => {}
            }
        }
        for name in names {
            let place = (kind.clone(), name);
            self.fresh.remove(&place);
            self.totals.forget(&place);
        }
    }

    /// The asset that an object is.
    pub(super) fn asset_of(&self, kind: &Kind, name: &Name) -> Option<AssetUid> {
        let scope = self.scope.as_ref()?;
        let namespace = name.namespace.as_deref().unwrap_or_default();
        AssetUid::kubernetes(scope, &kind.group, &kind.kind, namespace, &name.name).ok()
    }
}
