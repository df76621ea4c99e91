//! `"…".format([…])`, as the second version of the strings extension has it, in English.

use super::super::error::Error;
use super::super::meter::Meter;
use super::super::value::{List, Value};
use super::convert::plain;
use super::strings;

/// More digits are not written.
const PRECISION: usize = 100;

pub(super) fn format(text: &str, args: &List<'_>, meter: &mut Meter) -> Result<String, Error> {
    let mut out = String::new();
    let mut rest = text;
    let mut next = 0;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let (precision, after) = precision(after)?;
        let mut letters = after.chars();
        let verb = letters
            .next()
            .ok_or_else(|| Error::new("unexpected end of string"))?;
        rest = letters.as_str();
        let value = args
            .get(next)
            .ok_or_else(|| Error::new(format!("index {next} out of range")))?;
        next += 1;
        meter.spend(value.weight(100_000))?;
        let before = out.len();
        write(&mut out, verb, precision, &value)?;
        meter.grow(out.len() - before)?;
    }
    out.push_str(rest);
    meter.grow(out.len())?;
    Ok(out)
}

fn precision(text: &str) -> Result<(usize, &str), Error> {
    let Some(digits) = text.strip_prefix('.') else {
        return Ok((6, text));
    };
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    let (number, rest) = digits.split_at_checked(end).unwrap_or((digits, ""));
    let bad = || Error::new("could not parse the precision of a formatting clause");
    let value: usize = number.parse().map_err(|_| bad())?;
    if value > PRECISION {
        return Err(bad());
    }
    Ok((value, rest))
}

fn write(out: &mut String, verb: char, precision: usize, value: &Value<'_>) -> Result<(), Error> {
    let refused = || {
        let name = value.type_name();
        Error::new(format!("a {name} cannot be written with %{verb}"))
    };
    let text = match (verb, value) {
        ('s', value) => string(value)?,
        ('d', Value::Int(i)) => i.to_string(),
        ('d', Value::Uint(u)) => u.to_string(),
        ('f', value) => fixed(double(value).ok_or_else(refused)?, precision),
        ('e', value) => scientific(double(value).ok_or_else(refused)?, precision),
        ('b', Value::Bool(b)) => u8::from(*b).to_string(),
        ('b', Value::Int(i)) => signed(*i, format!("{:b}", i.unsigned_abs())),
        ('b', Value::Uint(u)) => format!("{u:b}"),
        ('o', Value::Int(i)) => signed(*i, format!("{:o}", i.unsigned_abs())),
        ('o', Value::Uint(u)) => format!("{u:o}"),
        ('x' | 'X', value) => {
            let hex = match value {
                Value::Int(i) => signed(*i, format!("{:x}", i.unsigned_abs())),
                Value::Uint(u) => format!("{u:x}"),
                Value::Text(text) => bytes(text.as_bytes()),
                Value::Bytes(all) => bytes(all),
                _ => return Err(refused()),
            };
            if verb == 'X' { hex.to_uppercase() } else { hex }
        }
        ('d' | 'b' | 'o', _) => return Err(refused()),
        _ => {
            return Err(Error::new(format!(
                "unrecognized formatting clause \"{verb}\""
            )));
        }
    };
    out.push_str(&text);
    Ok(())
}

fn bytes(all: &[u8]) -> String {
    all.iter().map(|b| format!("{b:02x}")).collect()
}

fn signed(value: i64, digits: String) -> String {
    if value < 0 {
        format!("-{digits}")
    } else {
        digits
    }
}

fn double(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Double(d) => Some(*d),
        Value::Text(text) => match &**text {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

/// A number of fixed precision, its thousands separated.
fn fixed(value: f64, precision: usize) -> String {
    if !value.is_finite() {
        return infinite(value);
    }
    let text = format!("{:.precision$}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut out = String::new();
    if value.is_sign_negative() {
        out.push('-');
    }
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

fn infinite(value: f64) -> String {
    if value.is_nan() {
        "NaN".into()
    } else if value > 0.0 {
        "\u{221e}".into()
    } else {
        "-\u{221e}".into()
    }
}

/// `2.718280 × 10⁰⁰`, with narrow spaces.
fn scientific(value: f64, precision: usize) -> String {
    if !value.is_finite() {
        return infinite(value);
    }
    let text = format!("{value:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ("\u{207b}", digits),
        None => ("", exponent),
    };
    let raised: String = format!("{digits:0>2}")
        .chars()
        .map(|c| match c {
            '1' => '\u{b9}',
            '2' => '\u{b2}',
            '3' => '\u{b3}',
            '4' => '\u{2074}',
            '5' => '\u{2075}',
            '6' => '\u{2076}',
            '7' => '\u{2077}',
            '8' => '\u{2078}',
            '9' => '\u{2079}',
            _ => '\u{2070}',
        })
        .collect();
    format!("{mantissa}\u{202f}\u{d7}\u{202f}10{sign}{raised}")
}

/// A value as `%s` writes it.
fn string(value: &Value<'_>) -> Result<String, Error> {
    match value {
        Value::Null => Ok("null".into()),
        Value::List(list) => {
            let all: Result<Vec<_>, _> = list.iter().map(|v| inner(&v)).collect();
            Ok(format!("[{}]", all?.join(", ")))
        }
        Value::Map(map) => {
            let mut all = Vec::new();
            for (key, value) in map.iter() {
                let key = match key {
                    Value::Text(text) => go_quoted(&text),
                    key => plain(&key)?,
                };
                all.push((key, inner(&value)?));
            }
            all.sort();
            let all: Vec<_> = all.iter().map(|(k, v)| format!("{k}:{v}")).collect();
            Ok(format!("{{{}}}", all.join(", ")))
        }
        Value::Ip(_) | Value::Cidr(_) => Err(Error::overload()),
        value => plain(value).map_err(|_| {
            let name = value.type_name();
            Error::new(format!("a {name} cannot be written with %s"))
        }),
    }
}

/// A value within a list or a map.
fn inner(value: &Value<'_>) -> Result<String, Error> {
    Ok(match value {
        Value::Text(text) => go_quoted(text),
        Value::Bytes(_) => format!("b{}", go_quoted(&plain(value)?)),
        Value::Double(d) if d.is_finite() => format!("{d:.6}"),
        Value::Double(d) => format!("\"{}\"", shortest(*d)),
        Value::Duration(_) => format!("duration(\"{}\")", plain(value)?),
        Value::Timestamp(_) => format!("timestamp(\"{}\")", plain(value)?),
        other => string(other)?,
    })
}

fn go_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match (strings::escape(c), u32::from(c)) {
            (Some(escaped), _) => out.push_str(escaped),
            (None, code) if code < 0x20 || code == 0x7f => {
                out.push_str(&format!("\\x{code:02x}"));
            }
            (None, _) => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The shortest text of a double as `%g` of Go writes it.
pub(super) fn shortest(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 {
            "+Inf".into()
        } else {
            "-Inf".into()
        };
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs());
    }
    format!("{value}")
}
