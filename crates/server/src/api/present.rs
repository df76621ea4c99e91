//! Vulnerabilities of what this tenant has: what to do first, where, and why.

use super::components::Paged;
use super::sorted::cut;
use super::view::{BySeverity, SeverityWord, Total, given, sought, words};
use crate::auth::Caller;
use crate::error::ApiResult;
use crate::extract::{Json, Query};
use crate::matching::{Kept, results};
use crate::route;
use crate::route::Route;
use crate::state::AppState;
use axum::extract::State;
use bartizan_model::{FindingStatus, Severity};
use bartizan_store::TenantStore;
use bartizan_store::components::SaidRow;
use bartizan_vuln::matching::{Confidence, Match, Standing};
use bartizan_vuln::priority::{Facts, Level, Priority, judge};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use utoipa::{IntoParams, ToSchema};

/// Where the checks of vulnerabilities begin.
pub(crate) const CHECKS: &str = "vuln/advisory/";
/// What is said of components is read so many at a time.
const READ: u32 = 5_000;
/// Packages that a line names.
const NAMED: usize = 3;

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![route!(Viewer, list_present)]
}

/// Which of them, in which order.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PresentQuery {
    /// Of one scope.
    scope: Option<String>,
    /// Part of an id, of another name or of the title.
    q: Option<String>,
    /// Severities, separated by commas.
    severity: Option<String>,
    /// Levels, separated by commas: `act`, `attend`, `track-closely`, `track`.
    level: Option<String>,
    /// `priority` (default), `severity` or `findings`; the first thing first.
    sort: Option<String>,
    /// Where the page begins; from an earlier page.
    cursor: Option<String>,
    /// 1 to 200; 50 by default.
    limit: Option<u32>,
}

/// How many stand on each level.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
pub(crate) struct ByLevel {
    /// To be done now.
    act: u64,
    /// Sooner than the regular update.
    attend: u64,
    /// To be watched closely.
    track_closely: u64,
    /// With the regular update.
    track: u64,
}

impl ByLevel {
    fn slot(&mut self, level: Level) -> &mut u64 {
        match level {
            Level::Act => &mut self.act,
            Level::Attend => &mut self.attend,
            Level::TrackClosely => &mut self.track_closely,
            Level::Track => &mut self.track,
        }
    }
}

/// A vulnerability of what this tenant has.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PresentVulnerability)]
pub(crate) struct PresentView {
    id: String,
    title: String,
    /// Its other names.
    also: Vec<String>,
    #[schema(value_type = SeverityWord)]
    severity: Severity,
    /// The CVSS base score that counts.
    score: Option<f32>,
    /// `act`, `attend`, `track-closely` or `track`.
    #[schema(value_type = String)]
    level: Level,
    /// Why, the weightiest first.
    reasons: Vec<String>,
    /// The check of its findings.
    check: String,
    /// Findings that need work.
    open: u64,
    /// Findings that somebody accepted, or ruled false.
    accepted: u64,
    /// Results of which it cannot be told whether it hits.
    unknown: u64,
    /// Assets that have one of the components.
    assets: u64,
    /// Distinct components that it is about.
    components: u64,
    /// How many of these have a fix.
    fixable: u64,
    /// The first packages by name.
    packages: Vec<String>,
}

/// A page of them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PresentPage {
    items: Vec<PresentView>,
    next_cursor: Option<String>,
    total: Total,
    /// All that match but for severity and level, by severity.
    severities: BySeverity,
    /// The same by level.
    levels: ByLevel,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    open: u64,
    accepted: u64,
    unknown: u64,
}

/// What stands for a match that does not read: whether it hits cannot be said.
fn unreadable(id: &str) -> Kept {
    Kept {
        matched: Match {
            vulnerability: id.to_owned(),
            names: vec![id.to_owned()],
            advisories: Vec::new(),
            standing: Standing::Unknown {
                why: "what is kept of it does not read".to_owned(),
            },
            state: bartizan_vuln::State::UnderInvestigation,
            because: String::new(),
            fixed: None,
            conditions: Vec::new(),
            confidence: Confidence::Package,
        },
        title: String::new(),
        severity: Severity::Medium,
        score: None,
        priority: judge(&Facts::default()),
        references: Vec::new(),
    }
}

/// What is kept of a match.
pub(super) fn read(id: &str, body: &str) -> Kept {
    serde_json::from_str(body).unwrap_or_else(|_| unreadable(id))
}

/// Of what is said of a component, what decides a place. Components of different distributions
/// may be hit in different measure: the worst counts.
#[derive(Debug, Clone, Deserialize)]
struct Brief {
    names: Vec<String>,
    #[serde(default)]
    title: String,
    severity: Severity,
    priority: Priority,
}

impl Brief {
    fn read(id: &str, body: &str) -> Self {
        serde_json::from_str(body).unwrap_or_else(|_| {
            let kept = unreadable(id);
            Self {
                names: kept.matched.names,
                title: kept.title,
                severity: kept.severity,
                priority: kept.priority,
            }
        })
    }

    fn with(&mut self, other: Self) {
        if other.severity.rank() > self.severity.rank() {
            self.severity = other.severity;
        }
        if other.priority.order() > self.priority.order() {
            self.priority = other.priority;
        }
    }
}

/// What hits what is there, by vulnerability.
async fn briefs(tenant: &TenantStore, scope: Option<&str>) -> ApiResult<Vec<(String, Brief)>> {
    let mut all: Vec<(String, Brief)> = Vec::new();
    let mut after = None;
    loop {
        let rows = tenant.present(scope, after.as_ref(), READ).await?;
        let full = rows.len() >= READ as usize;
        after = rows.last().map(|row| (row.vulnerability.clone(), row.part));
        for row in rows {
            let brief = Brief::read(&row.vulnerability, &row.body);
            match all.last_mut() {
                Some((id, known)) if *id == row.vulnerability => known.with(brief),
                _ => all.push((row.vulnerability, brief)),
            }
        }
        if !full {
            return Ok(all);
        }
    }
}

fn level(word: &str) -> Option<Level> {
    serde_json::from_value(word.into()).ok()
}

fn view(id: &str, brief: &Brief, said: &[&SaidRow], counts: Counts, assets: u64) -> PresentView {
    let (mut fixable, mut score) = (0, None);
    let mut packages = BTreeSet::new();
    for row in said {
        packages.insert(row.part.component.name().into_owned());
        let one = read(id, &row.body);
        let affected = one.matched.standing == Standing::Affected;
        fixable += u64::from(affected && one.matched.fixed.is_some());
        score = one.score.max(score);
    }
    let names = brief.names.iter();
    PresentView {
        score: score.map(|tenths| f32::from(tenths.0) / 10.0),
        also: names.filter(|n| *n != id).cloned().collect(),
        title: brief.title.clone(),
        severity: brief.severity,
        level: brief.priority.level,
        reasons: brief.priority.reasons.clone(),
        check: format!("{CHECKS}{id}"),
        open: counts.open,
        accepted: counts.accepted,
        unknown: counts.unknown,
        assets,
        components: said.len() as u64,
        fixable,
        packages: packages.into_iter().take(NAMED).collect(),
        id: id.to_owned(),
    }
}

/// List the vulnerabilities of what this tenant has, what to do first first.
///
/// Those whose findings are all accepted are among them: they are there.
#[utoipa::path(get, path = "/vulnerabilities/present", tag = "vulnerabilities",
    operation_id = "listPresent", params(PresentQuery),
    responses((status = 200, body = PresentPage)))]
pub(crate) async fn list_present(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<PresentQuery>,
) -> ApiResult<Json<PresentPage>> {
    let by = match query.sort.as_deref() {
        None | Some("" | "priority") => 0,
        Some("severity") => 1,
        Some("findings") => 2,
        Some(_) => {
            let why = "it is not one of priority, severity, findings.";
            return Err(super::view::bad_field("sort", why));
        }
    };
    let severities: Vec<Severity> = words(
        "severity",
        query.severity.as_deref(),
        Severity::parse,
        "critical, high, medium, low, info",
    )?;
    let levels = words(
        "level",
        query.level.as_deref(),
        level,
        "act, attend, track-closely, track",
    )?;
    let page = Paged::of(query.cursor, query.limit)?;
    let scope = given(query.scope);
    let scope = scope.as_deref();
    let sought = sought(query.q);
    let tenant = state.store.tenant(&caller.tenant).await?;
    let mut counts: HashMap<String, Counts> = HashMap::new();
    for row in tenant.check_states(CHECKS, scope).await? {
        let one = counts.entry(row.check).or_default();
        match row.status {
            FindingStatus::Open | FindingStatus::Reopened => one.open += row.count,
            FindingStatus::Accepted | FindingStatus::FalsePositive => one.accepted += row.count,
            FindingStatus::Fixed => {}
        }
    }
    for (check, n) in tenant.untold(CHECKS, scope).await? {
        counts.entry(check).or_default().unknown = n;
    }
    let mut by_severity = BySeverity::default();
    let mut by_level = ByLevel::default();
    let mut rows = Vec::new();
    for (id, kept) in briefs(&tenant, scope).await? {
        let named = || {
            let mut names = std::iter::once(&kept.title).chain(&kept.names);
            names.any(|name| name.to_lowercase().contains(&sought))
        };
        if !(sought.is_empty() || named()) {
            continue;
        }
        *by_severity.slot(kept.severity) += 1;
        *by_level.slot(kept.priority.level) += 1;
        if !(severities.is_empty() || severities.contains(&kept.severity))
            || !(levels.is_empty() || levels.contains(&kept.priority.level))
        {
            continue;
        }
        let check = results::check_uid(&id)?;
        let count = counts.get(check.as_str()).copied().unwrap_or_default();
        let priority = kept.priority.level as i64 * 1_000 + i64::from(kept.priority.rank);
        let severity = kept.severity.rank();
        let open = i64::try_from(count.open).unwrap_or(i64::MAX);
        let order = match by {
            0 => [-priority, -severity, -open],
            1 => [-severity, -priority, -open],
            _ => [-open, -priority, -severity],
        };
        rows.push(((order, id.clone()), (id, kept, count)));
    }
    let total = Total {
        count: rows.len() as u64,
        capped: false,
    };
    let (rows, next_cursor) = cut(rows, &page)?;
    let ids: Vec<&str> = rows.iter().map(|(id, ..)| id.as_str()).collect();
    let said = tenant.said_about(&ids, scope).await?;
    let mut of: HashMap<&str, Vec<&SaidRow>> = HashMap::new();
    for row in &said {
        of.entry(row.vulnerability.as_str()).or_default().push(row);
    }
    let assets = tenant.assets_with(&ids, scope).await?;
    let items = rows
        .iter()
        .map(|(id, kept, count)| {
            let said = of.get(id.as_str()).map(Vec::as_slice).unwrap_or_default();
            let assets = assets.get(id).copied().unwrap_or_default();
            view(id, kept, said, *count, assets)
        })
        .collect();
    Ok(Json(PresentPage {
        items,
        next_cursor,
        total,
        severities: by_severity,
        levels: by_level,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_read_is_unknown() {
        let kept = read("CVE-2026-0001", "{broken");
        assert!(matches!(kept.matched.standing, Standing::Unknown { .. }));
        let brief = Brief::read("CVE-2026-0001", "{}");
        assert_eq!(brief.names, ["CVE-2026-0001"]);
    }

    #[test]
    fn the_worst_of_several_components_counts() {
        let mut mild = Brief::read("CVE-2026-0001", "");
        mild.severity = Severity::Low;
        let mut bad = mild.clone();
        bad.severity = Severity::Critical;
        bad.priority.level = Level::Act;
        mild.with(bad.clone());
        assert_eq!(
            (mild.severity, mild.priority.level),
            (Severity::Critical, Level::Act)
        );
        bad.with(Brief::read("CVE-2026-0001", ""));
        assert_eq!(
            (bad.severity, bad.priority.level),
            (Severity::Critical, Level::Act)
        );
    }
}
