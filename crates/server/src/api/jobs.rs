//! Jobs: how far an import is.

use super::view::{Page, bad_field, page_size};
use crate::auth::Caller;
use crate::error::{ApiResult, Problem};
use crate::extract::{Json, Path, Query};
use crate::route;
use crate::route::Route;
use crate::state::AppState;
use axum::extract::State;
use bartizan_model::{JobId, Timestamp};
use bartizan_store::PageRequest;
use bartizan_store::queue::{Job, JobState};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![route!(Viewer, list_jobs), route!(Viewer, get_job)]
}

/// Where a job is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = JobState)]
pub(crate) enum StateWord {
    Queued,
    Running,
    Done,
    Failed,
}

impl From<JobState> for StateWord {
    fn from(state: JobState) -> Self {
        match state {
            JobState::Queued => Self::Queued,
            JobState::Running => Self::Running,
            JobState::Done => Self::Done,
            JobState::Failed => Self::Failed,
        }
    }
}

/// How far a job is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Progress {
    /// Units done.
    pub(crate) done: u64,
    /// Units in all, once known.
    pub(crate) total: Option<u64>,
}

/// A queued piece of work.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub(crate) struct JobView {
    id: String,
    /// Such as `import.report`.
    kind: String,
    state: StateWord,
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    started: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished: Option<Timestamp>,
    /// How often it was begun.
    attempts: u32,
    progress: Progress,
    /// Why the newest attempt failed.
    error: Option<String>,
    /// Digest of what it works on.
    artifact: Option<String>,
    /// The scan that it made.
    scan: Option<String>,
}

impl From<Job> for JobView {
    fn from(job: Job) -> Self {
        Self {
            id: job.id.into(),
            kind: job.kind,
            state: job.state.into(),
            created: job.created,
            started: job.started,
            finished: job.finished,
            attempts: job.attempts,
            progress: Progress {
                done: job.done,
                total: job.total,
            },
            error: job.error,
            artifact: job.artifact.map(String::from),
            scan: job.scan.map(String::from),
        }
    }
}

/// Which jobs.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct JobQuery {
    /// `queued`, `running`, `done` or `failed`.
    state: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

/// List jobs, newest first.
#[utoipa::path(get, path = "/jobs", tag = "jobs", operation_id = "listJobs",
    params(JobQuery), responses((status = 200, body = Page<JobView>)))]
pub(crate) async fn list_jobs(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<JobQuery>,
) -> ApiResult<Json<Page<JobView>>> {
    let wanted = match query.state.as_deref().filter(|word| !word.is_empty()) {
        None => None,
        Some(word) => Some(JobState::parse(word).ok_or_else(|| {
            bad_field("state", "it is not one of queued, running, done, failed.")
        })?),
    };
    let tenant = state.store.tenant(&caller.tenant).await?;
    let page = PageRequest {
        cursor: query.cursor,
        limit: page_size(query.limit)?,
    };
    Ok(Json(Page::of(
        tenant.jobs(wanted, &page).await?,
        JobView::from,
    )))
}

/// One job.
#[utoipa::path(get, path = "/jobs/{id}", tag = "jobs", operation_id = "getJob",
    params(("id" = String, Path)), responses((status = 200, body = JobView)))]
pub(crate) async fn get_job(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> ApiResult<Json<JobView>> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let job = tenant.job(&JobId::new(&*id)?).await?;
    job.map(|job| Json(job.into()))
        .ok_or_else(|| Problem::not_found(format_args!("job {id:?}")))
}
