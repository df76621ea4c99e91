//! What is marked becomes results; what differs from what was reported is reported.
//!
//! Reports are partial: they close what they name and nothing else. Marks go only after the
//! report was imported, so a crash reports again, which changes nothing.

use super::MatchingError;
use super::judge::Kept;
use super::results::{self, Said};
use crate::state::AppState;
use crate::work::intake::{await_job, submit_report};
use bartizan_model::report::Report;
use bartizan_model::{
    Check, CheckResult, CheckUid, Digest, JobId, Observation, Outcome, Scan, ScanId, Scope,
};
use bartizan_store::components::{Hit, Holder, KeptAsset, Part, Pending};
use bartizan_store::queue::JobState;
use bartizan_store::{StoreError, TenantStore};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// Assets whose whole inventory is derived at once.
const WHOLE: usize = 400;
/// Results in one report.
const MOST: usize = 20_000;
/// How long an import may take.
const PATIENCE: Duration = Duration::from_secs(900);
/// The source of these reports.
pub const SOURCE: &str = "bartizan/vulnerabilities";
/// Under what the wholeness of an inventory is remembered.
const UNREAD: &str = "!inventory";

/// A finding's place: asset, vulnerability, locus.
type Place = (i64, String, String);

/// What one batch comes to.
#[derive(Default)]
struct Derived {
    checks: BTreeMap<CheckUid, Check>,
    results: BTreeMap<i64, Vec<CheckResult>>,
    reported: Vec<Hit>,
    closed: Vec<Hit>,
    /// Assets of which nothing can be reported, with the reason.
    refused: Refused,
}

/// Assets that are left out for now, each with the reason.
pub type Refused = BTreeMap<i64, String>;

/// Derives the next marks; how many there were. Those of assets that change meanwhile, or of
/// which a component was never matched, stay: nothing said of a component is not yet "not affected".
/// An asset whose report is not taken is added to `refused` and does not hold up the others; who is
/// in there is passed over.
pub async fn derive(
    state: &AppState,
    tenant: &TenantStore,
    refused: &mut Refused,
) -> Result<usize, MatchingError> {
    // Asked before anything is read, so that what changes meanwhile is seen by its mark.
    let newest = tenant.newest_mark().await?;
    let mut marks = tenant.pending_components().await?;
    marks.retain(|mark| !refused.contains_key(&mark.asset));
    let found = marks.len();
    if found == 0 {
        return Ok(0);
    }
    let mut whole = BTreeSet::new();
    let mut single: BTreeMap<String, Vec<Pending>> = BTreeMap::new();
    for mark in &marks {
        if mark.vulnerability.is_empty() {
            whole.insert(mark.asset);
        }
    }
    let mut settled: Vec<Pending> = Vec::new();
    let taken: BTreeSet<i64> = whole.iter().copied().take(WHOLE).collect();
    for mark in marks {
        if taken.contains(&mark.asset) {
            settled.push(mark);
        } else if whole.is_empty() {
            single
                .entry(mark.vulnerability.clone())
                .or_default()
                .push(mark);
        }
    }
    let mut derived = Derived::default();
    let mut assets: BTreeSet<i64> = taken.clone();
    if taken.is_empty() {
        for (vulnerability, marks) in single {
            let of: Vec<i64> = marks.iter().map(|m| m.asset).collect();
            assets.extend(&of);
            one(tenant, &vulnerability, &of, &mut derived).await?;
            settled.extend(marks);
        }
    } else {
        let of: Vec<i64> = taken.into_iter().collect();
        all(tenant, &of, &mut derived).await?;
    }
    let unsettled = tenant.unsettled_assets(newest).await?;
    derived.leave_out(&unsettled);
    settled.retain(|mark| !unsettled.contains(&mark.asset));
    derived.leave_out_refused();
    let assets: Vec<i64> = assets.into_iter().collect();
    report(state, tenant, &assets, &mut derived).await?;
    derived.leave_out_refused();
    settled.retain(|mark| !derived.refused.contains_key(&mark.asset));
    tenant
        .settle_components(&derived.reported, &derived.closed, &settled)
        .await?;
    refused.append(&mut derived.refused);
    Ok(found)
}

/// Everything about some assets.
async fn all(
    tenant: &TenantStore,
    assets: &[i64],
    derived: &mut Derived,
) -> Result<(), MatchingError> {
    let holders = tenant.matched_parts(assets).await?;
    let held = tenant.component_hits(assets).await?;
    let (parts, kept) = said(tenant, &holders, None).await?;
    let wholes: Vec<KeptAsset> = tenant.component_assets_by_id(assets).await?;
    compare(tenant, &holders, &parts, &kept, held, &wholes, derived).await
}

/// One vulnerability of some assets.
async fn one(
    tenant: &TenantStore,
    vulnerability: &str,
    assets: &[i64],
    derived: &mut Derived,
) -> Result<(), MatchingError> {
    let wanted: BTreeSet<i64> = assets.iter().copied().collect();
    let parts = tenant.parts_hit_any(&[vulnerability.to_owned()]).await?;
    let parts: Vec<i64> = parts.into_iter().collect();
    let mut holders = tenant.holders(&parts).await?;
    holders.retain(|h| wanted.contains(&h.asset));
    let held = tenant.component_hits_of(assets, vulnerability).await?;
    let (parts, kept) = said(tenant, &holders, Some(vulnerability)).await?;
    compare(tenant, &holders, &parts, &kept, held, &[], derived).await
}

/// The components of holders, and what is said of each.
async fn said(
    tenant: &TenantStore,
    holders: &[Holder],
    only: Option<&str>,
) -> Result<(HashMap<i64, Part>, HashMap<i64, Vec<Kept>>), MatchingError> {
    let ids: BTreeSet<i64> = holders.iter().map(|h| h.part).collect();
    let ids: Vec<i64> = ids.into_iter().collect();
    let parts = tenant.parts(&ids).await?;
    let parts = parts.into_iter().map(|p| (p.id, p)).collect();
    let mut kept: HashMap<i64, Vec<Kept>> = HashMap::new();
    for (part, rows) in tenant.matches_of(&ids, only).await? {
        for row in rows {
            let one = serde_json::from_str(&row.body).map_err(StoreError::from)?;
            kept.entry(part).or_default().push(one);
        }
    }
    Ok((parts, kept))
}

async fn compare(
    tenant: &TenantStore,
    holders: &[Holder],
    parts: &HashMap<i64, Part>,
    kept: &HashMap<i64, Vec<Kept>>,
    held: Vec<Hit>,
    wholes: &[KeptAsset],
    derived: &mut Derived,
) -> Result<(), MatchingError> {
    let ids: BTreeSet<i64> = holders
        .iter()
        .map(|h| h.asset)
        .chain(held.iter().map(|h| h.asset))
        .collect();
    let ids: Vec<i64> = ids.into_iter().collect();
    let uids: HashMap<i64, bartizan_model::AssetUid> = tenant
        .component_assets_by_id(&ids)
        .await?
        .into_iter()
        .map(|a| (a.id, a.asset.asset.uid))
        .collect();
    let mut grouped: BTreeMap<Place, Vec<Said<'_>>> = BTreeMap::new();
    for holder in holders {
        let Some(part) = parts.get(&holder.part) else {
            continue;
        };
        for kept in kept.get(&holder.part).into_iter().flatten() {
            let place = (
                holder.asset,
                kept.matched.vulnerability.clone(),
                results::locus(&part.component),
            );
            grouped.entry(place).or_default().push(Said {
                component: &part.component,
                found: &holder.found,
                kept,
            });
        }
    }
    let mut before: HashMap<Place, Vec<u8>> = held
        .into_iter()
        .map(|h| ((h.asset, h.vulnerability, h.locus), h.digest))
        .collect();
    for ((asset, vulnerability, locus), all) in grouped {
        let Some(uid) = uids.get(&asset) else {
            continue;
        };
        let worded = results::result(uid, &all).and_then(|result| {
            let worst = all.iter().max_by_key(|s| s.kept.severity);
            let check = worst.map(|s| results::check(s.kept)).transpose()?;
            Ok(result.map(|result| (check, result)))
        });
        let (check, result) = match worded {
            Ok(Some(worded)) => worded,
            Ok(None) => continue,
            Err(error) => {
                derived.refused.insert(asset, error.to_string());
                continue;
            }
        };
        let text = serde_json::to_string(&(&check, &result)).map_err(StoreError::from)?;
        let digest = Hit::digest(&text);
        let place = (asset, vulnerability, locus);
        if before.remove(&place).as_ref() == Some(&digest) {
            continue;
        }
        let (asset, vulnerability, locus) = place;
        derived.put(asset, vulnerability, locus, digest, check, result);
    }
    for asset in wholes {
        let unread = &asset.asset.unread;
        let place = (asset.id, UNREAD.to_owned(), String::new());
        let known = before.remove(&place);
        if unread.is_empty() && known.is_none() {
            continue;
        }
        let (check, result) =
            results::whole(&asset.asset.asset.uid, unread).map_err(StoreError::from)?;
        if unread.is_empty() {
            derived.close(place, result);
            derived.checks.entry(check.uid.clone()).or_insert(check);
            continue;
        }
        let text = serde_json::to_string(&result).map_err(StoreError::from)?;
        let digest = Hit::digest(&text);
        if known.as_ref() != Some(&digest) {
            let (asset, vulnerability, locus) = place;
            derived.put(asset, vulnerability, locus, digest, Some(check), result);
        }
    }
    for place in before.into_keys() {
        let Some(uid) = uids.get(&place.0) else {
            continue;
        };
        let check = results::check_uid(&place.1).map_err(StoreError::from)?;
        let mut result = CheckResult::whole(&check, uid, Outcome::Pass);
        result.locus.clone_from(&place.2);
        "No component of the asset is affected any more.".clone_into(&mut result.message);
        derived.close(place, result);
    }
    Ok(())
}

impl Derived {
    fn refuse(&mut self, assets: Vec<i64>, why: &str) {
        let all = assets.into_iter().map(|asset| (asset, why.to_owned()));
        self.refused.extend(all);
    }

    fn leave_out_refused(&mut self) {
        let refused: BTreeSet<i64> = self.refused.keys().copied().collect();
        self.leave_out(&refused);
    }

    /// Forgets what was derived of some assets.
    fn leave_out(&mut self, assets: &BTreeSet<i64>) {
        self.results.retain(|asset, _| !assets.contains(asset));
        self.reported.retain(|hit| !assets.contains(&hit.asset));
        self.closed.retain(|hit| !assets.contains(&hit.asset));
    }

    fn put(
        &mut self,
        asset: i64,
        vulnerability: String,
        locus: String,
        digest: Vec<u8>,
        check: Option<Check>,
        result: CheckResult,
    ) {
        if let Some(check) = check {
            let severity = check.severity;
            let known = self.checks.entry(check.uid.clone()).or_insert(check);
            known.severity = known.severity.max(severity);
        }
        self.results.entry(asset).or_default().push(result);
        self.reported.push(Hit {
            asset,
            vulnerability,
            locus,
            digest,
        });
    }

    fn close(&mut self, (asset, vulnerability, locus): Place, result: CheckResult) {
        self.results.entry(asset).or_default().push(result);
        self.closed.push(Hit {
            asset,
            vulnerability,
            locus,
            digest: Vec::new(),
        });
    }
}

/// Hands in a report a scope, and waits until all are imported.
async fn report(
    state: &AppState,
    tenant: &TenantStore,
    assets: &[i64],
    derived: &mut Derived,
) -> Result<(), MatchingError> {
    let mut scopes: BTreeMap<String, Vec<KeptAsset>> = BTreeMap::new();
    let with_results: Vec<i64> = assets
        .iter()
        .copied()
        .filter(|id| derived.results.contains_key(id))
        .collect();
    for asset in tenant.component_assets_by_id(&with_results).await? {
        scopes
            .entry(asset.asset.scope.clone())
            .or_default()
            .push(asset);
    }
    let mut jobs: Vec<(JobId, Vec<i64>)> = Vec::new();
    for (scope, assets) in scopes {
        let mut batch = Batch::default();
        let mut assets = assets.into_iter().peekable();
        while let Some(asset) = assets.next() {
            batch
                .results
                .extend(derived.results.remove(&asset.id).unwrap_or_default());
            batch.observations.push(observation(&asset));
            batch.assets.push(asset.id);
            if batch.results.len() < MOST && assets.peek().is_some() {
                continue;
            }
            let whole = std::mem::take(&mut batch);
            let of = whole.assets.clone();
            match hand_in(state, tenant, &scope, &derived.checks, whole).await {
                Ok(job) => jobs.push((job, of)),
                Err(MatchingError::Report(why)) => derived.refuse(of, &why),
                Err(error) => return Err(error),
            }
        }
    }
    for (job, of) in jobs {
        match imported(tenant, &job).await {
            Ok(()) => {}
            Err(MatchingError::Report(why)) => derived.refuse(of, &why),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What goes into one report.
#[derive(Default)]
struct Batch {
    assets: Vec<i64>,
    observations: Vec<Observation>,
    results: Vec<CheckResult>,
}

fn observation(asset: &KeptAsset) -> Observation {
    let body = json!({
        "inventory": asset.asset.source,
        "taken": asset.at,
        "unread": asset.asset.unread.len(),
    });
    Observation {
        asset: asset.asset.asset.clone(),
        kind: "inventory".to_owned(),
        digest: Digest::of(body.to_string().as_bytes()),
        body,
        location: None,
    }
}

async fn hand_in(
    state: &AppState,
    tenant: &TenantStore,
    scope: &str,
    checks: &BTreeMap<CheckUid, Check>,
    batch: Batch,
) -> Result<JobId, MatchingError> {
    let now = state.now();
    let scope = Scope::parse(scope).map_err(|e| MatchingError::Report(e.to_string()))?;
    let named: BTreeSet<&CheckUid> = batch.results.iter().map(|r| &r.check).collect();
    let report = Report {
        scan: Scan {
            id: ScanId::new(format!("vuln-{}", uuid::Uuid::now_v7())).map_err(StoreError::from)?,
            source: SOURCE.to_owned(),
            source_version: env!("CARGO_PKG_VERSION").to_owned(),
            scope,
            complete: false,
            started: now,
            finished: now,
            content: Vec::new(),
        },
        checks: named
            .into_iter()
            .filter_map(|uid| checks.get(uid).cloned())
            .collect(),
        observations: batch.observations,
        results: batch.results,
    };
    let (bytes, _) = bartizan_formats::report::write_report(Vec::new(), &report)
        .map_err(|e| MatchingError::Report(e.to_string()))?;
    let body = futures::stream::iter([Ok::<_, std::convert::Infallible>(bytes.into())]);
    Ok(submit_report(state, tenant, body, "system").await?)
}

/// Waits for an import; one that was passed over as stale is an error, and done again.
async fn imported(tenant: &TenantStore, id: &JobId) -> Result<(), MatchingError> {
    let job = await_job(tenant, id, PATIENCE).await?;
    if job.state == JobState::Failed {
        let why = job
            .error
            .unwrap_or_else(|| "it does not say why".to_owned());
        return Err(MatchingError::Report(why));
    }
    let scan = match &job.scan {
        Some(scan) => tenant.scan(scan).await?,
        None => None,
    };
    if scan.is_some_and(|scan| scan.stale) {
        let why = "a newer report of the same source came first";
        return Err(MatchingError::Report(why.to_owned()));
    }
    Ok(())
}
