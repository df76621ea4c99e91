//! What the container runtime hides below `/proc` must stay hidden.
//!
//! Looks at `securityContext.procMount` of every container.
//! Allows `Default` and not given; from v1.35 on anything in Pods with `spec.hostUsers: false`,
//! whose users are not the node's.
//!
//! Versions: v1.0; v1.35. At `restricted` of v1.35 and later `procMount_restricted` is asked
//! instead.

use super::super::Level;
use super::super::check::{Check, Forbidden, Form, containers, quoted};
use super::super::pod::Pod;
use std::collections::BTreeSet;

pub(super) const CHECK: Check = Check {
    id: "procMount",
    level: Level::Baseline,
    title: "Masks of /proc",
    fix: "Remove securityContext.procMount, or set it to Default.",
    forms: &[
        Form {
            since: 0,
            judge,
            replaces: None,
        },
        Form {
            since: 35,
            judge: unless_own_users,
            replaces: None,
        },
    ],
    source: include_str!("proc_mount.rs"),
};

pub(super) fn judge(pod: &Pod<'_>) -> Option<Forbidden> {
    let mut names = Vec::new();
    let mut values = BTreeSet::new();
    for container in pod.containers() {
        let given = container.security_context.proc_mount;
        if let Some(value) = given.filter(|v| *v != "Default") {
            names.push(container.name);
            values.insert(value);
        }
    }
    if names.is_empty() {
        return None;
    }
    let detail = format!(
        "{} must not set securityContext.procMount to {}",
        containers(&names),
        quoted(values)
    );
    Forbidden::new("procMount", detail)
}

fn unless_own_users(pod: &Pod<'_>) -> Option<Forbidden> {
    if pod.has_own_users() {
        None
    } else {
        judge(pod)
    }
}

#[cfg(test)]
mod tests {
    use super::super::detail;
    use super::CHECK;
    use serde_json::json;

    #[test]
    fn only_the_default_unless_users_are_its_own() {
        let mut spec = json!({"containers": [
            {"name": "a", "securityContext": {"procMount": "Unmasked"}},
            {"name": "b", "securityContext": {"procMount": "Default"}},
            {"name": "c", "securityContext": {"procMount": "Unmasked"}},
        ]});
        let wanted =
            "containers \"a\", \"c\" must not set securityContext.procMount to \"Unmasked\"";
        assert_eq!(detail(&CHECK, 37, spec.clone()).unwrap(), wanted);
        spec["hostUsers"] = json!(false);
        assert_eq!(detail(&CHECK, 34, spec.clone()).unwrap(), wanted);
        assert_eq!(detail(&CHECK, 35, spec), None);
    }
}
