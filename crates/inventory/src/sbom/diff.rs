//! What changed between two inventories.

use crate::Inventory;
use bartizan_model::{Component, Ecosystem, Purl};
use std::collections::{BTreeMap, BTreeSet};

/// What one list has that the other has not, by packages.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Diff {
    /// Packages that only the later has.
    pub added: Vec<Change>,
    /// Packages that only the earlier has.
    pub removed: Vec<Change>,
    /// Packages that both have, in other versions.
    pub changed: Vec<Change>,
}

/// One package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Change {
    /// Without its version.
    pub package: Purl,
    /// Whose advisories it has.
    pub ecosystem: Ecosystem,
    /// Versions that only the earlier has.
    pub before: Vec<String>,
    /// Versions that only the later has.
    pub after: Vec<String>,
}

impl Diff {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

type Packages = BTreeMap<Purl, BTreeMap<String, Ecosystem>>;

fn packages(components: &[Component]) -> Packages {
    let mut all = Packages::new();
    for one in components {
        let version = one.version().map(|v| v.into_owned()).unwrap_or_default();
        all.entry(one.purl.package())
            .or_default()
            .insert(version, one.ecosystem.clone());
    }
    all
}

/// What changed from `before` to `after`.
pub fn diff(before: &Inventory, after: &Inventory) -> Diff {
    let (before, after) = (packages(&before.components), packages(&after.components));
    let names: BTreeSet<&Purl> = before.keys().chain(after.keys()).collect();
    let none = BTreeMap::new();
    let mut diff = Diff::default();
    for package in names {
        let was = before.get(package).unwrap_or(&none);
        let is = after.get(package).unwrap_or(&none);
        let only = |these: &BTreeMap<String, Ecosystem>, those: &BTreeMap<String, Ecosystem>| {
            these
                .keys()
                .filter(|version| !those.contains_key(*version))
                .cloned()
                .collect::<Vec<_>>()
        };
        let (gone, new) = (only(was, is), only(is, was));
        let Some(ecosystem) = is.values().chain(was.values()).next() else {
            continue;
        };
        if gone.is_empty() && new.is_empty() {
            continue;
        }
        let change = Change {
            package: package.clone(),
            ecosystem: ecosystem.clone(),
            before: gone,
            after: new,
        };
        match (was.is_empty(), is.is_empty()) {
            (true, _) => diff.added.push(change),
            (_, true) => diff.removed.push(change),
            _ => diff.changed.push(change),
        }
    }
    diff
}
