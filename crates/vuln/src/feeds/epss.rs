//! EPSS scores: the daily CSV, plain or gzipped. A first line of comment names model and day.

use super::{FeedError, cve::is_cve};
use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Read};

const FORMAT: &str = "EPSS";
/// The longest line; real ones have 40 bytes.
const MAX_LINE: u64 = 1024;
/// The most lines: three times what a day holds.
const MAX_LINES: usize = 1_000_000;

/// The scores of a day.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Epss {
    /// The model's version.
    pub model: String,
    /// The day, as written.
    pub day: String,
    /// One a CVE.
    pub scores: Vec<EpssScore>,
}

/// The score of one CVE.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpssScore {
    /// The CVE.
    pub cve: String,
    /// Probability of exploitation within 30 days, 0 to 1.
    pub probability: f32,
    /// The share of CVEs with a lower or equal score, 0 to 1.
    pub percentile: f32,
}

/// Reads the file; gzip is known by its first two bytes.
pub fn parse(bytes: &[u8]) -> Result<Epss, FeedError> {
    super::bounded(FORMAT, bytes, super::MAX_BYTES)?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        read(BufReader::new(MultiGzDecoder::new(bytes)))
    } else {
        read(bytes)
    }
}

fn read(mut from: impl BufRead) -> Result<Epss, FeedError> {
    let mut epss = Epss::default();
    let mut header = false;
    let mut line = String::new();
    for number in 1..=MAX_LINES {
        line.clear();
        let got = from
            .by_ref()
            .take(MAX_LINE)
            .read_line(&mut line)
            .map_err(|e| FeedError::new(FORMAT, number, e.to_string()))?;
        if got == 0 {
            return if header {
                Ok(epss)
            } else {
                Err(FeedError::new(
                    FORMAT,
                    number,
                    "there is no header cve,epss,percentile",
                ))
            };
        }
        let text = line.trim();
        if let Some(comment) = text.strip_prefix('#') {
            for field in comment.split(',') {
                match field.split_once(':') {
                    Some(("model_version", v)) => epss.model = v.to_owned(),
                    Some(("score_date", v)) => epss.day = v.to_owned(),
                    _ => {}
                }
            }
            continue;
        }
        if !header {
            if text != "cve,epss,percentile" {
                return Err(FeedError::new(
                    FORMAT,
                    number,
                    "the header is not cve,epss,percentile",
                ));
            }
            header = true;
            continue;
        }
        if text.is_empty() {
            continue;
        }
        let score = row(text)
            .ok_or_else(|| FeedError::new(FORMAT, number, format!("{text:?} is no row")))?;
        epss.scores.push(score);
    }
    Err(FeedError::new(
        FORMAT,
        MAX_LINES,
        "there are too many lines",
    ))
}

fn row(text: &str) -> Option<EpssScore> {
    let mut fields = text.split(',');
    let cve = fields.next().filter(|c| is_cve(c))?.to_owned();
    let mut share = || {
        let value: f32 = fields.next()?.parse().ok()?;
        (0.0..=1.0).contains(&value).then_some(value)
    };
    let (probability, percentile) = (share()?, share()?);
    Some(EpssScore {
        cve,
        probability,
        percentile,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const DAY: &str = "#model_version:v2025.03.14,score_date:2025-06-01T00:00:00+0000\ncve,epss,percentile\nCVE-2024-0001,0.97,0.999\n";

    #[test]
    fn plain_gzipped_and_broken() {
        let plain = parse(DAY.as_bytes()).unwrap();
        assert_eq!(plain.model, "v2025.03.14");
        assert_eq!(plain.scores[0].probability, 0.97);
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(DAY.as_bytes()).unwrap();
        let gz = gz.finish().unwrap();
        assert_eq!(parse(&gz).unwrap(), plain);
        assert!(
            parse(&gz[..gz.len() - 10]).is_err(),
            "a file cut short is no day"
        );
        assert_eq!(
            parse(DAY.replace("0.97", "1.97").as_bytes())
                .unwrap_err()
                .line,
            3
        );
        assert!(parse(b"").is_err());
    }
}
