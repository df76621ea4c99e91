//! Ubuntu: OSV, and the CVE tracker in the JSON that vuls keeps of it.

use super::{Feed, Listing, is_json, osv_record};
use bartizan_vuln::feeds::{MAX_RECORD, ubuntu};
use bartizan_vuln::record::Record;

/// The feed.
pub const FEED: Feed = Feed {
    name: "ubuntu",
    about: "Ubuntu's security notices and CVE tracker",
    official: Some("https://osv-vulnerabilities.storage.googleapis.com/Ubuntu"),
    wants: is_json,
    read: |_, bytes| match osv_record(bytes, "ubuntu") {
        Ok(records) => Ok(records),
        // What is of neither form is told as what the file most likely meant to be.
        Err(error) => match ubuntu::parse(bytes) {
            Ok(one) => Ok(vec![Record::Advisory(Box::new(one))]),
            Err(tracker) if has_candidate(bytes) => Err(tracker),
            Err(_) => Err(error),
        },
    },
    listing: Listing::Osv,
    max_bytes: MAX_RECORD,
    whole: None,
};

fn has_candidate(bytes: &[u8]) -> bool {
    bytes
        .windows(11)
        .take(400)
        .any(|w| w.eq_ignore_ascii_case(b"\"candidate\""))
}
