//! Two pools behind one way of asking. Dialect shows only in the bulk relation (here), the
//! claim, the search and index hints.

use crate::{Result, StoreError};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, Postgres, Row as _, Sqlite, Transaction};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

/// A value to bind. `None` is NULL; its type still counts for PostgreSQL.
#[derive(Debug, Clone)]
pub(crate) enum Val {
    Int(Option<i64>),
    Text(Option<String>),
    Blob(Option<Vec<u8>>),
}

macro_rules! from {
    ($($from:ty => $make:expr;)*) => {
        $(impl From<$from> for Val {
            fn from(value: $from) -> Self {
                let make: fn($from) -> Val = $make;
                make(value)
            }
        })*
    };
}

from! {
    i64 => |v| Val::Int(Some(v));
    i32 => |v| Val::Int(Some(i64::from(v)));
    u32 => |v| Val::Int(Some(i64::from(v)));
    u64 => |v| Val::Int(Some(v.min(i64::MAX as u64) as i64));
    usize => |v| Val::Int(Some(v as i64));
    bool => |v| Val::Int(Some(i64::from(v)));
    Option<i64> => Val::Int;
    &str => |v| Val::Text(Some(v.to_owned()));
    String => |v| Val::Text(Some(v));
    Option<String> => Val::Text;
    Option<&str> => |v| Val::Text(v.map(str::to_owned));
    Vec<u8> => |v| Val::Blob(Some(v));
    &[u8] => |v| Val::Blob(Some(v.to_vec()));
    bartizan_model::Timestamp => |v| Val::Int(Some(v.micros()));
    Option<bartizan_model::Timestamp> => |v| Val::Int(v.map(|t| t.micros()));
}

/// Makes the list of bound values: `args![tenant, name.as_str()]`.
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::db::Val::from($value)),*] };
}
pub(crate) use args;

/// Binds a list: adds its values and gives their places, `$2, $3`; `NULL` for none.
pub(crate) fn holes<V: Into<Val>>(args: &mut Vec<Val>, values: impl Iterator<Item = V>) -> String {
    let mut places = Vec::new();
    for value in values {
        args.push(value.into());
        places.push(format!("${}", args.len()));
    }
    if places.is_empty() {
        return "NULL".to_owned();
    }
    places.join(", ")
}

/// A fetched row; columns by position.
pub(crate) enum Row {
    Lite(SqliteRow),
    Pg(PgRow),
}

macro_rules! get {
    ($self:ident, $at:ident, $ty:ty) => {
        match $self {
            Row::Lite(row) => row.try_get::<$ty, _>($at),
            Row::Pg(row) => row.try_get::<$ty, _>($at),
        }
        .map_err(|e| StoreError::Corrupt(e.to_string()))
    };
}

impl Row {
    pub(crate) fn int(&self, at: usize) -> Result<i64> {
        get!(self, at, i64)
    }

    pub(crate) fn count(&self, at: usize) -> Result<u64> {
        Ok(self.int(at)?.max(0) as u64)
    }

    pub(crate) fn flag(&self, at: usize) -> Result<bool> {
        Ok(self.int(at)? != 0)
    }

    pub(crate) fn time(&self, at: usize) -> Result<bartizan_model::Timestamp> {
        Ok(bartizan_model::Timestamp::from_micros(self.int(at)?))
    }

    pub(crate) fn opt_int(&self, at: usize) -> Result<Option<i64>> {
        get!(self, at, Option<i64>)
    }

    pub(crate) fn opt_time(&self, at: usize) -> Result<Option<bartizan_model::Timestamp>> {
        Ok(self
            .opt_int(at)?
            .map(bartizan_model::Timestamp::from_micros))
    }

    pub(crate) fn text(&self, at: usize) -> Result<String> {
        get!(self, at, String)
    }

    pub(crate) fn opt_text(&self, at: usize) -> Result<Option<String>> {
        get!(self, at, Option<String>)
    }

    pub(crate) fn blob(&self, at: usize) -> Result<Vec<u8>> {
        get!(self, at, Vec<u8>)
    }

    /// A typed id.
    pub(crate) fn id<T: TryFrom<String, Error = bartizan_model::IdError>>(
        &self,
        at: usize,
    ) -> Result<T> {
        Ok(T::try_from(self.text(at)?)?)
    }

    /// JSON kept as text.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self, at: usize) -> Result<T> {
        Ok(serde_json::from_str(&self.text(at)?)?)
    }
}

/// The pools. SQLite has one writer and some readers, because it takes one writer anyway
/// and waiting in the pool is fairer than waiting in the file.
#[derive(Debug, Clone)]
pub(crate) enum Db {
    Lite { write: SqlitePool, read: SqlitePool },
    Pg(PgPool),
}

/// A transaction.
pub(crate) enum Tx {
    Lite(Transaction<'static, Sqlite>),
    Pg(Transaction<'static, Postgres>),
}

fn bind_lite<'q>(
    sql: &str,
    args: Vec<Val>,
    persistent: bool,
) -> sqlx::query::Query<'q, Sqlite, sqlx::sqlite::SqliteArguments> {
    // Statements are built by this crate alone; whatever comes from outside is bound.
    let mut query = sqlx::query(AssertSqlSafe(sql.to_owned())).persistent(persistent);
    for value in args {
        query = match value {
            Val::Int(v) => query.bind(v),
            Val::Text(v) => query.bind(v),
            Val::Blob(v) => query.bind(v),
        };
    }
    query
}

fn bind_pg<'q>(
    sql: &str,
    args: Vec<Val>,
    persistent: bool,
) -> sqlx::query::Query<'q, Postgres, sqlx::postgres::PgArguments> {
    let mut query = sqlx::query(AssertSqlSafe(sql.to_owned())).persistent(persistent);
    for value in args {
        query = match value {
            Val::Int(v) => query.bind(v),
            // PostgreSQL has no NUL in text.
            Val::Text(v) => query.bind(v.map(|v| {
                if v.contains('\0') {
                    v.replace('\0', "\u{fffd}")
                } else {
                    v
                }
            })),
            Val::Blob(v) => query.bind(v),
        };
    }
    query
}

impl Db {
    /// Connects to `sqlite:<path>`, a bare path, or `postgres://…`.
    pub(crate) async fn connect(address: &str, connections: u32) -> Result<Self> {
        if address.starts_with("postgres://") || address.starts_with("postgresql://") {
            let options = PgConnectOptions::from_str(address)
                .map_err(|e| StoreError::Config(format!("the PostgreSQL address: {e}")))?
                .application_name("bartizan")
                // A custom plan each time: the values decide which index serves.
                .options([("plan_cache_mode", "force_custom_plan"), ("jit", "off")]);
            let pool = PgPoolOptions::new()
                .max_connections(connections.max(2))
                .acquire_timeout(Duration::from_secs(20))
                .connect_with(options)
                .await
                .map_err(|e| {
                    StoreError::Config(format!("PostgreSQL does not let us connect: {e}"))
                })?;
            return Ok(Self::Pg(pool));
        }
        let path = address
            .strip_prefix("sqlite://")
            .or_else(|| address.strip_prefix("sqlite:"))
            .unwrap_or(address);
        if path.contains("://") {
            return Err(StoreError::Config(format!(
                "the database address {path:?} is neither sqlite:<path> nor postgres://…"
            )));
        }
        let path = Path::new(path);
        create_private(path)?;
        let base = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL: a commit that was answered survives a power cut. Chunked imports make the
            // extra fsync rare.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(false)
            .busy_timeout(Duration::from_secs(20))
            .pragma("temp_store", "memory")
            .pragma("wal_autocheckpoint", "4000")
            .pragma("journal_size_limit", "67108864");
        let write = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(Duration::from_secs(60))
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(
                base.clone()
                    .pragma("cache_size", "-98304")
                    .statement_cache_capacity(64),
            )
            .await?;
        let read = SqlitePoolOptions::new()
            .max_connections(connections.max(1))
            .acquire_timeout(Duration::from_secs(20))
            .max_lifetime(None)
            .connect_with(
                // Small: the operating system caches the file, once for all of them.
                base.pragma("cache_size", "-4096")
                    .pragma("query_only", "on")
                    .statement_cache_capacity(64),
            )
            .await?;
        Ok(Self::Lite { write, read })
    }

    /// Whether this is SQLite.
    pub(crate) fn is_lite(&self) -> bool {
        matches!(self, Self::Lite { .. })
    }

    /// Begins a transaction that will write.
    pub(crate) async fn begin(&self) -> Result<Tx> {
        Ok(match self {
            Self::Lite { write, .. } => Tx::Lite(write.begin_with("BEGIN IMMEDIATE").await?),
            Self::Pg(pool) => Tx::Pg(pool.begin().await?),
        })
    }

    /// Begins a transaction that only reads, all of it at one moment.
    pub(crate) async fn snapshot(&self) -> Result<Tx> {
        Ok(match self {
            Self::Lite { read, .. } => Tx::Lite(read.begin().await?),
            Self::Pg(pool) => Tx::Pg(
                pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    .await?,
            ),
        })
    }

    /// Reads rows.
    pub(crate) async fn all(&self, sql: &str, args: Vec<Val>) -> Result<Vec<Row>> {
        Ok(match self {
            Self::Lite { read, .. } => bind_lite(sql, args, true)
                .fetch_all(read)
                .await?
                .into_iter()
                .map(Row::Lite)
                .collect(),
            Self::Pg(pool) => bind_pg(sql, args, true)
                .fetch_all(pool)
                .await?
                .into_iter()
                .map(Row::Pg)
                .collect(),
        })
    }

    /// Reads one row, if there is one.
    pub(crate) async fn opt(&self, sql: &str, args: Vec<Val>) -> Result<Option<Row>> {
        Ok(self.all(sql, args).await?.into_iter().next())
    }

    /// Writes with one statement.
    pub(crate) async fn exec(&self, sql: &str, args: Vec<Val>) -> Result<u64> {
        Ok(match self {
            Self::Lite { write, .. } => bind_lite(sql, args, true)
                .execute(write)
                .await?
                .rows_affected(),
            Self::Pg(pool) => bind_pg(sql, args, true)
                .execute(pool)
                .await?
                .rows_affected(),
        })
    }

    /// Writes several statements outside of a transaction, such as `VACUUM`.
    pub(crate) async fn raw(&self, sql: &'static str) -> Result<()> {
        match self {
            Self::Lite { write, .. } => {
                sqlx::raw_sql(sql).execute(write).await?;
            }
            Self::Pg(pool) => {
                sqlx::raw_sql(sql).execute(pool).await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Lite { write, read } => {
                read.close().await;
                write.close().await;
            }
            Self::Pg(pool) => pool.close().await,
        }
    }
}

impl Tx {
    pub(crate) fn is_lite(&self) -> bool {
        matches!(self, Self::Lite(_))
    }

    /// Fetches rows.
    pub(crate) async fn all(&mut self, sql: &str, args: Vec<Val>) -> Result<Vec<Row>> {
        self.fetch(sql, args, true).await
    }

    /// Fetches rows with a statement that is not worth keeping prepared.
    pub(crate) async fn once(&mut self, sql: &str, args: Vec<Val>) -> Result<Vec<Row>> {
        self.fetch(sql, args, false).await
    }

    async fn fetch(&mut self, sql: &str, args: Vec<Val>, keep: bool) -> Result<Vec<Row>> {
        Ok(match self {
            Self::Lite(tx) => bind_lite(sql, args, keep)
                .fetch_all(&mut **tx)
                .await?
                .into_iter()
                .map(Row::Lite)
                .collect(),
            Self::Pg(tx) => bind_pg(sql, args, keep)
                .fetch_all(&mut **tx)
                .await?
                .into_iter()
                .map(Row::Pg)
                .collect(),
        })
    }

    /// Fetches one row, if there is one.
    pub(crate) async fn opt(&mut self, sql: &str, args: Vec<Val>) -> Result<Option<Row>> {
        Ok(self.all(sql, args).await?.into_iter().next())
    }

    /// Writes; says how many rows.
    pub(crate) async fn exec(&mut self, sql: &str, args: Vec<Val>) -> Result<u64> {
        Ok(match self {
            Self::Lite(tx) => bind_lite(sql, args, true)
                .execute(&mut **tx)
                .await?
                .rows_affected(),
            Self::Pg(tx) => bind_pg(sql, args, true)
                .execute(&mut **tx)
                .await?
                .rows_affected(),
        })
    }

    /// Runs statements without arguments.
    pub(crate) async fn raw(&mut self, sql: &'static str) -> Result<()> {
        match self {
            Self::Lite(tx) => {
                sqlx::raw_sql(sql).execute(&mut **tx).await?;
            }
            Self::Pg(tx) => {
                sqlx::raw_sql(sql).execute(&mut **tx).await?;
            }
        }
        Ok(())
    }

    /// Makes all of it count.
    pub(crate) async fn commit(self) -> Result<()> {
        match self {
            Self::Lite(tx) => tx.commit().await?,
            Self::Pg(tx) => tx.commit().await?,
        }
        Ok(())
    }

    /// Serialises the writers of one tenant until the transaction ends: imports, people's
    /// actions and counters then need no other lock, and cannot deadlock. SQLite has one
    /// writer anyway.
    pub(crate) async fn lock_tenant(&mut self, tenant: i64) -> Result<()> {
        if !self.is_lite() {
            self.all(
                "SELECT id FROM tenants WHERE id = $1 FOR NO KEY UPDATE",
                args![tenant],
            )
            .await?;
        }
        Ok(())
    }

    /// Takes `count` numbers of a tenant's counter; returns the first.
    pub(crate) async fn take(&mut self, tenant: i64, counter: &str, count: usize) -> Result<i64> {
        let count = count as i64;
        let row = self
            .opt(
                "INSERT INTO counters (tenant, name, next) VALUES ($1, $2, $3 + 1) \
                 ON CONFLICT (tenant, name) DO UPDATE SET next = counters.next + $3 \
                 RETURNING next",
                args![tenant, counter, count],
            )
            .await?
            .ok_or_else(|| StoreError::Corrupt("a counter gave nothing".to_owned()))?;
        Ok(row.int(0)? - count)
    }
}

/// Creates the database file for its owner alone before SQLite would for all.
fn create_private(path: &Path) -> Result<()> {
    let name = |e: std::io::Error| {
        StoreError::Config(format!("the database file {}: {e}", path.display()))
    };
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(name)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        options.mode(0o600);
        let file = options.open(path).map_err(name)?;
        file.set_permissions(std::fs::Permissions::from_mode(0o600))
            .map_err(name)?;
    }
    #[cfg(not(unix))]
    options.open(path).map_err(name)?;
    Ok(())
}
