//! Debian: the security tracker's one file, and advisories as OSV.

use super::{Feed, Listing, Whole, file_name, is_json, osv_record};
use bartizan_vuln::feeds::{MAX_BYTES, debian};
use bartizan_vuln::record::Record;

/// The feed.
pub const FEED: Feed = Feed {
    name: "debian",
    about: "Debian's security tracker",
    official: Some("https://security-tracker.debian.org/tracker/data/json"),
    wants: |path| is_json(path) || file_name(path) == "json",
    read: |name, bytes| {
        if is_tracker(name) {
            let all = debian::parse(bytes)?;
            Ok(all
                .into_iter()
                .map(Box::new)
                .map(Record::Advisory)
                .collect())
        } else {
            osv_record(bytes, "debian")
        }
    },
    listing: Listing::Document,
    max_bytes: MAX_BYTES,
    whole: Some(Whole {
        prefix: "advisory/debian-tracker/",
        source: "debian-tracker",
    }),
};

/// The tracker's file: whatever does not bear the name of an advisory.
fn is_tracker(path: &str) -> bool {
    let name = file_name(path);
    !["DSA-", "DLA-", "DTSA-", "DEBIAN-", "CVE-"]
        .iter()
        .any(|begin| name.starts_with(begin))
}
