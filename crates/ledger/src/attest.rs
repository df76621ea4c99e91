//! Attestations: issuing the JWT, and verifying it offline with nothing but a key set.

use crate::commit::Salt;
use crate::jwks::Jwks;
use crate::keys::SigningKey;
use crate::merkle::Hash;
use bartizan_model::framework::Score;
use bartizan_model::{Attestation, AuditEntry, Digest, Timestamp};
use serde::{Deserialize, Serialize};

/// The longest token read.
pub const MAX_TOKEN: usize = 64 * 1024;

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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

/// Why a token cannot be issued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot issue the attestation: {0}")]
pub struct IssueError(pub String);

/// The one reason for which a token is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Longer than [`MAX_TOKEN`].
    #[error("the token is longer than {MAX_TOKEN} bytes")]
    Oversize,
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamedCheck {
    /// Which: `form`, `key`, `signature`, `time` and so on.
    pub name: &'static str,
    /// Whether it held. What was not reached did not hold.
    pub ok: bool,
    /// What was found.
    pub detail: String,
}

/// Everything that verification found.
#[derive(Debug, Clone, PartialEq)]
pub struct Verification {
    /// What was checked, in order.
    pub checks: Vec<NamedCheck>,
    /// What the token says, once its signature holds; not to be relied on if `refusal` is set.
    pub claims: Option<Claims>,
    /// The first reason to refuse; none if the token is good.
    pub refusal: Option<Refusal>,
}

impl Verification {
    /// Whether every check held.
    pub fn valid(&self) -> bool {
        self.refusal.is_none() && self.claims.is_some() && self.checks.iter().all(|c| c.ok)
    }
}

/// What the verifier knows and wants beyond the token.
#[derive(Debug, Clone, Copy)]
pub struct Expectations<'a> {
    /// The time at which the token has to count.
    pub now: Timestamp,
    /// The evidence document, whose digest must be the attested one.
    pub evidence: Option<&'a [u8]>,
    /// The issuer it must be from.
    pub issuer: Option<&'a str>,
    /// The scope it must be about.
    pub scope: Option<&'a str>,
    /// The framework it must be about.
    pub framework: Option<&'a str>,
}

impl Expectations<'_> {
    /// Nothing but the time.
    pub fn at(now: Timestamp) -> Self {
        Self {
            now,
            evidence: None,
            issuer: None,
            scope: None,
            framework: None,
        }
    }
}

/// The audit entry that must be in the log before the token can be issued. Its subject is the
/// attestation's id; its detail binds every other claim by digest.
pub fn audit_entry(
    issuer: &str,
    attestation: &Attestation,
    actor: &str,
) -> Result<AuditEntry, IssueError> {
    let _ = (issuer, attestation, actor, Digest::of(b""));
    Err(IssueError("unfinished".to_owned()))
}

/// Issues the token of an attestation whose [`audit_entry`] is in the log.
pub fn issue(
    issuer: &str,
    attestation: &Attestation,
    proof: &LedgerProof,
    key: &SigningKey,
) -> Result<String, IssueError> {
    let _ = (issuer, attestation, proof, key);
    Err(IssueError("unfinished".to_owned()))
}

/// Takes a token from a file: at most one final newline is not part of it.
pub fn token_of_file(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(b"\n").unwrap_or(bytes)
}

/// Verifies a token offline.
pub fn verify(token: &[u8], jwks: &Jwks, expect: &Expectations<'_>) -> Verification {
    let _ = (token, jwks, expect);
    Verification {
        checks: Vec::new(),
        claims: None,
        refusal: Some(Refusal::Oversize),
    }
}
