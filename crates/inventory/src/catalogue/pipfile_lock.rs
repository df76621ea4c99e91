//! `Pipfile.lock`.

use super::{Catalogued, Cataloguer, input, python_dist};
use crate::tree::{Candidate, File};
use serde_json::Value;
use std::collections::BTreeMap;

/// What pipenv is fixed to.
pub struct PipfileLock;

impl Cataloguer for PipfileLock {
    fn name(&self) -> &'static str {
        "pipfile-lock"
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        file.name() == "Pipfile.lock"
    }

    fn read(&self, file: &File, out: &mut Catalogued) -> Result<(), String> {
        let lock: BTreeMap<String, BTreeMap<String, Value>> = input::json(file)?;
        for (_, group) in lock.iter().filter(|(name, _)| *name != "_meta") {
            for (name, one) in group {
                if one.get("path").is_some() || one.get("file").is_some() {
                    continue;
                }
                let version = one.get("version").and_then(Value::as_str);
                match version.and_then(|v| v.strip_prefix("==")) {
                    Some(version) => python_dist::package(file, out, name, version, Vec::new()),
                    None => out.unread(&file.path, format!("{name} has no fixed version")),
                }
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
    fn groups_are_read() {
        let text = r#"{"_meta":{"hash":{"sha256":"a"},"pipfile-spec":6,"sources":[]},
            "default":{"Flask":{"hashes":[],"version":"==2.0.1"},"mine":{"path":"."}},
            "develop":{"pytest":{"version":"==7.0"},"far":{"git":"https://x","ref":"a"}}}"#;
        let (purls, unread) = told(&PipfileLock, "Pipfile.lock", text);
        assert_eq!(purls, ["pkg:pypi/flask@2.0.1", "pkg:pypi/pytest@7.0"]);
        assert_eq!(unread, ["far has no fixed version"]);
        assert_eq!(told(&PipfileLock, "Pipfile.lock", "{\"a\":").1.len(), 1);
    }
}
