//! Numbers, durations, timestamps, and what `+` joins. Overflow is an error.

use super::ast::Binary;
use super::error::Error;
use super::meter::Meter;
use super::time;
use super::value::{Outcome, Value};

const OVERFLOW: &str = "integer overflow";

pub(super) fn negate<'a>(value: &Value<'a>) -> Outcome<'a> {
    match value {
        Value::Int(i) => i
            .checked_neg()
            .map(Value::Int)
            .ok_or_else(|| Error::new(OVERFLOW)),
        Value::Double(d) => Ok(Value::Double(-d)),
        _ => Err(Error::overload()),
    }
}

pub(super) fn binary<'a>(
    op: Binary,
    left: Value<'a>,
    right: Value<'a>,
    meter: &mut Meter,
) -> Outcome<'a> {
    match (&left, &right) {
        (Value::Int(a), Value::Int(b)) => ints(op, *a, *b),
        (Value::Uint(a), Value::Uint(b)) => uints(op, *a, *b),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(match op {
            Binary::Add => a + b,
            Binary::Subtract => a - b,
            Binary::Multiply => a * b,
            Binary::Divide => a / b,
            _ => return Err(Error::overload()),
        })),
        (Value::Duration(_) | Value::Timestamp(_), _) | (_, Value::Timestamp(_)) => {
            times(op, &left, &right)
        }
        _ if op == Binary::Add => join(&left, &right, meter),
        _ => Err(Error::overload()),
    }
}

fn ints<'a>(op: Binary, a: i64, b: i64) -> Outcome<'a> {
    let value = match op {
        Binary::Add => a.checked_add(b),
        Binary::Subtract => a.checked_sub(b),
        Binary::Multiply => a.checked_mul(b),
        Binary::Divide if b == 0 => return Err(Error::new("division by zero")),
        Binary::Divide => a.checked_div(b),
        Binary::Remainder if b == 0 => return Err(Error::new("modulus by zero")),
        Binary::Remainder => a.checked_rem(b),
        _ => return Err(Error::overload()),
    };
    value.map(Value::Int).ok_or_else(|| Error::new(OVERFLOW))
}

fn uints<'a>(op: Binary, a: u64, b: u64) -> Outcome<'a> {
    let value = match op {
        Binary::Add => a.checked_add(b),
        Binary::Subtract => a.checked_sub(b),
        Binary::Multiply => a.checked_mul(b),
        Binary::Divide if b == 0 => return Err(Error::new("division by zero")),
        Binary::Divide => a.checked_div(b),
        Binary::Remainder if b == 0 => return Err(Error::new("modulus by zero")),
        Binary::Remainder => a.checked_rem(b),
        _ => return Err(Error::overload()),
    };
    let overflow = || Error::new("unsigned integer overflow");
    value.map(Value::Uint).ok_or_else(overflow)
}

fn times<'a>(op: Binary, left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    let duration = |value: Option<i64>| {
        let overflow = || Error::new("duration overflow");
        value.map(Value::Duration).ok_or_else(overflow)
    };
    match (left, right, op) {
        (Value::Duration(a), Value::Duration(b), Binary::Add) => duration(a.checked_add(*b)),
        (Value::Duration(a), Value::Duration(b), Binary::Subtract) => duration(a.checked_sub(*b)),
        (Value::Timestamp(t), Value::Duration(d), Binary::Add)
        | (Value::Duration(d), Value::Timestamp(t), Binary::Add) => {
            time::timestamp(t + i128::from(*d))
        }
        (Value::Timestamp(t), Value::Duration(d), Binary::Subtract) => {
            time::timestamp(t - i128::from(*d))
        }
        (Value::Timestamp(a), Value::Timestamp(b), Binary::Subtract) => {
            duration(i64::try_from(a - b).ok())
        }
        _ => Err(Error::overload()),
    }
}

fn join<'a>(left: &Value<'a>, right: &Value<'a>, meter: &mut Meter) -> Outcome<'a> {
    match (left, right) {
        (Value::Text(a), Value::Text(b)) => {
            meter.grow(a.len() + b.len())?;
            Ok(Value::text([&**a, &**b].concat()))
        }
        (Value::Bytes(a), Value::Bytes(b)) => {
            meter.grow(a.len() + b.len())?;
            Ok(Value::Bytes([&**a, &**b].concat().into()))
        }
        (Value::List(a), Value::List(b)) => {
            if a.len() == 0 {
                return Ok(right.clone());
            }
            if b.len() == 0 {
                return Ok(left.clone());
            }
            meter.grow((a.len() + b.len()) * size_of::<Value<'_>>())?;
            Ok(Value::list(a.iter().chain(b.iter()).collect()))
        }
        _ => Err(Error::overload()),
    }
}
