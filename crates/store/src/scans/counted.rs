//! Passes that are counted and not listed.
//!
//! An audit of 100,000 objects by 60 policies finds three million passes: a row for each would be
//! most of the database and most of the time. What failed once, or could not be told, has a row and
//! keeps it; of all else only the number of passes is kept, for each check, and is part of its tally.

use crate::bulk::Bulk;
use crate::db::args;
use crate::{Result, TenantStore};
use bartizan_model::{CheckUid, ScopeId};
use std::collections::BTreeMap;

/// Rows that are read at once.
const PAGE: i64 = 5_000;

impl TenantStore {
    /// Sets how many subjects without a row of their own pass, by check, in place of what a source
    /// said before. Scopes and checks that are not stored yet are passed over: they come with a
    /// report. Returns how many checks were set.
    pub async fn set_counted(
        &self,
        scope: &ScopeId,
        source: &str,
        passes: &BTreeMap<CheckUid, u64>,
    ) -> Result<usize> {
        let mut tx = self.begin().await?;
        let found = tx
            .opt(
                "SELECT id FROM scopes WHERE tenant = $1 AND uid = $2",
                args![self.t, scope.as_str()],
            )
            .await?;
        let Some(scope) = found.map(|row| row.int(0)).transpose()? else {
            return Ok(0);
        };
        tx.exec(
            "DELETE FROM counted WHERE tenant = $1 AND scope = $2 AND source = $3",
            args![self.t, scope, source],
        )
        .await?;
        let mut known = BTreeMap::new();
        for row in tx
            .all(
                "SELECT uid, id FROM checks WHERE tenant = $1",
                args![self.t],
            )
            .await?
        {
            known.insert(row.text(0)?, row.int(1)?);
        }
        let mut bulk = Bulk::new("iitii");
        let mut set = 0;
        for (check, n) in passes.iter().filter(|(_, n)| **n > 0) {
            if let Some(chk) = known.get(check.as_str()) {
                bulk.push(args![self.t, scope, source, *chk, *n]);
                set += 1;
            }
        }
        bulk.run(
            &mut tx,
            "INSERT INTO counted (tenant, scope, source, chk, pass)",
            "ON CONFLICT (tenant, scope, source, chk) DO UPDATE SET pass = excluded.pass",
        )
        .await?;
        tx.commit().await?;
        Ok(set)
    }

    /// Every check and asset of a scope that has a row, in pages.
    pub async fn each_result(
        &self,
        scope: &ScopeId,
        tell: &mut (dyn FnMut(CheckUid, &str) + Send),
    ) -> Result<()> {
        let mut after = (-1, -1, String::new());
        loop {
            let rows = self
                .db()
                .all(
                    "SELECT r.chk, r.asset, r.locus, c.uid, a.uid FROM results r \
                     JOIN scopes s ON s.tenant = r.tenant AND s.id = r.scope \
                     JOIN checks c ON c.tenant = r.tenant AND c.id = r.chk \
                     JOIN assets a ON a.tenant = r.tenant AND a.id = r.asset \
                     WHERE r.tenant = $1 AND s.uid = $2 AND (r.chk, r.asset, r.locus) > ($3, $4, $5) \
                     ORDER BY r.chk, r.asset, r.locus LIMIT $6",
                    args![
                        self.t,
                        scope.as_str(),
                        after.0,
                        after.1,
                        after.2.as_str(),
                        PAGE
                    ],
                )
                .await?;
            for row in &rows {
                let check = CheckUid::new(row.text(3)?);
                let check = check.map_err(|e| crate::StoreError::Corrupt(e.to_string()))?;
                tell(check, &row.text(4)?);
            }
            match rows.last() {
                Some(row) if rows.len() as i64 == PAGE => {
                    after = (row.int(0)?, row.int(1)?, row.text(2)?);
                }
                _ => return Ok(()),
            }
        }
    }
}
