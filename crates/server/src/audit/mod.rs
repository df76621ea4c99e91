//! The audit: what is in a cluster already, judged by the policies in force, continuously.
//!
//! ```text
//! followers ──► index: what is due ──► objects at hand, or fetched ──► judges (threads)
//!     └──► held: namespaces, inventory ──► world ─────────────────────────┘      │
//!          status of constraints ◄── totals ◄── verdicts ──► reports ──► store ◄─┘
//! ```
//!
//! A changed object is judged again, a changed policy judges what it looks at, and nothing else is.
//! Only names are kept of what is judged; whole objects only of Namespaces and of the kinds that
//! policies read as inventory. What cannot be read or judged is Unknown and is told in the status.

mod count;
mod fetch;
mod gather;
mod interests;
mod judge;
mod log;
mod passing;
mod policies;
mod run;
mod stale;
mod status;
mod totals;
mod vanished;

pub use status::{ConstraintStatus, KindStatus, Live, Status};

use crate::state::AppState;
use bartizan_cluster::{Campaign, Cluster, Name, campaign};
use bartizan_model::Scope;
use bartizan_policy::Budget;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Gatekeeper's gauge: violations of the last audit, by `enforcement_action`.
pub const GK_VIOLATIONS: &str = "gatekeeper_violations";
/// Gatekeeper's histogram: how long a full audit took.
pub const GK_SECONDS: &str = "gatekeeper_audit_duration_seconds";
/// Gatekeeper's gauge: when the last full audit began, seconds since 1970.
pub const GK_LAST_RUN: &str = "gatekeeper_audit_last_run_time";
/// Gatekeeper's gauge: when it ended.
pub const GK_LAST_END: &str = "gatekeeper_audit_last_run_end_time";
/// Counter: objects judged.
pub const JUDGED: &str = "bartizan_audit_judged_total";
/// Gauge: objects that are known.
pub const OBJECTS: &str = "bartizan_audit_objects";
/// Gauge: objects that wait because they changed.
pub const DUE: &str = "bartizan_audit_due";
/// Gauge: kinds of which not everything is known.
pub const TROUBLED: &str = "bartizan_audit_kinds_in_trouble";

/// What the operator chose.
#[derive(Clone)]
pub struct Config {
    /// The cluster.
    pub cluster: Arc<dyn Cluster>,
    /// What findings are about.
    pub scope: Scope,
    /// Threads that judge.
    pub threads: usize,
    /// What one evaluation may cost.
    pub budget: Budget,
    /// Violations in a constraint's status.
    pub limit: usize,
    /// Whether violations are written as Gatekeeper's log events.
    pub log_violations: bool,
    /// The lease of the leader, where several replicas run, and who we are.
    pub lease: Option<(Name, String)>,
}

/// Audits until `shutdown`; where there is a lease, while it is ours.
pub async fn run(state: AppState, config: Config, shutdown: CancellationToken) {
    let Some((name, identity)) = config.lease.clone() else {
        run::Run::new(state, config).await.until(shutdown).await;
        return;
    };
    let (leads, mut leading) = watch::channel((false, None));
    let (stop, mut stopped) = watch::channel(false);
    let (cluster, clock) = (Arc::clone(&config.cluster), Arc::clone(&state.clock));
    let election = tokio::spawn(async move {
        let how = Campaign {
            name,
            identity,
            duration: Duration::from_secs(15),
            clock: &|| clock.now(),
        };
        campaign(cluster.as_ref(), &how, &leads, &mut stopped).await;
    });
    while !shutdown.is_cancelled() {
        let (leads, trouble) = leading.borrow_and_update().clone();
        if let Some(error) = trouble {
            tracing::warn!(%error, "the audit's lease");
        }
        if leads {
            let over = shutdown.child_token();
            let run = run::Run::new(state.clone(), config.clone()).await;
            let mut task = std::pin::pin!(run.until(over.clone()));
            loop {
                tokio::select! {
                    () = &mut task => break,
                    changed = leading.changed() => {
                        if changed.is_err() || !leading.borrow().0 {
                            over.cancel();
                        }
                    }
                }
            }
            continue;
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            changed = leading.changed() => if changed.is_err() { break },
        }
    }
    let _ = stop.send(true);
    if let Err(error) = election.await {
        tracing::error!(%error, "the audit's election ended badly");
    }
}

#[cfg(test)]
mod tests;
