//! Which checks reach which control: a framework's patterns, compiled once.

use bartizan_model::{CheckUid, Framework};
use std::collections::BTreeSet;

/// The patterns of a framework, sorted by how they are looked up.
///
/// Most patterns are a whole uid or a prefix; these are found by binary search in the sorted
/// uids. Only a pattern with a star elsewhere is tried on every uid.
#[derive(Debug, Clone, Default)]
pub struct Mapping {
    /// For each control, in the framework's order.
    controls: Vec<Vec<Pattern>>,
}

#[derive(Debug, Clone)]
enum Pattern {
    /// No star.
    Exact(String),
    /// One star, at the end; the text before it.
    Prefix(String),
    /// Any other; the literal text before the first star, and the whole.
    Glob { before: String, whole: String },
}

impl Pattern {
    fn compile(text: &str) -> Self {
        match text.split_once('*') {
            None => Self::Exact(text.to_owned()),
            Some((before, "")) => Self::Prefix(before.to_owned()),
            Some((before, _)) => Self::Glob {
                before: before.to_owned(),
                whole: text.to_owned(),
            },
        }
    }

    /// The places in the sorted `uids` that it matches.
    fn places(&self, uids: &[&CheckUid]) -> Vec<usize> {
        let range = |before: &str| {
            let from = uids.partition_point(|uid| uid.as_str() < before);
            let rest = uids.get(from..).unwrap_or_default();
            from..from + rest.partition_point(|uid| uid.as_str().starts_with(before))
        };
        match self {
            Self::Exact(text) => uids
                .binary_search_by(|uid| uid.as_str().cmp(text))
                .into_iter()
                .collect(),
            Self::Prefix(before) => range(before).collect(),
            Self::Glob { before, whole } => range(before)
                .filter(|&at| uids.get(at).is_some_and(|uid| uid.matches(whole)))
                .collect(),
        }
    }
}

impl Mapping {
    /// Compiles the patterns of a framework.
    pub fn compile(framework: &Framework) -> Self {
        Self {
            controls: framework
                .controls
                .iter()
                .map(|control| control.checks.iter().map(|p| Pattern::compile(p)).collect())
                .collect(),
        }
    }

    /// For each control, in the framework's order, its checks among `uids`, which must be
    /// sorted and distinct. The checks come sorted and distinct too.
    pub fn assign<'a>(&self, uids: &[&'a CheckUid]) -> Vec<Vec<&'a CheckUid>> {
        self.controls
            .iter()
            .map(|patterns| {
                let places: BTreeSet<usize> =
                    patterns.iter().flat_map(|p| p.places(uids)).collect();
                places
                    .into_iter()
                    .filter_map(|at| uids.get(at).copied())
                    .collect()
            })
            .collect()
    }

    /// Whether a pattern matches any of the sorted, distinct `uids`.
    pub(crate) fn reaches(pattern: &str, uids: &[&CheckUid]) -> bool {
        !Pattern::compile(pattern).places(uids).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_model::{Control, ControlId, FrameworkId};
    use proptest::prelude::*;

    fn framework(patterns: Vec<Vec<String>>) -> Framework {
        Framework {
            id: FrameworkId::new("f").unwrap(),
            title: "F".to_owned(),
            version: "1".to_owned(),
            source: "us".to_owned(),
            controls: patterns
                .into_iter()
                .enumerate()
                .map(|(n, checks)| Control {
                    id: ControlId::new(n.to_string()).unwrap(),
                    title: n.to_string(),
                    group: String::new(),
                    checks,
                    guidance: String::new(),
                })
                .collect(),
        }
    }

    proptest! {
        /// Looking up gives what trying every pattern on every uid gives.
        #[test]
        fn agrees_with_matching_one_by_one(
            patterns in proptest::collection::vec(proptest::collection::vec("[ab*é]{1,5}", 0..4), 0..4),
            uids in proptest::collection::btree_set("[abé]{1,5}", 0..12),
        ) {
            let uids: Vec<CheckUid> = uids.into_iter().map(|u| CheckUid::new(u).unwrap()).collect();
            let uids: Vec<&CheckUid> = uids.iter().collect();
            let expected: Vec<Vec<&CheckUid>> = patterns
                .iter()
                .map(|of| uids.iter().copied().filter(|u| of.iter().any(|p| u.matches(p))).collect())
                .collect();
            let mapping = Mapping::compile(&framework(patterns));
            prop_assert_eq!(mapping.assign(&uids), expected);
        }
    }

    #[test]
    fn thousands_of_checks_and_patterns_take_milliseconds() {
        let uids: Vec<CheckUid> = (0..5000)
            .map(|n| CheckUid::new(format!("rego/bartizan/rule{n:04}")).unwrap())
            .collect();
        let uids: Vec<&CheckUid> = uids.iter().collect();
        let patterns = (0..1000)
            .map(|n| {
                vec![
                    format!("rego/bartizan/rule{n:04}"),
                    format!("rego/*/rule{n:04}"),
                ]
            })
            .collect();
        let mapping = Mapping::compile(&framework(patterns));
        let start = std::time::Instant::now();
        let found = mapping.assign(&uids);
        let took = start.elapsed();
        assert!(found.iter().all(|checks| checks.len() == 1));
        // Generous: a loaded machine; quadratic work without the prefix takes far longer.
        assert!(took.as_millis() < 3000, "{took:?}");
    }
}
