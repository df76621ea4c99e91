//! A report into the tables, in chunks that commit together with cursor and lease.
//!
//! The worker streams the *whole* report through [`Import::push`] from its first line, also
//! after a crash: lines below the committed cursor are only remembered as seen. So the
//! set of seen subjects lives in memory (16 bytes each), an unchanged rescan writes nothing but
//! the scan, and absences are found by reading keys once in the last transaction.

use crate::queue::Lease;
use crate::{Result, Salts, StoreError, TenantStore};
use bartizan_model::report::Line;
use bartizan_model::{Digest, Scan, ScanId, Timestamp};
use serde::Serialize;

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
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, serde::Deserialize)]
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

/// An import under way.
#[derive(Debug)]
pub struct Import {
    store: TenantStore,
}

impl TenantStore {
    /// Begins or resumes the import that the leased job stands for. The caller has checked
    /// the report whole (its trailer) before: chunks commit as they come.
    pub async fn import(&self, lease: &Lease, plan: ImportPlan, now: Timestamp) -> Result<Import> {
        crate::unfinished()
    }
}

impl Import {
    /// Body lines (all but header and trailer) that an earlier attempt committed.
    pub fn resumed_at(&self) -> u64 {
        0
    }

    /// Takes the next line. Every so many lines a chunk is committed; `now` is only used
    /// for the job's progress. Header and trailer lines are passed over.
    pub async fn push(&mut self, line: Line, now: Timestamp, salts: Salts<'_>) -> Result<()> {
        crate::unfinished()
    }

    /// Commits what is left, closes what a complete scan no longer saw, records the scan and
    /// ends the job, in one transaction.
    pub async fn finish(self, now: Timestamp, salts: Salts<'_>) -> Result<ImportSummary> {
        crate::unfinished()
    }
}
