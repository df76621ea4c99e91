//! Capabilities beyond those that containers commonly have may not be added; `NET_RAW` neither.
//!
//! Looks at `securityContext.capabilities.add` of every container.
//! Allows `AUDIT_WRITE`, `CHOWN`, `DAC_OVERRIDE`, `FOWNER`, `FSETID`, `KILL`, `MKNOD`,
//! `NET_BIND_SERVICE`, `SETFCAP`, `SETGID`, `SETPCAP`, `SETUID` and `SYS_CHROOT`.
//!
//! Versions: v1.0.

use super::super::Level;
use super::super::check::{Check, Forbidden, Form, containers, quoted};
use super::super::pod::Pod;
use std::collections::BTreeSet;

pub(super) const CHECK: Check = Check {
    id: "capabilities_baseline",
    level: Level::Baseline,
    title: "Added capabilities",
    fix: "Remove what is named from securityContext.capabilities.add.",
    forms: &[Form {
        since: 0,
        judge,
        replaces: None,
    }],
    source: include_str!("capabilities_baseline.rs"),
};

const ALLOWED: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

fn judge(pod: &Pod<'_>) -> Option<Forbidden> {
    let mut names = Vec::new();
    let mut added: BTreeSet<&str> = BTreeSet::new();
    for container in pod.containers() {
        let add = &container.security_context.capabilities.add;
        let mut bad = add.iter().filter(|c| !ALLOWED.contains(c)).peekable();
        if bad.peek().is_some() {
            names.push(container.name);
        }
        added.extend(bad);
    }
    if names.is_empty() {
        return None;
    }
    let detail = format!(
        "{} must not include {} in securityContext.capabilities.add",
        containers(&names),
        quoted(added)
    );
    Forbidden::new("non-default capabilities", detail)
}

#[cfg(test)]
mod tests {
    use super::super::detail;
    use super::CHECK;
    use serde_json::json;

    #[test]
    fn only_common_ones_may_be_added() {
        let add = |name: &str, all: &[&str]| json!({"name": name, "securityContext": {"capabilities": {"add": all}}});
        let spec = json!({"containers": [
            add("a", &["SYS_ADMIN", "CHOWN"]),
            add("b", &["NET_RAW", "SYS_ADMIN"]),
            add("c", &["KILL"]),
            add("d", &["chown"]),
        ]});
        assert_eq!(
            detail(&CHECK, 0, spec).unwrap(),
            "containers \"a\", \"b\", \"d\" must not include \"NET_RAW\", \"SYS_ADMIN\", \
             \"chown\" in securityContext.capabilities.add"
        );
    }
}
