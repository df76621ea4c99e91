//! SELinux may only be told one of the types meant for containers, and no user or role.
//!
//! Looks at `securityContext.seLinuxOptions.type`, `.user` and `.role` of the Pod and of every
//! container.
//! Allows the types `container_t`, `container_init_t`, `container_kvm_t`, from v1.31 on
//! `container_engine_t`, the empty text and not given; user and role must be empty.
//!
//! Versions: v1.0; v1.31.

use super::super::Level;
use super::super::check::{Check, Forbidden, Form, plural, quoted, setters};
use super::super::pod::{Pod, SeLinux};
use std::collections::BTreeSet;

pub(super) const CHECK: Check = Check {
    id: "seLinuxOptions",
    level: Level::Baseline,
    title: "SELinux options",
    fix: "Remove user and role from securityContext.seLinuxOptions and use a type for containers.",
    forms: &[
        Form {
            since: 0,
            judge: before_1_31,
            replaces: None,
        },
        Form {
            since: 31,
            judge: since_1_31,
            replaces: None,
        },
    ],
    source: include_str!("se_linux_options.rs"),
};

const BEFORE_1_31: &[&str] = &["", "container_t", "container_init_t", "container_kvm_t"];
const SINCE_1_31: &[&str] = &[
    "",
    "container_t",
    "container_init_t",
    "container_kvm_t",
    "container_engine_t",
];

fn before_1_31(pod: &Pod<'_>) -> Option<Forbidden> {
    judge(pod, BEFORE_1_31)
}

fn since_1_31(pod: &Pod<'_>) -> Option<Forbidden> {
    judge(pod, SINCE_1_31)
}

fn judge(pod: &Pod<'_>, types: &[&str]) -> Option<Forbidden> {
    let bad = |options: &SeLinux<'_>| {
        !types.contains(&options.kind) || !options.user.is_empty() || !options.role.is_empty()
    };
    let of_pod = &pod.spec.security_context.se_linux_options;
    let names = pod.named(|c| bad(&c.security_context.se_linux_options));
    let who = setters(bad(of_pod), &names)?;
    let all = || {
        let of_containers = pod
            .containers()
            .map(|c| &c.security_context.se_linux_options);
        std::iter::once(of_pod).chain(of_containers)
    };
    let kinds: BTreeSet<&str> = all()
        .map(|o| o.kind)
        .filter(|k| !types.contains(k))
        .collect();
    let mut what = Vec::new();
    if !kinds.is_empty() {
        what.push(format!(
            "{} {}",
            plural("type", "types", kinds.len()),
            quoted(kinds)
        ));
    }
    if all().any(|o| !o.user.is_empty()) {
        what.push("user may not be set".to_owned());
    }
    if all().any(|o| !o.role.is_empty()) {
        what.push("role may not be set".to_owned());
    }
    let detail = format!(
        "{who} set forbidden securityContext.seLinuxOptions: {}",
        what.join("; ")
    );
    Forbidden::new("seLinuxOptions", detail)
}

#[cfg(test)]
mod tests {
    use super::super::detail;
    use super::CHECK;
    use serde_json::json;

    #[test]
    fn types_for_containers_only_and_no_user_or_role() {
        let spec = json!({
            "securityContext": {"seLinuxOptions": {"user": "root", "type": "container_t"}},
            "containers": [
                {"name": "a", "securityContext": {"seLinuxOptions": {"type": "spc_t", "role": "r"}}},
                {"name": "b", "securityContext": {"seLinuxOptions": {}}},
            ],
        });
        assert_eq!(
            detail(&CHECK, 37, spec).unwrap(),
            "pod and container \"a\" set forbidden securityContext.seLinuxOptions: type \"spc_t\"; \
             user may not be set; role may not be set"
        );
    }

    #[test]
    fn engines_are_allowed_from_v1_31() {
        let spec = json!({"securityContext": {"seLinuxOptions": {"type": "container_engine_t"}}});
        assert!(detail(&CHECK, 30, spec.clone()).is_some());
        assert_eq!(detail(&CHECK, 31, spec), None);
    }
}
