//! One template, compiled for one thread, whichever language it is written in.

use crate::ask::{Ask, Parameters};
use crate::budget::Budget;
use crate::engine::{RegoUnit, Shared, Violation};
use crate::gatekeeper::Template;
use bartizan_model::Timestamp;
use std::time::Duration;

/// One template, compiled for one thread.
pub(crate) enum Unit {
    Rego(Box<RegoUnit>),
}

impl Unit {
    /// The error says why the template cannot be run.
    pub(crate) fn new(
        template: &Template,
        inventory: Option<&Shared>,
        now: Timestamp,
        budget: Budget,
    ) -> Result<Self, String> {
        if let Some(why) = &template.refused {
            return Err(why.clone());
        }
        let inventory = inventory.filter(|_| template.inventory);
        let unit = RegoUnit::new(&template.modules, inventory, now, budget)?;
        Ok(Self::Rego(Box::new(unit)))
    }

    /// Sets what the next evaluations may cost, and the time that they see.
    pub(crate) fn allow(&mut self, time: Duration, now: Timestamp) {
        match self {
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
            Self::Rego(unit) => unit.evaluate(ask.rego(), &parameters.rego),
        }
    }
}

/// Compiles a template to see that it compiles.
pub(crate) fn prove(template: &Template) -> Result<(), String> {
    let now = Timestamp::from_micros(0);
    Unit::new(template, None, now, Budget::default()).map(drop)
}
