//! Red Hat's advisories, as OSV.

use super::{Feed, osv_feed, osv_record};

/// The feed.
pub const FEED: Feed = osv_feed(
    "redhat",
    "Red Hat's security advisories",
    Some("https://security.access.redhat.com/data/osv"),
    |_, bytes| osv_record(bytes, "redhat"),
);
