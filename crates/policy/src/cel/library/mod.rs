//! The libraries of functions, as Kubernetes 1.37 enables them.

pub(super) mod convert;
pub(super) mod core;
pub(super) mod encoding;
pub(super) mod formats;
pub(super) mod lists;
pub(super) mod net;
pub(super) mod optional;
pub(super) mod patch;
pub(super) mod pattern;
pub(super) mod printf;
pub(super) mod quantity;
pub(super) mod regex;
pub(super) mod semver;
pub(super) mod strings;
pub(super) mod url;

use super::error::Error;
use super::value::{Text, Value};

/// The text of an argument.
fn text<'v, 'a>(value: &'v Value<'a>) -> Result<&'v Text<'a>, Error> {
    match value {
        Value::Text(text) => Ok(text),
        _ => Err(Error::overload()),
    }
}

fn int(value: &Value<'_>) -> Result<i64, Error> {
    match value {
        Value::Int(i) => Ok(*i),
        _ => Err(Error::overload()),
    }
}

/// An index or a count as an int.
fn whole<'a>(value: usize) -> Value<'a> {
    Value::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

fn order<'a>(order: std::cmp::Ordering) -> Value<'a> {
    Value::Int(order as i64)
}
