//! Tests of `jwks`.

use super::*;
use crate::sample;

/// The RSA key of RFC 7638 section 3.1.
const RSA: &str = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs","use":"sig"}"#;
/// The Ed25519 key of RFC 8037 appendix A, whose thumbprint appendix A.3 gives.
const ED: &str = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","alg":"EdDSA","kid":"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k","use":"sig"}"#;
/// The P-256 key of RFC 7517 appendix A.1, as a signing key.
const EC: &str = r#"{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","alg":"ES256","kid":"cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s","use":"sig"}"#;

fn read(keys: &[&str]) -> Result<Jwks, JwksError> {
    Jwks::parse(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes())
}

fn refused(key: &str, from: &str, to: &str) -> String {
    assert!(key.contains(from), "{from}");
    let key = key.replacen(from, to, 1);
    read(&[EC, &key]).unwrap_err().to_string()
}

#[test]
fn keys_of_the_rfcs_have_their_thumbprints() {
    let set = read(&[RSA, ED, EC]).unwrap();
    let algs: Vec<Algorithm> = set.keys.iter().map(|key| key.alg).collect();
    assert_eq!(algs, [Algorithm::Rs256, Algorithm::EdDsa, Algorithm::Es256]);
    assert_eq!(Jwks::parse(set.to_json().as_bytes()), Ok(set));
}

#[test]
fn faulty_keys_are_refused_with_the_reason() {
    insta::assert_snapshot!(refused(RSA, "\"kty\"", "\"d\":\"AQAB\",\"kty\""), @r#"not a key set: key 1: member "d" is of a secret key"#);
    insta::assert_snapshot!(refused(RSA, "NzbL", "NzbM"), @"not a key set: key 1: kid is not the key's thumbprint");
    insta::assert_snapshot!(refused(RSA, "\"AQAB\"", "\"Aw\""), @"not a key set: key 1: the exponent is not 65537");
    insta::assert_snapshot!(refused(RSA, "0vx7", ""), @"not a key set: key 1: the modulus is not 2048 to 8192 bits");
    insta::assert_snapshot!(refused(RSA, "0vx7", "AAx7"), @"not a key set: key 1: the modulus is not that of an RSA key");
    insta::assert_snapshot!(refused(RSA, "RS256", "HS256"), @"not a key set: key 1: alg is not RS256");
    insta::assert_snapshot!(refused(RSA, "\"sig\"", "\"enc\""), @"not a key set: key 1: use is not sig");
    insta::assert_snapshot!(refused(RSA, "\"AQAB\"", "\"AQAB=\""), @"not a key set: key 1: e is not base64url without padding");
    insta::assert_snapshot!(refused(RSA, "\"kty\"", "\"x\":\"AA\",\"kty\""), @"not a key set: key 1: members that do not belong to this kind of key");
    insta::assert_snapshot!(refused(RSA, "\"kty\"", "\"bartizan.dev/log-origin\":\"a\",\"kty\""), @"not a key set: key 1: a log's key is not Ed25519");
    insta::assert_snapshot!(refused(ED, "\"kty\"", "\"bartizan.dev/log-origin\":\"a b\",\"kty\""), @"not a key set: key 1: bartizan.dev/log-origin: not a verifier key: the name is empty, or has a space or plus");
    insta::assert_snapshot!(refused(ED, "\"kty\"", "\"kty\":\"OKP\",\"kty\""), @r#"not a key set: member "kty" appears twice"#);
    insta::assert_snapshot!(refused(ED, "\"Ed25519\"", "\"X25519\""), @"not a key set: key 1: kty and crv are not RSA, EC P-256 or OKP Ed25519");
    insta::assert_snapshot!(refused(ED, "HURo", "HU"), @"not a key set: key 1: x is not base64url without padding");
    insta::assert_snapshot!(refused(ED, "\"kty\"", "\"extra\":1,\"kty\""), @"not a key set: key 1: not acceptable JSON: unknown field `extra`, expected one of `alg`, `bartizan.dev/created`, `bartizan.dev/log-origin`, `bartizan.dev/retired`, `crv`, `e`, `kid`, `kty`, `n`, `use`, `x`, `y`");
    insta::assert_snapshot!(read(&[EC, &EC.replace("MKBC", "MKBD")]).unwrap_err(), @"not a key set: key 1: the point is not on P-256");
    insta::assert_snapshot!(read(&[EC, EC]).unwrap_err(), @"not a key set: key 1: the same key again");
    insta::assert_snapshot!(Jwks::parse(b"[]").unwrap_err(), @"not a key set: not an object");
    insta::assert_snapshot!(Jwks::parse(br#"{"keys":[],"more":1}"#).unwrap_err(), @"not a key set: not an object with nothing but keys");
    insta::assert_snapshot!(Jwks::parse(&vec![b' '; MAX_JWKS + 1]).unwrap_err(), @"not a key set: longer than 1 MiB");
}

#[test]
fn a_logs_key_is_a_verifier_key() {
    let key = sample::verifier();
    let public = PublicKey::Ed25519(*key.public());
    let set = Jwks {
        keys: vec![Jwk {
            kid: public.thumbprint(),
            alg: Algorithm::EdDsa,
            public,
            log_origin: Some(sample::ORIGIN.to_owned()),
            created: Some(sample::moment()),
            retired: None,
        }],
    };
    insta::assert_snapshot!(set.to_json(), @r#"{"keys":[{"alg":"EdDSA","bartizan.dev/created":"2026-11-21T09:30:00Z","bartizan.dev/log-origin":"bartizan.example/default","crv":"Ed25519","kid":"--6IM5l0OosLj9yWskISYhUA3n_3CURQkmrYMSha_ck","kty":"OKP","use":"sig","x":"6kpsY-KcUgq-9VB7Ey7F-ZVHdq6-vnuSQh7qaRRG0iw"}]}"#);
    let back = Jwks::parse(set.to_json().as_bytes()).unwrap();
    assert_eq!(back.log_keys(sample::ORIGIN), [key]);
    assert_eq!(back.log_keys("other.example"), []);
    assert_eq!(back.log_origins(), [sample::ORIGIN]);
}
