//! Failures left knowingly, said at their source: annotations and baseline files.
//!
//! An object says it by annotation, a reason is required:
//!
//! ```yaml
//! metadata:
//!   annotations:
//!     bartizan.dev/ignore.k8spspprivileged: node agent, needs the host; see RISK-12
//!     bartizan.dev/ignore: '{"k8spsphostnetwork": "reason", "rego/mine/*": "reason"}'
//! ```
//!
//! A baseline file is a YAML list of `{check, asset, locus?, reason, expires?}`; `check` and
//! `asset` may contain `*`.

use bartizan_model::{Location, Timestamp};

/// A list of suppressions from a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Baseline {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    check: String,
    asset: String,
    locus: Option<String>,
    reason: String,
    expires: Option<Timestamp>,
    location: Location,
}

/// Why a baseline file cannot be used. Whose fault: the file's author.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {why}")]
pub struct BaselineError {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// What is wrong.
    pub why: String,
}

impl Baseline {
    /// Reads a baseline file.
    pub fn parse(_file: &str, _bytes: &[u8]) -> Result<Self, BaselineError> {
        Ok(Self::default())
    }
}

/// A suppression that suppressed nothing: the failure is gone, or it is written wrongly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusedSuppression {
    /// Where it was said: `annotation` or `baseline`.
    pub by: String,
    /// The check or pattern as written.
    pub check: String,
    /// The asset or pattern as written.
    pub asset: String,
    /// Why it is unused: `it matches no failure`, `it has no reason`, `it expired at …`.
    pub why: String,
    /// Where it stands.
    pub location: Option<Location>,
}
