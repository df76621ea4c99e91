//! Where files come from: a folder, the layers of an image.

mod folder;
pub mod fuzzing;
mod layers;
mod tar;
mod unpack;

pub use folder::Folder;
pub use layers::{Layer, Layers};
pub(crate) use tar::{Entries, Kind as TarKind, clean};
pub use unpack::Side;

use crate::Unread;
use bartizan_model::Digest;

/// The largest file that is read, in bytes: it is held in memory.
pub const LARGEST: u64 = 512 << 20;

/// A file that may be read. Paths are relative, with `/`, and begin with none.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// `var/lib/dpkg/status`.
    pub path: &'a str,
    /// Bytes.
    pub size: u64,
    /// Whether anybody may execute it.
    pub executable: bool,
}

impl<'a> Candidate<'a> {
    /// The last part of the path.
    pub fn name(&self) -> &'a str {
        self.path
            .rsplit_once('/')
            .map_or(self.path, |(_, name)| name)
    }
}

/// A file that was read, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// As in [`Candidate`].
    pub path: String,
    /// Whether anybody may execute it.
    pub executable: bool,
    /// What it holds.
    pub bytes: Vec<u8>,
    /// The layer of an image that brought it.
    pub layer: Option<Digest>,
}

impl File {
    /// What was known before it was read.
    pub fn candidate(&self) -> Candidate<'_> {
        Candidate {
            path: &self.path,
            size: self.bytes.len() as u64,
            executable: self.executable,
        }
    }
}

/// Offers every file that is there in the end once, in any order.
pub trait Tree {
    /// Reads what is wanted. What is too large, outside, or broken is told in `unread`; the rest goes on.
    fn visit(
        &mut self,
        wanted: &dyn Fn(&Candidate<'_>) -> bool,
        each: &mut dyn FnMut(File),
        unread: &mut Vec<Unread>,
    );
}
