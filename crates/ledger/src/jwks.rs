//! JSON Web Key Sets (RFC 7517) of public keys, with RFC 7638 thumbprints as key ids.
//!
//! ```json
//! {"keys":[
//!  {"alg":"ES256","crv":"P-256","kid":"…","kty":"EC","use":"sig","x":"…","y":"…"},
//!  {"alg":"EdDSA","bartizan.dev/log-origin":"bartizan.example/default","crv":"Ed25519","kid":"…","kty":"OKP","use":"sig","x":"…"}
//! ]}
//! ```
//!
//! A key with `bartizan.dev/log-origin` signs checkpoints of that log and may not verify
//! tokens; a key without it verifies tokens and may not verify checkpoints.

use crate::keys::Algorithm;
use crate::note::VerifierKey;
use bartizan_model::Timestamp;

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

/// A set of public keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Jwks {
    /// The keys.
    pub keys: Vec<Jwk>,
}

impl Jwks {
    /// Reads a key set, refusing secrets, unknown members, weak keys and false key ids.
    pub fn parse(bytes: &[u8]) -> Result<Self, JwksError> {
        let _ = bytes;
        Err(JwksError {
            key: String::new(),
            why: "unfinished".to_owned(),
        })
    }

    /// The set as canonical JSON.
    pub fn to_json(&self) -> String {
        String::new()
    }

    /// The key of a token, by its id.
    pub fn find(&self, kid: &str) -> Option<&Jwk> {
        self.keys.iter().find(|key| key.kid == kid)
    }

    /// The verifier keys of a log, newest last.
    pub fn log_keys(&self, origin: &str) -> Vec<VerifierKey> {
        let _ = origin;
        Vec::new()
    }
}
