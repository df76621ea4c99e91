//! The consumer's end: records into the store.

use crate::metrics::CVE_APPLIED;
use crate::state::Store;
use bartizan_model::Timestamp;
use bartizan_store::StoreError;
use bartizan_stream::consume::{Applied, Apply, ApplyError};
use bartizan_vuln::record::Record;
use tokio::runtime::Handle;

/// The group of those who apply to the store.
pub const GROUP: &str = "store";

/// Applies records to a store, from a thread that may wait.
pub struct StoreApply<'a> {
    store: &'a Store,
    handle: &'a Handle,
    now: &'a dyn Fn() -> Timestamp,
}

impl<'a> StoreApply<'a> {
    /// Of a store, by a runtime.
    pub fn new(store: &'a Store, handle: &'a Handle, now: &'a dyn Fn() -> Timestamp) -> Self {
        Self { store, handle, now }
    }
}

impl Apply for StoreApply<'_> {
    fn apply(&self, records: &[Record]) -> Result<Applied, ApplyError> {
        let at = (self.now)();
        let applied = self
            .handle
            .block_on(crate::vulnerabilities::apply(self.store, records, at))
            .map_err(why)?;
        Ok(Applied {
            inserted: applied.inserted,
            changed: applied.changed,
            unchanged: applied.unchanged,
            stale: applied.stale,
            dead: 0,
        })
    }
}

/// Whose fault it is decides whether the same record is tried again. An outage must never be
/// taken for a record's fault: it would empty the stream into the dead letters.
fn why(error: StoreError) -> ApplyError {
    let never = error.is_about_data()
        || matches!(
            error,
            StoreError::Invalid(_)
                | StoreError::Report(_)
                | StoreError::TooLarge { .. }
                | StoreError::Corrupt(_)
        );
    if never {
        ApplyError::Never(error.to_string())
    } else {
        ApplyError::Later(error.to_string())
    }
}

/// Counts what was applied.
pub(super) fn count(applied: &Applied) {
    for (outcome, n) in [
        ("inserted", applied.inserted),
        ("changed", applied.changed),
        ("unchanged", applied.unchanged),
        ("stale", applied.stale),
        ("dead", applied.dead),
    ] {
        metrics::counter!(CVE_APPLIED, "outcome" => outcome).increment(n);
    }
}
