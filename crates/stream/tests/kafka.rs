//! Against a real broker: `scripts/with-kafka cargo test -p bartizan-stream --features kafka --test kafka -- --ignored`.
#![cfg(feature = "kafka")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may end by panicking"
)]

use bartizan_model::Timestamp;
use bartizan_stream::consume::{Applied, Apply, ApplyError, Consumer};
use bartizan_stream::open::Address;
use bartizan_stream::{DeadLetter, Message, Settings, Stage, Stream, open};
use bartizan_vuln::record::Record;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn broker() -> String {
    std::env::var("BARTIZAN_TEST_KAFKA").expect("run by scripts/with-kafka")
}

fn folder() -> PathBuf {
    std::env::var_os("BARTIZAN_TEST_KAFKA_FOLDER")
        .expect("run by scripts/with-kafka")
        .into()
}

/// Tests that end quickly where a member dies.
fn settings() -> Settings {
    let mut settings = Settings::default();
    settings
        .kafka
        .insert("session.timeout.ms".into(), "6000".into());
    settings
        .kafka
        .insert("reconnect.backoff.max.ms".into(), "500".into());
    settings
}

fn stream(brokers: &str, topic: &str, settings: &Settings) -> Arc<dyn Stream> {
    let address = Address::parse(&format!("kafka://{brokers}/{topic}")).unwrap();
    open(&address, settings).unwrap()
}

fn all(stream: &dyn Stream, group: &str) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let batch = stream.poll(group, 500).unwrap();
        let offsets: Vec<_> = batch.iter().map(|d| d.offset).collect();
        found.extend(batch.into_iter().map(|d| (d.key, d.bytes)));
        stream.commit(group, &offsets).unwrap();
        if stream.lag(group).unwrap() == 0 {
            return found;
        }
        assert!(
            Instant::now() < until,
            "{} left",
            stream.lag(group).unwrap()
        );
    }
}

#[test]
#[ignore = "needs a broker: scripts/with-kafka"]
fn a_topic_is_made_and_carries_large_records_to_two_groups() {
    let stream = stream(&broker(), "test.large", &settings());
    let mut batch: Vec<Message> = (0..300)
        .map(|n| Message {
            key: format!("cve/CVE-2024-{n:04}"),
            bytes: vec![b'x'; 2000 + n],
        })
        .collect();
    // As no compression makes them smaller.
    let noise = |n: usize| -> Vec<u8> {
        let mut x = 1_u64;
        (0..n)
            .map(|_| {
                x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (x >> 56) as u8
            })
            .collect()
    };
    batch.push(Message {
        key: "cve/large".into(),
        bytes: noise(690_000),
    });
    batch.push(Message {
        key: "cve/largest".into(),
        bytes: noise(bartizan_stream::MAX_MESSAGE),
    });
    stream.produce(&batch).unwrap();
    for group in ["store", "ask"] {
        assert_eq!(stream.lag(group).unwrap(), 302);
        let found = all(stream.as_ref(), group);
        assert_eq!(found.len(), 302);
        assert!(batch.iter().all(|m| found[&m.key] == m.bytes));
    }
    // Without a commit all comes again.
    stream.produce(&batch[..10]).unwrap();
    let poll = |n: usize| {
        let mut found = Vec::new();
        while found.len() < n {
            found.extend(stream.poll("store", 100).unwrap());
        }
        found
    };
    assert_eq!(poll(10).len(), 10);
    stream.rewind("store").unwrap();
    assert_eq!(poll(10).len(), 10);
}

#[test]
#[ignore = "needs a broker: scripts/with-kafka"]
fn dead_letters_have_the_reason_and_are_retired() {
    let stream = stream(&broker(), "test.letters", &settings());
    let stage = Stage::Apply {
        group: "store".into(),
    };
    for n in 0..3 {
        let letter = DeadLetter::new(
            &format!("cve/{n}"),
            "not JSON",
            stage.clone(),
            Timestamp::from_micros(n),
            b"{",
        );
        stream.dead_letter(&letter).unwrap();
    }
    let letters = stream.dead_letters(10).unwrap();
    assert_eq!(letters.len(), 3);
    assert_eq!(
        (letters[2].1.key.as_str(), letters[2].1.reason.as_str()),
        ("cve/2", "not JSON")
    );
    assert_eq!(letters[0].1.bytes, b"{");
    stream.retire(&[letters[1].0]).unwrap();
    assert_eq!(stream.dead_count().unwrap(), 1);
    assert_eq!(stream.dead_letters(10).unwrap().len(), 1);
}

#[test]
#[ignore = "needs a broker: scripts/with-kafka"]
fn tls_with_scram_and_with_plain_and_nothing_else() {
    let (host, port) = broker()
        .rsplit_once(':')
        .map(|(h, p)| (h.to_owned(), p.parse::<u16>().unwrap()))
        .unwrap();
    let secure = format!("{host}:{}", port + 2);
    let with = |mechanism: &str, password: &str| {
        let mut settings = settings();
        for (name, value) in [
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", mechanism),
            ("sasl.username", "bartizan"),
            ("sasl.password", password),
            ("ssl.ca.location", folder().join("ca.pem").to_str().unwrap()),
        ] {
            settings.kafka.insert(name.into(), value.into());
        }
        settings
    };
    for mechanism in ["SCRAM-SHA-512", "PLAIN"] {
        let stream = stream(
            &secure,
            &format!("test.{mechanism}"),
            &with(mechanism, "loopback-only"),
        );
        stream
            .produce(&[Message {
                key: "k".into(),
                bytes: b"v".to_vec(),
            }])
            .unwrap();
        assert_eq!(all(stream.as_ref(), "store").len(), 1, "{mechanism}");
    }
    let address = Address::parse(&format!("kafka://{secure}/test.refused")).unwrap();
    let Err(refused) = open(&address, &with("SCRAM-SHA-512", "hunter2-wrong")) else {
        panic!("a wrong password was taken");
    };
    assert!(!refused.to_string().contains("hunter2"), "{refused}");
}

/// A broker that can be killed and started again on its data.
struct Broker {
    folder: tempfile::TempDir,
    port: u16,
    process: Option<Child>,
}

impl Broker {
    fn start() -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut broker = Self {
            folder: tempfile::tempdir().unwrap(),
            port,
            process: None,
        };
        broker.run();
        broker
    }

    fn run(&mut self) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/kafka-broker");
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let process = Command::new(script)
            .arg(self.folder.path())
            .arg(self.port.to_string())
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.process = Some(process);
        let until = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < until, "the broker does not start");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What was applied, by key: how often each version.
#[derive(Default)]
struct Memory(Mutex<BTreeMap<String, Vec<Vec<u8>>>>);

impl Apply for Memory {
    fn apply(&self, records: &[Record]) -> Result<Applied, ApplyError> {
        let mut applied = Applied::default();
        let mut held = self.0.lock().unwrap();
        for record in records {
            let versions = held.entry(record.key()).or_default();
            let bytes = record.encode();
            if versions.contains(&bytes) {
                applied.unchanged += 1;
            } else {
                versions.push(bytes);
                applied.inserted += 1;
            }
        }
        Ok(applied)
    }
}

fn kev(n: usize, version: usize) -> Message {
    let text = format!(r#"{{"cveID":"CVE-2024-{n:04}","dateAdded":"2024-01-{version:02}"}}"#);
    let record = Record::Kev(serde_json::from_str(&text).unwrap());
    Message {
        key: record.key(),
        bytes: record.encode(),
    }
}

#[test]
#[ignore = "needs a broker: scripts/with-kafka"]
fn a_broker_that_is_killed_twice_loses_nothing_and_the_lag_drains() {
    let mut broker = Broker::start();
    let address = format!("127.0.0.1:{}", broker.port);
    let stream = stream(&address, "test.killed", &settings());
    let memory = Memory::default();
    let produced = AtomicBool::new(false);
    let now = || Timestamp::from_micros(1);
    const KEYS: usize = 2000;
    const VERSIONS: usize = 10;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for version in 1..=VERSIONS {
                for from in (0..KEYS).step_by(200) {
                    let batch: Vec<Message> = (from..from + 200).map(|n| kev(n, version)).collect();
                    // What a producer's next run does: the same again until it is taken.
                    while let Err(error) = stream.produce(&batch) {
                        assert!(error.passing(), "{error}");
                    }
                }
            }
            produced.store(true, Ordering::SeqCst);
        });
        scope.spawn(|| {
            let mut consumer = Consumer::new(stream.as_ref(), "store", &memory, &now);
            loop {
                match consumer.step() {
                    Ok(Some(_)) => {}
                    Ok(None) => {
                        if produced.load(Ordering::SeqCst)
                            && stream.lag("store").is_ok_and(|lag| lag == 0)
                        {
                            break;
                        }
                    }
                    Err(error) => {
                        assert!(error.passing(), "{error}");
                        std::thread::sleep(Duration::from_millis(200));
                    }
                }
            }
        });
        for _ in 0..2 {
            std::thread::sleep(Duration::from_millis(700));
            broker.kill();
            std::thread::sleep(Duration::from_millis(500));
            broker.run();
        }
    });
    let held = memory.0.into_inner().unwrap();
    assert_eq!(held.len(), KEYS);
    for n in 0..KEYS {
        let versions = &held[&format!("kev/CVE-2024-{n:04}")];
        assert_eq!(
            versions.len(),
            VERSIONS,
            "a version of CVE-2024-{n:04} is missing"
        );
        assert_eq!(
            versions[VERSIONS - 1],
            kev(n, VERSIONS).bytes,
            "the last is the last"
        );
    }
    assert_eq!(stream.lag("store").unwrap(), 0);
}
