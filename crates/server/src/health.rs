//! Whether the process lives and whether it can serve.

use crate::error::Problem;
use crate::extract::Json;
use crate::state::AppState;
use crate::work::Work;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

/// Entries may wait this long for the sequencer before the process counts as not ready.
const MAX_LAG_SECONDS: u64 = 60;

/// An answer of the health routes.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`.
    pub status: &'static str,
    /// The version of this binary.
    pub version: &'static str,
}

impl Health {
    const OK: Self = Self {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
    };
}

/// The process lives.
#[utoipa::path(get, path = "/healthz", tag = "operations", responses((status = 200, body = Health)))]
pub(crate) async fn healthz() -> Json<Health> {
    Json(Health::OK)
}

/// The process can serve: the database answers and the sequencer keeps up.
#[utoipa::path(get, path = "/readyz", tag = "operations", responses((status = 200, body = Health)))]
pub(crate) async fn readyz(State(state): State<AppState>) -> Result<Json<Health>, Problem> {
    if let Err(error) = state.store.ping().await {
        tracing::warn!(%error, "not ready: the database does not answer");
        return Err(Problem::unavailable(
            "no_database",
            "The database does not answer. See the server's log; it is tried again on each request.",
            5,
        ));
    }
    match Work::sequencer_lag(&state).await {
        Some(lag) if lag > MAX_LAG_SECONDS => Err(Problem::unavailable(
            "sequencer_behind",
            format!("The ledger's sequencer is {lag} s behind. See the server's log for why."),
            5,
        )),
        _ => Ok(Json(Health::OK)),
    }
}
