//! `bartizan cve bundle`: feeds carried across an air gap, signed with the ledger's key.

use super::arguments::{Bundle, Sources, Through};
use super::{apply_all, open_store, read_all, runtime, setup, verdict};
use crate::arguments::{Output, Place};
use crate::serve::place_config;
use crate::verify::{now, read};
use crate::{Verdict, show};
use anyhow::{Context, Result, anyhow};
use bartizan_ledger::jwks::Jwks;
use bartizan_ledger::note::SignedNote;
use bartizan_model::TenantId;
use bartizan_server::state::SystemRandom;
use bartizan_server::work::keys::Keys;
use bartizan_stream::bundle::{Checked, Manifest, check, write};
use bartizan_stream::{Embedded, Settings};
use serde_json::json;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The group by which a bundle's own stream is read.
const READER: &str = "bundle";

/// Runs a command about bundles.
pub fn run(command: &Bundle) -> Result<Verdict> {
    match command {
        Bundle::Create {
            file,
            sources,
            place,
            format,
        } => create(file, sources, place, *format),
        Bundle::Verify { file, jwks, format } => {
            let checked = checked(file, jwks)?;
            told(file, checked.manifest(), *format)?;
            Ok(Verdict::Good)
        }
        Bundle::Load {
            file,
            jwks,
            through,
            place,
            format,
        } => load(file, jwks, through, place, *format),
    }
}

/// Reads all sources whole, whatever was read before, through a stream of its own.
fn create(file: &Path, sources: &Sources, place: &Place, format: Output) -> Result<Verdict> {
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = runtime(&stop)?;
    let store = open_store(&runtime, place)?;
    let data = place.data.join("cve");
    std::fs::create_dir_all(&data)?;
    let folder = tempfile::tempdir_in(&data)?;
    let inner = folder.path().join("stream");
    let stream = Arc::new(Embedded::open(&inner, &Settings::default())?);
    let config = setup::through(sources, stream.clone(), folder.path())?;
    let summaries = read_all(&config, &stop)?;
    for summary in &summaries {
        if let Some(error) = &summary.error {
            anyhow::bail!(
                "{}: {error}; an incomplete bundle is not written",
                summary.source
            );
        }
    }
    if stop.load(Ordering::Relaxed) {
        anyhow::bail!("it was interrupted; an incomplete bundle is not written");
    }
    let keys = runtime.block_on(async {
        let server = place_config(place)?;
        let keys = Keys::open(&server, &store, now(), &SystemRandom).await?;
        let origin = keys
            .ensure_log_key(&TenantId::default_tenant(), now())
            .await?;
        anyhow::Ok((keys.ring(), origin))
    });
    let (ring, origin) = keys.context("the signing keys cannot be opened")?;
    let signer = ring.log_signer(&origin)?;
    let sign = |text: &str| {
        let note = signer.sign(text).map_err(|e| e.to_string())?;
        Ok(note.to_string().into_bytes())
    };
    let names = summaries.iter().map(|s| s.source.clone()).collect();
    let beside = file.with_extension("new");
    let out =
        File::create(&beside).with_context(|| format!("cannot write {}", beside.display()))?;
    let manifest = write(stream.as_ref(), READER, names, now(), sign, &out)?;
    out.sync_all()?;
    std::fs::rename(&beside, file)?;
    runtime.block_on(store.close());
    told(file, &manifest, format)?;
    let dead: u64 = summaries.iter().map(|summary| summary.dead).sum();
    if dead > 0 {
        show::remark(&format!(
            "{dead} records could not be read and are not in the bundle"
        ));
    }
    Ok(Verdict::Good)
}

fn checked(file: &Path, jwks: &Path) -> Result<Checked<BufReader<File>>> {
    let keys =
        Jwks::parse(&read(jwks)?).with_context(|| format!("cannot use {}", jwks.display()))?;
    let from = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let verify = |bytes: &[u8]| {
        let note = SignedNote::parse(bytes).map_err(|e| e.to_string())?;
        let believed = keys
            .log_origins()
            .into_iter()
            .flat_map(|origin| keys.log_keys(origin))
            .any(|key| note.verify_only(&key).is_ok());
        if believed {
            Ok(note.text)
        } else {
            Err("none of the given keys signed it".to_owned())
        }
    };
    Ok(check(BufReader::new(from), verify)?)
}

fn load(
    file: &Path,
    jwks: &Path,
    through: &Through,
    place: &Place,
    format: Output,
) -> Result<Verdict> {
    let mut checked = checked(file, jwks)?;
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = runtime(&stop)?;
    let store = open_store(&runtime, place)?;
    let stream = setup::stream(through, &place.data)?;
    let applied = std::thread::scope(|scope| {
        let into = stream.as_ref();
        let producing = scope.spawn(move || (checked.produce(into), checked));
        let ended = || producing.is_finished();
        let applied = apply_all(into, &store, &runtime, &stop, &ended);
        let (produced, checked) = producing
            .join()
            .map_err(|_| anyhow!("the reading thread ended; this is a bug"))?;
        produced?;
        anyhow::Ok((applied?, checked))
    });
    let (applied, checked) = applied?;
    runtime.block_on(store.close());
    told(file, checked.manifest(), format)?;
    if format == Output::Json {
        show::line(&serde_json::to_string(&json!({"applied": applied}))?)?;
    } else {
        show::line(&format!(
            "applied: {} new, {} changed, {} unchanged, {} older than what is held, {} refused",
            applied.inserted, applied.changed, applied.unchanged, applied.stale, applied.dead
        ))?;
    }
    Ok(verdict(&[], &stop))
}

fn told(file: &Path, manifest: &Manifest, format: Output) -> Result<()> {
    if format == Output::Json {
        return show::line(&serde_json::to_string(
            &json!({"file": file, "bundle": manifest}),
        )?);
    }
    show::line(&format!(
        "{} {}: {} records of {}, made {}",
        show::mark(true),
        file.display(),
        manifest.records,
        manifest.sources.join(", "),
        manifest.created
    ))
}
