//! Variables and their components computed.

use super::{Evaluator, What};
use crate::oval::compare::compare;
use crate::oval::function::apply;
use crate::oval::item::{Flag, Item, Status, Value};
use crate::oval::model::{Component, Datatype, Function, Possible, Variable, VariableSource};
use crate::oval::outcome::{Truth, operate};
use std::sync::Arc;

/// What a variable came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableOutcome {
    /// How complete it is.
    pub flag: Flag,
    /// Its values.
    pub values: Vec<Arc<str>>,
    /// Why it has none.
    pub message: Option<String>,
}

impl VariableOutcome {
    fn of(values: Vec<Arc<str>>) -> Self {
        Self {
            flag: Flag::Complete,
            values,
            message: None,
        }
    }

    fn without(flag: Flag, message: impl Into<String>) -> Self {
        Self {
            flag,
            values: Vec::new(),
            message: Some(message.into()),
        }
    }

    fn error(message: impl Into<String>) -> Self {
        Self::without(Flag::Error, message)
    }
}

impl<'a> Evaluator<'a> {
    pub(super) fn variable(&mut self, id: &str) -> Arc<VariableOutcome> {
        let Some(variable) = self.document.variables.get(id) else {
            let message = format!("variable {id} is not in the document");
            return Arc::new(VariableOutcome::error(message));
        };
        if let Some(known) = self.variables.get(id) {
            return Arc::clone(known);
        }
        if let Err(refused) = self.enter(What::Variable, &variable.id) {
            return Arc::new(VariableOutcome::error(refused.message()));
        }
        let mut outcome = self.compute(variable);
        if self.leave() {
            outcome = VariableOutcome::error(format!("{id} refers to itself"));
        }
        self.variables.add(&variable.id, variable, outcome)
    }

    fn compute(&mut self, variable: &'a Variable) -> VariableOutcome {
        let id = &variable.id;
        match &variable.source {
            VariableSource::Constant(values) if values.is_empty() => {
                VariableOutcome::error(format!("variable {id} has no values"))
            }
            VariableSource::Constant(values) => {
                VariableOutcome::of(values.iter().map(|value| Arc::from(&**value)).collect())
            }
            VariableSource::External(possible) => match self.externals.get(id) {
                Some(values) => match values
                    .iter()
                    .find(|value| !self.is_possible(variable, possible, value))
                {
                    Some(value) => VariableOutcome::without(
                        Flag::DoesNotExist,
                        format!("variable {id} may not be {value:?}"),
                    ),
                    None => VariableOutcome::of(values.clone()),
                },
                None => VariableOutcome::error(format!("no value is given for variable {id}")),
            },
            VariableSource::Local(component) => {
                let outcome = self.component(component);
                if outcome.has_values() && outcome.values.is_empty() {
                    return VariableOutcome::error(format!("variable {id} has no values"));
                }
                outcome
            }
        }
    }

    /// Whether the content lets an external variable have a value.
    fn is_possible(&self, variable: &Variable, possible: &[Possible], value: &str) -> bool {
        possible.is_empty()
            || possible.iter().any(|possible| match possible {
                Possible::Value(allowed) => **allowed == *value,
                Possible::Restriction(operator, restrictions) => {
                    let results = restrictions.iter().map(|(operation, wanted)| {
                        compare(self.context, variable.datatype, *operation, value, wanted)
                    });
                    operate(*operator, results) == Truth::True
                }
            })
    }

    fn component(&mut self, component: &'a Component) -> VariableOutcome {
        let computed = self.deeper(|inside| match component {
            Component::Literal(text) => VariableOutcome::of(vec![Arc::from(&**text)]),
            Component::Variable(id) => {
                let outcome = inside.variable(id);
                if outcome.has_values() {
                    return VariableOutcome::clone(&outcome);
                }
                VariableOutcome {
                    values: Vec::new(),
                    ..VariableOutcome::clone(&outcome)
                }
            }
            Component::Object {
                object,
                field,
                record_field,
            } => inside.fields(object, field, record_field.as_deref()),
            Component::Function(function, arguments) => inside.function(function, arguments),
        });
        computed.unwrap_or_else(|| VariableOutcome::error("components nest too deep"))
    }

    /// The values that an object's items have in a field.
    fn fields(&mut self, id: &str, field: &str, record_field: Option<&str>) -> VariableOutcome {
        let Some(object) = self.document.objects.get(id) else {
            return VariableOutcome::error(format!("object {id} is not in the document"));
        };
        let collected = self.object(object);
        let mut outcome = VariableOutcome {
            flag: collected.flag,
            values: Vec::new(),
            message: collected.message.clone(),
        };
        for item in collected.items.iter().filter_map(|id| self.store.item(*id)) {
            if let Err(what) = gather(item, field, record_field, &mut outcome.values) {
                return VariableOutcome::error(format!("object {id}: {what}"));
            }
        }
        if outcome.flag == Flag::DoesNotExist && outcome.message.is_none() {
            outcome.message = Some(format!("object {id} has no items"));
        }
        outcome
    }

    /// As OpenSCAP does: functions of many lists have no values where one of them has none;
    /// `count` counts nothing as 0, which only `arithmetic` sees; the others take one list.
    fn function(&mut self, function: &'a Function, arguments: &'a [Component]) -> VariableOutcome {
        let taken = match function {
            Function::Arithmetic { .. }
            | Function::Concat
            | Function::Count
            | Function::TimeDifference { .. }
            | Function::Unique => arguments.len(),
            _ => 1,
        };
        let mut flag = Flag::Complete;
        let mut last = Flag::Complete;
        let mut message = None;
        let mut lists = Vec::with_capacity(taken.min(arguments.len()));
        for argument in arguments.iter().take(taken) {
            let outcome = self.component(argument);
            last = outcome.flag;
            if weight(outcome.flag) > weight(flag) {
                flag = outcome.flag;
                message = outcome.message;
            }
            lists.push(outcome.values);
        }
        if lists.is_empty() {
            return VariableOutcome::error("a function without components");
        }
        if flag == Flag::Error {
            return VariableOutcome::error(message.unwrap_or_default());
        }
        let is_empty = lists.iter().any(Vec::is_empty);
        match function {
            Function::Arithmetic { .. } => {
                if lists.last().is_some_and(Vec::is_empty) && !has_values(last) {
                    return VariableOutcome {
                        flag: last,
                        values: Vec::new(),
                        message,
                    };
                }
                if is_empty {
                    return VariableOutcome::error("arithmetic with nothing");
                }
                // Even a count of what does not exist is a number.
                flag = Flag::Complete;
            }
            Function::Count if !has_values(flag) => {
                return VariableOutcome {
                    flag,
                    values: vec![Arc::from("0")],
                    message,
                };
            }
            _ if !has_values(flag) => {
                return VariableOutcome {
                    flag,
                    values: Vec::new(),
                    message,
                };
            }
            _ => {}
        }
        match apply(function, lists, self.context) {
            Ok(values) => VariableOutcome {
                flag,
                values,
                message,
            },
            Err(what) => VariableOutcome::error(what),
        }
    }
}

fn has_values(flag: Flag) -> bool {
    matches!(flag, Flag::Complete | Flag::Incomplete)
}

/// Which flag stands for many: the heaviest.
fn weight(flag: Flag) -> u8 {
    match flag {
        Flag::Complete => 0,
        Flag::Incomplete => 1,
        Flag::DoesNotExist => 2,
        Flag::NotCollected => 3,
        Flag::NotApplicable => 4,
        Flag::Error => 5,
    }
}

/// Adds an item's values of a field. What is not there has none, what could not be read or
/// has no such entity is an error.
fn gather(
    item: &Item,
    field: &str,
    record_field: Option<&str>,
    values: &mut Vec<Arc<str>>,
) -> Result<(), String> {
    let mut is_there = false;
    for value in item.named(field) {
        is_there = true;
        match (value.datatype == Datatype::Record, record_field) {
            (false, None) => take(value, values)?,
            (true, Some(name)) => {
                let mut fields = value.fields.iter().filter(|field| &*field.name == name);
                let first = fields.next();
                let first = first.ok_or_else(|| format!("no field {name} in {field}"))?;
                for field in std::iter::once(first).chain(fields) {
                    take(field, values)?;
                }
            }
            (true, None) => return Err(format!("{field} is a record")),
            (false, Some(_)) => return Err(format!("{field} is not a record")),
        }
    }
    if is_there {
        Ok(())
    } else {
        Err(format!("an item has no {field}"))
    }
}

fn take(value: &Value, values: &mut Vec<Arc<str>>) -> Result<(), String> {
    match value.status {
        Status::Exists => values.push(Arc::clone(&value.text)),
        Status::DoesNotExist => {}
        Status::Error | Status::NotCollected => {
            return Err(format!("{} could not be read", value.name));
        }
    }
    Ok(())
}
