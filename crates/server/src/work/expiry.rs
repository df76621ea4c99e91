//! What the clock alone changes: acceptances and verdicts end, unsigned tokens get signed,
//! the day's scores are noted.

use super::{attest, scores};
use crate::state::{AppState, random_bytes};
use bartizan_model::Timestamp;
use bartizan_store::audit::AuditFilter;
use bartizan_store::records::AssessmentRow;
use bartizan_store::{PageRequest, StoreError, TenantStore};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the clock is looked at.
const TICK: Duration = Duration::from_secs(20);
/// Ticks between two scorings of everything: about an hour.
const SCORE_EVERY: u32 = 180;

/// A person's verdict has ended.
const ASSESSMENT_EXPIRED: &str = "assessment.expired";

/// The recorded ends of verdicts that this process knows of, by the verdict's entry.
pub type Ended = BTreeSet<String>;

/// Runs until `shutdown`.
pub async fn run(state: AppState, shutdown: CancellationToken) {
    let mut tick: u32 = 0;
    let mut ended = Ended::new();
    loop {
        if let Err(error) = state.work.keys.refresh().await {
            tracing::warn!(%error, "the keyring could not be read again");
        }
        if let Err(error) = once(&state, &mut ended, tick.is_multiple_of(SCORE_EVERY)).await {
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
pub async fn once(state: &AppState, ended: &mut Ended, score: bool) -> Result<(), StoreError> {
    for id in state.store.tenants().await? {
        let tenant = state.store.tenant(&id).await?;
        let acceptances = expire_acceptances(state, &tenant).await?;
        let verdicts = expire_assessments(state, &tenant, ended).await?;
        let ended = acceptances || verdicts;
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

/// Records the end of verdicts; says whether any ended. Scores heed the end by themselves.
async fn expire_assessments(
    state: &AppState,
    tenant: &TenantStore,
    ended: &mut Ended,
) -> Result<bool, StoreError> {
    let now = state.now();
    let mut any = false;
    for scope in tenant.scopes(true).await? {
        for entry in state.work.content.all() {
            let rows = tenant
                .assessments(&scope.id, &entry.framework.id, None)
                .await?;
            for row in rows {
                if row.assessment.expires <= now && ended.insert(row.entry_id.clone()) {
                    any |= record_end(state, tenant, &row, now).await?;
                }
            }
        }
    }
    Ok(any)
}

/// Records one end, unless an earlier process did.
async fn record_end(
    state: &AppState,
    tenant: &TenantStore,
    row: &AssessmentRow,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let recorded = AuditFilter {
        action: Some(ASSESSMENT_EXPIRED.to_owned()),
        subject: Some(row.entry_id.clone()),
        ..AuditFilter::default()
    };
    let page = PageRequest {
        cursor: None,
        limit: 1,
    };
    if !tenant.audit(&recorded, &page).await?.items.is_empty() {
        return Ok(false);
    }
    let assessment = &row.assessment;
    let detail = json!({
        "framework": assessment.framework,
        "control": assessment.control,
        "scope": assessment.scope,
        "expired": assessment.expires,
        "noticed": now,
    });
    tenant
        .append_audit(
            &state.act("system"),
            ASSESSMENT_EXPIRED,
            &row.entry_id,
            detail,
        )
        .await?;
    Ok(true)
}

/// Reopens findings whose acceptance has ended; says whether there were any.
async fn expire_acceptances(state: &AppState, tenant: &TenantStore) -> Result<bool, StoreError> {
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
