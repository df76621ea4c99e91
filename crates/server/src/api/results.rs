//! Results: the current verdict of each check on each subject, passes and unknowns too.

use super::view::{AssetView, OutcomeWord, Page, bad_field, optional, page_size};
use crate::auth::Caller;
use crate::error::ApiResult;
use crate::extract::{Json, Query};
use crate::route;
use crate::route::Route;
use crate::state::AppState;
use axum::extract::State;
use bartizan_store::PageRequest;
use bartizan_store::scans::{ResultFilter, ResultRow};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![route!(Viewer, list_results)]
}

/// The current verdict of a check on a subject.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Result)]
pub(crate) struct ResultView {
    scope: String,
    check: String,
    asset: AssetView,
    /// Where within the asset, such as `container:web`.
    locus: String,
    #[schema(value_type = OutcomeWord)]
    outcome: &'static str,
    /// Why it is not applicable or unknown.
    why: Option<String>,
    message: String,
    /// The scan that last changed it.
    scan: String,
}

impl From<ResultRow> for ResultView {
    fn from(row: ResultRow) -> Self {
        Self {
            scope: row.scope.into(),
            check: row.check.into(),
            asset: AssetView::from(row.asset),
            locus: row.locus,
            outcome: row.outcome.word(),
            why: row.outcome.why().map(str::to_owned),
            message: row.message,
            scan: row.scan.into(),
        }
    }
}

/// Which results.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ResultQuery {
    scope: Option<String>,
    check: Option<String>,
    /// `pass`, `fail`, `not_applicable` or `unknown`.
    outcome: Option<String>,
    /// An asset's uid.
    asset: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

/// List current results.
#[utoipa::path(get, path = "/results", tag = "results", operation_id = "listResults",
    params(ResultQuery), responses((status = 200, body = Page<ResultView>)))]
pub(crate) async fn list_results(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<ResultQuery>,
) -> ApiResult<Json<Page<ResultView>>> {
    let outcome = query.outcome.filter(|word| !word.is_empty());
    if outcome
        .as_deref()
        .is_some_and(|word| !["pass", "fail", "not_applicable", "unknown"].contains(&word))
    {
        return Err(bad_field(
            "outcome",
            "it is not one of pass, fail, not_applicable, unknown.",
        ));
    }
    let filter = ResultFilter {
        scope: optional("scope", query.scope.as_deref())?,
        check: optional("check", query.check.as_deref())?,
        outcome,
        asset: optional("asset", query.asset.as_deref())?,
    };
    let page = PageRequest {
        cursor: query.cursor,
        limit: page_size(query.limit)?,
    };
    let tenant = state.store.tenant(&caller.tenant).await?;
    let results = tenant.results(&filter, &page).await?;
    Ok(Json(Page::of(results, ResultView::from)))
}
