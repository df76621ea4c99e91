//! A process may not gain more privileges than its parent has, such as by a set-user-ID program.
//!
//! Looks at `securityContext.allowPrivilegeEscalation` of every container.
//! Allows `false`; not given is not allowed, since the container runtime's default is `true`.
//! Pods with `spec.os.name: windows` pass from v1.25 on: the field means nothing there.
//!
//! Versions: v1.8, when the field came; v1.25.

use super::super::Level;
use super::super::check::{Check, Forbidden, Form, containers};
use super::super::pod::Pod;

pub(super) const CHECK: Check = Check {
    id: "allowPrivilegeEscalation",
    level: Level::Restricted,
    title: "Privilege escalation",
    fix: "Set securityContext.allowPrivilegeEscalation to false in every container.",
    forms: &[
        Form {
            since: 8,
            judge,
            replaces: None,
        },
        Form {
            since: 25,
            judge: unless_windows,
            replaces: None,
        },
    ],
    source: include_str!("allow_privilege_escalation.rs"),
};

fn judge(pod: &Pod<'_>) -> Option<Forbidden> {
    let bad = pod.named(|c| c.security_context.allow_privilege_escalation != Some(false));
    if bad.is_empty() {
        return None;
    }
    let detail = format!(
        "{} must set securityContext.allowPrivilegeEscalation=false",
        containers(&bad)
    );
    Forbidden::new("allowPrivilegeEscalation != false", detail)
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
    fn must_be_false() {
        let spec = json!({
            "containers": [
                {"name": "good", "securityContext": {"allowPrivilegeEscalation": false}},
                {"name": "bad", "securityContext": {"allowPrivilegeEscalation": true}},
            ],
            "ephemeralContainers": [{"name": "silent"}],
        });
        let wanted = "containers \"bad\", \"silent\" must set \
                      securityContext.allowPrivilegeEscalation=false";
        assert_eq!(detail(&CHECK, 8, spec.clone()).unwrap(), wanted);
        assert_eq!(detail(&CHECK, 7, spec), None);
    }

    #[test]
    fn windows_is_let_off_from_v1_25() {
        let spec = json!({"os": {"name": "windows"}, "containers": [{"name": "a"}]});
        assert!(detail(&CHECK, 24, spec.clone()).is_some());
        assert_eq!(detail(&CHECK, 25, spec), None);
    }
}
