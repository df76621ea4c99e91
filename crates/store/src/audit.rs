//! Audit entries, pending and sequenced, and the state of the ledger's sequencer.

use crate::bulk::Bulk;
use crate::db::{Row, Tx, Val, args};
use crate::{Act, Page, PageRequest, Result, StoreError, TenantStore, fault, page};
use bartizan_model::{AuditEntry, TenantId, Timestamp};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A stored audit entry.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRow {
    /// Its id: derived from scan and key for imports, from the salt for actions.
    pub entry_id: String,
    /// The body; none once it was erased.
    pub entry: Option<AuditEntry>,
    /// The commitment's salt.
    pub salt: [u8; 32],
    /// Its leaf index; none while pending.
    pub index: Option<u64>,
}

/// Which entries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditFilter {
    /// Text that action, subject, actor or detail contains, ASCII case aside.
    pub q: Option<String>,
    /// Exact actor.
    pub actor: Option<String>,
    /// Exact action.
    pub action: Option<String>,
    /// Exact subject.
    pub subject: Option<String>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
}

/// An entry that waits for its index.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingEntry {
    /// What [`TenantStore::commit_ledger`] takes; in order.
    pub seq: i64,
    /// Its id.
    pub entry_id: String,
    /// The commitment's salt.
    pub salt: [u8; 32],
    /// The body.
    pub entry: AuditEntry,
}

/// How far the ledger is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerState {
    /// Leaves.
    pub size: u64,
    /// Root hash.
    pub root: Vec<u8>,
    /// The signed checkpoint, as text.
    pub checkpoint: String,
    /// When it was signed.
    pub at: Timestamp,
}

/// How many entries a search for words looks at before it hands out a cursor.
const SEARCH_WINDOW: usize = 20_000;

const COLUMNS: &str = "entry, idx, at, salt, actor, action, subject, detail, seq";

/// An entry on its way into the table, without an index.
pub(crate) struct NewEntry {
    pub(crate) id: Vec<u8>,
    pub(crate) at: Timestamp,
    pub(crate) salt: [u8; 32],
    pub(crate) actor: String,
    pub(crate) action: &'static str,
    pub(crate) subject: String,
    pub(crate) detail: String,
}

/// The id of an entry that an import makes: the same in every run of the same import.
pub(crate) fn import_entry_id(
    tenant: &TenantId,
    scan: &str,
    subject: &str,
    action: &str,
) -> Vec<u8> {
    entry_id(&[
        b"bartizan import entry v1",
        tenant.as_str().as_bytes(),
        scan.as_bytes(),
        subject.as_bytes(),
        action.as_bytes(),
    ])
}

/// The id of an entry that an action makes; its salt makes it one of a kind.
pub(crate) fn act_entry_id(
    tenant: &TenantId,
    salt: &[u8; 32],
    action: &str,
    subject: &str,
) -> Vec<u8> {
    entry_id(&[
        b"bartizan act entry v1",
        tenant.as_str().as_bytes(),
        salt,
        action.as_bytes(),
        subject.as_bytes(),
    ])
}

fn entry_id(parts: &[&[u8]]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut id = hash.finalize().to_vec();
    id.truncate(16);
    id
}

/// The id as the world sees it.
pub(crate) fn id_text(id: &[u8]) -> String {
    format!("e1-{}", hex::encode(id))
}

fn id_bytes(text: &str) -> Option<Vec<u8>> {
    hex::decode(text.strip_prefix("e1-")?).ok()
}

/// Appends entries, in order, in the transaction of the change that they record.
pub(crate) async fn append(tx: &mut Tx, t: i64, entries: Vec<NewEntry>) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let first = tx.take(t, "audit", entries.len()).await?;
    let mut bulk = Bulk::new("iibibtttt");
    for (seq, e) in (first..).zip(entries) {
        bulk.push(vec![
            t.into(),
            seq.into(),
            e.id.into(),
            e.at.into(),
            Val::from(&e.salt[..]),
            e.actor.into(),
            e.action.into(),
            e.subject.into(),
            e.detail.into(),
        ]);
    }
    bulk.run(
        tx,
        "INSERT INTO audit (tenant, seq, entry, at, salt, actor, action, subject, detail)",
        "",
    )
    .await?;
    Ok(())
}

impl TenantStore {
    /// Appends the entry of an action; returns its id.
    pub(crate) async fn record(
        &self,
        tx: &mut Tx,
        act: &Act,
        action: &str,
        subject: &str,
        detail: &Value,
    ) -> Result<String> {
        let id = act_entry_id(&self.id, &act.salt, action, subject);
        let seq = tx.take(self.t, "audit", 1).await?;
        tx.exec(
            "INSERT INTO audit (tenant, seq, entry, at, salt, actor, action, subject, detail) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            args![
                self.t,
                seq,
                id.as_slice(),
                act.at,
                &act.salt[..],
                act.actor.as_str(),
                action,
                subject,
                serde_json::to_string(detail)?
            ],
        )
        .await?;
        Ok(id_text(&id))
    }

    /// Appends one entry on its own, such as a refused sign-in; returns its id.
    pub async fn append_audit(
        &self,
        act: &Act,
        action: &str,
        subject: &str,
        detail: Value,
    ) -> Result<String> {
        let mut tx = self.begin().await?;
        let id = self.record(&mut tx, act, action, subject, &detail).await?;
        fault::point("audit.append.before_commit");
        tx.commit().await?;
        fault::point("audit.append.after_commit");
        Ok(id)
    }

    fn audit_row(&self, row: &Row) -> Result<AuditRow> {
        let action = row.text(5)?;
        let salt = salt_of(row.blob(3)?)?;
        Ok(AuditRow {
            entry_id: id_text(&row.blob(0)?),
            entry: if action.is_empty() {
                None
            } else {
                Some(AuditEntry {
                    tenant: self.id.clone(),
                    at: row.time(2)?,
                    actor: row.text(4)?,
                    action,
                    subject: row.text(6)?,
                    detail: row.json(7)?,
                })
            },
            salt,
            index: row.opt_int(1)?.map(|i| i.max(0) as u64),
        })
    }

    /// Entries, newest first. A rare `q` may end a page early, with a cursor that goes on.
    pub async fn audit(&self, filter: &AuditFilter, page: &PageRequest) -> Result<Page<AuditRow>> {
        let limit = page.rows();
        let cursor: Option<(i64, i64)> = page.decode()?;
        let mut args = args![self.t];
        let mut wheres = String::from("tenant = $1");
        let mut add = |text: &str, value: Val| {
            args.push(value);
            wheres.push_str(&text.replace('?', &format!("${}", args.len())));
        };
        if let Some(actor) = &filter.actor {
            // The second half lets the planner see that the partial index serves.
            let also = if actor == "system" {
                ""
            } else {
                " AND actor <> 'system'"
            };
            add(&format!(" AND actor = ?{also}"), actor.as_str().into());
        }
        if let Some(action) = &filter.action {
            add(" AND action = ?", action.as_str().into());
        }
        if let Some(subject) = &filter.subject {
            add(" AND subject = ?", subject.as_str().into());
        }
        if let Some(from) = filter.from {
            add(" AND at >= ?", from.into());
        }
        if let Some(to) = filter.to {
            add(" AND at < ?", to.into());
        }
        if let Some((at, seq)) = cursor {
            add(" AND at <= ?", at.into());
            let at_arg = Val::from(at);
            add(" AND (at < ?", at_arg);
            add(" OR seq < ?)", seq.into());
        }
        let order = "ORDER BY at DESC, seq DESC";
        let Some(q) = filter.q.as_deref().map(str::trim).filter(|q| !q.is_empty()) else {
            let sql = format!(
                "SELECT {COLUMNS} FROM audit WHERE {wheres} {order} LIMIT {}",
                limit + 1
            );
            let rows = self.db().all(&sql, args).await?;
            return self.audit_page(rows, limit, None);
        };
        let like = format!("%{}%", escape_like(&q.to_lowercase()));
        let mut edge_args = args.clone();
        edge_args.push(Val::from(SEARCH_WINDOW as i64));
        let edge = self
            .db()
            .opt(
                &format!(
                    "SELECT at, seq FROM audit WHERE {wheres} {order} LIMIT 1 OFFSET ${}",
                    edge_args.len()
                ),
                edge_args,
            )
            .await?;
        let edge = match edge {
            Some(row) => Some((row.int(0)?, row.int(1)?)),
            None => None,
        };
        args.push(Val::from(like));
        let n = args.len();
        let sql = format!(
            "SELECT {COLUMNS} FROM (SELECT {COLUMNS} FROM audit WHERE {wheres} {order} \
             LIMIT {SEARCH_WINDOW}) w WHERE lower(action) LIKE ${n} ESCAPE '!' \
             OR lower(subject) LIKE ${n} ESCAPE '!' OR lower(actor) LIKE ${n} ESCAPE '!' \
             OR lower(detail) LIKE ${n} ESCAPE '!' {order} LIMIT {}",
            limit + 1
        );
        let rows = self.db().all(&sql, args).await?;
        self.audit_page(rows, limit, edge)
    }

    fn audit_page(
        &self,
        rows: Vec<Row>,
        limit: usize,
        edge: Option<(i64, i64)>,
    ) -> Result<Page<AuditRow>> {
        let rows: Vec<(AuditRow, (i64, i64))> = rows
            .iter()
            .map(|row| Ok((self.audit_row(row)?, (row.int(2)?, row.int(8)?))))
            .collect::<Result<_>>()?;
        let cut = Page::cut(rows, limit, |(_, at)| *at)?;
        let mut next_cursor = cut.next_cursor;
        if let (None, Some((at, seq))) = (&next_cursor, edge) {
            // The window ended, the entries did not: go on at its edge, which is included.
            next_cursor = Some(page::encode(&(at, seq.saturating_add(1)))?);
        }
        Ok(Page {
            items: cut.items.into_iter().map(|(row, _)| row).collect(),
            next_cursor,
            total: None,
        })
    }

    /// One entry.
    pub async fn audit_entry(&self, entry_id: &str) -> Result<Option<AuditRow>> {
        let Some(id) = id_bytes(entry_id) else {
            return Ok(None);
        };
        let row = self
            .db()
            .opt(
                &format!("SELECT {COLUMNS} FROM audit WHERE tenant = $1 AND entry = $2"),
                args![self.t, id],
            )
            .await?;
        row.map(|row| self.audit_row(&row)).transpose()
    }

    /// The entry of a leaf.
    pub async fn audit_at(&self, index: u64) -> Result<Option<AuditRow>> {
        let row = self
            .db()
            .opt(
                &format!(
                    "SELECT {COLUMNS} FROM audit \
                     WHERE tenant = $1 AND idx = $2 AND idx IS NOT NULL"
                ),
                args![self.t, index],
            )
            .await?;
        row.map(|row| self.audit_row(&row)).transpose()
    }

    /// The newest entries about one subject, oldest of them first.
    pub(crate) async fn history(&self, subject: &str, limit: u32) -> Result<Vec<AuditRow>> {
        let rows = self
            .db()
            .all(
                &format!(
                    "SELECT {COLUMNS} FROM audit WHERE tenant = $1 AND subject = $2 \
                     ORDER BY at DESC, seq DESC LIMIT {limit}"
                ),
                args![self.t, subject],
            )
            .await?;
        rows.iter().rev().map(|row| self.audit_row(row)).collect()
    }

    /// Forgets the body of a sequenced entry; its commitment stays in the tree.
    pub async fn erase_audit(&self, entry_id: &str) -> Result<()> {
        let missing = || StoreError::NotFound {
            what: "sequenced audit entry",
            id: entry_id.to_owned(),
        };
        let id = id_bytes(entry_id).ok_or_else(missing)?;
        // The salt goes, too: with it, a guessed body could be confirmed.
        let done = self
            .db()
            .exec(
                "UPDATE audit SET actor = '', action = '', subject = '', detail = 'null', \
                 salt = $3 WHERE tenant = $1 AND entry = $2 AND idx IS NOT NULL",
                args![self.t, id, vec![0_u8; 32]],
            )
            .await?;
        if done == 0 { Err(missing()) } else { Ok(()) }
    }

    /// Entries without an index, oldest first.
    pub async fn pending_audit(&self, limit: u32) -> Result<Vec<PendingEntry>> {
        let rows = self
            .db()
            .all(
                &format!(
                    "SELECT {COLUMNS} FROM audit WHERE tenant = $1 AND idx IS NULL \
                     ORDER BY seq LIMIT {limit}"
                ),
                args![self.t],
            )
            .await?;
        rows.iter()
            .map(|row| {
                let read = self.audit_row(row)?;
                let entry = read.entry.ok_or_else(|| {
                    StoreError::Corrupt(format!("pending entry {} has no body", read.entry_id))
                })?;
                Ok(PendingEntry {
                    seq: row.int(8)?,
                    entry_id: read.entry_id,
                    salt: read.salt,
                    entry,
                })
            })
            .collect()
    }

    /// How many entries have no index.
    pub async fn pending_audit_count(&self) -> Result<u64> {
        match self
            .db()
            .opt(
                "SELECT COUNT(*) FROM audit WHERE tenant = $1 AND idx IS NULL",
                args![self.t],
            )
            .await?
        {
            Some(row) => row.count(0),
            None => Ok(0),
        }
    }

    /// The ledger's state; none before the first commit.
    pub async fn ledger_state(&self) -> Result<Option<LedgerState>> {
        let row = self
            .db()
            .opt(
                "SELECT size, root, checkpoint, at FROM ledger_state WHERE tenant = $1",
                args![self.t],
            )
            .await?;
        row.map(|row| {
            Ok(LedgerState {
                size: row.count(0)?,
                root: row.blob(1)?,
                checkpoint: row.text(2)?,
                at: row.time(3)?,
            })
        })
        .transpose()
    }

    /// Gives `entries` (their `seq`, in order) the indices from the expected size on and
    /// replaces the state, if it still is `expected`; else [`StoreError::Fenced`], and two
    /// sequencers cannot fork. Tiles must be written before. `entries` may be empty for a
    /// fresh checkpoint of the same tree.
    pub async fn commit_ledger(
        &self,
        expected: Option<&LedgerState>,
        next: &LedgerState,
        entries: &[i64],
    ) -> Result<()> {
        let base = expected.map_or(0, |e| e.size);
        if next.size != base + entries.len() as u64 {
            return Err(StoreError::Invalid(format!(
                "a tree of {base} leaves and {} more has not {}",
                entries.len(),
                next.size
            )));
        }
        let mut tx = self.begin().await?;
        let swapped = match expected {
            Some(e) => {
                tx.exec(
                    "UPDATE ledger_state SET size = $2, root = $3, checkpoint = $4, at = $5 \
                     WHERE tenant = $1 AND size = $6 AND root = $7 AND checkpoint = $8",
                    args![
                        self.t,
                        next.size,
                        next.root.as_slice(),
                        next.checkpoint.as_str(),
                        next.at,
                        e.size,
                        e.root.as_slice(),
                        e.checkpoint.as_str()
                    ],
                )
                .await?
            }
            None => {
                tx.exec(
                    "INSERT INTO ledger_state (tenant, size, root, checkpoint, at) \
                     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant) DO NOTHING",
                    args![
                        self.t,
                        next.size,
                        next.root.as_slice(),
                        next.checkpoint.as_str(),
                        next.at
                    ],
                )
                .await?
            }
        };
        if swapped != 1 {
            return Err(StoreError::Fenced("the ledger"));
        }
        let mut bulk = Bulk::new("iii");
        for (index, seq) in (base..).zip(entries) {
            bulk.push(args![self.t, *seq, index]);
        }
        let marked = bulk
            .run(
                &mut tx,
                "WITH v(tenant, seq, idx) AS (",
                ") UPDATE audit SET idx = v.idx FROM v WHERE audit.tenant = v.tenant \
                 AND audit.seq = v.seq AND audit.idx IS NULL RETURNING audit.seq",
            )
            .await?;
        if marked.len() != entries.len() {
            return Err(StoreError::Fenced("the ledger"));
        }
        fault::point("ledger.commit.before_commit");
        tx.commit().await?;
        fault::point("ledger.commit.after_commit");
        Ok(())
    }
}

fn salt_of(bytes: Vec<u8>) -> Result<[u8; 32]> {
    <[u8; 32]>::try_from(bytes)
        .map_err(|_| StoreError::Corrupt("a salt is not 32 bytes long".to_owned()))
}

pub(crate) fn escape_like(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '_' | '!') {
            out.push('!');
        }
        out.push(c);
    }
    out
}
