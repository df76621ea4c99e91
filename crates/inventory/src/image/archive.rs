//! An archive of images: `docker save`'s tar with its `manifest.json`, or the tar of an OCI layout.

use super::layout::pick;
use super::{Blobs, digest_of, json, verified, whole};
use crate::InventoryError;
use crate::tree::{Entries, Side, TarKind, clean};
use bartizan_model::Digest;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Entries of the outer tar.
const ENTRIES: usize = 100_000;

/// An archive; it is read where it lies.
#[derive(Debug)]
pub struct Archive {
    file: File,
    name: Option<String>,
    /// Where each file's bytes are.
    index: HashMap<String, (u64, u64)>,
    links: HashMap<String, String>,
    /// What `docker save` calls its layers by: the digest of the unpacked one. None for a layout.
    docker: Option<HashMap<Digest, String>>,
}

impl Archive {
    /// Opens one, and lists what is in it.
    pub fn open(path: &Path, name: Option<&str>) -> Result<Self, InventoryError> {
        let io = |e| InventoryError::io(path.display(), e);
        let file = File::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let mut head = Vec::new();
        (&file).take(4).read_to_end(&mut head).map_err(io)?;
        (&file).seek(SeekFrom::Start(0)).map_err(io)?;
        if head.starts_with(&[0x1f, 0x8b]) || head == [0x28, 0xb5, 0x2f, 0xfd] {
            let why = format!(
                "{} is a compressed archive: unpack it first",
                path.display()
            );
            return Err(InventoryError::unusable(why));
        }
        let (mut index, mut links) = (HashMap::new(), HashMap::new());
        let mut entries = Entries::new(&file);
        while let Some(entry) = entries.next().map_err(io)? {
            if index.len() + links.len() >= ENTRIES {
                return Err(InventoryError::unusable("the archive has too many entries"));
            }
            let Some(path) = clean(&entry.path) else {
                continue;
            };
            match entry.kind {
                // What is cut off is missing when it is asked for.
                TarKind::File if entries.offset().saturating_add(entry.size) <= length => {
                    index.insert(path, (entries.offset(), entry.size));
                }
                TarKind::Symlink => {
                    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
                    let link = String::from_utf8_lossy(&entry.link);
                    if let Some(to) = joined(parent, &link) {
                        links.insert(path, to);
                    }
                }
                TarKind::Hard => {
                    links.extend(clean(&entry.link).map(|to| (path, to)));
                }
                _ => {}
            }
            entries.leap().map_err(io)?;
        }
        Ok(Self {
            file,
            name: name.map(str::to_owned),
            index,
            links,
            docker: None,
        })
    }

    fn at(&mut self, path: &str) -> Result<Box<dyn Read + '_>, InventoryError> {
        let mut path = path;
        for _ in 0..8 {
            match self.links.get(path) {
                Some(to) => path = to,
                None => break,
            }
        }
        let Some((offset, size)) = self.index.get(path).copied() else {
            return Err(InventoryError::Absent(format!(
                "{path} is not in the archive, or cut off"
            )));
        };
        let to = SeekFrom::Start(offset);
        self.file
            .seek(to)
            .map_err(|e| InventoryError::io(path, e))?;
        Ok(Box::new((&self.file).take(size)))
    }

    fn small(&mut self, path: &str) -> Result<Vec<u8>, InventoryError> {
        whole(self.at(path)?, path)
    }

    /// The image of a `manifest.json`, as a manifest whose layers are called by what they are unpacked.
    fn docker(&mut self) -> Result<Vec<u8>, InventoryError> {
        let list = json(&self.small("manifest.json")?, "manifest.json")?;
        let images = list.as_array().map(Vec::as_slice).unwrap_or_default();
        let tags = |image: &Value| -> Vec<String> {
            let tags = image.get("RepoTags").and_then(Value::as_array);
            let tags = tags.into_iter().flatten().filter_map(Value::as_str);
            tags.map(str::to_owned).collect()
        };
        let image = match (&self.name, images) {
            (None, [image]) => image,
            (Some(name), images) => {
                let called = images.iter().find(|image| tags(image).contains(name));
                let only = images
                    .first()
                    .filter(|i| images.len() == 1 && tags(i).is_empty());
                called.or(only).ok_or_else(|| {
                    InventoryError::Absent(format!("there is no image {name:?} here"))
                })?
            }
            (None, images) => {
                let all: Vec<String> = images.iter().take(50).flat_map(tags).collect();
                let all = all.join(", ");
                let why = format!("there are {} images, say which: {all}", images.len());
                return Err(InventoryError::Absent(why));
            }
        };
        let text = |name: &str| image.get(name).and_then(Value::as_str).unwrap_or_default();
        let configuration = json(&self.small(text("Config"))?, "the configuration")?;
        let digests = configuration
            .pointer("/rootfs/diff_ids")
            .and_then(Value::as_array);
        let paths = image.get("Layers").and_then(Value::as_array);
        let (Some(digests), Some(paths)) = (digests, paths) else {
            return Err(InventoryError::unusable(
                "the archive does not name its layers",
            ));
        };
        if digests.len() != paths.len() {
            return Err(InventoryError::unusable(
                "not as many layers as the configuration names",
            ));
        }
        let mut known = HashMap::new();
        let mut layers = Vec::new();
        for (digest, path) in digests.iter().zip(paths) {
            let digest = digest_of(digest.as_str().unwrap_or_default())?;
            layers.push(json!({ "digest": digest.as_str() }));
            known
                .entry(digest)
                .or_insert_with(|| path.as_str().unwrap_or_default().to_owned());
        }
        self.docker = Some(known);
        Ok(json!({ "layers": layers }).to_string().into_bytes())
    }
}

/// A link's end, from the folder that it stands in.
fn joined(folder: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = match link.starts_with('/') {
        true => Vec::new(),
        false => folder.split('/').filter(|part| !part.is_empty()).collect(),
    };
    for part in link.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match part {
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

impl Blobs for Archive {
    fn named(&mut self) -> Result<Vec<u8>, InventoryError> {
        if self.index.contains_key("manifest.json") {
            return self.docker();
        }
        if !self.index.contains_key("index.json") {
            return Err(InventoryError::unusable(
                "it is no archive of images: neither manifest.json nor index.json is in it",
            ));
        }
        let index = self.small("index.json")?;
        match pick(&index, self.name.as_deref())? {
            Some(digest) => verified(self.manifest(&digest)?, digest),
            None => Ok(index),
        }
    }

    fn blob(&mut self, digest: &Digest) -> Result<Box<dyn Read + '_>, InventoryError> {
        let path = match &self.docker {
            Some(known) => known.get(digest).cloned().unwrap_or_default(),
            None => format!(
                "blobs/sha256/{}",
                digest.as_str().trim_start_matches("sha256:")
            ),
        };
        self.at(&path)
    }

    fn side(&self) -> Side {
        match self.docker {
            Some(_) => Side::Unpacked,
            None => Side::Packed,
        }
    }
}
