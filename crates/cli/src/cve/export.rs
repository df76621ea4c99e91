//! `bartizan cve osv` and `bartizan cve vex`: what is known, in the forms of other tools.

use super::known::Source;
use crate::arguments::{Access, Place};
use crate::client::{Client, segment};
use crate::{Verdict, show};
use anyhow::Result;
use clap::{Args, ValueEnum};
use serde_json::Value;
use std::path::PathBuf;

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    bartizan cve osv CVE-2024-3094\n  \
    bartizan cve osv DSA-5649-1 --server https://bartizan.example.com\n\n\
    The answer has the shape of a query of OSV: the records stand under `vulns`.\n\
    Exit codes: 0 found; 1 no advisory is about it; 2 it could not be looked up.")]
pub struct Osv {
    /// CVE, GHSA, DSA, …
    id: String,
    #[command(flatten)]
    place: Place,
    /// Ask this server and not a data folder
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    access: Access,
}

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    bartizan cve vex repository:shop//Image/ghcr.io/me/shop:v1\n  \
    bartizan cve vex host:web1//Host//web1 --format cyclonedx -o web1.vex.json\n  \
    bartizan cve vex host:web1//Host//web1 --format trivy --server https://bartizan.example.com\n\n\
    Of a target without a server: `bartizan scan fs|image|sbom TARGET --format openvex`.\n\
    Exit codes: 0 written; 2 the server holds no such inventory, or could not be asked.")]
pub struct VexOf {
    /// The uid of an asset with an inventory
    asset: String,
    #[arg(long, value_enum, default_value_t)]
    format: Form,
    /// Where to write it; default: standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Address of the server
    #[arg(long, env = "BARTIZAN_SERVER", default_value = "http://127.0.0.1:8000")]
    server: String,
    #[command(flatten)]
    access: Access,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Form {
    /// OpenVEX 0.2.0
    #[default]
    Openvex,
    /// CycloneDX 1.6 VEX
    Cyclonedx,
    /// The shape of `trivy --format json`
    Trivy,
}

/// OSV records of a vulnerability.
pub fn osv(options: &Osv) -> Result<Verdict> {
    let source = Source::new(&options.place, options.server.as_deref(), &options.access);
    let Some(answer) = source.open()?.osv(&options.id)? else {
        let id: String = options.id.chars().take(128).collect();
        show::remark(&format!("no advisory that is held is about {id:?}"));
        return Ok(Verdict::Bad);
    };
    show::line(&serde_json::to_string_pretty(&answer)?)?;
    Ok(Verdict::Good)
}

/// What a server says of an asset.
pub fn vex(options: &VexOf) -> Result<Verdict> {
    let client = Client::new(&options.server, &options.access)?;
    let format = match options.format {
        Form::Openvex => "openvex",
        Form::Cyclonedx => "cyclonedx",
        Form::Trivy => "trivy",
    };
    let asset = segment(&options.asset);
    let path = format!("/vulnerabilities/export?asset={asset}&format={format}");
    let answer: Value = client.get(&path)?;
    let mut bytes = serde_json::to_vec_pretty(&answer)?;
    bytes.push(b'\n');
    show::to(options.output.as_deref(), &bytes)?;
    Ok(Verdict::Good)
}
