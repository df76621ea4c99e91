//! The domain half of the server: keyring, frameworks, ledger, workers.
//!
//! ```text
//! intake ──► job ──► import ──► store ──► pending entries ──► sequencer ──► tiles, checkpoint
//!                      └──► scores                                └──► attest
//! ```
//!
//! `serve` calls [`Work::open`] once before it listens and [`Work::run`] once after.

pub mod attest;
pub mod content;
pub mod decisions;
pub mod drift;
pub mod expiry;
pub mod gauges;
pub mod import;
pub mod intake;
pub mod keys;
mod pipe;
pub mod proof;
pub mod schedules;
pub mod scores;
pub mod sequencer;
pub mod waiting;

use crate::admission::InForce;
use crate::config::Config;
use crate::state::{AppState, Clock, Random, Store};
use bartizan_model::TenantId;
use bartizan_posture::FrameworkError;
use bartizan_store::StoreError;
use sequencer::{Round, Sequencer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How often workers and sequencer look for work that nobody told them of.
const POLL: Duration = Duration::from_millis(500);
/// How long changed scopes are gathered before they are scored.
const GATHER: Duration = Duration::from_millis(500);

/// What the domain half shares with its handlers: `state.work`.
#[derive(Debug)]
pub struct Work {
    /// Frameworks.
    pub content: content::Content,
    /// The keyring.
    pub keys: Arc<keys::Keys>,
    /// Admission decisions, live.
    pub decisions: decisions::Live,
    /// The webhook's policies.
    pub in_force: Arc<InForce>,
    /// How the audit of a cluster stands.
    pub audit: crate::audit::Live,
    /// Runners that wait for tasks.
    pub waiting: waiting::Waiting,
    /// Components or advisories are new.
    pub matching: Notify,
    jobs: Notify,
    entries: Notify,
    scores: Notify,
    changed: Mutex<BTreeSet<TenantId>>,
    /// When the sequencer last got on, or had nothing to do; microseconds.
    sequenced: AtomicI64,
}

/// Why the domain half cannot start; says whose fault it is.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// Content: a framework file.
    #[error(transparent)]
    Framework(#[from] FrameworkError),
    /// Configuration or damage: the keys.
    #[error(transparent)]
    Keys(#[from] keys::KeysError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Work {
    /// Loads frameworks and keys.
    pub async fn open(
        config: &Config,
        store: &Store,
        clock: &Arc<dyn Clock>,
        random: &Arc<dyn Random>,
    ) -> Result<Self, WorkError> {
        let content = content::Content::load(&config.frameworks)?;
        let now = clock.now();
        let keys = keys::Keys::open(config, store, now, random.as_ref()).await?;
        let released = store.release_stale(now).await?;
        if released > 0 {
            tracing::info!(jobs = released, "jobs of an ended process are queued again");
        }
        Ok(Self {
            content,
            keys: Arc::new(keys),
            decisions: decisions::Live::default(),
            in_force: Arc::default(),
            audit: crate::audit::Live::default(),
            waiting: waiting::Waiting::new(config.limits.concurrency),
            matching: Notify::new(),
            jobs: Notify::new(),
            entries: Notify::new(),
            scores: Notify::new(),
            changed: Mutex::default(),
            sequenced: AtomicI64::new(now.micros()),
        })
    }

    /// Tells workers and sequencer that there may be something to do.
    pub fn nudge(&self) {
        self.jobs.notify_one();
        self.entries.notify_one();
    }

    /// Has a tenant's scopes scored soon, as a person changed what counts.
    pub fn scores_changed(&self, tenant: &TenantId) {
        self.changed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(tenant.clone());
        self.scores.notify_one();
    }

    /// Runs sequencer and workers until `shutdown`; then lets them end between two steps.
    pub async fn run(state: AppState, shutdown: CancellationToken) {
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(sequence(state.clone(), shutdown.clone()));
        tasks.spawn(rescore(state.clone(), shutdown.clone()));
        tasks.spawn(expiry::run(state.clone(), shutdown.clone()));
        tasks.spawn(gauges::run(state.clone(), shutdown.clone()));
        tasks.spawn(schedules::run(state.clone(), shutdown.clone()));
        tasks.spawn(crate::ask::follow(state.clone(), shutdown.clone()));
        if state.config.workers > 0 {
            tasks.spawn(crate::matching::run(state.clone(), shutdown.clone()));
        }
        for n in 0..state.config.workers {
            tasks.spawn(import_jobs(state.clone(), n, shutdown.clone()));
        }
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a worker ended badly; this is a bug");
            }
        }
    }

    /// For `/readyz`: for how many seconds entries have waited without the sequencer getting
    /// on; none when nothing waits.
    pub async fn sequencer_lag(state: &AppState) -> Option<u64> {
        let mut waits = false;
        for id in state.store.tenants().await.ok()? {
            let tenant = state.store.tenant(&id).await.ok()?;
            waits |= !tenant.pending_audit(1).await.ok()?.is_empty();
        }
        let since = state.work.sequenced.load(Ordering::Relaxed);
        let lag = (state.now().micros() - since).max(0).unsigned_abs() / 1_000_000;
        waits.then_some(lag)
    }
}

/// The loop of the sequencer, over all tenants.
async fn sequence(state: AppState, shutdown: CancellationToken) {
    let mut sequencers: BTreeMap<TenantId, Sequencer> = BTreeMap::new();
    let mut failing = false;
    loop {
        let pause = match sequence_all(&state, &mut sequencers).await {
            Ok(()) => {
                failing = false;
                POLL
            }
            Err(error) => {
                if !failing {
                    tracing::error!(%error, "the ledger's sequencer cannot go on");
                }
                failing = true;
                // What went wrong may be in what is remembered.
                sequencers.clear();
                POLL * 4
            }
        };
        tokio::select! {
            () = state.work.entries.notified() => {}
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => break,
        }
    }
    // What the last requests did should be provable after the stop, too.
    if let Err(error) = sequence_all(&state, &mut sequencers).await {
        tracing::warn!(%error, "entries stay pending until the next start");
    }
}

/// Sequences what is pending, tenant by tenant; one that fails does not hold up the others.
async fn sequence_all(
    state: &AppState,
    sequencers: &mut BTreeMap<TenantId, Sequencer>,
) -> Result<(), sequencer::SequencerError> {
    let mut failed = None;
    for id in state.store.tenants().await? {
        let sequencer = match sequencers.entry(id) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let tenant = state.store.tenant(entry.key()).await?;
                entry.insert(Sequencer::new(tenant, Arc::clone(&state.work.keys)))
            }
        };
        loop {
            match sequencer.round(state.now(), sequencer::BATCH).await {
                Ok(round) => {
                    let now = state.now().micros();
                    state.work.sequenced.store(now, Ordering::Relaxed);
                    if round == Round::Idle {
                        break;
                    }
                }
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

/// The loop of one import worker.
async fn import_jobs(state: AppState, n: usize, shutdown: CancellationToken) {
    let worker = format!("{}-{n}", std::process::id());
    while !shutdown.is_cancelled() {
        let pause = match import::work_once(&state, &worker, &shutdown).await {
            Ok(true) => continue,
            Ok(false) => POLL,
            Err(error) => {
                tracing::warn!(%error, "the queue does not answer");
                POLL * 4
            }
        };
        tokio::select! {
            () = state.work.jobs.notified() => {}
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => {}
        }
    }
}

/// The loop that scores what people changed.
async fn rescore(state: AppState, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = state.work.scores.notified() => {}
            () = shutdown.cancelled() => return,
        }
        tokio::time::sleep(GATHER).await;
        let changed = {
            let mut changed = state
                .work
                .changed
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *changed)
        };
        for id in changed {
            let scored = match state.store.tenant(&id).await {
                Ok(tenant) => scores::rescore_tenant(&state, &tenant).await,
                Err(error) => Err(error),
            };
            if let Err(error) = scored {
                tracing::warn!(tenant = %id, %error, "scores could not be recorded");
            }
        }
    }
}
