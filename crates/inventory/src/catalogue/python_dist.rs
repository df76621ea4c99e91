//! Python packages that are installed: `*.dist-info/METADATA`, `*.egg-info/PKG-INFO`.

use super::{Catalogued, Cataloguer};
use crate::tree::{Candidate, File};
use bartizan_model::EcosystemKind;

/// What pip installed.
pub struct PythonDist;

/// Where Debian's own packages put theirs, and pip never does: they are the distribution's, with its
/// fixes and its advisories, and `dpkg` tells them.
const DEBIAN: &str = "usr/lib/python3/dist-packages/";
/// Headers end long before; descriptions may be long.
const MOST: usize = 1 << 20;

impl Cataloguer for PythonDist {
    fn name(&self) -> &'static str {
        "python-dist"
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        const ENDS: [&str; 4] = [
            ".dist-info/METADATA",
            ".egg-info/PKG-INFO",
            "EGG-INFO/PKG-INFO",
            ".egg-info",
        ];
        !file.path.starts_with(DEBIAN) && ENDS.iter().any(|end| file.path.ends_with(end))
    }

    fn read(&self, file: &File, out: &mut Catalogued) -> Result<(), String> {
        let bytes = file
            .bytes
            .get(..file.bytes.len().min(MOST))
            .unwrap_or_default();
        let text = String::from_utf8_lossy(bytes);
        let mut name = None;
        let mut version = None;
        let mut licences = Vec::new();
        for line in text.lines().take_while(|line| !line.trim_end().is_empty()) {
            let Some((key, value)) = line.split_once(": ") else {
                continue;
            };
            let value = value.trim();
            match key.to_ascii_lowercase().as_str() {
                "name" => name = Some(value.to_owned()),
                "version" => version = Some(value.to_owned()),
                // Some paste the whole text of the licence there.
                "license" | "license-expression"
                    if value.len() <= 128 && !matches!(value, "" | "UNKNOWN") =>
                {
                    licences.push(value.to_owned());
                }
                _ => {}
            }
        }
        match (name, version) {
            (Some(name), Some(version)) => {
                package(file, out, &name, &version, licences);
                Ok(())
            }
            _ => Err("it gives no name and version".into()),
        }
    }
}

/// A package of PyPI.
pub(super) fn package(
    file: &File,
    out: &mut Catalogued,
    name: &str,
    version: &str,
    licences: Vec<String>,
) {
    let name = normal(name);
    out.package(
        file,
        EcosystemKind::PyPi,
        None,
        &name,
        Some(version),
        licences,
    );
}

/// PEP 503: lower case, and runs of `-`, `_` and `.` are one `-`.
pub(super) fn normal(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.trim().chars() {
        match c {
            '-' | '_' | '.' if out.ends_with('-') => {}
            '-' | '_' | '.' => out.push('-'),
            c => out.extend(c.to_lowercase()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::input::told;

    #[test]
    fn headers_are_read_and_names_are_normal() {
        let text = "Metadata-Version: 2.1\nName: Foo__Bar.baz\nVersion: 1.0\nLicense: MIT\n\nName: not-this\n";
        for path in [
            "usr/lib/python3/site-packages/Foo_Bar.baz-1.0.dist-info/METADATA",
            "x/foo.egg-info/PKG-INFO",
            "x/foo-1.0.egg-info",
        ] {
            let (purls, unread) = told(&PythonDist, path, text);
            assert_eq!(purls, ["pkg:pypi/foo-bar-baz@1.0"]);
            assert!(unread.is_empty());
        }
        assert_eq!(told(&PythonDist, "a.dist-info/METADATA", "\n\n").1.len(), 1);
        assert!(!PythonDist.wants(&Candidate {
            path: "usr/lib/python3/dist-packages/six-1.16.0.egg-info/PKG-INFO",
            size: 9,
            executable: false,
        }));
    }
}
