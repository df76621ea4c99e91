//! CISA's Vulnrichment: CVE records with SSVC, KEV and CPE of an ADP.

use super::{Feed, Listing, file_name};
use bartizan_vuln::feeds::{MAX_RECORD, cve};
use bartizan_vuln::record::Record;

/// The feed.
pub const FEED: Feed = Feed {
    name: "vulnrichment",
    about: "CISA's Vulnrichment (SSVC)",
    official: Some("https://github.com/cisagov/vulnrichment/archive/refs/heads/develop.zip"),
    wants: |path| {
        let name = file_name(path);
        name.starts_with("CVE-") && name.ends_with(".json")
    },
    read: |_, bytes| cve::parse(bytes).map(|one| vec![Record::Cve(Box::new(one))]),
    listing: Listing::Document,
    max_bytes: MAX_RECORD,
    whole: None,
};
