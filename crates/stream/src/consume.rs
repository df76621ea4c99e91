//! A consumer: polls, applies, commits; sets aside what can never be applied.

use crate::{DeadLetter, Delivery, Offset, Stage, Stream, StreamError};
use bartizan_model::Timestamp;
use bartizan_vuln::record::Record;
use serde::Serialize;
use std::ops::AddAssign;

/// The most records that are applied at once.
pub const BATCH: usize = 1000;
/// After so many messages what was read is tidied away.
const TIDY: u64 = 50_000;

/// What applying records came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Records that were not there.
    pub inserted: u64,
    /// Records that replaced an older one.
    pub changed: u64,
    /// Records that are what was there.
    pub unchanged: u64,
    /// Records older than what was there.
    pub stale: u64,
    /// Records that cannot be read or applied: now dead letters.
    pub dead: u64,
}

impl Applied {
    /// All that was delivered.
    pub fn delivered(&self) -> u64 {
        self.inserted + self.changed + self.unchanged + self.stale + self.dead
    }
}

impl AddAssign for Applied {
    fn add_assign(&mut self, other: Self) {
        self.inserted += other.inserted;
        self.changed += other.changed;
        self.unchanged += other.unchanged;
        self.stale += other.stale;
        self.dead += other.dead;
    }
}

/// Why records were not applied. None of them was, or applying them again does no harm.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// It may work later: the database is away.
    #[error("{0}")]
    Later(String),
    /// It will never work: one of the records is at fault.
    #[error("{0}")]
    Never(String),
}

/// Whatever holds the current state, such as the store.
pub trait Apply {
    /// Applies records; the same ones again change nothing, older ones replace nothing.
    fn apply(&self, records: &[Record]) -> Result<Applied, ApplyError>;
}

/// Why a step did not end.
#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    /// The stream.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// Records could not be applied for now. They come again.
    #[error("records cannot be applied for now: {0}")]
    Later(String),
}

impl ConsumeError {
    /// Whether trying again later may help.
    pub fn passing(&self) -> bool {
        match self {
            Self::Stream(error) => error.passing(),
            Self::Later(_) => true,
        }
    }
}

/// A member of a group.
pub struct Consumer<'a> {
    stream: &'a dyn Stream,
    group: &'a str,
    apply: &'a dyn Apply,
    now: &'a dyn Fn() -> Timestamp,
    since_tidy: u64,
    /// Whether the position is past what was not applied, because the way back failed.
    behind: bool,
}

impl<'a> Consumer<'a> {
    /// A member of a group that applies to `apply`.
    pub fn new(
        stream: &'a dyn Stream,
        group: &'a str,
        apply: &'a dyn Apply,
        now: &'a dyn Fn() -> Timestamp,
    ) -> Self {
        Self {
            stream,
            group,
            apply,
            now,
            since_tidy: 0,
            behind: false,
        }
    }

    /// One batch: polled, applied, committed. None when there was nothing.
    pub fn step(&mut self) -> Result<Option<Applied>, ConsumeError> {
        if self.behind {
            self.stream.rewind(self.group)?;
            self.behind = false;
        }
        let delivered = self.stream.poll(self.group, BATCH)?;
        if delivered.is_empty() {
            return Ok(None);
        }
        let done: Vec<Offset> = delivered.iter().map(|delivery| delivery.offset).collect();
        let applied = self.batch(&delivered).and_then(|applied| {
            self.stream.commit(self.group, &done)?;
            Ok(applied)
        });
        match applied {
            Ok(applied) => {
                self.since_tidy += applied.delivered();
                if self.since_tidy >= TIDY {
                    self.since_tidy = 0;
                    self.stream.tidy()?;
                }
                Ok(Some(applied))
            }
            Err(error) => {
                // What was not committed comes again, from this member too.
                self.behind = self.stream.rewind(self.group).is_err();
                Err(error)
            }
        }
    }

    /// Batches until nothing is left, or `stop` says so.
    pub fn drain(&mut self, stop: &dyn Fn() -> bool) -> Result<Applied, ConsumeError> {
        let mut all = Applied::default();
        while !stop() {
            match self.step()? {
                Some(applied) => all += applied,
                None if self.stream.lag(self.group)? == 0 => break,
                // A member that has just joined has no partitions yet.
                None => {}
            }
        }
        Ok(all)
    }

    fn batch(&self, delivered: &[Delivery]) -> Result<Applied, ConsumeError> {
        let mut applied = Applied::default();
        let mut good = Vec::with_capacity(delivered.len());
        let mut records = Vec::with_capacity(delivered.len());
        let mut faulty = Vec::new();
        for delivery in delivered {
            match Record::decode(&delivery.bytes) {
                Ok(record) => {
                    good.push(delivery);
                    records.push(record);
                }
                Err(error) => {
                    faulty.push((delivery, error.to_string()));
                }
            }
        }
        applied += self.apply(&good, &records, &mut faulty)?;
        // Only now: an outage brings the batch again, and each letter should be written once.
        for (delivery, why) in &faulty {
            self.dead(delivery, why)?;
        }
        applied.dead += faulty.len() as u64;
        Ok(applied)
    }

    /// Applies records; where one is at fault, halves find it and the others are applied.
    fn apply<'d>(
        &self,
        from: &[&'d Delivery],
        records: &[Record],
        faulty: &mut Vec<(&'d Delivery, String)>,
    ) -> Result<Applied, ConsumeError> {
        if records.is_empty() {
            return Ok(Applied::default());
        }
        let why = match self.apply.apply(records) {
            Ok(applied) => return Ok(applied),
            Err(ApplyError::Later(why)) => return Err(ConsumeError::Later(why)),
            Err(ApplyError::Never(why)) => why,
        };
        if let ([delivery], [_]) = (from, records) {
            faulty.push((delivery, why));
            return Ok(Applied::default());
        }
        let half = records.len() / 2;
        let (first, second) = records.split_at(half);
        let (from_first, from_second) = from.split_at(half.min(from.len()));
        let mut applied = self.apply(from_first, first, faulty)?;
        applied += self.apply(from_second, second, faulty)?;
        Ok(applied)
    }

    fn dead(&self, delivery: &Delivery, why: &str) -> Result<(), StreamError> {
        let stage = Stage::Apply {
            group: self.group.to_owned(),
        };
        let letter = DeadLetter::new(&delivery.key, why, stage, (self.now)(), &delivery.bytes);
        self.stream.dead_letter(&letter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Embedded, Message, Settings};
    use bartizan_vuln::feeds::kev::KevEntry;
    use std::cell::RefCell;

    fn kev(n: u32) -> Record {
        let text = format!(r#"{{"cveID":"CVE-2024-{n:04}","dateAdded":"2024-01-01"}}"#);
        Record::Kev(serde_json::from_str::<KevEntry>(&text).unwrap())
    }

    fn message(record: &Record) -> Message {
        Message {
            key: record.key(),
            bytes: record.encode(),
        }
    }

    /// Counts how often each key was applied; fails as it is told.
    #[derive(Default)]
    struct Memory {
        applied: RefCell<Vec<String>>,
        away: RefCell<u32>,
        poison: Option<String>,
    }

    impl Apply for Memory {
        fn apply(&self, records: &[Record]) -> Result<Applied, ApplyError> {
            if *self.away.borrow() > 0 {
                *self.away.borrow_mut() -= 1;
                return Err(ApplyError::Later("away".into()));
            }
            let keys: Vec<String> = records.iter().map(Record::key).collect();
            if self.poison.as_ref().is_some_and(|bad| keys.contains(bad)) {
                return Err(ApplyError::Never("refused".into()));
            }
            let inserted = keys.len() as u64;
            self.applied.borrow_mut().extend(keys);
            Ok(Applied {
                inserted,
                ..Applied::default()
            })
        }
    }

    #[test]
    fn poison_is_set_aside_and_the_rest_is_applied_once() {
        let folder = tempfile::tempdir().unwrap();
        let stream = Embedded::open(folder.path(), &Settings::default()).unwrap();
        let mut batch: Vec<Message> = (0..37).map(|n| message(&kev(n))).collect();
        batch.push(Message {
            key: "cve/CVE-2024-9999".into(),
            bytes: b"{broken".to_vec(),
        });
        stream.produce(&batch).unwrap();
        let memory = Memory {
            poison: Some("kev/CVE-2024-0020".into()),
            ..Memory::default()
        };
        *memory.away.borrow_mut() = 2;
        let now = || Timestamp::from_micros(7);
        let mut consumer = Consumer::new(&stream, "store", &memory, &now);
        for _ in 0..2 {
            let error = consumer.step().unwrap_err();
            assert!(error.passing(), "{error}");
        }
        let all = consumer.drain(&|| false).unwrap();
        assert_eq!((all.inserted, all.dead), (36, 2));
        let mut keys = memory.applied.into_inner();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 36);
        // Each was set aside once, although the batch came three times.
        let letters = stream.dead_letters(9).unwrap();
        assert_eq!(letters.len(), 2);
        assert!(letters.iter().any(|(_, l)| l.reason == "refused"));
        assert!(letters.iter().any(|(_, l)| l.key == "cve/CVE-2024-9999"));
        assert_eq!(stream.lag("store").unwrap(), 0);
    }
}
