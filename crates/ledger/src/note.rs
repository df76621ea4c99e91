//! C2SP signed-note: text and the signatures under it, with Ed25519 keys.
//!
//! ```text
//! This is an example message.
//!
//! — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
//! ```
//!
//! A verifier key is `name+hex(key id)+base64(0x01 || public key)`:
//!
//! ```text
//! example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k
//! ```
//!
//! key id = SHA-256(name || 0x0A || 0x01 || public key), first four bytes.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// The longest note read.
pub const MAX_NOTE: usize = 64 * 1024;
/// The most signatures read; the specification asks for at least 16.
pub const MAX_SIGNATURES: usize = 32;
/// The signature type byte of Ed25519.
const ED25519_TYPE: u8 = 1;

/// Why a note is not read or not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The bytes are not a signed note. Whose fault: the note.
    #[error("not a signed note: line {line}: {why}")]
    Malformed {
        /// Line, from 1; 0 for the note as a whole.
        line: usize,
        /// What is wrong.
        why: &'static str,
    },
    /// The text is not a verifier key. Whose fault: the configuration.
    #[error("not a verifier key: {0}")]
    BadKey(&'static str),
    /// No signature by the key that is asked for.
    #[error("no signature by {0}")]
    NotSigned(String),
    /// The signature by that key does not fit the text.
    #[error("the signature by {0} does not fit the text")]
    BadSignature(String),
    /// A signature line by a key that was not asked for, where none may stand.
    #[error("line {line}: a signature by {name}, whom nobody vouches for")]
    UnknownSignature {
        /// Line, from 1.
        line: usize,
        /// The name on the line.
        name: String,
    },
    /// aws-lc refused to sign. Whose fault: a bug.
    #[error("signing failed")]
    Signing,
}

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// Name of the key.
    pub name: String,
    /// Id of the key.
    pub key_id: u32,
    /// The signature itself.
    pub bytes: Vec<u8>,
}

/// A note that was read but not yet believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedNote {
    /// The signed text with its final newline.
    pub text: String,
    /// The signatures, in order.
    pub signatures: Vec<NoteSignature>,
}

/// The line that separates text and signatures, with the newline before it.
const SEPARATOR: &str = "\n\n";
const DASH: &str = "\u{2014} ";

/// Whether a text can name a key.
fn name_is_good(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 512
        && !name
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

/// Whether a text can be signed: ends in a newline and has no control character but newlines.
fn text_is_good(text: &str) -> bool {
    text.ends_with('\n') && !text.bytes().any(|b| b < 0x20 && b != b'\n')
}

impl SignedNote {
    /// Reads a note.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        let fail = |line, why| NoteError::Malformed { line, why };
        if bytes.len() > MAX_NOTE {
            return Err(fail(0, "longer than 64 KiB"));
        }
        let note = std::str::from_utf8(bytes).map_err(|error| {
            let before = bytes.iter().take(error.valid_up_to());
            fail(1 + before.filter(|b| **b == b'\n').count(), "not UTF-8")
        })?;
        if !text_is_good(note) {
            let bad = |line: &str| line.bytes().any(|b| b < 0x20);
            let line = note.split('\n').position(bad).map_or(0, |at| at + 1);
            return Err(fail(line, "a control character, or no final newline"));
        }
        let at = note
            .rfind(SEPARATOR)
            .ok_or_else(|| fail(0, "no blank line before the signatures"))?;
        let (text, rest) = note.split_at(at + 1);
        let first = text.matches('\n').count() + 2;
        let mut signatures = Vec::new();
        for (line, number) in rest.split('\n').skip(1).zip(first..) {
            if line.is_empty() {
                // Only the piece after the final newline is empty, see `rfind` above.
                break;
            }
            let why = "not an em dash, a key name and a base64 signature";
            let line = line.strip_prefix(DASH).ok_or_else(|| fail(number, why))?;
            let (name, signature) = line.split_once(' ').ok_or_else(|| fail(number, why))?;
            let decoded = STANDARD.decode(signature).map_err(|_| fail(number, why))?;
            let (key_id, bytes) = decoded
                .split_first_chunk::<4>()
                .filter(|(_, bytes)| !bytes.is_empty() && name_is_good(name))
                .ok_or_else(|| fail(number, why))?;
            signatures.push(NoteSignature {
                name: name.to_owned(),
                key_id: u32::from_be_bytes(*key_id),
                bytes: bytes.to_vec(),
            });
            if signatures.len() > MAX_SIGNATURES {
                return Err(fail(number, "too many signatures"));
            }
        }
        if signatures.is_empty() {
            return Err(fail(first, "no signature"));
        }
        Ok(Self {
            text: text.to_owned(),
            signatures,
        })
    }

    /// Checks that `key` signed the text. Signatures by other keys are ignored, as the
    /// specification says; a bad one under the right name refuses the note.
    pub fn verify(&self, key: &VerifierKey) -> Result<(), NoteError> {
        let mut signed = false;
        for signature in self.signatures.iter().filter(|s| key.is_of(s)) {
            UnparsedPublicKey::new(&ED25519, &key.public)
                .verify(self.text.as_bytes(), &signature.bytes)
                .map_err(|_| NoteError::BadSignature(key.name.clone()))?;
            signed = true;
        }
        signed
            .then_some(())
            .ok_or_else(|| NoteError::NotSigned(key.name.clone()))
    }

    /// Whether a signature line names `key`; says nothing about the signature.
    pub fn names(&self, key: &VerifierKey) -> bool {
        self.signatures.iter().any(|signature| key.is_of(signature))
    }

    /// As [`Self::verify`], and nobody else may have signed: for stored files, where every
    /// byte has to be vouched for.
    pub fn verify_only(&self, key: &VerifierKey) -> Result<(), NoteError> {
        self.verify(key)?;
        let first = self.text.matches('\n').count() + 2;
        let mut seen = false;
        for (signature, line) in self.signatures.iter().zip(first..) {
            if !key.is_of(signature) || seen {
                return Err(NoteError::UnknownSignature {
                    line,
                    name: signature.name.clone(),
                });
            }
            seen = true;
        }
        Ok(())
    }
}

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for signature in &self.signatures {
            let mut bytes = signature.key_id.to_be_bytes().to_vec();
            bytes.extend_from_slice(&signature.bytes);
            writeln!(f, "{DASH}{} {}", signature.name, STANDARD.encode(bytes))?;
        }
        Ok(())
    }
}

/// A named Ed25519 public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    key_id: u32,
    public: [u8; 32],
}

impl VerifierKey {
    /// Names a public key.
    pub fn new(name: &str, public: [u8; 32]) -> Result<Self, NoteError> {
        if !name_is_good(name) {
            return Err(NoteError::BadKey(
                "the name is empty, or has a space or plus",
            ));
        }
        Ok(Self {
            name: name.to_owned(),
            key_id: key_id(name, &public),
            public,
        })
    }

    /// The name; for a log's key, the log's origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The short id that signatures carry.
    pub fn key_id(&self) -> u32 {
        self.key_id
    }

    /// The 32 bytes of the Ed25519 public key.
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    fn is_of(&self, signature: &NoteSignature) -> bool {
        signature.name == self.name && signature.key_id == self.key_id
    }
}

fn key_id(name: &str, public: &[u8; 32]) -> u32 {
    let mut hash = Sha256::new();
    hash.update(name.as_bytes());
    hash.update([b'\n', ED25519_TYPE]);
    hash.update(public);
    let [a, b, c, d, ..] = <[u8; 32]>::from(hash.finalize());
    u32::from_be_bytes([a, b, c, d])
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![ED25519_TYPE];
        bytes.extend_from_slice(&self.public);
        let (name, id) = (&self.name, self.key_id);
        write!(f, "{name}+{id:08x}+{}", STANDARD.encode(bytes))
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let bad = NoteError::BadKey;
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(bad("not name+id+key"));
        };
        // 44 characters of base64 carry the type byte and 32 bytes of key.
        let bytes = (key.len() == 44)
            .then(|| STANDARD.decode(key).ok())
            .flatten()
            .ok_or(bad("the key is not base64 of 33 bytes"))?;
        let public = match bytes.split_first() {
            Some((&ED25519_TYPE, public)) => public.try_into().ok(),
            _ => None,
        };
        let key = Self::new(name, public.ok_or(bad("not an Ed25519 key"))?)?;
        if format!("{:08x}", key.key_id) == id {
            Ok(key)
        } else {
            Err(bad("the id is not that of name and key"))
        }
    }
}

/// Signs notes under a name. Never shows its secret.
pub struct NoteSigner<'a> {
    key: VerifierKey,
    pair: &'a Ed25519KeyPair,
}

impl<'a> NoteSigner<'a> {
    /// Names a key pair.
    pub fn new(name: &str, pair: &'a Ed25519KeyPair) -> Result<Self, NoteError> {
        let public = pair.public_key().as_ref().try_into();
        let public = public.map_err(|_| NoteError::BadKey("not an Ed25519 key"))?;
        Ok(Self {
            key: VerifierKey::new(name, public)?,
            pair,
        })
    }

    /// The public half.
    pub fn verifier(&self) -> &VerifierKey {
        &self.key
    }

    /// Signs a text, which must end in a newline.
    pub fn sign(&self, text: &str) -> Result<SignedNote, NoteError> {
        if !text_is_good(text) || text.len() > MAX_NOTE / 2 {
            return Err(NoteError::Malformed {
                line: 0,
                why: "a control character, no final newline, or too long",
            });
        }
        let signature = self
            .pair
            .try_sign(text.as_bytes())
            .map_err(|_| NoteError::Signing)?;
        Ok(SignedNote {
            text: text.to_owned(),
            signatures: vec![NoteSignature {
                name: self.key.name.clone(),
                key_id: self.key.key_id,
                bytes: signature.as_ref().to_vec(),
            }],
        })
    }
}

impl fmt::Debug for NoteSigner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoteSigner({})", self.key)
    }
}

#[cfg(test)]
#[path = "note_tests.rs"]
mod tests;
