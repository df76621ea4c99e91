//! A system that was recorded: every answer comes from a file.
//!
//! **Invariant:** what was not asked when it was recorded is an error here, never absence.

pub(super) mod format;

use super::netlink::{Address, Link};
use super::{FileKind, Interfaces, Metadata, Space, System, Uname, Unit};
use flate2::read::GzDecoder;
use format::{In, Kind, MAGIC, MAX_BYTES};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::net::IpAddr;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The most questions without an answer that are remembered.
const MAX_MISSED: usize = 1000;

/// Why a file is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Not a snapshot, or of another version.
    #[error("it is no snapshot of a version that is known here")]
    Unknown,
    /// Cut off or damaged.
    #[error("the snapshot is cut off or damaged: {0}")]
    Broken(&'static str),
    /// Too large.
    #[error("the snapshot is larger than {} MiB unpacked", MAX_BYTES >> 20)]
    Large,
    /// It could not be read.
    #[error("the snapshot cannot be read")]
    Io(#[from] io::Error),
}

/// A recorded system.
#[derive(Debug)]
pub struct Snapshot {
    blob: Vec<u8>,
    /// By kind and key; of answers to the same question the first is first.
    records: Vec<Record>,
    contents: Vec<Range<usize>>,
    live: bool,
    units: OnceLock<io::Result<Vec<Unit>>>,
    missed: Mutex<BTreeSet<String>>,
}

#[derive(Debug)]
struct Record {
    kind: Kind,
    /// Where the key begins, which ends where its value's length begins.
    key: Range<usize>,
    value: Range<usize>,
}

impl Snapshot {
    /// From the bytes of a file.
    pub fn read(bytes: &[u8]) -> Result<Self, SnapshotError> {
        Self::load(bytes)
    }

    /// From a stream, bounded whatever it brings.
    pub fn load(mut reader: impl Read) -> Result<Self, SnapshotError> {
        let mut magic = vec![0; MAGIC.len()];
        match reader.read_exact(&mut magic) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(SnapshotError::Unknown);
            }
            other => other?,
        }
        if magic != MAGIC {
            return Err(SnapshotError::Unknown);
        }
        let mut blob = Vec::new();
        let unpacked = GzDecoder::new(reader)
            .take(MAX_BYTES + 1)
            .read_to_end(&mut blob);
        if blob.len() as u64 > MAX_BYTES {
            return Err(SnapshotError::Large);
        }
        match unpacked {
            Ok(_) => Self::parse(blob),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::UnexpectedEof
                        | io::ErrorKind::InvalidInput
                        | io::ErrorKind::InvalidData
                ) =>
            {
                Err(SnapshotError::Broken("the compression"))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn parse(blob: Vec<u8>) -> Result<Self, SnapshotError> {
        let broken = SnapshotError::Broken;
        let (mut records, mut contents) = (Vec::new(), Vec::new());
        let mut rest = In(&blob);
        let mut count = 0_u64;
        loop {
            let kind = rest.byte().ok_or(broken("no end"))?;
            let kind = Kind::of(kind).ok_or(broken("a record of no known kind"))?;
            let key = part(&mut rest, blob.len()).ok_or(broken("a record"))?;
            let value = part(&mut rest, blob.len()).ok_or(broken("a record"))?;
            match kind {
                Kind::End => {
                    let said = blob.get(value).and_then(|bytes| In(bytes).number());
                    if said != Some(count) || !rest.0.is_empty() {
                        return Err(broken("the end"));
                    }
                    break;
                }
                Kind::Content => contents.push(value),
                _ => records.push(Record { kind, key, value }),
            }
            count += 1;
        }
        records.sort_by(|one, other| {
            let key = |record: &Record| blob.get(record.key.clone());
            (one.kind, key(one)).cmp(&(other.kind, key(other)))
        });
        let mut snapshot = Self {
            blob,
            records,
            contents,
            live: false,
            units: OnceLock::new(),
            missed: Mutex::default(),
        };
        snapshot.live = snapshot.value(Kind::Live, b"") == Some(&[1]);
        Ok(snapshot)
    }

    fn value(&self, kind: Kind, key: &[u8]) -> Option<&[u8]> {
        let of = |record: &Record| (record.kind, self.blob.get(record.key.clone()));
        let at = self
            .records
            .partition_point(|record| of(record) < (kind, Some(key)));
        let record = self.records.get(at)?;
        (of(record) == (kind, Some(key)))
            .then(|| self.blob.get(record.value.clone()))
            .flatten()
    }

    /// What the recording program noted under a name.
    pub fn note(&self, name: &str) -> Option<&[u8]> {
        self.value(Kind::Note, name.as_bytes())
    }

    /// How many answers there are.
    pub fn answers(&self) -> usize {
        self.records.len()
    }

    /// Questions that had no answer, in words, at most some hundred.
    pub fn missed(&self) -> Vec<String> {
        let missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        missed.iter().cloned().collect()
    }

    fn unrecorded(&self, kind: Kind, key: &[u8]) -> io::Error {
        let path = String::from_utf8_lossy(key).replace('\0', " ");
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        if missed.len() < MAX_MISSED {
            missed.insert(format!("{} {path}", kind.word()).trim_end().to_owned());
        }
        io::Error::other(format!("the snapshot does not have this {}", kind.word()))
    }

    fn ask<T>(
        &self,
        kind: Kind,
        key: &[u8],
        decode: impl FnOnce(&mut In<'_>) -> Option<T>,
    ) -> io::Result<T> {
        let Some(value) = self.value(kind, key) else {
            return Err(self.unrecorded(kind, key));
        };
        match In(value).result() {
            Some(Ok(mut answer)) => decode(&mut answer).ok_or_else(broken),
            Some(Err(error)) => Err(error),
            None => Err(broken()),
        }
    }
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the snapshot is damaged here")
}

/// Where the next bytes with a length lie in the whole.
fn part(rest: &mut In<'_>, whole: usize) -> Option<Range<usize>> {
    let bytes = rest.bytes()?;
    let end = whole.checked_sub(rest.0.len())?;
    Some(end.checked_sub(bytes.len())?..end)
}

fn key(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

fn path(from: &mut In<'_>) -> Option<PathBuf> {
    Some(PathBuf::from(OsStr::from_bytes(from.bytes()?)))
}

/// Numbers of kinds of files; part of the format.
pub(super) const FILE_KINDS: &[FileKind] = &[
    FileKind::Unknown,
    FileKind::BlockSpecial,
    FileKind::CharacterSpecial,
    FileKind::Directory,
    FileKind::Fifo,
    FileKind::Regular,
    FileKind::Socket,
    FileKind::SymbolicLink,
];

fn metadata(from: &mut In<'_>) -> Option<Metadata> {
    Some(Metadata {
        kind: *FILE_KINDS.get(usize::from(from.byte()?))?,
        mode: from.small()?,
        uid: from.small()?,
        gid: from.small()?,
        size: from.number()?,
        device: from.number()?,
        inode: from.number()?,
        accessed: from.signed()?,
        modified: from.signed()?,
        changed: from.signed()?,
    })
}

fn unit(from: &mut In<'_>) -> Option<Unit> {
    Some(Unit {
        name: from.text()?,
        properties: from.list(|one| Some((one.text()?, one.list(In::text)?)))?,
    })
}

fn link(from: &mut In<'_>) -> Option<Link> {
    Some(Link {
        index: from.small()?,
        name: from.text()?,
        hardware: u16::try_from(from.number()?).ok()?,
        flags: from.small()?,
        address: from.bytes()?.to_owned(),
    })
}

fn optional<T>(text: Option<T>, none: bool) -> Option<Option<T>> {
    if none { Some(None) } else { text.map(Some) }
}

fn address(from: &mut In<'_>) -> Option<Address> {
    let parse = |text: &str| text.parse::<IpAddr>().ok();
    let link = from.small()?;
    let label = from.text()?;
    let address = parse(&from.text()?)?;
    let prefix = from.byte()?;
    let broadcast = from.text()?;
    Some(Address {
        link,
        label: Some(label).filter(|label| !label.is_empty()),
        address,
        prefix,
        broadcast: optional(parse(&broadcast), broadcast.is_empty())?,
    })
}

impl System for Snapshot {
    fn lstat(&self, path: &Path) -> io::Result<Metadata> {
        self.ask(Kind::Lstat, key(path), metadata)
    }

    fn stat(&self, path: &Path) -> io::Result<Metadata> {
        self.ask(Kind::Stat, key(path), metadata)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<(OsString, Option<FileKind>)>> {
        self.ask(Kind::ReadDir, key(path), |from| {
            from.list(|one| {
                let name = OsStr::from_bytes(one.bytes()?).to_owned();
                let kind = one.byte()?;
                let known = FILE_KINDS.get(usize::from(kind)).copied();
                Some((name, optional(known, kind == u8::MAX)?))
            })
        })
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let large = || {
            let what = format!("larger than {limit} bytes");
            io::Error::new(io::ErrorKind::FileTooLarge, what)
        };
        let path = key(path);
        if self.value(Kind::Read, path).is_none()
            && let Some(value) = self.value(Kind::TooLarge, path)
            && In(value).number().is_some_and(|known| limit <= known)
        {
            return Err(large());
        }
        let bytes = self.ask(Kind::Read, path, |from| {
            let content = self.contents.get(usize::try_from(from.number()?).ok()?)?;
            self.blob.get(content.clone())
        })?;
        if bytes.len() as u64 > limit {
            return Err(large());
        }
        Ok(bytes.to_vec())
    }

    fn read_link(&self, link: &Path) -> io::Result<PathBuf> {
        self.ask(Kind::ReadLink, key(link), path)
    }

    fn canonical(&self, link: &Path) -> io::Result<PathBuf> {
        self.ask(Kind::Canonical, key(link), path)
    }

    fn has_acl(&self, path: &Path) -> Option<bool> {
        self.ask(Kind::Acl, key(path), |from| from.byte())
            .ok()
            .and_then(|answer| match answer {
                1 => Some(false),
                2 => Some(true),
                _ => None,
            })
    }

    fn attribute(&self, path: &Path, name: &str) -> io::Result<Option<Vec<u8>>> {
        let whole = [key(path), b"\0", name.as_bytes()].concat();
        self.ask(Kind::Attribute, &whole, |from| match from.byte()? {
            0 => Some(None),
            _ => Some(Some(from.bytes()?.to_owned())),
        })
    }

    fn uname(&self) -> io::Result<Uname> {
        self.ask(Kind::Uname, b"", |from| {
            Some(Uname {
                machine: from.text()?,
                node: from.text()?,
                system: from.text()?,
                release: from.text()?,
                version: from.text()?,
            })
        })
    }

    fn units(&self) -> io::Result<&[Unit]> {
        let units = self
            .units
            .get_or_init(|| self.ask(Kind::Units, b"", |from| from.list(unit)));
        match units {
            Ok(units) => Ok(units),
            Err(error) => Err(super::again(error)),
        }
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        self.ask(Kind::Space, key(path), |from| {
            Some(Space {
                block_size: from.number()?,
                total: from.number()?,
                free: from.number()?,
                available: from.number()?,
            })
        })
    }

    fn environment(&self) -> io::Result<Vec<(String, String)>> {
        self.ask(Kind::Environment, b"", |from| {
            from.list(|one| Some((one.text()?, one.text()?)))
        })
    }

    fn interfaces(&self) -> io::Result<Interfaces> {
        self.ask(Kind::Interfaces, b"", |from| {
            Some((from.list(link)?, from.list(address)?))
        })
    }

    fn is_live(&self) -> bool {
        self.live
    }
}

#[cfg(test)]
mod tests;
