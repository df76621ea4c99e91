//! Shapes that several routes answer with, and the reading of query parameters.
//!
//! Model types stay free of HTTP, so the words that they serialise to are declared here
//! once more, for the OpenAPI document alone.

use crate::error::{ApiResult, Problem};
use bartizan_model::framework::{Assessment, CheckTally, Score};
use bartizan_model::{Acceptance, Asset, Severity, Timestamp};
use bartizan_store::findings::FindingRow;
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use utoipa::ToSchema;

/// The words of a severity.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Severity)]
pub enum SeverityWord {
    /// Drop everything.
    Critical,
    /// Serious.
    High,
    /// Moderate.
    Medium,
    /// Minor.
    Low,
    /// Worth knowing.
    Info,
}

/// The words of a finding's status.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = FindingStatus)]
pub enum StatusWord {
    /// Fails, and was never fixed.
    Open,
    /// Fails again.
    Reopened,
    /// Left knowingly.
    Accepted,
    /// Ruled wrong.
    FalsePositive,
    /// No longer fails.
    Fixed,
}

/// The words of an outcome.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeWord {
    /// Does what the check asks.
    Pass,
    /// Does not.
    Fail,
    /// Nothing to look at.
    NotApplicable,
    /// Could not be told.
    Unknown,
}

/// The words of a control's status.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ControlStatus)]
pub enum ControlStatusWord {
    /// Met.
    Passed,
    /// Not met.
    Failed,
    /// Its only failures are accepted.
    Accepted,
    /// Not judged.
    NotAssessed,
    /// Nothing to judge.
    NotApplicable,
    /// Waits for a person.
    Manual,
}

/// The words of a person's verdict.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VerdictWord {
    /// The control is met.
    Passed,
    /// It is not.
    Failed,
    /// It does not apply.
    NotApplicable,
}

/// One page of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Page<T> {
    /// The page's items.
    pub items: Vec<T>,
    /// Give this as `cursor` to get the next page; null on the last one.
    pub next_cursor: Option<String>,
    /// How many there are in all pages, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<Total>,
}

impl<T> Page<T> {
    /// The view of a page of the store.
    pub(crate) fn of<R>(page: bartizan_store::Page<R>, view: impl Fn(R) -> T) -> Self {
        Self {
            items: page.items.into_iter().map(view).collect(),
            next_cursor: page.next_cursor,
            total: page.total.map(|total| Total {
                count: total.count,
                capped: total.capped,
            }),
        }
    }
}

/// A list that is short enough to be whole.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Items<T> {
    /// All of them.
    pub items: Vec<T>,
}

/// How many items match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Total {
    /// Counted so far.
    pub count: u64,
    /// Whether counting stopped early, so that there are more.
    pub capped: bool,
}

/// Findings that need work, by severity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct BySeverity {
    /// Critical ones.
    pub critical: u64,
    /// High ones.
    pub high: u64,
    /// Medium ones.
    pub medium: u64,
    /// Low ones.
    pub low: u64,
    /// Informational ones.
    pub info: u64,
}

impl BySeverity {
    /// The count of one severity.
    pub fn slot(&mut self, severity: Severity) -> &mut u64 {
        match severity {
            Severity::Critical => &mut self.critical,
            Severity::High => &mut self.high,
            Severity::Medium => &mut self.medium,
            Severity::Low => &mut self.low,
            Severity::Info => &mut self.info,
        }
    }
}

/// Counts of controls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Score)]
pub struct ScoreView {
    /// Passed.
    pub passed: u32,
    /// Failed.
    pub failed: u32,
    /// Whose only failures are accepted.
    pub accepted: u32,
    /// Not assessed.
    pub not_assessed: u32,
    /// That do not apply.
    pub not_applicable: u32,
    /// That wait for a person.
    pub manual: u32,
}

impl From<Score> for ScoreView {
    fn from(score: Score) -> Self {
        let Score {
            passed,
            failed,
            accepted,
            not_assessed,
            not_applicable,
            manual,
        } = score;
        Self {
            passed,
            failed,
            accepted,
            not_assessed,
            not_applicable,
            manual,
        }
    }
}

/// A point of a score's history.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TrendPoint {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Percent of judged controls that passed.
    pub score: Option<f64>,
    /// Percent of controls with a verdict.
    pub coverage: Option<f64>,
}

/// How many subjects got which outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Tally)]
pub struct TallyView {
    /// Passes.
    pub pass: u64,
    /// Failures to be dealt with.
    pub fail: u64,
    /// Accepted failures.
    pub accepted: u64,
    /// Failures ruled wrong.
    pub false_positive: u64,
    /// Nothing to look at.
    pub not_applicable: u64,
    /// Could not tell.
    pub unknown: u64,
}

impl From<&CheckTally> for TallyView {
    fn from(tally: &CheckTally) -> Self {
        Self {
            pass: tally.pass,
            fail: tally.fail,
            accepted: tally.accepted,
            false_positive: tally.false_positive,
            not_applicable: tally.not_applicable,
            unknown: tally.unknown,
        }
    }
}

impl TallyView {
    /// Adds another check's outcomes.
    pub fn add(&mut self, other: Self) {
        self.pass += other.pass;
        self.fail += other.fail;
        self.accepted += other.accepted;
        self.false_positive += other.false_positive;
        self.not_applicable += other.not_applicable;
        self.unknown += other.unknown;
    }
}

/// Where an entry stands in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct LedgerPlace {
    /// `pending` or `included`.
    #[schema(value_type = LedgerState)]
    pub state: &'static str,
    /// The leaf's index once included.
    pub index: Option<u64>,
}

/// Whether an entry is under a signed checkpoint.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LedgerState {
    /// Waits for the sequencer.
    Pending,
    /// Provable.
    Included,
}

impl LedgerPlace {
    /// The place of an entry with this index, if it has one yet.
    pub fn of(index: Option<u64>) -> Self {
        Self {
            state: if index.is_some() {
                "included"
            } else {
                "pending"
            },
            index,
        }
    }
}

/// An asset, as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Asset)]
pub struct AssetView {
    /// Identity.
    pub uid: String,
    /// The kind, such as `Deployment`.
    pub kind: String,
    /// The name.
    pub name: String,
    /// The namespace, empty where there is none.
    pub namespace: String,
}

impl From<Asset> for AssetView {
    fn from(asset: Asset) -> Self {
        Self {
            uid: asset.uid.into(),
            kind: asset.kind,
            name: asset.name,
            namespace: asset.namespace,
        }
    }
}

/// Who answers for leaving a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Acceptance)]
pub struct AcceptanceView {
    /// Who.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Until when; null for a suppression at the source.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires: Option<Timestamp>,
}

impl From<Acceptance> for AcceptanceView {
    fn from(acceptance: Acceptance) -> Self {
        Self {
            owner: acceptance.owner,
            reason: acceptance.reason,
            expires: acceptance.expires,
        }
    }
}

/// A finding, as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Finding)]
pub struct FindingView {
    /// Identity.
    pub key: String,
    /// Where it belongs.
    pub scope: String,
    /// Which check fails.
    pub check: String,
    /// On what.
    pub asset: AssetView,
    /// Where within it, such as `container:web`.
    pub locus: String,
    /// Its state.
    #[schema(value_type = StatusWord)]
    pub status: bartizan_model::FindingStatus,
    /// How bad.
    #[schema(value_type = SeverityWord)]
    pub severity: Severity,
    /// The check's title.
    pub title: String,
    /// The newest message.
    pub message: String,
    /// When it first failed.
    #[schema(value_type = String, format = DateTime)]
    pub first_seen: Timestamp,
    /// When its state last changed.
    #[schema(value_type = String, format = DateTime)]
    pub changed: Timestamp,
    /// Set while accepted.
    pub acceptance: Option<AcceptanceView>,
}

impl From<FindingRow> for FindingView {
    fn from(row: FindingRow) -> Self {
        Self {
            key: row.key.into(),
            scope: row.scope.into(),
            check: row.check.into(),
            asset: AssetView::from(row.asset),
            locus: row.locus,
            status: row.status,
            severity: row.severity,
            title: row.title,
            message: row.message,
            first_seen: row.first_seen,
            changed: row.changed,
            acceptance: row.acceptance.map(AcceptanceView::from),
        }
    }
}

/// A person's verdict on a control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Assessment)]
pub struct AssessmentView {
    /// Who judged.
    pub assessor: String,
    /// How.
    #[schema(value_type = VerdictWord)]
    pub verdict: bartizan_model::framework::Verdict,
    /// Why.
    pub reason: String,
    /// Digests of uploaded evidence.
    pub evidence: Vec<String>,
    /// When it was judged.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Until when it counts.
    #[schema(value_type = String, format = DateTime)]
    pub expires: Timestamp,
    /// Whether that is over.
    pub expired: bool,
    /// The audit entry that records it.
    pub entry_id: Option<String>,
}

impl AssessmentView {
    /// The view of an assessment at `now`.
    pub fn of(assessment: Assessment, entry_id: Option<String>, now: Timestamp) -> Self {
        Self {
            expired: assessment.expires <= now,
            assessor: assessment.assessor,
            verdict: assessment.verdict,
            reason: assessment.reason,
            evidence: assessment.evidence.into_iter().map(String::from).collect(),
            at: assessment.at,
            expires: assessment.expires,
            entry_id,
        }
    }
}

/// A refusal that names the field.
pub fn bad_field(field: &str, why: impl std::fmt::Display) -> Problem {
    Problem::bad_request("bad_parameter", format!("`{field}`: {why}"))
}

/// A parameter as it is; an empty one counts as absent.
pub fn given(value: Option<String>) -> Option<String> {
    value.filter(|value| !value.is_empty())
}

/// Words to look for, whatever their case.
pub fn sought(value: Option<String>) -> String {
    value.unwrap_or_default().trim().to_lowercase()
}

/// Parses an optional parameter; an empty one counts as absent.
pub fn optional<T>(field: &str, value: Option<&str>) -> ApiResult<Option<T>>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    match value.map(str::trim).filter(|v| !v.is_empty()) {
        None => Ok(None),
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|error| bad_field(field, format_args!("{error}."))),
    }
}

/// Parses an optional RFC 3339 time or a date, which stands for its first moment in UTC.
pub fn optional_time(field: &str, value: Option<&str>) -> ApiResult<Option<Timestamp>> {
    let Some(text) = value.map(str::trim).filter(|v| !v.is_empty()) else {
        return Ok(None);
    };
    Timestamp::parse(text)
        .or_else(|error| Timestamp::parse(&format!("{text}T00:00:00Z")).map_err(|_| error))
        .map(Some)
        .map_err(|error| bad_field(field, format_args!("{error}.")))
}

/// Splits a comma-separated parameter and parses each word.
pub fn words<T>(
    field: &str,
    value: Option<&str>,
    parse: impl Fn(&str) -> Option<T>,
    offered: &str,
) -> ApiResult<Vec<T>> {
    value
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .map(|word| {
            parse(word).ok_or_else(|| {
                let word: String = word.chars().take(40).collect();
                bad_field(field, format_args!("{word:?} is not one of {offered}."))
            })
        })
        .collect()
}

/// The page size: 1 to 200, 50 when not given.
pub fn page_size(limit: Option<u32>) -> ApiResult<u32> {
    match limit {
        None => Ok(50),
        Some(n @ 1..=200) => Ok(n),
        Some(n) => Err(bad_field(
            "limit",
            format_args!("{n} is not within 1 to 200."),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_named() {
        let words = |text| words("severity", Some(text), Severity::parse, "critical, high");
        assert_eq!(
            words("critical, HIGH,"),
            Ok(vec![Severity::Critical, Severity::High])
        );
        assert_eq!(
            words("urgent").unwrap_err().detail(),
            "`severity`: \"urgent\" is not one of critical, high."
        );
        assert_eq!(
            page_size(Some(0)).unwrap_err().detail(),
            "`limit`: 0 is not within 1 to 200."
        );
        assert_eq!(
            optional_time("from", Some("2026-11-21")),
            Ok(Some(Timestamp::parse("2026-11-21T00:00:00Z").unwrap()))
        );
        assert!(optional_time("from", Some("yesterday")).is_err());
    }
}
