//! A producer: all that a source offers, read, reconciled and put on the stream in batches.

use super::feeds::{Feed, file_name};
use super::shelf::{Folder, Shelf, Unit, Want};
use super::state::State;
use super::{Fetch, Place, Source, SourceError};
use crate::{DeadLetter, Message, Short, Stage, Stream, short};
use bartizan_model::Timestamp;
use bartizan_vuln::reconcile::Decision;
use bartizan_vuln::record::Record;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// The most messages of a batch.
const BATCH: usize = 1000;
/// The most bytes of a batch, beyond its first message.
const BATCH_BYTES: usize = 8 << 20;
/// The most files that wait to be remembered.
const MARKS: usize = 10_000;
/// So many dead letters, and half of all files, mean that the place holds another feed.
const STRANGE: u64 = 500;

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The source.
    pub source: String,
    /// Files looked at.
    pub files: u64,
    /// Files that are byte for byte what they were.
    pub unchanged_files: u64,
    /// Records read.
    pub records: u64,
    /// Records put on the stream.
    pub produced: u64,
    /// Records that are what they were.
    pub same: u64,
    /// Records older than what was sent before.
    pub older: u64,
    /// Records with the date of what was sent before and another content: a defect of the feed.
    pub redated: u64,
    /// Records that the feed has no more.
    pub withdrawn: u64,
    /// Files that bear the name of another record than they hold: a defect of the feed.
    pub misnamed: u64,
    /// What could not be read, and went to the dead letters.
    pub dead: u64,
    /// Bytes read.
    pub bytes: u64,
    /// The latest moment of change that any record put on the stream states.
    pub newest: Option<Timestamp>,
    /// Why the run ended before its end.
    pub error: Option<String>,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The source.
    pub source: &'a str,
    /// Files looked at.
    pub files: u64,
    /// Records put on the stream.
    pub produced: u64,
}

/// Reads sources and puts their records on a stream.
pub struct Producer<'a> {
    /// Where records go.
    pub stream: &'a dyn Stream,
    /// What earlier runs left.
    pub state: &'a mut State,
    /// A client, where addresses may be fetched.
    pub fetch: Option<&'a dyn Fetch>,
    /// Where temporary files may be made.
    pub work: PathBuf,
    /// The clock.
    pub now: &'a dyn Fn() -> Timestamp,
    /// Hears how far it is.
    pub tell: &'a dyn Fn(&Progress<'_>),
    /// Set to stop at the next file.
    pub stop: &'a AtomicBool,
}

impl Producer<'_> {
    /// Reads a source. An error ends the source, not the others: it stands in the summary.
    pub fn run(&mut self, source: &Source) -> Summary {
        let place = source.place.clone();
        match place {
            Place::Path(path) => {
                let mut folder = Folder::new(path, &self.work);
                self.run_shelf(source, &mut folder)
            }
            Place::Url(url) => self.guarded(source, |session| super::http::all(session, &url)),
        }
    }

    /// Reads a source whose files somebody else knows how to come by.
    pub fn run_shelf(&mut self, source: &Source, shelf: &mut dyn Shelf) -> Summary {
        let mut summary = self.guarded(source, |session| session.shelf(shelf));
        if summary.files == 0 && summary.error.is_none() {
            // An empty place is no proof that the feed has nothing to say.
            summary.error = Some(format!("there is no file of the feed {}", source.feed.name));
        }
        summary
    }

    fn guarded(
        &mut self,
        source: &Source,
        read: impl FnOnce(&mut Session<'_, '_>) -> Result<(), SourceError>,
    ) -> Summary {
        let mut session = Session {
            producer: self,
            name: source.name.clone(),
            feed: source.feed,
            batch: Vec::new(),
            batch_bytes: 0,
            marks: Vec::new(),
            summary: Summary {
                source: source.name.clone(),
                ..Summary::default()
            },
        };
        let read = read(&mut session);
        // Also after an error: what was read stays read.
        let flushed = session.flush();
        let mut summary = session.summary;
        if let Err(error) = read.and(flushed) {
            summary.error = Some(error.to_string());
        }
        if summary.error.is_some()
            && let Err(error) = self.state.reload()
        {
            tracing::warn!(%error, "the producer's state could not be read again");
        }
        summary
    }
}

/// A source under way.
pub struct Session<'p, 'a> {
    pub(super) producer: &'p mut Producer<'a>,
    name: String,
    pub(super) feed: &'static Feed,
    batch: Vec<Message>,
    batch_bytes: usize,
    /// Files whose records are all in the batch or before it.
    marks: Vec<(String, Short)>,
    summary: Summary,
}

impl Session<'_, '_> {
    /// Goes through the files of a place.
    pub(super) fn shelf(&mut self, shelf: &mut dyn Shelf) -> Result<(), SourceError> {
        self.walk(|want, each| shelf.files(want, each))
    }

    /// Goes through files, however they are come by.
    pub(super) fn walk(
        &mut self,
        files: impl FnOnce(&Want<'_>, &mut super::shelf::Each<'_>) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        let feed = self.feed;
        let session = std::cell::RefCell::new(self);
        let want = Want {
            name: &feed.wants,
            known: &|name, tag| {
                let mut session = session.borrow_mut();
                let digest = short(tag.as_bytes());
                let known = session
                    .producer
                    .state
                    .same_unit(&session.name, name, &digest);
                if known {
                    session.summary.files += 1;
                    session.summary.unchanged_files += 1;
                }
                known
            },
            max_bytes: feed.max_bytes,
        };
        files(&want, &mut |unit| session.borrow_mut().unit(unit))
    }

    /// One file.
    pub(super) fn unit(&mut self, unit: Unit) -> Result<(), SourceError> {
        if self.producer.stop.load(Ordering::Relaxed) {
            return Err(SourceError::Stopped);
        }
        self.summary.files += 1;
        if self.summary.files.is_multiple_of(256) {
            self.tell();
        }
        let bytes = match unit.content {
            Ok(bytes) => bytes,
            Err(why) => {
                // Known by its reason: the same trouble with the same file is told once.
                let digest = short(why.as_bytes());
                if self.known(&unit.name, &digest) {
                    return Ok(());
                }
                self.dead(&unit.name, &why, &[])?;
                self.marks.push((unit.name, digest));
                return Ok(());
            }
        };
        self.summary.bytes += bytes.len() as u64;
        let digest = match &unit.tag {
            Some(tag) => short(tag.as_bytes()),
            None => short(&bytes),
        };
        if self.known(&unit.name, &digest) {
            return Ok(());
        }
        match (self.feed.read)(&unit.name, &bytes) {
            Ok(records) => self.records(&unit.name, records)?,
            Err(error) => self.dead(&unit.name, &error.to_string(), &bytes)?,
        }
        self.marks.push((unit.name, digest));
        if self.marks.len() >= MARKS {
            self.flush()?;
        }
        Ok(())
    }

    /// A file that is the whole source: if it cannot be read, the source cannot.
    pub(super) fn whole_file(&mut self, name: &str, bytes: Vec<u8>) -> Result<(), SourceError> {
        self.summary.files += 1;
        self.summary.bytes += bytes.len() as u64;
        let digest = short(&bytes);
        if self.known(name, &digest) {
            return Ok(());
        }
        let records = (self.feed.read)(name, &bytes).map_err(|e| SourceError::Unreadable {
            what: name.to_owned(),
            why: e.to_string(),
        })?;
        self.records(name, records)?;
        self.marks.push((name.to_owned(), digest));
        Ok(())
    }

    fn known(&mut self, name: &str, digest: &Short) -> bool {
        let known = self.producer.state.same_unit(&self.name, name, digest);
        if known {
            self.summary.unchanged_files += 1;
        }
        known
    }

    fn records(&mut self, name: &str, records: Vec<Record>) -> Result<(), SourceError> {
        let whole = self.feed.whole;
        let mut gone = match whole {
            Some(whole) => self.producer.state.keys(whole.prefix),
            None => Vec::new(),
        };
        let mut seen = std::collections::HashSet::new();
        for record in records {
            self.summary.records += 1;
            if let Record::Cve(cve) = &record
                && !file_name(name).starts_with(&format!("{}.", cve.id))
            {
                self.summary.misnamed += 1;
            }
            let message = Message {
                key: record.key(),
                bytes: record.encode(),
            };
            // Before it is remembered: what no stream takes was not sent.
            if let Err(error) = crate::check(&message) {
                self.dead(&message.key, &error.to_string(), &message.bytes)?;
                continue;
            }
            if whole.is_some() {
                seen.insert(message.key.clone());
            }
            let digest = Sha256::digest(&message.bytes).into();
            let changed = record.changed();
            match self.producer.state.offer(&message.key, changed, digest) {
                Decision::Same => self.summary.same += 1,
                Decision::Older => self.summary.older += 1,
                decision => {
                    self.summary.newest = self.summary.newest.max(record.changed());
                    if decision == Decision::Changed && record.changed().is_some() {
                        self.summary.redated += 1;
                    }
                    self.put(message)?;
                }
            }
        }
        // A file of another form of the same feed names none of them and says nothing of them.
        if let Some(whole) = whole
            && seen.iter().any(|key| key.starts_with(whole.prefix))
        {
            gone.retain(|key| !seen.contains(key));
            for key in gone {
                let id = key.strip_prefix(whole.prefix).unwrap_or(&key).to_owned();
                let record = Record::Withdrawn {
                    source: whole.source.to_owned(),
                    id,
                    at: None,
                };
                self.summary.withdrawn += 1;
                self.producer.state.forget(&key);
                self.put(Message {
                    key,
                    bytes: record.encode(),
                })?;
            }
        }
        Ok(())
    }

    fn put(&mut self, message: Message) -> Result<(), SourceError> {
        self.summary.produced += 1;
        self.batch_bytes += message.bytes.len();
        self.batch.push(message);
        if self.batch.len() >= BATCH || self.batch_bytes >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Puts the batch on the stream, and then remembers it.
    pub(super) fn flush(&mut self) -> Result<(), SourceError> {
        self.producer.stream.produce(&self.batch)?;
        self.batch.clear();
        self.batch_bytes = 0;
        for (name, digest) in self.marks.drain(..) {
            self.producer.state.unit(&self.name, &name, digest);
        }
        self.producer.state.save()?;
        self.tell();
        Ok(())
    }

    /// Something of a list that could not be had. The same trouble is told once.
    pub(super) fn trouble(
        &mut self,
        name: &str,
        why: impl Into<String>,
    ) -> Result<(), SourceError> {
        self.unit(Unit {
            name: name.to_owned(),
            tag: None,
            content: Err(why.into()),
        })
    }

    pub(super) fn dead(&mut self, what: &str, why: &str, bytes: &[u8]) -> Result<(), SourceError> {
        self.summary.dead += 1;
        if self.summary.dead > STRANGE && self.summary.dead * 2 > self.summary.files {
            return Err(SourceError::Unreadable {
                what: what.to_owned(),
                why: format!(
                    "{} of {} files cannot be read; is this place the feed {}? The last: {why}",
                    self.summary.dead, self.summary.files, self.feed.name
                ),
            });
        }
        let stage = Stage::Produce {
            source: self.name.clone(),
            feed: self.feed.name.to_owned(),
        };
        let letter = DeadLetter::new(what, why, stage, (self.producer.now)(), bytes);
        Ok(self.producer.stream.dead_letter(&letter)?)
    }

    fn tell(&self) {
        (self.producer.tell)(&Progress {
            source: &self.name,
            files: self.summary.files,
            produced: self.summary.produced,
        });
    }
}

/// The records of a dead letter that failed while a feed was read: another try.
pub fn again(letter: &DeadLetter) -> Result<Vec<Message>, String> {
    if letter.cut {
        return Err("the letter holds only the begin of the record; sync its source again".into());
    }
    match &letter.at_stage {
        Stage::Apply { .. } => Ok(vec![Message {
            key: letter.key.clone(),
            bytes: letter.bytes.clone(),
        }]),
        // There is nothing to read again: it was too large, or not to be had.
        Stage::Produce { .. } if letter.bytes.is_empty() => Err(letter.reason.clone()),
        Stage::Produce { feed, .. } => {
            let feed = super::feeds::by_name(feed).ok_or("its feed is not known any more")?;
            let records = (feed.read)(&letter.key, &letter.bytes).map_err(|e| e.to_string())?;
            Ok(records
                .into_iter()
                .map(|record| Message {
                    key: record.key(),
                    bytes: record.encode(),
                })
                .collect())
        }
    }
}
