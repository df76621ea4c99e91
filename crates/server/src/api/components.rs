//! Inventories in, and whom a vulnerability hits out.

use super::inventories;
use super::view::{Page, page_size};
use crate::auth::Caller;
use crate::error::{ApiResult, Problem};
use crate::extract::{Json, Path, Query, whole};
use crate::matching::{Kept, results, rows, words};
use crate::route;
use crate::route::{BodyLimit, Route};
use crate::state::AppState;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use bartizan_model::text::plain;
use bartizan_model::{Asset, AssetUid, Component, FindingKey, FindingStatus, Scope, Timestamp};
use bartizan_store::PageRequest;
use bartizan_store::components::{AffectedRow, ComponentAsset, KeptAsset};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// The largest inventory in bytes.
const MAX_BYTES: usize = 64 << 20;

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![
        route!(Operator, upload_components)
            .body_limit(BodyLimit::Upload)
            .time_limit(Duration::from_secs(120)),
        route!(Viewer, get_components),
        route!(Operator, delete_components),
        route!(Viewer, list_affected),
    ]
}

/// An inventory.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ComponentsUpload {
    /// The scope, `cluster:prod`; the asset's uid begins with it.
    scope: String,
    /// The host, image or folder: `uid`, `kind`, `name`, and `namespace` where it has one.
    #[schema(value_type = Object)]
    asset: Asset,
    /// What took the inventory.
    #[serde(default)]
    source: String,
    /// All of the asset's components; what is not here is gone.
    #[schema(value_type = Vec<Object>)]
    components: Vec<Component>,
    /// What could not be read, in words. It is reported as unknown.
    #[serde(default)]
    unread: Vec<String>,
}

/// What an inventory changed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ComponentsTaken {
    asset: String,
    /// Components that are new to the asset.
    added: u64,
    /// Components that it no longer has.
    removed: u64,
    /// Components that it still has.
    kept: u64,
}

pub(super) fn unprocessable(why: impl Into<String>) -> Problem {
    Problem::unprocessable("bad_inventory", why)
}

/// Hand in the components of a host, an image or a folder.
///
/// Findings follow within seconds, and again whenever an advisory changes.
#[utoipa::path(post, path = "/components", tag = "vulnerabilities",
    operation_id = "uploadComponents", request_body = ComponentsUpload,
    responses((status = 202, body = ComponentsTaken)))]
pub(crate) async fn upload_components(
    State(state): State<AppState>,
    caller: Caller,
    body: Body,
) -> ApiResult<(StatusCode, Json<ComponentsTaken>)> {
    let bytes = whole(body, MAX_BYTES).await?;
    let upload: ComponentsUpload = serde_json::from_slice(&bytes)
        .map_err(|e| unprocessable(format!("The inventory does not read: {e}.")))?;
    let scope = Scope::parse(&upload.scope)?.id()?;
    let uid = upload.asset.uid.clone();
    let within = uid.as_str().strip_prefix(scope.as_str());
    if !within.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        return Err(unprocessable(format!(
            "The asset's uid {uid} does not begin with its scope {scope}."
        )));
    }
    if let Some(why) = words::refused(&upload.asset) {
        return Err(unprocessable(why));
    }
    let asset = ComponentAsset {
        asset: upload.asset,
        scope: scope.to_string(),
        source: plain(&upload.source, 200),
        unread: words::unread(upload.unread),
    };
    let tenant = state.store.tenant(&caller.tenant).await?;
    let replaced = tenant
        .replace_components(&asset, &rows(upload.components), state.now())
        .await?;
    state.work.matching.notify_one();
    Ok((
        StatusCode::ACCEPTED,
        Json(ComponentsTaken {
            asset: uid.to_string(),
            added: replaced.added,
            removed: replaced.removed,
            kept: replaced.kept,
        }),
    ))
}

/// An asset with an inventory.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InventoryView {
    asset: String,
    scope: String,
    kind: String,
    name: String,
    source: String,
    #[schema(value_type = String, format = DateTime)]
    taken: Timestamp,
    /// What could not be read.
    unread: Vec<String>,
}

impl From<KeptAsset> for InventoryView {
    fn from(kept: KeptAsset) -> Self {
        let asset = kept.asset;
        Self {
            asset: asset.asset.uid.to_string(),
            scope: asset.scope,
            kind: asset.asset.kind,
            name: asset.asset.name,
            source: asset.source,
            taken: kept.at,
            unread: asset.unread,
        }
    }
}

/// Which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paged {
    /// Where the page begins; from an earlier page.
    cursor: Option<String>,
    /// 1 to 200; 50 by default.
    limit: Option<u32>,
}

impl Paged {
    fn request(self) -> ApiResult<PageRequest> {
        Self::of(self.cursor, self.limit)
    }

    /// A page by its parameters.
    pub(super) fn of(cursor: Option<String>, limit: Option<u32>) -> ApiResult<PageRequest> {
        Ok(PageRequest {
            cursor: cursor.filter(|c| !c.is_empty()),
            limit: page_size(limit)?,
        })
    }
}

/// Which asset.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OfAsset {
    /// The asset's uid.
    pub(super) asset: String,
}

impl OfAsset {
    pub(super) fn uid(self) -> ApiResult<AssetUid> {
        Ok(AssetUid::new(self.asset)?)
    }
}

/// The inventory of an asset.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ComponentList {
    #[serde(flatten)]
    of: InventoryView,
    /// `purl`, `ecosystem`, `source`, `licences`, `found`.
    #[schema(value_type = Vec<Object>)]
    components: Vec<Component>,
}

/// The components of an asset.
#[utoipa::path(get, path = "/components", tag = "vulnerabilities",
    operation_id = "getComponents", params(OfAsset),
    responses((status = 200, body = ComponentList)))]
pub(crate) async fn get_components(
    State(state): State<AppState>,
    caller: Caller,
    Query(of): Query<OfAsset>,
) -> ApiResult<Json<ComponentList>> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let uid = of.uid()?;
    let (asset, parts) = inventories::inventory_of(&tenant, &uid).await?;
    Ok(Json(ComponentList {
        of: asset.into(),
        components: parts.into_iter().map(|p| p.component).collect(),
    }))
}

/// Take an inventory away; its findings are closed.
#[utoipa::path(delete, path = "/components", tag = "vulnerabilities",
    operation_id = "deleteComponents", params(OfAsset), responses((status = 204)))]
pub(crate) async fn delete_components(
    State(state): State<AppState>,
    caller: Caller,
    Query(of): Query<OfAsset>,
) -> ApiResult<StatusCode> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let uid = of.uid()?;
    if !tenant.forget_components(&uid).await? {
        return Err(Problem::not_found(format_args!("inventory of {uid}")));
    }
    state.work.matching.notify_one();
    Ok(StatusCode::NO_CONTENT)
}

/// A component of an asset that a vulnerability is about.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AffectedView {
    asset: String,
    scope: String,
    kind: String,
    name: String,
    purl: String,
    /// The component's name and version, the way its ecosystem writes them.
    component: String,
    version: Option<String>,
    ecosystem: String,
    /// The source package and its version, where it has one.
    source: Option<String>,
    /// Where it was found.
    paths: Vec<String>,
    /// `affected`, `unknown` or `excused`; `unknown` also where what is kept does not read.
    standing: &'static str,
    /// In which versions; or why it cannot be said, or why it does not matter.
    why: String,
    /// The first version with the fix.
    fixed: Option<String>,
    /// The finding that this makes, or will make.
    finding: String,
    /// Its state; none while it is not there: it cannot be said, or it is not derived yet.
    #[schema(value_type = Option<String>)]
    status: Option<FindingStatus>,
    /// What is said: `standing`, `because`, `fixed`, `advisories`, `confidence`, `priority`.
    #[schema(value_type = Object)]
    said: Value,
}

fn affected(row: AffectedRow, key: FindingKey, status: Option<FindingStatus>) -> AffectedView {
    let asset = row.asset.asset;
    let part = row.part.component;
    let kept: Option<Kept> = serde_json::from_str(&row.body).ok();
    let (standing, why) = match &kept {
        Some(kept) => inventories::standing(kept),
        None => ("unknown", "what is kept of it does not read".to_owned()),
    };
    AffectedView {
        asset: asset.asset.uid.to_string(),
        scope: asset.scope,
        kind: asset.asset.kind,
        name: asset.asset.name,
        purl: part.purl.to_string(),
        component: part.name().into_owned(),
        version: part.version().map(|v| v.into_owned()),
        ecosystem: part.ecosystem.to_string(),
        source: part.source.map(|s| format!("{} {}", s.name, s.version)),
        paths: part.found.into_iter().map(|f| f.path).collect(),
        standing,
        why,
        fixed: kept.and_then(|k| k.matched.fixed),
        finding: key.into(),
        status,
        said: serde_json::from_str(&row.body).unwrap_or_default(),
    }
}

/// What a vulnerability is about among this tenant's components.
///
/// By its main name, the CVE where it has one.
#[utoipa::path(get, path = "/vulnerabilities/{id}/affected", tag = "vulnerabilities",
    operation_id = "listAffected", params(("id" = String, Path), Paged),
    responses((status = 200, body = Page<AffectedView>)))]
pub(crate) async fn list_affected(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    Query(paged): Query<Paged>,
) -> ApiResult<Json<Page<AffectedView>>> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let page = tenant.affected(&id, &paged.request()?).await?;
    let mut keys = Vec::new();
    for row in &page.items {
        let asset = &row.asset.asset.asset.uid;
        keys.push(results::key(
            &caller.tenant,
            &id,
            asset,
            &row.part.component,
        )?);
    }
    let states = tenant.finding_states(&keys).await?;
    let rows = page.items.into_iter().zip(keys);
    Ok(Json(Page {
        items: rows
            .map(|(row, key)| {
                let status = states.get(&key).copied();
                affected(row, key, status)
            })
            .collect(),
        next_cursor: page.next_cursor,
        total: None,
    }))
}
