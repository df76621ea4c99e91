//! Conformance runs against public suites given by path.

use anyhow::{Result, bail};
use std::path::PathBuf;

/// What to run on what.
#[derive(clap::Args)]
pub struct Options {
    /// A checkout of the public Gatekeeper library.
    #[arg(long)]
    gatekeeper_library: Option<PathBuf>,
}

/// Runs each suite whose data was given.
pub fn run(options: &Options) -> Result<()> {
    let Some(library) = &options.gatekeeper_library else {
        bail!(
            "give the data: --gatekeeper-library FOLDER (a checkout of open-policy-agent/gatekeeper-library)"
        );
    };
    crate::tree::cargo(&[
        "run",
        "--quiet",
        "--package",
        "bartizan-policy",
        "--example",
        "gatekeeper_library",
        "--",
        &library.to_string_lossy(),
    ])
}
