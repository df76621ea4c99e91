//! Single signatures, of keys and of certificates, whole and tampered with.

#![allow(clippy::unwrap_used, reason = "a test may end by panicking")]

mod lab;

use bartizan_model::Digest;
use bartizan_signature::{
    Annotations, Demand, Identity, Log, Piece, PublicKey, Reason, Refused, Signed, Signer, Trust,
    Who, verify,
};
use lab::{ISSUER, Lab, SUBJECT, THEN, base64, payload, simple};
use rcgen::{KeyPair, SigningKey as _};
use serde_json::{Value, json};

fn image() -> Digest {
    Digest::of(b"an image")
}

fn owner(key: &KeyPair, log: Log) -> Demand {
    Demand {
        signer: Signer::Key(PublicKey::from_pem(&key.public_key_pem()).unwrap()),
        log,
        sct: true,
    }
}

fn anyone(subject: &str, issuer: &str) -> Demand {
    Demand {
        signer: Signer::Keyless(vec![Identity::new(issuer, "", subject, "").unwrap()]),
        log: Log::Required,
        sct: false,
    }
}

fn reason(told: Result<Signed, Refused>) -> Reason {
    told.unwrap_err().reason
}

#[test]
fn every_kind_of_key() {
    let signed = payload(&image());
    for algorithm in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ED25519,
        &rcgen::PKCS_RSA_SHA256,
    ] {
        let key = lab::key(algorithm);
        let demand = owner(&key, Log::Ignored);
        let piece = simple(signed.clone(), lab::by_key(&signed, &key));
        let told = verify(&piece, &image(), &demand, None).unwrap();
        assert!(matches!(told.who, Who::Key { .. }) && !told.logged && told.times.is_empty());
        // A changed payload, another image, another key of the same kind.
        let mut changed = signed.clone();
        changed.push(b' ');
        let piece = simple(changed, lab::by_key(&signed, &key));
        assert_eq!(
            reason(verify(&piece, &image(), &demand, None)),
            Reason::Signature
        );
        let piece = simple(signed.clone(), lab::by_key(&signed, &key));
        let other = Digest::of(b"another image");
        assert_eq!(
            reason(verify(&piece, &other, &demand, None)),
            Reason::OtherImage
        );
        let stranger = owner(&lab::key(algorithm), Log::Ignored);
        assert_eq!(
            reason(verify(&piece, &image(), &stranger, None)),
            Reason::Signature
        );
    }
}

#[test]
fn the_key_says_which_algorithm() {
    let signed = payload(&image());
    let (ec, ed, rsa) = (
        lab::p256(),
        lab::key(&rcgen::PKCS_ED25519),
        lab::key(&rcgen::PKCS_RSA_SHA256),
    );
    for (signer, verifier) in [
        (&ec, &ed),
        (&ed, &ec),
        (&rsa, &ec),
        (&ec, &rsa),
        (&ed, &rsa),
    ] {
        let piece = simple(signed.clone(), lab::by_key(&signed, signer));
        let told = verify(&piece, &image(), &owner(verifier, Log::Ignored), None);
        assert_eq!(reason(told), Reason::Signature);
    }
    // Junk where a signature should be.
    for junk in ["", "!", "AAAA"] {
        let annotations = Annotations {
            signature: Some(junk.into()),
            ..Annotations::default()
        };
        let piece = simple(signed.clone(), annotations);
        assert!(verify(&piece, &image(), &owner(&ec, Log::Ignored), None).is_err());
    }
}

#[test]
fn a_key_and_the_log() {
    let lab = Lab::new();
    let key = lab::p256();
    let signed = payload(&image());
    let signature = key.sign(&signed).unwrap();
    let body = lab::hashedrekord(&signed, &signature, &key.public_key_pem());
    let with = |promise: Value| Annotations {
        signature: Some(base64(&signature)),
        bundle: Some(promise.to_string()),
        ..Annotations::default()
    };
    let demand = owner(&key, Log::Required);
    let trust = lab.trust();
    let judge = |annotations, trust: Option<&Trust>| {
        verify(
            &simple(signed.clone(), annotations),
            &image(),
            &demand,
            trust,
        )
    };
    let promise = lab.promise(&body, THEN);
    let told = judge(with(promise.clone()), Some(&trust)).unwrap();
    assert!(told.logged);
    assert_eq!(told.times[0].seconds(), THEN);
    // No promise, no root, another log, a time that was moved, an entry of another signature.
    assert_eq!(
        reason(judge(lab::by_key(&signed, &key), Some(&trust))),
        Reason::Log
    );
    assert_eq!(reason(judge(with(promise.clone()), None)), Reason::NoTrust);
    let other = Lab::new().trust();
    assert_eq!(
        reason(judge(with(promise.clone()), Some(&other))),
        Reason::Log
    );
    let mut moved = promise.clone();
    moved["Payload"]["integratedTime"] = json!(THEN - 1);
    assert_eq!(reason(judge(with(moved), Some(&trust))), Reason::Log);
    let foreign = lab::hashedrekord(b"other", &signature, &key.public_key_pem());
    let foreign = with(lab.promise(&foreign, THEN));
    assert_eq!(reason(judge(foreign, Some(&trust))), Reason::OtherImage);
}

#[test]
fn a_certificate_and_the_log() {
    let lab = Lab::new();
    let trust = lab.trust();
    let signed = payload(&image());
    let demand = anyone(SUBJECT, ISSUER);
    let judge = |annotations, demand: &Demand| {
        verify(
            &simple(signed.clone(), annotations),
            &image(),
            demand,
            Some(&trust),
        )
    };
    let signer = lab.signer();
    let good = lab::keyless(&lab, &signer, &signed, THEN);
    let told = judge(good.clone(), &demand).unwrap();
    let who = Who::Identity {
        issuer: ISSUER.into(),
        subject: SUBJECT.into(),
    };
    assert_eq!(told.who, who);
    assert_eq!(told.times[0].seconds(), THEN);
    // Someone else; and patterns, which are not anchored.
    assert_eq!(
        reason(judge(good.clone(), &anyone("other@example.org", ISSUER))),
        Reason::Signer
    );
    assert_eq!(
        reason(judge(
            good.clone(),
            &anyone(SUBJECT, "https://evil.example")
        )),
        Reason::Signer
    );
    let pattern = Identity::new("", "issuer\\.", "", "@example\\.org$").unwrap();
    let pattern = Demand {
        signer: Signer::Keyless(vec![pattern]),
        ..demand.clone()
    };
    assert!(judge(good.clone(), &pattern).is_ok());
    // The certificate had expired when the log saw it; or was not valid yet.
    for time in [THEN + 301, THEN - 301] {
        let told = judge(lab::keyless(&lab, &signer, &signed, time), &demand);
        assert!(
            matches!(reason(told), Reason::Certificate | Reason::Time),
            "{time}"
        );
    }
    // No log at all: then nobody says when, and the certificate has expired since.
    let silent = Annotations {
        bundle: None,
        ..good.clone()
    };
    assert_eq!(reason(judge(silent, &demand)), Reason::Log);
    // The log that promises is not ours; the authority is not ours.
    let mut foreign = Lab::new();
    std::mem::swap(&mut foreign.log, &mut Lab::new().log);
    let told = judge(lab::keyless(&foreign, &signer, &signed, THEN), &demand);
    assert_eq!(reason(told), Reason::Log);
    let stranger = foreign.signer();
    let told = judge(lab::keyless(&lab, &stranger, &signed, THEN), &demand);
    assert_eq!(reason(told), Reason::Certificate);
    // A certificate must prove that a CT log knows it, unless that is waived.
    let strict = Demand {
        sct: true,
        ..demand.clone()
    };
    assert_eq!(reason(judge(good.clone(), &strict)), Reason::Certificate);
    // A time-stamp is asked for and there is none.
    let stamped = Demand {
        log: Log::Stamped,
        ..demand
    };
    assert_eq!(reason(judge(good, &stamped)), Reason::Time);
}

#[test]
fn bundles_with_attestations() {
    const SLSA: &str = "https://slsa.dev/provenance/v1";
    let lab = Lab::new();
    let trust = lab.trust();
    let signer = lab.signer();
    let demand = anyone(SUBJECT, ISSUER);
    let statement = lab::statement(&image(), SLSA, json!({"buildType": "x"}));
    let good = lab::bundle(&lab, &signer, &statement);
    let judge = |bundle: &Value| {
        let piece = Piece::Bundle {
            origin: "test".into(),
            bytes: bundle.to_string().into_bytes(),
        };
        verify(&piece, &image(), &demand, Some(&trust))
    };
    let told = judge(&good).unwrap();
    assert_eq!(told.predicate_type.as_deref(), Some(SLSA));
    assert_eq!(told.statement["predicate"]["buildType"], "x");
    assert!(told.logged);
    let change = |path: &str, value: Value| {
        let mut changed = good.clone();
        *changed.pointer_mut(path).unwrap() = value;
        reason(judge(&changed))
    };
    let other = lab::statement(&Digest::of(b"another"), SLSA, json!({}));
    assert_eq!(
        reason(judge(&lab::bundle(&lab, &signer, &other))),
        Reason::OtherImage
    );
    assert_eq!(
        change("/dsseEnvelope/payload", json!(base64(&other))),
        Reason::Signature
    );
    let proof = "/verificationMaterial/tlogEntries/0/inclusionProof";
    assert_eq!(
        change(&format!("{proof}/rootHash"), json!(base64(&[0; 32]))),
        Reason::Malformed
    );
    assert_eq!(
        change(&format!("{proof}/hashes"), json!([base64(&[0; 32])])),
        Reason::Log
    );
    assert_eq!(
        change("/verificationMaterial/tlogEntries", json!([])),
        Reason::Log
    );
    let body = lab::dsse_entry(&other, b"sig", &signer.pem);
    let foreign = json!([lab.entry(&body, THEN)]);
    assert_eq!(
        change("/verificationMaterial/tlogEntries", foreign),
        Reason::Log
    );
    assert_eq!(
        change("/mediaType", json!("application/x")),
        Reason::Malformed
    );
    // Two signatures: which of them do the proofs vouch for?
    let two = json!([
        good["dsseEnvelope"]["signatures"][0],
        good["dsseEnvelope"]["signatures"][0]
    ]);
    assert_eq!(change("/dsseEnvelope/signatures", two), Reason::Malformed);
}

#[test]
fn attestations_of_keys() {
    let key = lab::p256();
    let statement = lab::statement(&image(), "https://spdx.dev/Document", json!({}));
    let (envelope, _) = lab::envelope(&statement, &key);
    let piece = |envelope: &Value| Piece::Envelope {
        origin: "test".into(),
        envelope: envelope.to_string().into_bytes(),
        annotations: Annotations::default(),
    };
    let demand = owner(&key, Log::Ignored);
    let told = verify(&piece(&envelope), &image(), &demand, None).unwrap();
    assert_eq!(
        told.predicate_type.as_deref(),
        Some("https://spdx.dev/Document")
    );
    let mut other = envelope.clone();
    other["payloadType"] = "text/plain".into();
    assert_eq!(
        reason(verify(&piece(&other), &image(), &demand, None)),
        Reason::Signature
    );
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep = Piece::Bundle {
        origin: "deep".into(),
        bytes: deep.into_bytes(),
    };
    assert_eq!(
        reason(verify(&deep, &image(), &demand, None)),
        Reason::Malformed
    );
}
