//! Lanes, leases, retries.

use crate::both;
use crate::world::*;
use bartizan_model::JobId;
use bartizan_store::queue::{JobState, NewJob, QueueStats};
use bartizan_store::{PageRequest, StoreError};
use serde_json::json;
use std::collections::HashSet;

both!(
    lanes_run_in_order,
    retries_back_off_and_end,
    dead_workers,
    many_claimers,
    lists_of_jobs
);

fn job(id: &str, lane: &str) -> NewJob {
    NewJob {
        id: JobId::new(id).unwrap(),
        kind: "k".into(),
        lane: lane.into(),
        artifact: None,
        payload: json!({"id": id}),
        max_attempts: 3,
    }
}

async fn lanes_run_in_order(w: World) {
    for (id, lane) in [
        ("a1", "a"),
        ("a2", "a"),
        ("b1", "b"),
        ("n1", ""),
        ("n2", ""),
    ] {
        w.tenant.enqueue(&job(id, lane), at(1)).await.unwrap();
    }
    let mut claims = Vec::new();
    while let Some(claim) = w.store.claim("w", at(2), 60).await.unwrap() {
        claims.push(claim);
    }
    let ids: Vec<&str> = claims.iter().map(|c| c.job.id.as_str()).collect();
    assert_eq!(ids, ["a1", "b1", "n1", "n2"]);
    assert_eq!(claims[0].job.payload, json!({"id": "a1"}));
    w.store
        .progress(&claims[0].lease, 5, Some(10))
        .await
        .unwrap();
    let seen = w.tenant.job(&claims[0].job.id).await.unwrap().unwrap();
    assert_eq!(
        (seen.state, seen.done, seen.total, seen.attempts),
        (JobState::Running, 5, Some(10), 1)
    );
    w.store.complete(&claims[0].lease, at(3)).await.unwrap();
    assert_eq!(w.claim(4).await.job.id.as_str(), "a2");
}

async fn retries_back_off_and_end(w: World) {
    w.tenant.enqueue(&job("a1", "a"), at(0)).await.unwrap();
    w.tenant.enqueue(&job("a2", "a"), at(0)).await.unwrap();
    let mut now = 10;
    for (attempt, wait) in [(1, 2), (2, 4)] {
        let claim = w.claim(now).await;
        assert_eq!((claim.job.id.as_str(), claim.job.attempts), ("a1", attempt));
        assert_eq!(
            w.store
                .fail(&claim.lease, "bad luck", true, at(now))
                .await
                .unwrap(),
            JobState::Queued
        );
        // The lane waits with it: order is kept.
        assert_eq!(
            w.store.claim("w", at(now + wait - 1), 60).await.unwrap(),
            None
        );
        now += wait;
    }
    let claim = w.claim(now).await;
    assert_eq!(
        w.store
            .fail(&claim.lease, "worse", true, at(now))
            .await
            .unwrap(),
        JobState::Failed
    );
    let dead = w.tenant.job(&claim.job.id).await.unwrap().unwrap();
    assert_eq!(
        (dead.state, dead.error.as_deref(), dead.finished),
        (JobState::Failed, Some("worse"), Some(at(now)))
    );
    let next = w.claim(now).await;
    assert_eq!(next.job.id.as_str(), "a2");
    assert_eq!(
        w.store
            .fail(&next.lease, "hopeless", false, at(now))
            .await
            .unwrap(),
        JobState::Failed
    );
    w.tenant.retry_job(&claim.job.id, at(now)).await.unwrap();
    assert!(w.tenant.retry_job(&claim.job.id, at(now)).await.is_err());
    assert_eq!(w.claim(now).await.job.attempts, 1);
}

async fn dead_workers(w: World) {
    w.tenant.enqueue(&job("a1", ""), at(0)).await.unwrap();
    let claim = w.claim(0).await;
    w.store.heartbeat(&claim.lease, at(30), 60).await.unwrap();
    assert_eq!(w.store.claim("w2", at(89), 60).await.unwrap(), None);
    for (now, attempts) in [(91, 2), (200, 3)] {
        let taken = w.claim(now).await;
        assert_eq!(
            (taken.job.attempts, taken.lease.token),
            (attempts, i64::from(attempts))
        );
    }
    assert_eq!(w.store.claim("w2", at(400), 60).await.unwrap(), None);
    let dead = w.tenant.job(&claim.job.id).await.unwrap().unwrap();
    assert_eq!(dead.state, JobState::Failed);
    assert!(dead.error.unwrap().contains("died or stalled"));
    // A clean shutdown costs no attempt.
    w.tenant.enqueue(&job("a2", ""), at(500)).await.unwrap();
    let claim = w.claim(500).await;
    w.store.release(&claim.lease, at(501)).await.unwrap();
    let error = w.store.release(&claim.lease, at(501)).await.unwrap_err();
    assert!(matches!(error, StoreError::Fenced("the job")));
    assert_eq!(w.claim(501).await.job.attempts, 1);
}

async fn many_claimers(w: World) {
    for i in 0..40 {
        let lane = if i % 2 == 0 {
            format!("lane-{}", i % 8)
        } else {
            String::new()
        };
        w.tenant
            .enqueue(&job(&format!("j{i}"), &lane), at(0))
            .await
            .unwrap();
    }
    let workers = (0..6).map(|n| {
        let store = w.store.clone();
        tokio::spawn(async move {
            let mut done = Vec::new();
            let mut idle = 0;
            while idle < 20 {
                match store.claim(&format!("w{n}"), at(1), 60).await.unwrap() {
                    Some(claim) => {
                        idle = 0;
                        store.complete(&claim.lease, at(2)).await.unwrap();
                        done.push(claim.job.id.to_string());
                    }
                    None => {
                        idle += 1;
                        tokio::task::yield_now().await;
                    }
                }
            }
            done
        })
    });
    let mut all = Vec::new();
    for worker in workers.collect::<Vec<_>>() {
        all.extend(worker.await.unwrap());
    }
    let distinct: HashSet<&String> = all.iter().collect();
    assert_eq!((all.len(), distinct.len()), (40, 40));
}

async fn lists_of_jobs(w: World) {
    for i in 0..5 {
        w.tenant
            .enqueue(&job(&format!("j{i}"), ""), at(i))
            .await
            .unwrap();
    }
    let claim = w.claim(9).await;
    let stats = w.tenant.queue_stats().await.unwrap();
    assert_eq!(
        stats,
        QueueStats {
            queued: 4,
            running: 1,
            failed: 0,
            oldest_queued: Some(at(1).micros())
        }
    );
    let first = w
        .tenant
        .jobs(
            None,
            &PageRequest {
                cursor: None,
                limit: 3,
            },
        )
        .await
        .unwrap();
    let second = w
        .tenant
        .jobs(
            None,
            &PageRequest {
                cursor: first.next_cursor,
                limit: 3,
            },
        )
        .await
        .unwrap();
    let ids: Vec<String> = first
        .items
        .iter()
        .chain(&second.items)
        .map(|j| j.id.to_string())
        .collect();
    assert_eq!(ids, ["j4", "j3", "j2", "j1", "j0"]);
    assert_eq!(second.next_cursor, None);
    let running = w
        .tenant
        .jobs(Some(JobState::Running), &PageRequest::default())
        .await
        .unwrap();
    assert_eq!(
        running.items,
        [w.tenant.job(&claim.job.id).await.unwrap().unwrap()]
    );
}
