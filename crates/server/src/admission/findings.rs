//! Violations at admission as findings: gathered into small reports that enter by the door of
//! all reports.
//!
//! A violation is a failure of its check on the object that was asked for, dry runs too. What
//! failed here before is reported again when the same object is judged without the violation:
//! as a pass, or as not applicable when the object is deleted. What is remembered for that is
//! bounded; a finding that is forgotten stays open until a scan or a person closes it, it is
//! never closed for want of memory.

use super::record::Item;
use bartizan_model::report::Report;
use bartizan_model::{
    Asset, AssetUid, Check, CheckResult, CheckUid, Digest, Evidence, Observation, Outcome as Told,
    Scan, ScanId, Scope, Suppression, Timestamp,
};
use bartizan_policy::review::Operation;
use bartizan_policy::{Outcome, redact};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Objects whose failures are remembered.
const REMEMBERED: usize = 50_000;
/// Objects in one report; with more it is handed in at once.
const MOST: usize = 20_000;
/// Bytes of objects in one report, as their canonical text; the same.
const MOST_BYTES: usize = 16 << 20;

/// What is gathered, and what is remembered.
pub(super) struct Gathered {
    scope: Scope,
    started: Option<Timestamp>,
    checks: BTreeMap<CheckUid, Check>,
    observations: BTreeMap<AssetUid, Observation>,
    results: BTreeMap<(CheckUid, AssetUid), CheckResult>,
    failed: BTreeMap<AssetUid, BTreeMap<CheckUid, Check>>,
    bytes: usize,
}

impl Gathered {
    pub(super) fn new(scope: Scope) -> Self {
        Self {
            scope,
            started: None,
            checks: BTreeMap::new(),
            observations: BTreeMap::new(),
            results: BTreeMap::new(),
            failed: BTreeMap::new(),
            bytes: 0,
        }
    }

    /// Whether it should be handed in before more is taken.
    pub(super) fn is_full(&self) -> bool {
        self.observations.len() >= MOST || self.bytes >= MOST_BYTES
    }

    /// Takes what a decision says of its object.
    pub(super) fn add(&mut self, item: &Item) {
        let (review, verdict) = (&item.review, &item.verdict);
        let nothing = verdict.explains.is_empty() && self.failed.is_empty();
        if review.dry_run || nothing {
            return;
        }
        let metadata = review.subject().get("metadata");
        let text = |field: &str| metadata.and_then(|m| m.get(field)).and_then(Value::as_str);
        let name = match review.name.as_str() {
            "" => text("name").or(text("generateName")).unwrap_or("unnamed"),
            name => name,
        };
        let (group, kind) = (review.kind.group.as_str(), review.kind.kind.as_str());
        let Ok(scope) = self.scope.id() else {
            return;
        };
        let Ok(asset) = AssetUid::kubernetes(&scope, group, kind, &review.namespace, name) else {
            return;
        };
        let mut said: BTreeMap<CheckUid, CheckResult> = BTreeMap::new();
        let mut failing = BTreeMap::new();
        for one in &verdict.explains {
            let suppression = one.exception.as_ref().map(|e| Suppression {
                by: format!("exception {}", e.name),
                reason: format!("{}: {}", e.owner, e.reason),
            });
            let check = Check {
                uid: one.policy.clone(),
                title: one.kind.clone(),
                description: String::new(),
                severity: one.severity,
                remediation: one.remediation.clone(),
                references: Vec::new(),
            };
            failing.insert(one.policy.clone(), check.clone());
            self.checks.entry(one.policy.clone()).or_insert(check);
            let result = said.entry(one.policy.clone()).or_insert_with(|| {
                let mut result = CheckResult::whole(&one.policy, &asset, Told::Fail);
                result.severity = Some(one.severity);
                result.suppression.clone_from(&suppression);
                result
            });
            // One violation without an exception makes the whole a failure.
            if suppression.is_none() {
                result.suppression = None;
            }
            let message: String = format!("[{}] {}", one.constraint, one.message);
            if result.message.len() < 2_000 {
                if !result.message.is_empty() {
                    result.message.push_str("; ");
                }
                result.message.extend(message.chars().take(500));
            }
            result.evidence.push(Evidence {
                path: one
                    .path
                    .clone()
                    .unwrap_or_else(|| one.constraint_at.clone()),
                actual: one.actual.clone(),
                expected: one.expected.clone(),
            });
        }
        // What could not be told closes nothing.
        let unsure: BTreeSet<_> = verdict.untold.iter().map(|u| u.policy.clone()).collect();
        let asked = verdict.outcome != Outcome::Excluded && verdict.invalid.is_none();
        let judged = asked && !unsure.contains(&None);
        if let Some(before) = self.failed.get(&asset).filter(|_| judged) {
            for (uid, check) in before {
                if said.contains_key(uid) || unsure.contains(&Some(uid.clone())) {
                    continue;
                }
                let outcome = match review.operation {
                    Operation::Delete => Told::NotApplicable {
                        why: "the object is deleted".into(),
                    },
                    _ => Told::Pass,
                };
                self.checks
                    .entry(uid.clone())
                    .or_insert_with(|| check.clone());
                said.insert(uid.clone(), CheckResult::whole(uid, &asset, outcome));
            }
        }
        if said.is_empty() {
            return;
        }
        if judged && unsure.is_empty() {
            self.failed.remove(&asset);
        }
        if !failing.is_empty() && self.failed.len() < REMEMBERED {
            self.failed
                .entry(asset.clone())
                .or_default()
                .extend(failing);
        }
        self.started.get_or_insert(item.at);
        let body = redact::object(review.subject());
        let text = body.to_string();
        self.bytes += text.len();
        let observation = Observation {
            asset: Asset {
                uid: asset.clone(),
                kind: kind.to_owned(),
                name: name.to_owned(),
                namespace: review.namespace.clone(),
            },
            kind: "kubernetes.object".into(),
            digest: Digest::of(text.as_bytes()),
            body,
            location: None,
        };
        self.observations.insert(asset.clone(), observation);
        for (uid, result) in said {
            self.results.insert((uid, asset.clone()), result);
        }
    }

    /// The report of what was gathered; none when it is nothing.
    pub(super) fn report(&mut self, id: String, now: Timestamp) -> Option<Vec<u8>> {
        if self.results.is_empty() {
            return None;
        }
        self.bytes = 0;
        let report = Report {
            scan: Scan {
                id: ScanId::new(id).ok()?,
                source: "bartizan/admission".into(),
                source_version: env!("CARGO_PKG_VERSION").into(),
                scope: self.scope.clone(),
                complete: false,
                started: self.started.take().unwrap_or(now).min(now),
                finished: now,
                content: Vec::new(),
            },
            checks: std::mem::take(&mut self.checks).into_values().collect(),
            observations: std::mem::take(&mut self.observations)
                .into_values()
                .collect(),
            results: std::mem::take(&mut self.results).into_values().collect(),
        };
        match bartizan_formats::report::write_report(Vec::new(), &report) {
            Ok((bytes, _)) => Some(bytes),
            Err(error) => {
                tracing::error!(%error, "a report of admission could not be written");
                None
            }
        }
    }
}
