//! Finds the signatures of an image: cosign's tags `sha256-<hex>.sig` and `.att`, and the
//! referrers of the image, by the API or by the tag that stands in for it.

use crate::legacy::Annotations;
use crate::oci::{Descriptor, MAX_BLOB, Manifest};
use crate::reference::Reference;
use crate::verify::Piece;
use bartizan_model::Digest;

/// Why something was not had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Absent {
    /// It is not there, and whoever has it says so.
    #[error("it is not there")]
    Missing,
    /// It is there but larger than it may be: the fault of who wrote it.
    #[error("it is larger than {0} bytes")]
    TooLarge(usize),
    /// It could not be fetched, so that nothing is known of it.
    #[error("{0}")]
    Failed(String),
}

/// Where images and what is said of them are kept. What is returned is checked against its
/// digest here; an implementation bounds time and bytes.
pub trait Material {
    /// The digest that a name stands for now.
    fn resolve(&self, image: &Reference) -> Result<Digest, Absent>;

    /// The manifest of a tag or digest of the image's repository.
    fn manifest(&self, place: &Reference) -> Result<Vec<u8>, Absent>;

    /// The index of what refers to the image; [`Absent::Missing`] where the API is not there.
    fn referrers(&self, image: &Reference) -> Result<Vec<u8>, Absent>;

    /// A blob of the image's repository.
    fn blob(&self, place: &Reference, digest: &Digest, most: usize) -> Result<Vec<u8>, Absent>;
}

/// Signatures as they were found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// One each.
    pub pieces: Vec<Piece>,
    /// What is there and cannot be used: whoever wrote it is to blame, not the network.
    pub unusable: Vec<String>,
}

/// More signatures of one image are not looked at, and said.
const MOST: usize = 64;
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";

/// All signatures of an image. The error says what could not be fetched: then nothing is known.
/// `prefix` is a ClusterImagePolicy's `tagPrefix`, empty in general.
pub fn gather(
    material: &dyn Material,
    image: &Reference,
    digest: &Digest,
    prefix: &str,
) -> Result<Found, String> {
    let mut found = Found::default();
    let hex = digest.as_str().strip_prefix("sha256:").unwrap_or_default();
    for kind in ["sig", "att"] {
        let tag = format!("{prefix}sha256-{hex}.{kind}");
        let place = tagged(image, &tag);
        let bytes = match material.manifest(&place) {
            Ok(bytes) => bytes,
            Err(Absent::Missing) => continue,
            Err(Absent::Failed(why)) => return Err(format!("{tag}: {why}")),
            Err(other) => {
                found.unusable.push(format!("{tag}: {other}"));
                continue;
            }
        };
        match Manifest::read(&bytes) {
            Ok(manifest) => layers(material, image, &tag, &manifest, &mut found)?,
            Err(why) => found.unusable.push(format!("{tag}: {why}")),
        }
    }
    let by_digest = image.at(digest.clone());
    let fallback = tagged(image, &format!("sha256-{hex}"));
    let index = match material.referrers(&by_digest) {
        Err(Absent::Missing) => material.manifest(&fallback),
        other => other,
    };
    let index = match index {
        Ok(bytes) => Manifest::read(&bytes),
        Err(Absent::Missing) => return Ok(found),
        Err(Absent::Failed(why)) => return Err(format!("referrers: {why}")),
        Err(other) => Err(other.to_string()),
    };
    match index {
        Ok(index) => referrers(material, image, digest, &index, &mut found)?,
        Err(why) => found.unusable.push(format!("referrers: {why}")),
    }
    Ok(found)
}

fn tagged(image: &Reference, tag: &str) -> Reference {
    Reference {
        tag: Some(tag.to_owned()),
        digest: None,
        ..image.clone()
    }
}

/// A blob whose digest was proven; none where it is there and cannot be used.
fn fetched(
    material: &dyn Material,
    image: &Reference,
    descriptor: &Descriptor,
    origin: &str,
    found: &mut Found,
) -> Result<Option<Vec<u8>>, String> {
    let mut refuse = |why: String| {
        found.unusable.push(format!("{origin}: {why}"));
        Ok(None)
    };
    if found.pieces.len() >= MOST {
        return refuse(format!("there are more than {MOST} signatures"));
    }
    let digest = match descriptor.digest() {
        Ok(digest) => digest,
        Err(why) => return refuse(why),
    };
    if descriptor.size > MAX_BLOB as u64 {
        return refuse(Absent::TooLarge(MAX_BLOB).to_string());
    }
    match material.blob(image, &digest, MAX_BLOB) {
        Ok(bytes) if Digest::of(&bytes) == digest => Ok(Some(bytes)),
        Ok(_) => refuse("its bytes are not those of its digest".into()),
        Err(Absent::Failed(why)) => Err(format!("{origin}: {why}")),
        Err(other) => refuse(other.to_string()),
    }
}

fn layers(
    material: &dyn Material,
    image: &Reference,
    origin: &str,
    manifest: &Manifest,
    found: &mut Found,
) -> Result<(), String> {
    for (at, layer) in manifest.layers.iter().enumerate() {
        let origin = format!("{origin} layer {at}");
        let simple = layer.media_type == "application/vnd.dev.cosign.simplesigning.v1+json";
        let envelope = layer.media_type == "application/vnd.dsse.envelope.v1+json";
        if !simple && !envelope && !layer.media_type.starts_with(BUNDLE) {
            let kind = &layer.media_type;
            found
                .unusable
                .push(format!("{origin}: {kind:.100?} is no signature"));
            continue;
        }
        let Some(bytes) = fetched(material, image, layer, &origin, found)? else {
            continue;
        };
        let annotations = Annotations::of(&layer.annotations);
        found.pieces.push(match (simple, envelope) {
            (true, _) => Piece::Simple {
                origin,
                payload: bytes,
                annotations,
            },
            (_, true) => Piece::Envelope {
                origin,
                envelope: bytes,
                annotations,
            },
            _ => Piece::Bundle { origin, bytes },
        });
    }
    Ok(())
}

fn referrers(
    material: &dyn Material,
    image: &Reference,
    digest: &Digest,
    index: &Manifest,
    found: &mut Found,
) -> Result<(), String> {
    let ours = |d: &&Descriptor| {
        let kind = d.artifact_type.as_deref().unwrap_or("");
        // The index that stands in for the API may leave the type out.
        kind.is_empty() || kind.starts_with(BUNDLE) || kind.contains("cosign")
    };
    for descriptor in index.manifests.iter().filter(ours).take(MOST) {
        let origin = format!("referrer {:.71}", descriptor.digest);
        let at = match descriptor.digest() {
            Ok(at) => at,
            Err(why) => {
                found.unusable.push(format!("{origin}: {why}"));
                continue;
            }
        };
        let bytes = match material.manifest(&image.at(at.clone())) {
            Ok(bytes) => bytes,
            Err(Absent::Failed(why)) => return Err(format!("{origin}: {why}")),
            Err(other) => {
                found.unusable.push(format!("{origin}: {other}"));
                continue;
            }
        };
        let read = match Digest::of(&bytes) == at {
            true => Manifest::read(&bytes),
            false => Err("its bytes are not those of its digest".into()),
        };
        let manifest = match read {
            Ok(manifest) => manifest,
            Err(why) => {
                found.unusable.push(format!("{origin}: {why}"));
                continue;
            }
        };
        let subject = manifest.subject.as_ref().map(|s| s.digest.as_str());
        if subject != Some(digest.as_str()) {
            found
                .unusable
                .push(format!("{origin}: it refers to another image"));
            continue;
        }
        let config = manifest.config.as_ref().map(|c| c.media_type.as_str());
        let kind = manifest.artifact_type.as_deref().or(config).unwrap_or("");
        if kind.starts_with(BUNDLE) || kind.contains("cosign") {
            layers(material, image, &origin, &manifest, found)?;
        }
    }
    Ok(())
}
