//! OpenSCAP as the judge of our SCAP engine: the same content on the same root, at the same
//! time, in the same namespaces, rule by rule; and what either costs.

use super::changes::Changes;
use super::{tools, verdicts};
use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is compared on what.
#[derive(clap::Args)]
pub struct Options {
    /// A data stream.
    content: PathBuf,
    /// The root that is judged; `oscap` must be installed in it.
    root: PathBuf,
    /// The first process of the booted root: both engines run in its namespaces. Without it
    /// both run by `chroot`, where systemd cannot be asked.
    #[arg(long)]
    leader: Option<u32>,
    /// The profile.
    #[arg(long, default_value = "(all)")]
    profile: String,
    /// A CPE dictionary that both are given; the OVAL file it names must lie beside it.
    #[arg(long)]
    cpe: Option<PathBuf>,
    /// Compares again after so many batches of ten random changes to the root's configuration.
    #[arg(long, default_value_t = 0)]
    batches: u32,
    /// The seed of the changes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The percentage of rules that must agree.
    #[arg(long, default_value_t = 99.5)]
    at_least: f64,
    /// Leave the judge's validator on, as it is shipped.
    #[arg(long)]
    as_shipped: bool,
    /// Also write our results as ARF, and have OpenSCAP's own tools open and validate them;
    /// fails when one refuses.
    #[arg(long)]
    arf: bool,
}

/// Where both find content and write results, in the root.
const FOLDER: &str = "root/bartizan-conformance";

/// Compares; fails when too few rules agree.
pub fn run(options: &Options) -> Result<()> {
    crate::tree::cargo(&["build", "--quiet", "--package", "bartizan-cli"])?;
    let folder = options.root.join(FOLDER);
    std::fs::create_dir_all(folder.join("out"))?;
    copy(
        &crate::tree::root().join("target/debug/bartizan"),
        &folder.join("bartizan"),
    )?;
    let content = name(&options.content)?;
    copy(&options.content, &folder.join(content))?;
    if let Some(cpe) = &options.cpe {
        copy(cpe, &folder.join(name(cpe)?))?;
        let beside = cpe.parent().unwrap_or(Path::new("."));
        let oval = format!("{}-oval.xml", stem(cpe)?);
        copy(&beside.join(&oval), &folder.join(&oval))?;
    }
    let mut changes = Changes::new(options.seed);
    let mut broken = 0;
    for batch in 0..=options.batches {
        if batch > 0 {
            let done = changes.batch(&options.root, 10)?;
            println!("== batch {batch}, seed {}", options.seed);
            for change in done {
                println!("  {change}");
            }
        }
        broken += usize::from(!once(options, &folder, content)?);
    }
    ensure!(
        broken == 0,
        "{broken} comparisons are below {} %",
        options.at_least
    );
    Ok(())
}

fn once(options: &Options, folder: &Path, content: &str) -> Result<bool> {
    let inside = |file: &str| format!("/{FOLDER}/{file}");
    let mut cpe: Vec<String> = Vec::new();
    if let Some(file) = &options.cpe {
        cpe = vec!["--cpe".to_owned(), inside(name(file)?)];
    }
    for file in ["out/ours.xml", "out/theirs.xml"] {
        let _ = std::fs::remove_file(folder.join(file));
    }
    let mut theirs = vec!["oscap", "xccdf", "eval", "--profile", &options.profile];
    theirs.extend(cpe.iter().map(String::as_str));
    let (results, input) = (inside("out/theirs.xml"), inside(content));
    theirs.extend(["--results", &results, &input]);
    let their_cost = timed(options, folder, "theirs", &theirs)?;
    let binary = inside("bartizan");
    let mut ours = vec![&*binary, "scan", "host", "--profile", &options.profile];
    ours.extend(cpe.iter().map(String::as_str));
    let results = inside("out/ours.xml");
    ours.extend(["--results", &results, "--content", &input]);
    ours.extend(["--format", "json", "--fail-on", "never"]);
    let arf = inside("out/ours.arf.xml");
    if options.arf {
        ours.extend(["--arf", &arf]);
    }
    let our_cost = timed(options, folder, "ours", &ours)?;
    let agreement = verdicts::compare(
        &verdicts::read(&folder.join("out/ours.xml"))?,
        &verdicts::read(&folder.join("out/theirs.xml"))?,
    );
    print!("{}", agreement.text());
    println!(
        "cost: ours {:.2} s of CPU, {} MB; theirs{} {:.2} s, {} MB; ratio {:.1}",
        our_cost.cpu,
        our_cost.memory / 1000,
        if options.as_shipped {
            " (as shipped)"
        } else {
            " (validator off)"
        },
        their_cost.cpu,
        their_cost.memory / 1000,
        their_cost.cpu / our_cost.cpu.max(0.01),
    );
    if options.arf {
        accepted(options, folder)?;
    }
    Ok(agreement.percent() >= options.at_least)
}

/// Has OpenSCAP's tools open and validate what we wrote.
fn accepted(options: &Options, folder: &Path) -> Result<()> {
    let arf = std::fs::read(folder.join("out/ours.arf.xml"))?;
    let hidden = tools::no_passwords(&options.root, &arf).context("our ARF")?;
    let inside = |file: &str| format!("/{FOLDER}/out/{file}");
    let document = inside("ours.arf.xml");
    let report = inside("ours.html");
    // The schematron rules of XCCDF and OVAL take minutes on documents of this size.
    let mut commands: Vec<Vec<String>> = [
        vec!["info", &document],
        vec!["ds", "rds-validate", &document],
        vec![
            "xccdf", "generate", "report", "--output", &report, &document,
        ],
        vec![
            "xccdf",
            "validate",
            "--skip-schematron",
            &inside("ours.xml"),
        ],
    ]
    .map(|words| words.into_iter().map(str::to_owned).collect())
    .into();
    let results = tools::oval_results(&arf)?;
    ensure!(!results.is_empty(), "our ARF has no OVAL results");
    for (at, bytes) in results.iter().enumerate() {
        let file = format!("ours.oval{at}.xml");
        std::fs::write(folder.join("out").join(&file), bytes)?;
        // As above: minutes of schematron rules.
        let words = [
            "oval",
            "validate",
            "--skip-schematron",
            "--results",
            &inside(&file),
        ];
        commands.push(words.map(str::to_owned).into());
    }
    for words in &commands {
        let mut command = vec!["oscap"];
        command.extend(words.iter().map(String::as_str));
        let cost = timed(options, folder, "tool", &command)?;
        println!("accepted by {} ({:.2} s)", command.join(" "), cost.cpu);
    }
    println!(
        "ARF: {} kB, {} OVAL results, {hidden} passwords of the root are not in it",
        arf.len() / 1000,
        results.len()
    );
    Ok(())
}

struct Cost {
    /// User and system, in seconds.
    cpu: f64,
    /// Peak, in kB.
    memory: u64,
}

/// Runs a command in the root under `/usr/bin/time`.
fn timed(options: &Options, folder: &Path, who: &str, command: &[&str]) -> Result<Cost> {
    let mut run = match options.leader {
        Some(leader) => {
            let mut run = Command::new("nsenter");
            run.args(["-t", &leader.to_string(), "-m", "-u", "-i", "-n", "-p"]);
            run
        }
        None => {
            let mut run = Command::new("chroot");
            run.arg(&options.root);
            run
        }
    };
    run.args(["/usr/bin/env", "-i", "LC_ALL=C", "HOME=/root"])
        .arg("PATH=/usr/sbin:/usr/bin:/sbin:/bin");
    if !options.as_shipped {
        run.arg("SEXP_VALIDATE_DISABLE=1");
    }
    let cost = format!("/{FOLDER}/out/{who}.cost");
    run.args(["/usr/bin/time", "-q", "-f", "%U %S %M", "-o", &cost])
        .args(command)
        .stdin(Stdio::null())
        .stdout(File::create(folder.join(format!("out/{who}.out")))?)
        .stderr(File::create(folder.join(format!("out/{who}.err")))?);
    let status = run.status().context("cannot enter the root")?;
    // Both evaluations end with 2 where a rule fails; a tool that validates must not.
    let is_good = match status.code() {
        Some(2) => who != "tool",
        code => code == Some(0),
    };
    if !is_good {
        let errors = std::fs::read_to_string(folder.join(format!("out/{who}.err")))?;
        bail!("{} ended with {status}: {errors}", command.join(" "));
    }
    let text = std::fs::read_to_string(folder.join(format!("out/{who}.cost")))?;
    let numbers: Vec<f64> = text
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()
        .with_context(|| format!("/usr/bin/time wrote {text:?}"))?;
    match numbers[..] {
        [user, system, memory] => Ok(Cost {
            cpu: user + system,
            memory: memory as u64,
        }),
        _ => bail!("/usr/bin/time wrote {text:?}"),
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    // A running binary cannot be written over.
    let _ = std::fs::remove_file(to);
    std::fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

fn name(path: &Path) -> Result<&str> {
    path.file_name()
        .and_then(|name| name.to_str())
        .with_context(|| format!("{} has no usable name", path.display()))
}

fn stem(path: &Path) -> Result<&str> {
    path.file_stem()
        .and_then(|name| name.to_str())
        .with_context(|| format!("{} has no usable name", path.display()))
}
