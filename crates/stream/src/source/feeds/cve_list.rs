//! The CVE List, version 5: releases with a baseline, hourly deltas and end-of-day files.

use super::{Feed, Listing, cve_record, is_cve_file};
use bartizan_vuln::feeds::MAX_RECORD;

/// The feed.
pub const FEED: Feed = Feed {
    name: "cve-list",
    about: "The CVE List",
    official: Some("https://api.github.com/repos/CVEProject/cvelistV5/releases"),
    wants: is_cve_file,
    read: cve_record,
    listing: Listing::Releases,
    max_bytes: MAX_RECORD,
    whole: None,
};
