//! Hostile reviews and peers against a served webhook: each must have an answer, or the end of
//! its connection, within its timeout.

use super::hostile;
use super::wire::Target;
use anyhow::Result;
use hyper::body::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What each review has.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Callers at once.
const CALLERS: usize = 4;
/// One peer that is no caller at all after so many reviews.
const EACH: u64 = 20;
/// Peers that never shake hands and are kept open.
const HELD: usize = 32;

/// What came of it.
#[derive(Debug, Default)]
pub struct Told {
    /// Reviews with an answer.
    pub answered: u64,
    /// Reviews whose connection was ended instead.
    pub ended: u64,
    /// Peers that are no callers.
    pub peers: u64,
    /// What had neither in time, in words.
    pub late: Vec<String>,
    /// Seconds of the slowest review.
    pub slowest: f64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
}

impl Told {
    /// Both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.answered += other.answered;
        self.ended += other.ended;
        self.peers += other.peers;
        self.late.extend(other.late);
        self.slowest = self.slowest.max(other.slowest);
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self
    }
}

/// Policies that nobody should write: one that never ends, one that calls itself, patterns that
/// grow without bound or come from whoever asks.
pub fn policies() -> Value {
    let template = |kind: &str, rego: &str| {
        json!({"apiVersion": "templates.gatekeeper.sh/v1", "kind": "ConstraintTemplate",
            "metadata": {"name": kind.to_lowercase()},
            "spec": {"crd": {"spec": {"names": {"kind": kind}}},
                "targets": [{"target": "admission.k8s.gatekeeper.sh", "rego": rego}]}})
    };
    let constraint = |kind: &str, object: &str| {
        json!({"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": kind,
            "metadata": {"name": format!("{}-1", kind.to_lowercase())},
            "spec": {"match": {"kinds": [{"apiGroups": [""], "kinds": [object]}]}}})
    };
    let items = [
        template(
            "HostileEndless",
            "package hostileendless\nviolation[{\"msg\": \"x\"}] {\n count([1 | \
             numbers.range(1, 900)[_] > 0; numbers.range(1, 900)[_] > 0; \
             numbers.range(1, 900)[_] > 0]) < 0\n}\n",
        ),
        template(
            "HostileRecursion",
            "package hostilerecursion\nf(x) = y { y := f(x + 1) }\n\
             violation[{\"msg\": \"x\"}] { f(1) > 0 }\n",
        ),
        template(
            "HostileRange",
            "package hostilerange\nviolation[{\"msg\": \"x\"}] {\n \
             count(numbers.range(1, 1000000000)) < 0\n}\n",
        ),
        template(
            "HostilePattern",
            "package hostilepattern\nviolation[{\"msg\": \"x\"}] {\n \
             regex.match(\"(((a{200}){200}){200})+$\", input.review.object.metadata.labels.x)\n}\n",
        ),
        template(
            "HostileAsked",
            "package hostileasked\nviolation[{\"msg\": \"x\"}] {\n \
             regex.match(input.review.object.metadata.labels.x, \"aaaa\")\n}\n",
        ),
        template(
            "HostileText",
            "package hostiletext\nviolation[{\"msg\": \"x\"}] {\n \
             t := concat(\"\", [x | numbers.range(1, 100000)[_]; \
             x := \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"])\n \
             count(concat(t, [t, t, t, t, t, t, t, t])) < 0\n}\n",
        ),
        constraint("HostileEndless", "Secret"),
        constraint("HostileRecursion", "Secret"),
        constraint("HostileRange", "Secret"),
        constraint("HostileText", "Secret"),
        constraint("HostilePattern", "Pod"),
        constraint("HostileAsked", "Pod"),
    ];
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

/// Sends the reviews of these numbers.
pub fn run(target: &Target, numbers: Range<u64>) -> Result<Told> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let next = Arc::new(AtomicU64::new(numbers.start));
        let mut callers = Vec::new();
        for _ in 0..CALLERS {
            let (target, next) = (target.clone(), Arc::clone(&next));
            callers.push(tokio::spawn(caller(target, next, numbers.end)));
        }
        let mut told = Told::default();
        for one in callers {
            told = told.and(one.await?);
        }
        Ok(told)
    })
}

async fn caller(target: Target, next: Arc<AtomicU64>, end: u64) -> Told {
    let mut told = Told::default();
    let mut open = None;
    let mut held: Vec<TcpStream> = Vec::new();
    let path = format!("/v1/admit?timeout={}s", TIMEOUT.as_secs());
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        if n >= end {
            return told;
        }
        if n.is_multiple_of(EACH) {
            told.peers += 1;
            if let Some(late) = peer(&target, n / EACH, &mut held).await {
                told.late.push(late);
            }
        }
        let mut connection = match open.take() {
            Some(connection) => connection,
            None => match target.connect().await {
                Ok(fresh) => fresh,
                Err(why) => {
                    told.late
                        .push(format!("review {n}: no connection: {why:#}"));
                    continue;
                }
            },
        };
        let body = Bytes::from(hostile::review(n));
        let begun = Instant::now();
        let sent = tokio::time::timeout(TIMEOUT * 5, connection.post(&path, body)).await;
        let took = begun.elapsed();
        told.slowest = told.slowest.max(took.as_secs_f64());
        if took > TIMEOUT {
            told.late.push(format!("review {n}: {took:?}"));
        }
        match sent {
            Ok(Ok((status, _))) => {
                told.answered += 1;
                *told.statuses.entry(status).or_default() += 1;
                // After a refusal the rest of the body may still be on its way.
                open = (status == 200).then_some(connection);
            }
            Ok(Err(_)) => told.ended += 1,
            Err(_) => told.late.push(format!("review {n}: no answer")),
        }
    }
}

/// A peer that is no caller; in words, where it was not turned away in time.
async fn peer(target: &Target, n: u64, held: &mut Vec<TcpStream>) -> Option<String> {
    let post = "POST /v1/admit?timeout=1s HTTP/1.1\r\nhost: x\r\n";
    let words = match n % 7 {
        // Half a handshake, kept open.
        0 => {
            if let Ok(mut stream) = TcpStream::connect(target.address()).await {
                let _ = stream
                    .write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
                    .await;
                held.push(stream);
                if held.len() > HELD {
                    held.remove(0);
                }
            }
            return None;
        }
        // A body that does not come, or comes for ever.
        1 => format!("{post}content-length: 1000\r\n\r\n{{"),
        2 => format!("{post}transfer-encoding: chunked\r\n\r\n1\r\n{{\r\n"),
        // No HTTP, or not one that two readers would read alike.
        3 => "\u{0}\u{1}\u{2} what is this\r\n\r\n".to_owned(),
        4 => format!("{post}x: {}\r\n\r\n", "a".repeat(200_000)),
        5 => format!("{post}content-length: 5\r\ncontent-length: 6\r\n\r\n{{}}   "),
        _ => "GET /../../etc/passwd HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_owned(),
    };
    let begun = Instant::now();
    let told = tokio::time::timeout(Duration::from_secs(10), async {
        let mut stream = target.open().await?;
        // It may have been turned away before all was said.
        let _ = stream.write_all(words.as_bytes()).await;
        let _ = stream.flush().await;
        let mut answer = [0; 256];
        let _ = stream.read(&mut answer).await;
        Ok::<_, anyhow::Error>(())
    })
    .await;
    let took = begun.elapsed();
    match told {
        Ok(Ok(())) if took < Duration::from_secs(1) + Duration::from_millis(200) => None,
        Ok(Ok(())) => Some(format!("peer {n} (kind {}): {took:?}", n % 7)),
        Ok(Err(why)) => Some(format!("peer {n} (kind {}): {why:#}", n % 7)),
        Err(_) => Some(format!("peer {n} (kind {}): nothing in 10 s", n % 7)),
    }
}

/// Whether a review that is good is still answered.
pub fn good(target: &Target) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "good", "operation": "CREATE", "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "object": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}}});
    runtime.block_on(async {
        let mut connection = target.connect().await?;
        let body = Bytes::from(review.to_string());
        let (_, answer) = connection.post("/v1/admit?timeout=10s", body).await?;
        let answer: Value = serde_json::from_slice(&answer)?;
        Ok(answer.pointer("/response/uid") == Some(&json!("good")))
    })
}
