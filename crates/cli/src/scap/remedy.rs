//! `bartizan scap remediate`: the content's fixes applied to this machine, only those asked
//! for, one by one: shown, asked for, backed up, run, looked at again, and written down.

mod backup;
mod journal;
mod tree;

use super::arguments::{FixSystem, ScapRemediate, ScapUndo};
use super::results::Results;
use super::{Content, safe, script};
use crate::arguments::Output;
use crate::client::Client;
use crate::host::process::{self, Limits};
use crate::host::{Machine, beside, engine_options, identity, policy, sce, write};
use crate::scan::{progress_bar, send};
use crate::verify::now;
use crate::{Verdict, show};
use anyhow::{Context, Result, bail, ensure};
use backup::Backup;
use bartizan_model::report::Report;
use bartizan_model::scan::ContentDigest;
use bartizan_model::{Digest, Observation, Scan, ScanId, Scope, ScopeKind, Timestamp};
use bartizan_scap::probe;
use bartizan_scap::results::convert;
use bartizan_scap::results::testresult::{self, Subject, TailoringFile};
use bartizan_scap::xccdf::evaluate::{Options, run_plan_with_scripts};
use bartizan_scap::xccdf::outcome::{Evaluation, RuleResult};
use bartizan_scap::xccdf::plan::Plan;
use bartizan_scap::xccdf::script::Scripts;
use journal::Journal;
use serde_json::{Value, json};
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The kind of the observation that says what was done.
const KIND: &str = "scap.remediation";
/// What a fix prints beyond this is dropped.
const MAX_OUTPUT: usize = 64 << 10;
/// And beyond this is not written down.
const MAX_SAID: usize = 2_000;
const MAX_LISTED: usize = 200;

/// A run: what does not change from fix to fix.
struct Run<'a> {
    options: &'a ScapRemediate,
    content: &'a Content,
    engine: Options,
    journal: Journal,
    machine: Machine,
    started: Timestamp,
    done: usize,
}

/// What came of a rule.
struct Outcome {
    rule: String,
    title: String,
    /// `fixed`, `error`, or why nothing was run.
    result: &'static str,
    message: String,
    backup: Option<PathBuf>,
    changed: Vec<String>,
    fix: Option<String>,
    status: Option<i32>,
}

impl Outcome {
    fn not(rule: &str, title: &str, result: &'static str, message: &str) -> Self {
        Self {
            rule: rule.to_owned(),
            title: title.to_owned(),
            result,
            message: message.to_owned(),
            backup: None,
            changed: Vec::new(),
            fix: None,
            status: None,
        }
    }

    fn json(&self) -> Value {
        json!({
            "rule": self.rule,
            "title": self.title,
            "result": self.result,
            "message": self.message,
            "backup": self.backup.as_ref().map(|path| path.to_string_lossy()),
            "changed": self.changed,
            "fixDigest": self.fix,
            "status": self.status,
        })
    }
}

/// Mends rules.
pub fn run(options: &ScapRemediate) -> Result<Verdict> {
    let asks = !options.yes && !options.dry_run;
    ensure!(
        !asks || std::io::stdin().is_terminal(),
        "fixes are only run when someone agrees: use a terminal, or --yes, or --dry-run"
    );
    let client = match &options.remote.server {
        Some(server) => Some(Client::new(server, &options.remote.access)?),
        None => None,
    };
    let content = Content::load_signed(&options.file, policy(options.choice.signature))?;
    let (mut engine, tailoring) = engine_options(&options.choice)?;
    engine.scripts = options.sce;
    for path in &options.cpe {
        engine.cpe_files.extend(beside::dictionary(path)?);
    }
    engine.rule = options.rule.clone();
    if let Some(path) = &options.failed_from {
        let mut rules: Vec<String> = Results::load(path)?.failed().map(str::to_owned).collect();
        rules.dedup();
        if rules.is_empty() {
            show::remark("no rule failed in these results");
            return Ok(Verdict::Good);
        }
        engine.rule = rules;
    }
    let mut run = Run {
        options,
        content: &content,
        engine,
        journal: Journal::new(&options.state),
        machine: Machine::open(Path::new("/"))?,
        started: now(),
        done: 0,
    };
    if !options.dry_run && !identity().privileged {
        show::remark("most fixes need root; what they may not change stays as it is");
    }
    let outcomes = run.all()?;
    show_all(options, &outcomes)?;
    let touched: Vec<String> = outcomes
        .iter()
        .filter(|one| one.backup.is_some())
        .map(|one| one.rule.clone())
        .collect();
    if !touched.is_empty() {
        run.finish(touched, &outcomes, tailoring, client.as_ref())?;
    }
    let good = ["fixed", "pass", "notapplicable", "dry run"];
    Ok(
        match outcomes.iter().all(|one| good.contains(&one.result)) {
            true => Verdict::Good,
            false => Verdict::Bad,
        },
    )
}

fn show_all(options: &ScapRemediate, outcomes: &[Outcome]) -> Result<()> {
    if options.format == Output::Json {
        let all: Vec<Value> = outcomes.iter().map(Outcome::json).collect();
        return show::line(&serde_json::to_string_pretty(&json!({"rules": all}))?);
    }
    for one in outcomes {
        let line = format!(
            "{:<9} {}  {}",
            one.result,
            safe(&one.rule),
            safe(&one.message)
        );
        show::line(line.trim_end())?;
        if let Some(path) = one.backup.as_ref().filter(|_| !one.changed.is_empty()) {
            let changed = one.changed.len();
            show::line(&format!(
                "          {changed} files changed; undo: bartizan scap undo {}",
                path.display()
            ))?;
        }
    }
    Ok(())
}

/// Evaluates what is planned on the machine as it is now.
fn judge(plan: &Plan<'_>, machine: &Machine, sce: bool) -> Evaluation {
    let context = probe::Context::new(machine.system());
    let runner = sce::Runner::new(Duration::from_secs(60));
    let scripts = sce.then_some(&runner as &dyn Scripts);
    let bar = progress_bar();
    let (evaluation, _) = run_plan_with_scripts(plan, &context, scripts, &|_, before, all| {
        bar.set_position(before as u64);
        bar.set_message(format!("of {all} rules"));
    });
    bar.finish_and_clear();
    evaluation
}

/// The worst of a rule's results: one that failed fails whatever the others are.
fn result_of(evaluation: &Evaluation, rule: &str) -> Option<RuleResult> {
    let results = evaluation.rules.iter().filter(|one| *one.id == *rule);
    let rank = |result: &RuleResult| match result {
        RuleResult::Fail => 0,
        RuleResult::Pass | RuleResult::Fixed => 2,
        _ => 1,
    };
    results.map(|one| one.result).min_by_key(rank)
}

impl Run<'_> {
    fn plan(&self, engine: &Options) -> Result<Plan<'_>> {
        Plan::new(&self.content.bundle, engine)
            .with_context(|| format!("cannot use {}", self.options.file.display()))
    }

    fn all(&mut self) -> Result<Vec<Outcome>> {
        let content = self.content;
        let engine = self.engine.clone();
        let plan = Plan::new(&content.bundle, &engine)
            .with_context(|| format!("cannot use {}", self.options.file.display()))?;
        let before = judge(&plan, &self.machine, self.options.sce);
        let (benchmark, policy) = (plan.benchmark(), plan.policy());
        let mut outcomes = Vec::new();
        for (item, rule) in benchmark.rules() {
            let asked = engine.rule.iter().any(|id| **id == *item.id);
            let Some(result) = result_of(&before, &item.id) else {
                continue;
            };
            let title = policy.text(benchmark, &item.title);
            if result != RuleResult::Fail {
                if asked {
                    let message = "it does not fail: nothing to do";
                    let word = match result {
                        RuleResult::Pass => "pass",
                        _ => result.word(),
                    };
                    outcomes.push(Outcome::not(&item.id, &title, word, message));
                }
                continue;
            }
            let text = match script::text(benchmark, policy, rule, FixSystem::Bash) {
                Some(Ok(text)) => text,
                Some(Err(what)) => {
                    outcomes.push(Outcome::not(&item.id, &title, "no fix", &what));
                    continue;
                }
                None => {
                    let message = "the content has no bash fix for it";
                    outcomes.push(Outcome::not(&item.id, &title, "no fix", message));
                    continue;
                }
            };
            match self.agree(&item.id, &title, &text)? {
                Answer::Yes => outcomes.push(self.apply(&item.id, &title, &text)?),
                Answer::No if self.options.dry_run => {
                    outcomes.push(Outcome::not(&item.id, &title, "dry run", ""));
                }
                Answer::No => {
                    outcomes.push(Outcome::not(&item.id, &title, "skipped", "as you said"));
                }
                Answer::Stop => break,
            }
        }
        Ok(outcomes)
    }

    /// Shows a fix and asks.
    fn agree(&self, rule: &str, title: &str, fix: &str) -> Result<Answer> {
        let mut out = std::io::stderr().lock();
        writeln!(out, "\n{}\n  {}", safe(rule), safe(title))?;
        for line in fix.lines() {
            let line: String = line
                .chars()
                .map(|c| {
                    if c.is_control() && c != '\t' {
                        '\u{fffd}'
                    } else {
                        c
                    }
                })
                .collect();
            writeln!(out, "  | {line}")?;
        }
        if self.options.dry_run {
            return Ok(Answer::No);
        }
        if self.options.yes {
            return Ok(Answer::Yes);
        }
        write!(out, "Run this as {}? [y/N/q] ", identity().name)?;
        out.flush()?;
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line)?;
        Ok(match line.trim() {
            "y" | "Y" | "yes" => Answer::Yes,
            "q" | "Q" => Answer::Stop,
            // The end of input, too.
            "" if line.is_empty() => Answer::Stop,
            _ => Answer::No,
        })
    }

    fn apply(&mut self, rule: &str, title: &str, fix: &str) -> Result<Outcome> {
        self.done += 1;
        let folder = self.backup_folder(rule);
        let digest = Digest::of(fix.as_bytes()).as_str().to_owned();
        // Without a backup and a record nothing is run.
        let backup = Backup::begin(folder.clone(), vec!["/etc".into()], tree::named(fix))?;
        let record = |what: &str, more: Value| {
            let mut record = json!({
                "time": now().to_string(),
                "event": what,
                "host": self.machine.host.name,
                "user": identity().name,
                "content": format!("sha256:{}", self.content.bundle.digest),
                "profile": self.engine.profile,
                "rule": rule,
                "fix": digest,
                "backup": folder.to_string_lossy(),
                "version": VERSION,
            });
            if let (Value::Object(members), Value::Object(more)) = (&mut record, more) {
                members.extend(more);
            }
            self.journal.add(record)
        };
        record("begin", json!({}))?;
        let ran = self.execute(fix);
        let changes = backup
            .end()
            .context("the fix ran, but what it changed is not known")?;
        let after = self.again(rule)?;
        let (status, said) = match &ran {
            Ok(ran) => (ran.status, tail(&ran.stderr)),
            Err(what) => (None, what.clone()),
        };
        let result = match (&ran, after) {
            (Ok(_), Some(RuleResult::Pass)) => "fixed",
            _ => "error",
        };
        let message = match (&ran, after) {
            (Err(what), _) => format!("the fix could not be run to its end: {what}"),
            (Ok(_), Some(RuleResult::Pass)) => String::new(),
            (Ok(ran), after) => {
                let word = after.map_or("gone", RuleResult::word);
                let how = match ran.status {
                    Some(0) => String::new(),
                    Some(status) => format!(" (the fix ended with status {status})"),
                    None => " (a signal ended the fix)".to_owned(),
                };
                format!("after its fix the rule is {word}{how}")
            }
        };
        let mut changed: Vec<String> = changes
            .iter()
            .map(|(path, _, _)| path.to_string_lossy().into_owned())
            .collect();
        let all = changed.len();
        changed.truncate(MAX_LISTED);
        record(
            "end",
            json!({
                "before": "fail",
                "after": after.map(RuleResult::word),
                "result": result,
                "status": status,
                "stderr": said,
                "changed": changed,
                "changedCount": all,
            }),
        )?;
        Ok(Outcome {
            rule: rule.to_owned(),
            title: title.to_owned(),
            result,
            message,
            backup: Some(folder),
            changed,
            fix: Some(digest),
            status,
        })
    }

    fn execute(&self, fix: &str) -> Result<bartizan_scap::xccdf::script::Ran, String> {
        let bash = ["/bin/bash", "/bin/sh"].map(Path::new);
        let shell = bash
            .into_iter()
            .find(|path| path.exists())
            .ok_or("there is no shell")?;
        let (folder, path) = sce::written(fix.as_bytes())?;
        let environment = [("HOME", "/root"), ("LC_ALL", "C.UTF-8"), ("TERM", "dumb")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let limits = Limits {
            time: Duration::from_secs(self.options.seconds),
            output: MAX_OUTPUT,
            leave: true,
        };
        let ran = process::run(shell, &[&path], &environment, limits);
        drop(folder);
        ran
    }

    /// The rule's result now: the machine is read anew.
    fn again(&self, rule: &str) -> Result<Option<RuleResult>> {
        let mut engine = self.engine.clone();
        engine.rule = vec![rule.to_owned()];
        let plan = self.plan(&engine)?;
        let machine = Machine::open(Path::new("/"))?;
        Ok(result_of(&judge(&plan, &machine, self.options.sce), rule))
    }

    fn backup_folder(&self, rule: &str) -> PathBuf {
        let time: String = self
            .started
            .to_string()
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect();
        let short = rule.rsplit("content_rule_").next().unwrap_or(rule);
        let short: String = short
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || c == '-' {
                    c
                } else {
                    '_'
                }
            })
            .take(60)
            .collect();
        let process = std::process::id();
        let name = format!("{time}-{process}-{}-{short}", self.done);
        self.options.state.join("backups").join(name)
    }

    /// The results of all that was touched, as the machine is in the end.
    fn finish(
        &self,
        touched: Vec<String>,
        outcomes: &[Outcome],
        tailoring: Option<TailoringFile>,
        client: Option<&Client>,
    ) -> Result<()> {
        if self.options.results.is_none() && client.is_none() {
            return Ok(());
        }
        let mut engine = self.engine.clone();
        engine.rule = touched;
        let plan = self.plan(&engine)?;
        let machine = Machine::open(Path::new("/"))?;
        let evaluation = judge(&plan, &machine, self.options.sce);
        let finished = now();
        if let Some(path) = &self.options.results {
            let mended = mended(&evaluation, outcomes);
            let subject = Subject {
                benchmark: plan.benchmark(),
                policy: plan.policy(),
                evaluation: &mended,
            };
            let about = testresult::Context {
                started: self.started,
                finished,
                version: VERSION.to_owned(),
                host: machine.host.clone(),
                identity: identity(),
                benchmark_href: self.options.file.to_string_lossy().into_owned(),
                tailoring,
            };
            write(path, |out| {
                testresult::write(out, &subject, &about).map(drop)
            })?;
        }
        let Some(client) = client else {
            return Ok(());
        };
        let scope = match &self.options.scope {
            Some(text) => Scope::parse(text)?,
            None => Scope {
                kind: ScopeKind::Host,
                name: machine.host.name.clone(),
            },
        };
        let scan = Scan {
            id: ScanId::new(uuid::Uuid::now_v7().to_string())?,
            // As a scan by this content: what is mended here was found there.
            source: format!("bartizan/scap/{}", evaluation.benchmark),
            source_version: VERSION.to_owned(),
            scope,
            complete: false,
            started: self.started,
            finished,
            content: vec![ContentDigest {
                name: self.content.name.clone(),
                digest: Digest::new(format!("sha256:{}", self.content.bundle.digest))?,
            }],
        };
        let subject = Subject {
            benchmark: plan.benchmark(),
            policy: plan.policy(),
            evaluation: &evaluation,
        };
        let mut report = convert::report(&subject, scan, &machine.host)?;
        record_in(&mut report, outcomes);
        send(client, &report)
    }
}

/// Puts what was done into the report, as a fact of the host: the artifact keeps it.
fn record_in(report: &mut Report, outcomes: &[Outcome]) {
    let Some(asset) = report.observations.first().map(|one| one.asset.clone()) else {
        return;
    };
    let rules: Vec<Value> = outcomes
        .iter()
        .filter(|one| one.backup.is_some())
        .map(Outcome::json)
        .collect();
    let body = json!({"user": identity().name, "rules": rules});
    report.observations.push(Observation {
        asset,
        kind: KIND.to_owned(),
        digest: Digest::of(body.to_string().as_bytes()),
        body,
        location: None,
    });
    report
        .observations
        .sort_by(|one, other| (&one.asset.uid, &one.kind).cmp(&(&other.asset.uid, &other.kind)));
}

/// The evaluation with what XCCDF calls rules that were mended, or that were to be.
fn mended(evaluation: &Evaluation, outcomes: &[Outcome]) -> Evaluation {
    let mut mended = evaluation.clone();
    for rule in &mut mended.rules {
        let ran = outcomes
            .iter()
            .find(|one| *one.rule == *rule.id && one.backup.is_some());
        let Some(ran) = ran else { continue };
        match rule.result {
            RuleResult::Pass => rule.result = RuleResult::Fixed,
            RuleResult::Fail => {
                rule.result = RuleResult::Error;
                rule.message = Some(ran.message.clone());
            }
            _ => {}
        }
    }
    mended
}

enum Answer {
    Yes,
    No,
    Stop,
}

fn tail(bytes: &[u8]) -> String {
    let from = bytes.len().saturating_sub(MAX_SAID);
    String::from_utf8_lossy(bytes.get(from..).unwrap_or(bytes)).into_owned()
}

/// Puts back what a fix changed.
pub fn undo(options: &ScapUndo) -> Result<Verdict> {
    let folder = options
        .backup
        .canonicalize()
        .with_context(|| format!("cannot look into {}", options.backup.display()))?;
    let changes = backup::load(&folder)?;
    if changes.is_empty() {
        bail!("the fix changed no file that was watched: there is nothing to put back");
    }
    let done = backup::undo(&folder, &changes, options.force, options.dry_run);
    let mut failed = 0usize;
    let mut listed = Vec::new();
    for (path, result) in &done {
        let text = match result {
            Ok(what) => (*what).to_owned(),
            Err(error) => {
                failed += 1;
                format!("stays: {error:#}")
            }
        };
        show::line(&format!(
            "{}: {}",
            safe(&path.to_string_lossy()),
            safe(&text)
        ))?;
        listed.push(json!({"path": path.to_string_lossy(), "done": text}));
    }
    if !options.dry_run {
        listed.truncate(MAX_LISTED);
        Journal::new(&options.state).add(json!({
            "time": now().to_string(),
            "event": "undo",
            "user": identity().name,
            "backup": folder.to_string_lossy(),
            "force": options.force,
            "files": listed,
            "version": VERSION,
        }))?;
    }
    Ok(match failed {
        0 => Verdict::Good,
        _ => Verdict::Bad,
    })
}
