//! C2SP tlog-proof: a text file that proves, offline, that an entry is in a log.
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ
//! index 73894
//! gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
//! B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
//!
//! example.com/fancylog
//! 109482
//! sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=
//!
//! — example.com/fancylog hI2DJw[...]1roloI=
//! ```
//!
//! `extra` is not authenticated. Ours carries the salt and body of the entry, which the leaf
//! commits to, see [`crate::commit`].

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::merkle::{self, Hash, ProofError};
use crate::note::{MAX_NOTE, VerifierKey};
use crate::tiles::{TileError, TileNodes, TileReader, decimal, place_of};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeSet;
use std::fmt;

/// The first line.
const MAGIC: &str = "c2sp.org/tlog-proof@v1";
/// The longest proof file read.
pub const MAX_PROOF: usize = MAX_NOTE + 256 * 1024;

/// Why a proof cannot be made, read or believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlogProofError {
    /// The signed tree head is not read or not believed.
    #[error("the proof's checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The bytes are not a proof file. Whose fault: the file.
    #[error("not a proof file: line {line}: {why}")]
    Malformed {
        /// Line, from 1; 0 for the file as a whole.
        line: usize,
        /// What is wrong.
        why: &'static str,
    },
    /// The entry is not at that place of the tree.
    #[error("the inclusion proof: {0}")]
    Proof(#[from] ProofError),
    /// A tile is missing, unreadable or malformed.
    #[error(transparent)]
    Tile(#[from] TileError),
}

/// An inclusion proof together with the checkpoint it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    /// Unauthenticated data for the application.
    pub extra: Option<Vec<u8>>,
    /// The entry's index in the log.
    pub index: u64,
    /// Sibling hashes from the leaf up.
    pub path: Vec<Hash>,
    /// The signed checkpoint, verbatim.
    pub checkpoint: String,
}

impl TlogProof {
    /// Reads a proof file.
    pub fn parse(bytes: &[u8]) -> Result<Self, TlogProofError> {
        let fail = |line, why| TlogProofError::Malformed { line, why };
        if bytes.len() > MAX_PROOF {
            return Err(fail(0, "too long"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| fail(0, "not UTF-8"))?;
        let mut rest = text;
        let mut number = 0;
        let mut next = || {
            number += 1;
            let (line, after) = rest
                .split_once('\n')
                .ok_or(fail(number, "the file ends too early"))?;
            rest = after;
            Ok::<_, TlogProofError>((number, line, after))
        };
        if next()?.1 != MAGIC {
            return Err(fail(1, "not c2sp.org/tlog-proof@v1"));
        }
        let (mut at, mut line, _) = next()?;
        let mut extra = None;
        if let Some(encoded) = line.strip_prefix("extra ") {
            let bytes = STANDARD.decode(encoded);
            extra = Some(bytes.map_err(|_| fail(at, "extra is not base64"))?);
            (at, line, _) = next()?;
        }
        let index = line
            .strip_prefix("index ")
            .and_then(decimal)
            .ok_or(fail(at, "not an index"))?;
        let mut path = Vec::new();
        let checkpoint = loop {
            let (at, line, after) = next()?;
            if line.is_empty() {
                break after.to_owned();
            }
            if path.len() == 64 {
                return Err(fail(at, "more hashes than any tree has levels"));
            }
            path.push(Hash::from_base64(line).ok_or(fail(at, "not a base64 hash"))?);
        };
        // So that an unreadable checkpoint is found where the file is read.
        Checkpoint::read_unverified(checkpoint.as_bytes())?;
        Ok(Self {
            extra,
            index,
            path,
            checkpoint,
        })
    }

    /// Checks that the leaf is in the tree that `key` signed; returns what was signed.
    pub fn verify(&self, leaf: &Hash, key: &VerifierKey) -> Result<Checkpoint, TlogProofError> {
        let checkpoint = Checkpoint::open(self.checkpoint.as_bytes(), key)?;
        merkle::verify_inclusion(leaf, self.index, &checkpoint.head, &self.path)?;
        Ok(checkpoint)
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{MAGIC}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.path {
            writeln!(f, "{}", hash.base64())?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

/// Proves from stored tiles that leaf `index` is in the tree of the first `size` leaves.
pub fn inclusion<R: TileReader + ?Sized>(
    reader: &R,
    index: u64,
    size: u64,
) -> Result<Vec<Hash>, TlogProofError> {
    merkle::prove_inclusion(&mut TileNodes::new(reader, size), index, size)
}

/// Proves from stored tiles that the tree of `new` leaves extends the tree of `old`.
pub fn consistency<R: TileReader + ?Sized>(
    reader: &R,
    old: u64,
    new: u64,
) -> Result<Vec<Hash>, TlogProofError> {
    merkle::prove_consistency(&mut TileNodes::new(reader, new), old, new)
}

/// The files that [`inclusion`] reads, for stores that fetch first.
pub fn inclusion_paths(index: u64, size: u64) -> Result<Vec<String>, ProofError> {
    merkle::inclusion_ranges(index, size).map(|ranges| paths(ranges, size))
}

/// The files that [`consistency`] reads, for stores that fetch first.
pub fn consistency_paths(old: u64, new: u64) -> Result<Vec<String>, ProofError> {
    merkle::consistency_ranges(old, new).map(|ranges| paths(ranges, new))
}

fn paths(ranges: Vec<(u64, u64)>, size: u64) -> Vec<String> {
    let tiles: BTreeSet<_> = ranges
        .into_iter()
        .flat_map(|(from, to)| merkle::subtrees(from, to))
        .filter_map(|(level, index)| place_of(level, index, size))
        .map(|(tile, _)| tile)
        .collect();
    tiles.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
#[path = "proof_tests.rs"]
mod tests;
