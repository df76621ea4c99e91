//! `bartizan scan`: files in, verdicts out, and on request to a server.

use crate::agent::PROGRESS;
use crate::arguments::{FailOn, Format, Scan, ScanK8s};
use crate::client::{Client, text};
use crate::verify::now;
use crate::{Verdict, content, files, show};
use anyhow::{Context, Result};
use bartizan_model::framework::CheckTally;
use bartizan_model::report::{MEDIA_TYPE, Report};
use bartizan_model::{
    CheckResult, CheckUid, Outcome, ScanId, Scope, ScopeKind, Severity, TenantId,
};
use bartizan_policy::{Baseline, Progress, ScanOptions, ScanOutput, Source, scan};
use bartizan_report::{
    ControlRow, FrameworkSection, Snapshot, UnusedSuppression, html, json, policy_report, sarif,
    terminal,
};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::{BTreeMap, HashSet};
use std::io::{IsTerminal, stderr, stdin};
use std::path::{Path, PathBuf};

/// What made the report.
pub const GENERATOR: &str = concat!("bartizan ", env!("CARGO_PKG_VERSION"));

/// Runs a scan command.
pub fn run(command: &Scan) -> Result<Verdict> {
    match command {
        Scan::Host(options) => crate::host::run(options),
        Scan::K8s(options) => run_k8s(options),
        Scan::Fs(options) => crate::software::run_fs(options),
        Scan::Image(options) => crate::software::run_image(options),
        Scan::Sbom(options) => crate::software::run_sbom(options),
    }
}

fn run_k8s(options: &ScanK8s) -> Result<Verdict> {
    // Before the work: a wrong token should not cost a scan.
    let client = match &options.remote.server {
        Some(server) => Some(Client::new(server, &options.remote.access)?),
        None => None,
    };
    let output = k8s(options)?;
    if let Some(path) = &options.write_baseline {
        write_baseline(path, &output.report)?;
    }
    let snapshot = snapshot(&output.report, &output.unused_suppressions)?;
    let rendered = render(
        &snapshot,
        &output.report,
        options.format,
        options.output.is_none(),
    )?;
    show::to(options.output.as_deref(), &rendered)?;
    if let Some(client) = client {
        send(&client, &output.report)?;
    }
    Ok(verdict(&snapshot, options.fail_on))
}

/// Reads the paths and judges what they hold.
pub fn k8s(options: &ScanK8s) -> Result<ScanOutput> {
    let library = content::library(!options.no_builtin, &options.policies)?;
    for notice in library.notices() {
        show::remark(&format!(
            "policy {}:{}: {}",
            notice.file, notice.line, notice.text
        ));
    }
    let paths = files::manifests(&options.paths)?;
    let baseline = match &options.baseline {
        Some(path) => {
            let bytes = std::fs::read(path)
                .with_context(|| format!("cannot read the baseline {}", path.display()))?;
            Baseline::parse(&path.to_string_lossy(), &bytes)
                .context("the baseline cannot be used")?
        }
        None => Baseline::default(),
    };
    let started = now();
    let mut scanning = ScanOptions::new(bartizan_model::Scan {
        id: ScanId::new(uuid::Uuid::now_v7().to_string())?,
        source: "bartizan/k8s".to_owned(),
        source_version: env!("CARGO_PKG_VERSION").to_owned(),
        scope: scope(options)?,
        complete: !options.partial,
        started,
        finished: started,
        content: Vec::new(),
    });
    scanning.baseline = baseline;
    scanning.threads = options
        .threads
        .or_else(|| std::thread::available_parallelism().ok().map(usize::from))
        .unwrap_or(1)
        .clamp(1, 64);
    let bar = progress_bar();
    let sources = paths.iter().map(|path| source(path));
    let mut output = scan(&library, sources, &scanning, &|progress: Progress| {
        bar.set_position(progress.judged);
        bar.set_message(format!(
            "{} objects in {} files",
            progress.objects, progress.files
        ));
    })?;
    bar.finish_and_clear();
    output.report.scan.finished = now();
    for notice in &output.notices {
        show::remark(&format!("{}:{}: {}", notice.file, notice.line, notice.text));
    }
    Ok(output)
}

/// A bar on a terminal, nothing elsewhere.
pub fn progress_bar() -> ProgressBar {
    if std::env::var_os(PROGRESS).is_some_and(|how| how == "lines") {
        let bar = ProgressBar::hidden();
        tell(&bar);
        return bar;
    }
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} judged, {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar
}

/// Writes how far a bar is as lines, for the agent that started this process.
fn tell(bar: &ProgressBar) {
    let bar = bar.downgrade();
    std::thread::spawn(move || {
        while let Some(bar) = bar.upgrade() {
            if bar.is_finished() {
                return;
            }
            let line = serde_json::json!({"progress": {
                "done": bar.position(), "total": bar.length(), "message": bar.message(),
            }});
            show::remark(&line.to_string());
            drop(bar);
            std::thread::sleep(std::time::Duration::from_millis(500));
        }
    });
}

/// A file opened only when it is its turn, so that many files are not open at once. One that
/// cannot be opened reads as an error, which the scan reports as Unknown.
fn source(path: &Path) -> Source<'static> {
    if path.as_os_str() == "-" {
        return Source::new("<stdin>", stdin());
    }
    let mut source = Source::new(path.to_string_lossy(), Lazy::Closed(path.to_owned()));
    source.chart = chart_of(path);
    source
}

enum Lazy {
    Closed(PathBuf),
    Open(std::fs::File),
}

impl std::io::Read for Lazy {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            match self {
                Self::Open(file) => return file.read(buffer),
                Self::Closed(path) => *self = Self::Open(std::fs::File::open(path)?),
            }
        }
    }
}

/// The chart whose `templates/` folder holds the file.
fn chart_of(path: &Path) -> Option<String> {
    path.ancestors()
        .skip(1)
        .filter(|folder| folder.file_name().is_some_and(|name| name == "templates"))
        .filter_map(Path::parent)
        .find(|chart| chart.join("Chart.yaml").is_file())
        .map(|chart| chart.to_string_lossy().into_owned())
}

/// The scope as given, or the name of the first folder.
fn scope(options: &ScanK8s) -> Result<Scope> {
    if let Some(text) = &options.scope {
        return Ok(Scope::parse(text)?);
    }
    let first = options
        .paths
        .first()
        .map_or(Path::new("."), PathBuf::as_path);
    let path = if first.as_os_str() == "-" {
        Path::new(".")
    } else {
        first
    };
    let absolute = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = if absolute.is_file() {
        absolute.parent()
    } else {
        Some(absolute.as_path())
    };
    let name = folder.and_then(Path::file_name).map_or_else(
        || "manifests".to_owned(),
        |n| n.to_string_lossy().into_owned(),
    );
    let scope = Scope {
        kind: ScopeKind::Repository,
        name,
    };
    scope
        .id()
        .context("the folder's name cannot be a scope; give --scope repository:NAME")?;
    Ok(scope)
}

/// The report as a snapshot, with how it stands against the built-in frameworks.
pub fn snapshot(
    report: &Report,
    unused: &[bartizan_policy::UnusedSuppression],
) -> Result<Snapshot> {
    let generated = report.scan.finished;
    let tenant = TenantId::default_tenant();
    let mut snapshot = Snapshot::from_report(report, &tenant, GENERATOR, generated)?;
    snapshot.unused_suppressions = unused
        .iter()
        .map(|unused| UnusedSuppression {
            by: unused.by.clone(),
            what: format!("{} on {}", unused.check, unused.asset),
            reason: unused.why.clone(),
            location: unused.location.clone(),
        })
        .collect();
    let tallies = tallies(&report.results);
    for entry in content::frameworks()?.all() {
        let stands = entry.evaluate(&tallies, &[], generated);
        snapshot.frameworks.push(FrameworkSection {
            id: stands.framework.to_string(),
            title: stands.title,
            version: stands.version,
            counts: stands.counts,
            controls: stands
                .controls
                .into_iter()
                .map(|control| ControlRow {
                    id: control.id.to_string(),
                    title: control.title,
                    group: control.group,
                    status: control.status,
                    why: control.why,
                    checks: control.checks,
                })
                .collect(),
        });
    }
    Ok(snapshot)
}

fn tallies(results: &[CheckResult]) -> Vec<CheckTally> {
    let mut tallies: BTreeMap<&CheckUid, CheckTally> = BTreeMap::new();
    for result in results {
        let tally = tallies.entry(&result.check).or_insert_with(|| CheckTally {
            check: result.check.clone(),
            pass: 0,
            fail: 0,
            accepted: 0,
            false_positive: 0,
            not_applicable: 0,
            unknown: 0,
        });
        let count = match (&result.outcome, &result.suppression) {
            (Outcome::Pass, _) => &mut tally.pass,
            (Outcome::Fail, None) => &mut tally.fail,
            (Outcome::Fail, Some(_)) => &mut tally.accepted,
            (Outcome::NotApplicable { .. }, _) => &mut tally.not_applicable,
            (Outcome::Unknown { .. }, _) => &mut tally.unknown,
        };
        *count += 1;
    }
    tallies.into_values().collect()
}

/// The result in the form that was asked for.
pub fn render(
    snapshot: &Snapshot,
    report: &Report,
    format: Format,
    to_terminal: bool,
) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    match format {
        Format::Table => {
            let table = terminal::render(
                snapshot,
                &terminal::Options {
                    colour: to_terminal && show::colour(),
                    width: show::width(),
                    ..terminal::Options::default()
                },
            );
            out.extend(table.into_bytes());
        }
        Format::Json => json::write(snapshot, &mut out)?,
        Format::Sarif => sarif::write(snapshot, &sarif::Options::default(), &mut out)?,
        Format::Html => html::write(snapshot, &html::Options::default(), &mut out)?,
        Format::PolicyReport => {
            let scope = report.scan.scope.id()?;
            let lines = policy_report::lines(report, &scope);
            let options = policy_report::Options::new(scope.as_str());
            let reports = policy_report::reports(lines, options);
            out = crate::policy::write::documents(&reports).into_bytes();
        }
        Format::Report => out = report_bytes(report)?,
    }
    Ok(out)
}

/// The report as the artifact API takes it.
pub fn report_bytes(report: &Report) -> Result<Vec<u8>> {
    let (bytes, _) = bartizan_formats::report::write_report(Vec::new(), report)?;
    Ok(bytes)
}

/// Sends the report and waits until it is imported.
pub fn send(client: &Client, report: &Report) -> Result<()> {
    upload_and_wait(client, report_bytes(report)?).map(drop)
}

/// Sends a written report and waits until it is imported; the scan that it became.
pub fn upload_and_wait(client: &Client, report: Vec<u8>) -> Result<String> {
    let answer = client.upload("/artifacts?kind=report", MEDIA_TYPE, report.into())?;
    let job = text(&answer, "job")
        .context("the server answered without a job")?
        .to_owned();
    let bar = progress_bar();
    let scan = loop {
        let state = client.get(&format!("/jobs/{job}"))?;
        match text(&state, "state") {
            Some("done") => break text(&state, "scan").unwrap_or_default().to_owned(),
            Some("failed") => anyhow::bail!(
                "the server could not import the report: {}",
                text(&state, "error").unwrap_or("it does not say why")
            ),
            _ => {
                bar.set_message("the server imports the report");
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
        }
    };
    bar.finish_and_clear();
    show::remark(&format!("sent and imported as job {job}"));
    Ok(scan)
}

/// Whether a finding is as severe as that.
pub fn verdict(snapshot: &Snapshot, fail_on: FailOn) -> Verdict {
    let least = match fail_on {
        FailOn::Never => return Verdict::Good,
        FailOn::Info => Severity::Info,
        FailOn::Low => Severity::Low,
        FailOn::Medium => Severity::Medium,
        FailOn::High => Severity::High,
        FailOn::Critical => Severity::Critical,
    };
    let found = snapshot
        .failing
        .iter()
        .any(|row| row.finding.severity >= least);
    if found { Verdict::Bad } else { Verdict::Good }
}

/// Writes every unsuppressed failure as a baseline entry that still wants its reason.
fn write_baseline(path: &Path, report: &Report) -> Result<()> {
    let mut text = String::from(
        "# Failures to leave. Each entry needs a reason before it counts; add an expiry if you can.\n",
    );
    let mut seen = HashSet::new();
    let failures = report
        .results
        .iter()
        .filter(|r| r.outcome == Outcome::Fail && r.suppression.is_none());
    for result in failures {
        if !seen.insert((&result.check, &result.asset, &result.locus)) {
            continue;
        }
        // JSON strings are YAML strings, whatever a name contains.
        text.push_str(&format!(
            "- check: {}\n",
            serde_json::to_string(result.check.as_str())?
        ));
        text.push_str(&format!(
            "  asset: {}\n",
            serde_json::to_string(result.asset.as_str())?
        ));
        if !result.locus.is_empty() {
            text.push_str(&format!(
                "  locus: {}\n",
                serde_json::to_string(&result.locus)?
            ));
        }
        text.push_str("  reason: \"\"\n");
    }
    if seen.is_empty() {
        text.push_str("[]\n");
    }
    show::to(Some(path), text.as_bytes())?;
    show::remark(&format!(
        "{} failures written to {}",
        seen.len(),
        path.display()
    ));
    Ok(())
}
