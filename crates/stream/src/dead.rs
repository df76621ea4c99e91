//! Dead letters: what could not be read or applied, with the reason, so that it can be looked at
//! and tried again.

use crate::StreamError;
use bartizan_model::{Timestamp, text};
use serde::{Deserialize, Serialize};

/// How much of a broken record is kept. A longer one is cut, and cannot be tried again.
pub const MAX_KEPT: usize = 1 << 20;

/// Where a record failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "stage")]
pub enum Stage {
    /// While a feed was read.
    Produce {
        /// The source's name.
        source: String,
        /// The feed's name.
        feed: String,
    },
    /// While a group applied it.
    Apply {
        /// The group.
        group: String,
    },
}

/// A record that could not be read or applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The message's key, or where in the source the record stood.
    pub key: String,
    /// Why, in words.
    pub reason: String,
    /// Where it failed.
    #[serde(flatten)]
    pub at_stage: Stage,
    /// When.
    pub at: Timestamp,
    /// Whether bytes are missing at the end.
    #[serde(default)]
    pub cut: bool,
    /// The bytes as they came.
    #[serde(skip)]
    pub bytes: Vec<u8>,
}

impl DeadLetter {
    /// A letter with at most [`MAX_KEPT`] bytes, its texts bounded.
    pub fn new(key: &str, reason: &str, at_stage: Stage, at: Timestamp, bytes: &[u8]) -> Self {
        let kept = bytes.get(..MAX_KEPT).unwrap_or(bytes);
        Self {
            key: text::one_line(&text::plain(key, 1024)),
            reason: text::one_line(&text::plain(reason, 400)),
            at_stage,
            at,
            cut: kept.len() < bytes.len(),
            bytes: kept.to_vec(),
        }
    }

    /// As bytes: a line of JSON, then the record.
    pub fn encode(&self) -> Result<Vec<u8>, StreamError> {
        let mut out = serde_json::to_vec(self).map_err(|e| StreamError::Refused(e.to_string()))?;
        out.push(b'\n');
        out.extend_from_slice(&self.bytes);
        Ok(out)
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, StreamError> {
        let end = bytes.iter().position(|b| *b == b'\n');
        let (head, rest) = end
            .and_then(|end| Some((bytes.get(..end)?, bytes.get(end + 1..)?)))
            .ok_or_else(|| StreamError::Refused("a dead letter without a head".to_owned()))?;
        let mut letter: Self = serde_json::from_slice(head)
            .map_err(|e| StreamError::Refused(format!("a dead letter's head: {e}")))?;
        letter.bytes = rest.to_vec();
        Ok(letter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_goes_there_and_back() {
        let stage = Stage::Produce {
            source: "cve".into(),
            feed: "cve-list".into(),
        };
        let letter = DeadLetter::new(
            "a\nb",
            "why\u{1b}[31m",
            stage,
            Timestamp::from_micros(5),
            b"x\ny",
        );
        let back = DeadLetter::decode(&letter.encode().unwrap()).unwrap();
        assert_eq!(back, letter);
        assert!(
            !back.key.contains('\n'),
            "a name from a feed breaks no line"
        );
        let long = DeadLetter::new("k", "w", letter.at_stage, letter.at, &vec![0; MAX_KEPT + 1]);
        assert!(long.cut);
        assert!(DeadLetter::decode(b"{}").is_err());
    }
}
