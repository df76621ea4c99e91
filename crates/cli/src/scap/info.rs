//! What is in a file of SCAP content.

use super::{Content, safe};
use crate::arguments::Output;
use crate::scap::arguments::ScapFile;
use crate::{Verdict, show};
use anyhow::Result;
use bartizan_scap::content::{Bundle, Component, ComponentRef, DataStream, Kind, Target};
use bartizan_scap::signature;
use bartizan_scap::xccdf::model::{Benchmark, Profile};
use bartizan_scap::xccdf::select::Policy;
use serde_json::{Value, json};

/// Shows it.
pub fn info(options: &ScapFile) -> Result<Verdict> {
    let content = Content::load_signed(&options.file, signature::Policy::Skip)?;
    let found = describe(&content);
    match options.format {
        Output::Json => show::line(&serde_json::to_string_pretty(&found)?)?,
        Output::Table => show::bytes(table(&found).as_bytes())?,
    }
    Ok(Verdict::Good)
}

/// Lists the profiles alone.
pub fn profiles(options: &ScapFile) -> Result<Verdict> {
    let content = Content::load_signed(&options.file, signature::Policy::Skip)?;
    let all: Vec<Value> = content
        .bundle
        .streams
        .iter()
        .flat_map(|stream| benchmarks(&content.bundle, stream))
        .flat_map(|(_, benchmark)| profiles_of(benchmark))
        .collect();
    match options.format {
        Output::Json => show::line(&serde_json::to_string_pretty(&all)?)?,
        Output::Table => {
            for profile in &all {
                show::line(&line(profile))?;
            }
        }
    }
    Ok(Verdict::Good)
}

fn benchmarks<'a>(
    bundle: &'a Bundle,
    stream: &'a DataStream,
) -> impl Iterator<Item = (&'a ComponentRef, &'a Benchmark)> {
    stream
        .checklists
        .iter()
        .filter_map(|reference| match bundle.target(reference)? {
            Component::Benchmark(benchmark) => Some((reference, &**benchmark)),
            _ => None,
        })
}

fn plain(text: &bartizan_scap::xccdf::model::Text, benchmark: &Benchmark) -> String {
    text.render(&|id, _| benchmark.plain_texts.get(id).cloned())
}

/// How many rules a profile selects: those that and whose groups are selected.
fn selected(benchmark: &Benchmark, profile: Option<&str>) -> Option<usize> {
    let policy = Policy::new(benchmark, None, profile).ok()?;
    Some(super::fixes::selected(benchmark, &policy).len())
}

fn profiles_of(benchmark: &Benchmark) -> Vec<Value> {
    let one = |profile: &Profile| {
        json!({
            "benchmark": &*benchmark.id,
            "id": &*profile.id,
            "title": plain(&profile.title, benchmark),
            "extends": profile.extends.as_deref(),
            "rules": selected(benchmark, Some(&profile.id)),
        })
    };
    benchmark.profiles.iter().map(one).collect()
}

fn describe(content: &Content) -> Value {
    let bundle = &content.bundle;
    let kind = match bundle.kind {
        Kind::DataStream => "data stream collection",
        Kind::Benchmark => "XCCDF benchmark",
        Kind::Oval => "OVAL definitions",
    };
    let documents: Vec<Value> = content
        .documents()
        .into_iter()
        .map(|(id, document)| {
            json!({
                "component": id,
                "definitions": document.definitions.len(),
                "tests": document.tests.len(),
                "objects": document.objects.len(),
                "states": document.states.len(),
                "variables": document.variables.len(),
            })
        })
        .collect();
    json!({
        "file": content.name,
        "kind": kind,
        "digest": format!("sha256:{}", bundle.digest),
        "streams": bundle.streams.iter().map(|stream| describe_stream(bundle, stream)).collect::<Vec<_>>(),
        "oval": documents,
        "scripts": bundle.extended.len(),
    })
}

fn describe_stream(bundle: &Bundle, stream: &DataStream) -> Value {
    let all = [
        &stream.checklists,
        &stream.checks,
        &stream.dictionaries,
        &stream.extended,
    ];
    let outside: Vec<Value> = all
        .into_iter()
        .flatten()
        .filter_map(|reference| match &reference.target {
            Target::Remote(href) => Some(json!({"id": &*reference.id, "href": &**href})),
            Target::Local(_) => None,
        })
        .collect();
    let ids = |references: &[ComponentRef]| -> Vec<String> {
        references.iter().map(|one| one.id.to_string()).collect()
    };
    let checklists: Vec<Value> = benchmarks(bundle, stream)
        .map(|(reference, benchmark)| {
            json!({
                "reference": &*reference.id,
                "id": &*benchmark.id,
                "title": plain(&benchmark.title, benchmark),
                "version": benchmark.version,
                "platforms": benchmark.platforms.iter().map(|one| one.to_string()).collect::<Vec<_>>(),
                "rules": benchmark.rules().count(),
                "values": benchmark.values.len(),
                "selected": selected(benchmark, None),
                "profiles": profiles_of(benchmark),
            })
        })
        .collect();
    json!({
        "id": &*stream.id,
        "version": stream.scap_version,
        "timestamp": stream.timestamp,
        "benchmarks": checklists,
        "checks": ids(&stream.checks),
        "dictionaries": ids(&stream.dictionaries),
        "outside": outside,
    })
}

fn word(value: &Value, key: &str) -> String {
    match value.get(key) {
        Some(Value::String(text)) => safe(text),
        Some(Value::Null) | None => "-".to_owned(),
        Some(other) => other.to_string(),
    }
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn line(profile: &Value) -> String {
    format!(
        "{:>5} rules  {}  {}",
        word(profile, "rules"),
        word(profile, "id"),
        word(profile, "title")
    )
}

fn table(found: &Value) -> String {
    let mut lines = vec![
        format!("{}: {}", word(found, "file"), word(found, "kind")),
        format!("digest {}", word(found, "digest")),
    ];
    for stream in list(found, "streams") {
        if !word(stream, "id").is_empty() {
            lines.push(format!(
                "\nstream {} (SCAP {}, {})",
                word(stream, "id"),
                word(stream, "version"),
                word(stream, "timestamp")
            ));
        }
        for benchmark in list(stream, "benchmarks") {
            lines.push(format!("\n  {}", word(benchmark, "title")));
            lines.push(format!(
                "  benchmark {} version {}",
                word(benchmark, "id"),
                word(benchmark, "version")
            ));
            lines.push(format!("  reference {}", word(benchmark, "reference")));
            for platform in list(benchmark, "platforms") {
                lines.push(format!(
                    "  platform {}",
                    safe(platform.as_str().unwrap_or("-"))
                ));
            }
            lines.push(format!(
                "  {} rules, {} values, {} profiles",
                word(benchmark, "rules"),
                word(benchmark, "values"),
                list(benchmark, "profiles").len()
            ));
            for profile in list(benchmark, "profiles") {
                lines.push(format!("  {}", line(profile)));
            }
        }
        for reference in list(stream, "outside") {
            lines.push(format!(
                "  leads outside, never fetched: {}",
                word(reference, "href")
            ));
        }
    }
    for document in list(found, "oval") {
        lines.push(format!(
            "\nOVAL {}: {} definitions, {} tests, {} objects, {} states, {} variables",
            word(document, "component"),
            word(document, "definitions"),
            word(document, "tests"),
            word(document, "objects"),
            word(document, "states"),
            word(document, "variables")
        ));
    }
    if found.get("scripts") != Some(&json!(0)) {
        lines.push(format!(
            "\n{} scripts, run only with `scan host --sce`",
            word(found, "scripts")
        ));
    }
    lines.push(String::new());
    lines.join("\n")
}
