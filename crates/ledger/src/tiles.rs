//! C2SP tlog-tiles: how the tree is cut into files of at most 256 hashes.
//!
//! ```text
//! tile/0/000                  256 leaf hashes, 8,192 bytes
//! tile/0/x001/x234/067        the level-0 tile 1,234,067
//! tile/1/000.p/17             a partial tile: 17 hashes, each the root of a full level-0 tile
//! tile/entries/273.p/112      112 entries, each a big-endian u16 length and its bytes
//! ```
//!
//! A tree of 70,000 leaves is 273 full level-0 tiles, one of width 112, one full level-1 tile,
//! one of width 17, and one level-2 tile of width 1.
//!
//! **Hook for a store:** implement [`TileReader`] over a folder, an object store or a table.
//! An asynchronous store asks [`crate::log::append_paths`] or [`crate::proof::inclusion_paths`]
//! which files are needed, fetches them into a [`MemoryTiles`], and goes on synchronously.

use crate::merkle::{Hash, Nodes};
use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// Hashes in a full tile, entries in a full bundle.
pub const TILE_WIDTH: u64 = 256;
/// Levels of the tree within one tile: 256 is 2 to the 8th.
pub const TILE_HEIGHT: u32 = 8;
/// Where the signed tree head is kept.
pub const CHECKPOINT_PATH: &str = "checkpoint";
/// The longest entry that the u16 length prefix can carry.
pub const MAX_ENTRY: usize = u16::MAX as usize;

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileKind {
    /// Log entries.
    Entries,
    /// Hashes at this level, 0 to 63.
    Hashes(u8),
}

/// Names one file of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// Entries, or hashes of which level.
    pub kind: TileKind,
    /// Which one within its level, from 0.
    pub index: u64,
    /// Hashes or entries in it: 256 when full, 1 to 255 when partial.
    pub width: u16,
}

impl Tile {
    /// A full tile.
    pub fn full(kind: TileKind, index: u64) -> Self {
        Self {
            kind,
            index,
            width: 256,
        }
    }

    /// Whether the tile is partial.
    pub fn is_partial(&self) -> bool {
        self.width < 256
    }

    /// The tile as a tree of `size` leaves has it: full, partial, or not at all.
    pub fn in_tree(kind: TileKind, index: u64, size: u64) -> Option<Self> {
        let level = match kind {
            TileKind::Entries => 0,
            TileKind::Hashes(level) => u32::from(level),
        };
        let hashes = size.checked_shr(TILE_HEIGHT * level).unwrap_or(0);
        let start = index.checked_mul(TILE_WIDTH)?;
        let width = hashes.checked_sub(start)?.min(TILE_WIDTH);
        (width > 0).then_some(Self {
            kind,
            index,
            width: u16::try_from(width).unwrap_or(256),
        })
    }

    /// All tiles of a tree of `size` leaves, entries first, then level by level.
    pub fn all_in_tree(size: u64) -> impl Iterator<Item = Self> {
        let kinds = std::iter::once(TileKind::Entries).chain((0..8).map(TileKind::Hashes));
        kinds.flat_map(move |kind| (0..).map_while(move |index| Self::in_tree(kind, index, size)))
    }

    /// Parses a path; only the one spelling that [`Tile`] prints is accepted.
    pub fn parse(path: &str) -> Option<Self> {
        if path.len() > 64 {
            return None;
        }
        let rest = path.strip_prefix("tile/")?;
        let (kind, rest) = rest.split_once('/')?;
        let kind = match kind {
            "entries" => TileKind::Entries,
            level => TileKind::Hashes(decimal(level).filter(|l| *l < 64)?.try_into().ok()?),
        };
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => {
                let width = decimal(width).filter(|w| (1..256).contains(w))?;
                (number, u16::try_from(width).ok()?)
            }
            None => (rest, 256),
        };
        let mut index = 0_u64;
        let mut groups = number.split('/').peekable();
        while let Some(group) = groups.next() {
            let digits = if groups.peek().is_some() {
                group.strip_prefix('x')?
            } else {
                group
            };
            if digits.len() != 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            let part: u64 = digits.parse().ok()?;
            index = index.checked_mul(1000)?.checked_add(part)?;
        }
        let tile = Self { kind, index, width };
        (tile.to_string() == path).then_some(tile)
    }
}

/// An ASCII decimal without leading zeros.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let plain = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok())?
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Entries => f.write_str("tile/entries/")?,
            TileKind::Hashes(level) => write!(f, "tile/{level}/")?,
        }
        let mut groups = vec![self.index % 1000];
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        while let Some(group) = groups.pop() {
            if groups.is_empty() {
                write!(f, "{group:03}")?;
            } else {
                write!(f, "x{group:03}/")?;
            }
        }
        if self.is_partial() {
            write!(f, ".p/{}", self.width)?;
        }
        Ok(())
    }
}

/// Reading failed. Whose fault: whatever keeps the files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("reading {path}: {why}")]
pub struct ReadError {
    /// The file.
    pub path: String,
    /// What the keeper says.
    pub why: String,
}

/// Reads a log's files by their path, such as `tile/0/000` or `checkpoint`.
pub trait TileReader {
    /// The file's bytes, or none if there is no such file.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, ReadError>;
}

impl<R: TileReader + ?Sized> TileReader for &R {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, ReadError> {
        (**self).read(path)
    }
}

/// A log in memory: for tests, and for files fetched beforehand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryTiles {
    /// Path to bytes.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl MemoryTiles {
    /// Stores files, replacing those of the same path.
    pub fn store(&mut self, writes: impl IntoIterator<Item = (String, Vec<u8>)>) {
        self.files.extend(writes);
    }

    /// All paths, in order.
    pub fn list(&self) -> Vec<String> {
        self.files.keys().cloned().collect()
    }
}

impl TileReader for MemoryTiles {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self.files.get(path).cloned())
    }
}

/// Why a file's bytes are not the tile its path names. Whose fault: the stored file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// Neither the tile nor the full one that may have replaced it is there.
    #[error("{path} is missing")]
    Missing {
        /// The file.
        path: String,
    },
    /// The file has another length than its width requires.
    #[error("{path} has {found} bytes, {expected} are required")]
    Length {
        /// The file.
        path: String,
        /// Its length.
        found: usize,
        /// The length it must have.
        expected: usize,
    },
    /// A bundle ends within an entry, or goes on after the last.
    #[error("{path}: entry {index} at byte {offset} {why}")]
    Bundle {
        /// The file.
        path: String,
        /// Which entry of the bundle, from 0.
        index: usize,
        /// Where it begins.
        offset: usize,
        /// What is wrong.
        why: &'static str,
    },
    /// An entry is longer than 65,535 bytes. Whose fault: the caller.
    #[error("an entry of {0} bytes does not fit a u16 length")]
    EntryTooLong(usize),
    /// The file could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Splits a hash tile's bytes.
pub fn decode_hashes(path: &str, bytes: &[u8], width: u16) -> Result<Vec<Hash>, TileError> {
    let expected = usize::from(width) * 32;
    if bytes.len() != expected {
        return Err(TileError::Length {
            path: path.to_owned(),
            found: bytes.len(),
            expected,
        });
    }
    let (chunks, _) = bytes.as_chunks::<32>();
    Ok(chunks.iter().map(|chunk| Hash(*chunk)).collect())
}

/// Joins hashes to a tile's bytes.
pub fn encode_hashes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// Splits an entry bundle's bytes into exactly `width` entries.
pub fn decode_bundle<'a>(
    path: &str,
    bytes: &'a [u8],
    width: u16,
) -> Result<Vec<&'a [u8]>, TileError> {
    let mut entries = Vec::with_capacity(usize::from(width));
    let mut rest = bytes;
    let fail = |index, rest: &[u8], why| {
        Err(TileError::Bundle {
            path: path.to_owned(),
            index,
            offset: bytes.len() - rest.len(),
            why,
        })
    };
    for index in 0..usize::from(width) {
        let Some((length, body)) = rest.split_first_chunk::<2>() else {
            return fail(index, rest, "has no length");
        };
        let length = usize::from(u16::from_be_bytes(*length));
        let Some((entry, after)) = body.split_at_checked(length) else {
            return fail(index, rest, "is cut short");
        };
        entries.push(entry);
        rest = after;
    }
    if rest.is_empty() {
        Ok(entries)
    } else {
        fail(usize::from(width), rest, "should not exist")
    }
}

/// Appends one entry to a bundle's bytes.
pub fn encode_entry(entry: &[u8], out: &mut Vec<u8>) -> Result<(), TileError> {
    let length = u16::try_from(entry.len()).map_err(|_| TileError::EntryTooLong(entry.len()))?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(entry);
    Ok(())
}

/// Reads a tile of a tree; where a partial one is gone, the full one may stand for it, or a
/// full one may not yet be there and no other will do.
pub(crate) fn read_hashes<R: TileReader + ?Sized>(
    reader: &R,
    tile: Tile,
) -> Result<Vec<Hash>, TileError> {
    let path = tile.to_string();
    if let Some(bytes) = reader.read(&path)? {
        return decode_hashes(&path, &bytes, tile.width);
    }
    if tile.is_partial() {
        let full = Tile::full(tile.kind, tile.index);
        if let Some(bytes) = reader.read(&full.to_string())? {
            let mut hashes = decode_hashes(&full.to_string(), &bytes, full.width)?;
            hashes.truncate(usize::from(tile.width));
            return Ok(hashes);
        }
    }
    Err(TileError::Missing { path })
}

/// The nodes of a tree of a given size, read tile by tile and kept while it lives.
///
/// What it reads is not trusted: a proof built from altered tiles does not verify.
pub struct TileNodes<'a, R: ?Sized> {
    reader: &'a R,
    size: u64,
    seen: HashMap<Tile, Vec<Hash>>,
}

impl<'a, R: TileReader + ?Sized> TileNodes<'a, R> {
    /// The nodes of the first `size` leaves.
    pub fn new(reader: &'a R, size: u64) -> Self {
        Self {
            reader,
            size,
            seen: HashMap::new(),
        }
    }

    fn tile(&mut self, tile: Tile) -> Result<&[Hash], TileError> {
        match self.seen.entry(tile) {
            std::collections::hash_map::Entry::Occupied(seen) => Ok(seen.into_mut()),
            std::collections::hash_map::Entry::Vacant(place) => {
                Ok(place.insert(read_hashes(self.reader, tile)?))
            }
        }
    }
}

/// The tile and the hashes in it that make up the node at (level, index).
pub(crate) fn place_of(
    level: u32,
    index: u64,
    size: u64,
) -> Option<(Tile, std::ops::Range<usize>)> {
    let tile_level = level / TILE_HEIGHT;
    let within = level % TILE_HEIGHT;
    let first = index.checked_shl(within)?;
    let kind = TileKind::Hashes(u8::try_from(tile_level).ok()?);
    let tile = Tile::in_tree(kind, first / TILE_WIDTH, size)?;
    let from = usize::try_from(first % TILE_WIDTH).ok()?;
    Some((tile, from..from + (1 << within)))
}

impl<R: TileReader + ?Sized> Nodes for TileNodes<'_, R> {
    type Error = TileError;

    fn node(&mut self, level: u32, index: u64) -> Result<Hash, TileError> {
        let missing = |what: String| TileError::Missing { path: what };
        let outside = || missing(format!("the node {index} of level {level}"));
        let (tile, range) = place_of(level, index, self.size).ok_or_else(outside)?;
        let hashes = self.tile(tile)?;
        let part = hashes.get(range).ok_or_else(outside)?;
        Ok(crate::merkle::root_of(part))
    }
}

#[cfg(test)]
#[path = "tiles_tests.rs"]
mod tests;
