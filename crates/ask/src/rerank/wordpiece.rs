//! The words that BERT models know: text to their numbers, by a vocabulary file of one word a line.

use crate::AskError;
use std::collections::HashMap;

const MAX_VOCABULARY: usize = 8 << 20;
const MAX_WORD: usize = 100;

/// A vocabulary.
#[derive(Debug, Clone)]
pub struct WordPiece {
    pieces: HashMap<String, u32>,
    unknown: u32,
    begin: u32,
    end: u32,
}

impl WordPiece {
    /// Of a `vocab.txt`.
    pub fn read(vocabulary: &str) -> Result<Self, AskError> {
        if vocabulary.len() > MAX_VOCABULARY {
            return Err(AskError::Model("the vocabulary is too large".to_owned()));
        }
        let pieces: HashMap<String, u32> = vocabulary
            .lines()
            .enumerate()
            .map(|(i, word)| (word.trim_end().to_owned(), i as u32))
            .collect();
        let special = |name: &str| {
            pieces
                .get(name)
                .copied()
                .ok_or_else(|| AskError::Model(format!("the vocabulary has no {name}")))
        };
        Ok(Self {
            unknown: special("[UNK]")?,
            begin: special("[CLS]")?,
            end: special("[SEP]")?,
            pieces,
        })
    }

    /// The numbers of a text, at most so many, between the marks of beginning and end.
    pub fn encode(&self, text: &str, most: usize) -> Vec<u32> {
        let mut ids = vec![self.begin];
        let room = most.saturating_sub(1);
        let lower = text.to_lowercase();
        let mut word = String::new();
        for c in lower.chars().chain(std::iter::once(' ')) {
            if ids.len() >= room {
                break;
            }
            if c.is_alphanumeric() {
                word.push(c);
                continue;
            }
            if !word.is_empty() {
                self.word(&word, &mut ids);
                word.clear();
            }
            if !c.is_whitespace() && !c.is_control() {
                ids.push(self.piece(&c.to_string()).unwrap_or(self.unknown));
            }
        }
        ids.truncate(room.max(1));
        ids.push(self.end);
        ids
    }

    fn piece(&self, text: &str) -> Option<u32> {
        self.pieces.get(text).copied()
    }

    /// The longest known beginning, then the longest known continuation, until nothing is left.
    fn word(&self, word: &str, ids: &mut Vec<u32>) {
        if word.chars().count() > MAX_WORD {
            ids.push(self.unknown);
            return;
        }
        let begun = ids.len();
        let mut rest = word;
        while !rest.is_empty() {
            let ends = rest.char_indices().map(|(i, c)| i + c.len_utf8()).rev();
            let found = ends.into_iter().find_map(|end| {
                let part = rest.get(..end)?;
                let id = if rest.len() == word.len() {
                    self.piece(part)
                } else {
                    self.piece(&format!("##{part}"))
                };
                Some((id?, end))
            });
            match found {
                Some((id, end)) => {
                    ids.push(id);
                    rest = rest.get(end..).unwrap_or_default();
                }
                None => {
                    ids.truncate(begun);
                    ids.push(self.unknown);
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_pieces_win_and_what_is_unknown_says_so() {
        let words = WordPiece::read("[UNK]\n[CLS]\n[SEP]\nover\n##flow\nover##\n.\nflow").unwrap();
        assert_eq!(words.encode("Overflow. flow", 16), [1, 3, 4, 6, 7, 2]);
        assert_eq!(words.encode("overfull over", 16), [1, 0, 3, 2]);
        assert_eq!(words.encode("flow flow flow", 4), [1, 7, 7, 2]);
        assert!(WordPiece::read("a\nb").is_err());
    }
}
