//! Rego's tokens with their places; only as fine as rewriting needs.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A name or keyword.
    Word,
    Number,
    /// Quoted or raw.
    Text,
    /// One punctuation character, or `:=`, `==`, `!=`, `<=`, `>=`.
    Sign,
}

/// A token: its kind and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
    /// A line break stands between it and the token before.
    pub fresh: bool,
}

/// Cuts a source into tokens; comments and white space are left out.
pub(crate) fn tokens(source: &str) -> Result<Vec<Token>, String> {
    let bytes = source.as_bytes();
    let at = |i: usize| bytes.get(i).copied().unwrap_or(0);
    let mut all = Vec::new();
    let mut i = 0;
    let mut fresh = true;
    while i < bytes.len() {
        let start = i;
        let kind = match at(i) {
            b'\n' => {
                fresh = true;
                i += 1;
                continue;
            }
            b' ' | b'\t' | b'\r' => {
                i += 1;
                continue;
            }
            b'#' => {
                while i < bytes.len() && at(i) != b'\n' {
                    i += 1;
                }
                continue;
            }
            b'"' => {
                i += 1;
                while at(i) != b'"' {
                    if i >= bytes.len() || at(i) == b'\n' {
                        return Err("a text without its closing quote".into());
                    }
                    i += if at(i) == b'\\' { 2 } else { 1 };
                }
                i += 1;
                Kind::Text
            }
            b'`' => {
                i += 1;
                while at(i) != b'`' {
                    if i >= bytes.len() {
                        return Err("a raw text without its closing quote".into());
                    }
                    i += 1;
                }
                i += 1;
                Kind::Text
            }
            b'0'..=b'9' => {
                while at(i).is_ascii_alphanumeric() || at(i) == b'.' {
                    i += 1;
                }
                Kind::Number
            }
            c if c.is_ascii_alphabetic() || c == b'_' => {
                while at(i).is_ascii_alphanumeric() || at(i) == b'_' {
                    i += 1;
                }
                Kind::Word
            }
            c if c.is_ascii() => {
                let two = matches!(c, b':' | b'=' | b'!' | b'<' | b'>') && at(i + 1) == b'=';
                i += if two { 2 } else { 1 };
                Kind::Sign
            }
            _ => return Err("a character outside ASCII that is in no text or comment".into()),
        };
        all.push(Token {
            kind,
            start,
            end: i.min(bytes.len()),
            fresh,
        });
        fresh = false;
    }
    Ok(all)
}

impl Token {
    /// Its text.
    pub(crate) fn text<'s>(&self, source: &'s str) -> &'s str {
        source.get(self.start..self.end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_texts_and_signs() {
        let source = "a.b := `x\n\"` # c\n \"q\\\"\" != 1.5e3";
        let texts: Vec<_> = tokens(source)
            .unwrap()
            .iter()
            .map(|t| (t.text(source), t.fresh))
            .collect();
        assert_eq!(
            texts,
            [
                ("a", true),
                (".", false),
                ("b", false),
                (":=", false),
                ("`x\n\"`", false),
                ("\"q\\\"\"", true),
                ("!=", false),
                ("1.5e3", false)
            ]
        );
        assert!(tokens("\"open").is_err());
        assert!(tokens("\"\\").is_err());
    }
}
