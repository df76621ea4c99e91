//! Lists of scans, results and checks.

use super::{OutcomeCounts, RESULT, ResultFilter, ResultRow, ScanRow, check_of, result_of};
use crate::db::{Row, args, holes};
use crate::{Page, PageRequest, Result, StoreError, TenantStore};
use bartizan_model::framework::CheckTally;
use bartizan_model::{Check, CheckUid, ScanId, ScopeId};

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

pub(super) const SCAN_FROM: &str = "FROM scans c JOIN scopes s ON s.tenant = c.tenant AND s.id = c.scope \
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

/// Tallies of rows and of what is counted without a row.
const TALLIED: &str = "SELECT tenant, scope, chk, pass, fail, accepted, false_positive, \
     not_applicable, unknown FROM tallies UNION ALL \
     SELECT tenant, scope, chk, pass, 0, 0, 0, 0, 0 FROM counted";

impl TenantStore {
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

    /// The newest scan of each of these scopes that has one; 200 scopes at most.
    pub async fn newest_scans(&self, scopes: &[ScopeId]) -> Result<Vec<ScanRow>> {
        let scopes = scopes.get(..200).unwrap_or(scopes);
        let mut args = args![self.t];
        let holes = holes(&mut args, scopes.iter().map(ScopeId::as_str));
        self.db()
            .all(
                &format!(
                    "SELECT {SCAN} {SCAN_FROM} WHERE c.tenant = $1 AND c.id IN \
                     (SELECT (SELECT MAX(n.id) FROM scans n WHERE n.tenant = o.tenant \
                     AND n.scope = o.id) FROM scopes o WHERE o.tenant = $1 AND o.uid IN ({holes}))"
                ),
                args,
            )
            .await?
            .iter()
            .map(scan_of)
            .collect()
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
                     WHERE {wheres} ORDER BY r.scope, r.chk, r.asset, r.locus LIMIT {}) r ORDER BY r.scope, r.chk, r.asset, r.locus",
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
                     c.refs, {sums} FROM checks c LEFT JOIN (SELECT t.* FROM ({TALLIED}) t \
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
}
