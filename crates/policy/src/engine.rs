//! The Rego engine behind the seam; the only module that knows `regorus`.
//!
//! **Interpreter, not bytecode.** `regorus` 0.11.0 also has a bytecode machine, about twice as
//! fast (0.44 ms against 0.95 ms CPU for one Pod and 60 templates). It is not used: run over
//! our own suites it answered otherwise than the interpreter and OPA in 17 of 353 cases, each
//! time with "no violation". `x := input.missing` succeeds there, and a comprehension whose
//! condition is false ends the loop around it. The interpreter agrees with OPA in all of them.
//!
//! Errors of built-ins: OPA makes the expression undefined, which can hide a violation that
//! only failed to be printed. So an evaluation first runs with errors raised. When one is
//! raised, the evaluation is repeated as OPA has it, unless the error is one that OPA does not
//! have (formatting), or a limit: then the result is an error, which becomes Unknown.

mod inventory;

pub(crate) use inventory::{Gathering, Inventory};

use crate::budget::Budget;
use crate::rego::builtins;
use crate::rego::calls::DEPRECATED_MODULE;
use crate::rego::typed::typed;
use crate::rego::{Module, recursion, syntax};
use bartizan_model::Timestamp;
use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// What a template said of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    pub message: String,
    pub locus: Option<String>,
    pub container: Option<String>,
    pub path: Option<String>,
    pub actual: Option<String>,
    pub expected: Option<String>,
    /// All of `details`, as JSON; none where there are none.
    pub details: Option<String>,
}

/// A value of the engine, made once an object and shared by all templates of a worker.
#[derive(Debug, Clone)]
pub(crate) struct Shared(Value);

impl Shared {
    pub(crate) fn of(value: &serde_json::Value) -> Self {
        Self(convert(value))
    }

    /// An object of values that are there already.
    pub(crate) fn object<'k>(fields: impl IntoIterator<Item = (&'k str, Shared)>) -> Self {
        let map: BTreeMap<Value, Value> =
            fields.into_iter().map(|(k, v)| (k.into(), v.0)).collect();
        Self(map.into())
    }
}

fn convert(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(b) => (*b).into(),
        serde_json::Value::Number(n) => {
            if let Some(i) = n.as_i64() {
                i.into()
            } else if let Some(u) = n.as_u64() {
                u.into()
            } else {
                n.as_f64().map_or(Value::Null, Value::from)
            }
        }
        serde_json::Value::String(s) => s.as_str().into(),
        serde_json::Value::Array(items) => items.iter().map(convert).collect::<Vec<_>>().into(),
        serde_json::Value::Object(map) => map
            .iter()
            .map(|(k, v)| (k.as_str().into(), convert(v)))
            .collect::<BTreeMap<Value, Value>>()
            .into(),
    }
}

/// Modules compiled for one thread.
pub(crate) struct Runner {
    modules: Vec<Module>,
    inventory: Value,
    /// Objects of the inventory by what they are looked up by.
    joins: Option<Value>,
    data: Value,
    budget: Budget,
    /// The time that the modules see; none where none looks.
    clock: Option<Timestamp>,
    /// Paths of the rules that are asked.
    entries: Vec<String>,
    prints: bool,
    engine: Engine,
}

/// One Rego template, compiled for one thread.
pub(crate) struct RegoUnit {
    runner: Runner,
    entry: String,
}

impl RegoUnit {
    pub(crate) fn new(
        modules: &[Module],
        inventory: Option<&Inventory>,
        now: Timestamp,
        budget: Budget,
    ) -> Result<Self, String> {
        let package = modules
            .first()
            .map(|m| m.package.as_str())
            .unwrap_or_default();
        let entry = format!("data.{package}.violation");
        let entries = vec![entry.clone()];
        let runner = Runner::new(modules, entries, inventory, now, budget)?;
        Ok(Self { runner, entry })
    }

    /// Sets what the next evaluations may cost, and the time that they see.
    pub(crate) fn allow(&mut self, time: Duration, now: Timestamp) {
        self.runner.allow(time, now);
    }

    /// Runs the template on one review; the error says why it could not be told.
    pub(crate) fn evaluate(
        &mut self,
        review: &Shared,
        parameters: &Shared,
    ) -> Result<Vec<Violation>, String> {
        let input = BTreeMap::from([
            (Value::from("parameters"), parameters.0.clone()),
            (Value::from("review"), review.0.clone()),
        ]);
        violations(&self.runner.ask(&self.entry, &Value::from(input))?)
    }
}

impl Runner {
    pub(crate) fn new(
        modules: &[Module],
        entries: Vec<String>,
        inventory: Option<&Inventory>,
        now: Timestamp,
        budget: Budget,
    ) -> Result<Self, String> {
        let joins = inventory.and_then(|known| known.keyed(modules));
        let inventory = inventory.map_or_else(Value::new_object, |known| known.value.clone());
        let data = data_of(&inventory, joins.as_ref(), now);
        let mut modules = modules.to_vec();
        for module in modules.iter_mut().filter(|_| joins.is_some()) {
            if let Some(joins) = &module.joins {
                module.source.clone_from(&joins.source);
            }
        }
        let engine = compile(&modules, &data, &entries, budget)?;
        Ok(Self {
            clock: modules
                .iter()
                .any(|m| m.source.contains("data.bartizan_now"))
                .then_some(now),
            inventory,
            joins,
            data,
            budget,
            prints: modules.iter().any(|m| m.source.contains("print")),
            entries,
            engine,
            modules,
        })
    }

    /// Modules over data of any shape, for comparisons with OPA.
    pub(crate) fn over(
        modules: &[Module],
        entries: Vec<String>,
        data: Option<&serde_json::Value>,
        budget: Budget,
    ) -> Result<Self, String> {
        let mut runner = Self::new(modules, Vec::new(), None, Timestamp::from_micros(0), budget)?;
        let mut all = serde_json::json!({"bartizan_now": {"ns": 0}});
        if let (Some(serde_json::Value::Object(more)), Some(all)) = (data, all.as_object_mut()) {
            all.extend(more.clone());
        }
        runner.data = convert(&all);
        runner.entries = entries;
        runner.engine = compile(modules, &runner.data, &runner.entries, budget)?;
        Ok(runner)
    }

    /// The value of a rule as JSON that keeps sets apart; without input, `input` is undefined.
    pub(crate) fn tell(
        &mut self,
        entry: &str,
        input: Option<&serde_json::Value>,
    ) -> Result<Option<serde_json::Value>, String> {
        let input = input.map_or(Value::Undefined, convert);
        self.ask(entry, &input).map(|value| typed(&value))
    }

    fn allow(&mut self, time: Duration, now: Timestamp) {
        if time != self.budget.time {
            self.budget = Budget { time };
            self.engine.set_execution_timer_config(timer(self.budget));
        }
        if self.clock.is_some_and(|seen| seen != now) {
            self.clock = Some(now);
            self.data = data_of(&self.inventory, self.joins.as_ref(), now);
            self.engine.clear_data();
            // The same data was taken when the engine was made.
            let _ = self.engine.add_data(self.data.clone());
        }
    }

    /// The value of a rule; the error says why it could not be told.
    fn ask(&mut self, entry: &str, input: &Value) -> Result<Value, String> {
        self.guarded(|runner| runner.run(entry, input))
    }

    /// The value of a rule as JSON, a set as a list; None where it is undefined. An error of a
    /// built-in, which OPA passes over, is one here, unless the rest of a set says something.
    pub(crate) fn strict(
        &mut self,
        entry: &str,
        input: &Shared,
    ) -> Result<Option<serde_json::Value>, String> {
        let value = self.guarded(|runner| {
            let error = match runner.once(entry, &input.0, true) {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if error.to_lowercase().contains("limit") {
                return Err("it exceeds the budget of one evaluation".into());
            }
            match runner.once(entry, &input.0, false) {
                Ok(Value::Set(set)) if !set.is_empty() => Ok(Value::Set(set)),
                _ => Err(syntax::brief(&error)),
            }
        })?;
        if value == Value::Undefined {
            return Ok(None);
        }
        let text = value.to_json_str().map_err(|e| e.to_string())?;
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|e| e.to_string())
    }

    fn guarded(
        &mut self,
        ask: impl FnOnce(&mut Self) -> Result<Value, String>,
    ) -> Result<Value, String> {
        match catch_unwind(AssertUnwindSafe(|| ask(self))) {
            Ok(value) => value,
            Err(_) => {
                // The engine may be in any state now: make a new one.
                self.engine = compile(&self.modules, &self.data, &self.entries, self.budget)?;
                Err("the policy engine failed on this object".into())
            }
        }
    }

    fn run(&mut self, entry: &str, input: &Value) -> Result<Value, String> {
        let error = match self.once(entry, input, true) {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let lower = error.to_lowercase();
        if lower.contains("limit") {
            return Err("it exceeds the budget of one evaluation".into());
        }
        // A pattern that Go may read otherwise.
        if lower.contains(builtins::UNKNOWN) || lower.contains("invalid regex") {
            return Err(syntax::brief(&error));
        }
        let again = self.once(entry, input, false);
        again.map_err(|e| syntax::brief(&e))
    }

    fn once(&mut self, entry: &str, input: &Value, strict: bool) -> Result<Value, String> {
        let engine = &mut self.engine;
        engine.set_strict_builtin_errors(strict);
        builtins::begin(strict);
        engine.set_input(input.clone());
        let value = engine
            .eval_rule(entry.to_owned())
            .map_err(|e| e.to_string());
        if self.prints {
            // What `print` said goes nowhere, as in Gatekeeper.
            let _ = engine.take_prints();
        }
        value
    }
}

fn data_of(inventory: &Value, joins: Option<&Value>, now: Timestamp) -> Value {
    let nanos = i128::from(now.micros()) * 1_000;
    let clock = BTreeMap::from([(Value::from("ns"), Value::from(nanos))]);
    let mut all = BTreeMap::from([
        (Value::from("bartizan_now"), Value::from(clock)),
        (Value::from("inventory"), inventory.clone()),
    ]);
    if let Some(joins) = joins {
        all.insert(Value::from("bartizan_join"), joins.clone());
    }
    Value::from(all)
}

fn timer(budget: Budget) -> ExecutionTimerConfig {
    ExecutionTimerConfig {
        limit: budget.time,
        check_interval: NonZeroU32::new(256).unwrap_or(NonZeroU32::MIN),
    }
}

fn compile(
    modules: &[Module],
    data: &Value,
    entries: &[String],
    budget: Budget,
) -> Result<Engine, String> {
    // The process would end by it.
    recursion::check(modules)?;
    // The first run of a rule may fail as any other may.
    let compiled = catch_unwind(AssertUnwindSafe(|| build(modules, data, entries, budget)));
    compiled.unwrap_or_else(|_| Err("the policy engine failed on it".into()))
}

fn build(
    modules: &[Module],
    data: &Value,
    entries: &[String],
    budget: Budget,
) -> Result<Engine, String> {
    let mut engine = syntax::engine();
    engine.set_gather_prints(true);
    builtins::register(&mut engine)?;
    for (i, module) in modules.iter().enumerate() {
        engine.set_rego_v0(!module.v1);
        engine
            .add_policy(format!("module{i}.rego"), module.source.clone())
            .map_err(|e| syntax::brief(&e.to_string()))?;
    }
    if modules
        .iter()
        .any(|m| m.source.contains("data.bartizan_builtins."))
    {
        engine.set_rego_v0(true);
        engine
            .add_policy("builtins.rego".into(), DEPRECATED_MODULE.into())
            .map_err(|e| syntax::brief(&e.to_string()))?;
    }
    engine.add_data(data.clone()).map_err(|e| e.to_string())?;
    // Rule lookup and calls are resolved when a rule is first run: run it on nothing, and not
    // for long, since some policies end on no input.
    engine.set_execution_timer_config(timer(Budget {
        time: budget.time.min(Duration::from_millis(20)),
    }));
    engine.set_input(Value::new_object());
    for entry in entries {
        let probe = engine.eval_rule(entry.clone());
        if let Err(e) = probe {
            let text = e.to_string();
            // What the engine's compiler says, whatever the input is.
            const FINAL: [&str; 7] = [
                "could not find function",
                "duplicated definition of local variable",
                "incompatible destructuring patterns",
                "is unsafe",
                "not a valid rule path",
                "not scheduled",
                "used before definition below",
            ];
            if FINAL.iter().any(|fault| text.contains(fault)) {
                return Err(syntax::brief(&text));
            }
        }
    }
    engine.set_execution_timer_config(timer(budget));
    Ok(engine)
}

fn violations(value: &Value) -> Result<Vec<Violation>, String> {
    let set = match value {
        Value::Undefined => return Ok(Vec::new()),
        Value::Set(set) => set,
        _ => return Err("`violation` is no set".into()),
    };
    let mut all = Vec::new();
    for item in set.iter() {
        // Gatekeeper refuses a template whose violations it sees to be without `msg`.
        let message = field(item, "msg").ok_or("a violation without `msg`")?;
        let details = match item {
            Value::Object(map) => map
                .get(&Value::from("details"))
                .cloned()
                .unwrap_or(Value::Undefined),
            _ => Value::Undefined,
        };
        all.push(Violation {
            message,
            locus: field(&details, "locus"),
            container: field(&details, "container"),
            path: field(&details, "path"),
            actual: field(&details, "actual"),
            expected: field(&details, "expected"),
            details: match &details {
                Value::Undefined => None,
                told => told.to_json_str().ok(),
            },
        });
    }
    all.sort();
    Ok(all)
}

fn field(value: &Value, name: &str) -> Option<String> {
    let Value::Object(map) = value else {
        return None;
    };
    match map.get(&Value::from(name))? {
        Value::Undefined => None,
        Value::String(text) => Some(text.to_string()),
        other => other.to_json_str().ok(),
    }
}
