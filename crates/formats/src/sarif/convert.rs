//! From the runs of a SARIF file to reports.

use super::schema::{Component, Invocation, Message, RawResult, Rule, Run};
use super::{Options, Reading, SarifError, place, severity};
use bartizan_model::report::Report;
use bartizan_model::{
    Asset, AssetUid, Check, CheckResult, CheckUid, Digest, Evidence, Location, Observation,
    Outcome, Scan, ScanId, ScopeId, Suppression, Timestamp,
};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Makes reports of runs; runs of one tool and category are joined.
pub(super) fn reports(runs: &[Run], options: &Options) -> Result<Reading, SarifError> {
    let scope = options.scope.id()?;
    let mut notices = Vec::new();
    let mut gathered: Vec<Gathered> = Vec::new();
    for run in runs {
        let source = source(run);
        let at = match gathered.iter().position(|g| g.source == source) {
            Some(at) => at,
            None => {
                gathered.push(Gathered::new(source));
                gathered.len() - 1
            }
        };
        if let Some(into) = gathered.get_mut(at) {
            into.add(run, &scope, options, &mut notices)?;
        }
    }
    let reports = gathered
        .into_iter()
        .enumerate()
        .map(|(at, gathered)| gathered.finish(at, options, &mut notices))
        .collect::<Result<_, _>>()?;
    Ok(Reading { reports, notices })
}

/// `sarif/<tool>`, and the category where the tool was run several times on one scope.
fn source(run: &Run) -> String {
    let tool = slug(run.tool.driver.name.get().unwrap_or("unnamed"));
    let category = run
        .automation_details
        .as_ref()
        .and_then(|details| details.id.get())
        // The part after the last slash names the single run.
        .and_then(|id| id.rsplit_once('/'))
        .map(|(category, _)| slug(category))
        .filter(|category| !category.is_empty());
    match category {
        Some(category) => format!("sarif/{tool}/{category}"),
        None => format!("sarif/{tool}"),
    }
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

/// What the runs of one tool and category have said.
struct Gathered {
    source: String,
    version: String,
    complete: bool,
    started: Option<Timestamp>,
    finished: Option<Timestamp>,
    checks: BTreeMap<CheckUid, Check>,
    assets: BTreeMap<AssetUid, Observation>,
    results: Vec<CheckResult>,
    absent: u64,
}

impl Gathered {
    fn new(source: String) -> Self {
        Self {
            source,
            version: String::new(),
            complete: true,
            started: None,
            finished: None,
            checks: BTreeMap::new(),
            assets: BTreeMap::new(),
            results: Vec::new(),
            absent: 0,
        }
    }

    fn add(
        &mut self,
        run: &Run,
        scope: &ScopeId,
        options: &Options,
        notices: &mut Vec<String>,
    ) -> Result<(), SarifError> {
        let driver = &run.tool.driver;
        let external = run.external_property_file_references.as_ref();
        if external.is_some_and(|files| files.results.is_some()) {
            return Err(SarifError::External(self.source.clone()));
        }
        if self.version.is_empty() {
            let version = driver.semantic_version.get().or(driver.version.get());
            self.version = place::short(version.unwrap_or_default());
        }
        for invocation in &run.invocations.0 {
            self.invocation(invocation, notices);
        }
        let Some(results) = &run.results else {
            self.complete = false;
            notices.push(format!(
                "{} says nothing of results, so the run did not finish; nothing is closed by it",
                self.source
            ));
            return Ok(());
        };
        let tool = slug(driver.name.get().unwrap_or("unnamed"));
        let rules = Rules::of(run);
        for rule in rules.all() {
            let uid = check_uid(&tool, rule.id.get().or(rule.name.get()))?;
            self.checks
                .entry(uid)
                .or_insert_with_key(|uid| check(uid, rule));
        }
        for result in &results.0 {
            if result.baseline_state.get() == Some("absent") {
                self.absent += 1;
                continue;
            }
            self.result(result, run, &rules, &tool, scope, options)?;
        }
        Ok(())
    }

    fn invocation(&mut self, invocation: &Invocation, notices: &mut Vec<String>) {
        let time = |text: Option<&str>| text.and_then(|t| Timestamp::parse(t).ok());
        let begin = time(invocation.start_time_utc.get());
        let end = time(invocation.end_time_utc.get());
        self.started = self.started.into_iter().chain(begin).min();
        self.finished = self.finished.max(end);
        if invocation.execution_successful == Some(false) {
            self.complete = false;
            notices.push(format!(
                "{} says that it did not run to its end; nothing is closed by it",
                self.source
            ));
        }
        let errors: Vec<&Message> = invocation
            .tool_execution_notifications
            .0
            .iter()
            .chain(&invocation.tool_configuration_notifications.0)
            .filter(|n| n.level.get() == Some("error"))
            .filter_map(|n| {
                self.complete = false;
                n.message.as_ref()
            })
            .collect();
        for message in errors.iter().take(10) {
            let text = message.text.get().or(message.markdown.get());
            notices.push(format!(
                "{} reports an error: {}",
                self.source,
                place::short(text.unwrap_or("without words"))
            ));
        }
    }

    fn result(
        &mut self,
        result: &RawResult,
        run: &Run,
        rules: &Rules<'_>,
        tool: &str,
        scope: &ScopeId,
        options: &Options,
    ) -> Result<(), SarifError> {
        let rule = rules.find(result);
        let named = result.rule_id.get().or(result
            .rule
            .as_ref()
            .and_then(|reference| reference.id.get()));
        let uid = check_uid(tool, rule.and_then(|r| r.id.get()).or(named))?;
        let how_bad = severity::of_result(result, rule);
        let check = self.checks.entry(uid).or_insert_with_key(|uid| Check {
            uid: uid.clone(),
            title: place::short(named.unwrap_or("unnamed rule")),
            description: String::new(),
            severity: how_bad,
            remediation: String::new(),
            references: Vec::new(),
        });
        let path = place::path(result, run);
        let asset = asset(scope, &options.scope.name, &path)?;
        let location = location(result, &path);
        let message = message(result, rule);
        let outcome = outcome(result, &message);
        let checked = CheckResult {
            check: check.uid.clone(),
            asset: asset.uid.clone(),
            locus: place::locus(result),
            severity: (outcome == Outcome::Fail && how_bad != check.severity).then_some(how_bad),
            suppression: suppression(result).filter(|_| outcome == Outcome::Fail),
            outcome,
            message,
            evidence: evidence(result),
            location,
        };
        self.results.push(checked);
        self.assets
            .entry(asset.uid.clone())
            .or_insert_with(|| observation(asset, &path));
        Ok(())
    }

    fn finish(
        self,
        at: usize,
        options: &Options,
        notices: &mut Vec<String>,
    ) -> Result<Report, SarifError> {
        if self.absent > 0 {
            notices.push(format!(
                "{} lists {} results as absent since its baseline; they are not results",
                self.source, self.absent
            ));
        }
        let (results, twice) = number(self.results);
        if twice > 0 {
            notices.push(format!(
                "{} lists {twice} results twice; each counts once",
                self.source
            ));
        }
        let id = match at {
            0 => options.scan.clone(),
            _ => ScanId::new(format!("{}-{}", options.scan, at + 1))?,
        };
        // A clock that runs ahead must not make later scans look older.
        let finished = self
            .finished
            .or(self.started)
            .unwrap_or(options.received)
            .min(options.received);
        Ok(Report {
            scan: Scan {
                id,
                source: self.source,
                source_version: self.version,
                scope: options.scope.clone(),
                complete: self.complete,
                started: self.started.unwrap_or(finished).min(finished),
                finished,
                content: Vec::new(),
            },
            checks: self.checks.into_values().collect(),
            observations: self.assets.into_values().collect(),
            results,
        })
    }
}

/// What a verdict is about; no two results of a report may share it.
type Subject = (CheckUid, AssetUid, String);

fn subject(result: &CheckResult) -> Subject {
    (
        result.check.clone(),
        result.asset.clone(),
        result.locus.clone(),
    )
}

/// Sorts results, leaves out exact repetitions, and numbers those that share their locus;
/// see [`place`]. Failures come first, so that a pass beside failures never takes the name
/// of one.
fn number(mut results: Vec<CheckResult>) -> (Vec<CheckResult>, usize) {
    let rank = |outcome: &Outcome| match outcome {
        Outcome::Fail => 0,
        Outcome::Unknown { .. } => 1,
        Outcome::Pass => 2,
        Outcome::NotApplicable { .. } => 3,
    };
    let line = |r: &CheckResult| r.location.as_ref().map(|l| (l.line, l.column));
    results.sort_by(|a, b| {
        (
            &a.check,
            &a.asset,
            &a.locus,
            rank(&a.outcome),
            line(a),
            &a.message,
        )
            .cmp(&(
                &b.check,
                &b.asset,
                &b.locus,
                rank(&b.outcome),
                line(b),
                &b.message,
            ))
    });
    let before = results.len();
    results.dedup();
    let twice = before - results.len();
    // A tool's own text may end in `#2`; a number that is taken is passed over.
    let mut taken: HashSet<Subject> = results.iter().map(subject).collect();
    let mut last: Option<Subject> = None;
    let mut count = 1_u64;
    for result in &mut results {
        let key = subject(result);
        if last.as_ref() != Some(&key) {
            count = 1;
            last = Some(key);
            continue;
        }
        loop {
            count += 1;
            let mut numbered = key.clone();
            numbered.2.push_str(&format!("#{count}"));
            if taken.insert(numbered.clone()) {
                result.locus = numbered.2;
                break;
            }
        }
    }
    results.sort_by(|a, b| (&a.check, &a.asset, &a.locus).cmp(&(&b.check, &b.asset, &b.locus)));
    (results, twice)
}

/// The rules of a run's driver and extensions.
struct Rules<'a> {
    components: Vec<&'a Component>,
    by_id: HashMap<&'a str, &'a Rule>,
}

impl<'a> Rules<'a> {
    fn of(run: &'a Run) -> Self {
        let components: Vec<&Component> = std::iter::once(&run.tool.driver)
            .chain(&run.tool.extensions.0)
            .collect();
        let mut by_id = HashMap::new();
        for rule in components.iter().flat_map(|c| &c.rules.0) {
            if let Some(id) = rule.id.get() {
                by_id.entry(id).or_insert(rule);
            }
        }
        Self { components, by_id }
    }

    fn all(&self) -> impl Iterator<Item = &'a Rule> {
        self.components.iter().flat_map(|c| &c.rules.0)
    }

    /// The rule that a result names by id, or else by index. The id comes first because
    /// indices of merged files are often wrong. `CA1000/1` is a kind of the rule `CA1000`.
    fn find(&self, result: &RawResult) -> Option<&'a Rule> {
        let reference = result.rule.as_ref();
        let id = result.rule_id.get().or(reference.and_then(|r| r.id.get()));
        if let Some(id) = id {
            let mut part = id;
            loop {
                if let Some(rule) = self.by_id.get(part) {
                    return Some(rule);
                }
                match part.rsplit_once('/') {
                    Some((parent, _)) => part = parent,
                    None => break,
                }
            }
        }
        let index = reference.and_then(|r| r.index).or(result.rule_index)?;
        let extension = reference
            .and_then(|r| r.tool_component.as_ref())
            .and_then(|component| component.index)
            .and_then(|index| usize::try_from(index).ok());
        let component = self.components.get(extension.map_or(0, |at| at + 1))?;
        let rule = component.rules.0.get(usize::try_from(index).ok()?)?;
        // An id that the rule at this place does not have speaks of another rule.
        match (id, rule.id.get()) {
            (Some(id), Some(other)) if id != other => None,
            _ => Some(rule),
        }
    }
}

fn check_uid(tool: &str, rule: Option<&str>) -> Result<CheckUid, SarifError> {
    Ok(CheckUid::of(
        "sarif",
        tool,
        &place::short(rule.unwrap_or("unnamed").trim()),
    )?)
}

fn check(uid: &CheckUid, rule: &Rule) -> Check {
    let text = |message: &Option<Message>| {
        message
            .as_ref()
            .and_then(|m| m.text.get().or(m.markdown.get()))
            .map(str::to_owned)
    };
    let short = text(&rule.short_description);
    let full = text(&rule.full_description);
    let title = short
        .as_deref()
        .or(rule.name.get())
        .or(full.as_deref())
        .or(rule.id.get())
        .unwrap_or("unnamed rule");
    let title: String = title
        .lines()
        .next()
        .unwrap_or(title)
        .chars()
        .take(300)
        .collect();
    let reference = rule.help_uri.get().filter(|uri| {
        // Anything else, such as `javascript:`, must not become a link.
        uri.starts_with("https://") || uri.starts_with("http://")
    });
    Check {
        uid: uid.clone(),
        description: full.filter(|full| *full != title).unwrap_or_default(),
        title,
        severity: severity::of_rule(rule),
        remediation: text(&rule.help).unwrap_or_default(),
        references: reference.map(str::to_owned).into_iter().collect(),
    }
}

fn asset(scope: &ScopeId, name: &str, path: &str) -> Result<Asset, SarifError> {
    Ok(match path {
        "" => Asset {
            uid: AssetUid::new(format!("{scope}/scope"))?,
            kind: "Scope".to_owned(),
            name: name.to_owned(),
            namespace: String::new(),
        },
        path => Asset {
            uid: AssetUid::new(format!("{scope}/file/{path}"))?,
            kind: "File".to_owned(),
            name: path.to_owned(),
            namespace: String::new(),
        },
    })
}

fn observation(asset: Asset, path: &str) -> Observation {
    let body = serde_json::json!({ "path": path });
    Observation {
        asset,
        kind: "sarif.artifact".to_owned(),
        digest: Digest::of(body.to_string().as_bytes()),
        body,
        location: None,
    }
}

fn location(result: &RawResult, path: &str) -> Option<Location> {
    if path.is_empty() {
        return None;
    }
    let physical = result.locations.0.as_ref()?.physical_location.as_ref()?;
    let region = physical.region.as_ref();
    let number = |n: Option<i64>| n.and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
    Some(Location {
        file: path.to_owned(),
        line: number(region.and_then(|r| r.start_line)).unwrap_or(1),
        column: number(region.and_then(|r| r.start_column)),
    })
}

/// The result's words: its own text, or the rule's template with the arguments filled in.
fn message(result: &RawResult, rule: Option<&Rule>) -> String {
    let Some(message) = &result.message else {
        return String::new();
    };
    let template = || {
        let id = message.id.get()?;
        let template = rule?.message_strings.get(id)?.as_ref()?;
        template.text.get().or(template.markdown.get())
    };
    let text = message
        .text
        .get()
        .or_else(template)
        .or(message.markdown.get());
    let mut text = text.unwrap_or_default().trim().to_owned();
    for (at, argument) in message.arguments.0.iter().take(20).enumerate() {
        if text.len() > 8192 {
            break;
        }
        let argument: String = argument
            .get()
            .unwrap_or_default()
            .chars()
            .take(400)
            .collect();
        text = text.replacen(&format!("{{{at}}}"), &argument, 8);
    }
    text
}

fn outcome(result: &RawResult, message: &str) -> Outcome {
    let why = |what: &str| match message {
        "" => what.to_owned(),
        message => format!("{what}: {message}"),
    };
    match result.kind.get().unwrap_or("fail") {
        "fail" => Outcome::Fail,
        "pass" => Outcome::Pass,
        "notApplicable" => Outcome::NotApplicable {
            why: why("the tool says that it does not apply"),
        },
        "informational" => Outcome::NotApplicable {
            why: why("the tool gives information, no verdict"),
        },
        "open" => Outcome::Unknown {
            why: why("the tool could not tell"),
        },
        "review" => Outcome::Unknown {
            why: why("the tool asks a person to look"),
        },
        other => Outcome::Unknown {
            why: why(&format!(
                "the result is of kind {:?}, which SARIF does not have",
                place::short(other)
            )),
        },
    }
}

/// A suppression, if every one that is given has been accepted: one under review or refused
/// leaves the failure standing.
fn suppression(result: &RawResult) -> Option<Suppression> {
    let all = &result.suppressions.0;
    let accepted = all
        .iter()
        .all(|s| matches!(s.status.get(), None | Some("accepted")));
    let first = all.first().filter(|_| accepted)?;
    Some(Suppression {
        by: match first.kind.get() {
            Some("inSource") => "annotation",
            _ => "baseline",
        }
        .to_owned(),
        reason: first
            .justification
            .get()
            .unwrap_or("no reason given")
            .to_owned(),
    })
}

/// Fingerprints, for whoever compares with the tool's own bookkeeping.
fn evidence(result: &RawResult) -> Vec<Evidence> {
    let own = [
        ("partialFingerprints", &result.partial_fingerprints),
        ("fingerprints", &result.fingerprints),
    ];
    own.into_iter()
        .flat_map(|(what, pairs)| pairs.0.iter().map(move |(name, value)| (what, name, value)))
        .filter(|(what, name, _)| *what == "fingerprints" || place::is_fingerprint(name))
        .filter_map(|(what, name, value)| {
            Some(Evidence {
                path: place::short(&format!("{what}.{name}")),
                actual: Some(place::short(value.get()?)),
                expected: None,
            })
        })
        .take(8)
        .collect()
}
