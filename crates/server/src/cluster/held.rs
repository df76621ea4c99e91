//! What policies may know of the cluster: Namespaces, and the kinds that the inventory holds.

use bartizan_cluster::audit::Kind;
use bartizan_cluster::{Change, Known, Name, Resource};
use bartizan_policy::{Library, Object, World};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Objects that are kept whole.
#[derive(Debug, Default)]
pub struct Held {
    kinds: BTreeMap<Kind, OfKind>,
    /// Something changed since the last world was made.
    dirty: bool,
}

#[derive(Debug, Default)]
struct OfKind {
    known: Known,
    objects: BTreeMap<Name, Object>,
}

impl Held {
    /// Takes what a follower tells of a kind that is kept.
    pub fn change(&mut self, resource: &Resource, change: &Change) {
        let of = self.kinds.entry(Kind::of(resource)).or_default();
        match change {
            Change::Begin => of.known.begin(),
            Change::Present(object) => {
                if of.known.present(object) {
                    of.objects
                        .insert(object.name.clone(), known(resource, object));
                    self.dirty = true;
                }
            }
            Change::Gone(name) => {
                of.known.gone(name);
                self.dirty |= of.objects.remove(name).is_some();
            }
            Change::Complete => {
                for name in of.known.complete() {
                    of.objects.remove(&name);
                    self.dirty = true;
                }
            }
            Change::Trouble(_) | Change::Resumed => {}
        }
    }

    /// Keeps only these kinds.
    pub fn only(&mut self, keep: impl Fn(&Kind) -> bool) {
        self.kinds.retain(|kind, _| keep(kind));
        self.dirty = true;
    }

    /// An object that is kept.
    pub fn get(&self, kind: &Kind, name: &Name) -> Option<Object> {
        self.kinds.get(kind)?.objects.get(name).cloned()
    }

    /// All that are kept.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.kinds.values().flat_map(|of| of.objects.values())
    }

    /// Whether something changed since this was asked last.
    pub fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }

    /// Whether a new world would be another.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// The world as it is now.
    pub fn world(&mut self, library: &Library) -> Arc<World> {
        self.dirty = false;
        Arc::new(World::of(library, self.objects()))
    }
}

/// The object as policies see it.
pub fn known(resource: &Resource, object: &bartizan_cluster::Object) -> Object {
    Object::known(
        (&resource.group, &resource.version, &resource.kind),
        object.name.namespace.as_deref(),
        &object.name.name,
        object.value.clone(),
    )
}
