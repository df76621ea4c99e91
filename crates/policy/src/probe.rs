//! Rego modules asked directly, as templates are: for comparisons with OPA.

use crate::budget::Budget;
use crate::engine::Runner;
use crate::rego;
use serde_json::Value;

/// Modules that were loaded.
pub struct Probe {
    runner: Runner,
}

/// What was said.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// Nothing.
    Undefined,
    /// A value, in which sets are `{"$set": […]}` and null is `{"$null": true}`.
    Value(Value),
    /// It could not be told.
    Unknown(String),
}

impl Probe {
    /// Loads modules, each with whether it is Rego v1; the error says why they are refused.
    pub fn load(
        modules: &[(String, bool)],
        entries: &[String],
        data: Option<&Value>,
    ) -> Result<Self, String> {
        let prepared: Result<Vec<_>, String> = modules
            .iter()
            .map(|(source, v1)| rego::prepare(source, *v1))
            .collect();
        let runner = Runner::over(&prepared?, entries.to_vec(), data, Budget::default())?;
        Ok(Self { runner })
    }

    /// Asks for a rule such as `data.p.allow`.
    pub fn ask(&mut self, entry: &str, input: Option<&Value>) -> Said {
        match self.runner.tell(entry, input) {
            Ok(None) => Said::Undefined,
            Ok(Some(value)) => Said::Value(value),
            Err(why) => Said::Unknown(why),
        }
    }
}
