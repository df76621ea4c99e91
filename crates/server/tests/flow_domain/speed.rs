//! Figures, by `cargo test -p bartizan-server --test flow_domain speed -- --ignored --nocapture`.

use crate::support::{Backend, World, crowd};
use std::time::Instant;

/// CPU seconds of this process so far; on a shared machine they say more than the clock.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

async fn measure(backend: Backend) {
    let Some(w) = World::new(backend).await else {
        return;
    };
    let report = crowd("s1", 50_000);
    let bytes = report.bytes();
    let megabytes = bytes.len() / 1_000_000;
    let (begin, spent) = (Instant::now(), cpu());
    let job = w.import_bytes(bytes, &[]).await;
    let seconds = begin.elapsed().as_secs_f64();
    assert_eq!(job["state"], "done", "{job}");
    println!(
        "{backend:?}: 100,000 results ({megabytes} MB, 25,000 findings opened) from upload to \
         queryable in {seconds:.2} s ({:.2} s of CPU): {:.0}/s",
        cpu() - spent,
        100_000.0 / seconds
    );
    let (begin, spent) = (Instant::now(), cpu());
    let entries = w.sequence().await;
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "{backend:?}: {entries} ledger entries sequenced in {seconds:.2} s ({:.2} s of CPU): {:.0}/s",
        cpu() - spent,
        entries as f64 / seconds
    );
    assert_eq!(job["scan"], "s1");
    let mut again = crowd("s2", 50_000);
    again.report.scan.finished = again.report.scan.finished.plus_seconds(60);
    let begin = Instant::now();
    w.import_bytes(again.bytes(), &[]).await;
    println!(
        "{backend:?}: unchanged rescan in {:.2} s",
        begin.elapsed().as_secs_f64()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn sqlite() {
    measure(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn postgres() {
    measure(Backend::Postgres).await;
}
