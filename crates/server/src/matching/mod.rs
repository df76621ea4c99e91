//! Findings from components and advisories, when either changes and without a rescan
//! ([0014](../../../../docs/adr/0014-findings-from-advisories.md)).
//!
//! ```text
//! upload ──► links ──► mark ─┐
//!                            ├─► results of what is marked ──► report ──► the door of all reports
//! feeds ──► matches ─► mark ─┘
//! ```
//!
//! `judge` holds components against advisories, `follow` does so when either is new, `results`
//! words what comes out, `derive` reports what differs from what was reported.

pub mod derive;
pub mod export;
pub mod follow;
pub mod judge;
pub mod results;

pub use derive::derive;
pub use follow::follow;
pub use judge::{Kept, rows};

use crate::error::Problem;
use crate::state::AppState;
use bartizan_model::TenantId;
use bartizan_store::{StoreError, TenantStore};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often is looked for changes that nobody told of.
const POLL: Duration = Duration::from_millis(500);

/// Why nothing was derived.
#[derive(Debug, thiserror::Error)]
pub enum MatchingError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The report was not taken.
    #[error("the report of matches was not taken: {0}")]
    Report(String),
}

impl From<Problem> for MatchingError {
    fn from(problem: Problem) -> Self {
        Self::Report(problem.detail().to_owned())
    }
}

/// Follows and derives until `shutdown`.
pub async fn run(state: AppState, shutdown: CancellationToken) {
    let mut failing = false;
    loop {
        let pause = match all(&state, &shutdown).await {
            Ok(true) => Duration::ZERO,
            Ok(false) => POLL,
            Err(error) => {
                if !failing {
                    tracing::error!(%error, "components cannot be matched");
                }
                failing = true;
                POLL * 8
            }
        };
        failing &= pause > POLL;
        tokio::select! {
            () = state.work.matching.notified() => {}
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// One round over all tenants; whether there was anything to do.
async fn all(state: &AppState, shutdown: &CancellationToken) -> Result<bool, MatchingError> {
    let mut worked = false;
    for id in state.store.tenants().await? {
        if shutdown.is_cancelled() {
            return Ok(false);
        }
        worked |= round(state, &id).await?;
    }
    Ok(worked)
}

/// Follows and derives for a tenant until no mark is left: whether there was anything to do.
pub async fn round(state: &AppState, id: &TenantId) -> Result<bool, MatchingError> {
    let tenant: TenantStore = state.store.tenant(id).await?;
    let mut worked = false;
    loop {
        // Each time: what came while a report was imported is matched before it is derived.
        worked |= follow(&tenant).await?;
        if derive(state, &tenant).await? == 0 {
            return Ok(worked);
        }
        worked = true;
    }
}
