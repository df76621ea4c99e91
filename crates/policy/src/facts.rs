//! Rego over the collected facts of a host: plugins of checks that need no template.
//!
//! A package below `bartizan.host` is a check; any other package is a library. Its rules:
//!
//! | rule | what it says |
//! |---|---|
//! | `deny contains result` | Fail; a text, or an object of `msg`, `path`, `actual`, `expected` |
//! | `unknown contains result` | Unknown, where nothing is denied |
//! | `not_applicable contains result` | NotApplicable, where neither |
//! | `metadata := {…}` | title, severity and so on, over what OPA's annotations say |
//!
//! **What is not known never passes.** Which facts a check touches is read off its source
//! ([`touched`]): where one of them is `{"unknown": why}`, or holds such, the check is Unknown
//! and is not run, unless it asks for `input.<part>.unknown` itself. So is what `requires`
//! names and is not there. A part that facts never have is an error when the plugin is loaded.

use crate::Budget;
use crate::engine::{Runner, Shared};
use crate::rego::calls::rule_names;
use crate::rego::syntax::{self, Text};
use crate::rego::{Module, prepare};
use bartizan_model::{
    AssetUid, Check, CheckResult, CheckUid, Digest, Evidence, Outcome, Timestamp,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

mod metadata;
mod touched;

use metadata::About;
use touched::{Path, Touched};

/// The first part of the checks' uids: `rego-host/<plugin>/<package below bartizan.host>`.
pub const ENGINE: &str = "rego-host";

/// Where packages are checks.
const BELOW: &str = "bartizan.host.";

const MAX_FILES: usize = 500;
const MAX_EVIDENCE: usize = 20;
const MAX_MESSAGES: usize = 5;
const MAX_TEXT: usize = 300;

/// Why modules are no plugin: always the author's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {what}")]
pub struct PluginError {
    /// The file as given.
    pub file: String,
    /// What is wrong with it.
    pub what: String,
}

/// Checks made of Rego modules.
#[derive(Debug, Clone)]
pub struct Plugin {
    /// The checks, by uid.
    pub checks: Vec<Check>,
    /// Of all modules.
    pub digest: Digest,
    modules: Vec<Module>,
    asked: Vec<Asked>,
}

/// How a check is asked.
#[derive(Debug, Clone)]
struct Asked {
    package: String,
    rules: BTreeSet<&'static str>,
    /// Must be there and known.
    requires: Vec<Path>,
    /// Must be known.
    touches: BTreeSet<Path>,
}

/// A package's files while they are gathered.
#[derive(Default)]
struct Gathered {
    file: String,
    rules: BTreeSet<&'static str>,
    touched: Touched,
    about: About,
}

const RULES: [&str; 4] = ["deny", "unknown", "not_applicable", "metadata"];

impl Plugin {
    /// Reads modules, each with its file's name and bytes. `id` is the plugin's; `parts` are
    /// those that the facts have. Tests (`_test.rego`) are passed over.
    pub fn load(id: &str, files: &[(&str, &[u8])], parts: &[&str]) -> Result<Self, PluginError> {
        let files: Vec<_> = files
            .iter()
            .filter(|(file, _)| !file.ends_with("_test.rego"))
            .collect();
        let fault = |file: &str, what: String| PluginError {
            file: file.to_owned(),
            what,
        };
        if files.len() > MAX_FILES {
            let what = format!("there are more than {MAX_FILES} modules");
            return Err(fault(id, what));
        }
        let mut modules = Vec::new();
        let mut packages: BTreeMap<String, Gathered> = BTreeMap::new();
        let mut all = String::new();
        for (file, bytes) in files {
            let fault = |what: String| fault(file, what);
            let source = std::str::from_utf8(bytes).map_err(|_| fault("it is not UTF-8".into()))?;
            let module = module(source).map_err(fault)?;
            let touched = touched::of(source).map_err(fault)?;
            if let Some(path) = touched.paths.iter().find(|path| !in_parts(path, parts)) {
                let what = format!("the facts have no input.{}", path.join("."));
                return Err(fault(what));
            }
            let rules = rules(&module).map_err(fault)?;
            let about = metadata::of_comments(source).map_err(fault)?;
            all.push_str(&format!("{file}\0{}\0", Digest::of(bytes)));
            let package = packages.entry(module.package.clone()).or_default();
            package.file = (*file).to_owned();
            package.rules.extend(rules);
            package.touched.add(touched);
            package.about = std::mem::take(&mut package.about).under(about);
            modules.push(module);
        }
        let entries = packages
            .iter()
            .filter(|(package, _)| package.starts_with(BELOW))
            .flat_map(|(package, gathered)| {
                gathered
                    .rules
                    .iter()
                    .map(move |rule| format!("data.{package}.{rule}"))
            })
            .collect();
        let start = Timestamp::from_micros(0);
        let mut runner = Runner::new(&modules, entries, None, start, Budget::default())
            .map_err(|what| fault(id, what))?;
        let mut plugin = Self {
            checks: Vec::new(),
            digest: Digest::of(all.as_bytes()),
            modules,
            asked: Vec::new(),
        };
        for (package, gathered) in &packages {
            let Some(rule) = package.strip_prefix(BELOW) else {
                continue;
            };
            let fault = |what: String| fault(&gathered.file, what);
            if !gathered.rules.contains("deny") {
                let what =
                    format!("package {package} has no rule deny; a library stands elsewhere");
                return Err(fault(what));
            }
            let mut about = gathered.about.clone();
            if gathered.rules.contains("metadata") {
                let entry = format!("data.{package}.metadata");
                let said = runner.strict(&entry, &Shared::of(&json!({})));
                let said = said.map_err(|why| fault(format!("metadata: {why}")))?;
                let own = About::of(&said.unwrap_or_default()).map_err(fault)?;
                about = own.under(about);
            }
            let uid = CheckUid::of(ENGINE, id, rule).map_err(|error| fault(error.to_string()))?;
            if let Some(path) = about.requires.iter().find(|path| !in_parts(path, parts)) {
                let what = format!("requires: the facts have no {}", path.join("/"));
                return Err(fault(what));
            }
            plugin.asked.push(Asked {
                requires: about.requires.clone(),
                rules: gathered.rules.clone(),
                touches: touches(package, &packages, parts),
                package: package.clone(),
            });
            plugin.checks.push(about.check(uid, rule));
        }
        if plugin.checks.is_empty() {
            let what = format!("no package is below {}", BELOW.trim_end_matches('.'));
            return Err(fault(id, what));
        }
        Ok(plugin)
    }

    /// Asks all checks of one host, in their order; `progress` hears how many of how many are
    /// done. `now` is the time that they see.
    pub fn evaluate(
        &self,
        facts: &Value,
        asset: &AssetUid,
        now: Timestamp,
        budget: Budget,
        progress: &dyn Fn(usize, usize),
    ) -> Vec<CheckResult> {
        let entries = self.asked.iter().flat_map(|asked| {
            let entry = move |rule: &&str| format!("data.{}.{rule}", asked.package);
            asked.rules.iter().map(entry)
        });
        let entries = entries.collect();
        let mut runner = Runner::new(&self.modules, entries, None, now, budget);
        let input = Shared::of(facts);
        let total = self.checks.len();
        self.checks
            .iter()
            .zip(&self.asked)
            .enumerate()
            .map(|(at, (check, asked))| {
                let said = match &mut runner {
                    Ok(runner) => asked.answer(runner, facts, &input),
                    Err(why) => Said::unknown(why),
                };
                progress(at + 1, total);
                CheckResult {
                    check: check.uid.clone(),
                    asset: asset.clone(),
                    locus: String::new(),
                    outcome: said.outcome,
                    message: said.message,
                    severity: None,
                    evidence: said.evidence,
                    location: None,
                    suppression: None,
                }
            })
            .collect()
    }
}

/// What a package and all that it uses look at.
fn touches(package: &str, packages: &BTreeMap<String, Gathered>, parts: &[&str]) -> BTreeSet<Path> {
    let mut reached = BTreeSet::from([package]);
    let mut next = vec![package];
    let mut all = BTreeSet::new();
    while let Some(gathered) = next.pop().and_then(|name| packages.get(name)) {
        all.extend(gathered.touched.effective(parts));
        for name in packages.keys() {
            if gathered.touched.uses(name) && reached.insert(name) {
                next.push(name);
            }
        }
    }
    all
}

/// Prepares a module: Rego as OPA 1 reads it, else as it was before.
fn module(source: &str) -> Result<Module, String> {
    prepare(source, true).or_else(|why| prepare(source, false).map_err(|_| why))
}

/// Which of the rules that mean something a module has.
fn rules(module: &Module) -> Result<BTreeSet<&'static str>, String> {
    let tree = syntax::parse(&module.source, module.v1)?;
    let text = Text::new(&module.source)?;
    let names = rule_names(&tree, &text);
    let known = RULES.into_iter().filter(|rule| names.contains(*rule));
    Ok(known.collect())
}

fn in_parts(path: &[String], parts: &[&str]) -> bool {
    path.first()
        .is_none_or(|part| parts.contains(&part.as_str()))
}

struct Said {
    outcome: Outcome,
    message: String,
    evidence: Vec<Evidence>,
}

impl Said {
    fn unknown(why: &str) -> Self {
        let why = short(why);
        Self {
            message: why.clone(),
            outcome: Outcome::Unknown { why },
            evidence: Vec::new(),
        }
    }
}

impl Asked {
    fn answer(&self, runner: &mut Runner, facts: &Value, input: &Shared) -> Said {
        for path in &self.requires {
            if let Some(why) = touched::lacking(facts, path, true) {
                return Said::unknown(&why);
            }
        }
        for path in &self.touches {
            if let Some(why) = touched::lacking(facts, path, false) {
                return Said::unknown(&why);
            }
        }
        match self.ask("deny", runner, input) {
            Ok(denials) if !denials.is_empty() => return failed(denials),
            Ok(_) => {}
            Err(why) => return Said::unknown(&why),
        }
        match self.ask("unknown", runner, input) {
            Ok(reasons) if !reasons.is_empty() => return Said::unknown(&joined(&reasons)),
            Ok(_) => {}
            Err(why) => return Said::unknown(&why),
        }
        match self.ask("not_applicable", runner, input) {
            Ok(reasons) if !reasons.is_empty() => {
                let why = joined(&reasons);
                Said {
                    message: why.clone(),
                    outcome: Outcome::NotApplicable { why },
                    evidence: Vec::new(),
                }
            }
            Ok(_) => Said {
                outcome: Outcome::Pass,
                message: String::new(),
                evidence: Vec::new(),
            },
            Err(why) => Said::unknown(&why),
        }
    }

    /// What a rule's set holds; nothing where there is no such rule.
    fn ask(&self, rule: &str, runner: &mut Runner, input: &Shared) -> Result<Vec<Denial>, String> {
        if !self.rules.contains(rule) {
            return Ok(Vec::new());
        }
        let entry = format!("data.{}.{rule}", self.package);
        let value = runner
            .strict(&entry, input)
            .map_err(|why| format!("{rule} could not be evaluated: {why}"))?;
        match value {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| Denial::of(item).ok_or_else(|| format!("{rule} has one without msg")))
                .collect(),
            Some(_) => Err(format!("{rule} is no set")),
        }
    }
}

/// An element of `deny` and its like.
struct Denial {
    message: String,
    path: Option<String>,
    actual: Option<String>,
    expected: Option<String>,
}

impl Denial {
    fn of(item: &Value) -> Option<Self> {
        if let Value::String(message) = item {
            return Some(Self {
                message: short(message),
                path: None,
                actual: None,
                expected: None,
            });
        }
        let text = |name: &str| match item.get(name)? {
            Value::Null => None,
            Value::String(text) => Some(short(text)),
            other => Some(short(&other.to_string())),
        };
        Some(Self {
            message: text("msg")?,
            path: text("path"),
            actual: text("actual"),
            expected: text("expected"),
        })
    }
}

fn failed(denials: Vec<Denial>) -> Said {
    let message = joined(&denials);
    let evidence = denials.into_iter().take(MAX_EVIDENCE).map(|denial| {
        // What says nothing but a message is evidence too.
        let told = denial.actual.is_some() || denial.expected.is_some();
        let actual = denial.actual.or((!told).then_some(denial.message));
        Evidence {
            path: denial.path.unwrap_or_else(|| "facts".to_owned()),
            actual,
            expected: denial.expected,
        }
    });
    Said {
        outcome: Outcome::Fail,
        evidence: evidence.collect(),
        message,
    }
}

fn joined(all: &[Denial]) -> String {
    let first: Vec<&str> = all
        .iter()
        .take(MAX_MESSAGES)
        .map(|one| one.message.as_str())
        .collect();
    let mut text = first.join("; ");
    if let more @ 1.. = all.len().saturating_sub(MAX_MESSAGES) {
        text.push_str(&format!("; and {more} more"));
    }
    text
}

/// Bounded and without control characters.
fn short(text: &str) -> String {
    let mut characters = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = characters.by_ref().take(MAX_TEXT).collect();
    if characters.next().is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests;
