//! Our own report: JSON, one object a line, read and written as a stream.
//!
//! The lines and their order are [`bartizan_model::report`]. What this module adds:
//!
//! - **Bounds.** A line longer than [`Limits::max_line`], or more lines than
//!   [`Limits::max_lines`], is refused; JSON nests at most 128 deep.
//! - **Strictness.** Header first, then checks, observations, results, one trailer whose
//!   counts agree, nothing after it. A report without trailer was cut off. A blank line, a
//!   byte that is not UTF-8, a NUL (also as `\u0000`, which PostgreSQL cannot store) are
//!   refused, each with its line number.
//! - **Forward compatibility.** Members that this version does not know are passed over, so
//!   that a minor addition needs no new version. An unknown kind of line or another
//!   version is refused: passing facts over in silence would make a report say less than
//!   it does.
//! - **Resumption.** [`ReportReader::skip_results`] passes over what an interrupted import
//!   has committed without parsing it; the trailer's counts are still checked.

mod read;
mod write;

pub use bartizan_model::report::{FORMAT, MEDIA_TYPE, VERSION};
pub use read::{Limits, Position, ReadError, ReadFault, ReportReader, read_report};
pub use write::{ReportWriter, WriteError, write_report};

/// The kinds of line, in the order in which they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// The first line.
    Header,
    /// Checks that took part.
    Checks,
    /// Facts.
    Observations,
    /// Verdicts.
    Results,
    /// The last line.
    Trailer,
}

impl Section {
    /// A line of this section, as words for messages.
    pub fn line(self) -> &'static str {
        match self {
            Self::Header => "the header",
            Self::Checks => "a check",
            Self::Observations => "an observation",
            Self::Results => "a result",
            Self::Trailer => "the trailer",
        }
    }
}

/// Whether bytes begin as a report does.
pub fn sniff(first: &[u8]) -> bool {
    let text = String::from_utf8_lossy(first.get(..512).unwrap_or(first));
    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    compact.starts_with(r#"{"header":{"#)
}

#[cfg(test)]
mod tests;
