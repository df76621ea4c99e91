//! CVE records 5.x (CVEProject/cve-schema), with the containers of the CNA and of all ADPs:
//! Vulnrichment's SSVC and KEV marks come as one of them.
//!
//! Four of five version entries carry no usable type and no record carries a purl, so a CVE
//! record describes and rates; OSV and the distributions decide who is affected.

use super::{FeedError, MAX_RECORD, bounded, json_error, required_moment};
use crate::{Rating, Reference};
use bartizan_model::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;

const FORMAT: &str = "CVE record";

/// A CVE record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CveRecord {
    /// `CVE-2024-3094`.
    pub id: String,
    /// Published or rejected.
    pub state: CveState,
    /// The short name of the CNA that assigned it.
    pub assigner: String,
    /// Reserved.
    pub reserved: Option<Timestamp>,
    /// Published.
    pub published: Option<Timestamp>,
    /// Last changed.
    pub updated: Option<Timestamp>,
    /// When the latest of its containers was: an ADP adds to a record without touching `updated`
    /// (a fifth of the versions of Vulnrichment share it with another one).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revised: Option<Timestamp>,
    /// The title, where there is one.
    pub title: String,
    /// The English description, else the first; of a rejected record, the reasons.
    pub description: String,
    /// Products of all containers.
    pub products: Vec<Product>,
    /// Scores of all containers.
    pub ratings: Vec<Rating>,
    /// Weaknesses of all containers.
    pub cwes: Vec<String>,
    /// References of all containers, each address once.
    pub references: Vec<Reference>,
    /// CISA's decision points.
    pub ssvc: Option<Ssvc>,
    /// Listed as exploited.
    pub kev: Option<KevMark>,
}

impl CveRecord {
    /// Which of two copies is newer: the latest moment that the record states.
    pub fn changed(&self) -> Option<Timestamp> {
        let decided = self.ssvc.as_ref().and_then(|s| s.at);
        let latest = self.updated.max(self.revised).max(decided);
        latest.or(self.published).or(self.reserved)
    }
}

/// The state of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CveState {
    /// Published.
    Published,
    /// Rejected: not a vulnerability, or a duplicate.
    Rejected,
}

/// A product as a container names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Which container.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// The vendor.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vendor: String,
    /// The product.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub product: String,
    /// The package, where the record has a collection.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub package: String,
    /// The collection's address.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub collection: String,
    /// The repository.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub repository: String,
    /// The package's URL (since 5.2).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub purl: String,
    /// What versions are that no entry names: `affected`, `unaffected`, `unknown`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub default_status: String,
    /// Versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<VersionEntry>,
    /// CPE names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cpes: Vec<String>,
    /// Platforms.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
}

/// One entry of versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionEntry {
    /// The version, or where the range begins.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// `affected`, `unaffected`, `unknown`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// `semver`, `git`, `custom`, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Below this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub less_than: Option<String>,
    /// Up to this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub less_than_or_equal: Option<String>,
}

/// CISA's decision points (SSVC).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ssvc {
    /// `none`, `poc`, `active`.
    pub exploitation: String,
    /// `yes`, `no`.
    pub automatable: String,
    /// `partial`, `total`.
    pub technical_impact: String,
    /// When decided.
    pub at: Option<Timestamp>,
}

/// The mark that an ADP put on a record whose vulnerability is known to be exploited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KevMark {
    /// The day as written.
    pub added: String,
    /// The catalogue's address.
    pub reference: String,
}

type Text<'a> = Option<Cow<'a, str>>;

#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(rename = "cveMetadata", borrow)]
    meta: Meta<'a>,
    #[serde(borrow)]
    containers: Containers<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta<'a> {
    #[serde(borrow)]
    cve_id: Cow<'a, str>,
    #[serde(borrow)]
    state: Cow<'a, str>,
    #[serde(borrow)]
    assigner_short_name: Text<'a>,
    #[serde(borrow)]
    assigner_org_id: Text<'a>,
    #[serde(borrow)]
    date_reserved: Text<'a>,
    #[serde(borrow)]
    date_published: Text<'a>,
    #[serde(borrow)]
    date_updated: Text<'a>,
}

#[derive(Deserialize)]
struct Containers<'a> {
    #[serde(borrow)]
    cna: Container<'a>,
    #[serde(borrow, default)]
    adp: Vec<Container<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container<'a> {
    #[serde(borrow)]
    title: Text<'a>,
    #[serde(borrow)]
    provider_metadata: Option<Provider<'a>>,
    #[serde(borrow, default)]
    descriptions: Vec<Lang<'a>>,
    #[serde(borrow, default)]
    rejected_reasons: Vec<Lang<'a>>,
    #[serde(borrow, default)]
    affected: Vec<RawProduct<'a>>,
    #[serde(borrow, default)]
    metrics: Vec<Metric<'a>>,
    #[serde(borrow, default)]
    problem_types: Vec<Problem<'a>>,
    #[serde(borrow, default)]
    references: Vec<RawReference<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Provider<'a> {
    #[serde(borrow)]
    short_name: Text<'a>,
    #[serde(borrow)]
    date_updated: Text<'a>,
}

#[derive(Deserialize)]
struct Lang<'a> {
    #[serde(borrow, default)]
    lang: Cow<'a, str>,
    #[serde(borrow)]
    value: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawProduct<'a> {
    #[serde(borrow)]
    vendor: Text<'a>,
    #[serde(borrow)]
    product: Text<'a>,
    #[serde(borrow)]
    package_name: Text<'a>,
    #[serde(borrow, rename = "collectionURL")]
    collection: Text<'a>,
    #[serde(borrow)]
    repo: Text<'a>,
    #[serde(borrow, rename = "packageURL")]
    purl: Text<'a>,
    #[serde(borrow)]
    default_status: Text<'a>,
    #[serde(borrow, default)]
    versions: Vec<RawVersion<'a>>,
    #[serde(borrow, default)]
    cpes: Vec<Cow<'a, str>>,
    #[serde(borrow, default)]
    platforms: Vec<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawVersion<'a> {
    #[serde(borrow)]
    version: Text<'a>,
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(borrow)]
    version_type: Text<'a>,
    #[serde(borrow)]
    less_than: Text<'a>,
    #[serde(borrow)]
    less_than_or_equal: Text<'a>,
}

#[derive(Deserialize)]
struct Metric<'a> {
    #[serde(borrow, rename = "cvssV2_0")]
    v2: Option<Cvss<'a>>,
    #[serde(borrow, rename = "cvssV3_0")]
    v30: Option<Cvss<'a>>,
    #[serde(borrow, rename = "cvssV3_1")]
    v31: Option<Cvss<'a>>,
    #[serde(borrow, rename = "cvssV4_0")]
    v40: Option<Cvss<'a>>,
    #[serde(borrow)]
    other: Option<Other<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cvss<'a> {
    #[serde(borrow)]
    vector_string: Text<'a>,
    base_score: Option<f64>,
}

#[derive(Deserialize)]
struct Other<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    content: Option<Value>,
}

#[derive(Deserialize)]
struct Problem<'a> {
    #[serde(borrow, default)]
    descriptions: Vec<ProblemText<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProblemText<'a> {
    #[serde(borrow)]
    cwe_id: Text<'a>,
    #[serde(borrow)]
    description: Text<'a>,
}

#[derive(Deserialize)]
struct RawReference<'a> {
    #[serde(borrow)]
    url: Cow<'a, str>,
    #[serde(borrow, default)]
    tags: Vec<Cow<'a, str>>,
}

fn owned(text: Text<'_>) -> String {
    text.map(Cow::into_owned).unwrap_or_default()
}

fn all(texts: Vec<Cow<'_, str>>) -> Vec<String> {
    texts.into_iter().map(Cow::into_owned).collect()
}

/// Whether a text is a CVE id: `CVE-`, a year, four digits or more.
pub fn is_cve(text: &str) -> bool {
    let mut parts = text.split('-');
    let digits = |t: Option<&str>, least: usize| {
        t.is_some_and(|t| (least..=19).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_digit()))
    };
    parts.next() == Some("CVE")
        && digits(parts.next(), 4)
        && digits(parts.next(), 4)
        && parts.next().is_none()
}

/// One record.
pub fn parse(bytes: &[u8]) -> Result<CveRecord, FeedError> {
    bounded(FORMAT, bytes, MAX_RECORD)?;
    let raw: Raw<'_> = serde_json::from_slice(bytes).map_err(|e| json_error(FORMAT, &e))?;
    let meta = raw.meta;
    if !is_cve(&meta.cve_id) {
        let why = format!("cveId {:?} is no CVE id", meta.cve_id);
        return Err(FeedError::new(FORMAT, 0, why));
    }
    let state = match meta.state.as_ref() {
        "PUBLISHED" => CveState::Published,
        "REJECTED" => CveState::Rejected,
        other => {
            return Err(FeedError::new(
                FORMAT,
                0,
                format!("state {other:?} is neither PUBLISHED nor REJECTED"),
            ));
        }
    };
    let mut record = CveRecord {
        state,
        assigner: owned(meta.assigner_short_name.or(meta.assigner_org_id)),
        reserved: required_moment(FORMAT, "dateReserved", meta.date_reserved.as_deref())?,
        published: required_moment(FORMAT, "datePublished", meta.date_published.as_deref())?,
        updated: required_moment(FORMAT, "dateUpdated", meta.date_updated.as_deref())?,
        id: meta.cve_id.into_owned(),
        revised: None,
        title: String::new(),
        description: String::new(),
        products: Vec::new(),
        ratings: Vec::new(),
        cwes: Vec::new(),
        references: Vec::new(),
        ssvc: None,
        kev: None,
    };
    take(&mut record, raw.containers.cna, true);
    for container in raw.containers.adp {
        take(&mut record, container, false);
    }
    record.cwes.sort_unstable();
    record.cwes.dedup();
    record
        .references
        .sort_by(|a, b| a.url.cmp(&b.url).then_with(|| b.kind.cmp(&a.kind)));
    record
        .references
        .dedup_by(|later, kept| later.url == kept.url);
    Ok(record)
}

fn take(record: &mut CveRecord, container: Container<'_>, cna: bool) {
    let provider = container.provider_metadata;
    let dated = provider.as_ref().and_then(|p| p.date_updated.as_deref());
    record.revised = record.revised.max(dated.and_then(super::moment));
    let by = owned(provider.and_then(|p| p.short_name));
    if cna {
        record.title = owned(container.title);
        let texts = match record.state {
            CveState::Published => container.descriptions,
            CveState::Rejected => container.rejected_reasons,
        };
        let english = texts
            .iter()
            .position(|t| t.lang.starts_with("en"))
            .unwrap_or(0);
        if let Some(text) = texts.into_iter().nth(english) {
            record.description = text.value.into_owned();
        }
    }
    for product in container.affected {
        record.products.push(Product {
            by: by.clone(),
            vendor: owned(product.vendor),
            product: owned(product.product),
            package: owned(product.package_name),
            collection: owned(product.collection),
            repository: owned(product.repo),
            purl: owned(product.purl),
            default_status: owned(product.default_status),
            cpes: all(product.cpes),
            platforms: all(product.platforms),
            versions: product
                .versions
                .into_iter()
                .map(|v| VersionEntry {
                    version: owned(v.version),
                    status: owned(v.status),
                    kind: owned(v.version_type),
                    less_than: v.less_than.map(Cow::into_owned),
                    less_than_or_equal: v.less_than_or_equal.map(Cow::into_owned),
                })
                .collect(),
        });
    }
    for metric in container.metrics {
        for cvss in [metric.v2, metric.v30, metric.v31, metric.v40]
            .into_iter()
            .flatten()
        {
            if let Some(vector) = &cvss.vector_string {
                record
                    .ratings
                    .push(Rating::of(&by, vector, cvss.base_score));
            }
        }
        if let Some(other) = metric.other {
            mark(record, other);
        }
    }
    for text in container
        .problem_types
        .into_iter()
        .flat_map(|p| p.descriptions)
    {
        let id = text.cwe_id.or(text.description).unwrap_or_default();
        let id = id.split([' ', ':']).next().unwrap_or_default();
        let number = id.strip_prefix("CWE-").unwrap_or_default();
        if !number.is_empty() && number.len() <= 6 && number.bytes().all(|b| b.is_ascii_digit()) {
            record.cwes.push(id.to_owned());
        }
    }
    for reference in container.references {
        let tag = reference.tags.into_iter().find(|t| !t.starts_with("x_"));
        record.references.push(Reference {
            kind: owned(tag),
            url: reference.url.into_owned(),
        });
    }
}

fn mark(record: &mut CveRecord, other: Other<'_>) {
    let Some(content) = other.content else {
        return;
    };
    let text = |key: &str| content.get(key).and_then(Value::as_str).unwrap_or_default();
    match other.kind.as_deref() {
        Some("ssvc") => {
            let options = content.get("options").and_then(Value::as_array);
            let option = |name: &str| {
                options
                    .into_iter()
                    .flatten()
                    .find_map(|o| o.get(name)?.as_str())
                    .unwrap_or_default()
                    .to_lowercase()
            };
            record.ssvc = Some(Ssvc {
                exploitation: option("Exploitation"),
                automatable: option("Automatable"),
                technical_impact: option("Technical Impact"),
                at: super::moment(text("timestamp")),
            });
        }
        Some("kev") => {
            record.kev = Some(KevMark {
                added: text("dateAdded").to_owned(),
                reference: text("reference").to_owned(),
            });
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"dataType":"CVE_RECORD","dataVersion":"5.1",
      "cveMetadata":{"cveId":"CVE-2024-0001","state":"PUBLISHED","assignerShortName":"acme","dateUpdated":"2024-02-03T04:05:06.789Z","datePublished":"2024-02-03T04:05:06"},
      "containers":{"cna":{"title":"A \"quoted\" title","providerMetadata":{"orgId":"x","shortName":"acme"},
        "descriptions":[{"lang":"de","value":"Etwas"},{"lang":"en-US","value":"Something"}],
        "affected":[{"vendor":"acme","product":"rocket","defaultStatus":"unaffected","versions":[{"version":"0","lessThan":"2.0","status":"affected","versionType":"semver"}]}],
        "metrics":[{"cvssV3_1":{"vectorString":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H","baseScore":9.8}}],
        "problemTypes":[{"descriptions":[{"lang":"en","description":"CWE-79 Cross-site"}]}],
        "references":[{"url":"https://a"},{"url":"https://a","tags":["x_y","patch"]}]},
       "adp":[{"title":"CISA ADP Vulnrichment","providerMetadata":{"shortName":"CISA-ADP"},
        "metrics":[{"other":{"type":"ssvc","content":{"timestamp":"2024-03-01T00:00:00Z","options":[{"Exploitation":"active"},{"Automatable":"yes"},{"Technical Impact":"total"}]}}},
                   {"other":{"type":"kev","content":{"dateAdded":"2024-03-01","reference":"https://kev"}}}]}]}}"#;

    #[test]
    fn both_kinds_of_container_are_read() {
        let r = parse(RECORD.as_bytes()).unwrap();
        assert_eq!(r.title, "A \"quoted\" title");
        assert_eq!(r.description, "Something");
        assert_eq!(r.ratings[0].value(), Some(crate::Tenths(98)));
        assert_eq!(r.cwes, ["CWE-79"]);
        assert_eq!(r.references.len(), 1);
        assert_eq!(r.references[0].kind, "patch");
        assert_eq!(r.ssvc.as_ref().unwrap().exploitation, "active");
        assert_eq!(r.kev.as_ref().unwrap().added, "2024-03-01");
        assert_eq!(r.products[0].versions[0].less_than.as_deref(), Some("2.0"));
    }

    #[test]
    fn what_is_broken_is_refused() {
        for (from, to) in [
            ("CVE-2024-0001", "CVE-2024-1"),
            ("PUBLISHED", "MAYBE"),
            ("2024-02-03T04:05:06.789Z", "soon"),
            ("\"containers\"", "\"contents\""),
        ] {
            assert!(parse(RECORD.replace(from, to).as_bytes()).is_err(), "{to}");
        }
    }
}
