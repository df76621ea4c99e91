//! What a question about one's own systems asks: how much is known, and which vulnerabilities match.

use super::read::ASKED;
use crate::db::{args, holes};
use crate::{Result, TenantStore};
use std::collections::BTreeMap;

/// How much of a tenant is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InventorySize {
    /// Assets with an inventory.
    pub assets: u64,
    /// Assets of which something could not be read.
    pub partial: u64,
    /// Distinct components of assets.
    pub components: u64,
    /// Those that were never held against advisories.
    pub unmatched: u64,
}

impl TenantStore {
    /// How much is known of the tenant.
    pub async fn inventory_size(&self) -> Result<InventorySize> {
        let row = self
            .db()
            .opt(
                "SELECT (SELECT COUNT(*) FROM comp_assets WHERE tenant = $1 AND gone = 0), \
                 (SELECT COUNT(*) FROM comp_assets WHERE tenant = $1 AND gone = 0 AND unread <> '[]'), \
                 COUNT(*), COUNT(CASE WHEN p.matched IS NULL THEN 1 END) \
                 FROM comp_parts p WHERE p.tenant = $1 AND EXISTS (SELECT 1 FROM comp_links l \
                 WHERE l.tenant = p.tenant AND l.part = p.id)",
                args![self.t],
            )
            .await?;
        let Some(row) = row else {
            return Ok(InventorySize::default());
        };
        Ok(InventorySize {
            assets: row.count(0)?,
            partial: row.count(1)?,
            components: row.count(2)?,
            unmatched: row.count(3)?,
        })
    }

    /// The vulnerabilities that components of assets match, by the name under which they are kept,
    /// the last of the alphabet first, which of CVEs are the newest.
    pub async fn vulnerabilities_held(&self, most: u32) -> Result<Vec<String>> {
        self.db()
            .all(
                "SELECT DISTINCT m.vulnerability FROM comp_matches m WHERE m.tenant = $1 \
                 AND EXISTS (SELECT 1 FROM comp_links l \
                 WHERE l.tenant = m.tenant AND l.part = m.part) \
                 ORDER BY m.vulnerability DESC LIMIT $2",
                args![self.t, most],
            )
            .await?
            .iter()
            .map(|row| row.text(0))
            .collect()
    }

    /// Of these vulnerabilities, those that components of assets match, with how often.
    pub async fn held_of(&self, vulnerabilities: &[String]) -> Result<BTreeMap<String, u64>> {
        let mut found = BTreeMap::new();
        for some in vulnerabilities.chunks(ASKED) {
            let mut args = args![self.t];
            let places = holes(&mut args, some.iter().map(String::as_str));
            let sql = format!(
                "SELECT m.vulnerability, COUNT(*) FROM comp_matches m JOIN comp_links l \
                 ON l.tenant = m.tenant AND l.part = m.part \
                 WHERE m.tenant = $1 AND m.vulnerability IN ({places}) GROUP BY m.vulnerability"
            );
            for row in &self.db().all(&sql, args).await? {
                found.insert(row.text(0)?, row.count(1)?);
            }
        }
        Ok(found)
    }
}
