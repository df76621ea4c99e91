//! The ledger's public files (C2SP tlog-tiles) and its state.

use crate::auth::Caller;
use crate::error::{ApiResult, Problem};
use crate::extract::{Json, Path};
use crate::route;
use crate::route::Route;
use crate::state::AppState;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bartizan_ledger::TreeHead;
use bartizan_ledger::tiles::Tile;
use bartizan_model::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![
        route!(Viewer, get_ledger),
        route!(Viewer, get_checkpoint),
        route!(Viewer, get_tile),
    ]
}

/// The ledger's state.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Ledger)]
pub(crate) struct LedgerView {
    /// The log's name in its checkpoints.
    origin: String,
    /// Leaves.
    size: u64,
    /// Hexadecimal.
    root: String,
    /// Entries that wait for the sequencer.
    pending: u64,
    /// When the newest checkpoint was signed.
    #[schema(value_type = Option<String>, format = DateTime)]
    checkpoint_at: Option<Timestamp>,
    /// The log's key as a C2SP verifier key.
    public_key: String,
}

/// The ledger's state and key.
#[utoipa::path(get, path = "/ledger", tag = "ledger", operation_id = "getLedger",
    responses((status = 200, body = LedgerView)))]
pub(crate) async fn get_ledger(
    State(state): State<AppState>,
    caller: Caller,
) -> ApiResult<Json<LedgerView>> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let keys = &state.work.keys;
    let origin = keys
        .ensure_log_key(&caller.tenant, state.now())
        .await
        .map_err(Problem::internal)?;
    let key = keys
        .ring()
        .log_verifier(&origin)
        .map_err(Problem::internal)?;
    let pending = tenant.pending_audit_count().await?;
    let stored = tenant.ledger_state().await?;
    Ok(Json(LedgerView {
        size: stored.as_ref().map_or(0, |stored| stored.size),
        root: stored.as_ref().map_or_else(
            || TreeHead::empty().root.hex(),
            |stored| hex::encode(&stored.root),
        ),
        pending,
        checkpoint_at: stored.map(|stored| stored.at),
        public_key: key.to_string(),
        origin,
    }))
}

/// The newest signed checkpoint.
#[utoipa::path(get, path = "/ledger/checkpoint", tag = "ledger", operation_id = "getCheckpoint",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(crate) async fn get_checkpoint(
    State(state): State<AppState>,
    caller: Caller,
) -> ApiResult<Response> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let stored = tenant
        .ledger_state()
        .await?
        .ok_or_else(|| Problem::not_found("checkpoint: nothing has been sequenced"))?;
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((headers, stored.checkpoint).into_response())
}

/// A tile or entry bundle.
#[utoipa::path(get, path = "/ledger/tile/{*path}", tag = "ledger", operation_id = "getTile",
    params(("path" = String, Path, description = "As in tlog-tiles, such as `0/000` or `entries/000.p/5`")),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream")))]
pub(crate) async fn get_tile(
    State(state): State<AppState>,
    caller: Caller,
    Path(path): Path<String>,
) -> ApiResult<Response> {
    let path = format!("tile/{path}");
    // Only what is spelled as a tile is asked of the object store.
    let tile =
        Tile::parse(&path).ok_or_else(|| Problem::not_found(format_args!("tile {path:?}")))?;
    let tenant = state.store.tenant(&caller.tenant).await?;
    let bytes = tenant
        .objects()
        .get_ledger(&tile.to_string())
        .await?
        .ok_or_else(|| Problem::not_found(format_args!("tile {path:?}")))?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        // A tile of a given path never changes.
        (
            header::CACHE_CONTROL,
            "private, max-age=31536000, immutable",
        ),
    ];
    Ok((headers, bytes).into_response())
}
