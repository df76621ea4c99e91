//! Ledger and attestations, verified by what a stranger has: public keys and files.

use crate::both;
use crate::support::{Said, World, crowd};
use bartizan_ledger::attest::{Expectations, verify};
use bartizan_ledger::commit::{Salt, commit_body};
use bartizan_ledger::jwks::Jwks;
use bartizan_ledger::merkle::{self, Hash};
use bartizan_ledger::proof::TlogProof;
use bartizan_ledger::tiles::MemoryTiles;
use bartizan_ledger::verify::{Options, verify_published};
use bartizan_ledger::{TreeHead, checkpoint::Checkpoint};
use bartizan_model::Outcome::{Fail, Pass};
use bartizan_server::work::sequencer::Round;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

async fn jwks(w: &World) -> Jwks {
    let public = w.fetch("/jwks").await;
    let file = std::fs::read(w.folder.path().join("data/jwks.json")).unwrap();
    assert_eq!(Jwks::parse(&public.body), Jwks::parse(&file));
    Jwks::parse(&public.body).unwrap()
}

/// All ledger files of the default tenant.
async fn files(w: &World) -> (MemoryTiles, Vec<String>) {
    let objects = w.tenant.objects();
    let paths = objects.list_ledger("").await.unwrap();
    let mut tiles = MemoryTiles::default();
    for path in &paths {
        let bytes = objects.get_ledger(path).await.unwrap().unwrap();
        tiles.store([(path.clone(), bytes.to_vec())]);
    }
    (tiles, paths)
}

async fn assert_sound(w: &World) -> u64 {
    let (tiles, listing) = files(w).await;
    let options = Options {
        listing: Some(&listing),
        ..Options::default()
    };
    let summary = verify_published(&tiles, &jwks(w).await, &options).unwrap();
    let state = w.tenant.ledger_state().await.unwrap().unwrap();
    assert_eq!(summary.size, state.size);
    state.size
}

both!(an_entry_is_proven_to_a_stranger, |w| async move {
    w.import(&Said::new("s1", "prod", 1).saw("privileged", "web", Fail))
        .await;
    let trail = w.get("/audit?action=finding.opened").await;
    let id = trail["items"][0]["entry_id"].as_str().unwrap().to_owned();
    let path = format!("/audit/{id}/proof");
    assert_eq!(w.get(&path).await, json!({"state": "pending"}));
    w.sequence().await;
    assert_sound(&w).await;

    let proof = w.get(&path).await;
    assert_eq!(
        (&proof["state"], &proof["verified"]),
        (&json!("included"), &json!(true))
    );
    let salt = Salt::from_hex(proof["entry"]["salt"].as_str().unwrap()).unwrap();
    let body = proof["entry"]["body"].as_str().unwrap();
    let leaf = commit_body(&salt, body.as_bytes()).leaf();
    assert_eq!(proof["leaf_hash"], leaf.hex());
    let hash = |value: &serde_json::Value| Hash::from_hex(value.as_str().unwrap()).unwrap();
    let head = TreeHead {
        size: proof["tree_size"].as_u64().unwrap(),
        root: hash(&proof["root"]),
    };
    let siblings: Vec<Hash> = proof["path"].as_array().unwrap().iter().map(hash).collect();
    merkle::verify_inclusion(&leaf, proof["index"].as_u64().unwrap(), &head, &siblings).unwrap();
    let origin = w.get("/ledger").await["origin"]
        .as_str()
        .unwrap()
        .to_owned();
    let key = jwks(&w).await.log_keys(&origin).pop().unwrap();
    let note = proof["checkpoint"].as_str().unwrap();
    assert_eq!(Checkpoint::open(note.as_bytes(), &key).unwrap().head, head);

    let file = w.fetch(&format!("{path}?format=tlog-proof")).await;
    let file = TlogProof::parse(&file.body).unwrap();
    file.verify(&leaf, &key).unwrap();
    let extra = file.extra.unwrap();
    assert_eq!((&extra[..32], &extra[32..]), (&salt.0[..], body.as_bytes()));

    // Tiles as the API serves them.
    let tile = w.fetch("/ledger/tile/0/000.p/1").await.status;
    assert!(tile == 200 || tile == 404);
    assert_eq!(w.fetch("/ledger/tile/../../secret").await.status, 404);
    assert_eq!(w.fetch("/ledger/checkpoint").await.text(), note);
});

both!(two_sequencers_do_not_fork, |w| async move {
    w.import(&crowd("s1", 600)).await;
    let total = w.tenant.pending_audit_count().await.unwrap();
    assert!(total > 300, "{total}");
    let run = |batch: u32| {
        let mut sequencer = w.sequencer();
        let now = w.state.now();
        async move {
            let (mut lost, mut done) = (0, 0);
            loop {
                match sequencer.round(now, batch).await.unwrap() {
                    Round::Idle => return (lost, done),
                    Round::Lost => lost += 1,
                    Round::Sequenced(n) => done += n,
                }
            }
        }
    };
    let (a, b, c) = tokio::join!(
        tokio::spawn(run(7)),
        tokio::spawn(run(11)),
        tokio::spawn(run(7))
    );
    let done = a.unwrap().1 + b.unwrap().1 + c.unwrap().1;
    assert_eq!(done as u64, total);
    w.sequence().await;
    assert_eq!(assert_sound(&w).await, total);
    let mut indices = BTreeSet::new();
    for index in 0..total {
        let row = w.tenant.audit_at(index).await.unwrap().unwrap();
        indices.insert(row.entry_id);
    }
    assert_eq!(indices.len() as u64, total);
});

both!(an_attestation_verifies_offline, |w| async move {
    w.import(
        &Said::new("s1", "prod", 1)
            .saw("privileged", "web", Fail)
            .saw("limits", "web", Pass),
    )
    .await;
    // The request waits for the sequencer, so that must run.
    let stop = CancellationToken::new();
    let sequencing = {
        let (mut sequencer, state, stop) = (w.sequencer(), w.state.clone(), stop.clone());
        tokio::spawn(async move {
            while !stop.is_cancelled() {
                sequencer.drain(state.now()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    };
    let mut tokens = Vec::new();
    for alg in ["RS256", "ES256", "EdDSA"] {
        let order = json!({"scope": "cluster:prod", "framework": "demo", "alg": alg,
            "valid_days": 30});
        let issued = w.post("/attestations", order).await;
        assert_eq!(issued.status, 201, "{}", issued.text());
        let issued = issued.json();
        assert_eq!(
            (&issued["alg"], &issued["score"]),
            (&json!(alg), &json!(50.0))
        );
        assert_eq!(issued["ledger"]["state"], "included");
        let id = issued["id"].as_str().unwrap();
        let token = w.fetch(&format!("/attestations/{id}/token")).await;
        assert_eq!(token.text(), issued["token"].as_str().unwrap());
        let evidence = w.fetch(&format!("/attestations/{id}/evidence")).await;
        let expect = Expectations {
            evidence: Some(&evidence.body),
            scope: Some("cluster:prod"),
            framework: Some("demo"),
            ..Expectations::at(w.state.now())
        };
        let found = verify(token.text().as_bytes(), &jwks(&w).await, &expect);
        assert!(found.valid(), "{found:?}");
        tokens.push(token.text());
    }
    stop.cancel();
    sequencing.await.unwrap();
    assert_eq!(
        w.get("/attestations").await["items"]
            .as_array()
            .unwrap()
            .len(),
        3
    );

    // Rotation leaves old tokens good.
    let before = w.get("/keys").await["items"].as_array().unwrap().len();
    let rotated = w.post("/keys/rotate", json!(null)).await;
    assert_eq!(rotated.status, 201, "{}", rotated.text());
    assert!(rotated.json()["items"].as_array().unwrap().len() > before);
    let expect = Expectations::at(w.state.now());
    let keys = jwks(&w).await;
    for token in &tokens {
        assert!(verify(token.as_bytes(), &keys, &expect).valid());
        let verdict = w
            .post("/attestations/verify", json!({"token": token}))
            .await;
        assert_eq!(verdict.json()["valid"], true, "{}", verdict.text());
    }
    let mut altered = tokens[0].clone().into_bytes();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    assert!(!verify(&altered, &keys, &expect).valid());
    let late = Expectations::at(w.state.now().plus_seconds(31 * 86_400));
    assert!(!verify(tokens[0].as_bytes(), &keys, &late).valid());
});

both!(
    a_token_that_could_not_wait_is_signed_later,
    |w| async move {
        w.import(&Said::new("s1", "prod", 1).saw("limits", "web", Pass))
            .await;
        let order = json!({"scope": "cluster:prod", "framework": "demo"});
        let answer = w.post("/attestations", order).await;
        assert_eq!(answer.status, 503, "{}", answer.text());
        let listed = w.get("/attestations").await;
        assert_eq!(listed["items"][0]["ledger"]["state"], "pending");
        let path = format!(
            "/attestations/{}/token",
            listed["items"][0]["id"].as_str().unwrap()
        );
        assert_eq!(w.fetch(&path).await.status, 503);
        w.sequence().await;
        let token = w.fetch(&path).await;
        assert_eq!(token.status, 200, "{}", token.text());
        let expect = Expectations::at(w.state.now());
        assert!(verify(token.text().as_bytes(), &jwks(&w).await, &expect).valid());
    }
);
