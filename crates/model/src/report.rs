//! The lines of the versioned report: the one form in which facts and verdicts arrive.
//!
//! A report is JSON, one object a line, in this order: one header, checks, observations,
//! results, one trailer whose counts must agree. A report without its trailer was cut off
//! and is refused whole.
//!
//! ```text
//! {"header":{"format":"bartizan.report","version":1,"scan":{…}}}
//! {"check":{"uid":"rego/bartizan/k8spspprivileged","title":…}}
//! {"observation":{"asset":{…},"kind":"kubernetes.object","digest":"sha256:…","body":{…}}}
//! {"result":{"check":…,"asset":…,"locus":"container:web","outcome":"fail","message":…}}
//! {"trailer":{"checks":1,"observations":1,"results":1}}
//! ```
//!
//! Reading and writing bytes is `formats::report`.

use crate::{Check, CheckResult, Observation, Scan};
use serde::{Deserialize, Serialize};

/// The value of [`Header::format`].
pub const FORMAT: &str = "bartizan.report";

/// The version that this build writes and reads.
pub const VERSION: u32 = 1;

/// The media type of a report in HTTP.
pub const MEDIA_TYPE: &str = "application/vnd.bartizan.report+ndjson";

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Always [`FORMAT`].
    pub format: String,
    /// The version, see [`VERSION`].
    pub version: u32,
    /// The run.
    pub scan: Scan,
}

/// The last line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Trailer {
    /// Check lines before this one.
    pub checks: u64,
    /// Observation lines before this one.
    pub observations: u64,
    /// Result lines before this one.
    pub results: u64,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// First.
    Header(Header),
    /// A check that took part.
    Check(Check),
    /// A fact.
    Observation(Observation),
    /// A verdict.
    Result(CheckResult),
    /// Last.
    Trailer(Trailer),
}

/// A whole report in memory, for reports of a size that fits, such as a command-line scan.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The run.
    pub scan: Scan,
    /// The checks that took part, sorted by uid.
    pub checks: Vec<Check>,
    /// The facts, sorted by asset uid and kind.
    pub observations: Vec<Observation>,
    /// The verdicts, sorted by check, asset and locus.
    pub results: Vec<CheckResult>,
}
