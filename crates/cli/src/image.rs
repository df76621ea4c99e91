//! `bartizan image`: signatures and attestations of container images.

pub mod arguments;
pub mod blobs;
pub mod judge;
pub mod layout;
pub mod registry;

use crate::arguments::Output;
use crate::{Verdict, files, show};
use anyhow::{Context, Result, bail, ensure};
use bartizan_model::Outcome;
use bartizan_policy::{Failure, Object};
use bartizan_signature::{Judged, Subject};
use clap::{Args, Subcommand};
use judge::Judge;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Subcommand)]
pub enum Image {
    /// Verify who signed an image, or what is attested of it
    #[command(after_help = "Examples:\n  \
                      bartizan image verify ghcr.io/me/app:v1 --key cosign.pub --insecure-ignore-tlog\n  \
                      bartizan image verify ghcr.io/me/app@sha256:… --trusted-root trusted_root.json \\\n    \
                      --certificate-identity me@example.org --certificate-oidc-issuer https://accounts.google.com\n  \
                      bartizan image verify app:v1 --layout ./app --policy policies/ --format json\n\n\
                      Exit codes: 0 every policy is satisfied; 1 one is not; 2 it could not be told.")]
    Verify(Box<Verify>),
}

#[derive(Args)]
pub struct Verify {
    /// The image
    pub image: String,
    /// Public key, PEM, that must have signed
    #[arg(long, value_name = "FILE", conflicts_with = "certificate_identity")]
    pub key: Option<PathBuf>,
    /// Subject of the certificate that must have signed
    #[arg(long, value_name = "TEXT", requires = "certificate_oidc_issuer")]
    pub certificate_identity: Option<String>,
    /// Issuer of OpenID Connect of that certificate
    #[arg(long, value_name = "URL", requires = "certificate_identity")]
    pub certificate_oidc_issuer: Option<String>,
    /// Attestation that must be there, by predicate type or cosign's short name; repeatable
    #[arg(long, value_name = "TYPE")]
    pub attestation: Vec<String>,
    /// ClusterImagePolicy and TrustRoot objects; a file or folder, repeatable
    #[arg(long, value_name = "PATH", conflicts_with_all = ["key", "certificate_identity"])]
    pub policy: Vec<PathBuf>,
    /// Do not ask that a signature by a key stands in a transparency log
    #[arg(long)]
    pub insecure_ignore_tlog: bool,
    /// An OCI layout folder in place of a registry
    #[arg(long, value_name = "DIR")]
    pub layout: Option<PathBuf>,
    /// Seconds that fetching may take
    #[arg(long, default_value_t = 60, value_name = "N")]
    pub timeout: u64,
    /// How to show the result
    #[arg(long, value_enum, default_value_t)]
    pub format: Output,
    #[command(flatten)]
    pub signatures: arguments::Signatures,
}

pub fn run(command: &Image) -> Result<Verdict> {
    match command {
        Image::Verify(options) => verify(options),
    }
}

/// All objects of all files.
fn objects(paths: &[PathBuf]) -> Result<Vec<Object>> {
    let mut all = Vec::new();
    for path in files::manifests(paths)? {
        let bytes =
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let read = bartizan_policy::check::read(&path.to_string_lossy(), &bytes, &mut Vec::new());
        all.extend(read.map_err(anyhow::Error::msg)?);
    }
    Ok(all)
}

/// The policy that the options say.
fn asked(options: &Verify) -> Result<Value> {
    let mut authority = match (&options.key, &options.certificate_identity) {
        (Some(path), _) => {
            let pem = std::fs::read_to_string(path);
            let pem = pem.with_context(|| format!("cannot read {}", path.display()))?;
            match options.insecure_ignore_tlog {
                true => json!({"key": {"data": pem}}),
                false => json!({"key": {"data": pem}, "ctlog": {}}),
            }
        }
        (None, Some(subject)) => json!({"keyless": {
            "url": "https://fulcio.sigstore.dev",
            "identities": [{"subject": subject, "issuer": options.certificate_oidc_issuer}]
        }}),
        (None, None) => {
            bail!("say who must have signed: --key, --certificate-identity or --policy")
        }
    };
    let attested = options
        .attestation
        .iter()
        .map(|kind| json!({"name": kind, "predicateType": kind}));
    if let Some(map) = authority.as_object_mut() {
        map.insert("name".into(), "signer".into());
        map.insert("attestations".into(), attested.collect());
    }
    Ok(json!({
        "apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy",
        "metadata": {"name": "command-line"},
        "spec": {"images": [{"glob": "**"}], "authorities": [authority]}
    }))
}

fn verify(options: &Verify) -> Result<Verdict> {
    let objects = match options.policy.is_empty() {
        false => objects(&options.policy)?,
        true => {
            let text = asked(options)?.to_string();
            let read =
                bartizan_policy::check::read("command-line.json", text.as_bytes(), &mut Vec::new());
            read.map_err(anyhow::Error::msg)?
        }
    };
    let signatures = &options.signatures;
    let trust = signatures.trust(signatures.root()?.as_deref())?;
    let source = signatures.source(options.layout.as_ref())?;
    let (judge, said) = Judge::of(&objects, trust, source, Failure::Closed)?;
    ensure!(
        !judge.is_empty(),
        "there is no ClusterImagePolicy among the objects"
    );
    for line in said {
        show::remark(&line);
    }
    let none = Value::Null;
    let subject = Subject {
        image: &options.image,
        group: "",
        version: "",
        resource: "",
        object: &none,
    };
    let judged = judge.ask(&subject, Duration::from_secs(options.timeout));
    match options.format {
        Output::Json => show::line(&serde_json::to_string_pretty(&json!({
            "image": options.image,
            "digest": judged.digest,
            "policies": judged.verdicts,
        }))?)?,
        Output::Table => show::bytes(table(&options.image, &judged).as_bytes())?,
    }
    ensure!(!judged.verdicts.is_empty(), "no policy looks at this image");
    let any = |word: &str| judged.verdicts.iter().any(|v| v.outcome.word() == word);
    match (any("fail"), any("unknown")) {
        (true, _) => Ok(Verdict::Bad),
        (false, true) => bail!("it could not be told whether the image is signed"),
        (false, false) => Ok(Verdict::Good),
    }
}

fn table(image: &str, judged: &Judged) -> String {
    let digest = judged
        .digest
        .as_ref()
        .map_or("unknown digest", |d| d.as_str());
    let mut out = format!("{image}\n{digest}\n");
    for verdict in &judged.verdicts {
        let mark = show::mark(matches!(verdict.outcome, Outcome::Pass));
        out.push_str(&format!(
            "{mark} {}: {}\n",
            verdict.policy,
            verdict.outcome.word()
        ));
        for signed in &verdict.signed {
            let what = signed.predicate_type.as_deref().unwrap_or("signature");
            let when = signed
                .times
                .first()
                .map_or_else(|| "at an unknown time".into(), |t| format!("at {t}"));
            let log = if signed.logged { ", in the log" } else { "" };
            out.push_str(&format!(
                "    {what} by {} {when}{log} ({})\n",
                signed.who, signed.origin
            ));
        }
        for reason in &verdict.reasons {
            out.push_str(&format!("    {reason}\n"));
        }
    }
    out
}
