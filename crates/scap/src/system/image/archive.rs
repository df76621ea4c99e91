//! Finds an image's configuration and layers in an archive or folder.

use super::layers::Tree;
use super::tar::{Entries, Sort};
use super::{Image, ImageError, Part, Spill};
use flate2::read::MultiGzDecoder;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// More than this is no manifest and no configuration.
const MAX_DOCUMENT: u64 = 8 << 20;
/// The most bytes of all layers, unpacked.
const MAX_UNPACKED: u64 = 64 << 30;
const MAX_LAYERS: usize = 1024;
/// The most files of an archive.
const MAX_FILES: usize = 100_000;
/// Indexes in indexes, and links to links.
const MAX_DEPTH: usize = 8;

fn wrong(what: impl Into<String>) -> ImageError {
    ImageError::Unusable(what.into())
}

/// Where blobs are.
enum Store {
    Folder(PathBuf),
    Archive(HashMap<Vec<u8>, Found>),
}

enum Found {
    Part(Part),
    Link(Vec<u8>),
}

impl Store {
    fn part(&self, name: &str) -> Result<Part, ImageError> {
        let missing = || wrong(format!("the image has no {name}"));
        match self {
            Self::Folder(folder) => {
                let path = folder.join(name);
                let metadata = std::fs::metadata(&path).map_err(|_| missing())?;
                if !metadata.is_file() {
                    return Err(missing());
                }
                Ok(Part {
                    file: Arc::new(File::open(&path)?),
                    at: 0,
                    size: metadata.len(),
                })
            }
            Self::Archive(files) => {
                let mut name = plain(name.as_bytes());
                for _ in 0..MAX_DEPTH {
                    match files.get(&name).ok_or_else(missing)? {
                        Found::Part(part) => return Ok(part.clone()),
                        Found::Link(target) => {
                            let end = name.iter().rposition(|byte| *byte == b'/');
                            let folder = name.get(..end.unwrap_or(0)).unwrap_or_default();
                            name = plain(&[folder, b"/", target].concat());
                        }
                    }
                }
                Err(missing())
            }
        }
    }

    fn document(&self, name: &str) -> Result<(Value, String), ImageError> {
        let part = self.part(name)?;
        if part.size > MAX_DOCUMENT {
            return Err(wrong(format!("the image's {name} is too large")));
        }
        let mut bytes = Vec::new();
        part.clone().take(MAX_DOCUMENT).read_to_end(&mut bytes)?;
        let value = serde_json::from_slice(&bytes)
            .map_err(|error| wrong(format!("the image's {name} is broken: {error}")))?;
        Ok((value, digest(&Sha256::digest(&bytes))))
    }

    /// A document by its digest, which must be right.
    fn described(&self, descriptor: &Value) -> Result<(Value, String), ImageError> {
        let (value, found) = self.document(&blob(descriptor)?)?;
        if text(descriptor, "digest") != Some(&found) {
            return Err(wrong("the image has a document of another digest"));
        }
        Ok((value, found))
    }
}

/// A path without `.`, `..` and empty parts.
fn plain(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(bytes))
}

fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key)?.as_str()
}

fn array<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The path of a descriptor's blob.
fn blob(descriptor: &Value) -> Result<String, ImageError> {
    let hex = text(descriptor, "digest").and_then(|digest| digest.strip_prefix("sha256:"));
    // Nothing but a digest may become a path.
    hex.filter(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .map(|hex| format!("blobs/sha256/{hex}"))
        .ok_or_else(|| wrong("the image names a part by no SHA-256 digest"))
}

/// What a manifest says.
struct Plan {
    name: Option<String>,
    config: Value,
    id: String,
    layers: Vec<String>,
}

pub(super) fn open(
    path: &Path,
    name: Option<&str>,
    spill: &mut Spill<'_>,
) -> Result<Image, ImageError> {
    let mut budget = MAX_UNPACKED;
    let store = if std::fs::metadata(path)?.is_dir() {
        Store::Folder(path.to_owned())
    } else {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(wrong("it is no file"));
        }
        let mut part = Part {
            file: Arc::new(file),
            at: 0,
            size: metadata.len(),
        };
        if packing(&part)?.is_some() {
            let mut bytes = Bytes::new(part, spill, &mut budget)?;
            io::copy(&mut bytes, &mut io::sink())?;
            part = bytes.part;
        }
        match listed(&part)? {
            Some(files) => Store::Archive(files),
            None => return root(part, spill, &mut budget),
        }
    };
    let archive = matches!(store, Store::Archive(_));
    let plan = if archive && store.part("manifest.json").is_ok() {
        docker(&store, name)?
    } else {
        oci(&store, name)?
    };
    build(&store, plan, spill, &mut budget)
}

/// The files of an archive; None where it is the root of a system itself.
fn listed(part: &Part) -> Result<Option<HashMap<Vec<u8>, Found>>, ImageError> {
    let mut files = HashMap::new();
    let mut entries = Entries::new(part.clone());
    let mut count = 0;
    while let Some(entry) = entries.next()? {
        count += 1;
        let name = plain(&entry.name);
        let found = match entry.sort {
            Sort::File => Found::Part(Part {
                file: Arc::clone(&part.file),
                at: part.at + entry.offset,
                size: entry.size,
            }),
            Sort::Link => Found::Link(entry.target),
            Sort::Hard => Found::Link([b"/", &*entry.target].concat()),
            _ => continue,
        };
        if count <= MAX_FILES {
            files.insert(name, found);
        }
    }
    let is_image = ["manifest.json", "index.json"]
        .iter()
        .any(|name| files.contains_key(name.as_bytes()));
    if is_image && count > MAX_FILES {
        return Err(wrong(format!(
            "the archive has more than {MAX_FILES} files"
        )));
    }
    if !is_image
        && !["etc", "usr", "bin"].iter().any(|folder| {
            let folder = format!("{folder}/");
            files.keys().any(|name| name.starts_with(folder.as_bytes()))
        })
    {
        return Err(wrong(
            "it is neither an image (of `docker save` or in OCI's layout) nor a system's root",
        ));
    }
    Ok(is_image.then_some(files))
}

/// A tar file of a whole root, as `docker export` writes it.
fn root(part: Part, spill: &mut Spill<'_>, budget: &mut u64) -> Result<Image, ImageError> {
    let mut tree = Tree::new();
    let bytes = Bytes::new(part, spill, budget)?;
    let part = bytes.part.clone();
    tree.lay(bytes, part)?;
    Ok(Image {
        tree,
        environment: Vec::new(),
        name: None,
        id: None,
        architecture: String::new(),
    })
}

/// `manifest.json` of `docker save`.
fn docker(store: &Store, wanted: Option<&str>) -> Result<Plan, ImageError> {
    let (manifest, _) = store.document("manifest.json")?;
    let images = manifest.as_array().map_or(&[][..], Vec::as_slice);
    let names = |image: &Value| -> Vec<String> {
        let tags = array(image, "RepoTags").iter();
        tags.filter_map(|tag| Some(tag.as_str()?.to_owned()))
            .collect()
    };
    let all: Vec<String> = images.iter().flat_map(names).collect();
    let image = match wanted {
        Some(wanted) => images
            .iter()
            .find(|image| names(image).iter().any(|name| name == wanted)),
        None if images.len() > 1 => return Err(several(&all)),
        None => images.first(),
    };
    let image = image.ok_or_else(|| no_such(wanted, &all))?;
    let name = wanted
        .map(str::to_owned)
        .or_else(|| names(image).into_iter().next());
    let config = text(image, "Config").ok_or_else(|| wrong("the image has no configuration"))?;
    let (config, id) = store.document(config)?;
    let layers = array(image, "Layers").iter();
    let layers = layers
        .map(|layer| layer.as_str().map(str::to_owned))
        .collect::<Option<Vec<String>>>()
        .ok_or_else(|| wrong("the image's manifest is broken"))?;
    Ok(Plan {
        name,
        config,
        id,
        layers,
    })
}

fn several(names: &[String]) -> ImageError {
    let names: Vec<&str> = names.iter().take(20).map(String::as_str).collect();
    let names = names.join(", ");
    wrong(format!(
        "there are several images; choose one by its name: {names}"
    ))
}

fn no_such(wanted: Option<&str>, names: &[String]) -> ImageError {
    match wanted {
        Some(wanted) if !names.is_empty() => {
            let names: Vec<&str> = names.iter().take(20).map(String::as_str).collect();
            wrong(format!(
                "no image {wanted}; there are: {}",
                names.join(", ")
            ))
        }
        Some(wanted) => wrong(format!("no image {wanted}: images here have no names")),
        None => wrong("there is no image in it"),
    }
}

/// `index.json` of OCI's layout.
fn oci(store: &Store, wanted: Option<&str>) -> Result<Plan, ImageError> {
    let (mut index, _) = store.document("index.json")?;
    let name = |descriptor: &Value| {
        let annotations = descriptor.get("annotations")?;
        [
            "io.containerd.image.name",
            "org.opencontainers.image.ref.name",
        ]
        .iter()
        .find_map(|key| Some(text(annotations, key)?.to_owned()))
    };
    let names: BTreeSet<String> = array(&index, "manifests").iter().filter_map(name).collect();
    let all: Vec<String> = names.into_iter().collect();
    if wanted.is_none() && all.len() > 1 {
        return Err(several(&all));
    }
    let mut chosen = None;
    for depth in 0..MAX_DEPTH {
        let mut candidates: Vec<&Value> = array(&index, "manifests")
            .iter()
            // Attestations are kept beside images as images of no platform.
            .filter(|one| platform(one, "os") != Some("unknown"))
            .filter(|one| depth > 0 || wanted.is_none() || name(one).as_deref() == wanted)
            .collect();
        if depth == 0 {
            chosen = candidates.first().and_then(|one| name(one));
        }
        // One for this machine's kind, or the first.
        candidates.sort_by_key(|one| platform(one, "architecture") != Some(architecture()));
        let descriptor = candidates.first().ok_or_else(|| no_such(wanted, &all))?;
        let (document, _) = store.described(descriptor)?;
        if document.get("manifests").is_some() {
            index = document;
            continue;
        }
        let config = document
            .get("config")
            .ok_or_else(|| wrong("the image has no configuration"))?;
        let (config, id) = store.described(config)?;
        let layers = array(&document, "layers").iter().map(blob);
        return Ok(Plan {
            name: chosen,
            config,
            id,
            layers: layers.collect::<Result<_, _>>()?,
        });
    }
    Err(wrong("the image's indexes are nested too deep"))
}

fn platform<'v>(descriptor: &'v Value, key: &str) -> Option<&'v str> {
    text(descriptor.get("platform")?, key)
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn build(
    store: &Store,
    plan: Plan,
    spill: &mut Spill<'_>,
    budget: &mut u64,
) -> Result<Image, ImageError> {
    let ids = plan.config.get("rootfs");
    let ids = ids.map_or(&[][..], |rootfs| array(rootfs, "diff_ids"));
    if ids.len() != plan.layers.len() || ids.len() > MAX_LAYERS {
        return Err(wrong("the image's configuration is of other layers"));
    }
    let mut tree = Tree::new();
    for (layer, id) in plan.layers.iter().zip(ids) {
        let bytes = Bytes::new(store.part(layer)?, spill, budget)?;
        let part = bytes.part.clone();
        let mut bytes = tree.lay(bytes, part)?;
        // What follows the archive's end is of the layer too.
        io::copy(&mut bytes, &mut io::sink())?;
        if Some(&*digest(&bytes.hash.finalize())) != id.as_str() {
            return Err(wrong(format!("the layer {layer} has another digest")));
        }
    }
    let variables = plan.config.get("config");
    let variables = variables.map_or(&[][..], |config| array(config, "Env"));
    let environment = variables.iter().filter_map(|variable| {
        let (name, value) = variable.as_str()?.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    Ok(Image {
        tree,
        environment: environment.collect(),
        name: plan.name,
        id: Some(plan.id),
        architecture: text(&plan.config, "architecture")
            .unwrap_or_default()
            .to_owned(),
    })
}

/// Whether a part is packed; an error where it is packed in a way that is not known here.
fn packing(part: &Part) -> Result<Option<()>, ImageError> {
    let mut magic = Vec::new();
    part.clone().take(6).read_to_end(&mut magic)?;
    let other = match &*magic {
        [0x1f, 0x8b, ..] => return Ok(Some(())),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd",
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "xz",
        [b'B', b'Z', b'h', ..] => "bzip2",
        _ => return Ok(None),
    };
    Err(wrong(format!(
        "a part of the image is packed with {other}, which is not read here; repack it with gzip or not at all (skopeo copy --dest-compress-format gzip)"
    )))
}

/// A layer's unpacked bytes, hashed, and spilled where they were packed.
struct Bytes<'b> {
    reader: Box<dyn Read>,
    copy: Option<Arc<File>>,
    /// Where the unpacked bytes are.
    part: Part,
    hash: Sha256,
    budget: &'b mut u64,
}

impl<'b> Bytes<'b> {
    fn new(part: Part, spill: &mut Spill<'_>, budget: &'b mut u64) -> Result<Self, ImageError> {
        let (reader, copy, part): (Box<dyn Read>, _, _) = match packing(&part)? {
            None => (Box::new(io::BufReader::new(part.clone())), None, part),
            Some(()) => {
                let file = Arc::new(spill()?);
                let unpacked = Part {
                    file: Arc::clone(&file),
                    at: 0,
                    size: u64::MAX,
                };
                let packed = io::BufReader::new(part);
                (Box::new(MultiGzDecoder::new(packed)), Some(file), unpacked)
            }
        };
        Ok(Self {
            reader,
            copy,
            part,
            hash: Sha256::new(),
            budget,
        })
    }
}

impl Read for Bytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        let bytes = buffer.get(..count).unwrap_or_default();
        *self.budget = self.budget.checked_sub(count as u64).ok_or_else(|| {
            let what = format!("the image is larger than {} GiB", MAX_UNPACKED >> 30);
            io::Error::new(io::ErrorKind::FileTooLarge, what)
        })?;
        self.hash.update(bytes);
        if let Some(copy) = &self.copy {
            copy.as_ref().write_all(bytes)?;
        }
        Ok(count)
    }
}
