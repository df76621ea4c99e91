//! Look-ups: components of an asset, of packages; who has them; what is affected and what fixes.

use super::browse::links;
use super::write::cut;
use super::{ComponentAsset, KeptAsset, MatchRow, Part};
use crate::db::{Row, args, holes};
use crate::{Page, PageRequest, Result, StoreError, TenantStore};
use bartizan_model::{Asset, AssetUid, Component, Ecosystem, Found, Purl, SourcePackage};
use std::collections::BTreeSet;

/// Numbers and names that one statement asks for.
pub(super) const ASKED: usize = 400;

pub(super) const PART: &str = "p.id, p.purl, p.ecosystem, p.src, p.src_version, p.licences";
pub(super) const ASSET: &str =
    "a.id, a.uid, a.scope, a.kind, a.name, a.ns, a.source, a.at, a.unread";

/// An asset that has a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The asset's number.
    pub asset: i64,
    /// The component's number.
    pub part: i64,
    /// Where it was found.
    pub found: Vec<Found>,
}

/// A component of an asset that a vulnerability is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AffectedRow {
    /// The asset.
    pub asset: KeptAsset,
    /// The component.
    pub part: Part,
    /// What is said of it; the caller's JSON.
    pub body: String,
}

/// A component with what would close its findings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixRow {
    /// The component.
    pub part: Part,
    /// How many assets have it.
    pub assets: u64,
    /// What is said of it.
    pub said: Vec<MatchRow>,
}

pub(super) fn part_of(row: &Row, at: usize, target: &AssetUid) -> Result<Part> {
    let purl: Purl = row
        .text(at + 1)?
        .parse()
        .map_err(|e| StoreError::Corrupt(format!("a stored purl: {e}")))?;
    let source = match (row.opt_text(at + 3)?, row.opt_text(at + 4)?) {
        (Some(name), Some(version)) => Some(SourcePackage { name, version }),
        _ => None,
    };
    Ok(Part {
        id: row.int(at)?,
        component: Component {
            purl,
            ecosystem: Ecosystem::parse(&row.text(at + 2)?),
            source,
            licences: row.json(at + 5)?,
            found: Vec::new(),
            target: target.clone(),
        },
    })
}

pub(super) fn asset_of(row: &Row, at: usize) -> Result<KeptAsset> {
    Ok(KeptAsset {
        id: row.int(at)?,
        asset: ComponentAsset {
            asset: Asset {
                uid: row.id(at + 1)?,
                kind: row.text(at + 3)?,
                name: row.text(at + 4)?,
                namespace: row.text(at + 5)?,
            },
            scope: row.text(at + 2)?,
            source: row.text(at + 6)?,
            unread: row.json(at + 8)?,
        },
        at: row.time(at + 7)?,
    })
}

/// A target for components that are nobody's in particular.
pub(super) fn nobody() -> Result<AssetUid> {
    Ok(AssetUid::new("none")?)
}

impl TenantStore {
    /// The inventory of an asset, ordered by purl; none when it has none.
    pub async fn components_of(&self, uid: &AssetUid) -> Result<Option<(KeptAsset, Vec<Part>)>> {
        let row = self
            .db()
            .opt(
                &format!(
                    "SELECT {ASSET} FROM comp_assets a \
                     WHERE a.tenant = $1 AND a.uid = $2 AND a.gone = 0"
                ),
                args![self.t, uid.as_str()],
            )
            .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let asset = asset_of(&row, 0)?;
        let sql = format!(
            "SELECT {PART}, f.body FROM comp_links l \
             JOIN comp_parts p ON p.tenant = l.tenant AND p.id = l.part \
             JOIN comp_places f ON f.tenant = l.tenant AND f.id = l.place \
             WHERE l.tenant = $1 AND l.asset = $2 ORDER BY p.purl, p.id"
        );
        let mut parts = Vec::new();
        for row in &self.db().all(&sql, args![self.t, asset.id]).await? {
            let mut part = part_of(row, 0, uid)?;
            part.component.found = row.json(6)?;
            parts.push(part);
        }
        Ok(Some((asset, parts)))
    }

    /// Assets with an inventory, by uid.
    pub async fn component_assets(&self, page: &PageRequest) -> Result<Page<KeptAsset>> {
        let limit = page.rows();
        let after: String = page.decode()?.unwrap_or_default();
        let sql = format!(
            "SELECT {ASSET} FROM comp_assets a \
             WHERE a.tenant = $1 AND a.uid > $2 AND a.gone = 0 ORDER BY a.uid LIMIT {}",
            limit + 1
        );
        let rows = self.db().all(&sql, args![self.t, after]).await?;
        let rows = rows
            .iter()
            .map(|row| asset_of(row, 0))
            .collect::<Result<Vec<_>>>()?;
        Page::cut(rows, limit, |row| row.asset.asset.uid.to_string())
    }

    /// Assets by their numbers, also those whose inventory was taken away; those that are not
    /// there are left out.
    pub async fn component_assets_by_id(&self, ids: &[i64]) -> Result<Vec<KeptAsset>> {
        let mut found = Vec::new();
        for ids in ids.chunks(ASKED) {
            let mut args = args![self.t];
            let places = holes(&mut args, ids.iter().copied());
            let sql = format!(
                "SELECT {ASSET} FROM comp_assets a WHERE a.tenant = $1 AND a.id IN ({places})"
            );
            for row in &self.db().all(&sql, args).await? {
                found.push(asset_of(row, 0)?);
            }
        }
        Ok(found)
    }

    /// Components under any of these packages: (ecosystem, package).
    pub async fn components_with(&self, packages: &[(String, String)]) -> Result<Vec<Part>> {
        let mut ids = BTreeSet::new();
        for packages in packages.chunks(ASKED / 2) {
            let mut args = args![self.t];
            let mut wheres = Vec::new();
            for (ecosystem, name) in packages {
                args.push(ecosystem.as_str().into());
                args.push(cut(name).into());
                wheres.push(format!("(${}, ${})", args.len() - 1, args.len()));
            }
            let sql = format!(
                "SELECT part FROM comp_keys WHERE tenant = $1 AND (ecosystem, name) IN (VALUES {})",
                wheres.join(", ")
            );
            for row in &self.db().all(&sql, args).await? {
                ids.insert(row.int(0)?);
            }
        }
        let ids: Vec<i64> = ids.into_iter().collect();
        self.parts(&ids).await
    }

    /// Components by their numbers.
    pub async fn parts(&self, ids: &[i64]) -> Result<Vec<Part>> {
        let nobody = nobody()?;
        let mut found = Vec::new();
        for ids in ids.chunks(ASKED) {
            let mut args = args![self.t];
            let places = holes(&mut args, ids.iter().copied());
            let sql = format!(
                "SELECT {PART} FROM comp_parts p WHERE p.tenant = $1 AND p.id IN ({places}) \
                 ORDER BY p.id"
            );
            for row in &self.db().all(&sql, args).await? {
                found.push(part_of(row, 0, &nobody)?);
            }
        }
        Ok(found)
    }

    /// Who has these components, in the order of assets.
    pub async fn holders(&self, parts: &[i64]) -> Result<Vec<Holder>> {
        self.held_by("l.part", parts, "").await
    }

    /// The components of assets that something is said of, in the order of assets.
    pub async fn matched_parts(&self, assets: &[i64]) -> Result<Vec<Holder>> {
        let said = "AND EXISTS (SELECT 1 FROM comp_matches m \
             WHERE m.tenant = l.tenant AND m.part = l.part)";
        self.held_by("l.asset", assets, said).await
    }

    async fn held_by(&self, column: &str, numbers: &[i64], which: &str) -> Result<Vec<Holder>> {
        let mut found = Vec::new();
        for numbers in numbers.chunks(ASKED) {
            let mut args = args![self.t];
            let places = holes(&mut args, numbers.iter().copied());
            let sql = format!(
                "SELECT l.asset, l.part, f.body FROM comp_links l \
                 JOIN comp_places f ON f.tenant = l.tenant AND f.id = l.place \
                 WHERE l.tenant = $1 AND {column} IN ({places}) {which}"
            );
            for row in &self.db().all(&sql, args).await? {
                found.push(Holder {
                    asset: row.int(0)?,
                    part: row.int(1)?,
                    found: row.json(2)?,
                });
            }
        }
        found.sort_by_key(|h| (h.asset, h.part));
        Ok(found)
    }

    /// What a vulnerability is said of, by the name under which matches are kept: page by page,
    /// in the order of components and assets.
    pub async fn affected(
        &self,
        vulnerability: &str,
        page: &PageRequest,
    ) -> Result<Page<AffectedRow>> {
        let limit = page.rows();
        let (part, asset): (i64, i64) = page.decode()?.unwrap_or((-1, -1));
        let sql = format!(
            "SELECT {ASSET}, {PART}, m.body, f.body FROM comp_matches m \
             JOIN comp_links l ON l.tenant = m.tenant AND l.part = m.part \
             JOIN comp_assets a ON a.tenant = m.tenant AND a.id = l.asset \
             JOIN comp_parts p ON p.tenant = m.tenant AND p.id = m.part \
             JOIN comp_places f ON f.tenant = m.tenant AND f.id = l.place \
             WHERE m.tenant = $1 AND m.vulnerability = $2 \
             AND (m.part > $3 OR (m.part = $3 AND l.asset > $4)) \
             ORDER BY m.part, l.asset LIMIT {}",
            limit + 1
        );
        let mut rows = Vec::new();
        for row in &self
            .db()
            .all(&sql, args![self.t, vulnerability, part, asset])
            .await?
        {
            let asset = asset_of(row, 0)?;
            let mut part = part_of(row, 9, &asset.asset.asset.uid)?;
            part.component.found = row.json(16)?;
            rows.push(AffectedRow {
                asset,
                part,
                body: row.text(15)?,
            });
        }
        Page::cut(rows, limit, |row| (row.part.id, row.asset.id))
    }

    /// Components with matches and how many assets have them, most matches times assets first.
    pub async fn component_burdens(&self, most: u32, scope: Option<&str>) -> Result<Vec<FixRow>> {
        let nobody = nobody()?;
        let mut args = args![self.t, most];
        let links = links(&mut args, scope);
        let sql = format!(
            "SELECT {PART}, q.assets FROM (SELECT m.part AS part, COUNT(*) AS n, \
             (SELECT COUNT(*) FROM {links}) AS assets \
             FROM comp_matches m WHERE m.tenant = $1 GROUP BY m.tenant, m.part) q \
             JOIN comp_parts p ON p.tenant = $1 AND p.id = q.part \
             WHERE q.assets > 0 ORDER BY q.n * q.assets DESC, p.id LIMIT $2"
        );
        let mut fixes = Vec::new();
        for row in &self.db().all(&sql, args).await? {
            fixes.push(FixRow {
                part: part_of(row, 0, &nobody)?,
                assets: row.count(6)?,
                said: Vec::new(),
            });
        }
        let ids: Vec<i64> = fixes.iter().map(|f| f.part.id).collect();
        let mut said = self.matches_of(&ids, None).await?;
        for fix in &mut fixes {
            fix.said = said.remove(&fix.part.id).unwrap_or_default();
        }
        Ok(fixes)
    }
}
