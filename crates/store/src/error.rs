//! What can go wrong, and whose fault it is.

use std::path::PathBuf;

/// An error of the store. The variants say whose fault it is.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Configuration: an address, a folder or a right is wrong.
    #[error("{0}")]
    Config(String),
    /// Configuration: the data folder belongs to a running process.
    #[error(
        "the data folder {} is used by another bartizan process; stop that one or give another --data folder",
        folder.display()
    )]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// Configuration: the database was written by a newer program.
    #[error(
        "the database has schema {found}, this bartizan knows {known}; start the newer version again"
    )]
    NewerSchema {
        /// Version found.
        found: i64,
        /// Newest version that this program knows.
        known: i64,
    },
    /// Configuration: the database was written by an older program, and is opened to be read only.
    #[error(
        "the database has schema {found}, this bartizan reads {known}; `bartizan serve` or \
         `bartizan cve sync` brings it up to date"
    )]
    OlderSchema {
        /// Version found.
        found: i64,
        /// The version that this program knows.
        known: i64,
    },
    /// Caller: there is no such thing in this tenant.
    #[error("there is no {what} {id:?}")]
    NotFound {
        /// What kind of thing, such as `scope`.
        what: &'static str,
        /// Which.
        id: String,
    },
    /// Caller: the name or the submission exists and differs.
    #[error("{0}")]
    Conflict(String),
    /// Caller: an argument makes no sense, such as a cursor of another order.
    #[error("{0}")]
    Invalid(String),
    /// Input: the report says something that cannot be stored.
    #[error("{0}")]
    Report(String),
    /// Another worker or sequencer took over; stop, and touch nothing more.
    #[error("{0} was taken over by another worker; nothing was written")]
    Fenced(&'static str),
    /// Input: more bytes than allowed.
    #[error("the upload is larger than the allowed {limit} bytes")]
    TooLarge {
        /// The bound.
        limit: u64,
    },
    /// Input: the bytes are not those that the sender promised.
    #[error("the upload has digest {actual}, the sender promised {promised}")]
    DigestMismatch {
        /// What was promised.
        promised: String,
        /// What arrived.
        actual: String,
    },
    /// Peer: the upload broke off.
    #[error("the upload broke off: {0}")]
    Upload(String),
    /// Peer: the database.
    #[error("the database answers: {0}")]
    Database(#[from] sqlx::Error),
    /// Peer: the object store.
    #[error("the object store answers: {0}")]
    Objects(#[from] object_store::Error),
    /// Bug or damage: what is stored cannot be read back.
    #[error("stored data cannot be read: {0}")]
    Corrupt(String),
}

impl StoreError {
    /// Whether trying again later may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Database(_) | Self::Objects(_) | Self::Upload(_))
    }

    /// Whether the database refuses a value and not the work: class 22 of SQLSTATE, such as a
    /// character that PostgreSQL cannot hold.
    pub fn is_about_data(&self) -> bool {
        let Self::Database(sqlx::Error::Database(error)) = self else {
            return false;
        };
        error
            .code()
            .is_some_and(|code| code.len() == 5 && code.starts_with("22"))
    }
}

impl From<bartizan_model::IdError> for StoreError {
    fn from(error: bartizan_model::IdError) -> Self {
        Self::Corrupt(error.to_string())
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Corrupt(error.to_string())
    }
}

/// Short for results of this crate.
pub type Result<T> = std::result::Result<T, StoreError>;
