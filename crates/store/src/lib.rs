//! The only SQL, objects and queue; embedded and scaled back ends behind one interface.
//!
//! [`Store::open`] connects to SQLite (`sqlite:<path>`) or PostgreSQL (`postgres://…`) and to
//! the objects; [`Store::tenant`] gives the handle through which everything else goes.
//! Decisions about findings are `model`'s; this crate keeps them, in transactions.

pub mod audit;
pub mod error;
pub mod fault;
pub mod findings;
pub mod import;
pub mod objects;
pub mod page;
pub mod people;
pub mod queue;
pub mod records;
pub mod scans;

pub use error::{Result, StoreError};
pub use page::{Page, PageRequest, Total};

use bartizan_model::{TenantId, Timestamp};
use std::path::PathBuf;
use std::sync::Arc;

/// A source of 32 random bytes for an audit entry's commitment; the server's.
pub type Salts<'a> = &'a mut (dyn FnMut() -> [u8; 32] + Send);

/// Who does something, when, and the salt of the audit entry that records it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// When.
    pub at: Timestamp,
    /// Who: a user name, `token:<name>` or `system`.
    pub actor: String,
    /// 32 random bytes; the entry's id derives from them, too.
    pub salt: [u8; 32],
}

/// Where things are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `sqlite:<path>`, a bare path, or `postgres://…`.
    pub database: String,
    /// A folder, or `s3://bucket/prefix` (feature `s3`; credentials by the `AWS_*`
    /// environment).
    pub objects: String,
    /// Folder to create (0700) and lock for this process alone; none leaves locking out,
    /// as several servers on one PostgreSQL do.
    pub data_folder: Option<PathBuf>,
    /// Connections to PostgreSQL at most, or readers of SQLite.
    pub connections: u32,
}

impl Config {
    /// Everything embedded in one folder: `bartizan.db` and `objects/`.
    pub fn embedded(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self {
            database: format!("sqlite:{}", folder.join("bartizan.db").display()),
            objects: folder.join("objects").display().to_string(),
            data_folder: Some(folder),
            connections: 4,
        }
    }
}

/// An open store; cloning is cheap. Closes when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {}

/// One tenant's store: every access goes through it. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct TenantStore {
    store: Store,
    id: TenantId,
    objects: objects::Objects,
}

impl Store {
    /// Locks the folder, connects, migrates. The default tenant exists afterwards.
    pub async fn open(config: &Config, now: Timestamp) -> Result<Self> {
        unfinished()
    }

    /// The handle of a tenant; [`StoreError::NotFound`] when there is none of that id.
    pub async fn tenant(&self, id: &TenantId) -> Result<TenantStore> {
        unfinished()
    }

    /// All tenants.
    pub async fn tenants(&self) -> Result<Vec<TenantId>> {
        unfinished()
    }

    /// Makes a tenant; an existing one is no error.
    pub async fn create_tenant(&self, id: &TenantId, now: Timestamp) -> Result<TenantStore> {
        unfinished()
    }

    /// Whether the database answers: readiness.
    pub async fn ping(&self) -> Result<()> {
        unfinished()
    }

    /// Ends all connections and gives the folder free.
    pub async fn close(&self) {}
}

impl TenantStore {
    /// Whose.
    pub fn id(&self) -> &TenantId {
        &self.id
    }

    /// The store that it belongs to.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The tenant's objects.
    pub fn objects(&self) -> objects::Objects {
        self.objects.clone()
    }

    /// Canonical text of observations, results, findings, scans and audit entries, without
    /// what differs between two runs of the same (leases, salts, attempts, import times), to
    /// compare two end states.
    pub async fn dump_state(&self) -> Result<String> {
        unfinished()
    }
}

pub(crate) fn unfinished<T>() -> Result<T> {
    Err(StoreError::Config("not built yet".to_owned()))
}
