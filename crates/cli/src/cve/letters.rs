//! `bartizan cve dead-letters`: what could not be read or applied, and another try.

use super::arguments::{Letters, LettersAt};
use super::setup;
use crate::arguments::Output;
use crate::{Verdict, show};
use anyhow::Result;
use bartizan_stream::source::producer::again;
use bartizan_stream::{DeadLetter, Stage};
use serde_json::{Value, json};

/// Runs a command about dead letters.
pub fn run(command: &Letters) -> Result<Verdict> {
    match command {
        Letters::List(options) => list(options),
        Letters::Retry(options) => retry(options),
    }
}

fn origin(letter: &DeadLetter) -> String {
    match &letter.at_stage {
        Stage::Produce { source, .. } => format!("source {source}"),
        Stage::Apply { group } => format!("group {group}"),
    }
}

fn list(options: &LettersAt) -> Result<Verdict> {
    let stream = setup::stream(&options.through, &options.data)?;
    let letters = stream.dead_letters(options.limit)?;
    if options.format == Output::Json {
        let all: Vec<Value> = letters
            .iter()
            .map(|(_, letter)| {
                json!({
                    "key": letter.key, "reason": letter.reason, "from": origin(letter),
                    "at": letter.at, "bytes": letter.bytes.len(), "cut": letter.cut,
                })
            })
            .collect();
        show::line(&serde_json::to_string_pretty(&all)?)?;
        return Ok(Verdict::Good);
    }
    for (_, letter) in &letters {
        show::line(&format!(
            "{} {}, {}: {}",
            letter.at,
            origin(letter),
            letter.key,
            letter.reason
        ))?;
    }
    show::line(&format!(
        "{} of {} dead letters",
        letters.len(),
        stream.dead_count()?
    ))?;
    Ok(Verdict::Good)
}

/// What cannot be read yet is written anew before the old letters are retired: none is lost if
/// this ends half-way.
fn retry(options: &LettersAt) -> Result<Verdict> {
    let stream = setup::stream(&options.through, &options.data)?;
    let letters = stream.dead_letters(options.limit)?;
    let (mut sent, mut left) = (0, 0);
    for (offset, letter) in &letters {
        match again(letter) {
            Ok(messages) => {
                stream.produce(&messages)?;
                sent += 1;
            }
            Err(why) => {
                left += 1;
                let mut letter = letter.clone();
                letter.reason = why;
                stream.dead_letter(&letter)?;
            }
        }
        stream.retire(&[*offset])?;
    }
    if options.format == Output::Json {
        show::line(&json!({"sent": sent, "left": left}).to_string())?;
    } else {
        show::line(&format!(
            "{sent} put on the stream again, {left} cannot be read yet"
        ))?;
    }
    Ok(if left == 0 {
        Verdict::Good
    } else {
        Verdict::Bad
    })
}
