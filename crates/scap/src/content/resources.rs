//! The names that a benchmark's checks and platforms use, resolved through the catalogues.

use super::{Bundle, Chosen, Component, Target, cpe};
use std::collections::HashMap;
use std::sync::Arc;

/// Catalogues refer to references with catalogues; a hostile file must not multiply them.
const MAX_NAMES: usize = 10_000;

/// What a name leads to.
#[derive(Debug, Clone, Copy)]
pub enum Found<'a> {
    /// A component of the file.
    Component(&'a Component),
    /// Somewhere else; never fetched.
    Remote(&'a str),
    /// A component that is not in the file.
    Missing,
}

/// The names in force for one benchmark.
#[derive(Debug, Default)]
pub struct Resources<'a> {
    names: HashMap<Arc<str>, (Arc<str>, Found<'a>)>,
}

impl<'a> Resources<'a> {
    /// What a name leads to, with the component reference that it went through.
    pub fn find(&self, name: &str) -> Option<(&Arc<str>, Found<'a>)> {
        self.names
            .get(name)
            .map(|(reference, found)| (reference, *found))
    }

    /// All names, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>, Found<'a>)> {
        self.names
            .iter()
            .map(|(name, (reference, found))| (name, reference, *found))
    }
}

impl Bundle {
    /// The names in force for a benchmark: its own catalogue and those it leads to, those of
    /// the stream's dictionaries, and the files given beside. The first meaning of a name
    /// counts.
    pub fn resources<'a>(&'a self, chosen: &Chosen<'a>) -> Resources<'a> {
        let mut resources = Resources::default();
        let starts = std::iter::once(chosen.reference).chain(&chosen.stream.dictionaries);
        // A stack, its top first: catalogues are followed depth first, in order.
        let mut open: Vec<(Arc<str>, &Arc<str>)> = starts
            .map(|reference| (Arc::clone(&reference.id), &reference.id))
            .collect();
        open.reverse();
        while let Some((name, id)) = open.pop() {
            if resources.names.contains_key(&name) || resources.names.len() >= MAX_NAMES {
                continue;
            }
            let Some(reference) = chosen.stream.reference(id) else {
                resources
                    .names
                    .insert(name, (Arc::clone(id), Found::Missing));
                continue;
            };
            let found = match &reference.target {
                Target::Local(id) => self.component(id).map_or(Found::Missing, Found::Component),
                Target::Remote(href) => Found::Remote(href),
            };
            resources
                .names
                .insert(name, (Arc::clone(&reference.id), found));
            let names = reference.catalog.iter().rev();
            open.extend(names.map(|(name, id)| (Arc::clone(name), id)));
            // Each reference adds at most its catalogue; together at most this many stay open.
            open.truncate(MAX_NAMES);
        }
        for (name, id) in &self.beside {
            let found = self.component(id).map_or(Found::Missing, Found::Component);
            resources
                .names
                .entry(Arc::clone(name))
                .or_insert_with(|| (Arc::clone(id), found));
        }
        resources
    }

    /// The CPE dictionaries of a benchmark's stream.
    pub fn dictionaries<'a>(
        &'a self,
        chosen: &Chosen<'a>,
    ) -> impl Iterator<Item = &'a cpe::Dictionary> {
        chosen
            .stream
            .dictionaries
            .iter()
            .filter_map(|reference| match self.target(reference) {
                Some(Component::Dictionary(dictionary)) => Some(dictionary),
                _ => None,
            })
    }

    /// The CPE platform specifications among a benchmark's stream's dictionaries.
    pub fn specifications<'a>(
        &'a self,
        chosen: &Chosen<'a>,
    ) -> impl Iterator<Item = &'a cpe::Specification> {
        chosen
            .stream
            .dictionaries
            .iter()
            .filter_map(|reference| match self.target(reference) {
                Some(Component::Specification(specification)) => Some(specification),
                _ => None,
            })
    }
}
