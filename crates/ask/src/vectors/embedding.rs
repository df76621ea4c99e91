//! A vector for each word, for unknown words from their letters, and for a text from its words.

use super::{DIMENSIONS, Dice, add, hash, normalise};
use crate::{AskError, words};
use std::collections::HashMap;

const MAGIC: &[u8; 8] = b"bzwords1";
const FILE: &str = "words.bin";
/// More words than this are not learned; there are some 100,000 in 300,000 records.
pub(super) const MAX_WORDS: usize = 400_000;

/// The name of vectors that were learned from the records.
pub const LEARNED: &str = "learned";

/// Whatever makes vectors of texts: ours, or an endpoint's behind whoever can reach it.
pub trait Embedding: Send + Sync {
    /// What made the vectors; two of different names cannot be compared.
    fn name(&self) -> String;

    /// How long they are; an endpoint has to be asked.
    fn dimensions(&self) -> Result<usize, AskError>;

    /// One vector of length one a text; all zero for a text without words.
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, AskError>;
}

/// Vectors of words, learned from the records (see `learn`).
#[derive(Debug, Clone, Default)]
pub struct LearnedEmbedding {
    /// A word's place and the weight of its rarity.
    pub(super) words: HashMap<String, (u32, f32)>,
    pub(super) vectors: Vec<f32>,
    /// The weight of a word that was never seen.
    pub(super) unseen: f32,
}

/// Where a word's vector starts before anything is learned, and what an unknown word has: the sum
/// of random vectors of its groups of letters, so that words that share letters stand near.
pub(super) fn sketch(word: &str) -> Vec<f32> {
    let mut sum = vec![0f32; DIMENSIONS];
    let framed: Vec<char> = std::iter::once('<')
        .chain(word.chars())
        .chain(std::iter::once('>'))
        .collect();
    for n in 3..=5 {
        for gram in framed.windows(n) {
            let text: String = gram.iter().collect();
            let mut dice = Dice(hash(text.as_bytes()));
            // Long groups say more than short ones, which every other word has too.
            let weight = (n - 1) as f32 * 0.5;
            for chunk in sum.chunks_mut(64) {
                let bits = dice.next();
                for (i, s) in chunk.iter_mut().enumerate() {
                    *s += if bits >> i & 1 == 1 { weight } else { -weight };
                }
            }
        }
    }
    normalise(&mut sum);
    sum
}

impl LearnedEmbedding {
    /// How many words it knows.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether it knows none.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The vector of one text.
    pub fn of(&self, text: &str) -> Vec<f32> {
        let mut unique = words::words(text);
        unique.sort_unstable();
        unique.dedup();
        let mut sum = vec![0f32; DIMENSIONS];
        for word in &unique {
            match self.words.get(word) {
                Some((at, weight)) => {
                    let from = *at as usize * DIMENSIONS;
                    if let Some(vector) = self.vectors.get(from..from + DIMENSIONS) {
                        add(&mut sum, vector, *weight);
                    }
                }
                None => add(&mut sum, &sketch(word), self.unseen),
            }
        }
        normalise(&mut sum);
        sum
    }

    /// As a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut by_place: Vec<(&String, &(u32, f32))> = self.words.iter().collect();
        by_place.sort_unstable_by_key(|(_, (at, _))| *at);
        let mut out = Vec::with_capacity(24 + self.words.len() * (DIMENSIONS + 24));
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&(by_place.len() as u32).to_le_bytes());
        out.extend_from_slice(&self.unseen.to_le_bytes());
        for (word, (at, weight)) in by_place {
            out.push(word.len().min(255) as u8);
            out.extend_from_slice(word.as_bytes().get(..word.len().min(255)).unwrap_or(&[]));
            out.extend_from_slice(&weight.to_le_bytes());
            let from = *at as usize * DIMENSIONS;
            let vector = self.vectors.get(from..from + DIMENSIONS).unwrap_or(&[]);
            let largest = vector.iter().fold(0f32, |m, v| m.max(v.abs())).max(1e-9);
            out.extend_from_slice(&(largest / 127.0).to_le_bytes());
            out.extend(
                vector
                    .iter()
                    .map(|v| (v / largest * 127.0).round() as i8 as u8),
            );
        }
        out
    }

    /// From a file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AskError> {
        let broken = |why: &str| AskError::Broken {
            file: FILE,
            why: why.to_owned(),
        };
        let mut rest = bytes;
        let mut take = |n: usize| -> Result<&[u8], AskError> {
            let (head, tail) = rest
                .split_at_checked(n)
                .ok_or_else(|| broken("it ends early"))?;
            rest = tail;
            Ok(head)
        };
        if take(8)? != MAGIC {
            return Err(broken("it is no file of words"));
        }
        let count = u32::from_le_bytes(four(take(4)?)) as usize;
        if count > MAX_WORDS || count.saturating_mul(DIMENSIONS) > bytes.len() {
            return Err(broken("it claims more words than it has"));
        }
        let unseen = f32::from_le_bytes(four(take(4)?));
        let mut words = HashMap::with_capacity(count);
        let mut vectors = Vec::with_capacity(count * DIMENSIONS);
        for at in 0..count {
            let length = usize::from(take(1)?.first().copied().unwrap_or_default());
            let word = std::str::from_utf8(take(length)?)
                .map_err(|_| broken("a word is no text"))?
                .to_owned();
            let weight = f32::from_le_bytes(four(take(4)?));
            let scale = f32::from_le_bytes(four(take(4)?));
            if !weight.is_finite() || !scale.is_finite() {
                return Err(broken("a weight is no number"));
            }
            vectors.extend(
                take(DIMENSIONS)?
                    .iter()
                    .map(|b| f32::from(*b as i8) * scale),
            );
            words.insert(word, (at as u32, weight));
        }
        Ok(Self {
            words,
            vectors,
            unseen: if unseen.is_finite() { unseen } else { 1.0 },
        })
    }
}

fn four(bytes: &[u8]) -> [u8; 4] {
    bytes.try_into().unwrap_or_default()
}

impl Embedding for LearnedEmbedding {
    fn name(&self) -> String {
        LEARNED.to_owned()
    }

    fn dimensions(&self) -> Result<usize, AskError> {
        Ok(DIMENSIONS)
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, AskError> {
        Ok(texts.iter().map(|t| self.of(t)).collect())
    }
}
