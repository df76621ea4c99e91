//! Admission decisions: batches, their ledger entry, filters and pages, pruning.

use crate::both;
use crate::world::*;
use bartizan_model::audit::Decision;
use bartizan_store::audit::AuditFilter;
use bartizan_store::decisions::{DecisionFilter, batch_digest};
use bartizan_store::{Act, PageRequest};
use serde_json::json;

both!(decisions_are_kept_in_batches,);

fn decision(n: i64, outcome: &str) -> Decision {
    Decision {
        at: at(n),
        request: format!("u-{n}"),
        operation: "CREATE".into(),
        group: String::new(),
        kind: "Pod".into(),
        namespace: if n % 2 == 0 { "shop" } else { "bank" }.into(),
        name: format!("web-{n}"),
        user: "ada".into(),
        outcome: outcome.into(),
        allowed: outcome != "denied",
        dry_run: false,
        micros: 1_200,
        policies: "sha256:0".into(),
        reasons: vec![json!({"constraint": "a", "message": "b"})],
    }
}

async fn decisions_are_kept_in_batches(w: World) {
    let act = |n: u8| Act {
        at: at(9),
        actor: "system".into(),
        salt: [n; 32],
    };
    let batch = [
        decision(1, "allowed"),
        decision(2, "denied"),
        decision(3, "unknown"),
    ];
    let first = w.tenant.record_decisions(&batch, &act(1)).await.unwrap();
    let later = [decision(4, "denied")];
    let second = w.tenant.record_decisions(&later, &act(2)).await.unwrap();
    assert_eq!(second, first + 3);

    let page = PageRequest {
        limit: 2,
        ..PageRequest::default()
    };
    let all = w
        .tenant
        .decisions(&DecisionFilter::default(), &page)
        .await
        .unwrap();
    let names = |rows: &[bartizan_store::decisions::DecisionRow]| {
        rows.iter()
            .map(|r| r.decision.name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&all.items), ["web-4", "web-3"]);
    assert_eq!(all.items[0].decision, later[0]);
    let page = PageRequest {
        cursor: all.next_cursor,
        limit: 2,
    };
    let rest = w
        .tenant
        .decisions(&DecisionFilter::default(), &page)
        .await
        .unwrap();
    assert_eq!(names(&rest.items), ["web-2", "web-1"]);
    assert!(rest.next_cursor.is_none());
    let denied = DecisionFilter {
        outcome: Some("denied".into()),
        namespace: Some("shop".into()),
        ..DecisionFilter::default()
    };
    let found = w
        .tenant
        .decisions(&denied, &PageRequest::default())
        .await
        .unwrap();
    assert_eq!(names(&found.items), ["web-4", "web-2"]);

    let filter = AuditFilter {
        action: Some("decisions.recorded".into()),
        ..AuditFilter::default()
    };
    let entries = w
        .tenant
        .audit(&filter, &PageRequest::default())
        .await
        .unwrap()
        .items;
    let detail = &entries[1].entry.as_ref().unwrap().detail;
    assert_eq!(
        detail["counts"],
        json!({"allowed": 1, "denied": 1, "unknown": 1})
    );
    assert_eq!(detail["digest"], batch_digest(&batch).unwrap());

    assert_eq!(w.tenant.prune_decisions(1).await.unwrap(), 3);
    let left = w
        .tenant
        .decisions(&DecisionFilter::default(), &PageRequest::default())
        .await
        .unwrap();
    assert_eq!(names(&left.items), ["web-4"]);
}
