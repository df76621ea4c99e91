//! The command line: every command, with examples in its help.

use crate::Verdict;
use crate::agent::arguments::{Agent, Schedules, Systems};
use crate::cve::arguments::{Cve, Feeds};
use crate::image::Image;
use crate::policy::arguments::Policy;
use crate::sbom::Sbom;
use crate::scap::arguments::Scap;
use crate::software::arguments::{ScanFs, ScanImage, ScanSbom};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Cloud-native security and compliance: judge what you run, prove what you judged.
#[derive(Parser)]
#[command(
    name = "bartizan",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 good; 1 findings at or above --fail-on, or a check that failed; \
                  2 the work could not be done."
)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Look after an installation from its own machine
    #[command(subcommand)]
    Admin(Admin),
    /// Take the scans that a server is asked for, of this machine or over SSH
    Agent(Agent),
    /// Ask about vulnerabilities in plain words; each sentence of the answer cites its records
    Ask(Box<crate::ask::arguments::Ask>),
    /// Issue a signed attestation of a scope against a framework
    Attest(Attest),
    /// Print a shell completion script
    #[command(
        after_help = "Example:\n  bartizan completions bash > /etc/bash_completion.d/bartizan"
    )]
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Read feeds of vulnerabilities, carry them, and keep the store in step
    #[command(subcommand)]
    Cve(Cve),
    /// Verify signatures and attestations of container images
    #[command(subcommand)]
    Image(Image),
    /// List or rotate the signing keys
    #[command(subcommand)]
    Keys(Keys),
    /// Check the tamper-evident log, offline
    #[command(subcommand)]
    Ledger(Ledger),
    /// Print the OpenAPI document of the HTTP interface
    Openapi,
    /// Test, apply, expand or measure policies, as `gator` does
    #[command(subcommand)]
    Policy(Policy),
    /// List the policies that are built in
    Policies(Policies),
    /// List the software of a folder, a machine, an image or another list
    Sbom(Box<Sbom>),
    /// Judge something
    #[command(subcommand)]
    Scan(Scan),
    /// Look into SCAP content: data streams, XCCDF benchmarks, OVAL definitions
    #[command(subcommand)]
    Scap(Scap),
    /// List, make or remove the server's schedules of scans
    #[command(subcommand)]
    Schedule(Schedules),
    /// Run the server
    Serve(Serve),
    /// List, add, remove or scan the systems that a server knows
    #[command(subcommand)]
    Systems(Systems),
    /// Run everything embedded on this machine and scan a first folder
    Up(Up),
    /// Verify an attestation, offline
    Verify(Verify),
}

#[derive(Subcommand)]
pub enum Admin {
    /// Give a user a new one-time secret; run it while the server is stopped
    #[command(after_help = "Example:\n  bartizan admin reset-password admin --data ./data")]
    ResetPassword {
        /// Whose
        #[arg(default_value = "admin")]
        user: String,
        #[command(flatten)]
        place: Place,
    },
    /// Print the canonical text of the stored state, to compare two installations
    #[command(hide = true)]
    Dump {
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Subcommand)]
pub enum Keys {
    /// List the signing keys
    List(Remote),
    /// Make new signing keys; tokens of the old ones still verify
    Rotate(Remote),
}

#[derive(Subcommand)]
pub enum Ledger {
    /// Recompute every tile and check it against the signed checkpoint
    #[command(after_help = "Examples:\n  bartizan ledger verify --data ./data\n  \
                      bartizan ledger verify --folder backup/default/ledger --jwks jwks.json")]
    Verify {
        /// The installation's data folder
        #[arg(long, default_value = "./data", conflicts_with = "folder")]
        data: PathBuf,
        /// A copy of one tenant's ledger folder (the one that holds `checkpoint` and `tile`)
        #[arg(long)]
        folder: Option<PathBuf>,
        /// The JWKS file with the log's key; default: the data folder's own jwks.json
        #[arg(long)]
        jwks: Option<PathBuf>,
        /// An earlier checkpoint that must be a prefix of this log
        #[arg(long, value_name = "FILE")]
        since: Option<PathBuf>,
        #[arg(long, value_enum, default_value_t)]
        format: Output,
    },
}

#[derive(Subcommand)]
pub enum Scan {
    /// This machine, or a mounted one, by a baseline or SCAP content
    #[command(after_help = "Examples:\n  \
                      bartizan scan host\n  \
                      bartizan scan host --content ssg-debian12-ds.xml --profile cis_level2_server\n  \
                      bartizan scan host --content ds.xml --profile standard --arf arf.xml --fail-on never\n  \
                      bartizan scan host --content ds.xml --rule xccdf_org.ssgproject.content_rule_no_empty_passwords\n  \
                      bartizan scan host --content ds.xml --profile standard --root /mnt/image --scope host:image\n  \
                      bartizan scan host --content ds.xml --profile standard --record web1.snapshot\n  \
                      bartizan scan host --content ds.xml --profile standard --snapshot web1.snapshot\n  \
                      bartizan scan host --image shop.tar\n  \
                      bartizan scan host --plugin soc2\n  \
                      bartizan scan host --ssh admin@web1 --sudo\n\n\
                      Most rules need root; what cannot be read is unknown, not passed. Host keys of\n\
                      SSH are checked as ssh itself does.")]
    Host(Box<ScanHost>),
    /// Kubernetes manifests: files, folders, or `-` for standard input
    #[command(after_help = "Examples:\n  bartizan scan k8s manifests/\n  \
                      kustomize build overlays/prod | bartizan scan k8s - --scope cluster:prod\n  \
                      helm template shop charts/shop | bartizan scan k8s - --format sarif -o shop.sarif\n  \
                      bartizan scan k8s . --fail-on medium --baseline baseline.yaml")]
    K8s(Box<ScanK8s>),
    /// A folder or this machine: its packages against the advisories that are held here
    Fs(Box<ScanFs>),
    /// A container image, on disk or in a registry: its packages against the advisories held here
    Image(Box<ScanImage>),
    /// A bill of materials (CycloneDX or SPDX) against the advisories that are held here
    Sbom(Box<ScanSbom>),
}

#[derive(Args)]
pub struct ScanK8s {
    /// Files and folders with manifests; `-` reads standard input
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// More ConstraintTemplates and constraints, a file or folder; repeatable
    #[arg(long, value_name = "PATH")]
    pub policies: Vec<PathBuf>,
    /// Leave out the built-in policies
    #[arg(long, requires = "policies")]
    pub no_builtin: bool,
    /// What is scanned, `cluster:NAME`, `host:NAME` or `repository:NAME`; default: the folder's name
    #[arg(long, value_name = "KIND:NAME")]
    pub scope: Option<String>,
    /// Only part of the scope is given, so nothing that is missing here counts as gone
    #[arg(long)]
    pub partial: bool,
    /// Failures to leave, with reasons and expiry dates
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Write today's failures as a baseline file, with a reason to be filled in
    #[arg(long, value_name = "FILE")]
    pub write_baseline: Option<PathBuf>,
    /// How to show the result
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Where to write it; default: standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Exit with 1 when a finding is at least this severe
    #[arg(long, value_enum, default_value_t = FailOn::High)]
    pub fail_on: FailOn,
    /// Evaluating threads; default: as many as there are cores
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Send the report to a server
    #[command(flatten)]
    pub remote: OptionalRemote,
}

#[derive(Args)]
pub struct ScanHost {
    /// SCAP content: a data stream, or an XCCDF benchmark beside its OVAL files, also packed
    /// with bzip2; or an own baseline as YAML; or a plugin's folder of those and Rego over the
    /// collected facts. Default: the baseline that is built in
    #[arg(long, value_name = "FILE|FOLDER")]
    pub content: Option<PathBuf>,
    /// A plugin that is built in, see --list-plugins
    #[arg(long, value_name = "NAME", conflicts_with = "content")]
    pub plugin: Option<String>,
    /// List the plugins that are built in, and scan nothing
    #[arg(long)]
    pub list_plugins: bool,
    /// Also write what is known of the machine, as Rego plugins see it, as JSON
    #[arg(long, value_name = "FILE")]
    pub facts: Option<PathBuf>,
    #[command(flatten)]
    pub choice: Choice,
    /// Only this rule, selected or not; repeatable
    #[arg(long, value_name = "ID", requires = "content")]
    pub rule: Vec<String>,
    /// Not this rule; repeatable
    #[arg(long, value_name = "ID", requires = "content")]
    pub skip_rule: Vec<String>,
    /// CPE dictionary, or its OVAL definitions, beside the content's; repeatable
    #[arg(long, value_name = "FILE", requires = "content")]
    pub cpe: Vec<PathBuf>,
    /// Run the content's scripts (SCE), with this user's rights; else their rules are not
    /// checked
    #[arg(long, requires = "content")]
    pub sce: bool,
    /// Seconds that each script may take
    #[arg(long, value_name = "N", default_value_t = 60, requires = "sce",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub sce_seconds: u64,
    /// The machine's root folder
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
    /// Also write down all that is looked at, to judge it elsewhere; `-` is standard output.
    /// The file has what judging needs, password hashes among it, and only its owner may read it
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Judge a machine that was recorded; what was not looked at then is unknown
    #[arg(long, value_name = "FILE", conflicts_with_all = ["root", "image", "ssh"])]
    pub snapshot: Option<PathBuf>,
    /// Judge a container image without unpacking it: a tar file of `docker save` or `skopeo
    /// copy`, or one or a folder in OCI's layout, or a tar file of a whole root
    #[arg(long, value_name = "PATH", conflicts_with_all = ["root", "ssh"])]
    pub image: Option<PathBuf>,
    /// Which image, where there are several
    #[arg(long, value_name = "NAME", requires = "image")]
    pub image_name: Option<String>,
    #[command(flatten)]
    pub over: OverSsh,
    /// What is scanned, `host:NAME`; default: the machine's name
    #[arg(long, value_name = "KIND:NAME")]
    pub scope: Option<String>,
    /// Also write the results as ARF, with content and OVAL results
    #[arg(long, value_name = "FILE", requires = "content")]
    pub arf: Option<PathBuf>,
    /// Also write the benchmark with its TestResult, as `oscap xccdf eval --results` does
    #[arg(long, value_name = "FILE", requires = "content")]
    pub results: Option<PathBuf>,
    /// How to show the result
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Where to write it; default: standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Exit with 1 when a finding is at least this severe
    #[arg(long, value_enum, default_value_t = FailOn::High)]
    pub fail_on: FailOn,
    /// Send the report to a server
    #[command(flatten)]
    pub remote: OptionalRemote,
}

/// A machine that is reached by SSH.
#[derive(Args, Clone, Default)]
pub struct OverSsh {
    /// A machine where nothing is installed: this binary is copied there, run and removed
    #[arg(long, value_name = "[USER@]HOST[:PORT]", conflicts_with = "root")]
    pub ssh: Option<String>,
    /// An option for `ssh -o`, such as IdentityFile=KEY; repeatable
    #[arg(long, value_name = "KEY=VALUE", requires = "ssh")]
    pub ssh_option: Vec<String>,
    /// The binary that runs there, if not this one: best a static one, of its architecture
    #[arg(long, value_name = "FILE", requires = "ssh")]
    pub ssh_binary: Option<PathBuf>,
    /// After how many seconds to give up
    #[arg(long, value_name = "SECONDS", requires = "ssh", default_value_t = 1800,
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub ssh_timeout: u32,
    /// Run it there by `sudo`, which must not ask for a password
    #[arg(long, requires = "ssh")]
    pub sudo: bool,
}

/// Which benchmark of a content, and which profile of it.
#[derive(Args, Clone, Default)]
pub struct Choice {
    /// The profile's id or the end of it; `(all)` is every rule
    #[arg(long, value_name = "ID")]
    pub profile: Option<String>,
    /// The data stream, where there are many
    #[arg(long, value_name = "ID")]
    pub datastream_id: Option<String>,
    /// The benchmark's component reference or id, where there are many
    #[arg(long, value_name = "ID")]
    pub xccdf_id: Option<String>,
    /// A tailoring document, whose profiles can be chosen too
    #[arg(long, value_name = "FILE")]
    pub tailoring: Option<PathBuf>,
    #[command(flatten)]
    pub signature: Signature,
}

/// What to do about the signature of a data stream. One that is there must be right.
#[derive(Args, Clone, Copy, Default)]
pub struct Signature {
    /// Do not look at the data stream's signature
    #[arg(long)]
    pub skip_signature_validation: bool,
    /// Refuse a data stream that has no signature
    #[arg(long, conflicts_with = "skip_signature_validation")]
    pub enforce_signature: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// A table for people
    #[default]
    Table,
    /// One JSON document
    Json,
    /// SARIF 2.1.0
    Sarif,
    /// PolicyReport and ClusterPolicyReport objects of wgpolicyk8s.io/v1alpha2, as YAML
    #[value(name = "policyreport")]
    PolicyReport,
    /// One self-contained page
    Html,
    /// The report as the artifact API takes it, one JSON object a line
    Report,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Output {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Never
    Never,
    Info,
    Low,
    Medium,
    High,
    Critical,
}

#[derive(Args)]
pub struct Policies {
    #[arg(long, value_enum, default_value_t)]
    pub format: Output,
}

/// A server to talk to.
#[derive(Args, Clone)]
pub struct Remote {
    /// Address of the server
    #[arg(long, env = "BARTIZAN_SERVER", default_value = "http://127.0.0.1:8000")]
    pub server: String,
    #[command(flatten)]
    pub access: Access,
    #[arg(long, value_enum, default_value_t)]
    pub format: Output,
}

/// A server to send to, if one is named.
#[derive(Args, Clone)]
pub struct OptionalRemote {
    /// Address of a server that gets the report
    #[arg(long, env = "BARTIZAN_SERVER")]
    pub server: Option<String>,
    #[command(flatten)]
    pub access: Access,
}

/// How a server is spoken to.
#[derive(Args, Clone)]
pub struct Access {
    /// File with an API token; or the environment variable BARTIZAN_TOKEN
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Certificate authority to trust, PEM
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

#[derive(Args)]
#[command(
    after_help = "Example:\n  bartizan attest --scope repository:shop --framework soc2 -o shop.jwt\n  \
                  bartizan verify shop.jwt --jwks jwks.json"
)]
pub struct Attest {
    /// The scope, `kind:name`
    #[arg(long)]
    pub scope: String,
    /// The framework's id
    #[arg(long)]
    pub framework: String,
    /// For how many days it counts
    #[arg(long, default_value_t = 90)]
    pub valid_days: u32,
    /// Signature algorithm
    #[arg(long, value_parser = ["RS256", "ES256", "EdDSA"], default_value = "RS256")]
    pub algorithm: String,
    /// Where to write the token; default: standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Also write the keys that verify it
    #[arg(long, value_name = "FILE")]
    pub jwks: Option<PathBuf>,
    /// Also write the evidence document whose digest is attested
    #[arg(long, value_name = "FILE")]
    pub evidence: Option<PathBuf>,
    #[command(flatten)]
    pub remote: Remote,
}

#[derive(Args)]
#[command(
    after_help = "Examples:\n  bartizan verify shop.jwt --jwks jwks.json\n  \
                  bartizan verify shop.jwt --jwks jwks.json --evidence shop.evidence.json --format json"
)]
pub struct Verify {
    /// The attestation; `-` reads standard input
    pub file: PathBuf,
    /// The issuer's published keys
    #[arg(long, value_name = "FILE")]
    pub jwks: PathBuf,
    /// The evidence document, whose digest must be the attested one
    #[arg(long, value_name = "FILE")]
    pub evidence: Option<PathBuf>,
    /// Judge as of this moment instead of now (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    #[arg(long, value_enum, default_value_t)]
    pub format: Output,
}

/// Where an installation keeps its state.
#[derive(Args, Clone)]
pub struct Place {
    /// The data folder
    #[arg(long, env = "BARTIZAN_DATA", default_value = "./data")]
    pub data: PathBuf,
    /// Database address; default: SQLite in the data folder
    #[arg(
        long,
        env = "BARTIZAN_DATABASE",
        value_name = "URL",
        hide_env_values = true
    )]
    pub database: Option<String>,
    /// Object storage address; default: the data folder
    #[arg(long, env = "BARTIZAN_OBJECTS", value_name = "URL")]
    pub objects: Option<String>,
    /// File with the passphrase that the signing keys are encrypted under; default: a key file
    /// in the data folder
    #[arg(long, env = "BARTIZAN_KEY_PASSPHRASE_FILE", value_name = "FILE")]
    pub key_passphrase_file: Option<PathBuf>,
}

#[derive(Args)]
#[command(after_help = "Examples:\n  bartizan serve\n  \
                  bartizan serve --listen 0.0.0.0:8443 --tls-cert cert.pem --tls-key key.pem \\\n      \
                  --database postgres://bartizan@db/bartizan")]
pub struct Serve {
    /// Address to listen on; anything but loopback needs TLS
    #[arg(long, env = "BARTIZAN_LISTEN", default_value = "127.0.0.1:8000")]
    pub listen: SocketAddr,
    #[command(flatten)]
    pub place: Place,
    /// Certificate chain, PEM
    #[arg(long, requires = "tls_key", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Private key, PEM
    #[arg(long, requires = "tls_cert", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Address or network of a proxy whose forwarded headers are believed; repeatable
    #[arg(long, value_name = "CIDR")]
    pub trusted_proxy: Vec<String>,
    /// File with the token that /metrics asks for away from loopback
    #[arg(long, value_name = "FILE")]
    pub metrics_token_file: Option<PathBuf>,
    /// The address that people and tokens name, such as https://bartizan.example.com
    #[arg(long, env = "BARTIZAN_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
    /// Seconds after which another process may take over the work of one that died
    #[arg(long, env = "BARTIZAN_LEASE_SECONDS", default_value_t = 30, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=3600), hide_short_help = true)]
    pub lease_seconds: u32,
    /// Import workers
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub workers: usize,
    #[command(flatten)]
    pub admission: crate::admission::Admission,
    #[command(flatten)]
    pub cluster: crate::cluster::ClusterArgs,
    #[command(flatten)]
    pub feeds: Feeds,
    #[command(flatten)]
    pub chat: crate::ask::arguments::ChatArgs,
    #[command(flatten)]
    pub embedding: crate::ask::arguments::EmbeddingArgs,
}

#[derive(Args)]
#[command(after_help = "Example:\n  bartizan up --scan examples")]
pub struct Up {
    #[command(flatten)]
    pub serve: Serve,
    /// Folder to scan once the server runs; repeatable
    #[arg(long, value_name = "PATH")]
    pub scan: Vec<PathBuf>,
    /// Scan this machine too, by the own baseline
    #[arg(long)]
    pub scan_host: bool,
}

/// Writes a completion script to standard output.
pub fn completions(shell: clap_complete::Shell) -> anyhow::Result<Verdict> {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "bartizan", &mut out);
    crate::show::bytes(&out)?;
    Ok(Verdict::Good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
