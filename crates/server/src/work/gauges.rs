//! The figures of `/metrics` that have to be asked for.

use crate::metrics::{FINDINGS, JOBS, LEDGER_PENDING, LEDGER_SIZE, QUEUE_AGE_SECONDS, QUEUE_DEPTH};
use crate::state::AppState;
use bartizan_model::Severity;
use bartizan_store::StoreError;
use bartizan_store::queue::QueueStats;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often they are asked for.
const EVERY: Duration = Duration::from_secs(10);

/// Runs until `shutdown`.
pub async fn run(state: AppState, shutdown: CancellationToken) {
    loop {
        if let Err(error) = refresh(&state).await {
            tracing::warn!(%error, "the gauges could not be refreshed");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// Sums over tenants and sets the gauges.
pub async fn refresh(state: &AppState) -> Result<(), StoreError> {
    let mut queue = QueueStats::default();
    let mut findings: BTreeMap<Severity, u64> = BTreeMap::new();
    let (mut size, mut pending) = (0, 0);
    for id in state.store.tenants().await? {
        let tenant = state.store.tenant(&id).await?;
        let stats = tenant.queue_stats().await?;
        queue.queued += stats.queued;
        queue.running += stats.running;
        queue.failed += stats.failed;
        queue.oldest_queued = [queue.oldest_queued, stats.oldest_queued]
            .into_iter()
            .flatten()
            .min();
        for (severity, n) in tenant.active_findings().await? {
            *findings.entry(severity).or_default() += n;
        }
        size += tenant.ledger_state().await?.map_or(0, |state| state.size);
        pending += tenant.pending_audit_count().await?;
    }
    for (word, n) in [
        ("queued", queue.queued),
        ("running", queue.running),
        ("failed", queue.failed),
    ] {
        metrics::gauge!(JOBS, "state" => word).set(float(n));
    }
    metrics::gauge!(QUEUE_DEPTH).set(float(queue.queued));
    let age = queue.oldest_queued.map_or(0, |oldest| {
        (state.now().micros() - oldest).max(0) / 1_000_000
    });
    metrics::gauge!(QUEUE_AGE_SECONDS).set(float(age.unsigned_abs()));
    for severity in Severity::ALL {
        let n = findings.get(&severity).copied().unwrap_or_default();
        metrics::gauge!(FINDINGS, "severity" => severity.word()).set(float(n));
    }
    metrics::gauge!(LEDGER_SIZE).set(float(size));
    metrics::gauge!(LEDGER_PENDING).set(float(pending));
    Ok(())
}

/// A count as a gauge's value; exact up to 2^53.
#[allow(clippy::cast_precision_loss, reason = "gauges are doubles")]
fn float(n: u64) -> f64 {
    n as f64
}
