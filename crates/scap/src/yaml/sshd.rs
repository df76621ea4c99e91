//! The SSH server's configuration: the first value of a keyword counts, files are included
//! where the include stands, and `Match` blocks hold values of their own.

use super::evaluate::judge;
use super::facts::Facts;
use super::question::Sshd;
use super::verdict::{Verdict, all};
use std::collections::BTreeMap;
use std::path::Path;

const FILE: &str = "/etc/ssh/sshd_config";

/// How deep files include others; OpenSSH's own bound is 16.
const MAX_DEPTH: usize = 16;

/// The most lines that are read.
const MAX_LINES: usize = 100_000;

/// A keyword that is set.
struct Set<'a> {
    keyword: &'a str,
    value: String,
    /// File and line.
    place: String,
    within_match: bool,
}

/// What the SSH server is told.
#[derive(Debug, Default)]
pub struct SshdSettings {
    /// By keyword all values outside of `Match`; of most keywords the first one counts.
    pub first: BTreeMap<String, Vec<String>>,
    /// Within `Match` blocks.
    pub matched: Vec<(String, String)>,
}

/// What hears of each keyword.
type Hear<'h> = dyn FnMut(Set<'_>) + 'h;

impl Facts<'_> {
    /// Answers a question about a keyword.
    pub fn sshd(&self, asked: &Sshd) -> Result<Verdict, String> {
        let file = FILE;
        let mut first = None;
        let mut matched = Vec::new();
        self.read_sshd(&mut |set| {
            if !set.keyword.eq_ignore_ascii_case(&asked.keyword) {
            } else if set.within_match {
                matched.push((set.place, set.value));
            } else if first.is_none() {
                first = Some((set.place, set.value));
            }
        })?;
        let mut parts = vec![judge(
            &asked.keyword,
            first,
            asked.default.as_deref(),
            &asked.expect,
            file,
        )?];
        for value in matched {
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

    /// Every keyword in lower case with its values outside of `Match`, then what
    /// stands in `Match` blocks, as keyword and value.
    pub fn sshd_settings(&self) -> Result<SshdSettings, String> {
        let mut settings = SshdSettings::default();
        self.read_sshd(&mut |set| {
            let keyword = set.keyword.to_ascii_lowercase();
            if set.within_match {
                settings.matched.push((keyword, set.value));
            } else if let Some(values) = settings.first.get_mut(&keyword) {
                values.push(set.value);
            } else {
                settings.first.insert(keyword, vec![set.value]);
            }
        })?;
        Ok(settings)
    }

    /// Reads the configuration in its order.
    fn read_sshd(&self, hear: &mut Hear<'_>) -> Result<(), String> {
        self.need(FILE)?;
        self.read_file(Path::new(FILE), false, 0, &mut 0, hear)
    }

    fn read_file(
        &self,
        path: &Path,
        within_match: bool,
        depth: usize,
        lines: &mut usize,
        hear: &mut Hear<'_>,
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
            *lines += 1;
            if *lines > MAX_LINES {
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
                        self.read_file(&included, within_match, depth + 1, lines, hear)?;
                    }
                }
            } else {
                hear(Set {
                    keyword: key,
                    value: words(value).join(" "),
                    place: format!("{}:{}", path.display(), at + 1),
                    within_match,
                });
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
