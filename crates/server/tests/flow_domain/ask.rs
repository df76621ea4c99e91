//! Questions: the index follows the store, and answers come as events or at once.

use crate::both;
use crate::matching::{advisory, apply, inventory, settle};
use crate::support::{Answer, World, token};
use axum::body::Body;
use axum::http::{Method, Request};
use bartizan_ask::own::Own;
use bartizan_model::{Role, TenantId};
use bartizan_server::ask::follow;
use bartizan_server::own::StoreOwn;
use bartizan_server::route::BASE;
use bartizan_store::vulnerabilities::{Change, Figures, Flags, RecordKind, Row};
use bartizan_vuln::feeds::{cve, kev::KevEntry};
use bartizan_vuln::record::Record;
use serde_json::{Value, json};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

fn row(record: &Record, kind: RecordKind) -> Change {
    let figures = Figures {
        kind,
        changed: record.changed(),
        published: None,
        score: None,
        flags: Flags::default(),
        title: String::new(),
        terms: Vec::new(),
    };
    Change::Put(Box::new(
        Row::new(&record.key(), &record.encode(), figures).unwrap(),
    ))
}

fn record(n: usize, text: &str, day: u8) -> Change {
    let json = json!({"dataType": "CVE_RECORD", "dataVersion": "5.1",
        "cveMetadata": {"cveId": format!("CVE-2024-{n:04}"), "state": "PUBLISHED",
            "datePublished": "2024-05-01T00:00:00Z", "dateUpdated": format!("2024-06-{day:02}T00:00:00Z")},
        "containers": {"cna": {"descriptions": [{"lang": "en", "value": text}]}}});
    let record = cve::parse(json.to_string().as_bytes()).unwrap();
    row(&Record::Cve(Box::new(record)), RecordKind::Cve)
}

async fn asked(w: &World, question: &str, accept: &str) -> Answer {
    asked_by(w, &w.token, question, accept).await
}

async fn asked_by(w: &World, token: &str, question: &str, accept: &str) -> Answer {
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{BASE}/ask"))
        .header("content-type", "application/json")
        .header("accept", accept)
        .body(Body::from(json!({"question": question}).to_string()))
        .unwrap();
    w.send(token, request).await
}

async fn ask(w: &World, question: &str) -> Value {
    let answer = asked(w, question, "application/json").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Asks until the first source is this one.
async fn until(w: &World, question: &str, id: &str) -> Value {
    for _ in 0..300 {
        let answer = asked(w, question, "application/json").await;
        if answer.status == 200 && answer.json()["sources"][0]["id"] == id {
            return answer.json();
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("{question} never found {id}");
}

both!(the_index_follows_the_store, |w| async move {
    let early = w.post("/ask", json!({"question": "rocket"})).await;
    assert_eq!(early.status, 503, "{}", early.text());
    assert_eq!(early.json()["code"], "no_index");

    let words = ["rocket", "kettle", "teapot", "samovar", "lantern", "anchor"];
    let records: Vec<Change> = words
        .iter()
        .enumerate()
        .map(|(i, word)| {
            record(
                i,
                &format!("A buffer overflow in {word} lets attackers execute code."),
                1,
            )
        })
        .collect();
    let known = w.state.store.vulnerabilities();
    known.apply(records, w.state.now()).await.unwrap();
    let stop = CancellationToken::new();
    let following = tokio::spawn(follow(w.state.clone(), stop.clone()));

    let answer = until(&w, "overflow in teapot", "CVE-2024-0002").await;
    assert_eq!(answer["outcome"], "answered");
    assert_eq!(answer["by"], "records");
    assert_eq!(answer["sources"][0]["exploited"], false);
    let sentence = &answer["sentences"][0];
    assert_eq!(sentence["cites"], json!(["CVE-2024-0002"]), "{sentence}");

    // A record that changes, and one that CISA lists: without a restart.
    let listed = Record::Kev(KevEntry {
        cve: "CVE-2024-0002".into(),
        date_added: "2024-07-01".into(),
        due_date: String::new(),
        required_action: String::new(),
        known_ransomware_campaign_use: String::new(),
        vulnerability_name: String::new(),
    });
    let changes = vec![
        record(3, "The harpoon writes its passwords to a log.", 2),
        row(&listed, RecordKind::Kev),
    ];
    known.apply(changes, w.state.now()).await.unwrap();
    until(&w, "passwords in the log of harpoon", "CVE-2024-0003").await;
    let answer = ask(&w, "exploited overflow in teapot").await;
    assert_eq!(answer["filters"], json!(["known to be exploited"]));
    assert_eq!(answer["sources"][0]["id"], "CVE-2024-0002");
    let none = ask(&w, "how do I bake sourdough bread").await;
    assert_eq!(none["outcome"], "nothing");
    let empty = w.post("/ask", json!({"question": " "})).await;
    assert_eq!(empty.status, 422, "{}", empty.text());

    // The same as events.
    let events = asked(&w, "what is CVE-2024-0001?", "text/event-stream")
        .await
        .text();
    let names: Vec<&str> = events
        .lines()
        .filter_map(|l| l.strip_prefix("event: "))
        .collect();
    assert_eq!(names.first(), Some(&"found"), "{events}");
    assert_eq!(names.last(), Some(&"done"), "{events}");
    assert!(
        names.contains(&"sentence") && events.contains("kettle"),
        "{events}"
    );
    stop.cancel();
    following.await.unwrap();
});

both!(tenants_hear_of_their_own_systems_alone, |w| async move {
    let other = TenantId::new("other").unwrap();
    let other = w
        .state
        .store
        .create_tenant(&other, w.state.now())
        .await
        .unwrap();
    let theirs = token(&w.state, &other, Role::Admin).await;
    let empty = TenantId::new("empty").unwrap();
    let empty = w
        .state
        .store
        .create_tenant(&empty, w.state.now())
        .await
        .unwrap();
    let empty = token(&w.state, &empty, Role::Viewer).await;
    let npm = [("pkg:npm/left-pad@1.0.0", "npm")];
    let taken = w
        .post("/components", inventory("web", &npm, &["/x.jar: broken"]))
        .await;
    assert_eq!(taken.status, 202, "{}", taken.text());
    let request = Request::post(format!("{BASE}/components"))
        .header("content-type", "application/json")
        .body(Body::from(inventory("vault", &npm, &[]).to_string()))
        .unwrap();
    assert_eq!(w.send(&theirs, request).await.status, 202);
    for (id, cve, package) in [
        ("GHSA-aaaa-bbbb-0001", "CVE-2026-0001", "left-pad"),
        ("GHSA-aaaa-bbbb-0002", "CVE-2026-0002", "right-pad"),
    ] {
        let hole = advisory(id, cve, "npm", package, "1.0.1");
        apply(&w, Record::Advisory(Box::new(hole))).await;
    }
    settle(&w).await;
    assert_eq!(
        w.post("/ask", json!({"question": "x"})).await.status,
        503,
        "nobody asked before"
    );
    let stop = CancellationToken::new();
    let following = tokio::spawn(follow(w.state.clone(), stop.clone()));
    let id = "test:GHSA-aaaa-bbbb-0001";
    until(&w, "what is GHSA-aaaa-bbbb-0001?", id).await;

    let by = async |token: &str, question: &str| {
        let answer = asked_by(&w, token, question, "application/json").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let mine = w.token.clone();
    for question in [
        "am I affected by CVE-2026-0001?",
        "which of my hosts are affected by CVE-2026-0001?",
        "vulnerabilities in my cluster",
    ] {
        for (token, here, elsewhere) in [(&mine, "web", "vault"), (&theirs, "vault", "web")] {
            let answer = by(token, question).await;
            let text = answer.to_string();
            assert!(!text.contains(elsewhere), "{question}: {text}");
            let own = answer["sentences"]
                .as_array()
                .unwrap()
                .iter()
                .find(|s| s["cites"] == json!(["OWN-1"]))
                .unwrap_or_else(|| panic!("{question}: {text}"));
            let words = own["text"].as_str().unwrap();
            assert_eq!(
                words,
                format!(
                    "left-pad 1.0.0 on Host {here} (host:{here}) is affected by CVE-2026-0001; \
                     1.0.1 fixes it. [OWN-1]"
                ),
                "{text}"
            );
            let source = answer["sources"]
                .as_array()
                .unwrap()
                .iter()
                .find(|s| s["id"] == "OWN-1")
                .unwrap();
            assert_eq!(source["asset"], format!("host:{here}//Host//{here}"));
            let finding = source["finding"].as_str().unwrap();
            let request = Request::get(format!("{BASE}/findings/{finding}"))
                .body(Body::empty())
                .unwrap();
            assert_eq!(w.send(token, request).await.status, 200, "{finding}");
        }
    }
    // Of an inventory that is not whole that is told; of none, that nothing can be said.
    let answer = by(&mine, "am I affected by CVE-2026-0002?").await;
    let text = answer.to_string();
    assert!(
        text.contains("No component of it matches CVE-2026-0002"),
        "{text}"
    );
    assert!(
        answer["unknown"].to_string().contains("is not whole"),
        "{text}"
    );
    let answer = by(&theirs, "am I affected by CVE-2026-0002?").await;
    assert_eq!(answer["unknown"], json!([]), "{answer}");
    let answer = by(&empty, "am I affected by CVE-2026-0001?").await;
    let text = answer.to_string();
    assert!(text.contains("no inventory of yours is known"), "{text}");
    assert!(
        !text.contains("OWN-") && !text.contains("INVENTORY"),
        "{text}"
    );
    // A store that does not answer is no empty inventory.
    let own = StoreOwn::new(w.state.store.clone(), tokio::runtime::Handle::current());
    let nobody = TenantId::new("nobody").unwrap();
    let (size, matches) = tokio::task::spawn_blocking(move || {
        let names = ["CVE-2026-0001".to_owned()];
        (own.inventory(&nobody), own.matches(&nobody, &names, 9))
    })
    .await
    .unwrap();
    let why = "your inventory could not be read".to_owned();
    assert_eq!(
        (size.unwrap_err(), matches.unwrap_err()),
        (why.clone(), why)
    );
    stop.cancel();
    following.await.unwrap();
});
