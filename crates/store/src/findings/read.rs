//! Lists, facets and detail of findings.

use super::change::{key_text, pack_key, status_of};
use super::plan::{MATCHES, Plan};
use super::{Facets, FindingDetail, FindingFilter, FindingPage, FindingRow, FindingSort};
use super::{SearchNote, int_list};
use crate::db::{Row, Tx, args, holes};
use crate::scans::{RESULT, check_of, location_of, result_of};
use crate::{Page, PageRequest, Result, TenantStore, Total};
use bartizan_model::{
    Acceptance, Asset, FindingKey, FindingStatus, Observation, ScanId, Severity, Timestamp,
};
use std::collections::HashMap;

/// A finding's row. Names are looked up by key, one row at a time: no join for a planner
/// without statistics to get wrong.
const FINDING: &str = "f.key, \
     (SELECT s.uid FROM scopes s WHERE s.tenant = f.tenant AND s.id = f.scope), \
     (SELECT c.uid FROM checks c WHERE c.tenant = f.tenant AND c.id = f.chk), f.asset_uid, \
     (SELECT n.name FROM names n WHERE n.tenant = f.tenant AND n.id = f.kind), \
     (SELECT a.name FROM assets a WHERE a.tenant = f.tenant AND a.id = f.asset), \
     (SELECT n.name FROM names n WHERE n.tenant = f.tenant AND n.id = f.ns), \
     f.locus, f.status, f.severity, \
     (SELECT c.title FROM checks c WHERE c.tenant = f.tenant AND c.id = f.chk), \
     f.message, f.first_seen, f.changed, f.owner, f.reason, f.expires, f.id";

fn finding_of(row: &Row) -> Result<FindingRow> {
    let acceptance = match row.opt_text(14)? {
        Some(owner) => Some(Acceptance {
            owner,
            reason: row.opt_text(15)?.unwrap_or_default(),
            expires: row.opt_time(16)?,
        }),
        None => None,
    };
    Ok(FindingRow {
        key: FindingKey::new(key_text(&row.blob(0)?))?,
        scope: row.id(1)?,
        check: row.id(2)?,
        asset: Asset {
            uid: row.id(3)?,
            kind: row.text(4)?,
            name: row.text(5)?,
            namespace: row.text(6)?,
        },
        locus: row.text(7)?,
        status: status_of(row.int(8)?),
        severity: Severity::from_rank(row.int(9)?),
        title: row.text(10)?,
        message: row.text(11)?,
        first_seen: row.time(12)?,
        changed: row.time(13)?,
        acceptance,
    })
}

fn note(filter: &FindingFilter, plan: Option<&Plan>, capped: bool) -> Option<SearchNote> {
    let searched = match plan {
        Some(plan) => plan.words.is_some(),
        None => filter.q.is_some(),
    };
    searched.then_some(SearchNote {
        capped,
        limit: MATCHES as u32,
    })
}

impl TenantStore {
    /// A page of findings with a total (`capped` when counting stopped early).
    pub async fn findings(
        &self,
        filter: &FindingFilter,
        sort: FindingSort,
        page: &PageRequest,
    ) -> Result<FindingPage> {
        let Some(plan) = Plan::resolve(self.db(), self.t, filter).await? else {
            return Ok(FindingPage {
                page: Page {
                    items: Vec::new(),
                    next_cursor: None,
                    total: Some(Total {
                        count: 0,
                        capped: false,
                    }),
                },
                search: note(filter, None, false),
            });
        };
        // One moment for plan, ids and rows.
        let mut tx = self.db().snapshot().await?;
        let found = plan.page(&mut tx, sort, page).await?;
        let items = self.rows(&mut tx, &found.ids).await?;
        tx.commit().await?;
        Ok(FindingPage {
            page: Page {
                items,
                next_cursor: found.next,
                total: Some(Total {
                    count: found.count,
                    capped: found.capped,
                }),
            },
            search: note(filter, Some(&plan), found.words_capped),
        })
    }

    /// The rows of these ids, in their order.
    async fn rows(&self, tx: &mut Tx, ids: &[i64]) -> Result<Vec<FindingRow>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = tx
            .once(
                &format!(
                    "SELECT {FINDING} FROM findings f WHERE f.id IN ({})",
                    int_list(ids)
                ),
                vec![],
            )
            .await?;
        let mut found: HashMap<i64, FindingRow> = rows
            .iter()
            .map(|row| Ok((row.int(17)?, finding_of(row)?)))
            .collect::<Result<_>>()?;
        Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
    }

    /// Counts by severity and by state under a filter.
    pub async fn finding_facets(&self, filter: &FindingFilter) -> Result<Facets> {
        let mut facets = Facets::default();
        let Some(plan) = Plan::resolve(self.db(), self.t, filter).await? else {
            return Ok(facets);
        };
        let mut tx = self.db().snapshot().await?;
        let lines = if let Some(words) = &plan.words {
            let (ids, capped) = plan.matches(&mut tx, words).await?;
            facets.capped = capped;
            if ids.is_empty() {
                Vec::new()
            } else {
                plan.tally(&mut tx, Some(&ids)).await?.0
            }
        } else if plan.counted() {
            plan.counts(&mut tx).await?
        } else {
            let (lines, capped) = plan.tally(&mut tx, None).await?;
            facets.capped = capped;
            lines
        };
        tx.commit().await?;
        for (status, severity, n) in lines {
            *facets
                .severity
                .entry(Severity::from_rank(severity))
                .or_default() += n;
            *facets.status.entry(status_of(status)).or_default() += n;
        }
        Ok(facets)
    }

    /// The states of these findings, as far as they are there.
    pub async fn finding_states(
        &self,
        keys: &[FindingKey],
    ) -> Result<HashMap<FindingKey, FindingStatus>> {
        let mut states = HashMap::new();
        for some in keys.chunks(400) {
            let mut args = args![self.t];
            let places = holes(&mut args, some.iter().filter_map(pack_key));
            let sql =
                format!("SELECT key, status FROM findings WHERE tenant = $1 AND key IN ({places})");
            for row in &self.db().all(&sql, args).await? {
                let key = FindingKey::new(key_text(&row.blob(0)?))?;
                states.insert(key, status_of(row.int(1)?));
            }
        }
        Ok(states)
    }

    /// One finding with everything about it.
    pub async fn finding(&self, key: &FindingKey) -> Result<Option<FindingDetail>> {
        let Some(packed) = pack_key(key) else {
            return Ok(None);
        };
        let Some(row) = self
            .db()
            .opt(
                &format!(
                    "SELECT {FINDING}, f.scope, f.chk, f.asset, f.seen, f.seen_scan \
                     FROM findings f WHERE f.tenant = $1 AND f.key = $2"
                ),
                args![self.t, packed],
            )
            .await?
        else {
            return Ok(None);
        };
        let finding = finding_of(&row)?;
        let (scope, chk, asset) = (row.int(18)?, row.int(19)?, row.int(20)?);
        let check = self
            .db()
            .opt(
                "SELECT uid, id, title, description, severity, remediation, refs FROM checks \
                 WHERE tenant = $1 AND id = $2",
                args![self.t, chk],
            )
            .await?
            .ok_or_else(|| crate::StoreError::Corrupt(format!("{key} has no check")))?;
        let result = self
            .db()
            .opt(
                &format!(
                    "SELECT {RESULT}, r.scan, (SELECT sc.finished FROM scans sc \
                     WHERE sc.tenant = r.tenant AND sc.id = r.scan), l.complete_scan, \
                     l.complete_finished, r.outcome FROM results r LEFT JOIN scope_sources l \
                     ON l.tenant = r.tenant AND l.scope = r.scope AND l.source = r.source \
                     WHERE r.tenant = $1 AND r.scope = $2 AND r.chk = $3 AND r.asset = $4 \
                     AND r.locus = $5"
                ),
                args![self.t, scope, chk, asset, finding.locus.as_str()],
            )
            .await?;
        let (last_seen, last_scan) = self
            .last_seen(
                &finding,
                row.opt_int(21)?.zip(row.opt_int(22)?),
                result.as_ref(),
            )
            .await?;
        let observation = self.observation(scope, asset, &finding.asset).await?;
        Ok(Some(FindingDetail {
            check: check_of(&check, 0)?,
            result: result.map(|row| result_of(&row)).transpose()?,
            last_seen,
            last_scan,
            observation,
            history: self.history(key.as_str(), 200).await?,
            row: finding,
        }))
    }

    /// When the failure was last seen: what was noted when it was fixed, or else the newest
    /// complete scan since the result was written, or the scan that wrote it.
    async fn last_seen(
        &self,
        finding: &FindingRow,
        noted: Option<(i64, i64)>,
        result: Option<&Row>,
    ) -> Result<(Timestamp, Option<ScanId>)> {
        let fails = match result {
            Some(row) => row.int(21)? == 1,
            None => false,
        };
        let (moment, scan) = match (noted, result) {
            (_, Some(row)) if fails => {
                let wrote = row.int(17)?;
                match row.opt_int(19)?.zip(row.opt_int(20)?) {
                    Some((complete, finished)) if complete >= wrote => (finished, complete),
                    _ => (row.opt_int(18)?.unwrap_or(finding.changed.micros()), wrote),
                }
            }
            (Some(noted), _) => noted,
            (None, _) => return Ok((finding.changed, None)),
        };
        let scan = self
            .db()
            .opt(
                "SELECT uid FROM scans WHERE tenant = $1 AND id = $2",
                args![self.t, scan],
            )
            .await?
            .map(|row| row.id(0))
            .transpose()?;
        Ok((Timestamp::from_micros(moment), scan))
    }

    async fn observation(
        &self,
        scope: i64,
        number: i64,
        asset: &Asset,
    ) -> Result<Option<Observation>> {
        self.db()
            .opt(
                "SELECT kind, digest, body, file, line, col FROM observations \
                 WHERE tenant = $1 AND scope = $2 AND asset = $3 ORDER BY scan DESC, kind LIMIT 1",
                args![self.t, scope, number],
            )
            .await?
            .map(|row| {
                Ok(Observation {
                    asset: asset.clone(),
                    kind: row.text(0)?,
                    digest: row.id(1)?,
                    body: row.json(2)?,
                    location: location_of(&row, 3)?,
                })
            })
            .transpose()
    }
}
