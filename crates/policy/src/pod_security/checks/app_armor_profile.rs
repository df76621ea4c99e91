//! The container runtime's AppArmor profile may not be switched off.
//!
//! Looks at `securityContext.appArmorProfile.type` of the Pod and of every container, and at the
//! annotations `container.apparmor.security.beta.kubernetes.io/*`, in all versions at both.
//! Allows `RuntimeDefault` and `Localhost` for the fields; `runtime/default`, `localhost/*` and
//! the empty text for the annotations; neither need be given.
//!
//! Versions: v1.0.

use super::super::Level;
use super::super::check::{Check, Forbidden, Form, containers, go_quoted, plural, quoted};
use super::super::pod::{Pod, Profile};
use std::collections::BTreeSet;

pub(super) const CHECK: Check = Check {
    id: "appArmorProfile",
    level: Level::Baseline,
    title: "AppArmor profiles",
    fix: "Leave the AppArmor profile to the runtime, or set RuntimeDefault or Localhost.",
    forms: &[Form {
        since: 0,
        judge,
        replaces: None,
    }],
    source: include_str!("app_armor_profile.rs"),
};

const ANNOTATIONS: &str = "container.apparmor.security.beta.kubernetes.io/";

fn bad<'a>(profile: Option<&Profile<'a>>) -> Option<&'a str> {
    let kind = profile?.kind;
    (kind != "RuntimeDefault" && kind != "Localhost").then_some(kind)
}

fn judge(pod: &Pod<'_>) -> Option<Forbidden> {
    let mut setters = Vec::new();
    let mut values = BTreeSet::new();
    if let Some(kind) = bad(pod.spec.security_context.app_armor_profile.as_ref()) {
        setters.push("pod".to_owned());
        values.insert(kind);
    }
    let mut names = Vec::new();
    for container in pod.containers() {
        if let Some(kind) = bad(container.security_context.app_armor_profile.as_ref()) {
            names.push(container.name);
            values.insert(kind);
        }
    }
    if !names.is_empty() {
        setters.push(containers(&names));
    }
    let mut values: Vec<String> = values.into_iter().map(str::to_owned).collect();
    let mut annotations: Vec<String> = pod
        .annotations
        .iter()
        .filter(|(key, value)| {
            let allowed =
                value.is_empty() || **value == "runtime/default" || value.starts_with("localhost/");
            key.starts_with(ANNOTATIONS) && !allowed
        })
        .map(|(key, value)| format!("{key}={}", go_quoted(value)))
        .collect();
    annotations.sort();
    if !annotations.is_empty() {
        setters.push(plural("annotation", "annotations", annotations.len()).to_owned());
        values.append(&mut annotations);
    }
    if setters.is_empty() {
        return None;
    }
    let (one, many) = ("forbidden AppArmor profile", "forbidden AppArmor profiles");
    let detail = format!(
        "{} must not set AppArmor profile type to {}",
        setters.join(" and "),
        quoted(&values)
    );
    Forbidden::new(plural(one, many, values.len()), detail)
}

#[cfg(test)]
mod tests {
    use super::super::{detail, detail_with};
    use super::CHECK;
    use serde_json::json;

    #[test]
    fn fields_and_annotations_may_not_switch_it_off() {
        let metadata = json!({"annotations": {
            "container.apparmor.security.beta.kubernetes.io/b": "unconfined",
            "container.apparmor.security.beta.kubernetes.io/a": "localhost/own",
            "elsewhere": "unconfined",
        }});
        let spec = json!({
            "securityContext": {"appArmorProfile": {"type": "Unconfined"}},
            "containers": [{"name": "a", "securityContext": {"appArmorProfile": {}}}],
        });
        assert_eq!(
            detail_with(&CHECK, 0, metadata, spec).unwrap(),
            "pod and container \"a\" and annotation must not set AppArmor profile type to \"\", \
             \"Unconfined\", \"container.apparmor.security.beta.kubernetes.io/b=\"unconfined\"\""
        );
    }

    #[test]
    fn the_runtimes_and_local_ones_are_allowed() {
        let spec = json!({
            "securityContext": {"appArmorProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "a", "securityContext": {"appArmorProfile": {"type": "Localhost"}}}],
        });
        assert_eq!(detail(&CHECK, 37, spec), None);
    }
}
