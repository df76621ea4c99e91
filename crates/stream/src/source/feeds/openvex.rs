//! OpenVEX: documents of suppliers, alone or in a hub.

use super::{Feed, Listing, is_json};
use bartizan_vuln::feeds::{MAX_BYTES, openvex};
use bartizan_vuln::record::Record;

/// The feed.
pub const FEED: Feed = Feed {
    name: "openvex",
    about: "Statements of suppliers as OpenVEX",
    official: None,
    wants: |path| is_json(path) && super::file_name(path) != "vex-repository.json",
    read: |_, bytes| {
        Ok(openvex::parse(bytes)?
            .into_iter()
            .map(Box::new)
            .map(Record::Vex)
            .collect())
    },
    listing: Listing::Document,
    max_bytes: MAX_BYTES,
    whole: None,
};
