//! Maven's `ComparableVersion` (maven.apache.org, "Version Order Specification"): tokens split at
//! `.`, `-`, `_` and between digits and letters, zeros trimmed, qualifiers with fixed places.

use std::cmp::Ordering;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Number(String),
    Word(String),
}

/// A token and whether a hyphen stood before it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    hyphen: bool,
    token: Token,
}

fn tokens(text: &str) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    let mut word = String::new();
    let mut hyphen = false;
    let mut push = |word: &mut String, hyphen: bool, before_digit: bool| {
        let text = std::mem::take(word);
        let token = match text.bytes().next() {
            None => Token::Number(String::new()),
            Some(b) if b.is_ascii_digit() => Token::Number(text.trim_start_matches('0').to_owned()),
            Some(_) => Token::Word(alias(&text, before_digit).to_owned()),
        };
        items.push(Item { hyphen, token });
    };
    for c in text.chars() {
        match c {
            '.' | '-' | '_' => {
                push(&mut word, hyphen, false);
                hyphen = c != '.';
            }
            c => {
                let changes = word
                    .chars()
                    .next_back()
                    .is_some_and(|last| last.is_ascii_digit() != c.is_ascii_digit());
                if changes {
                    push(&mut word, hyphen, c.is_ascii_digit());
                    hyphen = true;
                }
                word.extend(c.to_lowercase());
            }
        }
    }
    push(&mut word, hyphen, false);
    trimmed(items)
}

fn alias(word: &str, before_digit: bool) -> &str {
    match word {
        "a" if before_digit => "alpha",
        "b" if before_digit => "beta",
        "m" if before_digit => "milestone",
        "ga" | "final" | "release" => "",
        "cr" => "rc",
        word => word,
    }
}

fn null(token: &Token) -> bool {
    matches!(token, Token::Number(t) | Token::Word(t) if t.is_empty())
}

/// Null values are dropped at the end and before each hyphen.
fn trimmed(items: Vec<Item>) -> Vec<Item> {
    let mut kept: Vec<Item> = Vec::with_capacity(items.len());
    for item in items {
        if item.hyphen {
            while kept.len() > 1 && kept.last().is_some_and(|last| null(&last.token)) {
                kept.pop();
            }
        }
        kept.push(item);
    }
    while kept.len() > 1 && kept.last().is_some_and(|last| null(&last.token)) {
        kept.pop();
    }
    kept
}

fn place(word: &str) -> (u8, &str) {
    match word {
        "alpha" => (0, ""),
        "beta" => (1, ""),
        "milestone" => (2, ""),
        "rc" => (3, ""),
        "snapshot" => (4, ""),
        "" => (5, ""),
        "sp" => (6, ""),
        other => (7, other),
    }
}

/// Which class of token comes first: `.qualifier` = `-qualifier` < `-number` < `.number`.
fn class(item: &Item) -> u8 {
    match (&item.token, item.hyphen) {
        (Token::Word(_), _) => 0,
        (Token::Number(_), true) => 1,
        (Token::Number(_), false) => 2,
    }
}

fn order(a: &Item, b: &Item) -> Ordering {
    match (&a.token, &b.token) {
        (Token::Word(x), Token::Word(y)) => place(x).cmp(&place(y)),
        (Token::Number(x), Token::Number(y)) if a.hyphen == b.hyphen => {
            x.len().cmp(&y.len()).then_with(|| x.cmp(y))
        }
        _ => class(a).cmp(&class(b)),
    }
}

/// An item against nothing: padded with a null of its own kind.
fn against_nothing(item: &Item) -> Ordering {
    let null = match item.token {
        Token::Number(_) => Token::Number(String::new()),
        Token::Word(_) => Token::Word(String::new()),
    };
    order(
        item,
        &Item {
            hyphen: item.hyphen,
            token: null,
        },
    )
}

pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let sane = |t: &str| {
        t.bytes().any(|b| b.is_ascii_alphanumeric()) && t.bytes().all(|b| b.is_ascii_graphic())
    };
    if !sane(a) || !sane(b) {
        return None;
    }
    let (a, b) = (tokens(a), tokens(b));
    for i in 0..a.len().max(b.len()) {
        let order = match (a.get(i), b.get(i)) {
            (Some(x), Some(y)) => order(x, y),
            (Some(x), None) => against_nothing(x),
            (None, Some(y)) => against_nothing(y).reverse(),
            (None, None) => Ordering::Equal,
        };
        if order.is_ne() {
            return Some(order);
        }
    }
    Some(Ordering::Equal)
}
