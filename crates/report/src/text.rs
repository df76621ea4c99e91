//! Hostile text made harmless, and figures made readable.

use bartizan_model::{Asset, Location, Severity, Timestamp};

/// One line without control, bidirectional and invisible formatting characters, which can
/// move the cursor, hide text or reorder it.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            c => out.push(visible(c)),
        }
    }
    out.trim().to_owned()
}

/// As [`clean`], but lines stay lines.
pub(crate) fn clean_block(text: &str) -> String {
    let mut lines: Vec<String> = text
        .trim()
        .lines()
        .map(|l| l.trim_end())
        .map(clean_line)
        .collect();
    // What markup leaves behind where it was taken out.
    lines.dedup_by(|line, before| line.is_empty() && before.is_empty());
    lines.join("\n")
}

fn clean_line(line: &str) -> String {
    line.chars()
        .map(|c| if c == '\t' { ' ' } else { visible(c) })
        .collect()
}

fn visible(c: char) -> char {
    if c.is_control() || is_format(c) {
        '\u{fffd}'
    } else {
        c
    }
}

/// Characters that change how others are shown: bidirectional controls, zero-width
/// characters, line separators, tags.
fn is_format(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

/// The shape that stands for a severity, so that colour never stands alone.
pub(crate) fn shape(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "◆",
        Severity::High => "▲",
        Severity::Medium => "■",
        Severity::Low => "▼",
        Severity::Info => "○",
    }
}

/// `shop/web`, or `web` where there is no namespace.
pub(crate) fn qualified(asset: &Asset) -> String {
    match asset.namespace.as_str() {
        "" => clean(&asset.name),
        namespace => clean(&format!("{namespace}/{}", asset.name)),
    }
}

/// `file:line`.
pub(crate) fn place(location: &Location) -> String {
    clean(&format!("{}:{}", location.file, location.line))
}

/// `2026-11-21 09:00 UTC`.
pub(crate) fn minute(at: Timestamp) -> String {
    let text = at.to_string();
    let (day, time) = text.split_once('T').unwrap_or((&text, ""));
    format!("{day} {} UTC", time.get(..5).unwrap_or_default())
}

/// `71.4`, or `–` where there is nothing to say. What is not all is never shown as 100.
pub(crate) fn percent(value: Option<f64>) -> String {
    match value {
        Some(value) if value < 100.0 => format!("{:.1}", value.min(99.9)),
        Some(value) => format!("{value:.1}"),
        None => "–".to_owned(),
    }
}

/// `1 finding`, `2 findings`.
pub(crate) fn counted(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// Whether an address may become a link.
pub(crate) fn is_link(address: &str) -> bool {
    (address.starts_with("https://") || address.starts_with("http://"))
        && !address.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// The last part of a check's uid, which people know it by.
pub(crate) fn rule(uid: &bartizan_model::CheckUid) -> String {
    let text = uid.as_str();
    // engine/content/rule; the rule itself may hold slashes.
    clean(text.splitn(3, '/').nth(2).unwrap_or(text))
}

/// Whatever is not a letter, a digit or one of `keep` as `%XX`.
pub(crate) fn encode(text: &str, keep: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || keep.as_bytes().contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_one_harmless_line() {
        assert_eq!(
            clean("a\x1b[31mred\x1b[0m\r\n b\u{202e}c\u{200b}\0"),
            "a\u{fffd}[31mred\u{fffd}[0m  b\u{fffd}c\u{fffd}\u{fffd}"
        );
        assert_eq!(clean_block("a\x1b\r\n\tb  \n"), "a\u{fffd}\n b");
    }

    #[test]
    fn only_addresses_become_links() {
        assert!(is_link("https://example.org/a"));
        for no in [
            "javascript:alert(1)",
            "data:text/html,x",
            "//x",
            "https://a b",
            "",
        ] {
            assert!(!is_link(no), "{no}");
        }
    }

    #[test]
    fn figures() {
        assert_eq!(percent(Some(99.96)), "99.9");
        assert_eq!(percent(Some(66.67)), "66.7");
        assert_eq!(percent(Some(100.0)), "100.0");
        assert_eq!(percent(None), "–");
        assert_eq!(
            minute(Timestamp::parse("2026-11-21T09:00:59.5Z").unwrap()),
            "2026-11-21 09:00 UTC"
        );
    }
}
