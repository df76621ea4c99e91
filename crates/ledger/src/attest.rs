//! Attestations: issuing the JWT, and verifying it offline with nothing but a key set.
//!
//! The payload, spread over lines here (in the token it is canonical JSON):
//!
//! ```json
//! {"counts":{"accepted":0,"failed":1,"manual":3,"not_applicable":0,"not_assessed":0,"passed":4},
//!  "coverage":62.5,"evidence_digest":"sha256:…","exp":1803029400,
//!  "framework":{"digest":"sha256:…","id":"nist-800-53-r5","version":"5.1.1"},
//!  "iat":1795253400,"iss":"bartizan.example","jti":"a-1",
//!  "ledger":{"body":"{\"action\":\"attestation.issued\",…}","checkpoint":"bartizan.example/default\n…",
//!            "index":41,"origin":"bartizan.example/default","path":["…"],"salt":"…"},
//!  "nbf":1795253400,"score":80,"sub":"cluster:prod","tenant":"default"}
//! ```
//!
//! Before a token can be issued, its [`audit_entry`] must be in the log. The entry's subject is
//! the `jti`; its detail is the [`Attestation`] itself, from which every claim but `ledger`
//! follows (`iss` too, where the entry has `issuer`; further members are allowed). So the log
//! vouches for what the token says, and the token carries the proof; neither needs the other
//! first.
//!
//! [`verify`] checks form, key, signature, claims, time, the checkpoint's signature, inclusion
//! and the entry, and reports each by name. Times are whole seconds; a clock may be
//! [`LEEWAY_SECONDS`] behind the issuer's.

use crate::checkpoint::Checkpoint;
use crate::commit::{self, Opened, Salt};
use crate::json;
pub use crate::jws::MAX_TOKEN;
use crate::jws::{self, JwsError};
use crate::keys::{Algorithm, SigningKey};
use crate::merkle::{self, Hash};
use bartizan_model::audit::action;
use bartizan_model::framework::Score;
use bartizan_model::{Attestation, AuditEntry};
use serde::{Deserialize, Serialize};
use serde_json::Value;

mod verification;
pub use verification::{Expectations, NamedCheck, Refusal, Verification, verify};

/// How far the verifier's clock may be behind the issuer's. Expiry has no leeway.
pub const LEEWAY_SECONDS: i64 = 60;

/// The framework of a token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrameworkClaim {
    /// Its id.
    pub id: String,
    /// Its edition.
    pub version: String,
    /// Digest of the content that scored.
    pub digest: String,
}

/// Proof, within the token, that its issue was logged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerClaim {
    /// The log's name.
    pub origin: String,
    /// The signed checkpoint.
    pub checkpoint: String,
    /// Index of the `attestation.issued` entry.
    pub index: u64,
    /// Salt of the entry, in hexadecimal.
    pub salt: String,
    /// Body of the entry: canonical JSON as text.
    pub body: String,
    /// Inclusion path, in hexadecimal, from the leaf up.
    pub path: Vec<String>,
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// The scope.
    pub sub: String,
    /// When it was issued, in seconds.
    pub iat: i64,
    /// From when it counts, in seconds.
    pub nbf: i64,
    /// When it ceases to count, in seconds.
    pub exp: i64,
    /// The attestation's id.
    pub jti: String,
    /// Whose.
    pub tenant: String,
    /// Against what.
    pub framework: FrameworkClaim,
    /// passed / (passed + failed) in percent.
    pub score: Option<f64>,
    /// Controls with a verdict, in percent.
    pub coverage: Option<f64>,
    /// The counts.
    pub counts: Score,
    /// Digest of the evidence document.
    pub evidence_digest: String,
    /// Proof that the issue was logged.
    pub ledger: LedgerClaim,
}

impl Claims {
    fn of(issuer: &str, attestation: &Attestation, ledger: LedgerClaim) -> Self {
        Self {
            iss: issuer.to_owned(),
            sub: attestation.scope.to_string(),
            iat: attestation.issued.seconds(),
            nbf: attestation.issued.seconds(),
            exp: attestation.expires.seconds(),
            jti: attestation.id.to_string(),
            tenant: attestation.tenant.to_string(),
            framework: FrameworkClaim {
                id: attestation.framework.to_string(),
                version: attestation.framework_version.clone(),
                digest: attestation.framework_digest.to_string(),
            },
            score: attestation.score,
            coverage: attestation.coverage,
            counts: attestation.counts,
            evidence_digest: attestation.evidence_digest.to_string(),
            ledger,
        }
    }

    /// The first claim in which the two differ.
    fn difference(&self, other: &Self) -> Option<String> {
        if self == other {
            return None;
        }
        let members = |claims| match serde_json::to_value(claims) {
            Ok(Value::Object(members)) => members,
            _ => serde_json::Map::new(),
        };
        let (ours, theirs) = (members(self), members(other));
        let differs = |name: &&String| ours.get(*name) != theirs.get(*name);
        Some(ours.keys().find(differs).cloned().unwrap_or_default())
    }

    /// What is wrong with the numbers, if anything.
    fn incoherent(&self) -> Option<&'static str> {
        let percent = |value: Option<f64>| value.is_none_or(|v| (0.0..=100.0).contains(&v));
        if !percent(self.score) || !percent(self.coverage) {
            Some("score or coverage is not a percentage")
        } else if self.exp <= self.nbf || self.iat != self.nbf {
            Some("it does not count from its issue until later")
        } else {
            None
        }
    }
}

/// Where the `attestation.issued` entry stands in the log: what [`issue`] needs of the ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerProof {
    /// The signed checkpoint's note text.
    pub checkpoint: String,
    /// Index of the entry.
    pub index: u64,
    /// Salt of the entry.
    pub salt: Salt,
    /// Stored body of the entry.
    pub body: Vec<u8>,
    /// Inclusion path in the checkpoint's tree.
    pub path: Vec<Hash>,
}

/// Why a token cannot be issued. Whose fault: the caller, who brought parts that do not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot issue the attestation: {0}")]
pub struct IssueError(pub String);

fn refuse<E: ToString>(error: E) -> IssueError {
    IssueError(error.to_string())
}

/// The audit entry that must be in the log before the token can be issued. Its subject is the
/// attestation's id, its detail the attestation and who issues it.
pub fn audit_entry(
    issuer: &str,
    attestation: &Attestation,
    actor: &str,
) -> Result<AuditEntry, IssueError> {
    if let Some(why) = Claims::of(issuer, attestation, LedgerClaim::default()).incoherent() {
        return Err(refuse(why));
    }
    let mut detail = serde_json::to_value(attestation).map_err(refuse)?;
    if let Some(members) = detail.as_object_mut() {
        members.insert("issuer".to_owned(), issuer.into());
    }
    Ok(AuditEntry {
        tenant: attestation.tenant.clone(),
        at: attestation.issued,
        actor: actor.to_owned(),
        action: action::ATTESTATION_ISSUED.to_owned(),
        subject: attestation.id.to_string(),
        detail,
    })
}

/// Issues the token of an attestation whose [`audit_entry`] is in the log. Everything is
/// checked that [`verify`] will check, but for the checkpoint's signature.
pub fn issue(
    issuer: &str,
    attestation: &Attestation,
    proof: &LedgerProof,
    key: &SigningKey,
) -> Result<String, IssueError> {
    if key.info().log_origin.is_some() || !key.info().active() {
        return Err(refuse("the key is retired, or a log's"));
    }
    let checkpoint = Checkpoint::read_unverified(proof.checkpoint.as_bytes()).map_err(refuse)?;
    let claims = Claims::of(
        issuer,
        attestation,
        LedgerClaim {
            origin: checkpoint.origin.clone(),
            checkpoint: proof.checkpoint.clone(),
            index: proof.index,
            salt: proof.salt.hex(),
            body: String::from_utf8(proof.body.clone()).map_err(refuse)?,
            path: proof.path.iter().map(Hash::hex).collect(),
        },
    );
    if let Some(why) = claims.incoherent() {
        return Err(refuse(why));
    }
    let leaf = commit::commit_body(&proof.salt, &proof.body).leaf();
    merkle::verify_inclusion(&leaf, proof.index, &checkpoint.head, &proof.path).map_err(refuse)?;
    check_entry(&claims, &proof.salt).map_err(IssueError)?;
    let payload = json::canonical_of(&claims).map_err(refuse)?;
    let token = jws::sign(key, &payload).map_err(refuse)?;
    if token.len() > MAX_TOKEN {
        return Err(refuse("the token would be too long"));
    }
    Ok(token)
}

/// Checks that the entry within the claims is an audit entry about these very claims.
fn check_entry(claims: &Claims, salt: &Salt) -> Result<(), String> {
    let body = claims.ledger.body.as_bytes();
    let commitment = commit::commit_body(salt, body);
    let entry = match commit::open(commitment.as_bytes(), Some(salt), Some(body)) {
        Ok(Opened::Body(entry)) => entry,
        Ok(Opened::Erased) => return Err("the entry's body was erased".to_owned()),
        Err(error) => return Err(error.to_string()),
    };
    for (what, same) in [
        ("action", entry.action == action::ATTESTATION_ISSUED),
        ("subject", entry.subject == claims.jti),
        ("tenant", entry.tenant.as_str() == claims.tenant),
        ("time", entry.at.seconds() == claims.iat),
    ] {
        if !same {
            return Err(format!("the logged entry's {what} is not the token's"));
        }
    }
    let issuer = entry.detail.get("issuer").cloned();
    if issuer.is_some_and(|issuer| issuer != claims.iss.as_str()) {
        return Err("the logged iss is not the token's".to_owned());
    }
    let logged: Attestation = json::typed(entry.detail)
        .map_err(|error| format!("the logged detail is not an attestation: {error}"))?;
    let logged = Claims::of(&claims.iss, &logged, claims.ledger.clone());
    match logged.difference(claims) {
        None => Ok(()),
        Some(name) => Err(format!("the logged {name} is not the token's")),
    }
}

/// Takes a token from a file: at most one final newline is not part of it.
pub fn token_of_file(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(b"\n").unwrap_or(bytes)
}

#[cfg(test)]
#[path = "attest_tests.rs"]
mod tests;
