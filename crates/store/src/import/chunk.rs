//! One chunk: facts, results, findings, counters, audit entries, cursor and fence together.

use super::{Buffer, Import, Subject, badness, outcome_rank};
use crate::audit::{self, NewEntry, import_entry_id};
use crate::bulk::Bulk;
use crate::db::{Tx, Val, args};
use crate::findings::change::{
    Deltas, Held, States, Told, Words, action_of, class, key_text, load, status_rank,
};
use crate::{Result, Salts, StoreError, fault};
use bartizan_model::life::{Input, State, transition};
use bartizan_model::{Check, CheckResult, FindingStatus, Outcome, Timestamp};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;

/// A stored result, as far as a newer one is compared with it.
pub(super) struct Stored {
    pub(super) hash: i64,
    pub(super) outcome: i64,
    pub(super) scan: i64,
}

/// What a chunk changes, gathered and then written table by table.
pub(super) struct Work {
    pub(super) deltas: Deltas,
    pub(super) states: States,
    pub(super) entries: Vec<NewEntry>,
    results: Bulk,
    findings: Bulk,
    texts: Bulk,
    words: Words,
}

impl Work {
    pub(super) fn new() -> Self {
        Self {
            deltas: Deltas::default(),
            states: States::new(),
            entries: Vec::new(),
            results: Bulk::new("iiiitbiiiittttiitt"),
            findings: Bulk::new("iibiiitiitiitiittii"),
            texts: Bulk::new("iit"),
            words: Words::new(),
        }
    }
}

impl Import {
    /// Commits the buffered lines.
    pub(super) async fn commit_chunk(&mut self, now: Timestamp, salts: Salts<'_>) -> Result<()> {
        let mut tx = self.store.begin().await?;
        self.fence(&mut tx).await?;
        self.write_chunk(&mut tx, salts).await?;
        self.write_cursor(&mut tx).await?;
        let _ = now;
        fault::point("import.chunk.before_commit");
        tx.commit().await?;
        fault::point("import.chunk.after_commit");
        Ok(())
    }

    /// Notes the progress, if the job is still ours. The row stays locked until the commit,
    /// so the lease cannot be taken in between.
    async fn fence(&self, tx: &mut Tx) -> Result<()> {
        let done = tx
            .exec(
                "UPDATE jobs SET done = $4 \
                 WHERE tenant = $1 AND uid = $2 AND token = $3 AND state = 1",
                args![
                    self.store.t,
                    self.lease.job.as_str(),
                    self.lease.token,
                    self.lines.max(self.resumed)
                ],
            )
            .await?;
        if done == 1 {
            Ok(())
        } else {
            Err(StoreError::Fenced("the job"))
        }
    }

    async fn write_cursor(&self, tx: &mut Tx) -> Result<()> {
        tx.exec(
            "UPDATE import_cursors SET lines = $3, summary = $4 WHERE tenant = $1 AND job = $2",
            args![
                self.store.t,
                self.lease.job.as_str(),
                self.lines,
                serde_json::to_string(&self.summary)?
            ],
        )
        .await?;
        Ok(())
    }

    /// Writes what the buffered lines change.
    pub(super) async fn write_chunk(&mut self, tx: &mut Tx, salts: Salts<'_>) -> Result<()> {
        self.resolve_checks(tx).await?;
        self.resolve_assets(tx).await?;
        let Buffer { facts, results, .. } = std::mem::take(&mut self.buffer);
        super::facts::write(self, tx, facts).await?;
        self.write_results(tx, results, salts).await
    }

    async fn write_results(
        &mut self,
        tx: &mut Tx,
        subjects: Vec<Subject>,
        salts: Salts<'_>,
    ) -> Result<()> {
        let stored = self.stored_results(tx, &subjects).await?;
        let mut changed = Vec::new();
        for subject in subjects {
            let (_, check) = self.caches.check(&subject.result.check)?;
            let severity = subject.result.severity.unwrap_or(check.severity).rank();
            let hash = self.hash(&subject.result, severity)?;
            let old = stored.get(&subject.key);
            let same = old.is_some_and(|o| o.hash == hash);
            // A second verdict of the same report counts only if it is worse.
            let milder = subject.again
                && old.is_some_and(|o| {
                    badness(&Outcome::from_word(word_of(o.outcome), None))
                        >= badness(&subject.result.outcome)
                });
            if !same && !milder {
                changed.push((subject, severity, hash));
            }
        }
        if changed.is_empty() {
            return Ok(());
        }
        // On a fresh scope there are none but those of this very report.
        let held = if self.fresh && !changed.iter().any(|(s, _, _)| s.again) {
            HashMap::new()
        } else {
            load(tx, self.store.t, changed.iter().map(|(s, _, _)| &s.key)).await?
        };
        let ends = self.scan_ends(tx, &held, &stored).await?;
        let fresh_findings = changed
            .iter()
            .filter(|(s, _, _)| {
                matches!(s.result.outcome, Outcome::Fail) && !held.contains_key(&s.key)
            })
            .count();
        let mut next = if fresh_findings > 0 {
            let n = tx.take(self.store.t, "finding", fresh_findings).await?;
            (self.store.t << 32) + n
        } else {
            0
        };
        let mut work = Work::new();
        for (subject, severity, hash) in &changed {
            let old = stored.get(&subject.key);
            let finding = held.get(&subject.key);
            let input = Input::Seen {
                outcome: &subject.result.outcome,
                suppression: subject.result.suppression.as_ref(),
            };
            let before = finding.map(|f| &f.state);
            let after = transition(before, &input, self.at)
                .map_err(|e| StoreError::Corrupt(e.to_string()))?;
            let seen = old.map(|o| self.last_seen(o.scan, &ends));
            self.move_finding(
                &mut work, subject, *severity, finding, &after, seen, &mut next, salts,
            )?;
            let (chk, _) = self.caches.check(&subject.result.check)?;
            work.deltas.tally(
                self.scope,
                *chk,
                old.map(|o| class(o.outcome, before.map(|s| s.status))),
                Some(class(
                    outcome_rank(&subject.result.outcome),
                    after.as_ref().map(|s| s.status),
                )),
            );
            work.results.push(self.result_row(subject, *hash)?);
        }
        self.write_work(tx, work).await
    }

    /// Gathers what a verdict changes of its finding.
    #[allow(clippy::too_many_arguments)]
    fn move_finding(
        &mut self,
        work: &mut Work,
        subject: &Subject,
        severity: i64,
        finding: Option<&Held>,
        after: &Option<State>,
        seen: Option<(i64, i64)>,
        next: &mut i64,
        salts: Salts<'_>,
    ) -> Result<()> {
        let Some(after) = after else {
            return Ok(());
        };
        let r = &subject.result;
        let fails = matches!(r.outcome, Outcome::Fail);
        let (chk, check) = self.caches.check(&r.check)?;
        let (chk, title) = (*chk, check.title.clone());
        match finding {
            None => {
                let asset = self.caches.asset(&r.asset)?;
                let id = *next;
                *next += 1;
                let acceptance = after.acceptance.as_ref();
                work.findings.push(vec![
                    id.into(),
                    self.store.t.into(),
                    subject.key.clone().into(),
                    self.scope.into(),
                    chk.into(),
                    asset.id.into(),
                    r.asset.as_str().into(),
                    asset.ns.into(),
                    asset.kind.into(),
                    r.locus.as_str().into(),
                    status_rank(after.status).into(),
                    severity.into(),
                    r.message.as_str().into(),
                    self.at.into(),
                    self.at.into(),
                    acceptance.map(|a| a.owner.clone()).into(),
                    acceptance.map(|a| a.reason.clone()).into(),
                    acceptance.and_then(|a| a.expires).into(),
                    Val::Int(None),
                ]);
                work.words.push(id, &words(check, r), false);
                work.deltas.count(
                    self.scope,
                    chk,
                    None,
                    Some((status_rank(after.status), severity)),
                );
            }
            Some(f) => {
                let severity_now = if fails { severity } else { f.severity };
                work.deltas.count(
                    self.scope,
                    chk,
                    Some((status_rank(f.state.status), f.severity)),
                    Some((status_rank(after.status), severity_now)),
                );
                if fails && (f.message != r.message || f.severity != severity) {
                    work.texts.push(args![f.id, severity, r.message.as_str()]);
                    if f.message != r.message {
                        work.words.push(f.id, &words(check, r), true);
                    }
                }
                if f.state == *after {
                    return Ok(());
                }
                let fixed = after.status == FindingStatus::Fixed;
                work.states
                    .push(f.id, after, self.at, if fixed { seen } else { None });
            }
        }
        self.note(after.status);
        let told = Told {
            scope: &self.scope_uid,
            check: r.check.as_str(),
            title: &title,
            asset: r.asset.as_str(),
            locus: &r.locus,
            severity,
            from: finding.map(|f| f.state.status),
            state: after,
            scan: Some(&self.scan_uid),
            reason: None,
        };
        let entry = self.entry(&told, &subject.key, salts)?;
        work.entries.push(entry);
        Ok(())
    }

    /// Counts a transition.
    pub(super) fn note(&mut self, status: FindingStatus) {
        let n = match status {
            FindingStatus::Open => &mut self.summary.opened,
            FindingStatus::Reopened => &mut self.summary.reopened,
            FindingStatus::Fixed => &mut self.summary.fixed,
            FindingStatus::Accepted => &mut self.summary.accepted,
            FindingStatus::FalsePositive => return,
        };
        *n += 1;
    }

    pub(super) fn entry(&self, told: &Told<'_>, key: &[u8], salts: Salts<'_>) -> Result<NewEntry> {
        // A subject that a report judges twice may move twice: the former state tells apart.
        let from = told.from.map_or("", FindingStatus::word);
        let id = import_entry_id(
            &self.store.id,
            &self.scan_uid,
            &key_text(key),
            &format!("{}<{from}", action_of(told.state.status)),
        );
        told.entry(id, key, self.at, "system", salts())
    }

    pub(super) async fn write_work(&mut self, tx: &mut Tx, work: Work) -> Result<()> {
        work.results
            .run(
                tx,
                "INSERT INTO results (tenant, scope, chk, asset, locus, key, hash, source, scan, \
                 outcome, why, message, evidence, file, line, col, said_by, said_why)",
                "ON CONFLICT (tenant, scope, chk, asset, locus) DO UPDATE SET \
                 hash = excluded.hash, source = excluded.source, scan = excluded.scan, \
                 outcome = excluded.outcome, why = excluded.why, message = excluded.message, \
                 evidence = excluded.evidence, file = excluded.file, line = excluded.line, \
                 col = excluded.col, said_by = excluded.said_by, said_why = excluded.said_why",
            )
            .await?;
        work.findings
            .run(
                tx,
                "INSERT INTO findings (id, tenant, key, scope, chk, asset, asset_uid, ns, kind, \
                 locus, status, severity, message, first_seen, changed, owner, reason, expires, \
                 seen)",
                "",
            )
            .await?;
        work.texts
            .run(
                tx,
                "WITH v(id, severity, message) AS (",
                ") UPDATE findings SET severity = v.severity, message = v.message FROM v \
                 WHERE findings.id = v.id",
            )
            .await?;
        work.states.apply(tx).await?;
        work.words.apply(tx).await?;
        work.deltas.apply(tx, self.store.t).await?;
        audit::append(tx, self.store.t, work.entries).await
    }

    /// What is stored of the subjects of this chunk, by key.
    async fn stored_results(
        &self,
        tx: &mut Tx,
        subjects: &[Subject],
    ) -> Result<HashMap<Vec<u8>, Stored>> {
        let mut out = HashMap::new();
        let again = subjects.iter().any(|s| s.again);
        if self.fresh && !again {
            return Ok(out);
        }
        let mut bulk = Bulk::new("iiiit");
        for s in subjects {
            let (chk, _) = self.caches.check(&s.result.check)?;
            let asset = self.caches.asset(&s.result.asset)?;
            bulk.push(args![
                self.store.t,
                self.scope,
                *chk,
                asset.id,
                s.result.locus.as_str()
            ]);
        }
        let rows = bulk
            .run(
                tx,
                "WITH v(tenant, scope, chk, asset, locus) AS (",
                ") SELECT r.key, r.hash, r.outcome, r.scan FROM v JOIN results r \
                 ON r.tenant = v.tenant AND r.scope = v.scope AND r.chk = v.chk \
                 AND r.asset = v.asset AND r.locus = v.locus",
            )
            .await?;
        for row in &rows {
            out.insert(
                row.blob(0)?,
                Stored {
                    hash: row.int(1)?,
                    outcome: row.int(2)?,
                    scan: row.int(3)?,
                },
            );
        }
        Ok(out)
    }

    /// When the scans ended that last wrote the results of these findings.
    async fn scan_ends(
        &self,
        tx: &mut Tx,
        held: &HashMap<Vec<u8>, Held>,
        stored: &HashMap<Vec<u8>, Stored>,
    ) -> Result<HashMap<i64, i64>> {
        let wanted = held.keys().filter_map(|k| stored.get(k)).map(|s| s.scan);
        self.ends_of(tx, wanted).await
    }

    pub(super) async fn ends_of(
        &self,
        tx: &mut Tx,
        scans: impl Iterator<Item = i64>,
    ) -> Result<HashMap<i64, i64>> {
        let scans: std::collections::BTreeSet<i64> = scans.collect();
        let mut bulk = Bulk::new("ii");
        for scan in scans {
            bulk.push(args![self.store.t, scan]);
        }
        bulk.run(
            tx,
            "WITH v(tenant, id) AS (",
            ") SELECT s.id, s.finished FROM v JOIN scans s \
             ON s.tenant = v.tenant AND s.id = v.id",
        )
        .await?
        .iter()
        .map(|row| Ok((row.int(0)?, row.int(1)?)))
        .collect()
    }

    /// The end and number of the newest scan that still showed what `scan` wrote.
    pub(super) fn last_seen(&self, scan: i64, ends: &HashMap<i64, i64>) -> (i64, i64) {
        match self.confirmed {
            Some((complete, finished)) if complete >= scan => (finished, complete),
            _ => (ends.get(&scan).copied().unwrap_or(self.at.micros()), scan),
        }
    }

    /// A number that differs when anything of a result but its scan does.
    fn hash(&self, r: &CheckResult, severity: i64) -> Result<i64> {
        let mut hash = Sha256::new();
        let text = serde_json::to_vec(&(
            &r.outcome,
            &r.message,
            severity,
            &r.evidence,
            &r.location,
            &r.suppression,
            &self.plan.scan.source,
        ))?;
        hash.update(&text);
        let digest = hash.finalize();
        let mut out = [0; 8];
        for (to, from) in out.iter_mut().zip(digest.iter()) {
            *to = *from;
        }
        Ok(i64::from_be_bytes(out))
    }

    fn result_row(&self, subject: &Subject, hash: i64) -> Result<Vec<Val>> {
        let r = &subject.result;
        let (chk, _) = self.caches.check(&r.check)?;
        let asset = self.caches.asset(&r.asset)?;
        let evidence = if r.evidence.is_empty() {
            None
        } else {
            Some(serde_json::to_string(&r.evidence)?)
        };
        let location = r.location.as_ref();
        Ok(vec![
            self.store.t.into(),
            self.scope.into(),
            (*chk).into(),
            asset.id.into(),
            r.locus.as_str().into(),
            subject.key.clone().into(),
            hash.into(),
            self.source.into(),
            self.scan.into(),
            outcome_rank(&r.outcome).into(),
            r.outcome.why().into(),
            r.message.as_str().into(),
            evidence.into(),
            location.map(|l| l.file.clone()).into(),
            location.map(|l| i64::from(l.line)).into(),
            location.and_then(|l| l.column).map(i64::from).into(),
            r.suppression.as_ref().map(|s| s.by.clone()).into(),
            r.suppression.as_ref().map(|s| s.reason.clone()).into(),
        ])
    }
}

fn words(check: &Check, r: &CheckResult) -> String {
    format!(
        "{} {} {} {} {}",
        check.title, check.uid, r.asset, r.locus, r.message
    )
}

/// The word of a stored outcome.
pub(crate) fn word_of(rank: i64) -> &'static str {
    match rank {
        0 => "pass",
        1 => "fail",
        2 => "not_applicable",
        _ => "unknown",
    }
}
