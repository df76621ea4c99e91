//! A system's life through the API: registered, scanned on request and by the clock, compared.

use crate::both;
use crate::support::{Said, World};
use axum::http::Method;
use bartizan_model::Outcome::{Fail, Pass, Unknown};
use bartizan_model::{Outcome, Scope, Timestamp};
use bartizan_server::work::schedules;
use serde_json::{Value, json};

/// Registers a system; its id.
async fn register(w: &World, name: &str, labels: &[&str]) -> String {
    let body = json!({"name": name, "how": "agent", "labels": labels,
        "facts": {"os": "Debian 12"}});
    let answer = w.post("/systems", body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// What an agent of `db-1` gets.
async fn claim(w: &World, wait: u64) -> Value {
    let body = json!({"runner": "db-1", "systems": ["db-1"], "wait_seconds": wait});
    let answer = w.post("/tasks/claim", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn scan_of(name: &str, id: &str, minutes: i64, limits: Outcome) -> Said {
    let mut said = Said::new(id, "x", minutes);
    said.report.scan.scope = Scope::parse(&format!("host:{name}")).unwrap();
    said.saw("limits", "web", limits)
        .saw("privileged", "web", Pass)
}

both!(asked_scanned_compared, |w| async move {
    let id = register(&w, "db-1", &["prod"]).await;
    let asked = w.post(&format!("/systems/{id}/scans"), json!({})).await;
    assert_eq!(asked.status, 202, "{}", asked.text());
    let twice = w.post(&format!("/systems/{id}/scans"), json!({})).await;
    assert_eq!(twice.status, 409, "{}", twice.text());
    let got = claim(&w, 0).await;
    let (task, token) = (got["task"]["id"].as_str().unwrap(), &got["token"]);
    assert_eq!(got["task"]["content"], "baseline");
    let said = json!({"token": token, "done": 3, "total": 9, "message": "sshd"});
    let on = w.post(&format!("/tasks/{task}/progress"), said).await;
    assert_eq!(on.json()["cancel"], false, "{}", on.text());
    let seen = w.get(&format!("/systems/{id}")).await;
    assert_eq!(seen["task"]["progress"], json!({"done": 3, "total": 9}));
    assert_eq!(
        (&seen["runner"], &seen["facts"]["os"]),
        (&json!("db-1"), &json!("Debian 12"))
    );
    // A scan of another system does not end this one's task, nor does a scan that is not there.
    w.import(&scan_of("web", "other", 1, Pass)).await;
    for scan in ["other", "none"] {
        let end = json!({"token": token, "state": "done", "scan": scan});
        let answer = w.post(&format!("/tasks/{task}/complete"), end).await;
        assert_eq!(answer.status, 422, "{}", answer.text());
    }
    w.import(&scan_of("db-1", "s1", 2, Fail)).await;
    let end = json!({"token": token, "state": "done", "scan": "s1"});
    let ended = w
        .post(&format!("/tasks/{task}/complete"), end.clone())
        .await;
    assert_eq!(ended.json()["state"], "done", "{}", ended.text());
    let again = w.post(&format!("/tasks/{task}/complete"), end).await;
    assert_eq!(again.status, 409, "{}", again.text());
    assert_eq!(again.json()["code"], "lease_lost");

    let alone = w.get(&format!("/systems/{id}/drift")).await;
    assert_eq!(
        (&alone["from"], &alone["items"]),
        (&Value::Null, &json!([]))
    );
    let cannot = Unknown {
        why: "no right".into(),
    };
    w.import(&scan_of("db-1", "s2", 3, cannot).saw("privileged", "api", Fail))
        .await;
    let drift = w.get(&format!("/systems/{id}/drift")).await;
    assert_eq!(
        (&drift["from"]["scan"], &drift["to"]["scan"]),
        (&json!("s1"), &json!("s2"))
    );
    let moved: Vec<String> = drift["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| {
            format!(
                "{} {}: {} > {}",
                i["change"], i["title"], i["before"], i["after"]
            )
        })
        .collect();
    assert_eq!(
        moved,
        [
            r#""opened" "About privileged": null > "fail""#,
            r#""changed" "About limits": "fail" > "unknown""#
        ]
    );
    let back = w.get(&format!("/systems/{id}/drift?from=s2&to=s1")).await;
    assert_eq!((&back["opened"], &back["fixed"]), (&json!(1), &json!(0)));
    let foreign = w.fetch(&format!("/systems/{id}/drift?from=other")).await;
    assert_eq!(foreign.status, 404);
    let other = register(&w, "db-2", &[]).await;
    let path = format!("/systems/{id}/compare/{other}");
    assert_eq!(w.get(&path).await["from"], Value::Null);
    w.import(&scan_of("db-2", "t1", 4, Pass)).await;
    let both = w.get(&path).await;
    assert_eq!(
        (&both["from"]["scan"], &both["to"]["scan"]),
        (&json!("t1"), &json!("s2"))
    );
    assert_eq!((&both["opened"], &both["changed"]), (&json!(1), &json!(1)));
    let back = w.get(&format!("/systems/{other}/compare/{id}")).await;
    assert_eq!((&back["fixed"], &back["opened"]), (&json!(1), &json!(0)));
    let gone = w.fetch(&format!("/systems/{id}/compare/nobody")).await;
    assert_eq!(gone.status, 404);
    let history = w.get(&format!("/systems/{id}/history")).await;
    let points: Vec<&Value> = history["items"].as_array().unwrap().iter().collect();
    assert_eq!(points.len(), 2);
    assert_eq!(points[1]["counts"]["unknown"], 1);
    let listed = w.get("/systems?label=prod&q=DB").await;
    assert_eq!(listed["items"][0]["last_scan"]["scan"], "s2");
    let gone = w
        .call(Method::DELETE, &format!("/systems/{id}"), json!({}))
        .await;
    assert_eq!(gone.status, 204);
    assert_eq!(w.get("/tasks").await["items"], json!([]));
    assert_eq!(
        w.get("/scans?scope=host%3Adb-1").await["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
});

both!(runners_wait_and_stop, |w| async move {
    let id = register(&w, "db-1", &[]).await;
    let ask = async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        w.post(&format!("/systems/{id}/scans"), json!({})).await
    };
    let begun = std::time::Instant::now();
    let (got, asked) = tokio::join!(claim(&w, 30), ask);
    assert_eq!(got["task"]["id"], asked.json()["id"]);
    assert!(begun.elapsed().as_secs() < 10);
    let task = got["task"]["id"].as_str().unwrap();
    let told = w.post(&format!("/tasks/{task}/cancel"), json!({})).await;
    assert_eq!(told.json()["cancel_requested"], true, "{}", told.text());
    let said = json!({"token": got["token"], "done": 1});
    let on = w.post(&format!("/tasks/{task}/progress"), said).await;
    assert_eq!(on.json()["cancel"], true);
    // The runner dies instead: the task ends as what was asked for, and is not begun again.
    w.clock.advance(61);
    schedules::once(&w.state).await.unwrap();
    let ended = w.get(&format!("/tasks/{task}")).await;
    assert_eq!(ended["state"], "cancelled", "{ended}");
    assert_eq!(claim(&w, 0).await["task"], Value::Null);
});

both!(the_clock_asks, |w| async move {
    register(&w, "db-1", &["prod", "db"]).await;
    register(&w, "db-2", &["db"]).await;
    let bad = json!({"name": "x", "cron": "0 2 * *", "systems": ["*"]});
    let refused = w.post("/schedules", bad).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("five fields"), "{}", refused.text());
    let body = json!({"name": "nightly", "cron": "30  2 * * *", "labels": ["db", "prod"]});
    let made = w.post("/schedules", body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(made.json()["next_runs"][0], "2026-11-22T02:30:00Z");
    schedules::once(&w.state).await.unwrap();
    assert_eq!(w.get("/tasks").await["items"], json!([]));
    // Two runs were missed; one makes up for them.
    w.clock
        .set(Timestamp::parse("2026-11-23T12:00:00Z").unwrap());
    schedules::once(&w.state).await.unwrap();
    schedules::once(&w.state).await.unwrap();
    let tasks = w.get("/tasks").await;
    let tasks: Vec<&Value> = tasks["items"].as_array().unwrap().iter().collect();
    assert_eq!(tasks.len(), 1);
    assert_eq!(
        (
            &tasks[0]["system_name"],
            &tasks[0]["schedule"],
            &tasks[0]["asked_by"]
        ),
        (&json!("db-1"), &json!(id), &json!("system"))
    );
    let path = format!("/schedules/{id}");
    let seen = w.get(&path).await;
    assert_eq!(seen["next_runs"][0], "2026-11-24T02:30:00Z");
    let system = w.get("/systems?q=db-1").await;
    assert_eq!(system["items"][0]["schedules"][0]["name"], "nightly");
    let off = w
        .call(Method::PATCH, &path, json!({"enabled": false}))
        .await;
    assert_eq!(off.json()["next_runs"], json!([]), "{}", off.text());
    w.clock
        .set(Timestamp::parse("2026-11-30T12:00:00Z").unwrap());
    schedules::once(&w.state).await.unwrap();
    assert_eq!(w.get("/tasks").await["items"].as_array().unwrap().len(), 1);
    let gone = w.call(Method::DELETE, &path, json!({})).await;
    assert_eq!(gone.status, 204);
    assert_eq!(w.fetch(&path).await.status, 404);
});
