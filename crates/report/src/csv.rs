//! Findings as CSV (RFC 4180), row by row.
//!
//! A cell that a spreadsheet would run as a formula (it begins with `=`, `+`, `-`, `@`, a tab
//! or a carriage return) gets an apostrophe before it. Names and messages come from scanned
//! files, so their authors must not reach the spreadsheet of whoever exports them.

use bartizan_model::{Asset, Finding};
use std::io::Write;

/// The media type.
pub const MEDIA_TYPE: &str = "text/csv; charset=utf-8; header=present";

/// The columns.
pub const COLUMNS: [&str; 19] = [
    "key",
    "scope",
    "severity",
    "status",
    "check",
    "title",
    "kind",
    "namespace",
    "name",
    "asset",
    "locus",
    "message",
    "file",
    "line",
    "first_seen",
    "changed",
    "acceptance_owner",
    "acceptance_reason",
    "acceptance_expires",
];

/// Writes findings as CSV.
#[derive(Debug)]
pub struct CsvWriter<W: Write> {
    inner: W,
}

impl<W: Write> CsvWriter<W> {
    /// Begins with the line of column names.
    pub fn new(mut inner: W) -> std::io::Result<Self> {
        record(&mut inner, &COLUMNS)?;
        Ok(Self { inner })
    }

    /// Writes a finding.
    pub fn row(
        &mut self,
        finding: &Finding,
        asset: &Asset,
        location: Option<&bartizan_model::Location>,
    ) -> std::io::Result<()> {
        let acceptance = finding.acceptance.as_ref();
        record(
            &mut self.inner,
            &[
                finding.key.as_str(),
                finding.scope.as_str(),
                finding.severity.word(),
                finding.status.word(),
                finding.check.as_str(),
                &finding.title,
                &asset.kind,
                &asset.namespace,
                &asset.name,
                finding.asset.as_str(),
                &finding.locus,
                &finding.message,
                location.map_or("", |l| &l.file),
                &location.map_or_else(String::new, |l| l.line.to_string()),
                &finding.first_seen.to_string(),
                &finding.changed.to_string(),
                acceptance.map_or("", |a| &a.owner),
                acceptance.map_or("", |a| &a.reason),
                &acceptance
                    .and_then(|a| a.expires)
                    .map_or_else(String::new, |e| e.to_string()),
            ],
        )
    }

    /// What was written to, flushed.
    pub fn finish(mut self) -> std::io::Result<W> {
        self.inner.flush()?;
        Ok(self.inner)
    }

    /// What is written to, so that a stream can be drained between rows.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.inner
    }
}

fn record<W: Write>(out: &mut W, cells: &[&str]) -> std::io::Result<()> {
    for (at, cell) in cells.iter().enumerate() {
        if at > 0 {
            out.write_all(b",")?;
        }
        out.write_all(quoted(cell).as_bytes())?;
    }
    out.write_all(b"\r\n")
}

fn quoted(cell: &str) -> String {
    let cell = cell.replace('\0', "");
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n'])
        || cell.trim_start().starts_with(['=', '+', '-', '@']);
    let guard = if formula { "'" } else { "" };
    if formula || cell.contains(['"', ',', '\r', '\n']) || cell.trim() != cell {
        format!("\"{guard}{}\"", cell.replace('"', "\"\""))
    } else {
        cell
    }
}
