//! Replays each corpus, and cheap mutations of it, so that a fixed crash stays fixed.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may end by panicking"
)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// No input of this size may take longer, even on a busy machine.
const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn corpora_neither_panic_nor_hang() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, target) in bartizan_fuzz::TARGETS {
        let mut inputs: Vec<(String, Vec<u8>)> = fs::read_dir(corpus.join(name))
            .unwrap_or_else(|e| panic!("fuzz/corpus/{name}: {e}"))
            .map(|entry| {
                let path = entry.unwrap().path();
                (path.display().to_string(), fs::read(&path).unwrap())
            })
            .collect();
        inputs.sort();
        assert!(
            inputs.len() >= 3,
            "fuzz/corpus/{name} has {} inputs",
            inputs.len()
        );
        for (path, bytes) in &inputs {
            for variant in variants(bytes) {
                let start = Instant::now();
                target(&variant);
                assert!(start.elapsed() < LIMIT, "{path}: {:?}", start.elapsed());
            }
        }
    }
}

#[test]
fn every_corpus_has_a_target() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for entry in fs::read_dir(corpus).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            bartizan_fuzz::target(&name).is_some(),
            "{name} has no target"
        );
    }
}

/// The input itself, cut short, with bytes flipped, and doubled: 100 or so, always the same.
fn variants(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![bytes.to_vec(), [bytes, bytes].concat()];
    if bytes.is_empty() {
        return all;
    }
    let mut seed = 0x9e37_79b9_u64 ^ bytes.len() as u64;
    for round in 0..100 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let at = (seed >> 33) as usize % bytes.len();
        let mut variant = bytes.to_vec();
        match round % 4 {
            0 => variant.truncate(at),
            1 => variant[at] ^= 1 << (seed >> 60 & 7),
            2 => variant[at] = b"\0\xff{[\"-:&*"[(seed >> 50) as usize % 9],
            _ => {
                let end = bytes.len().min(at + 16);
                variant.splice(at..at, bytes[at..end].to_vec());
            }
        }
        all.push(variant);
    }
    all
}
