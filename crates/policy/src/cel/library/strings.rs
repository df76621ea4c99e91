//! Functions on text: version 2 of cel-go's strings extension. Positions count characters.

use super::super::error::Error;
use super::super::functions::{Function, global, member};
use super::super::meter::Meter;
use super::super::value::{List, Outcome, Value};
use super::{int, lists, printf, text, whole};

pub(in super::super) const FUNCTIONS: &[Function] = &[
    member("charAt", (2, 2), char_at),
    member("format", (2, 2), format),
    member("indexOf", (2, 3), |m, a| index_of(m, a, true)),
    member("join", (1, 2), join),
    member("lastIndexOf", (2, 3), |m, a| index_of(m, a, false)),
    member("lowerAscii", (1, 1), |m, a| {
        ascii(m, a, str::to_ascii_lowercase)
    }),
    member("replace", (3, 4), replace),
    member("split", (2, 3), split),
    global("strings.quote", (1, 1), quote),
    member("substring", (2, 3), substring),
    member("trim", (1, 1), trim),
    member("upperAscii", (1, 1), |m, a| {
        ascii(m, a, str::to_ascii_uppercase)
    }),
];

fn out_of_range(what: impl std::fmt::Display) -> Error {
    Error::new(format!("index out of range: {what}"))
}

fn char_at<'a>(meter: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let [target, at] = args else {
        return Err(Error::overload());
    };
    let (target, at) = (text(target)?, int(at)?);
    meter.spend(target.len() as u64 / 64)?;
    let index = usize::try_from(at).map_err(|_| out_of_range(at))?;
    match target.chars().nth(index) {
        Some(c) => Ok(Value::text(c.to_string())),
        None if index == target.chars().count() => Ok(Value::borrowed("")),
        None => Err(out_of_range(at)),
    }
}

fn format<'a>(meter: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let [target, Value::List(list)] = args else {
        return Err(Error::overload());
    };
    printf::format(text(target)?, list, meter).map(Value::text)
}

fn index_of<'a>(meter: &mut Meter, args: &[Value<'a>], first: bool) -> Outcome<'a> {
    let (target, wanted, from) = match args {
        [Value::List(list), item] => return lists::index_of(list, item, first, meter),
        [target, wanted] => (text(target)?, text(wanted)?, None),
        [target, wanted, from] => (text(target)?, text(wanted)?, Some(int(from)?)),
        _ => return Err(Error::overload()),
    };
    let target: Vec<char> = target.chars().collect();
    let wanted: Vec<char> = wanted.chars().collect();
    meter.spend(1 + (target.len() * wanted.len().max(1)) as u64 / 64)?;
    if wanted.is_empty() {
        let end = if first { whole(0) } else { whole(target.len()) };
        return Ok(from.map_or(end, Value::Int));
    }
    let found = match from {
        Some(from) => {
            let at = usize::try_from(from).map_err(|_| out_of_range(from))?;
            if at >= target.len() {
                None
            } else if first {
                position(&target, &wanted, at, target.len(), true)
            } else {
                position(&target, &wanted, 0, at, false)
            }
        }
        None => position(&target, &wanted, 0, target.len(), first),
    };
    Ok(found.map_or(Value::Int(-1), whole))
}

/// Where `wanted` begins, at `from` or later and at `to` or before.
fn position(
    target: &[char],
    wanted: &[char],
    from: usize,
    to: usize,
    first: bool,
) -> Option<usize> {
    let fits = |at: &usize| {
        (from..=to).contains(at)
            && target
                .get(*at..*at + wanted.len())
                .is_some_and(|part| part == wanted)
    };
    let last = target.len().checked_sub(wanted.len())?;
    if first {
        (from..=last).find(fits)
    } else {
        (0..=last.min(to)).rev().find(fits)
    }
}

fn join<'a>(meter: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let (list, separator): (&List<'a>, &str) = match args {
        [Value::List(list)] => (list, ""),
        [Value::List(list), separator] => (list, text(separator)?),
        _ => return Err(Error::overload()),
    };
    let mut out = String::new();
    for (i, item) in list.iter().enumerate() {
        let item = text(&item)?.clone();
        meter.grow(item.len() + separator.len())?;
        if i > 0 {
            out.push_str(separator);
        }
        out.push_str(&item);
    }
    Ok(Value::text(out))
}

fn ascii<'a>(meter: &mut Meter, args: &[Value<'a>], change: fn(&str) -> String) -> Outcome<'a> {
    let target = text(args.first().ok_or_else(Error::overload)?)?;
    meter.grow(target.len())?;
    Ok(Value::text(change(target)))
}

fn replace<'a>(meter: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let (target, old, new, most) = match args {
        [target, old, new] => (text(target)?, text(old)?, text(new)?, -1),
        [target, old, new, most] => (text(target)?, text(old)?, text(new)?, int(most)?),
        _ => return Err(Error::overload()),
    };
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    meter.spend(1 + target.len() as u64 / 16)?;
    let times = target.matches(&**old).count().min(most);
    meter.grow(target.len() + times.saturating_mul(new.len()))?;
    Ok(Value::text(target.replacen(&**old, new, most)))
}

fn split<'a>(meter: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let (target, separator, most) = match args {
        [target, separator] => (text(target)?, text(separator)?, -1),
        [target, separator, most] => (text(target)?, text(separator)?, int(most)?),
        _ => return Err(Error::overload()),
    };
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    meter.grow(target.len())?;
    if most == 0 {
        return Ok(Value::list(Vec::new()));
    }
    let mut parts = Vec::new();
    if separator.is_empty() {
        let mut rest: &str = target;
        while let Some(c) = rest.chars().next() {
            let end = if parts.len() + 1 >= most {
                rest.len()
            } else {
                c.len_utf8()
            };
            let (part, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
            parts.push(part);
            rest = tail;
        }
    } else {
        parts.extend(target.splitn(most, &**separator));
    }
    meter.grow(parts.len() * size_of::<Value<'_>>())?;
    Ok(Value::list(parts.into_iter().map(Value::text).collect()))
}

fn substring<'a>(meter: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let (target, from, to) = match args {
        [target, from] => (text(target)?, int(from)?, None),
        [target, from, to] => (text(target)?, int(from)?, Some(int(to)?)),
        _ => return Err(Error::overload()),
    };
    meter.grow(target.len())?;
    let count = target.chars().count();
    let place = |at: i64| {
        let index = usize::try_from(at).ok().filter(|i| *i <= count);
        index.ok_or_else(|| out_of_range(at))
    };
    let from = place(from)?;
    let to = match to {
        Some(to) => place(to)?,
        None => count,
    };
    if to < from {
        return Err(out_of_range(format_args!("start: {from}, end: {to}")));
    }
    let part: String = target.chars().skip(from).take(to - from).collect();
    Ok(Value::text(part))
}

fn trim<'a>(meter: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let target = text(args.first().ok_or_else(Error::overload)?)?;
    meter.grow(target.len())?;
    Ok(Value::text(target.trim()))
}

/// How Go writes a character in quotes, where not as it is.
pub(super) fn escape(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{7}' => "\\a",
        '\u{8}' => "\\b",
        '\u{c}' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\u{b}' => "\\v",
        '\\' => "\\\\",
        '"' => "\\\"",
        _ => return None,
    })
}

fn quote<'a>(meter: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let target = text(args.first().ok_or_else(Error::overload)?)?;
    meter.grow(target.len() * 2)?;
    let mut out = String::from("\"");
    for c in target.chars() {
        match escape(c) {
            Some(escaped) => out.push_str(escaped),
            None => out.push(c),
        }
    }
    out.push('"');
    Ok(Value::text(out))
}
