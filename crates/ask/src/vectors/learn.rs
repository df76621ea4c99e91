//! Learning the vectors of words from the records themselves.
//!
//! A record's title, or one of its sentences, must find the rest of its record among those of the
//! other records of the same batch. Words that say the same come to stand near one another
//! ("XSS" and "cross-site scripting"), words that say little become short. The order of the records
//! and the seed are fixed, so the same records give the same vectors.

use super::embedding::{LearnedEmbedding, MAX_WORDS, sketch};
use super::{DIMENSIONS, Dice, add, dot, normalise};
use crate::{Document, words};
use std::collections::HashMap;

/// How to learn. Of nine sets of numbers that were tried, the defaults did best on the questions of
/// `conformance retrieval`; they differ little.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How often each record is seen.
    pub rounds: usize,
    /// Records that compete with each other.
    pub batch: usize,
    /// How far a step goes.
    pub step: f32,
    /// How sharp the competition is.
    pub temperature: f32,
    /// Records to learn from; of more, an even selection. The rest is indexed all the same.
    pub most: usize,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            rounds: 6,
            batch: 512,
            step: 0.05,
            temperature: 0.05,
            most: 120_000,
        }
    }
}

type Words = Vec<u32>;

struct Unit {
    title: Words,
    sentences: Vec<Words>,
    about: Words,
}

/// Collects records, then learns.
#[derive(Default)]
pub struct Learner {
    places: HashMap<String, u32>,
    seen_in: Vec<u32>,
    units: Vec<Unit>,
    records: usize,
}

impl Learner {
    /// A record to learn from.
    pub fn add(&mut self, document: &Document) {
        let title = self.places(&document.title);
        let sentences: Vec<Words> = words::sentences(&document.text)
            .into_iter()
            .filter(|s| s.len() > 20)
            .take(8)
            .map(|s| self.places(s))
            .filter(|s| !s.is_empty())
            .collect();
        let about = self.places(&format!(
            "{} {}",
            document.products.join(" "),
            document.cwes.join(" ")
        ));
        let mut all: Words = title
            .iter()
            .chain(sentences.iter().flatten())
            .chain(&about)
            .copied()
            .collect();
        all.sort_unstable();
        all.dedup();
        for place in all {
            if let Some(count) = self.seen_in.get_mut(place as usize) {
                *count += 1;
            }
        }
        self.records += 1;
        if !sentences.is_empty() {
            self.units.push(Unit {
                title,
                sentences,
                about,
            });
        }
    }

    fn places(&mut self, text: &str) -> Words {
        let mut places: Words = Vec::new();
        for word in words::words(text) {
            let next = self.places.len() as u32;
            match self.places.get(&word) {
                Some(place) => places.push(*place),
                None if self.places.len() < MAX_WORDS => {
                    self.places.insert(word, next);
                    self.seen_in.push(0);
                    places.push(next);
                }
                None => {}
            }
        }
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Learns; `progress` is told the share that is done.
    pub fn learn(mut self, plan: &Plan, progress: &mut dyn FnMut(f32)) -> LearnedEmbedding {
        let records = self.records as f32;
        let rarity = |n: u32| (1.0 + (records - n as f32 + 0.5) / (n as f32 + 0.5)).ln();
        let weights: Vec<f32> = self.seen_in.iter().map(|n| rarity(*n)).collect();
        let mut vectors = vec![0f32; weights.len() * DIMENSIONS];
        for (word, place) in &self.places {
            let from = *place as usize * DIMENSIONS;
            if let Some(vector) = vectors.get_mut(from..from + DIMENSIONS) {
                vector.copy_from_slice(&sketch(word));
            }
        }
        if self.units.len() > plan.most {
            let every = self.units.len() as f64 / plan.most.max(1) as f64;
            let mut next = 0f64;
            let mut at = 0usize;
            self.units.retain(|_| {
                let keep = at as f64 >= next;
                at += 1;
                if keep {
                    next += every;
                }
                keep
            });
        }
        let mut course = Course {
            weights: &weights,
            vectors: &mut vectors,
            steps: vec![1e-6; weights.len()],
            plan,
        };
        let mut dice = Dice(0x0062_6172_7469_7a61);
        let mut order: Vec<usize> = (0..self.units.len()).collect();
        let total = (plan.rounds * order.len()).max(1) as f32;
        let mut seen = 0usize;
        for _ in 0..plan.rounds {
            for i in (1..order.len()).rev() {
                order.swap(i, dice.below(i + 1));
            }
            let mut pairs = Vec::with_capacity(plan.batch);
            for unit in order.iter().filter_map(|i| self.units.get(*i)) {
                seen += 1;
                pairs.extend(pair(unit, &mut dice));
                if pairs.len() >= plan.batch {
                    course.batch(&pairs);
                    pairs.clear();
                    progress(seen as f32 / total);
                }
            }
            // What is left over competes too, where there is anybody to compete with.
            if pairs.len() >= 8 {
                course.batch(&pairs);
            }
        }
        // Words that were seen once keep their letters' vector, which needs no place in the file.
        let mut kept = LearnedEmbedding {
            unseen: rarity(0),
            ..LearnedEmbedding::default()
        };
        let mut in_order: Vec<(String, u32)> = self.places.into_iter().collect();
        in_order.sort_unstable_by_key(|(_, place)| *place);
        for (word, place) in in_order {
            let place = place as usize;
            if self.seen_in.get(place).is_none_or(|n| *n < 2) {
                continue;
            }
            let from = place * DIMENSIONS;
            let (Some(vector), Some(weight)) =
                (vectors.get(from..from + DIMENSIONS), weights.get(place))
            else {
                continue;
            };
            kept.words.insert(word, (kept.words.len() as u32, *weight));
            kept.vectors.extend_from_slice(vector);
        }
        kept
    }
}

/// What must find what.
fn pair(unit: &Unit, dice: &mut Dice) -> Option<(Words, Words)> {
    let mut rest: Words = unit.about.clone();
    let asked: Words = if unit.title.len() >= 2 && dice.share() < 0.6 {
        rest.extend(unit.sentences.iter().flatten());
        unit.title.clone()
    } else if unit.sentences.len() >= 2 {
        let one = dice.below(unit.sentences.len());
        let stays = dice.share() < 0.1;
        for (i, sentence) in unit.sentences.iter().enumerate() {
            if stays || i != one {
                rest.extend(sentence);
            }
        }
        unit.sentences.get(one)?.clone()
    } else {
        let (asked, kept): (Words, Words) = unit
            .sentences
            .first()?
            .iter()
            .partition(|_| dice.share() < 0.5);
        rest.extend(kept);
        asked
    };
    let asked: Words = asked.into_iter().filter(|_| dice.share() > 0.1).collect();
    rest.sort_unstable();
    rest.dedup();
    (asked.len() >= 2 && rest.len() >= 3).then_some((asked, rest))
}

struct Course<'a> {
    weights: &'a [f32],
    vectors: &'a mut [f32],
    /// How much each word has been moved; who was moved much is moved less (Adagrad).
    steps: Vec<f32>,
    plan: &'a Plan,
}

impl Course<'_> {
    fn sum(&self, words: &[u32]) -> (Vec<f32>, f32) {
        let mut sum = vec![0f32; DIMENSIONS];
        for word in words {
            let from = *word as usize * DIMENSIONS;
            let weight = self.weights.get(*word as usize).copied().unwrap_or(0.0);
            if let Some(vector) = self.vectors.get(from..from + DIMENSIONS) {
                add(&mut sum, vector, weight);
            }
        }
        let length = normalise(&mut sum).max(1e-6);
        (sum, length)
    }

    fn batch(&mut self, pairs: &[(Words, Words)]) {
        let n = pairs.len();
        let asked: Vec<_> = pairs.iter().map(|(a, _)| self.sum(a)).collect();
        let rest: Vec<_> = pairs.iter().map(|(_, r)| self.sum(r)).collect();
        let heat = 1.0 / self.plan.temperature;
        // Likeness of everyone with everyone, then the share of each row and each column.
        let mut shares = vec![0f32; n * n];
        for (row, (a, _)) in shares.chunks_mut(n).zip(&asked) {
            for (cell, (r, _)) in row.iter_mut().zip(&rest) {
                *cell = ((dot(a, r) - 1.0) * heat).exp();
            }
        }
        let mut columns = vec![0f32; n];
        for row in shares.chunks(n) {
            add(&mut columns, row, 1.0);
        }
        let mut to_asked = vec![vec![0f32; DIMENSIONS]; n];
        let mut to_rest = vec![vec![0f32; DIMENSIONS]; n];
        for (i, (row, (a, _))) in shares.chunks(n).zip(&asked).enumerate() {
            let all: f32 = row.iter().sum::<f32>().max(1e-20);
            let Some(push) = to_asked.get_mut(i) else {
                continue;
            };
            let cells = row.iter().zip(&columns).zip(&rest).zip(&mut to_rest);
            for (j, (((share, column), (r, _)), pull)) in cells.enumerate() {
                let mut weight = (share / all + share / column.max(1e-20)) / 2.0;
                if i == j {
                    weight -= 1.0;
                }
                if weight.abs() > 1e-4 {
                    add(push, r, weight * heat);
                    add(pull, a, weight * heat);
                }
            }
        }
        let mut moves: HashMap<u32, usize> = HashMap::new();
        let mut touched: Vec<u32> = Vec::new();
        let mut slopes: Vec<f32> = Vec::new();
        let sides = [(&asked, &mut to_asked, true), (&rest, &mut to_rest, false)];
        for (at, slope, first) in sides {
            for (((vector, length), slope), (a, r)) in at.iter().zip(slope).zip(pairs) {
                // Through the scaling to length one.
                let along = dot(slope, vector);
                add(slope, vector, -along);
                for word in if first { a } else { r } {
                    let place = *moves.entry(*word).or_insert_with(|| {
                        touched.push(*word);
                        slopes.resize(slopes.len() + DIMENSIONS, 0.0);
                        touched.len() - 1
                    });
                    let weight = self.weights.get(*word as usize).copied().unwrap_or(0.0);
                    let from = place * DIMENSIONS;
                    if let Some(sum) = slopes.get_mut(from..from + DIMENSIONS) {
                        add(sum, slope, weight / length);
                    }
                }
            }
        }
        for (word, slope) in touched.iter().zip(slopes.chunks(DIMENSIONS)) {
            let Some(moved) = self.steps.get_mut(*word as usize) else {
                continue;
            };
            *moved += dot(slope, slope) / DIMENSIONS as f32;
            let step = self.plan.step / moved.sqrt();
            let from = *word as usize * DIMENSIONS;
            if let Some(vector) = self.vectors.get_mut(from..from + DIMENSIONS) {
                add(vector, slope, -step);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    fn records() -> Vec<Document> {
        let faults = [
            (
                "XSS",
                "cross-site scripting lets attackers inject script into pages",
            ),
            (
                "SQLi",
                "database statements are built from input of the request",
            ),
            (
                "RCE",
                "attackers execute commands of their choice on the server",
            ),
            ("SSRF", "the server can be made to fetch internal addresses"),
        ];
        (0..400)
            .map(|i| {
                let (short, long) = faults[i % faults.len()];
                let mut d = Document::new(format!("CVE-2024-{i:04}"), Kind::Cve, "test");
                d.title = format!("{short} in product{i}");
                d.text = format!("In product{i}, {long}. An update of product{i} is there.");
                d
            })
            .collect()
    }

    #[test]
    fn words_of_one_meaning_come_together_and_always_the_same_way() {
        let learn = || {
            let mut learner = Learner::default();
            records().iter().for_each(|d| learner.add(d));
            let plan = Plan {
                batch: 64,
                ..Plan::default()
            };
            learner.learn(&plan, &mut |_| {})
        };
        let learned = learn();
        let near = |a: &str, b: &str| dot(&learned.of(a), &learned.of(b));
        let (right, wrong) = (
            near("XSS", "cross-site scripting"),
            near("XSS", "database statements"),
        );
        assert!(right > wrong + 0.2, "{right} {wrong}");
        assert_eq!(learned.to_bytes(), learn().to_bytes());
        let again = LearnedEmbedding::from_bytes(&learned.to_bytes()).unwrap();
        assert_eq!(again.len(), learned.len());
        assert!(dot(&again.of("XSS in product9"), &learned.of("XSS in product9")) > 0.999);
    }
}
