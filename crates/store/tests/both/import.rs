//! Reports into the tables.

use crate::both;
use crate::world::*;
use bartizan_model::Outcome::{Fail, Pass};
use bartizan_model::report::Line;
use bartizan_model::{FindingStatus, Outcome, ScanId};
use bartizan_store::import::ImportSummary;
use bartizan_store::queue::JobState;
use bartizan_store::{PageRequest, StoreError};

both!(
    life_of_a_finding,
    unchanged_rescan_writes_only_the_scan,
    same_bytes_again_reopen,
    same_scan_other_bytes_is_a_conflict,
    absence_closes_only_for_complete_scans,
    absence_is_by_source,
    older_scan_is_stale,
    people_are_not_overruled,
    suppressed_at_source,
    stolen_lease_is_fenced,
    killed_anywhere_ends_equal,
    duplicates_the_worse_stays,
    foreign_assets_are_refused,
    unknown_is_no_news,
    last_seen_follows_complete_scans,
    renamed_asset_moves_its_findings,
);

fn two() -> Vec<(&'static str, &'static str, Outcome)> {
    vec![
        ("high-a", "web", Fail),
        ("high-a", "db", Pass),
        ("low-b", "web", Pass),
        ("low-b", "db", unknown("no schema")),
    ]
}

async fn status(w: &World, check: &str, name: &str) -> FindingStatus {
    w.tenant
        .finding(&key("prod", check, name))
        .await
        .unwrap()
        .unwrap()
        .row
        .status
}

async fn life_of_a_finding(w: World) {
    let first = w.import(&said("s1", "prod", 100, &two())).await;
    let want = ImportSummary {
        scan: "s1".into(),
        pass: 2,
        fail: 1,
        unknown: 1,
        opened: 1,
        ..ImportSummary::default()
    };
    assert_eq!(first, want);
    let detail = w
        .tenant
        .finding(&key("prod", "high-a", "web"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(detail.row.status, FindingStatus::Open);
    assert_eq!(detail.row.message, "web breaks high-a");
    assert_eq!(
        (detail.row.first_seen, detail.last_seen),
        (at(100), at(100))
    );
    assert_eq!(detail.result.unwrap().outcome, Fail);
    assert_eq!(detail.observation.unwrap().body["name"], "web");
    let actions: Vec<String> = detail
        .history
        .iter()
        .map(|h| h.entry.as_ref().unwrap().action.clone())
        .collect();
    assert_eq!(actions, ["finding.opened"]);

    let mut fixed = two();
    fixed[0].2 = Pass;
    assert_eq!(w.import(&said("s2", "prod", 200, &fixed)).await.fixed, 1);
    let again = w.import(&said("s3", "prod", 300, &two())).await;
    assert_eq!((again.opened, again.reopened), (0, 1));
    assert_eq!(status(&w, "high-a", "web").await, FindingStatus::Reopened);

    let tallies = w.tenant.tallies(&scope("prod")).await.unwrap();
    let lines: Vec<_> = tallies
        .iter()
        .map(|t| (t.check.as_str(), t.pass, t.fail, t.unknown))
        .collect();
    assert_eq!(
        lines,
        [
            ("rego/bartizan/high-a", 1, 1, 0),
            ("rego/bartizan/low-b", 1, 0, 1)
        ]
    );
    assert_eq!(
        w.tenant
            .scans(None, &PageRequest::default())
            .await
            .unwrap()
            .items
            .len(),
        3
    );
}

/// The lines of the dump that an unchanged rescan may not touch.
async fn rows(w: &World) -> Vec<String> {
    w.tenant
        .dump_state()
        .await
        .unwrap()
        .lines()
        .filter(|l| {
            !l.starts_with("scan ")
                && !l.contains("|scan.imported|")
                && !l.contains("|artifact.received|")
        })
        .map(str::to_owned)
        .collect()
}

async fn unchanged_rescan_writes_only_the_scan(w: World) {
    w.import(&said("s1", "prod", 100, &two())).await;
    let before = rows(&w).await;
    let summary = w.import(&said("s2", "prod", 200, &two())).await;
    assert_eq!((summary.opened, summary.fixed), (0, 0));
    // Results and observations carry the scan that wrote them: none says s2.
    assert_eq!(rows(&w).await, before);
    assert!(before.iter().any(|l| l.starts_with("result ")));
}

async fn same_bytes_again_reopen(w: World) {
    let failing = said("s1", "prod", 100, &two());
    w.import(&failing).await;
    let mut fixed = two();
    fixed[0].2 = Pass;
    w.import(&said("s2", "prod", 200, &fixed)).await;
    assert_eq!(status(&w, "high-a", "web").await, FindingStatus::Fixed);

    // The same submission: nothing happens, the earlier job is named.
    let same = w.submit(&failing, None).await.unwrap();
    assert!(same.duplicate);
    assert_eq!(same.job.state, JobState::Done);
    assert!(w.store.claim("w", at(9), 60).await.unwrap().is_none());

    // The same bytes as a new submission: news.
    let news = w.submit(&failing, Some("again")).await.unwrap();
    assert!(!news.duplicate);
    let claim = w.claim(9).await;
    let summary = w.run(&claim, &failing).await.unwrap();
    assert_eq!((summary.scan.as_str(), summary.reopened), ("s1.r1", 1));
    assert_eq!(status(&w, "high-a", "web").await, FindingStatus::Reopened);
    let scan = w
        .tenant
        .scan(&ScanId::new("s1.r1").unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((scan.finished, scan.stale), (at(200), false));
    let once_more = w.submit(&failing, Some("again")).await.unwrap();
    assert!(once_more.duplicate);
}

async fn same_scan_other_bytes_is_a_conflict(w: World) {
    w.import(&said("s1", "prod", 100, &two())).await;
    let other = said("s1", "prod", 101, &two());
    for key in [None, Some("k")] {
        let error = w.submit(&other, key).await.unwrap_err();
        assert!(matches!(error, StoreError::Conflict(_)), "{error}");
    }
}

async fn absence_closes_only_for_complete_scans(w: World) {
    w.import(&said("s1", "prod", 100, &two())).await;
    w.import(&said("s2", "prod", 200, &[("low-b", "db", Pass)]).partial())
        .await;
    assert_eq!(status(&w, "high-a", "web").await, FindingStatus::Open);
    let summary = w
        .import(&said("s3", "prod", 300, &[("low-b", "db", Pass)]))
        .await;
    assert_eq!(summary.fixed, 1);
    let detail = w
        .tenant
        .finding(&key("prod", "high-a", "web"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(detail.row.status, FindingStatus::Fixed);
    assert_eq!((detail.result, detail.observation), (None, None));
    assert_eq!(
        (detail.last_seen, detail.last_scan.unwrap().as_str()),
        (at(100), "s1")
    );
    let tallies = w.tenant.tallies(&scope("prod")).await.unwrap();
    assert_eq!(tallies.len(), 1);
    assert_eq!((tallies[0].pass, tallies[0].unknown), (1, 0));
}

async fn absence_is_by_source(w: World) {
    w.import(&said("s1", "prod", 100, &two())).await;
    let mut other = said("s2", "prod", 200, &[("high-z", "web", Fail)]);
    other.scan.source = "sarif/other".into();
    w.import(&other).await;
    assert_eq!(status(&w, "high-a", "web").await, FindingStatus::Open);
    let mut empty = said("s3", "prod", 300, &[]);
    empty.scan.source = "sarif/other".into();
    assert_eq!(w.import(&empty).await.fixed, 1);
    assert_eq!(status(&w, "high-a", "web").await, FindingStatus::Open);
    assert_eq!(status(&w, "high-z", "web").await, FindingStatus::Fixed);
    assert_eq!(
        w.tenant.current_scans(&scope("prod")).await.unwrap().len(),
        2
    );
}

async fn older_scan_is_stale(w: World) {
    let mut fixed = two();
    fixed[0].2 = Pass;
    w.import(&said("new", "prod", 200, &fixed)).await;
    let before = rows(&w).await;
    let summary = w.import(&said("old", "prod", 100, &two())).await;
    assert!(summary.stale);
    assert_eq!((summary.fail, summary.opened), (1, 0));
    assert_eq!(rows(&w).await, before);
    let row = w
        .tenant
        .scan(&ScanId::new("old").unwrap())
        .await
        .unwrap()
        .unwrap();
    assert!(row.stale);
    let scopes = w.tenant.scopes(false).await.unwrap();
    assert_eq!(scopes[0].last_scan.as_ref().unwrap().id.as_str(), "new");
}

async fn people_are_not_overruled(w: World) {
    use bartizan_model::Acceptance;
    use bartizan_store::findings::FindingAction;
    w.import(&said(
        "s1",
        "prod",
        100,
        &[("high-a", "web", Fail), ("high-a", "db", Fail)],
    ))
    .await;
    let accept = FindingAction::Accept(Acceptance {
        owner: "ana".into(),
        reason: "legacy".into(),
        expires: Some(at(10_000)),
    });
    let wrong = FindingAction::FalsePositive {
        reason: "no".into(),
    };
    let mut salts = salts();
    for (name, action) in [("web", &accept), ("db", &wrong)] {
        let out = w
            .tenant
            .act_on_findings(
                &[key("prod", "high-a", name)],
                action,
                "ana",
                at(150),
                &mut salts,
            )
            .await
            .unwrap();
        assert_eq!((out.changed, out.refused), (1, vec![]));
    }
    // The failure is seen again, with other words.
    let mut again = said(
        "s2",
        "prod",
        200,
        &[("high-a", "web", Fail), ("high-a", "db", Fail)],
    );
    for line in &mut again.lines {
        if let Line::Result(r) = line {
            r.message = "other words".into();
        }
    }
    w.import(&again).await;
    assert_eq!(status(&w, "high-a", "web").await, FindingStatus::Accepted);
    assert_eq!(
        status(&w, "high-a", "db").await,
        FindingStatus::FalsePositive
    );
    let detail = w
        .tenant
        .finding(&key("prod", "high-a", "web"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(detail.row.message, "other words");
    let t = &w.tenant.tallies(&scope("prod")).await.unwrap()[0];
    assert_eq!((t.fail, t.accepted, t.false_positive), (0, 1, 1));
    // Gone, the acceptance goes with it; the ruling stays.
    w.import(&said("s3", "prod", 300, &[])).await;
    assert_eq!(status(&w, "high-a", "web").await, FindingStatus::Fixed);
    assert_eq!(
        status(&w, "high-a", "db").await,
        FindingStatus::FalsePositive
    );
}

async fn suppressed_at_source(w: World) {
    let fail = [("high-a", "web", Fail)];
    let summary = w
        .import(&said("s1", "prod", 100, &fail).suppress("web", "known"))
        .await;
    assert_eq!((summary.accepted, summary.opened), (1, 0));
    let detail = w
        .tenant
        .finding(&key("prod", "high-a", "web"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(detail.row.acceptance.unwrap().reason, "annotation: known");
    assert_eq!(detail.result.unwrap().suppression.unwrap().reason, "known");
    assert_eq!(w.import(&said("s2", "prod", 200, &fail)).await.reopened, 1);
}

async fn stolen_lease_is_fenced(w: World) {
    let report = said("s1", "prod", 100, &two());
    w.submit(&report, None).await.unwrap();
    let slow = w.claim(6).await;
    // Its minute passes; another worker takes over.
    let quick = w.claim(100).await;
    assert_eq!(
        (quick.lease.token, quick.job.attempts),
        (slow.lease.token + 1, 2)
    );
    let error = w.run(&slow, &report).await.unwrap_err();
    assert!(matches!(error, StoreError::Fenced("the job")), "{error}");
    for error in [
        w.store
            .heartbeat(&slow.lease, at(101), 60)
            .await
            .unwrap_err(),
        w.store.complete(&slow.lease, at(101)).await.unwrap_err(),
        w.store
            .fail(&slow.lease, "x", true, at(101))
            .await
            .unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Fenced("the job")), "{error}");
    }
    assert_eq!(w.run(&quick, &report).await.unwrap().opened, 1);
    // The slow one had begun before: its last commit must fail as well.
    let other = said("s2", "prod", 200, &two());
    w.submit(&other, None).await.unwrap();
    let slow = w.claim(200).await;
    let plan = bartizan_store::import::ImportPlan {
        scan: other.scan.clone(),
        artifact: other.digest(),
        total: None,
    };
    let mut import = w.tenant.import(&slow.lease, plan, at(200)).await.unwrap();
    let mut salts = salts();
    for line in other.lines.clone() {
        import.push(line, at(200), &mut salts).await.unwrap();
    }
    let quick = w.claim(300).await;
    let error = import.finish(at(301), &mut salts).await.unwrap_err();
    assert!(matches!(error, StoreError::Fenced("the job")), "{error}");
    w.run(&quick, &other).await.unwrap();
}

fn many(end: i64, n: usize) -> Said {
    let names: Vec<String> = (0..n).map(|i| format!("asset-{i:05}")).collect();
    let mut results = Vec::new();
    for check in ["critical-a", "high-b", "low-c"] {
        for (i, name) in names.iter().enumerate() {
            results.push((
                check,
                name.as_str(),
                if (i + end as usize).is_multiple_of(2) {
                    Fail
                } else {
                    Pass
                },
            ));
        }
    }
    said(&format!("m{end}"), "prod", end, &results)
}

/// An import that is dropped after any chunk and resumed by another worker ends as one that
/// ran through; counters agree with the rows that they count.
async fn killed_anywhere_ends_equal(w: World) {
    let reports = [many(101, 2_000), many(202, 1_500)];
    for report in &reports {
        w.import(report).await;
    }
    let want = w.tenant.dump_state().await.unwrap();
    assert!(want.lines().count() > 10_000);
    w.tenant
        .delete_scope(&scope("prod"), &act("ana", 1))
        .await
        .unwrap();
    let left = w.tenant.dump_state().await.unwrap();
    assert!(left.lines().all(|l| l.starts_with("audit ")), "{left:.500}");

    let other = if w.database.is_some() {
        World::postgres("second").await.unwrap()
    } else {
        World::sqlite().await
    };
    let mut clock = 10;
    for report in &reports {
        other.submit(report, None).await.unwrap();
        // Each attempt gets one chunk further, and is then dropped.
        for stop in [100, 4_100, 5_000] {
            clock += 100;
            let claim = other.claim(clock).await;
            let plan = bartizan_store::import::ImportPlan {
                scan: report.scan.clone(),
                artifact: report.digest(),
                total: None,
            };
            let mut import = other
                .tenant
                .import(&claim.lease, plan, at(clock))
                .await
                .unwrap();
            let mut salts = salts();
            for line in report.lines.iter().take(stop).cloned() {
                import.push(line, at(clock), &mut salts).await.unwrap();
            }
        }
        clock += 100;
        let claim = other.claim(clock).await;
        other.run(&claim, report).await.unwrap();
    }
    let strip = |dump: String| -> Vec<String> {
        dump.lines()
            .filter(|l| !l.contains("|artifact.received|"))
            .map(str::to_owned)
            .collect()
    };
    let got = strip(other.tenant.dump_state().await.unwrap());
    assert!(got == strip(want), "the end states differ");
    drop_database(other.database.clone()).await;
}

async fn duplicates_the_worse_stays(w: World) {
    let report = said(
        "s1",
        "prod",
        100,
        &[
            ("high-a", "web", Pass),
            ("high-a", "web", Fail),
            ("high-a", "web", unknown("x")),
        ],
    );
    assert_eq!(w.import(&report).await.opened, 1);
    assert_eq!(status(&w, "high-a", "web").await, FindingStatus::Open);
    let t = &w.tenant.tallies(&scope("prod")).await.unwrap()[0];
    assert_eq!((t.pass, t.fail, t.unknown), (0, 1, 0));
    // Also when the second verdict comes chunks later.
    let mut far = many(300, 3_000);
    let Some(Line::Result(last)) = far.lines.last_mut() else {
        panic!()
    };
    assert_eq!(last.outcome, Pass);
    let again = last.clone();
    last.outcome = Pass;
    far.lines.insert(
        3_003,
        Line::Result(bartizan_model::CheckResult {
            outcome: Fail,
            message: "worse".into(),
            ..again
        }),
    );
    let summary = w.import(&far).await;
    assert_eq!(summary.opened, 4_501);
}

async fn foreign_assets_are_refused(w: World) {
    w.import(&said("s1", "prod", 100, &two())).await;
    let mut thief = said("s2", "test", 200, &[("high-a", "web", Fail)]);
    for line in &mut thief.lines {
        match line {
            Line::Result(r) => r.asset = uid("prod", "web"),
            Line::Observation(o) => o.asset.uid = uid("prod", "web"),
            _ => {}
        }
    }
    w.submit(&thief, None).await.unwrap();
    let claim = w.claim(9).await;
    let error = w.run(&claim, &thief).await.unwrap_err();
    assert!(matches!(error, StoreError::Report(_)), "{error}");
}

async fn unknown_is_no_news(w: World) {
    w.import(&said("s1", "prod", 100, &[("high-a", "web", Fail)]))
        .await;
    w.import(&said(
        "s2",
        "prod",
        200,
        &[("high-a", "web", unknown("timeout"))],
    ))
    .await;
    assert_eq!(status(&w, "high-a", "web").await, FindingStatus::Open);
    let t = &w.tenant.tallies(&scope("prod")).await.unwrap()[0];
    assert_eq!((t.pass, t.fail, t.unknown), (0, 0, 1));
}

async fn last_seen_follows_complete_scans(w: World) {
    w.import(&said("s1", "prod", 100, &two())).await;
    w.import(&said("s2", "prod", 200, &two())).await;
    let detail = w
        .tenant
        .finding(&key("prod", "high-a", "web"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((detail.row.changed, detail.last_seen), (at(100), at(200)));
    assert_eq!(detail.last_scan.unwrap().as_str(), "s2");
}

async fn renamed_asset_moves_its_findings(w: World) {
    use bartizan_store::findings::{FindingFilter, FindingSort};
    w.import(&said("s1", "prod", 100, &two())).await;
    let mut moved = said("s2", "prod", 200, &two());
    for line in &mut moved.lines {
        if let Line::Observation(o) = line {
            o.asset.namespace = "elsewhere".into();
        }
    }
    w.import(&moved).await;
    let filter = FindingFilter {
        namespace: Some("elsewhere".into()),
        ..FindingFilter::default()
    };
    let page = w
        .tenant
        .findings(&filter, FindingSort::Asset, &PageRequest::default())
        .await
        .unwrap();
    assert_eq!(page.page.items.len(), 1);
}
