//! Bills of materials the way Dependency-Track takes them, for tools that speak to one.

use crate::auth::Caller;
use crate::error::{ApiResult, Problem};
use crate::extract::{Json, Path, whole};
use crate::matching::{rows, words};
use crate::route;
use crate::route::{BodyLimit, Route};
use crate::state::AppState;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bartizan_inventory::{Target, TargetKind, sbom};
use bartizan_model::{Asset, AssetUid, Scope, ScopeKind};
use bartizan_store::components::ComponentAsset;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use multer::{Constraints, Multipart, SizeLimit};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// The largest request in bytes.
const MAX_BYTES: usize = 96 << 20;
/// The largest field of a form beside the bill itself, in bytes.
const MAX_TEXT: u64 = 64 << 10;
/// Fields of a form.
const MAX_FIELDS: usize = 64;

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![
        route!(Operator, put_bom)
            .body_limit(BodyLimit::Upload)
            .time_limit(Duration::from_secs(120)),
        route!(Operator, post_bom)
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

/// A bill of materials of a project, as a form.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "it describes the form in the OpenAPI document")]
pub(crate) struct BomForm {
    /// The project's name; it becomes the scope `repository:NAME`.
    #[schema(rename = "projectName")]
    project_name: Option<String>,
    /// Its version.
    #[schema(rename = "projectVersion")]
    project_version: Option<String>,
    /// In place of the name.
    project: Option<String>,
    /// Taken and not needed: a project is made by its first bill.
    #[schema(rename = "autoCreate")]
    auto_create: Option<bool>,
    /// CycloneDX or SPDX, as it is.
    #[schema(format = Binary, content_media_type = "application/octet-stream")]
    bom: String,
}

/// What either way of sending comes to.
#[derive(Debug, Default)]
struct Bom {
    project_name: String,
    project_version: String,
    project: String,
    document: Vec<u8>,
}

fn bad(why: impl Into<String>) -> Problem {
    Problem::unprocessable("bad_bom", why)
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
    let bytes = whole(body, MAX_BYTES).await?;
    let upload: BomUpload = serde_json::from_slice(&bytes)
        .map_err(|e| bad(format!("The request does not read: {e}.")))?;
    drop(bytes);
    let document = STANDARD
        .decode(upload.bom.trim())
        .map_err(|e| bad(format!("`bom` is no base64: {e}.")))?;
    let bom = Bom {
        project_name: upload.project_name,
        project_version: upload.project_version,
        project: upload.project,
        document,
    };
    take(&state, &caller, bom).await
}

/// Hand in a bill of materials as to Dependency-Track, as a form with the file in it.
///
/// What `curl -F` and plug-ins of build tools send. Fields that are not named here are passed over.
#[utoipa::path(post, path = "/bom", tag = "vulnerabilities", operation_id = "postBom",
    request_body(content = BomForm, content_type = "multipart/form-data"),
    responses((status = 200, body = BomToken)))]
pub(crate) async fn post_bom(
    State(state): State<AppState>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> ApiResult<Json<BomToken>> {
    let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let boundary = multer::parse_boundary(kind.unwrap_or_default()).map_err(|_| {
        bad("The request is no multipart/form-data with a boundary; JSON goes by PUT.")
    })?;
    let bom = form(body, boundary).await?;
    take(&state, &caller, bom).await
}

/// Reads the form. Every field is bounded, and so is how many there are.
async fn form(body: Body, boundary: String) -> ApiResult<Bom> {
    let limit = SizeLimit::new()
        .whole_stream(MAX_BYTES as u64)
        .per_field(MAX_TEXT)
        .for_field("bom", MAX_BYTES as u64);
    let limit = Constraints::new().size_limit(limit);
    let mut form = Multipart::with_constraints(body.into_data_stream(), boundary, limit);
    let mut bom = Bom::default();
    let mut document = None;
    let mut fields = 0;
    while let Some(field) = form.next_field().await.map_err(|e| refused(&e))? {
        fields += 1;
        if fields > MAX_FIELDS {
            return Err(bad(format!("The form has more than {MAX_FIELDS} fields.")));
        }
        let name = field.name().unwrap_or_default().to_owned();
        let bytes = field.bytes().await.map_err(|e| refused(&e))?;
        let text = match name.as_str() {
            "projectName" => &mut bom.project_name,
            "projectVersion" => &mut bom.project_version,
            "project" => &mut bom.project,
            "bom" => {
                // Two would leave open which of them counts.
                if document.replace(bytes).is_some() {
                    return Err(bad("The form has the field `bom` twice."));
                }
                continue;
            }
            _ => continue,
        };
        *text = String::from_utf8(bytes.into())
            .map_err(|_| bad(format!("The field `{name}` is no UTF-8.")))?;
    }
    bom.document = document
        .ok_or_else(|| bad("The form has no field `bom` with the bill of materials."))?
        .into();
    Ok(bom)
}

fn refused(error: &multer::Error) -> Problem {
    match error {
        multer::Error::FieldSizeExceeded { limit, .. }
        | multer::Error::StreamSizeExceeded { limit } => Problem::too_large(*limit),
        // The guard's own bound of bodies ends the stream.
        multer::Error::StreamReadFailed(_) => bad("The form ends before it is whole."),
        other => bad(format!("The form does not read: {other}.")),
    }
}

async fn take(state: &AppState, caller: &Caller, bom: Bom) -> ApiResult<Json<BomToken>> {
    let name = [bom.project_name, bom.project]
        .into_iter()
        .find(|name| !name.trim().is_empty())
        .ok_or_else(|| bad("`projectName` or `project` says which project it is of."))?;
    let document = bom.document;
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
    let version = bom.project_version.trim();
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
    let asset = ComponentAsset {
        asset: Asset {
            uid: target.uid.clone(),
            kind: "Sbom".to_owned(),
            name,
            namespace: String::new(),
        },
        scope: scope.to_string(),
        source: "bom".to_owned(),
        unread: words::unread(inventory.unread.iter().map(ToString::to_string)),
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
    let processing = tenant.has_pending_components().await?;
    Ok(Json(BomProgress { processing }))
}
