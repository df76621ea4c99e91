//! Verdicts of an audit, gathered into reports that enter by the door of all reports.

use super::judge::Judged;
use bartizan_cluster::audit::Task;
use bartizan_model::report::Report;
use bartizan_model::scan::ContentDigest;
use bartizan_model::{
    AssetUid, Check, CheckResult, CheckUid, Observation, Outcome, Scan, ScanId, Scope, Timestamp,
};
use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

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
    results: BTreeMap<(CheckUid, AssetUid), CheckResult>,
    /// Assets that were reported by this process, as numbers: what no check looks at and what was
    /// never reported needs no result.
    reported: HashSet<u64>,
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
            results: BTreeMap::new(),
            reported: HashSet::new(),
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
        let known = !self.reported.insert(number(&asset));
        let (mut results, outside) = match audited {
            Ok(audited) => (audited.results, audited.outside),
            Err(why) => (self.untold(&task, &asset, &why), Vec::new()),
        };
        if known {
            let why = "no constraint of it looks at this object";
            let outside = outside
                .iter()
                .map(|check| not_applicable(check, &asset, why));
            results.extend(outside);
        }
        if results.is_empty() {
            return;
        }
        self.started.get_or_insert(now);
        if let Some(observation) = observation {
            self.observations.insert(asset.clone(), observation);
        }
        for result in results {
            self.put(result);
        }
    }

    /// Results of an asset are stored, by whoever was here before.
    pub fn was_reported(&mut self, asset: &AssetUid) {
        self.reported.insert(number(asset));
    }

    /// An object is gone, which these checks looked at.
    pub fn gone<'p>(
        &mut self,
        asset: &AssetUid,
        checks: impl Iterator<Item = &'p str>,
        now: Timestamp,
    ) {
        self.reported.remove(&number(asset));
        self.started.get_or_insert(now);
        for check in checks.filter_map(|uid| CheckUid::new(uid).ok()) {
            self.put(not_applicable(&check, asset, "the object is deleted"));
        }
    }

    /// A check does not look at an object any more.
    pub fn withdrawn(&mut self, check: &Check, asset: &AssetUid, why: &str, now: Timestamp) {
        self.started.get_or_insert(now);
        self.used
            .entry(check.uid.clone())
            .or_insert_with(|| check.clone());
        let result = not_applicable(&check.uid, asset, why);
        self.results
            .insert((check.uid.clone(), asset.clone()), result);
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
        if let Some(check) = self.checks.get(&result.check) {
            self.used
                .entry(check.uid.clone())
                .or_insert_with(|| check.clone());
            let key = (result.check.clone(), result.asset.clone());
            self.results.insert(key, result);
        }
    }

    /// Results that wait.
    pub fn len(&self) -> usize {
        self.results.len()
    }

    /// Whether a report should go.
    pub fn is_full(&self) -> bool {
        self.results.len() >= MOST
    }

    /// Whether no more should be judged before a report went.
    pub fn is_over(&self) -> bool {
        self.results.len() >= 3 * MOST
    }

    /// The report of what was gathered; none when it is nothing.
    pub fn report(&mut self, id: String, now: Timestamp) -> Option<Vec<u8>> {
        if self.results.is_empty() {
            return None;
        }
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
            results: std::mem::take(&mut self.results).into_values().collect(),
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

fn number(asset: &AssetUid) -> u64 {
    let mut hasher = DefaultHasher::new();
    asset.hash(&mut hasher);
    hasher.finish()
}

fn not_applicable(check: &CheckUid, asset: &AssetUid, why: &str) -> CheckResult {
    CheckResult::whole(check, asset, Outcome::NotApplicable { why: why.into() })
}
