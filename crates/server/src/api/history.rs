//! How a system fared: its scans over time, and what changed between two of them.

use super::scans::OutcomeCountsView;
use super::systems::{known, scope_of};
use super::view::{Items, OutcomeWord, SeverityWord, bad_field, optional, page_size};
use crate::auth::Caller;
use crate::error::{ApiResult, Problem};
use crate::extract::{Json, Path, Query};
use crate::route;
use crate::route::Route;
use crate::state::AppState;
use crate::work::drift::{self, Answer, DriftError, Moved};
use axum::extract::State;
use bartizan_model::{AssetUid, ScanId, ScopeId, Severity, Timestamp};
use bartizan_store::scans::ScanRow;
use bartizan_store::{PageRequest, TenantStore};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// Changes that one answer lists.
const MAX_MOVED: usize = 5_000;

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![
        route!(Viewer, system_history),
        route!(Viewer, system_drift).time_limit(Duration::from_secs(120)),
        route!(Viewer, compare_systems).time_limit(Duration::from_secs(120)),
    ]
}

/// A scan of a system, as history shows it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HistoryPoint {
    /// The scan's id.
    scan: String,
    /// What scanned; scans of one source can be compared.
    source: String,
    #[schema(value_type = String, format = DateTime)]
    finished: Timestamp,
    complete: bool,
    /// Whether a newer scan had been imported before.
    stale: bool,
    counts: OutcomeCountsView,
    /// Names of the content that judged.
    content: Vec<String>,
}

impl From<ScanRow> for HistoryPoint {
    fn from(scan: ScanRow) -> Self {
        Self {
            scan: scan.id.into(),
            source: scan.source,
            finished: scan.finished,
            complete: scan.complete,
            stale: scan.stale,
            counts: scan.counts.into(),
            content: scan.content.into_iter().map(|c| c.name).collect(),
        }
    }
}

/// How much history.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryQuery {
    /// How many scans, 1 to 200.
    limit: Option<u32>,
}

/// The newest scans of a system, oldest of them first.
#[utoipa::path(get, path = "/systems/{id}/history", tag = "systems", operation_id = "systemHistory",
    params(("id" = String, Path), HistoryQuery),
    responses((status = 200, body = Items<HistoryPoint>)))]
pub(crate) async fn system_history(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<HistoryQuery>,
) -> ApiResult<Json<Items<HistoryPoint>>> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let system = known(&tenant, &id).await?;
    let page = PageRequest {
        cursor: None,
        limit: page_size(query.limit)?,
    };
    let scans = tenant.scans(Some(&scope_of(&system.name)?), &page).await?;
    let items = scans
        .items
        .into_iter()
        .rev()
        .map(HistoryPoint::from)
        .collect();
    Ok(Json(Items { items }))
}

/// Which scans to compare.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DriftQuery {
    /// The earlier scan; when absent, the one before `to` of the same source.
    from: Option<String>,
    /// The later scan; when absent, the newest.
    to: Option<String>,
}

/// A rule whose answer changed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DriftItem {
    /// `opened` (it fails and did not), `fixed` (it failed, and was seen not to) or `changed`.
    change: &'static str,
    check: String,
    title: String,
    #[schema(value_type = SeverityWord)]
    severity: Severity,
    /// Where within the system.
    locus: String,
    /// Null when it was not asked.
    #[schema(value_type = Option<OutcomeWord>)]
    before: Option<&'static str>,
    /// Null when it is no longer asked.
    #[schema(value_type = Option<OutcomeWord>)]
    after: Option<&'static str>,
    /// What the later scan says, or why it cannot tell.
    message: String,
}

impl From<Moved> for DriftItem {
    fn from(moved: Moved) -> Self {
        let word = |answer: &Option<Answer>| answer.as_ref().map(|a| a.outcome.word());
        let message = moved.after.as_ref().map(|answer| match &*answer.message {
            "" => answer.outcome.why().unwrap_or_default().to_owned(),
            message => message.to_owned(),
        });
        Self {
            change: moved.change.word(),
            before: word(&moved.before),
            after: word(&moved.after),
            check: moved.check.into(),
            title: moved.title,
            severity: moved.severity,
            locus: moved.locus,
            message: message.unwrap_or_default(),
        }
    }
}

/// What changed between two scans of a system.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Drift)]
pub(crate) struct DriftView {
    /// Null when there is no earlier scan to compare with.
    from: Option<HistoryPoint>,
    to: Option<HistoryPoint>,
    opened: u64,
    fixed: u64,
    changed: u64,
    /// What opened first, the worst first.
    items: Vec<DriftItem>,
    /// Whether there are more than are listed.
    capped: bool,
}

impl DriftView {
    fn of(from: Option<ScanRow>, to: Option<ScanRow>, moved: Vec<Moved>) -> Self {
        let count = |change| moved.iter().filter(|m| m.change == change).count() as u64;
        Self {
            from: from.map(HistoryPoint::from),
            to: to.map(HistoryPoint::from),
            opened: count(drift::Change::Opened),
            fixed: count(drift::Change::Fixed),
            changed: count(drift::Change::Changed),
            capped: moved.len() > MAX_MOVED,
            items: moved
                .into_iter()
                .take(MAX_MOVED)
                .map(DriftItem::from)
                .collect(),
        }
    }
}

/// Compare two scans of a system, rule by rule.
#[utoipa::path(get, path = "/systems/{id}/drift", tag = "systems", operation_id = "systemDrift",
    params(("id" = String, Path), DriftQuery), responses((status = 200, body = DriftView)))]
pub(crate) async fn system_drift(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<DriftQuery>,
) -> ApiResult<Json<DriftView>> {
    let from: Option<ScanId> = optional("from", query.from.as_deref())?;
    let to: Option<ScanId> = optional("to", query.to.as_deref())?;
    let tenant = state.store.tenant(&caller.tenant).await?;
    let system = known(&tenant, &id).await?;
    let (from, to) = pair(&tenant, &scope_of(&system.name)?, from, to).await?;
    let moved = match (&from, &to) {
        (Some(from), Some(to)) => {
            let before = answers(&tenant, from).await?;
            drift::compare(&before, &answers(&tenant, to).await?)
        }
        _ => Vec::new(),
    };
    Ok(Json(DriftView::of(from, to, moved)))
}

/// Compare a system with another, rule by rule: their newest scans by the same content. What
/// fails here and not there is `opened`, what fails there and not here is `fixed`.
#[utoipa::path(get, path = "/systems/{id}/compare/{other}", tag = "systems",
    operation_id = "compareSystems",
    params(("id" = String, Path), ("other" = String, Path)),
    responses((status = 200, body = DriftView)))]
pub(crate) async fn compare_systems(
    State(state): State<AppState>,
    caller: Caller,
    Path((id, other)): Path<(String, String)>,
) -> ApiResult<Json<DriftView>> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let system = known(&tenant, &id).await?;
    let other = known(&tenant, &other).await?;
    let page = PageRequest {
        cursor: None,
        limit: 200,
    };
    let (ours, theirs) = (scope_of(&system.name)?, scope_of(&other.name)?);
    let ours = tenant.scans(Some(&ours), &page).await?.items;
    let theirs = tenant.scans(Some(&theirs), &page).await?.items;
    // The newest of ours to which theirs has one by the same content.
    let shared = ours.into_iter().find_map(|to| {
        let from = theirs.iter().find(|from| from.source == to.source)?;
        Some((from.clone(), to))
    });
    let Some((from, to)) = shared else {
        return Ok(Json(DriftView::of(None, None, Vec::new())));
    };
    let asset = AssetUid::new("host:compared").map_err(Problem::internal)?;
    let before = answers(&tenant, &from).await?.of_one_asset(&asset);
    let after = answers(&tenant, &to).await?.of_one_asset(&asset);
    let moved = drift::compare(&before, &after);
    Ok(Json(DriftView::of(Some(from), Some(to), moved)))
}

async fn answers(tenant: &TenantStore, scan: &ScanRow) -> ApiResult<drift::Answers> {
    let told = drift::answers(tenant, &scan.artifact).await;
    told.map_err(refused)
}

/// The two scans, both of the scope and of one source.
async fn pair(
    tenant: &TenantStore,
    scope: &ScopeId,
    from: Option<ScanId>,
    to: Option<ScanId>,
) -> ApiResult<(Option<ScanRow>, Option<ScanRow>)> {
    let named = async |id: ScanId| {
        let scan = tenant.scan(&id).await?.filter(|scan| scan.scope == *scope);
        scan.ok_or_else(|| {
            Problem::not_found(format_args!("scan {:?} of this system", id.as_str()))
        })
    };
    let page = PageRequest {
        cursor: None,
        limit: 200,
    };
    let recent = tenant.scans(Some(scope), &page).await?.items;
    let to = match to {
        Some(id) => Some(named(id).await?),
        None => recent.first().cloned(),
    };
    let Some(later) = &to else {
        return Ok((None, None));
    };
    let from = match from {
        Some(id) => Some(named(id).await?),
        None => recent
            .iter()
            .skip_while(|scan| scan.id != later.id)
            .skip(1)
            .find(|scan| scan.source == later.source)
            .cloned(),
    };
    if from
        .as_ref()
        .is_some_and(|from| from.source != later.source)
    {
        return Err(bad_field(
            "from",
            "the two scans are of different sources, so that their rules are others.",
        ));
    }
    Ok((from, to))
}

fn refused(error: DriftError) -> Problem {
    match error {
        DriftError::Store(error) => error.into(),
        DriftError::Thread(_) => Problem::internal(error),
        DriftError::Report(_) | DriftError::TooMany => {
            Problem::unprocessable("not_comparable", format!("These scans: {error}."))
        }
    }
}
