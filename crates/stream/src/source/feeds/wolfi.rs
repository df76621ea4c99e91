//! Wolfi's secdb: which revision of a package fixed what, a file for each release and repository.

use super::{Feed, Listing, is_json};
use bartizan_model::EcosystemKind;
use bartizan_vuln::feeds::{FeedError, MAX_BYTES};
use bartizan_vuln::record::Record;

/// The feed.
pub const FEED: Feed = Feed {
    name: "wolfi",
    about: "Wolfi's security database",
    official: Some("https://packages.wolfi.dev/os/security.json"),
    wants: is_json,
    read,
    listing: Listing::Document,
    max_bytes: MAX_BYTES,
    whole: None,
};

fn read(name: &str, bytes: &[u8]) -> Result<Vec<Record>, FeedError> {
    super::alpine::records(EcosystemKind::Wolfi, "wolfi", name, bytes)
}
