//! An audit of a cluster in memory, with the real store behind it.

use super::{Config, Status};
use crate::admission::Loaded;
use crate::config::Config as ServerConfig;
use crate::state::{AppState, SystemClock, SystemRandom};
use crate::work::Work;
use bartizan_cluster::fake::Fake;
use bartizan_cluster::{Error, Name, Resource};
use bartizan_model::{Scope, TenantId};
use bartizan_policy::{Budget, LibraryBuilder, World};
use bartizan_store::Store;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

const POLICIES: &str = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: needslabel}
spec:
  crd: {spec: {names: {kind: NeedsLabel}}}
  targets:
    - target: admission.k8s.gatekeeper.sh
      rego: |
        package needslabel
        violation[{"msg": msg}] {
          not input.review.object.metadata.labels[input.parameters.label]
          msg := sprintf("label %v is missing", [input.parameters.label])
        }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: NeedsLabel
metadata: {name: owner}
spec:
  match: {kinds: [{apiGroups: [""], kinds: [Pod]}], namespaceSelector: {matchLabels: {strict: "yes"}}}
  parameters: {label: owner}
"#;

struct Audited {
    state: AppState,
    fake: Fake,
    _data: tempfile::TempDir,
    stop: CancellationToken,
    audit: (CancellationToken, tokio::task::JoinHandle<()>),
}

fn pods() -> Resource {
    Resource::new("", "v1", "Pod", "pods", true)
}

fn namespaces() -> Resource {
    Resource::new("", "v1", "Namespace", "namespaces", false)
}

fn constraints() -> Resource {
    let mut resource = Resource::new(
        "constraints.gatekeeper.sh",
        "v1beta1",
        "NeedsLabel",
        "needslabel",
        false,
    );
    resource.subresources.push("status".into());
    resource
}

fn pod(name: &str, labels: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "labels": labels}})
}

fn namespace(strict: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "shop", "labels": {"strict": strict}}})
}

impl Audited {
    async fn start(fake: Fake, policies: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let config = ServerConfig {
            data: data.path().to_owned(),
            ..ServerConfig::default()
        };
        let clock = Arc::new(SystemClock);
        let store = crate::store_config(&config);
        let now = jiff::Timestamp::now().as_microsecond();
        let now = bartizan_model::Timestamp::from_micros(now);
        let store = Store::open(&store, now).await.unwrap();
        let assembled = crate::assemble(config, store, clock, Arc::new(SystemRandom));
        let (state, _) = assembled.await.unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(Work::run(state.clone(), stop.clone()));
        let audit = (stop.clone(), tokio::spawn(async {}));
        let mut this = Self {
            state,
            fake,
            _data: data,
            stop,
            audit,
        };
        this.policies(policies);
        this.audit();
        this
    }

    fn audit(&mut self) {
        let config = Config {
            cluster: Arc::new(self.fake.clone()),
            scope: Scope::parse("cluster:test").unwrap(),
            threads: 2,
            budget: Budget::default(),
            limit: 20,
            log_violations: true,
            lease: None,
        };
        let stop = self.stop.child_token();
        let task = tokio::spawn(super::run(self.state.clone(), config, stop.clone()));
        self.audit = (stop, task);
    }

    /// The audit ends, something happens, another audit begins that knows nothing.
    async fn restart(&mut self, meanwhile: impl FnOnce(&Fake)) {
        self.audit.0.cancel();
        (&mut self.audit.1).await.unwrap();
        meanwhile(&self.fake);
        self.audit();
    }

    fn policies(&self, text: &str) {
        let mut builder = LibraryBuilder::new();
        builder.add("t", "t.yaml", text.as_bytes()).unwrap();
        self.state.work.in_force.set(&Loaded {
            library: builder.build().unwrap(),
            world: Arc::new(World::default()),
            providers: None,
            images: None,
        });
    }

    /// Waits until what is asked is so.
    async fn until(&self, what: &str, so: impl AsyncFn(&Self) -> bool) {
        let begun = Instant::now();
        while !so(self).await {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "not within 30 s: {what}; status: {:?}",
                self.state.work.audit.get()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn outcomes(&self) -> Vec<(String, String)> {
        let tenant = self
            .state
            .store
            .tenant(&TenantId::default_tenant())
            .await
            .unwrap();
        let page = tenant
            .results(&Default::default(), &Default::default())
            .await
            .unwrap();
        let rows = page.items.into_iter();
        let mut rows: Vec<_> = rows
            .map(|r| (r.asset.uid.to_string(), r.outcome.word().to_owned()))
            .collect();
        rows.sort();
        rows
    }

    /// Passes in the tallies that scores are made of.
    async fn passes(&self) -> u64 {
        let tenant = TenantId::default_tenant();
        let tenant = self.state.store.tenant(&tenant).await.unwrap();
        let scope = Scope::parse("cluster:test").unwrap().id().unwrap();
        let tallies = tenant.tallies(&scope).await.unwrap();
        tallies.iter().map(|tally| tally.pass).sum()
    }

    fn status(&self) -> Status {
        self.state.work.audit.get().unwrap_or_default()
    }

    fn written(&self) -> Value {
        let found = self.fake.object(&constraints(), &Name::of_cluster("owner"));
        found.map_or(Value::Null, |o| o.value["status"].clone())
    }
}

impl Drop for Audited {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

const POD: &str = "cluster:test//Pod/shop/";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_is_judged_and_changes_are_judged_again() {
    let fake = Fake::new(vec![pods(), namespaces(), constraints()]);
    fake.put(&namespaces(), namespace("yes")).unwrap();
    fake.put(&pods(), pod("bad", json!({}))).unwrap();
    fake.put(&pods(), pod("good", json!({"owner": "a"})))
        .unwrap();
    let constraint = json!({"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": "NeedsLabel",
        "metadata": {"name": "owner"}, "spec": {}});
    fake.put(&constraints(), constraint).unwrap();
    let audited = Audited::start(fake, POLICIES).await;
    let of = |name: &str, outcome: &str| (format!("{}{name}", POD), outcome.to_owned());
    audited
        .until("both are judged", async |a| {
            a.outcomes().await == [of("bad", "fail")]
        })
        .await;
    audited
        .until("the constraint's status is written", async |a| {
            a.written()["totalViolations"] == 1
        })
        .await;
    assert_eq!(
        audited.written()["violations"],
        json!([{"enforcementAction": "deny", "group": "", "kind": "Pod", "name": "bad",
            "namespace": "shop", "message": "label owner is missing"}])
    );
    audited
        .until("the pass is over", async |a| {
            a.status().pass_finished.is_some()
        })
        .await;

    // What never failed has no row: it is counted.
    assert_eq!(audited.passes().await, 1);

    // The object is mended, another is spoilt, one is new.
    audited
        .fake
        .put(&pods(), pod("bad", json!({"owner": "b"})))
        .unwrap();
    audited.fake.put(&pods(), pod("good", json!({}))).unwrap();
    audited.fake.put(&pods(), pod("new", json!({}))).unwrap();
    let changed = [of("bad", "pass"), of("good", "fail"), of("new", "fail")];
    audited
        .until("changes are judged", async |a| {
            a.outcomes().await == changed
        })
        .await;
    audited
        .until("the pass that was counted counts no more", async |a| {
            a.passes().await == 1
        })
        .await;

    // An object goes; the namespace is not selected any more.
    assert!(audited.fake.remove(&pods(), &Name::within("shop", "new")));
    audited
        .until("what is gone fails no more", async |a| {
            a.outcomes().await[2] == of("new", "not_applicable")
        })
        .await;
    audited.fake.put(&namespaces(), namespace("no")).unwrap();
    let none = ["bad", "good", "new"].map(|n| of(n, "not_applicable"));
    audited
        .until("the namespace is looked at", async |a| {
            a.outcomes().await == none
        })
        .await;
    audited
        .until("nothing is left in the status", async |a| {
            a.written()["totalViolations"] == 0
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_policy_judges_all_and_a_policy_that_goes_takes_its_results_along() {
    let fake = Fake::new(vec![pods(), namespaces()]);
    fake.put(&namespaces(), namespace("yes")).unwrap();
    for n in 0..700 {
        fake.put(&pods(), pod(&format!("p{n:03}"), json!({"team": "a"})))
            .unwrap();
    }
    let audited = Audited::start(fake, POLICIES).await;
    audited
        .until("all are judged", async |a| {
            a.status().constraints.first().map(|c| c.violations) == Some(700)
        })
        .await;
    audited.policies(&POLICIES.replace("{label: owner}", "{label: team}"));
    audited
        .until("all are judged by the new policy", async |a| {
            a.status().constraints.first().map(|c| c.violations) == Some(0)
                && a.outcomes()
                    .await
                    .iter()
                    .all(|(_, outcome)| outcome == "pass")
        })
        .await;
    audited.policies(
        &POLICIES
            .replace("needslabel", "other")
            .replace("NeedsLabel", "Other"),
    );
    audited
        .until("the old policy's results are withdrawn", async |a| {
            let outcomes = a.outcomes().await;
            outcomes.iter().any(|(_, o)| o == "not_applicable")
                && !outcomes.iter().any(|(_, o)| o == "pass")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_told_and_never_passes() {
    let fake = Fake::new(vec![pods(), namespaces()]);
    fake.put(&namespaces(), namespace("yes")).unwrap();
    fake.put(&pods(), pod("good", json!({"owner": "a"})))
        .unwrap();
    fake.fail([Error::Denied("discovery".into())]);
    let audited = Audited::start(fake, POLICIES).await;
    audited
        .until("it is asked again", async |a| a.passes().await == 1)
        .await;
    audited
        .until("nothing is waited for", async |a| {
            a.status().waiting.is_none() && a.status().scope == "cluster:test"
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_while_nobody_looked_fails_no_more() {
    let fake = Fake::new(vec![pods(), namespaces()]);
    fake.put(&namespaces(), namespace("yes")).unwrap();
    let lab = |strict: &str| {
        json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": "lab", "labels": {"strict": strict}}})
    };
    fake.put(&namespaces(), lab("yes")).unwrap();
    for name in ["bad", "gone", "mended"] {
        fake.put(&pods(), pod(name, json!({}))).unwrap();
    }
    let mut left = pod("left", json!({}));
    left["metadata"]["namespace"] = "lab".into();
    fake.put(&pods(), left).unwrap();
    let mut audited = Audited::start(fake, POLICIES).await;
    let of = |name: &str, outcome: &str| (format!("cluster:test//Pod/{name}"), outcome.to_owned());
    let all = ["lab/left", "shop/bad", "shop/gone", "shop/mended"];
    audited
        .until("all fail", async |a| {
            a.outcomes().await == all.map(|name| of(name, "fail"))
        })
        .await;
    audited
        .restart(|fake| {
            assert!(fake.remove(&pods(), &Name::within("shop", "gone")));
            fake.put(&pods(), pod("mended", json!({"owner": "a"})))
                .unwrap();
            fake.put(&namespaces(), lab("no")).unwrap();
        })
        .await;
    let now = [
        of("lab/left", "not_applicable"),
        of("shop/bad", "fail"),
        of("shop/gone", "not_applicable"),
        of("shop/mended", "pass"),
    ];
    audited
        .until("only what is bad fails", async |a| {
            a.outcomes().await == now
        })
        .await;
}
