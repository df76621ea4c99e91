//! The `bartizan` binary: arguments, configuration, reading files, wiring.

mod admin;
mod admission;
mod agent;
mod arguments;
mod ask;
mod attest;
mod client;
mod cluster;
mod content;
mod cve;
mod files;
mod host;
mod image;
mod ledger;
mod policy;
mod sbom;
mod scan;
mod scap;
mod serve;
mod show;
mod software;
mod verify;

use arguments::{Arguments, Command};
use clap::Parser;
use std::process::ExitCode;

/// The system's allocator keeps an arena for each thread and gives little back: an audit of 100,000
/// objects took half as much memory again by it, and a sixth more time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a command found. Becomes the exit code, so that CI can act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The work was done and nothing stands in the way: 0.
    Good,
    /// The work was done and found something: 1.
    Bad,
    /// A command with exit codes of its own.
    Exit(u8),
}

fn main() -> ExitCode {
    // One cryptography provider for everything; a second call would be a bug of ours and
    // changes nothing.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let arguments = Arguments::parse();
    match run(arguments.command) {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::Bad) => ExitCode::from(1),
        Ok(Verdict::Exit(code)) => ExitCode::from(code),
        Err(error) if show::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            show::error(&error);
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> anyhow::Result<Verdict> {
    match command {
        Command::Admin(command) => admin::run(&command),
        Command::Agent(options) => agent::run(&options),
        Command::Ask(options) => ask::run(&options),
        Command::Attest(options) => attest::run(&options),
        Command::Completions { shell } => arguments::completions(shell),
        Command::Cve(command) => cve::run(&command),
        Command::Image(command) => image::run(&command),
        Command::Keys(command) => admin::keys(&command),
        Command::Ledger(command) => ledger::run(&command),
        Command::Openapi => serve::openapi(),
        Command::Policy(command) => policy::run(&command),
        Command::Policies(options) => content::policies(&options),
        Command::Sbom(options) => sbom::run(&options),
        Command::Scan(command) => scan::run(&command),
        Command::Scap(command) => scap::run(&command),
        Command::Schedule(command) => agent::schedule(&command),
        Command::Serve(options) => serve::serve(&options),
        Command::Systems(command) => agent::systems(&command),
        Command::Up(options) => serve::up(&options),
        Command::Verify(options) => verify::run(&options),
    }
}
