//! Who judges images for policies: `ClusterImagePolicy` objects, over a registry or a layout.

use super::layout::Layout;
use super::registry::Registry;
use crate::verify::now;
use anyhow::{Context, Result};
use bartizan_model::Outcome;
use bartizan_policy::images::{Images, Pictured, Pointed};
use bartizan_policy::{Budget, Object, comply};
use bartizan_signature::{Judged, Material, Mode, Policies, Rego, Subject, Trust};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Rego by the policy stage's engine.
pub struct Engine;

impl Rego for Engine {
    fn complies(&self, module: &str, input: &Value) -> Result<Option<String>, String> {
        comply::complies(module, input, now(), Budget::default())
    }
}

/// Where signatures come from.
pub enum Source {
    Layout(Layout),
    Registry(Registry),
}

/// How long a verdict counts: a signature may be withdrawn, and a trusted root changes.
const LIFE: Duration = Duration::from_secs(300);
/// Verdicts that are kept.
const MOST: usize = 10_000;

/// Policies of a heap of objects, and where signatures come from.
pub struct Judge {
    policies: Policies,
    places: BTreeMap<String, String>,
    source: Source,
    known: Mutex<HashMap<String, (Instant, Judged)>>,
}

/// A trusted root from a file.
pub fn trust(path: Option<&PathBuf>) -> Result<Option<Arc<Trust>>> {
    let Some(path) = path else {
        return Ok(None);
    };
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let trust = Trust::from_json(&bytes);
    let trust = trust.with_context(|| format!("cannot use {}", path.display()))?;
    Ok(Some(Arc::new(trust)))
}

impl Judge {
    /// The ClusterImagePolicies among the objects, and what to say of them; none where there are
    /// none. An object that is no policy is an error with its place.
    pub fn of(
        objects: &[Object],
        root: Option<Arc<Trust>>,
        source: impl FnOnce() -> Result<Source>,
    ) -> Result<Option<(Self, Vec<String>)>> {
        let wanted = |o: &&Object| Policies::wants(&o.group, &o.kind);
        let ours: Vec<&Object> = objects.iter().filter(wanted).collect();
        let place = |at: usize| match ours.get(at) {
            Some(o) => format!("{}:{}", o.location.file, o.location.line),
            None => String::new(),
        };
        let values: Vec<&Value> = ours.iter().map(|o| &o.value).collect();
        let read = Policies::read(&values, root);
        let (policies, notices) = read.map_err(|n| {
            anyhow::anyhow!("{}: this is no ClusterImagePolicy: {}", place(n.at), n.text)
        })?;
        if policies.is_empty() {
            return Ok(None);
        }
        let said = notices
            .iter()
            .map(|n| format!("{}: {}", place(n.at), n.text));
        let said = said.collect();
        let places = ours
            .iter()
            .enumerate()
            .map(|(at, o)| (o.name.clone(), place(at)));
        let places = places.collect();
        let judge = Self {
            policies,
            places,
            source: source()?,
            known: Mutex::default(),
        };
        Ok(Some((judge, said)))
    }

    /// What all policies say of an image.
    pub fn ask(&self, subject: &Subject<'_>, time: Duration) -> Judged {
        match &self.source {
            Source::Layout(layout) => self.by(subject, layout),
            Source::Registry(registry) => self.by(subject, &registry.within(time)),
        }
    }

    fn by(&self, subject: &Subject<'_>, material: &dyn Material) -> Judged {
        // A tag may move, so only what is asked for by digest is known from before.
        let fixed = subject.image.contains("@sha256:");
        let key = self.policies.fingerprint(subject).filter(|_| fixed);
        let key = key.map(|print| format!("{print} {}", subject.image));
        if let Some(key) = &key {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((since, judged)) = known.get(key)
                && since.elapsed() < LIFE
            {
                return judged.clone();
            }
        }
        let judged = self.policies.judge(subject, material, &Engine);
        let told = |v: &bartizan_signature::Verdict| !matches!(v.outcome, Outcome::Unknown { .. });
        if let Some(key) = key.filter(|_| judged.verdicts.iter().all(told)) {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= MOST {
                known.clear();
            }
            known.insert(key, (Instant::now(), judged.clone()));
        }
        judged
    }
}

impl Images for Judge {
    fn any(&self) -> bool {
        !self.policies.is_empty()
    }

    fn judge(&self, about: &Pictured<'_>, time: Duration) -> Vec<Pointed> {
        let until = Instant::now() + time;
        let mut all = Vec::new();
        for (path, image) in &about.images {
            let subject = Subject {
                image,
                group: about.group,
                version: about.version,
                resource: &about.resource,
                object: about.object,
            };
            let left = until.saturating_duration_since(Instant::now());
            for verdict in self.ask(&subject, left).verdicts {
                let untold = match verdict.outcome {
                    Outcome::Fail => false,
                    Outcome::Unknown { .. } => true,
                    _ => continue,
                };
                all.push(Pointed {
                    policy_at: self
                        .places
                        .get(&verdict.policy)
                        .cloned()
                        .unwrap_or_default(),
                    policy: verdict.policy,
                    path: path.clone(),
                    image: (*image).to_owned(),
                    warns: verdict.mode == Mode::Warn,
                    untold,
                    why: verdict.reasons.join("; "),
                });
            }
        }
        all
    }
}
