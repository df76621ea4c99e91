//! JSON Web Key Sets (RFC 7517) of public keys, with RFC 7638 thumbprints as key ids.
//!
//! ```json
//! {"keys":[
//!  {"alg":"ES256","bartizan.dev/created":"2026-11-21T09:30:00Z","crv":"P-256","kid":"…","kty":"EC","use":"sig","x":"…","y":"…"},
//!  {"alg":"EdDSA","bartizan.dev/created":"2026-11-21T09:30:00Z","bartizan.dev/log-origin":"bartizan.example/default","crv":"Ed25519","kid":"…","kty":"OKP","use":"sig","x":"…"}
//! ]}
//! ```
//!
//! A key with `bartizan.dev/log-origin` signs checkpoints of that log and may not verify
//! tokens; a key without it verifies tokens and may not verify checkpoints. A key with
//! `bartizan.dev/retired` verifies what it signed until then.

use crate::json;
use crate::keys::Algorithm;
use crate::note::VerifierKey;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use bartizan_model::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The longest key set read.
pub const MAX_JWKS: usize = 1024 * 1024;
/// The most keys read.
pub const MAX_KEYS: usize = 1024;
/// Members that hold secrets.
const SECRET: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Why bytes are not a key set. Whose fault: the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a key set: {key}{why}")]
pub struct JwksError {
    /// Which key, as `key 3: `, or empty for the set as a whole.
    pub key: String,
    /// What is wrong.
    pub why: String,
}

/// The public half of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// Modulus and exponent, big-endian without leading zeros.
    Rsa {
        /// Modulus.
        n: Vec<u8>,
        /// Exponent.
        e: Vec<u8>,
    },
    /// A point of P-256.
    P256 {
        /// Its x.
        x: [u8; 32],
        /// Its y.
        y: [u8; 32],
    },
    /// An Ed25519 public key.
    Ed25519([u8; 32]),
}

/// Half of the order of P-256, rounded down: the greatest `s` of an ES256 signature we accept.
const P256_HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xde,
    0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
];

/// Whether an ES256 signature is the one of its two equivalent forms that we issue. With both
/// accepted, a token could be altered and still verify.
pub(crate) fn has_low_s(signature: &[u8]) -> bool {
    signature
        .split_at_checked(32)
        .is_some_and(|(_, s)| s.len() == 32 && s <= &P256_HALF_ORDER[..])
}

impl PublicKey {
    /// The algorithm that the key is used with.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa { .. } => Algorithm::Rs256,
            Self::P256 { .. } => Algorithm::Es256,
            Self::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// The RFC 7638 thumbprint, base64url.
    pub fn thumbprint(&self) -> String {
        let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        // Base64url needs no escapes, so this is the canonical JSON of the required members.
        let members = match self {
            Self::Rsa { n, e } => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, b64(e), b64(n)),
            Self::P256 { x, y } => format!(
                r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#,
                b64(x),
                b64(y)
            ),
            Self::Ed25519(x) => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, b64(x)),
        };
        b64(&Sha256::digest(members))
    }

    /// Whether `signature` is this key's over `message`, in the one form that we issue.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rsa { n, e } => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
            Self::P256 { x, y } => {
                has_low_s(signature)
                    && UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point(x, y))
                        .verify(message, signature)
                        .is_ok()
            }
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key)
                .verify(message, signature)
                .is_ok(),
        }
    }

    /// Refuses keys that are weak or none.
    fn check(&self) -> Result<(), &'static str> {
        match self {
            Self::Rsa { n, e } => {
                let odd = n.last().is_some_and(|b| b & 1 == 1);
                let top = n.first().copied().unwrap_or_default();
                match n.len() {
                    256..=1024 if top >= 0x80 && odd => {}
                    256..=1024 => return Err("the modulus is not that of an RSA key"),
                    _ => return Err("the modulus is not 2048 to 8192 bits"),
                }
                if e != &[1, 0, 1] {
                    return Err("the exponent is not 65537");
                }
                Ok(())
            }
            Self::P256 { x, y } => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point(x, y))
                .map(drop)
                .map_err(|_| "the point is not on P-256"),
            Self::Ed25519(key) => ParsedPublicKey::new(&ED25519, key)
                .map(drop)
                .map_err(|_| "not an Ed25519 key"),
        }
    }
}

/// The uncompressed point of SEC 1.
fn point(x: &[u8; 32], y: &[u8; 32]) -> Vec<u8> {
    let mut point = vec![4];
    point.extend_from_slice(x);
    point.extend_from_slice(y);
    point
}

/// A public key and what it may be used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwk {
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// The one algorithm it may be used with.
    pub alg: Algorithm,
    /// The key.
    pub public: PublicKey,
    /// The log whose checkpoints it signs; none for a key that signs tokens.
    pub log_origin: Option<String>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When it ceased to sign.
    pub retired: Option<Timestamp>,
}

/// One key as the file spells it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKey {
    alg: String,
    #[serde(
        rename = "bartizan.dev/created",
        skip_serializing_if = "Option::is_none"
    )]
    created: Option<Timestamp>,
    #[serde(
        rename = "bartizan.dev/log-origin",
        skip_serializing_if = "Option::is_none"
    )]
    log_origin: Option<String>,
    #[serde(
        rename = "bartizan.dev/retired",
        skip_serializing_if = "Option::is_none"
    )]
    retired: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    kid: String,
    kty: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(rename = "use")]
    usage: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
}

impl RawKey {
    fn of(key: &Jwk) -> Self {
        let b64 = |bytes: &[u8]| Some(URL_SAFE_NO_PAD.encode(bytes));
        let (kty, crv, e, n, x, y) = match &key.public {
            PublicKey::Rsa { n, e } => ("RSA", None, b64(e), b64(n), None, None),
            PublicKey::P256 { x, y } => ("EC", Some("P-256"), None, None, b64(x), b64(y)),
            PublicKey::Ed25519(x) => ("OKP", Some("Ed25519"), None, None, b64(x), None),
        };
        Self {
            alg: key.alg.name().to_owned(),
            created: key.created,
            log_origin: key.log_origin.clone(),
            retired: key.retired,
            crv: crv.map(str::to_owned),
            e,
            kid: key.kid.clone(),
            kty: kty.to_owned(),
            n,
            usage: "sig".to_owned(),
            x,
            y,
        }
    }

    fn read(self) -> Result<Jwk, String> {
        let bytes = |member: &Option<String>, name: &str| {
            let text = member.as_ref().ok_or(format!("{name} is missing"))?;
            URL_SAFE_NO_PAD
                .decode(text)
                .map_err(|_| format!("{name} is not base64url without padding"))
        };
        let word = |member, name| {
            let bytes: [u8; 32] = bytes(member, name)?
                .try_into()
                .map_err(|_| format!("{name} is not 32 bytes"))?;
            Ok::<_, String>(bytes)
        };
        let public = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", None) => PublicKey::Rsa {
                n: bytes(&self.n, "n")?,
                e: bytes(&self.e, "e")?,
            },
            ("EC", Some("P-256")) => PublicKey::P256 {
                x: word(&self.x, "x")?,
                y: word(&self.y, "y")?,
            },
            ("OKP", Some("Ed25519")) => PublicKey::Ed25519(word(&self.x, "x")?),
            _ => return Err("kty and crv are not RSA, EC P-256 or OKP Ed25519".to_owned()),
        };
        public.check()?;
        let jwk = Jwk {
            kid: public.thumbprint(),
            alg: public.algorithm(),
            public,
            log_origin: self.log_origin.clone(),
            created: self.created,
            retired: self.retired,
        };
        if self.alg != jwk.alg.name() {
            return Err(format!("alg is not {}", jwk.alg.name()));
        }
        if self.usage != "sig" {
            return Err("use is not sig".to_owned());
        }
        if self.kid != jwk.kid {
            return Err("kid is not the key's thumbprint".to_owned());
        }
        if let Some(origin) = &jwk.log_origin {
            match &jwk.public {
                PublicKey::Ed25519(key) => VerifierKey::new(origin, *key)
                    .map_err(|error| format!("bartizan.dev/log-origin: {error}"))?,
                _ => return Err("a log's key is not Ed25519".to_owned()),
            };
        }
        // Members of another kind of key would be silently lost.
        let spelt = serde_json::to_value(&self).ok();
        if spelt != serde_json::to_value(Self::of(&jwk)).ok() {
            return Err("members that do not belong to this kind of key".to_owned());
        }
        Ok(jwk)
    }
}

/// A set of public keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Jwks {
    /// The keys.
    pub keys: Vec<Jwk>,
}

impl Jwks {
    /// Reads a key set, refusing secrets, unknown members, weak keys and false key ids.
    pub fn parse(bytes: &[u8]) -> Result<Self, JwksError> {
        let whole = |why: String| JwksError {
            key: String::new(),
            why,
        };
        if bytes.len() > MAX_JWKS {
            return Err(whole("longer than 1 MiB".to_owned()));
        }
        let value = json::parse(bytes).map_err(|error| whole(error.to_string()))?;
        let Value::Object(mut set) = value else {
            return Err(whole("not an object".to_owned()));
        };
        let keys = match set.remove("keys") {
            Some(Value::Array(keys)) if set.is_empty() && keys.len() <= MAX_KEYS => keys,
            _ => return Err(whole("not an object with nothing but keys".to_owned())),
        };
        let mut out = Self::default();
        for (index, key) in keys.into_iter().enumerate() {
            let fail = |why: String| JwksError {
                key: format!("key {index}: "),
                why,
            };
            if let Some(name) = SECRET.iter().find(|name| key.get(name).is_some()) {
                return Err(fail(format!("member {name:?} is of a secret key")));
            }
            let raw: RawKey = json::typed(key).map_err(|error| fail(error.to_string()))?;
            let key = raw.read().map_err(fail)?;
            if out.find(&key.kid).is_some() {
                return Err(fail("the same key again".to_owned()));
            }
            out.keys.push(key);
        }
        Ok(out)
    }

    /// The set as canonical JSON with a final newline.
    pub fn to_json(&self) -> String {
        let keys: Vec<RawKey> = self.keys.iter().map(RawKey::of).collect();
        let bytes = json::canonical_of(&json!({ "keys": keys })).unwrap_or_default();
        String::from_utf8(bytes).unwrap_or_default() + "\n"
    }

    /// The key of a token, by its id.
    pub fn find(&self, kid: &str) -> Option<&Jwk> {
        self.keys.iter().find(|key| key.kid == kid)
    }

    /// The verifier keys of a log, newest last.
    pub fn log_keys(&self, origin: &str) -> Vec<VerifierKey> {
        let of_log = |key: &&Jwk| key.log_origin.as_deref() == Some(origin);
        self.keys
            .iter()
            .filter(of_log)
            .filter_map(|key| match &key.public {
                PublicKey::Ed25519(public) => VerifierKey::new(origin, *public).ok(),
                _ => None,
            })
            .collect()
    }

    /// The names of all logs that the set has keys of.
    pub fn log_origins(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .keys
            .iter()
            .filter_map(|key| key.log_origin.as_deref())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

#[cfg(test)]
#[path = "jwks_tests.rs"]
mod tests;
