//! The list of CVEs: filtered, in three orders, page by page.
//!
//! The filter that leaves the fewest records leads, in the order of its index where it has one;
//! the others are checked row by row.

use super::{ALL, Flags, LEVEL, Level, Term, Vulnerabilities};
use crate::db::{Val, args};
use crate::{Page, PageRequest, Result};
use bartizan_model::Timestamp;
use std::fmt::Write as _;

/// Which CVEs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VulnerabilityFilter {
    /// Words of the title, all of them, or the beginning of an id.
    pub text: Option<String>,
    /// Exact product, case ignored.
    pub product: Option<String>,
    /// Exact vendor, case ignored.
    pub vendor: Option<String>,
    /// Exact weakness, `CWE-79`.
    pub cwe: Option<String>,
    /// Exact level of severity.
    pub severity: Option<Level>,
    /// Published at or after.
    pub from: Option<Timestamp>,
    /// Published before.
    pub to: Option<Timestamp>,
    /// Only those known to be exploited (CISA's catalogue, or its mark in the record).
    pub kev: bool,
    /// Only those with an exploit that is known of.
    pub exploit: bool,
    /// An EPSS score of at least this, 0 to 1.
    pub epss: Option<f64>,
    /// Rejected ones too.
    pub rejected: bool,
}

/// In which order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VulnerabilitySort {
    /// Latest published first.
    #[default]
    Published,
    /// Latest changed first.
    Changed,
    /// Highest score first.
    Score,
}

/// A line of the list.
#[derive(Debug, Clone, PartialEq)]
pub struct VulnerabilityRow {
    /// The CVE.
    pub id: String,
    /// One line.
    pub title: String,
    /// The score that counts, in tenths.
    pub score: Option<u8>,
    /// How bad.
    pub level: Level,
    /// Published, as far as is known.
    pub published: Option<Timestamp>,
    /// Last changed.
    pub changed: Option<Timestamp>,
    /// Its marks.
    pub flags: Flags,
    /// Known to be exploited.
    pub kev: bool,
    /// Its EPSS score.
    pub epss: Option<f32>,
    at: i64,
    number: i64,
}

struct Sql {
    args: Vec<Val>,
    wheres: String,
}

impl Sql {
    fn bind(&mut self, value: impl Into<Val>) -> String {
        self.args.push(value.into());
        format!("${}", self.args.len())
    }

    fn and(&mut self, condition: &str) {
        let _ = write!(self.wheres, " AND {condition}");
    }
}

/// A text as a pattern of LIKE with `!` as the escape.
fn pattern(text: &str) -> String {
    let mut out = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '!') {
            out.push('!');
        }
        out.push(c);
    }
    out.push('%');
    out
}

/// The terms that a filter names, the most selective first.
fn terms(filter: &VulnerabilityFilter) -> Vec<(i64, String)> {
    let mut terms = Vec::new();
    terms.extend(filter.product.clone().map(|t| Term::Product(t).pair()));
    terms.extend(filter.vendor.clone().map(|t| Term::Vendor(t).pair()));
    terms.extend(filter.cwe.clone().map(|t| Term::Cwe(t).pair()));
    terms.extend(filter.severity.map(|l| (LEVEL, l.as_str().to_owned())));
    terms
}

const EXPLOITED: &str = "EXISTS (SELECT 1 FROM vuln_terms k WHERE k.sort = 5 \
     AND k.term = SUBSTR(r.key, 5))";

impl Vulnerabilities {
    /// A page of CVEs.
    pub async fn search(
        &self,
        filter: &VulnerabilityFilter,
        sort: VulnerabilitySort,
        page: &PageRequest,
    ) -> Result<Page<VulnerabilityRow>> {
        let limit = page.rows();
        let after: Option<(i64, i64)> = page.decode()?;
        let (sql, args) = self.statement(filter, sort, after, limit);
        let mut rows = Vec::new();
        for row in &self.db().all(&sql, args).await? {
            let (score, published) = (row.int(4)?, row.int(5)?);
            let score = u8::try_from(score).ok();
            let key = row.text(1)?;
            rows.push(VulnerabilityRow {
                id: key.strip_prefix("cve/").unwrap_or(&key).to_owned(),
                title: row.text(2)?,
                score,
                level: Level::of(score),
                published: (published != 0).then(|| Timestamp::from_micros(published)),
                changed: row.opt_time(3)?,
                flags: Flags::of(row.int(6)?),
                kev: row.flag(7)?,
                epss: row.opt_int(8)?.map(|e| e as f32 / 100_000.0),
                at: row.int(9)?,
                number: row.int(0)?,
            });
        }
        Page::cut(rows, limit, |row| (row.at, row.number))
    }

    fn statement(
        &self,
        filter: &VulnerabilityFilter,
        sort: VulnerabilitySort,
        after: Option<(i64, i64)>,
        limit: usize,
    ) -> (String, Vec<Val>) {
        let mut sql = Sql {
            args: args![],
            wheres: String::new(),
        };
        let mut terms = terms(filter).into_iter();
        let words: Vec<&str> = filter
            .text
            .as_deref()
            .unwrap_or_default()
            .split_whitespace()
            .take(8)
            .collect();
        let (by_id, words): (Vec<&str>, Vec<&str>) = words
            .into_iter()
            .partition(|w| w.len() >= 4 && w.to_ascii_uppercase().starts_with("CVE-"));
        let epss = filter
            .epss
            .map(|least| (least.clamp(0.0, 1.0) * 100_000.0).round() as i64);
        // In SQLite CROSS JOIN fixes who leads; PostgreSQL decides by its statistics.
        let join = if self.db().is_lite() {
            "CROSS JOIN"
        } else {
            "JOIN"
        };
        let mut by_date = "r.published";
        let from = if !by_id.is_empty() {
            // A list of ids asks for each of them.
            let mut any = Vec::new();
            for id in by_id {
                let id = id.to_ascii_uppercase();
                let low = sql.bind(format!("cve/{id}"));
                let high = sql.bind(format!("cve/{id}\u{10ffff}"));
                any.push(format!("(r.key >= {low} AND r.key < {high})"));
            }
            sql.and(&format!("({})", any.join(" OR ")));
            "vuln_records r".to_owned()
        } else if filter.kev {
            format!(
                "(SELECT DISTINCT term FROM vuln_terms WHERE sort = 5) k {join} vuln_records r \
                 ON r.key = 'cve/' || k.term"
            )
        } else if let (None, Some(least)) = (
            filter
                .product
                .as_ref()
                .or(filter.vendor.as_ref())
                .or(filter.cwe.as_ref()),
            epss.filter(|least| *least >= 5_000),
        ) {
            let least = sql.bind(least);
            sql.and(&format!("e.score >= {least}"));
            format!("vuln_epss e {join} vuln_records r ON r.key = 'cve/' || e.cve")
        } else if let Some((number, term)) = (sort == VulnerabilitySort::Published
            || filter.product.is_some()
            || filter.vendor.is_some()
            || filter.cwe.is_some())
        .then(|| terms.next().unwrap_or((ALL, String::new())))
        {
            let (number, term) = (sql.bind(number), sql.bind(term));
            sql.and(&format!("t.sort = {number} AND t.term = {term}"));
            by_date = "t.at";
            format!("vuln_terms t {join} vuln_records r ON r.id = t.record")
        } else {
            "vuln_records r".to_owned()
        };
        for (number, term) in terms {
            let (number, term) = (sql.bind(number), sql.bind(term));
            sql.and(&format!(
                "EXISTS (SELECT 1 FROM vuln_terms x WHERE x.sort = {number} AND x.term = {term} \
                 AND x.at = r.published AND x.record = r.id)"
            ));
        }
        if let (Some(least), false) = (epss, from.starts_with("vuln_epss")) {
            let least = sql.bind(least);
            sql.and(&format!(
                "EXISTS (SELECT 1 FROM vuln_epss x WHERE x.cve = SUBSTR(r.key, 5) \
                 AND x.score >= {least})"
            ));
        }
        if filter.kev && !from.starts_with("(SELECT") {
            sql.and(EXPLOITED);
        }
        for word in words {
            let word = sql.bind(pattern(&word.to_lowercase()));
            sql.and(&format!("LOWER(r.title) LIKE {word} ESCAPE '!'"));
        }
        if let Some(from) = filter.from {
            let from = sql.bind(from);
            sql.and(&format!("{by_date} >= {from}"));
        }
        if let Some(to) = filter.to {
            let to = sql.bind(to);
            sql.and(&format!("{by_date} < {to}"));
        }
        if !filter.rejected {
            sql.and("r.flags & 1 = 0");
        }
        if filter.exploit {
            sql.and("r.flags & 6 <> 0");
        }
        let (order, number) = match (sort, by_date) {
            (VulnerabilitySort::Published, "t.at") => ("t.at", "t.record"),
            (VulnerabilitySort::Published, _) => ("r.published", "r.id"),
            (VulnerabilitySort::Changed, _) => ("r.changed", "r.id"),
            (VulnerabilitySort::Score, _) => ("r.score", "r.id"),
        };
        if let Some((at, last)) = after {
            let (at, last) = (sql.bind(at), sql.bind(last));
            sql.and(&format!("({order}, {number}) < ({at}, {last})"));
        }
        let wheres = sql.wheres;
        // What only the page needs is looked up for the page alone.
        let statement = format!(
            "SELECT p.id, p.key, p.title, p.changed, p.score, p.published, p.flags, \
             CAST(CASE WHEN {exploited} THEN 1 ELSE 0 END AS BIGINT), \
             (SELECT e.score FROM vuln_epss e WHERE e.cve = SUBSTR(p.key, 5)), p.at \
             FROM (SELECT r.id AS id, r.key AS key, r.title AS title, r.changed AS changed, \
             r.score AS score, r.published AS published, r.flags AS flags, {order} AS at \
             FROM {from} WHERE r.kind = 0 AND {order} IS NOT NULL{wheres} \
             ORDER BY {order} DESC, {number} DESC LIMIT {rows}) p ORDER BY p.at DESC, p.id DESC",
            exploited = EXPLOITED.replace("r.key", "p.key"),
            rows = limit + 1,
        );
        (statement, sql.args)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_literal() {
        assert_eq!(pattern("50%_!"), "%50!%!_!!%");
    }
}
