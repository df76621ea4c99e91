//! The fixes that content has for rules.

use super::{Content, read, safe};
use crate::arguments::{FixSystem, Output, ScapFixes};
use crate::host::engine_options;
use crate::{Verdict, show};
use anyhow::{Context, Result, ensure};
use bartizan_scap::xccdf::model::{Benchmark, Body, Item, Rule};
use bartizan_scap::xccdf::plan::Plan;
use bartizan_scap::xccdf::select::Policy;
use bartizan_scap::xml::{Element, Piece, Stream};
use serde_json::json;
use std::collections::HashSet;
use std::path::Path;

/// Results may hold whole content.
const MAX_RESULTS: u64 = 256 << 20;

/// Lists them.
pub fn run(options: &ScapFixes) -> Result<Verdict> {
    let content = Content::load(&options.file)?;
    let (engine, _) = engine_options(&options.choice)?;
    let plan = Plan::new(&content.bundle, &engine)
        .with_context(|| format!("cannot use {}", options.file.display()))?;
    let (benchmark, policy) = (plan.benchmark(), plan.policy());
    let failed = match &options.failed_from {
        Some(path) => Some(failed(path)?),
        None => None,
    };
    let system = match options.system {
        FixSystem::Bash => "urn:xccdf:fix:script:sh",
        FixSystem::Ansible => "urn:xccdf:fix:script:ansible",
        FixSystem::Puppet => "urn:xccdf:fix:script:puppet",
    };
    let rules = selected(benchmark, policy);
    let rules = rules.into_iter().filter(|(item, _)| {
        failed
            .as_ref()
            .is_none_or(|failed| failed.contains(&*item.id))
    });
    let mut without = 0usize;
    let mut fixes = Vec::new();
    for (item, rule) in rules {
        match rule.fixes.iter().find(|fix| &*fix.system == system) {
            Some(fix) => fixes.push((item, policy.text(benchmark, &fix.text))),
            None => without += 1,
        }
    }
    match options.format {
        Output::Json => {
            let fixes: Vec<_> = fixes
                .iter()
                .map(|(item, text)| json!({"rule": &*item.id, "title": policy.text(benchmark, &item.title), "fix": text}))
                .collect();
            let text = json!({"system": system, "fixes": fixes, "without": without});
            show::line(&serde_json::to_string_pretty(&text)?)?;
        }
        // Comments are the same in all of these languages.
        Output::Table => {
            for (item, text) in &fixes {
                let title = policy.text(benchmark, &item.title);
                show::line(&format!("# {}: {}\n{text}\n", safe(&item.id), safe(&title)))?;
            }
        }
    }
    show::remark(&format!(
        "{} fixes; {without} rules have none of this kind. Content wrote them: read before running.",
        fixes.len()
    ));
    Ok(Verdict::Good)
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

/// The rules that failed in a TestResult, wherever it stands in the document.
fn failed(path: &Path) -> Result<HashSet<String>> {
    let bytes = read(path, MAX_RESULTS)?;
    let (found, failed) =
        failed_in(&bytes).with_context(|| format!("cannot use {}", path.display()))?;
    ensure!(found, "{} has no TestResult", path.display());
    Ok(failed)
}

fn failed_in(bytes: &[u8]) -> Result<(bool, HashSet<String>)> {
    let mut stream = Stream::new(bytes)?;
    let mut failed = HashSet::new();
    let mut found = false;
    loop {
        match stream.next()? {
            Piece::Start(element) => match &*element.name {
                "TestResult" => {
                    found = true;
                    let tree = stream.tree(element)?;
                    failed.extend(failures(&tree));
                }
                // Embedded content and OVAL results are large and say nothing of rules.
                "report-requests" | "oval_results" | "Group" | "Rule" => stream.skip()?,
                _ => {}
            },
            Piece::End => {}
            Piece::Done => return Ok((found, failed)),
        }
    }
}

fn failures(result: &Element) -> impl Iterator<Item = String> {
    result
        .named("rule-result")
        .filter(|rule| {
            let result = rule.child("result");
            result.is_some_and(|result| result.text().trim() == "fail")
        })
        .filter_map(|rule| rule.attribute("idref").map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_found_in_results_and_arf() {
        let result = "<TestResult xmlns='urn:x'><rule-result idref='a'><result>fail</result></rule-result><rule-result idref='b'><result>pass</result></rule-result></TestResult>";
        let arf = format!(
            "<arf xmlns='urn:a'><report-requests><TestResult><rule-result idref='no'><result>fail</result></rule-result></TestResult></report-requests><reports><report>{result}</report></reports></arf>"
        );
        for text in [result, &arf] {
            let (found, failed) = failed_in(text.as_bytes()).unwrap();
            assert!(found);
            assert_eq!(failed, HashSet::from(["a".to_owned()]));
        }
        assert!(!failed_in(b"<a/>").unwrap().0);
    }
}
