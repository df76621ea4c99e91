//! SARIF 2.1.0, as real scanners write it, read into reports for a given scope.
//!
//! | SARIF | here |
//! |---|---|
//! | run | a report of source `sarif/<tool>`, or `sarif/<tool>/<category>`; runs of the same source are joined |
//! | rule (driver's or extension's) | check `sarif/<tool>/<rule id>` |
//! | result | a verdict; `kind` pass and fail as they are, notApplicable and informational are NotApplicable, open, review and anything else Unknown |
//! | `level`, `rank`, properties | severity, see `severity.rs` |
//! | first location | asset and locus, see `place.rs` |
//! | suppressions, all accepted | suppression |
//! | baselineState absent | passed over |
//! | executionSuccessful false, a notification of level error, no `results` | an incomplete scan, which closes nothing |
//! | fingerprints | evidence; the locus where there is no logical location |
//!
//! The file is parsed as it streams in; what is not needed (snippets, code flows, graphs) is
//! never kept, and what is kept is charged against a fixed memory budget.

mod budget;
mod convert;
mod place;
mod schema;
mod severity;

use bartizan_model::report::Report;
use bartizan_model::{ScanId, Scope, Timestamp};
use serde::Deserialize;
use std::io::{BufReader, Read};

/// The media type of SARIF.
pub const MEDIA_TYPE: &str = "application/sarif+json";

/// What a file may take in memory while it is read, whatever its size.
const MAX_MEMORY: usize = 96 << 20;

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
    /// Options with limits of 256 MiB and 100,000 results.
    pub fn new(scope: Scope, scan: ScanId, received: Timestamp) -> Self {
        Self {
            scope,
            scan,
            received,
            max_bytes: 256 << 20,
            max_results: 100_000,
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
    /// What has to be kept of it is more than the fixed memory budget.
    #[error(
        "the file has more rules, results and text than can be held; upload it in parts, one scope each"
    )]
    TooComplex,
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
    let mut input = Counted {
        inner: input,
        left: options.max_bytes,
        fault: None,
    };
    let (parsed, too_much) = budget::within(MAX_MEMORY, || parse(&mut input));
    let root = match (parsed, input.fault) {
        (Ok(root), _) => root,
        (Err(_), Some(Fault::TooLarge)) => return Err(SarifError::TooLarge(options.max_bytes)),
        (Err(_), Some(Fault::Io(error))) => return Err(SarifError::Io(error)),
        (Err(_), None) if too_much => return Err(SarifError::TooComplex),
        (Err(error), None) => return Err(SarifError::Json(error.to_string())),
    };
    match root.version.get() {
        Some("2.1.0") => {}
        other => {
            let found: String = other.unwrap_or_default().chars().take(40).collect();
            return Err(SarifError::Version(found));
        }
    }
    let results = |run: &schema::Run| run.results.as_ref().map_or(0, |r| r.0.len());
    if root.runs.0.iter().map(results).sum::<usize>() > options.max_results {
        return Err(SarifError::TooMany(options.max_results));
    }
    if root.runs.0.is_empty() {
        return Err(SarifError::NoRun);
    }
    convert::reports(&root.runs.0, options)
}

fn parse<R: Read>(input: &mut Counted<R>) -> Result<schema::Root, serde_json::Error> {
    // Tools on Windows begin with a byte order mark.
    let mut head = Vec::with_capacity(3);
    input
        .by_ref()
        .take(3)
        .read_to_end(&mut head)
        .map_err(serde_json::Error::io)?;
    if head == b"\xef\xbb\xbf" {
        head.clear();
    }
    let input = BufReader::with_capacity(64 << 10, head.as_slice().chain(input));
    let mut deserializer = serde_json::Deserializer::from_reader(input);
    let root = schema::Root::deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(root)
}

/// Ends with an error, not with silence, where the limit is reached.
struct Counted<R: Read> {
    inner: R,
    left: u64,
    fault: Option<Fault>,
}

enum Fault {
    TooLarge,
    Io(std::io::Error),
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.inner.read(buffer) {
            Ok(got) => {
                let Some(left) = self.left.checked_sub(got as u64) else {
                    self.fault = Some(Fault::TooLarge);
                    return Err(std::io::Error::other("too large"));
                };
                self.left = left;
                Ok(got)
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                self.fault = Some(Fault::Io(error));
                Err(std::io::Error::other("input failed"))
            }
        }
    }
}
/// Whether bytes begin as a SARIF file does.
pub fn sniff(first: &[u8]) -> bool {
    let first = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first);
    let text = String::from_utf8_lossy(first.get(..4096).unwrap_or(first));
    let text = text.trim_start();
    text.starts_with('{')
        && (text.contains("sarif") || (text.contains("\"runs\"") && text.contains("\"version\"")))
}

#[cfg(test)]
mod tests;
