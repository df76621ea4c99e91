//! `bartizan sbom`: what software is somewhere, as a list for people and for other tools; and what
//! changed between two lists.

use crate::image::blobs::Remote;
use crate::image::registry::Registry;
use crate::{Verdict, show};
use anyhow::{Context, Result, bail};
use bartizan_inventory::image::{Platform, saved};
use bartizan_inventory::sbom::{self, Change, Diff, SbomError, Stamp};
use bartizan_inventory::{Inventory, Unread, folder, image};
use bartizan_model::Digest;
use bartizan_signature::Reference;
use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::io::{IsTerminal, Read, stderr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// What a target may be, for every command that takes one.
pub const TARGETS: &str = "Targets:\n  \
    PATH                   a folder, one file, or a bill of materials (CycloneDX, SPDX)\n  \
    /                      this machine; host:PATH a mounted one\n  \
    oci:DIR[:NAME]         the folder of an OCI layout\n  \
    oci-archive:FILE[:NAME], docker-archive:FILE[:NAME]\n  \
    NAME[:TAG|@DIGEST]     an image in a registry; registry:NAME where a file has that name";

#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = format!("{TARGETS}\n\nExamples:\n  \
        bartizan sbom .\n  \
        bartizan sbom / --format cyclonedx -o web1.cdx.json\n  \
        bartizan sbom docker-archive:shop.tar --format spdx -o shop.spdx.json\n  \
        bartizan sbom ghcr.io/me/app:v1 --platform linux/arm64 --format json\n  \
        bartizan sbom shop.spdx.json --format cyclonedx\n  \
        bartizan sbom diff shop-v1.cdx.json shop-v2.cdx.json\n\n\
        What cannot be read is told on standard error and in the list, and the rest goes on.\n\
        Exit codes: 0 the list is made; 1 with --fail-on-unread, something was unread; 2 there is no list.")
)]
pub struct Sbom {
    #[command(subcommand)]
    pub command: Option<Compare>,
    /// What to look at
    #[arg(required = true)]
    pub target: Option<String>,
    /// How to show the list
    #[arg(long, value_enum, default_value_t)]
    pub format: Form,
    /// Where to write it; default: standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Exit with 1 when something could not be read
    #[arg(long)]
    pub fail_on_unread: bool,
    #[command(flatten)]
    pub looking: Looking,
}

#[derive(Subcommand)]
pub enum Compare {
    /// What changed from one target to another: packages added, removed, in other versions
    #[command(after_help = "Examples:\n  \
        bartizan sbom diff shop-v1.cdx.json shop-v2.cdx.json\n  \
        bartizan sbom diff docker-archive:old.tar docker-archive:new.tar --format json\n\n\
        Exit codes: 0 the same packages; 1 others; 2 it could not be told.")]
    Diff {
        /// The earlier: a target as of `bartizan sbom`
        before: String,
        /// The later
        after: String,
        /// How to show the difference
        #[arg(long, value_enum, default_value_t)]
        format: crate::arguments::Output,
        #[command(flatten)]
        looking: Looking,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Form {
    /// For people
    #[default]
    Table,
    /// Bartizan's own, with all that is known
    Json,
    /// CycloneDX 1.6 as JSON
    Cyclonedx,
    /// SPDX 2.3 as JSON
    Spdx,
}

/// How images are had.
#[derive(Args, Clone)]
#[command(next_help_heading = "Images")]
pub struct Looking {
    /// Of an image for several platforms, which; default: Linux on what this machine is
    #[arg(long, value_name = "OS/ARCHITECTURE")]
    pub platform: Option<String>,
    /// A docker config.json with logins for registries
    #[arg(long, value_name = "FILE", env = "BARTIZAN_REGISTRY_CONFIG")]
    pub registry_config: Option<PathBuf>,
    /// Another host for a registry; repeatable
    #[arg(long, value_name = "REGISTRY=HOST")]
    pub registry_mirror: Vec<String>,
    /// Seconds that fetching an image may take
    #[arg(long, default_value_t = 600, value_name = "N")]
    pub timeout: u64,
}

impl Looking {
    fn platform(&self) -> Result<Option<Platform>> {
        Ok(self.platform.as_deref().map(str::parse).transpose()?)
    }
}

/// Runs the command.
pub fn run(options: &Sbom) -> Result<Verdict> {
    if let Some(Compare::Diff {
        before,
        after,
        format,
        looking,
    }) = &options.command
    {
        return compare(before, after, *format, looking);
    }
    let target = options.target.as_deref().context("there is no target")?;
    let inventory = inventory_of(target, &options.looking)?;
    tell_unread(&inventory.unread);
    let bytes = match options.format {
        Form::Table => table(&inventory).into_bytes(),
        Form::Json => {
            let mut bytes = serde_json::to_vec_pretty(&inventory)?;
            bytes.push(b'\n');
            bytes
        }
        Form::Cyclonedx => stamped(&inventory, sbom::cyclonedx::write)?,
        Form::Spdx => stamped(&inventory, sbom::spdx::write)?,
    };
    show::to(options.output.as_deref(), &bytes)?;
    match options.fail_on_unread && !inventory.unread.is_empty() {
        true => Ok(Verdict::Bad),
        false => Ok(Verdict::Good),
    }
}

type Write = fn(&Inventory, &Stamp<'_>) -> Vec<u8>;

/// With a time and an identity; by `SOURCE_DATE_EPOCH` the same inventory gives the same bytes.
fn stamped(inventory: &Inventory, write: Write) -> Result<Vec<u8>> {
    let version = env!("CARGO_PKG_VERSION");
    let (id, at) = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(seconds) => {
            let seconds = seconds.parse().context("SOURCE_DATE_EPOCH is no number")?;
            let at = jiff::Timestamp::from_second(seconds)?;
            let nil = Stamp {
                id: Uuid::nil(),
                at,
                version,
            };
            let digest = Digest::of(&write(inventory, &nil));
            let hex = digest.as_str().trim_start_matches("sha256:");
            let number = u128::from_str_radix(hex.get(..32).unwrap_or_default(), 16)?;
            let id = uuid::Builder::from_custom_bytes(number.to_be_bytes()).into_uuid();
            (id, at)
        }
        Err(_) => (Uuid::new_v4(), jiff::Timestamp::now()),
    };
    Ok(write(inventory, &Stamp { id, at, version }))
}

/// What is there: see [`TARGETS`]. What could not be read stands in it and is not yet told.
pub fn inventory_of(target: &str, how: &Looking) -> Result<Inventory> {
    let bar = spinner(target);
    let told = look(target, how);
    bar.finish_and_clear();
    told.with_context(|| format!("cannot look at {target}"))
}

/// An image alone: a path is one that was saved, never a folder of files.
pub fn image_of(target: &str, how: &Looking) -> Result<Inventory> {
    let bar = spinner(target);
    let path = Path::new(target);
    let told = match path.exists() {
        true => how
            .platform()
            .and_then(|platform| Ok(saved(path, None, platform.as_ref())?)),
        false => look(target, how),
    };
    bar.finish_and_clear();
    told.with_context(|| format!("cannot look at the image {target}"))
}

/// A folder, a file or a machine: never an image or a registry.
pub fn folder_of(target: &str) -> Result<Inventory> {
    let bar = spinner(target);
    let told = match target.strip_prefix("host:") {
        Some(path) => folder(Path::new(path), true),
        None => folder(Path::new(target), target == "/"),
    };
    bar.finish_and_clear();
    told.with_context(|| format!("cannot look at {target}"))
}

fn look(target: &str, how: &Looking) -> Result<Inventory> {
    let platform = how.platform()?;
    for scheme in ["oci:", "oci-archive:", "docker-archive:"] {
        if let Some(place) = target.strip_prefix(scheme) {
            let (path, name) = place_and_name(place);
            return Ok(saved(path, name, platform.as_ref())?);
        }
    }
    if let Some(path) = target.strip_prefix("host:") {
        return Ok(folder(Path::new(path), true)?);
    }
    if let Some(name) = target.strip_prefix("registry:") {
        return remote(name, how, platform.as_ref());
    }
    let path = Path::new(target);
    match std::fs::metadata(path) {
        Ok(_) if target == "/" => Ok(folder(path, true)?),
        Ok(about) if about.is_dir() => Ok(folder(path, false)?),
        Ok(about) => file(path, about.len()),
        Err(_) if target.starts_with(['.', '/']) => bail!("there is no such file or folder"),
        Err(_) => remote(target, how, platform.as_ref()),
    }
}

/// `DIR:NAME`, where no file has the whole name.
pub fn place_and_name(text: &str) -> (&Path, Option<&str>) {
    match text.rsplit_once(':') {
        Some((path, name)) if !Path::new(text).exists() => (Path::new(path), Some(name)),
        _ => (Path::new(text), None),
    }
}

/// A bill of materials, or whatever a file of a folder may be.
fn file(path: &Path, size: u64) -> Result<Inventory> {
    const MOST: u64 = 256 << 20;
    if size > MOST {
        return Ok(folder(path, false)?);
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(MOST)
        .read_to_end(&mut bytes)?;
    match sbom::read(&bytes) {
        Err(SbomError::Unknown) => Ok(folder(path, false)?),
        told => Ok(told?),
    }
}

fn remote(name: &str, how: &Looking, platform: Option<&Platform>) -> Result<Inventory> {
    let place = Reference::parse(name)?;
    let registry = Registry::new(how.registry_config.as_deref(), &how.registry_mirror)?;
    let until = Instant::now() + Duration::from_secs(how.timeout);
    let shown = place.to_string();
    let mut blobs = Remote::new(registry.until(until), place);
    Ok(image(&mut blobs, &shown, platform)?)
}

fn spinner(target: &str) -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} looking at {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.set_message(clean(target));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Tells on standard error what could not be read.
pub fn tell_unread(unread: &[Unread]) {
    const MOST: usize = 20;
    for one in unread.iter().take(MOST) {
        show::remark(&format!(
            "unread: {}: {}",
            clean(&one.path),
            clean(&one.why)
        ));
    }
    if unread.len() > MOST {
        show::remark(&format!(
            "unread: {} more; --format json tells all",
            unread.len() - MOST
        ));
    }
}

/// Names come from files of others: no control character reaches a terminal.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

fn table(inventory: &Inventory) -> String {
    let mut out = clean(&inventory.target.name);
    if let Some(os) = &inventory.os {
        let name = match os.pretty.as_str() {
            "" => format!("{} {}", os.id, os.version),
            pretty => pretty.to_owned(),
        };
        out.push_str(&format!(", {}", clean(&name)));
    }
    out.push('\n');
    let rows: Vec<[String; 4]> = inventory
        .components
        .iter()
        .map(|one| {
            let first = one
                .found
                .first()
                .map(|f| f.path.as_str())
                .unwrap_or_default();
            let more = match one.found.len() {
                0 | 1 => String::new(),
                n => format!(" and {} more", n - 1),
            };
            [
                clean(&one.name()),
                clean(&one.version().unwrap_or_default()),
                clean(&one.ecosystem.to_string()),
                clean(first) + &more,
            ]
        })
        .collect();
    let head = ["PACKAGE", "VERSION", "ECOSYSTEM", "FOUND"].map(str::to_owned);
    let wide = |at: usize| {
        let lengths = rows.iter().chain([&head]).filter_map(|row| row.get(at));
        lengths
            .map(|text| text.chars().count())
            .max()
            .unwrap_or(0)
            .min(60)
    };
    let (name, version, ecosystem) = (wide(0), wide(1), wide(2));
    if !rows.is_empty() {
        for [a, b, c, d] in [&head].into_iter().chain(&rows) {
            out.push_str(&format!("{a:name$}  {b:version$}  {c:ecosystem$}  {d}\n"));
        }
    }
    out.push_str(&format!(
        "{} packages, {} unread\n",
        rows.len(),
        inventory.unread.len()
    ));
    out
}

fn compare(
    before: &str,
    after: &str,
    format: crate::arguments::Output,
    how: &Looking,
) -> Result<Verdict> {
    let (was, is) = (inventory_of(before, how)?, inventory_of(after, how)?);
    tell_unread(&was.unread);
    tell_unread(&is.unread);
    let diff = sbom::diff(&was, &is);
    match format {
        crate::arguments::Output::Json => show::line(&serde_json::to_string_pretty(&json!({
            "added": diff.added,
            "removed": diff.removed,
            "changed": diff.changed,
            "unread": {"before": was.unread, "after": is.unread},
        }))?)?,
        crate::arguments::Output::Table => show::bytes(lines(&diff).as_bytes())?,
    }
    match diff.is_empty() {
        true => Ok(Verdict::Good),
        false => Ok(Verdict::Bad),
    }
}

fn lines(diff: &Diff) -> String {
    let mut out = String::new();
    let mut put = |mark: char, all: &[Change]| {
        for one in all {
            let versions = |all: &[String]| clean(&all.join(", "));
            let change = match mark {
                '+' => versions(&one.after),
                '-' => versions(&one.before),
                _ => format!("{} → {}", versions(&one.before), versions(&one.after)),
            };
            out.push_str(&format!("{mark} {} {change}\n", one.package));
        }
    };
    put('+', &diff.added);
    put('-', &diff.removed);
    put('~', &diff.changed);
    out.push_str(&format!(
        "{} added, {} removed, {} changed\n",
        diff.added.len(),
        diff.removed.len(),
        diff.changed.len()
    ));
    out
}
