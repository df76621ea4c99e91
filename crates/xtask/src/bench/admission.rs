//! What an admission review costs with the public Gatekeeper library loaded, and how a served
//! webhook bears hostile reviews.
//!
//! `cargo xtask bench --only admission --library DIR`: DIR is a checkout of
//! open-policy-agent/gatekeeper-library, kept out of this repository.
//! `cargo xtask bench --only hostile --hostile 10000` posts that many hostile reviews.

use super::{Options, example, value};
use crate::report::Figure;
use crate::{peers, tree};
use anyhow::{Context, Result, bail};
use bartizan_xtask::running::wire::{Target, Version};
use bartizan_xtask::running::{Server, Setup, siege};
use std::path::Path;
use std::process::Command;

/// Where the library is.
#[derive(clap::Args)]
pub struct Library {
    /// A checkout of the public Gatekeeper library; without it, admission is not measured.
    #[arg(long)]
    pub library: Option<std::path::PathBuf>,
    /// How many hostile reviews to post; none by default.
    #[arg(long, default_value_t = 0)]
    hostile: u64,
    /// How many minutes of mixed load; none by default.
    #[arg(long, default_value_t = 0)]
    pub minutes: u64,
}

/// Request bytes to response bytes, one thread, CPU time of the thread.
pub fn run(options: &Options) -> Result<Vec<Figure>> {
    let Some(library) = &options.library.library else {
        eprintln!("admission is NOT measured: no --library");
        return Ok(Vec::new());
    };
    let library = library.canonicalize()?;
    let file = tempfile::NamedTempFile::new()?;
    let lines = example(
        "bartizan-policy",
        "admission",
        &[
            &library.to_string_lossy(),
            "--lines",
            &file.path().to_string_lossy(),
        ],
    )?;
    let figure = |name: &str| value(&lines, name);
    let mean = figure("mean")?;
    let mut figures = vec![
        Figure::plain("admission, templates", figure("templates")?, "templates"),
        Figure::plain(
            "admission, constraints",
            figure("constraints")?,
            "constraints",
        ),
        Figure::plain("admission, reviews", figure("reviews")?, "reviews"),
        Figure::plain("admission, violations", figure("violations")?, "violations"),
        Figure::plain("admission, unknown answers", figure("unknown")?, "answers"),
        Figure::under("admission, mean", mean, "ms CPU", 1.5),
        Figure::plain("admission, p50", figure("p50")?, "ms CPU"),
        Figure::plain("admission, p95", figure("p95")?, "ms CPU"),
        Figure::under("admission, p99", figure("p99")?, "ms CPU", 5.0),
    ];
    figures.extend(gatekeeper(file.path(), mean)?);
    Ok(figures)
}

/// The same policies and reviews judged by Gatekeeper's target on the constraint framework.
fn gatekeeper(input: &Path, ours: f64) -> Result<Vec<Figure>> {
    let peer = match peers::built("gatekeeper")? {
        Ok(peer) => peer,
        Err(why) => {
            eprintln!("Gatekeeper is NOT measured: {why}");
            return Ok(Vec::new());
        }
    };
    // One thread, as ours; its garbage collector is counted.
    let output = Command::new(peer)
        .arg(input)
        .env("GOMAXPROCS", "1")
        .output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout)?;
    let figure = |name: &str| value(&lines, name);
    let mean = figure("mean")?;
    Ok(vec![
        Figure::plain("Gatekeeper, violations", figure("found")?, "violations"),
        Figure::plain("Gatekeeper, reviews refused", figure("refused")?, "reviews"),
        Figure::plain("Gatekeeper, mean", mean, "ms CPU"),
        Figure::plain("Gatekeeper, p50", figure("p50")?, "ms CPU"),
        Figure::plain("Gatekeeper, p95", figure("p95")?, "ms CPU"),
        Figure::plain("Gatekeeper, p99", figure("p99")?, "ms CPU"),
        Figure::plain(
            "Gatekeeper, allocated a review",
            figure("allocated")?,
            "KiB",
        ),
        Figure::plain(
            "Gatekeeper, allocations a review",
            figure("allocations")?,
            "times",
        ),
        Figure::plain("Gatekeeper's mean over ours", mean / ours, "times"),
    ])
}

/// Hostile reviews against the built binary with our own policies: it answers, in time, and
/// keeps its memory.
pub fn hostile(options: &Options) -> Result<Vec<Figure>> {
    let count = options.library.hostile;
    if count == 0 {
        eprintln!("hostile reviews are NOT posted: no --hostile N");
        return Ok(Vec::new());
    }
    let data = tempfile::tempdir()?;
    let mut setup = Setup::new(options.binary(), data.path());
    let own = data.path().join("hostile.json");
    std::fs::write(&own, siege::policies().to_string())?;
    let policies = tree::root().join("content/policies").display().to_string();
    setup.arguments = ["--role", "admission", "--admission-listen", "127.0.0.1:0"]
        .into_iter()
        .chain(["--admission-policies", &policies])
        .chain(["--admission-policies", &own.display().to_string()])
        .map(str::to_owned)
        .collect();
    setup.environment.push(("RUST_LOG".into(), "error".into()));
    let server = Server::start(&setup)?;
    let webhook = server.webhook.clone().context("no webhook")?;
    let ca = std::fs::read(data.path().join("admission/ca.pem"))?;
    let target = Target::new(&webhook, &ca, Version::Http1)?;
    let fresh = server.memory("VmRSS")?;
    // What a first round of all kinds makes it keep is no growth.
    let tenth = siege::run(&target, 0..count / 10)?;
    let warm = server.memory("VmRSS")?;
    let rest = siege::run(&target, count / 10..count)?;
    std::thread::sleep(std::time::Duration::from_secs(12));
    let after = server.memory("VmRSS")?;
    let told = tenth.and(rest);
    eprintln!("statuses: {:?}", told.statuses);
    for late in &told.late {
        eprintln!("  late: {late}");
    }
    let still = siege::good(&target)?;
    Ok(vec![
        Figure::plain("hostile reviews", count as f64, "reviews"),
        Figure::plain("hostile reviews answered", told.answered as f64, "answers"),
        // Too large a body, or what is no HTTP, may be refused by an end of the connection.
        Figure::plain(
            "hostile, ended without an answer",
            told.ended as f64,
            "requests",
        ),
        Figure::plain(
            "hostile peers (slow, half-open, no HTTP)",
            told.peers as f64,
            "peers",
        ),
        Figure::under(
            "hostile, not answered within their timeout",
            told.late.len() as f64,
            "requests",
            0.5,
        ),
        Figure::plain("hostile reviews, slowest", told.slowest, "s"),
        Figure::at_least(
            "hostile reviews, a good one answered after",
            f64::from(u8::from(still)),
            "answer",
            1.0,
        ),
        Figure::plain("hostile reviews, memory before", fresh, "MiB"),
        Figure::plain("hostile reviews, memory after a tenth", warm, "MiB"),
        Figure::plain(
            "hostile reviews, peak memory",
            server.memory("VmHWM")?,
            "MiB",
        ),
        Figure::plain("hostile reviews, memory after", after, "MiB"),
        Figure::under(
            "hostile reviews, memory after less that of a tenth",
            after - warm,
            "MiB",
            30.0,
        ),
    ])
}
