//! Vulnerabilities: records of all feeds, all their versions, and under what they are found.
//!
//! Reference data, the same for all tenants. A record crosses as a [`Row`]: its bytes, which this
//! crate does not read, and the [`Term`]s and figures by which it is looked up. One writer at a
//! time; what is written is decided by the moment of change that the record states.

mod apply;
mod body;
mod feeds;
mod read;
mod search;

pub use body::digest;
pub use feeds::{FeedRow, FeedRun};
pub use search::{VulnerabilityFilter, VulnerabilityRow, VulnerabilitySort};

use crate::{Result, Store, StoreError};
use bartizan_model::Timestamp;
use std::collections::BTreeSet;

/// The most terms of one record. More would be a flood; the record is refused, not cut.
pub const MAX_TERMS: usize = 100_000;
/// The longest term in bytes; longer ones are cut at a letter, when written and when asked.
const MAX_TERM: usize = 800;
/// The longest title in letters.
const MAX_TITLE: usize = 160;
/// Bits of a version's id that are its number.
const VERSION_BITS: u32 = 20;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKind {
    /// A record of the CVE list.
    Cve = 0,
    /// An advisory.
    Advisory = 1,
    /// An entry of the catalogue of exploited vulnerabilities.
    Kev = 2,
    /// A statement of VEX.
    Vex = 3,
}

impl RecordKind {
    fn of(number: i64) -> Result<Self> {
        match number {
            0 => Ok(Self::Cve),
            1 => Ok(Self::Advisory),
            2 => Ok(Self::Kev),
            3 => Ok(Self::Vex),
            _ => Err(StoreError::Corrupt(format!(
                "a vulnerability record of kind {number}"
            ))),
        }
    }
}

/// How bad, by CVSS' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// There is no score.
    Unrated,
    /// 0.0.
    None,
    /// To 3.9.
    Low,
    /// To 6.9.
    Medium,
    /// To 8.9.
    High,
    /// From 9.0.
    Critical,
}

impl Level {
    /// All, from none to the worst.
    pub const ALL: [Self; 6] = [
        Self::Unrated,
        Self::None,
        Self::Low,
        Self::Medium,
        Self::High,
        Self::Critical,
    ];

    /// Of a score in tenths.
    pub fn of(score: Option<u8>) -> Self {
        match score {
            None => Self::Unrated,
            Some(0) => Self::None,
            Some(..40) => Self::Low,
            Some(..70) => Self::Medium,
            Some(..90) => Self::High,
            Some(_) => Self::Critical,
        }
    }

    /// In the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unrated => "unrated",
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// From the API's word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|l| l.as_str() == text)
    }
}

/// What a record is found by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Term {
    /// A product of a CVE record; case is ignored.
    Product(String),
    /// A vendor of a CVE record; case is ignored.
    Vendor(String),
    /// A weakness of a CVE record, `CWE-79`.
    Cwe(String),
    /// A CVE that is known to be exploited: of an entry of the catalogue, or of a CVE record that
    /// carries the mark.
    Kev(String),
    /// A name of an advisory's or a statement's vulnerability: its id and its aliases.
    Name(String),
    /// A vulnerability that an advisory bundles with others.
    Upstream(String),
    /// A package: the ecosystem's name, and the package's the way the ecosystem compares names.
    /// Once named it stays: whoever follows must look at packages that an advisory has dropped.
    Package(String, String),
}

/// Terms that [`Row::new`] adds itself.
const ALL: i64 = 0;
const LEVEL: i64 = 4;
const PACKAGE: i64 = 8;

impl Term {
    fn pair(&self) -> (i64, String) {
        let (sort, mut text) = match self {
            Self::Product(t) => (1, t.to_lowercase()),
            Self::Vendor(t) => (2, t.to_lowercase()),
            Self::Cwe(t) => (3, t.clone()),
            Self::Kev(t) => (5, t.clone()),
            Self::Name(t) => (6, t.clone()),
            Self::Upstream(t) => (7, t.clone()),
            Self::Package(ecosystem, name) => (PACKAGE, format!("{ecosystem}\u{1f}{name}")),
        };
        if text.contains('\0') {
            text = text.replace('\0', "\u{fffd}");
        }
        text.truncate(text.floor_char_boundary(MAX_TERM));
        (sort, text)
    }
}

/// A line of `vuln_terms` without its record.
type Entry = (i64, String, i64);

/// Marks of a record, for lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags {
    /// The record is rejected, or the advisory withdrawn.
    pub rejected: bool,
    /// A reference is said to be an exploit, or CISA knows of a proof of concept.
    pub exploit: bool,
    /// CISA saw it exploited (SSVC).
    pub active: bool,
}

impl Flags {
    const REJECTED: i64 = 1;
    const EXPLOIT: i64 = 2;
    const ACTIVE: i64 = 4;

    fn bits(self) -> i64 {
        i64::from(self.rejected) * Self::REJECTED
            + i64::from(self.exploit) * Self::EXPLOIT
            + i64::from(self.active) * Self::ACTIVE
    }

    fn of(bits: i64) -> Self {
        Self {
            rejected: bits & Self::REJECTED != 0,
            exploit: bits & Self::EXPLOIT != 0,
            active: bits & Self::ACTIVE != 0,
        }
    }
}

/// What is told of a record beside its bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// What it is.
    pub kind: RecordKind,
    /// When it last changed, by its own word.
    pub changed: Option<Timestamp>,
    /// The date under which lists show it.
    pub published: Option<Timestamp>,
    /// The score that counts, in tenths.
    pub score: Option<u8>,
    /// Its marks.
    pub flags: Flags,
    /// One line.
    pub title: String,
    /// Under what it is found.
    pub terms: Vec<Term>,
}

/// A record, ready to be written: packed, because that is worth doing on many threads.
#[derive(Debug, Clone)]
pub struct Row {
    key: String,
    kind: RecordKind,
    changed: Option<i64>,
    published: i64,
    score: i64,
    flags: i64,
    title: String,
    terms: Vec<Entry>,
    digest: [u8; 16],
    body: Vec<u8>,
}

impl Row {
    /// Packs a record. The same bytes are the same record, whatever the figures say.
    pub fn new(key: &str, bytes: &[u8], figures: Figures) -> Result<Self> {
        if key.len() > MAX_TERM {
            return Err(StoreError::Invalid(format!(
                "a record's key of {} bytes",
                key.len()
            )));
        }
        if figures.terms.len() > MAX_TERMS {
            return Err(StoreError::Invalid(format!(
                "{key} names {} packages and products; more than {MAX_TERMS} are refused",
                figures.terms.len()
            )));
        }
        let published = figures.published.or(figures.changed);
        let published = published.map_or(0, Timestamp::micros);
        let mut terms: BTreeSet<Entry> = figures
            .terms
            .iter()
            .map(|term| {
                let (sort, text) = term.pair();
                // What stays for good must not stand there once for each date.
                let at = if sort == PACKAGE { 0 } else { published };
                (sort, text, at)
            })
            .filter(|(_, text, _)| !text.is_empty())
            .collect();
        if figures.kind == RecordKind::Cve {
            terms.insert((ALL, String::new(), published));
            let level = Level::of(figures.score).as_str().to_owned();
            terms.insert((LEVEL, level, published));
        }
        let terms: Vec<Entry> = terms.into_iter().collect();
        Ok(Self {
            key: key.to_owned(),
            kind: figures.kind,
            changed: figures.changed.map(Timestamp::micros),
            published,
            score: figures.score.map_or(-1, i64::from),
            flags: figures.flags.bits(),
            title: figures
                .title
                .chars()
                .take(MAX_TITLE)
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect(),
            digest: digest(bytes),
            body: body::pack(&terms, bytes)?,
            terms,
        })
    }
}

/// One change.
#[derive(Debug, Clone)]
pub enum Change {
    /// A record, as it is now.
    Put(Box<Row>),
    /// A feed no longer has the record. History stays.
    Gone {
        /// The record's key.
        key: String,
        /// What it was.
        kind: RecordKind,
        /// Since when; none means: since what is held.
        at: Option<Timestamp>,
    },
    /// A day's EPSS score.
    Epss(EpssRow),
}

/// An EPSS score.
#[derive(Debug, Clone, PartialEq)]
pub struct EpssRow {
    /// The CVE.
    pub cve: String,
    /// The day.
    pub day: Timestamp,
    /// Probability of exploitation within 30 days, 0 to 1.
    pub score: f32,
    /// The share of CVEs with a lower or equal score, 0 to 1.
    pub percentile: f32,
}

/// What applying came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// Records that were not there.
    pub inserted: u64,
    /// Records that were replaced.
    pub changed: u64,
    /// Exactly what is held.
    pub unchanged: u64,
    /// Older than what is held: kept as history, or known already.
    pub stale: u64,
}

impl Applied {
    /// All that was offered.
    pub fn offered(&self) -> u64 {
        self.inserted + self.changed + self.unchanged + self.stale
    }
}

impl std::ops::AddAssign for Applied {
    fn add_assign(&mut self, other: Self) {
        self.inserted += other.inserted;
        self.changed += other.changed;
        self.unchanged += other.unchanged;
        self.stale += other.stale;
    }
}

/// A record as it is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its key.
    pub key: String,
    /// What it is.
    pub kind: RecordKind,
    /// When it last changed, by its own word.
    pub changed: Option<Timestamp>,
    /// Its bytes as they were given; none where the feed withdrew it.
    pub bytes: Option<Vec<u8>>,
}

/// One version of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its place in the order of arrival, from 1.
    pub number: u64,
    /// When it changed, by its own word.
    pub changed: Option<Timestamp>,
    /// When it was applied here.
    pub applied: Timestamp,
    /// Its bytes; none where the feed withdrew it.
    pub bytes: Option<Vec<u8>>,
}

/// A record that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Where to go on after it.
    pub seq: i64,
    /// The record.
    pub key: String,
    /// What it is.
    pub kind: RecordKind,
}

/// What is held of a record, for whoever decides what is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRow {
    /// The record.
    pub key: String,
    /// When it last changed, by its own word.
    pub changed: Option<Timestamp>,
    /// [`digest`] of its bytes; none where the feed withdrew it.
    pub digest: Option<[u8; 16]>,
}

/// The handle.
#[derive(Debug, Clone)]
pub struct Vulnerabilities {
    store: Store,
}

impl Store {
    /// Reference data about vulnerabilities, the same for all tenants.
    pub fn vulnerabilities(&self) -> Vulnerabilities {
        Vulnerabilities {
            store: self.clone(),
        }
    }
}

impl Vulnerabilities {
    fn db(&self) -> &crate::db::Db {
        self.store.db()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_those_of_cvss() {
        let of = |score| Level::of(Some(score)).as_str();
        assert_eq!(
            [
                of(0),
                of(1),
                of(39),
                of(40),
                of(69),
                of(70),
                of(89),
                of(90),
                of(100)
            ],
            [
                "none", "low", "low", "medium", "medium", "high", "high", "critical", "critical"
            ]
        );
        assert_eq!(Level::of(None), Level::Unrated);
        for level in Level::ALL {
            assert_eq!(Level::parse(level.as_str()), Some(level));
        }
    }

    #[test]
    fn long_and_hostile_terms_are_cut_and_floods_refused() {
        let (_, text) = Term::Product("É\0".repeat(1000)).pair();
        assert!(text.len() <= MAX_TERM && !text.contains('\0') && text.starts_with('é'));
        let figures = |terms| Figures {
            kind: RecordKind::Advisory,
            changed: None,
            published: None,
            score: None,
            flags: Flags::default(),
            title: "a\nb".into(),
            terms,
        };
        let row = Row::new("k", b"{}", figures(vec![Term::Product(String::new())])).unwrap();
        assert_eq!((row.title.as_str(), row.terms.len()), ("a b", 0));
        let flood = (0..=MAX_TERMS).map(|i| Term::Name(i.to_string())).collect();
        assert!(Row::new("k", b"{}", figures(flood)).is_err());
        assert!(Row::new(&"k".repeat(900), b"{}", figures(vec![])).is_err());
    }
}
