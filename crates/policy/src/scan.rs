//! A scan: every check on every object of the input.

use crate::{Baseline, Budget, Library, Limits, Notice, Source, UnusedSuppression};
use bartizan_model::Scan;
use bartizan_model::report::Report;

/// How to scan.
#[derive(Debug, Clone)]
pub struct ScanOptions {
    /// The run: id, scope, source (`bartizan/k8s`), completeness, times. `finished` may be set
    /// by the caller afterwards; `content` is filled from the library. `started` is the `now`
    /// that policies see.
    pub scan: Scan,
    /// Worker threads, at least 1.
    pub threads: usize,
    /// Cost of one evaluation.
    pub budget: Budget,
    /// Cost of reading.
    pub limits: Limits,
    /// Suppressions from a file.
    pub baseline: Baseline,
}

impl ScanOptions {
    /// Defaults for everything but the run: 2 threads, default budget and limits, no baseline.
    pub fn new(scan: Scan) -> Self {
        Self {
            scan,
            threads: 2,
            budget: Budget::default(),
            limits: Limits::default(),
            baseline: Baseline::default(),
        }
    }
}

/// How far a scan has come; handed to the progress callback now and then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Files read.
    pub files: u64,
    /// Objects read.
    pub objects: u64,
    /// Objects judged.
    pub judged: u64,
}

/// What a scan says.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanOutput {
    /// Checks, observations and results, sorted as [`Report`] wants.
    pub report: Report,
    /// Suppressions that suppressed nothing.
    pub unused_suppressions: Vec<UnusedSuppression>,
    /// What was ignored, such as objects of kinds that no constraint looks at.
    pub notices: Vec<Notice>,
}

/// Why a scan could not be made at all. Bad documents are Unknown results, not errors.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The scope has no valid id. Whose fault: the caller's.
    #[error("the scan's scope is not usable: {0}")]
    Scope(#[from] bartizan_model::IdError),
    /// A template that compiled when it was loaded does not any more. A bug.
    #[error("the policy engine failed to start: {0}")]
    Engine(String),
    /// A worker thread died. A bug.
    #[error("a worker thread died")]
    Worker,
}

/// Reads `sources`, expands workloads to the Pods that they would create, and asks every
/// check of every object that its constraints match.
pub fn scan<'a>(
    _library: &Library,
    _sources: impl IntoIterator<Item = Source<'a>>,
    _options: &ScanOptions,
    _progress: &(dyn Fn(Progress) + Sync),
) -> Result<ScanOutput, ScanError> {
    Err(ScanError::Engine("not built yet".into()))
}
