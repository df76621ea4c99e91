//! Findings: lists, facets, detail, people's actions. Export is in `export`.

use super::audit::EntryView;
use super::view::{
    FindingView, OutcomeWord, Page, bad_field, optional, optional_time, page_size, words,
};
use crate::auth::Caller;
use crate::error::{ApiResult, Problem};
use crate::extract::{Json, Path, Query};
use crate::route;
use crate::route::Route;
use crate::state::{AppState, random_bytes};
use axum::extract::State;
use bartizan_model::{
    Acceptance, CheckUid, Evidence, FindingKey, FindingStatus, Location, Severity, Timestamp,
};
use bartizan_store::findings::{FindingAction, FindingDetail, FindingFilter, FindingSort};
use bartizan_store::{PageRequest, TenantStore};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// Findings that one action may name.
const MAX_KEYS: usize = 1000;

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![
        route!(Viewer, list_findings),
        route!(Viewer, finding_facets),
        route!(Viewer, super::export::export_findings)
            .time_limit(std::time::Duration::from_secs(600)),
        route!(Viewer, get_finding),
        route!(Operator, act_on_findings),
    ]
}

/// Which findings, in which order.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct FindingQuery {
    /// Of one scope.
    scope: Option<String>,
    /// `active` (default: open and reopened), `all`, or states separated by commas.
    status: Option<String>,
    /// Severities, separated by commas.
    severity: Option<String>,
    /// A check's uid.
    check: Option<String>,
    /// An asset's uid.
    asset: Option<String>,
    /// A namespace.
    namespace: Option<String>,
    /// A kind, such as `Deployment`.
    kind: Option<String>,
    /// Of checks that a framework reaches.
    framework: Option<String>,
    /// Of checks that this control of `framework` reaches.
    control: Option<String>,
    /// Words to search for.
    q: Option<String>,
    /// `severity` (default, worst first), `changed`, `first_seen` (newest first), `check`,
    /// `asset` (ascending).
    sort: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
    /// For export: `csv` (default) or `json`.
    pub(crate) format: Option<String>,
}

impl FindingQuery {
    /// The store's filter.
    pub(crate) async fn filter(
        &self,
        state: &AppState,
        tenant: &TenantStore,
    ) -> ApiResult<FindingFilter> {
        let text = |value: &Option<String>| value.clone().filter(|text| !text.is_empty());
        if self.q.as_ref().is_some_and(|q| q.len() > 500) {
            return Err(bad_field("q", "it is longer than 500 bytes."));
        }
        Ok(FindingFilter {
            scope: optional("scope", self.scope.as_deref())?,
            status: statuses(self.status.as_deref())?,
            severity: words(
                "severity",
                self.severity.as_deref(),
                Severity::parse,
                "critical, high, medium, low, info",
            )?,
            checks: self.checks(state, tenant).await?,
            asset: optional("asset", self.asset.as_deref())?,
            namespace: text(&self.namespace),
            kind: text(&self.kind),
            q: text(&self.q),
        })
    }

    /// The checks that `check`, `framework` and `control` leave.
    async fn checks(
        &self,
        state: &AppState,
        tenant: &TenantStore,
    ) -> ApiResult<Option<Vec<CheckUid>>> {
        let one: Option<CheckUid> = optional("check", self.check.as_deref())?;
        let named = |value: &Option<String>| value.clone().filter(|text| !text.is_empty());
        let (framework, control) = (named(&self.framework), named(&self.control));
        let Some(framework) = framework else {
            if control.is_some() {
                return Err(bad_field("control", "it needs `framework` beside it."));
            }
            return Ok(one.map(|uid| vec![uid]));
        };
        let entry = state
            .work
            .content
            .get(&framework)
            .ok_or_else(|| bad_field("framework", "there is no such framework."))?;
        let control = match control {
            None => None,
            Some(id) => Some(
                entry
                    .control(&id)
                    .map(|control| control.id.clone())
                    .ok_or_else(|| bad_field("control", "the framework has no such control."))?,
            ),
        };
        let known = tenant.checks(None).await?;
        let known: Vec<CheckUid> = known.into_iter().map(|(check, _)| check.uid).collect();
        let mut reached = entry.checks(control.as_ref(), &known);
        if let Some(one) = one {
            reached.retain(|uid| *uid == one);
        }
        Ok(Some(reached))
    }

    /// The order.
    pub(crate) fn order(&self) -> ApiResult<FindingSort> {
        match self.sort.as_deref().filter(|word| !word.is_empty()) {
            None => Ok(FindingSort::default()),
            Some(word) => FindingSort::parse(word).ok_or_else(|| {
                bad_field(
                    "sort",
                    "it is not one of severity, changed, first_seen, check, asset; each has one direction.",
                )
            }),
        }
    }
}

fn statuses(value: Option<&str>) -> ApiResult<Vec<FindingStatus>> {
    match value.map(str::trim).filter(|text| !text.is_empty()) {
        None | Some("active") => Ok(vec![FindingStatus::Open, FindingStatus::Reopened]),
        Some("all") => Ok(Vec::new()),
        some => words(
            "status",
            some,
            FindingStatus::parse,
            "active, all, open, reopened, accepted, false_positive, fixed",
        ),
    }
}

/// How a full-text search was bounded.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SearchNote)]
pub(crate) struct SearchView {
    /// Whether more findings match than were looked at.
    capped: bool,
    /// How many matches are looked at, newest first.
    limit: u32,
}

/// A page of findings.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FindingPage {
    #[serde(flatten)]
    page: Page<FindingView>,
    /// Present when `q` was given.
    search: Option<SearchView>,
}

/// List findings.
#[utoipa::path(get, path = "/findings", tag = "findings", operation_id = "listFindings",
    params(FindingQuery), responses((status = 200, body = FindingPage)))]
pub(crate) async fn list_findings(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<FindingQuery>,
) -> ApiResult<Json<FindingPage>> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let filter = query.filter(&state, &tenant).await?;
    let request = PageRequest {
        cursor: query.cursor.clone(),
        limit: page_size(query.limit)?,
    };
    let found = tenant.findings(&filter, query.order()?, &request).await?;
    Ok(Json(FindingPage {
        page: Page::of(found.page, FindingView::from),
        search: found.search.map(|note| SearchView {
            capped: note.capped,
            limit: note.limit,
        }),
    }))
}

/// Counts under a filter.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Facets)]
pub(crate) struct FacetsView {
    severity: BTreeMap<&'static str, u64>,
    status: BTreeMap<&'static str, u64>,
    /// Whether counting stopped early, so that the counts are lower bounds.
    capped: bool,
}

/// Count findings by severity and by status.
#[utoipa::path(get, path = "/findings/facets", tag = "findings", operation_id = "findingFacets",
    params(FindingQuery), responses((status = 200, body = FacetsView)))]
pub(crate) async fn finding_facets(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<FindingQuery>,
) -> ApiResult<Json<FacetsView>> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let filter = query.filter(&state, &tenant).await?;
    let facets = tenant.finding_facets(&filter).await?;
    Ok(Json(FacetsView {
        severity: facets
            .severity
            .iter()
            .map(|(s, n)| (s.word(), *n))
            .collect(),
        status: facets.status.iter().map(|(s, n)| (s.word(), *n)).collect(),
        capped: facets.capped,
    }))
}

/// An outcome with its reason.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OutcomeView {
    #[schema(value_type = OutcomeWord)]
    outcome: &'static str,
    why: Option<String>,
}

/// A value that decided.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Evidence)]
pub(crate) struct EvidenceView {
    path: String,
    actual: Option<String>,
    expected: Option<String>,
}

impl From<Evidence> for EvidenceView {
    fn from(evidence: Evidence) -> Self {
        Self {
            path: evidence.path,
            actual: evidence.actual,
            expected: evidence.expected,
        }
    }
}

/// A place in the source.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Location)]
pub(crate) struct LocationView {
    file: String,
    line: u32,
    column: Option<u32>,
}

impl From<Location> for LocationView {
    fn from(location: Location) -> Self {
        Self {
            file: location.file,
            line: location.line,
            column: location.column,
        }
    }
}

/// A control that a check tests.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ControlRef {
    framework: String,
    control: String,
    title: String,
}

/// What was seen of an asset.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Observation)]
pub(crate) struct ObservationView {
    kind: String,
    digest: String,
    /// The redacted body.
    body: Value,
    location: Option<LocationView>,
}

/// A finding with everything about it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FindingDetail)]
pub(crate) struct FindingDetailView {
    #[serde(flatten)]
    finding: FindingView,
    /// The current verdict; null once the subject is gone.
    outcome: Option<OutcomeView>,
    description: String,
    remediation: String,
    references: Vec<String>,
    evidence: Vec<EvidenceView>,
    location: Option<LocationView>,
    #[schema(value_type = String, format = DateTime)]
    last_seen: Timestamp,
    last_scan: Option<String>,
    controls: Vec<ControlRef>,
    observation: Option<ObservationView>,
    /// What happened to it, oldest first.
    history: Vec<EntryView>,
}

/// One finding with evidence, remediation and history.
#[utoipa::path(get, path = "/findings/{key}", tag = "findings", operation_id = "getFinding",
    params(("key" = String, Path)), responses((status = 200, body = FindingDetailView)))]
pub(crate) async fn get_finding(
    State(state): State<AppState>,
    caller: Caller,
    Path(key): Path<String>,
) -> ApiResult<Json<FindingDetailView>> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let detail = tenant
        .finding(&FindingKey::new(&*key)?)
        .await?
        .ok_or_else(|| Problem::not_found(format_args!("finding {key:?}")))?;
    Ok(Json(detail_view(&state, detail)))
}

fn detail_view(state: &AppState, detail: FindingDetail) -> FindingDetailView {
    let controls = state
        .work
        .content
        .controls_of(&detail.row.check)
        .into_iter()
        .map(|(framework, control)| ControlRef {
            framework: framework.id.to_string(),
            control: control.id.to_string(),
            title: control.title.clone(),
        })
        .collect();
    let (outcome, evidence, location) = match detail.result {
        None => (None, Vec::new(), None),
        Some(result) => (
            Some(OutcomeView {
                outcome: result.outcome.word(),
                why: result.outcome.why().map(str::to_owned),
            }),
            result.evidence,
            result.location,
        ),
    };
    let observation = detail.observation.map(|seen| ObservationView {
        kind: seen.kind,
        digest: seen.digest.into(),
        body: seen.body,
        location: seen.location.map(LocationView::from),
    });
    FindingDetailView {
        finding: FindingView::from(detail.row),
        outcome,
        description: detail.check.description,
        remediation: detail.check.remediation,
        references: detail.check.references,
        evidence: evidence.into_iter().map(EvidenceView::from).collect(),
        location: location.map(LocationView::from),
        last_seen: detail.last_seen,
        last_scan: detail.last_scan.map(String::from),
        controls,
        observation,
        history: detail.history.into_iter().map(EntryView::from).collect(),
    }
}

/// What to do.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ActionWord {
    /// Take responsibility until `expires`.
    Accept,
    /// Rule it wrong.
    FalsePositive,
    /// Withdraw either.
    Reopen,
}

/// A person's action on findings.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Action {
    /// At most 1,000.
    keys: Vec<String>,
    action: ActionWord,
    /// Why.
    reason: String,
    /// Who answers for it; the caller when absent.
    owner: Option<String>,
    /// Until when an acceptance counts; a time or a date.
    expires: Option<String>,
}

/// A finding that was not touched.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Refused {
    key: String,
    why: String,
}

/// What an action did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ActionAnswer {
    changed: u64,
    refused: Vec<Refused>,
}

/// Accept findings, rule them false positives, or withdraw that.
#[utoipa::path(post, path = "/findings/actions", tag = "findings",
    operation_id = "actOnFindings", request_body = Action,
    responses((status = 200, body = ActionAnswer)))]
pub(crate) async fn act_on_findings(
    State(state): State<AppState>,
    caller: Caller,
    Json(action): Json<Action>,
) -> ApiResult<Json<ActionAnswer>> {
    if action.keys.is_empty() || action.keys.len() > MAX_KEYS {
        return Err(bad_field(
            "keys",
            format_args!("name 1 to {MAX_KEYS} findings, not {}.", action.keys.len()),
        ));
    }
    let keys = action
        .keys
        .iter()
        .map(|key| FindingKey::new(key.as_str()))
        .collect::<Result<Vec<_>, _>>()?;
    let now = state.now();
    let what = decision(&action, caller.user.as_str(), now)?;
    let tenant = state.store.tenant(&caller.tenant).await?;
    let random = state.random.clone();
    let mut salts = move || random_bytes::<32>(random.as_ref());
    let outcome = tenant
        .act_on_findings(&keys, &what, &caller.actor(), now, &mut salts)
        .await?;
    if outcome.changed > 0 {
        state.work.nudge();
        state.work.scores_changed(&caller.tenant);
    }
    let refused = outcome.refused.into_iter().map(|(key, why)| Refused {
        key: key.into(),
        why: why.to_string(),
    });
    Ok(Json(ActionAnswer {
        changed: outcome.changed,
        refused: refused.collect(),
    }))
}

fn decision(action: &Action, caller: &str, now: Timestamp) -> ApiResult<FindingAction> {
    let reason = action.reason.trim();
    if reason.is_empty() || reason.len() > 2000 {
        return Err(bad_field("reason", "say why, in at most 2,000 bytes."));
    }
    let reason = reason.to_owned();
    Ok(match action.action {
        ActionWord::FalsePositive => FindingAction::FalsePositive { reason },
        ActionWord::Reopen => FindingAction::Reopen { reason },
        ActionWord::Accept => {
            let expires = optional_time("expires", action.expires.as_deref())?
                .filter(|expires| *expires > now)
                .ok_or_else(|| {
                    bad_field(
                        "expires",
                        "an acceptance must end, at a time that is to come.",
                    )
                })?;
            let owner = action.owner.as_deref().map(str::trim).unwrap_or_default();
            let owner = if owner.is_empty() { caller } else { owner };
            if owner.len() > 200 || owner == bartizan_model::finding::SOURCE_OWNER {
                return Err(bad_field(
                    "owner",
                    "name a person or team in at most 200 bytes; `source` is taken.",
                ));
            }
            FindingAction::Accept(Acceptance {
                owner: owner.to_owned(),
                reason,
                expires: Some(expires),
            })
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(json: Value) -> Result<FindingAction, String> {
        let action: Action = serde_json::from_value(json).unwrap();
        let now = Timestamp::parse("2026-11-21T09:00:00Z").unwrap();
        decision(&action, "ana", now).map_err(|problem| problem.detail().to_owned())
    }

    #[test]
    fn an_acceptance_must_end_and_be_explained() {
        let accept = serde_json::json!({"keys": ["k"], "action": "accept", "reason": " known ",
            "expires": "2026-12-01"});
        assert_eq!(
            action(accept.clone()),
            Ok(FindingAction::Accept(Acceptance {
                owner: "ana".into(),
                reason: "known".into(),
                expires: Some(Timestamp::parse("2026-12-01T00:00:00Z").unwrap()),
            }))
        );
        for (field, value) in [
            ("expires", "2026-11-20"),
            ("reason", " "),
            ("owner", "source"),
        ] {
            let mut bad = accept.clone();
            bad[field] = value.into();
            let why = action(bad).unwrap_err();
            assert!(why.starts_with(&format!("`{field}`: ")), "{why}");
        }
    }

    #[test]
    fn statuses_are_words() {
        use FindingStatus::{Accepted, Fixed, Open, Reopened};
        assert_eq!(statuses(None), Ok(vec![Open, Reopened]));
        assert_eq!(statuses(Some("all")), Ok(vec![]));
        assert_eq!(statuses(Some("fixed,accepted")), Ok(vec![Fixed, Accepted]));
        assert!(statuses(Some("gone")).is_err());
    }
}
