//! Mounted file systems, from `/proc/mounts`.

use super::{absent, not_collected, text, wanted};
use crate::oval::item::{Collected, Item, Status};
use crate::oval::model::Datatype;
use crate::probe::{Context, Query};
use crate::system::System;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

const MOUNTS: &str = "/proc/mounts";
const MAX_MOUNTS: u64 = 64 << 20;
const UUIDS: &str = "/dev/disk/by-uuid";

/// A line of the mount table.
#[derive(Debug)]
pub struct Mount {
    device: String,
    point: String,
    kind: String,
    options: Vec<String>,
}

/// UUIDs by the canonical path of the device; None where they cannot be told.
pub type Uuids = Option<HashMap<PathBuf, String>>;

/// None: the system does not run, so nothing is mounted that could be looked at.
fn load(system: &dyn System) -> Result<Option<Vec<Mount>>, String> {
    // On Linux a link to self/mounts; a folder that is no system's root may have neither.
    let table = text(system, MOUNTS, MAX_MOUNTS)?;
    if table.is_none() && system.is_live() {
        return Err(format!("{MOUNTS}: not there"));
    }
    Ok(table.map(|table| table.lines().filter_map(mount).collect()))
}

fn mount(line: &str) -> Option<Mount> {
    let mut fields = line.split([' ', '\t']).filter(|field| !field.is_empty());
    let device = unescaped(fields.next()?);
    let point = unescaped(fields.next()?);
    let kind = unescaped(fields.next()?);
    let mut options: Vec<String> = unescaped(fields.next().unwrap_or_default())
        .split(',')
        .filter(|option| !option.is_empty())
        .map(str::to_owned)
        .collect();
    // OpenSCAP takes two of statvfs's flags for mount(2)'s of the same number.
    for (flag, taken) in [("relatime", "bind"), ("nosymfollow", "move")] {
        if options.iter().any(|option| option == flag) {
            options.push(taken.to_owned());
        }
    }
    (kind != "rootfs").then_some(Mount {
        device,
        point,
        kind,
        options,
    })
}

/// `\040` and the like.
fn unescaped(field: &str) -> String {
    let mut plain = field.to_owned();
    // The backslash last, or its digits would be read again.
    for (code, character) in [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\043", "#"),
        ("\\134", "\\"),
    ] {
        if plain.contains('\\') {
            plain = plain.replace(code, character);
        }
    }
    plain
}

fn uuids(system: &dyn System) -> Uuids {
    let mut known = HashMap::new();
    let names = match system.read_dir(Path::new(UUIDS)) {
        Ok(names) => names,
        // Without udev there are none.
        Err(error) if absent(&error) => Vec::new(),
        Err(_) => return None,
    };
    for (name, _) in names {
        match system.canonical(&Path::new(UUIDS).join(&name)) {
            Ok(device) => {
                known.insert(device, name.to_string_lossy().into_owned());
            }
            Err(error) if absent(&error) => {}
            Err(_) => return None,
        }
    }
    Some(known)
}

/// The UUID of a device; Err where it cannot be told.
fn uuid<'a>(device: &str, ctx: &'a Context<'_>) -> Result<Option<&'a str>, ()> {
    if !device.starts_with('/') {
        return Ok(None);
    }
    let known = ctx.tables.uuids.get_or_init(|| uuids(ctx.system));
    let known = known.as_ref().ok_or(())?;
    match ctx.system.canonical(Path::new(device)) {
        Ok(device) => Ok(known.get(&device).map(String::as_str)),
        Err(error) if absent(&error) => Ok(None),
        Err(_) => Err(()),
    }
}

fn item(mount: &Mount, ctx: &Context<'_>) -> Item {
    let system = ctx.system;
    let mut item = Item::new()
        .string("mount_point", mount.point.as_str())
        .string("device", mount.device.as_str());
    item = match uuid(&mount.device, ctx) {
        Ok(Some(uuid)) => item.string("uuid", uuid),
        Ok(None) => item.without("uuid", Status::DoesNotExist),
        Err(()) => item.without("uuid", Status::Error),
    };
    item = item.string("fs_type", mount.kind.as_str());
    for option in &mount.options {
        item = item.string("mount_options", option.as_str());
    }
    match system.space(Path::new(&mount.point)) {
        Ok(space) => item
            .int("total_space", space.total)
            .int("space_used", space.total.saturating_sub(space.free))
            .int("space_left", space.free)
            .int("block_size", space.block_size),
        Err(error) => {
            for name in ["total_space", "space_used", "space_left", "block_size"] {
                item = item.with_status(name, Datatype::Int, Status::Error, "");
            }
            item.message = Some(format!("{}: {error}", mount.point).into());
            item
        }
    }
}

/// `partition_object`.
pub fn collect(query: &Query, ctx: &Context<'_>) -> Result<Collected, String> {
    let mounts = ctx
        .tables
        .mounts
        .get_or_init(|| load(ctx.system))
        .as_ref()
        .map_err(Clone::clone)?;
    let Some(mounts) = mounts else {
        return Ok(not_collected("the system does not run"));
    };
    let point = query
        .entity("mount_point")
        .ok_or("the object has no mount_point")?;
    let mut items = Vec::new();
    if let Some(values) = point.exact() {
        // The first of many on one mount point, as OpenSCAP takes it.
        for value in values {
            if let Some(mount) = mounts.iter().find(|mount| *mount.point == **value) {
                items.push(item(mount, ctx));
            }
        }
        return Ok(Collected::complete(items));
    }
    for mount in mounts {
        if wanted(query, ctx, "mount_point", &mount.point)? {
            items.push(item(mount, ctx));
        }
    }
    Ok(Collected::complete(items))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{collect, root};
    use crate::oval::item::{Flag, Status};
    use crate::system::Rooted;
    use std::os::unix::fs::symlink;

    #[test]
    fn mounts() {
        let (folder, system) = root(&[
            (
                "/proc/mounts",
                "rootfs / rootfs rw 0 0\n/dev/vda1 / ext4 rw,relatime,errors=remount-ro 0 0\n/dev/vda1 /a\\040b ext4 ro,nosuid 0 0\ntmpfs / tmpfs rw 0 0\n",
            ),
            ("/dev/vda1", ""),
            ("/dev/disk/by-uuid/.keep", ""),
        ]);
        symlink(
            "../../vda1",
            folder.path().join("dev/disk/by-uuid/1234-abcd"),
        )
        .unwrap();
        let get = |point| collect(&system, "partition", &[("mount_point", point)]);
        let found = get("/");
        assert_eq!(found.items.len(), 1);
        let item = &found.items[0];
        assert_eq!(item.text("device"), Some("/dev/vda1"));
        assert_eq!(item.text("uuid"), Some("1234-abcd"));
        assert_eq!(item.text("fs_type"), Some("ext4"));
        let options: Vec<&str> = item.named("mount_options").map(|v| &*v.text).collect();
        assert_eq!(options, ["rw", "relatime", "errors=remount-ro", "bind"]);
        assert!(item.text("total_space").unwrap().parse::<u64>().unwrap() > 0);
        // Its folder is not there: the options are known, the space is not.
        let found = get("/a b");
        let item = &found.items[0];
        assert_eq!(item.named("mount_options").count(), 2);
        let space = item.named("space_left").next().unwrap();
        assert_eq!(space.status, Status::Error);
        assert_eq!(get("/home").flag, Flag::DoesNotExist);
        let (folder, bare) = root(&[]);
        let found = collect(&bare, "partition", &[("mount_point", "/")]);
        assert_eq!(found.flag, Flag::Error);
        let off = Rooted::new(folder.path().to_owned(), false);
        let found = collect(&off, "partition", &[("mount_point", "/")]);
        assert_eq!(found.flag, Flag::NotCollected);
    }

    #[test]
    fn a_uuid_that_cannot_be_told_is_an_error() {
        let (folder, system) = root(&[("/proc/mounts", "/dev/vda1 / ext4 rw 0 0\n")]);
        let status = || {
            let found = collect(&system, "partition", &[("mount_point", "/")]);
            found.items[0].named("uuid").next().unwrap().status
        };
        assert_eq!(status(), Status::DoesNotExist);
        std::fs::create_dir_all(folder.path().join("dev/disk/by-uuid")).unwrap();
        symlink("loop", folder.path().join("dev/disk/by-uuid/loop")).unwrap();
        // The table is loaded once a context, and each look has its own.
        assert_eq!(status(), Status::Error);
    }
}
