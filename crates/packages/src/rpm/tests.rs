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

/// Written by SQLite 3.40: two packages, then in the log one removed and one added, and 200 more in a
/// transaction that has no end.
#[test]
fn what_is_committed_in_the_log_counts_and_no_more() {
    let database = unpacked(include_bytes!("testdata/logged.sqlite.bz2"));
    let log = unpacked(include_bytes!("testdata/logged.sqlite-wal.bz2"));
    let read = |log: &[u8]| -> Result<Vec<String>, RpmError> {
        let all = packages(&database, log, Depth::Package)?;
        Ok(all.into_iter().map(|p| p.name).collect())
    };
    assert_eq!(read(&[]), Ok(vec!["old".into(), "removed".into()]));
    assert_eq!(read(&log), Ok(vec!["old".into(), "new".into()]));
    // Frames of an earlier round behind it are none of its own.
    let mut longer = log.clone();
    longer.extend([7; 5000]);
    assert_eq!(read(&longer), read(&log));
    // One that is broken is no old database.
    for broken in [
        &log[..20],
        &log[..5000],
        // Two frames are committed, and of a third there is only the head.
        &[&log[..32 + 2 * 4120], &log[32..56]].concat()[..],
    ] {
        assert!(read(broken).unwrap_err().0.ends_with("log is broken"));
    }
    for at in [0, 9, 17, 25, 33, 49, 100, 4200] {
        let mut changed = log.clone();
        changed[at] ^= 1;
        assert!(read(&changed).is_err(), "{at}");
    }
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

/// Of two pages: the schema, and a leaf on which so many cells are one.
fn sqlite(blob: &[u8], cells: usize) -> Vec<u8> {
    const PAGE: usize = 4096;
    // A record of texts (odd) and blobs (even) shorter than 128 bytes.
    let cell = |columns: &[(u8, &[u8])]| {
        let mut record = vec![1 + columns.len() as u8];
        record.extend(columns.iter().map(|(kind, _)| *kind));
        columns.iter().for_each(|(_, bytes)| record.extend(*bytes));
        assert!(record.len() < 128);
        [&[record.len() as u8, 1], record.as_slice()].concat()
    };
    let text = |t: &'static str| (13 + 2 * t.len() as u8, t.as_bytes());
    let leaf = |start: usize, cells: usize, cell: &[u8]| {
        let mut page = vec![0; PAGE];
        let at = PAGE - cell.len();
        page[at..].copy_from_slice(cell);
        page[start] = 0x0d;
        page[start + 3..start + 5].copy_from_slice(&(cells as u16).to_be_bytes());
        for place in 0..cells {
            let pointer = start + 8 + place * 2;
            page[pointer..pointer + 2].copy_from_slice(&(at as u16).to_be_bytes());
        }
        page
    };
    let schema = [
        text("table"),
        text("Packages"),
        text("Packages"),
        (1, [2].as_slice()),
        text(""),
    ];
    let mut first = leaf(100, 1, &cell(&schema));
    first[..16].copy_from_slice(b"SQLite format 3\0");
    first[16..18].copy_from_slice(&(PAGE as u16).to_be_bytes());
    let row = cell(&[(0, &[]), (12 + 2 * blob.len() as u8, blob)]);
    [first, leaf(0, cells, &row)].concat()
}

#[test]
fn many_places_of_one_header_are_an_error() {
    let why = |database: &[u8]| {
        let told = packages(database, &[], Depth::Package);
        told.unwrap_err().to_string()
    };
    // Every slot names the first blob.
    let mut slots = ndb(&["a"]);
    let first = slots[32..48].to_vec();
    for slot in 3..256 {
        slots[slot * 16..slot * 16 + 16].copy_from_slice(&first);
    }
    assert!(why(&slots).ends_with("its headers overlap"));
    // Every pair of items is the last of the page.
    let pairs = 20;
    for item in [4, 2] {
        let mut hash = bdb(false);
        hash[512 + 20..512 + 22].copy_from_slice(&(2 * pairs as u16).to_le_bytes());
        let at = 512 + 26 + item * 2;
        let pair = hash[at..at + 4].to_vec();
        for place in 0..pairs {
            let at = 512 + 26 + place * 4;
            hash[at..at + 4].copy_from_slice(&pair);
        }
        // Of those that overflow, a page is another's.
        let wanted = match item {
            4 => "its headers overlap",
            _ => "a broken page of Berkeley DB",
        };
        assert!(why(&hash).ends_with(wanted), "{}", why(&hash));
    }
    // Of a name alone, so that a row is short.
    let mut small = Vec::new();
    for word in [1u32, 2, 1000, 6, 0, 1] {
        small.extend(word.to_be_bytes());
    }
    small.extend(b"a\0");
    assert_eq!(names(&sqlite(&small, 3)), ["a"; 3]);
    assert!(why(&sqlite(&small, 1000)).ends_with("its rows overlap"));
}

/// A folder's name is there once, and a path has it whole.
#[test]
fn paths_do_not_outgrow_their_header() {
    let with = |folder: &str, files: usize| {
        let mut data = b"a\0".to_vec();
        let mut index = Vec::new();
        let mut tag = |tag: u32, kind: u32, at: usize, count: usize| {
            for word in [tag, kind, at as u32, count as u32] {
                index.extend(word.to_be_bytes());
            }
        };
        tag(1000, 6, 0, 1);
        tag(1118, 8, data.len(), 1);
        data.extend(folder.as_bytes());
        data.push(0);
        tag(1117, 8, data.len(), files);
        data.extend(b"f\0".repeat(files));
        tag(1116, 4, data.len(), files);
        data.extend(vec![0; files * 4]);
        let mut blob = (index.len() as u32 / 16).to_be_bytes().to_vec();
        blob.extend((data.len() as u32).to_be_bytes());
        blob.extend(index);
        blob.extend(data);
        Package::parse(&blob, Depth::Files)
    };
    assert_eq!(with("/usr/", 2000).unwrap().files.len(), 2000);
    assert!(with(&"/usr".repeat(1000), 2000).is_none());
}
