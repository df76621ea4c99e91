//! `pnpm-lock.yaml`, versions 5 to 9. pnpm writes one form of YAML, so lines are enough.

use super::{Catalogued, Cataloguer, input, package_lock};
use crate::tree::{Candidate, File};

/// What pnpm is fixed to.
pub struct PnpmLock;

#[derive(Default)]
struct Block<'t> {
    key: &'t str,
    name: Option<&'t str>,
    version: Option<&'t str>,
}

impl Cataloguer for PnpmLock {
    fn name(&self) -> &'static str {
        "pnpm-lock"
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        file.name() == "pnpm-lock.yaml"
    }

    fn read(&self, file: &File, out: &mut Catalogued) -> Result<(), String> {
        let mut version = None;
        let mut inside = false;
        let mut block = Block::default();
        for line in input::text(file)?.lines() {
            let line = line.trim_end();
            if line.is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            let deep = line.len() - line.trim_start_matches(' ').len();
            let line = line.trim_start_matches(' ');
            match deep {
                0 => {
                    end(file, out, version, &std::mem::take(&mut block));
                    if let Some(said) = line.strip_prefix("lockfileVersion:") {
                        version = Some(major(said)?);
                    }
                    inside = line == "packages:";
                }
                2 if inside => {
                    end(file, out, version, &std::mem::take(&mut block));
                    let key = line.strip_suffix(": {}").or(line.strip_suffix(':'));
                    match key.map(unquoted) {
                        Some(key) => block.key = key,
                        None => {
                            out.unread(&file.path, format!("{} is not understood", short(line)))
                        }
                    }
                }
                4 if inside => match line.split_once(": ") {
                    Some(("name", value)) => block.name = Some(unquoted(value)),
                    Some(("version", value)) => block.version = Some(unquoted(value)),
                    _ => {}
                },
                _ => {}
            }
        }
        end(file, out, version, &block);
        match version {
            Some(_) => Ok(()),
            None => Err("it gives no lockfileVersion".into()),
        }
    }
}

fn major(said: &str) -> Result<u32, String> {
    let text = unquoted(said.trim());
    let major = text.split('.').next().and_then(|m| m.parse().ok());
    match major {
        Some(major @ 5..=9) => Ok(major),
        _ => Err(format!("lockfileVersion {} is not known", short(text))),
    }
}

fn unquoted(text: &str) -> &str {
    text.trim_matches(|c| c == '\'' || c == '"')
}

fn short(line: &str) -> String {
    line.chars().take(80).collect()
}

fn end(file: &File, out: &mut Catalogued, version: Option<u32>, block: &Block<'_>) {
    let key = block.key;
    let local = |text: &str| text.starts_with("file:") || text.starts_with("link:");
    if key.is_empty() || local(key) || key.contains("@file:") || key.contains("@link:") {
        return;
    }
    let (name, told) = match parse(version.unwrap_or_default(), key) {
        Some((name, told)) => (Some(name), Some(told)),
        None => (None, None),
    };
    match (block.name.or(name), block.version.or(told)) {
        (Some(name), Some(version)) => {
            package_lock::package(file, out, name, Some(version), Vec::new())
        }
        _ => out.unread(&file.path, format!("{} is not understood", short(key))),
    }
}

/// Name and version of a key; what peers it was resolved for stands behind the version.
fn parse(version: u32, key: &str) -> Option<(&str, &str)> {
    if version >= 6 {
        let key = key.split('(').next()?.trim_start_matches('/');
        let (name, version) = key.rsplit_once('@')?;
        return (!name.is_empty()).then_some((name, version));
    }
    // Of another registry: its host stands first.
    let (_, path) = key.split_once('/')?;
    let (name, version) = match path.starts_with('@') {
        true => {
            let slash = path.find('/')? + 1;
            let end = path.get(slash..)?.find('/')? + slash;
            (path.get(..end)?, path.get(end + 1..)?)
        }
        false => path.split_once('/')?,
    };
    let version = version.split(['_', '/']).next()?;
    version
        .starts_with(|c: char| c.is_ascii_digit())
        .then_some((name, version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::input::told;

    #[test]
    fn versions_five_six_and_nine_are_read() {
        let five = "lockfileVersion: 5.4\n\nimporters:\n\n  .:\n    specifiers:\n      a: 1\n\npackages:\n\n  /@babel/core/7.1.0:\n    resolution: {integrity: sha512-x}\n    dev: true\n\n  /foo/1.0.0_react@16.0.0:\n    resolution: {integrity: x}\n\n  registry.example.org/bar/2.0.0:\n    resolution: {integrity: x}\n\n  github.com/u/r/0123abc:\n    resolution: {tarball: x}\n    name: r\n    version: 3.0.0\n";
        let (purls, unread) = told(&PnpmLock, "pnpm-lock.yaml", five);
        assert_eq!(
            purls,
            [
                "pkg:npm/%40babel/core@7.1.0",
                "pkg:npm/bar@2.0.0",
                "pkg:npm/foo@1.0.0",
                "pkg:npm/r@3.0.0"
            ]
        );
        assert!(unread.is_empty(), "{unread:?}");
        let six = "lockfileVersion: '6.0'\n\npackages:\n\n  /@babel/core@7.1.0:\n    resolution: {integrity: x}\n\n  /foo@1.0.0(react@16.0.0)(@s/x@1.0.0):\n    resolution: {integrity: x}\n";
        let (purls, _) = told(&PnpmLock, "pnpm-lock.yaml", six);
        assert_eq!(purls, ["pkg:npm/%40babel/core@7.1.0", "pkg:npm/foo@1.0.0"]);
        let nine = "lockfileVersion: '9.0'\n\npackages:\n\n  '@babel/core@7.1.0':\n    resolution: {integrity: x}\n\n  foo@1.0.0:\n    resolution: {integrity: x}\n\n  mine@file:../mine:\n    resolution: {directory: ../mine, type: directory}\n\nsnapshots:\n\n  foo@1.0.0(react@16.0.0): {}\n";
        let (purls, unread) = told(&PnpmLock, "pnpm-lock.yaml", nine);
        assert_eq!(purls, ["pkg:npm/%40babel/core@7.1.0", "pkg:npm/foo@1.0.0"]);
        assert!(unread.is_empty(), "{unread:?}");
        for broken in ["packages:\n", "lockfileVersion: 99\n", "\t- ["] {
            assert_eq!(
                told(&PnpmLock, "pnpm-lock.yaml", broken).1.len(),
                1,
                "{broken}"
            );
        }
    }
}
