//! The fixes that content has for rules: listed, or written as one script or playbook.

use super::arguments::ScapFixes;
use super::results::Results;
use super::script::{self, Fix};
use super::{Content, safe};
use crate::arguments::Output;
use crate::host::{Machine, engine_options, policy};
use crate::scan::progress_bar;
use crate::{Verdict, show};
use anyhow::{Context, Result};
use bartizan_scap::probe;
use bartizan_scap::xccdf::evaluate::run_plan;
use bartizan_scap::xccdf::model::{Benchmark, Body, Item, Rule};
use bartizan_scap::xccdf::outcome::RuleResult;
use bartizan_scap::xccdf::plan::Plan;
use bartizan_scap::xccdf::select::Policy;
use serde_json::json;
use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Lists or writes them.
pub fn run(options: &ScapFixes) -> Result<Verdict> {
    let content = Content::load_signed(&options.file, policy(options.choice.signature))?;
    let (mut engine, _) = engine_options(&options.choice)?;
    engine.rule = options.rule.clone();
    let plan = Plan::new(&content.bundle, &engine)
        .with_context(|| format!("cannot use {}", options.file.display()))?;
    let (benchmark, policy) = (plan.benchmark(), plan.policy());
    let failed: Option<HashSet<String>> = match &options.failed_from {
        Some(path) => Some(Results::load(path)?.failed().map(str::to_owned).collect()),
        None if options.scan => Some(failing(&plan)?),
        None => None,
    };
    let all = match options.rule.is_empty() {
        true => selected(benchmark, policy),
        false => asked(benchmark, &options.rule),
    };
    let is_wanted = |id: &str| failed.as_ref().is_none_or(|failed| failed.contains(id));
    let mut without = 0usize;
    let mut fixes = Vec::new();
    for (item, rule) in all.into_iter().filter(|(item, _)| is_wanted(&item.id)) {
        match script::text(benchmark, policy, rule, options.system) {
            Some(Ok(text)) => fixes.push(Fix {
                rule: item.id.to_string(),
                title: policy.text(benchmark, &item.title),
                text,
            }),
            Some(Err(what)) => {
                show::remark(&format!("{}: {}: left out", safe(&item.id), safe(&what)));
                without += 1;
            }
            None => without += 1,
        }
    }
    match &options.output {
        Some(path) => {
            let profile = options.choice.profile.as_deref().unwrap_or("(default)");
            let from = format!(
                "{} sha256:{}, profile {profile}",
                content.name, content.bundle.digest
            );
            let text = script::write(options.system, &fixes, &from)?;
            save(path, &text)?;
        }
        None => list(options, &fixes, without)?,
    }
    show::remark(&format!(
        "{} fixes; {without} rules have none of this kind. Content wrote them: read before running.",
        fixes.len()
    ));
    Ok(Verdict::Good)
}

/// Not runnable by accident: whoever runs it names its interpreter or allows it.
fn save(path: &Path, text: &str) -> Result<()> {
    show::to(Some(path), text.as_bytes())?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .with_context(|| format!("cannot protect {}", path.display()))
}

fn list(options: &ScapFixes, fixes: &[Fix], without: usize) -> Result<()> {
    match options.format {
        Output::Json => {
            let fixes: Vec<_> = fixes
                .iter()
                .map(|fix| json!({"rule": fix.rule, "title": fix.title, "fix": fix.text}))
                .collect();
            let system = script::uri(options.system);
            let text = json!({"system": system, "fixes": fixes, "without": without});
            show::line(&serde_json::to_string_pretty(&text)?)
        }
        // Comments are the same in all of these languages.
        Output::Table => fixes.iter().try_for_each(|fix| {
            let (rule, title) = (safe(&fix.rule), safe(&fix.title));
            show::line(&format!("# {rule}: {title}\n{}\n", fix.text))
        }),
    }
}

/// What fails on this machine now.
fn failing(plan: &Plan<'_>) -> Result<HashSet<String>> {
    let machine = Machine::open(Path::new("/"))?;
    let context = probe::Context::new(machine.system());
    let bar = progress_bar();
    let (evaluation, _) = run_plan(plan, &context, &|_, before, all| {
        bar.set_position(before as u64);
        bar.set_message(format!("of {all} rules"));
    });
    bar.finish_and_clear();
    let rules = evaluation.rules.into_iter();
    Ok(rules
        .filter(|rule| rule.result == RuleResult::Fail)
        .map(|rule| rule.id.to_string())
        .collect())
}

/// The rules of these ids, in the content's order.
fn asked<'a>(benchmark: &'a Benchmark, ids: &[String]) -> Vec<(&'a Item, &'a Rule)> {
    let rules = benchmark.rules();
    rules
        .filter(|(item, _)| ids.iter().any(|id| **id == *item.id))
        .collect()
}

/// The rules that a profile selects, and whose groups it does not leave out.
pub fn selected<'a>(benchmark: &'a Benchmark, policy: &Policy) -> Vec<(&'a Item, &'a Rule)> {
    let mut inside: Vec<bool> = Vec::with_capacity(benchmark.items.len());
    let mut rules = Vec::new();
    for (place, item) in benchmark.items.iter().enumerate() {
        // A group stands before what is in it.
        let around = item
            .parent
            .is_none_or(|parent| inside.get(parent) == Some(&true));
        let selected = around && policy.is_selected(place);
        inside.push(selected);
        if selected && let Body::Rule(rule) = &item.body {
            rules.push((item, &**rule));
        }
    }
    rules
}
