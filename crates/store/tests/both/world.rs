//! A store to test on, and short ways to say what a scanner saw.

use bartizan_model::report::Line;
use bartizan_model::scan::ScopeKind;
use bartizan_model::*;
use bartizan_store::import::{ImportPlan, ImportSummary};
use bartizan_store::queue::{Claim, Submission, Submitted};
use bartizan_store::{Act, Config, Store, StoreError, TenantStore};
use serde_json::json;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;

static COUNT: AtomicU64 = AtomicU64::new(0);

/// An open store in a folder and, maybe, a database of its own.
pub struct World {
    pub store: Store,
    pub tenant: TenantStore,
    pub config: Config,
    pub database: Option<(String, String)>,
    #[allow(dead_code)]
    pub folder: TempDir,
}

/// Seconds since the epoch.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

/// A source of salts that never repeats.
pub fn salts() -> impl FnMut() -> [u8; 32] + Send {
    || {
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let mut salt = [7; 32];
        salt[..8].copy_from_slice(&n.to_be_bytes());
        salt
    }
}

pub fn act(actor: &str, seconds: i64) -> Act {
    Act {
        at: at(seconds),
        actor: actor.to_owned(),
        salt: salts()(),
    }
}

pub async fn drop_database(database: Option<(String, String)>) {
    if let Some((server, name)) = database {
        let pool = sqlx::PgPool::connect(&server).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
            "DROP DATABASE IF EXISTS {name} WITH (FORCE)"
        )))
        .execute(&pool)
        .await
        .unwrap();
    }
}

impl World {
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::embedded(folder.path().join("data"));
        Self::with(config, None, folder).await
    }

    pub async fn postgres(test: &str) -> Option<Self> {
        let Ok(server) = std::env::var("BARTIZAN_TEST_POSTGRES") else {
            eprintln!("skipped {test}: BARTIZAN_TEST_POSTGRES is not set");
            return None;
        };
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("store_{}_{n}", std::process::id());
        let pool = sqlx::PgPool::connect(&server).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&pool)
            .await
            .unwrap();
        let (base, query) = server.split_once('?').unwrap_or((&server, ""));
        let (root, _) = base.rsplit_once('/').unwrap();
        let query = if query.is_empty() {
            String::new()
        } else {
            format!("?{query}")
        };
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            database: format!("{root}/{name}{query}"),
            objects: folder.path().join("objects").display().to_string(),
            data_folder: None,
            connections: 6,
        };
        Some(Self::with(config, Some((server.clone(), name)), folder).await)
    }

    async fn with(config: Config, database: Option<(String, String)>, folder: TempDir) -> Self {
        let store = Store::open(&config, at(0)).await.unwrap();
        let tenant = store.tenant(&TenantId::default_tenant()).await.unwrap();
        Self {
            store,
            tenant,
            config,
            database,
            folder,
        }
    }

    /// Hands a report in.
    pub async fn submit(&self, said: &Said, key: Option<&str>) -> Result<Submitted, StoreError> {
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let submission = Submission {
            job: JobId::new(format!("job-{n}")).unwrap(),
            kind: "import.report".into(),
            artifact: said.digest(),
            size: 10,
            media_type: report::MEDIA_TYPE.into(),
            scope: said.scan.scope.id().unwrap(),
            scan: Some(said.scan.id.clone()),
            idempotency_key: key.map(str::to_owned),
            payload: json!({}),
        };
        self.tenant.submit(&submission, &act("ana", 5)).await
    }

    pub async fn claim(&self, seconds: i64) -> Claim {
        self.store
            .claim("w", at(seconds), 60)
            .await
            .unwrap()
            .expect("a job waits")
    }

    /// Imports under a claimed job.
    pub async fn run(&self, claim: &Claim, said: &Said) -> Result<ImportSummary, StoreError> {
        let plan = ImportPlan {
            scan: said.scan.clone(),
            artifact: said.digest(),
            total: Some(said.lines.len() as u64),
        };
        let mut salts = salts();
        let mut import = self.tenant.import(&claim.lease, plan, at(6)).await?;
        for line in said.lines.clone() {
            import.push(line, at(6), &mut salts).await?;
        }
        import.finish(at(7), &mut salts).await
    }

    /// Hands in and imports.
    pub async fn import(&self, said: &Said) -> ImportSummary {
        self.submit(said, None).await.unwrap();
        let claim = self.claim(6).await;
        self.run(&claim, said).await.unwrap()
    }

    pub async fn reopen(&self) -> Self {
        self.store.close().await;
        let store = Store::open(&self.config, at(0)).await.unwrap();
        let tenant = store.tenant(&TenantId::default_tenant()).await.unwrap();
        Self {
            store,
            tenant,
            config: self.config.clone(),
            database: self.database.clone(),
            folder: tempfile::tempdir().unwrap(),
        }
    }
}

/// What a scanner says.
#[derive(Clone)]
pub struct Said {
    pub scan: Scan,
    pub lines: Vec<Line>,
}

pub fn scope(name: &str) -> ScopeId {
    Scope {
        kind: ScopeKind::Cluster,
        name: name.into(),
    }
    .id()
    .unwrap()
}

pub fn check(name: &str) -> CheckUid {
    CheckUid::of("rego", "bartizan", name).unwrap()
}

pub fn uid(scope_name: &str, name: &str) -> AssetUid {
    let (ns, kind) = (format!("ns-{}", name.len() % 3), "Pod");
    AssetUid::kubernetes(&scope(scope_name), "", kind, &ns, name).unwrap()
}

pub fn key(scope_name: &str, check_name: &str, name: &str) -> FindingKey {
    FindingKey::of(
        &TenantId::default_tenant(),
        &check(check_name),
        &uid(scope_name, name),
        "",
    )
}

pub fn unknown(why: &str) -> Outcome {
    Outcome::Unknown { why: why.into() }
}

/// A scan of a scope: its id, its end, and `(check, asset, outcome)`.
pub fn said(id: &str, scope_name: &str, end: i64, results: &[(&str, &str, Outcome)]) -> Said {
    let scan = Scan {
        id: ScanId::new(id).unwrap(),
        source: "bartizan/k8s".into(),
        source_version: "1".into(),
        scope: Scope {
            kind: ScopeKind::Cluster,
            name: scope_name.into(),
        },
        complete: true,
        started: at(end - 1),
        finished: at(end),
        content: vec![],
    };
    let mut lines = Vec::new();
    let mut checks: Vec<&str> = results.iter().map(|r| r.0).collect();
    checks.sort_unstable();
    checks.dedup();
    for name in checks {
        lines.push(Line::Check(Check {
            uid: check(name),
            title: format!("The title of {name}"),
            description: "Words.".into(),
            severity: severity_of(name),
            remediation: "Do better.".into(),
            references: vec!["https://example.org/a".into()],
        }));
    }
    let mut assets: Vec<&str> = results.iter().map(|r| r.1).collect();
    assets.sort_unstable();
    assets.dedup();
    for name in assets {
        let asset_uid = uid(scope_name, name);
        let body = json!({"name": name});
        lines.push(Line::Observation(Observation {
            asset: Asset {
                uid: asset_uid,
                kind: "Pod".into(),
                name: name.into(),
                namespace: format!("ns-{}", name.len() % 3),
            },
            kind: "kubernetes.object".into(),
            digest: Digest::of(body.to_string().as_bytes()),
            body,
            location: Some(Location {
                file: "a.yaml".into(),
                line: 3,
                column: None,
            }),
        }));
    }
    for (check_name, name, outcome) in results {
        lines.push(Line::Result(CheckResult {
            check: check(check_name),
            asset: uid(scope_name, name),
            locus: String::new(),
            outcome: outcome.clone(),
            message: match outcome {
                Outcome::Fail => format!("{name} breaks {check_name}"),
                _ => String::new(),
            },
            severity: None,
            evidence: vec![],
            location: None,
            suppression: None,
        }));
    }
    Said { scan, lines }
}

/// `critical-…` is critical, and so on; else medium.
fn severity_of(name: &str) -> Severity {
    name.split('-')
        .next()
        .and_then(Severity::parse)
        .unwrap_or_default()
}

impl Said {
    pub fn digest(&self) -> Digest {
        Digest::of(
            serde_json::to_string(&(&self.scan, &self.lines))
                .unwrap()
                .as_bytes(),
        )
    }

    pub fn partial(mut self) -> Self {
        self.scan.complete = false;
        self
    }

    pub fn suppress(mut self, name: &str, reason: &str) -> Self {
        for line in &mut self.lines {
            if let Line::Result(r) = line
                && r.asset.as_str().ends_with(name)
            {
                r.suppression = Some(Suppression {
                    by: "annotation".into(),
                    reason: reason.into(),
                });
            }
        }
        self
    }
}
