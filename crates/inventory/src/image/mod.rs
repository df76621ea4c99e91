//! Container images: which one of an index, and its layers. Where its bytes lie is behind [`Blobs`].

mod archive;
mod layout;

pub use archive::Archive;
pub use layout::Layout;

use crate::tree::{Layer, Layers, Side};
use crate::{Inventory, InventoryError, Target, TargetKind, take};
use bartizan_model::{AssetUid, Digest};
use serde_json::Value;
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

/// The largest manifest, index or configuration that is read.
pub const LARGEST_MANIFEST: u64 = 4 << 20;
/// An index in an index, so many times.
const NESTED: usize = 4;
const LAYERS: usize = 1_000;

/// Where the bytes of an image lie.
pub trait Blobs {
    /// The manifest or the index that the image's name stands for, byte for byte.
    fn named(&mut self) -> Result<Vec<u8>, InventoryError>;

    /// A manifest or an index by its digest, at most [`LARGEST_MANIFEST`] bytes. Who calls compares
    /// it with the digest.
    fn manifest(&mut self, digest: &Digest) -> Result<Vec<u8>, InventoryError> {
        whole(self.blob(digest)?, digest.as_str())
    }

    /// A layer as a stream. It may be asked for twice. Who calls compares it with the digest.
    fn blob(&mut self, digest: &Digest) -> Result<Box<dyn Read + '_>, InventoryError>;

    /// What digests of layers are of.
    fn side(&self) -> Side {
        Side::Packed
    }
}

/// What an image runs on: `linux/arm64/v8`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`.
    pub architecture: String,
    /// `v8`.
    pub variant: Option<String>,
}

impl Platform {
    /// Linux on what this machine is.
    pub fn here() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" => "ppc64le",
            other => other,
        };
        Self {
            os: "linux".into(),
            architecture: architecture.into(),
            variant: None,
        }
    }

    fn of(entry: &Value) -> Option<Self> {
        let text = |name| {
            entry
                .pointer(name)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        Some(Self {
            os: text("/platform/os")?,
            architecture: text("/platform/architecture")?,
            variant: text("/platform/variant"),
        })
    }

    fn fits(&self, other: &Self) -> bool {
        let variant = self.variant.is_none() || self.variant == other.variant;
        self.os == other.os && self.architecture == other.architecture && variant
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|v| write!(f, "/{v}"))
    }
}

impl FromStr for Platform {
    type Err = InventoryError;

    fn from_str(text: &str) -> Result<Self, InventoryError> {
        let mut parts = text.split('/').filter(|part| !part.is_empty());
        let (Some(os), Some(architecture), variant, None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            let why =
                format!("a platform is OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, not {text:?}");
            return Err(InventoryError::unusable(why));
        };
        Ok(Self {
            os: os.into(),
            architecture: architecture.into(),
            variant: variant.map(str::to_owned),
        })
    }
}

/// Looks at an image; of an index at the one for the platform, or for this machine's.
pub fn image(
    blobs: &mut dyn Blobs,
    name: &str,
    platform: Option<&Platform>,
) -> Result<Inventory, InventoryError> {
    let here = Platform::here();
    let mut named = blobs.named()?;
    if let Some((_, hex)) = name.split_once("@sha256:") {
        named = verified(named, digest_of(&format!("sha256:{hex}"))?)?;
    }
    let (manifest, bytes) = select(blobs, named, platform.unwrap_or(&here))?;
    let target = Target {
        uid: AssetUid::new(format!("image:{name}"))?,
        kind: TargetKind::Image,
        name: name.to_owned(),
        digest: (blobs.side() == Side::Packed).then(|| Digest::of(&bytes)),
    };
    let layers = layers(&manifest)?;
    let mut tree = Layers::new(blobs, layers);
    let inventory = take(target, &mut tree);
    tree.finish()?;
    Ok(inventory)
}

/// Looks at an image on disk: the folder of an OCI layout, or an archive as `docker save` or `skopeo`
/// writes it. The name says which, where there are several.
pub fn saved(
    path: &Path,
    name: Option<&str>,
    platform: Option<&Platform>,
) -> Result<Inventory, InventoryError> {
    let shown = path.display().to_string();
    let shown = name.unwrap_or(&shown);
    match path.is_dir() {
        true => image(&mut Layout::new(path, name), shown, platform),
        false => image(&mut Archive::open(path, name)?, shown, platform),
    }
}

/// A digest that is one: it becomes a part of paths and addresses.
pub(crate) fn digest_of(text: &str) -> Result<Digest, InventoryError> {
    let hex = text.strip_prefix("sha256:").unwrap_or_default();
    let is_hex = hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    match is_hex {
        true => Ok(Digest::new(text)?),
        false => {
            let shown: String = text.chars().take(100).collect();
            Err(InventoryError::unusable(format!(
                "{shown:?} is no sha256 digest"
            )))
        }
    }
}

fn verified(bytes: Vec<u8>, digest: Digest) -> Result<Vec<u8>, InventoryError> {
    match Digest::of(&bytes) == digest {
        true => Ok(bytes),
        false => Err(InventoryError::Forged(digest)),
    }
}

pub(crate) fn whole(from: impl Read, name: &str) -> Result<Vec<u8>, InventoryError> {
    let mut bytes = Vec::new();
    from.take(LARGEST_MANIFEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| InventoryError::io(name, e))?;
    match bytes.len() as u64 > LARGEST_MANIFEST {
        true => Err(InventoryError::unusable(format!(
            "{name} is larger than a manifest may be"
        ))),
        false => Ok(bytes),
    }
}

pub(crate) fn json(bytes: &[u8], name: &str) -> Result<Value, InventoryError> {
    serde_json::from_slice(bytes).map_err(|e| InventoryError::unusable(format!("{name}: {e}")))
}

fn digest(descriptor: &Value) -> Result<Digest, InventoryError> {
    digest_of(
        descriptor
            .get("digest")
            .and_then(Value::as_str)
            .unwrap_or_default(),
    )
}

/// The manifest of one image, through indexes.
fn select(
    blobs: &mut dyn Blobs,
    mut bytes: Vec<u8>,
    platform: &Platform,
) -> Result<(Value, Vec<u8>), InventoryError> {
    for _ in 0..=NESTED {
        let value = json(&bytes, "the manifest")?;
        let Some(entries) = value.get("manifests").and_then(Value::as_array) else {
            return Ok((value, bytes));
        };
        let chosen = choose(entries, platform)?;
        bytes = verified(blobs.manifest(&chosen)?, chosen)?;
    }
    Err(InventoryError::unusable("indexes within indexes, too deep"))
}

fn choose(entries: &[Value], platform: &Platform) -> Result<Digest, InventoryError> {
    // An attestation stands for no platform, and says so.
    let images: Vec<(&Value, Option<Platform>)> = entries
        .iter()
        .take(10_000)
        .map(|entry| (entry, Platform::of(entry)))
        .filter(|(_, known)| known.as_ref().is_none_or(|known| known.os != "unknown"))
        .collect();
    let fits = |known: &Option<Platform>| known.as_ref().is_some_and(|k| platform.fits(k));
    if let Some((entry, _)) = images.iter().find(|(_, known)| fits(known)) {
        return digest(entry);
    }
    match images.as_slice() {
        // One that does not say what it runs on.
        [(entry, None)] => digest(entry),
        _ => {
            let has: Vec<String> = images
                .iter()
                .take(50)
                .map(|(_, known)| {
                    known
                        .as_ref()
                        .map_or_else(|| "?".into(), Platform::to_string)
                })
                .collect();
            Err(InventoryError::Platform {
                wanted: platform.to_string(),
                has: has.join(", "),
            })
        }
    }
}

fn layers(manifest: &Value) -> Result<Vec<Layer>, InventoryError> {
    let Some(layers) = manifest.get("layers").and_then(Value::as_array) else {
        return Err(InventoryError::unusable(
            "it is no image manifest of OCI or of Docker's second version",
        ));
    };
    if layers.len() > LAYERS {
        return Err(InventoryError::unusable(format!(
            "more than {LAYERS} layers"
        )));
    }
    layers
        .iter()
        .map(|layer| {
            Ok(Layer {
                digest: digest(layer)?,
                size: layer.get("size").and_then(Value::as_u64),
            })
        })
        .collect()
}
