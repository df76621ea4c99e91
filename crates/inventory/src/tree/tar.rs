//! tar as layers and archives have it: ustar, GNU's long names, pax. A stream, and what stands before a
//! file's bytes is bounded, which the `tar` crate does not do: it reads a long name whole.

use std::io::{self, Read, Seek, SeekFrom};

const BLOCK: usize = 512;
/// The longest name or pax header that is read.
const LONG: u64 = 1 << 20;
/// Headers that may stand before one entry.
const EXTRA: usize = 64;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    /// Its bytes are not in one piece.
    Sparse,
    Hard,
    Symlink,
    Folder,
    Other,
}

/// One entry, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) size: u64,
    pub(crate) executable: bool,
}

/// The entries of a stream, one by one.
pub(crate) struct Entries<R> {
    reader: R,
    /// Bytes of the entry that were not read yet, and what fills its last block.
    data: u64,
    padding: u64,
    /// Bytes taken from the reader.
    at: u64,
}

fn broken(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the tar is cut off")
}

/// What pax says of the next entry.
#[derive(Default)]
struct Pax {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

impl Pax {
    /// Records of `LENGTH KEY=VALUE\n`.
    fn take(&mut self, mut rest: &[u8]) -> Option<()> {
        while !rest.is_empty() && rest.first() != Some(&0) {
            let space = rest.iter().take(20).position(|byte| *byte == b' ')?;
            let length: usize = text(rest.get(..space)?)?.parse().ok()?;
            let record = rest.get(space + 1..length)?.strip_suffix(b"\n")?;
            rest = rest.get(length..)?;
            let equals = record.iter().position(|byte| *byte == b'=')?;
            let (key, value) = record.split_at_checked(equals)?;
            let value = value.get(1..)?;
            match key {
                b"path" | b"GNU.sparse.name" => self.path = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => self.size = Some(text(value)?.parse().ok()?),
                _ => {}
            }
            self.sparse |= key.starts_with(b"GNU.sparse.");
        }
        Some(())
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// Up to the first NUL.
fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Octal digits, or GNU's big endian number.
fn number(field: &[u8]) -> Option<u64> {
    let (first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        let (high, low) = rest.split_last_chunk::<8>()?;
        let empty = first & 0x7f == 0 && high.iter().all(|byte| *byte == 0);
        return empty.then(|| u64::from_be_bytes(*low));
    }
    let digits = text(until_nul(field))?.trim();
    match digits.is_empty() {
        true => Some(0),
        false => u64::from_str_radix(digits, 8).ok(),
    }
}

fn is_checked(block: &[u8; BLOCK]) -> bool {
    let own = block.get(148..156).unwrap_or_default();
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    let own_sum: u64 = own.iter().map(|byte| u64::from(*byte)).sum();
    number(own) == Some(sum - own_sum + 8 * 32)
}

impl<R: Read> Entries<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self {
            reader,
            data: 0,
            padding: 0,
            at: 0,
        }
    }

    /// Where the bytes of the entry begin.
    pub(crate) fn offset(&self) -> u64 {
        self.at
    }

    /// The next entry; what is left of the last one is passed over. A stream that ends between two
    /// entries is at its end: whether all of it came is what digests are for.
    pub(crate) fn next(&mut self) -> io::Result<Option<Entry>> {
        let (mut long_path, mut long_link) = (None, None);
        let mut pax = Pax::default();
        let mut block = [0; BLOCK];
        for _ in 0..EXTRA {
            self.pass_over()?;
            if !self.block(&mut block)? || block.iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
            if !is_checked(&block) {
                return Err(broken("a header with a wrong sum"));
            }
            let field = |from: usize, to: usize| block.get(from..to).unwrap_or_default();
            let size = number(field(124, 136)).ok_or_else(|| broken("a size that is none"))?;
            let flag = block.get(156).copied().unwrap_or_default();
            self.expect(size)?;
            match flag {
                b'L' => long_path = Some(until_nul(&self.read(LONG)?).to_vec()),
                b'K' => long_link = Some(until_nul(&self.read(LONG)?).to_vec()),
                b'x' => {
                    let records = self.read(LONG)?;
                    pax.take(&records)
                        .ok_or_else(|| broken("a broken pax header"))?;
                }
                // It is for all entries, and says nothing that counts here.
                b'g' => {}
                _ => {
                    let mut path = until_nul(field(0, 100)).to_vec();
                    let prefix = until_nul(field(345, 500));
                    if field(257, 265) == b"ustar\x0000" && !prefix.is_empty() {
                        path = [prefix, b"/", &path].concat();
                    }
                    let path = pax.path.or(long_path).unwrap_or(path);
                    let link = until_nul(field(157, 257)).to_vec();
                    let mode = number(field(100, 108)).unwrap_or_default();
                    let kind = match flag {
                        b'S' => Kind::Sparse,
                        0 | b'0' | b'7' if pax.sparse => Kind::Sparse,
                        // Before POSIX a folder was a file whose name ends so.
                        0 | b'0' if path.ends_with(b"/") => Kind::Folder,
                        0 | b'0' | b'7' => Kind::File,
                        b'1' => Kind::Hard,
                        b'2' => Kind::Symlink,
                        b'5' => Kind::Folder,
                        _ => Kind::Other,
                    };
                    let mut more = flag == b'S' && block.get(482) != Some(&0);
                    let size = match flag {
                        // They have no bytes, whatever stands there.
                        b'1'..=b'6' => 0,
                        _ => pax.size.unwrap_or(size),
                    };
                    while more {
                        if !self.block(&mut block)? {
                            return Err(cut());
                        }
                        more = block.get(504) != Some(&0);
                    }
                    self.expect(size)?;
                    return Ok(Some(Entry {
                        path,
                        link: pax.link.or(long_link).unwrap_or(link),
                        kind,
                        size,
                        executable: mode & 0o111 != 0,
                    }));
                }
            }
        }
        Err(broken("headers without an entry"))
    }

    fn expect(&mut self, size: u64) -> io::Result<()> {
        if size > 1 << 60 {
            return Err(broken("a size that cannot be"));
        }
        self.data = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
        Ok(())
    }

    /// The bytes of the entry.
    pub(crate) fn read(&mut self, most: u64) -> io::Result<Vec<u8>> {
        if self.data > most {
            return Err(broken("it is too long"));
        }
        let mut bytes = Vec::new();
        let read = (&mut self.reader).take(self.data).read_to_end(&mut bytes)? as u64;
        self.at += read;
        self.data = self.data.saturating_sub(read);
        match self.data {
            0 => Ok(bytes),
            _ => Err(cut()),
        }
    }

    fn pass_over(&mut self) -> io::Result<()> {
        let left = self.data + self.padding;
        (self.data, self.padding) = (0, 0);
        let passed = io::copy(&mut (&mut self.reader).take(left), &mut io::sink())?;
        self.at += passed;
        match passed == left {
            true => Ok(()),
            false => Err(cut()),
        }
    }

    /// Fills the block; false at the end.
    fn block(&mut self, block: &mut [u8; BLOCK]) -> io::Result<bool> {
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.reader.read(rest) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(cut()),
                Ok(read) => filled += read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.at += BLOCK as u64;
        Ok(true)
    }
}

impl<R: Read + Seek> Entries<R> {
    /// Leaps over the bytes of the entry, in place of reading them.
    pub(crate) fn leap(&mut self) -> io::Result<()> {
        let to = self.at + self.data + self.padding;
        (self.data, self.padding) = (0, 0);
        self.at = self.reader.seek(SeekFrom::Start(to))?;
        Ok(())
    }
}

/// A path of an archive relative to its root, with none of its parts `.` or `..`; none where it leads out.
pub(crate) fn clean(path: &[u8]) -> Option<String> {
    let path = String::from_utf8_lossy(path);
    let mut clean = String::with_capacity(path.len());
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        if part == ".." {
            return None;
        }
        if !clean.is_empty() {
            clean.push('/');
        }
        clean.push_str(part);
    }
    (clean.len() <= 8192).then_some(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> io::Result<Vec<(Entry, Vec<u8>)>> {
        let mut entries = Entries::new(bytes);
        let mut all = Vec::new();
        while let Some(entry) = entries.next()? {
            let bytes = entries.read(1 << 20)?;
            all.push((entry, bytes));
        }
        Ok(all)
    }

    #[test]
    fn what_others_write_is_read() {
        let long = "d/".repeat(90) + "file";
        let mut builder = tar::Builder::new(Vec::new());
        for (path, mode) in [("a", 0o644), (long.as_str(), 0o755)] {
            let mut header = tar::Header::new_gnu();
            header.set_size(3);
            header.set_mode(mode);
            builder.append_data(&mut header, path, &b"xyz"[..]).unwrap();
        }
        builder
            .append_pax_extensions([("path", b"from/pax".as_slice())])
            .unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(1);
        header.set_path("short").unwrap();
        header.set_cksum();
        builder.append(&header, &b"1"[..]).unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Link);
        header.set_size(0);
        builder.append_link(&mut header, "hard", "a").unwrap();
        let bytes = builder.into_inner().unwrap();
        let found = all(&bytes).unwrap();
        let paths: Vec<&[u8]> = found.iter().map(|(e, _)| e.path.as_slice()).collect();
        assert_eq!(paths, [b"a", long.as_bytes(), b"from/pax", b"hard"]);
        assert_eq!(found[1].1, b"xyz");
        assert!(found[1].0.executable && !found[0].0.executable);
        assert_eq!(
            (found[3].0.kind, found[3].0.link.as_slice()),
            (Kind::Hard, b"a".as_slice())
        );
        // Cut anywhere inside an entry is told; a wrong byte in a header, too.
        assert!(all(&bytes[..515]).is_err());
        assert!(all(&bytes[..700]).is_err());
        let mut wrong = bytes.clone();
        wrong[3] = 1;
        assert!(all(&wrong).is_err());
    }

    #[test]
    fn numbers_and_paths() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]), Some(256));
        assert_eq!(number(&[0xff; 12]), None);
        assert_eq!(number(b"9\0"), None);
        assert_eq!(clean(b"./a//b/"), Some("a/b".into()));
        assert_eq!(clean(b"/etc/x"), Some("etc/x".into()));
        assert_eq!(clean(b"a/../../x"), None);
    }
}
