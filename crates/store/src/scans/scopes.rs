//! Scopes, and figures at a glance.

use super::lists::SCAN_FROM;
use super::{LastScan, Overview, ScopeRow};
use crate::db::{Row, Tx, args};
use crate::{Act, Result, StoreError, TenantStore};
use bartizan_model::audit::action;
use bartizan_model::{Scope, ScopeId, Severity, Timestamp};
use serde_json::json;
use std::collections::BTreeMap;

impl TenantStore {
    /// Scopes by id.
    pub async fn scopes(&self, include_archived: bool) -> Result<Vec<ScopeRow>> {
        self.scope_rows(include_archived, None).await
    }

    /// One scope.
    pub async fn scope(&self, id: &ScopeId) -> Result<Option<ScopeRow>> {
        Ok(self.scope_rows(true, Some(id)).await?.into_iter().next())
    }

    async fn scope_rows(&self, archived: bool, one: Option<&ScopeId>) -> Result<Vec<ScopeRow>> {
        let rows = self
            .db()
            .all(
                "SELECT s.id, s.uid, s.archived, c.uid, n.name, c.finished, c.complete \
                 FROM scopes s LEFT JOIN scans c ON c.tenant = s.tenant AND c.id = \
                 (SELECT MAX(x.id) FROM scans x WHERE x.tenant = s.tenant AND x.scope = s.id \
                 AND x.stale = 0) LEFT JOIN names n ON n.tenant = c.tenant AND n.id = c.source \
                 WHERE s.tenant = $1 AND (s.archived = 0 OR $2 = 1) \
                 AND ($3 IS NULL OR s.uid = $3) ORDER BY s.uid",
                args![self.t, archived, one.map(ScopeId::as_str)],
            )
            .await?;
        let counts = self
            .db()
            .all(
                "SELECT scope, severity, CAST(SUM(n) AS BIGINT) FROM finding_counts \
                 WHERE tenant = $1 AND status < 2 GROUP BY scope, severity HAVING SUM(n) > 0",
                args![self.t],
            )
            .await?;
        let mut active: BTreeMap<i64, BTreeMap<Severity, u64>> = BTreeMap::new();
        for row in &counts {
            active
                .entry(row.int(0)?)
                .or_default()
                .insert(Severity::from_rank(row.int(1)?), row.count(2)?);
        }
        rows.iter()
            .map(|row| {
                let id: ScopeId = row.id(1)?;
                Ok(ScopeRow {
                    scope: Scope::parse(id.as_str())?,
                    id,
                    archived: row.flag(2)?,
                    last_scan: last_scan_of(row, 3)?,
                    findings_active: active.remove(&row.int(0)?).unwrap_or_default(),
                })
            })
            .collect()
    }

    /// Archives a scope or brings it back (`scope.archived`).
    pub async fn archive_scope(&self, id: &ScopeId, archived: bool, act: &Act) -> Result<()> {
        let mut tx = self.begin().await?;
        let done = tx
            .exec(
                "UPDATE scopes SET archived = $3 WHERE tenant = $1 AND uid = $2",
                args![self.t, id.as_str(), archived],
            )
            .await?;
        if done == 0 {
            return Err(no_scope(id));
        }
        let detail = json!({"archived": archived});
        self.record(&mut tx, act, action::SCOPE_ARCHIVED, id.as_str(), &detail)
            .await?;
        tx.commit().await
    }

    /// Removes a scope with its results, findings, observations, inventories, scans and scores;
    /// the ledger keeps the fact (`scope.deleted`) and the findings' history. Refused while a job
    /// of the scope is unfinished.
    pub async fn delete_scope(&self, id: &ScopeId, act: &Act) -> Result<()> {
        let mut tx = self.begin().await?;
        let scope = scope_number(&mut tx, self.t, id).await?;
        let busy = tx
            .opt(
                "SELECT uid FROM jobs WHERE tenant = $1 AND lane = $2 AND state < 2 LIMIT 1",
                args![self.t, id.as_str()],
            )
            .await?;
        if let Some(row) = busy {
            return Err(StoreError::Conflict(format!(
                "job {} of scope {id} is not finished; wait for it, then delete the scope",
                row.text(0)?
            )));
        }
        let words = if tx.is_lite() { "rowid" } else { "id" };
        tx.exec(
            &format!(
                "DELETE FROM finding_words WHERE {words} IN \
                 (SELECT id FROM findings WHERE tenant = $1 AND scope = $2)"
            ),
            args![self.t, scope],
        )
        .await?;
        for table in [
            "findings",
            "results",
            "observations",
            "assets",
            "scans",
            "scope_sources",
            "tallies",
            "counted",
            "finding_counts",
        ] {
            tx.exec(
                &format!("DELETE FROM {table} WHERE tenant = $1 AND scope = $2"),
                args![self.t, scope],
            )
            .await?;
        }
        tx.exec(
            "DELETE FROM scopes WHERE tenant = $1 AND id = $2",
            args![self.t, scope],
        )
        .await?;
        for table in ["scores", "assessments"] {
            tx.exec(
                &format!("DELETE FROM {table} WHERE tenant = $1 AND scope = $2"),
                args![self.t, id.as_str()],
            )
            .await?;
        }
        crate::components::forget_scope(&mut tx, self.t, id).await?;
        // The same report may come again and shall count again.
        for (table, job) in [("submissions", "job"), ("import_cursors", "job")] {
            tx.exec(
                &format!(
                    "DELETE FROM {table} WHERE tenant = $1 AND {job} IN \
                     (SELECT uid FROM jobs WHERE tenant = $1 AND lane = $2)"
                ),
                args![self.t, id.as_str()],
            )
            .await?;
        }
        self.record(&mut tx, act, action::SCOPE_DELETED, id.as_str(), &json!({}))
            .await?;
        tx.commit().await
    }

    /// Figures at a glance, for one scope or for all that are not archived.
    pub async fn overview(&self, scope: Option<&ScopeId>, now: Timestamp) -> Result<Overview> {
        let scopes = self
            .db()
            .all(
                "SELECT id, uid, archived FROM scopes WHERE tenant = $1 ORDER BY id",
                args![self.t],
            )
            .await?;
        let mut shown = Vec::new();
        let mut open = 0;
        for row in &scopes {
            let wanted = match scope {
                Some(scope) => row.text(1)? == scope.as_str(),
                None => !row.flag(2)?,
            };
            open += u64::from(!row.flag(2)?);
            if wanted {
                shown.push(row.int(0)?);
            }
        }
        let mut out = Overview {
            scopes: open,
            jobs: self.queue_stats().await?,
            scope: scope.cloned(),
            ..Overview::default()
        };
        if shown.is_empty() {
            return match scope {
                Some(id) => Err(no_scope(id)),
                None => Ok(out),
            };
        }
        let set = crate::findings::int_list(&shown);
        let newest = self
            .db()
            .opt(
                &format!(
                    "SELECT s.uid, c.uid, n.name, c.finished, c.complete {SCAN_FROM} \
                     WHERE c.tenant = $1 AND c.scope IN ({set}) AND c.stale = 0 \
                     ORDER BY c.id DESC LIMIT 1"
                ),
                args![self.t],
            )
            .await?;
        if let Some(row) = newest {
            out.scope = Some(row.id(0)?);
            out.last_scan = last_scan_of(&row, 1)?;
        }
        let counts = self
            .db()
            .all(
                &format!(
                    "SELECT status, severity, CAST(SUM(n) AS BIGINT) FROM finding_counts \
                     WHERE tenant = $1 AND scope IN ({set}) AND status < 3 \
                     GROUP BY status, severity HAVING SUM(n) > 0"
                ),
                args![self.t],
            )
            .await?;
        for row in &counts {
            let n = row.count(2)?;
            if row.int(0)? == 2 {
                out.accepted += n;
            } else {
                *out.active
                    .entry(Severity::from_rank(row.int(1)?))
                    .or_default() += n;
            }
        }
        let fixed = self
            .db()
            .opt(
                &format!(
                    "SELECT COUNT(*) FROM (SELECT 1 FROM findings WHERE tenant = $1 \
                     AND status = 4 AND severity IN (0, 1, 2, 3, 4) AND changed >= $2 \
                     AND scope IN ({set}) LIMIT 100000) f"
                ),
                args![self.t, now.plus_seconds(-30 * 86_400)],
            )
            .await?;
        let unknown = self
            .db()
            .opt(
                &format!(
                    "SELECT CAST(COALESCE(SUM(unknown), 0) AS BIGINT) FROM tallies \
                     WHERE tenant = $1 AND scope IN ({set})"
                ),
                args![self.t],
            )
            .await?;
        out.fixed_30d = fixed.map_or(Ok(0), |row| row.count(0))?;
        out.unknown_results = unknown.map_or(Ok(0), |row| row.count(0))?;
        Ok(out)
    }

    /// Open and reopened findings by severity over all scopes, for metrics.
    pub async fn active_findings(&self) -> Result<BTreeMap<Severity, u64>> {
        let mut out = BTreeMap::new();
        for scope in self.scope_rows(false, None).await? {
            for (severity, n) in scope.findings_active {
                *out.entry(severity).or_default() += n;
            }
        }
        Ok(out)
    }
}

fn last_scan_of(row: &Row, at: usize) -> Result<Option<LastScan>> {
    if row.opt_text(at)?.is_none() {
        return Ok(None);
    }
    Ok(Some(LastScan {
        id: row.id(at)?,
        source: row.text(at + 1)?,
        finished: row.time(at + 2)?,
        complete: row.flag(at + 3)?,
    }))
}

fn no_scope(id: &ScopeId) -> StoreError {
    StoreError::NotFound {
        what: "scope",
        id: id.to_string(),
    }
}

async fn scope_number(tx: &mut Tx, t: i64, id: &ScopeId) -> Result<i64> {
    tx.opt(
        "SELECT id FROM scopes WHERE tenant = $1 AND uid = $2",
        args![t, id.as_str()],
    )
    .await?
    .ok_or_else(|| no_scope(id))?
    .int(0)
}
