//! Components matched when they or what is said of them is new.
//!
//! A cursor rises only after the matches of all that it passes are kept, so a crash between the
//! two repeats work and never passes over a change.

use super::MatchingError;
use super::judge::judge;
use bartizan_model::Component;
use bartizan_store::TenantStore;
use bartizan_store::components::{Cursor, MatchRow, Matched, Part};
use bartizan_store::vulnerabilities::{Changed, RecordKind};
use std::collections::{BTreeMap, BTreeSet};

/// Changes that are followed at once.
const CHANGES: u32 = 4_000;
/// Components that are matched at once.
const PARTS: u32 = 2_000;

/// Matches what is new; whether there was anything.
pub async fn follow(tenant: &TenantStore) -> Result<bool, MatchingError> {
    let mut worked = false;
    let known = tenant.store().vulnerabilities();
    loop {
        let cursor = tenant.match_cursor(Cursor::Records).await?;
        let changed = known.changed_since(cursor, CHANGES).await?;
        let Some(last) = changed.last().map(|c| c.seq) else {
            break;
        };
        worked = true;
        again(tenant, touched(tenant, &changed).await?, last).await?;
        tenant.set_match_cursor(Cursor::Records, last).await?;
    }
    loop {
        // A score alone hits nobody, but changes what comes first and why.
        let cursor = tenant.match_cursor(Cursor::Epss).await?;
        let moved = known.epss_since(cursor, CHANGES).await?;
        let Some(last) = moved.last().map(|(seq, _)| *seq) else {
            break;
        };
        worked = true;
        let seq = known.latest().await?;
        let about = moved.into_iter().map(|(_, cve)| cve).collect();
        again(tenant, hit(tenant, about).await?, seq).await?;
        tenant.set_match_cursor(Cursor::Epss, last).await?;
    }
    loop {
        // Asked before: what changes meanwhile is followed by the cursor.
        let seq = known.latest().await?;
        let fresh = tenant.unmatched(PARTS).await?;
        if fresh.is_empty() {
            return Ok(worked);
        }
        worked = true;
        matched(tenant, &fresh, seq).await?;
    }
}

async fn again(
    tenant: &TenantStore,
    parts: BTreeMap<i64, Part>,
    seq: i64,
) -> Result<(), MatchingError> {
    let parts: Vec<Part> = parts.into_values().collect();
    for some in parts.chunks(PARTS as usize) {
        matched(tenant, some, seq).await?;
    }
    Ok(())
}

async fn matched(tenant: &TenantStore, parts: &[Part], seq: i64) -> Result<(), MatchingError> {
    let components: Vec<Component> = parts.iter().map(|p| p.component.clone()).collect();
    let judged = judge(tenant.store(), &components).await?;
    let mut all = Vec::with_capacity(parts.len());
    for (part, kept) in parts.iter().zip(judged) {
        let mut rows = Vec::with_capacity(kept.len());
        for kept in kept {
            rows.push(MatchRow {
                vulnerability: kept.matched.vulnerability.clone(),
                body: serde_json::to_string(&kept).map_err(bartizan_store::StoreError::from)?,
            });
        }
        all.push(Matched {
            part: part.id,
            rows,
        });
    }
    tenant.record_matches(&all, seq).await?;
    Ok(())
}

/// The components that changed records speak of, or spoke of.
async fn touched(
    tenant: &TenantStore,
    changed: &[Changed],
) -> Result<BTreeMap<i64, Part>, MatchingError> {
    let of = |kind: RecordKind| {
        changed
            .iter()
            .filter(move |c| c.kind == kind)
            .map(|c| c.key.clone())
    };
    let known = tenant.store().vulnerabilities();
    let advisories: Vec<String> = of(RecordKind::Advisory).collect();
    let packages: Vec<(String, String)> =
        known.packages_of(&advisories).await?.into_iter().collect();
    let mut parts: BTreeMap<i64, Part> = tenant
        .components_with(&packages)
        .await?
        .into_iter()
        .map(|part| (part.id, part))
        .collect();
    // A record that rates or excuses touches what it is about: `cve/ID`, `kev/ID`, `vex/ID/…`.
    let about: BTreeSet<String> = [RecordKind::Cve, RecordKind::Kev, RecordKind::Vex]
        .into_iter()
        .flat_map(of)
        .filter_map(|key| key.split('/').nth(1).map(str::to_owned))
        .collect();
    parts.extend(hit(tenant, about).await?);
    Ok(parts)
}

/// The components that vulnerabilities are said of, by any of their names: a statement may call by
/// its GHSA what is kept by its CVE.
async fn hit(
    tenant: &TenantStore,
    about: BTreeSet<String>,
) -> Result<BTreeMap<i64, Part>, MatchingError> {
    let about: Vec<String> = about.into_iter().collect();
    let known = tenant.store().vulnerabilities();
    let names = known.named_together(&about).await?;
    let names: Vec<String> = names.into_iter().flatten().collect();
    let hit = tenant.parts_hit_any(&names).await?;
    let hit: Vec<i64> = hit.into_iter().collect();
    let parts = tenant.parts(&hit).await?;
    Ok(parts.into_iter().map(|part| (part.id, part)).collect())
}
