//! Specifications of gems that are installed.

use super::{Catalogued, Cataloguer, input};
use crate::tree::{Candidate, File};
use bartizan_model::EcosystemKind;

/// `specifications/*.gemspec`, as RubyGems itself writes them.
pub struct Gemspec;

/// Debian's own packages of gems, which `dpkg` tells.
const DEBIAN: &str = "usr/share/rubygems-integration/";

impl Cataloguer for Gemspec {
    fn name(&self) -> &'static str {
        "gemspec"
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        file.name().ends_with(".gemspec")
            && !file.path.starts_with(DEBIAN)
            && (folder.ends_with("specifications") || folder.ends_with("specifications/default"))
    }

    fn read(&self, file: &File, out: &mut Catalogued) -> Result<(), String> {
        let mut name = None;
        let mut version = None;
        let mut licences = Vec::new();
        for line in input::text(file)?.lines() {
            let Some((key, value)) = line.trim().split_once(" = ") else {
                continue;
            };
            let texts = || value.split('"').skip(1).step_by(2).map(str::to_owned);
            match key {
                "s.name" => name = name.or(texts().next()),
                "s.version" => version = version.or(texts().next()),
                "s.license" | "s.licenses" if licences.is_empty() => licences = texts().collect(),
                _ => {}
            }
        }
        let (Some(name), Some(version)) = (name, version) else {
            return Err("it gives no name and version".into());
        };
        out.package(
            file,
            EcosystemKind::RubyGems,
            None,
            &name,
            Some(&version),
            licences,
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::input::told;

    #[test]
    fn what_rubygems_writes_is_read() {
        let text = "# -*- encoding: utf-8 -*-\n\nGem::Specification.new do |s|\n  s.name = \"rack\".freeze\n  s.version = \"2.2.3\"\n  s.licenses = [\"MIT\".freeze]\nend\n";
        let path = "usr/lib/ruby/gems/3.0.0/specifications/default/rack-2.2.3.gemspec";
        assert_eq!(told(&Gemspec, path, text).0, ["pkg:gem/rack@2.2.3"]);
        assert_eq!(told(&Gemspec, path, "s.name = x\n").1.len(), 1);
    }
}
