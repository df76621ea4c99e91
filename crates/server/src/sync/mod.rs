//! Feeds kept in step: what a producer and a consumer do as work of the server, and on command.
//!
//! ```text
//! sources ──► producer ──► stream ──► consumer ──► store
//! ```
//!
//! Both run in one process, or each in as many as there should be (`--role`). Nothing is fetched that
//! was not configured.

mod applying;
mod figures;

pub use applying::{GROUP, StoreApply};

use crate::metrics::{CVE_FEED_ERRORS, CVE_PRODUCED};
use crate::state::{AppState, Clock, Store};
use bartizan_model::Timestamp;
use bartizan_store::vulnerabilities::FeedRun;
use bartizan_stream::consume::Consumer;
use bartizan_stream::source::{Fetch, Place, Producer, Progress, Shelf, Source, State, Summary};
use bartizan_stream::{Stream, StreamError};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// After a round in which a source failed the next one comes sooner, but not sooner than this.
const SOON: Duration = Duration::from_secs(300);
/// How long a consumer with nothing to do waits.
const IDLE: Duration = Duration::from_millis(500);
/// The longest that a consumer waits after trouble.
const LONGEST: Duration = Duration::from_secs(30);

/// Knows how to come by the files of a source that is no folder, archive or address.
pub type Shelves = dyn Fn(&Source) -> Option<Box<dyn Shelf>> + Send + Sync;

/// Makes a client of HTTP, or says why not.
pub type Fetcher = dyn Fn() -> Result<Box<dyn Fetch>, String> + Send + Sync;

/// What is kept in step, and by whom.
#[derive(Clone)]
pub struct Config {
    /// Where records are read.
    pub sources: Vec<Source>,
    /// What they go through.
    pub stream: Arc<dyn Stream>,
    /// Makes a client of HTTP, on the thread that uses it.
    pub fetch: Arc<Fetcher>,
    /// Further kinds of places.
    pub shelves: Arc<Shelves>,
    /// The producer's folder: its state, and room for archives.
    pub folder: PathBuf,
    /// How often sources are read.
    pub every: Duration,
    /// Whether this process produces.
    pub produce: bool,
    /// Whether this process consumes.
    pub consume: bool,
}

impl Config {
    /// Reads all sources once, one after the other. An error of one stands in its summary.
    pub fn produce(
        &self,
        clock: &dyn Clock,
        stop: &AtomicBool,
        tell: &dyn Fn(&Progress<'_>),
        done: &mut dyn FnMut(&Summary),
    ) -> Result<Vec<Summary>, StreamError> {
        let work = self.folder.join("work");
        std::fs::create_dir_all(&work).map_err(|source| StreamError::File {
            path: work.clone(),
            source,
        })?;
        let mut state = State::open(&self.folder.join("state"))?;
        let now = || clock.now();
        let fetches = self
            .sources
            .iter()
            .any(|s| matches!(s.place, Place::Url(_)));
        let client = fetches.then(|| (self.fetch)()).transpose();
        let client = client.map_err(StreamError::Config)?;
        let mut producer = Producer {
            stream: self.stream.as_ref(),
            state: &mut state,
            fetch: client.as_deref(),
            work,
            now: &now,
            tell,
            stop,
        };
        let mut summaries = Vec::new();
        for source in &self.sources {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let summary = match (self.shelves)(source) {
                Some(mut shelf) => producer.run_shelf(source, shelf.as_mut()),
                None => producer.run(source),
            };
            done(&summary);
            summaries.push(summary);
        }
        Ok(summaries)
    }
}

/// A run of a source, as the store notes it.
pub fn feed_run(summary: &Summary) -> FeedRun {
    FeedRun {
        name: summary.source.clone(),
        newest: summary.newest,
        offered: summary.records,
        applied: summary.produced,
        refused: summary.dead,
        error: summary.error.clone(),
    }
}

/// Produces and consumes until `shutdown`.
pub async fn run(state: AppState, config: Config, shutdown: CancellationToken) {
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = tokio::task::JoinSet::new();
    if config.produce && !config.sources.is_empty() {
        let stop = Arc::clone(&stop);
        tasks.spawn(produce(
            state.clone(),
            config.clone(),
            stop,
            shutdown.clone(),
        ));
    }
    if config.consume {
        let (state, stream) = (state.clone(), Arc::clone(&config.stream));
        let (stop, handle) = (Arc::clone(&stop), tokio::runtime::Handle::current());
        tasks.spawn_blocking(move || {
            consume(
                stream.as_ref(),
                &state.store,
                &handle,
                Arc::clone(&state.clock),
                &stop,
            );
        });
    }
    tasks.spawn(figures::run(state, config, shutdown.clone()));
    shutdown.cancelled().await;
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "the work on feeds ended badly; this is a bug");
        }
    }
}

async fn produce(
    state: AppState,
    config: Config,
    stop: Arc<AtomicBool>,
    shutdown: CancellationToken,
) {
    loop {
        let (round, clock, stop) = (config.clone(), Arc::clone(&state.clock), Arc::clone(&stop));
        let produced = tokio::task::spawn_blocking(move || {
            round.produce(clock.as_ref(), &stop, &|_| {}, &mut |summary| told(summary))
        })
        .await;
        let good = match produced {
            Ok(Ok(summaries)) => note(&state.store, &summaries, state.now()).await,
            // Another process reads the same sources: that is all that is wanted.
            Ok(Err(StreamError::Busy(what))) => {
                tracing::info!(what, "another process produces");
                true
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "feeds cannot be read");
                false
            }
            Err(error) => {
                tracing::error!(%error, "the producer ended badly; this is a bug");
                false
            }
        };
        let wait = if good {
            config.every
        } else {
            config.every.min(SOON)
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

fn told(summary: &Summary) {
    let source = summary.source.clone();
    metrics::counter!(CVE_PRODUCED, "source" => source.clone()).increment(summary.produced);
    match &summary.error {
        None => tracing::info!(
            source,
            produced = summary.produced,
            unchanged = summary.same + summary.older,
            dead = summary.dead,
            "a feed was read"
        ),
        Some(error) => {
            metrics::counter!(CVE_FEED_ERRORS, "source" => source.clone()).increment(1);
            tracing::warn!(source, error, "a feed could not be read to its end");
        }
    }
}

/// Notes each source's run in the store; whether all went well.
pub async fn note(store: &Store, summaries: &[Summary], at: Timestamp) -> bool {
    let mut good = true;
    for summary in summaries {
        good &= summary.error.is_none();
        if let Err(error) = store
            .vulnerabilities()
            .note_feed(&feed_run(summary), at)
            .await
        {
            tracing::warn!(%error, source = summary.source, "a feed's run was not noted");
            good = false;
        }
    }
    good
}

/// Consumes until it is stopped. Trouble that may pass is waited for.
fn consume(
    stream: &dyn Stream,
    store: &Store,
    handle: &tokio::runtime::Handle,
    clock: Arc<dyn Clock>,
    stop: &AtomicBool,
) {
    let now = || clock.now();
    let apply = StoreApply::new(store, handle, &now);
    let mut consumer = Consumer::new(stream, GROUP, &apply, &now);
    let mut wait = IDLE;
    while !stop.load(Ordering::Relaxed) {
        match consumer.step() {
            Ok(Some(applied)) => {
                applying::count(&applied);
                wait = IDLE;
            }
            Ok(None) => std::thread::sleep(IDLE),
            Err(error) => {
                if error.passing() {
                    tracing::warn!(%error, "records wait");
                } else {
                    tracing::error!(%error, "records cannot be consumed");
                }
                pause(wait, stop);
                wait = (wait * 2).min(LONGEST);
            }
        }
    }
}

fn pause(wait: Duration, stop: &AtomicBool) {
    let until = std::time::Instant::now() + wait;
    while std::time::Instant::now() < until && !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(100));
    }
}
