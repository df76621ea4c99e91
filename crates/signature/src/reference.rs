//! Names of images, read as go-containerregistry reads them, since policies match on its form.

use bartizan_model::Digest;
use std::fmt;

/// Where images without a registry come from.
const DOCKER: &str = "index.docker.io";

/// Why a text names no image: its author's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} names no image: {why}")]
pub struct ReferenceError {
    /// What was given, cut.
    pub text: String,
    /// What is wrong.
    pub why: &'static str,
}

/// An image's name: registry, repository, and a tag or digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// The registry, with its port.
    pub registry: String,
    /// The repository in it.
    pub repository: String,
    /// The tag; `latest` where neither tag nor digest is given, none where there is a digest.
    pub tag: Option<String>,
    /// The digest.
    pub digest: Option<Digest>,
}

impl Reference {
    /// Reads a name. A tag beside a digest is dropped: the digest says which image is meant.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let fault = |why| ReferenceError {
            text: text.chars().take(200).collect(),
            why,
        };
        if text.len() > 1_000 {
            return Err(fault("it is too long"));
        }
        let (base, digest) = match text.split_once('@') {
            None => (text, None),
            Some((base, digest)) => {
                let hex = digest.strip_prefix("sha256:");
                let lower = |h: &str| h.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                if !hex.is_some_and(|h| h.len() == 64 && lower(h)) {
                    return Err(fault("its digest is no sha256 digest"));
                }
                let digest = Digest::new(digest).map_err(|_| fault("its digest is malformed"))?;
                (base, Some(digest))
            }
        };
        let (name, tag) = match base.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (base, None),
        };
        if let Some(tag) = tag {
            let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            if tag.is_empty() || tag.len() > 128 || !tag.chars().all(good) {
                return Err(fault("its tag is malformed"));
            }
        }
        let (registry, repository) = match name.split_once('/') {
            Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (host, rest),
            _ => (DOCKER, name),
        };
        let registry = if registry == "docker.io" {
            DOCKER
        } else {
            registry
        };
        let host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        if !registry.chars().all(host) {
            return Err(fault("its registry is malformed"));
        }
        let good = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-' | '.' | '/');
        let parts = repository
            .split('/')
            .all(|p| !p.is_empty() && p != "." && p != "..");
        if repository.len() > 255 || !repository.chars().all(good) || !parts {
            return Err(fault("its repository is malformed"));
        }
        let official = registry == DOCKER && !repository.contains('/');
        let tag = match digest {
            Some(_) => None,
            None => Some(tag.unwrap_or("latest").to_owned()),
        };
        Ok(Self {
            registry: registry.to_owned(),
            repository: match official {
                true => format!("library/{repository}"),
                false => repository.to_owned(),
            },
            tag,
            digest,
        })
    }

    /// Registry and repository.
    pub fn place(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The same image by this digest.
    pub fn at(&self, digest: Digest) -> Self {
        Self {
            tag: None,
            digest: Some(digest),
            ..self.clone()
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        match (&self.tag, &self.digest) {
            (_, Some(digest)) => write!(f, "@{digest}"),
            (Some(tag), None) => write!(f, ":{tag}"),
            (None, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_whole() {
        let zeros = format!("sha256:{}", "0".repeat(64));
        for (given, whole) in [
            ("foo", "index.docker.io/library/foo:latest"),
            ("docker.io/foo:1", "index.docker.io/library/foo:1"),
            ("me/app", "index.docker.io/me/app:latest"),
            ("ghcr.io/me/app:v1.2", "ghcr.io/me/app:v1.2"),
            ("localhost/app", "localhost/app:latest"),
            ("127.0.0.1:5000/app", "127.0.0.1:5000/app:latest"),
        ] {
            assert_eq!(Reference::parse(given).unwrap().to_string(), whole);
        }
        let by_digest = Reference::parse(&format!("ghcr.io/a/b:v1@{zeros}")).unwrap();
        assert_eq!(by_digest.to_string(), format!("ghcr.io/a/b@{zeros}"));
    }

    #[test]
    fn what_is_no_name() {
        for bad in [
            "",
            "a b",
            "UPPER",
            "a:",
            "a@sha256:12",
            "a@md5:aa",
            "ghcr.io/",
            "a/../b",
            "a//b",
            "x:y z",
            "evil\n/x",
        ] {
            assert!(Reference::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Reference::parse(&"a".repeat(2_000)).is_err());
    }
}
