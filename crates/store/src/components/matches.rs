//! What advisories say of components, kept by component, with the cursor of what was followed.

use super::read::{ASKED, PART, nobody, part_of};
use super::{Part, short};
use crate::bulk::Bulk;
use crate::db::{args, holes};
use crate::{Result, TenantStore};
use std::collections::{BTreeMap, HashMap, HashSet};

/// A vulnerability of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchRow {
    /// The name under which it is kept.
    pub vulnerability: String,
    /// What is said, the caller's JSON.
    pub body: String,
}

/// All that is said of one component now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// The component.
    pub part: i64,
    /// Each vulnerability once.
    pub rows: Vec<MatchRow>,
}

/// Which order of changes was followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// That of records.
    Records,
    /// That of EPSS scores.
    Epss,
}

impl Cursor {
    fn column(self) -> &'static str {
        match self {
            Self::Records => "seq",
            Self::Epss => "epss",
        }
    }
}

impl TenantStore {
    /// Up to which change of the reference data components were matched.
    pub async fn match_cursor(&self, of: Cursor) -> Result<i64> {
        let sql = format!("SELECT {} FROM comp_cursors WHERE tenant = $1", of.column());
        let row = self.db().opt(&sql, args![self.t]).await?;
        row.map_or(Ok(0), |row| row.int(0))
    }

    /// Says up to which change components were matched.
    pub async fn set_match_cursor(&self, of: Cursor, at: i64) -> Result<()> {
        let (records, epss) = match of {
            Cursor::Records => (at, 0),
            Cursor::Epss => (0, at),
        };
        let column = of.column();
        let mut tx = self.begin().await?;
        tx.exec(
            &format!(
                "INSERT INTO comp_cursors (tenant, seq, epss) VALUES ($1, $2, $3) \
                 ON CONFLICT (tenant) DO UPDATE SET {column} = excluded.{column}"
            ),
            args![self.t, records, epss],
        )
        .await?;
        tx.commit().await
    }

    /// What is said of these components, of all vulnerabilities or of one.
    pub async fn matches_of(
        &self,
        parts: &[i64],
        only: Option<&str>,
    ) -> Result<BTreeMap<i64, Vec<MatchRow>>> {
        let mut found: BTreeMap<i64, Vec<MatchRow>> = BTreeMap::new();
        for parts in parts.chunks(ASKED) {
            let mut args = args![self.t];
            let places = holes(&mut args, parts.iter().copied());
            let mut sql = format!(
                "SELECT part, vulnerability, body FROM comp_matches \
                 WHERE tenant = $1 AND part IN ({places})"
            );
            if let Some(only) = only {
                sql.push_str(" AND vulnerability = ");
                sql.push_str(&holes(&mut args, [only].into_iter()));
            }
            sql.push_str(" ORDER BY part, vulnerability");
            for row in &self.db().all(&sql, args).await? {
                found.entry(row.int(0)?).or_default().push(MatchRow {
                    vulnerability: row.text(1)?,
                    body: row.text(2)?,
                });
            }
        }
        Ok(found)
    }

    /// How many components of an asset were never matched.
    pub async fn unmatched_of(&self, asset: i64) -> Result<u64> {
        let row = self
            .db()
            .opt(
                "SELECT COUNT(*) FROM comp_links l \
                 JOIN comp_parts p ON p.tenant = l.tenant AND p.id = l.part \
                 WHERE l.tenant = $1 AND l.asset = $2 AND p.matched IS NULL",
                args![self.t, asset],
            )
            .await?;
        row.map_or(Ok(0), |row| row.count(0))
    }

    /// Components that were never matched.
    pub async fn unmatched(&self, most: u32) -> Result<Vec<Part>> {
        let nobody = nobody()?;
        self.db()
            .all(
                &format!(
                    "SELECT {PART} FROM comp_parts p WHERE p.tenant = $1 \
                     AND p.matched IS NULL ORDER BY p.id LIMIT $2"
                ),
                args![self.t, most],
            )
            .await?
            .iter()
            .map(|row| part_of(row, 0, &nobody))
            .collect()
    }

    /// Keeps what is said of components now, and marks who has one of which it changed, all or
    /// nothing. Returns how many matches changed.
    pub async fn record_matches(&self, matched: &[Matched], seq: i64) -> Result<u64> {
        let mut tx = self.begin().await?;
        let mut ask = Bulk::new("ii");
        let mut done = Bulk::new("iii");
        for one in matched {
            ask.push(args![self.t, one.part]);
            done.push(args![self.t, one.part, seq]);
        }
        let mut held: HashMap<i64, HashMap<String, Vec<u8>>> = HashMap::new();
        for row in ask
            .run(
                &mut tx,
                "WITH v(tenant, part) AS (",
                ") SELECT m.part, m.vulnerability, m.digest FROM v JOIN comp_matches m \
                 ON m.tenant = v.tenant AND m.part = v.part",
            )
            .await?
        {
            held.entry(row.int(0)?)
                .or_default()
                .insert(row.text(1)?, row.blob(2)?);
        }
        let mut put = Bulk::new("iitbt");
        let mut gone = Bulk::new("iit");
        // Distinct vulnerabilities with the components of which they changed.
        let mut changed: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for one in matched {
            let mut before = held.remove(&one.part).unwrap_or_default();
            let mut seen = HashSet::new();
            for row in &one.rows {
                if !seen.insert(row.vulnerability.as_str()) {
                    continue;
                }
                let digest = short(&[&row.body]);
                if before.remove(&row.vulnerability).as_ref() == Some(&digest) {
                    continue;
                }
                put.push(args![
                    self.t,
                    one.part,
                    row.vulnerability.as_str(),
                    digest,
                    row.body.as_str()
                ]);
                changed
                    .entry(row.vulnerability.clone())
                    .or_default()
                    .push(one.part);
            }
            for (vulnerability, _) in before {
                if seen.contains(vulnerability.as_str()) {
                    continue;
                }
                gone.push(args![self.t, one.part, vulnerability.as_str()]);
                changed.entry(vulnerability).or_default().push(one.part);
            }
        }
        gone.run(
            &mut tx,
            "DELETE FROM comp_matches WHERE (tenant, part, vulnerability) IN (",
            ")",
        )
        .await?;
        put.run(
            &mut tx,
            "INSERT INTO comp_matches (tenant, part, vulnerability, digest, body)",
            "ON CONFLICT (tenant, part, vulnerability) DO UPDATE SET digest = excluded.digest, \
             body = excluded.body",
        )
        .await?;
        done.run(
            &mut tx,
            "WITH v(tenant, id, seq) AS (",
            ") UPDATE comp_parts SET matched = v.seq FROM v \
             WHERE comp_parts.tenant = v.tenant AND comp_parts.id = v.id",
        )
        .await?;
        let total = changed.values().map(|parts| parts.len() as u64).sum();
        self.mark_holders(&mut tx, &changed).await?;
        tx.commit().await?;
        Ok(total)
    }
}
