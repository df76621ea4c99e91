//! One order of what to do first, with its reasons in words.
//!
//! Levels before numbers: what is exploited now and reachable comes before what merely scores
//! high. Within a level the likelihood (EPSS), the score and a fix at hand decide. What is not
//! known never lowers a place; what a distribution found unimportant in its own package does, as
//! long as nobody exploits it.

use crate::{State, Tenths};
use serde::{Deserialize, Serialize};

/// How far a component is open to the world.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exposure {
    /// Reachable from the internet.
    pub internet: bool,
    /// Runs privileged, or as root on the host.
    pub privileged: bool,
    /// Running now.
    pub running: bool,
    /// Its code was seen in use by the runtime sensor.
    pub seen: bool,
}

/// What is known about one match.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The base score.
    pub score: Option<Tenths>,
    /// EPSS probability, 0 to 1.
    pub epss: Option<f32>,
    /// In CISA's catalogue.
    pub kev: bool,
    /// Used by ransomware, says the catalogue.
    pub ransomware: bool,
    /// SSVC: `none`, `poc`, `active`.
    pub exploitation: Option<String>,
    /// SSVC: `yes`, `no`.
    pub automatable: Option<String>,
    /// SSVC: `partial`, `total`.
    pub technical_impact: Option<String>,
    /// A fixed version is known.
    pub fixed: Option<String>,
    /// What the feed decided about the package.
    pub state: State,
    /// How far it is open.
    pub exposure: Exposure,
}

/// What a score counts at most, in tenths, where the distribution finds it unimportant: low.
const UNIMPORTANT: u16 = 39;

impl Facts {
    /// Whether the distribution found it unimportant in this package, and nobody is known to
    /// exploit it.
    pub fn unimportant(&self) -> bool {
        let active = self.exploitation.as_deref();
        self.state == State::Unimportant
            && !self.kev
            && !active.is_some_and(|e| e.eq_ignore_ascii_case("active"))
    }
}

/// What to do, in CISA's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// With the next regular update.
    Track,
    /// Watched closely; sooner than the regular update where that is easy.
    TrackClosely,
    /// Sooner than the regular update.
    Attend,
    /// Now.
    Act,
}

/// A place in the order, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Priority {
    /// What to do.
    pub level: Level,
    /// 0 to 999 within the level.
    pub rank: u16,
    /// Why, the weightiest first.
    pub reasons: Vec<String>,
}

impl Priority {
    /// The key to sort by, first things first when descending.
    pub fn order(&self) -> (Level, u16) {
        (self.level, self.rank)
    }
}

/// Judges one match.
pub fn judge(facts: &Facts) -> Priority {
    let mut reasons = Vec::new();
    let word =
        |t: &Option<String>, is: &str| t.as_deref().is_some_and(|t| t.eq_ignore_ascii_case(is));
    let active = facts.kev || word(&facts.exploitation, "active");
    let likely = facts.epss.is_some_and(|e| e >= 0.1);
    let proof = word(&facts.exploitation, "poc");
    let open = facts.exposure.internet || facts.exposure.privileged;
    let score = facts.score.map_or(50, |s| u16::from(s.0));
    let total = word(&facts.technical_impact, "total");
    let automatable = word(&facts.automatable, "yes");
    let unimportant = facts.unimportant();
    let severe = !unimportant && (score >= 90 || (score >= 70 && total));

    if facts.kev {
        reasons.push("it is exploited: CISA's catalogue lists it".to_owned());
    } else if active {
        reasons.push("it is exploited, says CISA's SSVC".to_owned());
    }
    if facts.ransomware {
        reasons.push("ransomware uses it".to_owned());
    }
    if unimportant {
        reasons.push("the distribution finds it unimportant in this package".to_owned());
    }
    if facts.exposure.internet {
        reasons.push("the component is reachable from the internet".to_owned());
    }
    if facts.exposure.privileged {
        reasons.push("the component runs privileged".to_owned());
    }
    if let Some(epss) = facts.epss {
        reasons.push(format!(
            "exploitation within 30 days is expected with {:.1} % (EPSS)",
            f64::from(epss) * 100.0
        ));
    }
    if proof {
        reasons.push("a public exploit exists".to_owned());
    }
    match facts.score {
        Some(score) => reasons.push(format!("CVSS {score}")),
        None => reasons.push("no score is known; counted as 5.0".to_owned()),
    }
    if automatable {
        reasons.push("an attack can be automated".to_owned());
    }
    if total {
        reasons.push("an attacker gains full control of the component".to_owned());
    }
    if facts.exposure.seen {
        reasons.push("its code was seen in use".to_owned());
    } else if facts.exposure.running {
        reasons.push("it is running now".to_owned());
    }
    match (&facts.fixed, facts.state) {
        (Some(version), _) => reasons.push(format!("{version} fixes it")),
        (None, State::WontFix) => reasons.push("no fix will come".to_owned()),
        (None, State::Postponed) => reasons.push("its fix waits for a later release".to_owned()),
        (None, _) => reasons.push("no fix is known".to_owned()),
    }

    let level = if active && (open || severe || automatable) {
        Level::Act
    } else if active || (severe && open && (likely || proof)) {
        Level::Attend
    } else if unimportant {
        Level::Track
    } else if likely || severe || (proof && open) {
        Level::TrackClosely
    } else {
        Level::Track
    };
    let share = facts.epss.unwrap_or(0.0).clamp(0.0, 1.0);
    let counted = if unimportant {
        score.min(UNIMPORTANT)
    } else {
        score
    };
    let mut rank = counted * 4 + (share * 300.0) as u16;
    for (fact, weight) in [
        (facts.ransomware, 60),
        (facts.exposure.internet, 60),
        (facts.exposure.privileged, 40),
        (facts.exposure.seen, 50),
        (facts.exposure.running, 30),
        (automatable, 20),
        (total, 20),
        (facts.fixed.is_some(), 19),
    ] {
        rank += if fact { weight } else { 0 };
    }
    Priority {
        level,
        rank: rank.min(999),
        reasons,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_exploited_goes_before_what_scores_high() {
        let exploited = Facts {
            score: Some(Tenths(65)),
            kev: true,
            exposure: Exposure {
                internet: true,
                ..Exposure::default()
            },
            ..Facts::default()
        };
        let high = Facts {
            score: Some(Tenths(98)),
            epss: Some(0.001),
            ..Facts::default()
        };
        let (a, b) = (judge(&exploited), judge(&high));
        assert!(a.order() > b.order());
        assert_eq!(a.level, Level::Act);
        assert!(a.reasons[0].contains("catalogue"));
        assert!(b.reasons.iter().any(|r| r == "CVSS 9.8"));
    }

    #[test]
    fn unimportant_is_low_until_somebody_exploits_it() {
        let here = Facts {
            score: Some(Tenths(98)),
            epss: Some(0.5),
            state: State::Unimportant,
            ..Facts::default()
        };
        let judged = judge(&here);
        assert_eq!(judged.level, Level::Track);
        assert!(judged.reasons[0].contains("unimportant"));
        let elsewhere = Facts {
            state: State::Affected,
            ..here.clone()
        };
        assert!(judge(&elsewhere).order() > judged.order());
        let exploited = Facts { kev: true, ..here };
        assert!(judge(&exploited).level > Level::TrackClosely);
        assert!(!exploited.unimportant());
    }

    proptest! {
        #[test]
        fn a_worse_fact_never_lowers_the_place(score in 0u8..=100, epss in 0f32..1.0, kev: bool, internet: bool, seen: bool) {
            let facts = Facts { score: Some(Tenths(score)), epss: Some(epss), kev, exposure: Exposure { internet, seen, ..Exposure::default() }, ..Facts::default() };
            let here = judge(&facts).order();
            for worse in [
                Facts { kev: true, ..facts.clone() },
                Facts { score: Some(Tenths(100)), ..facts.clone() },
                Facts { epss: Some(1.0), ..facts.clone() },
                Facts { exposure: Exposure { internet: true, ..facts.exposure }, ..facts.clone() },
            ] {
                prop_assert!(judge(&worse).order() >= here);
            }
        }
    }
}
