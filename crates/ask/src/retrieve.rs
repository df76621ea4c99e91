//! From a question to records: by name, by words, by likeness, fused, and put in order.

use crate::own::{Own, OwnMatch};
use crate::rerank::Rerank;
use crate::{AskError, Document, Filters, Index, Kind, Question};
use bartizan_model::TenantId;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// How deep each way looks.
const DEPTH: usize = 200;
/// The best that are put in order again.
const RERANKED: usize = 50;
/// How much likeness counts beside words, whose best is 1. Of 0.2, 0.4, 0.7 and 1 the best on the
/// questions of `conformance retrieval`; they differ little.
const LIKENESS: f32 = 0.7;
/// How much the model counts beside both.
const MODEL: f32 = 1.0;
/// A hit with less of the question's weight in words, less likeness, or less of both together says
/// nothing about the question. Chosen on the questions of `conformance retrieval`, which prints how
/// many of them, and of questions beside the matter, are turned away.
const MIN_COVERED: f32 = 0.4;
const MIN_LIKENESS: f32 = 0.2;
const MIN_BOTH: f32 = 0.95;
/// What counts for likeness where it could not be asked for.
const UNASKED: f32 = 0.3;
/// Own matches that are told at most.
const OWN: usize = 20;
/// Own vulnerabilities that a filter may choose from.
const OWN_ALL: usize = 20_000;

/// How a record was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Its name was asked for.
    Name,
    /// Its words.
    Words,
    /// The likeness of what it says.
    Likeness,
    /// It passes the filters.
    Filters,
    /// It is the tenant's own.
    Own,
}

/// One record that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The record.
    pub document: Document,
    /// How it was found.
    pub ways: Vec<Way>,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Retrieval {
    /// The filters that were applied.
    pub filters: Filters,
    /// The best, best first.
    pub hits: Vec<Hit>,
    /// The tenant's own matches with them.
    pub own: Vec<OwnMatch>,
    /// What can be said of the tenant's inventory as a whole, a sentence each.
    pub inventory: Vec<String>,
    /// Names that were asked for and are no record.
    pub missing: Vec<String>,
    /// What could not be looked at, in words. It is never taken for "nothing there".
    pub unknown: Vec<String>,
}

/// What a question is asked of.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// The records.
    pub index: &'a Index,
    /// The model that puts the best in order.
    pub rerank: Option<&'a dyn Rerank>,
    /// What tenants run.
    pub own: &'a dyn Own,
    /// Whose question it is.
    pub tenant: &'a TenantId,
}

/// Which ways are gone; for measuring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Words alone.
    Words,
    /// Likeness alone.
    Likeness,
    /// Both, fused.
    Both,
}

/// The best records for words: keys and scores, best first.
pub fn rank(
    index: &Index,
    text: &str,
    filters: &Filters,
    mode: Mode,
    most: usize,
) -> Result<Vec<(u64, f32)>, AskError> {
    match mode {
        Mode::Words => index.by_words(text, filters, most),
        Mode::Likeness => index.by_likeness(&index.vector(text)?, filters, most),
        Mode::Both => fused(index, text, &index.vector(text)?, filters, most),
    }
}

/// The best by words and by likeness with the vector of the same text.
fn fused(
    index: &Index,
    text: &str,
    vector: &[f32],
    filters: &Filters,
    most: usize,
) -> Result<Vec<(u64, f32)>, AskError> {
    let words = index.by_words(text, filters, DEPTH.max(most))?;
    let like = index.by_likeness(vector, filters, DEPTH.max(most))?;
    let best = words.first().map_or(1.0, |(_, s)| s.max(1e-6));
    let mut fused: HashMap<u64, f32> = HashMap::new();
    for (key, score) in &words {
        let near = index.likeness(vector, *key).unwrap_or(0.0);
        fused.insert(*key, score / best + LIKENESS * near);
    }
    for (key, near) in &like {
        // What is not among the best by words has at most the score of the last that is.
        let floor = match words.len() {
            n if n >= DEPTH => words.last().map_or(0.0, |(_, s)| s / best) / 2.0,
            _ => 0.0,
        };
        fused.entry(*key).or_insert(floor + LIKENESS * near);
    }
    let mut fused: Vec<(u64, f32)> = fused.into_iter().collect();
    fused.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    fused.truncate(most);
    Ok(fused)
}

/// Puts the best of a ranking in order by the model as well.
pub fn reranked(
    index: &Index,
    text: &str,
    ranking: Vec<(u64, f32)>,
    model: &dyn Rerank,
) -> Result<Vec<(u64, f32)>, AskError> {
    let (best, rest) = ranking.split_at(ranking.len().min(RERANKED));
    let mut texts = Vec::with_capacity(best.len());
    for (key, _) in best {
        let document = index.get(*key)?;
        texts.push(document.map_or_else(String::new, |d| {
            format!("{} {} {}", d.title, d.products.join(" "), d.text)
        }));
    }
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let scores = model.score(text, &texts)?;
    if scores.len() != best.len() {
        return Err(AskError::Model("the model left records out".to_owned()));
    }
    let mut ordered: Vec<(u64, f32)> = best
        .iter()
        .zip(scores)
        .map(|((key, score), model)| (*key, score + MODEL * model))
        .collect();
    ordered.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ordered.extend_from_slice(rest);
    Ok(ordered)
}

/// Finds what a question asks for.
pub fn retrieve(world: World<'_>, question: &Question, most: usize) -> Result<Retrieval, AskError> {
    let mut found = Retrieval {
        filters: question.filters.clone(),
        ..Retrieval::default()
    };
    named(world, question, &mut found)?;
    if question.filters.mine {
        limit_to_own(world, &mut found);
    }
    narrow_to_product(world.index, question, &mut found.filters)?;
    let only_names = !question.names.is_empty() && !question.asks_for_words();
    if !only_names {
        if question.asks_for_words() {
            by_text(world, question, most, &mut found)?;
        } else if found.filters.limit() {
            for key in world.index.by_filters(&found.filters, most)? {
                if let Some(document) = world.index.get(key)? {
                    push(&mut found.hits, document, Way::Filters);
                }
            }
        }
    }
    found.hits.truncate(
        most.max(
            found
                .hits
                .iter()
                .filter(|h| h.ways.contains(&Way::Name))
                .count(),
        ),
    );
    own(world, question, &mut found);
    Ok(found)
}

fn push(hits: &mut Vec<Hit>, document: Document, way: Way) {
    match hits.iter_mut().find(|h| h.document.id == document.id) {
        Some(hit) => hit.ways.push(way),
        None => hits.push(Hit {
            document,
            ways: vec![way],
        }),
    }
}

fn named(world: World<'_>, question: &Question, found: &mut Retrieval) -> Result<(), AskError> {
    for name in &question.names {
        let mut records = world.index.named(std::slice::from_ref(name), 8)?;
        if records.is_empty() {
            found.missing.push(name.clone());
        }
        // The record itself before those that mention it.
        records.sort_by_key(|d| (!d.id.eq_ignore_ascii_case(name), d.id.clone()));
        for document in records {
            push(&mut found.hits, document, Way::Name);
        }
    }
    Ok(())
}

/// "In my cluster": only what hits this tenant.
fn limit_to_own(world: World<'_>, found: &mut Retrieval) {
    let known = match world.own.inventory(world.tenant) {
        Ok(known) if known.assets == 0 => Err(
            "no inventory of yours is known, so nothing can be said about what you run".to_owned(),
        ),
        known => known,
    };
    let both = known.and_then(|known| {
        let names = world.own.vulnerabilities(world.tenant, OWN_ALL)?;
        Ok((known, names))
    });
    match both {
        Ok((known, names)) => {
            if names.len() >= OWN_ALL {
                found.unknown.push(format!(
                    "only {OWN_ALL} of the vulnerabilities that match your inventory were looked at"
                ));
            }
            let plural = |n: u64| if n == 1 { "" } else { "s" };
            found.inventory.push(format!(
                "Your inventory has {} component{} on {} asset{}.",
                known.components,
                plural(known.components),
                known.assets,
                plural(known.assets),
            ));
            found.unknown.extend(known.gaps);
            found.filters.only = Some(names);
        }
        Err(why) => {
            found.unknown.push(why);
            found.filters.mine = false;
        }
    }
}

/// Where a question is filters and a product and nothing else, the product is a filter as well.
fn narrow_to_product(
    index: &Index,
    question: &Question,
    filters: &mut Filters,
) -> Result<(), AskError> {
    if !filters.limit() || !filters.products.is_empty() {
        return Ok(());
    }
    let words: Vec<&str> = question
        .rest
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | '?' | ';' | '"'))
        .filter(|w| !w.is_empty())
        .collect();
    let informative = question.informative();
    for word in words {
        let stems = crate::words::words(word);
        let alone = !stems.is_empty() && informative.iter().all(|i| stems.contains(i));
        if alone && index.of_product(word)? > 0 {
            filters.products.push(word.to_lowercase());
            return Ok(());
        }
    }
    Ok(())
}

fn by_text(
    world: World<'_>,
    question: &Question,
    most: usize,
    found: &mut Retrieval,
) -> Result<(), AskError> {
    let text = &question.rest;
    let vector = match world.index.vector(text) {
        Ok(vector) => Some(vector),
        // An endpoint that does not answer leaves the words.
        Err(AskError::Model(why)) => {
            found
                .unknown
                .push(format!("records were looked for by words alone: {why}"));
            None
        }
        Err(error) => return Err(error),
    };
    let mut ranking = match &vector {
        Some(vector) => fused(world.index, text, vector, &found.filters, DEPTH)?,
        None => world.index.by_words(text, &found.filters, DEPTH)?,
    };
    if let Some(model) = world.rerank {
        match reranked(world.index, text, ranking.clone(), model) {
            Ok(better) => ranking = better,
            // An answer in the order of before is better than none.
            Err(error) => found
                .unknown
                .push(format!("not put in order by the model: {error}")),
        }
    }
    let informative = question.informative();
    let mut weights = Vec::with_capacity(informative.len());
    for word in &informative {
        weights.push(world.index.rarity(word)?);
    }
    let all: f32 = weights.iter().sum::<f32>().max(1e-6);
    for (key, _) in ranking.into_iter().take(most) {
        let Some(document) = world.index.get(key)? else {
            continue;
        };
        let has = crate::words::words(&document.all_text());
        let covered: f32 = informative
            .iter()
            .zip(&weights)
            .filter(|(word, _)| has.contains(word))
            .map(|(_, weight)| weight)
            .sum();
        let covered = covered / all;
        let near = match &vector {
            Some(vector) => world.index.likeness(vector, key).unwrap_or(0.0),
            None => UNASKED,
        };
        if covered < MIN_COVERED || near < MIN_LIKENESS || covered + near < MIN_BOTH {
            continue;
        }
        let way = if covered >= near {
            Way::Words
        } else {
            Way::Likeness
        };
        push(&mut found.hits, document, way);
    }
    Ok(())
}

/// Whether it is the record of that name, and not one that mentions it.
fn is_record_of(document: &Document, name: &str) -> bool {
    let bare = document.id.split_once(':').map_or("", |(_, id)| id);
    document.id.eq_ignore_ascii_case(name) || bare.eq_ignore_ascii_case(name)
}

/// What of the tenant's the answer is about.
fn own(world: World<'_>, question: &Question, found: &mut Retrieval) {
    let mut names: Vec<String> = question.names.clone();
    for hit in &found.hits {
        // An advisory about many names is not asked for by one of them.
        let mentions = hit.ways == [Way::Name]
            && !question
                .names
                .iter()
                .any(|n| is_record_of(&hit.document, n));
        if !mentions {
            for name in hit.document.all_names() {
                if !names.iter().any(|n| n.eq_ignore_ascii_case(name)) {
                    names.push(name.to_owned());
                }
            }
        }
    }
    let mine = found.filters.mine && !found.inventory.is_empty();
    if mine && names.is_empty() {
        if question.asks_for_words() {
            found.inventory.clear();
            found.unknown.push(
                "nothing that matches your inventory was found for these words, which does not \
                 say that you are not affected"
                    .to_owned(),
            );
        } else {
            let none = "No vulnerability that matches it passes the filters.";
            found.inventory.push(none.to_owned());
        }
    }
    if names.is_empty() {
        return;
    }
    match world.own.matches(world.tenant, &names, OWN) {
        Ok(matches) => {
            if matches.total > matches.listed.len() as u64 {
                found.unknown.push(format!(
                    "only {} of your {} matches are told",
                    matches.listed.len(),
                    matches.total
                ));
            }
            found.own = matches.listed;
            if mine {
                for name in &question.names {
                    without_match(name, found);
                }
            }
        }
        Err(why) => {
            if !found.unknown.contains(&why) {
                found.unknown.push(why);
            }
        }
    }
}

/// Where nothing of the tenant's matches a name: whether anything could have.
fn without_match(name: &str, found: &mut Retrieval) {
    let of_name = |d: &&Document| d.all_names().any(|n| n.eq_ignore_ascii_case(name));
    let documents = || found.hits.iter().map(|h| &h.document).filter(of_name);
    let aliases: Vec<&str> = documents()
        .filter(|d| is_record_of(d, name))
        .flat_map(Document::all_names)
        .chain([name])
        .collect();
    let hit = found.own.iter().any(|m| {
        m.names
            .iter()
            .any(|n| aliases.iter().any(|a| a.eq_ignore_ascii_case(n)))
    });
    if hit {
        return;
    }
    // Components are held against advisories about packages, never against the CVE list.
    let judged =
        documents().any(|d| d.kind == Kind::Advisory && !d.withdrawn && !d.products.is_empty());
    if judged {
        found
            .inventory
            .push(format!("No component of it matches {name}."));
    } else {
        found.unknown.push(format!(
            "no advisory about packages names {name}, so whether you run it cannot be said"
        ));
    }
}
