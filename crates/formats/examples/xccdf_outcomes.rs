//! What files of XCCDF results or ARF become: reports, outcomes by count, notices. With
//! `--rules`, each rule and its outcome.
//!
//! `cargo run -p bartizan-formats --example xccdf_outcomes -- FILE…`

#![allow(clippy::print_stdout)] // A tool for people.

use bartizan_formats::xccdf;
use bartizan_model::{ScanId, Timestamp};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let (flags, files): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|one| one.starts_with("--"));
    let lists_rules = flags.iter().any(|flag| flag == "--rules");
    let late = Timestamp::from_micros(i64::MAX);
    for file in files {
        let options = xccdf::Options::new(None, ScanId::new("example")?, late);
        let start = Instant::now();
        let reading = xccdf::read(File::open(&file)?, &options)?;
        let seconds = start.elapsed().as_secs_f64();
        for report in &reading.reports {
            let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
            let mut explained = 0;
            for result in &report.results {
                *counts.entry(result.outcome.word()).or_default() += 1;
                explained += u64::from(!result.evidence.is_empty());
                if lists_rules {
                    println!("{}\t{}", result.check, result.outcome.word());
                    for one in &result.evidence {
                        println!(
                            "    {}: {:?} wanted {:?}",
                            one.path, one.actual, one.expected
                        );
                    }
                }
            }
            println!(
                "{file}: {} {} of {:?} complete={} {} checks {counts:?}, {explained} with evidence, {seconds:.2} s",
                report.scan.source,
                report.scan.source_version,
                report.scan.scope,
                report.scan.complete,
                report.checks.len(),
            );
        }
        for notice in reading.notices {
            println!("{file}: {notice}");
        }
    }
    Ok(())
}
