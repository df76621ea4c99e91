//! Components and advisories become findings, whichever comes first, and close again.

use crate::both;
use crate::support::World;
use bartizan_model::{Ecosystem, TenantId, Timestamp};
use bartizan_server::work::import;
use bartizan_server::{matching, vulnerabilities};
use bartizan_vuln::vex::{Vex, VexStatus};
use bartizan_vuln::{Advisory, Affected, Record, Span};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

pub fn advisory(id: &str, cve: &str, ecosystem: &str, package: &str, fixed: &str) -> Advisory {
    let mut advisory = Advisory::new(id, "test");
    advisory.aliases = vec![cve.to_owned()];
    advisory.summary = format!("A hole in {package}");
    let mut affected = Affected::new(Ecosystem::parse(ecosystem), package);
    affected.ranges.push(Span::below(fixed));
    advisory.affected.push(affected);
    advisory
}

/// Stores a record the way the feeds do.
pub async fn apply(w: &World, record: Record) {
    vulnerabilities::apply(&w.state.store, &[record], w.state.now())
        .await
        .unwrap();
}

/// Does something with a worker beside it.
async fn beside_a_worker(w: &World, what: impl Future<Output = ()>) {
    let ended = CancellationToken::new();
    let state = w.state.clone();
    let until = ended.clone();
    let worker = tokio::spawn(async move {
        while !until.is_cancelled() {
            if !import::work_once(&state, "t", &until).await.unwrap() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        }
    });
    what.await;
    ended.cancel();
    worker.await.unwrap();
    w.clock.advance(1);
}

/// Derives until there is nothing to do, with a worker beside it.
pub async fn settle(w: &World) {
    beside_a_worker(w, async {
        for tenant in w.state.store.tenants().await.unwrap() {
            while matching::round(&w.state, &tenant).await.unwrap() {}
        }
    })
    .await;
}

pub(crate) fn inventory(asset: &str, purls: &[(&str, &str)], unread: &[&str]) -> Value {
    let uid = format!("host:{asset}//Host//{asset}");
    let components: Vec<Value> = purls
        .iter()
        .map(|(purl, ecosystem)| {
            json!({"purl": purl, "ecosystem": ecosystem, "target": uid,
                "found": [{"path": "/var/lib/dpkg/status"}]})
        })
        .collect();
    json!({"scope": format!("host:{asset}"), "source": "test",
        "asset": {"uid": uid, "kind": "Host", "name": asset},
        "components": components, "unread": unread})
}

async fn findings(w: &World, status: &str) -> Vec<(String, String)> {
    let page = w.get(&format!("/findings?status={status}")).await;
    let mut found: Vec<(String, String)> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| {
            (
                f["check"]["uid"]
                    .as_str()
                    .or(f["check"].as_str())
                    .unwrap()
                    .to_owned(),
                f["message"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    found.sort();
    found
}

both!(either_side_may_come_first, |w| async move {
    // The inventory first: nothing is known of it.
    let npm = ("pkg:npm/left-pad@1.0.0", "npm");
    let taken = w.post("/components", inventory("a", &[npm], &[])).await;
    assert_eq!(taken.status, 202, "{}", taken.text());
    assert_eq!(taken.json()["added"], 1);
    settle(&w).await;
    assert!(findings(&w, "open").await.is_empty());
    // A new advisory finds its asset without a rescan.
    let hole = advisory("GHSA-1", "CVE-2026-0001", "npm", "left-pad", "1.0.1");
    apply(&w, Record::Advisory(Box::new(hole.clone()))).await;
    settle(&w).await;
    let open = findings(&w, "open").await;
    assert_eq!(open.len(), 1, "{open:?}");
    assert_eq!(open[0].0, "vuln/advisory/CVE-2026-0001");
    assert!(open[0].1.contains("upgrade it to 1.0.1"), "{open:?}");
    // Another asset comes later.
    let both = inventory(
        "b",
        &[npm, ("pkg:npm/left-pad@1.0.1", "npm")],
        &["/x.jar: broken"],
    );
    assert_eq!(w.post("/components", both).await.status, 202);
    settle(&w).await;
    assert_eq!(findings(&w, "open").await.len(), 2);
    let unknown = w.get("/results?outcome=unknown").await;
    assert!(unknown.to_string().contains("x.jar"), "{unknown}");
    let affected = w.get("/vulnerabilities/CVE-2026-0001/affected").await;
    assert_eq!(affected["items"].as_array().unwrap().len(), 2, "{affected}");
    let fixes = w.get("/vulnerabilities/fixes").await;
    assert_eq!(fixes["items"][0]["upgrade_to"], "1.0.1", "{fixes}");
    assert_eq!(fixes["items"][0]["closes"], 2);
    // Nothing changed: nothing is reported.
    let scans = w.get("/scans").await["items"].as_array().unwrap().len();
    settle(&w).await;
    assert_eq!(
        w.get("/scans").await["items"].as_array().unwrap().len(),
        scans
    );
    // The upgrade closes one, the advisory's withdrawal the other.
    let upgraded = inventory("a", &[("pkg:npm/left-pad@1.0.1", "npm")], &[]);
    assert_eq!(w.post("/components", upgraded).await.status, 202);
    settle(&w).await;
    assert_eq!(findings(&w, "open").await.len(), 1);
    assert_eq!(findings(&w, "fixed").await.len(), 1);
    let mut gone = hole;
    gone.withdrawn = Timestamp::parse("2026-11-21T10:00:00Z").ok();
    apply(&w, Record::Advisory(Box::new(gone))).await;
    settle(&w).await;
    assert!(findings(&w, "open").await.is_empty());
    assert_eq!(findings(&w, "fixed").await.len(), 2);
});

both!(words_of_others_count, |w| async move {
    let debian = "Debian:12";
    let zlib = ("pkg:deb/debian/zlib1g@1.2-3?distro=debian-12", debian);
    let odd = ("pkg:npm/odd@latest", "npm");
    let a = inventory("a", &[zlib, odd], &[]);
    assert_eq!(w.post("/components", a).await.status, 202);
    let hole = advisory("CVE-2026-0002", "DSA-1", debian, "zlib1g", "1.2-4");
    apply(&w, Record::Advisory(Box::new(hole))).await;
    let odd = advisory("GHSA-2", "CVE-2026-0003", "npm", "odd", "2.0.0");
    apply(&w, Record::Advisory(Box::new(odd))).await;
    settle(&w).await;
    let open = findings(&w, "open").await;
    assert_eq!(
        open.len(),
        1,
        "a version without an order is no finding: {open:?}"
    );
    let unknown = w.get("/results?outcome=unknown").await;
    assert!(unknown.to_string().contains("CVE-2026-0003"), "{unknown}");
    // A supplier says that it does not matter: shown as accepted, not hidden.
    let vex = Vex {
        document: "https://example.com/v".into(),
        author: "Debian".into(),
        vulnerability: vec!["CVE-2026-0002".into()],
        products: vec!["pkg:deb/debian/zlib1g".parse().unwrap()],
        subcomponents: vec![],
        unresolved: vec![],
        status: VexStatus::NotAffected,
        justification: Some("vulnerable_code_not_present".into()),
        impact: None,
        action: None,
        at: None,
    };
    apply(&w, Record::Vex(Box::new(vex))).await;
    settle(&w).await;
    assert!(findings(&w, "open").await.is_empty());
    assert_eq!(findings(&w, "accepted").await.len(), 1);
    // The inventory goes, and with it what was said.
    let path = "/components?asset=host:a//Host//a";
    let gone = w.call(axum::http::Method::DELETE, path, Value::Null).await;
    assert_eq!(gone.status, 204, "{}", gone.text());
    let status = async || w.fetch(path).await.status;
    assert_eq!(status().await, 404);
    settle(&w).await;
    assert_eq!(status().await, 404);
    assert!(findings(&w, "accepted").await.is_empty());
    // What is no inventory is refused.
    let mut moved = inventory("c", &[npm()], &[]);
    moved["asset"]["uid"] = json!("host:other//Host//c");
    assert_eq!(w.post("/components", moved).await.status, 422);
    assert_eq!(w.post("/components", json!({"scope": 1})).await.status, 422);
});

both!(what_was_never_matched_is_not_fixed, |w| async move {
    let hole = advisory("GHSA-1", "CVE-2026-0001", "npm", "left-pad", "1.0.1");
    apply(&w, Record::Advisory(Box::new(hole))).await;
    let taken = w.post("/components", inventory("a", &[npm()], &[])).await;
    assert_eq!(taken.status, 202, "{}", taken.text());
    settle(&w).await;
    assert_eq!(findings(&w, "open").await.len(), 1);
    // Another version, affected too, comes after the last matching and before the next deriving.
    let other = inventory("a", &[("pkg:npm/left-pad@0.9.0", "npm")], &[]);
    assert_eq!(w.post("/components", other).await.status, 202);
    let tenant = TenantId::default_tenant();
    let tenant = w.state.store.tenant(&tenant).await.unwrap();
    beside_a_worker(&w, async {
        let mut refused = matching::Refused::new();
        let derived = matching::derive(&w.state, &tenant, &mut refused).await;
        assert_eq!((derived.unwrap(), refused.len()), (1, 0));
    })
    .await;
    assert!(findings(&w, "fixed").await.is_empty());
    assert_eq!(w.get("/bom/token/t").await["processing"], true);
    settle(&w).await;
    assert!(findings(&w, "fixed").await.is_empty());
    let open = findings(&w, "open").await;
    assert!(open[0].1.contains("left-pad 0.9.0"), "{open:?}");
    assert_eq!(w.get("/bom/token/t").await["processing"], false);
});

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

fn npm() -> (&'static str, &'static str) {
    ("pkg:npm/left-pad@1.0.0", "npm")
}

both!(
    bills_of_materials_come_as_to_dependency_track,
    |w| async move {
        use base64::Engine as _;
        let hole = advisory("GHSA-1", "CVE-2026-0001", "npm", "left-pad", "1.0.1");
        apply(&w, Record::Advisory(Box::new(hole))).await;
        let bom = json!({"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "components": [{"type": "library", "name": "left-pad", "version": "1.0.0",
            "purl": "pkg:npm/left-pad@1.0.0"}]});
        let bom = base64::engine::general_purpose::STANDARD.encode(bom.to_string());
        let body =
            json!({"projectName": "shop", "projectVersion": "1", "autoCreate": true, "bom": bom});
        let taken = w.call(axum::http::Method::PUT, "/bom", body).await;
        assert_eq!(taken.status, 200, "{}", taken.text());
        let token = taken.json()["token"].as_str().unwrap().to_owned();
        let progress = async || w.get(&format!("/bom/token/{token}")).await["processing"].clone();
        assert_eq!(progress().await, true);
        settle(&w).await;
        assert_eq!(progress().await, false);
        assert_eq!(findings(&w, "open").await.len(), 1);
        let broken = json!({"projectName": "shop", "bom": "e30="});
        let broken = w.call(axum::http::Method::PUT, "/bom", broken).await;
        assert_eq!(broken.status, 422, "{}", broken.text());
    }
);

both!(exports_for_other_tools, |w| async move {
    let (npm, zlib) = (npm(), ("pkg:deb/debian/zlib1g@1.2-3", "Debian:12"));
    let pypi = ("pkg:pypi/nobody@1", "PyPI");
    let a = inventory("a", &[npm, zlib, pypi], &["/x.jar: broken"]);
    assert_eq!(w.post("/components", a).await.status, 202);
    let of = |format: &str| {
        format!("/vulnerabilities/export?asset=host:a%2F%2FHost%2F%2Fa&format={format}")
    };
    // Before anything was held against it, it does not look clean.
    let early = w.get(&of("trivy")).await;
    assert!(
        early.to_string().contains("3 packages were not held"),
        "{early}"
    );
    let hole = advisory("GHSA-1", "CVE-2026-0001", "npm", "left-pad", "1.0.1");
    apply(&w, Record::Advisory(Box::new(hole.clone()))).await;
    let dsa = advisory("DSA-1", "CVE-2026-0002", "Debian:12", "zlib1g", "1.2-4");
    apply(&w, Record::Advisory(Box::new(dsa))).await;
    let vex = Vex {
        document: "https://example.com/v".into(),
        author: "Debian".into(),
        vulnerability: vec!["CVE-2026-0002".into()],
        products: vec!["pkg:deb/debian/zlib1g".parse().unwrap()],
        subcomponents: vec![],
        unresolved: vec![],
        status: VexStatus::NotAffected,
        justification: Some("vulnerable_code_not_present".into()),
        impact: None,
        action: None,
        at: None,
    };
    apply(&w, Record::Vex(Box::new(vex))).await;
    settle(&w).await;
    let trivy = w.get(&of("trivy")).await;
    let results = trivy["Results"].as_array().unwrap();
    let hit = results
        .iter()
        .find_map(|r| r.get("Vulnerabilities"))
        .unwrap();
    assert_eq!(hit[0]["VulnerabilityID"], "CVE-2026-0001", "{trivy}");
    assert_eq!(hit[0]["FixedVersion"], "1.0.1");
    let excused = results
        .iter()
        .find_map(|r| r.get("ExperimentalModifiedFindings"));
    assert_eq!(excused.unwrap()[0]["Source"], "Debian", "{trivy}");
    let unread = trivy["BartizanUnread"].to_string();
    assert!(
        unread.contains("x.jar") && unread.contains("PyPI"),
        "{trivy}"
    );
    assert!(
        !unread.contains("not held against advisories yet"),
        "{trivy}"
    );
    // What is written reads back by the reader of feeds, and speaks of this asset alone.
    let text = w.get(&of("openvex")).await.to_string();
    let back = bartizan_vuln::feeds::openvex::parse(text.as_bytes()).unwrap();
    let said: Vec<_> = back
        .iter()
        .map(|v| (v.vulnerability[0].as_str(), v.status))
        .collect();
    let (affected, not) = (VexStatus::Affected, VexStatus::NotAffected);
    assert_eq!(
        said,
        [("CVE-2026-0001", affected), ("CVE-2026-0002", not)],
        "{text}"
    );
    assert!(back[0].about("GHSA-1") && back[1].about("DSA-1"));
    assert_eq!(back[0].subcomponents, [npm.0.parse().unwrap()]);
    assert_eq!(
        back[1].justification.as_deref(),
        Some("vulnerable_code_not_present")
    );
    assert_eq!(
        back[1].unresolved,
        ["urn:bartizan:asset:host%3Aa%2F%2FHost%2F%2Fa"]
    );
    assert!(
        !back[1].covers(&zlib.0.parse().unwrap(), None),
        "nobody else is excused"
    );
    let vex = w.get(&of("cyclonedx")).await;
    let purls: Vec<&str> = vex["vulnerabilities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["affects"][0]["ref"].as_str().unwrap())
        .collect();
    assert_eq!(purls, [npm.0, zlib.0], "{vex}");
    assert_eq!(w.fetch(&of("x")).await.status, 400);
    let nobody = "/vulnerabilities/export?asset=host:b&format=trivy";
    assert_eq!(w.fetch(nobody).await.status, 404);
    // OSV: by any name, and equal when read again.
    for name in ["CVE-2026-0001", "GHSA-1"] {
        let osv = w.get(&format!("/vulnerabilities/{name}/osv")).await;
        let text = osv["vulns"][0].to_string();
        let back = bartizan_vuln::feeds::osv::parse(text.as_bytes(), "test").unwrap();
        assert_eq!(
            Advisory {
                modified: None,
                ..back
            },
            hole,
            "{osv}"
        );
    }
    assert_eq!(
        w.fetch("/vulnerabilities/CVE-2026-0009/osv").await.status,
        404
    );
});

/// A form as tools write it: name, further heads of the part, value.
fn form(boundary: &str, parts: &[(&str, &str, &str)]) -> Vec<u8> {
    let mut out = String::new();
    for (name, heads, value) in parts {
        out.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\""
        ));
        out.push_str(&format!("{heads}\r\n\r\n{value}\r\n"));
    }
    out.push_str(&format!("--{boundary}--\r\n"));
    out.into_bytes()
}

both!(forms_come_as_to_dependency_track, |w| async move {
    let hole = advisory("GHSA-1", "CVE-2026-0001", "npm", "left-pad", "1.0.1");
    apply(&w, Record::Advisory(Box::new(hole))).await;
    let bom = json!({"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "components": [{"type": "library", "name": "left-pad", "version": "1.0.0",
            "purl": "pkg:npm/left-pad@1.0.0"}]})
    .to_string();
    let send = async |boundary: &str, body: Vec<u8>| {
        let kind = format!("multipart/form-data; boundary={boundary}");
        w.upload("/bom", &[("content-type", &kind)], body).await
    };
    // curl -F autoCreate=true -F projectName=shop -F projectVersion=1 -F bom=@bom.json
    let dashes = "------------------------d74496d66958873e";
    let file = "; filename=\"bom.json\"\r\nContent-Type: application/octet-stream";
    let curl = [
        ("autoCreate", "", "true"),
        ("projectName", "", "shop"),
        ("projectVersion", "", "1"),
        ("bom", file, &bom),
    ];
    let taken = send(dashes, form(dashes, &curl)).await;
    assert_eq!(taken.status, 200, "{}", taken.text());
    assert!(taken.json()["token"].as_str().is_some());
    settle(&w).await;
    assert_eq!(findings(&w, "open").await.len(), 1);
    // A plug-in of a build tool: types of its own on every part, fields that are not ours, the
    // file first.
    let plain = "\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Transfer-Encoding: 8bit";
    let binary = "; filename=\"bom.json\"\r\nContent-Type: application/json\r\n\
        Content-Transfer-Encoding: binary";
    let plug_in = [
        ("bom", binary, bom.as_str()),
        ("project", plain, "7c9e6679-7425-40de-944b-e07fc1f90ae7"),
        ("parentName", plain, "shops"),
        ("isLatest", plain, "true"),
        ("projectTags", plain, "a,b"),
    ];
    let quoted = send("\"b ound\"", form("b ound", &plug_in)).await;
    assert_eq!(quoted.status, 200, "{}", quoted.text());
    let held = w.get("/inventories").await;
    let scopes: Vec<&str> = held["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["scope"].as_str().unwrap())
        .collect();
    let project = "repository:7c9e6679-7425-40de-944b-e07fc1f90ae7";
    assert_eq!(scopes, [project, "repository:shop"], "{held}");
    // What is no such form is refused, and bounded.
    let long = "x".repeat(70_000);
    let many = vec![("tag", "", "x"); 70];
    let cut = |all: &[u8]| all[..all.len() / 2].to_vec();
    for (body, status) in [
        (form("b", &curl[..3]), 422),
        (form("b", &curl[3..]), 422),
        (form("b", &[curl[1], curl[3], curl[3]]), 422),
        (form("b", &[curl[1], ("bom", file, "{}")]), 422),
        (form("b", &[("projectName", "", &long), curl[3]]), 413),
        (form("b", &many), 422),
        (form("other", &curl), 422),
        (cut(&form("b", &curl)), 422),
        (Vec::new(), 422),
    ] {
        let refused = send("b", body).await;
        assert_eq!(refused.status, status, "{}", refused.text());
        assert!(refused.json()["detail"].as_str().is_some());
    }
    let json = w
        .post("/bom", json!({"projectName": "shop", "bom": "e30="}))
        .await;
    assert_eq!(json.status, 422, "{}", json.text());
    assert!(json.text().contains("PUT"), "{}", json.text());
});
