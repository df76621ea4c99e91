//! Keys: the public set for everyone, list and rotation for administrators.

use super::view::Items;
use crate::auth::Caller;
use crate::error::{ApiResult, Problem};
use crate::extract::Json;
use crate::route;
use crate::route::Route;
use crate::state::AppState;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bartizan_ledger::keys::KeyInfo;
use bartizan_model::{TenantId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![
        route!(Public, get_jwks),
        route!(Public, get_well_known_jwks).at_root(),
        route!(Admin, list_keys),
        route!(Admin, rotate_keys),
    ]
}

/// The public keys: those of attestations, and those of checkpoints, marked as such.
#[utoipa::path(get, path = "/jwks", tag = "keys", operation_id = "getJwks",
    responses((status = 200, body = serde_json::Value, content_type = "application/jwk-set+json")))]
pub(crate) async fn get_jwks(State(state): State<AppState>) -> Response {
    jwks(&state)
}

/// The public keys, at the address where verifiers look.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "keys",
    operation_id = "getWellKnownJwks",
    responses((status = 200, body = serde_json::Value, content_type = "application/jwk-set+json")))]
pub(crate) async fn get_well_known_jwks(State(state): State<AppState>) -> Response {
    jwks(&state)
}

fn jwks(state: &AppState) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/jwk-set+json"),
        (header::CACHE_CONTROL, "public, max-age=300"),
    ];
    (headers, state.work.keys.ring().jwks().to_json()).into_response()
}

/// What is public about a key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
pub(crate) struct KeyView {
    kid: String,
    alg: &'static str,
    /// The log whose checkpoints it signs; null for a key of attestations.
    log_origin: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    retired: Option<Timestamp>,
    /// Whether it signs.
    active: bool,
}

impl From<&KeyInfo> for KeyView {
    fn from(key: &KeyInfo) -> Self {
        Self {
            kid: key.kid.clone(),
            alg: key.alg.name(),
            log_origin: key.log_origin.clone(),
            created: key.created,
            retired: key.retired,
            active: key.retired.is_none(),
        }
    }
}

/// List the keys of the installation.
#[utoipa::path(get, path = "/keys", tag = "keys", operation_id = "listKeys",
    responses((status = 200, body = Items<KeyView>)))]
pub(crate) async fn list_keys(
    State(state): State<AppState>,
    caller: Caller,
) -> ApiResult<Json<Items<KeyView>>> {
    let ring = state.work.keys.ring();
    let own = state.work.keys.origin(&caller.tenant);
    // Another tenant's log is not this one's business.
    let items = ring
        .list()
        .into_iter()
        .filter(|key| key.log_origin.as_ref().is_none_or(|origin| *origin == own))
        .map(KeyView::from)
        .collect();
    Ok(Json(Items { items }))
}

/// Retire the keys of attestations and make new ones; old tokens go on verifying.
#[utoipa::path(post, path = "/keys/rotate", tag = "keys", operation_id = "rotateKeys",
    responses((status = 201, body = Items<KeyView>)))]
pub(crate) async fn rotate_keys(
    State(state): State<AppState>,
    caller: Caller,
) -> ApiResult<(StatusCode, Json<Items<KeyView>>)> {
    if caller.tenant != TenantId::default_tenant() {
        return Err(Problem::forbidden(
            "not_your_keys",
            "The keys belong to the installation. Ask an administrator of the default tenant.",
        ));
    }
    state
        .work
        .keys
        .rotate(&state.act(caller.actor()))
        .await
        .map_err(Problem::internal)?;
    state.work.nudge();
    let items = list_keys(State(state), caller).await?;
    Ok((StatusCode::CREATED, items))
}
