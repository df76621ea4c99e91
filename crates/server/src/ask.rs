//! The index of records that questions are asked of: built from the store, kept up to date from
//! its changes, one a process in its data folder.

use crate::state::AppState;
use crate::vulnerabilities::record;
use bartizan_ask::answer::{Answer, Chat, Event, RECORDS, respond};
use bartizan_ask::index::Change;
use bartizan_ask::own::Own;
use bartizan_ask::retrieve::{World, retrieve};
use bartizan_ask::vectors::{self, Embedding};
use bartizan_ask::{AskError, Document, Index, Question};
use bartizan_model::TenantId;
use bartizan_store::vulnerabilities::{RecordKind, Stored};
use bartizan_store::{Store, StoreError};
use bartizan_vuln::record::Record;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

/// How often the store is asked what changed.
const POLL: Duration = Duration::from_secs(3);
/// Changes that are applied at once.
const CHUNK: u32 = 2_000;
/// Records whose words are learned; later ones use what was learned.
const LEARNED: usize = 60_000;
/// Fewer records than this teach nothing; the index waits for more, but not for ever.
const PATIENCE: u32 = 3;
/// Questions at work at once; each keeps a core busy for some milliseconds, or waits for a model.
const SLOTS: usize = 8;

/// The index, and who may use it.
pub struct Asker {
    folder: PathBuf,
    /// Makes the vectors; none has them learned.
    embedding: Option<Arc<dyn Embedding>>,
    index: Mutex<Option<Arc<Index>>>,
    first: Notify,
    /// Questions at work.
    pub slots: Arc<Semaphore>,
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskFailure {
    /// There are no records yet, or the index is being built.
    #[error("there is no index of records yet")]
    NotReady,
    /// The index.
    #[error(transparent)]
    Ask(#[from] AskError),
}

#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("a thread ended badly: {0}")]
    Thread(#[from] tokio::task::JoinError),
}

impl Asker {
    /// Over a folder; nothing is read yet.
    pub fn new(folder: PathBuf, embedding: Option<Arc<dyn Embedding>>) -> Self {
        Self {
            folder,
            embedding,
            index: Mutex::new(None),
            first: Notify::new(),
            slots: Arc::new(Semaphore::new(SLOTS)),
        }
    }

    /// Whether there is an index. Where there is none yet, one is begun.
    pub fn ready(&self) -> bool {
        let ready = self.index().is_some();
        if !ready {
            self.first.notify_one();
        }
        ready
    }

    fn index(&self) -> Option<Arc<Index>> {
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        index.clone()
    }

    /// Answers. Blocks: while records are looked up, and as long as the endpoint takes.
    pub fn answer(
        &self,
        tenant: &TenantId,
        own: &dyn Own,
        question: &Question,
        chat: Option<&dyn Chat>,
        emit: &mut dyn FnMut(&Event) -> ControlFlow<()>,
    ) -> Result<Answer, AskFailure> {
        let index = self.index().ok_or(AskFailure::NotReady)?;
        let world = World {
            index: &index,
            rerank: None,
            own,
            tenant,
        };
        let found = retrieve(world, question, RECORDS);
        // What is found broken only now is built again as well.
        if matches!(found, Err(AskError::Broken { .. })) {
            self.discard()?;
        }
        let found = found?;
        Ok(respond(&found, question, chat, emit))
    }

    fn put(&self, index: Option<Index>) {
        let mut held = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        *held = index.map(Arc::new);
    }

    /// Opens what is in the folder, if it was made from this store and has the vectors that are
    /// wanted. A store that was begun anew is behind what the index has read.
    fn open(&self, latest: i64) -> Result<bool, AskError> {
        if !Index::exists(&self.folder) {
            return Ok(false);
        }
        let meta = Index::meta_of(&self.folder)?;
        let embedding = self.embedding.as_ref();
        let wanted = embedding.map_or_else(|| vectors::LEARNED.to_owned(), |e| e.name());
        if meta.cursor.parse().unwrap_or(0) > latest || meta.embedding != wanted {
            return Ok(false);
        }
        let index = Index::open(&self.folder, self.embedding.clone())?;
        tracing::info!(records = index.len(), "the index of records is open");
        self.put(Some(index));
        Ok(true)
    }

    fn build(&self, documents: &[Document], cursor: &str) -> Result<(), AskError> {
        tracing::info!(
            records = documents.len(),
            "learning words, building the index of records"
        );
        let index = Index::build(
            &self.folder,
            documents,
            self.embedding.clone(),
            cursor,
            &mut |_, _| {},
        )?;
        tracing::info!(records = index.len(), "the index of records is built");
        self.put(Some(index));
        Ok(())
    }

    /// What is broken is built again from the store.
    fn discard(&self) -> Result<(), AskError> {
        self.put(None);
        Index::discard(&self.folder)
    }
}

/// Keeps the index up to date until `shutdown`, from the first question on, or from the beginning
/// where one is in the folder.
pub async fn follow(state: AppState, shutdown: CancellationToken) {
    if !Index::exists(&state.ask.folder) {
        tokio::select! {
            () = state.ask.first.notified() => {}
            () = shutdown.cancelled() => return,
        }
    }
    let mut waited = 0;
    let mut held = -1;
    loop {
        let pause = match step(&state, &mut waited, &mut held).await {
            // More is waiting.
            Ok(true) => Duration::ZERO,
            Ok(false) => POLL,
            Err(error) => {
                tracing::warn!(%error, "the index of records could not be brought up to date");
                if matches!(error, FollowError::Ask(AskError::Broken { .. }))
                    && let Err(error) = blocking(&state, Asker::discard).await
                {
                    tracing::warn!(%error, "a broken index of records could not be discarded");
                }
                POLL * 10
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// Has something done where waiting and reckoning hold nobody up.
async fn blocking<T: Send + 'static>(
    state: &AppState,
    work: impl FnOnce(&Asker) -> Result<T, AskError> + Send + 'static,
) -> Result<T, FollowError> {
    let state = state.clone();
    Ok(tokio::task::spawn_blocking(move || work(&state.ask)).await??)
}

async fn step(state: &AppState, waited: &mut u32, held: &mut i64) -> Result<bool, FollowError> {
    let Some(index) = state.ask.index() else {
        return open(state, waited, held).await;
    };
    let after: i64 = index.meta().cursor.parse().unwrap_or(0);
    let (changes, next) = changes(&state.store, after).await?;
    if next == after {
        return Ok(false);
    }
    let cursor = next.to_string();
    blocking(state, move |_| index.apply(&changes, &cursor)).await?;
    Ok(true)
}

async fn open(state: &AppState, waited: &mut u32, held: &mut i64) -> Result<bool, FollowError> {
    let latest = state.store.vulnerabilities().latest().await?;
    if blocking(state, move |ask| ask.open(latest)).await? {
        return Ok(true);
    }
    if latest == 0 {
        return Ok(false);
    }
    // While a first sync runs there is more to learn from every moment; when it rests, or there is
    // enough, the words are learned.
    if latest < LEARNED as i64 && (latest != *held || *waited < PATIENCE) {
        *waited = if latest == *held { *waited + 1 } else { 0 };
        *held = latest;
        return Ok(false);
    }
    let (documents, at) = first(&state.store).await?;
    let cursor = at.to_string();
    blocking(state, move |ask| ask.build(&documents, &cursor)).await?;
    Ok(true)
}

/// The records that words are learned from, and up to where they go.
pub async fn first(store: &Store) -> Result<(Vec<Document>, i64), StoreError> {
    let mut documents = Vec::new();
    let mut at = 0;
    while documents.len() < LEARNED {
        let (changes, next) = changes(store, at).await?;
        documents.extend(changes.into_iter().filter_map(|c| match c {
            Change::Put(document) => Some(*document),
            Change::Remove(_) => None,
        }));
        if next == at {
            break;
        }
        at = next;
    }
    Ok((documents, at))
}

/// What changed after a place, as documents, and where it goes on.
pub async fn changes(store: &Store, after: i64) -> Result<(Vec<Change>, i64), StoreError> {
    let vulnerabilities = store.vulnerabilities();
    let changed = vulnerabilities.changed_since(after, CHUNK).await?;
    let Some(last) = changed.last() else {
        return Ok((Vec::new(), after));
    };
    let next = last.seq;
    // A CVE's document has the mark of the catalogue too: whichever of both changed, both are read.
    let mut keys = BTreeSet::new();
    for row in &changed {
        let Some((_, id)) = row.key.split_once('/') else {
            continue;
        };
        match row.kind {
            RecordKind::Cve | RecordKind::Kev => {
                keys.extend([format!("cve/{id}"), format!("kev/{id}")]);
            }
            RecordKind::Advisory => {
                keys.insert(row.key.clone());
            }
            _ => {}
        }
    }
    let keys: Vec<String> = keys.into_iter().collect();
    let (kev, rows): (Vec<Stored>, Vec<Stored>) = vulnerabilities
        .records(&keys)
        .await?
        .into_iter()
        .partition(|row| row.kind == RecordKind::Kev);
    let listed: BTreeSet<&str> = kev
        .iter()
        .filter(|row| row.bytes.is_some())
        .filter_map(|row| row.key.strip_prefix("kev/"))
        .collect();
    Ok((
        rows.iter().filter_map(|row| change(row, &listed)).collect(),
        next,
    ))
}

/// What became of one record; `listed` are the CVEs in the catalogue.
fn change(row: &Stored, listed: &BTreeSet<&str>) -> Option<Change> {
    let mut document = match record(row) {
        Ok(Some(Record::Cve(record))) => Document::of_cve(&record),
        Ok(Some(Record::Advisory(advisory))) => Document::of_advisory(&advisory),
        Ok(Some(_)) => return None,
        Ok(None) => {
            let (kind, id) = row.key.split_once('/')?;
            return Some(Change::Remove(match (kind, id.split_once('/')) {
                ("advisory", Some((source, id))) => Document::id_of(source, id),
                _ => id.to_owned(),
            }));
        }
        Err(error) => {
            tracing::warn!(%error, "a stored record cannot be read and is not indexed");
            return None;
        }
    };
    document.exploited |= row.kind == RecordKind::Cve && listed.contains(document.id.as_str());
    Some(Change::Put(Box::new(document)))
}
