//! What one evaluation of one template on one object may cost.

use std::time::Duration;

/// What one evaluation may cost. An evaluation that exceeds it is Unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Steps of the engine's virtual machine, where that is what runs the template.
    pub steps: usize,
    /// Elapsed time, checked every few hundred steps.
    pub time: Duration,
}

impl Default for Budget {
    /// 5,000,000 steps and one second: some thousand times what a usual template needs.
    fn default() -> Self {
        Self {
            steps: 5_000_000,
            time: Duration::from_secs(1),
        }
    }
}
