//! The JSON form of a result line.
//!
//! The model's own derives give the same JSON, but `flatten` makes serde gather every result
//! into a map first, which costs more than half of the reading time. A test holds the two
//! forms equal.

use bartizan_model::{
    AssetUid, CheckResult, CheckUid, Evidence, Location, Outcome, Severity, Suppression,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Pass,
    Fail,
    NotApplicable,
    Unknown,
}

/// A result as it is written.
#[derive(Serialize)]
pub(super) struct ResultOut<'a> {
    check: &'a CheckUid,
    asset: &'a AssetUid,
    #[serde(skip_serializing_if = "str::is_empty")]
    locus: &'a str,
    outcome: Word,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<Severity>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    evidence: &'a [Evidence],
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<&'a Location>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suppression: Option<&'a Suppression>,
}

impl<'a> ResultOut<'a> {
    pub(super) fn of(result: &'a CheckResult) -> Self {
        Self {
            check: &result.check,
            asset: &result.asset,
            locus: &result.locus,
            outcome: match result.outcome {
                Outcome::Pass => Word::Pass,
                Outcome::Fail => Word::Fail,
                Outcome::NotApplicable { .. } => Word::NotApplicable,
                Outcome::Unknown { .. } => Word::Unknown,
            },
            why: result.outcome.why(),
            message: &result.message,
            severity: result.severity,
            evidence: &result.evidence,
            location: result.location.as_ref(),
            suppression: result.suppression.as_ref(),
        }
    }
}

/// A result as it is read.
#[derive(Deserialize)]
pub(super) struct ResultIn {
    check: CheckUid,
    asset: AssetUid,
    #[serde(default)]
    locus: String,
    outcome: Word,
    #[serde(default)]
    why: Option<String>,
    #[serde(default)]
    message: String,
    #[serde(default)]
    severity: Option<Severity>,
    #[serde(default)]
    evidence: Vec<Evidence>,
    #[serde(default)]
    location: Option<Location>,
    #[serde(default)]
    suppression: Option<Suppression>,
}

impl ResultIn {
    /// The result, or what is missing from it.
    pub(super) fn into_result(self) -> Result<CheckResult, &'static str> {
        let outcome = match (self.outcome, self.why) {
            (Word::Pass, None) => Outcome::Pass,
            (Word::Fail, None) => Outcome::Fail,
            (Word::NotApplicable, Some(why)) => Outcome::NotApplicable { why },
            (Word::Unknown, Some(why)) => Outcome::Unknown { why },
            (Word::Pass | Word::Fail, Some(_)) => {
                return Err("a pass or fail carries no `why`; the words belong in `message`");
            }
            (Word::NotApplicable | Word::Unknown, None) => {
                return Err("an outcome that is neither pass nor fail must say `why`");
            }
        };
        Ok(CheckResult {
            check: self.check,
            asset: self.asset,
            locus: self.locus,
            outcome,
            message: self.message,
            severity: self.severity,
            evidence: self.evidence,
            location: self.location,
            suppression: self.suppression,
        })
    }
}
