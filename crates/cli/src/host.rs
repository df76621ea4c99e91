//! `bartizan scan host`: a machine judged by SCAP content.

pub mod beside;
mod facts;
mod machine;
mod plugin;
pub mod process;
pub mod sce;
pub mod ssh;
mod summary;

pub use machine::Machine;

use crate::arguments::{Arguments, Choice, Command, Format, Scan, ScanHost, Signature};
use crate::client::Client;
use crate::scan::{progress_bar, render, send, snapshot, verdict};
use crate::scap::{Content, read};
use crate::verify::now;
use crate::{Verdict, show};
use anyhow::{Context, Result, bail};
use bartizan_model::report::Report;
use bartizan_model::scan::ContentDigest;
use bartizan_model::{Digest, ScanId, Scope, ScopeKind, Timestamp};
use bartizan_scap::content::Target;
use bartizan_scap::probe;
use bartizan_scap::results::testresult::{self, Host, Identity, Subject, TailoringFile};
use bartizan_scap::results::{arf, benchmark, convert, oval};
use bartizan_scap::signature;
use bartizan_scap::system::{Recorder, System};
use bartizan_scap::xccdf::evaluate::{Options, run_plan_with_scripts};
use bartizan_scap::xccdf::plan::Plan;
use bartizan_scap::xccdf::script::Scripts;
use bartizan_scap::xccdf::tailoring;
use bartizan_scap::yaml;
use clap::Parser;
use indicatif::ProgressStyle;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What to say of options that need SCAP content.
const NOT_SCAP: &str = "a baseline has no such thing";
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// More than this is no tailoring and no CPE file.
const MAX_BESIDE: u64 = 64 << 20;

/// Runs the command.
pub fn run(options: &ScanHost) -> Result<Verdict> {
    if options.list_plugins {
        return plugin::list(options);
    }
    // Before the work: a wrong token should not cost a scan.
    let client = match &options.remote.server {
        Some(server) => Some(Client::new(server, &options.remote.access)?),
        None => None,
    };
    let report = report(options)?;
    let snapshot = snapshot(&report, &[])?;
    let is_taken = options.record.as_deref() == Some(Path::new("-"));
    if options.output.is_some() || !is_taken {
        let mut rendered = render(&snapshot, &report, options.format, options.output.is_none())?;
        if options.format == Format::Table {
            let is_root = rustix::process::geteuid().is_root();
            rendered.extend(summary::text(&report, is_root).into_bytes());
        }
        show::to(options.output.as_deref(), &rendered)?;
    }
    if let Some(client) = client {
        send(&client, &report)?;
    }
    Ok(verdict(&snapshot, options.fail_on))
}

/// This machine judged by the own baselines, for who starts a server.
pub fn this_machine() -> Result<Report> {
    let words = ["bartizan", "scan", "host"];
    match Arguments::try_parse_from(words)?.command {
        Command::Scan(Scan::Host(options)) => report(&options),
        _ => bail!("the command line is not what it was"),
    }
}

/// Takes what was found by SCAP content, rule by rule.
type Seen<'s> = &'s mut dyn FnMut(&Subject<'_>);

/// Looks at the machine that the options name, and judges it.
pub fn report(options: &ScanHost) -> Result<Report> {
    report_seen(options, &mut |_| {})
}

/// The same, and shows what SCAP content found.
pub fn report_seen(options: &ScanHost, seen: Seen<'_>) -> Result<Report> {
    let machine = Machine::of(options)?;
    let report = match &options.record {
        None => judge(options, &machine, machine.system(), seen)?,
        Some(path) => {
            let cannot = || format!("cannot record to {}", path.display());
            let writer = machine::recording(path)?;
            let recorder = Recorder::new(machine.system(), writer).with_context(cannot)?;
            let (name, note) = machine.note();
            recorder.note(name, &note);
            let report = judge(options, &machine, &recorder, seen)?;
            recorder.finish().with_context(cannot)?;
            report
        }
    };
    machine.remark_missed();
    Ok(report)
}

fn judge(
    options: &ScanHost,
    machine: &Machine,
    system: &dyn System,
    seen: Seen<'_>,
) -> Result<Report> {
    if let Some(path) = &options.facts {
        plugin::write_facts(path, machine, system)?;
    }
    match &options.content {
        _ if options.plugin.is_some() => plugin::builtin(options, machine, system),
        Some(path) if path.is_dir() => plugin::folder(options, path, machine, system),
        Some(file) if is_yaml(file) => own(options, Some(file), machine, system),
        Some(file) => scap(options, file, machine, system, seen),
        None => own(options, None, machine, system),
    }
}

/// Baselines are YAML, SCAP content is XML, maybe packed.
pub fn is_yaml(file: &Path) -> bool {
    let extension = file.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| matches!(extension, "yaml" | "yml"))
}

/// The machine judged by the own baselines, or by those of a YAML file.
fn own(
    options: &ScanHost,
    file: Option<&Path>,
    machine: &Machine,
    system: &dyn System,
) -> Result<Report> {
    let choice = &options.choice;
    let asked = [&choice.profile, &choice.datastream_id, &choice.xccdf_id];
    if asked.into_iter().any(Option::is_some) || choice.tailoring.is_some() {
        bail!("profiles, data streams and tailorings are of SCAP content; give --content FILE");
    }
    if !options.rule.is_empty() || options.arf.is_some() || options.results.is_some() {
        bail!("--rule, --arf and --results are for SCAP content; {NOT_SCAP}");
    }
    let started = now();
    let facts = yaml::Facts::new(system);
    let (all, source) = match file {
        Some(path) => {
            let name = path.to_string_lossy().into_owned();
            let bytes = read(path, MAX_BESIDE)?;
            let all = yaml::custom(&[(&name, &bytes)])
                .with_context(|| format!("cannot use {}", path.display()))?;
            let ids: Vec<&str> = all.iter().map(|one| &*one.id).collect();
            let source = format!("bartizan/host/{}", ids.join("+"));
            (all, source)
        }
        None => {
            show::remark("no --content: the own baseline is used");
            let all = yaml::builtin().context("a built-in baseline is broken")?;
            (all, "bartizan/host".to_owned())
        }
    };
    // Where it cannot be told whether one applies, its checks are unknown, not left out.
    let fitting: Vec<_> = all
        .iter()
        .filter(|baseline| yaml::applies(baseline, &facts).unwrap_or(true))
        .collect();
    if fitting.is_empty() {
        bail!("no baseline is for this system; give --content FILE");
    }
    let bar = progress_bar();
    let mut answered = Vec::new();
    for baseline in fitting {
        let answers = yaml::evaluate_with(baseline, &facts, &|done, all| {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
            bar.set_message(format!("of {all} checks of {}", baseline.title));
        });
        answered.push((baseline, answers));
    }
    bar.finish_and_clear();
    let mut scan = head(options, &machine.host, &source, started)?;
    scan.finished = now();
    let asset = convert::asset(&scan, &machine.host.name)?;
    let mut report = yaml::report(&answered, scan, asset.clone())?;
    report.observations = vec![convert::observation(asset, &machine.host)];
    Ok(report)
}

/// The scope as given, or the machine's name.
fn scope(options: &ScanHost, host: &Host) -> Result<Scope> {
    if let Some(text) = &options.scope {
        return Ok(Scope::parse(text)?);
    }
    let scope = Scope {
        kind: ScopeKind::Host,
        name: host.name.clone(),
    };
    scope
        .id()
        .context("the machine's name cannot be a scope; give --scope host:NAME")?;
    Ok(scope)
}

/// The head of a report; `source` tells contents apart, so that one does not close what the
/// other found.
fn head(options: &ScanHost, host: &Host, source: &str, started: Timestamp) -> Result<Head> {
    Ok(bartizan_model::Scan {
        id: ScanId::new(uuid::Uuid::now_v7().to_string())?,
        source: source.to_owned(),
        source_version: VERSION.to_owned(),
        scope: scope(options, host)?,
        complete: options.rule.is_empty() && options.skip_rule.is_empty(),
        started,
        finished: started,
        content: Vec::new(),
    })
}

type Head = bartizan_model::Scan;

/// The options of the engine.
pub fn engine_options(choice: &Choice) -> Result<(Options, Option<TailoringFile>)> {
    let mut options = Options {
        profile: choice.profile.clone(),
        datastream_id: choice.datastream_id.clone(),
        xccdf_id: choice.xccdf_id.clone(),
        ..Options::default()
    };
    let mut file = None;
    if let Some(path) = &choice.tailoring {
        let bytes = read(path, MAX_BESIDE)?;
        let tailoring = tailoring::load(&bytes)
            .with_context(|| format!("cannot use the tailoring {}", path.display()))?;
        file = Some(TailoringFile {
            href: path.to_string_lossy().into_owned(),
            content: bytes,
            id: tailoring.id.to_string(),
            version: tailoring.version.clone(),
            time: modified(path),
        });
        options.tailoring = Some(tailoring);
    }
    Ok((options, file))
}

/// What the options say about signatures.
pub fn policy(options: Signature) -> signature::Policy {
    match (options.skip_signature_validation, options.enforce_signature) {
        (true, _) => signature::Policy::Skip,
        (_, true) => signature::Policy::Enforce,
        _ => signature::Policy::Check,
    }
}

/// Whether the content's scripts may run: only where the user said so, and only on the
/// machine that they are about.
fn scripts_allowed(asked: bool, machine: &Machine) -> bool {
    if asked && !machine.is_here() {
        show::remark("--sce: scripts look at the running machine, not at another root: not run");
        return false;
    }
    asked
}

fn modified(path: &Path) -> Timestamp {
    let micros = std::fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .ok()
        .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
        .and_then(|since| i64::try_from(since.as_micros()).ok());
    Timestamp::from_micros(micros.unwrap_or_default())
}

/// Judges the machine by SCAP content.
fn scap(
    options: &ScanHost,
    file: &Path,
    machine: &Machine,
    system: &dyn System,
    seen: Seen<'_>,
) -> Result<Report> {
    let started = now();
    let mut choice = options.choice.clone();
    let benchmark = beside::benchmark(file)?;
    let file = match &benchmark {
        Some(benchmark) => {
            if choice.tailoring.replace(file.to_path_buf()).is_some() {
                bail!(
                    "{} is a tailoring itself; give its benchmark",
                    file.display()
                );
            }
            benchmark
        }
        None => file,
    };
    let is_embedded = options.arf.is_some() || options.results.is_some();
    let mut content = Content::load_signed(file, policy(choice.signature))?;
    if !is_embedded {
        content.forget_bytes();
    }
    let (mut engine, tailoring) = engine_options(&choice)?;
    engine.rule = options.rule.clone();
    engine.skip_rule = options.skip_rule.clone();
    engine.scripts = scripts_allowed(options.sce, machine);
    for path in &options.cpe {
        engine.cpe_files.extend(beside::dictionary(path)?);
    }
    let plan = Plan::new(&content.bundle, &engine)
        .with_context(|| format!("cannot evaluate {}", file.display()))?;
    let context = probe::Context::new(system).with_base(machine.base.clone());
    let bar = progress_bar();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos}/{len} {wide_msg} ({elapsed})")
    {
        bar.set_style(style);
    }
    let runner = sce::Runner::new(Duration::from_secs(options.sce_seconds));
    let scripts = engine.scripts.then_some(&runner as &dyn Scripts);
    let (evaluation, evaluators) =
        run_plan_with_scripts(&plan, &context, scripts, &|rule, before, all| {
            bar.set_length(all as u64);
            bar.set_position(before as u64);
            bar.set_message(rule.to_owned());
        });
    bar.finish_and_clear();
    let finished = now();
    if !evaluation.applicable {
        show::remark("the benchmark is not for this system: its rules are not applicable");
    }
    let subject = Subject {
        benchmark: plan.benchmark(),
        policy: plan.policy(),
        evaluation: &evaluation,
    };
    seen(&subject);
    let about = testresult::Context {
        started,
        finished,
        version: VERSION.to_owned(),
        host: machine.host.clone(),
        identity: machine.identity.clone(),
        benchmark_href: file.to_string_lossy().into_owned(),
        tailoring,
    };
    let chosen = content
        .bundle
        .benchmark(engine.datastream_id.as_deref(), engine.xccdf_id.as_deref());
    let component = match chosen.map(|chosen| &chosen.reference.target) {
        Some(Target::Local(id)) => &**id,
        _ => "",
    };
    if let Some(path) = &options.results {
        write(path, |out| {
            benchmark::write(out, content.source(), component, &subject, &about).map(drop)
        })?;
    }
    if let Some(path) = &options.arf {
        let parts = arf::Parts {
            source: content.source(),
            bundle: &content.bundle,
            component,
            beside: &engine.cpe_files,
            subject,
            context: &about,
            evaluated: oval::views(&evaluators),
        };
        write(path, |out| arf::write(out, &parts).map(drop))?;
    }
    let source = format!("bartizan/scap/{}", evaluation.benchmark);
    let mut scan = head(options, &machine.host, &source, started)?;
    scan.finished = finished;
    scan.content.push(ContentDigest {
        name: content.name.clone(),
        digest: Digest::new(format!("sha256:{}", content.bundle.digest))?,
    });
    convert::report(&subject, scan, &machine.host)
        .with_context(|| format!("the ids in {} cannot be used", file.display()))
}

/// Who runs this.
pub fn identity() -> Identity {
    let uid = rustix::process::geteuid();
    let name = facts::user_name(uid.as_raw()).unwrap_or_else(|| uid.as_raw().to_string());
    Identity {
        name,
        authenticated: false,
        privileged: uid.is_root(),
    }
}

/// Writes a file through a buffer.
pub fn write(
    path: &PathBuf,
    content: impl FnOnce(BufWriter<File>) -> std::io::Result<()>,
) -> Result<()> {
    File::create(path)
        .and_then(|file| content(BufWriter::new(file)))
        .with_context(|| format!("cannot write {}", path.display()))
}
