//! EPSS: the probability of exploitation of each CVE, a file a day.

use super::{Feed, Listing, file_name};
use bartizan_vuln::feeds::{FeedError, MAX_BYTES, epss};
use bartizan_vuln::record::Record;

/// The feed.
pub const FEED: Feed = Feed {
    name: "epss",
    about: "EPSS scores",
    official: Some("https://epss.empiricalsecurity.com/epss_scores-current.csv.gz"),
    wants: |path| {
        let name = file_name(path);
        name.starts_with("epss") && (name.ends_with(".csv") || name.ends_with(".csv.gz"))
    },
    read,
    listing: Listing::Document,
    max_bytes: MAX_BYTES,
    whole: None,
};

fn read(_: &str, bytes: &[u8]) -> Result<Vec<Record>, FeedError> {
    let file = epss::parse(bytes)?;
    let date = file.day;
    let scores = file.scores.into_iter();
    Ok(scores
        .map(|score| Record::Epss {
            date: date.clone(),
            cve: score.cve,
            score: score.probability,
            percentile: score.percentile,
        })
        .collect())
}
