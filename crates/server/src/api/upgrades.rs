//! Which upgrade closes most, and who has a package.

use super::components::Paged;
use super::inventories::{PlaceView, hits};
use super::sorted::cut;
use super::view::{BySeverity, SeverityWord, Total, bad_field, given, sought};
use crate::auth::Caller;
use crate::error::ApiResult;
use crate::extract::{Json, Query};
use crate::matching::Kept;
use crate::route;
use crate::route::Route;
use crate::state::AppState;
use axum::extract::State;
use bartizan_model::{Purl, Severity};
use bartizan_store::components::{FixRow, MatchRow};
use bartizan_vuln::Scheme;
use bartizan_vuln::matching::Standing;
use bartizan_vuln::priority::Level;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use utoipa::{IntoParams, ToSchema};

/// Components whose upgrades are weighed.
const WEIGHED: u32 = 2_000;

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![route!(Viewer, list_fixes), route!(Viewer, list_holders)]
}

/// Which upgrades.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FixQuery {
    /// Of one scope.
    scope: Option<String>,
    /// Part of the package's name, or of the id of a vulnerability that it closes.
    q: Option<String>,
    /// Where the page begins; from an earlier page.
    cursor: Option<String>,
    /// 1 to 200; 50 by default.
    limit: Option<u32>,
}

/// A vulnerability that an upgrade closes.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ClosedView {
    id: String,
    title: String,
    #[schema(value_type = SeverityWord)]
    severity: Severity,
    /// `act`, `attend`, `track-closely` or `track`.
    #[schema(value_type = String)]
    level: Level,
}

/// One upgrade: a package, from whichever versions of it there are.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Upgrade)]
pub(crate) struct FixView {
    /// The package without a version.
    package: String,
    name: String,
    ecosystem: String,
    /// The versions that are there now and are affected.
    from: Vec<String>,
    /// The lowest version that closes all that have a fix; the highest of their fixes.
    upgrade_to: String,
    /// Assets that have one of these versions.
    assets: u64,
    /// Findings that the upgrade closes, over all assets; accepted ones count.
    closes: u64,
    /// Findings of these versions that it does not close: no fix is known, or it cannot be said
    /// whether they are hit.
    leaves: u64,
    /// `act`, `attend`, `track-closely` or `track`: the most urgent that it closes.
    #[schema(value_type = String)]
    level: Level,
    /// Why, of the most urgent.
    reasons: Vec<String>,
    /// The vulnerabilities that it closes, by severity.
    severities: BySeverity,
    /// The same, the most urgent first.
    vulnerabilities: Vec<ClosedView>,
}

/// Upgrades, the most urgent first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UpgradePage)]
pub(crate) struct FixPage {
    items: Vec<FixView>,
    next_cursor: Option<String>,
    /// Capped where not every component was weighed.
    total: Total,
}

/// The higher of two fixes; what has no order stays behind what has.
pub(super) fn higher(scheme: Scheme, a: &str, b: &str) -> Ordering {
    scheme.compare(a, b).unwrap_or_else(|| a.cmp(b))
}

/// Versions of a package with what is said of each.
#[derive(Debug, Default)]
struct Package {
    versions: Vec<(FixRow, Vec<Kept>)>,
}

/// What an upgrade does to one finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Closed,
    Left,
}

fn fate(kept: &Kept) -> Option<Fate> {
    match &kept.matched.standing {
        Standing::Affected if kept.matched.fixed.is_some() => Some(Fate::Closed),
        Standing::Affected | Standing::Unknown { .. } => Some(Fate::Left),
        Standing::Excused { .. } => None,
    }
}

impl Package {
    fn closed(&self) -> impl Iterator<Item = &Kept> {
        let all = self.versions.iter().flat_map(|(_, kept)| kept);
        all.filter(|kept| fate(kept) == Some(Fate::Closed))
    }

    /// About how many findings it closes: those of an asset with several versions count twice.
    fn about(&self) -> u64 {
        let of = |(row, kept): &(FixRow, Vec<Kept>)| {
            let closed = kept.iter().filter(|k| fate(k) == Some(Fate::Closed));
            closed.count() as u64 * row.assets
        };
        self.versions.iter().map(of).sum()
    }

    /// What it closes and leaves, and on how many assets: a finding is a vulnerability of a
    /// package on an asset, so that it is closed when each of its versions there is.
    fn count(&self, held: &HashMap<i64, Vec<i64>>) -> (u64, u64, u64) {
        let mut fates: HashMap<(i64, &str), Fate> = HashMap::new();
        let mut assets = BTreeSet::new();
        for (row, kept) in &self.versions {
            for asset in held.get(&row.part.id).into_iter().flatten() {
                for one in kept {
                    let Some(fate) = fate(one) else {
                        continue;
                    };
                    assets.insert(*asset);
                    let known = fates
                        .entry((*asset, one.matched.vulnerability.as_str()))
                        .or_insert(fate);
                    if fate == Fate::Left {
                        *known = fate;
                    }
                }
            }
        }
        let closed = fates.values().filter(|f| **f == Fate::Closed).count();
        let left = fates.len() - closed;
        (assets.len() as u64, closed as u64, left as u64)
    }

    fn view(&self, held: &HashMap<i64, Vec<i64>>) -> Option<FixView> {
        let one = &self.versions.first()?.0.part.component;
        let scheme = Scheme::of(one.ecosystem.kind);
        let upgrade_to = self
            .closed()
            .filter_map(|k| k.matched.fixed.as_deref())
            .max_by(|a, b| higher(scheme, a, b))?;
        let mut by_id: BTreeMap<&str, &Kept> = BTreeMap::new();
        for kept in self.closed() {
            let known = by_id.entry(&kept.matched.vulnerability).or_insert(kept);
            if kept.priority.order() > known.priority.order() {
                *known = kept;
            }
        }
        let mut distinct: Vec<&Kept> = by_id.into_values().collect();
        distinct.sort_by_key(|k| std::cmp::Reverse((k.priority.order(), k.severity.rank())));
        let first = distinct.first()?;
        let mut severities = BySeverity::default();
        for kept in &distinct {
            *severities.slot(kept.severity) += 1;
        }
        let mut from: Vec<String> = self
            .versions
            .iter()
            .filter(|(_, kept)| kept.iter().any(|k| fate(k).is_some()))
            .filter_map(|(row, _)| row.part.component.version())
            .map(|version| version.into_owned())
            .collect();
        from.sort_by(|a, b| higher(scheme, a, b));
        from.dedup();
        let (assets, closes, leaves) = self.count(held);
        Some(FixView {
            package: one.purl.package().to_string(),
            name: one.name().into_owned(),
            ecosystem: one.ecosystem.to_string(),
            from,
            upgrade_to: upgrade_to.to_owned(),
            assets,
            closes,
            leaves,
            level: first.priority.level,
            reasons: first.priority.reasons.clone(),
            severities,
            vulnerabilities: distinct
                .iter()
                .map(|kept| ClosedView {
                    id: kept.matched.vulnerability.clone(),
                    title: kept.title.clone(),
                    severity: kept.severity,
                    level: kept.priority.level,
                })
                .collect(),
        })
    }
}

/// Which upgrade closes most, the most urgent first.
#[utoipa::path(get, path = "/vulnerabilities/fixes", tag = "vulnerabilities",
    operation_id = "listFixes", params(FixQuery),
    responses((status = 200, body = FixPage)))]
pub(crate) async fn list_fixes(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<FixQuery>,
) -> ApiResult<Json<FixPage>> {
    let page = Paged::of(query.cursor, query.limit)?;
    let scope = given(query.scope);
    let sought = sought(query.q);
    let tenant = state.store.tenant(&caller.tenant).await?;
    let burdens = tenant.component_burdens(WEIGHED, scope.as_deref()).await?;
    let capped = burdens.len() as u64 >= u64::from(WEIGHED);
    let mut packages: BTreeMap<(String, String), Package> = BTreeMap::new();
    for row in burdens {
        let one = &row.part.component;
        let key = (one.purl.package().to_string(), one.ecosystem.to_string());
        let said = hits(&row.said);
        packages.entry(key).or_default().versions.push((row, said));
    }
    let mut rows = Vec::new();
    for (key, package) in packages {
        let found = |text: &str| text.to_lowercase().contains(&sought);
        let named = || {
            let name = package.versions.first();
            name.is_some_and(|(row, _)| found(&row.part.component.name()))
                || package.closed().any(|k| found(&k.matched.vulnerability))
        };
        let Some(level) = package.closed().map(|k| k.priority.level).max() else {
            continue;
        };
        if !(sought.is_empty() || named()) {
            continue;
        }
        let about = i64::try_from(package.about()).unwrap_or(i64::MAX);
        rows.push(((-(level as i64), -about, key), package));
    }
    let total = Total {
        count: rows.len() as u64,
        capped,
    };
    let (rows, next_cursor) = cut(rows, &page)?;
    let parts: Vec<i64> = rows
        .iter()
        .flat_map(|package| package.versions.iter().map(|(row, _)| row.part.id))
        .collect();
    let mut held: HashMap<i64, Vec<i64>> = HashMap::new();
    for (asset, part) in tenant.held(&parts, scope.as_deref()).await? {
        held.entry(part).or_default().push(asset);
    }
    Ok(Json(FixPage {
        items: rows.iter().filter_map(|p| p.view(&held)).collect(),
        next_cursor,
        total,
    }))
}

/// Which package.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HolderQuery {
    /// The package's purl without a version, `pkg:npm/left-pad`.
    package: String,
    /// Of one scope.
    scope: Option<String>,
    /// Where the page begins; from an earlier page.
    cursor: Option<String>,
    /// 1 to 200; 50 by default.
    limit: Option<u32>,
}

/// An asset that has a package.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Holder)]
pub(crate) struct HolderView {
    asset: String,
    scope: String,
    kind: String,
    name: String,
    purl: String,
    version: Option<String>,
    ecosystem: String,
    found: Vec<PlaceView>,
    /// Vulnerabilities that hit this version.
    affected: u64,
}

/// A page of them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HolderPage)]
pub(crate) struct HolderPage {
    items: Vec<HolderView>,
    next_cursor: Option<String>,
}

/// List who has a package, in which version and where.
#[utoipa::path(get, path = "/components/holders", tag = "vulnerabilities",
    operation_id = "listHolders", params(HolderQuery),
    responses((status = 200, body = HolderPage)))]
pub(crate) async fn list_holders(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<HolderQuery>,
) -> ApiResult<Json<HolderPage>> {
    let page = Paged::of(query.cursor, query.limit)?;
    let package: Purl = query
        .package
        .parse()
        .map_err(|error| bad_field("package", format_args!("{error}.")))?;
    let package = package.package();
    let scope = given(query.scope);
    let tenant = state.store.tenant(&caller.tenant).await?;
    let parts = tenant.parts_of_package(&package).await?;
    let ids: Vec<i64> = parts.iter().map(|part| part.id).collect();
    let said = tenant.matches_of(&ids, None).await?;
    let found = tenant.holder_page(&ids, scope.as_deref(), &page).await?;
    let parts: HashMap<i64, _> = parts.into_iter().map(|p| (p.id, p.component)).collect();
    let affected = |rows: &Vec<MatchRow>| {
        let kept = hits(rows);
        let hit = |k: &&Kept| k.matched.standing == Standing::Affected;
        kept.iter().filter(hit).count() as u64
    };
    let items = found
        .items
        .into_iter()
        .filter_map(|row| {
            let component = parts.get(&row.part)?;
            let asset = row.asset.asset;
            Some(HolderView {
                asset: asset.asset.uid.to_string(),
                scope: asset.scope,
                kind: asset.asset.kind,
                name: asset.asset.name,
                purl: component.purl.to_string(),
                version: component.version().map(|v| v.into_owned()),
                ecosystem: component.ecosystem.to_string(),
                found: row.found.into_iter().map(PlaceView::from).collect(),
                affected: said.get(&row.part).map(affected).unwrap_or_default(),
            })
        })
        .collect();
    Ok(Json(HolderPage {
        items,
        next_cursor: found.next_cursor,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_model::{AssetUid, Component, Ecosystem};
    use bartizan_store::components::Part;

    #[test]
    fn what_does_not_read_is_left() {
        let said = MatchRow {
            vulnerability: "CVE-2026-0001".into(),
            body: "{broken".into(),
        };
        let component = Component {
            purl: "pkg:npm/a@1".parse().unwrap(),
            ecosystem: Ecosystem::parse("npm"),
            source: None,
            licences: vec![],
            found: vec![],
            target: AssetUid::new("host:a").unwrap(),
        };
        let kept = hits(std::slice::from_ref(&said));
        let row = FixRow {
            part: Part { id: 7, component },
            assets: 1,
            said: vec![said],
        };
        let package = Package {
            versions: vec![(row, kept)],
        };
        let held = HashMap::from([(7, vec![1])]);
        assert_eq!(package.count(&held), (1, 0, 1));
    }
}
