//! What differs between two inventories: packages, and the vulnerabilities that come and go with
//! them. Only the newest inventory of an asset is kept, so that an earlier one is a file.

use super::components::unprocessable;
use super::inventories::{as_inventory, hits, inventory_of};
use crate::auth::Caller;
use crate::error::{ApiResult, Problem};
use crate::extract::{Json, Query, whole};
use crate::matching::{Kept, judge::judge};
use crate::route;
use crate::route::{BodyLimit, Route};
use crate::state::AppState;
use axum::body::Body;
use axum::extract::State;
use bartizan_inventory::{Inventory, sbom};
use bartizan_model::{AssetUid, Purl, Timestamp};
use bartizan_store::TenantStore;
use bartizan_vuln::matching::Standing;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// The largest bill of materials in bytes.
const MAX_BYTES: usize = 64 << 20;
/// Packages that are told of a kind of change.
const TOLD: usize = 5_000;
/// Components of a file that are held against advisories.
const JUDGED: usize = 20_000;

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![
        route!(Viewer, compare_inventories),
        route!(Viewer, compare_with_file)
            .body_limit(BodyLimit::Upload)
            .time_limit(Duration::from_secs(120)),
    ]
}

/// Which two.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Two {
    /// The uid of the asset that counts as the earlier one.
    before: String,
    /// The uid of the asset that counts as the later one.
    after: String,
}

/// Which asset.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct After {
    /// The asset's uid; what is kept of it counts as the later one.
    after: String,
}

/// One side.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SideView {
    /// The asset's uid; none of a file.
    asset: Option<String>,
    name: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    taken: Option<Timestamp>,
    components: u64,
    /// How many parts could not be read: what is in them may differ.
    unread: u64,
    /// Whether its vulnerabilities are known: those of a very large file are not.
    judged: bool,
}

/// A package that differs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DifferenceView {
    /// Without a version.
    package: String,
    name: String,
    ecosystem: String,
    /// Versions that only the earlier has.
    before: Vec<String>,
    /// Versions that only the later has.
    after: Vec<String>,
    /// Vulnerabilities that hit the package in the earlier alone.
    closes: Vec<String>,
    /// Vulnerabilities that hit the package in the later alone.
    opens: Vec<String>,
}

/// What differs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Comparison)]
pub(crate) struct ComparisonView {
    before: SideView,
    after: SideView,
    /// Packages that only the later has.
    added: Vec<DifferenceView>,
    /// Packages that only the earlier has.
    removed: Vec<DifferenceView>,
    /// Packages that both have in other versions.
    changed: Vec<DifferenceView>,
    /// There are more than are told.
    more: bool,
    /// How many vulnerabilities of packages are only in the earlier.
    closes: u64,
    /// How many are only in the later.
    opens: u64,
}

type Hit = BTreeMap<Purl, BTreeSet<String>>;

struct Side {
    view: SideView,
    inventory: Inventory,
    hit: Hit,
}

fn note(hit: &mut Hit, package: Purl, said: Vec<Kept>) {
    // What cannot be said stands beside what is: neither is a clean version.
    let counts = |k: &Kept| !matches!(k.matched.standing, Standing::Excused { .. });
    let ids = said.into_iter().filter(counts);
    let ids: Vec<String> = ids.map(|k| k.matched.vulnerability).collect();
    if !ids.is_empty() {
        hit.entry(package).or_default().extend(ids);
    }
}

async fn kept(tenant: &TenantStore, uid: String) -> ApiResult<Side> {
    let (asset, parts) = inventory_of(tenant, &AssetUid::new(uid)?).await?;
    let mut said = tenant.matches_in(asset.id).await?;
    let mut hit = Hit::new();
    for part in &parts {
        let of = hits(&said.remove(&part.id).unwrap_or_default());
        note(&mut hit, part.component.purl.package(), of);
    }
    Ok(Side {
        view: SideView {
            asset: Some(asset.asset.asset.uid.to_string()),
            name: asset.asset.asset.name.clone(),
            taken: Some(asset.at),
            components: parts.len() as u64,
            unread: asset.asset.unread.len() as u64,
            judged: true,
        },
        inventory: as_inventory(&asset, parts),
        hit,
    })
}

async fn filed(state: &AppState, bytes: Vec<u8>) -> ApiResult<Side> {
    // Parsing is work for a thread of its own.
    let inventory = tokio::task::spawn_blocking(move || sbom::read(&bytes))
        .await
        .map_err(Problem::internal)?
        .map_err(|e| unprocessable(format!("The bill of materials does not read: {e}.")))?;
    let judged = inventory.components.len() <= JUDGED;
    let mut hit = Hit::new();
    if judged {
        let said = judge(&state.store, &inventory.components).await?;
        for (component, said) in inventory.components.iter().zip(said) {
            note(&mut hit, component.purl.package(), said);
        }
    }
    Ok(Side {
        view: SideView {
            asset: None,
            name: inventory.target.name.clone(),
            taken: None,
            components: inventory.components.len() as u64,
            unread: inventory.unread.len() as u64,
            judged,
        },
        inventory,
        hit,
    })
}

fn compare(before: Side, after: Side) -> ComparisonView {
    let diff = sbom::diff(&before.inventory, &after.inventory);
    let judged = before.view.judged && after.view.judged;
    let names: BTreeMap<Purl, String> = [&before, &after]
        .into_iter()
        .flat_map(|side| &side.inventory.components)
        .map(|c| (c.purl.package(), c.name().into_owned()))
        .collect();
    let none = BTreeSet::new();
    let (mut closes, mut opens, mut more) = (0, 0, false);
    let mut told = |changes: Vec<sbom::Change>| {
        more |= changes.len() > TOLD;
        let mut views = Vec::new();
        for change in changes {
            let was = before.hit.get(&change.package).unwrap_or(&none);
            let is = after.hit.get(&change.package).unwrap_or(&none);
            let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| {
                let only = a.difference(b).filter(|_| judged);
                only.cloned().collect::<Vec<_>>()
            };
            let (gone, new) = (only(was, is), only(is, was));
            closes += gone.len() as u64;
            opens += new.len() as u64;
            if views.len() < TOLD {
                views.push(DifferenceView {
                    name: names.get(&change.package).cloned().unwrap_or_default(),
                    package: change.package.to_string(),
                    ecosystem: change.ecosystem.to_string(),
                    before: change.before,
                    after: change.after,
                    closes: gone,
                    opens: new,
                });
            }
        }
        views
    };
    let (added, removed, changed) = (told(diff.added), told(diff.removed), told(diff.changed));
    ComparisonView {
        added,
        removed,
        changed,
        more,
        closes,
        opens,
        before: before.view,
        after: after.view,
    }
}

async fn compared(before: Side, after: Side) -> ApiResult<Json<ComparisonView>> {
    tokio::task::spawn_blocking(move || compare(before, after))
        .await
        .map(Json)
        .map_err(Problem::internal)
}

/// Compare the inventories of two assets.
#[utoipa::path(get, path = "/inventories/diff", tag = "vulnerabilities",
    operation_id = "compareInventories", params(Two),
    responses((status = 200, body = ComparisonView)))]
pub(crate) async fn compare_inventories(
    State(state): State<AppState>,
    caller: Caller,
    Query(two): Query<Two>,
) -> ApiResult<Json<ComparisonView>> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let before = kept(&tenant, two.before).await?;
    let after = kept(&tenant, two.after).await?;
    compared(before, after).await
}

/// Compare a bill of materials, as the earlier one, with the inventory of an asset.
///
/// CycloneDX or SPDX. Nothing of it is kept.
#[utoipa::path(post, path = "/inventories/diff", tag = "vulnerabilities",
    operation_id = "compareWithFile", params(After),
    request_body(content((Vec<u8> = "application/octet-stream"))),
    responses((status = 200, body = ComparisonView)))]
pub(crate) async fn compare_with_file(
    State(state): State<AppState>,
    caller: Caller,
    Query(of): Query<After>,
    body: Body,
) -> ApiResult<Json<ComparisonView>> {
    let bytes = whole(body, MAX_BYTES).await?;
    let tenant = state.store.tenant(&caller.tenant).await?;
    let after = kept(&tenant, of.after).await?;
    let before = filed(&state, bytes.to_vec()).await?;
    compared(before, after).await
}
