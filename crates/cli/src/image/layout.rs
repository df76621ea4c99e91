//! Images and their signatures from an OCI layout folder, offline.

use bartizan_model::Digest;
use bartizan_signature::{Absent, MAX_MANIFEST, Material, Reference};
use serde_json::{Value, json};
use std::io::Read;
use std::path::PathBuf;

/// A folder with `index.json` and `blobs/sha256`.
pub struct Layout(pub PathBuf);

impl Layout {
    fn file(&self, path: &str, most: usize) -> Result<Vec<u8>, Absent> {
        let path = self.0.join(path);
        let file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(Absent::Missing),
            Err(e) => return Err(Absent::Failed(format!("{}: {e}", path.display()))),
        };
        let mut bytes = Vec::new();
        let told = file.take(most as u64 + 1).read_to_end(&mut bytes);
        told.map_err(|e| Absent::Failed(format!("{}: {e}", path.display())))?;
        match bytes.len() > most {
            true => Err(Absent::TooLarge(most)),
            false => Ok(bytes),
        }
    }

    fn by_digest(&self, digest: &Digest, most: usize) -> Result<Vec<u8>, Absent> {
        let hex = digest.as_str().trim_start_matches("sha256:");
        self.file(&format!("blobs/sha256/{hex}"), most)
    }

    fn entries(&self) -> Result<Vec<Value>, Absent> {
        let bytes = match self.file("index.json", MAX_MANIFEST) {
            Err(Absent::Missing) => {
                return Err(Absent::Failed(format!(
                    "{} is no OCI layout",
                    self.0.display()
                )));
            }
            other => other?,
        };
        let index: Value = serde_json::from_slice(&bytes)
            .map_err(|e| Absent::Failed(format!("index.json: {e}")))?;
        let all = index.get("manifests").and_then(Value::as_array);
        Ok(all.cloned().unwrap_or_default())
    }

    /// The digest of an entry by its name: the tag, or the whole name of the image.
    fn named(&self, place: &Reference) -> Result<Digest, Absent> {
        let tag = place.tag.as_deref().unwrap_or_default();
        let whole = place.to_string();
        for entry in self.entries()? {
            let note = |name: &str| {
                let notes = entry.get("annotations").and_then(|a| a.get(name));
                notes.and_then(Value::as_str).unwrap_or("")
            };
            let names = [
                note("org.opencontainers.image.ref.name"),
                note("io.containerd.image.name"),
            ];
            if names.iter().any(|name| *name == tag || *name == whole) {
                let digest = entry.get("digest").and_then(Value::as_str).unwrap_or("");
                let digest = Digest::new(digest).map_err(|e| Absent::Failed(e.to_string()));
                return digest;
            }
        }
        Err(Absent::Missing)
    }
}

impl Material for Layout {
    fn resolve(&self, image: &Reference) -> Result<Digest, Absent> {
        self.named(image)
    }

    fn manifest(&self, place: &Reference) -> Result<Vec<u8>, Absent> {
        let digest = match &place.digest {
            Some(digest) => digest.clone(),
            None => self.named(place)?,
        };
        self.by_digest(&digest, MAX_MANIFEST)
    }

    /// A layout has no API: every manifest of its index that names the image as its subject.
    fn referrers(&self, image: &Reference) -> Result<Vec<u8>, Absent> {
        let wanted = image
            .digest
            .as_ref()
            .map(|d| d.as_str().to_owned())
            .unwrap_or_default();
        let mut all = Vec::new();
        for entry in self.entries()?.into_iter().take(10_000) {
            let digest = entry.get("digest").and_then(Value::as_str).unwrap_or("");
            let Ok(digest) = Digest::new(digest) else {
                continue;
            };
            let Ok(bytes) = self.by_digest(&digest, MAX_MANIFEST) else {
                continue;
            };
            let Ok(manifest) = serde_json::from_slice::<Value>(&bytes) else {
                continue;
            };
            let subject = manifest.pointer("/subject/digest").and_then(Value::as_str);
            if subject == Some(wanted.as_str()) {
                all.push(json!({"digest": digest.as_str(), "size": bytes.len()}));
            }
        }
        match all.is_empty() {
            true => Err(Absent::Missing),
            false => Ok(json!({"manifests": all}).to_string().into_bytes()),
        }
    }

    fn blob(&self, _: &Reference, digest: &Digest, most: usize) -> Result<Vec<u8>, Absent> {
        self.by_digest(digest, most)
    }
}
