//! Words: how text is cut, on the way in and in a query, the same for both back ends.

/// Letters a token keeps; longer ones are cut, so that a hostile message cannot bloat the index.
const LONGEST: usize = 64;

/// Tokens of one finding that are indexed.
const MOST: usize = 400;

/// Cuts text into lower-case runs of letters and digits.
pub(crate) fn tokens(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(MOST)
        .map(|word| {
            word.chars()
                .take(LONGEST)
                .flat_map(char::to_lowercase)
                .collect()
        })
        .collect()
}

/// The query of SQLite's FTS5: all of the words.
pub(crate) fn fts5(words: &[String]) -> String {
    words
        .iter()
        .map(|w| format!("\"{w}\""))
        .collect::<Vec<_>>()
        .join(" AND ")
}

/// The query of PostgreSQL's `tsquery`: all of the words.
pub(crate) fn tsquery(words: &[String]) -> String {
    words
        .iter()
        .map(|w| format!("'{w}'"))
        .collect::<Vec<_>>()
        .join(" & ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_at_everything_that_is_no_letter_or_digit() {
        assert_eq!(
            tokens("rego/Bartizan k8s-psp: \"x\" OR NEAR(é) \u{0}*"),
            ["rego", "bartizan", "k8s", "psp", "x", "or", "near", "é"]
        );
        assert_eq!(fts5(&tokens("a\" OR b")), "\"a\" AND \"or\" AND \"b\"");
    }
}
