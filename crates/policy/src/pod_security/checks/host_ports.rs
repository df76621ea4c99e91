//! Containers may not listen on ports of the node.
//!
//! Looks at `ports[*].hostPort` of every container.
//! Allows `0` and not given. The port that the API server itself sets with `hostNetwork` counts
//! only in objects that came through it.
//!
//! Versions: v1.0.

use super::super::Level;
use super::super::check::{Check, Forbidden, Form, containers, plural};
use super::super::pod::Pod;
use std::collections::BTreeSet;

pub(super) const CHECK: Check = Check {
    id: "hostPorts",
    level: Level::Baseline,
    title: "Ports of the node",
    fix: "Remove hostPort; reach the Pod through a Service.",
    forms: &[Form {
        since: 0,
        judge,
        replaces: None,
    }],
    source: include_str!("host_ports.rs"),
};

fn judge(pod: &Pod<'_>) -> Option<Forbidden> {
    let names = pod.named(|c| c.ports.iter().any(|p| p.host_port != 0));
    if names.is_empty() {
        return None;
    }
    let ports = pod.containers().flat_map(|c| &c.ports);
    // As texts: this is the order of reports.
    let ports: BTreeSet<String> = ports
        .filter(|p| p.host_port != 0)
        .map(|p| p.host_port.to_string())
        .collect();
    let detail = format!(
        "{} {} {} {}",
        containers(&names),
        plural("uses", "use", names.len()),
        plural("hostPort", "hostPorts", ports.len()),
        ports.into_iter().collect::<Vec<_>>().join(", ")
    );
    Forbidden::new("hostPort", detail)
}

#[cfg(test)]
mod tests {
    use super::super::detail;
    use super::CHECK;
    use serde_json::json;

    #[test]
    fn none_may_be_taken() {
        let spec = json!({
            "initContainers": [{"name": "a", "ports": [{"hostPort": 9000}, {"hostPort": 80}]}],
            "containers": [{"name": "b", "ports": [{"containerPort": 80, "hostPort": 0}]}],
        });
        assert_eq!(
            detail(&CHECK, 0, spec).unwrap(),
            "container \"a\" uses hostPorts 80, 9000"
        );
    }
}
