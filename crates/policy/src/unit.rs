//! One template, compiled for one thread, whichever language it is written in.

use crate::ask::{Ask, Parameters};
use crate::budget::Budget;
use crate::cel::{Activation, NativeCode};
use crate::engine::{Inventory, RegoUnit, Violation};
use crate::gatekeeper::Template;
use bartizan_model::Timestamp;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// One template, compiled for one thread.
pub(crate) enum Unit {
    Cel(Arc<NativeCode>, Budget),
    Rego(Box<RegoUnit>),
}

/// Which language is run where a template has both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// As in Gatekeeper's webhook and audit.
    Cel,
    /// As in `gator`.
    Rego,
}

impl Unit {
    /// In the language that Gatekeeper's webhook and audit take. The error says why the
    /// template cannot be run.
    pub(crate) fn new(
        template: &Template,
        inventory: Option<&Inventory>,
        now: Timestamp,
        budget: Budget,
    ) -> Result<Self, String> {
        Self::of(template, Language::Cel, inventory, now, budget)
    }

    /// In that language, if the template has both.
    pub(crate) fn of(
        template: &Template,
        preferred: Language,
        inventory: Option<&Inventory>,
        now: Timestamp,
        budget: Budget,
    ) -> Result<Self, String> {
        if let Some(why) = &template.refused {
            return Err(why.clone());
        }
        if let Some(code) = &template.native
            && (preferred == Language::Cel || template.modules.is_empty())
        {
            return Ok(Self::Cel(Arc::clone(code), budget));
        }
        let inventory = inventory.filter(|_| template.inventory);
        let unit = RegoUnit::new(&template.modules, inventory, now, budget);
        match (unit, &template.native) {
            (Ok(unit), _) => Ok(Self::Rego(Box::new(unit))),
            (Err(_), Some(code)) => Ok(Self::Cel(Arc::clone(code), budget)),
            (Err(why), None) => Err(why),
        }
    }

    /// Sets what the next evaluations may cost, and the time that they see.
    pub(crate) fn allow(&mut self, time: Duration, now: Timestamp) {
        match self {
            Self::Cel(_, budget) => budget.time = time,
            Self::Rego(unit) => unit.allow(time, now),
        }
    }

    /// What the template says of a review; the error says why it could not be told.
    pub(crate) fn evaluate(
        &mut self,
        ask: &Ask<'_>,
        parameters: &Parameters,
    ) -> Result<Vec<Violation>, String> {
        match self {
            Self::Cel(code, budget) => {
                let namespace = ask.namespace.as_ref().map(|known| known.json);
                let activation = Activation {
                    object: ask.object,
                    old_object: ask.old_object,
                    request: ask.request,
                    namespace_object: namespace.unwrap_or(&Value::Null),
                    params: &parameters.json,
                };
                code.evaluate(&activation, budget)
            }
            Self::Rego(unit) => unit.evaluate(ask.rego(), &parameters.rego),
        }
    }
}

/// Compiles a template to see that it compiles, in each of its languages.
pub(crate) fn prove(template: &Template) -> Result<(), String> {
    let now = Timestamp::from_micros(0);
    Unit::of(template, Language::Rego, None, now, Budget::default()).map(drop)
}
