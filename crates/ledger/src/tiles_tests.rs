//! Tests of `tiles`.

use super::*;
use proptest::prelude::*;

const HASHES: [TileKind; 3] = [
    TileKind::Hashes(0),
    TileKind::Hashes(1),
    TileKind::Hashes(2),
];

/// The samples of the specification.
#[test]
fn specification_paths() {
    let path = |kind, index, width| Tile { kind, index, width }.to_string();
    assert_eq!(
        path(TileKind::Hashes(0), 1_234_067, 256),
        "tile/0/x001/x234/067"
    );
    assert_eq!(path(TileKind::Hashes(63), 0, 1), "tile/63/000.p/1");
    assert_eq!(path(TileKind::Entries, 273, 112), "tile/entries/273.p/112");
    assert_eq!(path(TileKind::Entries, 1000, 256), "tile/entries/x001/000");
}

#[test]
fn specification_tree_of_70000() {
    let mut count = HASHES.map(|_| Vec::new());
    for tile in Tile::all_in_tree(70_000) {
        if let TileKind::Hashes(level) = tile.kind {
            count[usize::from(level)].push(tile.width);
        }
    }
    let [zero, one, two] = count;
    assert_eq!((zero.len(), zero[272], zero[273]), (274, 256, 112));
    assert_eq!(one, [256, 17]);
    assert_eq!(two, [1]);
    let tree_256: Vec<String> = Tile::all_in_tree(256).map(|t| t.to_string()).collect();
    assert_eq!(
        tree_256,
        ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]
    );
    assert_eq!(Tile::all_in_tree(0).count(), 0);
    // The largest tree that can be named ends at level 7.
    assert!(Tile::in_tree(TileKind::Hashes(7), 0, u64::MAX).is_some());
    assert!(Tile::in_tree(TileKind::Hashes(8), 0, u64::MAX).is_none());
}

#[test]
fn other_spellings_are_refused() {
    for path in [
        "tile/00/000",
        "tile/64/000",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/0/001/000",
        "tile/0/x001/x000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000.p/1/",
        "tile/0/+01",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0",
        "tile/entries/",
        "tile/Entries/000",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "checkpoint",
        "",
    ] {
        assert_eq!(Tile::parse(path), None, "{path}");
    }
}

#[test]
fn malformed_tiles_and_bundles() {
    let short = decode_hashes("tile/0/000.p/2", &[0; 63], 2);
    insta::assert_snapshot!(short.unwrap_err(), @"tile/0/000.p/2 has 63 bytes, 64 are required");
    let bundle = |bytes: &[u8], width| decode_bundle("b", bytes, width).unwrap_err().to_string();
    insta::assert_snapshot!(bundle(b"\0\x02hi\0", 2), @"b: entry 1 at byte 4 has no length");
    insta::assert_snapshot!(bundle(b"\0\x02hi\0\x03ab", 2), @"b: entry 1 at byte 4 is cut short");
    insta::assert_snapshot!(bundle(b"\0\x02hi\0\x00", 1), @"b: entry 1 at byte 4 should not exist");
    let long = encode_entry(&[0; 65_536], &mut Vec::new());
    assert_eq!(long, Err(TileError::EntryTooLong(65_536)));
}

proptest! {
    #[test]
    fn paths_round_trip(level in 0_u8..64, entries: bool, index: u64, width in 1_u16..=256) {
        let kind = if entries { TileKind::Entries } else { TileKind::Hashes(level) };
        let tile = Tile { kind, index, width };
        prop_assert_eq!(Tile::parse(&tile.to_string()), Some(tile));
    }

    #[test]
    fn bundles_round_trip(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..20)) {
        let mut bytes = Vec::new();
        for entry in &entries {
            encode_entry(entry, &mut bytes).unwrap();
        }
        let width = u16::try_from(entries.len()).unwrap();
        let back = decode_bundle("b", &bytes, width).unwrap();
        prop_assert_eq!(back, entries.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }

    #[test]
    fn hash_tiles_round_trip(hashes in prop::collection::vec(any::<[u8; 32]>(), 1..257)) {
        let hashes: Vec<Hash> = hashes.into_iter().map(Hash).collect();
        let width = u16::try_from(hashes.len()).unwrap();
        prop_assert_eq!(decode_hashes("t", &encode_hashes(&hashes), width), Ok(hashes));
    }

    #[test]
    fn hostile_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        crate::fuzzing::tile(&bytes);
        crate::fuzzing::note(&bytes);
        crate::fuzzing::proof(&bytes);
        crate::fuzzing::token(&bytes);
        crate::fuzzing::keys(&bytes);
    }
}
