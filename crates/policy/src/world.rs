//! What policies may know beside the object at hand.

use crate::engine::Inventory;
use crate::input::Piece;
use crate::library::Library;
use crate::matching::{Namespaces, labels_of};
use crate::object::{Found, Object, objects};
use crate::sync::Synced;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// The namespace of what names none, where one without labels is to be assumed. No object can
/// be in it.
pub(crate) const UNNAMED: &str = "\u{0}";

/// What policies may know beside the object at hand.
#[derive(Debug, Clone, Default)]
pub struct World {
    namespaces: Namespaces,
    namespace_objects: BTreeMap<String, Value>,
    inventory: Option<Value>,
    /// The same for the engine, made when it is first asked for.
    shared: OnceLock<Option<Arc<Inventory>>>,
}

impl World {
    /// Gathers Namespaces, and all objects where the library looks at them.
    pub fn of<'o>(library: &Library, objects: impl IntoIterator<Item = &'o Object>) -> Self {
        Self::gather(library.inventory().as_ref(), objects)
    }

    /// The same of objects that nobody else needs.
    pub fn of_owned(library: &Library, objects: impl IntoIterator<Item = Object>) -> Self {
        let objects = objects.into_iter().map(Cow::Owned);
        Self::gather_any(library.inventory().as_ref(), objects)
    }

    /// Gathers Namespaces, and the objects that the inventory is to hold.
    pub(crate) fn gather<'o>(
        inventory: Option<&Synced>,
        objects: impl IntoIterator<Item = &'o Object>,
    ) -> Self {
        Self::gather_any(inventory, objects.into_iter().map(Cow::Borrowed))
    }

    fn gather_any<'o>(
        inventory: Option<&Synced>,
        objects: impl IntoIterator<Item = Cow<'o, Object>>,
    ) -> Self {
        let mut world = Self::default();
        let mut cluster = Map::new();
        let mut namespaced = Map::new();
        for object in objects {
            if object.kind == "Namespace" && object.group.is_empty() {
                let labels = labels_of(&object.value);
                world.namespaces.insert(object.name.clone(), labels);
                let known = object.value.clone();
                world.namespace_objects.insert(object.name.clone(), known);
            }
            if inventory.is_some_and(|i| i.holds(&object.group, &object.kind)) {
                let version = match object.group.as_str() {
                    "" => object.version.clone(),
                    group => format!("{group}/{}", object.version),
                };
                let object = object.into_owned();
                let value = object.value;
                let (kind, name) = (object.kind.as_str(), object.name.as_str());
                match object.namespace.as_str() {
                    "" => insert(&mut cluster, &[&version, kind, name], value),
                    ns => insert(&mut namespaced, &[ns, &version, kind, name], value),
                }
            }
        }
        world.inventory = inventory.map(|_| json!({"cluster": cluster, "namespace": namespaced}));
        world
    }

    /// The Namespace `default` is always there, and so is [`UNNAMED`].
    pub(crate) fn add_default_namespaces(&mut self) {
        for name in ["default", UNNAMED] {
            self.namespaces.entry(name.to_owned()).or_default();
        }
        let object =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}});
        let objects = &mut self.namespace_objects;
        objects.entry("default".to_owned()).or_insert(object);
    }

    /// The inventory for the engine, shared by all who ask.
    pub(crate) fn shared(&self) -> Option<&Inventory> {
        let made = || self.inventory.as_ref().map(|i| Arc::new(Inventory::of(i)));
        self.shared.get_or_init(made).as_deref()
    }

    pub(crate) fn inventory(&self) -> Option<&Value> {
        self.inventory.as_ref()
    }

    pub(crate) fn namespaces(&self) -> &Namespaces {
        &self.namespaces
    }

    pub(crate) fn namespace_labels(&self, name: &str) -> Option<&BTreeMap<String, String>> {
        self.namespaces.get(name)
    }

    pub(crate) fn namespace_object(&self, name: &str) -> Option<&Value> {
        self.namespace_objects.get(name)
    }

    /// From files of manifests: what admission knows of the cluster before anything else
    /// tells it, and `more`. What is no object is passed over; the error names file and line.
    pub fn read<'f>(
        library: &Library,
        files: impl IntoIterator<Item = (&'f str, &'f [u8])>,
        more: &[Object],
    ) -> Result<Self, String> {
        let mut all = Vec::new();
        let mut fault = None;
        for (name, bytes) in files {
            let limits = crate::Limits::default();
            crate::input::read(
                crate::Source::new(name, bytes),
                &limits,
                &mut |piece| match piece {
                    Piece::Document(document) => {
                        for found in objects(name, document) {
                            if let Found::Object(object) = found {
                                all.push(*object);
                            }
                        }
                    }
                    Piece::Unreadable { line, why } => {
                        fault.get_or_insert(format!("{name}:{line}: {why}"));
                    }
                    Piece::Unrendered { .. } => {}
                },
            );
        }
        match fault {
            Some(why) => Err(why),
            None => Ok(Self::of(library, all.iter().chain(more))),
        }
    }
}

pub(crate) fn insert(map: &mut Map<String, Value>, path: &[&str], value: Value) {
    match path {
        [] => {}
        [last] => {
            map.insert((*last).to_owned(), value);
        }
        [first, rest @ ..] => {
            let below = map
                .entry((*first).to_owned())
                .or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(below) = below {
                insert(below, rest, value);
            }
        }
    }
}
