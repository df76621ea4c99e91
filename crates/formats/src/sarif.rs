//! SARIF 2.1.0, as real scanners write it, read into reports for a given scope.
//!
//! Filled in below; the signatures stand.

use bartizan_model::report::Report;
use bartizan_model::{ScanId, Scope, Timestamp};
use std::io::Read;

/// The media type of SARIF.
pub const MEDIA_TYPE: &str = "application/sarif+json";

/// What the caller knows and the file does not say.
#[derive(Debug, Clone)]
pub struct Options {
    /// What was scanned.
    pub scope: Scope,
    /// The id of the first report's scan; the second gets `-2` appended, and so on.
    pub scan: ScanId,
    /// When the file came in: the time of a run that says none, and the latest a run may
    /// claim.
    pub received: Timestamp,
    /// The largest file in bytes.
    pub max_bytes: u64,
    /// The most results over all runs.
    pub max_results: usize,
}

impl Options {
    /// Options with limits of 256 MiB and 250,000 results.
    pub fn new(scope: Scope, scan: ScanId, received: Timestamp) -> Self {
        Self {
            scope,
            scan,
            received,
            max_bytes: 256 << 20,
            max_results: 250_000,
        }
    }
}

/// What a SARIF file became.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// One report for each tool and category (`automationDetails`) in the file; runs of the
    /// same tool and category are joined, as each would close what the other saw.
    pub reports: Vec<Report>,
    /// What was left out or read with doubt, for people.
    pub notices: Vec<String>,
}

/// Why a SARIF file cannot be read. All but [`SarifError::Io`] are faults of the file.
#[derive(Debug, thiserror::Error)]
pub enum SarifError {
    /// The input failed: a fault of the disk or the connection.
    #[error("the input could not be read: {0}")]
    Io(std::io::Error),
    /// Not JSON, or not shaped as SARIF.
    #[error("not SARIF: {0}")]
    Json(String),
    /// Another version.
    #[error("SARIF version {0:?}; this build reads 2.1.0")]
    Version(String),
    /// Over the size limit.
    #[error("the file is larger than {0} bytes")]
    TooLarge(u64),
    /// Over the result limit.
    #[error("the file has more than {0} results; upload it in parts, one scope each")]
    TooMany(usize),
    /// No run, so nothing that could be recorded.
    #[error("the file has no run")]
    NoRun,
    /// The results are in other files, which are not read.
    #[error("the results of {0} are in external property files; inline them")]
    External(String),
    /// An id made of the file's names is not valid.
    #[error("{0}")]
    Id(#[from] bartizan_model::IdError),
}

/// Reads a SARIF file.
pub fn read<R: Read>(input: R, options: &Options) -> Result<Reading, SarifError> {
    let _ = (input, options);
    Err(SarifError::NoRun)
}

/// Whether bytes begin as a SARIF file does.
pub fn sniff(first: &[u8]) -> bool {
    let first = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first);
    let text = String::from_utf8_lossy(first.get(..4096).unwrap_or(first));
    let text = text.trim_start();
    text.starts_with('{')
        && (text.contains("sarif") || (text.contains("\"runs\"") && text.contains("\"version\"")))
}
