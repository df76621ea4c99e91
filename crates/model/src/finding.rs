//! A finding: a failure that somebody has to deal with, and its human state.

use crate::{AssetUid, CheckUid, FindingKey, ScopeId, Severity, Timestamp};
use serde::{Deserialize, Serialize};

/// Where a finding is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingStatus {
    /// Fails, and was never fixed.
    Open,
    /// Fails again after it was fixed, accepted or ruled out.
    Reopened,
    /// Fails, and somebody answers for leaving it so.
    Accepted,
    /// Judged wrong by a person; later failures do not reopen it.
    FalsePositive,
    /// No longer fails.
    Fixed,
}

impl FindingStatus {
    /// All of them, those needing work first.
    pub const ALL: [Self; 5] = [
        Self::Open,
        Self::Reopened,
        Self::Accepted,
        Self::FalsePositive,
        Self::Fixed,
    ];

    /// The stored word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Reopened => "reopened",
            Self::Accepted => "accepted",
            Self::FalsePositive => "false_positive",
            Self::Fixed => "fixed",
        }
    }

    /// Parses the stored word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.word() == word)
    }

    /// Whether somebody has to act: open or reopened.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Open | Self::Reopened)
    }
}

/// Who answers for leaving a failure, why, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    /// Who answers for it. `source` for a suppression written beside the object.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// When it ends; none only for a suppression at the source, which ends when it is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

/// The owner of an acceptance that comes from an annotation or a baseline file.
pub const SOURCE_OWNER: &str = "source";

/// A failure with a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Identity, see [`FindingKey::of`].
    pub key: FindingKey,
    /// Where it belongs.
    pub scope: ScopeId,
    /// Which check fails.
    pub check: CheckUid,
    /// On what.
    pub asset: AssetUid,
    /// Where within it.
    #[serde(default)]
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acceptance: Option<Acceptance>,
}
