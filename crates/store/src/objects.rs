//! Bytes by digest and ledger tiles, in a folder or an S3-compatible service.

use crate::{Result, StoreError, fault};
use bartizan_model::{Digest, TenantId};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart};
use sha2::{Digest as _, Sha256};
use std::hash::{BuildHasher, Hasher};
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

/// Opens a folder or, with the feature `s3`, `s3://bucket/prefix`.
pub(crate) fn open(address: &str) -> Result<Arc<dyn ObjectStore>> {
    if address.starts_with("s3://") {
        return open_s3(address);
    }
    let folder = address.strip_prefix("file://").unwrap_or(address);
    if folder.contains("://") {
        return Err(StoreError::Config(format!(
            "the object address {folder:?} is neither a folder nor s3://bucket/prefix"
        )));
    }
    std::fs::create_dir_all(folder)
        .map_err(|e| StoreError::Config(format!("the object folder {folder}: {e}")))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
            .map_err(|e| StoreError::Config(format!("the object folder {folder}: {e}")))?;
    }
    // What a commit refers to must be on the disk before the commit is.
    Ok(Arc::new(
        LocalFileSystem::new_with_prefix(folder)?.with_fsync(true),
    ))
}

#[cfg(feature = "s3")]
fn open_s3(address: &str) -> Result<Arc<dyn ObjectStore>> {
    let rest = address.trim_start_matches("s3://");
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let store = object_store::aws::AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .build()?;
    Ok(Arc::new(object_store::prefix::PrefixStore::new(
        store,
        Path::from(prefix),
    )))
}

#[cfg(not(feature = "s3"))]
fn open_s3(address: &str) -> Result<Arc<dyn ObjectStore>> {
    Err(StoreError::Config(format!(
        "{address}: this bartizan was built without S3; build it with the feature `s3`"
    )))
}

impl Objects {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, tenant: TenantId) -> Self {
        Self { store, tenant }
    }

    /// Where bytes of a digest are kept. Only `sha256:` and 64 lower-case hex digits make a
    /// path, so that no digest can name anything else.
    fn artifact_path(&self, digest: &Digest) -> Result<Path> {
        let hex = digest
            .as_str()
            .strip_prefix("sha256:")
            .filter(|h| h.len() == 64 && h.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
            .ok_or_else(|| {
                StoreError::Invalid(format!("{digest} is no sha256: digest in lower-case hex"))
            })?;
        let (head, _) = hex.split_at(2);
        Ok(Path::from_iter([
            self.tenant_part()?,
            "artifacts",
            "sha256",
            head,
            hex,
        ]))
    }

    /// Tenant ids may consist of dots; as a path part these would be something else.
    fn tenant_part(&self) -> Result<&str> {
        let id = self.tenant.as_str();
        if id.bytes().all(|b| b == b'.') {
            return Err(StoreError::Invalid(format!(
                "no tenant can be called {id:?}"
            )));
        }
        Ok(id)
    }

    /// Where a ledger file is kept; only the characters of tile paths are allowed.
    fn ledger_path(&self, path: &str) -> Result<Path> {
        let fine = path.split('/').all(|part| {
            !part.is_empty()
                && !part.starts_with('.')
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        });
        if !fine || path.len() > 512 {
            return Err(StoreError::Invalid(format!(
                "{:?} is no path of a ledger file",
                path.chars().take(80).collect::<String>()
            )));
        }
        Ok(Path::from_iter(
            [self.tenant_part()?, "ledger"]
                .into_iter()
                .chain(path.split('/')),
        ))
    }

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
        let temporary = Path::from_iter([self.tenant_part()?, "incoming", &unique_name()]);
        let outcome = self.receive(&temporary, body, limit, promised).await;
        if !matches!(&outcome, Ok(stored) if !stored.known) {
            // Best effort: a leftover is harmless, and the error above matters more.
            let _ = self.store.delete(&temporary).await;
        }
        outcome
    }

    async fn receive<S, E>(
        &self,
        temporary: &Path,
        mut body: S,
        limit: u64,
        promised: Option<&Digest>,
    ) -> Result<Stored>
    where
        S: Stream<Item = std::result::Result<Bytes, E>> + Send + Unpin,
        E: std::fmt::Display,
    {
        let mut hash = Sha256::new();
        let mut size = 0_u64;
        let upload: Box<dyn MultipartUpload> = self.store.put_multipart(temporary).await?;
        let mut upload = WriteMultipart::new(upload);
        let received: Result<()> = async {
            while let Some(bytes) = body.next().await {
                let bytes = bytes.map_err(|e| StoreError::Upload(e.to_string()))?;
                size = size.saturating_add(bytes.len() as u64);
                if size > limit {
                    return Err(StoreError::TooLarge { limit });
                }
                hash.update(&bytes);
                // At most two parts in flight: a slow disk slows the sender, not the memory.
                upload.wait_for_capacity(2).await?;
                upload.put(bytes);
            }
            let digest = format!("sha256:{}", hex::encode(hash.clone().finalize()));
            match promised {
                Some(promised) if promised.as_str() != digest => Err(StoreError::DigestMismatch {
                    promised: promised.to_string(),
                    actual: digest,
                }),
                _ => Ok(()),
            }
        }
        .await;
        if let Err(error) = received {
            let _ = upload.abort().await;
            return Err(error);
        }
        upload.finish().await?;
        let digest = Digest::new(format!("sha256:{}", hex::encode(hash.finalize())))?;
        let path = self.artifact_path(&digest)?;
        let known = match self.store.head(&path).await {
            Ok(meta) => meta.size == size,
            Err(object_store::Error::NotFound { .. }) => false,
            Err(error) => return Err(error.into()),
        };
        if !known {
            fault::point("object.before_publish");
            self.store.rename(temporary, &path).await?;
            fault::point("object.after_publish");
        }
        Ok(Stored {
            digest,
            size,
            known,
        })
    }

    /// Streams stored bytes.
    pub async fn get_artifact(&self, digest: &Digest) -> Result<BoxStream<'static, Result<Bytes>>> {
        let path = self.artifact_path(digest)?;
        match self.store.get(&path).await {
            Ok(found) => Ok(found.into_stream().map_err(StoreError::from).boxed()),
            Err(object_store::Error::NotFound { .. }) => Err(StoreError::NotFound {
                what: "artifact",
                id: digest.to_string(),
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes a ledger file such as `tile/0/000`, `tile/entries/000.p/5` or `checkpoint`,
    /// durably and whole or not at all; the same path again replaces it.
    pub async fn put_ledger(&self, path: &str, bytes: Bytes) -> Result<()> {
        let path = self.ledger_path(path)?;
        fault::point("ledger.tile.before_write");
        self.store.put(&path, PutPayload::from_bytes(bytes)).await?;
        fault::point("ledger.tile.after_write");
        Ok(())
    }

    /// Reads a ledger file.
    pub async fn get_ledger(&self, path: &str) -> Result<Option<Bytes>> {
        match self.store.get(&self.ledger_path(path)?).await {
            Ok(found) => Ok(Some(found.bytes().await?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Paths of the ledger files below a prefix (`""` for all), sorted.
    pub async fn list_ledger(&self, prefix: &str) -> Result<Vec<String>> {
        let root = Path::from_iter([self.tenant_part()?, "ledger"]);
        let below = if prefix.is_empty() {
            root.clone()
        } else {
            self.ledger_path(prefix.trim_end_matches('/'))?
        };
        let mut found: Vec<String> = self
            .store
            .list(Some(&below))
            .map_ok(|meta| {
                meta.location
                    .prefix_match(&root)
                    .map(|parts| {
                        parts
                            .map(|p| p.as_ref().to_owned())
                            .collect::<Vec<_>>()
                            .join("/")
                    })
                    .unwrap_or_default()
            })
            .try_collect()
            .await?;
        found.sort();
        Ok(found)
    }
}

/// A name for a temporary object that no other upload has. Not a secret and not kept.
fn unique_name() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_u64(count);
    format!("{}-{count}-{:016x}", std::process::id(), hasher.finish())
}
