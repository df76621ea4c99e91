//! Questions answered.

use super::facts::{Facts, secret};
use super::question::{File, Kind, Lines, Missing, Presence, Question, Separator, Setting, Wins};
use super::verdict::{MAX_EVIDENCE, Verdict, all, any, evidence, short};
use crate::system::FileKind;
use bartizan_model::{Evidence, Outcome};
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl Facts<'_> {
    /// Answers a question.
    pub fn ask(&self, question: &Question) -> Verdict {
        match question {
            Question::All(parts) => all(parts.iter().map(|part| self.ask(part)).collect()),
            Question::Any(parts) => any(parts.iter().map(|part| self.ask(part)).collect()),
            Question::Not(part) => self.ask(part).negated(),
            Question::File(file) => self.file(file),
            Question::Lines(lines) => self.lines(lines).unwrap_or_else(Verdict::unknown),
            Question::Setting(setting) => self.setting(setting).unwrap_or_else(Verdict::unknown),
            Question::Sshd(sshd) => self.sshd(sshd).unwrap_or_else(Verdict::unknown),
            Question::Package(package) => self.package(package),
            Question::Service(service) => self.service(service),
            Question::Sysctl(sysctl) => self.sysctl(sysctl).unwrap_or_else(Verdict::unknown),
            Question::Mount(mount) => self.mount(mount).unwrap_or_else(Verdict::unknown),
            Question::Accounts(accounts) => {
                self.accounts(accounts).unwrap_or_else(Verdict::unknown)
            }
            Question::ModuleDisabled(module) => self
                .module_disabled(module)
                .unwrap_or_else(Verdict::unknown),
            Question::Find(find) => self.find(find),
        }
    }

    /// Answers a check: its `when` first.
    pub fn answer(&self, when: Option<&Question>, question: &Question) -> Verdict {
        if let Some(when) = when {
            let met = self.ask(when);
            match met.outcome {
                Outcome::Pass => {}
                Outcome::Fail => return Verdict::not_applicable(met.message).with(met.evidence),
                Outcome::NotApplicable { .. } => return met,
                Outcome::Unknown { why } => {
                    return Verdict::unknown(format!("whether it applies: {why}"));
                }
            }
        }
        self.ask(question)
    }

    fn file(&self, file: &File) -> Verdict {
        let mut parts = Vec::new();
        for pattern in &file.path.0 {
            match self.paths(pattern) {
                Err(why) => parts.push(Verdict::unknown(why)),
                Ok(paths) if paths.is_empty() => {
                    parts.push(none(file, pattern));
                }
                Ok(paths) => parts.extend(
                    paths
                        .iter()
                        .map(|path| self.one_file(file, path).unwrap_or_else(Verdict::unknown)),
                ),
            }
        }
        all(parts)
    }

    fn one_file(&self, file: &File, path: &Path) -> Result<Verdict, String> {
        let shown = path.to_string_lossy();
        let own = matches!(file.kind, Some(Kind::Link))
            || file.target.is_some()
            || file.state == Presence::Absent;
        let metadata = if own {
            self.lstat(path)?
        } else {
            self.stat(path)?
        };
        let Some(metadata) = metadata else {
            return Ok(none(file, &shown));
        };
        if file.state == Presence::Absent {
            let list = vec![evidence(&*shown, metadata.kind.word(), "absent")];
            return Ok(Verdict::of(false, format!("{shown} exists"), list));
        }
        let mut wrong: Vec<(String, Evidence)> = Vec::new();
        let kind = file.kind.map(|kind| match kind {
            Kind::Regular => FileKind::Regular,
            Kind::Directory => FileKind::Directory,
            Kind::Link => FileKind::SymbolicLink,
        });
        if let Some(kind) = kind.filter(|kind| *kind != metadata.kind) {
            let actual = metadata.kind.word();
            wrong.push((
                format!("{shown} is a {actual}"),
                evidence(&*shown, actual, kind.word()),
            ));
        }
        if let Some(target) = &file.target {
            let found = self.link(path)?.unwrap_or_default();
            if found != Path::new(target) {
                let actual = found.to_string_lossy();
                wrong.push((
                    format!("{shown} does not point to {target}"),
                    evidence(format!("{shown} target"), &actual, target),
                ));
            }
        }
        for (what, names, number) in [
            ("owner", &file.owner.0, metadata.uid),
            ("group", &file.group.0, metadata.gid),
        ] {
            if names.is_empty() {
                continue;
            }
            let mut found = false;
            let mut fault = None;
            for name in names {
                // Without its table root is still 0.
                let known = match (name.as_str(), what) {
                    ("root", _) => Ok(0),
                    (name, "owner") => self.uid(name),
                    (name, _) => self.gid(name),
                };
                match known {
                    Ok(known) => found |= known == number,
                    Err(why) if why.starts_with("there is no ") => {}
                    Err(why) => fault = Some(why),
                }
            }
            if found {
                continue;
            }
            if let Some(why) = fault {
                return Err(why);
            }
            let list = evidence(
                format!("{shown} {what}"),
                number.to_string(),
                names.join(" or "),
            );
            wrong.push((format!("{shown}: {what} is {number}"), list));
        }
        if let Some(most) = file.mode.filter(|most| metadata.mode & !most.0 != 0) {
            let actual = format!("{:04o}", metadata.mode);
            wrong.push((
                format!("{shown}: mode is {actual}"),
                evidence(
                    format!("{shown} mode"),
                    &actual,
                    format!("at most {:04o}", most.0),
                ),
            ));
        }
        if wrong.is_empty() {
            let actual = format!(
                "{}, {:04o} {}:{}",
                metadata.kind.word(),
                metadata.mode,
                metadata.uid,
                metadata.gid
            );
            let list = vec![evidence(&*shown, actual, "as it is")];
            return Ok(Verdict::of(true, format!("{shown} is as asked"), list));
        }
        let (messages, list): (Vec<_>, Vec<_>) = wrong.into_iter().unzip();
        Ok(Verdict::of(false, messages.join("; "), list))
    }

    /// The texts of the files that the patterns name, in their order.
    fn texts(&self, patterns: &[String]) -> Result<Vec<(PathBuf, Arc<str>)>, String> {
        let mut texts = Vec::new();
        for pattern in patterns {
            for path in self.paths(pattern)? {
                if let Some(text) = self.text(&path)? {
                    texts.push((path, text));
                }
            }
        }
        Ok(texts)
    }

    fn lines(&self, asked: &Lines) -> Result<Verdict, String> {
        let texts = self.texts(&asked.path.0)?;
        if texts.is_empty() {
            return Ok(missing(asked.missing, &asked.path.0));
        }
        let mut parts = Vec::new();
        let groups: Vec<&[(PathBuf, Arc<str>)]> = if asked.each {
            texts.chunks(1).collect()
        } else {
            vec![&texts]
        };
        for group in groups {
            let lines: Vec<(&Path, usize, &str)> = group
                .iter()
                .flat_map(|(path, text)| {
                    text.lines()
                        .enumerate()
                        .map(|(at, line)| (path.as_path(), at + 1, line))
                })
                .filter(|(_, _, line)| {
                    asked.comment.is_empty() || !line.trim_start().starts_with(&asked.comment)
                })
                .collect();
            let paths: Vec<_> = group.iter().map(|(p, _)| p.to_string_lossy()).collect();
            let place = short(&paths.join(", "));
            for pattern in &asked.matches {
                let found = lines.iter().find(|(_, _, line)| pattern.0.is_match(line));
                let expected = format!("a line that matches {}", pattern.0);
                parts.push(match found {
                    Some((path, at, line)) => Verdict::of(
                        true,
                        format!("{}:{at} is as asked", path.display()),
                        vec![shown(path, *at, line, &expected)],
                    ),
                    None => Verdict::of(
                        false,
                        format!("{place}: no line is as asked"),
                        vec![evidence(&place, "no such line", &expected)],
                    ),
                });
            }
            for pattern in &asked.none_match {
                let expected = format!("no line that matches {}", pattern.0);
                let found: Vec<_> = lines
                    .iter()
                    .filter(|(_, _, line)| pattern.0.is_match(line))
                    .take(MAX_EVIDENCE)
                    .collect();
                parts.push(match found.first() {
                    None => Verdict::of(
                        true,
                        format!("{place}: no line is against it"),
                        vec![evidence(&place, "no such line", &expected)],
                    ),
                    Some((path, at, _)) => Verdict::of(
                        false,
                        format!("{}:{at} is against it", path.display()),
                        found
                            .iter()
                            .map(|(path, at, line)| shown(path, *at, line, &expected))
                            .collect(),
                    ),
                });
            }
        }
        Ok(all(parts))
    }

    fn setting(&self, asked: &Setting) -> Result<Verdict, String> {
        let texts = self.texts(&asked.path.0)?;
        if texts.is_empty() {
            return Ok(missing(asked.missing, &asked.path.0));
        }
        let mut value: Option<(String, String)> = None;
        for (path, text) in &texts {
            let mut section = String::new();
            for (at, line) in text.lines().enumerate() {
                let line = line.trim();
                if line.is_empty() || line.starts_with(['#', ';']) {
                    continue;
                }
                if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                    section = name.trim().to_owned();
                    continue;
                }
                if asked
                    .section
                    .as_ref()
                    .is_some_and(|wanted| *wanted != section)
                {
                    continue;
                }
                let split = match asked.separator {
                    Separator::Equals => line.split_once('='),
                    Separator::Space => line.split_once([' ', '\t']),
                };
                let Some((key, found)) = split else { continue };
                if key.trim() != asked.key {
                    continue;
                }
                let found = found.trim().trim_matches(['"', '\'']).to_owned();
                let place = format!("{}:{}", path.display(), at + 1);
                if asked.wins == Wins::Last || value.is_none() {
                    value = Some((place, found));
                }
            }
        }
        let file = texts
            .last()
            .map_or_else(String::new, |(path, _)| path.to_string_lossy().into_owned());
        judge(
            &asked.key,
            value,
            asked.default.as_deref(),
            &asked.expect,
            &file,
        )
    }
}

/// Judges a value that was found, or the default.
pub fn judge(
    key: &str,
    found: Option<(String, String)>,
    default: Option<&str>,
    expect: &super::expect::Expect,
    file: &str,
) -> Result<Verdict, String> {
    let wanted = expect.words();
    match (found, default) {
        (Some((place, value)), _) => {
            let holds = expect
                .holds(&value)
                .map_err(|why| format!("{place}: {key}: {why}"))?;
            let list = vec![evidence(format!("{place} {key}"), &value, wanted)];
            Ok(Verdict::of(
                holds,
                format!("{key} is {value} at {place}"),
                list,
            ))
        }
        (None, Some(value)) => {
            let holds = expect.holds(value).map_err(|why| format!("{key}: {why}"))?;
            let actual = format!("not set: {value} by default");
            let list = vec![evidence(format!("{file} {key}"), &actual, wanted)];
            Ok(Verdict::of(holds, format!("{key} is {actual}"), list))
        }
        (None, None) => {
            let list = vec![evidence(format!("{file} {key}"), "not set", wanted)];
            Ok(Verdict::of(false, format!("{key} is not set"), list))
        }
    }
}

/// A path that is not there.
fn none(file: &File, shown: &str) -> Verdict {
    let message = format!("{shown} does not exist");
    if file.state == Presence::Absent {
        return Verdict::of(true, message, vec![evidence(shown, "absent", "absent")]);
    }
    let list = vec![evidence(shown, "absent", "present")];
    match file.missing.unwrap_or(Missing::Fail) {
        Missing::Unknown => Verdict::unknown(message).with(list),
        Missing::Pass => Verdict::of(true, message, list),
        Missing::Fail => Verdict::of(false, message, list),
    }
}

fn missing(means: Missing, patterns: &[String]) -> Verdict {
    let place = patterns.join(", ");
    let message = format!("there is no {place}");
    let list = vec![evidence(&place, "absent", "present")];
    match means {
        Missing::Unknown => Verdict::unknown(message).with(list),
        Missing::Pass => Verdict::of(true, message, list),
        Missing::Fail => Verdict::of(false, message, list),
    }
}

fn shown(path: &Path, at: usize, line: &str, expected: &str) -> Evidence {
    let actual = if secret(path) {
        "(not shown)"
    } else {
        line.trim()
    };
    evidence(format!("{}:{at}", path.display()), actual, expected)
}
