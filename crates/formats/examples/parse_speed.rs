//! How many result lines a second the report reader takes on one core, and how many SARIF
//! results.
//!
//! `cargo run --example parse_speed -p bartizan-formats [-- RESULTS]`

use bartizan_formats::report::{Limits, ReportReader, ReportWriter};
use bartizan_formats::sarif;
use bartizan_model::report::Line;
use bartizan_model::{
    AssetUid, CheckResult, CheckUid, Evidence, Location, Outcome, Scan, ScanId, Scope, Timestamp,
};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let results: u64 = std::env::args().nth(1).map_or(Ok(400_000), |n| n.parse())?;
    let start = Instant::now();
    let bytes = sample(results)?;
    rate("written", results, bytes.len(), start);

    let start = Instant::now();
    let mut failed = 0_u64;
    for line in ReportReader::open(bytes.as_slice(), Limits::default())? {
        if let (_, Line::Result(result)) = line? {
            failed += u64::from(result.outcome == Outcome::Fail);
        }
    }
    rate("parsed", results, bytes.len(), start);

    let start = Instant::now();
    let mut reader = ReportReader::open(bytes.as_slice(), Limits::default())?;
    reader.skip_results(results)?;
    rate("skipped", results, bytes.len(), start);
    println!("{failed} of {results} fail");

    let few = results.min(90_000);
    let text = sarif_sample(few);
    let options = sarif::Options::new(
        Scope::parse("repository:bench")?,
        ScanId::new("bench")?,
        Timestamp::from_micros(0),
    );
    let start = Instant::now();
    let reading = sarif::read(text.as_bytes(), &options)?;
    rate("SARIF", few, text.len(), start);
    let read: usize = reading.reports.iter().map(|r| r.results.len()).sum();
    println!("{read} SARIF results");
    Ok(())
}

fn rate(what: &str, lines: u64, bytes: usize, start: Instant) {
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{what:>8}: {:>9.0} lines/s  {:>6.1} MB/s",
        lines as f64 / seconds,
        bytes as f64 / seconds / 1e6
    );
}

/// A SARIF file as scanners of code write it, code flows included.
fn sarif_sample(results: u64) -> String {
    let result = |n: u64| {
        format!(
            r#"{{"ruleId":"r{}","level":"error","message":{{"text":"value {n} flows into a query"}},"locations":[{{"physicalLocation":{{"artifactLocation":{{"uri":"src/f{}.js"}},"region":{{"startLine":{},"snippet":{{"text":"query(value)"}}}}}}}}],"partialFingerprints":{{"primaryLocationLineHash":"{n:x}:1"}},"codeFlows":[{{"threadFlows":[{{"locations":[{{"location":{{"message":{{"text":"step"}}}}}}]}}]}}]}}"#,
            n % 50,
            n / 20,
            n % 900 + 1
        )
    };
    let results: Vec<String> = (0..results).map(result).collect();
    format!(
        r#"{{"version":"2.1.0","runs":[{{"tool":{{"driver":{{"name":"bench"}}}},"results":[{}]}}]}}"#,
        results.join(",")
    )
}

/// A report in which one result in four fails, with message, evidence and location.
fn sample(results: u64) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let scope = Scope::parse("cluster:bench")?;
    let scope_id = scope.id()?;
    let at = Timestamp::from_micros(1_795_000_000_000_000);
    let mut writer = ReportWriter::new(
        Vec::new(),
        &Scan {
            id: ScanId::new("bench")?,
            source: "bartizan/k8s".to_owned(),
            source_version: "0.1.0".to_owned(),
            scope,
            complete: true,
            started: at,
            finished: at,
            content: Vec::new(),
        },
    )?;
    for n in 0..results {
        let fails = n % 4 == 0;
        writer.result(&CheckResult {
            check: CheckUid::of("rego", "bartizan", &format!("k8spsp{}", n % 30))?,
            asset: AssetUid::kubernetes(&scope_id, "", "Pod", "shop", &format!("web-{}", n / 30))?,
            locus: "container:web".to_owned(),
            outcome: if fails { Outcome::Fail } else { Outcome::Pass },
            message: if fails {
                "Privileged container is not allowed: web, securityContext".to_owned()
            } else {
                String::new()
            },
            severity: None,
            evidence: if fails {
                vec![Evidence {
                    path: "spec.containers[0].securityContext.privileged".to_owned(),
                    actual: Some("true".to_owned()),
                    expected: Some("false".to_owned()),
                }]
            } else {
                Vec::new()
            },
            location: fails.then(|| Location {
                file: "shop/web.yaml".to_owned(),
                line: 17,
                column: Some(9),
            }),
            suppression: None,
        })?;
    }
    Ok(writer.finish()?.0)
}
