//! What is in a tar file and where: ustar, with the extensions of GNU and pax.

use std::collections::HashMap;
use std::io::{self, Read};

const BLOCK: u64 = 512;
/// More than this is no name and no pax header.
const MAX_EXTENSION: u64 = 1 << 20;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    File,
    /// Another name of an earlier file.
    Hard,
    Link,
    Character,
    Block,
    Folder,
    Fifo,
    /// A file with holes, whose bytes are not simply there.
    Sparse,
}

/// An entry.
#[derive(Debug)]
pub(super) struct Entry {
    pub sort: Sort,
    pub name: Vec<u8>,
    /// Where a link points.
    pub target: Vec<u8>,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    pub modified: i64,
    /// Extended attributes.
    pub attributes: Vec<(String, Vec<u8>)>,
    /// Where its bytes begin.
    pub offset: u64,
}

/// Reads entries from a stream.
pub(super) struct Entries<R> {
    reader: R,
    offset: u64,
    /// What is left of the entry before, with its padding.
    skip: u64,
    global: HashMap<String, Vec<u8>>,
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the tar file {what}"))
}

impl<R: Read> Entries<R> {
    /// From the beginning of a tar file.
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            offset: 0,
            skip: 0,
            global: HashMap::new(),
        }
    }

    /// The rest of the stream, for what is beyond the end of the archive.
    pub fn into_inner(self) -> R {
        self.reader
    }

    fn block(&mut self) -> io::Result<Option<[u8; 512]>> {
        let mut block = [0; 512];
        let mut filled = 0;
        while let Some(room) = block.get_mut(filled..).filter(|room| !room.is_empty()) {
            match self.reader.read(room) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(broken("is cut off")),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.offset += BLOCK;
        Ok(Some(block))
    }

    fn pass(&mut self) -> io::Result<()> {
        let skip = std::mem::take(&mut self.skip);
        let passed = io::copy(&mut self.reader.by_ref().take(skip), &mut io::sink())?;
        self.offset += passed;
        if passed == skip {
            Ok(())
        } else {
            Err(broken("is cut off"))
        }
    }

    /// The bytes of the entry whose header was read last.
    pub fn bytes(&mut self, size: u64, limit: u64) -> io::Result<Vec<u8>> {
        if size > limit {
            return Err(broken("has a name or a document that is too long"));
        }
        let mut bytes = Vec::new();
        self.reader.by_ref().take(size).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != size {
            return Err(broken("is cut off"));
        }
        self.offset += size;
        self.skip = self.skip.saturating_sub(size);
        Ok(bytes)
    }

    /// The next entry; None at the end.
    pub fn next(&mut self) -> io::Result<Option<Entry>> {
        let mut own: HashMap<String, Vec<u8>> = HashMap::new();
        let (mut long_name, mut long_target) = (None, None);
        loop {
            self.pass()?;
            let Some(block) = self.block()? else {
                return Ok(None);
            };
            if block.iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
            let sum: u64 = block
                .iter()
                .enumerate()
                .map(|(at, byte)| match at {
                    148..156 => u64::from(b' '),
                    _ => u64::from(*byte),
                })
                .sum();
            if number(field(&block, 148, 8)) != Some(sum) {
                return Err(broken("has a broken header"));
            }
            let mut size = number(field(&block, 124, 12)).ok_or_else(|| broken("has no size"))?;
            let flag = block.get(156).copied().unwrap_or_default();
            if matches!(flag, b'x' | b'g' | b'L' | b'K') {
                self.skip = padded(size);
                let bytes = self.bytes(size, MAX_EXTENSION)?;
                match flag {
                    b'x' => own.extend(pax(&bytes)?),
                    b'g' => self.global.extend(pax(&bytes)?),
                    b'L' => long_name = Some(text(&bytes).to_vec()),
                    _ => long_target = Some(text(&bytes).to_vec()),
                }
                continue;
            }
            let extension = |key: &str| own.get(key).or_else(|| self.global.get(key));
            let decimal = |key: &str| {
                let value = std::str::from_utf8(extension(key)?).ok()?;
                // Times may have a fraction.
                value.split('.').next()?.parse::<i64>().ok()
            };
            let sort = match flag {
                0 | b'0' | b'7' => Sort::File,
                b'1' => Sort::Hard,
                b'2' => Sort::Link,
                b'3' => Sort::Character,
                b'4' => Sort::Block,
                b'5' => Sort::Folder,
                b'6' => Sort::Fifo,
                b'S' => Sort::Sparse,
                _ => return Err(broken("has an entry of no known kind")),
            };
            if let Some(said) = decimal("size") {
                size = u64::try_from(said).map_err(|_| broken("has a negative size"))?;
            }
            let mut sort = sort;
            if own.keys().any(|key| key.starts_with("GNU.sparse.")) {
                sort = Sort::Sparse;
            }
            self.skip = match sort {
                Sort::File | Sort::Sparse => padded(size),
                // Archives of hard links may have the bytes once more; the others have none.
                Sort::Hard => padded(size),
                _ => 0,
            };
            let mut name = text(field(&block, 0, 100)).to_vec();
            let prefix = text(field(&block, 345, 155));
            if field(&block, 257, 6) == b"ustar\0" && !prefix.is_empty() {
                name = [prefix, b"/", &name].concat();
            }
            let id = |key: &str, at: usize| {
                let said = decimal(key).and_then(|said| u64::try_from(said).ok());
                said.or_else(|| number(field(&block, at, 8)))
                    .and_then(|id| u32::try_from(id).ok())
                    .ok_or_else(|| broken("has an owner that cannot be"))
            };
            let attributes = self
                .global
                .iter()
                .chain(&own)
                .filter_map(|(key, value)| {
                    let name = key.strip_prefix("SCHILY.xattr.")?;
                    Some((name.to_owned(), value.clone()))
                })
                .collect();
            return Ok(Some(Entry {
                name: extension("path").cloned().or(long_name).unwrap_or(name),
                target: extension("linkpath")
                    .cloned()
                    .or(long_target)
                    .unwrap_or_else(|| text(field(&block, 157, 100)).to_vec()),
                mode: number(field(&block, 100, 8)).unwrap_or(0) as u32 & 0o7777,
                uid: id("uid", 108)?,
                gid: id("gid", 116)?,
                modified: decimal("mtime")
                    .or_else(|| i64::try_from(number(field(&block, 136, 12))?).ok())
                    .unwrap_or(0),
                attributes,
                offset: self.offset,
                sort,
                size,
            }));
        }
    }
}

fn field(block: &[u8; 512], at: usize, length: usize) -> &[u8] {
    block.get(at..at + length).unwrap_or_default()
}

/// Bytes up to the first zero.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn padded(size: u64) -> u64 {
    size.checked_next_multiple_of(BLOCK).unwrap_or(u64::MAX)
}

/// A number in octal, or in binary where its first bit says so.
fn number(field: &[u8]) -> Option<u64> {
    let (first, rest) = field.split_first()?;
    if *first & 0x80 != 0 {
        if *first != 0x80 {
            return None;
        }
        return rest.iter().try_fold(0_u64, |sum, byte| {
            sum.checked_mul(256)?.checked_add(u64::from(*byte))
        });
    }
    let digits = std::str::from_utf8(text(field)).ok()?.trim();
    if digits.is_empty() {
        return Some(0);
    }
    u64::from_str_radix(digits, 8).ok()
}

/// Records `LENGTH KEY=VALUE\n`.
fn pax(mut bytes: &[u8]) -> io::Result<Vec<(String, Vec<u8>)>> {
    let wrong = || broken("has a broken pax header");
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|byte| *byte == b' ');
        let space = space.ok_or_else(wrong)?;
        let length = bytes
            .get(..space)
            .and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<usize>().ok())
            .ok_or_else(wrong)?;
        let (record, rest) = bytes.split_at_checked(length).ok_or_else(wrong)?;
        let record = record
            .get(space + 1..)
            .and_then(|record| record.strip_suffix(b"\n"))
            .ok_or_else(wrong)?;
        let equals = record.iter().position(|byte| *byte == b'=');
        let (key, value) = record
            .split_at_checked(equals.ok_or_else(wrong)?)
            .ok_or_else(wrong)?;
        let key = String::from_utf8_lossy(key).into_owned();
        records.push((key, value.get(1..).unwrap_or_default().to_owned()));
        bytes = rest;
    }
    Ok(records)
}
