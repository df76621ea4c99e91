//! The CVE List, version 5: releases with a baseline, hourly deltas and end-of-day files.

use super::{Feed, Listing, file_name};
use bartizan_vuln::feeds::{MAX_RECORD, cve};
use bartizan_vuln::record::Record;

/// The feed.
pub const FEED: Feed = Feed {
    name: "cve-list",
    about: "The CVE List",
    official: Some("https://api.github.com/repos/CVEProject/cvelistV5/releases"),
    wants: |path| {
        let name = file_name(path);
        name.starts_with("CVE-") && name.ends_with(".json")
    },
    read: |_, bytes| cve::parse(bytes).map(|one| vec![Record::Cve(Box::new(one))]),
    listing: Listing::Releases,
    max_bytes: MAX_RECORD,
    whole: None,
};
