//! Vulnerabilities: the list, everything about one, its history, and the health of the feeds.

use super::view::page_size;
use crate::auth::Caller;
use crate::error::{ApiResult, Problem};
use crate::extract::{Json, Path, Query};
use crate::route;
use crate::route::Route;
use crate::state::AppState;
use crate::vulnerabilities::{History, Whole, history, whole};
use axum::extract::State;
use bartizan_model::Timestamp;
use bartizan_store::vulnerabilities::{
    FeedRow, Level, VulnerabilityFilter, VulnerabilityRow, VulnerabilitySort,
};
use bartizan_store::{PageRequest, Store};
use bartizan_vuln::feeds::moment;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![
        route!(Viewer, list_vulnerabilities),
        route!(Viewer, get_vulnerability),
        route!(Viewer, get_vulnerability_history),
        route!(Viewer, list_feeds),
    ]
}

/// A line of the list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VulnerabilityLine)]
pub struct LineView {
    id: String,
    title: String,
    /// The highest CVSS base score; none where nobody rated it.
    score: Option<f32>,
    /// `critical`, `high`, `medium`, `low`, `none` or `unrated`.
    severity: &'static str,
    #[schema(value_type = Option<String>, format = DateTime)]
    published: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    changed: Option<Timestamp>,
    /// Known to be exploited.
    kev: bool,
    /// Probability of exploitation within 30 days.
    epss: Option<f32>,
    /// An exploit is known of.
    exploit: bool,
    rejected: bool,
}

fn tenths(score: Option<u8>) -> Option<f32> {
    score.map(|tenths| f32::from(tenths) / 10.0)
}

impl From<VulnerabilityRow> for LineView {
    fn from(row: VulnerabilityRow) -> Self {
        Self {
            score: tenths(row.score),
            severity: row.level.as_str(),
            published: row.published,
            changed: row.changed,
            kev: row.kev,
            epss: row.epss,
            exploit: row.flags.exploit || row.flags.active,
            rejected: row.flags.rejected,
            id: row.id,
            title: row.title,
        }
    }
}

/// A page of vulnerabilities.
#[derive(Debug, Serialize, ToSchema)]
pub struct VulnerabilityPage {
    items: Vec<LineView>,
    next_cursor: Option<String>,
}

/// Which vulnerabilities.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct VulnerabilityQuery {
    /// Words of the title, or the beginning of an id.
    pub q: Option<String>,
    /// Exact product, case ignored.
    pub product: Option<String>,
    /// Exact vendor, case ignored.
    pub vendor: Option<String>,
    /// Exact weakness, such as `CWE-79`.
    pub cwe: Option<String>,
    /// `critical`, `high`, `medium`, `low`, `none` or `unrated`.
    pub severity: Option<String>,
    /// Published at or after: a day or a moment.
    pub from: Option<String>,
    /// Published before: a day or a moment.
    pub to: Option<String>,
    /// Only those known to be exploited.
    pub kev: Option<bool>,
    /// Only those with an exploit that is known of.
    pub exploit: Option<bool>,
    /// Only those with at least this EPSS score, 0 to 1.
    pub epss: Option<f64>,
    /// Rejected ones too.
    pub rejected: Option<bool>,
    /// `published` (default), `changed` or `score`; the latest or highest first.
    pub sort: Option<String>,
    /// Where the page begins; from an earlier page.
    pub cursor: Option<String>,
    /// 1 to 200; 50 by default.
    pub limit: Option<u32>,
}

fn bad(detail: impl Into<String>) -> Problem {
    Problem::bad_request("bad_parameter", detail)
}

fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

fn when(name: &str, text: Option<String>) -> ApiResult<Option<Timestamp>> {
    given(text)
        .map(|text| {
            moment(&text).ok_or_else(|| {
                bad(format!(
                    "`{name}` is a day such as 2026-11-21 or a moment such as 2026-11-21T09:30:00Z."
                ))
            })
        })
        .transpose()
}

/// A filter and an order, as they are asked for.
fn asked(query: VulnerabilityQuery) -> ApiResult<(VulnerabilityFilter, VulnerabilitySort)> {
    let severity = given(query.severity)
        .map(|word| {
            Level::parse(&word).ok_or_else(|| {
                bad("`severity` is one of critical, high, medium, low, none, unrated.")
            })
        })
        .transpose()?;
    let sort = match query.sort.as_deref() {
        None | Some("" | "published") => VulnerabilitySort::Published,
        Some("changed") => VulnerabilitySort::Changed,
        Some("score") => VulnerabilitySort::Score,
        Some(_) => return Err(bad("`sort` is one of published, changed, score.")),
    };
    if query.epss.is_some_and(|epss| !(0.0..=1.0).contains(&epss)) {
        return Err(bad("`epss` is a probability, 0 to 1."));
    }
    let filter = VulnerabilityFilter {
        text: given(query.q),
        product: given(query.product),
        vendor: given(query.vendor),
        cwe: given(query.cwe).map(|cwe| cwe.to_ascii_uppercase()),
        severity,
        from: when("from", query.from)?,
        to: when("to", query.to)?,
        kev: query.kev.unwrap_or_default(),
        exploit: query.exploit.unwrap_or_default(),
        epss: query.epss,
        rejected: query.rejected.unwrap_or_default(),
    };
    Ok((filter, sort))
}

/// List CVEs.
#[utoipa::path(get, path = "/vulnerabilities", tag = "vulnerabilities",
    operation_id = "listVulnerabilities", params(VulnerabilityQuery),
    responses((status = 200, body = VulnerabilityPage)))]
pub(crate) async fn list_vulnerabilities(
    State(state): State<AppState>,
    _caller: Caller,
    Query(query): Query<VulnerabilityQuery>,
) -> ApiResult<Json<VulnerabilityPage>> {
    page(&state.store, query).await.map(Json)
}

/// A page, without a server.
pub async fn page(store: &Store, mut query: VulnerabilityQuery) -> ApiResult<VulnerabilityPage> {
    let page = PageRequest {
        cursor: given(query.cursor.take()),
        limit: page_size(query.limit)?,
    };
    let (filter, sort) = asked(query)?;
    let page = store.vulnerabilities().search(&filter, sort, &page).await?;
    Ok(VulnerabilityPage {
        items: page.items.into_iter().map(LineView::from).collect(),
        next_cursor: page.next_cursor,
    })
}

/// Everything that is known of one vulnerability, under all its names.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Vulnerability)]
pub struct VulnerabilityView {
    /// All its names, the asked one first.
    names: Vec<String>,
    /// The highest CVSS base score of the CVE records, else of the advisories.
    score: Option<f32>,
    /// `critical`, `high`, `medium`, `low`, `none` or `unrated`.
    severity: &'static str,
    /// Known to be exploited.
    exploited: bool,
    /// Rejected by whoever assigned it.
    rejected: bool,
    /// What comes first, by what the world knows of it: `act`, `attend`, `track-closely`, `track`.
    priority: Value,
    /// Why.
    reasons: Vec<String>,
    /// Addresses that are said to lead to exploits.
    exploits: Vec<String>,
    /// EPSS: probability of exploitation within 30 days.
    epss: Vec<EpssView>,
    /// Entries of CISA's catalogue of what is exploited.
    #[schema(value_type = Vec<Object>)]
    kev: Vec<Value>,
    /// Records of the CVE list, with CISA's SSVC.
    #[schema(value_type = Vec<Object>)]
    cves: Vec<Value>,
    /// Advisories about it, bundles included.
    #[schema(value_type = Vec<Object>)]
    advisories: Vec<Value>,
    /// There are more advisories than are told.
    more: bool,
    /// Statements of suppliers.
    #[schema(value_type = Vec<Object>)]
    vex: Vec<Value>,
    /// Records that their feed withdrew.
    withdrawn: Vec<String>,
    /// Records that cannot be read back, with the reason.
    unreadable: Vec<String>,
}

/// An EPSS score.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Epss)]
pub struct EpssView {
    cve: String,
    #[schema(value_type = String, format = DateTime)]
    day: Timestamp,
    score: f32,
    percentile: f32,
}

fn values<T: Serialize>(all: &[T]) -> Result<Vec<Value>, Problem> {
    all.iter()
        .map(|one| serde_json::to_value(one).map_err(Problem::internal))
        .collect()
}

impl TryFrom<&Whole> for VulnerabilityView {
    type Error = Problem;

    fn try_from(whole: &Whole) -> Result<Self, Problem> {
        let priority = whole.priority();
        Ok(Self {
            score: tenths(whole.score),
            severity: whole.level().as_str(),
            exploited: whole.exploited(),
            rejected: whole.rejected(),
            priority: serde_json::to_value(priority.level).map_err(Problem::internal)?,
            reasons: priority.reasons,
            exploits: whole.exploits().into_iter().map(str::to_owned).collect(),
            epss: whole
                .epss
                .iter()
                .map(|e| EpssView {
                    cve: e.cve.clone(),
                    day: e.day,
                    score: e.score,
                    percentile: e.percentile,
                })
                .collect(),
            kev: values(&whole.kev)?,
            cves: values(&whole.cves)?,
            advisories: values(&whole.advisories)?,
            more: whole.more,
            vex: values(&whole.vex)?,
            names: whole.names.clone(),
            withdrawn: whole.withdrawn.clone(),
            unreadable: whole.unreadable.clone(),
        })
    }
}

fn unknown(id: &str) -> Problem {
    let id: String = id.chars().take(128).collect();
    Problem::not_found(format!("a vulnerability {id}"))
}

/// Everything that is known of a vulnerability, by any of its names.
#[utoipa::path(get, path = "/vulnerabilities/{id}", tag = "vulnerabilities",
    operation_id = "getVulnerability", params(("id" = String, Path, description = "CVE, GHSA, DSA, …")),
    responses((status = 200, body = VulnerabilityView)))]
pub(crate) async fn get_vulnerability(
    State(state): State<AppState>,
    _caller: Caller,
    Path(id): Path<String>,
) -> ApiResult<Json<VulnerabilityView>> {
    one(&state.store, &id).await.map(Json)
}

/// Everything about one, without a server.
pub async fn one(store: &Store, id: &str) -> ApiResult<VulnerabilityView> {
    let found = whole(store, id).await?.ok_or_else(|| unknown(id))?;
    VulnerabilityView::try_from(&found)
}

/// Between which dates.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// At or after: a day or a moment.
    pub from: Option<String>,
    /// Before: a day or a moment.
    pub to: Option<String>,
}

/// A field that changed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FieldChange)]
pub struct FieldView {
    /// Where, such as `references[https://example.com].kind`.
    field: String,
    /// What stood there; none when it is new.
    before: Option<Value>,
    /// What stands there; none when it is gone.
    after: Option<Value>,
}

/// A version of a record.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VulnerabilityVersion)]
pub struct VersionView {
    /// `cve/CVE-2024-3094`, `advisory/<feed>/<id>`, `kev/<CVE>`.
    record: String,
    /// When it changed, by its own word, else when it came here.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// When it came here.
    #[schema(value_type = String, format = DateTime)]
    applied: Timestamp,
    /// The first version that is held; it has no changes.
    first: bool,
    /// The feed withdrew the record.
    withdrawn: bool,
    changes: Vec<FieldView>,
    /// There are more changes than are told.
    more: bool,
}

/// What changed in a record over the whole time that was asked for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VulnerabilityNet)]
pub struct NetView {
    record: String,
    changes: Vec<FieldView>,
    /// There are more changes than are told.
    more: bool,
}

/// What changed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VulnerabilityHistory)]
pub struct HistoryView {
    /// Versions, the oldest first.
    versions: Vec<VersionView>,
    /// With `from`: what differs between then and the end.
    net: Vec<NetView>,
    /// There are more records than are told.
    more: bool,
}

impl From<History> for HistoryView {
    fn from(history: History) -> Self {
        let fields = |difference: bartizan_vuln::difference::Difference| {
            difference
                .changes
                .into_iter()
                .map(|c| FieldView {
                    field: c.field,
                    before: c.before,
                    after: c.after,
                })
                .collect()
        };
        Self {
            versions: history
                .entries
                .into_iter()
                .map(|e| VersionView {
                    record: e.record,
                    at: e.at,
                    applied: e.applied,
                    first: e.first,
                    withdrawn: e.withdrawn,
                    more: e.difference.more,
                    changes: fields(e.difference),
                })
                .collect(),
            net: history
                .net
                .into_iter()
                .map(|(record, difference)| NetView {
                    record,
                    more: difference.more,
                    changes: fields(difference),
                })
                .collect(),
            more: history.more,
        }
    }
}

/// What changed in a vulnerability, field by field, between two dates.
#[utoipa::path(get, path = "/vulnerabilities/{id}/history", tag = "vulnerabilities",
    operation_id = "getVulnerabilityHistory",
    params(("id" = String, Path, description = "CVE, GHSA, DSA, …"), HistoryQuery),
    responses((status = 200, body = HistoryView)))]
pub(crate) async fn get_vulnerability_history(
    State(state): State<AppState>,
    _caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<HistoryQuery>,
) -> ApiResult<Json<HistoryView>> {
    changes(&state.store, &id, query).await.map(Json)
}

/// What changed, without a server.
pub async fn changes(store: &Store, id: &str, query: HistoryQuery) -> ApiResult<HistoryView> {
    let (from, to) = (when("from", query.from)?, when("to", query.to)?);
    let found = history(store, id, from, to).await?;
    found.map(HistoryView::from).ok_or_else(|| unknown(id))
}

/// A feed's health.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Feed)]
pub struct FeedView {
    name: String,
    /// The last attempt.
    #[schema(value_type = String, format = DateTime)]
    tried: Timestamp,
    /// The last attempt that succeeded.
    #[schema(value_type = Option<String>, format = DateTime)]
    succeeded: Option<Timestamp>,
    /// Seconds since the last attempt that succeeded; none when there was none.
    age_seconds: Option<i64>,
    /// The latest change that any of its records states.
    #[schema(value_type = Option<String>, format = DateTime)]
    newest: Option<Timestamp>,
    /// Seconds from that change to the last attempt: how far behind the feed itself is.
    lag_seconds: Option<i64>,
    /// Records that the last attempt offered.
    offered: u64,
    /// Records that the last attempt passed on as new or changed.
    applied: u64,
    /// Records that the last attempt could not read.
    refused: u64,
    /// Why the last attempt failed; none when it succeeded.
    error: Option<String>,
}

impl FeedView {
    fn of(row: FeedRow, now: Timestamp) -> Self {
        Self {
            age_seconds: row.succeeded.map(|s| (now.seconds() - s.seconds()).max(0)),
            lag_seconds: row
                .newest
                .map(|n| (row.tried.seconds() - n.seconds()).max(0)),
            name: row.name,
            tried: row.tried,
            succeeded: row.succeeded,
            newest: row.newest,
            offered: row.offered,
            applied: row.applied,
            refused: row.refused,
            error: Some(row.error).filter(|e| !e.is_empty()),
        }
    }
}

/// All feeds that were ever tried.
#[derive(Debug, Serialize, ToSchema)]
pub struct Feeds {
    items: Vec<FeedView>,
}

/// The health of the feeds: age, lag, errors.
#[utoipa::path(get, path = "/feeds", tag = "vulnerabilities", operation_id = "listFeeds",
    responses((status = 200, body = Feeds)))]
pub(crate) async fn list_feeds(
    State(state): State<AppState>,
    _caller: Caller,
) -> ApiResult<Json<Feeds>> {
    health(&state.store, state.now()).await.map(Json)
}

/// The feeds' health, without a server.
pub async fn health(store: &Store, now: Timestamp) -> ApiResult<Feeds> {
    let feeds = store.vulnerabilities().feeds().await?;
    let items = feeds.into_iter().map(|f| FeedView::of(f, now)).collect();
    Ok(Feeds { items })
}
