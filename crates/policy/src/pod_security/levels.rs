//! Levels and versions of the standards, as the labels of a namespace write them.

use std::fmt;

/// How much a Pod may do; ordered by strictness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Everything is allowed.
    Privileged,
    /// Known ways from a Pod to its node are closed.
    Baseline,
    /// Baseline, and a Pod must give up what it does not need.
    Restricted,
}

impl Level {
    /// Reads a level; the error says what it may be.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "privileged" => Ok(Self::Privileged),
            "baseline" => Ok(Self::Baseline),
            "restricted" => Ok(Self::Restricted),
            _ => Err("must be one of privileged, baseline, restricted"),
        }
    }

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A version of the standards: that of Kubernetes 1.N, or the newest one known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// `v1.N`; a version that is newer than all known ones is judged as the newest known one.
    Minor(u32),
    /// `latest`.
    Latest,
}

impl Version {
    /// Reads a version; the error says what it may be.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const FAULT: &str = r#"must be "latest" or "v1.x""#;
        if text == "latest" {
            return Ok(Self::Latest);
        }
        let minor = text.strip_prefix("v1.").ok_or(FAULT)?;
        let plain = minor.bytes().all(|b| b.is_ascii_digit());
        if !plain || (minor.len() > 1 && minor.starts_with('0')) {
            return Err(FAULT);
        }
        minor.parse().map(Self::Minor).map_err(|_| FAULT)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Minor(minor) => write!(f, "v1.{minor}"),
            Self::Latest => f.write_str("latest"),
        }
    }
}

/// A level in a version, such as `baseline:v1.30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Standard {
    /// How strict.
    pub level: Level,
    /// As of when.
    pub version: Version,
}

impl Standard {
    /// Everything is allowed, whatever the version.
    pub const PRIVILEGED: Self = Self {
        level: Level::Privileged,
        version: Version::Latest,
    };

    /// Whether both allow the same.
    pub fn equivalent(&self, other: &Self) -> bool {
        self == other || (self.level == Level::Privileged && other.level == Level::Privileged)
    }
}

impl fmt::Display for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.level, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_they_are_written() {
        for text in ["v1.0", "v1.7", "v1.37", "latest"] {
            assert_eq!(Version::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "v1",
            "v1.",
            "1.2",
            "v1.02",
            "v1.-2",
            "v1.+2",
            "v2.0",
            "v1.2.3",
            "Latest",
            "v1.99999999999",
        ] {
            assert!(Version::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn stricter_and_newer_are_greater() {
        assert!(Level::Privileged < Level::Baseline && Level::Baseline < Level::Restricted);
        assert!(Version::Minor(9) < Version::Minor(10) && Version::Minor(99) < Version::Latest);
    }

    #[test]
    fn privileged_is_privileged_in_any_version() {
        let old = Standard {
            level: Level::Privileged,
            version: Version::Minor(3),
        };
        assert!(old.equivalent(&Standard::PRIVILEGED));
        let strict = Standard {
            level: Level::Baseline,
            ..old
        };
        assert!(!strict.equivalent(&old));
        assert_eq!(strict.to_string(), "baseline:v1.3");
    }
}
