//! Tests of `log`, with `ct-merkle` as the oracle.

use super::*;
use crate::merkle::{root_at, verify_consistency, verify_inclusion};
use crate::sample;
use crate::tiles::{MemoryTiles, TileNodes};
use crate::{proof, verify};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use sha2::Sha256;

fn paths(append: &Append) -> Vec<&str> {
    append
        .writes
        .iter()
        .map(|(path, _)| path.as_str())
        .collect()
}

#[test]
fn crossing_a_tile_boundary() {
    let (tiles, head) = sample::log(&[254]);
    let append = append(&tiles, &head, &sample::entries(254, 257)).unwrap();
    assert_eq!(
        paths(&append),
        [
            "tile/entries/000",
            "tile/entries/001.p/1",
            "tile/0/000",
            "tile/0/001.p/1",
            "tile/1/000.p/1",
        ]
    );
}

#[test]
fn an_empty_batch_writes_nothing() {
    let (tiles, head) = sample::log(&[5]);
    let none: [&[u8]; 0] = [];
    let append = append(&tiles, &head, &none).unwrap();
    assert_eq!((append.head(), append.writes), (head, Vec::new()));
}

/// One entry at a time, every size: the stored tree is the oracle's, whatever the batches.
#[test]
fn every_size_agrees_with_the_oracle() {
    let mut tiles = MemoryTiles::default();
    let mut edge = RightEdge::empty();
    let mut oracle = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    for size in 1..=1100_u64 {
        let entry = sample::entries(size - 1, size);
        let append = edge.append(&entry).unwrap();
        oracle.push(entry[0].clone());
        assert_eq!(append.root.0, **oracle.root().as_bytes(), "at {size}");
        tiles.store(append.writes);
        // What a fresh process reads back is the same edge.
        assert_eq!(RightEdge::load(&tiles, &edge.head()).as_ref(), Ok(&edge));
        let read: Vec<String> = append_paths(size);
        let mut fetched = MemoryTiles::default();
        for path in read {
            let bytes = tiles.files[&path].clone();
            fetched.store([(path, bytes)]);
        }
        assert_eq!(RightEdge::load(&fetched, &edge.head()).as_ref(), Ok(&edge));
    }
    // All at once gives the same files, but for the leftovers.
    let whole = append(
        &MemoryTiles::default(),
        &TreeHead::empty(),
        &sample::entries(0, 1100),
    );
    for (path, bytes) in whole.unwrap().writes {
        assert_eq!(tiles.files[&path], bytes, "{path}");
    }
}

#[test]
fn proofs_come_from_tiles() {
    let (tiles, _) = sample::log(&[100, 256, 300, 700, 1025]);
    for size in [100, 256, 300, 700, 1025] {
        let root = root_at(&mut TileNodes::new(&tiles, size), size).unwrap();
        let head = TreeHead { size, root };
        for index in [0, 1, size / 2, size - 1] {
            let path = proof::inclusion(&tiles, index, size).unwrap();
            let leaf = sample::entry(index).1.commitment.leaf();
            assert_eq!(verify_inclusion(&leaf, index, &head, &path), Ok(()));
        }
    }
    for (old, new) in [
        (100, 1025),
        (256, 1025),
        (300, 700),
        (700, 1025),
        (1025, 1025),
    ] {
        let path = proof::consistency(&tiles, old, new).unwrap();
        let head = |size| TreeHead {
            size,
            root: root_at(&mut TileNodes::new(&tiles, size), size).unwrap(),
        };
        assert_eq!(verify_consistency(&head(old), &head(new), &path), Ok(()));
    }
}

/// A store that fetches first needs exactly the files that are named.
#[test]
fn named_files_suffice_for_proofs() {
    let (tiles, head) = sample::log(&[70_000]);
    for index in [0, 255, 256, 65_535, 65_536, 69_999] {
        let mut fetched = MemoryTiles::default();
        for path in proof::inclusion_paths(index, head.size).unwrap() {
            let bytes = tiles.files[&path].clone();
            fetched.store([(path, bytes)]);
        }
        let path = proof::inclusion(&fetched, index, head.size).unwrap();
        let leaf = sample::entry(index).1.commitment.leaf();
        assert_eq!(verify_inclusion(&leaf, index, &head, &path), Ok(()));
        assert!(fetched.files.len() <= 4, "{:?}", fetched.list());
    }
    let mut fetched = MemoryTiles::default();
    for path in proof::consistency_paths(69_000, head.size).unwrap() {
        let bytes = tiles.files[&path].clone();
        fetched.store([(path, bytes)]);
    }
    assert!(proof::consistency(&fetched, 69_000, head.size).is_ok());
    let summary = verify::verify_log(&tiles, &sample::verifier(), &verify::Options::default());
    assert_eq!(summary.unwrap().files, 274 + 274 + 2 + 1 + 1);
}

#[test]
fn a_damaged_edge_is_not_extended() {
    let (tiles, head) = sample::log(&[300]);
    let damaged = |path: &str, at: usize| {
        let mut tiles = tiles.clone();
        tiles.files.get_mut(path).unwrap()[at] ^= 1;
        append(&tiles, &head, &sample::entries(300, 301)).unwrap_err()
    };
    assert!(matches!(
        damaged("tile/0/001.p/44", 40),
        LogError::EdgeMismatch { .. }
    ));
    assert!(matches!(
        damaged("tile/1/000.p/1", 0),
        LogError::EdgeMismatch { .. }
    ));
    assert_eq!(
        damaged("tile/entries/001.p/44", 40),
        LogError::EntryMismatch {
            path: "tile/entries/001.p/44".to_owned(),
            index: 1
        }
    );
    let mut missing = tiles.clone();
    missing.files.remove("tile/0/001.p/44");
    assert_eq!(
        append(&missing, &head, &sample::entries(300, 301)).unwrap_err(),
        LogError::Tile(TileError::Missing {
            path: "tile/0/001.p/44".to_owned()
        })
    );
}

/// A round that stored everything but its checkpoint is repeated from the old head, also when
/// the old partial tiles were already deleted in favour of full ones.
#[test]
fn a_cut_off_round_is_repeated() {
    let (before, head) = sample::log(&[200]);
    let batch = sample::entries(200, 600);
    let first = append(&before, &head, &batch).unwrap();
    let mut after = before.clone();
    after.store(first.writes.clone());
    assert_eq!(append(&after, &head, &batch).as_ref(), Ok(&first));
    after.files.retain(|path, _| !path.ends_with(".p/200"));
    assert_eq!(append(&after, &head, &batch), Ok(first));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn batches_do_not_matter(mut sizes in prop::collection::vec(1_u64..900, 1..6)) {
        sizes.sort_unstable();
        let (tiles, head) = sample::log(&sizes);
        let (whole, other) = sample::log(&[*sizes.last().unwrap()]);
        prop_assert_eq!(head, other);
        for (path, bytes) in whole.files {
            prop_assert_eq!(tiles.files.get(&path), Some(&bytes), "{}", path);
        }
    }
}
