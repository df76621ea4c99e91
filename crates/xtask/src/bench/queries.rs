//! Findings filtered, sorted and searched with a million stored.

use super::{Options, backends, server};
use crate::report::Figure;
use anyhow::Result;
use bartizan_xtask::running::generate;
use std::time::Instant;

const ORDERS: [&str; 5] = ["severity", "changed", "first_seen", "check", "asset"];
const SAMPLES: usize = 30;

/// p99 of each offered order under each offered filter, over HTTP.
pub fn run(options: &Options) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for backend in backends(options) {
        let (_data, server) = server(options, &backend)?;
        // Half of the results fail, so twice as many results make the findings.
        let parts = 4;
        for part in 0..parts {
            let mut report = Vec::new();
            let scope = format!("bench-{part}");
            generate::report(&mut report, part, &scope, options.findings * 2 / parts)?;
            let seconds = server.import(report)?;
            eprintln!("{}: part {part} imported in {seconds:.0} s", backend.name());
        }
        let filters = [
            ("none", String::new()),
            ("scope", "&scope=cluster:bench-1".into()),
            ("status", "&status=fixed".into()),
            ("all statuses", "&status=all".into()),
            ("severity", "&severity=critical".into()),
            ("severities", "&severity=high,low".into()),
            ("check", format!("&check={}", generate::uid(7))),
            (
                "asset",
                "&asset=cluster:bench-1/apps/Deployment/team-10/service-10".into(),
            ),
            ("namespace", "&namespace=team-13".into()),
            ("kind", "&kind=CronJob".into()),
            (
                "scope and check",
                format!("&scope=cluster:bench-2&check={}", generate::uid(8)),
            ),
            ("search, rare", "&q=service-4242".into()),
            ("search, common", "&q=field".into()),
        ];
        for (filter, query) in &filters {
            let mut worst = (0.0_f64, "");
            for order in ORDERS {
                let mut times = Vec::new();
                for _ in 0..SAMPLES {
                    let start = Instant::now();
                    server.get(&format!("/findings?sort={order}{query}"))?;
                    times.push(start.elapsed().as_secs_f64() * 1000.0);
                }
                times.sort_by(f64::total_cmp);
                // Of 30 samples the worst stands for p99.
                let p99 = times.last().copied().unwrap_or_default();
                if p99 > worst.0 {
                    worst = (p99, order);
                }
            }
            figures.push(Figure::under(
                &format!(
                    "{}: filter {filter}, worst order ({}), p99",
                    backend.name(),
                    worst.1
                ),
                worst.0,
                "ms",
                200.0,
            ));
        }
    }
    Ok(figures)
}
