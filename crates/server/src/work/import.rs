//! The import worker: claims a job, reads its artifact, feeds the store.
//!
//! A report is read twice. The first reading changes nothing and proves that it is whole
//! (every line sound, trailer there, counts agree), so that a damaged report fails as one
//! piece. The second feeds the store, which commits chunk by chunk with its cursor; after a
//! crash another worker feeds the same lines again and the store passes over what it has.
//!
//! Reading and parsing happen on a blocking thread. Between it and the store stand at most
//! a few batches of lines, and between it and the object store a few blocks of bytes.

use super::pipe::{PipeReader, pipe};
use super::scores;
use crate::state::{AppState, random_bytes};
use bartizan_formats::report::{Limits, ReadError, ReportReader};
use bartizan_formats::{sarif, xccdf};
use bartizan_model::report::{Line, Report};
use bartizan_model::{Digest, JobId, Scan, ScanId, Scope, Timestamp};
use bartizan_store::import::{ImportPlan, ImportSummary};
use bartizan_store::queue::{Claim, JobState, Lease, NewJob};
use bartizan_store::{StoreError, TenantStore};
use serde::Deserialize;
use serde_json::json;
use std::io::BufReader;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A job that imports our own report.
pub const REPORT: &str = "import.report";
/// A job that imports one tool's results out of a SARIF file.
pub const SARIF: &str = "import.sarif";
/// A job that imports one result out of a file of XCCDF results or an ARF.
pub const XCCDF: &str = "import.xccdf";

/// Lines that go from the reading thread to the store at once.
const BATCH_LINES: usize = 512;
/// Bytes of text after which a batch goes, whatever its lines.
const BATCH_BYTES: u64 = 1 << 20;
/// Batches that may wait.
const BATCHES: usize = 2;
/// How long an attempt may go on that seems to have lost its job.
const GRACE: Duration = Duration::from_secs(3);
/// How often jobs of further reports of a file are tried.
const ATTEMPTS: u32 = 5;

/// How an attempt ended, when not well.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The artifact is at fault; trying again cannot help.
    #[error("{0}")]
    Input(String),
    /// The database, the objects or this program; another attempt may help.
    #[error("{0}")]
    Passing(String),
    /// Another worker has the job.
    #[error("the lease was lost")]
    Lost,
    /// The server stops.
    #[error("the server stops")]
    Stopping,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Fenced(_) => Self::Lost,
            StoreError::Report(why) => Self::Input(why),
            error => Self::Passing(error.to_string()),
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        if error.fault.is_senders() {
            Self::Input(error.to_string())
        } else {
            Self::Passing(error.to_string())
        }
    }
}

impl From<tokio::task::JoinError> for Failure {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Passing(format!("the reading thread ended: {error}; this is a bug"))
    }
}

/// Claims and does one job; false when there was none.
pub async fn work_once(
    state: &AppState,
    worker: &str,
    shutdown: &CancellationToken,
) -> Result<bool, StoreError> {
    let lease_seconds = lease_seconds(state);
    let claim = state
        .store
        .claim(worker, state.now(), lease_seconds)
        .await?;
    let Some(claim) = claim else {
        return Ok(false);
    };
    let lost = CancellationToken::new();
    let beat = tokio::spawn(heartbeat(state.clone(), claim.lease.clone(), lost.clone()));
    let mut running = std::pin::pin!(run(state, &claim, shutdown));
    let ended = tokio::select! {
        ended = &mut running => ended,
        // The beat may also fail because the job has just ended well; commits are fenced.
        () = lost.cancelled() => tokio::time::timeout(GRACE, running)
            .await
            .unwrap_or(Err(Failure::Lost)),
    };
    beat.abort();
    settle(state, &claim, ended).await?;
    Ok(true)
}

fn lease_seconds(state: &AppState) -> u32 {
    u32::try_from(state.config.lease.as_secs())
        .unwrap_or(u32::MAX)
        .max(1)
}

async fn heartbeat(state: AppState, lease: Lease, lost: CancellationToken) {
    let every = (state.config.lease / 3).max(Duration::from_millis(100));
    loop {
        tokio::time::sleep(every).await;
        let beat = state
            .store
            .heartbeat(&lease, state.now(), lease_seconds(&state))
            .await;
        match beat {
            Ok(()) => {}
            Err(StoreError::Fenced(_)) => {
                lost.cancel();
                return;
            }
            // The next beat may get through before the lease ends; commits are fenced anyway.
            Err(error) => tracing::warn!(job = %lease.job, %error, "a heartbeat failed"),
        }
    }
}

async fn settle(
    state: &AppState,
    claim: &Claim,
    ended: Result<Option<Done>, Failure>,
) -> Result<(), StoreError> {
    let job = &claim.lease.job;
    let outcome = match ended {
        Ok(done) => {
            if let Some(done) = done {
                tracing::info!(%job, scan = %done.summary.scan, scope = %done.scope,
                    opened = done.summary.opened, fixed = done.summary.fixed, "imported");
                state.work.nudge();
                let scope = done.scope;
                scores::rescore(state, &done.tenant, &scope, Some(done.finished)).await;
                if let Err(error) = state.store.tidy(&done.summary).await {
                    tracing::warn!(%job, %error, "nothing was tidied up after the import");
                }
            }
            "done"
        }
        Err(Failure::Lost) => {
            tracing::warn!(%job, "the job went to another worker");
            "lost"
        }
        Err(Failure::Stopping) => {
            state.store.release(&claim.lease, state.now()).await?;
            "released"
        }
        Err(failure) => {
            let retry = matches!(failure, Failure::Passing(_));
            let why = failure.to_string();
            let why: String = why.chars().take(2000).collect();
            match state
                .store
                .fail(&claim.lease, &why, retry, state.now())
                .await
            {
                Ok(JobState::Failed) => {
                    tracing::warn!(%job, why, "a job failed");
                    "failed"
                }
                Ok(_) => {
                    tracing::warn!(%job, why, "a job will be tried again");
                    "retried"
                }
                Err(StoreError::Fenced(_)) => "lost",
                Err(error) => return Err(error),
            }
        }
    };
    metrics::counter!(crate::metrics::JOBS_ENDED, "outcome" => outcome).increment(1);
    Ok(())
}

/// What an import changed.
struct Done {
    tenant: TenantStore,
    scope: bartizan_model::ScopeId,
    finished: Timestamp,
    summary: ImportSummary,
}

async fn run(
    state: &AppState,
    claim: &Claim,
    shutdown: &CancellationToken,
) -> Result<Option<Done>, Failure> {
    let tenant = state.store.tenant(&claim.lease.tenant).await?;
    let artifact = claim
        .job
        .artifact
        .clone()
        .ok_or_else(|| Failure::Input("the job names no artifact".to_owned()))?;
    match claim.job.kind.as_str() {
        REPORT => report(state, &tenant, claim, artifact, shutdown).await,
        SARIF | XCCDF => foreign_run(state, &tenant, claim, artifact, shutdown).await,
        other => Err(Failure::Input(format!(
            "this version does not know jobs of kind {other:?}"
        ))),
    }
    .map(Some)
}

async fn open(tenant: &TenantStore, artifact: &Digest) -> Result<PipeReader, Failure> {
    Ok(pipe(tenant.objects().get_artifact(artifact).await?))
}

async fn report(
    state: &AppState,
    tenant: &TenantStore,
    claim: &Claim,
    artifact: Digest,
    shutdown: &CancellationToken,
) -> Result<Done, Failure> {
    let bytes = open(tenant, &artifact).await?;
    let proving = tokio::task::spawn_blocking(move || prove_whole(bytes));
    let (scan, lines) = tokio::select! {
        proven = proving => proven??,
        () = shutdown.cancelled() => return Err(Failure::Stopping),
    };
    let plan = ImportPlan {
        scan,
        artifact: artifact.clone(),
        total: Some(lines),
    };
    let bytes = open(tenant, &artifact).await?;
    let (send, batches) = mpsc::channel(BATCHES);
    let reading = tokio::task::spawn_blocking(move || read_batches(bytes, &send));
    let done = feed(state, tenant, &claim.lease, plan, batches, shutdown).await;
    // When feeding failed, the reader finds its channel closed and ends.
    let read = reading.await?;
    match (done, read) {
        (Ok(done), Ok(())) => Ok(done),
        (Err(Failure::Passing(_)), Err(read)) => Err(read.into()),
        (Err(failure), _) => Err(failure),
        (Ok(_), Err(read)) => Err(read.into()),
    }
}

/// Reads a report to its end; returns its scan and how many body lines it has.
fn prove_whole(bytes: PipeReader) -> Result<(Scan, u64), ReadError> {
    let mut reader = ReportReader::open(buffered(bytes), Limits::default())?;
    for line in reader.by_ref() {
        line?;
    }
    let lines = reader.position().lines;
    Ok((reader.header().clone(), lines.saturating_sub(2)))
}

fn buffered(bytes: PipeReader) -> BufReader<PipeReader> {
    BufReader::with_capacity(64 << 10, bytes)
}

/// What the reading thread says.
enum Batch {
    Lines(Vec<Line>),
    /// The report was whole.
    End,
}

fn read_batches(bytes: PipeReader, send: &mpsc::Sender<Batch>) -> Result<(), ReadError> {
    let mut reader = ReportReader::open(buffered(bytes), Limits::default())?;
    let mut batch = Vec::with_capacity(BATCH_LINES);
    let mut sent_at = 0;
    while let Some(line) = reader.next() {
        batch.push(line?.1);
        let at = reader.position().bytes;
        if batch.len() >= BATCH_LINES || at - sent_at >= BATCH_BYTES {
            sent_at = at;
            let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH_LINES));
            if send.blocking_send(Batch::Lines(full)).is_err() {
                return Ok(());
            }
        }
    }
    if send.blocking_send(Batch::Lines(batch)).is_ok() {
        // Nobody waits for it any more when this fails.
        let _ = send.blocking_send(Batch::End);
    }
    Ok(())
}

/// Pushes lines into an import and finishes it, once the reader has said that all came.
async fn feed(
    state: &AppState,
    tenant: &TenantStore,
    lease: &Lease,
    plan: ImportPlan,
    mut batches: mpsc::Receiver<Batch>,
    shutdown: &CancellationToken,
) -> Result<Done, Failure> {
    let scope = plan
        .scan
        .scope
        .id()
        .map_err(|error| Failure::Input(error.to_string()))?;
    let finished = plan.scan.finished;
    let mut import = tenant.import(lease, plan, state.now()).await?;
    if import.resumed_at() > 0 {
        tracing::info!(job = %lease.job, lines = import.resumed_at(), "an import is resumed");
    }
    let random = state.random.clone();
    let mut salts = move || random_bytes::<32>(random.as_ref());
    let mut whole = false;
    while let Some(batch) = batches.recv().await {
        match batch {
            Batch::Lines(lines) => {
                if shutdown.is_cancelled() {
                    return Err(Failure::Stopping);
                }
                let now = state.now();
                for line in lines {
                    import.push(line, now, &mut salts).await?;
                }
            }
            Batch::End => whole = true,
        }
    }
    if !whole {
        return Err(Failure::Passing(
            "the artifact could not be read".to_owned(),
        ));
    }
    let summary = import.finish(state.now(), &mut salts).await?;
    Ok(Done {
        tenant: tenant.clone(),
        scope,
        finished,
        summary,
    })
}

/// The particulars of a job on a file of another tool, written at intake.
#[derive(Debug, Clone, Deserialize)]
struct ForeignPayload {
    scan: ScanId,
    received: Timestamp,
    run: usize,
    scope: Scope,
}

/// The reports of a file of another tool, and what is to say of them.
type Foreign = (Vec<Report>, Vec<String>);

/// Reads a file of the format that jobs of this kind are about.
fn read_foreign(
    kind: &str,
    bytes: PipeReader,
    payload: ForeignPayload,
) -> Result<Foreign, Failure> {
    let (scope, scan, received) = (payload.scope, payload.scan, payload.received);
    if kind == XCCDF {
        let options = xccdf::Options::new(Some(scope), scan, received);
        let reading = xccdf::read(bytes, &options).map_err(|error| match error {
            xccdf::XccdfError::Io(_) => Failure::Passing(error.to_string()),
            error => Failure::Input(error.to_string()),
        })?;
        return Ok((reading.reports, reading.notices));
    }
    let options = sarif::Options::new(scope, scan, received);
    let reading = sarif::read(bytes, &options).map_err(|error| match error {
        sarif::SarifError::Io(_) => Failure::Passing(error.to_string()),
        error => Failure::Input(error.to_string()),
    })?;
    Ok((reading.reports, reading.notices))
}

async fn foreign_run(
    state: &AppState,
    tenant: &TenantStore,
    claim: &Claim,
    artifact: Digest,
    shutdown: &CancellationToken,
) -> Result<Done, Failure> {
    let payload: ForeignPayload = serde_json::from_value(claim.job.payload.clone())
        .map_err(|error| Failure::Input(format!("the job's particulars: {error}")))?;
    let bytes = open(tenant, &artifact).await?;
    let (kind, known) = (claim.job.kind.clone(), payload.clone());
    let reading = tokio::task::spawn_blocking(move || read_foreign(&kind, bytes, known)).await?;
    let (reports, notices) = reading?;
    for notice in &notices {
        tracing::info!(job = %claim.lease.job, notice, kind = claim.job.kind, "a file was read");
    }
    if payload.run == 0 {
        // One tool, one scan, one job: each is committed on its own.
        for run in 1..reports.len() {
            queue_run(state, tenant, claim, &artifact, &payload, run).await?;
        }
    }
    let report = reports
        .into_iter()
        .nth(payload.run)
        .ok_or_else(|| Failure::Input(format!("the file has no run {}", payload.run)))?;
    let plan = ImportPlan {
        scan: report.scan.clone(),
        artifact,
        total: Some(
            (report.checks.len() + report.observations.len() + report.results.len()) as u64,
        ),
    };
    let (send, batches) = mpsc::channel(BATCHES);
    let sending = tokio::spawn(send_report(report, send));
    let done = feed(state, tenant, &claim.lease, plan, batches, shutdown).await;
    sending.await?;
    done
}

async fn send_report(report: Report, send: mpsc::Sender<Batch>) {
    let lines = (report.checks.into_iter().map(Line::Check))
        .chain(report.observations.into_iter().map(Line::Observation))
        .chain(report.results.into_iter().map(Line::Result));
    let mut batch = Vec::with_capacity(BATCH_LINES);
    for line in lines {
        batch.push(line);
        if batch.len() >= BATCH_LINES {
            let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH_LINES));
            if send.send(Batch::Lines(full)).await.is_err() {
                return;
            }
        }
    }
    if send.send(Batch::Lines(batch)).await.is_ok() {
        // Nobody waits for it any more when this fails.
        let _ = send.send(Batch::End).await;
    }
}

/// Queues a further run of the file, unless an earlier attempt did.
async fn queue_run(
    state: &AppState,
    tenant: &TenantStore,
    claim: &Claim,
    artifact: &Digest,
    payload: &ForeignPayload,
    run: usize,
) -> Result<(), Failure> {
    let id = JobId::new(format!("{}-{}", claim.lease.job, run + 1))
        .map_err(|error| Failure::Input(error.to_string()))?;
    if tenant.job(&id).await?.is_some() {
        return Ok(());
    }
    let lane = payload
        .scope
        .id()
        .map_err(|error| Failure::Input(error.to_string()))?;
    let job = NewJob {
        id,
        kind: claim.job.kind.clone(),
        lane: lane.into(),
        artifact: Some(artifact.clone()),
        payload: json!({
            "scan": payload.scan,
            "received": payload.received,
            "run": run,
            "scope": payload.scope,
        }),
        max_attempts: ATTEMPTS,
    };
    tenant.enqueue(&job, state.now()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_formats::report::ReadFault;

    #[test]
    fn the_senders_faults_are_final_and_others_are_not() {
        let input = Failure::from(ReadError {
            line: 3,
            fault: ReadFault::CutOff,
        });
        assert!(matches!(&input, Failure::Input(why) if why.starts_with("report line 3: ")));
        let passing = Failure::from(ReadError {
            line: 3,
            fault: ReadFault::Io(std::io::Error::other("gone")),
        });
        assert!(matches!(passing, Failure::Passing(_)));
        assert!(matches!(
            Failure::from(StoreError::Fenced("job")),
            Failure::Lost
        ));
    }
}
