//! Databases of package managers as bytes: dpkg, apk, rpm (sqlite, ndb, Berkeley DB).
//!
//! **Invariant:** no files and no network: bytes in, entries out, each bounded by the size of what
//! came in. A database of rpm that breaks in the middle is an error, never the half of its packages; of
//! the lists of dpkg and apk the blocks that are broken are told, and the others stand.

pub mod apk;
pub mod dpkg;
pub mod fuzzing;
pub mod rpm;

/// The most parts of one file that are told as broken.
const MAX_BROKEN: usize = 10_000;

/// Tells a part that is broken by its line; at the bound, that there are more.
fn broken(all: &mut Vec<(usize, &'static str)>, line: usize, why: &'static str) {
    match all.len().cmp(&MAX_BROKEN) {
        std::cmp::Ordering::Less => all.push((line, why)),
        std::cmp::Ordering::Equal => all.push((line, "more is broken from here on, untold")),
        std::cmp::Ordering::Greater => {}
    }
}
