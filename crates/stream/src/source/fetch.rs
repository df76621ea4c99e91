//! How addresses are fetched. Who does it is somebody else's matter: this crate has no client.

use std::io::Write;

/// A conditional request.
#[derive(Debug, Clone, Default)]
pub struct Request<'a> {
    /// The address.
    pub url: &'a str,
    /// The `ETag` of the last answer.
    pub etag: Option<&'a str>,
    /// The `Last-Modified` of the last answer.
    pub modified: Option<&'a str>,
    /// More bytes than these are refused.
    pub max_bytes: u64,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// As at the last time.
    Unchanged,
    /// The body was written.
    Body {
        /// Its `ETag`.
        etag: Option<String>,
        /// Its `Last-Modified`.
        modified: Option<String>,
        /// Its length.
        bytes: u64,
    },
    /// There is nothing at that address.
    Absent,
}

/// Why an address could not be fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{url}: {why}")]
pub struct FetchError {
    /// The address, without anything secret.
    pub url: String,
    /// Why.
    pub why: String,
}

/// A client of HTTP.
pub trait Fetch {
    /// Fetches an address and writes its body.
    fn fetch(&self, request: &Request<'_>, into: &mut dyn Write) -> Result<Fetched, FetchError>;
}
