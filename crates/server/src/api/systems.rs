//! Systems: machines that are scanned on request.

use super::history::HistoryPoint;
use super::tasks::{Names, TaskView, wanted};
use super::view::{Page, bad_field, page_size};
use crate::auth::Caller;
use crate::error::{ApiResult, Problem};
use crate::extract::{Json, Path, Query};
use crate::route;
use crate::route::Route;
use crate::state::AppState;
use crate::work::schedules::task_id;
use axum::extract::State;
use axum::http::StatusCode;
use bartizan_model::{Scope, ScopeId, ScopeKind, SystemId, Timestamp};
use bartizan_store::scans::ScanRow;
use bartizan_store::systems::{NewSystem, Schedule, System, SystemFilter, Task, Via};
use bartizan_store::{PageRequest, TenantStore};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// Labels of one system at most.
const MAX_LABELS: usize = 32;
/// Facts of one system at most.
const MAX_FACTS: usize = 40;

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![
        route!(Viewer, list_systems),
        route!(Operator, register_system),
        route!(Viewer, get_system),
        route!(Operator, label_system),
        route!(Admin, remove_system),
        route!(Operator, request_scan),
    ]
}

/// How a system is reached.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SystemHow)]
pub(crate) enum HowWord {
    /// By a runner on the system itself.
    Agent,
    /// By a runner elsewhere, over SSH.
    Ssh,
}

/// A schedule that means a system.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SystemSchedule {
    id: String,
    name: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    next_run: Option<Timestamp>,
}

/// A system.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = System)]
pub(crate) struct SystemView {
    id: String,
    name: String,
    /// Its scope, `host:<name>`.
    scope: String,
    how: HowWord,
    /// Where, for SSH: `[user@]host[:port]`.
    address: String,
    labels: Vec<String>,
    /// What its runner said of it.
    facts: BTreeMap<String, String>,
    /// The runner that asked for its work last.
    runner: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    /// When a runner asked for its work last.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_seen: Option<Timestamp>,
    /// The newest scan of its scope.
    last_scan: Option<HistoryPoint>,
    /// The newest scan that was asked for.
    task: Option<TaskView>,
    /// Enabled schedules that mean it, the next to run first.
    schedules: Vec<SystemSchedule>,
}

/// The scope of a system's scans.
pub(crate) fn scope_of(name: &str) -> ApiResult<ScopeId> {
    let scope = Scope {
        kind: ScopeKind::Host,
        name: name.to_owned(),
    };
    Ok(scope.id()?)
}

/// The views of some systems, at most 200, with what belongs to them.
async fn views(tenant: &TenantStore, systems: Vec<System>) -> ApiResult<Vec<SystemView>> {
    let scopes: Vec<ScopeId> = systems
        .iter()
        .map(|system| scope_of(&system.name))
        .collect::<ApiResult<_>>()?;
    let ids: Vec<SystemId> = systems.iter().map(|system| system.id.clone()).collect();
    let mut scans: BTreeMap<ScopeId, ScanRow> = tenant
        .newest_scans(&scopes)
        .await?
        .into_iter()
        .map(|scan| (scan.scope.clone(), scan))
        .collect();
    let mut tasks: BTreeMap<SystemId, Task> = tenant
        .newest_tasks(&ids)
        .await?
        .into_iter()
        .map(|task| (task.system.clone(), task))
        .collect();
    let mut schedules = tenant.schedules().await?;
    schedules.retain(|schedule| schedule.enabled);
    schedules.sort_by_key(|schedule| (schedule.next_run.is_none(), schedule.next_run));
    let mut names = Names::default();
    let mut all = Vec::new();
    for (system, scope) in systems.into_iter().zip(scopes) {
        let task = match tasks.remove(&system.id) {
            Some(task) => Some(names.view(tenant, task).await?),
            None => None,
        };
        all.push(SystemView {
            scope: scope.to_string(),
            how: match system.via {
                Via::Agent => HowWord::Agent,
                Via::Ssh => HowWord::Ssh,
            },
            last_scan: scans.remove(&scope).map(HistoryPoint::from),
            task,
            schedules: of_system(&schedules, &system),
            facts: serde_json::from_value(system.facts).unwrap_or_default(),
            id: system.id.into(),
            name: system.name,
            address: system.address,
            labels: system.labels,
            runner: system.runner,
            created: system.created,
            last_seen: system.last_seen,
        });
    }
    Ok(all)
}

fn of_system(schedules: &[Schedule], system: &System) -> Vec<SystemSchedule> {
    schedules
        .iter()
        .filter(|schedule| schedule.means(&system.name, &system.labels))
        .map(|schedule| SystemSchedule {
            id: schedule.id.to_string(),
            name: schedule.name.clone(),
            next_run: schedule.next_run,
        })
        .collect()
}

async fn view(tenant: &TenantStore, system: System) -> ApiResult<SystemView> {
    views(tenant, vec![system])
        .await?
        .pop()
        .ok_or_else(|| Problem::internal("a system has no view"))
}

/// A system that is there.
pub(crate) async fn known(tenant: &TenantStore, id: &str) -> ApiResult<System> {
    tenant
        .system(&SystemId::new(id)?)
        .await?
        .ok_or_else(|| Problem::not_found(format_args!("system {id:?}")))
}

/// Which systems.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SystemQuery {
    /// Text that the name contains.
    q: Option<String>,
    /// A label that it carries.
    label: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

/// List systems by name.
#[utoipa::path(get, path = "/systems", tag = "systems", operation_id = "listSystems",
    params(SystemQuery), responses((status = 200, body = Page<SystemView>)))]
pub(crate) async fn list_systems(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<SystemQuery>,
) -> ApiResult<Json<Page<SystemView>>> {
    let text = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let filter = SystemFilter {
        q: text(query.q),
        label: text(query.label),
    };
    let page = PageRequest {
        cursor: query.cursor,
        limit: page_size(query.limit)?,
    };
    let tenant = state.store.tenant(&caller.tenant).await?;
    let found = tenant.systems(&filter, &page).await?;
    Ok(Json(Page {
        items: views(&tenant, found.items).await?,
        next_cursor: found.next_cursor,
        total: None,
    }))
}

/// A system to register.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct RegisterSystem {
    /// Its name; its scans are of the scope `host:<name>`.
    name: String,
    how: HowWord,
    /// Where, for SSH: `[user@]host[:port]`.
    #[serde(default)]
    address: String,
    /// Labels; absent leaves those that it has.
    labels: Option<Vec<String>>,
    /// What is known of it, such as its operating system; absent leaves what is known.
    facts: Option<BTreeMap<String, String>>,
}

/// Register a system, or bring what is known of it up to date. It is known by its name.
#[utoipa::path(post, path = "/systems", tag = "systems", operation_id = "registerSystem",
    request_body = RegisterSystem,
    responses((status = 201, body = SystemView), (status = 200, body = SystemView)))]
pub(crate) async fn register_system(
    State(state): State<AppState>,
    caller: Caller,
    Json(said): Json<RegisterSystem>,
) -> ApiResult<(StatusCode, Json<SystemView>)> {
    checked_name("name", &said.name)?;
    if let Some(labels) = &said.labels {
        checked_labels(labels)?;
    }
    if let Some(facts) = &said.facts {
        checked_facts(facts)?;
    }
    let via = match said.how {
        HowWord::Agent if said.address.is_empty() => Via::Agent,
        HowWord::Agent => {
            return Err(bad_field("address", "only systems over SSH have one."));
        }
        HowWord::Ssh => {
            checked_address(&said.address)?;
            Via::Ssh
        }
    };
    let new = NewSystem {
        id: SystemId::new(format!("sys-{}", uuid::Uuid::now_v7()))?,
        name: said.name,
        via,
        address: said.address,
        labels: said.labels,
        facts: said.facts.map(|facts| serde_json::json!(facts)),
    };
    let tenant = state.store.tenant(&caller.tenant).await?;
    let act = state.act(caller.actor());
    let (system, created) = tenant.register_system(&new, &act).await?;
    state.work.nudge();
    let status = if created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(view(&tenant, system).await?)))
}

/// A name that can be a scope's, a file's and a shell word.
pub(crate) fn checked_name(field: &str, name: &str) -> ApiResult<()> {
    let sound = (1..=128).contains(&name.len())
        && !name.starts_with(['-', '.'])
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if sound {
        return Ok(());
    }
    Err(bad_field(
        field,
        "a name is 1 to 128 letters, digits, `-`, `_` and `.`, and begins with a letter or digit.",
    ))
}

/// Labels that can stand in a query without quotes.
pub(crate) fn checked_labels(labels: &[String]) -> ApiResult<()> {
    let sound = |label: &String| {
        (1..=64).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_./=:@".contains(&b))
    };
    if labels.len() <= MAX_LABELS && labels.iter().all(sound) {
        return Ok(());
    }
    Err(bad_field(
        "labels",
        format_args!("at most {MAX_LABELS}, each of 1 to 64 letters, digits and `-_./=:@`."),
    ))
}

fn checked_facts(facts: &BTreeMap<String, String>) -> ApiResult<()> {
    let sound = facts.len() <= MAX_FACTS
        && facts.iter().all(|(k, v)| k.len() <= 64 && v.len() <= 300)
        && !facts.values().any(|v| v.chars().any(char::is_control));
    if sound {
        return Ok(());
    }
    Err(bad_field(
        "facts",
        format_args!("at most {MAX_FACTS}, names of 64 and values of 300 printable bytes."),
    ))
}

/// An address that no SSH client takes for an option or a command.
fn checked_address(address: &str) -> ApiResult<()> {
    let (user, host) = address.rsplit_once('@').unwrap_or(("u", address));
    let plain = |text: &str, more: &[u8]| {
        !text.is_empty()
            && !text.starts_with('-')
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
    };
    if address.len() <= 200 && plain(user, b"-_.") && plain(host, b"-_.:[]%") {
        return Ok(());
    }
    Err(bad_field("address", "write it as [user@]host[:port]."))
}

/// One system.
#[utoipa::path(get, path = "/systems/{id}", tag = "systems", operation_id = "getSystem",
    params(("id" = String, Path)), responses((status = 200, body = SystemView)))]
pub(crate) async fn get_system(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> ApiResult<Json<SystemView>> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let system = known(&tenant, &id).await?;
    Ok(Json(view(&tenant, system).await?))
}

/// What to change of a system.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct LabelSystem {
    labels: Vec<String>,
}

/// Change a system's labels.
#[utoipa::path(patch, path = "/systems/{id}", tag = "systems", operation_id = "labelSystem",
    params(("id" = String, Path)), request_body = LabelSystem,
    responses((status = 200, body = SystemView)))]
pub(crate) async fn label_system(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    Json(change): Json<LabelSystem>,
) -> ApiResult<Json<SystemView>> {
    checked_labels(&change.labels)?;
    let tenant = state.store.tenant(&caller.tenant).await?;
    let act = state.act(caller.actor());
    let system = tenant
        .label_system(&SystemId::new(id)?, &change.labels, &act)
        .await?;
    state.work.nudge();
    Ok(Json(view(&tenant, system).await?))
}

/// Remove a system with what was asked of it; its scope, scans and findings stay.
#[utoipa::path(delete, path = "/systems/{id}", tag = "systems", operation_id = "removeSystem",
    params(("id" = String, Path)), responses((status = 204)))]
pub(crate) async fn remove_system(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> ApiResult<StatusCode> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let act = state.act(caller.actor());
    tenant.remove_system(&SystemId::new(id)?, &act).await?;
    state.work.nudge();
    Ok(StatusCode::NO_CONTENT)
}

/// What to scan by.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(crate) struct RequestScan {
    /// `baseline` (when absent), or the digest of content that was uploaded as evidence.
    content: Option<String>,
    /// The profile, of uploaded content.
    profile: Option<String>,
}

/// Ask for a scan. A runner of the system takes it up.
#[utoipa::path(post, path = "/systems/{id}/scans", tag = "systems", operation_id = "requestScan",
    params(("id" = String, Path)), request_body = RequestScan,
    responses((status = 202, body = TaskView)))]
pub(crate) async fn request_scan(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    Json(asked): Json<RequestScan>,
) -> ApiResult<(StatusCode, Json<TaskView>)> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    let wanted = wanted(&tenant, asked.content, asked.profile).await?;
    let act = state.act(caller.actor());
    let task = tenant
        .request_scan(&SystemId::new(id)?, &wanted, &task_id()?, &act)
        .await?;
    state.work.nudge();
    state.work.waiting.wake();
    let view = Names::default().view(&tenant, task).await?;
    Ok((StatusCode::ACCEPTED, Json(view)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_no_options() {
        for good in [
            "host",
            "root@10.0.0.1",
            "a.b@h-1.example.org:2222",
            "u@[fe80::1]:22",
        ] {
            assert!(checked_address(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "-oProxyCommand=x",
            "a@-oX",
            "-a@h",
            "h;ls",
            "h h",
            "@h",
            "u@",
            "$(x)",
        ] {
            assert!(checked_address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_and_labels_are_plain() {
        for (name, good) in [
            ("db-1.example.org", true),
            ("-x", false),
            ("..", false),
            ("a/b", false),
        ] {
            assert_eq!(checked_name("name", name).is_ok(), good, "{name}");
        }
        assert!(checked_labels(&["env=prod".into()]).is_ok());
        assert!(checked_labels(&["a\"b".into()]).is_err());
        assert!(checked_labels(&vec!["a".to_owned(); 33]).is_err());
    }
}
