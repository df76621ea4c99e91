//! Attestations: issue, list, download, verify.

use super::artifacts::attachment;
use super::view::{LedgerPlace, Page, ScoreView, bad_field, optional, page_size};
use crate::auth::Caller;
use crate::error::{ApiResult, Problem};
use crate::extract::{Json, Path, Query};
use crate::route;
use crate::route::Route;
use crate::state::AppState;
use crate::work::attest::{self, DEFAULT_DAYS, MAX_DAYS, Order};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bartizan_ledger::attest::{Expectations, verify};
use bartizan_ledger::keys::Algorithm;
use bartizan_model::{AttestationId, ScopeId, Timestamp};
use bartizan_store::PageRequest;
use bartizan_store::records::AttestationRow;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![
        route!(Viewer, list_attestations),
        route!(Operator, issue_attestation),
        route!(Viewer, verify_attestation),
        route!(Viewer, get_attestation),
        route!(Viewer, get_token),
        route!(Viewer, get_evidence),
    ]
}

/// An attestation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attestation)]
pub(crate) struct AttestationView {
    id: String,
    scope: String,
    framework: String,
    score: Option<f64>,
    coverage: Option<f64>,
    counts: ScoreView,
    #[schema(value_type = String, format = DateTime)]
    issued: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    expires: Timestamp,
    /// `RS256`, `ES256` or `EdDSA`.
    alg: String,
    /// The key that signed.
    kid: String,
    /// Who asked for it.
    issuer_user: String,
    ledger: LedgerPlace,
    evidence_digest: String,
    /// The audit entry that records it.
    entry_id: String,
}

impl From<AttestationRow> for AttestationView {
    fn from(row: AttestationRow) -> Self {
        let attested = row.attestation;
        Self {
            id: attested.id.into(),
            scope: attested.scope.into(),
            framework: attested.framework.into(),
            score: attested.score,
            coverage: attested.coverage,
            counts: attested.counts.into(),
            issued: attested.issued,
            expires: attested.expires,
            alg: row.alg,
            kid: row.kid,
            issuer_user: row.issuer_user,
            ledger: LedgerPlace::of(row.index),
            evidence_digest: attested.evidence_digest.into(),
            entry_id: row.entry_id,
        }
    }
}

/// Which attestations.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AttestationQuery {
    /// Of one scope.
    scope: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

/// List attestations, newest first.
#[utoipa::path(get, path = "/attestations", tag = "attestations",
    operation_id = "listAttestations", params(AttestationQuery),
    responses((status = 200, body = Page<AttestationView>)))]
pub(crate) async fn list_attestations(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<AttestationQuery>,
) -> ApiResult<Json<Page<AttestationView>>> {
    let scope: Option<ScopeId> = optional("scope", query.scope.as_deref())?;
    let request = PageRequest {
        cursor: query.cursor,
        limit: page_size(query.limit)?,
    };
    let tenant = state.store.tenant(&caller.tenant).await?;
    let page = tenant.attestations(scope.as_ref(), &request).await?;
    Ok(Json(Page::of(page, AttestationView::from)))
}

/// What to attest.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct NewAttestation {
    scope: String,
    framework: String,
    /// 1 to 825; 90 when absent.
    valid_days: Option<u32>,
    /// `RS256` (default), `ES256` or `EdDSA`.
    alg: Option<String>,
}

/// A fresh attestation with its token.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Issued {
    #[serde(flatten)]
    attestation: AttestationView,
    /// The JWT.
    token: String,
}

/// Issue an attestation; waits up to 10 seconds for its proof of inclusion.
#[utoipa::path(post, path = "/attestations", tag = "attestations",
    operation_id = "issueAttestation", request_body = NewAttestation,
    responses((status = 201, body = Issued)))]
pub(crate) async fn issue_attestation(
    State(state): State<AppState>,
    caller: Caller,
    Json(new): Json<NewAttestation>,
) -> ApiResult<(StatusCode, Json<Issued>)> {
    let valid_days = new.valid_days.unwrap_or(DEFAULT_DAYS);
    if !(1..=MAX_DAYS).contains(&valid_days) {
        return Err(bad_field(
            "valid_days",
            format_args!("{valid_days} is not within 1 to {MAX_DAYS}."),
        ));
    }
    let alg = match new.alg.as_deref().filter(|alg| !alg.is_empty()) {
        None => Algorithm::Rs256,
        Some(name) => Algorithm::parse(name)
            .ok_or_else(|| bad_field("alg", "it is not one of RS256, ES256, EdDSA."))?,
    };
    let order = Order {
        scope: ScopeId::new(new.scope.trim())
            .map_err(|error| bad_field("scope", format_args!("{error}.")))?,
        framework: new.framework,
        valid_days,
        alg,
    };
    let tenant = state.store.tenant(&caller.tenant).await?;
    let row = attest::issue(&state, &tenant, &caller.actor(), &order).await?;
    let token = row
        .token
        .clone()
        .ok_or_else(|| Problem::internal("an attestation was given out without its token"))?;
    let issued = Issued {
        attestation: row.into(),
        token,
    };
    Ok((StatusCode::CREATED, Json(issued)))
}

/// One attestation.
#[utoipa::path(get, path = "/attestations/{id}", tag = "attestations",
    operation_id = "getAttestation", params(("id" = String, Path)),
    responses((status = 200, body = AttestationView)))]
pub(crate) async fn get_attestation(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> ApiResult<Json<AttestationView>> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let row = tenant.attestation(&AttestationId::new(&*id)?).await?;
    row.map(|row| Json(row.into()))
        .ok_or_else(|| Problem::not_found(format_args!("attestation {id:?}")))
}

/// Download the token.
#[utoipa::path(get, path = "/attestations/{id}/token", tag = "attestations",
    operation_id = "getAttestationToken", params(("id" = String, Path)),
    responses((status = 200, body = String, content_type = "application/jwt")))]
pub(crate) async fn get_token(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> ApiResult<Response> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let id = AttestationId::new(id)?;
    if tenant.attestation(&id).await?.is_none() {
        return Err(Problem::not_found(format_args!("attestation {id}")));
    }
    // One that could not be signed in time is signed now.
    let row = attest::complete(&state, &tenant, &id)
        .await
        .map_err(Problem::internal)?;
    let token = row.and_then(|row| row.token).ok_or_else(|| {
        Problem::unavailable(
            "not_in_the_ledger_yet",
            "The attestation's ledger entry has no proof yet. Ask again in a moment.",
            2,
        )
    })?;
    let headers = [
        (header::CONTENT_TYPE, "application/jwt".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            attachment(&format!("{id}.jwt")),
        ),
    ];
    Ok((headers, token).into_response())
}

/// Download the evidence document whose digest is attested.
#[utoipa::path(get, path = "/attestations/{id}/evidence", tag = "attestations",
    operation_id = "getAttestationEvidence", params(("id" = String, Path)),
    responses((status = 200, body = serde_json::Value)))]
pub(crate) async fn get_evidence(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> ApiResult<Response> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let id = AttestationId::new(id)?;
    let evidence = tenant
        .attestation_evidence(&id)
        .await?
        .ok_or_else(|| Problem::not_found(format_args!("attestation {id}")))?;
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            attachment(&format!("{id}.evidence.json")),
        ),
    ];
    Ok((headers, evidence).into_response())
}

/// A token to be verified.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct VerifyToken {
    token: String,
}

/// One thing that was checked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VerifiedCheck {
    name: &'static str,
    /// What was not reached did not hold.
    ok: bool,
    detail: String,
}

/// What verification found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Verdict {
    valid: bool,
    checks: Vec<VerifiedCheck>,
    /// What the token says; null unless its signature holds.
    #[schema(value_type = Option<Object>)]
    claims: Option<bartizan_ledger::attest::Claims>,
}

/// Verify a token against this installation's keys, as `bartizan verify` does offline.
#[utoipa::path(post, path = "/attestations/verify", tag = "attestations",
    operation_id = "verifyAttestation", request_body = VerifyToken,
    responses((status = 200, body = Verdict)))]
pub(crate) async fn verify_attestation(
    State(state): State<AppState>,
    _caller: Caller,
    Json(body): Json<VerifyToken>,
) -> ApiResult<Json<Verdict>> {
    let jwks = state.work.keys.ring().jwks();
    let token = body.token.trim();
    let found = verify(token.as_bytes(), &jwks, &Expectations::at(state.now()));
    Ok(Json(Verdict {
        valid: found.valid(),
        checks: found
            .checks
            .into_iter()
            .map(|check| VerifiedCheck {
                name: check.name,
                ok: check.ok,
                detail: check.detail,
            })
            .collect(),
        claims: found.claims,
    }))
}
