//! A walk as `fts` does it: pre-order, links physical unless followed, the start's own link
//! always followed.

use super::tree::{Dir, Listing, Meta, Target, Tree, path};
use crate::system::{FileKind, Metadata, System};
use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::sync::Arc;

/// The deepest directory: deeper ones make the collection incomplete.
const MAX_DEPTH: usize = 512;
/// As many links as Linux follows in one path.
const MAX_LINKS: usize = 40;
/// The most entries that one object may look at.
const MAX_VISITS: u64 = 50_000_000;

/// What could not be looked at.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    error: RefCell<Option<String>>,
    incomplete: RefCell<Vec<String>>,
    visits: Cell<u64>,
}

/// The most messages that are kept.
const MAX_MESSAGES: usize = 8;

impl Trouble {
    /// The object's result is an error.
    pub fn error(&self, message: impl Into<String>) {
        let mut error = self.error.borrow_mut();
        if error.is_none() {
            *error = Some(message.into());
        }
    }

    /// Something is missing.
    pub fn incomplete(&self, message: impl Into<String>) {
        let mut messages = self.incomplete.borrow_mut();
        let message = message.into();
        if messages.len() < MAX_MESSAGES && !messages.contains(&message) {
            messages.push(message);
        }
    }

    /// The first error.
    pub fn take_error(&self) -> Option<String> {
        self.error.borrow_mut().take()
    }

    /// What is missing.
    pub fn take_incomplete(&self) -> Vec<String> {
        std::mem::take(&mut *self.incomplete.borrow_mut())
    }
}

/// What an entry is, as `fts_info` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Info {
    Directory,
    File,
    Link,
    /// A link that was followed and leads nowhere.
    Dangling,
    /// Devices, sockets, FIFOs.
    Other,
}

impl Info {
    /// Of a kind that `lstat` gave.
    pub fn of(kind: FileKind) -> Self {
        match kind {
            FileKind::Directory => Self::Directory,
            FileKind::Regular => Self::File,
            FileKind::SymbolicLink => Self::Link,
            _ => Self::Other,
        }
    }
}

/// What the visitor wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Into a directory; past anything else.
    Go,
    /// Past it.
    Skip,
    /// Visit a link's target in its place.
    Follow,
    /// No more.
    Stop,
}

/// An entry that is visited.
pub(super) struct Visit<'v> {
    pub level: usize,
    pub info: Info,
    /// A link's target in its place.
    pub followed: bool,
    /// The path by which it was reached.
    pub path: &'v [u8],
    /// Where the name begins in it.
    pub name: usize,
    place: Place<'v>,
    /// Device of a followed directory.
    device: Option<u64>,
}

enum Place<'v> {
    /// Looked up by its path.
    Direct,
    /// An entry of a directory that was read.
    Listed(&'v Listing, usize, &'v [u8]),
}

impl<'v> Visit<'v> {
    /// Something that was looked up without a walk.
    pub fn direct(path: &'v [u8], info: Info) -> Self {
        let name = path
            .iter()
            .rposition(|byte| *byte == b'/')
            .map_or(0, |slash| slash + 1);
        Self {
            level: 0,
            info,
            followed: false,
            path,
            name,
            place: Place::Direct,
            device: None,
        }
    }

    /// The name.
    pub fn name(&self) -> &'v [u8] {
        self.path.get(self.name..).unwrap_or_default()
    }

    /// The device; of the target, where a link was followed.
    pub fn device(&self, walk: &Walk<'_>) -> Option<u64> {
        if self.device.is_some() {
            return self.device;
        }
        match self.place {
            Place::Listed(listing, index, real) if !self.followed => walk
                .tree
                .meta(walk.system, listing, index, real)
                .and_then(|meta| self.there(meta, walk))
                .and_then(|meta| walk.tree.device(meta)),
            _ => match walk
                .system
                .stat(path(self.path))
                .or_else(|_| walk.system.lstat(path(self.path)))
            {
                Ok(metadata) => Some(metadata.device),
                Err(error) => {
                    self.unseen(&error, walk);
                    None
                }
            },
        }
    }

    fn there<'m>(&self, meta: &'m Meta, walk: &Walk<'_>) -> Option<&'m Meta> {
        if meta.is_unseen() {
            let shown = String::from_utf8_lossy(self.path);
            walk.trouble
                .incomplete(format!("{shown}: cannot be looked at"));
        }
        meta.there()
    }

    /// What is there and cannot be looked at is missing; what vanished is not.
    fn unseen(&self, error: &std::io::Error, walk: &Walk<'_>) {
        if !absent(error) {
            walk.trouble.incomplete(shown_error(self.path, error));
        }
    }

    /// `lstat` and whether there is an extended ACL; None where there is none.
    pub fn metadata(&self, walk: &Walk<'_>) -> Option<(Metadata, Option<bool>)> {
        match self.place {
            Place::Direct => {
                let metadata = walk.system.lstat(path(self.path));
                let metadata = metadata.map_err(|error| self.unseen(&error, walk)).ok()?;
                Some((metadata, walk.system.has_acl(path(self.path))))
            }
            Place::Listed(listing, index, real) => {
                let meta = walk.tree.meta(walk.system, listing, index, real)?;
                let meta = self.there(meta, walk)?;
                let (_, kind) = listing.entry(index)?;
                let metadata = walk.tree.unpack(meta, kind, real);
                Some((metadata, walk.tree.has_acl(walk.system, meta, real)))
            }
        }
    }
}

/// What walks need.
pub(super) struct Walk<'a> {
    pub system: &'a dyn System,
    pub tree: &'a Tree,
    pub trouble: &'a Trouble,
}

struct Frame {
    dir: Arc<Dir>,
    next: usize,
    /// Lengths of the path shown and of the canonical path.
    shown: usize,
    real: Vec<u8>,
    links: usize,
}

impl Walk<'_> {
    /// Visits the start, which [`Walk::look`] saw, and what is below it. False: the visitor
    /// stopped.
    pub fn run(
        &self,
        start: &[u8],
        (info, device): (Info, Option<u64>),
        visitor: &mut dyn FnMut(&Visit<'_>) -> Act,
    ) -> bool {
        let mut visit = Visit::direct(start, info);
        visit.device = device;
        let act = visitor(&visit);
        if act == Act::Stop {
            return false;
        }
        if info != Info::Directory || act != Act::Go {
            return true;
        }
        let real = match self.tree.canonical(self.system, start) {
            Ok(real) => real.to_vec(),
            Err(error) => {
                self.trouble.incomplete(shown_error(start, &error));
                return true;
            }
        };
        let kernel = within_kernel(&real);
        let mut shown = start.to_vec();
        let mut frames = vec![Frame {
            dir: self.tree.start(&real),
            next: 0,
            shown: shown.len(),
            real,
            links: 0,
        }];
        let mut real = Vec::new();
        loop {
            let level = frames.len();
            let Some(frame) = frames.last_mut() else {
                return true;
            };
            let dir = Arc::clone(&frame.dir);
            let listing = dir.listing(self.system, &frame.real);
            if frame.next == 0
                && let Some(error) = &listing.error
            {
                self.trouble.incomplete(&**error);
            }
            let index = frame.next;
            let Some((name, kind)) = listing.entry(index) else {
                frames.pop();
                continue;
            };
            frame.next += 1;
            let links = frame.links;
            shown.truncate(frame.shown);
            if !shown.ends_with(b"/") {
                shown.push(b'/');
            }
            let begin = shown.len();
            shown.extend_from_slice(name);
            super::tree::join(&mut real, &frame.real, name);
            self.trouble.visits.set(self.trouble.visits.get() + 1);
            if self.trouble.visits.get() > MAX_VISITS {
                self.trouble
                    .incomplete(format!("more than {MAX_VISITS} files were looked at"));
                return true;
            }
            let mut visit = Visit {
                level,
                info: Info::of(kind),
                followed: false,
                path: &shown,
                name: begin,
                place: Place::Listed(listing, index, &real),
                device: None,
            };
            let mut child = None;
            if visit.info == Info::Directory && links > 0 {
                // Behind a link the way may come to where it was.
                child = self.tree.child(listing, index, &real);
                if let Some(dir) = &child
                    && frames.iter().any(|frame| Arc::ptr_eq(&frame.dir, dir))
                {
                    continue;
                }
            }
            let mut child = child.map(|dir| (dir, real.clone(), links));
            let mut act = visitor(&visit);
            if act == Act::Follow && visit.info == Info::Link {
                visit.followed = true;
                match self.tree.target(self.system, &real) {
                    Target::Directory(target, device) if links < MAX_LINKS => {
                        let dir = self.tree.start(&target);
                        if frames.iter().any(|frame| Arc::ptr_eq(&frame.dir, &dir)) {
                            // The link leads above itself.
                            continue;
                        }
                        visit.info = Info::Directory;
                        visit.device = Some(device);
                        child = Some((dir, target.to_vec(), links + 1));
                    }
                    Target::Directory(..) => visit.info = Info::Dangling,
                    Target::Dangling => {
                        self.sure(&real, self.system.stat(path(&real)));
                        visit.info = Info::Dangling;
                    }
                    Target::Other(kind) => visit.info = Info::of(kind),
                }
                act = visitor(&visit);
            } else if visit.info == Info::Directory && act == Act::Go && child.is_none() {
                child = self
                    .tree
                    .child(listing, index, &real)
                    .map(|dir| (dir, real.clone(), links));
            }
            if act == Act::Stop {
                return false;
            }
            let Some((dir, real, links)) = child.filter(|_| act == Act::Go) else {
                continue;
            };
            // Whatever walks a whole system does not mean the kernel's interfaces, whose
            // files may act or block; an object that names them begins there.
            if within_kernel(&real) && !kernel {
                continue;
            }
            if level >= MAX_DEPTH {
                self.trouble
                    .incomplete(format!("directories deeper than {MAX_DEPTH}"));
                continue;
            }
            frames.push(Frame {
                dir,
                next: 0,
                shown: shown.len(),
                real,
                links,
            });
        }
    }

    /// Says that something is missing where a failure is not absence: of a file that vanished
    /// or of a link that leads nowhere or in a circle.
    fn sure(&self, shown: &[u8], found: std::io::Result<Metadata>) -> Option<Metadata> {
        found
            .map_err(|error| {
                // 40: too many links.
                if !absent(&error) && error.raw_os_error() != Some(40) {
                    self.trouble.incomplete(shown_error(shown, &error));
                }
            })
            .ok()
    }

    /// What a path is, its own link followed, and its device; None where there is nothing.
    pub fn look(&self, start: &[u8]) -> Option<(Info, Option<u64>)> {
        if !start.starts_with(b"/") || start.contains(&0) {
            return None;
        }
        let metadata = match self.system.lstat(path(start)) {
            Ok(metadata) => metadata,
            Err(error) => {
                if !absent(&error) {
                    self.trouble.incomplete(shown_error(start, &error));
                }
                return None;
            }
        };
        if metadata.kind != FileKind::SymbolicLink {
            return Some((Info::of(metadata.kind), Some(metadata.device)));
        }
        let target = self.sure(start, self.system.stat(path(start)));
        Some(match target {
            Some(target) => (Info::of(target.kind), Some(target.device)),
            None => (Info::Dangling, Some(metadata.device)),
        })
    }
}

fn within_kernel(real: &[u8]) -> bool {
    [&b"/proc"[..], b"/sys"].iter().any(|place| {
        real.strip_prefix(*place)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    })
}

/// Whether an error says that there is nothing of that name.
pub(super) fn absent(error: &std::io::Error) -> bool {
    // 36: a name or path that is too long to exist.
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
        || error.raw_os_error() == Some(36)
}

pub(super) fn shown_error(shown: &[u8], error: &std::io::Error) -> String {
    format!("{}: {error}", String::from_utf8_lossy(shown))
}
