//! A program run under limits: a clean environment, its own process group, a time limit, and
//! bounded output.

use bartizan_scap::xccdf::script::Ran;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Where programs are looked for.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// After the program ended, its output is waited for so long.
const LAST_OUTPUT: Duration = Duration::from_secs(2);
/// A file that was just written may be busy in a process that is being made.
const BUSY_TRIES: u32 = 20;

/// How far a program may go.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long it may run.
    pub time: Duration,
    /// How many bytes of each output are kept; the rest is read and dropped.
    pub output: usize,
    /// Whether what it left running may go on, such as a service that it started.
    pub leave: bool,
}

/// Runs a program directly, without a shell; `environment` and a search path are all that it
/// inherits. Whatever it leaves running in its group is stopped too, unless it may stay.
pub fn run(
    program: &Path,
    arguments: &[&Path],
    environment: &[(String, String)],
    limits: Limits,
) -> Result<Ran, String> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut child = spawn(&mut command)?;
    let stdout = child.stdout.take().map(|out| drain(out, limits.output));
    let stderr = child.stderr.take().map(|out| drain(out, limits.output));
    let ended = wait(&mut child, limits.time);
    if !limits.leave || !matches!(ended, Ok(Some(_))) {
        stop_group(&child);
    }
    let status = match ended {
        Ok(Some(status)) => status,
        Ok(None) => {
            // The group was killed: this ends at once.
            let _ = child.wait();
            return Err(format!(
                "it ran longer than {} seconds and was stopped",
                limits.time.as_secs()
            ));
        }
        Err(error) => return Err(error.to_string()),
    };
    let output = |from: Option<Output>| from.map(Output::take).unwrap_or_default();
    Ok(Ran {
        status: status.code().filter(|_| status.signal().is_none()),
        stdout: output(stdout),
        stderr: output(stderr),
    })
}

fn spawn(command: &mut Command) -> Result<Child, String> {
    let mut tries = 0;
    loop {
        match command.spawn() {
            Err(error)
                if error.kind() == std::io::ErrorKind::ExecutableFileBusy && tries < BUSY_TRIES =>
            {
                tries += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                return Err(format!(
                    "{error}: the folder for temporary files may forbid programs; set TMPDIR to another"
                ));
            }
            other => return other.map_err(|error| error.to_string()),
        }
    }
}

/// None when time is up.
fn wait(child: &mut Child, time: Duration) -> std::io::Result<Option<std::process::ExitStatus>> {
    let until = Instant::now() + time;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= until {
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

fn stop_group(child: &Child) {
    let leader = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(leader) = leader {
        // There may be none left.
        let _ = kill_process_group(leader, Signal::KILL);
    }
}

/// What a program prints, read to the end of which the beginning is kept. By a thread, for
/// whoever holds the pipe open after the program must not hold us.
struct Output {
    kept: Arc<Mutex<Vec<u8>>>,
    ended: Receiver<()>,
}

impl Output {
    fn take(self) -> Vec<u8> {
        let _ = self.ended.recv_timeout(LAST_OUTPUT);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut kept)
    }
}

fn drain(mut from: impl Read + Send + 'static, most: usize) -> Output {
    let (send, ended) = channel();
    let kept = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&kept);
    std::thread::spawn(move || {
        let mut buffer = [0u8; 8192];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let mut kept = into.lock().unwrap_or_else(PoisonError::into_inner);
            let room = most.saturating_sub(kept.len()).min(read);
            kept.extend_from_slice(buffer.get(..room).unwrap_or_default());
        }
        let _ = send.send(());
    });
    Output { kept, ended }
}
