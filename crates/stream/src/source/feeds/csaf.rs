//! CSAF 2.0: a vendor's documents, each an advisory and statements about products.

use super::{Feed, Listing, is_json};
use bartizan_vuln::feeds::{MAX_BYTES, csaf};
use bartizan_vuln::record::Record;

/// The feed.
pub const FEED: Feed = Feed {
    name: "csaf",
    about: "A vendor's advisories as CSAF",
    official: None,
    wants: |path| is_json(path) && super::file_name(path) != "provider-metadata.json",
    read: |_, bytes| {
        let document = csaf::parse(bytes)?;
        let mut records = vec![Record::Advisory(Box::new(document.advisory))];
        records.extend(
            document
                .statements
                .into_iter()
                .map(Box::new)
                .map(Record::Vex),
        );
        Ok(records)
    },
    listing: Listing::Changes,
    max_bytes: MAX_BYTES,
    whole: None,
};
