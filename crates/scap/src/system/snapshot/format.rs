//! The bytes of a snapshot: a line that names the format, then records in one gzip stream.
//!
//! ```text
//! "bartizan-snapshot 1\n" gzip( record* end )
//! record = kind:u8  length key  length value      end = 0  0  length count
//! value  = 1 answer | 0 errno kind message        lengths and numbers are LEB128
//! ```

use std::io;

/// What a file begins with; the number is the format's version.
pub const MAGIC: &[u8] = b"bartizan-snapshot 1\n";
/// The most bytes that the records of a snapshot have together.
pub const MAX_BYTES: u64 = 1 << 30;
/// The most bytes of file contents among them.
pub const MAX_CONTENT: u64 = 768 << 20;
/// The most names in a folder, and elements of other lists.
pub const MAX_LIST: u64 = 4_000_000;

/// What a record answers. The numbers are part of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Kind {
    End = 0,
    /// A file's bytes, without a key; `Read` names it by its place among these.
    Content = 1,
    Note = 2,
    Live = 3,
    Lstat = 4,
    Stat = 5,
    ReadDir = 6,
    Read = 7,
    /// The file is larger than this limit.
    TooLarge = 8,
    ReadLink = 9,
    Canonical = 10,
    Acl = 11,
    /// The key is the path, a zero byte, and the attribute's name.
    Attribute = 12,
    Uname = 13,
    Units = 14,
    Space = 15,
    Environment = 16,
    Interfaces = 17,
}

impl Kind {
    /// The kind of a number.
    pub fn of(number: u8) -> Option<Self> {
        [
            Self::End,
            Self::Content,
            Self::Note,
            Self::Live,
            Self::Lstat,
            Self::Stat,
            Self::ReadDir,
            Self::Read,
            Self::TooLarge,
            Self::ReadLink,
            Self::Canonical,
            Self::Acl,
            Self::Attribute,
            Self::Uname,
            Self::Units,
            Self::Space,
            Self::Environment,
            Self::Interfaces,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == number)
    }

    /// In words, for what is missing.
    pub fn word(self) -> &'static str {
        match self {
            Self::End | Self::Content | Self::Note | Self::Live => "record",
            Self::Lstat | Self::Stat => "metadata",
            Self::ReadDir => "listing",
            Self::Read | Self::TooLarge => "content",
            Self::ReadLink => "link",
            Self::Canonical => "canonical path",
            Self::Acl => "ACL",
            Self::Attribute => "attribute",
            Self::Uname => "uname",
            Self::Units => "units",
            Self::Space => "space",
            Self::Environment => "environment",
            Self::Interfaces => "interfaces",
        }
    }
}

/// Error kinds that have no number of the system's own. The places are part of the format.
const KINDS: &[io::ErrorKind] = &[
    io::ErrorKind::Other,
    io::ErrorKind::NotFound,
    io::ErrorKind::PermissionDenied,
    io::ErrorKind::NotADirectory,
    io::ErrorKind::IsADirectory,
    io::ErrorKind::InvalidInput,
    io::ErrorKind::InvalidData,
    io::ErrorKind::Unsupported,
    io::ErrorKind::FileTooLarge,
    io::ErrorKind::UnexpectedEof,
    io::ErrorKind::TimedOut,
];

/// Builds values.
#[derive(Debug, Default)]
pub struct Out(pub Vec<u8>);

impl Out {
    /// A byte.
    pub fn byte(&mut self, byte: u8) -> &mut Self {
        self.0.push(byte);
        self
    }

    /// A number.
    pub fn number(&mut self, mut number: u64) -> &mut Self {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
        self
    }

    /// A number that may be negative; small ones are short.
    pub fn signed(&mut self, number: i64) -> &mut Self {
        self.number(((number << 1) ^ (number >> 63)) as u64)
    }

    /// Bytes with their length.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    /// An error.
    pub fn error(&mut self, error: &io::Error) -> &mut Self {
        let number = error.raw_os_error().and_then(|raw| u64::try_from(raw).ok());
        let kind = KINDS.iter().position(|kind| *kind == error.kind());
        self.byte(0);
        self.number(number.unwrap_or(0));
        self.number(kind.unwrap_or(0) as u64);
        // The system's own words come with its number.
        let message = match number {
            Some(_) => String::new(),
            None => error.to_string(),
        };
        self.bytes(message.as_bytes())
    }
}

/// Takes values apart. None: they are broken.
#[derive(Debug, Clone, Copy)]
pub struct In<'a>(pub &'a [u8]);

impl<'a> In<'a> {
    /// A byte.
    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A number.
    pub fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// A number that must be small.
    pub fn small(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    /// A number that may be negative.
    pub fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// Bytes.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    /// Text.
    pub fn text(&mut self) -> Option<String> {
        Some(String::from_utf8_lossy(self.bytes()?).into_owned())
    }

    /// Many of something; never room for more than there are bytes.
    pub fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.number()?;
        if count > MAX_LIST || count > self.0.len() as u64 {
            return None;
        }
        (0..count).map(|_| one(self)).collect()
    }

    /// An answer, or the error that was the answer.
    pub fn result(mut self) -> Option<Result<In<'a>, io::Error>> {
        if self.byte()? == 1 {
            return Some(Ok(self));
        }
        let raw = self.number()?;
        let kind = usize::try_from(self.number()?).ok()?;
        let message = self.text()?;
        Some(Err(match i32::try_from(raw).ok()? {
            0 => io::Error::new(*KINDS.get(kind)?, message),
            raw => io::Error::from_raw_os_error(raw),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back() {
        let mut out = Out::default();
        out.number(u64::MAX).number(127).number(128);
        out.signed(i64::MIN).signed(-1).signed(i64::MAX);
        out.bytes(b"\xffx");
        let mut back = In(&out.0);
        assert_eq!(back.number(), Some(u64::MAX));
        assert_eq!((back.number(), back.number()), (Some(127), Some(128)));
        assert_eq!(back.signed(), Some(i64::MIN));
        assert_eq!((back.signed(), back.signed()), (Some(-1), Some(i64::MAX)));
        assert_eq!(back.bytes(), Some(&b"\xffx"[..]));
        assert_eq!(back.byte(), None);
        // Ten bytes that say more than 64 bits, a length without its bytes, a list of nothing.
        assert_eq!(In(&[0xff; 10]).number(), None);
        assert_eq!(In(&[9, 1]).bytes(), None);
        assert_eq!(In(&[0xff, 0x7f, 0]).list(|one| one.byte()), None);
    }

    #[test]
    fn errors_keep_what_callers_ask() {
        for error in [
            io::Error::from_raw_os_error(13),
            io::Error::new(io::ErrorKind::FileTooLarge, "large"),
            io::Error::from(io::ErrorKind::NotFound),
            io::Error::other("odd"),
        ] {
            let mut out = Out::default();
            out.error(&error);
            let back = In(&out.0).result().unwrap().unwrap_err();
            assert_eq!(back.kind(), error.kind());
            assert_eq!(back.raw_os_error(), error.raw_os_error());
            assert_eq!(back.to_string(), error.to_string());
        }
    }
}
