//! CISA's catalogue of known exploited vulnerabilities, the JSON file.

use super::{FeedError, MAX_BYTES, cve::is_cve, json};
use serde::{Deserialize, Serialize};

const FORMAT: &str = "KEV catalogue";

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KevEntry {
    /// The CVE.
    #[serde(rename = "cveID")]
    pub cve: String,
    /// The day it was added.
    pub date_added: String,
    /// The day by which agencies must act.
    #[serde(default)]
    pub due_date: String,
    /// What must be done.
    #[serde(default)]
    pub required_action: String,
    /// `Known` or `Unknown`.
    #[serde(default)]
    pub known_ransomware_campaign_use: String,
    /// Its name.
    #[serde(default)]
    pub vulnerability_name: String,
}

#[derive(Deserialize)]
struct Catalogue {
    count: Option<usize>,
    vulnerabilities: Vec<KevEntry>,
}

/// The whole catalogue. One that holds fewer entries than it says was cut short.
pub fn parse(bytes: &[u8]) -> Result<Vec<KevEntry>, FeedError> {
    let catalogue: Catalogue = json(FORMAT, bytes, MAX_BYTES)?;
    let found = catalogue.vulnerabilities.len();
    if let Some(count) = catalogue.count.filter(|c| *c != found) {
        let why = format!("it says {count} entries and holds {found}");
        return Err(FeedError::new(FORMAT, 0, why));
    }
    if let Some(entry) = catalogue.vulnerabilities.iter().find(|e| !is_cve(&e.cve)) {
        return Err(FeedError::new(
            FORMAT,
            0,
            format!("{:?} is no CVE id", entry.cve),
        ));
    }
    Ok(catalogue.vulnerabilities)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalogue_is_whole_or_refused() {
        let text = r#"{"count":1,"vulnerabilities":[{"cveID":"CVE-2024-0001","dateAdded":"2024-03-01","knownRansomwareCampaignUse":"Known"}]}"#;
        assert_eq!(parse(text.as_bytes()).unwrap()[0].date_added, "2024-03-01");
        assert!(parse(text.replace(":1,", ":2,").as_bytes()).is_err());
    }
}
