//! Asks the templates of a checkout of open-policy-agent/gatekeeper-library that have Rego and
//! CEL about the objects of all its suites, and about each of them with one field left out, in
//! both languages. `cargo run --example rego_and_cel -- FOLDER`

use bartizan_policy::Object;
use bartizan_policy::suite::{self, Difference};
use serde_json::Value;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let Some(folder) = std::env::args().nth(1) else {
        println!("skipped: give a checkout of open-policy-agent/gatekeeper-library by path");
        return Ok(());
    };
    let mut templates = Vec::new();
    let mut files = Vec::new();
    find(
        &Path::new(&folder).join("library"),
        &mut templates,
        &mut files,
    )?;
    templates.sort();
    files.sort();
    let mut objects = Vec::new();
    for file in &files {
        let name = file.display().to_string();
        for object in suite::objects_of(&name, &std::fs::read(file)?)? {
            // Policies of Pods are asked about Pods and reviews, and those vary most.
            if !matches!(
                object.kind.as_str(),
                "Pod" | "AdmissionReview" | "Namespace"
            ) {
                continue;
            }
            for path in paths(&object.value) {
                let mut less = object.clone();
                remove(&mut less.value, &path);
                objects.push((format!("{name} without /{}", path.join("/")), less));
            }
            objects.push((name.clone(), object));
        }
    }
    let (names, objects): (Vec<String>, Vec<Object>) = objects.into_iter().unzip();
    let mut total = 0;
    let mut all: BTreeMap<String, Vec<Difference>> = BTreeMap::new();
    for path in &templates {
        let base = path.parent().unwrap_or(Path::new("."));
        let read = |name: &str| std::fs::read(base.join(name)).map_err(|e| format!("{name}: {e}"));
        let suite = std::fs::read(base.join("suite.yaml"))?;
        let (asked, found) = suite::compare(&suite, &read, &objects)?;
        total += asked;
        all.entry(base.display().to_string())
            .or_default()
            .extend(found);
    }
    let (mut differ, mut errors, mut only_rego, mut only_cel, mut untold) = (0, 0, 0, 0, 0);
    for (template, found) in &all {
        differ += found.len();
        println!("{template}: {}", found.len());
        let mut shown = BTreeMap::new();
        for d in found {
            let kind = match (&d.rego, &d.cel) {
                (Err(_), _) => {
                    untold += 1;
                    "untold"
                }
                (_, Ok(said)) if said.iter().any(|m| m.contains("resulted in error")) => {
                    errors += 1;
                    "error"
                }
                (Ok(said), _) if said.is_empty() => {
                    only_cel += 1;
                    "cel"
                }
                _ => {
                    only_rego += 1;
                    "rego"
                }
            };
            let count = shown.entry((&d.test, kind)).or_insert(0);
            *count += 1;
            if *count > 2 {
                continue;
            }
            let name = names.get(d.object).map_or("", String::as_str);
            println!(
                "  {} {name}\n    rego {:?}\n    cel  {:?}",
                d.test, d.rego, d.cel
            );
        }
    }
    println!(
        "objects {} objects\nasked {total} times\ndiffer {differ} times\n\
         untold {untold} times in Rego\nerror {errors} times in CEL\ncel {only_cel} times found by CEL alone\n\
         rego {only_rego} times found by Rego alone",
        objects.len()
    );
    Ok(())
}

fn paths(value: &Value) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    let mut open = vec![(Vec::new(), value)];
    while let Some((path, value)) = open.pop() {
        let children: Vec<(String, &Value)> = match value {
            Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), v)).collect(),
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(i, v)| (i.to_string(), v))
                .collect(),
            _ => Vec::new(),
        };
        for (key, child) in children {
            let mut path = path.clone();
            path.push(key);
            all.push(path.clone());
            open.push((path, child));
        }
    }
    // What the API server demands cannot be left out: it never asks about such an object.
    let needed = |path: &[String]| {
        matches!(
            path.last().map(String::as_str),
            Some("spec" | "name" | "image" | "containers" | "object")
        ) || path.ends_with(&["containers".into(), "0".into()])
    };
    all.retain(|path| !needed(path));
    all.retain(|path| {
        !matches!(
            path.first().map(String::as_str),
            Some("kind" | "apiVersion" | "metadata")
        )
    });
    all
}

fn remove(value: &mut Value, path: &[String]) {
    let Some((last, before)) = path.split_last() else {
        return;
    };
    let holder = before.iter().try_fold(value, |v, part| match v {
        Value::Object(map) => map.get_mut(part),
        Value::Array(items) => part.parse::<usize>().ok().and_then(|i| items.get_mut(i)),
        _ => None,
    });
    match holder {
        Some(Value::Object(map)) => drop(map.remove(last)),
        Some(Value::Array(items)) => {
            if let Some(i) = last.parse::<usize>().ok().filter(|i| *i < items.len()) {
                items.remove(i);
            }
        }
        _ => {}
    }
}

fn find(
    folder: &Path,
    templates: &mut Vec<PathBuf>,
    files: &mut Vec<PathBuf>,
) -> Result<(), Box<dyn Error>> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, templates, files)?;
            continue;
        }
        let name = path
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or_default();
        if name == "template.yaml" {
            if std::fs::read_to_string(&path)?.contains("K8sNativeValidation") {
                templates.push(path);
            }
        } else if path.components().any(|c| c.as_os_str() == "samples") && name != "constraint.yaml"
        {
            files.push(path);
        }
    }
    Ok(())
}
