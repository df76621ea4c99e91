//! `Gemfile.lock` of Bundler.

use super::{Catalogued, Cataloguer, input};
use crate::tree::{Candidate, File};
use bartizan_model::EcosystemKind;

/// What Bundler is fixed to.
pub struct GemfileLock;

impl Cataloguer for GemfileLock {
    fn name(&self) -> &'static str {
        "gemfile-lock"
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        matches!(file.name(), "Gemfile.lock" | "gems.locked")
    }

    fn read(&self, file: &File, out: &mut Catalogued) -> Result<(), String> {
        let mut section = "";
        for line in input::text(file)?.lines() {
            let line = line.trim_end();
            if line.starts_with("<<<<<<<") {
                return Err("it holds two versions in conflict".into());
            }
            if !line.is_empty() && !line.starts_with(' ') {
                section = line;
                continue;
            }
            // Gems stand at four columns, what they need at six.
            let gem = line
                .strip_prefix("    ")
                .filter(|gem| !gem.starts_with(' '));
            let (true, Some(gem)) = (matches!(section, "GEM" | "GIT"), gem) else {
                continue;
            };
            let said = gem.strip_suffix(')').and_then(|gem| gem.split_once(" ("));
            let Some((name, version)) = said else {
                out.unread(&file.path, format!("a line is not understood: {gem:.80}"));
                continue;
            };
            // A platform follows the version: nokogiri (1.15.4-x86_64-linux).
            let version = version.split('-').next();
            out.package(
                file,
                EcosystemKind::RubyGems,
                None,
                name,
                version,
                Vec::new(),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::input::told;

    #[test]
    fn gems_are_read_and_paths_left_out() {
        let text = "GIT\n  remote: https://example.org/far.git\n  revision: abc\n  specs:\n    far (0.2.0)\n\nPATH\n  remote: .\n  specs:\n    mine (0.1.0)\n      rack (>= 2)\n\nGEM\n  remote: https://rubygems.org/\n  specs:\n    nokogiri (1.15.4-x86_64-linux)\n      racc (~> 1.4)\n    rack (2.2.3)\n\nPLATFORMS\n  ruby\n\nDEPENDENCIES\n  rack\n\nBUNDLED WITH\n   2.4.1\n";
        let (purls, unread) = told(&GemfileLock, "Gemfile.lock", text);
        assert_eq!(
            purls,
            [
                "pkg:gem/far@0.2.0",
                "pkg:gem/nokogiri@1.15.4",
                "pkg:gem/rack@2.2.3"
            ]
        );
        assert!(unread.is_empty());
        assert_eq!(
            told(&GemfileLock, "Gemfile.lock", "<<<<<<< HEAD\n").1.len(),
            1
        );
    }
}
