//! Bytes by digest and ledger tiles, in a folder or an S3-compatible service.

use crate::{Result, StoreError};
use bartizan_model::{Digest, TenantId};
use bytes::Bytes;
use futures::Stream;
use futures::stream::BoxStream;
use object_store::ObjectStore;
use std::sync::Arc;

/// Stored bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Their digest.
    pub digest: Digest,
    /// Their length.
    pub size: u64,
    /// Whether they were there already.
    pub known: bool,
}

/// One tenant's objects: `<tenant>/artifacts/sha256/ab/…` and `<tenant>/ledger/…`.
#[derive(Debug, Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    tenant: TenantId,
}

impl Objects {
    /// Streams bytes into a temporary object while hashing, then publishes them under their
    /// digest, once. At most `limit` bytes; `promised`, if given, must be their digest.
    pub async fn put_artifact<S, E>(
        &self,
        body: S,
        limit: u64,
        promised: Option<&Digest>,
    ) -> Result<Stored>
    where
        S: Stream<Item = std::result::Result<Bytes, E>> + Send + Unpin,
        E: std::fmt::Display,
    {
        crate::unfinished()
    }

    /// Streams stored bytes.
    pub async fn get_artifact(&self, digest: &Digest) -> Result<BoxStream<'static, Result<Bytes>>> {
        crate::unfinished()
    }

    /// Writes a ledger file such as `tile/0/000`, `tile/entries/000.p/5` or `checkpoint`,
    /// durably and whole or not at all; the same path again replaces it.
    pub async fn put_ledger(&self, path: &str, bytes: Bytes) -> Result<()> {
        crate::unfinished()
    }

    /// Reads a ledger file.
    pub async fn get_ledger(&self, path: &str) -> Result<Option<Bytes>> {
        crate::unfinished()
    }

    /// Paths of the ledger files below a prefix (`""` for all), sorted.
    pub async fn list_ledger(&self, prefix: &str) -> Result<Vec<String>> {
        crate::unfinished()
    }
}
