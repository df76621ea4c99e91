//! Quantities such as `1.5Gi` and `200m`, kept exactly, in billionths.

use super::super::error::Error;
use super::super::functions::{Function, global, member};
use super::super::meter::Meter;
use super::super::value::{Outcome, Value};
use super::{order, text};
use std::cmp::Ordering;
use std::rc::Rc;

pub(in super::super) const FUNCTIONS: &[Function] = &[
    global("quantity", (1, 1), |_, a| Ok(made(parse_argument(a)?))),
    global("isQuantity", (1, 1), |_, a| match parse_argument(a) {
        Ok(_) => Ok(Value::Bool(true)),
        Err(_) if matches!(a, [Value::Text(_)]) => Ok(Value::Bool(false)),
        Err(why) => Err(why),
    }),
    global("sign", (1, 1), sign),
    member("sign", (1, 1), sign),
    member("isGreaterThan", (2, 2), |_, a| {
        Ok(Value::Bool(compared(a)? == Ordering::Greater))
    }),
    member("isLessThan", (2, 2), |_, a| {
        Ok(Value::Bool(compared(a)? == Ordering::Less))
    }),
    member("compareTo", (2, 2), |_, a| Ok(order(compared(a)?))),
    member("asApproximateFloat", (1, 1), |_, a| {
        Ok(Value::Double(one(a)?.nanos as f64 / 1e9))
    }),
    member("asInteger", (1, 1), |_, a| {
        let whole = one(a)?.whole();
        whole
            .map(Value::Int)
            .ok_or_else(|| Error::new("cannot convert value to integer"))
    }),
    member("isInteger", (1, 1), |_, a| {
        Ok(Value::Bool(one(a)?.whole().is_some()))
    }),
    member("add", (2, 2), |_, a| added(a, 1)),
    member("sub", (2, 2), |_, a| added(a, -1)),
];

const NANO: i128 = 1_000_000_000;

/// A quantity. `scale` is the power of ten that Kubernetes keeps it in; it keeps none where
/// the text was long or a binary fraction, and such a quantity is never an integer to it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quantity {
    nanos: i128,
    scale: Option<i32>,
}

impl Quantity {
    pub(in super::super) fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }

    fn whole(&self) -> Option<i64> {
        self.scale.filter(|s| *s >= 0 || self.nanos == 0)?;
        i64::try_from(self.nanos / NANO).ok()
    }

    pub(in super::super) fn parse(text: &str) -> Result<Self, Error> {
        let wrong = || Error::new(format!("{text:?} is no quantity"));
        let large = || Error::new(format!("the quantity {text:?} is larger than is supported"));
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (number, tail) = rest.split_at_checked(end).ok_or_else(wrong)?;
        let (fraction, suffix) = match tail.strip_prefix('.') {
            Some(after) => {
                let end = after
                    .find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(after.len());
                after.split_at_checked(end).ok_or_else(wrong)?
            }
            None => ("", tail),
        };
        if text.is_empty() || (number.is_empty() && fraction.is_empty()) {
            return Err(wrong());
        }
        let number = number.trim_start_matches('0');
        let digits = match number.is_empty() {
            true => 1,
            false => number.len(),
        } + fraction.len();
        let (base, exponent) = suffix_of(suffix).ok_or_else(wrong)?;
        let value: u128 = format!("0{number}{fraction}")
            .parse()
            .map_err(|_| large())?;
        let places = i32::try_from(fraction.len()).map_err(|_| large())?;
        let shift = 9 - places + if base == 10 { exponent } else { 0 };
        let scaled = if base == 2 {
            value.checked_mul(1_u128 << exponent.clamp(0, 60))
        } else {
            Some(value)
        };
        let nanos = scaled.and_then(|v| shifted(v, shift));
        let cap = i128::from(i64::MAX) * NANO;
        let nanos = match nanos.and_then(|v| i128::try_from(v).ok()) {
            // A binary quantity is capped, not refused.
            Some(v) if base == 2 => v.min(cap),
            Some(v) => v,
            None if base == 2 => cap,
            None => return Err(large()),
        };
        let scale = if base == 10 {
            (digits <= 18 && exponent - places >= -9).then_some(exponent - places)
        } else {
            let precision = 14 - i32::try_from(digits).unwrap_or(i32::MAX) - exponent * 3 / 10;
            (fraction.is_empty() && precision >= 0).then_some(0)
        };
        Ok(Self {
            nanos: if negative { -nanos } else { nanos },
            scale,
        })
    }
}

/// `value` times a power of ten, rounded up.
fn shifted(value: u128, power: i32) -> Option<u128> {
    if value == 0 {
        return Some(0);
    }
    match u32::try_from(power) {
        Ok(power) => value.checked_mul(10_u128.checked_pow(power)?),
        Err(_) => Some(match 10_u128.checked_pow(power.unsigned_abs()) {
            Some(unit) => value.div_ceil(unit),
            None => 1,
        }),
    }
}

/// The base and the exponent of a suffix.
fn suffix_of(suffix: &str) -> Option<(u32, i32)> {
    Some(match suffix {
        "n" => (10, -9),
        "u" => (10, -6),
        "m" => (10, -3),
        "" => (10, 0),
        "k" => (10, 3),
        "M" => (10, 6),
        "G" => (10, 9),
        "T" => (10, 12),
        "P" => (10, 15),
        "E" => (10, 18),
        "Ki" => (2, 10),
        "Mi" => (2, 20),
        "Gi" => (2, 30),
        "Ti" => (2, 40),
        "Pi" => (2, 50),
        "Ei" => (2, 60),
        other => {
            let exponent = other.strip_prefix(['e', 'E'])?;
            let value: i32 = exponent.parse().ok()?;
            (10, value.clamp(-1_000, 1_000))
        }
    })
}

fn made<'a>(quantity: Quantity) -> Value<'a> {
    Value::Quantity(Rc::new(quantity))
}

fn parse_argument(args: &[Value<'_>]) -> Result<Quantity, Error> {
    match args {
        [only] => Quantity::parse(text(only)?),
        _ => Err(Error::overload()),
    }
}

fn one<'v>(args: &'v [Value<'_>]) -> Result<&'v Quantity, Error> {
    match args {
        [Value::Quantity(quantity)] => Ok(quantity),
        _ => Err(Error::overload()),
    }
}

fn sign<'a>(_: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let value = one(args)?.nanos.signum();
    Ok(Value::Int(i64::try_from(value).unwrap_or_default()))
}

/// The order of two quantities or of two versions: the functions share their names.
fn compared(args: &[Value<'_>]) -> Result<Ordering, Error> {
    match args {
        [Value::Quantity(a), Value::Quantity(b)] => Ok(a.cmp(b)),
        [Value::Semver(a), Value::Semver(b)] => Ok(a.cmp(b)),
        _ => Err(Error::overload()),
    }
}

fn added<'a>(args: &[Value<'a>], sign: i128) -> Outcome<'a> {
    let (a, b) = match args {
        [Value::Quantity(a), Value::Quantity(b)] => (**a, **b),
        [Value::Quantity(a), Value::Int(b)] => {
            let nanos = i128::from(*b) * NANO;
            let scale = Some(0);
            (**a, Quantity { nanos, scale })
        }
        _ => return Err(Error::overload()),
    };
    let nanos = b
        .nanos
        .checked_mul(sign)
        .and_then(|b| a.nanos.checked_add(b))
        .ok_or_else(|| Error::new("a quantity is larger than is supported"))?;
    let scale = match (a.scale, b.scale) {
        (scale, _) if b.nanos == 0 => scale,
        (Some(_), scale) if a.nanos == 0 => scale,
        (Some(a), Some(b)) => Some(a.min(b)),
        _ => None,
    };
    Ok(made(Quantity { nanos, scale }))
}
