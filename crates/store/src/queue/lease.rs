//! Claiming work and holding on to it.

use super::{COLUMNS, Claim, JobState, Lease, job_of};
use crate::db::{Db, args};
use crate::{Result, Store, StoreError, fault};
use bartizan_model::Timestamp;

/// Which job a lease is about, while it is good.
const LEASED: &str = "tenant = (SELECT id FROM tenants WHERE uid = $1) AND uid = $2 \
                      AND token = $3 AND state = 1";

const LOST: StoreError = StoreError::Fenced("the job");

impl Store {
    /// Takes the next job whose turn it is, in any tenant, for `lease_seconds`. A running
    /// job whose lease ran out is taken over, or given up after its last attempt.
    pub async fn claim(
        &self,
        worker: &str,
        now: Timestamp,
        lease_seconds: u32,
    ) -> Result<Option<Claim>> {
        let mut tx = self.db().begin().await?;
        tx.exec(
            "UPDATE jobs SET state = 3, finished = $1, \
             error = 'its worker died or stalled at each of its attempts' \
             WHERE state = 1 AND state < 2 AND lease_until < $1 AND attempts >= max_attempts",
            args![now],
        )
        .await?;
        // A job's turn comes when nothing unfinished stands before it in its lane. That cannot
        // become false again, so two claims that run beside each other stay apart.
        let skip = if tx.is_lite() {
            ""
        } else {
            "FOR UPDATE SKIP LOCKED"
        };
        let row = tx
            .opt(
                &format!(
                    "UPDATE jobs SET state = 1, attempts = attempts + 1, token = token + 1, \
                     worker = $2, started = $1, lease_until = $3, error = NULL \
                     WHERE (tenant, seq) = (SELECT j.tenant, j.seq FROM jobs j \
                     WHERE j.state < 2 AND ((j.state = 0 AND j.run_at <= $1) \
                     OR (j.state = 1 AND j.lease_until < $1)) \
                     AND (j.lane = '' OR NOT EXISTS (SELECT 1 FROM jobs e \
                     WHERE e.tenant = j.tenant AND e.lane = j.lane AND e.state < 2 \
                     AND e.seq < j.seq)) ORDER BY j.run_at, j.seq LIMIT 1 {skip}) \
                     RETURNING {COLUMNS}, token, \
                     (SELECT uid FROM tenants WHERE tenants.id = jobs.tenant)"
                ),
                args![now, worker, now.plus_seconds(i64::from(lease_seconds))],
            )
            .await?;
        let claim = match row {
            Some(row) => {
                let job = job_of(&row)?;
                Some(Claim {
                    lease: Lease {
                        tenant: row.id(15)?,
                        job: job.id.clone(),
                        token: row.int(14)?,
                    },
                    job,
                })
            }
            None => None,
        };
        tx.commit().await?;
        if claim.is_some() {
            fault::point("claim.after_commit");
        }
        Ok(claim)
    }

    /// Extends the lease; [`StoreError::Fenced`] when it was lost.
    pub async fn heartbeat(&self, lease: &Lease, now: Timestamp, lease_seconds: u32) -> Result<()> {
        let until = now.plus_seconds(i64::from(lease_seconds));
        self.on_lease(lease, "lease_until = $4", args![until]).await
    }

    /// Notes how far the work is. (Imports do so themselves.)
    pub async fn progress(&self, lease: &Lease, done: u64, total: Option<u64>) -> Result<()> {
        let total = total.map(|n| n.min(i64::MAX as u64) as i64);
        self.on_lease(
            lease,
            "done = $4, total = COALESCE($5, total)",
            args![done, total],
        )
        .await
    }

    /// Ends a job well. (Imports do so themselves, in their last transaction.)
    pub async fn complete(&self, lease: &Lease, now: Timestamp) -> Result<()> {
        fault::point("job.complete.before_commit");
        self.on_lease(
            lease,
            "state = 2, finished = $4, lease_until = NULL",
            args![now],
        )
        .await?;
        fault::point("job.complete.after_commit");
        Ok(())
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
        let error: String = error.chars().take(2_000).collect();
        let mut tx = self.db().begin().await?;
        let row = tx
            .opt(
                &format!("SELECT attempts, max_attempts FROM jobs WHERE {LEASED}"),
                args![lease.tenant.as_str(), lease.job.as_str(), lease.token],
            )
            .await?
            .ok_or(LOST)?;
        let (attempts, most) = (row.int(0)?, row.int(1)?);
        let again = retry && attempts < most;
        let wait = 1_i64 << attempts.clamp(0, 9);
        let (state, run_at, finished) = if again {
            (JobState::Queued, now.plus_seconds(wait.min(300)), None)
        } else {
            (JobState::Failed, now, Some(now))
        };
        let done = tx
            .exec(
                &format!(
                    "UPDATE jobs SET state = $4, run_at = $5, finished = $6, error = $7, \
                     lease_until = NULL WHERE {LEASED}"
                ),
                args![
                    lease.tenant.as_str(),
                    lease.job.as_str(),
                    lease.token,
                    state.rank(),
                    run_at,
                    finished,
                    error
                ],
            )
            .await?;
        if done != 1 {
            return Err(LOST);
        }
        tx.commit().await?;
        Ok(state)
    }

    /// Gives an unfinished job back at once, such as at shutdown, without counting the attempt.
    pub async fn release(&self, lease: &Lease, now: Timestamp) -> Result<()> {
        self.on_lease(
            lease,
            "state = 0, run_at = $4, attempts = attempts - 1, lease_until = NULL",
            args![now],
        )
        .await
    }

    /// Queues again, at once, what a process that died was working on; says how much. Only
    /// SQLite under the data folder's lock tells that no other process works on it: anywhere
    /// else nothing happens, and leases run out by themselves. Attempts count: a job that
    /// kills its process must not do so for ever.
    pub async fn release_stale(&self, now: Timestamp) -> Result<u64> {
        let alone = self.inner.lock.lock().is_ok_and(|lock| lock.is_some());
        if !alone || !matches!(self.db(), Db::Lite { .. }) {
            return Ok(0);
        }
        self.db()
            .exec(
                "UPDATE jobs SET state = 0, run_at = $1, lease_until = NULL WHERE state = 1",
                args![now],
            )
            .await
    }

    async fn on_lease(&self, lease: &Lease, set: &str, more: Vec<crate::db::Val>) -> Result<()> {
        let mut args = args![lease.tenant.as_str(), lease.job.as_str(), lease.token];
        args.extend(more);
        let done = self
            .db()
            .exec(&format!("UPDATE jobs SET {set} WHERE {LEASED}"), args)
            .await?;
        if done == 1 { Ok(()) } else { Err(LOST) }
    }
}
