//! Optional values.

use super::super::error::Error;
use super::super::functions::{Function, global, member};
use super::super::meter::Meter;
use super::super::value::{Outcome, Value};

pub(in super::super) const FUNCTIONS: &[Function] = &[
    global("optional.of", (1, 1), |_, a| {
        Ok(Value::some(one(a)?.clone()))
    }),
    global("optional.none", (0, 0), |_, _| Ok(Value::Optional(None))),
    global("optional.ofNonZeroValue", (1, 1), of_non_zero),
    global("optional.unwrap", (1, 1), unwrap),
    member("unwrapOpt", (1, 1), unwrap),
    member("hasValue", (1, 1), has_value),
    member("value", (1, 1), value),
    member("or", (2, 2), |_, _| Err(Error::overload())),
    member("orValue", (2, 2), |_, _| Err(Error::overload())),
    member("first", (1, 1), |_, a| end(a, true)),
    member("last", (1, 1), |_, a| end(a, false)),
];

fn one<'v, 'a>(args: &'v [Value<'a>]) -> Result<&'v Value<'a>, Error> {
    args.first().ok_or_else(Error::overload)
}

/// What `or` or `orValue` answers without looking at the other value.
pub(in super::super) fn either<'a>(
    name: &str,
    target: Value<'a>,
) -> Result<Option<Value<'a>>, Error> {
    match target {
        Value::Optional(Some(inner)) if name == "orValue" => Ok(Some((*inner).clone())),
        Value::Optional(Some(inner)) => Ok(Some(Value::Optional(Some(inner)))),
        Value::Optional(None) => Ok(None),
        _ => Err(Error::overload()),
    }
}

fn of_non_zero<'a>(_: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let value = one(args)?;
    let zero = match value {
        Value::Null => true,
        Value::Bool(b) => !b,
        Value::Int(i) => *i == 0,
        Value::Uint(u) => *u == 0,
        Value::Double(d) => *d == 0.0,
        Value::Text(text) => text.is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::List(list) => list.len() == 0,
        Value::Map(map) => map.len() == 0,
        Value::Duration(d) => *d == 0,
        Value::Optional(inner) => inner.is_none(),
        _ => false,
    };
    Ok(if zero {
        Value::Optional(None)
    } else {
        Value::some(value.clone())
    })
}

fn unwrap<'a>(meter: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let Value::List(list) = one(args)? else {
        return Err(Error::overload());
    };
    meter.grow(list.len() * size_of::<Value<'_>>())?;
    let mut all = Vec::new();
    for item in list.iter() {
        match item {
            Value::Optional(Some(inner)) => all.push((*inner).clone()),
            Value::Optional(None) => {}
            _ => return Err(Error::overload()),
        }
    }
    Ok(Value::list(all))
}

fn has_value<'a>(_: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    match one(args)? {
        Value::Optional(inner) => Ok(Value::Bool(inner.is_some())),
        _ => Err(Error::overload()),
    }
}

fn value<'a>(_: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    match one(args)? {
        Value::Optional(Some(inner)) => Ok((**inner).clone()),
        Value::Optional(None) => Err(Error::new("optional.none() dereference")),
        _ => Err(Error::overload()),
    }
}

fn end<'a>(args: &[Value<'a>], first: bool) -> Outcome<'a> {
    let Value::List(list) = one(args)? else {
        return Err(Error::overload());
    };
    let item = if first {
        list.get(0)
    } else {
        list.len().checked_sub(1).and_then(|i| list.get(i))
    };
    Ok(item.map_or(Value::Optional(None), Value::some))
}
