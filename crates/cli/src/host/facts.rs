//! What is known of a machine beside what content asks: names, addresses, units.

use bartizan_scap::results::testresult::{Host, Interface};
use bartizan_scap::system::units::parse_show;
use bartizan_scap::system::{System, Unit};
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::{Command, Stdio};

/// More than this is none of the files read here.
const MAX_FILE: u64 = 1 << 20;

/// The facts; what cannot be read is empty, the name falls back to the folder's.
pub fn of(system: &dyn System, root: &Path) -> Host {
    let release = ["/etc/os-release", "/usr/lib/os-release"]
        .iter()
        .find_map(|path| text(system, path))
        .unwrap_or_default();
    let mut host = Host {
        os_name: value(&release, "NAME").unwrap_or_default(),
        os_version: value(&release, "VERSION")
            .or_else(|| value(&release, "VERSION_ID"))
            .unwrap_or_default(),
        ..Host::default()
    };
    if let Ok(uname) = system.uname() {
        host.name = uname.node;
        host.architecture = uname.machine;
        host.kernel = uname.release;
    }
    if host.name.is_empty() {
        host.name = text(system, "/etc/hostname")
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .or_else(|| Some(root.file_name()?.to_string_lossy().into_owned()))
            .unwrap_or_else(|| "host".to_owned());
    }
    if system.is_live() {
        host.interfaces = interfaces();
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        host.addresses = ipv4(&read("/proc/net/fib_trie"));
        let known = host.interfaces.iter();
        let ipv6: Vec<IpAddr> = known.flat_map(|one| one.addresses.clone()).collect();
        host.addresses.extend(ipv6);
    }
    host
}

fn text(system: &dyn System, path: &str) -> Option<String> {
    let bytes = system.read(Path::new(path), MAX_FILE).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// A value of `os-release`, quotes removed.
fn value(release: &str, name: &str) -> Option<String> {
    release.lines().find_map(|line| {
        let value = line.trim().strip_prefix(name)?.strip_prefix('=')?.trim();
        let quoted = ['"', '\''].iter().find_map(|quote| {
            value
                .strip_prefix(*quote)
                .and_then(|rest| rest.strip_suffix(*quote))
        });
        Some(quoted.unwrap_or(value).to_owned())
    })
}

fn interfaces() -> Vec<Interface> {
    let Ok(folder) = std::fs::read_dir("/sys/class/net") else {
        return Vec::new();
    };
    let ipv6 = ipv6(&std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default());
    let mut interfaces: Vec<Interface> = folder
        .filter_map(Result::ok)
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let mac = std::fs::read_to_string(entry.path().join("address")).unwrap_or_default();
            let own = ipv6.iter().filter(|(of, _)| *of == name);
            Interface {
                addresses: own.map(|(_, address)| *address).collect(),
                mac: mac.trim().to_uppercase(),
                name,
            }
        })
        // Tunnels have addresses of other lengths, which ARF has no place for.
        .map(|mut interface| {
            if interface.mac.len() != 17 {
                interface.mac.clear();
            }
            interface
        })
        .collect();
    interfaces.sort_by(|one, other| one.name.cmp(&other.name));
    interfaces
}

/// The machine's own addresses in `/proc/net/fib_trie`: each is a leaf with a `host LOCAL`.
fn ipv4(trie: &str) -> Vec<IpAddr> {
    let mut found = BTreeSet::new();
    let mut leaf: Option<Ipv4Addr> = None;
    for line in trie.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse().ok();
        } else if line.ends_with("host LOCAL")
            && let Some(address) = leaf
        {
            found.insert(IpAddr::V4(address));
        }
    }
    found.into_iter().collect()
}

/// Interfaces and addresses in `/proc/net/if_inet6`.
fn ipv6(table: &str) -> Vec<(String, IpAddr)> {
    table
        .lines()
        .filter_map(|line| {
            let mut parts = line.split_whitespace();
            let bits = u128::from_str_radix(parts.next()?, 16).ok()?;
            let name = parts.next_back()?.to_owned();
            Some((name, IpAddr::V6(Ipv6Addr::from_bits(bits))))
        })
        .collect()
}

/// The name of a user of the running machine.
pub fn user_name(uid: u32) -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let mut parts = line.split(':');
        let name = parts.next()?;
        (parts.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// systemd's loaded units, all of their properties: what OpenSCAP lists over D-Bus.
pub fn units() -> io::Result<Vec<Unit>> {
    let output = Command::new("systemctl")
        .args(["show", "--all", "--no-pager", "*"])
        .env("LC_ALL", "C")
        .env("SYSTEMD_COLORS", "0")
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        let why = why.lines().next().unwrap_or("it does not say why");
        return Err(io::Error::other(format!("systemctl show failed: {why}")));
    }
    let units = parse_show(&String::from_utf8_lossy(&output.stdout));
    if units.is_empty() {
        return Err(io::Error::other("systemctl show named no units"));
    }
    Ok(units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_files_are_read() {
        let release = "NAME=\"Debian GNU/Linux\"\nVERSION_ID='12'\nID=debian\n";
        assert_eq!(value(release, "NAME").as_deref(), Some("Debian GNU/Linux"));
        assert_eq!(value(release, "VERSION_ID").as_deref(), Some("12"));
        assert_eq!(value(release, "ID").as_deref(), Some("debian"));
        assert_eq!(value(release, "VERSION"), None);
    }

    #[test]
    fn addresses_are_those_of_the_machine() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\n     |-- 192.0.2.7\n        /32 host LOCAL\nLocal:\n     |-- 127.0.0.1\n        /32 host LOCAL\n";
        let found: Vec<String> = ipv4(trie).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["127.0.0.1", "192.0.2.7"]);
        let table = "00000000000000000000000000000001 01 80 10 80       lo\nbad\n";
        let found = ipv6(table);
        assert_eq!(found, [("lo".to_owned(), "::1".parse().unwrap())]);
    }
}
