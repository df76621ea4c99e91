//! Questions: the index follows the store, and answers come as events or at once.

use crate::both;
use crate::support::{Answer, World};
use axum::body::Body;
use axum::http::{Method, Request};
use bartizan_server::ask::follow;
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
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{BASE}/ask"))
        .header("content-type", "application/json")
        .header("accept", accept)
        .body(Body::from(json!({"question": question}).to_string()))
        .unwrap();
    w.send(&w.token, request).await
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
