//! What policies know of the cluster, as a value of the engine: made once, shared by all workers.

use super::{compile, convert, data_of};
use crate::budget::Budget;
use crate::rego::Module;
use crate::rego::builtins;
use crate::rego::join::Joins;
use bartizan_model::Timestamp;
use regorus::Value;
use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// `data.inventory`, and its objects by what policies look them up by.
#[derive(Debug)]
pub(crate) struct Inventory {
    pub(super) value: Value,
    /// By the source that computes the keys. Taken when policies are compiled, not when they run.
    keyed: Mutex<HashMap<String, Option<Value>>>,
}

impl Inventory {
    pub(crate) fn of(value: &serde_json::Value) -> Self {
        Self {
            value: convert(value),
            keyed: Mutex::default(),
        }
    }

    /// The objects that a module looks up, by their keys. None where there is nothing to look up,
    /// or it cannot be told: then all objects are gone through, as the policy says.
    pub(super) fn keyed(&self, modules: &[Module]) -> Option<Value> {
        let [module] = modules else {
            return None;
        };
        let joins = module.joins.as_ref()?;
        let mut known = self.keyed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(&joins.keys) {
            return found.clone();
        }
        let made = keyed(module, joins, &self.value);
        known.insert(joins.keys.clone(), made.clone());
        made
    }
}

/// What computing the keys of all objects may cost, once for each state of the cluster.
const KEYS: Budget = Budget {
    time: Duration::from_secs(20),
};

/// The inventory by the keys that one module looks objects up by. None where it cannot be told.
fn keyed(module: &Module, joins: &Joins, inventory: &Value) -> Option<Value> {
    let Value::Object(known) = inventory else {
        return None;
    };
    if known.is_empty() {
        return None;
    }
    let mut asking = module.clone();
    asking.source.clone_from(&joins.keys);
    asking.joins = None;
    let entry = |rule: &str| format!("data.{}.{rule}", module.package);
    let asking = [asking];
    // No expression that is looked up by sees the time.
    let data = data_of(inventory, None, Timestamp::from_micros(0));
    let mut engine = compile(&asking, &data, &[], KEYS).ok()?;
    engine.set_input(Value::new_object());
    builtins::begin(false);
    let mut all = BTreeMap::new();
    for (n, (rule, path)) in joins.rules.iter().enumerate() {
        let asked = catch_unwind(AssertUnwindSafe(|| engine.eval_rule(entry(rule))));
        let Ok(Ok(Value::Set(pairs))) = asked else {
            return None;
        };
        let mut keys: BTreeMap<Value, Branch> = BTreeMap::new();
        for pair in pairs.iter() {
            let [key, places] = pair.as_array().ok()?.as_slice() else {
                return None;
            };
            let mut places = places.as_array().ok()?.iter();
            let mut at = inventory;
            let mut branch = keys.entry(key.clone()).or_default();
            for step in path {
                let step = match step {
                    Some(fixed) => Value::from(fixed.as_str()),
                    None => places.next()?.clone(),
                };
                at = at.as_object().ok()?.get(&step)?;
                branch = branch.below.entry(step).or_default();
            }
            branch.leaf = Some(at.clone());
        }
        let keys: BTreeMap<Value, Value> = keys.into_iter().map(|(k, b)| (k, b.value())).collect();
        all.insert(Value::from(n.to_string()), Value::from(keys));
    }
    Some(Value::from(all))
}

/// An inventory that is gathered object by object, without a tree of all of them as JSON.
#[derive(Default)]
pub(crate) struct Gathering(Branch, Names);

impl Gathering {
    pub(crate) fn put(&mut self, path: &[&str], value: &serde_json::Value) {
        let mut branch = &mut self.0;
        for step in path {
            branch = branch.below.entry(Value::from(*step)).or_default();
        }
        branch.leaf = Some(self.1.convert(value));
    }

    pub(crate) fn inventory(mut self) -> Inventory {
        for part in ["cluster", "namespace"] {
            self.0.below.entry(Value::from(part)).or_default();
        }
        Inventory {
            value: self.0.value(),
            keyed: Mutex::default(),
        }
    }
}

/// Names of fields, each made once: they are most of the texts of a cluster.
#[derive(Default)]
struct Names(HashMap<String, Value>);

impl Names {
    fn convert(&mut self, value: &serde_json::Value) -> Value {
        match value {
            serde_json::Value::Object(map) => {
                let fields = map.iter().map(|(k, v)| (self.name(k), self.convert(v)));
                Value::from(fields.collect::<BTreeMap<Value, Value>>())
            }
            serde_json::Value::Array(items) => {
                Value::from(items.iter().map(|v| self.convert(v)).collect::<Vec<_>>())
            }
            other => convert(other),
        }
    }

    fn name(&mut self, name: &str) -> Value {
        if let Some(known) = self.0.get(name) {
            return known.clone();
        }
        let made = Value::from(name);
        // Labels and the keys of ConfigMaps are names, too, and each may be another.
        if self.0.len() < 10_000 {
            self.0.insert(name.to_owned(), made.clone());
        }
        made
    }
}

/// A part of the inventory under way.
#[derive(Default)]
struct Branch {
    below: BTreeMap<Value, Branch>,
    leaf: Option<Value>,
}

impl Branch {
    fn value(self) -> Value {
        match self.leaf {
            Some(leaf) => leaf,
            None => {
                let below = self.below.into_iter().map(|(k, b)| (k, b.value()));
                Value::from(below.collect::<BTreeMap<_, _>>())
            }
        }
    }
}
