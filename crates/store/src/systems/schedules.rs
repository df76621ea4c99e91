//! Plans that ask for scans by the clock. What a cron expression means is the server's to
//! know: here are the moments that it computed.

use super::Wanted;
use crate::db::{Row, args};
use crate::{Act, Result, StoreError, TenantStore};
use bartizan_model::audit::action;
use bartizan_model::{ScheduleId, TaskId, Timestamp};
use serde_json::json;

/// Schedules of one tenant at most.
const MOST: i64 = 500;
/// Systems that one run asks at most.
const MOST_SYSTEMS: usize = 10_000;

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Its id.
    pub id: ScheduleId,
    /// Its name, unique.
    pub name: String,
    /// When, in UTC.
    pub cron: String,
    /// Names of systems; `*` is every one.
    pub systems: Vec<String>,
    /// Systems that carry all of these, if there are any, are meant too.
    pub labels: Vec<String>,
    /// By what.
    pub wanted: Wanted,
    /// Whether it runs.
    pub enabled: bool,
    /// When it runs next; none while it does not.
    pub next_run: Option<Timestamp>,
    /// When it ran last.
    pub last_run: Option<Timestamp>,
    /// When it was made.
    pub created: Timestamp,
    /// Who made it.
    pub created_by: String,
}

impl Schedule {
    /// Whether a system is meant.
    pub fn means(&self, name: &str, labels: &[String]) -> bool {
        let named = self.systems.iter().any(|one| one == "*" || one == name);
        let labelled = !self.labels.is_empty() && self.labels.iter().all(|l| labels.contains(l));
        named || labelled
    }
}

/// What a person says of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleChange {
    /// Its name.
    pub name: String,
    /// When.
    pub cron: String,
    /// Names of systems.
    pub systems: Vec<String>,
    /// Labels.
    pub labels: Vec<String>,
    /// By what.
    pub wanted: Wanted,
    /// Whether it runs.
    pub enabled: bool,
    /// When it runs next, as the expression says.
    pub next_run: Option<Timestamp>,
}

/// A schedule to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSchedule {
    /// Its id.
    pub id: ScheduleId,
    /// The rest.
    pub said: ScheduleChange,
}

/// What a run of a schedule did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ran {
    /// Scans asked for.
    pub asked: u64,
    /// Systems whose same scan was still under way.
    pub busy: u64,
}

const COLUMNS: &str = "uid, name, cron, systems, labels, content, profile, enabled, next_run, \
     last_run, created, created_by";

fn schedule_of(row: &Row) -> Result<Schedule> {
    Ok(Schedule {
        id: row.id(0)?,
        name: row.text(1)?,
        cron: row.text(2)?,
        systems: row.json(3)?,
        labels: row.json(4)?,
        wanted: Wanted {
            content: row.text(5)?,
            profile: row.text(6)?,
        },
        enabled: row.flag(7)?,
        next_run: row.opt_time(8)?,
        last_run: row.opt_time(9)?,
        created: row.time(10)?,
        created_by: row.text(11)?,
    })
}

fn missing(id: &ScheduleId) -> StoreError {
    StoreError::NotFound {
        what: "schedule",
        id: id.to_string(),
    }
}

fn detail(said: &ScheduleChange) -> serde_json::Value {
    json!({
        "name": said.name, "cron": said.cron, "systems": said.systems, "labels": said.labels,
        "content": said.wanted.content, "profile": said.wanted.profile, "enabled": said.enabled,
    })
}

impl TenantStore {
    /// Makes a schedule (`schedule.changed`).
    pub async fn add_schedule(&self, new: &NewSchedule, act: &Act) -> Result<Schedule> {
        let said = &new.said;
        let mut tx = self.begin().await?;
        let count = tx
            .opt(
                "SELECT COUNT(*) FROM schedules WHERE tenant = $1",
                args![self.t],
            )
            .await?;
        if count.map(|row| row.int(0)).transpose()?.unwrap_or(0) >= MOST {
            return Err(StoreError::Conflict(format!(
                "there are {MOST} schedules already; let some serve more systems by labels"
            )));
        }
        let seq = tx.take(self.t, "schedule", 1).await?;
        let added = tx
            .exec(
                "INSERT INTO schedules (tenant, seq, uid, name, cron, systems, labels, content, \
                 profile, enabled, next_run, created, created_by) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
                 ON CONFLICT DO NOTHING",
                args![
                    self.t,
                    seq,
                    new.id.as_str(),
                    said.name.as_str(),
                    said.cron.as_str(),
                    serde_json::to_string(&said.systems)?,
                    serde_json::to_string(&said.labels)?,
                    said.wanted.content.as_str(),
                    said.wanted.profile.as_str(),
                    said.enabled,
                    said.next_run,
                    act.at,
                    act.actor.as_str()
                ],
            )
            .await?;
        if added != 1 {
            return Err(taken(&said.name));
        }
        self.record(
            &mut tx,
            act,
            action::SCHEDULE_CHANGED,
            new.id.as_str(),
            &detail(said),
        )
        .await?;
        tx.commit().await?;
        self.schedule(&new.id)
            .await?
            .ok_or_else(|| missing(&new.id))
    }

    /// Changes a schedule (`schedule.changed`).
    pub async fn change_schedule(
        &self,
        id: &ScheduleId,
        said: &ScheduleChange,
        act: &Act,
    ) -> Result<Schedule> {
        let mut tx = self.begin().await?;
        let other = tx
            .opt(
                "SELECT 1 FROM schedules WHERE tenant = $1 AND name = $2 AND uid <> $3",
                args![self.t, said.name.as_str(), id.as_str()],
            )
            .await?;
        if other.is_some() {
            return Err(taken(&said.name));
        }
        let changed = tx
            .exec(
                "UPDATE schedules SET name = $3, cron = $4, systems = $5, labels = $6, \
                 content = $7, profile = $8, enabled = $9, next_run = $10 \
                 WHERE tenant = $1 AND uid = $2",
                args![
                    self.t,
                    id.as_str(),
                    said.name.as_str(),
                    said.cron.as_str(),
                    serde_json::to_string(&said.systems)?,
                    serde_json::to_string(&said.labels)?,
                    said.wanted.content.as_str(),
                    said.wanted.profile.as_str(),
                    said.enabled,
                    said.next_run
                ],
            )
            .await?;
        if changed != 1 {
            return Err(missing(id));
        }
        self.record(
            &mut tx,
            act,
            action::SCHEDULE_CHANGED,
            id.as_str(),
            &detail(said),
        )
        .await?;
        tx.commit().await?;
        self.schedule(id).await?.ok_or_else(|| missing(id))
    }

    /// Removes a schedule (`schedule.removed`); what it asked for goes on.
    pub async fn remove_schedule(&self, id: &ScheduleId, act: &Act) -> Result<()> {
        let mut tx = self.begin().await?;
        let row = tx
            .opt(
                "DELETE FROM schedules WHERE tenant = $1 AND uid = $2 RETURNING name",
                args![self.t, id.as_str()],
            )
            .await?
            .ok_or_else(|| missing(id))?;
        let detail = json!({"name": row.text(0)?});
        self.record(&mut tx, act, action::SCHEDULE_REMOVED, id.as_str(), &detail)
            .await?;
        tx.commit().await
    }

    /// One schedule.
    pub async fn schedule(&self, id: &ScheduleId) -> Result<Option<Schedule>> {
        self.db()
            .opt(
                &format!("SELECT {COLUMNS} FROM schedules WHERE tenant = $1 AND uid = $2"),
                args![self.t, id.as_str()],
            )
            .await?
            .map(|row| schedule_of(&row))
            .transpose()
    }

    /// All schedules, by name.
    pub async fn schedules(&self) -> Result<Vec<Schedule>> {
        self.db()
            .all(
                &format!("SELECT {COLUMNS} FROM schedules WHERE tenant = $1 ORDER BY name"),
                args![self.t],
            )
            .await?
            .iter()
            .map(schedule_of)
            .collect()
    }

    /// Schedules whose time has come.
    pub async fn due_schedules(&self, now: Timestamp) -> Result<Vec<Schedule>> {
        self.db()
            .all(
                &format!(
                    "SELECT {COLUMNS} FROM schedules WHERE tenant = $1 \
                     AND next_run IS NOT NULL AND next_run <= $2 AND enabled = 1 \
                     ORDER BY next_run, seq"
                ),
                args![self.t, now],
            )
            .await?
            .iter()
            .map(schedule_of)
            .collect()
    }

    /// Asks for the scans of a due schedule, once whoever else tries (`schedule.ran`), and notes
    /// when it is due next. None when another process was faster, or it was changed meanwhile.
    pub async fn run_schedule(
        &self,
        schedule: &Schedule,
        next: Option<Timestamp>,
        ids: &mut (dyn FnMut() -> Result<TaskId> + Send),
        act: &Act,
    ) -> Result<Option<Ran>> {
        let mut tx = self.begin().await?;
        let mine = tx
            .exec(
                "UPDATE schedules SET next_run = $4, last_run = $5 \
                 WHERE tenant = $1 AND uid = $2 AND next_run = $3 AND enabled = 1",
                args![
                    self.t,
                    schedule.id.as_str(),
                    schedule.next_run,
                    next,
                    act.at
                ],
            )
            .await?;
        if mine != 1 {
            return Ok(None);
        }
        let systems = tx
            .all(
                &format!(
                    "SELECT seq, name, labels FROM systems WHERE tenant = $1 \
                     ORDER BY seq LIMIT {MOST_SYSTEMS}"
                ),
                args![self.t],
            )
            .await?;
        let mut ran = Ran::default();
        for row in &systems {
            let labels: Vec<String> = row.json(2)?;
            if !schedule.means(&row.text(1)?, &labels) {
                continue;
            }
            let added = self
                .insert_task(
                    &mut tx,
                    row.int(0)?,
                    &schedule.wanted,
                    &ids()?,
                    Some(&schedule.id),
                    act,
                )
                .await?;
            if added {
                ran.asked += 1;
            } else {
                ran.busy += 1;
            }
        }
        let detail = json!({
            "name": schedule.name, "due": schedule.next_run, "asked": ran.asked, "busy": ran.busy,
        });
        self.record(
            &mut tx,
            act,
            action::SCHEDULE_RAN,
            schedule.id.as_str(),
            &detail,
        )
        .await?;
        tx.commit().await?;
        Ok(Some(ran))
    }
}

fn taken(name: &str) -> StoreError {
    StoreError::Conflict(format!("there is a schedule named {name:?} already"))
}
