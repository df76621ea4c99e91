//! Probes and lifecycle handlers may not name the host to connect to: the node's agent would
//! connect to it on the Pod's behalf.
//!
//! Looks at `httpGet.host` and `tcpSocket.host` of `livenessProbe`, `readinessProbe`,
//! `startupProbe`, `lifecycle.postStart` and `lifecycle.preStop` of every container.
//! Allows the empty text and not given.
//!
//! Versions: v1.34.

use super::super::Level;
use super::super::check::{Check, Forbidden, Form, containers, plural, quoted};
use super::super::pod::{Container, Pod};
use std::collections::BTreeSet;

pub(super) const CHECK: Check = Check {
    id: "hostProbesAndHostLifecycle",
    level: Level::Baseline,
    title: "Hosts of probes and lifecycle handlers",
    fix: "Remove the host from probes and lifecycle handlers.",
    forms: &[Form {
        since: 34,
        judge,
        replaces: None,
    }],
    source: include_str!("host_probes_and_host_lifecycle.rs"),
};

fn hosts<'c>(container: &'c Container<'_>) -> impl Iterator<Item = &'c str> {
    let handlers = [
        &container.liveness_probe,
        &container.readiness_probe,
        &container.startup_probe,
        &container.lifecycle.post_start,
        &container.lifecycle.pre_stop,
    ];
    let all = handlers
        .into_iter()
        .flat_map(|h| [h.http_get.host, h.tcp_socket.host]);
    all.filter(|host| !host.is_empty())
}

fn judge(pod: &Pod<'_>) -> Option<Forbidden> {
    // Unlike in other checks names are in alphabetical order and said once.
    let names: BTreeSet<&str> = pod
        .named(|c| hosts(c).next().is_some())
        .into_iter()
        .collect();
    if names.is_empty() {
        return None;
    }
    let names: Vec<&str> = names.into_iter().collect();
    let named: BTreeSet<&str> = pod.containers().flat_map(hosts).collect();
    let (one, many) = ("probe or lifecycle host", "probe or lifecycle hosts");
    let detail = format!(
        "{} {} {} {}",
        containers(&names),
        plural("uses", "use", names.len()),
        plural(one, many, named.len()),
        quoted(named)
    );
    Forbidden::new("probe or lifecycle host", detail)
}

#[cfg(test)]
mod tests {
    use super::super::detail;
    use super::CHECK;
    use serde_json::json;

    #[test]
    fn none_may_be_named() {
        let spec = json!({
            "initContainers": [{"name": "z", "lifecycle": {"preStop": {"tcpSocket": {"host": "y"}}}}],
            "containers": [
                {"name": "a", "livenessProbe": {"httpGet": {"host": "x"}}},
                {"name": "b", "startupProbe": {"httpGet": {"host": "", "port": 1}}},
            ],
        });
        let wanted = "containers \"a\", \"z\" use probe or lifecycle hosts \"x\", \"y\"";
        assert_eq!(detail(&CHECK, 34, spec.clone()).unwrap(), wanted);
        assert_eq!(detail(&CHECK, 33, spec), None);
    }
}
