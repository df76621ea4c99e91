//! The last transaction of an import: what is left, what is gone, the scan, the job's end.

use super::chunk::Work;
use super::{Import, ImportSummary, key_number, number};
use crate::audit::{self, NewEntry, import_entry_id};
use crate::bulk::Bulk;
use crate::db::{Tx, args};
use crate::findings::change::{Told, class, load, status_rank};
use crate::{Result, Salts, StoreError, fault};
use bartizan_model::audit::action;
use bartizan_model::life::{Input, transition};
use bartizan_model::{FindingStatus, Timestamp};
use serde_json::json;
use std::collections::HashMap;

/// Rows that absences are looked for in at once.
const BATCH: usize = 4_000;

/// A stored result that the scan did not see.
struct Gone {
    chk: i64,
    asset: i64,
    locus: String,
    key: Vec<u8>,
    outcome: i64,
    scan: i64,
}

impl Import {
    /// Commits what is left, closes what a complete scan no longer saw, records the scan and
    /// ends the job, in one transaction.
    pub async fn finish(mut self, now: Timestamp, salts: Salts<'_>) -> Result<ImportSummary> {
        let mut tx = self.store.begin().await?;
        self.end_job(&mut tx, now).await?;
        if !self.summary.stale {
            self.write_chunk(&mut tx, salts).await?;
            fault::point("import.finish.before_absences");
            if self.plan.scan.complete && !self.fresh {
                self.close_results(&mut tx, salts).await?;
                self.drop_facts(&mut tx).await?;
            }
        }
        self.record_scan(&mut tx, now, salts).await?;
        fault::point("import.finish.before_commit");
        tx.commit().await?;
        fault::point("import.finish.after_commit");
        Ok(self.summary)
    }

    async fn end_job(&self, tx: &mut Tx, now: Timestamp) -> Result<()> {
        let done = tx
            .exec(
                "UPDATE jobs SET state = 2, finished = $4, lease_until = NULL, done = $5, \
                 scan = $6 WHERE tenant = $1 AND uid = $2 AND token = $3 AND state = 1",
                args![
                    self.store.t,
                    self.lease.job.as_str(),
                    self.lease.token,
                    now,
                    self.lines.max(self.resumed),
                    self.scan_uid.as_str()
                ],
            )
            .await?;
        if done == 1 {
            Ok(())
        } else {
            Err(StoreError::Fenced("the job"))
        }
    }

    /// Every subject that was seen has a row of this scope and source by now. So when as many
    /// rows stand as subjects were seen, none is absent, and no row need be read.
    async fn all_seen(&self, tx: &mut Tx, table: &str, seen: usize) -> Result<bool> {
        let row = tx
            .opt(
                &format!(
                    "SELECT COUNT(*) FROM {table} WHERE tenant = $1 AND scope = $2 AND source = $3"
                ),
                args![self.store.t, self.scope, self.source],
            )
            .await?;
        Ok(row.map(|r| r.count(0)).transpose()? == Some(seen as u64))
    }

    async fn close_results(&mut self, tx: &mut Tx, salts: Salts<'_>) -> Result<()> {
        if self
            .all_seen(tx, "results", self.seen_results.len())
            .await?
        {
            return Ok(());
        }
        let titles = self.titles(tx).await?;
        let mut after = (i64::MIN, i64::MIN, String::new());
        loop {
            let rows = tx
                .all(
                    &format!(
                        "SELECT chk, asset, locus, key, outcome, scan, source FROM results \
                         WHERE tenant = $1 AND scope = $2 AND (chk, asset, locus) > ($3, $4, $5) \
                         ORDER BY chk, asset, locus LIMIT {BATCH}"
                    ),
                    args![self.store.t, self.scope, after.0, after.1, after.2.as_str()],
                )
                .await?;
            let Some(last) = rows.last() else {
                return Ok(());
            };
            after = (last.int(0)?, last.int(1)?, last.text(2)?);
            let mut gone = Vec::new();
            for row in &rows {
                let key = row.blob(3)?;
                if row.int(6)? == self.source && !self.seen_results.contains(&key_number(&key)) {
                    gone.push(Gone {
                        chk: row.int(0)?,
                        asset: row.int(1)?,
                        locus: row.text(2)?,
                        key,
                        outcome: row.int(4)?,
                        scan: row.int(5)?,
                    });
                }
            }
            self.close_batch(tx, &gone, &titles, salts).await?;
        }
    }

    async fn close_batch(
        &mut self,
        tx: &mut Tx,
        gone: &[Gone],
        titles: &HashMap<i64, (String, String)>,
        salts: Salts<'_>,
    ) -> Result<()> {
        if gone.is_empty() {
            return Ok(());
        }
        let held = load(tx, self.store.t, gone.iter().map(|g| &g.key)).await?;
        let ends = self.ends_of(tx, gone.iter().map(|g| g.scan)).await?;
        let mut work = Work::new();
        let mut delete = Bulk::new("iiiit");
        for g in gone {
            delete.push(args![
                self.store.t,
                self.scope,
                g.chk,
                g.asset,
                g.locus.as_str()
            ]);
            let finding = held.get(&g.key);
            let before = finding.map(|f| &f.state);
            work.deltas.tally(
                self.scope,
                g.chk,
                Some(class(g.outcome, before.map(|s| s.status))),
                None,
            );
            let Some(f) = finding else { continue };
            let after = transition(Some(&f.state), &Input::Absent, self.at)
                .map_err(|e| StoreError::Corrupt(e.to_string()))?;
            let Some(after) = after.filter(|a| *a != f.state) else {
                continue;
            };
            work.deltas.count(
                f.scope,
                f.chk,
                Some((status_rank(f.state.status), f.severity)),
                Some((status_rank(after.status), f.severity)),
            );
            let seen =
                (after.status == FindingStatus::Fixed).then(|| self.last_seen(g.scan, &ends));
            work.states.push(f.id, &after, self.at, seen);
            self.note(after.status);
            let (check, title) = titles
                .get(&f.chk)
                .map_or(("", ""), |(uid, title)| (uid.as_str(), title.as_str()));
            let told = Told {
                scope: &self.scope_uid,
                check,
                title,
                asset: &f.asset_uid,
                locus: &f.locus,
                severity: f.severity,
                from: Some(f.state.status),
                state: &after,
                scan: Some(&self.scan_uid),
                reason: Some("no longer seen by a complete scan"),
            };
            work.entries.push(self.entry(&told, &f.key, salts)?);
        }
        delete
            .run(
                tx,
                "WITH v(tenant, scope, chk, asset, locus) AS (",
                ") DELETE FROM results WHERE (tenant, scope, chk, asset, locus) IN \
                 (SELECT tenant, scope, chk, asset, locus FROM v)",
            )
            .await?;
        self.write_work(tx, work).await
    }

    async fn titles(&self, tx: &mut Tx) -> Result<HashMap<i64, (String, String)>> {
        tx.all(
            "SELECT id, uid, title FROM checks WHERE tenant = $1",
            args![self.store.t],
        )
        .await?
        .iter()
        .map(|row| Ok((row.int(0)?, (row.text(1)?, row.text(2)?))))
        .collect()
    }

    async fn drop_facts(&self, tx: &mut Tx) -> Result<()> {
        if self
            .all_seen(tx, "observations", self.seen_facts.len())
            .await?
        {
            return Ok(());
        }
        let mut after = (i64::MIN, String::new());
        loop {
            let rows = tx
                .all(
                    &format!(
                        "SELECT asset, kind, source, seen FROM observations \
                         WHERE tenant = $1 AND scope = $2 AND (asset, kind) > ($3, $4) \
                         ORDER BY asset, kind LIMIT {BATCH}"
                    ),
                    args![self.store.t, self.scope, after.0, after.1.as_str()],
                )
                .await?;
            let Some(last) = rows.last() else {
                return Ok(());
            };
            after = (last.int(0)?, last.text(1)?);
            let mut delete = Bulk::new("iiit");
            for row in &rows {
                let seen = number(&row.blob(3)?);
                if row.int(2)? == self.source && !self.seen_facts.contains(&seen) {
                    delete.push(args![self.store.t, self.scope, row.int(0)?, row.text(1)?]);
                }
            }
            delete
                .run(
                    tx,
                    "WITH v(tenant, scope, asset, kind) AS (",
                    ") DELETE FROM observations WHERE (tenant, scope, asset, kind) IN \
                     (SELECT tenant, scope, asset, kind FROM v)",
                )
                .await?;
        }
    }

    async fn record_scan(&mut self, tx: &mut Tx, now: Timestamp, salts: Salts<'_>) -> Result<()> {
        let t = self.store.t;
        let scan = &self.plan.scan;
        let s = &self.summary;
        tx.exec(
            "INSERT INTO scans (tenant, id, uid, scope, source, source_version, complete, stale, \
             started, finished, imported, pass, fail, not_applicable, unknown, artifact, content) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
            args![
                t,
                self.scan,
                self.scan_uid.as_str(),
                self.scope,
                self.source,
                scan.source_version.as_str(),
                scan.complete,
                s.stale,
                scan.started,
                self.at,
                now,
                s.pass,
                s.fail,
                s.not_applicable,
                s.unknown,
                self.plan.artifact.as_str(),
                serde_json::to_string(&scan.content)?
            ],
        )
        .await?;
        if !s.stale {
            let complete = scan.complete.then_some((self.scan, self.at.micros()));
            tx.exec(
                "INSERT INTO scope_sources (tenant, scope, source, latest_scan, latest_finished, \
                 complete_scan, complete_finished) VALUES ($1, $2, $3, $4, $5, $6, $7) \
                 ON CONFLICT (tenant, scope, source) DO UPDATE SET \
                 latest_scan = excluded.latest_scan, latest_finished = excluded.latest_finished, \
                 complete_scan = COALESCE(excluded.complete_scan, scope_sources.complete_scan), \
                 complete_finished = \
                 COALESCE(excluded.complete_finished, scope_sources.complete_finished)",
                args![
                    t,
                    self.scope,
                    self.source,
                    self.scan,
                    self.at,
                    complete.map(|c| c.0),
                    complete.map(|c| c.1)
                ],
            )
            .await?;
        }
        let detail = json!({
            "scope": self.scope_uid, "source": scan.source, "complete": scan.complete,
            "stale": s.stale, "artifact": self.plan.artifact,
            "pass": s.pass, "fail": s.fail, "not_applicable": s.not_applicable,
            "unknown": s.unknown, "opened": s.opened, "reopened": s.reopened, "fixed": s.fixed,
            "accepted": s.accepted,
        });
        let entry = NewEntry {
            id: import_entry_id(
                &self.store.id,
                &self.scan_uid,
                &self.scan_uid,
                action::SCAN_IMPORTED,
            ),
            at: self.at,
            salt: salts(),
            actor: "system".to_owned(),
            action: action::SCAN_IMPORTED,
            subject: self.scan_uid.clone(),
            detail: serde_json::to_string(&detail)?,
        };
        audit::append(tx, t, vec![entry]).await?;
        tx.exec(
            "DELETE FROM import_cursors WHERE tenant = $1 AND job = $2",
            args![t, self.lease.job.as_str()],
        )
        .await?;
        Ok(())
    }
}
