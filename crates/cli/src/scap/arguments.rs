//! The arguments of the commands that compare, import and mend.

use crate::arguments::{Choice, FailOn, FixSystem, Format, OptionalRemote, Output};
use clap::Args;
use std::path::PathBuf;

/// Where records of what was changed on this machine are kept.
pub const STATE: &str = "/var/lib/bartizan";

#[derive(Args)]
pub struct ScapFixes {
    /// The content
    pub file: PathBuf,
    #[command(flatten)]
    pub choice: Choice,
    /// Only of rules that failed in these results: TestResult, ARF, or our report or JSON
    #[arg(long, value_name = "FILE", conflicts_with = "scan")]
    pub failed_from: Option<PathBuf>,
    /// Only of rules that fail on this machine now
    #[arg(long)]
    pub scan: bool,
    /// Only of this rule; repeatable
    #[arg(long, value_name = "ID")]
    pub rule: Vec<String>,
    /// The kind of fix
    #[arg(long, value_enum, default_value_t)]
    pub system: FixSystem,
    /// Write a bash script or an Ansible playbook that does all of them
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t)]
    pub format: Output,
}

#[derive(Args)]
pub struct ScapDiff {
    /// The earlier results: TestResult, ARF, or our report or JSON
    pub before: PathBuf,
    /// The later ones
    pub after: PathBuf,
    #[arg(long, value_enum, default_value_t)]
    pub format: Output,
}

#[derive(Args)]
pub struct ScapImport {
    /// What `oscap xccdf eval --results` or `--results-arf` wrote; also with gzip or bzip2
    pub file: PathBuf,
    /// What was scanned, `host:NAME`; default: the target that the results name
    #[arg(long, value_name = "KIND:NAME")]
    pub scope: Option<String>,
    /// What to write
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Where to write it; default: standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Exit code 1 from this severity on
    #[arg(long, value_enum, default_value_t = FailOn::High)]
    pub fail_on: FailOn,
    #[command(flatten)]
    pub remote: OptionalRemote,
}

#[derive(Args)]
pub struct ScapRemediate {
    /// The content
    pub file: PathBuf,
    #[command(flatten)]
    pub choice: Choice,
    /// Mend this rule if it fails; repeatable
    #[arg(
        long,
        value_name = "ID",
        required_unless_present_any = ["all_failed", "failed_from"]
    )]
    pub rule: Vec<String>,
    /// Mend every rule of the profile that fails
    #[arg(long, conflicts_with = "rule")]
    pub all_failed: bool,
    /// Mend the rules that failed in these results and still fail
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rule", "all_failed"])]
    pub failed_from: Option<PathBuf>,
    /// CPE dictionary, or its OVAL definitions, beside the content's; repeatable
    #[arg(long, value_name = "FILE")]
    pub cpe: Vec<PathBuf>,
    /// Show what would be run, and run nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask before each fix
    #[arg(long)]
    pub yes: bool,
    /// Let the content's scripts (SCE) judge, too
    #[arg(long)]
    pub sce: bool,
    /// Seconds that each fix may take
    #[arg(long, value_name = "N", default_value_t = 600,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: u64,
    /// Folder for backups and the journal of what was done
    #[arg(long, value_name = "DIR", default_value = STATE)]
    pub state: PathBuf,
    /// Also write the results after the fixes as an XCCDF TestResult
    #[arg(long, value_name = "FILE")]
    pub results: Option<PathBuf>,
    /// What is mended, `host:NAME`; default: the machine's name
    #[arg(long, value_name = "KIND:NAME")]
    pub scope: Option<String>,
    #[arg(long, value_enum, default_value_t)]
    pub format: Output,
    /// Send the results after the fixes to a server
    #[command(flatten)]
    pub remote: OptionalRemote,
}

#[derive(Args)]
pub struct ScapUndo {
    /// The backup's folder, as `scap remediate` named it
    pub backup: PathBuf,
    /// Only show what would be put back
    #[arg(long)]
    pub dry_run: bool,
    /// Also put back what was changed again since
    #[arg(long)]
    pub force: bool,
    /// Folder of the journal of what was done
    #[arg(long, value_name = "DIR", default_value = STATE)]
    pub state: PathBuf,
}
