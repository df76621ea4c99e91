//! Databases of package managers as bytes: dpkg, apk, rpm (sqlite, ndb, Berkeley DB).
//!
//! **Invariant:** no files and no network: bytes in, entries out, each bounded by the size of what
//! came in. A broken database is an error; what was read before it broke is kept by the caller.

pub mod apk;
pub mod dpkg;
pub mod fuzzing;
pub mod rpm;
