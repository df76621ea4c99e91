//! All capabilities must be dropped; only `NET_BIND_SERVICE` may be added again.
//!
//! Looks at `securityContext.capabilities.drop` and `.add` of every container.
//! Allows a `drop` that has `ALL`, and an `add` that has nothing but `NET_BIND_SERVICE`.
//! Pods with `spec.os.name: windows` pass from v1.25 on: there are no capabilities there.
//! Asked instead of `capabilities_baseline`.
//!
//! Versions: v1.22; v1.25.

use super::super::Level;
use super::super::check::{Check, Forbidden, Form, containers, quoted};
use super::super::pod::Pod;
use std::collections::BTreeSet;

pub(super) const CHECK: Check = Check {
    id: "capabilities_restricted",
    level: Level::Restricted,
    title: "Capabilities are dropped",
    fix: "Set securityContext.capabilities.drop to [ALL] in every container and add at most NET_BIND_SERVICE.",
    forms: &[
        Form {
            since: 22,
            judge,
            replaces: Some("capabilities_baseline"),
        },
        Form {
            since: 25,
            judge: unless_windows,
            replaces: Some("capabilities_baseline"),
        },
    ],
    source: include_str!("capabilities_restricted.rs"),
};

fn judge(pod: &Pod<'_>) -> Option<Forbidden> {
    let keeping = pod.named(|c| !c.security_context.capabilities.drop.contains(&"ALL"));
    let mut adding = Vec::new();
    let mut added: BTreeSet<&str> = BTreeSet::new();
    for container in pod.containers() {
        let add = &container.security_context.capabilities.add;
        let mut bad = add.iter().filter(|c| **c != "NET_BIND_SERVICE").peekable();
        if bad.peek().is_some() {
            adding.push(container.name);
        }
        added.extend(bad);
    }
    let mut details = Vec::new();
    if !keeping.is_empty() {
        details.push(format!(
            "{} must set securityContext.capabilities.drop=[\"ALL\"]",
            containers(&keeping)
        ));
    }
    if !adding.is_empty() {
        details.push(format!(
            "{} must not include {} in securityContext.capabilities.add",
            containers(&adding),
            quoted(added)
        ));
    }
    if details.is_empty() {
        return None;
    }
    Forbidden::new("unrestricted capabilities", details.join("; "))
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
    fn all_are_dropped_and_one_may_be_added() {
        let with = |name: &str, what: serde_json::Value| json!({"name": name, "securityContext": {"capabilities": what}});
        let spec = json!({"containers": [
            with("a", json!({"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]})),
            with("b", json!({"drop": ["all"], "add": ["CHOWN"]})),
            {"name": "c"},
        ]});
        assert_eq!(
            detail(&CHECK, 22, spec).unwrap(),
            "containers \"b\", \"c\" must set securityContext.capabilities.drop=[\"ALL\"]; \
             container \"b\" must not include \"CHOWN\" in securityContext.capabilities.add"
        );
    }

    #[test]
    fn windows_is_let_off_from_v1_25() {
        let spec = json!({"os": {"name": "windows"}, "containers": [{"name": "a"}]});
        assert!(detail(&CHECK, 24, spec.clone()).is_some());
        assert_eq!(detail(&CHECK, 25, spec), None);
    }
}
