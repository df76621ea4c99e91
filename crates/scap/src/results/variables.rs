//! The values of variables that tests and objects were given.

use super::oval::Evaluated;
use super::secret::hides;
use super::xml::Xml;
use crate::oval::model::{Document, Entity, Object, ObjectBody};
use bartizan_model::secret::has_hash;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::{self, Write};
use std::sync::Arc;

/// So many values of one variable are written in one place: a variable may have a value for
/// each file, and each test that uses it repeats them.
const MAX_VALUES: usize = 1000;
/// Shorter texts are no hashes of passwords (the oldest form has 13 characters), but names of
/// users and what stands in place of a password.
const MIN_SECRET: usize = 13;

/// The values by the variables' ids.
pub(super) struct Variables<'e> {
    values: HashMap<&'e str, &'e [Arc<str>]>,
    /// What items hide, variables made of them must not show.
    hidden: HashSet<&'e str>,
}

impl<'e> Variables<'e> {
    pub fn of(evaluated: &'e dyn Evaluated) -> Self {
        let mut hidden = HashSet::new();
        for view in evaluated.objects() {
            let kind: &str = &view.object.kind;
            for item in view.items.iter().filter_map(|id| evaluated.item(*id)) {
                let values = item.values.iter();
                let secret = values.filter(|value| hides(kind, item, value));
                hidden.extend(
                    secret
                        .map(|value| &*value.text)
                        .filter(|text| text.len() >= MIN_SECRET),
                );
            }
        }
        Self {
            values: evaluated.variables().into_iter().collect(),
            hidden,
        }
    }

    /// Those of the variables that have values, each once, by id.
    pub fn named<'d>(&self, ids: impl Iterator<Item = &'d str>) -> BTreeSet<&'d str> {
        ids.filter(|id| self.values.get(id).is_some_and(|values| !values.is_empty()))
            .collect()
    }

    /// What is left out, to be said before.
    pub fn remarks(&self, ids: &BTreeSet<&str>) -> Vec<String> {
        let all = ids
            .iter()
            .filter_map(|id| Some((*id, self.values.get(id)?.len())));
        all.filter(|(_, values)| *values > MAX_VALUES)
            .map(|(id, values)| format!("{id} has {values} values, {MAX_VALUES} are written"))
            .collect()
    }

    /// Writes an element for each value.
    pub fn write<W: Write>(
        &self,
        xml: &mut Xml<W>,
        element: &str,
        ids: &BTreeSet<&str>,
    ) -> io::Result<()> {
        for id in ids {
            let values = self.values.get(id).copied().unwrap_or_default();
            for value in values.iter().take(MAX_VALUES) {
                let text = match self.is_secret(value) {
                    true => "(redacted)",
                    false => value,
                };
                xml.leaf(element, &[("variable_id", id)], text)?;
            }
        }
        Ok(())
    }

    fn is_secret(&self, value: &str) -> bool {
        has_hash(value) || self.hidden.contains(value)
    }
}

/// The variables of states.
pub(super) fn of_states<'d>(
    document: &'d Document,
    states: &'d [Arc<str>],
) -> impl Iterator<Item = &'d str> {
    states
        .iter()
        .filter_map(|id| document.states.get(id))
        .flat_map(|state| of_entities(&state.entities))
}

/// The variables of an object: its entities' and its filters'.
pub(super) fn of_object<'d>(document: &'d Document, object: &'d Object) -> Vec<&'d str> {
    let (entities, filters) = match &object.body {
        ObjectBody::Plain {
            entities, filters, ..
        } => (entities.as_slice(), filters),
        ObjectBody::Set(set) => (&[][..], &set.filters),
    };
    let states = filters
        .iter()
        .filter_map(|filter| document.states.get(&filter.state));
    let of_filters = states.flat_map(|state| of_entities(&state.entities));
    of_entities(entities).chain(of_filters).collect()
}

fn of_entities(entities: &[Entity]) -> impl Iterator<Item = &str> {
    entities
        .iter()
        .flat_map(|entity| std::iter::once(entity).chain(&entity.fields))
        .filter_map(|entity| entity.variable.as_deref())
}
