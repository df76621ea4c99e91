//! Alpine's secdb: which revision of a package fixed what, a file for each release and repository.

use super::{Feed, Listing, is_json};
use bartizan_model::EcosystemKind;
use bartizan_vuln::feeds::{FeedError, MAX_BYTES, alpine};
use bartizan_vuln::record::Record;

/// The feed.
pub const FEED: Feed = Feed {
    name: "alpine",
    about: "Alpine's security database",
    official: Some("https://secdb.alpinelinux.org"),
    wants: is_json,
    read,
    listing: Listing::Pages,
    max_bytes: MAX_BYTES,
    whole: None,
};

fn read(name: &str, bytes: &[u8]) -> Result<Vec<Record>, FeedError> {
    records(EcosystemKind::Alpine, "alpine", name, bytes)
}

/// The records of a file of a secdb, whosever it is. A CVE stands in the files of several releases, so
/// each file is a source of its own: else the last one read would replace the others.
pub(super) fn records(
    kind: EcosystemKind,
    whose: &str,
    name: &str,
    bytes: &[u8],
) -> Result<Vec<Record>, FeedError> {
    let mut advisories = alpine::parse(bytes, kind)?;
    let file = super::file_name(name);
    let repository = file.strip_suffix(".json").unwrap_or(file);
    for advisory in &mut advisories {
        let release = advisory
            .affected
            .first()
            .map(|a| a.ecosystem.release.clone());
        let release = release
            .filter(|r| !r.is_empty())
            .unwrap_or_else(|| "rolling".to_owned());
        advisory.source = format!("{whose}-secdb:{release}:{repository}");
    }
    Ok(advisories
        .into_iter()
        .map(Box::new)
        .map(Record::Advisory)
        .collect())
}
