//! Decisions on their way into store and ledger, off the request's path.
//!
//! The queue is bounded. What does not fit is shed, counted, and its number recorded with the
//! next batch: the record says how much it lacks.

use super::findings::Gathered;
use super::{Config, DECISIONS_SHED, FINDINGS_SHED, http};
use crate::state::AppState;
use crate::work::intake;
use bartizan_model::audit::{Decision, action};
use bartizan_model::{TenantId, Timestamp};
use bartizan_policy::{Review, Verdict};
use serde_json::json;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_util::sync::CancellationToken;

/// Decisions that may wait.
const QUEUE: usize = 16_384;
/// Decisions that are stored at once.
const BATCH: usize = 1_000;
/// How long decisions are gathered.
const GATHER: Duration = Duration::from_millis(250);
/// How long violations are gathered into one report.
const REPORT: Duration = Duration::from_secs(5);
/// Old decisions are removed after so many batches.
const PRUNE: u64 = 200;

/// Bytes of reviews that wait for their decisions to be stored. Over it, what is left of a review
/// is its decision: a finding needs the object and is shed.
const HELD: usize = 32 << 20;

/// What decisions and findings are made of.
pub(super) struct Item {
    pub review: Arc<Review>,
    pub verdict: Verdict,
    pub at: Timestamp,
    policies: Arc<str>,
    took: Duration,
    held: Held,
}

/// What waits.
enum Entry {
    Whole(Box<Item>),
    Brief(Box<Decision>),
}

/// Bytes that a review which waits takes of those that may.
struct Held {
    all: Arc<AtomicUsize>,
    own: usize,
}

impl Held {
    fn new(all: &Arc<AtomicUsize>, own: usize) -> Self {
        all.fetch_add(own, Ordering::Relaxed);
        Self {
            all: Arc::clone(all),
            own,
        }
    }

    fn is_too_much(&self) -> bool {
        self.all.load(Ordering::Relaxed) > HELD
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.fetch_sub(self.own, Ordering::Relaxed);
    }
}

/// Takes decisions from the handlers.
pub(super) struct Recorder {
    sender: Sender<Entry>,
    receiver: Mutex<Option<Receiver<Entry>>>,
    shed: AtomicU64,
    held: Arc<AtomicUsize>,
}

impl Recorder {
    pub(super) fn new() -> Self {
        let (sender, receiver) = channel(QUEUE);
        Self {
            sender,
            receiver: Mutex::new(Some(receiver)),
            shed: AtomicU64::new(0),
            held: Arc::default(),
        }
    }

    /// Takes one, or counts that it could not.
    pub(super) fn take(
        &self,
        asked: &http::Asked,
        verdict: Verdict,
        policies: Arc<str>,
        took: Duration,
    ) {
        let Ok(place) = self.sender.try_reserve() else {
            self.shed.fetch_add(1, Ordering::Relaxed);
            metrics::counter!(DECISIONS_SHED).increment(1);
            return;
        };
        // The decision is made of it where it is stored: the answer has not left yet.
        let item = Item {
            review: Arc::clone(&asked.review),
            verdict,
            at: asked.at,
            policies,
            took,
            held: Held::new(&self.held, asked.size),
        };
        place.send(if item.held.is_too_much() {
            if !item.verdict.explains.is_empty() {
                metrics::counter!(FINDINGS_SHED).increment(1);
            }
            Entry::Brief(Box::new(decision(item)))
        } else {
            Entry::Whole(Box::new(item))
        });
    }
}

fn decision(item: Item) -> Decision {
    let Item {
        review,
        verdict,
        at,
        policies,
        took,
        held: _held,
    } = item;
    const MOST: usize = 50;
    let told = verdict.explains.iter().map(|e| json!(e));
    let untold = verdict.untold.iter().map(|u| json!(u));
    let mut reasons: Vec<_> = told.chain(untold).take(MOST).collect();
    if let Some(why) = verdict.excluded {
        reasons.push(json!({"message": why}));
    }
    if let Some(why) = &verdict.invalid {
        reasons.push(json!({"message": why}));
    }
    let count = verdict.explains.len() + verdict.untold.len();
    if count > MOST {
        reasons.push(json!({"message": format!("and {} more", count - MOST)}));
    }
    // PostgreSQL has no NUL in text, and what is stored must be what the ledger commits to.
    let printable = |c: char| if c == '\0' { '\u{fffd}' } else { c };
    let short = |text: &str| text.chars().map(printable).take(512).collect::<String>();
    Decision {
        at,
        request: short(&review.uid),
        operation: review.operation.word().to_owned(),
        group: short(&review.kind.group),
        kind: short(&review.kind.kind),
        namespace: short(&review.namespace),
        name: short(&review.name),
        user: short(&review.user.username),
        outcome: verdict.outcome.word().to_owned(),
        allowed: verdict.allowed,
        dry_run: review.dry_run,
        micros: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        policies: policies.as_ref().to_owned(),
        reasons,
    }
}

/// Stores what comes until `shutdown`, and then what is left.
pub(super) async fn run(
    state: AppState,
    shared: Arc<http::Shared>,
    config: Config,
    shutdown: CancellationToken,
) {
    let receiver = shared
        .recorder
        .receiver
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    let Some(mut receiver) = receiver else {
        return;
    };
    let mut gathered = Gathered::new(config.scope.clone());
    let mut reported = Instant::now();
    let mut batches: u64 = 0;
    let mut batch = Vec::new();
    loop {
        let over = tokio::select! {
            biased;
            n = receiver.recv_many(&mut batch, BATCH) => n == 0,
            () = shutdown.cancelled() => receiver.is_empty(),
            () = tokio::time::sleep(GATHER) => false,
        };
        if !batch.is_empty() && batch.len() < BATCH && !shutdown.is_cancelled() {
            // A moment more, so that a lone decision is no batch of its own under load.
            tokio::time::sleep(GATHER).await;
            while batch.len() < BATCH
                && let Ok(item) = receiver.try_recv()
            {
                batch.push(item);
            }
        }
        if !batch.is_empty() {
            for entry in &batch {
                if let Entry::Whole(item) = entry {
                    gathered.add(item);
                }
                if gathered.is_full() {
                    report(&state, &mut gathered, false).await;
                }
            }
            store(&state, &shared, &mut batch).await;
            batches += 1;
            if batches.is_multiple_of(PRUNE) {
                prune(&state, config.keep).await;
            }
        }
        if over || reported.elapsed() >= REPORT {
            reported = Instant::now();
            report(&state, &mut gathered, over).await;
        }
        if over {
            return;
        }
    }
}

/// One transaction; tried again while the store does not answer, for as long as others wait.
async fn store(state: &AppState, shared: &http::Shared, batch: &mut Vec<Entry>) {
    let decided = batch.drain(..).map(|entry| match entry {
        Entry::Whole(item) => decision(*item),
        Entry::Brief(decision) => *decision,
    });
    let decisions: Vec<Decision> = decided.collect();
    let shed = shared.recorder.shed.swap(0, Ordering::Relaxed);
    for attempt in 1..=5_u32 {
        let stored = async {
            let tenant = state.store.tenant(&TenantId::default_tenant()).await?;
            if shed > 0 && attempt == 1 {
                let detail = json!({"lost": shed, "why": "the queue of decisions was full"});
                let act = state.act("system");
                tenant
                    .append_audit(&act, action::DECISIONS_RECORDED, "decisions/shed", detail)
                    .await?;
            }
            tenant
                .record_decisions(&decisions, &state.act("system"))
                .await
        };
        match stored.await {
            Ok(first) => {
                state.work.nudge();
                state.work.decisions.tell(first, &decisions);
                return;
            }
            Err(error) => {
                tracing::warn!(%error, attempt, "decisions could not be stored");
                tokio::time::sleep(Duration::from_millis(200) * attempt).await;
            }
        }
    }
    let lost = decisions.len() as u64;
    shared.recorder.shed.fetch_add(lost, Ordering::Relaxed);
    metrics::counter!(DECISIONS_SHED).increment(lost);
    tracing::error!(lost, "decisions are lost: the store did not take them");
}

async fn prune(state: &AppState, keep: u64) {
    let pruned = async {
        let tenant = state.store.tenant(&TenantId::default_tenant()).await?;
        tenant.prune_decisions(keep).await
    };
    if let Err(error) = pruned.await {
        tracing::warn!(%error, "old decisions could not be removed");
    }
}

/// Hands violations in by the door that every report takes.
async fn report(state: &AppState, gathered: &mut Gathered, over: bool) {
    let id = format!("admission-{}", uuid::Uuid::now_v7());
    let Some(bytes) = gathered.report(id, state.now()) else {
        return;
    };
    let body = futures::stream::iter([Ok::<_, std::convert::Infallible>(bytes.into())]);
    let handed_in = async {
        let tenant = state.store.tenant(&TenantId::default_tenant()).await?;
        intake::submit_report(state, &tenant, body, "system").await
    };
    if let Err(problem) = handed_in.await {
        tracing::warn!(
            ?problem,
            over,
            "findings of admission could not be handed in"
        );
    }
}
