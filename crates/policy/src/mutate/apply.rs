//! One mutator applied to one object: the walk along its location, and what is set at its end.

use super::external;
use super::image::Parts;
use super::location::{KeyValue, Location, PathTests, Step};
use serde_json::{Map, Value};

/// What is done where the location ends.
pub(crate) enum Setter<'m> {
    /// The value is put there.
    Put(&'m Value),
    /// The value is put there if what is there allows it.
    PutIf(&'m Value, &'m Condition),
    /// A promise of external data; it keeps what was there before.
    Promise(external::Promise),
    /// Values are added to a set, or taken from it.
    Merge(&'m [Value]),
    Prune(&'m [Value]),
    /// Parts of an image reference are replaced.
    Image(&'m Parts),
}

/// `assignIf`, of Gatekeeper's first mutators: what may be there, and what may not.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Condition {
    pub among: Vec<Value>,
    pub not_among: Vec<Value>,
}

impl Condition {
    fn holds(&self, there: Option<&Value>) -> bool {
        let among = self.among.is_empty() || there.is_some_and(|v| self.among.contains(v));
        among && !there.is_some_and(|v| self.not_among.contains(v))
    }
}

/// Walks and sets; whether anything was set. After an error the object is in between.
pub(crate) fn apply(
    location: &Location,
    tests: &PathTests,
    setter: &Setter<'_>,
    object: &mut Value,
) -> Result<bool, String> {
    Walk {
        steps: &location.steps,
        tests,
        setter,
    }
    .step(object, 0)
}

struct Walk<'m> {
    steps: &'m [Step],
    tests: &'m PathTests,
    setter: &'m Setter<'m>,
}

impl Walk<'_> {
    fn step(&self, current: &mut Value, at: usize) -> Result<bool, String> {
        match self.steps.get(at) {
            Some(Step::Field(field)) => self.field(current, field, at),
            Some(Step::Item { key, is }) => self.item(current, key, is.as_ref(), at),
            None => Err("the location is empty".into()),
        }
    }

    fn last(&self, at: usize) -> bool {
        at + 1 == self.steps.len()
    }

    fn field(&self, current: &mut Value, field: &str, at: usize) -> Result<bool, String> {
        let Value::Object(map) = current else {
            return Err(format!(
                "the location wants a mapping for {field:?}, the object has {}",
                kind(current)
            ));
        };
        let exists = map.contains_key(field);
        let fits = match exists {
            true => self.tests.may_exist(at),
            false => self.tests.may_miss(at),
        };
        if !fits {
            return Ok(false);
        }
        if self.last(at) {
            return self.set(map, field);
        }
        if let Some(next) = map.get_mut(field) {
            return self.step(next, at + 1);
        }
        let mut next = self.missing(at)?;
        let done = self.step(&mut next, at + 1)?;
        if done {
            map.insert(field.to_owned(), next);
        }
        Ok(done)
    }

    fn item(
        &self,
        current: &mut Value,
        key: &str,
        is: Option<&KeyValue>,
        at: usize,
    ) -> Result<bool, String> {
        let Value::Array(list) = current else {
            return Err(format!(
                "the location wants a list by {key:?}, the object has {}",
                kind(current)
            ));
        };
        if self.last(at) {
            return self.put_item(list, key, is, at);
        }
        let Some(is) = is else {
            if !self.tests.may_exist(at) {
                return Ok(false);
            }
            let mut done = false;
            for element in list {
                done |= self.step(element, at + 1)?;
            }
            return Ok(done);
        };
        let (mut done, mut found) = (false, false);
        for element in list.iter_mut() {
            if !element.get(key).is_some_and(|value| is.is(value)) {
                continue;
            }
            if !self.tests.may_exist(at) {
                return Ok(false);
            }
            done |= self.step(element, at + 1)?;
            found = true;
        }
        if !found {
            if !self.tests.may_miss(at) {
                return Ok(false);
            }
            let mut next = self.missing(at)?;
            let set = self.step(&mut next, at + 1)?;
            if set {
                list.push(next);
            }
            done |= set;
        }
        Ok(done)
    }

    /// Puts a whole element.
    fn put_item(
        &self,
        list: &mut Vec<Value>,
        key: &str,
        is: Option<&KeyValue>,
        at: usize,
    ) -> Result<bool, String> {
        let (Setter::Put(value) | Setter::PutIf(value, _)) = self.setter else {
            return Err("this mutator does not set elements of a list".into());
        };
        let is = is.ok_or("all elements of a list cannot be set at once")?;
        let Value::Object(new) = value else {
            return Err("only a mapping can be an element of a list that is known by a key".into());
        };
        let allowed = |there: Option<&Value>| match self.setter {
            Setter::PutIf(_, condition) => condition.holds(there),
            _ => true,
        };
        for element in list.iter_mut() {
            let Value::Object(map) = &*element else {
                return Err(format!(
                    "the list by {key:?} holds {} instead of a mapping",
                    kind(element)
                ));
            };
            if !map.get(key).is_some_and(|value| is.is(value)) {
                continue;
            }
            if !new.get(key).is_some_and(|value| is.is(value)) {
                return Err(format!("the new element has another {key:?}"));
            }
            if !self.tests.may_exist(at) || !allowed(Some(element)) {
                return Ok(false);
            }
            *element = (*value).clone();
            return Ok(true);
        }
        if !self.tests.may_miss(at) || !allowed(None) {
            return Ok(false);
        }
        list.push((*value).clone());
        Ok(true)
    }

    /// What is to be made at a step, so that the next one finds what it wants.
    fn missing(&self, at: usize) -> Result<Value, String> {
        let list = matches!(self.steps.get(at + 1), Some(Step::Item { .. }));
        match self.steps.get(at) {
            Some(Step::Item { .. }) if list => {
                Err("a list within a list cannot be made".to_owned())
            }
            Some(Step::Item { key, is: Some(is) }) => {
                Ok(Value::Object(Map::from_iter([(key.clone(), is.json())])))
            }
            Some(Step::Item { is: None, .. }) => Err("no key to make an element by".to_owned()),
            _ if list => Ok(Value::Array(Vec::new())),
            _ => Ok(Value::Object(Map::new())),
        }
    }

    fn set(&self, map: &mut Map<String, Value>, field: &str) -> Result<bool, String> {
        let put = |map: &mut Map<String, Value>, value: Value| {
            map.insert(field.to_owned(), value);
        };
        match self.setter {
            Setter::Put(value) => put(map, (*value).clone()),
            Setter::PutIf(value, condition) => {
                if !condition.holds(map.get(field)) {
                    return Ok(false);
                }
                put(map, (*value).clone());
            }
            Setter::Promise(promise) => {
                let promised = promise.at(map.get(field))?;
                put(map, promised);
            }
            Setter::Merge(values) => match map.get_mut(field) {
                None => put(map, Value::Array(values.to_vec())),
                Some(Value::Array(there)) => {
                    for value in *values {
                        if !there.contains(value) {
                            there.push(value.clone());
                        }
                    }
                }
                Some(other) => return Err(no_set(field, other)),
            },
            Setter::Prune(values) => match map.get_mut(field) {
                None => {}
                Some(Value::Array(there)) => there.retain(|value| !values.contains(value)),
                Some(other) => return Err(no_set(field, other)),
            },
            Setter::Image(parts) => {
                let old = match map.get(field) {
                    None => "",
                    Some(Value::String(image)) => image,
                    Some(other) => {
                        return Err(format!(
                            "{field:?} is no image: it has {} instead of a text",
                            kind(other)
                        ));
                    }
                };
                let image = parts.apply(old);
                put(map, image.into());
            }
        }
        Ok(true)
    }
}

fn no_set(field: &str, value: &Value) -> String {
    format!("{field:?} has {} and is no set of values", kind(value))
}

/// A word for what a value is, for messages: never the value itself.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}
