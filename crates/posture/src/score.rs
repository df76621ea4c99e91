//! How each control stands, and the score that follows.
//!
//! A control's checks are those whose uid one of its patterns matches. Their tallies are
//! added up and judged in this order; the first line that applies decides:
//!
//! | condition | status |
//! |---|---|
//! | a failure that nobody accepted | Failed |
//! | a person's verdict Failed, unexpired | Failed |
//! | an Unknown | NotAssessed |
//! | an accepted failure | Accepted |
//! | a pass | Passed |
//! | a person's verdict Passed or NotApplicable, unexpired | that |
//! | only NotApplicable | NotApplicable |
//! | no checks named, no unexpired verdict | Manual |
//! | no results | NotAssessed |
//!
//! What follows from the table and is intended:
//!
//! - **A person never overrules a machine upwards.** A verdict Passed stands only where the
//!   checks gave neither pass nor failure nor Unknown. A verdict Failed always stands.
//! - **The newest verdict counts**, also when it has expired: an older one that runs longer
//!   does not come back to life. A verdict dated after `now` does not exist yet.
//! - **False positives count as nothing**, neither failure nor pass: a control whose only
//!   results are failures ruled wrong has shown no pass, so it is not assessed until
//!   something passes or a person gives a verdict.

use crate::mapping::Mapping;
use bartizan_model::framework::{Assessment, CheckTally, Score, Verdict};
use bartizan_model::{
    CheckUid, Control, ControlId, ControlStatus, Framework, FrameworkId, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Results added up, over the checks of a control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Passes.
    pub pass: u64,
    /// Failures that are not accepted and not ruled false positive.
    pub fail: u64,
    /// Failures whose finding is accepted.
    pub accepted: u64,
    /// Failures whose finding is ruled a false positive.
    pub false_positive: u64,
    /// Nothing to look at.
    pub not_applicable: u64,
    /// Could not tell.
    pub unknown: u64,
}

impl Tally {
    /// All results.
    pub fn total(&self) -> u64 {
        [
            self.pass,
            self.fail,
            self.accepted,
            self.false_positive,
            self.not_applicable,
            self.unknown,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }

    /// Adds another tally.
    pub fn add(&mut self, other: &Self) {
        for (to, from) in [
            (&mut self.pass, other.pass),
            (&mut self.fail, other.fail),
            (&mut self.accepted, other.accepted),
            (&mut self.false_positive, other.false_positive),
            (&mut self.not_applicable, other.not_applicable),
            (&mut self.unknown, other.unknown),
        ] {
            *to = to.saturating_add(from);
        }
    }
}

impl From<&CheckTally> for Tally {
    fn from(of: &CheckTally) -> Self {
        Self {
            pass: of.pass,
            fail: of.fail,
            accepted: of.accepted,
            false_positive: of.false_positive,
            not_applicable: of.not_applicable,
            unknown: of.unknown,
        }
    }
}

/// How one control stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlPosture {
    /// The publisher's id.
    pub id: ControlId,
    /// Short title.
    pub title: String,
    /// The publisher's family or section.
    pub group: String,
    /// The verdict.
    pub status: ControlStatus,
    /// Why, as one sentence.
    pub why: String,
    /// The results of its checks, added up.
    pub tally: Tally,
    /// Its checks among those given, sorted.
    pub checks: Vec<CheckUid>,
}

/// How a scope stands against a framework.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrameworkPosture {
    /// Against what.
    pub framework: FrameworkId,
    /// Its name.
    pub title: String,
    /// Its edition.
    pub version: String,
    /// Counts of controls.
    pub counts: Score,
    /// passed / (passed + failed) in percent; none when nothing was judged.
    pub score: Option<f64>,
    /// Controls with a verdict in percent.
    pub coverage: Option<f64>,
    /// Each control, in the framework's order.
    pub controls: Vec<ControlPosture>,
}

/// Scores a scope against a framework.
///
/// `tallies` and `assessments` are those of one scope; assessments of other frameworks are
/// passed over. Their order does not matter. To score many scopes, keep a [`Mapping`] and
/// use [`Mapping::evaluate`].
pub fn evaluate(
    framework: &Framework,
    tallies: &[CheckTally],
    assessments: &[Assessment],
    now: Timestamp,
) -> FrameworkPosture {
    Mapping::compile(framework).evaluate(framework, tallies, assessments, now)
}

impl Mapping {
    /// Scores a scope against the framework that this mapping was compiled from.
    pub fn evaluate(
        &self,
        framework: &Framework,
        tallies: &[CheckTally],
        assessments: &[Assessment],
        now: Timestamp,
    ) -> FrameworkPosture {
        let mut by_check: BTreeMap<&CheckUid, Tally> = BTreeMap::new();
        for tally in tallies {
            by_check
                .entry(&tally.check)
                .or_default()
                .add(&Tally::from(tally));
        }
        let uids: Vec<&CheckUid> = by_check.keys().copied().collect();
        let mut counts = Score::default();
        let controls = framework
            .controls
            .iter()
            .zip(self.assign(&uids))
            .map(|(control, checks)| {
                let mut tally = Tally::default();
                for check in &checks {
                    if let Some(of) = by_check.get(check) {
                        tally.add(of);
                    }
                }
                let verdict = standing(&framework.id, control, assessments, now);
                let (status, why) = judge(control, &tally, checks.len(), &verdict);
                count(&mut counts, status);
                ControlPosture {
                    id: control.id.clone(),
                    title: control.title.clone(),
                    group: control.group.clone(),
                    status,
                    why,
                    tally,
                    checks: checks.into_iter().cloned().collect(),
                }
            })
            .collect();
        FrameworkPosture {
            framework: framework.id.clone(),
            title: framework.title.clone(),
            version: framework.version.clone(),
            score: counts.percent(),
            coverage: counts.coverage(),
            counts,
            controls,
        }
    }
}

/// What people have said of a control.
enum Standing<'a> {
    /// Nothing.
    Silent,
    /// Something that no longer counts.
    Expired(&'a Assessment),
    /// Something that counts.
    Valid(&'a Assessment),
}

fn standing<'a>(
    framework: &FrameworkId,
    control: &Control,
    assessments: &'a [Assessment],
    now: Timestamp,
) -> Standing<'a> {
    // Of verdicts given at the same moment the gravest counts, whatever their order.
    let gravity = |a: &Assessment| match a.verdict {
        Verdict::Failed => 2,
        Verdict::NotApplicable => 1,
        Verdict::Passed => 0,
    };
    let newest = assessments
        .iter()
        .filter(|a| a.framework == *framework && a.control == control.id && a.at <= now)
        .max_by(|a, b| {
            (a.at, gravity(a), b.expires, &a.assessor).cmp(&(
                b.at,
                gravity(b),
                a.expires,
                &b.assessor,
            ))
        });
    match newest {
        None => Standing::Silent,
        Some(a) if a.expires <= now => Standing::Expired(a),
        Some(a) => Standing::Valid(a),
    }
}

fn judge(
    control: &Control,
    tally: &Tally,
    checks: usize,
    standing: &Standing<'_>,
) -> (ControlStatus, String) {
    use ControlStatus::{Accepted, Failed, Manual, NotApplicable, NotAssessed, Passed};
    let person = |a: &Assessment, word: &str| {
        format!(
            "{} judged it {word} on {}, valid until {}.",
            a.assessor,
            day(a.at),
            day(a.expires)
        )
    };
    if tally.fail > 0 {
        return (
            Failed,
            format!(
                "{} and nobody accepted {}.",
                counted(tally.fail, "result fails", "results fail"),
                if tally.fail == 1 { "it" } else { "them" }
            ),
        );
    }
    if let Standing::Valid(a) = standing
        && a.verdict == Verdict::Failed
    {
        return (Failed, person(a, "failed"));
    }
    if tally.unknown > 0 {
        return (
            NotAssessed,
            format!(
                "{} could not be told, so whether the control passes is not known.",
                counted(tally.unknown, "result", "results")
            ),
        );
    }
    if tally.accepted > 0 {
        return (
            Accepted,
            format!(
                "{}; that is no pass.",
                counted(
                    tally.accepted,
                    "failure is knowingly accepted",
                    "failures are knowingly accepted"
                )
            ),
        );
    }
    if tally.pass > 0 {
        return (
            Passed,
            format!(
                "{} from {}, none fails.",
                counted(tally.pass, "result passes", "results pass"),
                counted(checks as u64, "check", "checks")
            ),
        );
    }
    if let Standing::Valid(a) = standing {
        return match a.verdict {
            Verdict::Passed => (Passed, person(a, "passed")),
            Verdict::NotApplicable => (NotApplicable, person(a, "not applicable")),
            Verdict::Failed => (Failed, person(a, "failed")),
        };
    }
    if tally.false_positive > 0 {
        return (
            NotAssessed,
            "Its only failures were ruled false positives and nothing passes.".to_owned(),
        );
    }
    if tally.not_applicable > 0 {
        return (
            NotApplicable,
            "Its checks ran and had nothing to look at.".to_owned(),
        );
    }
    match (control.checks.is_empty(), standing) {
        (true, Standing::Expired(a)) => (
            Manual,
            format!(
                "The verdict of {} expired on {}; a person has to judge it again.",
                a.assessor,
                day(a.expires)
            ),
        ),
        (true, _) => (
            Manual,
            "Only a person can judge it, and none has.".to_owned(),
        ),
        (false, _) => (
            NotAssessed,
            "None of its checks has given a result in this scope.".to_owned(),
        ),
    }
}

fn count(counts: &mut Score, status: ControlStatus) {
    let slot = match status {
        ControlStatus::Passed => &mut counts.passed,
        ControlStatus::Failed => &mut counts.failed,
        ControlStatus::Accepted => &mut counts.accepted,
        ControlStatus::NotAssessed => &mut counts.not_assessed,
        ControlStatus::NotApplicable => &mut counts.not_applicable,
        ControlStatus::Manual => &mut counts.manual,
    };
    *slot = slot.saturating_add(1);
}

fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// The date of a moment, as it begins its RFC 3339 form.
fn day(at: Timestamp) -> String {
    at.to_string().chars().take_while(|c| *c != 'T').collect()
}

#[cfg(test)]
mod tests;
