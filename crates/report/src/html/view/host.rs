//! The machine's part of the page, and what could not be judged.

use super::{Segment, share, subject};
use crate::text::{self, clean};
use crate::{GroupRow, HostSection, Snapshot};
use serde::Serialize;
use std::collections::BTreeMap;

/// What could not be judged, by reason: the same reason is read once.
#[derive(Serialize)]
pub(super) struct Unknowns {
    all: usize,
    left_out: usize,
    reasons: Vec<Reason>,
}

#[derive(Serialize)]
struct Reason {
    why: String,
    open: bool,
    rows: Vec<UnknownItem>,
}

#[derive(Serialize)]
pub(super) struct Host {
    facts: Vec<(&'static str, String)>,
    scores: Vec<(String, String, f64)>,
    groups: Vec<HostGroup>,
}

#[derive(Serialize)]
struct HostGroup {
    title: String,
    counts: Vec<(&'static str, u64)>,
    bar: Vec<Segment>,
    failing: Vec<String>,
}

#[derive(Serialize)]
struct UnknownItem {
    title: String,
    check: String,
    kind: String,
    name: String,
    locus: String,
    place: String,
}

pub(super) fn unknowns(snapshot: &Snapshot, most: usize) -> Unknowns {
    let mut by: Vec<(String, Vec<UnknownItem>)> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for row in snapshot.unknown.iter().take(most) {
        let why = clean(&row.why);
        let of = subject(&row.subject);
        let place = *places.entry(why.clone()).or_insert(by.len());
        if place == by.len() {
            by.push((why, Vec::new()));
        }
        let title = snapshot
            .check(&row.subject.check)
            .map(|check| clean(&check.title));
        if let Some((_, rows)) = by.get_mut(place) {
            rows.push(UnknownItem {
                title: title.unwrap_or_default(),
                check: text::rule(&row.subject.check),
                kind: of.0,
                name: of.1,
                locus: of.2,
                place: of.3,
            });
        }
    }
    // What concerns most comes first.
    by.sort_by_key(|(_, rows)| std::cmp::Reverse(rows.len()));
    let all = snapshot.unknown.len();
    let reasons = by.into_iter().map(|(why, rows)| Reason {
        why,
        open: all <= 10,
        rows,
    });
    Unknowns {
        all,
        left_out: all.saturating_sub(most),
        reasons: reasons.collect(),
    }
}

pub(super) fn host(snapshot: &Snapshot, section: &HostSection) -> Host {
    let titles: BTreeMap<&str, &str> = snapshot
        .checks
        .iter()
        .map(|check| (check.uid.as_str(), check.title.as_str()))
        .collect();
    let facts = section.facts.iter();
    let scores = section.scores.iter();
    Host {
        facts: facts.map(|(name, text)| (*name, clean(text))).collect(),
        scores: scores
            .map(|(model, percent)| (clean(model), text::percent(Some(*percent)), *percent))
            .collect(),
        groups: section
            .groups
            .iter()
            .map(|row| group(row, &titles))
            .collect(),
    }
}

fn group(row: &GroupRow, titles: &BTreeMap<&str, &str>) -> HostGroup {
    let counts = vec![
        ("passed", row.pass),
        ("failed", row.fail),
        ("not_assessed", row.unknown),
        ("not_applicable", row.not_applicable),
    ];
    let whole: u64 = counts.iter().map(|(_, n)| n).sum();
    let mut from = 0.0;
    let bar = counts
        .iter()
        .filter(|(_, n)| *n > 0)
        .map(|&(class, n)| {
            let length = share(n, whole);
            let segment = Segment {
                class,
                from,
                length,
            };
            from += length;
            segment
        })
        .collect();
    let title = |uid: &String| clean(titles.get(uid.as_str()).copied().unwrap_or(uid));
    HostGroup {
        title: clean(&row.title),
        counts,
        bar,
        failing: row.failing.iter().map(title).collect(),
    }
}
