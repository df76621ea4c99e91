//! Encodings, as strict as Go's, and what is asked of any value.

use super::{Builtin, Fault, string};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use regex::Regex;
use regorus::Value;
use std::collections::BTreeMap;

pub(super) const TABLE: &[Builtin] = &[
    ("base64.is_valid", 1, base64_is_valid),
    ("regex.is_valid", 1, |a| {
        Ok(Value::from(
            string(a, 0).is_ok_and(|text| Regex::new(text).is_ok()),
        ))
    }),
    ("urlquery.decode", 1, |a| {
        unescape(string(a, 0)?).map(|text| Value::from(text.as_str()))
    }),
    ("urlquery.decode_object", 1, decode_object),
];

/// What is no text is no base64 either.
fn base64_is_valid(arguments: &[Value]) -> Result<Value, Fault> {
    // Go passes over line breaks, and over bits that stand for nothing.
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
    );
    let valid = string(arguments, 0).is_ok_and(|text| {
        let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
        LENIENT.decode(text).is_ok()
    });
    Ok(Value::from(valid))
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
        for name in ["base64.is_valid", "regex.is_valid", "net.cidr_is_valid"] {
            assert_eq!(call(name, &[json!(1)]), Some(json!(false)), "{name}");
        }
    }
}
