//! OCI manifests and indexes, as far as signatures are found by them. They come from whoever can
//! write to the registry: bounded, and taken only where their digest is the one that was asked.

use bartizan_model::Digest;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A manifest may have so many bytes; registries allow as many.
pub const MAX_MANIFEST: usize = 4 << 20;
/// A signature or attestation may have so many bytes; SBOMs are large.
pub const MAX_BLOB: usize = 32 << 20;
/// Annotations of one descriptor may have so many bytes.
const MAX_ANNOTATIONS: usize = 256 << 10;

/// A manifest or an index.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub artifact_type: Option<String>,
    #[serde(default)]
    pub layers: Vec<Descriptor>,
    #[serde(default)]
    pub manifests: Vec<Descriptor>,
    pub subject: Option<Descriptor>,
    pub config: Option<Descriptor>,
}

/// What names a blob or manifest.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub media_type: String,
    pub digest: String,
    #[serde(default)]
    pub size: u64,
    pub artifact_type: Option<String>,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > MAX_MANIFEST {
            return Err(format!("the manifest is larger than {MAX_MANIFEST} bytes"));
        }
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|e| format!("the manifest is malformed: {e}"))?;
        for descriptor in manifest.layers.iter().chain(&manifest.manifests) {
            let all = descriptor.annotations.iter();
            if all.map(|(k, v)| k.len() + v.len()).sum::<usize>() > MAX_ANNOTATIONS {
                return Err("the annotations of the manifest are too large".into());
            }
        }
        Ok(manifest)
    }
}

impl Descriptor {
    pub(crate) fn digest(&self) -> Result<Digest, String> {
        let hex = self.digest.strip_prefix("sha256:").unwrap_or_default();
        let lower = hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if hex.len() != 64 || !lower {
            return Err(format!("{:.100?} is no sha256 digest", self.digest));
        }
        Digest::new(&self.digest).map_err(|e| e.to_string())
    }
}
