//! Scopes, scans, results, checks and what is counted from them.

mod counted;
mod lists;
mod scopes;

use crate::Result;
use crate::db::Row;
use crate::import::chunk::word_of;
use crate::queue::QueueStats;
use bartizan_model::scan::ContentDigest;
use bartizan_model::{
    Asset, AssetUid, Check, CheckUid, Digest, Evidence, Location, Outcome, ScanId, Scope, ScopeId,
    Severity, Suppression, Timestamp,
};
use std::collections::BTreeMap;

/// A scope with what a list shows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeRow {
    /// Its id.
    pub id: ScopeId,
    /// Kind and name.
    pub scope: Scope,
    /// Hidden from lists and overview.
    pub archived: bool,
    /// The newest scan of any source.
    pub last_scan: Option<LastScan>,
    /// Open and reopened findings by severity; severities without any are absent.
    pub findings_active: BTreeMap<Severity, u64>,
}

/// The newest scan of a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastScan {
    /// Which.
    pub id: ScanId,
    /// What scanned.
    pub source: String,
    /// When it ended.
    pub finished: Timestamp,
    /// Whether it saw everything.
    pub complete: bool,
}

/// Counts of outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutcomeCounts {
    /// Passes.
    pub pass: u64,
    /// Failures.
    pub fail: u64,
    /// Not applicable.
    pub not_applicable: u64,
    /// Unknown.
    pub unknown: u64,
}

/// An imported scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanRow {
    /// Its id; a report handed in again gets `<id>.r<n>`.
    pub id: ScanId,
    /// What scanned.
    pub source: String,
    /// Its version.
    pub source_version: String,
    /// Where.
    pub scope: ScopeId,
    /// Whether it saw everything.
    pub complete: bool,
    /// Whether a newer scan had been imported before, so that its results were passed over.
    pub stale: bool,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// When it was imported.
    pub imported: Timestamp,
    /// What it said.
    pub counts: OutcomeCounts,
    /// The report.
    pub artifact: Digest,
    /// What judged.
    pub content: Vec<ContentDigest>,
}

/// The current verdict of a check on a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultRow {
    /// Where it belongs.
    pub scope: ScopeId,
    /// The question.
    pub check: CheckUid,
    /// The subject.
    pub asset: Asset,
    /// Within the subject.
    pub locus: String,
    /// The answer.
    pub outcome: Outcome,
    /// For people.
    pub message: String,
    /// What decided.
    pub evidence: Vec<Evidence>,
    /// Where in the source.
    pub location: Option<Location>,
    /// Said at the source.
    pub suppression: Option<Suppression>,
    /// The scan that last changed it.
    pub scan: ScanId,
}

/// Which results.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResultFilter {
    /// One scope.
    pub scope: Option<ScopeId>,
    /// One check.
    pub check: Option<CheckUid>,
    /// One outcome word, see [`Outcome::word`].
    pub outcome: Option<String>,
    /// One asset.
    pub asset: Option<AssetUid>,
}

/// Figures for the overview and for metrics; framework scores come from `posture`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overview {
    /// Scopes that are not archived.
    pub scopes: u64,
    /// The most recently scanned scope, or the one asked for.
    pub scope: Option<ScopeId>,
    /// The newest scan there.
    pub last_scan: Option<LastScan>,
    /// Open and reopened findings by severity.
    pub active: BTreeMap<Severity, u64>,
    /// Accepted findings.
    pub accepted: u64,
    /// Findings fixed within the 30 days before `now`.
    pub fixed_30d: u64,
    /// Current results that could not tell.
    pub unknown_results: u64,
    /// The queue.
    pub jobs: QueueStats,
}

/// Reads `uid, <any>, title, description, severity, remediation, refs`.
pub(crate) fn check_of(row: &Row, at: usize) -> Result<Check> {
    Ok(Check {
        uid: row.id(at)?,
        title: row.text(at + 2)?,
        description: row.text(at + 3)?,
        severity: Severity::from_rank(row.int(at + 4)?),
        remediation: row.text(at + 5)?,
        references: row.json(at + 6)?,
    })
}

/// What a result's row is read from; `r` is the results table.
pub(crate) const RESULT: &str = "(SELECT s.uid FROM scopes s WHERE s.tenant = r.tenant AND s.id = r.scope), \
     (SELECT c.uid FROM checks c WHERE c.tenant = r.tenant AND c.id = r.chk), \
     (SELECT a.uid FROM assets a WHERE a.tenant = r.tenant AND a.id = r.asset), \
     (SELECT n.name FROM names n WHERE n.tenant = r.tenant AND n.id = \
     (SELECT a.kind FROM assets a WHERE a.tenant = r.tenant AND a.id = r.asset)), \
     (SELECT a.name FROM assets a WHERE a.tenant = r.tenant AND a.id = r.asset), \
     (SELECT n.name FROM names n WHERE n.tenant = r.tenant AND n.id = \
     (SELECT a.ns FROM assets a WHERE a.tenant = r.tenant AND a.id = r.asset)), r.locus, \
     r.outcome, r.why, r.message, r.evidence, r.file, r.line, r.col, r.said_by, r.said_why, \
     COALESCE((SELECT sc.uid FROM scans sc WHERE sc.tenant = r.tenant AND sc.id = r.scan), \
     'importing')";

/// Reads `file, line, col`.
pub(crate) fn location_of(row: &Row, at: usize) -> Result<Option<Location>> {
    let small = |n: i64| u32::try_from(n).unwrap_or(0);
    let (line, column) = (row.opt_int(at + 1)?, row.opt_int(at + 2)?);
    Ok(row.opt_text(at)?.map(|file| Location {
        file,
        line: line.map(small).unwrap_or(0),
        column: column.map(small),
    }))
}

/// Reads the columns of [`RESULT`].
pub(crate) fn result_of(row: &Row) -> Result<ResultRow> {
    let outcome = Outcome::from_word(word_of(row.int(7)?), row.opt_text(8)?.as_deref());
    let evidence = match row.opt_text(10)? {
        Some(text) => serde_json::from_str(&text)?,
        None => Vec::new(),
    };
    Ok(ResultRow {
        scope: row.id(0)?,
        check: row.id(1)?,
        asset: Asset {
            uid: row.id(2)?,
            kind: row.text(3)?,
            name: row.text(4)?,
            namespace: row.text(5)?,
        },
        locus: row.text(6)?,
        outcome,
        message: row.text(9)?,
        evidence,
        location: location_of(row, 11)?,
        suppression: row
            .opt_text(14)?
            .zip(row.opt_text(15)?)
            .map(|(by, reason)| Suppression { by, reason }),
        scan: row.id(16)?,
    })
}
