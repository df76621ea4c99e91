//! What people and the clock do to findings.

use super::change::{Deltas, Held, States, Told, class, load, load_expired, pack_key, status_rank};
use super::{ActionOutcome, ActionRefusal, FindingAction};
use crate::audit::{self, act_entry_id};
use crate::bulk::Bulk;
use crate::db::{Tx, args};
use crate::{Result, Salts, StoreError, TenantStore, fault};
use bartizan_model::life::{Input, State, transition};
use bartizan_model::{FindingKey, Timestamp};
use std::collections::{HashMap, HashSet};

/// Keys that one action takes at most.
const MOST: usize = 1_000;

/// A state change with what its audit entry needs.
struct Move<'a> {
    held: &'a Held,
    after: State,
    at: Timestamp,
    actor: &'a str,
    reason: Option<&'a str>,
}

impl TenantStore {
    /// Applies a person's action to up to 1,000 findings, each change with its audit entry,
    /// all in one transaction.
    pub async fn act_on_findings(
        &self,
        keys: &[FindingKey],
        action: &FindingAction,
        actor: &str,
        now: Timestamp,
        salts: Salts<'_>,
    ) -> Result<ActionOutcome> {
        if keys.len() > MOST {
            return Err(StoreError::Invalid(format!(
                "{} findings at once are too many; send at most {MOST}",
                keys.len()
            )));
        }
        let (input, reason) = match action {
            FindingAction::Accept(acceptance) => (Input::Accept(acceptance.clone()), None),
            FindingAction::FalsePositive { reason } => {
                (Input::FalsePositive, Some(reason.as_str()))
            }
            FindingAction::Reopen { reason } => (Input::Reopen, Some(reason.as_str())),
        };
        let mut out = ActionOutcome::default();
        let mut seen = HashSet::new();
        let mut wanted: Vec<(&FindingKey, Vec<u8>)> = Vec::new();
        for key in keys {
            match pack_key(key) {
                Some(packed) if seen.insert(packed.clone()) => wanted.push((key, packed)),
                Some(_) => {}
                None => out.refused.push((key.clone(), ActionRefusal::Unknown)),
            }
        }
        let mut tx = self.begin().await?;
        let held = load(&mut tx, self.t, wanted.iter().map(|(_, p)| p)).await?;
        let mut moves = Vec::new();
        for (key, packed) in &wanted {
            let Some(f) = held.get(packed) else {
                out.refused.push(((*key).clone(), ActionRefusal::Unknown));
                continue;
            };
            match transition(Some(&f.state), &input, now) {
                Ok(Some(after)) if after != f.state => moves.push(Move {
                    held: f,
                    after,
                    at: now,
                    actor,
                    reason,
                }),
                Ok(_) => {}
                Err(refusal) => out.refused.push(((*key).clone(), refusal.into())),
            }
        }
        out.changed = moves.len() as u64;
        self.apply_moves(&mut tx, &moves, salts).await?;
        fault::point("audit.append.before_commit");
        tx.commit().await?;
        fault::point("audit.append.after_commit");
        Ok(out)
    }

    /// Reopens findings whose acceptance ended by `now`; says how many. Call it now and then.
    pub async fn expire_acceptances(&self, now: Timestamp, salts: Salts<'_>) -> Result<u64> {
        let mut reopened = 0;
        loop {
            let mut tx = self.begin().await?;
            let expired = load_expired(&mut tx, self.t, now, 1_000).await?;
            let mut moves = Vec::new();
            for f in &expired {
                let ended = f.state.acceptance.as_ref().and_then(|a| a.expires);
                let after = transition(Some(&f.state), &Input::Tick, now)
                    .map_err(|e| StoreError::Corrupt(e.to_string()))?;
                if let (Some(after), Some(ended)) = (after.filter(|a| *a != f.state), ended) {
                    moves.push(Move {
                        held: f,
                        after,
                        at: ended,
                        actor: "system",
                        reason: Some("the acceptance ended"),
                    });
                }
            }
            reopened += moves.len() as u64;
            let more = !moves.is_empty() && expired.len() == 1_000;
            self.apply_moves(&mut tx, &moves, salts).await?;
            tx.commit().await?;
            if !more {
                return Ok(reopened);
            }
        }
    }

    async fn apply_moves(&self, tx: &mut Tx, moves: &[Move<'_>], salts: Salts<'_>) -> Result<()> {
        if moves.is_empty() {
            return Ok(());
        }
        let outcomes = self.outcomes(tx, moves).await?;
        let (scopes, checks) = self.told_names(tx).await?;
        let mut deltas = Deltas::default();
        let mut states = States::new();
        let mut entries = Vec::new();
        for m in moves {
            let f = m.held;
            states.push(f.id, &m.after, m.at, None);
            deltas.count(
                f.scope,
                f.chk,
                Some((status_rank(f.state.status), f.severity)),
                Some((status_rank(m.after.status), f.severity)),
            );
            if let Some(outcome) = outcomes.get(&f.id) {
                deltas.tally(
                    f.scope,
                    f.chk,
                    Some(class(*outcome, Some(f.state.status))),
                    Some(class(*outcome, Some(m.after.status))),
                );
            }
            let (check, title) = checks
                .get(&f.chk)
                .map_or(("", ""), |(uid, title)| (uid.as_str(), title.as_str()));
            let told = Told {
                scope: scopes.get(&f.scope).map_or("", String::as_str),
                check,
                title,
                asset: &f.asset_uid,
                locus: &f.locus,
                severity: f.severity,
                from: Some(f.state.status),
                state: &m.after,
                scan: None,
                reason: m.reason,
            };
            let salt = salts();
            let key = super::change::key_text(&f.key);
            let action = super::change::action_of(m.after.status);
            let id = act_entry_id(&self.id, &salt, action, &key);
            entries.push(told.entry(id, &f.key, m.at, m.actor, salt)?);
        }
        states.apply(tx).await?;
        deltas.apply(tx, self.t).await?;
        audit::append(tx, self.t, entries).await
    }

    /// The current outcome on each finding's subject, by finding.
    async fn outcomes(&self, tx: &mut Tx, moves: &[Move<'_>]) -> Result<HashMap<i64, i64>> {
        let mut bulk = Bulk::new("i");
        for m in moves {
            bulk.push(args![m.held.id]);
        }
        bulk.run(
            tx,
            "WITH v(id) AS (",
            ") SELECT f.id, r.outcome FROM v JOIN findings f ON f.id = v.id \
             JOIN results r ON r.tenant = f.tenant AND r.scope = f.scope AND r.chk = f.chk \
             AND r.asset = f.asset AND r.locus = f.locus",
        )
        .await?
        .iter()
        .map(|row| Ok((row.int(0)?, row.int(1)?)))
        .collect()
    }

    #[allow(clippy::type_complexity)]
    async fn told_names(
        &self,
        tx: &mut Tx,
    ) -> Result<(HashMap<i64, String>, HashMap<i64, (String, String)>)> {
        let scopes = tx
            .all(
                "SELECT id, uid FROM scopes WHERE tenant = $1",
                args![self.t],
            )
            .await?
            .iter()
            .map(|row| Ok((row.int(0)?, row.text(1)?)))
            .collect::<Result<_>>()?;
        let checks = tx
            .all(
                "SELECT id, uid, title FROM checks WHERE tenant = $1",
                args![self.t],
            )
            .await?
            .iter()
            .map(|row| Ok((row.int(0)?, (row.text(1)?, row.text(2)?))))
            .collect::<Result<_>>()?;
        Ok((scopes, checks))
    }
}
