//! What a stream carries: one record of one feed, with the key under which a later one replaces it.
//!
//! Feeds differ in their files; behind this they are the same: a key, the moment of the last
//! change as the record itself states it, and bytes.

use crate::feeds::cve::{CveRecord, is_cve};
use crate::feeds::kev::KevEntry;
use crate::feeds::{self, FeedError, MAX_RECORD};
use crate::{Advisory, vex::Vex};
use bartizan_model::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

const FORMAT: &str = "record";

/// One record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// A record of the CVE list.
    Cve(Box<CveRecord>),
    /// An advisory of whichever feed.
    Advisory(Box<Advisory>),
    /// An entry of CISA's catalogue of what is exploited.
    Kev(KevEntry),
    /// The EPSS score of one CVE on one day.
    Epss {
        /// The day, `2025-06-01`, or the moment as the file states it.
        date: String,
        /// The CVE.
        cve: String,
        /// Probability of exploitation within 30 days, 0 to 1.
        score: f32,
        /// The share of CVEs with a lower or equal score, 0 to 1.
        percentile: f32,
    },
    /// A statement of a supplier.
    Vex(Box<Vex>),
    /// A feed no longer has a record. History stays.
    Withdrawn {
        /// `cve`, `kev`, `vex`, or the source of an advisory.
        source: String,
        /// The record's id there; of a statement of VEX, what stands behind `vex/` in its key.
        id: String,
        /// Since when, where the feed says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Timestamp>,
    },
}

impl Record {
    /// Under what it is kept: `cve/CVE-…`, `advisory/<source>/<id>`, `kev/CVE-…`, `epss/CVE-…`,
    /// `vex/<vulnerability>/<digest>`. A withdrawal has the key of what it withdraws.
    pub fn key(&self) -> String {
        match self {
            Self::Cve(record) => format!("cve/{}", record.id),
            Self::Advisory(advisory) => format!("advisory/{}/{}", advisory.source, advisory.id),
            Self::Kev(entry) => format!("kev/{}", entry.cve),
            Self::Epss { cve, .. } => format!("epss/{cve}"),
            Self::Vex(vex) => format!("vex/{}", vex_id(vex)),
            Self::Withdrawn { source, id, .. } => match source.as_str() {
                "cve" | "kev" | "epss" | "vex" => format!("{source}/{id}"),
                _ => format!("advisory/{source}/{id}"),
            },
        }
    }

    /// When it last changed, by its own word; an older one never replaces a newer one. Where the
    /// feed gives no moment (KEV, Debian's tracker, Alpine), whichever comes later counts.
    pub fn changed(&self) -> Option<Timestamp> {
        match self {
            Self::Cve(record) => record.changed(),
            Self::Advisory(advisory) => advisory
                .modified
                .or(advisory.published)
                .max(advisory.withdrawn),
            Self::Kev(_) => None,
            Self::Epss { date, .. } => feeds::moment(date),
            Self::Vex(vex) => vex.at,
            Self::Withdrawn { at, .. } => *at,
        }
    }

    /// The bytes that a stream carries; the same record gives the same bytes.
    pub fn encode(&self) -> Vec<u8> {
        // Writing JSON into memory fails only on maps with keys that are no strings: there are none.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// From [`Self::encode`]. What a stream gives back is not trusted: it is bounded, and its ids
    /// must be ids.
    pub fn decode(bytes: &[u8]) -> Result<Self, FeedError> {
        let record: Self = feeds::json(FORMAT, bytes, MAX_RECORD)?;
        let cve = |id: &str| {
            if is_cve(id) {
                Ok(())
            } else {
                Err(FeedError::new(FORMAT, 0, format!("{id:?} is no CVE id")))
            }
        };
        let id = |text: &str| feeds::id(FORMAT, text).map(|_| ());
        match &record {
            Self::Cve(record) => cve(&record.id)?,
            Self::Kev(entry) => cve(&entry.cve)?,
            Self::Advisory(advisory) => id(&advisory.id).and(id(&advisory.source))?,
            Self::Epss {
                cve: of,
                score,
                percentile,
                date,
            } => {
                cve(of)?;
                let share = 0.0..=1.0;
                if !share.contains(score) || !share.contains(percentile) {
                    return Err(FeedError::new(FORMAT, 0, "an EPSS score outside 0 to 1"));
                }
                if feeds::moment(date).is_none() {
                    let why = format!("the day of an EPSS score is none: {date:?}");
                    return Err(FeedError::new(FORMAT, 0, why));
                }
            }
            Self::Vex(vex) => {
                if vex.vulnerability.is_empty() {
                    return Err(FeedError::new(FORMAT, 0, "a statement about nothing"));
                }
                vex.vulnerability.iter().try_for_each(|v| id(v))?;
            }
            Self::Withdrawn { source, id: of, .. } => id(source).and(id(of))?,
        }
        Ok(record)
    }
}

/// A statement has no id of its own: who says what of which products in which document is it.
fn vex_id(vex: &Vex) -> String {
    let mut said = Vec::new();
    let mut part = |text: &str| {
        said.extend((text.len() as u64).to_le_bytes());
        said.extend(text.as_bytes());
    };
    part(&vex.document);
    part(&vex.author);
    for list in [&vex.products, &vex.subcomponents] {
        part(&list.len().to_string());
        list.iter().for_each(|purl| part(&purl.to_string()));
    }
    vex.unresolved.iter().for_each(|name| part(name));
    let vulnerability = vex.vulnerability.first().map_or("", String::as_str);
    let digest = Digest::of(&said);
    let hex = digest.as_str().trim_start_matches("sha256:");
    format!("{vulnerability}/{}", hex.get(..24).unwrap_or(hex))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vex::VexStatus;

    fn all() -> Vec<Record> {
        let cve = feeds::cve::parse(
            br#"{"cveMetadata":{"cveId":"CVE-2024-0001","state":"PUBLISHED",
            "dateUpdated":"2024-05-01T00:00:00Z"},"containers":{"cna":{"providerMetadata":
            {"shortName":"x","dateUpdated":"2024-06-01T00:00:00Z"},
            "descriptions":[{"lang":"en","value":"d"}]}}}"#,
        )
        .unwrap();
        let mut advisory = Advisory::new("GHSA-x", "osv");
        advisory.modified = feeds::moment("2024-01-02");
        vec![
            Record::Cve(Box::new(cve)),
            Record::Advisory(Box::new(advisory)),
            Record::Kev(KevEntry {
                cve: "CVE-2024-0001".into(),
                date_added: "2024-03-01".into(),
                due_date: String::new(),
                required_action: String::new(),
                known_ransomware_campaign_use: "Known".into(),
                vulnerability_name: String::new(),
            }),
            Record::Epss {
                date: "2025-06-01".into(),
                cve: "CVE-2024-0001".into(),
                score: 0.97,
                percentile: 0.999,
            },
            Record::Vex(Box::new(Vex {
                document: "https://example.com/vex.json".into(),
                author: "Example".into(),
                vulnerability: vec!["CVE-2024-0001".into()],
                products: vec!["pkg:npm/left-pad@1.0.0".parse().unwrap()],
                subcomponents: Vec::new(),
                unresolved: Vec::new(),
                status: VexStatus::NotAffected,
                justification: None,
                impact: None,
                action: None,
                at: feeds::moment("2024-07-01"),
            })),
            Record::Withdrawn {
                source: "osv".into(),
                id: "GHSA-x".into(),
                at: None,
            },
        ]
    }

    #[test]
    fn every_kind_comes_back() {
        for record in all() {
            assert_eq!(Record::decode(&record.encode()).unwrap(), record);
        }
    }

    #[test]
    fn keys_and_moments() {
        let all = all();
        let keys: Vec<String> = all.iter().map(Record::key).collect();
        assert_eq!(keys[0], "cve/CVE-2024-0001");
        assert_eq!(keys[1], "advisory/osv/GHSA-x");
        assert_eq!(
            keys[1], keys[5],
            "a withdrawal has the key of what it withdraws"
        );
        assert_eq!(keys[2], "kev/CVE-2024-0001");
        assert_eq!(keys[3], "epss/CVE-2024-0001");
        assert_eq!(keys[4], "vex/CVE-2024-0001/bd4381627a120eb401d5427b");
        // An ADP's container is later than the record's own date.
        assert_eq!(all[0].changed(), feeds::moment("2024-06-01"));
        assert_eq!(all[1].changed(), feeds::moment("2024-01-02"));
        assert_eq!(all[2].changed(), None);
    }

    #[test]
    fn what_says_something_else_of_the_same_products_replaces() {
        let Record::Vex(mut vex) = all().remove(4) else {
            unreachable!()
        };
        let before = Record::Vex(vex.clone()).key();
        vex.status = VexStatus::Affected;
        assert_eq!(Record::Vex(vex.clone()).key(), before);
        vex.products.clear();
        assert_ne!(Record::Vex(vex).key(), before);
    }

    #[test]
    fn hostile_bytes_are_refused() {
        for text in [
            "",
            "{}",
            r#"{"cve":{}}"#,
            r#"{"epss":{"date":"2025-06-01","cve":"CVE-2024-0001","score":2.0,"percentile":0.1}}"#,
            r#"{"epss":{"date":"never","cve":"CVE-2024-0001","score":0.1,"percentile":0.1}}"#,
            r#"{"withdrawn":{"source":"osv","id":"a b"}}"#,
            r#"{"kev":{"cveID":"x","dateAdded":"2024-01-01"}}"#,
        ] {
            assert!(Record::decode(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Record::decode(&b"[".repeat(100_000)).is_err());
    }
}
