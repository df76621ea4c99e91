//! In which order versions stand, ecosystem by ecosystem.
//!
//! Orders that somebody keeps as a crate are that crate's; the others follow the ecosystem's own
//! documents, one module each. A version that does not parse has no order: [`Scheme::compare`]
//! answers `None`, and whoever asks must call the answer Unknown.

mod alpine;
mod dotted;
mod maven;

use bartizan_model::EcosystemKind;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// The longest version that is compared; longer ones are hostile.
const MAX: usize = 256;

/// An order of versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// dpkg.
    Dpkg,
    /// rpm: epoch, version, release.
    Rpm,
    /// apk of Alpine, Wolfi, Chainguard.
    Apk,
    /// SemVer 2, as crates.io, npm, Go, Hex, Pub use it; a leading `v` is ignored.
    Semver,
    /// PEP 440.
    Pep440,
    /// Maven's `ComparableVersion`.
    Maven,
    /// RubyGems.
    Gem,
    /// Composer.
    Composer,
    /// NuGet: SemVer with a fourth number, letter case ignored.
    NuGet,
    /// Dotted numbers alone, as Hackage and CRAN use them.
    Dotted,
    /// Commits: no order without the repository.
    Git,
    /// No order is known.
    Unordered,
}

impl Scheme {
    /// The order of an ecosystem.
    pub fn of(kind: EcosystemKind) -> Self {
        use EcosystemKind as E;
        match kind {
            E::Debian | E::Ubuntu => Self::Dpkg,
            E::Alpine | E::Wolfi | E::Chainguard => Self::Apk,
            kind if kind.is_distribution() => Self::Rpm,
            E::CratesIo
            | E::Npm
            | E::Go
            | E::Hex
            | E::Pub
            | E::SwiftUrl
            | E::GitHubActions
            | E::Bitnami => Self::Semver,
            E::PyPi => Self::Pep440,
            E::Maven => Self::Maven,
            E::RubyGems => Self::Gem,
            E::Packagist => Self::Composer,
            E::NuGet => Self::NuGet,
            E::Hackage | E::Ghc | E::Cran | E::Bioconductor => Self::Dotted,
            E::Git => Self::Git,
            _ => Self::Unordered,
        }
    }

    /// The order of two versions; `None` where one of them is no version of this scheme.
    pub fn compare(self, a: &str, b: &str) -> Option<Ordering> {
        if a.len() > MAX || b.len() > MAX {
            return None;
        }
        let (a, b) = (a.trim(), b.trim());
        if a.is_empty() || b.is_empty() {
            return None;
        }
        match self {
            Self::Dpkg => dpkg(a, b),
            Self::Rpm => rpm(a, b),
            Self::Apk => alpine::compare(a, b),
            Self::Semver => Some(semver(a)?.cmp_precedence(&semver(b)?)),
            Self::Pep440 => {
                let parse = |t: &str| t.parse::<pep440_rs::Version>().ok();
                Some(parse(a)?.cmp(&parse(b)?))
            }
            Self::Maven => maven::compare(a, b),
            Self::Gem => dotted::gem(a, b),
            Self::Composer => dotted::composer(a, b),
            Self::NuGet => dotted::nuget(a, b),
            Self::Dotted => dotted::numbers(a, b),
            Self::Git | Self::Unordered => None,
        }
    }

    /// Whether the text is a version of this scheme.
    pub fn reads(self, version: &str) -> bool {
        self.compare(version, version).is_some()
    }
}

fn dpkg(a: &str, b: &str) -> Option<Ordering> {
    // The crate takes what dpkg would not build; a version is printable, and begins with a digit
    // or, in old packages, with a letter.
    let sane = |t: &str| {
        t.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".+-~:_".contains(&b))
    };
    if !sane(a) || !sane(b) {
        return None;
    }
    let parse = |t: &str| t.parse::<debversion::Version>().ok();
    Some(parse(a)?.cmp(&parse(b)?))
}

fn rpm(a: &str, b: &str) -> Option<Ordering> {
    let sane = |t: &str| {
        let (epoch, rest) = t.split_once(':').unwrap_or(("0", t));
        epoch.bytes().all(|b| b.is_ascii_digit())
            && !epoch.is_empty()
            && rest.bytes().any(|b| b.is_ascii_alphanumeric())
            && rest.bytes().all(|b| b.is_ascii_graphic())
    };
    if !sane(a) || !sane(b) {
        return None;
    }
    let (a, b) = (rpm_version::Evr::parse(a), rpm_version::Evr::parse(b));
    Some(a.cmp(&b))
}

/// SemVer as people write it: a leading `v` or `go`, and missing numbers, are forgiven.
fn semver(text: &str) -> Option<semver::Version> {
    let text = text.strip_prefix(['v', 'V', '=']).unwrap_or(text).trim();
    if let Ok(version) = text.parse() {
        return Some(version);
    }
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (core, tail) = text.split_at_checked(end)?;
    let mut numbers = Vec::with_capacity(3);
    for part in core.split('.') {
        numbers.push(part.parse::<u64>().ok()?);
    }
    if numbers.len() > 3 {
        return None;
    }
    numbers.resize(3, 0);
    let core: Vec<String> = numbers.iter().map(u64::to_string).collect();
    format!("{}{tail}", core.join(".")).parse().ok()
}

#[cfg(test)]
mod tests;
