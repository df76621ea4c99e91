//! An answer: sentences that each cite records, by a chat endpoint or by the records' own words.

mod chat;
mod extract;
mod gate;
mod guard;
mod prompt;

pub use chat::{Chat, ChatRequest, Deltas, Piece};
pub use gate::{Gate, Verdict};
pub use guard::{instructs, tame};
pub use prompt::prompt;

use crate::retrieve::{Retrieval, Way, World, retrieve};
use crate::{AskError, Document, Kind, Question, own};
use bartizan_model::Timestamp;
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;

/// Records that an answer is made from.
pub const RECORDS: usize = 8;

/// A sentence and what it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sentence {
    /// With its citations in brackets.
    pub text: String,
    /// The records that it cites.
    pub cites: Vec<String>,
}

/// A record as it is shown beside the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// What it is cited by.
    pub id: String,
    /// Where it comes from.
    pub kind: Kind,
    /// The feed, or the CNA.
    pub source: String,
    /// One line.
    pub title: String,
    /// Other names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// First published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Timestamp>,
    /// The score, `9.8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<String>,
    /// Known to be exploited.
    #[serde(default)]
    pub exploited: bool,
    /// Rejected or withdrawn.
    #[serde(default)]
    pub withdrawn: bool,
    /// How it was found.
    pub ways: Vec<Way>,
    /// Addresses that the record gives.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
    /// The asset's uid, of the tenant's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset: Option<String>,
    /// The finding's key, of the tenant's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
}

/// What it came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// There are sentences.
    Answered,
    /// No record speaks about it.
    Nothing,
}

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// As asked.
    pub question: String,
    /// What it came to.
    pub outcome: Outcome,
    /// Who wrote it: `records` or the name of a model.
    pub by: String,
    /// The filters that were applied, in words.
    pub filters: Vec<String>,
    /// The sentences.
    pub sentences: Vec<Sentence>,
    /// The records.
    pub sources: Vec<Source>,
    /// Names that were asked for and that no record has.
    pub missing: Vec<String>,
    /// What was left out of what the model said, and why.
    pub dropped: Vec<String>,
    /// What could not be looked at.
    pub unknown: Vec<String>,
}

/// What happens while an answer is made, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    /// What was found, before anything is said.
    Found {
        /// The filters, in words.
        filters: Vec<String>,
        /// The records.
        sources: Vec<Source>,
        /// Names without a record.
        missing: Vec<String>,
        /// What could not be looked at.
        unknown: Vec<String>,
    },
    /// One sentence, checked.
    Sentence(Sentence),
    /// Something that the model said and that was left out.
    Dropped {
        /// Why.
        why: String,
    },
    /// The end.
    Done {
        /// What it came to.
        outcome: Outcome,
        /// Who wrote it.
        by: String,
        /// What could not be looked at, all of it.
        unknown: Vec<String>,
    },
}

/// Answers a question. `emit` is told everything as it comes and may end it.
pub fn answer(
    world: World<'_>,
    question: &Question,
    chat: Option<&dyn Chat>,
    emit: &mut dyn FnMut(&Event) -> ControlFlow<()>,
) -> Result<Answer, AskError> {
    let found = retrieve(world, question, RECORDS)?;
    Ok(respond(&found, question, chat, emit))
}

/// Answers from what was found, which needs the index no more.
pub fn respond(
    found: &Retrieval,
    question: &Question,
    chat: Option<&dyn Chat>,
    emit: &mut dyn FnMut(&Event) -> ControlFlow<()>,
) -> Answer {
    let documents = documents(found, question);
    let mut answer = Answer {
        question: question.asked.clone(),
        outcome: Outcome::Nothing,
        by: "records".to_owned(),
        filters: found.filters.words(),
        sentences: Vec::new(),
        sources: sources(found, &documents),
        missing: found.missing.clone(),
        dropped: Vec::new(),
        unknown: found.unknown.clone(),
    };
    let first = Event::Found {
        filters: answer.filters.clone(),
        sources: answer.sources.clone(),
        missing: answer.missing.clone(),
        unknown: answer.unknown.clone(),
    };
    if emit(&first).is_break() {
        return answer;
    }
    if !documents.is_empty() {
        let mut gone = false;
        if let Some(chat) = chat {
            gone = by_model(chat, question, &documents, &mut answer, emit);
        }
        if answer.sentences.is_empty() && !gone {
            if chat.is_some() {
                answer.by = "records".to_owned();
            }
            let gate = Gate::new(&documents);
            for text in extract::compose(question, found, &documents, &gate) {
                match gate.check(&text) {
                    Verdict::Sentence(sentence) => {
                        let event = Event::Sentence(sentence.clone());
                        answer.sentences.push(sentence);
                        if emit(&event).is_break() {
                            break;
                        }
                    }
                    Verdict::Dropped(why) => answer.dropped.push(why),
                }
            }
        }
    }
    if !answer.sentences.is_empty() {
        answer.outcome = Outcome::Answered;
    }
    let _ = emit(&Event::Done {
        outcome: answer.outcome,
        by: answer.by.clone(),
        unknown: answer.unknown.clone(),
    });
    answer
}

/// Whether whoever listens is gone.
fn by_model(
    chat: &dyn Chat,
    question: &Question,
    documents: &[Document],
    answer: &mut Answer,
    emit: &mut dyn FnMut(&Event) -> ControlFlow<()>,
) -> bool {
    answer.by = chat.model();
    let request = prompt(&chat.model(), question, documents);
    let mut gate = Gate::new(documents);
    let mut deltas = Deltas::default();
    let mut gone = false;
    let mut take = |verdicts: Vec<Verdict>, answer: &mut Answer| {
        for verdict in verdicts {
            let event = match verdict {
                Verdict::Sentence(sentence) => {
                    answer.sentences.push(sentence.clone());
                    Event::Sentence(sentence)
                }
                Verdict::Dropped(why) => {
                    answer.dropped.push(why.clone());
                    Event::Dropped { why }
                }
            };
            if emit(&event).is_break() {
                gone = true;
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    };
    let result = chat.stream(&request, &mut |bytes| {
        for piece in deltas.push(bytes) {
            let verdicts = match piece {
                Piece::Text(text) => gate.push(&text),
                Piece::Action => vec![Verdict::Dropped(
                    "the model asked for an action; nothing is ever done for it".to_owned(),
                )],
                Piece::Trouble(why) => vec![Verdict::Dropped(why)],
                Piece::End => return ControlFlow::Break(()),
            };
            take(verdicts, answer)?;
            if gate.full() {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    });
    let _ = take(gate.finish(), answer);
    if let Err(why) = result {
        answer.unknown.push(if answer.sentences.is_empty() {
            format!("the endpoint failed ({why}); the answer is made of the records' own words")
        } else {
            format!("the endpoint failed before its end ({why})")
        });
    }
    gone
}

fn documents(found: &Retrieval, question: &Question) -> Vec<Document> {
    let own = found.own.iter().enumerate();
    let inventory =
        (!found.inventory.is_empty()).then(|| own::document(&found.inventory, &question.names));
    found
        .hits
        .iter()
        .map(|h| h.document.clone())
        .chain(own.map(|(i, m)| m.document(i + 1)))
        .chain(inventory)
        .collect()
}

fn sources(found: &Retrieval, documents: &[Document]) -> Vec<Source> {
    let shown = |(i, d): (usize, &Document)| {
        let hit = found.hits.get(i);
        let own = i.checked_sub(found.hits.len());
        let own = own.and_then(|at| found.own.get(at));
        Source {
            id: d.id.clone(),
            kind: d.kind,
            source: d.source.clone(),
            title: match d.kind {
                Kind::Own => d.text.clone(),
                _ => headline(d),
            },
            names: d.names.clone(),
            published: d.published,
            score: d.score.map(|s| s.to_string()),
            exploited: d.exploited,
            withdrawn: d.withdrawn,
            ways: hit.map_or_else(|| vec![Way::Own], |h| h.ways.clone()),
            references: d.references.iter().take(8).cloned().collect(),
            asset: own.map(|m| m.uid.clone()),
            finding: own.and_then(|m| m.finding.clone()),
        }
    };
    documents.iter().enumerate().map(shown).collect()
}

/// A record's title, else its first sentence; never one that reads like an instruction.
fn headline(document: &Document) -> String {
    let (title, _) = tame(&document.title);
    if !title.is_empty() {
        return title;
    }
    let (text, _) = tame(&document.text);
    crate::words::sentences(&text)
        .first()
        .map(|s| bartizan_model::text::plain(s, 160))
        .unwrap_or_default()
}
