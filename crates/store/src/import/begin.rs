//! The first transaction of an import, and what a later attempt reads of it.

use super::{Buffer, Import, ImportPlan, ImportSummary, resolve};
use crate::audit::import_entry_id;
use crate::db::{Tx, args};
use crate::queue::Lease;
use crate::{Result, StoreError, TenantStore, fault};
use bartizan_model::audit::action;
use bartizan_model::{Digest, ScanId, Timestamp};
use std::collections::HashSet;

/// Names of sources among the names of a tenant; see the table.
pub(crate) const SOURCE: i64 = 2;

impl TenantStore {
    /// Begins or resumes the import that the leased job stands for. The caller has checked
    /// the report whole (its trailer) before: chunks commit as they come.
    pub async fn import(&self, lease: &Lease, plan: ImportPlan, _now: Timestamp) -> Result<Import> {
        if lease.tenant != self.id {
            return Err(StoreError::Invalid(
                "the job belongs to another tenant".to_owned(),
            ));
        }
        let scope_uid = plan
            .scan
            .scope
            .id()
            .map_err(|e| StoreError::Report(e.to_string()))?;
        let mut tx = self.begin().await?;
        let fenced = tx
            .exec(
                "UPDATE jobs SET total = COALESCE($4, total) \
                 WHERE tenant = $1 AND uid = $2 AND token = $3 AND state = 1",
                args![
                    self.t,
                    lease.job.as_str(),
                    lease.token,
                    plan.total.map(|n| n.min(i64::MAX as u64) as i64)
                ],
            )
            .await?;
        if fenced != 1 {
            return Err(StoreError::Fenced("the job"));
        }
        let mut caches = resolve::Caches::default();
        let scope = self.scope_number(&mut tx, scope_uid.as_str()).await?;
        let source = caches
            .name(&mut tx, self.t, SOURCE, &plan.scan.source)
            .await?;
        let newest = tx
            .opt(
                "SELECT latest_finished, complete_scan, complete_finished FROM scope_sources \
                 WHERE tenant = $1 AND scope = $2 AND source = $3",
                args![self.t, scope, source],
            )
            .await?;
        let (latest, confirmed) = match &newest {
            Some(row) => (Some(row.int(0)?), row.opt_int(1)?.zip(row.opt_int(2)?)),
            None => (None, None),
        };
        let cursor = tx
            .opt(
                "SELECT scan, scan_uid, lines, at, summary FROM import_cursors \
                 WHERE tenant = $1 AND job = $2",
                args![self.t, lease.job.as_str()],
            )
            .await?;
        let mut fresh = false;
        let (scan, scan_uid, resumed, at, summary) = match cursor {
            Some(row) => (
                row.int(0)?,
                row.text(1)?,
                row.count(2)?,
                row.time(3)?,
                row.json::<ImportSummary>(4)?,
            ),
            None => {
                let mut ordinal = match tx
                    .opt(
                        "SELECT ordinal FROM submissions WHERE tenant = $1 AND scan = $2 \
                         AND scan IS NOT NULL AND job = $3",
                        args![self.t, plan.scan.id.as_str(), lease.job.as_str()],
                    )
                    .await?
                {
                    Some(row) => row.int(0)?,
                    None => 0,
                };
                let mut uid = import_uid(&plan.scan.id, ordinal);
                let taken = tx
                    .opt(
                        "SELECT 1 FROM scans WHERE tenant = $1 AND uid = $2",
                        args![self.t, uid.as_str()],
                    )
                    .await?;
                if taken.is_some() {
                    return Err(StoreError::Conflict(format!(
                        "scan {uid} was imported before; a new scan needs a new id"
                    )));
                }
                // A deleted scope takes its scans along, while the ledger keeps their entries,
                // whose ids derive from the scan's: such an id is not used again.
                while self.is_logged(&mut tx, &uid).await? {
                    ordinal += 1;
                    uid = import_uid(&plan.scan.id, ordinal);
                }
                let finished = plan.scan.finished.micros();
                let newest = latest.unwrap_or(i64::MIN);
                let summary = ImportSummary {
                    scan: uid.clone(),
                    stale: ordinal == 0 && finished < newest,
                    ..ImportSummary::default()
                };
                let at = Timestamp::from_micros(if ordinal == 0 {
                    finished
                } else {
                    finished.max(newest)
                });
                let scan = tx.take(self.t, "scan", 1).await?;
                tx.exec(
                    "INSERT INTO import_cursors (tenant, job, scan, scan_uid, lines, at, summary) \
                     VALUES ($1, $2, $3, $4, 0, $5, $6)",
                    args![
                        self.t,
                        lease.job.as_str(),
                        scan,
                        uid.as_str(),
                        at,
                        serde_json::to_string(&summary)?
                    ],
                )
                .await?;
                fresh = tx
                    .opt(
                        "SELECT 1 FROM assets WHERE tenant = $1 AND scope = $2 LIMIT 1",
                        args![self.t, scope],
                    )
                    .await?
                    .is_none();
                (scan, uid, 0, at, summary)
            }
        };
        fault::point("import.begin.before_commit");
        tx.commit().await?;
        fault::point("import.begin.after_commit");
        Ok(Import {
            store: self.clone(),
            lease: lease.clone(),
            plan,
            scan,
            scan_uid,
            at,
            scope,
            scope_uid: scope_uid.to_string(),
            source,
            confirmed,
            fresh,
            resumed,
            lines: 0,
            summary,
            seen_results: HashSet::new(),
            seen_facts: HashSet::new(),
            buffer: Buffer::default(),
            caches,
        })
    }

    /// The number of a scope, which is made when it is new.
    async fn scope_number(&self, tx: &mut crate::db::Tx, uid: &str) -> Result<i64> {
        if let Some(row) = tx
            .opt(
                "SELECT id FROM scopes WHERE tenant = $1 AND uid = $2",
                args![self.t, uid],
            )
            .await?
        {
            return row.int(0);
        }
        let id = tx.take(self.t, "scope", 1).await?;
        tx.exec(
            "INSERT INTO scopes (tenant, id, uid, archived) VALUES ($1, $2, $3, 0)",
            args![self.t, id, uid],
        )
        .await?;
        Ok(id)
    }
}

impl TenantStore {
    /// Whether the ledger has an import of this scan.
    async fn is_logged(&self, tx: &mut Tx, uid: &str) -> Result<bool> {
        let entry = import_entry_id(&self.id, uid, uid, action::SCAN_IMPORTED);
        let found = tx
            .opt(
                "SELECT 1 FROM audit WHERE tenant = $1 AND entry = $2",
                args![self.t, entry],
            )
            .await?;
        Ok(found.is_some())
    }
}

/// The stored id of a scan: its own, or for the n-th time that it is handed in `<id>.r<n>`.
fn import_uid(scan: &ScanId, ordinal: i64) -> String {
    if ordinal == 0 {
        return scan.to_string();
    }
    let uid = format!("{scan}.r{ordinal}");
    if uid.len() <= 64 {
        return uid;
    }
    let digest = Digest::of(uid.as_bytes());
    digest
        .as_str()
        .chars()
        .skip("sha256:".len())
        .take(60)
        .collect()
}
