//! An asset's components replaced: atomically, and only what differs is written.

use super::{ComponentAsset, ComponentRow, Replaced, short};
use crate::bulk::Bulk;
use crate::db::{Tx, args};
use crate::{Result, StoreError, TenantStore};
use bartizan_model::{AssetUid, ScopeId, Timestamp};
use std::collections::{BTreeMap, HashMap};

/// The most components of one asset.
const MAX_COMPONENTS: usize = 200_000;
/// The longest name of a package that is looked up.
const MAX_NAME: usize = 800;

/// A component's identity, and the places of its links.
type Digest = Vec<u8>;

impl TenantStore {
    /// Replaces the components of one asset.
    pub async fn replace_components(
        &self,
        asset: &ComponentAsset,
        rows: &[ComponentRow],
        at: Timestamp,
    ) -> Result<Replaced> {
        self.replace_many(&[(asset, rows)], at).await
    }

    /// Replaces the components of several assets, all or none. Each that differs is marked for
    /// derivation.
    pub async fn replace_many(
        &self,
        all: &[(&ComponentAsset, &[ComponentRow])],
        at: Timestamp,
    ) -> Result<Replaced> {
        for (asset, rows) in all {
            if rows.len() > MAX_COMPONENTS {
                return Err(StoreError::Invalid(format!(
                    "{} has {} components; more than {MAX_COMPONENTS} are refused",
                    asset.asset.uid,
                    rows.len()
                )));
            }
        }
        let mut tx = self.begin().await?;
        let assets = self.component_asset_numbers(&mut tx, all, at).await?;
        let (parts, fresh) = self.part_numbers(&mut tx, all).await?;
        let places = self.place_numbers(&mut tx, all).await?;
        let held = self.links(&mut tx, &assets).await?;
        let mut replaced = Replaced {
            fresh,
            ..Replaced::default()
        };
        let mut new = Bulk::new("iiii");
        let mut moved = Bulk::new("iiii");
        let mut gone = Bulk::new("iii");
        let mut marks: Vec<(i64, &str)> = Vec::new();
        for ((_, rows), (asset, differs)) in all.iter().zip(&assets) {
            let before = (replaced, moved.len());
            let mut wanted: BTreeMap<i64, i64> = BTreeMap::new();
            for row in *rows {
                let part = number(&parts, &identity(row)?)?;
                let place = number(&places, &short(&[&place(row)?]))?;
                wanted.insert(part, place);
            }
            let none = HashMap::new();
            let held = held.get(asset).unwrap_or(&none);
            for (part, place) in &wanted {
                match held.get(part) {
                    Some(before) if before == place => replaced.kept += 1,
                    Some(_) => {
                        replaced.kept += 1;
                        moved.push(args![self.t, *asset, *part, *place]);
                    }
                    None => {
                        replaced.added += 1;
                        new.push(args![self.t, *asset, *part, *place]);
                    }
                }
            }
            for part in held.keys().filter(|part| !wanted.contains_key(part)) {
                replaced.removed += 1;
                gone.push(args![self.t, *asset, *part]);
            }
            let (was, moves) = before;
            let same = was.added == replaced.added
                && was.removed == replaced.removed
                && moves == moved.len();
            if *differs || !same {
                marks.push((*asset, ""));
            }
        }
        gone.run(
            &mut tx,
            "DELETE FROM comp_links WHERE (tenant, asset, part) IN (",
            ")",
        )
        .await?;
        moved
            .run(
                &mut tx,
                "WITH v(tenant, asset, part, place) AS (",
                ") UPDATE comp_links SET place = v.place FROM v WHERE \
                 comp_links.tenant = v.tenant AND comp_links.asset = v.asset \
                 AND comp_links.part = v.part",
            )
            .await?;
        new.load(&mut tx, "comp_links (tenant, asset, part, place)")
            .await?;
        self.mark(&mut tx, &marks).await?;
        tx.commit().await?;
        Ok(replaced)
    }

    /// Takes an asset's inventory away; what was reported of it is then closed. False when there
    /// is none.
    pub async fn forget_components(&self, uid: &AssetUid) -> Result<bool> {
        let mut tx = self.begin().await?;
        let row = tx
            .opt(
                "SELECT id FROM comp_assets WHERE tenant = $1 AND uid = $2 AND gone = 0",
                args![self.t, uid.as_str()],
            )
            .await?;
        let Some(row) = row else {
            return Ok(false);
        };
        let id = row.int(0)?;
        tx.exec(
            "DELETE FROM comp_links WHERE tenant = $1 AND asset = $2",
            args![self.t, id],
        )
        .await?;
        tx.exec(
            "UPDATE comp_assets SET gone = 1 WHERE tenant = $1 AND id = $2",
            args![self.t, id],
        )
        .await?;
        self.mark(&mut tx, &[(id, "")]).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Removes components that no asset has, with what advisories say of them. Returns how many.
    pub async fn tidy_components(&self) -> Result<u64> {
        let mut tx = self.begin().await?;
        let unused = "SELECT p.id FROM comp_parts p WHERE p.tenant = $1 AND NOT EXISTS \
             (SELECT 1 FROM comp_links l WHERE l.tenant = p.tenant AND l.part = p.id)";
        for table in ["comp_keys", "comp_matches"] {
            tx.exec(
                &format!("DELETE FROM {table} WHERE tenant = $1 AND part IN ({unused})"),
                args![self.t],
            )
            .await?;
        }
        let gone = tx
            .exec(
                &format!("DELETE FROM comp_parts WHERE tenant = $1 AND id IN ({unused})"),
                args![self.t],
            )
            .await?;
        tx.commit().await?;
        Ok(gone)
    }

    /// The assets' numbers, and whether anything about one but its components differs.
    async fn component_asset_numbers(
        &self,
        tx: &mut Tx,
        all: &[(&ComponentAsset, &[ComponentRow])],
        at: Timestamp,
    ) -> Result<Vec<(i64, bool)>> {
        let mut ask = Bulk::new("it");
        for (asset, _) in all {
            ask.push(args![self.t, asset.asset.uid.as_str()]);
        }
        let mut known: HashMap<String, (i64, Option<String>)> = HashMap::new();
        for row in ask
            .run(
                tx,
                "WITH v(tenant, uid) AS (",
                ") SELECT a.uid, a.id, a.scope, a.gone, a.unread FROM v JOIN comp_assets a \
                 ON a.tenant = v.tenant AND a.uid = v.uid",
            )
            .await?
        {
            let (uid, scope) = (row.text(0)?, row.text(2)?);
            if all
                .iter()
                .any(|(a, _)| a.asset.uid.as_str() == uid && a.scope != scope)
            {
                return Err(StoreError::Conflict(format!(
                    "the asset {uid} belongs to the scope {scope}"
                )));
            }
            let unread = match row.int(3)? {
                0 => Some(row.text(4)?),
                _ => None,
            };
            known.insert(uid, (row.int(1)?, unread));
        }
        let mut next = None;
        let mut write = Bulk::new("iittttttit");
        let mut numbers = Vec::with_capacity(all.len());
        for (asset, _) in all {
            let uid = asset.asset.uid.as_str();
            let unread = serde_json::to_string(&asset.unread)?;
            let (id, before) = match known.get(uid) {
                Some((id, before)) => (*id, before.clone()),
                None => {
                    let id = match next {
                        Some(id) => id,
                        None => tx.take(self.t, "component_asset", all.len()).await?,
                    };
                    next = Some(id + 1);
                    known.insert(uid.to_owned(), (id, None));
                    (id, None)
                }
            };
            if numbers.iter().any(|(n, _)| *n == id) {
                return Err(StoreError::Invalid(format!(
                    "{uid} comes twice in one replacement"
                )));
            }
            write.push(args![
                self.t,
                id,
                uid,
                asset.scope.as_str(),
                asset.asset.kind.as_str(),
                asset.asset.name.as_str(),
                asset.asset.namespace.as_str(),
                asset.source.as_str(),
                at,
                unread.as_str()
            ]);
            numbers.push((id, before.as_ref() != Some(&unread)));
        }
        write
            .run(
                tx,
                "INSERT INTO comp_assets (tenant, id, uid, scope, kind, name, ns, source, at, \
                 unread)",
                "ON CONFLICT (tenant, id) DO UPDATE SET kind = excluded.kind, \
                 name = excluded.name, ns = excluded.ns, source = excluded.source, \
                 at = excluded.at, unread = excluded.unread, gone = 0",
            )
            .await?;
        Ok(numbers)
    }

    /// The numbers of all components, those that are new made; and how many are new.
    async fn part_numbers(
        &self,
        tx: &mut Tx,
        all: &[(&ComponentAsset, &[ComponentRow])],
    ) -> Result<(HashMap<Digest, i64>, u64)> {
        let mut wanted: BTreeMap<Digest, &ComponentRow> = BTreeMap::new();
        for row in all.iter().flat_map(|(_, rows)| rows.iter()) {
            wanted.entry(identity(row)?).or_insert(row);
        }
        let mut numbers = self
            .numbers(tx, "comp_parts", wanted.keys().map(Vec::as_slice))
            .await?;
        let missing: Vec<(Digest, &ComponentRow)> = wanted
            .into_iter()
            .filter(|(digest, _)| !numbers.contains_key(digest))
            .collect();
        if missing.is_empty() {
            return Ok((numbers, 0));
        }
        let first = tx.take(self.t, "component", missing.len()).await?;
        let mut parts = Bulk::new("iibttttt");
        let mut keys = Bulk::new("itti");
        let fresh = missing.len() as u64;
        for (id, (digest, row)) in (first..).zip(missing) {
            let component = &row.component;
            parts.push(args![
                self.t,
                id,
                digest.as_slice(),
                component.purl.to_string(),
                component.ecosystem.to_string(),
                component.source.as_ref().map(|s| s.name.as_str()),
                component.source.as_ref().map(|s| s.version.as_str()),
                serde_json::to_string(&component.licences)?
            ]);
            let mut names: Vec<(&str, String)> = row
                .keys
                .iter()
                .map(|(ecosystem, name)| (ecosystem.as_str(), cut(name)))
                .collect();
            names.sort();
            names.dedup();
            for (ecosystem, name) in names {
                keys.push(args![self.t, ecosystem, name, id]);
            }
            numbers.insert(digest, id);
        }
        parts
            .load(
                tx,
                "comp_parts (tenant, id, digest, purl, ecosystem, src, src_version, licences)",
            )
            .await?;
        keys.load(tx, "comp_keys (tenant, ecosystem, name, part)")
            .await?;
        Ok((numbers, fresh))
    }

    async fn place_numbers(
        &self,
        tx: &mut Tx,
        all: &[(&ComponentAsset, &[ComponentRow])],
    ) -> Result<HashMap<Digest, i64>> {
        let mut wanted: BTreeMap<Digest, String> = BTreeMap::new();
        for row in all.iter().flat_map(|(_, rows)| rows.iter()) {
            let text = place(row)?;
            wanted.entry(short(&[&text])).or_insert(text);
        }
        let mut numbers = self
            .numbers(tx, "comp_places", wanted.keys().map(Vec::as_slice))
            .await?;
        let missing: Vec<(Digest, String)> = wanted
            .into_iter()
            .filter(|(digest, _)| !numbers.contains_key(digest))
            .collect();
        if missing.is_empty() {
            return Ok(numbers);
        }
        let first = tx.take(self.t, "component_place", missing.len()).await?;
        let mut bulk = Bulk::new("iibt");
        for (id, (digest, text)) in (first..).zip(missing) {
            bulk.push(args![self.t, id, digest.as_slice(), text]);
            numbers.insert(digest, id);
        }
        bulk.load(tx, "comp_places (tenant, id, digest, body)")
            .await?;
        Ok(numbers)
    }

    async fn numbers(
        &self,
        tx: &mut Tx,
        table: &str,
        digests: impl Iterator<Item = &[u8]>,
    ) -> Result<HashMap<Digest, i64>> {
        let mut ask = Bulk::new("ib");
        for digest in digests {
            ask.push(args![self.t, digest]);
        }
        let tail = format!(
            ") SELECT p.digest, p.id FROM v JOIN {table} p \
             ON p.tenant = v.tenant AND p.digest = v.digest"
        );
        ask.run(tx, "WITH v(tenant, digest) AS (", &tail)
            .await?
            .iter()
            .map(|row| Ok((row.blob(0)?, row.int(1)?)))
            .collect()
    }

    async fn links(
        &self,
        tx: &mut Tx,
        assets: &[(i64, bool)],
    ) -> Result<HashMap<i64, HashMap<i64, i64>>> {
        let mut ask = Bulk::new("ii");
        for (id, _) in assets {
            ask.push(args![self.t, *id]);
        }
        let mut held: HashMap<i64, HashMap<i64, i64>> = HashMap::new();
        for row in ask
            .run(
                tx,
                "WITH v(tenant, asset) AS (",
                ") SELECT l.asset, l.part, l.place FROM v JOIN comp_links l \
                 ON l.tenant = v.tenant AND l.asset = v.asset",
            )
            .await?
        {
            held.entry(row.int(0)?)
                .or_default()
                .insert(row.int(1)?, row.int(2)?);
        }
        Ok(held)
    }
}

/// Takes the inventories of a scope away with all that was reported of them, as the scope goes.
pub(crate) async fn forget_scope(tx: &mut Tx, tenant: i64, scope: &ScopeId) -> Result<()> {
    for table in ["comp_links", "comp_hits", "comp_pending"] {
        tx.exec(
            &format!(
                "DELETE FROM {table} WHERE tenant = $1 AND asset IN \
                 (SELECT id FROM comp_assets WHERE tenant = $1 AND scope = $2)"
            ),
            args![tenant, scope.as_str()],
        )
        .await?;
    }
    tx.exec(
        "DELETE FROM comp_assets WHERE tenant = $1 AND scope = $2",
        args![tenant, scope.as_str()],
    )
    .await?;
    Ok(())
}

fn number(numbers: &HashMap<Digest, i64>, digest: &Digest) -> Result<i64> {
    numbers
        .get(digest)
        .copied()
        .ok_or_else(|| StoreError::Corrupt("a component was not numbered".to_owned()))
}

pub(super) fn cut(name: &str) -> String {
    let name = name.replace('\0', "\u{fffd}");
    name.get(..name.floor_char_boundary(MAX_NAME))
        .unwrap_or_default()
        .to_owned()
}

fn identity(row: &ComponentRow) -> Result<Digest> {
    let component = &row.component;
    let source = component.source.as_ref();
    Ok(short(&[
        &component.purl.to_string(),
        &component.ecosystem.to_string(),
        source.map_or("", |s| s.name.as_str()),
        source.map_or("", |s| s.version.as_str()),
    ]))
}

/// Where it was found, as JSON.
fn place(row: &ComponentRow) -> Result<String> {
    Ok(serde_json::to_string(&row.component.found)?)
}
