//! Whose advisories a package of somebody else's list has, by its purl.

use crate::OsRelease;
use bartizan_model::{Ecosystem, EcosystemKind, Purl};

/// Codenames that stand in purls in place of a number.
const CODENAMES: [(&str, &str, &str); 14] = [
    ("debian", "stretch", "9"),
    ("debian", "buster", "10"),
    ("debian", "bullseye", "11"),
    ("debian", "bookworm", "12"),
    ("debian", "trixie", "13"),
    ("debian", "forky", "14"),
    ("ubuntu", "trusty", "14.04"),
    ("ubuntu", "xenial", "16.04"),
    ("ubuntu", "bionic", "18.04"),
    ("ubuntu", "focal", "20.04"),
    ("ubuntu", "jammy", "22.04"),
    ("ubuntu", "noble", "24.04"),
    ("ubuntu", "plucky", "25.04"),
    ("ubuntu", "questing", "25.10"),
];

/// Names that other tools have for what os-release calls otherwise.
const ALIASES: [(&str, &str); 9] = [
    ("alma", "almalinux"),
    ("amazon", "amzn"),
    ("cbl-mariner", "mariner"),
    ("opensuse.leap", "opensuse-leap"),
    ("opensuse.tumbleweed", "opensuse-tumbleweed"),
    ("oracle", "ol"),
    ("redhat", "rhel"),
    ("suse", "sles"),
    ("suse linux enterprise server", "sles"),
];

/// The ecosystem of a purl: by its `distro`, else by the operating system that the list names.
pub(super) fn of(purl: &Purl, os: Option<&OsRelease>) -> Ecosystem {
    let kind = purl.kind();
    if matches!(kind, "deb" | "rpm" | "apk") {
        let told = purl
            .qualifier("distro")
            .map(|distro| release(distro, purl.namespace().unwrap_or_default()));
        return match told.as_ref().or(os) {
            Some(os) => os.ecosystem(kind),
            None => Ecosystem::of(EcosystemKind::Other),
        };
    }
    let known = EcosystemKind::ALL
        .iter()
        .find(|known| !known.is_distribution() && known.purl_type() == kind);
    Ecosystem::of(known.copied().unwrap_or(EcosystemKind::Other))
}

/// `debian-12`, `opensuse-leap-15.5`, `bookworm`, `3.20.3`.
fn release(distro: &str, namespace: &str) -> OsRelease {
    let distro = distro.to_lowercase();
    let starts = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let (id, rest) = match distro.rsplit_once('-') {
        Some((id, rest)) => (id, rest),
        None => (namespace, distro.as_str()),
    };
    os(
        id,
        if starts(rest) { rest } else { "" },
        if starts(rest) { "" } else { rest },
    )
}

/// An operating system by the name that a list gives it.
pub(super) fn os(id: &str, version: &str, codename: &str) -> OsRelease {
    let id = id.to_lowercase();
    let id = ALIASES
        .iter()
        .find(|(alias, _)| *alias == id)
        .map_or(id.as_str(), |(_, id)| id);
    let known = CODENAMES
        .iter()
        .find(|(of, name, _)| *of == id && *name == codename && version.is_empty());
    OsRelease {
        id: id.to_owned(),
        version: known.map_or(version, |(_, _, version)| version).to_owned(),
        pretty: String::new(),
        codename: codename.to_owned(),
        like: Vec::new(),
        path: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purls_tell_their_ecosystem() {
        for (purl, wanted) in [
            ("pkg:deb/debian/x@1?distro=debian-12", "Debian:12"),
            ("pkg:deb/debian/x@1?distro=debian-12.5", "Debian:12"),
            ("pkg:deb/debian/x@1?distro=bookworm", "Debian:12"),
            ("pkg:deb/ubuntu/x@1?distro=ubuntu-22.04", "Ubuntu:22.04"),
            ("pkg:deb/ubuntu/x@1?distro=jammy", "Ubuntu:22.04"),
            ("pkg:apk/alpine/x@1?distro=alpine-3.20.3", "Alpine:v3.20"),
            ("pkg:apk/alpine/x@1?distro=3.20.3", "Alpine:v3.20"),
            ("pkg:rpm/redhat/x@1?distro=redhat-9.4", "Red Hat:9"),
            ("pkg:rpm/alma/x@1?distro=alma-8.10", "AlmaLinux:8"),
            (
                "pkg:rpm/opensuse/x@1?distro=opensuse-leap-15.5",
                "openSUSE:15.5",
            ),
            ("pkg:npm/x@1", "npm"),
            ("pkg:golang/x@1", "Go"),
            ("pkg:deb/debian/x@1", "other"),
            ("pkg:strange/x@1", "other"),
        ] {
            assert_eq!(
                of(&purl.parse().unwrap(), None).to_string(),
                wanted,
                "{purl}"
            );
        }
        let told = os("Debian", "12", "");
        let purl = "pkg:deb/debian/x@1".parse().unwrap();
        assert_eq!(of(&purl, Some(&told)).to_string(), "Debian:12");
    }
}
