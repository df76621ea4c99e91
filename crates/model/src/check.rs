//! A check: one question that can be asked of many subjects.

use crate::CheckUid;
use serde::{Deserialize, Serialize};

/// How bad a failure is. Ordered: `Info < Low < Medium < High < Critical`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Minor.
    Low,
    /// Moderate; also what content without a severity gets.
    #[default]
    Medium,
    /// Serious.
    High,
    /// Drop everything.
    Critical,
}

impl Severity {
    /// All severities, worst first.
    pub const ALL: [Self; 5] = [
        Self::Critical,
        Self::High,
        Self::Medium,
        Self::Low,
        Self::Info,
    ];

    /// The stored rank: 0 (info) to 4 (critical).
    pub fn rank(self) -> i64 {
        match self {
            Self::Info => 0,
            Self::Low => 1,
            Self::Medium => 2,
            Self::High => 3,
            Self::Critical => 4,
        }
    }

    /// The severity of a stored rank; out-of-range ranks are clamped.
    pub fn from_rank(rank: i64) -> Self {
        match rank {
            i64::MIN..=0 => Self::Info,
            1 => Self::Low,
            2 => Self::Medium,
            3 => Self::High,
            _ => Self::Critical,
        }
    }

    /// The word: `critical`, `high`, `medium`, `low` or `info`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// Parses a word, case-insensitively.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|s| s.word().eq_ignore_ascii_case(word))
    }
}

/// What is known of a check apart from its verdicts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// `engine/content/rule`.
    pub uid: CheckUid,
    /// One line for people.
    pub title: String,
    /// What is wrong and why it matters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Severity of a failure.
    pub severity: Severity,
    /// How to put it right.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remediation: String,
    /// Addresses of public references.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
}
