//! CISA's Vulnrichment: CVE records with SSVC, KEV and CPE of an ADP.

use super::{Feed, Listing, cve_record, is_cve_file};
use bartizan_vuln::feeds::MAX_RECORD;

/// The feed.
pub const FEED: Feed = Feed {
    name: "vulnrichment",
    about: "CISA's Vulnrichment (SSVC)",
    official: Some("https://github.com/cisagov/vulnrichment/archive/refs/heads/develop.zip"),
    wants: is_cve_file,
    read: cve_record,
    listing: Listing::Document,
    max_bytes: MAX_RECORD,
    whole: None,
};
