//! What a question asks for: names, filters, and the words that are left.
//!
//! Only what is plainly said becomes a filter, and every filter is shown with the answer: a filter
//! that nobody sees would be an answer to another question.

use crate::AskError;
use bartizan_model::Timestamp;
use regex::Regex;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// A longer question is refused.
pub const MAX_QUESTION: usize = 2_000;
/// The highest score there is, in tenths.
const HIGHEST: u8 = 100;

/// What every hit must be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filters {
    /// Published at or after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Published before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The least score, in tenths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least: Option<u8>,
    /// The highest score, in tenths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<u8>,
    /// Within one of these, least and highest score in tenths, where severities with a gap between
    /// them are asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bands: Vec<(u8, u8)>,
    /// Known to be exploited.
    #[serde(default)]
    pub exploited: bool,
    /// Hits what the tenant runs.
    #[serde(default)]
    pub mine: bool,
    /// One of these products.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub products: Vec<String>,
    /// One of these records; made of `mine` by whoever knows what the tenant runs.
    #[serde(default, skip)]
    pub only: Option<Vec<String>>,
}

/// A question, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// As asked.
    pub asked: String,
    /// Records that it names.
    pub names: Vec<String>,
    /// What hits must be.
    pub filters: Filters,
    /// What is left to look for.
    pub rest: String,
}

macro_rules! pattern {
    ($name:ident, $text:literal) => {
        static $name: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new($text).ok());
    };
}

pattern!(
    NAME,
    r"(?i)\b(?:CVE-\d{4}-\d{4,19}|GHSA(?:-[0-9a-z]{4}){3}|(?:DSA|DLA)-\d{1,6}(?:-\d{1,3})?|USN-\d{1,5}-\d{1,3}|(?:RHSA|ALSA|RLSA|ELSA)-\d{4}:\d{1,6}|RUSTSEC-\d{4}-\d{4}|GO-\d{4}-\d{4,6}|PYSEC-\d{4}-\d{1,6})\b"
);
pattern!(PURL, r"\bpkg:[a-z0-9.+-]{1,30}/[^\s?#,;]{1,200}");
pattern!(
    PRODUCT,
    r#"(?i)\bproduct:(?:"([^"]{1,80})"|([^\s,;]{1,80}))"#
);
pattern!(
    SCORE,
    r"(?i)\b(?:cvss|score)s?\s*(?:of|is|are)?\s*(>=|≥|>|above|over|at least|<=|≤|<|below|under|at most)\s*(\d{1,2}(?:\.\d)?)"
);
pattern!(
    DATE,
    r"(?i)\b(since|after|from|before|until|in|during|of)\s+((?:19|20)\d\d)(?:-(\d{1,2}))?(?:-(\d{1,2}))?\b"
);
pattern!(
    MONTH,
    r"(?i)\b(since|after|from|before|until|in|during|of)\s+(january|february|march|april|may|june|july|august|september|october|november|december)\s+((?:19|20)\d\d)\b"
);
pattern!(
    AGO,
    r"(?i)\b(?:in|within|during|over)?\s*(?:the\s+)?(?:last|past)\s+(\d{1,4})?\s*(day|week|month|year)s?\b"
);
pattern!(
    SEVERITY,
    r"(?i)\b(critical|high|medium|low)(?:(\+)|\b(\s+or\s+(?:higher|above|worse)\b|\s+and\s+(?:higher|above|up)\b)?)(?:[\s-]+(?:severity|rated|risk)\b)?"
);
pattern!(
    EXPLOITED,
    r"(?i)\b(?:(?:known[\s-]+)?(?:actively[\s-]+)?exploited(?:\s+in\s+the\s+wild)?|in\s+(?:cisa'?s?\s+)?(?:the\s+)?kev(?:\s+catalogu?e)?|kev)\b"
);
pattern!(
    MINE,
    r"(?i)\b(?:(?:in|on|of|inside|affecting|affects?|hits?|hitting)\s+)?(?:(?:my|our)\s+(?:own\s+)?(?:clusters?|hosts?|systems?|servers?|images?|inventory|environment|infrastructure|fleet|machines?|workloads?|deployments?|assets?|nodes?|containers?|software|packages)|this\s+cluster|affects?\s+(?:us|me)|(?:we|i)\s+(?:run|have|use)|am\s+i\s+(?:affected|vulnerable)|are\s+we\s+(?:affected|vulnerable))\b"
);

/// Words that ask and say nothing about what is looked for.
const ASKING: &str = "vulnerability vulnerabilities vulnerable cve cves advisory advisories issue \
    issues bug bugs flaw flaws security show list give tell find all any known about there new \
    recent latest open affected affect affects affecting please top worst most severe published \
    disclosed reported have has ones only need patch fix first should know";

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

impl Filters {
    /// Whether anything is left out by them.
    pub fn limit(&self) -> bool {
        *self != Self::default()
    }

    /// Within one of these bands as well.
    fn within(&mut self, mut bands: Vec<(u8, u8)>) {
        bands.sort_unstable();
        let mut apart: Vec<(u8, u8)> = Vec::new();
        for (least, most) in bands {
            match apart.last_mut() {
                // 8.9 and 9.0 are neighbours.
                Some(last) if least <= last.1 + 1 => last.1 = last.1.max(most),
                _ => apart.push((least, most)),
            }
        }
        match apart.as_slice() {
            [] => {}
            [(least, most)] => {
                self.least = self.least.max(Some(*least));
                if *most < HIGHEST {
                    self.most = Some(self.most.map_or(*most, |m| m.min(*most)));
                }
            }
            _ => self.bands = apart,
        }
    }

    /// In words, for the answer.
    pub fn words(&self) -> Vec<String> {
        let tenths = |t: u8| format!("{}.{}", t / 10, t % 10);
        let mut words = Vec::new();
        if let Some(since) = self.since {
            words.push(format!("published since {}", since.day()));
        }
        if let Some(until) = self.until {
            words.push(format!("published before {}", until.day()));
        }
        if let Some(least) = self.least {
            words.push(format!("CVSS at least {}", tenths(least)));
        }
        if let Some(most) = self.most {
            words.push(format!("CVSS at most {}", tenths(most)));
        }
        if !self.bands.is_empty() {
            let band =
                |(least, most): &(u8, u8)| format!("{} to {}", tenths(*least), tenths(*most));
            let bands: Vec<String> = self.bands.iter().map(band).collect();
            words.push(format!("CVSS {}", bands.join(" or ")));
        }
        if self.exploited {
            words.push("known to be exploited".to_owned());
        }
        if self.mine {
            words.push("found in what you run".to_owned());
        }
        if !self.products.is_empty() {
            words.push(format!("product {}", self.products.join(" or ")));
        }
        words
    }
}

impl Question {
    /// Reads a question at a moment, which "last week" counts from.
    pub fn read(asked: &str, now: Timestamp) -> Result<Self, AskError> {
        let asked = bartizan_model::text::one_line(asked.trim());
        if asked.is_empty() {
            return Err(AskError::Question("ask something".to_owned()));
        }
        if asked.len() > MAX_QUESTION {
            return Err(AskError::Question(format!(
                "a question has at most {MAX_QUESTION} bytes; this one has {}",
                asked.len()
            )));
        }
        let mut question = Self {
            names: Vec::new(),
            filters: Filters::default(),
            rest: asked.clone(),
            asked,
        };
        question.take_names();
        question.take_products();
        question.take_numbers();
        question.take_dates(now);
        question.take_marks();
        question.rest = bartizan_model::text::one_line(&question.rest);
        Ok(question)
    }

    /// Whether what is left says anything to look for.
    pub fn asks_for_words(&self) -> bool {
        !self.informative().is_empty()
    }

    /// The words that say what is looked for.
    pub fn informative(&self) -> Vec<String> {
        let asking: Vec<String> = crate::words::words(ASKING);
        let mut words = crate::words::words(&self.rest);
        words.retain(|w| !asking.contains(w));
        words.sort_unstable();
        words.dedup();
        words
    }

    fn cut(
        &mut self,
        pattern: &Option<Regex>,
        mut each: impl FnMut(&mut Self, &regex::Captures<'_>) -> bool,
    ) {
        let Some(pattern) = pattern else {
            return;
        };
        let text = std::mem::take(&mut self.rest);
        let mut rest = String::with_capacity(text.len());
        let mut at = 0;
        for found in pattern.captures_iter(&text) {
            let Some(whole) = found.get(0) else {
                continue;
            };
            if each(self, &found) {
                rest.push_str(text.get(at..whole.start()).unwrap_or_default());
                rest.push(' ');
                at = whole.end();
            }
        }
        rest.push_str(text.get(at..).unwrap_or_default());
        self.rest = rest;
    }

    fn take_names(&mut self) {
        self.cut(&NAME, |question, found| {
            let name = found.get(0).map_or("", |m| m.as_str());
            let upper = name.to_uppercase();
            let name = match upper.strip_prefix("GHSA") {
                Some(_) => format!("GHSA{}", name.to_lowercase().trim_start_matches("ghsa")),
                None => upper,
            };
            if question.names.len() < 32 && !question.names.contains(&name) {
                question.names.push(name);
            }
            true
        });
    }

    fn take_products(&mut self) {
        self.cut(&PURL, |question, found| {
            let purl = found.get(0).map_or("", |m| m.as_str());
            let path = purl.split_once('/').map_or("", |(_, rest)| rest);
            let path = match path.rsplit_once('@') {
                // A scope's sign stands at the beginning, a version's does not.
                Some((name, _)) if !name.is_empty() => name,
                _ => path,
            };
            let name = path.replace("%40", "@");
            let name = if purl.starts_with("pkg:maven/") {
                name.replacen('/', ":", 1)
            } else if purl.starts_with("pkg:deb/")
                || purl.starts_with("pkg:rpm/")
                || purl.starts_with("pkg:apk/")
            {
                name.rsplit('/').next().unwrap_or_default().to_owned()
            } else {
                name
            };
            question.filters.products.push(name.to_lowercase());
            true
        });
        self.cut(&PRODUCT, |question, found| {
            let name = found
                .get(1)
                .or_else(|| found.get(2))
                .map_or("", |m| m.as_str());
            question.filters.products.push(name.to_lowercase());
            true
        });
        self.filters.products.truncate(16);
    }

    fn take_numbers(&mut self) {
        self.cut(&SCORE, |question, found| {
            let number = found.get(2).and_then(|m| m.as_str().parse::<f64>().ok());
            let Some(score) = number.and_then(bartizan_vuln::Tenths::new) else {
                return false;
            };
            let relation = found.get(1).map_or("", |m| m.as_str()).to_lowercase();
            let filters = &mut question.filters;
            match relation.as_str() {
                ">" | "above" | "over" => filters.least = Some(score.0.saturating_add(1)),
                ">=" | "≥" | "at least" => filters.least = Some(score.0),
                "<" | "below" | "under" => filters.most = Some(score.0.saturating_sub(1)),
                _ => filters.most = Some(score.0),
            }
            true
        });
        let mut bands = Vec::new();
        self.cut(&SEVERITY, |_, found| {
            let word = found.get(1).map_or("", |m| m.as_str()).to_lowercase();
            let open = found.get(2).or_else(|| found.get(3)).is_some();
            let (least, most) = match word.as_str() {
                "critical" => (90, HIGHEST),
                "high" => (70, 89),
                "medium" => (40, 69),
                _ => (1, 39),
            };
            bands.push((least, if open { HIGHEST } else { most }));
            true
        });
        self.filters.within(bands);
    }

    fn take_dates(&mut self, now: Timestamp) {
        self.cut(&MONTH, |question, found| {
            let text = |i| found.get(i).map_or("", |m: regex::Match<'_>| m.as_str());
            let name = text(2).to_lowercase();
            let month = MONTHS.iter().position(|m| *m == name).map(|m| m + 1);
            let year = text(3).parse().ok();
            question.dated(&text(1).to_lowercase(), year, month, None)
        });
        self.cut(&DATE, |question, found| {
            let number = |i| {
                found
                    .get(i)
                    .and_then(|m: regex::Match<'_>| m.as_str().parse().ok())
            };
            let year = number(2).map(|y: usize| y as i32);
            let word = found.get(1).map_or("", |m| m.as_str()).to_lowercase();
            question.dated(&word, year, number(3), number(4))
        });
        self.cut(&AGO, |question, found| {
            let count: i64 = found
                .get(1)
                .map_or(Some(1), |m| m.as_str().parse().ok())
                .unwrap_or(1);
            let days = match found
                .get(2)
                .map_or("", |m| m.as_str())
                .to_lowercase()
                .as_str()
            {
                "day" => 1,
                "week" => 7,
                "month" => 30,
                _ => 365,
            };
            question.filters.since = Some(now.plus_seconds(-count * days * 86_400));
            true
        });
    }

    fn dated(
        &mut self,
        word: &str,
        year: Option<i32>,
        month: Option<usize>,
        day: Option<usize>,
    ) -> bool {
        let Some(year) = year else {
            return false;
        };
        let (y, m, d) = (year, month.unwrap_or(1), day.unwrap_or(1));
        let begin = Timestamp::parse(&format!("{y:04}-{m:02}-{d:02}T00:00:00Z"));
        let after = match (month, day) {
            (_, Some(_)) => begin.clone().map(|t| t.plus_seconds(86_400)),
            (Some(12), _) | (None, _) => Timestamp::parse(&format!("{:04}-01-01T00:00:00Z", y + 1)),
            (Some(m), _) => Timestamp::parse(&format!("{y:04}-{:02}-01T00:00:00Z", m + 1)),
        };
        let (Ok(begin), Ok(after)) = (begin, after) else {
            return false;
        };
        match word {
            "since" | "from" => self.filters.since = Some(begin),
            "after" => self.filters.since = Some(after),
            "before" => self.filters.until = Some(begin),
            "until" => self.filters.until = Some(after),
            _ => {
                self.filters.since = Some(begin);
                self.filters.until = Some(after);
            }
        }
        true
    }

    fn take_marks(&mut self) {
        self.cut(&EXPLOITED, |question, _| {
            question.filters.exploited = true;
            true
        });
        self.cut(&MINE, |question, _| {
            question.filters.mine = true;
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Question {
        Question::read(text, Timestamp::parse("2026-11-26T12:00:00Z").unwrap()).unwrap()
    }

    #[test]
    fn filters_are_taken_out_of_the_words_and_said() {
        for (asked, filters, informative) in [
            (
                "critical openssl vulnerabilities since 2024-03",
                vec!["published since 2024-03-01", "CVSS at least 9.0"],
                vec!["openssl"],
            ),
            (
                "high or higher issues in my cluster",
                vec!["CVSS at least 7.0", "found in what you run"],
                vec![],
            ),
            (
                "medium severity kev vulnerabilities of 2023",
                vec![
                    "published since 2023-01-01",
                    "published before 2024-01-01",
                    "CVSS at least 4.0",
                    "CVSS at most 6.9",
                    "known to be exploited",
                ],
                vec![],
            ),
            (
                "what was published in the last 2 weeks about nginx?",
                vec!["published since 2026-11-12"],
                vec!["nginx"],
            ),
            (
                "CVSS above 8 in pkg:npm/%40a/b@1.0",
                vec!["CVSS at least 8.1", "product @a/b"],
                vec![],
            ),
            (
                "pkg:maven/org.a/b@1 until December 2023",
                vec!["published before 2024-01-01", "product org.a:b"],
                vec![],
            ),
            (
                "are we affected by xz backdoor",
                vec!["found in what you run"],
                vec!["backdoor", "xz"],
            ),
            (
                "product:\"log4j core\" lookups",
                vec!["product log4j core"],
                vec!["lookup"],
            ),
        ] {
            let question = read(asked);
            assert_eq!(question.filters.words(), filters, "{asked}");
            assert_eq!(question.informative(), informative, "{asked}");
        }
    }

    #[test]
    fn severities_are_a_union_within_the_scores() {
        for (asked, filters, informative) in [
            (
                "critical or high openssl",
                vec!["CVSS at least 7.0"],
                vec!["openssl"],
            ),
            (
                "high or critical openssl",
                vec!["CVSS at least 7.0"],
                vec!["openssl"],
            ),
            ("high+ issues", vec!["CVSS at least 7.0"], vec![]),
            ("medium+ severity issues", vec!["CVSS at least 4.0"], vec![]),
            ("high and above", vec!["CVSS at least 7.0"], vec![]),
            (
                "low or medium severity",
                vec!["CVSS at least 0.1", "CVSS at most 6.9"],
                vec![],
            ),
            (
                "low or critical",
                vec!["CVSS 0.1 to 3.9 or 9.0 to 10.0"],
                vec![],
            ),
            (
                "CVSS at least 9.5, critical",
                vec!["CVSS at least 9.5"],
                vec![],
            ),
            (
                "cvss below 9.5 and critical",
                vec!["CVSS at least 9.0", "CVSS at most 9.4"],
                vec![],
            ),
            (
                "score under 8, high or higher",
                vec!["CVSS at least 7.0", "CVSS at most 7.9"],
                vec![],
            ),
            (
                "high risk in openssl",
                vec!["CVSS at least 7.0", "CVSS at most 8.9"],
                vec!["openssl"],
            ),
            ("highly available", vec![], vec!["available", "high"]),
        ] {
            let question = read(asked);
            assert_eq!(question.filters.words(), filters, "{asked}");
            assert_eq!(question.informative(), informative, "{asked}");
        }
    }

    #[test]
    fn names_are_read_in_any_case() {
        let question = read("is cve-2024-3094 the same as ghsa-RXWQ-x6h5-x525 or dsa-5649-1?");
        assert_eq!(
            question.names,
            ["CVE-2024-3094", "GHSA-rxwq-x6h5-x525", "DSA-5649-1"]
        );
        assert!(Question::read(" ", Timestamp::from_micros(0)).is_err());
        assert!(Question::read(&"a".repeat(3_000), Timestamp::from_micros(0)).is_err());
    }
}
