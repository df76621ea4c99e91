//! Reading a report as a bounded stream of lines.

use super::Section;
use bartizan_model::report::{FORMAT, Header, Line, Report, Trailer, VERSION};
use bartizan_model::{Check, CheckResult, Observation, Scan};
use serde::Deserialize;
use std::io::{BufRead, Read};

/// How much a reader takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest line in bytes, its line feed included.
    pub max_line: usize,
    /// The most lines, header and trailer included.
    pub max_lines: u64,
}

impl Default for Limits {
    /// Lines of 4 MiB (a Kubernetes object is at most 1.5), 20 million of them.
    fn default() -> Self {
        Self {
            max_line: 4 << 20,
            max_lines: 20_000_000,
        }
    }
}

/// Why a report cannot be read further, and where.
#[derive(Debug, thiserror::Error)]
#[error("report line {line}: {fault}")]
pub struct ReadError {
    /// The line, from 1.
    pub line: u64,
    /// What is wrong.
    pub fault: ReadFault,
}

/// What is wrong with a line. All but [`ReadFault::Io`] are faults of whoever made or sent
/// the report.
#[derive(Debug, thiserror::Error)]
pub enum ReadFault {
    /// A line after the trailer.
    #[error("there is more after the trailer, which must be the last line")]
    AfterTrailer,
    /// A blank line.
    #[error("the line is blank")]
    Blank,
    /// The trailer's counts disagree with the lines.
    #[error("the trailer counts {said} {what}, but {counted} were read; the report is damaged")]
    Count {
        /// Which lines.
        what: &'static str,
        /// The trailer's count.
        said: u64,
        /// The reader's count.
        counted: u64,
    },
    /// The input ends without a trailer.
    #[error("the report ends without its trailer, so it was cut off; send it again whole")]
    CutOff,
    /// A second header.
    #[error("a second header; a report holds one scan")]
    DuplicateHeader,
    /// There is not one byte.
    #[error("the input is empty")]
    Empty,
    /// The header names another format.
    #[error("the format is {0:?}; this reader reads {FORMAT:?}")]
    Format(String),
    /// The input could not be read: a fault of the disk or the connection, not of the report.
    #[error("the input could not be read: {0}")]
    Io(std::io::Error),
    /// Not JSON, or not the members that the line needs.
    #[error("{why} (column {column})")]
    Json {
        /// What is wrong.
        why: String,
        /// Where, from 1.
        column: usize,
    },
    /// The first line is not a header.
    #[error("the first line must be the header, {{\"header\":{{…}}}}")]
    NoHeader,
    /// A byte that is not UTF-8.
    #[error("byte {0} of the line is not UTF-8")]
    NotUtf8(usize),
    /// A NUL character.
    #[error("the line holds a NUL character, which cannot be stored")]
    Nul,
    /// A line in the wrong place.
    #[error(
        "{got} cannot follow {after}; the order is header, checks, observations, results, trailer"
    )]
    Order {
        /// What stands there.
        got: &'static str,
        /// What stands before it.
        after: &'static str,
    },
    /// The report ends before the place that an earlier reading of it had reached.
    #[error("the report is shorter than the part of it that was read before")]
    Shorter,
    /// A line over the limit.
    #[error("the line is longer than {0} bytes")]
    TooLong(usize),
    /// More lines than the limit.
    #[error("the report has more than {0} lines; split the scan into several scopes")]
    TooMany(u64),
    /// A kind of line that this version does not know.
    #[error(
        "the line is of no known kind; version {VERSION} has header, check, observation, result and trailer"
    )]
    UnknownKind,
    /// A version that this reader does not read.
    #[error("the report has version {0}; this build reads version {VERSION}")]
    Version(u64),
}

impl ReadFault {
    /// Whether the bytes themselves are at fault, so that trying again cannot help.
    pub fn is_senders(&self) -> bool {
        !matches!(self, Self::Io(_))
    }
}

/// How far a reader has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// Lines read, the header included.
    pub lines: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Lines read by kind, as a trailer counts them.
    pub counts: Trailer,
}

/// Reads a report line by line; an iterator over line number and line, without the header.
///
/// After an error or the trailer the iterator ends. When it ends without an error the report
/// was whole: header, every line, and a trailer whose counts agree.
#[derive(Debug)]
pub struct ReportReader<R: BufRead> {
    lines: Lines<R>,
    section: Section,
    scan: Scan,
    ended: bool,
}

impl<R: BufRead> ReportReader<R> {
    /// Begins to read: takes and checks the header.
    pub fn open(inner: R, limits: Limits) -> Result<Self, ReadError> {
        let mut lines = Lines {
            inner,
            limits,
            buffer: Vec::with_capacity(4096),
            position: Position::default(),
        };
        let scan = match lines.next() {
            Ok(Some(text)) => header(text),
            Ok(None) => Err(ReadFault::Empty),
            Err(fault) => Err(fault),
        };
        Ok(Self {
            scan: scan.map_err(|fault| ReadError { line: 1, fault })?,
            lines,
            section: Section::Header,
            ended: false,
        })
    }

    /// The run that the report is of.
    pub fn header(&self) -> &Scan {
        &self.scan
    }

    /// How far the reader has come.
    pub fn position(&self) -> Position {
        self.lines.position
    }

    /// Passes over lines until `results` results have gone by in all, the checks and
    /// observations before them included, without parsing them. Nothing happens when that
    /// many have gone by already. A report that has fewer is an error, as whoever counted
    /// them read another report.
    pub fn skip_results(&mut self, results: u64) -> Result<(), ReadError> {
        self.skip(|position| position.counts.results >= results)
    }

    /// Passes over lines until `lines` lines, the header included, have gone by in all,
    /// without parsing them; for a cursor that is [`Position::lines`].
    pub fn skip_lines(&mut self, lines: u64) -> Result<(), ReadError> {
        self.skip(|position| position.lines >= lines)
    }

    fn skip(&mut self, enough: impl Fn(&Position) -> bool) -> Result<(), ReadError> {
        while !self.ended && !enough(&self.lines.position) {
            let passed = match self.lines.next() {
                Ok(None) => Err(ReadFault::CutOff),
                Ok(Some(text)) => match kind(text) {
                    Some(Section::Trailer) => Err(ReadFault::Shorter),
                    Some(section) => follow(self.section, section),
                    None => Err(ReadFault::UnknownKind),
                },
                Err(fault) => Err(fault),
            };
            match passed {
                Ok(section) => {
                    self.section = section;
                    self.lines.count(section);
                }
                Err(fault) => return Err(self.fail(fault)),
            }
        }
        Ok(())
    }

    fn fail(&mut self, fault: ReadFault) -> ReadError {
        self.ended = true;
        // The line at fault is the one that could not be finished, or the one just read.
        let unread = matches!(
            fault,
            ReadFault::CutOff | ReadFault::TooLong(_) | ReadFault::TooMany(_) | ReadFault::Io(_)
        );
        ReadError {
            line: self.lines.position.lines + u64::from(unread),
            fault,
        }
    }

    fn advance(&mut self) -> Result<Line, ReadFault> {
        let Some(text) = self.lines.next()? else {
            return Err(ReadFault::CutOff);
        };
        let found = kind(text).ok_or(ReadFault::UnknownKind)?;
        let section = follow(self.section, found)?;
        let line = match parse::<LineIn>(text)? {
            LineIn::Header {} => return Err(ReadFault::DuplicateHeader),
            LineIn::Check(check) => Line::Check(check),
            LineIn::Observation(observation) => Line::Observation(observation),
            LineIn::Result(result) => Line::Result(result),
            LineIn::Trailer(trailer) => Line::Trailer(trailer),
        };
        self.section = section;
        self.lines.count(section);
        if let Line::Trailer(said) = &line {
            agree(said, &self.lines.position.counts)?;
            if self.lines.next()?.is_some() {
                return Err(ReadFault::AfterTrailer);
            }
            self.ended = true;
        }
        Ok(line)
    }
}

impl<R: BufRead> Iterator for ReportReader<R> {
    type Item = Result<(u64, Line), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        Some(match self.advance() {
            Ok(line) => Ok((self.lines.position.lines, line)),
            Err(fault) => Err(self.fail(fault)),
        })
    }
}

/// Reads a whole report into memory; for reports whose size is bounded otherwise.
pub fn read_report<R: BufRead>(inner: R, limits: Limits) -> Result<Report, ReadError> {
    let reader = ReportReader::open(inner, limits)?;
    let mut report = Report {
        scan: reader.header().clone(),
        checks: Vec::new(),
        observations: Vec::new(),
        results: Vec::new(),
    };
    for line in reader {
        match line?.1 {
            Line::Check(check) => report.checks.push(check),
            Line::Observation(observation) => report.observations.push(observation),
            Line::Result(result) => report.results.push(result),
            Line::Header(_) | Line::Trailer(_) => {}
        }
    }
    Ok(report)
}

/// A line after the first as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum LineIn {
    Header {},
    Check(Check),
    Observation(Observation),
    Result(CheckResult),
    Trailer(Trailer),
}

/// Only what tells whether the rest of a header can be understood.
#[derive(Deserialize)]
struct HeaderProbe {
    header: VersionProbe,
}

#[derive(Deserialize)]
struct VersionProbe {
    format: String,
    version: u64,
}

#[derive(Deserialize)]
struct HeaderIn {
    header: Header,
}

fn header(text: &str) -> Result<Scan, ReadFault> {
    if kind(text) != Some(Section::Header) {
        return Err(ReadFault::NoHeader);
    }
    let probe = parse::<HeaderProbe>(text)?.header;
    if probe.format != FORMAT {
        return Err(ReadFault::Format(probe.format.chars().take(80).collect()));
    }
    if probe.version != u64::from(VERSION) {
        return Err(ReadFault::Version(probe.version));
    }
    Ok(parse::<HeaderIn>(text)?.header.scan)
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, ReadFault> {
    serde_json::from_str(text).map_err(|error| {
        let full = error.to_string();
        let why = full.rsplit_once(" at line ").map_or(&*full, |(why, _)| why);
        ReadFault::Json {
            why: why.chars().take(300).collect(),
            column: error.column(),
        }
    })
}

/// The section of a line, told from its first member's name alone.
fn kind(text: &str) -> Option<Section> {
    let rest = text.trim_start().strip_prefix('{')?.trim_start();
    let (word, _) = rest.strip_prefix('"')?.split_once('"')?;
    Some(match word {
        "header" => Section::Header,
        "check" => Section::Checks,
        "observation" => Section::Observations,
        "result" => Section::Results,
        "trailer" => Section::Trailer,
        _ => return None,
    })
}

/// The section after a line of section `found`, if it may stand there.
fn follow(at: Section, found: Section) -> Result<Section, ReadFault> {
    match found {
        Section::Header => Err(ReadFault::DuplicateHeader),
        _ if found >= at => Ok(found),
        _ => Err(ReadFault::Order {
            got: found.line(),
            after: at.line(),
        }),
    }
}

fn agree(said: &Trailer, counted: &Trailer) -> Result<(), ReadFault> {
    for (what, said, counted) in [
        ("checks", said.checks, counted.checks),
        ("observations", said.observations, counted.observations),
        ("results", said.results, counted.results),
    ] {
        if said != counted {
            return Err(ReadFault::Count {
                what,
                said,
                counted,
            });
        }
    }
    Ok(())
}

/// The place of the backslash of an escaped NUL, `\u0000`, if there is one.
pub(super) fn escaped_nul(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    text.match_indices("\\u0000").map(|(at, _)| at).find(|&at| {
        // An even run of backslashes before it: it is not itself escaped.
        let before = bytes.get(..at).unwrap_or_default();
        let run = before.iter().rev().take_while(|b| **b == b'\\').count();
        run.is_multiple_of(2)
    })
}

/// The bounded lines of the input.
#[derive(Debug)]
struct Lines<R> {
    inner: R,
    limits: Limits,
    buffer: Vec<u8>,
    position: Position,
}

impl<R: BufRead> Lines<R> {
    /// The next line without its line feed, or none at the end.
    fn next(&mut self) -> Result<Option<&str>, ReadFault> {
        self.buffer.clear();
        let most = self.limits.max_line as u64;
        let got = (&mut self.inner)
            .take(most.saturating_add(1))
            .read_until(b'\n', &mut self.buffer)
            .map_err(ReadFault::Io)?;
        if got == 0 {
            return Ok(None);
        }
        if got as u64 > most {
            return Err(ReadFault::TooLong(self.limits.max_line));
        }
        if self.position.lines >= self.limits.max_lines {
            return Err(ReadFault::TooMany(self.limits.max_lines));
        }
        self.position.lines += 1;
        self.position.bytes += got as u64;
        let text = std::str::from_utf8(&self.buffer)
            .map_err(|error| ReadFault::NotUtf8(error.valid_up_to() + 1))?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        if text.trim_ascii().is_empty() {
            return Err(ReadFault::Blank);
        }
        if text.contains('\0') || escaped_nul(text).is_some() {
            return Err(ReadFault::Nul);
        }
        Ok(Some(text))
    }

    fn count(&mut self, section: Section) {
        let counts = &mut self.position.counts;
        match section {
            Section::Checks => counts.checks += 1,
            Section::Observations => counts.observations += 1,
            Section::Results => counts.results += 1,
            Section::Header | Section::Trailer => {}
        }
    }
}
