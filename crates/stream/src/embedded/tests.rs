//! The embedded stream: crashes, groups, room.

use super::*;
use crate::Stage;
use bartizan_model::Timestamp;
use proptest::prelude::*;

fn message(n: usize) -> Message {
    Message {
        key: format!("cve/CVE-2024-{:04}", n % 7),
        bytes: format!("record {n} {}", "x".repeat(n % 50)).into_bytes(),
    }
}

fn small(bytes: u64, cleanup: Cleanup) -> Settings {
    Settings {
        segment_bytes: bytes,
        cleanup,
        ..Settings::default()
    }
}

fn texts(found: &[Delivery]) -> Vec<String> {
    found
        .iter()
        .map(|d| String::from_utf8(d.bytes.clone()).unwrap())
        .collect()
}

fn offsets(found: &[Delivery]) -> Vec<Offset> {
    found.iter().map(|d| d.offset).collect()
}

fn all(stream: &Embedded, group: &str) -> Vec<Delivery> {
    let mut found = Vec::new();
    loop {
        let more = stream.poll(group, 3).unwrap();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The machine stops while a batch is written: any prefix of it is on the disk, or any of its
    /// bytes is not what it should be. What was durable before is there, what comes after works.
    #[test]
    fn a_crash_at_any_byte_loses_nothing_that_was_durable(
        durable in 1usize..20,
        torn in 1usize..6,
        at in any::<prop::sample::Index>(),
        flip in proptest::option::of((any::<prop::sample::Index>(), 1u8..)),
        roll in prop_oneof![Just(200u64), Just(1 << 20)],
    ) {
        let folder = tempfile::tempdir().unwrap();
        let settings = small(roll, Cleanup::Delete);
        let first: Vec<Message> = (0..durable).map(message).collect();
        let batch: Vec<Message> = (durable..durable + torn).map(message).collect();
        let (sealed, before) = {
            let stream = Embedded::open(folder.path(), &settings).unwrap();
            for one in &first {
                stream.produce(std::slice::from_ref(one)).unwrap();
            }
            let segments = stream.main.segments().unwrap();
            let last = stream.main.path(*segments.last().unwrap());
            let before = std::fs::metadata(&last).unwrap().len();
            stream.produce(&batch).unwrap();
            let now = *stream.main.segments().unwrap().last().unwrap();
            let path = stream.main.path(now);
            let kept = if path == last { before } else { 0 };
            (path, kept)
        };
        let mut bytes = std::fs::read(&sealed).unwrap();
        let length = before as usize + at.index(bytes.len() - before as usize + 1);
        bytes.truncate(length);
        if let Some((at, flip)) = flip
            && bytes.len() > before as usize
            // The head of a fresh segment is synced with its first batch, and is damage if wrong.
            && before > 0
        {
            let at = before as usize + at.index(bytes.len() - before as usize);
            bytes[at] ^= flip;
        }
        std::fs::write(&sealed, &bytes).unwrap();

        let stream = Embedded::open(folder.path(), &settings).unwrap();
        let mut want: Vec<String> = first.iter().map(|m| String::from_utf8(m.bytes.clone()).unwrap()).collect();
        let found = texts(&all(&stream, "store"));
        prop_assert!(found.len() >= durable);
        prop_assert_eq!(&found[..durable], &want[..]);
        for (n, text) in found[durable..].iter().enumerate() {
            prop_assert_eq!(text.as_bytes(), &batch[n].bytes[..]);
        }
        stream.produce(&[message(900)]).unwrap();
        prop_assert_eq!(texts(&all(&stream, "store")), vec![String::from_utf8(message(900).bytes).unwrap()]);
        drop(stream);
        let stream = Embedded::open(folder.path(), &settings).unwrap();
        let again = texts(&all(&stream, "store"));
        want = found;
        want.push(String::from_utf8(message(900).bytes).unwrap());
        prop_assert_eq!(again, want);
    }
}

#[test]
fn two_groups_go_on_where_each_committed() {
    let folder = tempfile::tempdir().unwrap();
    let settings = small(300, Cleanup::Delete);
    let stream = Embedded::open(folder.path(), &settings).unwrap();
    stream
        .produce(&(0..10).map(message).collect::<Vec<_>>())
        .unwrap();
    let a = stream.poll("store", 4).unwrap();
    assert_eq!(a.len(), 4);
    stream.commit("store", &offsets(&a)).unwrap();
    assert_eq!(stream.poll("store", 2).unwrap().len(), 2);
    assert_eq!(stream.lag("store").unwrap(), 6);
    assert_eq!(all(&stream, "ask").len(), 10);
    assert_eq!(stream.lag("ask").unwrap(), 10);
    stream.rewind("store").unwrap();
    assert_eq!(
        all(&stream, "store").len(),
        6,
        "the two that were not committed came again"
    );
    drop(stream);
    let stream = Embedded::open(folder.path(), &settings).unwrap();
    assert_eq!(all(&stream, "store").len(), 6);
    assert_eq!(all(&stream, "ask").len(), 10);
    // An older commit takes nothing back.
    stream
        .commit(
            "ask",
            &[Offset {
                partition: 0,
                number: 9,
            }],
        )
        .unwrap();
    stream
        .commit(
            "ask",
            &[Offset {
                partition: 0,
                number: 3,
            }],
        )
        .unwrap();
    assert_eq!(stream.lag("ask").unwrap(), 0);
}

#[test]
fn a_group_has_one_member_and_producers_may_be_several() {
    let folder = tempfile::tempdir().unwrap();
    let settings = small(300, Cleanup::Delete);
    let one = Embedded::open(folder.path(), &settings).unwrap();
    let other = Embedded::open(folder.path(), &settings).unwrap();
    for n in 0..20 {
        let stream = if n % 2 == 0 { &one } else { &other };
        stream.produce(&[message(n)]).unwrap();
    }
    let found = all(&one, "store");
    let numbers: Vec<u64> = found.iter().map(|d| d.offset.number).collect();
    assert_eq!(numbers, (0..20).collect::<Vec<_>>());
    assert!(matches!(other.poll("store", 1), Err(StreamError::Busy(_))));
    drop(one);
    assert_eq!(other.poll("store", 1).unwrap().len(), 1);
}

#[test]
fn what_all_have_read_is_removed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let stream = Embedded::open(folder.path(), &small(200, Cleanup::Delete)).unwrap();
    for n in 0..30 {
        stream.produce(&[message(n)]).unwrap();
    }
    stream.tidy().unwrap();
    assert_eq!(all(&stream, "store").len(), 30, "nobody had read");
    let before = stream.main.segments().unwrap().len();
    let _ = stream.poll("ask", 1).unwrap();
    stream
        .commit(
            "store",
            &[Offset {
                partition: 0,
                number: 29,
            }],
        )
        .unwrap();
    stream.tidy().unwrap();
    assert_eq!(
        stream.main.segments().unwrap().len(),
        before,
        "ask has not read"
    );
    stream
        .commit(
            "ask",
            &[Offset {
                partition: 0,
                number: 25,
            }],
        )
        .unwrap();
    stream.tidy().unwrap();
    assert!(stream.main.segments().unwrap().len() < before);
    stream.rewind("ask").unwrap();
    assert_eq!(all(&stream, "ask").len(), 4);
    assert_eq!(stream.lag("store").unwrap(), 0);
}

#[test]
fn compacted_the_last_of_each_key_stays_with_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let settings = small(400, Cleanup::Compact);
    let stream = Embedded::open(folder.path(), &settings).unwrap();
    for n in 0..100 {
        stream.produce(&[message(n)]).unwrap();
    }
    let found = all(&stream, "store");
    stream.commit("store", &offsets(&found)).unwrap();
    stream.tidy().unwrap();
    let now = all(&stream, "new");
    assert!(now.len() < 30, "{}", now.len());
    let mut latest = BTreeMap::new();
    for delivery in &now {
        latest.insert(delivery.key.clone(), delivery.clone());
    }
    for n in 93..100 {
        let want = message(n);
        assert_eq!(latest[&want.key].bytes, want.bytes);
        assert_eq!(latest[&want.key].offset.number, n as u64);
    }
    stream.produce(&[message(100)]).unwrap();
    assert_eq!(stream.poll("new", 5).unwrap()[0].offset.number, 100);
}

#[test]
fn damage_in_what_was_sealed_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let stream = Embedded::open(folder.path(), &small(200, Cleanup::Delete)).unwrap();
    for n in 0..30 {
        stream.produce(&[message(n)]).unwrap();
    }
    let path = stream.main.path(0);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.len() - 3;
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = loop {
        match stream.poll("store", 100) {
            Ok(found) => assert!(!found.is_empty()),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StreamError::Damaged { .. }), "{error}");
}

#[test]
fn numbers_that_a_group_has_read_are_never_given_again() {
    let folder = tempfile::tempdir().unwrap();
    let settings = small(1 << 20, Cleanup::Delete);
    let stream = Embedded::open(folder.path(), &settings).unwrap();
    stream
        .produce(&(0..5).map(message).collect::<Vec<_>>())
        .unwrap();
    let found = all(&stream, "store");
    stream.commit("store", &offsets(&found)).unwrap();
    let path = stream.main.path(0);
    drop(stream);
    // The disk lost the log, and kept what the group committed.
    std::fs::write(&path, &std::fs::read(&path).unwrap()[..40]).unwrap();
    let stream = Embedded::open(folder.path(), &settings).unwrap();
    stream.produce(&[message(7)]).unwrap();
    assert_eq!(texts(&all(&stream, "store")).len(), 1);
}

#[test]
fn dead_letters_are_kept_until_they_are_retired() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::default();
    let stream = Embedded::open(folder.path(), &settings).unwrap();
    let stage = Stage::Apply {
        group: "store".into(),
    };
    for n in 0..3 {
        let letter = DeadLetter::new(
            &format!("cve/{n}"),
            "no",
            stage.clone(),
            Timestamp::from_micros(n),
            b"{",
        );
        stream.dead_letter(&letter).unwrap();
    }
    drop(stream);
    let stream = Embedded::open(folder.path(), &settings).unwrap();
    assert_eq!(stream.dead_count().unwrap(), 3);
    let letters = stream.dead_letters(2).unwrap();
    assert_eq!(letters[1].1.key, "cve/1");
    stream.retire(&[letters[1].0]).unwrap();
    assert_eq!(stream.dead_letters(9).unwrap().len(), 1);
    assert_eq!(stream.dead_count().unwrap(), 1);
}

#[test]
fn what_no_stream_takes_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let stream = Embedded::open(folder.path(), &Settings::default()).unwrap();
    let large = Message {
        key: "k".into(),
        bytes: vec![0; crate::MAX_MESSAGE + 1],
    };
    assert!(stream.produce(&[message(0), large]).is_err());
    let nameless = Message {
        key: String::new(),
        bytes: Vec::new(),
    };
    assert!(stream.produce(&[nameless]).is_err());
    assert!(stream.poll("Not A Group", 1).is_err());
    assert!(all(&stream, "store").is_empty());
    stream
        .produce(&[Message {
            key: "k".into(),
            bytes: vec![7; crate::MAX_MESSAGE],
        }])
        .unwrap();
    assert_eq!(
        stream.poll("store", 1).unwrap()[0].bytes.len(),
        crate::MAX_MESSAGE
    );
}
