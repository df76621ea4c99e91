//! A server on either back end, and short ways to say what a scanner saw.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use bartizan_formats::report::write_report;
use bartizan_model::report::Report;
use bartizan_model::{
    Asset, AssetUid, Check, CheckResult, CheckUid, Digest, Location, Observation, Outcome, Role,
    Scan, ScanId, Scope, Severity, TenantId, Timestamp, UserName,
};
use bartizan_server::limit::Peer;
use bartizan_server::state::{Clock, SystemRandom};
use bartizan_server::work::sequencer::Sequencer;
use bartizan_server::work::{expiry, import};
use bartizan_server::{AppState, Config, assemble, route, store_config};
use bartizan_store::people::{Token, User};
use bartizan_store::{Store, TenantStore};
use serde_json::{Value, json};
use sha2::Digest as _;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

static COUNT: AtomicU64 = AtomicU64::new(0);

pub const FRAMEWORK: &str = r#"
id: demo
title: Demonstration
version: "1"
source: Tests
controls:
  - id: D-1(2)
    title: Nothing privileged
    checks: ["rego/*/privileged"]
  - id: D-2
    title: Limits
    checks: ["rego/*/limits"]
  - id: D-3
    title: Somebody looks
    guidance: Look at it.
"#;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// A clock that stands still until told.
#[derive(Debug)]
pub struct TestClock(AtomicI64);

impl TestClock {
    pub fn set(&self, at: Timestamp) {
        self.0.store(at.micros(), Ordering::SeqCst);
    }

    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

pub struct World {
    pub app: Router,
    pub state: AppState,
    pub clock: Arc<TestClock>,
    pub tenant: TenantStore,
    /// An administrator's token of the default tenant.
    pub token: String,
    pub folder: tempfile::TempDir,
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }
}

pub fn start() -> Timestamp {
    Timestamp::parse("2026-11-21T09:00:00Z").unwrap()
}

/// A database of its own; none when no server is given.
async fn database(backend: Backend) -> Option<Option<String>> {
    if backend == Backend::Sqlite {
        return Some(None);
    }
    let Ok(server) = std::env::var("BARTIZAN_TEST_POSTGRES") else {
        eprintln!("skipped: BARTIZAN_TEST_POSTGRES is not set");
        return None;
    };
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("flow_{}_{n}", std::process::id());
    let pool = sqlx::PgPool::connect(&server).await.unwrap();
    let sql = format!("CREATE DATABASE {name}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .execute(&pool)
        .await
        .unwrap();
    let (root, _) = server.rsplit_once('/').unwrap();
    Some(Some(format!("{root}/{name}")))
}

impl World {
    /// A server whose workers do not run by themselves.
    pub async fn new(backend: Backend) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config {
            data: folder.path().join("data"),
            database: database(backend).await?,
            frameworks: vec![("demo.yaml".to_owned(), Cow::Borrowed(FRAMEWORK.as_bytes()))],
            lease: std::time::Duration::from_secs(30),
            ..Config::default()
        };
        config.limits.upload = 64 << 20;
        for rate in [
            &mut config.limits.per_ip,
            &mut config.limits.per_user,
            &mut config.limits.global,
        ] {
            *rate = 100_000;
        }
        let clock = Arc::new(TestClock(AtomicI64::new(start().micros())));
        let store = Store::open(&store_config(&config), start()).await.unwrap();
        let (state, _) = assemble(config, store, clock.clone(), Arc::new(SystemRandom))
            .await
            .unwrap();
        let tenant = state
            .store
            .tenant(&TenantId::default_tenant())
            .await
            .unwrap();
        let token = token(&state, &tenant, Role::Admin).await;
        Some(Self {
            app: route::router(state.clone()),
            state,
            clock,
            tenant,
            token,
            folder,
        })
    }

    pub async fn send(&self, token: &str, mut request: Request<Body>) -> Answer {
        request
            .extensions_mut()
            .insert(Peer("127.0.0.1:50000".parse().unwrap()));
        let headers = request.headers_mut();
        headers.insert(header::HOST, "127.0.0.1:8000".parse().unwrap());
        let bearer = format!("Bearer {token}").parse().unwrap();
        headers.insert(header::AUTHORIZATION, bearer);
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 256 << 20).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.to_vec(),
        }
    }

    /// GET by the administrator; must be 200.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.fetch(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    pub async fn fetch(&self, path: &str) -> Answer {
        let request = Request::get(format!("/api/v1{path}"));
        self.send(&self.token, request.body(Body::empty()).unwrap())
            .await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, body).await
    }

    pub async fn call(&self, method: Method, path: &str, body: Value) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        self.send(&self.token, request).await
    }

    pub async fn upload(&self, path: &str, headers: &[(&str, &str)], bytes: Vec<u8>) -> Answer {
        let mut request = Request::post(format!("/api/v1{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(&self.token, request.body(Body::from(bytes)).unwrap())
            .await
    }

    /// Hands a report in and imports it; the job as it ended.
    pub async fn import(&self, said: &Said) -> Value {
        // A report comes in after its scan has ended.
        self.clock.set(said.report.scan.finished.plus_seconds(1));
        self.import_bytes(said.bytes(), &[]).await
    }

    pub async fn import_bytes(&self, bytes: Vec<u8>, headers: &[(&str, &str)]) -> Value {
        let answer = self.upload("/artifacts?kind=report", headers, bytes).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        let job = answer.json()["job"].as_str().unwrap().to_owned();
        self.work().await;
        self.get(&format!("/jobs/{job}")).await
    }

    /// Does all queued jobs.
    pub async fn work(&self) {
        let stop = CancellationToken::new();
        while import::work_once(&self.state, "test", &stop).await.unwrap() {}
    }

    /// Lets the clock end what has ended, as a process that has just started.
    pub async fn expire(&self) {
        let mut ended = expiry::Ended::new();
        expiry::once(&self.state, &mut ended, false).await.unwrap();
    }

    /// Sequences all pending entries.
    pub async fn sequence(&self) -> usize {
        self.sequencer().drain(self.state.now()).await.unwrap()
    }

    pub fn sequencer(&self) -> Sequencer {
        Sequencer::new(self.tenant.clone(), Arc::clone(&self.state.work.keys))
    }

    /// Every finding as `asset status`, sorted.
    pub async fn statuses(&self) -> Vec<String> {
        let found = self.get("/findings?status=all&sort=asset").await;
        let mut rows: Vec<String> = found["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| {
                let name = f["asset"]["name"].as_str().unwrap();
                format!("{name} {}", f["status"].as_str().unwrap())
            })
            .collect();
        rows.sort();
        rows
    }
}

/// A user of a tenant and a token of theirs.
pub async fn token(state: &AppState, tenant: &TenantStore, role: Role) -> String {
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = UserName::new(format!("{}-{n}", role.word())).unwrap();
    let user = User {
        name: name.clone(),
        role,
        disabled: false,
        must_change_password: false,
        password_hash: "none".to_owned(),
        created: start(),
        last_login: None,
    };
    tenant.create_user(&user, &state.act("test")).await.unwrap();
    let secret = format!("btz_{n:043}");
    let token = Token {
        id: format!("tok-{n}"),
        name: name.to_string(),
        role,
        owner: name,
        created: start(),
        expires: None,
    };
    let hash: [u8; 32] = sha2::Sha256::digest(secret.as_bytes()).into();
    tenant
        .create_token(&token, &hash, &state.act("test"))
        .await
        .unwrap();
    secret
}

/// A report in the making.
#[derive(Debug, Clone)]
pub struct Said {
    pub report: Report,
}

pub fn check(rule: &str) -> CheckUid {
    CheckUid::of("rego", "test", rule).unwrap()
}

impl Said {
    /// A complete scan of `cluster:<cluster>`, so many minutes after the start.
    pub fn new(id: &str, cluster: &str, minutes: i64) -> Self {
        let finished = start().plus_seconds(minutes * 60);
        let checks = ["limits", "privileged"].map(|rule| Check {
            uid: check(rule),
            title: format!("About {rule}"),
            description: String::new(),
            severity: if rule == "limits" {
                Severity::Medium
            } else {
                Severity::Critical
            },
            remediation: "Mend it.".to_owned(),
            references: Vec::new(),
        });
        Self {
            report: Report {
                scan: Scan {
                    id: ScanId::new(id).unwrap(),
                    source: "bartizan/k8s".to_owned(),
                    source_version: "1".to_owned(),
                    scope: Scope::parse(&format!("cluster:{cluster}")).unwrap(),
                    complete: true,
                    started: finished.plus_seconds(-5),
                    finished,
                    content: Vec::new(),
                },
                checks: checks.to_vec(),
                observations: Vec::new(),
                results: Vec::new(),
            },
        }
    }

    /// A verdict on a Pod in namespace `shop`.
    pub fn saw(mut self, rule: &str, pod: &str, outcome: Outcome) -> Self {
        let scope = self.report.scan.scope.id().unwrap();
        let uid = AssetUid::kubernetes(&scope, "", "Pod", "shop", pod).unwrap();
        let location = Location {
            file: "shop.yaml".to_owned(),
            line: 7,
            column: None,
        };
        if !self.report.observations.iter().any(|o| o.asset.uid == uid) {
            let body = json!({"kind": "Pod", "metadata": {"name": pod}});
            self.report.observations.push(Observation {
                asset: Asset {
                    uid: uid.clone(),
                    kind: "Pod".to_owned(),
                    name: pod.to_owned(),
                    namespace: "shop".to_owned(),
                },
                kind: "kubernetes.object".to_owned(),
                digest: Digest::of(body.to_string().as_bytes()),
                body,
                location: Some(location.clone()),
            });
        }
        self.report.results.push(CheckResult {
            check: check(rule),
            asset: uid,
            locus: String::new(),
            outcome,
            message: format!("{pod} says {rule}"),
            severity: None,
            evidence: Vec::new(),
            location: Some(location),
            suppression: None,
        });
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        write_report(Vec::new(), &self.report).unwrap().0
    }
}

/// `n` Pods, each failing `privileged` when its number is even and passing `limits`.
pub fn crowd(id: &str, n: usize) -> Said {
    let mut said = Said::new(id, "prod", 1);
    let scope = said.report.scan.scope.id().unwrap();
    for i in 0..n {
        for rule in ["limits", "privileged"] {
            let fails = rule == "privileged" && i % 2 == 0;
            said.report.results.push(CheckResult {
                check: check(rule),
                asset: AssetUid::kubernetes(&scope, "", "Pod", "shop", &format!("pod-{i}"))
                    .unwrap(),
                locus: "container:main".to_owned(),
                outcome: if fails { Outcome::Fail } else { Outcome::Pass },
                message: if fails {
                    "it is privileged".to_owned()
                } else {
                    String::new()
                },
                severity: None,
                evidence: Vec::new(),
                location: None,
                suppression: None,
            });
        }
    }
    said
}

/// A test on both back ends: `both!(name, async |world| …)`.
#[macro_export]
macro_rules! both {
    ($name:ident, $body:expr) => {
        mod $name {
            use super::*;
            use $crate::support::Backend;

            async fn run(backend: Backend) {
                let Some(world) = World::new(backend).await else {
                    return;
                };
                let body: fn(World) -> _ = $body;
                body(world).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                run(Backend::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                run(Backend::Postgres).await;
            }
        }
    };
}
