//! `package-lock.json` and `npm-shrinkwrap.json` of npm, versions 1 to 3.

use super::{Catalogued, Cataloguer, input};
use crate::tree::{Candidate, File};
use bartizan_model::EcosystemKind;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What npm is fixed to.
pub struct PackageLock;

#[derive(Deserialize)]
struct Lock {
    packages: Option<BTreeMap<String, Placed>>,
    dependencies: Option<BTreeMap<String, Nested>>,
}

/// By its place on the disk: versions 2 and 3.
#[derive(Deserialize)]
struct Placed {
    name: Option<String>,
    version: Option<String>,
    #[serde(default)]
    link: bool,
    license: Option<Value>,
}

/// By its name: version 1.
#[derive(Deserialize)]
struct Nested {
    version: Option<String>,
    dependencies: Option<BTreeMap<String, Nested>>,
}

impl Cataloguer for PackageLock {
    fn name(&self) -> &'static str {
        "package-lock"
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        matches!(
            file.name(),
            "package-lock.json" | "npm-shrinkwrap.json" | ".package-lock.json"
        )
    }

    fn read(&self, file: &File, out: &mut Catalogued) -> Result<(), String> {
        let lock: Lock = input::json(file)?;
        match (lock.packages, lock.dependencies) {
            (Some(packages), _) => {
                for (place, one) in packages {
                    // The project itself, its workspaces, and links to them.
                    let Some((_, placed)) = place.rsplit_once("node_modules/") else {
                        continue;
                    };
                    if one.link {
                        continue;
                    }
                    let name = one.name.as_deref().unwrap_or(placed);
                    let licences = one.license.as_ref().map(licences).unwrap_or_default();
                    package(file, out, name, one.version.as_deref(), licences);
                }
            }
            (None, Some(dependencies)) => nested(file, out, dependencies),
            // A project without dependencies has neither.
            (None, None) => {}
        }
        Ok(())
    }
}

/// The parser's bound on depth bounds this one.
fn nested(file: &File, out: &mut Catalogued, all: BTreeMap<String, Nested>) {
    for (name, one) in all {
        let version = one.version.as_deref().unwrap_or_default();
        if let Some(other) = version.strip_prefix("npm:") {
            match other.rsplit_once('@') {
                Some((name, version)) if !name.is_empty() => {
                    package(file, out, name, Some(version), Vec::new());
                }
                _ => out.unread(&file.path, format!("{name}: {version} is not understood")),
            }
        } else if !version.starts_with("file:") && !version.starts_with("link:") {
            package(file, out, &name, Some(version), Vec::new());
        }
        if let Some(more) = one.dependencies {
            nested(file, out, more);
        }
    }
}

/// A package of npm by its whole name.
pub(super) fn package(
    file: &File,
    out: &mut Catalogued,
    name: &str,
    version: Option<&str>,
    licences: Vec<String>,
) {
    let (scope, name) = input::parted(name);
    out.package(file, EcosystemKind::Npm, scope, name, version, licences);
}

/// `"MIT"`, `{"type": "MIT"}`, or a list of those.
pub(super) fn licences(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Object(map) => match map.get("type") {
            Some(Value::String(text)) => vec![text.clone()],
            _ => Vec::new(),
        },
        Value::Array(all) => all
            .iter()
            .filter(|one| !one.is_array())
            .flat_map(licences)
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::input::told;

    #[test]
    fn all_versions_are_read() {
        let three = r#"{"name":"a","lockfileVersion":3,"packages":{
            "":{"name":"a","version":"1.0.0"},
            "packages/mine":{"version":"1.0.0"},
            "node_modules/mine":{"resolved":"packages/mine","link":true},
            "node_modules/@babel/core":{"version":"7.1.0","license":"MIT","dev":true},
            "node_modules/a/node_modules/alias":{"name":"real","version":"2.0.0"}}}"#;
        let (purls, unread) = told(&PackageLock, "x/package-lock.json", three);
        assert_eq!(purls, ["pkg:npm/%40babel/core@7.1.0", "pkg:npm/real@2.0.0"]);
        assert!(unread.is_empty());
        let one = r#"{"lockfileVersion":1,"dependencies":{
            "minimist":{"version":"0.0.8","dependencies":{"@s/deep":{"version":"1.0.0"}}},
            "alias":{"version":"npm:real@2.0.0"},
            "mine":{"version":"file:packages/mine"}}}"#;
        let (purls, _) = told(&PackageLock, "npm-shrinkwrap.json", one);
        assert_eq!(
            purls,
            [
                "pkg:npm/%40s/deep@1.0.0",
                "pkg:npm/minimist@0.0.8",
                "pkg:npm/real@2.0.0"
            ]
        );
    }

    #[test]
    fn deep_and_broken_json_is_unread() {
        let deep = "{\"dependencies\":{\"a\":".repeat(100_000);
        for text in [
            deep.as_str(),
            "{",
            "[1]",
            "{\"packages\":{\"a\":1}}",
            "\u{0}",
        ] {
            let (purls, unread) = told(&PackageLock, "package-lock.json", text);
            assert_eq!((purls.len(), unread.len()), (0, 1));
        }
    }
}
