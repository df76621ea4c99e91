//! `bartizan ledger verify`: the whole log recomputed from its files, without a server.

use crate::arguments::{Ledger, Output};
use crate::verify::read;
use crate::{Verdict, show};
use anyhow::{Context, Result, bail};
use bartizan_ledger::jwks::Jwks;
use bartizan_ledger::tiles::{ReadError, TileReader};
use bartizan_ledger::verify::{Fault, Options, Summary, verify_published};
use serde_json::json;
use std::io;
use std::path::{Path, PathBuf};

/// A ledger kept as files in a folder.
struct Folder(PathBuf);

impl TileReader for Folder {
    fn read(&self, path: &str) -> std::result::Result<Option<Vec<u8>>, ReadError> {
        match std::fs::read(self.0.join(path)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ReadError {
                path: path.to_owned(),
                why: error.to_string(),
            }),
        }
    }
}

/// Runs a ledger command.
pub fn run(command: &Ledger) -> Result<Verdict> {
    let Ledger::Verify {
        data,
        folder,
        jwks,
        since,
        format,
    } = command;
    let keys = jwks.clone().unwrap_or_else(|| data.join("jwks.json"));
    let keys =
        Jwks::parse(&read(&keys)?).with_context(|| format!("cannot use {}", keys.display()))?;
    let previous = since.as_deref().map(read).transpose()?;
    let ledgers = match folder {
        Some(folder) => vec![folder.clone()],
        None => ledgers(data)?,
    };
    let mut verdict = Verdict::Good;
    for ledger in ledgers {
        let found = one(&ledger, &keys, previous.as_deref())?;
        if found.is_err() {
            verdict = Verdict::Bad;
        }
        show_one(&ledger, &found, *format)?;
    }
    Ok(verdict)
}

/// The ledger folders of every tenant in a data folder.
fn ledgers(data: &Path) -> Result<Vec<PathBuf>> {
    let objects = data.join("objects");
    let tenants = std::fs::read_dir(&objects)
        .with_context(|| format!("cannot read {}: is it a data folder?", objects.display()))?;
    let mut found = Vec::new();
    for tenant in tenants {
        let folder = tenant?.path().join("ledger");
        if folder.is_dir() {
            found.push(folder);
        }
    }
    if found.is_empty() {
        bail!("{} holds no ledger", data.display());
    }
    found.sort();
    Ok(found)
}

fn one(
    folder: &Path,
    keys: &Jwks,
    previous: Option<&[u8]>,
) -> Result<std::result::Result<Summary, Fault>> {
    let reader = Folder(folder.to_owned());
    let mut listing = Vec::new();
    list(folder, folder, &mut listing)?;
    listing.sort();
    let options = Options {
        listing: Some(&listing),
        previous,
        allow_other_signatures: false,
    };
    Ok(verify_published(&reader, keys, &options))
}

fn list(root: &Path, folder: &Path, into: &mut Vec<String>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(root, &path, into)?;
        } else if let Ok(relative) = path.strip_prefix(root) {
            into.push(relative.to_string_lossy().into_owned());
        }
    }
    Ok(())
}

fn show_one(
    folder: &Path,
    found: &std::result::Result<Summary, Fault>,
    format: Output,
) -> Result<()> {
    match (format, found) {
        (Output::Json, Ok(summary)) => show::line(&serde_json::to_string(&json!({
            "folder": folder, "valid": true, "origin": summary.origin, "size": summary.size,
            "root": summary.root, "files": summary.files, "leftovers": summary.leftovers,
            "ahead": summary.ahead, "unknown": summary.unknown, "extends": summary.extends,
        }))?),
        (Output::Json, Err(fault)) => show::line(&serde_json::to_string(&json!({
            "folder": folder, "valid": false, "fault": fault.to_string(),
            "path": fault.place.path, "item": fault.place.item,
            "offset": fault.place.offset, "line": fault.place.line,
        }))?),
        (Output::Table, Ok(summary)) => {
            show::line(&format!(
                "{} {}: {} entries in {} files, root {}",
                show::mark(true),
                summary.origin,
                summary.size,
                summary.files,
                summary.root
            ))?;
            if let Some(size) = summary.extends {
                show::line(&format!(
                    "  extends the earlier checkpoint of {size} entries"
                ))?;
            }
            for path in &summary.ahead {
                show::line(&format!("  not signed yet: {path}"))?;
            }
            for path in &summary.unknown {
                show::line(&format!("  does not belong to a log: {path}"))?;
            }
            Ok(())
        }
        (Output::Table, Err(fault)) => show::line(&format!(
            "{} {}: {fault}",
            show::mark(false),
            folder.display()
        )),
    }
}
