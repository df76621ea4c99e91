//! CVSS: the vector is kept, the score computed from it, and what the record claims beside it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A score in tenths: 98 is 9.8. Whole numbers, so that it has an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tenths(pub u8);

impl Tenths {
    /// From a decimal; `None` outside 0 to 10.
    pub fn new(score: f64) -> Option<Self> {
        (0.0..=10.0)
            .contains(&score)
            .then(|| Self((score * 10.0).round() as u8))
    }
}

impl fmt::Display for Tenths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 / 10, self.0 % 10)
    }
}

/// One severity as a feed gave it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rating {
    /// Who rated.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// The vector or, where there is none, the feed's word (`high`).
    pub vector: String,
    /// Computed from the vector; `None` where the vector does not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Tenths>,
    /// As stated beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stated: Option<Tenths>,
}

impl Rating {
    /// A rating by its vector, scored.
    pub fn of(by: &str, vector: &str, stated: Option<f64>) -> Self {
        Self {
            by: by.to_owned(),
            vector: vector.chars().take(512).collect(),
            score: score(vector),
            stated: stated.and_then(Tenths::new),
        }
    }

    /// What counts: the computed base score, else the stated one.
    pub fn value(&self) -> Option<Tenths> {
        self.score.or(self.stated)
    }

    /// Whether the stated score contradicts the vector.
    pub fn contradicts(&self) -> bool {
        matches!((self.score, self.stated), (Some(a), Some(b)) if a != b)
    }
}

/// The base score of a CVSS 2, 3.0, 3.1 or 4.0 vector.
pub fn score(vector: &str) -> Option<Tenths> {
    if vector.len() > 512 {
        return None;
    }
    let vector = vector.trim().trim_matches(['(', ')']);
    let value = match vector.parse::<cvss::Cvss>().ok()? {
        cvss::Cvss::CvssV30(v) | cvss::Cvss::CvssV31(v) => v.base_score().value(),
        other => other.score(),
    };
    Tenths::new(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_scores() {
        for (vector, tenths) in [
            ("AV:N/AC:L/Au:N/C:C/I:C/A:C", 100),
            ("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 98),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 100),
            (
                "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N/E:P/RL:O/RC:C",
                61,
            ),
            (
                "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
                93,
            ),
        ] {
            assert_eq!(score(vector), Some(Tenths(tenths)), "{vector}");
        }
        assert_eq!(score("CVSS:3.1/AV:X"), None);
        assert!(
            Rating::of(
                "a",
                "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
                Some(5.0)
            )
            .contradicts()
        );
    }
}
