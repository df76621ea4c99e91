//! Where signatures come from and what they are verified by, the same for every command.

use super::layout::Layout;
use super::registry::Registry;
use crate::image::judge::Source;
use anyhow::{Context, Result, ensure};
use bartizan_signature::Trust;
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;

/// Registries, and what is trusted.
#[derive(Args, Clone)]
#[command(next_help_heading = "Image signatures")]
pub struct Signatures {
    /// Fulcio's authorities, Rekor's keys, CT logs: a trusted_root.json
    #[arg(long, value_name = "FILE")]
    pub trusted_root: Option<PathBuf>,
    /// A docker config.json with logins for registries
    #[arg(long, value_name = "FILE", env = "BARTIZAN_REGISTRY_CONFIG")]
    pub registry_config: Option<PathBuf>,
    /// Another host for a registry; repeatable
    #[arg(long, value_name = "REGISTRY=HOST")]
    pub registry_mirror: Vec<String>,
}

/// The file of a trusted root is larger than this by mistake.
const MAX_ROOT: u64 = 16 << 20;

impl Signatures {
    /// The trusted root's bytes; they may be others at the next look.
    pub fn root(&self) -> Result<Option<Vec<u8>>> {
        let Some(path) = &self.trusted_root else {
            return Ok(None);
        };
        let place = || format!("cannot read {}", path.display());
        let size = std::fs::metadata(path).with_context(place)?.len();
        ensure!(size <= MAX_ROOT, "{} is too large", path.display());
        Ok(Some(std::fs::read(path).with_context(place)?))
    }

    /// What those bytes say.
    pub fn trust(&self, root: Option<&[u8]>) -> Result<Option<Arc<Trust>>> {
        let Some(bytes) = root else {
            return Ok(None);
        };
        let path = self.trusted_root.clone().unwrap_or_default();
        let trust = Trust::from_json(bytes);
        let trust = trust.with_context(|| format!("cannot use {}", path.display()))?;
        Ok(Some(Arc::new(trust)))
    }

    /// The registries.
    pub fn registry(&self) -> Result<Arc<Registry>> {
        let config = self.registry_config.as_deref();
        Ok(Arc::new(Registry::new(config, &self.registry_mirror)?))
    }

    /// The layout, if it is given, else the registries.
    pub fn source(&self, layout: Option<&PathBuf>) -> Result<Source> {
        Ok(match layout {
            Some(path) => Source::Layout(Layout(path.clone())),
            None => Source::Registry(self.registry()?),
        })
    }
}
