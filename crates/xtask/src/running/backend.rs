//! The back ends that benches and tests run on.

use anyhow::{Context, Result, bail};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where the server under test keeps its rows.
#[derive(Debug, Clone)]
pub enum Backend {
    /// One file in the data folder.
    Sqlite,
    /// A fresh database on the server at this address.
    Postgres(String),
}

impl Backend {
    /// The name in figures.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }

    /// Makes a fresh database where one is needed; its address for `--database`.
    pub fn fresh(&self) -> Result<Option<String>> {
        let Self::Postgres(url) = self else {
            return Ok(None);
        };
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("bartizan_{}_{count}", std::process::id());
        for sql in [
            format!("drop database if exists {name} with (force)"),
            format!("create database {name}"),
        ] {
            let output = Command::new("psql")
                .args(["-q", "-d", url, "-c", &sql])
                .output()
                .context("psql is needed to make a database")?;
            if !output.status.success() {
                bail!("psql: {}", String::from_utf8_lossy(&output.stderr));
            }
        }
        let (server, _) = url
            .rsplit_once('/')
            .context("the address has no database")?;
        Ok(Some(format!("{server}/{name}")))
    }
}
