//! A report as JSON. The form is stable: members may be added within version 1, none is
//! renamed or removed.
//!
//! ```text
//! format       "bartizan.snapshot"
//! version      1
//! generator, generated, scope
//! scan         the scan as in a report's header, or null
//! summary      assets, pass, fail, not_applicable, unknown,
//!              failing {critical, high, medium, low, info}, suppressed, unused_suppressions
//! frameworks   [{id, title, version, score, coverage, counts, controls: [{id, title, group,
//!              status, why, checks}]}]; score and coverage in percent or null
//! checks       [{uid, title, description, severity, remediation, references}]
//! findings     [{key, check, severity, status, title, message, asset, locus, location,
//!              evidence, first_seen, changed, acceptance}]
//! suppressed   the same
//! unknown      [{check, asset, locus, location, why}]
//! host         null, or {facts {name: text}, scores [{model, percent}], groups [{title, pass,
//!              fail, unknown, not_applicable, failing [check]}]}
//! unused_suppressions [{by, what, reason, location}]
//! notices      [text]
//! ```

use crate::{
    ControlRow, GroupRow, HostSection, RenderError, Row, Snapshot, UnknownRow, UnusedSuppression,
};
use bartizan_model::framework::Score;
use bartizan_model::{
    Acceptance, Asset, Check, CheckUid, ControlStatus, Evidence, FindingKey, FindingStatus,
    Location, Scan, ScopeId, Severity, Timestamp,
};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;

/// The media type.
pub const MEDIA_TYPE: &str = "application/json";

/// The value of `version`.
pub const VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    format: &'static str,
    version: u32,
    generator: &'a str,
    generated: Timestamp,
    scope: &'a ScopeId,
    scan: Option<&'a Scan>,
    summary: Summary,
    frameworks: Vec<Framework<'a>>,
    checks: &'a [Check],
    findings: Vec<Finding<'a>>,
    suppressed: Vec<Finding<'a>>,
    unknown: Vec<Unknown<'a>>,
    unused_suppressions: Vec<Unused<'a>>,
    host: Option<Host<'a>>,
    notices: &'a [String],
}

#[derive(Serialize)]
struct Host<'a> {
    facts: BTreeMap<&'static str, &'a str>,
    scores: Vec<HostScore<'a>>,
    groups: &'a [GroupRow],
}

#[derive(Serialize)]
struct HostScore<'a> {
    model: &'a str,
    percent: f64,
}

#[derive(Serialize)]
struct Summary {
    assets: u64,
    pass: u64,
    fail: u64,
    not_applicable: u64,
    unknown: u64,
    failing: BTreeMap<&'static str, u64>,
    suppressed: usize,
    unused_suppressions: usize,
}

#[derive(Serialize)]
struct Framework<'a> {
    id: &'a str,
    title: &'a str,
    version: &'a str,
    score: Option<f64>,
    coverage: Option<f64>,
    counts: Score,
    controls: Vec<Control<'a>>,
}

#[derive(Serialize)]
struct Control<'a> {
    id: &'a str,
    title: &'a str,
    group: &'a str,
    status: ControlStatus,
    why: &'a str,
    checks: &'a [CheckUid],
}

#[derive(Serialize)]
struct Finding<'a> {
    key: &'a FindingKey,
    check: &'a CheckUid,
    severity: Severity,
    status: FindingStatus,
    title: &'a str,
    message: &'a str,
    asset: &'a Asset,
    locus: &'a str,
    location: Option<&'a Location>,
    evidence: &'a [Evidence],
    first_seen: Timestamp,
    changed: Timestamp,
    acceptance: Option<&'a Acceptance>,
}

#[derive(Serialize)]
struct Unknown<'a> {
    check: &'a CheckUid,
    asset: &'a Asset,
    locus: &'a str,
    location: Option<&'a Location>,
    why: &'a str,
}

#[derive(Serialize)]
struct Unused<'a> {
    by: &'a str,
    what: &'a str,
    reason: &'a str,
    location: Option<&'a Location>,
}

/// Writes a snapshot as JSON, indented.
pub fn write<W: Write>(snapshot: &Snapshot, mut out: W) -> Result<(), RenderError> {
    let document = Document {
        format: "bartizan.snapshot",
        version: VERSION,
        generator: &snapshot.generator,
        generated: snapshot.generated,
        scope: &snapshot.scope,
        scan: snapshot.scan.as_ref(),
        summary: Summary {
            assets: snapshot.counts.assets,
            pass: snapshot.counts.pass,
            fail: snapshot.counts.fail,
            not_applicable: snapshot.counts.not_applicable,
            unknown: snapshot.counts.unknown,
            failing: snapshot
                .by_severity()
                .into_iter()
                .map(|(severity, n)| (severity.word(), n))
                .collect(),
            suppressed: snapshot.suppressed.len(),
            unused_suppressions: snapshot.unused_suppressions.len(),
        },
        frameworks: snapshot.frameworks.iter().map(framework).collect(),
        checks: &snapshot.checks,
        findings: snapshot.failing.iter().map(finding).collect(),
        suppressed: snapshot.suppressed.iter().map(finding).collect(),
        unknown: snapshot.unknown.iter().map(unknown).collect(),
        unused_suppressions: snapshot.unused_suppressions.iter().map(unused).collect(),
        host: snapshot.host.as_ref().map(host),
        notices: &snapshot.notices,
    };
    serde_json::to_writer_pretty(&mut out, &document)?;
    out.write_all(b"\n")?;
    Ok(())
}

fn host(section: &HostSection) -> Host<'_> {
    let facts = section.facts.iter();
    let scores = section.scores.iter();
    Host {
        facts: facts.map(|(name, text)| (*name, text.as_str())).collect(),
        scores: scores
            .map(|(model, percent)| HostScore {
                model,
                percent: *percent,
            })
            .collect(),
        groups: &section.groups,
    }
}

fn framework(section: &crate::FrameworkSection) -> Framework<'_> {
    Framework {
        id: &section.id,
        title: &section.title,
        version: &section.version,
        score: section.counts.percent(),
        coverage: section.counts.coverage(),
        counts: section.counts,
        controls: section.controls.iter().map(control).collect(),
    }
}

fn control(row: &ControlRow) -> Control<'_> {
    Control {
        id: &row.id,
        title: &row.title,
        group: &row.group,
        status: row.status,
        why: &row.why,
        checks: &row.checks,
    }
}

fn finding(row: &Row) -> Finding<'_> {
    let of = &row.finding;
    Finding {
        key: &of.key,
        check: &of.check,
        severity: of.severity,
        status: of.status,
        title: &of.title,
        message: &of.message,
        asset: &row.asset,
        locus: &of.locus,
        location: row.location.as_ref(),
        evidence: &row.evidence,
        first_seen: of.first_seen,
        changed: of.changed,
        acceptance: of.acceptance.as_ref(),
    }
}

fn unknown(row: &UnknownRow) -> Unknown<'_> {
    Unknown {
        check: &row.subject.check,
        asset: &row.subject.asset,
        locus: &row.subject.locus,
        location: row.subject.location.as_ref(),
        why: &row.why,
    }
}

fn unused(of: &UnusedSuppression) -> Unused<'_> {
    Unused {
        by: &of.by,
        what: &of.what,
        reason: &of.reason,
        location: of.location.as_ref(),
    }
}

#[cfg(test)]
mod tests;
