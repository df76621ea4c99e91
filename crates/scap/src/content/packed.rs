//! Content that is packed: by bzip2, or as the only data stream of a zip archive.

use super::LoadError;
use crate::xml::MAX_BYTES;
use flate2::Crc;
use std::borrow::Cow;
use std::io::Read;

/// Files of an archive.
const MAX_FILES: usize = 4_096;
/// How many times larger than packed a file may be: XML of SCAP packs to a twentieth or so.
const MAX_RATIO: u64 = 400;
/// How much of a file is read to know what it is.
const LOOK: u64 = 16 << 10;
const COLLECTION: &[u8] = b"data-stream-collection";

fn wrong(what: impl Into<String>) -> LoadError {
    LoadError::Packed(what.into())
}

/// The bytes of a file that may be packed.
pub fn unpacked(bytes: &[u8]) -> Result<Cow<'_, [u8]>, LoadError> {
    if bytes.starts_with(b"BZh") {
        return whole(bzip2::read::MultiBzDecoder::new(bytes)).map(Cow::Owned);
    }
    // The second is of an archive without files.
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return zip(bytes).map(Cow::Owned);
    }
    Ok(Cow::Borrowed(bytes))
}

fn whole(from: impl Read) -> Result<Vec<u8>, LoadError> {
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    let mut plain = Vec::new();
    from.take(limit.saturating_add(1))
        .read_to_end(&mut plain)
        .map_err(|error| wrong(error.to_string()))?;
    if plain.len() > MAX_BYTES {
        return Err(wrong(format!("more than {} MiB", MAX_BYTES >> 20)));
    }
    Ok(plain)
}

/// The data stream of an archive; where none is, its only XML file.
fn zip(bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
    let files = files(bytes).ok_or_else(|| wrong("a zip archive that is not whole"))??;
    let mut documents: Vec<&File<'_>> = Vec::new();
    let mut streams: Vec<&File<'_>> = Vec::new();
    for file in &files {
        if !file.name.to_ascii_lowercase().ends_with(b".xml") {
            continue;
        }
        documents.push(file);
        let mut begin = Vec::new();
        file.reader()?
            .take(LOOK)
            .read_to_end(&mut begin)
            .map_err(|error| wrong(error.to_string()))?;
        if begin.windows(COLLECTION.len()).any(|at| at == COLLECTION) {
            streams.push(file);
        }
    }
    let found = if streams.is_empty() {
        documents
    } else {
        streams
    };
    match found.as_slice() {
        [one] => one.read(),
        [] => Err(wrong("the zip archive has no XML file")),
        many => {
            let names: Vec<_> = many
                .iter()
                .take(8)
                .map(|file| {
                    String::from_utf8_lossy(file.name)
                        .escape_debug()
                        .to_string()
                })
                .collect();
            let (count, names) = (many.len(), names.join(", "));
            Err(wrong(format!(
                "the zip archive has {count} files that could be meant: unpack one of {names}"
            )))
        }
    }
}

/// A file of an archive.
struct File<'a> {
    name: &'a [u8],
    packed: &'a [u8],
    method: u16,
    flags: u16,
    crc: u32,
    size: u64,
}

impl<'a> File<'a> {
    fn reader(&self) -> Result<Box<dyn Read + 'a>, LoadError> {
        if self.flags & 1 != 0 {
            return Err(wrong("the zip archive is encrypted"));
        }
        Ok(match self.method {
            0 => Box::new(self.packed),
            8 => Box::new(flate2::read::DeflateDecoder::new(self.packed)),
            12 => Box::new(bzip2::read::BzDecoder::new(self.packed)),
            other => {
                return Err(wrong(format!(
                    "the zip archive is packed by method {other}, which is not supported"
                )));
            }
        })
    }

    fn read(&self) -> Result<Vec<u8>, LoadError> {
        let packed = u64::try_from(self.packed.len()).unwrap_or(u64::MAX);
        if self.size > packed.saturating_mul(MAX_RATIO) {
            return Err(wrong(format!(
                "a file of the zip archive is more than {MAX_RATIO} times larger than packed"
            )));
        }
        let plain = whole(self.reader()?.take(self.size.saturating_add(1)))?;
        let mut crc = Crc::new();
        crc.update(&plain);
        if u64::try_from(plain.len()) != Ok(self.size) || crc.sum() != self.crc {
            return Err(wrong("a file of the zip archive is damaged"));
        }
        Ok(plain)
    }
}

/// Little-endian numbers, one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn at(bytes: &'a [u8], place: usize, sign: &[u8]) -> Option<Self> {
        bytes.get(place..)?.strip_prefix(sign).map(Self)
    }

    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn short(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.bytes(2)?.try_into().ok()?))
    }

    fn long(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.bytes(4)?.try_into().ok()?))
    }

    fn place(&mut self) -> Option<usize> {
        usize::try_from(self.long()?).ok()
    }
}

/// The files by the directory at the archive's end; None where it is not whole.
fn files(bytes: &[u8]) -> Option<Result<Vec<File<'_>>, LoadError>> {
    // Behind the directory's end is only a comment of at most 64 KiB.
    let tail = bytes.len().saturating_sub(22 + 0xffff);
    let end = bytes
        .get(tail..)?
        .windows(4)
        .rposition(|at| at == b"PK\x05\x06")?;
    let mut fields = Fields::at(bytes, tail + end, b"PK\x05\x06")?;
    let (disk, first, here, count) = (
        fields.short()?,
        fields.short()?,
        fields.short()?,
        fields.short()?,
    );
    // The directory's size, its place, the comment's length.
    let (_, mut place, _) = (fields.long()?, fields.place()?, fields.short()?);
    let count = usize::from(count);
    if disk != 0 || first != 0 || usize::from(here) != count || count > MAX_FILES {
        return Some(Err(wrong(format!(
            "a zip archive in parts, or of more than {MAX_FILES} files"
        ))));
    }
    let mut files = Vec::new();
    for _ in 0..count {
        let mut entry = Fields::at(bytes, place, b"PK\x01\x02")?;
        entry.bytes(4)?;
        let (flags, method) = (entry.short()?, entry.short()?);
        entry.bytes(4)?;
        let (crc, packed, size) = (entry.long()?, entry.place()?, entry.long()?);
        let lengths = [entry.short()?, entry.short()?, entry.short()?].map(usize::from);
        entry.bytes(8)?;
        let local = entry.place()?;
        let [name_length, extra, comment] = lengths;
        let name = entry.bytes(name_length)?;
        entry.bytes(extra + comment)?;
        place = bytes.len() - entry.0.len();
        if size == u32::MAX || packed == 0xffff_ffff {
            return Some(Err(wrong("a zip archive in the 64-bit format")));
        }
        let mut header = Fields::at(bytes, local, b"PK\x03\x04")?;
        header.bytes(22)?;
        let lengths = [header.short()?, header.short()?].map(usize::from);
        header.bytes(lengths.iter().sum())?;
        files.push(File {
            name,
            packed: header.bytes(packed)?,
            method,
            flags,
            crc,
            size: u64::from(size),
        });
    }
    Some(Ok(files))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::DeflateEncoder;
    use std::io::Write;

    const STREAM: &[u8] = b"<data-stream-collection id='c'/>";

    /// An archive of these files, packed by a method.
    fn archive(files: &[(&str, &[u8])], method: u16) -> Vec<u8> {
        let (mut out, mut directory) = (Vec::new(), Vec::new());
        for (name, plain) in files {
            let packed = match method {
                8 => {
                    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
                    encoder.write_all(plain).unwrap();
                    encoder.finish().unwrap()
                }
                _ => plain.to_vec(),
            };
            let mut crc = Crc::new();
            crc.update(plain);
            let mut common = vec![20, 0, 0, 0];
            common.extend(method.to_le_bytes());
            common.extend([0; 4]);
            common.extend(crc.sum().to_le_bytes());
            common.extend((packed.len() as u32).to_le_bytes());
            common.extend((plain.len() as u32).to_le_bytes());
            common.extend((name.len() as u16).to_le_bytes());
            common.extend([0; 2]);
            let place = out.len() as u32;
            out.extend(b"PK\x03\x04");
            out.extend(&common);
            out.extend(name.as_bytes());
            out.extend(packed);
            directory.extend(b"PK\x01\x02\x14\0");
            directory.extend(&common);
            directory.extend([0; 10]);
            directory.extend(place.to_le_bytes());
            directory.extend(name.as_bytes());
        }
        let count = (files.len() as u16).to_le_bytes();
        let place = out.len() as u32;
        out.extend(&directory);
        out.extend(b"PK\x05\x06\0\0\0\0");
        out.extend(count);
        out.extend(count);
        out.extend((directory.len() as u32).to_le_bytes());
        out.extend(place.to_le_bytes());
        out.extend([0, 0]);
        out
    }

    #[test]
    fn the_only_data_stream_is_meant() {
        for method in [0, 8] {
            let one = archive(&[("readme.txt", b"x"), ("a/ds.XML", STREAM)], method);
            assert_eq!(&*unpacked(&one).unwrap(), STREAM);
            let beside = archive(
                &[("o.xml", b"<oval_definitions/>"), ("d.xml", STREAM)],
                method,
            );
            assert_eq!(&*unpacked(&beside).unwrap(), STREAM);
            let plain = archive(&[("b.xml", b"<Benchmark/>")], method);
            assert_eq!(&*unpacked(&plain).unwrap(), b"<Benchmark/>");
            for files in [
                &[("a.xml", STREAM), ("b.xml", STREAM)][..],
                &[("a.xml", b"<a/>"), ("b.xml", b"<b/>")],
                &[("a.txt", b"<a/>")],
                &[],
            ] {
                let error = unpacked(&archive(files, method)).unwrap_err();
                assert!(matches!(error, LoadError::Packed(_)));
            }
        }
    }

    #[test]
    fn what_is_damaged_or_too_much_is_refused() {
        let good = archive(&[("a.xml", STREAM)], 8);
        for length in 4..good.len() {
            assert!(unpacked(&good[..length]).is_err(), "{length}");
        }
        for at in 0..good.len() {
            let mut changed = good.clone();
            changed[at] ^= 0x55;
            if let Ok(plain) = unpacked(&changed) {
                // What is not looked at, such as times, may change.
                assert!(*plain == *STREAM || *plain == changed, "{at}");
            }
        }
        let bomb = archive(&[("a.xml", &vec![b' '; 4 << 20])], 8);
        assert!(unpacked(&bomb).unwrap_err().to_string().contains("times"));
        let other = archive(&[("a.xml", STREAM)], 99);
        assert!(unpacked(&other).unwrap_err().to_string().contains("99"));
    }
}
