//! The directories that were read, shared by all objects: names and kinds at first sight,
//! `lstat` only of what some object asks about.
//!
//! A directory is known by its canonical path and is read at most once. Names lie in one
//! block a directory and metadata in 28 bytes a file, so that a tree of 700,000 files takes
//! about 40 MB with all of its metadata and 20 MB without.

use crate::system::{FileKind, Metadata, System};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// The most names of one directory.
const MAX_NAMES: usize = 4_000_000;
/// The most links whose targets are remembered.
const MAX_LINKS: usize = 200_000;

/// Bytes as a path.
pub(super) fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// A lock whose holder cannot leave it half done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A directory.
#[derive(Debug, Default)]
pub(super) struct Dir {
    listing: OnceLock<Listing>,
}

/// What a directory holds, names in order.
#[derive(Debug)]
pub(super) struct Listing {
    names: Box<[u8]>,
    /// Where each name ends; it begins where the one before ends.
    ends: Box<[u32]>,
    kinds: Box<[FileKind]>,
    /// The entries that are directories, in order.
    below: Box<[Below]>,
    /// `lstat` of all other entries, in order: who asks about one asks about most.
    metas: OnceLock<Box<[Meta]>>,
    /// Why it could not be read.
    pub error: Option<Arc<str>>,
}

/// An entry that is a directory.
#[derive(Debug)]
struct Below {
    entry: u32,
    dir: OnceLock<Arc<Dir>>,
    /// Asked one by one: a directory may be a mount that answers late.
    meta: OnceLock<Meta>,
}

/// `lstat`, packed, or why there is none.
#[derive(Debug)]
pub(super) struct Meta {
    size: u32,
    uid: u32,
    gid: u32,
    accessed: u32,
    modified: u32,
    changed: u32,
    /// The lower 12 bits are the mode; the upper ones say whether there is an ACL.
    mode: AtomicU16,
    device: u16,
}

const ACL_ASKED: u16 = 1 << 15;
const ACL_KNOWN: u16 = 1 << 14;
const ACL_THERE: u16 = 1 << 13;
/// There is no `lstat`: what is in its place is one of these.
const NO_DEVICE: u16 = u16::MAX;
const VANISHED: u32 = 0;
const UNSEEN: u32 = 1;

impl Meta {
    fn none(why: u32) -> Self {
        Self {
            size: 0,
            uid: why,
            gid: 0,
            accessed: 0,
            modified: 0,
            changed: 0,
            mode: AtomicU16::new(0),
            device: NO_DEVICE,
        }
    }

    /// Whether something is there that may not be looked at.
    pub fn is_unseen(&self) -> bool {
        self.device == NO_DEVICE && self.uid == UNSEEN
    }

    /// The same, unless `lstat` failed.
    pub fn there(&self) -> Option<&Self> {
        (self.device != NO_DEVICE).then_some(self)
    }
}

impl Listing {
    fn failed(error: Option<Arc<str>>) -> Self {
        Self {
            names: Box::default(),
            ends: Box::default(),
            kinds: Box::default(),
            below: Box::default(),
            metas: OnceLock::new(),
            error,
        }
    }

    fn load(system: &dyn System, real: &[u8]) -> Self {
        let mut found = match system.read_dir(path(real)) {
            Ok(found) if found.len() > MAX_NAMES => {
                return Self::failed(Some(
                    format!("{}: too many names", String::from_utf8_lossy(real)).into(),
                ));
            }
            Ok(found) => found,
            // It vanished since its parent was read.
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Self::failed(None);
            }
            Err(error) => {
                return Self::failed(Some(
                    format!("{}: {error}", String::from_utf8_lossy(real)).into(),
                ));
            }
        };
        found.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let mut names = Vec::with_capacity(found.iter().map(|(name, _)| name.len()).sum());
        let mut ends = Vec::with_capacity(found.len());
        let mut kinds = Vec::with_capacity(found.len());
        let mut below = Vec::new();
        let mut whole = Vec::new();
        for (name, kind) in &found {
            let name = name.as_bytes();
            if name.is_empty() || name == b"." || name == b".." || name.contains(&b'/') {
                continue;
            }
            names.extend_from_slice(name);
            let kind = kind.unwrap_or_else(|| {
                join(&mut whole, real, name);
                system
                    .lstat(path(&whole))
                    .map_or(FileKind::Unknown, |metadata| metadata.kind)
            });
            if kind == FileKind::Directory {
                below.push(Below {
                    entry: u32::try_from(ends.len()).unwrap_or(u32::MAX),
                    dir: OnceLock::new(),
                    meta: OnceLock::new(),
                });
            }
            ends.push(u32::try_from(names.len()).unwrap_or(u32::MAX));
            kinds.push(kind);
        }
        Self {
            names: names.into_boxed_slice(),
            ends: ends.into_boxed_slice(),
            kinds: kinds.into_boxed_slice(),
            below: below.into_boxed_slice(),
            metas: OnceLock::new(),
            error: None,
        }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The name and kind of an entry.
    pub fn entry(&self, index: usize) -> Option<(&[u8], FileKind)> {
        let end = *self.ends.get(index)?;
        let begin = index
            .checked_sub(1)
            .and_then(|before| self.ends.get(before))
            .map_or(0, |before| *before);
        let name = self.names.get(begin as usize..end as usize)?;
        Some((name, *self.kinds.get(index)?))
    }

    fn position(&self, name: &[u8]) -> Option<usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.entry(middle)?.0.cmp(name) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(middle),
            }
        }
        None
    }

    /// How many directories come before an entry.
    fn rank(&self, index: usize) -> usize {
        self.below
            .partition_point(|below| (below.entry as usize) < index)
    }

    fn below(&self, index: usize) -> Option<&Below> {
        (*self.kinds.get(index)? == FileKind::Directory)
            .then(|| self.below.get(self.rank(index)))?
    }
}

/// `directory/name` into a buffer.
pub(super) fn join(whole: &mut Vec<u8>, directory: &[u8], name: &[u8]) {
    whole.clear();
    whole.extend_from_slice(directory);
    if !whole.ends_with(b"/") {
        whole.push(b'/');
    }
    whole.extend_from_slice(name);
}

impl Dir {
    /// What it holds, read now if nobody did.
    pub fn listing(&self, system: &dyn System, real: &[u8]) -> &Listing {
        self.listing.get_or_init(|| Listing::load(system, real))
    }
}

/// Where a link leads.
#[derive(Debug, Clone)]
pub(super) enum Target {
    /// Nowhere.
    Dangling,
    /// To something that is not a directory.
    Other(FileKind),
    /// To a directory: its canonical path and device.
    Directory(Arc<[u8]>, u64),
}

type ByPath<T> = Mutex<HashMap<Box<[u8]>, T>>;

/// All directories that are known.
#[derive(Debug, Default)]
pub(super) struct Tree {
    root: Arc<Dir>,
    /// Directories that walks began at, by canonical path.
    starts: ByPath<Arc<Dir>>,
    devices: Mutex<Vec<u64>>,
    /// Times before 1970 and after 2106 and sizes over 4 GiB, by path: rare.
    far: ByPath<(i64, i64, i64, u64)>,
    links: ByPath<Target>,
    /// Canonical paths of starts.
    canonical: ByPath<Arc<[u8]>>,
}

/// Marks a size or a time that is in [`Tree::far`].
const FAR: u32 = u32::MAX;

impl Tree {
    /// The directory of a canonical path.
    pub fn start(&self, real: &[u8]) -> Arc<Dir> {
        if real == b"/" {
            return Arc::clone(&self.root);
        }
        let mut starts = lock(&self.starts);
        if let Some(known) = starts.get(real) {
            return Arc::clone(known);
        }
        // It may be below a directory that was walked already.
        let mut end = real.len();
        while let Some(slash) = real
            .get(..end)
            .and_then(|part| part.iter().rposition(|byte| *byte == b'/'))
        {
            let ancestor = if slash == 0 {
                Some(&self.root)
            } else {
                real.get(..slash).and_then(|above| starts.get(above))
            };
            if let (Some(ancestor), Some(rest)) = (ancestor, real.get(slash + 1..))
                && let Some(found) = descend(ancestor, rest)
            {
                return found;
            }
            end = slash;
        }
        let new = Arc::new(Dir::default());
        starts.insert(real.into(), Arc::clone(&new));
        new
    }

    /// The directory that is an entry of a listing.
    pub fn child(&self, listing: &Listing, index: usize, real: &[u8]) -> Option<Arc<Dir>> {
        let slot = &listing.below(index)?.dir;
        if let Some(known) = slot.get() {
            return Some(Arc::clone(known));
        }
        // The lock makes this and [`Tree::start`] agree on one directory a path.
        let starts = lock(&self.starts);
        let child = slot.get_or_init(|| starts.get(real).map_or_else(Arc::default, Arc::clone));
        Some(Arc::clone(child))
    }

    /// `lstat` of an entry, `real`: asked once.
    pub fn meta<'l>(
        &self,
        system: &dyn System,
        listing: &'l Listing,
        index: usize,
        real: &[u8],
    ) -> Option<&'l Meta> {
        if let Some(below) = listing.below(index) {
            return Some(below.meta.get_or_init(|| self.look(system, real)));
        }
        let metas = listing.metas.get_or_init(|| {
            let end = real.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
            let folder = real.get(..end).unwrap_or_default();
            let mut whole = Vec::new();
            (0..listing.len())
                .filter_map(|index| listing.entry(index))
                .filter(|(_, kind)| *kind != FileKind::Directory)
                .map(|(name, _)| {
                    join(&mut whole, folder, name);
                    self.look(system, &whole)
                })
                .collect()
        });
        metas.get(index - listing.rank(index))
    }

    fn look(&self, system: &dyn System, real: &[u8]) -> Meta {
        match system.lstat(path(real)) {
            Ok(metadata) => self.pack(real, &metadata),
            Err(error) if super::walk::absent(&error) => Meta::none(VANISHED),
            Err(_) => Meta::none(UNSEEN),
        }
    }

    fn pack(&self, real: &[u8], metadata: &Metadata) -> Meta {
        let short = |number: Option<u32>| number.filter(|number| *number != FAR);
        let (accessed, modified, changed, size) = (
            short(metadata.accessed.try_into().ok()),
            short(metadata.modified.try_into().ok()),
            short(metadata.changed.try_into().ok()),
            short(metadata.size.try_into().ok()),
        );
        if accessed.and(modified).and(changed).and(size).is_none() {
            let Metadata {
                accessed,
                modified,
                changed,
                size,
                ..
            } = *metadata;
            lock(&self.far).insert(real.into(), (accessed, modified, changed, size));
        }
        let mut devices = lock(&self.devices);
        let device = devices
            .iter()
            .position(|known| *known == metadata.device)
            .unwrap_or_else(|| {
                devices.push(metadata.device);
                devices.len() - 1
            });
        // With more devices than fit, what is on the others may not be looked at.
        let Some(device) = u16::try_from(device).ok().filter(|one| *one != NO_DEVICE) else {
            return Meta::none(UNSEEN);
        };
        Meta {
            size: size.unwrap_or(FAR),
            uid: metadata.uid,
            gid: metadata.gid,
            accessed: accessed.unwrap_or(FAR),
            modified: modified.unwrap_or(FAR),
            changed: changed.unwrap_or(FAR),
            mode: AtomicU16::new((metadata.mode & 0o7777) as u16),
            device,
        }
    }

    /// The device number.
    pub fn device(&self, meta: &Meta) -> Option<u64> {
        lock(&self.devices).get(usize::from(meta.device)).copied()
    }

    /// The metadata, unpacked (without device and inode).
    pub fn unpack(&self, meta: &Meta, kind: FileKind, real: &[u8]) -> Metadata {
        let mut accessed = i64::from(meta.accessed);
        let mut modified = i64::from(meta.modified);
        let mut changed = i64::from(meta.changed);
        let mut size = u64::from(meta.size);
        if [meta.accessed, meta.modified, meta.changed, meta.size].contains(&FAR) {
            (accessed, modified, changed, size) =
                lock(&self.far).get(real).copied().unwrap_or_default();
        }
        Metadata {
            kind,
            mode: u32::from(meta.mode.load(Ordering::Relaxed) & 0o7777),
            uid: meta.uid,
            gid: meta.gid,
            size,
            device: 0,
            inode: 0,
            accessed,
            modified,
            changed,
        }
    }

    /// Whether there is an extended ACL, asked once a file.
    pub fn has_acl(&self, system: &dyn System, meta: &Meta, real: &[u8]) -> Option<bool> {
        let mut bits = meta.mode.load(Ordering::Relaxed);
        if bits & ACL_ASKED == 0 {
            bits |= ACL_ASKED
                | match system.has_acl(path(real)) {
                    None => 0,
                    Some(false) => ACL_KNOWN,
                    Some(true) => ACL_KNOWN | ACL_THERE,
                };
            meta.mode.store(bits, Ordering::Relaxed);
        }
        (bits & ACL_KNOWN != 0).then_some(bits & ACL_THERE != 0)
    }

    /// The canonical path of a start.
    pub fn canonical(&self, system: &dyn System, start: &[u8]) -> std::io::Result<Arc<[u8]>> {
        if let Some(known) = lock(&self.canonical).get(start) {
            return Ok(Arc::clone(known));
        }
        let found = system.canonical(path(start))?;
        let found: Arc<[u8]> = found.as_os_str().as_bytes().into();
        let mut canonical = lock(&self.canonical);
        if canonical.len() < MAX_LINKS {
            canonical.insert(start.into(), Arc::clone(&found));
        }
        Ok(found)
    }

    /// Where a link leads.
    pub fn target(&self, system: &dyn System, real: &[u8]) -> Target {
        if let Some(known) = lock(&self.links).get(real) {
            return known.clone();
        }
        let target = match system.stat(path(real)) {
            Err(_) => Target::Dangling,
            Ok(metadata) if metadata.kind == FileKind::Directory => {
                match system.canonical(path(real)) {
                    Ok(canonical) => {
                        Target::Directory(canonical.as_os_str().as_bytes().into(), metadata.device)
                    }
                    Err(_) => Target::Dangling,
                }
            }
            Ok(metadata) => Target::Other(metadata.kind),
        };
        let mut links = lock(&self.links);
        if links.len() < MAX_LINKS {
            links.insert(real.into(), target.clone());
        }
        target
    }
}

/// Down through what was read already.
fn descend(from: &Arc<Dir>, rest: &[u8]) -> Option<Arc<Dir>> {
    let mut dir = Arc::clone(from);
    for name in rest.split(|byte| *byte == b'/') {
        let listing = dir.listing.get()?;
        let below = listing.below(listing.position(name)?)?.dir.get().cloned()?;
        dir = below;
    }
    Some(dir)
}
