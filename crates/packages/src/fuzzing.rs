//! Entries for fuzzing: any bytes, neither panic nor hang.

use crate::rpm::Depth;
use crate::{apk, dpkg, rpm};

/// The list of apk.
pub fn apk(bytes: &[u8]) {
    let _ = apk::installed(bytes);
}

/// The list of dpkg.
pub fn dpkg(bytes: &[u8]) {
    let _ = dpkg::status(bytes);
}

/// A database of rpm, of any format.
pub fn rpmdb(bytes: &[u8]) {
    let _ = rpm::packages(bytes, &[], Depth::Records);
    let (database, journal) = bytes.split_at(bytes.len() / 2);
    let _ = rpm::packages(database, journal, Depth::Package);
}
