//! Runs the fixtures of a checkout of kubernetes/pod-security-admission and prints, version by
//! version, how many are judged right. `cargo run --example pod_security -- FOLDER`

use bartizan_policy::pod_security::{self, Level, Version};
use bartizan_policy::suite;
use serde_json::Value;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What must be reached: of the newest version all, and of all versions this many.
const LEAST: u32 = 4_500;

#[derive(Default)]
struct Count {
    right: u32,
    wrong: u32,
    /// Refused, but not, or not only, by the check that the fixture is named for.
    otherwise: u32,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("give a checkout by path")?;
    let folder = Path::new(&folder).join("test/testdata");
    let mut counts: BTreeMap<Version, Count> = BTreeMap::new();
    for level in [Level::Baseline, Level::Restricted] {
        for version in entries(&folder.join(level.name()))? {
            let name = version.file_name().unwrap_or_default().to_string_lossy();
            let number = Version::parse(&name)?;
            for (verdict, passes) in [("pass", true), ("fail", false)] {
                for file in entries(&version.join(verdict))? {
                    let count = counts.entry(number).or_default();
                    if let Err(cause) = judge(level, number, &file, passes, count) {
                        count.wrong += 1;
                        println!("wrong: {}: {cause}", file.display());
                    }
                }
            }
        }
    }
    let (mut right, mut wrong, mut newest_wrong) = (0, 0, 0);
    println!("version    right    wrong    by another check");
    for (version, count) in &counts {
        let (ok, bad) = (count.right, count.wrong);
        println!("{version:<7} {ok:>8} {bad:>8} {:>19}", count.otherwise);
        right += ok;
        wrong += bad;
        newest_wrong = bad;
    }
    println!("all     {right:>8} {wrong:>8}");
    let reached = right >= LEAST && newest_wrong == 0;
    println!(
        "wanted: all of the newest version, {LEAST} of all: {}",
        if reached { "reached" } else { "missed" }
    );
    Ok(if reached {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Judges one fixture; the error is what is wrong.
fn judge(
    level: Level,
    version: Version,
    file: &Path,
    passes: bool,
    count: &mut Count,
) -> Result<(), Box<dyn Error>> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let pod = suite::documents(&name, &std::fs::read(file)?)?;
    let pod = pod.first().ok_or("empty")?;
    let part = |name: &str| pod.get(name).unwrap_or(&Value::Null);
    let failed = pod_security::judge(level, version, part("metadata"), part("spec"));
    if failed.is_empty() != passes {
        return Err(match passes {
            true => pod_security::details(&failed).into(),
            false => "nothing was found".into(),
        });
    }
    if failed.iter().any(|f| f.check == pod_security::UNREADABLE) {
        return Err("it could not be read".into());
    }
    count.right += 1;
    let wanted = name
        .trim_end_matches(".yaml")
        .trim_end_matches(|c: char| c.is_ascii_digit());
    let named = |check: &str| check.eq_ignore_ascii_case(wanted);
    let only_that = matches!(&failed[..], [one] if named(one.check));
    if !passes && !only_that {
        count.otherwise += 1;
        if std::env::args().any(|a| a == "-v") {
            println!(
                "otherwise: {}: {}",
                file.display(),
                pod_security::details(&failed)
            );
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))? {
        all.push(entry?.path());
    }
    all.sort();
    Ok(all)
}
