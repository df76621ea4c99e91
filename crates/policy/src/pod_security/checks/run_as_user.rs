//! Containers must not be told to run as user 0.
//!
//! Looks at `securityContext.runAsUser` of the Pod and of every container.
//! Allows anything but `0`, and not given; from v1.35 on `0` as well in Pods with
//! `spec.hostUsers: false`, whose root is not the node's.
//!
//! Versions: v1.23; v1.35.

use super::super::Level;
use super::super::check::{Check, Forbidden, Form, setters};
use super::super::pod::Pod;

pub(super) const CHECK: Check = Check {
    id: "runAsUser",
    level: Level::Restricted,
    title: "Not running as user 0",
    fix: "Set securityContext.runAsUser to another user than 0, or remove it.",
    forms: &[
        Form {
            since: 23,
            judge,
            replaces: None,
        },
        Form {
            since: 35,
            judge: unless_own_users,
            replaces: None,
        },
    ],
    source: include_str!("run_as_user.rs"),
};

fn judge(pod: &Pod<'_>) -> Option<Forbidden> {
    let bad = pod.named(|c| c.security_context.run_as_user == Some(0));
    let who = setters(pod.spec.security_context.run_as_user == Some(0), &bad)?;
    Forbidden::new("runAsUser=0", format!("{who} must not set runAsUser=0"))
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
    fn nobody_is_user_0() {
        let mut spec = json!({
            "securityContext": {"runAsUser": 0},
            "containers": [
                {"name": "a", "securityContext": {"runAsUser": 0}},
                {"name": "b", "securityContext": {"runAsUser": 1000}},
                {"name": "c"},
            ],
        });
        let wanted = "pod and container \"a\" must not set runAsUser=0";
        assert_eq!(detail(&CHECK, 23, spec.clone()).unwrap(), wanted);
        assert_eq!(detail(&CHECK, 22, spec.clone()), None);
        spec["hostUsers"] = json!(false);
        assert_eq!(detail(&CHECK, 35, spec), None);
    }
}
