//! `requirements.txt` of pip: only what is pinned by `==` says which version there is.

use super::{Catalogued, Cataloguer, input, python_dist};
use crate::tree::{Candidate, File};

/// Pinned requirements.
pub struct Requirements;

impl Cataloguer for Requirements {
    fn name(&self) -> &'static str {
        "requirements"
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        let Some(stem) = file.name().strip_suffix(".txt") else {
            return false;
        };
        let parts = stem.split(['-', '_', '.']);
        let named = parts
            .into_iter()
            .any(|part| part.eq_ignore_ascii_case("requirements"));
        named || file.path.rsplit('/').nth(1) == Some("requirements")
    }

    fn read(&self, file: &File, out: &mut Catalogued) -> Result<(), String> {
        for line in input::text(file)?.lines() {
            let line = line.split(" #").next().unwrap_or_default();
            // Markers and hashes follow the requirement.
            let line = line.split([';', '\\']).next().unwrap_or_default();
            let line = line.split(" --").next().unwrap_or_default().trim();
            if line.starts_with(['#', '-']) {
                continue;
            }
            if let Some((name, version)) = pinned(line) {
                python_dist::package(file, out, name, version, Vec::new());
            }
        }
        Ok(())
    }
}

fn pinned(line: &str) -> Option<(&str, &str)> {
    let (name, version) = line.split_once("==")?;
    let version = version.trim_start_matches('=').trim();
    let name = name.split('[').next()?.trim();
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let exact = !version.is_empty() && version.chars().all(|c| known(c) || matches!(c, '+' | '!'));
    (!name.is_empty() && name.chars().all(known) && exact).then_some((name, version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::input::told;

    #[test]
    fn only_what_is_pinned_counts() {
        let text = "# comment\nDjango==4.2.1  # why\nrequests[security] == 2.31.0 ; python_version >= '3.8'\nflask>=2\nnumpy==1.*\n-r other.txt\nsix==1.16.0 \\\n    --hash=sha256:aa\na==1,<2\nzope.interface===5.0+local\n";
        let (purls, unread) = told(&Requirements, "requirements-dev.txt", text);
        assert_eq!(
            purls,
            [
                "pkg:pypi/django@4.2.1",
                "pkg:pypi/requests@2.31.0",
                "pkg:pypi/six@1.16.0",
                "pkg:pypi/zope-interface@5.0%2Blocal"
            ]
        );
        assert!(unread.is_empty());
        assert_eq!(
            told(&Requirements, "requirements/base.txt", "a==1").0,
            ["pkg:pypi/a@1"]
        );
    }
}
