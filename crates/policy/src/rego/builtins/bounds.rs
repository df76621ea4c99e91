//! What texts and lists one evaluation may make: a policy that doubles a text thirty times, or
//! fills it with what somebody sent, ends as Unknown and not in the machine's memory.
//!
//! Counted is what built-ins give back, whether it is kept or not, and only what is long.

use super::{Builtin, Fault, string};
use regex::{Regex, RegexBuilder};
use regorus::Value;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

/// Bytes of long texts and lists in one evaluation.
const MOST: usize = 64 << 20;
/// Shorter is not counted.
const LONG: usize = 4 << 10;

thread_local! {
    static MADE: Cell<usize> = const { Cell::new(0) };
}

/// Bytes of a pattern. Reading one takes hundreds of times its length, and a longer one would not
/// fit into the size that the engine allows it, whose number is below.
const PATTERN: usize = 64 << 10;
const COMPILED: usize = 100 << 10;
/// Patterns that one thread keeps.
const KEPT: usize = 512;

thread_local! {
    static PATTERNS: RefCell<HashMap<String, Regex>> = RefCell::default();
}

pub(super) const TABLE: &[Builtin] = &[
    ("concat", 2, concat),
    ("regex.match", 2, matches),
    ("replace", 3, replace),
];

/// A new evaluation begins on this thread.
pub(super) fn begin() {
    MADE.set(0);
}

/// Asks for so many bytes more.
fn grow(bytes: usize) -> Result<(), Fault> {
    if bytes < LONG {
        return Ok(());
    }
    let made = MADE.get().saturating_add(bytes);
    if made > MOST {
        let why = format!("more than {} MiB of texts and lists", MOST >> 20);
        return Err(Fault::Unknown(why));
    }
    MADE.set(made);
    Ok(())
}

/// Whether what a built-in gives back is counted then. What these here give is counted before it is made.
pub(super) fn counts(name: &str) -> bool {
    TABLE.iter().all(|(own, _, _)| *own != name)
}

/// Counts what a built-in gave back.
pub(super) fn made(value: &Value) -> Result<(), Fault> {
    grow(match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.len().saturating_mul(size_of::<Value>()),
        Value::Set(items) => items.len().saturating_mul(size_of::<Value>()),
        _ => 0,
    })
}

fn concat(arguments: &[Value]) -> Result<Value, Fault> {
    let delimiter = string(arguments, 0)?;
    let text = |item: &'_ Value| match item {
        Value::String(text) => Ok(text.clone()),
        _ => Err(Fault::error("operand 2 must hold strings")),
    };
    let parts: Vec<_> = match arguments.get(1) {
        Some(Value::Array(items)) => items.iter().map(text).collect::<Result<_, _>>()?,
        Some(Value::Set(items)) => items.iter().map(text).collect::<Result<_, _>>()?,
        _ => return Err(Fault::error("operand 2 must be a set or an array")),
    };
    let between = parts.len().saturating_sub(1);
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    grow(length.saturating_add(delimiter.len().saturating_mul(between)))?;
    Ok(Value::from(parts.join(delimiter)))
}

/// As the engine has it, but for patterns that are too long to be read, and without its lock.
fn matches(arguments: &[Value]) -> Result<Value, Fault> {
    let (pattern, text) = (string(arguments, 0)?, string(arguments, 1)?);
    if pattern.len() > PATTERN {
        let why = format!("a pattern of more than {} KiB", PATTERN >> 10);
        return Err(Fault::Unknown(why));
    }
    let known = PATTERNS.with_borrow(|all| all.get(pattern).map(|regex| regex.is_match(text)));
    if let Some(found) = known {
        return Ok(Value::from(found));
    }
    let regex = RegexBuilder::new(pattern).size_limit(COMPILED).build();
    // Go may read it otherwise.
    let regex = regex.map_err(|why| Fault::Unknown(format!("invalid regex: {why}")))?;
    let found = regex.is_match(text);
    PATTERNS.with_borrow_mut(|all| {
        if all.len() >= KEPT {
            all.clear();
        }
        all.insert(pattern.to_owned(), regex);
    });
    Ok(Value::from(found))
}

fn replace(arguments: &[Value]) -> Result<Value, Fault> {
    let text = string(arguments, 0)?;
    let (old, new) = (string(arguments, 1)?, string(arguments, 2)?);
    if new.len() > old.len() {
        let more = text.matches(old).count().saturating_mul(new.len());
        grow(text.len().saturating_add(more))?;
    } else {
        grow(text.len())?;
    }
    Ok(Value::from(text.replace(old, new)))
}

#[cfg(test)]
mod tests {
    use super::super::call;
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_are_joined_and_replaced_as_opa_does() {
        begin();
        let join = |d: &str, all| call("concat", &[json!(d), all]);
        assert_eq!(join(", ", json!(["a", "b"])), Some(json!("a, b")));
        assert_eq!(join(",", json!([])), Some(json!("")));
        assert_eq!(join(",", json!(["a", 1])), None);
        assert_eq!(join(",", json!("a")), None);
        let replaced = |t: &str, o: &str, n: &str| call("replace", &[json!(t), json!(o), json!(n)]);
        assert_eq!(replaced("aXbX", "X", "--"), Some(json!("a--b--")));
        assert_eq!(replaced("ab", "", "-"), Some(json!("-a-b-")));
        assert_eq!(replaced("ab", "c", ""), Some(json!("ab")));
    }

    #[test]
    fn patterns_are_bounded() {
        let found = |p: &str, t: &str| matches(&[Value::from(p), Value::from(t)]);
        for _ in 0..2 {
            assert!(matches!(found("^a+$", "aaa"), Ok(Value::Bool(true))));
            assert!(matches!(found("^a+$", "ab"), Ok(Value::Bool(false))));
        }
        for pattern in [
            "a".repeat(PATTERN + 1),
            "(((a{200}){200}){200})+$".into(),
            "(".into(),
        ] {
            assert!(matches!(found(&pattern, "a"), Err(Fault::Unknown(_))));
        }
    }

    #[test]
    fn a_text_that_grows_without_bound_is_not_told() {
        begin();
        let long = "a".repeat(1 << 20);
        let mut text = Value::from(long.as_str());
        let mut doubled = 0;
        let fault = loop {
            let pair = Value::from(vec![text.clone(), text.clone()]);
            match concat(&[Value::from(""), pair]) {
                Ok(longer) => text = longer,
                Err(fault) => break fault,
            }
            doubled += 1;
        };
        assert!(matches!(fault, Fault::Unknown(_)));
        assert_eq!(doubled, 5);
        // Another evaluation has its own.
        begin();
        let filled = [
            Value::from(long.as_str()),
            Value::from("a"),
            Value::from("aa"),
        ];
        assert!(replace(&filled).is_ok());
        let filled = [Value::from(long.as_str()), Value::from(""), text];
        assert!(matches!(replace(&filled), Err(Fault::Unknown(_))));
    }
}
