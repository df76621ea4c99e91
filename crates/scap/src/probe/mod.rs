//! Probes: one module a test type (or a close family), each turning a [`Query`] into items.
//!
//! A probe must answer `error` or `incomplete` where it could not look: absence is a verdict,
//! and only a place that was read can be empty.

use crate::oval::compare::{Pattern, compare};
use crate::oval::item::{Collected, Item};
use crate::oval::model::{Check, Datatype, Operation};
use crate::oval::outcome::{Truth, combine};
use crate::system::System;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// An object with its variables resolved.
#[derive(Debug, Default)]
pub struct Query {
    /// Behaviours, by name.
    pub behaviors: Vec<(Arc<str>, Box<str>)>,
    /// Entities, in the object's order.
    pub entities: Vec<Bound>,
    /// The object's filters.
    pub keep: Keep,
}

type Keeps = dyn Fn(&Item, &Context<'_>) -> bool + Send + Sync;

/// The filters of an object. The evaluator applies them to all that a probe collects; a probe
/// that finds many items may ask before it keeps one.
#[derive(Clone, Default)]
pub struct Keep(Option<Arc<Keeps>>);

impl Keep {
    /// Keeps what the function says.
    pub fn new(keeps: impl Fn(&Item, &Context<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(keeps)))
    }

    /// Whether the item may be collected.
    pub fn keeps(&self, item: &Item, context: &Context<'_>) -> bool {
        self.0.as_ref().is_none_or(|keeps| keeps(item, context))
    }
}

impl std::fmt::Debug for Keep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "filters" } else { "all" })
    }
}

/// An entity of an object whose values are known.
#[derive(Debug, Clone)]
pub struct Bound {
    /// The entity's name.
    pub name: Arc<str>,
    /// How values are read.
    pub datatype: Datatype,
    /// How values are compared.
    pub operation: Operation,
    /// How many of the values must match.
    pub var_check: Check,
    /// `xsi:nil`: for `filename`, the directory itself is meant.
    pub nil: bool,
    /// The value, or the variable's values.
    pub values: Vec<Arc<str>>,
}

impl Bound {
    /// The values, where the entity asks for equality with any of them: what a probe may look
    /// up directly instead of enumerating.
    pub fn exact(&self) -> Option<&[Arc<str>]> {
        (self.operation == Operation::Equals
            && (self.values.len() == 1 || self.var_check == Check::AtLeastOne))
            .then_some(self.values.as_slice())
    }
}

impl Query {
    /// The entity of that name.
    pub fn entity(&self, name: &str) -> Option<&Bound> {
        self.entities.iter().find(|entity| &*entity.name == name)
    }

    /// The behaviour of that name.
    pub fn behavior(&self, name: &str) -> Option<&str> {
        self.behaviors
            .iter()
            .find(|(known, _)| &**known == name)
            .map(|(_, value)| &**value)
    }
}

/// The most compiled patterns that are kept.
const MAX_PATTERNS: usize = 4096;

/// What probes share during one evaluation: the system, compiled patterns, files read.
pub struct Context<'a> {
    /// The system that is looked at.
    pub system: &'a dyn System,
    /// The folder that relative paths start from; None: they mean nothing.
    pub base: Option<PathBuf>,
    patterns: Mutex<HashMap<Arc<str>, Option<Arc<Pattern>>>>,
    /// State of the file probes: the shared walk and the files that were read.
    pub files: files::Cache,
    /// State of the other probes: what is loaded once.
    pub tables: host::Tables,
}

impl<'a> Context<'a> {
    /// For one system.
    pub fn new(system: &'a dyn System) -> Self {
        Self {
            system,
            base: None,
            patterns: Mutex::default(),
            files: files::Cache::default(),
            tables: host::Tables::default(),
        }
    }

    /// With a folder that relative paths start from: on the running machine the caller's.
    #[must_use]
    pub fn with_base(mut self, base: Option<PathBuf>) -> Self {
        self.base = base;
        self
    }

    /// The compiled pattern; None when it does not compile.
    pub fn pattern(&self, text: &str) -> Option<Arc<Pattern>> {
        let mut patterns = self
            .patterns
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(known) = patterns.get(text) {
            return known.clone();
        }
        let compiled = Pattern::new(text).ok().map(Arc::new);
        // Values of files can be patterns, too: what is kept must not grow with them.
        if patterns.len() >= MAX_PATTERNS {
            patterns.clear();
        }
        patterns.insert(Arc::from(text), compiled.clone());
        compiled
    }

    /// Whether a value matches an entity of an object (`var_check` included).
    pub fn matches(&self, entity: &Bound, actual: &str) -> Truth {
        combine(
            entity.var_check,
            entity
                .values
                .iter()
                .map(|wanted| compare(self, entity.datatype, entity.operation, actual, wanted)),
        )
    }
}

/// A probe.
#[derive(Clone, Copy)]
pub struct Probe {
    /// The test type without `_test`.
    pub kind: &'static str,
    /// Collects what the query asks for.
    pub collect: fn(&Query, &Context<'_>) -> Collected,
}

pub mod files;
pub mod host;

/// The probe of a test type.
pub fn find(kind: &str) -> Option<Probe> {
    files::PROBES
        .iter()
        .chain(host::PROBES)
        .find(|probe| probe.kind == kind)
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Types that the evaluator answers itself.
    const NO_PROBE_NEEDED: [&str; 2] = ["unknown", "variable"];

    #[test]
    fn the_documented_probes_are_the_ones_that_there_are() {
        let table = include_str!("../../../../docs/oval-probes.md");
        let mut documented = BTreeSet::new();
        let mut rows = 0;
        for line in table.lines() {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [_, _, test, supported, ..] = cells[..] else {
                continue;
            };
            let Some(kind) = test
                .strip_prefix('`')
                .and_then(|test| test.strip_suffix("_test`"))
            else {
                continue;
            };
            rows += 1;
            assert!(matches!(supported, "yes" | "no"), "{line}");
            if supported == "yes" {
                assert!(documented.insert(kind), "{kind} is there twice");
            }
        }
        let probes = files::PROBES.iter().chain(host::PROBES);
        let ours: BTreeSet<&str> = probes
            .map(|probe| probe.kind)
            .chain(NO_PROBE_NEEDED)
            .collect();
        assert_eq!(documented, ours);
        // All of the three schemas.
        assert_eq!(rows, 46);
    }
}
