//! `poetry.lock`, `uv.lock`, `pdm.lock` and `pylock.toml`: TOML with a list of packages.

use super::{Catalogued, Cataloguer, input, python_dist};
use crate::tree::{Candidate, File};
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Value;

/// What a Python project is fixed to.
pub struct PoetryLock;

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Locked>,
    #[serde(default)]
    packages: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: Option<String>,
    source: Option<BTreeMap<String, Value>>,
    path: Option<Value>,
    directory: Option<Value>,
}

impl Locked {
    fn is_local(&self) -> bool {
        let source = self.source.as_ref();
        let local = |key: &str| matches!(key, "editable" | "virtual" | "path" | "directory");
        let kind = source.and_then(|s| s.get("type")).and_then(Value::as_str);
        self.path.is_some()
            || self.directory.is_some()
            || matches!(kind, Some("directory" | "file"))
            || source.is_some_and(|s| s.keys().any(|key| local(key)))
    }
}

impl Cataloguer for PoetryLock {
    fn name(&self) -> &'static str {
        "poetry-lock"
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        let name = file.name();
        matches!(name, "poetry.lock" | "uv.lock" | "pdm.lock" | "pylock.toml")
            || (name.starts_with("pylock.") && name.ends_with(".toml"))
    }

    fn read(&self, file: &File, out: &mut Catalogued) -> Result<(), String> {
        let lock: Lock = input::toml(file)?;
        for one in lock.package.into_iter().chain(lock.packages) {
            if one.is_local() {
                continue;
            }
            match &one.version {
                Some(version) => python_dist::package(file, out, &one.name, version, Vec::new()),
                None => out.unread(&file.path, format!("{} has no version", one.name)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::input::told;

    #[test]
    fn four_tools_are_read_and_local_ones_left_out() {
        let poetry = "[[package]]\nname = \"Jinja2\"\nversion = \"3.1.2\"\noptional = false\n\n[[package]]\nname = \"mine\"\nversion = \"0.1.0\"\n\n[package.source]\ntype = \"directory\"\nurl = \"../mine\"\n\n[metadata]\nlock-version = \"2.0\"\n";
        let uv = "version = 1\n\n[[package]]\nname = \"jinja2\"\nversion = \"3.1.2\"\nsource = { registry = \"https://pypi.org/simple\" }\n\n[[package]]\nname = \"mine\"\nversion = \"0.1.0\"\nsource = { editable = \".\" }\n";
        let pdm = "[[package]]\nname = \"jinja2\"\nversion = \"3.1.2\"\n\n[[package]]\nname = \"mine\"\nversion = \"0\"\npath = \"./mine\"\n";
        let pylock = "lock-version = \"1.0\"\n\n[[packages]]\nname = \"jinja2\"\nversion = \"3.1.2\"\n\n[[packages]]\nname = \"mine\"\ndirectory = { path = \".\" }\n";
        for (path, text) in [
            ("poetry.lock", poetry),
            ("uv.lock", uv),
            ("pdm.lock", pdm),
            ("pylock.dev.toml", pylock),
        ] {
            let (purls, unread) = told(&PoetryLock, path, text);
            assert_eq!(purls, ["pkg:pypi/jinja2@3.1.2"], "{path}");
            assert!(unread.is_empty(), "{path}: {unread:?}");
        }
        let deep = format!("a = {}", "[".repeat(100_000));
        assert_eq!(told(&PoetryLock, "uv.lock", deep).1.len(), 1);
    }
}
