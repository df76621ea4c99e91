//! Proofs from stored tiles: fetched first, computed and checked after.

use super::keys::Keys;
use bartizan_ledger::checkpoint::CheckpointError;
use bartizan_ledger::commit::{self, CommitError, Salt};
use bartizan_ledger::keys::KeyError;
use bartizan_ledger::proof::{self, TlogProof, TlogProofError};
use bartizan_ledger::tiles::MemoryTiles;
use bartizan_ledger::{Hash, TreeHead};
use bartizan_store::audit::{AuditRow, LedgerState};
use bartizan_store::objects::Objects;
use bartizan_store::{StoreError, TenantStore};
use futures::{StreamExt, TryStreamExt};

/// Tiles read or written at once.
pub(super) const PARALLEL: usize = 8;

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Stored tiles, checkpoint or body do not fit together: damage.
    #[error(transparent)]
    Proof(#[from] TlogProofError),
    /// The stored body cannot be committed to: damage.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The log's key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The state's root is not a hash: damage.
    #[error("the ledger's stored root is not 32 bytes")]
    Root,
}

/// An included entry with everything that proves it.
#[derive(Debug, Clone)]
pub struct Proven {
    /// Path, index and checkpoint.
    pub proof: TlogProof,
    /// The tree.
    pub head: TreeHead,
    /// Its leaf's hash, from salt and body where these are kept.
    pub leaf: Option<Hash>,
    /// Its canonical body; none once erased.
    pub body: Option<Vec<u8>>,
    /// Its salt.
    pub salt: Salt,
    /// Whether the proof leads from the leaf to the signed root.
    pub verified: bool,
}

/// The head of a stored state.
pub fn head_of(state: &LedgerState) -> Result<TreeHead, ProveError> {
    let root: [u8; 32] = state
        .root
        .as_slice()
        .try_into()
        .map_err(|_| ProveError::Root)?;
    Ok(TreeHead {
        size: state.size,
        root: Hash(root),
    })
}

/// Fetches ledger files; where a partial tile is gone, the full one that replaced it.
pub async fn fetch(objects: &Objects, paths: Vec<String>) -> Result<MemoryTiles, StoreError> {
    let files: Vec<(String, Vec<u8>)> = futures::stream::iter(paths)
        .map(|path| async move {
            if let Some(bytes) = objects.get_ledger(&path).await? {
                return Ok::<_, StoreError>(Some((path, bytes.to_vec())));
            }
            let Some((full, _)) = path.rsplit_once(".p/") else {
                return Ok(None);
            };
            let bytes = objects.get_ledger(full).await?;
            Ok(bytes.map(|bytes| (full.to_owned(), bytes.to_vec())))
        })
        .buffer_unordered(PARALLEL)
        .try_filter_map(|found| async move { Ok(found) })
        .try_collect()
        .await?;
    let mut tiles = MemoryTiles::default();
    tiles.store(files);
    Ok(tiles)
}

/// Proves an entry in the newest signed tree; none while it waits.
pub async fn prove(
    tenant: &TenantStore,
    keys: &Keys,
    row: &AuditRow,
) -> Result<Option<Proven>, ProveError> {
    let Some(index) = row.index else {
        return Ok(None);
    };
    let Some(state) = tenant.ledger_state().await? else {
        return Ok(None);
    };
    let head = head_of(&state)?;
    if head.size <= index {
        return Ok(None);
    }
    let paths = proof::inclusion_paths(index, head.size).map_err(TlogProofError::from)?;
    let tiles = fetch(&tenant.objects(), paths).await?;
    let path = proof::inclusion(&tiles, index, head.size)?;
    let salt = Salt(row.salt);
    let committed = row
        .entry
        .as_ref()
        .map(|entry| commit::commit(&salt, entry))
        .transpose()?;
    let leaf = committed.as_ref().map(|c| c.commitment.leaf());
    let body = committed.map(|c| c.body);
    let proof = TlogProof {
        extra: None,
        index,
        path,
        checkpoint: state.checkpoint,
    };
    let origin = keys.origin(tenant.id());
    let verifier = keys.ring().log_verifier(&origin)?;
    let verified = leaf.is_some_and(|leaf| proof.verify(&leaf, &verifier).is_ok());
    Ok(Some(Proven {
        proof,
        head,
        leaf,
        body,
        salt,
        verified,
    }))
}
