//! OSV's own dump: an archive for each ecosystem, and single records.

use super::{Feed, osv_feed, osv_record};

/// The feed.
pub const FEED: Feed = osv_feed(
    "osv",
    "Advisories of an ecosystem, by osv.dev",
    Some("https://osv-vulnerabilities.storage.googleapis.com/{label}"),
    |_, bytes| osv_record(bytes, "osv"),
);
