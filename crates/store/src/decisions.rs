//! Admission decisions: stored in batches, each batch with one ledger entry that commits to
//! every decision in it.

use crate::bulk::Bulk;
use crate::db::{Row, Val, args};
use crate::{Act, Page, PageRequest, Result, TenantStore};
use bartizan_model::audit::{Decision, action};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// A stored decision.
#[derive(Debug, Clone, PartialEq)]
pub struct DecisionRow {
    /// Its place in the tenant's decisions.
    pub seq: i64,
    /// What was decided.
    pub decision: Decision,
}

/// Which decisions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DecisionFilter {
    /// `allowed`, `denied`, `unknown` or `excluded`.
    pub outcome: Option<String>,
    /// Exact namespace.
    pub namespace: Option<String>,
    /// Exact kind.
    pub kind: Option<String>,
    /// Exact name.
    pub name: Option<String>,
    /// Exact user.
    pub user: Option<String>,
}

const COLUMNS: &str = "seq, at, request, operation, grp, kind, ns, name, who, outcome, allowed, \
     dry_run, micros, policies, reasons";

/// What the ledger commits to: the JSON lines of a batch, in order.
pub fn batch_digest(decisions: &[Decision]) -> Result<String> {
    let mut hash = Sha256::new();
    for decision in decisions {
        hash.update(serde_json::to_vec(decision)?);
        hash.update(b"\n");
    }
    Ok(format!("sha256:{}", hex::encode(hash.finalize())))
}

impl TenantStore {
    /// Stores a batch and its ledger entry (`decisions.recorded`), all or nothing. Returns the
    /// place of the first.
    pub async fn record_decisions(&self, decisions: &[Decision], act: &Act) -> Result<i64> {
        let mut tx = self.begin().await?;
        let first = tx.take(self.t, "decision", decisions.len()).await?;
        let mut bulk = Bulk::new("iiittttttttiiitt");
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for (seq, d) in (first..).zip(decisions) {
            *counts.entry(d.outcome.as_str()).or_default() += 1;
            bulk.push(vec![
                self.t.into(),
                seq.into(),
                d.at.into(),
                Val::from(d.request.as_str()),
                d.operation.as_str().into(),
                d.group.as_str().into(),
                d.kind.as_str().into(),
                d.namespace.as_str().into(),
                d.name.as_str().into(),
                d.user.as_str().into(),
                d.outcome.as_str().into(),
                d.allowed.into(),
                d.dry_run.into(),
                d.micros.into(),
                d.policies.as_str().into(),
                serde_json::to_string(&d.reasons)?.into(),
            ]);
        }
        bulk.run(
            &mut tx,
            "INSERT INTO decisions (tenant, seq, at, request, operation, grp, kind, ns, name, \
             who, outcome, allowed, dry_run, micros, policies, reasons)",
            "",
        )
        .await?;
        let last = first + decisions.len() as i64 - 1;
        let detail = json!({
            "first": first,
            "last": last,
            "counts": counts,
            "digest": batch_digest(decisions)?,
        });
        let subject = format!("decisions/{first}-{last}");
        self.record(&mut tx, act, action::DECISIONS_RECORDED, &subject, &detail)
            .await?;
        tx.commit().await?;
        Ok(first)
    }

    /// Removes all but the newest `keep`; the ledger's entries stay. Returns how many went.
    pub async fn prune_decisions(&self, keep: u64) -> Result<u64> {
        let mut tx = self.begin().await?;
        let newest = tx
            .opt(
                "SELECT COALESCE(MAX(seq), 0) FROM decisions WHERE tenant = $1",
                args![self.t],
            )
            .await?;
        let newest = match newest {
            Some(row) => row.int(0)?,
            None => 0,
        };
        let up_to = newest.saturating_sub(i64::try_from(keep).unwrap_or(i64::MAX));
        let gone = tx
            .exec(
                "DELETE FROM decisions WHERE tenant = $1 AND seq <= $2",
                args![self.t, up_to],
            )
            .await?;
        tx.commit().await?;
        Ok(gone)
    }

    /// Decisions, newest first.
    pub async fn decisions(
        &self,
        filter: &DecisionFilter,
        page: &PageRequest,
    ) -> Result<Page<DecisionRow>> {
        let limit = page.rows();
        let before: i64 = page.decode()?.unwrap_or(i64::MAX);
        let mut args = args![self.t, before];
        let mut wheres = String::from("tenant = $1 AND seq < $2");
        for (column, value) in [
            ("outcome", &filter.outcome),
            ("ns", &filter.namespace),
            ("kind", &filter.kind),
            ("name", &filter.name),
            ("who", &filter.user),
        ] {
            if let Some(value) = value {
                args.push(value.as_str().into());
                wheres.push_str(&format!(" AND {column} = ${}", args.len()));
            }
        }
        let sql = format!(
            "SELECT {COLUMNS} FROM decisions WHERE {wheres} ORDER BY seq DESC LIMIT {}",
            limit + 1
        );
        let rows = self.db().all(&sql, args).await?;
        let rows = rows.iter().map(decision_of).collect::<Result<Vec<_>>>()?;
        Page::cut(rows, limit, |row| row.seq)
    }
}

fn decision_of(row: &Row) -> Result<DecisionRow> {
    Ok(DecisionRow {
        seq: row.int(0)?,
        decision: Decision {
            at: row.time(1)?,
            request: row.text(2)?,
            operation: row.text(3)?,
            group: row.text(4)?,
            kind: row.text(5)?,
            namespace: row.text(6)?,
            name: row.text(7)?,
            user: row.text(8)?,
            outcome: row.text(9)?,
            allowed: row.flag(10)?,
            dry_run: row.flag(11)?,
            micros: row.count(12)?,
            policies: row.text(13)?,
            reasons: row.json(14)?,
        },
    })
}
