//! Everything that is known of one vulnerability, under all its names.

use super::{record, rows};
use bartizan_store::vulnerabilities::{EpssRow, Level};
use bartizan_store::{Store, StoreError};
use bartizan_vuln::feeds::cve::{CveRecord, CveState, is_cve};
use bartizan_vuln::feeds::kev::KevEntry;
use bartizan_vuln::priority::{Facts, Priority, judge};
use bartizan_vuln::vex::Vex;
use bartizan_vuln::{Advisory, Record, Tenths};

/// The most advisories that are told of one vulnerability.
const MAX_ADVISORIES: usize = 500;

/// One vulnerability.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Whole {
    /// All its names, the asked one first.
    pub names: Vec<String>,
    /// Records of the CVE list: one a CVE among the names.
    pub cves: Vec<CveRecord>,
    /// Advisories about it.
    pub advisories: Vec<Advisory>,
    /// There are more than are told.
    pub more: bool,
    /// Entries of the catalogue of what is exploited.
    pub kev: Vec<KevEntry>,
    /// EPSS.
    pub epss: Vec<EpssRow>,
    /// Statements of suppliers.
    pub vex: Vec<Vex>,
    /// Records that their feed withdrew, by key.
    pub withdrawn: Vec<String>,
    /// Records that cannot be read back, by key, with the reason.
    pub unreadable: Vec<String>,
    /// The score that counts, in tenths.
    pub score: Option<u8>,
}

impl Whole {
    /// How bad.
    pub fn level(&self) -> Level {
        Level::of(self.score)
    }

    /// Whether it is known to be exploited.
    pub fn exploited(&self) -> bool {
        !self.kev.is_empty() || self.cves.iter().any(|cve| cve.kev.is_some())
    }

    /// Rejected by whoever assigned it: no record stands any more.
    pub fn rejected(&self) -> bool {
        let dead = |cve: &CveRecord| cve.state == CveState::Rejected;
        !self.cves.is_empty() && self.cves.iter().all(dead)
    }

    /// Addresses that are said to lead to exploits.
    pub fn exploits(&self) -> Vec<&str> {
        let of_cves = self.cves.iter().flat_map(|cve| &cve.references);
        let of_advisories = self.advisories.iter().flat_map(|a| &a.references);
        let mut found: Vec<&str> = of_cves
            .chain(of_advisories)
            .filter(|reference| rows::is_exploit(reference))
            .map(|reference| reference.url.as_str())
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// What comes first by what the world knows of it; what it hits here is not asked.
    pub fn priority(&self) -> Priority {
        let ssvc = self.cves.iter().find_map(|cve| cve.ssvc.as_ref());
        judge(&Facts {
            score: self.score.map(Tenths),
            epss: self.epss.iter().map(|e| e.score).reduce(f32::max),
            kev: self.exploited(),
            ransomware: self
                .kev
                .iter()
                .any(|k| k.known_ransomware_campaign_use == "Known"),
            exploitation: ssvc.map(|s| s.exploitation.clone()),
            automatable: ssvc.map(|s| s.automatable.clone()),
            technical_impact: ssvc.map(|s| s.technical_impact.clone()),
            ..Facts::default()
        })
    }
}

/// Gathers it; `None` when nobody names it.
pub async fn whole(store: &Store, id: &str) -> Result<Option<Whole>, StoreError> {
    let known = store.vulnerabilities();
    let names = known.names(id).await?;
    let cves: Vec<String> = names.iter().filter(|n| is_cve(n)).cloned().collect();
    let keys: Vec<String> = cves
        .iter()
        .flat_map(|cve| [format!("cve/{cve}"), format!("kev/{cve}")])
        .collect();
    let mut stored = known.records(&keys).await?;
    stored.sort_by(|a, b| a.key.cmp(&b.key));
    let advisories = known.advisories_of(&names).await?;
    let more = advisories.len() > MAX_ADVISORIES;
    stored.extend(advisories.into_iter().take(MAX_ADVISORIES));
    stored.extend(known.vex_of(&names).await?);
    let epss = known.epss(&cves).await?;
    if stored.is_empty() && epss.is_empty() {
        return Ok(None);
    }
    let mut whole = Whole {
        names,
        epss,
        more,
        ..Whole::default()
    };
    for stored in stored {
        match record(&stored) {
            Ok(Some(Record::Cve(cve))) => whole.cves.push(*cve),
            Ok(Some(Record::Advisory(advisory))) => whole.advisories.push(*advisory),
            Ok(Some(Record::Kev(entry))) => whole.kev.push(entry),
            Ok(Some(Record::Vex(vex))) => whole.vex.push(*vex),
            Ok(Some(Record::Epss { .. } | Record::Withdrawn { .. })) => {}
            Ok(None) => whole.withdrawn.push(stored.key),
            Err(error) => whole.unreadable.push(error.to_string()),
        }
    }
    let of_cves = whole.cves.iter().flat_map(|cve| &cve.ratings);
    whole.score = match rows::score(of_cves) {
        // Who assigns the CVE knows it best; else whoever has rated it.
        Some(score) => Some(score),
        None => rows::score(whole.advisories.iter().flat_map(|a| &a.severities)),
    };
    Ok(Some(whole))
}
