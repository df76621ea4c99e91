//! The formats on databases made by rpm itself and by hand.

use super::*;
use std::io::Read;

fn unpacked(packed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bzip2::read::BzDecoder::new(packed)
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}

/// A header with a name, a version and a release.
fn header(name: &str) -> Vec<u8> {
    let mut data = Vec::new();
    let mut index = Vec::new();
    for (tag, value) in [
        (1000u32, name),
        (1001, "1.2"),
        (1002, "3"),
        (1044, "tiny-1.2-3.src.rpm"),
    ] {
        for word in [tag, 6, data.len() as u32, 1] {
            index.extend(word.to_be_bytes());
        }
        data.extend(value.as_bytes());
        data.push(0);
    }
    let mut blob = Vec::new();
    blob.extend((index.len() as u32 / 16).to_be_bytes());
    blob.extend((data.len() as u32).to_be_bytes());
    blob.extend(index);
    blob.extend(data);
    blob
}

fn names(database: &[u8]) -> Vec<String> {
    let all = packages(database, &[], Depth::Package).unwrap();
    all.into_iter().map(|p| p.name).collect()
}

/// Made by hand after rpm's `lib/backend/ndb/rpmpkg.c`.
pub(crate) fn ndb(names: &[&str]) -> Vec<u8> {
    let mut out = vec![0; 4096];
    out[..4].copy_from_slice(b"RpmP");
    out[12..16].copy_from_slice(&1u32.to_le_bytes());
    for slot in 2..256 {
        out[slot * 16..slot * 16 + 4].copy_from_slice(b"Slot");
    }
    for (i, name) in names.iter().enumerate() {
        let at = (i + 2) * 16;
        let index = i as u32 + 1;
        let block = (out.len() / 16) as u32;
        out[at + 4..at + 8].copy_from_slice(&index.to_le_bytes());
        out[at + 8..at + 12].copy_from_slice(&block.to_le_bytes());
        let blob = header(name);
        out.extend(b"BlbS");
        out.extend(index.to_le_bytes());
        out.extend(0u32.to_le_bytes());
        out.extend((blob.len() as u32).to_le_bytes());
        out.extend(blob);
        while !out.len().is_multiple_of(16) {
            out.push(0);
        }
    }
    out
}

/// Made by hand after Berkeley DB's `dbinc/db_page.h`: one value that overflows, one that does not.
fn bdb(big: bool) -> Vec<u8> {
    let word = |n: u32| {
        if big {
            n.to_be_bytes()
        } else {
            n.to_le_bytes()
        }
    };
    let half = |n: u16| {
        if big {
            n.to_be_bytes()
        } else {
            n.to_le_bytes()
        }
    };
    const PAGE: usize = 512;
    let mut meta = vec![0; PAGE];
    meta[12..16].copy_from_slice(&word(0x61561));
    meta[20..24].copy_from_slice(&word(PAGE as u32));
    meta[32..36].copy_from_slice(&word(2));
    let large = header("large");
    let small = header("small");
    let mut hash = vec![0; PAGE];
    hash[25] = 13;
    hash[20..22].copy_from_slice(&half(6));
    let mut end = PAGE;
    let mut place = |hash: &mut Vec<u8>, item: usize, bytes: &[u8]| {
        end -= bytes.len();
        hash[end..end + bytes.len()].copy_from_slice(bytes);
        hash[26 + item * 2..28 + item * 2].copy_from_slice(&half(end as u16));
    };
    place(&mut hash, 0, &[1, 0, 0, 0, 0]);
    place(&mut hash, 1, &[1, 9, 9, 9, 9]);
    place(&mut hash, 2, &[1, 1, 0, 0, 0]);
    let mut off = vec![3, 0, 0, 0];
    off.extend(word(2));
    off.extend(word(large.len() as u32));
    place(&mut hash, 3, &off);
    place(&mut hash, 4, &[1, 2, 0, 0, 0]);
    place(&mut hash, 5, &[&[1], small.as_slice()].concat());
    let mut over = vec![0; PAGE];
    over[25] = 7;
    over[22..24].copy_from_slice(&half(large.len() as u16));
    over[26..26 + large.len()].copy_from_slice(&large);
    [meta, hash, over].concat()
}

#[test]
fn sqlite_made_by_rpm() {
    let database = unpacked(include_bytes!(
        "../../../scap/src/probe/host/testdata/rpmdb.sqlite.bz2"
    ));
    let all = packages(&database, &[], Depth::Package).unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].name, "tiny");
    assert_eq!(all[0].epoch, Some(4));
    assert!(all[0].licence.is_some());
}

#[test]
fn ndb_by_hand() {
    let database = ndb(&["a", "b"]);
    assert_eq!(names(&database), ["a", "b"]);
    let all = packages(&database, &[], Depth::Package).unwrap();
    assert_eq!(all[0].source.as_deref(), Some("tiny-1.2-3.src.rpm"));
}

#[test]
fn berkeley_db_of_both_orders() {
    assert_eq!(names(&bdb(false)), ["large", "small"]);
    assert_eq!(names(&bdb(true)), ["large", "small"]);
}

/// Written by Berkeley DB 5.3's `db_load`: the header of rpm's own database, one with 3,000 files, and 37
/// made here, in two pages of the hash and eleven of overflow.
#[test]
fn berkeley_db_by_itself() {
    let database = unpacked(include_bytes!("testdata/Packages.bz2"));
    let mut found = names(&database);
    found.sort();
    assert_eq!(found.len(), 39);
    assert_eq!(found[0], "huge");
    assert_eq!(found[38], "tiny");
    let all = packages(&database, &[], Depth::Files).unwrap();
    assert!(all.iter().any(|p| p.files.len() == 3_000));
    assert!(packages(&database[..40_000], &[], Depth::Package).is_err());
}

#[test]
fn broken_databases_are_errors_and_end() {
    for database in [ndb(&["a", "b"]), bdb(false), bdb(true)] {
        for at in 0..database.len() {
            let _ = packages(&database[..at], &[], Depth::Records);
            let mut changed = database.clone();
            changed[at] ^= 0xff;
            let _ = packages(&changed, &[], Depth::Records);
        }
        assert!(packages(&database[..700], &[], Depth::Package).is_err());
    }
    // A page that follows itself.
    let mut looped = bdb(false);
    looped[1024 + 16..1024 + 20].copy_from_slice(&2u32.to_le_bytes());
    looped[1024 + 22..1024 + 24].copy_from_slice(&0u16.to_le_bytes());
    assert!(packages(&looped, &[], Depth::Package).is_err());
}
