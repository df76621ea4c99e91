//! Containers must not run as root.
//!
//! Looks at `securityContext.runAsNonRoot` of the Pod and of every container.
//! Allows `true`, and not given in a container where the Pod says `true`; from v1.35 on anything
//! in Pods with `spec.hostUsers: false`, whose root is not the node's.
//!
//! Versions: v1.0; v1.35.

use super::super::Level;
use super::super::check::{Check, Forbidden, Form, containers, setters};
use super::super::pod::Pod;

pub(super) const CHECK: Check = Check {
    id: "runAsNonRoot",
    level: Level::Restricted,
    title: "Not running as root",
    fix: "Set securityContext.runAsNonRoot to true in the Pod or in every container.",
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
    source: include_str!("run_as_non_root.rs"),
};

const REASON: &str = "runAsNonRoot != true";

fn judge(pod: &Pod<'_>) -> Option<Forbidden> {
    let of_pod = pod.spec.security_context.run_as_non_root;
    let refusing = pod.named(|c| c.security_context.run_as_non_root == Some(false));
    if let Some(who) = setters(of_pod == Some(false), &refusing) {
        let detail = format!("{who} must not set securityContext.runAsNonRoot=false");
        return Forbidden::new(REASON, detail);
    }
    let silent = pod.named(|c| c.security_context.run_as_non_root.is_none());
    if of_pod == Some(true) || silent.is_empty() {
        return None;
    }
    let who = containers(&silent);
    Forbidden::new(
        REASON,
        format!("pod or {who} must set securityContext.runAsNonRoot=true"),
    )
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

    fn container(name: &str, root: Option<bool>) -> serde_json::Value {
        json!({"name": name, "securityContext": {"runAsNonRoot": root}})
    }

    #[test]
    fn the_pod_or_all_containers_must_say_so() {
        let silent = json!({"containers": [container("a", None), container("b", Some(true))]});
        assert_eq!(
            detail(&CHECK, 0, silent.clone()).unwrap(),
            "pod or container \"a\" must set securityContext.runAsNonRoot=true"
        );
        let mut said = silent;
        said["securityContext"] = json!({"runAsNonRoot": true});
        assert_eq!(detail(&CHECK, 0, said), None);
    }

    #[test]
    fn none_may_say_otherwise() {
        let mut spec = json!({
            "securityContext": {"runAsNonRoot": false},
            "containers": [container("a", Some(false)), container("b", None)],
        });
        let wanted = "pod and container \"a\" must not set securityContext.runAsNonRoot=false";
        assert_eq!(detail(&CHECK, 35, spec.clone()).unwrap(), wanted);
        spec["hostUsers"] = json!(false);
        assert!(detail(&CHECK, 34, spec.clone()).is_some());
        assert_eq!(detail(&CHECK, 35, spec), None);
    }
}
