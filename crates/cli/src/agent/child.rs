//! A scan as a child process: its progress, its last words, its end.

use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

/// The variable that makes a scan write its progress as lines.
pub const PROGRESS: &str = "BARTIZAN_PROGRESS";
/// Lines of standard error that are kept.
const KEPT: usize = 8;
/// The longest line that is looked at.
const MAX_LINE: u64 = 64 << 10;

/// How far a scan is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Rules done.
    pub done: u64,
    /// Rules in all.
    pub total: Option<u64>,
    /// What is in hand.
    pub message: String,
}

#[derive(Default)]
struct Heard {
    progress: Progress,
    last: VecDeque<String>,
}

/// A running scan. Dropping it stops it.
pub struct Child {
    process: std::process::Child,
    heard: Arc<Mutex<Heard>>,
    listener: Option<std::thread::JoinHandle<()>>,
}

impl Child {
    /// Starts this program anew with these arguments, in a process group of its own.
    pub fn start(arguments: &[String]) -> Result<Self> {
        let program = std::env::current_exe().context("this program does not find itself")?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env(PROGRESS, "lines")
            // The report is handed in from here: the child needs neither address nor secret.
            .env_remove("BARTIZAN_SERVER")
            .env_remove("BARTIZAN_TOKEN")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut process = command.spawn().context("the scan cannot be started")?;
        let heard = Arc::new(Mutex::new(Heard::default()));
        let listener = process.stderr.take().map(|stderr| {
            let heard = Arc::clone(&heard);
            std::thread::spawn(move || listen(stderr, &heard))
        });
        Ok(Self {
            process,
            heard,
            listener,
        })
    }

    /// Whether it ended, and if so, whether well.
    pub fn ended(&mut self) -> Result<Option<bool>> {
        let status = self.process.try_wait().context("the scan is lost")?;
        if status.is_some()
            && let Some(listener) = self.listener.take()
        {
            // It ends with the pipe; what it heard last says why a scan failed.
            let _ = listener.join();
        }
        Ok(status.map(|status| status.success()))
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.lock().progress.clone()
    }

    /// What it said last.
    pub fn last_words(&self) -> String {
        let heard = self.lock();
        let words: Vec<&str> = heard.last.iter().map(String::as_str).collect();
        if words.is_empty() {
            return "it does not say why".to_owned();
        }
        words.join("; ")
    }

    /// Stops it with all that it started.
    pub fn stop(&mut self) {
        if matches!(self.process.try_wait(), Ok(Some(_))) {
            return;
        }
        #[cfg(unix)]
        if let Some(group) = i32::try_from(self.process.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.stop();
    }
}

fn listen(stderr: impl Read, heard: &Mutex<Heard>) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        // A longer line is taken for several.
        match (&mut stderr).take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        hear(&mut heard, text.trim());
    }
}

fn hear(heard: &mut Heard, line: &str) {
    if let Some(progress) = progress(line) {
        heard.progress = progress;
    } else if !line.is_empty() {
        heard.last.push_back(line.chars().take(300).collect());
        if heard.last.len() > KEPT {
            heard.last.pop_front();
        }
    }
}

fn progress(line: &str) -> Option<Progress> {
    if !line.starts_with("{\"progress\":") {
        return None;
    }
    let line: Value = serde_json::from_str(line).ok()?;
    let progress = line.get("progress")?;
    Some(Progress {
        done: progress.get("done")?.as_u64()?,
        total: progress.get("total").and_then(Value::as_u64),
        message: progress.get("message")?.as_str()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_and_words_are_told_apart() {
        let said = "no --content: the own baseline is used\n\
                    {\"progress\":{\"done\":1,\"total\":9,\"message\":\"a\"}}\n\
                    {\"progress\":{\"done\":2,\"total\":null,\"message\":\"b\"}}\nerror: x";
        let heard = Mutex::new(Heard::default());
        listen(said.as_bytes(), &heard);
        let heard = heard.into_inner().unwrap();
        let expected = Progress {
            done: 2,
            total: None,
            message: "b".into(),
        };
        assert_eq!(heard.progress, expected);
        assert_eq!(heard.last.len(), 2);
        assert_eq!(heard.last.back().unwrap(), "error: x");
        let mut long = Heard::default();
        for n in 0..20 {
            hear(&mut long, &n.to_string());
        }
        assert_eq!((long.last.len(), long.last[0].as_str()), (KEPT, "12"));
    }
}
