//! The arguments of `bartizan scap`.

use crate::arguments::{Choice, FailOn, Format, OptionalRemote, Output, Signature};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Where records of what was changed on this machine are kept.
pub const STATE: &str = "/var/lib/bartizan";

#[derive(Subcommand)]
pub enum Scap {
    /// What is in a file: streams, benchmarks, profiles, references that lead outside
    #[command(after_help = "Example:\n  bartizan scap info ssg-debian12-ds.xml")]
    Info(ScapFile),
    /// Look for what is wrong with a file; exit code 1 when something is
    #[command(after_help = "Example:\n  bartizan scap validate ssg-debian12-ds.xml")]
    Validate(ScapFile),
    /// List the profiles, one a line, with how many rules each selects
    #[command(after_help = "Example:\n  bartizan scap profiles ssg-debian12-ds.xml")]
    Profiles(ScapFile),
    /// Evaluate OVAL definitions alone
    #[command(after_help = "Examples:\n  bartizan scap oval definitions.xml\n  \
                      bartizan scap oval definitions.xml --root /mnt/image --results results.xml\n  \
                      bartizan scap oval definitions.xml --characteristics collected.xml")]
    Oval(ScapOval),
    /// Judge this machine by XCCDF, with the options and exit codes of `oscap xccdf eval`
    #[command(after_help = "Examples:\n  \
                      bartizan scap eval --profile standard --results-arf arf.xml ssg-debian12-ds.xml\n  \
                      bartizan scap eval --profile p --tailoring-file t.xml --report report.html ds.xml\n\n\
                      Exit codes: 0 nothing failed; 1 it could not be evaluated; 2 a rule failed, or is\n\
                      unknown or an error.")]
    Eval(Box<ScapEval>),
    /// List the fixes of a profile's rules, or write them as a script or playbook
    #[command(after_help = "Examples:\n  \
                      bartizan scap fixes ds.xml --profile standard --system ansible\n  \
                      bartizan scap fixes ds.xml --profile standard --scan --output fix.sh\n  \
                      bartizan scap fixes ds.xml --profile standard --failed-from arf.xml \\\n      \
                      --system ansible --output playbook.yml")]
    Fixes(ScapFixes),
    /// Compare two results, rule by rule; exit code 1 when something got worse
    #[command(after_help = "Example:\n  bartizan scap diff yesterday.arf.xml today.arf.xml")]
    Diff(ScapDiff),
    /// Take in results of OpenSCAP: XCCDF TestResult or ARF, packed or not
    #[command(
        after_help = "Example:\n  bartizan scap import arf.xml --server http://127.0.0.1:8000"
    )]
    Import(ScapImport),
    /// Apply the content's bash fixes to this machine, one by one, with backup and re-check
    #[command(after_help = "Examples:\n  \
                      bartizan scap remediate ds.xml --profile standard --all-failed --dry-run\n  \
                      bartizan scap remediate ds.xml --rule xccdf_org.ssgproject.content_rule_accounts_umask_etc_profile\n\n\
                      The fixes are programs of the content, run with this user's rights. Backed up are /etc and\n\
                      the files that a fix names; packages, mounts and running services are not put back by undo.")]
    Remediate(ScapRemediate),
    /// Put back the files that a fix changed
    #[command(
        after_help = "Example:\n  bartizan scap undo /var/lib/bartizan/backups/20260102T030405Z-1-umask"
    )]
    Undo(ScapUndo),
}

#[derive(Args)]
pub struct ScapFile {
    /// The content
    pub file: PathBuf,
    #[arg(long, value_enum, default_value_t)]
    pub format: Output,
}

#[derive(Args)]
pub struct ScapOval {
    /// OVAL definitions, or a data stream: then all of its definitions
    pub file: PathBuf,
    /// Only this definition; repeatable
    #[arg(long, value_name = "ID")]
    pub definition: Vec<String>,
    /// The machine's root folder
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
    /// System characteristics to judge in place of a machine
    #[arg(long, value_name = "FILE", conflicts_with = "root")]
    pub characteristics: Option<PathBuf>,
    /// Values of external variables (oval_variables)
    #[arg(long, value_name = "FILE")]
    pub variables: Option<PathBuf>,
    /// Also write OVAL results; of a data stream those of its first definitions
    #[arg(long, value_name = "FILE")]
    pub results: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t)]
    pub format: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum FixSystem {
    /// Shell
    #[default]
    Bash,
    /// Ansible tasks
    Ansible,
    /// Puppet classes
    Puppet,
}

/// The options of `oscap xccdf eval` 1.3.7.
#[derive(Args)]
pub struct ScapEval {
    /// The content: a data stream or an XCCDF benchmark
    pub file: PathBuf,
    /// The profile's id or the end of it; `(all)` is every rule
    #[arg(long, value_name = "ID")]
    pub profile: Option<String>,
    /// Only this rule, selected or not; repeatable
    #[arg(long, value_name = "ID")]
    pub rule: Vec<String>,
    /// Not this rule; repeatable
    #[arg(long, value_name = "ID")]
    pub skip_rule: Vec<String>,
    /// A tailoring document, whose profiles can be chosen too
    #[arg(long, value_name = "FILE")]
    pub tailoring_file: Option<PathBuf>,
    /// A tailoring of the data stream, by its component reference
    #[arg(long, value_name = "ID", conflicts_with_all = ["xccdf_id", "tailoring_file"])]
    pub tailoring_id: Option<String>,
    /// CPE dictionary, or its OVAL definitions, beside the content's; repeatable
    #[arg(long, value_name = "FILE")]
    pub cpe: Vec<PathBuf>,
    /// The data stream, where there are many
    #[arg(long, value_name = "ID")]
    pub datastream_id: Option<String>,
    /// The benchmark's component reference, where there are many
    #[arg(long, value_name = "ID")]
    pub xccdf_id: Option<String>,
    /// The benchmark's id, where there are many
    #[arg(long, value_name = "ID",
          conflicts_with_all = ["xccdf_id", "datastream_id", "tailoring_id"])]
    pub benchmark_id: Option<String>,
    /// Write the benchmark with its TestResult
    #[arg(long, value_name = "FILE")]
    pub results: Option<PathBuf>,
    /// Write ARF
    #[arg(long, value_name = "FILE")]
    pub results_arf: Option<PathBuf>,
    /// Write a page for people
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// One line a rule: `id:result`
    #[arg(long)]
    pub progress: bool,
    /// One line a rule: `id|title|result`
    #[arg(long, conflicts_with = "progress")]
    pub progress_full: bool,
    #[command(flatten)]
    pub signature: Signature,
    /// The machine's root folder
    #[arg(
        long,
        value_name = "DIR",
        env = "OSCAP_PROBE_ROOT",
        default_value = "/"
    )]
    pub root: PathBuf,
    /// Run the content's scripts (SCE), with this user's rights; else their rules are not
    /// checked
    #[arg(long)]
    pub sce: bool,
    #[command(flatten)]
    pub without: WithoutEffect,
}

/// Options of `oscap` that ask for what is done anyway, or for what is not done here.
#[derive(Args)]
pub struct WithoutEffect {
    /// No effect: content is always read strictly, never against schemas
    #[arg(long, alias = "skip-validation")]
    pub skip_valid: bool,
    /// Not supported: OVAL results are part of ARF
    #[arg(long)]
    pub oval_results: bool,
    /// Not supported: results of scripts are part of ARF
    #[arg(long)]
    pub check_engine_results: bool,
    /// Not supported: variables are part of ARF
    #[arg(long)]
    pub export_variables: bool,
    /// Not supported: results are always whole
    #[arg(long)]
    pub thin_results: bool,
    /// Not supported: results are always whole
    #[arg(long)]
    pub without_syschar: bool,
    /// Not supported: nothing is fetched; the rules are not checked
    #[arg(long)]
    pub fetch_remote_resources: bool,
    /// Not supported: the rules are not checked
    #[arg(long, value_name = "DIR")]
    pub local_files: Option<PathBuf>,
    /// No effect
    #[arg(long, value_name = "LEVEL")]
    pub verbose: Option<String>,
    /// No effect
    #[arg(long, value_name = "FILE")]
    pub verbose_log_file: Option<PathBuf>,
    /// Refused: see `bartizan scap remediate`
    #[arg(long)]
    pub remediate: bool,
    /// Refused: this form of results is not written
    #[arg(long, value_name = "FILE")]
    pub stig_viewer: Option<PathBuf>,
}

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
