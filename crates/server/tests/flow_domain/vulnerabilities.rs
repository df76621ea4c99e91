//! Vulnerabilities over HTTP: records of several feeds, the list, one of them whole, its history.

use crate::both;
use crate::support::World;
use bartizan_model::{Ecosystem, EcosystemKind, Timestamp};
use bartizan_server::vulnerabilities::apply;
use bartizan_store::vulnerabilities::FeedRun;
use bartizan_vuln::feeds::cve;
use bartizan_vuln::feeds::kev::KevEntry;
use bartizan_vuln::{Advisory, Affected, Record};
use serde_json::{Value, json};

const ID: &str = "CVE-2024-0001";

fn record(updated: &str, reference: &str, cwe: &str) -> Record {
    let text = json!({"cveMetadata": {"cveId": ID, "state": "PUBLISHED", "assignerShortName": "acme",
        "datePublished": "2024-01-05T00:00:00Z", "dateUpdated": updated},
        "containers": {"cna": {"providerMetadata": {"shortName": "acme"}, "title": "Overflow in Anvil",
            "descriptions": [{"lang": "en", "value": "An overflow."}],
            "affected": [{"vendor": "Acme", "product": "Anvil", "versions": [
                {"version": "1.0", "status": "affected", "lessThan": "1.2", "versionType": "semver"}]}],
            "problemTypes": [{"descriptions": [{"cweId": cwe, "lang": "en", "description": cwe}]}],
            "metrics": [{"cvssV3_1": {"vectorString": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "baseScore": 9.8}}],
            "references": [{"url": reference, "tags": ["exploit"]}]},
          "adp": [{"providerMetadata": {"shortName": "CISA-ADP"}, "metrics": [{"other": {"type": "ssvc",
            "content": {"timestamp": "2024-01-06T00:00:00Z", "options": [{"Exploitation": "active"}, {"Automatable": "yes"}, {"Technical Impact": "total"}]}}}]}]}});
    Record::Cve(Box::new(cve::parse(text.to_string().as_bytes()).unwrap()))
}

fn all() -> Vec<Record> {
    let mut advisory = Advisory::new("GHSA-aaaa", "osv");
    advisory.aliases = vec![ID.to_owned()];
    let npm = Ecosystem {
        kind: EcosystemKind::Npm,
        release: String::new(),
    };
    advisory.affected = vec![Affected::new(npm, "anvil")];
    vec![
        record("2024-02-01T00:00:00Z", "https://example.com/1", "CWE-120"),
        record("2024-03-01T00:00:00Z", "https://example.com/2", "CWE-121"),
        Record::Advisory(Box::new(advisory)),
        Record::Kev(KevEntry {
            cve: ID.into(),
            date_added: "2024-02-10".into(),
            due_date: "2024-03-01".into(),
            required_action: String::new(),
            known_ransomware_campaign_use: "Known".into(),
            vulnerability_name: String::new(),
        }),
        Record::Epss {
            date: "2024-02-11".into(),
            cve: ID.into(),
            score: 0.9,
            percentile: 0.99,
        },
    ]
}

both!(feeds_become_answers, |w| async move {
    let at = Timestamp::parse("2024-04-01T00:00:00Z").unwrap();
    let applied = apply(&w.state.store, &all(), at).await.unwrap();
    assert_eq!((applied.inserted, applied.changed), (4, 1));
    let again = apply(&w.state.store, &all(), at).await.unwrap();
    // The catalogue, the advisory, the score and the later version are what is held.
    assert_eq!((again.unchanged, again.stale), (4, 1));

    for query in [
        "",
        "?product=anvil&vendor=ACME",
        "?cwe=cwe-121",
        "?severity=critical&sort=score",
        "?from=2024-01-01&to=2024-01-06",
        "?kev=true&exploit=true&epss=0.5",
        "?q=overflow",
        "?q=cve-2024-00",
    ] {
        let page = w.get(&format!("/vulnerabilities{query}")).await;
        assert_eq!(page["items"][0]["id"], ID, "{query}: {page}");
        assert_eq!(page["items"][0]["kev"], true);
    }
    for query in [
        "?cwe=CWE-120",
        "?severity=low",
        "?epss=0.95",
        "?to=2024-01-05",
        "?product=x",
    ] {
        let page = w.get(&format!("/vulnerabilities{query}")).await;
        assert_eq!(page["items"], json!([]), "{query}");
    }
    for query in [
        "?severity=bad",
        "?sort=bad",
        "?epss=2",
        "?from=soon",
        "?cursor=x",
    ] {
        let answer = w.fetch(&format!("/vulnerabilities{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
    }

    for name in [ID, "GHSA-aaaa"] {
        let whole = w.get(&format!("/vulnerabilities/{name}")).await;
        assert_eq!(whole["names"].as_array().map(Vec::len), Some(2), "{whole}");
        assert_eq!(whole["cves"][0]["id"], ID);
        assert_eq!(whole["cves"][0]["ssvc"]["exploitation"], "active");
        assert_eq!(whole["advisories"][0]["affected"][0]["package"], "anvil");
        assert_eq!(whole["kev"][0]["dueDate"], "2024-03-01");
        assert_eq!(
            (&whole["severity"], &whole["priority"]),
            (&json!("critical"), &json!("act"))
        );
        assert_eq!(whole["exploits"], json!(["https://example.com/2"]));
        assert!(
            whole["epss"][0]["score"]
                .as_f64()
                .is_some_and(|s| (s - 0.9).abs() < 1e-4)
        );
    }
    assert_eq!(w.fetch("/vulnerabilities/CVE-2024-9999").await.status, 404);

    let history = w
        .get(&format!(
            "/vulnerabilities/{ID}/history?from=2024-02-15&to=2024-03-15"
        ))
        .await;
    let versions = history["versions"].as_array().unwrap();
    let told: Vec<&Value> = versions
        .iter()
        .filter(|v| v["record"] == format!("cve/{ID}"))
        .collect();
    assert_eq!(told.len(), 1, "{history}");
    let mut fields: Vec<&str> = told[0]["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["field"].as_str().unwrap())
        .collect();
    fields.dedup();
    assert_eq!(
        fields,
        [
            "cwes[]",
            "references[https://example.com/1]",
            "references[https://example.com/2]",
            "updated"
        ]
    );
    assert_eq!(history["net"][0]["record"], format!("cve/{ID}"));
    assert_eq!(
        w.fetch("/vulnerabilities/CVE-2024-9999/history")
            .await
            .status,
        404
    );

    let run = FeedRun {
        name: "kev".into(),
        newest: Timestamp::parse("2024-03-31T00:00:00Z").ok(),
        offered: 5,
        applied: 2,
        refused: 1,
        error: None,
    };
    w.state
        .store
        .vulnerabilities()
        .note_feed(&run, at)
        .await
        .unwrap();
    let feeds = w.get("/feeds").await;
    assert_eq!(feeds["items"][0]["lag_seconds"], 86_400);
    assert_eq!(feeds["items"][0]["error"], Value::Null);
});
