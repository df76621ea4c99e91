//! One signature judged: by which key or identity, of which image, in which log, when.

use crate::legacy::Annotations;
use crate::statement::{SIGN, Statement};
use crate::trust::{Identity, PublicKey, Trust};
use bartizan_model::{Digest, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sigstore_verify::types::{
    Artifact, Bundle, HashAlgorithm, Sha256Hash, SignatureBytes, SignatureContent,
    TransparencyLogEntry,
};
use sigstore_verify::{
    Error, PublicKeyVerificationPolicy, TransparencyLogError, VerificationPolicy,
};
use std::fmt;

/// A signature as it was found.
#[derive(Debug, Clone)]
pub enum Piece {
    /// Cosign's simple signing payload.
    Simple {
        /// Where it stands, for people.
        origin: String,
        /// What is signed.
        payload: Vec<u8>,
        /// The proofs.
        annotations: Annotations,
    },
    /// A DSSE envelope with cosign's annotations.
    Envelope {
        /// Where it stands, for people.
        origin: String,
        /// The envelope, JSON.
        envelope: Vec<u8>,
        /// The proofs.
        annotations: Annotations,
    },
    /// A Sigstore bundle.
    Bundle {
        /// Where it stands, for people.
        origin: String,
        /// The bundle, JSON.
        bytes: Vec<u8>,
    },
}

impl Piece {
    /// Where it stands.
    pub fn origin(&self) -> &str {
        match self {
            Self::Simple { origin, .. }
            | Self::Envelope { origin, .. }
            | Self::Bundle { origin, .. } => origin,
        }
    }

    /// Whether it is a Sigstore bundle.
    pub fn is_bundle(&self) -> bool {
        matches!(self, Self::Bundle { .. })
    }
}

/// Who must have signed.
#[derive(Debug, Clone)]
pub enum Signer {
    /// The owner of this key.
    Key(PublicKey),
    /// Anyone of these, by a certificate of the trusted root's authorities.
    Keyless(Vec<Identity>),
}

/// Whether a signature must stand in a transparency log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// Not asked. A keyless signature needs a time all the same.
    Ignored,
    /// In one of the trusted root's.
    Required,
    /// Not asked; a time-stamp by one of the trusted root's authorities is.
    Stamped,
}

/// What is asked of a signature.
#[derive(Debug, Clone)]
pub struct Demand {
    /// By whom.
    pub signer: Signer,
    /// In a log or not.
    pub log: Log,
    /// Whether a certificate must prove that a CT log knows it.
    pub sct: bool,
}

/// Who signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// The owner of a key.
    Key {
        /// Its SHA-256.
        fingerprint: String,
        /// Its kind.
        algorithm: &'static str,
    },
    /// Someone whom an issuer knows.
    Identity {
        /// The issuer of OpenID Connect.
        issuer: String,
        /// The certificate's subject.
        subject: String,
    },
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key {
                fingerprint,
                algorithm,
            } => write!(f, "key {fingerprint:.23}… ({algorithm})"),
            Self::Identity { issuer, subject } => write!(f, "{subject} of {issuer}"),
        }
    }
}

/// A signature that holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Signed {
    /// Where it stands.
    pub origin: String,
    /// Who.
    pub who: Who,
    /// When, by every clock that vouches for it; empty where none does.
    pub times: Vec<Timestamp>,
    /// Whether a log was proven to hold it.
    pub logged: bool,
    /// What an attestation says; none for a mere signature.
    pub predicate_type: Option<String>,
    /// The statement of an attestation, or the signed payload.
    #[serde(skip)]
    pub statement: Value,
    /// SHA-256 of the signature: the same one found twice is one.
    pub id: String,
}

/// Why a signature does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It cannot be read.
    Malformed,
    /// It is sound and of another image.
    OtherImage,
    /// It is not by the key, or what is signed was changed.
    Signature,
    /// The certificate is not of a trusted authority or was not valid then.
    Certificate,
    /// The log's proof is missing or wrong.
    Log,
    /// No trusted clock says when.
    Time,
    /// Someone else signed.
    Signer,
    /// It is of a kind that is not read here.
    Unsupported,
    /// There is no trusted root to judge it by: the fault of who asks.
    NoTrust,
}

/// A signature that does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Where it stands.
    pub origin: String,
    /// Why, as a kind.
    pub reason: Reason,
    /// Why, in words.
    pub why: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.why)
    }
}

type Told<T> = Result<T, (Reason, String)>;

/// A piece that was read.
struct Opened {
    bundle: Bundle,
    /// What a mere signature signs; none where it is the image's digest itself.
    payload: Option<Vec<u8>>,
    /// Made of annotations: a promise of the log, not a proof.
    legacy: bool,
}

/// A simple signing payload that is larger is none.
const MAX_PAYLOAD: usize = 1 << 20;

/// Judges a piece as a signature of the image with this digest.
pub fn verify(
    piece: &Piece,
    image: &Digest,
    demand: &Demand,
    trust: Option<&Trust>,
) -> Result<Signed, Refused> {
    judge(piece, image, demand, trust).map_err(|(reason, why)| Refused {
        origin: piece.origin().to_owned(),
        reason,
        why,
    })
}

fn judge(piece: &Piece, image: &Digest, demand: &Demand, trust: Option<&Trust>) -> Told<Signed> {
    let hex = image.as_str().strip_prefix("sha256:").unwrap_or_default();
    let keyless = matches!(demand.signer, Signer::Keyless(_));
    let opened = open(piece, keyless).map_err(|why| (Reason::Malformed, why))?;
    let hash = Sha256Hash::from_hex(hex).map_err(|e| (Reason::Malformed, e.to_string()))?;
    let proof = match &demand.signer {
        Signer::Keyless(identities) => by_certificate(
            &opened,
            hash,
            identities,
            demand,
            trust.ok_or_else(no_trust)?,
        )?,
        Signer::Key(key) => {
            let certificate = opened.bundle.signing_certificate().is_some();
            if certificate {
                return Err((
                    Reason::Signer,
                    "it is signed with a certificate, not with this key".into(),
                ));
            }
            match demand.log {
                Log::Ignored => by_key(&opened, hash, key)?,
                log => by_witnessed_key(&opened, hash, key, log, trust.ok_or_else(no_trust)?)?,
            }
        }
    };
    let (predicate_type, statement) = content(&opened, image)?;
    let signature = signature(&opened.bundle)?;
    Ok(Signed {
        origin: piece.origin().to_owned(),
        who: proof.who,
        times: proof.times,
        logged: proof.logged,
        predicate_type: predicate_type.filter(|kind| kind != SIGN),
        statement,
        id: hex::encode(Sha256::digest(signature.as_bytes())),
    })
}

fn no_trust() -> (Reason, String) {
    (
        Reason::NoTrust,
        "there is no trusted root to judge it by".into(),
    )
}

fn open(piece: &Piece, keyless: bool) -> Result<Opened, String> {
    match piece {
        Piece::Simple {
            payload,
            annotations,
            ..
        } => {
            if payload.len() > MAX_PAYLOAD {
                return Err(format!("the payload is larger than {MAX_PAYLOAD} bytes"));
            }
            let content = json!({
                "messageDigest": {
                    "algorithm": "SHA2_256",
                    "digest": base64_of(&Sha256::digest(payload)),
                },
                "signature": base64_of(&annotations.signature()?),
            });
            Ok(Opened {
                bundle: annotations.bundle(keyless, "messageSignature", content)?,
                payload: Some(payload.clone()),
                legacy: true,
            })
        }
        Piece::Envelope {
            envelope,
            annotations,
            ..
        } => {
            let content: Value = serde_json::from_slice(envelope)
                .map_err(|e| format!("the envelope is no JSON: {e}"))?;
            Ok(Opened {
                bundle: annotations.bundle(keyless, "dsseEnvelope", content)?,
                payload: None,
                legacy: true,
            })
        }
        Piece::Bundle { bytes, .. } => {
            let text = std::str::from_utf8(bytes).map_err(|e| format!("the bundle: {e}"))?;
            let bundle = Bundle::from_json(text);
            Ok(Opened {
                bundle: bundle.map_err(|e| format!("the bundle is malformed: {e}"))?,
                payload: None,
                legacy: false,
            })
        }
    }
}

fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// What the proofs say.
struct Proof {
    who: Who,
    times: Vec<Timestamp>,
    logged: bool,
}

fn artifact(opened: &Opened, image: Sha256Hash) -> Artifact<'_> {
    match &opened.payload {
        Some(payload) => Artifact::from_blob(payload),
        None => Artifact::from_digest(image),
    }
}

fn entries(opened: &Opened) -> &[TransparencyLogEntry] {
    &opened.bundle.verification_material.tlog_entries
}

fn by_certificate(
    opened: &Opened,
    image: Sha256Hash,
    identities: &[Identity],
    demand: &Demand,
    trust: &Trust,
) -> Told<Proof> {
    if opened.bundle.signing_certificate().is_none() {
        return Err((
            Reason::Signer,
            "it is signed with a key, not with a certificate".into(),
        ));
    }
    let mut policy = VerificationPolicy::any_identity();
    if !demand.sct {
        policy = policy.skip_sct();
    }
    if opened.legacy || demand.log != Log::Required {
        // What is skipped is the proof of inclusion, which annotations do not have. The log's
        // promise is still verified wherever its time counts.
        policy = policy.skip_tlog_unsafe();
    }
    if demand.log == Log::Required && entries(opened).is_empty() {
        return Err((Reason::Log, "no log's proof is beside it".into()));
    }
    let told = trust
        .verifier
        .verify(artifact(opened, image), &opened.bundle, &policy);
    let told = told.map_err(|e| refusal(&e))?;
    if demand.log == Log::Required && opened.legacy {
        promises(opened, trust)?;
    }
    if demand.log == Log::Stamped && stamps(opened) == 0 {
        return Err((Reason::Time, "no time-stamp is beside it".into()));
    }
    let issuer = told.issuer().unwrap_or_default().to_owned();
    let subject = told.identity().map(ToString::to_string).unwrap_or_default();
    if !identities
        .iter()
        .any(|wanted| wanted.fits(&issuer, &subject))
    {
        let wanted: Vec<_> = identities.iter().map(ToString::to_string).collect();
        let why = format!(
            "it is signed by {subject} of {issuer}, not by {}",
            wanted.join(" or ")
        );
        return Err((Reason::Signer, why));
    }
    Ok(Proof {
        who: Who::Identity { issuer, subject },
        times: told.verified_timestamps().iter().map(time).collect(),
        logged: demand.log == Log::Required,
    })
}

fn by_witnessed_key(
    opened: &Opened,
    image: Sha256Hash,
    key: &PublicKey,
    log: Log,
    trust: &Trust,
) -> Told<Proof> {
    let logged = log == Log::Required;
    if logged && entries(opened).is_empty() {
        return Err((Reason::Log, "no log's proof is beside it".into()));
    }
    if !logged && stamps(opened) == 0 {
        return Err((Reason::Time, "no time-stamp is beside it".into()));
    }
    let mut policy = PublicKeyVerificationPolicy::new(key.der.clone());
    if opened.legacy || !logged {
        policy = policy.skip_tlog_unsafe();
    }
    let told = trust
        .verifier
        .verify(artifact(opened, image), &opened.bundle, &policy);
    let told = told.map_err(|e| refusal(&e))?;
    let mut times: Vec<_> = told.verified_timestamps().iter().map(time).collect();
    if opened.legacy && logged {
        times.extend(promises(opened, trust)?);
    }
    Ok(Proof {
        who: who(key),
        times,
        logged,
    })
}

/// How many time-stamps there are; the library verifies all that there are.
fn stamps(opened: &Opened) -> usize {
    let data = &opened
        .bundle
        .verification_material
        .timestamp_verification_data;
    data.rfc3161_timestamps.len()
}

/// Checks the signature and nothing else: no log was asked for.
fn by_key(opened: &Opened, image: Sha256Hash, key: &PublicKey) -> Told<Proof> {
    use sigstore_verify::crypto::{verify_signature, verify_signature_prehashed};
    let signature = signature(&opened.bundle)?;
    let mut why = "the key has no scheme for it".to_owned();
    for scheme in key.schemes() {
        let told = match (&opened.bundle.content, &opened.payload) {
            (SignatureContent::DsseEnvelope(envelope), _) => {
                verify_signature(&key.der, &envelope.pae(), &signature, scheme)
            }
            (_, Some(payload)) => verify_signature(&key.der, payload, &signature, scheme),
            (_, None) if scheme.hash_algorithm() == Some(HashAlgorithm::Sha2256) => {
                verify_signature_prehashed(&key.der, image.as_slice(), &signature, scheme)
            }
            _ => {
                why = "a key of this kind signs no digest".into();
                continue;
            }
        };
        match told {
            Ok(()) => {
                return Ok(Proof {
                    who: who(key),
                    times: Vec::new(),
                    logged: false,
                });
            }
            Err(e) => why = e.to_string(),
        }
    }
    let why = format!("the signature is not by this key, or what is signed was changed: {why}");
    Err((Reason::Signature, why))
}

fn who(key: &PublicKey) -> Who {
    Who::Key {
        fingerprint: key.fingerprint(),
        algorithm: key.algorithm(),
    }
}

fn time(at: &jiff::Timestamp) -> Timestamp {
    Timestamp::from_micros(at.as_microsecond())
}

fn signature(bundle: &Bundle) -> Told<SignatureBytes> {
    match &bundle.content {
        SignatureContent::MessageSignature(message) => Ok(message.signature.clone()),
        SignatureContent::DsseEnvelope(envelope) => Ok(envelope.signature.sig.clone()),
        _ => Err((
            Reason::Unsupported,
            "the bundle's content is of an unknown kind".into(),
        )),
    }
}

/// Verifies the log's signature over every promise, and gives the times that it promises.
fn promises(opened: &Opened, trust: &Trust) -> Told<Vec<Timestamp>> {
    let mut times = Vec::new();
    for entry in entries(opened) {
        let refuse = |why: &str| (Reason::Log, format!("the log's promise: {why}"));
        let promise = entry.inclusion_promise.as_ref();
        let promise = promise.ok_or_else(|| refuse("it is missing"))?;
        let at = entry
            .integrated_time
            .ok_or_else(|| refuse("it has no time"))?;
        let id = Sha256Hash::try_from(entry.log_id.key_id.as_bytes());
        let id = id.map_err(|_| refuse("the log's id is malformed"))?;
        let key = trust.logs.key_at(&id, at);
        let key = key.ok_or_else(|| refuse("the log is not among the trusted ones"))?;
        // RFC 8785 of these four fields; none of the texts needs escaping.
        let signed = format!(
            r#"{{"body":"{}","integratedTime":{},"logID":"{}","logIndex":{}}}"#,
            entry.canonicalized_body.to_base64(),
            at.as_second(),
            id.to_hex(),
            entry.log_index.get(),
        );
        let promise = SignatureBytes::new(promise.signed_entry_timestamp.as_bytes().to_vec());
        let told = key.verify(signed.as_bytes(), &promise);
        told.map_err(|e| refuse(&e.to_string()))?;
        times.push(time(&at));
    }
    Ok(times)
}

/// What was signed, after the signature was verified: it must be about the image.
fn content(opened: &Opened, image: &Digest) -> Told<(Option<String>, Value)> {
    let malformed = |why: String| (Reason::Malformed, why);
    if let SignatureContent::DsseEnvelope(envelope) = &opened.bundle.content {
        if envelope.payload_type != "application/vnd.in-toto+json" {
            let why = format!("the payload is of type {:.100?}", envelope.payload_type);
            return Err((Reason::Unsupported, why));
        }
        let statement = Statement::read(envelope.payload.as_bytes()).map_err(malformed)?;
        let hex = image.as_str().strip_prefix("sha256:").unwrap_or_default();
        if !statement.about(hex) {
            return Err((
                Reason::OtherImage,
                "none of the statement's subjects is this image".into(),
            ));
        }
        return Ok((Some(statement.predicate_type), statement.value));
    }
    let Some(payload) = &opened.payload else {
        return Ok((None, Value::Null));
    };
    let value: Value = serde_json::from_slice(payload)
        .map_err(|e| malformed(format!("the signed payload is no JSON: {e}")))?;
    let text = |path: &str| value.pointer(path).and_then(Value::as_str).unwrap_or("");
    let kind = text("/critical/type");
    if !matches!(
        kind,
        "cosign container image signature" | "atomic container signature"
    ) {
        return Err((
            Reason::Unsupported,
            format!("the signed payload is of type {kind:.100?}"),
        ));
    }
    let signed = text("/critical/image/docker-manifest-digest");
    if signed != image.as_str() {
        return Err((
            Reason::OtherImage,
            format!("it signs the image {signed:.80}"),
        ));
    }
    Ok((None, value))
}

fn refusal(error: &Error) -> (Reason, String) {
    let reason = match error {
        Error::SignatureInvalid(_) | Error::Crypto(_) => Reason::Signature,
        Error::ArtifactMismatch(_) => Reason::OtherImage,
        Error::Certificate(_) => Reason::Certificate,
        Error::TransparencyLog(TransparencyLogError::IntegratedTime(_)) | Error::Timestamp(_) => {
            Reason::Time
        }
        Error::TransparencyLog(_) => Reason::Log,
        Error::IdentityMismatch { .. } | Error::IssuerMismatch { .. } => Reason::Signer,
        Error::UnsupportedBundle(_) | Error::UnsupportedArtifact(_) => Reason::Unsupported,
        _ => Reason::Malformed,
    };
    (reason, error.to_string())
}
