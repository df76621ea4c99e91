//! Runs OPA's compliance suite in JSON (a checkout of open-policy-agent/swift-opa) and prints,
//! folder by folder, what is judged right, refused at load, left unknown, and judged wrong.
//! `cargo run --example rego_suite -- FOLDER [-v]`

use bartizan_policy::probe::{Probe, Said};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const TESTS: &str = "ComplianceSuite/Tests/RegoComplianceTests/TestData/v1";

enum Outcome {
    Right,
    Refused(String),
    Unknown(String),
    Wrong(String),
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    // Panics of the engine are caught and counted; their traces would hide the table.
    std::panic::set_hook(Box::new(|_| {}));
    let folder = std::env::args().nth(1).ok_or("give a checkout by path")?;
    let verbose = std::env::args().any(|a| a == "-v");
    let folder = Path::new(&folder);
    let tests = folder.join(TESTS);
    let tests = if tests.is_dir() {
        tests
    } else {
        folder.to_path_buf()
    };
    let mut table: BTreeMap<String, [u32; 4]> = BTreeMap::new();
    let mut causes: BTreeMap<String, u32> = BTreeMap::new();
    let mut files = Vec::new();
    find(&tests, &mut files)?;
    files.sort();
    for file in &files {
        let name = file.strip_prefix(&tests)?.parent().unwrap_or(Path::new(""));
        let suite: Value = serde_json::from_slice(&std::fs::read(file)?)?;
        for case in suite
            .get("cases")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let counts = table.entry(name.display().to_string()).or_default();
            let note = case.get("note").and_then(Value::as_str).unwrap_or_default();
            let (at, kind, why) = match judge(case) {
                Outcome::Right => (0, "right", String::new()),
                Outcome::Refused(why) => (1, "refused", why),
                Outcome::Unknown(why) => (2, "unknown", why),
                Outcome::Wrong(why) => (3, "wrong", why),
            };
            if let Some(count) = counts.get_mut(at) {
                *count += 1;
            }
            if at == 3 || (at > 0 && verbose) {
                println!(
                    "{kind}: {} {note}: {why}",
                    file.strip_prefix(&tests)?.display()
                );
            }
            if at == 1 || at == 2 {
                let cause: String = why.split(" (module").next().unwrap_or_default().into();
                *causes.entry(format!("{kind}: {cause}")).or_default() += 1;
            }
        }
    }
    let mut sum = [0; 4];
    println!(
        "{:<40}{:>8}{:>9}{:>9}{:>7}",
        "folder", "right", "refused", "unknown", "wrong"
    );
    for (name, counts) in &table {
        let [right, refused, unknown, wrong] = counts;
        println!("{name:<40}{right:>8}{refused:>9}{unknown:>9}{wrong:>7}");
        for (total, count) in sum.iter_mut().zip(counts) {
            *total += count;
        }
    }
    let [right, refused, unknown, wrong] = sum;
    println!("{:<40}{right:>8}{refused:>9}{unknown:>9}{wrong:>7}", "all");
    let mut causes: Vec<_> = causes.into_iter().collect();
    causes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (cause, count) in causes.iter().take(if verbose { usize::MAX } else { 25 }) {
        println!("{count:>6}  {cause}");
    }
    Ok(if wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn judge(case: &Value) -> Outcome {
    let text = |name: &str| case.get(name).and_then(Value::as_str).unwrap_or_default();
    let listed = case.get("modules").and_then(Value::as_array);
    let mut modules: Vec<(String, bool)> = listed
        .into_iter()
        .flatten()
        .filter_map(|m| Some((m.as_str()?.to_owned(), true)))
        .collect();
    // The query becomes a rule: an object of its variables, once for each answer.
    let query = text("query");
    let names = variables(case, query);
    let fields: Vec<String> = names.iter().map(|n| format!("\"{n}\": {n}")).collect();
    modules.push((
        format!(
            "package bartizan_query\n\nanswers contains {{{}}} if {{\n\t{query}\n}}\n",
            fields.join(", ")
        ),
        true,
    ));
    let entry = "data.bartizan_query.answers".to_owned();
    let fails = case.get("want_error_code").is_some() || case.get("want_error").is_some();
    let path = query.split([' ', '=']).next().unwrap_or_default();
    if path == "data" || (path.starts_with("data.") && path.matches('.').count() < 2) {
        return Outcome::Refused(
            "a whole package is asked for, which holds what is ours too".into(),
        );
    }
    let strict = case.get("strict_error") == Some(&Value::Bool(true));
    let mut probe = match Probe::load(&modules, std::slice::from_ref(&entry), case.get("data")) {
        Ok(probe) => probe,
        Err(_) if fails && !strict => return Outcome::Right,
        Err(why) => return Outcome::Refused(why),
    };
    if case.get("input_term").is_some() {
        return Outcome::Refused("the input is a term and no JSON".into());
    }
    let said = probe.ask(&entry, case.get("input"));
    match said {
        // Errors of built-ins are undefined unless asked for; ours does not tell them apart.
        _ if fails && strict => Outcome::Refused("an error of a built-in is asked for".into()),
        Said::Unknown(_) if fails => Outcome::Right,
        Said::Unknown(why) => Outcome::Unknown(why),
        Said::Value(value) if fails => Outcome::Wrong(format!(
            "got {value}, wanted {} {}",
            text("want_error_code"),
            text("want_error")
        )),
        Said::Undefined => Outcome::Wrong("the query's rule is undefined".into()),
        Said::Value(value) => {
            let wanted = case.get("want_result").cloned().unwrap_or(json!([]));
            // The suite's runner sorts lists where it is told to, and has them sorted in its file.
            let sorted = case.get("sort_bindings") == Some(&Value::Bool(true));
            if same(&value, &wanted) || (sorted && same(&unordered(&value), &wanted)) {
                Outcome::Right
            } else {
                Outcome::Wrong(format!("got {value}, wanted {wanted}"))
            }
        }
    }
}

/// The query's variables: those of the wanted answers, or the one on the right.
fn variables(case: &Value, query: &str) -> Vec<String> {
    let answers = case.get("want_result").and_then(Value::as_array);
    let first = answers.and_then(|a| a.first()).and_then(Value::as_object);
    if let Some(first) = first {
        return first.keys().cloned().collect();
    }
    let last = query.rsplit(['=', ' ']).next().unwrap_or_default();
    let is_word = last.chars().all(|c| c.is_ascii_alphanumeric()) && !last.is_empty();
    let plain = is_word && last.starts_with(|c: char| c.is_ascii_lowercase()) && last.len() == 1;
    if plain {
        vec![last.to_owned()]
    } else {
        Vec::new()
    }
}

/// The answers with lists as sets, which are compared without order.
fn unordered(answers: &Value) -> Value {
    let mut answers = answers.clone();
    let all = answers.get_mut("$set").and_then(Value::as_array_mut);
    for binding in all.into_iter().flatten() {
        for value in binding
            .as_object_mut()
            .into_iter()
            .flat_map(|b| b.values_mut())
        {
            if value.is_array() {
                *value = json!({ "$set": value.take() });
            }
        }
    }
    answers
}

/// Whether a value is what the suite wants, which does not tell sets from lists.
fn same(got: &Value, wanted: &Value) -> bool {
    match (got, wanted) {
        (Value::Object(map), Value::Array(wanted)) if map.contains_key("$set") => {
            let Some(Value::Array(got)) = map.get("$set") else {
                return false;
            };
            got.len() == wanted.len()
                && got.iter().all(|g| wanted.iter().any(|w| same(g, w)))
                && wanted.iter().all(|w| got.iter().any(|g| same(g, w)))
        }
        (Value::Object(map), Value::Null) => map.contains_key("$null"),
        (Value::Array(got), Value::Array(wanted)) => {
            got.len() == wanted.len() && got.iter().zip(wanted).all(|(g, w)| same(g, w))
        }
        (Value::Object(got), Value::Object(wanted)) => {
            got.len() == wanted.len()
                && got
                    .iter()
                    .all(|(k, g)| wanted.get(k).is_some_and(|w| same(g, w)))
        }
        (Value::Number(got), Value::Number(wanted)) => got.as_f64() == wanted.as_f64(),
        (got, wanted) => got == wanted,
    }
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "json") {
            files.push(path);
        }
    }
    Ok(())
}
