//! The Pod Security Standards of Kubernetes, as its own admission judges them.
//!
//! ```text
//! labels of the namespace ─► labels ─┐
//! review ─► admission ─► Pod ────────┴─► judge ─► checks ─► Failed ─► wording
//! ```
//!
//! A check is a file under `checks`: logic, metadata, tests, and its first comment is its manual
//! page. Levels, versions and wording are those of `k8s.io/pod-security-admission` up to v1.37;
//! `cargo xtask conformance pod-security` runs its fixtures.
//!
//! **Invariant:** pure functions of JSON values. A Pod whose fields have wrong types fails every
//! level but `privileged`.

pub mod admission;
pub(crate) mod check;
mod checks;
mod configuration;
pub mod labels;
mod levels;
mod namespace;
pub(crate) mod pod;

pub use check::Check;
pub use levels::{Level, Standard, Version};

use pod::Pod;
use serde_json::Value;
use std::fmt::Write;

/// The newest version that differs from the one before it; newer ones are judged as this.
pub const NEWEST: u32 = 37;

/// What a Pod fails.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Failed {
    /// The check's name, or [`UNREADABLE`].
    pub check: &'static str,
    /// What is forbidden, in some words.
    pub reason: &'static str,
    /// Who does it and how; may be empty.
    pub detail: String,
}

/// Stands for the check where a Pod could not be read.
pub const UNREADABLE: &str = "unreadable";

/// All checks in the order in which Kubernetes reports them.
pub fn checks() -> &'static [&'static Check] {
    checks::ALL
}

/// What a Pod, or the template of a workload, fails at a level in a version; in Kubernetes' order.
pub fn judge(level: Level, version: Version, metadata: &Value, spec: &Value) -> Vec<Failed> {
    if level == Level::Privileged {
        return Vec::new();
    }
    match Pod::read(metadata, spec) {
        Ok(pod) => judge_pod(Standard { level, version }, &pod),
        Err(detail) => vec![Failed {
            check: UNREADABLE,
            reason: "fields of a wrong type",
            detail,
        }],
    }
}

fn judge_pod(standard: Standard, pod: &Pod<'_>) -> Vec<Failed> {
    let minor = match standard.version {
        Version::Minor(minor) => minor.min(NEWEST),
        Version::Latest => NEWEST,
    };
    let asked = || {
        let of_level = checks().iter().filter(|c| c.level <= standard.level);
        of_level.filter_map(|c| Some((*c, c.form(minor)?)))
    };
    let replaced = |id| asked().any(|(_, form)| form.replaces == Some(id));
    asked()
        .filter(|(check, _)| !replaced(check.id))
        .filter_map(|(check, form)| {
            let forbidden = (form.judge)(pod)?;
            Some(Failed {
                check: check.id,
                reason: forbidden.reason,
                detail: forbidden.detail,
            })
        })
        .collect()
}

/// `host namespaces (hostPID=true), privileged (…)`: everything that failed, as it is reported.
pub fn details(failed: &[Failed]) -> String {
    let mut text = String::new();
    for one in failed {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a text cannot fail.
        let _ = write!(text, "{comma}{}", one.reason);
        if !one.detail.is_empty() {
            let _ = write!(text, " ({})", one.detail);
        }
    }
    text
}

/// Only the reasons, for lists of many Pods.
pub fn reasons(failed: &[Failed]) -> String {
    let all: Vec<_> = failed.iter().map(|one| one.reason).collect();
    all.join(", ")
}

/// `violates PodSecurity "baseline:latest": …`, as the API server refuses a Pod.
pub fn violates(standard: Standard, failed: &[Failed]) -> String {
    format!("violates PodSecurity \"{standard}\": {}", details(failed))
}

/// `would violate PodSecurity "baseline:latest": …`, as warnings and audits have it.
pub fn would_violate(standard: Standard, failed: &[Failed]) -> String {
    format!(
        "would {}",
        violates(standard, failed).replacen("violates", "violate", 1)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn failing(level: Level, minor: u32, spec: &Value) -> Vec<&'static str> {
        let failed = judge(level, Version::Minor(minor), &Value::Null, spec);
        failed.iter().map(|f| f.check).collect()
    }

    #[test]
    fn wording_is_that_of_kubernetes() {
        let spec = json!({
            "hostPID": true,
            "hostNetwork": true,
            "containers": [{"name": "a", "securityContext": {"privileged": true}}],
        });
        let standard = Standard {
            level: Level::Baseline,
            version: Version::Latest,
        };
        let failed = judge(standard.level, standard.version, &Value::Null, &spec);
        assert_eq!(
            violates(standard, &failed),
            "violates PodSecurity \"baseline:latest\": host namespaces (hostNetwork=true, \
             hostPID=true), privileged (container \"a\" must not set \
             securityContext.privileged=true)"
        );
        assert!(would_violate(standard, &failed).starts_with("would violate PodSecurity \"base"));
        assert_eq!(reasons(&failed), "host namespaces, privileged");
    }

    #[test]
    fn a_restricted_check_replaces_its_baseline_one() {
        let spec = json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]});
        assert_eq!(failing(Level::Baseline, 0, &spec), ["hostPathVolumes"]);
        assert_eq!(failing(Level::Restricted, 0, &spec), ["restrictedVolumes"]);
    }

    #[test]
    fn versions_beyond_the_newest_are_the_newest() {
        let spec = json!({"containers": [{"name": "a"}]});
        let newest = failing(Level::Restricted, NEWEST, &spec);
        assert_eq!(failing(Level::Restricted, 500, &spec), newest);
        let latest = judge(Level::Restricted, Version::Latest, &Value::Null, &spec);
        assert_eq!(latest.iter().map(|f| f.check).collect::<Vec<_>>(), newest);
        assert_eq!(failing(Level::Restricted, 0, &spec), ["runAsNonRoot"]);
    }

    #[test]
    fn what_cannot_be_read_fails_unless_all_is_allowed() {
        let spec = json!({"containers": 7});
        assert_eq!(failing(Level::Baseline, 30, &spec), [UNREADABLE]);
        assert_eq!(failing(Level::Privileged, 30, &spec), [""; 0]);
    }

    #[test]
    fn the_newest_version_is_the_newest_form() {
        let newest = checks().iter().flat_map(|c| c.versions()).max();
        assert_eq!(newest, Some(NEWEST));
    }
}
