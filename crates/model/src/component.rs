//! Software that stands somewhere: what an inventory sees and what an advisory is held against.

mod ecosystem;
mod purl;

pub use ecosystem::{Ecosystem, EcosystemKind};
pub use purl::{Purl, PurlError};

use crate::{AssetUid, Digest};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// One package of one target. Ordered by purl, so that lists compare and differences are small.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Component {
    /// What it is, in canonical form.
    pub purl: Purl,
    /// Whose advisories and whose order of versions apply.
    pub ecosystem: Ecosystem,
    /// The source package it was built from, where the package database says so and it differs:
    /// distributions write their advisories about source packages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourcePackage>,
    /// Licences as declared; SPDX expressions where the package gives them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub licences: Vec<String>,
    /// Where it was seen. One package may stand in several places.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<Found>,
    /// The host, image or folder it belongs to.
    pub target: AssetUid,
}

/// What a binary package was built from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourcePackage {
    /// The name of the source package.
    pub name: String,
    /// Its full version, with the epoch where it has one.
    pub version: String,
}

/// A place of evidence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Found {
    /// The file within the target: a package database, a lock file, an archive. An archive within
    /// an archive is written `outer.jar!/inner.jar`.
    pub path: String,
    /// The layer of a container image that brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<Digest>,
}

impl Component {
    /// The name the way its ecosystem writes it: `@scope/name`, `group:artifact`, a module's path.
    pub fn name(&self) -> Cow<'_, str> {
        let Some(namespace) = self.purl.namespace() else {
            return Cow::Borrowed(self.purl.name());
        };
        let name = self.purl.name();
        match self.ecosystem.kind {
            EcosystemKind::Maven => Cow::Owned(format!("{namespace}:{name}")),
            kind if kind.is_distribution() => Cow::Borrowed(name),
            _ => Cow::Owned(format!("{namespace}/{name}")),
        }
    }

    /// The full version: an rpm's epoch stands in a qualifier of the purl and belongs to it.
    pub fn version(&self) -> Option<Cow<'_, str>> {
        let version = self.purl.version()?;
        match self.purl.qualifier("epoch") {
            Some(epoch) if self.purl.kind() == "rpm" && !version.contains(':') => {
                Some(Cow::Owned(format!("{epoch}:{version}")))
            }
            _ => Some(Cow::Borrowed(version)),
        }
    }

    /// Name and version that a distribution's advisory speaks about.
    pub fn source_or_self(&self) -> (Cow<'_, str>, Option<Cow<'_, str>>) {
        match &self.source {
            Some(source) => (
                Cow::Borrowed(source.name.as_str()),
                Some(Cow::Borrowed(source.version.as_str())),
            ),
            None => (self.name(), self.version()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(purl: &str, ecosystem: &str) -> Component {
        Component {
            purl: purl.parse().unwrap(),
            ecosystem: ecosystem.parse().unwrap(),
            source: None,
            licences: vec![],
            found: vec![],
            target: AssetUid::new("host:a").unwrap(),
        }
    }

    #[test]
    fn names_are_the_ecosystems_own() {
        for (purl, ecosystem, name, version) in [
            ("pkg:npm/%40a/b@1", "npm", "@a/b", "1"),
            ("pkg:maven/org.a/b@2", "Maven", "org.a:b", "2"),
            (
                "pkg:golang/github.com/a/b@v1.0.0",
                "Go",
                "github.com/a/b",
                "v1.0.0",
            ),
            (
                "pkg:deb/debian/zlib1g@1%3A1.2?distro=debian-12",
                "Debian:12",
                "zlib1g",
                "1:1.2",
            ),
            (
                "pkg:rpm/redhat/bash@5-1?epoch=2",
                "Red Hat:9",
                "bash",
                "2:5-1",
            ),
        ] {
            let c = component(purl, ecosystem);
            assert_eq!(c.name(), name);
            assert_eq!(c.version().unwrap(), version);
        }
    }

    #[test]
    fn json_round_trips() {
        let mut c = component("pkg:deb/debian/zlib1g@1.2", "Debian:12");
        c.source = Some(SourcePackage {
            name: "zlib".into(),
            version: "1:1.2".into(),
        });
        c.found.push(Found {
            path: "var/lib/dpkg/status".into(),
            layer: None,
        });
        let json = serde_json::to_string(&c).unwrap();
        assert!(
            json.contains(r#""purl":"pkg:deb/debian/zlib1g@1.2""#),
            "{json}"
        );
        assert!(json.contains(r#""ecosystem":"Debian:12""#), "{json}");
        assert_eq!(serde_json::from_str::<Component>(&json).unwrap(), c);
        assert_eq!(c.source_or_self().0, "zlib");
    }
}
