//! Databases of package managers as bytes: dpkg, apk, rpm (sqlite, ndb, Berkeley DB).
//!
//! **Invariant:** no files and no network: bytes in, entries out, each bounded by the size of what
//! came in. A database of rpm that breaks in the middle is an error, never the half of its packages; of
//! the lists of dpkg and apk the blocks that are broken are told, and the others stand.

pub mod apk;
pub mod dpkg;
pub mod fuzzing;
pub mod rpm;
