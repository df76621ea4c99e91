//! The layers of an image as one tree. They are read from the top down, each once and as a stream: what
//! an upper layer has or has removed is never read below it.

use super::tar::{Entries, Entry, Kind, clean};
use super::unpack::{Opened, Side};
use super::{Candidate, File, LARGEST, Tree};
use crate::image::Blobs;
use crate::{InventoryError, Unread, tell};
use bartizan_model::Digest;
use std::collections::{HashMap, HashSet};
use std::io::{self, Read};

/// Entries of all layers together.
const ENTRIES: u64 = 4_000_000;
/// Bytes of all layers together, unpacked.
const UNPACKED: u64 = 64 << 30;
/// Bytes of all paths that are remembered.
const NAMES: u64 = 512 << 20;
/// A hard link may name another one, so many times.
const HOPS: usize = 8;
/// Symbolic links on one way, as Linux has it.
const TURNS: usize = 40;
/// The longest target of a link, as Linux has it.
const TARGET: usize = 4096;

/// A layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// What it is called, and what its bytes must be.
    pub digest: Digest,
    /// How many bytes it may have.
    pub size: Option<u64>,
}

/// Layers, the lowest first.
pub struct Layers<'b> {
    blobs: &'b mut dyn Blobs,
    layers: Vec<Layer>,
    /// Why nothing of this image can be believed.
    failed: Option<InventoryError>,
}

/// What the layers above have and have removed.
#[derive(Default)]
struct Above {
    /// Files, and what was removed: hides the path and all below.
    gone: HashSet<String>,
    /// Folders: hide a file of that path.
    folders: HashSet<String>,
    /// Folders that begin anew: hide all below.
    opaque: HashSet<String>,
}

impl Above {
    fn hides(&self, path: &str) -> bool {
        let mut below = path;
        if self.gone.contains(path) || self.folders.contains(path) {
            return true;
        }
        while let Some((parent, _)) = below.rsplit_once('/') {
            if self.gone.contains(parent) || self.opaque.contains(parent) {
                return true;
            }
            below = parent;
        }
        self.opaque.contains("")
    }
}

/// What one layer has.
#[derive(Default)]
struct Own {
    removed: HashSet<String>,
    opaque: HashSet<String>,
    folders: HashSet<String>,
    /// Size, and whether it is executable.
    files: HashMap<String, (u64, bool)>,
    links: HashMap<String, String>,
    handed: HashSet<String>,
}

impl Own {
    /// The file that a hard link is in the end.
    fn target(&self, link: &str) -> Option<&str> {
        let mut at = self.links.get(link)?;
        for _ in 0..HOPS {
            match self.links.get(at) {
                Some(next) => at = next,
                None => return self.files.contains_key(at).then_some(at),
            }
        }
        None
    }
}

/// A link by its name alone: what it leads to is not known.
fn link(path: &str) -> Candidate<'_> {
    Candidate {
        path,
        size: 1,
        executable: false,
    }
}

/// Where a path ends after all links on its way, within the image; none where they go in circles.
fn end(links: &HashMap<String, String>, path: &str) -> Option<String> {
    let mut ahead: Vec<&str> = path.rsplit('/').collect();
    let mut at: Vec<&str> = Vec::new();
    let mut turns = 0;
    while let Some(part) = ahead.pop() {
        match part {
            "" | "." => continue,
            // The root's parent is the root.
            ".." => {
                at.pop();
                continue;
            }
            part => at.push(part),
        }
        if let Some(target) = links.get(&at.join("/")) {
            turns += 1;
            if turns > TURNS {
                return None;
            }
            match target.starts_with('/') {
                true => at.clear(),
                false => drop(at.pop()),
            }
            ahead.extend(target.rsplit('/'));
        }
    }
    Some(at.join("/"))
}

/// One visit.
struct Visit<'v> {
    wanted: &'v dyn Fn(&Candidate<'_>) -> bool,
    each: &'v mut dyn FnMut(File),
    unread: &'v mut Vec<Unread>,
    above: Above,
    entries: u64,
    unpacked: u64,
    names: u64,
    /// Symbolic links that are seen, and where they point.
    links: HashMap<String, String>,
}

type Stream<'s> = Entries<&'s mut dyn Read>;

impl<'b> Layers<'b> {
    /// Of these blobs.
    pub fn new(blobs: &'b mut dyn Blobs, layers: Vec<Layer>) -> Self {
        Self {
            blobs,
            layers,
            failed: None,
        }
    }

    /// Whether a layer was not what its digest says: then nothing that was told is to be believed.
    pub fn finish(self) -> Result<(), InventoryError> {
        self.failed.map_or(Ok(()), Err)
    }
}

impl Tree for Layers<'_> {
    fn visit(
        &mut self,
        wanted: &dyn Fn(&Candidate<'_>) -> bool,
        each: &mut dyn FnMut(File),
        unread: &mut Vec<Unread>,
    ) {
        let mut visit = Visit::new(wanted, each, unread);
        let read = visit.layers(self.blobs, &self.layers);
        let ends = visit.ends();
        if let Err(forged) = read {
            self.failed = Some(forged);
            return;
        }
        if ends.is_empty() {
            return;
        }
        // Where links end may lie in any layer: all are read once more, for that alone. What is wrong
        // with them was told.
        let wanted = |candidate: &Candidate<'_>| ends.contains_key(candidate.path);
        let mut again = Vec::new();
        let mut found = |file: File| {
            for link in ends.get(&file.path).into_iter().flatten() {
                let path = link.clone();
                each(File {
                    path,
                    ..file.clone()
                });
            }
        };
        let mut visit = Visit::new(&wanted, &mut found, &mut again);
        if let Err(forged) = visit.layers(self.blobs, &self.layers) {
            self.failed = Some(forged);
        }
        unread.extend(again);
    }
}

impl<'v> Visit<'v> {
    fn new(
        wanted: &'v dyn Fn(&Candidate<'_>) -> bool,
        each: &'v mut dyn FnMut(File),
        unread: &'v mut Vec<Unread>,
    ) -> Self {
        Self {
            wanted,
            each,
            unread,
            above: Above::default(),
            entries: ENTRIES,
            unpacked: UNPACKED,
            names: NAMES,
            links: HashMap::new(),
        }
    }

    /// Reads all layers from the top down.
    fn layers(&mut self, blobs: &mut dyn Blobs, layers: &[Layer]) -> Result<(), InventoryError> {
        let mut seen = HashSet::new();
        for layer in layers.iter().rev() {
            // The same layer once more below itself has nothing that is seen.
            if seen.insert(layer.digest.clone()) {
                self.layer(blobs, layer)?;
            }
        }
        Ok(())
    }

    /// Where symbolic links end whose own names say that they are wanted, with the links; unless the end
    /// is read under its own name anyway. What ends at nothing is nothing.
    fn ends(&mut self) -> HashMap<String, Vec<String>> {
        let mut ends: HashMap<String, Vec<String>> = HashMap::new();
        let links = std::mem::take(&mut self.links);
        for from in links.keys().filter(|path| (self.wanted)(&link(path))) {
            match end(&links, from) {
                Some(end) if (self.wanted)(&link(&end)) || !self.above.gone.contains(&end) => {}
                Some(end) => ends.entry(end).or_default().push(from.clone()),
                None => self.unread(from, "its links go in circles"),
            }
        }
        ends
    }

    fn unread(&mut self, path: &str, why: impl Into<String>) {
        tell(self.unread, path, why);
    }

    /// Reads one layer. The error is of a layer that is not what it is said to be.
    fn layer(&mut self, blobs: &mut dyn Blobs, layer: &Layer) -> Result<(), InventoryError> {
        let mut own = Own::default();
        self.stream(blobs, layer, &mut |visit, stream, entry| {
            visit.first(&mut own, layer, stream, entry)
        })?;
        let again = self.linked(&own);
        if !again.is_empty() {
            self.stream(blobs, layer, &mut |visit, stream, entry| {
                visit.second(&again, layer, stream, &entry)
            })?;
        }
        let above = &mut self.above;
        above.gone.extend(own.removed);
        above.gone.extend(own.files.into_keys());
        above.gone.extend(own.links.into_keys());
        above.folders.extend(own.folders);
        above.opaque.extend(own.opaque);
        Ok(())
    }

    fn stream(
        &mut self,
        blobs: &mut dyn Blobs,
        layer: &Layer,
        take: &mut dyn FnMut(&mut Self, &mut Stream<'_>, Entry) -> io::Result<()>,
    ) -> Result<(), InventoryError> {
        let name = layer.digest.as_str().to_owned();
        let side = blobs.side();
        let raw = match blobs.blob(&layer.digest) {
            Ok(raw) => raw,
            Err(why) => {
                self.unread(&name, format!("the layer is not there: {why}"));
                return Ok(());
            }
        };
        let mut opened = Opened::new(raw, side, layer.size, self.unpacked);
        let told = opened.with(&mut |plain| {
            let mut stream = Entries::new(plain);
            while let Some(entry) = stream.next()? {
                self.entries = self.entries.checked_sub(1).ok_or_else(|| {
                    io::Error::other(format!("the image has more than {ENTRIES} entries"))
                })?;
                let names = entry.path.len() + entry.link.len();
                self.names = self.names.checked_sub(names as u64).ok_or_else(|| {
                    let most = NAMES >> 20;
                    io::Error::other(format!("the image's paths have more than {most} MiB"))
                })?;
                take(self, &mut stream, entry)?;
            }
            Ok(())
        });
        let end = opened.end();
        self.unpacked = self.unpacked.saturating_sub(end.unpacked);
        if let Err(why) = told.and(end.read) {
            self.unread(&name, format!("the rest of the layer: {why}"));
        } else if end.digest.is_none() && side == Side::Unpacked {
            self.unread(&name, "the layer was not compared with its digest");
        }
        match end.digest {
            Some(digest) if digest != layer.digest => {
                Err(InventoryError::Forged(layer.digest.clone()))
            }
            _ => Ok(()),
        }
    }

    fn first(
        &mut self,
        own: &mut Own,
        layer: &Layer,
        stream: &mut Stream<'_>,
        entry: Entry,
    ) -> io::Result<()> {
        let shown = |path: &[u8]| {
            String::from_utf8_lossy(path)
                .chars()
                .take(500)
                .collect::<String>()
        };
        let Some(path) = clean(&entry.path) else {
            self.unread(&shown(&entry.path), "its path leads out of the image");
            return Ok(());
        };
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
        if name == ".wh..wh..opq" {
            own.opaque.insert(parent.to_owned());
            return Ok(());
        }
        if let Some(removed) = name.strip_prefix(".wh.") {
            // What begins with it twice is aufs's own.
            if !removed.is_empty() && !removed.starts_with(".wh.") {
                let slash = if parent.is_empty() { "" } else { "/" };
                own.removed.insert(format!("{parent}{slash}{removed}"));
            }
            return Ok(());
        }
        if path.is_empty() {
            return Ok(());
        }
        if entry.kind == Kind::Folder {
            own.folders.insert(path);
            return Ok(());
        }
        let seen = !self.above.hides(&path);
        if entry.kind == Kind::Hard {
            match clean(&entry.link) {
                Some(target) if target != path => {
                    own.links.insert(path, target);
                }
                _ => self.unread(&path, "a hard link that leads out of the image"),
            }
            return Ok(());
        }
        if entry.kind == Kind::Symlink && seen {
            match std::str::from_utf8(&entry.link) {
                Ok(target) if target.len() <= TARGET => {
                    self.links.insert(path.clone(), target.to_owned());
                }
                _ if (self.wanted)(&link(&path)) => {
                    self.unread(&path, "a link whose end is no text or too long");
                }
                _ => {}
            }
        }
        let candidate = Candidate {
            path: &path,
            size: entry.size,
            executable: entry.executable,
        };
        let wanted =
            seen && matches!(entry.kind, Kind::File | Kind::Sparse) && (self.wanted)(&candidate);
        if wanted && own.files.contains_key(&path) {
            self.unread(&path, "it stands twice in its layer; both are told");
        }
        if wanted && entry.kind == Kind::Sparse {
            self.unread(&path, "a sparse file of an archive");
        } else if wanted && self.small(&path, entry.size) {
            let bytes = stream.read(LARGEST)?;
            (self.each)(File {
                path: path.clone(),
                executable: entry.executable,
                bytes,
                layer: Some(layer.digest.clone()),
            });
            own.handed.insert(path.clone());
        }
        own.files.insert(path, (entry.size, entry.executable));
        Ok(())
    }

    fn small(&mut self, path: &str, size: u64) -> bool {
        if size > LARGEST {
            self.unread(path, format!("it has {size} bytes, more than {LARGEST}"));
        }
        size <= LARGEST
    }

    /// Files that must be read once more, because of hard links to them: the link's name may say more
    /// than the file's, or the file itself may be hidden.
    fn linked(&mut self, own: &Own) -> HashMap<String, Vec<String>> {
        let mut again: HashMap<String, Vec<String>> = HashMap::new();
        for link in own
            .links
            .keys()
            .filter(|link| !own.files.contains_key(*link))
        {
            if self.above.hides(link) {
                continue;
            }
            let Some(target) = own.target(link) else {
                let candidate = Candidate {
                    path: link,
                    size: 1,
                    executable: false,
                };
                if (self.wanted)(&candidate) {
                    self.unread(link, "a hard link to nothing of its layer");
                }
                continue;
            };
            let (size, executable) = own.files.get(target).copied().unwrap_or_default();
            let by = |executable| Candidate {
                path: link,
                size,
                executable,
            };
            let by_name = (self.wanted)(&by(false));
            let by_content = executable && !own.handed.contains(target) && (self.wanted)(&by(true));
            if (by_name || by_content) && self.small(link, size) {
                again
                    .entry(target.to_owned())
                    .or_default()
                    .push(link.clone());
            }
        }
        again
    }

    fn second(
        &mut self,
        again: &HashMap<String, Vec<String>>,
        layer: &Layer,
        stream: &mut Stream<'_>,
        entry: &Entry,
    ) -> io::Result<()> {
        let links = clean(&entry.path).and_then(|path| again.get(&path));
        let (Some(links), Kind::File) = (links, entry.kind) else {
            return Ok(());
        };
        let bytes = stream.read(LARGEST)?;
        for link in links {
            (self.each)(File {
                path: link.clone(),
                executable: entry.executable,
                bytes: bytes.clone(),
                layer: Some(layer.digest.clone()),
            });
        }
        Ok(())
    }
}
