//! OPA as a peer: built from its Go modules, asked over stdin by one process.

use anyhow::{Context, Result, bail};
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
    let root = crate::tree::root();
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    let peer = target.join("opa-peer");
    let built = Command::new("go")
        .args([
            OsStr::new("build"),
            OsStr::new("-o"),
            peer.as_os_str(),
            OsStr::new("."),
        ])
        .current_dir(root.join("crates/xtask/peers/opa"))
        .status();
    match built {
        Err(_) => {
            println!("skipped: OPA is built from its Go modules, and there is no Go here");
            return Ok(());
        }
        Ok(status) if !status.success() => bail!("OPA's Go modules could not be built"),
        Ok(_) => {}
    }
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
