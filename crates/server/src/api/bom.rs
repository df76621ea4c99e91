//! Bills of materials the way Dependency-Track takes them, for tools that speak to one.

use crate::auth::Caller;
use crate::error::{ApiResult, Problem};
use crate::extract::{Json, Path};
use crate::matching::rows;
use crate::route;
use crate::route::{BodyLimit, Route};
use crate::state::AppState;
use axum::body::Body;
use axum::extract::State;
use bartizan_inventory::{Target, TargetKind, sbom};
use bartizan_model::{Asset, AssetUid, Scope, ScopeKind};
use bartizan_store::components::ComponentAsset;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// The largest request in bytes.
const MAX_BYTES: usize = 96 << 20;

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![
        route!(Operator, put_bom)
            .body_limit(BodyLimit::Upload)
            .time_limit(Duration::from_secs(120)),
        route!(Viewer, get_bom_token),
    ]
}

/// A bill of materials of a project.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BomUpload {
    /// The project's name; it becomes the scope `repository:NAME`.
    #[serde(default)]
    project_name: String,
    /// Its version.
    #[serde(default)]
    project_version: String,
    /// In place of the name.
    #[serde(default)]
    project: String,
    /// CycloneDX or SPDX, in base64.
    bom: String,
}

/// By what to ask how far it is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BomToken {
    token: String,
}

/// Hand in a bill of materials as to Dependency-Track.
///
/// Findings follow as from `POST /components`.
#[utoipa::path(put, path = "/bom", tag = "vulnerabilities", operation_id = "putBom",
    request_body = BomUpload, responses((status = 200, body = BomToken)))]
pub(crate) async fn put_bom(
    State(state): State<AppState>,
    caller: Caller,
    body: Body,
) -> ApiResult<Json<BomToken>> {
    let bad = |why: String| Problem::unprocessable("bad_bom", why);
    let bytes = axum::body::to_bytes(body, MAX_BYTES)
        .await
        .map_err(|_| Problem::too_large(MAX_BYTES as u64))?;
    let upload: BomUpload = serde_json::from_slice(&bytes)
        .map_err(|e| bad(format!("The request does not read: {e}.")))?;
    drop(bytes);
    let name = [upload.project_name, upload.project]
        .into_iter()
        .find(|name| !name.trim().is_empty())
        .ok_or_else(|| bad("`projectName` or `project` says which project it is of.".into()))?;
    let document = STANDARD
        .decode(upload.bom.trim())
        .map_err(|e| bad(format!("`bom` is no base64: {e}.")))?;
    // Parsing is work for a thread of its own.
    let inventory = tokio::task::spawn_blocking(move || sbom::read(&document))
        .await
        .map_err(Problem::internal)?
        .map_err(|e| bad(format!("The bill of materials does not read: {e}.")))?;
    let scope = Scope {
        kind: ScopeKind::Repository,
        name: name.trim().to_owned(),
    }
    .id()?;
    let version = upload.project_version.trim();
    let name = if version.is_empty() {
        name.trim().to_owned()
    } else {
        format!("{}:{version}", name.trim())
    };
    let target = Target {
        uid: AssetUid::kubernetes(&scope, "", "Sbom", "", &name)?,
        kind: TargetKind::Sbom,
        name: name.clone(),
        digest: None,
    };
    let unread = &inventory.unread;
    let asset = ComponentAsset {
        asset: Asset {
            uid: target.uid.clone(),
            kind: "Sbom".to_owned(),
            name,
            namespace: String::new(),
        },
        scope: scope.to_string(),
        source: "bom".to_owned(),
        unread: unread
            .iter()
            .map(|u| format!("{}: {}", u.path, u.why))
            .take(1_000)
            .collect(),
    };
    let components = inventory.retarget(target).components;
    let tenant = state.store.tenant(&caller.tenant).await?;
    tenant
        .replace_components(&asset, &rows(components), state.now())
        .await?;
    state.work.matching.notify_one();
    Ok(Json(BomToken {
        token: uuid::Uuid::now_v7().to_string(),
    }))
}

/// How far it is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BomProgress {
    /// Whether findings are still to come.
    processing: bool,
}

/// Whether bills of materials are still being worked on.
///
/// Any of them: a token names a moment, not a document.
#[utoipa::path(get, path = "/bom/token/{token}", tag = "vulnerabilities",
    operation_id = "getBomToken", params(("token" = String, Path)),
    responses((status = 200, body = BomProgress)))]
pub(crate) async fn get_bom_token(
    State(state): State<AppState>,
    caller: Caller,
    Path(_token): Path<String>,
) -> ApiResult<Json<BomProgress>> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let processing = !tenant.pending_components().await?.is_empty();
    Ok(Json(BomProgress { processing }))
}
