//! What the clock alone changes: acceptances and verdicts end, unsigned tokens get signed,
//! the day's scores are noted.

use super::{attest, scores};
use crate::state::{AppState, random_bytes};
use bartizan_store::{PageRequest, StoreError, TenantStore};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the clock is looked at.
const TICK: Duration = Duration::from_secs(20);
/// Ticks between two scorings of everything: about an hour.
const SCORE_EVERY: u32 = 180;

/// Runs until `shutdown`.
pub async fn run(state: AppState, shutdown: CancellationToken) {
    let mut tick: u32 = 0;
    loop {
        if let Err(error) = state.work.keys.refresh().await {
            tracing::warn!(%error, "the keyring could not be read again");
        }
        if let Err(error) = once(&state, tick.is_multiple_of(SCORE_EVERY)).await {
            tracing::warn!(%error, "expiries could not be looked at");
        }
        tick = tick.wrapping_add(1);
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// One look at every tenant; with `score`, at all scores too.
pub async fn once(state: &AppState, score: bool) -> Result<(), StoreError> {
    for id in state.store.tenants().await? {
        let tenant = state.store.tenant(&id).await?;
        let ended = expire(state, &tenant).await?;
        if ended || score {
            scores::rescore_tenant(state, &tenant).await?;
        }
        if ended {
            state.work.nudge();
        }
        sign_late(state, &tenant).await?;
    }
    Ok(())
}

/// Ends what has ended; says whether anything did.
async fn expire(state: &AppState, tenant: &TenantStore) -> Result<bool, StoreError> {
    let random = state.random.clone();
    let mut salts = move || random_bytes::<32>(random.as_ref());
    let now = state.now();
    let findings = tenant.expire_acceptances(now, &mut salts).await?;
    if findings > 0 {
        tracing::info!(tenant = %tenant.id(), findings, "acceptances ended");
    }
    Ok(findings > 0)
}

/// Signs the newest attestations that wait for their token.
async fn sign_late(state: &AppState, tenant: &TenantStore) -> Result<(), StoreError> {
    let newest = tenant.attestations(None, &PageRequest::default()).await?;
    for row in newest.items {
        if row.token.is_some() {
            continue;
        }
        if let Err(error) = attest::complete(state, tenant, &row.attestation.id).await {
            tracing::warn!(id = %row.attestation.id, %error, "an attestation stays unsigned");
        }
    }
    Ok(())
}
