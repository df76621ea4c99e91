//! Scopes, scans, results, checks and what is counted from them.

use crate::queue::QueueStats;
use crate::{Act, Page, PageRequest, Result, StoreError, TenantStore};
use bartizan_model::framework::CheckTally;
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

impl TenantStore {
    /// Scopes by id.
    pub async fn scopes(&self, include_archived: bool) -> Result<Vec<ScopeRow>> {
        crate::unfinished()
    }

    /// One scope.
    pub async fn scope(&self, id: &ScopeId) -> Result<Option<ScopeRow>> {
        crate::unfinished()
    }

    /// Archives a scope or brings it back (`scope.archived`).
    pub async fn archive_scope(&self, id: &ScopeId, archived: bool, act: &Act) -> Result<()> {
        crate::unfinished()
    }

    /// Removes a scope with its results, findings, observations, scans and scores; the ledger
    /// keeps the fact (`scope.deleted`) and the findings' history. Refused while a job of
    /// the scope is unfinished.
    pub async fn delete_scope(&self, id: &ScopeId, act: &Act) -> Result<()> {
        crate::unfinished()
    }

    /// Scans, newest import first.
    pub async fn scans(
        &self,
        scope: Option<&ScopeId>,
        page: &PageRequest,
    ) -> Result<Page<ScanRow>> {
        crate::unfinished()
    }

    /// One scan.
    pub async fn scan(&self, id: &ScanId) -> Result<Option<ScanRow>> {
        crate::unfinished()
    }

    /// The newest scan of each source of a scope, for evidence documents.
    pub async fn current_scans(&self, scope: &ScopeId) -> Result<Vec<ScanRow>> {
        crate::unfinished()
    }

    /// Current results, by scope, check, asset and locus as first seen.
    pub async fn results(
        &self,
        filter: &ResultFilter,
        page: &PageRequest,
    ) -> Result<Page<ResultRow>> {
        crate::unfinished()
    }

    /// Checks by uid. With a scope, only those that judged something there, each with its tally;
    /// without, all, with the sum over scopes that are not archived.
    pub async fn checks(&self, scope: Option<&ScopeId>) -> Result<Vec<(Check, CheckTally)>> {
        crate::unfinished()
    }

    /// The tallies of a scope by check uid: what `posture` scores.
    pub async fn tallies(&self, scope: &ScopeId) -> Result<Vec<CheckTally>> {
        crate::unfinished()
    }

    /// Figures at a glance, for one scope or for all that are not archived.
    pub async fn overview(&self, scope: Option<&ScopeId>, now: Timestamp) -> Result<Overview> {
        crate::unfinished()
    }

    /// Open and reopened findings by severity over all scopes, for metrics.
    pub async fn active_findings(&self) -> Result<BTreeMap<Severity, u64>> {
        crate::unfinished()
    }
}
