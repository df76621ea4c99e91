//! OPA as a peer: built from its Go modules, asked over stdin by one process.

use anyhow::{Context, Result};
use std::ffi::OsStr;
use std::process::Command;

/// How much to compare.
#[derive(clap::Args)]
pub struct Options {
    /// How many pairs of a policy that OPA takes and an input.
    #[arg(long, default_value_t = 20_000)]
    pairs: u32,
    /// The same seed makes the same pairs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print every difference, refusal and unknown answer in full.
    #[arg(long)]
    verbose: bool,
}

/// Builds the peer where Go is there, and compares.
pub fn run(options: &Options) -> Result<()> {
    let peer = match crate::peers::built("opa")? {
        Ok(peer) => peer,
        Err(why) => {
            println!("skipped: {why}");
            return Ok(());
        }
    };
    let version = Command::new(&peer)
        .arg("version")
        .output()
        .context("cannot run the peer")?;
    println!("OPA {}", String::from_utf8_lossy(&version.stdout).trim());
    let (pairs, seed) = (options.pairs.to_string(), options.seed.to_string());
    let mut arguments = vec![peer.as_os_str(), OsStr::new(&pairs), OsStr::new(&seed)];
    if options.verbose {
        arguments.push(OsStr::new("-v"));
    }
    super::example("opa_pairs", &arguments)
}
