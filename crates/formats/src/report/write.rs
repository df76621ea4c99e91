//! Writing a report, line by line.

use super::Section;
use bartizan_model::report::{FORMAT, Header, Report, Trailer, VERSION};
use bartizan_model::{Check, CheckResult, Observation, Scan};
use serde::Serialize;
use std::io::Write;

/// Why a line could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The place written to failed.
    #[error("the report could not be written: {0}")]
    Io(#[from] std::io::Error),
    /// A value has no JSON form. A fault of the program.
    #[error("{what} cannot be written as JSON: {source}")]
    Json {
        /// Which kind of line.
        what: &'static str,
        /// Why not.
        source: serde_json::Error,
    },
    /// Lines must come in the order checks, observations, results. A fault of the caller.
    #[error("{got} cannot follow {after} in a report")]
    Order {
        /// What was to be written.
        got: &'static str,
        /// What was written before.
        after: &'static str,
    },
    /// The line would be refused by every reader. Nothing was written; the caller may leave
    /// the line out and go on.
    #[error("{what} takes {length} bytes, more than the {limit} of a report line")]
    TooLong {
        /// Which kind of line.
        what: &'static str,
        /// Its length.
        length: usize,
        /// The longest allowed.
        limit: usize,
    },
}

/// Writes a report and counts what it writes.
///
/// A report is whole only after [`ReportWriter::finish`]. Dropping the writer earlier leaves
/// a report that every reader refuses as cut off, which is the intention.
#[derive(Debug)]
pub struct ReportWriter<W: Write> {
    inner: W,
    line: Vec<u8>,
    section: Section,
    counts: Trailer,
    max_line: usize,
}

impl<W: Write> ReportWriter<W> {
    /// Begins a report on `inner` (buffer it) by writing the header.
    pub fn new(inner: W, scan: &Scan) -> Result<Self, WriteError> {
        let mut writer = Self {
            inner,
            line: Vec::with_capacity(1024),
            section: Section::Header,
            counts: Trailer::default(),
            max_line: super::Limits::default().max_line,
        };
        let header = Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            scan: scan.clone(),
        };
        writer.line(Section::Header, "header", &header)?;
        Ok(writer)
    }

    /// Writes a check.
    pub fn check(&mut self, check: &Check) -> Result<(), WriteError> {
        self.line(Section::Checks, "check", check)?;
        self.counts.checks += 1;
        Ok(())
    }

    /// Writes an observation.
    pub fn observation(&mut self, observation: &Observation) -> Result<(), WriteError> {
        self.line(Section::Observations, "observation", observation)?;
        self.counts.observations += 1;
        Ok(())
    }

    /// Writes a result.
    pub fn result(&mut self, result: &CheckResult) -> Result<(), WriteError> {
        self.line(Section::Results, "result", result)?;
        self.counts.results += 1;
        Ok(())
    }

    /// What has been written so far.
    pub fn counts(&self) -> Trailer {
        self.counts
    }

    /// Writes the trailer and flushes; gives back what was written to, and the counts.
    pub fn finish(mut self) -> Result<(W, Trailer), WriteError> {
        let counts = self.counts;
        self.line(Section::Trailer, "trailer", &counts)?;
        self.inner.flush()?;
        Ok((self.inner, counts))
    }

    fn line<T: Serialize>(
        &mut self,
        section: Section,
        word: &'static str,
        value: &T,
    ) -> Result<(), WriteError> {
        if section < self.section {
            return Err(WriteError::Order {
                got: section.line(),
                after: self.section.line(),
            });
        }
        self.line.clear();
        self.line.extend_from_slice(b"{\"");
        self.line.extend_from_slice(word.as_bytes());
        self.line.extend_from_slice(b"\":");
        serde_json::to_writer(&mut self.line, value).map_err(|source| WriteError::Json {
            what: section.line(),
            source,
        })?;
        self.line.extend_from_slice(b"}\n");
        if self.line.len() > self.max_line {
            return Err(WriteError::TooLong {
                what: section.line(),
                length: self.line.len(),
                limit: self.max_line,
            });
        }
        replace_nul(&mut self.line);
        self.inner.write_all(&self.line)?;
        self.section = section;
        Ok(())
    }
}

/// Writes `\ufffd` for each `\u0000`, in place: a NUL in one scanned file must not make the
/// whole report unreadable.
fn replace_nul(line: &mut [u8]) {
    while let Some(at) = std::str::from_utf8(line)
        .ok()
        .and_then(super::read::escaped_nul)
    {
        match line.get_mut(at + 2..at + 6) {
            Some(digits) => digits.copy_from_slice(b"fffd"),
            None => return,
        }
    }
}

/// Writes a whole report that is in memory.
pub fn write_report<W: Write>(inner: W, report: &Report) -> Result<(W, Trailer), WriteError> {
    let mut writer = ReportWriter::new(inner, &report.scan)?;
    for check in &report.checks {
        writer.check(check)?;
    }
    for observation in &report.observations {
        writer.observation(observation)?;
    }
    for result in &report.results {
        writer.result(result)?;
    }
    writer.finish()
}
