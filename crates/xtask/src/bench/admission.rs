//! What an admission review costs with the public Gatekeeper library loaded, and how a served
//! webhook bears hostile reviews.
//!
//! `cargo xtask bench --only admission --library DIR`: DIR is a checkout of
//! open-policy-agent/gatekeeper-library, kept out of this repository.
//! `cargo xtask bench --only hostile --hostile 10000` posts that many hostile reviews.

use super::{Options, example, value};
use crate::report::Figure;
use crate::tree;
use anyhow::{Context, Result};
use bartizan_xtask::running::{Server, Setup, hostile};
use reqwest::Certificate;
use reqwest::blocking::Client;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What the constraint framework on OPA costs a review, measured on the reference machine with
/// the same templates, constraints and cases: milliseconds of CPU.
const OPA: f64 = 15.7;

/// Where the library is.
#[derive(clap::Args)]
pub struct Library {
    /// A checkout of the public Gatekeeper library; without it, admission is not measured.
    #[arg(long)]
    library: Option<std::path::PathBuf>,
    /// How many hostile reviews to post; none by default.
    #[arg(long, default_value_t = 0)]
    hostile: u64,
}

/// Request bytes to response bytes, one thread, CPU time of the thread.
pub fn run(options: &Options) -> Result<Vec<Figure>> {
    let Some(library) = &options.library.library else {
        eprintln!("admission is NOT measured: no --library");
        return Ok(Vec::new());
    };
    let library = library.canonicalize()?;
    let lines = example(
        "bartizan-policy",
        "admission",
        &[&library.to_string_lossy()],
    )?;
    let figure = |name: &str| value(&lines, name);
    let mean = figure("mean")?;
    Ok(vec![
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
        Figure::plain(
            "admission, OPA framework's mean over ours",
            OPA / mean,
            "times",
        ),
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
    let mut setup = Setup::new(tree::root().join("target/debug/bartizan"), data.path());
    let policies = tree::root().join("content/policies").display().to_string();
    setup.arguments = ["--role", "admission", "--admission-listen", "127.0.0.1:0"]
        .into_iter()
        .chain(["--admission-policies", &policies])
        .map(str::to_owned)
        .collect();
    let server = Server::start(&setup)?;
    let webhook = server.webhook.clone().context("no webhook")?;
    let ca = std::fs::read(data.path().join("admission/ca.pem"))?;
    let client = Client::builder()
        .tls_certs_only([Certificate::from_pem(&ca)?])
        .timeout(Duration::from_secs(20))
        .build()?;
    let address = format!("{webhook}/v1/admit?timeout=2s");
    let (mut answered, mut slowest) = (0_u64, 0.0_f64);
    let mut warm = 0.0;
    for n in 0..count {
        // What a first round of all kinds makes it keep is no growth.
        if n == count / 10 {
            warm = server.memory("VmRSS")?;
        }
        let begun = Instant::now();
        let sent = client.post(&address).body(hostile::review(n)).send();
        answered += u64::from(sent.is_ok());
        slowest = slowest.max(begun.elapsed().as_secs_f64());
    }
    let grown = server.memory("VmRSS")? - warm;
    let good = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "good", "operation": "CREATE", "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "object": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}}});
    let answer: Value = client.post(&address).json(&good).send()?.json()?;
    let still = f64::from(u8::from(
        answer.pointer("/response/uid") == Some(&json!("good")),
    ));
    Ok(vec![
        Figure::plain("hostile reviews", count as f64, "reviews"),
        // Bodies of more than 8 MiB may be refused before all of it is sent.
        Figure::plain("hostile reviews answered", answered as f64, "answers"),
        Figure::at_least(
            "hostile reviews, a good one answered after",
            still,
            "answer",
            1.0,
        ),
        Figure::under("hostile reviews, slowest", slowest, "s", 4.0),
        Figure::under(
            "hostile reviews, memory after less that of the first tenth",
            grown,
            "MiB",
            100.0,
        ),
        Figure::plain(
            "hostile reviews, peak memory",
            server.memory("VmHWM")?,
            "MiB",
        ),
    ])
}
