//! A report into the tables, in chunks that commit together with cursor and lease.
//!
//! The worker streams the *whole* report through [`Import::push`] from its first line, also
//! after a crash: lines below the committed cursor are only remembered as seen. So the
//! set of seen subjects lives in memory (16 bytes each), an unchanged rescan writes nothing but
//! the scan, and absences are found by reading keys once in the last transaction.
//!
//! Chunks end at fixed line counts, ids derive from scan and key, and times are the scan's, so
//! that an import that was killed anywhere and resumed ends in the same state.
//!
//! **Order.** A scan that ended before one already imported from the same scope and source is
//! *stale*: it is recorded, its results are passed over. The same report handed in again
//! under another `Idempotency-Key` is no such thing: it counts as made now, at the time of
//! the newest scan, gets an id of its own (`<id>.r1`) and reopens what was fixed meanwhile.
//!
//! **Duplicates.** When a report judges one subject twice, the worse outcome stays: Fail, then
//! Unknown, then Pass, then NotApplicable.

mod absent;
mod begin;
pub(crate) mod chunk;
mod facts;
mod resolve;
mod tidy;

use crate::queue::Lease;
use crate::{Result, Salts, StoreError, TenantStore};
use bartizan_model::report::Line;
use bartizan_model::{
    AssetUid, Check, CheckResult, Digest, FindingKey, Observation, Outcome, Scan, Timestamp,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, HashSet};

/// Lines that commit together. Fewer make more commits, more make longer locks.
const CHUNK_LINES: usize = 8_000;

/// Bytes of text that commit together, whatever the lines.
const CHUNK_BYTES: usize = 8 << 20;

/// What an import is about.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportPlan {
    /// The run, from the report's header.
    pub scan: Scan,
    /// The report's bytes.
    pub artifact: Digest,
    /// Lines in all, if known, for progress.
    pub total: Option<u64>,
}

/// What an import did, over all of its attempts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ImportSummary {
    /// The scan as stored; a resubmission gets an id of its own.
    pub scan: String,
    /// Passes in the report.
    pub pass: u64,
    /// Failures.
    pub fail: u64,
    /// Not applicable.
    pub not_applicable: u64,
    /// Unknowns.
    pub unknown: u64,
    /// Findings that appeared.
    pub opened: u64,
    /// Findings that came back.
    pub reopened: u64,
    /// Findings that went, also by absence.
    pub fixed: u64,
    /// Findings that the source says to leave.
    pub accepted: u64,
    /// Whether a newer scan of scope and source was imported before, so that only the scan
    /// itself was recorded.
    pub stale: bool,
}

/// An import under way. After an error it is good for nothing more: fail the job, and let
/// the next attempt begin anew.
#[derive(Debug)]
pub struct Import {
    store: TenantStore,
    lease: Lease,
    plan: ImportPlan,
    /// The scan's number, its id as stored, and the moment that it counts for.
    scan: i64,
    scan_uid: String,
    at: Timestamp,
    scope: i64,
    scope_uid: String,
    source: i64,
    /// The newest complete scan before this one: number and end.
    confirmed: Option<(i64, i64)>,
    /// Nothing of the scope was stored when this attempt began, so nothing need be compared.
    fresh: bool,
    resumed: u64,
    lines: u64,
    summary: ImportSummary,
    seen_results: HashSet<u128>,
    seen_facts: HashSet<u128>,
    buffer: Buffer,
    caches: resolve::Caches,
}

/// Lines of the chunk to come.
#[derive(Debug, Default)]
struct Buffer {
    lines: usize,
    bytes: usize,
    checks: Vec<Check>,
    facts: Vec<(u128, Observation)>,
    results: Vec<Subject>,
    /// Where in `results` a subject of this chunk is.
    places: HashMap<u128, usize>,
}

/// A result with its identity.
#[derive(Debug)]
struct Subject {
    result: CheckResult,
    key: Vec<u8>,
    /// An earlier chunk of the same report judged the subject, too.
    again: bool,
}

/// How bad an outcome is when one subject was judged twice.
fn badness(outcome: &Outcome) -> i64 {
    match outcome {
        Outcome::Fail => 3,
        Outcome::Unknown { .. } => 2,
        Outcome::Pass => 1,
        Outcome::NotApplicable { .. } => 0,
    }
}

/// The stored number of an outcome.
pub(crate) fn outcome_rank(outcome: &Outcome) -> i64 {
    match outcome {
        Outcome::Pass => 0,
        Outcome::Fail => 1,
        Outcome::NotApplicable { .. } => 2,
        Outcome::Unknown { .. } => 3,
    }
}

/// The first 16 of these bytes as a number.
fn number(bytes: &[u8]) -> u128 {
    let mut out = [0; 16];
    for (to, from) in out.iter_mut().zip(bytes) {
        *to = *from;
    }
    u128::from_be_bytes(out)
}

/// The identity of a fact within its scope.
fn fact_number(asset: &AssetUid, kind: &str) -> u128 {
    let mut hash = Sha256::new();
    hash.update((asset.as_str().len() as u64).to_be_bytes());
    hash.update(asset.as_str());
    hash.update(kind);
    number(&hash.finalize())
}

/// A stored key's number in the set of seen ones; its first byte is only the version.
fn key_number(packed: &[u8]) -> u128 {
    number(packed.get(1..).unwrap_or_default())
}

impl Import {
    /// Body lines (all but header and trailer) that an earlier attempt committed.
    pub fn resumed_at(&self) -> u64 {
        self.resumed
    }

    /// Takes the next line. Every so many lines a chunk is committed; `now` is only used
    /// for the job's progress. Header and trailer lines are passed over.
    pub async fn push(&mut self, line: Line, now: Timestamp, salts: Salts<'_>) -> Result<()> {
        self.take(line)?;
        if self.buffer.lines >= CHUNK_LINES || self.buffer.bytes >= CHUNK_BYTES {
            self.commit_chunk(now, salts).await?;
        }
        Ok(())
    }

    fn take(&mut self, line: Line) -> Result<()> {
        if matches!(line, Line::Header(_) | Line::Trailer(_)) {
            return Ok(());
        }
        self.lines += 1;
        let news = self.lines > self.resumed;
        if self.summary.stale {
            if let (true, Line::Result(result)) = (news, &line) {
                self.tell(&result.outcome);
            }
            return Ok(());
        }
        if news {
            self.buffer.lines += 1;
        }
        match line {
            Line::Check(check) if news => self.buffer.checks.push(check),
            Line::Observation(fact) => {
                let id = fact_number(&fact.asset.uid, &fact.kind);
                self.seen_facts.insert(id);
                if news {
                    self.buffer.bytes += 512 + rough_size(&fact.body);
                    self.buffer.facts.push((id, fact));
                }
            }
            Line::Result(result) => {
                let key =
                    FindingKey::of(&self.store.id, &result.check, &result.asset, &result.locus);
                let key = crate::findings::change::pack_key(&key)
                    .ok_or_else(|| StoreError::Corrupt(format!("finding key {key}")))?;
                let id = key_number(&key);
                let again = !self.seen_results.insert(id);
                if news {
                    self.tell(&result.outcome);
                    self.keep(id, Subject { result, key, again });
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Counts an outcome of the report.
    fn tell(&mut self, outcome: &Outcome) {
        let n = match outcome {
            Outcome::Pass => &mut self.summary.pass,
            Outcome::Fail => &mut self.summary.fail,
            Outcome::NotApplicable { .. } => &mut self.summary.not_applicable,
            Outcome::Unknown { .. } => &mut self.summary.unknown,
        };
        *n += 1;
    }

    fn keep(&mut self, id: u128, subject: Subject) {
        let r = &subject.result;
        self.buffer.bytes += 256
            + r.message.len()
            + r.evidence
                .iter()
                .map(|e| {
                    e.path.len()
                        + e.actual.as_ref().map_or(0, String::len)
                        + e.expected.as_ref().map_or(0, String::len)
                })
                .sum::<usize>();
        let place = self.buffer.places.get(&id).copied();
        match place.and_then(|p| self.buffer.results.get_mut(p)) {
            Some(earlier) => {
                if badness(&subject.result.outcome) > badness(&earlier.result.outcome) {
                    earlier.result = subject.result;
                }
            }
            None => {
                self.buffer.places.insert(id, self.buffer.results.len());
                self.buffer.results.push(subject);
            }
        }
    }
}

/// About how many bytes a value takes as text.
fn rough_size(value: &serde_json::Value) -> usize {
    use serde_json::Value;
    match value {
        Value::String(s) => s.len() + 2,
        Value::Array(items) => items.iter().map(|v| rough_size(v) + 1).sum::<usize>() + 2,
        Value::Object(map) => {
            map.iter()
                .map(|(k, v)| k.len() + rough_size(v) + 4)
                .sum::<usize>()
                + 2
        }
        _ => 8,
    }
}
