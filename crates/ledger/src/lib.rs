//! The evidence log: an append-only Merkle tree, signed checkpoints, keys, attestations
//! and their offline verification.
//!
//! **Invariants:** no database, no HTTP, no clock, no files. Bytes come through
//! [`tiles::TileReader`], times and salts as arguments; the one source of randomness is key
//! generation inside aws-lc. Everything stored is covered by a signature or a hash, so a
//! changed byte is found and its place named ([`verify::verify_log`], [`attest::verify`]).
//!
//! One public specification, one module:
//!
//! | module | specification |
//! |---|---|
//! | [`merkle`] | RFC 6962 / 9162 tree hashes and proofs |
//! | [`tiles`] | C2SP tlog-tiles paths, tiles and entry bundles |
//! | [`note`] | C2SP signed-note, Ed25519 |
//! | [`checkpoint`] | C2SP tlog-checkpoint |
//! | [`proof`] | C2SP tlog-proof |
//! | [`json`] | I-JSON reading (RFC 7493), canonical writing (after RFC 8785) |
//! | [`jws`] | RFC 7515 compact JWS, the strict subset that attestations use |
//! | [`jwks`] | RFC 7517 key sets, RFC 7638 thumbprints |
//!
//! Ours: [`log`] appends, [`commit`] makes leaves, [`keys`] holds secrets, [`attest`] issues
//! and verifies, [`verify`] walks a whole log.
//!
//! A sequencer's round: read the last checkpoint, [`log::RightEdge::load`], commit each
//! pending entry ([`commit::commit`]), [`log::RightEdge::append`], store the writes in order,
//! then store the signed [`checkpoint`]. A crash anywhere leaves the old checkpoint valid and
//! the next round repeats the same bytes.

pub mod attest;
pub mod checkpoint;
pub mod commit;
pub mod fuzzing;
pub mod json;
pub mod jwks;
pub mod jws;
pub mod keys;
pub mod log;
pub mod merkle;
pub mod note;
pub mod proof;
#[cfg(test)]
mod sample;
mod sealed;
pub mod tiles;
pub mod verify;

pub use merkle::{Hash, TreeHead};
