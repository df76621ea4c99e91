//! Debian packages, from `/var/lib/dpkg/status` as libapt-pkg reads it.

use super::{text, wanted};
use crate::oval::item::{Collected, Item};
use crate::oval::model::Datatype;
use crate::probe::{Context, Query};
use crate::system::System;
use std::collections::HashMap;

const STATUS: &str = "/var/lib/dpkg/status";
const MAX_STATUS: u64 = 256 << 20;

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    architecture: String,
    version: String,
}

/// The installed packages by name.
#[derive(Debug, Default)]
pub struct Packages {
    by_name: HashMap<String, Vec<Package>>,
    /// The architecture of the system.
    native: String,
}

impl Packages {
    fn load(system: &dyn System) -> Result<Self, String> {
        let mut packages = Self::default();
        // No file: not a Debian system, so no Debian package.
        let Some(status) = text(system, STATUS, MAX_STATUS)? else {
            return Ok(packages);
        };
        for stanza in status.split("\n\n") {
            packages.add(stanza);
        }
        // dpkg is never of a foreign architecture.
        packages.native = packages
            .by_name
            .get("dpkg")
            .and_then(|versions| versions.first())
            .map(|dpkg| dpkg.architecture.clone())
            .unwrap_or_default();
        Ok(packages)
    }

    fn add(&mut self, stanza: &str) {
        let (mut name, mut state, mut architecture, mut version) = ("", "", "", "");
        for line in stanza.lines() {
            if line.starts_with([' ', '\t']) {
                continue;
            }
            let Some((field, value)) = line.split_once(':') else {
                continue;
            };
            let value = value.trim();
            match field.to_ascii_lowercase().as_str() {
                "package" => name = value,
                "status" => state = value,
                "architecture" => architecture = value,
                "version" => version = value,
                _ => {}
            }
        }
        // What is only half installed counts, as it does for libapt-pkg.
        let state = state.split_whitespace().nth(2).unwrap_or_default();
        if name.is_empty()
            || version.is_empty()
            || matches!(state, "" | "not-installed" | "config-files")
        {
            return;
        }
        self.by_name
            .entry(name.to_owned())
            .or_default()
            .push(Package {
                architecture: architecture.to_owned(),
                version: version.to_owned(),
            });
    }

    /// The package of a name, `NAME` or `NAME:ARCHITECTURE`.
    fn find<'a>(&'a self, wanted: &'a str) -> Option<(&'a str, &'a Package)> {
        let (name, architecture) = wanted
            .split_once(':')
            .unwrap_or((wanted, self.native.as_str()));
        let architecture = if architecture == "native" {
            self.native.as_str()
        } else {
            architecture
        };
        let package = self.by_name.get(name)?.iter().find(|package| {
            package.architecture == architecture
                || architecture == "any"
                || architecture.is_empty()
                || (package.architecture == "all" && architecture == self.native)
        })?;
        Some((name, package))
    }
}

fn item(name: &str, package: &Package) -> Item {
    let (epoch, rest) = package
        .version
        .split_once(':')
        .unwrap_or(("0", &package.version));
    // OpenSCAP splits at the first hyphen, where Debian's policy has the last.
    let (version, release) = rest.split_once('-').unwrap_or((rest, ""));
    let evr = format!("{epoch}:{rest}");
    Item::new()
        .string("name", name)
        .string("arch", package.architecture.as_str())
        .string("epoch", epoch)
        .string("release", release)
        .string("version", version)
        .with("evr", Datatype::DebianEvrString, evr)
}

/// `dpkginfo_object`.
pub fn collect(query: &Query, ctx: &Context<'_>) -> Result<Collected, String> {
    let packages = ctx
        .tables
        .dpkg
        .get_or_init(|| Packages::load(ctx.system))
        .as_ref()
        .map_err(Clone::clone)?;
    let name = query.entity("name").ok_or("the object has no name")?;
    let mut items = Vec::new();
    if let Some(values) = name.exact() {
        for value in values {
            if let Some((name, package)) = packages.find(value) {
                items.push(item(name, package));
            }
        }
        return Ok(Collected::complete(items));
    }
    let mut names: Vec<&String> = packages.by_name.keys().collect();
    names.sort_unstable();
    for name in names {
        if wanted(query, ctx, "name", name)? {
            let versions = packages.by_name.get(name).into_iter().flatten();
            items.extend(versions.map(|package| item(name, package)));
        }
    }
    Ok(Collected::complete(items))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{collect, root};
    use crate::oval::item::Flag;

    const TEXT: &str = "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.21.22\n\nPackage: vim\nStatus: hold ok installed\nArchitecture: amd64\nDescription: x\n Version: 9\nVersion: 2:9.0-1-deb12u1\n\nPackage: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n\nPackage: foreign\nStatus: install ok installed\nArchitecture: i386\nVersion: 1-1\n";

    #[test]
    fn versions_and_states() {
        let (_folder, system) = root(&[("/var/lib/dpkg/status", TEXT)]);
        let vim = collect(&system, "dpkginfo", &[("name", "vim")]);
        assert_eq!(vim.flag, Flag::Complete);
        let item = &vim.items[0];
        for (name, value) in [
            ("name", "vim"),
            ("arch", "amd64"),
            ("epoch", "2"),
            ("version", "9.0"),
            ("release", "1-deb12u1"),
            ("evr", "2:9.0-1-deb12u1"),
        ] {
            assert_eq!(item.text(name), Some(value), "{name}");
        }
        let dpkg = collect(&system, "dpkginfo", &[("name", "dpkg")]);
        assert_eq!(dpkg.items[0].text("evr"), Some("0:1.21.22"));
        for absent in ["gone", "foreign", "none"] {
            let found = collect(&system, "dpkginfo", &[("name", absent)]);
            assert_eq!(found.flag, Flag::DoesNotExist, "{absent}");
        }
        let foreign = collect(&system, "dpkginfo", &[("name", "foreign:i386")]);
        assert_eq!(foreign.items[0].text("name"), Some("foreign"));
    }

    #[test]
    fn no_database_and_no_access() {
        let (_folder, system) = root(&[]);
        let found = collect(&system, "dpkginfo", &[("name", "vim")]);
        assert_eq!(found.flag, Flag::DoesNotExist);
        let (_folder, system) = root(&[("/var/lib/dpkg/status/x", "")]);
        let found = collect(&system, "dpkginfo", &[("name", "vim")]);
        assert_eq!(found.flag, Flag::Error);
    }
}
