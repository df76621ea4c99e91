//! Producers over folders, archives and a server of this process.

use super::shelf::sha256;
use super::*;
use crate::{Delivery, Embedded, Settings, Stream};
use bartizan_model::Timestamp;
use bartizan_vuln::record::Record;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::AtomicBool;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

fn cve(number: u32, updated: &str, title: &str) -> Vec<u8> {
    format!(
        r#"{{"cveMetadata":{{"cveId":"CVE-2024-{number:04}","state":"PUBLISHED","dateUpdated":"{updated}"}},
        "containers":{{"cna":{{"title":"{title}","descriptions":[{{"lang":"en","value":"d"}}]}}}}}}"#
    )
    .into_bytes()
}

fn zip(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut out = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        out.start_file(*name, SimpleFileOptions::default()).unwrap();
        out.write_all(bytes).unwrap();
    }
    out.finish().unwrap().into_inner()
}

/// A stream with its producer's state, in a folder that outlives both.
struct Bench {
    folder: tempfile::TempDir,
    stream: Embedded,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("work")).unwrap();
        std::fs::create_dir(folder.path().join("feed")).unwrap();
        let stream = Embedded::open(&folder.path().join("stream"), &Settings::default()).unwrap();
        Self { folder, stream }
    }

    fn feed(&self) -> std::path::PathBuf {
        self.folder.path().join("feed")
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.feed().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn run_with(&self, source: &Source, fetch: Option<&dyn Fetch>, stop: &AtomicBool) -> Summary {
        let mut state = State::open(&self.folder.path().join("state")).unwrap();
        let mut producer = Producer {
            stream: &self.stream,
            state: &mut state,
            fetch,
            work: self.folder.path().join("work"),
            now: &|| Timestamp::from_micros(1_711_929_600_000_000),
            tell: &|_| {},
            stop,
        };
        producer.run(source)
    }

    fn run(&self, feed: &str) -> Summary {
        let source = Source::new(feed, &self.feed().to_string_lossy()).unwrap();
        self.run_with(&source, None, &AtomicBool::new(false))
    }

    fn fetch(&self, feed: &str, url: &str, server: &Server) -> Summary {
        let source = Source::new(feed, url).unwrap();
        self.run_with(&source, Some(server), &AtomicBool::new(false))
    }

    /// The records that came since the last call.
    fn records(&self) -> Vec<(String, Record)> {
        let found = self.stream.poll("test", 10_000).unwrap();
        found
            .iter()
            .map(|Delivery { key, bytes, .. }| (key.clone(), Record::decode(bytes).unwrap()))
            .collect()
    }

    fn keys(&self) -> Vec<String> {
        self.records().into_iter().map(|(key, _)| key).collect()
    }

    fn letters(&self) -> Vec<String> {
        let letters = self.stream.dead_letters(100).unwrap();
        letters
            .into_iter()
            .map(|(_, l)| format!("{}: {}", l.key, l.reason))
            .collect()
    }
}

/// Files by address, with an ETag; a count of bodies that were sent.
#[derive(Default)]
struct Server {
    files: BTreeMap<String, Vec<u8>>,
    bodies: RefCell<Vec<String>>,
}

impl Server {
    fn put(&mut self, path: &str, bytes: Vec<u8>) {
        self.files
            .insert(format!("https://feed.test/{path}"), bytes);
    }

    fn sent(&self) -> Vec<String> {
        self.bodies
            .take()
            .into_iter()
            .map(|url| url.replace("https://feed.test/", ""))
            .collect()
    }
}

impl Fetch for Server {
    fn fetch(&self, request: &Request<'_>, into: &mut dyn Write) -> Result<Fetched, FetchError> {
        let Some(bytes) = self.files.get(request.url) else {
            return Ok(Fetched::Absent);
        };
        let etag = hex::encode(crate::short(bytes));
        if request.etag == Some(&etag) {
            return Ok(Fetched::Unchanged);
        }
        self.bodies.borrow_mut().push(request.url.to_owned());
        into.write_all(bytes).unwrap();
        Ok(Fetched::Body {
            etag: Some(etag),
            modified: None,
            bytes: bytes.len() as u64,
        })
    }
}

#[test]
fn the_record_decides_and_not_the_file_that_holds_it() {
    let bench = Bench::new();
    bench.write(
        "cves/2024/CVE-2024-0001.json",
        &cve(1, "2024-03-01T00:00:00Z", "new"),
    );
    bench.write(
        "cves/2024/CVE-2024-0002.json",
        &cve(2, "2024-03-01T00:00:00Z", "a"),
    );
    bench.write("cves/delta.json", b"no record");
    let first = bench.run("cve-list");
    assert_eq!((first.produced, first.dead, first.error), (2, 0, None));
    bench.records();
    // A delta that is older than what is held, one under a wrong name, one that is new.
    let delta = zip(&[
        (
            "deltaCves/CVE-2024-0001.json",
            cve(1, "2024-02-01T00:00:00Z", "old"),
        ),
        (
            "deltaCves/CVE-2024-0009.json",
            cve(2, "2024-03-02T00:00:00Z", "b"),
        ),
        (
            "deltaCves/CVE-2024-0003.json",
            cve(3, "2024-03-02T00:00:00Z", "c"),
        ),
    ]);
    bench.write("2024-03-02_delta_CVEs_at_2300Z.zip", &delta);
    let second = bench.run("cve-list");
    assert_eq!((second.produced, second.older, second.misnamed), (2, 1, 1));
    assert_eq!(second.unchanged_files, 2);
    assert_eq!(bench.keys(), ["cve/CVE-2024-0002", "cve/CVE-2024-0003"]);
    let third = bench.run("cve-list");
    assert_eq!(
        (third.produced, third.records, third.unchanged_files),
        (0, 0, 5)
    );
}

#[test]
fn an_archive_within_an_archive_and_no_deeper() {
    let bench = Bench::new();
    let inner = zip(&[(
        "cves/CVE-2024-0001.json",
        cve(1, "2024-03-01T00:00:00Z", "x"),
    )]);
    let deep = zip(&[("deep.zip", inner.clone())]);
    let baseline = zip(&[("cves.zip", inner), ("deeper.zip", deep)]);
    bench.write("2024-03-01_all_CVEs_at_midnight.zip.zip", &baseline);
    let summary = bench.run("cve-list");
    assert_eq!(summary.produced, 1);
    assert!(
        bench.letters()[0].contains("archives deep"),
        "{:?}",
        bench.letters()
    );
}

#[test]
fn bombs_and_broken_records_are_told_once_and_the_rest_goes_on() {
    let bench = Bench::new();
    let bomb = vec![b' '; 24 << 20];
    let archive = zip(&[
        ("CVE-2024-0001.json", cve(1, "2024-03-01T00:00:00Z", "x")),
        ("CVE-2024-0002.json", bomb),
        ("CVE-2024-0003.json", b"{\"cveMetadata\":".to_vec()),
        ("CVE-2024-0004.json", cve(4, "2024-03-01T00:00:00Z", "y")),
    ]);
    bench.write("all.zip", &archive);
    bench.write("half.zip", &archive[..archive.len() / 2]);
    bench.write("CVE-2024-0005.json", &cve(5, "2024-03-01T00:00:00Z", "z"));
    let summary = bench.run("cve-list");
    assert_eq!(
        (summary.produced, summary.dead),
        (3, 3),
        "{:?}",
        bench.letters()
    );
    assert_eq!(summary.error, None);
    assert_eq!(bench.run("cve-list").dead, 0, "told once");
    assert_eq!(bench.letters().len(), 3);
}

#[test]
fn a_digest_beside_an_archive_must_fit() {
    let bench = Bench::new();
    let archive = zip(&[("CVE-2024-0001.json", cve(1, "2024-03-01T00:00:00Z", "x"))]);
    bench.write("a.zip", &archive);
    bench.write("a.zip.sha256", b"00ff  a.zip\n");
    assert_eq!(bench.run("cve-list").produced, 0);
    assert!(bench.letters()[0].contains("SHA-256"));
    let right = sha256(&bench.feed().join("a.zip")).unwrap();
    bench.write("a.zip.sha256", format!("{right}  a.zip\n").as_bytes());
    assert_eq!(bench.run("cve-list").produced, 1);
}

#[test]
fn what_was_interrupted_goes_on_and_ends_the_same() {
    let bench = Bench::new();
    for n in 0..2500 {
        bench.write(
            &format!("CVE-2024-{n:04}.json"),
            &cve(n, "2024-03-01T00:00:00Z", "x"),
        );
    }
    // The stream fails after its first batch: the log's folder is gone for a while.
    let log = bench.folder.path().join("stream/log");
    let stop = AtomicBool::new(true);
    let source = Source::new("cve-list", &bench.feed().to_string_lossy()).unwrap();
    let stopped = bench.run_with(&source, None, &stop);
    assert!(stopped.error.unwrap().contains("stopped"));
    let broken = |on: bool| {
        let aside = log.with_extension("aside");
        if on {
            std::fs::rename(&log, aside)
        } else {
            std::fs::rename(aside, &log)
        }
        .unwrap();
    };
    broken(true);
    assert!(bench.run("cve-list").error.is_some());
    broken(false);
    let summary = bench.run("cve-list");
    assert_eq!(summary.error, None);
    let mut keys = bench.keys();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 2500);
    assert_eq!(bench.run("cve-list").produced, 0);
}

#[test]
fn whoever_stops_half_way_sends_the_rest_the_next_time() {
    let bench = Bench::new();
    for n in 0..3000 {
        bench.write(
            &format!("CVE-2024-{n:04}.json"),
            &cve(n, "2024-03-01T00:00:00Z", "x"),
        );
    }
    let source = Source::new("cve-list", &bench.feed().to_string_lossy()).unwrap();
    let stop = AtomicBool::new(false);
    {
        let mut state = State::open(&bench.folder.path().join("state")).unwrap();
        let mut producer = Producer {
            stream: &bench.stream,
            state: &mut state,
            fetch: None,
            work: bench.folder.path().join("work"),
            now: &|| Timestamp::from_micros(1_000_000),
            tell: &|progress| {
                stop.store(
                    progress.produced >= 1000,
                    std::sync::atomic::Ordering::Relaxed,
                )
            },
            stop: &stop,
        };
        let summary = producer.run(&source);
        assert!(
            summary.error.is_some() && summary.produced < 3000,
            "{summary:?}"
        );
    }
    let first = bench.keys().len();
    let rest = bench.run("cve-list");
    assert_eq!(rest.error, None);
    assert_eq!(
        first as u64 + rest.produced,
        3000,
        "nothing lost, nothing sent twice"
    );
}

#[test]
fn releases_baseline_first_then_deltas_each_once() {
    let bench = Bench::new();
    let mut server = Server::default();
    let baseline = zip(&[(
        "cves.zip",
        zip(&[
            (
                "cves/CVE-2024-0001.json",
                cve(1, "2024-03-01T00:00:00Z", "a"),
            ),
            (
                "cves/CVE-2024-0002.json",
                cve(2, "2024-03-01T00:00:00Z", "a"),
            ),
        ]),
    )]);
    let delta = zip(&[(
        "deltaCves/CVE-2024-0002.json",
        cve(2, "2024-03-02T00:00:00Z", "b"),
    )]);
    let digest = |bytes: &[u8]| {
        use sha2::Digest as _;
        hex::encode(sha2::Sha256::digest(bytes))
    };
    let page = format!(
        r#"[{{"assets":[{{"name":"d.zip","browser_download_url":"https://feed.test/d.zip","digest":"sha256:{}","updated_at":"2024-03-02T01:00:00Z"}},
            {{"name":"forged.zip","browser_download_url":"https://feed.test/forged.zip","digest":"sha256:{}","updated_at":"2024-03-02T02:00:00Z"}},
            {{"name":"away.zip","browser_download_url":"http://169.254.169.254/x.zip","updated_at":"2024-03-02T02:00:00Z"}},
            {{"name":"old.zip","browser_download_url":"https://feed.test/old.zip","updated_at":"2024-01-02T01:00:00Z"}},
            {{"name":"2024-03-02_all_CVEs_at_midnight.zip.zip","browser_download_url":"https://feed.test/b.zip","updated_at":"2024-03-02T00:30:00Z"}}]}}]"#,
        digest(&delta),
        digest(b"another"),
    );
    server.put("releases?per_page=100&page=1", page.into_bytes());
    server.put("releases?per_page=100&page=2", b"[]".to_vec());
    server.put("b.zip", baseline);
    server.put("d.zip", delta.clone());
    server.put("forged.zip", delta);
    server.put("old.zip", b"not read".to_vec());
    let summary = bench.fetch("cve-list", "https://feed.test/releases", &server);
    assert_eq!(
        (summary.produced, summary.dead, summary.error),
        (3, 2, None),
        "{:?}",
        bench.letters()
    );
    assert_eq!(bench.keys().last().unwrap(), "cve/CVE-2024-0002");
    assert!(!server.sent().iter().any(|path| path == "old.zip"));
    let again = bench.fetch("cve-list", "https://feed.test/releases", &server);
    assert_eq!(again.produced, 0);
    let sent = server.sent();
    assert!(
        !sent.iter().any(|path| path == "b.zip" || path == "d.zip"),
        "{sent:?}"
    );
}

fn osv_record(id: &str, modified: &str) -> Vec<u8> {
    format!(
        r#"{{"id":"{id}","modified":"{modified}","affected":[{{"package":{{"ecosystem":"npm","name":"a"}},"ranges":[{{"type":"SEMVER","events":[{{"introduced":"0"}},{{"fixed":"2.0.0"}}]}}]}}]}}"#
    )
    .into_bytes()
}

#[test]
fn an_ecosystem_whole_first_and_then_single_records() {
    let bench = Bench::new();
    let mut server = Server::default();
    let run = |server: &Server| bench.fetch("osv:npm", "https://feed.test/npm", server);
    let (older, old) = ("2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z");
    // The archive lacks what changed last, as the public one does.
    server.put(
        "npm/all.zip",
        zip(&[("GHSA-1.json", osv_record("GHSA-1", older))]),
    );
    server.put("npm/GHSA-2.json", osv_record("GHSA-2", old));
    server.put(
        "npm/modified_id.csv",
        format!("{old},GHSA-2\n{older},GHSA-1\n").into_bytes(),
    );
    assert_eq!(run(&server).produced, 1);
    assert_eq!(server.sent(), ["npm/modified_id.csv", "npm/all.zip"]);
    assert_eq!(run(&server).produced, 1);
    assert_eq!(server.sent(), ["npm/modified_id.csv", "npm/GHSA-2.json"]);
    assert_eq!(run(&server).produced, 0);
    assert!(server.sent().is_empty(), "unchanged: nothing is sent");
    let new = "2024-03-02T00:00:00Z";
    server.put(
        "npm/modified_id.csv",
        format!("{new},GHSA-2\n{new},../../etc\n{new},GHSA-9\n{older},GHSA-1\n").into_bytes(),
    );
    server.put("npm/GHSA-2.json", osv_record("GHSA-2", new));
    let summary = run(&server);
    assert_eq!(
        (summary.produced, summary.dead),
        (1, 2),
        "a name that is none, and a file that is absent"
    );
    assert_eq!(server.sent(), ["npm/modified_id.csv", "npm/GHSA-2.json"]);
}

#[test]
fn a_source_that_cannot_be_read_says_so_each_time() {
    let bench = Bench::new();
    let mut server = Server::default();
    server.put("kev.json", b"<html>maintenance</html>".to_vec());
    server.put("vulndb.zip", b"PK\x03\x04 cut off".to_vec());
    for _ in 0..2 {
        for (feed, file) in [("kev", "kev.json"), ("go", "vulndb.zip")] {
            let summary = bench.fetch(feed, &format!("https://feed.test/{file}"), &server);
            assert!(summary.error.is_some(), "{summary:?}");
        }
    }
    assert!(bench.run("rustsec").error.is_some(), "an empty place");
}

#[test]
fn a_release_of_alpine_replaces_no_other() {
    let bench = Bench::new();
    let mut server = Server::default();
    for release in ["v3.19", "v3.20"] {
        let text = format!(
            r#"{{"distroversion":"{release}","reponame":"main","packages":[{{"pkg":{{"name":"xz","secfixes":{{"5.6.1-r2":["CVE-2024-0001"]}}}}}}]}}"#
        );
        server.put(&format!("{release}/main.json"), text.into_bytes());
        server.put(
            &format!("{release}/"),
            b"<a href=\"../\">..</a><a href=\"main.json\">main.json</a>".to_vec(),
        );
    }
    server.put(
        "",
        b"<a href=\"v3.19/\">v3.19/</a> <a href='v3.20/'>v3.20/</a>".to_vec(),
    );
    let summary = bench.fetch("alpine", "https://feed.test", &server);
    assert_eq!((summary.produced, summary.error), (2, None));
    let mut keys = bench.keys();
    keys.sort_unstable();
    assert_ne!(keys[0], keys[1], "one record of each release");
}

#[test]
fn what_a_whole_feed_has_no_more_is_withdrawn() {
    let bench = Bench::new();
    let entry = |cve: &str| {
        format!(
            r#"{{"cveID":"{cve}","vendorProject":"v","product":"p","vulnerabilityName":"n","dateAdded":"2024-01-01","shortDescription":"d","requiredAction":"a","dueDate":"2024-02-01","knownRansomwareCampaignUse":"Unknown","notes":""}}"#
        )
    };
    let file = |cves: &[&str]| {
        let entries: Vec<String> = cves.iter().map(|cve| entry(cve)).collect();
        format!(
            r#"{{"count":{},"vulnerabilities":[{}]}}"#,
            cves.len(),
            entries.join(",")
        )
    };
    let name = "known_exploited_vulnerabilities.json";
    bench.write(name, file(&["CVE-2024-0001", "CVE-2024-0002"]).as_bytes());
    assert_eq!(bench.run("kev").produced, 2);
    bench.records();
    // Cut short: refused whole, and nothing is withdrawn for it.
    bench.write(
        name,
        file(&["CVE-2024-0002"]).replace(":1,", ":2,").as_bytes(),
    );
    assert_eq!(bench.run("kev").withdrawn, 0);
    bench.write(name, file(&["CVE-2024-0002"]).as_bytes());
    let summary = bench.run("kev");
    assert_eq!((summary.withdrawn, summary.same), (1, 1));
    let records = bench.records();
    assert!(
        matches!(&records[..], [(_, Record::Withdrawn { id, .. })] if id == "CVE-2024-0001"),
        "{records:?}"
    );
}

#[test]
fn a_dead_letter_is_read_again() {
    let bench = Bench::new();
    bench.write("CVE-2024-0001.json", b"{");
    bench.run("cve-list");
    let (_, mut letter) = bench.stream.dead_letters(1).unwrap().remove(0);
    assert!(producer::again(&letter).is_err());
    letter.bytes = cve(1, "2024-03-01T00:00:00Z", "x");
    assert_eq!(
        producer::again(&letter).unwrap()[0].key,
        "cve/CVE-2024-0001"
    );
}

#[test]
fn sources_as_they_are_written() {
    let parsed = Source::parse("osv:npm=https://x.test/npm/").unwrap();
    assert_eq!(parsed.place, Place::Url("https://x.test/npm".into()));
    assert_eq!(
        Source::parse("kev=feeds").unwrap().place,
        Place::Path("feeds".into())
    );
    assert!(
        matches!(Source::parse("kev=official").unwrap().place, Place::Url(url) if url.contains("cisa.gov"))
    );
    for bad in [
        "kev",
        "kev=",
        "nothing=x",
        "osv=official",
        "csaf=official",
        "kev=ftp://x",
        "osv:../x=y",
    ] {
        assert!(Source::parse(bad).is_err(), "{bad}");
    }
    assert!(
        Bench::new()
            .run_with(
                &Source::parse("kev=/nowhere/at/all").unwrap(),
                None,
                &AtomicBool::new(false)
            )
            .error
            .is_some()
    );
}
