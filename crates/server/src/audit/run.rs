//! One audit, from the first list until it is told to stop.

use super::fetch::{Fetched, Lister, fetch};
use super::gather::Gathered;
use super::interests::Plan;
use super::judge::{Job, Judged, Judges};
use super::totals::{Constraint, Totals};
use super::vanished::Search;
use super::{Config, log, status};
use crate::cluster::held::{Held, known};
use crate::cluster::{Feed, Told, What};
use crate::state::AppState;
use crate::work::intake;
use bartizan_cluster::audit::{Audit, Kind, Task};
use bartizan_cluster::{Change, Discovery, Name, Object, Patch};
use bartizan_model::{Check, Digest, ScopeId, Timestamp};
use bartizan_policy::{Library, World};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Receiver, UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Objects that are kept because they are about to be judged.
const FRESH: usize = 1_024;
/// Objects at hand that wait for a judge.
const READY: usize = 256;
/// Objects that are fetched at once.
const FETCH: usize = 512;
/// How often it looks at policies, and whether a report should go.
const TICK: Duration = Duration::from_millis(200);
/// How often it asks what kinds there are.
const DISCOVER: Duration = Duration::from_secs(30);
/// How long results are gathered while more come.
const REPORT: Duration = Duration::from_secs(2);
/// How often the status of constraints is written while objects are judged.
const STATUS: Duration = Duration::from_secs(10);
/// The shortest time between two worlds.
const WORLD: Duration = Duration::from_millis(250);

/// How soon after one another the status is published.
const AT_ONCE: Duration = Duration::from_millis(20);

/// Objects fetched, of which kind, and where the walk stands.
type Fetching = (Kind, Vec<Fetched>, Lister);

/// One audit.
pub(super) struct Run {
    pub state: AppState,
    pub config: Config,
    pub scope: Option<ScopeId>,
    pub feed: Feed,
    told: Receiver<Told>,
    pub discovery: Option<Discovery>,
    discovered: Option<Instant>,
    pub index: Audit,
    pub plan: Plan,
    pub policies: Option<Digest>,
    pub library: (u64, Library),
    pub known_checks: BTreeMap<String, Check>,
    pub held: Held,
    /// The kinds that are kept whole.
    pub kept: BTreeSet<Kind>,
    pub world: (u64, Arc<World>),
    world_made: Instant,
    pub settled: bool,
    pub judges: Option<Judges>,
    done: (UnboundedSender<Judged>, UnboundedReceiver<Judged>),
    in_flight: usize,
    pub fresh: HashMap<(Kind, Name), Object>,
    ready: VecDeque<Job>,
    to_fetch: BTreeMap<Kind, Vec<Task>>,
    fetching: Option<JoinHandle<Fetching>>,
    listers: HashMap<Kind, Lister>,
    pub gathered: Gathered,
    reported: Instant,
    importing: Option<JoinHandle<()>>,
    pub totals: Totals,
    written: Instant,
    writing: Option<JoinHandle<Vec<Constraint>>>,
    /// Passes on their way into the store; whether that went well.
    pub counting: Option<JoinHandle<bool>>,
    judged: u64,
    published: Instant,
    /// The full pass under way, or the last: when it began and ended.
    pub pass: (Option<Timestamp>, Option<Timestamp>),
    pub search: Search,
}

impl Run {
    pub async fn new(state: AppState, config: Config) -> Self {
        let (feed, told) = Feed::new(Arc::clone(&config.cluster));
        let now = Instant::now();
        Self {
            scope: config.scope.id().ok(),
            gathered: Gathered::new(config.scope.clone()),
            feed,
            told,
            discovery: None,
            discovered: None,
            index: Audit::new(),
            plan: Plan::default(),
            policies: None,
            library: (0, Library::default()),
            known_checks: BTreeMap::new(),
            held: Held::default(),
            kept: BTreeSet::new(),
            world: (0, Arc::default()),
            world_made: now,
            settled: false,
            judges: None,
            done: unbounded_channel(),
            in_flight: 0,
            fresh: HashMap::new(),
            ready: VecDeque::new(),
            to_fetch: BTreeMap::new(),
            fetching: None,
            listers: HashMap::new(),
            reported: now,
            importing: None,
            totals: Totals::default(),
            written: now,
            writing: None,
            counting: None,
            judged: 0,
            published: now,
            pass: (None, None),
            search: Search::default(),
            state,
            config,
        }
    }

    /// Until it is told to stop; what was found is handed in before it returns.
    pub async fn until(mut self, shutdown: CancellationToken) {
        match Judges::start(
            self.config.threads,
            self.config.budget,
            self.epoch(),
            &self.done.0,
        ) {
            Ok(judges) => self.judges = Some(judges),
            Err(error) => return tracing::error!(%error, "the audit cannot start its threads"),
        }
        self.recall().await;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut told = Vec::new();
        while !shutdown.is_cancelled() {
            self.dispatch();
            self.report_if_due();
            tokio::select! {
                n = self.told.recv_many(&mut told, 256), if self.fresh.len() < FRESH => {
                    for told in told.drain(..) {
                        self.told(told);
                    }
                    self.withdraw_stale();
                    if n > 0 && !self.settled && self.is_ready() {
                        self.follow();
                    }
                }
                Some(judged) = self.done.1.recv() => {
                    self.take(judged);
                    while let Ok(judged) = self.done.1.try_recv() {
                        self.take(judged);
                    }
                    // A lone change is seen at once; many are seen at the next tick.
                    if self.is_idle() && self.published.elapsed() > AT_ONCE {
                        self.publish();
                    }
                }
                Some(fetched) = ended(&mut self.fetching) => self.fetched(fetched),
                Some(()) = ended(&mut self.importing) => {}
                Some(false) = ended(&mut self.counting) => self.gathered.passing.again(),
                Some(again) = ended(&mut self.writing) => {
                    again.iter().for_each(|key| self.totals.again(key));
                }
                _ = tick.tick() => self.tick().await,
                () = shutdown.cancelled() => {}
            }
        }
        if let Some(task) = self.importing.take() {
            let _ = task.await;
        }
        self.report();
        if let Some(task) = self.importing.take() {
            let _ = task.await;
        }
        self.count();
        if let Some(task) = self.counting.take() {
            let _ = task.await;
        }
    }

    async fn tick(&mut self) {
        if self.discovered.is_none_or(|at| at.elapsed() > DISCOVER) {
            self.discovered = Some(Instant::now());
            match self.config.cluster.discover().await {
                Ok(discovery) => {
                    for missing in &discovery.unserved {
                        let (group, why) = (&missing.group, &missing.why);
                        tracing::warn!(%group, %why, "kinds of this group cannot be audited now");
                    }
                    if self.discovery.as_ref() != Some(&discovery) {
                        self.discovery = Some(discovery);
                        self.replan();
                    } else {
                        // Whatever gave up is tried again.
                        self.follow();
                    }
                }
                Err(error) => {
                    self.discovered = Instant::now().checked_sub(DISCOVER - Duration::from_secs(2));
                    tracing::warn!(%error, "the cluster does not say what it serves");
                }
            }
        }
        self.look_at_policies();
        if self.pass.0.is_some() && self.pass.1.is_none() && self.is_done() {
            self.end_pass();
        }
        self.search_vanished().await;
        let due = self.written.elapsed() > STATUS || (self.is_idle() && self.index.due() == (0, 0));
        if due && self.writing.is_none() {
            self.write_status();
        }
        if due {
            self.count();
        }
        self.publish();
    }

    fn told(&mut self, told: Told) {
        let Told { kind, what } = told;
        let Some(resource) = self.feed.resource(&kind).cloned() else {
            return;
        };
        let change = match what {
            What::Change(change) => change,
            What::Ended(error @ bartizan_cluster::Error::NotFound(_)) => {
                tracing::info!(group = %kind.group, kind = %kind.kind, %error, "a kind is gone");
                self.feed.unfollow(&kind);
                self.index.unfollow(&kind);
                return;
            }
            What::Ended(error) => Change::Trouble(error),
        };
        if let Change::Trouble(error) = &change {
            tracing::warn!(group = %kind.group, kind = %kind.kind, %error, "a kind cannot be followed");
        }
        if self.kept.contains(&kind) {
            self.held.change(&resource, &change);
        }
        self.index.change(&kind, &change);
        // What is kept whole is at hand anyway.
        if let Change::Present(object) = change
            && self.settled
            && !self.kept.contains(&kind)
            && self.index.is_due(&kind, &object.name)
        {
            self.fresh.insert((kind, object.name.clone()), *object);
        }
    }

    /// Hands out what is due.
    fn dispatch(&mut self) {
        if !self.is_ready() || self.gathered.is_over() {
            return;
        }
        if self.held.is_dirty() {
            if self.world_made.elapsed() < WORLD {
                return;
            }
            self.set_epoch();
            self.world_made = Instant::now();
        }
        let now = self.state.now();
        let mut waiting: usize = self.to_fetch.values().map(Vec::len).sum();
        while self.ready.len() < READY && waiting < FETCH {
            let Some(mut task) = self.index.next_task() else {
                // What is not due any more, because it waits for a sweep, is not kept.
                let index = &self.index;
                self.fresh
                    .retain(|(kind, name), _| index.is_due(kind, name));
                break;
            };
            task.policies.sort();
            let place = (task.kind.clone(), task.name.clone());
            if let Some(object) = self.held.get(&place.0, &place.1) {
                self.job(task, Ok(object), now);
                continue;
            }
            match self.fresh.remove(&place) {
                Some(object) => self.ready(task, object, now),
                None => {
                    self.to_fetch.entry(place.0).or_default().push(task);
                    waiting += 1;
                }
            }
        }
        if self.fetching.is_none()
            && let Some((kind, tasks)) = self.to_fetch.pop_first()
            && let Some(resource) = self.feed.resource(&kind).cloned()
        {
            let lister = self.listers.remove(&kind).unwrap_or_default();
            let cluster = Arc::clone(&self.config.cluster);
            self.fetching = Some(tokio::spawn(async move {
                let (found, lister) = fetch(cluster, resource, tasks, lister).await;
                (kind, found, lister)
            }));
        }
        let Some(judges) = &mut self.judges else {
            return;
        };
        while let Some(job) = self.ready.pop_front() {
            if let Err(back) = judges.submit(job) {
                self.ready.push_front(*back);
                break;
            }
            self.in_flight += 1;
        }
    }

    fn ready(&mut self, task: Task, object: Object, now: Timestamp) {
        let Some(resource) = self.feed.resource(&task.kind) else {
            return;
        };
        let object = match &object.unread {
            Some(why) => Err(why.clone()),
            None => Ok(known(resource, &object)),
        };
        self.job(task, object, now);
    }

    fn job(&mut self, task: Task, object: Result<bartizan_policy::Object, String>, now: Timestamp) {
        if let Some(asset) = self.asset_of(&task.kind, &task.name) {
            self.ready.push_back(Job {
                task,
                asset,
                object,
                now,
            });
        }
    }

    fn fetched(&mut self, (kind, found, lister): Fetching) {
        let now = self.state.now();
        for (task, object) in found {
            match object {
                Ok(object) => self.ready(task, object, now),
                // Its follower tells of it in a moment.
                Err(bartizan_cluster::Error::NotFound(_)) => {}
                Err(error) => self.job(task, Err(error.to_string()), now),
            }
        }
        self.listers.insert(kind, lister);
    }

    fn take(&mut self, judged: Judged) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.judged += 1;
        metrics::counter!(super::JUDGED).increment(1);
        let now = self.state.now();
        let place = (judged.task.kind.clone(), judged.task.name.clone());
        // It may have gone while it was judged.
        if !self.index.knows(&place.0, &place.1) {
            return;
        }
        if let Ok(audited) = &judged.audited {
            if self.config.log_violations {
                log::violations(&judged, audited);
            }
            self.totals
                .put(&place, &judged.task.policies, &audited.found);
        }
        self.gathered.judged(judged, now);
    }

    /// Whether a report is being stored.
    pub(super) fn is_importing(&self) -> bool {
        self.importing.is_some()
    }

    /// Whether nothing is under way.
    fn is_idle(&self) -> bool {
        self.in_flight == 0
            && self.ready.is_empty()
            && self.fresh.is_empty()
            && self.fetching.is_none()
            && self.to_fetch.is_empty()
    }

    /// Whether everything that is known is judged, and everything is known.
    fn is_done(&self) -> bool {
        self.is_idle()
            && self.settled
            && self.index.due() == (0, 0)
            && self.index.unknown().next().is_none()
            && self.gathered.len() == 0
            && self.importing.is_none()
            && self.counting.is_none()
            && !self.gathered.passing.is_changed()
            && !self.plan.looked.is_empty()
    }

    fn report_if_due(&mut self) {
        let waited = self.reported.elapsed() > REPORT;
        if self.gathered.is_full() || waited || self.is_idle() {
            self.report();
        }
    }

    fn report(&mut self) {
        if self.importing.is_some() || self.gathered.len() == 0 {
            return;
        }
        self.reported = Instant::now();
        let id = format!("audit-{}", uuid::Uuid::now_v7());
        let Some(bytes) = self.gathered.report(id, self.state.now()) else {
            return;
        };
        let state = self.state.clone();
        self.importing = Some(tokio::spawn(async move {
            for attempt in 1..=5_u32 {
                match intake::import_now(&state, bytes.clone(), "system").await {
                    Ok(_) => return,
                    Err(problem) => tracing::warn!(?problem, attempt, "verdicts of the audit"),
                }
                tokio::time::sleep(Duration::from_secs(1) * attempt).await;
            }
            tracing::error!("verdicts of the audit are lost: the store did not take them");
        }));
    }

    /// Writes what constraints found into their status.
    fn write_status(&mut self) {
        self.written = Instant::now();
        for check in self.totals.thin(self.config.limit) {
            if let Some(looked) = self.plan.policies.get(&check) {
                self.index.policy(&check, looked.interest.clone());
            }
        }
        let now = self.state.now().to_string();
        let changed = self.totals.take_changed(self.config.limit, &now);
        let Some(discovery) = self.discovery.as_ref().filter(|_| !changed.is_empty()) else {
            return;
        };
        let group = "constraints.gatekeeper.sh";
        let writes: Vec<_> = changed
            .into_iter()
            .filter_map(|(key, status)| {
                let resource = discovery.find(group, &key.0)?.clone();
                Some((key, resource, status))
            })
            .collect();
        let cluster = Arc::clone(&self.config.cluster);
        self.writing = Some(tokio::spawn(async move {
            let mut again = Vec::new();
            for (key, resource, status) in writes {
                let patch = Patch::Merge(json!({"status": status}));
                let name = Name::of_cluster(&key.1);
                match cluster
                    .patch(&resource, &name, Some("status"), &patch)
                    .await
                {
                    // Policies from folders have no object in the cluster.
                    Ok(_) | Err(bartizan_cluster::Error::NotFound(_)) => {}
                    Err(error) => {
                        let (kind, name) = &key;
                        tracing::warn!(%error, %kind, %name, "a constraint's status");
                        again.push(key);
                    }
                }
            }
            again
        }));
    }

    /// All that some policy looks at is judged anew.
    pub(super) fn begin_pass(&mut self) {
        let checks = self.library.1.all_checks().into_iter();
        self.known_checks = checks.map(|c| (c.uid.to_string(), c)).collect();
        if self.pass.0.is_none() || self.pass.1.is_some() {
            self.pass = (Some(self.state.now()), None);
            tracing::info!(process = "audit", event_type = "audit_started", "auditing");
        }
    }

    fn end_pass(&mut self) {
        let now = self.state.now();
        self.pass.1 = Some(now);
        let began = self.pass.0.unwrap_or(now);
        let seconds = now.micros().saturating_sub(began.micros()) as f64 / 1e6;
        metrics::histogram!(super::GK_SECONDS).record(seconds);
        metrics::gauge!(super::GK_LAST_RUN).set(began.seconds() as f64);
        metrics::gauge!(super::GK_LAST_END).set(now.seconds() as f64);
        tracing::info!(
            process = "audit",
            event_type = "audit_finished",
            objects = self.index.len(),
            seconds,
            "audited"
        );
    }

    fn publish(&mut self) {
        self.published = Instant::now();
        let (due, sweeps) = self.index.due();
        let mut by_action: BTreeMap<&str, u64> =
            BTreeMap::from([("deny", 0), ("warn", 0), ("dryrun", 0)]);
        let mut constraints = Vec::new();
        for ((kind, name), actions, violations) in self.totals.counts() {
            let action = actions.last().copied().unwrap_or("deny");
            *by_action.entry(action).or_default() += violations;
            constraints.push(status::ConstraintStatus {
                kind: kind.clone(),
                name: name.clone(),
                actions: actions.iter().map(|a| (*a).to_owned()).collect(),
                violations,
            });
        }
        for (action, violations) in by_action {
            let action = action.to_owned();
            metrics::gauge!(super::GK_VIOLATIONS, "enforcement_action" => action)
                .set(violations as f64);
        }
        let troubles: BTreeMap<&Kind, Option<String>> = self
            .index
            .unknown()
            .map(|(kind, error)| (kind, error.map(ToString::to_string)))
            .collect();
        metrics::gauge!(super::OBJECTS).set(self.index.len() as f64);
        metrics::gauge!(super::DUE).set(due as f64);
        metrics::gauge!(super::TROUBLED).set(troubles.len() as f64);
        let kinds = self
            .index
            .kinds()
            .map(|(kind, objects)| status::KindStatus {
                group: kind.group.clone(),
                kind: kind.kind.clone(),
                objects: objects as u64,
                complete: !troubles.contains_key(kind),
                trouble: troubles.get(kind).cloned().flatten(),
            });
        self.state.work.audit.set(status::Status {
            scope: self
                .scope
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            objects: self.index.len() as u64,
            due: due as u64,
            sweeps: sweeps as u64,
            judged: self.judged,
            pass_started: self.pass.0,
            pass_finished: self.pass.1,
            waiting: self.waiting(),
            kinds: kinds.collect(),
            constraints,
        });
    }

    fn waiting(&self) -> Option<String> {
        if self.discovery.is_none() {
            return Some("the cluster does not say what it serves".into());
        }
        if self.policies.is_none() {
            return Some("no policies are in force".into());
        }
        let unknown = self.plan.read.iter().map(Kind::of);
        let unknown = unknown.filter(|kind| !self.index.is_settled(kind));
        let unknown: Vec<String> = unknown.map(|kind| kind.kind).collect();
        (!unknown.is_empty()).then(|| format!("not all is known of: {}", unknown.join(", ")))
    }
}

/// The result of a task that ended; never, where there is none.
async fn ended<T>(task: &mut Option<JoinHandle<T>>) -> Option<T> {
    let result = match task {
        Some(task) => task.await,
        None => return std::future::pending().await,
    };
    *task = None;
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            tracing::error!(%error, "a task of the audit ended badly");
            None
        }
    }
}
