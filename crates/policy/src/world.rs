//! What policies may know beside the object at hand.

use crate::engine::{Gathering, Inventory};
use crate::input::Piece;
use crate::library::Library;
use crate::matching::{Namespaces, labels_of};
use crate::object::{Found, Object, objects};
use crate::sync::Synced;
use serde_json::{Map, Value, json};
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

    /// What Rego sees of the same, and no more: the inventory is kept as a value of the engine
    /// alone, which is most of the memory where a cluster is large.
    pub fn for_rego(library: &Library, objects: impl IntoIterator<Item = Object>) -> Self {
        let wanted = library.inventory();
        let mut world = Self::default();
        let mut inventory = Gathering::default();
        for object in objects {
            world.note_namespace(&object);
            if wanted
                .as_ref()
                .is_some_and(|w| w.holds(&object.group, &object.kind))
            {
                let version = version_of(&object);
                let (kind, name) = (object.kind.as_str(), object.name.as_str());
                match object.namespace.as_str() {
                    "" => inventory.put(&["cluster", &version, kind, name], &object.value),
                    ns => inventory.put(&["namespace", ns, &version, kind, name], &object.value),
                }
            }
        }
        let made = wanted.map(|_| Arc::new(inventory.inventory()));
        world.shared = OnceLock::from(made);
        world
    }

    /// Gathers Namespaces, and the objects that the inventory is to hold.
    pub(crate) fn gather<'o>(
        inventory: Option<&Synced>,
        objects: impl IntoIterator<Item = &'o Object>,
    ) -> Self {
        let mut world = Self::default();
        let mut cluster = Map::new();
        let mut namespaced = Map::new();
        for object in objects {
            world.note_namespace(object);
            if inventory.is_some_and(|i| i.holds(&object.group, &object.kind)) {
                let version = version_of(object);
                let value = object.value.clone();
                let (kind, name) = (object.kind.as_str(), object.name.as_str());
                match object.namespace.as_str() {
                    "" => insert(&mut cluster, &[&version, kind, name], value),
                    ns => insert(&mut namespaced, &[ns, &version, kind, name], value),
                }
            }
        }
        // Moved in: the macro would copy all of it.
        let mut all = Map::new();
        all.insert("cluster".into(), Value::Object(cluster));
        all.insert("namespace".into(), Value::Object(namespaced));
        world.inventory = inventory.map(|_| Value::Object(all));
        world
    }

    fn note_namespace(&mut self, object: &Object) {
        if object.kind == "Namespace" && object.group.is_empty() {
            let labels = labels_of(&object.value);
            self.namespaces.insert(object.name.clone(), labels);
            let known = object.value.clone();
            self.namespace_objects.insert(object.name.clone(), known);
        }
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

/// Group and version as they are written in the inventory.
fn version_of(object: &Object) -> String {
    match object.group.as_str() {
        "" => object.version.clone(),
        group => format!("{group}/{}", object.version),
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
