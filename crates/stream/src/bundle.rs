//! A bundle: records of all feeds in one signed file, to be carried where no feed is reached.
//!
//! It is a ZIP archive. `manifest` is a signed note whose text lists every other member with its
//! SHA-256; those hold frames, as the embedded log does. Nothing of a bundle is used before the
//! signature and all digests were checked. Who signs and who is believed is the caller's matter.

use crate::embedded::frame::{self, Found};
use crate::{Delivery, Message, Stream, StreamError};
use bartizan_model::Timestamp;
use sha2::{Digest as _, Sha256};
use std::io::{BufReader, Read, Seek, Write};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

/// The first line of a manifest's text.
const TITLE: &str = "bartizan.dev/cve-bundle/v1";
const MANIFEST: &str = "manifest";
/// Bytes of frames after which a new member begins.
const MEMBER: usize = 32 << 20;
/// The most members.
const MAX_MEMBERS: usize = 100_000;
/// The longest manifest.
const MAX_MANIFEST: u64 = 32 << 20;

/// Why a bundle cannot be made or is not believed.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The bundle is not what was signed, or was not signed by whoever is believed.
    #[error("the bundle is refused: {0}")]
    Refused(String),
    /// Reading or writing the file.
    #[error("the bundle's file: {0}")]
    File(#[from] std::io::Error),
    /// The stream.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

impl From<zip::result::ZipError> for BundleError {
    fn from(error: zip::result::ZipError) -> Self {
        Self::Refused(error.to_string())
    }
}

/// What a bundle says of itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Manifest {
    /// When it was made.
    pub created: Timestamp,
    /// Sources that it holds.
    pub sources: Vec<String>,
    /// Records that it holds.
    pub records: u64,
    #[serde(skip)]
    members: Vec<(String, [u8; 32])>,
}

impl Manifest {
    /// The text that is signed.
    fn text(&self) -> String {
        let mut text = format!("{TITLE}\ncreated {}\n", self.created);
        for source in &self.sources {
            text.push_str(&format!("source {source}\n"));
        }
        text.push_str(&format!("records {}\n", self.records));
        for (name, digest) in &self.members {
            text.push_str(&format!("sha256 {} {name}\n", hex::encode(digest)));
        }
        text
    }

    fn parse(text: &str) -> Result<Self, BundleError> {
        let bad = |why: &str| BundleError::Refused(format!("its manifest: {why}"));
        let mut lines = text.lines();
        if lines.next() != Some(TITLE) {
            return Err(bad("it is of another kind"));
        }
        let mut manifest = Self {
            created: Timestamp::from_micros(0),
            sources: Vec::new(),
            records: 0,
            members: Vec::new(),
        };
        for line in lines {
            let (word, rest) = line
                .split_once(' ')
                .ok_or_else(|| bad("a line of one word"))?;
            match word {
                "created" => {
                    manifest.created = Timestamp::parse(rest).map_err(|e| bad(&e.to_string()))?;
                }
                "source" => manifest.sources.push(rest.to_owned()),
                "records" => manifest.records = rest.parse().map_err(|_| bad("no number"))?,
                "sha256" if manifest.members.len() < MAX_MEMBERS => {
                    let (hash, name) = rest.split_once(' ').ok_or_else(|| bad("no name"))?;
                    let mut digest = [0; 32];
                    hex::decode_to_slice(hash, &mut digest).map_err(|_| bad("no digest"))?;
                    manifest.members.push((name.to_owned(), digest));
                }
                _ => return Err(bad("a line that is not known")),
            }
        }
        Ok(manifest)
    }
}

/// Writes all that is on a stream, for a group that has read nothing of it, as a bundle.
pub fn write(
    stream: &dyn Stream,
    group: &str,
    sources: Vec<String>,
    created: Timestamp,
    sign: impl FnOnce(&str) -> Result<Vec<u8>, String>,
    out: impl Write + Seek,
) -> Result<Manifest, BundleError> {
    let mut zip = ZipWriter::new(out);
    let options = SimpleFileOptions::default().large_file(true);
    let mut manifest = Manifest {
        created,
        sources,
        records: 0,
        members: Vec::new(),
    };
    let mut frames = Vec::new();
    loop {
        let batch = stream.poll(group, 1000)?;
        let ended = batch.is_empty();
        for Delivery { key, bytes, .. } in batch {
            frame::write(&mut frames, manifest.records, &key, &bytes);
            manifest.records += 1;
        }
        if frames.len() >= MEMBER || (ended && !frames.is_empty()) {
            let name = format!("records/{:06}", manifest.members.len());
            zip.start_file(&name, options)?;
            zip.write_all(&frames)?;
            let digest = Sha256::digest(&frames).into();
            manifest.members.push((name, digest));
            frames.clear();
        }
        if ended {
            break;
        }
    }
    let note = sign(&manifest.text()).map_err(BundleError::Refused)?;
    zip.start_file(MANIFEST, options)?;
    zip.write_all(&note)?;
    zip.finish()?.flush()?;
    Ok(manifest)
}

/// A bundle whose signature and digests were checked.
#[derive(Debug)]
pub struct Checked<F: Read + Seek> {
    zip: ZipArchive<F>,
    manifest: Manifest,
}

/// Checks a bundle: `verify` takes the signed note and answers with its text where it believes it.
pub fn check<F: Read + Seek>(
    file: F,
    verify: impl FnOnce(&[u8]) -> Result<String, String>,
) -> Result<Checked<F>, BundleError> {
    let mut zip = ZipArchive::new(file)?;
    let mut note = Vec::new();
    zip.by_name(MANIFEST)
        .map_err(|_| BundleError::Refused("it is not signed".to_owned()))?
        .take(MAX_MANIFEST)
        .read_to_end(&mut note)?;
    let text = verify(&note).map_err(BundleError::Refused)?;
    let manifest = Manifest::parse(&text)?;
    if zip.len() != manifest.members.len() + 1 {
        return Err(BundleError::Refused(
            "it has members that are not signed for, or lacks some".to_owned(),
        ));
    }
    for (name, digest) in &manifest.members {
        let mut member = zip
            .by_name(name)
            .map_err(|_| BundleError::Refused(format!("{name} is missing")))?;
        let mut is = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let n = member.read(&mut buffer)?;
            if n == 0 {
                break;
            }
            is.update(buffer.get(..n).unwrap_or_default());
        }
        if is.finalize().as_slice() != digest {
            return Err(BundleError::Refused(format!("{name} was changed")));
        }
    }
    Ok(Checked { zip, manifest })
}

impl<F: Read + Seek> Checked<F> {
    /// What it says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Puts its records on a stream.
    pub fn produce(&mut self, stream: &dyn Stream) -> Result<u64, BundleError> {
        let mut produced = 0;
        for (name, _) in &self.manifest.members {
            let mut from = BufReader::new(self.zip.by_name(name)?);
            let mut batch = Vec::new();
            loop {
                match frame::read(&mut from)? {
                    Found::Frame(frame, _) => batch.push(Message {
                        key: frame.key,
                        bytes: frame.bytes,
                    }),
                    Found::End => break,
                    Found::Broken(why) => {
                        return Err(BundleError::Refused(format!("{name}: {why}")));
                    }
                }
                if batch.len() >= 1000 {
                    stream.produce(&batch)?;
                    produced += batch.len() as u64;
                    batch.clear();
                }
            }
            stream.produce(&batch)?;
            produced += batch.len() as u64;
        }
        if produced != self.manifest.records {
            return Err(BundleError::Refused(format!(
                "it holds {produced} records and says {}",
                self.manifest.records
            )));
        }
        Ok(produced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Embedded, Settings};
    use std::io::Cursor;

    fn verify(note: &[u8]) -> Result<String, String> {
        let text = String::from_utf8_lossy(note);
        text.strip_prefix("signed:")
            .map(str::to_owned)
            .ok_or_else(|| "no signature".to_owned())
    }

    #[test]
    fn a_bundle_carries_all_and_no_changed_byte_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let open =
            |name: &str| Embedded::open(&folder.path().join(name), &Settings::default()).unwrap();
        let from = open("from");
        let batch: Vec<Message> = (0..50)
            .map(|n| Message {
                key: format!("kev/{n}"),
                bytes: format!("record {n}").into_bytes(),
            })
            .collect();
        from.produce(&batch).unwrap();
        let mut file = Cursor::new(Vec::new());
        let sign = |text: &str| Ok(format!("signed:{text}").into_bytes());
        let at = Timestamp::from_micros(1_000_000);
        let made = write(&from, "bundle", vec!["kev".into()], at, sign, &mut file).unwrap();
        assert_eq!(made.records, 50);
        let bytes = file.into_inner();
        let to = open("to");
        let mut checked = check(Cursor::new(&bytes), verify).unwrap();
        assert_eq!(checked.manifest(), &made);
        assert_eq!(checked.produce(&to).unwrap(), 50);
        assert_eq!(to.poll("store", 100).unwrap().len(), 50);
        let mut taken = 0;
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x41;
            // Bytes of ZIP's own that say nothing (dates, attributes) may change; records may not.
            if let Ok(mut checked) = check(Cursor::new(&changed), verify) {
                taken += 1;
                let other = open(&format!("other{at}"));
                assert_eq!(checked.produce(&other).unwrap(), 50);
                let found = other.poll("store", 100).unwrap();
                assert!(found.iter().zip(&batch).all(|(d, m)| d.bytes == m.bytes));
            }
        }
        assert!(taken < bytes.len() / 4, "{taken} of {}", bytes.len());
        let unsigned = |_: &str| Ok(b"plain".to_vec());
        let mut file = Cursor::new(Vec::new());
        write(&from, "again", Vec::new(), at, unsigned, &mut file).unwrap();
        let refused = check(file, verify).unwrap_err();
        assert!(refused.to_string().contains("no signature"));
    }
}
