//! Text to words: the same ones for the word index, the vectors and the check of an answer.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

/// A text is read this far.
const MAX_WORDS: usize = 8_000;
const MAX_WORD: usize = 64;

/// Words that every text has.
const STOP: &str = "a an and are as at be been but by can could do does for from had has have how \
    i if in into is it its may me my no not of on or our so such than that the their them then \
    there these they this to us was we were what when where which who will with would you your \
    version versions prior before after used use using";

static STOPPED: LazyLock<BTreeSet<&'static str>> =
    LazyLock::new(|| STOP.split_whitespace().collect());

/// Whether a text has it anyway.
pub fn is_stop(word: &str) -> bool {
    STOPPED.contains(word)
}

/// The words of a text, lower-case and stemmed, without stop words. `pandas-ai` gives three words:
/// its parts and, since people write it together too, `pandasai`.
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for run in text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '.' | '_'))) {
        if words.len() >= MAX_WORDS {
            break;
        }
        let run = run.trim_matches(['-', '.', '_']);
        if run.is_empty() || run.len() > 512 {
            continue;
        }
        let run = run.to_lowercase();
        let parts: Vec<&str> = run
            .split(['-', '.', '_'])
            .filter(|p| !p.is_empty())
            .collect();
        for part in &parts {
            push(&mut words, part);
        }
        let numbers = parts.iter().all(|p| p.bytes().all(|b| b.is_ascii_digit()));
        if (2..=3).contains(&parts.len()) && !numbers {
            let joined = parts.concat();
            if joined.len() <= MAX_WORD {
                words.push(joined);
            }
        }
    }
    words
}

fn push(words: &mut Vec<String>, part: &str) {
    if part.len() < 2 || part.len() > MAX_WORD || is_stop(part) {
        return;
    }
    words.push(stem(part).to_owned());
}

/// Cuts the endings of English words; what is left is no word, but the same for its relatives.
pub fn stem(word: &str) -> &str {
    const ENDINGS: [&str; 11] = [
        "ations", "ation", "ings", "ing", "ied", "ies", "edly", "ed", "es", "s", "ly",
    ];
    if !word.is_ascii() || word.bytes().any(|b| b.is_ascii_digit()) {
        return word;
    }
    for ending in ENDINGS {
        if let Some(stem) = word.strip_suffix(ending)
            && stem.len() >= 4
        {
            return stem;
        }
    }
    word
}

/// The sentences of a text: they end at a line's end too, and not within a version or a name.
pub fn sentences(text: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let mut start = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let ends = match c {
            '\n' => true,
            '.' | '!' | '?' => chars.peek().is_none_or(|(_, next)| next.is_whitespace()),
            _ => false,
        };
        if ends {
            let end = at + c.len_utf8();
            let sentence = text.get(start..end).unwrap_or_default().trim();
            let short_for = ["e.g.", "i.e.", "etc.", "vs.", "v.", "No.", "approx."];
            let abbreviated = c == '.' && short_for.iter().any(|s| sentence.ends_with(s));
            if !abbreviated {
                if !sentence.is_empty() {
                    all.push(sentence);
                }
                start = end;
            }
        }
    }
    let rest = text.get(start..).unwrap_or_default().trim();
    if !rest.is_empty() {
        all.push(rest);
    }
    all
}

/// [`words`] the way the word index asks for them.
#[derive(Clone, Default)]
pub struct Splitter;

/// The words of one text.
pub struct Stream {
    words: std::vec::IntoIter<String>,
    token: Token,
}

impl Tokenizer for Splitter {
    type TokenStream<'a> = Stream;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Stream {
        Stream {
            words: words(text).into_iter(),
            token: Token::default(),
        }
    }
}

impl TokenStream for Stream {
    fn advance(&mut self) -> bool {
        let Some(word) = self.words.next() else {
            return false;
        };
        self.token.position = self.token.position.wrapping_add(1);
        self.token.text = word;
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compounds_give_their_parts_and_the_whole() {
        assert_eq!(words("pandas-ai 1.2.3"), ["panda", "ai", "pandasai"]);
        assert_eq!(words("The Form.io"), ["form", "io", "formio"]);
        assert_eq!(words("injections of requests"), words("Injection, request"));
    }

    #[test]
    fn sentences_end_where_they_end() {
        let text = "Fixed in 1.2.3 (e.g. by vendors). Upgrade now!\n- one\nlast";
        assert_eq!(
            sentences(text),
            [
                "Fixed in 1.2.3 (e.g. by vendors).",
                "Upgrade now!",
                "- one",
                "last"
            ]
        );
    }
}
