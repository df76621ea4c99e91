//! An RPM header as the database has it: counts, an index of tags, data.

const MAX_TAGS: usize = 0xffff;
const MAX_FILES: usize = 2_000_000;
/// Paths together may have so many bytes for each byte of the header: what else is said of a file is
/// longer than most folders' names.
const MAX_GROWTH: usize = 16;

const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const VENDOR: u32 = 1011;
const LICENSE: u32 = 1014;
const ARCH: u32 = 1022;
const SOURCERPM: u32 = 1044;
const DIRINDEXES: u32 = 1116;
const BASENAMES: u32 = 1117;
const DIRNAMES: u32 = 1118;
const OLDFILENAMES: u32 = 1027;
const FILESIZES: u32 = 1028;
const FILESTATES: u32 = 1029;
const FILEMODES: u32 = 1030;
const FILEMTIMES: u32 = 1034;
const FILEDIGESTS: u32 = 1035;
const FILELINKTOS: u32 = 1036;
const FILEFLAGS: u32 = 1037;
const FILEUSERNAME: u32 = 1039;
const FILEGROUPNAME: u32 = 1040;
const FILEVERIFYFLAGS: u32 = 1045;
const LONGFILESIZES: u32 = 5008;
const FILECAPS: u32 = 5010;
const FILEDIGESTALGO: u32 = 5011;
const SIGPGP: u32 = 259;
const SIGGPG: u32 = 262;

/// An installed package.
#[derive(Debug, Default)]
pub struct Package {
    /// `Name`.
    pub name: String,
    /// `Epoch`, where there is one.
    pub epoch: Option<u32>,
    /// `Version`.
    pub version: String,
    /// `Release`.
    pub release: String,
    /// `Arch`; `(none)` for keys.
    pub arch: String,
    /// The file name of the source package.
    pub source: Option<String>,
    /// `License`.
    pub licence: Option<String>,
    /// `Vendor`.
    pub vendor: Option<String>,
    /// The key of the signature, 16 hexadecimal digits.
    pub key: Option<String>,
    /// Where asked for.
    pub files: Vec<String>,
    /// Where asked for.
    pub records: Vec<FileRecord>,
}

/// What a package says of a file.
#[derive(Debug, Default)]
pub struct FileRecord {
    /// Its path.
    pub path: String,
    /// Its size.
    pub size: u64,
    /// With the bits of its kind.
    pub mode: u16,
    /// Seconds since 1970.
    pub modified: u32,
    /// Hexadecimal digits; empty where there is none.
    pub digest: String,
    /// RFC 4880's number.
    pub algorithm: u32,
    /// Where a link points.
    pub link: String,
    /// Its owner.
    pub user: String,
    /// Its group.
    pub group: String,
    /// Its capabilities as text.
    pub capabilities: String,
    /// `RPMFILE_*`.
    pub flags: u32,
    /// `RPMVERIFY_*`: what may be compared.
    pub verify: u32,
    /// 0: installed.
    pub state: u8,
}

/// How much of a header is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Names and versions.
    Package,
    /// The names of files, too.
    Files,
    /// Of files their paths, digests and states; none where these contradict each other.
    Digests,
    /// All of what is said of files.
    Records,
}

/// Where a tag's values are.
struct Entry {
    tag: u32,
    kind: u32,
    offset: usize,
    count: usize,
}

struct Header<'a> {
    entries: Vec<Entry>,
    data: &'a [u8],
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

impl<'a> Header<'a> {
    fn parse(blob: &'a [u8]) -> Option<Self> {
        let count = usize::try_from(word(blob, 0)?).ok()?;
        let length = usize::try_from(word(blob, 4)?).ok()?;
        if count > MAX_TAGS {
            return None;
        }
        let start = count.checked_mul(16)?.checked_add(8)?;
        let data = blob.get(start..start.checked_add(length)?)?;
        let mut entries = Vec::with_capacity(count);
        for place in 0..count {
            let at = 8 + place * 16;
            entries.push(Entry {
                tag: word(blob, at)?,
                kind: word(blob, at + 4)?,
                // The entry of a region has a negative offset: it is never asked for.
                offset: usize::try_from(word(blob, at + 8)?).ok()?,
                count: usize::try_from(word(blob, at + 12)?).ok()?,
            });
        }
        Some(Self { entries, data })
    }

    fn entry(&self, tag: u32, kinds: &[u32]) -> Option<(&Entry, &'a [u8])> {
        let entry = self
            .entries
            .iter()
            .find(|entry| entry.tag == tag && kinds.contains(&entry.kind))?;
        Some((entry, self.data.get(entry.offset..)?))
    }

    fn strings(&self, tag: u32) -> Option<Vec<String>> {
        let (entry, data) = self.entry(tag, &[6, 8, 9])?;
        if entry.count > MAX_FILES {
            return None;
        }
        let strings: Vec<String> = data
            .split(|byte| *byte == 0)
            .take(entry.count)
            .map(|text| String::from_utf8_lossy(text).into_owned())
            .collect();
        (strings.len() == entry.count).then_some(strings)
    }

    fn first(&self, tag: u32) -> Option<String> {
        let first = self.strings(tag)?.into_iter().next()?;
        (!first.is_empty() && first != "(none)").then_some(first)
    }

    /// As rpm's own format shows what is not there.
    fn string(&self, tag: u32) -> String {
        let strings = self.strings(tag).unwrap_or_default();
        strings
            .into_iter()
            .next()
            .unwrap_or_else(|| "(none)".into())
    }

    fn numbers(&self, tag: u32) -> Option<Vec<u32>> {
        let (entry, data) = self.entry(tag, &[4])?;
        let end = entry.count.checked_mul(4)?;
        let words = data.get(..end)?.chunks_exact(4);
        Some(words.filter_map(|bytes| word(bytes, 0)).collect())
    }

    fn bytes(&self, tag: u32) -> Option<&'a [u8]> {
        let (entry, data) = self.entry(tag, &[7])?;
        data.get(..entry.count)
    }

    fn longs(&self, tag: u32) -> Option<Vec<u64>> {
        let (entry, data) = self.entry(tag, &[5])?;
        let words = data.get(..entry.count.checked_mul(8)?)?.chunks_exact(8);
        let long = |bytes: &[u8]| Some(u64::from_be_bytes(*bytes.first_chunk()?));
        Some(words.filter_map(long).collect())
    }

    fn halves(&self, tag: u32) -> Option<Vec<u16>> {
        let (entry, data) = self.entry(tag, &[3])?;
        let words = data.get(..entry.count.checked_mul(2)?)?.chunks_exact(2);
        let half = |bytes: &[u8]| Some(u16::from_be_bytes(*bytes.first_chunk()?));
        Some(words.filter_map(half).collect())
    }

    fn states(&self) -> Option<&'a [u8]> {
        let (entry, data) = self.entry(FILESTATES, &[0, 1, 7])?;
        data.get(..entry.count)
    }

    /// None where the lists contradict each other.
    fn records(&self) -> Option<Vec<FileRecord>> {
        let paths = self.files()?;
        let sizes = match self.longs(LONGFILESIZES) {
            Some(sizes) => sizes,
            None => {
                let sizes = self.numbers(FILESIZES).unwrap_or_default();
                sizes.into_iter().map(u64::from).collect()
            }
        };
        let modes = self.halves(FILEMODES).unwrap_or_default();
        let times = self.numbers(FILEMTIMES).unwrap_or_default();
        let mut digests = self.strings(FILEDIGESTS).unwrap_or_default();
        let mut links = self.strings(FILELINKTOS).unwrap_or_default();
        let mut users = self.strings(FILEUSERNAME).unwrap_or_default();
        let mut groups = self.strings(FILEGROUPNAME).unwrap_or_default();
        let mut capabilities = self.strings(FILECAPS).unwrap_or_default();
        let flags = self.numbers(FILEFLAGS).unwrap_or_default();
        let verify = self.numbers(FILEVERIFYFLAGS).unwrap_or_default();
        let states = self.states().unwrap_or_default();
        let algorithm = self
            .numbers(FILEDIGESTALGO)
            .and_then(|algorithms| algorithms.first().copied());
        let mut records = Vec::with_capacity(paths.len());
        let text = |list: &mut Vec<String>, place: usize| {
            list.get_mut(place).map(std::mem::take).unwrap_or_default()
        };
        for (place, path) in paths.into_iter().enumerate() {
            records.push(FileRecord {
                path,
                size: *sizes.get(place)?,
                mode: *modes.get(place)?,
                modified: *times.get(place)?,
                digest: text(&mut digests, place),
                // Without the tag: MD5.
                algorithm: algorithm.unwrap_or(1),
                link: text(&mut links, place),
                user: text(&mut users, place),
                group: text(&mut groups, place),
                capabilities: text(&mut capabilities, place),
                flags: flags.get(place).copied().unwrap_or(0),
                verify: verify.get(place).copied().unwrap_or(u32::MAX),
                state: states.get(place).copied().unwrap_or(0),
            });
        }
        Some(records)
    }

    /// None where the lists contradict each other.
    fn digests(&self) -> Option<Vec<FileRecord>> {
        let paths = self.files()?;
        let digests = self.strings(FILEDIGESTS).unwrap_or_default();
        let states = self.states().unwrap_or_default();
        let algorithms = self.numbers(FILEDIGESTALGO).unwrap_or_default();
        let mut digests = digests.into_iter();
        let mut states = states.iter();
        let records = paths.into_iter().map(|path| FileRecord {
            path,
            digest: digests.next().unwrap_or_default(),
            algorithm: algorithms.first().copied().unwrap_or(1),
            state: states.next().copied().unwrap_or(0),
            ..FileRecord::default()
        });
        Some(records.collect())
    }

    /// None where the lists contradict each other.
    fn files(&self) -> Option<Vec<String>> {
        let Some(names) = self.strings(BASENAMES) else {
            return Some(self.strings(OLDFILENAMES).unwrap_or_default());
        };
        let folders = self.strings(DIRNAMES)?;
        let places = self.numbers(DIRINDEXES)?;
        let mut left = self.data.len().saturating_mul(MAX_GROWTH);
        let mut files = Vec::with_capacity(names.len());
        for (place, name) in names.iter().enumerate() {
            let folder = folders.get(usize::try_from(*places.get(place)?).ok()?)?;
            left = left.checked_sub(folder.len() + name.len())?;
            files.push(format!("{folder}{name}"));
        }
        Some(files)
    }
}

impl Package {
    /// From a header's bytes; None where it is broken.
    pub fn parse(blob: &[u8], depth: Depth) -> Option<Self> {
        let header = Header::parse(blob)?;
        let signature = header.bytes(SIGGPG).or_else(|| header.bytes(SIGPGP));
        Some(Self {
            // A header without a name is none of rpm's.
            name: header.strings(NAME)?.into_iter().next()?,
            epoch: header
                .numbers(EPOCH)
                .and_then(|epochs| epochs.first().copied()),
            version: header.string(VERSION),
            release: header.string(RELEASE),
            arch: header.string(ARCH),
            source: header.first(SOURCERPM),
            licence: header.first(LICENSE),
            vendor: header.first(VENDOR),
            key: signature.and_then(key),
            files: match depth {
                Depth::Files => header.files()?,
                _ => Vec::new(),
            },
            records: match depth {
                Depth::Records => header.records()?,
                Depth::Digests => header.digests().unwrap_or_default(),
                _ => Vec::new(),
            },
        })
    }
}

/// The key of an OpenPGP signature packet (RFC 4880, 5.2).
fn key(packet: &[u8]) -> Option<String> {
    let (tag, rest) = packet.split_first()?;
    let (kind, length_bytes) = if tag & 0x40 != 0 {
        let first = *rest.first()?;
        let bytes = match first {
            0..=191 => 1,
            192..=223 => 2,
            _ => 5,
        };
        (tag & 0x3f, bytes)
    } else {
        (tag >> 2 & 0xf, 1usize.checked_shl(u32::from(tag & 3))?)
    };
    if tag & 0x80 == 0 || kind != 2 {
        return None;
    }
    let body = rest.get(length_bytes..)?;
    let issuer = match body.first()? {
        3 => body.get(7..15)?,
        4 => {
            let hashed = usize::from(u16::from_be_bytes(*body.get(4..)?.first_chunk()?));
            let rest = body.get(6..)?;
            let (first, rest) = rest.split_at_checked(hashed)?;
            let unhashed = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
            let second = rest.get(2..)?.get(..unhashed)?;
            issuer(second).or_else(|| issuer(first))?
        }
        _ => return None,
    };
    Some(hex::encode(issuer))
}

/// The key in a list of subpackets.
fn issuer(mut packets: &[u8]) -> Option<&[u8]> {
    loop {
        let first = *packets.first()?;
        let (length, start) = match first {
            0..=191 => (usize::from(first), 1),
            192..=254 => {
                let second = usize::from(*packets.get(1)?);
                ((usize::from(first) - 192) * 256 + second + 192, 2)
            }
            255 => (usize::try_from(word(packets, 1)?).ok()?, 5),
        };
        let packet = packets.get(start..)?.get(..length)?;
        match packet.split_first() {
            Some((kind, issuer)) if kind & 0x7f == 16 && issuer.len() == 8 => return Some(issuer),
            // A fingerprint of version 4 ends with the key's number.
            Some((kind, print)) if kind & 0x7f == 33 && print.len() == 21 => {
                return print.get(13..);
            }
            _ => {}
        }
        packets = packets.get(start..)?.get(length..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        let three = [
            0x89, 0, 20, 3, 5, 0, 1, 2, 3, 4, 0xaa, 0xbb, 0xcc, 0xdd, 1, 2, 3, 4, 1, 8,
        ];
        assert_eq!(key(&three).as_deref(), Some("aabbccdd01020304"));
        let four = [
            0x89, 0, 40, 4, 0, 1, 8, 0, 2, 1, 2, 0, 10, 9, 16, 1, 2, 3, 4, 5, 6, 7, 8,
        ];
        assert_eq!(key(&four).as_deref(), Some("0102030405060708"));
        for length in 0..four.len() {
            assert_eq!(key(&four[..length]), None);
        }
    }

    #[test]
    fn broken_headers() {
        assert!(Package::parse(&[], Depth::Package).is_none());
        assert!(Package::parse(&[0xff; 64], Depth::Records).is_none());
        assert!(Package::parse(&[0; 8], Depth::Records).is_none());
    }
}
