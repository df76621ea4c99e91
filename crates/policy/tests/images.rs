//! Images at admission, judged by somebody who knows what is signed.

// A test may panic, also in the functions that its tests share.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use bartizan_model::Timestamp;
use bartizan_policy::admit::{AdmitOptions, Renewed};
use bartizan_policy::images::{Images, Pictured, Pointed};
use bartizan_policy::{
    Admitter, Failure, Library, LibraryBuilder, Outcome, Review, ReviewLimits, Verdict, World,
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// `good…` is signed, `slow…` cannot be told, `free…` is nobody's matter, and `warn…` is only
/// warned of.
struct Fake {
    failure: Failure,
    asked: AtomicUsize,
}

impl Fake {
    fn new(failure: Failure) -> Arc<Self> {
        let asked = AtomicUsize::new(0);
        Arc::new(Self { failure, asked })
    }
}

impl Images for Fake {
    fn any(&self) -> bool {
        true
    }

    fn vet(&self, object: &Value) -> Result<Vec<String>, String> {
        match object["spec"].is_null() {
            true => Err("spec is missing".into()),
            false => Ok(vec!["it lets nothing pass".into()]),
        }
    }

    fn look_at(&self, about: &Pictured<'_>) -> bool {
        about.images.iter().any(|(_, i)| !i.starts_with("free"))
    }

    fn failure(&self) -> Failure {
        self.failure
    }

    fn judge(&self, about: &Pictured<'_>, time: Duration) -> Vec<Pointed> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let fails = |i: &str| !i.starts_with("good") && !i.starts_with("free");
        let wrong = about.images.iter().filter(|(_, i)| fails(i));
        let pointed = wrong.map(|(path, image)| Pointed {
            policy: "signed".into(),
            policy_at: "p.yaml:1".into(),
            path: path.clone(),
            image: (*image).to_owned(),
            warns: image.starts_with("warn"),
            untold: image.contains("slow") || time.is_zero(),
            why: "there is no signature".into(),
        });
        pointed.collect()
    }
}

fn now() -> Timestamp {
    Timestamp::parse("2026-11-25T00:00:00Z").unwrap()
}

const EXCEPTION: &str = r#"{"apiVersion": "bartizan.dev/v1", "kind": "PolicyException",
    "metadata": {"name": "old"}, "spec": {"policies": ["image/sigstore/clusterimagepolicy"],
    "constraints": ["signed"], "match": {"namespaces": ["old"]},
    "owner": "ops", "reason": "it goes", "expires": "2027-01-01"}}"#;

fn library() -> Library {
    let mut builder = LibraryBuilder::new();
    builder.add("t", "e.json", EXCEPTION.as_bytes()).unwrap();
    builder.build().unwrap()
}

fn admitter(failure: Failure, images: &Arc<Fake>) -> Admitter {
    let options = AdmitOptions {
        failure,
        ..AdmitOptions::default()
    };
    let mut admitter = Admitter::new(&library(), Arc::default(), options, now());
    admitter.ask_images(Arc::<Fake>::clone(images));
    admitter
}

fn pod(images: &[&str]) -> Value {
    let containers = images.iter().map(|i| json!({"name": "c", "image": i}));
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop"},
           "spec": {"containers": containers.collect::<Vec<_>>()}})
}

fn review(operation: &str, namespace: &str, object: &Value, old: &Value) -> Review {
    let subject = if object.is_null() { old } else { object };
    let group = subject["apiVersion"].as_str().unwrap().split_once('/');
    let request = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u", "operation": operation, "name": "web", "namespace": namespace,
        "kind": {"group": group.map_or("", |g| g.0), "version": "v1", "kind": subject["kind"]},
        "resource": {"group": "", "version": "v1", "resource": "x"},
        "userInfo": {"username": "ada"}, "object": object, "oldObject": old
    }});
    Review::parse(request.to_string().as_bytes(), &ReviewLimits::default()).unwrap()
}

fn create(images: &[&str]) -> Review {
    review("CREATE", "shop", &pod(images), &Value::Null)
}

fn told(verdict: &Verdict) -> (Outcome, bool, u16) {
    let answer = verdict.response();
    (verdict.outcome, answer.allowed, answer.code)
}

#[test]
fn what_is_signed_passes_and_what_cannot_be_told_is_refused() {
    let images = Fake::new(Failure::Closed);
    let mut admitter = admitter(Failure::Open, &images);
    let mut ask = |images: &[&str]| told(&admitter.admit(&create(images), now()));
    assert_eq!(ask(&["good"]), (Outcome::Allowed, true, 200));
    assert_eq!(ask(&["good", "bad"]), (Outcome::Denied, false, 403));
    assert_eq!(ask(&["warn"]), (Outcome::Allowed, true, 299));
    // The failure setting of policies does not open this door; a policy that only warns does.
    assert_eq!(ask(&["slow"]), (Outcome::Unknown, false, 500));
    assert_eq!(ask(&["warn-slow"]), (Outcome::Unknown, true, 299));
    let before = images.asked.load(Ordering::SeqCst);
    assert_eq!(ask(&["free"]), (Outcome::Allowed, true, 200));
    assert_eq!(images.asked.load(Ordering::SeqCst), before);
    let many = vec!["bad"; 501];
    assert_eq!(ask(&many), (Outcome::Unknown, false, 500));

    // Who says so opens it.
    let open = Fake::new(Failure::Open);
    let mut open = crate::admitter(Failure::Open, &open);
    let verdict = open.admit(&create(&["slow"]), now());
    assert_eq!(told(&verdict), (Outcome::Unknown, true, 299));
}

#[test]
fn a_violation_says_where_and_an_exception_lets_it_pass() {
    let images = Fake::new(Failure::Closed);
    let mut admitter = admitter(Failure::Open, &images);
    let verdict = admitter.admit(&create(&["good", "bad"]), now());
    let explain = &verdict.explains[0];
    assert_eq!(explain.path.as_deref(), Some("spec.containers[1].image"));
    assert_eq!(explain.constraint_at, "p.yaml:1");
    assert_eq!(
        verdict.response().message,
        "[signed] bad: there is no signature"
    );
    let excepted = review("CREATE", "old", &pod(&["bad"]), &Value::Null);
    let verdict = admitter.admit(&excepted, now());
    assert!(verdict.allowed);
    assert_eq!(verdict.explains[0].exception.as_ref().unwrap().owner, "ops");
}

#[test]
fn what_goes_and_what_shrinks_is_not_asked_about() {
    let images = Fake::new(Failure::Closed);
    let mut admitter = admitter(Failure::Closed, &images);
    let bad = pod(&["bad"]);
    let mut ask = |operation: &str, object: &Value, old: &Value| {
        let verdict = admitter.admit(&review(operation, "shop", object, old), now());
        verdict.allowed
    };
    assert!(ask("DELETE", &Value::Null, &bad));
    assert!(!ask("UPDATE", &bad, &bad));
    let mut leaving = bad.clone();
    leaving["metadata"]["deletionTimestamp"] = "2026-11-25T00:00:00Z".into();
    assert!(ask("UPDATE", &leaving, &bad));
    let workload = |replicas: u32, image: &str| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
               "spec": {"replicas": replicas, "template": {"spec": pod(&[image])["spec"]}}})
    };
    assert!(ask("UPDATE", &workload(1, "bad"), &workload(2, "bad")));
    assert!(!ask("UPDATE", &workload(3, "bad"), &workload(2, "bad")));
    assert!(!ask("UPDATE", &workload(1, "bad"), &workload(2, "good")));
}

#[test]
fn the_rest_is_judged_before_and_another_judge_is_taken_up() {
    let images = Fake::new(Failure::Closed);
    let mut admitter = admitter(Failure::Open, &images);
    let mut time = || Duration::from_secs(1);
    let (free, bad) = (create(&["free"]), create(&["bad"]));
    assert!(admitter.admit_but_images(&free, now(), &mut time).is_ok());
    let undecided = |admitter: &mut Admitter| {
        let mut time = || Duration::from_secs(1);
        admitter.admit_but_images(&bad, now(), &mut time).err()
    };
    let waits = undecided(&mut admitter).unwrap();
    let verdict = waits.decide(&bad, now(), Duration::from_secs(1));
    assert_eq!(told(&verdict), (Outcome::Denied, false, 403));
    // Without time it is neither signed nor unsigned.
    let waits = undecided(&mut admitter).unwrap();
    let verdict = waits.decide(&bad, now(), Duration::ZERO);
    assert_eq!(told(&verdict), (Outcome::Unknown, false, 500));

    let other = Fake::new(Failure::Open);
    let world = Arc::new(World::default());
    let options = AdmitOptions::default();
    let mut renewed = Renewed::new(&library(), Arc::clone(&world), options, now());
    renewed.ask_images(Arc::<Fake>::clone(&other));
    admitter.renew(renewed);
    admitter.renew(Renewed::new(&library(), world, options, now()));
    assert!(!admitter.admit(&bad, now()).allowed);
    assert_eq!(other.asked.load(Ordering::SeqCst), 1);
}

#[test]
fn policies_of_images_are_vetted_when_they_are_applied() {
    let images = Fake::new(Failure::Closed);
    let mut admitter = admitter(Failure::Open, &images);
    let mut policy = json!({"apiVersion": "policy.sigstore.dev/v1beta1",
        "kind": "ClusterImagePolicy", "metadata": {"name": "web"}});
    let verdict = admitter.admit(&review("CREATE", "", &policy, &Value::Null), now());
    assert_eq!(told(&verdict), (Outcome::Denied, false, 422));
    assert_eq!(verdict.response().message, "spec is missing");
    policy["spec"] = json!({});
    let verdict = admitter.admit(&review("CREATE", "", &policy, &Value::Null), now());
    assert_eq!(told(&verdict), (Outcome::Allowed, true, 299));
    assert_eq!(verdict.response().warnings, ["it lets nothing pass"]);
    let verdict = admitter.admit(&review("DELETE", "", &Value::Null, &policy), now());
    assert_eq!(told(&verdict), (Outcome::Allowed, true, 200));
}
