//! `bartizan scan image`, `fs` and `sbom`: an inventory against the advisories that are held here.

use crate::arguments::{FailOn, Format, OptionalRemote, Place};
use crate::client::{Client, text};
use crate::scan::{progress_bar, render, snapshot, verdict};
use crate::serve::place_config;
use crate::verify::now;
use crate::{Verdict, show};
use anyhow::{Context, Result, bail};
use bartizan_inventory::{Inventory, Target, TargetKind, sbom};
use bartizan_model::report::Report;
use bartizan_model::{
    Asset, AssetUid, Digest, Observation, Scan, ScanId, Scope, ScopeKind, Timestamp,
};
use bartizan_server::matching::{judge, results};
use bartizan_server::store_config;
use bartizan_store::Store;
use bartizan_store::vulnerabilities::RecordKind;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What `scan image`, `scan fs` and `scan sbom` take.
#[derive(clap::Args)]
pub struct ScanSoftware {
    /// What to look at
    #[arg(value_name = "TARGET")]
    pub target: PathBuf,
    /// Where the advisories are
    #[command(flatten)]
    pub place: Place,
    /// What it belongs to, `cluster:NAME`, `host:NAME` or `repository:NAME`; default: by its name
    #[arg(long, value_name = "KIND:NAME")]
    pub scope: Option<String>,
    /// How to show the result
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Where to write it; default: standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Exit with 1 when a finding is at least this severe
    #[arg(long, value_enum, default_value_t = FailOn::High)]
    pub fail_on: FailOn,
    /// Hand the inventory to a server, which derives findings from it from then on
    #[command(flatten)]
    pub remote: OptionalRemote,
}

/// Scans a bill of materials.
pub fn run_sbom(options: &ScanSoftware) -> Result<Verdict> {
    let path = &options.target;
    let bytes = std::fs::read(path)
        .with_context(|| format!("cannot read the bill of materials {}", path.display()))?;
    let inventory = sbom::read(&bytes)
        .with_context(|| format!("{} is no bill of materials that is read", path.display()))?;
    run(options, inventory)
}

/// Judges an inventory, shows what comes out, and hands the inventory in where that is wanted.
pub fn run(options: &ScanSoftware, inventory: Inventory) -> Result<Verdict> {
    // Before the work: a wrong token should not cost a scan.
    let client = match &options.remote.server {
        Some(server) => Some(Client::new(server, &options.remote.access)?),
        None => None,
    };
    let started = now();
    let scope = scope(options)?;
    let inventory = placed(inventory, &scope)?;
    let report = report(options, &inventory, &scope, started)?;
    let snapshot = snapshot(&report, &[])?;
    let rendered = render(&snapshot, &report, options.format, options.output.is_none())?;
    show::to(options.output.as_deref(), &rendered)?;
    if let Some(client) = client {
        hand_in(&client, &inventory, &scope)?;
    }
    Ok(verdict(&snapshot, options.fail_on))
}

fn scope(options: &ScanSoftware) -> Result<Scope> {
    if let Some(text) = &options.scope {
        return Ok(Scope::parse(text)?);
    }
    let path = &options.target;
    let absolute = path.canonicalize().unwrap_or_else(|_| path.clone());
    let name = absolute.file_stem().map_or_else(
        || "software".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    );
    let scope = Scope {
        kind: ScopeKind::Repository,
        name,
    };
    scope
        .id()
        .context("the target's name cannot be a scope; give --scope repository:NAME")?;
    Ok(scope)
}

/// An asset's kind, as results name it.
fn kind(target: &Target) -> &'static str {
    match target.kind {
        TargetKind::Host => "Host",
        TargetKind::Folder => "Folder",
        TargetKind::Image => "Image",
        TargetKind::Sbom => "Sbom",
    }
}

/// The inventory as one of the scope's assets.
fn placed(inventory: Inventory, scope: &Scope) -> Result<Inventory> {
    let target = Target {
        uid: AssetUid::kubernetes(
            &scope.id()?,
            "",
            kind(&inventory.target),
            "",
            &inventory.target.name,
        )?,
        ..inventory.target.clone()
    };
    Ok(inventory.retarget(target))
}

fn asset(target: &Target) -> Asset {
    Asset {
        uid: target.uid.clone(),
        kind: kind(target).to_owned(),
        name: target.name.clone(),
        namespace: String::new(),
    }
}

fn unread(inventory: &Inventory) -> Vec<String> {
    inventory
        .unread
        .iter()
        .map(|u| format!("{}: {}", u.path, u.why))
        .collect()
}

fn report(
    options: &ScanSoftware,
    inventory: &Inventory,
    scope: &Scope,
    started: Timestamp,
) -> Result<Report> {
    let mut config = store_config(&place_config(&options.place)?);
    if config.database.starts_with("sqlite:") && !exists(&config.database) {
        bail!(
            "there are no advisories at {}: fetch them with `bartizan cve sync`, or name their \
             place with --data",
            config.database
        );
    }
    // A server that runs on the same folder is not disturbed: reference data is only read.
    config.data_folder = None;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let bar = progress_bar();
    bar.set_message(format!("{} components", inventory.components.len()));
    bar.enable_steady_tick(Duration::from_millis(200));
    let kept = runtime.block_on(async {
        let store = Store::open(&config, now())
            .await
            .context("the advisories cannot be opened")?;
        let known = store.vulnerabilities();
        // Nothing to hold components against would look like nothing found.
        if known.count(RecordKind::Advisory).await? == 0 {
            bail!("no advisories are held here: fetch them with `bartizan cve sync`");
        }
        for feed in known.feeds().await? {
            if feed.succeeded.is_none() {
                show::remark(&format!("the feed {} was never read whole", feed.name));
            }
        }
        let kept = judge::judge(&store, &inventory.components).await?;
        store.close().await;
        anyhow::Ok(kept)
    })?;
    bar.finish_and_clear();
    let uid = &inventory.target.uid;
    let (mut checks, mut found) = results::of_asset(uid, &inventory.components, &kept)?;
    let (check, whole) = results::whole(uid, &unread(inventory))?;
    checks.push(check);
    found.push(whole);
    let body = json!({
        "inventory": kind(&inventory.target),
        "components": inventory.components.len(),
        "unread": inventory.unread.len(),
    });
    Ok(Report {
        scan: Scan {
            id: ScanId::new(uuid::Uuid::now_v7().to_string())?,
            source: "bartizan/software".to_owned(),
            source_version: env!("CARGO_PKG_VERSION").to_owned(),
            scope: scope.clone(),
            complete: false,
            started,
            finished: now(),
            content: Vec::new(),
        },
        checks,
        observations: vec![Observation {
            asset: asset(&inventory.target),
            kind: "inventory".to_owned(),
            digest: Digest::of(body.to_string().as_bytes()),
            body,
            location: None,
        }],
        results: found,
    })
}

fn exists(database: &str) -> bool {
    Path::new(database.trim_start_matches("sqlite:")).is_file()
}

/// Hands the components in; the server derives the findings.
fn hand_in(client: &Client, inventory: &Inventory, scope: &Scope) -> Result<()> {
    let body = json!({
        "scope": scope.id()?.as_str(),
        "asset": asset(&inventory.target),
        "source": concat!("bartizan ", env!("CARGO_PKG_VERSION")),
        "components": inventory.components,
        "unread": unread(inventory),
    });
    let taken = client.post("/components", &body)?;
    let asset = text(&taken, "asset").context("the server answered without an asset")?;
    show::remark(&format!(
        "{} components of {asset} handed in",
        inventory.components.len()
    ));
    Ok(())
}
