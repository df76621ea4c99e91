//! An answer in the making, and how answers combine.

use bartizan_model::{Evidence, Outcome};

/// The most pieces of evidence that an answer carries.
pub const MAX_EVIDENCE: usize = 20;

/// The longest text of a piece of evidence, in characters.
const MAX_TEXT: usize = 300;

/// What a question came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The answer.
    pub outcome: Outcome,
    /// For people, one sentence.
    pub message: String,
    /// What decided.
    pub evidence: Vec<Evidence>,
}

impl Verdict {
    /// A pass or a failure.
    pub fn of(holds: bool, message: impl Into<String>, evidence: Vec<Evidence>) -> Self {
        Self {
            outcome: if holds { Outcome::Pass } else { Outcome::Fail },
            message: short(&message.into()),
            evidence,
        }
    }

    /// It could not be told.
    pub fn unknown(why: impl Into<String>) -> Self {
        let why = short(&why.into());
        Self {
            message: why.clone(),
            outcome: Outcome::Unknown { why },
            evidence: Vec::new(),
        }
    }

    /// There is nothing to ask of.
    pub fn not_applicable(why: impl Into<String>) -> Self {
        let why = short(&why.into());
        Self {
            message: why.clone(),
            outcome: Outcome::NotApplicable { why },
            evidence: Vec::new(),
        }
    }

    /// Adds evidence to it.
    pub fn with(mut self, evidence: Vec<Evidence>) -> Self {
        self.evidence = evidence;
        self
    }

    /// The opposite of a pass or a failure; the others stay.
    pub fn negated(mut self) -> Self {
        self.outcome = match self.outcome {
            Outcome::Pass => Outcome::Fail,
            Outcome::Fail => Outcome::Pass,
            other => other,
        };
        self
    }

    /// Whether it is a pass.
    pub fn passed(&self) -> bool {
        self.outcome == Outcome::Pass
    }
}

/// A piece of evidence.
pub fn evidence(
    path: impl Into<String>,
    actual: impl AsRef<str>,
    expected: impl AsRef<str>,
) -> Evidence {
    Evidence {
        path: short(&path.into()),
        actual: Some(short(actual.as_ref())),
        expected: Some(short(expected.as_ref())),
    }
}

/// Bounded and without control characters.
pub fn short(text: &str) -> String {
    let mut characters = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = characters.by_ref().take(MAX_TEXT).collect();
    if characters.next().is_some() {
        short.push('…');
    }
    short
}

/// All parts must hold. A failure decides, then an unknown; what does not apply is passed
/// over, but where nothing applies neither does the whole.
pub fn all(parts: Vec<Verdict>) -> Verdict {
    decide(parts, |outcome| match outcome {
        Outcome::Fail => 0,
        Outcome::Unknown { .. } => 1,
        Outcome::Pass => 2,
        Outcome::NotApplicable { .. } => 3,
    })
}

/// One part must hold. A pass decides, then an unknown.
pub fn any(parts: Vec<Verdict>) -> Verdict {
    decide(parts, |outcome| match outcome {
        Outcome::Pass => 0,
        Outcome::Unknown { .. } => 1,
        Outcome::Fail => 2,
        Outcome::NotApplicable { .. } => 3,
    })
}

/// The part of the lowest rank decides; messages and evidence of those like it are joined.
fn decide(parts: Vec<Verdict>, rank: fn(&Outcome) -> u8) -> Verdict {
    let Some(best) = parts.iter().map(|part| rank(&part.outcome)).min() else {
        return Verdict::unknown("the question has no parts");
    };
    let mut like = parts.into_iter().filter(|part| rank(&part.outcome) == best);
    let Some(mut whole) = like.next() else {
        return Verdict::unknown("the question has no parts");
    };
    for part in like {
        if !whole.message.contains(&part.message) {
            whole.message = short(&format!("{}; {}", whole.message, part.message));
        }
        let room = MAX_EVIDENCE.saturating_sub(whole.evidence.len());
        whole.evidence.extend(part.evidence.into_iter().take(room));
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_combine_in_three_valued_logic() {
        let made = |word: char| match word {
            'p' => Verdict::of(true, "p", vec![]),
            'f' => Verdict::of(false, "f", vec![]),
            'u' => Verdict::unknown("u"),
            _ => Verdict::not_applicable("n"),
        };
        let of = |words: &str| words.chars().map(made).collect::<Vec<_>>();
        for (words, in_all, in_any) in [
            ("pp", "pass", "pass"),
            ("pf", "fail", "pass"),
            ("pu", "unknown", "pass"),
            ("fu", "fail", "unknown"),
            ("pn", "pass", "pass"),
            ("fn", "fail", "fail"),
            ("nn", "not_applicable", "not_applicable"),
            ("", "unknown", "unknown"),
        ] {
            assert_eq!(all(of(words)).outcome.word(), in_all, "all {words}");
            assert_eq!(any(of(words)).outcome.word(), in_any, "any {words}");
        }
        assert_eq!(made('u').negated().outcome.word(), "unknown");
        assert_eq!(made('p').negated().outcome.word(), "fail");
        assert_eq!(all(of("ffp")).message, "f");
    }
}
