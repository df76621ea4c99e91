//! Functions of texts, lists and documents.

use super::{Builtin, Fault, integer, string};
use regex::Regex;
use regorus::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;

pub(super) const TABLE: &[Builtin] = &[
    ("array.flatten", 1, flatten),
    ("indexof", 2, |a| {
        places(a).map(|all| Value::from(all.first().map_or(-1, |at| *at)))
    }),
    ("indexof_n", 2, |a| {
        places(a).map(|all| Value::from(all.into_iter().map(Value::from).collect::<Vec<_>>()))
    }),
    ("json.is_valid", 1, json_is_valid),
    ("regex.split", 2, regex_split),
    ("strings.count", 2, count),
    ("strings.split_n", 3, split_n),
    ("substring", 3, substring),
];

fn flatten(arguments: &[Value]) -> Result<Value, Fault> {
    let Some(Value::Array(items)) = arguments.first() else {
        return Err(Fault::error("operand 1 must be an array"));
    };
    let mut flat = Vec::with_capacity(items.len());
    for item in items.iter() {
        match item {
            Value::Array(inner) => flat.extend(inner.iter().cloned()),
            other => flat.push(other.clone()),
        }
    }
    Ok(Value::from(flat))
}

/// Where a text is, in characters; places may overlap.
fn places(arguments: &[Value]) -> Result<Vec<i64>, Fault> {
    let base: Vec<char> = string(arguments, 0)?.chars().collect();
    let search: Vec<char> = string(arguments, 1)?.chars().collect();
    if search.is_empty() {
        return Err(Fault::error("empty search character"));
    }
    let windows = base.windows(search.len()).zip(0..);
    Ok(windows
        .filter(|(w, _)| *w == search)
        .map(|(_, at)| at)
        .collect())
}

thread_local! {
    /// Patterns that this thread split by before.
    static PATTERNS: RefCell<BTreeMap<String, Regex>> = const { RefCell::new(BTreeMap::new()) };
}

/// A pattern as Go reads it: a `{` that begins no count of repetitions stands for itself.
pub(super) fn pattern_of(pattern: &str) -> Result<Regex, regex::Error> {
    let first = match Regex::new(pattern) {
        Err(error) if pattern.contains('{') => error,
        done => return done,
    };
    let mut out = String::with_capacity(pattern.len() + 8);
    let (mut rest, mut class) = (pattern, false);
    while let Some(c) = rest.chars().next() {
        let (taken, after) = rest.split_at(c.len_utf8());
        rest = after;
        match c {
            '\\' => {
                // An escape, with what it may have in brackets.
                let next = rest.chars().next().map_or(0, char::len_utf8);
                let (escaped, after) = rest.split_at(next);
                rest = after;
                out.push('\\');
                out.push_str(escaped);
                if matches!(escaped, "p" | "P" | "x") && rest.starts_with('{') {
                    out.push('{');
                    rest = rest.get(1..).unwrap_or_default();
                }
                continue;
            }
            '[' => class = true,
            ']' => class = false,
            '{' if !class && !counts(rest) => out.push('\\'),
            _ => {}
        }
        out.push_str(taken);
    }
    Regex::new(&out).map_err(|_| first)
}

/// Whether a count such as `2,3}` follows.
fn counts(rest: &str) -> bool {
    let Some((count, _)) = rest.split_once('}') else {
        return false;
    };
    let (least, most) = count.split_once(',').unwrap_or((count, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    !least.is_empty() && digits(least) && digits(most)
}

/// Splits as Go does: an empty match at the very beginning or end splits nothing off.
fn regex_split(arguments: &[Value]) -> Result<Value, Fault> {
    const MOST: usize = 64;
    let (pattern, text) = (string(arguments, 0)?, string(arguments, 1)?);
    let known = PATTERNS.with_borrow(|all| all.get(pattern).cloned());
    let regex = match known {
        Some(regex) => regex,
        None => {
            let regex = pattern_of(pattern).map_err(|e| Fault::error(e.to_string()))?;
            PATTERNS.with_borrow_mut(|all| {
                if all.len() >= MOST {
                    all.clear();
                }
                all.insert(pattern.to_owned(), regex.clone());
            });
            regex
        }
    };
    if text.is_empty() && !pattern.is_empty() {
        return Ok(Value::from(vec![Value::from("")]));
    }
    let mut parts = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for found in regex.find_iter(text) {
        end = found.start();
        if found.end() != 0 {
            parts.push(Value::from(text.get(begin..end).unwrap_or_default()));
        }
        begin = found.end();
    }
    if end != text.len() {
        parts.push(Value::from(text.get(begin..).unwrap_or_default()));
    }
    Ok(Value::from(parts))
}

fn json_is_valid(arguments: &[Value]) -> Result<Value, Fault> {
    let Ok(text) = string(arguments, 0) else {
        return Ok(Value::from(false));
    };
    Ok(Value::from(
        serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(),
    ))
}

/// How often a text is in another, without overlaps.
fn count(arguments: &[Value]) -> Result<Value, Fault> {
    let (base, search) = (string(arguments, 0)?, string(arguments, 1)?);
    let count = if search.is_empty() {
        base.chars().count() + 1
    } else {
        base.matches(search).count()
    };
    Ok(Value::from(count))
}

/// The first parts, or with a negative number the last ones.
fn split_n(arguments: &[Value]) -> Result<Value, Fault> {
    let (text, by) = (string(arguments, 0)?, string(arguments, 1)?);
    let parts: Vec<Value> = if by.is_empty() {
        text.chars()
            .map(|c| Value::from(c.to_string().as_str()))
            .collect()
    } else {
        text.split(by).map(Value::from).collect()
    };
    let n = integer(arguments, 2)?;
    let wanted = usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX);
    let skipped = if n < 0 {
        parts.len().saturating_sub(wanted)
    } else {
        0
    };
    let parts = parts.into_iter().skip(skipped).take(wanted);
    Ok(Value::from(parts.collect::<Vec<_>>()))
}

/// In characters; a negative length goes to the end.
fn substring(arguments: &[Value]) -> Result<Value, Fault> {
    let text = string(arguments, 0)?;
    let (start, length) = (integer(arguments, 1)?, integer(arguments, 2)?);
    let start = usize::try_from(start).map_err(|_| Fault::error("negative offset"))?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let part: String = text.chars().skip(start).take(length).collect();
    Ok(Value::from(part.as_str()))
}

#[cfg(test)]
mod tests {
    use super::super::call;
    use serde_json::json;

    #[test]
    fn as_opa_has_them() {
        assert_eq!(
            call("array.flatten", &[json!([1, [2, [3]], []])]),
            Some(json!([1, 2, [3]]))
        );
        assert_eq!(
            call("indexof_n", &[json!("éaéa"), json!("éa")]),
            Some(json!([0, 2]))
        );
        assert_eq!(call("indexof_n", &[json!("a"), json!("")]), None);
        assert_eq!(call("indexof", &[json!("éa"), json!("a")]), Some(json!(1)));
        assert_eq!(call("indexof", &[json!("a"), json!("b")]), Some(json!(-1)));
        let split = |by: &str, text: &str| call("regex.split", &[json!(by), json!(text)]);
        assert_eq!(split("", "a,b"), Some(json!(["a", ",", "b"])));
        assert_eq!(split("[,;]", "a,b;c"), Some(json!(["a", "b", "c"])));
        assert_eq!(split("a*", "baac"), Some(json!(["b", "c"])));
        assert_eq!(split(",", ""), Some(json!([""])));
        assert_eq!(split("(", "a"), None);
        assert_eq!(
            split("{\"a\": [{]}x{2}", "1{\"a\": {}xx2"),
            Some(json!(["1", "2"]))
        );
        assert_eq!(call("json.is_valid", &[json!(1)]), Some(json!(false)));
        assert_eq!(
            call("json.is_valid", &[json!("{\"a\": 1}")]),
            Some(json!(true))
        );
        assert_eq!(
            call("strings.count", &[json!("aaaa"), json!("aa")]),
            Some(json!(2))
        );
        assert_eq!(
            call("strings.count", &[json!("ab"), json!("")]),
            Some(json!(3))
        );
        let split = |n: i64| call("strings.split_n", &[json!("a,b,c"), json!(","), json!(n)]);
        assert_eq!(split(2), Some(json!(["a", "b"])));
        assert_eq!(split(-2), Some(json!(["b", "c"])));
        assert_eq!(split(0), Some(json!([])));
        assert_eq!(split(9), Some(json!(["a", "b", "c"])));
        let part = |start: serde_json::Value, length: i64| {
            call("substring", &[json!("héllo"), start, json!(length)])
        };
        assert_eq!(part(json!(1), 2), Some(json!("él")));
        assert_eq!(part(json!(4), -1), Some(json!("o")));
        assert_eq!(part(json!(9), 2), Some(json!("")));
        assert_eq!(part(json!(-1), 2), None);
        assert_eq!(part(json!(1.5), 1), None);
    }
}
