//! Scans: what was imported.

use super::view::{Page, optional, page_size};
use crate::auth::Caller;
use crate::error::{ApiResult, Problem};
use crate::extract::{Json, Path, Query};
use crate::route;
use crate::route::Route;
use crate::state::AppState;
use axum::extract::State;
use bartizan_model::{ScanId, ScopeId, Timestamp};
use bartizan_store::PageRequest;
use bartizan_store::scans::{OutcomeCounts, ScanRow};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![route!(Viewer, list_scans), route!(Viewer, get_scan)]
}

/// Results by outcome.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OutcomeCounts)]
pub(crate) struct OutcomeCountsView {
    pass: u64,
    fail: u64,
    not_applicable: u64,
    unknown: u64,
}

impl From<OutcomeCounts> for OutcomeCountsView {
    fn from(counts: OutcomeCounts) -> Self {
        Self {
            pass: counts.pass,
            fail: counts.fail,
            not_applicable: counts.not_applicable,
            unknown: counts.unknown,
        }
    }
}

/// One piece of content that judged.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ContentDigest)]
pub(crate) struct ContentView {
    name: String,
    digest: String,
}

/// An imported scan.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Scan)]
pub(crate) struct ScanView {
    id: String,
    /// What scanned, such as `bartizan/k8s`.
    source: String,
    source_version: String,
    scope: String,
    /// Whether it saw everything; only such a scan closes what it no longer sees.
    complete: bool,
    /// Whether a newer scan had been imported before, so that its results were passed over.
    stale: bool,
    #[schema(value_type = String, format = DateTime)]
    started: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    finished: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    imported: Timestamp,
    counts: OutcomeCountsView,
    /// Digest of the report.
    artifact: String,
    content: Vec<ContentView>,
}

impl From<ScanRow> for ScanView {
    fn from(scan: ScanRow) -> Self {
        Self {
            id: scan.id.into(),
            source: scan.source,
            source_version: scan.source_version,
            scope: scan.scope.into(),
            complete: scan.complete,
            stale: scan.stale,
            started: scan.started,
            finished: scan.finished,
            imported: scan.imported,
            counts: scan.counts.into(),
            artifact: scan.artifact.into(),
            content: scan
                .content
                .into_iter()
                .map(|content| ContentView {
                    name: content.name,
                    digest: content.digest.into(),
                })
                .collect(),
        }
    }
}

/// Which scans.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ScanQuery {
    /// Of one scope.
    scope: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

/// List scans, newest import first.
#[utoipa::path(get, path = "/scans", tag = "scans", operation_id = "listScans",
    params(ScanQuery), responses((status = 200, body = Page<ScanView>)))]
pub(crate) async fn list_scans(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<ScanQuery>,
) -> ApiResult<Json<Page<ScanView>>> {
    let scope: Option<ScopeId> = optional("scope", query.scope.as_deref())?;
    let page = PageRequest {
        cursor: query.cursor,
        limit: page_size(query.limit)?,
    };
    let tenant = state.store.tenant(&caller.tenant).await?;
    let scans = tenant.scans(scope.as_ref(), &page).await?;
    Ok(Json(Page::of(scans, ScanView::from)))
}

/// One scan.
#[utoipa::path(get, path = "/scans/{id}", tag = "scans", operation_id = "getScan",
    params(("id" = String, Path)), responses((status = 200, body = ScanView)))]
pub(crate) async fn get_scan(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> ApiResult<Json<ScanView>> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let scan = tenant.scan(&ScanId::new(&*id)?).await?;
    scan.map(|scan| Json(scan.into()))
        .ok_or_else(|| Problem::not_found(format_args!("scan {id:?}")))
}
