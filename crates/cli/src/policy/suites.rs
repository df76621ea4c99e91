//! `bartizan policy test`: suites of tests on constraints.

use super::arguments::{Engine, Test, TestFormat};
use super::write;
use crate::{Verdict, show};
use anyhow::{Context, Result, bail};
use bartizan_policy::suite::{self, CaseOutcome, Filter, Language, Options, TestOutcome};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

struct Suite {
    path: String,
    tests: Vec<TestOutcome>,
    took: Duration,
}

/// Runs the suites.
pub fn run(options: &Test) -> Result<Verdict> {
    let start = Instant::now();
    let running = Options {
        language: match options.engine {
            Engine::Cel => Language::Cel,
            Engine::Rego => Language::Rego,
        },
        filter: Filter::parse(&options.run).map_err(anyhow::Error::msg)?,
        clock: &|| start.elapsed(),
    };
    let mut suites = Vec::new();
    for path in &options.paths {
        for file in candidates(path)? {
            let before = start.elapsed();
            let bytes =
                std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let folder = file.parent().unwrap_or(Path::new("."));
            let read = |name: &str| {
                std::fs::read(folder.join(name)).map_err(|e| format!("cannot read {name}: {e}"))
            };
            let tests = suite::tests(&bytes, &read, &running);
            let tests = tests.map_err(|why| anyhow::anyhow!("{}: {why}", file.display()))?;
            if let Some(tests) = tests {
                suites.push(Suite {
                    path: file.display().to_string(),
                    tests,
                    took: start.elapsed().saturating_sub(before),
                });
            }
        }
    }
    if suites.is_empty() {
        show::remark("no suite was found, nothing was tested; PATH/... looks into folders too");
    }
    let failed = suites.iter().any(Suite::failed);
    let text = match options.format {
        TestFormat::Table => table(&suites, options.verbose, failed),
        TestFormat::Json => write::json(&json_of(&suites))? + "\n",
        TestFormat::Junit => junit(&suites),
    };
    show::bytes(text.as_bytes())?;
    Ok(match failed {
        true => Verdict::Bad,
        false => Verdict::Good,
    })
}

/// The YAML files that a path names: a file, those in a folder, or those below it.
fn candidates(path: &str) -> Result<Vec<PathBuf>> {
    let (folder, deep) = match path.strip_suffix("/...") {
        Some(folder) => (Path::new(folder), true),
        None => (Path::new(path), false),
    };
    let kind = std::fs::metadata(folder);
    let kind = kind.with_context(|| format!("cannot read {}", folder.display()))?;
    let yaml = |path: &Path| {
        let extension = path.extension().and_then(|e| e.to_str());
        matches!(extension, Some("yaml" | "yml"))
    };
    if !kind.is_dir() {
        if deep {
            bail!("{} is no folder", folder.display());
        }
        if !yaml(folder) {
            bail!(
                "{} has neither the extension .yaml nor .yml",
                folder.display()
            );
        }
        return Ok(vec![folder.to_owned()]);
    }
    let mut files = crate::files::manifests(&[folder.to_owned()])?;
    files.retain(|file| yaml(file) && (deep || file.parent() == Some(folder)));
    Ok(files)
}

impl Suite {
    fn failed(&self) -> bool {
        self.tests.iter().any(failed)
    }
}

fn failed(test: &TestOutcome) -> bool {
    test.fault.is_some() || test.cases.iter().any(|case| case.fault.is_some())
}

fn seconds(time: Duration) -> String {
    format!("{:.3}s", time.as_secs_f64())
}

fn table(suites: &[Suite], verbose: bool, failed: bool) -> String {
    let mut out = String::new();
    for suite in suites {
        for test in &suite.tests {
            one(test, verbose, &mut out);
        }
        let word = if suite.failed() { "FAIL" } else { "ok" };
        let _ = writeln!(out, "{word}\t{}\t{}", suite.path, seconds(suite.took));
    }
    out.push_str(if failed { "FAIL\n" } else { "PASS\n" });
    out
}

fn one(test: &TestOutcome, verbose: bool, out: &mut String) {
    let name = &test.name;
    if verbose && test.skipped {
        let _ = writeln!(out, "=== SKIP  {name}");
        return;
    }
    if verbose {
        let _ = writeln!(out, "=== RUN   {name}");
    }
    for case in &test.cases {
        let (name, took) = (&case.name, seconds(case.took));
        if verbose {
            let word = if case.skipped { "SKIP" } else { "RUN " };
            let _ = writeln!(out, "    === {word}  {name}");
        }
        if let Some(why) = &case.fault {
            let _ = writeln!(out, "    --- FAIL: {name}\t({took})\n        {why}");
        } else if verbose && !case.skipped {
            let _ = writeln!(out, "    --- PASS: {name}\t({took})");
        }
    }
    let took = seconds(test.took);
    if failed(test) {
        let _ = writeln!(out, "--- FAIL: {name}\t({took})");
        if let Some(why) = &test.fault {
            let _ = writeln!(out, "  {why}");
        }
    } else if verbose {
        let _ = writeln!(out, "--- PASS: {name}\t({took})");
    }
}

fn json_of(suites: &[Suite]) -> Value {
    let case = |case: &CaseOutcome| {
        json!({
            "name": case.name, "skipped": case.skipped, "error": case.fault,
            "runtime": case.took.as_secs_f64()
        })
    };
    let test = |test: &TestOutcome| {
        json!({
            "name": test.name, "skipped": test.skipped, "error": test.fault,
            "runtime": test.took.as_secs_f64(),
            "cases": test.cases.iter().map(case).collect::<Vec<_>>()
        })
    };
    let suite = |suite: &Suite| {
        json!({
            "path": suite.path, "failed": suite.failed(), "runtime": suite.took.as_secs_f64(),
            "tests": suite.tests.iter().map(test).collect::<Vec<_>>()
        })
    };
    suites.iter().map(suite).collect()
}

fn junit(suites: &[Suite]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for suite in suites {
        let mut body = String::new();
        let (mut count, mut failures, mut skips) = (0, 0, 0);
        let mut add = |class: &str, name: &str, took: Duration, skip: bool, why: Option<&str>| {
            count += 1;
            let _ = write!(
                body,
                "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\"",
                write::xml(class),
                write::xml(name),
                took.as_secs_f64()
            );
            match (skip, why) {
                (_, Some(why)) => {
                    failures += 1;
                    let why = write::xml(why);
                    let _ = writeln!(body, "><failure message=\"{why}\"/></testcase>");
                }
                (true, None) => {
                    skips += 1;
                    body.push_str("><skipped/></testcase>\n");
                }
                (false, None) => body.push_str("/>\n"),
            }
        };
        for test in &suite.tests {
            // A test that could not begin, or that is about its constraint alone.
            if test.fault.is_some() || test.cases.is_empty() {
                add(
                    &test.name,
                    &test.name,
                    test.took,
                    test.skipped,
                    test.fault.as_deref(),
                );
            }
            for case in &test.cases {
                let skip = case.skipped || test.fault.is_some();
                add(
                    &test.name,
                    &case.name,
                    case.took,
                    skip,
                    case.fault.as_deref(),
                );
            }
        }
        let _ = write!(
            out,
            "  <testsuite name=\"{}\" tests=\"{count}\" failures=\"{failures}\" \
             skipped=\"{skips}\" time=\"{:.3}\">\n{body}  </testsuite>\n",
            write::xml(&suite.path),
            suite.took.as_secs_f64()
        );
    }
    out.push_str("</testsuites>\n");
    out
}
