//! Probes of files: one shared walk, each file read once.

mod content;
mod file;
mod matcher;
mod prefix;
mod select;
mod structured;
mod text;
mod tree;
mod walk;
mod xpath;
mod yaml;

use super::Probe;
use crate::oval::item::Item;
use crate::system::System;
use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, OnceLock};

/// Whether an item is wanted: an object's filters, applied before items pile up. No lock is
/// held while they run.
type Keep<'k> = &'k dyn Fn(&Item) -> bool;

/// The most items of one object.
pub const MAX_ITEMS: usize = 200_000;

/// The shared walk and the files that were read.
#[derive(Default)]
pub struct Cache {
    tree: tree::Tree,
    contents: content::Contents,
    words: file::Words,
    prefixes: Mutex<HashMap<Box<str>, Arc<prefix::Prefix>>>,
    locals: OnceLock<Result<Locals, String>>,
}

/// Devices of local file systems.
#[derive(Default)]
struct Locals {
    /// None: all are.
    devices: Option<HashSet<u64>>,
    /// Where a user's FUSE is mounted that not even root may look into: nothing in it is
    /// the system's.
    closed: HashSet<Box<[u8]>>,
}

impl Locals {
    fn holds(&self, device: u64) -> bool {
        self.devices
            .as_ref()
            .is_none_or(|devices| devices.contains(&device))
    }

    fn load(system: &dyn System) -> Result<Self, String> {
        let mounts = "/proc/self/mounts";
        let table = match system.read(std::path::Path::new(mounts), 64 << 20) {
            Ok(table) => table,
            // A tree that does not run has nothing mounted that it could say.
            Err(_) if !system.is_live() => return Ok(Self::default()),
            Err(error) => return Err(format!("{mounts}: {error}")),
        };
        let mut devices = HashSet::new();
        let mut closed = HashSet::new();
        for line in table.split(|byte| *byte == b'\n') {
            let mut fields = line.split(|byte| *byte == b' ' || *byte == b'\t');
            let (Some(_), Some(place), Some(kind)) = (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            if !is_local(kind) {
                continue;
            }
            let place = unescape(place);
            match system.stat(tree::path(&place)) {
                Ok(metadata) => {
                    devices.insert(metadata.device);
                }
                Err(error)
                    if error.kind() == ErrorKind::PermissionDenied && kind.starts_with(b"fuse") =>
                {
                    closed.insert(place.into());
                }
                Err(_) => {}
            }
        }
        Ok(Self {
            devices: Some(devices),
            closed,
        })
    }
}

/// Whether a file system type is local, as OpenSCAP has it: `tmpfs` and the like are.
fn is_local(kind: &[u8]) -> bool {
    const OTHERS: [&[u8]; 21] = [
        b"autofs",
        b"proc",
        b"sysfs",
        b"afs",
        b"ceph",
        b"cifs",
        b"smb3",
        b"smbfs",
        b"sshfs",
        b"ncpfs",
        b"ncp",
        b"nfs",
        b"nfs4",
        b"gfs",
        b"gfs2",
        b"glusterfs",
        b"gpfs",
        b"pvfs2",
        b"ocfs2",
        b"lustre",
        b"davfs",
    ];
    !OTHERS.contains(&kind.strip_prefix(b"fuse.").unwrap_or(kind))
}

/// The mount table's octal escapes.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        if let (
            b'\\',
            [
                one @ b'0'..=b'3',
                two @ b'0'..=b'7',
                three @ b'0'..=b'7',
                after @ ..,
            ],
        ) = (first, after)
        {
            plain.push((one - b'0') << 6 | (two - b'0') << 3 | (three - b'0'));
            rest = after;
        } else {
            plain.push(*first);
            rest = after;
        }
    }
    plain
}

impl Cache {
    fn locals(&self, system: &dyn System) -> Result<&Locals, String> {
        self.locals
            .get_or_init(|| Locals::load(system))
            .as_ref()
            .map_err(Clone::clone)
    }
}

/// The probes.
pub const PROBES: &[Probe] = &[
    Probe {
        kind: "file",
        collect: |query, ctx| file::file(query, ctx, &|item| query.keep.keeps(item, ctx)),
    },
    Probe {
        kind: "filehash",
        collect: |query, ctx| file::filehash(query, ctx, &|item| query.keep.keeps(item, ctx)),
    },
    Probe {
        kind: "filehash58",
        collect: |query, ctx| file::filehash58(query, ctx, &|item| query.keep.keeps(item, ctx)),
    },
    Probe {
        kind: "symlink",
        collect: |query, ctx| file::symlink(query, ctx, &|item| query.keep.keeps(item, ctx)),
    },
    Probe {
        kind: "textfilecontent",
        collect: |query, ctx| {
            text::textfilecontent(query, ctx, &|item| query.keep.keeps(item, ctx))
        },
    },
    Probe {
        kind: "textfilecontent54",
        collect: |query, ctx| {
            text::textfilecontent54(query, ctx, &|item| query.keep.keeps(item, ctx))
        },
    },
    Probe {
        kind: "xmlfilecontent",
        collect: |query, ctx| {
            structured::xmlfilecontent(query, ctx, &|item| query.keep.keeps(item, ctx))
        },
    },
    Probe {
        kind: "yamlfilecontent",
        collect: |query, ctx| {
            structured::yamlfilecontent(query, ctx, &|item| query.keep.keeps(item, ctx))
        },
    },
];

#[cfg(test)]
mod tests;
