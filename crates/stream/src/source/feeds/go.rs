//! Go's vulnerability database: OSV in an archive, or a checkout.

use super::{Feed, Listing, file_name, osv_record};
use bartizan_vuln::feeds::MAX_RECORD;

/// The feed.
pub const FEED: Feed = Feed {
    name: "go",
    about: "Go's vulnerability database",
    official: Some("https://vuln.go.dev/vulndb.zip"),
    // A checkout has the CVE records beside, under other names.
    wants: |path| {
        let name = file_name(path);
        name.starts_with("GO-") && name.ends_with(".json") && !path.contains("cve/v5/")
    },
    read: |_, bytes| osv_record(bytes, "go"),
    listing: Listing::Document,
    max_bytes: MAX_RECORD,
    whole: None,
};
