//! A snapshot rendered for people and machines: terminal, JSON, SARIF, HTML, CSV, PolicyReport.
//!
//! **Invariant:** no queries, no clock; whoever calls gathers a [`Snapshot`] and gives the
//! time. Everything in it is taken as hostile text and escaped here, at the edge: control
//! and bidirectional characters for terminals, markup for HTML, formulas for CSV.

pub mod csv;
mod host;
pub mod html;
pub mod json;
pub mod policy_report;
pub mod sarif;
pub mod snapshot;
pub mod software;
pub mod terminal;
mod text;

pub use host::{GroupRow, HostSection};
pub use snapshot::{
    ControlRow, Counts, FrameworkSection, Row, Snapshot, Subject, UnknownRow, UnusedSuppression,
};

/// Why a report could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The place written to failed.
    #[error("the report could not be written: {0}")]
    Io(#[from] std::io::Error),
    /// A value has no JSON form. A fault of the program.
    #[error("the report has no JSON form: {0}")]
    Json(#[from] serde_json::Error),
    /// The page's template failed. A fault of the program.
    #[error("the page could not be made: {0}")]
    Template(String),
}

#[cfg(test)]
extern crate self as bartizan_report;

/// The made-up shop of the example, for the tests of each form.
#[cfg(test)]
#[path = "../examples/render/fixture.rs"]
mod fixture;

/// Text that tries to get out of each form, wherever text comes from outside.
#[cfg(test)]
pub(crate) const HOSTILE: &str =
    "</script><script>alert(1)</script>'\"&\u{1b}[2J\u{202e}\u{7}\r\n=cmd|' /C calc'!A0{{7*7}}";

/// A snapshot whose every text is [`HOSTILE`].
#[cfg(test)]
pub(crate) fn hostile() -> Snapshot {
    let mut snapshot = fixture::shop().unwrap();
    let bad = || HOSTILE.to_owned();
    snapshot.generator = bad();
    snapshot.notices = vec![bad()];
    snapshot.host = Some(HostSection {
        facts: vec![("system", bad())],
        scores: vec![(bad(), 12.5)],
        groups: vec![GroupRow {
            title: bad(),
            fail: 2,
            failing: vec![bad()],
            ..GroupRow::default()
        }],
    });
    for check in &mut snapshot.checks {
        check.title = bad();
        check.description = bad();
        check.remediation = bad();
        check.references = vec![
            "javascript:alert(1)".to_owned(),
            format!("https://example.org/{HOSTILE}"),
            "https://example.org/\"onclick=alert(1)".to_owned(),
        ];
    }
    for row in snapshot.failing.iter_mut().chain(&mut snapshot.suppressed) {
        row.finding.title = bad();
        row.finding.message = bad();
        row.finding.locus = bad();
        row.asset.kind = bad();
        row.asset.name = bad();
        row.asset.namespace = bad();
        if let Some(acceptance) = &mut row.finding.acceptance {
            acceptance.owner = bad();
            acceptance.reason = bad();
        }
        if let Some(location) = &mut row.location {
            location.file = bad();
        }
        for evidence in &mut row.evidence {
            evidence.path = bad();
            evidence.actual = Some(bad());
        }
    }
    for row in &mut snapshot.unknown {
        row.why = bad();
        row.subject.asset.name = bad();
    }
    for row in &mut snapshot.unused_suppressions {
        row.what = bad();
        row.reason = bad();
    }
    for framework in &mut snapshot.frameworks {
        framework.title = bad();
        framework.version = bad();
        for control in &mut framework.controls {
            control.id = bad();
            control.title = bad();
            control.group = bad();
            control.why = bad();
        }
    }
    snapshot
}
