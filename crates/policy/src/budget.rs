//! What one evaluation of one template on one object may cost.

use std::time::Duration;

/// What one evaluation may cost. An evaluation that exceeds it is Unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Elapsed time, checked every few hundred steps of the engine.
    pub time: Duration,
}

impl Default for Budget {
    /// One second: some ten thousand times what a usual template needs.
    fn default() -> Self {
        Self {
            time: Duration::from_secs(1),
        }
    }
}
