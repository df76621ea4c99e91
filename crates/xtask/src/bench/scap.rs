//! Host compliance against OpenSCAP: the same content on the same root, each with results.
//!
//! `cargo xtask bench --only scap --scap-content DS --scap-root ROOT --scap-leader PID`: CIS
//! level 2 on the root as it is, with 200,000 empty files more, and with 700,000 more. `oscap`
//! is the one that is installed in the root, as shipped and with its debug validator off.

use super::Options;
use crate::report::Figure;
use crate::tree;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Where, in the root, either finds the content and writes.
const FOLDER: &str = "root/bartizan-bench";
/// Where, in the root, the files are that are added.
const ADDED: &str = "var/lib/bartizan-bench";

/// What is measured on what.
#[derive(clap::Args)]
pub struct Race {
    /// A data stream; without it and a root, host compliance is not measured.
    #[arg(long)]
    scap_content: Option<PathBuf>,
    /// The root, with `oscap` and `/usr/bin/time` in it.
    #[arg(long)]
    scap_root: Option<PathBuf>,
    /// The first process of the booted root; without it, `chroot` is used.
    #[arg(long)]
    scap_leader: Option<u32>,
    /// The profile.
    #[arg(
        long,
        default_value = "xccdf_org.ssgproject.content_profile_cis_level2_server"
    )]
    scap_profile: String,
    /// Run OpenSCAP on 700,000 files, too: it may take an hour.
    #[arg(long)]
    scap_theirs_large: bool,
    /// The seed of the files that are added.
    #[arg(long, default_value_t = 1)]
    scap_seed: u64,
}

struct Cost {
    /// User and system, in seconds.
    cpu: f64,
    wall: f64,
    /// Peak, in MB.
    memory: f64,
}

/// The race.
pub fn run(options: &Options) -> Result<Vec<Figure>> {
    let race = &options.race;
    let (Some(content), Some(root)) = (&race.scap_content, &race.scap_root) else {
        eprintln!("host compliance is NOT measured: no --scap-content and --scap-root");
        return Ok(Vec::new());
    };
    let folder = root.join(FOLDER);
    fs::create_dir_all(&folder)?;
    let result = on_root(race, content, root, &folder);
    fs::remove_dir_all(&folder)?;
    result
}

fn on_root(race: &Race, content: &Path, root: &Path, folder: &Path) -> Result<Vec<Figure>> {
    fs::copy(
        tree::root().join("target/debug/bartizan"),
        folder.join("bartizan"),
    )?;
    fs::copy(content, folder.join("content.xml"))
        .with_context(|| format!("cannot read {}", content.display()))?;
    let mut figures = Vec::new();
    compare(race, root, "the root as it is", true, &mut figures)?;
    let added = Added::new(root.join(ADDED), race.scap_seed)?;
    added.more("a", 200_000)?;
    compare(race, root, "with 200,000 files more", true, &mut figures)?;
    added.more("b", 500_000)?;
    let name = "with 700,000 files more";
    let cost = compare(race, root, name, race.scap_theirs_large, &mut figures)?;
    figures.push(Figure::under(
        &format!("{name}: ours, time"),
        cost.wall,
        "s",
        60.0,
    ));
    Ok(figures)
}

/// Measures ours and, where asked, theirs in both ways.
fn compare(
    race: &Race,
    root: &Path,
    name: &str,
    theirs: bool,
    figures: &mut Vec<Figure>,
) -> Result<Cost> {
    eprintln!("{name}: ours");
    let ours = ours(race, root)?;
    if theirs {
        for (way, shipped) in [("validator off", false), ("as shipped", true)] {
            eprintln!("{name}: OpenSCAP, {way}");
            let cost = oscap(race, root, shipped)?;
            let plain = |what: &str, value: f64, unit: &str| {
                Figure::plain(&format!("{name}: OpenSCAP {way}, {what}"), value, unit)
            };
            figures.push(plain("CPU", cost.cpu, "s"));
            figures.push(plain("peak memory", cost.memory, "MB"));
            let ratio = format!("{name}: OpenSCAP {way} to ours, CPU");
            let times = cost.cpu / ours.cpu.max(0.01);
            figures.push(match shipped {
                false => Figure::at_least(&ratio, times, "times", 10.0),
                true => Figure::plain(&ratio, times, "times"),
            });
        }
        figures.push(Figure::under(
            &format!("{name}: ours, peak memory"),
            ours.memory,
            "MB",
            100.0,
        ));
    } else {
        figures.push(Figure::plain(
            &format!("{name}: ours, peak memory"),
            ours.memory,
            "MB",
        ));
    }
    figures.push(Figure::plain(&format!("{name}: ours, CPU"), ours.cpu, "s"));
    Ok(ours)
}

fn ours(race: &Race, root: &Path) -> Result<Cost> {
    let inside = |file: &str| format!("/{FOLDER}/{file}");
    let (binary, content) = (inside("bartizan"), inside("content.xml"));
    let results = inside("ours.xml");
    let command = [
        &*binary,
        "scan",
        "host",
        "--profile",
        &race.scap_profile,
        "--content",
        &content,
        "--results",
        &results,
        "--format",
        "json",
        "--fail-on",
        "never",
    ];
    timed(race, root, &command, false)
}

fn oscap(race: &Race, root: &Path, shipped: bool) -> Result<Cost> {
    let inside = |file: &str| format!("/{FOLDER}/{file}");
    let (content, results) = (inside("content.xml"), inside("theirs.xml"));
    let command = [
        "oscap",
        "xccdf",
        "eval",
        "--profile",
        &race.scap_profile,
        "--results",
        &results,
        &content,
    ];
    timed(race, root, &command, shipped)
}

/// Runs a command in the root under `/usr/bin/time`.
fn timed(race: &Race, root: &Path, command: &[&str], shipped: bool) -> Result<Cost> {
    let mut run = match race.scap_leader {
        Some(leader) => {
            let mut run = Command::new("nsenter");
            run.args(["-t", &leader.to_string(), "-m", "-u", "-i", "-n", "-p"]);
            run
        }
        None => {
            let mut run = Command::new("chroot");
            run.arg(root);
            run
        }
    };
    run.args(["/usr/bin/env", "-i", "LC_ALL=C", "HOME=/root"])
        .arg("PATH=/usr/sbin:/usr/bin:/sbin:/bin");
    if !shipped {
        run.arg("SEXP_VALIDATE_DISABLE=1");
    }
    let folder = root.join(FOLDER);
    let cost = format!("/{FOLDER}/cost");
    run.args(["/usr/bin/time", "-q", "-f", "%U %S %M", "-o", &cost])
        .args(command)
        .stdin(Stdio::null())
        .stdout(File::create(folder.join("out"))?)
        .stderr(File::create(folder.join("err"))?);
    let begun = Instant::now();
    let status = run.status().context("cannot enter the root")?;
    let wall = begun.elapsed().as_secs_f64();
    // Both end with 2 where a rule fails.
    if !matches!(status.code(), Some(0 | 2)) {
        let errors = fs::read_to_string(folder.join("err"))?;
        bail!("{} ended with {status}: {errors}", command.join(" "));
    }
    let text = fs::read_to_string(folder.join("cost"))?;
    let numbers: Vec<f64> = text
        .split_whitespace()
        .filter_map(|number| number.parse().ok())
        .collect();
    match numbers[..] {
        [user, system, memory] => Ok(Cost {
            cpu: user + system,
            wall,
            memory: memory / 1000.0,
        }),
        _ => bail!("/usr/bin/time wrote {text:?}"),
    }
}

/// Files that are removed at the end.
struct Added {
    folder: PathBuf,
    seed: u64,
}

impl Added {
    fn new(folder: PathBuf, seed: u64) -> Result<Self> {
        match fs::create_dir(&folder) {
            Ok(()) => Ok(Self { folder, seed }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                bail!("{} is of an earlier run: remove it", folder.display())
            }
            Err(error) => Err(error).with_context(|| format!("cannot make {}", folder.display())),
        }
    }

    /// Empty files in folders of 5 to 200, at most 12 deep, named by the seed.
    fn more(&self, name: &str, files: usize) -> Result<()> {
        let mut state = self.seed ^ files as u64;
        let mut below = move |bound: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % bound.max(1)
        };
        let first = self.folder.join(name);
        fs::create_dir(&first)?;
        let mut folders = vec![(first, 0)];
        let mut made = 0;
        while made < files {
            let chosen = below(folders.len());
            let Some((folder, depth)) = folders.get(chosen).cloned() else {
                continue;
            };
            let inner = match depth < 12 {
                true => folder.join(format!("dir-{made}")),
                false => self.folder.join(name).join(format!("dir-{made}")),
            };
            fs::create_dir(&inner)?;
            for _ in 0..(5 + below(195)).min(files - made) {
                File::create(inner.join(format!("file-{:x}-{made}.conf", below(1 << 24))))?;
                made += 1;
            }
            folders.push((inner, if depth < 12 { depth + 1 } else { 1 }));
        }
        Ok(())
    }
}

impl Drop for Added {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("cannot remove {}: {error}", self.folder.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(folder: &Path) -> (usize, Vec<PathBuf>) {
        let mut found = Vec::new();
        let mut open = vec![folder.to_owned()];
        let mut files = 0;
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                found.push(entry.path());
                match entry.file_type().unwrap().is_dir() {
                    true => open.push(entry.path()),
                    false => files += 1,
                }
            }
        }
        let mut names: Vec<PathBuf> = found
            .iter()
            .map(|path| path.strip_prefix(folder).unwrap().to_owned())
            .collect();
        names.sort();
        (files, names)
    }

    #[test]
    fn a_seed_gives_the_same_files_and_they_go() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("1"), folder.path().join("2"));
        let first = Added::new(one.clone(), 7).unwrap();
        let second = Added::new(other.clone(), 7).unwrap();
        first.more("a", 1234).unwrap();
        second.more("a", 1234).unwrap();
        let (files, names) = count(&one);
        assert_eq!(files, 1234);
        assert_eq!(names, count(&other).1);
        assert!(Added::new(one.clone(), 7).is_err());
        drop(first);
        assert!(!one.exists() && other.exists());
    }
}
