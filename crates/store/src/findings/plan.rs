//! How a list of findings is read so that every order with every filter stays fast.
//!
//! Two plans. *Narrow*: when the filters leave at most [`NARROW`] findings, all of them are
//! read through the filter's index and sorted. *Walk*: otherwise the order's index is walked
//! until the page is full; it covers all that filters look at. Which one is told by the
//! counters (exact, for scope, check, state and severity) or by a probe that stops early
//! (asset, namespace, kind). State and severity lead the walked indexes, so that a walk is a
//! merge of at most 25 short ones and never passes over findings of another state.

use super::{FindingFilter, FindingSort, search};
use crate::db::{Db, Tx, Val, args};
use crate::{PageRequest, Result, StoreError, page};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// Findings that are sorted rather than walked, and the cap of probed totals.
pub(super) const NARROW: u64 = 10_000;

/// Matches of words that are looked at, the newest ones.
pub(super) const MATCHES: usize = 1_000;

/// Rows that facets count at most when no counter tells.
pub(super) const COUNTED: u64 = 50_000;

/// A filter in stored numbers.
pub(super) struct Plan {
    pub(super) t: i64,
    pub(super) lite: bool,
    /// Scopes to show, or the one asked for.
    pub(super) scopes: Vec<i64>,
    pub(super) one_scope: bool,
    any_archived: bool,
    pub(super) status: Vec<i64>,
    pub(super) severity: Vec<i64>,
    checks: Option<Vec<i64>>,
    pub(super) asset: Option<(i64, String)>,
    pub(super) ns: Option<i64>,
    pub(super) kind: Option<i64>,
    pub(super) words: Option<Vec<String>>,
}

/// A finding found, with what it is ordered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) id: i64,
    pub(super) severity: i64,
    pub(super) number: i64,
    pub(super) text: String,
}

/// Where a page ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct At {
    /// The order.
    o: String,
    /// Severity, moment, text and id of the last row.
    pub(super) v: i64,
    pub(super) n: i64,
    pub(super) t: String,
    pub(super) i: i64,
}

/// What was found, and how many there are.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) ids: Vec<i64>,
    pub(super) next: Option<String>,
    pub(super) count: u64,
    pub(super) capped: bool,
    pub(super) words_capped: bool,
}

/// Writes numbers for `IN (…)`. They are this crate's own; nothing from outside gets here.
pub(crate) fn int_list(numbers: &[i64]) -> String {
    let mut out = String::new();
    for (i, n) in numbers.iter().enumerate() {
        let _ = write!(out, "{}{n}", if i == 0 { "" } else { "," });
    }
    out
}

impl Plan {
    /// Looks the names up; none when one of them does not exist, so that nothing can match.
    pub(super) async fn resolve(db: &Db, t: i64, filter: &FindingFilter) -> Result<Option<Self>> {
        let mut plan = Self {
            t,
            lite: db.is_lite(),
            scopes: Vec::new(),
            one_scope: filter.scope.is_some(),
            any_archived: false,
            status: Vec::new(),
            severity: Vec::new(),
            checks: None,
            asset: None,
            ns: None,
            kind: None,
            words: None,
        };
        let wanted = filter.scope.as_ref().map(|s| s.as_str());
        for row in db
            .all(
                "SELECT id, archived FROM scopes WHERE tenant = $1 AND ($2 IS NULL OR uid = $2) \
                 ORDER BY id",
                args![t, wanted],
            )
            .await?
        {
            if row.flag(1)? && !plan.one_scope {
                plan.any_archived = true;
            } else {
                plan.scopes.push(row.int(0)?);
            }
        }
        if plan.scopes.is_empty() {
            return Ok(None);
        }
        plan.status = filter
            .status
            .iter()
            .map(|s| super::change::status_rank(*s))
            .collect();
        plan.severity = filter.severity.iter().map(|s| s.rank()).collect();
        for set in [&mut plan.status, &mut plan.severity] {
            if set.is_empty() {
                set.extend(0..5);
            }
            set.sort_unstable();
            set.dedup();
        }
        if let Some(checks) = &filter.checks {
            let wanted: Vec<&str> = checks.iter().map(|c| c.as_str()).collect();
            let mut found = Vec::new();
            for row in db
                .all(
                    "SELECT id, uid FROM checks WHERE tenant = $1 ORDER BY id",
                    args![t],
                )
                .await?
            {
                let uid = row.text(1)?;
                if wanted.contains(&uid.as_str()) {
                    found.push(row.int(0)?);
                }
            }
            if found.is_empty() {
                return Ok(None);
            }
            plan.checks = Some(found);
        }
        if let Some(asset) = &filter.asset {
            let row = db
                .opt(
                    "SELECT scope FROM assets WHERE tenant = $1 AND uid = $2",
                    args![t, asset.as_str()],
                )
                .await?;
            let Some(scope) = row.map(|r| r.int(0)).transpose()? else {
                return Ok(None);
            };
            if !plan.scopes.contains(&scope) {
                return Ok(None);
            }
            plan.asset = Some((scope, asset.to_string()));
        }
        for (sort, name) in [(0_i64, &filter.namespace), (1, &filter.kind)] {
            let Some(name) = name else { continue };
            let row = db
                .opt(
                    "SELECT id FROM names WHERE tenant = $1 AND sort = $2 AND name = $3",
                    args![t, sort, name.as_str()],
                )
                .await?;
            let Some(id) = row.map(|r| r.int(0)).transpose()? else {
                return Ok(None);
            };
            if sort == 0 {
                plan.ns = Some(id);
            } else {
                plan.kind = Some(id);
            }
        }
        if let Some(q) = &filter.q {
            let words = search::tokens(q);
            if !words.is_empty() {
                plan.words = Some(words.into_iter().take(16).collect());
            }
        }
        Ok(Some(plan))
    }

    /// Whether the counters alone tell how many findings match.
    pub(super) fn counted(&self) -> bool {
        self.asset.is_none() && self.ns.is_none() && self.kind.is_none() && self.words.is_none()
    }

    /// Conditions on scope and check, for `finding_counts` and `findings` alike.
    pub(super) fn scope_and_check(&self) -> String {
        let mut out = format!("tenant = {}", self.t);
        if self.one_scope || self.any_archived {
            let _ = write!(out, " AND scope IN ({})", int_list(&self.scopes));
        }
        if let Some(checks) = &self.checks {
            let _ = write!(out, " AND chk IN ({})", int_list(checks));
        }
        out
    }

    /// All conditions but state and severity. Bound: `$1` the asset.
    pub(super) fn others(&self) -> String {
        let mut out = self.scope_and_check();
        if let Some((scope, _)) = &self.asset {
            let _ = write!(out, " AND scope = {scope} AND asset_uid = $1");
        }
        if let Some(ns) = self.ns {
            let _ = write!(out, " AND ns = {ns}");
        }
        if let Some(kind) = self.kind {
            let _ = write!(out, " AND kind = {kind}");
        }
        out
    }

    /// All conditions.
    fn all(&self) -> String {
        format!(
            "{} AND status IN ({}) AND severity IN ({})",
            self.others(),
            int_list(&self.status),
            int_list(&self.severity)
        )
    }

    pub(super) fn args(&self) -> Vec<Val> {
        match &self.asset {
            Some((_, uid)) => args![uid.as_str()],
            None => args![""],
        }
    }

    pub(super) fn hint(&self, index: &str) -> String {
        if self.lite {
            format!(" INDEXED BY {index}")
        } else {
            String::new()
        }
    }

    /// The findings of these ids that the filters leave, read by id.
    fn by_id(&self, ids: &[i64]) -> String {
        let hint = if self.lite { " NOT INDEXED" } else { "" };
        format!(
            "findings{hint} WHERE id IN ({}) AND {}",
            int_list(ids),
            self.all()
        )
    }

    /// The index that the filters ask for.
    fn filter_index(&self) -> &'static str {
        if self.asset.is_some() {
            "findings_asset"
        } else if self.ns.is_some() || self.kind.is_some() {
            "findings_ns"
        } else if self.checks.is_some() {
            "findings_check"
        } else if self.one_scope {
            "findings_scope"
        } else {
            "findings_changed"
        }
    }

    /// Conditions that make [`Self::filter_index`] usable where its first column is not asked
    /// for: a kind in any namespace.
    fn any_namespace(&self) -> String {
        if self.asset.is_none() && self.ns.is_none() && self.kind.is_some() {
            format!(
                " AND ns IN (SELECT id FROM names WHERE tenant = {} AND sort = 0)",
                self.t
            )
        } else {
            String::new()
        }
    }

    /// Counts by state and severity from the counters.
    pub(super) async fn counts(&self, tx: &mut Tx) -> Result<Vec<(i64, i64, u64)>> {
        let sql = format!(
            "SELECT status, severity, CAST(SUM(n) AS BIGINT) FROM finding_counts \
             WHERE {} AND status IN ({}) AND severity IN ({}) \
             GROUP BY status, severity HAVING SUM(n) > 0",
            self.scope_and_check(),
            int_list(&self.status),
            int_list(&self.severity)
        );
        tx.once(&sql, vec![])
            .await?
            .iter()
            .map(|row| Ok((row.int(0)?, row.int(1)?, row.count(2)?)))
            .collect()
    }

    /// Counts by state and severity by reading, for filters without counters.
    pub(super) async fn tally(
        &self,
        tx: &mut Tx,
        matches: Option<&[i64]>,
    ) -> Result<(Vec<(i64, i64, u64)>, bool)> {
        let from = match matches {
            Some(ids) => self.by_id(ids),
            None => format!(
                "findings{} WHERE {}{}",
                self.hint(self.filter_index()),
                self.all(),
                self.any_namespace()
            ),
        };
        let sql = format!(
            "SELECT status, severity, COUNT(*) FROM \
             (SELECT status, severity FROM {from} AND $1 = $1 LIMIT {COUNTED}) f \
             GROUP BY status, severity"
        );
        let rows: Vec<(i64, i64, u64)> = tx
            .once(&sql, self.args())
            .await?
            .iter()
            .map(|row| Ok((row.int(0)?, row.int(1)?, row.count(2)?)))
            .collect::<Result<_>>()?;
        let sum: u64 = rows.iter().map(|r| r.2).sum();
        Ok((rows, sum >= COUNTED))
    }

    /// Ids of findings with all the words, newest first, and whether there are more.
    pub(super) async fn matches(&self, tx: &mut Tx, words: &[String]) -> Result<(Vec<i64>, bool)> {
        let (low, high) = (self.t << 32, (self.t + 1) << 32);
        let (sql, query) = if self.lite {
            (
                "SELECT rowid FROM finding_words WHERE finding_words MATCH $1 \
                 AND rowid >= $2 AND rowid < $3 ORDER BY rowid DESC LIMIT $4",
                search::fts5(words),
            )
        } else {
            (
                "SELECT id FROM finding_words WHERE words @@ $1::tsquery \
                 AND id >= $2 AND id < $3 ORDER BY id DESC LIMIT $4",
                search::tsquery(words),
            )
        };
        let rows = tx
            .once(sql, args![query, low, high, MATCHES + 1])
            .await
            .map_err(|e| match e {
                StoreError::Database(e) if e.to_string().contains("fts5") => {
                    StoreError::Invalid("these words cannot be searched for".to_owned())
                }
                other => other,
            })?;
        let mut ids: Vec<i64> = rows.iter().map(|r| r.int(0)).collect::<Result<_>>()?;
        let capped = ids.len() > MATCHES;
        ids.truncate(MATCHES);
        Ok((ids, capped))
    }

    /// Reads one page.
    pub(super) async fn page(
        &self,
        tx: &mut Tx,
        sort: FindingSort,
        request: &PageRequest,
    ) -> Result<Found> {
        let limit = request.rows();
        let at: Option<At> = request.decode()?;
        if at.as_ref().is_some_and(|at| at.o != sort.word()) {
            return Err(StoreError::Invalid(
                "the cursor belongs to another order; start again without a cursor".to_owned(),
            ));
        }
        let mut found = Found::default();
        let counts = self.counts(tx).await?;
        let most: u64 = counts.iter().map(|c| c.2).sum();
        if most == 0 {
            return Ok(found);
        }
        let mut hits = if let Some(words) = &self.words {
            let (ids, capped) = self.matches(tx, words).await?;
            found.words_capped = capped;
            found.capped = capped;
            if ids.is_empty() {
                return Ok(found);
            }
            let source = self.by_id(&ids);
            let (hits, n) = self.narrow(tx, &source, sort, at.as_ref(), limit).await?;
            found.count = n;
            hits
        } else {
            let source = format!(
                "findings{} WHERE {}{}",
                self.hint(self.filter_index()),
                self.all(),
                self.any_namespace()
            );
            if !self.counted() {
                let sql = format!(
                    "SELECT COUNT(*) FROM (SELECT 1 FROM {source} AND $1 = $1 LIMIT {}) f",
                    NARROW + 1
                );
                let n = tx.once(&sql, self.args()).await?;
                let n = n.first().map_or(Ok(0), |row| row.count(0))?;
                found.count = n.min(NARROW);
                found.capped = n > NARROW;
            } else {
                found.count = most;
            }
            if found.count <= NARROW && !found.capped {
                self.narrow(tx, &source, sort, at.as_ref(), limit).await?.0
            } else {
                super::walk::walk(self, tx, sort, &counts, at.as_ref(), limit).await?
            }
        };
        if hits.len() > limit {
            hits.truncate(limit);
            if let Some(last) = hits.last() {
                found.next = Some(page::encode(&At {
                    o: sort.word().to_owned(),
                    v: last.severity,
                    n: last.number,
                    t: last.text.clone(),
                    i: last.id,
                })?);
            }
        }
        found.ids = hits.into_iter().map(|hit| hit.id).collect();
        Ok(found)
    }
}
