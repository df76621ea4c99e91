//! What the ledger records: state changes, actions and admission decisions.

use crate::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One ledger entry's body. It lives outside the Merkle tree; the tree holds a salted
/// commitment to it, so that a body can be erased and the tree still verifies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Whose ledger.
    pub tenant: TenantId,
    /// When, by the report's time for imports and the server's clock for actions.
    pub at: Timestamp,
    /// Who: a user name, `token:<name>`, or `system`.
    pub actor: String,
    /// What, dotted: `finding.opened`, `session.login`, `attestation.issued`; see
    /// the constants in [`action`].
    pub action: String,
    /// To what: a finding key, a scope id, a user name.
    pub subject: String,
    /// The particulars; never a secret.
    #[serde(default)]
    pub detail: Value,
}

/// The words of [`AuditEntry::action`].
pub mod action {
    /// An artifact was stored and queued.
    pub const ARTIFACT_RECEIVED: &str = "artifact.received";
    /// A person judged a manual control.
    pub const ASSESSMENT_RECORDED: &str = "assessment.recorded";
    /// An attestation was signed.
    pub const ATTESTATION_ISSUED: &str = "attestation.issued";
    /// Admission decisions were stored; one entry stands for a batch, by its digest.
    pub const DECISIONS_RECORDED: &str = "decisions.recorded";
    /// A failure is left knowingly.
    pub const FINDING_ACCEPTED: &str = "finding.accepted";
    /// A failure was ruled wrong.
    pub const FINDING_FALSE_POSITIVE: &str = "finding.false_positive";
    /// A failure is gone.
    pub const FINDING_FIXED: &str = "finding.fixed";
    /// A failure appeared.
    pub const FINDING_OPENED: &str = "finding.opened";
    /// A failure came back.
    pub const FINDING_REOPENED: &str = "finding.reopened";
    /// The signing keys were rotated.
    pub const KEYS_ROTATED: &str = "keys.rotated";
    /// A scan that had been asked for was called off.
    pub const SCAN_CANCELLED: &str = "scan.cancelled";
    /// A scan was imported; one entry stands for all of its passes.
    pub const SCAN_IMPORTED: &str = "scan.imported";
    /// A scan of a system was asked for.
    pub const SCAN_REQUESTED: &str = "scan.requested";
    /// A schedule was made or changed.
    pub const SCHEDULE_CHANGED: &str = "schedule.changed";
    /// A schedule asked for its scans.
    pub const SCHEDULE_RAN: &str = "schedule.ran";
    /// A schedule was removed.
    pub const SCHEDULE_REMOVED: &str = "schedule.removed";
    /// A scope was archived or brought back.
    pub const SCOPE_ARCHIVED: &str = "scope.archived";
    /// A scope was deleted.
    pub const SCOPE_DELETED: &str = "scope.deleted";
    /// A sign-in, good or refused.
    pub const SESSION_LOGIN: &str = "session.login";
    /// A sign-out.
    pub const SESSION_LOGOUT: &str = "session.logout";
    /// A system's name, labels or way were changed.
    pub const SYSTEM_CHANGED: &str = "system.changed";
    /// A system was registered.
    pub const SYSTEM_REGISTERED: &str = "system.registered";
    /// A system was removed; its scans stay.
    pub const SYSTEM_REMOVED: &str = "system.removed";
    /// An API token was made.
    pub const TOKEN_CREATED: &str = "token.created";
    /// An API token was withdrawn.
    pub const TOKEN_REVOKED: &str = "token.revoked";
    /// A user was made, changed or removed.
    pub const USER_CHANGED: &str = "user.changed";
}

/// Something that happened at run time, seen by `watch`. Filled by a later issue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What kind.
    pub kind: String,
    /// The particulars.
    pub body: Value,
}

/// An admission verdict on one request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// When.
    pub at: Timestamp,
    /// The request's uid.
    pub request: String,
    /// `CREATE`, `UPDATE`, `DELETE` or `CONNECT`.
    pub operation: String,
    /// The object's API group; empty for the core group.
    pub group: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace; empty for objects of the cluster.
    pub namespace: String,
    /// Its name; empty where the server was still to make one.
    pub name: String,
    /// Who asked.
    pub user: String,
    /// `allowed`, `denied`, `unknown` (something could not be told) or `excluded` (nothing was
    /// asked). An unknown one is never an allowed one, whatever the API server was told.
    pub outcome: String,
    /// Whether the API server was told to go on.
    pub allowed: bool,
    /// Whether nothing was to be kept anyway.
    pub dry_run: bool,
    /// From the request's arrival to its answer, in microseconds.
    pub micros: u64,
    /// Which policies judged: a digest.
    pub policies: String,
    /// Violations, with policy, constraint, message, path, value and remedy, and what could
    /// not be told.
    pub reasons: Vec<Value>,
}
