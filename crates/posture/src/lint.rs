//! What is doubtful in a framework file, given the checks that exist.

use crate::mapping::Mapping;
use bartizan_model::{CheckUid, ControlId, Framework};

/// A doubt. None stops a framework from being used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lint {
    /// A pattern matches no known check, so it tests nothing.
    Unmatched {
        /// Where it stands.
        control: ControlId,
        /// The pattern.
        pattern: String,
    },
    /// A control that only a person can judge does not say what to look at.
    NoGuidance {
        /// Which.
        control: ControlId,
    },
}

impl std::fmt::Display for Lint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unmatched { control, pattern } => {
                write!(
                    f,
                    "control {control}: pattern {pattern:?} matches no known check"
                )
            }
            Self::NoGuidance { control } => write!(
                f,
                "control {control}: it has no checks and no guidance for the person who has to judge it"
            ),
        }
    }
}

/// The doubts about a framework, given the uids of all known checks, in the order of its
/// controls.
pub fn lint(framework: &Framework, checks: &[CheckUid]) -> Vec<Lint> {
    let mut uids: Vec<&CheckUid> = checks.iter().collect();
    uids.sort();
    uids.dedup();
    let mut lints = Vec::new();
    for control in &framework.controls {
        if control.checks.is_empty() && control.guidance.trim().is_empty() {
            lints.push(Lint::NoGuidance {
                control: control.id.clone(),
            });
        }
        for pattern in &control.checks {
            if !Mapping::reaches(pattern, &uids) {
                lints.push(Lint::Unmatched {
                    control: control.id.clone(),
                    pattern: pattern.clone(),
                });
            }
        }
    }
    lints
}

/// The checks, of those given, that no control of the framework reaches; sorted.
pub fn unmapped(framework: &Framework, checks: &[CheckUid]) -> Vec<CheckUid> {
    let mut uids: Vec<&CheckUid> = checks.iter().collect();
    uids.sort();
    uids.dedup();
    let reached: std::collections::BTreeSet<&CheckUid> = Mapping::compile(framework)
        .assign(&uids)
        .into_iter()
        .flatten()
        .collect();
    uids.into_iter()
        .filter(|uid| !reached.contains(uid))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubts_are_named() {
        let yaml = b"id: f\ntitle: F\nversion: '1'\nsource: us\ncontrols:\n- id: A\n  title: a\n  checks: [rego/bartizan/k8s*, rego/bartizan/gone, 'sarif/*']\n- id: B\n  title: b\n- id: C\n  title: c\n  guidance: Look.\n";
        let framework = crate::load("f.yaml", yaml).unwrap().framework;
        let checks =
            ["rego/bartizan/k8spspprivileged", "cel/x/y"].map(|u| CheckUid::new(u).unwrap());
        let doubts: Vec<String> = lint(&framework, &checks)
            .iter()
            .map(Lint::to_string)
            .collect();
        insta::assert_snapshot!(doubts.join("\n"), @r##"
control A: pattern "rego/bartizan/gone" matches no known check
control A: pattern "sarif/*" matches no known check
control B: it has no checks and no guidance for the person who has to judge it
"##);
        assert_eq!(
            unmapped(&framework, &checks),
            [CheckUid::new("cel/x/y").unwrap()]
        );
    }
}
