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
    resource: Option<Arc<Resource>>,
    objects: BTreeMap<Name, Packed>,
}

/// An object as its text: a tenth of what its tree takes.
#[derive(Debug)]
struct Packed {
    resource: Arc<Resource>,
    text: Box<[u8]>,
}

impl Packed {
    fn object(&self, name: &Name) -> Object {
        // It was written by this process.
        let value = serde_json::from_slice(&self.text).unwrap_or_default();
        let r = &self.resource;
        let kind = (r.group.as_str(), r.version.as_str(), r.kind.as_str());
        Object::known(kind, name.namespace.as_deref(), &name.name, value)
    }
}

impl Held {
    /// Takes what a follower tells of a kind that is kept.
    pub fn change(&mut self, resource: &Resource, change: &Change) {
        let of = self.kinds.entry(Kind::of(resource)).or_default();
        match change {
            Change::Begin => of.known.begin(),
            Change::Present(object) => {
                if of.known.present(object) {
                    let known = of.resource.take().filter(|r| **r == *resource);
                    let resource = known.unwrap_or_else(|| Arc::new(resource.clone()));
                    of.resource = Some(Arc::clone(&resource));
                    let text = serde_json::to_vec(&object.value).unwrap_or_default().into();
                    of.objects
                        .insert(object.name.clone(), Packed { resource, text });
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
        let packed = self.kinds.get(kind)?.objects.get(name)?;
        Some(packed.object(name))
    }

    /// All that are kept.
    pub fn objects(&self) -> impl Iterator<Item = Object> {
        let all = self.kinds.values().flat_map(|of| &of.objects);
        all.map(|(name, packed)| packed.object(name))
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
        Arc::new(World::of_owned(library, self.objects()))
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
