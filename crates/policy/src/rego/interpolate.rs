//! Texts with expressions in them (`$"a {x}"`, Rego v1), which the engine does not have.
//!
//! OPA puts each expression into a set, writes that set's only member, and `<undefined>` where it
//! is empty. So the text becomes a call of a built-in of ours with such sets.

use super::builtins::OPERATORS;

/// Rewrites them; the error says which one cannot be read.
pub(crate) fn rewrite(source: &str) -> Result<String, String> {
    if !source.contains("$\"") && !source.contains("$`") {
        return Ok(source.to_owned());
    }
    let mut reader = Reader {
        rest: source,
        next: 0,
    };
    let mut out = String::with_capacity(source.len() + 256);
    reader.copy(&mut out, None)?;
    Ok(out)
}

struct Reader<'s> {
    rest: &'s str,
    next: usize,
}

/// Texts within texts are not read deeper than this.
const DEPTH: usize = 16;

impl<'s> Reader<'s> {
    /// Takes what is before a byte, which is there.
    fn take(&mut self, bytes: usize) -> &'s str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn character(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.take(c.len_utf8());
        Some(c)
    }

    /// Copies code; within a text, to the bracket that closes the expression.
    fn copy(&mut self, out: &mut String, within: Option<usize>) -> Result<(), String> {
        let mut depth = 0_usize;
        while let Some(c) = self.rest.chars().next() {
            match c {
                '#' => {
                    let end = self.rest.find('\n').unwrap_or(self.rest.len());
                    out.push_str(self.take(end));
                }
                '"' | '`' => {
                    let end = closing(self.rest, c);
                    out.push_str(self.take(end));
                }
                '$' if self.rest.starts_with("$\"") || self.rest.starts_with("$`") => {
                    let level = within.unwrap_or(0) + 1;
                    if level > DEPTH {
                        return Err(format!("texts within texts deeper than {DEPTH}"));
                    }
                    self.take(1);
                    self.text(out, level)?;
                }
                '}' if within.is_some() && depth == 0 => return Ok(()),
                ';' if within.is_some() && depth == 0 => {
                    return Err("an expression within a text has a `;`".into());
                }
                _ => {
                    match c {
                        '{' | '[' | '(' => depth += 1,
                        '}' | ']' | ')' => depth = depth.saturating_sub(1),
                        _ => {}
                    }
                    out.push_str(self.take(c.len_utf8()));
                }
            }
        }
        match within {
            Some(_) => Err("an expression within a text does not end".into()),
            None => Ok(()),
        }
    }

    /// From its opening quote to its closing one.
    fn text(&mut self, out: &mut String, level: usize) -> Result<(), String> {
        let quote = self.character().unwrap_or('"');
        let mut parts: Vec<String> = Vec::new();
        let mut plain = String::new();
        let whole = |plain: &mut String| format!("{quote}{}{quote}", std::mem::take(plain));
        loop {
            let open = || String::from("a text without its closing quote");
            match self.character().ok_or_else(open)? {
                c if c == quote => break,
                '\n' if quote == '"' => return Err(open()),
                '\\' => match self.character().ok_or_else(open)? {
                    brace @ ('{' | '}') => plain.push(brace),
                    other => plain.extend(['\\', other]),
                },
                '{' => {
                    if !plain.is_empty() {
                        parts.push(whole(&mut plain));
                    }
                    let mut expression = String::new();
                    self.copy(&mut expression, Some(level))?;
                    self.take(1);
                    if expression.trim().is_empty() {
                        return Err("an expression within a text is empty".into());
                    }
                    let name = format!("bartizan_text_{}", self.next);
                    self.next += 1;
                    parts.push(format!("{{{name} | {name} := {}}}", expression.trim()));
                }
                c => plain.push(c),
            }
        }
        if !plain.is_empty() || parts.is_empty() {
            parts.push(whole(&mut plain));
        }
        out.push_str(&format!("{OPERATORS}.text([{}])", parts.join(", ")));
        Ok(())
    }
}

/// Where a plain text ends that begins here.
fn closing(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::rewrite;

    #[test]
    fn texts_become_calls() {
        for (source, wanted) in [
            ("x := $\"\"", "x := op.text([\"\"])"),
            ("x := \"$\" # $\"{\"", "x := \"$\" # $\"{\""),
            (
                "x := $\"a\\\"{input.b[\"}\"]} c\\{\"",
                "x := op.text([\"a\\\"\", {t0 | t0 := input.b[\"}\"]}, \" c{\"])",
            ),
            (
                "x := $`a\\b{ {1} | s }`",
                "x := op.text([`a\\b`, {t0 | t0 := {1} | s}])",
            ),
            (
                "x := $\"{f($\"{y}\")}\"",
                "x := op.text([{t1 | t1 := f(op.text([{t0 | t0 := y}]))}])",
            ),
        ] {
            let got = rewrite(source).unwrap();
            let got = got.replace("bartizan_text_", "t");
            assert_eq!(got.replace("bartizan_op.", "op."), wanted);
        }
    }

    #[test]
    fn what_does_not_end_is_refused() {
        let deep = "$\"{".repeat(100_000);
        for source in [
            "$\"a",
            "$\"{a\"",
            "$\"{}\"",
            "$\"{a; b}\"",
            "$\"a\n\"",
            "$`",
            &deep,
        ] {
            assert!(rewrite(source).is_err());
        }
    }
}
