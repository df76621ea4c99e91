//! Tests of `keys`, `sealed` and `jwks` together: they carry the same keys.

use super::*;
use crate::sample::{ORIGIN, moment};
use std::sync::OnceLock;

/// Making RSA keys is slow, so the tests share a keyring: once rotated, with one log.
fn sealed() -> &'static [u8] {
    static SEALED: OnceLock<Vec<u8>> = OnceLock::new();
    SEALED.get_or_init(|| {
        let mut keyring = Keyring::generate(moment(), RsaSize::Bits2048).unwrap();
        keyring.ensure_log_key(ORIGIN, moment()).unwrap();
        let later = moment().plus_seconds(3600);
        keyring.rotate(later, RsaSize::Bits3072).unwrap();
        keyring.seal(&master()).unwrap()
    })
}

fn master() -> MasterKey {
    MasterKey::from_bytes([42; 32])
}

fn keyring() -> Keyring {
    Keyring::open(sealed(), &master()).unwrap()
}

#[test]
fn keys_and_their_life() {
    let keyring = keyring();
    let list: Vec<String> = keyring
        .list()
        .iter()
        .map(|key| {
            assert_eq!(key.kid.len(), 43);
            let origin = key.log_origin.as_deref().unwrap_or("token");
            let retired = key.retired.map(|t| t.to_string()).unwrap_or_default();
            format!("{} {origin} {} {retired}", key.alg.name(), key.created)
        })
        .collect();
    insta::assert_snapshot!(list.join("\n"), @r#"
RS256 token 2026-11-21T09:30:00Z 2026-11-21T10:30:00Z
ES256 token 2026-11-21T09:30:00Z 2026-11-21T10:30:00Z
EdDSA token 2026-11-21T09:30:00Z 2026-11-21T10:30:00Z
EdDSA bartizan.example/default 2026-11-21T09:30:00Z 
RS256 token 2026-11-21T10:30:00Z 
ES256 token 2026-11-21T10:30:00Z 
EdDSA token 2026-11-21T10:30:00Z
"#);
    for alg in Algorithm::ALL {
        let key = keyring.active(alg).unwrap();
        assert!(key.info().active() && key.info().alg == alg);
        let signature = key.sign(b"message").unwrap();
        assert!(key.public().public.verifies(b"message", &signature));
        assert!(!key.public().public.verifies(b"massage", &signature));
    }
    let sizes: Vec<usize> = keyring
        .jwks()
        .keys
        .iter()
        .filter_map(|key| match &key.public {
            PublicKey::Rsa { n, .. } => Some(n.len() * 8),
            _ => None,
        })
        .collect();
    assert_eq!(sizes, [2048, 3072]);
}

#[test]
fn log_keys_are_made_once_and_rotate_alone() {
    let mut keyring = keyring();
    let first = keyring.log_verifier(ORIGIN).unwrap();
    assert_eq!(keyring.ensure_log_key(ORIGIN, moment()), Ok(false));
    assert_eq!(keyring.ensure_log_key("other.example", moment()), Ok(true));
    keyring.rotate_log_key(ORIGIN, moment()).unwrap();
    let second = keyring.log_verifier(ORIGIN).unwrap();
    assert_ne!(first, second);
    assert_eq!(keyring.jwks().log_keys(ORIGIN), [first, second]);
    assert_eq!(keyring.jwks().log_origins(), [ORIGIN, "other.example"]);
    assert_eq!(
        keyring.log_verifier("absent.example"),
        Err(KeyError::Absent("absent.example".to_owned()))
    );
    assert_eq!(
        keyring.ensure_log_key("with space", moment()),
        Err(KeyError::Origin("with space".to_owned()))
    );
}

#[test]
fn sealing_keeps_everything_and_shows_nothing() {
    let keyring = keyring();
    let again = keyring.seal(&master()).unwrap();
    assert_ne!(again, sealed(), "nonces must differ");
    let back = Keyring::open(&again, &master()).unwrap();
    assert_eq!(back.list(), keyring.list());
    for (a, b) in back.keys.iter().zip(&keyring.keys) {
        assert_eq!(a.pkcs8, b.pkcs8);
        let hidden = |shown: &[u8]| {
            let secret = a.pkcs8.as_slice();
            assert!(
                !shown
                    .windows(16)
                    .any(|part| secret.windows(16).any(|s| s == part))
            );
        };
        hidden(&again);
    }
    let shown = format!("{keyring:?} {:?}", master());
    assert!(
        !shown.contains("pkcs8") && !shown.contains("42, 42"),
        "{shown}"
    );
    assert!(shown.contains("MasterKey { kdf: None, .. }"), "{shown}");
}

#[test]
fn another_master_key_does_not_open() {
    let other = MasterKey::generate().unwrap();
    assert_eq!(
        Keyring::open(sealed(), &other).unwrap_err(),
        KeyError::Sealed
    );
    assert_ne!(MasterKey::generate().unwrap().expose(), other.expose());
}

/// Each byte of the sealed file; in base64 and hexadecimal a flip may also break the form.
#[test]
fn every_altered_byte_of_the_sealed_file_is_refused() {
    let sealed = sealed();
    for at in 0..sealed.len() {
        let mut bad = sealed.to_vec();
        bad[at] ^= 1 << (at % 8);
        assert!(Keyring::open(&bad, &master()).is_err(), "byte {at}");
    }
}

#[test]
fn a_key_cannot_be_dropped_swapped_or_brought_back() {
    let file: serde_json::Value = serde_json::from_slice(sealed()).unwrap();
    let alter = |change: &dyn Fn(&mut Vec<serde_json::Value>)| {
        let mut file = file.clone();
        change(file["keys"].as_array_mut().unwrap());
        let bytes = crate::json::canonical(&file).unwrap();
        Keyring::open(&bytes, &master()).unwrap_err()
    };
    assert_eq!(alter(&|keys| drop(keys.pop())), KeyError::Sealed);
    assert_eq!(alter(&|keys| keys.swap(0, 1)), KeyError::Sealed);
    assert_eq!(
        alter(&|keys| keys[0]["retired"] = serde_json::Value::Null),
        KeyError::Sealed
    );
    assert_eq!(
        alter(&|keys| keys[3]["log_origin"] = serde_json::Value::Null),
        KeyError::Sealed
    );
    assert_eq!(
        alter(&Vec::clear),
        KeyError::Malformed("no keys".to_owned())
    );
}

#[test]
fn passphrases() {
    let kdf = Kdf::generate().unwrap();
    let key = MasterKey::from_passphrase("correct horse", &kdf).unwrap();
    let sealed = keyring().seal(&key).unwrap();
    let stored = Keyring::kdf_of(&sealed).unwrap().unwrap();
    assert_eq!(stored, kdf);
    let same = MasterKey::from_passphrase("correct horse", &stored).unwrap();
    assert_eq!(Keyring::open(&sealed, &same).unwrap().list().len(), 7);
    let other = MasterKey::from_passphrase("correct horsE", &stored).unwrap();
    assert_eq!(
        Keyring::open(&sealed, &other).unwrap_err(),
        KeyError::Sealed
    );
    assert_eq!(Keyring::kdf_of(self::sealed()), Ok(None));
    for weak in [
        Kdf {
            memory_kib: 1024,
            ..kdf.clone()
        },
        Kdf {
            memory_kib: u32::MAX,
            ..kdf.clone()
        },
        Kdf {
            passes: 0,
            ..kdf.clone()
        },
        Kdf {
            lanes: 99,
            ..kdf.clone()
        },
        Kdf {
            salt: "00".to_owned(),
            ..kdf.clone()
        },
    ] {
        let refused = MasterKey::from_passphrase("x", &weak).unwrap_err();
        assert_eq!(refused, KeyError::Kdf);
    }
}

#[test]
fn published_keys_read_back_and_hold_no_secret() {
    let keyring = keyring();
    let text = keyring.jwks().to_json();
    assert_eq!(Jwks::parse(text.as_bytes()), Ok(keyring.jwks()));
    for secret in ["\"d\"", "\"p\"", "\"q\"", "\"k\""] {
        assert!(!text.contains(secret));
    }
}

#[test]
fn es256_signatures_have_one_form() {
    let keyring = keyring();
    let key = keyring.active(Algorithm::Es256).unwrap();
    // The group order of P-256.
    let n =
        hex::decode("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551").unwrap();
    for i in 0..16_u8 {
        let signature = key.sign(&[i]).unwrap();
        let mut other = signature.clone();
        let mut borrow = 0;
        for at in (0..32).rev() {
            let difference = i16::from(n[at]) - i16::from(signature[32 + at]) - borrow;
            borrow = i16::from(difference < 0);
            other[32 + at] = u8::try_from(difference.rem_euclid(256)).unwrap();
        }
        let public = key.public().public;
        assert!(public.verifies(&[i], &signature));
        assert!(!public.verifies(&[i], &other), "the twin with n - s");
        let PublicKey::P256 { x, y } = &public else {
            panic!("not P-256");
        };
        // The curve itself accepts the twin: that is why the form is checked.
        let mut point = vec![4];
        point.extend_from_slice(x);
        point.extend_from_slice(y);
        let algorithm = &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED;
        let curve = aws_lc_rs::signature::UnparsedPublicKey::new(algorithm, point);
        assert!(curve.verify(&[i], &other).is_ok());
    }
}

/// The group order added to s: the same signature to a lax verifier.
#[test]
fn eddsa_signatures_have_one_form() {
    let keyring = keyring();
    let key = keyring.active(Algorithm::EdDsa).unwrap();
    let mut order =
        hex::decode("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed").unwrap();
    order.reverse();
    let signature = key.sign(b"message").unwrap();
    let mut other = signature.clone();
    let mut carry = 0;
    for at in 0..32 {
        let sum = u16::from(signature[32 + at]) + u16::from(order[at]) + carry;
        other[32 + at] = u8::try_from(sum % 256).unwrap();
        carry = sum / 256;
    }
    assert_eq!(carry, 0);
    assert!(key.public().public.verifies(b"message", &signature));
    assert!(!key.public().public.verifies(b"message", &other));
}

#[test]
fn keys_are_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Keyring>();
    shared::<MasterKey>();
}
