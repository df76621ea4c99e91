//! Regular expressions of Go, written for Rust's engine. Both are automata without
//! backtracking; what differs is classes, a few escapes, and what one has and the other not.

use regex::{Regex, RegexBuilder};

/// Longer patterns are refused.
const LONGEST: usize = 10_000;

/// Compiles a pattern as Go's `regexp` reads it.
pub(in super::super) fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > LONGEST {
        return Err("a pattern is too long".into());
    }
    let rust = translate(pattern)?;
    RegexBuilder::new(&rust)
        .size_limit(2 << 20)
        .dfa_size_limit(2 << 20)
        .nest_limit(100)
        .build()
        .map_err(|e| {
            let text = e.to_string();
            let last = text.lines().last().unwrap_or_default();
            format!(
                "illegal pattern {pattern:?}: {}",
                last.trim_start_matches("error: ")
            )
        })
}

/// Perl's classes, which are of ASCII in Go; outside and inside of brackets.
fn class(letter: char) -> Option<(&'static str, &'static str)> {
    Some(match letter {
        'd' => ("[0-9]", "0-9"),
        'D' => ("[^0-9]", "[^0-9]"),
        's' => ("[\\t\\n\\f\\r ]", "\\t\\n\\f\\r "),
        'S' => ("[^\\t\\n\\f\\r ]", "[^\\t\\n\\f\\r ]"),
        'w' => ("[0-9A-Za-z_]", "0-9A-Za-z_"),
        'W' => ("[^0-9A-Za-z_]", "[^0-9A-Za-z_]"),
        _ => return None,
    })
}

fn translate(pattern: &str) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    let mut in_class = false;
    while let Some(c) = rest.chars().next() {
        let tail = rest.get(c.len_utf8()..).unwrap_or_default();
        if c == '\\' {
            rest = escape(tail, in_class, &mut out)?;
            continue;
        }
        rest = tail;
        match c {
            '[' if !in_class => {
                in_class = true;
                out.push('[');
                if let Some(after) = rest.strip_prefix('^') {
                    out.push('^');
                    rest = after;
                }
                // A bracket that stands first is itself.
                if let Some(after) = rest.strip_prefix(']') {
                    out.push_str("\\]");
                    rest = after;
                }
            }
            '[' if rest.starts_with(':') => {
                let end = rest.find(":]").ok_or("a character class without an end")?;
                let (name, after) = rest.split_at_checked(end + 2).unwrap_or((rest, ""));
                out.push('[');
                out.push_str(name);
                rest = after;
            }
            '[' => out.push_str("\\["),
            ']' => {
                in_class = false;
                out.push(']');
            }
            // Set operations of Rust's classes are characters in Go.
            '&' | '~' if in_class => {
                out.push('\\');
                out.push(c);
            }
            '-' if in_class && rest.starts_with('-') => out.push_str("\\-"),
            '(' if !in_class && rest.starts_with('?') => {
                let flags: String = rest
                    .chars()
                    .skip(1)
                    .take_while(|c| c.is_ascii_alphabetic() || *c == '-')
                    .collect();
                let group = rest.starts_with("?P<") || rest.starts_with("?<");
                if !group
                    && flags
                        .chars()
                        .any(|c| !matches!(c, 'i' | 'm' | 's' | 'U' | '-'))
                {
                    return Err(format!("illegal pattern {pattern:?}: unknown flags"));
                }
                out.push('(');
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

/// What stands behind a backslash; returns what is left.
fn escape<'t>(tail: &'t str, in_class: bool, out: &mut String) -> Result<&'t str, String> {
    let letter = tail
        .chars()
        .next()
        .ok_or("a pattern that ends in a backslash")?;
    let rest = tail.get(letter.len_utf8()..).unwrap_or_default();
    if let Some((outside, inside)) = class(letter) {
        out.push_str(if in_class { inside } else { outside });
        return Ok(rest);
    }
    match letter {
        'Q' if !in_class => {
            let end = rest.find("\\E").unwrap_or(rest.len());
            let (literal, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
            out.push_str(&regex::escape(literal));
            return Ok(after.strip_prefix("\\E").unwrap_or(after));
        }
        'b' | 'B' if !in_class => {
            out.push_str(if letter == 'b' {
                "(?-u:\\b)"
            } else {
                "(?-u:\\B)"
            });
            return Ok(rest);
        }
        'A' | 'z' if !in_class => {}
        'a' | 'f' | 'n' | 'r' | 't' | 'v' | 'x' | 'p' | 'P' => {}
        '0'..='7' => {
            let digits: String = rest.chars().take_while(|c| c.is_digit(8)).take(2).collect();
            // Go has no references back: a single digit that is no zero means nothing.
            if letter != '0' && digits.is_empty() {
                return Err(format!("unknown escape \\{letter} in a pattern"));
            }
            let value = u32::from_str_radix(&format!("{letter}{digits}"), 8).unwrap_or(0);
            out.push_str(&format!("\\x{{{value:x}}}"));
            return Ok(rest.get(digits.len()..).unwrap_or_default());
        }
        c if c.is_ascii_alphanumeric() => {
            return Err(format!("unknown escape \\{c} in a pattern"));
        }
        c => {
            out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
            if in_class && matches!(c, '&' | '~' | '-') && !out.ends_with(&format!("\\{c}")) {
                let _ = out.pop();
                out.push('\\');
                out.push(c);
            }
            return Ok(rest);
        }
    }
    out.push('\\');
    out.push(letter);
    Ok(rest)
}
