//! Networks in CIDR notation.

use super::{Builtin, Fault, string};
use regorus::Value;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) const TABLE: &[Builtin] = &[
    ("net.cidr_intersects", 2, intersects),
    ("net.cidr_contains_matches", 2, contains_matches),
    ("net.cidr_expand", 1, expand),
    ("net.cidr_is_valid", 1, is_valid),
    ("net.cidr_merge", 1, merge),
];

/// All addresses of a range, as a set.
fn expand(arguments: &[Value]) -> Result<Value, Fault> {
    const MOST: u128 = 1 << 16;
    let range = Range::of(string(arguments, 0)?)?;
    if range.last - range.first >= MOST {
        return Err(Fault::Unknown("more than 65,536 addresses".into()));
    }
    let all = (range.first..=range.last).map(|n| Value::from(range.show(n).to_string().as_str()));
    Ok(Value::from(all.collect::<BTreeSet<_>>()))
}

/// What is no text is no range either.
fn is_valid(arguments: &[Value]) -> Result<Value, Fault> {
    let valid = string(arguments, 0).is_ok_and(|text| Range::of(text).is_ok());
    Ok(Value::from(valid))
}

/// A range of addresses of one family.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Range {
    v6: bool,
    first: u128,
    last: u128,
}

impl Range {
    fn of(text: &str) -> Result<Self, Fault> {
        let fault = || Fault::error(format!("invalid CIDR address: {text}"));
        let (address, bits) = text.split_once('/').ok_or_else(fault)?;
        let plain = !bits.is_empty() && bits.len() <= 3 && bits.bytes().all(|b| b.is_ascii_digit());
        let address: IpAddr = address.parse().map_err(|_| fault())?;
        let bits: u32 = bits.parse().ok().filter(|_| plain).ok_or_else(fault)?;
        Self::network(address, bits).ok_or_else(fault)
    }

    fn network(address: IpAddr, bits: u32) -> Option<Self> {
        let (v6, number, width) = match address {
            IpAddr::V4(a) => (false, u128::from(u32::from(a)), 32),
            IpAddr::V6(a) => (true, u128::from(a), 128),
        };
        let free = u32::checked_sub(width, bits)?;
        let hosts = if free == 128 {
            u128::MAX
        } else {
            (1 << free) - 1
        };
        Some(Self {
            v6,
            first: number & !hosts,
            last: number | hosts,
        })
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.v6 == other.v6 && self.first <= other.last && other.first <= self.last
    }

    fn contains(&self, other: &Self) -> bool {
        self.v6 == other.v6 && self.first <= other.first && other.last <= self.last
    }

    /// The networks that make up the range, largest first from its beginning.
    fn networks(&self, into: &mut BTreeSet<Value>) {
        let width = if self.v6 { 128 } else { 32 };
        let mut at = self.first;
        loop {
            let aligned = if at == 0 {
                width
            } else {
                at.trailing_zeros().min(width)
            };
            let left = self.last - at;
            let mut free = aligned;
            while free > 0 && size(free) > left {
                free -= 1;
            }
            into.insert(Value::from(
                format!("{}/{}", self.show(at), width - free).as_str(),
            ));
            let Some(next) = at.checked_add(size(free)).and_then(|n| n.checked_add(1)) else {
                return;
            };
            if next > self.last {
                return;
            }
            at = next;
        }
    }

    fn show(&self, number: u128) -> IpAddr {
        match u32::try_from(number) {
            Ok(number) if !self.v6 => IpAddr::V4(Ipv4Addr::from(number)),
            _ => IpAddr::V6(Ipv6Addr::from(number)),
        }
    }
}

/// How many addresses follow the first of a network with that many free bits.
fn size(free: u32) -> u128 {
    if free >= 128 {
        u128::MAX
    } else {
        (1 << free) - 1
    }
}

fn intersects(arguments: &[Value]) -> Result<Value, Fault> {
    let (a, b) = (
        Range::of(string(arguments, 0)?)?,
        Range::of(string(arguments, 1)?)?,
    );
    Ok(Value::from(a.overlaps(&b)))
}

/// The entries of an operand: what stands for each, and its text.
fn entries(value: Option<&Value>) -> Result<Vec<(Value, String)>, Fault> {
    let text = |item: &Value| match item {
        Value::String(text) => Ok(text.to_string()),
        Value::Array(parts) => match parts.first() {
            Some(Value::String(text)) => Ok(text.to_string()),
            _ => Err(Fault::error("element must be string or non-empty array")),
        },
        _ => Err(Fault::error("element must be string or non-empty array")),
    };
    match value {
        Some(all @ Value::String(one)) => Ok(vec![(all.clone(), one.to_string())]),
        Some(Value::Array(items)) => items
            .iter()
            .enumerate()
            .map(|(i, v)| Ok((Value::from(i), text(v)?)))
            .collect(),
        Some(Value::Set(items)) => items.iter().map(|v| Ok((v.clone(), text(v)?))).collect(),
        Some(Value::Object(map)) => map.iter().map(|(k, v)| Ok((k.clone(), text(v)?))).collect(),
        _ => Ok(Vec::new()),
    }
}

fn contains_matches(arguments: &[Value]) -> Result<Value, Fault> {
    let (outer, inner) = (entries(arguments.first())?, entries(arguments.get(1))?);
    let mut found = BTreeSet::new();
    for (key, text) in &outer {
        for (other, address) in &inner {
            let range = Range::of(text)?;
            let asked = match address.parse::<IpAddr>() {
                Ok(IpAddr::V4(a)) => Range::network(IpAddr::V4(a), 32),
                Ok(IpAddr::V6(a)) => Range::network(IpAddr::V6(a), 128),
                Err(_) => Some(Range::of(address)?),
            };
            if asked.is_some_and(|asked| range.contains(&asked)) {
                found.insert(Value::from(vec![key.clone(), other.clone()]));
            }
        }
    }
    Ok(Value::from(found))
}

fn merge(arguments: &[Value]) -> Result<Value, Fault> {
    let texts: Vec<&Value> = match arguments.first() {
        Some(Value::Array(items)) => items.iter().collect(),
        Some(Value::Set(items)) => items.iter().collect(),
        _ => return Err(Fault::error("operand must be an array")),
    };
    let mut ranges = Vec::new();
    for text in texts {
        let Value::String(text) = text else {
            return Err(Fault::error("element must be string"));
        };
        ranges.push(match text.parse::<IpAddr>() {
            Ok(IpAddr::V6(_)) => return Err(Fault::error("IPv6 invalid: needs prefix length")),
            // OPA takes the mask of the address's old class and keeps the address unmasked.
            Ok(IpAddr::V4(_)) => {
                return Err(Fault::Unknown(format!(
                    "{text} is an address without a prefix"
                )));
            }
            Err(_) => Range::of(text)?,
        });
    }
    ranges.sort();
    let mut merged: Vec<Range> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if last.v6 == range.v6 && range.first <= last.last.saturating_add(1) => {
                last.last = last.last.max(range.last);
            }
            _ => merged.push(range),
        }
    }
    let mut networks = BTreeSet::new();
    for range in &merged {
        range.networks(&mut networks);
    }
    Ok(Value::from(networks))
}

#[cfg(test)]
mod tests {
    use super::super::call;
    use serde_json::{Value, json};

    fn merged(networks: Value) -> Option<Value> {
        call("net.cidr_merge", &[networks])
    }

    #[test]
    fn networks_are_compared_by_family() {
        let ask = |a: &str, b: &str| call("net.cidr_intersects", &[json!(a), json!(b)]);
        assert_eq!(ask("10.0.0.0/8", "10.1.0.0/16"), Some(json!(true)));
        assert_eq!(ask("10.0.0.0/8", "11.0.0.0/8"), Some(json!(false)));
        assert_eq!(ask("0.0.0.0/0", "::/0"), Some(json!(false)));
        assert_eq!(ask("10.0.0.0", "10.0.0.0/8"), None);
        assert_eq!(ask("10.0.0.0/33", "10.0.0.0/8"), None);
        let found = call(
            "net.cidr_contains_matches",
            &[
                json!({"a": "10.0.0.0/8", "b": ["11.0.0.0/8", "x"]}),
                json!(["11.1.1.1", "12.0.0.0/8"]),
            ],
        );
        assert_eq!(found, Some(json!({"$set": [["b", 0]]})));
    }

    #[test]
    fn neighbours_become_one() {
        assert_eq!(
            merged(json!(["10.0.0.0/25", "10.0.0.128/25", "10.0.2.0/24"])),
            Some(json!({"$set": ["10.0.0.0/24", "10.0.2.0/24"]}))
        );
        assert_eq!(
            merged(json!(["10.0.1.0/24", "10.0.2.0/24"])),
            Some(json!({"$set": ["10.0.1.0/24", "10.0.2.0/24"]}))
        );
        assert_eq!(
            merged(json!(["::/1", "8000::/1"])),
            Some(json!({"$set": ["::/0"]}))
        );
        assert_eq!(merged(json!(["10.1.1.1"])), None);
        assert_eq!(merged(json!(["fe80::1"])), None);
    }
}
