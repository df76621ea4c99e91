//! Renders a made-up shop in every form, to look at:
//! `cargo run -p bartizan-report --example render -- FOLDER`

mod fixture;

use bartizan_report::{csv::CsvWriter, html, json, sarif, terminal};
use std::fs::File;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".to_owned()));
    let snapshot = fixture::shop()?;
    let options = terminal::Options {
        colour: true,
        width: 110,
        max_rows: 8,
    };
    print!("{}", terminal::render(&snapshot, &options));
    json::write(&snapshot, File::create(folder.join("report.json"))?)?;
    let passes = sarif::Options { passes: true };
    sarif::write(
        &snapshot,
        &passes,
        File::create(folder.join("report.sarif"))?,
    )?;
    html::write(
        &snapshot,
        &html::Options::default(),
        File::create(folder.join("report.html"))?,
    )?;
    let mut csv = CsvWriter::new(File::create(folder.join("findings.csv"))?)?;
    for row in &snapshot.failing {
        csv.row(&row.finding, &row.asset, row.location.as_ref())?;
    }
    csv.finish()?;
    Ok(())
}
