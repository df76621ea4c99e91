//! Scalars by the rules of YAML 1.1, as Go's reader (and so Kubernetes) applies them.

use granit_parser::{ScalarStyle, Tag};
use serde_json::{Number, Value};
use std::borrow::Cow;

/// The first 80 characters, for a message.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

/// The value of a scalar with its style and tag.
pub(crate) fn resolve(
    text: Cow<'_, str>,
    style: ScalarStyle,
    tag: Option<&Tag>,
) -> Result<Value, String> {
    match tag.and_then(Tag::core_suffix) {
        Some("str") => return Ok(Value::String(text.into_owned())),
        Some(wanted @ ("int" | "float" | "bool" | "null")) => {
            let value = plain(&text)?;
            let fits = match wanted {
                "int" => value.is_i64() || value.is_u64(),
                "float" => value.is_number(),
                "bool" => value.is_boolean(),
                _ => value.is_null(),
            };
            return if fits {
                Ok(value)
            } else {
                Err(format!("{:?} is no {wanted}", cut(&text)))
            };
        }
        _ => {}
    }
    if style != ScalarStyle::Plain || tag.is_some() {
        return Ok(Value::String(text.into_owned()));
    }
    plain(&text)
}

/// A plain scalar by the rules of YAML 1.1 as Go's reader applies them.
fn plain(text: &str) -> Result<Value, String> {
    let string = || Ok(Value::String(text.to_owned()));
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Ok(Value::Bool(true));
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Ok(Value::Bool(false));
        }
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF"
        | "-.inf" | "-.Inf" | "-.INF" => {
            return Err(format!("{text} has no JSON form"));
        }
        _ => {}
    }
    let Some(first) = text.bytes().next() else {
        return string();
    };
    if !(first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.')) || text.len() > 400 {
        return string();
    }
    let digits = text.replace('_', "");
    let whole = (first != b'.').then(|| integer(&digits)).flatten();
    if let Some(number) = whole {
        return Ok(Value::Number(number));
    }
    if is_float(&digits) {
        return match digits.parse::<f64>() {
            Ok(f) if f.fract() == 0.0 && f.abs() < 9_007_199_254_740_992.0 => {
                // Go prints such a number without a fraction, and it is read back as an integer.
                #[allow(clippy::cast_possible_truncation)]
                Ok(Value::from(f as i64))
            }
            Ok(f) => Number::from_f64(f)
                .map(Value::Number)
                .ok_or_else(|| format!("{:?} is out of range", cut(text))),
            Err(_) => string(),
        };
    }
    string()
}

/// Go's `strconv.ParseInt(s, 0, 64)`, then `ParseUint`.
fn integer(text: &str) -> Option<Number> {
    let (negative, body) = match text.strip_prefix('-') {
        Some(body) => (true, body),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = body.to_ascii_lowercase();
    let (radix, digits) = if let Some(rest) = lower.strip_prefix("0x") {
        (16, rest)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (2, rest)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (8, rest)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, lower.get(1..)?)
    } else {
        (10, lower.as_str())
    };
    if digits.is_empty() || digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        let signed = i128::from(magnitude).checked_neg()?;
        i64::try_from(signed).ok().map(Number::from)
    } else {
        Some(Number::from(magnitude))
    }
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`
fn is_float(text: &str) -> bool {
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((m, e)) => (m, Some(e.strip_prefix(['-', '+']).unwrap_or(e))),
        None => (body, None),
    };
    let mantissa_fits = match mantissa.split_once('.') {
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
        None => digits(mantissa),
    };
    mantissa_fits && exponent.is_none_or(digits)
}
