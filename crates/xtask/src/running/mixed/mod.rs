//! Mixed load: validation, mutation, the label guard, slow policies and a few hostile peers at
//! once, while policies change every second and certificates every five.
//!
//! Each verdict names the set of policies that it is by, in every part; see [`sets`].

pub mod sets;

use super::load;
use super::wire::{Connection, Target, Version};
use super::{Server, Setup, hostile};
use anyhow::{Context, Result};
use hyper::body::Bytes;
use serde_json::{Value, json};
use sets::{Certificates, FREE, Sets, set_of, set_of_patch};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// How it is run.
#[derive(Debug, Clone)]
pub struct Mixed {
    /// The binary.
    pub binary: PathBuf,
    /// How long.
    pub time: Duration,
    /// Callers that validate.
    pub callers: usize,
    /// What each waits between two requests.
    pub pause: Duration,
    /// More policies, whose verdicts are not looked at.
    pub more: Vec<PathBuf>,
    /// Where to say now and then how it goes.
    pub tell: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Told {
    /// Validations with an answer that was right.
    pub validated: u64,
    /// Mutations with one.
    pub mutated: u64,
    /// Answers of the label guard.
    pub guarded: u64,
    /// Reviews that no policy can tell in time, answered as that.
    pub hasty: u64,
    /// Hostile reviews and peers.
    pub hostile: u64,
    /// Requests without an answer.
    pub lost: u64,
    /// Answers that are wrong: by no whole set, or not by what was asked.
    pub wrong: u64,
    /// Reviews that should have been told and were not.
    pub untold: u64,
    /// The first of these, in words.
    pub examples: Vec<String>,
    /// Sets that were put.
    pub put: u64,
    /// Sets that verdicts named.
    pub sets: usize,
    /// Certificates that were presented.
    pub certificates: usize,
    /// Decisions in the store at the end.
    pub stored: u64,
    /// Decisions that were shed, as the metrics say.
    pub shed: f64,
    /// Milliseconds of validations, in order.
    pub millis: Vec<f64>,
    /// Milliseconds of those that had 300 ms, in order.
    pub hasty_millis: Vec<f64>,
    /// The same as the server tells them, of the newest thousand.
    pub hasty_server: Vec<f64>,
    /// Resident memory in MiB, each second.
    pub memory: Vec<f64>,
    /// CPU seconds of the server.
    pub server_cpu: f64,
    /// CPU seconds of this process.
    pub own_cpu: f64,
}

impl Told {
    /// Memory of a tenth of the run, from `from` (0.2 is the third tenth).
    pub fn memory_at(&self, from: f64) -> f64 {
        let count = (self.memory.len() / 10).max(1);
        let begin = (self.memory.len() as f64 * from) as usize;
        let part: Vec<f64> = self
            .memory
            .iter()
            .skip(begin)
            .take(count)
            .copied()
            .collect();
        part.iter().sum::<f64>() / part.len().max(1) as f64
    }
}

/// The place of a share in ordered values.
pub fn share(values: &[f64], share: f64) -> f64 {
    let at = (values.len() as f64 * share) as usize;
    let at = at.min(values.len().saturating_sub(1));
    values.get(at).copied().unwrap_or_default()
}

#[derive(Default)]
struct Counts {
    validated: AtomicU64,
    mutated: AtomicU64,
    guarded: AtomicU64,
    hasty: AtomicU64,
    hostile: AtomicU64,
    lost: AtomicU64,
    wrong: AtomicU64,
    untold: AtomicU64,
    asked: AtomicU64,
    told: Mutex<Parts>,
    over: AtomicBool,
}

#[derive(Default)]
struct Parts {
    examples: Vec<String>,
    sets: BTreeSet<u64>,
    leaves: BTreeSet<Vec<u8>>,
    millis: Vec<f64>,
    hasty: Vec<f64>,
}

impl Counts {
    fn parts(&self) -> std::sync::MutexGuard<'_, Parts> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn example(&self, count: &AtomicU64, what: String) {
        count.fetch_add(1, Ordering::Relaxed);
        let mut parts = self.parts();
        if parts.examples.len() < 20 {
            parts.examples.push(what);
        }
    }

    fn go_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }
}

/// Runs it against a fresh server.
pub fn run(mixed: &Mixed) -> Result<Told> {
    let folder = tempfile::tempdir()?;
    let place = |name: &str| -> Result<PathBuf> {
        let path = folder.path().join(name);
        std::fs::create_dir_all(&path)?;
        Ok(path)
    };
    let sets = Sets::new(&place("policies")?)?;
    let certificates = Certificates::new(&place("certificates")?)?;
    let mut setup = Setup::new(&mixed.binary, &place("data")?);
    setup.arguments = [
        "--role",
        "admission",
        "--admission-listen",
        "127.0.0.1:0",
        "--admission-look",
        "100",
        "--admission-workers",
        "2",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut argument = |name: &str, path: PathBuf| {
        setup.arguments.push(name.to_owned());
        setup.arguments.push(path.display().to_string());
    };
    argument("--admission-policies", sets.folder());
    argument("--admission-cert", certificates.file("cert.pem"));
    argument("--admission-key", certificates.file("key.pem"));
    for path in &mixed.more {
        argument("--admission-policies", path.clone());
    }
    // What hostile peers do and what changes is told at `warn`.
    setup.environment.push(("RUST_LOG".into(), "error".into()));
    let mut server = Server::start(&setup)?;
    server.sign_in()?;
    let webhook = server.webhook.clone().context("no webhook")?;
    let target = Target::new(&webhook, certificates.ca.as_bytes(), Version::Http1)?;
    let counts = Arc::new(Counts::default());
    let cpu = (load::cpu("self")?, load::cpu(&server.id().to_string())?);

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let mut tasks = Vec::new();
    for n in 0..mixed.callers {
        tasks.push(runtime.spawn(validate(
            target.clone(),
            Arc::clone(&counts),
            n,
            mixed.pause,
        )));
    }
    let slower = mixed.pause * 5;
    tasks.push(runtime.spawn(mutate(target.clone(), Arc::clone(&counts), slower)));
    tasks.push(runtime.spawn(guard(target.clone(), Arc::clone(&counts), slower)));
    tasks.push(runtime.spawn(hasty(target.clone(), Arc::clone(&counts))));
    tasks.push(runtime.spawn(hostile_peers(target, Arc::clone(&counts))));

    let (mut put, mut memory) = (1, Vec::new());
    let begun = Instant::now();
    let mut tick = 0;
    while begun.elapsed() < mixed.time && server.is_running() {
        tick += 1;
        let next = begun + Duration::from_secs(tick);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        put += 1;
        sets.put(put)?;
        if tick % 5 == 0 {
            certificates.renew()?;
        }
        memory.push(server.memory("VmRSS")?);
        if mixed.tell && tick % 60 == 0 {
            eprintln!(
                "{} min: {} validated, {} lost, {} wrong, {} untold, {:.0} MiB",
                tick / 60,
                counts.validated.load(Ordering::Relaxed),
                counts.lost.load(Ordering::Relaxed),
                counts.wrong.load(Ordering::Relaxed),
                counts.untold.load(Ordering::Relaxed),
                memory.last().copied().unwrap_or_default(),
            );
        }
    }
    counts.over.store(true, Ordering::Relaxed);
    runtime.block_on(async {
        for task in tasks {
            let _ = tokio::time::timeout(Duration::from_secs(30), task).await;
        }
    });
    let own_cpu = load::cpu("self")? - cpu.0;
    let server_cpu = load::cpu(&server.id().to_string())? - cpu.1;
    let asked = counts.asked.load(Ordering::Relaxed);
    let (stored, shed) = settled(&server, asked)?;
    let mut hasty_server = hasty_as_told(&server)?;
    let mut parts = counts.parts();
    let sorted = |values: &mut Vec<f64>| {
        values.sort_unstable_by(f64::total_cmp);
        std::mem::take(values)
    };
    let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
    Ok(Told {
        validated: count(&counts.validated),
        mutated: count(&counts.mutated),
        guarded: count(&counts.guarded),
        hasty: count(&counts.hasty),
        hostile: count(&counts.hostile),
        lost: count(&counts.lost),
        wrong: count(&counts.wrong),
        untold: count(&counts.untold),
        examples: std::mem::take(&mut parts.examples),
        put,
        sets: parts.sets.len(),
        certificates: parts.leaves.len(),
        stored,
        shed,
        millis: sorted(&mut parts.millis),
        hasty_millis: sorted(&mut parts.hasty),
        hasty_server: sorted(&mut hasty_server),
        memory,
        server_cpu,
        own_cpu,
    })
}

/// How many decisions are stored once all are, and how many were shed.
fn settled(server: &Server, asked: u64) -> Result<(u64, f64)> {
    let begun = Instant::now();
    loop {
        let newest = server.get("/decisions?limit=1")?;
        let stored = newest["items"][0]["seq"].as_u64().unwrap_or_default();
        if stored >= asked || begun.elapsed() > Duration::from_secs(30) {
            let text = reqwest::blocking::get(format!("{}/metrics", server.address))?.text()?;
            let shed = text
                .lines()
                .filter_map(|line| line.strip_prefix("bartizan_admission_decisions_shed_total"))
                .find_map(|rest| rest.trim().parse().ok());
            return Ok((stored, shed.unwrap_or(0.0)));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Milliseconds that decisions on what never ends took, as they are stored.
fn hasty_as_told(server: &Server) -> Result<Vec<f64>> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    for _ in 0..5 {
        let page = server.get(&format!(
            "/decisions?kind=Secret&namespace=shop&user=ada&limit=200{cursor}"
        ))?;
        for decision in page["items"].as_array().into_iter().flatten() {
            all.push(decision["micros"].as_f64().unwrap_or_default() / 1e3);
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    Ok(all)
}

fn review(uid: &str, kind: &str, namespace: &str, labels: &Value) -> Value {
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": uid, "operation": "CREATE",
        "kind": {"group": "", "version": "v1", "kind": kind},
        "resource": {"group": "", "version": "v1", "resource": "things"},
        "name": namespace, "namespace": namespace, "userInfo": {"username": "ada"},
        "object": {"apiVersion": "v1", "kind": kind,
            "metadata": {"name": namespace, "namespace": namespace, "labels": labels}},
        "oldObject": null
    }})
}

/// A connection that is made anew now and then, so that new certificates are met.
struct Caller {
    target: Target,
    counts: Arc<Counts>,
    open: Option<(Connection, u32)>,
}

impl Caller {
    fn new(target: Target, counts: Arc<Counts>) -> Self {
        Self {
            target,
            counts,
            open: None,
        }
    }

    /// The answer's `response`, and milliseconds; a request without one is counted.
    async fn ask(&mut self, path: &str, review: &Value) -> Option<(Value, f64)> {
        match self.try_ask(path, review).await {
            Ok(told) => Some(told),
            Err(why) => {
                self.open = None;
                self.counts
                    .example(&self.counts.lost, format!("{path}: {why:#}"));
                tokio::time::sleep(Duration::from_millis(50)).await;
                None
            }
        }
    }

    async fn try_ask(&mut self, path: &str, review: &Value) -> Result<(Value, f64)> {
        let (mut connection, used) = match self.open.take() {
            Some(open) if open.1 < 50 => open,
            _ => {
                let fresh = self.target.connect().await?;
                self.counts.parts().leaves.insert(fresh.leaf.clone());
                (fresh, 0)
            }
        };
        let begun = Instant::now();
        let body = Bytes::from(review.to_string());
        let sent = connection.post(path, body);
        let (status, bytes) = tokio::time::timeout(Duration::from_secs(20), sent)
            .await
            .context("nothing came in 20 s")??;
        let took = begun.elapsed().as_secs_f64() * 1e3;
        anyhow::ensure!(status == 200, "status {status}");
        let mut answer: Value = serde_json::from_slice(&bytes)?;
        anyhow::ensure!(
            answer["response"]["uid"] == review["request"]["uid"],
            "an answer to another request: {answer}"
        );
        self.open = Some((connection, used + 1));
        Ok((answer["response"].take(), took))
    }
}

/// Whether it says that something could not be told.
fn is_untold(answer: &Value) -> bool {
    answer["status"]["code"] == 299 || answer["status"]["code"] == 500
}

async fn validate(target: Target, counts: Arc<Counts>, at: usize, pause: Duration) {
    let mut caller = Caller::new(target, Arc::clone(&counts));
    let mut n = 0_u64;
    while counts.go_on() {
        n += 1;
        let uid = format!("v-{at}-{n}");
        let (namespace, labels) = match n % 4 {
            0 => (FREE, json!({})),
            1 => ("shop", json!({"owner": "x", "team": "y"})),
            _ => ("shop", json!({})),
        };
        let review = review(&uid, "Pod", namespace, &labels);
        if let Some((answer, took)) = caller.ask("/v1/admit?timeout=10s", &review).await {
            counts.asked.fetch_add(1, Ordering::Relaxed);
            let told = if n % 4 == 1 {
                let passed = answer["allowed"] == true && answer["warnings"].is_null();
                if passed {
                    Ok(None)
                } else {
                    Err(anyhow::anyhow!("a good object: {answer}"))
                }
            } else {
                set_of(&answer, namespace).map(Some)
            };
            let mut parts = counts.parts();
            parts.millis.push(took);
            match told {
                Ok(set) => {
                    parts.sets.extend(set);
                    counts.validated.fetch_add(1, Ordering::Relaxed);
                }
                Err(why) => {
                    drop(parts);
                    let count = if is_untold(&answer) {
                        &counts.untold
                    } else {
                        &counts.wrong
                    };
                    counts.example(count, format!("{why:#}: {answer}"));
                }
            }
        }
        tokio::time::sleep(pause).await;
    }
}

async fn mutate(target: Target, counts: Arc<Counts>, pause: Duration) {
    let mut caller = Caller::new(target, Arc::clone(&counts));
    let mut n = 0_u64;
    while counts.go_on() {
        n += 1;
        let review = review(&format!("m-{n}"), "Pod", "shop", &json!({}));
        if let Some((answer, _)) = caller.ask("/v1/mutate?timeout=10s", &review).await {
            match set_of_patch(&answer) {
                Ok(_) => {
                    counts.mutated.fetch_add(1, Ordering::Relaxed);
                }
                Err(why) => counts.example(&counts.wrong, format!("{why:#}: {answer}")),
            }
        }
        tokio::time::sleep(pause).await;
    }
}

async fn guard(target: Target, counts: Arc<Counts>, pause: Duration) {
    let mut caller = Caller::new(target, Arc::clone(&counts));
    let mut n = 0_u64;
    while counts.go_on() {
        n += 1;
        let labels = match n % 2 {
            0 => json!({}),
            _ => json!({"admission.gatekeeper.sh/ignore": "x"}),
        };
        let review = review(&format!("g-{n}"), "Namespace", "shop", &labels);
        if let Some((answer, _)) = caller.ask("/v1/admitlabel?timeout=3s", &review).await {
            if answer["allowed"] == n.is_multiple_of(2) {
                counts.guarded.fetch_add(1, Ordering::Relaxed);
            } else {
                counts.example(&counts.wrong, format!("the label guard: {answer}"));
            }
        }
        tokio::time::sleep(pause).await;
    }
}

/// A policy that never ends, and a caller that has 300 ms.
async fn hasty(target: Target, counts: Arc<Counts>) {
    let mut caller = Caller::new(target, Arc::clone(&counts));
    let mut n = 0_u64;
    while counts.go_on() {
        n += 1;
        let review = review(&format!("h-{n}"), "Secret", "shop", &json!({}));
        if let Some((answer, took)) = caller.ask("/v1/admit?timeout=300ms", &review).await {
            counts.asked.fetch_add(1, Ordering::Relaxed);
            counts.parts().hasty.push(took);
            if is_untold(&answer) && answer["allowed"] == true {
                counts.hasty.fetch_add(1, Ordering::Relaxed);
            } else {
                counts.example(&counts.wrong, format!("an endless policy: {answer}"));
            }
        }
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
}

/// Hostile reviews; peers that never shake hands, never finish, or speak something else.
async fn hostile_peers(target: Target, counts: Arc<Counts>) {
    let mut n = 0_u64;
    let mut held = Vec::new();
    while counts.go_on() {
        n += 1;
        if let Ok(mut connection) = target.connect().await {
            let sent = connection.post("/v1/admit?timeout=1s", hostile::review(n).into());
            match tokio::time::timeout(Duration::from_secs(5), sent).await {
                // Too large a body may be refused by an end of the connection.
                Ok(_) => {
                    counts.hostile.fetch_add(1, Ordering::Relaxed);
                }
                Err(_) => counts.example(&counts.lost, format!("hostile review {n}")),
            }
        }
        if let Ok(mut stream) = TcpStream::connect(target.address()).await {
            let words: &[u8] = match n % 3 {
                0 => b"",
                1 => b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                _ => b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
            };
            let _ = stream.write_all(words).await;
            counts.hostile.fetch_add(1, Ordering::Relaxed);
            held.push(stream);
            if held.len() > 16 {
                held.remove(0);
            }
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}
