//! JSON where every byte counts: strict reading and canonical writing.
//!
//! Reading follows I-JSON (RFC 7493): UTF-8, no duplicate members, bounded depth (128).
//!
//! Writing follows RFC 8785 (members sorted by UTF-16 code units, no white space, shortest
//! numbers as ECMAScript prints them, minimal escapes) with one difference: integers of the
//! `i64`/`u64` range are written exactly and never rounded to a double.
//!
//! ```text
//! {"action":"session.login","actor":"ada","at":"2026-11-21T09:30:00Z","detail":{"ok":true,"score":87.5},"subject":"ada","tenant":"default"}
//! ```

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};
use std::fmt;

/// Deepest nesting written or read.
const MAX_DEPTH: usize = 128;

/// Why bytes are not JSON we accept, or a value cannot be written. Whose fault: the input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// A member appears twice in one object.
    #[error("member {0:?} appears twice")]
    Duplicate(String),
    /// Not JSON, or not of the expected shape.
    #[error("not acceptable JSON: {0}")]
    Malformed(String),
    /// Equal in meaning to canonical JSON, but not byte for byte.
    #[error("not in canonical form")]
    NotCanonical,
    /// Nested beyond 128 levels.
    #[error("nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
}

/// The marker by which the duplicate error is told from serde_json's own.
const DUPLICATE: &str = "duplicate member ";

/// Parses JSON, refusing duplicate members at any depth.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    value.map_err(|error| {
        let text = error.to_string();
        match text.strip_prefix(DUPLICATE) {
            Some(rest) => {
                let name = rest.rsplit_once(" at line").map_or(rest, |(name, _)| name);
                JsonError::Duplicate(name.chars().take(80).collect())
            }
            None => JsonError::Malformed(text.chars().take(200).collect()),
        }
    })
}

/// Parses bytes that must be canonical already, as everything we write is.
pub fn parse_canonical(bytes: &[u8]) -> Result<Value, JsonError> {
    let value = parse(bytes)?;
    if canonical(&value)? == bytes {
        Ok(value)
    } else {
        Err(JsonError::NotCanonical)
    }
}

/// Reads a typed value out of an already strict one.
pub fn typed<T: for<'de> Deserialize<'de>>(value: Value) -> Result<T, JsonError> {
    serde_json::from_value(value)
        .map_err(|error| JsonError::Malformed(error.to_string().chars().take(200).collect()))
}

/// The canonical bytes of a value.
pub fn canonical(value: &Value) -> Result<Vec<u8>, JsonError> {
    let mut out = Vec::with_capacity(256);
    write(value, MAX_DEPTH, &mut out)?;
    Ok(out)
}

/// The canonical bytes of anything that serialises.
pub fn canonical_of<T: Serialize>(value: &T) -> Result<Vec<u8>, JsonError> {
    let value = serde_json::to_value(value)
        .map_err(|error| JsonError::Malformed(error.to_string().chars().take(200).collect()))?;
    canonical(&value)
}

fn write(value: &Value, depth: usize, out: &mut Vec<u8>) -> Result<(), JsonError> {
    let deeper = || depth.checked_sub(1).ok_or(JsonError::TooDeep);
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => write_number(number, out),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            let depth = deeper()?;
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write(item, depth, out)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let depth = deeper()?;
            // serde_json may keep insertion order, depending on another crate's features.
            let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
            sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push(b'{');
            for (i, (name, member)) in sorted.into_iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_string(name, out);
                out.push(b':');
                write(member, depth, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for c in text.chars() {
        let short = match c {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\u{8}' => "\\b",
            '\t' => "\\t",
            '\n' => "\\n",
            '\u{c}' => "\\f",
            '\r' => "\\r",
            c if u32::from(c) < 0x20 => {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes());
                continue;
            }
            c => {
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
        };
        out.extend_from_slice(short.as_bytes());
    }
    out.push(b'"');
}

fn write_number(number: &Number, out: &mut Vec<u8>) {
    if number.is_f64() {
        out.extend_from_slice(ecmascript(number.as_f64().unwrap_or_default()).as_bytes());
    } else {
        out.extend_from_slice(number.to_string().as_bytes());
    }
}

/// ECMA-262 Number::toString for a finite double.
fn ecmascript(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    let sign = if number < 0.0 { "-" } else { "" };
    // Rust prints the shortest digits that read back to the same double, as ECMAScript does.
    let scientific = format!("{:e}", number.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let point = exponent + 1;
    let zeros = |n: i32| "0".repeat(usize::try_from(n).unwrap_or_default());
    let split = |at: i32| digits.split_at(usize::try_from(at).unwrap_or_default());
    if count <= point && point <= 21 {
        format!("{sign}{digits}{}", zeros(point - count))
    } else if 0 < point && point <= 21 {
        let (whole, fraction) = split(point);
        format!("{sign}{whole}.{fraction}")
    } else if -6 < point && point <= 0 {
        format!("{sign}0.{}{digits}", zeros(-point))
    } else {
        let (first, rest) = split(1);
        let dot = if rest.is_empty() { "" } else { "." };
        let plus = if exponent > 0 { "+" } else { "" };
        format!("{sign}{first}{dot}{rest}e{plus}{exponent}")
    }
}

/// Builds a [`Value`] and refuses a repeated member.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;
    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number beyond the range of a double"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut out = Vec::new();
        while let Some(item) = items.next_element_seed(Strict)? {
            out.push(item);
        }
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(Strict)?;
            if out.contains_key(&name) {
                return Err(de::Error::custom(format!("{DUPLICATE}{name}")));
            }
            out.insert(name, value);
        }
        Ok(Value::Object(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(json: &str) -> String {
        String::from_utf8(canonical(&parse(json.as_bytes()).unwrap()).unwrap()).unwrap()
    }

    /// The examples of RFC 8785, sections 3.2.2 to 3.2.4 and appendix B (doubles only).
    #[test]
    fn rfc_8785_examples() {
        assert_eq!(
            text(
                r#"{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],
                   "string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"#
            ),
            r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}"#
        );
        assert_eq!(
            text(
                "{\"\\u20ac\":1,\"\\r\":2,\"\\ufb33\":3,\"1\":4,\"\\ud83d\\ude00\":5,\"\\u0080\":6,\"\\u00f6\":7}"
            ),
            "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\u{fb33}\":3}"
        );
        for (bits, expected) in [
            (0x0000_0000_0000_0000_u64, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x3e7a_d7f2_9abc_af48, "1e-7"),
            (0x41b3_de43_5555_5557, "333333333.33333343"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        ] {
            assert_eq!(ecmascript(f64::from_bits(bits)), expected, "{bits:x}");
        }
    }

    #[test]
    fn duplicates_are_refused_at_any_depth() {
        assert_eq!(
            parse(br#"{"a":[{"b":1,"\u0062":2}]}"#),
            Err(JsonError::Duplicate("b".to_owned()))
        );
        assert!(matches!(parse(b"{} {}"), Err(JsonError::Malformed(_))));
        assert!(matches!(parse(b"1e999"), Err(JsonError::Malformed(_))));
        let deep = "[".repeat(200) + &"]".repeat(200);
        assert!(matches!(
            parse(deep.as_bytes()),
            Err(JsonError::Malformed(_))
        ));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((".{0,4}", inner), 0..4)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn canonical_form_is_a_fixed_point(value in any_json()) {
            let once = canonical(&value).unwrap();
            let again = parse_canonical(&once).unwrap();
            prop_assert_eq!(canonical(&again).unwrap(), once);
        }

        #[test]
        fn doubles_read_back(number in any::<f64>()) {
            if number.is_finite() {
                let back: f64 = ecmascript(number).parse().unwrap();
                prop_assert_eq!(back, number);
            }
        }
    }
}
