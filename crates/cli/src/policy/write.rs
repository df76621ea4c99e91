//! Values as YAML and JSON, times as people read them, text in XML.

use anyhow::Result;
use serde_json::Value;
use std::fmt::Write;
use std::time::Duration;

/// JSON, indented by four as `gator` has it.
pub fn json(value: &Value) -> Result<String> {
    use serde::Serialize;
    let mut out = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut writer = serde_json::Serializer::with_formatter(&mut out, format);
    value.serialize(&mut writer)?;
    Ok(String::from_utf8(out)?)
}

/// A YAML document, keys in order, lists not indented.
pub fn yaml(value: &Value) -> String {
    let mut out = String::new();
    match inline(value) {
        Some(text) => {
            out.push_str(&text);
            out.push('\n');
        }
        None => block(value, 0, &mut out),
    }
    out
}

/// Objects as one YAML stream, as `kubectl apply` reads it.
pub fn documents(all: &[Value]) -> String {
    let mut out = String::new();
    for value in all {
        out.push_str("---\n");
        out.push_str(&yaml(value));
    }
    out
}

fn block(value: &Value, indent: usize, out: &mut String) {
    let margin = " ".repeat(indent);
    match value {
        Value::Object(map) => {
            for (i, (key, value)) in map.iter().enumerate() {
                if i > 0 {
                    out.push_str(&margin);
                }
                out.push_str(&scalar(key));
                out.push(':');
                below(value, indent, out);
            }
        }
        Value::Array(list) => {
            for (i, value) in list.iter().enumerate() {
                if i > 0 {
                    out.push_str(&margin);
                }
                out.push_str("- ");
                match inline(value) {
                    Some(text) => {
                        out.push_str(&text);
                        out.push('\n');
                    }
                    None => block(value, indent + 2, out),
                }
            }
        }
        _ => {}
    }
}

fn below(value: &Value, indent: usize, out: &mut String) {
    if let Some(text) = inline(value) {
        out.push(' ');
        out.push_str(&text);
        out.push('\n');
        return;
    }
    let indent = match value {
        Value::Array(_) => indent,
        _ => indent + 2,
    };
    out.push('\n');
    out.push_str(&" ".repeat(indent));
    block(value, indent, out);
}

/// What stands on one line.
fn inline(value: &Value) -> Option<String> {
    match value {
        Value::Object(map) if map.is_empty() => Some("{}".into()),
        Value::Array(list) if list.is_empty() => Some("[]".into()),
        Value::Object(_) | Value::Array(_) => None,
        Value::String(text) => Some(scalar(text)),
        other => Some(other.to_string()),
    }
}

/// Plain where no YAML reader could take it for something else, else quoted as in JSON.
fn scalar(text: &str) -> String {
    let first = |c: char| c.is_ascii_alphabetic() || c == '/' || c == '_';
    let rest = |c: char| c.is_ascii_alphanumeric() || " ._/-()<>=+,;@".contains(c);
    const WORDS: [&str; 11] = [
        "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf",
    ];
    // A colon or a hash is only dangerous beside white space.
    let mut inner = text.replace("://", "").replace(['#', ':'], "?");
    for (i, c) in text.char_indices() {
        let after = text.get(i + 1..).and_then(|t| t.chars().next());
        if c == ':' && after.is_some_and(|c| !c.is_whitespace()) {
            inner = inner.replacen('?', "", 1);
        }
    }
    let plain = text.starts_with(first)
        && !text.ends_with(' ')
        && inner.chars().all(rest)
        && !WORDS.contains(&text.to_lowercase().as_str());
    match plain {
        true => text.to_owned(),
        false => serde_json::to_string(text).unwrap_or_default(),
    }
}

/// As `gator` writes it: nanoseconds, or two places of what is larger.
pub fn duration(time: Duration) -> String {
    let nanos = time.as_nanos() as f64;
    match time.as_nanos() {
        0..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => format!("{:.2}µs", nanos / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2}ms", nanos / 1e6),
        _ => format!("{:.3}s", time.as_secs_f64()),
    }
}

/// Text that may stand in XML, also within quotes. What XML cannot hold is replaced.
pub fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' | '\r' => {
                let _ = write!(out, "&#{};", c as u32);
            }
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn yaml_is_read_back_as_it_was() {
        let value = json!({
            "a": {"b": [1, {"c": "d", "e": []}, ["x", ["y"]]], "n": null, "t": true, "f": 1.5},
            "texts": ["", "yes", "a: b", "a #b", "1", "-", "x\ny", "https://a.b/c:1", "ends ", "\u{1f600}", "a:b", "a:"],
            "odd \"key\"": {}
        });
        let text = yaml(&value);
        let mut passed = Vec::new();
        let wrapped = format!(
            "apiVersion: v1\nkind: X\nmetadata: {{name: x}}\nv:\n  {}",
            text.trim_end().replace('\n', "\n  ")
        );
        let read = bartizan_policy::check::read("f.yaml", wrapped.as_bytes(), &mut passed).unwrap();
        assert_eq!(read[0].value["v"], value, "{text}");
        assert!(text.contains("b:\n  - 1\n  - c: d\n    e: []\n"), "{text}");
        assert!(text.contains("- https://a.b/c:1\n"), "{text}");
    }

    #[test]
    fn times_and_xml() {
        assert_eq!(duration(Duration::from_nanos(12)), "12ns");
        assert_eq!(duration(Duration::from_nanos(1_234)), "1.23µs");
        assert_eq!(duration(Duration::from_micros(1_234)), "1.23ms");
        assert_eq!(duration(Duration::from_millis(1_234)), "1.234s");
        assert_eq!(
            xml("<a & \"b\"\n\u{1}>"),
            "&lt;a &amp; &quot;b&quot;&#10;\u{fffd}&gt;"
        );
    }
}
