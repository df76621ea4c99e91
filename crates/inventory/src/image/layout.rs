//! The folder of an OCI layout: `index.json` and `blobs/sha256`.

use super::{Blobs, digest, json, verified, whole};
use crate::InventoryError;
use bartizan_model::Digest;
use serde_json::Value;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A layout, and which image of it.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
    name: Option<String>,
}

impl Layout {
    /// The folder, and the name of the image where there are several.
    pub fn new(root: &Path, name: Option<&str>) -> Self {
        Self {
            root: root.to_owned(),
            name: name.map(str::to_owned),
        }
    }

    fn open(&self, path: &str) -> Result<File, InventoryError> {
        let path = self.root.join(path);
        let io = |e| InventoryError::io(path.display(), e);
        let file = File::open(&path).map_err(io)?;
        match file.metadata().map_err(io)?.is_file() {
            true => Ok(file),
            false => Err(InventoryError::unusable(format!(
                "{} is no file",
                path.display()
            ))),
        }
    }
}

impl Blobs for Layout {
    fn named(&mut self) -> Result<Vec<u8>, InventoryError> {
        let index = whole(self.open("index.json")?, "index.json")?;
        match pick(&index, self.name.as_deref())? {
            Some(digest) => verified(self.manifest(&digest)?, digest),
            None => Ok(index),
        }
    }

    fn blob(&mut self, digest: &Digest) -> Result<Box<dyn Read + '_>, InventoryError> {
        let hex = digest.as_str().trim_start_matches("sha256:");
        Ok(Box::new(self.open(&format!("blobs/sha256/{hex}"))?))
    }
}

/// The entry of an `index.json` by its tag or its whole name; none where the platform decides.
pub(super) fn pick(index: &[u8], name: Option<&str>) -> Result<Option<Digest>, InventoryError> {
    let index = json(index, "index.json")?;
    let entries = index.get("manifests").and_then(Value::as_array);
    let entries = entries.map(Vec::as_slice).unwrap_or_default();
    let names = |entry: &Value| -> Vec<String> {
        let notes = entry.get("annotations");
        [
            "org.opencontainers.image.ref.name",
            "io.containerd.image.name",
        ]
        .iter()
        .filter_map(|key| notes?.get(*key)?.as_str().map(str::to_owned))
        .collect()
    };
    if let Some(name) = name {
        let (whole, pinned) = name.split_once('@').unwrap_or((name, ""));
        let tag = whole
            .rsplit_once(':')
            .map(|(_, tag)| tag)
            .filter(|tag| !tag.contains('/'));
        let is = |entry: &&Value| match pinned {
            "" => names(entry)
                .iter()
                .any(|n| n == name || Some(n.as_str()) == tag),
            _ => entry.get("digest").and_then(Value::as_str) == Some(pinned),
        };
        if let Some(entry) = entries.iter().find(is) {
            return digest(entry).map(Some);
        }
        // A layout of one image without a name is the image, whatever it is called.
        return match entries {
            [entry] if pinned.is_empty() && names(entry).is_empty() => digest(entry).map(Some),
            _ => Err(InventoryError::Absent(format!(
                "there is no image {name:?} here"
            ))),
        };
    }
    match entries {
        [] => Err(InventoryError::unusable("the index has no image")),
        [entry] => digest(entry).map(Some),
        _ => {
            let mut all: Vec<String> = entries.iter().take(50).flat_map(names).collect();
            all.dedup();
            match all.len() {
                0 | 1 => Ok(None),
                _ => Err(InventoryError::Absent(format!(
                    "there are several images, say which: {}",
                    all.join(", ")
                ))),
            }
        }
    }
}
