//! Conformance runs against public suites and peers, on data given by path.

mod changes;
mod openscap;
mod scap;
mod tools;
mod verdicts;

use anyhow::Result;
use std::path::{Path, PathBuf};

/// What to run on what.
#[derive(clap::Args)]
pub struct Options {
    #[command(subcommand)]
    suite: Suite,
}

#[derive(clap::Subcommand)]
enum Suite {
    /// The examples of the public Gatekeeper library.
    Gatekeeper {
        /// A checkout of open-policy-agent/gatekeeper-library.
        library: PathBuf,
    },
    /// The fixtures of the Pod Security Standards, version by version.
    PodSecurity {
        /// A checkout of kubernetes/pod-security-admission.
        checkout: PathBuf,
    },
    /// OpenSCAP's own tests, evaluated by both engines.
    Openscap(openscap::Options),
    /// Stands in for `oscap` in one of its tests.
    #[command(hide = true)]
    OpenscapStandIn(openscap::StandIn),
    /// SCAP content judged by OpenSCAP and by us on the same root, rule by rule.
    Scap(scap::Options),
}

/// Runs a suite.
pub fn run(options: &Options) -> Result<()> {
    match &options.suite {
        Suite::Gatekeeper { library } => example("gatekeeper_library", library),
        Suite::PodSecurity { checkout } => example("pod_security", checkout),
        Suite::Openscap(options) => openscap::run(options),
        Suite::OpenscapStandIn(options) => openscap::stand_in(options),
        Suite::Scap(options) => scap::run(options),
    }
}

/// Runs an example of the policy crate, which this crate does not link.
fn example(name: &str, path: &Path) -> Result<()> {
    let run = [
        "run",
        "--quiet",
        "--package",
        "bartizan-policy",
        "--example",
    ];
    let path = path.to_string_lossy();
    crate::tree::cargo(&[&run[..], &[name, "--", &path]].concat())
}
