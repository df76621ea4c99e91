//! What is retrieved: one record, cut to what a reader and a ranking need.

use bartizan_model::{Timestamp, text};
use bartizan_vuln::feeds::cve::{CveRecord, CveState, Product, VersionEntry, is_cve};
use bartizan_vuln::{Advisory, Tenths};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// More of a description than this is neither indexed nor shown: 99.9 % are shorter.
const MAX_TEXT: usize = 16_000;
const MAX_LIST: usize = 64;

/// Where a document comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A record of the CVE list.
    Cve,
    /// An advisory of a feed.
    Advisory,
    /// Something of the asker's own: what it runs, or what hits it.
    Own,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// What it is cited by, of one document alone: `CVE-2024-3094`, `GHSA-…`, and for an advisory
    /// under an id that others have too `debian-tracker:CVE-2024-3094`; see [`Document::id_of`].
    pub id: String,
    /// Where it comes from.
    pub kind: Kind,
    /// The feed, or the CNA.
    pub source: String,
    /// The same under other names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// One line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// The description.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Vendors, products and packages, as written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub products: Vec<String>,
    /// Versions in words: `openssl (Debian:12): all versions, fixed in 3.0.13-1`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
    /// Weaknesses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cwes: Vec<String>,
    /// Addresses that the record gives.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
    /// First published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Timestamp>,
    /// The highest score that was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Tenths>,
    /// Known to be exploited.
    #[serde(default)]
    pub exploited: bool,
    /// Withdrawn or rejected: found by its id alone.
    #[serde(default)]
    pub withdrawn: bool,
}

impl Document {
    /// An empty one.
    pub fn new(id: impl Into<String>, kind: Kind, source: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            kind,
            source: source.into(),
            names: Vec::new(),
            title: String::new(),
            text: String::new(),
            products: Vec::new(),
            versions: Vec::new(),
            cwes: Vec::new(),
            references: Vec::new(),
            published: None,
            score: None,
            exploited: false,
            withdrawn: false,
        }
    }

    /// The id of an advisory's document. Trackers go by the CVE's id, and several feeds carry the
    /// same advisory: only who issues an id has it bare. A CVE's own is the CVE list's record.
    pub fn id_of(source: &str, id: &str) -> String {
        let issuer = match id.split_once('-').map_or("", |(kind, _)| kind) {
            _ if is_cve(id) => "",
            "GHSA" => "ghsa",
            "DSA" | "DLA" | "DTSA" | "DEBIAN" => "debian",
            "USN" | "LSN" | "UBUNTU" => "ubuntu",
            "RUSTSEC" => "rustsec",
            _ => "osv",
        };
        if source == issuer {
            id.to_owned()
        } else {
            format!("{source}:{id}")
        }
    }

    /// Of a record of the CVE list.
    pub fn of_cve(record: &CveRecord) -> Self {
        let mut document = Self::new(&record.id, Kind::Cve, &record.assigner);
        document.title = text::one_line(&text::plain(&record.title, 300));
        document.text = text::plain(&record.description, MAX_TEXT);
        document.withdrawn = record.state == CveState::Rejected;
        document.published = record.published;
        document.score = record.ratings.iter().filter_map(|r| r.value()).max();
        document.exploited = record.kev.is_some();
        document.cwes.clone_from(&record.cwes);
        document.references = listed(record.references.iter().map(|r| r.url.as_str()));
        document.products = listed(record.products.iter().flat_map(|p| {
            [&p.vendor, &p.product, &p.package]
                .into_iter()
                .filter_map(|n| said(n))
        }));
        document.versions = listed(record.products.iter().flat_map(spans));
        document
    }

    /// Of an advisory.
    pub fn of_advisory(advisory: &Advisory) -> Self {
        let id = Self::id_of(&advisory.source, &advisory.id);
        let shared = (id != advisory.id).then_some(&advisory.id);
        let mut document = Self::new(id, Kind::Advisory, &advisory.source);
        document.names = listed(
            shared
                .into_iter()
                .chain(&advisory.aliases)
                .chain(&advisory.upstream)
                .map(String::as_str),
        );
        document.title = text::one_line(&text::plain(&advisory.summary, 300));
        document.text = text::plain(&advisory.details, MAX_TEXT);
        document.withdrawn = advisory.withdrawn.is_some();
        document.published = advisory.published;
        document.cwes.clone_from(&advisory.cwes);
        document.references = listed(advisory.references.iter().map(|r| r.url.as_str()));
        let own = advisory.affected.iter().flat_map(|a| &a.severities);
        document.score = advisory
            .severities
            .iter()
            .chain(own)
            .filter_map(|r| r.value())
            .max();
        document.products = listed(advisory.affected.iter().map(|a| a.package.as_str()));
        document.versions = listed(advisory.affected.iter().flat_map(|a| {
            a.ranges
                .iter()
                .take(4)
                .map(|s| format!("{} ({}): {}", a.package, a.ecosystem, s.words()))
        }));
        document
    }

    /// All its names, its id first.
    pub fn all_names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.id)
            .chain(&self.names)
            .map(String::as_str)
    }

    /// Everything that words are looked for in.
    pub fn all_text(&self) -> String {
        let mut all = String::with_capacity(self.title.len() + self.text.len() + 200);
        for part in [&self.title, &self.text] {
            all.push_str(part);
            all.push('\n');
        }
        for part in self.products.iter().chain(&self.cwes) {
            all.push_str(part);
            all.push('\n');
        }
        all
    }
}

/// What is written for nothing is nothing.
fn said(text: &str) -> Option<&str> {
    (!text.is_empty() && !text.eq_ignore_ascii_case("n/a")).then_some(text)
}

/// The first affected versions of a product, each with its name; none where it has no name.
fn spans(product: &Product) -> Vec<String> {
    let Some(name) = said(&product.product).or(said(&product.package)) else {
        return Vec::new();
    };
    let words = |entry: &VersionEntry| {
        let from = said(&entry.version)?;
        let end = match (&entry.less_than, &entry.less_than_or_equal) {
            (Some(end), _) | (None, Some(end)) if end == "*" => " and later".to_owned(),
            (Some(end), _) => format!(" before {end}"),
            (None, Some(end)) => format!(" to {end}"),
            (None, None) => String::new(),
        };
        Some(format!("{name} {from}{end}"))
    };
    let affected = product.versions.iter().filter(|v| v.status == "affected");
    affected.filter_map(words).take(4).collect()
}

/// Each once, in order, and not without end.
fn listed<S: Into<String>>(items: impl Iterator<Item = S>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    items
        .map(Into::into)
        .filter(|item| !item.trim().is_empty() && seen.insert(item.clone()))
        .take(MAX_LIST)
        .map(|item| text::one_line(&text::plain(&item, 500)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_vuln::feeds::{cve, osv};

    #[test]
    fn of_both_kinds_of_record() {
        let record = cve::parse(
            br#"{"dataType":"CVE_RECORD","dataVersion":"5.1","cveMetadata":{"cveId":"CVE-2024-0001","state":"PUBLISHED","datePublished":"2024-02-03T04:05:06Z"},
            "containers":{"cna":{"descriptions":[{"lang":"en","value":"Rockets fall."}],"affected":[{"vendor":"acme","product":"rocket","versions":[{"version":"0","lessThan":"2.0","status":"affected"}]}],
            "metrics":[{"cvssV3_1":{"vectorString":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}}]}}}"#,
        )
        .unwrap();
        let document = Document::of_cve(&record);
        assert_eq!(document.products, ["acme", "rocket"]);
        assert_eq!(document.versions, ["rocket 0 before 2.0"]);
        assert_eq!(document.score, Some(Tenths(98)));

        let advisory = osv::parse(
            br#"{"id":"GHSA-aaaa-bbbb-cccc","modified":"2024-01-01T00:00:00Z","aliases":["CVE-2024-0001"],"summary":"Rockets","details":"They fall.",
            "affected":[{"package":{"ecosystem":"npm","name":"rocket"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"2.0.0"}]}]}]}"#,
            "ghsa",
        )
        .unwrap();
        let document = Document::of_advisory(&advisory);
        assert_eq!(document.names, ["CVE-2024-0001"]);
        assert_eq!(
            document.versions,
            ["rocket (npm): all versions, fixed in 2.0.0"]
        );
    }

    #[test]
    fn an_id_is_bare_where_it_is_its_issuers() {
        for (source, id, of) in [
            ("ghsa", "GHSA-aaaa-bbbb-cccc", "GHSA-aaaa-bbbb-cccc"),
            ("osv", "GHSA-aaaa-bbbb-cccc", "osv:GHSA-aaaa-bbbb-cccc"),
            ("debian", "DSA-5649-1", "DSA-5649-1"),
            ("osv", "PYSEC-2024-1", "PYSEC-2024-1"),
            (
                "debian-tracker",
                "CVE-2024-0001",
                "debian-tracker:CVE-2024-0001",
            ),
            ("osv", "CVE-2024-0001", "osv:CVE-2024-0001"),
            (
                "alpine-secdb",
                "CVE-2024-0001",
                "alpine-secdb:CVE-2024-0001",
            ),
        ] {
            assert_eq!(Document::id_of(source, id), of);
        }
        let mut advisory = Advisory::new("CVE-2024-0001", "debian-tracker");
        advisory.upstream = vec!["CVE-2024-0001".to_owned()];
        let document = Document::of_advisory(&advisory);
        assert_eq!(document.id, "debian-tracker:CVE-2024-0001");
        assert_eq!(document.names, ["CVE-2024-0001"]);
    }

    #[test]
    fn a_version_goes_with_a_name_and_an_open_end_is_said() {
        let record = |affected: &str| {
            let text = format!(
                r#"{{"dataType":"CVE_RECORD","dataVersion":"5.1","cveMetadata":{{"cveId":"CVE-2024-0001","state":"PUBLISHED"}},
                "containers":{{"cna":{{"descriptions":[{{"lang":"en","value":"Rockets fall."}}],"affected":[{affected}]}}}}}}"#
            );
            Document::of_cve(&cve::parse(text.as_bytes()).unwrap()).versions
        };
        for (affected, versions) in [
            (
                r#"{"packageName":"engine","versions":[{"version":"1.0","lessThan":"2.0","status":"affected"}]}"#,
                vec!["engine 1.0 before 2.0"],
            ),
            (
                r#"{"product":"n/a","packageName":"engine","versions":[{"version":"1.0","lessThan":"*","status":"affected"}]}"#,
                vec!["engine 1.0 and later"],
            ),
            (
                r#"{"product":"rocket","versions":[{"version":"n/a","status":"affected"},{"version":"3","lessThanOrEqual":"4","status":"affected"}]}"#,
                vec!["rocket 3 to 4"],
            ),
            (
                r#"{"vendor":"n/a","product":"n/a","versions":[{"version":"1","status":"affected"}]}"#,
                vec![],
            ),
        ] {
            assert_eq!(record(affected), versions, "{affected}");
        }
    }
}
