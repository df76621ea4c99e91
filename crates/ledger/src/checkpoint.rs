//! C2SP tlog-checkpoint: a tree head as a signed note.
//!
//! ```text
//! example.com/behind-the-sofa
//! 20852163
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//!
//! — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
//! ```
//!
//! Origin, size, root; then extension lines, which we read but never write.

use crate::merkle::{Hash, TreeHead};
use crate::note::{NoteError, NoteSigner, SignedNote, VerifierKey};
use crate::tiles::decimal;
use std::fmt;

/// Why a checkpoint is not read or not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note's text is not a checkpoint's. Whose fault: the note.
    #[error("not a checkpoint: line {line}: {why}")]
    Malformed {
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        why: &'static str,
    },
    /// The note is not one, or is not signed by the log.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The checkpoint speaks for another log than the key.
    #[error("the checkpoint is of {found:?}, the key is of {expected:?}")]
    Origin {
        /// The origin on the first line.
        found: String,
        /// The key's name.
        expected: String,
    },
}

/// What a checkpoint says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's unique name.
    pub origin: String,
    /// The tree.
    pub head: TreeHead,
    /// Further lines, opaque.
    pub extensions: Vec<String>,
}

impl Checkpoint {
    /// A checkpoint without extensions.
    pub fn new(origin: &str, head: TreeHead) -> Self {
        Self {
            origin: origin.to_owned(),
            head,
            extensions: Vec::new(),
        }
    }

    /// Reads the text of a note.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let fail = |line, why| CheckpointError::Malformed { line, why };
        let body = text
            .strip_suffix('\n')
            .ok_or_else(|| fail(1, "no final newline"))?;
        if let Some(at) = body.split('\n').position(str::is_empty) {
            return Err(fail(at + 1, "an empty line"));
        }
        let mut lines = body.split('\n');
        let origin = lines.next().unwrap_or_default().to_owned();
        let size = lines
            .next()
            .and_then(decimal)
            .ok_or_else(|| fail(2, "not a decimal tree size"))?;
        let root = lines
            .next()
            .and_then(Hash::from_base64)
            .ok_or_else(|| fail(3, "not the base64 of a SHA-256 hash"))?;
        if size == 0 && root != Hash::empty_tree() {
            return Err(fail(3, "not the root of the empty tree"));
        }
        Ok(Self {
            origin,
            head: TreeHead { size, root },
            extensions: lines.map(str::to_owned).collect(),
        })
    }

    /// Signs the checkpoint; the whole note's text is returned. The signer's name must be the
    /// origin, and the caller must never sign two inconsistent trees.
    pub fn sign(&self, signer: &NoteSigner<'_>) -> Result<String, CheckpointError> {
        self.of(signer.verifier())?;
        // What was signed must read back: an origin or extension with a newline would not.
        if Self::parse(&self.to_string())? != *self {
            return Err(CheckpointError::Malformed {
                line: 1,
                why: "a line break within a line",
            });
        }
        Ok(signer.sign(&self.to_string())?.to_string())
    }

    /// Reads a signed checkpoint and checks the log's signature. Signatures by others, such
    /// as witnesses, are ignored.
    pub fn open(note: &[u8], key: &VerifierKey) -> Result<Self, CheckpointError> {
        let note = SignedNote::parse(note)?;
        note.verify(key)?;
        let checkpoint = Self::parse(&note.text)?;
        checkpoint.of(key)?;
        Ok(checkpoint)
    }

    /// As [`Self::open`], and the log alone may have signed.
    pub fn open_only(note: &[u8], key: &VerifierKey) -> Result<Self, CheckpointError> {
        let checkpoint = Self::open(note, key)?;
        SignedNote::parse(note)?.verify_only(key)?;
        Ok(checkpoint)
    }

    /// Reads a checkpoint **without checking any signature**: to learn its origin, and so
    /// which key to ask for.
    pub fn read_unverified(note: &[u8]) -> Result<Self, CheckpointError> {
        Self::parse(&SignedNote::parse(note)?.text)
    }

    fn of(&self, key: &VerifierKey) -> Result<(), CheckpointError> {
        if self.origin == key.name() {
            Ok(())
        } else {
            Err(CheckpointError::Origin {
                found: self.origin.clone(),
                expected: key.name().to_owned(),
            })
        }
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.origin)?;
        writeln!(f, "{}", self.head.size)?;
        writeln!(f, "{}", self.head.root.base64())?;
        for line in &self.extensions {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
