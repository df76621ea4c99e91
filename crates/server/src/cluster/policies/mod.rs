//! Policies that live in the cluster: templates, constraints and what belongs to them, followed by
//! watch, with the Namespaces and the kinds that policies read as inventory.
//!
//! Who makes a library of them takes a [`Snapshot`]. Until all kinds are listed there is none:
//! half a set of policies would let pass what the other half denies.

use super::crds;
use super::held::Held;
use super::{Feed, Told, What};
use bartizan_cluster::audit::Kind;
use bartizan_cluster::{Change, Cluster, Discovery, Name, Object, Patch, Resource};
use bartizan_policy::{Library, Object as Seen};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// How often it asks what kinds there are; a new kind of constraint is seen at once.
const DISCOVER: Duration = Duration::from_secs(30);
/// How long after a template changed its constraint's kind is looked for, again and again.
const SOON: Duration = Duration::from_millis(500);

/// The kinds of policies, by group; an empty list of kinds is all.
const POLICIES: [(&str, &[&str]); 9] = [
    ("templates.gatekeeper.sh", &["ConstraintTemplate"]),
    ("constraints.gatekeeper.sh", &[]),
    ("config.gatekeeper.sh", &["Config"]),
    ("syncset.gatekeeper.sh", &["SyncSet"]),
    (
        "mutations.gatekeeper.sh",
        &["Assign", "AssignImage", "AssignMetadata", "ModifySet"],
    ),
    ("expansion.gatekeeper.sh", &["ExpansionTemplate"]),
    ("externaldata.gatekeeper.sh", &["Provider"]),
    ("bartizan.dev", &["PolicyException"]),
    ("policy.sigstore.dev", &["ClusterImagePolicy", "TrustRoot"]),
];

/// Gauge: policies of the cluster that cannot be used.
pub const FAULTS: &str = "bartizan_cluster_policies_refused";

/// The policies and the cluster at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Each policy: where it stands, and all of it as JSON.
    pub policies: Vec<(String, Vec<u8>)>,
    /// Namespaces and inventory.
    pub world: Vec<Seen>,
}

/// What is known.
#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<(Kind, Name), (Value, u64)>,
    settled: BTreeSet<Kind>,
    wanted: BTreeSet<Kind>,
    troubles: BTreeMap<Kind, String>,
    held: Held,
    kept: BTreeSet<Kind>,
    discovered: bool,
    policies: u64,
    world: u64,
    faults: BTreeMap<String, String>,
    /// Kinds that the policies read as inventory, once a library was made.
    synced: Option<Library>,
}

/// Policies that are followed.
pub struct Watched {
    cluster: Arc<dyn Cluster>,
    manage_crds: bool,
    state: Mutex<State>,
    /// Counts what followers tell.
    changed: watch::Sender<u64>,
    /// A library was made: other kinds may be read as inventory.
    used: Notify,
}

impl Watched {
    /// Nothing is followed before [`Watched::run`].
    pub fn new(cluster: Arc<dyn Cluster>, manage_crds: bool) -> Self {
        Self {
            cluster,
            manage_crds,
            state: Mutex::default(),
            changed: watch::Sender::new(0),
            used: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Differs when the snapshot does.
    pub fn version(&self) -> u64 {
        let state = self.state();
        let mut hasher = DefaultHasher::new();
        (state.policies, state.world, state.missing().is_none()).hash(&mut hasher);
        hasher.finish()
    }

    /// Everything as it is now; the error says what is not known yet.
    pub fn snapshot(&self) -> Result<Snapshot, String> {
        let state = self.state();
        if let Some(why) = state.missing() {
            return Err(why);
        }
        let policies = state.objects.iter().map(|((kind, name), (value, _))| {
            let file = format!("cluster/{}/{}.json", kind.kind, name.name);
            (file, value.to_string().into_bytes())
        });
        Ok(Snapshot {
            policies: policies.collect(),
            world: state.held.objects().collect(),
        })
    }

    /// The library that was made of the last snapshot, and which of its objects could not be used.
    pub fn used(&self, library: &Library, faults: BTreeMap<String, String>) {
        let mut state = self.state();
        for (file, why) in &faults {
            if state.faults.get(file) != Some(why) {
                tracing::error!(%file, %why, "a policy of the cluster is left out");
            }
        }
        metrics::gauge!(FAULTS).set(faults.len() as f64);
        state.faults = faults;
        state.synced = Some(library.clone());
        self.used.notify_one();
    }

    /// Waits until everything is known for the first time.
    pub async fn ready(&self, shutdown: &CancellationToken) {
        let mut changed = self.changed.subscribe();
        let mut told = Instant::now();
        loop {
            let Some(why) = self.state().missing() else {
                return;
            };
            if told.elapsed() > Duration::from_secs(10) {
                told = Instant::now();
                tracing::warn!(%why, "waiting for the cluster's policies");
            }
            tokio::select! {
                _ = changed.changed() => {}
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Follows until `shutdown`.
    pub async fn run(&self, shutdown: CancellationToken) {
        let (mut feed, mut told) = Feed::new(Arc::clone(&self.cluster));
        let mut discovery = Discovery::default();
        let mut next = Instant::now();
        while !shutdown.is_cancelled() {
            if next <= Instant::now() {
                next = Instant::now() + DISCOVER;
                match self.cluster.discover().await {
                    Ok(found) => {
                        discovery = found;
                        self.state().discovered = true;
                    }
                    Err(error) => {
                        next = Instant::now() + Duration::from_secs(2);
                        tracing::warn!(%error, "the cluster does not say what it serves");
                    }
                }
                self.follow(&mut feed, &discovery);
            }
            tokio::select! {
                told = told.recv() => {
                    let Some(told) = told else { return };
                    if self.told(&feed, told).await {
                        next = next.min(Instant::now() + SOON);
                    }
                }
                () = self.used.notified() => self.follow(&mut feed, &discovery),
                () = tokio::time::sleep_until(next.into()) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Follows what is to be followed by what is known now.
    fn follow(&self, feed: &mut Feed, discovery: &Discovery) {
        let mut state = self.state();
        let mut wanted = BTreeSet::new();
        let mut kept = BTreeSet::new();
        for resource in discovery
            .preferred()
            .filter(|r| r.can("list") && r.can("watch"))
        {
            let kind = Kind::of(resource);
            let is_policy = is_policy(&kind);
            let synced = state.synced.as_ref();
            let synced = synced.is_some_and(|l| l.syncs(&kind.group, &kind.kind));
            if is_policy || synced || kind == Kind::namespace() {
                feed.follow(resource);
                wanted.insert(kind.clone());
            }
            if !is_policy && (synced || kind == Kind::namespace()) {
                kept.insert(kind);
            }
        }
        let gone: Vec<Kind> = feed
            .kinds()
            .filter(|k| !wanted.contains(k))
            .cloned()
            .collect();
        for kind in gone {
            feed.unfollow(&kind);
            state.let_go(&kind);
        }
        if kept != state.kept {
            state.held.only(|kind| kept.contains(kind));
            state.kept = kept;
            state.world += 1;
        }
        state.wanted = wanted;
    }

    /// Takes what a follower tells. True when kinds may have come or gone.
    async fn told(&self, feed: &Feed, Told { kind, what }: Told) -> bool {
        let Some(resource) = feed.resource(&kind).cloned() else {
            return false;
        };
        let is_template = kind.kind == "ConstraintTemplate";
        let mut template = None;
        let again = {
            let mut state = self.state();
            let again = match what {
                What::Ended(error) => {
                    state.troubled(&kind, &error.to_string());
                    state.settled.remove(&kind);
                    matches!(error, bartizan_cluster::Error::NotFound(_))
                }
                What::Change(change) => {
                    if state.kept.contains(&kind) {
                        state.held.change(&resource, &change);
                    }
                    match change {
                        Change::Present(object) if is_policy(&kind) => {
                            let new = state.put(&kind, &object);
                            if is_template && new {
                                template = Some(object);
                            }
                            is_template && new
                        }
                        Change::Gone(name) => {
                            let gone = state.objects.remove(&(kind.clone(), name)).is_some();
                            state.policies += u64::from(gone);
                            is_template && gone
                        }
                        Change::Begin => {
                            state.begin(&kind);
                            false
                        }
                        Change::Complete => {
                            state.complete(&kind);
                            false
                        }
                        Change::Trouble(error) => {
                            state.troubled(&kind, &error.to_string());
                            false
                        }
                        Change::Resumed => {
                            state.troubles.remove(&kind);
                            false
                        }
                        Change::Present(_) => false,
                    }
                }
            };
            state.world += u64::from(state.held.take_dirty());
            again
        };
        self.changed.send_modify(|n| *n = n.wrapping_add(1));
        if let Some(template) = template.filter(|_| self.manage_crds) {
            self.make_kind(&template).await;
        }
        again
    }

    /// A template makes a kind of constraints.
    async fn make_kind(&self, template: &Object) {
        let name = &template.name.name;
        let definitions = Resource::new(
            "apiextensions.k8s.io",
            "v1",
            "CustomResourceDefinition",
            "customresourcedefinitions",
            false,
        );
        let mut said = Vec::new();
        let mut created = false;
        // A schema that the server refuses must not keep constraints from being written.
        for strict in [true, false] {
            let definition = match crds::of_template(&template.value, strict) {
                Ok(definition) => definition,
                Err(why) => {
                    said.push(why);
                    break;
                }
            };
            let at = definition.pointer("/metadata/name").and_then(Value::as_str);
            let at = Name::of_cluster(at.unwrap_or_default());
            let patch = Patch::Apply {
                manager: "bartizan".into(),
                force: true,
                object: definition,
            };
            match self.cluster.patch(&definitions, &at, None, &patch).await {
                Ok(_) => {
                    created = true;
                    break;
                }
                Err(error) => said.push(error.to_string()),
            }
        }
        for why in &said {
            tracing::warn!(template = %name, %why, "the kind of its constraints");
        }
        let errors: Vec<Value> = said
            .iter()
            .map(|why| json!({"code": "create_error", "message": why}))
            .collect();
        let status = json!({"status": {"created": created, "byPod": [{
            "id": "bartizan",
            "observedGeneration": template.value.pointer("/metadata/generation"),
            "templateUID": template.uid,
            "operations": ["audit", "status", "webhook"],
            "errors": errors,
        }]}});
        let templates = Resource::new(
            "templates.gatekeeper.sh",
            "v1",
            "ConstraintTemplate",
            "constrainttemplates",
            false,
        );
        let patch = Patch::Merge(status);
        let to = self
            .cluster
            .patch(&templates, &template.name, Some("status"), &patch);
        if let Err(error) = to.await {
            tracing::warn!(template = %name, %error, "the status of a template");
        }
    }
}

fn is_policy(kind: &Kind) -> bool {
    POLICIES.iter().any(|(group, kinds)| {
        *group == kind.group && (kinds.is_empty() || kinds.contains(&kind.kind.as_str()))
    })
}

impl State {
    /// What is not known yet.
    fn missing(&self) -> Option<String> {
        if !self.discovered {
            return Some("the cluster did not say yet what it serves".into());
        }
        let missing = self
            .wanted
            .iter()
            .find(|kind| !self.settled.contains(kind))?;
        let why = self.troubles.get(missing).map(String::as_str);
        let why = why.unwrap_or("its list is under way");
        Some(format!(
            "{} ({}) is not known yet: {why}",
            missing.kind, missing.group
        ))
    }

    fn begin(&mut self, kind: &Kind) {
        for ((of, _), (_, seen)) in &mut self.objects {
            if of == kind {
                *seen = 0;
            }
        }
    }

    fn complete(&mut self, kind: &Kind) {
        let before = self.objects.len();
        self.objects
            .retain(|(of, _), (_, seen)| of != kind || *seen > 0);
        let new = self.settled.insert(kind.clone());
        self.policies += u64::from(new || self.objects.len() != before);
        self.troubles.remove(kind);
    }

    fn troubled(&mut self, kind: &Kind, why: &str) {
        if self.troubles.insert(kind.clone(), why.to_owned()).is_none() {
            let (group, kind) = (&kind.group, &kind.kind);
            tracing::warn!(%group, %kind, %why, "policies of the cluster cannot be followed");
        }
    }

    /// True when it is new or differs.
    fn put(&mut self, kind: &Kind, object: &Object) -> bool {
        let mut value = object.value.clone();
        // What the server and other controllers write changes no policy.
        if let Some(map) = value.as_object_mut() {
            map.remove("status");
        }
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            for field in ["managedFields", "resourceVersion", "generation"] {
                metadata.remove(field);
            }
        }
        let key = (kind.clone(), object.name.clone());
        let same = self
            .objects
            .get(&key)
            .is_some_and(|(known, _)| *known == value);
        self.objects.insert(key, (value, 1));
        self.policies += u64::from(!same);
        !same
    }

    fn let_go(&mut self, kind: &Kind) {
        let before = self.objects.len();
        self.objects.retain(|(of, _), _| of != kind);
        self.policies += u64::from(self.objects.len() != before);
        self.settled.remove(kind);
        self.troubles.remove(kind);
    }
}

#[cfg(test)]
mod tests;
