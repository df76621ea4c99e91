//! A small log for tests, built as a sequencer would.

use crate::checkpoint::Checkpoint;
use crate::commit::{Committed, Salt, commit};
use crate::log::RightEdge;
use crate::merkle::TreeHead;
use crate::note::{NoteSigner, VerifierKey};
use crate::tiles::{CHECKPOINT_PATH, MemoryTiles};
use aws_lc_rs::signature::Ed25519KeyPair;
use bartizan_model::{AuditEntry, TenantId, Timestamp};
use sha2::{Digest as _, Sha256};

pub(crate) const ORIGIN: &str = "bartizan.example/default";

pub(crate) fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

pub(crate) fn verifier() -> VerifierKey {
    let pair = pair(7);
    NoteSigner::new(ORIGIN, &pair).unwrap().verifier().clone()
}

pub(crate) fn sign(head: TreeHead) -> String {
    let pair = pair(7);
    let signer = NoteSigner::new(ORIGIN, &pair).unwrap();
    Checkpoint::new(ORIGIN, head).sign(&signer).unwrap()
}

pub(crate) fn moment() -> Timestamp {
    Timestamp::parse("2026-11-21T09:30:00Z").unwrap()
}

/// Entry `i` of the sample: its salt, its body, its commitment.
pub(crate) fn entry(i: u64) -> (Salt, Committed) {
    let salt = Salt(Sha256::digest(i.to_be_bytes()).into());
    let entry = AuditEntry {
        tenant: TenantId::default_tenant(),
        at: moment().plus_seconds(i64::try_from(i).unwrap()),
        actor: "ada".to_owned(),
        action: "finding.opened".to_owned(),
        subject: format!("f1-{i}"),
        detail: serde_json::json!({"number": i}),
    };
    (salt, commit(&salt, &entry).unwrap())
}

pub(crate) fn entries(from: u64, to: u64) -> Vec<Vec<u8>> {
    (from..to)
        .map(|i| entry(i).1.commitment.as_bytes().to_vec())
        .collect()
}

/// A stored log that grew to each of `sizes` in turn, with a checkpoint at the end.
pub(crate) fn log(sizes: &[u64]) -> (MemoryTiles, TreeHead) {
    let mut tiles = MemoryTiles::default();
    let mut head = TreeHead::empty();
    for size in sizes {
        let mut edge = RightEdge::load(&tiles, &head).unwrap();
        let append = edge.append(&entries(head.size, *size)).unwrap();
        head = append.head();
        tiles.store(append.writes);
        tiles
            .files
            .insert(CHECKPOINT_PATH.to_owned(), sign(head).into_bytes());
    }
    (tiles, head)
}
