//! Tests of `commit`.

use super::*;
use crate::sample;
use bartizan_model::{TenantId, Timestamp};
use proptest::prelude::*;
use serde_json::json;

fn entry() -> AuditEntry {
    AuditEntry {
        tenant: TenantId::default_tenant(),
        at: Timestamp::parse("2026-11-21T09:30:00Z").unwrap(),
        actor: "ada".to_owned(),
        action: "session.login".to_owned(),
        subject: "ada".to_owned(),
        detail: json!({"score": 87.5, "ok": true, "full": 100.0}),
    }
}

/// Changing either value makes every stored entry unverifiable: it needs a `btz2`.
#[test]
fn the_commitment_is_stable() {
    let committed = commit(&Salt([1; 32]), &entry()).unwrap();
    insta::assert_snapshot!(String::from_utf8_lossy(&committed.body), @r#"{"action":"session.login","actor":"ada","at":"2026-11-21T09:30:00Z","detail":{"full":100,"ok":true,"score":87.5},"subject":"ada","tenant":"default"}"#);
    insta::assert_snapshot!(hex::encode(committed.commitment), @"62747a31d1ec353da516bf6ac521aa262df1abbfa8e31665bf1009b7320ae11221d6e480");
}

#[test]
fn bodies_open_or_are_erased() {
    let (salt, committed) = sample::entry(5);
    let log = committed.commitment.as_bytes();
    let body = committed.body.as_slice();
    assert!(
        matches!(open(log, Some(&salt), Some(body)), Ok(Opened::Body(e)) if e.subject == "f1-5")
    );
    assert_eq!(open(log, None, None), Ok(Opened::Erased));
    assert_eq!(
        open(log, None, Some(body)),
        Err(CommitError::HalfErased("the salt"))
    );
    assert_eq!(
        open(log, Some(&salt), None),
        Err(CommitError::HalfErased("the body"))
    );
    assert_eq!(
        open(&log[1..], Some(&salt), Some(body)),
        Err(CommitError::NotACommitment)
    );
    assert_eq!(open(b"btz1", None, None), Err(CommitError::NotACommitment));
    // Committed to, but no audit entry.
    let other = commit_body(&salt, b"{}");
    assert!(matches!(
        open(other.as_bytes(), Some(&salt), Some(b"{}")),
        Err(CommitError::Body(_))
    ));
    let loose = commit_body(&salt, b"{ }");
    assert_eq!(
        open(loose.as_bytes(), Some(&salt), Some(b"{ }")),
        Err(CommitError::Body(JsonError::NotCanonical))
    );
}

#[test]
fn every_flipped_bit_is_refused() {
    let (salt, committed) = sample::entry(5);
    let parts = [committed.commitment.as_bytes(), &salt.0, &committed.body].map(<[u8]>::to_vec);
    for part in 0..3 {
        for at in 0..parts[part].len() * 8 {
            let mut parts = parts.clone();
            parts[part][at / 8] ^= 1 << (at % 8);
            let [log, salt, body] = parts;
            let salt = Salt(salt.try_into().unwrap());
            assert!(open(&log, Some(&salt), Some(&body)).is_err());
        }
    }
}

#[test]
fn a_salt_is_not_printed() {
    assert_eq!(format!("{:?}", Salt([0xab; 32])), "Salt(..)");
}

#[test]
fn an_overlong_body_is_refused() {
    let mut entry = entry();
    entry.detail = json!("x".repeat(MAX_BODY));
    assert!(matches!(
        commit(&Salt([0; 32]), &entry),
        Err(CommitError::TooLong(_))
    ));
}

proptest! {
    #[test]
    fn what_was_committed_opens(salt: [u8; 32], subject in ".{0,20}", number in any::<f64>(), micros: i64) {
        let salt = Salt(salt);
        let entry = AuditEntry {
            at: Timestamp::from_micros(micros),
            detail: json!({"n": number, "s": subject}),
            subject,
            ..entry()
        };
        let committed = commit(&salt, &entry).unwrap();
        let opened = open(committed.commitment.as_bytes(), Some(&salt), Some(&committed.body));
        let Ok(Opened::Body(back)) = opened else {
            return Err(TestCaseError::fail("does not open"));
        };
        // A whole double may come back as an integer: the canonical form is what counts.
        prop_assert_eq!(commit(&salt, &back).unwrap(), committed);
        prop_assert_eq!(Salt::from_hex(&salt.hex()), Some(salt));
    }
}
