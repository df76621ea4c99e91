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
//! words what comes out, `derive` reports what differs from what was reported. What cannot be
//! reported of one asset holds up neither the others nor another tenant.

pub mod derive;
pub mod export;
pub mod follow;
pub mod judge;
pub mod results;
pub mod words;

pub use derive::{Refused, derive};
pub use follow::follow;
pub use judge::{Kept, rows};

use crate::error::Problem;
use crate::state::AppState;
use bartizan_model::TenantId;
use bartizan_store::{StoreError, TenantStore};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How often is looked for changes that nobody told of.
const POLL: Duration = Duration::from_millis(500);
/// When a tenant that failed is tried again.
const RETRY: Duration = Duration::from_secs(4);
/// How often components that nobody has any more are cleared away.
const TIDY: Duration = Duration::from_secs(3_600);

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
    let mut failing = Failing::default();
    let mut tidied = Instant::now();
    loop {
        // Dropped where it stands: the workers that it may wait for end as well, and whatever was
        // not settled is marked still.
        let worked = tokio::select! {
            worked = all(&state, &mut failing) => worked,
            () = shutdown.cancelled() => return,
        };
        if !worked && tidied.elapsed() > TIDY {
            tidied = Instant::now();
            if let Err(error) = tidy(&state).await {
                tracing::warn!(%error, "components that nobody has any more stay");
            }
        }
        let pause = if worked { Duration::ZERO } else { POLL };
        tokio::select! {
            () = state.work.matching.notified() => {}
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// Tenants whose last round failed, and when each is tried again.
type Failing = BTreeMap<TenantId, Instant>;

/// One round over all tenants; whether there was anything to do. One that fails waits, and the
/// others do not.
async fn all(state: &AppState, failing: &mut Failing) -> bool {
    let tenants = match state.store.tenants().await {
        Ok(tenants) => tenants,
        Err(error) => {
            tracing::warn!(%error, "components cannot be matched: the store does not answer");
            return false;
        }
    };
    let mut worked = false;
    for id in tenants {
        if failing
            .get(&id)
            .is_some_and(|until| Instant::now() < *until)
        {
            continue;
        }
        match round(state, &id).await {
            Ok(did) => {
                failing.remove(&id);
                worked |= did;
            }
            Err(error) => {
                let known = failing.insert(id.clone(), Instant::now() + RETRY);
                if known.is_none() {
                    tracing::error!(tenant = id.as_str(), %error, "components cannot be matched");
                }
            }
        }
    }
    worked
}

async fn tidy(state: &AppState) -> Result<(), StoreError> {
    for id in state.store.tenants().await? {
        let tenant = state.store.tenant(&id).await?;
        let gone = tenant.tidy_components().await?;
        tracing::debug!(tenant = id.as_str(), gone, "components that nobody has");
    }
    Ok(())
}

/// Follows and derives for a tenant until no mark is left: whether there was anything to do.
pub async fn round(state: &AppState, id: &TenantId) -> Result<bool, MatchingError> {
    let tenant: TenantStore = state.store.tenant(id).await?;
    let mut worked = false;
    let mut refused = Refused::new();
    loop {
        // Each time: what came while a report was imported is matched before it is derived.
        worked |= follow(&tenant).await?;
        if derive(state, &tenant, &mut refused).await? > 0 {
            worked = true;
            continue;
        }
        return match refused.first_key_value() {
            None => Ok(worked),
            Some((_, why)) => Err(MatchingError::Report(format!(
                "{} assets are left out, the first because {why}",
                refused.len()
            ))),
        };
    }
}
