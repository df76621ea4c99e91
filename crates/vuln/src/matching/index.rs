//! Both directions by package: a new advisory finds its components, a component its advisories.
//!
//! Keys are interned: a package's name is held once, its places are numbers.

use crate::Advisory;
use bartizan_model::{Component, EcosystemKind};
use std::borrow::Cow;
use std::collections::HashMap;

/// A package of an ecosystem, its name folded the way the ecosystem compares names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    kind: EcosystemKind,
    name: Box<str>,
}

impl Key {
    /// The key of a package.
    pub fn of(kind: EcosystemKind, name: &str) -> Self {
        Self {
            kind,
            name: folded(kind, name).into(),
        }
    }

    /// The ecosystem.
    pub fn kind(&self) -> EcosystemKind {
        self.kind
    }

    /// The folded name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A name as it is compared.
pub(super) fn folded(kind: EcosystemKind, name: &str) -> Cow<'_, str> {
    match kind {
        // PEP 503: runs of `-`, `_`, `.` are one `-`.
        EcosystemKind::PyPi => {
            let mut out = String::with_capacity(name.len());
            for c in name.chars() {
                let c = if matches!(c, '_' | '.') {
                    '-'
                } else {
                    c.to_ascii_lowercase()
                };
                if c != '-' || !out.ends_with('-') {
                    out.push(c);
                }
            }
            Cow::Owned(out)
        }
        // Purls of Go are in lower case, so its paths are compared so.
        EcosystemKind::Go
        | EcosystemKind::NuGet
        | EcosystemKind::Packagist
        | EcosystemKind::GitHubActions
        | EcosystemKind::SwiftUrl
        | EcosystemKind::Bitnami => Cow::Owned(name.to_ascii_lowercase()),
        _ => Cow::Borrowed(name),
    }
}

/// All names under which advisories may speak of a component: its own and its source's.
pub fn keys_of(component: &Component) -> Vec<Key> {
    let kind = component.ecosystem.kind;
    let mut keys = vec![Key::of(kind, &component.name())];
    if let Some(source) = &component.source {
        let key = Key::of(kind, &source.name);
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

#[derive(Debug, Default)]
struct Places {
    by_key: HashMap<Key, Vec<u32>>,
}

impl Places {
    fn add(&mut self, key: Key, place: u32) {
        let places = self.by_key.entry(key).or_default();
        if places.last() != Some(&place) {
            places.push(place);
        }
    }

    fn find(&self, keys: impl IntoIterator<Item = Key>) -> Vec<u32> {
        let mut found: Vec<u32> = keys
            .into_iter()
            .filter_map(|k| self.by_key.get(&k))
            .flatten()
            .copied()
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// Advisories by package.
#[derive(Debug, Default)]
pub struct AdvisoryIndex {
    places: Places,
}

impl AdvisoryIndex {
    /// Adds an advisory under the caller's number for it.
    pub fn add(&mut self, number: u32, advisory: &Advisory) {
        for affected in &advisory.affected {
            let key = Key::of(affected.ecosystem.kind, &affected.package);
            self.places.add(key, number);
        }
    }

    /// Numbers of the advisories that name the component's package.
    pub fn of(&self, component: &Component) -> Vec<u32> {
        self.places.find(keys_of(component))
    }

    /// How many packages are named.
    pub fn packages(&self) -> usize {
        self.places.by_key.len()
    }
}

/// Components by package.
#[derive(Debug, Default)]
pub struct ComponentIndex {
    places: Places,
}

impl ComponentIndex {
    /// Adds a component under the caller's number for it.
    pub fn add(&mut self, number: u32, component: &Component) {
        for key in keys_of(component) {
            self.places.add(key, number);
        }
    }

    /// Numbers of the components that the advisory names.
    pub fn of(&self, advisory: &Advisory) -> Vec<u32> {
        self.places.find(
            advisory
                .affected
                .iter()
                .map(|a| Key::of(a.ecosystem.kind, &a.package)),
        )
    }
}
