//! Results as `PolicyReport` and `ClusterPolicyReport` objects of `wgpolicyk8s.io/v1alpha2`, the
//! form that Kubernetes' policy dashboards read.
//!
//! Lines go in one at a time, whole objects come out: one for each namespace, and one for what has
//! none. An object that grows too large for an API server is closed and another of the same
//! namespace begun; so little is held at once.
//!
//! | ours | here |
//! |---|---|
//! | pass | `pass` |
//! | fail | `fail` |
//! | a failure that is only told, or that somebody answers for | `warn`, not scored |
//! | unknown | `error`: it is never a pass |
//! | not applicable | `skip` |

use bartizan_model::report::Report;
use bartizan_model::{Asset, CheckResult, CheckUid, Outcome, ScopeId, Severity, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Group and version.
pub const API_VERSION: &str = "wgpolicyk8s.io/v1alpha2";
/// The value of `source`, and of the label that says who keeps the objects.
pub const SOURCE: &str = "bartizan";
/// The label and, untouched, the annotation that name the scope.
pub const SCOPE: &str = "bartizan.dev/scope";

/// The label by which old parts are found: all objects that we keep.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Longest message, in bytes.
const MESSAGE: usize = 8 << 10;
/// Longest other text, in bytes; objects' names are at most 253.
const TEXT: usize = 1 << 10;
/// Properties of one result.
const PROPERTIES: usize = 32;
/// What an object without results takes at most.
const FRAME: usize = 8 << 10;

/// What the format calls an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Word {
    /// The requirements are met.
    Pass,
    /// They are not.
    Fail,
    /// They are not, and that is not scored.
    Warn,
    /// It could not be told.
    Error,
    /// There was nothing to look at.
    Skip,
}

impl Word {
    /// All, in the order of the summary.
    pub const ALL: [Self; 5] = [Self::Pass, Self::Fail, Self::Warn, Self::Error, Self::Skip];

    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Skip => "skip",
        }
    }

    /// Of an outcome; a failure that `is_left` stands with somebody's knowledge.
    pub fn of(outcome: &Outcome, is_left: bool) -> Self {
        match outcome {
            Outcome::Pass => Self::Pass,
            Outcome::Fail if is_left => Self::Warn,
            Outcome::Fail => Self::Fail,
            Outcome::Unknown { .. } => Self::Error,
            Outcome::NotApplicable { .. } => Self::Skip,
        }
    }
}

/// What was judged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Object {
    /// Group and version; left out where empty.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Namespace; empty where there is none.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// The uid that the cluster gave; left out where empty.
    pub uid: String,
}

/// One result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The policy.
    pub policy: String,
    /// The rule within it; left out where empty.
    pub rule: String,
    /// Its category; left out where empty.
    pub category: String,
    /// How bad a failure is.
    pub severity: Option<Severity>,
    /// On what.
    pub subject: Object,
    /// What was found.
    pub outcome: Word,
    /// For people.
    pub message: String,
    /// When.
    pub at: Option<Timestamp>,
    /// What else is known.
    pub properties: BTreeMap<String, String>,
}

/// Who owns the objects, so that they go when it goes: something of the whole cluster, as owners
/// cannot be of another namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Group and version.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: String,
}

/// How objects are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// What was judged; part of each name.
    pub scope: String,
    /// Results of one object at most.
    pub results: usize,
    /// Bytes of one object at most, as JSON; API servers refuse more than about 1.5 MiB.
    pub bytes: usize,
    /// Bytes that are held of all unfinished objects; beyond, the largest is closed.
    pub held: usize,
    /// Labels of each object.
    pub labels: BTreeMap<String, String>,
    /// Its owner.
    pub owner: Option<Owner>,
}

impl Options {
    /// The usual bounds: 1,000 results and a MiB an object.
    pub fn new(scope: impl Into<String>) -> Self {
        Self {
            scope: scope.into(),
            results: 1_000,
            bytes: 1 << 20,
            held: 16 << 20,
            labels: BTreeMap::new(),
            owner: None,
        }
    }
}

/// An object that still grows.
#[derive(Debug, Default)]
struct Part {
    number: u32,
    bytes: usize,
    counts: BTreeMap<Word, u64>,
    results: Vec<Value>,
}

/// Makes objects of lines.
#[derive(Debug)]
pub struct Reports {
    options: Options,
    /// By namespace; the empty one is the cluster's.
    parts: BTreeMap<String, Part>,
    held: usize,
}

impl Reports {
    /// Nothing yet.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            parts: BTreeMap::new(),
            held: 0,
        }
    }

    /// Takes a line; the objects that this finishes.
    pub fn push(&mut self, line: &Line) -> Vec<Value> {
        // What no cluster would take as a namespace is told at the cluster, not lost.
        let namespace = if is_label(&line.subject.namespace) {
            line.subject.namespace.clone()
        } else {
            String::new()
        };
        let result = result(line);
        let bytes = result.to_string().len() + 1;
        let room = self.options.bytes.saturating_sub(FRAME);
        let most = self.options.results.max(1);
        let mut done = Vec::new();
        let part = self.parts.entry(namespace.clone()).or_default();
        if !part.results.is_empty() && (part.results.len() >= most || part.bytes + bytes > room) {
            self.held = self.held.saturating_sub(part.bytes);
            done.push(close(&self.options, &namespace, part));
        }
        part.bytes += bytes;
        *part.counts.entry(line.outcome).or_default() += 1;
        part.results.push(result);
        self.held += bytes;
        while self.held > self.options.held {
            let Some((namespace, part)) = self.parts.iter_mut().max_by_key(|(_, p)| p.bytes) else {
                break;
            };
            self.held = self.held.saturating_sub(part.bytes);
            done.push(close(&self.options, namespace, part));
        }
        done
    }

    /// The objects that are left.
    pub fn finish(self) -> impl Iterator<Item = Value> {
        let options = self.options;
        self.parts
            .into_iter()
            .filter(|(_, part)| !part.results.is_empty())
            .map(move |(namespace, mut part)| close(&options, &namespace, &mut part))
    }
}

/// All objects of these lines.
pub fn reports(lines: impl IntoIterator<Item = Line>, options: Options) -> Vec<Value> {
    let mut reports = Reports::new(options);
    let mut all = Vec::new();
    for line in lines {
        all.extend(reports.push(&line));
    }
    all.extend(reports.finish());
    all
}

fn close(options: &Options, namespace: &str, part: &mut Part) -> Value {
    part.bytes = 0;
    part.number += 1;
    let counts = std::mem::take(&mut part.counts);
    let results = std::mem::take(&mut part.results);
    let mut metadata = Map::new();
    let name = name(&options.scope);
    metadata.insert("name".into(), format!("{name}-{}", part.number).into());
    let mut labels: Map<String, Value> = options
        .labels
        .iter()
        .map(|(key, value)| (key.clone(), label(value).into()))
        .collect();
    labels.insert(MANAGED_BY.into(), SOURCE.into());
    labels.insert(SCOPE.into(), label(&options.scope).into());
    metadata.insert("labels".into(), labels.into());
    metadata.insert(
        "annotations".into(),
        json!({SCOPE: cut(&options.scope, TEXT)}),
    );
    if let Some(owner) = &options.owner {
        metadata.insert(
            "ownerReferences".into(),
            json!([{"apiVersion": owner.api_version, "kind": owner.kind,
                "name": owner.name, "uid": owner.uid}]),
        );
    }
    let mut report = Map::new();
    report.insert("apiVersion".into(), API_VERSION.into());
    let kind = if namespace.is_empty() {
        "ClusterPolicyReport"
    } else {
        metadata.insert("namespace".into(), namespace.into());
        report.insert(
            "scope".into(),
            json!({"apiVersion": "v1", "kind": "Namespace", "name": namespace}),
        );
        "PolicyReport"
    };
    report.insert("kind".into(), kind.into());
    report.insert("metadata".into(), metadata.into());
    let summary = Word::ALL.map(|word| {
        let count = counts.get(&word).copied().unwrap_or_default();
        (word.word().to_owned(), Value::from(count))
    });
    report.insert("summary".into(), Map::from_iter(summary).into());
    report.insert("results".into(), results.into());
    report.into()
}

fn result(line: &Line) -> Value {
    let mut result = Map::new();
    let mut text = |key: &str, value: &str, most: usize| {
        if !value.is_empty() {
            result.insert(key.to_owned(), cut(value, most).into());
        }
    };
    text("rule", &line.rule, TEXT);
    text("category", &line.category, TEXT);
    text("message", &line.message, MESSAGE);
    text("severity", line.severity.map_or("", Severity::word), TEXT);
    result.insert("source".into(), SOURCE.into());
    result.insert("policy".into(), cut(&line.policy, TEXT).into());
    result.insert("result".into(), line.outcome.word().into());
    let scored = matches!(line.outcome, Word::Pass | Word::Fail);
    result.insert("scored".into(), scored.into());
    let mut subject = Map::new();
    let of = &line.subject;
    for (key, value) in [
        ("apiVersion", &of.api_version),
        ("kind", &of.kind),
        ("namespace", &of.namespace),
        ("name", &of.name),
        ("uid", &of.uid),
    ] {
        if !value.is_empty() {
            subject.insert(key.to_owned(), cut(value, TEXT).into());
        }
    }
    if !subject.is_empty() {
        result.insert("resources".into(), json!([subject]));
    }
    if let Some(at) = line.at {
        let micros = at.micros().rem_euclid(1_000_000);
        let seconds = at.micros().div_euclid(1_000_000);
        result.insert(
            "timestamp".into(),
            json!({"seconds": seconds, "nanos": micros * 1_000}),
        );
    }
    if !line.properties.is_empty() {
        let properties: Map<String, Value> = line
            .properties
            .iter()
            .take(PROPERTIES)
            .map(|(key, value)| (cut(key, TEXT), cut(value, TEXT).into()))
            .collect();
        result.insert("properties".into(), properties.into());
    }
    result.into()
}

/// The text, or its beginning and a mark.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(most);
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// Whether it may name a namespace (RFC 1123 label).
fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// A text as a label's value.
fn label(text: &str) -> String {
    let kept: String = text
        .chars()
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => c,
            _ => '.',
        })
        .take(63)
        .collect();
    kept.trim_matches(['-', '_', '.']).to_owned()
}

/// The beginning of an object's name: `bartizan.cluster.prod`; a scope that cannot be written so
/// gets a number that tells it from others.
fn name(scope: &str) -> String {
    let mut written = String::new();
    for part in scope.to_lowercase().split([':', '.', '/']) {
        let part: String = part
            .chars()
            .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-')
            .take(100)
            .collect();
        let part = part.trim_matches('-');
        if !part.is_empty() && written.len() + part.len() < 180 {
            written.push('.');
            written.push_str(part);
        }
    }
    if written.get(1..) == Some(scope.replacen(':', ".", 1).as_str()) {
        return format!("{SOURCE}{written}");
    }
    // FNV-1a: only to tell names apart.
    let hash = scope.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{SOURCE}{written}.{hash:016x}")
}

/// What is judged, as a reference. The version is not part of an asset's identity: it is named for
/// the groups that have one alone, `v1`.
pub fn object(scope: &ScopeId, asset: &Asset) -> Object {
    let rest = asset.uid.as_str().strip_prefix(scope.as_str());
    let group = rest
        .and_then(|rest| rest.strip_prefix('/'))
        .filter(|rest| rest.split('/').count() == 4)
        .and_then(|rest| rest.split('/').next());
    let api_version = match group {
        Some("") => "v1".to_owned(),
        Some(
            group @ ("apps"
            | "batch"
            | "policy"
            | "networking.k8s.io"
            | "rbac.authorization.k8s.io"
            | "storage.k8s.io"
            | "scheduling.k8s.io"
            | "apiextensions.k8s.io"
            | "admissionregistration.k8s.io"),
        ) => format!("{group}/v1"),
        _ => String::new(),
    };
    Object {
        api_version,
        kind: asset.kind.clone(),
        namespace: asset.namespace.clone(),
        name: asset.name.clone(),
        uid: String::new(),
    }
}

/// Policy and rule of a check: the whole uid, and its last part.
pub fn policy_and_rule(check: &CheckUid) -> (String, String) {
    let uid = check.as_str();
    let rule = uid.rsplit('/').next().unwrap_or(uid);
    (uid.to_owned(), rule.to_owned())
}

/// The lines of one report, as on the command line.
pub fn lines<'r>(report: &'r Report, scope: &'r ScopeId) -> impl Iterator<Item = Line> + 'r {
    let assets: BTreeMap<_, _> = report
        .observations
        .iter()
        .map(|o| (&o.asset.uid, &o.asset))
        .collect();
    let checks: BTreeMap<_, _> = report.checks.iter().map(|c| (&c.uid, c)).collect();
    report.results.iter().map(move |result| {
        let (policy, rule) = policy_and_rule(&result.check);
        let subject = match assets.get(&result.asset) {
            Some(asset) => object(scope, asset),
            None => Object {
                name: result.asset.to_string(),
                ..Object::default()
            },
        };
        let check = checks.get(&result.check);
        Line {
            policy,
            rule,
            category: String::new(),
            severity: result.severity.or(check.map(|check| check.severity)),
            subject,
            outcome: Word::of(&result.outcome, result.suppression.is_some()),
            message: message(&result.outcome, &result.message),
            at: Some(report.scan.finished),
            properties: properties(result),
        }
    })
}

/// The reason where there is one, else what the result says.
pub fn message(outcome: &Outcome, said: &str) -> String {
    outcome.why().unwrap_or(said).to_owned()
}

fn properties(result: &CheckResult) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    all.insert("asset".to_owned(), result.asset.to_string());
    if !result.locus.is_empty() {
        all.insert("locus".to_owned(), result.locus.clone());
    }
    if let Some(at) = &result.location {
        all.insert("location".to_owned(), format!("{}:{}", at.file, at.line));
    }
    if let Some(said) = &result.suppression {
        all.insert("suppressed-by".to_owned(), said.by.clone());
        all.insert("suppressed-reason".to_owned(), said.reason.clone());
    }
    all
}

#[cfg(test)]
#[path = "policy_report_tests.rs"]
mod tests;
