//! A log in a folder: segments of frames, appended under a lock that processes share, cut where a
//! crash tore it.

use super::frame::{self, Found};
use crate::{Message, StreamError};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What a segment begins with.
const MAGIC: &[u8; 8] = b"BZLOG\0\0\x01";
const START: u64 = MAGIC.len() as u64;

/// The head of a segment.
pub(crate) fn head() -> Vec<u8> {
    MAGIC.to_vec()
}

/// A log.
pub(crate) struct Log {
    folder: PathBuf,
    /// Bytes after which a new segment begins.
    roll: u64,
    tail: Mutex<Tail>,
}

/// How far the log is known to be whole.
#[derive(Debug, Clone, Copy, Default)]
struct Tail {
    known: bool,
    base: u64,
    length: u64,
    next: u64,
}

pub(crate) fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> StreamError + '_ {
    move |source| StreamError::File {
        path: path.to_owned(),
        source,
    }
}

/// Holds a file's lock for as long as the answer lives; `what` is said of whoever holds it already.
pub(crate) fn hold(path: &Path, what: impl FnOnce() -> String) -> Result<File, StreamError> {
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(file_error(path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StreamError::Busy(what())),
        Err(TryLockError::Error(e)) => Err(file_error(path)(e)),
    }
}

/// Puts a file of these bytes in the place of another: whoever looks sees one or the other, whole.
pub(crate) fn replace(folder: &Path, path: &Path, bytes: &[u8]) -> Result<(), StreamError> {
    let new = path.with_extension("new");
    File::create(&new)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .map_err(file_error(&new))?;
    std::fs::rename(&new, path).map_err(file_error(path))?;
    sync_folder(folder)
}

/// Makes what stands in the folder's list durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), StreamError> {
    File::open(folder)
        .and_then(|f| f.sync_all())
        .map_err(file_error(folder))
}

impl Log {
    /// Opens the log of a folder, which is made where absent. Nothing is written yet.
    pub(crate) fn open(folder: PathBuf, roll: u64) -> Result<Self, StreamError> {
        std::fs::create_dir_all(&folder).map_err(file_error(&folder))?;
        Ok(Self {
            folder,
            roll,
            tail: Mutex::default(),
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where segments begin, in order.
    pub(crate) fn segments(&self) -> Result<Vec<u64>, StreamError> {
        let mut found = Vec::new();
        let entries = std::fs::read_dir(&self.folder).map_err(file_error(&self.folder))?;
        for entry in entries {
            let entry = entry.map_err(file_error(&self.folder))?;
            let name = entry.file_name();
            let base = name.to_str().and_then(|n| n.strip_suffix(".seg"));
            if let Some(base) = base.and_then(|n| n.parse().ok()) {
                found.push(base);
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    pub(crate) fn path(&self, base: u64) -> PathBuf {
        self.folder.join(format!("{base:020}.seg"))
    }

    /// The number that the next message will have. `floor` is a number that was used for sure.
    pub(crate) fn next(&self, floor: u64) -> Result<u64, StreamError> {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        self.refresh(&mut tail)?;
        Ok(tail.next.max(floor))
    }

    /// Appends messages and makes them durable.
    pub(crate) fn append(&self, batch: &[Message], floor: u64) -> Result<(), StreamError> {
        if batch.is_empty() {
            return Ok(());
        }
        // All of it first: half a batch is no batch.
        batch.iter().try_for_each(frame::fits)?;
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let _lock = self.lock()?;
        self.refresh(&mut tail)?;
        self.cut(&tail)?;
        // Numbers that a group has read are never given again, even if their messages are lost.
        tail.next = tail.next.max(floor);
        let mut out = Vec::new();
        let fresh = tail.length == 0 || tail.length >= self.roll;
        if fresh {
            tail.base = tail.next;
            tail.length = 0;
            out.extend_from_slice(MAGIC);
        }
        for message in batch {
            frame::write(&mut out, tail.next, &message.key, &message.bytes);
            tail.next += 1;
        }
        let path = self.path(tail.base);
        let written = self.write(&path, tail.length, &out, fresh);
        match written {
            Ok(()) => {
                tail.length += out.len() as u64;
                Ok(())
            }
            Err(error) => {
                // After a failed write or sync nobody can say what is on the disk: it is looked at
                // anew before the next one.
                *tail = Tail::default();
                Err(error)
            }
        }
    }

    fn write(&self, path: &Path, at: u64, out: &[u8], fresh: bool) -> Result<(), StreamError> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(file_error(path))?;
        file.seek(SeekFrom::Start(at))
            .and_then(|_| file.write_all(out))
            .and_then(|()| file.sync_data())
            .map_err(file_error(path))?;
        if fresh {
            sync_folder(&self.folder)?;
        }
        Ok(())
    }

    /// The lock of whoever changes the log's files.
    pub(crate) fn lock(&self) -> Result<File, StreamError> {
        let path = self.folder.join("lock");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(file_error(&path))?;
        file.lock().map_err(file_error(&path))?;
        Ok(file)
    }

    /// Learns what was written since, by us or by another process.
    fn refresh(&self, tail: &mut Tail) -> Result<(), StreamError> {
        let Some(last) = self.segments()?.last().copied() else {
            tail.known = true;
            return Ok(());
        };
        if !tail.known || last != tail.base || tail.length == 0 {
            *tail = Tail {
                known: true,
                base: last,
                length: 0,
                next: last.max(tail.next),
            };
        }
        let path = self.path(last);
        let length = std::fs::metadata(&path).map_err(file_error(&path))?.len();
        if length <= tail.length {
            return Ok(());
        }
        let Some(mut reader) = Reader::open(&path, tail.length.max(START))? else {
            return Ok(());
        };
        tail.length = reader.position;
        while let Found::Frame(frame, _) = reader.step()? {
            tail.length = reader.position;
            tail.next = tail.next.max(frame.number + 1);
        }
        Ok(())
    }

    /// Cuts off what a crash left behind the last whole frame. Only under the lock: then nobody
    /// is writing. The bytes are kept beside, in case it was damage and no crash.
    fn cut(&self, tail: &Tail) -> Result<(), StreamError> {
        let path = self.path(tail.base);
        let length = match std::fs::metadata(&path) {
            Ok(found) => found.len(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(file_error(&path)(e)),
        };
        if length <= tail.length {
            return Ok(());
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(file_error(&path))?;
        let mut torn = Vec::new();
        file.seek(SeekFrom::Start(tail.length))
            .and_then(|_| (&mut file).take(self.roll).read_to_end(&mut torn))
            .map_err(file_error(&path))?;
        let aside = self
            .folder
            .join(format!("{:020}-{}.torn", tail.base, tail.length));
        std::fs::write(&aside, &torn).map_err(file_error(&aside))?;
        file.set_len(tail.length)
            .and_then(|()| file.sync_all())
            .map_err(file_error(&path))?;
        if tail.length == 0 {
            // The next message may have another number, and an empty segment is damage.
            std::fs::remove_file(&path).map_err(file_error(&path))?;
            sync_folder(&self.folder)?;
        }
        tracing::warn!(
            file = %path.display(), at = tail.length, bytes = length - tail.length,
            "a write that did not end was cut off"
        );
        Ok(())
    }
}

/// Reads a segment from a position.
pub(crate) struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    position: u64,
}

impl Reader {
    /// Opens a segment at a frame's begin; none where even its head is not whole.
    pub(crate) fn open(path: &Path, at: u64) -> Result<Option<Self>, StreamError> {
        let mut file = File::open(path).map_err(file_error(path))?;
        let mut magic = [0u8; MAGIC.len()];
        match file.read_exact(&mut magic) {
            Ok(()) if &magic == MAGIC => {}
            Ok(()) => {
                return Err(StreamError::Damaged {
                    path: path.to_owned(),
                    at: 0,
                    why: "it does not begin as a segment does",
                });
            }
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(e) => return Err(file_error(path)(e)),
        }
        let position = at.max(START);
        file.seek(SeekFrom::Start(position))
            .map_err(file_error(path))?;
        Ok(Some(Self {
            path: path.to_owned(),
            file: BufReader::with_capacity(1 << 16, file),
            position,
        }))
    }

    /// The next frame. After anything else than a frame the reader stands where it stood.
    pub(crate) fn step(&mut self) -> Result<Found, StreamError> {
        let found = frame::read(&mut self.file).map_err(file_error(&self.path))?;
        if let Found::Frame(_, length) = &found {
            self.position += length;
        } else {
            self.file
                .seek(SeekFrom::Start(self.position))
                .map_err(file_error(&self.path))?;
        }
        Ok(found)
    }

    pub(crate) fn damaged(&self, why: &'static str) -> StreamError {
        StreamError::Damaged {
            path: self.path.clone(),
            at: self.position,
            why,
        }
    }
}

/// Goes through a log's frames in order, from a number on, across segments.
pub(crate) struct Cursor {
    reader: Option<(u64, Reader)>,
    /// The least number that is still wanted.
    pub(crate) next: u64,
}

impl Cursor {
    pub(crate) fn at(next: u64) -> Self {
        Self { reader: None, next }
    }

    /// The next frame, or none at the end of what is written.
    pub(crate) fn step(&mut self, log: &Log) -> Result<Option<frame::Frame>, StreamError> {
        loop {
            // Listed before the read: a segment that had a successor then is not written any more.
            let mut later = None;
            if self.reader.is_none() {
                let segments = log.segments()?;
                let from = segments.partition_point(|base| *base <= self.next);
                let Some(base) = segments.get(from.saturating_sub(1)).copied() else {
                    return Ok(None);
                };
                match Reader::open(&log.path(base), START)? {
                    Some(reader) => self.reader = Some((base, reader)),
                    None if segments.last() == Some(&base) => return Ok(None),
                    None => {
                        return Err(StreamError::Damaged {
                            path: log.path(base),
                            at: 0,
                            why: "the segment is empty",
                        });
                    }
                }
            }
            let Some((base, reader)) = &mut self.reader else {
                return Ok(None);
            };
            let mut found = reader.step()?;
            if !matches!(found, Found::Frame(..)) {
                later = log.segments()?.into_iter().find(|other| other > base);
                if later.is_some() {
                    found = reader.step()?;
                }
            }
            match found {
                Found::Frame(frame, _) if frame.number >= self.next => {
                    self.next = frame.number + 1;
                    return Ok(Some(frame));
                }
                Found::Frame(..) => {}
                Found::End => match later {
                    Some(later) => {
                        self.next = self.next.max(later);
                        self.reader = None;
                    }
                    None => return Ok(None),
                },
                Found::Broken(why) if later.is_some() => return Err(reader.damaged(why)),
                // A write under way, or a torn one that its writer will cut.
                Found::Broken(_) => return Ok(None),
            }
        }
    }
}
