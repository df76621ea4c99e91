//! Scans that are asked of systems: queue, fenced lease, progress, end.

use super::missing;
use crate::db::{Row, Tx, Val, args, holes};
use crate::{Act, Page, PageRequest, Result, StoreError, TenantStore};
use bartizan_model::audit::action;
use bartizan_model::{ScanId, ScheduleId, SystemId, TaskId, Timestamp};
use serde_json::json;

/// Claims before a task is given up whose runners die.
const MOST_ATTEMPTS: i64 = 3;
/// Systems that one runner may stand for.
const MOST_SYSTEMS: usize = 1_000;

/// Where a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskState {
    /// Waits for a runner.
    Queued,
    /// A runner has it, and has not said more.
    Claimed,
    /// A runner works on it.
    Running,
    /// Its scan is imported.
    Done,
    /// It could not be done; see [`Task::error`].
    Failed,
    /// It was called off.
    Cancelled,
}

impl TaskState {
    /// All of them, by rank.
    pub const ALL: [Self; 6] = [
        Self::Queued,
        Self::Claimed,
        Self::Running,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Claimed => "claimed",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Parses the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.word() == word)
    }

    /// Whether it has ended.
    pub fn ended(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }

    fn rank(self) -> i64 {
        (0..)
            .zip(Self::ALL)
            .find(|(_, s)| *s == self)
            .map_or(0, |(rank, _)| rank)
    }

    fn from_rank(rank: i64) -> Self {
        usize::try_from(rank)
            .ok()
            .and_then(|rank| Self::ALL.get(rank).copied())
            .unwrap_or(Self::Failed)
    }
}

/// What to scan by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// `baseline`, or the digest of uploaded content.
    pub content: String,
    /// The profile; empty for the content's default.
    pub profile: String,
}

/// A scan that is asked of a system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Of which system.
    pub system: SystemId,
    /// That system's name.
    pub system_name: String,
    /// How the system is reached, as [`super::Via::word`].
    pub via: String,
    /// Where, for SSH.
    pub address: String,
    /// By what.
    pub wanted: Wanted,
    /// Where it is.
    pub state: TaskState,
    /// Whether a person called it off while a runner has it.
    pub stop: bool,
    /// Who asked.
    pub asked_by: String,
    /// The schedule that asked.
    pub schedule: Option<ScheduleId>,
    /// When it was asked for.
    pub created: Timestamp,
    /// When its newest attempt began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// How often it was begun.
    pub attempts: u32,
    /// The runner that has or had it.
    pub runner: Option<String>,
    /// Rules done.
    pub done: u64,
    /// Rules in all, once known.
    pub total: Option<u64>,
    /// What is in hand.
    pub message: String,
    /// Why it failed.
    pub error: Option<String>,
    /// The scan that it became.
    pub scan: Option<ScanId>,
}

/// A task that a runner may work on, and the fence of its lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskClaim {
    /// The task.
    pub task: Task,
    /// Grows with each claim.
    pub token: i64,
}

/// Which tasks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskFilter {
    /// Of one system.
    pub system: Option<SystemId>,
    /// In one state.
    pub state: Option<TaskState>,
}

/// How a runner ends a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskEnd {
    /// The scan is imported.
    Done(ScanId),
    /// It could not be done.
    Failed(String),
    /// It was called off, and the runner stopped.
    Cancelled,
}

/// Who asks for work, and whose.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Runner {
    /// The runner's name.
    pub name: String,
    /// Names of systems that it stands for.
    pub systems: Vec<String>,
    /// Whether it stands for every system that is reached by SSH, too.
    pub any_ssh: bool,
}

impl Runner {
    /// The condition on rows of `systems` (with the prefix `s.` or none).
    pub(super) fn wheres(&self, prefix: &str, args: &mut Vec<Val>) -> String {
        let names = self.systems.iter().take(MOST_SYSTEMS).map(String::as_str);
        let names = holes(args, names);
        let ssh = if self.any_ssh {
            format!(" OR {prefix}via = 'ssh'")
        } else {
            String::new()
        };
        format!("({prefix}name IN ({names}){ssh})")
    }
}

const COLUMNS: &str = "t.uid, s.uid, s.name, s.via, s.address, t.content, t.profile, t.state, \
     t.stop, t.asked_by, t.schedule, t.created, t.started, t.finished, t.attempts, t.runner, \
     t.done, t.total, t.message, t.error, t.scan, t.seq";

const FROM: &str = "FROM scan_tasks t JOIN systems s ON s.tenant = t.tenant AND s.seq = t.system";

/// Which task a lease is about, while it is good.
const LEASED: &str = "tenant = $1 AND uid = $2 AND token = $3 AND state IN (1, 2)";

const LOST: StoreError = StoreError::Fenced("the scan task");

fn opt_id<T: TryFrom<String, Error = bartizan_model::IdError>>(
    text: Option<String>,
) -> Result<Option<T>> {
    Ok(text.map(T::try_from).transpose()?)
}

fn task_of(row: &Row) -> Result<Task> {
    Ok(Task {
        id: row.id(0)?,
        system: row.id(1)?,
        system_name: row.text(2)?,
        via: row.text(3)?,
        address: row.text(4)?,
        wanted: Wanted {
            content: row.text(5)?,
            profile: row.text(6)?,
        },
        state: TaskState::from_rank(row.int(7)?),
        stop: row.flag(8)?,
        asked_by: row.text(9)?,
        schedule: opt_id(row.opt_text(10)?)?,
        created: row.time(11)?,
        started: row.opt_time(12)?,
        finished: row.opt_time(13)?,
        attempts: u32::try_from(row.int(14)?).unwrap_or(0),
        runner: row.opt_text(15)?,
        done: row.count(16)?,
        total: row.opt_int(17)?.map(|n| n.max(0) as u64),
        message: row.text(18)?,
        error: row.opt_text(19)?,
        scan: opt_id(row.opt_text(20)?)?,
    })
}

fn short(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

impl TenantStore {
    /// Asks for a scan of a system (`scan.requested`); a conflict while the same is under way.
    pub async fn request_scan(
        &self,
        system: &SystemId,
        wanted: &Wanted,
        id: &TaskId,
        act: &Act,
    ) -> Result<Task> {
        let mut tx = self.begin().await?;
        let row = tx
            .opt(
                "SELECT seq, name FROM systems WHERE tenant = $1 AND uid = $2",
                args![self.t, system.as_str()],
            )
            .await?
            .ok_or_else(|| missing(system))?;
        let name = row.text(1)?;
        if !self
            .insert_task(&mut tx, row.int(0)?, wanted, id, None, act)
            .await?
        {
            return Err(StoreError::Conflict(format!(
                "this scan of {name} is queued or runs already; wait for it, or cancel it"
            )));
        }
        let detail = json!({
            "system": system, "name": name, "content": wanted.content, "profile": wanted.profile,
        });
        self.record(&mut tx, act, action::SCAN_REQUESTED, id.as_str(), &detail)
            .await?;
        let task = self.task_in(&mut tx, id).await?;
        tx.commit().await?;
        Ok(task)
    }

    /// Queues a task; false when the same is queued or runs already.
    pub(super) async fn insert_task(
        &self,
        tx: &mut Tx,
        system: i64,
        wanted: &Wanted,
        id: &TaskId,
        schedule: Option<&ScheduleId>,
        act: &Act,
    ) -> Result<bool> {
        let seq = tx.take(self.t, "scan_task", 1).await?;
        let added = tx
            .exec(
                "INSERT INTO scan_tasks (tenant, seq, uid, system, content, profile, state, stop, \
                 asked_by, schedule, created, attempts, token, done, message) \
                 VALUES ($1, $2, $3, $4, $5, $6, 0, 0, $7, $8, $9, 0, 0, 0, '') \
                 ON CONFLICT DO NOTHING",
                args![
                    self.t,
                    seq,
                    id.as_str(),
                    system,
                    wanted.content.as_str(),
                    wanted.profile.as_str(),
                    act.actor.as_str(),
                    schedule.map(ScheduleId::as_str),
                    act.at
                ],
            )
            .await?;
        Ok(added == 1)
    }

    async fn task_in(&self, tx: &mut Tx, id: &TaskId) -> Result<Task> {
        let row = tx
            .opt(
                &format!("SELECT {COLUMNS} {FROM} WHERE t.tenant = $1 AND t.uid = $2"),
                args![self.t, id.as_str()],
            )
            .await?
            .ok_or_else(|| StoreError::NotFound {
                what: "task",
                id: id.to_string(),
            })?;
        task_of(&row)
    }

    /// One task.
    pub async fn task(&self, id: &TaskId) -> Result<Option<Task>> {
        self.db()
            .opt(
                &format!("SELECT {COLUMNS} {FROM} WHERE t.tenant = $1 AND t.uid = $2"),
                args![self.t, id.as_str()],
            )
            .await?
            .map(|row| task_of(&row))
            .transpose()
    }

    /// Tasks, newest first.
    pub async fn tasks(&self, filter: &TaskFilter, page: &PageRequest) -> Result<Page<Task>> {
        let limit = page.rows();
        let before: i64 = page.decode()?.unwrap_or(i64::MAX);
        let mut args = args![self.t, before];
        let mut wheres = String::from("t.tenant = $1 AND t.seq < $2");
        if let Some(state) = filter.state {
            args.push(state.rank().into());
            wheres.push_str(&format!(" AND t.state = ${}", args.len()));
        }
        if let Some(system) = &filter.system {
            args.push(system.as_str().into());
            wheres.push_str(&format!(
                " AND t.system = (SELECT seq FROM systems WHERE tenant = $1 AND uid = ${})",
                args.len()
            ));
        }
        let rows = self
            .db()
            .all(
                &format!(
                    "SELECT {COLUMNS} {FROM} WHERE {wheres} ORDER BY t.seq DESC LIMIT {}",
                    limit + 1
                ),
                args,
            )
            .await?;
        let rows: Vec<(Task, i64)> = rows
            .iter()
            .map(|row| Ok((task_of(row)?, row.int(21)?)))
            .collect::<Result<_>>()?;
        let cut = Page::cut(rows, limit, |(_, seq)| *seq)?;
        Ok(Page {
            items: cut.items.into_iter().map(|(task, _)| task).collect(),
            next_cursor: cut.next_cursor,
            total: None,
        })
    }

    /// The newest task of each of these systems, ended or not.
    pub async fn newest_tasks(&self, systems: &[SystemId]) -> Result<Vec<Task>> {
        let mut args = args![self.t];
        let holes = holes(&mut args, systems.iter().take(200).map(SystemId::as_str));
        self.db()
            .all(
                &format!(
                    "SELECT {COLUMNS} {FROM} WHERE t.tenant = $1 AND t.seq IN \
                     (SELECT (SELECT MAX(n.seq) FROM scan_tasks n WHERE n.tenant = o.tenant \
                     AND n.system = o.seq) FROM systems o \
                     WHERE o.tenant = $1 AND o.uid IN ({holes}))"
                ),
                args,
            )
            .await?
            .iter()
            .map(task_of)
            .collect()
    }

    /// Calls a task off (`scan.cancelled`): at once while it waits, else its runner is told.
    pub async fn cancel_task(&self, id: &TaskId, act: &Act) -> Result<Task> {
        let mut tx = self.begin().await?;
        let task = self.task_in(&mut tx, id).await?;
        if task.state.ended() {
            return Err(StoreError::Conflict(format!(
                "task {id} has ended already: {}",
                task.state.word()
            )));
        }
        if task.stop {
            return Ok(task);
        }
        if task.state == TaskState::Queued {
            tx.exec(
                "UPDATE scan_tasks SET state = 5, stop = 1, finished = $3 \
                 WHERE tenant = $1 AND uid = $2",
                args![self.t, id.as_str(), act.at],
            )
            .await?;
        } else {
            tx.exec(
                "UPDATE scan_tasks SET stop = 1 WHERE tenant = $1 AND uid = $2",
                args![self.t, id.as_str()],
            )
            .await?;
        }
        let detail = json!({
            "system": task.system, "name": task.system_name, "was": task.state.word(),
        });
        self.record(&mut tx, act, action::SCAN_CANCELLED, id.as_str(), &detail)
            .await?;
        let task = self.task_in(&mut tx, id).await?;
        tx.commit().await?;
        Ok(task)
    }

    /// Gives a runner the oldest task of its systems, one at a time a system.
    pub async fn claim_task(
        &self,
        runner: &Runner,
        now: Timestamp,
        lease_seconds: u32,
    ) -> Result<Option<TaskClaim>> {
        let mut args = args![self.t];
        let mine = runner.wheres("s.", &mut args);
        let sql = format!(
            "SELECT t.seq {FROM} WHERE t.tenant = $1 AND t.state = 0 AND {mine} \
             AND NOT EXISTS (SELECT 1 FROM scan_tasks e WHERE e.tenant = t.tenant \
             AND e.system = t.system AND e.state IN (1, 2)) ORDER BY t.seq LIMIT 1"
        );
        // Most questions find nothing; they should not wait for the writer.
        if self.db().opt(&sql, args.clone()).await?.is_none() {
            return Ok(None);
        }
        let mut tx = self.begin().await?;
        let Some(row) = tx.opt(&sql, args).await? else {
            return Ok(None);
        };
        let seq = row.int(0)?;
        let token = tx
            .opt(
                "UPDATE scan_tasks SET state = 1, attempts = attempts + 1, token = token + 1, \
                 runner = $3, started = $4, lease_until = $5, done = 0, total = NULL, \
                 message = '', error = NULL WHERE tenant = $1 AND seq = $2 RETURNING token",
                args![
                    self.t,
                    seq,
                    runner.name.as_str(),
                    now,
                    now.plus_seconds(i64::from(lease_seconds))
                ],
            )
            .await?
            .ok_or(LOST)?
            .int(0)?;
        let row = tx
            .opt(
                &format!("SELECT {COLUMNS} {FROM} WHERE t.tenant = $1 AND t.seq = $2"),
                args![self.t, seq],
            )
            .await?
            .ok_or(LOST)?;
        let task = task_of(&row)?;
        tx.commit().await?;
        Ok(Some(TaskClaim { task, token }))
    }

    /// Notes how far a runner is and extends its lease; says whether it shall stop.
    /// [`StoreError::Fenced`] when it lost the task.
    pub async fn task_progress(
        &self,
        claim: (&TaskId, i64),
        progress: (u64, Option<u64>, &str),
        now: Timestamp,
        lease_seconds: u32,
    ) -> Result<bool> {
        let (done, total, message) = progress;
        let mut tx = self.db().begin().await?;
        let row = tx
            .opt(
                &format!(
                    "UPDATE scan_tasks SET state = 2, done = $4, total = COALESCE($5, total), \
                     message = $6, lease_until = $7 WHERE {LEASED} RETURNING stop"
                ),
                args![
                    self.t,
                    claim.0.as_str(),
                    claim.1,
                    done,
                    total.map(|n| n.min(i64::MAX as u64) as i64),
                    short(message, 300),
                    now.plus_seconds(i64::from(lease_seconds))
                ],
            )
            .await?
            .ok_or(LOST)?;
        let stop = row.flag(0)?;
        tx.commit().await?;
        Ok(stop)
    }

    /// Ends a task; [`StoreError::Fenced`] when the runner lost it.
    pub async fn finish_task(
        &self,
        claim: (&TaskId, i64),
        end: &TaskEnd,
        now: Timestamp,
    ) -> Result<Task> {
        let (state, error, scan) = match end {
            TaskEnd::Done(scan) => (TaskState::Done, None, Some(scan.as_str())),
            TaskEnd::Failed(why) => (TaskState::Failed, Some(short(why, 2_000)), None),
            TaskEnd::Cancelled => (TaskState::Cancelled, None, None),
        };
        let mut tx = self.begin().await?;
        let ended = tx
            .exec(
                &format!(
                    "UPDATE scan_tasks SET state = $4, finished = $5, error = $6, scan = $7, \
                     message = '', lease_until = NULL WHERE {LEASED}"
                ),
                args![
                    self.t,
                    claim.0.as_str(),
                    claim.1,
                    state.rank(),
                    now,
                    error,
                    scan
                ],
            )
            .await?;
        if ended != 1 {
            return Err(LOST);
        }
        let task = self.task_in(&mut tx, claim.0).await?;
        tx.commit().await?;
        Ok(task)
    }

    /// Queues tasks again whose runner gave no sign of life; those that were called off, or
    /// used up their attempts, end. Says how many were touched.
    pub async fn expire_tasks(&self, now: Timestamp) -> Result<u64> {
        let some = self
            .db()
            .opt(
                "SELECT 1 FROM scan_tasks WHERE tenant = $1 AND state IN (1, 2) \
                 AND lease_until < $2 LIMIT 1",
                args![self.t, now],
            )
            .await?;
        if some.is_none() {
            return Ok(0);
        }
        let mut tx = self.begin().await?;
        let touched = tx
            .exec(
                "UPDATE scan_tasks SET \
                 error = CASE WHEN stop = 0 AND attempts >= $3 \
                 THEN 'its runner died or stalled at each of its attempts' END, \
                 finished = CASE WHEN stop <> 0 OR attempts >= $3 THEN $2 END, \
                 state = CASE WHEN stop <> 0 THEN 5 WHEN attempts >= $3 THEN 4 ELSE 0 END, \
                 lease_until = NULL, message = '' \
                 WHERE tenant = $1 AND state IN (1, 2) AND lease_until < $2",
                args![self.t, now, MOST_ATTEMPTS],
            )
            .await?;
        tx.commit().await?;
        Ok(touched)
    }
}
