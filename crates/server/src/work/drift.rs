//! Drift: what changed between two scans of a system, rule by rule, read from the two reports
//! that are stored. Findings keep the newest state alone; the reports keep every one.

use super::pipe::pipe;
use bartizan_formats::report::{Limits, ReadError, ReportReader};
use bartizan_model::report::Line;
use bartizan_model::{AssetUid, Check, CheckUid, Digest, Outcome, Severity};
use bartizan_store::{StoreError, TenantStore};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};

/// Results of one report that are compared at most.
const MAX_RESULTS: usize = 500_000;

/// Why two scans cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum DriftError {
    /// The stored bytes are no report of ours, such as SARIF.
    #[error("the scan's artifact is no report of rules: {0}")]
    Report(#[from] ReadError),
    /// Too much.
    #[error("a report has more than {MAX_RESULTS} results, too many to compare")]
    TooMany,
    /// The database or the objects.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This program.
    #[error("the reading thread ended: {0}; this is a bug")]
    Thread(#[from] tokio::task::JoinError),
}

/// How a rule moved. In the order of what matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It fails, and did not.
    Opened,
    /// It failed, and was seen not to.
    Fixed,
    /// Anything else, such as what can no longer be told.
    Changed,
}

impl Change {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Fixed => "fixed",
            Self::Changed => "changed",
        }
    }
}

/// One answer of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The verdict.
    pub outcome: Outcome,
    /// In words.
    pub message: String,
}

/// What is asked, of what, and where within it.
type Place = (CheckUid, AssetUid, String);

/// The answers of one report.
#[derive(Debug, Default)]
pub struct Answers {
    checks: BTreeMap<CheckUid, (String, Severity)>,
    answers: BTreeMap<Place, Answer>,
}

/// A rule whose answer changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// How.
    pub change: Change,
    /// The rule.
    pub check: CheckUid,
    /// Its title.
    pub title: String,
    /// How bad a failure is.
    pub severity: Severity,
    /// Where within the system.
    pub locus: String,
    /// The answer before; none when it was not asked.
    pub before: Option<Answer>,
    /// The answer after; none when it is no longer asked.
    pub after: Option<Answer>,
}

impl Answers {
    /// The same answers as if they were all of one asset: to compare what two hosts say.
    #[must_use]
    pub fn of_one_asset(mut self, asset: &AssetUid) -> Self {
        let answers = std::mem::take(&mut self.answers);
        // Of several assets' answers in one place the worst stands, so that none is hidden.
        for ((check, _, locus), answer) in answers {
            let held = self.answers.entry((check, asset.clone(), locus));
            let held = held.or_insert_with(|| answer.clone());
            if weight(&answer.outcome) > weight(&held.outcome) {
                *held = answer;
            }
        }
        self
    }
}

fn weight(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Fail => 3,
        Outcome::Unknown { .. } => 2,
        Outcome::Pass => 1,
        Outcome::NotApplicable { .. } => 0,
    }
}

/// Reads the answers of a stored report.
pub async fn answers(tenant: &TenantStore, artifact: &Digest) -> Result<Answers, DriftError> {
    let bytes = pipe(tenant.objects().get_artifact(artifact).await?);
    tokio::task::spawn_blocking(move || read(BufReader::new(bytes))).await?
}

fn read(bytes: impl BufRead) -> Result<Answers, DriftError> {
    let mut all = Answers::default();
    for line in ReportReader::open(bytes, Limits::default())? {
        match line?.1 {
            Line::Check(Check {
                uid,
                title,
                severity,
                ..
            }) => {
                all.checks.insert(uid, (title, severity));
            }
            Line::Result(result) => {
                let place = (result.check, result.asset, result.locus);
                let answer = Answer {
                    outcome: result.outcome,
                    message: result.message,
                };
                all.answers.insert(place, answer);
                if all.answers.len() > MAX_RESULTS {
                    return Err(DriftError::TooMany);
                }
            }
            Line::Header(_) | Line::Observation(_) | Line::Trailer(_) => {}
        }
    }
    Ok(all)
}

/// What changed from one to the other: what opened first, the worst first. What is only worded
/// anew is no change.
pub fn compare(from: &Answers, to: &Answers) -> Vec<Moved> {
    let mut moved = Vec::new();
    let gone = from
        .answers
        .iter()
        .filter(|(place, _)| !to.answers.contains_key(place))
        .map(|(place, before)| (place, Some(before), None));
    let there = to
        .answers
        .iter()
        .map(|(place, after)| (place, from.answers.get(place), Some(after)));
    for (place, before, after) in there.chain(gone) {
        let Some(change) = change(before, after) else {
            continue;
        };
        let (check, _, locus) = place;
        let known = to.checks.get(check).or_else(|| from.checks.get(check));
        let (title, severity) = known.cloned().unwrap_or_default();
        moved.push(Moved {
            change,
            check: check.clone(),
            title,
            severity,
            locus: locus.clone(),
            before: before.cloned(),
            after: after.cloned(),
        });
    }
    moved.sort_by(|a, b| {
        (a.change, b.severity, &a.check, &a.locus).cmp(&(b.change, a.severity, &b.check, &b.locus))
    });
    moved
}

fn change(before: Option<&Answer>, after: Option<&Answer>) -> Option<Change> {
    let word = |answer: Option<&Answer>| answer.map(|answer| answer.outcome.word());
    if word(before) == word(after) {
        return None;
    }
    let outcome = |answer: Option<&Answer>| answer.map(|answer| answer.outcome.clone());
    Some(match (outcome(before), outcome(after)) {
        (_, Some(Outcome::Fail)) => Change::Opened,
        // What cannot be told, or is no longer asked, is not fixed.
        (Some(Outcome::Fail), Some(Outcome::Pass | Outcome::NotApplicable { .. })) => Change::Fixed,
        _ => Change::Changed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(said: &[(&str, &str)]) -> Answers {
        let mut all = Answers::default();
        for (name, word) in said {
            let check = CheckUid::of("xccdf", "c", name).unwrap();
            let severity = Severity::parse(name.split('-').next().unwrap()).unwrap_or_default();
            all.checks
                .insert(check.clone(), ((*name).to_owned(), severity));
            let asset = AssetUid::new("host:a").unwrap();
            let answer = Answer {
                outcome: Outcome::from_word(word, Some("why")),
                message: String::new(),
            };
            all.answers.insert((check, asset, String::new()), answer);
        }
        all
    }

    #[test]
    fn what_cannot_be_told_is_not_fixed() {
        let from = answers(&[
            ("low-a", "pass"),
            ("high-b", "pass"),
            ("c", "fail"),
            ("d", "fail"),
            ("e", "fail"),
            ("f", "unknown"),
            ("g", "fail"),
            ("same", "fail"),
        ]);
        let to = answers(&[
            ("low-a", "fail"),
            ("high-b", "fail"),
            ("c", "pass"),
            ("d", "unknown"),
            ("e", "not_applicable"),
            ("f", "pass"),
            ("h", "fail"),
            ("same", "fail"),
        ]);
        let moved: Vec<String> = compare(&from, &to)
            .iter()
            .map(|m| format!("{} {}", m.change.word(), m.title))
            .collect();
        assert_eq!(
            moved,
            [
                "opened high-b",
                "opened h",
                "opened low-a",
                "fixed c",
                "fixed e",
                "changed d",
                "changed f",
                "changed g"
            ]
        );
        assert_eq!(compare(&to, &to), []);
    }

    #[test]
    fn two_hosts_are_compared_rule_by_rule() {
        let here = AssetUid::new("host:here").unwrap();
        let there = AssetUid::new("host:there").unwrap();
        let mut from = answers(&[("a", "pass"), ("b", "fail")]);
        // A second asset's failure in the same place is not hidden by the first one's pass.
        for ((check, asset, locus), answer) in answers(&[("a", "fail")]).answers {
            assert_ne!(asset, there);
            from.answers.insert((check, there.clone(), locus), answer);
        }
        let to = answers(&[("a", "fail"), ("b", "pass")]);
        let moved = compare(&from.of_one_asset(&here), &to.of_one_asset(&here));
        let words: Vec<_> = moved.iter().map(|m| (m.change.word(), &*m.title)).collect();
        assert_eq!(words, [("fixed", "b")]);
    }
}
