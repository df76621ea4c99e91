//! A scan: every check on every object of the input.
//!
//! Reading comes first, on the calling thread, because Namespaces and `data.inventory` may
//! stand in any file; then worker threads, each with policies of its own, judge objects.
//! The report does not depend on the number of threads.
//!
//! **Files.** A file in which something was found is an asset of its own (`scope/file/<name>`)
//! with two checks: `bartizan/input/readable` (Unknown, with file and line, when a document
//! could not be read or has no identity, or the scan's memory bound was reached) and
//! `bartizan/input/rendered` (Unknown, with the command to run, for an unrendered Helm
//! template).
//!
//! **The same object twice** in the input (same uid) is one asset: its results are merged, the
//! worst outcome wins, and a notice says so.

use crate::evaluate::Evaluator;
use crate::input::{self, Piece};
use crate::object::{Found, Object, objects};
use crate::suppress::Suppressor;
use crate::world::World;
use crate::{Baseline, Budget, Library, Limits, Notice, Source, UnusedSuppression, redact};
use bartizan_model::report::Report;
use bartizan_model::{
    Asset, AssetUid, Check, CheckResult, CheckUid, Digest, IdError, Location, Observation, Outcome,
    Scan, ScopeId, Severity,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The check that every file can be read.
pub const READABLE: &str = "bartizan/input/readable";

/// The check that a file is no unrendered template.
pub const RENDERED: &str = "bartizan/input/rendered";

/// How to scan.
#[derive(Debug, Clone)]
pub struct ScanOptions {
    /// The run: id, scope, source (`bartizan/k8s`), completeness, times. `finished` may be set
    /// by the caller afterwards; `content` is filled from the library. `started` is the `now`
    /// that policies see.
    pub scan: Scan,
    /// Worker threads, at least 1.
    pub threads: usize,
    /// Cost of one evaluation.
    pub budget: Budget,
    /// Cost of reading.
    pub limits: Limits,
    /// Suppressions from a file.
    pub baseline: Baseline,
}

impl ScanOptions {
    /// Defaults for everything but the run: 2 threads, default budget and limits, no baseline.
    pub fn new(scan: Scan) -> Self {
        Self {
            scan,
            threads: 2,
            budget: Budget::default(),
            limits: Limits::default(),
            baseline: Baseline::default(),
        }
    }
}

/// How far a scan has come; handed to the progress callback now and then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Files read.
    pub files: u64,
    /// Objects read.
    pub objects: u64,
    /// Objects judged.
    pub judged: u64,
}

/// What a scan says.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanOutput {
    /// Checks, observations and results, sorted as [`Report`] wants.
    pub report: Report,
    /// Suppressions that suppressed nothing.
    pub unused_suppressions: Vec<UnusedSuppression>,
    /// What was passed over or is doubtful, such as documents that are no Kubernetes objects.
    pub notices: Vec<Notice>,
}

/// Why a scan could not be made at all. Bad documents are Unknown results, not errors.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The scope has no valid id, or a file's name makes none. Whose fault: the caller's.
    #[error("the scan's scope or a file's name is not usable: {0}")]
    Scope(#[from] IdError),
    /// A worker thread died. A bug.
    #[error("a worker thread died")]
    Worker,
}

/// Reads `sources`, expands workloads to the Pods that they would create, and asks every
/// check of every object that its constraints match.
pub fn scan<'a>(
    library: &Library,
    sources: impl IntoIterator<Item = Source<'a>>,
    options: &ScanOptions,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<ScanOutput, ScanError> {
    let scope = options.scan.scope.id()?;
    let input = gather(sources, options, &scope, progress)?;
    let world = World::of(library, input.objects.iter().map(|(_, o)| o));
    let suppressor = Suppressor::new(&options.baseline, options.scan.started);
    let next = AtomicUsize::new(0);
    let threads = options
        .threads
        .clamp(1, 256)
        .min(input.objects.len().max(1));
    let work = || {
        let mut evaluator = Evaluator::new(library, &world, options.budget, options.scan.started);
        let mut part = Part::default();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some((uid, object)) = input.objects.get(at) else {
                return part;
            };
            let mut results = evaluator.judge(uid, object);
            part.unused.extend(suppressor.apply(object, &mut results));
            part.results.extend(results);
            part.observations.push(observe(uid.clone(), object));
            if at % 64 == 63 || at + 1 == input.objects.len() {
                progress(Progress {
                    files: input.files,
                    objects: input.objects.len() as u64,
                    judged: at as u64 + 1,
                });
            }
        }
    };
    let parts: Vec<Part> = std::thread::scope(|s| {
        let workers: Vec<_> = (0..threads).map(|_| s.spawn(work)).collect();
        let joined = workers
            .into_iter()
            .map(|w| w.join().map_err(|_| ScanError::Worker));
        joined.collect::<Result<_, _>>()
    })?;
    let mut output = ScanOutput {
        report: Report {
            scan: options.scan.clone(),
            checks: library.checks().to_vec(),
            observations: input.observations,
            results: input.results,
        },
        unused_suppressions: suppressor.unused(),
        notices: input.notices,
    };
    output.report.scan.content = library.content().to_vec();
    output.report.checks.extend(input_checks()?);
    for part in parts {
        output.report.results.extend(part.results);
        output.report.observations.extend(part.observations);
        output.unused_suppressions.extend(part.unused);
    }
    sort(&mut output);
    Ok(output)
}

#[derive(Default)]
struct Part {
    results: Vec<CheckResult>,
    observations: Vec<Observation>,
    unused: Vec<UnusedSuppression>,
}

struct Input {
    objects: Vec<(AssetUid, Object)>,
    files: u64,
    results: Vec<CheckResult>,
    observations: Vec<Observation>,
    notices: Vec<Notice>,
}

/// What went wrong in one file.
#[derive(Default)]
struct FileFaults {
    found: bool,
    unreadable: Vec<(u32, String)>,
    unrendered: Option<u32>,
}

fn gather<'a>(
    sources: impl IntoIterator<Item = Source<'a>>,
    options: &ScanOptions,
    scope: &ScopeId,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Input, ScanError> {
    let mut input = Input {
        objects: Vec::new(),
        files: 0,
        results: Vec::new(),
        observations: Vec::new(),
        notices: Vec::new(),
    };
    // An estimate: what a node costs as JSON and once more as an engine's value.
    const NODE: usize = 160;
    let mut memory = 0_usize;
    for source in sources {
        let name = source.name.clone();
        let chart = source.chart.clone();
        let mut faults = FileFaults::default();
        let mut full = false;
        input::read(source, &options.limits, &mut |piece| match piece {
            Piece::Unrendered { line } => faults.unrendered = Some(line),
            Piece::Unreadable { line, why } => faults.unreadable.push((line, why)),
            Piece::Document(document) => {
                memory = memory.saturating_add(document.nodes.saturating_mul(NODE));
                if memory > options.limits.memory {
                    if !full {
                        let why = "the scan's input is too large: scan it in parts".to_owned();
                        faults.unreadable.push((document.line, why));
                    }
                    full = true;
                    return;
                }
                for found in objects(&name, document) {
                    faults.found = true;
                    match found {
                        Found::Broken { line, why } => faults.unreadable.push((line, why)),
                        Found::Other { line, why } => {
                            faults.found = false;
                            input.notices.push(Notice {
                                file: name.clone(),
                                line,
                                text: why,
                            });
                        }
                        Found::Object(object) => {
                            let o = &object;
                            match AssetUid::kubernetes(
                                scope,
                                &o.group,
                                &o.kind,
                                &o.namespace,
                                &o.name,
                            ) {
                                Ok(uid) => input.objects.push((uid, *object)),
                                Err(e) => faults.unreadable.push((o.location.line, e.to_string())),
                            }
                        }
                    }
                }
            }
        });
        input.files += 1;
        file_results(&name, chart.as_deref(), faults, scope, &mut input)?;
        progress(Progress {
            files: input.files,
            objects: input.objects.len() as u64,
            judged: 0,
        });
    }
    Ok(input)
}

fn file_results(
    name: &str,
    chart: Option<&str>,
    faults: FileFaults,
    scope: &ScopeId,
    input: &mut Input,
) -> Result<(), IdError> {
    if !faults.found && faults.unreadable.is_empty() && faults.unrendered.is_none() {
        return Ok(());
    }
    let shown: String = name
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .take(600)
        .collect();
    let uid = AssetUid::new(format!("{scope}/file/{shown}"))?;
    let location = |line: u32| Location {
        file: name.to_owned(),
        line,
        column: None,
    };
    let readable = match faults.unreadable.first() {
        None => (Outcome::Pass, 1),
        Some((line, why)) => {
            let more = faults.unreadable.len() - 1;
            let mut why = format!("{shown}:{line}: {why}");
            if more > 0 {
                why.push_str(&format!(" (and {more} more in this file)"));
            }
            (Outcome::Unknown { why }, *line)
        }
    };
    let rendered = match faults.unrendered {
        None => (Outcome::Pass, 1),
        Some(line) => {
            let chart = chart.unwrap_or("<chart>");
            let why = format!(
                "{shown}:{line}: an unrendered Helm template; run: helm template {} | bartizan scan k8s -",
                quote(chart)
            );
            (Outcome::Unknown { why }, line)
        }
    };
    for (check, (outcome, line)) in [(READABLE, readable), (RENDERED, rendered)] {
        input.results.push(CheckResult {
            check: CheckUid::new(check)?,
            asset: uid.clone(),
            locus: String::new(),
            message: outcome.why().unwrap_or_default().to_owned(),
            outcome,
            severity: None,
            evidence: Vec::new(),
            location: Some(location(line)),
            suppression: None,
        });
    }
    let body = json!({"file": shown});
    input.observations.push(Observation {
        asset: Asset {
            uid,
            kind: "File".into(),
            name: shown,
            namespace: String::new(),
        },
        kind: "file".into(),
        digest: Digest::of(body.to_string().as_bytes()),
        body,
        location: Some(location(1)),
    });
    Ok(())
}

/// For a shell, where a path needs it.
fn quote(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-<>".contains(c);
    if path.chars().all(plain) {
        path.to_owned()
    } else {
        format!("'{}'", path.replace('\'', "'\\''"))
    }
}

/// The checks of reading itself.
pub fn input_checks() -> Result<Vec<Check>, IdError> {
    let make = |uid: &str, title: &str, description: &str, remediation: &str| {
        CheckUid::new(uid).map(|uid| Check {
            uid,
            title: title.into(),
            description: description.into(),
            severity: Severity::Medium,
            remediation: remediation.into(),
            references: Vec::new(),
        })
    };
    Ok(vec![
        make(
            READABLE,
            "Every document can be read",
            "A document that cannot be read is judged by no check.",
            "Correct the document at the line named, or leave the file out of the scan.",
        )?,
        make(
            RENDERED,
            "Templates are rendered",
            "An unrendered template is judged by no check.",
            "Render it and scan the result: helm template <chart> | bartizan scan k8s -",
        )?,
    ])
}

/// What is stored of an object: a redacted copy with its digest.
pub fn observe(uid: AssetUid, object: &Object) -> Observation {
    let body = redact::object(&object.value);
    Observation {
        asset: Asset {
            uid,
            kind: object.kind.clone(),
            name: object.name.clone(),
            namespace: object.namespace.clone(),
        },
        kind: "kubernetes.object".into(),
        digest: Digest::of(body.to_string().as_bytes()),
        body,
        location: Some(object.location.clone()),
    }
}

fn sort(output: &mut ScanOutput) {
    let report = &mut output.report;
    report.checks.sort_by(|a, b| a.uid.cmp(&b.uid));
    report.observations.sort_by(|a, b| {
        let place = |o: &Observation| o.location.as_ref().map(|l| (l.file.clone(), l.line));
        (&a.asset.uid, &a.kind, place(a)).cmp(&(&b.asset.uid, &b.kind, place(b)))
    });
    let mut twice: BTreeMap<AssetUid, Notice> = BTreeMap::new();
    report.observations.dedup_by(|later, first| {
        let same = later.asset.uid == first.asset.uid && later.kind == first.kind;
        if same {
            let at = later.location.clone().unwrap_or(Location {
                file: String::new(),
                line: 1,
                column: None,
            });
            let text = format!(
                "{} is there more than once; the worst outcome counts",
                later.asset.uid
            );
            twice.entry(later.asset.uid.clone()).or_insert(Notice {
                file: at.file,
                line: at.line,
                text,
            });
        }
        same
    });
    output.notices.extend(twice.into_values());
    report.results.sort_by(|a, b| {
        // Of equals the first in the source, whichever thread judged it first.
        let place = |r: &CheckResult| r.location.as_ref().map(|l| (l.file.clone(), l.line));
        (&a.check, &a.asset, &a.locus, rank(a))
            .cmp(&(&b.check, &b.asset, &b.locus, rank(b)))
            .then_with(|| place(a).cmp(&place(b)))
            .then_with(|| a.message.cmp(&b.message))
    });
    report.results.dedup_by(|later, first| {
        (&later.check, &later.asset, &later.locus) == (&first.check, &first.asset, &first.locus)
    });
    output
        .unused_suppressions
        .sort_by(|a, b| (&a.asset, &a.check, &a.why).cmp(&(&b.asset, &b.check, &b.why)));
}

/// The worst first.
fn rank(result: &CheckResult) -> u8 {
    match result.outcome {
        Outcome::Fail if result.suppression.is_none() => 0,
        Outcome::Fail => 1,
        Outcome::Unknown { .. } => 2,
        Outcome::Pass => 3,
        Outcome::NotApplicable { .. } => 4,
    }
}
