//! What a review costs with the whole public Gatekeeper library loaded: request bytes to
//! response bytes, one thread, no verdicts kept. CPU time of the thread.
//!
//! `cargo run --example admission -- FOLDER [-v] [--write OUT] [--lines FILE] [--violations]`,
//! FOLDER a checkout of open-policy-agent/gatekeeper-library. With `--write`, policies and reviews
//! are written to OUT for a served webhook, and nothing is measured. All its templates and the
//! constraints of all its suites are loaded; the reviews are the objects of its cases. `--lines`
//! writes all of them for the peer in `crates/xtask/peers/gatekeeper`; `--violations` prints each,
//! as the peer does.

#![allow(
    clippy::indexing_slicing,
    reason = "a missing member of a JSON value reads as null, and this is never shipped"
)]

use bartizan_model::Timestamp;
use bartizan_policy::admit::AdmitOptions;
use bartizan_policy::{
    Admitter, Library, LibraryBuilder, Outcome, Review, ReviewLimits, World, suite,
};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Each review is judged so often; the middle one counts.
const ROUNDS: usize = 9;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(folder) = arguments.first() else {
        println!("skipped: give a checkout of open-policy-agent/gatekeeper-library by path");
        return Ok(());
    };
    let verbose = arguments.iter().any(|a| a == "-v");
    let each = arguments.iter().any(|a| a == "--violations");
    let input = gather(Path::new(folder))?;
    let out = arguments.iter().skip_while(|a| *a != "--write").nth(1);
    if let Some(out) = out {
        return write(&input, Path::new(out));
    }
    let mut after = arguments.iter().skip_while(|a| *a != "--lines");
    if let (Some(_), Some(file)) = (after.next(), after.next()) {
        std::fs::write(file, lines(&input)?)?;
    }
    let begun = cpu();
    let world = World::read(
        &input.library,
        input
            .inventory
            .iter()
            .map(|(n, b)| (n.as_str(), b.as_slice())),
        &[],
    )?;
    let now = Timestamp::from_micros(1_764_000_000_000_000);
    let options = AdmitOptions::default();
    let mut admitter = Admitter::new(&input.library, Arc::new(world), options, now);
    println!("compile {:.1} ms", (cpu() - begun) as f64 / 1e6);
    println!("templates {} templates", input.templates);
    println!("constraints {} constraints", input.constraints);
    println!("reviews {} reviews", input.reviews.len());
    let limits = ReviewLimits::default();
    let mut costs = Vec::new();
    let (mut violations, mut untold, mut evaluated) = (0, BTreeMap::new(), 0);
    for (name, bytes) in &input.reviews {
        let mut rounds = Vec::new();
        for round in 0..ROUNDS {
            let begun = cpu();
            let review = Review::parse(bytes, &limits)?;
            let verdict = admitter.admit(&review, now);
            let answer = verdict.response().bytes(&review.api_version, &review.uid);
            rounds.push(cpu() - begun);
            std::hint::black_box(answer);
            if round == 0 {
                violations += verdict.explains.len();
                for one in verdict.explains.iter().filter(|_| each) {
                    println!(
                        "V\t{name}\t{}\t{}\t{}",
                        one.kind,
                        one.constraint,
                        Value::from(one.message.as_str())
                    );
                }
                evaluated += verdict.evaluated;
                for one in verdict.untold {
                    *untold
                        .entry(format!("{}: {}", one.constraint, one.why))
                        .or_insert(0) += 1;
                }
                if verbose && verdict.outcome == Outcome::Unknown {
                    eprintln!("{name}: unknown");
                }
            }
        }
        rounds.sort_unstable();
        costs.push((rounds.get(ROUNDS / 2).copied().unwrap_or_default(), name));
    }
    costs.sort_unstable();
    let at = |share: f64| {
        let place = (costs.len() as f64 * share) as usize;
        costs
            .get(place.min(costs.len() - 1))
            .map_or(0.0, |(c, _)| *c as f64 / 1e6)
    };
    let mean = costs.iter().map(|(c, _)| *c as f64).sum::<f64>() / costs.len() as f64 / 1e6;
    println!("violations {violations} violations");
    println!("evaluations {evaluated} evaluations");
    println!("unknown {} answers", untold.values().sum::<i32>());
    println!("mean {mean:.3} ms");
    println!("p50 {:.3} ms", at(0.50));
    println!("p95 {:.3} ms", at(0.95));
    println!("p99 {:.3} ms", at(0.99));
    if verbose {
        for (why, times) in &untold {
            eprintln!("{times} x {why}");
        }
        for (cost, name) in costs.iter().rev().take(8) {
            eprintln!("{:.3} ms {name}", *cost as f64 / 1e6);
        }
    }
    Ok(())
}

/// CPU time of this thread, in nanoseconds.
fn cpu() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    (time.tv_sec as u64) * 1_000_000_000 + time.tv_nsec as u64
}

/// Writes `policies` and `reviews` below `out`.
fn write(input: &Input, out: &Path) -> Result<()> {
    let (policies, reviews) = (out.join("policies"), out.join("reviews"));
    std::fs::create_dir_all(&policies)?;
    std::fs::create_dir_all(&reviews)?;
    for (name, bytes) in &input.files {
        std::fs::write(policies.join(name), bytes)?;
    }
    for (at, (_, bytes)) in input.inventory.iter().enumerate() {
        std::fs::write(policies.join(format!("i{at}.yaml")), bytes)?;
    }
    for (at, (_, bytes)) in input.reviews.iter().enumerate() {
        std::fs::write(reviews.join(format!("r{at:03}.json")), bytes)?;
    }
    println!("written {} files", input.files.len());
    Ok(())
}

struct Input {
    /// Templates and constraints, by name.
    files: Vec<(String, Vec<u8>)>,
    library: Library,
    templates: usize,
    constraints: usize,
    inventory: Vec<(String, Vec<u8>)>,
    reviews: Vec<(String, Vec<u8>)>,
    /// Templates and then constraints, for the peer.
    policies: Vec<Value>,
}

/// What the peer reads: a JSON object a line.
fn lines(input: &Input) -> Result<String> {
    let mut all = input.policies.clone();
    for (name, bytes) in &input.inventory {
        let objects = suite::documents(name, bytes)?;
        all.extend(objects.into_iter().map(|o| json!({ "data": o })));
    }
    for (name, bytes) in &input.reviews {
        let review: Value = serde_json::from_slice(bytes)?;
        all.push(json!({"review": review, "name": name}));
    }
    Ok(all.iter().map(|line| format!("{line}\n")).collect())
}

fn gather(folder: &Path) -> Result<Input> {
    let mut suites = Vec::new();
    find(&folder.join("library"), &mut suites)?;
    suites.sort();
    let mut files = Vec::new();
    let mut templates = BTreeSet::new();
    let mut inventory = BTreeMap::new();
    let (mut constraints, mut reviews) = (0, Vec::new());
    let mut policies = Vec::new();
    for suite in &suites {
        let base = suite.parent().ok_or("no folder")?;
        for document in documents(suite)? {
            for test in list(&document, "tests") {
                let template = base.join(text(test, "template"));
                if templates.insert(template.clone()) {
                    let bytes = std::fs::read(&template)?;
                    files.push((format!("t{}.yaml", templates.len()), bytes));
                    for one in documents(&template)? {
                        policies.push(json!({ "template": one }));
                    }
                }
                for mut object in documents(&base.join(text(test, "constraint")))? {
                    constraints += 1;
                    // Tests share names.
                    let name = format!(
                        "{}-{constraints}",
                        object["metadata"]["name"].as_str().unwrap_or("c")
                    );
                    object["metadata"]["name"] = name.into();
                    let bytes = object.to_string().into_bytes();
                    files.push((format!("c{constraints}.json"), bytes));
                    policies.push(json!({ "constraint": object }));
                }
                for case in list(test, "cases") {
                    for file in list(case, "inventory").filter_map(Value::as_str) {
                        let path = base.join(file);
                        inventory.insert(path.display().to_string(), std::fs::read(&path)?);
                    }
                    let name = format!("{}/{}", text(test, "name"), text(case, "name"));
                    let object = documents(&base.join(text(case, "object")))?;
                    let object = object.into_iter().next().ok_or("no object")?;
                    reviews.push((name, review(object).to_string().into_bytes()));
                }
            }
        }
    }
    let mut builder = LibraryBuilder::new();
    for (name, bytes) in &files {
        builder.add("gatekeeper", name, bytes)?;
    }
    Ok(Input {
        files,
        library: builder.build()?,
        templates: templates.len(),
        constraints,
        inventory: inventory.into_iter().collect(),
        reviews,
        policies,
    })
}

/// What an API server would send.
fn review(object: Value) -> Value {
    if text(&object, "kind") == "AdmissionReview" {
        let mut review = object;
        review["apiVersion"] = "admission.k8s.io/v1".into();
        let request = &mut review["request"];
        for (field, value) in [
            ("uid", json!("705ab4f5-6393-11e8-b7cc-42010a800002")),
            ("operation", json!("CREATE")),
        ] {
            if request[field].as_str().is_none_or(str::is_empty) {
                request[field] = value;
            }
        }
        if request["kind"].is_null() {
            request["kind"] = kind_of(&request["object"]);
        }
        return review;
    }
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": kind_of(&object), "requestKind": kind_of(&object),
        "resource": {"group": "", "version": "v1", "resource": "objects"},
        "requestResource": {"group": "", "version": "v1", "resource": "objects"},
        "name": object["metadata"]["name"], "namespace": object["metadata"]["namespace"],
        "operation": "CREATE",
        "userInfo": {"username": "kubernetes-admin", "groups": ["system:masters", "system:authenticated"]},
        "object": object, "oldObject": null, "dryRun": false,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1", "fieldManager": "kubectl-client-side-apply"}
    }})
}

fn kind_of(object: &Value) -> Value {
    let api = text(object, "apiVersion");
    let (group, version) = api.split_once('/').unwrap_or(("", api));
    json!({"group": group, "version": version, "kind": text(object, "kind")})
}

fn documents(path: &Path) -> Result<Vec<Value>> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|e| format!("{name}: {e}"))?;
    Ok(suite::documents(&name, &bytes)?)
}

fn list<'v>(value: &'v Value, field: &str) -> impl Iterator<Item = &'v Value> {
    let items = value.get(field).and_then(Value::as_array);
    items.into_iter().flatten()
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn find(folder: &Path, suites: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, suites)?;
        } else if path.file_name().is_some_and(|n| n == "suite.yaml") {
            suites.push(path);
        }
    }
    Ok(())
}
