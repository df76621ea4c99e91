//! What the page shows, as strings and numbers that are ready to be shown.

mod host;

use self::host::{Host, Unknowns};
use super::Options;
use crate::text::{self, clean, clean_block};
use crate::{ControlRow, FrameworkSection, Row, Snapshot, Subject};
use bartizan_model::framework::Score;
use bartizan_model::{CheckUid, ControlStatus, FindingStatus, Severity};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
pub(super) struct Page {
    css: &'static str,
    scope: String,
    generator: String,
    generated: String,
    scan: Option<Scan>,
    notices: Vec<String>,
    /// The one sentence on top.
    verdict: String,
    /// `bad`, `warn`, `good` or `none`, the colour of the verdict.
    mood: &'static str,
    counts: Vec<(&'static str, u64, &'static str)>,
    severities: Vec<SeverityTile>,
    frameworks: Vec<Framework>,
    groups: Vec<Group>,
    findings: usize,
    findings_left_out: usize,
    host: Option<Host>,
    not_assessed: Vec<String>,
    unknown: Unknowns,
    suppressed: Listed<SuppressedItem>,
    unused: Vec<Unused>,
}

#[derive(Serialize)]
struct Scan {
    id: String,
    source: String,
    finished: String,
    complete: bool,
    content: Vec<(String, String)>,
}

#[derive(Serialize)]
struct SeverityTile {
    word: &'static str,
    count: u64,
    /// Share of the bar, in hundredths of its length, and where it begins.
    from: f64,
    length: f64,
}

#[derive(Serialize)]
struct Framework {
    id: String,
    title: String,
    version: String,
    score: String,
    judged: bool,
    /// The length of the ring's arc, of 100.
    arc: f64,
    mood: &'static str,
    coverage: String,
    coverage_length: f64,
    counts: Vec<(&'static str, &'static str, u32)>,
    bar: Vec<Segment>,
    controls: Vec<Control>,
}

#[derive(Serialize)]
struct Segment {
    class: &'static str,
    from: f64,
    length: f64,
}

#[derive(Serialize)]
struct Control {
    id: String,
    title: String,
    group: Option<String>,
    class: &'static str,
    word: &'static str,
    why: String,
}

/// The failing findings of one check at one severity.
#[derive(Serialize)]
struct Group {
    severity: &'static str,
    title: String,
    check: String,
    description: String,
    /// Whether it is code, and the text.
    remediation: Vec<(bool, String)>,
    references: Vec<String>,
    open: bool,
    count: usize,
    rows: Vec<Item>,
}

#[derive(Serialize)]
struct Item {
    kind: String,
    name: String,
    locus: String,
    place: String,
    message: String,
    reopened: bool,
    first_seen: String,
    key: String,
    evidence: Vec<Value>,
}

#[derive(Serialize)]
struct Value {
    path: String,
    actual: Option<String>,
    expected: Option<String>,
}

#[derive(Serialize)]
struct SuppressedItem {
    severity: &'static str,
    title: String,
    kind: String,
    name: String,
    locus: String,
    place: String,
    state: &'static str,
    reason: String,
    owner: String,
    expires: String,
}

#[derive(Serialize)]
struct Unused {
    by: String,
    what: String,
    reason: String,
    place: String,
}

#[derive(Serialize)]
struct Listed<T> {
    all: usize,
    left_out: usize,
    rows: Vec<T>,
}

impl<T> Listed<T> {
    fn of<S>(rows: &[S], most: usize, item: impl Fn(&S) -> T) -> Self {
        Self {
            all: rows.len(),
            left_out: rows.len().saturating_sub(most),
            rows: rows.iter().take(most).map(item).collect(),
        }
    }
}

pub(super) fn page(snapshot: &Snapshot, options: &Options) -> Page {
    let most = options.max_findings;
    let counts = &snapshot.counts;
    let (verdict, mood) = verdict(snapshot);
    Page {
        css: include_str!("style.css"),
        scope: clean(snapshot.scope.as_str()),
        generator: clean(&snapshot.generator),
        generated: text::minute(snapshot.generated),
        scan: snapshot.scan.as_ref().map(|scan| Scan {
            id: clean(scan.id.as_str()),
            source: clean(&format!("{} {}", scan.source, scan.source_version)),
            finished: text::minute(scan.finished),
            complete: scan.complete,
            content: scan
                .content
                .iter()
                .map(|c| (clean(&c.name), clean(c.digest.as_str())))
                .collect(),
        }),
        notices: snapshot.notices.iter().map(|n| clean(n)).collect(),
        verdict,
        mood,
        counts: vec![
            ("objects", counts.assets, "objects"),
            ("pass", counts.pass, "pass"),
            ("fail", counts.fail, "fail"),
            ("unknown", counts.unknown, "unknown"),
            ("not applicable", counts.not_applicable, "na"),
        ],
        severities: severities(snapshot),
        frameworks: snapshot
            .frameworks
            .iter()
            .filter(|section| is_touched(section))
            .map(framework)
            .collect(),
        not_assessed: snapshot
            .frameworks
            .iter()
            .filter(|section| !is_touched(section))
            .map(|section| clean(&format!("{} {}", section.title, section.version)))
            .collect(),
        host: snapshot
            .host
            .as_ref()
            .map(|section| host::host(snapshot, section)),
        groups: groups(snapshot, most),
        findings: snapshot.failing.len(),
        findings_left_out: snapshot.failing.len().saturating_sub(most),
        unknown: host::unknowns(snapshot, most),
        suppressed: Listed::of(&snapshot.suppressed, most, suppressed),
        unused: snapshot
            .unused_suppressions
            .iter()
            .take(most)
            .map(|of| Unused {
                by: clean(&of.by),
                what: clean(&of.what),
                reason: clean(&of.reason),
                place: of.location.as_ref().map_or(String::new(), text::place),
            })
            .collect(),
    }
}

/// Whether anything was judged for a framework: the others would only show empty rings.
fn is_touched(section: &FrameworkSection) -> bool {
    let counts = &section.counts;
    counts.passed + counts.failed + counts.accepted > 0
}

fn verdict(snapshot: &Snapshot) -> (String, &'static str) {
    let urgent = snapshot
        .failing
        .iter()
        .filter(|row| row.finding.severity >= Severity::High)
        .count();
    let findings = snapshot.failing.len();
    let unknown = match snapshot.unknown.len() {
        0 => String::new(),
        n => format!(
            " {} could not be judged.",
            text::counted(n, "subject", "subjects")
        ),
    };
    let judged = snapshot.counts.pass + snapshot.counts.fail;
    match (judged, findings, urgent) {
        (0, 0, _) => (format!("Nothing has been judged yet.{unknown}"), "none"),
        (_, 0, _) if unknown.is_empty() => ("Nothing fails.".to_owned(), "good"),
        (_, 0, _) => (
            format!("Nothing fails, but{}", unknown.to_lowercase()),
            "warn",
        ),
        (_, n, 0) => (
            format!(
                "{}, none of them critical or high.{unknown}",
                text::counted(n, "finding needs work", "findings need work")
            ),
            "warn",
        ),
        (_, n, urgent) => (
            format!(
                "{}, {urgent} of them critical or high.{unknown}",
                text::counted(n, "finding needs work", "findings need work")
            ),
            "bad",
        ),
    }
}

fn severities(snapshot: &Snapshot) -> Vec<SeverityTile> {
    let by = snapshot.by_severity();
    let all: u64 = by.iter().map(|(_, n)| n).sum();
    let mut from = 0.0;
    by.into_iter()
        .map(|(severity, count)| {
            let length = share(count, all);
            let tile = SeverityTile {
                word: severity.word(),
                count,
                from,
                length,
            };
            from += length;
            tile
        })
        .collect()
}

/// A part in hundredths of the whole, to two decimals.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    (part as f64 * 10_000.0 / whole as f64).round() / 100.0
}

fn framework(section: &FrameworkSection) -> Framework {
    let counts = &section.counts;
    let score = counts.percent();
    Framework {
        id: clean(&section.id),
        title: clean(&section.title),
        version: clean(&section.version),
        score: text::percent(score),
        judged: score.is_some(),
        arc: score.unwrap_or(0.0),
        mood: match score {
            None => "none",
            Some(s) if s >= 90.0 => "good",
            Some(s) if s >= 60.0 => "warn",
            Some(_) => "bad",
        },
        coverage: text::percent(counts.coverage()),
        coverage_length: counts.coverage().unwrap_or(0.0),
        counts: parts(counts).to_vec(),
        bar: bar(counts),
        controls: controls(&section.controls),
    }
}

/// Class, word and number of each status.
fn parts(counts: &Score) -> [(&'static str, &'static str, u32); 6] {
    [
        ("passed", "passed", counts.passed),
        ("failed", "failed", counts.failed),
        ("accepted", "accepted", counts.accepted),
        ("not_assessed", "not assessed", counts.not_assessed),
        ("manual", "manual", counts.manual),
        ("not_applicable", "not applicable", counts.not_applicable),
    ]
}

fn bar(counts: &Score) -> Vec<Segment> {
    let whole = u64::from(counts.total());
    let mut from = 0.0;
    parts(counts)
        .into_iter()
        .filter(|(_, _, n)| *n > 0)
        .map(|(class, _, n)| {
            let length = share(u64::from(n), whole);
            let segment = Segment {
                class,
                from,
                length,
            };
            from += length;
            segment
        })
        .collect()
}

fn controls(rows: &[ControlRow]) -> Vec<Control> {
    let mut last = None;
    rows.iter()
        .map(|row| {
            let group = clean(&row.group);
            // A group is named once, above its first control.
            let is_new = last.as_ref() != Some(&group);
            last = Some(group.clone());
            Control {
                id: clean(&row.id),
                title: clean(&row.title),
                group: (is_new && !group.is_empty()).then_some(group),
                class: row.status.word(),
                word: match row.status {
                    ControlStatus::Passed => "passed",
                    ControlStatus::Failed => "failed",
                    ControlStatus::Accepted => "accepted",
                    ControlStatus::NotAssessed => "not assessed",
                    ControlStatus::NotApplicable => "not applicable",
                    ControlStatus::Manual => "manual",
                },
                why: clean(&row.why),
            }
        })
        .collect()
}

fn groups(snapshot: &Snapshot, most: usize) -> Vec<Group> {
    let mut by: BTreeMap<(std::cmp::Reverse<Severity>, &CheckUid), Vec<&Row>> = BTreeMap::new();
    for row in &snapshot.failing {
        by.entry((std::cmp::Reverse(row.finding.severity), &row.finding.check))
            .or_default()
            .push(row);
    }
    let mut left = most;
    by.into_iter()
        .map(|((severity, uid), rows)| {
            let check = snapshot.check(uid);
            let shown = rows.len().min(left);
            left -= shown;
            let title = check
                .map(|c| c.title.as_str())
                .or(rows.first().map(|row| row.finding.title.as_str()))
                .unwrap_or(uid.as_str());
            Group {
                severity: severity.0.word(),
                title: clean(title),
                check: clean(uid.as_str()),
                description: check.map_or(String::new(), |c| clean_block(&c.description)),
                remediation: check.map_or(Vec::new(), |c| blocks(&clean_block(&c.remediation))),
                references: check.map_or(Vec::new(), |c| {
                    c.references
                        .iter()
                        .filter(|r| text::is_link(r))
                        .map(|r| clean(r))
                        .collect()
                }),
                open: severity.0 >= Severity::High,
                count: rows.len(),
                rows: rows.into_iter().take(shown).map(item).collect(),
            }
        })
        .collect()
}

/// Text as paragraphs and, where lines are indented, code.
fn blocks(text: &str) -> Vec<(bool, String)> {
    let mut blocks: Vec<(bool, String)> = Vec::new();
    for line in text.lines() {
        let blank = line.trim().is_empty();
        let code = line.starts_with("  ");
        match blocks.last_mut() {
            Some((is_code, block)) if blank || *is_code == code => {
                block.push('\n');
                block.push_str(line);
            }
            _ if blank => {}
            _ => blocks.push((code, line.to_owned())),
        }
    }
    for (_, block) in &mut blocks {
        block.truncate(block.trim_end().len());
    }
    blocks
}

fn item(row: &Row) -> Item {
    let of = &row.finding;
    Item {
        kind: clean(&row.asset.kind),
        name: text::qualified(&row.asset),
        locus: clean(&of.locus),
        place: row.location.as_ref().map_or(String::new(), text::place),
        message: clean(&of.message),
        reopened: of.status == FindingStatus::Reopened,
        first_seen: text::minute(of.first_seen),
        key: clean(of.key.as_str()),
        evidence: row
            .evidence
            .iter()
            .map(|e| Value {
                path: clean(&e.path),
                actual: e.actual.as_deref().map(clean),
                expected: e.expected.as_deref().map(clean),
            })
            .collect(),
    }
}

fn suppressed(row: &Row) -> SuppressedItem {
    let of = &row.finding;
    let by = of.acceptance.as_ref();
    SuppressedItem {
        severity: of.severity.word(),
        title: clean(&of.title),
        kind: clean(&row.asset.kind),
        name: text::qualified(&row.asset),
        locus: clean(&of.locus),
        place: row.location.as_ref().map_or(String::new(), text::place),
        state: match of.status {
            FindingStatus::FalsePositive => "false positive",
            _ => "accepted",
        },
        reason: by.map_or(String::new(), |a| clean(&a.reason)),
        owner: by.map_or(String::new(), |a| clean(&a.owner)),
        expires: by
            .and_then(|a| a.expires)
            .map_or(String::new(), text::minute),
    }
}

/// Kind, name, locus and place.
fn subject(of: &Subject) -> (String, String, String, String) {
    (
        clean(&of.asset.kind),
        text::qualified(&of.asset),
        clean(&of.locus),
        of.location.as_ref().map_or(String::new(), text::place),
    )
}
