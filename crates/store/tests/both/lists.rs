//! Lists of findings and results in every order, under every filter.

use crate::both;
use crate::world::*;
use bartizan_model::Outcome::{Fail, Pass};
use bartizan_model::{AssetUid, CheckUid, FindingStatus, ScopeId, Severity};
use bartizan_store::findings::{FindingFilter, FindingRow, FindingSort};
use bartizan_store::{PageRequest, StoreError};
use std::cmp::Reverse;

both!(
    every_order_under_every_filter,
    large_lists_are_walked,
    words_are_searched,
    archived_scopes_are_hidden,
    nothing_matches_unknown_names,
    cursors_are_checked,
);

const CHECKS: [&str; 6] = [
    "critical-a",
    "high-b",
    "high-c",
    "medium-d",
    "low-e",
    "info-f",
];

/// Three scopes, five scans, all states.
pub async fn populate(w: &World, assets: usize) {
    let names: Vec<String> = (0..assets)
        .map(|i| format!("{}asset-{i:04}", "x".repeat(i % 3)))
        .collect();
    for (scope_name, end, step) in [
        ("b", 300, 2),
        ("a", 100, 3),
        ("c", 200, 5),
        ("b", 400, 3),
        ("c", 500, 2),
    ] {
        let mut results = Vec::new();
        for (c, check_name) in CHECKS.iter().enumerate() {
            for (i, name) in names.iter().enumerate() {
                let outcome = if (i + c).is_multiple_of(step) {
                    Fail
                } else {
                    Pass
                };
                results.push((*check_name, name.as_str(), outcome));
            }
        }
        w.import(&said(
            &format!("{scope_name}{end}"),
            scope_name,
            end,
            &results,
        ))
        .await;
    }
    use bartizan_model::Acceptance;
    use bartizan_store::findings::FindingAction;
    let mut salts = salts();
    let accept = FindingAction::Accept(Acceptance {
        owner: "ana".into(),
        reason: "legacy".into(),
        expires: Some(at(100_000)),
    });
    let wrong = FindingAction::FalsePositive {
        reason: "no".into(),
    };
    for (i, action) in [(0, &accept), (6, &wrong)] {
        let name = &names[i];
        for check_name in CHECKS {
            let keys: Vec<_> = ["a", "b", "c"]
                .iter()
                .map(|s| key(s, check_name, name))
                .collect();
            w.tenant
                .act_on_findings(&keys, action, "ana", at(600 + i as i64), &mut salts)
                .await
                .unwrap();
        }
    }
}

/// All pages of a list.
pub async fn all(
    w: &World,
    filter: &FindingFilter,
    sort: FindingSort,
    limit: u32,
) -> Vec<FindingRow> {
    let mut rows = Vec::new();
    let mut cursor = None;
    loop {
        let request = PageRequest { cursor, limit };
        let page = w
            .tenant
            .findings(filter, sort, &request)
            .await
            .unwrap()
            .page;
        assert!(page.items.len() <= limit as usize);
        rows.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return rows;
        }
    }
}

fn keep(filter: &FindingFilter, row: &FindingRow) -> bool {
    filter.scope.as_ref().is_none_or(|s| *s == row.scope)
        && (filter.status.is_empty() || filter.status.contains(&row.status))
        && (filter.severity.is_empty() || filter.severity.contains(&row.severity))
        && filter
            .checks
            .as_ref()
            .is_none_or(|c| c.contains(&row.check))
        && filter.asset.as_ref().is_none_or(|a| *a == row.asset.uid)
        && filter
            .namespace
            .as_ref()
            .is_none_or(|n| *n == row.asset.namespace)
        && filter.kind.as_ref().is_none_or(|k| *k == row.asset.kind)
}

fn in_order(sort: FindingSort, rows: &[FindingRow]) -> bool {
    match sort {
        FindingSort::Severity => rows.is_sorted_by_key(|r| Reverse((r.severity, r.changed))),
        FindingSort::Changed => rows.is_sorted_by_key(|r| Reverse(r.changed)),
        FindingSort::FirstSeen => rows.is_sorted_by_key(|r| Reverse(r.first_seen)),
        FindingSort::Check => rows.is_sorted_by(|a, b| {
            (a.check.as_str(), Reverse(a.first_seen)) <= (b.check.as_str(), Reverse(b.first_seen))
        }),
        FindingSort::Asset => rows.is_sorted_by_key(|r| r.asset.uid.as_str().to_owned()),
    }
}

fn filters() -> Vec<FindingFilter> {
    let d = FindingFilter::default;
    let all = FindingFilter {
        status: vec![],
        ..d()
    };
    vec![
        d(),
        all.clone(),
        FindingFilter {
            scope: Some(scope("b")),
            ..all.clone()
        },
        FindingFilter {
            scope: Some(scope("a")),
            ..d()
        },
        FindingFilter {
            status: vec![FindingStatus::Fixed],
            ..d()
        },
        FindingFilter {
            status: vec![FindingStatus::Accepted, FindingStatus::FalsePositive],
            ..d()
        },
        FindingFilter {
            severity: vec![Severity::High, Severity::Info],
            ..all.clone()
        },
        FindingFilter {
            checks: Some(vec![check("high-c")]),
            ..all.clone()
        },
        FindingFilter {
            checks: Some(vec![check("high-c"), check("info-f"), check("nonesuch")]),
            ..d()
        },
        FindingFilter {
            asset: Some(uid("c", "asset-0006")),
            ..all.clone()
        },
        FindingFilter {
            namespace: Some("ns-1".into()),
            ..all.clone()
        },
        FindingFilter {
            kind: Some("Pod".into()),
            ..d()
        },
        FindingFilter {
            kind: Some("Pod".into()),
            namespace: Some("ns-2".into()),
            scope: Some(scope("c")),
            severity: vec![Severity::Low],
            ..all
        },
    ]
}

async fn check_all(w: &World, limit: u32) {
    let every = FindingFilter {
        status: vec![],
        ..FindingFilter::default()
    };
    let world = all(w, &every, FindingSort::Changed, 1_000).await;
    for filter in filters() {
        let mut want: Vec<&str> = world
            .iter()
            .filter(|r| keep(&filter, r))
            .map(|r| r.key.as_str())
            .collect();
        want.sort_unstable();
        for sort in FindingSort::ALL {
            let rows = all(w, &filter, sort, limit).await;
            assert!(in_order(sort, &rows), "{sort:?} {filter:?}");
            let mut got: Vec<&str> = rows.iter().map(|r| r.key.as_str()).collect();
            got.sort_unstable();
            assert_eq!(got, want, "{sort:?} {filter:?}");
        }
        let page = w
            .tenant
            .findings(&filter, FindingSort::Asset, &PageRequest::default())
            .await
            .unwrap();
        let total = page.page.total.unwrap();
        let facets = w.tenant.finding_facets(&filter).await.unwrap();
        if !total.capped {
            assert_eq!(total.count, want.len() as u64, "{filter:?}");
        }
        assert_eq!(facets.severity.values().sum::<u64>(), want.len() as u64);
        for (status, n) in &facets.status {
            let count = world
                .iter()
                .filter(|r| keep(&filter, r) && r.status == *status)
                .count();
            assert_eq!(*n, count as u64, "{status:?} {filter:?}");
        }
    }
}

async fn every_order_under_every_filter(w: World) {
    populate(&w, 40).await;
    check_all(&w, 7).await;
}

/// Beyond what is sorted at once, the other plan must say the same.
async fn large_lists_are_walked(w: World) {
    populate(&w, 2_400).await;
    check_all(&w, 1_000).await;
    let first = w
        .tenant
        .findings(
            &FindingFilter {
                status: vec![],
                ..FindingFilter::default()
            },
            FindingSort::Check,
            &PageRequest::default(),
        )
        .await
        .unwrap();
    assert!(first.page.total.unwrap().count > 20_000);
}

async fn words_are_searched(w: World) {
    populate(&w, 40).await;
    let find = |q: &str| FindingFilter {
        q: Some(q.into()),
        status: vec![],
        ..FindingFilter::default()
    };
    let rows = all(&w, &find("XAsset-0007 HIGH"), FindingSort::Severity, 5).await;
    assert!(!rows.is_empty());
    assert!(
        rows.iter()
            .all(|r| r.asset.name.ends_with("0007") && r.check.as_str().contains("high"))
    );
    assert_eq!(all(&w, &find("nonesuch"), FindingSort::Asset, 5).await, []);
    // Nothing of the query languages gets through.
    for q in [
        "\"",
        "a OR",
        "NEAR(",
        "'; --",
        "*",
        ":*",
        "a & | !",
        "\0",
        "é Ⓐ ² %",
    ] {
        let filter = find(q);
        match w
            .tenant
            .findings(&filter, FindingSort::Changed, &PageRequest::default())
            .await
        {
            Ok(_) | Err(StoreError::Invalid(_)) => {}
            Err(other) => panic!("{q:?}: {other}"),
        }
    }
    // The newest words count.
    let mut changed = said("c900", "c", 900, &[("high-b", "asset-0000", Fail)]).partial();
    for line in &mut changed.lines {
        if let bartizan_model::report::Line::Result(r) = line {
            r.message = "an unheard of zebra".into();
        }
    }
    w.import(&changed).await;
    let page = w
        .tenant
        .findings(
            &find("zebra"),
            FindingSort::Changed,
            &PageRequest::default(),
        )
        .await
        .unwrap();
    assert_eq!(page.page.items.len(), 1);
    assert!(!page.search.unwrap().capped);
    let old = w
        .tenant
        .findings(
            &find("breaks high b asset 0000"),
            FindingSort::Changed,
            &PageRequest::default(),
        )
        .await
        .unwrap();
    assert!(old.page.items.iter().all(|r| r.scope != scope("c")));
}

async fn archived_scopes_are_hidden(w: World) {
    populate(&w, 10).await;
    let every = FindingFilter {
        status: vec![],
        ..FindingFilter::default()
    };
    let before = all(&w, &every, FindingSort::Severity, 100).await;
    w.tenant
        .archive_scope(&scope("b"), true, &act("ana", 9))
        .await
        .unwrap();
    for sort in FindingSort::ALL {
        let rows = all(&w, &every, sort, 100).await;
        assert_eq!(
            rows.len(),
            before.iter().filter(|r| r.scope != scope("b")).count()
        );
        assert!(rows.iter().all(|r| r.scope != scope("b")));
    }
    let named = FindingFilter {
        scope: Some(scope("b")),
        ..every
    };
    assert!(!all(&w, &named, FindingSort::Check, 100).await.is_empty());
    assert_eq!(w.tenant.scopes(false).await.unwrap().len(), 2);
    assert_eq!(w.tenant.scopes(true).await.unwrap().len(), 3);
    w.tenant
        .archive_scope(&scope("b"), false, &act("ana", 10))
        .await
        .unwrap();
    assert_eq!(
        all(
            &w,
            &FindingFilter {
                status: vec![],
                ..FindingFilter::default()
            },
            FindingSort::Asset,
            100
        )
        .await
        .len(),
        before.len()
    );
    w.tenant
        .delete_scope(&scope("b"), &act("ana", 11))
        .await
        .unwrap();
    assert_eq!(w.tenant.scopes(true).await.unwrap().len(), 2);
    let missing = w
        .tenant
        .delete_scope(&scope("b"), &act("ana", 12))
        .await
        .unwrap_err();
    assert!(matches!(
        missing,
        StoreError::NotFound { what: "scope", .. }
    ));
    let d = FindingFilter {
        q: Some("high".into()),
        status: vec![],
        ..FindingFilter::default()
    };
    assert!(
        all(&w, &d, FindingSort::Asset, 100)
            .await
            .iter()
            .all(|r| r.scope != scope("b"))
    );
}

async fn nothing_matches_unknown_names(w: World) {
    populate(&w, 8).await;
    let d = FindingFilter::default;
    for filter in [
        FindingFilter {
            scope: Some(ScopeId::new("cluster:none").unwrap()),
            ..d()
        },
        FindingFilter {
            checks: Some(vec![CheckUid::new("x/y/z").unwrap()]),
            ..d()
        },
        FindingFilter {
            checks: Some(vec![]),
            ..d()
        },
        FindingFilter {
            asset: Some(AssetUid::new("x").unwrap()),
            ..d()
        },
        FindingFilter {
            namespace: Some("x".into()),
            ..d()
        },
        FindingFilter {
            kind: Some("x".into()),
            ..d()
        },
    ] {
        let page = w
            .tenant
            .findings(&filter, FindingSort::Asset, &PageRequest::default())
            .await
            .unwrap();
        assert_eq!(
            (page.page.items.len(), page.page.total.unwrap().count),
            (0, 0)
        );
    }
}

async fn cursors_are_checked(w: World) {
    populate(&w, 10).await;
    let request = |cursor: &str| PageRequest {
        cursor: Some(cursor.into()),
        limit: 2,
    };
    let first = w
        .tenant
        .findings(
            &FindingFilter::default(),
            FindingSort::Severity,
            &PageRequest {
                cursor: None,
                limit: 2,
            },
        )
        .await
        .unwrap();
    let cursor = first.page.next_cursor.unwrap();
    for (sort, cursor) in [
        (FindingSort::Asset, cursor.as_str()),
        (FindingSort::Severity, "zz"),
        (FindingSort::Severity, "7b7d"),
    ] {
        let error = w
            .tenant
            .findings(&FindingFilter::default(), sort, &request(cursor))
            .await
            .unwrap_err();
        assert!(matches!(error, StoreError::Invalid(_)), "{error}");
    }
}
