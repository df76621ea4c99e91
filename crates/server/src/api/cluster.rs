//! The continuous audit of a cluster, as it stands.

use crate::audit::Status;
use crate::auth::Caller;
use crate::error::{ApiResult, Problem};
use crate::extract::Json;
use crate::route;
use crate::route::Route;
use crate::state::AppState;
use axum::extract::State;
use bartizan_model::TenantId;

/// How the audit of the cluster stands: what is known, what is due, what each constraint found.
#[utoipa::path(get, path = "/cluster", tag = "admission", operation_id = "getClusterAudit",
    responses((status = 200, body = Status), (status = 404, description = "No cluster is audited here")))]
pub(crate) async fn get_cluster_audit(
    State(state): State<AppState>,
    caller: Caller,
) -> ApiResult<Json<Status>> {
    let status = state.work.audit.get();
    // The cluster is the default tenant's.
    let ours = caller.tenant == TenantId::default_tenant();
    status
        .filter(|_| ours)
        .map(Json)
        .ok_or_else(|| Problem::not_found("an audit of a cluster"))
}

/// Routes of this module.
pub fn routes() -> Vec<Route> {
    vec![route!(Viewer, get_cluster_audit)]
}
