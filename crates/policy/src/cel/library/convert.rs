//! Conversions between types.

use super::super::error::Error;
use super::super::functions::{Function, global};
use super::super::meter::Meter;
use super::super::time;
use super::super::value::{Outcome, Value};

pub(in super::super) const FUNCTIONS: &[Function] = &[
    global("bool", (1, 1), to_bool),
    global("bytes", (1, 1), to_bytes),
    global("double", (1, 1), to_double),
    global("duration", (1, 1), to_duration),
    global("int", (1, 1), to_int),
    global("string", (1, 1), to_string),
    global("timestamp", (1, 1), to_timestamp),
    global("uint", (1, 1), to_uint),
];

fn one<'v, 'a>(args: &'v [Value<'a>]) -> Result<&'v Value<'a>, Error> {
    args.first().ok_or_else(Error::overload)
}

fn refused(value: &Value<'_>, wanted: &str) -> Error {
    Error::new(format!(
        "type conversion error from '{}' to '{wanted}'",
        value.type_name()
    ))
}

fn to_bool<'a>(_: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let value = one(args)?;
    match value {
        Value::Bool(_) => Ok(value.clone()),
        Value::Text(text) => match &**text {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(Value::Bool(true)),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(Value::Bool(false)),
            _ => Err(refused(value, "bool")),
        },
        _ => Err(Error::overload()),
    }
}

fn to_bytes<'a>(meter: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    match one(args)? {
        value @ Value::Bytes(_) => Ok(value.clone()),
        Value::Text(text) => {
            meter.grow(text.len())?;
            Ok(Value::Bytes(text.as_bytes().into()))
        }
        _ => Err(Error::overload()),
    }
}

fn to_double<'a>(_: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let value = one(args)?;
    Ok(Value::Double(match value {
        Value::Double(d) => *d,
        Value::Int(i) => *i as f64,
        Value::Uint(u) => *u as f64,
        Value::Text(text) => number(text).ok_or_else(|| refused(value, "double"))?,
        _ => return Err(Error::overload()),
    }))
}

/// A number as Go reads it: what Rust reads, and no more than that.
fn number(text: &str) -> Option<f64> {
    if text.is_empty() || text.contains(char::is_whitespace) {
        return None;
    }
    text.parse().ok()
}

fn to_duration<'a>(_: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let value = one(args)?;
    match value {
        Value::Duration(_) => Ok(value.clone()),
        Value::Text(text) => match time::parse_duration(text) {
            Some(nanos) => Ok(Value::Duration(nanos)),
            None => Err(refused(value, "google.protobuf.Duration")),
        },
        Value::Int(nanos) => Ok(Value::Duration(*nanos)),
        _ => Err(Error::overload()),
    }
}

fn to_int<'a>(_: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let overflow = || Error::new("integer overflow");
    let value = one(args)?;
    Ok(Value::Int(match value {
        Value::Int(i) => *i,
        Value::Uint(u) => i64::try_from(*u).map_err(|_| overflow())?,
        // The bounds themselves have no exact double on their inner side.
        Value::Double(d) if *d > -9.223_372_036_854_776e18 && *d < 9.223_372_036_854_776e18 => {
            *d as i64
        }
        Value::Double(_) => return Err(overflow()),
        Value::Text(text) => parsed(text).ok_or_else(|| refused(value, "int"))?,
        Value::Timestamp(t) => time::seconds(*t),
        Value::Duration(d) => *d,
        _ => return Err(Error::overload()),
    }))
}

fn parsed(text: &str) -> Option<i64> {
    text.parse().ok()
}

fn to_uint<'a>(_: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let overflow = || Error::new("unsigned integer overflow");
    let value = one(args)?;
    Ok(Value::Uint(match value {
        Value::Uint(u) => *u,
        Value::Int(i) => u64::try_from(*i).map_err(|_| overflow())?,
        Value::Double(d) if *d >= 0.0 && *d < 1.844_674_407_370_955_2e19 => *d as u64,
        Value::Double(_) => return Err(overflow()),
        Value::Text(text) => {
            let digits = text.bytes().all(|b| b.is_ascii_digit());
            let value = text.parse().ok().filter(|_| digits);
            value.ok_or_else(|| refused(&Value::Text(text.clone()), "uint"))?
        }
        _ => return Err(Error::overload()),
    }))
}

fn to_timestamp<'a>(_: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let value = one(args)?;
    match value {
        Value::Timestamp(_) => Ok(value.clone()),
        Value::Text(text) => match time::parse_timestamp(text) {
            Some(nanos) => time::timestamp(nanos),
            None => Err(refused(value, "google.protobuf.Timestamp")),
        },
        Value::Int(seconds) => time::timestamp(i128::from(*seconds) * 1_000_000_000),
        _ => Err(Error::overload()),
    }
}

fn to_string<'a>(meter: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let value = one(args)?;
    match value {
        Value::Text(_) => Ok(value.clone()),
        other => {
            let made = plain(other)?;
            meter.grow(made.len())?;
            Ok(Value::text(made))
        }
    }
}

/// The text of a value as `string()` makes it.
pub(super) fn plain(value: &Value<'_>) -> Result<String, Error> {
    Ok(match value {
        Value::Text(text) => text.to_string(),
        Value::Bool(b) => b.to_string(),
        Value::Int(i) => i.to_string(),
        Value::Uint(u) => u.to_string(),
        Value::Double(d) => super::printf::shortest(*d),
        Value::Bytes(bytes) => std::str::from_utf8(bytes)
            .map_err(|_| Error::new("invalid UTF-8 in bytes, cannot convert to string"))?
            .to_owned(),
        Value::Duration(d) => time::duration_text(*d),
        Value::Timestamp(t) => time::timestamp_text(*t),
        Value::Type(name) => (*name).to_owned(),
        Value::Ip(ip) => ip.to_string(),
        Value::Cidr(prefix) => prefix.to_string(),
        _ => return Err(Error::overload()),
    })
}
