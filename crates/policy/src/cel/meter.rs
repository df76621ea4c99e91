//! What an evaluation has left to spend.

use super::error::Error;
use crate::budget::Budget;
use regex::Regex;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// What the expressions of one policy may cost on one object, all together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Nodes evaluated, elements and pieces of text looked at.
    pub steps: u64,
    /// Bytes of all values that are made.
    pub bytes: u64,
    /// Elapsed time, looked at every thousand steps.
    pub time: Duration,
}

impl From<Budget> for Limits {
    fn from(budget: Budget) -> Self {
        Self {
            time: budget.time,
            ..Self::default()
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            steps: 5_000_000,
            bytes: 64 << 20,
            time: Budget::default().time,
        }
    }
}

/// Counts against [`Limits`].
#[derive(Debug)]
pub(crate) struct Meter {
    steps: u64,
    bytes: u64,
    next_look: u64,
    started: Instant,
    limits: Limits,
    /// Patterns that are no literals, compiled once an evaluation.
    pub(super) patterns: HashMap<String, Regex>,
}

/// How many steps go between two looks at the clock.
const LOOK: u64 = 1_000;

impl Meter {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            steps: 0,
            bytes: 0,
            next_look: LOOK,
            started: Instant::now(),
            limits,
            patterns: HashMap::new(),
        }
    }

    pub(super) fn spend(&mut self, steps: u64) -> Result<(), Error> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > self.limits.steps {
            return Err(Error::limit("steps"));
        }
        if self.steps >= self.next_look {
            self.next_look = self.steps.saturating_add(LOOK);
            if self.started.elapsed() > self.limits.time {
                return Err(Error::limit("time"));
            }
        }
        Ok(())
    }

    /// Accounts for a value of about so many bytes, before it is made.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Error> {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        if self.bytes > self.limits.bytes {
            return Err(Error::limit("memory"));
        }
        self.spend(1 + bytes as u64 / 64)
    }
}
