//! Files that packages of a distribution brought. Of a language's package that is such a file the
//! distribution decides: it mends under versions of its own, and its advisories count. Those of the
//! registry would be held against a version that says nothing.
//!
//! Only as it was brought: a file that somebody has changed since is told. So is one of a package that
//! somebody else made, because the distribution's advisories are silent about it.

use crate::tree::{Candidate, File, LARGEST};
use crate::{OsRelease, catalogue};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::sync::Arc;

/// The most files of one target; those beyond are told, as if nobody had brought them.
const MOST: usize = 1_000_000;

/// What a file's bytes are, as a database of packages says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sum {
    /// SHA-256.
    Sha256([u8; 32]),
    /// SHA-1.
    Sha1([u8; 20]),
    /// Nothing is said, or by a digest that is not compared.
    Untold,
}

/// Who made the package that brought a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maker {
    /// The type of its purls: `rpm`.
    pub purl_type: &'static str,
    /// As the database names the maker; none where it names nobody's.
    pub vendor: Option<Arc<str>>,
}

/// The files, and what was read of them.
#[derive(Debug, Default)]
pub(crate) struct Brought {
    files: HashMap<String, Vec<(Maker, Sum)>>,
    /// Both digests, because files come in any order.
    read: HashMap<String, [Sum; 2]>,
}

impl Brought {
    /// Notes a file that a package brought, where its path says that it counts.
    pub(crate) fn note(&mut self, path: &str, maker: &Maker, sum: Sum) {
        if self.files.len() < MOST && counts(path) {
            let all = self.files.entry(place(path).to_owned()).or_default();
            all.push((maker.clone(), sum));
        }
    }

    /// Notes what a file is.
    pub(crate) fn read(&mut self, file: &File) {
        let sums = [
            Sum::Sha256(Sha256::digest(&file.bytes).into()),
            Sum::Sha1(Sha1::digest(&file.bytes).into()),
        ];
        self.read.insert(file.path.clone(), sums);
    }

    /// Whether a package of the distribution brought the file, or the archive that it stands in, and
    /// nobody has changed it.
    pub(crate) fn by(&self, os: &OsRelease, path: &str) -> bool {
        let path = path.split_once("!/").map_or(path, |(archive, _)| archive);
        let Some(all) = self.files.get(place(path)) else {
            return false;
        };
        let read = self.read.get(path);
        all.iter().any(|(maker, sum)| {
            let same = *sum == Sum::Untold || read.is_some_and(|read| read.contains(sum));
            same && os.makes(maker)
        })
    }
}

/// Whether what a file of that path tells is left to whoever brought it.
pub(crate) fn counts(path: &str) -> bool {
    let path = path.trim_start_matches('/');
    catalogue::yields(&Candidate {
        path,
        size: LARGEST,
        executable: false,
    })
}

/// The path as it is compared: `lib` and `usr/lib` are one where a distribution has merged them, and its
/// packages name either.
fn place(path: &str) -> &str {
    let path = path.trim_start_matches('/');
    match path.strip_prefix("usr/") {
        Some(rest) if ["bin/", "lib", "sbin/"].iter().any(|p| rest.starts_with(p)) => rest,
        _ => path,
    }
}
