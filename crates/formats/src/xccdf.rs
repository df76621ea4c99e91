//! XCCDF 1.1 and 1.2 results and ARF 1.1, as OpenSCAP writes them, read into reports.
//!
//! | in the file | here |
//! |---|---|
//! | `TestResult`, in a `Benchmark`, alone, or in a report of an ARF | a report of source `openscap/<benchmark>` (`xccdf/<scanner>/<benchmark>` for other scanners), the oldest first |
//! | `rule-result` | a verdict of the check `scap/<benchmark>/<rule>` on the host: the same finding as that of our own scan |
//! | pass, fixed | Pass |
//! | fail | Fail |
//! | error, unknown, notchecked, informational, any other word | Unknown |
//! | notapplicable | NotApplicable |
//! | notselected | nothing |
//! | `Rule` of the benchmark, its places filled by `set-value` | title, why, how, references |
//! | `severity` of the result, else of the rule | severity |
//! | `target`, addresses, facts | the host: asset and observation |
//! | OVAL results of the ARF, where a rule failed or could not be told | evidence: the items that decided, in words |
//! | `check-import` | evidence |
//! | no `end-time`, no answer for a rule of the benchmark, no benchmark in the file | an incomplete scan, which closes nothing |
//!
//! The file is read as it streams in, packed with gzip or bzip2 or not. What is not needed
//! is never kept, and what is kept is charged against a fixed budget of memory.

mod benchmark;
mod convert;
mod input;
mod oval;
mod result;
mod text;
mod xml;

use bartizan_model::report::Report;
use bartizan_model::{ScanId, Scope, Timestamp};
use std::collections::{HashMap, HashSet};
use std::io::Read;
use xml::{Element, Piece, Space, Stream};

/// The media type that results are written with.
pub const MEDIA_TYPE: &str = "application/xccdf+xml";

/// The media type of ARF.
pub const ARF_MEDIA_TYPE: &str = "application/arf+xml";

/// What a file may take in memory while it is read, whatever its size.
const MAX_MEMORY: usize = 96 << 20;
/// Of one file: each is searched for by its id.
const MAX_BENCHMARKS: usize = 64;

/// What the caller knows and the file does not say.
#[derive(Debug, Clone)]
pub struct Options {
    /// What was scanned; none for `host:<target>`, as the file says it.
    pub scope: Option<Scope>,
    /// The id of the first report's scan; the second gets `-2` appended, and so on.
    pub scan: ScanId,
    /// When the file came in: the time of a result that says none, and the latest a result
    /// may claim.
    pub received: Timestamp,
    /// The largest file in bytes, unpacked.
    pub max_bytes: u64,
    /// The most rule results of all reports.
    pub max_results: usize,
}

impl Options {
    /// Options with limits of 512 MiB and 100,000 results.
    pub fn new(scope: Option<Scope>, scan: ScanId, received: Timestamp) -> Self {
        Self {
            scope,
            scan,
            received,
            max_bytes: 512 << 20,
            max_results: 100_000,
        }
    }
}

/// What a file became.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// One report for each result in the file, the oldest first.
    pub reports: Vec<Report>,
    /// What was left out or read with doubt, for people.
    pub notices: Vec<String>,
}

/// Why a file cannot be read. All but [`XccdfError::Io`] are faults of the file.
#[derive(Debug, thiserror::Error)]
pub enum XccdfError {
    /// The input failed: a fault of the disk or the connection.
    #[error("the input could not be read: {0}")]
    Io(std::io::Error),
    /// Not XML, or XML that is not accepted.
    #[error("line {line}: {what}")]
    Xml {
        /// The line, from 1.
        line: u64,
        /// What is wrong there.
        what: String,
    },
    /// XML of another kind.
    #[error("the root element {0:?} is none of Benchmark, TestResult and asset-report-collection")]
    Root(String),
    /// Over the size limit.
    #[error("the file is larger than {0} bytes, unpacked")]
    TooLarge(u64),
    /// What has to be kept of it is more than the fixed memory budget.
    #[error("the file has more rules, results and text than can be held")]
    TooComplex,
    /// Over the result limit.
    #[error("the file has more rule results than can be taken at once")]
    TooMany,
    /// Content, no results.
    #[error("the file has no TestResult: it is content, or the scan wrote none")]
    NoResult,
    /// Whose results they are is not said.
    #[error("a TestResult has no target; give a scope")]
    NoTarget,
    /// An id made of the file's names is not valid.
    #[error("{0}")]
    Id(#[from] bartizan_model::IdError),
}

/// Reads a file of results.
pub fn read<R: Read>(input: R, options: &Options) -> Result<Reading, XccdfError> {
    let input = input::unpacked(input).map_err(XccdfError::Io)?;
    let mut stream = Stream::new(input, options.max_bytes, MAX_MEMORY);
    let mut file = File {
        results: Vec::new(),
        benchmarks: Vec::new(),
        decided: HashMap::new(),
        rules: options.max_results,
        report: String::new(),
    };
    let Piece::Start(root) = stream.next()? else {
        return Err(stream.error("the document has no element"));
    };
    let is_known = match root.space {
        Space::Xccdf => matches!(root.name.as_str(), "Benchmark" | "TestResult"),
        Space::Arf => root.name == "asset-report-collection",
        _ => false,
    };
    if !is_known {
        return Err(XccdfError::Root(root.name.chars().take(80).collect()));
    }
    file.element(root, &mut stream)?;
    loop {
        match stream.next()? {
            Piece::Start(element) => file.element(element, &mut stream)?,
            Piece::End => {}
            Piece::Done => break,
        }
    }
    if file.results.is_empty() {
        return Err(XccdfError::NoResult);
    }
    convert::reports(&file.results, &file.benchmarks, &file.decided, options)
}

/// What was read of a file.
struct File {
    results: Vec<result::TestResult>,
    benchmarks: Vec<benchmark::Benchmark>,
    decided: convert::Decided,
    /// How many rule results may still come.
    rules: usize,
    /// The report of the ARF that is read.
    report: String,
}

impl File {
    /// Reads an element that was just entered, or leaves it for what is in it.
    fn element<R: Read>(
        &mut self,
        element: Element,
        stream: &mut Stream<R>,
    ) -> Result<(), XccdfError> {
        match (element.space, element.name.as_str()) {
            (Space::Xccdf, "Benchmark") => {
                if self.benchmarks.len() >= MAX_BENCHMARKS {
                    return Err(XccdfError::TooMany);
                }
                let (results, rules) = (&mut self.results, &mut self.rules);
                let benchmark = benchmark::read(&element, stream, &mut |start, id, stream| {
                    results.push(result::read(&start, id, rules, stream)?);
                    Ok(())
                })?;
                self.benchmarks.push(benchmark);
            }
            (Space::Xccdf, "TestResult") => {
                let result = result::read(&element, "", &mut self.rules, stream)?;
                self.results.push(result);
            }
            (Space::Arf, "report") => {
                let id = element.attribute("id").unwrap_or_default();
                self.report = id.chars().take(text::MAX_VALUE).collect();
            }
            (Space::Results, "oval_results") => {
                let definitions = self.wanted();
                if definitions.is_empty() {
                    return stream.skip();
                }
                let told = oval::read(&definitions, stream)?;
                for (definition, evidence) in told {
                    let key = (self.report.clone(), definition);
                    self.decided.insert(key, evidence);
                }
            }
            // Content beside the benchmark, and what else an ARF may hold.
            (Space::Definitions, _) | (Space::Characteristics, _) | (Space::Xccdf, _) => {
                stream.skip()?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The definitions in the report at hand that failed rules name.
    fn wanted(&self) -> HashSet<String> {
        let rules = self.results.iter().flat_map(|result| &result.rules);
        rules
            .filter(|rule| convert::wants_evidence(rule))
            .flat_map(|rule| &rule.checks)
            .filter(|(href, _)| href.strip_prefix('#').unwrap_or(href) == self.report)
            .filter_map(|(_, name)| name.clone())
            .collect()
    }
}

/// Whether bytes begin as results do. Packed files do not tell.
pub fn sniff(first: &[u8]) -> bool {
    let first = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first);
    let text = String::from_utf8_lossy(first.get(..4096).unwrap_or(first));
    let text = text.trim_start();
    text.starts_with('<')
        && (text.contains("http://checklists.nist.gov/xccdf/1.")
            || text.contains("http://scap.nist.gov/schema/asset-reporting-format/1."))
}

#[cfg(test)]
mod tests;
