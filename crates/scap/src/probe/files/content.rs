//! Contents of files, read once for all objects within a budget.

use super::tree::{lock, path};
use super::walk::absent;
use crate::system::{FileKind, System};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

/// The most bytes of one file.
const MAX_FILE: u64 = 256 << 20;
/// The most bytes that are kept.
const BUDGET: usize = 16 << 20;
/// The most bytes of one file that is kept.
const MAX_KEPT: usize = 4 << 20;
/// The most files that are remembered.
const MAX_REMEMBERED: usize = 50_000;

/// What reading gave.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// Nothing there, or a link that leads nowhere.
    Absent,
    /// Not a regular file.
    Special,
    /// The bytes.
    Bytes(Arc<Vec<u8>>),
    /// It could not be read.
    Failed(Arc<str>),
}

/// The files that were read.
#[derive(Debug, Default)]
pub(super) struct Contents {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    files: HashMap<Box<[u8]>, Content>,
    order: VecDeque<Box<[u8]>>,
    bytes: usize,
}

impl Contents {
    /// A file's bytes, links followed. FIFOs and devices are not opened.
    pub fn read(&self, system: &dyn System, whole: &[u8]) -> Content {
        if let Some(known) = lock(&self.kept).files.get(whole) {
            return known.clone();
        }
        let content = load(system, whole);
        lock(&self.kept).keep(whole, &content);
        content
    }
}

impl Kept {
    fn keep(&mut self, whole: &[u8], content: &Content) {
        let size = size(content);
        if size > MAX_KEPT || self.files.contains_key(whole) {
            return;
        }
        self.bytes += size;
        self.files.insert(whole.into(), content.clone());
        self.order.push_back(whole.into());
        while self.bytes > BUDGET || self.order.len() > MAX_REMEMBERED {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            if let Some(gone) = self.files.remove(&oldest) {
                self.bytes = self.bytes.saturating_sub(self::size(&gone));
            }
        }
    }
}

fn size(content: &Content) -> usize {
    match content {
        Content::Bytes(bytes) => bytes.len(),
        Content::Absent | Content::Special | Content::Failed(_) => 0,
    }
}

fn load(system: &dyn System, whole: &[u8]) -> Content {
    let failed = |error: &std::io::Error| {
        Content::Failed(format!("{}: {error}", String::from_utf8_lossy(whole)).into())
    };
    match system.stat(path(whole)) {
        Ok(metadata) if metadata.kind == FileKind::Regular => {}
        Ok(_) => return Content::Special,
        Err(error) if absent(&error) => return Content::Absent,
        Err(error) => return failed(&error),
    }
    match system.read(path(whole), MAX_FILE) {
        Ok(bytes) => Content::Bytes(Arc::new(bytes)),
        Err(error) if absent(&error) => Content::Absent,
        Err(error) => failed(&error),
    }
}
