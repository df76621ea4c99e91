//! What a bill of materials tells, before it is an inventory.

use super::{SbomError, ecosystem};
use crate::{Inventory, OsRelease, Target, TargetKind, Unread, gathered};
use bartizan_model::component::{Found, SourcePackage};
use bartizan_model::{AssetUid, Component, Digest, Ecosystem, EcosystemKind, Purl};
use bartizan_packages::rpm;

#[derive(Default)]
pub(super) struct Draft {
    /// As we wrote it ourselves.
    pub target: Option<Target>,
    /// As somebody else calls what it is about.
    pub name: Option<String>,
    pub os: Option<OsRelease>,
    pub items: Vec<Item>,
    pub unread: Vec<Unread>,
}

pub(super) struct Item {
    pub purl: Purl,
    pub ecosystem: Option<Ecosystem>,
    pub source: Option<SourcePackage>,
    pub licences: Vec<String>,
    pub found: Vec<Found>,
}

impl Draft {
    /// Something that could not be read.
    pub fn unread(&mut self, path: &str, why: impl Into<String>) {
        self.unread.push(Unread {
            path: path.chars().take(200).collect(),
            why: why.into(),
        });
    }

    pub fn finish(self, bytes: &[u8]) -> Result<Inventory, SbomError> {
        let target = match self.target {
            Some(target) => target,
            None => named(self.name.as_deref().unwrap_or_default(), bytes)?,
        };
        let mut parts = Vec::new();
        for one in self.items {
            let ecosystem = one
                .ecosystem
                .unwrap_or_else(|| match extension(&one.found) {
                    true => Ecosystem::of(EcosystemKind::Other),
                    false => ecosystem::of(&one.purl, self.os.as_ref()),
                });
            parts.push(Component {
                source: one.source.or_else(|| upstream(&one.purl)),
                purl: one.purl,
                ecosystem,
                licences: one.licences,
                found: one.found,
                target: target.uid.clone(),
            });
        }
        Ok(gathered(target, self.os, parts, self.unread))
    }
}

/// By what somebody else calls it, without what no uid has; by its content where it has no name.
fn named(name: &str, bytes: &[u8]) -> Result<Target, SbomError> {
    let mut name: String = name.chars().filter(|c| !c.is_control()).take(200).collect();
    if name.is_empty() {
        name = Digest::of(bytes).to_string();
    }
    Ok(Target {
        uid: AssetUid::new(format!("sbom:{name}")).map_err(|e| SbomError::Broken(e.to_string()))?,
        kind: TargetKind::Sbom,
        name,
        digest: None,
    })
}

/// Whether it was seen only where editors keep their extensions, each with a manifest like npm's. Others
/// list them as packages of npm, and some have the name of one.
fn extension(found: &[Found]) -> bool {
    let is = |one: &Found| {
        let mut parts = one.path.rsplit('/');
        parts.next() == Some("package.json") && parts.nth(1) == Some("extensions")
    };
    !found.is_empty() && found.iter().all(is)
}

/// The source package as Syft writes it into a purl: `upstream=zlib@1:1.2`, `upstream=bash-5.1-6.el9.src.rpm`.
fn upstream(purl: &Purl) -> Option<SourcePackage> {
    let text = purl.qualifier("upstream")?;
    let version = purl.version().unwrap_or_default();
    let (name, version) = if text.ends_with(".rpm") {
        let (name, version) = rpm::source(text)?;
        // The file's name has no epoch; that of the package is the source's, almost always.
        let epoch = purl.qualifier("epoch").map(|e| format!("{e}:"));
        (name, format!("{}{version}", epoch.unwrap_or_default()))
    } else {
        let (name, version) = text.split_once('@').unwrap_or((text, version));
        (name, version.to_owned())
    };
    (!name.is_empty()).then(|| SourcePackage {
        name: name.to_owned(),
        version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_of_editors_are_no_packages_of_npm() {
        let of = |paths: &[&str]| {
            let purl: Purl = "pkg:npm/git@1.0.0".parse().unwrap();
            let found = paths.iter().map(|path| Found {
                path: (*path).into(),
                layer: None,
            });
            let draft = Draft {
                items: vec![Item {
                    purl,
                    ecosystem: None,
                    source: None,
                    licences: Vec::new(),
                    found: found.collect(),
                }],
                ..Draft::default()
            };
            draft.finish(b"").unwrap().components[0]
                .ecosystem
                .to_string()
        };
        let extension = "usr/share/code/resources/app/extensions/git/package.json";
        assert_eq!(of(&[extension]), "other");
        assert_eq!(of(&[]), "npm");
        assert_eq!(of(&[extension, "app/node_modules/git/package.json"]), "npm");
        let below = "root/.vscode/extensions/a.b-1/node_modules/git/package.json";
        assert_eq!(of(&[below]), "npm");
    }

    #[test]
    fn sources_stand_in_purls() {
        for (upstream_of, name, version) in [
            ("bash-5.1-6.el9.src.rpm", "bash", "2:5.1-6.el9"),
            (
                "java-1.8.0-ibm-1.8.0.8-1.el9.nosrc.rpm",
                "java-1.8.0-ibm",
                "2:1.8.0.8-1.el9",
            ),
            ("zlib%401:1.2", "zlib", "1:1.2"),
            ("zlib", "zlib", "9"),
        ] {
            let purl = format!("pkg:rpm/redhat/x@9?epoch=2&upstream={upstream_of}");
            let told = upstream(&purl.parse().unwrap()).unwrap();
            assert_eq!((told.name.as_str(), told.version.as_str()), (name, version));
        }
    }
}
