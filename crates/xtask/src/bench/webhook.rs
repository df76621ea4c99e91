//! The served webhook: requests a second through TLS, and 30 minutes of mixed load.
//!
//! `cargo xtask bench --only webhook --library DIR`: DIR is a checkout of
//! open-policy-agent/gatekeeper-library, kept out of this repository.
//! `cargo xtask bench --only mixed --minutes 30`.

use super::{Options, example};
use crate::report::Figure;
use anyhow::{Context, Result, bail};
use bartizan_xtask::running::load::{self, Load};
use bartizan_xtask::running::mixed::{self, Mixed, share};
use bartizan_xtask::running::wire::{Target, Version};
use bartizan_xtask::running::{Server, Setup};
use std::time::Duration;

/// Seconds that a figure is measured for.
const SECONDS: u64 = 10;
/// Callers in all.
const CALLERS: usize = 8;

/// Requests a second through TLS with the whole library, by 1 and 2 workers.
pub fn run(options: &Options) -> Result<Vec<Figure>> {
    let Some(library) = &options.library.library else {
        eprintln!("the webhook is NOT measured: no --library");
        return Ok(Vec::new());
    };
    let library = library.canonicalize()?;
    let folder = tempfile::tempdir()?;
    let lines = example(
        "bartizan-policy",
        "admission",
        &[
            &library.to_string_lossy(),
            "--write",
            &folder.path().to_string_lossy(),
        ],
    )?;
    eprint!("{lines}");
    let mut bodies = Vec::new();
    for file in std::fs::read_dir(folder.path().join("reviews"))? {
        bodies.push(std::fs::read(file?.path())?.into());
    }
    let mut figures = vec![Figure::plain(
        "webhook, reviews",
        bodies.len() as f64,
        "reviews",
    )];
    for workers in ["1", "2"] {
        let data = tempfile::tempdir()?;
        let mut setup = Setup::new(options.binary(), data.path());
        let policies = folder.path().join("policies").display().to_string();
        setup.arguments = ["--role", "admission", "--admission-listen", "127.0.0.1:0"]
            .into_iter()
            .chain(["--admission-workers", workers])
            .chain(["--admission-policies", &policies])
            .map(str::to_owned)
            .collect();
        setup.environment.push(("RUST_LOG".into(), "error".into()));
        let server = Server::start(&setup)?;
        let webhook = server.webhook.clone().context("no webhook")?;
        let ca = std::fs::read(data.path().join("admission/ca.pem"))?;
        for version in [Version::Http1, Version::Http2] {
            let (connections, callers) = match version {
                Version::Http1 => (CALLERS, 1),
                Version::Http2 => (2, CALLERS / 2),
            };
            let load = Load {
                target: Target::new(&webhook, &ca, version)?,
                version,
                path: "/v1/admit?timeout=10s".into(),
                connections,
                callers,
                warm: Duration::from_secs(2),
                counted: Duration::from_secs(SECONDS),
            };
            let told = load::run(&load, &bodies, server.id())?;
            if told.failed > 0 {
                bail!("{} requests were not answered 200", told.failed);
            }
            let name = |what: &str| {
                let many = if workers == "1" { "" } else { "s" };
                format!(
                    "webhook, {workers} worker{many}, {}, {what}",
                    version.name()
                )
            };
            let each = 1e3 / told.answered.max(1) as f64;
            for (what, value, unit) in [
                ("rate", told.rate(), "req/s"),
                ("p50", told.at(0.5), "ms"),
                ("p99", told.at(0.99), "ms"),
                ("p99.9", told.at(0.999), "ms"),
                ("server CPU a request", told.server_cpu * each, "ms CPU"),
                (
                    "load generator CPU a request",
                    told.own_cpu * each,
                    "ms CPU",
                ),
                (
                    "cores of the server",
                    told.server_cpu / told.seconds,
                    "cores",
                ),
                (
                    "cores of the load generator",
                    told.own_cpu / told.seconds,
                    "cores",
                ),
            ] {
                figures.push(Figure::plain(&name(what), value, unit));
            }
        }
        figures.push(Figure::plain(
            &format!("webhook, {workers} workers, peak memory"),
            server.memory("VmHWM")?,
            "MiB",
        ));
    }
    Ok(figures)
}

/// All at once, while policies change every second.
pub fn mixed(options: &Options) -> Result<Vec<Figure>> {
    let minutes = options.library.minutes;
    if minutes == 0 {
        eprintln!("mixed load is NOT run: no --minutes N");
        return Ok(Vec::new());
    }
    let told = mixed::run(&Mixed {
        binary: options.binary(),
        time: Duration::from_secs(minutes * 60),
        callers: 3,
        pause: Duration::from_millis(10),
        more: Vec::new(),
        tell: true,
    })?;
    for example in &told.examples {
        eprintln!("  {example}");
    }
    let plain =
        |name: &str, value: f64, unit: &str| Figure::plain(&format!("mixed, {name}"), value, unit);
    let none =
        |name: &str, value: f64| Figure::under(&format!("mixed, {name}"), value, "requests", 0.5);
    let early = told.memory_at(0.2);
    let (name, grown) = (
        "memory, last tenth less the third",
        told.memory_at(0.9) - early,
    );
    // In the first minutes every thread meets its largest work.
    let grown = match minutes {
        0..10 => plain(name, grown, "MiB"),
        _ => Figure::under(&format!("mixed, {name}"), grown, "MiB", 30.0),
    };
    Ok(vec![
        plain("validations", told.validated as f64, "answers"),
        plain("mutations", told.mutated as f64, "answers"),
        plain("label guard", told.guarded as f64, "answers"),
        plain("endless policies", told.hasty as f64, "answers"),
        plain("hostile reviews and peers", told.hostile as f64, "requests"),
        none("requests without an answer", told.lost as f64),
        none("wrong answers, or by no whole set", told.wrong as f64),
        none("good reviews that were not told", told.untold as f64),
        plain("sets of policies put", told.put as f64, "sets"),
        plain(
            "sets of policies seen in verdicts",
            told.sets as f64,
            "sets",
        ),
        plain(
            "certificates seen",
            told.certificates as f64,
            "certificates",
        ),
        plain("decisions in the store", told.stored as f64, "decisions"),
        Figure::under("mixed, decisions shed", told.shed, "decisions", 0.5),
        plain("validation, p50", share(&told.millis, 0.5), "ms"),
        plain("validation, p99", share(&told.millis, 0.99), "ms"),
        plain("validation, slowest", share(&told.millis, 1.0), "ms"),
        plain(
            "endless policy, timeout=300ms, p50",
            share(&told.hasty_millis, 0.5),
            "ms",
        ),
        plain(
            "endless policy, timeout=300ms, slowest as the server tells",
            share(&told.hasty_server, 1.0),
            "ms",
        ),
        Figure::under(
            "mixed, endless policy, timeout=300ms, slowest",
            share(&told.hasty_millis, 1.0),
            "ms",
            300.0,
        ),
        plain("server", told.server_cpu, "s CPU"),
        plain("load generator", told.own_cpu, "s CPU"),
        plain("memory, third tenth", early, "MiB"),
        grown,
    ])
}
