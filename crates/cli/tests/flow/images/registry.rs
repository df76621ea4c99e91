//! The lab's registry as an OCI layout, and over HTTP on this machine.

use super::lab::{REPOSITORY, Registry};
use bartizan_model::Digest;
use serde_json::json;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Writes the registry as a folder.
pub fn layout(registry: &Registry, to: &Path) {
    let blobs = to.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let put = |bytes: &[u8]| {
        let digest = Digest::of(bytes);
        let name = digest.as_str().trim_start_matches("sha256:").to_owned();
        fs::write(blobs.join(name), bytes).unwrap();
        digest
    };
    let mut entries = Vec::new();
    for (name, bytes) in &registry.manifests {
        let mut entry = json!({"digest": put(bytes).as_str(), "size": bytes.len()});
        if let Some(tag) = name.strip_prefix(&format!("{REPOSITORY}:")) {
            entry["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
        }
        entries.push(entry);
    }
    registry.blobs.values().for_each(|bytes| {
        put(bytes);
    });
    let index = json!({"schemaVersion": 2, "manifests": entries});
    fs::write(to.join("index.json"), index.to_string()).unwrap();
    fs::write(to.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

const UP: usize = 0;
const SILENT: usize = 1;
const DRIPS: usize = 2;

/// A registry that is asked over HTTP.
pub struct Served {
    pub address: String,
    asked: Arc<AtomicUsize>,
    mood: Arc<AtomicUsize>,
}

impl Served {
    pub fn new(registry: Registry) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (asked, mood) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicUsize::new(UP)),
        );
        let served = Self {
            address,
            asked: Arc::clone(&asked),
            mood: Arc::clone(&mood),
        };
        let registry = Arc::new(registry);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (registry, asked) = (Arc::clone(&registry), Arc::clone(&asked));
                let mood = Arc::clone(&mood);
                std::thread::spawn(move || answer(&registry, &stream, &asked, &mood));
            }
        });
        served
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// It takes calls and says nothing.
    pub fn fall_silent(&self) {
        self.mood.store(SILENT, Ordering::SeqCst);
    }

    /// It answers, a byte at a time.
    pub fn drip(&self) {
        self.mood.store(DRIPS, Ordering::SeqCst);
    }
}

fn answer(registry: &Registry, stream: &TcpStream, asked: &AtomicUsize, mood: &AtomicUsize) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let Some(first) = lines.next() else {
        return;
    };
    lines.find(String::is_empty);
    asked.fetch_add(1, Ordering::SeqCst);
    let path = first.split(' ').nth(1).unwrap_or_default();
    let mut out = stream;
    match mood.load(Ordering::SeqCst) {
        SILENT => std::thread::sleep(Duration::from_secs(60)),
        DRIPS => {
            let _ = write!(out, "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
            while out.write_all(b" ").is_ok() {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        _ => {
            let (status, body) = match found(registry, path) {
                Some(body) => ("200 OK", body),
                None => ("404 Not Found", Vec::new()),
            };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            );
            let _ = out.write_all(head.as_bytes());
            let _ = out.write_all(&body);
        }
    }
}

fn found(registry: &Registry, path: &str) -> Option<Vec<u8>> {
    let rest = path.strip_prefix("/v2/app/")?;
    let (kind, name) = rest.split_once('/')?;
    match kind {
        "manifests" if name.starts_with("sha256:") => {
            registry.manifests.get(&format!("{REPOSITORY}@{name}"))
        }
        "manifests" => registry.manifests.get(&format!("{REPOSITORY}:{name}")),
        "blobs" => registry.blobs.get(name),
        "referrers" => registry.referrers.get(name),
        _ => None,
    }
    .cloned()
}
