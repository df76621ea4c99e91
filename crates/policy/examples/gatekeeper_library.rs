//! Runs the suites of a checkout of open-policy-agent/gatekeeper-library and prints what becomes of
//! their cases, with a cause for each that is not right.
//! `cargo run --example gatekeeper_library -- FOLDER [--cel]`; with `--cel`, templates that have Rego
//! and CEL are run in CEL, and only their suites are run.

use bartizan_policy::suite::{self, Language};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What must be right of the library's own cases.
const LEAST: u32 = 268;

#[derive(Default)]
struct Counts {
    suites: usize,
    cases: u32,
    right: u32,
    /// Cases of templates that are not loaded, with the reason.
    refused: u32,
    wrong: u32,
    skipped: u32,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let folder = std::env::args()
        .nth(1)
        .or_else(|| std::env::var("GATEKEEPER_LIBRARY").ok());
    let Some(folder) = folder else {
        println!("skipped: give a checkout of open-policy-agent/gatekeeper-library by path");
        return Ok(ExitCode::SUCCESS);
    };
    let cel = std::env::args().any(|argument| argument == "--cel");
    let language = if cel { Language::Cel } else { Language::Rego };
    let folder = Path::new(&folder);
    let mut parts: Vec<PathBuf> = ["library", "artifacthub"]
        .iter()
        .map(|name| folder.join(name))
        .filter(|part| part.is_dir())
        .collect();
    if parts.is_empty() {
        parts.push(folder.to_path_buf());
    }
    let mut table = Vec::new();
    for part in &parts {
        table.push(run(part, language)?);
    }
    println!(
        "{:<14}{:>7}{:>7}{:>7}{:>9}{:>7}{:>9}",
        "", "suites", "cases", "right", "refused", "wrong", "skipped"
    );
    let (mut all, mut wrong) = (0, 0);
    for (part, counts) in parts.iter().zip(&table) {
        let name = part.file_name().unwrap_or_default().to_string_lossy();
        println!(
            "{name:<14}{:>7}{:>7}{:>7}{:>9}{:>7}{:>9}",
            counts.suites, counts.cases, counts.right, counts.refused, counts.wrong, counts.skipped
        );
        all += counts.cases;
        wrong += counts.wrong;
    }
    println!("{all} cases in all");
    let enough = table
        .first()
        .is_none_or(|c| language == Language::Cel || c.cases < LEAST || c.right >= LEAST);
    let reached = wrong == 0 && enough;
    println!(
        "wanted: none wrong, {LEAST} of the library right: {}",
        if reached { "reached" } else { "missed" }
    );
    Ok(if reached {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn run(folder: &Path, language: Language) -> Result<Counts, Box<dyn Error>> {
    let mut suites = Vec::new();
    find(folder, &mut suites)?;
    suites.sort();
    if language == Language::Cel {
        // A suite's template may be named by any of its tests; the folder's is what counts.
        suites.retain(|path: &PathBuf| {
            let template = path.with_file_name("template.yaml");
            std::fs::read_to_string(template).is_ok_and(|t| t.contains("K8sNativeValidation"))
        });
    }
    let mut counts = Counts {
        suites: suites.len(),
        ..Counts::default()
    };
    for path in &suites {
        let base = path.parent().unwrap_or(Path::new("."));
        let read = |name: &str| std::fs::read(base.join(name)).map_err(|e| format!("{name}: {e}"));
        let cases = match suite::run_in(&std::fs::read(path)?, &read, language) {
            Ok(cases) => cases,
            Err(why) => {
                println!("wrong: {}: {why}", path.display());
                counts.cases += 1;
                counts.wrong += 1;
                continue;
            }
        };
        for case in cases {
            if case.skipped {
                counts.skipped += 1;
                continue;
            }
            counts.cases += 1;
            let Some(why) = &case.fault else {
                counts.right += 1;
                continue;
            };
            let refused = why.starts_with("refused");
            let (kind, count) = match refused {
                true => ("refused", &mut counts.refused),
                false => ("wrong", &mut counts.wrong),
            };
            *count += 1;
            println!("{kind}: {} {}: {why}", path.display(), case.name);
        }
    }
    Ok(counts)
}

fn find(folder: &Path, suites: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
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
