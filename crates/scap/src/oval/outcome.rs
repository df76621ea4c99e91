//! OVAL's six results and how they combine.

use super::model::{Check, Operator};

/// A result (`ResultEnumeration`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Truth {
    True,
    False,
    Error,
    Unknown,
    NotApplicable,
    NotEvaluated,
}

impl Truth {
    /// The word in an OVAL results document.
    pub fn word(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::False => "false",
            Self::Error => "error",
            Self::Unknown => "unknown",
            Self::NotApplicable => "not applicable",
            Self::NotEvaluated => "not evaluated",
        }
    }

    /// Inverted by `negate`: only true and false have an inverse.
    #[must_use]
    pub fn negated(self, negate: bool) -> Self {
        match (negate, self) {
            (true, Self::True) => Self::False,
            (true, Self::False) => Self::True,
            (_, other) => other,
        }
    }
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// How many there were of each result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Counts {
    yes: usize,
    no: usize,
    error: usize,
    unknown: usize,
    not_applicable: usize,
    not_evaluated: usize,
}

impl Counts {
    fn of(results: impl IntoIterator<Item = Truth>) -> Self {
        let mut counts = Self::default();
        for result in results {
            let count = match result {
                Truth::True => &mut counts.yes,
                Truth::False => &mut counts.no,
                Truth::Error => &mut counts.error,
                Truth::Unknown => &mut counts.unknown,
                Truth::NotApplicable => &mut counts.not_applicable,
                Truth::NotEvaluated => &mut counts.not_evaluated,
            };
            *count += 1;
        }
        counts
    }

    /// The worst of what was not decided, or what stands for "nothing at all".
    fn undecided(self) -> Option<Truth> {
        if self.error > 0 {
            Some(Truth::Error)
        } else if self.unknown > 0 {
            Some(Truth::Unknown)
        } else if self.not_evaluated > 0 {
            Some(Truth::NotEvaluated)
        } else {
            None
        }
    }

    fn nothing(self) -> bool {
        self.yes + self.no + self.error + self.unknown + self.not_evaluated == 0
    }
}

/// Combines by a `CheckEnumeration` (OVAL 5.11 language, tables of `check`).
pub fn combine(check: Check, results: impl IntoIterator<Item = Truth>) -> Truth {
    let counts = Counts::of(results);
    if counts.nothing() {
        return if counts.not_applicable > 0 {
            Truth::NotApplicable
        } else {
            Truth::Unknown
        };
    }
    match check {
        Check::All => {
            if counts.no > 0 {
                Truth::False
            } else {
                counts.undecided().unwrap_or(Truth::True)
            }
        }
        Check::AtLeastOne => {
            if counts.yes > 0 {
                Truth::True
            } else {
                counts.undecided().unwrap_or(Truth::False)
            }
        }
        Check::None => {
            if counts.yes > 0 {
                Truth::False
            } else {
                counts.undecided().unwrap_or(Truth::True)
            }
        }
        Check::OnlyOne => {
            if counts.yes > 1 {
                Truth::False
            } else {
                counts.undecided().unwrap_or((counts.yes == 1).into())
            }
        }
    }
}

/// Combines by an operator (OVAL 5.11 language, tables of `operator`).
pub fn operate(operator: Operator, results: impl IntoIterator<Item = Truth>) -> Truth {
    let counts = Counts::of(results);
    match operator {
        Operator::And => combine(Check::All, rebuild(counts)),
        Operator::Or => combine(Check::AtLeastOne, rebuild(counts)),
        Operator::One => combine(Check::OnlyOne, rebuild(counts)),
        Operator::Xor => {
            if counts.nothing() {
                return combine(Check::All, rebuild(counts));
            }
            counts.undecided().unwrap_or((counts.yes % 2 == 1).into())
        }
    }
}

/// One result of each kind that occurs, two for true: all that the tables ask.
fn rebuild(counts: Counts) -> impl Iterator<Item = Truth> {
    [
        (counts.yes.min(2), Truth::True),
        (counts.no.min(1), Truth::False),
        (counts.error.min(1), Truth::Error),
        (counts.unknown.min(1), Truth::Unknown),
        (counts.not_applicable.min(1), Truth::NotApplicable),
        (counts.not_evaluated.min(1), Truth::NotEvaluated),
    ]
    .into_iter()
    .flat_map(|(count, truth)| std::iter::repeat_n(truth, count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Truth::{Error, False, NotApplicable, True, Unknown};

    #[test]
    fn check_tables() {
        for (check, results, expected) in [
            (Check::All, vec![True, True], True),
            (Check::All, vec![True, False, Error], False),
            (Check::All, vec![True, Unknown], Unknown),
            (Check::All, vec![True, NotApplicable], True),
            (Check::All, vec![NotApplicable], NotApplicable),
            (Check::All, vec![], Unknown),
            (Check::AtLeastOne, vec![True, Error], True),
            (Check::AtLeastOne, vec![False, Error], Error),
            (Check::AtLeastOne, vec![False, False], False),
            (Check::None, vec![False, False], True),
            (Check::None, vec![True, Error], False),
            (Check::OnlyOne, vec![True, False], True),
            (Check::OnlyOne, vec![True, True, Error], False),
            (Check::OnlyOne, vec![True, Unknown], Unknown),
            (Check::OnlyOne, vec![False], False),
        ] {
            assert_eq!(
                combine(check, results.clone()),
                expected,
                "{check:?} {results:?}"
            );
        }
        assert_eq!(operate(Operator::Xor, [True, True, True]), True);
        assert_eq!(operate(Operator::Xor, [True, True]), False);
        assert_eq!(operate(Operator::Xor, [True, Error]), Error);
        assert_eq!(operate(Operator::One, [True, False]), True);
    }
}
