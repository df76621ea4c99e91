//! What files tell of packages: one module a kind of file.

mod apk;
mod cargo_auditable;
mod cargo_lock;
mod composer;
mod dotnet;
mod dpkg;
mod executable;
mod gemfile_lock;
mod gemspec;
mod go_binary;
mod go_mod;
mod gradle_lock;
mod input;
mod java;
mod node_modules;
mod package_lock;
mod pipfile_lock;
mod pnpm_lock;
mod poetry_lock;
mod python_dist;
mod requirements;
mod rpm;
mod yarn_lock;

use crate::brought::Brought;
use crate::tree::{Candidate, File};
use crate::{Maker, OsRelease, Sum, Unread, tell};
use bartizan_model::component::{Found, SourcePackage};
use bartizan_model::{EcosystemKind, Purl};
use std::collections::BTreeMap;

/// Every cataloguer; a test proves that each module stands here.
pub const ALL: &[&dyn Cataloguer] = &[
    &apk::Apk,
    &cargo_auditable::CargoAuditable,
    &cargo_lock::CargoLock,
    &composer::Composer,
    &dotnet::Dotnet,
    &dpkg::Dpkg,
    &gemfile_lock::GemfileLock,
    &gemspec::Gemspec,
    &go_binary::GoBinary,
    &go_mod::GoMod,
    &gradle_lock::GradleLock,
    &java::Java,
    &node_modules::NodeModules,
    &package_lock::PackageLock,
    &pipfile_lock::PipfileLock,
    &pnpm_lock::PnpmLock,
    &poetry_lock::PoetryLock,
    &python_dist::PythonDist,
    &requirements::Requirements,
    &rpm::Rpm,
    &yarn_lock::YarnLock,
];

/// Reads one kind of file. Files come one by one and in any order.
pub trait Cataloguer: Sync {
    /// A short name: `dpkg`, `package-lock`.
    fn name(&self) -> &'static str;
    /// Whether it wants to read this one; asked of every file, so it is quick.
    fn wants(&self, file: &Candidate<'_>) -> bool;
    /// Says what the file tells. An error is what the whole file ends as; what is broken in a part
    /// goes to [`Catalogued::unread`] and the rest goes on.
    fn read(&self, file: &File, out: &mut Catalogued) -> Result<(), String>;
    /// After the last file, for what several files tell together.
    fn finish(&self, _out: &mut Catalogued) {}
    /// Whether what it tells of a file is left to a distribution whose package brought the file.
    fn yields(&self) -> bool {
        true
    }
}

/// Whether a cataloguer wants this one that leaves it to the distribution.
pub(crate) fn yields(file: &Candidate<'_>) -> bool {
    ALL.iter().any(|one| one.yields() && one.wants(file))
}

/// Who decides about a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    /// A registry.
    Registry(EcosystemKind),
    /// The distribution that the target is, by the type of its purls (`deb`, `rpm`, `apk`). The purl's
    /// namespace and `distro` are set from os-release in the end.
    Distribution(&'static str),
}

/// A package as one file tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// What it is.
    pub purl: Purl,
    /// Whose advisories count.
    pub owner: Owner,
    /// What it was built from.
    pub source: Option<SourcePackage>,
    /// As declared.
    pub licences: Vec<String>,
    /// Where.
    pub found: Found,
}

/// What cataloguers found.
#[derive(Debug, Default)]
pub struct Catalogued {
    packages: Vec<Package>,
    unread: Vec<Unread>,
    /// What waits for another file, by path.
    held: BTreeMap<String, File>,
    pub(crate) brought: Brought,
}

/// Packages of one target.
const MOST: usize = 1_000_000;

impl Catalogued {
    /// A package of a registry, from its parts.
    pub fn package(
        &mut self,
        file: &File,
        kind: EcosystemKind,
        namespace: Option<&str>,
        name: &str,
        version: Option<&str>,
        licences: Vec<String>,
    ) {
        match Purl::new(kind.purl_type(), namespace, name, version) {
            Ok(purl) => self.add(Package {
                purl,
                owner: Owner::Registry(kind),
                source: None,
                licences,
                found: at(file),
            }),
            Err(why) => self.unread(&file.path, format!("{name}: {why}")),
        }
    }

    /// A package.
    pub fn add(&mut self, package: Package) {
        if self.packages.len() < MOST {
            self.packages.push(package);
        } else if self.packages.len() == MOST {
            let path = package.found.path.clone();
            self.unread(&path, format!("more than {MOST} packages"));
        }
    }

    /// Keeps a file until the last one has come.
    pub(crate) fn hold(&mut self, file: &File) {
        self.held.insert(file.path.clone(), file.clone());
    }

    /// Gives what was kept.
    pub(crate) fn held(&mut self, path: &str) -> Option<File> {
        self.held.remove(path)
    }

    /// A file that a package of the distribution, or of somebody else for it, brought.
    pub fn brought(&mut self, path: &str, maker: &Maker, sum: Sum) {
        self.brought.note(path, maker, sum);
    }

    /// Leaves out what the distribution answers for: what its own packages brought.
    pub(crate) fn leave_to(&mut self, os: &OsRelease) {
        let brought = std::mem::take(&mut self.brought);
        let registry = |package: &Package| matches!(package.owner, Owner::Registry(_));
        self.packages
            .retain(|package| !registry(package) || !brought.by(os, &package.found.path));
        self.unread.retain(|unread| !brought.by(os, &unread.path));
    }

    /// Something that could not be read.
    pub fn unread(&mut self, path: &str, why: impl Into<String>) {
        tell(&mut self.unread, path, why);
    }

    pub(crate) fn take_unread(&mut self) -> Vec<Unread> {
        std::mem::take(&mut self.unread)
    }

    /// What was found.
    pub fn into_packages(self) -> Vec<Package> {
        self.packages
    }
}

/// The place that a file is.
pub fn at(file: &File) -> Found {
    Found {
        path: file.path.clone(),
        layer: file.layer.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Modules that read no kind of file themselves.
    const BESIDE: [&str; 3] = ["executable", "input", "mod"];

    #[test]
    fn every_module_stands_in_the_list() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/catalogue");
        let names: Vec<&str> = ALL.iter().map(|one| one.name()).collect();
        for entry in std::fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().file_name().into_string().unwrap();
            let Some(module) = file.strip_suffix(".rs") else {
                continue;
            };
            let name = module.replace('_', "-");
            assert!(
                BESIDE.contains(&module) || names.contains(&name.as_str()),
                "{module}"
            );
        }
        let mut once = names.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), names.len());
    }
}
