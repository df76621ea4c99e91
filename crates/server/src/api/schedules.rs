//! Schedules: scans by the clock.

use super::systems::{checked_labels, checked_name};
use super::tasks::{Names, wanted};
use super::view::{Items, bad_field};
use crate::auth::Caller;
use crate::error::{ApiResult, Problem};
use crate::extract::{Json, Path, Query};
use crate::route;
use crate::route::Route;
use crate::state::AppState;
use crate::work::schedules::Cron;
use axum::extract::State;
use axum::http::StatusCode;
use bartizan_model::{ScheduleId, Timestamp};
use bartizan_store::TenantStore;
use bartizan_store::systems::{NewSchedule, Schedule, ScheduleChange};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Runs that are shown ahead.
const AHEAD: usize = 5;
/// Systems that one schedule names.
const MAX_SYSTEMS: usize = 1_000;

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![
        route!(Viewer, list_schedules),
        route!(Operator, create_schedule),
        route!(Viewer, preview_schedule),
        route!(Viewer, get_schedule),
        route!(Operator, change_schedule),
        route!(Operator, remove_schedule),
    ]
}

/// A schedule.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Schedule)]
pub(crate) struct ScheduleView {
    id: String,
    name: String,
    /// Five fields, in UTC.
    cron: String,
    /// Names of systems; `*` is every one.
    systems: Vec<String>,
    /// Systems that carry all of these are meant, too.
    labels: Vec<String>,
    /// `baseline`, or the digest of uploaded content.
    content: String,
    content_name: Option<String>,
    profile: Option<String>,
    enabled: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_run: Option<Timestamp>,
    /// The next runs, none while it is not enabled.
    #[schema(value_type = Vec<String>)]
    next_runs: Vec<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    created_by: String,
}

async fn view(
    tenant: &TenantStore,
    names: &mut Names,
    schedule: Schedule,
) -> ApiResult<ScheduleView> {
    // The first is the one that is stored: it may be due, and not taken up yet.
    let mut next_runs = Vec::new();
    if let Some(next) = schedule.next_run.filter(|_| schedule.enabled) {
        next_runs.push(next);
        if let Ok(cron) = Cron::parse(&schedule.cron) {
            next_runs.extend(cron.upcoming(next, AHEAD - 1));
        }
    }
    Ok(ScheduleView {
        content_name: names.of(tenant, &schedule.wanted.content).await?,
        id: schedule.id.into(),
        name: schedule.name,
        cron: schedule.cron,
        systems: schedule.systems,
        labels: schedule.labels,
        content: schedule.wanted.content,
        profile: Some(schedule.wanted.profile).filter(|profile| !profile.is_empty()),
        enabled: schedule.enabled,
        last_run: schedule.last_run,
        next_runs,
        created: schedule.created,
        created_by: schedule.created_by,
    })
}

/// List schedules by name.
#[utoipa::path(get, path = "/schedules", tag = "systems", operation_id = "listSchedules",
    responses((status = 200, body = Items<ScheduleView>)))]
pub(crate) async fn list_schedules(
    State(state): State<AppState>,
    caller: Caller,
) -> ApiResult<Json<Items<ScheduleView>>> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let mut names = Names::default();
    let mut items = Vec::new();
    for schedule in tenant.schedules().await? {
        items.push(view(&tenant, &mut names, schedule).await?);
    }
    Ok(Json(Items { items }))
}

/// What a schedule is to be; what is absent stays as it is, or takes its default.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(crate) struct ScheduleBody {
    /// A name, unique.
    name: Option<String>,
    /// Five fields, in UTC: minute, hour, day of month, month, day of week.
    cron: Option<String>,
    /// Names of systems; `*` is every one.
    systems: Option<Vec<String>>,
    /// Systems that carry all of these are meant, too.
    labels: Option<Vec<String>>,
    /// `baseline` (the default), or the digest of content that was uploaded as evidence.
    content: Option<String>,
    /// The profile, of uploaded content.
    profile: Option<String>,
    /// Whether it runs; true by default.
    enabled: Option<bool>,
}

/// Puts together what is said and what was, and checks it.
async fn said(
    tenant: &TenantStore,
    body: ScheduleBody,
    was: Option<&Schedule>,
    now: Timestamp,
) -> ApiResult<ScheduleChange> {
    let need = |field: &str| bad_field(field, "a schedule needs it.");
    let name = body
        .name
        .or_else(|| was.map(|was| was.name.clone()))
        .ok_or_else(|| need("name"))?;
    checked_name("name", &name)?;
    let text = body
        .cron
        .or_else(|| was.map(|was| was.cron.clone()))
        .ok_or_else(|| need("cron"))?;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let cron = Cron::parse(&text).map_err(|error| bad_field("cron", format_args!("{error}.")))?;
    let systems = body
        .systems
        .or_else(|| was.map(|was| was.systems.clone()))
        .unwrap_or_default();
    if systems.len() > MAX_SYSTEMS {
        return Err(bad_field("systems", "1,000 are the most; use labels."));
    }
    for one in systems.iter().filter(|one| *one != "*") {
        checked_name("systems", one)?;
    }
    let labels = body
        .labels
        .or_else(|| was.map(|was| was.labels.clone()))
        .unwrap_or_default();
    checked_labels(&labels)?;
    if systems.is_empty() && labels.is_empty() {
        return Err(bad_field(
            "systems",
            "name systems or labels; `*` is every system.",
        ));
    }
    // Another content has other profiles: the old one goes with the old content.
    let kept = was.filter(|_| body.content.is_none());
    let content = body
        .content
        .or_else(|| kept.map(|was| was.wanted.content.clone()));
    let profile = body
        .profile
        .or_else(|| kept.map(|was| was.wanted.profile.clone()));
    let wanted = wanted(tenant, content, profile).await?;
    let enabled = body
        .enabled
        .or_else(|| was.map(|was| was.enabled))
        .unwrap_or(true);
    let next_run = cron.next(now);
    if next_run.is_none() {
        return Err(bad_field("cron", "no such moment comes within four years."));
    }
    Ok(ScheduleChange {
        name,
        cron: text,
        systems,
        labels,
        wanted,
        enabled,
        next_run: next_run.filter(|_| enabled),
    })
}

/// Make a schedule.
#[utoipa::path(post, path = "/schedules", tag = "systems", operation_id = "createSchedule",
    request_body = ScheduleBody, responses((status = 201, body = ScheduleView)))]
pub(crate) async fn create_schedule(
    State(state): State<AppState>,
    caller: Caller,
    Json(body): Json<ScheduleBody>,
) -> ApiResult<(StatusCode, Json<ScheduleView>)> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let act = state.act(caller.actor());
    let new = NewSchedule {
        id: ScheduleId::new(format!("sch-{}", uuid::Uuid::now_v7()))?,
        said: said(&tenant, body, None, act.at).await?,
    };
    let schedule = tenant.add_schedule(&new, &act).await?;
    state.work.nudge();
    let view = view(&tenant, &mut Names::default(), schedule).await?;
    Ok((StatusCode::CREATED, Json(view)))
}

/// An expression to look at.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PreviewQuery {
    /// Five fields, in UTC.
    cron: Option<String>,
}

/// What an expression means.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SchedulePreview)]
pub(crate) struct PreviewView {
    /// The next moments, none when it never comes.
    #[schema(value_type = Vec<String>)]
    next_runs: Vec<Timestamp>,
}

/// Show when an expression would run.
#[utoipa::path(get, path = "/schedules/preview", tag = "systems",
    operation_id = "previewSchedule", params(PreviewQuery),
    responses((status = 200, body = PreviewView)))]
pub(crate) async fn preview_schedule(
    State(state): State<AppState>,
    _: Caller,
    Query(query): Query<PreviewQuery>,
) -> ApiResult<Json<PreviewView>> {
    let cron = Cron::parse(query.cron.as_deref().unwrap_or_default())
        .map_err(|error| bad_field("cron", format_args!("{error}.")))?;
    Ok(Json(PreviewView {
        next_runs: cron.upcoming(state.now(), AHEAD),
    }))
}

async fn known(tenant: &TenantStore, id: &str) -> ApiResult<Schedule> {
    tenant
        .schedule(&ScheduleId::new(id)?)
        .await?
        .ok_or_else(|| Problem::not_found(format_args!("schedule {id:?}")))
}

/// One schedule.
#[utoipa::path(get, path = "/schedules/{id}", tag = "systems", operation_id = "getSchedule",
    params(("id" = String, Path)), responses((status = 200, body = ScheduleView)))]
pub(crate) async fn get_schedule(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> ApiResult<Json<ScheduleView>> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let schedule = known(&tenant, &id).await?;
    Ok(Json(view(&tenant, &mut Names::default(), schedule).await?))
}

/// Change a schedule; what is absent stays.
#[utoipa::path(patch, path = "/schedules/{id}", tag = "systems", operation_id = "changeSchedule",
    params(("id" = String, Path)), request_body = ScheduleBody,
    responses((status = 200, body = ScheduleView)))]
pub(crate) async fn change_schedule(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    Json(body): Json<ScheduleBody>,
) -> ApiResult<Json<ScheduleView>> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let was = known(&tenant, &id).await?;
    let act = state.act(caller.actor());
    let said = said(&tenant, body, Some(&was), act.at).await?;
    let schedule = tenant.change_schedule(&was.id, &said, &act).await?;
    state.work.nudge();
    Ok(Json(view(&tenant, &mut Names::default(), schedule).await?))
}

/// Remove a schedule; what it asked for goes on.
#[utoipa::path(delete, path = "/schedules/{id}", tag = "systems", operation_id = "removeSchedule",
    params(("id" = String, Path)), responses((status = 204)))]
pub(crate) async fn remove_schedule(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> ApiResult<StatusCode> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let act = state.act(caller.actor());
    tenant.remove_schedule(&ScheduleId::new(id)?, &act).await?;
    state.work.nudge();
    Ok(StatusCode::NO_CONTENT)
}
