//! Privileged containers are hardly contained at all.
//!
//! Looks at `securityContext.privileged` of every container.
//! Allows `false` and not given.
//!
//! Versions: v1.0.

use super::super::Level;
use super::super::check::{Check, Forbidden, Form, containers};
use super::super::pod::Pod;

pub(super) const CHECK: Check = Check {
    id: "privileged",
    level: Level::Baseline,
    title: "Privileged containers",
    fix: "Remove securityContext.privileged; add the one capability that is needed.",
    forms: &[Form {
        since: 0,
        judge,
        replaces: None,
    }],
    source: include_str!("privileged.rs"),
};

fn judge(pod: &Pod<'_>) -> Option<Forbidden> {
    let bad = pod.named(|c| c.security_context.privileged == Some(true));
    if bad.is_empty() {
        return None;
    }
    let detail = format!(
        "{} must not set securityContext.privileged=true",
        containers(&bad)
    );
    Forbidden::new("privileged", detail)
}

#[cfg(test)]
mod tests {
    use super::super::detail;
    use super::CHECK;
    use serde_json::json;

    #[test]
    fn none_may_be() {
        let spec = json!({
            "containers": [{"name": "a", "securityContext": {"privileged": false}}],
            "ephemeralContainers": [{"name": "b", "securityContext": {"privileged": true}}],
        });
        let wanted = "container \"b\" must not set securityContext.privileged=true";
        assert_eq!(detail(&CHECK, 0, spec).unwrap(), wanted);
    }
}
