//! OVAL's functions of variables.
//!
//! Arguments and results are bounded: a few variables of many values would otherwise multiply
//! to any number.

mod glob;
mod number;
mod time;

use super::model::Function;
use crate::probe::Context;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Values that one function may give.
const MAX_VALUES: usize = 100_000;
/// Bytes of all the values that one function may give.
const MAX_BYTES: usize = 64 << 20;

/// Values being gathered, with their bounds.
#[derive(Default)]
struct Values {
    values: Vec<Arc<str>>,
    bytes: usize,
}

impl Values {
    fn push(&mut self, value: impl Into<Arc<str>>) -> Result<(), String> {
        let value = value.into();
        self.bytes = self.bytes.saturating_add(value.len());
        if self.values.len() >= MAX_VALUES || self.bytes > MAX_BYTES {
            return Err("function has too many values".into());
        }
        self.values.push(value);
        Ok(())
    }
}

/// Applies a function to its arguments, each a list of values. A function of one argument looks
/// at the first one only.
pub fn apply(
    function: &Function,
    arguments: Vec<Vec<Arc<str>>>,
    context: &Context<'_>,
) -> Result<Vec<Arc<str>>, String> {
    let mut values = Values::default();
    match function {
        Function::Arithmetic { multiply } => {
            number::arithmetic(*multiply, &arguments, &mut values)?;
        }
        Function::Begin(prefix) => {
            for text in first(&arguments)? {
                if text.starts_with(&**prefix) {
                    values.push(Arc::clone(text))?;
                } else {
                    values.push(format!("{prefix}{text}"))?;
                }
            }
        }
        Function::Concat => concat(&arguments, &mut values)?,
        Function::Count => {
            let count: usize = arguments.iter().map(Vec::len).sum();
            values.push(count.to_string())?;
        }
        Function::End(suffix) => {
            for text in first(&arguments)? {
                if text.ends_with(&**suffix) {
                    values.push(Arc::clone(text))?;
                } else {
                    values.push(format!("{text}{suffix}"))?;
                }
            }
        }
        Function::EscapeRegex => {
            for text in first(&arguments)? {
                values.push(escape_regex(text))?;
            }
        }
        Function::GlobToRegex { noescape } => {
            for text in first(&arguments)? {
                values.push(glob::to_regex(text, *noescape)?)?;
            }
        }
        Function::RegexCapture(pattern) => {
            regex_capture(pattern, first(&arguments)?, context, &mut values)?;
        }
        Function::Split(delimiter) => {
            for text in first(&arguments)? {
                split(text, delimiter, &mut values)?;
            }
        }
        Function::Substring { start, length } => {
            for text in first(&arguments)? {
                values.push(substring(text, *start, *length)?)?;
            }
        }
        Function::TimeDifference { format_1, format_2 } => {
            time::difference(*format_1, *format_2, &arguments, &mut values)?;
        }
        Function::Unique => {
            // In the order of their bytes, as OpenSCAP gives them.
            let unique: BTreeSet<&Arc<str>> = arguments.iter().flatten().collect();
            for text in unique {
                values.push(Arc::clone(text))?;
            }
        }
    }
    Ok(values.values)
}

fn first(arguments: &[Vec<Arc<str>>]) -> Result<&[Arc<str>], String> {
    arguments
        .first()
        .map(Vec::as_slice)
        .ok_or_else(|| "function has no argument".into())
}

/// How many results the product of the arguments has; an error when that is too many.
fn product(mut counts: impl Iterator<Item = usize>) -> Result<usize, String> {
    counts
        .try_fold(1usize, |product, count| product.checked_mul(count))
        .filter(|product| *product <= MAX_VALUES)
        .ok_or_else(|| "function has too many values".into())
}

/// Each combination, the first argument changing fastest. An argument without values adds
/// nothing to the text.
fn concat(arguments: &[Vec<Arc<str>>], values: &mut Values) -> Result<(), String> {
    let filled: Vec<&Vec<Arc<str>>> = arguments.iter().filter(|list| !list.is_empty()).collect();
    let count = product(filled.iter().map(|list| list.len()))?;
    for index in 0..count {
        let mut text = String::new();
        let mut rest = index;
        for list in &filled {
            if let Some(value) = list.get(rest % list.len()) {
                text.push_str(value);
            }
            rest /= list.len();
            if text.len() > MAX_BYTES {
                return Err("function has too long values".into());
            }
        }
        values.push(text)?;
    }
    Ok(())
}

/// A backslash before each character that means something in a pattern.
fn escape_regex(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if r"^$\.[](){}*+?|".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// The first group of each text's first match; empty where there is no match or no such group.
fn regex_capture(
    pattern: &str,
    texts: &[Arc<str>],
    context: &Context<'_>,
    values: &mut Values,
) -> Result<(), String> {
    let pattern = context
        .pattern(pattern)
        .ok_or_else(|| format!("pattern does not compile: {pattern}"))?;
    for text in texts {
        let found = pattern.find(text.as_bytes())?;
        let group = found
            .and_then(|groups| groups.get(1).copied().flatten())
            .and_then(|(start, end)| text.as_bytes().get(start..end))
            .unwrap_or_default();
        values.push(String::from_utf8_lossy(group))?;
    }
    Ok(())
}

/// The parts between the delimiters; the characters where there is no delimiter.
fn split(text: &str, delimiter: &str, values: &mut Values) -> Result<(), String> {
    if delimiter.is_empty() {
        for character in text.chars() {
            values.push(character.encode_utf8(&mut [0; 4]) as &str)?;
        }
    } else {
        for part in text.split(delimiter) {
            values.push(part)?;
        }
    }
    Ok(())
}

/// `length` bytes from `start`, which counts from 1; all the rest where `length` is negative.
fn substring(text: &str, start: i64, length: i64) -> Result<Arc<str>, String> {
    let skip = usize::try_from(start.saturating_sub(1).max(0)).unwrap_or(usize::MAX);
    let rest = text
        .as_bytes()
        .get(skip..)
        .filter(|rest| !rest.is_empty())
        .ok_or("substring starts behind the end")?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let part = rest.get(..length).unwrap_or(rest);
    Ok(String::from_utf8_lossy(part).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oval::compare::nowhere::Nowhere;
    use crate::oval::model::TimeFormat;

    fn run(function: &Function, arguments: &[&[&str]]) -> Result<Vec<String>, String> {
        let lists = arguments
            .iter()
            .map(|list| list.iter().map(|text| Arc::from(*text)).collect())
            .collect();
        apply(function, lists, &Context::new(&Nowhere))
            .map(|values| values.iter().map(ToString::to_string).collect())
    }

    #[track_caller]
    fn gives(function: &Function, arguments: &[&[&str]], expected: &[&str]) {
        assert_eq!(run(function, arguments).unwrap(), expected);
    }

    fn capture(pattern: &str) -> Function {
        Function::RegexCapture(pattern.into())
    }

    fn substring(start: i64, length: i64) -> Function {
        Function::Substring { start, length }
    }

    #[test]
    fn texts() {
        gives(
            &Function::Begin("/etc/".into()),
            &[&["a", "/etc/b", "/etc"]],
            &["/etc/a", "/etc/b", "/etc//etc"],
        );
        gives(
            &Function::End(".conf".into()),
            &[&["a", "b.conf", ""]],
            &["a.conf", "b.conf", ".conf"],
        );
        gives(
            &Function::EscapeRegex,
            &[&["a.b[c]^$\\(d){e}*+?|-/é"]],
            &[r"a\.b\[c\]\^\$\\\(d\)\{e\}\*\+\?\|-/é"],
        );
        gives(
            &Function::Split(", ".into()),
            &[&["a, b,c, , d, ", ""]],
            &["a", "b,c", "", "d", "", ""],
        );
        gives(&Function::Split("".into()), &[&["aé"]], &["a", "é"]);
        gives(
            &substring(2, 2),
            &[&["abcd", "ab", "abc"]],
            &["bc", "b", "bc"],
        );
        gives(&substring(0, -1), &[&["abcd"]], &["abcd"]);
        gives(&substring(-5, 1), &[&["abcd"]], &["a"]);
        gives(&substring(4, 0), &[&["abcd"]], &[""]);
        gives(&substring(2, i64::MAX), &[&["abcd"]], &["bcd"]);
        assert!(run(&substring(5, 1), &[&["abcd"]]).is_err());
        assert!(run(&substring(1, 1), &[&[""]]).is_err());
        assert!(run(&substring(i64::MAX, 1), &[&["a"]]).is_err());
    }

    #[test]
    fn captures() {
        gives(
            &capture(r"^(\d+)-(\d+)$"),
            &[&["12-34", "x", "12-34\n"]],
            &["12", "", "12"],
        );
        gives(&capture("a"), &[&["a"]], &[""]);
        gives(&capture("(x)?a"), &[&["a"]], &[""]);
        gives(&capture("(.)b"), &[&["éb"]], &["é"]);
        assert!(run(&capture("("), &[&["a"]]).is_err());
        assert!(run(&capture("^(a+)+$"), &[&[&format!("{}!", "a".repeat(64))]]).is_err());
    }

    #[test]
    fn lists() {
        gives(
            &Function::Concat,
            &[&["a", "b"], &["-"], &["1", "2", "3"]],
            &["a-1", "b-1", "a-2", "b-2", "a-3", "b-3"],
        );
        gives(&Function::Concat, &[&["a"], &[], &["b"]], &["ab"]);
        gives(&Function::Concat, &[&[], &[]], &[""]);
        gives(&Function::Count, &[&["a", "a"], &["b"]], &["3"]);
        gives(&Function::Count, &[], &["0"]);
        gives(
            &Function::Unique,
            &[&["b", "a", "b"], &["B", "a"]],
            &["B", "a", "b"],
        );
        gives(&Function::Split(",".into()), &[&[], &["a"]], &[]);
    }

    #[test]
    fn too_much() {
        let many: Vec<&str> = vec!["x"; 400];
        assert!(run(&Function::Concat, &[&many, &many]).is_err());
        assert!(run(&Function::Concat, &[&many, &many, &[]]).is_err());
        assert_eq!(
            run(&Function::Concat, &[&many, &many[..250]])
                .unwrap()
                .len(),
            100_000
        );
        let multiply = Function::Arithmetic { multiply: true };
        let ones = vec!["1"; 400];
        assert!(run(&multiply, &[&ones, &ones]).is_err());
        let difference = Function::TimeDifference {
            format_1: TimeFormat::SecondsSinceEpoch,
            format_2: TimeFormat::SecondsSinceEpoch,
        };
        assert!(run(&difference, &[&ones, &ones]).is_err());
        let text = ",".repeat(100_000);
        assert!(run(&Function::Split(",".into()), &[&[&text]]).is_err());
        assert!(run(&Function::Split("".into()), &[&[&text]]).is_ok());
        let long = "x".repeat(1 << 20);
        let texts = vec![long.as_str(); 65];
        assert!(run(&Function::EscapeRegex, &[&texts]).is_err());
    }

    #[test]
    fn without_arguments() {
        for function in [
            Function::Begin("a".into()),
            Function::EscapeRegex,
            Function::Arithmetic { multiply: false },
            Function::TimeDifference {
                format_1: TimeFormat::SecondsSinceEpoch,
                format_2: TimeFormat::SecondsSinceEpoch,
            },
            capture("a"),
            substring(1, 1),
        ] {
            assert!(run(&function, &[]).is_err(), "{function:?}");
        }
    }
}
