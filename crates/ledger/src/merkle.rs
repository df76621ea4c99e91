//! The Merkle tree of RFC 6962 section 2.1 (the same as RFC 9162 section 2.1) over SHA-256.
//!
//! ```text
//! leaf      = SHA-256(0x00 || entry)
//! node      = SHA-256(0x01 || left || right)
//! empty     = SHA-256("")  = e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
//! leaf("")  = 6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d
//! ```
//!
//! A tree of `n` leaves splits at the greatest power of two below `n`. Proofs are lists of
//! sibling hashes from the leaf up. They are built through [`Nodes`], which hands out hashes
//! of complete subtrees, so that a log can be read tile by tile.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// A SHA-256 hash of a leaf, a node or a whole tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The tree of no leaves.
    pub fn empty_tree() -> Self {
        Self(Sha256::digest([]).into())
    }

    /// The hash of a leaf with this entry.
    pub fn leaf(entry: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update([0]);
        hash.update(entry);
        Self(hash.finalize().into())
    }

    /// The hash of a node over two subtrees.
    pub fn node(left: &Self, right: &Self) -> Self {
        let mut bytes = [1; 65];
        for (to, from) in bytes.iter_mut().skip(1).zip(left.0.iter().chain(&right.0)) {
            *to = *from;
        }
        Self(Sha256::digest(bytes).into())
    }

    /// Lower-case hexadecimal.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// Standard base64 with padding, as notes carry it.
    pub fn base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// Reads [`Hash::hex`]; upper case is refused, so that a hash has one spelling.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut hash = Self([0; 32]);
        hex::decode_to_slice(text, &mut hash.0).ok()?;
        (hash.hex() == text).then_some(hash)
    }

    /// Reads [`Hash::base64`]; other spellings of the same bytes are refused.
    pub fn from_base64(text: &str) -> Option<Self> {
        // 44 characters are 32 bytes; longer texts need not be decoded to be refused.
        let bytes = (text.len() == 44).then(|| STANDARD.decode(text).ok())??;
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({})", self.hex())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

/// How large a tree is and what it hashes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeHead {
    /// Number of leaves.
    pub size: u64,
    /// Root hash.
    pub root: Hash,
}

impl TreeHead {
    /// The tree of no leaves.
    pub fn empty() -> Self {
        Self {
            size: 0,
            root: Hash::empty_tree(),
        }
    }
}

/// Why a proof does not prove. Whose fault: the proof's author, or the caller's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The leaf is not in a tree of that size.
    #[error("index {index} is outside a tree of {size} leaves")]
    IndexOutside {
        /// The leaf's index.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// The proof has another number of hashes than index and size require.
    #[error("the proof has {found} hashes, {expected} are required")]
    Length {
        /// How many it has.
        found: usize,
        /// How many it must have.
        expected: usize,
    },
    /// The hashes do not lead to the root.
    #[error("the hashes do not lead to the root")]
    RootMismatch,
    /// A tree cannot be consistent with a smaller one.
    #[error("a tree of {new} leaves cannot extend one of {old}")]
    Shrinks {
        /// The older size.
        old: u64,
        /// The newer, smaller size.
        new: u64,
    },
}

/// Gives out hashes of complete subtrees.
pub trait Nodes {
    /// What reading may fail with.
    type Error;

    /// The hash over leaves `index << level .. (index + 1) << level`.
    fn node(&mut self, level: u32, index: u64) -> Result<Hash, Self::Error>;
}

/// The complete subtrees, largest first, that leaves `from..to` consist of, as (level, index).
/// `from` must be a multiple of the greatest power of two not above `to - from`, as the ranges
/// of proofs are.
pub(crate) fn subtrees(mut from: u64, to: u64) -> impl Iterator<Item = (u32, u64)> {
    std::iter::from_fn(move || {
        let level = to.checked_sub(from)?.checked_ilog2()?;
        let index = from >> level;
        from += 1 << level;
        Some((level, index))
    })
}

/// The hash over leaves `from..to`, which must be a subtree's range.
fn range_hash<N: Nodes>(nodes: &mut N, from: u64, to: u64) -> Result<Hash, N::Error> {
    let mut parts = Vec::new();
    for (level, index) in subtrees(from, to) {
        parts.push(nodes.node(level, index)?);
    }
    Ok(fold(&parts))
}

/// Joins complete subtrees, largest first, into one hash; nothing is the empty tree.
pub(crate) fn fold(parts: &[Hash]) -> Hash {
    parts
        .iter()
        .rev()
        .copied()
        .reduce(|right, left| Hash::node(&left, &right))
        .unwrap_or_else(Hash::empty_tree)
}

/// Appends the roots of the complete subtrees in `hashes`, largest first.
pub(crate) fn peaks(mut hashes: &[Hash], out: &mut Vec<Hash>) {
    while let Some(level) = hashes.len().checked_ilog2() {
        let (left, rest) = hashes.split_at(1 << level);
        out.push(perfect(left.to_vec()));
        hashes = rest;
    }
}

/// The root over a power of two of hashes.
fn perfect(mut row: Vec<Hash>) -> Hash {
    while row.len() > 1 {
        row = row
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => Hash::node(left, right),
                _ => Hash::empty_tree(),
            })
            .collect();
    }
    row.first().copied().unwrap_or_else(Hash::empty_tree)
}

/// The root over any number of leaf hashes.
pub fn root_of(leaves: &[Hash]) -> Hash {
    let mut parts = Vec::new();
    peaks(leaves, &mut parts);
    fold(&parts)
}

/// The root of the first `size` leaves.
pub fn root_at<N: Nodes>(nodes: &mut N, size: u64) -> Result<Hash, N::Error> {
    range_hash(nodes, 0, size)
}

/// The greatest power of two below `n`, for `n` above one.
fn split(n: u64) -> u64 {
    n.saturating_sub(1)
        .checked_ilog2()
        .map_or(0, |level| 1 << level)
}

/// The leaf ranges whose hashes prove leaf `index` in a tree of `size`, from the leaf up.
pub(crate) fn inclusion_ranges(index: u64, size: u64) -> Result<Vec<(u64, u64)>, ProofError> {
    if index >= size {
        return Err(ProofError::IndexOutside { index, size });
    }
    let (mut from, mut to) = (0, size);
    let mut ranges = Vec::new();
    while to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            ranges.push((middle, to));
            to = middle;
        } else {
            ranges.push((from, middle));
            from = middle;
        }
    }
    ranges.reverse();
    Ok(ranges)
}

/// The leaf ranges whose hashes prove that a tree of `new` leaves extends one of `old`.
pub(crate) fn consistency_ranges(old: u64, new: u64) -> Result<Vec<(u64, u64)>, ProofError> {
    if old > new {
        return Err(ProofError::Shrinks { old, new });
    }
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let (mut from, mut to) = (0, new);
    let mut ranges = Vec::new();
    // RFC 6962 SUBPROOF(m, D[n], b): descend to the node that ends where the old tree ends.
    while to != old {
        let middle = from + split(to - from);
        if old <= middle {
            ranges.push((middle, to));
            to = middle;
        } else {
            ranges.push((from, middle));
            from = middle;
        }
    }
    if from != 0 {
        ranges.push((from, to));
    }
    ranges.reverse();
    Ok(ranges)
}

fn hashes_of<N: Nodes, E: From<N::Error>>(
    nodes: &mut N,
    ranges: Vec<(u64, u64)>,
) -> Result<Vec<Hash>, E> {
    ranges
        .into_iter()
        .map(|(from, to)| range_hash(nodes, from, to).map_err(E::from))
        .collect()
}

/// Proves that leaf `index` is in the tree of the first `size` leaves.
pub fn prove_inclusion<N, E>(nodes: &mut N, index: u64, size: u64) -> Result<Vec<Hash>, E>
where
    N: Nodes,
    E: From<N::Error> + From<ProofError>,
{
    hashes_of(nodes, inclusion_ranges(index, size)?)
}

/// Proves that the tree of the first `new` leaves extends the tree of the first `old`.
pub fn prove_consistency<N, E>(nodes: &mut N, old: u64, new: u64) -> Result<Vec<Hash>, E>
where
    N: Nodes,
    E: From<N::Error> + From<ProofError>,
{
    hashes_of(nodes, consistency_ranges(old, new)?)
}

/// Checks that a leaf stands at `index` in the tree `head`.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    head: &TreeHead,
    path: &[Hash],
) -> Result<(), ProofError> {
    let ranges = inclusion_ranges(index, head.size)?;
    if ranges.len() != path.len() {
        return Err(ProofError::Length {
            found: path.len(),
            expected: ranges.len(),
        });
    }
    let root = ranges
        .iter()
        .zip(path)
        .fold(*leaf, |acc, ((from, _), sibling)| {
            if *from > index {
                Hash::node(&acc, sibling)
            } else {
                Hash::node(sibling, &acc)
            }
        });
    if root == head.root {
        Ok(())
    } else {
        Err(ProofError::RootMismatch)
    }
}

/// Checks that the tree `new` extends the tree `old`.
pub fn verify_consistency(old: &TreeHead, new: &TreeHead, path: &[Hash]) -> Result<(), ProofError> {
    let ranges = consistency_ranges(old.size, new.size)?;
    if ranges.len() != path.len() {
        return Err(ProofError::Length {
            found: path.len(),
            expected: ranges.len(),
        });
    }
    let agree = |yes: bool| yes.then_some(()).ok_or(ProofError::RootMismatch);
    if old.size == 0 {
        return agree(old.root == Hash::empty_tree());
    }
    if old.size == new.size {
        return agree(old.root == new.root);
    }
    // The first node is common to both trees. It is the old root itself, and not in the
    // proof, when the old tree is complete.
    let mut siblings = ranges.iter().zip(path);
    let start = if old.size.is_power_of_two() {
        old.root
    } else {
        match siblings.next() {
            Some((_, first)) => *first,
            None => return Err(ProofError::RootMismatch),
        }
    };
    let (mut old_root, mut new_root) = (start, start);
    for ((from, _), sibling) in siblings {
        if *from >= old.size {
            new_root = Hash::node(&new_root, sibling);
        } else {
            old_root = Hash::node(sibling, &old_root);
            new_root = Hash::node(sibling, &new_root);
        }
    }
    agree(old_root == old.root && new_root == new.root)
}

#[cfg(test)]
#[path = "merkle_tests.rs"]
mod tests;
