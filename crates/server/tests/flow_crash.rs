//! A process that dies at any named write point loses nothing and applies nothing twice.
//!
//! Its own binary, as the hook at the write points is the process's. The death is a panic of
//! the task at work: its transaction rolls back as a lost connection's does. (Real deaths, by
//! `kill -9`, are the command line's tests.)

// Helpers of tests may fail as tests do; clippy's exemption reaches test functions alone.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

#[path = "flow_domain/support.rs"]
#[allow(dead_code, unused_macros, unused_imports)]
mod support;

use bartizan_ledger::tiles::MemoryTiles;
use bartizan_ledger::verify::{Options, verify_published};
use bartizan_model::Outcome::{Fail, Pass};
use bartizan_server::work::import;
use bartizan_store::fault::{self, WRITE_POINTS};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use support::{Backend, Said, World, crowd, start};
use tokio_util::sync::CancellationToken;

/// The point to die at.
static ARMED: Mutex<Option<&'static str>> = Mutex::new(None);
/// Passes of the point that are survived first.
static SPARED: AtomicI64 = AtomicI64::new(0);

fn hook(name: &str) {
    let dies = {
        let mut armed = ARMED.lock().unwrap();
        let dies =
            armed.is_some_and(|point| point == name) && SPARED.fetch_sub(1, Ordering::SeqCst) <= 0;
        if dies {
            *armed = None;
        }
        dies
    };
    assert!(!dies, "killed at {name}");
}

/// What is handed in: something that fails, then a crowd in which it is absent.
fn reports(crowd_size: usize) -> [Said; 2] {
    let first = Said::new("s0", "prod", 0)
        .saw("privileged", "old", Fail)
        .saw("limits", "old", Pass);
    [first, crowd("s1", crowd_size)]
}

/// The whole flow, from uploads to a sequenced ledger; repeatable.
async fn flow(w: Arc<World>, crowd_size: usize, attempt: i64) {
    for said in reports(crowd_size) {
        // The clients' clock does not move with our deaths.
        w.clock.set(start().plus_seconds(120));
        let answer = w.upload("/artifacts?kind=report", &[], said.bytes()).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
    }
    // By now the lease of whoever died is over.
    w.clock.set(start().plus_seconds(1000 * (attempt + 1)));
    let stop = CancellationToken::new();
    while import::work_once(&w.state, "test", &stop).await.unwrap() {}
    w.sequence().await;
}

/// Runs the flow, dying at `point` after `spared` passes; true if it died there.
async fn until_done(
    w: &Arc<World>,
    crowd_size: usize,
    point: Option<&'static str>,
    spared: i64,
) -> bool {
    *ARMED.lock().unwrap() = point;
    SPARED.store(spared, Ordering::SeqCst);
    let mut deaths = 0;
    for attempt in 0..5 {
        match tokio::spawn(flow(Arc::clone(w), crowd_size, attempt)).await {
            Ok(()) => {
                *ARMED.lock().unwrap() = None;
                return deaths > 0;
            }
            Err(error) if error.is_panic() => deaths += 1,
            Err(error) => panic!("{error}"),
        }
        assert!(deaths < 3, "it dies of something else");
    }
    panic!("it does not end");
}

async fn assert_sound(w: &World) {
    let objects = w.tenant.objects();
    let listing = objects.list_ledger("").await.unwrap();
    let mut tiles = MemoryTiles::default();
    for path in &listing {
        let bytes = objects.get_ledger(path).await.unwrap().unwrap();
        tiles.store([(path.clone(), bytes.to_vec())]);
    }
    let keys = w.state.work.keys.ring().jwks();
    let options = Options {
        listing: Some(&listing),
        ..Options::default()
    };
    let summary = verify_published(&tiles, &keys, &options).unwrap();
    assert_eq!(
        summary.size,
        w.tenant.ledger_state().await.unwrap().unwrap().size
    );
    assert_eq!(w.tenant.pending_audit_count().await.unwrap(), 0);
}

/// A crowd whose import takes one chunk, and one whose import takes several.
const SMALL: usize = 300;
const LARGE: usize = 9_000;

async fn undisturbed(backend: Backend, crowd_size: usize) -> Option<String> {
    let w = Arc::new(World::new(backend).await?);
    assert!(!until_done(&w, crowd_size, None, 0).await);
    Some(comparable(&w.tenant.dump_state().await.unwrap()))
}

async fn every_point(backend: Backend) {
    let Some(small) = undisturbed(backend, SMALL).await else {
        return;
    };
    let large = undisturbed(backend, LARGE).await.unwrap();
    let mut died = Vec::new();
    for point in WRITE_POINTS {
        for spared in [0, 1] {
            let (crowd_size, wanted) = if point.starts_with("import.chunk") {
                (LARGE, &large)
            } else {
                (SMALL, &small)
            };
            let w = Arc::new(World::new(backend).await.unwrap());
            if until_done(&w, crowd_size, Some(point), spared).await {
                died.push(*point);
            }
            assert_sound(&w).await;
            let dump = comparable(&w.tenant.dump_state().await.unwrap());
            assert!(dump == *wanted, "{point}: {}", difference(wanted, &dump));
        }
    }
    died.dedup();
    // What only requests of other kinds pass is not met here.
    let missed: Vec<&str> = WRITE_POINTS
        .iter()
        .copied()
        .filter(|point| !died.contains(point))
        .collect();
    assert!(
        missed
            .iter()
            .all(|p| p.starts_with("audit.append") || p.starts_with("job.complete")),
        "never met: {missed:?}"
    );
}

/// The state without what each run draws anew: entries of actions have ids of their salts
/// and name jobs; they are only counted.
fn comparable(dump: &str) -> String {
    let drawn = ["|artifact.received|", "|user.changed|", "|token.created|"];
    let mut counts = [0; 3];
    let mut kept: Vec<&str> = Vec::new();
    for line in dump.lines() {
        match drawn.iter().position(|word| line.contains(word)) {
            Some(at) => counts[at] += 1,
            None => kept.push(line),
        }
    }
    kept.sort_unstable();
    format!("{counts:?}\n{}", kept.join("\n"))
}

/// The first lines that differ.
fn difference(wanted: &str, got: &str) -> String {
    let mut lines = wanted.lines().zip(got.lines());
    match lines.find(|(a, b)| a != b) {
        Some((a, b)) => format!("wanted {a}\n   got {b}"),
        None => format!(
            "{} lines, not {}",
            got.lines().count(),
            wanted.lines().count()
        ),
    }
}

#[test]
fn a_death_at_any_write_point_changes_nothing() {
    fault::install(hook);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        every_point(Backend::Sqlite).await;
        every_point(Backend::Postgres).await;
    });
}
