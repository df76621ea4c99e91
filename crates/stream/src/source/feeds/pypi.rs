//! Python's advisories: as PyPA keeps them, in YAML, and as osv.dev hands them out.

use super::{Feed, Listing, file_name, is_json, osv_record};
use bartizan_vuln::feeds::{MAX_RECORD, osv};
use bartizan_vuln::record::Record;

/// The feed.
pub const FEED: Feed = Feed {
    name: "pypi",
    about: "Python's advisory database",
    official: Some("https://osv-vulnerabilities.storage.googleapis.com/PyPI"),
    wants: |path| {
        is_json(path) || (file_name(path).starts_with("PYSEC-") && path.ends_with(".yaml"))
    },
    read: |name, bytes| {
        if name.ends_with(".yaml") {
            osv::parse_yaml(bytes, "pypi").map(|one| vec![Record::Advisory(Box::new(one))])
        } else {
            osv_record(bytes, "pypi")
        }
    },
    listing: Listing::Osv,
    max_bytes: MAX_RECORD,
    whole: None,
};
