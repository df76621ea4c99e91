//! Checks: the questions that were asked, and how the answers add up.

use super::view::{Items, SeverityWord, TallyView, optional};
use crate::auth::Caller;
use crate::error::ApiResult;
use crate::extract::{Json, Query};
use crate::route;
use crate::route::Route;
use crate::state::AppState;
use axum::extract::State;
use bartizan_model::framework::CheckTally;
use bartizan_model::{Check, ScopeId, Severity};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![route!(Viewer, list_checks)]
}

/// A check.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Check)]
pub(crate) struct CheckView {
    /// `engine/content/rule`.
    uid: String,
    title: String,
    #[schema(value_type = SeverityWord)]
    severity: Severity,
    description: String,
    remediation: String,
    references: Vec<String>,
    tally: TallyView,
}

impl From<(Check, CheckTally)> for CheckView {
    fn from((check, tally): (Check, CheckTally)) -> Self {
        Self {
            uid: check.uid.into(),
            title: check.title,
            severity: check.severity,
            description: check.description,
            remediation: check.remediation,
            references: check.references,
            tally: TallyView::from(&tally),
        }
    }
}

/// Which checks.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CheckQuery {
    /// Those that judged something in one scope.
    scope: Option<String>,
}

/// List checks with their tallies.
#[utoipa::path(get, path = "/checks", tag = "checks", operation_id = "listChecks",
    params(CheckQuery), responses((status = 200, body = Items<CheckView>)))]
pub(crate) async fn list_checks(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<CheckQuery>,
) -> ApiResult<Json<Items<CheckView>>> {
    let scope: Option<ScopeId> = optional("scope", query.scope.as_deref())?;
    let tenant = state.store.tenant(&caller.tenant).await?;
    let checks = tenant.checks(scope.as_ref()).await?;
    let items = checks.into_iter().map(CheckView::from).collect();
    Ok(Json(Items { items }))
}
