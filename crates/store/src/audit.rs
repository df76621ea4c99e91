//! Audit entries, pending and sequenced, and the state of the ledger's sequencer.

use crate::{Act, Page, PageRequest, Result, StoreError, TenantStore};
use bartizan_model::{AuditEntry, Timestamp};

/// A stored audit entry.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRow {
    /// Its id: derived from scan and key for imports, from the salt for actions.
    pub entry_id: String,
    /// The body; none once it was erased.
    pub entry: Option<AuditEntry>,
    /// The commitment's salt.
    pub salt: [u8; 32],
    /// Its leaf index; none while pending.
    pub index: Option<u64>,
}

/// Which entries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditFilter {
    /// Text that action, subject, actor or detail contains, ASCII case aside.
    pub q: Option<String>,
    /// Exact actor.
    pub actor: Option<String>,
    /// Exact action.
    pub action: Option<String>,
    /// Exact subject.
    pub subject: Option<String>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
}

/// An entry that waits for its index.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingEntry {
    /// What [`TenantStore::commit_ledger`] takes; in order.
    pub seq: i64,
    /// Its id.
    pub entry_id: String,
    /// The commitment's salt.
    pub salt: [u8; 32],
    /// The body.
    pub entry: AuditEntry,
}

/// How far the ledger is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerState {
    /// Leaves.
    pub size: u64,
    /// Root hash.
    pub root: Vec<u8>,
    /// The signed checkpoint, as text.
    pub checkpoint: String,
    /// When it was signed.
    pub at: Timestamp,
}

impl TenantStore {
    /// Appends one entry on its own, such as a refused sign-in; returns its id.
    pub async fn append_audit(
        &self,
        act: &Act,
        action: &str,
        subject: &str,
        detail: serde_json::Value,
    ) -> Result<String> {
        crate::unfinished()
    }

    /// Entries, newest first. A rare `q` may end a page early, with a cursor that goes on.
    pub async fn audit(&self, filter: &AuditFilter, page: &PageRequest) -> Result<Page<AuditRow>> {
        crate::unfinished()
    }

    /// One entry.
    pub async fn audit_entry(&self, entry_id: &str) -> Result<Option<AuditRow>> {
        crate::unfinished()
    }

    /// The entry of a leaf.
    pub async fn audit_at(&self, index: u64) -> Result<Option<AuditRow>> {
        crate::unfinished()
    }

    /// Forgets the body of a sequenced entry; its commitment stays in the tree.
    pub async fn erase_audit(&self, entry_id: &str) -> Result<()> {
        crate::unfinished()
    }

    /// Entries without an index, oldest first.
    pub async fn pending_audit(&self, limit: u32) -> Result<Vec<PendingEntry>> {
        crate::unfinished()
    }

    /// How many entries have no index.
    pub async fn pending_audit_count(&self) -> Result<u64> {
        crate::unfinished()
    }

    /// The ledger's state; none before the first commit.
    pub async fn ledger_state(&self) -> Result<Option<LedgerState>> {
        crate::unfinished()
    }

    /// Gives `entries` (their `seq`, in order) the indices from the expected size on and
    /// replaces the state, if it still is `expected`; else [`StoreError::Fenced`], and two
    /// sequencers cannot fork. Tiles must be written before. `entries` may be empty for a
    /// fresh checkpoint of the same tree.
    pub async fn commit_ledger(
        &self,
        expected: Option<&LedgerState>,
        next: &LedgerState,
        entries: &[i64],
    ) -> Result<()> {
        crate::unfinished()
    }
}
