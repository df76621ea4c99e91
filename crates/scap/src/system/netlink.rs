//! Network interfaces of the running system, asked from the kernel by route netlink: a socket
//! that leads to the kernel only. What `/sys` shows is not enough: its flags differ from those
//! that administrators see, and it has no addresses.

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;
const HEADER: usize = 16;
const MAX_MESSAGES: usize = 1_000_000;

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Link {
    pub index: u32,
    pub name: String,
    /// `ARPHRD_*`.
    pub hardware: u16,
    /// `IFF_*`.
    pub flags: u32,
    /// The hardware address.
    pub address: Vec<u8>,
}

/// An address of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Address {
    pub link: u32,
    /// IPv4's name for an interface may have a suffix.
    pub label: Option<String>,
    pub address: IpAddr,
    pub prefix: u8,
    pub broadcast: Option<IpAddr>,
}

/// The interfaces and their addresses.
pub fn interfaces() -> io::Result<(Vec<Link>, Vec<Address>)> {
    let (mut links, mut addresses) = (Vec::new(), Vec::new());
    dump(RTM_GETLINK, |kind, body| {
        if kind == RTM_NEWLINK {
            links.extend(link(body));
        }
    })?;
    dump(RTM_GETADDR, |kind, body| {
        if kind == RTM_NEWADDR {
            addresses.extend(address(body));
        }
    })?;
    Ok((links, addresses))
}

fn dump(request: u16, mut each: impl FnMut(u16, &[u8])) -> io::Result<()> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    )?;
    // A header and an all-zero message: every family.
    let mut message = Vec::with_capacity(32);
    message.extend(32u32.to_ne_bytes());
    message.extend(request.to_ne_bytes());
    message.extend(DUMP.to_ne_bytes());
    message.extend([0; 24]);
    let kernel = SocketAddrNetlink::new(0, 0);
    sendto(&socket, &message, SendFlags::empty(), &kernel)?;
    let mut buffer = vec![0u8; 1 << 16];
    let mut count = 0;
    loop {
        // The kernel has an answer ready as soon as it was asked: never wait.
        let (length, _) = recv(&socket, buffer.as_mut_slice(), RecvFlags::DONTWAIT)?;
        let mut rest = buffer.get(..length).unwrap_or_default();
        if rest.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        while let Some((kind, body, next)) = message_of(rest) {
            count += 1;
            match kind {
                NLMSG_DONE => return Ok(()),
                NLMSG_ERROR => return Err(io::Error::other("the kernel refused")),
                _ if count > MAX_MESSAGES => return Err(io::Error::other("too many messages")),
                _ => each(kind, body),
            }
            rest = next;
        }
    }
}

/// The kind and body of the first message, and what follows.
fn message_of(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
    let kind = u16_at(bytes, 4)?;
    let body = bytes.get(HEADER..length)?;
    let next = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((kind, body, next))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The attributes that follow a message's fixed part.
fn attributes(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    while let (Some(length), Some(kind)) = (u16_at(bytes, 0), u16_at(bytes, 2)) {
        let length = usize::from(length);
        let Some(value) = bytes.get(4..length) else {
            break;
        };
        found.push((kind, value));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

fn name(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0);
    let name = value.get(..end.unwrap_or(value.len())).unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

fn link(body: &[u8]) -> Option<Link> {
    let mut link = Link {
        hardware: u16_at(body, 2)?,
        index: u32_at(body, 4)?,
        flags: u32_at(body, 8)?,
        name: String::new(),
        address: Vec::new(),
    };
    for (kind, value) in attributes(body.get(16..)?) {
        match kind {
            1 => link.address = value.to_owned(),
            3 => link.name = name(value),
            _ => {}
        }
    }
    Some(link)
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(value) {
        return Some(Ipv4Addr::from(four).into());
    }
    let six = <[u8; 16]>::try_from(value).ok()?;
    Some(Ipv6Addr::from(six).into())
}

fn address(body: &[u8]) -> Option<Address> {
    let prefix = *body.get(1)?;
    let link = u32_at(body, 4)?;
    let (mut peer, mut local, mut label, mut broadcast) = (None, None, None, None);
    for (kind, value) in attributes(body.get(8..)?) {
        match kind {
            1 => peer = ip(value),
            2 => local = ip(value),
            3 => label = Some(name(value)),
            4 => broadcast = ip(value),
            _ => {}
        }
    }
    Some(Address {
        link,
        label,
        // On a point-to-point link the other is the peer's.
        address: local.or(peer)?,
        prefix,
        broadcast,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_there() {
        let (links, addresses) = interfaces().unwrap();
        let lo = links.iter().find(|link| link.name == "lo").unwrap();
        assert_eq!(lo.hardware, 772);
        assert!(lo.flags & 8 != 0);
        if lo.flags & 1 != 0 {
            assert!(addresses.iter().any(|address| {
                address.link == lo.index
                    && address.prefix == 8
                    && address.address == IpAddr::from(Ipv4Addr::LOCALHOST)
            }));
        }
    }

    #[test]
    fn cut_messages() {
        assert!(message_of(&[0; 8]).is_none());
        assert!(message_of(&[0xff; 32]).is_none());
        assert!(attributes(&[2, 0, 0, 0, 0]).is_empty());
        assert!(link(&[0; 15]).is_none() && address(&[0; 4]).is_none());
    }
}
