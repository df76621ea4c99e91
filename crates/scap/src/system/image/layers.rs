//! The tree that layers give, one upon the other.

use super::tar::{Entries, Entry, Sort};
use super::{ImageError, Part};
use crate::system::{FileKind, Metadata};
use rustix::io::Errno;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

/// As many links as Linux follows.
const MAX_LINKS: usize = 40;
/// The longest path.
const MAX_PATH: usize = 4096;
/// The most files, those that upper layers replace among them.
const MAX_NODES: usize = 2_000_000;
/// The most bytes of extended attributes.
const MAX_ATTRIBUTES: usize = 64 << 20;
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

type Names = BTreeMap<Box<[u8]>, u32>;

#[derive(Debug)]
enum Body {
    Folder(Names),
    Link(Box<[u8]>),
    /// Its bytes: a layer and where they begin in it.
    File(u32, u64),
    Sparse,
    None(FileKind),
}

#[derive(Debug)]
struct Node {
    body: Body,
    mode: u32,
    uid: u32,
    gid: u32,
    size: u64,
    modified: i64,
    attributes: Box<[(String, Vec<u8>)]>,
}

impl Node {
    fn folder() -> Self {
        Self {
            body: Body::Folder(Names::new()),
            mode: 0o755,
            uid: 0,
            gid: 0,
            size: 4096,
            modified: 0,
            attributes: Box::default(),
        }
    }

    fn kind(&self) -> FileKind {
        match &self.body {
            Body::Folder(_) => FileKind::Directory,
            Body::Link(_) => FileKind::SymbolicLink,
            Body::File(..) | Body::Sparse => FileKind::Regular,
            Body::None(kind) => *kind,
        }
    }
}

/// A tree of files; the root is the first.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    layers: Vec<Part>,
    attributes: usize,
}

fn wrong(what: impl Into<String>) -> ImageError {
    ImageError::Unusable(what.into())
}

fn parts(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty() && *part != b".")
}

impl Tree {
    /// A tree of nothing but the root.
    pub fn new() -> Self {
        Self {
            nodes: vec![Node::folder()],
            layers: Vec::new(),
            attributes: 0,
        }
    }

    fn node(&self, id: u32) -> io::Result<&Node> {
        self.nodes
            .get(id as usize)
            .ok_or_else(|| Errno::NOENT.into())
    }

    /// What a path means and its canonical form.
    pub fn resolve(&self, path: &[u8], follow: bool) -> io::Result<(u32, Vec<u8>)> {
        if path.len() > MAX_PATH {
            return Err(Errno::NAMETOOLONG.into());
        }
        let mut rest: VecDeque<&[u8]> = parts(path).collect();
        let mut way: Vec<(u32, &[u8])> = Vec::new();
        let mut links = 0;
        while let Some(part) = rest.pop_front() {
            let here = way.last().map_or(0, |(id, _)| *id);
            let Body::Folder(names) = &self.node(here)?.body else {
                return Err(Errno::NOTDIR.into());
            };
            if part == b".." {
                way.pop();
                continue;
            }
            let id = *names.get(part).ok_or(Errno::NOENT)?;
            match &self.node(id)?.body {
                Body::Link(target) if follow || !rest.is_empty() => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Errno::LOOP.into());
                    }
                    if target.starts_with(b"/") {
                        way.clear();
                    }
                    for part in parts(target).rev() {
                        rest.push_front(part);
                    }
                }
                _ => way.push((id, part)),
            }
        }
        let mut real = Vec::new();
        for (_, name) in &way {
            real.push(b'/');
            real.extend_from_slice(name);
        }
        if real.is_empty() {
            real.push(b'/');
        }
        Ok((way.last().map_or(0, |(id, _)| *id), real))
    }

    /// Metadata; times of a file are those of its last change.
    pub fn metadata(&self, id: u32) -> io::Result<Metadata> {
        let node = self.node(id)?;
        Ok(Metadata {
            kind: node.kind(),
            mode: node.mode,
            uid: node.uid,
            gid: node.gid,
            size: node.size,
            device: 1,
            inode: u64::from(id) + 1,
            accessed: node.modified,
            modified: node.modified,
            changed: node.modified,
        })
    }

    /// Names in a folder.
    pub fn children(&self, id: u32) -> io::Result<impl Iterator<Item = (&[u8], Option<FileKind>)>> {
        let Body::Folder(names) = &self.node(id)?.body else {
            return Err(Errno::NOTDIR.into());
        };
        Ok(names
            .iter()
            .map(|(name, id)| (&**name, self.node(*id).ok().map(Node::kind))))
    }

    /// Where a link points.
    pub fn target(&self, id: u32) -> io::Result<&[u8]> {
        match &self.node(id)?.body {
            Body::Link(target) => Ok(target),
            _ => Err(Errno::INVAL.into()),
        }
    }

    /// An extended attribute.
    pub fn attribute(&self, id: u32, name: &str) -> Option<Vec<u8>> {
        let attributes = &self.node(id).ok()?.attributes;
        let mut known = attributes.iter();
        let (_, value) = known.find(|(known, _)| known == name)?;
        Some(value.clone())
    }

    /// A file's bytes.
    pub fn content(&self, id: u32, limit: u64) -> io::Result<Vec<u8>> {
        let node = self.node(id)?;
        let (layer, offset) = match node.body {
            Body::File(layer, offset) => (layer, offset),
            Body::Sparse => {
                let what = "the image has this file with holes, which is not read";
                return Err(io::Error::new(io::ErrorKind::Unsupported, what));
            }
            _ => {
                let what = "not a regular file";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
        };
        if node.size > limit {
            let what = format!("larger than {limit} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
        }
        let cut = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let layer = self.layers.get(layer as usize).ok_or_else(cut)?;
        // Seen to be there when the layer was read: no size is believed beyond that.
        let mut bytes = vec![0; usize::try_from(node.size).map_err(|_| cut())?];
        layer.file.read_exact_at(&mut bytes, layer.at + offset)?;
        Ok(bytes)
    }

    /// Lays a layer upon the tree; `bytes` are its unpacked bytes, which are also at `part`.
    pub fn lay<R: Read>(&mut self, bytes: R, part: Part) -> Result<R, ImageError> {
        let layer = u32::try_from(self.layers.len()).map_err(|_| wrong("too many layers"))?;
        let mut entries = Entries::new(bytes);
        // Whiteouts mean lower layers only, wherever they stand.
        let mut upper = Vec::new();
        while let Some(entry) = entries.next()? {
            if entry.name.len() > MAX_PATH || entry.target.len() > MAX_PATH {
                return Err(wrong("the image has a path that is too long"));
            }
            if parts(&entry.name).any(|part| part == b"..") {
                return Err(wrong("the image has a path that leads out of it"));
            }
            if self.nodes.len() + upper.len() > MAX_NODES {
                return Err(wrong(format!("the image has more than {MAX_NODES} files")));
            }
            self.attributes += entry
                .attributes
                .iter()
                .map(|(name, value)| name.len() + value.len())
                .sum::<usize>();
            if self.attributes > MAX_ATTRIBUTES {
                return Err(wrong("the image has too many extended attributes"));
            }
            let base = parts(&entry.name).next_back().unwrap_or_default();
            if base.starts_with(WHITEOUT) {
                self.white_out(&entry.name);
            } else {
                upper.push(entry);
            }
        }
        self.layers.push(part);
        for entry in upper {
            self.put(entry, layer)?;
        }
        Ok(entries.into_inner())
    }

    fn white_out(&mut self, name: &[u8]) {
        let mut way: Vec<&[u8]> = parts(name).collect();
        let base = way.pop().unwrap_or_default();
        let Ok((folder, _)) = self.resolve(&way.join(&b'/'), true) else {
            return;
        };
        let Some(Node {
            body: Body::Folder(names),
            ..
        }) = self.nodes.get_mut(folder as usize)
        else {
            return;
        };
        if base == OPAQUE {
            names.clear();
        } else if let Some(gone) = base.strip_prefix(WHITEOUT) {
            names.remove(gone);
        }
    }

    fn add(&mut self, node: Node) -> Result<u32, ImageError> {
        if self.nodes.len() >= MAX_NODES {
            return Err(wrong(format!("the image has more than {MAX_NODES} files")));
        }
        self.nodes.push(node);
        u32::try_from(self.nodes.len() - 1).map_err(|_| wrong("too many files"))
    }

    fn name(&mut self, folder: u32, name: &[u8], id: u32) {
        if let Some(node) = self.nodes.get_mut(folder as usize)
            && let Body::Folder(names) = &mut node.body
        {
            names.insert(name.into(), id);
        }
    }

    /// The folder that a name is put into: links to folders are followed as engines do, what
    /// is missing or in the way becomes a folder.
    fn parent(&mut self, way: &[&[u8]]) -> Result<u32, ImageError> {
        let (mut here, mut real) = (0, Vec::new());
        for part in way {
            real.push(b'/');
            real.extend_from_slice(part);
            match self.resolve(&real, true) {
                Ok((id, found)) if self.node(id)?.kind() == FileKind::Directory => {
                    (here, real) = (id, found);
                    if real == b"/" {
                        real.clear();
                    }
                }
                _ => {
                    let id = self.add(Node::folder())?;
                    self.name(here, part, id);
                    here = id;
                }
            }
        }
        Ok(here)
    }

    fn put(&mut self, entry: Entry, layer: u32) -> Result<(), ImageError> {
        let mut way: Vec<&[u8]> = parts(&entry.name).collect();
        let base = way.pop();
        let folder = self.parent(&way)?;
        let body = match entry.sort {
            Sort::Hard => {
                let lost = || wrong("the image has a hard link to what is not there");
                let (id, _) = self.resolve(&entry.target, false).map_err(|_| lost())?;
                if self.node(id)?.kind() == FileKind::Directory {
                    return Err(lost());
                }
                self.name(folder, base.ok_or_else(lost)?, id);
                return Ok(());
            }
            Sort::File => Body::File(layer, entry.offset),
            Sort::Sparse => Body::Sparse,
            Sort::Link => Body::Link(entry.target.into_boxed_slice()),
            Sort::Character => Body::None(FileKind::CharacterSpecial),
            Sort::Block => Body::None(FileKind::BlockSpecial),
            Sort::Fifo => Body::None(FileKind::Fifo),
            Sort::Folder => Body::Folder(Names::new()),
        };
        let size = match &body {
            Body::File(..) | Body::Sparse => entry.size,
            Body::Link(target) => target.len() as u64,
            Body::Folder(_) => 4096,
            Body::None(_) => 0,
        };
        let mode = match &body {
            Body::Link(_) => 0o777,
            _ => entry.mode,
        };
        let mut node = Node {
            body,
            mode,
            uid: entry.uid,
            gid: entry.gid,
            size,
            modified: entry.modified,
            attributes: entry.attributes.into_boxed_slice(),
        };
        let known = match base {
            None => Some(0),
            Some(base) => match &self.node(folder)?.body {
                Body::Folder(names) => names.get(base).copied(),
                _ => None,
            },
        };
        // A folder upon a folder keeps what is in it.
        if let Some(old) = known.and_then(|id| self.nodes.get_mut(id as usize))
            && let (Body::Folder(names), Body::Folder(kept)) = (&mut node.body, &mut old.body)
        {
            std::mem::swap(names, kept);
            *old = node;
            return Ok(());
        }
        let base = base.ok_or_else(|| wrong("the image's root is no folder"))?;
        let id = self.add(node)?;
        self.name(folder, base, id);
        Ok(())
    }
}
