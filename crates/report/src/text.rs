//! Hostile text made harmless for terminals.

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
            c if c.is_control() || is_format(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out.trim_end().to_owned()
}

/// Characters that change how others are shown: bidirectional controls, zero-width
/// characters, line separators, tags.
fn is_format(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}
