//! `file`, `symlink`, `filehash` and `filehash58`: what files are.

use super::content::Content;
use super::select::{self, Found};
use super::tree::{lock, path};
use super::walk::{Walk, absent};
use super::{Keep, MAX_ITEMS};
use crate::oval::item::{Collected, Flag, Item, Status, Value};
use crate::oval::model::Datatype;
use crate::oval::outcome::Truth;
use crate::probe::{Context, Query};
use sha2::Digest;
use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex};

/// The permission entities with their bits, in the schema's order.
const BITS: [(&str, u32); 12] = [
    ("suid", 0o4000),
    ("sgid", 0o2000),
    ("sticky", 0o1000),
    ("uread", 0o400),
    ("uwrite", 0o200),
    ("uexec", 0o100),
    ("gread", 0o40),
    ("gwrite", 0o20),
    ("gexec", 0o10),
    ("oread", 0o4),
    ("owrite", 0o2),
    ("oexec", 0o1),
];

/// The names of values, the most frequent first.
const NAMES: [&str; 16] = [
    "filepath",
    "path",
    "filename",
    "type",
    "group_id",
    "user_id",
    "a_time",
    "c_time",
    "m_time",
    "size",
    "has_extended_acl",
    "pattern",
    "instance",
    "line",
    "text",
    "subexpression",
];

/// Names and frequent values, one copy for all items.
#[derive(Debug)]
pub(super) struct Words {
    names: [Arc<str>; NAMES.len()],
    yes: Arc<str>,
    no: Arc<str>,
    empty: Arc<str>,
    numbers: Mutex<HashMap<u32, Arc<str>>>,
    bits: [Arc<str>; 12],
}

/// The most owners and groups that are remembered.
const MAX_NUMBERS: usize = 10_000;

impl Default for Words {
    fn default() -> Self {
        Self {
            names: NAMES.map(Arc::from),
            yes: "true".into(),
            no: "false".into(),
            empty: "".into(),
            numbers: Mutex::default(),
            bits: BITS.map(|(name, _)| Arc::from(name)),
        }
    }
}

impl Words {
    /// A name that every item shares.
    pub fn name(&self, name: &'static str) -> Arc<str> {
        let known = self.names.iter().find(|known| ***known == *name);
        known.map_or_else(|| name.into(), Arc::clone)
    }

    /// A value of an item.
    pub fn value(
        &self,
        name: &'static str,
        datatype: Datatype,
        text: impl Into<Arc<str>>,
    ) -> Value {
        value(self.name(name), datatype, text.into())
    }

    fn flag(&self, value: bool) -> Arc<str> {
        Arc::clone(if value { &self.yes } else { &self.no })
    }

    fn number(&self, number: u32) -> Arc<str> {
        let mut numbers = lock(&self.numbers);
        if let Some(known) = numbers.get(&number) {
            return Arc::clone(known);
        }
        let text: Arc<str> = number.to_string().into();
        if numbers.len() < MAX_NUMBERS {
            numbers.insert(number, Arc::clone(&text));
        }
        text
    }
}

fn value(name: Arc<str>, datatype: Datatype, text: Arc<str>) -> Value {
    Value {
        name,
        datatype,
        status: Status::Exists,
        text,
        fields: Vec::new(),
    }
}

/// Bytes as an item shows them.
pub(super) fn shown(bytes: &[u8]) -> Arc<str> {
    String::from_utf8_lossy(bytes).into()
}

/// The directory's path as text, shared by the items of one directory.
#[derive(Default)]
pub(super) struct Directory {
    bytes: Vec<u8>,
    text: Option<Arc<str>>,
}

impl Directory {
    /// The text of a directory's path.
    pub fn text(&mut self, directory: &[u8]) -> Arc<str> {
        match &self.text {
            Some(text) if self.bytes == directory => Arc::clone(text),
            _ => {
                let text = shown(directory);
                self.bytes.clear();
                self.bytes.extend_from_slice(directory);
                self.text = Some(Arc::clone(&text));
                text
            }
        }
    }
}

/// The values that say where a file is.
pub(super) fn place(found: &Found<'_>, directory: &mut Directory, words: &Words) -> Vec<Value> {
    let path = directory.text(found.directory);
    match found.name {
        Some(name) => vec![
            words.value("filepath", Datatype::String, shown(found.whole)),
            words.value("path", Datatype::String, path),
            words.value("filename", Datatype::String, shown(name)),
        ],
        None => vec![words.value("path", Datatype::String, path)],
    }
}

/// Collects items one by one, within the limit.
pub(super) struct Gather<'k> {
    pub items: Vec<Item>,
    keep: Keep<'k>,
    full: bool,
}

impl<'k> Gather<'k> {
    /// With a filter.
    pub fn new(keep: Keep<'k>) -> Self {
        Self {
            items: Vec::new(),
            keep,
            full: false,
        }
    }

    /// Adds an item if it is wanted; false when there are too many.
    pub fn add(&mut self, item: Item) -> bool {
        if !(self.keep)(&item) {
            return true;
        }
        if self.items.len() >= MAX_ITEMS {
            self.full = true;
            return false;
        }
        self.items.push(item);
        true
    }

    /// The items with what went wrong.
    pub fn finish(self, trouble: &super::walk::Trouble) -> Collected {
        if self.full {
            trouble.incomplete(format!("more than {MAX_ITEMS} items"));
        }
        select::finish(self.items, trouble)
    }
}

/// `file`.
pub(super) fn file(query: &Query, ctx: &Context<'_>, keep: Keep<'_>) -> Collected {
    let words = &ctx.files.words;
    let mut directory = Directory::default();
    let mut gather = Gather::new(keep);
    let trouble = select::each(query, ctx, &mut |found, walk| match file_item(
        found,
        walk,
        &mut directory,
        words,
    ) {
        Some(item) => gather.add(item),
        None => true,
    });
    gather.finish(&trouble)
}

fn file_item(
    found: &Found<'_>,
    walk: &Walk<'_>,
    directory: &mut Directory,
    words: &Words,
) -> Option<Item> {
    let (metadata, acl) = found.visit.metadata(walk)?;
    let mut values = place(found, directory, words);
    values.reserve_exact(8 + BITS.len());
    let kind = metadata.kind.word();
    values.push(words.value("type", Datatype::String, kind));
    for (name, number) in [("group_id", metadata.gid), ("user_id", metadata.uid)] {
        values.push(words.value(name, Datatype::Int, words.number(number)));
    }
    for (name, time) in [
        ("a_time", metadata.accessed),
        ("c_time", metadata.changed),
        ("m_time", metadata.modified),
    ] {
        values.push(words.value(name, Datatype::Int, time.to_string()));
    }
    values.push(words.value("size", Datatype::Int, metadata.size.to_string()));
    for ((_, bit), name) in BITS.iter().zip(&words.bits) {
        let set = words.flag(metadata.mode & bit != 0);
        values.push(value(Arc::clone(name), Datatype::Boolean, set));
    }
    values.push(match acl {
        Some(acl) => words.value("has_extended_acl", Datatype::Boolean, words.flag(acl)),
        None => Value {
            status: Status::DoesNotExist,
            ..words.value(
                "has_extended_acl",
                Datatype::Boolean,
                Arc::clone(&words.empty),
            )
        },
    });
    Some(Item {
        status: Status::Exists,
        values,
        message: None,
    })
}

/// `symlink`: the value is a path, whatever the operation, as in OpenSCAP.
pub(super) fn symlink(query: &Query, ctx: &Context<'_>, keep: Keep<'_>) -> Collected {
    let Some(filepath) = query.entity("filepath") else {
        return Collected::error("the object has no filepath");
    };
    let mut items: Vec<Item> = Vec::new();
    let mut failed = None;
    for name in &filepath.values {
        if !name.starts_with('/') || name.contains('\0') {
            continue;
        }
        let bytes = name.as_bytes();
        match ctx.system.lstat(path(bytes)) {
            Ok(metadata) if metadata.kind == crate::system::FileKind::SymbolicLink => {}
            Ok(_) => continue,
            Err(error) if absent(&error) => continue,
            Err(error) => {
                failed = Some(format!("{name}: {error}"));
                continue;
            }
        }
        match ctx.system.canonical(path(bytes)) {
            Ok(target) => {
                let item = Item::new()
                    .string("filepath", Arc::clone(name))
                    .string("canonical_path", shown(target.as_os_str().as_bytes()));
                if !items.contains(&item) && keep(&item) {
                    items.push(item);
                }
            }
            // A link that leads nowhere is an error there, too.
            Err(error) => failed = Some(format!("{name}: the link's target: {error}")),
        }
    }
    match failed {
        None => Collected::complete(items),
        Some(message) => Collected {
            flag: Flag::Error,
            items,
            message: Some(message),
        },
    }
}

fn digest(kind: &str, bytes: &[u8]) -> Option<String> {
    Some(match kind {
        "MD5" => hex::encode(md5::Md5::digest(bytes)),
        "SHA-1" => hex::encode(sha1::Sha1::digest(bytes)),
        "SHA-224" => hex::encode(sha2::Sha224::digest(bytes)),
        "SHA-256" => hex::encode(sha2::Sha256::digest(bytes)),
        "SHA-384" => hex::encode(sha2::Sha384::digest(bytes)),
        "SHA-512" => hex::encode(sha2::Sha512::digest(bytes)),
        _ => return None,
    })
}

/// `filehash58`: one item for each file and hash type.
pub(super) fn filehash58(query: &Query, ctx: &Context<'_>, keep: Keep<'_>) -> Collected {
    let Some(wanted) = query.entity("hash_type") else {
        return Collected::error("the object has no hash_type");
    };
    let kinds: Vec<&str> = ["MD5", "SHA-1", "SHA-224", "SHA-256", "SHA-384", "SHA-512"]
        .into_iter()
        .filter(|kind| ctx.matches(wanted, kind) == Truth::True)
        .collect();
    hashes(query, ctx, keep, |item, bytes| {
        kinds
            .iter()
            .map(|kind| {
                let item = item.clone().string("hash_type", *kind);
                match bytes.and_then(|bytes| digest(kind, bytes)) {
                    Some(hash) => item.string("hash", hash),
                    None => item,
                }
            })
            .collect()
    })
}

/// `filehash`: one item for each file, with both hashes.
pub(super) fn filehash(query: &Query, ctx: &Context<'_>, keep: Keep<'_>) -> Collected {
    hashes(query, ctx, keep, |mut item, bytes| {
        if let Some(bytes) = bytes {
            for (name, kind) in [("md5", "MD5"), ("sha1", "SHA-1")] {
                item = item.string(name, digest(kind, bytes).unwrap_or_default());
            }
        }
        vec![item]
    })
}

fn hashes(
    query: &Query,
    ctx: &Context<'_>,
    keep: Keep<'_>,
    items: impl Fn(Item, Option<&[u8]>) -> Vec<Item>,
) -> Collected {
    let words = &ctx.files.words;
    let mut directory = Directory::default();
    let mut gather = Gather::new(keep);
    let trouble = select::each(query, ctx, &mut |found, _| {
        if found.name.is_none() {
            return true;
        }
        let mut item = Item {
            values: place(found, &mut directory, words),
            ..Item::default()
        };
        let made = match ctx.files.contents.read(ctx.system, found.whole) {
            Content::Special => return true,
            Content::Bytes(bytes) => items(item, Some(bytes.as_slice())),
            // A link that leads nowhere cannot be opened.
            unreadable => {
                item.status = Status::Error;
                item.message = Some(match unreadable {
                    Content::Failed(message) => message,
                    _ => format!("{}: there is no such file", shown(found.whole)).into(),
                });
                items(item, None)
            }
        };
        made.into_iter().all(|item| gather.add(item))
    });
    gather.finish(&trouble)
}
