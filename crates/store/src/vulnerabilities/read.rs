//! Look-ups: a record, its versions, what is said of a vulnerability or of packages.

use super::{
    Changed, EpssRow, HeldRow, PACKAGE, RecordKind, Stored, Term, VERSION_BITS, Version,
    Vulnerabilities, body,
};
use crate::db::{Row, args, holes};
use crate::{Result, StoreError};
use std::collections::{BTreeMap, BTreeSet};

/// Names and packages that one statement asks for.
const ASKED: usize = 400;
/// The most names of one vulnerability. Real groups have fewer than ten; a feed that joins
/// everything with everything must not take the others with it.
const MAX_NAMES: usize = 64;

const STORED: &str = "SELECT r.key, r.kind, r.changed, v.body FROM vuln_records r \
     JOIN vuln_versions v ON v.id = r.id * 1048576 + r.current";

fn stored(row: &Row) -> Result<Stored> {
    Ok(Stored {
        key: row.text(0)?,
        kind: RecordKind::of(row.int(1)?)?,
        changed: row.opt_time(2)?,
        bytes: body::unpack(&row.blob(3)?)?.map(|(_, bytes)| bytes),
    })
}

fn folded(terms: impl IntoIterator<Item = Term>) -> BTreeMap<i64, BTreeSet<String>> {
    let mut by_sort: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
    for (sort, text) in terms.into_iter().map(|term| term.pair()) {
        by_sort.entry(sort).or_default().insert(text);
    }
    by_sort
}

/// The names among the terms of an advisory.
fn names_of(terms: Vec<super::Entry>) -> impl Iterator<Item = String> {
    let (name, _) = Term::Name(String::new()).pair();
    terms
        .into_iter()
        .filter_map(move |(sort, text, _)| (sort == name).then_some(text))
}

impl Vulnerabilities {
    /// A record by its key, `cve/CVE-2024-3094`.
    pub async fn record(&self, key: &str) -> Result<Option<Stored>> {
        self.db()
            .opt(&format!("{STORED} WHERE r.key = $1"), args![key])
            .await?
            .map(|row| stored(&row))
            .transpose()
    }

    /// A record of the CVE list.
    pub async fn cve(&self, id: &str) -> Result<Option<Stored>> {
        self.record(&format!("cve/{id}")).await
    }

    /// Records by their keys, in no particular order; those that are not there are left out.
    pub async fn records(&self, keys: &[String]) -> Result<Vec<Stored>> {
        let mut found = Vec::new();
        for keys in keys.chunks(ASKED) {
            let mut args = Vec::new();
            let places = holes(&mut args, keys.iter().map(String::as_str));
            let sql = format!("{STORED} WHERE r.key IN ({places})");
            for row in &self.db().all(&sql, args).await? {
                found.push(stored(row)?);
            }
        }
        Ok(found)
    }

    /// All versions of a record, in the order of the changes; none when it is not held.
    pub async fn versions(&self, key: &str) -> Result<Vec<Version>> {
        let mask = (1_i64 << VERSION_BITS) - 1;
        self.db()
            .all(
                "SELECT v.id, v.changed, v.applied, v.body FROM vuln_records r \
                 JOIN vuln_versions v ON v.id > r.id * 1048576 AND v.id <= r.id * 1048576 + r.last \
                 WHERE r.key = $1 ORDER BY COALESCE(v.changed, -1), v.id",
                args![key],
            )
            .await?
            .iter()
            .map(|row| {
                Ok(Version {
                    number: (row.int(0)? & mask) as u64,
                    changed: row.opt_time(1)?,
                    applied: row.time(2)?,
                    bytes: body::unpack(&row.blob(3)?)?.map(|(_, bytes)| bytes),
                })
            })
            .collect()
    }

    /// The numbers of the records with any of these terms.
    async fn with_terms(&self, terms: impl IntoIterator<Item = Term>) -> Result<BTreeSet<i64>> {
        let mut records = BTreeSet::new();
        for (sort, texts) in folded(terms) {
            let texts: Vec<String> = texts.into_iter().collect();
            for texts in texts.chunks(ASKED) {
                let mut args = args![sort];
                let places = holes(&mut args, texts.iter().map(String::as_str));
                let sql = format!(
                    "SELECT DISTINCT record FROM vuln_terms WHERE sort = $1 AND term IN ({places})"
                );
                for row in &self.db().all(&sql, args).await? {
                    records.insert(row.int(0)?);
                }
            }
        }
        Ok(records)
    }

    async fn by_numbers(&self, numbers: &BTreeSet<i64>, kind: RecordKind) -> Result<Vec<Stored>> {
        let numbers: Vec<i64> = numbers.iter().copied().collect();
        let mut found = Vec::new();
        for numbers in numbers.chunks(ASKED) {
            let mut args = args![kind as i64];
            let places = holes(&mut args, numbers.iter().copied());
            let sql = format!("{STORED} WHERE r.kind = $1 AND r.id IN ({places}) ORDER BY r.key");
            for row in &self.db().all(&sql, args).await? {
                found.push(stored(row)?);
            }
        }
        Ok(found)
    }

    /// Advisories that name any of these packages, or named it once: (ecosystem, package), the
    /// latter the way the ecosystem compares names. Which of them hit, `vuln::matching` says.
    pub async fn advisories_for(&self, packages: &[(&str, &str)]) -> Result<Vec<Stored>> {
        let terms = packages
            .iter()
            .map(|(ecosystem, name)| Term::Package((*ecosystem).to_owned(), (*name).to_owned()));
        let numbers = self.with_terms(terms).await?;
        self.by_numbers(&numbers, RecordKind::Advisory).await
    }

    /// Whether any advisory names a package of the ecosystem.
    pub async fn speaks_of(&self, ecosystem: &str) -> Result<bool> {
        let (sort, from) = Term::Package(ecosystem.to_owned(), String::new()).pair();
        // All names of the ecosystem lie between its separator and what follows that.
        let to = from.replace('\u{1f}', "\u{20}");
        let row = self
            .db()
            .opt(
                "SELECT term FROM vuln_terms WHERE sort = $1 AND term >= $2 AND term < $3 LIMIT 1",
                args![sort, from, to],
            )
            .await?;
        Ok(row.is_some())
    }

    /// Advisories about a vulnerability, by any of its names, bundles included.
    pub async fn advisories_of(&self, names: &[String]) -> Result<Vec<Stored>> {
        let terms = names
            .iter()
            .flat_map(|name| [Term::Name(name.clone()), Term::Upstream(name.clone())]);
        let numbers = self.with_terms(terms).await?;
        self.by_numbers(&numbers, RecordKind::Advisory).await
    }

    /// Statements of VEX about a vulnerability, by any of its names.
    pub async fn vex_of(&self, names: &[String]) -> Result<Vec<Stored>> {
        let numbers = self
            .with_terms(names.iter().cloned().map(Term::Name))
            .await?;
        self.by_numbers(&numbers, RecordKind::Vex).await
    }

    /// All names of the vulnerability, the asked one first: what advisories call by two names is
    /// one vulnerability, over as many steps as it takes.
    pub async fn names(&self, name: &str) -> Result<Vec<String>> {
        let mut names = vec![name.to_owned()];
        let mut asked = 0;
        while asked < names.len() && names.len() < MAX_NAMES {
            let terms: Vec<Term> = names.iter().skip(asked).cloned().map(Term::Name).collect();
            asked = names.len();
            let numbers = self.with_terms(terms).await?;
            let mut found = BTreeSet::new();
            for record in self.by_numbers_packed(&numbers).await? {
                found.extend(names_of(record));
            }
            for name in found {
                if !names.contains(&name) && names.len() < MAX_NAMES {
                    names.push(name);
                }
            }
        }
        Ok(names)
    }

    /// All names of several vulnerabilities, those of one vulnerability together; see
    /// [`Self::names`]. Asked names that nobody else knows stand alone.
    pub async fn named_together(&self, names: &[String]) -> Result<Vec<BTreeSet<String>>> {
        let most = names.len().saturating_mul(MAX_NAMES);
        let mut groups: BTreeMap<String, usize> = BTreeMap::new();
        let mut members: Vec<BTreeSet<String>> = Vec::new();
        let mut todo: BTreeSet<String> = names.iter().cloned().collect();
        for name in &todo {
            groups.insert(name.clone(), members.len());
            members.push(BTreeSet::from([name.clone()]));
        }
        while !todo.is_empty() && groups.len() <= most {
            let numbers = self.with_terms(todo.into_iter().map(Term::Name)).await?;
            todo = BTreeSet::new();
            for record in self.by_numbers_packed(&numbers).await? {
                let all: Vec<String> = names_of(record).collect();
                let known: Vec<usize> = all.iter().filter_map(|n| groups.get(n).copied()).collect();
                let Some(to) = known.iter().min().copied() else {
                    continue;
                };
                let mut joined: BTreeSet<String> = all.into_iter().collect();
                todo.extend(joined.iter().filter(|n| !groups.contains_key(*n)).cloned());
                for from in known {
                    joined.extend(
                        members
                            .get_mut(from)
                            .map(std::mem::take)
                            .unwrap_or_default(),
                    );
                }
                for name in &joined {
                    groups.insert(name.clone(), to);
                }
                if let Some(group) = members.get_mut(to) {
                    *group = joined;
                }
            }
        }
        members.retain(|group| !group.is_empty());
        Ok(members)
    }

    /// The terms of the current versions of advisories.
    async fn by_numbers_packed(&self, numbers: &BTreeSet<i64>) -> Result<Vec<Vec<super::Entry>>> {
        let numbers: Vec<i64> = numbers.iter().copied().collect();
        let mut found = Vec::new();
        for numbers in numbers.chunks(ASKED) {
            let mut args = args![RecordKind::Advisory as i64];
            let places = holes(&mut args, numbers.iter().copied());
            let sql = format!("{STORED} WHERE r.kind = $1 AND r.id IN ({places})");
            for row in &self.db().all(&sql, args).await? {
                found.extend(body::unpack(&row.blob(3)?)?.map(|(terms, _)| terms));
            }
        }
        Ok(found)
    }

    /// Packages that any version of these records named: (ecosystem, package).
    pub async fn packages_of(&self, keys: &[String]) -> Result<BTreeSet<(String, String)>> {
        let mut packages = BTreeSet::new();
        for keys in keys.chunks(ASKED) {
            let mut args = Vec::new();
            let places = holes(&mut args, keys.iter().map(String::as_str));
            let sql = format!(
                "SELECT v.body FROM vuln_records r JOIN vuln_versions v \
                 ON v.id > r.id * 1048576 AND v.id <= r.id * 1048576 + r.last \
                 WHERE r.key IN ({places})"
            );
            for row in &self.db().all(&sql, args).await? {
                let Some((terms, _)) = body::unpack(&row.blob(0)?)? else {
                    continue;
                };
                packages.extend(terms.into_iter().filter_map(|(sort, text, _)| {
                    let (ecosystem, name) = text.split_once('\u{1f}')?;
                    (sort == PACKAGE).then(|| (ecosystem.to_owned(), name.to_owned()))
                }));
            }
        }
        Ok(packages)
    }

    /// What changed after a place, in order; from the beginning with 0.
    pub async fn changed_since(&self, seq: i64, limit: u32) -> Result<Vec<Changed>> {
        self.db()
            .all(
                "SELECT seq, key, kind FROM vuln_records WHERE seq > $1 ORDER BY seq LIMIT $2",
                args![seq, limit],
            )
            .await?
            .iter()
            .map(|row| {
                Ok(Changed {
                    seq: row.int(0)?,
                    key: row.text(1)?,
                    kind: RecordKind::of(row.int(2)?)?,
                })
            })
            .collect()
    }

    /// The place of the latest change.
    pub async fn latest(&self) -> Result<i64> {
        let row = self
            .db()
            .opt("SELECT COALESCE(MAX(seq), 0) FROM vuln_records", vec![])
            .await?;
        row.map_or(Ok(0), |row| row.int(0))
    }

    /// What is held, by key, after one of them; keys begin with the prefix.
    pub async fn held(&self, prefix: &str, after: &str, limit: u32) -> Result<Vec<HeldRow>> {
        self.db()
            .all(
                "SELECT key, changed, digest FROM vuln_records \
                 WHERE key > $1 AND key >= $2 AND key < $3 ORDER BY key LIMIT $4",
                args![after, prefix, format!("{prefix}\u{10ffff}"), limit],
            )
            .await?
            .iter()
            .map(|row| {
                Ok(HeldRow {
                    key: row.text(0)?,
                    changed: row.opt_time(1)?,
                    digest: match row.blob(2)?.as_slice() {
                        [] => None,
                        bytes => Some(bytes.try_into().map_err(|_| {
                            StoreError::Corrupt("a digest of another length".to_owned())
                        })?),
                    },
                })
            })
            .collect()
    }

    /// How many records of a kind are held, those withdrawn included.
    pub async fn count(&self, kind: RecordKind) -> Result<u64> {
        let row = self
            .db()
            .opt(
                "SELECT COUNT(*) FROM vuln_records WHERE kind = $1",
                args![kind as i64],
            )
            .await?;
        row.map_or(Ok(0), |row| row.count(0))
    }

    /// EPSS scores of CVEs; those without one are left out.
    pub async fn epss(&self, cves: &[String]) -> Result<Vec<EpssRow>> {
        let mut found = Vec::new();
        for cves in cves.chunks(ASKED) {
            let mut args = Vec::new();
            let places = holes(&mut args, cves.iter().map(String::as_str));
            let sql = format!(
                "SELECT cve, day, score, percentile FROM vuln_epss WHERE cve IN ({places})"
            );
            for row in &self.db().all(&sql, args).await? {
                found.push(EpssRow {
                    cve: row.text(0)?,
                    day: row.time(1)?,
                    score: row.int(2)? as f32 / 100_000.0,
                    percentile: row.int(3)? as f32 / 100_000.0,
                });
            }
        }
        Ok(found)
    }

    /// CVEs whose EPSS score moved after a place in the order of these changes, in order.
    pub async fn epss_since(&self, seq: i64, limit: u32) -> Result<Vec<(i64, String)>> {
        self.db()
            .all(
                "SELECT seq, cve FROM vuln_epss WHERE seq > $1 ORDER BY seq LIMIT $2",
                args![seq, limit],
            )
            .await?
            .iter()
            .map(|row| Ok((row.int(0)?, row.text(1)?)))
            .collect()
    }
}
