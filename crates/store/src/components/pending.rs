//! What is to be derived again, and what was reported of an asset.

use super::read::ASKED;
use super::short;
use crate::bulk::Bulk;
use crate::db::{Tx, args, holes};
use crate::{Result, TenantStore};
use std::collections::{BTreeMap, BTreeSet};

/// Marks at a time, for batches of a bounded size.
const MOST: u32 = 20_000;

/// A mark.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pending {
    /// The asset's number.
    pub asset: i64,
    /// The vulnerability; empty for all of the asset's.
    pub vulnerability: String,
    /// Which mark it was: a later one stays when this one is done.
    pub mark: i64,
}

/// What was reported, or is to be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hit {
    /// The asset's number.
    pub asset: i64,
    /// The vulnerability.
    pub vulnerability: String,
    /// The place within the asset.
    pub locus: String,
    /// Tells one report of it from another; see [`Hit::digest`].
    pub digest: Vec<u8>,
}

impl Hit {
    /// A digest of what is reported.
    pub fn digest(said: &str) -> Vec<u8> {
        short(&[said])
    }
}

impl TenantStore {
    pub(super) async fn mark(&self, tx: &mut Tx, marks: &[(i64, &str)]) -> Result<()> {
        if marks.is_empty() {
            return Ok(());
        }
        let mark = tx.take(self.t, "component_mark", 1).await?;
        let mut bulk = Bulk::new("iiti");
        for (asset, vulnerability) in marks {
            bulk.push(args![self.t, *asset, *vulnerability, mark]);
        }
        bulk.run(
            tx,
            "INSERT INTO comp_pending (tenant, asset, vulnerability, mark)",
            "ON CONFLICT (tenant, asset, vulnerability) DO UPDATE SET mark = excluded.mark",
        )
        .await?;
        Ok(())
    }

    /// Marks vulnerabilities for all who have one of their components.
    pub(super) async fn mark_holders(
        &self,
        tx: &mut Tx,
        changed: &BTreeMap<String, Vec<i64>>,
    ) -> Result<()> {
        if changed.is_empty() {
            return Ok(());
        }
        let mark = tx.take(self.t, "component_mark", 1).await?;
        for (vulnerability, parts) in changed {
            self.mark_holders_of(tx, vulnerability, parts, mark).await?;
        }
        Ok(())
    }

    async fn mark_holders_of(
        &self,
        tx: &mut Tx,
        vulnerability: &str,
        parts: &[i64],
        mark: i64,
    ) -> Result<()> {
        for parts in parts.chunks(ASKED) {
            let mut args = args![self.t, vulnerability, mark];
            let places = holes(&mut args, parts.iter().copied());
            tx.exec(
                &format!(
                    "INSERT INTO comp_pending (tenant, asset, vulnerability, mark) \
                     SELECT DISTINCT l.tenant, l.asset, CAST($2 AS TEXT), CAST($3 AS BIGINT) \
                     FROM comp_links l WHERE l.tenant = $1 AND l.part IN ({places}) \
                     ON CONFLICT (tenant, asset, vulnerability) DO UPDATE SET mark = excluded.mark"
                ),
                args,
            )
            .await?;
        }
        Ok(())
    }

    /// The next marks, in the order of assets.
    pub async fn pending_components(&self) -> Result<Vec<Pending>> {
        self.db()
            .all(
                "SELECT asset, vulnerability, mark FROM comp_pending WHERE tenant = $1 \
                 ORDER BY asset, vulnerability LIMIT $2",
                args![self.t, MOST],
            )
            .await?
            .iter()
            .map(|row| {
                Ok(Pending {
                    asset: row.int(0)?,
                    vulnerability: row.text(1)?,
                    mark: row.int(2)?,
                })
            })
            .collect()
    }

    /// Whether there is any mark.
    pub async fn has_pending_components(&self) -> Result<bool> {
        let row = self
            .db()
            .opt(
                "SELECT mark FROM comp_pending WHERE tenant = $1 LIMIT 1",
                args![self.t],
            )
            .await?;
        Ok(row.is_some())
    }

    /// The number of the newest mark: what changes from now on is marked with a greater one.
    pub async fn newest_mark(&self) -> Result<i64> {
        let row = self
            .db()
            .opt(
                "SELECT COALESCE(MAX(mark), 0) FROM comp_pending WHERE tenant = $1",
                args![self.t],
            )
            .await?;
        row.map_or(Ok(0), |row| row.int(0))
    }

    /// Assets of which nothing may be said: one of their components was never matched, or they
    /// were marked after this mark. What was read of the others since then holds together.
    pub async fn unsettled_assets(&self, mark: i64) -> Result<BTreeSet<i64>> {
        // SQLite reads what is joined by CROSS in that order: few components, not all links.
        self.db()
            .all(
                "SELECT asset FROM comp_pending WHERE tenant = $1 AND mark > $2 \
                 UNION SELECT l.asset FROM comp_parts p CROSS JOIN comp_links l \
                 WHERE p.tenant = $1 AND p.matched IS NULL \
                 AND l.tenant = p.tenant AND l.part = p.id",
                args![self.t, mark],
            )
            .await?
            .iter()
            .map(|row| row.int(0))
            .collect()
    }

    /// The numbers of the components that any of these vulnerabilities is said of.
    pub async fn parts_hit_any(&self, vulnerabilities: &[String]) -> Result<BTreeSet<i64>> {
        let mut found = BTreeSet::new();
        for some in vulnerabilities.chunks(ASKED) {
            let mut args = args![self.t];
            let places = holes(&mut args, some.iter().map(String::as_str));
            let sql = format!(
                "SELECT part FROM comp_matches WHERE tenant = $1 AND vulnerability IN ({places})"
            );
            for row in &self.db().all(&sql, args).await? {
                found.insert(row.int(0)?);
            }
        }
        Ok(found)
    }

    /// What was reported of these assets.
    pub async fn component_hits(&self, assets: &[i64]) -> Result<Vec<Hit>> {
        self.hits(assets, None).await
    }

    /// What was reported of one vulnerability of these assets.
    pub async fn component_hits_of(&self, assets: &[i64], vulnerability: &str) -> Result<Vec<Hit>> {
        self.hits(assets, Some(vulnerability)).await
    }

    async fn hits(&self, assets: &[i64], only: Option<&str>) -> Result<Vec<Hit>> {
        let mut found = Vec::new();
        for assets in assets.chunks(ASKED) {
            let mut args = args![self.t];
            let places = holes(&mut args, assets.iter().copied());
            let mut sql = format!(
                "SELECT asset, vulnerability, locus, digest FROM comp_hits \
                 WHERE tenant = $1 AND asset IN ({places})"
            );
            if let Some(only) = only {
                sql.push_str(" AND vulnerability = ");
                sql.push_str(&holes(&mut args, [only].into_iter()));
            }
            for row in &self.db().all(&sql, args).await? {
                found.push(Hit {
                    asset: row.int(0)?,
                    vulnerability: row.text(1)?,
                    locus: row.text(2)?,
                    digest: row.blob(3)?,
                });
            }
        }
        Ok(found)
    }

    /// Records what was reported and what was closed, and takes the marks away, all or nothing.
    pub async fn settle_components(
        &self,
        reported: &[Hit],
        closed: &[Hit],
        marks: &[Pending],
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        let mut put = Bulk::new("iittb");
        for hit in reported {
            put.push(args![
                self.t,
                hit.asset,
                hit.vulnerability.as_str(),
                hit.locus.as_str(),
                hit.digest.as_slice()
            ]);
        }
        let mut away = Bulk::new("iitt");
        for hit in closed {
            away.push(args![
                self.t,
                hit.asset,
                hit.vulnerability.as_str(),
                hit.locus.as_str()
            ]);
        }
        let mut done = Bulk::new("iiti");
        for mark in marks {
            done.push(args![
                self.t,
                mark.asset,
                mark.vulnerability.as_str(),
                mark.mark
            ]);
        }
        away.run(
            &mut tx,
            "DELETE FROM comp_hits WHERE (tenant, asset, vulnerability, locus) IN (",
            ")",
        )
        .await?;
        put.run(
            &mut tx,
            "INSERT INTO comp_hits (tenant, asset, vulnerability, locus, digest)",
            "ON CONFLICT (tenant, asset, vulnerability, locus) \
             DO UPDATE SET digest = excluded.digest",
        )
        .await?;
        done.run(
            &mut tx,
            "DELETE FROM comp_pending WHERE (tenant, asset, vulnerability, mark) IN (",
            ")",
        )
        .await?;
        // Of what was taken away nothing is left to be closed.
        tx.exec(
            "DELETE FROM comp_assets WHERE tenant = $1 AND gone = 1 \
             AND NOT EXISTS (SELECT 1 FROM comp_pending p \
             WHERE p.tenant = comp_assets.tenant AND p.asset = comp_assets.id) \
             AND NOT EXISTS (SELECT 1 FROM comp_hits h \
             WHERE h.tenant = comp_assets.tenant AND h.asset = comp_assets.id)",
            args![self.t],
        )
        .await?;
        tx.commit().await
    }
}
