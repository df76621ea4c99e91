//! One message in a file: length, checksum, offset, key, bytes.
//!
//! ```text
//! u32 length of what follows the checksum · u32 CRC-32 of it · u64 offset · u16 length of the key · key · bytes
//! ```
//! All numbers are little-endian.

use crate::{MAX_KEY, MAX_MESSAGE, Message, StreamError};
use flate2::Crc;
use std::io::{self, BufRead, Read};

const HEAD: usize = 8;
const FIXED: usize = 10;
/// The longest key: of a message, with room for what a log of our own puts before it.
const LONGEST_KEY: usize = MAX_KEY + 8;
/// The longest frame.
pub(crate) const MAX_FRAME: usize = HEAD + FIXED + LONGEST_KEY + MAX_MESSAGE;

/// What stands in a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) number: u64,
    pub(crate) key: String,
    pub(crate) bytes: Vec<u8>,
}

/// What was found where a frame should begin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A whole frame and its length in the file.
    Frame(Frame, u64),
    /// The end of the file, exactly.
    End,
    /// Something that is no whole frame: a torn write, or damage.
    Broken(&'static str),
}

/// Refuses what could be written and not be read back.
pub(crate) fn fits(message: &Message) -> Result<(), StreamError> {
    let (key, bytes) = (message.key.len(), message.bytes.len());
    if key == 0 || key > LONGEST_KEY || bytes > MAX_MESSAGE {
        return Err(StreamError::Refused(format!(
            "a log takes no key of {key} bytes with {bytes} bytes"
        )));
    }
    Ok(())
}

/// Appends a frame that [`fits`].
pub(crate) fn write(out: &mut Vec<u8>, number: u64, key: &str, bytes: &[u8]) {
    let key_length = u16::try_from(key.len()).unwrap_or(u16::MAX);
    let length = u32::try_from(FIXED + key.len() + bytes.len()).unwrap_or(u32::MAX);
    let mut crc = Crc::new();
    crc.update(&number.to_le_bytes());
    crc.update(&key_length.to_le_bytes());
    crc.update(key.as_bytes());
    crc.update(bytes);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&crc.sum().to_le_bytes());
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(&key_length.to_le_bytes());
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(bytes);
}

/// Reads the next frame.
pub(crate) fn read(from: &mut impl BufRead) -> io::Result<Found> {
    if from.fill_buf()?.is_empty() {
        return Ok(Found::End);
    }
    let mut head = [0u8; HEAD];
    if !whole(from, &mut head)? {
        return Ok(Found::Broken("the head is cut off"));
    }
    let [a, b, c, d, e, f, g, h] = head;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    let sum = u32::from_le_bytes([e, f, g, h]);
    if !(FIXED..=MAX_FRAME - HEAD).contains(&length) {
        return Ok(Found::Broken("the length cannot be"));
    }
    // Grows as bytes come: a length that lies about a short file costs nothing.
    let mut body = Vec::new();
    from.by_ref().take(length as u64).read_to_end(&mut body)?;
    if body.len() < length {
        return Ok(Found::Broken("the message is cut off"));
    }
    let mut crc = Crc::new();
    crc.update(&body);
    if crc.sum() != sum {
        return Ok(Found::Broken("the checksum does not fit"));
    }
    let Some(frame) = split(body) else {
        return Ok(Found::Broken("the key cannot be"));
    };
    Ok(Found::Frame(frame, (HEAD + length) as u64))
}

fn split(mut body: Vec<u8>) -> Option<Frame> {
    let number = u64::from_le_bytes(*body.first_chunk::<8>()?);
    let key_length = usize::from(u16::from_le_bytes(*body.get(8..)?.first_chunk::<2>()?));
    let key = std::str::from_utf8(body.get(FIXED..FIXED + key_length)?).ok()?;
    if key.is_empty() || key.len() > LONGEST_KEY {
        return None;
    }
    let key = key.to_owned();
    body.drain(..FIXED + key_length);
    Some(Frame {
        number,
        key,
        bytes: body,
    })
}

fn whole(from: &mut impl Read, into: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(into) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_frame_reads_back_and_no_changed_byte_passes(
            key in "[a-z/]{1,40}",
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            at in any::<usize>(),
            flip in 1u8..,
        ) {
            let mut out = Vec::new();
            write(&mut out, 7, &key, &bytes);
            let whole = read(&mut out.as_slice()).unwrap();
            let frame = Frame { number: 7, key, bytes };
            prop_assert_eq!(whole, Found::Frame(frame, out.len() as u64));
            let at = at % out.len();
            out[at] ^= flip;
            prop_assert!(matches!(read(&mut out.as_slice()).unwrap(), Found::Broken(_)));
        }
    }
}
