//! `sprintf` with the verbs, flags and complaints of Go's `fmt`.

use super::arithmetic::is_written;
use super::{Builtin, Fault, string};
use crate::pod_security::check::go_quoted;
use regorus::Value;
use std::fmt::Write;

pub(super) const TABLE: &[Builtin] = &[
    ("bartizan_op.printable", 1, |a| match a {
        [value] if holds_written(value) => Err(unprintable()),
        [value] => Ok(value.clone()),
        _ => Ok(Value::Undefined),
    }),
    ("sprintf", 2, sprintf),
];

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
            number if holds_written(number) => return Err(unprintable()),
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
            Self::Float(f) if f.is_sign_negative() => format!("-{}", general(f.abs(), None)),
            Self::Float(f) => general(*f, None),
            Self::Text(text) => text.clone(),
        }
    }
}

/// A number is printed of which only its value is known, and not how it was written.
pub(super) fn unprintable() -> Fault {
    Fault::Unknown("a whole number that was written with a fraction or an exponent".into())
}

/// Whether there is such a number in a value.
pub(super) fn holds_written(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(holds_written),
        Value::Set(items) => items.iter().any(holds_written),
        Value::Object(map) => map
            .iter()
            .any(|(k, v)| holds_written(k) || holds_written(v)),
        other => is_written(other),
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

#[derive(Default, Clone)]
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
    let mut printer = Printer {
        rest: format,
        arguments: &items?,
        at: 0,
        reordered: false,
        good: true,
    };
    printer.print().map(|text| Value::from(text.as_str()))
}

/// Reads a format as Go's `doPrintf` does.
struct Printer<'f> {
    rest: &'f str,
    arguments: &'f [Argument],
    /// The argument that the next verb takes.
    at: usize,
    /// An argument was named by its number: what is left over is no fault then.
    reordered: bool,
    /// The numbers within the verb at hand can be understood.
    good: bool,
}

impl<'f> Printer<'f> {
    fn print(&mut self) -> Result<String, Fault> {
        let mut out = String::with_capacity(self.rest.len() + 16);
        while let Some((plain, rest)) = self.rest.split_once('%') {
            out.push_str(plain);
            self.rest = rest;
            self.good = true;
            let flags = self.flags(&mut out)?;
            let Some(verb) = self.rest.chars().next() else {
                out.push_str("%!(NOVERB)");
                break;
            };
            self.skip(verb.len_utf8());
            if verb == '%' {
                out.push('%');
            } else if !self.good {
                let _ = write!(out, "%!{verb}(BADINDEX)");
            } else if let Some(argument) = self.arguments.get(self.at) {
                self.at += 1;
                // `%+v` asks for names of fields, and not for a sign.
                let plus = flags.plus && verb != 'v';
                out.push_str(&one(verb, argument, &Flags { plus, ..flags })?);
            } else {
                let _ = write!(out, "%!{verb}(MISSING)");
            }
        }
        out.push_str(self.rest);
        let left = self.arguments.get(self.at..).unwrap_or_default();
        if !self.reordered && !left.is_empty() {
            let left: Vec<String> = left
                .iter()
                .map(|a| format!("{}={}", a.type_name(), a.plain()))
                .collect();
            let _ = write!(out, "%!(EXTRA {})", left.join(", "));
        }
        Ok(out)
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn next_if(&mut self, wanted: char) -> bool {
        let is = self.rest.starts_with(wanted);
        if is {
            self.skip(wanted.len_utf8());
        }
        is
    }

    /// What stands between `%` and the verb.
    fn flags(&mut self, out: &mut String) -> Result<Flags, Fault> {
        let mut flags = Flags::default();
        while let Some(flag) = self.rest.chars().next().filter(|c| "+-# 0".contains(*c)) {
            self.skip(1);
            match flag {
                '+' => flags.plus = true,
                '-' => flags.minus = true,
                '#' => flags.sharp = true,
                ' ' => flags.space = true,
                _ => flags.zero = true,
            }
        }
        let mut named = self.number();
        if self.next_if('*') {
            match self.given_by_argument() {
                Some(width) => {
                    flags.width = usize::try_from(width.unsigned_abs()).ok();
                    flags.minus |= width < 0;
                    flags.zero &= width >= 0;
                }
                None => out.push_str("%!(BADWIDTH)"),
            }
            named = false;
        } else {
            flags.width = self.digits();
            self.good &= !(named && flags.width.is_some());
        }
        if self.rest.len() > 1 && self.next_if('.') {
            self.good &= !named;
            named = self.number();
            if self.next_if('*') {
                let precision = self.given_by_argument();
                flags.precision = precision.and_then(|p| usize::try_from(p).ok());
                if flags.precision.is_none() {
                    out.push_str("%!(BADPREC)");
                }
                named = false;
            } else {
                flags.precision = Some(self.digits().unwrap_or(0));
            }
        }
        if !named {
            self.number();
        }
        if flags.width.max(flags.precision) > Some(WIDEST) {
            return Err(Fault::Unknown("a field that is too wide".into()));
        }
        Ok(flags)
    }

    /// `[2]`: which argument comes next; whether one was named.
    fn number(&mut self) -> bool {
        if !self.rest.starts_with('[') {
            return false;
        }
        self.reordered = true;
        let Some(end) = self.rest.find(']').filter(|_| self.rest.len() > 2) else {
            self.good = false;
            self.skip(1);
            return false;
        };
        let digits = self.rest.get(1..end).unwrap_or_default();
        self.skip(end + 1);
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        // Zero is no number of an argument, but is read as one.
        let at = digits.parse::<usize>().ok().filter(|_| plain);
        match at.map(|at| at.checked_sub(1)) {
            Some(Some(at)) if at < self.arguments.len() => self.at = at,
            _ => self.good = false,
        }
        at.is_some()
    }

    /// A width or precision that an argument gives.
    fn given_by_argument(&mut self) -> Option<i64> {
        let argument = self.arguments.get(self.at)?;
        self.at += 1;
        match argument {
            Argument::Integer(n) if n.unsigned_abs() <= 1_000_000 => Some(*n),
            _ => None,
        }
    }

    /// A number, where one is; one that is too large is as large as can be.
    fn digits(&mut self) -> Option<usize> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit());
        let digits = self.rest.get(..end.unwrap_or(self.rest.len()))?;
        self.skip(digits.len());
        (!digits.is_empty()).then(|| digits.parse().unwrap_or(usize::MAX))
    }
}

fn one(verb: char, argument: &Argument, flags: &Flags) -> Result<String, Fault> {
    let unusual = || Fault::Unknown(format!("the format has %{verb} in an unusual form"));
    if flags.sharp || matches!(verb, 'p' | 'w') {
        return Err(unusual());
    }
    let (negative, digits) = match (argument, verb) {
        (_, 'T') => return Ok(padded(&cut(argument.type_name(), flags), flags)),
        (Argument::Text(text), 's' | 'v') => return Ok(padded(&cut(text, flags), flags)),
        (Argument::Text(text), 'q') if !flags.plus => {
            return Ok(padded(&go_quoted(&cut(text, flags)), flags));
        }
        (Argument::Text(text), 'x' | 'X') => {
            let bytes = text.bytes().take(flags.precision.unwrap_or(usize::MAX));
            let hex: Vec<String> = bytes.map(|b| format!("{b:02x}")).collect();
            let hex = hex.join(if flags.space { " " } else { "" });
            let hex = if verb == 'X' { hex.to_uppercase() } else { hex };
            return Ok(padded(&hex, flags));
        }
        (Argument::Integer(n), 'd' | 'v' | 'x' | 'X' | 'o' | 'O' | 'b') => {
            let size = n.unsigned_abs();
            let digits = match verb {
                'x' => format!("{size:x}"),
                'X' => format!("{size:X}"),
                'o' | 'O' => format!("{size:o}"),
                'b' => format!("{size:b}"),
                _ => size.to_string(),
            };
            let spaces = Flags {
                zero: false,
                ..flags.clone()
            };
            if flags.precision == Some(0) && *n == 0 {
                return Ok(padded("", &spaces));
            }
            let sign = sign(*n < 0, flags);
            let least = match (flags.precision, flags.width) {
                (Some(precision), _) => precision,
                (None, Some(width)) if flags.zero && !flags.minus => {
                    width.saturating_sub(sign.len())
                }
                _ => 0,
            };
            let prefix = if verb == 'O' { "0o" } else { "" };
            let whole = format!("{sign}{prefix}{digits:0>least$}");
            return Ok(padded(&whole, &spaces));
        }
        (Argument::Integer(n), 'c') => return Ok(padded(&character(*n).to_string(), flags)),
        (Argument::Integer(n), 'q') if !flags.plus => {
            let c = character(*n);
            let quoted = match c {
                '\'' => "\\'".to_owned(),
                '"' => "\"".to_owned(),
                c => go_quoted(&c.to_string()).trim_matches('"').to_owned(),
            };
            return Ok(padded(&format!("'{quoted}'"), flags));
        }
        (Argument::Integer(_), 'q' | 'U')
        | (Argument::Float(_), 'b')
        | (Argument::Text(_), 'q') => {
            return Err(unusual());
        }
        (Argument::Float(f), 'f' | 'F') => {
            let precision = flags.precision.unwrap_or(6);
            (f.is_sign_negative(), format!("{:.precision$}", f.abs()))
        }
        (Argument::Float(f), 'e' | 'E') => {
            let text = exponential(f.abs(), flags.precision.or(Some(6)));
            (f.is_sign_negative(), cased(verb, text))
        }
        (Argument::Float(f), 'v' | 'g' | 'G') => {
            let text = general(f.abs(), flags.precision);
            (f.is_sign_negative(), cased(verb, text))
        }
        (Argument::Float(f), 'x' | 'X') if flags.precision.is_none() => {
            (f.is_sign_negative(), cased(verb, hexadecimal(f.abs())))
        }
        (Argument::Float(_), 'x' | 'X') => return Err(unusual()),
        (argument, verb) => {
            // The width and all that is meant for the verb shapes the complaint's value.
            let value = one('v', argument, flags)?;
            return Ok(format!("%!{verb}({}={value})", argument.type_name()));
        }
    };
    let sign = sign(negative, flags);
    if flags.zero && !flags.minus {
        let least = flags.width.unwrap_or(0).saturating_sub(sign.len());
        return Ok(format!("{sign}{digits:0>least$}"));
    }
    Ok(padded(&format!("{sign}{digits}"), flags))
}

fn character(n: i64) -> char {
    let c = u32::try_from(n).ok().and_then(char::from_u32);
    c.unwrap_or('\u{fffd}')
}

fn cased(verb: char, text: String) -> String {
    if verb.is_ascii_uppercase() {
        text.to_uppercase()
    } else {
        text
    }
}

fn sign(negative: bool, flags: &Flags) -> &'static str {
    match negative {
        true => "-",
        false if flags.plus => "+",
        false if flags.space => " ",
        false => "",
    }
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

/// With an exponent where the number is very small or has more digits than were asked for.
/// Without a precision it is the shortest form that reads back the same.
fn general(f: f64, precision: Option<usize>) -> String {
    let scientific = exponential(f, precision.map(|digits| digits.max(1) - 1));
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let mantissa = match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.'),
        false => digits,
    };
    let count = i64::try_from(mantissa.bytes().filter(u8::is_ascii_digit).count()).unwrap_or(0);
    let most = match precision {
        // As many digits as there are, where that are fewer.
        Some(most) => match i64::try_from(most.max(1)).unwrap_or(i64::MAX) {
            most if most > count && count > exponent => count,
            most => most,
        },
        None => 6,
    };
    if f != 0.0 && (exponent < -4 || exponent >= most) {
        return scientific.replacen(digits, mantissa, 1);
    }
    let fraction = usize::try_from(count - 1 - exponent).unwrap_or(0);
    format!("{f:.fraction$}")
}

/// `0x1.8p+01`.
fn hexadecimal(f: f64) -> String {
    const BITS: u32 = 52;
    let bits = f.to_bits();
    let (mut mantissa, biased) = (bits & ((1 << BITS) - 1), (bits >> BITS) & 0x7ff);
    let mut exponent = i64::try_from(biased).unwrap_or(0) - 1023;
    if f == 0.0 {
        return "0x0p+00".into();
    }
    if biased == 0 {
        // Too small for a leading one: made to have it.
        let shift = mantissa.leading_zeros() - (63 - BITS);
        mantissa = (mantissa << shift) & ((1 << BITS) - 1);
        exponent = -1022 - i64::from(shift);
    }
    let digits = format!("{mantissa:013x}");
    let digits = digits.trim_end_matches('0');
    let point = if digits.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("0x1{point}{digits}p{sign}{:02}", exponent.unsigned_abs())
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
            (
                "%5d|%.2f|%+d",
                json!(["é", 7, "a"]),
                "%!d(string=    é)|%!f(int64=07)|%!d(string=a)",
            ),
            ("%+d|%+v", json!([1.5, 5]), "%!d(float64=+1.5)|5"),
            ("%[2]v %[1]v", json!([1, 2]), "2 1"),
            (
                "%[1]v %v %[3]d %[x]d",
                json!([1, 2]),
                "1 2 %!d(BADINDEX) %!d(BADINDEX)",
            ),
            (
                "%*d|%-*d|%.*f",
                json!([4, 7, 3, 7, 1, 2.25]),
                "   7|7  |2.2",
            ),
            ("%*d", json!(["a", 1]), "%!(BADWIDTH)1"),
            (
                "%.3g %.2g %g",
                json!([1234.5, 0.00012345, 1234567.5]),
                "1.23e+03 0.00012 1.2345675e+06",
            ),
            (
                "%x %X",
                json!([1.5, -0.1]),
                "0x1.8p+00 -0X1.999999999999AP-04",
            ),
            ("%q %q", json!([97, 39]), "'a' '\\\''"),
            ("%05.1f|%3.0d|%.2d", json!([1.25, 0, 5]), "001.2|   |05"),
            ("%T %5T", json!([1, "a"]), "int64 string"),
            ("%O % x", json!([8, "ab"]), "0o10 61 62"),
        ] {
            assert_eq!(text(format, arguments), Some(json!(wanted)), "{format}");
        }
    }

    #[test]
    fn how_a_number_was_written_is_not_guessed() {
        let float = regorus::Value::from(2e10);
        assert!(super::holds_written(&regorus::Value::from(vec![float])));
        assert!(!super::holds_written(&regorus::Value::from(1.5)));
        assert!(!super::holds_written(&regorus::Value::from(2)));
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        for (format, arguments) in [
            ("%#v", json!([1])),
            ("%99999999999d", json!([1])),
            ("%p", json!([1])),
        ] {
            assert_eq!(text(format, arguments), None, "{format}");
        }
    }
}
