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
pub async fn beside_a_worker(w: &World, what: impl Future<Output = ()>) {
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

pub fn inventory(asset: &str, purls: &[(&str, &str)], unread: &[&str]) -> Value {
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

pub async fn findings(w: &World, status: &str) -> Vec<(String, String)> {
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

pub fn npm() -> (&'static str, &'static str) {
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
