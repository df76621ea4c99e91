//! The arguments of `bartizan policy`.

use crate::image::arguments::Signatures;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Subcommand)]
pub enum Policy {
    /// Run suites of tests on constraints (`kind: Suite`), as `gator verify` does
    #[command(
        after_help = "Examples:\n  bartizan policy test policies/labels/suite.yaml\n  \
                      bartizan policy test policies/...\n  \
                      bartizan policy test policies/... --run forbid-labels//\n  \
                      bartizan policy test policies/... --run '//^nginx-deployment$' --verbose\n  \
                      bartizan policy test policies/... --format junit > tests.xml\n\n\
                      Exit codes: 0 all passed; 1 a test failed; 2 a suite could not be run."
    )]
    Test(Test),
    /// Judge objects by the templates and constraints that come with them, as `gator test` does
    #[command(
        after_help = "Examples:\n  bartizan policy check -f policies/ -f manifests/\n  \
                      kustomize build overlays/prod | bartizan policy check -f policies/\n  \
                      bartizan policy check -f policies/ -f manifests/ --format sarif > check.sarif\n  \
                      bartizan policy check -f everything.yaml --format json --deny-only\n\n\
                      Exit codes: 0 nothing is denied; 1 something is denied; 2 something could \
                      not be judged."
    )]
    Check(Check),
    /// Print the objects that ExpansionTemplates and mutators make of objects
    #[command(
        after_help = "Examples:\n  bartizan policy expand -f expansion/ -f deployment.yaml\n  \
                      bartizan policy expand -f expansion/ -f deployment.yaml --format json"
    )]
    Expand(Expand),
    /// Measure what judging objects costs, as `gator bench` does
    #[command(
        after_help = "Examples:\n  bartizan policy bench -f policies/ -f manifests/\n  \
                      bartizan policy bench -f policies/ -f manifests/ --engine rego --save base.json\n  \
                      bartizan policy bench -f policies/ -f manifests/ --compare base.json --min-threshold 1ms\n\n\
                      Exit codes: 0 measured, and no slower than what it is compared with; 1 slower."
    )]
    Bench(Bench),
}

#[derive(Args)]
pub struct Test {
    /// Suites; of a folder the suites in it, of `FOLDER/...` those below it too
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<String>,
    /// Only tests and cases whose name matches: PATTERN, or TEST//CASE
    #[arg(long, short, value_name = "PATTERN", default_value = "")]
    pub run: String,
    /// Name every test and case
    #[arg(long, short)]
    pub verbose: bool,
    /// How to show the result
    #[arg(long, value_enum, default_value_t)]
    pub format: TestFormat,
    /// The language of templates that have both
    #[arg(long, value_enum, default_value_t = Engine::Rego, value_name = "LANGUAGE")]
    pub engine: Engine,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum TestFormat {
    /// Lines, as `gator verify` prints them
    #[default]
    Table,
    Json,
    Junit,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    Cel,
    Rego,
}

#[derive(Args)]
pub struct Files {
    /// A file or folder of objects; `-` reads standard input, and so does a pipe; repeatable
    #[arg(long = "filename", short = 'f', value_name = "PATH")]
    pub files: Vec<PathBuf>,
}

#[derive(Args)]
pub struct Check {
    #[command(flatten)]
    pub input: Files,
    /// How to show the result
    #[arg(
        long,
        short = 'o',
        visible_alias = "output",
        value_enum,
        default_value_t
    )]
    pub format: CheckFormat,
    /// Show only what is denied
    #[arg(long)]
    pub deny_only: bool,
    /// Ask the Providers among the objects for the external data of mutators; without this
    /// such data is an error
    #[arg(long)]
    pub providers: bool,
    /// The language of templates that have both
    #[arg(long, value_enum, default_value_t = Engine::Rego, value_name = "LANGUAGE")]
    pub engine: Engine,
    /// Fetch digests and signatures of images from registries, for the ClusterImagePolicies among
    /// the objects; without this and --layout what needs them cannot be judged
    #[arg(long)]
    pub registries: bool,
    /// An OCI layout folder that has the images and their signatures, in place of registries
    #[arg(long, value_name = "DIR", conflicts_with = "registries")]
    pub layout: Option<PathBuf>,
    /// Seconds that fetching for one object may take
    #[arg(long, default_value_t = 30, value_name = "N", hide_short_help = true)]
    pub image_timeout: u64,
    #[command(flatten)]
    pub signatures: Signatures,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum CheckFormat {
    /// A line for each violation
    #[default]
    Table,
    Json,
    Yaml,
    Sarif,
    Junit,
    /// PolicyReport and ClusterPolicyReport objects of wgpolicyk8s.io/v1alpha2, as YAML
    #[value(name = "policyreport")]
    PolicyReport,
}

#[derive(Args)]
pub struct Expand {
    #[command(flatten)]
    pub input: Files,
    /// Ask the Providers among the objects for the external data of mutators; without this
    /// such data is an error
    #[arg(long)]
    pub providers: bool,
    /// How to print the objects
    #[arg(long, value_enum, default_value_t)]
    pub format: ExpandFormat,
    /// Where to write them; default: standard output
    #[arg(long, short = 'o', visible_alias = "outputfile", value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ExpandFormat {
    #[default]
    Yaml,
    Json,
}

#[derive(Args)]
pub struct Bench {
    #[command(flatten)]
    pub input: Files,
    /// Which engine is measured
    #[arg(long, short, value_enum, default_value_t = BenchEngine::All)]
    pub engine: BenchEngine,
    /// How often every object is judged; a p99 wants 1000
    #[arg(long, short = 'n', default_value_t = 1000, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub iterations: u32,
    /// How often before that
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub warmup: u32,
    /// Threads that judge at once
    #[arg(long, short, default_value_t = 1, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=256))]
    pub concurrency: u32,
    /// How to show the result
    #[arg(
        long,
        short = 'o',
        visible_alias = "output",
        value_enum,
        default_value_t
    )]
    pub format: BenchFormat,
    /// Write the result as JSON, to compare with later
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Compare with a result that was saved
    #[arg(long, value_name = "FILE")]
    pub compare: Option<PathBuf>,
    /// How much slower is too slow, in percent
    #[arg(long, default_value_t = 10.0, value_name = "PERCENT")]
    pub threshold: f64,
    /// What is less than this is not slower, such as 1ms
    #[arg(long, default_value = "0ms", value_name = "TIME", value_parser = duration)]
    pub min_threshold: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchEngine {
    Rego,
    Cel,
    All,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum BenchFormat {
    #[default]
    Table,
    Json,
    Yaml,
}

/// A number with ns, us, ms or s.
fn duration(text: &str) -> Result<Duration, String> {
    let at = text.find(|c: char| !(c.is_ascii_digit() || c == '.'));
    let (number, unit) = text.split_at(at.unwrap_or(text.len()));
    let scale = match unit {
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        _ => return Err("a time has a unit: ns, us, ms or s".into()),
    };
    let number: f64 = number.parse().map_err(|_| "no number before the unit")?;
    Duration::try_from_secs_f64(number * scale).map_err(|e| e.to_string())
}
