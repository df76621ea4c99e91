//! Walks a whole stored log and names the place of the first thing that does not fit.
//!
//! Everything is computed anew from the entry bundles and compared with every stored tile at
//! every level, with partial tiles left over from smaller trees, and with the root that the
//! checkpoint signs. When something differs, the signed root tells which side is right:
//!
//! ```text
//! tile/entries/001: entry 44 (byte 1672, log index 300) was altered
//! tile/0/000: hash 17 (byte 544) was altered
//! tile/1/000.p/2 is missing
//! checkpoint: line 2: not a decimal tree size
//! ```
//!
//! Memory stays at one bundle and one tile a level, whatever the size of the log.

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::jwks::Jwks;
use crate::merkle::{Hash, TreeHead};
use crate::note::{NoteError, SignedNote, VerifierKey};
use crate::tiles::{CHECKPOINT_PATH, ReadError, Tile, TileKind, TileReader};
use std::fmt;

mod walk;
use walk::{Stored, Walk};

/// Where in the stored log a fault is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// The file, such as `tile/0/003` or `checkpoint`.
    pub path: String,
    /// Which hash or entry of the file, from 0.
    pub item: Option<u64>,
    /// Where in the file that begins, in bytes.
    pub offset: Option<u64>,
    /// For an entry, its index in the log.
    pub index: Option<u64>,
    /// Line of a text file, from 1.
    pub line: Option<u64>,
}

impl Place {
    fn file(path: impl ToString) -> Self {
        Self {
            path: path.to_string(),
            ..Self::default()
        }
    }

    fn hash(path: impl ToString, item: usize) -> Self {
        let item = item as u64;
        Self {
            item: Some(item),
            offset: Some(item * 32),
            ..Self::file(path)
        }
    }

    fn entry(tile: Tile, item: usize, offset: usize) -> Self {
        Self {
            item: Some(item as u64),
            offset: Some(offset as u64),
            index: Some(tile.index * 256 + item as u64),
            ..Self::file(tile)
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if let (Some(item), Some(offset)) = (self.item, self.offset) {
            match self.index {
                Some(index) => {
                    write!(f, ": entry {item} (byte {offset}, log index {index})")?;
                }
                None => write!(f, ": hash {item} (byte {offset})")?,
            }
        }
        if let Some(line) = self.line {
            write!(f, ": line {line}")?;
        }
        Ok(())
    }
}

/// What is wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// The bytes are not those that the signed root covers.
    Altered,
    /// The checkpoint is not believed.
    Checkpoint(CheckpointError),
    /// The log is shorter than, or contradicts, a checkpoint that was seen before.
    Inconsistent {
        /// The tree that was seen before.
        previous: TreeHead,
        /// The root at that size now; none when the log is shorter.
        now: Option<Hash>,
    },
    /// The file's form is wrong.
    Malformed(String),
    /// The file is gone.
    Missing,
    /// The checkpoint seen before is not believed.
    Previous(CheckpointError),
    /// The tree that all files agree on is not the one that was signed.
    RootMismatch {
        /// What the files hash to.
        found: Hash,
    },
    /// The key set has no key of the log that the checkpoint names.
    UnknownLog(String),
    /// The file could not be read.
    Unreadable(ReadError),
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Altered => f.write_str("was altered"),
            Self::Checkpoint(error) => write!(f, "is not believed: {error}"),
            Self::Inconsistent { previous, now } => {
                let size = previous.size;
                match now {
                    Some(now) => write!(
                        f,
                        "contradicts an earlier checkpoint: {size} entries hashed to {}, now to {now}",
                        previous.root
                    ),
                    None => write!(f, "is of a smaller tree than one seen earlier, of {size}"),
                }
            }
            Self::Malformed(why) => write!(f, "is malformed: {why}"),
            Self::Missing => f.write_str("is missing"),
            Self::Previous(error) => write!(f, "of earlier is not believed: {error}"),
            Self::RootMismatch { found } => {
                write!(
                    f,
                    "does not sign this tree: all files agree on the root {found}"
                )
            }
            Self::UnknownLog(origin) => {
                write!(f, "is of {origin:?}, of which the key set has no key")
            }
            Self::Unreadable(error) => write!(f, "cannot be read: {}", error.why),
        }
    }
}

/// The first thing found wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place} {kind}")]
pub struct Fault {
    /// Where; boxed, as clippy wants errors small.
    pub place: Box<Place>,
    /// What.
    pub kind: FaultKind,
}

impl Fault {
    fn new(place: Place, kind: FaultKind) -> Self {
        let place = Box::new(place);
        Self { place, kind }
    }
}

/// What was verified, and what stands beside it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// The log's name.
    pub origin: String,
    /// Entries, all of which were hashed.
    pub size: u64,
    /// The signed root, in hexadecimal.
    pub root: String,
    /// Files whose every byte was checked against the signed root, the checkpoint included.
    pub files: u64,
    /// Partial tiles of earlier sizes that still stand beside longer ones; all were checked.
    pub leftovers: u64,
    /// Files of a tree larger than the signed one: a round that was cut off, or one under way.
    /// What the signed tree shares with them was checked, the rest no signature covers yet.
    pub ahead: Vec<String>,
    /// Files that do not belong to a log.
    pub unknown: Vec<String>,
    /// Size of the previous checkpoint that the log was found to extend.
    pub extends: Option<u64>,
}

/// What to verify beyond the tree itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// All stored paths. Without them leftovers, files ahead and unknown files go unseen.
    pub listing: Option<&'a [String]>,
    /// A signed checkpoint seen earlier, which the log must extend.
    pub previous: Option<&'a [u8]>,
    /// Let witnesses and others sign the checkpoint too; their lines are not checked.
    pub allow_other_signatures: bool,
}

/// Verifies every file of a log against the checkpoint that `key` signed.
pub fn verify_log<R: TileReader + ?Sized>(
    reader: &R,
    key: &VerifierKey,
    options: &Options<'_>,
) -> Result<Summary, Fault> {
    verify_with(reader, key, key, options)
}

/// Verifies every file of a log with the keys that its installation published: the checkpoint
/// says which log it is, and, after a rotation, by which key it is signed.
pub fn verify_published<R: TileReader + ?Sized>(
    reader: &R,
    jwks: &Jwks,
    options: &Options<'_>,
) -> Result<Summary, Fault> {
    let key_of = |note: &[u8]| {
        let note = SignedNote::parse(note)?;
        let origin = Checkpoint::parse(&note.text)?.origin;
        let mut keys = jwks.log_keys(&origin);
        let newest = keys.pop();
        let signer = keys.into_iter().find(|key| note.names(key));
        Ok((origin, newest.map(|newest| signer.unwrap_or(newest))))
    };
    let note = read_note(reader)?;
    let (origin, key) = key_of(&note).map_err(checkpoint_fault)?;
    let Some(key) = key else {
        let kind = FaultKind::UnknownLog(origin);
        return Err(Fault::new(Place::file(CHECKPOINT_PATH), kind));
    };
    // A previous checkpoint that names nobody we know is refused for its signature.
    let previous = options.previous.and_then(|note| key_of(note).ok()?.1);
    verify_with(reader, &key, previous.as_ref().unwrap_or(&key), options)
}

fn verify_with<R: TileReader + ?Sized>(
    reader: &R,
    key: &VerifierKey,
    previous_key: &VerifierKey,
    options: &Options<'_>,
) -> Result<Summary, Fault> {
    let checkpoint = read_checkpoint(reader, key, options)?;
    let head = checkpoint.head;
    let previous = read_previous(&head, previous_key, options)?;
    let mut stored = Stored::sort(options.listing.unwrap_or_default(), head.size);
    let mut summary = Summary {
        origin: checkpoint.origin,
        size: head.size,
        root: head.root.hex(),
        ahead: std::mem::take(&mut stored.ahead),
        unknown: std::mem::take(&mut stored.unknown),
        extends: previous.map(|previous| previous.size),
        ..Summary::default()
    };
    let mut walk = Walk::new(reader, head.size, stored, previous.map_or(0, |p| p.size));
    walk.run()?;
    walk.judge(&head)?;
    if let Some(previous) = previous {
        let now = walk.root_before;
        if now != Some(previous.root) {
            let kind = FaultKind::Inconsistent { previous, now };
            return Err(Fault::new(Place::file(CHECKPOINT_PATH), kind));
        }
    }
    summary.files = walk.files + walk.leftovers + 1;
    summary.leftovers = walk.leftovers;
    Ok(summary)
}

/// The line of a checkpoint that an error is about, where it says.
fn line_of(error: &CheckpointError) -> Option<u64> {
    match error {
        CheckpointError::Malformed { line, .. }
        | CheckpointError::Note(
            NoteError::Malformed { line, .. } | NoteError::UnknownSignature { line, .. },
        ) => Some(*line as u64).filter(|line| *line > 0),
        CheckpointError::Origin { .. } => Some(1),
        CheckpointError::Note(_) => None,
    }
}

fn checkpoint_fault(error: CheckpointError) -> Fault {
    let place = Place {
        line: line_of(&error),
        ..Place::file(CHECKPOINT_PATH)
    };
    Fault::new(place, FaultKind::Checkpoint(error))
}

fn read_note<R: TileReader + ?Sized>(reader: &R) -> Result<Vec<u8>, Fault> {
    let fail = |kind| Fault::new(Place::file(CHECKPOINT_PATH), kind);
    reader
        .read(CHECKPOINT_PATH)
        .map_err(|error| fail(FaultKind::Unreadable(error)))?
        .ok_or_else(|| fail(FaultKind::Missing))
}

fn read_checkpoint<R: TileReader + ?Sized>(
    reader: &R,
    key: &VerifierKey,
    options: &Options<'_>,
) -> Result<Checkpoint, Fault> {
    let note = read_note(reader)?;
    let checkpoint = if options.allow_other_signatures {
        Checkpoint::open(&note, key)
    } else {
        Checkpoint::open_only(&note, key)
    };
    checkpoint.map_err(checkpoint_fault)
}

fn read_previous(
    head: &TreeHead,
    key: &VerifierKey,
    options: &Options<'_>,
) -> Result<Option<TreeHead>, Fault> {
    let Some(note) = options.previous else {
        return Ok(None);
    };
    let fail = |kind| Fault::new(Place::file(CHECKPOINT_PATH), kind);
    let previous = Checkpoint::open(note, key)
        .map_err(|error| fail(FaultKind::Previous(error)))?
        .head;
    if previous.size > head.size {
        let now = None;
        return Err(fail(FaultKind::Inconsistent { previous, now }));
    }
    Ok(Some(previous))
}

/// The level that a kind of tile counts on: bundles stand beside level 0.
fn level_of(kind: TileKind) -> u8 {
    match kind {
        TileKind::Entries => 0,
        TileKind::Hashes(level) => level,
    }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
