//! Changing findings: the one place where states, counters and audit entries move together.
//! What the new state is, `model::life::transition` decides.

use crate::Result;
use crate::audit::NewEntry;
use crate::bulk::Bulk;
use crate::db::{Row, Tx, Val, args};
use bartizan_model::audit::action;
use bartizan_model::life::State;
use bartizan_model::{Acceptance, FindingKey, FindingStatus, Severity, Timestamp};
use std::collections::{BTreeMap, HashMap};

/// The stored number of a state.
pub(crate) fn status_rank(status: FindingStatus) -> i64 {
    match status {
        FindingStatus::Open => 0,
        FindingStatus::Reopened => 1,
        FindingStatus::Accepted => 2,
        FindingStatus::FalsePositive => 3,
        FindingStatus::Fixed => 4,
    }
}

/// The state of a stored number.
pub(crate) fn status_of(rank: i64) -> FindingStatus {
    match rank {
        0 => FindingStatus::Open,
        1 => FindingStatus::Reopened,
        2 => FindingStatus::Accepted,
        3 => FindingStatus::FalsePositive,
        _ => FindingStatus::Fixed,
    }
}

/// The audit word for reaching a state.
pub(crate) fn action_of(status: FindingStatus) -> &'static str {
    match status {
        FindingStatus::Open => action::FINDING_OPENED,
        FindingStatus::Reopened => action::FINDING_REOPENED,
        FindingStatus::Accepted => action::FINDING_ACCEPTED,
        FindingStatus::FalsePositive => action::FINDING_FALSE_POSITIVE,
        FindingStatus::Fixed => action::FINDING_FIXED,
    }
}

/// A key as stored: the version's digit and 20 bytes, half the size of its text.
pub(crate) fn pack_key(key: &FindingKey) -> Option<Vec<u8>> {
    let (version, rest) = key.as_str().strip_prefix('f')?.split_once('-')?;
    let version: u8 = version.parse().ok()?;
    let hash = hex::decode(rest).ok().filter(|h| h.len() == 20)?;
    let mut out = Vec::with_capacity(21);
    out.push(version);
    out.extend(hash);
    Some(out)
}

/// The text of a stored key.
pub(crate) fn key_text(packed: &[u8]) -> String {
    match packed.split_first() {
        Some((version, hash)) => format!("f{version}-{}", hex::encode(hash)),
        None => String::new(),
    }
}

/// A stored finding, as far as changes need it.
pub(crate) struct Held {
    pub(crate) id: i64,
    pub(crate) key: Vec<u8>,
    pub(crate) scope: i64,
    pub(crate) chk: i64,
    pub(crate) asset_uid: String,
    pub(crate) locus: String,
    pub(crate) severity: i64,
    pub(crate) message: String,
    pub(crate) state: State,
}

const HELD: &str = "f.id, f.key, f.scope, f.chk, f.asset_uid, f.locus, f.severity, f.message, \
                    f.status, f.owner, f.reason, f.expires";

fn held_of(row: &Row) -> Result<Held> {
    let owner = row.opt_text(9)?;
    let acceptance = match owner {
        Some(owner) => Some(Acceptance {
            owner,
            reason: row.opt_text(10)?.unwrap_or_default(),
            expires: row.opt_time(11)?,
        }),
        None => None,
    };
    Ok(Held {
        id: row.int(0)?,
        key: row.blob(1)?,
        scope: row.int(2)?,
        chk: row.int(3)?,
        asset_uid: row.text(4)?,
        locus: row.text(5)?,
        severity: row.int(6)?,
        message: row.text(7)?,
        state: State {
            status: status_of(row.int(8)?),
            acceptance,
        },
    })
}

/// Reads the findings of these keys.
pub(crate) async fn load(
    tx: &mut Tx,
    t: i64,
    keys: impl IntoIterator<Item = &Vec<u8>>,
) -> Result<HashMap<Vec<u8>, Held>> {
    let mut bulk = Bulk::new("ib");
    for key in keys {
        bulk.push(vec![t.into(), key.clone().into()]);
    }
    let rows = bulk
        .run(
            tx,
            "WITH v(tenant, key) AS (",
            &format!(
                ") SELECT {HELD} FROM v JOIN findings f ON f.tenant = v.tenant AND f.key = v.key"
            ),
        )
        .await?;
    let mut out = HashMap::with_capacity(rows.len());
    for row in &rows {
        let held = held_of(row)?;
        out.insert(held.key.clone(), held);
    }
    Ok(out)
}

/// Reads accepted findings whose acceptance ended.
pub(crate) async fn load_expired(
    tx: &mut Tx,
    t: i64,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Held>> {
    tx.all(
        &format!(
            "SELECT {HELD} FROM findings f WHERE f.tenant = $1 AND f.expires <= $2 \
             AND f.expires IS NOT NULL ORDER BY f.expires, f.id LIMIT {limit}"
        ),
        args![t, now],
    )
    .await?
    .iter()
    .map(held_of)
    .collect()
}

/// The classes of a tally, in the order of its columns.
pub(crate) const CLASSES: usize = 6;

/// Which class a result with this stored outcome counts in, given its finding's state.
pub(crate) fn class(outcome: i64, status: Option<FindingStatus>) -> usize {
    match (outcome, status) {
        (0, _) => 0,
        (1, Some(FindingStatus::Accepted)) => 2,
        (1, Some(FindingStatus::FalsePositive)) => 3,
        (1, _) => 1,
        (2, _) => 4,
        _ => 5,
    }
}

/// Changes of counters, applied once a transaction, in key order.
#[derive(Default)]
pub(crate) struct Deltas {
    tallies: BTreeMap<(i64, i64), [i64; CLASSES]>,
    counts: BTreeMap<(i64, i64, i64, i64), i64>,
}

impl Deltas {
    /// A result changed its class; `None` where there was or is none.
    pub(crate) fn tally(&mut self, scope: i64, chk: i64, from: Option<usize>, to: Option<usize>) {
        if from == to {
            return;
        }
        let line = self.tallies.entry((scope, chk)).or_default();
        for (class, by) in [(from, -1), (to, 1)] {
            if let Some(n) = class.and_then(|c| line.get_mut(c)) {
                *n += by;
            }
        }
    }

    /// A finding changed state or severity, each as stored.
    pub(crate) fn count(
        &mut self,
        scope: i64,
        chk: i64,
        from: Option<(i64, i64)>,
        to: Option<(i64, i64)>,
    ) {
        if from == to {
            return;
        }
        for (at, by) in [(from, -1), (to, 1)] {
            if let Some((status, severity)) = at {
                *self
                    .counts
                    .entry((scope, chk, status, severity))
                    .or_default() += by;
            }
        }
    }

    /// Writes the changes.
    pub(crate) async fn apply(self, tx: &mut Tx, t: i64) -> Result<()> {
        let mut bulk = Bulk::new("iiiiiiiii");
        for ((scope, chk), line) in self.tallies {
            if line.iter().all(|n| *n == 0) {
                continue;
            }
            let mut row: Vec<Val> = args![t, scope, chk];
            row.extend(line.into_iter().map(Val::from));
            bulk.push(row);
        }
        bulk.run(
            tx,
            "INSERT INTO tallies (tenant, scope, chk, pass, fail, accepted, false_positive, \
             not_applicable, unknown)",
            "ON CONFLICT (tenant, scope, chk) DO UPDATE SET pass = tallies.pass + excluded.pass, \
             fail = tallies.fail + excluded.fail, \
             accepted = tallies.accepted + excluded.accepted, \
             false_positive = tallies.false_positive + excluded.false_positive, \
             not_applicable = tallies.not_applicable + excluded.not_applicable, \
             unknown = tallies.unknown + excluded.unknown",
        )
        .await?;
        let mut bulk = Bulk::new("iiiiii");
        for ((scope, chk, status, severity), n) in self.counts {
            if n != 0 {
                bulk.push(args![t, scope, chk, status, severity, n]);
            }
        }
        bulk.run(
            tx,
            "INSERT INTO finding_counts (tenant, scope, chk, status, severity, n)",
            "ON CONFLICT (tenant, scope, chk, status, severity) \
             DO UPDATE SET n = finding_counts.n + excluded.n",
        )
        .await?;
        Ok(())
    }
}

/// New states of stored findings.
pub(crate) struct States {
    bulk: Bulk,
}

impl States {
    pub(crate) fn new() -> Self {
        Self {
            bulk: Bulk::new("iiittiii"),
        }
    }

    /// `seen` is the moment and scan of the last failure, for a finding that gets fixed.
    pub(crate) fn push(
        &mut self,
        id: i64,
        state: &State,
        changed: Timestamp,
        seen: Option<(i64, i64)>,
    ) {
        let acceptance = state.acceptance.as_ref();
        self.bulk.push(vec![
            id.into(),
            status_rank(state.status).into(),
            changed.into(),
            acceptance.map(|a| a.owner.clone()).into(),
            acceptance.map(|a| a.reason.clone()).into(),
            acceptance.and_then(|a| a.expires).into(),
            seen.map(|s| s.0).into(),
            seen.map(|s| s.1).into(),
        ]);
    }

    pub(crate) async fn apply(self, tx: &mut Tx) -> Result<()> {
        self.bulk
            .run(
                tx,
                "WITH v(id, status, changed, owner, reason, expires, seen, seen_scan) AS (",
                ") UPDATE findings SET status = v.status, changed = v.changed, owner = v.owner, \
                 reason = v.reason, expires = v.expires, seen = v.seen, seen_scan = v.seen_scan \
                 FROM v WHERE findings.id = v.id",
            )
            .await?;
        Ok(())
    }
}

/// What every audit entry about a finding says.
pub(crate) struct Told<'a> {
    pub(crate) scope: &'a str,
    pub(crate) check: &'a str,
    pub(crate) title: &'a str,
    pub(crate) asset: &'a str,
    pub(crate) locus: &'a str,
    pub(crate) severity: i64,
    pub(crate) from: Option<FindingStatus>,
    pub(crate) state: &'a State,
    /// The scan that shows it, for imports.
    pub(crate) scan: Option<&'a str>,
    /// What the actor said, for people's actions.
    pub(crate) reason: Option<&'a str>,
}

impl Told<'_> {
    /// The entry of a transition.
    pub(crate) fn entry(
        &self,
        id: Vec<u8>,
        key: &[u8],
        at: Timestamp,
        actor: &str,
        salt: [u8; 32],
    ) -> Result<NewEntry> {
        let mut detail = serde_json::json!({
            "scope": self.scope, "check": self.check, "title": self.title, "asset": self.asset,
            "severity": Severity::from_rank(self.severity).word(),
        });
        if let Some(map) = detail.as_object_mut() {
            let mut add = |name: &str, value: serde_json::Value| {
                map.insert(name.to_owned(), value);
            };
            if !self.locus.is_empty() {
                add("locus", self.locus.into());
            }
            if let Some(from) = self.from {
                add("from", from.word().into());
            }
            if let Some(scan) = self.scan {
                add("scan", scan.into());
            }
            if let Some(reason) = self.reason {
                add("reason", reason.into());
            }
            if let Some(acceptance) = &self.state.acceptance {
                add("acceptance", serde_json::to_value(acceptance)?);
            }
        }
        Ok(NewEntry {
            id,
            at,
            salt,
            actor: actor.to_owned(),
            action: action_of(self.state.status),
            subject: key_text(key),
            detail: serde_json::to_string(&detail)?,
        })
    }
}

/// The words of findings, for search.
pub(crate) struct Words {
    bulk: Bulk,
    replaced: Vec<i64>,
}

impl Words {
    pub(crate) fn new() -> Self {
        Self {
            bulk: Bulk::new("it"),
            replaced: Vec::new(),
        }
    }

    /// Adds a finding's words; `again` when it has some already.
    pub(crate) fn push(&mut self, id: i64, text: &str, again: bool) {
        let words = super::search::tokens(text).join(" ");
        self.bulk.push(args![id, words]);
        if again {
            self.replaced.push(id);
        }
    }

    pub(crate) async fn apply(self, tx: &mut Tx) -> Result<()> {
        if self.bulk.is_empty() {
            return Ok(());
        }
        if tx.is_lite() {
            for id in self.replaced {
                tx.exec("DELETE FROM finding_words WHERE rowid = $1", args![id])
                    .await?;
            }
            self.bulk
                .run(tx, "INSERT INTO finding_words (rowid, words)", "")
                .await?;
        } else {
            self.bulk
                .run(
                    tx,
                    "INSERT INTO finding_words (id, words) \
                     SELECT id, array_to_tsvector(string_to_array(words, ' ')) FROM (",
                    ") v(id, words) ON CONFLICT (id) DO UPDATE SET words = excluded.words",
                )
                .await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_model::{AssetUid, CheckUid, TenantId};

    #[test]
    fn keys_round_trip() {
        let key = FindingKey::of(
            &TenantId::default_tenant(),
            &CheckUid::new("a/b/c").unwrap(),
            &AssetUid::new("x").unwrap(),
            "",
        );
        let packed = pack_key(&key).unwrap();
        assert_eq!((packed.len(), key_text(&packed)), (21, key.to_string()));
        for bad in ["f1", "g1-00", "f1-zz", "f300-00", "f1-00"] {
            assert_eq!(pack_key(&FindingKey::new(bad).unwrap()), None, "{bad}");
        }
    }
}
