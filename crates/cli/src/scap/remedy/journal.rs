//! The journal: a line of JSON for each thing done, each holding the digest of the one before.

use anyhow::{Context, Result};
use bartizan_model::Digest;
use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// No line is longer.
const MAX_LINE: u64 = 4 << 20;

/// A journal in a folder.
pub struct Journal {
    path: PathBuf,
}

impl Journal {
    /// The journal of that folder; both are made when they are needed.
    pub fn new(state: &Path) -> Self {
        Self {
            path: state.join("remediation.jsonl"),
        }
    }

    #[cfg(test)]
    fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a record, and does not return before it is on the disk.
    pub fn add(&self, mut record: Value) -> Result<()> {
        let cannot = || format!("cannot write the journal {}", self.path.display());
        if let Some(folder) = self.path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .with_context(cannot)?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.path)
            .with_context(cannot)?;
        flock(&file, FlockOperation::LockExclusive).with_context(cannot)?;
        let previous = last_line(&mut file).with_context(cannot)?;
        if let Value::Object(members) = &mut record {
            let digest = previous.map(|line| json!(Digest::of(&line).as_str()));
            members.insert("previous".to_owned(), digest.unwrap_or(Value::Null));
        }
        let mut line = serde_json::to_vec(&record)?;
        line.push(b'\n');
        file.write_all(&line)
            .and_then(|()| file.sync_all())
            .with_context(cannot)
    }
}

fn last_line(file: &mut File) -> std::io::Result<Option<Vec<u8>>> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MAX_LINE)))?;
    let mut bytes = Vec::new();
    Read::take(&mut *file, MAX_LINE).read_to_end(&mut bytes)?;
    let mut lines = bytes.split(|byte| *byte == b'\n').rev();
    Ok(lines.find(|line| !line.is_empty()).map(<[u8]>::to_vec))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_record_holds_the_digest_of_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(&folder.path().join("state"));
        for at in 0..3 {
            journal.add(json!({"at": at})).unwrap();
        }
        let text = std::fs::read_to_string(journal.path()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        let previous = |line: &str| {
            let value: Value = serde_json::from_str(line).unwrap();
            value.get("previous").unwrap().clone()
        };
        assert_eq!(previous(lines[0]), Value::Null);
        for at in 1..3 {
            assert_eq!(
                previous(lines[at]),
                Digest::of(lines[at - 1].as_bytes()).as_str()
            );
        }
    }
}
