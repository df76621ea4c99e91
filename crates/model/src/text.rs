//! Words of others made fit for a report.

/// A text that a report can hold: no control characters but line ends, and not too long.
pub fn plain(text: &str, limit: usize) -> String {
    let mut plain: String = text
        .chars()
        .take(limit)
        .map(|c| match c {
            '\n' | '\t' => c,
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect();
    if text.chars().nth(limit).is_some() {
        plain.push('…');
    }
    plain
}

/// On one line.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_gone_and_what_is_cut_says_so() {
        assert_eq!(plain("a\u{1b}[31m\n\tb", 20), "a\u{fffd}[31m\n\tb");
        assert_eq!(plain("äöü", 2), "äö…");
        assert_eq!(plain("äöü", 3), "äöü");
        assert_eq!(one_line(" a\n  b\t"), "a b");
    }
}
