//! Interfaces and their addresses, sockets and the processes behind them.

use super::{Table, pids, text, wanted};
use crate::oval::item::{Collected, Item};
use crate::oval::model::Datatype;
use crate::probe::{Context, Query};
use crate::system::{System, netlink};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

const MAX_TABLE: u64 = 256 << 20;
const MAX_SOCKETS: usize = 4_000_000;

/// `IFF_*` by bit, in OVAL's words.
const FLAGS: &[&str] = &[
    "UP",
    "BROADCAST",
    "DEBUG",
    "LOOPBACK",
    "POINTOPOINT",
    "NOTRAILERS",
    "RUNNING",
    "NOARP",
    "PROMISC",
    "ALLMULTI",
    "MASTER",
    "SLAVE",
    "MULTICAST",
    "PORTSEL",
    "AUTOMEDIA",
    "DYNAMIC",
];
const BROADCAST: u32 = 2;

/// `ARPHRD_*` in OVAL's words.
fn hardware(kind: u16) -> &'static str {
    match kind {
        1 => "ARPHRD_ETHER",
        4 => "ARPHRD_PRONET",
        256 => "ARPHRD_SLIP",
        512 => "ARPHRD_PPP",
        772 => "ARPHRD_LOOPBACK",
        774 => "ARPHRD_FDDI",
        0xffff => "ARPHRD_VOID",
        _ => "",
    }
}

fn mac(address: &[u8]) -> String {
    // Six bytes are shown, whatever the kind; there may be none.
    let bytes = address.iter().copied().chain(std::iter::repeat(0)).take(6);
    let bytes: Vec<String> = bytes.map(|byte| format!("{byte:02X}")).collect();
    bytes.join(":")
}

/// `interface_object`: an item an address.
pub fn interface(query: &Query, ctx: &Context<'_>) -> Result<Collected, String> {
    if !ctx.system.is_live() {
        return Ok(Collected::not_applicable("the system does not run"));
    }
    let (links, addresses) = ctx
        .system
        .interfaces()
        .map_err(|error| format!("interfaces: {error}"))?;
    let mut items = Vec::new();
    for address in &addresses {
        let Some(link) = links.iter().find(|link| link.index == address.link) else {
            continue;
        };
        let name = address.label.as_deref().unwrap_or(&link.name);
        if wanted(query, ctx, "name", name)? {
            items.push(interface_item(name, link, address));
        }
    }
    Ok(Collected::complete(items))
}

fn interface_item(name: &str, link: &netlink::Link, address: &netlink::Address) -> Item {
    let four = address.address.is_ipv4();
    let datatype = if four { Datatype::Ipv4 } else { Datatype::Ipv6 };
    let (shown, mask) = if four {
        let bits = u32::MAX
            .checked_shl(32 - u32::from(address.prefix.min(32)))
            .unwrap_or(0);
        (
            address.address.to_string(),
            Ipv4Addr::from(bits).to_string(),
        )
    } else {
        (
            format!("{}/{}", address.address, address.prefix),
            String::new(),
        )
    };
    let broadcast = address
        .broadcast
        .filter(|_| four && link.flags & BROADCAST != 0)
        .map(|broadcast| broadcast.to_string())
        .unwrap_or_default();
    let mut item = Item::new()
        .string("name", name)
        .string("type", hardware(link.hardware))
        .string("hardware_addr", mac(&link.address))
        .with("inet_addr", datatype, shown)
        .with("broadcast_addr", datatype, broadcast)
        .with("netmask", datatype, mask);
    for (bit, flag) in FLAGS.iter().enumerate() {
        if link.flags >> bit & 1 != 0 {
            item = item.string("flag", *flag);
        }
    }
    item
}

/// The process that has a socket.
#[derive(Debug, Clone)]
pub struct Owner {
    pid: u32,
    uid: u32,
    command: String,
}

/// Owners by the socket's inode.
pub type Owners = Table<HashMap<u64, Owner>>;

fn owners(system: &dyn System) -> Result<HashMap<u64, Owner>, String> {
    let mut owners = HashMap::new();
    for pid in pids(system)? {
        let folder = format!("/proc/{pid}/fd");
        // Processes end while we look, and some may not be looked at.
        let Ok(names) = system.read_dir(Path::new(&folder)) else {
            continue;
        };
        let mut owner = None;
        for (name, _) in names {
            let Ok(target) = system.read_link(&Path::new(&folder).join(name)) else {
                continue;
            };
            let target = target.to_string_lossy();
            let Some(inode) = target
                .strip_prefix("socket:[")
                .and_then(|rest| rest.strip_suffix(']'))
                .and_then(|inode| inode.parse().ok())
            else {
                continue;
            };
            let owner = owner.get_or_insert_with(|| Owner {
                pid,
                uid: effective_uid(system, pid),
                command: command(system, pid),
            });
            owners.entry(inode).or_insert_with(|| owner.clone());
            if owners.len() > MAX_SOCKETS {
                return Err(format!("more than {MAX_SOCKETS} sockets"));
            }
        }
    }
    Ok(owners)
}

fn effective_uid(system: &dyn System, pid: u32) -> u32 {
    let status = text(system, &format!("/proc/{pid}/status"), 1 << 20);
    let status = status.ok().flatten().unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .and_then(|uids| uids.split_whitespace().nth(1))
        .and_then(|uid| uid.parse().ok())
        .unwrap_or(0)
}

fn command(system: &dyn System, pid: u32) -> String {
    let name = text(system, &format!("/proc/{pid}/comm"), 4096);
    let name = name.ok().flatten().unwrap_or_default();
    name.trim_end_matches('\n').to_owned()
}

/// An address as `/proc/net` writes it: words of the machine's byte order in hexadecimal.
fn address(hexadecimal: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let digits = hexadecimal.get(at..at.checked_add(8)?)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    match hexadecimal.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (chunk, at) in bytes.chunks_exact_mut(4).zip([0, 8, 16, 24]) {
                chunk.copy_from_slice(&word(at)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

/// `inetlisteningservers_object`. As in OpenSCAP every internet socket is an item, whatever
/// its state.
pub fn listening(query: &Query, ctx: &Context<'_>) -> Result<Collected, String> {
    if !ctx.system.is_live() {
        return Ok(Collected::not_applicable("the system does not run"));
    }
    let mut items = Vec::new();
    for (file, protocol) in [
        ("tcp", "tcp"),
        ("tcp6", "tcp"),
        ("udp", "udp"),
        ("udp6", "udp"),
        ("raw", "udp"),
        ("raw6", "udp"),
    ] {
        let Some(table) = text(ctx.system, &format!("/proc/net/{file}"), MAX_TABLE)? else {
            continue;
        };
        for line in table.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().take(10).collect();
            let end = |at: usize| {
                let (host, port) = fields.get(at)?.split_once(':')?;
                Some((address(host)?, u16::from_str_radix(port, 16).ok()?))
            };
            let (Some((local, port)), Some((remote, remote_port))) = (end(1), end(2)) else {
                continue;
            };
            let local = local.to_string();
            if !wanted(query, ctx, "protocol", protocol)?
                || !wanted(query, ctx, "local_address", &local)?
                || !wanted(query, ctx, "local_port", &port.to_string())?
            {
                continue;
            }
            let inode = fields.get(9).and_then(|inode| inode.parse::<u64>().ok());
            let owner = inode.map(|inode| owner(ctx, inode)).transpose()?.flatten();
            let mut item = Item::new()
                .string("protocol", protocol)
                .string("local_address", local.as_str())
                .int("local_port", port)
                .string("local_full_address", format!("{local}:{port}"));
            if let Some(owner) = owner {
                item = item.string("program_name", owner.command.as_str());
            }
            item = item
                .string("foreign_address", remote.to_string())
                .int("foreign_port", remote_port)
                .string("foreign_full_address", format!("{remote}:{remote_port}"));
            if let Some(owner) = owner {
                item = item.int("pid", owner.pid).int("user_id", owner.uid);
            }
            items.push(item);
        }
    }
    Ok(Collected::complete(items))
}

fn owner<'a>(ctx: &'a Context<'_>, inode: u64) -> Result<Option<&'a Owner>, String> {
    let owners = ctx.tables.owners.get_or_init(|| owners(ctx.system));
    let owners = owners.as_ref().map_err(Clone::clone)?;
    Ok(owners.get(&inode))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{collect, root};
    use super::{interface_item, mac};
    use crate::oval::item::Flag;
    use crate::system::netlink::{Address, Link};
    use std::os::unix::fs::symlink;

    #[test]
    fn sockets_and_owners() {
        let (folder, system) = root(&[
            (
                "/proc/net/tcp",
                "head\n   0: 0100007F:0050 00000000:0000 0A 0:0 00:0 0 0 0 42 1\n   1: bad\n",
            ),
            (
                "/proc/net/tcp6",
                "head\n   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 43 1\n",
            ),
            ("/proc/9/status", "Name:\tx\nUid:\t1\t33\t1\t1\n"),
            ("/proc/9/comm", "nginx\n"),
            ("/proc/9/fd/.keep", ""),
        ]);
        symlink("socket:[42]", folder.path().join("proc/9/fd/3")).unwrap();
        let get = |address, port| {
            collect(
                &system,
                "inetlisteningservers",
                &[
                    ("protocol", "tcp"),
                    ("local_address", address),
                    ("local_port", port),
                ],
            )
        };
        let item = &get("127.0.0.1", "80").items[0];
        assert_eq!(item.text("program_name"), Some("nginx"));
        assert_eq!(item.text("user_id"), Some("33"));
        assert_eq!(item.text("foreign_full_address"), Some("0.0.0.0:0"));
        let item = &get("::1", "8080").items[0];
        assert_eq!(item.text("pid"), None);
        assert_eq!(get("::1", "80").flag, Flag::DoesNotExist);
    }

    #[test]
    fn interfaces() {
        let link = Link {
            index: 2,
            name: "eth0".into(),
            hardware: 1,
            flags: 0x1143,
            address: vec![2, 0x42, 0xac, 0, 0, 1],
        };
        let mut address = Address {
            link: 2,
            label: None,
            address: "10.1.2.3".parse().unwrap(),
            prefix: 20,
            broadcast: Some("10.1.15.255".parse().unwrap()),
        };
        let item = interface_item("eth0", &link, &address);
        assert_eq!(item.text("hardware_addr"), Some("02:42:AC:00:00:01"));
        assert_eq!(item.text("netmask"), Some("255.255.240.0"));
        assert_eq!(item.text("broadcast_addr"), Some("10.1.15.255"));
        let flags: Vec<&str> = item.named("flag").map(|flag| &*flag.text).collect();
        assert_eq!(
            flags,
            ["UP", "BROADCAST", "RUNNING", "PROMISC", "MULTICAST"]
        );
        address.address = "fe80::1".parse().unwrap();
        address.prefix = 64;
        let item = interface_item("eth0", &link, &address);
        assert_eq!(item.text("inet_addr"), Some("fe80::1/64"));
        assert_eq!(mac(&[]), "00:00:00:00:00:00");
    }
}
