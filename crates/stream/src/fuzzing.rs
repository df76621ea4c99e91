//! Entries for fuzzing: any bytes, neither panic nor hang.

use crate::embedded::frame;
use crate::source::lists;
use crate::source::shelf::{self, Want};

/// A segment of the embedded log, and a dead letter.
pub fn segment(bytes: &[u8]) {
    let mut from = bytes;
    while let Ok(frame::Found::Frame(read, _)) = frame::read(&mut from) {
        let _ = crate::DeadLetter::decode(&read.bytes);
    }
    let _ = crate::DeadLetter::decode(bytes);
}

/// Lists of releases, of changes, of links.
pub fn feed_lists(bytes: &[u8]) {
    let _ = lists::releases(bytes);
    let _ = lists::changes(bytes);
    let _ = lists::links(bytes);
}

/// An archive, with those in it.
pub fn archive(bytes: &[u8]) {
    let want = Want {
        name: &|_| true,
        known: &|_, _| false,
        max_bytes: 1 << 20,
    };
    let from = std::io::Cursor::new(bytes);
    let _ = shelf::archive("fuzz", from, &std::env::temp_dir(), &want, &mut |_| Ok(()));
}
