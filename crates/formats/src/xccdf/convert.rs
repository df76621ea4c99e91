//! From results to reports, by the same uids as those of our own scan of a host.

use super::benchmark::{Benchmark, Rule};
use super::result::{RuleResult, TestResult};
use super::text::{MAX_TEXT, MAX_VALUE};
use super::{Options, Reading, XccdfError};
use bartizan_model::report::Report;
use bartizan_model::secret::{has_hash, is_secret_place};
use bartizan_model::text::{one_line, plain};
use bartizan_model::{
    Asset, AssetUid, Check, CheckResult, CheckUid, Digest, Evidence, IdError, Observation, Outcome,
    Scan, ScanId, Scope, ScopeKind, Severity, Timestamp,
};
use serde_json::json;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

/// The first part of the checks' uids, as in a scan of our own.
const ENGINE: &str = "scap";

/// By document and definition: what decided it.
pub(super) type Decided = HashMap<(String, String), Vec<Evidence>>;

/// A result that became a report, but for its id.
struct Made {
    report: Report,
    target: String,
}

/// Makes a report of each result, the oldest first.
pub(super) fn reports(
    results: &[TestResult],
    benchmarks: &[Benchmark],
    decided: &Decided,
    options: &Options,
) -> Result<Reading, XccdfError> {
    let mut notices = Vec::new();
    let mut made = Vec::new();
    for result in results {
        made.push(one(result, benchmarks, decided, options, &mut notices)?);
    }
    // The newest comes last, so that it is what holds in the end.
    made.sort_by_key(|made| made.report.scan.finished);
    let subject = |made: &Made| {
        let scan = &made.report.scan;
        (scan.scope.clone(), scan.source.clone())
    };
    let all: Vec<_> = made
        .iter()
        .map(|made| (subject(made), made.target.clone()))
        .collect();
    let mut reports = Vec::new();
    for (at, mut made) in made.into_iter().enumerate() {
        let own = subject(&made);
        let has_others = all
            .iter()
            .any(|(other, target)| *other == own && *target != made.target);
        if has_others && made.report.scan.complete {
            made.report.scan.complete = false;
            notices.push(format!(
                "several machines are put into the one scope {}:{}; nothing is closed by {}",
                own.0.kind.word(),
                own.0.name,
                made.target
            ));
        }
        if at > 0 {
            made.report.scan.id = ScanId::new(format!("{}-{}", options.scan, at + 1))?;
        }
        reports.push(made.report);
    }
    Ok(Reading { reports, notices })
}

fn one(
    result: &TestResult,
    benchmarks: &[Benchmark],
    decided: &Decided,
    options: &Options,
    notices: &mut Vec<String>,
) -> Result<Made, XccdfError> {
    let unknown = Benchmark::default();
    let known = benchmarks.iter().find(|one| one.id == result.benchmark);
    let benchmark = known.unwrap_or(&unknown);
    let name = match &options.scope {
        Some(scope) if result.target.trim().is_empty() => scope.name.clone(),
        _ => one_line(&plain(&result.target, 200)),
    };
    if name.is_empty() {
        return Err(XccdfError::NoTarget);
    }
    let scope = match &options.scope {
        Some(scope) => scope.clone(),
        None => Scope {
            kind: ScopeKind::Host,
            name: name.clone(),
        },
    };
    let label = plain(&result.id, 120);
    let complete = match unfinished(result, known) {
        Some(why) => {
            notices.push(format!("{label}: {why}; nothing is closed by it"));
            false
        }
        None => true,
    };
    let moment = |text: &Option<String>| text.as_deref().and_then(moment);
    let (started, ended) = (moment(&result.started), moment(&result.ended));
    // A clock that runs ahead must not make later scans look older.
    let finished = ended
        .or(started)
        .unwrap_or(options.received)
        .min(options.received);
    let (source, source_version) = source(result);
    let scan = Scan {
        id: options.scan.clone(),
        source,
        source_version,
        scope,
        complete,
        started: started.unwrap_or(finished).min(finished),
        finished,
        content: Vec::new(),
    };
    let asset = Asset {
        uid: AssetUid::kubernetes(&scan.scope.id()?, "", "Host", "", &name)?,
        kind: "Host".to_owned(),
        name: name.clone(),
        namespace: String::new(),
    };
    let (checks, results) = rules(result, benchmark, decided, &asset)?;
    let observations = vec![
        observation(&asset, "host", host(result, &name)),
        observation(&asset, "scap.evaluation", evaluation(result, benchmark)),
    ];
    Ok(Made {
        report: Report {
            scan,
            checks,
            observations,
            results,
        },
        target: name,
    })
}

/// Why a result does not speak of everything that it was to speak of.
fn unfinished(result: &TestResult, known: Option<&Benchmark>) -> Option<String> {
    if result.ended.is_none() {
        return Some("it has no end-time, so it did not run to its end".to_owned());
    }
    if result.rules.is_empty() {
        return Some("it has no rule-result".to_owned());
    }
    // A whole run answers for all rules of its benchmark, if only with notselected; one for
    // single rules does not. Without the benchmark that cannot be told.
    let Some(benchmark) = known else {
        return Some("its benchmark is not in the file, so it may be a part".to_owned());
    };
    let has: HashSet<&str> = result.rules.iter().map(|rule| rule.id.as_str()).collect();
    let missing = benchmark.missing(&|rule| has.contains(rule));
    (missing > 0).then(|| format!("it has no answer for {missing} rules of its benchmark"))
}

/// A moment. OpenSCAP before 1.3 wrote no zone; it is taken for UTC.
fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    Timestamp::parse(text)
        .or_else(|_| Timestamp::parse(&format!("{text}Z")))
        .ok()
}

/// Who scanned, with the benchmark, so that one benchmark does not close what another
/// found; and its version.
fn source(result: &TestResult) -> (String, String) {
    // cpe:/a:VENDOR:PRODUCT:VERSION
    let mut parts = result.system.split(':').skip(3);
    let (product, version) = (parts.next(), parts.next());
    let fact = |name: &str| result.facts.get(name).map(String::as_str);
    let scanner = slug(fact("scanner:name").or(product).unwrap_or_default());
    let version = fact("scanner:version").or(version).unwrap_or_default();
    let benchmark = plain(&result.benchmark, 200);
    let source = match scanner.as_str() {
        "openscap" => format!("openscap/{benchmark}"),
        "" => format!("xccdf/{benchmark}"),
        other => format!("xccdf/{other}/{benchmark}"),
    };
    (source, plain(version, 80))
}

/// Lower-case letters, digits, dots and dashes.
fn slug(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars().take(80) {
        match c {
            c if c.is_ascii_alphanumeric() || c == '.' => out.push(c.to_ascii_lowercase()),
            _ if !out.is_empty() && !out.ends_with('-') => out.push('-'),
            _ => {}
        }
    }
    out.trim_end_matches('-').to_owned()
}

/// `scap/BENCHMARK/RULE`. A slash in an id must not make it look like another's.
fn uid(benchmark: &str, rule: &str) -> Result<CheckUid, IdError> {
    CheckUid::of(
        ENGINE,
        &benchmark.replace('/', "_"),
        &rule.replace('/', "_"),
    )
}

fn rules(
    result: &TestResult,
    benchmark: &Benchmark,
    decided: &Decided,
    asset: &Asset,
) -> Result<(Vec<Check>, Vec<CheckResult>), XccdfError> {
    let mut often: HashMap<&str, usize> = HashMap::new();
    for rule in &result.rules {
        *often.entry(&rule.id).or_default() += 1;
    }
    let mut checks: BTreeMap<CheckUid, Check> = BTreeMap::new();
    let mut results = Vec::new();
    for rule in &result.rules {
        let Some(outcome) = outcome(rule) else {
            continue;
        };
        let uid = uid(&result.benchmark, &rule.id)?;
        // Where the benchmark is not in the file, what is known of the check from elsewhere is
        // better than nothing, and must not be lost.
        let known = benchmark.rules.get(&rule.id);
        if let Some(known) = known
            && !checks.contains_key(&uid)
        {
            checks.insert(uid.clone(), check(&uid, rule, known, benchmark, result));
        }
        let how_bad = match (known, &outcome, &rule.severity) {
            (None, Outcome::Fail, Some(word)) => Some(severity(word)),
            _ => None,
        };
        // A rule with several results: what they are about tells them apart.
        let several = often.get(rule.id.as_str()).is_some_and(|times| *times > 1);
        let locus = match several {
            true => locus(rule),
            false => String::new(),
        };
        let evidence = evidence(rule, &outcome, decided);
        results.push(CheckResult {
            check: uid,
            asset: asset.uid.clone(),
            locus,
            message: message(rule, &outcome, &evidence),
            outcome,
            severity: how_bad,
            evidence,
            location: None,
            suppression: None,
        });
    }
    number(&mut results);
    Ok((checks.into_values().collect(), results))
}

/// Sorts results and numbers those that still share their subject. The worst comes first, so
/// that a pass never takes the name of a failure.
fn number(results: &mut [CheckResult]) {
    let rank = |outcome: &Outcome| match outcome {
        Outcome::Fail => 0,
        Outcome::Unknown { .. } => 1,
        Outcome::Pass => 2,
        Outcome::NotApplicable { .. } => 3,
    };
    results.sort_by(|one, other| {
        (&one.check, &one.locus, rank(&one.outcome)).cmp(&(
            &other.check,
            &other.locus,
            rank(&other.outcome),
        ))
    });
    let mut taken: HashSet<(CheckUid, String)> = results
        .iter()
        .map(|one| (one.check.clone(), one.locus.clone()))
        .collect();
    let mut last: Option<(CheckUid, String)> = None;
    let mut count = 1_u64;
    for result in results.iter_mut() {
        let own = (result.check.clone(), result.locus.clone());
        if last.as_ref() != Some(&own) {
            (last, count) = (Some(own), 1);
            continue;
        }
        loop {
            count += 1;
            let numbered = (own.0.clone(), format!("{}#{count}", own.1));
            if taken.insert(numbered.clone()) {
                result.locus = numbered.1;
                break;
            }
        }
    }
    results.sort_by(|one, other| (&one.check, &one.locus).cmp(&(&other.check, &other.locus)));
}

fn locus(rule: &RuleResult) -> String {
    let definition = rule.checks.iter().find_map(|(_, name)| name.as_ref());
    match (definition, &rule.instance) {
        (Some(name), _) => format!("definition:{}", plain(name, MAX_VALUE)),
        (None, Some(instance)) => format!("instance:{}", one_line(instance)),
        (None, None) => String::new(),
    }
}

fn check(
    uid: &CheckUid,
    result: &RuleResult,
    rule: &Rule,
    benchmark: &Benchmark,
    of: &TestResult,
) -> Check {
    let text = |text| plain(&benchmark.render(text, &of.values), MAX_TEXT);
    let (why, how) = (text(&rule.rationale), text(&rule.description));
    let title = text(&rule.title);
    // A rule's description says what has to be done; why it matters is apart.
    let (description, remediation) = match why.is_empty() {
        true => (how, String::new()),
        false => (why, how),
    };
    let references = match rule.references.is_empty() {
        true => result.idents.clone(),
        false => rule.references.clone(),
    };
    Check {
        uid: uid.clone(),
        title: match title.is_empty() {
            true => plain(&result.id, MAX_VALUE),
            false => one_line(&title),
        },
        description,
        // A profile may say another severity than the rule does.
        severity: severity(result.severity.as_deref().unwrap_or(&rule.severity)),
        remediation,
        references,
    }
}

/// `unknown`, which content says where it says nothing, is what content without a severity
/// gets.
fn severity(word: &str) -> Severity {
    match word {
        "info" => Severity::Info,
        "low" => Severity::Low,
        "high" => Severity::High,
        _ => Severity::Medium,
    }
}

fn outcome(rule: &RuleResult) -> Option<Outcome> {
    let why = |word: &str| match &rule.message {
        Some(message) => plain(&format!("{word}: {message}"), MAX_VALUE),
        None => word.to_owned(),
    };
    Some(match rule.word.as_str() {
        "pass" | "fixed" => Outcome::Pass,
        "fail" => Outcome::Fail,
        "notselected" => return None,
        "notapplicable" => Outcome::NotApplicable {
            why: why("the rule is not for this system"),
        },
        "informational" => Outcome::Unknown {
            why: why("the rule is informational: it says nothing of good or bad"),
        },
        "error" => Outcome::Unknown {
            why: why("the check ended in an error"),
        },
        "unknown" => Outcome::Unknown {
            why: why("the check could not tell"),
        },
        "notchecked" => Outcome::Unknown {
            why: why("not checked"),
        },
        other => Outcome::Unknown {
            why: why(&format!("the result {other:?} is none that XCCDF knows")),
        },
    })
}

/// Whether what decided a rule is worth looking for.
pub(super) fn wants_evidence(rule: &RuleResult) -> bool {
    matches!(rule.word.as_str(), "fail" | "error" | "unknown")
}

fn evidence(rule: &RuleResult, outcome: &Outcome, decided: &Decided) -> Vec<Evidence> {
    let mut all: Vec<Evidence> = Vec::new();
    for (href, name) in &rule.checks {
        let document = href.strip_prefix('#').unwrap_or(href);
        let key = (document.to_owned(), name.clone().unwrap_or_default());
        let told = decided.get(&key).into_iter().flatten();
        all.extend(told.take(8).cloned());
    }
    all.truncate(16);
    let script = rule.checks.first().map_or("", |(href, _)| href.as_str());
    for (name, text) in &rule.imports {
        if *outcome == Outcome::Pass || text.trim().is_empty() {
            continue;
        }
        let what = match name.as_str() {
            "stdout" => "output",
            other => other,
        };
        all.push(Evidence {
            path: format!("script {script}: {what}"),
            actual: Some(text.trim().to_owned()),
            expected: None,
        });
    }
    all.into_iter().map(clean).collect()
}

fn clean(mut evidence: Evidence) -> Evidence {
    let is_secret = is_secret_place(&evidence.path);
    evidence.path = plain(&evidence.path, MAX_VALUE);
    evidence.actual = evidence.actual.map(|actual| {
        // What it is, may be said; what stands in it, not.
        let says_nothing = actual.starts_with("does not") || actual.starts_with("could not");
        match (is_secret && !says_nothing) || has_hash(&actual) {
            true => "(redacted)".to_owned(),
            false => plain(&actual, MAX_VALUE),
        }
    });
    evidence.expected = evidence.expected.map(|text| plain(&text, MAX_VALUE));
    evidence
}

fn message(rule: &RuleResult, outcome: &Outcome, evidence: &[Evidence]) -> String {
    if *outcome != Outcome::Fail {
        return String::new();
    }
    match (&rule.message, evidence.first()) {
        (Some(message), _) => one_line(message),
        (None, Some(first)) => {
            let found = match &first.actual {
                Some(actual) => format!("is {actual:?}"),
                None => "is not there".to_owned(),
            };
            let wanted = match &first.expected {
                Some(expected) => format!(", wanted: {expected}"),
                None => String::new(),
            };
            one_line(&format!("{} {found}{wanted}", first.path))
        }
        (None, None) => String::new(),
    }
}

fn observation(asset: &Asset, kind: &str, body: serde_json::Value) -> Observation {
    Observation {
        asset: asset.clone(),
        kind: kind.to_owned(),
        digest: Digest::of(body.to_string().as_bytes()),
        body,
        location: None,
    }
}

/// What the file says of the machine.
fn host(result: &TestResult, name: &str) -> serde_json::Value {
    let fact = |name: &str| result.facts.get(name).cloned().unwrap_or_default();
    let mut addresses: Vec<String> = Vec::new();
    for text in &result.addresses {
        // OpenSCAP writes addresses of version 6 out in full.
        let address = match text.parse::<IpAddr>() {
            Ok(address) => address.to_string(),
            Err(_) => text.clone(),
        };
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    json!({
        "name": name,
        "os": fact("asset:identifier:os_name"),
        "osVersion": fact("asset:identifier:os_version"),
        "kernel": "",
        "architecture": "",
        "addresses": addresses,
    })
}

/// What the result says as a whole.
fn evaluation(result: &TestResult, benchmark: &Benchmark) -> serde_json::Value {
    let title = |text| {
        let text = one_line(&benchmark.render(text, &result.values));
        plain(&text, 200)
    };
    let profile = result.profile.as_deref();
    let profile_title = profile.and_then(|id| benchmark.profiles.get(id)).map(title);
    let selected = || result.rules.iter().filter(|one| one.word != "notselected");
    let applicable = selected().any(|one| one.word != "notapplicable");
    let scores = result.scores.iter().filter_map(|(system, value, maximum)| {
        let percent = 100.0 * value / maximum;
        percent.is_finite().then(|| {
            json!({
                "system": system,
                "value": value,
                "maximum": maximum,
                "percent": percent,
            })
        })
    });
    let version = match result.benchmark_version.is_empty() {
        true => &benchmark.version,
        false => &result.benchmark_version,
    };
    json!({
        "benchmark": plain(&result.benchmark, 200),
        "version": plain(version, 200),
        "title": title(&benchmark.title),
        "profile": profile.map(|one| plain(one, 200)),
        "profileTitle": profile_title,
        "applicable": applicable,
        "scores": scores.collect::<Vec<_>>(),
        "groups": [],
    })
}
