//! What an evaluation of a benchmark found, before it is written as XCCDF, ARF or our report.

use std::sync::Arc;

/// The result of a rule (XCCDF 1.2, 6.6.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum RuleResult {
    Pass,
    Fail,
    Error,
    Unknown,
    NotApplicable,
    NotChecked,
    NotSelected,
    Informational,
    Fixed,
}

impl RuleResult {
    /// The word in a TestResult.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Error => "error",
            Self::Unknown => "unknown",
            Self::NotApplicable => "notapplicable",
            Self::NotChecked => "notchecked",
            Self::NotSelected => "notselected",
            Self::Informational => "informational",
            Self::Fixed => "fixed",
        }
    }
}

/// The check that decided a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedCheck {
    /// The check system's URI.
    pub system: Arc<str>,
    /// The content's href, resolved through the stream's catalogue where it has one.
    pub href: Arc<str>,
    /// The definition's id.
    pub name: Option<Arc<str>>,
    /// Exported variables: OVAL variable id, XCCDF value id, the value.
    pub exports: Vec<(Arc<str>, Arc<str>, String)>,
    /// What the check wanted shown: the import's name and its text.
    pub imports: Vec<(Arc<str>, String)>,
}

/// A value that decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// What was looked at, such as `/etc/ssh/sshd_config: subexpression`.
    pub what: String,
    /// What was found.
    pub actual: Option<String>,
    /// What was wanted, in words.
    pub expected: Option<String>,
}

/// A rule's outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleOutcome {
    /// The rule's id.
    pub id: Arc<str>,
    /// The result.
    pub result: RuleResult,
    /// What decided; absent on rules that were not checked.
    pub check: Option<UsedCheck>,
    /// The reason, in words, where the result alone does not say it.
    pub message: Option<String>,
    /// The values that decided, at most a few.
    pub why: Vec<Why>,
}

/// A score by one of XCCDF's models.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// The model's URI, such as `urn:xccdf:scoring:default`.
    pub system: &'static str,
    /// What was reached.
    pub value: f64,
    /// What could be reached.
    pub maximum: f64,
}

/// The outcome of a benchmark under a profile.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The benchmark's id.
    pub benchmark: Arc<str>,
    /// The benchmark's version.
    pub version: String,
    /// The profile's id; None for the benchmark as it is.
    pub profile: Option<Arc<str>>,
    /// Whether the benchmark's platform fits the system.
    pub applicable: bool,
    /// The benchmark's platforms that fit the system.
    pub platforms: Vec<Arc<str>>,
    /// Every rule in document order, also those not selected.
    pub rules: Vec<RuleOutcome>,
    /// The values in force: XCCDF value id and text.
    pub values: Vec<(Arc<str>, String)>,
    /// Scores by default, flat, flat-unweighted and absolute model.
    pub scores: Vec<Score>,
}
