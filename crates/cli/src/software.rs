//! `bartizan scan image`, `fs` and `sbom`: an inventory against the advisories that are held here.

pub mod arguments;

use crate::client::{Client, text};
use crate::scan::{GENERATOR, progress_bar, render, snapshot, verdict};
use crate::serve::{exists, place_config};
use crate::verify::now;
use crate::{Verdict, files, show};
use anyhow::{Context, Result, bail};
use arguments::{Form, Judging, ScanFs, ScanImage, ScanSbom};
use bartizan_inventory::{Inventory, Target, TargetKind, sbom};
use bartizan_model::report::Report;
use bartizan_model::{
    Asset, AssetUid, Component, Digest, Observation, Scan, ScanId, Scope, ScopeKind, Timestamp,
};
use bartizan_report::software::{self, Software};
use bartizan_report::terminal;
use bartizan_server::matching::{Kept, export, judge, results};
use bartizan_server::store_config;
use bartizan_store::Store;
use bartizan_store::vulnerabilities::RecordKind;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Components that are judged between two steps of the progress bar.
const STEP: usize = 1_000;

/// What is held against an inventory, and what comes out.
struct Judged {
    report: Report,
    software: Software,
}

/// Scans an image.
pub fn run_image(options: &ScanImage) -> Result<Verdict> {
    let inventory = || crate::sbom::image_of(&options.target, &options.looking);
    run(&options.judging, &options.target, inventory)
}

/// Scans a folder or a machine.
pub fn run_fs(options: &ScanFs) -> Result<Verdict> {
    let inventory = || crate::sbom::folder_of(&options.path);
    run(&options.judging, &options.path, inventory)
}

/// Scans a bill of materials.
pub fn run_sbom(options: &ScanSbom) -> Result<Verdict> {
    let path = &options.path;
    run(&options.judging, &path.to_string_lossy(), || {
        let bytes = files::read_at_most(path, sbom::MOST)
            .context("the bill of materials cannot be read")?;
        sbom::read(&bytes)
            .with_context(|| format!("{} is no bill of materials that is read", path.display()))
    })
}

/// Takes an inventory, judges it, shows what comes out, and hands it in where that is wanted.
fn run(
    options: &Judging,
    target: &str,
    inventory: impl FnOnce() -> Result<Inventory>,
) -> Result<Verdict> {
    // Before the work: a wrong token, a wrong scope or no advisories should not cost a scan.
    let client = match &options.remote.server {
        Some(server) => Some(Client::new(server, &options.remote.access)?),
        None => None,
    };
    let given = options.scope.as_deref().map(Scope::parse).transpose()?;
    let config = config(options)?;
    let started = now();
    let inventory = inventory()?;
    let scope = match given {
        Some(scope) => scope,
        None => scope(&inventory.target, target)?,
    };
    // By the name that the image came under, not by the one that it is given.
    let about = &inventory.target;
    let purl = export::purl(kind(about), &about.name, about.digest.as_ref());
    let inventory = placed(inventory, options.name.as_deref(), &scope)?;
    let mut judged = judged(&config, &inventory, &scope, started)?;
    judged.software.purl = purl;
    let snapshot = snapshot(&judged.report, &[])?;
    let rendered = match options.format.of_report() {
        Some(format) => render(&snapshot, &judged.report, format, options.output.is_none())?,
        None => own(options, &judged.software)?,
    };
    show::to(options.output.as_deref(), &rendered)?;
    if let Some(client) = client {
        hand_in(&client, &inventory, &scope)?;
    }
    match verdict(&snapshot, options.fail_on) {
        Verdict::Good if options.fail_on_unknown && !snapshot.unknown.is_empty() => {
            Ok(Verdict::Bad)
        }
        verdict => Ok(verdict),
    }
}

/// The forms that packages alone have.
fn own(options: &Judging, software: &Software) -> Result<Vec<u8>> {
    let write = match options.format {
        Form::Trivy => software::trivy,
        Form::Openvex => software::openvex,
        Form::CyclonedxVex => software::cyclonedx_vex,
        _ => return Ok(table(software, options.output.is_none())),
    };
    let mut bytes = serde_json::to_vec_pretty(&write(software))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn table(software: &Software, to_terminal: bool) -> Vec<u8> {
    let options = terminal::Options {
        colour: to_terminal && show::colour(),
        width: show::width(),
        ..terminal::Options::default()
    };
    software::table(software, &options).into_bytes()
}

/// By the target's own name: a machine's, a folder's, an image's without registry and tag.
fn scope(about: &Target, target: &str) -> Result<Scope> {
    let file = |path: &str| {
        let path = Path::new(path);
        let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let name = match whole.is_dir() {
            true => whole.file_name(),
            false => whole.file_stem(),
        };
        name.map(|name| name.to_string_lossy().into_owned())
    };
    let (kind, name) = match about.kind {
        TargetKind::Host => (ScopeKind::Host, Some(about.name.clone())),
        TargetKind::Folder | TargetKind::Sbom => (ScopeKind::Repository, file(target)),
        TargetKind::Image => (ScopeKind::Repository, image_name(target, file)),
    };
    let scope = Scope {
        kind,
        name: name.unwrap_or_else(|| "software".to_owned()),
    };
    scope
        .id()
        .context("the target's name cannot be a scope; give --scope repository:NAME")?;
    Ok(scope)
}

/// `app` of `ghcr.io/me/app:v1`, `shop` of `docker-archive:build/shop.tar:v1`.
fn image_name(target: &str, file: impl Fn(&str) -> Option<String>) -> Option<String> {
    let saved = ["oci:", "oci-archive:", "docker-archive:"];
    let place = saved.iter().find_map(|scheme| target.strip_prefix(scheme));
    if let Some(place) = place.or_else(|| Path::new(target).exists().then_some(target)) {
        return file(crate::sbom::place_and_name(place).0.to_str()?);
    }
    let name = target.strip_prefix("registry:").unwrap_or(target);
    let name = name.split('@').next()?.rsplit('/').next()?;
    let name = name.split(':').next()?;
    (!name.is_empty()).then(|| name.to_owned())
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
fn placed(inventory: Inventory, name: Option<&str>, scope: &Scope) -> Result<Inventory> {
    let name = name.unwrap_or(&inventory.target.name).to_owned();
    let target = Target {
        uid: AssetUid::kubernetes(&scope.id()?, "", kind(&inventory.target), "", &name)?,
        name,
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
    inventory.unread.iter().map(ToString::to_string).collect()
}

/// Where the advisories are.
fn config(options: &Judging) -> Result<bartizan_store::Config> {
    let config = store_config(&place_config(&options.place)?);
    if !exists(&config) {
        bail!(
            "there are no advisories at {}: fetch them with `bartizan cve sync`, or name their \
             place with --data",
            config.database
        );
    }
    Ok(config)
}

/// What is said of each component, and the ecosystems of which nothing could be said.
type Said = (Vec<Vec<Kept>>, BTreeMap<String, usize>);

/// Holds components against the advisories.
fn held(config: &bartizan_store::Config, components: &[Component]) -> Result<Said> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let bar = progress_bar();
    bar.set_length(components.len() as u64);
    bar.set_message(format!("of {} packages", components.len()));
    bar.enable_steady_tick(Duration::from_millis(200));
    let said = runtime.block_on(async {
        // A server that runs on the same folder is not disturbed: reference data is only read.
        let store = Store::open_to_read(config)
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
        let mut kept = Vec::with_capacity(components.len());
        for some in components.chunks(STEP) {
            kept.extend(judge::judge(&store, some).await?);
            bar.inc(some.len() as u64);
        }
        let uncovered = judge::uncovered(&store, components).await?;
        store.close().await;
        anyhow::Ok((kept, uncovered))
    });
    bar.finish_and_clear();
    said
}

fn judged(
    config: &bartizan_store::Config,
    inventory: &Inventory,
    scope: &Scope,
    started: Timestamp,
) -> Result<Judged> {
    let (kept, uncovered) = held(config, &inventory.components)?;
    let uid = &inventory.target.uid;
    let unread = unread(inventory);
    let (mut checks, mut found) = results::of_asset(uid, &inventory.components, &kept)?;
    for (check, result) in [
        results::whole(uid, &unread)?,
        results::covered(uid, &uncovered)?,
    ] {
        checks.push(check);
        found.push(result);
    }
    let body = json!({
        "inventory": kind(&inventory.target),
        "components": inventory.components.len(),
        "unread": inventory.unread.len(),
    });
    let report = Report {
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
    };
    let software = Software {
        uid: uid.to_string(),
        purl: None,
        name: inventory.target.name.clone(),
        kind: kind(&inventory.target).to_owned(),
        generator: GENERATOR.to_owned(),
        at: report.scan.finished,
        packages: inventory.components.len(),
        rows: export::rows(&inventory.components, &kept),
        // First what many packages are in: of a long list the end is cut.
        unread: results::uncovered(&uncovered)
            .into_iter()
            .chain(unread)
            .collect(),
    };
    Ok(Judged { report, software })
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
