//! A finding's life through the API, and what hangs on it.

use crate::both;
use crate::support::{Said, World, start};
use axum::http::Method;
use bartizan_model::Outcome::{Fail, Pass, Unknown};
use bartizan_server::work::{Work, intake};
use serde_json::json;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

fn first(id: &str, minutes: i64) -> Said {
    Said::new(id, "prod", minutes)
        .saw("privileged", "web", Fail)
        .saw("privileged", "api", Fail)
        .saw("limits", "web", Pass)
}

both!(from_report_to_reopened, |w| async move {
    let job = w.import(&first("s1", 1)).await;
    assert_eq!(job["state"], "done", "{job}");
    assert_eq!(job["scan"], "s1");
    assert_eq!(w.statuses().await, ["api open", "web open"]);

    // The same submission again is the same job.
    let again = w
        .upload("/artifacts?kind=report", &[], first("s1", 1).bytes())
        .await;
    assert_eq!(again.json()["duplicate"], true);
    assert_eq!(again.json()["job"], job["id"]);

    // A person accepts one of them.
    let found = w.get("/findings?kind=Pod&q=web").await;
    let key = found["items"][0]["key"].as_str().unwrap().to_owned();
    assert_eq!(found["items"][0]["asset"]["name"], "web", "{found}");
    let answer = w
        .post(
            "/findings/actions",
            json!({"keys": [key, "f1-none"], "action": "accept", "reason": "known",
                "owner": "ana", "expires": "2026-12-01"}),
        )
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["changed"], 1);
    assert_eq!(answer.json()["refused"][0]["key"], "f1-none");

    // A rescan leaves what a person decided.
    w.import(&first("s2", 2)).await;
    assert_eq!(w.statuses().await, ["api open", "web accepted"]);
    let detail = w.get(&format!("/findings/{key}")).await;
    assert_eq!(detail["acceptance"]["owner"], "ana");
    assert_eq!(
        detail["location"],
        json!({"file": "shop.yaml", "line": 7, "column": null})
    );
    assert_eq!(
        detail["controls"],
        json!([{"framework": "demo", "control": "D-1(2)", "title": "Nothing privileged"}])
    );
    let actions: Vec<&str> = detail["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["finding.opened", "finding.accepted"]);

    // Mended, one by a pass and one by absence.
    w.import(&Said::new("s3", "prod", 3).saw("privileged", "web", Pass))
        .await;
    assert_eq!(w.statuses().await, ["api fixed", "web fixed"]);

    // The first report again, under another scan id, reopens.
    w.import(&first("s4", 4)).await;
    assert_eq!(w.statuses().await, ["api reopened", "web reopened"]);

    // And so does the byte-identical one, when it is said to be news.
    w.import(&Said::new("s5", "prod", 5).saw("privileged", "web", Pass))
        .await;
    assert_eq!(w.statuses().await, ["api fixed", "web fixed"]);
    let job = w
        .import_bytes(first("s4", 4).bytes(), &[("idempotency-key", "once more")])
        .await;
    assert_eq!(job["state"], "done", "{job}");
    assert_eq!(w.statuses().await, ["api reopened", "web reopened"]);
});

both!(an_acceptance_ends, |w| async move {
    w.import(&first("s1", 1)).await;
    let found = w.get("/findings").await;
    let key = found["items"][0]["key"].as_str().unwrap();
    let accept = json!({"keys": [key], "action": "accept", "reason": "known",
        "expires": "2026-11-21T10:00:00Z"});
    w.post("/findings/actions", accept).await;
    assert_eq!(
        w.get("/findings?status=accepted").await["total"]["count"],
        1
    );
    w.expire().await;
    assert_eq!(
        w.get("/findings?status=accepted").await["total"]["count"],
        1
    );
    w.clock.advance(3600);
    w.expire().await;
    assert_eq!(
        w.get("/findings?status=accepted").await["total"]["count"],
        0
    );
    assert_eq!(
        w.get("/findings?status=reopened").await["total"]["count"],
        1
    );
});

both!(posture_and_overview, |w| async move {
    let report = first("s1", 1).saw(
        "limits",
        "api",
        Unknown {
            why: "template".into(),
        },
    );
    w.import(&report).await;
    let overview = w.get("/overview").await;
    assert_eq!(overview["scope"], "cluster:prod");
    assert_eq!(overview["findings"]["active"]["critical"], 2);
    assert_eq!(overview["findings"]["unknown_results"], 1);
    assert_eq!(
        overview["changes"][0]["action"], "finding.opened",
        "{overview}"
    );
    assert_eq!(overview["changes"][0]["scope"], "cluster:prod");
    let demo = overview["frameworks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|f| f["id"] == "demo")
        .unwrap();
    // D-1 fails, D-2 has an Unknown and no failure, D-3 waits for a person.
    assert_eq!(
        demo["counts"],
        json!({"passed": 0, "failed": 1, "accepted": 0, "not_assessed": 1,
            "not_applicable": 0, "manual": 1})
    );
    assert_eq!(demo["score"], 0.0);
    assert_eq!(demo["trend"].as_array().unwrap().len(), 1, "{demo}");

    // Evidence, then a verdict on the manual control.
    let stored = w.upload(
        "/artifacts?kind=evidence&name=minutes.txt",
        &[],
        b"we looked".to_vec(),
    );
    let stored = stored.await;
    assert_eq!(stored.status, 201, "{}", stored.text());
    let digest = stored.json()["artifact"].as_str().unwrap().to_owned();
    let bytes = w.fetch(&format!("/artifacts/{digest}")).await;
    assert_eq!(bytes.body, b"we looked");
    assert_eq!(
        bytes.headers["content-disposition"],
        "attachment; filename=\"minutes.txt\""
    );
    let verdict = |evidence: &str, expires: &str| {
        json!({"scope": "cluster:prod", "verdict": "passed", "reason": "looked",
            "evidence": [evidence], "expires": expires})
    };
    let path = "/frameworks/demo/controls/D-3/assessments";
    let unknown = format!("sha256:{}", "0".repeat(64));
    for (bad, field) in [
        (verdict(&unknown, "2027-01-01"), "`evidence`"),
        (verdict(&digest, "2026-11-20"), "`expires`"),
    ] {
        let answer = w.post(path, bad).await;
        assert_eq!(answer.status, 400);
        assert!(answer.json()["detail"].as_str().unwrap().starts_with(field));
    }
    let answer = w.post(path, verdict(&digest, "2027-01-01")).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let control = w
        .get("/frameworks/demo/controls/D-3?scope=cluster%3Aprod")
        .await;
    assert_eq!(control["status"], "passed");
    assert_eq!(control["assessments"][0]["evidence"], json!([digest]));
    let control = w.get("/frameworks/demo/controls/D-1%282%29").await;
    assert_eq!(control["status"], "failed");
    assert_eq!(control["checks"][0]["tally"]["fail"], 2);
    let framework = w.get("/frameworks/demo").await;
    assert_eq!(framework["score"], 50.0);

    // The verdict ends, which is recorded once, and the control waits for a person again.
    w.clock.set(start().plus_seconds(86_400 * 60));
    w.expire().await;
    w.expire().await;
    let ends = w.get("/audit?action=assessment.expired").await;
    assert_eq!(ends["items"].as_array().unwrap().len(), 1, "{ends}");
    assert_eq!(ends["items"][0]["detail"]["control"], "D-3");
    let control = w.get("/frameworks/demo/controls/D-3").await;
    assert_eq!(
        (&control["status"], &control["assessments"][0]["expired"]),
        (&json!("manual"), &json!(true))
    );
});

both!(filters_export_and_reports, |w| async move {
    w.import(&first("s1", 1).saw("limits", "api", Fail)).await;
    let count = async |query: &str| {
        let found = w.get(&format!("/findings?{query}")).await;
        found["total"]["count"].as_u64().unwrap()
    };
    assert_eq!(count("").await, 3);
    assert_eq!(count("severity=critical,high").await, 2);
    assert_eq!(count("framework=demo&control=D-2").await, 1);
    assert_eq!(count("framework=demo&check=rego/test/privileged").await, 2);
    assert_eq!(count("namespace=none").await, 0);
    for (query, field) in [
        ("severity=urgent", "`severity`"),
        ("sort=-changed", "`sort`"),
        ("status=gone", "`status`"),
        ("limit=0", "`limit`"),
        ("framework=none", "`framework`"),
        ("control=D-2", "`control`"),
    ] {
        let answer = w.fetch(&format!("/findings?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with(field), "{query}: {detail}");
    }
    let unheard = w.fetch("/findings?colour=red").await;
    assert_eq!(unheard.status, 400);
    assert!(unheard.text().contains("unknown field `colour`"));
    let facets = w.get("/findings/facets").await;
    assert_eq!(facets["severity"]["critical"], 2);
    let csv = w.fetch("/findings/export?format=csv").await;
    assert_eq!(csv.headers["x-truncated"], "false");
    assert_eq!(csv.text().lines().count(), 4, "{}", csv.text());
    let json = w.get("/findings/export?format=json").await;
    assert_eq!(json.as_array().unwrap().len(), 3);
    for format in ["html", "sarif", "json"] {
        let report = w.fetch(&format!("/reports?format={format}")).await;
        assert_eq!(report.status, 200, "{}", report.text());
    }
    let listed = w.get("/policy-reports?format=json").await;
    let reports = listed["items"].as_array().unwrap();
    let sum = |word: &str| -> u64 {
        let counts = reports.iter().map(|r| r["summary"][word].as_u64().unwrap());
        counts.sum()
    };
    for (word, outcome) in [
        ("fail", "fail"),
        ("pass", "pass"),
        ("error", "unknown"),
        ("skip", "not_applicable"),
    ] {
        let path = format!("/results?scope=cluster%3Aprod&outcome={outcome}");
        let results = w.get(&path).await;
        let results = results["items"].as_array().unwrap().len() as u64;
        assert_eq!(sum(word), results, "{word}");
    }
    assert!(sum("fail") > 0 && sum("pass") > 0, "{listed}");
    assert_eq!(reports[0]["apiVersion"], "wgpolicyk8s.io/v1alpha2");
    let yaml = w.fetch("/policy-reports?scope=cluster%3Aprod").await;
    assert_eq!(yaml.headers["content-type"], "application/yaml");
    assert_eq!(yaml.text().matches("---\n").count(), reports.len());
    assert_eq!(w.fetch("/policy-reports?format=x").await.status, 400);
    let unknown = w.get("/results?outcome=pass").await;
    assert_eq!(unknown["items"][0]["asset"]["name"], "web");
    assert_eq!(
        w.get("/checks?scope=cluster%3Aprod").await["items"][1]["tally"]["fail"],
        2
    );
});

both!(scopes_are_archived_and_deleted, |w| async move {
    w.import(&first("s1", 1)).await;
    let archived = w
        .call(
            Method::PATCH,
            "/scopes/cluster%3Aprod",
            json!({"archived": true}),
        )
        .await;
    assert_eq!(archived.json()["archived"], true, "{}", archived.text());
    assert_eq!(w.get("/scopes").await["items"], json!([]));
    assert_eq!(w.get("/findings").await["total"]["count"], 0);
    let gone = w
        .call(Method::DELETE, "/scopes/cluster%3Aprod", json!(null))
        .await;
    assert_eq!(gone.status, 204, "{}", gone.text());
    assert_eq!(
        w.get("/scopes?include_archived=true").await["items"],
        json!([])
    );
    let trail = w.get("/audit?action=scope.deleted").await;
    assert_eq!(trail["items"][0]["subject"], "cluster:prod");
    // The same report makes the scope again.
    let job = w
        .import_bytes(first("s1", 1).bytes(), &[("idempotency-key", "anew")])
        .await;
    assert_eq!(job["state"], "done", "{job}");
    assert_eq!(w.statuses().await, ["api open", "web open"]);
});

both!(sarif_comes_in, |w| async move {
    let sarif = json!({
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "Lint", "rules": [{"id": "R1"}]}},
            "results": [{"ruleId": "R1", "level": "error", "message": {"text": "bad"},
                "locations": [{"physicalLocation": {"artifactLocation": {"uri": "a.tf"},
                    "region": {"startLine": 3}}}]}]
        }, {
            "tool": {"driver": {"name": "Other", "rules": [{"id": "X"}]}},
            "results": [{"ruleId": "X", "message": {"text": "worse"},
                "locations": [{"physicalLocation": {"artifactLocation": {"uri": "b.tf"}}}]}]
        }]
    });
    let bytes = sarif.to_string().into_bytes();
    let refused = w.upload("/artifacts?kind=sarif", &[], bytes.clone()).await;
    assert_eq!(refused.status, 400);
    let answer = w.upload(
        "/artifacts?scope=infra",
        &[("content-type", "application/sarif+json")],
        bytes,
    );
    let answer = answer.await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    w.work().await;
    let jobs = w.get("/jobs").await;
    let states: Vec<&str> = jobs["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["done", "done"], "{jobs}");
    let found = w.get("/findings?scope=repository%3Ainfra").await;
    assert_eq!(found["total"]["count"], 2, "{found}");
});

both!(results_of_openscap_come_in, |w| async move {
    let results = |id: &str, end: &str, word: &str| {
        format!(
            "<TestResult id='{id}' start-time='2026-11-20T09:00:00+00:00' {end} \
             test-system='cpe:/a:redhat:openscap:1.3.7'><benchmark id='b'/><target>db1</target>\
             <rule-result idref='r1'><result>{word}</result></rule-result>\
             <rule-result idref='r2'><result>pass</result></rule-result></TestResult>"
        )
    };
    let rules = "<Rule id='r1' severity='high'><title>One</title></Rule><Rule id='r2'/>";
    let file = |results: &str| {
        format!(
            "<?xml version='1.0'?>\n<Benchmark xmlns='http://checklists.nist.gov/xccdf/1.2' \
             id='b'>{rules}{results}</Benchmark>"
        )
        .into_bytes()
    };
    let one = file(&results(
        "t1",
        "end-time='2026-11-20T09:01:00+00:00'",
        "fail",
    ));
    let refused = w.upload("/artifacts", &[], one.clone()).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    // Told by its first bytes.
    let answer = w.upload("/artifacts?scope=host:db1", &[], one).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    w.work().await;
    let found = w.get("/findings?scope=host%3Adb1").await;
    assert_eq!(found["total"]["count"], 1, "{found}");
    assert_eq!(found["items"][0]["check"], "scap/b/r1", "{found}");
    assert_eq!(found["items"][0]["severity"], "high", "{found}");
    // Two results in one file: two scans, the newer last.
    let two = [
        results("t3", "end-time='2026-11-20T09:03:00+00:00'", "pass"),
        results("t2", "end-time='2026-11-20T09:02:00+00:00'", "fail"),
    ];
    let query = "/artifacts?kind=xccdf&scope=host:db1";
    let answer = w.upload(query, &[], file(&two.concat())).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    w.work().await;
    let jobs = w.get("/jobs").await;
    let jobs = jobs["items"].as_array().unwrap().clone();
    assert_eq!(jobs.len(), 3);
    assert!(jobs.iter().all(|job| job["state"] == "done"), "{jobs:?}");
    let found = w.get("/findings?scope=host%3Adb1&status=fixed").await;
    assert_eq!(found["total"]["count"], 1, "{found}");
    // Content without results is refused with the reason.
    let answer = w.upload(query, &[], file("")).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    w.work().await;
    let jobs = w.get("/jobs").await;
    let failed = jobs["items"].as_array().unwrap().iter();
    let failed: Vec<_> = failed.filter(|job| job["state"] == "failed").collect();
    assert_eq!(failed.len(), 1, "{jobs}");
    assert!(
        failed[0]["error"]
            .as_str()
            .unwrap()
            .contains("no TestResult")
    );
});

both!(the_workers_do_it_by_themselves, |w| async move {
    let stop = CancellationToken::new();
    let running = tokio::spawn(Work::run(w.state.clone(), stop.clone()));
    let report = first("s1", 0);
    let job = intake::import_now(&w.state, report.bytes(), "test")
        .await
        .unwrap();
    assert_eq!(w.get(&format!("/jobs/{job}")).await["state"], "done");
    let failed = intake::import_now(&w.state, b"{}\n".to_vec(), "test").await;
    assert_eq!(failed.unwrap_err().status().as_u16(), 422);
    let order = json!({"scope": "cluster:prod", "framework": "demo"});
    let issued = w.post("/attestations", order).await;
    assert_eq!(issued.status, 201, "{}", issued.text());
    stop.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(20), running).await;
    ended.expect("the workers end").unwrap();
    // What happened last is provable after the stop.
    assert_eq!(w.tenant.pending_audit_count().await.unwrap(), 0);
    assert_eq!(Work::sequencer_lag(&w.state).await, None);
});

both!(
    a_dead_process_gives_its_jobs_back_at_the_next_start,
    |w| async move {
        w.upload("/artifacts?kind=report", &[], first("s1", 0).bytes())
            .await;
        let claim = w
            .state
            .store
            .claim("dead", w.state.now(), 3600)
            .await
            .unwrap();
        assert!(claim.is_some());
        let released = w.state.store.release_stale(w.state.now()).await.unwrap();
        // On PostgreSQL the other process may live elsewhere: its lease has to run out.
        let alone = w.state.config.database.is_none();
        assert_eq!(released, u64::from(alone));
        w.work().await;
        assert_eq!(w.statuses().await.is_empty(), !alone);
        w.clock.advance(3601);
        w.work().await;
        assert_eq!(w.statuses().await, ["api open", "web open"]);
    }
);
