//! A new advisory against stored assets: seconds until its findings stand, on every back end.

use super::{Options, backends, example, value};
use crate::report::Figure;
use anyhow::Result;

/// 10,000 assets with 500 components each, 20,000 distinct; 1 % and 100 % are hit.
pub fn run(options: &Options) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for backend in backends(options) {
        let folder = tempfile::tempdir()?;
        let mut arguments = vec![folder.path().to_string_lossy().into_owned()];
        arguments.extend(backend.fresh()?);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        eprintln!("{}: load {}", backend.name(), load.trim());
        let lines = example("bartizan-server", "rematch", &arguments)?;
        let name = |what: &str| format!("rematch, {}: {what}", backend.name());
        figures.extend([
            Figure::plain(
                &name("5 million links loaded"),
                value(&lines, "links loaded")?,
                "links/s",
            ),
            Figure::plain(
                &name("20,000 components matched, all assets derived"),
                value(&lines, "first matching")?,
                "s",
            ),
            Figure::under(
                &name("1 % of 10,000 assets hit"),
                value(&lines, "one percent")?,
                "s",
                3.0,
            ),
            Figure::plain(
                &name("100 % of 10,000 assets hit"),
                value(&lines, "all assets")?,
                "s",
            ),
        ]);
    }
    Ok(figures)
}
