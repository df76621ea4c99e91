//! Semantic versions.

use super::super::error::Error;
use super::super::functions::{Function, global, member};
use super::super::value::Value;
use super::text;
use std::cmp::Ordering;
use std::rc::Rc;

pub(in super::super) const FUNCTIONS: &[Function] = &[
    global("semver", (1, 2), |_, a| {
        Ok(Value::Semver(Rc::new(parse_argument(a)?)))
    }),
    global("isSemver", (1, 2), |_, a| match parse_argument(a) {
        Ok(_) => Ok(Value::Bool(true)),
        Err(_) if matches!(a, [Value::Text(_)] | [Value::Text(_), Value::Bool(_)]) => {
            Ok(Value::Bool(false))
        }
        Err(why) => Err(why),
    }),
    member("major", (1, 1), |_, a| part(a, 0)),
    member("minor", (1, 1), |_, a| part(a, 1)),
    member("patch", (1, 1), |_, a| part(a, 2)),
];

/// A version; what stands behind `+` has no part in its order.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    numbers: [u64; 3],
    before: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    Number(u64),
    Text(String),
}

impl Version {
    pub(in super::super) fn cmp(&self, other: &Self) -> Ordering {
        let numbers = self.numbers.cmp(&other.numbers);
        numbers.then_with(|| match (self.before.is_empty(), other.before.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => self.before.cmp(&other.before),
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let (rest, build) = match text.split_once('+') {
            Some((rest, build)) => (rest, Some(build)),
            None => (text, None),
        };
        let allowed = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        if build.is_some_and(|b| !b.split('.').all(allowed)) {
            return None;
        }
        let (core, before) = match rest.split_once('-') {
            Some((core, before)) => (core, Some(before)),
            None => (rest, None),
        };
        let mut numbers = [0; 3];
        let mut parts = core.split('.');
        for number in &mut numbers {
            *number = plain_number(parts.next()?)?;
        }
        if parts.next().is_some() {
            return None;
        }
        let mut pieces = Vec::new();
        for part in before.into_iter().flat_map(|b| b.split('.')) {
            if !allowed(part) {
                return None;
            }
            pieces.push(if part.bytes().all(|b| b.is_ascii_digit()) {
                Piece::Number(plain_number(part)?)
            } else {
                Piece::Text(part.to_owned())
            });
        }
        Some(Self {
            numbers,
            before: pieces,
        })
    }
}

fn plain_number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let fits = digits && (text.len() == 1 || !text.starts_with('0'));
    fits.then(|| text.parse().ok())?
}

/// Without the `v`, leading zeros, and with the numbers that are missing.
fn normalized(text: &str) -> Option<String> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let mut parts: Vec<String> = text.splitn(3, '.').map(str::to_owned).collect();
    for part in &mut parts {
        if part.len() > 1 {
            let cut = part.trim_start_matches('0');
            *part = if cut.starts_with(|c: char| c.is_ascii_digit()) {
                cut.to_owned()
            } else {
                format!("0{cut}")
            };
        }
    }
    if parts.len() < 3 && parts.last().is_some_and(|p| p.contains(['+', '-'])) {
        return None;
    }
    while parts.len() < 3 {
        parts.push("0".into());
    }
    Some(parts.join("."))
}

fn parse_argument(args: &[Value<'_>]) -> Result<Version, Error> {
    let (version, normalize) = match args {
        [version] => (text(version)?, false),
        [version, Value::Bool(normalize)] => (text(version)?, *normalize),
        _ => return Err(Error::overload()),
    };
    let read = if normalize {
        normalized(version).and_then(|v| Version::parse(&v))
    } else {
        Version::parse(version)
    };
    let version: &str = version;
    read.ok_or_else(|| Error::new(format!("{version:?} is no semantic version")))
}

fn part<'a>(args: &[Value<'a>], place: usize) -> Result<Value<'a>, Error> {
    let [Value::Semver(version)] = args else {
        return Err(Error::overload());
    };
    let number = version.numbers.get(place).copied().unwrap_or_default();
    Ok(Value::Int(i64::try_from(number).unwrap_or(i64::MAX)))
}
