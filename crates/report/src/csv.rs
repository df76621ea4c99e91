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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixture, hostile};
    use proptest::prelude::*;

    fn text(snapshot: &crate::Snapshot) -> String {
        let mut writer = CsvWriter::new(Vec::new()).unwrap();
        for row in snapshot.failing.iter().chain(&snapshot.suppressed) {
            writer
                .row(&row.finding, &row.asset, row.location.as_ref())
                .unwrap();
        }
        String::from_utf8(writer.finish().unwrap()).unwrap()
    }

    /// Reads RFC 4180.
    fn parse(text: &str) -> Vec<Vec<String>> {
        let mut rows = vec![vec![String::new()]];
        let mut quoted = false;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let row = rows.last_mut().unwrap();
            match c {
                '"' if quoted && chars.peek() == Some(&'"') => {
                    chars.next();
                    row.last_mut().unwrap().push('"');
                }
                '"' => quoted = !quoted,
                ',' if !quoted => row.push(String::new()),
                '\r' if !quoted && chars.peek() == Some(&'\n') => {
                    chars.next();
                    rows.push(vec![String::new()]);
                }
                c => row.last_mut().unwrap().push(c),
            }
        }
        rows.pop();
        rows
    }

    #[test]
    fn rows_are_the_findings() {
        let text = text(&fixture::shop().unwrap());
        let lines: Vec<&str> = text.lines().take(2).collect();
        insta::assert_snapshot!(lines.join("\n"), @r##"
key,scope,severity,status,check,title,kind,namespace,name,asset,locus,message,file,line,first_seen,changed,acceptance_owner,acceptance_reason,acceptance_expires
f1-13812966f143131106523d0a1c4773b6c4b2cc49,cluster:prod-eu-1,critical,open,rego/bartizan/k8spspprivileged,Containers do not run privileged,Deployment,platform,ingress,cluster:prod-eu-1/apps/Deployment/platform/ingress,container:nginx,container nginx: securityContext.privileged is not as it should be,shop/ingress.yaml,12,2026-11-21T09:30:12Z,2026-11-21T09:30:12Z,,,
"##);
        let rows = parse(&text);
        assert_eq!(rows.len(), 28);
        assert!(rows.iter().all(|row| row.len() == COLUMNS.len()));
    }

    #[test]
    fn hostile_cells_are_text() {
        for row in parse(&text(&hostile())) {
            assert_eq!(row.len(), COLUMNS.len());
        }
    }

    proptest! {
        #[test]
        fn no_cell_is_a_formula_and_none_is_lost(cells in proptest::collection::vec("[=+@,\"\\-'\t\r\n a-c]{0,6}", 1..5)) {
            let mut out = Vec::new();
            let refs: Vec<&str> = cells.iter().map(String::as_str).collect();
            record(&mut out, &refs).unwrap();
            let rows = parse(&String::from_utf8(out).unwrap());
            prop_assert_eq!(rows.len(), 1);
            for (got, cell) in rows[0].iter().zip(&cells) {
                prop_assert!(!got.trim_start().starts_with(['=', '+', '-', '@']));
                let guarded = format!("'{cell}");
                prop_assert!(got == cell || *got == guarded);
            }
            prop_assert_eq!(rows[0].len(), cells.len());
        }
    }
}
