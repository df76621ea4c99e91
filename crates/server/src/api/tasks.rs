//! Scans that are asked of systems: what people see of them, and what runners say.

use super::jobs::Progress;
use super::view::{Page, bad_field, optional, page_size};
use crate::auth::Caller;
use crate::error::{ApiResult, Problem};
use crate::extract::{Json, Path, Query};
use crate::route;
use crate::route::Route;
use crate::state::AppState;
use axum::extract::State;
use bartizan_model::{Digest, ScanId, Scope, ScopeKind, SystemId, TaskId, Timestamp};
use bartizan_store::systems::{Runner, Task, TaskEnd, TaskFilter, TaskState, Wanted};
use bartizan_store::{PageRequest, StoreError, TenantStore};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// The content that is built into runners.
pub(crate) const BASELINE: &str = "baseline";
/// For how long a runner holds a task without a sign of life.
const LEASE_SECONDS: u32 = 60;
/// The longest that a runner may wait for work in one request.
const MAX_WAIT: u64 = 50;
/// Systems that one runner may stand for.
const MAX_SYSTEMS: usize = 1_000;

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![
        route!(Viewer, list_tasks),
        route!(Operator, claim_task).time_limit(Duration::from_secs(MAX_WAIT + 20)),
        route!(Viewer, get_task),
        route!(Operator, cancel_task),
        route!(Operator, task_progress),
        route!(Operator, complete_task),
    ]
}

/// Where a task is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = TaskState)]
pub(crate) enum TaskWord {
    Queued,
    Claimed,
    Running,
    Done,
    Failed,
    Cancelled,
}

impl From<TaskState> for TaskWord {
    fn from(state: TaskState) -> Self {
        match state {
            TaskState::Queued => Self::Queued,
            TaskState::Claimed => Self::Claimed,
            TaskState::Running => Self::Running,
            TaskState::Done => Self::Done,
            TaskState::Failed => Self::Failed,
            TaskState::Cancelled => Self::Cancelled,
        }
    }
}

/// A scan that is asked of a system.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Task)]
pub(crate) struct TaskView {
    id: String,
    /// The system's id.
    system: String,
    system_name: String,
    /// `agent` or `ssh`.
    how: String,
    /// Where, for SSH.
    address: String,
    /// `baseline`, or the digest of uploaded content.
    content: String,
    /// The uploaded content's file name.
    content_name: Option<String>,
    profile: Option<String>,
    state: TaskWord,
    /// Whether it was called off while a runner has it.
    cancel_requested: bool,
    asked_by: String,
    /// The schedule that asked.
    schedule: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    started: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished: Option<Timestamp>,
    /// How often it was begun.
    attempts: u32,
    /// The runner that has or had it.
    runner: Option<String>,
    /// Rules done.
    progress: Progress,
    /// What is in hand.
    message: String,
    /// Why it failed.
    error: Option<String>,
    /// The scan that it became.
    scan: Option<String>,
}

/// File names of uploaded content, looked up once each.
#[derive(Debug, Default)]
pub(crate) struct Names(BTreeMap<String, Option<String>>);

impl Names {
    /// The view of a task.
    pub(crate) async fn view(&mut self, tenant: &TenantStore, task: Task) -> ApiResult<TaskView> {
        let content_name = self.of(tenant, &task.wanted.content).await?;
        Ok(TaskView {
            id: task.id.into(),
            system: task.system.into(),
            system_name: task.system_name,
            how: task.via,
            address: task.address,
            content: task.wanted.content,
            content_name,
            profile: Some(task.wanted.profile).filter(|profile| !profile.is_empty()),
            state: task.state.into(),
            cancel_requested: task.stop,
            asked_by: task.asked_by,
            schedule: task.schedule.map(String::from),
            created: task.created,
            started: task.started,
            finished: task.finished,
            attempts: task.attempts,
            runner: task.runner,
            progress: Progress {
                done: task.done,
                total: task.total,
            },
            message: task.message,
            error: task.error,
            scan: task.scan.map(String::from),
        })
    }

    /// The name of content.
    pub(crate) async fn of(
        &mut self,
        tenant: &TenantStore,
        content: &str,
    ) -> ApiResult<Option<String>> {
        if content == BASELINE {
            return Ok(None);
        }
        if let Some(known) = self.0.get(content) {
            return Ok(known.clone());
        }
        let found = tenant.artifact(&Digest::new(content)?).await?;
        let name = found.map(|a| a.name).filter(|name| !name.is_empty());
        self.0.insert(content.to_owned(), name.clone());
        Ok(name)
    }
}

/// What to scan by: content that is there, and a profile that could be one.
pub(crate) async fn wanted(
    tenant: &TenantStore,
    content: Option<String>,
    profile: Option<String>,
) -> ApiResult<Wanted> {
    let content = content
        .filter(|content| !content.is_empty())
        .unwrap_or_else(|| BASELINE.to_owned());
    let profile = profile.unwrap_or_default().trim().to_owned();
    if profile.len() > 300 || profile.starts_with('-') || profile.chars().any(char::is_control) {
        return Err(bad_field("profile", "it is no profile's id."));
    }
    if content == BASELINE {
        if !profile.is_empty() {
            return Err(bad_field(
                "profile",
                "the built-in baseline has no profiles.",
            ));
        }
    } else {
        let digest = super::artifacts::whole_digest(&content)?;
        if tenant.artifact(&digest).await?.is_none() {
            return Err(Problem::unprocessable(
                "unknown_content",
                "There is no such content. Upload it first: POST /api/v1/artifacts?kind=evidence.",
            ));
        }
    }
    Ok(Wanted { content, profile })
}

/// Which tasks.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TaskQuery {
    /// Of one system, by its id.
    system: Option<String>,
    /// `queued`, `claimed`, `running`, `done`, `failed` or `cancelled`.
    state: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

/// List scans that were asked for, newest first.
#[utoipa::path(get, path = "/tasks", tag = "systems", operation_id = "listTasks",
    params(TaskQuery), responses((status = 200, body = Page<TaskView>)))]
pub(crate) async fn list_tasks(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<TaskQuery>,
) -> ApiResult<Json<Page<TaskView>>> {
    let wanted = match query.state.as_deref().filter(|word| !word.is_empty()) {
        None => None,
        Some(word) => Some(TaskState::parse(word).ok_or_else(|| {
            bad_field(
                "state",
                "it is not one of queued, claimed, running, done, failed, cancelled.",
            )
        })?),
    };
    let filter = TaskFilter {
        system: optional::<SystemId>("system", query.system.as_deref())?,
        state: wanted,
    };
    let tenant = state.store.tenant(&caller.tenant).await?;
    let page = PageRequest {
        cursor: query.cursor,
        limit: page_size(query.limit)?,
    };
    let found = tenant.tasks(&filter, &page).await?;
    let mut names = Names::default();
    let mut items = Vec::new();
    for task in found.items {
        items.push(names.view(&tenant, task).await?);
    }
    Ok(Json(Page {
        items,
        next_cursor: found.next_cursor,
        total: None,
    }))
}

/// One scan that was asked for.
#[utoipa::path(get, path = "/tasks/{id}", tag = "systems", operation_id = "getTask",
    params(("id" = String, Path)), responses((status = 200, body = TaskView)))]
pub(crate) async fn get_task(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> ApiResult<Json<TaskView>> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let task = tenant
        .task(&TaskId::new(&*id)?)
        .await?
        .ok_or_else(|| Problem::not_found(format_args!("task {id:?}")))?;
    Ok(Json(Names::default().view(&tenant, task).await?))
}

/// Call a scan off: at once while it waits, else its runner is told and stops.
#[utoipa::path(post, path = "/tasks/{id}/cancel", tag = "systems", operation_id = "cancelTask",
    params(("id" = String, Path)), responses((status = 200, body = TaskView)))]
pub(crate) async fn cancel_task(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> ApiResult<Json<TaskView>> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let act = state.act(caller.actor());
    let task = tenant.cancel_task(&TaskId::new(id)?, &act).await?;
    state.work.nudge();
    Ok(Json(Names::default().view(&tenant, task).await?))
}

/// A runner that asks for work.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ClaimTask {
    /// The runner's name.
    runner: String,
    /// Names of the systems that it stands for.
    #[serde(default)]
    systems: Vec<String>,
    /// Whether it also stands for every system that is reached by SSH.
    #[serde(default)]
    any_ssh: bool,
    /// For how many seconds to wait for work, 50 at most; the answer may come earlier.
    #[serde(default)]
    wait_seconds: u64,
}

/// Work for a runner, if there is some.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Claimed {
    task: Option<TaskView>,
    /// The lease's fence: send it with everything about this task.
    token: Option<i64>,
    /// Say something at least this often, or another runner gets the task.
    lease_seconds: u32,
    /// How many of the named systems are registered.
    systems: u64,
}

/// Take the oldest scan that was asked of some systems; one at a time a system.
#[utoipa::path(post, path = "/tasks/claim", tag = "systems", operation_id = "claimTask",
    request_body = ClaimTask, responses((status = 200, body = Claimed)))]
pub(crate) async fn claim_task(
    State(state): State<AppState>,
    caller: Caller,
    Json(asked): Json<ClaimTask>,
) -> ApiResult<Json<Claimed>> {
    super::systems::checked_name("runner", &asked.runner)?;
    if asked.systems.len() > MAX_SYSTEMS {
        return Err(bad_field(
            "systems",
            format_args!("{MAX_SYSTEMS} are the most; start another runner."),
        ));
    }
    let runner = Runner {
        name: asked.runner,
        systems: asked.systems,
        any_ssh: asked.any_ssh,
    };
    let tenant = state.store.tenant(&caller.tenant).await?;
    let systems = tenant.systems_seen(&runner, state.now()).await?;
    let patience = Duration::from_secs(asked.wait_seconds.min(MAX_WAIT));
    let mut turn = state.work.waiting.turn(patience);
    let claim = loop {
        let claim = tenant
            .claim_task(&runner, state.now(), LEASE_SECONDS)
            .await?;
        if claim.is_some() || !turn.more().await {
            break claim;
        }
    };
    let (task, token) = match claim {
        Some(claim) => {
            let view = Names::default().view(&tenant, claim.task).await?;
            (Some(view), Some(claim.token))
        }
        None => (None, None),
    };
    Ok(Json(Claimed {
        task,
        token,
        lease_seconds: LEASE_SECONDS,
        systems,
    }))
}

/// How far a runner is.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct TaskProgress {
    /// The fence, as it was given with the task.
    token: i64,
    /// Rules done.
    #[serde(default)]
    done: u64,
    /// Rules in all.
    total: Option<u64>,
    /// What is in hand.
    #[serde(default)]
    message: String,
}

/// What a runner shall do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GoOn {
    /// Stop, and complete the task as `cancelled`.
    cancel: bool,
    /// Say something at least this often.
    lease_seconds: u32,
}

/// Say how far a scan is: the sign of life that keeps the lease. 409 when it was lost.
#[utoipa::path(post, path = "/tasks/{id}/progress", tag = "systems", operation_id = "taskProgress",
    params(("id" = String, Path)), request_body = TaskProgress,
    responses((status = 200, body = GoOn)))]
pub(crate) async fn task_progress(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    Json(said): Json<TaskProgress>,
) -> ApiResult<Json<GoOn>> {
    let id = TaskId::new(id)?;
    let tenant = state.store.tenant(&caller.tenant).await?;
    let progress = (said.done, said.total, said.message.as_str());
    let cancel = tenant
        .task_progress((&id, said.token), progress, state.now(), LEASE_SECONDS)
        .await
        .map_err(fenced)?;
    Ok(Json(GoOn {
        cancel,
        lease_seconds: LEASE_SECONDS,
    }))
}

/// How a scan ended.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct CompleteTask {
    /// The fence, as it was given with the task.
    token: i64,
    /// `done`, `failed` or `cancelled`.
    state: String,
    /// The imported scan, for `done`.
    scan: Option<String>,
    /// Why, for `failed`.
    error: Option<String>,
}

/// End a scan. `done` needs the scan, imported through POST /artifacts into the system's scope.
#[utoipa::path(post, path = "/tasks/{id}/complete", tag = "systems", operation_id = "completeTask",
    params(("id" = String, Path)), request_body = CompleteTask,
    responses((status = 200, body = TaskView)))]
pub(crate) async fn complete_task(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    Json(said): Json<CompleteTask>,
) -> ApiResult<Json<TaskView>> {
    let id = TaskId::new(id)?;
    let tenant = state.store.tenant(&caller.tenant).await?;
    let end = match said.state.as_str() {
        "done" => TaskEnd::Done(scan_of(&tenant, &id, said.scan).await?),
        "failed" => {
            let why = said.error.unwrap_or_default();
            TaskEnd::Failed(match why.trim() {
                "" => "the runner does not say why".to_owned(),
                why => why.to_owned(),
            })
        }
        "cancelled" => TaskEnd::Cancelled,
        _ => {
            return Err(bad_field(
                "state",
                "it is not one of done, failed, cancelled.",
            ));
        }
    };
    let task = tenant
        .finish_task((&id, said.token), &end, state.now())
        .await
        .map_err(fenced)?;
    // The system is free for what else was asked of it.
    state.work.waiting.wake();
    Ok(Json(Names::default().view(&tenant, task).await?))
}

/// The scan that a task is said to have become: one of its own system.
async fn scan_of(tenant: &TenantStore, id: &TaskId, scan: Option<String>) -> ApiResult<ScanId> {
    let scan = ScanId::new(scan.ok_or_else(|| bad_field("scan", "`done` needs it."))?)?;
    let task = tenant
        .task(id)
        .await?
        .ok_or_else(|| Problem::not_found(format_args!("task {:?}", id.as_str())))?;
    let scope = Scope {
        kind: ScopeKind::Host,
        name: task.system_name,
    };
    let known = tenant.scan(&scan).await?;
    if known.is_none_or(|known| Some(known.scope) != scope.id().ok()) {
        return Err(Problem::unprocessable(
            "unknown_scan",
            "There is no such scan of this system. Hand the report in under the scope \
             host:<name>, wait until its job is done, and name the job's scan.",
        ));
    }
    Ok(scan)
}

fn fenced(error: StoreError) -> Problem {
    match error {
        StoreError::Fenced(_) => Problem::conflict(
            "lease_lost",
            "The task is no longer this runner's: it ended, or another runner has it. Stop.",
        ),
        error => error.into(),
    }
}
