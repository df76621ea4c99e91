//! One evaluation by both engines with the same arguments.

use super::outcome;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// An evaluation that takes longer is a refusal.
const SECONDS: &str = "60";
const OURS: &str = "BARTIZAN_SUITE_OURS";
const JUDGE: &str = "BARTIZAN_SUITE_JUDGE";
const LOG: &str = "BARTIZAN_SUITE_LOG";
const PLACE: &str = "BARTIZAN_SUITE_PLACE";

/// The two programs.
pub struct Peers {
    pub ours: PathBuf,
    pub judge: PathBuf,
}

impl Peers {
    /// What [`Peers::tell`] told: the programs, the log and the script.
    pub fn from_environment() -> Result<(Self, PathBuf, String)> {
        let get = |name: &str| std::env::var(name).with_context(|| format!("{name} is not set"));
        let peers = Self {
            ours: get(OURS)?.into(),
            judge: get(JUDGE)?.into(),
        };
        Ok((peers, get(LOG)?.into(), get(PLACE)?))
    }

    /// Tells a script's stand-in.
    pub fn tell(&self, command: &mut Command, log: &Path, place: &str) {
        command
            .env(OURS, &self.ours)
            .env(JUDGE, &self.judge)
            .env(LOG, log)
            .env(PLACE, place);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    Agree,
    Differ,
    /// It asks for something that is not compared.
    Left,
}

/// What an evaluation came to.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    /// The script or file.
    pub place: String,
    pub arguments: String,
    pub verdict: Verdict,
    pub differences: Vec<String>,
}

impl Record {
    /// Adds a line to the log.
    pub fn append(&self, log: &Path) -> Result<()> {
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)?;
        writeln!(file, "{}", serde_json::to_string(self)?)?;
        Ok(())
    }

    /// Reads the log.
    pub fn read(log: &Path) -> Result<Vec<Self>> {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).context("a broken log"))
            .collect()
    }
}

/// What the judge was asked, as we are asked it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    ours: Vec<String>,
    /// Where the judge was told to write its results.
    results: Option<String>,
    /// Which of the judge's arguments is the file.
    file: usize,
    /// Why it is not compared.
    left: Option<&'static str>,
}

/// Runs the judge, and us beside it where it evaluates. The judge's exit code.
pub fn evaluation(
    peers: &Peers,
    arguments: &[String],
    place: &str,
    quiet: bool,
) -> Result<(Option<Record>, i32)> {
    let asked = translated(arguments, std::env::var("OSCAP_PROBE_ROOT").ok());
    let Some(asked) = asked else {
        return Ok((None, judge(peers, arguments, quiet)?));
    };
    let mut record = Record {
        place: place.to_owned(),
        arguments: arguments.join(" "),
        verdict: Verdict::Left,
        differences: Vec::new(),
    };
    if let Some(why) = asked.left {
        record.differences.push(why.to_owned());
        return Ok((Some(record), judge(peers, arguments, quiet)?));
    }
    let folder = tempfile::tempdir()?;
    let our_results = folder.path().join("ours.xml");
    let output = limited(&peers.ours)
        .args(&asked.ours)
        .arg("--results")
        .arg(&our_results)
        .stdin(Stdio::null())
        .output()
        .context("cannot run ours")?;
    let mut theirs = arguments.to_vec();
    let their_results = match &asked.results {
        Some(path) => PathBuf::from(path),
        None => {
            let path = folder.path().join("theirs.xml");
            // Before the file: some options must come first, none may come after it.
            let at = asked.file.min(theirs.len());
            theirs.insert(at, path.to_string_lossy().into_owned());
            theirs.insert(at, "--results".to_owned());
            path
        }
    };
    let before = modified(&their_results);
    let code = judge(peers, &theirs, quiet)?;
    let ours = outcome::read(&our_results)
        .ok()
        .filter(|all| !all.is_empty());
    let theirs = match modified(&their_results) {
        after if after == before => None,
        _ => outcome::read(&their_results)
            .ok()
            .filter(|all| !all.is_empty()),
    };
    record.differences = match (ours, theirs) {
        (Some(ours), Some(theirs)) => outcome::differences(&ours, &theirs),
        (None, None) => Vec::new(),
        (Some(ours), None) => vec![format!("theirs nothing (exit {code}); ours {}", ours.len())],
        (None, Some(theirs)) => {
            let words = String::from_utf8_lossy(&output.stderr);
            let last: String = words
                .lines()
                .last()
                .unwrap_or_default()
                .chars()
                .take(300)
                .collect();
            vec![format!("ours nothing: {last}; theirs {}", theirs.len())]
        }
    };
    record.verdict = match record.differences.is_empty() {
        true => Verdict::Agree,
        false => Verdict::Differ,
    };
    Ok((Some(record), code))
}

fn modified(path: &Path) -> Option<std::time::SystemTime> {
    let metadata = std::fs::metadata(path).ok()?;
    if metadata.len() == 0 {
        return None;
    }
    metadata.modified().ok()
}

fn limited(program: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.args(["-k", "5", SECONDS]).arg(program);
    command
}

fn judge(peers: &Peers, arguments: &[String], quiet: bool) -> Result<i32> {
    let mut command = limited(&peers.judge);
    command.args(arguments).env("SEXP_VALIDATE_DISABLE", "1");
    if quiet {
        command.stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
    }
    let status = command.status().context("cannot run the judge")?;
    Ok(status.code().unwrap_or(1))
}

/// The two words of a command, and where what follows them begins.
fn command(arguments: &[String]) -> Option<(&str, &str, usize)> {
    let mut words = arguments
        .iter()
        .enumerate()
        .filter(|(_, argument)| !argument.starts_with('-'));
    let (_, module) = words.next()?;
    let (at, operation) = words.next()?;
    Some((module, operation, at + 1))
}

/// None where nothing is evaluated.
fn translated(arguments: &[String], root: Option<String>) -> Option<Asked> {
    let (module, operation, at) = command(arguments)?;
    let is_xccdf = match (module, operation) {
        ("xccdf", "eval") => true,
        ("oval", "eval" | "analyse") => false,
        _ => return None,
    };
    let mut asked = Asked::default();
    let mut files = Vec::new();
    let mut rest = arguments.iter().enumerate().skip(at);
    while let Some((place, argument)) = rest.next() {
        let (name, glued) = match argument.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
            _ => (&**argument, None),
        };
        if !name.starts_with('-') {
            if files.is_empty() {
                asked.file = place;
            }
            files.push(argument.clone());
            continue;
        }
        let mut value = || {
            glued
                .clone()
                .or_else(|| rest.next().map(|(_, value)| value.clone()))
                .unwrap_or_default()
        };
        let ours = match name {
            "--progress"
            | "--progress-full"
            | "--skip-valid"
            | "--skip-validation"
            | "--oval-results"
            | "--check-engine-results"
            | "--export-variables"
            | "--without-syschar"
            | "--thin-results" => continue,
            "--skip-signature-validation" | "--enforce-signature" => {
                if is_xccdf {
                    asked.ours.push(name.to_owned());
                }
                continue;
            }
            "--results" => {
                asked.results = Some(value());
                continue;
            }
            "--results-arf" | "--report" | "--stig-viewer" | "--verbose" | "--verbose-log-file"
            | "--directives" => {
                value();
                continue;
            }
            "--profile" | "--rule" | "--skip-rule" | "--cpe" | "--datastream-id" | "--xccdf-id" => {
                name
            }
            "--benchmark-id" | "--tailoring-id" => "--xccdf-id",
            "--tailoring-file" => "--tailoring",
            "--id" => "--definition",
            "--variables" => name,
            "--remediate" => {
                asked.left = Some("it changes the system");
                continue;
            }
            "--fetch-remote-resources" => {
                asked.left = Some("it fetches content");
                continue;
            }
            "--local-files" => {
                value();
                asked.left = Some("remote content lies elsewhere");
                continue;
            }
            _ => {
                asked.left = Some("an option that is not ours");
                continue;
            }
        };
        asked.ours.push(ours.to_owned());
        asked.ours.push(value());
    }
    let file = files.first().cloned().unwrap_or_default();
    let mut head: Vec<String> = match is_xccdf {
        true => [
            "scan",
            "host",
            "--fail-on",
            "never",
            "--format",
            "json",
            "--content",
        ]
        .map(str::to_owned)
        .into(),
        false => ["scap", "oval"].map(str::to_owned).into(),
    };
    head.push(file);
    if let Some(root) = root {
        head.extend(["--root".to_owned(), root]);
    }
    if operation == "analyse" {
        head.push("--characteristics".to_owned());
        head.push(files.get(1).cloned().unwrap_or_default());
    }
    head.append(&mut asked.ours);
    asked.ours = head;
    Some(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Asked> {
        let arguments: Vec<String> = text.split(' ').map(str::to_owned).collect();
        translated(&arguments, None)
    }

    #[test]
    fn arguments_are_translated() {
        let asked =
            of("--verbose=DEVEL xccdf eval --profile p --results r.xml --tailoring-file=t f.xml")
                .unwrap();
        assert_eq!(
            asked.ours.join(" "),
            "scan host --fail-on never --format json --content f.xml --profile p --tailoring t"
        );
        assert_eq!(asked.results.as_deref(), Some("r.xml"));
        assert_eq!(asked.file, 8);
        let asked = of("oval analyse --results r d.xml s.xml").unwrap();
        assert_eq!(
            asked.ours.join(" "),
            "scap oval d.xml --characteristics s.xml"
        );
        assert!(of("xccdf eval --remediate f").unwrap().left.is_some());
        assert!(of("xccdf validate f").is_none());
    }
}
