//! Questions answered from records: CVE records, advisories, and what the asker's own tenant runs.
//!
//! [`question`] reads what is asked for, [`index`] holds the records in words and in vectors,
//! [`retrieve`] finds and orders them, [`answer`] says it in sentences that cite them.
//!
//! **Invariant:** no network, no clock, no database, and no file outside of the index folder that
//! is given. A record is data: nothing in its text is ever an instruction. What leaves is a
//! sentence that cites retrieved records and is carried by them, or nothing. Own records are asked
//! for by tenant at the moment of the question and never enter the shared index.

pub mod answer;
pub mod document;
pub mod fuzzing;
pub mod index;
pub mod own;
pub mod question;
pub mod rerank;
pub mod retrieve;
pub mod vectors;
pub mod words;

pub use answer::{Answer, Event, Outcome};
pub use document::{Document, Kind};
pub use index::Index;
pub use question::{Filters, Question};
pub use retrieve::{Hit, Retrieval};

/// What can go wrong. Whose fault: the index folder's, the endpoint's, or the asker's.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The index folder cannot be read or written.
    #[error("index folder: {0}")]
    Folder(#[from] std::io::Error),
    /// The word index says so.
    #[error("word index: {0}")]
    Words(tantivy::TantivyError),
    /// A file of the index is not what it should be; it can be built anew.
    #[error("{file} of the index is broken ({why}); build the index again")]
    Broken {
        /// Which file.
        file: &'static str,
        /// Why.
        why: String,
    },
    /// The question cannot be used.
    #[error("{0}")]
    Question(String),
    /// A model or an endpoint failed.
    #[error("{0}")]
    Model(String),
}

impl AskError {
    pub(crate) fn broken(file: &'static str, why: impl ToString) -> Self {
        Self::Broken {
            file,
            why: why.to_string(),
        }
    }

    /// Reading a file of the index: one that is not there is a broken index, not a broken disk.
    pub(crate) fn reading(file: &'static str, error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::broken(file, "it is not there"),
            _ => Self::Folder(error),
        }
    }
}

impl From<tantivy::TantivyError> for AskError {
    fn from(error: tantivy::TantivyError) -> Self {
        use tantivy::TantivyError as Words;
        use tantivy::directory::error::OpenReadError as Read;
        match error {
            Words::DataCorruption(_)
            | Words::OpenDirectoryError(_)
            | Words::OpenReadError(Read::FileDoesNotExist(_) | Read::IncompatibleIndex(_))
            | Words::SchemaError(_)
            | Words::FieldNotFound(_)
            | Words::IncompatibleIndex(_)
            | Words::DeserializeError(_) => Self::broken("terms", error),
            error => Self::Words(error),
        }
    }
}
