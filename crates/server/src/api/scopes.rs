//! Scopes: what is scored and attested as one.

use super::view::{BySeverity, Items};
use crate::auth::Caller;
use crate::error::{ApiResult, Problem};
use crate::extract::{Json, Path, Query};
use crate::route;
use crate::route::Route;
use crate::state::AppState;
use axum::extract::State;
use axum::http::StatusCode;
use bartizan_model::{ScopeId, Severity, Timestamp};
use bartizan_store::scans::{LastScan, ScopeRow};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![
        route!(Viewer, list_scopes),
        route!(Admin, archive_scope),
        route!(Admin, delete_scope).time_limit(std::time::Duration::from_secs(300)),
    ]
}

/// The newest scan of a scope.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LastScan)]
pub(crate) struct LastScanView {
    id: String,
    source: String,
    #[schema(value_type = String, format = DateTime)]
    finished: Timestamp,
    complete: bool,
}

impl From<LastScan> for LastScanView {
    fn from(scan: LastScan) -> Self {
        Self {
            id: scan.id.into(),
            source: scan.source,
            finished: scan.finished,
            complete: scan.complete,
        }
    }
}

/// A scope.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Scope)]
pub(crate) struct ScopeView {
    /// `kind:name`.
    id: String,
    /// `cluster`, `host` or `repository`.
    kind: &'static str,
    name: String,
    archived: bool,
    last_scan: Option<LastScanView>,
    findings_active: BySeverity,
}

impl From<ScopeRow> for ScopeView {
    fn from(row: ScopeRow) -> Self {
        Self {
            id: row.id.into(),
            kind: row.scope.kind.word(),
            name: row.scope.name,
            archived: row.archived,
            last_scan: row.last_scan.map(LastScanView::from),
            findings_active: by_severity(&row.findings_active),
        }
    }
}

/// Counts with a place for each severity.
pub(crate) fn by_severity(counts: &BTreeMap<Severity, u64>) -> BySeverity {
    let mut all = BySeverity::default();
    for (severity, n) in counts {
        *all.slot(*severity) = *n;
    }
    all
}

/// Which scopes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ScopeQuery {
    /// Archived ones, too.
    #[serde(default)]
    include_archived: bool,
}

/// List the scopes.
#[utoipa::path(get, path = "/scopes", tag = "scopes", operation_id = "listScopes",
    params(ScopeQuery), responses((status = 200, body = Items<ScopeView>)))]
pub(crate) async fn list_scopes(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<ScopeQuery>,
) -> ApiResult<Json<Items<ScopeView>>> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let rows = tenant.scopes(query.include_archived).await?;
    let items = rows.into_iter().map(ScopeView::from).collect();
    Ok(Json(Items { items }))
}

/// What to change of a scope.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ArchiveScope {
    /// Hidden from lists and overview, or shown again.
    archived: bool,
}

/// Archive a scope, or bring it back.
#[utoipa::path(patch, path = "/scopes/{id}", tag = "scopes", operation_id = "archiveScope",
    params(("id" = String, Path, description = "Percent-encoded `kind:name`")),
    request_body = ArchiveScope, responses((status = 200, body = ScopeView)))]
pub(crate) async fn archive_scope(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    Json(change): Json<ArchiveScope>,
) -> ApiResult<Json<ScopeView>> {
    let id = ScopeId::new(id)?;
    let tenant = state.store.tenant(&caller.tenant).await?;
    let act = state.act(caller.actor());
    tenant.archive_scope(&id, change.archived, &act).await?;
    state.work.nudge();
    let row = tenant.scope(&id).await?;
    row.map(|row| Json(row.into()))
        .ok_or_else(|| Problem::not_found(format_args!("scope {id}")))
}

/// Delete a scope with its results, findings and observations; the ledger keeps the fact.
#[utoipa::path(delete, path = "/scopes/{id}", tag = "scopes", operation_id = "deleteScope",
    params(("id" = String, Path, description = "Percent-encoded `kind:name`")),
    responses((status = 204)))]
pub(crate) async fn delete_scope(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> ApiResult<StatusCode> {
    let id = ScopeId::new(id)?;
    let tenant = state.store.tenant(&caller.tenant).await?;
    tenant.delete_scope(&id, &state.act(caller.actor())).await?;
    state.work.nudge();
    Ok(StatusCode::NO_CONTENT)
}
