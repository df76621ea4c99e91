//! The whole way over a real broker into a real database: `make test-kafka`. Broker, database and
//! consumer are killed in the middle; nothing is lost, nothing is applied twice, the lag drains.
#![cfg(feature = "kafka")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may end by panicking"
)]

use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Records, and how often each changes.
const RECORDS: u32 = 1500;
const VERSIONS: u32 = 4;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn reached(port: u16) {
    let until = Instant::now() + Duration::from_secs(90);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "nothing listens on {port}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A process that is killed, never asked.
struct Killed(Option<Child>);

impl Killed {
    fn kill(&mut self) {
        if let Some(mut child) = self.0.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        self.kill();
    }
}

fn broker(folder: &Path, port: u16) -> Killed {
    let child = Command::new(root().join("scripts/kafka-broker"))
        .arg(folder)
        .arg(port.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    reached(port);
    Killed(Some(child))
}

/// A PostgreSQL of this test's own. Its postmaster is killed, and its children go with it.
struct Database {
    folder: PathBuf,
    bin: PathBuf,
    port: u16,
}

impl Database {
    fn new(folder: &Path) -> Self {
        let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
            .expect("PostgreSQL is installed by scripts/need")
            .map(|entry| entry.unwrap().path().join("bin"))
            .collect();
        versions.sort();
        let database = Self {
            folder: folder.to_owned(),
            bin: versions.pop().unwrap(),
            port: free_port(),
        };
        fs::create_dir(folder).unwrap();
        if root_user() {
            // PostgreSQL does not run as root.
            Self::done(Command::new("chown").arg("postgres").arg(folder));
        }
        let data = folder.join("data");
        let mut init = database.command("initdb");
        init.arg("-D").arg(&data).args([
            "-U",
            "bartizan",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
        ]);
        Self::done(&mut init);
        database.start();
        database
    }

    fn command(&self, program: &str) -> Command {
        let mut command = if root_user() {
            let mut command = Command::new("runuser");
            command
                .args(["-u", "postgres", "--"])
                .arg(self.bin.join(program));
            command
        } else {
            Command::new(self.bin.join(program))
        };
        command
            .current_dir("/")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn done(command: &mut Command) {
        let status = command.status().unwrap();
        assert!(status.success(), "{command:?}");
    }

    fn start(&self) {
        let options = format!(
            "-p {} -k {} -c listen_addresses=127.0.0.1",
            self.port,
            self.folder.display()
        );
        let mut start = self.command("pg_ctl");
        start
            .arg("-D")
            .arg(self.folder.join("data"))
            .args(["-w", "-l"])
            .arg(self.folder.join("log"))
            .args(["-o", &options, "start"]);
        Self::done(&mut start);
        reached(self.port);
    }

    fn kill(&self) {
        let text = fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        let pid = text.lines().next().unwrap();
        Self::done(Command::new("kill").args(["-9", pid]));
        // Its children end when they notice.
        std::thread::sleep(Duration::from_millis(1500));
        let _ = fs::remove_file(self.folder.join("data/postmaster.pid"));
    }

    fn url(&self) -> String {
        format!("postgres://bartizan@127.0.0.1:{}/postgres", self.port)
    }

    fn ask(&self, sql: &str) -> String {
        let output = Command::new(self.bin.join("psql"))
            .arg(self.url())
            .args(["-Atc", sql])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = self
            .command("pg_ctl")
            .arg("-D")
            .arg(self.folder.join("data"))
            .args(["-m", "immediate", "stop"])
            .status();
    }
}

fn root_user() -> bool {
    fs::metadata("/proc/self").is_ok_and(|found| std::os::unix::fs::MetadataExt::uid(&found) == 0)
}

fn bartizan(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bartizan"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn write(folder: &Path, version: u32) {
    for n in 0..RECORDS {
        let padding = "x".repeat(if n == 0 { 690_000 } else { 2000 });
        let text = format!(
            r#"{{"cveMetadata":{{"cveId":"CVE-2024-{n:04}","state":"PUBLISHED","dateUpdated":"2024-03-{version:02}T00:00:00Z"}},"containers":{{"cna":{{"title":"version {version}","descriptions":[{{"lang":"en","value":"{padding}"}}]}}}}}}"#
        );
        fs::write(folder.join(format!("CVE-2024-{n:04}.json")), text).unwrap();
    }
}

#[test]
#[ignore = "needs a broker and PostgreSQL: make test-kafka"]
fn broker_database_and_consumer_are_killed_and_nothing_is_lost_or_applied_twice() {
    let folder = tempfile::Builder::new()
        .prefix("bartizan-chain.")
        .tempdir_in("/tmp")
        .unwrap();
    fs::set_permissions(
        folder.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let port = free_port();
    let mut kafka = broker(Path::new(&at("kafka")), port);
    let database = Database::new(Path::new(&at("postgres")));
    let stream = format!("kafka://127.0.0.1:{port}/chain.cve");
    let properties = at("kafka.properties");
    fs::write(
        &properties,
        "session.timeout.ms=6000\nreconnect.backoff.max.ms=500\n",
    )
    .unwrap();
    fs::create_dir(at("cves")).unwrap();
    let url = database.url();
    let (data, source) = (at("data"), format!("cve-list={}", at("cves")));
    let consumer = || {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(at("consumer.log"))
            .unwrap();
        let child = bartizan(&[
            "cve",
            "consume",
            "--follow",
            "--stream",
            &stream,
            "--kafka-properties",
            &properties,
            "--database",
            &url,
            "--data",
            &data,
        ])
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
        Killed(Some(child))
    };
    let mut applying = consumer();
    for version in 1..=VERSIONS {
        write(Path::new(&at("cves")), version);
        let producing = bartizan(&[
            "cve",
            "produce",
            "--source",
            &source,
            "--stream",
            &stream,
            "--kafka-properties",
            &properties,
            "--data",
            &at("producer"),
            "--format",
            "json",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
        std::thread::sleep(Duration::from_millis(400));
        match version {
            1 => {
                kafka.kill();
                std::thread::sleep(Duration::from_millis(700));
                kafka = broker(Path::new(&at("kafka")), port);
            }
            2 => {
                database.kill();
                std::thread::sleep(Duration::from_millis(500));
                database.start();
            }
            3 => {
                applying.kill();
                std::thread::sleep(Duration::from_millis(300));
                applying = consumer();
            }
            _ => {}
        }
        let done = producing.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        let summary: Value = serde_json::from_str(&said)
            .unwrap_or_else(|e| panic!("{e}: {said} {}", String::from_utf8_lossy(&done.stderr)));
        assert_eq!(summary["sources"][0]["error"], Value::Null, "{summary}");
        assert_eq!(summary["dead_letters"], 0, "{summary}");
    }
    // The follower ends; the last drains what it left.
    std::thread::sleep(Duration::from_secs(3));
    applying.kill();
    std::thread::sleep(Duration::from_secs(7));
    let drained = bartizan(&[
        "cve",
        "consume",
        "--stream",
        &stream,
        "--kafka-properties",
        &properties,
        "--database",
        &url,
        "--data",
        &data,
        "--format",
        "json",
    ])
    .output()
    .unwrap();
    let said = String::from_utf8_lossy(&drained.stdout).into_owned();
    let last: Value = serde_json::from_str(&said)
        .unwrap_or_else(|e| panic!("{e}: {said} {}", String::from_utf8_lossy(&drained.stderr)));
    assert_eq!(
        (&last["lag"], &last["dead_letters"]),
        (&0.into(), &0.into()),
        "{last}"
    );

    let records = RECORDS.to_string();
    assert_eq!(database.ask(HELD), records, "each record is held");
    assert_eq!(
        database.ask(HISTORY),
        (RECORDS * VERSIONS).to_string(),
        "each version once"
    );
    assert_eq!(database.ask(TWICE), "0", "none twice");
    drop(kafka);
}

/// How many records there are, how many versions of them, and how many of those are there twice.
const HELD: &str = "SELECT count(*) FROM vuln_records WHERE key LIKE 'cve/%'";
const HISTORY: &str =
    "SELECT count(*) FROM vuln_versions v JOIN vuln_records r ON r.id = v.id >> 20";
const TWICE: &str = "SELECT count(*) FROM (SELECT id >> 20, digest FROM vuln_versions GROUP BY 1, 2 HAVING count(*) > 1) x";
