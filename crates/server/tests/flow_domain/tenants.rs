//! What one tenant has, another does not see: every GET of the table is walked.

use crate::both;
use crate::matching::{advisory, apply, settle};
use crate::support::{Said, World, token};
use axum::body::Body;
use axum::http::{Method, Request};
use bartizan_model::Outcome::Fail;
use bartizan_model::{Role, TenantId};
use bartizan_server::route::{BASE, entries};
use bartizan_vuln::Record;
use serde_json::json;
use std::collections::BTreeSet;

/// Percent-encodes what may not stand in a path segment.
fn segment(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b if b.is_ascii_alphanumeric() || b"-_.".contains(&b) => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect()
}

both!(tenants_are_apart, |w| async move {
    // The default tenant has everything, marked.
    let marker = "marksman";
    w.import(&Said::new("scan-marksman", marker, 1).saw("privileged", marker, Fail))
        .await;
    let evidence = w
        .upload(
            "/artifacts?kind=evidence&name=marksman.txt",
            &[],
            marker.into(),
        )
        .await;
    let digest = evidence.json()["artifact"].as_str().unwrap().to_owned();
    let verdict = json!({"scope": "cluster:marksman", "verdict": "passed", "reason": marker,
        "evidence": [digest], "expires": "2027-01-01"});
    w.post("/frameworks/demo/controls/D-3/assessments", verdict)
        .await;
    w.post(
        "/attestations",
        json!({"scope": "cluster:marksman", "framework": "demo"}),
    )
    .await;
    let system = json!({"name": marker, "how": "agent", "labels": [marker],
        "facts": {"os": marker}});
    let system = w.post("/systems", system).await.json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    w.post(&format!("/systems/{system}/scans"), json!({})).await;
    let nightly = json!({"name": marker, "cron": "0 2 * * *", "systems": ["*"]});
    let schedule = w.post("/schedules", nightly).await.json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let components = json!({"scope": "cluster:marksman", "source": marker,
        "asset": {"uid": "cluster:marksman//Image/marksman", "kind": "Image", "name": marker},
        "components": [{"purl": "pkg:npm/left-pad@1.0.0-marksman", "ecosystem": "npm",
            "target": "cluster:marksman//Image/marksman"}]});
    let taken = w.post("/components", components).await;
    assert_eq!(taken.status, 202, "{}", taken.text());
    // What is known of the vulnerability is everybody's, so the mark is in the version alone.
    let hole = advisory("GHSA-1", "CVE-2026-0001", "npm", "left-pad", "1.0.1");
    apply(&w, Record::Advisory(Box::new(hole))).await;
    settle(&w).await;
    w.sequence().await;
    let first = async |path: &str, name: &str| {
        let found = w.get(path).await;
        found["items"][0][name].as_str().unwrap().to_owned()
    };
    let key = first("/findings", "key").await;
    let job = first("/jobs", "id").await;
    let scan = first("/scans", "id").await;
    let attestation = first("/attestations", "id").await;
    let entry = first("/audit", "entry_id").await;
    let task = first("/tasks", "id").await;

    let other = TenantId::new("other").unwrap();
    let other = w
        .state
        .store
        .create_tenant(&other, w.state.now())
        .await
        .unwrap();
    let token = token(&w.state, &other, Role::Admin).await;
    let mut walked = 0;
    // Where the owner sees the mark: only there the walk can lose.
    let mut seen = BTreeSet::new();
    for line in entries() {
        if line.method != Method::GET || !line.path.starts_with(BASE) {
            continue;
        }
        let whose = |path: &str| match path {
            p if p.contains("/findings/") => key.clone(),
            p if p.contains("/jobs/") => job.clone(),
            p if p.contains("/scans/") => scan.clone(),
            p if p.contains("/attestations/") => attestation.clone(),
            p if p.contains("/systems/") => system.clone(),
            p if p.contains("/tasks/") => task.clone(),
            p if p.contains("/schedules/") => schedule.clone(),
            p if p.contains("/frameworks/") => "demo".to_owned(),
            // What is known of a vulnerability is everybody's; whom it hits is not.
            p if p.contains("/vulnerabilities/") => "CVE-2026-0001".to_owned(),
            p => panic!("{p}: whose id is this? Add it to the walk."),
        };
        let mut path = line.path.clone();
        for (name, value) in [
            ("{digest}", digest.clone()),
            ("{key}", key.clone()),
            ("{other}", system.clone()),
            ("{entry_id}", entry.clone()),
            ("{control}", "D-3".to_owned()),
            ("{token}", "0191d6c0-0000-7000-8000-000000000000".to_owned()),
            ("{*path}", "entries/000.p/5".to_owned()),
        ] {
            let value = if name == "{*path}" {
                value
            } else {
                segment(&value)
            };
            path = path.replace(name, &value);
        }
        if path.contains("{id}") {
            path = path.replace("{id}", &segment(&whose(&line.path)));
        }
        assert!(!path.contains('{'), "{path}: a parameter is not filled");
        let asset = "cluster%3Amarksman%2F%2FImage%2Fmarksman";
        let queries = [
            String::new(),
            "?scope=cluster%3Amarksman".to_owned(),
            format!("?asset={asset}&format=trivy"),
            format!("?asset={asset}"),
            format!("?before={asset}&after={asset}"),
            // Who has a package is told without naming what was asked for.
            "?package=pkg%3Anpm%2Fmarksman".to_owned(),
        ];
        for query in &queries {
            let request = || {
                Request::get(format!("{path}{query}"))
                    .body(Body::empty())
                    .unwrap()
            };
            // A stream of events does not end for whoever may see it.
            if !line.path.ends_with("/stream") {
                let own = w.send(&w.token, request()).await;
                if own.status == 200 && own.text().contains(marker) {
                    seen.insert(line.path.strip_prefix(BASE).unwrap_or_default().to_owned());
                }
            }
            let answer = w.send(&token, request()).await;
            let status = answer.status.as_u16();
            assert!(
                [200, 400, 404].contains(&status),
                "{path}{query}: {}",
                answer.text()
            );
            // A refusal may repeat what was asked for, and nothing else.
            let text = answer.text();
            if status == 200 {
                assert!(!text.contains(marker), "{path}{query}: {text}");
                for id in [&key, &attestation, &job, &digest, &system, &task, &schedule] {
                    assert!(!text.contains(id.as_str()), "{path}{query}: {text}");
                }
            }
            walked += 1;
        }
    }
    assert!(walked > 100, "{walked}");
    for path in [
        "/components",
        "/findings",
        "/inventories",
        "/scans",
        "/systems",
        "/vulnerabilities/export",
        "/vulnerabilities/fixes",
        "/vulnerabilities/{id}/affected",
    ] {
        assert!(
            seen.contains(path),
            "{path} shows its owner nothing: {seen:?}"
        );
    }
    // What is compared with a file is the tenant's own as well.
    let path = "/api/v1/inventories/diff?after=cluster:marksman//Image/marksman";
    let bom = json!({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": []});
    let request = Request::post(path)
        .body(Body::from(bom.to_string()))
        .unwrap();
    assert_eq!(w.send(&token, request).await.status, 404);
});
