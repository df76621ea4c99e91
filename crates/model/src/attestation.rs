//! A signed statement of how a scope stands against a framework.

use crate::framework::Score;
use crate::{AttestationId, Digest, FrameworkId, ScopeId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

/// What is attested, before it is signed. `ledger::attest` makes a JWT of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attestation {
    /// The token's `jti`.
    pub id: AttestationId,
    /// Whose.
    pub tenant: TenantId,
    /// The token's `sub`.
    pub scope: ScopeId,
    /// Against what.
    pub framework: FrameworkId,
    /// The framework's edition.
    pub framework_version: String,
    /// Digest of the framework content that scored.
    pub framework_digest: Digest,
    /// The counts.
    pub counts: Score,
    /// passed / (passed + failed) in percent; none when nothing was judged.
    pub score: Option<f64>,
    /// Controls with a verdict in percent.
    pub coverage: Option<f64>,
    /// Digest of the evidence document: per control its status, per check its tally, the
    /// scans that were counted and the assessments with their evidence, as canonical JSON.
    pub evidence_digest: Digest,
    /// When it was issued.
    pub issued: Timestamp,
    /// When it stops counting.
    pub expires: Timestamp,
}
