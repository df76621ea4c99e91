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

impl FetchError {
    /// About an address.
    pub fn new(url: &str, why: impl Into<String>) -> Self {
        Self {
            url: shown(url),
            why: why.into(),
        }
    }
}

/// An address as messages may show it: without what may be secret in it.
pub fn shown(url: &str) -> String {
    let plain = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = plain.split_once("://") else {
        return plain.to_owned();
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

/// A client of HTTP.
pub trait Fetch {
    /// Fetches an address and writes its body.
    fn fetch(&self, request: &Request<'_>, into: &mut dyn Write) -> Result<Fetched, FetchError>;
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn what_is_secret_in_an_address_is_not_shown() {
        for (url, safe) in [
            ("https://a:b@h/x@y.json?token=1#f", "https://h/x@y.json"),
            ("https://a:b@h", "https://h"),
            ("http://h:80/a/b", "http://h:80/a/b"),
            ("h/a?b", "h/a"),
        ] {
            assert_eq!(shown(url), safe);
        }
    }
}
