//! Frameworks and their controls.

use crate::{ControlId, FrameworkId, Timestamp};
use serde::{Deserialize, Serialize};

/// A catalogue of controls and how our checks reach them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Framework {
    /// Its id, such as `nist-800-53-r5`.
    pub id: FrameworkId,
    /// Its name.
    pub title: String,
    /// Its edition.
    pub version: String,
    /// Who publishes it and where.
    pub source: String,
    /// Its controls, in the publisher's order.
    pub controls: Vec<Control>,
}

/// A requirement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// The publisher's id.
    pub id: ControlId,
    /// Short title.
    pub title: String,
    /// The publisher's family or section.
    #[serde(default)]
    pub group: String,
    /// Check-uid patterns (`*` globs, see [`crate::CheckUid::matches`]) that test it.
    #[serde(default)]
    pub checks: Vec<String>,
    /// What a person has to look at, in our words. A control with no `checks` is manual.
    #[serde(default)]
    pub guidance: String,
}

/// How a control stands in a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlStatus {
    /// At least one pass, no failure, no unknown; or a person's unexpired verdict.
    Passed,
    /// At least one failure that nobody accepted; or a person's unexpired verdict.
    Failed,
    /// Its only failures are accepted. No pass; shown apart and outside the score.
    Accepted,
    /// Its checks did not run, or at least one could not tell and none failed.
    NotAssessed,
    /// Its checks ran and had nothing to look at.
    NotApplicable,
    /// Only a person can tell, and none has, or the verdict expired.
    Manual,
}

impl ControlStatus {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Accepted => "accepted",
            Self::NotAssessed => "not_assessed",
            Self::NotApplicable => "not_applicable",
            Self::Manual => "manual",
        }
    }
}

/// What a person decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The control is met.
    Passed,
    /// It is not.
    Failed,
    /// It does not apply to this scope.
    NotApplicable,
}

/// A person's verdict on a control of a scope, with evidence and an end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assessment {
    /// Of which framework.
    pub framework: FrameworkId,
    /// Which control.
    pub control: ControlId,
    /// In which scope.
    pub scope: crate::ScopeId,
    /// Who judged.
    pub assessor: String,
    /// How.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// Digests of uploaded evidence.
    #[serde(default)]
    pub evidence: Vec<crate::Digest>,
    /// When it was judged.
    pub at: Timestamp,
    /// Until when it counts.
    pub expires: Timestamp,
}

/// How many subjects of a scope got which outcome from one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckTally {
    /// The check.
    pub check: crate::CheckUid,
    /// Passes.
    pub pass: u64,
    /// Failures that are not accepted and not ruled false positive.
    pub fail: u64,
    /// Failures whose finding is accepted.
    pub accepted: u64,
    /// Failures whose finding is ruled a false positive.
    pub false_positive: u64,
    /// Nothing to look at.
    pub not_applicable: u64,
    /// Could not tell.
    pub unknown: u64,
}

/// Counts of controls, and what follows from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Score {
    /// Controls passed.
    pub passed: u32,
    /// Controls failed.
    pub failed: u32,
    /// Controls whose only failures are accepted.
    pub accepted: u32,
    /// Controls not assessed.
    pub not_assessed: u32,
    /// Controls that do not apply.
    pub not_applicable: u32,
    /// Controls that wait for a person.
    pub manual: u32,
}

impl Score {
    /// All controls of the framework.
    pub fn total(&self) -> u32 {
        self.passed
            + self.failed
            + self.accepted
            + self.not_assessed
            + self.not_applicable
            + self.manual
    }

    /// passed / (passed + failed), in percent; none when nothing was judged.
    pub fn percent(&self) -> Option<f64> {
        percent(self.passed, self.passed + self.failed)
    }

    /// Controls with a verdict, out of all, in percent.
    pub fn coverage(&self) -> Option<f64> {
        percent(
            self.passed + self.failed + self.accepted + self.not_applicable,
            self.total(),
        )
    }
}

/// Rounded to two decimals, so that every place that shows the score shows the same.
fn percent(part: u32, whole: u32) -> Option<f64> {
    (whole > 0).then(|| (f64::from(part) * 10_000.0 / f64::from(whole)).round() / 100.0)
}
