//! Peers written in Go: built from their modules once, and kept in `~/.cache/bartizan/peers`.

use crate::tree;
use anyhow::{Context, Result, bail};
use std::hash::{DefaultHasher, Hasher};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The program of `crates/xtask/peers/NAME`; the inner error says why there is none here.
pub fn built(name: &str) -> Result<std::result::Result<PathBuf, String>> {
    let source = tree::root().join("crates/xtask/peers").join(name);
    // What changes is built anew.
    let mut hasher = DefaultHasher::new();
    for file in ["go.mod", "go.sum", "main.go"] {
        hasher.write(&std::fs::read(source.join(file))?);
    }
    let digest = format!("{:016x}", hasher.finish());
    let cache = match std::env::var_os("XDG_CACHE_HOME") {
        Some(cache) => PathBuf::from(cache),
        None => match std::env::var_os("HOME") {
            Some(home) => PathBuf::from(home).join(".cache"),
            None => return Ok(Err("there is no folder for caches".into())),
        },
    };
    let folder = cache.join("bartizan/peers");
    let program = folder.join(format!("{name}-{digest}"));
    if program.is_file() {
        return Ok(Ok(program));
    }
    let go = Command::new("go")
        .arg("version")
        .stdout(Stdio::null())
        .status();
    if !go.is_ok_and(|status| status.success()) {
        return Ok(Err(
            "it is built from its Go modules, and there is no Go here".into(),
        ));
    }
    std::fs::create_dir_all(&folder)?;
    eprintln!("building {name} from its Go modules (once a machine)");
    let new = folder.join(format!("{name}-{digest}.new{}", std::process::id()));
    let status = Command::new("go")
        .args(["build", "-mod=readonly", "-trimpath", "-ldflags", "-s -w"])
        .arg("-o")
        .arg(&new)
        .arg(".")
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "")
        .current_dir(&source)
        .status()
        .context("cannot run go")?;
    if !status.success() {
        bail!("the Go modules of {name} could not be built");
    }
    std::fs::rename(&new, &program)?;
    Ok(Ok(program))
}
