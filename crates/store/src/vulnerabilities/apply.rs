//! Writing: a batch of changes in one transaction, decided against what is held.
//!
//! The same change twice is one change. Of two versions of a record the one that states the later
//! moment is current, whichever came first; of two that state the same moment, or none, the one
//! that came later. The other is history.

use super::{Applied, Change, Entry, EpssRow, PACKAGE, Row, VERSION_BITS, Vulnerabilities};
use super::{RecordKind, body};
use crate::bulk::Bulk;
use crate::db::{Tx, args};
use crate::{Result, StoreError};
use bartizan_model::Timestamp;
use std::collections::{BTreeSet, HashMap, HashSet};

/// A number that no other program on the same PostgreSQL is likely to lock: "bartizvu".
const LOCK: i64 = 0x6261_7274_697a_7675;
/// The most versions of a record.
const MAX_VERSIONS: i64 = (1 << VERSION_BITS) - 1;
/// What an EPSS score counts by, in hundred-thousandths: a thousandth, as priorities tell it.
const MOVED: i64 = 100;
/// Marks a withdrawn record; the first bit of `flags`.
const REJECTED: i64 = super::Flags::REJECTED;

/// What is held of a record.
struct Held {
    id: i64,
    changed: Option<i64>,
    current: i64,
    last: i64,
    digest: Vec<u8>,
}

/// One version to be decided on: a record or its withdrawal.
enum Offer {
    Put(Box<Row>),
    Gone(String, RecordKind, Option<i64>),
}

impl Offer {
    fn key(&self) -> &str {
        match self {
            Self::Put(row) => &row.key,
            Self::Gone(key, ..) => key,
        }
    }

    fn digest(&self) -> &[u8] {
        match self {
            Self::Put(row) => &row.digest,
            Self::Gone(..) => &[],
        }
    }
}

/// What one round of distinct keys writes.
struct Work {
    fresh: Bulk,
    versions: Bulk,
    terms: Bulk,
    /// Records whose current version changes, by all columns.
    changed: Bulk,
    /// Records that only got an older version.
    older: Bulk,
    /// Withdrawn records.
    gone: Bulk,
    /// Numbers of versions whose terms go, with the terms that stay.
    replaced: Vec<(i64, i64, Vec<Entry>)>,
    applied: Applied,
    next_id: i64,
    next_seq: i64,
}

impl Vulnerabilities {
    /// Applies changes, all or none, in their order.
    pub async fn apply(&self, changes: Vec<Change>, at: Timestamp) -> Result<Applied> {
        let mut applied = Applied::default();
        if changes.is_empty() {
            return Ok(applied);
        }
        let mut tx = self.db().begin().await?;
        if !tx.is_lite() {
            // Until the commit: so places in the order of changes become visible in that order.
            tx.all(
                "SELECT 1::bigint FROM (SELECT pg_advisory_xact_lock($1)) l",
                args![LOCK],
            )
            .await?;
        }
        let before = one(&mut tx, "SELECT COALESCE(MAX(id), 0) FROM vuln_records").await?;
        let mut scores = Vec::new();
        let mut left = Vec::with_capacity(changes.len());
        for change in changes {
            match change {
                Change::Put(row) => left.push(Offer::Put(row)),
                Change::Gone { key, kind, at } => {
                    left.push(Offer::Gone(key, kind, at.map(Timestamp::micros)));
                }
                Change::Epss(score) => scores.push(score),
            }
        }
        // A key that comes several times is decided on several times, in its order.
        while !left.is_empty() {
            let mut seen: HashSet<String> = HashSet::with_capacity(left.len());
            let (now, later): (Vec<Offer>, Vec<Offer>) = left
                .into_iter()
                .partition(|offer| seen.insert(offer.key().to_owned()));
            applied += round(&mut tx, now, at).await?;
            left = later;
        }
        let after = one(&mut tx, "SELECT COALESCE(MAX(id), 0) FROM vuln_records").await?;
        applied += apply_scores(&mut tx, scores).await?;
        let outgrown = !tx.is_lite() && order(before) != order(after);
        tx.commit().await?;
        if outgrown {
            // PostgreSQL plans by what it last counted; until its own turn comes, a list of a
            // table that it believes empty takes seconds.
            self.db().raw("ANALYZE vuln_records, vuln_terms").await?;
        }
        Ok(applied)
    }
}

/// How large a table is, roughly: it changes at 1,000 rows, and whenever they are fourfold.
fn order(rows: i64) -> Option<u32> {
    u64::try_from(rows / 1_000).ok()?.checked_ilog(4)
}

async fn one(tx: &mut Tx, sql: &str) -> Result<i64> {
    tx.opt(sql, vec![]).await?.map_or(Ok(0), |row| row.int(0))
}

async fn round(tx: &mut Tx, offers: Vec<Offer>, at: Timestamp) -> Result<Applied> {
    let held = held(tx, &offers).await?;
    let mut work = Work {
        fresh: Bulk::new("itiiiiitiiib"),
        versions: Bulk::new("iiibb"),
        terms: Bulk::new("itii"),
        changed: Bulk::new("iiiiitiiib"),
        older: Bulk::new("ii"),
        gone: Bulk::new("iiiiib"),
        replaced: Vec::new(),
        applied: Applied::default(),
        next_id: one(tx, "SELECT COALESCE(MAX(id), 0) + 1 FROM vuln_records").await?,
        next_seq: one(tx, "SELECT COALESCE(MAX(seq), 0) + 1 FROM vuln_records").await?,
    };
    // Versions that lost: they may be known already.
    let mut lost: Vec<(Offer, i64, i64)> = Vec::new();
    for offer in offers {
        match held.get(offer.key()) {
            None => work.add(offer, at),
            Some(held) if held.digest == offer.digest() => work.applied.unchanged += 1,
            Some(held) if held.last >= MAX_VERSIONS => {
                return Err(StoreError::Invalid(format!(
                    "{} has {} versions; no more are kept",
                    offer.key(),
                    held.last
                )));
            }
            Some(held) => {
                if wins(&offer, held) {
                    work.replace(offer, held, at);
                } else {
                    work.applied.stale += 1;
                    lost.push((offer, held.id, held.last));
                }
            }
        }
    }
    for (offer, id, last) in lost {
        let known = tx
            .opt(
                "SELECT 1 FROM vuln_versions WHERE id > $1 AND id <= $2 AND digest = $3",
                args![version(id, 0), version(id, last), offer.digest()],
            )
            .await?;
        if known.is_none() {
            work.version(&offer, version(id, last + 1), at);
            work.older.push(args![id, last + 1]);
        }
    }
    let applied = work.applied;
    work.write(tx).await?;
    Ok(applied)
}

/// Whether an offer is to be current. A withdrawal without a date is of what is held.
fn wins(offer: &Offer, held: &Held) -> bool {
    match offer {
        Offer::Put(row) => row.changed >= held.changed,
        Offer::Gone(_, _, None) => true,
        Offer::Gone(_, _, at) => *at >= held.changed,
    }
}

fn version(record: i64, number: i64) -> i64 {
    (record << VERSION_BITS) + number
}

async fn held(tx: &mut Tx, offers: &[Offer]) -> Result<HashMap<String, Held>> {
    let mut keys = Bulk::new("t");
    for offer in offers {
        keys.push(args![offer.key()]);
    }
    let mut out = HashMap::new();
    for row in keys
        .run(
            tx,
            "SELECT key, id, changed, current, last, digest FROM vuln_records WHERE key IN (",
            ")",
        )
        .await?
    {
        let held = Held {
            id: row.int(1)?,
            changed: row.opt_int(2)?,
            current: row.int(3)?,
            last: row.int(4)?,
            digest: row.blob(5)?,
        };
        out.insert(row.text(0)?, held);
    }
    Ok(out)
}

impl Work {
    fn seq(&mut self) -> i64 {
        self.next_seq += 1;
        self.next_seq - 1
    }

    fn version(&mut self, offer: &Offer, id: i64, at: Timestamp) {
        let (changed, body) = match offer {
            Offer::Put(row) => (row.changed, row.body.clone()),
            Offer::Gone(_, _, at) => (*at, Vec::new()),
        };
        self.versions
            .push(args![id, changed, at, offer.digest(), body]);
    }

    fn add(&mut self, offer: Offer, at: Timestamp) {
        let id = self.next_id;
        self.next_id += 1;
        let seq = self.seq();
        self.applied.inserted += 1;
        match offer {
            Offer::Put(row) => {
                let row = *row;
                for (sort, term, date) in row.terms {
                    self.terms.push(args![sort, term, date, id]);
                }
                self.versions.push(args![
                    version(id, 1),
                    row.changed,
                    at,
                    &row.digest[..],
                    row.body
                ]);
                self.fresh.push(args![
                    id,
                    row.key,
                    row.kind as i64,
                    row.changed,
                    row.published,
                    row.score,
                    row.flags,
                    row.title,
                    seq,
                    1,
                    1,
                    &row.digest[..]
                ]);
            }
            // Held as withdrawn, so that an older version that comes later does not bring it back.
            Offer::Gone(key, kind, changed) => {
                self.versions.push(args![
                    version(id, 1),
                    changed,
                    at,
                    Vec::<u8>::new(),
                    Vec::<u8>::new()
                ]);
                self.fresh.push(args![
                    id,
                    key,
                    kind as i64,
                    changed,
                    changed.unwrap_or(0),
                    -1,
                    REJECTED,
                    "",
                    seq,
                    1,
                    1,
                    Vec::<u8>::new()
                ]);
            }
        }
    }

    fn replace(&mut self, offer: Offer, held: &Held, at: Timestamp) {
        let seq = self.seq();
        let number = held.last + 1;
        self.applied.changed += 1;
        match offer {
            Offer::Put(row) => {
                let row = *row;
                self.versions.push(args![
                    version(held.id, number),
                    row.changed,
                    at,
                    &row.digest[..],
                    row.body
                ]);
                self.changed.push(args![
                    held.id,
                    row.changed,
                    row.published,
                    row.score,
                    row.flags,
                    row.title,
                    seq,
                    number,
                    number,
                    &row.digest[..]
                ]);
                self.replaced.push((held.id, held.current, row.terms));
            }
            Offer::Gone(_, _, since) => {
                let changed = since.or(held.changed);
                self.versions.push(args![
                    version(held.id, number),
                    changed,
                    at,
                    Vec::<u8>::new(),
                    Vec::<u8>::new()
                ]);
                self.gone.push(args![
                    held.id,
                    changed,
                    seq,
                    number,
                    number,
                    Vec::<u8>::new()
                ]);
                self.replaced.push((held.id, held.current, Vec::new()));
            }
        }
    }

    async fn write(mut self, tx: &mut Tx) -> Result<()> {
        self.terms_of_replaced(tx).await?;
        self.fresh
            .load(
                tx,
                "vuln_records (id, key, kind, changed, published, score, flags, title, seq, \
                 current, last, digest)",
            )
            .await?;
        self.versions
            .load(tx, "vuln_versions (id, changed, applied, digest, body)")
            .await?;
        self.terms
            .load(tx, "vuln_terms (sort, term, at, record)")
            .await?;
        self.changed
            .run(
                tx,
                "WITH v(id, changed, published, score, flags, title, seq, current, last, digest) \
                 AS (",
                ") UPDATE vuln_records SET changed = v.changed, published = v.published, \
                 score = v.score, flags = v.flags, title = v.title, seq = v.seq, \
                 current = v.current, last = v.last, digest = v.digest FROM v \
                 WHERE vuln_records.id = v.id",
            )
            .await?;
        self.gone
            .run(
                tx,
                "WITH v(id, changed, seq, current, last, digest) AS (",
                ") UPDATE vuln_records SET changed = v.changed, seq = v.seq, \
                 current = v.current, last = v.last, digest = v.digest, \
                 flags = vuln_records.flags | 1 FROM v WHERE vuln_records.id = v.id",
            )
            .await?;
        self.older
            .run(
                tx,
                "WITH v(id, last) AS (",
                ") UPDATE vuln_records SET last = v.last FROM v WHERE vuln_records.id = v.id",
            )
            .await?;
        Ok(())
    }

    /// Takes away terms that no longer hold, and adds those that are new.
    async fn terms_of_replaced(&mut self, tx: &mut Tx) -> Result<()> {
        let mut ids = Bulk::new("i");
        for (id, current, _) in &self.replaced {
            ids.push(args![version(*id, *current)]);
        }
        let mut before: HashMap<i64, Vec<Entry>> = HashMap::new();
        for row in ids
            .run(tx, "SELECT id, body FROM vuln_versions WHERE id IN (", ")")
            .await?
        {
            if let Some((terms, _)) = body::unpack(&row.blob(1)?)? {
                before.insert(row.int(0)? >> VERSION_BITS, terms);
            }
        }
        let mut away = Bulk::new("itii");
        let mut packages = Bulk::new("itii");
        for (id, _, now) in std::mem::take(&mut self.replaced) {
            let before: BTreeSet<Entry> = before.remove(&id).into_iter().flatten().collect();
            let now: BTreeSet<Entry> = now.into_iter().collect();
            for (sort, term, at) in before.difference(&now) {
                // Packages stay, see `Term::Package`; what a list is made of goes.
                if *sort != PACKAGE {
                    away.push(args![*sort, term.as_str(), *at, id]);
                }
            }
            for (sort, term, at) in now.difference(&before) {
                let line = args![*sort, term.as_str(), *at, id];
                // An earlier version may have left it.
                if *sort == PACKAGE {
                    packages.push(line);
                } else {
                    self.terms.push(line);
                }
            }
        }
        away.run(
            tx,
            "DELETE FROM vuln_terms WHERE (sort, term, at, record) IN (",
            ")",
        )
        .await?;
        packages
            .run(
                tx,
                "INSERT INTO vuln_terms (sort, term, at, record)",
                "ON CONFLICT (sort, term, at, record) DO NOTHING",
            )
            .await?;
        Ok(())
    }
}

/// Scores of a day; an earlier day never replaces a later one.
async fn apply_scores(tx: &mut Tx, scores: Vec<EpssRow>) -> Result<Applied> {
    let offered = scores.len() as u64;
    let mut latest: HashMap<String, EpssRow> = HashMap::with_capacity(scores.len());
    for score in scores {
        match latest.get(&score.cve) {
            Some(held) if held.day > score.day => {}
            _ => {
                latest.insert(score.cve.clone(), score);
            }
        }
    }
    let mut known = Bulk::new("t");
    for cve in latest.keys() {
        known.push(args![cve.as_str()]);
    }
    // Of each CVE: the day, the score and its place in the order of changes.
    let mut held: HashMap<String, (i64, i64, i64)> = HashMap::new();
    for row in known
        .run(
            tx,
            "SELECT cve, day, score, seq FROM vuln_epss WHERE cve IN (",
            ")",
        )
        .await?
    {
        held.insert(row.text(0)?, (row.int(1)?, row.int(2)?, row.int(3)?));
    }
    let mut next = one(tx, "SELECT COALESCE(MAX(seq), 0) + 1 FROM vuln_epss").await?;
    let mut applied = Applied::default();
    let mut bulk = Bulk::new("tiiii");
    let share = |value: f32| (f64::from(value.clamp(0.0, 1.0)) * 100_000.0).round() as i64;
    for (cve, score) in latest {
        let day = score.day.micros();
        let now = share(score.score);
        let seq = match held.get(&cve) {
            Some((held, ..)) if *held > day => {
                applied.stale += 1;
                continue;
            }
            Some((held, ..)) if *held == day => {
                applied.unchanged += 1;
                continue;
            }
            Some((_, before, seq)) => {
                applied.changed += 1;
                // Nearly all scores move a little every day.
                (now / MOVED == before / MOVED).then_some(*seq)
            }
            None => {
                applied.inserted += 1;
                None
            }
        };
        let seq = seq.unwrap_or(next);
        next = next.max(seq + 1);
        bulk.push(args![cve, day, now, share(score.percentile), seq]);
    }
    applied.stale += offered - applied.offered();
    bulk.run(
        tx,
        "INSERT INTO vuln_epss (cve, day, score, percentile, seq)",
        "ON CONFLICT (cve) DO UPDATE SET day = excluded.day, score = excluded.score, \
         percentile = excluded.percentile, seq = excluded.seq",
    )
    .await?;
    Ok(applied)
}
