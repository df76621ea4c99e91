//! Items compared with states.

use super::{Evaluator, VariableOutcome};
use crate::oval::compare::compare;
use crate::oval::item::{Flag, Item, Status, Value};
use crate::oval::model::{Check, Datatype, Entity, Existence, Operation, Operator};
use crate::oval::outcome::{Truth, combine, operate};
use crate::probe::Context;
use std::sync::Arc;

/// A state whose variables are resolved.
#[derive(Debug)]
pub(super) struct Judge {
    operator: Operator,
    pub wanted: Vec<Wanted>,
}

/// An entity of a state, or a field of a record.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Its fields are in `fields`.
    pub entity: Entity,
    values: Values,
    fields: Vec<Wanted>,
}

#[derive(Debug)]
enum Values {
    Written,
    Variable(Datatype, Arc<VariableOutcome>),
}

impl<'a> Evaluator<'a> {
    /// The state of that id, ready to judge; an error where it is not in the document.
    pub(super) fn judge(&mut self, id: &str) -> Result<Arc<Judge>, String> {
        let Some(state) = self.document.states.get(id) else {
            return Err(format!("state {id} is not in the document"));
        };
        if let Some(known) = self.judges.get(id) {
            return Ok(Arc::clone(known));
        }
        let mut wanted = Vec::with_capacity(state.entities.len());
        for entity in &state.entities {
            let mut ready = self.wanted(entity);
            for field in &entity.fields {
                let field = self.wanted(field);
                ready.fields.push(field);
            }
            // What textfilecontent_state calls `line`, its items call `text`.
            if &*state.kind == "textfilecontent" && &*entity.name == "line" {
                ready.entity.name = Arc::from("text");
            }
            wanted.push(ready);
        }
        let judge = Arc::new(Judge {
            operator: state.operator,
            wanted,
        });
        self.judges.insert(&state.id, Arc::clone(&judge));
        Ok(judge)
    }

    fn wanted(&mut self, entity: &'a Entity) -> Wanted {
        let values = match &entity.variable {
            None => Values::Written,
            Some(id) => {
                let variable = self.document.variables.get(id);
                let datatype = variable.map_or(Datatype::String, |variable| variable.datatype);
                Values::Variable(datatype, self.variable(id))
            }
        };
        Wanted {
            entity: Entity {
                fields: Vec::new(),
                ..entity.clone()
            },
            values,
            fields: Vec::new(),
        }
    }
}

impl Judge {
    /// A state that says nothing.
    pub fn nothing() -> Self {
        Self {
            operator: Operator::And,
            wanted: Vec::new(),
        }
    }

    /// Whether an item of a test satisfies the state.
    pub fn item(&self, context: &Context<'_>, item: &Item) -> Truth {
        let results = self.wanted.iter().map(|wanted| wanted.item(context, item));
        operate(self.operator, results)
    }

    /// Whether an item matches the state as a filter: other than in a test, an entity that
    /// the item does not have does not match. Of an item that could not be read that cannot
    /// be said.
    pub fn filter(&self, context: &Context<'_>, item: &Item) -> Truth {
        let missing = if item.status == Status::Error {
            Truth::Error
        } else {
            Truth::False
        };
        let results = self.wanted.iter().map(|wanted| {
            if item.named(&wanted.entity.name).next().is_none() {
                return missing;
            }
            wanted.values_of(context, item)
        });
        operate(self.operator, results)
    }
}

impl Wanted {
    /// Whether the item has what is wanted.
    pub fn item(&self, context: &Context<'_>, item: &Item) -> Truth {
        match existence(self.entity.existence, &item.values) {
            Truth::True => self.values_of(context, item),
            other => other,
        }
    }

    /// Unknown where the item has no such entity.
    fn values_of(&self, context: &Context<'_>, item: &Item) -> Truth {
        let values = item.named(&self.entity.name);
        let results = values.map(|value| self.value(context, value));
        combine(self.entity.entity_check, results)
    }

    /// Whether one value is what is wanted.
    pub fn value(&self, context: &Context<'_>, value: &Value) -> Truth {
        match value.status {
            Status::Exists => {}
            Status::DoesNotExist => return Truth::False,
            Status::Error | Status::NotCollected => return Truth::Error,
        }
        let entity = &self.entity;
        if let Values::Variable(datatype, outcome) = &self.values {
            if !outcome.has_values() {
                return Truth::Error;
            }
            let results = outcome
                .values
                .iter()
                .map(|wanted| compare(context, *datatype, entity.operation, &value.text, wanted));
            return combine(entity.var_check, results);
        }
        if entity.datatype == Datatype::Record {
            return self.record(context, value);
        }
        let (datatype, operation) = (entity.datatype, entity.operation);
        compare(context, datatype, operation, &value.text, &entity.value)
    }

    /// All fields that the state has; one that the item does not have is an error.
    fn record(&self, context: &Context<'_>, record: &Value) -> Truth {
        if self.entity.operation != Operation::Equals {
            return Truth::Error;
        }
        let results = self.fields.iter().map(|field| {
            let name = &field.entity.name;
            let mut values = record.fields.iter().filter(|value| value.name == *name);
            let results: Vec<Truth> = values
                .by_ref()
                .map(|value| field.value(context, value))
                .collect();
            if results.is_empty() {
                return Truth::Error;
            }
            combine(field.entity.entity_check, results)
        });
        operate(Operator::And, results)
    }

    /// The values of an item that this is about, with their masks: those of a record are its
    /// fields'.
    pub fn concerns<'w>(&'w self, value: &'w Value) -> Vec<(&'w Wanted, &'w Value)> {
        if self.fields.is_empty() {
            return vec![(self, value)];
        }
        let fields = self.fields.iter().flat_map(|field| {
            let values = value.fields.iter();
            values
                .filter(|value| value.name == field.entity.name)
                .map(move |value| (field, value))
        });
        fields.collect()
    }

    /// What is wanted, in words.
    pub fn expected(&self) -> String {
        let operation = match self.entity.operation {
            Operation::PatternMatch => "matches",
            other => other.word(),
        };
        let (values, join) = match &self.values {
            Values::Written => return format!("{operation} {}", self.entity.value),
            Values::Variable(_, outcome) if outcome.values.is_empty() => {
                let why = outcome.message.as_deref().unwrap_or("no value");
                return format!("{operation} a variable that has no value: {why}");
            }
            Values::Variable(_, outcome) => {
                let join = match self.entity.var_check {
                    Check::All => " and ",
                    Check::AtLeastOne => " or ",
                    Check::None => " nor ",
                    Check::OnlyOne => " xor ",
                };
                (&outcome.values, join)
            }
        };
        // More than a reader would read.
        let values: Vec<&str> = values.iter().take(20).map(|value| &**value).collect();
        let none = if self.entity.var_check == Check::None {
            "not "
        } else {
            ""
        };
        format!("{none}{operation} {}", values.join(join))
    }
}

/// Whether as many entities exist as a state's entity asks for. OpenSCAP 1.3.7 counts all
/// entities of the item, whatever their name, and so do we.
fn existence(asked: Existence, values: &[Value]) -> Truth {
    let count = |status: Status| values.iter().filter(|value| value.status == status).count();
    let exist = count(Status::Exists);
    if asked == Existence::AtLeastOne && exist > 0 {
        return Truth::True;
    }
    let missing = count(Status::DoesNotExist);
    let errors = count(Status::Error);
    let unseen = count(Status::NotCollected);
    let undecided = || {
        if errors > 0 {
            Truth::Error
        } else {
            Truth::Unknown
        }
    };
    match asked {
        Existence::AtLeastOne => undecided(),
        Existence::All if missing > 0 || values.is_empty() => Truth::False,
        Existence::All if errors == 0 && unseen == 0 => Truth::True,
        Existence::All => undecided(),
        Existence::Any if errors == 0 || exist > 0 => Truth::True,
        Existence::Any => Truth::Error,
        Existence::None if exist > 0 => Truth::False,
        Existence::None if errors == 0 && unseen == 0 => Truth::True,
        Existence::None => undecided(),
        Existence::OnlyOne if exist > 1 => Truth::False,
        Existence::OnlyOne if errors > 0 => Truth::Error,
        Existence::OnlyOne if exist == 0 => match unseen {
            0 => Truth::Unknown,
            1 => Truth::False,
            _ => Truth::Error,
        },
        Existence::OnlyOne if unseen == 0 => Truth::True,
        Existence::OnlyOne => Truth::Error,
    }
}

impl VariableOutcome {
    /// Whether its values can be used.
    pub(super) fn has_values(&self) -> bool {
        matches!(self.flag, Flag::Complete | Flag::Incomplete)
    }
}
