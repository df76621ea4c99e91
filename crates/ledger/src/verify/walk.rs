//! The walk itself: from the bundles up, comparing; then judging which side is wrong.

use super::{Fault, FaultKind, Place, level_of};
use crate::merkle::{Hash, TreeHead, fold, peaks, root_of};
use crate::tiles::{
    CHECKPOINT_PATH, Tile, TileError, TileKind, TileReader, decode_bundle, decode_hashes,
    read_hashes,
};
use std::collections::BTreeMap;

/// Disagreements kept for judging; the first decides, further ones only refine it.
const MAX_SUSPECTS: usize = 64;

/// The listed files, sorted by what they are to the signed tree.
#[derive(Default)]
pub(super) struct Stored {
    /// Beside the tree's own tile: shorter ones that were left over, longer ones ahead.
    beside: BTreeMap<(TileKind, u64), Vec<Tile>>,
    pub(super) ahead: Vec<String>,
    pub(super) unknown: Vec<String>,
}

impl Stored {
    pub(super) fn sort(listing: &[String], size: u64) -> Self {
        let mut sorted = Self::default();
        for path in listing {
            if path == CHECKPOINT_PATH {
                continue;
            }
            // A tree of 2^64 leaves ends at level 7.
            let tile = Tile::parse(path).filter(|tile| level_of(tile.kind) < 8);
            let Some(tile) = tile else {
                sorted.unknown.push(path.clone());
                continue;
            };
            let own = Tile::in_tree(tile.kind, tile.index, size);
            if own == Some(tile) {
                continue;
            }
            if own.is_none_or(|own| own.width < tile.width) {
                sorted.ahead.push(path.clone());
            }
            if own.is_some() {
                let beside = sorted.beside.entry((tile.kind, tile.index)).or_default();
                beside.push(tile);
            }
        }
        sorted
    }
}

/// A stored tile that differs from what its children hash to.
struct Suspect {
    tile: Tile,
    /// The first hash that differs.
    item: usize,
    /// Where the entry of that hash begins in its bundle; for level 0.
    offset: usize,
    /// The root over the stored hashes.
    stored: Hash,
    /// The root over the computed hashes.
    computed: Hash,
}

/// One level as computed so far.
#[derive(Default)]
struct Level {
    /// Full tiles that were completed.
    full: u64,
    /// Hashes of the tile under way.
    row: Vec<Hash>,
    /// What the store has for the tile at the right end.
    stored_edge: Vec<Hash>,
}

pub(super) struct Walk<'a, R: ?Sized> {
    reader: &'a R,
    size: u64,
    stored: Stored,
    levels: Vec<Level>,
    suspects: Vec<Suspect>,
    /// The first leftover, or file ahead, that does not fit.
    beside: Option<Place>,
    /// Size of the earlier tree, and the root that the log has at that size.
    before: u64,
    pub(super) root_before: Option<Hash>,
    pub(super) files: u64,
    pub(super) leftovers: u64,
}

fn fault(error: TileError, place: Place) -> Fault {
    match error {
        TileError::Missing { path } => Fault::new(Place::file(path), FaultKind::Missing),
        TileError::Read(error) => {
            Fault::new(Place::file(&error.path), FaultKind::Unreadable(error))
        }
        other => {
            let why = other.to_string();
            let own = why.strip_prefix(&place.path).unwrap_or(&why);
            let own = own.trim_start_matches([':', ' ']).to_owned();
            Fault::new(place, FaultKind::Malformed(own))
        }
    }
}

impl<'a, R: TileReader + ?Sized> Walk<'a, R> {
    pub(super) fn new(reader: &'a R, size: u64, stored: Stored, before: u64) -> Self {
        Self {
            reader,
            size,
            stored,
            levels: Vec::new(),
            suspects: Vec::new(),
            beside: None,
            before,
            root_before: (before == 0).then(Hash::empty_tree),
            files: 0,
            leftovers: 0,
        }
    }

    /// Reads and compares everything. Only what is missing or malformed is a fault here.
    pub(super) fn run(&mut self) -> Result<(), Fault> {
        let mut index = 0;
        while let Some(tile) = Tile::in_tree(TileKind::Entries, index, self.size) {
            let (leaves, offsets) = self.bundle(tile)?;
            self.files += 1;
            self.check_beside(TileKind::Entries, index, &leaves)?;
            self.note_root_before(index, &leaves);
            self.row(0, &leaves, &offsets)?;
            index += 1;
        }
        for level in 1..self.levels.len() {
            let row = self
                .levels
                .get_mut(level)
                .map(|level| std::mem::take(&mut level.row))
                .unwrap_or_default();
            if !row.is_empty() {
                self.compare(level, &row, &[])?;
                if let Some(level) = self.levels.get_mut(level) {
                    level.row = row;
                }
            }
        }
        Ok(())
    }

    /// The leaf hashes of a bundle, and where each entry begins.
    fn bundle(&self, tile: Tile) -> Result<(Vec<Hash>, Vec<usize>), Fault> {
        let path = tile.to_string();
        let unreadable = |error| fault(TileError::Read(error), Place::file(&path));
        let mut found = (
            path.clone(),
            self.reader.read(&path).map_err(unreadable)?,
            tile,
        );
        if found.1.is_none() && tile.is_partial() {
            let full = Tile::full(tile.kind, tile.index);
            let path = full.to_string();
            found = (
                path.clone(),
                self.reader.read(&path).map_err(unreadable)?,
                full,
            );
        }
        let (path, Some(bytes), stored) = found else {
            return Err(Fault::new(Place::file(path), FaultKind::Missing));
        };
        match decode_bundle(&path, &bytes, stored.width) {
            Ok(entries) => {
                let mut offset = 0;
                Ok(entries
                    .iter()
                    .take(usize::from(tile.width))
                    .map(|entry| {
                        let at = offset;
                        offset += 2 + entry.len();
                        (Hash::leaf(entry), at)
                    })
                    .unzip())
            }
            Err(error) => Err(self.malformed_bundle(stored, &bytes, error)),
        }
    }

    /// A wrong length shows only further on; the leaf hashes tell where it began.
    fn malformed_bundle(&self, tile: Tile, bytes: &[u8], error: TileError) -> Fault {
        let leaves = Tile::in_tree(TileKind::Hashes(0), tile.index, self.size)
            .and_then(|leaves| read_hashes(self.reader, leaves).ok())
            .unwrap_or_default();
        let (mut offset, mut item) = (0, 0);
        for leaf in leaves {
            let entry = bytes.get(offset..).and_then(|rest| {
                let (length, rest) = rest.split_first_chunk::<2>()?;
                rest.get(..usize::from(u16::from_be_bytes(*length)))
            });
            match entry {
                Some(entry) if Hash::leaf(entry) == leaf => offset += 2 + entry.len(),
                _ => break,
            }
            item += 1;
        }
        fault(error, Place::entry(tile, item, offset))
    }

    /// Takes a computed row of a level: compares it with the store and, once it is full,
    /// hands its root to the level above.
    fn row(&mut self, level: usize, row: &[Hash], offsets: &[usize]) -> Result<(), Fault> {
        self.compare(level, row, offsets)?;
        if self.levels.len() <= level + 1 {
            self.levels.resize_with(level + 2, Level::default);
        }
        if row.len() < 256 {
            if let Some(level) = self.levels.get_mut(level) {
                level.row = row.to_vec();
            }
            return Ok(());
        }
        if let Some(level) = self.levels.get_mut(level) {
            level.full += 1;
        }
        let Some(above) = self.levels.get_mut(level + 1) else {
            return Ok(());
        };
        above.row.push(root_of(row));
        if above.row.len() == 256 {
            let full = std::mem::take(&mut above.row);
            self.row(level + 1, &full, &[])?;
        }
        Ok(())
    }

    /// Compares a computed row with the stored tile, and with those beside it.
    fn compare(&mut self, level: usize, row: &[Hash], offsets: &[usize]) -> Result<(), Fault> {
        let index = self.levels.get(level).map_or(0, |level| level.full);
        let kind = TileKind::Hashes(u8::try_from(level).unwrap_or(u8::MAX));
        let Some(tile) = Tile::in_tree(kind, index, self.size) else {
            return Ok(());
        };
        let stored =
            read_hashes(self.reader, tile).map_err(|error| fault(error, Place::file(tile)))?;
        self.files += 1;
        if let Some(item) = differs(&stored, row)
            && self.suspects.len() < MAX_SUSPECTS
        {
            self.suspects.push(Suspect {
                tile,
                item,
                offset: offsets.get(item).copied().unwrap_or_default(),
                stored: root_of(&stored),
                computed: root_of(row),
            });
        }
        if tile.is_partial() {
            if self.levels.len() <= level {
                self.levels.resize_with(level + 1, Level::default);
            }
            if let Some(level) = self.levels.get_mut(level) {
                level.stored_edge = stored;
            }
        }
        self.check_beside(kind, index, row)
    }

    /// Checks leftovers, and what files ahead share with the tree, against the computed row.
    fn check_beside(&mut self, kind: TileKind, index: u64, row: &[Hash]) -> Result<(), Fault> {
        for tile in self
            .stored
            .beside
            .remove(&(kind, index))
            .unwrap_or_default()
        {
            let path = tile.to_string();
            let read = self.reader.read(&path);
            let read = read.map_err(|e| fault(TileError::Read(e), Place::file(&path)))?;
            // A leftover may be deleted at any time, also since it was listed.
            let Some(bytes) = read else { continue };
            let (place, hashes): (fn(Tile, usize, usize) -> Place, _) = match kind {
                TileKind::Entries => (
                    Place::entry,
                    decode_bundle(&path, &bytes, tile.width)
                        .map(|entries| entries.into_iter().map(Hash::leaf).collect::<Vec<_>>()),
                ),
                TileKind::Hashes(_) => (
                    |tile, item, _| Place::hash(tile, item),
                    decode_hashes(&path, &bytes, tile.width),
                ),
            };
            let hashes = hashes.map_err(|error| fault(error, Place::file(&path)))?;
            if usize::from(tile.width) <= row.len() {
                self.leftovers += 1;
            }
            if let Some(item) = differs(&hashes, row) {
                let offset = match decode_bundle(&path, &bytes, tile.width) {
                    Ok(entries) => entries.iter().take(item).map(|e| e.len() + 2).sum(),
                    Err(_) => 0,
                };
                self.beside.get_or_insert(place(tile, item, offset));
            }
        }
        Ok(())
    }

    /// If the earlier tree ended within this bundle, keeps the root at that size.
    fn note_root_before(&mut self, index: u64, leaves: &[Hash]) {
        let within = self.before.checked_sub(index * 256);
        let part = within
            .and_then(|n| usize::try_from(n).ok())
            .filter(|n| *n > 0)
            .and_then(|n| leaves.get(..n));
        if let Some(part) = part {
            let mut parts = Vec::new();
            for level in self.levels.iter().skip(1).rev() {
                peaks(&level.row, &mut parts);
            }
            peaks(part, &mut parts);
            self.root_before = Some(fold(&parts));
        }
    }

    fn edge_root(&self, of: impl Fn(&Level) -> &[Hash]) -> Hash {
        let mut parts = Vec::new();
        for level in self.levels.iter().rev() {
            peaks(of(level), &mut parts);
        }
        fold(&parts)
    }

    /// Says who is wrong, given the signed root.
    pub(super) fn judge(&self, head: &TreeHead) -> Result<(), Fault> {
        let altered = |place| Err(Fault::new(place, FaultKind::Altered));
        let root = self.edge_root(|level| &level.row);
        if root == head.root {
            // The bundles are what was signed, so whatever differs from them is wrong.
            return match (self.suspects.first(), &self.beside) {
                (Some(suspect), _) => altered(Place::hash(suspect.tile, suspect.item)),
                (None, Some(place)) => altered(place.clone()),
                (None, None) => Ok(()),
            };
        }
        // Some entry is wrong. A stored leaf tile that its own parent vouches for tells which.
        let edge_good = self.edge_root(|level| &level.stored_edge) == head.root;
        let leaf_tiles = || {
            let level_0 = |suspect: &&Suspect| level_of(suspect.tile.kind) == 0;
            self.suspects.iter().filter(level_0)
        };
        let vouched = |suspect: &&Suspect| {
            if suspect.tile.is_partial() {
                edge_good
            } else {
                self.parent_of(suspect.tile) == Some(suspect.stored)
            }
        };
        let innocent = |suspect: &&Suspect| {
            !suspect.tile.is_partial() && self.parent_of(suspect.tile) == Some(suspect.computed)
        };
        let guilty = leaf_tiles()
            .find(vouched)
            .or_else(|| leaf_tiles().find(|suspect| !innocent(suspect)));
        if let Some(suspect) = guilty {
            let bundle = Tile {
                kind: TileKind::Entries,
                ..suspect.tile
            };
            return altered(Place::entry(bundle, suspect.item, suspect.offset));
        }
        // Bundle and leaf tile agree with each other, and not with the level above them.
        if let Some(suspect) = self.suspects.iter().find(|s| level_of(s.tile.kind) > 0) {
            let index = suspect.tile.index * 256 + suspect.item as u64;
            let kind = match level_of(suspect.tile.kind) {
                1 => TileKind::Entries,
                level => TileKind::Hashes(level - 1),
            };
            return altered(Place::file(Tile::full(kind, index)));
        }
        let place = Place::file(CHECKPOINT_PATH);
        Err(Fault::new(place, FaultKind::RootMismatch { found: root }))
    }

    /// What the store's next level says the root of a full tile is.
    fn parent_of(&self, tile: Tile) -> Option<Hash> {
        let kind = TileKind::Hashes(level_of(tile.kind) + 1);
        let parent = Tile::in_tree(kind, tile.index / 256, self.size)?;
        let hashes = read_hashes(self.reader, parent).ok()?;
        hashes.get(usize::try_from(tile.index % 256).ok()?).copied()
    }
}

/// The first place where two rows differ, as far as both go.
fn differs(stored: &[Hash], computed: &[Hash]) -> Option<usize> {
    stored.iter().zip(computed).position(|(a, b)| a != b)
}
