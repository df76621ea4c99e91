//! Admission decisions: a list, and a live stream.

use crate::auth::Caller;
use crate::error::{ApiResult, Problem};
use crate::extract::{Json, Query};
use crate::route;
use crate::route::Route;
use crate::state::AppState;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use bartizan_model::{TenantId, Timestamp};
use bartizan_store::PageRequest;
use bartizan_store::decisions::{DecisionFilter, DecisionRow};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use utoipa::{IntoParams, ToSchema};

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![
        route!(Viewer, list_decisions),
        route!(Viewer, stream_decisions),
    ]
}

/// An admission decision.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Decision)]
pub(crate) struct DecisionView {
    /// Its place in the record.
    seq: i64,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The request's uid.
    request: String,
    operation: String,
    group: String,
    kind: String,
    namespace: String,
    name: String,
    user: String,
    /// `allowed`, `denied`, `unknown` or `excluded`.
    outcome: String,
    /// Whether the API server was told to go on.
    allowed: bool,
    dry_run: bool,
    /// From arrival to answer.
    micros: u64,
    /// The digest of the policies that judged.
    policies: String,
    /// Violations and what could not be told: policy, constraint, message, path, value,
    /// remedy.
    #[schema(value_type = Vec<Object>)]
    reasons: Vec<Value>,
}

impl From<DecisionRow> for DecisionView {
    fn from(row: DecisionRow) -> Self {
        let d = row.decision;
        Self {
            seq: row.seq,
            at: d.at,
            request: d.request,
            operation: d.operation,
            group: d.group,
            kind: d.kind,
            namespace: d.namespace,
            name: d.name,
            user: d.user,
            outcome: d.outcome,
            allowed: d.allowed,
            dry_run: d.dry_run,
            micros: d.micros,
            policies: d.policies,
            reasons: d.reasons,
        }
    }
}

/// A page of decisions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DecisionPage {
    items: Vec<DecisionView>,
    next_cursor: Option<String>,
}

/// Which decisions.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DecisionQuery {
    /// `allowed`, `denied`, `unknown` or `excluded`.
    outcome: Option<String>,
    namespace: Option<String>,
    kind: Option<String>,
    name: Option<String>,
    user: Option<String>,
    cursor: Option<String>,
    /// 1 to 1,000; 50 by default.
    limit: Option<u32>,
}

/// List admission decisions, newest first.
#[utoipa::path(get, path = "/decisions", tag = "admission", operation_id = "listDecisions",
    params(DecisionQuery), responses((status = 200, body = DecisionPage)))]
pub(crate) async fn list_decisions(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<DecisionQuery>,
) -> ApiResult<Json<DecisionPage>> {
    const OUTCOMES: [&str; 4] = ["allowed", "denied", "unknown", "excluded"];
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let outcome = given(query.outcome);
    if outcome
        .as_ref()
        .is_some_and(|o| !OUTCOMES.contains(&o.as_str()))
    {
        return Err(Problem::bad_request(
            "bad_parameter",
            "`outcome` is one of allowed, denied, unknown, excluded.",
        ));
    }
    let filter = DecisionFilter {
        outcome,
        namespace: given(query.namespace),
        kind: given(query.kind),
        name: given(query.name),
        user: given(query.user),
    };
    let page = PageRequest {
        cursor: given(query.cursor),
        limit: query.limit.unwrap_or(50),
    };
    let tenant = state.store.tenant(&caller.tenant).await?;
    let page = tenant.decisions(&filter, &page).await?;
    Ok(Json(DecisionPage {
        items: page.items.into_iter().map(DecisionView::from).collect(),
        next_cursor: page.next_cursor,
    }))
}

/// Watch admission decisions as they are stored: server-sent events `decision`, and `missed`
/// with a number where the watcher was too slow.
#[utoipa::path(get, path = "/decisions/stream", tag = "admission", operation_id = "streamDecisions",
    responses((status = 200, description = "Server-sent events", body = String, content_type = "text/event-stream")))]
pub(crate) async fn stream_decisions(
    State(state): State<AppState>,
    caller: Caller,
) -> ApiResult<impl IntoResponse> {
    if caller.tenant != TenantId::default_tenant() {
        return Err(Problem::not_found("a webhook of this tenant"));
    }
    let watch = state.work.decisions.watch();
    let events = futures::stream::unfold(watch, |(mut receiver, closed)| async move {
        let event = tokio::select! {
            told = receiver.recv() => match told {
                Ok(row) => Event::default()
                    .event("decision")
                    .id(row.seq.to_string())
                    .json_data(DecisionView::from((*row).clone()))
                    .ok()?,
                Err(RecvError::Lagged(n)) => Event::default().event("missed").data(n.to_string()),
                Err(RecvError::Closed) => return None,
            },
            () = closed.cancelled() => return None,
        };
        Some((Ok::<_, Infallible>(event), (receiver, closed)))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}
