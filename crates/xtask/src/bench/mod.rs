//! Benches: each names its input and command and compares with its requirement in one run.

mod admission;
mod audit;
mod cve;
mod import;
mod queries;
mod rematch;
mod scap;
mod webhook;

use crate::report::{Figure, print};
use crate::tree;
use anyhow::{Context, Result, bail};
use bartizan_xtask::running::{Backend, Server, Setup};
use std::path::PathBuf;
use std::process::Command;

/// What to measure.
#[derive(clap::Args)]
pub struct Options {
    /// Print one JSON object a figure.
    #[arg(long)]
    json: bool,
    /// Only benches whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Findings stored for the query bench.
    #[arg(long, default_value_t = 1_000_000)]
    findings: u64,
    /// Results of the import bench.
    #[arg(long, default_value_t = 100_000)]
    results: u64,
    /// Address of a PostgreSQL server; without it, only SQLite is measured.
    #[arg(long, env = "BARTIZAN_TEST_POSTGRES")]
    postgres: Option<String>,
    /// Host compliance.
    #[command(flatten)]
    race: scap::Race,
    /// Vulnerabilities.
    #[command(flatten)]
    feed: cve::Feed,
    /// The binary under test; without, it is built.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Admission.
    #[command(flatten)]
    library: admission::Library,
}

impl Options {
    /// The binary under test.
    fn binary(&self) -> PathBuf {
        let built = || tree::root().join("target/debug/bartizan");
        self.binary.clone().unwrap_or_else(built)
    }
}

type Bench = (&'static str, fn(&Options) -> Result<Vec<Figure>>);

const BENCHES: &[Bench] = &[
    ("evaluate", evaluate),
    ("admission", admission::run),
    ("webhook", webhook::run),
    ("audit", audit::run),
    ("cve", cve::run),
    ("hostile", admission::hostile),
    ("mixed", webhook::mixed),
    ("ledger", ledger),
    ("import", import::run),
    ("queries", queries::run),
    ("rematch", rematch::run),
    ("scap", scap::run),
];

/// Runs the chosen benches; fails when a requirement does not hold.
pub fn run(options: &Options) -> Result<()> {
    if options.binary.is_none() {
        tree::cargo(&["build", "--quiet", "--package", "bartizan-cli"])?;
    }
    let mut broken = 0;
    for (name, bench) in BENCHES {
        if options
            .only
            .as_ref()
            .is_some_and(|only| !name.contains(only.as_str()))
        {
            continue;
        }
        eprintln!("== {name}");
        let figures = bench(options).with_context(|| format!("bench {name}"))?;
        broken += print(&figures, options.json);
    }
    if broken > 0 {
        bail!("{broken} requirements do not hold");
    }
    Ok(())
}

/// 10,000 distinct seeded Pods, half of them violating, against the embedded library.
fn evaluate(_: &Options) -> Result<Vec<Figure>> {
    let lines = example("bartizan-policy", "evaluate", &["content/policies"])?;
    Ok(vec![
        Figure::plain("templates", value(&lines, "templates")?, "templates"),
        Figure::at_least(
            "evaluate 10,000 Pods, 2 threads",
            value(&lines, "pods_per_second")?,
            "Pods/s",
            2_000.0,
        ),
        Figure::under(
            "evaluate, peak memory",
            value(&lines, "peak_rss")?,
            "MiB",
            200.0,
        ),
    ])
}

/// Appends with one fsync a batch of 1,000, to a folder.
fn ledger(_: &Options) -> Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let lines = example(
        "bartizan-ledger",
        "append_speed",
        &[&folder.path().to_string_lossy()],
    )?;
    Ok(vec![Figure::at_least(
        "ledger appends, durable, batch 1,000",
        value(&lines, "overall, durable")?,
        "appends/s",
        20_000.0,
    )])
}

/// Runs an example of a crate and returns what it printed.
fn example(package: &str, name: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "run",
            "--quiet",
            "--package",
            package,
            "--example",
            name,
            "--",
        ])
        .args(arguments)
        .current_dir(tree::root())
        .output()?;
    if !output.status.success() {
        bail!("{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The value of a printed line `name value unit`.
fn value(lines: &str, name: &str) -> Result<f64> {
    lines
        .lines()
        .filter_map(|line| line.trim().strip_prefix(name))
        .find_map(|rest| rest.split_whitespace().next()?.parse().ok())
        .with_context(|| format!("no line {name:?} in the output:\n{lines}"))
}

/// The back ends that this run can reach.
fn backends(options: &Options) -> Vec<Backend> {
    let mut backends = vec![Backend::Sqlite];
    match &options.postgres {
        Some(url) => backends.push(Backend::Postgres(url.clone())),
        None => eprintln!(
            "PostgreSQL is NOT measured: no --postgres (scripts/with-postgres cargo xtask bench)"
        ),
    }
    backends
}

/// A server of the built binary on a fresh data folder and database, signed in.
fn server(options: &Options, backend: &Backend) -> Result<(tempfile::TempDir, Server)> {
    let data = tempfile::tempdir()?;
    let mut setup = Setup::new(options.binary(), data.path());
    setup.database = backend.fresh()?;
    let mut server = Server::start(&setup)?;
    server.sign_in()?;
    Ok((data, server))
}
