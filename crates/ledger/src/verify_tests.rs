//! Tests of `verify`: every byte of a stored log, and what may stand beside it.

use super::*;
use crate::jwks::{Jwk, PublicKey};
use crate::sample;
use crate::tiles::MemoryTiles;

fn check(tiles: &MemoryTiles) -> Result<Summary, Fault> {
    let listing = tiles.list();
    let options = Options {
        listing: Some(&listing),
        ..Options::default()
    };
    verify_log(tiles, &sample::verifier(), &options)
}

fn fault(tiles: &MemoryTiles) -> String {
    check(tiles).unwrap_err().to_string()
}

fn flipped(tiles: &MemoryTiles, path: &str, at: usize) -> MemoryTiles {
    let mut tiles = tiles.clone();
    tiles.files.get_mut(path).unwrap()[at] ^= 0x20;
    tiles
}

/// 600 entries that came in rounds, with the leftovers of each.
fn rounds() -> MemoryTiles {
    sample::log(&[10, 200, 256, 300, 512, 600]).0
}

#[test]
fn a_good_log() {
    let tiles = rounds();
    let summary = check(&tiles).unwrap();
    insta::assert_debug_snapshot!(summary, @r#"
Summary {
    origin: "bartizan.example/default",
    size: 600,
    root: "ba812a73318b4e162fe2006a56579c35a6c3ec278639da638eb601501cb6560c",
    files: 15,
    leftovers: 7,
    ahead: [],
    unknown: [],
    extends: None,
}
"#);
    assert_eq!(summary.files, tiles.files.len() as u64);
    // Without a listing only the tree's own files are seen.
    let options = Options::default();
    let summary = verify_log(&tiles, &sample::verifier(), &options).unwrap();
    assert_eq!((summary.files, summary.leftovers), (3 + 3 + 1 + 1, 0));
}

#[test]
fn good_logs_of_many_sizes() {
    for size in [0, 1, 2, 255, 256, 257, 511, 512, 513, 65_536, 65_537] {
        let (tiles, _) = sample::log(&[size]);
        let summary = check(&tiles).unwrap();
        let files = tiles.files.len() as u64;
        assert_eq!((summary.size, summary.files), (size, files));
    }
}

/// Every byte of every file, leftovers too, is found, and the file is named with the place.
#[test]
fn every_flipped_byte_is_found_and_its_place_named() {
    let tiles = rounds();
    let mut places = 0;
    for (path, bytes) in &tiles.files {
        for at in 0..bytes.len() {
            let mut bad = tiles.clone();
            bad.files.get_mut(path).unwrap()[at] ^= 1 << (at % 8);
            let fault = check(&bad).expect_err("a flipped byte goes unseen");
            assert_eq!(&fault.place.path, path, "byte {at}: {fault}");
            if path != CHECKPOINT_PATH {
                let item = match Tile::parse(path).unwrap().kind {
                    // 2 bytes of length, 4 of tag, 32 of hash.
                    TileKind::Entries => at / 38,
                    TileKind::Hashes(_) => at / 32,
                };
                let found = fault.place.item.map(|item| item as usize);
                let leftover_form =
                    matches!(fault.kind, FaultKind::Malformed(_)) && found.is_none();
                assert!(found == Some(item) || leftover_form, "{path} {at}: {fault}");
            }
            places += 1;
        }
    }
    assert!(places > 60_000, "{places}");
}

#[test]
fn what_faults_look_like() {
    let tiles = rounds();
    insta::assert_snapshot!(fault(&flipped(&tiles, "tile/entries/001", 44 * 38 + 6)), @"tile/entries/001: entry 44 (byte 1672, log index 300) was altered");
    insta::assert_snapshot!(fault(&flipped(&tiles, "tile/entries/001", 44 * 38 + 1)), @"tile/entries/001: entry 44 (byte 1672, log index 300) is malformed: entry 46 at byte 7596 is cut short");
    insta::assert_snapshot!(fault(&flipped(&tiles, "tile/entries/002.p/88", 40)), @"tile/entries/002.p/88: entry 1 (byte 38, log index 513) was altered");
    insta::assert_snapshot!(fault(&flipped(&tiles, "tile/0/000", 17 * 32)), @"tile/0/000: hash 17 (byte 544) was altered");
    insta::assert_snapshot!(fault(&flipped(&tiles, "tile/1/000.p/2", 40)), @"tile/1/000.p/2: hash 1 (byte 32) was altered");
    insta::assert_snapshot!(fault(&flipped(&tiles, "tile/entries/000.p/200", 80)), @"tile/entries/000.p/200: entry 2 (byte 76, log index 2) was altered");
    insta::assert_snapshot!(fault(&flipped(&tiles, "tile/0/001.p/44", 64)), @"tile/0/001.p/44: hash 2 (byte 64) was altered");
    insta::assert_snapshot!(fault(&flipped(&tiles, "checkpoint", 27)), @"checkpoint: line 2 is not believed: not a signed note: line 2: a control character, or no final newline");
    insta::assert_snapshot!(fault(&flipped(&tiles, "checkpoint", 1)), @"checkpoint is not believed: the signature by bartizan.example/default does not fit the text");
}

#[test]
fn cut_short_lengthened_and_missing_files() {
    let tiles = rounds();
    for path in tiles.list() {
        let own = Tile::parse(&path)
            .is_none_or(|tile| Tile::in_tree(tile.kind, tile.index, 600) == Some(tile));
        let mut bad = tiles.clone();
        bad.files.remove(&path);
        let found = check(&bad).map_err(|fault| (fault.place.path, fault.kind));
        if own {
            assert_eq!(found, Err((path.clone(), FaultKind::Missing)));
        } else {
            // A leftover may be deleted.
            assert!(found.is_ok(), "{path}");
        }
        let mut bad = tiles.clone();
        bad.files.get_mut(&path).unwrap().pop();
        assert_eq!(check(&bad).unwrap_err().place.path, path);
        let mut bad = tiles.clone();
        bad.files.get_mut(&path).unwrap().push(b'\n');
        assert_eq!(check(&bad).unwrap_err().place.path, path);
    }
}

#[test]
fn altered_on_both_sides() {
    // An entry and its leaf hash changed together: the level above still knows.
    let (good, head) = sample::log(&[600]);
    let forged = sample::entries(9_999, 10_000).remove(0);
    let mut bad = good.clone();
    let bundle = bad.files.get_mut("tile/entries/001").unwrap();
    bundle[38 * 5 + 2..38 * 6].copy_from_slice(&forged);
    let leaves = bad.files.get_mut("tile/0/001").unwrap();
    leaves[32 * 5..32 * 6].copy_from_slice(&Hash::leaf(&forged).0);
    assert_eq!(fault(&bad), "tile/entries/001 was altered");
    // The whole tree rebuilt over the forgery: only the signature knows.
    let mut entries = sample::entries(0, 600);
    entries[261] = forged;
    let empty = (MemoryTiles::default(), TreeHead::empty());
    let rebuilt = crate::log::append(&empty.0, &empty.1, &entries).unwrap();
    let mut bad = good.clone();
    bad.store(rebuilt.writes.clone());
    assert_eq!(
        check(&bad).unwrap_err(),
        Fault::new(
            Place::file(CHECKPOINT_PATH),
            FaultKind::RootMismatch {
                found: rebuilt.root
            }
        )
    );
    // Signed too, by the log itself: only who saw the log before knows.
    bad.files.insert(
        CHECKPOINT_PATH.to_owned(),
        sample::sign(rebuilt.head()).into(),
    );
    assert!(check(&bad).is_ok());
    let previous = sample::sign(head);
    let options = Options {
        previous: Some(previous.as_bytes()),
        ..Options::default()
    };
    let fault = verify_log(&bad, &sample::verifier(), &options).unwrap_err();
    assert_eq!(
        fault.kind,
        FaultKind::Inconsistent {
            previous: head,
            now: Some(rebuilt.root)
        }
    );
}

#[test]
fn an_earlier_checkpoint_of_every_kind_of_size() {
    let (tiles, _) = sample::log(&[800]);
    for size in [0, 1, 7, 255, 256, 257, 300, 511, 512, 513, 768, 800] {
        let (_, head) = sample::log(&[size]);
        let previous = sample::sign(head);
        let options = Options {
            previous: Some(previous.as_bytes()),
            ..Options::default()
        };
        let summary = verify_log(&tiles, &sample::verifier(), &options).unwrap();
        assert_eq!(summary.extends, Some(size));
    }
    let (_, longer) = sample::log(&[801]);
    let previous = sample::sign(longer);
    let options = Options {
        previous: Some(previous.as_bytes()),
        ..Options::default()
    };
    insta::assert_snapshot!(
        verify_log(&tiles, &sample::verifier(), &options).unwrap_err(),
        @"checkpoint is of a smaller tree than one seen earlier, of 801"
    );
    let options = Options {
        previous: Some(b"rubbish"),
        ..Options::default()
    };
    let fault = verify_log(&tiles, &sample::verifier(), &options).unwrap_err();
    assert!(matches!(fault.kind, FaultKind::Previous(_)), "{fault}");
}

#[test]
fn files_beside_the_log() {
    let (mut tiles, _) = sample::log(&[300]);
    // A round that was cut off before its checkpoint.
    let (ahead, _) = sample::log(&[300, 600]);
    let ahead = ahead
        .files
        .into_iter()
        .filter(|(path, _)| path != CHECKPOINT_PATH);
    tiles.store(ahead);
    for path in ["tile/0/000.bak", "notes.txt", "tile/8/000.p/1"] {
        tiles.files.insert(path.to_owned(), b"?".to_vec());
    }
    let summary = check(&tiles).unwrap();
    assert_eq!(
        summary.ahead,
        [
            "tile/0/001",
            "tile/0/002.p/88",
            "tile/1/000.p/2",
            "tile/entries/001",
            "tile/entries/002.p/88"
        ]
    );
    assert_eq!(
        summary.unknown,
        ["notes.txt", "tile/0/000.bak", "tile/8/000.p/1"]
    );
    // What files ahead share with the signed tree is checked.
    let bad = flipped(&tiles, "tile/0/001", 32 * 43);
    assert_eq!(fault(&bad), "tile/0/001: hash 43 (byte 1376) was altered");
    assert!(check(&flipped(&tiles, "tile/0/001", 32 * 44)).is_ok());
    // They also stand in for partial tiles that were deleted.
    tiles.files.retain(|path, _| !path.ends_with(".p/44"));
    assert!(check(&tiles).is_ok());
}

#[test]
fn other_signatures() {
    let (mut tiles, head) = sample::log(&[3]);
    let (one, two) = (sample::pair(7), sample::pair(8));
    let checkpoint = Checkpoint::new(sample::ORIGIN, head);
    let sign = |name, pair| {
        let signer = crate::note::NoteSigner::new(name, pair).unwrap();
        signer.sign(&checkpoint.to_string()).unwrap()
    };
    let mut note = sign(sample::ORIGIN, &one);
    note.signatures
        .extend(sign("witness.example", &two).signatures);
    tiles
        .files
        .insert(CHECKPOINT_PATH.to_owned(), note.to_string().into());
    insta::assert_snapshot!(fault(&tiles), @"checkpoint: line 6 is not believed: line 6: a signature by witness.example, whom nobody vouches for");
    let options = Options {
        allow_other_signatures: true,
        ..Options::default()
    };
    assert!(verify_log(&tiles, &sample::verifier(), &options).is_ok());
}

/// With a key set the checkpoint itself says whose it is, also after its key was rotated.
#[test]
fn published_keys() {
    let jwks = |seeds: &[(u8, &str)]| Jwks {
        keys: seeds
            .iter()
            .map(|(seed, origin)| {
                let pair = sample::pair(*seed);
                let signer = crate::note::NoteSigner::new(origin, &pair).unwrap();
                let public = PublicKey::Ed25519(*signer.verifier().public());
                Jwk {
                    kid: public.thumbprint(),
                    alg: public.algorithm(),
                    public,
                    log_origin: Some((*origin).to_owned()),
                    created: None,
                    retired: None,
                }
            })
            .collect(),
    };
    let (tiles, _) = sample::log(&[300, 600]);
    let (_, before) = sample::log(&[300]);
    let ours = jwks(&[
        (9, "other.example"),
        (7, sample::ORIGIN),
        (8, sample::ORIGIN),
    ]);
    // The earlier checkpoint is by the key that came after; each is verified by its own.
    let pair = sample::pair(8);
    let signer = crate::note::NoteSigner::new(sample::ORIGIN, &pair).unwrap();
    let previous = Checkpoint::new(sample::ORIGIN, before)
        .sign(&signer)
        .unwrap();
    let options = Options {
        previous: Some(previous.as_bytes()),
        ..Options::default()
    };
    let summary = verify_published(&tiles, &ours, &options).unwrap();
    assert_eq!((summary.size, summary.extends), (600, Some(300)));
    let fault = |tiles: &MemoryTiles, jwks: &Jwks| {
        verify_published(tiles, jwks, &Options::default())
            .unwrap_err()
            .to_string()
    };
    insta::assert_snapshot!(fault(&flipped(&tiles, "tile/0/001", 0), &ours), @"tile/0/001: hash 0 (byte 0) was altered");
    insta::assert_snapshot!(fault(&tiles, &jwks(&[(7, "other.example")])), @r#"checkpoint is of "bartizan.example/default", of which the key set has no key"#);
    insta::assert_snapshot!(fault(&tiles, &jwks(&[(8, sample::ORIGIN)])), @"checkpoint is not believed: no signature by bartizan.example/default");
    for at in 0..tiles.files[CHECKPOINT_PATH].len() {
        let bad = flipped(&tiles, CHECKPOINT_PATH, at);
        assert!(fault(&bad, &ours).starts_with("checkpoint"));
    }
}

#[test]
fn a_log_that_cannot_be_read() {
    struct Broken;
    impl TileReader for Broken {
        fn read(&self, path: &str) -> Result<Option<Vec<u8>>, ReadError> {
            let why = "permission denied".to_owned();
            let path = path.to_owned();
            Err(ReadError { path, why })
        }
    }
    let fault = verify_log(&Broken, &sample::verifier(), &Options::default()).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "checkpoint cannot be read: permission denied"
    );
}
