//! The domain half of the server: keyring, ledger, frameworks, sequencer, import workers.
//!
//! (Placeholder of the HTTP half; the domain half owns this file. `serve` calls
//! [`Work::open`] once, before listening, and [`Work::run`] once, after; `run` returns when
//! `shutdown` is cancelled and its loops have ended cleanly.)

use crate::config::Config;
use crate::state::{AppState, Clock, Random, Store};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What the domain half shares with its handlers: `state.work`.
#[derive(Debug, Default)]
pub struct Work {}

/// Why the domain half cannot start; says whose fault it is.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {}

impl Work {
    /// Loads keys, frameworks and ledger.
    pub async fn open(
        _config: &Config,
        _store: &Store,
        _clock: &Arc<dyn Clock>,
        _random: &Arc<dyn Random>,
    ) -> Result<Self, WorkError> {
        Ok(Self {})
    }

    /// Runs sequencer and workers until `shutdown`.
    pub async fn run(_state: AppState, shutdown: CancellationToken) {
        shutdown.cancelled().await;
    }

    /// For `/readyz`: the age in seconds of the oldest entry that waits for the sequencer.
    pub async fn sequencer_lag(_state: &AppState) -> Option<u64> {
        None
    }
}
