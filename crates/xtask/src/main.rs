//! Repository rules as code, and the runs that compare us with peers. Not shipped.

mod advisories;
mod bench;
mod conformance;
mod licences;
mod pages;
mod peers;
mod report;
mod rules;
mod tree;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Tasks of the repository.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Check the repository's rules: dependency edges, file length, headers, cited paths.
    Rules,
    /// Check that every dependency's licence is on the list.
    Licences,
    /// Check Cargo.lock against an advisory database given by path (a checkout of RustSec's).
    Advisories {
        /// The database's folder; without it, the check says that it did not run.
        #[arg(long)]
        db: Option<PathBuf>,
    },
    /// Write the pages of the policies, docs/policies.
    Pages {
        /// Only say whether they are current.
        #[arg(long)]
        check: bool,
    },
    /// Replay the fuzz corpora.
    Replay,
    /// Measure, and print the ratio to the target or peer from this one run.
    Bench(bench::Options),
    /// Run public conformance suites given by path.
    Conformance(conformance::Options),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Rules => rules::run(&tree::root()),
        Task::Licences => licences::run(&tree::root()),
        Task::Advisories { db } => advisories::run(&tree::root(), db.as_deref()),
        Task::Pages { check } => pages::run(&tree::root(), check),
        Task::Replay => tree::cargo(&["test", "--quiet", "--package", "bartizan-fuzz"]),
        Task::Bench(options) => bench::run(&options),
        Task::Conformance(options) => conformance::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
