//! Gives pending audit entries their places in the Merkle log.
//!
//! A round: take the oldest pending entries, commit to each, append, write the tiles, sign a
//! checkpoint, and in one compare-and-swap assign the indices and replace the ledger's state.
//!
//! A round that ends anywhere before the swap is repeated with the same bytes, as the
//! entries, their salts and their order are stored: an entry that becomes visible later never
//! comes before one that was visible. So of two sequencers at work at once, both write the
//! same tiles and one wins the swap; the other begins anew. The public
//! `checkpoint` file is written last and, when a crash left an older one, at the next start.

use super::keys::{Keys, KeysError};
use super::proof::{self, PARALLEL, ProveError};
use bartizan_ledger::checkpoint::{Checkpoint, CheckpointError};
use bartizan_ledger::commit::{self, CommitError, Salt};
use bartizan_ledger::keys::KeyError;
use bartizan_ledger::log::{LogError, RightEdge, append_paths};
use bartizan_ledger::note::NoteError;
use bartizan_model::Timestamp;
use bartizan_store::audit::LedgerState;
use bartizan_store::{StoreError, TenantStore};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use std::sync::Arc;

/// Entries in one round.
pub const BATCH: u32 = 1000;

/// Why a round failed.
#[derive(Debug, thiserror::Error)]
pub enum SequencerError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored tiles are not the tree that the state names: damage; nothing is signed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The stored state is damaged.
    #[error(transparent)]
    Prove(#[from] ProveError),
    /// An entry cannot be committed to.
    #[error("audit entry {entry_id}: {error}")]
    Commit {
        /// Which.
        entry_id: String,
        /// Why.
        error: CommitError,
    },
    /// Signing.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Signing.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The keys.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The keyring.
    #[error(transparent)]
    Keys(#[from] KeysError),
}

/// What a round did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// Nothing was pending.
    Idle,
    /// So many entries have their index now.
    Sequenced(usize),
    /// Another sequencer was first; nothing was assigned.
    Lost,
}

/// One tenant's sequencer.
#[derive(Debug)]
pub struct Sequencer {
    tenant: TenantStore,
    keys: Arc<Keys>,
    /// State and right edge as of the last round, unless that failed.
    at: Option<(Option<LedgerState>, RightEdge)>,
    /// Whether the public checkpoint is known to be the state's.
    published: bool,
}

impl Sequencer {
    /// A sequencer for one tenant.
    pub fn new(tenant: TenantStore, keys: Arc<Keys>) -> Self {
        Self {
            tenant,
            keys,
            at: None,
            published: false,
        }
    }

    /// Rounds until nothing is pending; returns how many entries were sequenced.
    pub async fn drain(&mut self, now: Timestamp) -> Result<usize, SequencerError> {
        let mut sequenced = 0;
        loop {
            match self.round(now, BATCH).await? {
                Round::Idle => return Ok(sequenced),
                Round::Sequenced(n) => sequenced += n,
                Round::Lost => {}
            }
        }
    }

    /// One round of at most `batch` entries.
    pub async fn round(&mut self, now: Timestamp, batch: u32) -> Result<Round, SequencerError> {
        // Taken out, so that every early return forgets it.
        let (state, mut edge) = match self.at.take() {
            Some(known) => known,
            None => self.load().await?,
        };
        let pending = self.tenant.pending_audit(batch).await?;
        if pending.is_empty() {
            if !self.published {
                self.publish_stored().await?;
            }
            self.at = Some((state, edge));
            return Ok(Round::Idle);
        }
        // Were the state another's by now, these would not be the entries that follow on it,
        // and writing them would spoil tiles that the other has signed.
        if self.tenant.ledger_state().await? != state {
            return Ok(Round::Lost);
        }
        let mut leaves = Vec::with_capacity(pending.len());
        let mut seqs = Vec::with_capacity(pending.len());
        for entry in &pending {
            let committed = commit::commit(&Salt(entry.salt), &entry.entry).map_err(|error| {
                SequencerError::Commit {
                    entry_id: entry.entry_id.clone(),
                    error,
                }
            })?;
            leaves.push(committed.commitment);
            seqs.push(entry.seq);
        }
        let append = edge.append(&leaves)?;
        let origin = self.keys.ensure_log_key(self.tenant.id(), now).await?;
        let head = append.head();
        let checkpoint = {
            let ring = self.keys.ring();
            Checkpoint::new(&origin, head).sign(&ring.log_signer(&origin)?)?
        };
        let objects = self.tenant.objects();
        futures::stream::iter(append.writes)
            .map(|(path, bytes)| {
                let objects = &objects;
                async move { objects.put_ledger(&path, Bytes::from(bytes)).await }
            })
            .buffer_unordered(PARALLEL)
            .try_collect::<()>()
            .await?;
        let next = LedgerState {
            size: head.size,
            root: head.root.0.to_vec(),
            checkpoint,
            at: now,
        };
        match self
            .tenant
            .commit_ledger(state.as_ref(), &next, &seqs)
            .await
        {
            Ok(()) => {}
            Err(StoreError::Fenced(_)) => return Ok(Round::Lost),
            Err(error) => return Err(error.into()),
        }
        self.published = false;
        self.publish(&next).await?;
        self.at = Some((Some(next), edge));
        Ok(Round::Sequenced(seqs.len()))
    }

    /// State and right edge as stored, checked against each other.
    async fn load(&self) -> Result<(Option<LedgerState>, RightEdge), SequencerError> {
        let Some(state) = self.tenant.ledger_state().await? else {
            return Ok((None, RightEdge::empty()));
        };
        let head = proof::head_of(&state)?;
        let tiles = proof::fetch(&self.tenant.objects(), append_paths(head.size)).await?;
        let edge = RightEdge::load(&tiles, &head)?;
        Ok((Some(state), edge))
    }

    async fn publish(&mut self, state: &LedgerState) -> Result<(), StoreError> {
        let text = Bytes::from(state.checkpoint.clone());
        self.tenant.objects().put_ledger("checkpoint", text).await?;
        self.published = true;
        Ok(())
    }

    /// Writes the public checkpoint where a crash left an older one.
    async fn publish_stored(&mut self) -> Result<(), StoreError> {
        if let Some(state) = self.tenant.ledger_state().await? {
            let public = self.tenant.objects().get_ledger("checkpoint").await?;
            if public.is_none_or(|bytes| bytes != state.checkpoint.as_bytes()) {
                self.publish(&state).await?;
            }
        }
        self.published = true;
        Ok(())
    }
}
