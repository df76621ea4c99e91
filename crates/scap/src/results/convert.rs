//! An evaluation as our report.

use super::summary;
use super::testresult::{Host, Subject, rules};
use crate::xccdf::model::Severity;
use crate::xccdf::outcome::{RuleOutcome, RuleResult, Why};
use bartizan_model::report::Report;
use bartizan_model::secret::{has_hash, is_secret_place};
use bartizan_model::text::{one_line, plain};
use bartizan_model::{
    Asset, AssetUid, Check, CheckResult, CheckUid, Digest, Evidence, IdError, Observation, Outcome,
    Scan,
};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};

/// The first part of the checks' uids.
pub const ENGINE: &str = "scap";
/// The kind of the observation of a host.
pub const HOST: &str = "host";

/// Longer texts are cut: content and files decide how long they are.
const MAX_TEXT: usize = 16_000;
const MAX_VALUE: usize = 512;

/// The host as an asset of the scan's scope.
pub fn asset(scan: &Scan, name: &str) -> Result<Asset, IdError> {
    Ok(Asset {
        uid: AssetUid::kubernetes(&scan.scope.id()?, "", "Host", "", name)?,
        kind: "Host".to_owned(),
        name: name.to_owned(),
        namespace: String::new(),
    })
}

/// What is known of the host, as a fact.
pub fn observation(asset: Asset, host: &Host) -> Observation {
    let body = json!({
        "name": plain(&host.name, MAX_VALUE),
        "os": plain(&host.os_name, MAX_VALUE),
        "osVersion": plain(&host.os_version, MAX_VALUE),
        "kernel": plain(&host.kernel, MAX_VALUE),
        "architecture": plain(&host.architecture, MAX_VALUE),
        "addresses": host.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    Observation {
        asset,
        kind: HOST.to_owned(),
        digest: Digest::of(body.to_string().as_bytes()),
        body,
        location: None,
    }
}

/// The report: rules that were not selected are not in it. An id of the content that makes
/// no uid is an error, the content's fault.
pub fn report(subject: &Subject<'_>, scan: Scan, host: &Host) -> Result<Report, IdError> {
    let (benchmark, policy, evaluation) = (subject.benchmark, subject.policy, subject.evaluation);
    let asset = asset(&scan, &host.name)?;
    let rules = rules(benchmark);
    let mut checks: BTreeMap<CheckUid, Check> = BTreeMap::new();
    let mut results = Vec::new();
    let mut often: HashMap<&str, usize> = HashMap::new();
    for outcome in &evaluation.rules {
        *often.entry(&outcome.id).or_default() += 1;
    }
    for outcome in &evaluation.rules {
        let Some(verdict) = verdict(outcome) else {
            continue;
        };
        let uid = uid(&evaluation.benchmark, &outcome.id)?;
        if let Some((place, item, rule)) = rules.get(&*outcome.id).copied()
            && !checks.contains_key(&uid)
        {
            let text = |text| plain(&policy.text(benchmark, text), MAX_TEXT);
            let (why, how) = (text(&item.rationale), text(&item.description));
            let title = text(&item.title);
            // A rule's description says what has to be done; why it matters is apart.
            let (description, remediation) = match why.is_empty() {
                true => (how, String::new()),
                false => (why, how),
            };
            let check = Check {
                uid: uid.clone(),
                title: match title.is_empty() {
                    true => outcome.id.to_string(),
                    false => one_line(&title),
                },
                description,
                severity: severity(policy.severity(place, rule)),
                remediation,
                references: references(&rule.idents, &rule.references),
            };
            checks.insert(uid.clone(), check);
        }
        // A rule with a result for each definition: the definition tells them apart.
        let locus = match &outcome.check {
            Some(used) if often.get(&*outcome.id).is_some_and(|times| *times > 1) => used
                .name
                .as_ref()
                .map(|name| format!("definition:{}", plain(name, MAX_VALUE)))
                .unwrap_or_default(),
            _ => String::new(),
        };
        results.push(CheckResult {
            check: uid,
            asset: asset.uid.clone(),
            locus,
            message: message(outcome, &verdict),
            outcome: verdict,
            severity: None,
            evidence: outcome.why.iter().map(evidence).collect(),
            location: None,
            suppression: None,
        });
    }
    results.sort_by(|one, other| {
        (&one.check, &one.asset, &one.locus).cmp(&(&other.check, &other.asset, &other.locus))
    });
    Ok(Report {
        scan,
        checks: checks.into_values().collect(),
        observations: vec![
            observation(asset.clone(), host),
            summary::observation(asset, subject, &|rule| {
                uid(&evaluation.benchmark, rule).ok()
            }),
        ],
        results,
    })
}

/// `scap/BENCHMARK/RULE`. A slash in an id must not make it look like another's.
fn uid(benchmark: &str, rule: &str) -> Result<CheckUid, IdError> {
    CheckUid::of(
        ENGINE,
        &benchmark.replace('/', "_"),
        &rule.replace('/', "_"),
    )
}

fn verdict(outcome: &RuleOutcome) -> Option<Outcome> {
    let why = |word: &str| match &outcome.message {
        Some(message) => plain(&format!("{word}: {message}"), MAX_VALUE),
        None => word.to_owned(),
    };
    Some(match outcome.result {
        RuleResult::Pass | RuleResult::Fixed => Outcome::Pass,
        RuleResult::Fail => Outcome::Fail,
        RuleResult::NotSelected => return None,
        RuleResult::NotApplicable => Outcome::NotApplicable {
            why: why("the rule is not for this system"),
        },
        RuleResult::Error => Outcome::Unknown {
            why: why("the check ended in an error"),
        },
        RuleResult::Unknown => Outcome::Unknown {
            why: why("the check could not tell"),
        },
        RuleResult::NotChecked => Outcome::Unknown {
            why: why("not checked"),
        },
        RuleResult::Informational => Outcome::Unknown {
            why: why("the rule is informational: it says nothing of good or bad"),
        },
    })
}

/// `unknown`, which content says where it says nothing, is what content without a severity
/// gets.
fn severity(severity: Severity) -> bartizan_model::Severity {
    match severity {
        Severity::Unknown | Severity::Medium => bartizan_model::Severity::Medium,
        Severity::Info => bartizan_model::Severity::Info,
        Severity::Low => bartizan_model::Severity::Low,
        Severity::High => bartizan_model::Severity::High,
    }
}

type Pairs = [(Box<str>, Box<str>)];

/// Identifiers such as CCE by their text, then addresses; each once.
fn references(idents: &Pairs, references: &Pairs) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let idents = idents.iter().map(|(_, text)| plain(text, MAX_VALUE));
    let addresses = references
        .iter()
        .filter(|(href, _)| href.starts_with("https://") || href.starts_with("http://"))
        .map(|(href, _)| plain(href, MAX_VALUE));
    for one in idents.chain(addresses) {
        if !one.is_empty() && !all.contains(&one) {
            all.push(one);
        }
    }
    all
}

fn message(outcome: &RuleOutcome, verdict: &Outcome) -> String {
    if *verdict != Outcome::Fail {
        return String::new();
    }
    match (&outcome.message, outcome.why.first()) {
        (Some(message), _) => one_line(&plain(message, MAX_VALUE)),
        (None, Some(first)) => {
            let evidence = evidence(first);
            let found = match evidence.actual {
                Some(actual) => format!("is {actual:?}"),
                None => "is not there".to_owned(),
            };
            let wanted = match evidence.expected {
                Some(expected) => format!(", wanted: {expected}"),
                None => String::new(),
            };
            one_line(&format!("{} {found}{wanted}", evidence.path))
        }
        (None, None) => String::new(),
    }
}

fn evidence(why: &Why) -> Evidence {
    let is_secret = is_secret_place(&why.what);
    Evidence {
        path: plain(&why.what, MAX_VALUE),
        actual: why.actual.as_ref().map(|actual| {
            if is_secret || has_hash(actual) {
                "(redacted)".to_owned()
            } else {
                plain(actual, MAX_VALUE)
            }
        }),
        expected: why
            .expected
            .as_ref()
            .map(|expected| plain(expected, MAX_VALUE)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testresult::tests::{bundle, evaluation, outcome};
    use super::*;
    use crate::xccdf::select::Policy;
    use bartizan_model::{ScanId, Scope, Timestamp};

    fn scan() -> Scan {
        Scan {
            id: ScanId::new("s").unwrap(),
            source: "bartizan/scap".to_owned(),
            source_version: "1".to_owned(),
            scope: Scope::parse("host:h").unwrap(),
            complete: true,
            started: Timestamp::from_micros(0),
            finished: Timestamp::from_micros(0),
            content: Vec::new(),
        }
    }

    #[test]
    fn a_report_has_checks_host_and_results() {
        let bundle = bundle();
        let benchmark = bundle.benchmark(None, None).unwrap().benchmark;
        let policy = Policy::new(benchmark, None, None).unwrap();
        let evaluation = evaluation();
        let subject = Subject {
            benchmark,
            policy: &policy,
            evaluation: &evaluation,
        };
        let host = Host {
            name: "h".to_owned(),
            ..Host::default()
        };
        let report = report(&subject, scan(), &host).unwrap();
        let check = report.checks.first().unwrap();
        assert_eq!(check.uid.as_str(), "scap/b/r1");
        assert_eq!(check.title, "one & <x>");
        assert_eq!(
            (&*check.description, &*check.remediation),
            ("it matters", "do it")
        );
        assert_eq!(check.severity, bartizan_model::Severity::High);
        assert_eq!(check.references, ["CCE-1", "https://a.example/1"]);
        let result = report.results.first().unwrap();
        assert_eq!(result.outcome, Outcome::Fail);
        assert_eq!(result.asset.as_str(), "host:h//Host//h");
        assert_eq!(
            result.message,
            "/etc/x: text is \"a\u{fffd}\", wanted: equals b"
        );
        assert_eq!(
            result.evidence.first().unwrap().actual.as_deref(),
            Some("a\u{fffd}")
        );
        let second = report.results.get(1).unwrap();
        assert_eq!(
            second.outcome.why(),
            Some("not checked: <no> check"),
            "what was not checked is no pass"
        );
        let kinds: Vec<&str> = report.observations.iter().map(|one| &*one.kind).collect();
        assert_eq!(kinds, ["host", "scap.evaluation"]);
    }

    #[test]
    fn results_become_outcomes() {
        use RuleResult::*;
        for (result, word) in [
            (Pass, Some("pass")),
            (Fixed, Some("pass")),
            (Fail, Some("fail")),
            (NotApplicable, Some("not_applicable")),
            (Error, Some("unknown")),
            (Unknown, Some("unknown")),
            (NotChecked, Some("unknown")),
            (Informational, Some("unknown")),
            (NotSelected, None),
        ] {
            let got = verdict(&outcome("r", result));
            assert_eq!(got.as_ref().map(Outcome::word), word, "{result:?}");
        }
    }

    #[test]
    fn many_results_of_a_rule_are_told_apart() {
        let bundle = bundle();
        let benchmark = bundle.benchmark(None, None).unwrap().benchmark;
        let policy = Policy::new(benchmark, None, None).unwrap();
        let mut evaluation = evaluation();
        let mut again = evaluation.rules.first().unwrap().clone();
        again.check.as_mut().unwrap().name = Some("oval:t:def:2".into());
        evaluation.rules.push(again);
        let subject = Subject {
            benchmark,
            policy: &policy,
            evaluation: &evaluation,
        };
        let host = Host {
            name: "h".to_owned(),
            ..Host::default()
        };
        let report = report(&subject, scan(), &host).unwrap();
        let loci: Vec<&str> = report.results.iter().map(|one| &*one.locus).collect();
        assert_eq!(
            loci,
            ["definition:oval:t:def:1", "definition:oval:t:def:2", ""]
        );
        assert_eq!(report.checks.len(), 2);
    }

    #[test]
    fn secrets_do_not_leave() {
        let of = |what: &str, actual: &str| {
            let why = Why {
                what: what.to_owned(),
                actual: Some(actual.to_owned()),
                expected: None,
            };
            evidence(&why).actual.unwrap()
        };
        assert_eq!(of("/etc/shadow: text", "root:x"), "(redacted)");
        assert_eq!(of("/etc/ssh/ssh_host_rsa_key: text", "-----"), "(redacted)");
        assert_eq!(of("/etc/x: text", "a $6$abc$def"), "(redacted)");
        assert_eq!(of("/etc/shadow: mode", "0640"), "0640");
        assert_eq!(of("/etc/pam.d/common-password: text", "ok"), "ok");
    }
}
