//! An answer made of the records' own words: no model, nothing to configure, nothing to mistrust.

use super::gate::{Gate, Verdict};
use super::guard::tame;
use crate::own::INVENTORY;
use crate::retrieve::{Retrieval, Way};
use crate::{Document, Kind, Question, words};
use bartizan_model::text;

/// Records that speak at most.
const SPEAKERS: usize = 5;
/// Own matches that speak at most.
const OWN: usize = 10;
const MAX_SENTENCE: usize = 420;

/// Sentences with their citations, most important first.
pub(super) fn compose(
    question: &Question,
    found: &Retrieval,
    documents: &[Document],
    gate: &Gate,
) -> Vec<String> {
    let asked = question.informative();
    let mut sentences = Vec::new();
    let by_name = found.hits.iter().any(|h| h.ways.contains(&Way::Name));
    let own = documents
        .iter()
        .filter(|d| d.kind == Kind::Own && d.id != INVENTORY)
        .take(OWN)
        .map(|d| format!("{} [{}]", d.text, d.id));
    let inventory = found.inventory.iter().map(|s| format!("{s} [{INVENTORY}]"));
    let own = own.chain(inventory);
    // Whoever asks about what they run is told of that first.
    if question.filters.mine {
        sentences.extend(own.clone());
    }
    for (i, hit) in found.hits.iter().take(SPEAKERS).enumerate() {
        let document = &hit.document;
        if document.withdrawn {
            sentences.push(format!(
                "{} is withdrawn or rejected{} [{}]",
                document.id,
                match lead(document, &asked, gate) {
                    Some(why) => format!(": {why}"),
                    None => ".".to_owned(),
                },
                document.id
            ));
            continue;
        }
        if let Some(lead) = lead(document, &asked, gate) {
            sentences.push(format!("{lead} [{}]", document.id));
        }
        // The first ones with what one must know of them; the rest in one sentence each.
        if i < 3 || by_name {
            sentences.extend(facts(document));
        }
    }
    if !question.filters.mine {
        sentences.extend(own);
    }
    sentences
}

/// The sentence of a record that has most of what is asked for; of equals, the first. Only such as
/// the gate lets out: one that names another vulnerability, say, stays where it is.
fn lead(document: &Document, asked: &[String], gate: &Gate) -> Option<String> {
    let (body, _) = tame(&document.text);
    let (title, _) = tame(&document.title);
    let mut best: Option<(usize, String)> = None;
    for sentence in words::sentences(&body).into_iter().take(40) {
        if sentence.len() < 20 {
            continue;
        }
        let has = words::words(sentence);
        let score = asked.iter().filter(|w| has.contains(w)).count();
        if best.as_ref().is_none_or(|(most, _)| score > *most) {
            let plain = ended(sentence);
            if goes_out(&plain, document, gate) {
                best = Some((score, plain));
            }
        }
    }
    let title = ended(&title);
    best.map(|(_, sentence)| sentence)
        .or_else(|| goes_out(&title, document, gate).then_some(title))
}

fn goes_out(sentence: &str, document: &Document, gate: &Gate) -> bool {
    let cited = format!("{sentence} [{}]", document.id);
    matches!(gate.check(&cited), Verdict::Sentence(_))
}

fn ended(sentence: &str) -> String {
    let plain = text::one_line(&text::plain(sentence, MAX_SENTENCE));
    let plain = plain
        .trim_start_matches(['-', '*', '#', '>', ' '])
        .replace(['[', ']'], "");
    if plain.ends_with(['.', '!', '?', '…']) {
        plain
    } else {
        format!("{plain}.")
    }
}

fn facts(document: &Document) -> Vec<String> {
    let mut sentences = Vec::new();
    let id = &document.id;
    let mut rated = Vec::new();
    if let Some(score) = document.score {
        rated.push(format!("is rated CVSS {score}"));
    }
    if document.exploited {
        rated.push("is known to be exploited".to_owned());
    }
    if let Some(published) = document.published {
        rated.push(format!("was published on {}", published.day()));
    }
    if !rated.is_empty() {
        sentences.push(format!("{id} {}. [{id}]", rated.join(", ")));
    }
    if !document.versions.is_empty() {
        let list: Vec<String> = document
            .versions
            .iter()
            .take(4)
            .map(|v| text::plain(v, 160).replace(['[', ']'], ""))
            .collect();
        let more = match document.versions.len() {
            0..=4 => "",
            _ => "; and more",
        };
        sentences.push(format!(
            "Affected versions: {}{more}. [{id}]",
            list.join("; ")
        ));
    }
    sentences
}
