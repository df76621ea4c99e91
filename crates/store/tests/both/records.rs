//! Artifacts, assessments, attestations, scores, keys; opening and reopening.

use crate::both;
use crate::world::*;
use bartizan_model::framework::{Assessment, Score, Verdict};
use bartizan_model::*;
use bartizan_store::records::{Artifact, KeyBlob, ScorePoint};
use bartizan_store::{PageRequest, Store, StoreError};
use bytes::Bytes;
use futures::{TryStreamExt, stream};

both!(
    artifacts_are_kept_once,
    assessments_and_scores,
    attestations_get_their_token,
    keys_are_agreed_on,
    state_survives_reopening,
);

async fn artifacts_are_kept_once(w: World) {
    let objects = w.tenant.objects();
    let body = |parts: &[&'static str]| {
        stream::iter(
            parts
                .iter()
                .map(|p| Ok::<_, std::io::Error>(Bytes::from(*p)))
                .collect::<Vec<_>>(),
        )
    };
    let want = Digest::of(b"hello world");
    let one = objects
        .put_artifact(body(&["hello", " world"]), 100, Some(&want))
        .await
        .unwrap();
    assert_eq!(
        (one.digest.clone(), one.size, one.known),
        (want.clone(), 11, false)
    );
    let two = objects
        .put_artifact(body(&["hello wor", "ld"]), 11, None)
        .await
        .unwrap();
    assert!(two.known);
    let bytes: Vec<Bytes> = objects
        .get_artifact(&want)
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(bytes.concat(), b"hello world");
    let error = objects
        .put_artifact(body(&["hello", " world"]), 10, None)
        .await
        .unwrap_err();
    assert!(
        matches!(error, StoreError::TooLarge { limit: 10 }),
        "{error}"
    );
    let error = objects
        .put_artifact(body(&["x"]), 10, Some(&want))
        .await
        .unwrap_err();
    assert!(
        matches!(error, StoreError::DigestMismatch { .. }),
        "{error}"
    );
    let broken = stream::iter([Ok(Bytes::from("x")), Err(std::io::Error::other("gone"))]);
    let error = objects.put_artifact(broken, 10, None).await.unwrap_err();
    assert!(matches!(error, StoreError::Upload(_)), "{error}");
    let missing = objects.get_artifact(&Digest::of(b"x")).await.err().unwrap();
    assert!(matches!(missing, StoreError::NotFound { .. }), "{missing}");
    for bad in ["sha256:../../etc/passwd", "sha256:", "md5:00", "x"] {
        let error = objects
            .get_artifact(&Digest::new(bad).unwrap())
            .await
            .err()
            .unwrap();
        assert!(matches!(error, StoreError::Invalid(_)), "{error}");
    }
    // Nothing of the failures is left.
    let root = std::path::Path::new(&w.config.objects).join("default");
    assert_eq!(
        std::fs::read_dir(root.join("incoming"))
            .map(|d| d.count())
            .unwrap_or(0),
        0
    );
    let artifact = Artifact {
        digest: want.clone(),
        size: 11,
        media_type: "text/plain".into(),
        name: "a.txt".into(),
        created: at(1),
    };
    w.tenant
        .record_artifact(&artifact, &act("ana", 1))
        .await
        .unwrap();
    let again = Artifact {
        name: "b.txt".into(),
        ..artifact.clone()
    };
    w.tenant
        .record_artifact(&again, &act("ana", 2))
        .await
        .unwrap();
    assert_eq!(w.tenant.artifact(&want).await.unwrap(), Some(artifact));
}

fn framework() -> FrameworkId {
    FrameworkId::new("nist").unwrap()
}

async fn assessments_and_scores(w: World) {
    let assessment = |control: &str, verdict| Assessment {
        framework: framework(),
        control: ControlId::new(control).unwrap(),
        scope: scope("prod"),
        assessor: "ana".into(),
        verdict,
        reason: "seen".into(),
        evidence: vec![Digest::of(b"x")],
        at: at(1),
        expires: at(9),
    };
    let one = assessment("AC-6(9)", Verdict::Passed);
    let two = assessment("AC-7", Verdict::NotApplicable);
    let entry = w.tenant.add_assessment(&one, &act("ana", 1)).await.unwrap();
    w.tenant.add_assessment(&two, &act("ana", 2)).await.unwrap();
    let rows = w
        .tenant
        .assessments(&scope("prod"), &framework(), None)
        .await
        .unwrap();
    assert_eq!(
        rows.iter().map(|r| &r.assessment).collect::<Vec<_>>(),
        [&one, &two]
    );
    let rows = w
        .tenant
        .assessments(&scope("prod"), &framework(), Some(&one.control))
        .await
        .unwrap();
    assert_eq!((rows.len(), &rows[0].entry_id), (1, &entry));
    assert!(w.tenant.audit_entry(&entry).await.unwrap().is_some());

    let point = |seconds, score| ScorePoint {
        at: at(seconds),
        score,
        coverage: Some(33.33),
        counts: Score::default(),
    };
    for p in [
        point(1, None),
        point(3, Some(66.67)),
        point(2, Some(0.1)),
        point(3, Some(70.0)),
    ] {
        w.tenant
            .record_score(&scope("prod"), &framework(), &p)
            .await
            .unwrap();
    }
    let trend = w
        .tenant
        .score_trend(&scope("prod"), &framework(), 2)
        .await
        .unwrap();
    assert_eq!(trend, [point(2, Some(0.1)), point(3, Some(70.0))]);
}

async fn attestations_get_their_token(w: World) {
    let attestation = |id: &str| Attestation {
        id: AttestationId::new(id).unwrap(),
        tenant: TenantId::default_tenant(),
        scope: scope("prod"),
        framework: framework(),
        framework_version: "5".into(),
        framework_digest: Digest::of(b"f"),
        counts: Score::default(),
        score: Some(66.67),
        coverage: None,
        evidence_digest: Digest::of(b"{}"),
        issued: at(1),
        expires: at(9),
    };
    for id in ["a1", "a2"] {
        w.tenant
            .add_attestation(&attestation(id), "RS256", "k1", "{}", &act("ana", 1))
            .await
            .unwrap();
    }
    let page = w
        .tenant
        .attestations(
            Some(&scope("prod")),
            &PageRequest {
                cursor: None,
                limit: 1,
            },
        )
        .await
        .unwrap();
    assert_eq!(page.items[0].attestation, attestation("a2"));
    assert!(page.next_cursor.is_some());
    let id = AttestationId::new("a1").unwrap();
    let row = w.tenant.attestation(&id).await.unwrap().unwrap();
    assert_eq!(
        (row.index, row.token, row.issuer_user.as_str()),
        (None, None, "ana")
    );
    let pending = w.tenant.pending_audit(9).await.unwrap();
    let entry = pending.iter().find(|p| p.entry_id == row.entry_id).unwrap();
    let next = bartizan_store::audit::LedgerState {
        size: 1,
        root: vec![1],
        checkpoint: "c".into(),
        at: at(2),
    };
    w.tenant
        .commit_ledger(None, &next, &[entry.seq])
        .await
        .unwrap();
    for token in ["jwt", "other"] {
        w.tenant.set_attestation_token(&id, token).await.unwrap();
    }
    let row = w.tenant.attestation(&id).await.unwrap().unwrap();
    assert_eq!((row.index, row.token.as_deref()), (Some(0), Some("jwt")));
    assert_eq!(
        w.tenant.attestation_evidence(&id).await.unwrap().as_deref(),
        Some("{}")
    );
    assert_eq!(
        w.tenant
            .attestation(&AttestationId::new("zz").unwrap())
            .await
            .unwrap(),
        None
    );
}

async fn keys_are_agreed_on(w: World) {
    let blob = |id: &str, byte, seconds| KeyBlob {
        id: id.into(),
        blob: vec![byte; 3],
        created: at(seconds),
    };
    assert!(w.tenant.init_key_blobs(&[blob("k1", 1, 1)]).await.unwrap());
    assert!(!w.tenant.init_key_blobs(&[blob("k9", 9, 9)]).await.unwrap());
    w.tenant
        .put_key_blobs(&[blob("k2", 2, 2), blob("k1", 7, 5)], Some(&act("ana", 2)))
        .await
        .unwrap();
    assert_eq!(
        w.tenant.key_blobs().await.unwrap(),
        [blob("k1", 7, 1), blob("k2", 2, 2)]
    );
}

async fn state_survives_reopening(w: World) {
    w.import(&said(
        "s1",
        "prod",
        100,
        &[("high-a", "web", Outcome::Fail)],
    ))
    .await;
    let before = w.tenant.dump_state().await.unwrap();
    let again = w.reopen().await;
    assert_eq!(again.tenant.dump_state().await.unwrap(), before);
    again.store.ping().await.unwrap();
    if again.config.data_folder.is_some() {
        let error = Store::open(&again.config, at(1)).await.unwrap_err();
        assert!(matches!(error, StoreError::InUse { .. }), "{error}");
        assert!(
            error
                .to_string()
                .contains("is used by another bartizan process")
        );
    }
}
