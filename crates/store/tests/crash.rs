//! The process is killed at every named write point; what follows must end as if it had not
//! been. The test starts itself as the process that dies.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs
)]

use bartizan_model::report::Line;
use bartizan_model::scan::ScopeKind;
use bartizan_model::*;
use bartizan_store::audit::{AuditFilter, LedgerState};
use bartizan_store::import::ImportPlan;
use bartizan_store::queue::{NewJob, Submission};
use bartizan_store::{Act, Config, PageRequest, Store, TenantStore, fault};
use bytes::Bytes;
use serde_json::json;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn act(n: u8) -> Act {
    Act {
        at: at(1),
        actor: "ana".into(),
        salt: [n; 32],
    }
}

/// One of two scans of the same scope; the second fixes, reopens nothing and misses some.
fn report(n: usize) -> (Scan, Vec<Line>) {
    let scope = Scope {
        kind: ScopeKind::Cluster,
        name: "prod".into(),
    };
    let scan = Scan {
        id: ScanId::new(format!("scan-{n}")).unwrap(),
        source: "bartizan/k8s".into(),
        source_version: "1".into(),
        scope: scope.clone(),
        complete: true,
        started: at(10),
        finished: at(100 * (n as i64 + 1)),
        content: vec![],
    };
    let mut lines = Vec::new();
    let uid = |i: usize| AssetUid::new(format!("cluster:prod//Pod/ns/pod-{i:05}")).unwrap();
    let assets = 5_000 - 700 * n;
    for i in 0..assets {
        lines.push(Line::Observation(Observation {
            asset: Asset {
                uid: uid(i),
                kind: "Pod".into(),
                name: format!("pod-{i:05}"),
                namespace: "ns".into(),
            },
            kind: "kubernetes.object".into(),
            digest: Digest::of(&[i as u8, n as u8]),
            body: json!({"i": i, "n": n}),
            location: None,
        }));
    }
    for check in ["a", "b"] {
        for i in 0..assets {
            lines.push(Line::Result(CheckResult {
                check: CheckUid::of("rego", "x", check).unwrap(),
                asset: uid(i),
                locus: String::new(),
                outcome: if (i + n).is_multiple_of(3) {
                    Outcome::Fail
                } else {
                    Outcome::Pass
                },
                message: String::new(),
                severity: None,
                evidence: vec![],
                location: None,
                suppression: None,
            }));
        }
    }
    (scan, lines)
}

/// All that a server does, each step only if it was not done before.
async fn life(config: &Config, clock: i64) {
    let store = Store::open(config, at(0)).await.unwrap();
    let tenant = store.tenant(&TenantId::default_tenant()).await.unwrap();
    let mut x = 0_u64;
    let mut salts = move || {
        x += 1;
        let mut salt = [0; 32];
        salt[..8].copy_from_slice(&x.to_be_bytes());
        salt
    };
    for n in 0..2 {
        let (scan, _) = report(n);
        let body = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from(format!("{n}")))]);
        let stored = tenant.objects().put_artifact(body, 10, None).await.unwrap();
        let submission = Submission {
            job: JobId::new(format!("job-{n}")).unwrap(),
            kind: "import.report".into(),
            artifact: stored.digest.clone(),
            size: stored.size,
            media_type: report::MEDIA_TYPE.into(),
            scope: scan.scope.id().unwrap(),
            scan: Some(scan.id.clone()),
            idempotency_key: None,
            payload: json!({}),
        };
        tenant.submit(&submission, &act(n as u8)).await.unwrap();
        work(&store, &tenant, clock, &mut salts).await;
    }
    let id = JobId::new("other").unwrap();
    if tenant.job(&id).await.unwrap().is_none() {
        let job = NewJob {
            id,
            kind: "other".into(),
            lane: String::new(),
            artifact: None,
            payload: json!({}),
            max_attempts: 9,
        };
        tenant.enqueue(&job, at(clock)).await.unwrap();
    }
    work(&store, &tenant, clock, &mut salts).await;
    let filter = AuditFilter {
        action: Some("user.changed".into()),
        ..AuditFilter::default()
    };
    let told = tenant
        .audit(&filter, &PageRequest::default())
        .await
        .unwrap();
    if told.items.is_empty() {
        tenant
            .append_audit(&act(9), "user.changed", "ana", json!({}))
            .await
            .unwrap();
    }
    sequence(&tenant).await;
    store.close().await;
}

/// Stands for the server's worker: does what waits, whoever queued it.
async fn work(
    store: &Store,
    tenant: &TenantStore,
    clock: i64,
    salts: &mut (dyn FnMut() -> [u8; 32] + Send),
) {
    while let Some(claim) = store.claim("w", at(clock), 30).await.unwrap() {
        let Some(n) = claim.job.id.as_str().strip_prefix("job-") else {
            store.complete(&claim.lease, at(clock)).await.unwrap();
            continue;
        };
        let (scan, lines) = report(n.parse().unwrap());
        let plan = ImportPlan {
            scan,
            artifact: claim.job.artifact.clone().unwrap(),
            total: None,
        };
        let mut import = tenant.import(&claim.lease, plan, at(clock)).await.unwrap();
        for line in lines {
            import.push(line, at(clock), salts).await.unwrap();
        }
        import.finish(at(clock), salts).await.unwrap();
    }
}

/// Stands for the server's sequencer: tiles first, then the state.
async fn sequence(tenant: &TenantStore) {
    loop {
        let state = tenant.ledger_state().await.unwrap();
        let pending = tenant.pending_audit(4_000).await.unwrap();
        if pending.is_empty() {
            return;
        }
        let size = state.as_ref().map_or(0, |s| s.size) + pending.len() as u64;
        let path = format!("tile/entries/{:03}", size / 4_000);
        tenant
            .objects()
            .put_ledger(&path, Bytes::from(pending[0].entry_id.clone()))
            .await
            .unwrap();
        let next = LedgerState {
            size,
            root: vec![1; 32],
            checkpoint: format!("{size}"),
            at: at(1),
        };
        let seqs: Vec<i64> = pending.iter().map(|p| p.seq).collect();
        tenant
            .commit_ledger(state.as_ref(), &next, &seqs)
            .await
            .unwrap();
    }
}

static HITS: AtomicU32 = AtomicU32::new(0);

/// The process that dies: not a test of its own, see `die_and_rise`.
#[tokio::test]
#[ignore = "started by the other tests"]
async fn child() {
    let var = |name: &str| std::env::var(name).unwrap();
    let config = Config {
        database: var("CRASH_DATABASE"),
        objects: var("CRASH_OBJECTS"),
        data_folder: None,
        connections: 3,
    };
    fault::install(|name| {
        let wanted = std::env::var("CRASH_POINT").unwrap_or_default();
        let nth: u32 = std::env::var("CRASH_NTH")
            .unwrap_or_default()
            .parse()
            .unwrap_or(1);
        if wanted == name && HITS.fetch_add(1, Ordering::Relaxed) + 1 == nth {
            Command::new("kill")
                .args(["-9", &std::process::id().to_string()])
                .status()
                .unwrap();
            std::thread::sleep(std::time::Duration::from_secs(60));
        }
    });
    life(&config, var("CRASH_CLOCK").parse().unwrap()).await;
}

fn run_child(config: &Config, point: &str, nth: u32, clock: i64) -> bool {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--quiet"])
        .env("CRASH_DATABASE", &config.database)
        .env("CRASH_OBJECTS", &config.objects)
        .env("CRASH_POINT", point)
        .env("CRASH_NTH", nth.to_string())
        .env("CRASH_CLOCK", clock.to_string())
        .output()
        .unwrap()
        .status
        .success()
}

async fn end_state(config: &Config) -> (String, Vec<String>) {
    let store = Store::open(config, at(0)).await.unwrap();
    let tenant = store.tenant(&TenantId::default_tenant()).await.unwrap();
    let mut indices = Vec::new();
    let size = tenant.ledger_state().await.unwrap().unwrap().size;
    for index in 0..size {
        if index % 500 == 0 || index + 1 == size {
            let row = tenant.audit_at(index).await.unwrap().unwrap();
            indices.push(row.entry_id);
        }
    }
    assert_eq!(tenant.pending_audit_count().await.unwrap(), 0);
    let dump = tenant.dump_state().await.unwrap();
    store.close().await;
    (dump, indices)
}

async fn die_and_rise(make: impl AsyncFn(usize) -> Config) {
    let calm = make(0).await;
    assert!(run_child(&calm, "", 1, 1_000));
    let (want, leaves) = end_state(&calm).await;
    assert!(want.lines().count() > 15_000, "{}", want.lines().count());
    let points = fault::WRITE_POINTS
        .iter()
        .flat_map(|point| [(*point, 1), (*point, 2)])
        // These are passed once in a life.
        .filter(|(p, nth)| !(*nth == 2 && (p.starts_with("job.") || p.starts_with("audit."))));
    for (i, (point, nth)) in points.enumerate() {
        let config = make(i + 1).await;
        assert!(
            !run_child(&config, point, nth, 1_000),
            "{point} {nth} was not passed"
        );
        assert!(run_child(&config, "", 1, 2_000), "{point} {nth}: no rise");
        let (got, got_leaves) = end_state(&config).await;
        assert!(got == want, "{point} {nth}: another end state");
        assert_eq!(got_leaves.len(), leaves.len(), "{point} {nth}");
    }
}

#[tokio::test]
async fn killed_at_every_write_point_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    die_and_rise(async |i| {
        let base = folder.path().join(i.to_string());
        Config {
            data_folder: None,
            ..Config::embedded(base)
        }
    })
    .await;
}

#[tokio::test]
async fn killed_at_every_write_point_postgres() {
    let Ok(server) = std::env::var("BARTIZAN_TEST_POSTGRES") else {
        eprintln!(
            "skipped killed_at_every_write_point_postgres: BARTIZAN_TEST_POSTGRES is not set"
        );
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let pool = sqlx::PgPool::connect(&server).await.unwrap();
    let (root, _) = server.rsplit_once('/').unwrap();
    let name = format!("crash_{}", std::process::id());
    die_and_rise(async |i| {
        // One database, made anew for each death.
        for sql in [
            format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
            format!("CREATE DATABASE {name}"),
        ] {
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
                .execute(&pool)
                .await
                .unwrap();
        }
        Config {
            database: format!("{root}/{name}"),
            objects: folder.path().join(i.to_string()).display().to_string(),
            data_folder: None,
            connections: 3,
        }
    })
    .await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "DROP DATABASE {name} WITH (FORCE)"
    )))
    .execute(&pool)
    .await
    .unwrap();
}
