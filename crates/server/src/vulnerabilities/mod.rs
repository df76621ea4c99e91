//! What is known of vulnerabilities: records into the store, and everything about one out of it.

pub mod history;
pub mod rows;
pub mod whole;

pub use history::{Entry, History, history};
pub use whole::{Whole, whole};

use bartizan_model::Timestamp;
use bartizan_store::vulnerabilities::{Applied, Stored};
use bartizan_store::{Store, StoreError};
use bartizan_vuln::Record;

/// Applies records, all or none. The same record again changes nothing; an older one never
/// replaces a newer one.
pub async fn apply(
    store: &Store,
    records: &[Record],
    at: Timestamp,
) -> Result<Applied, StoreError> {
    let changes = rows::changes(records)?;
    store.vulnerabilities().apply(changes, at).await
}

/// A stored record as what it is: `None` where the feed withdrew it.
pub fn record(stored: &Stored) -> Result<Option<Record>, StoreError> {
    let Some(bytes) = &stored.bytes else {
        return Ok(None);
    };
    Record::decode(bytes)
        .map(Some)
        .map_err(|e| StoreError::Corrupt(format!("{}: {e}", stored.key)))
}
