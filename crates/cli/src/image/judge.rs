//! Who judges images for policies: `ClusterImagePolicy` objects, over a registry or a layout.

use super::layout::Layout;
use super::registry::Registry;
use crate::verify::now;
use bartizan_model::{Digest, Outcome};
use bartizan_policy::images::{Images, Pictured, Pointed};
use bartizan_policy::{Budget, Failure, Object, comply};
use bartizan_signature::{Absent, Judged, Material, Mode, Policies, Reference, Rego};
use bartizan_signature::{Subject, Trust};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Rego by the policy stage's engine, until all must be over.
struct Engine {
    until: Instant,
}

impl Rego for Engine {
    fn complies(&self, module: &str, input: &Value) -> Result<Option<String>, String> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err("there is no time left".into());
        }
        let mut budget = Budget::default();
        budget.time = budget.time.min(left);
        comply::complies(module, input, now(), budget)
    }
}

/// Where signatures come from.
pub enum Source {
    Layout(Layout),
    Registry(Arc<Registry>),
    /// Nowhere; whatever needs one cannot be told.
    Nowhere,
}

/// No material at all.
struct Nothing;

impl Nothing {
    fn told<T>() -> Result<T, Absent> {
        let why = "no place to look for signatures was given: --registries or --layout";
        Err(Absent::Failed(why.into()))
    }
}

impl Material for Nothing {
    fn resolve(&self, _: &Reference) -> Result<Digest, Absent> {
        Self::told()
    }

    fn manifest(&self, _: &Reference) -> Result<Vec<u8>, Absent> {
        Self::told()
    }

    fn referrers(&self, _: &Reference) -> Result<Vec<u8>, Absent> {
        Self::told()
    }

    fn blob(&self, _: &Reference, _: &Digest, _: usize) -> Result<Vec<u8>, Absent> {
        Self::told()
    }
}

/// How long a good verdict counts: a signature may be withdrawn.
const LIFE: Duration = Duration::from_secs(300);
/// How long a bad one counts: who was refused signs the image and tries again.
const SHORT_LIFE: Duration = Duration::from_secs(5);
/// Verdicts that are kept.
const MOST: usize = 10_000;

/// Policies of a heap of objects, and where signatures come from.
pub struct Judge {
    policies: Policies,
    places: BTreeMap<String, String>,
    /// What else new policies are read with.
    root: Option<Arc<Trust>>,
    roots: Vec<Value>,
    source: Source,
    failure: Failure,
    known: Mutex<HashMap<String, (Instant, Judged)>>,
}

/// An object that is no policy: nothing is judged then, since what is missing would look like a
/// pass.
#[derive(Debug)]
pub struct Broken {
    pub file: String,
    pub line: u32,
    pub why: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, why } = self;
        write!(f, "{file}:{line}: this is no ClusterImagePolicy: {why}")
    }
}

impl std::error::Error for Broken {}

impl Judge {
    /// The ClusterImagePolicies among the objects, and what to say of them.
    pub fn of<'o>(
        objects: impl IntoIterator<Item = &'o Object>,
        root: Option<Arc<Trust>>,
        source: Source,
        failure: Failure,
    ) -> Result<(Self, Vec<String>), Broken> {
        let wanted = |o: &&Object| Policies::wants(&o.group, &o.kind);
        let ours: Vec<&Object> = objects.into_iter().filter(wanted).collect();
        let place = |at: usize| {
            let found = ours.get(at).map(|o| &o.location);
            let file = found.map(|l| l.file.clone()).unwrap_or_default();
            (file, found.map_or(1, |l| l.line))
        };
        let values: Vec<&Value> = ours.iter().map(|o| &o.value).collect();
        let (policies, notices) = Policies::read(&values, root.clone()).map_err(|notice| {
            let (file, line) = place(notice.at);
            let why = notice.text;
            Broken { file, line, why }
        })?;
        let said = notices.iter().map(|notice| {
            let (file, line) = place(notice.at);
            format!("{file}:{line}: {}", notice.text)
        });
        let said = said.collect();
        let names = ours.iter().filter(|o| o.kind == "ClusterImagePolicy");
        let places = names.map(|o| {
            let at = format!("{}:{}", o.location.file, o.location.line);
            (o.name.clone(), at)
        });
        let places = places.collect();
        let roots = ours.iter().filter(|o| o.kind == "TrustRoot");
        let roots = roots.map(|o| o.value.clone()).collect();
        let judge = Self {
            policies,
            places,
            root,
            roots,
            source,
            failure,
            known: Mutex::default(),
        };
        Ok((judge, said))
    }

    /// Whether there is no policy at all.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// What all policies say of an image.
    pub fn ask(&self, subject: &Subject<'_>, time: Duration) -> Judged {
        let until = Instant::now() + time;
        match &self.source {
            Source::Layout(layout) => self.by(subject, layout, until),
            Source::Registry(registry) => self.by(subject, &registry.until(until), until),
            Source::Nowhere => self.by(subject, &Nothing, until),
        }
    }

    fn by(&self, subject: &Subject<'_>, material: &dyn Material, until: Instant) -> Judged {
        // A tag may move, so only what is asked for by digest is known from before.
        let fixed = subject.image.contains("@sha256:");
        let key = self.policies.fingerprint(subject).filter(|_| fixed);
        let key = key.map(|print| format!("{print} {}", subject.image));
        if let Some(key) = &key {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((since, judged)) = known.get(key)
                && since.elapsed() < life(judged)
            {
                return judged.clone();
            }
        }
        let judged = self.policies.judge(subject, material, &Engine { until });
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

fn life(judged: &Judged) -> Duration {
    let mut verdicts = judged.verdicts.iter();
    match verdicts.all(|v| matches!(v.outcome, Outcome::Pass)) {
        true => LIFE,
        false => SHORT_LIFE,
    }
}

fn subject<'s>(about: &'s Pictured<'_>, image: &'s str) -> Subject<'s> {
    Subject {
        image,
        group: about.group,
        version: about.version,
        resource: &about.resource,
        object: about.object,
    }
}

impl Images for Judge {
    fn any(&self) -> bool {
        !self.is_empty()
    }

    fn vet(&self, object: &Value) -> Result<Vec<String>, String> {
        let values: Vec<&Value> = self.roots.iter().chain([object]).collect();
        let (_, notices) = Policies::read(&values, self.root.clone()).map_err(|n| n.text)?;
        let own = notices.into_iter().filter(|n| n.at == self.roots.len());
        let own: Vec<String> = own.map(|n| n.text).collect();
        let root = object.get("kind").and_then(Value::as_str) == Some("TrustRoot");
        match own.first().filter(|_| root) {
            Some(why) => Err(why.clone()),
            None => Ok(own),
        }
    }

    fn look_at(&self, about: &Pictured<'_>) -> bool {
        let mut images = about.images.iter();
        images.any(|(_, image)| self.policies.look_at(&subject(about, image)))
    }

    fn failure(&self) -> Failure {
        self.failure
    }

    fn judge(&self, about: &Pictured<'_>, time: Duration) -> Vec<Pointed> {
        let until = Instant::now() + time;
        let mut all = Vec::new();
        for (path, image) in &about.images {
            let left = until.saturating_duration_since(Instant::now());
            for verdict in self.ask(&subject(about, image), left).verdicts {
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
