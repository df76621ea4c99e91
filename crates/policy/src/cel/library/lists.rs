//! Functions on lists: those of Kubernetes, version 3 of cel-go's lists, and sets.

use super::super::error::Error;
use super::super::functions::{Function, global, member};
use super::super::meter::Meter;
use super::super::value::{List, Outcome, Value};
use super::{int, whole};
use std::cmp::Ordering;

pub(in super::super) const FUNCTIONS: &[Function] = &[
    member("distinct", (1, 1), distinct),
    member("flatten", (1, 2), flatten),
    member("includes", (2, 2), includes),
    member("isSorted", (1, 1), is_sorted),
    member("max", (1, 1), |m, a| extreme(m, a, "max", Ordering::Less)),
    member("min", (1, 1), |m, a| {
        extreme(m, a, "min", Ordering::Greater)
    }),
    member("reverse", (1, 1), reverse),
    member("slice", (3, 3), slice),
    member("sort", (1, 1), sort),
    member("sum", (1, 1), sum),
    global("lists.range", (1, 1), range),
    global("sets.contains", (2, 2), |m, a| {
        let (a, b) = two(m, a)?;
        Ok(Value::Bool(within(b, a)))
    }),
    global("sets.equivalent", (2, 2), |m, a| {
        let (a, b) = two(m, a)?;
        Ok(Value::Bool(within(a, b) && within(b, a)))
    }),
    global("sets.intersects", (2, 2), |m, a| {
        let (a, b) = two(m, a)?;
        Ok(Value::Bool(a.iter().any(|x| has(b, &x))))
    }),
];

fn list<'v, 'a>(meter: &mut Meter, args: &'v [Value<'a>]) -> Result<&'v List<'a>, Error> {
    match args {
        [Value::List(list), ..] => {
            meter.spend(list.len() as u64)?;
            Ok(list)
        }
        _ => Err(Error::overload()),
    }
}

fn two<'v, 'a>(
    meter: &mut Meter,
    args: &'v [Value<'a>],
) -> Result<(&'v List<'a>, &'v List<'a>), Error> {
    let [Value::List(a), Value::List(b)] = args else {
        return Err(Error::overload());
    };
    meter.spend((a.len() as u64).saturating_mul(b.len() as u64))?;
    Ok((a, b))
}

fn has(list: &List<'_>, item: &Value<'_>) -> bool {
    list.iter().any(|other| other.equals(item))
}

fn within(inner: &List<'_>, outer: &List<'_>) -> bool {
    inner.iter().all(|item| has(outer, &item))
}

pub(super) fn index_of<'a>(
    list: &List<'a>,
    item: &Value<'a>,
    first: bool,
    meter: &mut Meter,
) -> Outcome<'a> {
    meter.spend(list.len() as u64)?;
    let fits = |i: &usize| list.get(*i).is_some_and(|other| other.equals(item));
    let found = if first {
        (0..list.len()).find(fits)
    } else {
        (0..list.len()).rev().find(fits)
    };
    Ok(found.map_or(Value::Int(-1), whole))
}

fn includes<'a>(meter: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [Value::List(list), item] => {
            meter.spend(list.len() as u64)?;
            Ok(Value::Bool(has(list, item)))
        }
        [one, other] => Ok(Value::Bool(one.equals(other))),
        _ => Err(Error::overload()),
    }
}

fn is_sorted<'a>(meter: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let list = list(meter, args)?;
    let mut before: Option<Value<'a>> = None;
    for item in list.iter() {
        if let Some(before) = &before
            && before.compare(&item)? == Some(Ordering::Greater)
        {
            return Ok(Value::Bool(false));
        }
        before = Some(item);
    }
    Ok(Value::Bool(true))
}

fn extreme<'a>(
    meter: &mut Meter,
    args: &[Value<'a>],
    name: &str,
    replaced: Ordering,
) -> Outcome<'a> {
    let list = list(meter, args)?;
    let mut items = list.iter();
    let first = items.next();
    let mut best = first.ok_or_else(|| Error::new(format!("{name} called on empty list")))?;
    // A single element must have an order too.
    best.compare(&best)?;
    for item in items {
        if best.compare(&item)? == Some(replaced) {
            best = item;
        }
    }
    Ok(best)
}

fn sum<'a>(meter: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    use super::super::arithmetic::binary;
    use super::super::ast::Binary;
    let list = list(meter, args)?;
    let mut total: Option<Value<'a>> = None;
    for item in list.iter() {
        if !matches!(
            item,
            Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::Duration(_)
        ) {
            return Err(Error::overload());
        }
        total = Some(match total {
            None => item,
            Some(total) => binary(Binary::Add, total, item, meter)?,
        });
    }
    Ok(total.unwrap_or(Value::Int(0)))
}

fn distinct<'a>(meter: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let list = list(meter, args)?;
    let mut kept: Vec<Value<'a>> = Vec::new();
    for item in list.iter() {
        meter.spend(kept.len() as u64)?;
        if !kept.iter().any(|other| other.equals(&item)) {
            meter.grow(size_of::<Value<'_>>())?;
            kept.push(item);
        }
    }
    Ok(Value::list(kept))
}

fn flatten<'a>(meter: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let list = list(meter, args)?;
    let depth = match args {
        [_, depth] => int(depth)?,
        _ => 1,
    };
    if depth < 0 {
        return Err(Error::new("level must be non-negative"));
    }
    let mut out = Vec::new();
    pour(list, depth, &mut out, meter)?;
    Ok(Value::list(out))
}

fn pour<'a>(
    list: &List<'a>,
    depth: i64,
    out: &mut Vec<Value<'a>>,
    meter: &mut Meter,
) -> Result<(), Error> {
    for item in list.iter() {
        meter.grow(size_of::<Value<'_>>())?;
        match item {
            Value::List(inner) if depth > 0 => pour(&inner, depth - 1, out, meter)?,
            item => out.push(item),
        }
    }
    Ok(())
}

fn range<'a>(meter: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let end = int(args.first().ok_or_else(Error::overload)?)?;
    let count = usize::try_from(end).unwrap_or(0);
    meter.grow(count.saturating_mul(size_of::<Value<'_>>()))?;
    Ok(Value::list((0..end).map(Value::Int).collect()))
}

fn reverse<'a>(meter: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let list = list(meter, args)?;
    meter.grow(list.len() * size_of::<Value<'_>>())?;
    Ok(Value::list(list.iter().rev().collect()))
}

fn slice<'a>(meter: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let list = list(meter, args)?;
    let [_, from, to] = args else {
        return Err(Error::overload());
    };
    let (from, to) = (int(from)?, int(to)?);
    let bad = || Error::new(format!("cannot slice({from}, {to}): out of range"));
    let (start, end) = (
        usize::try_from(from).map_err(|_| bad())?,
        usize::try_from(to).map_err(|_| bad())?,
    );
    if start > end || end > list.len() {
        return Err(bad());
    }
    Ok(Value::list(
        (start..end).filter_map(|i| list.get(i)).collect(),
    ))
}

fn sort<'a>(meter: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let list = list(meter, args)?;
    meter.grow(list.len() * size_of::<Value<'_>>())?;
    let items: Vec<_> = list.iter().collect();
    let keys = items.clone();
    sort_by(items, &keys)
}

/// Elements in the order of their keys, which are all of one type that has an order.
pub(in super::super) fn sort_by<'a>(items: Vec<Value<'a>>, keys: &[Value<'a>]) -> Outcome<'a> {
    let Some(first) = keys.first() else {
        return Ok(Value::list(items));
    };
    if keys.iter().any(|k| k.type_name() != first.type_name()) {
        return Err(Error::new("list elements must have the same type"));
    }
    if first.compare(first).is_err() {
        return Err(Error::new("list elements must be comparable"));
    }
    let mut all: Vec<(&Value<'a>, Value<'a>)> = keys.iter().zip(items).collect();
    all.sort_by(|(a, _), (b, _)| a.compare(b).ok().flatten().unwrap_or(Ordering::Equal));
    Ok(Value::list(all.into_iter().map(|(_, item)| item).collect()))
}
