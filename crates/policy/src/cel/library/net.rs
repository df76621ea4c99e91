//! IP addresses and networks.

use super::super::error::Error;
use super::super::functions::{Function, global, member};
use super::super::meter::Meter;
use super::super::value::{Outcome, Value};
use super::text;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(in super::super) const FUNCTIONS: &[Function] = &[
    global("ip", (1, 1), |_, a| Ok(Value::Ip(parse_ip(argument(a)?)?))),
    global("isIP", (1, 1), |_, a| {
        Ok(Value::Bool(parse_ip(argument(a)?).is_ok()))
    }),
    global("ip.isCanonical", (1, 1), |_, a| {
        let text = argument(a)?;
        Ok(Value::Bool(parse_ip(text)?.to_string() == *text))
    }),
    member("family", (1, 1), |_, a| {
        Ok(Value::Int(if address(a)?.is_ipv4() { 4 } else { 6 }))
    }),
    member("isUnspecified", (1, 1), |_, a| {
        is(a, |ip| ip.is_unspecified())
    }),
    member("isLoopback", (1, 1), |_, a| is(a, |ip| ip.is_loopback())),
    member("isLinkLocalMulticast", (1, 1), |_, a| {
        is(a, |ip| local_multicast(&ip))
    }),
    member("isLinkLocalUnicast", (1, 1), |_, a| {
        is(a, |ip| local_unicast(&ip))
    }),
    member("isGlobalUnicast", (1, 1), |_, a| {
        is(a, |ip| global_unicast(&ip))
    }),
    global("cidr", (1, 1), |_, a| {
        Ok(Value::Cidr(Prefix::parse(argument(a)?)?))
    }),
    global("isCIDR", (1, 1), |_, a| {
        Ok(Value::Bool(Prefix::parse(argument(a)?).is_ok()))
    }),
    member("containsIP", (2, 2), contains_ip),
    member("containsCIDR", (2, 2), contains_cidr),
    member("ip", (1, 1), |_, a| Ok(Value::Ip(prefix(a)?.address))),
    member("masked", (1, 1), |_, a| {
        Ok(Value::Cidr(prefix(a)?.masked()))
    }),
    member("prefixLength", (1, 1), |_, a| {
        Ok(Value::Int(prefix(a)?.length.into()))
    }),
];

/// An address and the length of its network's part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Prefix {
    address: IpAddr,
    length: u8,
}

impl Prefix {
    fn parse(text: &str) -> Result<Self, Error> {
        let bad = || Error::new(format!("{text:?} is no network address"));
        let (address, length) = text.rsplit_once('/').ok_or_else(bad)?;
        let address = parse_ip(address)?;
        // No sign, no leading zero, as in Go.
        if !length.bytes().all(|b| b.is_ascii_digit())
            || (length.len() > 1 && length.starts_with('0'))
        {
            return Err(bad());
        }
        let length: u8 = length.parse().map_err(|_| bad())?;
        if length > width(&address) {
            return Err(bad());
        }
        Ok(Self { address, length })
    }

    fn masked(self) -> Self {
        Self {
            address: mask(self.address, self.length),
            length: self.length,
        }
    }

    fn contains(&self, ip: &IpAddr) -> bool {
        self.address.is_ipv4() == ip.is_ipv4()
            && mask(self.address, self.length) == mask(*ip, self.length)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

fn width(address: &IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn mask(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(ip) => {
            let bits = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            Ipv4Addr::from_bits(ip.to_bits() & bits).into()
        }
        IpAddr::V6(ip) => {
            let bits = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            Ipv6Addr::from_bits(ip.to_bits() & bits).into()
        }
    }
}

fn argument<'v>(args: &'v [Value<'_>]) -> Result<&'v str, Error> {
    match args {
        [only] => Ok(text(only)?),
        _ => Err(Error::overload()),
    }
}

/// Reads an address: no zone, and no IPv4 address within IPv6.
fn parse_ip(text: &str) -> Result<IpAddr, Error> {
    let ip: IpAddr = text
        .parse()
        .map_err(|_| Error::new(format!("{text:?} is no IP address")))?;
    match ip {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => Err(Error::new(format!(
            "the IPv4-mapped IPv6 address {text:?} is not allowed"
        ))),
        ip => Ok(ip),
    }
}

fn address(args: &[Value<'_>]) -> Result<IpAddr, Error> {
    match args {
        [Value::Ip(ip)] => Ok(*ip),
        _ => Err(Error::overload()),
    }
}

fn prefix(args: &[Value<'_>]) -> Result<Prefix, Error> {
    match args {
        [Value::Cidr(prefix)] => Ok(*prefix),
        _ => Err(Error::overload()),
    }
}

fn is<'a>(args: &[Value<'a>], test: fn(IpAddr) -> bool) -> Outcome<'a> {
    Ok(Value::Bool(test(address(args)?)))
}

fn local_multicast(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.to_bits() >> 8 == 0x00e0_0000,
        IpAddr::V6(ip) => ip.to_bits() >> 112 & 0xff0f == 0xff02,
    }
}

fn local_unicast(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

fn global_unicast(ip: &IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !(broadcast
        || ip.is_unspecified()
        || ip.is_loopback()
        || ip.is_multicast()
        || local_unicast(ip))
}

fn contains_ip<'a>(_: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let (prefix, ip) = match args {
        [Value::Cidr(prefix), Value::Ip(ip)] => (prefix, *ip),
        [Value::Cidr(prefix), Value::Text(text)] => (prefix, parse_ip(text)?),
        _ => return Err(Error::overload()),
    };
    Ok(Value::Bool(prefix.contains(&ip)))
}

fn contains_cidr<'a>(_: &mut Meter, args: &[Value<'a>]) -> Outcome<'a> {
    let (prefix, other) = match args {
        [Value::Cidr(prefix), Value::Cidr(other)] => (prefix, *other),
        [Value::Cidr(prefix), Value::Text(text)] => (prefix, Prefix::parse(text)?),
        _ => return Err(Error::overload()),
    };
    let within = prefix.length <= other.length && prefix.contains(&other.address);
    Ok(Value::Bool(within))
}
