//! Which other objects a policy looks at, as its annotation
//! `metadata.gatekeeper.sh/requires-sync-data` says.
//!
//! What no policy asks for is not kept in `data.inventory`, so that one policy about Ingresses
//! does not hold a hundred thousand Pods in memory. A policy that uses the inventory and does
//! not say for what gets everything.

use serde_json::Value;
use std::collections::BTreeSet;

/// The kinds of objects that the inventory must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Synced {
    /// All of them.
    Everything,
    /// These groups and kinds; `*` stands for any.
    Only(BTreeSet<(String, String)>),
}

impl Synced {
    /// Reads the annotation: a list of requirements, each a list of equivalent
    /// `{groups, versions, kinds}`. Gatekeeper's own library writes it in quotes.
    pub(crate) fn parse(annotation: Option<&str>) -> Self {
        let text = annotation.unwrap_or("").trim().trim_matches('"');
        let Ok(Value::Array(requirements)) = serde_json::from_str(text) else {
            return Self::Everything;
        };
        let mut kinds = BTreeSet::new();
        for entry in requirements.iter().filter_map(Value::as_array).flatten() {
            for group in words(entry, "groups") {
                for kind in words(entry, "kinds") {
                    kinds.insert((group.to_owned(), kind.to_owned()));
                }
            }
        }
        if kinds.is_empty() {
            return Self::Everything;
        }
        Self::Only(kinds)
    }

    /// What both need.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Only(mut mine), Self::Only(other)) => {
                mine.extend(other);
                Self::Only(mine)
            }
            _ => Self::Everything,
        }
    }

    /// Whether objects of a group and kind are to be kept.
    pub(crate) fn holds(&self, group: &str, kind: &str) -> bool {
        let fits = |pattern: &str, word: &str| pattern == "*" || pattern == word;
        match self {
            Self::Everything => true,
            Self::Only(kinds) => kinds.iter().any(|(g, k)| fits(g, group) && fits(k, kind)),
        }
    }
}

fn words<'v>(entry: &'v Value, field: &str) -> impl Iterator<Item = &'v str> {
    let found = entry.get(field).and_then(Value::as_array);
    found.into_iter().flatten().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_for_is_held() {
        let ingresses = Synced::parse(Some(
            "\"[[{\"groups\": [\"extensions\"], \"versions\": [\"v1beta1\"], \"kinds\": [\"Ingress\"]},\n\
             {\"groups\": [\"networking.k8s.io\"], \"versions\": [\"v1\"], \"kinds\": [\"Ingress\"]}]]\"\n",
        ));
        assert!(ingresses.holds("networking.k8s.io", "Ingress"));
        assert!(ingresses.holds("extensions", "Ingress"));
        assert!(!ingresses.holds("", "Pod"));
        let quotas = Synced::parse(Some(r#"[[{"groups":[""],"kinds":["*"]}]]"#));
        let both = ingresses.clone().and(quotas);
        assert!(both.holds("", "Pod") && both.holds("extensions", "Ingress"));
        assert!(!both.holds("apps", "Deployment"));
        assert_eq!(ingresses.and(Synced::Everything), Synced::Everything);
    }

    #[test]
    fn what_cannot_be_read_asks_for_everything() {
        for text in [
            None,
            Some(""),
            Some("Ingress"),
            Some("[]"),
            Some("[[{}]]"),
            Some("{\"a\": 1}"),
        ] {
            assert_eq!(Synced::parse(text), Synced::Everything, "{text:?}");
        }
    }
}
