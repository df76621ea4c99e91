//! Feeds by the built binary: synced, interrupted, carried in a bundle.

use crate::support::{Run, backends, bartizan, run};
use bartizan_xtask::running::Backend;
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

fn cve(number: u32, updated: &str, title: &str) -> String {
    format!(
        r#"{{"cveMetadata":{{"cveId":"CVE-2024-{number:04}","state":"PUBLISHED","dateUpdated":"{updated}"}},"containers":{{"cna":{{"title":"{title}","descriptions":[{{"lang":"en","value":"d"}}]}}}}}}"#
    )
}

/// A folder of records, and a data folder with a database.
struct Place {
    folder: tempfile::TempDir,
    database: Option<String>,
}

impl Place {
    fn new(backend: &Backend) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("cves")).unwrap();
        Self {
            folder,
            database: backend.fresh().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, number: u32, updated: &str, title: &str) {
        let name = format!("cves/CVE-2024-{number:04}.json");
        fs::write(self.path(&name), cve(number, updated, title)).unwrap();
    }

    fn arguments(&self, arguments: &[&str]) -> Vec<String> {
        let mut all: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        all.push("--data".into());
        all.push(self.path("data").to_str().unwrap().to_owned());
        if let Some(database) = &self.database {
            all.push("--database".into());
            all.push(database.clone());
        }
        all
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let all = self.arguments(arguments);
        run(&all.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn source(&self) -> String {
        format!("cve-list={}", self.path("cves").display())
    }

    fn sync(&self) -> Value {
        let source = self.source();
        json(&self.run(&["cve", "sync", "--source", &source, "--format", "json"]))
    }
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.out).unwrap_or_else(|e| panic!("{e}: {} {}", run.out, run.err))
}

#[test]
fn what_changed_is_applied_and_what_did_not_is_not_even_read() {
    for backend in backends() {
        let place = Place::new(&backend);
        for n in 1..=40 {
            place.write(n, "2024-03-01T00:00:00Z", "first");
        }
        fs::write(place.path("cves/CVE-2024-0999.json"), "{broken").unwrap();
        let first = place.sync();
        assert_eq!(first["applied"]["inserted"], 40, "{first}");
        assert_eq!(
            (&first["lag"], &first["dead_letters"]),
            (&0.into(), &1.into())
        );
        let again = place.sync();
        assert_eq!(again["sources"][0]["unchanged_files"], 41, "{again}");
        assert_eq!(again["applied"]["inserted"], 0);
        place.write(7, "2024-03-02T00:00:00Z", "second");
        place.write(8, "2024-02-02T00:00:00Z", "older");
        let third = place.sync();
        assert_eq!(third["applied"]["changed"], 1, "{third}");
        assert_eq!(third["sources"][0]["older"], 1);
        let letters = run(&[
            "cve",
            "dead-letters",
            "list",
            "--data",
            place.path("data").to_str().unwrap(),
        ]);
        assert!(
            letters.out.contains("CVE-2024-0999.json"),
            "{}",
            letters.out
        );
        let retried = run(&[
            "cve",
            "dead-letters",
            "retry",
            "--data",
            place.path("data").to_str().unwrap(),
        ]);
        assert_eq!(retried.code, 1, "it still cannot be read");
        assert!(retried.out.starts_with("0 put"), "{}", retried.out);
    }
}

#[test]
fn a_sync_that_is_killed_is_ended_by_the_next() {
    for backend in backends() {
        let place = Place::new(&backend);
        for n in 1..=3000 {
            place.write(n, "2024-03-01T00:00:00Z", "first");
        }
        let source = place.source();
        for wait in [60, 150, 300] {
            let all = place.arguments(&["cve", "sync", "--source", &source]);
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            let mut child = bartizan(&all)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(Duration::from_millis(wait));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let last = place.sync();
        assert_eq!(
            (&last["lag"], &last["dead_letters"]),
            (&0.into(), &0.into()),
            "{last}"
        );
        // Once more by a fresh producer: the store holds them all, each once.
        fs::remove_dir_all(place.path("data/cve")).unwrap();
        let again = place.sync();
        assert_eq!(again["applied"]["unchanged"], 3000, "{again}");
    }
}

#[test]
fn a_bundle_is_carried_and_a_changed_one_is_refused() {
    let place = Place::new(&Backend::Sqlite);
    for n in 1..=30 {
        place.write(n, "2024-03-01T00:00:00Z", "first");
    }
    let bundle = place.path("feeds.bundle");
    let bundle = bundle.to_str().unwrap();
    let source = place.source();
    let made = place.run(&["cve", "bundle", "create", bundle, "--source", &source]);
    assert_eq!(made.code, 0, "{}", made.err);
    let jwks = place.path("data/jwks.json");
    let jwks = jwks.to_str().unwrap();
    let verified = run(&["cve", "bundle", "verify", bundle, "--jwks", jwks]);
    assert_eq!(verified.code, 0, "{}", verified.err);
    let there = Place::new(&Backend::Sqlite);
    let loaded = there.run(&[
        "cve", "bundle", "load", bundle, "--jwks", jwks, "--format", "json",
    ]);
    assert!(
        loaded.out.contains("\"inserted\":30"),
        "{} {}",
        loaded.out,
        loaded.err
    );
    // Somebody else's keys, and a changed byte of the records.
    let stranger = Place::new(&Backend::Sqlite);
    let _ = stranger.run(&[
        "cve",
        "bundle",
        "create",
        stranger.path("x").to_str().unwrap(),
        "--source",
        &source,
    ]);
    let strangers = stranger.path("data/jwks.json");
    let refused = run(&[
        "cve",
        "bundle",
        "verify",
        bundle,
        "--jwks",
        strangers.to_str().unwrap(),
    ]);
    assert_eq!(refused.code, 2);
    assert!(
        refused.err.contains("none of the given keys"),
        "{}",
        refused.err
    );
    let mut bytes = fs::read(bundle).unwrap();
    let at = bytes.len() / 3;
    bytes[at] ^= 1;
    fs::write(bundle, bytes).unwrap();
    let refused = there.run(&["cve", "bundle", "load", bundle, "--jwks", jwks]);
    assert_eq!(refused.code, 2, "{}", refused.out);
}

/// A git repository of a feed: the second reading asks git alone.
#[test]
fn a_checkout_is_read_by_what_git_knows() {
    let place = Place::new(&Backend::Sqlite);
    for n in 1..=20 {
        place.write(n, "2024-03-01T00:00:00Z", "first");
    }
    let git = |arguments: &[&str]| {
        let done = std::process::Command::new("git")
            .arg("-C")
            .arg(place.path("cves"))
            .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "a"]);
    assert_eq!(place.sync()["applied"]["inserted"], 20);
    // Not committed: not there.
    place.write(21, "2024-03-01T00:00:00Z", "first");
    let again = place.sync();
    assert_eq!(
        (
            &again["sources"][0]["unchanged_files"],
            &again["sources"][0]["bytes"]
        ),
        (&20.into(), &0.into())
    );
    git(&["add", "."]);
    git(&["commit", "-qm", "b"]);
    assert_eq!(place.sync()["applied"]["inserted"], 1);
}

/// A server of one file that knows ETags; answers how many bodies it sent.
fn serve(body: Vec<u8>) -> (String, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let sent = std::sync::Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 1024];
            while !request.windows(4).any(|w| w == b"\r\n\r\n") {
                let n = stream.read(&mut buffer).unwrap();
                request.extend_from_slice(&buffer[..n]);
            }
            let text = String::from_utf8_lossy(&request).to_lowercase();
            let answer = if text.contains("if-none-match: \"one\"") {
                b"HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n".to_vec()
            } else {
                count.fetch_add(1, Ordering::SeqCst);
                let mut head = format!("HTTP/1.1 200 OK\r\netag: \"one\"\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len()).into_bytes();
                head.extend_from_slice(&body);
                head
            };
            let _ = stream.write_all(&answer);
        }
    });
    (address, sent)
}

#[test]
fn an_address_is_asked_with_a_condition() {
    let catalogue =
        br#"{"count":1,"vulnerabilities":[{"cveID":"CVE-2024-0001","dateAdded":"2024-01-01"}]}"#;
    let (address, sent) = serve(catalogue.to_vec());
    let place = Place::new(&Backend::Sqlite);
    let source = format!("kev={address}/kev.json");
    for produced in [1, 0] {
        let done = json(&place.run(&["cve", "sync", "--source", &source, "--format", "json"]));
        assert_eq!(done["sources"][0]["produced"], produced, "{done}");
    }
    assert_eq!(sent.load(std::sync::atomic::Ordering::SeqCst), 1);
    let dead = place.run(&["cve", "sync", "--source", "kev=/no/such/path"]);
    assert_eq!(dead.code, 1, "{}", dead.out);
    assert_eq!(
        place.run(&["cve", "sync"]).code,
        2,
        "nothing was configured"
    );
}
