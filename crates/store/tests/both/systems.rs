//! Systems, what is asked of them, schedules.

use crate::both;
use crate::world::*;
use bartizan_model::{ScanId, ScheduleId, SystemId, TaskId, TenantId};
use bartizan_store::audit::AuditFilter;
use bartizan_store::systems::{
    NewSchedule, NewSystem, Ran, Runner, ScheduleChange, SystemFilter, TaskEnd, TaskFilter,
    TaskState, Via, Wanted,
};
use bartizan_store::{PageRequest, StoreError, TenantStore};
use serde_json::json;

both!(
    registering_is_idempotent,
    systems_page_and_filter,
    a_task_is_leased_and_fenced,
    cancelling,
    dead_runners,
    schedules_run_once,
    tenants_do_not_mix
);

fn new(name: &str, labels: &[&str]) -> NewSystem {
    NewSystem {
        id: SystemId::new(format!("sys-{name}")).unwrap(),
        name: name.into(),
        via: Via::Agent,
        address: String::new(),
        labels: Some(labels.iter().map(|l| (*l).to_owned()).collect()),
        facts: Some(json!({"os": "debian"})),
    }
}

fn baseline() -> Wanted {
    Wanted {
        content: "baseline".into(),
        profile: String::new(),
    }
}

fn runner(systems: &[&str]) -> Runner {
    Runner {
        name: "r".into(),
        systems: systems.iter().map(|s| (*s).to_owned()).collect(),
        any_ssh: false,
    }
}

fn task(id: &str) -> TaskId {
    TaskId::new(id).unwrap()
}

async fn actions(tenant: &TenantStore) -> Vec<String> {
    let page = tenant
        .audit(&AuditFilter::default(), &PageRequest::default())
        .await
        .unwrap();
    let mut actions: Vec<String> = page
        .items
        .into_iter()
        .filter_map(|row| row.entry)
        .map(|entry| format!("{} {}", entry.actor, entry.action))
        .collect();
    actions.reverse();
    actions
}

async fn registering_is_idempotent(w: World) {
    let t = &w.tenant;
    let (first, created) = t
        .register_system(&new("db-1", &["prod", "db", "prod"]), &act("ana", 1))
        .await
        .unwrap();
    assert!(created);
    assert_eq!(first.labels, ["db", "prod"]);
    let mut again = new("db-1", &[]);
    again.id = SystemId::new("sys-other").unwrap();
    again.labels = None;
    again.facts = Some(json!({"os": "ubuntu"}));
    let (second, created) = t.register_system(&again, &act("agent", 2)).await.unwrap();
    assert!(!created);
    assert_eq!((&second.id, &second.labels), (&first.id, &first.labels));
    assert_eq!(second.facts, json!({"os": "ubuntu"}));
    // Facts alone leave no trace; labels do.
    t.label_system(&first.id, &["x".into()], &act("ana", 3))
        .await
        .unwrap();
    assert_eq!(
        t.systems_seen(&runner(&["db-1", "no"]), at(4))
            .await
            .unwrap(),
        1
    );
    let seen = t.system(&first.id).await.unwrap().unwrap();
    assert_eq!(
        (seen.last_seen, seen.runner.as_deref()),
        (Some(at(4)), Some("r"))
    );
    t.remove_system(&first.id, &act("ana", 5)).await.unwrap();
    assert!(t.remove_system(&first.id, &act("ana", 6)).await.is_err());
    assert_eq!(
        actions(t).await,
        [
            "ana system.registered",
            "ana system.changed",
            "ana system.removed"
        ]
    );
}

async fn systems_page_and_filter(w: World) {
    let t = &w.tenant;
    for (name, label) in [("b_1", "prod"), ("a", "production"), ("c", "prod")] {
        t.register_system(&new(name, &[label]), &act("ana", 1))
            .await
            .unwrap();
    }
    let names = async |filter: SystemFilter, cursor: Option<String>, limit| {
        let page = t
            .systems(&filter, &PageRequest { cursor, limit })
            .await
            .unwrap();
        let names: Vec<String> = page.items.into_iter().map(|s| s.name).collect();
        (names.join(" "), page.next_cursor)
    };
    let (first, cursor) = names(SystemFilter::default(), None, 2).await;
    assert_eq!(first, "a b_1");
    assert_eq!(names(SystemFilter::default(), cursor, 2).await.0, "c");
    let label = SystemFilter {
        label: Some("prod".into()),
        ..SystemFilter::default()
    };
    assert_eq!(names(label, None, 9).await.0, "b_1 c");
    let q = SystemFilter {
        q: Some("B_".into()),
        ..SystemFilter::default()
    };
    assert_eq!(names(q, None, 9).await.0, "b_1");
}

async fn a_task_is_leased_and_fenced(w: World) {
    let t = &w.tenant;
    let (system, _) = t
        .register_system(&new("db-1", &[]), &act("ana", 1))
        .await
        .unwrap();
    t.request_scan(&system.id, &baseline(), &task("t1"), &act("ana", 2))
        .await
        .unwrap();
    // The same twice at once is refused; another profile waits for its turn.
    let twice = t
        .request_scan(&system.id, &baseline(), &task("t2"), &act("ana", 2))
        .await;
    assert!(matches!(twice, Err(StoreError::Conflict(_))), "{twice:?}");
    let other = Wanted {
        profile: "cis".into(),
        ..baseline()
    };
    t.request_scan(&system.id, &other, &task("t3"), &act("ana", 2))
        .await
        .unwrap();
    assert_eq!(
        t.claim_task(&runner(&["db-2"]), at(3), 60).await.unwrap(),
        None
    );
    assert_eq!(t.claim_task(&runner(&[]), at(3), 60).await.unwrap(), None);
    let claim = t
        .claim_task(&runner(&["db-1"]), at(3), 60)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (claim.task.id.as_str(), claim.task.state, claim.token),
        ("t1", TaskState::Claimed, 1)
    );
    assert_eq!(
        t.claim_task(&runner(&["db-1"]), at(3), 60).await.unwrap(),
        None
    );
    let id = &claim.task.id;
    let stop = t
        .task_progress((id, 1), (5, Some(10), "rule"), at(4), 60)
        .await
        .unwrap();
    assert!(!stop);
    let wrong = t
        .task_progress((id, 2), (6, None, ""), at(4), 60)
        .await
        .unwrap_err();
    assert!(matches!(wrong, StoreError::Fenced(_)));
    let seen = t.task(id).await.unwrap().unwrap();
    assert_eq!(
        (seen.state, seen.done, seen.total, seen.message.as_str()),
        (TaskState::Running, 5, Some(10), "rule")
    );
    let end = TaskEnd::Done(ScanId::new("scan-1").unwrap());
    let done = t.finish_task((id, 1), &end, at(5)).await.unwrap();
    assert_eq!(
        (done.state, done.scan.unwrap().as_str(), done.finished),
        (TaskState::Done, "scan-1", Some(at(5)))
    );
    assert!(t.finish_task((id, 1), &end, at(5)).await.is_err());
    let next = t.claim_task(&runner(&["db-1"]), at(6), 60).await.unwrap();
    assert_eq!(next.unwrap().task.wanted.profile, "cis");
    let filter = TaskFilter {
        system: Some(system.id.clone()),
        state: Some(TaskState::Done),
    };
    let page = t.tasks(&filter, &PageRequest::default()).await.unwrap();
    assert_eq!(page.items.len(), 1);
    let newest = t.newest_tasks(&[system.id]).await.unwrap();
    assert_eq!(newest[0].id.as_str(), "t3");
}

async fn cancelling(w: World) {
    let t = &w.tenant;
    let (system, _) = t
        .register_system(&new("db-1", &[]), &act("ana", 1))
        .await
        .unwrap();
    let ask = async |id: &str| {
        t.request_scan(&system.id, &baseline(), &task(id), &act("ana", 2))
            .await
            .unwrap();
    };
    ask("t1").await;
    let gone = t.cancel_task(&task("t1"), &act("bo", 3)).await.unwrap();
    assert_eq!(
        (gone.state, gone.finished),
        (TaskState::Cancelled, Some(at(3)))
    );
    assert!(t.cancel_task(&task("t1"), &act("bo", 3)).await.is_err());
    ask("t2").await;
    let claim = t.claim_task(&runner(&["db-1"]), at(4), 60).await.unwrap();
    let id = claim.unwrap().task.id;
    let told = t.cancel_task(&id, &act("bo", 5)).await.unwrap();
    assert_eq!((told.state, told.stop), (TaskState::Claimed, true));
    let stop = t.task_progress((&id, 1), (1, None, ""), at(6), 60).await;
    assert!(stop.unwrap());
    t.finish_task((&id, 1), &TaskEnd::Cancelled, at(7))
        .await
        .unwrap();
    let said = actions(t).await;
    let cancels = said.iter().filter(|a| *a == "bo scan.cancelled").count();
    assert_eq!(cancels, 2, "{said:?}");
}

async fn dead_runners(w: World) {
    let t = &w.tenant;
    let (system, _) = t
        .register_system(&new("db-1", &[]), &act("ana", 1))
        .await
        .unwrap();
    t.request_scan(&system.id, &baseline(), &task("t1"), &act("ana", 2))
        .await
        .unwrap();
    let mut now = 10;
    for attempt in 1..=3 {
        let claim = t
            .claim_task(&runner(&["db-1"]), at(now), 60)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(claim.token, attempt);
        assert_eq!(t.expire_tasks(at(now + 60)).await.unwrap(), 0);
        now += 61;
        assert_eq!(t.expire_tasks(at(now)).await.unwrap(), 1);
        let late = t
            .task_progress((&claim.task.id, attempt), (1, None, ""), at(now), 60)
            .await;
        assert!(matches!(late, Err(StoreError::Fenced(_))));
    }
    let dead = t.task(&task("t1")).await.unwrap().unwrap();
    assert_eq!(
        (dead.state, dead.finished),
        (TaskState::Failed, Some(at(now)))
    );
    assert!(dead.error.unwrap().contains("died or stalled"));
}

fn nightly(labels: &[&str], next: Option<i64>) -> ScheduleChange {
    ScheduleChange {
        name: "nightly".into(),
        cron: "0 2 * * *".into(),
        systems: vec!["web".into()],
        labels: labels.iter().map(|l| (*l).to_owned()).collect(),
        wanted: baseline(),
        enabled: true,
        next_run: next.map(at),
    }
}

async fn schedules_run_once(w: World) {
    let t = &w.tenant;
    for (name, labels) in [
        ("web", &[] as &[&str]),
        ("db-1", &["prod", "db"]),
        ("db-2", &["db"]),
    ] {
        t.register_system(&new(name, labels), &act("ana", 1))
            .await
            .unwrap();
    }
    let id = ScheduleId::new("sch-1").unwrap();
    let new = NewSchedule {
        id: id.clone(),
        said: nightly(&["prod", "db"], Some(100)),
    };
    t.add_schedule(&new, &act("ana", 2)).await.unwrap();
    let same = NewSchedule {
        id: ScheduleId::new("sch-2").unwrap(),
        ..new.clone()
    };
    let taken = t.add_schedule(&same, &act("ana", 2)).await;
    assert!(matches!(taken, Err(StoreError::Conflict(_))), "{taken:?}");
    assert_eq!(t.due_schedules(at(99)).await.unwrap(), []);
    let due = t.due_schedules(at(100)).await.unwrap();
    let mut n = 0;
    let mut ids = || {
        n += 1;
        Ok(task(&format!("t{n}")))
    };
    let ran = t
        .run_schedule(&due[0], Some(at(200)), &mut ids, &act("system", 100))
        .await
        .unwrap();
    assert_eq!(ran, Some(Ran { asked: 2, busy: 0 }));
    // Another process that saw it due at the same time.
    let late = t
        .run_schedule(&due[0], Some(at(200)), &mut ids, &act("system", 100))
        .await
        .unwrap();
    assert_eq!(late, None);
    assert_eq!(t.due_schedules(at(199)).await.unwrap(), []);
    let due = t.due_schedules(at(200)).await.unwrap();
    let ran = t
        .run_schedule(&due[0], None, &mut ids, &act("system", 200))
        .await
        .unwrap();
    assert_eq!(ran, Some(Ran { asked: 0, busy: 2 }));
    let tasks = t
        .tasks(&TaskFilter::default(), &PageRequest::default())
        .await
        .unwrap();
    let names: Vec<&str> = tasks.items.iter().map(|t| t.system_name.as_str()).collect();
    assert_eq!(names, ["db-1", "web"]);
    assert!(tasks.items.iter().all(|t| t.schedule.as_ref() == Some(&id)));
    let mut off = nightly(&[], None);
    off.enabled = false;
    let changed = t.change_schedule(&id, &off, &act("bo", 201)).await.unwrap();
    assert_eq!((changed.enabled, changed.next_run), (false, None));
    t.remove_schedule(&id, &act("bo", 202)).await.unwrap();
    assert_eq!(t.schedules().await.unwrap(), []);
    let said = actions(t).await;
    assert_eq!(
        said[3..],
        [
            "ana schedule.changed",
            "system schedule.ran",
            "system schedule.ran",
            "bo schedule.changed",
            "bo schedule.removed"
        ]
    );
}

async fn tenants_do_not_mix(w: World) {
    let other = TenantId::new("other").unwrap();
    let other = w.store.create_tenant(&other, at(0)).await.unwrap();
    let (mine, _) = w
        .tenant
        .register_system(&new("db-1", &[]), &act("ana", 1))
        .await
        .unwrap();
    w.tenant
        .request_scan(&mine.id, &baseline(), &task("t1"), &act("ana", 2))
        .await
        .unwrap();
    let (theirs, created) = other
        .register_system(&new("db-1", &[]), &act("eve", 1))
        .await
        .unwrap();
    assert!(created);
    assert_eq!(theirs.id, mine.id);
    assert_eq!(
        other
            .claim_task(&runner(&["db-1"]), at(3), 60)
            .await
            .unwrap(),
        None
    );
    assert_eq!(other.task(&task("t1")).await.unwrap(), None);
    assert!(
        other
            .cancel_task(&task("t1"), &act("eve", 3))
            .await
            .is_err()
    );
    other
        .remove_system(&theirs.id, &act("eve", 4))
        .await
        .unwrap();
    assert!(w.tenant.system(&mine.id).await.unwrap().is_some());
    assert!(w.tenant.task(&task("t1")).await.unwrap().is_some());
}
