//! Tests of `attest`: a good token of each algorithm, and every way to refuse one.

use super::*;
use crate::checkpoint::Checkpoint;
use crate::jwks::Jwks;
use crate::keys::{Keyring, RsaSize};
use crate::log::append;
use crate::sample::{self, ORIGIN, moment};
use crate::{proof, sample::entries};
use bartizan_model::{AttestationId, Digest, FrameworkId, ScopeId, TenantId, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::sync::OnceLock;

const ISSUER: &str = "bartizan.example";

fn attestation() -> Attestation {
    Attestation {
        id: AttestationId::new("a-1").unwrap(),
        tenant: TenantId::default_tenant(),
        scope: ScopeId::new("cluster:prod").unwrap(),
        framework: FrameworkId::new("nist-800-53-r5").unwrap(),
        framework_version: "5.1.1".to_owned(),
        framework_digest: Digest::of(b"framework"),
        counts: Score {
            passed: 4,
            failed: 1,
            manual: 3,
            ..Score::default()
        },
        score: Some(80.0),
        coverage: Some(62.5),
        evidence_digest: Digest::of(b"{\"evidence\":true}"),
        issued: Timestamp::from_micros(moment().micros() + 123_456),
        expires: moment().plus_seconds(90 * 86_400),
    }
}

/// An installation: its keys, a log with the attestation's entry at index 41, the proof of it.
struct House {
    keyring: Keyring,
    jwks: Jwks,
    proof: LedgerProof,
}

fn house() -> &'static House {
    static HOUSE: OnceLock<House> = OnceLock::new();
    HOUSE.get_or_init(|| {
        let mut keyring = Keyring::generate(moment(), RsaSize::Bits2048).unwrap();
        keyring.ensure_log_key(ORIGIN, moment()).unwrap();
        let entry = audit_entry(ISSUER, &attestation(), "ada").unwrap();
        let salt = Salt([3; 32]);
        let committed = commit::commit(&salt, &entry).unwrap();
        let (mut tiles, head) = sample::log(&[41]);
        let mut batch = vec![committed.commitment.as_bytes().to_vec()];
        batch.extend(entries(42, 300));
        let append = append(&tiles, &head, &batch).unwrap();
        let head = append.head();
        tiles.store(append.writes);
        let checkpoint = Checkpoint::new(ORIGIN, head);
        let proof = LedgerProof {
            checkpoint: checkpoint
                .sign(&keyring.log_signer(ORIGIN).unwrap())
                .unwrap(),
            index: 41,
            salt,
            body: committed.body,
            path: proof::inclusion(&tiles, 41, head.size).unwrap(),
        };
        let jwks = Jwks::parse(keyring.jwks().to_json().as_bytes()).unwrap();
        House {
            keyring,
            jwks,
            proof,
        }
    })
}

fn token(alg: Algorithm) -> String {
    let house = house();
    let key = house.keyring.active(alg).unwrap();
    issue(ISSUER, &attestation(), &house.proof, key).unwrap()
}

fn later() -> Timestamp {
    moment().plus_seconds(3600)
}

fn check(token: &str) -> Verification {
    verify(token.as_bytes(), &house().jwks, &Expectations::at(later()))
}

fn refusal(token: &str) -> Refusal {
    let found = check(token);
    assert!(!found.valid());
    found.refusal.unwrap()
}

fn payload(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// A token that the house really signs, over other claims.
fn signed(change: impl Fn(&mut Value)) -> String {
    let mut claims = payload(&token(Algorithm::EdDsa));
    change(&mut claims);
    let key = house().keyring.active(Algorithm::EdDsa).unwrap();
    jws::sign(key, &json::canonical(&claims).unwrap()).unwrap()
}

/// A token with another header text over the same payload and signature.
fn with_header(token: &str, header: &str) -> String {
    let (_, rest) = token.split_once('.').unwrap();
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header))
}

#[test]
fn good_tokens_of_every_algorithm() {
    for alg in Algorithm::ALL {
        let token = token(alg);
        let found = check(&token);
        assert_eq!(found.refusal, None);
        assert!(found.valid());
        let names: Vec<&str> = found.checks.iter().map(|check| check.name).collect();
        assert_eq!(
            names,
            [
                "form",
                "key",
                "signature",
                "claims",
                "time",
                "checkpoint",
                "inclusion",
                "entry"
            ]
        );
        let claims = found.claims.unwrap();
        assert_eq!((claims.jti.as_str(), claims.score), ("a-1", Some(80.0)));
        assert!(token.len() < 4096, "{}", token.len());
    }
}

/// An independent reader of JWTs accepts what we issue.
#[test]
fn jsonwebtoken_accepts_our_tokens() {
    use jsonwebtoken::{DecodingKey, Validation, decode};
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&house().jwks.to_json()).unwrap();
    for alg in Algorithm::ALL {
        let token = token(alg);
        let header = jsonwebtoken::decode_header(&token).unwrap();
        let jwk = set.find(header.kid.as_deref().unwrap()).unwrap();
        let mut validation = Validation::new(header.alg);
        validation.validate_exp = false;
        let key = DecodingKey::from_jwk(jwk).unwrap();
        let data = decode::<Claims>(&token, &key, &validation).unwrap();
        assert_eq!(data.claims.sub, "cluster:prod");
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    for alg in Algorithm::ALL {
        let token = token(alg);
        for at in 0..token.len() * 8 {
            let mut bytes = token.clone().into_bytes();
            bytes[at / 8] ^= 1 << (at % 8);
            let found = verify(&bytes, &house().jwks, &Expectations::at(later()));
            assert!(found.refusal.is_some() && !found.valid(), "bit {at}");
        }
    }
}

#[test]
fn bytes_added_or_removed_are_refused() {
    let token = token(Algorithm::EdDsa);
    for at in 0..=token.len() {
        for extra in ["A", "=", "\n", " ", ".", "\0"] {
            let mut bad = token.clone();
            bad.insert_str(at, extra);
            refusal(&bad);
        }
        if at < token.len() {
            let mut bad = token.clone();
            bad.remove(at);
            refusal(&bad);
        }
    }
    // A file may end in one newline; that is for the reader of the file to take off.
    let file = format!("{token}\n");
    assert_eq!(token_of_file(file.as_bytes()), token.as_bytes());
    assert_eq!(token_of_file(b"x\n\n"), b"x\n");
}

#[test]
fn forged_headers() {
    let token = token(Algorithm::Rs256);
    let kid = |alg| &house().keyring.active(alg).unwrap().info().kid;
    let rsa = kid(Algorithm::Rs256);
    let header = |alg: &str, kid: &str| {
        with_header(
            &token,
            &format!(r#"{{"alg":"{alg}","kid":"{kid}","typ":"{}"}}"#, jws::TYPE),
        )
    };
    assert!(check(&header("RS256", rsa)).valid());
    assert_eq!(
        refusal(&header("none", rsa)),
        Refusal::Algorithm("none".to_owned())
    );
    assert_eq!(
        refusal(&header("HS256", rsa)),
        Refusal::Algorithm("HS256".to_owned())
    );
    assert_eq!(
        refusal(&header("ES256", rsa)),
        Refusal::AlgorithmConfusion {
            header: "ES256",
            key: "RS256"
        }
    );
    assert_eq!(
        refusal(&header("RS256", "nobody")),
        Refusal::UnknownKey("nobody".to_owned())
    );
    // Another of our own keys, under its own algorithm.
    assert_eq!(
        refusal(&header("EdDSA", kid(Algorithm::EdDsa))),
        Refusal::Signature
    );
    let log_key = &house()
        .jwks
        .keys
        .iter()
        .find(|key| key.log_origin.is_some())
        .unwrap()
        .kid;
    assert_eq!(
        refusal(&header("EdDSA", log_key)),
        Refusal::KeyUse(log_key.clone())
    );
    // Loose forms that other readers take for the same header.
    let form = |header: String| match refusal(&with_header(&token, &header)) {
        Refusal::Form(why) => why,
        other => format!("{other:?}"),
    };
    let typ = jws::TYPE;
    insta::assert_snapshot!(form(format!(r#"{{"alg": "RS256","kid":"{rsa}","typ":"{typ}"}}"#)), @"the header: not in canonical form");
    insta::assert_snapshot!(form(format!(r#"{{"kid":"{rsa}","alg":"RS256","typ":"{typ}"}}"#)), @"the header: not in canonical form");
    insta::assert_snapshot!(form(format!(r#"{{"alg":"RS256","alg":"RS256","kid":"{rsa}","typ":"{typ}"}}"#)), @r#"Duplicate("alg")"#);
    insta::assert_snapshot!(form(format!(r#"{{"alg":"RS256","crit":[],"kid":"{rsa}","typ":"{typ}"}}"#)), @"the header has to be alg, kid and typ: further members");
    insta::assert_snapshot!(form(format!(r#"{{"alg":"RS256","kid":"{rsa}","typ":"JWT"}}"#)), @r#"typ "JWT" is not bartizan-attestation+jwt"#);
    insta::assert_snapshot!(form(format!(r#"{{"alg":"RS256","typ":"{typ}"}}"#)), @"the header has to be alg, kid and typ: kid is missing");
    insta::assert_snapshot!(form("[]".to_owned()), @"the header has to be alg, kid and typ: alg is missing");
    let (head, _) = token.rsplit_once('.').unwrap();
    assert_eq!(refusal(&format!("{head}.")), Refusal::Signature);
}

#[test]
fn foreign_keys() {
    let stranger = Keyring::generate(moment(), RsaSize::Bits2048).unwrap();
    for alg in Algorithm::ALL {
        let key = stranger.active(alg).unwrap();
        let token = issue(ISSUER, &attestation(), &house().proof, key).unwrap();
        assert_eq!(refusal(&token), Refusal::UnknownKey(key.info().kid.clone()));
        // The stranger names our key.
        let ours = &house().keyring.active(alg).unwrap().info().kid;
        let header = format!(
            r#"{{"alg":"{}","kid":"{ours}","typ":"{}"}}"#,
            alg.name(),
            jws::TYPE
        );
        assert_eq!(refusal(&with_header(&token, &header)), Refusal::Signature);
    }
}

#[test]
fn time() {
    let token = token(Algorithm::EdDsa);
    let at = |now: Timestamp| verify(token.as_bytes(), &house().jwks, &Expectations::at(now));
    let expires = attestation().expires;
    assert!(at(expires.plus_seconds(-1)).valid());
    let expired = at(expires);
    assert_eq!(
        expired.refusal,
        Some(Refusal::Expired {
            at: expires,
            now: expires
        })
    );
    // What an expired token says can still be shown, and the rest is still checked.
    assert!(expired.claims.is_some());
    assert_eq!(expired.checks.iter().filter(|check| !check.ok).count(), 1);
    assert!(at(moment().plus_seconds(-LEEWAY_SECONDS)).valid());
    let early = moment().plus_seconds(-LEEWAY_SECONDS - 1);
    assert_eq!(
        at(early).refusal,
        Some(Refusal::NotYetValid {
            from: moment(),
            now: early
        })
    );
    insta::assert_snapshot!(at(expires).refusal.unwrap(), @"it expired at 2027-02-19T09:30:00Z, it is 2027-02-19T09:30:00Z");
}

#[test]
fn retired_keys_verify_what_they_signed_before() {
    let master = crate::keys::MasterKey::from_bytes([1; 32]);
    let sealed = house().keyring.seal(&master).unwrap();
    let mut keyring = Keyring::open(&sealed, &master).unwrap();
    keyring
        .rotate(moment().plus_seconds(60), RsaSize::Bits2048)
        .unwrap();
    let old = token(Algorithm::Es256);
    let found = verify(old.as_bytes(), &keyring.jwks(), &Expectations::at(later()));
    assert!(found.valid(), "{:?}", found.refusal);
    let mut attestation = attestation();
    attestation.issued = moment().plus_seconds(61);
    let key = house().keyring.active(Algorithm::Es256).unwrap();
    // Signed by the key after its retirement: by a thief, for instance.
    let mut claims = payload(&old);
    claims["iat"] = attestation.issued.seconds().into();
    claims["nbf"] = attestation.issued.seconds().into();
    let stolen = jws::sign(key, &json::canonical(&claims).unwrap()).unwrap();
    let found = verify(
        stolen.as_bytes(),
        &keyring.jwks(),
        &Expectations::at(later()),
    );
    assert_eq!(
        found.refusal,
        Some(Refusal::KeyRetired {
            retired: moment().plus_seconds(60),
            issued: moment().plus_seconds(61)
        })
    );
    let proof = &house().proof;
    let retired = keyring.list()[1].kid.clone();
    let retired = keyring.jwks().find(&retired).unwrap().retired;
    assert!(retired.is_some());
    assert!(
        issue(ISSUER, &attestation, proof, key).is_err(),
        "the entry is of another time"
    );
}

/// Signed by the right key, and still not believed: what the ledger is for.
#[test]
fn claims_that_the_ledger_does_not_bear_out() {
    let say = |change: &dyn Fn(&mut Value)| refusal(&signed(change)).to_string();
    insta::assert_snapshot!(say(&|c| c["score"] = 100.into()), @"the ledger entry: the logged score is not the token's");
    insta::assert_snapshot!(say(&|c| c["coverage"] = Value::Null), @"the ledger entry: the logged coverage is not the token's");
    insta::assert_snapshot!(say(&|c| c["counts"]["passed"] = 5.into()), @"the ledger entry: the logged counts is not the token's");
    insta::assert_snapshot!(say(&|c| c["sub"] = "cluster:dev".into()), @"the ledger entry: the logged sub is not the token's");
    insta::assert_snapshot!(say(&|c| c["iss"] = "other.example".into()), @"the ledger entry: the logged iss is not the token's");
    insta::assert_snapshot!(say(&|c| c["exp"] = 4_000_000_000_u64.into()), @"the ledger entry: the logged exp is not the token's");
    insta::assert_snapshot!(say(&|c| c["jti"] = "a-2".into()), @"the ledger entry: the logged entry's subject is not the token's");
    insta::assert_snapshot!(say(&|c| c["tenant"] = "other".into()), @"the ledger entry: the logged entry's tenant is not the token's");
    insta::assert_snapshot!(say(&|c| c["ledger"]["index"] = 40.into()), @"the inclusion proof: the hashes do not lead to the root");
    insta::assert_snapshot!(say(&|c| c["ledger"]["index"] = 300.into()), @"the inclusion proof: index 300 is outside a tree of 300 leaves");
    insta::assert_snapshot!(say(&|c| c["ledger"]["path"] = Value::Array(Vec::new())), @"the inclusion proof: the proof has 0 hashes, 9 are required");
    insta::assert_snapshot!(say(&|c| c["ledger"]["salt"] = "00".into()), @"the claims: ledger.salt is not lower-case hexadecimal");
    insta::assert_snapshot!(say(&|c| c["ledger"]["body"] = "{}".into()), @"the inclusion proof: the hashes do not lead to the root");
    insta::assert_snapshot!(say(&|c| c["ledger"]["origin"] = "x".into()), @r#"the key set has no key of the log "x""#);
    // A checkpoint of the right origin by another key.
    insta::assert_snapshot!(say(&|c| c["ledger"]["checkpoint"] = sample::sign(crate::TreeHead::empty()).into()), @"the checkpoint: no signature by bartizan.example/default");
    insta::assert_snapshot!(say(&|c| c["extra"] = 1.into()), @"the claims: not acceptable JSON: unknown field `extra`, expected one of `iss`, `sub`, `iat`, `nbf`, `exp`, `jti`, `tenant`, `framework`, `score`, `coverage`, `counts`, `evidence_digest`, `ledger`");
    insta::assert_snapshot!(say(&|c| c["score"] = 101.into()), @"the claims: score or coverage is not a percentage");
    insta::assert_snapshot!(say(&|c| c["exp"] = c["nbf"].clone()), @"the claims: it does not count from its issue until later");
    insta::assert_snapshot!(say(&|c| drop(c.as_object_mut().unwrap().remove("jti"))), @"the claims: not acceptable JSON: missing field `jti`");
}

#[test]
fn duplicate_and_loose_members_of_the_payload() {
    let key = house().keyring.active(Algorithm::EdDsa).unwrap();
    let good = payload(&token(Algorithm::EdDsa)).to_string();
    let twice = good.replacen("{\"counts\"", "{\"score\":100,\"counts\"", 1);
    let twice = jws::sign(key, twice.as_bytes()).unwrap();
    assert_eq!(refusal(&twice), Refusal::Duplicate("score".to_owned()));
    let inner = good.replacen("\"failed\":1", "\"failed\":1,\"failed\":0", 1);
    let inner = jws::sign(key, inner.as_bytes()).unwrap();
    assert_eq!(refusal(&inner), Refusal::Duplicate("failed".to_owned()));
    let loose = jws::sign(key, format!(" {good}").as_bytes()).unwrap();
    assert_eq!(
        refusal(&loose),
        Refusal::Form("the payload: not in canonical form".to_owned())
    );
}

#[test]
fn oversize_and_shapeless() {
    assert_eq!(refusal(&"a".repeat(MAX_TOKEN + 1)), Refusal::Oversize);
    for text in ["", ".", "..", "...", "a.b", "a.b.c.d", "é.é.é"] {
        assert!(matches!(refusal(text), Refusal::Form(_)), "{text}");
    }
    let found = check("nonsense");
    let reached: Vec<bool> = found.checks.iter().map(|check| check.ok).collect();
    assert_eq!(reached, [false; 8]);
    assert_eq!(
        found.checks[3].detail,
        "not reached: an earlier check failed"
    );
}

#[test]
fn expectations() {
    let token = token(Algorithm::Es256);
    let check = |expect: &Expectations<'_>| verify(token.as_bytes(), &house().jwks, expect);
    let at = Expectations::at(later());
    let all = Expectations {
        evidence: Some(b"{\"evidence\":true}"),
        issuer: Some(ISSUER),
        scope: Some("cluster:prod"),
        framework: Some("nist-800-53-r5"),
        ..at
    };
    let found = check(&all);
    assert!(found.valid());
    assert_eq!(found.checks.len(), 10);
    let refusal = |expect| check(&expect).refusal.unwrap().to_string();
    insta::assert_snapshot!(refusal(Expectations { evidence: Some(b"{\"evidence\":tru}"), ..all }), @"the evidence hashes to sha256:129517be7c3d7261361a5063a2a504a641900c51e66e1bf95a2d7f262646672f, sha256:f34a6486a244f4c296b294aa21052480e0dd3422a16c874546d1b115d95204dc is attested");
    insta::assert_snapshot!(refusal(Expectations { issuer: Some("x"), ..at }), @r#"the issuer is "bartizan.example", "x" is expected"#);
    insta::assert_snapshot!(refusal(Expectations { scope: Some("x"), ..at }), @r#"the scope is "cluster:prod", "x" is expected"#);
    insta::assert_snapshot!(refusal(Expectations { framework: Some("x"), ..all }), @r#"the framework is "nist-800-53-r5", "x" is expected"#);
}

#[test]
fn what_does_not_fit_is_not_issued() {
    let house = house();
    let key = house.keyring.active(Algorithm::Rs256).unwrap();
    let refused = |attestation: &Attestation, proof: &LedgerProof| {
        issue(ISSUER, attestation, proof, key)
            .unwrap_err()
            .to_string()
    };
    let other = Attestation {
        score: Some(81.0),
        ..attestation()
    };
    insta::assert_snapshot!(refused(&other, &house.proof), @"cannot issue the attestation: the logged score is not the token's");
    let other = LedgerProof {
        index: 40,
        ..house.proof.clone()
    };
    insta::assert_snapshot!(refused(&attestation(), &other), @"cannot issue the attestation: the hashes do not lead to the root");
    let other = LedgerProof {
        salt: Salt([4; 32]),
        ..house.proof.clone()
    };
    insta::assert_snapshot!(refused(&attestation(), &other), @"cannot issue the attestation: the hashes do not lead to the root");
    let over = Attestation {
        score: Some(f64::NAN),
        ..attestation()
    };
    insta::assert_snapshot!(audit_entry(ISSUER, &over, "ada").unwrap_err(), @"cannot issue the attestation: score or coverage is not a percentage");
    let over = Attestation {
        expires: attestation().issued,
        ..attestation()
    };
    insta::assert_snapshot!(audit_entry(ISSUER, &over, "ada").unwrap_err(), @"cannot issue the attestation: it does not count from its issue until later");
}

/// The entry may say more, such as the key that was to sign, and need not name the issuer.
#[test]
fn entries_may_say_more() {
    let house = house();
    let mut entry = audit_entry(ISSUER, &attestation(), "ada").unwrap();
    let prove = |entry: &AuditEntry| {
        let salt = Salt([5; 32]);
        let committed = commit::commit(&salt, entry).unwrap();
        let leaf = committed.commitment.leaf();
        let checkpoint = Checkpoint::new(
            ORIGIN,
            crate::TreeHead {
                size: 1,
                root: leaf,
            },
        );
        LedgerProof {
            checkpoint: checkpoint
                .sign(&house.keyring.log_signer(ORIGIN).unwrap())
                .unwrap(),
            index: 0,
            salt,
            body: committed.body,
            path: Vec::new(),
        }
    };
    let key = house.keyring.active(Algorithm::EdDsa).unwrap();
    let issue = |issuer: &str, proof: &LedgerProof| issue(issuer, &attestation(), proof, key);
    let other = issue("other.example", &prove(&entry)).unwrap_err();
    assert_eq!(
        other,
        IssueError("the logged iss is not the token's".to_owned())
    );
    let detail = entry.detail.as_object_mut().unwrap();
    detail.remove("issuer");
    detail.insert("alg".to_owned(), "EdDSA".into());
    let token = issue("other.example", &prove(&entry)).unwrap();
    assert!(check(&token).valid());
    entry.detail = Value::Null;
    let none = issue(ISSUER, &prove(&entry)).unwrap_err().to_string();
    insta::assert_snapshot!(none, @"cannot issue the attestation: the logged detail is not an attestation: not acceptable JSON: invalid type: null, expected struct Attestation");
}

/// What a reader of the audit trail sees of an attestation.
#[test]
fn the_logged_entry() {
    let body = String::from_utf8(house().proof.body.clone()).unwrap();
    insta::assert_snapshot!(body, @r#"{"action":"attestation.issued","actor":"ada","at":"2026-11-21T09:30:00.123456Z","detail":{"counts":{"accepted":0,"failed":1,"manual":3,"not_applicable":0,"not_assessed":0,"passed":4},"coverage":62.5,"evidence_digest":"sha256:f34a6486a244f4c296b294aa21052480e0dd3422a16c874546d1b115d95204dc","expires":"2027-02-19T09:30:00Z","framework":"nist-800-53-r5","framework_digest":"sha256:06a61df042ad775e8bdd27666ac077a3331e5eb3215d0351ba292bce7e96505b","framework_version":"5.1.1","id":"a-1","issued":"2026-11-21T09:30:00.123456Z","issuer":"bartizan.example","scope":"cluster:prod","score":80,"tenant":"default"},"subject":"a-1","tenant":"default"}"#);
}
