//! Why there is no inventory at all. Parts that cannot be read are no error but `unread`.

use bartizan_model::Digest;
use std::io;

/// Why a target has no inventory.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// A file or folder of ours cannot be opened.
    #[error("cannot read {path}: {source}")]
    Io {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It is no image, no archive, no SBOM; or it is broken. Whose fault: whoever made it.
    #[error("{0}")]
    Unusable(String),
    /// What came is not what its digest says. Whose fault: whoever stores it.
    #[error("the blob {0} is not what its digest says")]
    Forged(Digest),
    /// No image of an index runs there.
    #[error("there is no image for {wanted}; there is: {has}")]
    Platform {
        /// As asked.
        wanted: String,
        /// What there is, by commas.
        has: String,
    },
    /// A registry or a folder does not give a blob.
    #[error("{0}")]
    Absent(String),
    /// Its name cannot be an asset's.
    #[error("this target has no usable name: {0}")]
    Name(#[from] bartizan_model::IdError),
}

impl InventoryError {
    pub(crate) fn io(path: impl std::fmt::Display, source: io::Error) -> Self {
        let path = path.to_string();
        Self::Io { path, source }
    }

    pub(crate) fn unusable(why: impl Into<String>) -> Self {
        Self::Unusable(why.into())
    }
}
