//! CISA's catalogue of known exploited vulnerabilities.

use super::{Feed, Listing, Whole};
use bartizan_vuln::feeds::{MAX_BYTES, kev};
use bartizan_vuln::record::Record;

/// The feed.
pub const FEED: Feed = Feed {
    name: "kev",
    about: "CISA's known exploited vulnerabilities",
    official: Some(
        "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json",
    ),
    wants: |path| {
        super::file_name(path) == "known_exploited_vulnerabilities.json"
            || path.ends_with("kev.json")
    },
    read: |_, bytes| Ok(kev::parse(bytes)?.into_iter().map(Record::Kev).collect()),
    listing: Listing::Document,
    max_bytes: MAX_BYTES,
    whole: Some(Whole {
        prefix: "kev/",
        source: "kev",
    }),
};
