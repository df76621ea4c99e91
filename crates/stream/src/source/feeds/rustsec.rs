//! RustSec: a checkout or an archive of its database.

use super::{Feed, Listing, file_name};
use bartizan_vuln::feeds::{MAX_RECORD, rustsec};
use bartizan_vuln::record::Record;

/// The feed.
pub const FEED: Feed = Feed {
    name: "rustsec",
    about: "RustSec's advisory database",
    official: Some("https://github.com/rustsec/advisory-db/archive/refs/heads/main.zip"),
    wants: |path| {
        let name = file_name(path);
        name.starts_with("RUSTSEC-") && name.ends_with(".md")
    },
    read: |_, bytes| rustsec::parse(bytes).map(|one| vec![Record::Advisory(Box::new(one))]),
    listing: Listing::Document,
    max_bytes: MAX_RECORD,
    whole: None,
};
