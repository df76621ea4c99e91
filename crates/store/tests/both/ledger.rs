//! Audit entries, the sequencer's fence and ledger objects.

use crate::both;
use crate::world::*;
use bartizan_model::Outcome::Fail;
use bartizan_store::audit::{AuditFilter, LedgerState};
use bartizan_store::{PageRequest, StoreError};
use bytes::Bytes;
use serde_json::json;

both!(
    sequencers_cannot_fork,
    entries_are_found,
    rare_words_are_found_page_by_page,
    bodies_can_be_erased,
    ledger_objects,
);

fn state(size: u64, root: u8) -> LedgerState {
    LedgerState {
        size,
        root: vec![root; 32],
        checkpoint: format!("log\n{size}\n"),
        at: at(size as i64),
    }
}

async fn sequencers_cannot_fork(w: World) {
    for i in 0..5 {
        w.tenant
            .append_audit(
                &act("ana", i),
                "session.login",
                &format!("user-{i}"),
                json!({"ok": i}),
            )
            .await
            .unwrap();
    }
    assert_eq!(w.tenant.ledger_state().await.unwrap(), None);
    let pending = w.tenant.pending_audit(3).await.unwrap();
    let seqs: Vec<i64> = pending.iter().map(|p| p.seq).collect();
    assert_eq!(
        pending
            .iter()
            .map(|p| p.entry.subject.as_str())
            .collect::<Vec<_>>(),
        ["user-0", "user-1", "user-2"]
    );
    let first = state(3, 1);
    w.tenant.commit_ledger(None, &first, &seqs).await.unwrap();
    // Another that began from the same state is fenced off, whatever it would write.
    for (expected, next, entries) in [
        (None, state(3, 2), seqs.clone()),
        (Some(state(3, 9)), state(3, 2), vec![]),
    ] {
        let error = w
            .tenant
            .commit_ledger(expected.as_ref(), &next, &entries)
            .await
            .unwrap_err();
        assert!(matches!(error, StoreError::Fenced("the ledger")), "{error}");
    }
    // An entry gets one index only.
    let error = w
        .tenant
        .commit_ledger(Some(&first), &state(6, 2), &seqs)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Fenced("the ledger")), "{error}");
    let error = w
        .tenant
        .commit_ledger(Some(&first), &state(9, 2), &seqs)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Invalid(_)), "{error}");
    assert_eq!(w.tenant.ledger_state().await.unwrap(), Some(first.clone()));
    let rest: Vec<i64> = w
        .tenant
        .pending_audit(9)
        .await
        .unwrap()
        .iter()
        .map(|p| p.seq)
        .collect();
    w.tenant
        .commit_ledger(Some(&first), &state(5, 2), &rest)
        .await
        .unwrap();
    assert_eq!(w.tenant.pending_audit_count().await.unwrap(), 0);
    let row = w.tenant.audit_at(4).await.unwrap().unwrap();
    assert_eq!(
        (row.entry.unwrap().subject.as_str(), row.index),
        ("user-4", Some(4))
    );
    assert_eq!(w.tenant.audit_at(5).await.unwrap(), None);
}

async fn entries_are_found(w: World) {
    w.import(&said(
        "s1",
        "prod",
        100,
        &[("high-a", "web", Fail), ("high-a", "db", Fail)],
    ))
    .await;
    for (actor, seconds) in [("ana", 50), ("bob", 150), ("ana", 250)] {
        w.tenant
            .append_audit(
                &act(actor, seconds),
                "user.changed",
                "100%_x",
                json!({"note": "Zebra"}),
            )
            .await
            .unwrap();
    }
    let list = async |filter: AuditFilter| {
        let mut out = Vec::new();
        let mut cursor = None;
        loop {
            let page = w
                .tenant
                .audit(&filter, &PageRequest { cursor, limit: 2 })
                .await
                .unwrap();
            out.extend(page.items.into_iter().map(|r| {
                let e = r.entry.unwrap();
                (e.at.seconds(), e.actor, e.action)
            }));
            cursor = page.next_cursor;
            if cursor.is_none() {
                return out;
            }
        }
    };
    let d = AuditFilter::default;
    let every = list(d()).await;
    assert_eq!(every.len(), 7);
    assert!(every.is_sorted_by_key(|e| std::cmp::Reverse(e.0)));
    let seconds =
        |rows: Vec<(i64, String, String)>| rows.into_iter().map(|r| r.0).collect::<Vec<_>>();
    for (filter, want) in [
        (
            AuditFilter {
                actor: Some("ana".into()),
                ..d()
            },
            vec![250, 50, 5],
        ),
        (
            AuditFilter {
                actor: Some("system".into()),
                ..d()
            },
            vec![100, 100, 100],
        ),
        (
            AuditFilter {
                action: Some("finding.opened".into()),
                ..d()
            },
            vec![100, 100],
        ),
        (
            AuditFilter {
                subject: Some("100%_x".into()),
                ..d()
            },
            vec![250, 150, 50],
        ),
        (
            AuditFilter {
                q: Some("zEBRA".into()),
                ..d()
            },
            vec![250, 150, 50],
        ),
        (
            AuditFilter {
                q: Some("0%_X".into()),
                ..d()
            },
            vec![250, 150, 50],
        ),
        (
            AuditFilter {
                q: Some("0_%".into()),
                ..d()
            },
            vec![],
        ),
        (
            AuditFilter {
                from: Some(at(100)),
                to: Some(at(250)),
                ..d()
            },
            vec![150, 100, 100, 100],
        ),
        (
            AuditFilter {
                q: Some("zebra".into()),
                actor: Some("bob".into()),
                ..d()
            },
            vec![150],
        ),
    ] {
        assert_eq!(seconds(list(filter.clone()).await), want, "{filter:?}");
    }
}

async fn rare_words_are_found_page_by_page(w: World) {
    w.tenant
        .append_audit(&act("ana", 1), "user.changed", "needle", json!({}))
        .await
        .unwrap();
    let names: Vec<String> = (0..11_000).map(|i| format!("a{i:05}")).collect();
    let results: Vec<_> = names
        .iter()
        .flat_map(|n| [("high-a", n.as_str(), Fail), ("low-b", n.as_str(), Fail)])
        .collect();
    w.import(&said("s1", "prod", 100, &results)).await;
    let filter = AuditFilter {
        q: Some("needle".into()),
        ..AuditFilter::default()
    };
    let first = w
        .tenant
        .audit(&filter, &PageRequest::default())
        .await
        .unwrap();
    assert_eq!(first.items.len(), 0);
    let cursor = first.next_cursor;
    assert!(cursor.is_some());
    let second = w
        .tenant
        .audit(&filter, &PageRequest { cursor, limit: 5 })
        .await
        .unwrap();
    assert_eq!((second.items.len(), second.next_cursor), (1, None));
}

async fn bodies_can_be_erased(w: World) {
    let id = w
        .tenant
        .append_audit(
            &act("ana", 1),
            "user.changed",
            "eve",
            json!({"mail": "eve@example.org"}),
        )
        .await
        .unwrap();
    let error = w.tenant.erase_audit(&id).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound { .. }), "{error}");
    let seq = w.tenant.pending_audit(1).await.unwrap()[0].seq;
    w.tenant
        .commit_ledger(None, &state(1, 1), &[seq])
        .await
        .unwrap();
    w.tenant.erase_audit(&id).await.unwrap();
    let row = w.tenant.audit_entry(&id).await.unwrap().unwrap();
    assert_eq!((row.entry, row.index, row.salt), (None, Some(0), [0; 32]));
    assert_eq!(w.tenant.audit_entry("e1-00").await.unwrap(), None);
    assert_eq!(w.tenant.audit_entry("x").await.unwrap(), None);
}

async fn ledger_objects(w: World) {
    let objects = w.tenant.objects();
    for (path, bytes) in [
        ("checkpoint", "one"),
        ("tile/0/000", "two"),
        ("tile/0/x001/234.p/7", "three"),
        ("tile/entries/000.p/5", "four"),
        ("checkpoint", "five"),
    ] {
        objects.put_ledger(path, Bytes::from(bytes)).await.unwrap();
    }
    assert_eq!(
        objects.list_ledger("").await.unwrap(),
        [
            "checkpoint",
            "tile/0/000",
            "tile/0/x001/234.p/7",
            "tile/entries/000.p/5"
        ]
    );
    assert_eq!(objects.list_ledger("tile/0/").await.unwrap().len(), 2);
    assert_eq!(
        objects.get_ledger("checkpoint").await.unwrap().unwrap(),
        "five"
    );
    assert_eq!(objects.get_ledger("tile/9/000").await.unwrap(), None);
    for bad in [
        "",
        "/",
        "..",
        "../x",
        "tile/../../x",
        "a//b",
        "/etc/passwd",
        ".hidden",
        "a b",
        "a\\b",
        "tile/0/000/",
    ] {
        assert!(
            matches!(objects.get_ledger(bad).await, Err(StoreError::Invalid(_))),
            "{bad}"
        );
        assert!(
            objects.put_ledger(bad, Bytes::new()).await.is_err(),
            "{bad}"
        );
    }
}
