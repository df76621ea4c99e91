//! Runs the suites of a checkout of open-policy-agent/gatekeeper-library and prints how many
//! cases pass. `cargo run --example gatekeeper_library -- FOLDER [--cel]`; with `--cel`, templates
//! that have Rego and CEL are run in CEL, and only their suites are run.

use bartizan_policy::suite::{self, Language};
use std::error::Error;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args()
        .nth(1)
        .or_else(|| std::env::var("GATEKEEPER_LIBRARY").ok());
    let Some(folder) = folder else {
        println!("skipped: give a checkout of open-policy-agent/gatekeeper-library by path");
        return Ok(());
    };
    let cel = std::env::args().any(|arg| arg == "--cel");
    let language = if cel { Language::Cel } else { Language::Rego };
    let mut suites = Vec::new();
    let library = Path::new(&folder).join("library");
    find(
        if library.is_dir() {
            &library
        } else {
            Path::new(&folder)
        },
        &mut suites,
    )?;
    suites.sort();
    if cel {
        // A suite's template may be named by any of its tests; the folder's is what counts.
        suites.retain(|path: &PathBuf| {
            let template = path.with_file_name("template.yaml");
            std::fs::read_to_string(template).is_ok_and(|t| t.contains("K8sNativeValidation"))
        });
    }
    let (mut passed, mut total) = (0_u32, 0_u32);
    for path in &suites {
        let base = path.parent().unwrap_or(Path::new("."));
        let read = |name: &str| std::fs::read(base.join(name)).map_err(|e| format!("{name}: {e}"));
        match suite::run_in(&std::fs::read(path)?, &read, language) {
            Err(why) => eprintln!("{}: {why}", path.display()),
            Ok(cases) => {
                for case in cases.iter().filter(|c| !c.skipped) {
                    total += 1;
                    match &case.fault {
                        None => passed += 1,
                        Some(why) => eprintln!("{} {}: {why}", path.display(), case.name),
                    }
                }
            }
        }
    }
    println!("suites {} suites", suites.len());
    println!("passed {passed} cases");
    println!("total {total} cases");
    Ok(())
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
