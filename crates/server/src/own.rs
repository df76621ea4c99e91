//! What a tenant runs, out of its components, matches and findings, for questions.

use crate::matching::{Kept, results};
use bartizan_ask::own::{Inventory, Matches, Own, OwnMatch, Standing};
use bartizan_model::{FindingKey, FindingStatus, TenantId};
use bartizan_store::components::{AffectedRow, Cursor};
use bartizan_store::{PageRequest, Store, StoreError, TenantStore};
use bartizan_vuln::matching;
use std::time::Duration;
use tokio::runtime::Handle;

/// One question to the store may take this long.
const PATIENCE: Duration = Duration::from_secs(10);

/// The store's tenants. Blocks, so it is not for async threads.
pub struct StoreOwn {
    store: Store,
    runtime: Handle,
}

impl StoreOwn {
    /// Over a store; `runtime` runs its queries and is not the calling thread's.
    pub fn new(store: Store, runtime: Handle) -> Self {
        Self { store, runtime }
    }

    /// What goes wrong is in the log; the asker is told that it did.
    fn ask<T>(
        &self,
        tenant: &TenantId,
        work: impl AsyncFnOnce(&Store, TenantStore) -> Result<T, StoreError>,
    ) -> Result<T, String> {
        let answer = self.runtime.block_on(async {
            let work = async { work(&self.store, self.store.tenant(tenant).await?).await };
            tokio::time::timeout(PATIENCE, work).await
        });
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                tracing::error!(%error, "an inventory could not be read for a question");
                Err("your inventory could not be read".to_owned())
            }
            Err(_) => Err(format!(
                "your inventory could not be read within {} s",
                PATIENCE.as_secs()
            )),
        }
    }
}

impl Own for StoreOwn {
    fn inventory(&self, tenant: &TenantId) -> Result<Inventory, String> {
        self.ask(tenant, async |store, tenant| {
            let size = tenant.inventory_size().await?;
            let mut gaps = Vec::new();
            if size.partial > 0 {
                gaps.push(format!(
                    "the inventory of {} of your assets is not whole; what could not be read may \
                     hide anything",
                    size.partial
                ));
            }
            if size.unmatched > 0 {
                gaps.push(format!(
                    "{} of your components were not held against advisories yet",
                    size.unmatched
                ));
            }
            if tenant.match_cursor(Cursor::Records).await?
                < store.vulnerabilities().latest().await?
            {
                gaps.push(
                    "the newest records were not held against your components yet".to_owned(),
                );
            }
            Ok(Inventory {
                assets: size.assets,
                components: size.components,
                gaps,
            })
        })
    }

    fn vulnerabilities(&self, tenant: &TenantId, most: usize) -> Result<Vec<String>, String> {
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        self.ask(tenant, async |_, tenant| {
            tenant.vulnerabilities_held(most).await
        })
    }

    fn matches(&self, tenant: &TenantId, names: &[String], most: usize) -> Result<Matches, String> {
        let id = tenant;
        self.ask(tenant, async |_, tenant| {
            let held = tenant.held_of(names).await?;
            let mut matches = Matches {
                listed: Vec::new(),
                total: held.values().sum(),
            };
            for name in names.iter().filter(|name| held.contains_key(*name)) {
                let left = most.saturating_sub(matches.listed.len());
                if left == 0 {
                    break;
                }
                let page = PageRequest {
                    cursor: None,
                    limit: u32::try_from(left).unwrap_or(u32::MAX),
                };
                let page = tenant.affected(name, &page).await?;
                matches
                    .listed
                    .extend(listed(id, &tenant, &page.items).await?);
            }
            Ok(matches)
        })
    }
}

fn corrupt(error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("a stored match: {error}"))
}

async fn listed(
    id: &TenantId,
    tenant: &TenantStore,
    rows: &[AffectedRow],
) -> Result<Vec<OwnMatch>, StoreError> {
    let (mut all, mut keys) = (Vec::new(), Vec::new());
    for row in rows {
        let kept: Kept = serde_json::from_str(&row.body).map_err(corrupt)?;
        let asset = &row.asset.asset.asset.uid;
        let vulnerability = &kept.matched.vulnerability;
        let key = results::key(id, vulnerability, asset, &row.part.component);
        keys.push(key.map_err(corrupt)?);
        all.push((row, kept));
    }
    let states = tenant.finding_states(&keys).await?;
    let all = all.into_iter().zip(keys);
    Ok(all
        .map(|((row, kept), key)| {
            let status = states.get(&key).copied();
            told(row, kept, status.map(|status| (key, status)))
        })
        .collect())
}

fn told(row: &AffectedRow, kept: Kept, finding: Option<(FindingKey, FindingStatus)>) -> OwnMatch {
    let asset = &row.asset.asset.asset;
    let decided = match finding.as_ref().map(|(_, status)| *status) {
        Some(FindingStatus::Accepted) => "its finding is accepted",
        Some(FindingStatus::FalsePositive) => "somebody judged its finding a false positive",
        Some(FindingStatus::Fixed) => "its finding was closed and is not reported again yet",
        Some(FindingStatus::Open | FindingStatus::Reopened) | None => "",
    };
    let others = kept.matched.others().map(str::to_owned);
    let names = std::iter::once(kept.matched.vulnerability.clone()).chain(others);
    OwnMatch {
        names: names.collect(),
        asset: format!("{} {} ({})", asset.kind, asset.name, row.asset.asset.scope),
        uid: asset.uid.to_string(),
        package: row.part.component.name().into_owned(),
        version: row.part.component.version().map(Into::into),
        standing: match kept.matched.standing {
            matching::Standing::Affected => Standing::Affected,
            matching::Standing::Unknown { why } => Standing::Unknown(why),
            matching::Standing::Excused { by, why } => Standing::Excused(format!("{by}: {why}")),
        },
        fixed: kept.matched.fixed,
        finding: finding.map(|(key, _)| key.to_string()),
        decided: decided.to_owned(),
    }
}
