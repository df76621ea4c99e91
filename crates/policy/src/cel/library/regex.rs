//! `matches`, and Kubernetes' `find` and `findAll`.

use super::super::error::Error;
use super::super::functions::{Function, global, member};
use super::super::meter::Meter;
use super::super::value::{Outcome, Value};
use super::{int, pattern, text};
use regex::Regex;

pub(in super::super) const FUNCTIONS: &[Function] = &[
    global("matches", (2, 2), |m, a| compiled("matches", m, a)),
    member("matches", (2, 2), |m, a| compiled("matches", m, a)),
    member("find", (2, 2), |m, a| compiled("find", m, a)),
    member("findAll", (2, 3), |m, a| compiled("findAll", m, a)),
];

/// More patterns than this are not kept.
const KEPT: usize = 64;

fn compiled<'a>(name: &str, meter: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let [_, wanted, ..] = args else {
        return Err(Error::overload());
    };
    let wanted: &str = text(wanted)?;
    if let Some(known) = meter.patterns.get(wanted) {
        let known = known.clone();
        return call(name, &known, args, meter);
    }
    meter.spend(200 + 20 * wanted.len() as u64)?;
    let made = pattern::compile(wanted).map_err(Error::new)?;
    if meter.patterns.len() < KEPT {
        meter.patterns.insert(wanted.to_owned(), made.clone());
    }
    call(name, &made, args, meter)
}

/// A call with its pattern compiled.
pub(in super::super) fn call<'a>(
    name: &str,
    pattern: &Regex,
    args: &[Value<'a>],
    meter: &mut Meter,
) -> Outcome<'a> {
    let target = text(args.first().ok_or_else(Error::overload)?)?;
    let weight = target.len() as u64 * pattern.as_str().len() as u64;
    meter.spend(1 + weight / 64)?;
    match name {
        "matches" => Ok(Value::Bool(pattern.is_match(target))),
        "find" => {
            let found = pattern.find(target).map_or("", |m| m.as_str());
            meter.grow(found.len())?;
            Ok(Value::text(found))
        }
        _ => {
            let most = match args {
                [_, _, most] => int(most)?,
                _ => -1,
            };
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            let mut all = Vec::new();
            for found in pattern.find_iter(target).take(most) {
                meter.grow(found.len() + size_of::<Value<'_>>())?;
                all.push(Value::text(found.as_str()));
            }
            Ok(Value::list(all))
        }
    }
}
