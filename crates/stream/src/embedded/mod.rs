//! The embedded stream: a durable log in a folder of this machine.
//!
//! ```text
//! FOLDER/log/00000000000000000000.seg …   messages
//! FOLDER/dead/…                           dead letters, a log of the same kind
//! FOLDER/groups/NAME.json, NAME.lock      what a group committed, and its one member
//! ```
//!
//! Several processes may produce (a lock goes around each batch) and each group has one member at
//! a time. A batch is written and synced as one; what a crash tore is cut off at the next append.

mod compact;
pub(crate) mod frame;
pub(crate) mod log;

use crate::open::{Cleanup, Settings};
use crate::{
    DeadLetter, Delivery, MAX_POLL, Message, Offset, Stream, StreamError, check, check_group,
};
use log::{Cursor, Log, file_error, hold, replace};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Who has retired dead letters, as a group of their log.
const RETIRED: &str = "retired";

/// A durable log in a folder.
pub struct Embedded {
    main: Log,
    dead: Log,
    groups: PathBuf,
    retired: PathBuf,
    cleanup: Cleanup,
    members: Mutex<BTreeMap<String, Member>>,
}

struct Member {
    cursor: Cursor,
    committed: u64,
    /// Held as long as the member lives.
    _lock: File,
}

#[derive(Serialize, Deserialize)]
struct Committed {
    next: u64,
}

impl Embedded {
    /// Opens the stream of a folder, which is made where absent.
    pub fn open(folder: &Path, settings: &Settings) -> Result<Self, StreamError> {
        let groups = folder.join("groups");
        let retired = folder.join("dead/groups");
        for folder in [&groups, &retired] {
            std::fs::create_dir_all(folder).map_err(file_error(folder))?;
        }
        Ok(Self {
            main: Log::open(folder.join("log"), settings.segment_bytes)?,
            dead: Log::open(folder.join("dead"), settings.segment_bytes)?,
            groups,
            retired,
            cleanup: settings.cleanup,
            members: Mutex::default(),
        })
    }

    fn members(&self) -> MutexGuard<'_, BTreeMap<String, Member>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What each group has committed.
    fn committed(&self) -> Result<Vec<u64>, StreamError> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.groups).map_err(file_error(&self.groups))? {
            let path = entry.map_err(file_error(&self.groups))?.path();
            if path.extension().is_some_and(|e| e == "json") {
                found.push(read_committed(&path)?.unwrap_or_default());
            }
        }
        Ok(found)
    }

    /// A number that no message may have again.
    fn floor(&self) -> Result<u64, StreamError> {
        Ok(self.committed()?.into_iter().max().unwrap_or_default())
    }

    fn member<'a>(
        &self,
        members: &'a mut BTreeMap<String, Member>,
        group: &str,
    ) -> Result<&'a mut Member, StreamError> {
        check_group(group)?;
        if !members.contains_key(group) {
            let path = self.groups.join(format!("{group}.lock"));
            let lock = hold(&path, || format!("the group {group}"))?;
            let file = self.groups.join(format!("{group}.json"));
            let committed = match read_committed(&file)? {
                Some(committed) => committed,
                None => {
                    // From now on nothing is removed that this group has not read.
                    write_committed(&self.groups, &file, 0)?;
                    0
                }
            };
            let member = Member {
                cursor: Cursor::at(committed),
                committed,
                _lock: lock,
            };
            members.insert(group.to_owned(), member);
        }
        members
            .get_mut(group)
            .ok_or_else(|| StreamError::Busy(format!("the group {group}")))
    }
}

/// Reduces a log to the last message of each key.
pub(crate) fn compact(log: &Log) -> Result<(), StreamError> {
    compact::compact(log, u64::MAX)
}

fn read_committed(path: &Path) -> Result<Option<u64>, StreamError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(file_error(path)(e)),
    };
    let read: Committed = serde_json::from_slice(&bytes).map_err(|_| StreamError::Damaged {
        path: path.to_owned(),
        at: 0,
        why: "it does not say how far the group has read; removed, the group reads all again",
    })?;
    Ok(Some(read.next))
}

fn write_committed(folder: &Path, path: &Path, next: u64) -> Result<(), StreamError> {
    let bytes =
        serde_json::to_vec(&Committed { next }).map_err(|e| StreamError::Refused(e.to_string()))?;
    replace(folder, path, &bytes)
}

fn last(done: &[Offset]) -> Option<u64> {
    done.iter().map(|offset| offset.number + 1).max()
}

impl Stream for Embedded {
    fn produce(&self, batch: &[Message]) -> Result<(), StreamError> {
        for message in batch {
            check(message)?;
        }
        self.main.append(batch, self.floor()?)
    }

    fn poll(&self, group: &str, max: usize) -> Result<Vec<Delivery>, StreamError> {
        let mut members = self.members();
        let member = self.member(&mut members, group)?;
        let mut found = Vec::new();
        let mut bytes = 0;
        while found.len() < max && bytes < MAX_POLL {
            let Some(frame) = member.cursor.step(&self.main)? else {
                break;
            };
            bytes += frame.bytes.len();
            found.push(Delivery {
                offset: Offset {
                    partition: 0,
                    number: frame.number,
                },
                key: frame.key,
                bytes: frame.bytes,
            });
        }
        Ok(found)
    }

    fn commit(&self, group: &str, done: &[Offset]) -> Result<(), StreamError> {
        let mut members = self.members();
        let member = self.member(&mut members, group)?;
        if let Some(next) = last(done).filter(|next| *next > member.committed) {
            write_committed(
                &self.groups,
                &self.groups.join(format!("{group}.json")),
                next,
            )?;
            member.committed = next;
        }
        Ok(())
    }

    fn rewind(&self, group: &str) -> Result<(), StreamError> {
        let mut members = self.members();
        let member = self.member(&mut members, group)?;
        member.cursor = Cursor::at(member.committed);
        Ok(())
    }

    fn lag(&self, group: &str) -> Result<u64, StreamError> {
        check_group(group)?;
        let path = self.groups.join(format!("{group}.json"));
        let first = self.main.segments()?.first().copied().unwrap_or_default();
        let committed = read_committed(&path)?.unwrap_or_default().max(first);
        Ok(self.main.next(committed)? - committed)
    }

    fn dead_letter(&self, letter: &DeadLetter) -> Result<(), StreamError> {
        let message = Message {
            key: "letter".to_owned(),
            bytes: letter.encode()?,
        };
        let path = self.retired.join(format!("{RETIRED}.json"));
        let floor = read_committed(&path)?.unwrap_or_default();
        self.dead.append(&[message], floor)
    }

    fn dead_letters(&self, max: usize) -> Result<Vec<(Offset, DeadLetter)>, StreamError> {
        let path = self.retired.join(format!("{RETIRED}.json"));
        let mut cursor = Cursor::at(read_committed(&path)?.unwrap_or_default());
        let mut found = Vec::new();
        while found.len() < max {
            let Some(frame) = cursor.step(&self.dead)? else {
                break;
            };
            let offset = Offset {
                partition: 0,
                number: frame.number,
            };
            found.push((offset, DeadLetter::decode(&frame.bytes)?));
        }
        Ok(found)
    }

    fn retire(&self, done: &[Offset]) -> Result<(), StreamError> {
        let path = self.retired.join(format!("{RETIRED}.json"));
        let before = read_committed(&path)?.unwrap_or_default();
        if let Some(next) = last(done).filter(|next| *next > before) {
            write_committed(&self.retired, &path, next)?;
            compact::remove(&self.dead, next)?;
        }
        Ok(())
    }

    fn dead_count(&self) -> Result<u64, StreamError> {
        let path = self.retired.join(format!("{RETIRED}.json"));
        let retired = read_committed(&path)?.unwrap_or_default();
        Ok(self.dead.next(retired)? - retired)
    }

    fn tidy(&self) -> Result<(), StreamError> {
        // Without a group nobody has read anything.
        let Some(read) = self.committed()?.into_iter().min() else {
            return Ok(());
        };
        match self.cleanup {
            Cleanup::Delete => compact::remove(&self.main, read),
            Cleanup::Compact => compact::compact(&self.main, read),
        }
    }
}

#[cfg(test)]
mod tests;
