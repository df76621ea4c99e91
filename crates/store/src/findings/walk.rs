//! Reading findings in order: few of them sorted, many of them walked.

use super::FindingSort;
use super::plan::{At, Hit, Plan, int_list};
use crate::Result;
use crate::db::{Row, Tx, args};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Walks that are put into one statement.
const UNION: usize = 40;

fn hit_of(row: &Row) -> Result<Hit> {
    Ok(Hit {
        id: row.int(0)?,
        severity: row.int(1)?,
        number: row.int(2)?,
        text: row.text(3)?,
    })
}

/// How two hits stand in an order.
fn compare(sort: FindingSort, a: &Hit, b: &Hit) -> Ordering {
    let newest = b.number.cmp(&a.number).then(b.id.cmp(&a.id));
    match sort {
        FindingSort::Severity => b.severity.cmp(&a.severity).then(newest),
        FindingSort::Changed | FindingSort::FirstSeen => newest,
        FindingSort::Check => a.text.cmp(&b.text).then(newest),
        FindingSort::Asset => a.text.cmp(&b.text).then(a.id.cmp(&b.id)),
    }
}

impl Plan {
    /// Reads all findings of a narrow source and sorts them. Returns up to `limit + 1` after
    /// the cursor, and how many there are in all.
    pub(super) async fn narrow(
        &self,
        tx: &mut Tx,
        source: &str,
        sort: FindingSort,
        at: Option<&At>,
        limit: usize,
    ) -> Result<(Vec<Hit>, u64)> {
        let (number, text, join, order) = match sort {
            FindingSort::Severity => (
                "m.changed",
                "''",
                "",
                "m.severity DESC, m.changed DESC, m.id DESC",
            ),
            FindingSort::Changed => ("m.changed", "''", "", "m.changed DESC, m.id DESC"),
            FindingSort::FirstSeen => ("m.first_seen", "''", "", "m.first_seen DESC, m.id DESC"),
            FindingSort::Check => (
                "m.first_seen",
                "c.uid",
                "JOIN checks c ON c.tenant = m.tenant AND c.id = m.chk",
                "c.uid, m.first_seen DESC, m.id DESC",
            ),
            FindingSort::Asset => ("0", "m.asset_uid", "", "m.asset_uid, m.id"),
        };
        let (v, n, i) = at.map_or((0, 0, 0), |at| (at.v, at.n, at.i));
        let after = match (at, sort) {
            (None, _) => "1 = 1".to_owned(),
            (_, FindingSort::Severity) => {
                format!("(m.severity, m.changed, m.id) < ({v}, {n}, {i})")
            }
            (_, FindingSort::Changed | FindingSort::FirstSeen) => {
                format!("({number}, m.id) < ({n}, {i})")
            }
            (_, FindingSort::Check) => {
                format!("(c.uid > $2 OR (c.uid = $2 AND (m.first_seen, m.id) < ({n}, {i})))")
            }
            (_, FindingSort::Asset) => format!("(m.asset_uid, m.id) > ($2, {i})"),
        };
        let sql = format!(
            "WITH m AS MATERIALIZED (SELECT tenant, id, severity, changed, first_seen, chk, \
             asset_uid FROM {source} AND $1 = $1) \
             SELECT m.id, m.severity, CAST({number} AS BIGINT), {text}, (SELECT COUNT(*) FROM m) \
             FROM m {join} WHERE {after} AND $2 = $2 ORDER BY {order} LIMIT {}",
            limit + 1
        );
        let mut args = self.args();
        args.push(at.map_or("", |at| at.t.as_str()).into());
        let rows = tx.once(&sql, args).await?;
        let count = rows.first().map_or(Ok(0), |row| row.count(4))?;
        let hits = rows.iter().map(hit_of).collect::<Result<_>>()?;
        Ok((hits, count))
    }

    /// One walk: in index order, a page at most.
    fn leg(&self, index: &str, wheres: &str, row: &str, order: &str, limit: usize) -> String {
        format!(
            "SELECT * FROM (SELECT {row} FROM findings{} WHERE {wheres} AND {} \
             ORDER BY {order} LIMIT {}) w",
            self.hint(index),
            self.others(),
            limit + 1
        )
    }

    async fn union(&self, tx: &mut Tx, legs: &[String], text: &str) -> Result<Vec<Hit>> {
        let mut hits = Vec::new();
        for legs in legs.chunks(UNION) {
            let sql: Vec<String> = legs
                .iter()
                .enumerate()
                .map(|(i, leg)| format!("{leg}{i}"))
                .collect();
            // Both bound values are named, so that PostgreSQL knows their types.
            let sql = format!(
                "SELECT * FROM ({}) u WHERE $1 = $1 AND $2 = $2",
                sql.join(" UNION ALL ")
            );
            let mut args = self.args();
            args.extend(args![text]);
            for row in &tx.once(&sql, args).await? {
                hits.push(hit_of(row)?);
            }
        }
        Ok(hits)
    }
}

/// Walks the index of an order until a page (and one more) is full.
pub(super) async fn walk(
    plan: &Plan,
    tx: &mut Tx,
    sort: FindingSort,
    counts: &[(i64, i64, u64)],
    at: Option<&At>,
    limit: usize,
) -> Result<Vec<Hit>> {
    let mut hits = match sort {
        FindingSort::Severity => by_severity(plan, tx, counts, at, limit).await?,
        FindingSort::Changed | FindingSort::FirstSeen => {
            let after = at.map(|at| (at.n, at.i));
            let legs: Vec<String> = counts
                .iter()
                .map(|(status, severity, _)| by_time(plan, sort, *status, *severity, after, limit))
                .collect();
            plan.union(tx, &legs, "").await?
        }
        FindingSort::Check => by_check(plan, tx, at, limit).await?,
        FindingSort::Asset => by_asset(plan, tx, at, limit).await?,
    };
    hits.sort_by(|a, b| compare(sort, a, b));
    hits.truncate(limit + 1);
    Ok(hits)
}

/// A walk over one state and severity, newest first.
fn by_time(
    plan: &Plan,
    sort: FindingSort,
    status: i64,
    severity: i64,
    after: Option<(i64, i64)>,
    limit: usize,
) -> String {
    let (column, index) = match sort {
        FindingSort::FirstSeen if plan.one_scope => ("first_seen", "findings_scope_first"),
        FindingSort::FirstSeen => ("first_seen", "findings_first"),
        _ if plan.one_scope => ("changed", "findings_scope"),
        _ => ("changed", "findings_changed"),
    };
    let after = match after {
        Some((moment, id)) => format!(" AND ({column}, id) < ({moment}, {id})"),
        None => String::new(),
    };
    plan.leg(
        index,
        &format!("status = {status} AND severity = {severity}{after}"),
        &format!("id, severity, {column} AS number, '' AS text"),
        &format!("{column} DESC, id DESC"),
        limit,
    )
}

async fn by_severity(
    plan: &Plan,
    tx: &mut Tx,
    counts: &[(i64, i64, u64)],
    at: Option<&At>,
    limit: usize,
) -> Result<Vec<Hit>> {
    let mut parts: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for (status, severity, _) in counts {
        parts.entry(*severity).or_default().push(*status);
    }
    let mut hits = Vec::new();
    for (severity, statuses) in parts.into_iter().rev() {
        let after = match at {
            Some(at) if severity > at.v => continue,
            Some(at) if severity == at.v => Some((at.n, at.i)),
            _ => None,
        };
        let legs: Vec<String> = statuses
            .iter()
            .map(|status| by_time(plan, FindingSort::Severity, *status, severity, after, limit))
            .collect();
        hits.extend(plan.union(tx, &legs, "").await?);
        if hits.len() > limit {
            break;
        }
    }
    Ok(hits)
}

async fn by_check(plan: &Plan, tx: &mut Tx, at: Option<&At>, limit: usize) -> Result<Vec<Hit>> {
    // The counters tell which checks have findings under these filters.
    let sql = format!(
        "SELECT c.id, c.uid, CAST(SUM(f.n) AS BIGINT) FROM (SELECT chk, n, tenant \
         FROM finding_counts WHERE {} AND status IN ({}) AND severity IN ({}) AND n > 0) f \
         JOIN checks c ON c.tenant = f.tenant AND c.id = f.chk \
         WHERE c.uid >= $1 GROUP BY c.id, c.uid ORDER BY c.uid",
        plan.scope_and_check(),
        int_list(&plan.status),
        int_list(&plan.severity)
    );
    let from = at.map_or("", |at| at.t.as_str());
    let checks: Vec<(i64, String, u64)> = tx
        .once(&sql, args![from])
        .await?
        .iter()
        .map(|row| Ok((row.int(0)?, row.text(1)?, row.count(2)?)))
        .collect::<Result<_>>()?;
    let filters = format!(
        "status IN ({}) AND severity IN ({})",
        int_list(&plan.status),
        int_list(&plan.severity)
    );
    let mut hits = Vec::new();
    let mut checks = checks.into_iter().peekable();
    while hits.len() <= limit && checks.peek().is_some() {
        let mut batch = Vec::new();
        let mut promised = 0;
        // As many checks as surely fill the page, or a handful when more filters thin them out.
        while promised <= limit as u64 && batch.len() < 16 {
            let Some(check) = checks.next() else { break };
            if plan.counted() && Some(check.1.as_str()) != at.map(|at| at.t.as_str()) {
                promised += check.2;
            }
            batch.push(check);
        }
        let legs: Vec<String> = batch
            .iter()
            .map(|(chk, uid, _)| {
                let after = match at {
                    Some(at) if at.t == *uid => {
                        format!(" AND (first_seen, id) < ({}, {})", at.n, at.i)
                    }
                    _ => String::new(),
                };
                plan.leg(
                    "findings_check",
                    &format!("chk = {chk} AND {filters}{after}"),
                    &format!("id, severity, first_seen AS number, '{chk}' AS text"),
                    "first_seen DESC, id DESC",
                    limit,
                )
            })
            .collect();
        let uids: BTreeMap<String, String> = batch
            .into_iter()
            .map(|(chk, uid, _)| (chk.to_string(), uid))
            .collect();
        for mut hit in plan.union(tx, &legs, "").await? {
            if let Some(uid) = uids.get(&hit.text) {
                hit.text.clone_from(uid);
            }
            hits.push(hit);
        }
    }
    Ok(hits)
}

async fn by_asset(plan: &Plan, tx: &mut Tx, at: Option<&At>, limit: usize) -> Result<Vec<Hit>> {
    let after = match at {
        Some(at) => format!(" AND (asset_uid, id) > ($2, {})", at.i),
        None => String::new(),
    };
    let filters = format!(
        "status IN ({}) AND severity IN ({})",
        int_list(&plan.status),
        int_list(&plan.severity)
    );
    if plan.kind.is_some() || plan.ns.is_some() {
        return by_named_asset(plan, tx, at, &filters, limit).await;
    }
    // The counters tell which scopes have findings under these filters.
    let sql = format!(
        "SELECT DISTINCT scope FROM finding_counts WHERE {} AND {filters} AND n > 0",
        plan.scope_and_check()
    );
    let scopes: Vec<i64> = tx
        .once(&sql, vec![])
        .await?
        .iter()
        .map(|row| row.int(0))
        .collect::<Result<_>>()?;
    let legs: Vec<String> = scopes
        .iter()
        .map(|scope| {
            plan.leg(
                "findings_asset",
                &format!("scope = {scope} AND {filters}{after}"),
                "id, severity, CAST(0 AS BIGINT) AS number, asset_uid AS text",
                "asset_uid, id",
                limit,
            )
        })
        .collect();
    plan.union(tx, &legs, at.map_or("", |at| at.t.as_str()))
        .await
}

/// Walks the assets of a kind or namespace by uid, and the findings of each: kind and namespace
/// are part of most uids, so that a walk over all findings could pass over nearly all.
async fn by_named_asset(
    plan: &Plan,
    tx: &mut Tx,
    at: Option<&At>,
    filters: &str,
    limit: usize,
) -> Result<Vec<Hit>> {
    let mut assets = format!("a.tenant = {} AND a.uid >= $2", plan.t);
    for (column, wanted) in [("a.kind", plan.kind), ("a.ns", plan.ns)] {
        if let Some(id) = wanted {
            assets.push_str(&format!(" AND {column} = {id}"));
        }
    }
    if plan.one_scope {
        assets.push_str(&format!(" AND a.scope IN ({})", int_list(&plan.scopes)));
    }
    let after = match at {
        Some(at) => format!(" AND (f.asset_uid, f.id) > ($2, {})", at.i),
        None => String::new(),
    };
    let others = format!("{} AND {filters}", plan.others());
    let row = "f.id, f.severity, CAST(0 AS BIGINT), f.asset_uid";
    let on = "f.tenant = a.tenant AND f.scope = a.scope AND f.asset_uid = a.uid";
    let index = if plan.ns.is_some() {
        "assets_by_ns"
    } else {
        "assets_by_kind"
    };
    let sql = if plan.lite {
        format!(
            "SELECT {row} FROM assets a{} CROSS JOIN findings f{} ON {on} WHERE {assets} \
             AND {}{after} AND $1 = $1 ORDER BY a.uid, f.id LIMIT {}",
            plan.hint(index),
            plan.hint("findings_asset"),
            qualified(&others),
            limit + 1
        )
    } else {
        format!(
            "SELECT {row} FROM assets a JOIN LATERAL (SELECT id, severity, asset_uid \
             FROM findings f WHERE {on} AND {}{after} ORDER BY f.asset_uid, f.id LIMIT {}) f \
             ON true WHERE {assets} AND $1 = $1 ORDER BY a.uid, f.id LIMIT {}",
            qualified(&others),
            limit + 1,
            limit + 1
        )
    };
    let mut args = plan.args();
    args.extend(args![at.map_or("", |at| at.t.as_str())]);
    tx.once(&sql, args).await?.iter().map(hit_of).collect()
}

/// Puts the findings' alias before the columns of conditions, which [`Plan`] writes joined by
/// ` AND `, each beginning with its column.
fn qualified(conditions: &str) -> String {
    conditions
        .split(" AND ")
        .map(|condition| format!("f.{condition}"))
        .collect::<Vec<_>>()
        .join(" AND ")
}
