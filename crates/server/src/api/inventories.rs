//! Inventories to look through: which there are, what one holds, and it as a bill of materials.

use super::artifacts::attachment;
use super::components::{InventoryView, OfAsset, Paged};
use super::present::{CHECKS, read};
use super::sorted::cut;
use super::view::{BySeverity, SeverityWord, Total, bad_field, given, sought};
use crate::auth::Caller;
use crate::error::{ApiResult, Problem};
use crate::extract::{Json, Query};
use crate::matching::{Kept, results};
use crate::route;
use crate::route::Route;
use crate::state::AppState;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bartizan_inventory::sbom::{Stamp, cyclonedx, spdx};
use bartizan_inventory::{Inventory, Target, TargetKind, Unread};
use bartizan_model::{AssetUid, Component, Found, Severity, Timestamp};
use bartizan_store::TenantStore;
use bartizan_store::components::{KeptAsset, MatchRow, Part};
use bartizan_vuln::Scheme;
use bartizan_vuln::matching::Standing;
use bartizan_vuln::priority::Level;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use utoipa::{IntoParams, ToSchema};

/// Vulnerabilities that are told of one component.
const TOLD: usize = 50;
/// Values that are offered to filter by.
const OFFERED: usize = 100;

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![
        route!(Viewer, list_inventories),
        route!(Viewer, list_components),
        route!(Viewer, get_sbom),
    ]
}

/// Which inventories, in which order.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct InventoryQuery {
    /// Of one scope.
    scope: Option<String>,
    /// Part of the asset's name or uid.
    q: Option<String>,
    /// Of one kind, such as `Image`.
    kind: Option<String>,
    /// `name` (default) or `worst`.
    sort: Option<String>,
    /// Where the page begins; from an earlier page.
    cursor: Option<String>,
    /// 1 to 200; 50 by default.
    limit: Option<u32>,
}

/// An asset with an inventory, in a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InventoryLine)]
pub(crate) struct LineView {
    asset: String,
    scope: String,
    kind: String,
    name: String,
    source: String,
    #[schema(value_type = String, format = DateTime)]
    taken: Timestamp,
    /// How many parts could not be read: what is in them is unknown.
    unread: u64,
    components: u64,
    /// Findings of vulnerabilities that need work.
    findings: BySeverity,
}

/// A page of inventories.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InventoryPage {
    items: Vec<LineView>,
    next_cursor: Option<String>,
    total: Total,
    /// Kinds of assets that there are.
    kinds: Vec<String>,
}

/// Assets with an inventory.
#[utoipa::path(get, path = "/inventories", tag = "vulnerabilities",
    operation_id = "listInventories", params(InventoryQuery),
    responses((status = 200, body = InventoryPage)))]
pub(crate) async fn list_inventories(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<InventoryQuery>,
) -> ApiResult<Json<InventoryPage>> {
    let worst = match query.sort.as_deref() {
        None | Some("" | "name") => false,
        Some("worst") => true,
        Some(_) => return Err(bad_field("sort", "it is not one of name, worst.")),
    };
    let page = Paged::of(query.cursor, query.limit)?;
    let scope = given(query.scope);
    let kind = given(query.kind);
    let sought = sought(query.q);
    let tenant = state.store.tenant(&caller.tenant).await?;
    let states = tenant.asset_states(CHECKS, scope.as_deref()).await?;
    let mut kinds = BTreeMap::new();
    let mut rows = Vec::new();
    for one in tenant.inventory_names(scope.as_deref()).await? {
        *kinds.entry(one.kind.clone()).or_insert(0_u64) += 1;
        let uid = one.uid.to_string();
        let found = || [&one.name, &uid].map(|t| t.to_lowercase());
        if kind.as_ref().is_some_and(|k| *k != one.kind)
            || !(sought.is_empty() || found().iter().any(|t| t.contains(&sought)))
        {
            continue;
        }
        let mut findings = BySeverity::default();
        for (severity, n) in states.get(&uid).into_iter().flatten() {
            *findings.slot(*severity) += n;
        }
        let of = |n: u64| -i64::try_from(n).unwrap_or(i64::MAX);
        let order = if worst {
            [
                of(findings.critical),
                of(findings.high),
                of(findings.medium),
                of(findings.low),
                of(findings.info),
            ]
        } else {
            [0; 5]
        };
        rows.push(((order, one.name, uid), (one.id, findings)));
    }
    let total = Total {
        count: rows.len() as u64,
        capped: false,
    };
    let (rows, next_cursor) = cut(rows, &page)?;
    let ids: Vec<i64> = rows.iter().map(|(id, _)| *id).collect();
    let counts = tenant.component_counts(&ids).await?;
    let mut assets: HashMap<i64, KeptAsset> = tenant
        .component_assets_by_id(&ids)
        .await?
        .into_iter()
        .map(|asset| (asset.id, asset))
        .collect();
    let items = rows
        .into_iter()
        .filter_map(|(id, findings)| {
            let kept = assets.remove(&id)?;
            let asset = kept.asset;
            Some(LineView {
                asset: asset.asset.uid.to_string(),
                scope: asset.scope,
                kind: asset.asset.kind,
                name: asset.asset.name,
                source: asset.source,
                taken: kept.at,
                unread: asset.unread.len() as u64,
                components: counts.get(&id).copied().unwrap_or_default(),
                findings,
            })
        })
        .collect();
    Ok(Json(InventoryPage {
        items,
        next_cursor,
        total,
        kinds: kinds.into_keys().collect(),
    }))
}

/// Which components of which asset.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ComponentQuery {
    /// The asset's uid.
    asset: String,
    /// Part of the name, of the source package or of a path.
    q: Option<String>,
    /// Of one ecosystem, `Debian:12`.
    ecosystem: Option<String>,
    /// With this licence; `none` for those of which none is known.
    licence: Option<String>,
    /// Only those that a vulnerability hits, or may hit.
    vulnerable: Option<bool>,
    /// `worst` (default) or `name`.
    sort: Option<String>,
    /// Where the page begins; from an earlier page.
    cursor: Option<String>,
    /// 1 to 200; 50 by default.
    limit: Option<u32>,
}

/// A vulnerability of a component.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HitView {
    id: String,
    title: String,
    #[schema(value_type = SeverityWord)]
    severity: Severity,
    /// `act`, `attend`, `track-closely` or `track`.
    #[schema(value_type = String)]
    level: Level,
    /// `affected`, `unknown` or `excused`.
    standing: &'static str,
    /// In which versions; or why it cannot be said, or why it does not matter.
    why: String,
    /// The first version with the fix.
    fixed: Option<String>,
}

/// Where a component was found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlaceView {
    path: String,
    /// The layer of an image that brought it.
    layer: Option<String>,
}

impl From<Found> for PlaceView {
    fn from(found: Found) -> Self {
        Self {
            path: found.path,
            layer: found.layer.map(|l| l.to_string()),
        }
    }
}

/// A component of an asset.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ComponentView {
    purl: String,
    name: String,
    version: Option<String>,
    ecosystem: String,
    /// The source package and its version, where it has one.
    source: Option<String>,
    licences: Vec<String>,
    found: Vec<PlaceView>,
    /// The worst that hits it.
    #[schema(value_type = Option<SeverityWord>)]
    worst: Option<Severity>,
    /// How many hit it.
    affected: u64,
    /// Of how many it cannot be said.
    unknown: u64,
    /// The lowest version without those that have a fix.
    upgrade_to: Option<String>,
    /// The most urgent ones.
    vulnerabilities: Vec<HitView>,
}

/// A value to filter by.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Offer {
    value: String,
    count: u64,
}

/// A page of the components of an asset.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ComponentPage {
    /// The asset, with all that could not be read; on the first page only.
    inventory: Option<InventoryView>,
    items: Vec<ComponentView>,
    next_cursor: Option<String>,
    /// How many match.
    total: Total,
    /// How many the asset has.
    components: u64,
    /// How many of these a vulnerability hits.
    vulnerable: u64,
    /// Of how many others it cannot be said.
    unknown: u64,
    ecosystems: Vec<Offer>,
    licences: Vec<Offer>,
}

pub(super) fn hits(rows: &[MatchRow]) -> Vec<Kept> {
    let read = |row: &MatchRow| read(&row.vulnerability, &row.body);
    let mut kept: Vec<Kept> = rows.iter().map(read).collect();
    kept.sort_by_key(|k| std::cmp::Reverse((weight(k), k.priority.order())));
    kept
}

fn weight(kept: &Kept) -> u8 {
    results::weight(&kept.matched.standing)
}

/// A standing as a word, with why.
pub(super) fn standing(kept: &Kept) -> (&'static str, String) {
    match &kept.matched.standing {
        Standing::Affected => ("affected", kept.matched.because.clone()),
        Standing::Unknown { why } => ("unknown", why.clone()),
        Standing::Excused { by, why } => ("excused", format!("{by}: {why}")),
    }
}

fn component(part: Part, kept: Vec<Kept>) -> ComponentView {
    let one = part.component;
    let scheme = Scheme::of(one.ecosystem.kind);
    let affected = || kept.iter().filter(|k| weight(k) == 2);
    ComponentView {
        name: one.name().into_owned(),
        version: one.version().map(|v| v.into_owned()),
        ecosystem: one.ecosystem.to_string(),
        source: one.source.map(|s| format!("{} {}", s.name, s.version)),
        worst: affected().map(|k| k.severity).max_by_key(|s| s.rank()),
        affected: affected().count() as u64,
        unknown: kept.iter().filter(|k| weight(k) == 1).count() as u64,
        upgrade_to: affected()
            .filter_map(|k| k.matched.fixed.as_deref())
            .max_by(|a, b| super::upgrades::higher(scheme, a, b))
            .map(str::to_owned),
        purl: one.purl.to_string(),
        licences: one.licences,
        found: one.found.into_iter().map(PlaceView::from).collect(),
        vulnerabilities: kept
            .into_iter()
            .take(TOLD)
            .map(|kept| {
                let (standing, why) = standing(&kept);
                HitView {
                    standing,
                    why,
                    id: kept.matched.vulnerability,
                    title: kept.title,
                    severity: kept.severity,
                    level: kept.priority.level,
                    fixed: kept.matched.fixed,
                }
            })
            .collect(),
    }
}

fn offers(counts: BTreeMap<String, u64>) -> Vec<Offer> {
    let mut offers: Vec<Offer> = counts
        .into_iter()
        .map(|(value, count)| Offer { value, count })
        .collect();
    offers.sort_by_key(|o| std::cmp::Reverse(o.count));
    offers.truncate(OFFERED);
    offers
}

fn matches(one: &Component, sought: &str) -> bool {
    let holds = |text: &str| text.to_lowercase().contains(sought);
    sought.is_empty()
        || holds(&one.name())
        || one.source.as_ref().is_some_and(|s| holds(&s.name))
        || one.found.iter().any(|f| holds(&f.path))
        || one.purl.to_string().contains(sought)
}

pub(super) async fn inventory_of(
    tenant: &TenantStore,
    uid: &AssetUid,
) -> ApiResult<(KeptAsset, Vec<Part>)> {
    tenant
        .components_of(uid)
        .await?
        .ok_or_else(|| Problem::not_found(format_args!("inventory of {uid}")))
}

/// Look through the components of an asset.
#[utoipa::path(get, path = "/inventories/components", tag = "vulnerabilities",
    operation_id = "listComponents", params(ComponentQuery),
    responses((status = 200, body = ComponentPage)))]
pub(crate) async fn list_components(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<ComponentQuery>,
) -> ApiResult<Json<ComponentPage>> {
    let worst = match query.sort.as_deref() {
        None | Some("" | "worst") => true,
        Some("name") => false,
        Some(_) => return Err(bad_field("sort", "it is not one of worst, name.")),
    };
    let page = Paged::of(query.cursor, query.limit)?;
    let ecosystem = given(query.ecosystem);
    let licence = given(query.licence);
    let vulnerable = query.vulnerable.unwrap_or_default();
    let sought = sought(query.q);
    let tenant = state.store.tenant(&caller.tenant).await?;
    let (asset, parts) = inventory_of(&tenant, &AssetUid::new(query.asset)?).await?;
    let mut said = tenant.matches_in(asset.id).await?;
    let (mut ecosystems, mut licences) = (BTreeMap::new(), BTreeMap::new());
    let components = parts.len() as u64;
    let (mut hit, mut unsure) = (0, 0);
    let mut rows = Vec::new();
    for part in parts {
        let one = &part.component;
        let kept = hits(&said.remove(&part.id).unwrap_or_default());
        let touched = kept.iter().any(|k| weight(k) > 0);
        let bad = kept.iter().any(|k| weight(k) == 2);
        hit += u64::from(bad);
        unsure += u64::from(touched && !bad);
        let of = one.ecosystem.to_string();
        *ecosystems.entry(of.clone()).or_insert(0) += 1;
        let nothing = ["none".to_owned()];
        let named = match one.licences.as_slice() {
            [] => nothing.as_slice(),
            named => named,
        };
        for name in named {
            *licences.entry(name.clone()).or_insert(0) += 1;
        }
        if (vulnerable && !touched)
            || ecosystem.as_ref().is_some_and(|e| *e != of)
            || licence.as_ref().is_some_and(|l| !named.contains(l))
            || !matches(one, &sought)
        {
            continue;
        }
        let bad = kept.iter().filter(|k| weight(k) == 2);
        let order = if worst {
            let rank = bad.clone().map(|k| k.severity.rank()).max();
            let unsure = i64::from(touched);
            [-rank.unwrap_or(-1), -(bad.count() as i64), -unsure]
        } else {
            [0; 3]
        };
        let key = (
            order,
            one.name().to_lowercase(),
            one.purl.to_string(),
            part.id,
        );
        rows.push((key, (part, kept)));
    }
    let total = Total {
        count: rows.len() as u64,
        capped: false,
    };
    let (rows, next_cursor) = cut(rows, &page)?;
    Ok(Json(ComponentPage {
        inventory: page.cursor.is_none().then(|| asset.into()),
        items: rows.into_iter().map(|(p, k)| component(p, k)).collect(),
        next_cursor,
        total,
        components,
        vulnerable: hit,
        unknown: unsure,
        ecosystems: offers(ecosystems),
        licences: offers(licences),
    }))
}

/// An inventory the way it is written.
pub(super) fn as_inventory(kept: &KeptAsset, parts: Vec<Part>) -> Inventory {
    let asset = &kept.asset;
    Inventory {
        target: Target {
            uid: asset.asset.uid.clone(),
            kind: match asset.asset.kind.to_lowercase().as_str() {
                "host" => TargetKind::Host,
                "image" => TargetKind::Image,
                "sbom" => TargetKind::Sbom,
                _ => TargetKind::Folder,
            },
            name: asset.asset.name.clone(),
            digest: None,
        },
        os: None,
        components: parts.into_iter().map(|p| p.component).collect(),
        unread: asset
            .unread
            .iter()
            .map(|text| match text.split_once(": ") {
                Some((path, why)) => Unread {
                    path: path.to_owned(),
                    why: why.to_owned(),
                },
                None => Unread {
                    path: text.clone(),
                    why: String::new(),
                },
            })
            .collect(),
    }
}

/// Which form.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SbomQuery {
    /// The asset's uid.
    asset: String,
    /// `cyclonedx` (default; 1.6) or `spdx` (2.3).
    format: Option<String>,
}

/// Download an inventory as a bill of materials.
#[utoipa::path(get, path = "/inventories/sbom", tag = "vulnerabilities",
    operation_id = "getSbom", params(SbomQuery),
    responses((status = 200, content(
        (String = "application/vnd.cyclonedx+json"), (String = "application/spdx+json")))))]
pub(crate) async fn get_sbom(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<SbomQuery>,
) -> ApiResult<Response> {
    type Write = fn(&Inventory, &Stamp<'_>) -> Vec<u8>;
    let (write, media_type, ending): (Write, _, _) = match query.format.as_deref() {
        None | Some("" | "cyclonedx") => (
            cyclonedx::write,
            "application/vnd.cyclonedx+json",
            "cdx.json",
        ),
        Some("spdx") => (spdx::write, "application/spdx+json", "spdx.json"),
        Some(_) => return Err(bad_field("format", "it is not one of cyclonedx, spdx.")),
    };
    let of = OfAsset { asset: query.asset };
    let tenant = state.store.tenant(&caller.tenant).await?;
    let (asset, parts) = inventory_of(&tenant, &of.uid()?).await?;
    let name = format!("{}.{ending}", asset.asset.asset.name);
    let at = jiff::Timestamp::from_microsecond(state.now().micros()).map_err(Problem::internal)?;
    let bytes = tokio::task::spawn_blocking(move || {
        let stamp = Stamp {
            id: uuid::Uuid::now_v7(),
            at,
            version: env!("CARGO_PKG_VERSION"),
        };
        write(&as_inventory(&asset, parts), &stamp)
    })
    .await
    .map_err(Problem::internal)?;
    let headers = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (header::CONTENT_DISPOSITION, attachment(&name)),
    ];
    Ok((headers, bytes).into_response())
}
