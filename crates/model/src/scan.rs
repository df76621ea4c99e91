//! Scans and the scopes that they cover.

use crate::{Digest, IdError, ScanId, ScopeId, Timestamp};
use serde::{Deserialize, Serialize};

/// What kind of thing a scope is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeKind {
    /// A Kubernetes cluster.
    Cluster,
    /// A machine.
    Host,
    /// A source repository or folder of manifests.
    Repository,
}

impl ScopeKind {
    /// The word in a scope id.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Host => "host",
            Self::Repository => "repository",
        }
    }

    /// Parses the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Cluster, Self::Host, Self::Repository]
            .into_iter()
            .find(|k| k.word() == word)
    }
}

/// What is scored and attested as one: a cluster, a host, a repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Scope {
    /// Its kind.
    pub kind: ScopeKind,
    /// Its name, unique within the kind.
    pub name: String,
}

impl Scope {
    /// The scope's id, `kind:name`.
    pub fn id(&self) -> Result<ScopeId, IdError> {
        ScopeId::new(format!("{}:{}", self.kind.word(), self.name))
    }

    /// Parses `kind:name`; a bare name is a repository.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let refuse = |why| IdError {
            kind: "scope",
            value: text.chars().take(80).collect(),
            why,
        };
        let (kind, name) = match text.split_once(':') {
            Some((kind, name)) => {
                let kind = ScopeKind::parse(kind)
                    .ok_or_else(|| refuse("its kind is none of cluster, host and repository"))?;
                (kind, name)
            }
            None => (ScopeKind::Repository, text),
        };
        let scope = Self {
            kind,
            name: name.to_owned(),
        };
        if scope.name.is_empty() {
            return Err(refuse("it has no name"));
        }
        scope.id().map(|_| scope)
    }
}

/// A digest of one piece of content that took part in a scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentDigest {
    /// Its name, such as `bartizan` (the embedded policies) or a folder.
    pub name: String,
    /// Its digest.
    pub digest: Digest,
}

/// One run of a scanner over one scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scan {
    /// Made by the scanner; a submission with a known id is the same submission.
    pub id: ScanId,
    /// What scanned: `bartizan/k8s`, `sarif/<tool name>`.
    pub source: String,
    /// Version of what scanned.
    pub source_version: String,
    /// What was looked at.
    pub scope: Scope,
    /// Whether everything of the scope was seen by this source. Only a complete scan may
    /// close what it no longer sees, and only what the same source reported.
    pub complete: bool,
    /// When it began.
    pub started: Timestamp,
    /// When it ended: the time of everything the scan says.
    pub finished: Timestamp,
    /// Policies and other content that judged.
    #[serde(default)]
    pub content: Vec<ContentDigest>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_parse_and_print() {
        for text in ["cluster:prod", "host:db-1", "repository:shop"] {
            let scope = Scope::parse(text).unwrap();
            assert_eq!(scope.id().unwrap().as_str(), text);
        }
        assert_eq!(Scope::parse("shop").unwrap().kind, ScopeKind::Repository);
        for bad in ["", "planet:mars", "cluster:", ":x", "cluster:a\nb"] {
            assert!(Scope::parse(bad).is_err(), "{bad:?}");
        }
    }
}
