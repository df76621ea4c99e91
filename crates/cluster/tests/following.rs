//! What a follower tells, against an API in memory.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may end by panicking"
)]

use bartizan_cluster::fake::Fake;
use bartizan_cluster::{Change, Error, Following, Known, Name, Object, Resource, follow};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::mpsc::{self, Receiver};
use tokio::task::JoinHandle;

fn pods() -> Resource {
    Resource::new("", "v1", "Pod", "pods", true)
}

fn pod(name: &str, image: &str) -> Value {
    json!({"metadata": {"namespace": "n", "name": name}, "spec": {"image": image}})
}

fn quickly() -> Following {
    Following {
        page: 2,
        first_wait: Duration::from_millis(1),
        most_wait: Duration::from_millis(5),
        ..Following::default()
    }
}

fn start(fake: &Fake, how: Following) -> (Receiver<Change>, JoinHandle<Result<(), Error>>) {
    let (tell, told) = mpsc::channel(1);
    let fake = fake.clone();
    (
        told,
        tokio::spawn(async move { follow(&fake, &pods(), &how, &tell).await }),
    )
}

async fn next(told: &mut Receiver<Change>) -> Change {
    tokio::time::timeout(Duration::from_secs(10), told.recv())
        .await
        .expect("a change in time")
        .expect("a follower that goes on")
}

async fn present(told: &mut Receiver<Change>) -> Box<Object> {
    match next(told).await {
        Change::Present(object) => object,
        other => panic!("{other:?}"),
    }
}

/// Reads a list; the names in it.
async fn list(told: &mut Receiver<Change>) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        match next(told).await {
            Change::Present(object) => names.push(object.name.name),
            Change::Complete => return names,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn pages_then_changes() {
    let fake = Fake::new(vec![pods()]);
    for name in ["a", "b", "c", "d", "e"] {
        fake.put(&pods(), pod(name, "x")).unwrap();
    }
    let (mut told, _task) = start(&fake, quickly());
    assert_eq!(next(&mut told).await, Change::Begin);
    assert_eq!(list(&mut told).await, ["a", "b", "c", "d", "e"]);
    assert_eq!(
        fake.calls()
            .iter()
            .filter(|c| c.starts_with("list"))
            .count(),
        3
    );
    fake.put(&pods(), pod("c", "y")).unwrap();
    assert_eq!(present(&mut told).await.value["spec"]["image"], "y");
    fake.remove(&pods(), &Name::within("n", "a"));
    assert_eq!(next(&mut told).await, Change::Gone(Name::within("n", "a")));
}

#[tokio::test]
async fn a_watch_that_ends_goes_on_without_a_list_and_misses_nothing() {
    let fake = Fake::new(vec![pods()]);
    let (mut told, _task) = start(&fake, quickly());
    assert_eq!(next(&mut told).await, Change::Begin);
    assert_eq!(list(&mut told).await, [""; 0]);
    for round in 0..20 {
        fake.put(&pods(), pod("a", &round.to_string())).unwrap();
        fake.cut();
        fake.put(&pods(), pod("b", &round.to_string())).unwrap();
        for name in ["a", "b"] {
            let object = present(&mut told).await;
            assert_eq!(
                (object.name.name.as_str(), &object.value["spec"]["image"]),
                (name, &json!(round.to_string()))
            );
        }
    }
    assert_eq!(
        fake.calls()
            .iter()
            .filter(|c| c.starts_with("list"))
            .count(),
        1
    );
}

#[tokio::test]
async fn too_old_means_a_new_list_that_tells_what_is_gone() {
    let fake = Fake::new(vec![pods()]);
    fake.put(&pods(), pod("a", "x")).unwrap();
    fake.put(&pods(), pod("b", "x")).unwrap();
    let (mut told, _task) = start(&fake, quickly());
    let mut known = Known::new();
    assert_eq!(next(&mut told).await, Change::Begin);
    known.begin();
    for _ in 0..2 {
        known.present(&*present(&mut told).await);
    }
    assert_eq!(next(&mut told).await, Change::Complete);
    assert!(known.complete().is_empty());
    // Both happen while nobody watches and the log is thrown away.
    fake.fail([Error::Unreachable("restarting".into())]);
    fake.cut();
    assert!(matches!(
        next(&mut told).await,
        Change::Trouble(Error::Unreachable(_))
    ));
    fake.remove(&pods(), &Name::within("n", "a"));
    fake.compact();
    loop {
        match next(&mut told).await {
            Change::Begin => break,
            Change::Trouble(Error::Expired(_)) | Change::Resumed => {}
            // The removal may still have been seen.
            Change::Gone(name) => assert!(known.gone(&name)),
            other => panic!("{other:?}"),
        }
    }
    known.begin();
    assert!(!known.present(&*present(&mut told).await));
    assert_eq!(next(&mut told).await, Change::Complete);
    known.complete();
    assert_eq!(known.len(), 1);
}

#[tokio::test]
async fn a_bookmark_keeps_a_quiet_watch_young() {
    let fake = Fake::new(vec![pods()]);
    let (mut told, _task) = start(&fake, quickly());
    assert_eq!(next(&mut told).await, Change::Begin);
    list(&mut told).await;
    // Let the watch open before the bookmark passes by.
    while !fake.calls().iter().any(|c| c.starts_with("watch")) {
        tokio::task::yield_now().await;
    }
    fake.bookmark();
    tokio::time::sleep(Duration::from_millis(50)).await;
    fake.cut();
    fake.put(&pods(), pod("a", "x")).unwrap();
    present(&mut told).await;
    assert_eq!(
        fake.calls()
            .iter()
            .filter(|c| c.starts_with("list"))
            .count(),
        1
    );
}

#[tokio::test]
async fn trouble_is_told_and_the_list_begins_again() {
    let fake = Fake::new(vec![pods()]);
    for name in ["a", "b", "c"] {
        fake.put(&pods(), pod(name, "x")).unwrap();
    }
    // The first page fails, then the third call, which is the second page of the next try.
    fake.fail([Error::Denied("no".into())]);
    let (mut told, _task) = start(&fake, quickly());
    assert_eq!(next(&mut told).await, Change::Begin);
    assert!(matches!(
        next(&mut told).await,
        Change::Trouble(Error::Denied(_))
    ));
    assert_eq!(next(&mut told).await, Change::Begin);
    assert_eq!(list(&mut told).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn pages_that_are_too_large_are_asked_for_smaller() {
    let fake = Fake::new(vec![pods()]);
    for name in ["a", "b", "c"] {
        fake.put(&pods(), pod(name, "x")).unwrap();
    }
    fake.fail([Error::TooLarge { limit: 1 }]);
    let (mut told, _task) = start(&fake, quickly());
    assert_eq!(next(&mut told).await, Change::Begin);
    assert_eq!(next(&mut told).await, Change::Begin);
    assert_eq!(list(&mut told).await, ["a", "b", "c"]);
    assert_eq!(
        fake.calls()
            .iter()
            .filter(|c| c.starts_with("list"))
            .count(),
        4
    );
}

#[tokio::test]
async fn a_kind_that_is_no_longer_served_ends_it() {
    let fake = Fake::new(vec![pods()]);
    fake.fail([Error::NotFound("pods".into())]);
    let (mut told, task) = start(&fake, quickly());
    assert_eq!(next(&mut told).await, Change::Begin);
    assert!(matches!(task.await.unwrap(), Err(Error::NotFound(_))));
}

#[tokio::test]
async fn nobody_listening_ends_it() {
    let fake = Fake::new(vec![pods()]);
    let (mut told, task) = start(&fake, quickly());
    assert_eq!(next(&mut told).await, Change::Begin);
    list(&mut told).await;
    drop(told);
    let end = tokio::time::timeout(Duration::from_secs(5), task)
        .await
        .unwrap();
    assert_eq!(end.unwrap(), Ok(()));
}
