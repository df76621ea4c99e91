//! How long a new advisory takes until its findings stand: `rematch FOLDER [DATABASE]`.
//!
//! 10,000 assets in 10 scopes with 500 components each, 20,000 distinct ones, in a fresh store;
//! then one advisory that hits 1 % of the assets and one that hits all, each applied to the store
//! as a feed does, without telling the server, which runs as `serve` runs it.

use bartizan_model::{Asset, AssetUid, Component, Ecosystem, EcosystemKind, Found, TenantId};
use bartizan_server::matching::rows;
use bartizan_server::state::{Clock, SystemClock, SystemRandom};
use bartizan_server::work::Work;
use bartizan_server::{Config, assemble, store_config, vulnerabilities};
use bartizan_store::components::{ComponentAsset, ComponentRow};
use bartizan_store::{Store, StoreError, TenantStore};
use bartizan_vuln::{Advisory, Affected, Record, Span};
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

const ASSETS: usize = 10_000;
const SCOPES: usize = 10;
const EACH: usize = 500;
const DISTINCT: usize = 20_000;
/// Assets that are stored in one transaction.
const BATCH: usize = 100;
/// One asset in so many has the component that few have: 100 in all, over all scopes.
const FEW: usize = 101;

type Failed = Box<dyn Error>;

/// Component `n`: the first is in every asset, the second in few.
fn row(n: usize) -> Result<ComponentRow, Failed> {
    let component = Component {
        purl: format!("pkg:npm/package-{n}@1.{}.0", n % 9).parse()?,
        ecosystem: Ecosystem::of(EcosystemKind::Npm),
        source: None,
        licences: vec!["MIT".to_owned()],
        found: vec![Found {
            path: "/srv/app/package-lock.json".to_owned(),
            layer: None,
        }],
        target: AssetUid::new("cluster:c0")?,
    };
    rows([component])
        .pop()
        .ok_or_else(|| Failed::from("no row"))
}

fn asset(n: usize) -> Result<ComponentAsset, Failed> {
    let scope = format!("cluster:c{}", n % SCOPES);
    Ok(ComponentAsset {
        asset: Asset {
            uid: AssetUid::new(format!("{scope}//Image//image-{n}"))?,
            kind: "Image".to_owned(),
            name: format!("image-{n}"),
            namespace: String::new(),
        },
        scope,
        source: "bench".to_owned(),
        unread: Vec::new(),
    })
}

async fn load(tenant: &TenantStore) -> Result<(), Failed> {
    let all: Vec<ComponentRow> = (0..DISTINCT).map(row).collect::<Result<_, _>>()?;
    let pick = |place: usize| all.get(place).cloned();
    for batch in 0..ASSETS / BATCH {
        let mut made = Vec::with_capacity(BATCH);
        for n in batch * BATCH..(batch + 1) * BATCH {
            let few = n.is_multiple_of(FEW).then_some(1);
            let places = [0].into_iter().chain(few);
            // A stride that is coprime to the pool, so that all of it is used and none twice.
            let pool = DISTINCT - 2;
            let others = (0..).map(|k| 2 + (n * 7 + k * 37) % pool);
            let rows: Vec<ComponentRow> =
                places.chain(others).take(EACH).filter_map(pick).collect();
            made.push((asset(n)?, rows));
        }
        let many: Vec<(&ComponentAsset, &[ComponentRow])> =
            made.iter().map(|(a, r)| (a, r.as_slice())).collect();
        tenant.replace_many(&many, SystemClock.now()).await?;
    }
    Ok(())
}

async fn apply(store: &Store, id: &str, package: usize) -> Result<(), Failed> {
    let name = format!("package-{package}");
    let mut advisory = Advisory::new(id, "bench");
    advisory.aliases = vec![id.replace("GHSA-", "CVE-2026-000")];
    let mut affected = Affected::new(Ecosystem::of(EcosystemKind::Npm), name);
    affected.ranges.push(Span::below("9.0.0"));
    advisory.affected.push(affected);
    let record = Record::Advisory(Box::new(advisory));
    vulnerabilities::apply(store, &[record], SystemClock.now()).await?;
    Ok(())
}

async fn findings(tenant: &TenantStore) -> Result<u64, StoreError> {
    Ok(tenant.active_findings().await?.values().sum())
}

/// Seconds until so many findings stand.
async fn until(tenant: &TenantStore, wanted: u64) -> Result<f64, Failed> {
    let begun = Instant::now();
    while findings(tenant).await? < wanted {
        if begun.elapsed() > Duration::from_secs(600) {
            let stand = findings(tenant).await?;
            return Err(format!("{stand} of {wanted} findings stand after 600 s").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(begun.elapsed().as_secs_f64())
}

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("rematch FOLDER [DATABASE]")?;
    let config = Config {
        data: folder.into(),
        database: arguments.next(),
        ..Config::default()
    };
    let store = Store::open(&store_config(&config), SystemClock.now()).await?;
    let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    let (state, _) = assemble(config, store, clock, random).await?;
    let tenant = state.store.tenant(&TenantId::default_tenant()).await?;
    let begun = Instant::now();
    load(&tenant).await?;
    let links = (ASSETS * EACH) as f64;
    let loaded = begun.elapsed().as_secs_f64();
    println!("links loaded {:.0} links/s", links / loaded);
    let stop = CancellationToken::new();
    let working = tokio::spawn(Work::run(state.clone(), stop.clone()));
    let begun = Instant::now();
    while tenant.has_pending_components().await? {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("first matching {:.2} s", begun.elapsed().as_secs_f64());
    let few = ASSETS.div_ceil(FEW) as u64;
    apply(&state.store, "GHSA-1", 1).await?;
    println!("one percent {:.2} s", until(&tenant, few).await?);
    apply(&state.store, "GHSA-2", 0).await?;
    let all = few + ASSETS as u64;
    println!("all assets {:.2} s", until(&tenant, all).await?);
    println!("findings {} findings", findings(&tenant).await?);
    stop.cancel();
    working.await?;
    Ok(())
}
