//! What the container runtime hides below `/proc` must stay hidden, whoever the users are.
//!
//! Looks at `securityContext.procMount` of every container.
//! Allows `Default` and not given.
//!
//! Versions: v1.35; before it `procMount` is as strict. Asked instead of `procMount`.

use super::super::Level;
use super::super::check::{Check, Form};
use super::proc_mount::judge;

pub(super) const CHECK: Check = Check {
    id: "procMount_restricted",
    level: Level::Restricted,
    title: "Masks of /proc, always",
    fix: "Remove securityContext.procMount, or set it to Default.",
    forms: &[Form {
        since: 35,
        judge,
        replaces: Some("procMount"),
    }],
    source: include_str!("proc_mount_restricted.rs"),
};

#[cfg(test)]
mod tests {
    use super::super::detail;
    use super::CHECK;
    use crate::pod_security::{Level, Version, judge};
    use serde_json::{Value, json};

    #[test]
    fn own_users_are_no_excuse() {
        let spec = json!({"hostUsers": false, "containers": [
            {"name": "a", "securityContext": {"procMount": "Unmasked"}},
        ]});
        assert!(detail(&CHECK, 35, spec.clone()).is_some());
        assert_eq!(detail(&CHECK, 34, spec.clone()), None);
        let failed = judge(Level::Restricted, Version::Latest, &Value::Null, &spec);
        assert_eq!(failed.iter().filter(|f| f.reason == "procMount").count(), 1);
    }
}
