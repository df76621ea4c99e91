//! Components of assets, a tenant's own: distinct ones once, who has them, what advisories say of
//! them, what was reported of it, and what is to be derived again.
//!
//! Links, matches and marks change together in one transaction, so that a crash loses no
//! derivation: a mark stays until what it stands for was reported.

mod browse;
mod matches;
mod own;
mod pending;
mod read;
mod write;

pub use browse::{CheckState, HolderRow, InventoryName, PresentRow, SaidRow};
pub use matches::{Cursor, MatchRow, Matched};
pub use own::InventorySize;
pub use pending::{Hit, Pending};
pub use read::{AffectedRow, FixRow, Holder};
pub(crate) use write::forget_scope;

use bartizan_model::{Asset, Component, Timestamp};
use sha2::{Digest as _, Sha256};

/// An asset that has an inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentAsset {
    /// The asset.
    pub asset: Asset,
    /// Its scope, `cluster:prod`.
    pub scope: String,
    /// What took the inventory.
    pub source: String,
    /// What of it could not be read, in words.
    pub unread: Vec<String>,
}

/// One of an asset's components, with the names under which advisories may speak of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentRow {
    /// The component, with where it was found.
    pub component: Component,
    /// (ecosystem, package), the latter the way the ecosystem compares names.
    pub keys: Vec<(String, String)>,
}

/// A stored component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its number within the tenant.
    pub id: i64,
    /// What it is. Without an asset asked for, `found` is empty and `target` says nothing.
    pub component: Component,
}

/// An asset as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAsset {
    /// Its number within the tenant's inventories.
    pub id: i64,
    /// What was said of it.
    pub asset: ComponentAsset,
    /// When its inventory was taken in.
    pub at: Timestamp,
}

/// What a replacement came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replaced {
    /// Links that were not there.
    pub added: u64,
    /// Links that went.
    pub removed: u64,
    /// Links that stay.
    pub kept: u64,
    /// Components that no asset had before.
    pub fresh: u64,
}

/// 16 bytes that tell one text from another.
pub(crate) fn short(parts: &[&str]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(16).copied().collect()
}
