//! Frameworks down to each control, and people's verdicts on controls.

use super::artifacts::whole_digest;
use super::view::{
    AssessmentView, ControlStatusWord, Items, ScoreView, SeverityWord, TallyView, TrendPoint,
    VerdictWord, bad_field, optional, optional_time,
};
use crate::auth::Caller;
use crate::error::{ApiResult, Problem};
use crate::extract::{Json, Path, Query};
use crate::route;
use crate::route::Route;
use crate::state::AppState;
use crate::work::content::Entry;
use crate::work::scores::standing;
use axum::extract::State;
use axum::http::StatusCode;
use bartizan_model::framework::{Assessment, Verdict};
use bartizan_model::{CheckUid, ControlStatus, ScopeId, Severity};
use bartizan_posture::{ControlPosture, FrameworkPosture, Tally};
use bartizan_store::TenantStore;
use bartizan_store::records::{AssessmentRow, ScorePoint};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// Points of a trend.
pub(crate) const TREND: u32 = 90;
/// The longest that a person's verdict may count, in days.
const MAX_DAYS: i64 = 825;

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![
        route!(Viewer, list_frameworks),
        route!(Viewer, get_framework),
        route!(Viewer, get_control),
        route!(Operator, assess_control),
    ]
}

/// A framework, as a list shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Framework)]
pub(crate) struct FrameworkView {
    id: String,
    title: String,
    version: String,
    /// Who publishes it and where.
    source: String,
    /// How many controls.
    controls: usize,
    /// Digest of its content.
    digest: String,
}

/// List the frameworks.
#[utoipa::path(get, path = "/frameworks", tag = "frameworks", operation_id = "listFrameworks",
    responses((status = 200, body = Items<FrameworkView>)))]
pub(crate) async fn list_frameworks(
    State(state): State<AppState>,
    _caller: Caller,
) -> ApiResult<Json<Items<FrameworkView>>> {
    let items = state.work.content.all().map(|entry| FrameworkView {
        id: entry.framework.id.to_string(),
        title: entry.framework.title.clone(),
        version: entry.framework.version.clone(),
        source: entry.framework.source.clone(),
        controls: entry.framework.controls.len(),
        digest: entry.digest.to_string(),
    });
    Ok(Json(Items {
        items: items.collect(),
    }))
}

/// Of which scope.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ScopeParam {
    /// The most recently scanned one when absent.
    scope: Option<String>,
}

/// The scope asked for, or the most recently scanned one; none when nothing was scanned.
pub(crate) async fn scope_or_newest(
    tenant: &TenantStore,
    asked: Option<&str>,
) -> ApiResult<Option<ScopeId>> {
    let asked: Option<ScopeId> = optional("scope", asked)?;
    match asked {
        Some(scope) => match tenant.scope(&scope).await? {
            Some(row) => Ok(Some(row.id)),
            None => Err(Problem::not_found(format_args!("scope {scope}"))),
        },
        None => {
            let scopes = tenant.scopes(false).await?;
            Ok(scopes
                .into_iter()
                .max_by_key(|row| row.last_scan.as_ref().map(|scan| scan.finished))
                .map(|row| row.id))
        }
    }
}

/// How a control stands, as a list shows it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ControlRow {
    id: String,
    title: String,
    group: String,
    #[schema(value_type = ControlStatusWord)]
    status: ControlStatus,
    /// How many checks test it here.
    checks: usize,
    tally: TallyView,
    /// Why, as one sentence.
    why: String,
}

impl From<ControlPosture> for ControlRow {
    fn from(control: ControlPosture) -> Self {
        Self {
            id: control.id.into(),
            title: control.title,
            group: control.group,
            status: control.status,
            checks: control.checks.len(),
            tally: tally_view(&control.tally),
            why: control.why,
        }
    }
}

fn tally_view(tally: &Tally) -> TallyView {
    TallyView {
        pass: tally.pass,
        fail: tally.fail,
        accepted: tally.accepted,
        false_positive: tally.false_positive,
        not_applicable: tally.not_applicable,
        unknown: tally.unknown,
    }
}

/// How a scope stands against a framework.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FrameworkDetail {
    id: String,
    title: String,
    version: String,
    source: String,
    digest: String,
    /// Null while nothing was scanned.
    scope: Option<String>,
    /// Percent of judged controls that passed.
    score: Option<f64>,
    /// Percent of controls with a verdict.
    coverage: Option<f64>,
    counts: ScoreView,
    /// Oldest first.
    trend: Vec<TrendPoint>,
    controls: Vec<ControlRow>,
}

/// How a scope stands against a framework, control by control.
#[utoipa::path(get, path = "/frameworks/{id}", tag = "frameworks",
    operation_id = "getFramework", params(("id" = String, Path), ScopeParam),
    responses((status = 200, body = FrameworkDetail)))]
pub(crate) async fn get_framework(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<ScopeParam>,
) -> ApiResult<Json<FrameworkDetail>> {
    let entry = framework(&state, &id)?;
    let tenant = state.store.tenant(&caller.tenant).await?;
    let scope = scope_or_newest(&tenant, query.scope.as_deref()).await?;
    let (posture, _) = posture_of(&state, &tenant, entry, scope.as_ref()).await?;
    let trend = match &scope {
        None => Vec::new(),
        Some(scope) => trend_of(&tenant, entry, scope).await?,
    };
    Ok(Json(FrameworkDetail {
        id,
        title: posture.title,
        version: posture.version,
        source: entry.framework.source.clone(),
        digest: entry.digest.to_string(),
        scope: scope.map(String::from),
        score: posture.score,
        coverage: posture.coverage,
        counts: posture.counts.into(),
        trend,
        controls: posture.controls.into_iter().map(ControlRow::from).collect(),
    }))
}

fn framework<'a>(state: &'a AppState, id: &str) -> ApiResult<&'a Entry> {
    state
        .work
        .content
        .get(id)
        .ok_or_else(|| Problem::not_found(format_args!("framework {id:?}")))
}

async fn posture_of(
    state: &AppState,
    tenant: &TenantStore,
    entry: &Entry,
    scope: Option<&ScopeId>,
) -> ApiResult<(FrameworkPosture, Vec<AssessmentRow>)> {
    let now = state.now();
    let Some(scope) = scope else {
        return Ok((entry.evaluate(&[], &[], now), Vec::new()));
    };
    let tallies = tenant.tallies(scope).await?;
    Ok(standing(tenant, entry, scope, &tallies, now).await?)
}

/// The history of a score, oldest first.
pub(crate) async fn trend_of(
    tenant: &TenantStore,
    entry: &Entry,
    scope: &ScopeId,
) -> ApiResult<Vec<TrendPoint>> {
    let points = tenant
        .score_trend(scope, &entry.framework.id, TREND)
        .await?;
    Ok(points
        .into_iter()
        .map(
            |ScorePoint {
                 at,
                 score,
                 coverage,
                 ..
             }| TrendPoint {
                at,
                score,
                coverage,
            },
        )
        .collect())
}

/// A check of a control.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ControlCheck {
    uid: String,
    title: String,
    #[schema(value_type = SeverityWord)]
    severity: Severity,
    tally: TallyView,
}

/// How a control stands, with all that speaks for it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ControlDetail {
    id: String,
    title: String,
    group: String,
    #[schema(value_type = ControlStatusWord)]
    status: ControlStatus,
    tally: TallyView,
    why: String,
    /// What a person has to look at.
    guidance: String,
    /// Null while nothing was scanned.
    scope: Option<String>,
    checks: Vec<ControlCheck>,
    /// Newest first.
    assessments: Vec<AssessmentView>,
}

/// One control with its checks and assessments.
#[utoipa::path(get, path = "/frameworks/{id}/controls/{control}", tag = "frameworks",
    operation_id = "getControl",
    params(("id" = String, Path), ("control" = String, Path, description = "Percent-encoded"),
        ScopeParam),
    responses((status = 200, body = ControlDetail)))]
pub(crate) async fn get_control(
    State(state): State<AppState>,
    caller: Caller,
    Path((id, control)): Path<(String, String)>,
    Query(query): Query<ScopeParam>,
) -> ApiResult<Json<ControlDetail>> {
    let entry = framework(&state, &id)?;
    let known = entry
        .control(&control)
        .ok_or_else(|| Problem::not_found(format_args!("control {control:?} in {id}")))?;
    let tenant = state.store.tenant(&caller.tenant).await?;
    let scope = scope_or_newest(&tenant, query.scope.as_deref()).await?;
    let (posture, assessments) = posture_of(&state, &tenant, entry, scope.as_ref()).await?;
    let stands = posture
        .controls
        .into_iter()
        .find(|stands| stands.id == known.id)
        .ok_or_else(|| Problem::internal("a framework's posture lacks one of its controls"))?;
    let checks = match &scope {
        Some(scope) => control_checks(&tenant, scope, &stands.checks).await?,
        None => Vec::new(),
    };
    let now = state.now();
    let assessments = assessments
        .into_iter()
        .rev()
        .filter(|row| row.assessment.control == known.id)
        .map(|row| AssessmentView::of(row.assessment, Some(row.entry_id), now));
    Ok(Json(ControlDetail {
        id: stands.id.into(),
        title: stands.title,
        group: stands.group,
        status: stands.status,
        tally: tally_view(&stands.tally),
        why: stands.why,
        guidance: known.guidance.clone(),
        scope: scope.map(String::from),
        checks,
        assessments: assessments.collect(),
    }))
}

async fn control_checks(
    tenant: &TenantStore,
    scope: &ScopeId,
    uids: &[CheckUid],
) -> ApiResult<Vec<ControlCheck>> {
    if uids.is_empty() {
        return Ok(Vec::new());
    }
    let known = tenant.checks(Some(scope)).await?;
    let by_uid: BTreeMap<&CheckUid, _> = known.iter().map(|row| (&row.0.uid, row)).collect();
    Ok(uids
        .iter()
        .filter_map(|uid| by_uid.get(uid))
        .map(|(check, tally)| ControlCheck {
            uid: check.uid.to_string(),
            title: check.title.clone(),
            severity: check.severity,
            tally: TallyView::from(tally),
        })
        .collect())
}

/// A person's verdict.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct NewAssessment {
    /// The scope that was judged.
    scope: String,
    #[schema(value_type = VerdictWord)]
    verdict: Verdict,
    /// Why.
    reason: String,
    /// Digests of uploaded evidence.
    #[serde(default)]
    evidence: Vec<String>,
    /// Until when it counts; a time or a date.
    expires: String,
}

/// Record a verdict on a control.
#[utoipa::path(post, path = "/frameworks/{id}/controls/{control}/assessments",
    tag = "frameworks", operation_id = "assessControl",
    params(("id" = String, Path), ("control" = String, Path, description = "Percent-encoded")),
    request_body = NewAssessment, responses((status = 201, body = AssessmentView)))]
pub(crate) async fn assess_control(
    State(state): State<AppState>,
    caller: Caller,
    Path((id, control)): Path<(String, String)>,
    Json(new): Json<NewAssessment>,
) -> ApiResult<(StatusCode, Json<AssessmentView>)> {
    let entry = framework(&state, &id)?;
    let control = entry
        .control(&control)
        .ok_or_else(|| Problem::not_found(format_args!("control {control:?} in {id}")))?;
    let tenant = state.store.tenant(&caller.tenant).await?;
    let scope = ScopeId::new(new.scope.trim())
        .map_err(|error| bad_field("scope", format_args!("{error}.")))?;
    if tenant.scope(&scope).await?.is_none() {
        return Err(Problem::not_found(format_args!("scope {scope}")));
    }
    let reason = new.reason.trim();
    if reason.is_empty() || reason.len() > 4000 {
        return Err(bad_field("reason", "say why, in at most 4,000 bytes."));
    }
    let act = state.act(caller.actor());
    let latest = act.at.plus_seconds(MAX_DAYS * 86_400);
    let expires = optional_time("expires", Some(&new.expires))?
        .filter(|expires| *expires > act.at && *expires <= latest)
        .ok_or_else(|| {
            bad_field(
                "expires",
                format_args!("a verdict must end, within {MAX_DAYS} days from now."),
            )
        })?;
    if new.evidence.len() > 50 {
        return Err(bad_field("evidence", "at most 50 artifacts can be named."));
    }
    let mut evidence = Vec::new();
    for digest in &new.evidence {
        let digest = whole_digest(digest)?;
        if tenant.artifact(&digest).await?.is_none() {
            return Err(bad_field(
                "evidence",
                format_args!("{digest} was not uploaded; upload it with kind=evidence first."),
            ));
        }
        evidence.push(digest);
    }
    let assessment = Assessment {
        framework: entry.framework.id.clone(),
        control: control.id.clone(),
        scope,
        assessor: caller.user.to_string(),
        verdict: new.verdict,
        reason: reason.to_owned(),
        evidence,
        at: act.at,
        expires,
    };
    let entry_id = tenant.add_assessment(&assessment, &act).await?;
    state.work.nudge();
    state.work.scores_changed(&caller.tenant);
    let view = AssessmentView::of(assessment, Some(entry_id), act.at);
    Ok((StatusCode::CREATED, Json(view)))
}
