//! Discovery, lists, watches, apply, status and leases.

use crate::setup::{Real, next, until};
use bartizan_cluster::{
    Campaign, Change, Error, Fault, Following, Known, Name, Object, PageRequest, Patch, Resource,
    campaign, follow,
};
use bartizan_model::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{mpsc, watch};

fn config_maps() -> Resource {
    Resource::new("", "v1", "ConfigMap", "configmaps", true)
}

fn config_map(namespace: &str, name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": namespace, "name": name}, "data": {"a": "b"}})
}

#[tokio::test]
#[ignore = "needs a Kubernetes API: make test-cluster"]
async fn discovers_built_in_and_custom_kinds() {
    let real = Real::new().await;
    real.apply(&json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "houses.test.bartizan.invalid"},
        "spec": {
            "group": "test.bartizan.invalid", "scope": "Cluster",
            "names": {"plural": "houses", "singular": "house", "kind": "House", "listKind": "HouseList"},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    }));
    until("the custom kind is served", async || {
        real.cluster
            .discover()
            .await
            .unwrap()
            .find("test.bartizan.invalid", "House")
            .is_some()
    })
    .await;
    let found = real.cluster.discover().await.unwrap();
    assert_eq!(found.unserved, []);
    let pods = found.find("", "Pod").unwrap();
    assert!(pods.namespaced && pods.can("watch"));
    assert!(pods.subresources.iter().any(|s| s == "ephemeralcontainers"));
    let deployments = found.find_at("apps", "v1", "Deployment").unwrap();
    assert!(deployments.subresources.iter().any(|s| s == "scale"));
    let houses = found.find("test.bartizan.invalid", "House").unwrap();
    assert!(!houses.namespaced);

    // Deeper than our reader goes: that one object is unread, the other is not hidden.
    let deep = (0..300).fold(json!("end"), |inner, _| json!({ "a": inner }));
    for (name, spec) in [("deep", deep), ("flat", json!({"a": 1}))] {
        let house = json!({
            "apiVersion": "test.bartizan.invalid/v1", "kind": "House", "metadata": {"name": name}, "spec": spec,
        });
        real.apply(&house);
    }
    let page = real
        .cluster
        .list(houses, &PageRequest::default())
        .await
        .unwrap();
    assert_eq!(page.objects.len(), 2);
    assert_eq!(page.objects[0].name.name, "deep");
    assert!(page.objects[0].unread.is_some() && page.objects[1].unread.is_none());

    // Status has a path of its own: what is patched there changes nothing else.
    let status = Patch::Merge(json!({"status": {"lights": 3}, "spec": {"a": 2}}));
    let flat = Name::of_cluster("flat");
    let changed = real
        .cluster
        .patch(houses, &flat, Some("status"), &status)
        .await
        .unwrap();
    assert_eq!(
        (
            &changed.value["status"]["lights"],
            &changed.value["spec"]["a"]
        ),
        (&json!(3), &json!(1))
    );
    real.kubectl(&["delete", "crd", "houses.test.bartizan.invalid"]);
}

#[tokio::test]
#[ignore = "needs a Kubernetes API: make test-cluster"]
async fn pages_and_changes_across_a_restart_of_the_api_server() {
    let real = Real::new().await;
    real.namespace("pages").await;
    let items: Vec<Value> = (0..450)
        .map(|n| config_map("pages", &format!("c-{n:03}")))
        .collect();
    real.apply(&json!({"apiVersion": "v1", "kind": "List", "items": items}));

    let (tell, mut told) = mpsc::channel(16);
    let cluster = real.cluster.clone();
    let how = Following {
        page: 100,
        namespace: Some("pages".to_owned()),
        first_wait: Duration::from_millis(50),
        ..Following::default()
    };
    let following =
        tokio::spawn(async move { follow(&*cluster, &config_maps(), &how, &tell).await });
    let mut known = Known::new();
    let mut seen = BTreeSet::new();
    assert_eq!(next(&mut told).await, Change::Begin);
    known.begin();
    loop {
        match next(&mut told).await {
            Change::Present(object) => {
                assert_eq!(object.value["kind"], "ConfigMap");
                known.present(&object);
                assert!(seen.insert(object.name.name), "told twice");
            }
            Change::Complete => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(known.complete().is_empty());
    assert_eq!(seen.iter().filter(|n| n.starts_with("c-")).count(), 450);

    real.kubectl(&["-n", "pages", "annotate", "configmap", "c-007", "x=y"]);
    let Change::Present(object) = next(&mut told).await else {
        panic!()
    };
    assert_eq!(object.value["metadata"]["annotations"]["x"], "y");
    assert!(known.present(&object));
    real.kubectl(&["-n", "pages", "delete", "configmap", "c-008"]);
    assert_eq!(
        next(&mut told).await,
        Change::Gone(Name::within("pages", "c-008"))
    );
    known.gone(&Name::within("pages", "c-008"));

    // Whatever happens while the server is away and while we come back is known in the end,
    // by the watch that goes on or by a new list.
    real.restart().await;
    real.kubectl(&["-n", "pages", "delete", "configmap", "c-009"]);
    real.kubectl(&["-n", "pages", "create", "configmap", "late"]);
    let (mut late, mut gone, mut settled) = (false, false, true);
    while !(late && gone && settled) {
        match next(&mut told).await {
            Change::Begin => {
                known.begin();
                settled = false;
            }
            Change::Present(object) => late |= known.present(&object) && object.name.name == "late",
            Change::Gone(name) => gone |= known.gone(&name) && name.name == "c-009",
            Change::Complete => {
                gone |= known.complete().contains(&Name::within("pages", "c-009"));
                settled = true;
            }
            Change::Trouble(error) => assert!(error.passes(), "{error}"),
            Change::Resumed => {}
        }
    }
    assert_eq!(known.len(), seen.len() - 1);
    drop(told);
    assert_eq!(following.await.unwrap(), Ok(()));
    real.kubectl(&["delete", "namespace", "pages", "--wait=false"]);
}

#[tokio::test]
#[ignore = "needs a Kubernetes API: make test-cluster"]
async fn a_version_that_is_too_old_is_told_apart() {
    let real = Real::new().await;
    // A server that has just started knows no history.
    real.restart().await;
    let events = real.cluster.watch(&config_maps(), None, "1").await;
    let error = match events {
        Err(error) => error,
        Ok(mut events) => loop {
            match futures::StreamExt::next(&mut events).await {
                Some(Ok(_)) => {}
                Some(Err(error)) => break error,
                None => panic!("the watch ended"),
            }
        },
    };
    assert!(matches!(error, Error::Expired(_)), "{error}");
}

#[tokio::test]
#[ignore = "needs a Kubernetes API: make test-cluster"]
async fn applied_fields_have_owners() {
    let real = Real::new().await;
    real.namespace("applying").await;
    let name = Name::within("applying", "shared");
    let apply = |manager: &str, force: bool, a: &str| {
        let mut object = config_map("applying", "shared");
        object["data"]["a"] = a.into();
        Patch::Apply {
            manager: manager.to_owned(),
            force,
            object,
        }
    };
    let patch = async |patch: Patch| {
        real.cluster
            .patch(&config_maps(), &name, None, &patch)
            .await
    };
    assert_eq!(
        patch(apply("one", false, "1")).await.unwrap().value["data"]["a"],
        "1"
    );
    let other = patch(apply("two", false, "2")).await;
    assert!(matches!(other, Err(Error::Conflict(_))), "{other:?}");
    assert_eq!(
        patch(apply("two", true, "2")).await.unwrap().value["data"]["a"],
        "2"
    );

    let there = real.cluster.get(&config_maps(), &name).await.unwrap();
    let again = Object::read(&config_maps(), config_map("applying", "shared")).unwrap();
    let again = real.cluster.create(&config_maps(), &again).await;
    assert!(matches!(again, Err(Error::Conflict(_))), "{again:?}");
    real.kubectl(&["-n", "applying", "annotate", "configmap", "shared", "x=y"]);
    let stale = real.cluster.replace(&config_maps(), &there).await;
    assert!(matches!(stale, Err(Error::Conflict(_))), "{stale:?}");
    real.cluster.delete(&config_maps(), &name).await.unwrap();
    let gone = real.cluster.get(&config_maps(), &name).await;
    assert!(matches!(gone, Err(Error::NotFound(_))), "{gone:?}");

    let mut wrong = config_map("applying", "wrong");
    wrong["data"] = json!({"no/key": "x"});
    let wrong = Patch::Apply {
        manager: "one".to_owned(),
        force: false,
        object: wrong,
    };
    let wrong = real
        .cluster
        .patch(
            &config_maps(),
            &Name::within("applying", "wrong"),
            None,
            &wrong,
        )
        .await;
    assert_eq!(wrong.unwrap_err().fault(), Fault::Request);
    real.kubectl(&["delete", "namespace", "applying", "--wait=false"]);
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_micros(since.as_micros() as i64)
}

#[tokio::test]
#[ignore = "needs a Kubernetes API: make test-cluster"]
async fn one_of_two_leads() {
    let real = Real::new().await;
    real.namespace("leading").await;
    let run = |who: &'static str| {
        let cluster = real.cluster.clone();
        let (leads, told) = watch::channel((false, None));
        let (stop, mut stopping) = watch::channel(false);
        tokio::spawn(async move {
            let how = Campaign {
                name: Name::within("leading", "audit"),
                identity: who.to_owned(),
                duration: Duration::from_secs(4),
                clock: &now,
            };
            campaign(&*cluster, &how, &leads, &mut stopping).await;
        });
        (told, stop)
    };
    let (mut a, stop_a) = run("a");
    a.wait_for(|(leads, _)| *leads).await.unwrap();
    let (mut b, _stop_b) = run("b");
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert!(
        a.borrow().0 && !b.borrow().0,
        "{:?} {:?}",
        a.borrow(),
        b.borrow()
    );
    let holder = "jsonpath={.spec.holderIdentity} {.spec.leaseTransitions}";
    assert_eq!(
        real.kubectl(&["-n", "leading", "get", "lease", "audit", "-o", holder]),
        "a 0"
    );
    stop_a.send(true).unwrap();
    b.wait_for(|(leads, _)| *leads).await.unwrap();
    assert_eq!(
        real.kubectl(&["-n", "leading", "get", "lease", "audit", "-o", holder]),
        "b 1"
    );
    real.kubectl(&["delete", "namespace", "leading", "--wait=false"]);
}

#[tokio::test]
#[ignore = "needs a Kubernetes API: make test-cluster"]
async fn errors_say_whose_fault_it_is() {
    use bartizan_cluster::{Source, connect};
    let real = Real::new().await;
    let config = std::fs::read_to_string(std::env::var_os("KUBECONFIG").unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let with = async |text: String| {
        let path = folder.path().join("config");
        std::fs::write(&path, text).unwrap();
        let source = Source::Kubeconfig {
            path: Some(path),
            context: None,
        };
        match connect(&source).await {
            Ok(cluster) => cluster
                .list(&config_maps(), &PageRequest::default())
                .await
                .unwrap_err(),
            Err(error) => error,
        }
    };
    let token = config
        .split("token: \"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let error = with(config.replace(token, "wrong")).await;
    assert!(matches!(error, Error::Unauthenticated(_)), "{error}");
    let error = with(config.replace("current-context: test", "current-context: nowhere")).await;
    assert!(matches!(error, Error::Configuration(_)), "{error}");
    let error = with(config.replace("https://127.0.0.1:", "https://127.0.0.2:")).await;
    assert_eq!(error.fault(), Fault::Network, "{error}");
    // An authority that did not sign the server's certificate.
    let other = rcgen::generate_simple_self_signed(["x".to_owned()]).unwrap();
    std::fs::write(folder.path().join("ca.crt"), other.cert.pem()).unwrap();
    let authority = config
        .split("certificate-authority: \"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let ours = folder.path().join("ca.crt");
    let error = with(config.replace(authority, ours.to_str().unwrap())).await;
    assert_eq!(error.fault(), Fault::Network, "{error}");
    let missing = Resource::new("nowhere.invalid", "v1", "Nothing", "nothings", false);
    let error = real
        .cluster
        .list(&missing, &PageRequest::default())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error}");
}
