//! AlmaLinux's errata, as OSV.

use super::{Feed, osv_feed, osv_record};

/// The feed.
pub const FEED: Feed = osv_feed(
    "almalinux",
    "AlmaLinux's errata",
    Some("https://osv-vulnerabilities.storage.googleapis.com/AlmaLinux"),
    |_, bytes| osv_record(bytes, "almalinux"),
);
