//! What a producer remembers from run to run: which files it has read, which records it has sent,
//! which answers it had. A log of its own, so that an interruption loses at most one batch, which
//! is then sent again.

use super::SourceError;
use crate::embedded::log::{Cursor, Log, hold};
use crate::{MAX_KEY, Message, Short, StreamError};
use bartizan_model::Timestamp;
use bartizan_vuln::reconcile::{Decision, Held, Reconciler};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::Path;

/// What is known of an answer to a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// The `ETag`.
    #[serde(default)]
    pub etag: Option<String>,
    /// The `Last-Modified`.
    #[serde(default)]
    pub modified: Option<String>,
    /// How far the source was read, where its list says so.
    #[serde(default)]
    pub until: Option<String>,
}

/// The state of all sources of a folder. One producer holds it at a time.
pub struct State {
    log: Log,
    cves: Reconciler,
    others: BTreeMap<String, Held>,
    units: HashMap<Short, Short>,
    tags: BTreeMap<String, Tag>,
    pending: Vec<Message>,
    _lock: File,
}

/// A change that becomes durable with the next [`State::save`].
const UNIT: &str = "u/";
const RECORD: &str = "r/";
const TAG: &str = "t/";
/// Frames a live entry, beyond which the log is written anew.
const SLACK: u64 = 3;

impl State {
    /// Opens the state of a folder, which is made where absent.
    pub fn open(folder: &Path) -> Result<Self, StreamError> {
        let log = Log::open(folder.to_owned(), 16 << 20)?;
        let path = folder.join("producer.lock");
        let lock = hold(&path, || {
            format!("the producer's state in {}", folder.display())
        })?;
        let mut state = Self {
            log,
            cves: Reconciler::default(),
            others: BTreeMap::new(),
            units: HashMap::new(),
            tags: BTreeMap::new(),
            pending: Vec::new(),
            _lock: lock,
        };
        let frames = state.load()?;
        let live = state.cves.len() + state.others.len() + state.units.len() + state.tags.len();
        if frames > SLACK * (live as u64 + 10_000) {
            crate::embedded::compact(&state.log)?;
        }
        Ok(state)
    }

    fn load(&mut self) -> Result<u64, StreamError> {
        let mut cursor = Cursor::at(0);
        let mut frames = 0;
        let mut cves: HashMap<String, Held> = HashMap::new();
        while let Some(frame) = cursor.step(&self.log)? {
            frames += 1;
            if let Some(unit) = frame.key.strip_prefix(UNIT) {
                let mut key = Short::default();
                if hex::decode_to_slice(unit, &mut key).is_ok()
                    && let Some(digest) = frame.bytes.first_chunk()
                {
                    self.units.insert(key, *digest);
                }
            } else if let Some(record) = frame.key.strip_prefix(RECORD) {
                match held(&frame.bytes) {
                    Some(held) if is_cve(record) => drop(cves.insert(record.to_owned(), held)),
                    Some(held) => drop(self.others.insert(record.to_owned(), held)),
                    None => drop(self.others.remove(record)),
                }
            } else if let Some(url) = frame.key.strip_prefix(TAG)
                && let Ok(tag) = serde_json::from_slice(&frame.bytes)
            {
                self.tags.insert(url.to_owned(), tag);
            }
        }
        self.cves = Reconciler::new(cves);
        Ok(frames)
    }

    /// Back to what was saved: after an error nobody knows what of the rest is on the stream.
    pub fn reload(&mut self) -> Result<(), StreamError> {
        self.others.clear();
        self.units.clear();
        self.tags.clear();
        self.pending.clear();
        self.load().map(drop)
    }

    /// Whether the file was the same at the last run.
    pub fn same_unit(&self, source: &str, name: &str, digest: &Short) -> bool {
        self.units.get(&unit_key(source, name)) == Some(digest)
    }

    /// Remembers a file, whatever was in it.
    pub fn unit(&mut self, source: &str, name: &str, digest: Short) {
        let key = unit_key(source, name);
        if self.units.insert(key, digest) != Some(digest) {
            self.pending.push(Message {
                key: format!("{UNIT}{}", hex::encode(key)),
                bytes: digest.to_vec(),
            });
        }
    }

    /// Decides on a record, and remembers it where it is new.
    ///
    /// Records of the CVE list come from several lists that contradict each other, so the order
    /// must not matter. Other feeds have one source each, whose later word counts.
    pub fn offer(&mut self, key: &str, updated: Option<Timestamp>, digest: [u8; 32]) -> Decision {
        let offered = Held { updated, digest };
        let decision = if is_cve(key) {
            self.cves.offer(key, offered.clone())
        } else {
            match self.others.get(key) {
                None => Decision::New,
                Some(held) if held.digest == digest => Decision::Same,
                Some(held) if updated < held.updated => Decision::Older,
                Some(held) if updated == held.updated => Decision::Changed,
                Some(_) => Decision::Newer,
            }
        };
        if decision.applies() {
            if !is_cve(key) {
                self.others.insert(key.to_owned(), offered);
            }
            let mut bytes = Vec::with_capacity(40);
            let micros = updated.map_or(i64::MIN, Timestamp::micros);
            bytes.extend_from_slice(&micros.to_le_bytes());
            bytes.extend_from_slice(&digest);
            self.pending.push(Message {
                key: format!("{RECORD}{key}"),
                bytes,
            });
        }
        decision
    }

    /// Keys of records other than CVE records that begin so.
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        let from = prefix.to_owned();
        self.others
            .range(from..)
            .map(|(key, _)| key)
            .take_while(|key| key.starts_with(prefix))
            .cloned()
            .collect()
    }

    /// Forgets a record that its feed has no more.
    pub fn forget(&mut self, key: &str) {
        if self.others.remove(key).is_some() {
            self.pending.push(Message {
                key: format!("{RECORD}{key}"),
                bytes: Vec::new(),
            });
        }
    }

    /// What is known of an address.
    pub fn tag(&self, url: &str) -> Tag {
        self.tags.get(url).cloned().unwrap_or_default()
    }

    /// Remembers an answer: only when all that it brought has been produced.
    pub fn set_tag(&mut self, url: &str, tag: Tag) {
        // Whatever is longer is asked without a condition.
        if url.len() > MAX_KEY {
            return;
        }
        if let Ok(bytes) = serde_json::to_vec(&tag) {
            self.pending.push(Message {
                key: format!("{TAG}{url}"),
                bytes,
            });
        }
        self.tags.insert(url.to_owned(), tag);
    }

    /// Makes everything durable. What it is about must be on the stream before.
    pub fn save(&mut self) -> Result<(), SourceError> {
        self.log.append(&self.pending, 0)?;
        self.pending.clear();
        Ok(())
    }
}

fn is_cve(key: &str) -> bool {
    key.starts_with("cve/")
}

fn held(bytes: &[u8]) -> Option<Held> {
    let micros = i64::from_le_bytes(*bytes.first_chunk::<8>()?);
    let digest = *bytes.get(8..)?.first_chunk::<32>()?;
    let updated = (micros != i64::MIN).then(|| Timestamp::from_micros(micros));
    Some(Held { updated, digest })
}

fn unit_key(source: &str, name: &str) -> Short {
    let mut digest = Sha256::new();
    digest.update(source);
    digest.update([0]);
    digest.update(name);
    digest.finalize().first_chunk().copied().unwrap_or_default()
}
