//! Producers: what a feed offers, read and put on a stream.
//!
//! A [`Source`] is a [`Feed`] and the place where it is read: a folder, a file, an archive, an
//! address, a checkout. [`Producer`] goes through all of it and keeps the state by which the next
//! run, or the one after an interruption, does only what is new. A record counts by what it says of
//! itself, never by the name of the file that holds it; a file that is byte for byte what it was
//! at the last run is not read again.

pub mod feeds;
pub mod fetch;
mod http;
pub mod lists;
pub mod producer;
pub mod shelf;
pub mod state;

pub use feeds::Feed;
pub use fetch::{Fetch, FetchError, Fetched, Request};
pub use producer::{Producer, Progress, Summary};
pub use shelf::{Folder, Shelf, Unit};
pub use state::State;

use crate::StreamError;
use std::path::PathBuf;

/// A feed and where it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// `kev`, or `osv:npm` where a feed has several sources.
    pub name: String,
    /// Which feed.
    pub feed: &'static Feed,
    /// Where.
    pub place: Place,
}

/// Where a feed is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A folder, a file or an archive of this machine.
    Path(PathBuf),
    /// An address.
    Url(String),
}

/// The word for the address at which whoever makes the feed publishes it.
pub const OFFICIAL: &str = "official";

impl Source {
    /// From `FEED[:LABEL]=PATH|URL|official`.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let (name, place) = text.split_once('=').ok_or_else(|| {
            SourceError::Config(format!(
                "{text:?} is no source: write NAME=PATH or NAME=URL"
            ))
        })?;
        Self::new(name.trim(), place.trim())
    }

    /// From a name and a place.
    pub fn new(name: &str, place: &str) -> Result<Self, SourceError> {
        let (feed, label) = name.split_once(':').unwrap_or((name, ""));
        let feed = feeds::by_name(feed).ok_or_else(|| {
            let names: Vec<&str> = feeds::ALL.iter().map(|feed| feed.name).collect();
            SourceError::Config(format!(
                "{feed:?} is no feed; there are {}",
                names.join(", ")
            ))
        })?;
        let sane = label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
        if name.len() > 60 || !sane {
            return Err(SourceError::Config(format!(
                "{name:?} is no name of a source"
            )));
        }
        let place = match place {
            "" => {
                return Err(SourceError::Config(format!("{name}: where is it read?")));
            }
            OFFICIAL => Place::Url(feed.official_address(label).ok_or_else(|| {
                SourceError::Config(format!(
                    "{name}: the feed has no address of its own; give a path or a URL"
                ))
            })?),
            url if url.starts_with("https://") || url.starts_with("http://") => {
                Place::Url(url.trim_end_matches('/').to_owned())
            }
            other if other.contains("://") => {
                return Err(SourceError::Config(format!(
                    "{other:?}: only http and https are fetched"
                )));
            }
            path => Place::Path(PathBuf::from(path)),
        };
        Ok(Self {
            name: name.to_owned(),
            feed,
            place,
        })
    }
}

/// Why a source cannot be read further.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The configuration's fault.
    #[error("{0}")]
    Config(String),
    /// The stream, or the state beside it.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The way to the source, or the source.
    #[error("{0}")]
    Fetch(#[from] FetchError),
    /// A file or an archive as a whole.
    #[error("{what}: {why}")]
    Unreadable {
        /// Which.
        what: String,
        /// Why.
        why: String,
    },
    /// Somebody asked to stop. What was produced stays; the next run goes on.
    #[error("stopped before the end")]
    Stopped,
}

#[cfg(test)]
mod tests;
