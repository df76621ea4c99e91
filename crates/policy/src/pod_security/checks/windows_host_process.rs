//! Containers of Windows may not be processes of the node.
//!
//! Looks at `securityContext.windowsOptions.hostProcess` of the Pod and of every container.
//! Allows `false` and not given.
//!
//! Versions: v1.0.

use super::super::Level;
use super::super::check::{Check, Forbidden, Form, setters};
use super::super::pod::Pod;

pub(super) const CHECK: Check = Check {
    id: "windowsHostProcess",
    level: Level::Baseline,
    title: "Processes of the node on Windows",
    fix: "Remove securityContext.windowsOptions.hostProcess.",
    forms: &[Form {
        since: 0,
        judge,
        replaces: None,
    }],
    source: include_str!("windows_host_process.rs"),
};

fn judge(pod: &Pod<'_>) -> Option<Forbidden> {
    let names = pod.named(|c| c.security_context.windows_options.host_process == Some(true));
    let of_pod = pod.spec.security_context.windows_options.host_process == Some(true);
    let who = setters(of_pod, &names)?;
    let detail = format!("{who} must not set securityContext.windowsOptions.hostProcess=true");
    Forbidden::new("hostProcess", detail)
}

#[cfg(test)]
mod tests {
    use super::super::detail;
    use super::CHECK;
    use serde_json::json;

    #[test]
    fn none_may_be() {
        let process = |is: bool| json!({"windowsOptions": {"hostProcess": is}});
        let spec = json!({
            "securityContext": process(true),
            "containers": [
                {"name": "a", "securityContext": process(true)},
                {"name": "b", "securityContext": process(false)},
            ],
        });
        let wanted =
            "pod and container \"a\" must not set securityContext.windowsOptions.hostProcess=true";
        assert_eq!(detail(&CHECK, 0, spec).unwrap(), wanted);
    }
}
