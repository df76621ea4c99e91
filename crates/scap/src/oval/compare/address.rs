//! Addresses of IPv4 and IPv6, and ranges of them.

use super::ordered;
use crate::oval::model::Operation;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A range: the address as it is written, and the bits that all of it share.
struct Range {
    address: u128,
    mask: u128,
}

/// Compares as IPv4 addresses, `address`, `address/prefix` or `address/netmask`.
pub(super) fn ipv4(operation: Operation, actual: &str, wanted: &str) -> Option<bool> {
    ranges(operation, &parse_ipv4(actual)?, &parse_ipv4(wanted)?)
}

/// Compares as IPv6 addresses, `address` or `address/prefix`.
pub(super) fn ipv6(operation: Operation, actual: &str, wanted: &str) -> Option<bool> {
    ranges(operation, &parse_ipv6(actual)?, &parse_ipv6(wanted)?)
}

fn ranges(operation: Operation, actual: &Range, wanted: &Range) -> Option<bool> {
    let shares = |mask: u128| actual.address & mask == wanted.address & mask;
    match operation {
        Operation::Equals => Some(actual.address == wanted.address && actual.mask == wanted.mask),
        Operation::NotEqual => Some(actual.address != wanted.address || actual.mask != wanted.mask),
        Operation::SubsetOf => Some(wanted.mask <= actual.mask && shares(wanted.mask)),
        Operation::SupersetOf => Some(wanted.mask >= actual.mask && shares(actual.mask)),
        // Only ranges of one size have an order.
        _ if actual.mask != wanted.mask => None,
        _ => ordered(
            operation,
            (actual.address & actual.mask).cmp(&(wanted.address & wanted.mask)),
        ),
    }
}

fn parse_ipv4(text: &str) -> Option<Range> {
    let (address, mask) = match text.split_once('/') {
        Some((address, mask)) => (address, parse_netmask(mask)?),
        None => (text, u32::MAX),
    };
    let address: Ipv4Addr = address.parse().ok()?;
    Some(Range {
        address: u32::from(address).into(),
        mask: mask.into(),
    })
}

fn parse_netmask(text: &str) -> Option<u32> {
    if let Ok(netmask) = text.parse::<Ipv4Addr>() {
        return Some(netmask.into());
    }
    let prefix: u32 = text.parse().ok()?;
    match prefix {
        0 => Some(0),
        1..=32 => Some(u32::MAX << (32 - prefix)),
        _ => None,
    }
}

fn parse_ipv6(text: &str) -> Option<Range> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, prefix.parse::<u32>().ok()?),
        None => (text, 128),
    };
    let address: Ipv6Addr = address.parse().ok()?;
    let mask = match prefix {
        0 => 0,
        1..=128 => u128::MAX << (128 - prefix),
        _ => return None,
    };
    Some(Range {
        address: address.into(),
        mask,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Operation::{
        BitwiseAnd, Equals, GreaterThan, GreaterThanOrEqual, LessThan, LessThanOrEqual, NotEqual,
        SubsetOf, SupersetOf,
    };

    #[test]
    fn version_4() {
        for (operation, actual, wanted, expected) in [
            (Equals, "10.0.0.1", "10.0.0.1", Some(true)),
            (Equals, "10.0.0.1/8", "10.0.0.1/255.0.0.0", Some(true)),
            (Equals, "10.0.0.1/8", "10.0.0.2/8", Some(false)),
            (NotEqual, "10.0.0.1/8", "10.0.0.1/9", Some(true)),
            (SubsetOf, "192.168.7.1", "192.168.0.0/16", Some(true)),
            (SubsetOf, "192.169.7.1", "192.168.0.0/16", Some(false)),
            (SubsetOf, "192.168.0.0/15", "192.168.0.0/16", Some(false)),
            (SubsetOf, "1.2.3.4", "0.0.0.0/0", Some(true)),
            (SupersetOf, "192.168.0.0/15", "192.168.0.0/16", Some(true)),
            (SupersetOf, "192.168.0.0/17", "192.168.0.0/16", Some(false)),
            (GreaterThan, "10.0.1.0/24", "10.0.0.255/24", Some(true)),
            (GreaterThan, "10.0.0.255/24", "10.0.0.0/24", Some(false)),
            (GreaterThanOrEqual, "10.0.0.1/24", "10.0.0.2/24", Some(true)),
            (LessThan, "9.255.255.255", "10.0.0.0", Some(true)),
            (LessThanOrEqual, "10.0.0.0", "10.0.0.0", Some(true)),
            (LessThan, "10.0.0.0/8", "10.0.0.0/9", None),
            (BitwiseAnd, "10.0.0.0", "10.0.0.0", None),
            (Equals, "10.0.0", "10.0.0.0", None),
            (Equals, "10.0.0.256", "10.0.0.0", None),
            (Equals, "10.0.0.0/33", "10.0.0.0", None),
            (Equals, "10.0.0.0/", "10.0.0.0", None),
            (Equals, "::1", "::1", None),
        ] {
            assert_eq!(
                ipv4(operation, actual, wanted),
                expected,
                "{actual} {operation:?} {wanted}"
            );
        }
    }

    #[test]
    fn version_6() {
        for (operation, actual, wanted, expected) in [
            (Equals, "::1", "0:0:0:0:0:0:0:1", Some(true)),
            (Equals, "2001:DB8::/32", "2001:db8::/32", Some(true)),
            (Equals, "::1/64", "::1", Some(false)),
            (SubsetOf, "2001:db8:1::/48", "2001:db8::/32", Some(true)),
            (SubsetOf, "2001:db9::/48", "2001:db8::/33", Some(false)),
            (SubsetOf, "febf::1", "fe80::/10", Some(true)),
            (SubsetOf, "fec0::1", "fe80::/10", Some(false)),
            (SupersetOf, "::/0", "2001:db8::/32", Some(true)),
            (LessThan, "::1", "::2", Some(true)),
            (LessThan, "::1/64", "::2/64", Some(false)),
            (LessThan, "::1/64", "::2", None),
            (Equals, "::1/129", "::1", None),
            (Equals, "1.2.3.4", "::1", None),
        ] {
            assert_eq!(
                ipv6(operation, actual, wanted),
                expected,
                "{actual} {operation:?} {wanted}"
            );
        }
    }
}
