//! Records a system while it is judged: each question with its answer, once.

use super::snapshot::FILE_KINDS;
use super::snapshot::format::{Kind, MAGIC, MAX_BYTES, MAX_CONTENT, Out};
use super::{FileKind, Interfaces, Metadata, Space, System, Uname, Unit};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fmt;
use std::hash::BuildHasher;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Room for the end and for what is no content.
const SLACK: u64 = 1 << 20;

/// A system whose answers are written to a snapshot.
///
/// The snapshot holds what judging needs, `/etc/shadow` and private keys among it: whoever
/// stores it must keep it from others.
pub struct Recorder<'a> {
    inner: &'a dyn System,
    hasher: RandomState,
    state: Mutex<State<'a>>,
}

struct State<'a> {
    out: GzEncoder<Box<dyn Write + Send + 'a>>,
    /// Hashes of questions that have an answer. Two of the same hash would cost an answer,
    /// which is an error then and no wrong verdict.
    seen: HashSet<u64>,
    contents: HashMap<[u8; 32], u64>,
    content: u64,
    written: u64,
    count: u64,
    failed: Option<io::Error>,
}

impl fmt::Debug for Recorder<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl<'a> Recorder<'a> {
    /// Records a system; the head is written at once.
    pub fn new(inner: &'a dyn System, mut writer: Box<dyn Write + Send + 'a>) -> io::Result<Self> {
        writer.write_all(MAGIC)?;
        let recorder = Self {
            inner,
            hasher: RandomState::new(),
            state: Mutex::new(State {
                out: GzEncoder::new(writer, Compression::new(4)),
                seen: HashSet::new(),
                contents: HashMap::new(),
                content: 0,
                written: 0,
                count: 0,
                failed: None,
            }),
        };
        recorder.record(Kind::Live, b"", &[u8::from(inner.is_live())]);
        Ok(recorder)
    }

    /// Adds a note, for whoever judges.
    pub fn note(&self, name: &str, value: &[u8]) {
        self.record(Kind::Note, name.as_bytes(), value);
    }

    /// Ends the recording; an error says that the snapshot is not whole.
    pub fn finish(self) -> io::Result<()> {
        let mut state = self
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut count = Out::default();
        count.number(state.count);
        state.write(Kind::End, b"", &count.0);
        if let Some(error) = state.failed {
            return Err(error);
        }
        state.out.finish()?.flush()
    }

    fn record(&self, kind: Kind, key: &[u8], value: &[u8]) {
        let question = self.hasher.hash_one((kind as u8, key));
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.seen.insert(question) {
            state.write(kind, key, value);
        }
    }

    fn answered<T>(
        &self,
        kind: Kind,
        key: &[u8],
        answer: &io::Result<T>,
        encode: impl FnOnce(&T, &mut Out),
    ) {
        let mut out = Out::default();
        match answer {
            Ok(answer) => {
                out.byte(1);
                encode(answer, &mut out);
            }
            Err(error) => {
                out.error(error);
            }
        }
        self.record(kind, key, &out.0);
    }

    /// Keeps a file's bytes once, whatever its names.
    fn content(&self, path: &[u8], bytes: &[u8]) {
        let question = self.hasher.hash_one((Kind::Read as u8, path));
        let digest: [u8; 32] = Sha256::digest(bytes).into();
        let mut guard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *guard;
        if !state.seen.insert(question) {
            return;
        }
        let known = state.contents.get(&digest).copied();
        let id = known.or_else(|| {
            let length = bytes.len() as u64;
            if state.content + length > MAX_CONTENT {
                return None;
            }
            let id = state.contents.len() as u64;
            state.write(Kind::Content, b"", bytes);
            state.contents.insert(digest, id);
            state.content += length;
            Some(id)
        });
        let mut out = Out::default();
        match id {
            Some(id) => out.byte(1).number(id),
            None => out.error(&io::Error::other(
                "not recorded: the snapshot has too much content",
            )),
        };
        state.write(Kind::Read, path, &out.0);
    }
}

impl State<'_> {
    fn write(&mut self, kind: Kind, key: &[u8], value: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        let mut head = Out::default();
        head.byte(kind as u8).bytes(key).number(value.len() as u64);
        let length = head.0.len() as u64 + value.len() as u64;
        if self.written + length > MAX_BYTES - SLACK && kind != Kind::End {
            self.failed = Some(io::Error::other("there is too much to record"));
            return;
        }
        let wrote = self
            .out
            .write_all(&head.0)
            .and_then(|()| self.out.write_all(value));
        match wrote {
            Ok(()) => {
                self.written += length;
                self.count += 1;
            }
            Err(error) => self.failed = Some(error),
        }
    }
}

fn key(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

fn kind(kind: FileKind) -> u8 {
    FILE_KINDS
        .iter()
        .position(|known| *known == kind)
        .and_then(|at| u8::try_from(at).ok())
        .unwrap_or(0)
}

fn metadata(of: &Metadata, out: &mut Out) {
    out.byte(kind(of.kind));
    for number in [of.mode, of.uid, of.gid] {
        out.number(u64::from(number));
    }
    out.number(of.size).number(of.device).number(of.inode);
    out.signed(of.accessed).signed(of.modified);
    out.signed(of.changed);
}

impl System for Recorder<'_> {
    fn lstat(&self, path: &Path) -> io::Result<Metadata> {
        let answer = self.inner.lstat(path);
        self.answered(Kind::Lstat, key(path), &answer, metadata);
        answer
    }

    fn stat(&self, path: &Path) -> io::Result<Metadata> {
        let answer = self.inner.stat(path);
        self.answered(Kind::Stat, key(path), &answer, metadata);
        answer
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<(OsString, Option<FileKind>)>> {
        let answer = self.inner.read_dir(path);
        self.answered(Kind::ReadDir, key(path), &answer, |names, out| {
            out.number(names.len() as u64);
            for (name, of) in names {
                out.bytes(name.as_bytes()).byte(of.map_or(u8::MAX, kind));
            }
        });
        answer
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let answer = self.inner.read(path, limit);
        match &answer {
            Ok(bytes) => self.content(key(path), bytes),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                let mut out = Out::default();
                self.record(Kind::TooLarge, key(path), &out.number(limit).0);
            }
            Err(_) => self.answered(Kind::Read, key(path), &answer, |_, _| {}),
        }
        answer
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        let answer = self.inner.read_link(path);
        self.answered(Kind::ReadLink, key(path), &answer, |target, out| {
            out.bytes(key(target));
        });
        answer
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        let answer = self.inner.canonical(path);
        self.answered(Kind::Canonical, key(path), &answer, |target, out| {
            out.bytes(key(target));
        });
        answer
    }

    fn has_acl(&self, path: &Path) -> Option<bool> {
        let answer = self.inner.has_acl(path);
        let number = answer.map_or(0, |there| 1 + u8::from(there));
        self.record(Kind::Acl, key(path), &[1, number]);
        answer
    }

    fn attribute(&self, path: &Path, name: &str) -> io::Result<Option<Vec<u8>>> {
        let answer = self.inner.attribute(path, name);
        let whole = [key(path), b"\0", name.as_bytes()].concat();
        self.answered(Kind::Attribute, &whole, &answer, |value, out| match value {
            Some(value) => {
                out.byte(1).bytes(value);
            }
            None => {
                out.byte(0);
            }
        });
        answer
    }

    fn uname(&self) -> io::Result<Uname> {
        let answer = self.inner.uname();
        self.answered(Kind::Uname, b"", &answer, |uname, out| {
            for part in [
                &uname.machine,
                &uname.node,
                &uname.system,
                &uname.release,
                &uname.version,
            ] {
                out.bytes(part.as_bytes());
            }
        });
        answer
    }

    fn units(&self) -> io::Result<&[Unit]> {
        let answer = self.inner.units();
        self.answered(Kind::Units, b"", &answer, |units, out| {
            out.number(units.len() as u64);
            for unit in *units {
                out.bytes(unit.name.as_bytes());
                out.number(unit.properties.len() as u64);
                for (name, values) in &unit.properties {
                    out.bytes(name.as_bytes()).number(values.len() as u64);
                    for value in values {
                        out.bytes(value.as_bytes());
                    }
                }
            }
        });
        answer
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let answer = self.inner.space(path);
        self.answered(Kind::Space, key(path), &answer, |space, out| {
            out.number(space.block_size).number(space.total);
            out.number(space.free).number(space.available);
        });
        answer
    }

    fn environment(&self) -> io::Result<Vec<(String, String)>> {
        let answer = self.inner.environment();
        self.answered(Kind::Environment, b"", &answer, |variables, out| {
            out.number(variables.len() as u64);
            for (name, value) in variables {
                out.bytes(name.as_bytes()).bytes(value.as_bytes());
            }
        });
        answer
    }

    fn interfaces(&self) -> io::Result<Interfaces> {
        let answer = self.inner.interfaces();
        self.answered(Kind::Interfaces, b"", &answer, |(links, addresses), out| {
            out.number(links.len() as u64);
            for link in links {
                out.number(u64::from(link.index));
                out.bytes(link.name.as_bytes());
                out.number(u64::from(link.hardware));
                out.number(u64::from(link.flags)).bytes(&link.address);
            }
            out.number(addresses.len() as u64);
            for one in addresses {
                out.number(u64::from(one.link));
                out.bytes(one.label.as_deref().unwrap_or_default().as_bytes());
                out.bytes(one.address.to_string().as_bytes());
                out.byte(one.prefix);
                let broadcast = one.broadcast.map(|address| address.to_string());
                out.bytes(broadcast.unwrap_or_default().as_bytes());
            }
        });
        answer
    }

    fn is_live(&self) -> bool {
        self.inner.is_live()
    }
}
