//! `os-release`: which distribution a target is, and whose advisories its packages have.

use crate::Maker;
use crate::tree::File;
use bartizan_model::{Ecosystem, EcosystemKind, Purl};
use std::collections::BTreeMap;

/// The operating system of a target.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OsRelease {
    /// `debian`, `ubuntu`, `alpine`, `rhel`.
    pub id: String,
    /// `12`, `22.04`, `3.20.3`; empty where it rolls.
    pub version: String,
    /// For people.
    pub pretty: String,
    /// `bookworm`.
    pub codename: String,
    /// What it is like.
    pub like: Vec<String>,
    /// The file that says so.
    pub path: String,
}

/// Where it stands, the better first.
const PLACES: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];
const MOST: usize = 64 << 10;
/// How a distribution's own packages of rpm name their vendor, by the beginning of its `ID` and of that
/// name. What others offer for it (EPEL for RHEL) is not among them: its advisories do not know it.
const VENDORS: [(&str, &str); 16] = [
    ("almalinux", "AlmaLinux"),
    ("amzn", "Amazon"),
    ("azurelinux", "Microsoft"),
    ("centos", "CentOS"),
    ("fedora", "Fedora Project"),
    ("mageia", "Mageia"),
    ("mariner", "Microsoft"),
    ("ol", "Oracle"),
    ("openeuler", "http://openeuler.org"),
    ("opensuse", "SUSE"),
    ("opensuse", "openSUSE"),
    ("photon", "VMware"),
    ("rhel", "Red Hat"),
    ("rocky", "Rocky"),
    ("sled", "SUSE"),
    ("sles", "SUSE"),
];

pub(crate) fn is_release(path: &str) -> bool {
    PLACES.contains(&path)
}

/// Takes a file that says more than what is known.
pub(crate) fn better(known: &mut Option<OsRelease>, file: &File) {
    let first = |path: &str| PLACES.first() == Some(&path);
    if known.as_ref().is_some_and(|os| first(&os.path)) {
        return;
    }
    if let Some(told) = OsRelease::parse(&file.path, &file.bytes) {
        *known = Some(told);
    }
}

impl OsRelease {
    /// Reads one (os-release(5)).
    pub fn parse(path: &str, bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes.get(..bytes.len().min(MOST))?).ok()?;
        let fields: BTreeMap<&str, &str> = text
            .lines()
            .filter_map(|line| line.trim().split_once('='))
            .map(|(key, value)| (key, value.trim_matches(|c| c == '"' || c == '\'')))
            .collect();
        let field = |key: &str| fields.get(key).copied().unwrap_or_default().to_owned();
        let id = field("ID").to_lowercase();
        (!id.is_empty()).then(|| Self {
            id,
            version: field("VERSION_ID"),
            pretty: field("PRETTY_NAME"),
            codename: field("VERSION_CODENAME"),
            like: field("ID_LIKE")
                .split_whitespace()
                .map(str::to_lowercase)
                .collect(),
            path: path.to_owned(),
        })
    }

    /// Whose advisories packages of this type have here, as OSV writes it.
    pub fn ecosystem(&self, purl_type: &str) -> Ecosystem {
        let major = self.version.split('.').next().unwrap_or_default();
        let (kind, release) = match (self.id.as_str(), purl_type) {
            ("ubuntu", "deb") => (EcosystemKind::Ubuntu, self.version.clone()),
            // Testing and unstable have no version; their advisories stand under the codename.
            ("debian", "deb") if self.version.is_empty() => {
                (EcosystemKind::Debian, self.codename.clone())
            }
            ("debian", "deb") => (EcosystemKind::Debian, major.to_owned()),
            ("alpine", "apk") => {
                let minor: Vec<&str> = self.version.split('.').take(2).collect();
                let release = match minor.as_slice() {
                    [major, minor] if !minor.contains('_') => format!("v{major}.{minor}"),
                    _ => "edge".to_owned(),
                };
                (EcosystemKind::Alpine, release)
            }
            ("wolfi", "apk") => (EcosystemKind::Wolfi, String::new()),
            ("chainguard", "apk") => (EcosystemKind::Chainguard, String::new()),
            ("rhel" | "centos", "rpm") => (EcosystemKind::RedHat, major.to_owned()),
            ("almalinux", "rpm") => (EcosystemKind::AlmaLinux, major.to_owned()),
            ("rocky", "rpm") => (EcosystemKind::RockyLinux, major.to_owned()),
            ("ol", "rpm") => (EcosystemKind::OracleLinux, major.to_owned()),
            ("amzn", "rpm") => (EcosystemKind::AmazonLinux, self.version.clone()),
            ("fedora", "rpm") => (EcosystemKind::Fedora, self.version.clone()),
            ("sles" | "sled", "rpm") => (EcosystemKind::Suse, self.version.clone()),
            (id, "rpm") if id.starts_with("opensuse") => {
                (EcosystemKind::OpenSuse, self.version.clone())
            }
            ("openeuler", "rpm") => (EcosystemKind::OpenEuler, self.version.clone()),
            ("mageia", "rpm") => (EcosystemKind::Mageia, self.version.clone()),
            ("azurelinux" | "mariner", "rpm") => (EcosystemKind::AzureLinux, major.to_owned()),
            ("photon", "rpm") => (EcosystemKind::PhotonOs, self.version.clone()),
            // A derivative has versions of its own: its packages are nobody else's.
            (id, _) => (EcosystemKind::Other, format!("{id}:{}", self.version)),
        };
        Ecosystem { kind, release }
    }

    /// Whether it made a package itself, so that its advisories speak about it.
    pub(crate) fn makes(&self, maker: &Maker) -> bool {
        let known = self.ecosystem(maker.purl_type).kind != EcosystemKind::Other;
        let own = |vendor: &str| {
            let mut all = VENDORS.iter();
            all.any(|(id, name)| self.id.starts_with(id) && vendor.starts_with(name))
        };
        known && maker.vendor.as_deref().is_none_or(own)
    }

    /// The purl with the distribution's namespace and `distro`.
    pub(crate) fn qualify(&self, purl: Purl) -> Purl {
        let distro = match self.version.as_str() {
            "" => format!("{}-{}", self.id, self.codename),
            version => format!("{}-{version}", self.id),
        };
        let made = Purl::new(purl.kind(), Some(&self.id), purl.name(), purl.version());
        let Ok(made) = made else {
            return purl;
        };
        let with = purl
            .qualifiers()
            .try_fold(made, |made, (key, value)| made.with(key, value));
        with.and_then(|made| made.with("distro", &distro))
            .unwrap_or(purl)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ecosystem(text: &str, kind: &str) -> String {
        let os = OsRelease::parse("etc/os-release", text.as_bytes()).unwrap();
        String::from(os.ecosystem(kind))
    }

    #[test]
    fn releases_are_named_as_their_advisories_name_them() {
        for (text, kind, wanted) in [
            ("ID=debian\nVERSION_ID=\"12\"\n", "deb", "Debian:12"),
            (
                "ID=debian\nVERSION_CODENAME=trixie\n",
                "deb",
                "Debian:trixie",
            ),
            ("ID=ubuntu\nVERSION_ID=\"22.04\"\n", "deb", "Ubuntu:22.04"),
            ("ID=alpine\nVERSION_ID=3.20.3\n", "apk", "Alpine:v3.20"),
            (
                "ID=alpine\nVERSION_ID=3.21_alpha2024\n",
                "apk",
                "Alpine:edge",
            ),
            ("ID=\"rhel\"\nVERSION_ID=\"9.4\"\n", "rpm", "Red Hat:9"),
            ("ID=almalinux\nVERSION_ID='8.10'\n", "rpm", "AlmaLinux:8"),
        ] {
            assert_eq!(ecosystem(text, kind), wanted);
        }
        assert!(OsRelease::parse("x", b"\xff\xfe").is_none());
    }
}
