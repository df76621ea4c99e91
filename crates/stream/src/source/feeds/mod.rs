//! The feeds, one module each: which files they have, how a file becomes records, where they are
//! published and how their list is read there.

pub mod almalinux;
pub mod alpine;
pub mod csaf;
pub mod cve_list;
pub mod debian;
pub mod epss;
pub mod ghsa;
pub mod go;
pub mod kev;
pub mod openvex;
pub mod osv;
pub mod pypi;
pub mod redhat;
pub mod rustsec;
pub mod ubuntu;
pub mod vulnrichment;
pub mod wolfi;

use bartizan_vuln::feeds::{FeedError, MAX_RECORD};
use bartizan_vuln::record::Record;
use std::fmt;

/// A feed.
pub struct Feed {
    /// Its name, as sources begin.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Where it is published; `{label}` stands for the source's label.
    pub official: Option<&'static str>,
    /// Which files hold records.
    pub wants: fn(&str) -> bool,
    /// A file's records.
    pub read: fn(&str, &[u8]) -> Result<Vec<Record>, FeedError>,
    /// How its list is read at an address.
    pub listing: Listing,
    /// The largest file.
    pub max_bytes: usize,
    /// What the keys of its records begin with, where one file is the whole feed: a record that
    /// it has no more is withdrawn.
    pub whole: Option<Whole>,
}

/// A feed that is one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole {
    /// What the keys of its records begin with.
    pub prefix: &'static str,
    /// The source that a withdrawal names.
    pub source: &'static str,
}

/// How the files of an address are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// The address is a file or an archive.
    Document,
    /// A list of releases with assets, as the CVE list has them.
    Releases,
    /// `all.zip`, and `modified_id.csv` with what changed when.
    Osv,
    /// Pages that link to files and to folders.
    Pages,
    /// `changes.csv`, each line a file and when it changed.
    Changes,
}

impl Feed {
    /// Where it is published.
    pub fn official_address(&self, label: &str) -> Option<String> {
        let address = self.official?;
        if !address.contains("{label}") {
            return Some(address.to_owned());
        }
        (!label.is_empty()).then(|| address.replace("{label}", label))
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Feed {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Feed {}

/// All of them, by name.
pub const ALL: [&Feed; 17] = [
    &almalinux::FEED,
    &alpine::FEED,
    &csaf::FEED,
    &cve_list::FEED,
    &debian::FEED,
    &epss::FEED,
    &ghsa::FEED,
    &go::FEED,
    &kev::FEED,
    &openvex::FEED,
    &osv::FEED,
    &pypi::FEED,
    &redhat::FEED,
    &rustsec::FEED,
    &ubuntu::FEED,
    &vulnrichment::FEED,
    &wolfi::FEED,
];

/// The feed of that name.
pub fn by_name(name: &str) -> Option<&'static Feed> {
    ALL.into_iter().find(|feed| feed.name == name)
}

/// The last part of a path.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// Whether a name is one of a record as JSON: not the lists that stand beside them.
fn is_json(path: &str) -> bool {
    let name = file_name(path);
    name.ends_with(".json")
        && !matches!(
            name,
            "index.json" | "db.json" | "modules.json" | "vulns.json"
        )
}

/// What most feeds of OSV have in common.
const fn osv_feed(
    name: &'static str,
    about: &'static str,
    official: Option<&'static str>,
    read: fn(&str, &[u8]) -> Result<Vec<Record>, FeedError>,
) -> Feed {
    Feed {
        name,
        about,
        official,
        wants: is_json,
        read,
        listing: Listing::Osv,
        max_bytes: MAX_RECORD,
        whole: None,
    }
}

/// A file of the CVE list's format, as several publish it.
fn is_cve_file(path: &str) -> bool {
    let name = file_name(path);
    name.starts_with("CVE-") && name.ends_with(".json")
}

fn cve_record(_name: &str, bytes: &[u8]) -> Result<Vec<Record>, FeedError> {
    bartizan_vuln::feeds::cve::parse(bytes).map(|one| vec![Record::Cve(Box::new(one))])
}

fn osv_record(bytes: &[u8], source: &str) -> Result<Vec<Record>, FeedError> {
    bartizan_vuln::feeds::osv::parse(bytes, source).map(|one| vec![Record::Advisory(Box::new(one))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_feed_is_found_by_its_name_and_names_are_in_order() {
        let names: Vec<_> = ALL.iter().map(|feed| feed.name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(names, sorted);
        for feed in ALL {
            assert_eq!(by_name(feed.name), Some(feed));
            assert!(!feed.about.is_empty());
        }
        assert_eq!(by_name("nothing"), None);
    }

    #[test]
    fn a_feed_of_many_ecosystems_needs_a_label() {
        let osv = by_name("osv").unwrap();
        assert_eq!(osv.official_address(""), None);
        assert!(osv.official_address("npm").unwrap().ends_with("/npm"));
    }
}
