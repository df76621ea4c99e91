//! Two results compared, rule by rule.

use super::arguments::ScapDiff;
use super::results::{Entry, Results};
use super::safe;
use crate::arguments::Output;
use crate::{Verdict, show};
use anyhow::Result;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What a result means, whichever document it is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Good,
    Bad,
    /// It could not be told.
    Blind,
    /// Not asked.
    Out,
}

fn kind(entry: Option<&Entry>) -> Kind {
    match entry.map(|entry| entry.result.as_str()) {
        Some("pass" | "fixed" | "no finding") => Kind::Good,
        Some("fail") => Kind::Bad,
        None | Some("notapplicable" | "notselected") => Kind::Out,
        // What is not understood is not good.
        Some(_) => Kind::Blind,
    }
}

/// How a change is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Worse,
    Better,
    Other,
}

impl Turn {
    fn word(self) -> &'static str {
        match self {
            Self::Worse => "worse",
            Self::Better => "better",
            Self::Other => "other",
        }
    }
}

/// None where nothing changed that matters.
fn turn(before: Kind, after: Kind) -> Option<Turn> {
    Some(match (before, after) {
        (one, other) if one == other => return None,
        // A failure that was not seen before counts, even of a new rule.
        (_, Kind::Bad) => Turn::Worse,
        // What passed is not known to pass any more.
        (Kind::Good, Kind::Blind) => Turn::Worse,
        (Kind::Bad | Kind::Blind, Kind::Good) => Turn::Better,
        // Also a failure that is only not seen any more: that is no improvement.
        _ => Turn::Other,
    })
}

struct Change<'a> {
    turn: Turn,
    rule: &'a str,
    locus: &'a str,
    before: Option<&'a Entry>,
    after: Option<&'a Entry>,
}

fn changes<'a>(before: &'a Results, after: &'a Results) -> (Vec<Change<'a>>, usize) {
    let keys: BTreeSet<_> = before.rules.keys().chain(after.rules.keys()).collect();
    let all = keys.len();
    let mut changes: Vec<Change<'a>> = keys
        .into_iter()
        .filter_map(|key| {
            let (one, other) = (before.rules.get(key), after.rules.get(key));
            Some(Change {
                turn: turn(kind(one), kind(other))?,
                rule: &key.0,
                locus: &key.1,
                before: one,
                after: other,
            })
        })
        .collect();
    changes.sort_by_key(|change| change.turn);
    let same = all - changes.len();
    (changes, same)
}

/// Compares; what got worse gives exit code 1.
pub fn run(options: &ScapDiff) -> Result<Verdict> {
    let before = Results::load(&options.before)?;
    let after = Results::load(&options.after)?;
    let (changes, same) = changes(&before, &after);
    match options.format {
        Output::Json => {
            let document = document(&before, &after, &changes, same);
            show::line(&serde_json::to_string_pretty(&document)?)?;
        }
        Output::Table => {
            for change in &changes {
                show::line(&line(change))?;
                if let Some(why) = why(change) {
                    show::line(&format!("          {}", safe(why)))?;
                }
            }
            show::line(&summary(&changes, same))?;
            for text in scores(&before, &after) {
                show::line(&text)?;
            }
        }
    }
    if before.profile.is_some() && after.profile.is_some() && before.profile != after.profile {
        show::remark("the two are of different profiles");
    }
    let is_worse = changes.iter().any(|change| change.turn == Turn::Worse);
    Ok(match is_worse {
        true => Verdict::Bad,
        false => Verdict::Good,
    })
}

fn result(entry: Option<&Entry>) -> &str {
    entry.map_or("-", |entry| entry.result.as_str())
}

fn title<'a>(change: &Change<'a>) -> &'a str {
    [change.after, change.before]
        .into_iter()
        .flatten()
        .map(|entry| entry.title.as_str())
        .find(|title| !title.is_empty())
        .unwrap_or_default()
}

fn why<'a>(change: &Change<'a>) -> Option<&'a str> {
    let after = change.after?;
    (change.turn != Turn::Better && !after.why.is_empty()).then_some(after.why.as_str())
}

fn line(change: &Change<'_>) -> String {
    let mut rule = safe(change.rule);
    if !change.locus.is_empty() {
        rule = format!("{rule} [{}]", safe(change.locus));
    }
    let line = format!(
        "{:<8}  {:>13} -> {:<13}  {rule}  {}",
        change.turn.word(),
        safe(result(change.before)),
        safe(result(change.after)),
        safe(title(change))
    );
    line.trim_end().to_owned()
}

fn counts(changes: &[Change<'_>]) -> [usize; 3] {
    [Turn::Worse, Turn::Better, Turn::Other]
        .map(|turn| changes.iter().filter(|change| change.turn == turn).count())
}

fn summary(changes: &[Change<'_>], same: usize) -> String {
    let [worse, better, other] = counts(changes);
    format!("{worse} worse, {better} better, {other} changed otherwise, {same} the same")
}

fn scores(before: &Results, after: &Results) -> Vec<String> {
    let mut lines = Vec::new();
    for (system, value) in &after.scores {
        if let Some((_, earlier)) = before.scores.iter().find(|(known, _)| known == system) {
            let name = safe(system.rsplit(':').next().unwrap_or(system));
            lines.push(format!("score ({name}): {earlier:.1} % -> {value:.1} %"));
        }
    }
    lines
}

fn document(before: &Results, after: &Results, changes: &[Change<'_>], same: usize) -> Value {
    let run = |of: &Results| {
        let scores: Vec<Value> = of
            .scores
            .iter()
            .map(|(system, percent)| json!({"system": system, "percent": percent}))
            .collect();
        json!({"profile": of.profile, "time": of.time, "rules": of.rules.len(), "scores": scores})
    };
    let [worse, better, other] = counts(changes);
    let changed: Vec<Value> = changes
        .iter()
        .map(|change| {
            json!({
                "rule": change.rule,
                "locus": change.locus,
                "title": title(change),
                "turn": change.turn.word(),
                "before": change.before.map(|entry| &entry.result),
                "after": change.after.map(|entry| &entry.result),
                "why": why(change),
            })
        })
        .collect();
    json!({
        "before": run(before),
        "after": run(after),
        "counts": {"worse": worse, "better": better, "other": other, "same": same},
        "changed": changed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(rules: &[(&str, &str)]) -> Results {
        let entry = |(id, result): &(&str, &str)| {
            let entry = Entry {
                result: (*result).to_owned(),
                ..Entry::default()
            };
            (((*id).to_owned(), String::new()), entry)
        };
        Results {
            rules: rules.iter().map(entry).collect(),
            ..Results::default()
        }
    }

    #[test]
    fn a_change_is_worse_better_or_neither() {
        for (before, after, expected) in [
            ("pass", "fail", Some(Turn::Worse)),
            ("no finding", "fail", Some(Turn::Worse)),
            ("unknown", "fail", Some(Turn::Worse)),
            ("pass", "error", Some(Turn::Worse)),
            ("pass", "nonsense", Some(Turn::Worse)),
            ("fail", "pass", Some(Turn::Better)),
            ("notchecked", "fixed", Some(Turn::Better)),
            ("fail", "unknown", Some(Turn::Other)),
            ("fail", "notapplicable", Some(Turn::Other)),
            ("pass", "notapplicable", Some(Turn::Other)),
            ("pass", "fixed", None),
            ("error", "unknown", None),
        ] {
            let (one, other) = (results(&[("r", before)]), results(&[("r", after)]));
            let (changes, same) = changes(&one, &other);
            let found = changes.first().map(|change| change.turn);
            assert_eq!(found, expected, "{before} -> {after}");
            assert_eq!(same, usize::from(expected.is_none()));
        }
    }

    #[test]
    fn rules_that_come_and_go_are_seen() {
        let one = results(&[("gone", "pass"), ("stays", "fail")]);
        let other = results(&[("new", "fail"), ("stays", "fail"), ("fine", "pass")]);
        let (changes, same) = changes(&one, &other);
        let found: Vec<_> = changes
            .iter()
            .map(|change| (change.rule, change.turn))
            .collect();
        assert_eq!(
            found,
            [
                ("new", Turn::Worse),
                ("fine", Turn::Other),
                ("gone", Turn::Other)
            ]
        );
        assert_eq!(same, 1);
        assert!(line(changes.first().unwrap()).starts_with("worse                 - -> fail"));
    }
}
