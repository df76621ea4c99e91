//! Package ecosystems by the names that OSV gives them.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal, purl $purl:literal, distribution $distribution:literal;)+) => {
        /// A family of packages with one registry or one order of versions.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EcosystemKind {
            $($(#[$doc])* $name,)+
        }

        impl EcosystemKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The name in OSV records.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// The type of its purls; empty where there is none.
            pub fn purl_type(self) -> &'static str {
                match self { $(Self::$name => $purl,)+ }
            }

            /// Whether these are the packages of an operating system, with source packages,
            /// releases and back-ported fixes.
            pub fn is_distribution(self) -> bool {
                match self { $(Self::$name => $distribution,)+ }
            }

            /// By the name in OSV records, case ignored.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|k| k.as_str().eq_ignore_ascii_case(text))
            }
        }
    };
}

kinds! {
    /// Debian.
    Debian = "Debian", purl "deb", distribution true;
    /// Ubuntu.
    Ubuntu = "Ubuntu", purl "deb", distribution true;
    /// Alpine.
    Alpine = "Alpine", purl "apk", distribution true;
    /// Wolfi.
    Wolfi = "Wolfi", purl "apk", distribution true;
    /// Chainguard.
    Chainguard = "Chainguard", purl "apk", distribution true;
    /// Red Hat and what follows it exactly (CentOS).
    RedHat = "Red Hat", purl "rpm", distribution true;
    /// AlmaLinux.
    AlmaLinux = "AlmaLinux", purl "rpm", distribution true;
    /// Rocky Linux.
    RockyLinux = "Rocky Linux", purl "rpm", distribution true;
    /// Oracle Linux.
    OracleLinux = "Oracle Linux", purl "rpm", distribution true;
    /// Amazon Linux.
    AmazonLinux = "Amazon Linux", purl "rpm", distribution true;
    /// Fedora.
    Fedora = "Fedora", purl "rpm", distribution true;
    /// SUSE.
    Suse = "SUSE", purl "rpm", distribution true;
    /// openSUSE.
    OpenSuse = "openSUSE", purl "rpm", distribution true;
    /// openEuler.
    OpenEuler = "openEuler", purl "rpm", distribution true;
    /// Mageia.
    Mageia = "Mageia", purl "rpm", distribution true;
    /// Azure Linux.
    AzureLinux = "Azure Linux", purl "rpm", distribution true;
    /// Photon OS.
    PhotonOs = "Photon OS", purl "rpm", distribution true;
    /// Crates of Rust.
    CratesIo = "crates.io", purl "cargo", distribution false;
    /// Node packages.
    Npm = "npm", purl "npm", distribution false;
    /// Python packages.
    PyPi = "PyPI", purl "pypi", distribution false;
    /// Go modules.
    Go = "Go", purl "golang", distribution false;
    /// Java artifacts.
    Maven = "Maven", purl "maven", distribution false;
    /// Ruby gems.
    RubyGems = "RubyGems", purl "gem", distribution false;
    /// PHP packages.
    Packagist = "Packagist", purl "composer", distribution false;
    /// .NET packages.
    NuGet = "NuGet", purl "nuget", distribution false;
    /// Elixir and Erlang packages.
    Hex = "Hex", purl "hex", distribution false;
    /// Dart packages.
    Pub = "Pub", purl "pub", distribution false;
    /// Haskell packages.
    Hackage = "Hackage", purl "hackage", distribution false;
    /// The compiler and libraries of Haskell.
    Ghc = "GHC", purl "", distribution false;
    /// R packages.
    Cran = "CRAN", purl "cran", distribution false;
    /// R packages of biology.
    Bioconductor = "Bioconductor", purl "bioconductor", distribution false;
    /// C and C++ packages of Conan.
    ConanCenter = "ConanCenter", purl "conan", distribution false;
    /// Actions of workflows.
    GitHubActions = "GitHub Actions", purl "githubactions", distribution false;
    /// Swift packages by their address.
    SwiftUrl = "SwiftURL", purl "swift", distribution false;
    /// Applications as Bitnami packs them.
    Bitnami = "Bitnami", purl "bitnami", distribution false;
    /// Android.
    Android = "Android", purl "", distribution false;
    /// The Linux kernel.
    Linux = "Linux", purl "", distribution false;
    /// Fuzzed projects.
    OssFuzz = "OSS-Fuzz", purl "", distribution false;
    /// A commit of a repository, without a package.
    Git = "GIT", purl "", distribution false;
    /// Whatever has a purl and no advisories of its own.
    Generic = "generic", purl "generic", distribution false;
    /// A name that is not known here; it stands in [`Ecosystem::release`].
    Other = "other", purl "", distribution false;
}

/// An ecosystem and, for a distribution, its release: `Debian:12`, `Alpine:v3.20`, `npm`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Ecosystem {
    /// The family.
    pub kind: EcosystemKind,
    /// What follows the colon, as the feed writes it; empty where nothing does.
    pub release: String,
}

impl Ecosystem {
    /// A family without a release.
    pub fn of(kind: EcosystemKind) -> Self {
        Self {
            kind,
            release: String::new(),
        }
    }

    /// Parses the way OSV writes it. A family that is not known is kept whole, never dropped.
    pub fn parse(text: &str) -> Self {
        let (head, release) = text.split_once(':').unwrap_or((text, ""));
        match EcosystemKind::parse(head) {
            Some(kind) if kind != EcosystemKind::Other => Self {
                kind,
                release: release.to_owned(),
            },
            Some(_) => Self {
                kind: EcosystemKind::Other,
                release: release.to_owned(),
            },
            None => Self {
                kind: EcosystemKind::Other,
                release: text.to_owned(),
            },
        }
    }
}

impl fmt::Display for Ecosystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_str())?;
        if !self.release.is_empty() {
            write!(f, ":{}", self.release)?;
        }
        Ok(())
    }
}

impl std::str::FromStr for Ecosystem {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::parse(text))
    }
}

impl From<String> for Ecosystem {
    fn from(text: String) -> Self {
        Self::parse(&text)
    }
}

impl From<Ecosystem> for String {
    fn from(ecosystem: Ecosystem) -> Self {
        ecosystem.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_what_is_unknown_is_kept() {
        for text in [
            "Debian:12",
            "Ubuntu:22.04:LTS",
            "npm",
            "Red Hat:enterprise_linux:9::baseos",
            "other:Minix:3",
        ] {
            assert_eq!(Ecosystem::parse(text).to_string(), text);
        }
        let minix = Ecosystem::parse("Minix:3");
        assert_eq!(minix.kind, EcosystemKind::Other);
        assert_eq!(Ecosystem::parse(&minix.to_string()), minix);
    }
}
