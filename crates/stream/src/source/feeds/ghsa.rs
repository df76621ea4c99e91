//! GitHub's reviewed advisories, as OSV: a checkout or an archive of their database.

use super::{Feed, osv_feed, osv_record};

/// The feed.
pub const FEED: Feed = osv_feed("ghsa", "GitHub's advisory database", None, |_, bytes| {
    osv_record(bytes, "ghsa")
});
