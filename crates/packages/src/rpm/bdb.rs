//! As much of Berkeley DB's hash files as `Packages` needs: the pages of the hash, and values that
//! overflow onto pages of their own. Either order of bytes.

const MAGIC: u32 = 0x0006_1561;
const HASH_UNSORTED: u8 = 2;
const OVERFLOW: u8 = 7;
const HASH: u8 = 13;
/// Of an item on a page.
const KEY_DATA: u8 = 1;
const OFF_PAGE: u8 = 3;
const OFF_INDEX: u8 = 4;
const PAGE_HEADER: usize = 26;

#[derive(Clone, Copy)]
struct Database<'a> {
    bytes: &'a [u8],
    page: usize,
    big: bool,
}

/// Whether the bytes begin as a hash of Berkeley DB does.
pub(super) fn is(bytes: &[u8]) -> bool {
    let magic = bytes.get(12..).and_then(<[u8]>::first_chunk);
    magic.is_some_and(|m| u32::from_le_bytes(*m) == MAGIC || u32::from_be_bytes(*m) == MAGIC)
}

impl<'a> Database<'a> {
    fn word(self, bytes: &[u8], at: usize) -> Option<usize> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        let word = match self.big {
            true => u32::from_be_bytes(bytes),
            false => u32::from_le_bytes(bytes),
        };
        usize::try_from(word).ok()
    }

    fn half(self, bytes: &[u8], at: usize) -> Option<usize> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(usize::from(match self.big {
            true => u16::from_be_bytes(bytes),
            false => u16::from_le_bytes(bytes),
        }))
    }

    fn page(self, number: usize) -> Option<&'a [u8]> {
        let at = number.checked_mul(self.page)?;
        self.bytes.get(at..at.checked_add(self.page)?)
    }

    /// A value on pages of its own. No page is two values', so `left` counts the pages that are left.
    fn overflow(self, first: usize, length: usize, left: &mut usize) -> Option<Vec<u8>> {
        if length > self.bytes.len() {
            return None;
        }
        let mut value = Vec::with_capacity(length);
        let mut next = first;
        while next != 0 {
            let page = self.page(next)?;
            *left = left.checked_sub(1)?;
            if page.get(25) != Some(&OVERFLOW) {
                return None;
            }
            next = self.word(page, 16)?;
            let used = self.half(page, 22)?;
            let part = page.get(PAGE_HEADER..)?;
            value.extend(part.get(..used)?);
            if value.len() > length {
                return None;
            }
        }
        (value.len() == length).then_some(value)
    }
}

/// Calls with each value, save the one of the key 0, which counts the packages.
pub(super) fn blobs(
    bytes: &[u8],
    each: &mut impl FnMut(&[u8]) -> Result<(), String>,
) -> Result<(), String> {
    let broken = || String::from("a broken page of Berkeley DB");
    let magic = bytes
        .get(12..)
        .and_then(<[u8]>::first_chunk)
        .ok_or_else(broken)?;
    let mut database = Database {
        bytes,
        page: 0,
        big: u32::from_be_bytes(*magic) == MAGIC,
    };
    database.page = database.word(bytes, 20).ok_or_else(broken)?;
    if !(512..=65_536).contains(&database.page) || !database.page.is_power_of_two() {
        return Err(broken());
    }
    let last = database.word(bytes, 32).ok_or_else(broken)?;
    if last > bytes.len() / database.page {
        return Err("it is cut off".into());
    }
    let mut left = last;
    for number in 1..=last {
        let Some(page) = database.page(number) else {
            return Err("it is cut off".into());
        };
        if !matches!(page.get(25), Some(&HASH | &HASH_UNSORTED)) {
            continue;
        }
        let count = database.half(page, 20).ok_or_else(broken)?;
        // Keys and values take turns.
        for pair in 0..count / 2 {
            let at = |item: usize| database.half(page, PAGE_HEADER + item * 2);
            let (Some(key), Some(value)) = (at(pair * 2), at(pair * 2 + 1)) else {
                return Err(broken());
            };
            // Items lie from the end of the page downwards: the value ends where its key begins.
            let is_counter = page
                .get(key + 1..key + 5)
                .is_some_and(|id| id == [0, 0, 0, 0]);
            if is_counter {
                continue;
            }
            match page.get(value) {
                Some(&OFF_PAGE) => {
                    let first = database.word(page, value + 4).ok_or_else(broken)?;
                    let length = database.word(page, value + 8).ok_or_else(broken)?;
                    let value = database.overflow(first, length, &mut left);
                    each(&value.ok_or_else(broken)?)?;
                }
                Some(&KEY_DATA) => each(page.get(value + 1..key).ok_or_else(broken)?)?,
                Some(&OFF_INDEX) | None => return Err(broken()),
                Some(_) => return Err("an item of no known kind".into()),
            }
        }
    }
    Ok(())
}
