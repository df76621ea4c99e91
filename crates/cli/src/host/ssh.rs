//! A machine where nothing is installed, looked at over SSH: this binary is copied into a
//! folder of its own, records there what judging needs, and is removed.
//!
//! `ssh` is the system's own, with the user's keys and configuration. Host keys are checked:
//! this never switches it off, and an option that does is refused. Nothing that comes back is
//! believed beyond the snapshot's bounds.

mod script;

use super::{beside, is_yaml, policy};
use crate::arguments::{OverSsh, ScanHost};
use crate::scap::{Content, read};
use anyhow::{Context, Result, bail, ensure};
use bartizan_scap::system::Snapshot;
use std::collections::VecDeque;
use std::fmt;
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// More than this is no binary of ours.
const MAX_BINARY: u64 = 1 << 30;
/// More than this is no content that is sent.
const MAX_FILE: u64 = 256 << 20;
/// What a login may print before our line.
const MAX_GREETING: u64 = 64 << 10;
/// The last of what is said on standard error.
const MAX_SAID: usize = 16 << 10;
/// How long removing the folder after a failure may take.
const CLEANING: Duration = Duration::from_secs(30);
/// How long `ssh` may take to end after its output did.
const ENDING: Duration = Duration::from_secs(20);

/// Where to go and how.
///
/// Options and binary come from whoever runs this machine, never from a server: `ssh` has
/// options that start programs.
#[derive(Debug, Clone)]
pub struct Target {
    destination: String,
    port: Option<u16>,
    /// Options for `ssh -o`.
    options: Vec<String>,
    /// Run it there by `sudo`.
    sudo: bool,
    /// The binary that runs there; None: this one.
    binary: Option<PathBuf>,
    timeout: Duration,
    /// Whether somebody can be asked for passwords and new host keys.
    interactive: bool,
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.destination)
    }
}

impl Target {
    /// From `[user@]host[:port]`.
    pub fn new(target: &str, over: &OverSsh) -> Result<Self> {
        let (destination, port) = split(target)?;
        for option in &over.ssh_option {
            allowed(option)?;
        }
        Ok(Self {
            destination,
            port,
            options: over.ssh_option.clone(),
            sudo: over.sudo,
            binary: over.ssh_binary.clone(),
            timeout: Duration::from_secs(u64::from(over.ssh_timeout)),
            interactive: std::io::stdin().is_terminal(),
        })
    }

    fn command(&self, interactive: bool, remote: &str) -> Command {
        let mut command = Command::new("ssh");
        command.args(["-a", "-x", "-T"]);
        if let Some(port) = self.port {
            command.args(["-p", &port.to_string()]);
        }
        // The first value of an option counts: the user's own before ours.
        for option in &self.options {
            command.args(["-o", option]);
        }
        let (batch, keys) = match interactive {
            true => ("BatchMode=no", "StrictHostKeyChecking=ask"),
            false => ("BatchMode=yes", "StrictHostKeyChecking=yes"),
        };
        for option in [
            batch,
            keys,
            "ConnectTimeout=20",
            "ServerAliveInterval=15",
            "ServerAliveCountMax=4",
            "ClearAllForwardings=yes",
            "PermitLocalCommand=no",
        ] {
            command.args(["-o", option]);
        }
        command.args(["--", &self.destination, remote]);
        command
    }
}

fn split(target: &str) -> Result<(String, Option<u16>)> {
    let (user, host) = match target.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, target),
    };
    let (host, port) = if let Some(rest) = host.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').context("a ] is missing")?;
        (host, rest.strip_prefix(':'))
    } else {
        match host.split_once(':') {
            // More colons are of an IPv6 address.
            Some((name, port)) if !port.contains(':') => (name, Some(port)),
            _ => (host, None),
        }
    };
    let port = port.map(|port| {
        port.parse::<u16>()
            .with_context(|| format!("{port} is no port"))
    });
    let plain = |text: &str, more: &str| {
        let known = |one: char| one.is_ascii_alphanumeric() || more.contains(one);
        !text.is_empty() && !text.starts_with('-') && text.chars().all(known)
    };
    ensure!(plain(host, ".-_:%"), "{target} names no host");
    let destination = match user {
        Some(user) => {
            ensure!(plain(user, ".-_@$+"), "{target} names no user");
            format!("{user}@{host}")
        }
        None => host.to_owned(),
    };
    Ok((destination, port.transpose()?))
}

/// Refuses what would switch off the checking of host keys.
fn allowed(option: &str) -> Result<()> {
    let (key, value) = option
        .split_once(['=', ' '])
        .with_context(|| format!("--ssh-option {option}: give KEY=VALUE"))?;
    let value = value.trim().trim_matches('"').to_ascii_lowercase();
    let is_checking = key.trim().eq_ignore_ascii_case("StrictHostKeyChecking");
    if is_checking && !matches!(&*value, "yes" | "ask" | "accept-new") {
        bail!("host keys are checked: --ssh-option {option} is refused; learn the key first");
    }
    Ok(())
}

/// An argument of the run there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// As it is.
    Text(String),
    /// One of the files that were sent.
    File(String),
}

/// What the run there is given.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// Names below the folder, and bytes.
    pub files: Vec<(String, Vec<u8>)>,
    /// Arguments of `scan host`.
    pub arguments: Vec<Argument>,
}

impl Inputs {
    /// What the options of a scan name.
    pub fn of(options: &ScanHost) -> Result<Self> {
        let mut inputs = Self::default();
        if let Some(path) = &options.content {
            if is_yaml(path) {
                let bytes = read(path, MAX_FILE)?;
                inputs.file("--content", "content/content.yaml", bytes)?;
            } else {
                let signature = options.choice.signature;
                let content = Content::load_signed(path, policy(signature))?;
                if signature.skip_signature_validation {
                    let skip = "--skip-signature-validation".to_owned();
                    inputs.arguments.push(Argument::Text(skip));
                }
                for (at, (name, bytes)) in content.files().enumerate() {
                    if at == 0 {
                        inputs.file("--content", "content/0-content.xml", bytes.to_vec())?;
                    } else {
                        inputs.add(format!("content/{name}"), bytes.to_vec())?;
                    }
                }
            }
        }
        if let Some(path) = &options.choice.tailoring {
            inputs.file("--tailoring", "tailoring.xml", read(path, MAX_FILE)?)?;
        }
        for (at, path) in options.cpe.iter().enumerate() {
            for (place, (name, bytes)) in beside::dictionary(path)?.into_iter().enumerate() {
                if place == 0 {
                    inputs.file("--cpe", &format!("cpe{at}/0-dictionary.xml"), bytes)?;
                } else {
                    inputs.add(format!("cpe{at}/{name}"), bytes)?;
                }
            }
        }
        let choice = &options.choice;
        let rules = options.rule.iter().map(|rule| ("--rule", Some(rule)));
        let skipped = options.skip_rule.iter();
        let rules = rules.chain(skipped.map(|rule| ("--skip-rule", Some(rule))));
        for (name, value) in [
            ("--profile", choice.profile.as_ref()),
            ("--datastream-id", choice.datastream_id.as_ref()),
            ("--xccdf-id", choice.xccdf_id.as_ref()),
        ]
        .into_iter()
        .chain(rules)
        {
            if let Some(value) = value {
                // One word: a value that begins with a dash is none of our options.
                inputs
                    .arguments
                    .push(Argument::Text(format!("{name}={value}")));
            }
        }
        Ok(inputs)
    }

    fn file(&mut self, option: &str, name: &str, bytes: Vec<u8>) -> Result<()> {
        self.arguments.push(Argument::Text(option.to_owned()));
        self.arguments.push(Argument::File(name.to_owned()));
        self.add(name.to_owned(), bytes)
    }

    fn add(&mut self, name: String, bytes: Vec<u8>) -> Result<()> {
        let known = |one: char| one.is_ascii_alphanumeric() || "._-+/ ".contains(one);
        let is_plain = name
            .split('/')
            .all(|part| !matches!(part, "" | "." | "..") && !part.starts_with('-'));
        ensure!(
            is_plain && name.len() < 256 && name.chars().all(known),
            "the content's file {name:?} has a name that is not sent"
        );
        self.files.push((name, bytes));
        Ok(())
    }
}

/// Looks at a machine over SSH; what was seen there is judged here, by the same content.
pub fn scan_over_ssh(target: &Target, inputs: &Inputs) -> Result<Snapshot> {
    let path = match &target.binary {
        Some(path) => path.clone(),
        None => std::env::current_exe().context("this binary is not found")?,
    };
    let binary = read(&path, MAX_BINARY)?;
    let machine =
        machine(&binary).with_context(|| format!("{} is no binary for Linux", path.display()))?;
    let seconds = target.timeout.as_secs();
    let (payload, run) = script::payload(&binary, inputs, target.sudo, seconds);
    let command = target.command(target.interactive, &script::bootstrap(run, payload.len()));
    let mut session = Session::start(command, target.timeout)?;
    let mut folder = None;
    let seen = talk(&mut session, machine, &payload, &mut folder);
    // Nothing more is read: whatever still writes there ends.
    session.output = None;
    session.input = None;
    let (status, said, in_time) = session.end();
    let is_clean = status
        .and_then(|status| status.code())
        .is_some_and(|code| code != 255);
    if let Some(folder) = folder.filter(|_| !is_clean) {
        // The scripts there remove it when they end; a broken connection may have left it.
        remove(target, &folder);
    }
    let why = || explained(status, &said, target);
    if !in_time {
        bail!("it took longer than {seconds} seconds; {}", why());
    }
    let snapshot = match seen {
        Ok(snapshot) => snapshot,
        Err(error) if status.is_some_and(|status| status.success()) => return Err(error),
        Err(error) if error.is::<Mismatch>() => return Err(error),
        Err(_) => bail!("{}", why()),
    };
    ensure!(status.is_some_and(|status| status.success()), "{}", why());
    Ok(snapshot)
}

/// The binary is for another kind of machine.
#[derive(Debug)]
struct Mismatch(String);

impl fmt::Display for Mismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Mismatch {}

fn talk(
    session: &mut Session,
    machine: &[&str],
    payload: &[u8],
    folder: &mut Option<String>,
) -> Result<Snapshot> {
    let output = session.output.as_mut().context("there is no output")?;
    let (system, architecture) = greeting(output, folder)?;
    if system != "Linux" || !machine.contains(&&*architecture) {
        let ours = machine.first().copied().unwrap_or_default();
        let what = format!(
            "that is a machine of {system} {architecture}, and the binary is for Linux {ours}; \
             give --ssh-binary one that runs there"
        );
        return Err(Mismatch(what).into());
    }
    let mut input = session.input.take().context("there is no input")?;
    input
        .write_all(payload)
        .context("the copying ended early")?;
    drop(input);
    Ok(Snapshot::load(output)?)
}

/// Reads the line that says what machine and which folder it is.
fn greeting(output: &mut impl BufRead, folder: &mut Option<String>) -> Result<(String, String)> {
    let mut output = output.take(MAX_GREETING);
    let mut line = Vec::new();
    loop {
        line.clear();
        ensure!(output.read_until(b'\n', &mut line)? > 0, "no answer came");
        let line = String::from_utf8_lossy(&line);
        let Some(rest) = line.trim_end().strip_prefix(script::MARK) else {
            continue;
        };
        let mut parts = rest.splitn(3, ' ');
        let (Some(system), Some(architecture), Some(place)) =
            (parts.next(), parts.next(), parts.next())
        else {
            bail!("no folder");
        };
        ensure!(is_ours(place), "a folder came that is not ours");
        *folder = Some(place.to_owned());
        return Ok((system.to_owned(), architecture.to_owned()));
    }
}

/// Whether a folder is one that the bootstrap makes: nothing else is ever removed.
fn is_ours(folder: &str) -> bool {
    let known = |one: char| one.is_ascii_alphanumeric() || "._-/+@".contains(one);
    let last = folder.rsplit('/').next().unwrap_or_default();
    folder.starts_with('/')
        && folder.len() < 1024
        && folder.chars().all(known)
        && folder.split('/').all(|part| part != "..")
        && last.strip_prefix("bartizan.").is_some_and(|random| {
            random.len() == 10 && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
}

fn remove(target: &Target, folder: &str) {
    let command = target.command(false, &format!("rm -rf {folder}"));
    if let Ok(mut session) = Session::start(command, CLEANING) {
        session.input = None;
        let _ = session.end();
    }
}

/// What went wrong, from how `ssh` ended and what was said.
fn explained(status: Option<ExitStatus>, said: &str, target: &Target) -> String {
    let code = status.and_then(|status| status.code());
    let lines: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    let tail = lines
        .get(lines.len().saturating_sub(5)..)
        .unwrap_or_default();
    let tail = match tail {
        [] => "nothing was said".to_owned(),
        tail => tail.join("; ").replace(|one: char| one.is_control(), " "),
    };
    let is_loader = said.contains("GLIBC_")
        || (code == Some(127)
            && ["bartizan: not found", "No such file"]
                .iter()
                .any(|words| said.contains(words)));
    let what = match code {
        Some(255) => "the connection failed",
        Some(script::NOWHERE) => "there is no folder there from which programs run",
        Some(script::CUT) => "the copying ended early",
        Some(124 | 137) => "it took too long there",
        _ if is_loader => {
            "the C library there does not fit this binary; give --ssh-binary a static build"
        }
        Some(_) if target.sudo && said.contains("sudo:") => "sudo refused",
        Some(_) => "the run there failed",
        None => "ssh was ended",
    };
    format!("{what}: {tail}")
}

/// The words of `uname -m` for which an ELF binary is.
fn machine(binary: &[u8]) -> Option<&'static [&'static str]> {
    let head = binary.get(..20)?;
    if !head.starts_with(b"\x7fELF") {
        return None;
    }
    let number = match (head.get(5)?, head.get(18)?, head.get(19)?) {
        (1, low, high) => u16::from_le_bytes([*low, *high]),
        (_, high, low) => u16::from_be_bytes([*high, *low]),
    };
    Some(match number {
        3 => &["i686", "i586", "i486", "i386", "x86_64"],
        21 => &["ppc64le", "ppc64"],
        22 => &["s390x"],
        40 => &["armv7l", "armv6l", "armv8l"],
        62 => &["x86_64"],
        183 => &["aarch64"],
        243 => &["riscv64"],
        _ => return None,
    })
}

/// A running `ssh`, which is ended when its time is over.
struct Session {
    child: Arc<Mutex<Child>>,
    input: Option<std::process::ChildStdin>,
    output: Option<BufReader<std::process::ChildStdout>>,
    said: JoinHandle<String>,
    watch: JoinHandle<bool>,
    done: Sender<()>,
}

fn locked(child: &Mutex<Child>) -> MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    fn start(mut command: Command, timeout: Duration) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("ssh cannot be started; is it installed?")?;
        let input = child.stdin.take();
        let output = child.stdout.take().map(BufReader::new);
        let errors = child.stderr.take();
        let child = Arc::new(Mutex::new(child));
        let watched = Arc::clone(&child);
        let (done, over) = channel::<()>();
        let watch = std::thread::spawn(move || {
            let late = over.recv_timeout(timeout) == Err(RecvTimeoutError::Timeout);
            if late {
                let _ = locked(&watched).kill();
            }
            !late
        });
        let said = std::thread::spawn(move || errors.map(last_words).unwrap_or_default());
        Ok(Self {
            child,
            input,
            output,
            said,
            watch,
            done,
        })
    }

    /// Waits for the end: how it ended, what was said, whether it was in time.
    fn end(self) -> (Option<ExitStatus>, String, bool) {
        drop((self.input, self.output));
        let begun = Instant::now();
        let status = loop {
            // The lock is free again before it is taken to end the child.
            let state = locked(&self.child).try_wait();
            match state {
                Ok(Some(status)) => break Some(status),
                Ok(None) if begun.elapsed() < ENDING => {}
                _ => {
                    let mut child = locked(&self.child);
                    let _ = child.kill();
                    break child.wait().ok();
                }
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        drop(self.done);
        let in_time = self.watch.join().unwrap_or(true);
        // What `ssh` started may hold the pipe: the words so far are enough.
        let begun = Instant::now();
        while !self.said.is_finished() && begun.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let said = match self.said.is_finished() {
            true => self.said.join().unwrap_or_default(),
            false => String::new(),
        };
        (status, said, in_time)
    }
}

fn last_words(mut errors: ChildStderr) -> String {
    let mut kept: VecDeque<u8> = VecDeque::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = errors.read(&mut buffer) {
        kept.extend(buffer.get(..count).unwrap_or_default());
        let over = kept.len().saturating_sub(MAX_SAID);
        kept.drain(..over);
    }
    String::from_utf8_lossy(kept.make_contiguous()).into_owned()
}

#[cfg(test)]
mod tests;
