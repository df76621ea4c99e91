//! Entry points for fuzzers: each takes any bytes, must not panic, and where reading has an
//! inverse checks it. They assert, so a broken inverse shows as a crash.

use crate::checkpoint::Checkpoint;
use crate::jwks::Jwks;
use crate::keys::{Keyring, MasterKey};
use crate::note::{SignedNote, VerifierKey};
use crate::proof::TlogProof;
use crate::tiles::{Tile, decode_bundle, decode_hashes, encode_entry, encode_hashes};
use crate::{json, jws};

/// Signed notes and checkpoints: what reads prints back to the same bytes.
pub fn note(bytes: &[u8]) {
    if let Ok(note) = SignedNote::parse(bytes) {
        assert_eq!(note.to_string().as_bytes(), bytes);
        if let Ok(checkpoint) = Checkpoint::parse(&note.text) {
            assert_eq!(checkpoint.to_string(), note.text);
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(key) = text.parse::<VerifierKey>()
    {
        assert_eq!(key.to_string(), text);
    }
}

/// Checkpoint texts.
pub fn checkpoint(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(checkpoint) = Checkpoint::parse(text)
    {
        assert_eq!(checkpoint.to_string(), text);
    }
}

/// Proof files.
pub fn proof(bytes: &[u8]) {
    if let Ok(proof) = TlogProof::parse(bytes) {
        assert_eq!(proof.to_string().as_bytes(), bytes);
    }
}

/// Tokens and canonical JSON.
pub fn token(bytes: &[u8]) {
    let _ = jws::split(bytes);
    if let Ok(value) = json::parse(bytes) {
        let canonical = json::canonical(&value).unwrap_or_default();
        assert!(json::parse_canonical(&canonical).is_ok());
    }
}

/// Tile paths, hash tiles and bundles. The first byte is the width.
pub fn tile(bytes: &[u8]) {
    if let Ok(path) = std::str::from_utf8(bytes)
        && let Some(tile) = Tile::parse(path)
    {
        assert_eq!(tile.to_string(), path);
    }
    let Some((width, rest)) = bytes.split_first() else {
        return;
    };
    let width = u16::from(*width) + 1;
    if let Ok(hashes) = decode_hashes("fuzz", rest, width) {
        assert_eq!(encode_hashes(&hashes), rest);
    }
    if let Ok(entries) = decode_bundle("fuzz", rest, width) {
        let mut again = Vec::new();
        for entry in entries {
            assert!(encode_entry(entry, &mut again).is_ok());
        }
        assert_eq!(again, rest);
    }
}

/// Key sets and sealed keys.
pub fn keys(bytes: &[u8]) {
    if let Ok(set) = Jwks::parse(bytes) {
        assert_eq!(Jwks::parse(set.to_json().as_bytes()).as_ref(), Ok(&set));
    }
    let _ = Keyring::open(bytes, &MasterKey::from_bytes([0; 32]));
}
