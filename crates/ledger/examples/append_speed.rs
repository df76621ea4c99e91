//! How fast a log grows on a disk: commitments, tiles, signature and fsync, batch by batch.
//!
//! ```text
//! cargo run --release -p bartizan-ledger --example append_speed -- FOLDER [RECORDS] [BATCH]
//! ```
//!
//! Each batch is durable before the next begins: its files are written and synced, the
//! folders that got new names are synced, then the checkpoint is signed, written beside,
//! synced and renamed.

use bartizan_ledger::checkpoint::Checkpoint;
use bartizan_ledger::commit::{Salt, commit};
use bartizan_ledger::keys::{Keyring, RsaSize};
use bartizan_ledger::log::RightEdge;
use bartizan_ledger::tiles::{CHECKPOINT_PATH, ReadError, TileReader};
use bartizan_ledger::verify::{Options, verify_log};
use bartizan_model::{AuditEntry, TenantId, Timestamp};
use std::collections::BTreeSet;
use std::error::Error;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A log in a folder.
struct Folder(PathBuf);

impl TileReader for Folder {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, ReadError> {
        match fs::read(self.0.join(path)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ReadError {
                path: path.to_owned(),
                why: error.to_string(),
            }),
        }
    }
}

impl Folder {
    fn write(&self, path: &str, bytes: &[u8], dirs: &mut BTreeSet<PathBuf>) -> std::io::Result<()> {
        let path = self.0.join(path);
        let parent = path.parent().unwrap_or(Path::new("/")).to_owned();
        if !parent.exists() {
            fs::create_dir_all(&parent)?;
            dirs.extend(parent.ancestors().skip(1).take(2).map(Path::to_owned));
        }
        let mut file = File::create(&path)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        dirs.insert(parent);
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("give a folder")?;
    let records: u64 = arguments.next().map_or(Ok(100_000), |n| n.parse())?;
    let batch: u64 = arguments.next().map_or(Ok(1000), |n| n.parse())?;
    let folder = Folder(PathBuf::from(folder).join(format!("log-{}", std::process::id())));
    fs::create_dir_all(&folder.0)?;

    let origin = "bartizan.example/speed";
    let now = Timestamp::parse("2026-11-21T09:30:00Z")?;
    let mut keyring = Keyring::generate(now, RsaSize::Bits2048)?;
    keyring.ensure_log_key(origin, now)?;
    let signer = keyring.log_signer(origin)?;

    let (mut commits, mut merkle, mut disk) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let mut edge = RightEdge::empty();
    let begin = Instant::now();
    while edge.size() < records {
        let start = Instant::now();
        let mut entries = Vec::new();
        for i in edge.size()..records.min(edge.size() + batch) {
            let mut salt = Salt([0; 32]);
            salt.0[..8].copy_from_slice(&i.to_be_bytes());
            let entry = AuditEntry {
                tenant: TenantId::default_tenant(),
                at: now,
                actor: "system".to_owned(),
                action: "finding.opened".to_owned(),
                subject: format!("f1-{i:040x}"),
                detail: serde_json::json!({"severity": "high", "check": "rego/bartizan/x"}),
            };
            entries.push(commit(&salt, &entry)?.commitment);
        }
        commits += start.elapsed();

        let start = Instant::now();
        let append = edge.append(&entries)?;
        let note = Checkpoint::new(origin, append.head()).sign(&signer)?;
        merkle += start.elapsed();

        let start = Instant::now();
        let mut dirs = BTreeSet::new();
        for (path, bytes) in &append.writes {
            folder.write(path, bytes, &mut dirs)?;
        }
        for dir in &dirs {
            File::open(dir)?.sync_all()?;
        }
        folder.write("checkpoint.new", note.as_bytes(), &mut dirs)?;
        fs::rename(
            folder.0.join("checkpoint.new"),
            folder.0.join(CHECKPOINT_PATH),
        )?;
        File::open(&folder.0)?.sync_all()?;
        disk += start.elapsed();
    }
    let all = begin.elapsed();
    let rate = |time: Duration| edge.size() as f64 / time.as_secs_f64();
    println!("{} entries, batches of {batch}", edge.size());
    println!("  overall, durable   {:>12.0} /s", rate(all));
    println!("  commitments        {:>12.0} /s", rate(commits));
    println!("  tiles and root     {:>12.0} /s", rate(merkle));
    println!("  disk               {:>12.0} /s", rate(disk));

    let start = Instant::now();
    let summary = verify_log(&folder, signer.verifier(), &Options::default())?;
    println!("  verified           {:>12.0} /s", rate(start.elapsed()));
    assert_eq!(summary.size, edge.size());
    fs::remove_dir_all(&folder.0)?;
    Ok(())
}
