//! What holds up a finding and what must not: words of others, odd texts, failures, the end.

use crate::both;
use crate::matching::{advisory, apply, beside_a_worker, findings, inventory, npm, settle};
use crate::support::World;
use bartizan_model::TenantId;
use bartizan_server::matching;
use bartizan_vuln::vex::{Vex, VexStatus};
use bartizan_vuln::{Record, Span};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

both!(what_the_world_learns_changes_the_order, |w| async move {
    use bartizan_vuln::feeds::kev::KevEntry;
    let hole = advisory("GHSA-1", "CVE-2026-0001", "npm", "left-pad", "1.0.1");
    apply(&w, Record::Advisory(Box::new(hole))).await;
    let taken = w.post("/components", inventory("a", &[npm()], &[])).await;
    assert_eq!(taken.status, 202, "{}", taken.text());
    settle(&w).await;
    let said = async || {
        settle(&w).await;
        findings(&w, "open").await.remove(0).1
    };
    let before = said().await;
    assert!(before.contains("With the regular update"), "{before}");
    let epss = |date: &str, score: f32| Record::Epss {
        date: date.into(),
        cve: "CVE-2026-0001".into(),
        score,
        percentile: 0.9,
    };
    // A score alone, without any other record.
    apply(&w, epss("2026-11-20", 0.5)).await;
    let likely = said().await;
    assert!(likely.contains("expected with 50.0 %"), "{likely}");
    assert!(likely.contains("Watch it closely"), "{likely}");
    apply(&w, epss("2026-11-21", 0.02)).await;
    assert!(said().await.contains("expected with 2.0 %"));
    // The catalogue alone.
    let entry = KevEntry {
        cve: "CVE-2026-0001".into(),
        date_added: "2026-11-21".into(),
        due_date: String::new(),
        required_action: String::new(),
        known_ransomware_campaign_use: "Known".into(),
        vulnerability_name: String::new(),
    };
    apply(&w, Record::Kev(entry)).await;
    let exploited = said().await;
    assert!(exploited.contains("catalogue lists it"), "{exploited}");
    let withdrawn = Record::Withdrawn {
        source: "kev".into(),
        id: "CVE-2026-0001".into(),
        at: None,
    };
    apply(&w, withdrawn).await;
    assert!(!said().await.contains("catalogue"));
    // SSVC, in a record of the CVE list.
    let cve = |exploitation: &str, day: &str| {
        let text = json!({"cveMetadata": {"cveId": "CVE-2026-0001", "state": "PUBLISHED",
            "dateUpdated": format!("{day}T00:00:00Z")},
            "containers": {"cna": {"descriptions": [{"lang": "en", "value": "A hole."}]},
            "adp": [{"providerMetadata": {"shortName": "CISA-ADP"}, "metrics": [{"other":
                {"type": "ssvc", "content": {"timestamp": format!("{day}T00:00:00Z"),
                "options": [{"Exploitation": exploitation}, {"Automatable": "yes"},
                {"Technical Impact": "total"}]}}}]}]}});
        let parsed = bartizan_vuln::feeds::cve::parse(text.to_string().as_bytes()).unwrap();
        Record::Cve(Box::new(parsed))
    };
    apply(&w, cve("none", "2026-11-20")).await;
    assert!(!said().await.contains("it is exploited"));
    apply(&w, cve("active", "2026-11-21")).await;
    let active = said().await;
    assert!(
        active.contains("it is exploited, says CISA's SSVC"),
        "{active}"
    );
});

both!(a_statement_by_another_name_counts, |w| async move {
    // Debian knows the CVE alone; that it is a GHSA too says an advisory about another package.
    let debian = "Debian:12";
    let pad = (
        "pkg:deb/debian/node-left-pad@1.0-1?distro=debian-12",
        debian,
    );
    let hole = advisory("CVE-2026-0001", "DSA-9", debian, "node-left-pad", "1.0-2");
    apply(&w, Record::Advisory(Box::new(hole))).await;
    let other = advisory("GHSA-1", "CVE-2026-0001", "npm", "left-pad", "1.0.1");
    apply(&w, Record::Advisory(Box::new(other))).await;
    assert_eq!(
        w.post("/components", inventory("a", &[pad], &[]))
            .await
            .status,
        202
    );
    settle(&w).await;
    assert_eq!(findings(&w, "open").await.len(), 1);
    let fixes = async || {
        w.get("/vulnerabilities/fixes").await["items"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(fixes().await, 1);
    let vex = Vex {
        document: "https://example.com/v".into(),
        author: "Debian".into(),
        vulnerability: vec!["GHSA-1".into()],
        products: vec!["pkg:deb/debian/node-left-pad".parse().unwrap()],
        subcomponents: vec![],
        unresolved: vec![],
        status: VexStatus::NotAffected,
        justification: None,
        impact: Some("odd \u{1b}[31m".into()),
        action: None,
        at: None,
    };
    apply(&w, Record::Vex(Box::new(vex))).await;
    settle(&w).await;
    assert!(findings(&w, "open").await.is_empty());
    assert_eq!(findings(&w, "accepted").await.len(), 1);
    assert_eq!(
        fixes().await,
        0,
        "what is excused is not closed by an upgrade"
    );
});

both!(odd_texts_hold_up_nobody, |w| async move {
    let odd = "\0\u{1b}[31m".repeat(10);
    let mut hole = advisory("GHSA-1", "CVE-2026-0001", "npm", "left-pad", "1.0.1");
    hole.aliases.push(format!("CVE-2026-0001{odd}"));
    hole.summary = odd.clone();
    let mut strange = hole.affected[0].clone();
    strange.ranges = vec![Span::below(format!("1.0.1{odd}"))];
    hole.affected.push(strange);
    apply(&w, Record::Advisory(Box::new(hole))).await;
    let mut taken = inventory("a", &[npm()], &[&odd, "/x: broken"]);
    taken["components"][0]["found"] = json!([{"path": format!("/{odd}")}]);
    taken["components"][0]["licences"] = json!([odd]);
    let taken = w.post("/components", taken).await;
    assert_eq!(taken.status, 202, "{}", taken.text());
    let long = format!("pkg:npm/{}@1.0.0", "%C3%A9".repeat(600));
    let hole = advisory("GHSA-2", "CVE-2026-0002", "npm", &"é".repeat(600), "2.0.0");
    apply(&w, Record::Advisory(Box::new(hole))).await;
    let b = inventory("b", &[(long.as_str(), "npm")], &[]);
    assert_eq!(w.post("/components", b).await.status, 202);
    settle(&w).await;
    let open = findings(&w, "open").await;
    assert_eq!(open.len(), 2, "{open:?}");
    // A name that cannot be shown is refused at the door.
    let mut named = inventory("c", &[npm()], &[]);
    named["asset"]["name"] = json!(odd);
    assert_eq!(w.post("/components", named).await.status, 422);
});

both!(one_that_fails_does_not_hold_up_the_others, |w| async move {
    let hole = advisory("GHSA-1", "CVE-2026-0001", "npm", "left-pad", "1.0.1");
    apply(&w, Record::Advisory(Box::new(hole))).await;
    for asset in ["a", "b"] {
        let taken = w.post("/components", inventory(asset, &[npm()], &[])).await;
        assert_eq!(taken.status, 202, "{}", taken.text());
    }
    // Of the first asset a result is kept that no report can hold.
    let tenant = w
        .state
        .store
        .tenant(&TenantId::default_tenant())
        .await
        .unwrap();
    matching::follow(&tenant).await.unwrap();
    let marks = tenant.pending_components().await.unwrap();
    let first = marks[0].asset;
    let holders = tenant.matched_parts(&[first]).await.unwrap();
    let said = tenant.matches_of(&[holders[0].part], None).await.unwrap();
    let mut bad: Value = serde_json::from_str(&said[&holders[0].part][0].body).unwrap();
    bad["vulnerability"] = json!("CVE\n1");
    let a_only = inventory("a", &[npm(), ("pkg:npm/left-pad@0.1.0", "npm")], &[]);
    assert_eq!(w.post("/components", a_only).await.status, 202);
    matching::follow(&tenant).await.unwrap();
    let holders = tenant.matched_parts(&[first]).await.unwrap();
    let own = holders.iter().map(|h| h.part).max().unwrap();
    let rows = vec![bartizan_store::components::MatchRow {
        vulnerability: "CVE 1".into(),
        body: bad.to_string(),
    }];
    let matched = [bartizan_store::components::Matched { part: own, rows }];
    tenant.record_matches(&matched, 9).await.unwrap();
    beside_a_worker(&w, async {
        let failed = matching::round(&w.state, tenant.id()).await.unwrap_err();
        assert!(
            failed.to_string().contains("1 assets are left out"),
            "{failed}"
        );
    })
    .await;
    assert_eq!(
        findings(&w, "open").await.len(),
        1,
        "the other asset's stands"
    );
    // It is tried again, and well once its components are matched anew.
    tenant
        .record_matches(
            &[bartizan_store::components::Matched {
                part: own,
                rows: vec![],
            }],
            9,
        )
        .await
        .unwrap();
    settle(&w).await;
    assert_eq!(findings(&w, "open").await.len(), 2);
});

both!(the_end_does_not_wait_for_an_import, |w| async move {
    let hole = advisory("GHSA-1", "CVE-2026-0001", "npm", "left-pad", "1.0.1");
    apply(&w, Record::Advisory(Box::new(hole))).await;
    let taken = w.post("/components", inventory("a", &[npm()], &[])).await;
    assert_eq!(taken.status, 202, "{}", taken.text());
    // No worker runs, so that the report is never imported.
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(matching::run(w.state.clone(), shutdown.clone()));
    let queued = async || {
        let jobs = w.get("/jobs").await;
        jobs["items"].as_array().unwrap().len()
    };
    while queued().await == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    shutdown.cancel();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(10), running).await;
    ended.expect("it waits for the import").unwrap();
    settle(&w).await;
    assert_eq!(findings(&w, "open").await.len(), 1);
});

both!(a_deleted_scope_can_come_back, |w| async move {
    let hole = advisory("GHSA-1", "CVE-2026-0001", "npm", "left-pad", "1.0.1");
    apply(&w, Record::Advisory(Box::new(hole))).await;
    for _ in 0..2 {
        let taken = w.post("/components", inventory("a", &[npm()], &[])).await;
        assert_eq!(taken.status, 202, "{}", taken.text());
        settle(&w).await;
        assert_eq!(findings(&w, "open").await.len(), 1);
        assert_eq!(
            w.get("/inventories").await["items"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
        let gone = w
            .call(axum::http::Method::DELETE, "/scopes/host:a", Value::Null)
            .await;
        assert_eq!(gone.status, 204, "{}", gone.text());
        assert!(findings(&w, "open").await.is_empty());
        assert!(
            w.get("/inventories").await["items"]
                .as_array()
                .unwrap()
                .is_empty()
        );
    }
});
