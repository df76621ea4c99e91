//! Inventories in, and what follows from them out: who is affected, and which upgrade closes most.

use super::view::{Items, Page, page_size};
use crate::auth::Caller;
use crate::error::{ApiResult, Problem};
use crate::extract::{Json, Path, Query};
use crate::matching::{Kept, rows, words};
use crate::route;
use crate::route::{BodyLimit, Route};
use crate::state::AppState;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use bartizan_model::text::plain;
use bartizan_model::{Asset, AssetUid, Component, EcosystemKind, Scope, Timestamp};
use bartizan_store::PageRequest;
use bartizan_store::components::{AffectedRow, ComponentAsset, FixRow, KeptAsset};
use bartizan_vuln::Scheme;
use bartizan_vuln::matching::Standing;
use bartizan_vuln::priority::Level;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::cmp::Ordering;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// The largest inventory in bytes.
const MAX_BYTES: usize = 64 << 20;
/// Components whose upgrades are weighed.
const WEIGHED: u32 = 2_000;
/// Upgrades that are told.
const FIXES: usize = 200;

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![
        route!(Operator, upload_components)
            .body_limit(BodyLimit::Upload)
            .time_limit(Duration::from_secs(120)),
        route!(Viewer, list_inventories),
        route!(Viewer, get_components),
        route!(Operator, delete_components),
        route!(Viewer, list_fixes),
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

fn unprocessable(why: impl Into<String>) -> Problem {
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
    let bytes = axum::body::to_bytes(body, MAX_BYTES)
        .await
        .map_err(|_| Problem::too_large(MAX_BYTES as u64))?;
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
        Ok(PageRequest {
            cursor: self.cursor.filter(|c| !c.is_empty()),
            limit: page_size(self.limit)?,
        })
    }
}

/// Assets with an inventory.
#[utoipa::path(get, path = "/inventories", tag = "vulnerabilities",
    operation_id = "listInventories", params(Paged),
    responses((status = 200, body = Page<InventoryView>)))]
pub(crate) async fn list_inventories(
    State(state): State<AppState>,
    caller: Caller,
    Query(paged): Query<Paged>,
) -> ApiResult<Json<Page<InventoryView>>> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let page = tenant.component_assets(&paged.request()?).await?;
    Ok(Json(Page::of(page, Into::into)))
}

/// Which asset.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OfAsset {
    /// The asset's uid.
    asset: String,
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
    let uid = AssetUid::new(of.asset)?;
    let (asset, parts) = tenant
        .components_of(&uid)
        .await?
        .ok_or_else(|| Problem::not_found(format_args!("inventory of {uid}")))?;
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
    let uid = AssetUid::new(of.asset)?;
    if !tenant.forget_components(&uid).await? {
        return Err(Problem::not_found(format_args!("inventory of {uid}")));
    }
    state.work.matching.notify_one();
    Ok(StatusCode::NO_CONTENT)
}

/// One upgrade.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FixView {
    /// What stands there now.
    purl: String,
    /// The lowest version that closes all that have a fix; the highest of their fixes.
    upgrade_to: String,
    /// Assets that have it.
    assets: u64,
    /// Findings that the upgrade closes, over all assets.
    closes: u64,
    /// Findings of it for which no fix is known.
    leaves: u64,
    /// `act`, `attend`, `track-closely` or `track`: the most urgent that it closes.
    #[schema(value_type = String)]
    level: Level,
    /// The vulnerabilities that it closes.
    vulnerabilities: Vec<String>,
}

/// The higher of two fixes; what has no order stays behind what has.
fn higher(scheme: Scheme, a: &str, b: &str) -> Ordering {
    scheme.compare(a, b).unwrap_or_else(|| a.cmp(b))
}

fn fix(row: FixRow) -> Option<FixView> {
    let kind: EcosystemKind = row.part.component.ecosystem.kind;
    let scheme = Scheme::of(kind);
    let kept: Vec<Kept> = row
        .bodies
        .iter()
        .filter_map(|body| serde_json::from_str(body).ok())
        // What is excused, and what nobody can say, is no finding that an upgrade closes.
        .filter(|kept: &Kept| kept.matched.standing == Standing::Affected)
        .collect();
    let fixable: Vec<&Kept> = kept.iter().filter(|k| k.matched.fixed.is_some()).collect();
    let target = fixable
        .iter()
        .filter_map(|k| k.matched.fixed.as_deref())
        .max_by(|a, b| higher(scheme, a, b))?;
    Some(FixView {
        purl: row.part.component.purl.to_string(),
        upgrade_to: target.to_owned(),
        assets: row.assets,
        closes: fixable.len() as u64 * row.assets,
        leaves: (kept.len() - fixable.len()) as u64 * row.assets,
        level: fixable.iter().map(|k| k.priority.level).max()?,
        vulnerabilities: fixable
            .iter()
            .map(|k| k.matched.vulnerability.clone())
            .collect(),
    })
}

/// Which upgrade closes most.
#[utoipa::path(get, path = "/vulnerabilities/fixes", tag = "vulnerabilities",
    operation_id = "listFixes", responses((status = 200, body = Items<FixView>)))]
pub(crate) async fn list_fixes(
    State(state): State<AppState>,
    caller: Caller,
) -> ApiResult<Json<Items<FixView>>> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let burdens = tenant.component_burdens(WEIGHED).await?;
    let mut items: Vec<FixView> = burdens.into_iter().filter_map(fix).collect();
    items.sort_by(|a, b| {
        (b.level, b.closes)
            .cmp(&(a.level, a.closes))
            .then_with(|| a.purl.cmp(&b.purl))
    });
    items.truncate(FIXES);
    Ok(Json(Items { items }))
}

/// A component of an asset that a vulnerability is about.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AffectedView {
    asset: String,
    scope: String,
    name: String,
    purl: String,
    /// Where it was found.
    paths: Vec<String>,
    /// What is said: `standing`, `because`, `fixed`, `advisories`, `confidence`, `priority`.
    #[schema(value_type = Object)]
    said: Value,
}

impl From<AffectedRow> for AffectedView {
    fn from(row: AffectedRow) -> Self {
        let asset = row.asset.asset;
        let found = row.part.component.found;
        Self {
            asset: asset.asset.uid.to_string(),
            scope: asset.scope,
            name: asset.asset.name,
            purl: row.part.component.purl.to_string(),
            paths: found.into_iter().map(|f| f.path).collect(),
            said: serde_json::from_str(&row.body).unwrap_or_default(),
        }
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
    Ok(Json(Page::of(page, Into::into)))
}
