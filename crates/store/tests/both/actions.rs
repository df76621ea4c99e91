//! What people and the clock do to findings.

use crate::both;
use crate::world::*;
use bartizan_model::Outcome::Fail;
use bartizan_model::life::Refusal;
use bartizan_model::{Acceptance, FindingKey, FindingStatus, Outcome};
use bartizan_store::StoreError;
use bartizan_store::findings::{ActionRefusal, FindingAction};

both!(
    accept_and_withdraw,
    refusals_are_told,
    acceptances_end,
    too_many_keys
);

fn accept(until: i64) -> FindingAction {
    FindingAction::Accept(Acceptance {
        owner: "ana".into(),
        reason: "legacy".into(),
        expires: Some(at(until)),
    })
}

async fn accept_and_withdraw(w: World) {
    w.import(&said(
        "s1",
        "prod",
        100,
        &[("high-a", "web", Fail), ("high-a", "db", Fail)],
    ))
    .await;
    let keys = [key("prod", "high-a", "web"), key("prod", "high-a", "db")];
    let mut salts = salts();
    let out = w
        .tenant
        .act_on_findings(
            &[&keys[..], &keys[..]].concat(),
            &accept(900),
            "ana",
            at(200),
            &mut salts,
        )
        .await
        .unwrap();
    assert_eq!((out.changed, out.refused), (2, vec![]));
    let reopen = FindingAction::Reopen {
        reason: "no longer".into(),
    };
    w.tenant
        .act_on_findings(&keys[..1], &reopen, "bob", at(300), &mut salts)
        .await
        .unwrap();
    let detail = w.tenant.finding(&keys[0]).await.unwrap().unwrap();
    assert_eq!(detail.row.status, FindingStatus::Reopened);
    assert_eq!(detail.row.changed, at(300));
    let told: Vec<_> = detail
        .history
        .iter()
        .map(|h| {
            let e = h.entry.as_ref().unwrap();
            (
                e.actor.as_str(),
                e.action.as_str(),
                e.detail["reason"].as_str(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("system", "finding.opened", None),
            ("ana", "finding.accepted", None),
            ("bob", "finding.reopened", Some("no longer"))
        ]
    );
    let t = &w.tenant.tallies(&scope("prod")).await.unwrap()[0];
    assert_eq!((t.fail, t.accepted), (1, 1));
    let o = w.tenant.overview(None, at(1)).await.unwrap();
    assert_eq!(o.accepted, 1);
}

async fn refusals_are_told(w: World) {
    w.import(&said(
        "s1",
        "prod",
        100,
        &[("high-a", "web", Fail), ("high-a", "db", Outcome::Pass)],
    ))
    .await;
    w.import(&said("s2", "prod", 200, &[])).await;
    let mut salts = salts();
    let fixed = key("prod", "high-a", "web");
    let never = key("prod", "high-a", "db");
    let odd = FindingKey::new("zz").unwrap();
    let out = w
        .tenant
        .act_on_findings(
            &[fixed.clone(), never.clone(), odd.clone()],
            &accept(900),
            "ana",
            at(300),
            &mut salts,
        )
        .await
        .unwrap();
    assert_eq!(out.changed, 0);
    assert_eq!(
        out.refused,
        [
            (odd, ActionRefusal::Unknown),
            (fixed, ActionRefusal::Life(Refusal::AlreadyFixed)),
            (never, ActionRefusal::Unknown),
        ]
    );
}

async fn acceptances_end(w: World) {
    w.import(&said(
        "s1",
        "prod",
        100,
        &[("high-a", "web", Fail), ("high-a", "db", Fail)],
    ))
    .await;
    let mut salts = salts();
    for (name, until) in [("web", 400), ("db", 500)] {
        w.tenant
            .act_on_findings(
                &[key("prod", "high-a", name)],
                &accept(until),
                "ana",
                at(200),
                &mut salts,
            )
            .await
            .unwrap();
    }
    for (now, reopened) in [(399, 0), (450, 1), (451, 0), (500, 1)] {
        let n = w
            .tenant
            .expire_acceptances(at(now), &mut salts)
            .await
            .unwrap();
        assert_eq!(n, reopened, "at {now}");
    }
    let detail = w
        .tenant
        .finding(&key("prod", "high-a", "web"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (detail.row.status, detail.row.changed, detail.row.acceptance),
        (FindingStatus::Reopened, at(400), None)
    );
}

async fn too_many_keys(w: World) {
    let keys = vec![key("prod", "high-a", "web"); 1_001];
    let error = w
        .tenant
        .act_on_findings(&keys, &accept(900), "ana", at(1), &mut salts())
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Invalid(_)), "{error}");
}
