//! The only SQL, objects and queue; embedded and scaled back ends behind one interface.
//!
//! [`Store::open`] connects to SQLite (`sqlite:<path>`) or PostgreSQL (`postgres://…`) and to
//! the objects; [`Store::tenant`] gives the handle through which everything else goes.
//! Decisions about findings are `model`'s; this crate keeps them, in transactions.

pub mod audit;
mod bulk;
pub mod components;
mod db;
pub mod decisions;
mod dump;
pub mod error;
pub mod fault;
pub mod findings;
pub mod import;
mod lock;
mod migrate;
pub mod objects;
pub mod page;
pub mod people;
pub mod queue;
pub mod records;
pub mod scans;
pub mod systems;
pub mod vulnerabilities;

pub use error::{Result, StoreError};
pub use page::{Page, PageRequest, Total};

use bartizan_model::{TenantId, Timestamp};
use db::{Db, Tx, args};
use object_store::ObjectStore;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

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
struct Inner {
    db: Db,
    objects: Arc<dyn ObjectStore>,
    /// Held, never read: dropping it gives the folder free.
    lock: Mutex<Option<File>>,
}

/// One tenant's store: every access goes through it. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct TenantStore {
    store: Store,
    id: TenantId,
    /// The tenant's number, which leads every key.
    t: i64,
}

impl Store {
    /// Locks the folder, connects, migrates. The default tenant exists afterwards.
    pub async fn open(config: &Config, now: Timestamp) -> Result<Self> {
        let store = Self::open_at(config, migrate::KNOWN).await?;
        store
            .create_tenant(&TenantId::default_tenant(), now)
            .await?;
        Ok(store)
    }

    /// Opens what another process may have open, to read reference data from it: without a lock,
    /// and without migrating, so that the schema must be this program's.
    pub async fn open_to_read(config: &Config) -> Result<Self> {
        let objects = objects::open(&config.objects)?;
        let db = Db::connect(&config.database, config.connections).await?;
        migrate::require(&db).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                db,
                objects,
                lock: Mutex::new(None),
            }),
        })
    }

    /// Opens without going beyond an older schema; for tests of migrations.
    async fn open_at(config: &Config, schema: i64) -> Result<Self> {
        let lock = match &config.data_folder {
            Some(folder) => Some(lock::lock_folder(folder)?),
            None => None,
        };
        let objects = objects::open(&config.objects)?;
        let db = Db::connect(&config.database, config.connections).await?;
        migrate::migrate(&db, schema).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                db,
                objects,
                lock: Mutex::new(lock),
            }),
        })
    }

    fn db(&self) -> &Db {
        &self.inner.db
    }

    /// The handle of a tenant; [`StoreError::NotFound`] when there is none of that id.
    pub async fn tenant(&self, id: &TenantId) -> Result<TenantStore> {
        let row = self
            .db()
            .opt("SELECT id FROM tenants WHERE uid = $1", args![id.as_str()])
            .await?
            .ok_or_else(|| StoreError::NotFound {
                what: "tenant",
                id: id.to_string(),
            })?;
        Ok(TenantStore {
            store: self.clone(),
            id: id.clone(),
            t: row.int(0)?,
        })
    }

    /// All tenants.
    pub async fn tenants(&self) -> Result<Vec<TenantId>> {
        self.db()
            .all("SELECT uid FROM tenants ORDER BY id", vec![])
            .await?
            .iter()
            .map(|row| row.id(0))
            .collect()
    }

    /// Makes a tenant; an existing one is no error.
    pub async fn create_tenant(&self, id: &TenantId, now: Timestamp) -> Result<TenantStore> {
        self.db()
            .exec(
                "INSERT INTO tenants (id, uid, created) \
                 SELECT COALESCE(MAX(id), 0) + 1, $1, $2 FROM tenants \
                 WHERE NOT EXISTS (SELECT 1 FROM tenants WHERE uid = $1) \
                 HAVING COUNT(*) >= 0 ON CONFLICT (uid) DO NOTHING",
                args![id.as_str(), now],
            )
            .await?;
        self.tenant(id).await
    }

    /// Whether the database answers: readiness.
    pub async fn ping(&self) -> Result<()> {
        self.db().opt("SELECT 1", vec![]).await.map(|_| ())
    }

    /// Ends all connections and gives the folder free.
    pub async fn close(&self) {
        self.db().close().await;
        if let Ok(mut lock) = self.inner.lock.lock() {
            lock.take();
        }
    }
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
        objects::Objects::new(self.store.inner.objects.clone(), self.id.clone())
    }

    fn db(&self) -> &Db {
        self.store.db()
    }

    /// Begins a writing transaction that no other writer of the tenant runs beside.
    async fn begin(&self) -> Result<Tx> {
        let mut tx = self.db().begin().await?;
        tx.lock_tenant(self.t).await?;
        Ok(tx)
    }
}
