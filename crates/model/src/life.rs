//! The finding's life: one pure function from state and event to state.
//!
//! ```text
//!            fail                 pass, n/a, absent
//!  (none) ─────────► Open ───────────────────────────► Fixed
//!                     │ ▲                                │ fail
//!              accept │ │                                ▼
//!                     ▼ └────────── (never) ────────  Reopened
//!                 Accepted ── expired, withdrawn ────────▲
//!              FalsePositive ── withdrawn ───────────────┘
//! ```
//!
//! A machine never overrules a person: a failure seen again leaves Accepted and
//! FalsePositive as they are, and a pass does not close FalsePositive. Unknown changes
//! nothing: it is no news about the subject.

use crate::finding::SOURCE_OWNER;
use crate::{Acceptance, FindingStatus, Outcome, Suppression, Timestamp};
use serde::{Deserialize, Serialize};

/// The part of a finding that transitions touch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Where it is.
    pub status: FindingStatus,
    /// Set while accepted.
    pub acceptance: Option<Acceptance>,
}

/// Something that can move a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input<'a> {
    /// A scan judged the subject.
    Seen {
        /// The verdict.
        outcome: &'a Outcome,
        /// Whether the source says to leave the failure.
        suppression: Option<&'a Suppression>,
    },
    /// A complete scan of the scope no longer saw the subject.
    Absent,
    /// A person takes responsibility.
    Accept(Acceptance),
    /// A person rules the finding wrong.
    FalsePositive,
    /// A person withdraws an acceptance or a ruling.
    Reopen,
    /// The clock passed the acceptance's expiry.
    Tick,
}

/// Why a person's action is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is nothing to act on.
    #[error("the finding is fixed; there is nothing to accept or rule out")]
    AlreadyFixed,
    /// An acceptance must say who and why.
    #[error("an acceptance needs an owner and a reason")]
    Unexplained,
    /// An acceptance must end, in the future.
    #[error("an acceptance needs an expiry after {0}")]
    Expired(Timestamp),
    /// Reopening something that is open.
    #[error("the finding is already open")]
    AlreadyOpen,
}

/// The state after `input` at `now`, or the same state when nothing moves.
///
/// `None` in means that the key never failed; `None` out, that it still never did.
pub fn transition(
    state: Option<&State>,
    input: &Input<'_>,
    now: Timestamp,
) -> Result<Option<State>, Refusal> {
    use FindingStatus::{Accepted, FalsePositive, Fixed, Open, Reopened};
    let to = |status| {
        Ok(Some(State {
            status,
            acceptance: None,
        }))
    };
    let same = || Ok(state.cloned());
    let status = state.map(|s| s.status);
    match input {
        Input::Seen {
            outcome: Outcome::Fail,
            suppression,
        } => match (status, suppression) {
            (Some(FalsePositive), _) => same(),
            (Some(Accepted), None) => {
                let acceptance = state.and_then(|s| s.acceptance.as_ref());
                let withdrawn = acceptance.is_none_or(|a| {
                    a.owner == SOURCE_OWNER || a.expires.is_some_and(|at| at <= now)
                });
                if withdrawn { to(Reopened) } else { same() }
            }
            (Some(Accepted), Some(said)) => {
                let by_source = state.and_then(|s| s.acceptance.as_ref()).is_none_or(|a| {
                    a.owner == SOURCE_OWNER || a.expires.is_some_and(|at| at <= now)
                });
                if by_source {
                    Ok(Some(suppressed(said)))
                } else {
                    same()
                }
            }
            (_, Some(said)) => Ok(Some(suppressed(said))),
            (None, None) => to(Open),
            (Some(Fixed), None) => to(Reopened),
            (Some(Open | Reopened), None) => same(),
        },
        Input::Seen {
            outcome: Outcome::Unknown { .. },
            ..
        } => same(),
        Input::Seen {
            outcome: Outcome::Pass | Outcome::NotApplicable { .. },
            ..
        }
        | Input::Absent => match status {
            None => Ok(None),
            Some(FalsePositive | Fixed) => same(),
            Some(Open | Reopened | Accepted) => to(Fixed),
        },
        Input::Accept(acceptance) => {
            if status.is_none_or(|s| s == Fixed) {
                return Err(Refusal::AlreadyFixed);
            }
            if acceptance.owner.trim().is_empty() || acceptance.reason.trim().is_empty() {
                return Err(Refusal::Unexplained);
            }
            if acceptance.expires.is_none_or(|at| at <= now) {
                return Err(Refusal::Expired(now));
            }
            Ok(Some(State {
                status: Accepted,
                acceptance: Some(acceptance.clone()),
            }))
        }
        Input::FalsePositive => match status {
            None | Some(Fixed) => Err(Refusal::AlreadyFixed),
            Some(_) => to(FalsePositive),
        },
        Input::Reopen => match status {
            None | Some(Fixed) => Err(Refusal::AlreadyFixed),
            Some(Open | Reopened) => Err(Refusal::AlreadyOpen),
            Some(Accepted | FalsePositive) => to(Reopened),
        },
        Input::Tick => {
            let over = state
                .and_then(|s| s.acceptance.as_ref())
                .and_then(|a| a.expires)
                .is_some_and(|at| at <= now);
            if status == Some(Accepted) && over {
                to(Reopened)
            } else {
                same()
            }
        }
    }
}

fn suppressed(said: &Suppression) -> State {
    State {
        status: FindingStatus::Accepted,
        acceptance: Some(Acceptance {
            owner: SOURCE_OWNER.to_owned(),
            reason: format!("{}: {}", said.by, said.reason),
            expires: None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_000_000_000;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn state(status: FindingStatus) -> State {
        State {
            status,
            acceptance: (status == FindingStatus::Accepted).then(|| Acceptance {
                owner: "ana".into(),
                reason: "legacy".into(),
                expires: Some(at(NOW + 10)),
            }),
        }
    }

    fn seen(outcome: &Outcome) -> Input<'_> {
        Input::Seen {
            outcome,
            suppression: None,
        }
    }

    /// The whole machine as a table: rows are states, columns fail / pass / unknown / absent.
    #[test]
    fn table() {
        use FindingStatus::*;
        let unknown = Outcome::Unknown { why: "x".into() };
        let rows = [
            (None, [Some(Open), None, None, None]),
            (
                Some(Open),
                [Some(Open), Some(Fixed), Some(Open), Some(Fixed)],
            ),
            (
                Some(Reopened),
                [Some(Reopened), Some(Fixed), Some(Reopened), Some(Fixed)],
            ),
            (
                Some(Accepted),
                [Some(Accepted), Some(Fixed), Some(Accepted), Some(Fixed)],
            ),
            (Some(FalsePositive), [Some(FalsePositive); 4]),
            (
                Some(Fixed),
                [Some(Reopened), Some(Fixed), Some(Fixed), Some(Fixed)],
            ),
        ];
        for (from, want) in rows {
            let from_state = from.map(state);
            let inputs = [
                seen(&Outcome::Fail),
                seen(&Outcome::Pass),
                seen(&unknown),
                Input::Absent,
            ];
            for (input, want) in inputs.iter().zip(want) {
                let got = transition(from_state.as_ref(), input, at(NOW)).unwrap();
                assert_eq!(got.map(|s| s.status), want, "{from:?} on {input:?}");
            }
        }
    }

    #[test]
    fn an_expired_acceptance_reopens_by_clock_and_by_scan() {
        let s = state(FindingStatus::Accepted);
        for input in [Input::Tick, seen(&Outcome::Fail)] {
            let got = transition(Some(&s), &input, at(NOW + 10)).unwrap().unwrap();
            assert_eq!(got, state(FindingStatus::Reopened));
        }
    }

    #[test]
    fn a_suppression_accepts_until_it_is_removed() {
        let said = Suppression {
            by: "annotation".into(),
            reason: "vendor image".into(),
        };
        let input = Input::Seen {
            outcome: &Outcome::Fail,
            suppression: Some(&said),
        };
        let accepted = transition(None, &input, at(NOW)).unwrap().unwrap();
        assert_eq!(accepted.status, FindingStatus::Accepted);
        let again = transition(Some(&accepted), &seen(&Outcome::Fail), at(NOW)).unwrap();
        assert_eq!(again.unwrap().status, FindingStatus::Reopened);
    }

    #[test]
    fn an_acceptance_needs_owner_reason_and_end() {
        let open = state(FindingStatus::Open);
        let accept = |owner: &str, expires| {
            transition(
                Some(&open),
                &Input::Accept(Acceptance {
                    owner: owner.into(),
                    reason: "r".into(),
                    expires,
                }),
                at(NOW),
            )
        };
        assert_eq!(accept("", Some(at(NOW + 1))), Err(Refusal::Unexplained));
        assert_eq!(accept("ana", None), Err(Refusal::Expired(at(NOW))));
        assert_eq!(accept("ana", Some(at(NOW))), Err(Refusal::Expired(at(NOW))));
        assert!(accept("ana", Some(at(NOW + 1))).is_ok());
    }

    fn any_state() -> impl Strategy<Value = Option<State>> {
        prop::option::of(prop::sample::select(&FindingStatus::ALL[..]).prop_map(state))
    }

    proptest! {
        /// Importing the same verdict twice equals importing it once.
        #[test]
        fn seen_is_idempotent(from in any_state(), which in 0..4usize) {
            let outcomes = [
                Outcome::Pass,
                Outcome::Fail,
                Outcome::NotApplicable { why: "n".into() },
                Outcome::Unknown { why: "u".into() },
            ];
            let input = seen(&outcomes[which]);
            let once = transition(from.as_ref(), &input, at(NOW)).unwrap();
            let twice = transition(once.as_ref(), &input, at(NOW)).unwrap();
            prop_assert_eq!(once, twice);
        }
    }
}
