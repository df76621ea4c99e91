//! The filter of system calls may not be switched off.
//!
//! Looks at, before v1.19, the annotations `seccomp.security.alpha.kubernetes.io/pod` and
//! `container.seccomp.security.alpha.kubernetes.io/NAME` of every container; from v1.19 on
//! `securityContext.seccompProfile.type` of the Pod and of every container.
//! Allows `runtime/default`, `docker/default` and `localhost/*` for the annotations,
//! `RuntimeDefault` and `Localhost` for the fields; neither need be given.
//!
//! Versions: v1.0; v1.19. At `restricted` of v1.19 and later `seccompProfile_restricted` is asked
//! instead.

use super::super::Level;
use super::super::check::{Check, Forbidden, Form, go_quoted, plural, quoted, setters};
use super::super::pod::{Pod, Profile};
use std::collections::BTreeSet;

pub(super) const CHECK: Check = Check {
    id: "seccompProfile_baseline",
    level: Level::Baseline,
    title: "Seccomp profiles are not switched off",
    fix: "Leave the seccomp profile to the runtime, or set RuntimeDefault or Localhost.",
    forms: &[
        Form {
            since: 0,
            judge: annotations,
            replaces: None,
        },
        Form {
            since: 19,
            judge: fields,
            replaces: None,
        },
    ],
    source: include_str!("seccomp_profile_baseline.rs"),
};

const OF_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const OF_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";

fn annotations(pod: &Pod<'_>) -> Option<Forbidden> {
    let of_containers = pod
        .containers()
        .map(|c| format!("{OF_CONTAINER}{}", c.name));
    let bad: BTreeSet<String> = std::iter::once(OF_POD.to_owned())
        .chain(of_containers)
        .filter_map(|key| {
            let value = pod.annotations.get(key.as_str())?;
            let allowed = ["runtime/default", "docker/default"].contains(value)
                || value.starts_with("localhost/");
            (!allowed).then(|| format!("{key}={}", go_quoted(value)))
        })
        .collect();
    if bad.is_empty() {
        return None;
    }
    let word = plural("annotation", "annotations", bad.len());
    let all: Vec<String> = bad.into_iter().collect();
    Forbidden::new(
        "seccompProfile",
        format!("forbidden {word} {}", all.join(", ")),
    )
}

/// The type of a profile that is given and not allowed.
pub(super) fn bad<'a>(profile: Option<&Profile<'a>>) -> Option<&'a str> {
    let kind = profile?.kind;
    (kind != "RuntimeDefault" && kind != "Localhost").then_some(kind)
}

pub(super) fn fields(pod: &Pod<'_>) -> Option<Forbidden> {
    let of_pod = bad(pod.spec.security_context.seccomp_profile.as_ref());
    let names = pod.named(|c| bad(c.security_context.seccomp_profile.as_ref()).is_some());
    let who = setters(of_pod.is_some(), &names)?;
    let of_containers = pod
        .containers()
        .filter_map(|c| bad(c.security_context.seccomp_profile.as_ref()));
    let values: BTreeSet<&str> = of_pod.into_iter().chain(of_containers).collect();
    let detail = format!(
        "{who} must not set securityContext.seccompProfile.type to {}",
        quoted(values)
    );
    Forbidden::new("seccompProfile", detail)
}

#[cfg(test)]
mod tests {
    use super::super::{detail, detail_with};
    use super::CHECK;
    use serde_json::json;

    #[test]
    fn old_versions_look_at_annotations() {
        let metadata = json!({"annotations": {
            "seccomp.security.alpha.kubernetes.io/pod": "unconfined",
            "container.seccomp.security.alpha.kubernetes.io/a": "",
            "container.seccomp.security.alpha.kubernetes.io/b": "localhost/x",
            "container.seccomp.security.alpha.kubernetes.io/other": "unconfined",
        }});
        let spec = json!({"containers": [{"name": "a"}, {"name": "b"}]});
        assert_eq!(
            detail_with(&CHECK, 18, metadata.clone(), spec.clone()).unwrap(),
            "forbidden annotations container.seccomp.security.alpha.kubernetes.io/a=\"\", \
             seccomp.security.alpha.kubernetes.io/pod=\"unconfined\""
        );
        assert_eq!(detail_with(&CHECK, 19, metadata, spec), None);
    }

    #[test]
    fn new_versions_look_at_fields() {
        let spec = json!({
            "securityContext": {"seccompProfile": {"type": "Localhost"}},
            "containers": [{"name": "a", "securityContext": {"seccompProfile": {"type": "Unconfined"}}}],
        });
        let wanted =
            "container \"a\" must not set securityContext.seccompProfile.type to \"Unconfined\"";
        assert_eq!(detail(&CHECK, 19, spec.clone()).unwrap(), wanted);
        assert_eq!(detail(&CHECK, 18, spec), None);
    }
}
