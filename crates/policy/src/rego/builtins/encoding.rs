//! Encodings, as strict as Go's, and what is asked of any value.

use super::arithmetic::is_written;
use super::format::unprintable;
use super::order::order;
use super::text::pattern_of;
use super::{Builtin, Fault, string};
use base64::Engine as _;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use regorus::Value;
use std::collections::BTreeMap;

pub(super) const TABLE: &[Builtin] = &[
    ("base64.decode", 1, |a| {
        utf8(based(string(a, 0)?, &STANDARD)?)
    }),
    ("base64.is_valid", 1, base64_is_valid),
    ("base64url.decode", 1, base64url_decode),
    ("hex.decode", 1, hex_decode),
    ("json.marshal", 1, |a| {
        let mut out = String::new();
        marshal(a.first().unwrap_or(&Value::Null), &mut out)?;
        Ok(Value::from(out.as_str()))
    }),
    ("regex.is_valid", 1, |a| {
        Ok(Value::from(
            string(a, 0).is_ok_and(|text| pattern_of(text).is_ok()),
        ))
    }),
    ("urlquery.decode", 1, |a| {
        unescape(string(a, 0)?).map(|text| Value::from(text.as_str()))
    }),
    ("urlquery.decode_object", 1, decode_object),
];

/// As Go writes JSON: keys in order, and what HTML would take for its own escaped.
fn marshal(value: &Value, out: &mut String) -> Result<(), Fault> {
    let list = |items: &mut dyn Iterator<Item = &Value>, out: &mut String| {
        out.push('[');
        for (n, item) in items.enumerate() {
            if n > 0 {
                out.push(',');
            }
            marshal(item, out)?;
        }
        out.push(']');
        Ok(())
    };
    match value {
        Value::String(text) => quote(text, out),
        Value::Array(items) => list(&mut items.iter(), out)?,
        Value::Set(items) => {
            let mut items: Vec<&Value> = items.iter().collect();
            items.sort_by(|a, b| order(a, b));
            list(&mut items.into_iter(), out)?;
        }
        Value::Object(map) => {
            let mut fields = BTreeMap::new();
            for (key, value) in map.iter() {
                let key = match key {
                    Value::String(text) => text.to_string(),
                    other => {
                        let mut text = String::new();
                        marshal(other, &mut text)?;
                        text
                    }
                };
                fields.insert(key, value);
            }
            out.push('{');
            for (n, (key, value)) in fields.into_iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                quote(&key, out);
                out.push(':');
                marshal(value, out)?;
            }
            out.push('}');
        }
        number if is_written(number) => return Err(unprintable()),
        other => out.push_str(&other.to_json_str().unwrap_or_default()),
    }
    Ok(())
}

fn quote(text: &str, out: &mut String) {
    for c in serde_json::Value::from(text).to_string().chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
}

/// What is no text is no base64 either.
fn base64_is_valid(arguments: &[Value]) -> Result<Value, Fault> {
    let valid = string(arguments, 0).is_ok_and(|text| based(text, &STANDARD).is_ok());
    Ok(Value::from(valid))
}

/// Go passes over line breaks, and over bits that stand for nothing.
fn based(text: &str, alphabet: &Alphabet) -> Result<Vec<u8>, Fault> {
    let lenient = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
    let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    let bytes = GeneralPurpose::new(alphabet, lenient).decode(text);
    bytes.map_err(|e| Fault::error(e.to_string()))
}

/// What is no UTF-8 is a text to OPA, and can be none here.
fn utf8(bytes: Vec<u8>) -> Result<Value, Fault> {
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Value::from(text.as_str())),
        Err(_) => Err(Fault::Unknown("a text that is no UTF-8".into())),
    }
}

/// Also without padding.
fn base64url_decode(arguments: &[Value]) -> Result<Value, Fault> {
    let text = string(arguments, 0)?;
    let padding = match text.len() % 4 {
        _ if text.ends_with('=') => "",
        0 => "",
        2 => "==",
        3 => "=",
        _ => return Err(Fault::error("illegal base64url string")),
    };
    utf8(based(&format!("{text}{padding}"), &URL_SAFE)?)
}

fn hex_decode(arguments: &[Value]) -> Result<Value, Fault> {
    let text = string(arguments, 0)?.as_bytes();
    let digit = |byte: u8| {
        let digit = char::from(byte).to_digit(16);
        let digit = digit.and_then(|d| u8::try_from(d).ok());
        digit.ok_or_else(|| Fault::error("invalid hexadecimal digit"))
    };
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Fault::error("odd length of hexadecimal digits"));
    }
    let bytes: Result<Vec<u8>, Fault> = pairs
        .iter()
        .map(|[high, low]| Ok((digit(*high)? << 4) | digit(*low)?))
        .collect();
    utf8(bytes?)
}

fn unescape(text: &str) -> Result<String, Fault> {
    let wrong = || Fault::error("invalid URL escape");
    let digit = |byte: Option<u8>| {
        let digit = byte.and_then(|b| char::from(b).to_digit(16));
        digit.and_then(|d| u8::try_from(d).ok()).ok_or_else(wrong)
    };
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => (digit(bytes.next())? << 4) | digit(bytes.next())?,
            other => other,
        });
    }
    String::from_utf8(out).map_err(|_| Fault::Unknown("a text that is no UTF-8".into()))
}

fn decode_object(arguments: &[Value]) -> Result<Value, Fault> {
    let mut all: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for pair in string(arguments, 0)?.split('&').filter(|p| !p.is_empty()) {
        if pair.contains(';') {
            return Err(Fault::error("invalid semicolon separator in query"));
        }
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = Value::from(unescape(value)?.as_str());
        all.entry(unescape(key)?).or_default().push(value);
    }
    let fields = all
        .into_iter()
        .map(|(key, values)| (Value::from(key.as_str()), Value::from(values)));
    Ok(Value::from(fields.collect::<BTreeMap<_, _>>()))
}

#[cfg(test)]
mod tests {
    use super::super::call;
    use serde_json::json;

    #[test]
    fn json_is_written_as_go_does() {
        for (value, wanted) in [
            (
                json!({"b": [1, null], "a<": "é&\n"}),
                "{\"a\\u003c\":\"é\\u0026\\n\",\"b\":[1,null]}",
            ),
            (json!("a\"\u{1}"), "\"a\\\"\\u0001\""),
            (json!(1.5), "1.5"),
        ] {
            assert_eq!(call("json.marshal", &[value]), Some(json!(wanted)));
        }
        let written = super::Value::from(2e10);
        assert!(super::marshal(&written, &mut String::new()).is_err());
    }

    #[test]
    fn as_strict_as_go() {
        let told = |name: &str, text: &str| call(name, &[json!(text)]);
        assert_eq!(
            told("urlquery.decode", "a+b%20%C3%A9"),
            Some(json!("a b é"))
        );
        for wrong in ["%", "%4", "%!b", "%zz"] {
            assert_eq!(told("urlquery.decode", wrong), None, "{wrong}");
        }
        assert_eq!(
            told("urlquery.decode_object", "a=1&a=2&&b"),
            Some(json!({"a": ["1", "2"], "b": [""]}))
        );
        assert_eq!(told("urlquery.decode_object", "a=1;b=2"), None);
        assert_eq!(told("base64.is_valid", "YWJj"), Some(json!(true)));
        assert_eq!(told("base64.is_valid", "YWJ"), Some(json!(false)));
        assert_eq!(told("base64.decode", "Y\nWJj"), Some(json!("abc")));
        assert_eq!(told("base64.decode", "YWI"), None);
        assert_eq!(told("base64url.decode", "w6_DvyY"), Some(json!("ïÿ&")));
        assert_eq!(told("base64url.decode", "w6_Dv"), None);
        assert_eq!(told("hex.decode", "6aC3a9"), Some(json!("jé")));
        assert_eq!(told("hex.decode", "616"), None);
        // Bytes that are no text.
        for name in ["base64.decode", "base64url.decode", "hex.decode"] {
            let bytes = if name == "hex.decode" { "ff" } else { "/w==" };
            assert_eq!(told(name, bytes), None);
        }
        for name in ["base64.is_valid", "regex.is_valid", "net.cidr_is_valid"] {
            assert_eq!(call(name, &[json!(1)]), Some(json!(false)), "{name}");
        }
    }
}
