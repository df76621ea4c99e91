//! Options of `bartizan scan image`, `fs` and `sbom`.

use crate::arguments::{FailOn, Format, OptionalRemote, Place};
use crate::sbom::Looking;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

const EXITS: &str = "Exit codes: 0 nothing as severe as --fail-on; 1 a finding that is, or with \
                     --fail-on-unknown anything that is unknown; 2 it could not be scanned.\n\
                     Advisories come from `bartizan cve sync`. What could not be read or compared, and packages \
                     of which no advisories are held, are unknown, not passed.";

#[derive(Args)]
#[command(after_help = format!("Targets:\n  \
    NAME[:TAG|@DIGEST]     an image in a registry; registry:NAME where a file has that name\n  \
    oci:DIR[:NAME]         the folder of an OCI layout\n  \
    oci-archive:FILE[:NAME], docker-archive:FILE[:NAME]\n  \
    PATH                   any of these on disk\n\nExamples:\n  \
    bartizan scan image ghcr.io/me/app:v1\n  \
    bartizan scan image docker-archive:shop.tar --fail-on critical\n  \
    bartizan scan image oci:build/layout --format sarif -o shop.sarif\n  \
    bartizan scan image ghcr.io/me/app:v1 --platform linux/arm64 --data /var/lib/bartizan\n  \
    bartizan scan image shop.tar --format openvex -o shop.vex.json\n  \
    bartizan scan image shop.tar --scope cluster:prod --server https://bartizan.example.com\n\n{EXITS}"))]
pub struct ScanImage {
    /// The image
    #[arg(value_name = "TARGET")]
    pub target: String,
    #[command(flatten)]
    pub judging: Judging,
    // Last: whatever follows its heading stands under it.
    #[command(flatten)]
    pub looking: Looking,
}

#[derive(Args)]
#[command(after_help = format!("Examples:\n  \
    bartizan scan fs .\n  \
    bartizan scan fs / --scope host:web1\n  \
    bartizan scan fs host:/mnt/web1 --format json\n  \
    bartizan scan fs services/shop --fail-on medium --fail-on-unknown\n  \
    bartizan scan fs . --format sarif -o shop.sarif\n  \
    bartizan scan fs . --format trivy -o shop.json\n\n{EXITS}"))]
pub struct ScanFs {
    /// A folder or a file; `/` is this machine, host:PATH a mounted one
    #[arg(value_name = "PATH")]
    pub path: String,
    #[command(flatten)]
    pub judging: Judging,
}

#[derive(Args)]
#[command(after_help = format!("Examples:\n  \
    bartizan scan sbom shop.cdx.json\n  \
    bartizan scan sbom shop.spdx.json --data /var/lib/bartizan --fail-on critical\n  \
    bartizan scan sbom shop.cdx.json --format sarif -o shop.sarif\n  \
    bartizan scan sbom shop.cdx.json --scope repository:shop --name web --server https://bartizan.example.com\n\n{EXITS}"))]
pub struct ScanSbom {
    /// The bill of materials
    #[arg(value_name = "FILE")]
    pub path: PathBuf,
    #[command(flatten)]
    pub judging: Judging,
}

/// What is done with an inventory.
#[derive(Args)]
pub struct Judging {
    /// Where the advisories are
    #[command(flatten)]
    pub place: Place,
    /// What it belongs to, `cluster:NAME`, `host:NAME` or `repository:NAME`; default: by its name
    #[arg(long, value_name = "KIND:NAME")]
    pub scope: Option<String>,
    /// What the target is called within its scope; default: its path, or the image's name. Give it
    /// where a server should take two folders or archives for one after the other
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// How to show the result
    #[arg(long, value_enum, default_value_t)]
    pub format: Form,
    /// Where to write it; default: standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Exit with 1 when a finding is at least this severe
    #[arg(long, value_enum, default_value_t = FailOn::High)]
    pub fail_on: FailOn,
    /// Exit with 1 when something could not be read or compared
    #[arg(long)]
    pub fail_on_unknown: bool,
    /// Hand the inventory to a server, which derives findings from it from then on
    #[command(flatten)]
    pub remote: OptionalRemote,
}

/// How to show it.
#[derive(Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Form {
    /// A table for people, a row a vulnerability and package
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
    /// The shape of `trivy --format json`
    Trivy,
    /// OpenVEX 0.2.0
    Openvex,
    /// CycloneDX 1.6 VEX
    #[value(name = "cyclonedx-vex")]
    CyclonedxVex,
}

impl Form {
    /// As a format of reports; none for those that packages alone have.
    pub fn of_report(self) -> Option<Format> {
        match self {
            Self::Table | Self::Trivy | Self::Openvex | Self::CyclonedxVex => None,
            Self::Json => Some(Format::Json),
            Self::Sarif => Some(Format::Sarif),
            Self::PolicyReport => Some(Format::PolicyReport),
            Self::Html => Some(Format::Html),
            Self::Report => Some(Format::Report),
        }
    }
}
