//! As much of SQLite's file format as reading the blobs of one table needs: table b-trees,
//! overflow pages and the write-ahead log. Read only, bounded by the file's own size.

use std::collections::{HashMap, HashSet};

const MAGIC: &[u8] = b"SQLite format 3\0";
/// Of a write-ahead log, and of each of its frames.
const HEAD: usize = 32;
const FRAME: usize = 24;
/// The last bit says in which order its sums read words.
const LOG_MAGIC: u32 = 0x377f_0682;

struct Database<'a> {
    bytes: &'a [u8],
    page: usize,
    /// The part of a page that holds content.
    usable: usize,
    /// Newer pages, from the write-ahead log.
    newer: HashMap<u32, &'a [u8]>,
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn half(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_be_bytes(
        *bytes.get(at..)?.first_chunk()?,
    )))
}

/// A number of one to nine bytes, and how many.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (place, byte) in bytes.iter().take(9).enumerate() {
        if place == 8 {
            return Some((value << 8 | u64::from(*byte), 9));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, place + 1));
        }
    }
    None
}

/// The sum of a log up to here, from the sum before.
fn sum(before: (u32, u32), bytes: &[u8], big: bool) -> (u32, u32) {
    let (mut one, mut two) = before;
    for pair in bytes.chunks_exact(8) {
        let Some((first, second)) = word(pair, 0).zip(word(pair, 4)) else {
            continue;
        };
        let order = |n: u32| if big { n } else { n.swap_bytes() };
        one = one.wrapping_add(order(first)).wrapping_add(two);
        two = two.wrapping_add(order(second)).wrapping_add(one);
    }
    (one, two)
}

/// Whether any of these frames of this round ends a transaction.
fn commits(frames: &[u8], page: usize, salts: Option<&[u8]>) -> bool {
    let mut frames = frames.chunks(FRAME + page);
    frames.any(|frame| frame.get(8..16) == salts && word(frame, 4).is_some_and(|size| size != 0))
}

/// The committed pages of a write-ahead log. One that is broken is an error: without it the database
/// would be old, and nobody would know.
fn log(journal: &[u8], page: usize) -> Result<HashMap<u32, &[u8]>, String> {
    let mut committed = HashMap::new();
    // It is emptied when the database is closed.
    if journal.is_empty() {
        return Ok(committed);
    }
    let broken = || String::from("its write-ahead log is broken");
    let sums = |bytes: &[u8], at: usize| word(bytes, at).zip(word(bytes, at + 4));
    let head = journal.get(..HEAD).ok_or_else(broken)?;
    let magic = word(head, 0).ok_or_else(broken)?;
    let big = magic & 1 == 1;
    let is_ours = magic & !1 == LOG_MAGIC
        && word(head, 8).and_then(|size| usize::try_from(size).ok()) == Some(page);
    let mut told = sum((0, 0), head.get(..24).unwrap_or_default(), big);
    if !is_ours || sums(head, 24) != Some(told) {
        return Err(broken());
    }
    let salts = head.get(16..24);
    let mut pending = HashMap::new();
    let mut rest = journal.get(HEAD..).unwrap_or_default();
    // Frames of an earlier round have other salts.
    while !rest.is_empty() && rest.get(8..16) == salts {
        let (frame, after) = rest.split_at_checked(FRAME + page).ok_or_else(broken)?;
        let (number, size) = sums(frame, 0).ok_or_else(broken)?;
        let (place, content) = (frame.get(..8), frame.get(FRAME..));
        let content = content.ok_or_else(broken)?;
        told = sum(told, place.unwrap_or_default(), big);
        told = sum(told, content, big);
        if sums(frame, 16) != Some(told) {
            // Whoever writes a transaction that has no end yet leaves frames without a sum; of what
            // was committed none lacks it.
            if commits(rest, page, salts) {
                return Err(broken());
            }
            break;
        }
        pending.insert(number, content);
        if size != 0 {
            committed.extend(pending.drain());
        }
        rest = after;
    }
    Ok(committed)
}

impl<'a> Database<'a> {
    fn open(bytes: &'a [u8], journal: &'a [u8]) -> Result<Self, String> {
        let (page, usable) = Self::sizes(bytes, journal).ok_or("not an SQLite database")?;
        Ok(Self {
            bytes,
            page,
            usable,
            newer: log(journal, page)?,
        })
    }

    /// Of a page, and of the part of it that holds content.
    fn sizes(bytes: &[u8], journal: &[u8]) -> Option<(usize, usize)> {
        let first = if bytes.is_empty() {
            journal.get(HEAD + FRAME..)?
        } else {
            bytes
        };
        if first.get(..16)? != MAGIC {
            return None;
        }
        let page = match half(first, 16)? {
            1 => 65_536,
            size if size >= 512 && size.is_power_of_two() => size,
            _ => return None,
        };
        let usable = page.checked_sub(usize::from(*first.get(20)?))?;
        (usable >= 480).then_some((page, usable))
    }

    fn page(&self, number: u32) -> Option<&'a [u8]> {
        if let Some(page) = self.newer.get(&number) {
            return Some(page);
        }
        let start = usize::try_from(number.checked_sub(1)?)
            .ok()?
            .checked_mul(self.page)?;
        self.bytes.get(start..start.checked_add(self.page)?)
    }

    /// Bytes of all pages.
    fn whole(&self) -> usize {
        self.bytes.len() + self.newer.len() * self.page
    }

    /// The payload of every row of a table, in order.
    fn rows(
        &self,
        root: u32,
        mut each: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), String> {
        let broken = || String::from("a broken b-tree");
        // Cells may overlap, and each would be a row of its own.
        let mut left = self.whole();
        let mut open = vec![root];
        let mut seen = HashSet::new();
        while let Some(number) = open.pop() {
            // A page twice would be a loop.
            if !seen.insert(number) {
                return Err(broken());
            }
            let page = self.page(number).ok_or_else(broken)?;
            let start = if number == 1 { 100 } else { 0 };
            let head = page.get(start..).ok_or_else(broken)?;
            let count = half(head, 3).ok_or_else(broken)?;
            match head.first() {
                Some(0x05) => {
                    let mut children = Vec::with_capacity(count + 1);
                    for cell in 0..count {
                        let at = half(head, 12 + cell * 2).ok_or_else(broken)?;
                        children.push(word(page, at).ok_or_else(broken)?);
                    }
                    children.push(word(head, 8).ok_or_else(broken)?);
                    open.extend(children.into_iter().rev());
                }
                Some(0x0d) => {
                    for cell in 0..count {
                        let at = half(head, 8 + cell * 2).ok_or_else(broken)?;
                        let cell = page.get(at..self.usable).ok_or_else(broken)?;
                        let payload = self.payload(cell).ok_or_else(broken)?;
                        left = left.checked_sub(payload.len()).ok_or("its rows overlap")?;
                        each(&payload)?;
                    }
                }
                _ => return Err(broken()),
            }
        }
        Ok(())
    }

    /// A leaf's cell with what overflows from it.
    fn payload(&self, cell: &[u8]) -> Option<Vec<u8>> {
        let (length, used) = varint(cell)?;
        let cell = cell.get(used..)?;
        let (_, used) = varint(cell)?;
        let cell = cell.get(used..)?;
        let length = usize::try_from(length).ok()?;
        if length > self.whole() {
            return None;
        }
        let most = self.usable - 35;
        if length <= most {
            return Some(cell.get(..length)?.to_owned());
        }
        let least = (self.usable - 12) * 32 / 255 - 23;
        let local = least + (length - least) % (self.usable - 4);
        let local = if local <= most { local } else { least };
        let mut payload = Vec::with_capacity(length);
        payload.extend(cell.get(..local)?);
        let mut next = word(cell, local)?;
        // Each round adds to the payload, so that a loop ends.
        while payload.len() < length {
            let page = self.page(next)?.get(..self.usable)?;
            next = word(page, 0)?;
            let part = page.get(4..)?;
            let wanted = part.len().min(length - payload.len());
            payload.extend(part.get(..wanted)?);
        }
        Some(payload)
    }
}

/// The columns of a row: how they are stored, and the bytes.
fn columns(row: &[u8]) -> Option<Vec<(u64, &[u8])>> {
    let (size, used) = varint(row)?;
    let size = usize::try_from(size).ok()?;
    let mut kinds = row.get(used..size)?;
    let mut data = row.get(size..)?;
    let mut columns = Vec::new();
    while !kinds.is_empty() {
        let (kind, used) = varint(kinds)?;
        kinds = kinds.get(used..)?;
        let length = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind,
            5 => 6,
            6 | 7 => 8,
            _ => kind.checked_sub(12)? / 2,
        };
        let (column, rest) = data.split_at_checked(usize::try_from(length).ok()?)?;
        columns.push((kind, column));
        data = rest;
    }
    Some(columns)
}

/// Calls with each blob of the table's second column.
pub fn blobs(
    database: &[u8],
    journal: &[u8],
    table: &str,
    mut each: impl FnMut(&[u8]) -> Result<(), String>,
) -> Result<(), String> {
    let database = Database::open(database, journal)?;
    let mut root = None;
    // The schema: type, name, table's name, root page, statement.
    database.rows(1, |row| {
        let columns = columns(row).ok_or("a broken row")?;
        let mut columns = columns.iter().map(|(_, bytes)| *bytes);
        if columns.next() == Some(b"table") && columns.next() == Some(table.as_bytes()) {
            let number = columns.nth(1).unwrap_or_default();
            root = Some(number.iter().try_fold(0u32, |value, byte| {
                value.checked_mul(256)?.checked_add(u32::from(*byte))
            }));
        }
        Ok(())
    })?;
    let root = root
        .flatten()
        .ok_or_else(|| format!("there is no table {table}"))?;
    database.rows(root, |row| {
        let columns = columns(row).ok_or("a broken row")?;
        match columns.get(1) {
            Some((kind, blob)) if *kind >= 12 && kind % 2 == 0 => each(blob),
            _ => Err("a row without a blob".into()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::varint;

    #[test]
    fn varints() {
        assert_eq!(varint(&[0x7f]), Some((127, 1)));
        assert_eq!(varint(&[0x81, 0x00]), Some((128, 2)));
        assert_eq!(varint(&[0xff; 9]), Some((u64::MAX, 9)));
        assert_eq!(varint(&[0x80; 8]), None);
        assert_eq!(varint(&[]), None);
    }
}
