//! Submissions and the work queue: lanes, fenced leases, retries.

mod lease;

use crate::db::{Row, Tx, args};
use crate::{Act, Page, PageRequest, Result, StoreError, TenantStore, fault};
use bartizan_model::audit::action;
use bartizan_model::{Digest, JobId, ScanId, ScopeId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for a worker, or for its next attempt.
    Queued,
    /// A worker holds its lease.
    Running,
    /// Finished well.
    Done,
    /// Given up; see [`Job::error`].
    Failed,
}

impl JobState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Queued, Self::Running, Self::Done, Self::Failed];

    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    /// Parses the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.word() == word)
    }
}

/// A queued piece of work.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What to do: `import.report`, `import.sarif`, …
    pub kind: String,
    /// Where it is.
    pub state: JobState,
    /// When it was queued.
    pub created: Timestamp,
    /// When its newest attempt began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// How often it was begun.
    pub attempts: u32,
    /// Units done.
    pub done: u64,
    /// Units in all, once known.
    pub total: Option<u64>,
    /// Why the newest attempt failed.
    pub error: Option<String>,
    /// The artifact it works on.
    pub artifact: Option<Digest>,
    /// The scan that it made.
    pub scan: Option<ScanId>,
    /// The particulars of its kind.
    pub payload: Value,
}

/// Work to enqueue.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// Its id, made by the caller.
    pub id: JobId,
    /// What to do.
    pub kind: String,
    /// Jobs of one tenant and lane run one after the other, in order. An empty lane is
    /// no lane. Imports use the scope's id.
    pub lane: String,
    /// The artifact.
    pub artifact: Option<Digest>,
    /// The particulars.
    pub payload: Value,
    /// Attempts before it is given up.
    pub max_attempts: u32,
}

/// The right to work on a job, good until someone else takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Whose job.
    pub tenant: TenantId,
    /// Which.
    pub job: JobId,
    /// The fence: it grows with each claim.
    pub token: i64,
}

/// A claimed job.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// The right to it.
    pub lease: Lease,
    /// The job.
    pub job: Job,
}

/// An artifact handed in for import; its bytes are stored already.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// Id for the job, used when this is new.
    pub job: JobId,
    /// The job's kind.
    pub kind: String,
    /// The bytes.
    pub artifact: Digest,
    /// Their length.
    pub size: u64,
    /// Their media type.
    pub media_type: String,
    /// The scope that it is about: the lane.
    pub scope: ScopeId,
    /// The scan id that the report carries, if it carries one. Without an
    /// `Idempotency-Key` it identifies the submission.
    pub scan: Option<ScanId>,
    /// The `Idempotency-Key`, if given. It identifies the submission, so that the same
    /// bytes may be handed in again as news.
    pub idempotency_key: Option<String>,
    /// Passed to the worker.
    pub payload: Value,
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq)]
pub struct Submitted {
    /// The job that does, or did, the work.
    pub job: Job,
    /// Whether it was handed in before: same identity, same bytes.
    pub duplicate: bool,
}

/// Counts for metrics and the overview.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct QueueStats {
    /// Waiting.
    pub queued: u64,
    /// At work.
    pub running: u64,
    /// Given up.
    pub failed: u64,
    /// When the oldest waiting job was queued, in microseconds.
    pub oldest_queued: Option<i64>,
}

const COLUMNS: &str = "uid, kind, state, created, started, finished, attempts, done, total, error, \
                       artifact, scan, payload, seq";

impl JobState {
    fn rank(self) -> i64 {
        match self {
            Self::Queued => 0,
            Self::Running => 1,
            Self::Done => 2,
            Self::Failed => 3,
        }
    }

    fn from_rank(rank: i64) -> Self {
        match rank {
            0 => Self::Queued,
            1 => Self::Running,
            2 => Self::Done,
            _ => Self::Failed,
        }
    }
}

fn job_of(row: &Row) -> Result<Job> {
    Ok(Job {
        id: row.id(0)?,
        kind: row.text(1)?,
        state: JobState::from_rank(row.int(2)?),
        created: row.time(3)?,
        started: row.opt_time(4)?,
        finished: row.opt_time(5)?,
        attempts: u32::try_from(row.int(6)?).unwrap_or(0),
        done: row.count(7)?,
        total: row.opt_int(8)?.map(|n| n.max(0) as u64),
        error: row.opt_text(9)?,
        artifact: row.opt_text(10)?.map(Digest::new).transpose()?,
        scan: row.opt_text(11)?.map(ScanId::new).transpose()?,
        payload: row.json(12)?,
    })
}

impl TenantStore {
    /// Records artifact, submission, job and `artifact.received` together. The same identity
    /// with the same bytes returns the earlier job; with other bytes it is
    /// [`StoreError::Conflict`].
    ///
    /// Identity is the `Idempotency-Key` where one is given, else the report's scan id. So the
    /// same bytes under another key are news: the import counts as made now, after the newest
    /// scan of its scope, and may reopen what was fixed meanwhile.
    pub async fn submit(&self, submission: &Submission, act: &Act) -> Result<Submitted> {
        let ident = match (&submission.idempotency_key, &submission.scan) {
            (Some(key), _) => format!("key:{key}"),
            (None, Some(scan)) => format!("scan:{scan}"),
            (None, None) => format!("job:{}", submission.job),
        };
        let mut tx = self.begin().await?;
        let known = tx
            .opt(
                "SELECT artifact, job FROM submissions WHERE tenant = $1 AND ident = $2",
                args![self.t, ident.as_str()],
            )
            .await?;
        if let Some(row) = known {
            if row.text(0)? != submission.artifact.as_str() {
                return Err(StoreError::Conflict(format!(
                    "{ident} was handed in before with other bytes; a new scan needs a new id"
                )));
            }
            let id: JobId = row.id(1)?;
            let job = tx
                .opt(
                    &format!("SELECT {COLUMNS} FROM jobs WHERE tenant = $1 AND uid = $2"),
                    args![self.t, id.as_str()],
                )
                .await?
                .ok_or_else(|| StoreError::Corrupt(format!("{ident} has no job")))?;
            return Ok(Submitted {
                job: job_of(&job)?,
                duplicate: true,
            });
        }
        let mut ordinal = 0;
        if let Some(scan) = &submission.scan {
            let rows = tx
                .all(
                    "SELECT artifact FROM submissions \
                     WHERE tenant = $1 AND scan = $2 AND scan IS NOT NULL",
                    args![self.t, scan.as_str()],
                )
                .await?;
            for row in &rows {
                if row.text(0)? != submission.artifact.as_str() {
                    return Err(StoreError::Conflict(format!(
                        "scan {scan} was handed in before with other bytes; a new scan needs a \
                         new id"
                    )));
                }
            }
            ordinal = rows.len();
        }
        tx.exec(
            "INSERT INTO artifacts (tenant, digest, size, media_type, name, created) \
             VALUES ($1, $2, $3, $4, '', $5) ON CONFLICT (tenant, digest) DO NOTHING",
            args![
                self.t,
                submission.artifact.as_str(),
                submission.size,
                submission.media_type.as_str(),
                act.at
            ],
        )
        .await?;
        tx.exec(
            "INSERT INTO submissions (tenant, ident, artifact, scan, ordinal, job) \
             VALUES ($1, $2, $3, $4, $5, $6)",
            args![
                self.t,
                ident,
                submission.artifact.as_str(),
                submission.scan.as_ref().map(ScanId::as_str),
                ordinal,
                submission.job.as_str()
            ],
        )
        .await?;
        let new = NewJob {
            id: submission.job.clone(),
            kind: submission.kind.clone(),
            lane: submission.scope.to_string(),
            artifact: Some(submission.artifact.clone()),
            payload: submission.payload.clone(),
            max_attempts: 5,
        };
        self.insert_job(&mut tx, &new, act.at).await?;
        let detail = json!({
            "job": submission.job, "scope": submission.scope, "scan": submission.scan,
            "size": submission.size, "media_type": submission.media_type,
        });
        self.record(
            &mut tx,
            act,
            action::ARTIFACT_RECEIVED,
            submission.artifact.as_str(),
            &detail,
        )
        .await?;
        fault::point("submit.before_commit");
        tx.commit().await?;
        fault::point("submit.after_commit");
        Ok(Submitted {
            job: Job {
                id: new.id,
                kind: new.kind,
                state: JobState::Queued,
                created: act.at,
                started: None,
                finished: None,
                attempts: 0,
                done: 0,
                total: None,
                error: None,
                artifact: new.artifact,
                scan: None,
                payload: new.payload,
            },
            duplicate: false,
        })
    }

    async fn insert_job(&self, tx: &mut Tx, job: &NewJob, now: Timestamp) -> Result<()> {
        let seq = tx.take(self.t, "job", 1).await?;
        tx.exec(
            "INSERT INTO jobs (tenant, seq, uid, kind, lane, state, created, run_at, attempts, \
             max_attempts, token, done, artifact, payload) \
             VALUES ($1, $2, $3, $4, $5, 0, $6, $6, 0, $7, 0, 0, $8, $9)",
            args![
                self.t,
                seq,
                job.id.as_str(),
                job.kind.as_str(),
                job.lane.as_str(),
                now,
                job.max_attempts.max(1),
                job.artifact.as_ref().map(Digest::as_str),
                serde_json::to_string(&job.payload)?
            ],
        )
        .await?;
        Ok(())
    }

    /// Queues work.
    pub async fn enqueue(&self, job: &NewJob, now: Timestamp) -> Result<()> {
        let mut tx = self.begin().await?;
        self.insert_job(&mut tx, job, now).await?;
        tx.commit().await
    }

    /// One job.
    pub async fn job(&self, id: &JobId) -> Result<Option<Job>> {
        self.db()
            .opt(
                &format!("SELECT {COLUMNS} FROM jobs WHERE tenant = $1 AND uid = $2"),
                args![self.t, id.as_str()],
            )
            .await?
            .map(|row| job_of(&row))
            .transpose()
    }

    /// Jobs, newest first.
    pub async fn jobs(&self, state: Option<JobState>, page: &PageRequest) -> Result<Page<Job>> {
        let limit = page.rows();
        let before: i64 = page.decode()?.unwrap_or(i64::MAX);
        let mut args = args![self.t, before];
        let mut wheres = String::from("tenant = $1 AND seq < $2");
        if let Some(state) = state {
            args.push(state.rank().into());
            wheres.push_str(" AND state = $3");
        }
        let rows = self
            .db()
            .all(
                &format!(
                    "SELECT {COLUMNS} FROM jobs WHERE {wheres} ORDER BY seq DESC LIMIT {}",
                    limit + 1
                ),
                args,
            )
            .await?;
        let rows: Vec<(Job, i64)> = rows
            .iter()
            .map(|row| Ok((job_of(row)?, row.int(13)?)))
            .collect::<Result<_>>()?;
        let cut = Page::cut(rows, limit, |(_, seq)| *seq)?;
        Ok(Page {
            items: cut.items.into_iter().map(|(job, _)| job).collect(),
            next_cursor: cut.next_cursor,
            total: None,
        })
    }

    /// Counts of this tenant's jobs.
    pub async fn queue_stats(&self) -> Result<QueueStats> {
        let rows = self
            .db()
            .all(
                "SELECT state, COUNT(*), MIN(created) FROM jobs \
                 WHERE tenant = $1 AND state <> 2 GROUP BY state",
                args![self.t],
            )
            .await?;
        let mut stats = QueueStats::default();
        for row in &rows {
            let n = row.count(1)?;
            match JobState::from_rank(row.int(0)?) {
                JobState::Queued => {
                    stats.queued = n;
                    stats.oldest_queued = row.opt_int(2)?;
                }
                JobState::Running => stats.running = n,
                JobState::Failed => stats.failed = n,
                JobState::Done => {}
            }
        }
        Ok(stats)
    }

    /// Queues a failed job once more, with its attempts counted anew.
    pub async fn retry_job(&self, id: &JobId, now: Timestamp) -> Result<()> {
        let done = self
            .db()
            .exec(
                "UPDATE jobs SET state = 0, attempts = 0, run_at = $3, error = NULL, \
                 finished = NULL WHERE tenant = $1 AND uid = $2 AND state = 3",
                args![self.t, id.as_str(), now],
            )
            .await?;
        if done == 0 {
            return Err(StoreError::NotFound {
                what: "failed job",
                id: id.to_string(),
            });
        }
        Ok(())
    }
}
