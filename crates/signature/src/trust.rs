//! What is trusted: public keys, identities, and a trusted root (Fulcio's authorities, Rekor's
//! keys, CT logs, timestamp authorities).

use regex::Regex;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sigstore_verify::Verifier;
use sigstore_verify::crypto::{KeyAlgorithm, Keyring, SigningScheme};
use sigstore_verify::trust_root::TrustedRoot;
use sigstore_verify::types::{DerCertificate, DerPublicKey, HashAlgorithm};
use std::fmt;

/// Why something cannot be trusted: the fault of whoever gave it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TrustError(pub String);

/// Larger keys and roots are none.
const MAX_PEM: usize = 64 << 10;
const MAX_ROOT: usize = 4 << 20;

/// A public key. Which algorithm a signature is checked by is the key's to say, never the
/// signature's.
#[derive(Clone)]
pub struct PublicKey {
    pub(crate) der: DerPublicKey,
    pub(crate) algorithm: KeyAlgorithm,
    pub(crate) hash: Option<HashAlgorithm>,
}

impl PublicKey {
    /// Reads PEM (`PUBLIC KEY`): ECDSA P-256 and P-384, RSA, Ed25519.
    pub fn from_pem(pem: &str) -> Result<Self, TrustError> {
        let fault = |e: &dyn fmt::Display| TrustError(format!("this is no public key: {e}"));
        if pem.len() > MAX_PEM {
            return Err(fault(&"it is too large"));
        }
        let der = DerPublicKey::from_pem(pem.trim()).map_err(|e| fault(&e))?;
        let algorithm = KeyAlgorithm::from_spki(&der).map_err(|e| fault(&e))?;
        Ok(Self {
            der,
            algorithm,
            hash: None,
        })
    }

    /// The same, with the hash that its signatures are made by; SHA-256 where this is not said.
    pub fn hashed_by(self, name: &str) -> Result<Self, TrustError> {
        let hash = match name {
            "" | "sha256" => HashAlgorithm::Sha2256,
            "sha384" => HashAlgorithm::Sha2384,
            "sha512" => HashAlgorithm::Sha2512,
            _ => return Err(TrustError(format!("there is no hashAlgorithm {name:.50?}"))),
        };
        Ok(Self {
            hash: Some(hash),
            ..self
        })
    }

    /// The hash of the signatures.
    pub(crate) fn hash(&self) -> HashAlgorithm {
        self.hash.unwrap_or(HashAlgorithm::Sha2256)
    }

    /// The schemes that its signatures may have: the one asked for, or cosign's and the one
    /// that Sigstore's registry of algorithms gives this kind of key.
    pub(crate) fn schemes(&self) -> Vec<SigningScheme> {
        let own = self.algorithm.resolve_signing_scheme(self.hash()).ok();
        let usual = Some(self.algorithm.default_signing_scheme());
        let mut all: Vec<_> = own.into_iter().collect();
        if self.hash.is_none() && usual != own {
            all.extend(usual);
        }
        all
    }

    /// SHA-256 of the key as it stands in certificates.
    pub fn fingerprint(&self) -> String {
        format!(
            "sha256:{}",
            hex::encode(Sha256::digest(self.der.as_bytes()))
        )
    }

    /// The kind of key.
    pub fn algorithm(&self) -> &'static str {
        match self.algorithm {
            KeyAlgorithm::EcdsaP256 => "ecdsa-p256",
            KeyAlgorithm::EcdsaP384 => "ecdsa-p384",
            KeyAlgorithm::Ed25519 => "ed25519",
            KeyAlgorithm::Rsa => "rsa",
            _ => "other",
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm(), self.fingerprint())
    }
}

/// Who may have signed without a key of their own: issuer and subject, each by text or pattern.
#[derive(Debug, Clone)]
pub struct Identity {
    issuer: Text,
    subject: Text,
}

#[derive(Debug, Clone)]
enum Text {
    Exact(String),
    /// Not anchored, as in cosign.
    Pattern(Regex),
}

impl Text {
    fn of(what: &str, exact: &str, pattern: &str) -> Result<Self, TrustError> {
        match (exact, pattern) {
            ("", "") => Err(TrustError(format!("{what} or {what}RegExp is missing"))),
            (exact, "") => Ok(Self::Exact(exact.to_owned())),
            ("", pattern) => {
                let made = regex::RegexBuilder::new(pattern)
                    .size_limit(1 << 20)
                    .build();
                let why = |e| TrustError(format!("{what}RegExp: {e}"));
                made.map(Self::Pattern).map_err(why)
            }
            _ => Err(TrustError(format!("both {what} and {what}RegExp"))),
        }
    }

    fn fits(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == text,
            Self::Pattern(pattern) => pattern.is_match(text),
        }
    }
}

impl Identity {
    /// Of the four fields that cosign and ClusterImagePolicy have; empty is not given.
    pub fn new(
        issuer: &str,
        issuer_pattern: &str,
        subject: &str,
        subject_pattern: &str,
    ) -> Result<Self, TrustError> {
        Ok(Self {
            issuer: Text::of("issuer", issuer, issuer_pattern)?,
            subject: Text::of("subject", subject, subject_pattern)?,
        })
    }

    pub(crate) fn fits(&self, issuer: &str, subject: &str) -> bool {
        self.issuer.fits(issuer) && self.subject.fits(subject)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |text: &Text| match text {
            Text::Exact(exact) => exact.clone(),
            Text::Pattern(pattern) => format!("/{pattern}/"),
        };
        write!(f, "{} of {}", text(&self.subject), text(&self.issuer))
    }
}

/// A trusted root, ready for use.
pub struct Trust {
    pub(crate) verifier: Verifier,
    pub(crate) logs: Keyring,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trust with {} logs", self.logs.len())
    }
}

impl Trust {
    /// Reads a `trusted_root.json`.
    pub fn from_json(bytes: &[u8]) -> Result<Self, TrustError> {
        let fault = |e: &dyn fmt::Display| TrustError(format!("this is no trusted root: {e}"));
        if bytes.len() > MAX_ROOT {
            return Err(fault(&"it is too large"));
        }
        let text = std::str::from_utf8(bytes).map_err(|e| fault(&e))?;
        let root = TrustedRoot::from_json(text).map_err(|e| fault(&e))?;
        Self::of(&root)
    }

    fn of(root: &TrustedRoot) -> Result<Self, TrustError> {
        let fault = |e: &dyn fmt::Display| TrustError(format!("this is no trusted root: {e}"));
        Ok(Self {
            verifier: Verifier::new(root).map_err(|e| fault(&e))?,
            logs: root.rekor_keys().map_err(|e| fault(&e))?,
        })
    }

    /// Nothing is trusted: for keys whose signatures stand in no log.
    pub(crate) fn none() -> Result<Self, TrustError> {
        Self::from_json(
            br#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#,
        )
    }

    /// Of a `TrustRoot` object (`policy.sigstore.dev/v1alpha1`) that gives the keys itself. One
    /// that names a TUF repository is refused: nothing is fetched here.
    pub(crate) fn of_object(spec: &Value) -> Result<Self, TrustError> {
        let keys = spec.get("sigstoreKeys").ok_or_else(|| {
            TrustError(
                "only sigstoreKeys are read: a TUF repository would have to be fetched".into(),
            )
        })?;
        let list = |field: &str| {
            let all = keys.get(field).and_then(Value::as_array);
            all.cloned().unwrap_or_default()
        };
        let logs = |field: &str| -> Result<Vec<Value>, TrustError> {
            list(field).iter().map(log_of).collect()
        };
        let authorities = |field: &str| -> Result<Vec<Value>, TrustError> {
            list(field).iter().map(authority_of).collect()
        };
        // Written with both spellings of the field in circulation.
        let mut ct = logs("ctLogs")?;
        ct.extend(logs("ctlogs")?);
        let mut stamps = authorities("timestampAuthorities")?;
        stamps.extend(authorities("timeStampAuthorities")?);
        let root = json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": logs("tLogs")?,
            "certificateAuthorities": authorities("certificateAuthorities")?,
            "ctlogs": ct,
            "timestampAuthorities": stamps,
        });
        Self::from_json(root.to_string().as_bytes())
    }
}

fn pem_of(object: &Value, field: &str) -> Result<String, TrustError> {
    use base64::Engine as _;
    let packed = object.get(field).and_then(Value::as_str).unwrap_or("");
    let bytes = base64::engine::general_purpose::STANDARD.decode(packed.trim());
    let text = bytes.ok().and_then(|b| String::from_utf8(b).ok());
    text.ok_or_else(|| TrustError(format!("{field} is no PEM in base64")))
}

/// A trusted root says since when something counts; a `TrustRoot` object says nothing of it.
const ALWAYS: &str = "1970-01-01T00:00:00Z";

fn log_of(object: &Value) -> Result<Value, TrustError> {
    let key = PublicKey::from_pem(&pem_of(object, "publicKey")?)?;
    let details = match key.algorithm {
        KeyAlgorithm::EcdsaP384 => "PKIX_ECDSA_P384_SHA_384",
        KeyAlgorithm::Ed25519 => "PKIX_ED25519",
        KeyAlgorithm::Rsa => "PKIX_RSA_PKCS1V15_2048_SHA256",
        _ => "PKIX_ECDSA_P256_SHA_256",
    };
    let id = Sha256::digest(key.der.as_bytes());
    let id = sigstore_verify::types::DigestBytes::new(id.to_vec());
    Ok(json!({
        "baseUrl": object.get("baseURL").and_then(Value::as_str).unwrap_or(""),
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": key.der.to_base64(), "keyDetails": details, "validFor": {"start": ALWAYS}
        },
        "logId": {"keyId": base64_of(id.as_bytes())}
    }))
}

fn authority_of(object: &Value) -> Result<Value, TrustError> {
    let chain = certificates(&pem_of(object, "certChain")?)?;
    let chain: Vec<_> = chain
        .iter()
        .map(|c| json!({"rawBytes": c.to_base64()}))
        .collect();
    Ok(json!({
        "uri": object.get("uri").and_then(Value::as_str).unwrap_or(""),
        "certChain": {"certificates": chain},
        "validFor": {"start": ALWAYS}
    }))
}

fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// The certificates of a PEM text, at most 16.
pub(crate) fn certificates(pem: &str) -> Result<Vec<DerCertificate>, TrustError> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    if pem.len() > MAX_PEM {
        return Err(TrustError("the certificates are too large".into()));
    }
    let mut all = Vec::new();
    for part in pem.split(BEGIN).skip(1) {
        if all.len() == 16 {
            return Err(TrustError("there are more than 16 certificates".into()));
        }
        let made = DerCertificate::from_pem(&format!("{BEGIN}{part}"));
        all.push(made.map_err(|e| TrustError(format!("a certificate is malformed: {e}")))?);
    }
    match all.is_empty() {
        true => Err(TrustError("there is no certificate".into())),
        false => Ok(all),
    }
}
