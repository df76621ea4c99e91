//! Short checks for hosts, written as YAML: our own baselines and those of users.
//!
//! ```text
//! files ─► parse ─► Baseline (checks) ─► evaluate ─► Answer ─► Report
//!                                           │
//!                       questions ─► Facts ─┴─► System
//! ```
//!
//! A question is a tree of kinds ([`question::Question`]); each kind reads through [`Facts`],
//! which asks the [`System`] once for what many questions need.
//!
//! **Invariant:** what cannot be read is Unknown. A file that is absent is a failure where its
//! presence is the question, and Unknown where its content is, unless the check says what
//! absence means. Hashes of passwords are never evidence.

mod accounts;
mod evaluate;
pub mod expect;
mod facts;
mod find;
mod kernel;
mod parse;
pub mod question;
mod sshd;
mod units;
mod verdict;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_content;

pub use facts::Facts;
pub use parse::{Baseline, MAX_BYTES, MAX_CHECKS, ParseError, baselines};
pub use verdict::Verdict;

use crate::system::System;
use bartizan_model::report::Report;
use bartizan_model::scan::ContentDigest;
use bartizan_model::{
    Asset, Check, CheckResult, Digest, Evidence, IdError, Observation, Outcome, Scan,
};
use serde_json::json;

/// The first part of a check's uid.
pub const ENGINE: &str = "host";

/// What one check says of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The check's id within its baseline.
    pub check: String,
    /// The answer.
    pub outcome: Outcome,
    /// For people, one sentence.
    pub message: String,
    /// What decided.
    pub evidence: Vec<Evidence>,
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../../../../content/host/", $name)))),*]
    };
}

/// The files that are built in.
pub const BUILTIN: &[(&str, &[u8])] = files![
    "accounts.yaml",
    "debian.yaml",
    "filesystem.yaml",
    "kernel.yaml",
    "logging.yaml",
    "network.yaml",
    "rhel.yaml",
    "services.yaml",
    "ssh.yaml",
];

/// The baselines that are built in.
pub fn builtin() -> Result<Vec<Baseline>, ParseError> {
    baselines(BUILTIN)
}

/// The baselines of somebody's own files, which may name the built-in parts.
pub fn custom(files: &[(&str, &[u8])]) -> Result<Vec<Baseline>, ParseError> {
    let ours: Vec<String> = builtin()?.into_iter().map(|b| b.id).collect();
    let mut all = BUILTIN.to_vec();
    all.extend_from_slice(files);
    let mut made = baselines(&all)?;
    made.retain(|baseline| !ours.contains(&baseline.id));
    Ok(made)
}

/// Whether a baseline is for a host, by `ID` and `ID_LIKE` of its os-release; an error where
/// that cannot be read.
pub fn applies(baseline: &Baseline, facts: &Facts<'_>) -> Result<bool, String> {
    let Some(wanted) = &baseline.applies else {
        return Ok(true);
    };
    let id = facts.os("ID")?.unwrap_or_default();
    let like = facts.os("ID_LIKE")?.unwrap_or_default();
    Ok(wanted
        .iter()
        .any(|name| *name == id || like.split_whitespace().any(|word| word == name)))
}

/// Asks a host all checks of a baseline, in their order; `progress` hears how many of how many
/// are done.
pub fn evaluate(
    baseline: &Baseline,
    system: &dyn System,
    progress: &dyn Fn(usize, usize),
) -> Vec<Answer> {
    evaluate_with(baseline, &Facts::new(system), progress)
}

/// As [`evaluate`], with facts that several baselines share.
pub fn evaluate_with(
    baseline: &Baseline,
    facts: &Facts<'_>,
    progress: &dyn Fn(usize, usize),
) -> Vec<Answer> {
    let applies = applies(baseline, facts);
    let total = baseline.checks.len();
    let answer = |check: &question::Check| match &applies {
        Ok(true) => facts.answer(check.when.as_ref(), &check.question),
        Ok(false) => Verdict::not_applicable(format!(
            "the baseline is for {}",
            baseline.applies.clone().unwrap_or_default().join(", ")
        )),
        Err(why) => Verdict::unknown(format!("which system this is: {why}")),
    };
    baseline
        .checks
        .iter()
        .enumerate()
        .map(|(done, check)| {
            let verdict = answer(check);
            progress(done + 1, total);
            Answer {
                check: check.id.clone(),
                outcome: verdict.outcome,
                message: verdict.message,
                evidence: verdict.evidence,
            }
        })
        .collect()
}

/// Checks as the model has them, with uids `host/<baseline>/<check>`.
pub fn checks(baseline: &Baseline) -> Result<Vec<Check>, IdError> {
    baseline
        .checks
        .iter()
        .map(|check| {
            Ok(Check {
                uid: baseline.uid(check)?,
                title: check.title.trim().to_owned(),
                description: check.description.trim().to_owned(),
                severity: check.severity,
                remediation: check.remediation.trim().to_owned(),
                references: check.references.clone(),
            })
        })
        .collect()
}

/// The report of baselines and what they said. `asset` is the host; `scan.content` gets the
/// baselines' digests.
pub fn report(
    answered: &[(&Baseline, Vec<Answer>)],
    mut scan: Scan,
    asset: Asset,
) -> Result<Report, IdError> {
    let mut all_checks = Vec::new();
    let mut results = Vec::new();
    for (baseline, answers) in answered {
        all_checks.extend(checks(baseline)?);
        scan.content.push(ContentDigest {
            name: format!("{ENGINE}/{}", baseline.id),
            digest: baseline.digest.clone(),
        });
        for (check, answer) in baseline.checks.iter().zip(answers) {
            results.push(CheckResult {
                check: baseline.uid(check)?,
                asset: asset.uid.clone(),
                locus: String::new(),
                outcome: answer.outcome.clone(),
                message: answer.message.clone(),
                severity: None,
                evidence: answer.evidence.clone(),
                location: None,
                suppression: None,
            });
        }
    }
    all_checks.sort_by(|a, b| a.uid.cmp(&b.uid));
    all_checks.dedup_by(|a, b| a.uid == b.uid);
    results.sort_by(|a, b| a.check.cmp(&b.check));
    results.dedup_by(|a, b| a.check == b.check);
    let body = json!({ "host": asset.name });
    Ok(Report {
        scan,
        checks: all_checks,
        observations: vec![Observation {
            asset,
            kind: "host".to_owned(),
            digest: Digest::of(body.to_string().as_bytes()),
            body,
            location: None,
        }],
        results,
    })
}
