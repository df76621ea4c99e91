//! What a report is made of.

use crate::HostSection;
use bartizan_model::finding::SOURCE_OWNER;
use bartizan_model::framework::Score;
use bartizan_model::report::Report;
use bartizan_model::{
    Acceptance, Asset, AssetUid, Check, CheckResult, CheckUid, ControlStatus, Evidence, Finding,
    FindingKey, FindingStatus, Location, Outcome, Scan, ScopeId, Severity, TenantId, Timestamp,
};
use std::collections::BTreeMap;

/// Everything that a report says of one scope at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// What made it, with version: `bartizan 0.1.0`.
    pub generator: String,
    /// When.
    pub generated: Timestamp,
    /// Of what.
    pub scope: ScopeId,
    /// The newest scan, if there was one.
    pub scan: Option<Scan>,
    /// The checks that took part.
    pub checks: Vec<Check>,
    /// Results by outcome, and assets.
    pub counts: Counts,
    /// Findings that need work: open and reopened.
    pub failing: Vec<Row>,
    /// Findings that are accepted, ruled false positives, or suppressed at the source.
    pub suppressed: Vec<Row>,
    /// Subjects that could not be judged.
    pub unknown: Vec<UnknownRow>,
    /// Subjects that pass; may be left empty, and is used only where asked for.
    pub passing: Vec<Subject>,
    /// Suppressions at the source that nothing needs any more.
    pub unused_suppressions: Vec<UnusedSuppression>,
    /// How the scope stands against frameworks.
    pub frameworks: Vec<FrameworkSection>,
    /// What is known of the machine, where the scope is one.
    pub host: Option<HostSection>,
    /// What the reader must know before trusting the rest, such as rows left out.
    pub notices: Vec<String>,
}

/// Results by outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Assets looked at.
    pub assets: u64,
    /// Passes.
    pub pass: u64,
    /// Failures, suppressed ones included.
    pub fail: u64,
    /// Nothing to look at.
    pub not_applicable: u64,
    /// Could not tell.
    pub unknown: u64,
}

/// A finding with what is needed to show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The finding.
    pub finding: Finding,
    /// On what.
    pub asset: Asset,
    /// Where in the source.
    pub location: Option<Location>,
    /// The values that decided.
    pub evidence: Vec<Evidence>,
}

/// A check on a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Which check.
    pub check: CheckUid,
    /// On what.
    pub asset: Asset,
    /// Where within it.
    pub locus: String,
    /// Where in the source.
    pub location: Option<Location>,
}

/// A subject that could not be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownRow {
    /// What was to be judged.
    pub subject: Subject,
    /// Why it could not.
    pub why: String,
}

/// A suppression at the source that suppresses nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusedSuppression {
    /// Where it was said: `annotation` or `baseline`.
    pub by: String,
    /// What it names: a check, an object.
    pub what: String,
    /// The reason that it gave.
    pub reason: String,
    /// Where it stands.
    pub location: Option<Location>,
}

/// How the scope stands against a framework.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameworkSection {
    /// Its id.
    pub id: String,
    /// Its name.
    pub title: String,
    /// Its edition.
    pub version: String,
    /// Counts of controls; score and coverage follow from them.
    pub counts: Score,
    /// Each control, in the publisher's order.
    pub controls: Vec<ControlRow>,
}

/// How a control stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlRow {
    /// The publisher's id.
    pub id: String,
    /// Short title.
    pub title: String,
    /// The publisher's family or section.
    pub group: String,
    /// The verdict.
    pub status: ControlStatus,
    /// Why, as one sentence.
    pub why: String,
    /// Its checks.
    pub checks: Vec<CheckUid>,
}

impl Snapshot {
    /// A snapshot of nothing but its scope.
    pub fn empty(scope: ScopeId, generator: impl Into<String>, generated: Timestamp) -> Self {
        Self {
            generator: generator.into(),
            generated,
            scope,
            scan: None,
            checks: Vec::new(),
            counts: Counts::default(),
            failing: Vec::new(),
            suppressed: Vec::new(),
            unknown: Vec::new(),
            passing: Vec::new(),
            unused_suppressions: Vec::new(),
            frameworks: Vec::new(),
            host: None,
            notices: Vec::new(),
        }
    }

    /// The snapshot that one report alone gives, as on the command line: every failure is
    /// open, or accepted at its source. Unused suppressions and frameworks are left for the
    /// caller to fill in.
    pub fn from_report(
        report: &Report,
        tenant: &TenantId,
        generator: impl Into<String>,
        generated: Timestamp,
    ) -> Result<Self, bartizan_model::IdError> {
        let scope = report.scan.scope.id()?;
        let mut snapshot = Self::empty(scope, generator, generated);
        snapshot.scan = Some(report.scan.clone());
        snapshot.checks = report.checks.clone();
        snapshot.host = HostSection::of(&report.observations);
        let checks: BTreeMap<&CheckUid, &Check> =
            report.checks.iter().map(|c| (&c.uid, c)).collect();
        let mut assets: BTreeMap<&AssetUid, Asset> = report
            .observations
            .iter()
            .map(|o| (&o.asset.uid, o.asset.clone()))
            .collect();
        for result in &report.results {
            let asset = assets
                .entry(&result.asset)
                .or_insert_with(|| guess(&snapshot.scope, &result.asset))
                .clone();
            snapshot.add(result, asset, checks.get(&result.check).copied(), tenant);
        }
        snapshot.counts.assets = assets.len() as u64;
        if !report.scan.complete {
            snapshot
                .notices
                .push("The scan is incomplete: not everything of the scope was seen.".to_owned());
        }
        snapshot.sort();
        Ok(snapshot)
    }

    /// Puts rows into the order of reports: worst first, then by check, asset and locus.
    pub fn sort(&mut self) {
        let order = |row: &Row| {
            (
                std::cmp::Reverse(row.finding.severity),
                row.finding.check.clone(),
                row.finding.asset.clone(),
                row.finding.locus.clone(),
            )
        };
        self.failing.sort_by_cached_key(order);
        self.suppressed.sort_by_cached_key(order);
        let subject = |s: &Subject| (s.check.clone(), s.asset.uid.clone(), s.locus.clone());
        self.unknown.sort_by_cached_key(|u| subject(&u.subject));
        self.passing.sort_by_cached_key(subject);
        self.checks.sort_by(|a, b| a.uid.cmp(&b.uid));
    }

    /// Failing findings of each severity, worst first.
    pub fn by_severity(&self) -> [(Severity, u64); 5] {
        Severity::ALL.map(|severity| {
            let count = self
                .failing
                .iter()
                .filter(|row| row.finding.severity == severity)
                .count();
            (severity, count as u64)
        })
    }

    /// What is known of a check.
    pub fn check(&self, uid: &CheckUid) -> Option<&Check> {
        self.checks
            .binary_search_by(|check| check.uid.cmp(uid))
            .ok()
            .and_then(|at| self.checks.get(at))
            .or_else(|| self.checks.iter().find(|check| check.uid == *uid))
    }

    fn add(
        &mut self,
        result: &CheckResult,
        asset: Asset,
        check: Option<&Check>,
        tenant: &TenantId,
    ) {
        match &result.outcome {
            Outcome::Pass => {
                self.counts.pass += 1;
                self.passing.push(subject(result, asset));
            }
            Outcome::NotApplicable { .. } => self.counts.not_applicable += 1,
            Outcome::Unknown { why } => {
                self.counts.unknown += 1;
                self.unknown.push(UnknownRow {
                    subject: subject(result, asset),
                    why: why.clone(),
                });
            }
            Outcome::Fail => {
                self.counts.fail += 1;
                let at = self.scan.as_ref().map_or(self.generated, |s| s.finished);
                let acceptance = result.suppression.as_ref().map(|said| Acceptance {
                    owner: SOURCE_OWNER.to_owned(),
                    reason: said.reason.clone(),
                    expires: None,
                });
                let row = Row {
                    finding: Finding {
                        key: FindingKey::of(tenant, &result.check, &result.asset, &result.locus),
                        scope: self.scope.clone(),
                        check: result.check.clone(),
                        asset: result.asset.clone(),
                        locus: result.locus.clone(),
                        status: if acceptance.is_some() {
                            FindingStatus::Accepted
                        } else {
                            FindingStatus::Open
                        },
                        severity: result
                            .severity
                            .or(check.map(|c| c.severity))
                            .unwrap_or_default(),
                        title: check.map_or_else(|| result.check.to_string(), |c| c.title.clone()),
                        message: result.message.clone(),
                        first_seen: at,
                        changed: at,
                        acceptance,
                    },
                    asset,
                    location: result.location.clone(),
                    evidence: result.evidence.clone(),
                };
                if row.finding.status == FindingStatus::Accepted {
                    self.suppressed.push(row);
                } else {
                    self.failing.push(row);
                }
            }
        }
    }
}

fn subject(result: &CheckResult, asset: Asset) -> Subject {
    Subject {
        check: result.check.clone(),
        asset,
        locus: result.locus.clone(),
        location: result.location.clone(),
    }
}

/// An asset that no observation describes, as far as its uid tells.
fn guess(scope: &ScopeId, uid: &AssetUid) -> Asset {
    let rest = uid
        .as_str()
        .strip_prefix(scope.as_str())
        .and_then(|rest| rest.strip_prefix('/'));
    let parts: Vec<&str> = rest.map(|r| r.split('/').collect()).unwrap_or_default();
    let (kind, namespace, name) = match (parts.as_slice(), rest) {
        ([_, kind, namespace, name], _) => (*kind, *namespace, *name),
        (_, Some(rest)) => ("", "", rest),
        (_, None) => ("", "", uid.as_str()),
    };
    Asset {
        uid: uid.clone(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        namespace: namespace.to_owned(),
    }
}
