//! The verdict of one check on one subject.

use crate::{AssetUid, CheckUid, Location, Outcome, Severity};
use serde::{Deserialize, Serialize};

/// A value that decided a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What was looked at, such as `spec.containers[0].securityContext.privileged`.
    pub path: String,
    /// What was found, redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
    /// What was wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
}

/// Why a failure is knowingly left, said at its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppression {
    /// Where it was said: `annotation` or `baseline`.
    pub by: String,
    /// The reason given.
    pub reason: String,
}

/// The outcome of a check on a subject (an asset and, where the check looks inside, a locus).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// The question.
    pub check: CheckUid,
    /// The subject.
    pub asset: AssetUid,
    /// The place within the asset that the verdict is about, such as `container:web` or a
    /// package; empty for the asset as a whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub locus: String,
    /// The answer.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What to say of it, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Severity of this failure where it differs from the check's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// The values that decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// Where the subject stands in the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// Present on a failure that is suppressed at its source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suppression: Option<Suppression>,
}

impl CheckResult {
    /// A verdict on the asset as a whole that nothing more is to be said of than why.
    pub fn whole(check: &CheckUid, asset: &AssetUid, outcome: Outcome) -> Self {
        Self {
            check: check.clone(),
            asset: asset.clone(),
            locus: String::new(),
            message: outcome.why().unwrap_or_default().to_owned(),
            outcome,
            severity: None,
            evidence: Vec::new(),
            location: None,
            suppression: None,
        }
    }
}
