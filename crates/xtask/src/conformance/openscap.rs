//! OpenSCAP's own tests, read in place from a checkout: whatever its scripts evaluate is
//! evaluated by both engines with the same arguments at the same moment, and then every
//! content file of the tests, under each of its profiles.
//!
//! ```text
//! script ─► CUSTOM_OSCAP (a stand-in) ─┬─► bartizan ─┐
//!                                      └─► oscap ────┴─► compared ─► log ─► table
//! ```

mod beside;
mod known;
mod outcome;

use anyhow::{Context, Result, ensure};
use beside::{Peers, Record, Verdict};
use known::Whose;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Folders whose tests are not about content: the library, its bindings, its sources.
const OTHER: &[&str] = &["bindings", "codestyle", "schemas", "sources", "utils"];
/// A script that runs longer is stopped; what it evaluated until then counts.
const SCRIPT_SECONDS: &str = "300";

/// What to compare.
#[derive(clap::Args)]
pub struct Options {
    /// A checkout of OpenSCAP/openscap.
    folder: PathBuf,
    /// The judge.
    #[arg(long, default_value = "/usr/bin/oscap")]
    judge: PathBuf,
    /// Our program; default: built here.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Only scripts and files whose path contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Leave out the scripts.
    #[arg(long)]
    no_scripts: bool,
    /// Leave out the files.
    #[arg(long)]
    no_files: bool,
    /// The percentage of scripts and of files that must agree.
    #[arg(long, default_value_t = 95.0)]
    at_least: f64,
}

/// What the scripts call in place of `oscap`.
#[derive(clap::Args)]
pub struct StandIn {
    /// What they gave it.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Stands in for `oscap` in a script: both engines run, the script sees the judge's answers.
pub fn stand_in(options: &StandIn) -> Result<()> {
    let (peers, log, place) = Peers::from_environment()?;
    let (record, code) = beside::evaluation(&peers, &options.arguments, &place, false)?;
    if let Some(record) = record {
        record.append(&log)?;
    }
    std::process::exit(code);
}

/// Compares; fails when too little agrees or a difference has no cause.
pub fn run(options: &Options) -> Result<()> {
    let folder = options.folder.canonicalize()?;
    let tests = folder.join("tests");
    ensure!(tests.is_dir(), "{} has no tests", folder.display());
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => {
            crate::tree::cargo(&["build", "--quiet", "--package", "bartizan-cli"])?;
            crate::tree::root().join("target/debug/bartizan")
        }
    };
    let peers = Peers {
        ours: binary.canonicalize()?,
        judge: options.judge.clone(),
    };
    let work = tempfile::tempdir()?;
    let mut unexplained = 0;
    let mut fewest = 100.0_f64;
    if !options.no_scripts {
        let records = scripts(options, &folder, &peers, work.path())?;
        let (percent, without) = table("scripts", &records);
        fewest = fewest.min(percent);
        unexplained += without;
    }
    if !options.no_files {
        let records = files(options, &tests, &peers)?;
        let (percent, without) = table("files", &records);
        fewest = fewest.min(percent);
        unexplained += without;
    }
    ensure!(unexplained == 0, "{unexplained} differences have no cause");
    ensure!(
        fewest >= options.at_least,
        "{fewest:.1} % agree, which is below {} %",
        options.at_least
    );
    Ok(())
}

/// Runs the scripts.
fn scripts(options: &Options, folder: &Path, peers: &Peers, work: &Path) -> Result<Vec<Record>> {
    let tests = folder.join("tests");
    let build = work.join("tests");
    fs::create_dir_all(&build)?;
    let common = fs::read_to_string(tests.join("test_common.sh.in"))?
        .replace("@PREFERRED_PYTHON_PATH@", "/usr/bin/python3")
        .replace("@CMAKE_BINARY_DIR@", &work.to_string_lossy())
        .replace("@CMAKE_SOURCE_DIR@", &folder.to_string_lossy())
        .replace("@ENABLE_VALGRIND@", "OFF");
    fs::write(build.join("test_common.sh"), common)?;
    let shim = work.join("oscap");
    let own = std::env::current_exe()?;
    let text = format!(
        "#!/bin/sh\nexec '{}' conformance openscap-stand-in -- \"$@\"\n",
        own.display()
    );
    fs::write(&shim, text)?;
    run_quietly(Command::new("chmod").arg("755").arg(&shim))?;
    let log = work.join("log");
    let mut found = Vec::new();
    listed(&tests, &mut found)?;
    for script in &found {
        let place = script.strip_prefix(&tests)?.to_string_lossy().into_owned();
        if !place.contains(&options.only) || !script.is_file() {
            continue;
        }
        let source = script.parent().unwrap_or(&tests);
        let here = build.join(source.strip_prefix(&tests)?);
        fs::create_dir_all(&here)?;
        let mut command = Command::new("timeout");
        command
            .args(["-k", "5", SCRIPT_SECONDS, "bash"])
            .arg(script)
            .current_dir(&here)
            .env("srcdir", source)
            .env("top_srcdir", folder)
            .env("builddir", work)
            .env("CUSTOM_OSCAP", &shim);
        peers.tell(&mut command, &log, &place);
        run_quietly(&mut command)?;
    }
    Record::read(&log)
}

/// Waits for a command without its words; a script that fails may still have evaluated much.
fn run_quietly(command: &mut Command) -> Result<()> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map(drop)
        .with_context(|| format!("cannot run {command:?}"))
}

/// The scripts that the folders' build files call tests.
fn listed(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let lists = folder.join("CMakeLists.txt");
    if let Ok(text) = fs::read_to_string(lists) {
        for line in text.lines() {
            let Some((_, rest)) = line.split_once("add_oscap_test(") else {
                continue;
            };
            let name = rest.trim_start_matches('"').split(['"', ')', ' ']).next();
            if let Some(name) = name.filter(|name| name.ends_with(".sh")) {
                found.push(folder.join(name));
            }
        }
    }
    for inner in sorted(folder)? {
        let name = inner.file_name().unwrap_or_default().to_string_lossy();
        if inner.is_dir() && !OTHER.contains(&&*name) {
            listed(&inner, found)?;
        }
    }
    Ok(())
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut inside = Vec::new();
    for entry in fs::read_dir(folder)? {
        inside.push(entry?.path());
    }
    inside.sort();
    Ok(inside)
}

/// Evaluates each file under each of its profiles.
fn files(options: &Options, tests: &Path, peers: &Peers) -> Result<Vec<Record>> {
    let mut found = Vec::new();
    documents(tests, &mut found)?;
    let mut records = Vec::new();
    for file in found {
        let place = file.strip_prefix(tests)?.to_string_lossy().into_owned();
        if !place.contains(&options.only) {
            continue;
        }
        let bytes = fs::read(&file)?;
        let Some((root, profiles)) = outcome::root(&bytes) else {
            continue;
        };
        let path = file.to_string_lossy().into_owned();
        let mut runs: Vec<Vec<&str>> = Vec::new();
        match &*root {
            "oval_definitions" => runs.push(vec!["oval", "eval", "--skip-valid"]),
            "Benchmark" | "data-stream-collection" => {
                runs.push(vec!["xccdf", "eval", "--skip-valid"]);
                for profile in &profiles {
                    runs.push(vec!["xccdf", "eval", "--skip-valid", "--profile", profile]);
                }
            }
            _ => continue,
        }
        for mut run in runs {
            run.push(&path);
            let arguments: Vec<String> = run.into_iter().map(str::to_owned).collect();
            let (record, _) = beside::evaluation(peers, &arguments, &place, true)?;
            records.extend(record);
        }
    }
    Ok(records)
}

fn documents(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for inner in sorted(folder)? {
        let name = inner.file_name().unwrap_or_default().to_string_lossy();
        if inner.is_dir() && !OTHER.contains(&&*name) {
            documents(&inner, found)?;
        } else if inner.is_file() && name.ends_with(".xml") {
            found.push(inner);
        }
    }
    Ok(())
}

/// How the evaluations of one script or file came out.
#[derive(Default)]
struct Row {
    all: usize,
    agree: usize,
    /// The judge differs, the test expects what we say.
    expected: usize,
    known: usize,
    left: usize,
}

/// Prints a table by folder and what differs. The percentage that agrees, and how many
/// differ without a cause.
fn table(what: &str, records: &[Record]) -> (f64, usize) {
    let mut places: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
    for record in records {
        places.entry(&record.place).or_default().push(record);
    }
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for (place, records) in &places {
        let row = rows.entry(folder(place)).or_default();
        let differ = |record: &&&Record| matches!(record.verdict, Verdict::Differ);
        if records
            .iter()
            .all(|one| matches!(one.verdict, Verdict::Left))
        {
            row.left += 1;
            continue;
        }
        row.all += 1;
        if !records.iter().any(|one| differ(&one)) {
            row.agree += 1;
            continue;
        }
        let cause = known::cause(place);
        if matches!(cause, Some((Whose::Judge, _))) {
            row.expected += 1;
        } else {
            row.known += usize::from(cause.is_some());
        }
        println!(
            "{place}: {}",
            cause.map_or("WITHOUT A CAUSE", |(_, cause)| cause)
        );
        for record in records.iter().filter(differ) {
            println!("  {}", record.arguments);
            // More would not be read.
            for difference in record.differences.iter().take(8) {
                println!("    {difference}");
            }
        }
    }
    let mut sum = Row::default();
    println!("{what:<28} compared    agree expected   differ    known not compared");
    for (folder, row) in &rows {
        line(folder, row);
        sum.all += row.all;
        sum.agree += row.agree;
        sum.expected += row.expected;
        sum.known += row.known;
        sum.left += row.left;
    }
    line("together", &sum);
    let percent = match sum.all {
        0 => 100.0,
        all => (sum.agree + sum.expected) as f64 * 100.0 / all as f64,
    };
    let same = records
        .iter()
        .filter(|one| matches!(one.verdict, Verdict::Agree));
    let compared = records
        .iter()
        .filter(|one| !matches!(one.verdict, Verdict::Left));
    println!(
        "{percent:.1} % of {what} agree or are as their test expects; {} of {} evaluations do\n",
        same.count(),
        compared.count()
    );
    (percent, sum.all - sum.agree - sum.expected - sum.known)
}

fn line(name: &str, row: &Row) {
    let differ = row.all - row.agree - row.expected;
    println!(
        "{name:<28} {:>8} {:>8} {:>8} {differ:>8} {:>8} {:>12}",
        row.all, row.agree, row.expected, row.known, row.left
    );
}

/// The folder that a path is counted in.
fn folder(place: &str) -> String {
    let parts: Vec<&str> = place.split('/').collect();
    let deep = match parts.first() {
        Some(&("API" | "probes")) => 2,
        _ => 1,
    };
    let most = parts.len().saturating_sub(1).max(1);
    parts
        .into_iter()
        .take(deep.min(most))
        .collect::<Vec<_>>()
        .join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_those_that_the_build_files_list() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("API");
        fs::create_dir_all(root.path().join("utils")).unwrap();
        fs::create_dir(&inner).unwrap();
        fs::write(
            inner.join("CMakeLists.txt"),
            "if(X)\n\tadd_oscap_test(\"a.sh\" LABELS x)\nadd_oscap_test(b.sh)\nadd_x(c)",
        )
        .unwrap();
        fs::write(
            root.path().join("utils/CMakeLists.txt"),
            "add_oscap_test(\"u.sh\")",
        )
        .unwrap();
        let mut found = Vec::new();
        listed(root.path(), &mut found).unwrap();
        assert_eq!(found, [inner.join("a.sh"), inner.join("b.sh")]);
    }

    #[test]
    fn paths_are_counted_by_folder() {
        assert_eq!(folder("API/XCCDF/unittests/a.sh"), "API/XCCDF");
        assert_eq!(folder("mitre/a.xml"), "mitre");
        assert_eq!(folder("a.xml"), "a.xml");
    }
}
