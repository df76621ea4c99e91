//! What hits an asset, and what advisories say, in the forms of other tools.

use crate::auth::Caller;
use crate::error::{ApiResult, Problem};
use crate::extract::{Json, Path, Query};
use crate::matching::{Kept, export, judge, results};
use crate::route;
use crate::route::Route;
use crate::state::AppState;
use crate::vulnerabilities::record;
use axum::extract::State;
use bartizan_model::{AssetUid, Component, Timestamp};
use bartizan_report::software::{self, Software};
use bartizan_store::{Store, TenantStore};
use bartizan_vuln::Record;
use bartizan_vuln::feeds::osv_write;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![route!(Viewer, export_asset), route!(Viewer, export_osv)]
}

/// Everything that hits an asset; none when it has no inventory.
async fn software(
    store: &Store,
    tenant: &TenantStore,
    uid: &AssetUid,
) -> ApiResult<Option<Software>> {
    let Some((kept, parts)) = tenant.components_of(uid).await? else {
        return Ok(None);
    };
    let mut matches = tenant.matches_in(kept.id).await?;
    let mut unread = kept.asset.unread;
    let components: Vec<Component> = parts.iter().map(|p| p.component.clone()).collect();
    let mut said = Vec::with_capacity(parts.len());
    for part in &parts {
        let mut all = Vec::new();
        for one in matches.remove(&part.id).unwrap_or_default() {
            match serde_json::from_str::<Kept>(&one.body) {
                Ok(kept) => all.push(kept),
                Err(error) => unread.push(format!(
                    "what is said of {} and {} does not read: {error}",
                    part.component.purl, one.vulnerability
                )),
            }
        }
        said.push(all);
    }
    // Nothing said yet is not "not affected".
    let waiting = tenant.unmatched_of(kept.id).await?;
    if waiting > 0 {
        unread.push(format!(
            "{waiting} packages were not held against advisories yet"
        ));
    }
    let uncovered = judge::uncovered(store, &components).await?;
    unread.extend(results::uncovered(&uncovered));
    let asset = kept.asset.asset;
    Ok(Some(Software {
        uid: uid.to_string(),
        purl: export::purl(&asset.kind, &asset.name, None),
        name: asset.name,
        kind: asset.kind,
        generator: concat!("bartizan ", env!("CARGO_PKG_VERSION")).to_owned(),
        at: kept.at,
        packages: components.len(),
        rows: export::rows(&components, &said),
        unread,
    }))
}

/// Which asset, and how.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportQuery {
    /// The asset's uid.
    asset: String,
    /// `trivy`, `openvex` or `cyclonedx` (VEX).
    format: String,
}

/// What hits an asset, as other tools write it.
///
/// `trivy` is the shape of `trivy --format json`; `openvex` is OpenVEX 0.2.0; `cyclonedx` is a
/// CycloneDX 1.6 VEX document. What is excused stays in each, with its reason.
#[utoipa::path(get, path = "/vulnerabilities/export", tag = "vulnerabilities",
    operation_id = "exportVulnerabilities", params(ExportQuery),
    responses((status = 200, body = Object)))]
pub(crate) async fn export_asset(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<ExportQuery>,
) -> ApiResult<Json<Value>> {
    let write = match query.format.as_str() {
        "trivy" => software::trivy,
        "openvex" => software::openvex,
        "cyclonedx" => software::cyclonedx_vex,
        other => {
            let other: String = other.chars().take(40).collect();
            return Err(Problem::bad_request(
                "bad_parameter",
                format!("`format`: {other:?} is not one of trivy, openvex, cyclonedx."),
            ));
        }
    };
    let tenant = state.store.tenant(&caller.tenant).await?;
    let uid = AssetUid::new(query.asset)?;
    software(&state.store, &tenant, &uid)
        .await?
        .map(|software| Json(write(&software)))
        .ok_or_else(|| Problem::not_found(format_args!("inventory of {uid}")))
}

/// What advisories say of a vulnerability, as OSV records.
///
/// By any of its names. `unreadable` tells of advisories that are held and do not read.
#[utoipa::path(get, path = "/vulnerabilities/{id}/osv", tag = "vulnerabilities",
    operation_id = "exportOsv", params(("id" = String, Path)),
    responses((status = 200, body = Object)))]
pub(crate) async fn export_osv(
    State(state): State<AppState>,
    _caller: Caller,
    Path(id): Path<String>,
) -> ApiResult<Json<Value>> {
    osv(&state.store, &id, state.now()).await.map(Json)
}

/// As `GET /vulnerabilities/{id}/osv` answers.
pub async fn osv(store: &Store, id: &str, now: Timestamp) -> ApiResult<Value> {
    let known = store.vulnerabilities();
    let names = known.names(id).await?;
    let (mut records, mut unreadable) = (Vec::new(), Vec::new());
    for stored in known.advisories_of(&names).await? {
        match record(&stored) {
            Ok(Some(Record::Advisory(advisory))) => records.push(osv_write::write(&advisory, now)),
            Ok(_) => {}
            Err(error) => unreadable.push(error.to_string()),
        }
    }
    if records.is_empty() && unreadable.is_empty() {
        return Err(Problem::not_found(format_args!("advisory about {id:?}")));
    }
    Ok(json!({"vulns": records, "unreadable": unreadable}))
}
