//! `bartizan agent`: takes scans that were asked of this machine, or of machines over SSH, does
//! them and hands them in. The server never reaches out; this asks it.
//!
//! A scan runs as a child process, `bartizan scan host`: it can be stopped at once when it is
//! called off, its memory is free afterwards, and one that dies takes no runner with it.

pub mod arguments;
mod child;
mod systems;

use crate::client::{Client, text};
use crate::host::Machine;
use crate::scan::upload_and_wait;
use crate::{Verdict, show};
use anyhow::{Context, Result, bail, ensure};
use arguments::Agent;
use bartizan_model::Digest;
use child::Child;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use child::PROGRESS;
pub use systems::{schedule, systems};

/// For how long one question for work stays open.
const WAIT_SECONDS: u64 = 30;
/// How often the server hears of progress.
const SAY: Duration = Duration::from_secs(2);
/// How often a child is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// The longest pause after the server could not be asked.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// A report larger than this is not read.
const MAX_REPORT: u64 = 1 << 30;

/// A system that this runner stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stand {
    name: String,
    /// Where, over SSH.
    ssh: Option<String>,
}

/// What was claimed.
struct Claim {
    id: String,
    token: i64,
    system: String,
    ssh: Option<String>,
    content: String,
    content_name: Option<String>,
    profile: Option<String>,
}

/// How a scan ended, when the server was not at fault.
enum End {
    Done(String),
    Failed(String),
    Cancelled,
}

/// Runs the command.
pub fn run(options: &Agent) -> Result<Verdict> {
    let client = Client::new(&options.server, &options.access)?;
    let stands = stands(options)?;
    let folder = Folder::new()?;
    let mut pause = Duration::from_secs(1);
    let mut registered = false;
    loop {
        let asked = if registered {
            claim(&client, options, &stands)
        } else {
            register(&client, options, &stands).and_then(|()| {
                registered = true;
                claim(&client, options, &stands)
            })
        };
        match asked {
            Ok((None, known)) => {
                pause = Duration::from_secs(1);
                if options.once {
                    return Ok(Verdict::Good);
                }
                // Somebody removed one: it is registered again, as long as this runs.
                registered = known >= stands.len() as u64;
            }
            Ok((Some(claim), _)) => {
                pause = Duration::from_secs(1);
                let good = work(&client, &claim, &folder)?;
                if options.once {
                    return Ok(if good { Verdict::Good } else { Verdict::Bad });
                }
            }
            Err(error) if options.once => return Err(error),
            Err(error) => {
                show::error(&error);
                std::thread::sleep(pause);
                pause = (pause * 2).min(MAX_PAUSE);
            }
        }
    }
}

/// Which systems this runner stands for: those over SSH, or else this machine.
fn stands(options: &Agent) -> Result<Vec<Stand>> {
    let mut stands = Vec::new();
    for target in &options.ssh {
        let (name, address) = match target.split_once('=') {
            Some((name, address)) => (name.to_owned(), address),
            None => {
                let host = target
                    .rsplit_once('@')
                    .map_or(target.as_str(), |(_, host)| host);
                let name = host.split(':').next().unwrap_or(host);
                (name.to_owned(), target.as_str())
            }
        };
        ensure!(
            !address.is_empty() && !address.starts_with('-') && !address.contains("@-"),
            "--ssh {target:?}: write [name=][user@]host[:port]"
        );
        stands.push(Stand {
            name,
            ssh: Some(address.to_owned()),
        });
    }
    if stands.is_empty() && !options.any_ssh {
        let name = match &options.name {
            Some(name) => name.clone(),
            None => Machine::open(Path::new("/"))?.host.name,
        };
        stands.push(Stand { name, ssh: None });
    }
    Ok(stands)
}

/// Tells the server of the systems.
fn register(client: &Client, options: &Agent, stands: &[Stand]) -> Result<()> {
    for stand in stands {
        let mut body = json!({"name": stand.name, "how": "agent"});
        let more = body.as_object_mut().context("this is a bug")?;
        if !options.label.is_empty() {
            more.insert("labels".into(), json!(options.label));
        }
        match &stand.ssh {
            Some(address) => {
                more.insert("how".into(), json!("ssh"));
                more.insert("address".into(), json!(address));
            }
            None => {
                more.insert("facts".into(), json!(facts()?));
            }
        }
        client.post("/systems", &body)?;
        show::remark(&format!("registered {} at {}", stand.name, options.server));
    }
    Ok(())
}

/// What is told of this machine.
fn facts() -> Result<BTreeMap<&'static str, String>> {
    let host = Machine::open(Path::new("/"))?.host;
    let mut facts = BTreeMap::from([
        ("hostname", host.name),
        ("os", format!("{} {}", host.os_name, host.os_version)),
        ("kernel", host.kernel),
        ("architecture", host.architecture),
        ("agent", env!("CARGO_PKG_VERSION").to_owned()),
        (
            "privileged",
            rustix::process::geteuid().is_root().to_string(),
        ),
    ]);
    for value in facts.values_mut() {
        *value = value
            .trim()
            .chars()
            .filter(|c| !c.is_control())
            .take(70)
            .collect();
    }
    Ok(facts)
}

/// Asks for work; also how many of the systems the server knows.
fn claim(client: &Client, options: &Agent, stands: &[Stand]) -> Result<(Option<Claim>, u64)> {
    let names: Vec<&str> = stands.iter().map(|stand| stand.name.as_str()).collect();
    let runner = match (&options.name, names.first()) {
        (Some(name), _) => name.clone(),
        (None, Some(first)) => (*first).to_owned(),
        (None, None) => "ssh".to_owned(),
    };
    let answer = client.post(
        "/tasks/claim",
        &json!({
            "runner": runner, "systems": names, "any_ssh": options.any_ssh,
            "wait_seconds": if options.once { 0 } else { WAIT_SECONDS },
        }),
    )?;
    let known = answer.get("systems").and_then(Value::as_u64).unwrap_or(0);
    let Some(task) = answer.get("task").filter(|task| !task.is_null()) else {
        return Ok((None, known));
    };
    let need = |member: &str| {
        text(task, member)
            .map(str::to_owned)
            .with_context(|| format!("the server gave a task without {member}"))
    };
    let system = need("system_name")?;
    // What an operator wrote on the server counts for its own list of targets alone.
    let ssh = match stands.iter().find(|stand| stand.name == system) {
        Some(stand) => stand.ssh.clone(),
        None => Some(need("address")?),
    };
    let claim = Claim {
        id: need("id")?,
        token: answer
            .get("token")
            .and_then(Value::as_i64)
            .context("the server gave a task without its token")?,
        ssh,
        content: need("content")?,
        content_name: text(task, "content_name").map(str::to_owned),
        profile: text(task, "profile").map(str::to_owned),
        system,
    };
    Ok((Some(claim), known))
}

/// Does a task and tells the server how it ended; whether well. What goes wrong with the scan
/// is told and no error; that the task went elsewhere is no error either.
fn work(client: &Client, claim: &Claim, folder: &Folder) -> Result<bool> {
    show::remark(&format!("scanning {} ({})", claim.system, claim.id));
    let end = match scan(client, claim, folder) {
        Ok(end) => end,
        Err(error) => End::Failed(format!("{error:#}")),
    };
    let (body, good) = match &end {
        End::Done(scan) => (json!({"state": "done", "scan": scan}), true),
        End::Failed(why) => (json!({"state": "failed", "error": why}), false),
        End::Cancelled => (json!({"state": "cancelled"}), true),
    };
    let mut body = body;
    if let Some(members) = body.as_object_mut() {
        members.insert("token".into(), json!(claim.token));
    }
    match &end {
        End::Done(scan) => show::remark(&format!("{}: scan {scan}", claim.system)),
        End::Failed(why) => show::remark(&format!("{}: failed: {why}", claim.system)),
        End::Cancelled => show::remark(&format!("{}: called off", claim.system)),
    }
    if let Err(error) = client.post(&format!("/tasks/{}/complete", claim.id), &body) {
        show::error(&error);
        return Ok(false);
    }
    Ok(good)
}

/// Runs the scan, hands the report in.
fn scan(client: &Client, claim: &Claim, folder: &Folder) -> Result<End> {
    let content = folder.content(client, claim)?;
    let report = folder.path.join("report.jsonl");
    let arguments = run_on(claim, content.as_deref(), &report);
    let mut child = Child::start(&arguments)?;
    let mut said: Option<Instant> = None;
    let status = loop {
        if let Some(status) = child.ended()? {
            break status;
        }
        if said.is_none_or(|at| at.elapsed() >= SAY) {
            said = Some(Instant::now());
            if !go_on(client, claim, &child) {
                child.stop();
                return Ok(End::Cancelled);
            }
        }
        std::thread::sleep(LOOK);
    };
    if !status {
        bail!("the scan could not be done: {}", child.last_words());
    }
    let bytes = crate::scap::read(&report, MAX_REPORT)?;
    // The import may take a while, and its end is awaited: a sign of life before it.
    if !go_on(client, claim, &child) {
        return Ok(End::Cancelled);
    }
    let scan = upload_and_wait(client, bytes)?;
    Ok(End::Done(scan))
}

/// Says how far the child is; false when it shall stop. A server that cannot be reached for a
/// moment stops nothing, one that
/// says that the task is not ours any more does.
fn go_on(client: &Client, claim: &Claim, child: &Child) -> bool {
    let progress = child.progress();
    let body = json!({
        "token": claim.token, "done": progress.done, "total": progress.total,
        "message": progress.message,
    });
    match client.post(&format!("/tasks/{}/progress", claim.id), &body) {
        Ok(answer) => answer.get("cancel") != Some(&Value::Bool(true)),
        Err(error) => {
            show::error(&error);
            let said = error.to_string();
            !["(409", "(404"].iter().any(|status| said.contains(status))
        }
    }
}

/// The arguments of the scan: the one place that knows how a target is reached.
fn run_on(claim: &Claim, content: Option<&Path>, report: &Path) -> Vec<String> {
    let mut arguments: Vec<String> = ["scan", "host", "--format", "report", "--fail-on", "never"]
        .map(str::to_owned)
        .to_vec();
    let mut add = |name: &str, value: String| arguments.push(format!("{name}={value}"));
    add("--output", report.to_string_lossy().into_owned());
    add("--scope", format!("host:{}", claim.system));
    if let Some(content) = content {
        add("--content", content.to_string_lossy().into_owned());
    }
    if let Some(profile) = &claim.profile {
        add("--profile", profile.clone());
    }
    if let Some(target) = &claim.ssh {
        add("--ssh", target.clone());
    }
    arguments
}

/// A folder of this process alone, for content and reports; removed at the end.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("bartizan-agent-{}", uuid::Uuid::now_v7()));
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self { path })
    }

    /// The task's content, fetched once and proven by its digest; none for the baseline.
    fn content(&self, client: &Client, claim: &Claim) -> Result<Option<PathBuf>> {
        if claim.content == "baseline" {
            return Ok(None);
        }
        let name = claim.content_name.as_deref().unwrap_or_default();
        let extension = match name.rsplit_once('.').map(|(_, end)| end) {
            Some("yaml" | "yml") => "yaml",
            Some("bz2") => "bz2",
            Some("zip") => "zip",
            _ => "xml",
        };
        let hex: String = claim
            .content
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect();
        let path = self.path.join(format!("{hex}.{extension}"));
        if path.is_file() {
            return Ok(Some(path));
        }
        let bytes = client.download(&format!("/artifacts/{}", claim.content))?;
        ensure!(
            Digest::of(&bytes).as_str() == claim.content,
            "the server gave other content than was asked for"
        );
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Some(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nothing depends on it.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::{Arguments, Command};
    use clap::Parser;

    fn agent(words: &[&str]) -> Agent {
        let words = [&["bartizan", "agent"], words].concat();
        match Arguments::parse_from(words).command {
            Command::Agent(options) => options,
            _ => panic!("another command"),
        }
    }

    #[test]
    fn targets_have_names_and_are_no_options() {
        let options = agent(&["--ssh", "root@db-1:22", "--ssh", "web=10.0.0.2"]);
        let named = |stand: &Stand| (stand.name.clone(), stand.ssh.clone().unwrap());
        let found: Vec<_> = stands(&options).unwrap().iter().map(named).collect();
        assert_eq!(
            found,
            [
                ("db-1".to_owned(), "root@db-1:22".to_owned()),
                ("web".to_owned(), "10.0.0.2".to_owned())
            ]
        );
        for bad in ["x=-oProxyCommand=y", "a@-oX", "x="] {
            assert!(stands(&agent(&["--ssh", bad])).is_err(), "{bad}");
        }
        assert_eq!(stands(&agent(&["--any-ssh"])).unwrap(), []);
        let own = stands(&agent(&["--name", "me"])).unwrap();
        assert_eq!((own[0].name.as_str(), own[0].ssh.clone()), ("me", None));
    }

    #[test]
    fn values_of_the_server_stay_values() {
        let claim = Claim {
            id: "t".into(),
            token: 1,
            system: "db-1".into(),
            ssh: Some("-oX".into()),
            content: "baseline".into(),
            content_name: None,
            profile: Some("--root=/etc".into()),
        };
        let arguments = run_on(&claim, None, Path::new("/r"));
        let loose = |a: &&String| a.starts_with("--root") || a.starts_with("-o");
        assert_eq!(arguments.iter().find(loose), None);
        assert!(arguments.contains(&"--profile=--root=/etc".to_owned()));
    }
}
