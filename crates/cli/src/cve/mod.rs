//! `bartizan cve`: feeds of vulnerabilities, from where they are published to the store.

pub mod arguments;
mod bundle;
pub mod export;
mod fetch;
mod git;
mod known;
mod letters;
mod setup;

use crate::arguments::{Output, Place};
use crate::serve::place_config;
use crate::verify::now;
use crate::{Verdict, show};
use anyhow::{Context, Result};
use arguments::{Consume, Cve, Produce, Sync};
use bartizan_server::state::SystemClock;
use bartizan_server::store_config;
use bartizan_server::sync::{self, Config, GROUP, StoreApply};
use bartizan_store::Store;
use bartizan_stream::consume::{Applied, ConsumeError, Consumer};
use bartizan_stream::source::{Progress, Summary, feeds};
use bartizan_stream::{Stream, StreamError};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// How long a consumer with nothing to do waits.
const IDLE: Duration = Duration::from_millis(100);
/// How long trouble that may pass is waited for, at most.
const LONGEST: Duration = Duration::from_secs(10);

/// Runs a `cve` command.
pub fn run(command: &Cve) -> Result<Verdict> {
    match command {
        Cve::Sync(options) => sync_all(options),
        Cve::Produce(options) => produce(options),
        Cve::Consume(options) => consume(options),
        Cve::Bundle(command) => bundle::run(command),
        Cve::DeadLetters(command) => letters::run(command),
        Cve::Osv(options) => export::osv(options),
        Cve::Vex(options) => export::vex(options),
        Cve::Known(command) => known::run(command),
        Cve::Feeds { format } => list(*format),
    }
}

fn list(format: Output) -> Result<Verdict> {
    if format == Output::Json {
        let all: Vec<Value> = feeds::ALL
            .iter()
            .map(|feed| json!({"name": feed.name, "about": feed.about, "official": feed.official}))
            .collect();
        show::line(&serde_json::to_string_pretty(&all)?)?;
        return Ok(Verdict::Good);
    }
    for feed in feeds::ALL {
        let official = feed.official.unwrap_or("give a path or an address");
        show::line(&format!(
            "{:<14} {}\n{:<14} {official}",
            feed.name, feed.about, ""
        ))?;
    }
    Ok(Verdict::Good)
}

/// A bar on a terminal, nothing elsewhere.
fn bar(what: &str) -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.set_prefix(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A runtime whose first interrupt asks to stop.
fn runtime(stop: &Arc<AtomicBool>) -> Result<Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let stop = Arc::clone(stop);
    runtime.spawn(async move {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else {
            return;
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        stop.store(true, Ordering::Relaxed);
    });
    Ok(runtime)
}

fn open_store(runtime: &Runtime, place: &Place) -> Result<Store> {
    let config = store_config(&place_config(place)?);
    runtime
        .block_on(Store::open(&config, now()))
        .context("the installation's state cannot be opened")
}

fn read_all(config: &Config, stop: &AtomicBool) -> Result<Vec<Summary>> {
    let bar = bar("reading");
    let tell = |progress: &Progress<'_>| {
        bar.set_message(format!(
            "{}: {} files, {} records produced",
            progress.source, progress.files, progress.produced
        ));
    };
    let mut done = |summary: &Summary| {
        if let Some(error) = &summary.error {
            bar.suspend(|| show::remark(&format!("{}: {error}", summary.source)));
        }
    };
    let summaries = config.produce(&SystemClock, stop, &tell, &mut done)?;
    bar.finish_and_clear();
    Ok(summaries)
}

/// Applies until `ended` and nothing is left, or `stop`. Trouble that may pass is waited for.
fn apply_all(
    stream: &dyn Stream,
    store: &Store,
    runtime: &Runtime,
    stop: &AtomicBool,
    ended: &dyn Fn() -> bool,
) -> Result<Applied> {
    let clock = now;
    let apply = StoreApply::new(store, runtime.handle(), &clock);
    let mut consumer = Consumer::new(stream, GROUP, &apply, &clock);
    let mut all = Applied::default();
    let mut wait = IDLE;
    let bar = bar("applying");
    // What the last step brought; none before the first.
    let mut before: Option<bool> = None;
    while !stop.load(Ordering::Relaxed) {
        // Asked first: what is produced until then is counted by the lag, and seen by the step.
        let over = ended();
        let step = match before {
            // A broker is not waited for when nothing is left.
            Some(some) if over => match stream.lag(GROUP) {
                Ok(0) => break,
                Ok(_) => {
                    if !some {
                        std::thread::sleep(IDLE);
                    }
                    consumer.step()
                }
                Err(error) => Err(error.into()),
            },
            _ => consumer.step(),
        };
        match step {
            Ok(Some(applied)) => {
                all += applied;
                wait = IDLE;
                before = Some(true);
                bar.set_message(format!("{} records", all.delivered()));
            }
            Ok(None) => {
                before = Some(false);
                if !over {
                    std::thread::sleep(IDLE);
                }
            }
            // A server that runs applies them: waiting would have no end.
            Err(ConsumeError::Stream(StreamError::Busy(what))) => anyhow::bail!(
                "{what} is in use by another process, which applies the records; `cve produce` is enough"
            ),
            Err(error) if error.passing() => {
                bar.suspend(|| show::remark(&format!("waiting: {error}")));
                std::thread::sleep(wait);
                wait = (wait * 2).min(LONGEST);
            }
            Err(error) => return Err(error.into()),
        }
    }
    stream.tidy()?;
    bar.finish_and_clear();
    Ok(all)
}

fn sync_all(options: &Sync) -> Result<Verdict> {
    let begun = Instant::now();
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = runtime(&stop)?;
    let store = open_store(&runtime, &options.place)?;
    let config = setup::config(&options.sources, &options.place.data)?;
    let (summaries, applied) = std::thread::scope(|scope| {
        let reading = scope.spawn(|| read_all(&config, &stop));
        let ended = || reading.is_finished();
        let applied = apply_all(config.stream.as_ref(), &store, &runtime, &stop, &ended);
        if applied.is_err() {
            stop.store(true, Ordering::Relaxed);
        }
        let read = reading
            .join()
            .unwrap_or_else(|_| Err(anyhow::anyhow!("the reading thread ended; this is a bug")));
        (read, applied)
    });
    let (summaries, applied) = (summaries?, applied?);
    runtime.block_on(sync::note(&store, &summaries, now()));
    let dead = config.stream.dead_count()?;
    runtime.block_on(store.close());
    let lag = config.stream.lag(GROUP)?;
    report(options.format, &summaries, Some(&applied), lag, dead, begun)?;
    Ok(verdict(&summaries, &stop))
}

fn produce(options: &Produce) -> Result<Verdict> {
    let begun = Instant::now();
    let stop = Arc::new(AtomicBool::new(false));
    let _runtime = runtime(&stop)?;
    let config = setup::config(&options.sources, &options.data)?;
    let summaries = read_all(&config, &stop)?;
    let (lag, dead) = (config.stream.lag(GROUP)?, config.stream.dead_count()?);
    report(options.format, &summaries, None, lag, dead, begun)?;
    Ok(verdict(&summaries, &stop))
}

fn consume(options: &Consume) -> Result<Verdict> {
    let begun = Instant::now();
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = runtime(&stop)?;
    let store = open_store(&runtime, &options.place)?;
    let stream = setup::stream(&options.through, &options.place.data)?;
    let follow = options.follow;
    let applied = apply_all(stream.as_ref(), &store, &runtime, &stop, &|| !follow)?;
    let (lag, dead) = (stream.lag(GROUP)?, stream.dead_count()?);
    runtime.block_on(store.close());
    report(options.format, &[], Some(&applied), lag, dead, begun)?;
    // Whoever follows ends by an interrupt and in no other way.
    Ok(if follow {
        Verdict::Good
    } else {
        verdict(&[], &stop)
    })
}

/// Whether every source was read to its end.
fn verdict(summaries: &[Summary], stop: &AtomicBool) -> Verdict {
    let good = summaries.iter().all(|summary| summary.error.is_none());
    if good && !stop.load(Ordering::Relaxed) {
        Verdict::Good
    } else {
        Verdict::Bad
    }
}

fn report(
    format: Output,
    summaries: &[Summary],
    applied: Option<&Applied>,
    lag: u64,
    dead: u64,
    begun: Instant,
) -> Result<()> {
    let seconds = begun.elapsed().as_secs_f64();
    if format == Output::Json {
        let text = json!({
            "sources": summaries, "applied": applied, "lag": lag,
            "dead_letters": dead, "seconds": seconds,
        });
        return show::line(&serde_json::to_string_pretty(&text)?);
    }
    for summary in summaries {
        let mark = show::mark(summary.error.is_none());
        show::line(&format!(
            "{mark} {}: {} files ({} unchanged), {} records: {} produced, {} as before, {} older, \
             {} withdrawn, {} not read",
            summary.source,
            summary.files,
            summary.unchanged_files,
            summary.records,
            summary.produced,
            summary.same,
            summary.older,
            summary.withdrawn,
            summary.dead,
        ))?;
        if summary.redated + summary.misnamed > 0 {
            show::line(&format!(
                "  defects of the feed: {} records changed without a new date, {} files with another record's name",
                summary.redated, summary.misnamed
            ))?;
        }
    }
    if let Some(applied) = applied {
        show::line(&format!(
            "applied: {} new, {} changed, {} unchanged, {} older than what is held, {} refused",
            applied.inserted, applied.changed, applied.unchanged, applied.stale, applied.dead
        ))?;
    }
    show::line(&format!("lag {lag}, dead letters {dead}, {seconds:.1} s"))
}
