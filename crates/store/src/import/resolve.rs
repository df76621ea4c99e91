//! Short numbers for checks, assets and names, made when they are new.

use super::Import;
use crate::bulk::Bulk;
use crate::db::{Tx, args};
use crate::{Result, StoreError};
use bartizan_model::{Asset, AssetUid, Check, CheckUid, Severity};
use std::collections::{BTreeMap, HashMap};

/// Namespaces and kinds among the names of a tenant; see the table.
pub(crate) const NAMESPACE: i64 = 0;
pub(crate) const KIND: i64 = 1;

/// Assets remembered between chunks, at most.
const ASSETS: usize = 20_000;

/// An asset as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) id: i64,
    pub(super) kind: i64,
    pub(super) ns: i64,
    name: String,
}

/// What was looked up before.
#[derive(Debug, Default)]
pub(super) struct Caches {
    names: HashMap<(i64, String), i64>,
    pub(super) checks: HashMap<CheckUid, (i64, Check)>,
    assets: HashMap<AssetUid, Known>,
}

impl Caches {
    /// The number of a name.
    pub(super) async fn name(&mut self, tx: &mut Tx, t: i64, sort: i64, name: &str) -> Result<i64> {
        if let Some(id) = self.names.get(&(sort, name.to_owned())) {
            return Ok(*id);
        }
        let row = tx
            .opt(
                "SELECT id FROM names WHERE tenant = $1 AND sort = $2 AND name = $3",
                args![t, sort, name],
            )
            .await?;
        let id = match row {
            Some(row) => row.int(0)?,
            None => {
                let id = tx.take(t, "name", 1).await?;
                tx.exec(
                    "INSERT INTO names (tenant, sort, name, id) VALUES ($1, $2, $3, $4)",
                    args![t, sort, name, id],
                )
                .await?;
                id
            }
        };
        if self.names.len() > 50_000 {
            self.names.clear();
        }
        self.names.insert((sort, name.to_owned()), id);
        Ok(id)
    }

    /// The asset, if [`Import::resolve_assets`] was told of it.
    pub(super) fn asset(&self, uid: &AssetUid) -> Result<&Known> {
        self.assets
            .get(uid)
            .ok_or_else(|| StoreError::Corrupt(format!("asset {uid} was not resolved")))
    }

    /// The check, if [`Import::resolve_checks`] was told of it.
    pub(super) fn check(&self, uid: &CheckUid) -> Result<&(i64, Check)> {
        self.checks
            .get(uid)
            .ok_or_else(|| StoreError::Corrupt(format!("check {uid} was not resolved")))
    }
}

const CHECK: &str = "uid, id, title, description, severity, remediation, refs";

impl Import {
    /// Makes sure that all checks of the chunk have numbers and their newest words.
    pub(super) async fn resolve_checks(&mut self, tx: &mut Tx) -> Result<()> {
        let t = self.store.t;
        let mut wanted: BTreeMap<CheckUid, Option<Check>> = BTreeMap::new();
        for subject in &self.buffer.results {
            if !self.caches.checks.contains_key(&subject.result.check) {
                wanted.entry(subject.result.check.clone()).or_default();
            }
        }
        for check in std::mem::take(&mut self.buffer.checks) {
            wanted.insert(check.uid.clone(), Some(check));
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let mut bulk = Bulk::new("it");
        for uid in wanted.keys() {
            bulk.push(args![t, uid.as_str()]);
        }
        let columns = CHECK.replace(", ", ", c.");
        let rows = bulk
            .run(
                tx,
                "WITH v(tenant, uid) AS (",
                &format!(
                    ") SELECT c.{columns} FROM v JOIN checks c \
                     ON c.tenant = v.tenant AND c.uid = v.uid"
                ),
            )
            .await?;
        for row in &rows {
            let check = crate::scans::check_of(row, 0)?;
            self.caches
                .checks
                .insert(check.uid.clone(), (row.int(1)?, check));
        }
        let missing = wanted
            .keys()
            .filter(|uid| !self.caches.checks.contains_key(*uid))
            .count();
        let mut next = if missing > 0 {
            tx.take(t, "check", missing).await?
        } else {
            0
        };
        let mut write = Bulk::new("iitttitt");
        for (uid, said) in wanted {
            let known = self.caches.checks.get(&uid);
            if known.is_some_and(|(_, check)| said.as_ref().is_none_or(|s| s == check)) {
                continue;
            }
            let id = match known {
                Some((id, _)) => *id,
                None => {
                    next += 1;
                    next - 1
                }
            };
            let check = said.unwrap_or_else(|| Check {
                uid: uid.clone(),
                title: uid.to_string(),
                description: String::new(),
                severity: Severity::default(),
                remediation: String::new(),
                references: Vec::new(),
            });
            write.push(args![
                t,
                id,
                uid.as_str(),
                check.title.as_str(),
                check.description.as_str(),
                check.severity.rank(),
                check.remediation.as_str(),
                serde_json::to_string(&check.references)?
            ]);
            self.caches.checks.insert(uid, (id, check));
        }
        write
            .run(
                tx,
                "INSERT INTO checks (tenant, id, uid, title, description, severity, remediation, \
                 refs)",
                "ON CONFLICT (tenant, id) DO UPDATE SET title = excluded.title, \
                 description = excluded.description, severity = excluded.severity, \
                 remediation = excluded.remediation, refs = excluded.refs",
            )
            .await?;
        Ok(())
    }

    /// Makes sure that all assets of the chunk have numbers and their newest names.
    pub(super) async fn resolve_assets(&mut self, tx: &mut Tx) -> Result<()> {
        let t = self.store.t;
        if self.caches.assets.len() > ASSETS {
            self.caches.assets.clear();
        }
        let mut wanted: BTreeMap<AssetUid, Option<Asset>> = BTreeMap::new();
        for subject in &self.buffer.results {
            if !self.caches.assets.contains_key(&subject.result.asset) {
                wanted.entry(subject.result.asset.clone()).or_default();
            }
        }
        for (_, fact) in &self.buffer.facts {
            wanted.insert(fact.asset.uid.clone(), Some(fact.asset.clone()));
        }
        if wanted.is_empty() {
            return Ok(());
        }
        // Also on a fresh scope: the asset may belong to another one.
        let mut bulk = Bulk::new("it");
        for uid in wanted.keys() {
            if !self.caches.assets.contains_key(uid) {
                bulk.push(args![t, uid.as_str()]);
            }
        }
        let rows = bulk
            .run(
                tx,
                "WITH v(tenant, uid) AS (",
                ") SELECT a.uid, a.id, a.scope, a.kind, a.ns, a.name FROM v \
                 JOIN assets a ON a.tenant = v.tenant AND a.uid = v.uid",
            )
            .await?;
        for row in &rows {
            let uid: AssetUid = row.id(0)?;
            if row.int(2)? != self.scope {
                return Err(StoreError::Report(format!(
                    "the asset {uid} belongs to another scope than {}; asset uids begin with \
                     their scope",
                    self.scope_uid
                )));
            }
            self.caches.assets.insert(
                uid,
                Known {
                    id: row.int(1)?,
                    kind: row.int(3)?,
                    ns: row.int(4)?,
                    name: row.text(5)?,
                },
            );
        }
        let missing = wanted
            .keys()
            .filter(|uid| !self.caches.assets.contains_key(*uid))
            .count();
        let mut next = if missing > 0 {
            tx.take(t, "asset", missing).await?
        } else {
            0
        };
        let mut made = Bulk::new("iitiiit");
        let mut renamed = Bulk::new("iiiit");
        for (uid, said) in wanted {
            let known = self.caches.assets.get(&uid).cloned();
            let (kind, ns, name) = match (&said, &known) {
                (None, Some(_)) => continue,
                (Some(a), _) => (a.kind.as_str(), a.namespace.as_str(), a.name.as_str()),
                // Judged, but never described: the uid is all that is known.
                (None, None) => ("", "", uid.as_str()),
            };
            let kind = self.caches.name(tx, t, KIND, kind).await?;
            let ns = self.caches.name(tx, t, NAMESPACE, ns).await?;
            let name = name.to_owned();
            match known {
                Some(known) => {
                    let id = known.id;
                    let now = Known { id, kind, ns, name };
                    if now != known {
                        renamed.push(args![t, id, kind, ns, now.name.as_str()]);
                        self.caches.assets.insert(uid, now);
                    }
                }
                None => {
                    made.push(args![
                        t,
                        next,
                        uid.as_str(),
                        self.scope,
                        kind,
                        ns,
                        name.as_str()
                    ]);
                    let id = next;
                    next += 1;
                    self.caches.assets.insert(uid, Known { id, kind, ns, name });
                }
            }
        }
        made.run(
            tx,
            "INSERT INTO assets (tenant, id, uid, scope, kind, ns, name)",
            "",
        )
        .await?;
        let moved = renamed
            .run(
                tx,
                "WITH v(tenant, id, kind, ns, name) AS (",
                ") UPDATE assets SET kind = v.kind, ns = v.ns, name = v.name FROM v \
                 WHERE assets.tenant = v.tenant AND assets.id = v.id \
                 RETURNING assets.uid, assets.kind, assets.ns",
            )
            .await?;
        for row in &moved {
            tx.exec(
                "UPDATE findings SET kind = $4, ns = $5 \
                 WHERE tenant = $1 AND scope = $2 AND asset_uid = $3",
                args![t, self.scope, row.text(0)?, row.int(1)?, row.int(2)?],
            )
            .await?;
        }
        Ok(())
    }
}
