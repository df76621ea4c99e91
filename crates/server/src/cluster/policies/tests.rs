//! Policies of a cluster in memory.

use super::*;
use bartizan_cluster::fake::Fake;

fn resource(group: &str, kind: &str) -> Resource {
    let plural = format!("{}s", kind.to_lowercase());
    Resource::new(group, "v1", kind, &plural, false)
}

fn templates() -> Resource {
    let mut resource = resource("templates.gatekeeper.sh", "ConstraintTemplate");
    resource.subresources.push("status".into());
    resource
}

fn template() -> Value {
    json!({"apiVersion": "templates.gatekeeper.sh/v1", "kind": "ConstraintTemplate",
        "metadata": {"name": "needslabel"},
        "spec": {"crd": {"spec": {"names": {"kind": "NeedsLabel"}}}, "targets": []}})
}

async fn until(what: &str, so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "not in time: {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn nothing_is_known_before_everything_is_and_changes_are_seen() {
    let namespaces = resource("", "Namespace");
    let crds = resource("apiextensions.k8s.io", "CustomResourceDefinition");
    let fake = Fake::new(vec![templates(), namespaces.clone(), crds.clone()]);
    fake.put(&templates(), template()).unwrap();
    fake.put(&namespaces, json!({"metadata": {"name": "shop"}}))
        .unwrap();
    let watched = Arc::new(Watched::new(Arc::new(fake.clone()), true));
    assert!(watched.snapshot().unwrap_err().contains("what it serves"));
    let stop = CancellationToken::new();
    let (of, stopping) = (Arc::clone(&watched), stop.clone());
    let task = tokio::spawn(async move { of.run(stopping).await });
    watched.ready(&stop).await;
    let snapshot = watched.snapshot().unwrap();
    assert_eq!(snapshot.policies.len(), 1);
    assert_eq!(
        snapshot.policies[0].0,
        "cluster/ConstraintTemplate/needslabel.json"
    );
    assert_eq!(snapshot.world.len(), 1);

    // A kind of constraints is made, and the template says so.
    until("the template's status", || {
        let found = fake.object(&templates(), &Name::of_cluster("needslabel"));
        found.is_some_and(|o| o.value["status"]["created"] == true)
    })
    .await;
    let name = Name::of_cluster("needslabel.constraints.gatekeeper.sh");
    assert!(fake.object(&crds, &name).is_some());

    // A status is no change of policy; a spec is.
    let before = watched.version();
    let mut with_status = template();
    with_status["status"] = json!({"x": 1});
    fake.put(&templates(), with_status).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(watched.version(), before);
    let mut other = template();
    other["spec"]["targets"] = json!([{}]);
    fake.put(&templates(), other).unwrap();
    until("the change", || watched.version() != before).await;
    let before = watched.version();
    fake.remove(&templates(), &Name::of_cluster("needslabel"));
    until("the end", || watched.version() != before).await;
    assert!(watched.snapshot().unwrap().policies.is_empty());
    let before = watched.version();
    fake.put(&namespaces, json!({"metadata": {"name": "other"}}))
        .unwrap();
    until("another namespace", || watched.version() != before).await;
    assert_eq!(watched.snapshot().unwrap().world.len(), 2);
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn what_may_not_be_read_is_said_and_there_is_no_snapshot() {
    let fake = Fake::new(vec![templates(), resource("", "Namespace")]);
    let watched = Arc::new(Watched::new(Arc::new(fake.clone()), false));
    let stop = CancellationToken::new();
    let (of, stopping) = (Arc::clone(&watched), stop.clone());
    let denied = || bartizan_cluster::Error::Denied("list constrainttemplates".into());
    let task = tokio::spawn(async move { of.run(stopping).await });
    fake.fail([denied(), denied(), denied()]);
    until("it is read in the end", || watched.snapshot().is_ok()).await;
    stop.cancel();
    task.await.unwrap();
}
