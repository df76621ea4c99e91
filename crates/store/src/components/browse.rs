//! What a tenant's components come to, for people who look: by vulnerability, by asset, by package.

use super::read::{ASKED, ASSET, PART, asset_of, nobody, part_of};
use super::{KeptAsset, MatchRow, Part};
use crate::db::{Val, args, holes};
use crate::findings::change::status_of;
use crate::{Page, PageRequest, Result, TenantStore};
use bartizan_model::{AssetUid, FindingStatus, Found, Purl, Severity};
use std::collections::{BTreeMap, HashMap};

/// What is said of a component, with how many assets have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaidRow {
    /// The name under which it is kept.
    pub vulnerability: String,
    /// The component.
    pub part: Part,
    /// How many assets have it.
    pub assets: u64,
    /// What is said, the caller's JSON.
    pub body: String,
}

/// What is said of a component that an asset has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentRow {
    /// The name under which it is kept.
    pub vulnerability: String,
    /// The component's number.
    pub part: i64,
    /// What is said, the caller's JSON.
    pub body: String,
}

/// How many findings of a check stand in a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckState {
    /// The check's uid.
    pub check: String,
    /// The state.
    pub status: FindingStatus,
    /// How many.
    pub count: u64,
}

/// An inventory by name, for lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryName {
    /// Its number.
    pub id: i64,
    /// The asset.
    pub uid: AssetUid,
    /// How people call it.
    pub name: String,
    /// What it is.
    pub kind: String,
}

/// An asset that has one of the components that were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HolderRow {
    /// The asset.
    pub asset: KeptAsset,
    /// The component's number.
    pub part: i64,
    /// Where it was found.
    pub found: Vec<Found>,
}

/// A condition on the scope of `a`, an asset, with its argument.
fn within(args: &mut Vec<Val>, scope: Option<&str>) -> String {
    let Some(scope) = scope else {
        return String::new();
    };
    args.push(scope.into());
    format!(" AND a.scope = ${}", args.len())
}

/// The links of `m`'s component, as far as they are of the scope.
pub(super) fn links(args: &mut Vec<Val>, scope: Option<&str>) -> String {
    let within = within(args, scope);
    let assets = if within.is_empty() {
        ""
    } else {
        "JOIN comp_assets a ON a.tenant = l.tenant AND a.id = l.asset"
    };
    format!("comp_links l {assets} WHERE l.tenant = m.tenant AND l.part = m.part{within}")
}

impl TenantStore {
    /// What is said of components that assets have now, in the order of vulnerabilities, from
    /// after a place on: (vulnerability, component).
    pub async fn present(
        &self,
        scope: Option<&str>,
        after: Option<&(String, i64)>,
        most: u32,
    ) -> Result<Vec<PresentRow>> {
        let (vulnerability, part) = match after {
            Some((vulnerability, part)) => (vulnerability.as_str(), *part),
            None => ("", -1),
        };
        let mut args = args![self.t, vulnerability, part, most];
        let links = links(&mut args, scope);
        let sql = format!(
            "SELECT m.vulnerability, m.part, m.body FROM comp_matches m \
             WHERE m.tenant = $1 AND (m.vulnerability, m.part) > ($2, $3) \
             AND EXISTS (SELECT 1 FROM {links}) ORDER BY m.vulnerability, m.part LIMIT $4"
        );
        self.db()
            .all(&sql, args)
            .await?
            .iter()
            .map(|row| {
                Ok(PresentRow {
                    vulnerability: row.text(0)?,
                    part: row.int(1)?,
                    body: row.text(2)?,
                })
            })
            .collect()
    }

    /// What is said of components about these vulnerabilities, as far as assets have them.
    pub async fn said_about(
        &self,
        vulnerabilities: &[&str],
        scope: Option<&str>,
    ) -> Result<Vec<SaidRow>> {
        let nobody = nobody()?;
        let mut said = Vec::new();
        for some in vulnerabilities.chunks(ASKED) {
            let mut args = args![self.t];
            let links = links(&mut args, scope);
            let names = holes(&mut args, some.iter().copied());
            let sql = format!(
                "SELECT {PART}, m.vulnerability, m.body, (SELECT COUNT(*) FROM {links}) \
                 FROM comp_matches m JOIN comp_parts p ON p.tenant = m.tenant AND p.id = m.part \
                 WHERE m.tenant = $1 AND m.vulnerability IN ({names}) \
                 ORDER BY m.vulnerability, m.part"
            );
            for row in &self.db().all(&sql, args).await? {
                let one = SaidRow {
                    part: part_of(row, 0, &nobody)?,
                    vulnerability: row.text(6)?,
                    body: row.text(7)?,
                    assets: row.count(8)?,
                };
                if one.assets > 0 {
                    said.push(one);
                }
            }
        }
        Ok(said)
    }

    /// How many assets have a component that any of these vulnerabilities is about.
    pub async fn assets_with(
        &self,
        vulnerabilities: &[&str],
        scope: Option<&str>,
    ) -> Result<HashMap<String, u64>> {
        let mut counts = HashMap::new();
        for some in vulnerabilities.chunks(ASKED) {
            let mut args = args![self.t];
            let within = within(&mut args, scope);
            let names = holes(&mut args, some.iter().copied());
            let sql = format!(
                "SELECT m.vulnerability, COUNT(DISTINCT l.asset) FROM comp_matches m \
                 JOIN comp_links l ON l.tenant = m.tenant AND l.part = m.part \
                 JOIN comp_assets a ON a.tenant = l.tenant AND a.id = l.asset \
                 WHERE m.tenant = $1 AND m.vulnerability IN ({names}){within} \
                 GROUP BY m.vulnerability"
            );
            for row in &self.db().all(&sql, args).await? {
                counts.insert(row.text(0)?, row.count(1)?);
            }
        }
        Ok(counts)
    }

    /// How the findings of checks whose uid begins so stand.
    pub async fn check_states(&self, begins: &str, scope: Option<&str>) -> Result<Vec<CheckState>> {
        let mut args = args![self.t, begins, begins.chars().count() as i64];
        let of = of_scope(&mut args, "n", scope);
        let sql = format!(
            "SELECT c.uid, n.status, CAST(SUM(n.n) AS BIGINT) FROM checks c \
             JOIN finding_counts n ON n.tenant = c.tenant AND n.chk = c.id \
             WHERE c.tenant = $1 AND substr(c.uid, 1, CAST($3 AS INTEGER)) = $2 AND n.n > 0{of} \
             GROUP BY c.uid, n.status"
        );
        self.db()
            .all(&sql, args)
            .await?
            .iter()
            .map(|row| {
                Ok(CheckState {
                    check: row.text(0)?,
                    status: status_of(row.int(1)?),
                    count: row.count(2)?,
                })
            })
            .collect()
    }

    /// Of how many results of checks whose uid begins so it could not be told.
    pub async fn untold(&self, begins: &str, scope: Option<&str>) -> Result<HashMap<String, u64>> {
        let mut args = args![self.t, begins, begins.chars().count() as i64];
        let of = of_scope(&mut args, "t", scope);
        let sql = format!(
            "SELECT c.uid, CAST(SUM(t.unknown) AS BIGINT) FROM checks c \
             JOIN tallies t ON t.tenant = c.tenant AND t.chk = c.id \
             WHERE c.tenant = $1 AND substr(c.uid, 1, CAST($3 AS INTEGER)) = $2 AND t.unknown > 0{of} \
             GROUP BY c.uid"
        );
        let rows = self.db().all(&sql, args).await?;
        rows.iter()
            .map(|row| Ok((row.text(0)?, row.count(1)?)))
            .collect()
    }

    /// Active findings of checks whose uid begins so, by asset and severity.
    pub async fn asset_states(
        &self,
        begins: &str,
        scope: Option<&str>,
    ) -> Result<BTreeMap<String, Vec<(Severity, u64)>>> {
        let mut args = args![self.t, begins, begins.chars().count() as i64];
        let of = of_scope(&mut args, "f", scope);
        let sql = format!(
            "SELECT f.asset_uid, f.severity, COUNT(*) FROM findings f \
             WHERE f.tenant = $1 AND f.status IN (0, 1){of} AND f.chk IN \
             (SELECT c.id FROM checks c WHERE c.tenant = $1 AND substr(c.uid, 1, CAST($3 AS INTEGER)) = $2) \
             GROUP BY f.asset_uid, f.severity"
        );
        let mut assets: BTreeMap<String, Vec<(Severity, u64)>> = BTreeMap::new();
        for row in &self.db().all(&sql, args).await? {
            let count = (Severity::from_rank(row.int(1)?), row.count(2)?);
            assets.entry(row.text(0)?).or_default().push(count);
        }
        Ok(assets)
    }

    /// All assets with an inventory, by uid.
    pub async fn inventory_names(&self, scope: Option<&str>) -> Result<Vec<InventoryName>> {
        let mut args = args![self.t];
        let within = within(&mut args, scope);
        let sql = format!(
            "SELECT a.id, a.uid, a.name, a.kind FROM comp_assets a \
             WHERE a.tenant = $1 AND a.gone = 0{within} ORDER BY a.uid"
        );
        self.db()
            .all(&sql, args)
            .await?
            .iter()
            .map(|row| {
                Ok(InventoryName {
                    id: row.int(0)?,
                    uid: row.id(1)?,
                    name: row.text(2)?,
                    kind: row.text(3)?,
                })
            })
            .collect()
    }

    /// How many components these assets have.
    pub async fn component_counts(&self, assets: &[i64]) -> Result<HashMap<i64, u64>> {
        let mut counts = HashMap::new();
        for some in assets.chunks(ASKED) {
            let mut args = args![self.t];
            let places = holes(&mut args, some.iter().copied());
            let sql = format!(
                "SELECT asset, COUNT(*) FROM comp_links \
                 WHERE tenant = $1 AND asset IN ({places}) GROUP BY asset"
            );
            for row in &self.db().all(&sql, args).await? {
                counts.insert(row.int(0)?, row.count(1)?);
            }
        }
        Ok(counts)
    }

    /// What is said of the components of one asset.
    pub async fn matches_in(&self, asset: i64) -> Result<BTreeMap<i64, Vec<MatchRow>>> {
        let rows = self
            .db()
            .all(
                "SELECT m.part, m.vulnerability, m.body FROM comp_links l \
                 JOIN comp_matches m ON m.tenant = l.tenant AND m.part = l.part \
                 WHERE l.tenant = $1 AND l.asset = $2 ORDER BY m.part, m.vulnerability",
                args![self.t, asset],
            )
            .await?;
        let mut found: BTreeMap<i64, Vec<MatchRow>> = BTreeMap::new();
        for row in &rows {
            found.entry(row.int(0)?).or_default().push(MatchRow {
                vulnerability: row.text(1)?,
                body: row.text(2)?,
            });
        }
        Ok(found)
    }

    /// The components of a package, in whichever versions.
    pub async fn parts_of_package(&self, package: &Purl) -> Result<Vec<Part>> {
        let nobody = nobody()?;
        let begins = package.to_string();
        let long = begins.chars().count() as i64;
        let sql = format!(
            "SELECT {PART} FROM comp_parts p WHERE p.tenant = $1 \
             AND substr(p.purl, 1, CAST($3 AS INTEGER)) = $2 ORDER BY p.id"
        );
        let mut parts = Vec::new();
        for row in &self.db().all(&sql, args![self.t, begins, long]).await? {
            let part = part_of(row, 0, &nobody)?;
            if part.component.purl.package() == *package {
                parts.push(part);
            }
        }
        Ok(parts)
    }

    /// Which asset has which of these components: (asset, component).
    pub async fn held(&self, parts: &[i64], scope: Option<&str>) -> Result<Vec<(i64, i64)>> {
        let mut held = Vec::new();
        for some in parts.chunks(ASKED) {
            let mut args = args![self.t];
            let places = holes(&mut args, some.iter().copied());
            let within = within(&mut args, scope);
            let sql = format!(
                "SELECT l.asset, l.part FROM comp_links l \
                 JOIN comp_assets a ON a.tenant = l.tenant AND a.id = l.asset \
                 WHERE l.tenant = $1 AND l.part IN ({places}){within}"
            );
            for row in &self.db().all(&sql, args).await? {
                held.push((row.int(0)?, row.int(1)?));
            }
        }
        Ok(held)
    }

    /// Assets that have any of these components, page by page, with where.
    pub async fn holder_page(
        &self,
        parts: &[i64],
        scope: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<HolderRow>> {
        let limit = page.rows();
        let (asset, part): (i64, i64) = page.decode()?.unwrap_or((-1, -1));
        let mut args = args![self.t, asset, part];
        let some = parts.get(..parts.len().min(ASKED)).unwrap_or_default();
        if some.is_empty() {
            return Page::cut(Vec::new(), limit, |row: &HolderRow| row.part);
        }
        let places = holes(&mut args, some.iter().copied());
        let within = within(&mut args, scope);
        let sql = format!(
            "SELECT {ASSET}, l.part, f.body FROM comp_links l \
             JOIN comp_assets a ON a.tenant = l.tenant AND a.id = l.asset \
             JOIN comp_places f ON f.tenant = l.tenant AND f.id = l.place \
             WHERE l.tenant = $1 AND l.part IN ({places}){within} \
             AND (l.asset > $2 OR (l.asset = $2 AND l.part > $3)) \
             ORDER BY l.asset, l.part LIMIT {}",
            limit + 1
        );
        let mut rows = Vec::new();
        for row in &self.db().all(&sql, args).await? {
            rows.push(HolderRow {
                asset: asset_of(row, 0)?,
                part: row.int(9)?,
                found: row.json(10)?,
            });
        }
        Page::cut(rows, limit, |row| (row.asset.id, row.part))
    }
}

/// A condition on the scope of `table`, which has the scope's number.
fn of_scope(args: &mut Vec<Val>, table: &str, scope: Option<&str>) -> String {
    let Some(scope) = scope else {
        return String::new();
    };
    args.push(scope.into());
    let at = args.len();
    format!(
        " AND {table}.scope IN (SELECT s.id FROM scopes s WHERE s.tenant = $1 AND s.uid = ${at})"
    )
}
