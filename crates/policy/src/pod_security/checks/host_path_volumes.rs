//! Volumes may not be folders of the node.
//!
//! Looks at `spec.volumes[*].hostPath`.
//! Allows not given.
//!
//! Versions: v1.0. At `restricted`, `restrictedVolumes` is asked instead.

use super::super::Level;
use super::super::check::{Check, Forbidden, Form, plural, quoted};
use super::super::pod::Pod;

pub(super) const CHECK: Check = Check {
    id: "hostPathVolumes",
    level: Level::Baseline,
    title: "Folders of the node as volumes",
    fix: "Use another kind of volume than hostPath.",
    forms: &[Form {
        since: 0,
        judge,
        replaces: None,
    }],
    source: include_str!("host_path_volumes.rs"),
};

fn judge(pod: &Pod<'_>) -> Option<Forbidden> {
    let volumes = pod.spec.volumes.iter();
    let bad: Vec<_> = volumes
        .filter(|v| v.sources.contains(&"hostPath"))
        .map(|v| v.name)
        .collect();
    if bad.is_empty() {
        return None;
    }
    let word = plural("volume", "volumes", bad.len());
    Forbidden::new("hostPath volumes", format!("{word} {}", quoted(bad)))
}

#[cfg(test)]
mod tests {
    use super::super::detail;
    use super::CHECK;
    use serde_json::json;

    #[test]
    fn none_may_be_there() {
        let spec = json!({"volumes": [
            {"name": "a", "hostPath": {"path": "/"}},
            {"name": "b", "emptyDir": {}},
            {"name": "c", "hostPath": {}},
        ]});
        assert_eq!(detail(&CHECK, 0, spec).unwrap(), "volumes \"a\", \"c\"");
        assert_eq!(
            detail(
                &CHECK,
                0,
                json!({"volumes": [{"name": "a", "hostPath": null}]})
            ),
            None
        );
    }
}
