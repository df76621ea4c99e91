//! Appending: from the right edge of a tree and a batch of entries to the files to write.
//!
//! Nothing is written here. [`RightEdge::append`] returns paths and bytes in the order in
//! which they are to be stored; the caller stores them and then, last, a signed checkpoint of
//! the new head. The same edge and batch give the same bytes, so a round that was cut off is
//! simply repeated.
//!
//! ```text
//! size 254, three entries:   tile/entries/000        full
//!                            tile/entries/001.p/1
//!                            tile/0/000              full
//!                            tile/0/001.p/1
//!                            tile/1/000.p/1          the root of tile/0/000
//! ```
//!
//! Partial tiles of earlier sizes stay beside the full ones. They may be deleted.

use crate::merkle::{Hash, TreeHead, fold, peaks, root_of};
use crate::tiles::{
    Tile, TileError, TileKind, TileReader, decode_bundle, encode_entry, encode_hashes, read_hashes,
};

/// Why a log cannot be appended to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The stored right edge does not hash to the tree head. Whose fault: the stored files, or
    /// a head that is not theirs. Appending would sign what is not there.
    #[error("the stored tiles of size {} hash to {found}, not to {}", head.size, head.root)]
    EdgeMismatch {
        /// The head that was to be extended.
        head: TreeHead,
        /// What the tiles hash to.
        found: Hash,
    },
    /// The last bundle's entry does not hash to the last level-0 tile's leaf.
    #[error("{path}: entry {index} does not hash to its leaf")]
    EntryMismatch {
        /// The bundle.
        path: String,
        /// Which entry of it, from 0.
        index: usize,
    },
    /// The tree would exceed what a u64 counts.
    #[error("the log is full")]
    Full,
    /// A tile is missing, unreadable or malformed; or an entry is too long.
    #[error(transparent)]
    Tile(#[from] TileError),
}

/// What an append asks to be stored, and the tree that then stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// Path and bytes, in the order of storing. Each path appears once.
    pub writes: Vec<(String, Vec<u8>)>,
    /// Size of the tree after it.
    pub size: u64,
    /// Root of the tree after it.
    pub root: Hash,
}

impl Append {
    /// Size and root together.
    pub fn head(&self) -> TreeHead {
        TreeHead {
            size: self.size,
            root: self.root,
        }
    }
}

/// The rightmost, partial tile of every level: all that appending needs of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RightEdge {
    size: u64,
    /// Hashes of the partial tile of each level; the last level may be empty.
    levels: Vec<Vec<Hash>>,
    /// Bytes of the partial entry bundle.
    bundle: Vec<u8>,
}

/// The files that [`RightEdge::load`] reads for a tree of `size`, for stores that fetch first.
pub fn append_paths(size: u64) -> Vec<String> {
    edge_tiles(size).map(|tile| tile.to_string()).collect()
}

fn edge_tiles(size: u64) -> impl Iterator<Item = Tile> {
    let kinds = std::iter::once(TileKind::Entries).chain((0..8).map(TileKind::Hashes));
    kinds.filter_map(move |kind| edge_tile(kind, size))
}

/// The partial tile at the right end of a level, if there is one.
fn edge_tile(kind: TileKind, size: u64) -> Option<Tile> {
    let level = match kind {
        TileKind::Entries => 0,
        TileKind::Hashes(level) => u32::from(level),
    };
    let index = size.checked_shr(8 * (level + 1)).unwrap_or(0);
    Tile::in_tree(kind, index, size).filter(Tile::is_partial)
}

impl RightEdge {
    /// The edge of the empty tree.
    pub fn empty() -> Self {
        Self {
            size: 0,
            levels: Vec::new(),
            bundle: Vec::new(),
        }
    }

    /// Reads the edge of the tree `head` and makes sure that it is that tree's.
    pub fn load<R: TileReader + ?Sized>(reader: &R, head: &TreeHead) -> Result<Self, LogError> {
        let mut edge = Self {
            size: head.size,
            levels: Vec::new(),
            bundle: Vec::new(),
        };
        let mut level = 0_u8;
        while head.size.checked_shr(8 * u32::from(level)).unwrap_or(0) > 0 {
            edge.levels
                .push(match edge_tile(TileKind::Hashes(level), head.size) {
                    Some(tile) => read_hashes(reader, tile)?,
                    None => Vec::new(),
                });
            level += 1;
        }
        let found = edge.root();
        if found != head.root {
            return Err(LogError::EdgeMismatch { head: *head, found });
        }
        if let Some(tile) = edge_tile(TileKind::Entries, head.size) {
            edge.bundle = load_bundle(reader, tile, edge.levels.first())?;
        }
        Ok(edge)
    }

    /// Size of the tree.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Root of the tree.
    pub fn root(&self) -> Hash {
        let mut parts = Vec::new();
        for level in self.levels.iter().rev() {
            peaks(level, &mut parts);
        }
        fold(&parts)
    }

    /// Size and root of the tree.
    pub fn head(&self) -> TreeHead {
        TreeHead {
            size: self.size,
            root: self.root(),
        }
    }

    /// Appends a batch and moves the edge. After an error the edge must not be used again.
    pub fn append<E: AsRef<[u8]>>(&mut self, entries: &[E]) -> Result<Append, LogError> {
        let mut bundles = Vec::new();
        let mut hashes = Vec::new();
        for entry in entries {
            let entry = entry.as_ref();
            encode_entry(entry, &mut self.bundle)?;
            let index = self.size / 256;
            self.size = self.size.checked_add(1).ok_or(LogError::Full)?;
            if self.size.is_multiple_of(256) {
                let bytes = std::mem::take(&mut self.bundle);
                bundles.push((Tile::full(TileKind::Entries, index), bytes));
            }
            self.push(0, Hash::leaf(entry), &mut hashes);
        }
        if !entries.is_empty() {
            self.partial_tiles(&mut bundles, &mut hashes);
        }
        hashes.sort_by_key(|(tile, _)| *tile);
        let writes = bundles
            .into_iter()
            .chain(hashes)
            .map(|(tile, bytes)| (tile.to_string(), bytes))
            .collect();
        Ok(Append {
            writes,
            size: self.size,
            root: self.root(),
        })
    }

    /// Adds a hash to a level; a tile that becomes full is emitted and its root moves up.
    fn push(&mut self, level: u8, hash: Hash, out: &mut Vec<(Tile, Vec<u8>)>) {
        let at = usize::from(level);
        if self.levels.len() <= at {
            self.levels.resize(at + 1, Vec::new());
        }
        let Some(row) = self.levels.get_mut(at) else {
            return;
        };
        row.push(hash);
        if row.len() < 256 {
            return;
        }
        let row = std::mem::take(row);
        // The tile's index is the number of full tiles before it.
        let index = (self.size >> (8 * (u32::from(level) + 1))) - 1;
        let tile = Tile::full(TileKind::Hashes(level), index);
        out.push((tile, encode_hashes(&row)));
        self.push(level + 1, root_of(&row), out);
    }

    fn partial_tiles(&self, bundles: &mut Vec<(Tile, Vec<u8>)>, hashes: &mut Vec<(Tile, Vec<u8>)>) {
        if let Some(tile) = edge_tile(TileKind::Entries, self.size) {
            bundles.push((tile, self.bundle.clone()));
        }
        for (level, row) in (0_u8..).zip(&self.levels) {
            if let Some(tile) = edge_tile(TileKind::Hashes(level), self.size) {
                hashes.push((tile, encode_hashes(row)));
            }
        }
    }
}

/// Reads the partial bundle, from a longer one where a later round has got further, and
/// checks its entries against their leaves.
fn load_bundle<R: TileReader + ?Sized>(
    reader: &R,
    tile: Tile,
    leaves: Option<&Vec<Hash>>,
) -> Result<Vec<u8>, LogError> {
    let path = tile.to_string();
    let full = Tile::full(tile.kind, tile.index);
    let (path, bytes, width) = match reader.read(&path).map_err(TileError::from)? {
        Some(bytes) => (path, bytes, tile.width),
        None => match reader.read(&full.to_string()).map_err(TileError::from)? {
            Some(bytes) => (full.to_string(), bytes, full.width),
            None => return Err(TileError::Missing { path }.into()),
        },
    };
    let entries = decode_bundle(&path, &bytes, width)?;
    let mut bundle = Vec::with_capacity(bytes.len());
    let leaves = leaves.map_or(&[][..], Vec::as_slice);
    for (index, (entry, leaf)) in entries.iter().zip(leaves).enumerate() {
        if Hash::leaf(entry) != *leaf {
            return Err(LogError::EntryMismatch { path, index });
        }
        encode_entry(entry, &mut bundle)?;
    }
    Ok(bundle)
}

/// Loads the edge of `head` and appends a batch: one round of a sequencer.
pub fn append<R: TileReader + ?Sized, E: AsRef<[u8]>>(
    reader: &R,
    head: &TreeHead,
    entries: &[E],
) -> Result<Append, LogError> {
    RightEdge::load(reader, head)?.append(entries)
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
