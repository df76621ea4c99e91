//! Results, overview, and counters that must equal a recount.

use crate::both;
use crate::lists::{all, populate};
use crate::world::*;
use bartizan_model::Outcome::{Fail, NotApplicable, Pass};
use bartizan_model::{FindingStatus, Outcome, Severity};
use bartizan_store::findings::{FindingFilter, FindingSort};
use bartizan_store::scans::ResultFilter;
use bartizan_store::{PageRequest, StoreError};

both!(
    results_are_listed,
    overview_counts,
    counters_agree_with_rows
);

async fn results_are_listed(w: World) {
    let na = || NotApplicable { why: "none".into() };
    w.import(&said(
        "s1",
        "prod",
        100,
        &[
            ("high-a", "web", Fail),
            ("high-a", "db", Pass),
            ("low-b", "web", unknown("t")),
            ("low-b", "db", na()),
        ],
    ))
    .await;
    w.import(&said("t1", "test", 100, &[("low-b", "web", unknown("u"))]))
        .await;
    let list = async |filter: ResultFilter| {
        let mut out = Vec::new();
        let mut cursor = None;
        loop {
            let page = w
                .tenant
                .results(&filter, &PageRequest { cursor, limit: 2 })
                .await
                .unwrap();
            out.extend(page.items.into_iter().map(|r| {
                (
                    r.scope.to_string(),
                    r.check.to_string(),
                    r.asset.name,
                    r.outcome.word(),
                )
            }));
            cursor = page.next_cursor;
            if cursor.is_none() {
                return out;
            }
        }
    };
    assert_eq!(list(ResultFilter::default()).await.len(), 5);
    let unknowns = list(ResultFilter {
        outcome: Some("unknown".into()),
        ..ResultFilter::default()
    })
    .await;
    assert_eq!(unknowns.len(), 2);
    let of_web = list(ResultFilter {
        asset: Some(uid("prod", "web")),
        ..ResultFilter::default()
    })
    .await;
    assert_eq!(
        of_web.iter().map(|r| r.3).collect::<Vec<_>>(),
        ["fail", "unknown"]
    );
    let one = list(ResultFilter {
        scope: Some(scope("prod")),
        check: Some(check("low-b")),
        outcome: Some("not_applicable".into()),
        ..ResultFilter::default()
    })
    .await;
    assert_eq!(
        one,
        [(
            "cluster:prod".to_owned(),
            "rego/bartizan/low-b".to_owned(),
            "db".to_owned(),
            "not_applicable"
        )]
    );
    let error = w
        .tenant
        .results(
            &ResultFilter {
                outcome: Some("x".into()),
                ..ResultFilter::default()
            },
            &PageRequest::default(),
        )
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Invalid(_)));
    let checks = w.tenant.checks(None).await.unwrap();
    assert_eq!(
        checks
            .iter()
            .map(|(c, t)| (c.title.as_str(), t.unknown))
            .collect::<Vec<_>>(),
        [("The title of high-a", 0), ("The title of low-b", 2)]
    );
}

async fn overview_counts(w: World) {
    let empty = w.tenant.overview(None, at(1_000)).await.unwrap();
    assert_eq!((empty.scopes, empty.scope), (0, None));
    w.import(&said(
        "s1",
        "prod",
        100,
        &[("high-a", "web", Fail), ("low-b", "web", unknown("t"))],
    ))
    .await;
    w.import(&said("t1", "test", 100, &[("critical-c", "web", Fail)]))
        .await;
    w.import(&said(
        "s2",
        "prod",
        200,
        &[("high-a", "web", Pass), ("low-b", "web", unknown("t"))],
    ))
    .await;
    let o = w.tenant.overview(None, at(1_000)).await.unwrap();
    assert_eq!(
        (o.scopes, o.fixed_30d, o.unknown_results, o.accepted),
        (2, 1, 1, 0)
    );
    assert_eq!(
        o.active.into_iter().collect::<Vec<_>>(),
        [(Severity::Critical, 1)]
    );
    assert_eq!(
        (o.scope, o.last_scan.unwrap().id.as_str()),
        (Some(scope("prod")), "s2")
    );
    let o = w
        .tenant
        .overview(Some(&scope("test")), at(40 * 86_400))
        .await
        .unwrap();
    assert_eq!((o.fixed_30d, o.last_scan.unwrap().id.as_str()), (0, "t1"));
    assert!(
        w.tenant
            .overview(Some(&scope("none")), at(1))
            .await
            .is_err()
    );
}

/// Counters are only ever changed by differences: after all that, they must equal a recount.
async fn counters_agree_with_rows(w: World) {
    populate(&w, 60).await;
    let every = FindingFilter {
        status: vec![],
        ..FindingFilter::default()
    };
    let findings = all(&w, &every, FindingSort::Asset, 500).await;
    for scope_name in ["a", "b", "c"] {
        let mut results = Vec::new();
        let mut cursor = None;
        loop {
            let page = w
                .tenant
                .results(
                    &ResultFilter {
                        scope: Some(scope(scope_name)),
                        ..ResultFilter::default()
                    },
                    &PageRequest { cursor, limit: 500 },
                )
                .await
                .unwrap();
            results.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        for tally in w.tenant.tallies(&scope(scope_name)).await.unwrap() {
            let mut want = [0_u64; 4];
            for r in results.iter().filter(|r| r.check == tally.check) {
                let status = findings
                    .iter()
                    .find(|f| f.check == r.check && f.asset.uid == r.asset.uid)
                    .map(|f| f.status);
                let class = match (&r.outcome, status) {
                    (Outcome::Fail, Some(FindingStatus::Accepted)) => 2,
                    (Outcome::Fail, Some(FindingStatus::FalsePositive)) => 3,
                    (Outcome::Fail, _) => 1,
                    _ => 0,
                };
                want[class] += 1;
            }
            assert_eq!(
                [tally.pass, tally.fail, tally.accepted, tally.false_positive],
                want
            );
        }
    }
}
