//! Kernel settings, from `/proc/sys`.

use super::wanted;
use crate::oval::item::{Collected, Item};
use crate::probe::{Context, Query};
use crate::system::{FileKind, System};
use std::path::{Path, PathBuf};

const ROOT: &str = "/proc/sys";
const MAX_DEPTH: usize = 8;
const MAX_SETTINGS: usize = 1_000_000;
const MAX_READ: u64 = 1 << 20;
/// OpenSCAP reads no more of a value, in bytes and in lines.
const MAX_VALUE: usize = 8191;
const MAX_LINES: usize = 511;

/// A setting that can be read.
#[derive(Debug)]
pub struct Setting {
    name: String,
    path: PathBuf,
}

fn load(system: &dyn System) -> Result<Vec<Setting>, String> {
    let mut settings = Vec::new();
    let mut folders = vec![(PathBuf::from(ROOT), String::new(), 0)];
    while let Some((folder, prefix, depth)) = folders.pop() {
        let names = system
            .read_dir(&folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        for (name, kind) in names {
            let path = folder.join(&name);
            let name = format!("{prefix}{}", name.to_string_lossy());
            if kind == Some(FileKind::Directory) {
                if depth < MAX_DEPTH {
                    folders.push((path, format!("{name}."), depth + 1));
                }
                continue;
            }
            // An interface may go while we look.
            let Ok(found) = system.stat(&path) else {
                continue;
            };
            if found.kind == FileKind::Directory {
                if depth < MAX_DEPTH {
                    folders.push((path, format!("{name}."), depth + 1));
                }
            } else if found.mode & 0o400 != 0 {
                settings.push(Setting { name, path });
            }
            if settings.len() > MAX_SETTINGS {
                return Err(format!("more than {MAX_SETTINGS} settings"));
            }
        }
    }
    settings.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(settings)
}

/// `sysctl_object`.
pub fn collect(query: &Query, ctx: &Context<'_>) -> Result<Collected, String> {
    if !ctx.system.is_live() {
        return Ok(Collected::not_applicable("the system does not run"));
    }
    let settings = ctx
        .tables
        .sysctl
        .get_or_init(|| load(ctx.system))
        .as_ref()
        .map_err(Clone::clone)?;
    let mut items = Vec::new();
    for setting in settings {
        if !wanted(query, ctx, "name", &setting.name)? {
            continue;
        }
        match ctx.system.read(&setting.path, MAX_READ) {
            Ok(bytes) if bytes.is_empty() => {}
            Ok(bytes) => {
                let mut item = Item::new().string("name", setting.name.as_str());
                for value in values(&bytes) {
                    item = item.string("value", value);
                }
                items.push(item);
            }
            // Not readable before it is set.
            Err(_) if is_secret(&setting.path) => {}
            Err(error) => items.push(Item::error(format!("{}: {error}", setting.name))),
        }
    }
    Ok(Collected::complete(items))
}

fn is_secret(path: &Path) -> bool {
    path.starts_with("/proc/sys/net/ipv6/conf") && path.ends_with("stable_secret")
}

/// One value a line; what is neither printable nor space ends a value too.
fn values(bytes: &[u8]) -> Vec<String> {
    let bytes = bytes.get(..MAX_VALUE).unwrap_or(bytes);
    let mut values: Vec<String> = bytes
        .splitn(MAX_LINES + 1, |byte| {
            let space = matches!(byte, b' ' | b'\t' | 0x0b | 0x0c | b'\r');
            !(space || byte.is_ascii_graphic())
        })
        .map(|value| String::from_utf8_lossy(value).into_owned())
        .collect();
    if values.last().is_some_and(String::is_empty) {
        values.pop();
    }
    values
}

#[cfg(test)]
mod tests {
    use super::super::tests::{collect, root};
    use super::values;
    use crate::oval::item::{Flag, Status};
    use crate::system::Rooted;

    #[test]
    fn values_are_lines() {
        assert_eq!(values(b"1\n"), ["1"]);
        assert_eq!(
            values(b"4096\t131072\t6291456\n"),
            ["4096\t131072\t6291456"]
        );
        assert_eq!(values(b"a\nb"), ["a", "b"]);
        assert_eq!(values(b"a\n\nb\n"), ["a", "", "b"]);
        assert_eq!(values(b"\n"), [""]);
        assert_eq!(values(b"a\0b\n"), ["a", "b"]);
    }

    #[test]
    fn names_are_paths() {
        let (_folder, system) = root(&[
            ("/proc/sys/net/ipv4/conf/eth0.5/rp_filter", "1\n"),
            ("/proc/sys/kernel/empty", ""),
        ]);
        let get = |name| collect(&system, "sysctl", &[("name", name)]);
        let found = get("net.ipv4.conf.eth0.5.rp_filter");
        assert_eq!(found.items[0].text("value"), Some("1"));
        assert_eq!(get("kernel.empty").flag, Flag::DoesNotExist);
        assert_eq!(get("kernel.none").flag, Flag::DoesNotExist);
        let dead = Rooted::new("/nowhere".into(), false);
        let found = collect(&dead, "sysctl", &[("name", "a")]);
        assert_eq!(found.flag, Flag::NotApplicable);
        let (_folder, bare) = root(&[]);
        let found = collect(&bare, "sysctl", &[("name", "a")]);
        assert_eq!(found.flag, Flag::Error);
        assert_eq!(Status::default(), Status::Exists);
    }
}
