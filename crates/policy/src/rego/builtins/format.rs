//! `sprintf` with the verbs, flags and complaints of Go's `fmt`.

use super::{Builtin, Fault, string};
use crate::pod_security::check::go_quoted;
use regorus::Value;
use std::fmt::Write;
use std::iter::Peekable;
use std::str::Chars;

pub(super) const TABLE: &[Builtin] = &[("sprintf", 2, sprintf)];

/// An argument as OPA hands it to Go.
enum Argument {
    Integer(i64),
    Float(f64),
    Text(String),
}

impl Argument {
    fn of(value: &Value) -> Result<Self, Fault> {
        Ok(match value {
            Value::String(text) => Self::Text(text.to_string()),
            Value::Number(n) => match (n.is_integer(), n.as_i64(), n.as_f64()) {
                (true, Some(whole), _) => Self::Integer(whole),
                (false, _, Some(float)) => Self::Float(float),
                _ => return Err(Fault::Unknown("a number that is too large".into())),
            },
            other => Self::Text(opa_text(other)),
        })
    }

    fn type_name(&self) -> &'static str {
        match self {
            Self::Integer(_) => "int64",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
        }
    }

    /// As `%v` has it.
    fn plain(&self) -> String {
        match self {
            Self::Integer(n) => n.to_string(),
            Self::Float(f) => general(*f, None, 21),
            Self::Text(text) => text.clone(),
        }
    }
}

/// A value as OPA writes it.
pub(crate) fn opa_text(value: &Value) -> String {
    let list = |items: &mut dyn Iterator<Item = String>| items.collect::<Vec<_>>().join(", ");
    match value {
        Value::Null => "null".into(),
        Value::Bool(is) => is.to_string(),
        Value::String(text) => go_quoted(text),
        Value::Number(_) => value.to_json_str().unwrap_or_default(),
        Value::Array(items) => format!("[{}]", list(&mut items.iter().map(opa_text))),
        Value::Set(items) if items.is_empty() => "set()".into(),
        Value::Set(items) => format!("{{{}}}", list(&mut items.iter().map(opa_text))),
        Value::Object(map) => {
            let mut pairs: Vec<_> = map.iter().collect();
            pairs.sort();
            let mut pairs = pairs
                .into_iter()
                .map(|(k, v)| format!("{}: {}", opa_text(k), opa_text(v)));
            format!("{{{}}}", list(&mut pairs))
        }
        Value::Undefined => String::new(),
    }
}

#[derive(Default)]
struct Flags {
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Wider fields are not made.
const WIDEST: usize = 10_000;

fn sprintf(arguments: &[Value]) -> Result<Value, Fault> {
    let format = string(arguments, 0)?;
    let Some(Value::Array(items)) = arguments.get(1) else {
        return Err(Fault::error("operand 2 must be an array"));
    };
    let items: Result<Vec<_>, _> = items.iter().map(Argument::of).collect();
    formatted(format, &items?).map(|text| Value::from(text.as_str()))
}

fn formatted(format: &str, arguments: &[Argument]) -> Result<String, Fault> {
    let mut out = String::with_capacity(format.len() + 16);
    let mut rest = format.chars().peekable();
    let mut left = arguments.iter();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut flags = Flags::default();
        while let Some(flag) = rest.next_if(|c| "+-# 0".contains(*c)) {
            match flag {
                '+' => flags.plus = true,
                '-' => flags.minus = true,
                '#' => flags.sharp = true,
                ' ' => flags.space = true,
                _ => flags.zero = true,
            }
        }
        flags.width = digits(&mut rest);
        if rest.next_if_eq(&'.').is_some() {
            flags.precision = Some(digits(&mut rest).unwrap_or(0));
        }
        if flags.width.max(flags.precision) > Some(WIDEST) {
            return Err(Fault::Unknown("a field that is too wide".into()));
        }
        match rest.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(verb @ ('*' | '[')) => {
                return Err(Fault::Unknown(format!("the format has {verb}")));
            }
            Some(verb) => match left.next() {
                None => {
                    let _ = write!(out, "%!{verb}(MISSING)");
                }
                Some(argument) => out.push_str(&one(verb, argument, &flags)?),
            },
        }
    }
    let more: Vec<String> = left
        .map(|a| format!("{}={}", a.type_name(), a.plain()))
        .collect();
    if !more.is_empty() {
        let _ = write!(out, "%!(EXTRA {})", more.join(", "));
    }
    Ok(out)
}

/// A number, where one is; one that is too large is as large as can be.
fn digits(rest: &mut Peekable<Chars<'_>>) -> Option<usize> {
    let mut digits = String::new();
    while let Some(digit) = rest.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    (!digits.is_empty()).then(|| digits.parse().unwrap_or(usize::MAX))
}

fn one(verb: char, argument: &Argument, flags: &Flags) -> Result<String, Fault> {
    let unusual = || Fault::Unknown(format!("the format has %{verb} in an unusual form"));
    if flags.sharp {
        return Err(unusual());
    }
    let text = match (argument, verb) {
        (Argument::Text(text), 's' | 'v') => return Ok(padded(&cut(text, flags), flags)),
        (Argument::Text(text), 'q') if !flags.plus => {
            return Ok(padded(&go_quoted(&cut(text, flags)), flags));
        }
        (Argument::Text(text), 'x' | 'X') if !flags.space => {
            let bytes = text.bytes().take(flags.precision.unwrap_or(usize::MAX));
            let hex: String = bytes.map(|b| format!("{b:02x}")).collect();
            let hex = if verb == 'X' { hex.to_uppercase() } else { hex };
            return Ok(padded(&hex, flags));
        }
        (Argument::Integer(n), 'd' | 'v' | 'x' | 'X' | 'o' | 'b') => {
            let size = n.unsigned_abs();
            let digits = match verb {
                'x' => format!("{size:x}"),
                'X' => format!("{size:X}"),
                'o' => format!("{size:o}"),
                'b' => format!("{size:b}"),
                _ => size.to_string(),
            };
            let least = flags.precision.unwrap_or(0);
            if flags.precision == Some(0) && *n == 0 {
                return Err(unusual());
            }
            signed(*n < 0, &format!("{digits:0>least$}"))
        }
        (Argument::Integer(n), 'c') => {
            let c = u32::try_from(*n).ok().and_then(char::from_u32);
            return Ok(padded(&c.unwrap_or('\u{fffd}').to_string(), flags));
        }
        (Argument::Float(f), 'f' | 'F') => {
            let precision = flags.precision.unwrap_or(6);
            signed(f.is_sign_negative(), &format!("{:.precision$}", f.abs()))
        }
        (Argument::Float(f), 'e' | 'E') => {
            let text = exponential(f.abs(), flags.precision.or(Some(6)));
            let text = if verb == 'E' {
                text.to_uppercase()
            } else {
                text
            };
            signed(f.is_sign_negative(), &text)
        }
        (Argument::Float(f), 'v' | 'g' | 'G') => {
            let most = if verb == 'v' {
                21
            } else {
                flags.precision.map_or(21, |p| p.max(1))
            };
            if flags.precision.is_some() {
                return Err(unusual());
            }
            signed(f.is_sign_negative(), &general(f.abs(), None, most))
        }
        (Argument::Integer(_), 'q' | 'U' | 'O') | (Argument::Float(_), 'x' | 'X' | 'b') => {
            return Err(unusual());
        }
        (Argument::Text(_), 'q' | 'x' | 'X') => return Err(unusual()),
        (_, 'T') => return Ok(padded(argument.type_name(), flags)),
        (_, 'p' | 'w') => return Err(unusual()),
        (argument, verb) => {
            if flags.width.is_some() || flags.precision.is_some() || flags.plus || flags.space {
                return Err(unusual());
            }
            return Ok(format!(
                "%!{verb}({}={})",
                argument.type_name(),
                argument.plain()
            ));
        }
    };
    Ok(number(&text, flags))
}

/// Minus and digits apart.
fn signed(negative: bool, digits: &str) -> (bool, String) {
    (negative, digits.to_owned())
}

fn number((negative, digits): &(bool, String), flags: &Flags) -> String {
    let sign = match negative {
        true => "-",
        false if flags.plus => "+",
        false if flags.space => " ",
        false => "",
    };
    let width = flags.width.unwrap_or(0);
    let fills = flags.precision.is_none() || digits.contains('.');
    if flags.zero && !flags.minus && fills {
        let least = width.saturating_sub(sign.len());
        return format!("{sign}{digits:0>least$}");
    }
    let spaces = Flags {
        width: flags.width,
        minus: flags.minus,
        ..Flags::default()
    };
    padded(&format!("{sign}{digits}"), &spaces)
}

fn cut(text: &str, flags: &Flags) -> String {
    text.chars()
        .take(flags.precision.unwrap_or(usize::MAX))
        .collect()
}

fn padded(text: &str, flags: &Flags) -> String {
    let width = flags.width.unwrap_or(0);
    match (flags.minus, flags.zero) {
        (true, _) => format!("{text:<width$}"),
        (false, true) => format!("{text:0>width$}"),
        (false, false) => format!("{text:>width$}"),
    }
}

/// `1.5e+06`: at least two digits of exponent, as Go and C have it.
fn exponential(f: f64, precision: Option<usize>) -> String {
    let text = match precision {
        Some(precision) => format!("{f:.precision$e}"),
        None => format!("{f:e}"),
    };
    let Some((digits, exponent)) = text.split_once('e') else {
        return text;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

/// The shortest form that reads back the same; with an exponent when that is very small or large.
fn general(f: f64, precision: Option<usize>, most: usize) -> String {
    let scientific = exponential(f, precision);
    let exponent = scientific
        .rsplit('e')
        .next()
        .and_then(|e| e.parse::<i64>().ok())
        .unwrap_or(0);
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    if f != 0.0 && (exponent < -4 || exponent >= most) {
        scientific
    } else {
        format!("{f}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::call;
    use serde_json::{Value, json};

    fn text(format: &str, arguments: Value) -> Option<Value> {
        call("sprintf", &[json!(format), arguments])
    }

    #[test]
    fn as_go_formats() {
        for (format, arguments, wanted) in [
            ("%v %s %d", json!([1, "a", -2]), "1 a -2"),
            ("%d", json!(["a"]), "%!d(string=a)"),
            ("%s|%d", json!([5, 1.5]), "%!s(int64=5)|%!d(float64=1.5)"),
            (
                "%v",
                json!([{"b": [1, "x"], "a": null}]),
                "{\"a\": null, \"b\": [1, \"x\"]}",
            ),
            ("%s", json!([[true]]), "[true]"),
            (
                "%5d|%-5d|%05d|%+d",
                json!([7, 7, -7, 7]),
                "    7|7    |-0007|+7",
            ),
            (
                "%5s|%-5s|%.2s|%q",
                json!(["é", "é", "abc", "a\"b"]),
                "    é|é    |ab|\"a\\\"b\"",
            ),
            (
                "%.2f %8.3f %e",
                json!([1.005, -1.5, 1500.5]),
                "1.00   -1.500 1.500500e+03",
            ),
            ("%x %X %o %b", json!([255, 255, 8, 5]), "ff FF 10 101"),
            ("%x", json!(["hi"]), "6869"),
            ("%% %z", json!([1]), "% %!z(int64=1)"),
            ("%v", json!([]), "%!v(MISSING)"),
            ("a", json!([1, "b"]), "a%!(EXTRA int64=1, string=b)"),
            ("100%", json!([]), "100%!(NOVERB)"),
            ("%v %v", json!([0.1, 1e-7]), "0.1 1e-07"),
            ("%t", json!([true]), "%!t(string=true)"),
        ] {
            assert_eq!(text(format, arguments), Some(json!(wanted)), "{format}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        for (format, arguments) in [
            ("%*d", json!([1, 2])),
            ("%[1]d", json!([1])),
            ("%#v", json!([1])),
            ("%99999999999d", json!([1])),
            ("%p", json!([1])),
        ] {
            assert_eq!(text(format, arguments), None, "{format}");
        }
    }
}
