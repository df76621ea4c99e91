//! Import of one large report, from upload to queryable, and the server's memory.

use super::{Options, backends, server};
use crate::report::Figure;
use anyhow::Result;
use bartizan_xtask::running::generate;

/// One report of the given size on each back end.
pub fn run(options: &Options) -> Result<Vec<Figure>> {
    let mut report = Vec::new();
    generate::report(&mut report, 1, "bench", options.results)?;
    let mut figures = Vec::new();
    for backend in backends(options) {
        let name = backend.name();
        let (_data, server) = server(options, &backend)?;
        std::thread::sleep(std::time::Duration::from_secs(2));
        let idle = server.memory("VmRSS")?;
        figures.push(Figure::under(
            &format!("{name}: idle memory"),
            idle,
            "MiB",
            80.0,
        ));
        let seconds = server.import(report.clone())?;
        let required = if name == "SQLite" { 10_000.0 } else { 8_000.0 };
        figures.push(Figure::at_least(
            &format!("{name}: import of {} results", options.results),
            options.results as f64 / seconds,
            "results/s",
            required,
        ));
        let peak = server.memory("VmHWM")?;
        figures.push(Figure::under(
            &format!("{name}: import, peak memory over idle"),
            peak - idle,
            "MiB",
            256.0,
        ));
    }
    Ok(figures)
}
