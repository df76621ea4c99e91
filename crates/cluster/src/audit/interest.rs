//! What a policy looks at, and what else its verdict depends on.

use crate::{Object, Resource};
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A kind, at whatever version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind {
    /// The group; empty for the core.
    pub group: String,
    /// The kind.
    pub kind: String,
}

impl Kind {
    /// By group and name.
    pub fn new(group: &str, kind: &str) -> Self {
        Self {
            group: group.to_owned(),
            kind: kind.to_owned(),
        }
    }

    /// Of what a server serves.
    pub fn of(resource: &Resource) -> Self {
        Self::new(&resource.group, &resource.kind)
    }

    /// Namespaces, which decide about others.
    pub fn namespace() -> Self {
        Self::new("", "Namespace")
    }
}

/// Which kinds a verdict reads besides the object itself: `data.inventory` in Rego.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reads {
    /// Only the object.
    Nothing,
    /// These kinds.
    Kinds(BTreeSet<Kind>),
    /// It cannot be told which: every followed kind.
    Anything,
}

impl Reads {
    pub(crate) fn reads(&self, kind: &Kind) -> bool {
        match self {
            Self::Nothing => false,
            Self::Kinds(kinds) => kinds.contains(kind),
            Self::Anything => true,
        }
    }

    /// The kinds that it names.
    pub(crate) fn named(&self) -> impl Iterator<Item = &Kind> {
        let kinds = match self {
            Self::Kinds(kinds) => Some(kinds),
            Self::Nothing | Self::Anything => None,
        };
        kinds.into_iter().flatten()
    }
}

/// What a policy is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interest {
    /// Groups and kinds as in a constraint's `match.kinds`, `*` for all; an empty list is all.
    pub kinds: Vec<(Vec<String>, Vec<String>)>,
    /// Whether labels of the object's namespace decide: `namespaceSelector`.
    pub by_namespace: bool,
    /// What else it reads.
    pub reads: Reads,
}

impl Interest {
    /// Whether objects of a kind may be judged.
    pub fn looks_at(&self, kind: &Kind) -> bool {
        // An empty list of groups or kinds matches all, as in Gatekeeper.
        let among = |wanted: &[String], have: &str| {
            wanted.is_empty() || wanted.iter().any(|w| w == "*" || w == have)
        };
        self.kinds.is_empty()
            || self
                .kinds
                .iter()
                .any(|(groups, kinds)| among(groups, &kind.group) && among(kinds, &kind.kind))
    }
}

/// The labels of an object as one number, to see a change.
pub(crate) fn labels(object: &Object) -> u64 {
    let mut hasher = DefaultHasher::new();
    let labels = object.value.pointer("/metadata/labels");
    if let Some(labels) = labels.and_then(serde_json::Value::as_object) {
        // In the order of their names, whatever the order in the text.
        let labels: BTreeSet<(&String, &str)> = labels
            .iter()
            .map(|(name, value)| (name, value.as_str().unwrap_or_default()))
            .collect();
        labels.hash(&mut hasher);
    }
    hasher.finish()
}
