//! A git repository as a source: its last commit's files, each known by git's own name of it, so
//! that what did not change is not even read.

use bartizan_stream::source::shelf::{Each, Want};
use bartizan_stream::source::{Place, Shelf, Source, SourceError, Unit};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The most files of a commit, and the longest line of git's answers.
const MAX_FILES: usize = 3_000_000;
const MAX_LINE: u64 = 8192;

/// A git that runs. Whoever stops half-way ends it too: it would wait for a reader.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A repository.
struct Repository(PathBuf);

/// The shelf of a source whose place is a git repository, with or without a work tree.
pub fn shelf(source: &Source) -> Option<Box<dyn Shelf>> {
    let Place::Path(path) = &source.place else {
        return None;
    };
    let bare = path.join("HEAD").is_file() && path.join("objects").is_dir();
    if bare || path.join(".git").exists() {
        return Some(Box::new(Repository(path.clone())));
    }
    None
}

fn unreadable(path: &Path, why: impl ToString) -> SourceError {
    SourceError::Unreadable {
        what: path.display().to_string(),
        why: why.to_string(),
    }
}

impl Repository {
    fn git(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .arg("-C")
            .arg(&self.0)
            // Only objects are read: whose files they are does not matter.
            .args(["-c", "safe.directory=*", "-c", "core.fsmonitor=false"])
            .args(arguments)
            .env("GIT_OPTIONAL_LOCKS", "0")
            .stderr(Stdio::null());
        command
    }

    fn spawn(&self, command: &mut Command) -> Result<Running, SourceError> {
        command
            .spawn()
            .map(Running)
            .map_err(|e| unreadable(&self.0, format!("git cannot be run: {e}")))
    }

    /// Names and blobs of the last commit that are wanted and not known.
    fn listed(&self, want: &Want<'_>) -> Result<Vec<(String, String)>, SourceError> {
        let mut child = self.spawn(
            self.git(&["ls-tree", "-r", "-z", "--full-tree", "HEAD"])
                .stdout(Stdio::piped()),
        )?;
        let mut found = Vec::new();
        if let Some(out) = child.0.stdout.take() {
            let mut out = BufReader::new(out);
            let mut line = Vec::new();
            loop {
                line.clear();
                let read = (&mut out).take(MAX_LINE).read_until(0, &mut line);
                if read.map_err(|e| unreadable(&self.0, e))? == 0 {
                    break;
                }
                let text = String::from_utf8_lossy(line.strip_suffix(b"\0").unwrap_or(&line));
                let Some((head, name)) = text.split_once('\t') else {
                    continue;
                };
                let mut head = head.split(' ');
                // Links and submodules are no files.
                let file = head.next().is_some_and(|mode| mode.starts_with("100"));
                let Some(blob) = head.nth(1).filter(|_| file) else {
                    continue;
                };
                if (want.name)(name) && !(want.known)(name, blob) {
                    found.push((name.to_owned(), blob.to_owned()));
                }
                if found.len() > MAX_FILES {
                    return Err(unreadable(&self.0, format!("more than {MAX_FILES} files")));
                }
            }
        }
        let ended = child.0.wait().map_err(|e| unreadable(&self.0, e))?;
        if !ended.success() {
            return Err(unreadable(&self.0, "git cannot list its last commit"));
        }
        Ok(found)
    }
}

impl Shelf for Repository {
    fn files(&mut self, want: &Want<'_>, each: &mut Each<'_>) -> Result<(), SourceError> {
        let listed = self.listed(want)?;
        if listed.is_empty() {
            return Ok(());
        }
        let mut child = self.spawn(
            self.git(&["cat-file", "--batch", "--buffer"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped()),
        )?;
        let (Some(mut into), Some(out)) = (child.0.stdin.take(), child.0.stdout.take()) else {
            return Err(unreadable(&self.0, "git has no pipes"));
        };
        let blobs: String = listed.iter().map(|(_, blob)| format!("{blob}\n")).collect();
        // On a thread of its own: git answers before it has read all that it is asked.
        let asking = std::thread::spawn(move || into.write_all(blobs.as_bytes()));
        let mut out = BufReader::with_capacity(1 << 16, out);
        let mut read = Ok(());
        for (name, blob) in listed {
            read = one(&mut out, want.max_bytes)
                .map_err(|e| unreadable(&self.0, e))
                .and_then(|content| {
                    each(Unit {
                        name,
                        tag: Some(blob),
                        content,
                    })
                });
            if read.is_err() {
                break;
            }
        }
        drop(child);
        let _ = asking.join();
        read
    }
}

/// The next answer: `<name> blob <size>`, the bytes, a line's end.
fn one(out: &mut impl BufRead, max: usize) -> std::io::Result<Result<Vec<u8>, String>> {
    let mut head = String::new();
    out.by_ref().take(MAX_LINE).read_line(&mut head)?;
    if head.is_empty() {
        return Err(std::io::Error::other("git's answer broke off"));
    }
    let size = head
        .trim_end()
        .rsplit(' ')
        .next()
        .and_then(|n| n.parse::<u64>().ok());
    let Some(size) = size else {
        return Ok(Err(format!("git does not have it: {}", head.trim_end())));
    };
    let wanted = size <= max as u64;
    let content = if wanted {
        let mut bytes = Vec::new();
        out.by_ref().take(size).read_to_end(&mut bytes)?;
        Ok(bytes)
    } else {
        std::io::copy(&mut out.by_ref().take(size), &mut std::io::sink())?;
        Err(format!(
            "{size} bytes are more than the {max} that are read"
        ))
    };
    let mut end = [0; 1];
    out.read_exact(&mut end)?;
    Ok(content)
}
