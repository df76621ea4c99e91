//! The standard functions of CEL that are no conversions.

use super::super::error::Error;
use super::super::functions::{Function, global, member};
use super::super::meter::Meter;
use super::super::time;
use super::super::value::{Outcome, Value};
use super::{text, whole};

pub(in super::super) const FUNCTIONS: &[Function] = &[
    global("size", (1, 1), size),
    member("size", (1, 1), size),
    member("contains", (2, 2), contains),
    member("startsWith", (2, 2), starts_with),
    member("endsWith", (2, 2), ends_with),
    global("dyn", (1, 1), same),
    global("type", (1, 1), type_of),
    member("getFullYear", (1, 2), |_, a| part("getFullYear", a)),
    member("getMonth", (1, 2), |_, a| part("getMonth", a)),
    member("getDate", (1, 2), |_, a| part("getDate", a)),
    member("getDayOfMonth", (1, 2), |_, a| part("getDayOfMonth", a)),
    member("getDayOfWeek", (1, 2), |_, a| part("getDayOfWeek", a)),
    member("getDayOfYear", (1, 2), |_, a| part("getDayOfYear", a)),
    member("getHours", (1, 2), |_, a| part("getHours", a)),
    member("getMinutes", (1, 2), |_, a| part("getMinutes", a)),
    member("getSeconds", (1, 2), |_, a| part("getSeconds", a)),
    member("getMilliseconds", (1, 2), |_, a| part("getMilliseconds", a)),
];

fn size<'a>(meter: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [Value::Text(text)] => {
            meter.spend(text.len() as u64 / 64)?;
            Ok(whole(text.chars().count()))
        }
        [Value::Bytes(bytes)] => Ok(whole(bytes.len())),
        [Value::List(list)] => Ok(whole(list.len())),
        [Value::Map(map)] => Ok(whole(map.len())),
        _ => Err(Error::overload()),
    }
}

fn two<'v, 'a>(meter: &mut Meter, args: &'v [Value<'a>]) -> Result<(&'v str, &'v str), Error> {
    let [a, b] = args else {
        return Err(Error::overload());
    };
    let (a, b) = (text(a)?, text(b)?);
    meter.spend((a.len() + b.len()) as u64 / 64)?;
    Ok((a, b))
}

fn contains<'a>(meter: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    two(meter, args).map(|(a, b)| Value::Bool(a.contains(b)))
}

fn starts_with<'a>(meter: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    two(meter, args).map(|(a, b)| Value::Bool(a.starts_with(b)))
}

fn ends_with<'a>(meter: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    two(meter, args).map(|(a, b)| Value::Bool(a.ends_with(b)))
}

fn same<'a>(_: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    args.first().cloned().ok_or_else(Error::overload)
}

fn type_of<'a>(_: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let value = args.first().ok_or_else(Error::overload)?;
    Ok(Value::Type(value.type_name()))
}

fn part<'a>(name: &str, args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [value] => time::part(name, value, None),
        [value, zone] => time::part(name, value, Some(text(zone)?)),
        _ => Err(Error::overload()),
    }
}
