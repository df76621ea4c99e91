//! How far the feeds are, as metrics: lag, dead letters, ages.

use super::{Config, GROUP};
use crate::metrics::{CVE_DEAD_LETTERS, CVE_FEED_AGE_SECONDS, CVE_LAG};
use crate::state::AppState;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often they are asked for.
const EVERY: Duration = Duration::from_secs(15);

/// Runs until `shutdown`.
pub(super) async fn run(state: AppState, config: Config, shutdown: CancellationToken) {
    loop {
        refresh(&state, &config).await;
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

async fn refresh(state: &AppState, config: &Config) {
    let stream = Arc::clone(&config.stream);
    let asked = tokio::task::spawn_blocking(move || (stream.lag(GROUP), stream.dead_count())).await;
    if let Ok((lag, dead)) = asked {
        match lag {
            Ok(lag) => metrics::gauge!(CVE_LAG, "group" => GROUP).set(float(lag)),
            Err(error) => tracing::warn!(%error, "the lag is not known"),
        }
        if let Ok(dead) = dead {
            metrics::gauge!(CVE_DEAD_LETTERS).set(float(dead));
        }
    }
    match state.store.vulnerabilities().feeds().await {
        Ok(feeds) => {
            let now = state.now().micros();
            for feed in feeds {
                // A feed that never succeeded is as old as time: an alert of its age must see it.
                let since = feed.succeeded.map_or(0, |at| at.micros());
                let age = (now - since).max(0) / 1_000_000;
                metrics::gauge!(CVE_FEED_AGE_SECONDS, "source" => feed.name)
                    .set(float(age.unsigned_abs()));
            }
        }
        Err(error) => tracing::warn!(%error, "the feeds' ages are not known"),
    }
}

/// A count as a gauge's value; exact up to 2^53.
#[allow(clippy::cast_precision_loss, reason = "gauges are doubles")]
fn float(n: u64) -> f64 {
    n as f64
}
