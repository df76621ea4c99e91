//! Verdicts of an audit, gathered into reports that enter by the door of all reports.

use super::judge::Judged;
use super::passing::Passing;
use bartizan_cluster::audit::Task;
use bartizan_model::report::Report;
use bartizan_model::scan::ContentDigest;
use bartizan_model::{
    AssetUid, Check, CheckResult, CheckUid, Observation, Outcome, Scan, ScanId, Scope, Timestamp,
};
use std::collections::BTreeMap;

/// Results in one report; more wait for the next.
const MOST: usize = 20_000;

/// What is gathered.
pub struct Gathered {
    scope: Scope,
    started: Option<Timestamp>,
    checks: BTreeMap<CheckUid, Check>,
    used: BTreeMap<CheckUid, Check>,
    content: Vec<ContentDigest>,
    observations: BTreeMap<AssetUid, Observation>,
    /// In the order of judging: of two about the same, the later counts.
    results: Vec<CheckResult>,
    /// What passes and was never anything else needs no result: it is counted.
    pub passing: Passing,
}

impl Gathered {
    /// Nothing.
    pub fn new(scope: Scope) -> Self {
        Self {
            scope,
            started: None,
            checks: BTreeMap::new(),
            used: BTreeMap::new(),
            content: Vec::new(),
            observations: BTreeMap::new(),
            results: Vec::new(),
            passing: Passing::default(),
        }
    }

    /// From now on it is judged by these.
    pub fn policies(&mut self, checks: Vec<Check>, content: &[ContentDigest]) {
        self.checks = checks.into_iter().map(|c| (c.uid.clone(), c)).collect();
        self.content = content.to_vec();
    }

    /// Takes what was found of one object.
    pub fn judged(&mut self, judged: Judged, now: Timestamp) {
        let Judged {
            task,
            asset,
            observation,
            audited,
        } = judged;
        let (results, outside) = match audited {
            Ok(audited) => (audited.results, audited.outside),
            Err(why) => (self.untold(&task, &asset, &why), Vec::new()),
        };
        for check in outside {
            if self.passing.clear(&check, &asset) {
                let why = "no constraint of it looks at this object";
                self.put(not_applicable(&check, &asset, why));
            }
        }
        if results.is_empty() {
            return;
        }
        self.started.get_or_insert(now);
        if let Some(observation) = observation {
            self.observations.insert(asset.clone(), observation);
        }
        for result in results {
            if result.outcome == Outcome::Pass && self.passing.pass(&result.check, &asset) {
                self.use_check(&result.check);
                continue;
            }
            self.passing.clear(&result.check, &asset);
            self.passing.has_row(&result.check, asset.as_str());
            self.put(result);
        }
    }

    /// An object is gone, which these checks looked at.
    pub fn gone<'p>(
        &mut self,
        asset: &AssetUid,
        checks: impl Iterator<Item = &'p str>,
        now: Timestamp,
    ) {
        self.started.get_or_insert(now);
        for check in checks.filter_map(|uid| CheckUid::new(uid).ok()) {
            if self.passing.clear(&check, asset) {
                self.put(not_applicable(&check, asset, "the object is deleted"));
            }
        }
    }

    /// A check does not look at an object any more.
    pub fn withdrawn(&mut self, check: &Check, asset: &AssetUid, why: &str, now: Timestamp) {
        if !self.passing.clear(&check.uid, asset) {
            return;
        }
        self.started.get_or_insert(now);
        self.used
            .entry(check.uid.clone())
            .or_insert_with(|| check.clone());
        self.results.push(not_applicable(&check.uid, asset, why));
    }

    fn untold(&self, task: &Task, asset: &AssetUid, why: &str) -> Vec<CheckResult> {
        let checks = task
            .policies
            .iter()
            .filter_map(|p| CheckUid::new(p.as_str()).ok());
        let why = format!("the object cannot be read: {why}");
        checks
            .map(|check| CheckResult::whole(&check, asset, Outcome::Unknown { why: why.clone() }))
            .collect()
    }

    fn put(&mut self, result: CheckResult) {
        if self.use_check(&result.check) {
            self.results.push(result);
        }
    }

    /// The report tells of this check; whether there is one.
    fn use_check(&mut self, uid: &CheckUid) -> bool {
        let Some(check) = self.checks.get(uid) else {
            return false;
        };
        if !self.used.contains_key(uid) {
            self.used.insert(uid.clone(), check.clone());
        }
        true
    }

    /// Results and observations that wait.
    pub fn len(&self) -> usize {
        self.results.len() + self.observations.len()
    }

    /// Whether a report should go.
    pub fn is_full(&self) -> bool {
        self.len() >= MOST
    }

    /// Whether no more should be judged before a report went.
    pub fn is_over(&self) -> bool {
        self.len() >= 3 * MOST
    }

    /// The report of what was gathered; none when it is nothing.
    pub fn report(&mut self, id: String, now: Timestamp) -> Option<Vec<u8>> {
        if self.len() == 0 {
            return None;
        }
        let mut results = std::mem::take(&mut self.results);
        // From the last on, of which the first of the same is kept.
        results.reverse();
        results.sort_by(|a, b| (&a.check, &a.asset).cmp(&(&b.check, &b.asset)));
        results.dedup_by(|later, kept| (&later.check, &later.asset) == (&kept.check, &kept.asset));
        let report = Report {
            scan: Scan {
                id: ScanId::new(id).ok()?,
                source: "bartizan/audit".into(),
                source_version: env!("CARGO_PKG_VERSION").into(),
                scope: self.scope.clone(),
                complete: false,
                started: self.started.take().unwrap_or(now).min(now),
                finished: now,
                content: self.content.clone(),
            },
            checks: std::mem::take(&mut self.used).into_values().collect(),
            observations: std::mem::take(&mut self.observations)
                .into_values()
                .collect(),
            results,
        };
        match bartizan_formats::report::write_report(Vec::new(), &report) {
            Ok((bytes, _)) => Some(bytes),
            Err(error) => {
                tracing::error!(%error, "a report of the audit could not be written");
                None
            }
        }
    }
}

fn not_applicable(check: &CheckUid, asset: &AssetUid, why: &str) -> CheckResult {
    CheckResult::whole(check, asset, Outcome::NotApplicable { why: why.into() })
}
