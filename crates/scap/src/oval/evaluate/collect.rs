//! Objects collected: queries, filters, sets.

use super::judge::Judge;
use super::{Evaluator, ObjectOutcome, What};
use crate::oval::characteristics::Characteristics;
use crate::oval::item::{Collected, Flag, Item, Status};
use crate::oval::model::{
    Check, Entity, Filter, Object, ObjectBody, Operation, Set, SetOperand, SetOperator,
};
use crate::oval::outcome::Truth;
use crate::probe::{self, Bound, Context, Keep, Query};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

/// The items that were collected, each once.
#[derive(Default)]
pub(super) struct Store {
    all: Vec<Arc<Stored>>,
    known: HashMap<Arc<Stored>, u32>,
    /// Names of entities, each kept once.
    names: HashSet<Arc<str>>,
}

#[derive(PartialEq, Eq, Hash)]
struct Stored {
    kind: Arc<str>,
    item: Item,
}

impl Store {
    pub fn item(&self, id: u32) -> Option<&Item> {
        let place = usize::try_from(id).ok()?.checked_sub(1)?;
        self.all.get(place).map(|stored| &stored.item)
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, &Arc<str>, &Item)> {
        (1..)
            .zip(&self.all)
            .map(|(id, stored)| (id, &stored.kind, &stored.item))
    }

    /// The item's number; None where there are too many.
    fn add(&mut self, kind: &Arc<str>, mut item: Item) -> Option<u32> {
        for value in &mut item.values {
            if let Some(known) = self.names.get(&value.name) {
                value.name = Arc::clone(known);
            } else {
                self.names.insert(Arc::clone(&value.name));
            }
        }
        item.values.shrink_to_fit();
        let stored = Arc::new(Stored {
            kind: Arc::clone(kind),
            item,
        });
        if let Some(known) = self.known.get(&stored) {
            return Some(*known);
        }
        self.all.push(Arc::clone(&stored));
        let id = u32::try_from(self.all.len()).ok()?;
        self.known.insert(stored, id);
        Some(id)
    }
}

/// Filters whose states are ready.
type Ready = Vec<(bool, Arc<Judge>)>;

/// Whether the filters keep an item. What cannot be decided is kept.
fn keeps(filters: &Ready, context: &Context<'_>, item: &Item) -> bool {
    filters.iter().all(|(include, judge)| {
        let drops = if *include { Truth::False } else { Truth::True };
        judge.filter(context, item) != drops
    })
}

impl<'a> Evaluator<'a> {
    pub(super) fn object(&mut self, object: &'a Object) -> Arc<ObjectOutcome> {
        if let Some(known) = self.objects.get(&object.id) {
            return Arc::clone(known);
        }
        if let Some(recorded) = self.recorded {
            let outcome = self.gathered(object, recorded);
            return self.objects.add(&object.id, object, outcome);
        }
        if let Err(refused) = self.enter(What::Object, &object.id) {
            return Arc::new(ObjectOutcome::only(Flag::Error, refused.message()));
        }
        let mut outcome = match &object.body {
            ObjectBody::Set(set) => self.set(set),
            ObjectBody::Plain {
                behaviors,
                entities,
                filters,
            } => match self.ready(filters) {
                Ok(filters) => self.plain(object, behaviors, entities, filters),
                Err(message) => ObjectOutcome::only(Flag::Error, message),
            },
        };
        if self.leave() {
            let message = format!("{} refers to itself", object.id);
            outcome = ObjectOutcome::only(Flag::Error, message);
        }
        self.objects.add(&object.id, object, outcome)
    }

    /// What was recorded of an object: filters and sets were applied then.
    fn gathered(&mut self, object: &Object, recorded: &'a Characteristics) -> ObjectOutcome {
        let Some(gathered) = recorded.object(&object.id) else {
            return ObjectOutcome::only(Flag::NotCollected, "the object was not recorded");
        };
        let mut seen = HashSet::new();
        let mut items = Vec::new();
        for name in &gathered.items {
            let number = match self.numbers.get(&**name) {
                Some(number) => Some(*number),
                None => {
                    let item = recorded.item(name).cloned();
                    item.and_then(|item| self.store.add(&object.kind, item))
                }
            };
            let Some(number) = number else {
                return ObjectOutcome::only(Flag::Error, "too many items");
            };
            self.numbers.insert(name, number);
            if seen.insert(number) {
                items.push(number);
            }
        }
        ObjectOutcome {
            flag: gathered.flag,
            message: gathered.message.clone(),
            items,
        }
    }

    fn ready(&mut self, filters: &[Filter]) -> Result<Ready, String> {
        let filters = filters.iter();
        filters
            .map(|filter| Ok((filter.include, self.judge(&filter.state)?)))
            .collect()
    }

    fn plain(
        &mut self,
        object: &'a Object,
        behaviors: &[(Arc<str>, Box<str>)],
        entities: &'a [Entity],
        filters: Ready,
    ) -> ObjectOutcome {
        let filters = Arc::new(filters);
        let collected = if &*object.kind == "variable" {
            self.of_variable(entities)
        } else {
            let mut query = Query {
                behaviors: behaviors.to_vec(),
                ..Query::default()
            };
            for entity in entities {
                match self.bound(&object.kind, entity) {
                    Ok(bound) => query.entities.push(bound),
                    Err(outcome) => return outcome,
                }
            }
            if !filters.is_empty() {
                let filters = Arc::clone(&filters);
                query.keep = Keep::new(move |item, context| keeps(&filters, context, item));
            }
            let collected = match self.collector {
                Some(collector) => collector(&object.kind, &query),
                None => {
                    probe::find(&object.kind).map(|probe| (probe.collect)(&query, self.context))
                }
            };
            match collected {
                Some(collected) => collected,
                None => {
                    let message = format!("there is no probe for {}", object.kind);
                    return ObjectOutcome::only(Flag::NotCollected, message);
                }
            }
        };
        self.stored(&object.kind, collected, &filters)
    }

    /// Filters and keeps items, and says how complete they are.
    fn stored(&mut self, kind: &Arc<str>, collected: Collected, filters: &Ready) -> ObjectOutcome {
        let mut seen = HashSet::new();
        let mut items = Vec::new();
        let mut statuses = Vec::new();
        for item in collected.items {
            if !keeps(filters, self.context, &item) {
                continue;
            }
            if !statuses.contains(&item.status) {
                statuses.push(item.status);
            }
            let Some(id) = self.store.add(kind, item) else {
                return ObjectOutcome::only(Flag::Error, "too many items");
            };
            if seen.insert(id) {
                items.push(id);
            }
        }
        let message = collected.message;
        // A probe that says nothing of its own has the flag that its items give, after they
        // were filtered.
        let flag = match collected.flag {
            Flag::Incomplete if message.is_some() => Flag::Incomplete,
            Flag::Error | Flag::NotApplicable | Flag::NotCollected => collected.flag,
            Flag::Complete | Flag::DoesNotExist | Flag::Incomplete => {
                if statuses.contains(&Status::Error) {
                    Flag::Error
                } else if statuses.contains(&Status::NotCollected) {
                    Flag::Incomplete
                } else if statuses.contains(&Status::Exists) {
                    Flag::Complete
                } else {
                    Flag::DoesNotExist
                }
            }
        };
        ObjectOutcome {
            flag,
            message,
            items,
        }
    }

    /// An entity with its values; the object's outcome where its variable has none.
    fn bound(&mut self, kind: &str, entity: &'a Entity) -> Result<Bound, ObjectOutcome> {
        let mut var_check = entity.var_check;
        let values = match &entity.variable {
            None if entity.nil => Vec::new(),
            None => vec![self.absolute(entity, &Arc::from(&*entity.value))],
            Some(id) => {
                let outcome = self.variable(id);
                if outcome.has_values() && outcome.values.is_empty() {
                    let message = format!("variable {id} has no values");
                    return Err(ObjectOutcome::only(Flag::DoesNotExist, message));
                }
                if !outcome.has_values() {
                    let why = outcome.message.as_deref().unwrap_or("it has no values");
                    let message = format!("variable {id}: {why}");
                    return Err(ObjectOutcome::only(outcome.flag, message));
                }
                if is_looked_up(entity) {
                    // Only these paths are looked at, and each is one of them.
                    let same = || {
                        outcome
                            .values
                            .windows(2)
                            .all(|pair| matches!(pair, [a, b] if a == b))
                    };
                    let can_match = match var_check {
                        Check::AtLeastOne | Check::OnlyOne => true,
                        Check::All => same(),
                        Check::None => false,
                    };
                    if !can_match {
                        let message = format!("no path is as variable {id} asks");
                        return Err(ObjectOutcome::only(Flag::DoesNotExist, message));
                    }
                    var_check = Check::AtLeastOne;
                } else if is_one_by_one(kind, entity) {
                    var_check = Check::AtLeastOne;
                }
                let values = outcome.values.iter();
                values.map(|value| self.absolute(entity, value)).collect()
            }
        };
        Ok(Bound {
            name: Arc::clone(&entity.name),
            datatype: entity.datatype,
            operation: entity.operation,
            var_check,
            nil: entity.nil,
            values,
        })
    }

    /// A relative path as seen from the base.
    fn absolute(&self, entity: &Entity, value: &Arc<str>) -> Arc<str> {
        let is_path = is_looked_up(entity) && !value.is_empty() && !value.starts_with('/');
        let Some(base) = self.context.base.as_ref().filter(|_| is_path) else {
            return Arc::clone(value);
        };
        // Put together anew from its parts, without those that are `.`.
        let whole: PathBuf = base.join(&**value).components().collect();
        Arc::from(whole.to_string_lossy())
    }

    /// One item with all of the variable's values. Without values it is not known what they
    /// would be.
    fn of_variable(&mut self, entities: &'a [Entity]) -> Collected {
        let entity = entities.iter().find(|entity| &*entity.name == "var_ref");
        let Some(entity) = entity else {
            return Collected::error("the object names no variable");
        };
        let id = match &entity.variable {
            Some(id) => id,
            None => entity.value.trim(),
        };
        let outcome = self.variable(id);
        if outcome.flag == Flag::DoesNotExist {
            return Collected {
                flag: Flag::DoesNotExist,
                items: Vec::new(),
                message: outcome.message.clone(),
            };
        }
        if !outcome.has_values() || outcome.values.is_empty() {
            let why = outcome.message.as_deref().unwrap_or("it has no values");
            return Collected::incomplete(Vec::new(), format!("variable {id}: {why}"));
        }
        let variable = self.document.variables.get(id);
        let datatype = variable.map_or(entity.datatype, |variable| variable.datatype);
        let mut item = Item::new().string("var_ref", id);
        for value in &outcome.values {
            item = item.with("value", datatype, Arc::clone(value));
        }
        Collected::complete(vec![item])
    }

    fn set(&mut self, set: &'a Set) -> ObjectOutcome {
        let evaluated = self.deeper(|inside| inside.operands(set));
        evaluated.unwrap_or_else(|| ObjectOutcome::only(Flag::Error, "sets nest too deep"))
    }

    fn operands(&mut self, set: &'a Set) -> ObjectOutcome {
        let filters = match self.ready(&set.filters) {
            Ok(filters) => filters,
            Err(message) => return ObjectOutcome::only(Flag::Error, message),
        };
        if set.operands.len() > 2 {
            return ObjectOutcome::only(Flag::Error, "a set has more than two operands");
        }
        let mut together: Option<ObjectOutcome> = None;
        for operand in &set.operands {
            let outcome = match operand {
                SetOperand::Set(nested) => self.set(nested),
                SetOperand::Object(id) => match self.document.objects.get(id) {
                    Some(object) => {
                        let collected = self.object(object);
                        self.filtered(&collected, &filters)
                    }
                    None => {
                        let message = format!("object {id} is not in the document");
                        ObjectOutcome::only(Flag::Error, message)
                    }
                },
            };
            together = Some(match together {
                None => outcome,
                Some(first) => joined(set.operator, first, outcome),
            });
        }
        together.unwrap_or_else(|| ObjectOutcome::only(Flag::Error, "a set has no operands"))
    }

    /// An object's items as a set takes them.
    fn filtered(&self, collected: &ObjectOutcome, filters: &Ready) -> ObjectOutcome {
        let mut outcome = ObjectOutcome {
            items: Vec::with_capacity(collected.items.len()),
            message: collected.message.clone(),
            flag: collected.flag,
        };
        for id in &collected.items {
            let Some(item) = self.store.item(*id) else {
                continue;
            };
            match item.status {
                Status::DoesNotExist => continue,
                Status::NotCollected => {
                    return ObjectOutcome::only(Flag::Error, "an item was not collected");
                }
                Status::Exists | Status::Error => {}
            }
            if keeps(filters, self.context, item) {
                outcome.items.push(*id);
            }
        }
        if outcome.flag == Flag::Complete && outcome.items.is_empty() {
            outcome.flag = Flag::DoesNotExist;
        }
        outcome
    }
}

/// Paths that are given are looked up, not searched for.
fn is_looked_up(entity: &Entity) -> bool {
    matches!(&*entity.name, "path" | "filepath") && entity.operation == Operation::Equals
}

/// OpenSCAP collects once for each value of a variable and joins what it finds, so that of
/// these entities, which its probes read one value at a time, any value will do.
fn is_one_by_one(kind: &str, entity: &Entity) -> bool {
    matches!(
        (kind, &*entity.name),
        (_, "pattern" | "line" | "xpath" | "yamlpath")
            | ("dpkginfo", "name")
            | ("partition", "mount_point")
    )
}

/// Combines the operands of a set.
fn joined(operator: SetOperator, first: ObjectOutcome, second: ObjectOutcome) -> ObjectOutcome {
    let mut flag = joined_flag(operator, first.flag, second.flag);
    let mut items = first.items;
    let others: HashSet<u32> = second.items.iter().copied().collect();
    match operator {
        SetOperator::Union => {
            let known: HashSet<u32> = items.iter().copied().collect();
            items.extend(second.items.iter().filter(|id| !known.contains(id)));
        }
        SetOperator::Intersection => items.retain(|id| others.contains(id)),
        SetOperator::Complement => items.retain(|id| !others.contains(id)),
    }
    if flag == Flag::Complete && items.is_empty() {
        flag = Flag::DoesNotExist;
    }
    ObjectOutcome {
        flag,
        items,
        message: first.message.or(second.message),
    }
}

/// OVAL's tables of how sets combine flags.
fn joined_flag(operator: SetOperator, first: Flag, second: Flag) -> Flag {
    use Flag::{Complete, DoesNotExist, Error, Incomplete, NotApplicable, NotCollected};
    match operator {
        SetOperator::Union => match (first, second) {
            (Error, _) | (_, Error) => Error,
            (NotApplicable, other) | (other, NotApplicable) => other,
            (DoesNotExist, DoesNotExist) => DoesNotExist,
            (NotCollected, NotCollected) => NotCollected,
            (Complete | DoesNotExist, Complete | DoesNotExist) => Complete,
            _ => Incomplete,
        },
        SetOperator::Intersection => match (first, second) {
            // As OpenSCAP's table, where an empty first operand hides the second's error.
            (DoesNotExist, _) => DoesNotExist,
            (Error, _) | (_, Error) => Error,
            (_, DoesNotExist) => DoesNotExist,
            (Incomplete, NotApplicable) => NotApplicable,
            (NotApplicable, other) | (other, NotApplicable) => other,
            (Complete, other) => other,
            (Incomplete, _) => Incomplete,
            (NotCollected, _) => NotCollected,
        },
        SetOperator::Complement => match (first, second) {
            (Error | NotApplicable, _) | (_, NotApplicable) => Error,
            (DoesNotExist, _) => DoesNotExist,
            (_, Error) => Error,
            (NotCollected, _) => NotCollected,
            (_, Incomplete | NotCollected) => Error,
            (Complete | Incomplete, Complete | DoesNotExist) => first,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_sets() {
        use Flag::{Complete, DoesNotExist, Error, Incomplete, NotApplicable, NotCollected};
        for (operator, first, second, together) in [
            (SetOperator::Union, Complete, DoesNotExist, Complete),
            (SetOperator::Union, DoesNotExist, DoesNotExist, DoesNotExist),
            (SetOperator::Union, DoesNotExist, NotCollected, Incomplete),
            (SetOperator::Union, Incomplete, NotApplicable, Incomplete),
            (SetOperator::Union, Incomplete, Error, Error),
            (SetOperator::Intersection, Complete, Incomplete, Incomplete),
            (SetOperator::Intersection, DoesNotExist, Error, DoesNotExist),
            (
                SetOperator::Intersection,
                NotCollected,
                Complete,
                NotCollected,
            ),
            (SetOperator::Intersection, Complete, NotApplicable, Complete),
            (SetOperator::Complement, Complete, Incomplete, Error),
            (SetOperator::Complement, Incomplete, Complete, Incomplete),
            (SetOperator::Complement, DoesNotExist, Error, DoesNotExist),
            (
                SetOperator::Complement,
                NotCollected,
                Incomplete,
                NotCollected,
            ),
            (SetOperator::Complement, Complete, NotApplicable, Error),
        ] {
            let found = joined_flag(operator, first, second);
            assert_eq!(found, together, "{operator:?} {first:?} {second:?}");
        }
    }
}
