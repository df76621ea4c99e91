//! Measures import and the list of findings: `store_bench <url> <objects> [n] [m]`.
//!
//! Imports `n` synthetic results (default 100,000, half of them failing) into one scope, again
//! unchanged, and then as many more scopes as it takes for `m` findings (default 1,000,000);
//! then asks for pages in each order under each filter. Prints lines `name value unit`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used)]

use bartizan_model::report::Line;
use bartizan_model::scan::ScopeKind;
use bartizan_model::*;
use bartizan_store::findings::{FindingAction, FindingFilter, FindingSort};
use bartizan_store::import::ImportPlan;
use bartizan_store::queue::Submission;
use bartizan_store::{Act, Config, PageRequest, Store, TenantStore};
use serde_json::json;
use std::time::Instant;

const CHECKS: usize = 30;
const KINDS: [&str; 8] = [
    "Deployment",
    "Pod",
    "StatefulSet",
    "Job",
    "CronJob",
    "DaemonSet",
    "Service",
    "Role",
];

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn memory(field: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    text.lines()
        .find_map(|l| {
            l.strip_prefix(field)?
                .strip_prefix(':')?
                .split_whitespace()
                .next()?
                .parse::<f64>()
                .ok()
        })
        .unwrap_or(0.0)
        / 1024.0
}

fn check_uid(c: usize) -> CheckUid {
    CheckUid::of("rego", "bartizan", &format!("k8spspcheck{c:03}")).unwrap()
}

/// The lines of one scope's report; made one by one, as a worker would read them.
fn lines(
    scope: ScopeId,
    results: usize,
    fails: impl Fn(usize) -> bool,
) -> impl Iterator<Item = Line> {
    let assets = results.div_ceil(CHECKS);
    let uids: Vec<(AssetUid, &str, String, String)> = (0..assets)
        .map(|a| {
            let kind = KINDS[(a * 7) % KINDS.len()];
            // A few namespaces hold most, as in life; one holds very little.
            let ns = match a % 1000 {
                0 => "rare".to_owned(),
                n => format!("team-{:02}", (n * n) % 47),
            };
            let name = format!("workload-{a:06}");
            (
                AssetUid::kubernetes(&scope, "apps", kind, &ns, &name).unwrap(),
                kind,
                ns,
                name,
            )
        })
        .collect();
    let checks = (0..CHECKS).map(|c| {
        Line::Check(Check {
            uid: check_uid(c),
            title: format!("Containers must not do thing {c}"),
            description: "What is wrong and why it matters, in a sentence or two.".into(),
            severity: Severity::ALL[c % 5],
            remediation: "Set the field.".into(),
            references: vec![],
        })
    });
    let facts: Vec<Line> = uids
        .iter()
        .map(|(uid, kind, ns, name)| {
            let body = json!({"kind": kind, "metadata": {"name": name, "namespace": ns}, "spec": {"containers": [{"name": "web", "image": "shop/web:1.2.3"}]}});
            Line::Observation(Observation {
                asset: Asset { uid: uid.clone(), kind: (*kind).into(), name: name.clone(), namespace: ns.clone() },
                kind: "kubernetes.object".into(),
                digest: Digest::of(body.to_string().as_bytes()),
                body,
                location: Some(Location { file: "apps/shop.yaml".into(), line: 12, column: None }),
            })
        })
        .collect();
    let verdicts = (0..results).map(move |i| {
        let (c, a) = (i / assets, i % assets);
        let (uid, _, _, name) = &uids[a];
        let fail = fails(i);
        Line::Result(CheckResult {
            check: check_uid(c),
            asset: uid.clone(),
            locus: "container:web".into(),
            outcome: if fail { Outcome::Fail } else { Outcome::Pass },
            message: if fail {
                format!(
                    "container web of {name} does thing {c} with value v{}",
                    a % 977
                )
            } else {
                String::new()
            },
            severity: None,
            evidence: if fail {
                vec![Evidence {
                    path: "spec.containers[0].x".into(),
                    actual: Some("true".into()),
                    expected: Some("false".into()),
                }]
            } else {
                vec![]
            },
            location: Some(Location {
                file: "apps/shop.yaml".into(),
                line: 12,
                column: None,
            }),
            suppression: None,
        })
    });
    checks.chain(facts).chain(verdicts)
}

/// Seconds of processor time that this process took so far. PostgreSQL's are not among them.
fn processor() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    (11..13)
        .filter_map(|i| fields.get(i)?.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

struct Bench {
    store: Store,
    tenant: TenantStore,
    n: u64,
}

impl Bench {
    fn salt(&mut self) -> [u8; 32] {
        self.n += 1;
        let mut salt = [0; 32];
        salt[..8].copy_from_slice(&self.n.to_be_bytes());
        salt
    }

    async fn import(
        &mut self,
        scope: &str,
        end: i64,
        results: usize,
        fails: impl Fn(usize) -> bool,
    ) -> f64 {
        let started = Instant::now();
        let salt = self.salt();
        let scan = Scan {
            id: ScanId::new(format!("{scope}-{end}")).unwrap(),
            source: "bartizan/k8s".into(),
            source_version: "1".into(),
            scope: Scope {
                kind: ScopeKind::Cluster,
                name: scope.into(),
            },
            complete: true,
            started: at(end - 5),
            finished: at(end),
            content: vec![],
        };
        let digest = Digest::of(scan.id.as_str().as_bytes());
        let submission = Submission {
            job: JobId::new(format!("job-{}", self.n)).unwrap(),
            kind: "import.report".into(),
            artifact: digest.clone(),
            size: 1,
            media_type: report::MEDIA_TYPE.into(),
            scope: scan.scope.id().unwrap(),
            scan: Some(scan.id.clone()),
            idempotency_key: None,
            payload: json!({}),
        };
        let act = Act {
            at: at(end),
            actor: "bench".into(),
            salt,
        };
        self.tenant.submit(&submission, &act).await.unwrap();
        let claim = self
            .store
            .claim("bench", at(end), 3600)
            .await
            .unwrap()
            .unwrap();
        let scope = scan.scope.id().unwrap();
        let plan = ImportPlan {
            scan,
            artifact: digest,
            total: None,
        };
        let mut import = self
            .tenant
            .import(&claim.lease, plan, at(end))
            .await
            .unwrap();
        let mut n = self.n;
        let mut salts = || {
            n += 1;
            let mut salt = [1; 32];
            salt[..8].copy_from_slice(&n.to_be_bytes());
            salt
        };
        for line in lines(scope, results, fails) {
            import.push(line, at(end), &mut salts).await.unwrap();
        }
        import.finish(at(end), &mut salts).await.unwrap();
        self.n = n;
        results as f64 / started.elapsed().as_secs_f64()
    }
}

fn filters() -> Vec<(&'static str, FindingFilter)> {
    let d = FindingFilter::default;
    let scope = |n: &str| Some(ScopeId::new(format!("cluster:{n}")).unwrap());
    let asset = AssetUid::kubernetes(
        &scope("c003").unwrap(),
        "apps",
        "Deployment",
        "team-17",
        "workload-000008",
    )
    .unwrap();
    vec![
        ("active", d()),
        (
            "all",
            FindingFilter {
                status: vec![],
                ..d()
            },
        ),
        (
            "accepted",
            FindingFilter {
                status: vec![FindingStatus::Accepted],
                ..d()
            },
        ),
        (
            "fixed",
            FindingFilter {
                status: vec![FindingStatus::Fixed],
                ..d()
            },
        ),
        (
            "scope_old",
            FindingFilter {
                scope: scope("c000"),
                ..d()
            },
        ),
        (
            "scope_new",
            FindingFilter {
                scope: scope("c009"),
                ..d()
            },
        ),
        (
            "critical_high",
            FindingFilter {
                severity: vec![Severity::Critical, Severity::High],
                ..d()
            },
        ),
        (
            "check",
            FindingFilter {
                checks: Some(vec![check_uid(7)]),
                ..d()
            },
        ),
        (
            "control",
            FindingFilter {
                checks: Some((20..26).map(check_uid).collect()),
                ..d()
            },
        ),
        (
            "asset",
            FindingFilter {
                asset: Some(asset),
                ..d()
            },
        ),
        (
            "ns_rare",
            FindingFilter {
                namespace: Some("rare".into()),
                ..d()
            },
        ),
        (
            "ns_common",
            FindingFilter {
                namespace: Some("team-16".into()),
                ..d()
            },
        ),
        (
            "kind",
            FindingFilter {
                kind: Some("Role".into()),
                ..d()
            },
        ),
        (
            "kind_check",
            FindingFilter {
                kind: Some("Role".into()),
                checks: Some(vec![check_uid(3)]),
                ..d()
            },
        ),
        (
            "scope_ns_kind",
            FindingFilter {
                scope: scope("c000"),
                namespace: Some("team-16".into()),
                kind: Some("Role".into()),
                ..d()
            },
        ),
        (
            "q_common",
            FindingFilter {
                q: Some("containers".into()),
                ..d()
            },
        ),
        (
            "q_rare",
            FindingFilter {
                q: Some("workload-000123 container".into()),
                ..d()
            },
        ),
        (
            "q_value",
            FindingFilter {
                q: Some("v17".into()),
                ..d()
            },
        ),
        (
            "q_none",
            FindingFilter {
                q: Some("nonesuch".into()),
                ..d()
            },
        ),
    ]
}

fn quantile(times: &[f64], q: f64) -> f64 {
    times[((times.len() as f64 * q) as usize).min(times.len() - 1)]
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let (Some(url), Some(objects)) = (args.get(1), args.get(2)) else {
        eprintln!(
            "usage: store_bench <url> <objects folder> [results, 100000] [findings, 1000000]"
        );
        std::process::exit(2);
    };
    let n: usize = args
        .get(3)
        .map_or(100_000, |v| v.parse().expect("a number"));
    let m: usize = args
        .get(4)
        .map_or(1_000_000, |v| v.parse().expect("a number"));
    let config = Config {
        database: url.clone(),
        objects: objects.clone(),
        data_folder: None,
        connections: 4,
    };
    let store = Store::open(&config, at(0)).await.unwrap();
    let tenant = store.tenant(&TenantId::default_tenant()).await.unwrap();
    let mut bench = Bench {
        store,
        tenant,
        n: 0,
    };
    println!("memory_idle {:.1} MiB", memory("VmRSS"));
    // Without results, what is stored already is asked alone.
    if n > 0 {
        let spent = processor();
        let rate = bench.import("first", 1_000, n, |i| i % 2 == 0).await;
        println!("import_new {rate:.0} results/s");
        println!("import_new_processor {:.2} s", processor() - spent);
        let spent = processor();
        let rate = bench.import("first", 1_100, n, |i| i % 2 == 0).await;
        println!("import_unchanged {rate:.0} results/s");
        println!("import_unchanged_processor {:.2} s", processor() - spent);
        let spent = processor();
        let rate = bench.import("first", 1_200, n, |i| i % 2 == 1).await;
        println!("import_all_changed {rate:.0} results/s");
        println!("import_all_changed_processor {:.2} s", processor() - spent);
        println!("memory_peak {:.1} MiB", memory("VmHWM"));
    }
    let scopes = 10;
    let each = m / scopes;
    if each > 0 {
        let started = Instant::now();
        for s in 0..scopes {
            bench
                .import(&format!("c{s:03}"), 10_000 + 1_000 * s as i64, each, |_| {
                    true
                })
                .await;
        }
        println!(
            "load_failing {:.0} results/s",
            m as f64 / started.elapsed().as_secs_f64()
        );
        // A tenth of one scope is fixed, some are accepted.
        bench.import("c004", 30_000, each, |i| i % 2 == 0).await;
        let mut keys = Vec::new();
        let filter = FindingFilter {
            namespace: Some("rare".into()),
            ..FindingFilter::default()
        };
        let request = PageRequest {
            cursor: None,
            limit: 500,
        };
        for finding in bench
            .tenant
            .findings(&filter, FindingSort::Asset, &request)
            .await
            .unwrap()
            .page
            .items
        {
            keys.push(finding.key);
        }
        let accept = FindingAction::Accept(Acceptance {
            owner: "ana".into(),
            reason: "legacy".into(),
            expires: Some(at(1 << 40)),
        });
        let mut x = 0_u8;
        let mut salts = || {
            x = x.wrapping_add(1);
            [x; 32]
        };
        bench
            .tenant
            .act_on_findings(&keys, &accept, "ana", at(40_000), &mut salts)
            .await
            .ok();
        println!("memory_peak_load {:.1} MiB", memory("VmHWM"));
        if url.starts_with("postgres") && args.get(5).is_none() {
            // What autovacuum does within its minute.
            let pool = sqlx::PgPool::connect(url).await.unwrap();
            let started = Instant::now();
            sqlx::raw_sql("VACUUM (ANALYZE)")
                .execute(&pool)
                .await
                .unwrap();
            println!("vacuum {:.1} s", started.elapsed().as_secs_f64());
        }
    }
    let mut all = Vec::new();
    for (name, filter) in filters() {
        for sort in FindingSort::ALL {
            let mut times = Vec::new();
            let mut cursor = None;
            let (mut total, mut rows) = (None, 0);
            for round in 0..12 {
                let request = PageRequest {
                    cursor: cursor.take(),
                    limit: 50,
                };
                let started = Instant::now();
                let page = bench
                    .tenant
                    .findings(&filter, sort, &request)
                    .await
                    .unwrap();
                times.push(started.elapsed().as_secs_f64() * 1000.0);
                rows = rows.max(page.page.items.len());
                if round == 0 {
                    total = page.page.total;
                }
                cursor = page.page.next_cursor;
            }
            all.extend(times.iter().copied());
            times.sort_by(f64::total_cmp);
            let total = total.unwrap();
            println!(
                "page_{}_{name} p50 {:.1} p99 {:.1} ms total {}{} rows {rows}",
                sort.word(),
                quantile(&times, 0.5),
                quantile(&times, 0.99),
                total.count,
                if total.capped { "+" } else { "" }
            );
        }
        let started = Instant::now();
        bench.tenant.finding_facets(&filter).await.unwrap();
        println!(
            "facets_{name} {:.1} ms",
            started.elapsed().as_secs_f64() * 1000.0
        );
    }
    all.sort_by(f64::total_cmp);
    println!("page_p50 {:.2} ms", quantile(&all, 0.5));
    println!("page_p99 {:.2} ms", quantile(&all, 0.99));
    println!("page_max {:.2} ms", quantile(&all, 1.0));
    println!("memory_end {:.1} MiB", memory("VmRSS"));
}
