//! Submissions and the work queue: lanes, fenced leases, retries.

use crate::{Act, Page, PageRequest, Result, Store, StoreError, TenantStore};
use bartizan_model::{Digest, JobId, ScanId, ScopeId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

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

impl TenantStore {
    /// Records artifact, submission, job and `artifact.received` together. The same identity
    /// with the same bytes returns the earlier job; with other bytes it is
    /// [`StoreError::Conflict`].
    pub async fn submit(&self, submission: &Submission, act: &Act) -> Result<Submitted> {
        crate::unfinished()
    }

    /// Queues work.
    pub async fn enqueue(&self, job: &NewJob, now: Timestamp) -> Result<()> {
        crate::unfinished()
    }

    /// One job.
    pub async fn job(&self, id: &JobId) -> Result<Option<Job>> {
        crate::unfinished()
    }

    /// Jobs, newest first.
    pub async fn jobs(&self, state: Option<JobState>, page: &PageRequest) -> Result<Page<Job>> {
        crate::unfinished()
    }

    /// Counts of this tenant's jobs.
    pub async fn queue_stats(&self) -> Result<QueueStats> {
        crate::unfinished()
    }

    /// Queues a failed job once more, with its attempts counted anew.
    pub async fn retry_job(&self, id: &JobId, now: Timestamp) -> Result<()> {
        crate::unfinished()
    }
}

impl Store {
    /// Takes the next job whose turn it is, in any tenant, for `lease_seconds`. A running
    /// job whose lease ran out is taken over, or given up after its last attempt.
    pub async fn claim(
        &self,
        worker: &str,
        now: Timestamp,
        lease_seconds: u32,
    ) -> Result<Option<Claim>> {
        crate::unfinished()
    }

    /// Extends the lease; [`StoreError::Fenced`] when it was lost.
    pub async fn heartbeat(&self, lease: &Lease, now: Timestamp, lease_seconds: u32) -> Result<()> {
        crate::unfinished()
    }

    /// Notes how far the work is. (Imports do so themselves.)
    pub async fn progress(&self, lease: &Lease, done: u64, total: Option<u64>) -> Result<()> {
        crate::unfinished()
    }

    /// Ends a job well. (Imports do so themselves, in their last transaction.)
    pub async fn complete(&self, lease: &Lease, now: Timestamp) -> Result<()> {
        crate::unfinished()
    }

    /// Ends an attempt badly. With `retry`, the job waits 2, 4, 8 … up to 300 seconds and
    /// runs again until its attempts are used up; without, or then, it is failed.
    /// Returns the state that it is in now.
    pub async fn fail(
        &self,
        lease: &Lease,
        error: &str,
        retry: bool,
        now: Timestamp,
    ) -> Result<JobState> {
        crate::unfinished()
    }

    /// Gives an unfinished job back at once, such as at shutdown, without counting the attempt.
    pub async fn release(&self, lease: &Lease, now: Timestamp) -> Result<()> {
        crate::unfinished()
    }
}
