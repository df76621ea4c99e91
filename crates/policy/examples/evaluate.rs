//! Evaluates 10,000 distinct seeded Pods, half of them violating, on 2 threads without any
//! cache of results, and prints the rate and the peak memory.
//!
//! `cargo run --example evaluate -- POLICIES [PODS [THREADS [TEMPLATES]]]`; by default the first
//! 30 templates that look at Pods.

use bartizan_model::{AssetUid, Outcome, ScopeId, Timestamp};
use bartizan_policy::{Budget, Evaluator, Library, LibraryBuilder, World, seeded};
use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("give the folder of policies")?;
    let pods: u64 = arguments.next().map_or(Ok(10_000), |a| a.parse())?;
    let threads: usize = arguments.next().map_or(Ok(2), |a| a.parse())?;
    let templates: usize = arguments.next().map_or(Ok(30), |a| a.parse())?;
    let mut builder = LibraryBuilder::new();
    add(&mut builder, Path::new(&folder))?;
    let library: Library = builder.build()?.for_kind("", "Pod", templates);
    let world = World::default();
    let scope = ScopeId::new("cluster:bench")?;
    let next = AtomicU64::new(0);
    let (fails, results, violating, unknown) = Default::default();
    let counters: [&AtomicU64; 4] = [&fails, &results, &violating, &unknown];
    let began = Instant::now();
    std::thread::scope(|s| {
        let work = || {
            let now = Timestamp::from_micros(0);
            let mut evaluator = Evaluator::new(&library, &world, Budget::default(), now);
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= pods {
                    return;
                }
                let object = seeded::object(42, index);
                let uid = AssetUid::kubernetes(&scope, "", "Pod", &object.namespace, &object.name);
                let Ok(uid) = uid else { return };
                let judged = evaluator.judge(&uid, &object);
                let failed = judged.iter().filter(|r| r.outcome == Outcome::Fail).count() as u64;
                let untold = judged
                    .iter()
                    .filter(|r| r.outcome.word() == "unknown")
                    .count() as u64;
                let all = [failed, judged.len() as u64, u64::from(failed > 0), untold];
                for (counter, n) in counters.iter().zip(all) {
                    counter.fetch_add(n, Ordering::Relaxed);
                }
            }
        };
        for _ in 0..threads {
            s.spawn(work);
        }
    });
    let seconds = began.elapsed().as_secs_f64();
    println!("templates {} templates", library.checks().len());
    println!("pods {pods} Pods");
    println!("violating {} Pods", violating.load(Ordering::Relaxed));
    println!("results {} results", results.load(Ordering::Relaxed));
    println!("failures {} results", fails.load(Ordering::Relaxed));
    println!("unknown {} results", unknown.load(Ordering::Relaxed));
    println!("pods_per_second {:.0} Pods/s", pods as f64 / seconds);
    println!("peak_rss {:.1} MiB", peak_mib());
    Ok(())
}

fn add(builder: &mut LibraryBuilder, folder: &Path) -> Result<(), Box<dyn Error>> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            add(builder, &path)?;
        } else {
            builder.add("bartizan", &path.to_string_lossy(), &std::fs::read(&path)?)?;
        }
    }
    Ok(())
}

/// The process's high-water mark of resident memory.
fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kib = line.and_then(|l| l.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}
