//! Kernel parameters may be set only where they concern the Pod alone.
//!
//! Looks at `spec.securityContext.sysctls[*].name`.
//! Allows `kernel.shm_rmid_forced` and, below `net.ipv4.`: `ip_local_port_range`,
//! `ip_unprivileged_port_start`, `ping_group_range`, `tcp_syncookies`; from v1.27 on
//! `ip_local_reserved_ports`; from v1.29 on `tcp_fin_timeout`, `tcp_keepalive_intvl`,
//! `tcp_keepalive_probes`, `tcp_keepalive_time`; from v1.32 on `tcp_rmem`, `tcp_wmem`; from v1.37
//! on `tcp_notsent_lowat`, `tcp_slow_start_after_idle`.
//!
//! Versions: v1.0; v1.27; v1.29; v1.32; v1.37.

use super::super::Level;
use super::super::check::{Check, Forbidden, Form};
use super::super::pod::Pod;

pub(super) const CHECK: Check = Check {
    id: "sysctls",
    level: Level::Baseline,
    title: "Kernel parameters",
    fix: "Remove the named sysctls, or set them on the nodes.",
    forms: &[
        Form {
            since: 0,
            judge: |pod| judge(pod, 0),
            replaces: None,
        },
        Form {
            since: 27,
            judge: |pod| judge(pod, 27),
            replaces: None,
        },
        Form {
            since: 29,
            judge: |pod| judge(pod, 29),
            replaces: None,
        },
        Form {
            since: 32,
            judge: |pod| judge(pod, 32),
            replaces: None,
        },
        Form {
            since: 37,
            judge: |pod| judge(pod, 37),
            replaces: None,
        },
    ],
    source: include_str!("sysctls.rs"),
};

/// Safe parameters and the version from which on they count as such.
const SAFE: [(u32, &str); 14] = [
    (0, "kernel.shm_rmid_forced"),
    (0, "net.ipv4.ip_local_port_range"),
    (0, "net.ipv4.ip_unprivileged_port_start"),
    (0, "net.ipv4.ping_group_range"),
    (0, "net.ipv4.tcp_syncookies"),
    (27, "net.ipv4.ip_local_reserved_ports"),
    (29, "net.ipv4.tcp_fin_timeout"),
    (29, "net.ipv4.tcp_keepalive_intvl"),
    (29, "net.ipv4.tcp_keepalive_probes"),
    (29, "net.ipv4.tcp_keepalive_time"),
    (32, "net.ipv4.tcp_rmem"),
    (32, "net.ipv4.tcp_wmem"),
    (37, "net.ipv4.tcp_notsent_lowat"),
    (37, "net.ipv4.tcp_slow_start_after_idle"),
];

fn judge(pod: &Pod<'_>, minor: u32) -> Option<Forbidden> {
    let safe = |name: &str| SAFE.iter().any(|(since, s)| *since <= minor && *s == name);
    let all = pod.spec.security_context.sysctls.iter().map(|s| s.name);
    let bad: Vec<&str> = all.filter(|name| !safe(name)).collect();
    if bad.is_empty() {
        return None;
    }
    Forbidden::new("forbidden sysctls", bad.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::detail;
    use super::CHECK;
    use serde_json::json;

    #[test]
    fn safe_ones_grow_with_versions() {
        let spec = json!({"securityContext": {"sysctls": [
            {"name": "net.ipv4.tcp_rmem", "value": "1"},
            {"name": "kernel.msgmax", "value": "1"},
            {"name": "kernel.shm_rmid_forced", "value": "1"},
            {"name": "net.ipv4.tcp_notsent_lowat", "value": "1"},
        ]}});
        for (minor, wanted) in [
            (
                31,
                "net.ipv4.tcp_rmem, kernel.msgmax, net.ipv4.tcp_notsent_lowat",
            ),
            (36, "kernel.msgmax, net.ipv4.tcp_notsent_lowat"),
            (37, "kernel.msgmax"),
        ] {
            assert_eq!(detail(&CHECK, minor, spec.clone()).unwrap(), wanted);
        }
    }
}
