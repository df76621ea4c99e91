//! The SSH server's configuration: the first value of a keyword counts, files are included
//! where the include stands, and `Match` blocks hold values of their own.

use super::evaluate::judge;
use super::facts::Facts;
use super::question::Sshd;
use super::verdict::{Verdict, all};
use std::path::Path;

/// How deep files include others; OpenSSH's own bound is 16.
const MAX_DEPTH: usize = 16;

/// The most lines that are read.
const MAX_LINES: usize = 100_000;

/// Values of one keyword.
#[derive(Debug, Default)]
struct Values {
    /// The first outside of `Match`, with its place.
    first: Option<(String, String)>,
    /// Those in `Match` blocks.
    matched: Vec<(String, String)>,
    lines: usize,
}

impl Facts<'_> {
    /// Answers a question about a keyword.
    pub fn sshd(&self, asked: &Sshd) -> Result<Verdict, String> {
        let file = "/etc/ssh/sshd_config";
        self.need(file)?;
        let mut values = Values::default();
        self.read_sshd(Path::new(file), &asked.keyword, false, 0, &mut values)?;
        let mut parts = vec![judge(
            &asked.keyword,
            values.first,
            asked.default.as_deref(),
            &asked.expect,
            file,
        )?];
        for value in values.matched {
            parts.push(judge(
                &asked.keyword,
                Some(value),
                None,
                &asked.expect,
                file,
            )?);
        }
        Ok(all(parts))
    }

    fn read_sshd(
        &self,
        path: &Path,
        keyword: &str,
        within_match: bool,
        depth: usize,
        values: &mut Values,
    ) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("{}: includes nest too deep", path.display()));
        }
        let Some(text) = self.text(path)? else {
            return Ok(());
        };
        // A Match block ends with its file.
        let mut within_match = within_match;
        for (at, line) in text.lines().enumerate() {
            values.lines += 1;
            if values.lines > MAX_LINES {
                return Err("the SSH server's configuration is too long".to_owned());
            }
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let end = line.find([' ', '\t', '=']).unwrap_or(line.len());
            let (key, value) = line.split_at(end);
            let value = value.trim_start_matches([' ', '\t', '=']).trim();
            if key.eq_ignore_ascii_case("Match") {
                within_match = !value.eq_ignore_ascii_case("all");
            } else if key.eq_ignore_ascii_case("Include") {
                for pattern in words(value) {
                    let pattern = if pattern.starts_with('/') {
                        pattern
                    } else {
                        format!("/etc/ssh/{pattern}")
                    };
                    for included in self.paths(&pattern)? {
                        self.read_sshd(&included, keyword, within_match, depth + 1, values)?;
                    }
                }
            } else if key.eq_ignore_ascii_case(keyword) {
                let place = format!("{}:{}", path.display(), at + 1);
                let value = words(value).join(" ");
                if within_match {
                    values.matched.push((place, value));
                } else if values.first.is_none() {
                    values.first = Some((place, value));
                }
            }
        }
        Ok(())
    }
}

/// Arguments, quotes taken away; what follows ` #` is a comment.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for character in text.chars() {
        match character {
            '"' => quoted = !quoted,
            '#' if !quoted && word.is_empty() => break,
            ' ' | '\t' if !quoted => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            other => word.push(other),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}
