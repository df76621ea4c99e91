//! What people see: errors, lines, colour.

use bartizan_model::text::{self, one_line};
use std::io::{self, IsTerminal, Write};
use std::path::Path;

/// Whether standard output takes colour.
pub fn colour() -> bool {
    io::stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
        && std::env::var("TERM").map_or(true, |t| t != "dumb")
}

/// Columns of the terminal, or 100.
pub fn width() -> u16 {
    std::env::var("COLUMNS")
        .ok()
        .and_then(|c| c.parse().ok())
        .unwrap_or(100)
}

/// Prints an error with its causes to standard error.
pub fn error(error: &anyhow::Error) {
    let (red, off) = if io::stderr().is_terminal() {
        ("\x1b[1;31m", "\x1b[0m")
    } else {
        ("", "")
    };
    let mut out = io::stderr().lock();
    let _ = writeln!(out, "{red}error:{off} {error}");
    for cause in error.chain().skip(1) {
        let _ = writeln!(out, "  because: {cause}");
    }
}

/// Prints one line to standard error: progress and remarks, never results.
pub fn remark(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes to standard output.
pub fn bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(())
}

/// Writes a line to standard output.
pub fn line(text: &str) -> anyhow::Result<()> {
    bytes(format!("{text}\n").as_bytes())
}

/// A stranger's text, made harmless for one line of a terminal.
pub fn plain(text: &str, most: usize) -> String {
    one_line(&text::plain(text, most))
}

/// Writes to the file, or to standard output when there is none.
pub fn to(path: Option<&Path>, content: &[u8]) -> anyhow::Result<()> {
    match path {
        Some(path) => std::fs::write(path, content)
            .map_err(|e| anyhow::anyhow!("cannot write {}: {e}", path.display())),
        None => bytes(content),
    }
}

/// A pipe whose reader has left, as `head` does, is no error.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

/// `✓` or `✗` with the colour of its meaning.
pub fn mark(good: bool) -> &'static str {
    match (good, colour()) {
        (true, true) => "\x1b[32m✓\x1b[0m",
        (true, false) => "✓",
        (false, true) => "\x1b[31m✗\x1b[0m",
        (false, false) => "✗",
    }
}
