//! Attestations: evidence first, then the ledger entry, then, once that is provable, the
//! signed token.
//!
//! Each step is stored before the next begins. A token that could not be signed in time, or
//! because the process died, is signed later by [`complete`].

use super::proof::{self, ProveError};
use super::scores;
use crate::error::{ApiResult, Problem};
use crate::state::AppState;
use bartizan_ledger::attest::{self, IssueError, LedgerProof};
use bartizan_ledger::json::{self, JsonError};
use bartizan_ledger::keys::{Algorithm, KeyError};
use bartizan_model::framework::CheckTally;
use bartizan_model::{Attestation, AttestationId, Digest, ScopeId, Timestamp};
use bartizan_posture::FrameworkPosture;
use bartizan_store::records::{AssessmentRow, AttestationRow};
use bartizan_store::scans::ScanRow;
use bartizan_store::{StoreError, TenantStore};
use bytes::Bytes;
use serde_json::{Value, json};
use std::time::Duration;

/// How long a request waits for the sequencer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Days that an attestation counts when nothing is said.
pub const DEFAULT_DAYS: u32 = 90;
/// Days that it counts at most.
pub const MAX_DAYS: u32 = 825;

/// Why a token cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum CompleteError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The proof.
    #[error(transparent)]
    Prove(#[from] ProveError),
    /// The keys.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The claims and the logged entry do not fit together: a bug, or damage.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The stored algorithm is not one that this version knows.
    #[error("the stored algorithm {0:?} is not known")]
    Algorithm(String),
}

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Order {
    /// Of which scope.
    pub scope: ScopeId,
    /// Against which framework.
    pub framework: String,
    /// How long it counts.
    pub valid_days: u32,
    /// How it is signed.
    pub alg: Algorithm,
}

/// Issues an attestation and waits until its token is signed.
pub async fn issue(
    state: &AppState,
    tenant: &TenantStore,
    actor: &str,
    order: &Order,
) -> ApiResult<AttestationRow> {
    let entry = state
        .work
        .content
        .get(&order.framework)
        .ok_or_else(|| Problem::not_found(format_args!("framework {:?}", order.framework)))?;
    if tenant.scope(&order.scope).await?.is_none() {
        return Err(Problem::not_found(format_args!("scope {}", order.scope)));
    }
    let act = state.act(actor);
    let tallies = tenant.tallies(&order.scope).await?;
    if tallies.is_empty() {
        return Err(Problem::conflict(
            "nothing_to_attest",
            format!(
                "No scan of {} has said anything yet. Scan it, then attest.",
                order.scope
            ),
        ));
    }
    let (posture, assessments) =
        scores::standing(tenant, entry, &order.scope, &tallies, act.at).await?;
    let scans = tenant.current_scans(&order.scope).await?;
    let evidence = evidence(
        tenant,
        order,
        &entry.digest,
        &posture,
        &tallies,
        &scans,
        &assessments,
        act.at,
    )
    .map_err(Problem::internal)?;
    let digest = Digest::of(&evidence);
    let bytes = Bytes::from(evidence.clone());
    let body = futures::stream::iter([Ok::<_, StoreError>(bytes)]);
    tenant
        .objects()
        .put_artifact(body, u64::MAX, Some(&digest))
        .await?;
    let evidence = String::from_utf8(evidence).map_err(Problem::internal)?;
    let attestation = Attestation {
        id: AttestationId::new(format!("att-{}", uuid::Uuid::now_v7()))?,
        tenant: tenant.id().clone(),
        scope: order.scope.clone(),
        framework: entry.framework.id.clone(),
        framework_version: entry.framework.version.clone(),
        framework_digest: entry.digest.clone(),
        counts: posture.counts,
        score: posture.score,
        coverage: posture.coverage,
        evidence_digest: digest,
        issued: act.at,
        expires: act.at.plus_seconds(i64::from(order.valid_days) * 86_400),
    };
    let issuer = state.config.public_url();
    // What could not be issued must not be recorded.
    attest::audit_entry(&issuer, &attestation, actor).map_err(Problem::internal)?;
    let kid = {
        let ring = state.work.keys.ring();
        let key = ring.active(order.alg).map_err(Problem::internal)?;
        key.info().kid.clone()
    };
    tenant
        .add_attestation(&attestation, order.alg.name(), &kid, &evidence, &act)
        .await?;
    state.work.nudge();
    wait(state, tenant, &attestation.id).await
}

/// Waits until the token is there, signing it as soon as the entry is provable.
async fn wait(
    state: &AppState,
    tenant: &TenantStore,
    id: &AttestationId,
) -> ApiResult<AttestationRow> {
    let signed = async {
        let mut pause = Duration::from_millis(10);
        loop {
            match complete(state, tenant, id).await {
                Ok(Some(row)) => return Ok(row),
                Ok(None) => {}
                Err(error) => return Err(Problem::internal(error)),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    };
    tokio::time::timeout(PATIENCE, signed).await.map_err(|_| {
        Problem::unavailable(
            "not_in_the_ledger_yet",
            format!(
                "The attestation {id} is recorded, but its ledger entry has no proof yet. \
                 Fetch its token in a moment."
            ),
            5,
        )
    })?
}

/// Signs the token of a recorded attestation if it has none and its entry is provable.
/// Gives the row with its token, or nothing while the entry waits.
pub async fn complete(
    state: &AppState,
    tenant: &TenantStore,
    id: &AttestationId,
) -> Result<Option<AttestationRow>, CompleteError> {
    let Some(row) = tenant.attestation(id).await? else {
        return Err(StoreError::NotFound {
            what: "attestation",
            id: id.to_string(),
        }
        .into());
    };
    if row.token.is_some() {
        return Ok(Some(row));
    }
    let Some(entry) = tenant.audit_entry(&row.entry_id).await? else {
        return Ok(None);
    };
    let Some(proven) = proof::prove(tenant, &state.work.keys, &entry).await? else {
        return Ok(None);
    };
    let alg =
        Algorithm::parse(&row.alg).ok_or_else(|| CompleteError::Algorithm(row.alg.clone()))?;
    let proof = LedgerProof {
        checkpoint: proven.proof.checkpoint,
        index: proven.proof.index,
        salt: proven.salt,
        body: proven.body.unwrap_or_default(),
        path: proven.proof.path,
    };
    let issuer = state.config.public_url();
    let token = {
        let ring = state.work.keys.ring();
        attest::issue(&issuer, &row.attestation, &proof, ring.active(alg)?)?
    };
    tenant.set_attestation_token(id, &token).await?;
    // Read again: when two signed at once, the first token stays.
    Ok(tenant
        .attestation(id)
        .await?
        .filter(|row| row.token.is_some()))
}

/// The evidence document as canonical JSON: what was judged, by what, and how it came out.
#[allow(clippy::too_many_arguments, reason = "a document has many parts")]
fn evidence(
    tenant: &TenantStore,
    order: &Order,
    framework_digest: &Digest,
    posture: &FrameworkPosture,
    tallies: &[CheckTally],
    scans: &[ScanRow],
    assessments: &[AssessmentRow],
    at: Timestamp,
) -> Result<Vec<u8>, JsonError> {
    let controls: Vec<Value> = posture
        .controls
        .iter()
        .map(|control| {
            json!({
                "id": control.id,
                "status": control.status,
                "why": control.why,
                "tally": control.tally,
                "checks": control.checks,
            })
        })
        .collect();
    let scans: Vec<Value> = scans
        .iter()
        .map(|scan| {
            json!({
                "id": scan.id,
                "source": scan.source,
                "source_version": scan.source_version,
                "complete": scan.complete,
                "finished": scan.finished,
                "artifact": scan.artifact,
                "content": scan.content,
            })
        })
        .collect();
    let assessments: Vec<Value> = assessments
        .iter()
        .map(|row| {
            json!({
                "assessment": row.assessment,
                "entry_id": row.entry_id,
                "counts": row.assessment.expires > at,
            })
        })
        .collect();
    json::canonical(&json!({
        "format": "bartizan.evidence",
        "version": 1,
        "tenant": tenant.id(),
        "scope": order.scope,
        "at": at,
        "framework": {
            "id": posture.framework,
            "title": posture.title,
            "version": posture.version,
            "digest": framework_digest,
        },
        "score": posture.score,
        "coverage": posture.coverage,
        "counts": posture.counts,
        "controls": controls,
        "checks": tallies,
        "scans": scans,
        "assessments": assessments,
    }))
}
