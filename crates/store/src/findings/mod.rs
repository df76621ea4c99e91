//! Findings: lists in five orders, detail, people's actions.

mod act;
pub(crate) mod change;
mod plan;
mod read;
mod search;
mod walk;

pub(crate) use plan::int_list;

use crate::Page;
use crate::audit::AuditRow;
use crate::scans::ResultRow;
use bartizan_model::life::Refusal;
use bartizan_model::{
    Acceptance, Asset, AssetUid, Check, CheckUid, FindingKey, FindingStatus, Observation, ScanId,
    ScopeId, Severity, Timestamp,
};
use std::collections::BTreeMap;

/// Which findings. The default is the active ones (open, reopened) of all scopes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingFilter {
    /// One scope. Findings of archived scopes are shown only when their scope is named.
    pub scope: Option<ScopeId>,
    /// In any of these states; empty means all.
    pub status: Vec<FindingStatus>,
    /// Of any of these severities; empty means all.
    pub severity: Vec<Severity>,
    /// Of any of these checks (one check, or those that a control or framework maps);
    /// `None` means all, an empty list none.
    pub checks: Option<Vec<CheckUid>>,
    /// On one asset.
    pub asset: Option<AssetUid>,
    /// In one namespace.
    pub namespace: Option<String>,
    /// On assets of one kind.
    pub kind: Option<String>,
    /// Words that title, message, check, asset or locus all contain.
    pub q: Option<String>,
}

impl Default for FindingFilter {
    fn default() -> Self {
        Self {
            scope: None,
            status: vec![FindingStatus::Open, FindingStatus::Reopened],
            severity: Vec::new(),
            checks: None,
            asset: None,
            namespace: None,
            kind: None,
            q: None,
        }
    }
}

/// The closed list of orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FindingSort {
    /// Worst first, then newest change.
    #[default]
    Severity,
    /// Newest change first.
    Changed,
    /// Newest first.
    FirstSeen,
    /// By check uid.
    Check,
    /// By asset uid.
    Asset,
}

impl FindingSort {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Severity,
        Self::Changed,
        Self::FirstSeen,
        Self::Check,
        Self::Asset,
    ];

    /// The word in queries.
    pub fn word(self) -> &'static str {
        match self {
            Self::Severity => "severity",
            Self::Changed => "changed",
            Self::FirstSeen => "first_seen",
            Self::Check => "check",
            Self::Asset => "asset",
        }
    }

    /// Parses the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.word() == word)
    }
}

/// A row of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingRow {
    /// Identity.
    pub key: FindingKey,
    /// Where it belongs.
    pub scope: ScopeId,
    /// Which check fails.
    pub check: CheckUid,
    /// On what.
    pub asset: Asset,
    /// Where within it.
    pub locus: String,
    /// Its state.
    pub status: FindingStatus,
    /// How bad.
    pub severity: Severity,
    /// The check's title.
    pub title: String,
    /// The newest message.
    pub message: String,
    /// When it first failed.
    pub first_seen: Timestamp,
    /// When its state last changed.
    pub changed: Timestamp,
    /// Set while accepted.
    pub acceptance: Option<Acceptance>,
}

/// How a full-text search was bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchNote {
    /// Whether more findings match the words than were looked at.
    pub capped: bool,
    /// How many matches are looked at, newest first.
    pub limit: u32,
}

/// A page of findings.
#[derive(Debug, Clone, PartialEq)]
pub struct FindingPage {
    /// Rows, cursor and total.
    pub page: Page<FindingRow>,
    /// Present when words were searched.
    pub search: Option<SearchNote>,
}

/// Counts under a filter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facets {
    /// By severity.
    pub severity: BTreeMap<Severity, u64>,
    /// By state.
    pub status: BTreeMap<FindingStatus, u64>,
    /// Whether counting stopped early, so that the counts are lower bounds.
    pub capped: bool,
}

/// All about one finding.
#[derive(Debug, Clone, PartialEq)]
pub struct FindingDetail {
    /// The list's row.
    pub row: FindingRow,
    /// The check, as last reported.
    pub check: Check,
    /// The current verdict on the subject; none once it is gone.
    pub result: Option<ResultRow>,
    /// When the failure was last seen: the end of the newest scan that confirms it.
    pub last_seen: Timestamp,
    /// That scan.
    pub last_scan: Option<ScanId>,
    /// The newest fact about the asset.
    pub observation: Option<Observation>,
    /// What happened to it, oldest first, at most 200 newest.
    pub history: Vec<AuditRow>,
}

/// What a person does to findings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FindingAction {
    /// Takes responsibility.
    Accept(Acceptance),
    /// Rules it wrong.
    FalsePositive {
        /// Why.
        reason: String,
    },
    /// Withdraws either.
    Reopen {
        /// Why.
        reason: String,
    },
}

/// Why an action did not touch a finding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActionRefusal {
    /// No such finding.
    #[error("there is no such finding")]
    Unknown,
    /// The finding's life does not allow it.
    #[error(transparent)]
    Life(#[from] Refusal),
}

/// What an action did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ActionOutcome {
    /// Findings whose state changed.
    pub changed: u64,
    /// Those it did not touch, and why.
    pub refused: Vec<(FindingKey, ActionRefusal)>,
}
