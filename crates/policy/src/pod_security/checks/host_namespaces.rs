//! A Pod may not share the network, the processes or the message queues of its node.
//!
//! Looks at `spec.hostNetwork`, `spec.hostPID` and `spec.hostIPC`.
//! Allows `false` and not given.
//!
//! Versions: v1.0.

use super::super::Level;
use super::super::check::{Check, Forbidden, Form};
use super::super::pod::Pod;

pub(super) const CHECK: Check = Check {
    id: "hostNamespaces",
    level: Level::Baseline,
    title: "Namespaces of the node",
    fix: "Remove hostNetwork, hostPID and hostIPC.",
    forms: &[Form {
        since: 0,
        judge,
        replaces: None,
    }],
    source: include_str!("host_namespaces.rs"),
};

fn judge(pod: &Pod<'_>) -> Option<Forbidden> {
    let spec = &pod.spec;
    let all = [
        ("hostNetwork=true", spec.host_network),
        ("hostPID=true", spec.host_pid),
        ("hostIPC=true", spec.host_ipc),
    ];
    let shared: Vec<_> = all
        .iter()
        .filter(|(_, is)| *is)
        .map(|(name, _)| *name)
        .collect();
    if shared.is_empty() {
        return None;
    }
    Forbidden::new("host namespaces", shared.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::detail;
    use super::CHECK;
    use serde_json::json;

    #[test]
    fn none_may_be_shared() {
        let spec = json!({"hostIPC": true, "hostPID": false, "hostNetwork": true});
        assert_eq!(
            detail(&CHECK, 0, spec).unwrap(),
            "hostNetwork=true, hostIPC=true"
        );
        assert_eq!(detail(&CHECK, 0, json!({"hostPID": false})), None);
    }
}
