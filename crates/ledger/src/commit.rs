//! What stands in the tree for an audit entry: a salted commitment, not the entry itself.
//!
//! ```text
//! entry = "btz1" || SHA-256("bartizan ledger entry v1\n" || salt || body)      36 bytes
//! salt  = 32 random bytes, drawn by the caller, one for each entry
//! body  = the canonical JSON (see `json`) of the AuditEntry
//! ```
//!
//! Body and salt live outside the tree. Erasing both removes the personal data for good: the
//! commitment alone cannot be guessed back without the salt, and the tree still verifies.

use crate::json::{self, JsonError};
use crate::merkle::Hash;
use bartizan_model::AuditEntry;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Version tag of an entry.
const TAG: &[u8; 4] = b"btz1";
/// Keeps this hash apart from every other use of SHA-256.
const DOMAIN: &[u8] = b"bartizan ledger entry v1\n";
/// The longest body committed to.
pub const MAX_BODY: usize = 1024 * 1024;

/// Why an entry cannot be made, or does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Salt and body are not what the log committed to. Whose fault: who kept them.
    #[error("salt and body are not what the log committed to")]
    Mismatch,
    /// The entry in the log is not a commitment.
    #[error("the entry is not a btz1 commitment of 36 bytes")]
    NotACommitment,
    /// One of salt and body is there without the other.
    #[error("{0} is missing while its partner is not")]
    HalfErased(&'static str),
    /// The body is not an audit entry in canonical JSON.
    #[error("the body is not an audit entry: {0}")]
    Body(#[from] JsonError),
    /// The body is longer than 1 MiB. Whose fault: the caller.
    #[error("a body of {0} bytes is too long")]
    TooLong(usize),
}

/// Makes a commitment hide its body. Draw 32 random bytes for each entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt(pub [u8; 32]);

impl Salt {
    /// Lower-case hexadecimal.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// Reads [`Salt::hex`].
    pub fn from_hex(text: &str) -> Option<Self> {
        Hash::from_hex(text).map(|hash| Self(hash.0))
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A salt is all that hides an erased body.
        f.write_str("Salt(..)")
    }
}

/// The bytes that enter the log for one audit entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commitment([u8; 36]);

impl Commitment {
    /// Reads an entry of the log.
    pub fn from_entry(entry: &[u8]) -> Result<Self, CommitError> {
        entry
            .try_into()
            .ok()
            .filter(|bytes: &[u8; 36]| bytes.starts_with(TAG))
            .map(Self)
            .ok_or(CommitError::NotACommitment)
    }

    /// The entry's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The leaf's hash in the tree.
    pub fn leaf(&self) -> Hash {
        Hash::leaf(&self.0)
    }
}

impl AsRef<[u8]> for Commitment {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// A commitment and the body it was made over: what to store, and what to log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Goes into the log.
    pub commitment: Commitment,
    /// Canonical JSON; is stored beside the salt, exactly as it is.
    pub body: Vec<u8>,
}

/// What opening a commitment found.
#[derive(Debug, Clone, PartialEq)]
pub enum Opened {
    /// Body and salt are what the log committed to.
    Body(Box<AuditEntry>),
    /// Body and salt were erased; the log says only that an entry was here.
    Erased,
}

/// Commits to an audit entry.
pub fn commit(salt: &Salt, entry: &AuditEntry) -> Result<Committed, CommitError> {
    let body = json::canonical_of(entry)?;
    if body.len() > MAX_BODY {
        return Err(CommitError::TooLong(body.len()));
    }
    Ok(Committed {
        commitment: commit_body(salt, &body),
        body,
    })
}

/// Commits to a body that is canonical already.
pub fn commit_body(salt: &Salt, body: &[u8]) -> Commitment {
    let mut hash = Sha256::new();
    hash.update(DOMAIN);
    hash.update(salt.0);
    hash.update(body);
    let mut entry = [0; 36];
    for (to, from) in entry.iter_mut().zip(TAG.iter().chain(&hash.finalize())) {
        *to = *from;
    }
    Commitment(entry)
}

/// Opens an entry of the log with the salt and body that were kept outside, or states that
/// they were erased.
pub fn open(entry: &[u8], salt: Option<&Salt>, body: Option<&[u8]>) -> Result<Opened, CommitError> {
    let commitment = Commitment::from_entry(entry)?;
    let (salt, body) = match (salt, body) {
        (None, None) => return Ok(Opened::Erased),
        (Some(salt), Some(body)) => (salt, body),
        (None, Some(_)) => return Err(CommitError::HalfErased("the salt")),
        (Some(_), None) => return Err(CommitError::HalfErased("the body")),
    };
    if body.len() > MAX_BODY {
        return Err(CommitError::TooLong(body.len()));
    }
    if commit_body(salt, body) != commitment {
        return Err(CommitError::Mismatch);
    }
    let entry = json::typed(json::parse_canonical(body)?)?;
    Ok(Opened::Body(Box::new(entry)))
}

#[cfg(test)]
#[path = "commit_tests.rs"]
mod tests;
