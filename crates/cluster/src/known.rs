//! Which objects of a kind are there, so that a new list tells which are gone.

use crate::{Name, Object};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    /// Of its uid and resource version, as a number: there may be many.
    state: u64,
    /// Whether it had a version: without one nothing tells that it is the same.
    versioned: bool,
    list: u64,
}

fn state(object: &Object) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&object.uid, &object.resource_version).hash(&mut hasher);
    hasher.finish()
}

/// The names, and no more, of the objects that were seen: what a list finds missing is gone.
#[derive(Debug, Default)]
pub struct Known {
    objects: BTreeMap<Name, Seen>,
    list: u64,
}

impl Known {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A list begins: what it does not name will be gone.
    pub fn begin(&mut self) {
        self.list = self.list.wrapping_add(1);
    }

    /// The object is there. True when it is new or differs from what was seen.
    pub fn present(&mut self, object: &Object) -> bool {
        let seen = Seen {
            state: state(object),
            versioned: !object.resource_version.is_empty(),
            list: self.list,
        };
        let now = seen.state;
        match self.objects.insert(object.name.clone(), seen) {
            Some(before) => !before.versioned || before.state != now,
            None => true,
        }
    }

    /// The object is gone. True when it had been seen.
    pub fn gone(&mut self, name: &Name) -> bool {
        self.objects.remove(name).is_some()
    }

    /// The list is complete: the names that it did not show, which are forgotten.
    pub fn complete(&mut self) -> Vec<Name> {
        let list = self.list;
        self.objects
            .extract_if(.., |_, seen| seen.list != list)
            .map(|(name, _)| name)
            .collect()
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Resource;
    use serde_json::json;

    fn pod(name: &str, version: &str) -> Object {
        let pods = Resource::new("", "v1", "Pod", "pods", true);
        Object::read(
            &pods,
            json!({"metadata": {"namespace": "n", "name": name, "resourceVersion": version}}),
        )
        .unwrap()
    }

    #[test]
    fn a_second_list_tells_what_changed_and_what_is_gone() {
        let mut known = Known::new();
        known.begin();
        assert!(known.present(&pod("a", "1")));
        assert!(known.present(&pod("b", "2")));
        assert!(known.present(&pod("c", "3")));
        assert!(known.complete().is_empty());
        assert!(!known.present(&pod("a", "1")));
        assert!(known.gone(&Name::within("n", "c")));
        known.begin();
        assert!(known.present(&pod("a", "4")));
        assert_eq!(known.complete(), [Name::within("n", "b")]);
        assert_eq!(known.len(), 1);
    }

    #[test]
    fn an_object_without_version_always_differs() {
        let mut known = Known::new();
        known.begin();
        assert!(known.present(&pod("a", "")));
        assert!(known.present(&pod("a", "")));
    }
}
