//! Scopes, scans, results, checks and what is counted from them.

use crate::db::{Row, Tx, args};
use crate::import::chunk::word_of;
use crate::queue::QueueStats;
use crate::{Act, Page, PageRequest, Result, StoreError, TenantStore};
use bartizan_model::audit::action;
use bartizan_model::framework::CheckTally;
use bartizan_model::scan::ContentDigest;
use bartizan_model::{
    Asset, AssetUid, Check, CheckUid, Digest, Evidence, Location, Outcome, ScanId, Scope, ScopeId,
    Severity, Suppression, Timestamp,
};
use serde_json::json;
use std::collections::BTreeMap;

/// A scope with what a list shows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeRow {
    /// Its id.
    pub id: ScopeId,
    /// Kind and name.
    pub scope: Scope,
    /// Hidden from lists and overview.
    pub archived: bool,
    /// The newest scan of any source.
    pub last_scan: Option<LastScan>,
    /// Open and reopened findings by severity; severities without any are absent.
    pub findings_active: BTreeMap<Severity, u64>,
}

/// The newest scan of a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastScan {
    /// Which.
    pub id: ScanId,
    /// What scanned.
    pub source: String,
    /// When it ended.
    pub finished: Timestamp,
    /// Whether it saw everything.
    pub complete: bool,
}

/// Counts of outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutcomeCounts {
    /// Passes.
    pub pass: u64,
    /// Failures.
    pub fail: u64,
    /// Not applicable.
    pub not_applicable: u64,
    /// Unknown.
    pub unknown: u64,
}

/// An imported scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanRow {
    /// Its id; a report handed in again gets `<id>.r<n>`.
    pub id: ScanId,
    /// What scanned.
    pub source: String,
    /// Its version.
    pub source_version: String,
    /// Where.
    pub scope: ScopeId,
    /// Whether it saw everything.
    pub complete: bool,
    /// Whether a newer scan had been imported before, so that its results were passed over.
    pub stale: bool,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// When it was imported.
    pub imported: Timestamp,
    /// What it said.
    pub counts: OutcomeCounts,
    /// The report.
    pub artifact: Digest,
    /// What judged.
    pub content: Vec<ContentDigest>,
}

/// The current verdict of a check on a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultRow {
    /// Where it belongs.
    pub scope: ScopeId,
    /// The question.
    pub check: CheckUid,
    /// The subject.
    pub asset: Asset,
    /// Within the subject.
    pub locus: String,
    /// The answer.
    pub outcome: Outcome,
    /// For people.
    pub message: String,
    /// What decided.
    pub evidence: Vec<Evidence>,
    /// Where in the source.
    pub location: Option<Location>,
    /// Said at the source.
    pub suppression: Option<Suppression>,
    /// The scan that last changed it.
    pub scan: ScanId,
}

/// Which results.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResultFilter {
    /// One scope.
    pub scope: Option<ScopeId>,
    /// One check.
    pub check: Option<CheckUid>,
    /// One outcome word, see [`Outcome::word`].
    pub outcome: Option<String>,
    /// One asset.
    pub asset: Option<AssetUid>,
}

/// Figures for the overview and for metrics; framework scores come from `posture`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overview {
    /// Scopes that are not archived.
    pub scopes: u64,
    /// The most recently scanned scope, or the one asked for.
    pub scope: Option<ScopeId>,
    /// The newest scan there.
    pub last_scan: Option<LastScan>,
    /// Open and reopened findings by severity.
    pub active: BTreeMap<Severity, u64>,
    /// Accepted findings.
    pub accepted: u64,
    /// Findings fixed within the 30 days before `now`.
    pub fixed_30d: u64,
    /// Current results that could not tell.
    pub unknown_results: u64,
    /// The queue.
    pub jobs: QueueStats,
}

/// Reads `uid, <any>, title, description, severity, remediation, refs`.
pub(crate) fn check_of(row: &Row, at: usize) -> Result<Check> {
    Ok(Check {
        uid: row.id(at)?,
        title: row.text(at + 2)?,
        description: row.text(at + 3)?,
        severity: Severity::from_rank(row.int(at + 4)?),
        remediation: row.text(at + 5)?,
        references: row.json(at + 6)?,
    })
}

fn tally_of(check: CheckUid, row: &Row, at: usize) -> Result<CheckTally> {
    Ok(CheckTally {
        check,
        pass: row.count(at)?,
        fail: row.count(at + 1)?,
        accepted: row.count(at + 2)?,
        false_positive: row.count(at + 3)?,
        not_applicable: row.count(at + 4)?,
        unknown: row.count(at + 5)?,
    })
}

const SCAN: &str = "c.uid, n.name, c.source_version, s.uid, c.complete, c.stale, c.started, \
     c.finished, c.imported, c.pass, c.fail, c.not_applicable, c.unknown, c.artifact, c.content, \
     c.id";

const SCAN_FROM: &str = "FROM scans c JOIN scopes s ON s.tenant = c.tenant AND s.id = c.scope \
     JOIN names n ON n.tenant = c.tenant AND n.id = c.source";

fn scan_of(row: &Row) -> Result<ScanRow> {
    Ok(ScanRow {
        id: row.id(0)?,
        source: row.text(1)?,
        source_version: row.text(2)?,
        scope: row.id(3)?,
        complete: row.flag(4)?,
        stale: row.flag(5)?,
        started: row.time(6)?,
        finished: row.time(7)?,
        imported: row.time(8)?,
        counts: OutcomeCounts {
            pass: row.count(9)?,
            fail: row.count(10)?,
            not_applicable: row.count(11)?,
            unknown: row.count(12)?,
        },
        artifact: row.id(13)?,
        content: row.json(14)?,
    })
}

/// What a result's row is read from; `r` is the results table.
pub(crate) const RESULT: &str = "s.uid, c.uid, a.uid, k.name, a.name, ns.name, r.locus, \
     r.outcome, r.why, r.message, r.evidence, r.file, r.line, r.col, r.said_by, r.said_why, \
     COALESCE(sc.uid, 'importing')";

/// The joins of [`RESULT`].
pub(crate) const RESULT_JOINS: &str = "JOIN scopes s ON s.tenant = r.tenant AND s.id = r.scope \
     JOIN checks c ON c.tenant = r.tenant AND c.id = r.chk \
     JOIN assets a ON a.tenant = r.tenant AND a.id = r.asset \
     JOIN names k ON k.tenant = a.tenant AND k.id = a.kind \
     JOIN names ns ON ns.tenant = a.tenant AND ns.id = a.ns \
     LEFT JOIN scans sc ON sc.tenant = r.tenant AND sc.id = r.scan";

/// Reads `file, line, col`.
pub(crate) fn location_of(row: &Row, at: usize) -> Result<Option<Location>> {
    let small = |n: i64| u32::try_from(n).unwrap_or(0);
    let (line, column) = (row.opt_int(at + 1)?, row.opt_int(at + 2)?);
    Ok(row.opt_text(at)?.map(|file| Location {
        file,
        line: line.map(small).unwrap_or(0),
        column: column.map(small),
    }))
}

/// Reads the columns of [`RESULT`].
pub(crate) fn result_of(row: &Row) -> Result<ResultRow> {
    let outcome = Outcome::from_word(word_of(row.int(7)?), row.opt_text(8)?.as_deref());
    let evidence = match row.opt_text(10)? {
        Some(text) => serde_json::from_str(&text)?,
        None => Vec::new(),
    };
    Ok(ResultRow {
        scope: row.id(0)?,
        check: row.id(1)?,
        asset: Asset {
            uid: row.id(2)?,
            kind: row.text(3)?,
            name: row.text(4)?,
            namespace: row.text(5)?,
        },
        locus: row.text(6)?,
        outcome,
        message: row.text(9)?,
        evidence,
        location: location_of(row, 11)?,
        suppression: row
            .opt_text(14)?
            .zip(row.opt_text(15)?)
            .map(|(by, reason)| Suppression { by, reason }),
        scan: row.id(16)?,
    })
}

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

    /// Removes a scope with its results, findings, observations, scans and scores; the ledger
    /// keeps the fact (`scope.deleted`) and the findings' history. Refused while a job of
    /// the scope is unfinished.
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

    /// Scans, newest import first.
    pub async fn scans(
        &self,
        scope: Option<&ScopeId>,
        page: &PageRequest,
    ) -> Result<Page<ScanRow>> {
        let limit = page.rows();
        let before: i64 = page.decode()?.unwrap_or(i64::MAX);
        let mut args = args![self.t, before];
        let mut wheres = String::from("c.tenant = $1 AND c.id < $2");
        if let Some(scope) = scope {
            args.push(scope.as_str().into());
            wheres
                .push_str(" AND c.scope = (SELECT id FROM scopes WHERE tenant = $1 AND uid = $3)");
        } else {
            wheres.push_str(" AND s.archived = 0");
        }
        let rows = self
            .db()
            .all(
                &format!(
                    "SELECT {SCAN} {SCAN_FROM} WHERE {wheres} ORDER BY c.id DESC LIMIT {}",
                    limit + 1
                ),
                args,
            )
            .await?;
        let rows: Vec<(ScanRow, i64)> = rows
            .iter()
            .map(|row| Ok((scan_of(row)?, row.int(15)?)))
            .collect::<Result<_>>()?;
        let cut = Page::cut(rows, limit, |(_, id)| *id)?;
        Ok(Page {
            items: cut.items.into_iter().map(|(row, _)| row).collect(),
            next_cursor: cut.next_cursor,
            total: None,
        })
    }

    /// One scan.
    pub async fn scan(&self, id: &ScanId) -> Result<Option<ScanRow>> {
        self.db()
            .opt(
                &format!("SELECT {SCAN} {SCAN_FROM} WHERE c.tenant = $1 AND c.uid = $2"),
                args![self.t, id.as_str()],
            )
            .await?
            .map(|row| scan_of(&row))
            .transpose()
    }

    /// The newest scan of each source of a scope, for evidence documents.
    pub async fn current_scans(&self, scope: &ScopeId) -> Result<Vec<ScanRow>> {
        self.db()
            .all(
                &format!(
                    "SELECT {SCAN} {SCAN_FROM} JOIN scope_sources l ON l.tenant = c.tenant \
                     AND l.scope = c.scope AND l.source = c.source AND l.latest_scan = c.id \
                     WHERE s.tenant = $1 AND s.uid = $2 ORDER BY n.name"
                ),
                args![self.t, scope.as_str()],
            )
            .await?
            .iter()
            .map(scan_of)
            .collect()
    }

    /// Current results, by scope, check, asset and locus as first seen.
    pub async fn results(
        &self,
        filter: &ResultFilter,
        page: &PageRequest,
    ) -> Result<Page<ResultRow>> {
        let limit = page.rows();
        let after: Option<(i64, i64, i64, String)> = page.decode()?;
        let mut args = args![self.t];
        let mut wheres = String::from("r.tenant = $1");
        let mut add = |text: &str, value: crate::db::Val| {
            args.push(value);
            wheres.push_str(&text.replace('?', &format!("${}", args.len())));
        };
        let by_uid =
            |table: &str| format!("(SELECT id FROM {table} WHERE tenant = $1 AND uid = ?)");
        match &filter.scope {
            Some(scope) => add(
                &format!(" AND r.scope = {}", by_uid("scopes")),
                scope.as_str().into(),
            ),
            None => {
                if let Some(asset) = &filter.asset {
                    add(
                        " AND r.scope = (SELECT scope FROM assets WHERE tenant = $1 AND uid = ?)",
                        asset.as_str().into(),
                    );
                }
            }
        }
        match &filter.check {
            Some(check) => add(
                &format!(" AND r.chk = {}", by_uid("checks")),
                check.as_str().into(),
            ),
            None => {
                if filter.asset.is_some() {
                    // One probe of the key a check, instead of a walk over the scope.
                    add(
                        " AND r.chk IN (SELECT id FROM checks WHERE tenant = ?)",
                        self.t.into(),
                    );
                }
            }
        }
        if let Some(asset) = &filter.asset {
            add(
                &format!(" AND r.asset = {}", by_uid("assets")),
                asset.as_str().into(),
            );
        }
        if let Some(outcome) = &filter.outcome {
            let rank = match outcome.as_str() {
                "pass" => 0_i64,
                "fail" => 1,
                "not_applicable" => 2,
                "unknown" => 3,
                other => {
                    return Err(StoreError::Invalid(format!(
                        "{other:?} is no outcome; use pass, fail, not_applicable or unknown"
                    )));
                }
            };
            let also = if rank > 1 { " AND r.outcome > 1" } else { "" };
            add(&format!(" AND r.outcome = ?{also}"), rank.into());
        }
        if let Some((scope, chk, asset, locus)) = after {
            add(" AND (r.scope, r.chk, r.asset, r.locus) > (?", scope.into());
            add(", ?", chk.into());
            add(", ?", asset.into());
            add(", ?)", locus.into());
        }
        let rows = self
            .db()
            .all(
                &format!(
                    "SELECT {RESULT}, r.scope, r.chk, r.asset FROM (SELECT * FROM results r \
                     WHERE {wheres} ORDER BY r.scope, r.chk, r.asset, r.locus LIMIT {}) r \
                     {RESULT_JOINS} ORDER BY r.scope, r.chk, r.asset, r.locus",
                    limit + 1
                ),
                args,
            )
            .await?;
        let rows: Vec<(ResultRow, (i64, i64, i64))> = rows
            .iter()
            .map(|row| Ok((result_of(row)?, (row.int(17)?, row.int(18)?, row.int(19)?))))
            .collect::<Result<_>>()?;
        let cut = Page::cut(rows, limit, |(row, at)| {
            (at.0, at.1, at.2, row.locus.clone())
        })?;
        Ok(Page {
            items: cut.items.into_iter().map(|(row, _)| row).collect(),
            next_cursor: cut.next_cursor,
            total: None,
        })
    }

    /// Checks by uid. With a scope, only those that judged something there, each with its tally;
    /// without, all, with the sum over scopes that are not archived.
    pub async fn checks(&self, scope: Option<&ScopeId>) -> Result<Vec<(Check, CheckTally)>> {
        let sums = "CAST(COALESCE(SUM(y.pass), 0) AS BIGINT), \
             CAST(COALESCE(SUM(y.fail), 0) AS BIGINT), \
             CAST(COALESCE(SUM(y.accepted), 0) AS BIGINT), \
             CAST(COALESCE(SUM(y.false_positive), 0) AS BIGINT), \
             CAST(COALESCE(SUM(y.not_applicable), 0) AS BIGINT), \
             CAST(COALESCE(SUM(y.unknown), 0) AS BIGINT)";
        let having = if scope.is_some() {
            "HAVING SUM(y.pass + y.fail + y.accepted + y.false_positive + y.not_applicable \
             + y.unknown) > 0"
        } else {
            ""
        };
        let rows = self
            .db()
            .all(
                &format!(
                    "SELECT c.uid, c.id, c.title, c.description, c.severity, c.remediation, \
                     c.refs, {sums} FROM checks c LEFT JOIN (SELECT t.* FROM tallies t \
                     JOIN scopes s ON s.tenant = t.tenant AND s.id = t.scope \
                     WHERE t.tenant = $1 AND ((s.archived = 0 AND $2 IS NULL) OR s.uid = $2)) y \
                     ON y.tenant = c.tenant AND y.chk = c.id WHERE c.tenant = $1 \
                     GROUP BY c.uid, c.id, c.title, c.description, c.severity, c.remediation, \
                     c.refs {having} ORDER BY c.uid"
                ),
                args![self.t, scope.map(ScopeId::as_str)],
            )
            .await?;
        rows.iter()
            .map(|row| {
                let check = check_of(row, 0)?;
                let tally = tally_of(check.uid.clone(), row, 7)?;
                Ok((check, tally))
            })
            .collect()
    }

    /// The tallies of a scope by check uid: what `posture` scores.
    pub async fn tallies(&self, scope: &ScopeId) -> Result<Vec<CheckTally>> {
        Ok(self
            .checks(Some(scope))
            .await?
            .into_iter()
            .map(|(_, tally)| tally)
            .collect())
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
