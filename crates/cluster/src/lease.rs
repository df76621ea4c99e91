//! One of several processes does the work: leader election by a `Lease`, as other Kubernetes
//! controllers do it.
//!
//! Clocks of other machines are not trusted: a lease is over when it was not seen to change for its
//! whole duration, by our own monotonic clock.

use crate::{Cluster, Error, Name, Object, Resource};
use bartizan_model::Timestamp;
use serde_json::{Map, Value, json};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// What an observation of the lease asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Make the lease; it is ours if that succeeds.
    Create(Value),
    /// Replace the lease by this; it is ours if that succeeds.
    Replace(Value),
    /// Somebody else has it.
    Wait,
}

/// What one candidate knows: a pure state machine over what it sees and when.
#[derive(Debug, Clone)]
pub struct Election {
    name: Name,
    identity: String,
    duration: Duration,
    /// The lease as last seen to change, and when.
    seen: Option<(Value, Duration)>,
    /// Since when it is ours at the latest.
    renewed: Option<Duration>,
}

impl Election {
    /// A candidate for the lease of that name. Times are of a monotonic clock from here on.
    pub fn new(name: Name, identity: &str, duration: Duration) -> Self {
        Self {
            name,
            identity: identity.to_owned(),
            duration,
            seen: None,
            renewed: None,
        }
    }

    /// What to do about the lease as it is now; `wall` is only written into it, for people.
    pub fn look(&mut self, lease: Option<&Object>, now: Duration, wall: Timestamp) -> Step {
        let Some(lease) = lease else {
            let mut spec = Map::new();
            self.claim(&mut spec, wall, true);
            return Step::Create(json!({
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": self.name.name, "namespace": self.name.namespace},
                "spec": spec,
            }));
        };
        let mut spec = lease
            .value
            .get("spec")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        let record = Value::Object(spec.clone());
        if self
            .seen
            .as_ref()
            .is_none_or(|(before, _)| *before != record)
        {
            self.seen = Some((record, now));
        }
        let changed = self.seen.as_ref().map_or(now, |(_, at)| *at);
        let holder = spec
            .get("holderIdentity")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let ours = holder == self.identity;
        // The holder's own duration counts; a nonsensical one is replaced by ours.
        let duration = spec
            .get("leaseDurationSeconds")
            .and_then(Value::as_u64)
            .filter(|s| (1..=3600).contains(s))
            .map_or(self.duration, Duration::from_secs);
        if !ours && !holder.is_empty() && now < changed.saturating_add(duration) {
            return Step::Wait;
        }
        self.claim(&mut spec, wall, !ours);
        let mut value = lease.value.clone();
        if let Some(fields) = value.as_object_mut() {
            fields.insert("spec".to_owned(), Value::Object(spec));
        }
        Step::Replace(value)
    }

    fn claim(&self, spec: &mut Map<String, Value>, wall: Timestamp, taken: bool) {
        if taken {
            let before = spec.get("leaseTransitions").and_then(Value::as_u64);
            // The first holder is no transition.
            let transitions = before.map_or(0, |n| n.saturating_add(1).min(i32::MAX as u64));
            spec.insert("leaseTransitions".to_owned(), transitions.into());
            spec.insert("acquireTime".to_owned(), micro_time(wall).into());
        }
        spec.insert("holderIdentity".to_owned(), self.identity.clone().into());
        spec.insert(
            "leaseDurationSeconds".to_owned(),
            self.duration.as_secs().max(1).into(),
        );
        spec.insert("renewTime".to_owned(), micro_time(wall).into());
    }

    /// The server took our step, which was sent at `asked`.
    pub fn held(&mut self, asked: Duration) {
        self.renewed = Some(asked);
    }

    /// Somebody else has it.
    pub fn lost(&mut self) {
        self.renewed = None;
    }

    /// Whether we lead. We stop well before others may begin: after two thirds of the duration.
    pub fn leads(&self, now: Duration) -> bool {
        self.renewed
            .is_some_and(|at| now < at.saturating_add(self.duration.mul_f64(2.0 / 3.0)))
    }
}

/// RFC 3339 with exactly six digits of fraction: the API takes no others here.
fn micro_time(at: Timestamp) -> String {
    let whole = Timestamp::from_micros(at.seconds().saturating_mul(1_000_000)).to_string();
    let fraction = at.micros().rem_euclid(1_000_000);
    format!("{}.{fraction:06}Z", whole.trim_end_matches('Z'))
}

/// How a campaign is run.
pub struct Campaign<'a> {
    /// The lease.
    pub name: Name,
    /// Who we are; must differ from every other candidate.
    pub identity: String,
    /// How long a lease holds without renewal. Fifteen seconds is the custom.
    pub duration: Duration,
    /// The wall clock.
    pub clock: &'a (dyn Fn() -> Timestamp + Sync),
}

/// Where leases are.
fn leases() -> Resource {
    Resource::new("coordination.k8s.io", "v1", "Lease", "leases", true)
}

/// Runs for leader until `stop` says so or nobody listens to `leads`, whose value is always whether
/// we lead now. On stopping the lease is given back, so that another can begin at once.
/// Errors never end it; the last one stands beside the answer.
pub async fn campaign(
    cluster: &dyn Cluster,
    how: &Campaign<'_>,
    leads: &watch::Sender<(bool, Option<Error>)>,
    stop: &mut watch::Receiver<bool>,
) {
    let start = Instant::now();
    let retry = (how.duration / 6).max(Duration::from_millis(100));
    let mut election = Election::new(how.name.clone(), &how.identity, how.duration);
    while !*stop.borrow() && !leads.is_closed() {
        // A call that hangs must not keep us leading.
        let tried =
            tokio::time::timeout(retry * 2, attempt(cluster, how, &mut election, start)).await;
        let error = match tried {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error),
            Err(_) => Some(Error::Unreachable("no answer in time to lead".to_owned())),
        };
        let now = election.leads(start.elapsed());
        leads.send_if_modified(|state| {
            let changed = *state != (now, error.clone());
            *state = (now, error);
            changed
        });
        tokio::select! {
            () = tokio::time::sleep(retry) => (),
            _ = stop.changed() => (),
            () = leads.closed() => (),
        }
    }
    let led = election.leads(start.elapsed());
    leads.send_replace((false, None));
    if led {
        let _ = tokio::time::timeout(retry, release(cluster, how)).await;
    }
}

async fn attempt(
    cluster: &dyn Cluster,
    how: &Campaign<'_>,
    election: &mut Election,
    start: Instant,
) -> Result<(), Error> {
    let leases = leases();
    let there = match cluster.get(&leases, &how.name).await {
        Ok(lease) => Some(lease),
        Err(Error::NotFound(_)) => None,
        Err(error) => return Err(error),
    };
    let asked = start.elapsed();
    let done = match election.look(there.as_ref(), asked, (how.clock)()) {
        Step::Wait => {
            election.lost();
            return Ok(());
        }
        Step::Create(value) => {
            cluster
                .create(&leases, &Object::read(&leases, value)?)
                .await
        }
        Step::Replace(value) => {
            cluster
                .replace(&leases, &Object::read(&leases, value)?)
                .await
        }
    };
    match done {
        Ok(_) => election.held(asked),
        // Another candidate was faster; the next look shows who.
        Err(Error::Conflict(_)) => election.lost(),
        Err(error) => return Err(error),
    }
    Ok(())
}

async fn release(cluster: &dyn Cluster, how: &Campaign<'_>) -> Result<(), Error> {
    let leases = leases();
    let mut lease = cluster.get(&leases, &how.name).await?;
    let holder = lease
        .value
        .pointer("/spec/holderIdentity")
        .and_then(Value::as_str);
    if holder != Some(&how.identity) {
        return Ok(());
    }
    if let Some(spec) = lease.value.get_mut("spec").and_then(Value::as_object_mut) {
        spec.insert("holderIdentity".to_owned(), "".into());
        spec.insert("leaseDurationSeconds".to_owned(), 1.into());
        spec.insert("renewTime".to_owned(), micro_time((how.clock)()).into());
    }
    cluster.replace(&leases, &lease).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;

    const TERM: Duration = Duration::from_secs(15);
    /// For what runs in real time, on a machine that may be busy.
    const SHORT: Duration = Duration::from_secs(3);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn candidate(who: &str) -> Election {
        Election::new(Name::within("n", "audit"), who, TERM)
    }

    fn wall() -> Timestamp {
        Timestamp::from_micros(1_764_000_000_000_005)
    }

    /// A clock that stands still would look like a holder that is silent.
    fn ticking() -> Timestamp {
        static TICK: std::sync::atomic::AtomicI64 = std::sync::atomic::AtomicI64::new(1);
        Timestamp::from_micros(TICK.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
    }

    fn seen(value: &Value, version: &str) -> Object {
        let mut value = value.clone();
        value["metadata"]["resourceVersion"] = version.into();
        Object::read(&leases(), value).unwrap()
    }

    #[test]
    fn the_second_waits_until_the_first_is_silent_for_a_term() {
        let (mut a, mut b) = (candidate("a"), candidate("b"));
        let Step::Create(lease) = a.look(None, at(0), wall()) else {
            panic!()
        };
        assert_eq!(lease["spec"]["renewTime"], "2025-11-24T16:00:00.000005Z");
        a.held(at(0));
        let first = seen(&lease, "1");
        assert_eq!(b.look(Some(&first), at(100), wall()), Step::Wait);
        assert_eq!(b.look(Some(&first), at(114), wall()), Step::Wait);
        let Step::Replace(taken) = b.look(Some(&first), at(115), wall()) else {
            panic!()
        };
        assert_eq!(taken["spec"]["holderIdentity"], "b");
        assert_eq!(taken["spec"]["leaseTransitions"], 1);
        assert_eq!(taken["metadata"]["resourceVersion"], "1");
        // The first has stopped by itself long before.
        assert!(a.leads(at(9)) && !a.leads(at(10)));
    }

    #[test]
    fn a_renewed_lease_is_not_taken() {
        let (mut a, mut b) = (candidate("a"), candidate("b"));
        let Step::Create(mut lease) = a.look(None, at(0), wall()) else {
            panic!()
        };
        for second in 0..60 {
            let there = seen(&lease, &second.to_string());
            assert_eq!(b.look(Some(&there), at(second), wall()), Step::Wait);
            let Step::Replace(renewed) = a.look(
                Some(&there),
                at(second),
                wall().plus_seconds(second as i64 + 1),
            ) else {
                panic!()
            };
            assert_eq!(renewed["spec"]["leaseTransitions"], 0);
            lease = renewed;
        }
    }

    #[test]
    fn nonsense_in_the_lease_is_survived() {
        for spec in [
            json!(null),
            json!([]),
            json!({"holderIdentity": 7}),
            json!({"leaseDurationSeconds": -1}),
        ] {
            let lease = seen(
                &json!({"metadata": {"name": "audit", "namespace": "n"}, "spec": spec}),
                "1",
            );
            assert!(matches!(
                candidate("a").look(Some(&lease), at(0), wall()),
                Step::Replace(_)
            ));
        }
        let foreign = json!({"metadata": {"name": "audit", "namespace": "n"},
            "spec": {"holderIdentity": "x", "leaseDurationSeconds": u64::MAX}});
        let mut a = candidate("a");
        assert_eq!(
            a.look(Some(&seen(&foreign, "1")), at(0), wall()),
            Step::Wait
        );
        assert!(matches!(
            a.look(Some(&seen(&foreign, "1")), at(15), wall()),
            Step::Replace(_)
        ));
    }

    #[tokio::test]
    async fn of_two_one_leads_and_the_other_follows_at_once_when_it_stops() {
        let fake = Fake::new(vec![leases()]);
        let run = |who: &'static str| {
            let fake = fake.clone();
            let (leads, told) = watch::channel((false, None));
            let (stop, mut stopping) = watch::channel(false);
            tokio::spawn(async move {
                let how = Campaign {
                    name: Name::within("n", "audit"),
                    identity: who.to_owned(),
                    duration: SHORT,
                    clock: &ticking,
                };
                campaign(&fake, &how, &leads, &mut stopping).await;
            });
            (told, stop)
        };
        let (mut a, stop_a) = run("a");
        a.wait_for(|(leads, _)| *leads).await.unwrap();
        let (mut b, _stop_b) = run("b");
        tokio::time::sleep(SHORT * 2).await;
        assert!(a.borrow_and_update().0 && !b.borrow_and_update().0);
        let before = Instant::now();
        stop_a.send(true).unwrap();
        b.wait_for(|(leads, _)| *leads).await.unwrap();
        assert!(before.elapsed() < SHORT, "{:?}", before.elapsed());
        assert!(!a.borrow().0);
    }

    #[tokio::test]
    async fn who_cannot_reach_the_server_leads_no_longer() {
        let fake = Fake::new(vec![leases()]);
        let (leads, mut told) = watch::channel((false, None));
        let (_stop, mut stopping) = watch::channel(false);
        let there = fake.clone();
        tokio::spawn(async move {
            let how = Campaign {
                name: Name::within("n", "audit"),
                identity: "a".to_owned(),
                duration: SHORT,
                clock: &ticking,
            };
            campaign(&there, &how, &leads, &mut stopping).await;
        });
        told.wait_for(|(leads, _)| *leads).await.unwrap();
        fake.fail(std::iter::repeat_n(Error::Unreachable("x".into()), 6));
        let (leading, error) = told.wait_for(|(leads, _)| !*leads).await.unwrap().clone();
        assert!(!leading && error.is_some());
        told.wait_for(|(leads, _)| *leads).await.unwrap();
    }
}
