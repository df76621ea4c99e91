//! A filter of system calls must be asked for.
//!
//! Looks at `securityContext.seccompProfile.type` of the Pod and of every container.
//! Allows `RuntimeDefault` and `Localhost`, and not given in a container where the Pod has one.
//! Pods with `spec.os.name: windows` pass from v1.25 on: there is no seccomp there.
//! Asked instead of `seccompProfile_baseline`.
//!
//! Versions: v1.19; v1.25.

use super::super::Level;
use super::super::check::{Check, Forbidden, Form, containers};
use super::super::pod::Pod;
use super::seccomp_profile_baseline::fields;

pub(super) const CHECK: Check = Check {
    id: "seccompProfile_restricted",
    level: Level::Restricted,
    title: "Seccomp profiles are set",
    fix: "Set securityContext.seccompProfile.type to RuntimeDefault in the Pod.",
    forms: &[
        Form {
            since: 19,
            judge,
            replaces: Some("seccompProfile_baseline"),
        },
        Form {
            since: 25,
            judge: unless_windows,
            replaces: Some("seccompProfile_baseline"),
        },
    ],
    source: include_str!("seccomp_profile_restricted.rs"),
};

fn judge(pod: &Pod<'_>) -> Option<Forbidden> {
    // What is set wrongly is the same as at baseline.
    if let Some(forbidden) = fields(pod) {
        return Some(forbidden);
    }
    let silent = pod.named(|c| c.security_context.seccomp_profile.is_none());
    if pod.spec.security_context.seccomp_profile.is_some() || silent.is_empty() {
        return None;
    }
    let detail = format!(
        "pod or {} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"",
        containers(&silent)
    );
    Forbidden::new("seccompProfile", detail)
}

fn unless_windows(pod: &Pod<'_>) -> Option<Forbidden> {
    if pod.on_windows() { None } else { judge(pod) }
}

#[cfg(test)]
mod tests {
    use super::super::detail;
    use super::CHECK;
    use serde_json::json;

    #[test]
    fn the_pod_or_all_containers_must_ask() {
        let mut spec = json!({"containers": [
            {"name": "a"},
            {"name": "b", "securityContext": {"seccompProfile": {"type": "Localhost"}}},
        ]});
        assert_eq!(
            detail(&CHECK, 19, spec.clone()).unwrap(),
            "pod or container \"a\" must set securityContext.seccompProfile.type to \
             \"RuntimeDefault\" or \"Localhost\""
        );
        spec["securityContext"] = json!({"seccompProfile": {"type": "RuntimeDefault"}});
        assert_eq!(detail(&CHECK, 19, spec.clone()), None);
        spec["securityContext"] = json!({"seccompProfile": {"type": "Unconfined"}});
        let wanted = "pod must not set securityContext.seccompProfile.type to \"Unconfined\"";
        assert_eq!(detail(&CHECK, 19, spec).unwrap(), wanted);
    }

    #[test]
    fn windows_is_let_off_from_v1_25() {
        let spec = json!({"os": {"name": "windows"}, "containers": [{"name": "a"}]});
        assert!(detail(&CHECK, 24, spec.clone()).is_some());
        assert_eq!(detail(&CHECK, 25, spec), None);
    }
}
