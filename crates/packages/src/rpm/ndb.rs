//! rpm's own format, `Packages.db`: slots that say where each header's blob is. Little endian.

const PAGE: usize = 4096;
const BLOCK: usize = 16;
const HEADER: &[u8] = b"RpmP";
const SLOT: &[u8] = b"Slot";
const BLOB: &[u8] = b"BlbS";
/// A database of 4 GiB has no more pages of slots.
const MAX_PAGES: usize = 1 << 16;

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let word = u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?);
    usize::try_from(word).ok()
}

/// Whether the bytes begin as this format does.
pub(super) fn is(bytes: &[u8]) -> bool {
    bytes.starts_with(HEADER)
}

/// Calls with each blob.
pub(super) fn blobs(
    bytes: &[u8],
    each: &mut impl FnMut(&[u8]) -> Result<(), String>,
) -> Result<(), String> {
    let cut = || String::from("it is cut off");
    if word(bytes, 4) != Some(0) {
        return Err("an unknown version of ndb".into());
    }
    let pages = word(bytes, 12).ok_or_else(cut)?;
    if pages == 0 || pages > MAX_PAGES {
        return Err("an impossible number of slots".into());
    }
    // The header takes the place of the first two slots.
    for slot in 2..pages * (PAGE / BLOCK) {
        let at = slot * BLOCK;
        let slot = bytes.get(at..at + BLOCK).ok_or_else(cut)?;
        if !slot.starts_with(SLOT) {
            return Err("a slot without its mark".into());
        }
        let (Some(index), Some(offset)) = (word(slot, 4), word(slot, 8)) else {
            return Err(cut());
        };
        if index == 0 {
            continue;
        }
        let at = offset.checked_mul(BLOCK).ok_or_else(cut)?;
        let head = bytes
            .get(at..)
            .and_then(|b| b.get(..BLOCK))
            .ok_or_else(cut)?;
        if !head.starts_with(BLOB) || word(head, 4) != Some(index) {
            return Err("a blob without its mark".into());
        }
        let length = word(head, 12).ok_or_else(cut)?;
        let start = at + BLOCK;
        let end = start.checked_add(length).ok_or_else(cut)?;
        each(bytes.get(start..end).ok_or_else(cut)?)?;
    }
    Ok(())
}
