//! What a check said of a subject.

use serde::{Deserialize, Serialize};

/// The answer of one check on one subject.
///
/// **Invariant:** an error, an absent file, an exceeded budget or an unread input is
/// [`Outcome::Unknown`], never [`Outcome::Pass`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The subject was looked at and does what the check asks.
    Pass,
    /// The subject was looked at and does not.
    Fail,
    /// The check has nothing to say of this subject.
    NotApplicable {
        /// The reason, in words.
        why: String,
    },
    /// It could not be told.
    Unknown {
        /// The reason, in words.
        why: String,
    },
}

impl Outcome {
    /// The stored word: `pass`, `fail`, `not_applicable` or `unknown`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::NotApplicable { .. } => "not_applicable",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// The reason, for the outcomes that carry one.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Pass | Self::Fail => None,
            Self::NotApplicable { why } | Self::Unknown { why } => Some(why),
        }
    }

    /// Rebuilds an outcome from its stored word; an unheard-of word is Unknown.
    pub fn from_word(word: &str, why: Option<&str>) -> Self {
        let why = why.unwrap_or_default().to_owned();
        match word {
            "pass" => Self::Pass,
            "fail" => Self::Fail,
            "not_applicable" => Self::NotApplicable { why },
            "unknown" => Self::Unknown { why },
            other => Self::Unknown {
                why: format!("stored outcome {other:?} is not known to this version"),
            },
        }
    }
}
