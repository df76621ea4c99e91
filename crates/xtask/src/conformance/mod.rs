//! Conformance runs against public suites and peers, on data given by path.

mod changes;
mod inventory;
mod opa;
mod openscap;
mod retrieval;
mod scap;
mod tools;
mod verdicts;

use anyhow::Result;
use std::ffi::OsStr;
use std::path::PathBuf;

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
    /// The Debian packages of a root, by us, by dpkg-query and by syft.
    Inventory(inventory::Options),
    /// Policies and inputs made at random, answered by us and by OPA.
    Opa(opa::Options),
    /// OPA's compliance suite in JSON, folder by folder.
    Rego {
        /// A checkout of open-policy-agent/swift-opa.
        checkout: PathBuf,
    },
    /// OpenSCAP's own tests, evaluated by both engines.
    Openscap(openscap::Options),
    /// Stands in for `oscap` in one of its tests.
    #[command(hide = true)]
    OpenscapStandIn(openscap::StandIn),
    /// How well records are found for questions that were made of GHSA's summaries.
    Retrieval(retrieval::Options),
    /// Matches judged by people's labels.
    Matching {
        /// A checkout of anchore/vulnerability-match-labels.
        #[arg(long)]
        labels: PathBuf,
        /// A file with a line `binary<TAB>source` for each Debian package.
        #[arg(long)]
        sources: PathBuf,
        /// Folders of OSV records, and Ubuntu's tracker: the feeds that are judged by; repeatable.
        #[arg(long, required = true)]
        osv: Vec<PathBuf>,
    },
    /// SCAP content judged by OpenSCAP and by us on the same root, rule by rule.
    Scap(scap::Options),
}

/// Runs a suite.
pub fn run(options: &Options) -> Result<()> {
    match &options.suite {
        Suite::Gatekeeper { library } => example("gatekeeper_library", &[library.as_os_str()]),
        Suite::PodSecurity { checkout } => example("pod_security", &[checkout.as_os_str()]),
        Suite::Inventory(options) => inventory::run(options),
        Suite::Opa(options) => opa::run(options),
        Suite::Rego { checkout } => example("rego_suite", &[checkout.as_os_str()]),
        Suite::Openscap(options) => openscap::run(options),
        Suite::OpenscapStandIn(options) => openscap::stand_in(options),
        Suite::Matching {
            labels,
            sources,
            osv,
        } => {
            let mut arguments = vec![labels.as_os_str(), sources.as_os_str()];
            arguments.extend(osv.iter().map(|folder| folder.as_os_str()));
            example_of("bartizan-vuln", "labels", &arguments)
        }
        Suite::Retrieval(options) => retrieval::run(options),
        Suite::Scap(options) => scap::run(options),
    }
}

/// Runs an example of the policy crate, which this crate does not link.
fn example(name: &str, arguments: &[&OsStr]) -> Result<()> {
    example_of("bartizan-policy", name, arguments)
}

/// Runs an example of a crate that this one does not link.
fn example_of(package: &str, name: &str, arguments: &[&OsStr]) -> Result<()> {
    let run = [
        "run",
        "--quiet",
        "--package",
        package,
        "--example",
        name,
        "--",
    ];
    let arguments: Vec<_> = arguments.iter().map(|a| a.to_string_lossy()).collect();
    let all: Vec<&str> = run
        .into_iter()
        .chain(arguments.iter().map(|a| &**a))
        .collect();
    crate::tree::cargo(&all)
}
