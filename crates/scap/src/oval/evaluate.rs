//! Definitions evaluated.
//!
//! ```text
//! definition ─► criteria ─► test ─► object ─► query ─► probe ─► items ─► filters, sets
//!                             └───► state ─► items judged       ▲
//!                                     └──► variable ─► object ──┘
//! ```
//!
//! Everything is evaluated once. What refers to itself, or to what is not in the document, is
//! an error. The tables are those of OpenSCAP 1.3.7.

mod collect;
mod judge;
mod reason;
mod variable;

use super::characteristics::Characteristics;
use super::item::{Collected, Flag, Item, Status};
use super::model::{Check, Criteria, Definition, Document, Existence, Object, Test, Variable};
use super::outcome::{Truth, combine, operate};
use crate::probe::{Context, Query};
use crate::xccdf::outcome::Why;
use collect::Store;
use judge::Judge;
use std::collections::HashMap;
use std::sync::Arc;

pub use variable::VariableOutcome;

/// How deep definitions, criteria, objects, sets, variables and components may nest together.
const MAX_DEPTH: usize = 200;

/// What a test came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestOutcome {
    /// Its result.
    pub truth: Truth,
    /// The object's items by number, each with its result against the states.
    pub tested: Vec<(u32, Truth)>,
    /// Why it could not be evaluated.
    pub message: Option<String>,
}

impl TestOutcome {
    fn only(truth: Truth, message: impl Into<String>) -> Self {
        Self {
            truth,
            tested: Vec::new(),
            message: Some(message.into()),
        }
    }
}

/// What an object came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectOutcome {
    /// How complete it is.
    pub flag: Flag,
    /// Why it is not complete.
    pub message: Option<String>,
    /// Its items by number, each once.
    pub items: Vec<u32>,
}

impl ObjectOutcome {
    fn only(flag: Flag, message: impl Into<String>) -> Self {
        Self {
            flag,
            message: Some(message.into()),
            items: Vec::new(),
        }
    }
}

/// Collects the items of a kind; None: there is no probe for it.
pub type Collector<'a> = dyn Fn(&str, &Query) -> Option<Collected> + 'a;

/// Evaluates the definitions of one document, each once.
pub struct Evaluator<'a> {
    document: &'a Document,
    context: &'a Context<'a>,
    externals: &'a HashMap<Arc<str>, Vec<Arc<str>>>,
    collector: Option<&'a Collector<'a>>,
    recorded: Option<&'a Characteristics>,
    /// The numbers of recorded items that are in the store.
    numbers: HashMap<&'a str, u32>,
    store: Store,
    definitions: HashMap<&'a str, Truth>,
    tests: Known<'a, Test, TestOutcome>,
    objects: Known<'a, Object, ObjectOutcome>,
    variables: Known<'a, Variable, VariableOutcome>,
    judges: HashMap<&'a str, Arc<Judge>>,
    open: Vec<Open<'a>>,
    depth: usize,
}

/// Outcomes in the order in which they were found.
struct Known<'a, K, V> {
    order: Vec<(&'a K, Arc<V>)>,
    places: HashMap<&'a str, usize>,
}

impl<K, V> Default for Known<'_, K, V> {
    fn default() -> Self {
        Self {
            order: Vec::new(),
            places: HashMap::new(),
        }
    }
}

impl<'a, K, V> Known<'a, K, V> {
    fn get(&self, id: &str) -> Option<&Arc<V>> {
        let place = self.places.get(id)?;
        self.order.get(*place).map(|(_, outcome)| outcome)
    }

    fn add(&mut self, id: &'a str, what: &'a K, outcome: V) -> Arc<V> {
        let outcome = Arc::new(outcome);
        self.places.insert(id, self.order.len());
        self.order.push((what, Arc::clone(&outcome)));
        outcome
    }

    fn iter(&self) -> impl Iterator<Item = (&'a K, &V)> {
        self.order.iter().map(|(what, outcome)| (*what, &**outcome))
    }
}

/// What is being evaluated, and whether it was met again meanwhile.
struct Open<'a> {
    what: What,
    id: &'a str,
    circular: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Definition,
    Object,
    Variable,
}

impl<'a> Evaluator<'a> {
    /// For a document with the values of its external variables.
    pub fn new(
        document: &'a Document,
        context: &'a Context<'a>,
        externals: &'a HashMap<Arc<str>, Vec<Arc<str>>>,
    ) -> Self {
        Self {
            document,
            context,
            externals,
            collector: None,
            recorded: None,
            numbers: HashMap::new(),
            store: Store::default(),
            definitions: HashMap::new(),
            tests: Known::default(),
            objects: Known::default(),
            variables: Known::default(),
            judges: HashMap::new(),
            open: Vec::new(),
            depth: 0,
        }
    }

    /// With items from elsewhere than the probes.
    #[must_use]
    pub fn with_collector(mut self, collector: &'a Collector<'a>) -> Self {
        self.collector = Some(collector);
        self
    }

    /// With what was recorded in place of the probes. An object that was not recorded was not
    /// collected, and its tests are unknown.
    #[must_use]
    pub fn with_characteristics(mut self, recorded: &'a Characteristics) -> Self {
        self.recorded = Some(recorded);
        self
    }

    /// The result of a definition.
    pub fn definition(&mut self, id: &str) -> Truth {
        let Some(definition) = self.document.definitions.get(id) else {
            return Truth::Error;
        };
        let id = &*definition.id;
        if let Some(known) = self.definitions.get(id) {
            return *known;
        }
        if self.enter(What::Definition, id).is_err() {
            return Truth::Error;
        }
        let mut truth = match &definition.criteria {
            Some(criteria) => self.criteria(criteria),
            None => Truth::NotEvaluated,
        };
        if self.leave() {
            truth = Truth::Error;
        }
        self.definitions.insert(id, truth);
        truth
    }

    /// The results of all definitions in document order.
    pub fn all(&mut self) -> Vec<(Arc<str>, Truth)> {
        let ids = self.document.order.iter();
        ids.map(|id| (Arc::clone(id), self.definition(id)))
            .collect()
    }

    /// The values that decided a definition that was evaluated, at most a few.
    pub fn why(&self, id: &str) -> Vec<Why> {
        reason::why(self, id)
    }

    /// The document.
    pub fn document(&self) -> &'a Document {
        self.document
    }

    /// The definitions that were evaluated, in document order.
    pub fn definitions(&self) -> impl Iterator<Item = (&'a Definition, Truth)> {
        let document = self.document;
        document.order.iter().filter_map(|id| {
            let truth = self.definitions.get(&**id)?;
            Some((document.definitions.get(id)?, *truth))
        })
    }

    /// The tests that were evaluated.
    pub fn tests(&self) -> impl Iterator<Item = (&'a Test, &TestOutcome)> {
        self.tests.iter()
    }

    /// The objects that were collected.
    pub fn objects(&self) -> impl Iterator<Item = (&'a Object, &ObjectOutcome)> {
        self.objects.iter()
    }

    /// The variables that were computed.
    pub fn variables(&self) -> impl Iterator<Item = (&'a Variable, &VariableOutcome)> {
        self.variables.iter()
    }

    /// An item by its number, from 1.
    pub fn item(&self, id: u32) -> Option<&Item> {
        self.store.item(id)
    }

    /// All items with their numbers and what kind of object they are of.
    pub fn items(&self) -> impl Iterator<Item = (u32, &Arc<str>, &Item)> {
        self.store.iter()
    }

    /// Notes that something is evaluated. Errors: it is already, or it nests too deep.
    fn enter(&mut self, what: What, id: &'a str) -> Result<(), String> {
        let already = self.open.iter().position(|open| {
            let Open {
                what: kind, id: of, ..
            } = open;
            *kind == what && *of == id
        });
        if let Some(already) = already {
            // All from there to here are part of the circle.
            for open in self.open.iter_mut().skip(already) {
                open.circular = true;
            }
            return Err(format!("{id} refers to itself"));
        }
        if self.depth >= MAX_DEPTH {
            return Err(format!("{id} is nested too deep"));
        }
        self.depth += 1;
        self.open.push(Open {
            what,
            id,
            circular: false,
        });
        Ok(())
    }

    /// Whether what ends here refers to itself.
    fn leave(&mut self) -> bool {
        self.depth -= 1;
        self.open.pop().is_some_and(|open| open.circular)
    }

    /// One level deeper; None where there are too many.
    fn deeper<T>(&mut self, inside: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.depth >= MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        let result = inside(self);
        self.depth -= 1;
        Some(result)
    }

    fn criteria(&mut self, criteria: &'a Criteria) -> Truth {
        match criteria {
            Criteria::Group {
                operator,
                negate,
                parts,
            } => {
                // All parts are evaluated, as results show them all.
                let results = self.deeper(|inside| {
                    let parts = parts.iter().map(|part| inside.criteria(part));
                    parts.collect::<Vec<_>>()
                });
                let together = results.map_or(Truth::Error, |results| operate(*operator, results));
                together.negated(*negate)
            }
            Criteria::Test { test, negate } => self.test(test).negated(*negate),
            Criteria::Extend { definition, negate } => self.definition(definition).negated(*negate),
        }
    }

    fn test(&mut self, id: &str) -> Truth {
        let Some(test) = self.document.tests.get(id) else {
            return Truth::Error;
        };
        if let Some(known) = self.tests.get(id) {
            return known.truth;
        }
        let outcome = self.evaluate(test);
        self.tests.add(&test.id, test, outcome).truth
    }

    fn evaluate(&mut self, test: &'a Test) -> TestOutcome {
        if &*test.kind == "unknown" {
            return TestOutcome::only(Truth::Unknown, "the test says that it cannot be decided");
        }
        let Some(wanted) = &test.object else {
            return TestOutcome::only(Truth::Error, "the test has no object");
        };
        let Some(object) = self.document.objects.get(wanted) else {
            let message = format!("object {wanted} is not in the document");
            return TestOutcome::only(Truth::Error, message);
        };
        if object.kind != test.kind {
            let message = format!("object {wanted} is of kind {}", object.kind);
            return TestOutcome::only(Truth::Unknown, message);
        }
        if self
            .recorded
            .is_some_and(|all| all.object(wanted).is_none())
        {
            let message = format!("object {wanted} was not recorded");
            return TestOutcome::only(Truth::Unknown, message);
        }
        let collected = self.object(object);
        let mut outcome = TestOutcome {
            truth: Truth::Error,
            tested: collected
                .items
                .iter()
                .map(|item| (*item, Truth::NotEvaluated))
                .collect(),
            message: collected.message.clone(),
        };
        let counted = self.count(&collected.items);
        outcome.truth = existence(test, collected.flag, counted);
        let is_complete = collected.flag == Flag::Complete;
        if outcome.truth != Truth::True
            || test.states.is_empty()
            || !(is_complete || collected.flag == Flag::Incomplete)
        {
            return outcome;
        }
        let judged = match self.judged(test, &mut outcome.tested) {
            Ok(judged) => judged,
            Err(message) => {
                outcome.message = Some(message);
                Truth::Error
            }
        };
        outcome.truth = match judged {
            // The items that were not seen could still change it.
            Truth::True if !is_complete && test.check != Check::AtLeastOne => Truth::Unknown,
            Truth::True | Truth::False => judged,
            _ if is_complete => judged,
            _ => Truth::Unknown,
        };
        outcome
    }

    /// How many of the items exist and how many could not be read.
    fn count(&self, items: &[u32]) -> (usize, usize) {
        let mut counted = (0, 0);
        for item in items.iter().filter_map(|id| self.store.item(*id)) {
            match item.status {
                Status::Exists => counted.0 += 1,
                Status::Error => counted.1 += 1,
                Status::DoesNotExist | Status::NotCollected => {}
            }
        }
        counted
    }

    /// Judges the items by the states.
    fn judged(&mut self, test: &'a Test, tested: &mut [(u32, Truth)]) -> Result<Truth, String> {
        let mut judges = Vec::with_capacity(test.states.len());
        for state in &test.states {
            judges.push(self.judge(state)?);
        }
        for (id, result) in &mut *tested {
            let Some(item) = self.store.item(*id) else {
                continue;
            };
            *result = match item.status {
                Status::Error | Status::NotCollected => Truth::Error,
                Status::DoesNotExist => Truth::False,
                Status::Exists => operate(
                    test.state_operator,
                    judges.iter().map(|judge| judge.item(self.context, item)),
                ),
            };
        }
        let results = tested.iter().map(|(_, result)| *result);
        Ok(combine(test.check, results))
    }
}

/// Whether as much exists as the test asks for. Without states, `any_exist` asks for nothing.
fn existence(test: &Test, flag: Flag, (exist, errors): (usize, usize)) -> Truth {
    let asks_nothing = test.existence == Existence::Any && test.states.is_empty();
    match (flag, test.existence) {
        (Flag::Error | Flag::NotCollected | Flag::NotApplicable, _) if asks_nothing => Truth::True,
        (Flag::Error, _) => Truth::Error,
        (Flag::NotCollected, _) => Truth::Unknown,
        (Flag::NotApplicable, _) => Truth::NotApplicable,
        (Flag::DoesNotExist, existence) => {
            matches!(existence, Existence::None | Existence::Any).into()
        }
        (Flag::Incomplete, Existence::Any) => Truth::True,
        (Flag::Incomplete, Existence::AtLeastOne) if exist > 0 => Truth::True,
        (Flag::Incomplete, Existence::None) if exist > 0 => Truth::False,
        (Flag::Incomplete, Existence::OnlyOne) if exist > 1 => Truth::False,
        (Flag::Incomplete, _) => Truth::Unknown,
        (Flag::Complete, Existence::AtLeastOne | Existence::Any) if exist > 0 => Truth::True,
        (Flag::Complete, Existence::OnlyOne) if exist > 1 => Truth::False,
        (Flag::Complete, _) if errors > 0 => Truth::Error,
        (Flag::Complete, Existence::All | Existence::AtLeastOne) => (exist > 0).into(),
        (Flag::Complete, Existence::Any) => Truth::True,
        (Flag::Complete, Existence::None) => (exist == 0).into(),
        (Flag::Complete, Existence::OnlyOne) => (exist == 1).into(),
    }
}

#[cfg(test)]
mod tests;
