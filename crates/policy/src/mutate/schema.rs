//! What mutators take for granted of the shape of objects, and which of them contradict.
//!
//! Each location says which of its steps are mappings and which are lists by which key. All
//! mutators of a kind and operation share one tree of such statements. Two of them conflict
//! where one has a mapping and the other a list, or where the same list is known by two keys,
//! or where one goes on below a place at which another puts a text that is not known yet.
//! What only puts a value says nothing of its shape.

use super::location::{Location, Step};
use super::{Binding, Id};
use std::collections::{BTreeMap, BTreeSet};

/// What stands at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shape {
    Mapping,
    List,
    Set,
    Text,
    Untold,
}

/// What a mutator says of objects.
pub(crate) struct Statement<'m> {
    pub id: &'m Id,
    pub location: &'m Location,
    /// What stands where the location ends.
    pub end: Shape,
    /// Whether nothing may go on below it.
    pub ends_there: bool,
}

#[derive(Default)]
struct Node {
    by: BTreeSet<Id>,
    below: BTreeMap<String, BTreeMap<Shape, Node>>,
    ends: BTreeSet<Id>,
}

impl Node {
    fn add(&mut self, statement: &Statement<'_>, rest: &[Step]) {
        self.by.insert(statement.id.clone());
        match rest {
            [] if statement.ends_there => {
                self.ends.insert(statement.id.clone());
            }
            [] => {}
            [step, after @ ..] => {
                let shapes = self.below.entry(name(step)).or_default();
                let node = shapes.entry(shape(after, statement.end)).or_default();
                node.add(statement, after);
            }
        }
    }

    /// Those that contradict about what is called so here.
    fn conflicts(&self, name: &str, found: &mut BTreeSet<Id>) {
        let Some(shapes) = self.below.get(name) else {
            return;
        };
        let told = shapes.keys().filter(|s| **s != Shape::Untold).count();
        for (shape, node) in shapes {
            let two_keys = *shape == Shape::List && node.below.len() > 1;
            if *shape != Shape::Untold && (told > 1 || two_keys) {
                found.extend(node.by.iter().cloned());
            }
        }
        let ends = shapes.values().any(|n| !n.ends.is_empty());
        if ends && shapes.values().any(|n| !n.below.is_empty()) {
            for node in shapes.values() {
                found.extend(node.ends.iter().cloned());
                for below in node.below.values().flat_map(BTreeMap::values) {
                    found.extend(below.by.iter().cloned());
                }
            }
        }
    }

    fn along(&self, rest: &[Step], end: Shape, found: &mut BTreeSet<Id>) {
        let [step, after @ ..] = rest else {
            return;
        };
        let name = name(step);
        self.conflicts(&name, found);
        let next = self
            .below
            .get(&name)
            .and_then(|s| s.get(&shape(after, end)));
        if let Some(next) = next {
            next.along(after, end, found);
        }
    }
}

fn name(step: &Step) -> String {
    match step {
        Step::Field(name) | Step::Item { key: name, .. } => name.clone(),
    }
}

/// The shape of a step, which the one after it tells.
fn shape(after: &[Step], end: Shape) -> Shape {
    match after.first() {
        Some(Step::Field(_)) => Shape::Mapping,
        Some(Step::Item { .. }) => Shape::List,
        None => end,
    }
}

/// Who contradicts whom: each that is in a conflict, with the others of it.
pub(crate) fn conflicts<'m>(
    all: impl Iterator<Item = (Statement<'m>, &'m [Binding])> + Clone,
) -> BTreeMap<Id, BTreeSet<Id>> {
    let mut trees: BTreeMap<&Binding, Node> = BTreeMap::new();
    for (statement, bindings) in all.clone() {
        for binding in bindings {
            let tree = trees.entry(binding).or_default();
            tree.add(&statement, &statement.location.steps);
        }
    }
    let mut with: BTreeMap<Id, BTreeSet<Id>> = BTreeMap::new();
    for (statement, bindings) in all {
        for binding in bindings {
            let mut found = BTreeSet::new();
            if let Some(tree) = trees.get(binding) {
                tree.along(&statement.location.steps, statement.end, &mut found);
            }
            for one in &found {
                let others = found.iter().filter(|other| *other != one).cloned();
                with.entry(one.clone()).or_default().extend(others);
            }
        }
    }
    with
}
